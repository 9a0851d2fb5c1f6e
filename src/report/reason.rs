//! The stable names of the reasons for which a feature is not merged: they stand in `why`, in `status --json`, and are
//! looked up by `explain`.
//!
//! A name is never renamed or given another meaning.

use crate::model::names;
use serde::{Serialize, Serializer};

names! {
    /// Why a feature is not merged.
    pub enum Reason,
    /// Dependencies have not landed.
    Needs = "needs",
    /// A dependency will not land without a person.
    NeedsHelp = "needs_help",
    /// Another goes first.
    After = "after",
    /// Another that is at work has the same path or lock.
    Clash = "clash",
    /// It is tried again later.
    Time = "time",
    /// The account of its agent cannot be used.
    Account = "account",
    /// All slots are taken.
    Slot = "slot",
    /// A budget is used up.
    Budget = "budget",
    /// The run's time is up.
    Deadline = "deadline",
    /// Nothing new is started.
    Stopped = "stopped",
    /// The run was asked to stop.
    Stopping = "stopping",
    /// The HALT file is there.
    Halt = "halt",
    /// Another feature has halted the run.
    Halted = "halted",
    /// The run's iterations are used up.
    Iterations = "iterations",
    /// No run is going on.
    NoRun = "no_run",
    /// Nothing is in its way.
    Ready = "ready",
    /// This run is limited to others.
    Unselected = "unselected",
    /// There is no spec of it.
    NoSpec = "no_spec",
    /// The run that worked on it was cut off.
    Interrupted = "interrupted",
    /// Its worktree is being made ready.
    Preparing = "preparing",
    /// Its agent is at work.
    Working = "working",
    /// Between two iterations.
    Between = "between",
    /// It has a slot that another waits for.
    HasASlot = "has_a_slot",
    /// It waits to be merged.
    Queued = "queued",
    /// Others were done before it.
    Turn = "turn",
    /// It conflicts with what is being tried.
    ConflictsWithAttempt = "conflicts_with_attempt",
    /// What it would land on fails by itself.
    BaseBroken = "base_broken",
    /// Another has the right of way.
    RightOfWay = "right_of_way",
    /// The merge queue sent it back to its agent.
    SentBack = "sent_back",
    /// Its gate runs.
    Gating = "gating",
    /// It is being landed.
    Landing = "landing",
    /// It is merged.
    Merged = "merged",
    /// It has landed, and the target cannot be moved now.
    Unpublished = "unpublished",
    /// Its agent asks a question.
    Blocked = "blocked",
    /// A breaker is open.
    Tripped = "tripped",
    /// It is done and cannot be merged.
    Parked = "parked",
    /// It was given up.
    Failed = "failed",
    /// It is done, and a person must see it before it lands.
    Review = "review",
    /// A person left it out.
    LeftOut = "left_out",
    /// Its reasons were told above.
    AsTold = "as_told",
    /// There is more than is told.
    More = "more",
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, into: S) -> Result<S::Ok, S::Error> {
        into.serialize_str(self.name())
    }
}
