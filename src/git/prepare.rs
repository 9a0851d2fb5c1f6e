//! Preparing a worktree for a feature: the right branch at the right commit, nothing lost on the way.
//!
//! Preparing twice, or again after a crash at any point, is harmless. This file never runs the user's setup
//! commands and does not know whether an agent will be called.

use super::error::GitError;
use super::include;
use super::repo::{RefEdit, branch_of, short};
use super::tree::{Tree, same};
use super::worktrees::Worktrees;
use crate::fault::{self, Point};
use crate::model::{Oid, Slug, WorktreeName};
use std::fs;
use std::path::{Path, PathBuf};

/// A worktree that stands ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// Where it is.
    pub path: PathBuf,
    /// What the feature's work builds on: the merge base of its branch and the target.
    pub base: Oid,
    /// Where the feature's branch stands.
    pub tip: Oid,
    /// Whether an existing worktree was used again, with its caches (setup need not run again).
    pub recycled: bool,
    /// Whether uncommitted work of this feature was found in it and left as it was.
    pub resumed: bool,
    /// How many files `.worktreeinclude` brought.
    pub included: usize,
    /// What was odd about what lay in it; a sentence each, safe to show.
    pub notes: Vec<String>,
}

/// What is to become of the feature's branch.
struct Plan {
    branch: String,
    old: Option<Oid>,
    start: Oid,
    keep_old: bool,
}

impl Worktrees {
    /// Makes the worktree exist, on the feature's branch. A branch without commits of its own starts at
    /// the target's tip; one with commits that are not in the target is continued, or, when `fresh`, kept
    /// under `refs/harness/old/<slug>/` and started anew. Uncommitted work of the same feature stays as
    /// it is; anything else a recycled worktree holds is kept under `refs/harness/lost/` first.
    /// `include` is the `.worktreeinclude` file of the main checkout; it need not exist.
    ///
    /// # Errors
    /// The branch is checked out in a worktree of the user, something that is not ours is in the way, or
    /// git or the disk failed.
    pub fn prepare(
        &self,
        slug: &Slug,
        name: WorktreeName,
        target_ref: &str,
        fresh: bool,
        include: &Path,
    ) -> Result<Prepared, GitError> {
        let _guard = self.guard();
        let path = self.path(name);
        let target = self.repo.expect_tip(target_ref)?;
        self.repo.mend(&branch_of(slug))?;
        self.free_branch(slug, &path)?;
        let (tree, recycled) = match self.usable(&path)? {
            Some(tree) => (tree, true),
            None => (self.anew(&path, &target)?, false),
        };
        let notes = tree.heal(Some(slug), &self.repo)?;
        let resumed = !fresh && self.is_resumable(&tree, slug)?;
        let (tree, recycled, tip) = if resumed {
            let tip = tree.head(&self.repo)?.commit;
            let tip = self.repo.tip(&branch_of(slug))?.or(tip);
            (tree, true, tip.unwrap_or_else(|| target.clone()))
        } else {
            let plan = self.plan(slug, &target, fresh)?;
            if recycled {
                self.rescue(&tree)?;
            }
            let (tree, recycled) = self.give_to(tree, recycled, slug, &plan)?;
            (tree, recycled, plan.start)
        };
        tree.make_outbox()?;
        let base = self.repo.merge_base(&tip, &target)?;
        let base = base.ok_or_else(|| GitError::InTheWay {
            path: path.clone(),
            why: format!(
                "the branch harness/{slug} has no common history with {}; delete or rename it",
                short(target_ref)
            ),
        })?;
        let included = include::copy(&self.repo, include, &path, &tip, resumed)?;
        Ok(Prepared {
            path,
            base,
            tip,
            recycled,
            resumed,
            included,
            notes,
        })
    }

    /// A new worktree where there is none of ours, or only what is left of one.
    fn anew(&self, path: &Path, commit: &Oid) -> Result<Tree, GitError> {
        match Tree::find(&self.repo, path)? {
            // Its creation was cut short: no agent has ever been in it. Or its directory is gone.
            Some(_) if fs::symlink_metadata(path).is_ok_and(|meta| !meta.is_dir()) => {
                return Err(GitError::InTheWay {
                    path: path.to_owned(),
                    why: "it is not a directory; move it away".to_owned(),
                });
            }
            Some(_) => {}
            None => {
                self.refuse_foreign(path)?;
                self.rescue_files(path)?;
            }
        }
        self.remove(path)?;
        self.add(path, commit)
    }

    /// Whether the worktree was this feature's and holds something that a switch would undo.
    fn is_resumable(&self, tree: &Tree, slug: &Slug) -> Result<bool, GitError> {
        if tree.owner().as_ref() != Some(slug) {
            return Ok(false);
        }
        let on_branch = tree.head(&self.repo)?.branch.as_ref() == Some(&branch_of(slug));
        // A status that fails (a broken index) is no proof of cleanness: the next snapshot copes.
        Ok(!on_branch || !tree.is_clean().unwrap_or(false))
    }

    /// Features whose branch is checked out where harness must not touch it, and where that is.
    ///
    /// # Errors
    /// git failed.
    pub fn checked_out_elsewhere(&self) -> Result<Vec<(Slug, PathBuf)>, GitError> {
        let mut found = Vec::new();
        for checkout in self.repo.checkouts()? {
            let branch = checkout.branch.as_deref().unwrap_or_default();
            let slug = branch.strip_prefix("refs/heads/harness/");
            let Some(Ok(slug)) = slug.map(Slug::new) else {
                continue;
            };
            let parent = checkout.path.parent();
            if !parent.is_some_and(|parent| same(parent, &self.dir)) {
                found.push((slug, checkout.path));
            }
        }
        Ok(found)
    }

    /// Makes sure that the feature's branch is checked out in no other worktree.
    fn free_branch(&self, slug: &Slug, path: &Path) -> Result<(), GitError> {
        let branch = branch_of(slug);
        for checkout in self.repo.checkouts()? {
            if checkout.branch.as_ref() != Some(&branch) || same(&checkout.path, path) {
                continue;
            }
            let in_pool = checkout
                .path
                .parent()
                .is_some_and(|parent| same(parent, &self.dir));
            let found = Tree::find(&self.repo, &checkout.path)?.filter(|_| in_pool);
            let Some(other) = found else {
                return Err(GitError::BranchInUse {
                    branch: short(&branch).to_owned(),
                    path: checkout.path,
                });
            };
            self.release(&other, slug, &branch)?;
        }
        Ok(())
    }

    /// Takes the branch from a worktree of ours that an earlier run left on it, with the work in it.
    fn release(&self, other: &Tree, slug: &Slug, branch: &str) -> Result<(), GitError> {
        if !other.is_whole() {
            return self.remove(&other.path);
        }
        other.heal(None, &self.repo)?;
        let mut head = other.head(&self.repo)?.commit;
        if other.owner().as_ref() == Some(slug) {
            let rescued = match self.rescue(other)? {
                Some(name) => self.repo.tip(&name)?,
                None => None,
            };
            if let (Some(rescued), Some(old)) = (rescued, &head) {
                // The feature continues where it stopped.
                let edit = RefEdit::Move(branch, Some(old), &rescued);
                self.repo.update_refs("harness: go on elsewhere", &[edit])?;
                head = Some(rescued);
            }
            other.set_owner(None)?;
        }
        match head {
            Some(head) => other.detach(&head),
            None => Ok(()),
        }
    }

    fn plan(&self, slug: &Slug, target: &Oid, fresh: bool) -> Result<Plan, GitError> {
        let branch = branch_of(slug);
        let old = self.repo.tip(&branch)?;
        let merged = match &old {
            Some(old) => self.repo.descends(target, old)?,
            None => true,
        };
        let start = match &old {
            Some(old) if !merged && !fresh => old.clone(),
            _ => target.clone(),
        };
        if old.is_none() && self.repo.tip("refs/heads/harness")?.is_some() {
            return Err(GitError::InTheWay {
                path: self.repo.root().to_owned(),
                why: format!(
                    "a branch named `harness` keeps git from making `harness/{slug}`; rename it with \
                     `git branch -m harness <new name>`"
                ),
            });
        }
        Ok(Plan {
            keep_old: !merged && fresh,
            branch,
            old,
            start,
        })
    }

    /// Switches a worktree, whose content is kept, to the feature. One that cannot be switched is made anew.
    fn give_to(
        &self,
        tree: Tree,
        recycled: bool,
        slug: &Slug,
        plan: &Plan,
    ) -> Result<(Tree, bool), GitError> {
        // First: from here until the end it is nobody's, so that a crash in between is not taken for
        // work to be resumed.
        tree.set_owner(None)?;
        let (tree, recycled) = match tree.switch(&plan.start) {
            Ok(()) => (tree, recycled),
            Err(_) => {
                self.remove(&tree.path)?;
                (self.add(&tree.path, &plan.start)?, false)
            }
        };
        fault::past(Point::PrepareSwitched);
        let mut edits = Vec::new();
        let mut kept = String::new();
        if let Some(old) = plan.old.as_ref().filter(|_| plan.keep_old) {
            kept = format!("refs/harness/old/{slug}/{}", old.short());
            edits.push(RefEdit::Set(&kept, old));
        }
        if plan.old.as_ref() != Some(&plan.start) {
            edits.push(RefEdit::Move(&plan.branch, plan.old.as_ref(), &plan.start));
        }
        self.repo.update_refs("harness: prepare", &edits)?;
        tracing::debug!(%slug, path = %tree.path.display(), kept, "prepared");
        fault::past(Point::PrepareMoved);
        tree.attach(&plan.branch)?;
        fault::past(Point::PrepareAttached);
        tree.set_owner(Some(slug))?;
        fault::past(Point::PrepareOwned);
        Ok((tree, recycled))
    }
}
