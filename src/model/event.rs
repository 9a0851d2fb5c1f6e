//! Facts: what is journalled. Past tense, and never changed once written.
//!
//! A journal outlives the harness that wrote it. What is journalled may gain kinds, and fields that may be absent; nothing
//! is renamed, removed or given another meaning within a version of the journal. Whoever reads refuses what it does not
//! know, so that an older harness never takes half of a fact for the whole. This file never says what a fact does.

use super::bare::bare;
use super::{
    AgentChoice, Chain, Evidence, FeatureSpec, Finding, GateId, Ground, InfraKind, IterationReport,
    Oid, ParkReason, Red, RunId, Settings, SkipReason, Slug, Stamp, StopLevel, Trial, Usage,
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
#[serde(tag = "event", rename_all = "snake_case", deny_unknown_fields)]
pub enum Event {
    /// A run began. A run without a `RunEnded` was killed.
    RunStarted {
        /// Its name.
        run: RunId,
        /// What it was asked to do.
        settings: Box<Settings>,
        /// Full name of the branch features land on.
        target: String,
        /// Where it and the integration ref stood.
        ground: Ground,
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
    /// A feature that waited to be merged, or had landed and was not published, has lost its branch: a person
    /// dropped it. It begins anew.
    Abandoned {
        /// Which.
        slug: Slug,
    },
    /// A HALT file appeared.
    HaltSeen {
        /// Its first line.
        reason: String,
    },
    /// The HALT file is gone.
    #[serde(deserialize_with = "bare")]
    HaltCleared,
    /// The machine is short of something: nothing is started while anything runs.
    Strained {
        /// Of what, and how much; `None`: no longer.
        why: Option<String>,
    },
    /// The wall clock does not read what this journal's clock makes of it: it was set.
    ClockSet {
        /// What it reads.
        wall: Stamp,
    },
    /// The machine slept; the time is part of the journal's.
    Slept {
        /// How long, in milliseconds.
        slept_ms: u64,
    },
    /// The run's time is up: what is started now could not land by its end.
    #[serde(deserialize_with = "bare")]
    TimeUp,
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
        /// The profile that stands in for the feature's own, whose account cannot be used.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        instead: Option<String>,
        /// The rung of the ladder that it is on; `None`: its own agent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rung: Option<AgentChoice>,
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
        /// What it had used by what it printed, if that says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        usage: Option<Usage>,
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
        /// `stuck`, `idle`, `repeat` or `tampered`.
        breaker: String,
        /// What it saw.
        why: String,
    },
    /// A circuit breaker opened, and the feature goes on with the next rung of the ladder. The breaker is half open: the
    /// next iteration closes it or opens it again.
    Escalated {
        /// Which feature's.
        slug: Slug,
        /// `stuck`, `idle` or `repeat`.
        breaker: String,
        /// What it saw.
        why: String,
        /// Which rung, from 1.
        rung: u32,
        /// What stands there.
        to: AgentChoice,
    },
    /// The feature was given up for this run: its cap is used up or its set-up keeps failing.
    Failed {
        /// Which.
        slug: Slug,
        /// What.
        why: SkipReason,
    },
    /// A person took back what the feature landed.
    Undone {
        /// Which.
        slug: Slug,
        /// The commit that took it back; `None`: nothing of it was left.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        commit: Option<Oid>,
        /// Whether it is to be done again.
        requeue: bool,
        /// The person's reason; may be empty.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        why: String,
    },
    /// A person put it back in the queue.
    Retried {
        /// Which.
        slug: Slug,
    },
    /// A person wants it left out. What is under way for it is stopped first.
    Skipped {
        /// Which.
        slug: Slug,
        /// The person's reason; may be empty.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        why: String,
    },
    /// A person has reviewed it: it may land as it stands.
    Approved {
        /// Which.
        slug: Slug,
        /// The commit of its branch that the person has seen.
        tip: Oid,
    },
    /// A chain of merges is about to be built and gated.
    AttemptStarted {
        /// Which attempt: from 1, never reused.
        attempt: u32,
        /// What for.
        what: Trial,
        /// The commit it builds on.
        onto: Oid,
        /// The features in it, in order.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        members: Vec<Slug>,
    },
    /// The chain was built. Without steps (and not of the base) there is nothing to gate.
    Built {
        /// Which attempt.
        attempt: u32,
        /// The chain.
        chain: Chain,
    },
    /// A member conflicts with what has landed: its merge goes back to its agent.
    Clashed {
        /// Which feature.
        slug: Slug,
        /// In which attempt.
        attempt: u32,
        /// The tip it conflicts with.
        onto: Oid,
        /// Conflicted paths.
        paths: Vec<String>,
    },
    /// A member conflicts only with others in flight: it waits for the next chain, uncharged.
    Deferred {
        /// Which feature.
        slug: Slug,
        /// In which attempt.
        attempt: u32,
    },
    /// A member changes paths on which another has the right of way: it waits for that one, uncharged.
    GaveWay {
        /// Which feature.
        slug: Slug,
        /// In which attempt.
        attempt: u32,
        /// To whom.
        to: Slug,
    },
    /// The time of a feature's right of way is up.
    RightOfWayEnded {
        /// Whose.
        slug: Slug,
    },
    /// A gate ended.
    Gated {
        /// Of which attempt.
        attempt: u32,
        /// The tree it judged.
        tree: Oid,
        /// The gate it had to pass.
        gate: GateId,
        /// What failed; `None`: it passed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        red: Option<Red>,
        /// Wall time in milliseconds.
        gate_ms: u64,
    },
    /// A red chain of several is tried again in halves.
    Split {
        /// Which attempt.
        attempt: u32,
    },
    /// The chain has green evidence; the integration ref is about to be moved to its end.
    Verified {
        /// Which attempt.
        attempt: u32,
        /// The commit.
        commit: Oid,
        /// What the gate said of it compared with what it builds on.
        how: Evidence,
    },
    /// The candidate of one feature failed: the claim is removed and the feature iterates.
    Rejected {
        /// Which feature.
        slug: Slug,
        /// Which attempt.
        attempt: u32,
        /// The tip it was tried on.
        onto: Oid,
        /// What failed.
        red: Red,
        /// Whether others landed since its work began, so that the merge itself may be what fails.
        merged: bool,
    },
    /// The candidate failed as what it builds on does: the feature is not charged and waits until that
    /// changes.
    Held {
        /// Which feature.
        slug: Slug,
        /// Which attempt.
        attempt: u32,
    },
    /// The attempt came to nothing through no fault of its members; they stay in the queue.
    AttemptPostponed {
        /// Which attempt.
        attempt: u32,
        /// Why.
        why: String,
        /// Whether it counts towards giving up (git, disk), or not (the run was stopped).
        counted: bool,
    },
    /// One member of an attempt could not be tried: git or the disk failed.
    MemberFailed {
        /// Which feature.
        slug: Slug,
        /// Which attempt.
        attempt: u32,
        /// Why.
        why: String,
    },
    /// The feature's commit has landed: it is in the integration ref.
    Merged {
        /// Which feature.
        slug: Slug,
        /// The commit that brought it.
        commit: Oid,
        /// Whether it changes nothing: the commit is what stood there already, somebody else's.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        empty: bool,
    },
    /// The target and the integration ref stand elsewhere than was known.
    TipMoved {
        /// Where.
        ground: Ground,
    },
    /// The user's commits and what had landed were merged.
    Reconciled {
        /// Which attempt.
        attempt: u32,
    },
    /// The user's commits and what had landed do not go together: what was not published is to be queued
    /// again, on top of the user's commits.
    ReconcileFailed {
        /// Which attempt.
        attempt: u32,
        /// Why.
        why: String,
    },
    /// A landed feature is not in the integration ref any more, and is queued again.
    Unlanded {
        /// Which feature.
        slug: Slug,
    },
    /// The integration ref stands at the user's commits.
    RolledBack {
        /// Where the target stands.
        ground: Ground,
    },
    /// The target is about to be moved to what has landed.
    PublishStarted {
        /// To this commit.
        commit: Oid,
    },
    /// The target was moved.
    Published {
        /// Where it stands.
        commit: Oid,
    },
    /// The target could not be moved; it is tried again later.
    PublishWaits {
        /// To this commit.
        commit: Oid,
        /// What is in the way, and the command that finishes it.
        why: String,
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
    /// Something that a person should know came to light.
    Noticed {
        /// What.
        what: Finding,
    },
    /// Free worktrees and merged branches were removed.
    #[serde(deserialize_with = "bare")]
    Tidied,
    /// The run ended.
    RunEnded {
        /// The exit code.
        code: u8,
        /// Every condition that holds, in order of precedence.
        codes: Vec<u8>,
    },
}
