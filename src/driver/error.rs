//! Why something was refused or broke off; every one maps to an exit code at the desk in `cli`.

use crate::git::GitError;
use crate::journal::{Held, JournalError};
use crate::learnings::LearningsError;
use crate::model::{Code, Problem};
use std::path::PathBuf;

/// What the driver refuses or breaks off for.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// The user's files or flags are wrong; nothing was started.
    #[error("{}", all(.0))]
    Problems(Vec<Problem>),
    /// git refused; nothing was started.
    #[error(transparent)]
    Git(#[from] GitError),
    /// Somebody else is at work.
    #[error(transparent)]
    Held(#[from] Held),
    /// The journal cannot be read or written.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A file of the state directory cannot be read or written.
    #[error(transparent)]
    Memory(#[from] LearningsError),
    /// The file system refused.
    #[error("cannot {act} {}: {source}", path.display())]
    Io {
        /// What was tried.
        act: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A person or the system ended it with a signal, before anything was changed.
    #[error("interrupted; nothing was changed")]
    Interrupted {
        /// Exit code for that signal.
        code: u8,
    },
    /// The state directory could not be kept up in the middle of a run.
    #[error("the run stopped: {0}")]
    Broken(String),
    /// A promise of the program does not hold.
    #[error("harness is wrong about itself: {0}; nothing more is started, please report this")]
    Invariant(String),
}

fn all(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
    lines.join("\n")
}

fn git_code(error: &GitError) -> Code {
    match error {
        GitError::Missing { .. } | GitError::TooOld { .. } | GitError::NeedsGit { .. } => {
            Code::GitMissing
        }
        GitError::NotARepository { .. } => Code::NoRepository,
        GitError::Bare { .. } | GitError::Unsupported { .. } => Code::UnsupportedRepository,
        GitError::Unborn { .. } => Code::NoCommits,
        GitError::Detached { .. } => Code::DetachedHead,
        GitError::NoSuchBranch { .. } => Code::UnknownBranch,
        GitError::BranchInUse { .. } => Code::BranchTaken,
        GitError::InTheWay { .. } => Code::InTheWay,
        GitError::Refused { .. } => Code::NotPossible,
        GitError::WrongMerge { .. } => Code::Internal,
        GitError::Unfit { .. }
        | GitError::Failed { .. }
        | GitError::TimedOut { .. }
        | GitError::Io { .. }
        | GitError::Read { .. } => Code::GitFailed,
    }
}

impl From<super::turn::TurnError> for DriverError {
    fn from(error: super::turn::TurnError) -> Self {
        match error {
            super::turn::TurnError::Journal(error) => Self::Journal(error),
            super::turn::TurnError::Invariant(what) => Self::Invariant(what),
        }
    }
}

impl DriverError {
    /// What kind of problem it is; of several problems, each has its own.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Problems(_) | Self::Interrupted { .. } => Code::NotPossible,
            Self::Git(error) => git_code(error),
            Self::Held(Held::By(_)) => Code::Locked,
            Self::Held(Held::Io { .. })
            | Self::Memory(_)
            | Self::Io { .. }
            | Self::Broken(_)
            | Self::Journal(JournalError::Io { .. }) => Code::StateUnwritable,
            Self::Journal(JournalError::Damaged { .. }) => Code::JournalDamaged,
            Self::Journal(JournalError::Newer { .. }) => Code::JournalNewer,
            Self::Invariant(_) => Code::Internal,
        }
    }

    /// Wraps a refusal of the file system.
    pub(super) fn io(
        act: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { act, path, source }
    }

    /// A single problem of the user's.
    pub(super) fn problem(problem: Problem) -> Self {
        Self::Problems(vec![problem])
    }
}
