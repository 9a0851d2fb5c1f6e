//! Places at which tests make this program die, or make a call fail as the system would make it fail.
//!
//! Whoever changes something durable says that a place is passed: [`at`] before a call that can fail, [`write()`] for
//! one that can also be cut short, [`past`] where a step has just been done. What happens there is said from
//! outside: `HARNESS_FAULT=<point>[#<nth>[+]]=<crash|ENOSPC|EIO|EROFS|EMFILE|EAGAIN>`, at the nth pass (the first one, if
//! none is named) and, with `+`, at every later one. `HARNESS_FAULT_LOG=<file>` lists every pass, with a `!` where the order struck. Without the feature
//! `fake-agent` all of it is compiled to nothing. This room must never know what a place does.

#[cfg(feature = "fake-agent")]
mod armed;

#[cfg(feature = "fake-agent")]
pub use armed::{arm, at, past, write};

/// What can happen at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Before a call of the system: the program dies, or the call fails.
    Call,
    /// In the middle of a write: half of it is done when the program dies or the call fails.
    Write,
    /// Between two steps: the program dies.
    Step,
}

macro_rules! points {
    ($($(#[doc = $doc:literal])+ $point:ident = $name:literal, $kind:ident;)+) => {
        /// A place, named after the room or the thing, and what is about to be done there or has just been done.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Point {
            $($(#[doc = $doc])+ $point,)+
        }

        impl Point {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$point,)+];

            /// Its name in `HARNESS_FAULT`.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$point => $name,)+
                }
            }

            /// What can happen there.
            #[must_use]
            pub fn kind(self) -> Kind {
                match self {
                    $(Self::$point => Kind::$kind,)+
                }
            }
        }
    };
}

points! {
    /// The journal is opened, and made if missing.
    JournalOpen = "journal.open", Call;
    /// A torn end is about to be kept beside the journal.
    JournalKeep = "journal.keep", Call;
    /// A torn end is kept and about to be cut off.
    JournalCut = "journal.cut", Call;
    /// Records are about to be appended.
    JournalAppend = "journal.append", Call;
    /// Records are being appended.
    JournalWrite = "journal.write", Write;
    /// Records are appended and about to be synced.
    JournalSync = "journal.sync", Call;
    /// Records are durable; nothing that they call for has been started.
    JournalSynced = "journal.synced", Step;

    /// The lock file is opened, and made if missing.
    LockOpen = "lock.open", Call;
    /// The lock is taken, and its holder about to be written into it.
    LockWrite = "lock.write", Call;
    /// The lock is taken, and says so.
    LockTaken = "lock.taken", Step;
    /// The lock is about to be given back.
    LockRelease = "lock.release", Call;

    /// The state directory is about to be made if missing.
    MemoryOpen = "memory.open", Call;
    /// A marker or the like is about to be made under another name.
    MemoryCreate = "memory.create", Call;
    /// It is written under another name and about to get its own.
    MemoryRename = "memory.rename", Call;
    /// It has its name, which is not synced yet.
    MemoryCreated = "memory.created", Step;
    /// An entry is about to be appended to a log or to learnings.md.
    MemoryAppend = "memory.append", Call;
    /// An entry is being appended.
    MemoryWrite = "memory.write", Write;
    /// An entry is appended and about to be synced.
    MemorySync = "memory.sync", Call;
    /// An entry is durable, and nobody knows yet.
    MemoryAppended = "memory.appended", Step;
    /// The beginning of an entry that was cut short is about to be taken off.
    MemoryCut = "memory.cut", Call;
    /// A marker is about to be removed.
    MemoryRemove = "memory.remove", Call;

    /// The directory of an iteration's records is about to be made.
    RecordsCreate = "records.create", Call;
    /// An iteration's prompt or result is about to be written.
    RecordCreate = "record.create", Call;
    /// An iteration's prompt or result is being written.
    RecordWrite = "record.write", Write;
    /// The outbox is gone and about to be made anew.
    OutboxCreate = "outbox.create", Call;

    /// A job's private directory is about to be made.
    TemporaryCreate = "temporary.create", Call;
    /// What a job has made or left is about to be removed, whatever it is.
    RemainsRemove = "remains.remove", Call;
    /// The file for a job's output is about to be made.
    OutputCreate = "output.create", Call;
    /// Output of a job is being written.
    OutputWrite = "output.write", Write;
    /// A job's supervisor, or the job itself, is about to be started.
    JobSpawn = "job.spawn", Call;
    /// It is started, and nobody has its number yet.
    JobSpawned = "job.spawned", Step;
    /// A job and all its processes have ended, and nobody knows yet.
    JobEnded = "job.ended", Step;

    /// The directory of the gates' logs is about to be made.
    GateCreate = "gate.create", Call;
    /// A command's output is about to be added to a gate's log.
    GateLog = "gate.log", Call;

    /// The run has the lock and its journal, and has recorded nothing.
    RunBegin = "run.begin", Step;
    /// The log for people is opened, and made if missing.
    RunLogOpen = "runlog.open", Call;
    /// A line of the log for people is being written.
    RunLogWrite = "runlog.write", Write;
    /// A file or directory of the state directory that nothing depends on is about to be written.
    StateCreate = "state.create", Call;
    /// One is about to be removed.
    StateRemove = "state.remove", Call;
    /// All is recorded and done, and the lock not given back.
    RunEnd = "run.end", Step;

    /// A git command is about to be started.
    GitCall = "git.call", Call;
    /// A git command has ended.
    GitDone = "git.done", Step;
    /// Refs are about to be changed.
    RefsMoving = "refs.moving", Step;
    /// Refs have been changed.
    RefsMoved = "refs.moved", Step;
    /// A file in or beside a git directory is about to be made.
    GitFileCreate = "gitfile.create", Call;
    /// A file in or beside a git directory is being written.
    GitFileWrite = "gitfile.write", Write;
    /// A file is about to get its name, or another one.
    GitFileRename = "gitfile.rename", Call;
    /// A file is about to be copied.
    GitFileCopy = "gitfile.copy", Call;
    /// A file is about to be removed.
    GitFileRemove = "gitfile.remove", Call;
    /// A directory is about to be made.
    GitDirCreate = "gitdir.create", Call;
    /// A directory is about to be removed with all it holds.
    GitDirRemove = "gitdir.remove", Call;
    /// A directory is about to be removed if nothing is in it.
    GitDirPrune = "gitdir.prune", Call;
    /// A temporary directory of the git room is about to be made.
    ScratchCreate = "scratch.create", Call;

    /// The administrative directory of a worktree is whole and about to get its place.
    WorktreeRegister = "worktree.register", Call;
    /// A worktree is registered and empty.
    WorktreeRegistered = "worktree.registered", Step;
    /// A worktree has its files, and is still marked as being made.
    WorktreeFilled = "worktree.filled", Step;
    /// A worktree's directory is gone, and it is still registered.
    WorktreeGone = "worktree.gone", Step;
    /// A worktree is forgotten, and what git kept of it not removed yet.
    WorktreeForgotten = "worktree.forgotten", Step;
    /// A worktree is nobody's and holds the files that a feature begins with; its branch has not moved.
    PrepareSwitched = "prepare.switched", Step;
    /// The feature's branch stands where it begins, and no worktree is on it.
    PrepareMoved = "prepare.moved", Step;
    /// The worktree is on the feature's branch, and still nobody's.
    PrepareAttached = "prepare.attached", Step;
    /// The worktree is the feature's; what is to be copied into it is not there yet.
    PrepareOwned = "prepare.owned", Step;

    /// A git directory is about to be lent.
    LendBegin = "lend.begin", Step;
    /// It is whole, and not on record.
    LendMade = "lend.made", Step;
    /// It is on record, and the worktree does not lead to it.
    LendRecorded = "lend.recorded", Step;
    /// What an agent left in it is about to be taken home.
    HomeBegin = "home.begin", Step;
    /// Its objects are about to be unpacked.
    HomeUnpack = "home.unpack", Step;
    /// Its objects are there, and no ref leads to them.
    HomeObjects = "home.objects", Step;
    /// Refs lead to its objects.
    HomeRefs = "home.refs", Step;
    /// The worktree's HEAD is where the agent left it; the index is not.
    HomeHead = "home.head", Step;
    /// All of it is home, and not on record.
    HomeWhole = "home.whole", Step;

    /// What is in a worktree is staged.
    SnapshotStaged = "snapshot.staged", Step;
    /// What is in a worktree is committed, and no ref leads to it.
    SnapshotCommitted = "snapshot.committed", Step;
    /// Refs lead to the snapshot; the worktree is not cleared up.
    SnapshotPinned = "snapshot.pinned", Step;
    /// The snapshot is taken, and nobody knows yet.
    SnapshotDone = "snapshot.done", Step;

    /// It is noted that a merge is being laid into a worktree.
    HandbackNoted = "handback.noted", Step;
    /// git has merged in the worktree.
    HandbackMerged = "handback.merged", Step;
    /// The merge lies there, and it is noted that it does.
    HandbackLaid = "handback.laid", Step;

    /// A chain of merges is built, and no ref leads to it.
    CandidateBuilt = "candidate.built", Step;
    /// A candidate is about to be pinned.
    CandidatePin = "candidate.pin", Call;
    /// A candidate is pinned.
    CandidatePinned = "candidate.pinned", Step;
    /// A candidate that has passed is about to land.
    LandMoving = "land.moving", Step;
    /// It has landed, and nobody knows yet.
    LandMoved = "land.moved", Step;
    /// A target that is checked out nowhere is about to move.
    PublishMoving = "publish.moving", Step;
    /// It has moved, and nobody knows yet.
    PublishMoved = "publish.moved", Step;
    /// A checkout is about to be fast-forwarded.
    PublishForward = "publish.forward", Step;
    /// It is fast-forwarded, and nobody knows yet.
    PublishForwarded = "publish.forwarded", Step;
    /// What has landed is about to be set back onto the user's commits.
    RewindBegin = "rewind.begin", Step;
    /// It is set back, and nobody knows yet.
    RewindDone = "rewind.done", Step;
    /// A commit that takes a feature back is there, and the target does not hold it.
    UndoBuilt = "undo.built", Step;
    /// A feature is taken back from the target, and nothing is recorded.
    UndoPublished = "undo.published", Step;

    /// Worktrees that nobody needs are gone; branches are not.
    TidyWorktrees = "tidy.worktrees", Step;
    /// Branches that have landed are gone; pins are not.
    TidyBranches = "tidy.branches", Step;
    /// Pins are gone; the integration ref is not.
    TidyPins = "tidy.pins", Step;
    /// All is tidy, and nobody knows yet.
    TidyDone = "tidy.done", Step;
}

/// Nothing happens in a program that is installed.
#[cfg(not(feature = "fake-agent"))]
mod unarmed {
    use super::Point;
    use std::collections::BTreeMap;
    use std::ffi::OsString;
    use std::io;

    /// The variables mean nothing here, and stay where they are.
    ///
    /// # Errors
    /// Never.
    pub fn arm(_: &mut BTreeMap<OsString, OsString>) -> Result<(), String> {
        Ok(())
    }

    /// A call that may fail comes next.
    ///
    /// # Errors
    /// Never.
    #[inline(always)]
    pub fn at(_: Point) -> io::Result<()> {
        Ok(())
    }

    /// A step is done.
    #[inline(always)]
    pub fn past(_: Point) {}

    /// Writes all of `bytes`.
    ///
    /// # Errors
    /// What the writer says.
    #[inline(always)]
    pub fn write(_: Point, to: &mut impl io::Write, bytes: &[u8]) -> io::Result<()> {
        to.write_all(bytes)
    }
}

#[cfg(not(feature = "fake-agent"))]
pub use unarmed::{arm, at, past, write};
