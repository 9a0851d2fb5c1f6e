//! What observations about merging amount to; the other half of [`decide`](super::decide).
//!
//! Level-triggered as everything in this room: the end of a build, gate or move that no longer fits what
//! is under way amounts to nothing.

use super::feature::Phase;
use super::queue::{Attempt, AttemptStage};
use super::state::State;
use crate::model::{
    BuildOutcome, Event, GateOutcome, Ground, LandOutcome, PublishOutcome, Red, RunId, Settings,
    Slug, Trial,
};

pub(super) fn run_begins(
    state: &State,
    run: RunId,
    settings: Box<Settings>,
    target: String,
    ground: Ground,
    lost: &[Slug],
    gone: &[Slug],
) -> Vec<Event> {
    let target_tip = ground.target.clone();
    let all_public = ground.tip == ground.target;
    // What has landed needs no branch any more.
    let attempts = state.merging.attempts.values();
    let unheard: Vec<&Slug> = attempts
        .filter(|attempt| attempt.has_landed(&ground.tip))
        .flat_map(|attempt| &attempt.members)
        .collect();
    let mut events = vec![Event::RunStarted {
        run,
        settings,
        target,
        ground,
    }];
    let landed = |slug: &&Slug| {
        let known = state.merging.unpublished.iter();
        known.into_iter().any(|(other, _)| other == *slug)
    };
    events.extend(lost.iter().filter(landed).map(|slug| {
        let slug = slug.clone();
        if gone.contains(&slug) {
            Event::Abandoned { slug }
        } else {
            Event::Unlanded { slug }
        }
    }));
    let waiting = state
        .awaiting_merge()
        .filter(|slug| gone.contains(slug) && !unheard.contains(slug));
    events.extend(waiting.cloned().map(|slug| Event::Abandoned { slug }));
    // What the last run had started may have moved the target after it died.
    let mut known = state.merging.unpublished.iter();
    if all_public && known.any(|(slug, _)| !lost.contains(slug)) {
        events.push(Event::Published { commit: target_tip });
    }
    events
}

fn attempt(state: &State, number: u32) -> Option<&Attempt> {
    state.merging.attempts.get(&number)
}

pub(super) fn built(state: &State, number: u32, outcome: BuildOutcome) -> Vec<Event> {
    let Some(attempt) = attempt(state, number) else {
        return Vec::new();
    };
    if !matches!(attempt.stage, AttemptStage::Building) {
        return Vec::new();
    }
    match outcome {
        BuildOutcome::Built {
            chain,
            conflicts,
            deferred,
            yielded,
            failed,
        } => {
            let mut events = Vec::new();
            let tip = state.run.as_ref().map_or(&chain.onto, |run| &run.tip);
            for (slug, paths) in conflicts {
                events.push(Event::Clashed {
                    slug,
                    attempt: number,
                    onto: tip.clone(),
                    paths,
                });
            }
            for slug in deferred {
                events.push(Event::Deferred {
                    slug,
                    attempt: number,
                });
            }
            for (slug, to) in yielded {
                events.push(Event::GaveWay {
                    slug,
                    attempt: number,
                    to,
                });
            }
            for (slug, why) in failed {
                events.push(Event::MemberFailed {
                    slug,
                    attempt: number,
                    why,
                });
            }
            events.retain(|event| is_member(attempt, event));
            events.push(Event::Built {
                attempt: number,
                chain,
            });
            events
        }
        BuildOutcome::Moved { ground } => vec![Event::TipMoved { ground }],
        BuildOutcome::Clash { paths } if attempt.what == Trial::Reconcile => {
            vec![Event::ReconcileFailed {
                attempt: number,
                why: format!("conflicts in {}", paths.join(", ")),
            }]
        }
        BuildOutcome::Clash { paths } => {
            let why = format!("conflicts in {}", paths.join(", "));
            vec![postponed(number, why, true)]
        }
        BuildOutcome::Infra { why } => vec![postponed(number, why, true)],
        BuildOutcome::Stopped => Vec::new(),
    }
}

fn is_member(attempt: &Attempt, event: &Event) -> bool {
    match event {
        Event::Clashed { slug, .. }
        | Event::Deferred { slug, .. }
        | Event::GaveWay { slug, .. }
        | Event::MemberFailed { slug, .. } => attempt.members.contains(slug),
        _ => true,
    }
}

fn postponed(attempt: u32, why: String, counted: bool) -> Event {
    Event::AttemptPostponed {
        attempt,
        why,
        counted,
    }
}

pub(super) fn gated(state: &State, number: u32, reds: u32, outcome: GateOutcome) -> Vec<Event> {
    let (Some(attempt), Some(run)) = (attempt(state, number), state.live()) else {
        return Vec::new();
    };
    let AttemptStage::Built(chain) = &attempt.stage else {
        return Vec::new();
    };
    let gate = super::merge::gate_of(state, run, attempt);
    let failed = state.merging.failed(&chain.tree, &gate);
    if failed.map_or(0, |failed| failed.times) != reds || state.merging.is_green(&chain.tree, &gate)
    {
        return Vec::new();
    }
    let gated = |red, gate_ms| {
        vec![Event::Gated {
            attempt: number,
            tree: chain.tree.clone(),
            gate,
            red,
            gate_ms,
        }]
    };
    match outcome {
        GateOutcome::Green { gate_ms } => gated(None, gate_ms),
        GateOutcome::Red {
            command,
            tail,
            gate_ms,
        } => gated(Some(Red { command, tail }), gate_ms),
        GateOutcome::Stopped => Vec::new(),
        GateOutcome::Infra { why } => vec![postponed(number, why, true)],
    }
}

pub(super) fn landed(state: &State, number: u32, outcome: LandOutcome) -> Vec<Event> {
    let Some(attempt) = attempt(state, number) else {
        return Vec::new();
    };
    let AttemptStage::Landing(chain) = &attempt.stage else {
        return Vec::new();
    };
    match outcome {
        LandOutcome::Done if attempt.what == Trial::Reconcile => {
            vec![Event::Reconciled { attempt: number }]
        }
        LandOutcome::Done => chain
            .steps
            .iter()
            .filter(|step| {
                let phase = state.features.get(&step.slug).map(|feature| &feature.phase);
                phase == Some(&Phase::Integrating { attempt: number })
            })
            .map(|step| Event::Merged {
                slug: step.slug.clone(),
                commit: step.candidate.commit.clone(),
                empty: step.candidate.commit == step.candidate.onto,
            })
            .collect(),
        LandOutcome::Moved { ground } => vec![Event::TipMoved { ground }],
        LandOutcome::Infra { why } => vec![postponed(number, why, true)],
    }
}

pub(super) fn rewound(state: &State, ground: Ground) -> Vec<Event> {
    if state.merging.rewinding.is_none() {
        return Vec::new();
    }
    let mut events: Vec<Event> = state
        .merging
        .unpublished
        .iter()
        .map(|(slug, _)| Event::Unlanded { slug: slug.clone() })
        .collect();
    events.push(Event::RolledBack { ground });
    events
}

pub(super) fn published(state: &State, number: u32, outcome: PublishOutcome) -> Vec<Event> {
    let Some(publish) = state.merging.publish.as_ref() else {
        return Vec::new();
    };
    if publish.number != number {
        return Vec::new();
    }
    let commit = publish.to.clone();
    match outcome {
        PublishOutcome::Done => vec![Event::Published { commit }],
        PublishOutcome::Beyond { ground } => {
            vec![Event::Published { commit }, Event::TipMoved { ground }]
        }
        PublishOutcome::Moved { ground } => vec![Event::TipMoved { ground }],
        PublishOutcome::Waiting { why } => vec![Event::PublishWaits { commit, why }],
    }
}
