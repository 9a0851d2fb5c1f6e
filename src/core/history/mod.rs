//! What happened in each run, and when: a fold over the journal's records.
//!
//! Beside the state, which knows how things stand, this tells how they came to: who held which slot, what the merge
//! queue tried, what was claimed, refused and landed, and which chain of work determined the end. Times are the wall
//! clock's as it stood at the end of the run. It must never decide anything, and nothing else may depend on it.

mod count;
mod critical;
mod figures;
mod lanes;
mod tell;

#[cfg(test)]
mod tests;

pub use critical::{CriticalStep, StepCause};
pub use figures::{AgentFigures, FeatureFigures, FirstClaim, Landing, Lesson, Refusal, over_runs};
pub use lanes::{Lane, lanes};
pub use tell::{histories, history_of, run_ids};

use super::view::View;
use crate::model::{Evidence, Oid, Red, RunId, Slug, Stamp, Trial, Usage};
use serde::Serialize;
use std::collections::BTreeMap;

/// What happened in one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunHistory {
    /// Its name.
    pub id: RunId,
    /// The branch features land on, in full.
    pub target: String,
    /// Slots.
    pub parallel: u32,
    /// When it began.
    pub started: Stamp,
    /// When its last record was made: its end, unless it was killed or still lives.
    pub last: Stamp,
    /// Its exit codes, most urgent first; `None`: it has not ended by itself.
    pub codes: Option<Vec<u8>>,
    /// When the machine slept.
    pub asleep: Vec<(Stamp, Stamp)>,
    /// Agent calls.
    pub iterations: u32,
    /// What they used.
    pub usage: Usage,
    /// What features did, in the order in which it began.
    pub spans: Vec<Span>,
    /// What the merge queue tried, in the order in which it began.
    pub attempts: Vec<AttemptSpan>,
    /// Each feature that this run did something for, or that is there.
    pub features: BTreeMap<Slug, FeatureFigures>,
    /// Each agent that was called, by profile and model.
    pub agents: BTreeMap<String, AgentFigures>,
    /// The chain of work that determined the end, first to last.
    pub critical: Vec<CriticalStep>,
}

impl RunHistory {
    /// How long it took, in milliseconds, asleep or awake.
    #[must_use]
    pub fn took_ms(&self) -> u64 {
        self.last.since_ms(self.started)
    }

    /// How long the machine slept meanwhile, in milliseconds.
    #[must_use]
    pub fn slept_ms(&self) -> u64 {
        let spans = self.asleep.iter();
        spans.map(|(from, to)| to.since_ms(*from)).sum()
    }

    /// Features that landed in it and stayed, in the order in which they did.
    #[must_use]
    pub fn landed(&self) -> Vec<(&Slug, &Landing)> {
        let features = self.features.iter();
        let mut landed: Vec<_> = features
            .filter_map(|(slug, figures)| Some((slug, figures.landed.as_ref()?)))
            .collect();
        landed.sort_by_key(|(_, landing)| landing.seq);
        landed
    }
}

/// A run's history, and how things stood at its end.
#[derive(Clone, Debug)]
pub struct Told {
    /// What happened.
    pub run: RunHistory,
    /// The picture at its end.
    pub view: View,
}

/// What one feature did for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Which feature.
    pub slug: Slug,
    /// From when.
    pub from: Stamp,
    /// Until when.
    pub to: Stamp,
    /// What it did.
    pub doing: Doing,
}

/// What a feature does that has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "doing", rename_all = "snake_case")]
pub enum Doing {
    /// Its worktree is being made ready.
    Preparing,
    /// An agent is at work on it.
    Iteration {
        /// In which iteration.
        number: u32,
        /// How that went.
        result: IterationResult,
    },
    /// It holds a slot and waits for its next iteration.
    Between,
    /// It has given its slot to others until its account can be used.
    Account,
    /// It has claimed to be done and waits for its turn to merge.
    Queued,
}

impl Doing {
    /// Whether a slot is taken meanwhile.
    #[must_use]
    pub fn holds_slot(self) -> bool {
        !matches!(self, Self::Account | Self::Queued)
    }
}

/// How an iteration went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum IterationResult {
    /// It did not end in this run.
    Open,
    /// It went one step further.
    Step,
    /// It claimed that the feature is done, and was taken at its word so far.
    Claimed,
    /// It claimed that the feature is done, and something was left half done.
    Refused,
    /// It asked a person.
    Blocked,
    /// The call failed or was ended.
    Failed,
}

/// What the merge queue tried, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptSpan {
    /// Number of the attempt.
    pub number: u32,
    /// What for.
    pub what: Trial,
    /// The features in it when it began.
    pub members: Vec<Slug>,
    /// When it began.
    pub from: Stamp,
    /// When its merges were made.
    pub built: Option<Stamp>,
    /// When it was verified.
    pub verified: Option<Stamp>,
    /// When it was over.
    pub to: Stamp,
    /// The tree that was judged.
    pub tree: Option<Oid>,
    /// What stood behind it, if it was verified.
    pub evidence: Option<Evidence>,
    /// What failed, if something did.
    pub red: Option<Red>,
    /// How long its gates took, in milliseconds.
    pub gate_ms: u64,
    /// What came of it.
    pub result: AttemptResult,
}

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptResult {
    /// The run ended before it did.
    Open,
    /// Its features landed, or what it asked was answered well.
    Green,
    /// What it tried failed.
    Red,
    /// Its members conflict with what has landed, or with each other.
    Conflict,
    /// It was tried again in halves.
    Split,
    /// It came to nothing through no fault of its members.
    Dropped,
}
