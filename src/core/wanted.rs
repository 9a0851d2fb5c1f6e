//! What the world should be doing now, and when to look again.

use super::deadline;
use super::feature::{Feature, Phase};
use super::merge::{Outlook, gate_of, may_be_tried, outlook, publishes, queued};
use super::queue::{Attempt, AttemptStage, Publishing};
use super::right_of_way;
use super::schedule::{INFRA_LIMIT, admits, integrates, is_quiet};
use super::session::resumed;
use super::state::{Run, State};
use crate::model::{Chain, Effect, Member, Slug, Stamp, StopLevel, Trial};

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
            effects.extend(slot_effect(run, slug, feature));
        }
    }
    effects.extend(merge_effects(state, run));
    if is_quiet(state, run) && !run.tidied {
        effects.push(Effect::Tidy {
            keep: state.worktrees.keys().copied().collect(),
            landed: state.to_tidy.clone(),
        });
    }
    effects
}

fn slot_effect(run: &Run, slug: &Slug, feature: &Feature) -> Option<Effect> {
    let worktree = feature.worktree?;
    match feature.phase {
        Phase::Preparing => Some(Effect::Prepare {
            slug: slug.clone(),
            worktree,
            attempt: feature.prepare_attempts,
            fresh: feature.fresh,
        }),
        // What a person wants left out is stopped.
        Phase::Working {
            running: Some(iteration),
        } if feature.skip.is_none() => Some(Effect::Iterate {
            slug: slug.clone(),
            worktree,
            iteration,
            agent: feature.called.clone(),
            session: resumed(run, feature),
            timeout_ms: feature.spec.timeout_ms,
            answer: feature.answer.clone(),
            handback: feature.handback.clone(),
        }),
        _ => None,
    }
}

/// What the merge queue wants: chains built and gated, the first that passed landed, the target moved.
fn merge_effects(state: &State, run: &Run) -> Vec<Effect> {
    let merging = &state.merging;
    let terminating = run.stop.is_some_and(StopLevel::terminates);
    let mut effects = Vec::new();
    let mut first = true;
    for (number, attempt) in &merging.attempts {
        let leads = first && attempt.what != Trial::Base;
        first &= !leads;
        match &attempt.stage {
            AttemptStage::Building if !terminating => {
                effects.push(build(state, run, *number, attempt));
            }
            AttemptStage::Built(chain) if !terminating => {
                effects.extend(gate(state, run, *number, attempt, chain));
            }
            // Moving a ref is short and whole; it is never stopped half-way.
            AttemptStage::Landing(chain) if leads => effects.push(Effect::Land {
                attempt: *number,
                from: run.tip.clone(),
                to: chain.commit.clone(),
            }),
            _ => {}
        }
    }
    if let Some(to) = &merging.rewinding {
        effects.push(Effect::Rewind {
            from: run.tip.clone(),
            to: to.clone(),
        });
    }
    if let Some(publish) = &merging.publish {
        effects.push(Effect::Publish {
            from: run.target_tip.clone(),
            to: publish.to.clone(),
            number: publish.number,
        });
    }
    effects
}

fn build(state: &State, run: &Run, number: u32, attempt: &Attempt) -> Effect {
    let members = attempt.members.iter().filter_map(|slug| {
        let feature = state.features.get(slug)?;
        Some(Member {
            slug: slug.clone(),
            iteration: feature.iterations,
            summary: feature.summary.clone(),
        })
    });
    let settled = run.target_tip == run.tip && attempt.onto == run.tip;
    Effect::Build {
        attempt: number,
        what: attempt.what,
        onto: attempt.onto.clone(),
        tip: run.tip.clone(),
        members: members.collect(),
        first: right_of_way::holders(state, run),
        follow: settled.then(|| run.target_tip.clone()),
    }
}

fn gate(state: &State, run: &Run, number: u32, attempt: &Attempt, chain: &Chain) -> Option<Effect> {
    if !matches!(outlook(state, run, attempt, chain), Outlook::Gate) {
        return None;
    }
    let gate = gate_of(state, run, attempt);
    let about = chain.steps.iter().filter_map(|step| {
        let feature = state.features.get(&step.slug)?;
        Some((step.slug.clone(), feature.iterations))
    });
    Some(Effect::Gate {
        attempt: number,
        reds: state
            .merging
            .failed(&chain.tree, &gate)
            .map_or(0, |failed| failed.times),
        commit: chain.commit.clone(),
        gate,
        about: about.collect(),
    })
}

/// The next point in time at which something may start that nothing but time holds back.
#[must_use]
pub fn wake_at(state: &State, now: Stamp) -> Option<Stamp> {
    let run = state.live()?;
    let admits = admits(state, run);
    let times = state.delayed.iter().filter_map(|slug| {
        let feature = state.features.get(slug)?;
        let startable = match feature.phase {
            Phase::Queued => integrates(state, run) && may_be_tried(state, run, feature),
            Phase::Pending | Phase::Working { running: None } => admits,
            _ => false,
        };
        (startable && feature.not_before > now).then_some(feature.not_before)
    });
    let merging = &state.merging;
    let waits = merging.infra > 0 && merging.infra < INFRA_LIMIT && integrates(state, run);
    let queue = Some(merging.not_before).filter(|at| *at > now && waits);
    let publish = match &merging.publishing {
        Publishing::Waiting { until, .. } if publishes(run) && merging.publish.is_none() => {
            Some(*until).filter(|until| *until > now)
        }
        _ => None,
    };
    let yielding = queued(state)
        .filter_map(|slug| state.features.get(slug))
        .any(|feature| right_of_way::gives_way(state, run, feature));
    let ways = merging.right_of_way.values().copied();
    let ways = ways.filter(|until| yielding && integrates(state, run) && *until > now);
    let waits = admits && !(state.ready.is_empty() && state.in_slots.is_empty());
    let accounts = state.accounts.values().filter(|_| waits);
    let accounts = accounts.filter_map(|account| account.closed.as_ref()?.until);
    let account = accounts.filter(|until| *until > now).min();
    times
        .chain(queue)
        .chain(publish)
        .chain(ways)
        .chain(account)
        .chain(deadline::wake(state, run, now))
        .chain(state.apart_times(run, now).filter(|_| waits))
        .min()
}
