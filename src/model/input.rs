//! Observations: everything that reaches `core` from outside.

use super::bare::bare;
use super::{
    AgentFailure, Command, FeatureSpec, InfraKind, Oid, PromptFigures, Quota, RunId, Settings,
    Slug, Stamp, Usage, WorktreeName,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Something that was observed. Late, doubled and lost observations must be harmless.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A run begins (or begins again after a crash).
    RunBegins {
        /// Its name.
        run: RunId,
        /// What it was asked to do.
        settings: Box<Settings>,
        /// Full name of the branch features land on: `refs/heads/main`.
        target: String,
        /// Where the integration ref and the target stand.
        ground: Ground,
        /// Features that the journal calls landed but not published, and that are in neither.
        lost: Vec<Slug>,
        /// Features that wait to be merged, or are among the lost, and have no branch any more.
        gone: Vec<Slug>,
    },
    /// The user's files were looked at.
    Looked(Backlog),
    /// A worktree stands ready on the feature's branch and its setup commands have passed.
    Prepared {
        /// Whose.
        slug: Slug,
        /// Which time it was asked for.
        attempt: u32,
        /// Which.
        worktree: WorktreeName,
        /// The commit the feature's work builds on: the merge base of its branch and the target.
        base: Oid,
    },
    /// Making the worktree or running its setup failed.
    PrepareFailed {
        /// Whose.
        slug: Slug,
        /// Which time it was asked for.
        attempt: u32,
        /// Whose fault.
        kind: InfraKind,
        /// What went wrong, with the tail of the output.
        why: String,
    },
    /// An iteration ended, its process tree is dead and its snapshot is taken.
    IterationEnded {
        /// Of which feature.
        slug: Slug,
        /// Which.
        iteration: u32,
        /// What came of it.
        report: Box<IterationReport>,
    },
    /// An iteration that the journal calls running is not running (its harness died).
    IterationLost {
        /// Of which feature.
        slug: Slug,
        /// Which.
        iteration: u32,
        /// What it had used by what it printed, if that says so.
        usage: Option<Usage>,
    },
    /// An attempt's chain of merges was built.
    Built {
        /// Which attempt.
        attempt: u32,
        /// What came of it.
        outcome: BuildOutcome,
    },
    /// A gate ended.
    Gated {
        /// Of which attempt.
        attempt: u32,
        /// How often its tree had failed before: which try this was.
        reds: u32,
        /// The verdict.
        outcome: GateOutcome,
    },
    /// The integration ref was (or was not) moved to what passed.
    Landed {
        /// Which attempt.
        attempt: u32,
        /// What happened.
        outcome: LandOutcome,
    },
    /// The integration ref was set back onto the target.
    Rewound {
        /// Where the target stood.
        ground: Ground,
    },
    /// The target was (or was not) moved to the integration ref.
    Published {
        /// Which move this was.
        number: u32,
        /// What happened.
        outcome: PublishOutcome,
    },
    /// All writes up to and including this number are in their files and synced.
    Written {
        /// Number of the last write.
        through: u64,
    },
    /// Free worktrees, the gate's worktree and merged branches are gone.
    Tidied,
    /// The machine is short of something, or no longer.
    Strained {
        /// Of what, and how much; `None`: no longer.
        why: Option<String>,
    },
    /// The wall clock was set; see [`Event::ClockSet`](super::Event::ClockSet).
    ClockSet {
        /// What it reads.
        wall: Stamp,
    },
    /// The machine slept.
    Slept {
        /// How long, in milliseconds.
        slept_ms: u64,
    },
    /// A person gave a command.
    Commanded(Command),
    /// A person took back what a feature landed; see [`Event::Undone`](super::Event::Undone).
    Undone {
        /// Which.
        slug: Slug,
        /// The commit that took it back.
        commit: Option<Oid>,
        /// Whether it is to be done again.
        requeue: bool,
        /// The person's reason.
        why: String,
    },
    /// A signal asks the run to stop.
    Stop(StopLevel),
    /// Nothing happened but time.
    Tick,
}

/// What the user's files say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Every feature; `None` when nothing changed since the last look.
    pub features: Option<Vec<FeatureSpec>>,
    /// Features that have a `.done` marker; `None` when nothing changed since the last look.
    pub done: Option<BTreeSet<Slug>>,
    /// First line of the HALT file, if there is one.
    pub halt: Option<String>,
}

/// What came of one iteration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IterationReport {
    /// How the agent's process ended.
    pub ending: Ending,
    /// Wall time of the agent's process in milliseconds.
    pub elapsed_ms: u64,
    /// The progress note from the outbox; capped.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// The agent's final message; capped.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// One-line lessons from the outbox; capped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lessons: Vec<String>,
    /// The done claim: one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done: Option<String>,
    /// Why harness does not take the done claim: something was left half done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// What it changed that is not its own, in the repository or in the user's checkout; one line. Only where nobody
    /// else can have done it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tampered: Option<String>,
    /// What the agent is blocked on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked: Option<String>,
    /// The agent's own word that the call failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<AgentFailure>,
    /// The feature's branch after the snapshot; `None` when no snapshot could be taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tip: Option<Oid>,
    /// Whether the tree of `tip` differs from the tree before the iteration.
    pub changed: bool,
    /// What became of the merge that was this iteration's task, if one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merge: Option<MergeVerdict>,
    /// Tokens and money, where the agent reports them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// What the agent was told, in figures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<PromptFigures>,
    /// What the agent calls the conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// How much of its account's limits is used, where the agent reports that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quota: Vec<Quota>,
}

/// How an agent's process ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "how", rename_all = "snake_case", deny_unknown_fields)]
pub enum Ending {
    /// By itself, with this exit code.
    Exited {
        /// 0 to 255.
        code: i32,
    },
    /// By a signal that harness did not send.
    Signalled {
        /// The signal's number.
        signal: i32,
    },
    /// harness killed it: the iteration's time was up.
    #[serde(deserialize_with = "bare")]
    TimedOut,
    /// harness killed it: no output for too long.
    #[serde(deserialize_with = "bare")]
    IdleTimedOut,
    /// harness killed it: it used more than it may.
    OverLimit {
        /// Which limit, and by how much.
        what: String,
    },
    /// harness killed it because the run was told to stop.
    #[serde(deserialize_with = "bare")]
    Stopped,
    /// It never ran; nothing the feature did.
    NotStarted {
        /// What the system said.
        why: String,
    },
}

impl Ending {
    /// Whether harness ended it. Then nothing it claimed counts.
    #[must_use]
    pub fn killed_by_us(&self) -> bool {
        matches!(
            self,
            Self::TimedOut | Self::IdleTimedOut | Self::OverLimit { .. } | Self::Stopped
        )
    }
}

/// Where the branches that matter stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ground {
    /// The integration ref: what has landed.
    pub tip: Oid,
    /// Its tree.
    pub tree: Oid,
    /// The target: what the user sees.
    pub target: Oid,
    /// How the two relate.
    pub relation: Relation,
}

/// How the target relates to the integration ref.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Relation {
    /// The integration ref is at the target, or can be reached from it by fast-forward.
    #[default]
    Behind,
    /// The target has commits that the integration ref lacks, on top of what was published.
    Ahead,
    /// The target no longer holds what was published: its history was rewritten.
    Rewritten,
}

/// A merge of a feature onto a tip, built without touching any work tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Candidate {
    /// The commit to publish. Equal to `onto` when the feature changes nothing.
    pub commit: Oid,
    /// Its tree.
    pub tree: Oid,
    /// The tip it was built on.
    pub onto: Oid,
    /// The feature's branch it contains.
    pub branch_tip: Oid,
    /// The tree of that branch: equal to `tree` when nothing else landed since the branch began.
    pub branch_tree: Oid,
}

/// One feature's merge in a chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Whose.
    pub slug: Slug,
    /// The merge.
    pub candidate: Candidate,
}

/// A chain of merges, one upon the other; what is gated and landed is its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chain {
    /// The commit it begins on.
    pub onto: Oid,
    /// That commit's tree.
    pub onto_tree: Oid,
    /// Its last commit; `onto` when it has no steps.
    pub commit: Oid,
    /// That commit's tree.
    pub tree: Oid,
    /// The merges, first to last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
}

/// What came of building a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BuildOutcome {
    /// It was built of those members that could be merged.
    Built {
        /// The chain.
        chain: Chain,
        /// Members that conflict with what has landed, and the paths.
        conflicts: Vec<(Slug, Vec<String>)>,
        /// Members that conflict only with others in flight; they wait for the next chain.
        deferred: Vec<Slug>,
        /// Members that change paths on which another has the right of way, and that one.
        yielded: Vec<(Slug, Slug)>,
        /// Members that could not be tried: git or the disk failed.
        failed: Vec<(Slug, String)>,
    },
    /// The target has moved beyond what was published and can simply be followed.
    Moved {
        /// Where to.
        ground: Ground,
    },
    /// What has landed conflicts with the commits that the user made meanwhile.
    Clash {
        /// Conflicted paths.
        paths: Vec<String>,
    },
    /// Nothing to do with any feature: git, disk.
    Infra {
        /// What went wrong.
        why: String,
    },
    /// It was stopped half-way because the run is ending.
    Stopped,
}

/// What came of a gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GateOutcome {
    /// It passed.
    Green {
        /// Wall time in milliseconds.
        gate_ms: u64,
    },
    /// A verify command failed.
    Red {
        /// The command.
        command: String,
        /// The tail of its output.
        tail: String,
        /// Wall time in milliseconds.
        gate_ms: u64,
    },
    /// It was stopped half-way because the run is ending or its result is no longer wanted.
    Stopped,
    /// Nothing to do with any feature: git, disk, spawn.
    Infra {
        /// What went wrong.
        why: String,
    },
}

/// What came of moving the integration ref.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LandOutcome {
    /// It stands at the chain's end (or beyond).
    Done,
    /// It is not where the chain begins.
    Moved {
        /// Where it stands.
        ground: Ground,
    },
    /// Nothing to do with any feature: git, disk.
    Infra {
        /// What went wrong.
        why: String,
    },
}

/// What came of a merge that was laid into a feature's worktree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case", deny_unknown_fields)]
pub enum MergeVerdict {
    /// The feature's branch contains what landed, and nothing speaks against how.
    #[serde(deserialize_with = "bare")]
    Resolved,
    /// It does not: the branch stands where it stood, apart from commits that are no part of the merge.
    Unresolved {
        /// Why, a sentence each, for the next prompt.
        findings: Vec<String>,
    },
}

/// What came of moving the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublishOutcome {
    /// The target stands at the commit.
    Done,
    /// The target has moved to a place that holds the commit and more.
    Beyond {
        /// Where it stands; the integration ref has followed.
        ground: Ground,
    },
    /// The target has commits of its own, or its history was rewritten.
    Moved {
        /// Where it stands.
        ground: Ground,
    },
    /// Something of the user's is in the way; it is tried again later.
    Waiting {
        /// What, and the command that finishes it.
        why: String,
    },
}

/// How hard a run is asked to stop; each level includes the ones before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum StopLevel {
    /// Start nothing new; running iterations end by themselves. First Ctrl-C.
    Drain,
    /// Stop running iterations now, with grace. Second Ctrl-C, or TERM. The code is 130 or 143.
    Terminate {
        /// 130 for INT, 143 for TERM.
        code: u8,
    },
}
