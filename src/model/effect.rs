//! Effects: what the world should be doing, derived from state and never stored.

use super::{AgentChoice, GateId, Oid, Session, Slug, Trial, WorktreeName};
use serde::{Deserialize, Serialize};

/// Something the world should be performing now. Starting one twice must be harmless: after a crash
/// every effect the journal calls for is asked for again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Make the worktree exist, on the feature's branch, with the setup commands run.
    /// Ends with `Prepared` or `PrepareFailed`.
    Prepare {
        /// Whose.
        slug: Slug,
        /// Where.
        worktree: WorktreeName,
        /// How often it was asked for; a new number is a new attempt.
        attempt: u32,
        /// Start the branch anew at the target's tip: its earlier work has landed.
        fresh: bool,
    },
    /// Call the agent once. Ends with `IterationEnded`.
    Iterate {
        /// On which feature.
        slug: Slug,
        /// In which worktree.
        worktree: WorktreeName,
        /// Which iteration.
        iteration: u32,
        /// With which agent.
        agent: AgentChoice,
        /// The conversation to go on with.
        session: Option<Session>,
        /// Its time limit in milliseconds, when it differs from the run's.
        timeout_ms: Option<u64>,
        /// A person's answer that must stand in the prompt.
        answer: Option<String>,
        /// The merge that is this iteration's task.
        handback: Option<Handback>,
    },
    /// Build an attempt's chain of merges. Ends with `Built`.
    Build {
        /// Which attempt.
        attempt: u32,
        /// What for.
        what: Trial,
        /// The commit to begin on.
        onto: Oid,
        /// The integration ref's tip: who conflicts with this is handed back, who conflicts only with
        /// others in the chain is deferred.
        tip: Oid,
        /// Whom to merge, in order.
        members: Vec<Member>,
        /// Who must land before members that change the same paths.
        first: Vec<RightOfWay>,
        /// Where the target stands, if everything that landed is published: should it have moved on, it
        /// is followed.
        follow: Option<Oid>,
    },
    /// Run a gate on a commit. Ends with `Gated`.
    Gate {
        /// Of which attempt.
        attempt: u32,
        /// How often its tree has failed already; a retry runs in a worktree without leftovers.
        reds: u32,
        /// What is gated.
        commit: Oid,
        /// What it must pass.
        gate: GateId,
        /// Features it is about, with their last iterations, for whom its output is kept.
        about: Vec<(Slug, u32)>,
    },
    /// Move the integration ref to a chain's end. Ends with `Landed`.
    Land {
        /// Which attempt.
        attempt: u32,
        /// Where the ref stands.
        from: Oid,
        /// Where to.
        to: Oid,
    },
    /// Set the integration ref back onto the target; what it held stays under `refs/harness/old/`. Ends
    /// with `Rewound`.
    Rewind {
        /// Where the ref stands.
        from: Oid,
        /// Where to.
        to: Oid,
    },
    /// Move the target to the integration ref. Ends with `Published`.
    Publish {
        /// Where the target stands, as far as is known.
        from: Oid,
        /// Where to.
        to: Oid,
        /// Which move this is.
        number: u32,
    },
    /// Write into the state directory's files. Ends with `Written`.
    Write(WriteJob),
    /// Remove free worktrees, the gate's worktree and landed branches. Ends with `Tidied`.
    Tidy {
        /// Worktrees that hold a feature's unfinished work and stay.
        keep: Vec<WorktreeName>,
        /// Landed features and the tip their branch had: their branches go if they still stand there.
        landed: Vec<(Slug, Oid)>,
    },
}

/// Identity of an effect: two effects with the same key are the same piece of work.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EffectKey {
    /// By feature and attempt.
    Prepare(Slug, u32),
    /// By feature and iteration.
    Iterate(Slug, u32),
    /// By attempt.
    Build(u32),
    /// By attempt and the failures before.
    Gate(u32, u32),
    /// By attempt.
    Land(u32),
    /// By the commit it goes back to.
    Rewind(Oid),
    /// By number.
    Publish(u32),
    /// By the number of the first write.
    Write(u64),
    /// There is one.
    Tidy,
}

impl Effect {
    /// Its identity.
    #[must_use]
    pub fn key(&self) -> EffectKey {
        match self {
            Self::Prepare { slug, attempt, .. } => EffectKey::Prepare(slug.clone(), *attempt),
            Self::Iterate {
                slug, iteration, ..
            } => EffectKey::Iterate(slug.clone(), *iteration),
            Self::Build { attempt, .. } => EffectKey::Build(*attempt),
            Self::Gate { attempt, reds, .. } => EffectKey::Gate(*attempt, *reds),
            Self::Land { attempt, .. } => EffectKey::Land(*attempt),
            Self::Rewind { to, .. } => EffectKey::Rewind(to.clone()),
            Self::Publish { number, .. } => EffectKey::Publish(*number),
            Self::Write(job) => EffectKey::Write(job.number),
            Self::Tidy { .. } => EffectKey::Tidy,
        }
    }
}

/// A feature in a chain that is to be built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Which.
    pub slug: Slug,
    /// Its last iteration, for the commit's trailers.
    pub iteration: u32,
    /// One line for the commit's subject.
    pub summary: String,
}

/// A feature that is let through: nothing else that changes its paths lands before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RightOfWay {
    /// Which.
    pub slug: Slug,
    /// The paths of its last conflict, escaped as [`BuildOutcome`](super::BuildOutcome) has them.
    pub paths: Vec<String>,
}

/// A merge with what has landed that a feature's agent is to complete.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handback {
    /// The commit to merge into the feature's branch.
    pub onto: Oid,
    /// What failed on the merge; `None`: it conflicts.
    pub red: Option<super::Red>,
    /// Which round this is, from 1.
    pub round: u32,
}

/// One write into the state directory. Number and time together make it idempotent: a file that
/// already holds the entry `<number>-<at>` is not given it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteJob {
    /// Number of the write, counted from 1 in the order of the journal.
    pub number: u64,
    /// When that record was written.
    pub at: super::Stamp,
    /// What to write.
    pub what: Writing,
}

/// What a [`WriteJob`] writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Writing {
    /// Append to `<slug>.log`, and lessons to learnings.md.
    Log {
        /// Whose log.
        slug: Slug,
        /// The iteration it tells of; lessons are signed with it.
        iteration: Option<u32>,
        /// Heading of the entry.
        heading: String,
        /// The entry.
        text: String,
        /// Lessons, one line each.
        lessons: Vec<String>,
    },
    /// Create `<slug>.done`.
    Done {
        /// Whose.
        slug: Slug,
        /// Its one line.
        summary: String,
    },
    /// Remove `<slug>.done`.
    NotDone {
        /// Whose.
        slug: Slug,
    },
    /// Create the HALT file if it does not exist.
    Halt {
        /// Its first line.
        reason: String,
    },
}

/// A merge that is laid into a feature's worktree for its agent to resolve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergeTask {
    /// What is merged into the feature's branch: where the target stood.
    pub onto: Oid,
}

/// A path that a merge left in conflict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conflicted {
    /// Below the worktree's root; bytes that are not UTF-8 are replaced.
    pub path: String,
    /// In which way.
    pub kind: ConflictKind,
}

/// How the two sides of a merge clash at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConflictKind {
    /// Both changed the same lines; the file holds conflict markers.
    BothModified,
    /// Both added a file of this name; it holds conflict markers.
    BothAdded,
    /// What landed deleted it, the feature changed it.
    DeletedByTarget,
    /// The feature deleted it, what landed changed it.
    DeletedByFeature,
    /// Both changed it and git cannot merge its kind of content: one version must be chosen or made.
    Binary,
    /// Both have the same content, and it is a program for one of them only.
    Mode,
    /// Both point a symbolic link somewhere else.
    Link,
    /// Both moved a submodule.
    Submodule,
    /// Both changed a generated file: whatever git makes of it, it must be made anew.
    Generated,
    /// A rename, a change of kind, or a name that is now a file and a directory.
    Other,
}
