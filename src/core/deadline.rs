//! The end of a run's time: when nothing is started any more, because it could not land by then.
//!
//! How long things take is known from the iterations and gates of this journal, whichever run they belong to. That time is
//! up is a fact like others, so that nothing else has to know what time it is. What is done by then still lands.

use super::state::{Run, State};
use crate::model::{Ending, Event, Stamp};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// So many of the last iterations, and gates, say how long the next one takes.
const REMEMBERED: usize = 9;

/// How long iterations and gates took of late, in milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Paces {
    iterations: VecDeque<u64>,
    gates: VecDeque<u64>,
}

impl Paces {
    /// Takes a fact in.
    pub(super) fn hear(&mut self, event: &Event) {
        match event {
            Event::IterationEnded { report, .. } => {
                if matches!(report.ending, Ending::Exited { .. }) {
                    remember(&mut self.iterations, report.elapsed_ms);
                }
            }
            Event::Gated { gate_ms, .. } => remember(&mut self.gates, *gate_ms),
            _ => {}
        }
    }

    /// One more iteration, and the gate after it; 0 when nobody can say.
    fn expected_ms(&self) -> u64 {
        median(&self.iterations).saturating_add(median(&self.gates))
    }
}

fn remember(times: &mut VecDeque<u64>, ms: u64) {
    if times.len() == REMEMBERED {
        times.pop_front();
    }
    times.push_back(ms);
}

fn median(times: &VecDeque<u64>) -> u64 {
    let mut sorted: Vec<u64> = times.iter().copied().collect();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or(0)
}

/// From when on nothing can be started that would land in time; `None`: time does not matter, or is up already.
fn last_start(state: &State, run: &Run) -> Option<Stamp> {
    let deadline = run.settings.until.as_ref().filter(|_| !run.time_up)?;
    let expected = state.paces.expected_ms();
    Some(Stamp(deadline.at.0.saturating_sub(expected)))
}

/// That the run's time is up, once.
pub(super) fn time_up(state: &State, run: &Run, now: Stamp) -> Option<Event> {
    last_start(state, run)
        .filter(|last| *last <= now)
        .map(|_| Event::TimeUp)
}

/// When a run must be awake to say so.
pub(super) fn wake(state: &State, run: &Run, now: Stamp) -> Option<Stamp> {
    last_start(state, run).filter(|last| *last > now)
}

impl State {
    /// The end of its time that a killed run was given: who goes on with that run's work has no more.
    #[must_use]
    pub fn cut_off_until(&self) -> Option<&crate::model::Deadline> {
        self.live()?.settings.until.as_ref()
    }
}
