//! From what was observed to what is true: one input in, the facts it amounts to out.
//!
//! Level-triggered: an observation that does not fit the state (late, doubled, about an older
//! iteration) amounts to nothing. What follows from the facts is for [`schedule`](super::schedule).

use super::decide_merge::{built, gated, landed, published, rewound, run_begins};
use super::feature::Phase;
use super::queue::AttemptStage;
use super::state::State;
use crate::model::{
    Backlog, Command, Event, FeatureSpec, Input, Oid, ParkReason, Slug, WriteJob, Writing,
};
use std::collections::BTreeSet;

/// The facts an input amounts to, given what is known. They must be journalled and applied in order.
#[must_use]
pub fn decide(state: &State, input: Input) -> Vec<Event> {
    match input {
        Input::RunBegins {
            run,
            settings,
            target,
            ground,
            lost,
            gone,
        } => run_begins(state, run, settings, target, ground, &lost, &gone),
        Input::Looked(backlog) => looked(state, backlog),
        Input::Prepared {
            slug,
            attempt,
            worktree,
            base,
        } => {
            let own = state.worktree(&slug) == Some(worktree);
            let fits = own && is_preparing(state, &slug, attempt);
            one(fits, Event::Prepared { slug, base })
        }
        Input::PrepareFailed {
            slug,
            attempt,
            kind,
            why,
        } => {
            let fits = is_preparing(state, &slug, attempt);
            one(fits, Event::PrepareFailed { slug, kind, why })
        }
        Input::IterationEnded {
            slug,
            iteration,
            report,
        } => if_running(state, slug, iteration, |slug| Event::IterationEnded {
            slug,
            iteration,
            report,
        }),
        Input::IterationLost {
            slug,
            iteration,
            usage,
        } => if_running(state, slug, iteration, |slug| Event::IterationLost {
            slug,
            iteration,
            usage,
        }),
        Input::Built { attempt, outcome } => built(state, attempt, outcome),
        Input::Gated {
            attempt,
            reds,
            outcome,
        } => gated(state, attempt, reds, outcome),
        Input::Landed { attempt, outcome } => landed(state, attempt, outcome),
        Input::Rewound { ground } => rewound(state, ground),
        Input::Published { number, outcome } => published(state, number, outcome),
        Input::Written { through } => one(
            through > state.writes_done && through <= state.writes_made,
            Event::Written { through },
        ),
        Input::Tidied => {
            let fits = state.live().is_some_and(|run| !run.tidied);
            one(fits, Event::Tidied)
        }
        Input::Tick => Vec::new(),
        other => from_outside(state, other),
    }
}

/// What the machine does, or a person.
fn from_outside(state: &State, input: Input) -> Vec<Event> {
    match input {
        Input::Strained { why } => {
            let fits = state.live().is_some_and(|run| run.strain != why);
            one(fits, Event::Strained { why })
        }
        Input::ClockSet { wall } => vec![Event::ClockSet { wall }],
        Input::Slept { slept_ms } => {
            let fits = state.live().is_some();
            one(fits, Event::Slept { slept_ms })
        }
        of_a_person => asked(state, of_a_person),
    }
}

/// What a person did or wants.
fn asked(state: &State, input: Input) -> Vec<Event> {
    match input {
        Input::Commanded(command) => commanded(state, command),
        Input::Undone {
            slug,
            commit,
            requeue,
            why,
        } => {
            let fits = state.is_merged(&slug);
            let event = Event::Undone {
                slug,
                commit,
                requeue,
                why,
            };
            one(fits, event)
        }
        Input::Stop(level) => {
            let fits = state.live().is_some_and(|run| run.stop < Some(level));
            one(fits, Event::StopRequested { level })
        }
        _ => Vec::new(),
    }
}

/// Of an iteration only what is told while it runs counts.
fn if_running(
    state: &State,
    slug: Slug,
    iteration: u32,
    event: impl FnOnce(Slug) -> Event,
) -> Vec<Event> {
    match is_running(state, &slug, iteration) {
        true => vec![event(slug)],
        false => Vec::new(),
    }
}

fn one(fits: bool, event: Event) -> Vec<Event> {
    if fits { vec![event] } else { Vec::new() }
}

fn phase<'a>(state: &'a State, slug: &Slug) -> Option<&'a Phase> {
    state.features.get(slug).map(|feature| &feature.phase)
}

fn is_preparing(state: &State, slug: &Slug, attempt: u32) -> bool {
    state.features.get(slug).is_some_and(|feature| {
        feature.phase == Phase::Preparing && feature.prepare_attempts == attempt
    })
}

fn is_running(state: &State, slug: &Slug, iteration: u32) -> bool {
    state
        .features
        .get(slug)
        .is_some_and(|feature| feature.running() == Some(iteration))
}

fn looked(state: &State, backlog: Backlog) -> Vec<Event> {
    let mut events = Vec::new();
    if backlog.halt != state.halt {
        events.push(match backlog.halt {
            Some(reason) => Event::HaltSeen { reason },
            None => Event::HaltCleared,
        });
    }
    // New features count for the markers below, in the same look.
    let mut arrived = BTreeSet::new();
    if let Some(features) = backlog.features {
        let (upserted, removed) = changes(state, features);
        arrived.extend(upserted.iter().map(|spec| spec.slug.clone()));
        if !upserted.is_empty() || !removed.is_empty() {
            events.push(Event::BacklogChanged { upserted, removed });
        }
    }
    if let Some(done) = backlog.done {
        for (slug, feature) in &state.features {
            if feature.is_merged() && feature.marker && !done.contains(slug) {
                events.push(Event::Requeued { slug: slug.clone() });
            }
        }
        for slug in done {
            let idle = match phase(state, &slug) {
                // A feature that is being worked on is left alone; it is looked at again.
                Some(phase) => matches!(
                    phase,
                    Phase::Pending
                        | Phase::Queued
                        | Phase::Blocked { .. }
                        | Phase::Tripped { .. }
                        | Phase::Parked { .. }
                        | Phase::Failed { .. }
                ),
                None => arrived.contains(&slug),
            };
            if idle && !may_have_landed(state, &slug) && !state.is_marker_going(&slug) {
                events.push(Event::FoundDone { slug });
            }
        }
    }
    events
}

/// Whether it is in a landing that failed, and may have landed: then it is done by its merge, and has yet to be published.
fn may_have_landed(state: &State, slug: &Slug) -> bool {
    let in_the_queue = matches!(
        phase(state, slug),
        Some(
            Phase::Queued
                | Phase::Integrating { .. }
                | Phase::Parked {
                    why: ParkReason::Infra { .. }
                }
        )
    );
    state.merging.unheard.contains(slug) && in_the_queue
}

/// Whether it is being landed.
fn is_landing(state: &State, slug: &Slug) -> bool {
    let Some(Phase::Integrating { attempt }) = phase(state, slug) else {
        return false;
    };
    let attempt = state.merging.attempts.get(attempt);
    attempt.is_some_and(|it| matches!(it.stage, AttemptStage::Landing(_)))
}

fn changes(state: &State, features: Vec<FeatureSpec>) -> (Vec<FeatureSpec>, Vec<Slug>) {
    let now: BTreeSet<Slug> = features.iter().map(|spec| spec.slug.clone()).collect();
    let upserted = features
        .into_iter()
        .filter(|spec| {
            state
                .features
                .get(&spec.slug)
                .is_none_or(|known| !known.listed || known.spec != *spec)
        })
        .collect();
    let removed = state
        .features
        .iter()
        .filter(|(slug, feature)| feature.listed && !now.contains(*slug))
        .map(|(slug, _)| slug.clone())
        .collect();
    (upserted, removed)
}

fn commanded(state: &State, command: Command) -> Vec<Event> {
    match command {
        Command::Retry { slug } => {
            let feature = state.features.get(&slug);
            let fits = feature.is_some_and(|feature| feature.is_halted() || feature.skip.is_some());
            one(fits, Event::Retried { slug })
        }
        Command::Unblock { slug, answer } => {
            let fits = state.asks_a_person(&slug);
            one(fits, Event::Unblocked { slug, answer })
        }
        Command::Skip { slug, why } => {
            let fits = state.may_be_skipped(&slug);
            one(fits, Event::Skipped { slug, why })
        }
        Command::Approve { slug, tip } => {
            let fits = state.reviewed(&slug) == Some(&tip);
            one(fits, Event::Approved { slug, tip })
        }
    }
}

impl State {
    /// Whether it waits for words of a person: blocked, or ready to be reviewed.
    #[must_use]
    pub fn asks_a_person(&self, slug: &Slug) -> bool {
        let is_blocked = matches!(phase(self, slug), Some(Phase::Blocked { .. }));
        is_blocked || self.reviewed(slug).is_some()
    }

    /// Where the branch of a feature stood that waits for a person's review.
    #[must_use]
    pub fn reviewed(&self, slug: &Slug) -> Option<&Oid> {
        self.features.get(slug)?.ready_for_review()
    }

    /// Whether a person can leave it out: it is there, has not landed as far as is known, and is not left out already.
    #[must_use]
    pub fn may_be_skipped(&self, slug: &Slug) -> bool {
        let Some(feature) = self.features.get(slug) else {
            return false;
        };
        let gone = !feature.listed && feature.phase == Phase::Pending;
        let left_out = feature.skip.is_some() || feature.is_left_out();
        let lands = is_landing(self, slug) || may_have_landed(self, slug);
        !gone && !left_out && !feature.is_merged() && !lands
    }

    /// Whether a person wants it left out, and something is still under way for it.
    #[must_use]
    pub fn is_being_left_out(&self, slug: &Slug) -> bool {
        let feature = self.features.get(slug);
        feature.is_some_and(|feature| feature.skip.is_some())
    }

    /// Whether a report of this iteration still counts.
    #[must_use]
    pub fn awaits_iteration(&self, slug: &Slug, iteration: u32) -> bool {
        is_running(self, slug, iteration)
    }

    /// Whether the feature's marker is still to be removed: what it says is no longer so.
    fn is_marker_going(&self, slug: &Slug) -> bool {
        let going =
            |job: &WriteJob| matches!(&job.what, Writing::NotDone { slug: whose } if whose == slug);
        self.writes.iter().any(going)
    }

    /// Markers of features that are being worked on: the caller shows them again at its next look.
    #[must_use]
    pub fn has_unsettled_marker(&self, done: &BTreeSet<Slug>) -> bool {
        self.in_slots
            .iter()
            .chain(self.integrating.iter())
            .any(|slug| done.contains(slug))
    }
}
