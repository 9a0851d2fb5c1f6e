//! Facts: what is journalled. Past tense, and never changed once written.

use super::{
    Candidate, FeatureSpec, IterationReport, Oid, RunId, Settings, Slug, Stamp, StopLevel,
    WorktreeName,
};
use serde::{Deserialize, Serialize};

/// One line of the journal: an event, when, and its number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Number of the event in this journal, from 1, without gaps.
    pub seq: u64,
    /// When, on the run's own clock.
    pub at: Stamp,
    /// What.
    pub event: Event,
}

/// A fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A run began. A run without a `RunEnded` was killed.
    RunStarted {
        /// Its name.
        run: RunId,
        /// What it was asked to do.
        settings: Box<Settings>,
        /// Full name of the branch features land on.
        target: String,
        /// Where it stood.
        tip: Oid,
    },
    /// Specs appeared, changed or vanished.
    BacklogChanged {
        /// New and changed ones.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        upserted: Vec<FeatureSpec>,
        /// Vanished ones.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        removed: Vec<Slug>,
    },
    /// A `.done` marker that this journal does not account for: the feature counts as landed.
    FoundDone {
        /// Whose.
        slug: Slug,
    },
    /// A feature went back to the queue from its beginning (its marker was deleted).
    Requeued {
        /// Which.
        slug: Slug,
    },
    /// A HALT file appeared.
    HaltSeen {
        /// Its first line.
        reason: String,
    },
    /// The HALT file is gone.
    HaltCleared,
    /// The run was asked to stop.
    StopRequested {
        /// How hard.
        level: StopLevel,
    },
    /// A feature took a slot and a worktree.
    Started {
        /// Which.
        slug: Slug,
        /// Where.
        worktree: WorktreeName,
    },
    /// Its worktree stands ready.
    Prepared {
        /// Whose.
        slug: Slug,
        /// What its work builds on.
        base: Oid,
    },
    /// Its worktree could not be made ready; the slot is free again.
    PrepareFailed {
        /// Whose.
        slug: Slug,
        /// Whose fault.
        kind: InfraKind,
        /// What went wrong.
        why: String,
    },
    /// The agent is about to be called. Journalled before it is.
    IterationStarted {
        /// Of which feature.
        slug: Slug,
        /// Which: from 1, never reused.
        iteration: u32,
    },
    /// The agent's call ended.
    IterationEnded {
        /// Of which feature.
        slug: Slug,
        /// Which.
        iteration: u32,
        /// What came of it.
        report: Box<IterationReport>,
    },
    /// harness died during the iteration; what it left in the worktree is kept.
    IterationLost {
        /// Of which feature.
        slug: Slug,
        /// Which.
        iteration: u32,
    },
    /// The agent says the feature is done; it joins the merge queue and frees its slot.
    Claimed {
        /// Which.
        slug: Slug,
        /// One line.
        summary: String,
    },
    /// The agent needs something from a person.
    Blocked {
        /// Which.
        slug: Slug,
        /// What.
        question: String,
    },
    /// A person answered.
    Unblocked {
        /// Which.
        slug: Slug,
        /// The answer.
        answer: String,
    },
    /// A circuit breaker opened.
    Tripped {
        /// Which feature's.
        slug: Slug,
        /// `stuck`, `idle` or `repeat`.
        breaker: String,
        /// What it saw.
        why: String,
    },
    /// The feature was given up for this run: its cap is used up or its set-up keeps failing.
    Failed {
        /// Which.
        slug: Slug,
        /// What.
        why: SkipReason,
    },
    /// A person put it back in the queue.
    Retried {
        /// Which.
        slug: Slug,
    },
    /// A candidate is about to be built and gated.
    IntegrationStarted {
        /// Of which feature.
        slug: Slug,
        /// Which attempt: from 1, never reused.
        attempt: u32,
    },
    /// The candidate passed; the target is about to be moved to it.
    Verified {
        /// Of which feature.
        slug: Slug,
        /// Which attempt.
        attempt: u32,
        /// The commit that passed.
        candidate: Candidate,
        /// Wall time of the gate in milliseconds.
        gate_ms: u64,
    },
    /// The candidate failed; the claim is removed and the feature iterates.
    Rejected {
        /// Which feature.
        slug: Slug,
        /// Which attempt.
        attempt: u32,
        /// The command that failed.
        command: String,
        /// The tail of its output.
        tail: String,
        /// Wall time of the gate in milliseconds.
        gate_ms: u64,
    },
    /// The integration came to nothing through no fault of the feature; it stays in the queue.
    IntegrationPostponed {
        /// Which feature.
        slug: Slug,
        /// Which attempt.
        attempt: u32,
        /// Why.
        why: String,
        /// Whether it counts towards giving up (git, disk), or not (target moved, run stopped).
        counted: bool,
    },
    /// The feature's commit is in the target.
    Merged {
        /// Which feature.
        slug: Slug,
        /// The target's new value.
        commit: Oid,
    },
    /// Done but not merged: a person must act, or the next run tries again.
    Parked {
        /// Which.
        slug: Slug,
        /// Why.
        why: ParkReason,
    },
    /// All writes up to and including this number are on disk.
    Written {
        /// Number of the last write.
        through: u64,
    },
    /// Free worktrees and merged branches were removed.
    Tidied,
    /// The run ended.
    RunEnded {
        /// The exit code.
        code: u8,
        /// Every condition that holds, in order of precedence.
        codes: Vec<u8>,
    },
}

/// Whose fault a failure outside the agent was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InfraKind {
    /// A setup command of the user failed.
    Setup,
    /// git, disk or spawn failed.
    System,
}

/// Why a feature was given up for this run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum SkipReason {
    /// `max_iterations_per_feature` is used up.
    IterationsUsedUp {
        /// The cap.
        cap: u32,
    },
    /// Its worktree or setup keeps failing.
    Setup {
        /// The last failure.
        text: String,
    },
    /// The agent could not be started, again and again.
    Spawn {
        /// The last failure.
        text: String,
    },
    /// Its spec vanished while it was being worked on.
    SpecRemoved,
}

/// Why a done feature is not merged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum ParkReason {
    /// It and the target changed the same places.
    Conflict {
        /// Conflicted paths.
        paths: Vec<String>,
    },
    /// The user's checkout has changes in the same files, or is in the middle of something.
    Checkout {
        /// What git said.
        text: String,
        /// The verified commit that waits.
        commit: Oid,
    },
    /// git or the disk kept failing.
    Infra {
        /// The last failure.
        text: String,
    },
}
