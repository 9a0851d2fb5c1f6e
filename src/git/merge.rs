//! Candidates: the merge of a feature onto the target's tip, made without touching any work tree.
//!
//! This file never moves a branch. The result depends on the commits alone: options that the user's
//! configuration could bend are pinned.

use super::cli::Call;
use super::error::GitError;
use super::repo::{RefEdit, Repo, branch_of};
use crate::model::{Candidate, Oid, Slug};

/// What keeps every merge independent of the user's configuration.
const PINNED: [&str; 6] = [
    "merge.renames=true",
    "merge.directoryRenames=conflict",
    "merge.conflictStyle=zdiff3",
    "merge.renameLimit=7000",
    "merge.renormalize=false",
    "diff.algorithm=histogram",
];

/// How a feature's commits reach the target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// A merge commit; the feature's own commits stay in the history.
    #[default]
    Merge,
    /// One commit with the same tree.
    Squash,
}

/// What came of building a candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Candidacy {
    /// It was built and is pinned under `refs/harness/candidates/<slug>`. When the feature changes
    /// nothing, its commit is the target's tip itself.
    Clean(Candidate),
    /// The feature and the target changed the same places.
    Conflict {
        /// Conflicted paths.
        paths: Vec<String>,
    },
}

/// What came of a merge in memory.
pub(super) enum Merged {
    /// The tree.
    Clean(Oid),
    /// Conflicted paths.
    Conflict(Vec<String>),
}

impl Repo {
    /// Merges the feature's branch onto the target's tip as it stands now.
    ///
    /// # Errors
    /// One of the branches does not exist, their histories are unrelated, or git failed.
    pub fn candidate(
        &self,
        slug: &Slug,
        target_ref: &str,
        strategy: Strategy,
        message: &str,
    ) -> Result<Candidacy, GitError> {
        let onto = self.expect_tip(target_ref)?;
        let branch_tip = self.expect_tip(&branch_of(slug))?;
        let onto_tree = self.tree_of(&onto)?;
        let nothing = Candidate {
            commit: onto.clone(),
            tree: onto_tree.clone(),
            onto: onto.clone(),
            branch_tip: branch_tip.clone(),
        };
        if self.descends(&onto, &branch_tip)? {
            return Ok(Candidacy::Clean(nothing));
        }
        let tree = match self.merge_trees(&onto, &branch_tip)? {
            Merged::Clean(tree) => tree,
            Merged::Conflict(paths) => return Ok(Candidacy::Conflict { paths }),
        };
        if tree == onto_tree {
            return Ok(Candidacy::Clean(nothing));
        }
        let parents = match strategy {
            Strategy::Merge => vec![onto.clone(), branch_tip.clone()],
            Strategy::Squash => vec![onto.clone()],
        };
        let commit = self.commit(&tree, &parents, message)?;
        // Pinned, or an agent's `git gc --prune=now` would take it from under the gate.
        let pin = format!("refs/harness/candidates/{slug}");
        self.unlock(&pin)?;
        self.update_refs("harness: candidate", &[RefEdit::Set(&pin, &commit)])?;
        Ok(Candidacy::Clean(Candidate {
            commit,
            tree,
            onto,
            branch_tip,
        }))
    }

    /// Merges two commits in memory.
    pub(super) fn merge_trees(&self, ours: &Oid, theirs: &Oid) -> Result<Merged, GitError> {
        let call = self.merge_call(ours).args(["--name-only", "--no-messages"]);
        Self::merged(call.arg(ours.as_str()).arg(theirs.as_str()))
    }

    /// `git merge-tree` onto `ours` with all that is pinned; what is to be merged is still to be said.
    /// Attributes are those of `ours`, where git can be told.
    pub(super) fn merge_call(&self, ours: &Oid) -> Call<'_> {
        let mut options = Vec::new();
        for config in PINNED {
            options.extend(["-c".to_owned(), config.to_owned()]);
        }
        if self.git_is_at_least((2, 41)) {
            options.push(format!("--attr-source={ours}"));
        }
        self.git()
            .call(["merge-tree", "--write-tree", "-z"])
            .options(options)
    }

    /// Runs a merge that prints names only and no messages.
    pub(super) fn merged(call: Call<'_>) -> Result<Merged, GitError> {
        let merged = call.run()?;
        let mut fields = merged.fields().map(String::from_utf8_lossy);
        let tree = fields.next().and_then(|text| Oid::parse(&text));
        match (merged.code, tree) {
            (0, Some(tree)) => Ok(Merged::Clean(tree)),
            (1, Some(_)) => {
                let mut paths: Vec<String> = fields.map(|path| path.into_owned()).collect();
                paths.sort();
                paths.dedup();
                Ok(Merged::Conflict(paths))
            }
            _ => Err(merged.failed()),
        }
    }

    /// Whether the target holds all the commit brings: it is in its history, or merging it would change
    /// nothing (it was squashed).
    pub(super) fn is_absorbed(&self, target_tip: &Oid, commit: &Oid) -> Result<bool, GitError> {
        if self.descends(target_tip, commit)? {
            return Ok(true);
        }
        if self.merge_base(target_tip, commit)?.is_none() {
            return Ok(false);
        }
        match self.merge_trees(target_tip, commit)? {
            Merged::Clean(tree) => Ok(tree == self.tree_of(target_tip)?),
            Merged::Conflict(_) => Ok(false),
        }
    }

    /// Where a ref stands that must exist.
    pub(super) fn expect_tip(&self, refname: &str) -> Result<Oid, GitError> {
        self.tip(refname)?.ok_or_else(|| GitError::NoSuchBranch {
            name: super::repo::short(refname).to_owned(),
            hint: None,
        })
    }
}
