//! Observations: everything that reaches `core` from outside.

use super::{FeatureSpec, Oid, RunId, Settings, Slug, WorktreeName, event::InfraKind};
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
        settings: Settings,
        /// Full name of the branch features land on: `refs/heads/main`.
        target: String,
        /// Where the target stands.
        tip: Oid,
    },
    /// The user's files were looked at.
    Looked(Backlog),
    /// A worktree stands ready on the feature's branch and its setup commands have passed.
    Prepared {
        /// Whose.
        slug: Slug,
        /// Which.
        worktree: WorktreeName,
        /// The commit the feature's work builds on: the merge base of its branch and the target.
        base: Oid,
    },
    /// Making the worktree or running its setup failed.
    PrepareFailed {
        /// Whose.
        slug: Slug,
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
    },
    /// A candidate was built and gated.
    Integrated {
        /// Of which feature.
        slug: Slug,
        /// Which attempt.
        attempt: u32,
        /// The verdict.
        outcome: IntegrationOutcome,
    },
    /// The target was (or was not) moved to the candidate.
    Landed {
        /// Of which feature.
        slug: Slug,
        /// Which attempt.
        attempt: u32,
        /// What happened.
        outcome: LandOutcome,
    },
    /// All writes up to and including this number are in their files and synced.
    Written {
        /// Number of the last write.
        through: u64,
    },
    /// Free worktrees, the gate's worktree and merged branches are gone.
    Tidied,
    /// A person gave a command.
    Commanded(Command),
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
    /// Tokens and money, where the agent reports them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

/// How an agent's process ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "how", rename_all = "snake_case")]
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
    TimedOut,
    /// harness killed it: no output for too long.
    IdleTimedOut,
    /// harness killed it because the run was told to stop.
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
        matches!(self, Self::TimedOut | Self::IdleTimedOut | Self::Stopped)
    }
}

/// An agent's report that its call failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentFailure {
    /// What kind.
    pub kind: FailureKind,
    /// The CLI's own words, one line, capped.
    pub text: String,
}

/// Kinds of agent failure that call for different treatment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The account's quota is used up.
    Limit,
    /// Not logged in, bad key, or no credit.
    Auth,
    /// Anything else.
    Other,
}

/// Tokens and money of one iteration, as the agent reported them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Input tokens that were not cached.
    pub input: u64,
    /// Output tokens.
    pub output: u64,
    /// Tokens read from the prompt cache.
    pub cache_read: u64,
    /// Tokens written to the prompt cache.
    pub cache_write: u64,
    /// Money in millionths of a US dollar.
    pub micro_usd: u64,
}

/// A merge of a feature onto the target's tip, built without touching any work tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// The commit to publish. Equal to `onto` when the feature changes nothing.
    pub commit: Oid,
    /// Its tree.
    pub tree: Oid,
    /// The target's tip it was built on.
    pub onto: Oid,
    /// The feature's branch it contains.
    pub branch_tip: Oid,
}

/// What came of building and gating a candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IntegrationOutcome {
    /// It passed.
    Green {
        /// The commit that passed.
        candidate: Candidate,
        /// Wall time of the gate in milliseconds.
        gate_ms: u64,
    },
    /// A verify command failed.
    Red {
        /// The command.
        command: String,
        /// The tail of its output.
        tail: String,
        /// Wall time of the gate in milliseconds.
        gate_ms: u64,
    },
    /// The branch and the target changed the same places.
    Conflict {
        /// Conflicted paths.
        paths: Vec<String>,
    },
    /// It was stopped half-way because the run is ending.
    Stopped,
    /// Nothing to do with the feature: git, disk, spawn.
    Infra {
        /// What went wrong.
        why: String,
    },
}

/// What came of a merge that was laid into a feature's worktree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum MergeVerdict {
    /// The feature's branch contains what landed, and nothing speaks against how.
    Resolved,
    /// It does not: the branch stands where it stood, apart from commits that are no part of the merge.
    Unresolved {
        /// Why, a sentence each, for the next prompt.
        findings: Vec<String>,
    },
}

/// What came of moving the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LandOutcome {
    /// The target stands at (or beyond) the candidate.
    Done,
    /// The target is no longer where the candidate was built.
    TargetMoved,
    /// The user's checkout has changes of its own in the same files, or is in the middle of something.
    CheckoutInTheWay {
        /// What git said, and the paths.
        why: String,
    },
    /// Nothing to do with the feature: git, disk, a hook's veto.
    Infra {
        /// What went wrong.
        why: String,
    },
}

/// What a person asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// Put a tripped, failed, parked or blocked feature back in the queue with fresh breakers.
    Retry {
        /// Which.
        slug: Slug,
    },
    /// Answer a blocked feature.
    Unblock {
        /// Which.
        slug: Slug,
        /// The answer; it stands in the next prompt.
        answer: String,
    },
}

/// How hard a run is asked to stop; each level includes the ones before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopLevel {
    /// Start nothing new; running iterations end by themselves. First Ctrl-C.
    Drain,
    /// Stop running iterations now, with grace. Second Ctrl-C, or TERM. The code is 130 or 143.
    Terminate {
        /// 130 for INT, 143 for TERM.
        code: u8,
    },
}
