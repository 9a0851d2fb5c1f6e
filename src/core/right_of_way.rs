//! The right of way: a feature that keeps clashing with what lands is let through.
//!
//! Who has had two conflicts handed back has the right of way on the paths of the last one, until it lands,
//! is given up, or its time is up: nothing that changes one of these paths lands before it. Otherwise slow
//! work on a busy file would lose every race until its rounds are used up.
//!
//! It only says who waits for whom; what a branch changes is seen where chains are built.

use super::feature::{Feature, Phase};
use super::merge;
use super::schedule::{admits, clash, waits_after};
use super::state::{Run, State};
use crate::model::{Event, RightOfWay, Slug, Stamp};

/// So many conflicts give it.
pub(super) const ROUNDS: u32 = 2;

/// How long it lasts at most.
pub(super) const LONGEST_MS: u64 = 30 * 60 * 1000;

/// Who has it, who got it first first.
pub(super) fn holders(state: &State, run: &Run) -> Vec<RightOfWay> {
    let granted = &state.merging.right_of_way;
    let mut holders: Vec<(&Stamp, &Feature)> = granted
        .iter()
        .filter(|(slug, _)| has(state, run, slug))
        .filter_map(|(slug, until)| Some((until, state.features.get(slug)?)))
        .collect();
    holders.sort_by_key(|(until, feature)| (**until, &feature.spec.slug));
    let shown = holders.iter().map(|(_, feature)| RightOfWay {
        slug: feature.spec.slug.clone(),
        paths: feature.conflicts.clone(),
    });
    shown.collect()
}

/// Whether a feature has it and is on its way, so that waiting for it has an end.
pub(super) fn has(state: &State, run: &Run, slug: &Slug) -> bool {
    let granted = state.merging.right_of_way.contains_key(slug);
    let feature = state.features.get(slug);
    let Some(feature) = feature.filter(|feature| granted && feature.rounds >= ROUNDS) else {
        return false;
    };
    // Whose account only a person can mend is called no more in this run.
    let startable = admits(state, run)
        && feature.listed
        && state.is_selected(slug)
        && state.lost_account(run, feature).is_none();
    match feature.phase {
        Phase::Pending => startable && feature.unmet == 0 && !waits_behind(state, run, feature),
        Phase::Working { running } => startable || running.is_some(),
        Phase::Queued => !merge::is_held(state, feature) && feature.unmet == 0,
        Phase::Preparing | Phase::Integrating { .. } => true,
        _ => false,
    }
}

/// Whether a feature that could start waits for another to end or to land, which may be the one that lets it through, or
/// one that does nothing more.
fn waits_behind(state: &State, run: &Run, feature: &Feature) -> bool {
    let stays = |slug: &Slug| {
        let other = state.features.get(slug);
        other.is_some_and(|other| match other.phase {
            Phase::Queued => true,
            Phase::Pending | Phase::Working { running: None } => {
                state.lost_account(run, other).is_some()
            }
            _ => false,
        })
    };
    let clashes = clash(state, feature).is_some_and(stays);
    clashes || waits_after(state, feature, &mut None).is_some()
}

/// Whether a feature waits for one that has it. Of two that have it only the later one waits, whoever gave way
/// before: else each would wait for the other.
pub(super) fn gives_way(state: &State, run: &Run, feature: &Feature) -> bool {
    let Some(to) = feature.gives_way_to.as_ref() else {
        return false;
    };
    let own = &feature.spec.slug;
    let order = |slug: &Slug| (state.merging.right_of_way.get(slug).copied(), slug.clone());
    let goes_first = has(state, run, own) && order(own) < order(to);
    has(state, run, to) && !goes_first
}

/// The end of one whose time is up.
pub(super) fn expired(state: &State, now: Stamp) -> Option<Event> {
    let granted = state.merging.right_of_way.iter();
    let mut over = granted.filter(|(_, until)| **until <= now);
    over.next()
        .map(|(slug, _)| Event::RightOfWayEnded { slug: slug.clone() })
}
