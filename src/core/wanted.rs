//! What the world should be doing now, and when to look again.

use super::schedule::{admits, is_quiet};
use super::state::{Feature, Phase, State};
use crate::model::{Effect, Slug, Stamp, StopLevel};

/// Everything that should be under way, derived from the state; never stored. The driver starts what
/// is missing and stops what is too much. Empty unless a run lives.
#[must_use]
pub fn wanted(state: &State) -> Vec<Effect> {
    let mut effects: Vec<Effect> = state.writes.iter().cloned().map(Effect::Write).collect();
    let Some(run) = state.live() else {
        return effects;
    };
    let terminating = run.stop.is_some_and(StopLevel::terminates);
    for slug in &state.in_slots {
        if let Some(feature) = state.features.get(slug).filter(|_| !terminating) {
            effects.extend(slot_effect(slug, feature));
        }
    }
    if let Some(slug) = &state.integrating
        && let Some(feature) = state.features.get(slug)
    {
        effects.extend(integration_effect(slug, feature, terminating));
    }
    if is_quiet(state, run) && !run.tidied {
        effects.push(Effect::Tidy {
            keep: state.worktrees.keys().copied().collect(),
            landed: state.to_tidy.clone(),
        });
    }
    effects
}

fn slot_effect(slug: &Slug, feature: &Feature) -> Option<Effect> {
    let worktree = feature.worktree?;
    match feature.phase {
        Phase::Preparing => Some(Effect::Prepare {
            slug: slug.clone(),
            worktree,
            attempt: feature.prepare_attempts,
            fresh: feature.fresh,
        }),
        Phase::Working {
            running: Some(iteration),
        } => Some(Effect::Iterate {
            slug: slug.clone(),
            worktree,
            iteration,
            agent: feature.spec.agent.clone(),
            timeout_ms: feature.spec.timeout_ms,
            answer: feature.answer.clone(),
        }),
        _ => None,
    }
}

fn integration_effect(slug: &Slug, feature: &Feature, terminating: bool) -> Option<Effect> {
    match &feature.phase {
        Phase::Integrating { attempt } if !terminating => Some(Effect::Integrate {
            slug: slug.clone(),
            attempt: *attempt,
            iteration: feature.iterations,
            summary: feature.summary.clone(),
            verify: feature.spec.verify.clone(),
        }),
        // Moving the target is short and whole; it is never stopped half-way.
        Phase::Verified { attempt, candidate } => Some(Effect::Land {
            slug: slug.clone(),
            attempt: *attempt,
            candidate: candidate.clone(),
        }),
        _ => None,
    }
}

/// The next point in time at which something may start that nothing but time holds back.
#[must_use]
pub fn wake_at(state: &State, now: Stamp) -> Option<Stamp> {
    let run = state.live()?;
    let admits = admits(state, run);
    let times = state.delayed.iter().filter_map(|slug| {
        let feature = state.features.get(slug)?;
        let startable = match feature.phase {
            Phase::Queued => true,
            Phase::Pending | Phase::Working { running: None } => admits,
            _ => false,
        };
        (startable && feature.not_before > now).then_some(feature.not_before)
    });
    times.min()
}
