//! What can go wrong with git, each as a sentence a user can act on.
//!
//! This file never knows how an error is shown or which exit code it becomes; that is the desk in `cli`.

use crate::model::{Oid, acts};
use std::path::{Path, PathBuf};

/// A failure of git, of the repository's state, or of the files around it.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// The program is not there.
    #[error("git could not be started ({why})")]
    Missing {
        /// What the system said.
        why: String,
    },
    /// The program is there, but too old for `merge-tree --write-tree`.
    #[error("git {found} is too old")]
    TooOld {
        /// Its version.
        found: String,
    },
    /// There is no repository here.
    #[error("{} is not in a git repository ({why})", path.display())]
    NotARepository {
        /// Where it was looked for.
        path: PathBuf,
        /// git's words.
        why: String,
    },
    /// A repository without a checkout.
    #[error("{} is a bare repository", path.display())]
    Bare {
        /// The repository.
        path: PathBuf,
    },
    /// A repository whose format cannot be read.
    #[error("the repository {} cannot be read ({why}); SHA-256 and reftable repositories are not supported", path.display())]
    Unsupported {
        /// The repository.
        path: PathBuf,
        /// What the library said.
        why: String,
    },
    /// The target has no commit yet.
    #[error("the branch `{branch}` has no commit yet")]
    Unborn {
        /// Its short name.
        branch: String,
    },
    /// No branch is checked out and none was named.
    #[error("no branch is checked out in {}{}", path.display(), operation.map_or_else(String::new, |what| format!(": {what}")))]
    Detached {
        /// The main checkout.
        path: PathBuf,
        /// What is in progress there, and what ends it.
        operation: Option<&'static str>,
    },
    /// The configured target does not exist.
    #[error("there is no branch `{name}`")]
    NoSuchBranch {
        /// What was asked for.
        name: String,
        /// The nearest one that exists.
        hint: Option<String>,
    },
    /// The feature's branch is checked out where harness must not touch it.
    #[error("the branch `{branch}` is checked out in {}; check out another branch there", path.display())]
    BranchInUse {
        /// Its short name.
        branch: String,
        /// Where.
        path: PathBuf,
    },
    /// Something that is not harness's stands where harness must write.
    #[error("{} is in the way: {why}", path.display())]
    InTheWay {
        /// What stands there.
        path: PathBuf,
        /// What it is, and what to do.
        why: String,
    },
    /// A commit holds what git cannot check out, or not as it was committed.
    #[error("{} cannot be checked out as it was committed: {why}", commit.short())]
    Unfit {
        /// The commit.
        commit: Oid,
        /// git's words, or what differs.
        why: String,
    },
    /// What was asked for makes no sense with this history, these files or these patterns.
    #[error("cannot {act}: {why}")]
    Refused {
        /// What was asked for.
        act: String,
        /// Why it is not done.
        why: String,
    },
    /// The git program is good enough for all but this.
    #[error("{what} needs git {needs} or newer; install it, the rest of harness works without")]
    NeedsGit {
        /// What cannot be done.
        what: &'static str,
        /// The oldest version that can.
        needs: &'static str,
    },
    /// A git command failed.
    #[error(
        "merging {branch} would change {path}, which that branch does not touch; nothing was merged, please report this"
    )]
    WrongMerge {
        /// The path.
        path: String,
        /// The branch's tip.
        branch: String,
    },
    /// git said no.
    #[error("`{command}` failed: {why}")]
    Failed {
        /// The command, shortened.
        command: String,
        /// The tail of what it said.
        why: String,
    },
    /// A git command was killed because it took too long.
    #[error("`{command}` was stopped after {limit_s} s without an end")]
    TimedOut {
        /// The command, shortened.
        command: String,
        /// Its limit in seconds.
        limit_s: u64,
    },
    /// A file or directory could not be handled.
    #[error("cannot {act} {}: {source}", path.display())]
    Io {
        /// What was tried.
        act: &'static str,
        /// With which path.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The repository could not be read.
    #[error("cannot {act}: {why}")]
    Read {
        /// What was tried.
        act: String,
        /// What the library said.
        why: String,
    },
}

impl GitError {
    /// What a person can do about it, where that is not said already.
    #[must_use]
    pub fn remedy(&self) -> Option<String> {
        let text = match self {
            Self::Missing { .. } => "install git 2.38 or newer and make sure it is on PATH",
            Self::TooOld { .. } => "install git 2.38 or newer",
            Self::NotARepository { .. } => {
                "change to your project's directory, or run `git init` and commit there"
            }
            Self::Bare { .. } => "run harness in a clone that has its files checked out",
            Self::Unborn { .. } => "commit something on it first",
            Self::Detached {
                operation: Some(_), ..
            } => {
                "end that, or name the branch to merge into: `--target`, or `target:` in harness.yaml"
            }
            Self::Detached { .. } => {
                "check one out, or name the branch to merge into: `--target`, or `target:` in harness.yaml"
            }
            Self::NoSuchBranch {
                hint: Some(near), ..
            } => return Some(format!("did you mean `{near}`?")),
            Self::NoSuchBranch { .. } => "`git branch` lists those that there are",
            _ => return None,
        };
        Some(text.to_owned())
    }

    /// A refusal.
    pub(super) fn refused(act: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Refused {
            act: act.into(),
            why: why.into(),
        }
    }

    /// The same, as a fault of the commit that was checked out if that is what it is.
    pub(super) fn checking_out(self, commit: &Oid) -> Self {
        match self {
            Self::Failed { why, .. } if why.contains("smudge filter") => Self::Unfit {
                commit: commit.clone(),
                why,
            },
            other => other,
        }
    }

    /// For `map_err` on file operations.
    pub(super) fn io(act: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { act, path, source }
    }

    /// For `map_err` on reads through git2.
    pub(super) fn read(act: impl Into<String>) -> impl FnOnce(git2::Error) -> Self {
        let act = act.into();
        move |error| Self::Read {
            act,
            why: visible(error.message()),
        }
    }
}

/// `text` on one line, with every control character escaped: safe for a terminal.
pub(super) fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if !out.is_empty() {
            out.push_str("; ");
        }
        for c in line.chars() {
            if acts(c) {
                out.extend(c.escape_default());
            } else {
                out.push(c);
            }
        }
    }
    out
}
