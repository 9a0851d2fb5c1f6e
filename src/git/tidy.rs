//! Removing what is no longer needed: free worktrees, landed branches, candidates, pins of merges that were handed back.
//!
//! Runs when no agent does. This file never removes a commit that is on no other ref, and nothing of the user's.

use super::error::GitError;
use super::repo::{RefEdit, branch_of, short};
use super::tree::Tree;
use super::worktrees::{Listed, Worktrees};
use crate::fault::{self, Point};
use crate::model::{Oid, Slug, WorktreeName};
use std::fs;

/// What `harness clean` did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// Directories of worktrees that are gone.
    pub worktrees: Vec<String>,
    /// Branches that are gone.
    pub branches: Vec<String>,
    /// Branches that stay, and why.
    pub kept_branches: Vec<(String, String)>,
    /// Refs under which work was kept that was on no ref before.
    pub rescued: Vec<String>,
    /// What else stands in the pool: not harness's, and left alone.
    pub strangers: Vec<String>,
}

/// A branch that is to go.
struct Going {
    branch: String,
    tip: Oid,
    /// Where its commits are kept, if nothing else holds them.
    old: Option<String>,
}

impl Going {
    fn edits(&self) -> impl Iterator<Item = RefEdit<'_>> {
        let kept = self.old.iter().map(|old| RefEdit::Set(old, &self.tip));
        std::iter::once(RefEdit::Delete(&self.branch, &self.tip)).chain(kept)
    }
}

impl Worktrees {
    /// Removes the gate's worktree and all others but `keep`, the branches of landed features that still
    /// stand where they landed, and all candidates and pins of merges. Uncommitted work goes to `refs/harness/lost/` first.
    ///
    /// # Errors
    /// git or the disk failed; doing it again continues.
    pub fn tidy(
        &self,
        keep: &[WorktreeName],
        landed: &[(Slug, Oid)],
        target_ref: &str,
    ) -> Result<(), GitError> {
        let _guard = self.guard();
        self.repo.clear_apart()?;
        let mut done = Cleaned::default();
        for listed in self.list()? {
            if listed.name.is_none_or(|name| !keep.contains(&name)) {
                self.remove_kept(&listed, &mut done)?;
            }
        }
        fault::past(Point::TidyWorktrees);
        if let Some(target) = self.repo.tip(target_ref)? {
            let mut branches = Vec::new();
            for (slug, oid) in landed {
                let branch = branch_of(slug);
                let tip = self.repo.tip(&branch)?.filter(|tip| tip == oid);
                branches.extend(tip.map(|tip| (branch, tip)));
            }
            self.drop_branches(branches, &target, false, &mut done)?;
        }
        fault::past(Point::TidyBranches);
        self.drop_pins()?;
        fault::past(Point::TidyPins);
        self.drop_integration(false, &mut done)?;
        self.drop_dir();
        fault::past(Point::TidyDone);
        Ok(())
    }

    /// Removes one gate's worktree.
    ///
    /// # Errors
    /// git or the disk failed; doing it again continues.
    pub fn discard_gate(&self, place: u32) -> Result<(), GitError> {
        let _guard = self.guard();
        self.remove(&self.gate_path(place))?;
        self.drop_dir();
        Ok(())
    }

    /// Removes all of it: every worktree of the pool, every branch `harness/*` whose commits the target
    /// holds, all candidates and pins of merges. With `force` the other branches go too; their tips stay under
    /// `refs/harness/old/`. Snapshots stay.
    ///
    /// # Errors
    /// git or the disk failed; doing it again continues.
    pub fn clean(&self, target_ref: &str, force: bool) -> Result<Cleaned, GitError> {
        let _guard = self.guard();
        self.repo.clear_apart()?;
        let mut done = Cleaned::default();
        for listed in self.list()? {
            self.remove_kept(&listed, &mut done)?;
        }
        let target = self.repo.expect_tip(target_ref)?;
        let branches = self.repo.refs("refs/heads/harness/")?;
        self.drop_branches(branches, &target, force, &mut done)?;
        self.drop_pins()?;
        self.drop_integration(force, &mut done)?;
        self.drop_dir();
        let left = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        done.strangers = left
            .map(|entry| entry.path().display().to_string())
            .collect();
        done.strangers.sort();
        Ok(done)
    }

    /// Removes worktrees and branches of these features, which have landed; what the target does not hold stays.
    ///
    /// # Errors
    /// git or the disk failed; doing it again continues.
    pub fn drop_landed(&self, slugs: &[Slug], target_ref: &str) -> Result<Cleaned, GitError> {
        let _guard = self.guard();
        let mut done = Cleaned::default();
        for listed in self.list()? {
            if listed
                .feature
                .as_ref()
                .is_some_and(|slug| slugs.contains(slug))
            {
                self.remove_kept(&listed, &mut done)?;
            }
        }
        let target = self.repo.expect_tip(target_ref)?;
        let mut branches = Vec::new();
        for slug in slugs {
            let branch = branch_of(slug);
            let tip = self.repo.tip(&branch)?;
            branches.extend(tip.map(|tip| (branch, tip)));
        }
        self.drop_branches(branches, &target, false, &mut done)?;
        self.drop_dir();
        Ok(done)
    }

    /// Removes one worktree, after keeping what no ref holds.
    fn remove_kept(&self, listed: &Listed, done: &mut Cleaned) -> Result<(), GitError> {
        // What gates leave behind was made by commands, not by anyone's work.
        if listed.name.is_some() {
            let rescued = match Tree::find(&self.repo, &listed.path)? {
                Some(tree) if tree.is_whole() => self.rescue(&tree)?,
                Some(_) => None,
                None => {
                    self.refuse_foreign(&listed.path)?;
                    self.rescue_files(&listed.path)?
                }
            };
            done.rescued.extend(rescued);
        }
        self.remove(&listed.path)?;
        done.worktrees.push(listed.path.display().to_string());
        Ok(())
    }

    /// Deletes branches whose commits are in the target, or, with `force`, any: all at once, since a night leaves hundreds
    /// and each change of packed refs writes all of them anew.
    fn drop_branches(
        &self,
        branches: Vec<(String, Oid)>,
        target: &Oid,
        force: bool,
        done: &mut Cleaned,
    ) -> Result<(), GitError> {
        if branches.is_empty() {
            return Ok(());
        }
        let checkouts = self.repo.checkouts()?;
        let tips = branches.iter().map(|(_, tip)| tip.clone()).collect();
        let held = self.repo.held_lately(target, tips)?;
        let mut going = Vec::new();
        for (branch, tip) in branches {
            let name = short(&branch);
            let mut in_use = checkouts.iter();
            let in_use = in_use.find(|checkout| checkout.branch.as_deref() == Some(&branch));
            let is_held = held.contains(&tip) || self.repo.descends(target, &tip)?;
            let why = match in_use {
                Some(checkout) => format!("it is checked out in {}", checkout.path.display()),
                None if force || is_held || self.repo.is_absorbed(target, &tip)? => String::new(),
                None => "its work has not landed".to_owned(),
            };
            if !why.is_empty() {
                done.kept_branches.push((name.to_owned(), why));
                continue;
            }
            let slug = name.strip_prefix("harness/").unwrap_or(name);
            // Squashed or forced: the target's history does not hold these commits.
            let old = (!is_held).then(|| format!("refs/harness/old/{slug}/{}", tip.short()));
            going.push(Going { branch, tip, old });
        }
        self.drop_all(&going)?;
        let names = going.iter().map(|going| short(&going.branch).to_owned());
        done.branches.extend(names);
        Ok(())
    }

    /// Deletes all of them in one step; where that fails, one by one, so that one that cannot be deleted keeps no other.
    fn drop_all(&self, going: &[Going]) -> Result<(), GitError> {
        let edits: Vec<RefEdit<'_>> = going.iter().flat_map(Going::edits).collect();
        let Err(error) = self.repo.update_refs("harness: tidy", &edits) else {
            return Ok(());
        };
        if going.len() == 1 {
            return Err(error);
        }
        let each = going.iter().map(|one| {
            let edits: Vec<RefEdit<'_>> = one.edits().collect();
            self.repo.update_refs("harness: tidy", &edits)
        });
        // All are tried before the first that failed is told.
        each.fold(Ok(()), Result::and)
    }

    /// Deletes integration refs whose targets hold all of them, or, with `force`, all; what no target holds
    /// stays under `refs/harness/old/integration/`.
    fn drop_integration(&self, force: bool, done: &mut Cleaned) -> Result<(), GitError> {
        for (name, tip) in self.repo.refs("refs/harness/integration/")? {
            let target = name.replacen("refs/harness/integration/", "refs/heads/", 1);
            let held = match self.repo.tip(&target)? {
                Some(target) => self.repo.descends(&target, &tip)?,
                None => false,
            };
            if !held && !force {
                let why = format!("{} does not hold all that has landed", short(&target));
                done.kept_branches.push((name, why));
                continue;
            }
            let old = format!("refs/harness/old/integration/{}", tip.short());
            let mut edits = vec![RefEdit::Delete(&name, &tip)];
            if !held {
                edits.push(RefEdit::Set(&old, &tip));
                done.branches.push(name.clone());
            }
            self.repo.update_refs("harness: tidy", &edits)?;
        }
        Ok(())
    }

    fn drop_pins(&self) -> Result<(), GitError> {
        let mut refs = self.repo.refs("refs/harness/candidates/")?;
        refs.extend(self.repo.refs("refs/harness/onto/")?);
        let edits: Vec<RefEdit<'_>> = refs
            .iter()
            .map(|(name, oid)| RefEdit::Delete(name, oid))
            .collect();
        self.repo.update_refs("harness: tidy", &edits)
    }

    /// Removes the pool's directory if nothing is left in it.
    fn drop_dir(&self) {
        // Not empty or not there: both are fine.
        let _ = fault::at(Point::GitDirPrune).and_then(|()| fs::remove_dir(&self.dir));
    }
}
