//! What facts say in detail: what a gate found, and why a feature was given up or not merged.
//!
//! This file never says what follows from it.

use super::bare::bare;
use super::{Oid, Slug, Spending};
use serde::{Deserialize, Serialize};

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
#[serde(tag = "why", rename_all = "snake_case", deny_unknown_fields)]
pub enum SkipReason {
    /// `max_iterations_per_feature` is used up.
    IterationsUsedUp {
        /// The cap.
        cap: u32,
    },
    /// Its budget is used up.
    BudgetUsedUp {
        /// Which, and how much was used.
        spending: Spending,
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
    #[serde(deserialize_with = "bare")]
    SpecRemoved,
    /// A person took it back after it had landed.
    #[serde(deserialize_with = "bare")]
    Undone,
    /// A person left it out.
    LeftOut {
        /// The person's reason; may be empty.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        text: String,
        /// Whether its agent had claimed it: then it is the merge queue that goes on with it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        done: bool,
    },
}

/// What an attempt is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trial {
    /// To land features.
    Features,
    /// To know whether what they build on passes by itself.
    Base,
    /// To merge what has landed with commits that the user made meanwhile.
    Reconcile,
}

/// Identity of a gate: what a tree must pass. Evidence holds for a tree and a gate.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateId {
    /// Digest of the project's verify commands and of the environment they run in.
    pub common: String,
    /// Commands of single features that run after them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub own: Vec<String>,
}

/// A gate's failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Red {
    /// The command that failed.
    pub command: String,
    /// The tail of its output.
    pub tail: String,
}

/// What stands behind a verified chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "evidence", rename_all = "snake_case", deny_unknown_fields)]
pub enum Evidence {
    /// Its gate passed.
    #[serde(deserialize_with = "bare")]
    Passed,
    /// The same tree had passed before; nothing was run.
    #[serde(deserialize_with = "bare")]
    Known,
    /// No verify commands are set.
    #[serde(deserialize_with = "bare")]
    Unchecked,
    /// Its gate failed and passed when it was run again.
    Flaky {
        /// The failure.
        red: Red,
    },
    /// It passes, and what it builds on does not.
    #[serde(deserialize_with = "bare")]
    Fixed,
}

/// Why a done feature is not merged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case", deny_unknown_fields)]
pub enum ParkReason {
    /// It and what has landed changed the same places, and its agent did not get them together.
    Conflict {
        /// Conflicted paths.
        paths: Vec<String>,
    },
    /// Merged with what has landed it fails, and its agent did not get it to pass.
    Red {
        /// What failed.
        red: Red,
    },
    /// What it would be merged onto fails by itself.
    BaseBroken {
        /// What failed.
        red: Red,
    },
    /// A feature it depends on had landed, was taken back, and did not land again.
    Dependency {
        /// Which.
        slug: Slug,
    },
    /// git or the disk kept failing.
    Infra {
        /// The last failure.
        text: String,
    },
    /// A person must have seen it before it lands, and has not.
    Review {
        /// Where its branch stood when it was found to be ready.
        tip: Oid,
    },
}
