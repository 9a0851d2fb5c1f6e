//! What must always hold; asserted after every turn, in release builds too.

use super::schedule::{active, slots};
use super::state::State;

/// The first broken invariant, as a sentence; `None` when all hold. Looks at active features only.
#[must_use]
pub fn broken_invariant(state: &State) -> Option<String> {
    let run = state.live()?;
    let (active, slots) = (active(state).count(), slots(run));
    if active > slots {
        return Some(format!(
            "{active} features are worked on with {slots} slots"
        ));
    }
    for slug in &state.in_slots {
        let feature = state.features.get(slug)?;
        let held = feature.worktree.and_then(|name| state.worktrees.get(&name));
        if held != Some(slug) {
            return Some(format!("{slug} works without a worktree of its own"));
        }
        let unmet = feature
            .spec
            .depends_on
            .iter()
            .find(|name| !state.is_merged(name));
        // A dependency that went back to the queue, or was added, does not undo what has started.
        if let (Some(name), true) = (unmet, feature.unmet == 0) {
            return Some(format!("{slug} counts {name} as landed, and it is not"));
        }
    }
    for (number, job) in (state.writes_done + 1..).zip(&state.writes) {
        if job.number != number {
            return Some(format!("write {number} is missing"));
        }
    }
    None
}
