//! Undoing a landing: one commit that takes back what another brought, made in memory.
//!
//! This file never moves a branch and never rewrites history; what it makes is verified and landed like
//! any other candidate.

use super::error::GitError;
use super::merge::{Candidacy, Merged};
use super::repo::{RefEdit, Repo};
use crate::model::{Candidate, Oid};

/// Oldest git whose `merge-tree` can be told the base.
const NAMED_BASES: (u32, u32) = (2, 40);

impl Repo {
    /// Builds a commit on top of `onto` that takes back what `landed` changed: relative to its first parent
    /// when it is a merge, to its only parent otherwise. It is pinned under
    /// `refs/harness/candidates/undo-<landed>`, and `landed` is its `branch_tip`. When nothing is left to
    /// take back, its commit is `onto` itself. Where later commits build on the same places, it conflicts.
    ///
    /// # Errors
    /// `landed` is not in `onto`'s history or has no parent, git is older than 2.40, or git failed.
    pub fn revert_candidate(
        &self,
        onto: &Oid,
        landed: &Oid,
        message: &str,
    ) -> Result<Candidacy, GitError> {
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
            Merged::Conflict(paths) => return Ok(Candidacy::Conflict { paths }),
        };
        let mut candidate = Candidate {
            commit: onto.clone(),
            tree,
            onto: onto.clone(),
            branch_tip: landed.clone(),
        };
        if candidate.tree != onto_tree {
            candidate.commit = self.commit(&candidate.tree, std::slice::from_ref(onto), message)?;
            let pin = format!("refs/harness/candidates/undo-{}", landed.short());
            self.unlock(&pin)?;
            let edit = RefEdit::Set(&pin, &candidate.commit);
            self.update_refs("harness: candidate", &[edit])?;
        }
        Ok(Candidacy::Clean(candidate))
    }
}
