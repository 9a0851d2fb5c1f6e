//! Undoing a landing: one commit that takes back what another brought, made in memory.
//!
//! This file never moves a branch and never rewrites history.

use super::error::GitError;
use super::merge::Merged;
use super::repo::{RefEdit, Repo};
use crate::fault::{self, Point};
use crate::model::Oid;

/// Oldest git whose `merge-tree` can be told the base.
const NAMED_BASES: (u32, u32) = (2, 40);

/// What came of taking back a landed commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reverted {
    /// A commit that does, pinned under `refs/harness/candidates/undo-<landed>`.
    Clean(Oid),
    /// There is nothing left of it to take back.
    Nothing,
    /// Later commits build on the same places: these paths, sorted.
    Conflict(Vec<String>),
}

impl Repo {
    /// Builds a commit on top of `onto` that takes back what `landed` changed: relative to its first parent
    /// when it is a merge, to its only parent otherwise.
    ///
    /// # Errors
    /// `landed` is not in `onto`'s history or has no parent, git is older than 2.40, or git failed.
    pub fn revert(&self, onto: &Oid, landed: &Oid, message: &str) -> Result<Reverted, GitError> {
        if !self.git_is_at_least(NAMED_BASES) {
            return Err(GitError::NeedsGit {
                what: "taking back a landed feature",
                needs: "2.40",
            });
        }
        let act = || format!("take back {}", landed.short());
        let onto_tree = self.tree_of(onto)?;
        if !self.descends(onto, landed)? {
            let why = format!("it is not in the history of {}", onto.short());
            return Err(GitError::refused(act(), why));
        }
        let Some(before) = self.first_parent(landed)? else {
            let why = "it is the first commit of its history";
            return Err(GitError::refused(act(), why));
        };
        // From the landed state back to the one before it, seen from where the target is now.
        let call = self
            .merge_call(onto)
            .args(["--name-only", "--no-messages"])
            .arg(format!("--merge-base={landed}"))
            .arg(onto.as_str())
            .arg(before.as_str());
        let tree = match Self::merged(call)? {
            Merged::Clean(tree) => tree,
            Merged::Conflict(paths) => return Ok(Reverted::Conflict(paths)),
        };
        if tree == onto_tree {
            return Ok(Reverted::Nothing);
        }
        let commit = self.commit(&tree, std::slice::from_ref(onto), message)?;
        fault::past(Point::UndoBuilt);
        let pin = format!("refs/harness/candidates/undo-{}", landed.short());
        self.unlock(&pin)?;
        self.update_refs("harness: undo", &[RefEdit::Set(&pin, &commit)])?;
        Ok(Reverted::Clean(commit))
    }
}
