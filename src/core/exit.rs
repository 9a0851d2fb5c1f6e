//! Exit codes: what holds at the end of a run, most urgent first.

use super::budget::run_used_up;
use super::feature::{Feature, Phase};
use super::schedule::hopeless_features;
use super::state::{Run, State};
use crate::model::{SkipReason, StopLevel};

/// The order of urgency when several hold.
const PRECEDENCE: [u8; 11] = [130, 143, 10, 6, 7, 5, 4, 8, 3, 1, 0];

/// Every condition that holds for the selected features, most urgent first; `[0]` when all have
/// landed. The meaning of each number is the table in README.md.
#[must_use]
pub fn exit_codes(state: &State) -> Vec<u8> {
    let mut holds = Vec::new();
    let mut open = false;
    for (slug, feature) in &state.features {
        if !state.is_selected(slug) || (!feature.listed && feature.phase == Phase::Pending) {
            continue;
        }
        open |= !feature.is_merged() && !is_unwanted(feature);
        holds.extend(own_code(feature));
    }
    let withheld = state
        .run
        .as_ref()
        .is_some_and(|run| run.settings.merge.publish);
    if withheld && state.unpublished().next().is_some() {
        holds.push(8);
    }
    if let Some(run) = state.run.as_ref().filter(|_| open) {
        match run.stop {
            Some(StopLevel::Drain) => holds.push(130),
            Some(StopLevel::Terminate { code }) => holds.push(code),
            None => {}
        }
        let lost = lost_account(state, run);
        if lost {
            holds.push(6);
        }
        let used_up = run_used_up(run).is_some();
        if used_up && could_go_on(state) {
            holds.push(7);
        }
        if state.halt.is_some() {
            holds.push(3);
        }
        let held = run.stop.is_some() || lost || run.halted_by.is_some() || state.halt.is_some();
        if !held && !used_up && could_go_on(state) {
            holds.push(1);
        }
        if holds.is_empty() {
            // It waits for one that a person took back, or left out.
            holds.push(1);
        }
    }
    if holds.is_empty() {
        holds.push(0);
    }
    holds.sort_by_key(|code| PRECEDENCE.iter().position(|known| known == code));
    holds.dedup();
    holds
}

/// Whether a selected feature is left that needs an account which cannot be used.
fn lost_account(state: &State, run: &Run) -> bool {
    state.features.iter().any(|(slug, feature)| {
        let open = !feature.is_merged() && !feature.is_halted() && feature.listed;
        open && state.is_selected(slug) && state.lost_account(run, feature).is_some()
    })
}

/// Whether a selected feature is left that nothing but the run's limits held back.
fn could_go_on(state: &State) -> bool {
    let hopeless = hopeless_features(state);
    state.features.iter().any(|(slug, feature)| {
        let open = !feature.is_merged() && !feature.is_halted();
        let gone = !feature.listed && feature.phase == Phase::Pending;
        open && !gone && state.is_selected(slug) && !hopeless.contains(slug)
    })
}

/// Whether a person took it back or left it out, and did not ask for it again: that it is not there is their wish.
fn is_unwanted(feature: &Feature) -> bool {
    let why = SkipReason::Undone;
    feature.is_left_out() || feature.phase == Phase::Failed { why }
}

/// The code one feature calls for. Pending work calls for 1 only when nothing explains it better.
fn own_code(feature: &Feature) -> Option<u8> {
    match &feature.phase {
        Phase::Tripped { .. } => Some(5),
        Phase::Blocked { .. } => Some(4),
        Phase::Parked { .. } => Some(8),
        Phase::Failed { .. } if is_unwanted(feature) => None,
        Phase::Failed {
            why: SkipReason::BudgetUsedUp { .. },
        } => Some(7),
        Phase::Failed { .. } => Some(1),
        _ => None,
    }
}
