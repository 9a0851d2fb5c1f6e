//! Candidates: the merge of a feature onto the target's tip, made without touching any work tree.
//!
//! This file never moves a branch. The result depends on the commits alone: options that the user's
//! configuration could bend are pinned.

use super::error::GitError;
use super::repo::{RefEdit, Repo, branch_of};
use crate::model::{Candidate, Oid, Slug};

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

/// What the user's configuration must not bend in a merge, in memory or in a worktree.
const PINNED: [&str; 6] = [
    "merge.renames=true",
    "merge.directoryRenames=conflict",
    "merge.conflictStyle=zdiff3",
    "merge.renameLimit=7000",
    "merge.renormalize=false",
    "diff.algorithm=histogram",
];

/// What came of a merge in memory.
pub(super) enum Merged {
    /// The tree.
    Clean(Oid),
    /// Conflicted paths.
    Conflict(Vec<String>),
}

/// What git alone makes of a merge.
pub(super) struct Automatic {
    /// The tree; conflicted files in it hold markers.
    pub(super) tree: Oid,
    /// Whether nothing clashed.
    pub(super) is_clean: bool,
    /// What clashed, sorted by path.
    pub(super) unmerged: Vec<Unmerged>,
}

/// One side of a conflicted path.
pub(super) struct Unmerged {
    pub(super) path: Vec<u8>,
    /// 1 the merge base's, 2 the feature's, 3 the landed one.
    pub(super) stage: usize,
    pub(super) mode: i32,
    pub(super) oid: Oid,
}

/// The options that pin a merge, to stand before the subcommand.
pub(super) fn pinned() -> Vec<String> {
    let pair = |config: &str| ["-c".to_owned(), config.to_owned()];
    PINNED.into_iter().flat_map(pair).collect()
}

/// Parses `<mode> <oid> <stage>\t<path>`, as `merge-tree` and `ls-files --unmerged` print it.
pub(super) fn unmerged<'a>(fields: impl Iterator<Item = &'a [u8]>) -> Vec<Unmerged> {
    let parsed = fields.filter_map(|field| {
        let tab = field.iter().position(|byte| *byte == b'\t')?;
        let head = std::str::from_utf8(&field[..tab]).ok()?;
        let mut words = head.split(' ');
        Some(Unmerged {
            mode: i32::from_str_radix(words.next()?, 8).ok()?,
            oid: Oid::parse(words.next()?)?,
            stage: words.next()?.parse().ok().filter(|n| (1..=3).contains(n))?,
            path: field[tab + 1..].to_vec(),
        })
    });
    parsed.collect()
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
        let merged = self.automatic(ours, theirs)?;
        if merged.is_clean {
            return Ok(Merged::Clean(merged.tree));
        }
        let paths = merged.unmerged.iter().map(|unmerged| &unmerged.path);
        let mut paths: Vec<String> = paths
            .map(|path| String::from_utf8_lossy(path).into_owned())
            .collect();
        paths.sort();
        paths.dedup();
        Ok(Merged::Conflict(paths))
    }

    /// What git alone makes of a merge, conflicts included.
    pub(super) fn automatic(&self, ours: &Oid, theirs: &Oid) -> Result<Automatic, GitError> {
        let mut options = pinned();
        if self.git_is_at_least((2, 41)) {
            options.push(format!("--attr-source={ours}"));
        }
        let merged = self
            .git()
            .call(["merge-tree", "--write-tree", "-z", "--no-messages"])
            .arg(ours.as_str())
            .arg(theirs.as_str())
            .options(options)
            .run()?;
        let mut fields = merged.fields();
        let tree = fields.next().map(String::from_utf8_lossy);
        match (merged.code, tree.and_then(|text| Oid::parse(&text))) {
            (code @ (0 | 1), Some(tree)) => Ok(Automatic {
                tree,
                is_clean: code == 0,
                unmerged: unmerged(fields),
            }),
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
