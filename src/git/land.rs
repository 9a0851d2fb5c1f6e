//! Publishing: moving the target to what has landed, and never anything but forward.
//!
//! This file never stashes, resets, forces or pushes. Files of the user's checkout change only where git's own
//! fast-forward allows it; a branch that is checked out is never moved behind its work tree's back.

use super::cli::Output;
use super::error::{GitError, visible};
use super::forward::Moved;
use super::repo::{RefEdit, Repo, short};
use super::tree::worktree_of;
use crate::fault::{self, Point};
use crate::model::{Oid, PublishOutcome};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// git's words when the user's own files or locks stand in the way, and it therefore changed nothing.
const IN_THE_WAY: [&str; 7] = [
    "would be overwritten",
    "would lose untracked files",
    "not uptodate",
    "cannot merge",
    "unmerged",
    "index.lock",
    "have not concluded",
];
/// How long a command that was begun here before may take to come to its end.
const PATIENCE: Duration = Duration::from_secs(2);
/// What is said of another command's lock.
pub(super) const LOCKED: &str = "another git command is running there, or left index.lock behind";
/// Files whose presence says that a work tree is in the middle of something, of what, and what ends that.
const OPERATIONS: [(&str, &str); 7] = [
    (
        "MERGE_HEAD",
        "a merge is in progress there, which `git merge --continue` or `git merge --abort` ends",
    ),
    (
        "rebase-merge",
        "a rebase is in progress there, which `git rebase --continue` or `git rebase --abort` ends",
    ),
    (
        "rebase-apply",
        "a rebase or `git am` is in progress there, which its `--continue` or `--abort` ends",
    ),
    (
        "CHERRY_PICK_HEAD",
        "a cherry-pick is in progress there, which `git cherry-pick --continue` or `git cherry-pick --abort` ends",
    ),
    (
        "REVERT_HEAD",
        "a revert is in progress there, which `git revert --continue` or `git revert --abort` ends",
    ),
    (
        "sequencer",
        "a cherry-pick or revert is in progress there, which its `--continue` or `--abort` ends",
    ),
    (
        "BISECT_LOG",
        "a bisect is in progress there, which `git bisect reset` ends",
    ),
];

/// A work tree that a branch concerns.
pub(super) struct Place {
    pub(super) git_dir: PathBuf,
    pub(super) path: PathBuf,
}

impl Place {
    /// What stands in the way here, and the command that finishes it.
    fn blocks(&self, why: &str, to: &Oid) -> String {
        let path = self.path.display();
        format!(
            "{path}: {why}; once it is out of the way harness goes on, or: git -C {path} merge --ff-only {to}"
        )
    }
}

impl Repo {
    /// Moves the target to `to`, which has landed. Doing it twice is harmless. Where the target is checked
    /// out, git fast-forwards that checkout, keeping uncommitted changes that do not overlap. `known` is where
    /// the target was last known to stand.
    ///
    /// # Errors
    /// The repository cannot be read or git was killed; the target then stands where it stood, or at `to`,
    /// and asking again tells which.
    pub fn publish(
        &self,
        target_ref: &str,
        known: &Oid,
        to: &Oid,
    ) -> Result<PublishOutcome, GitError> {
        let Some(tip) = self.tip(target_ref)? else {
            let name = short(target_ref);
            let why =
                format!("the branch `{name}` is gone; `git branch {name} {to}` brings it back");
            return Ok(PublishOutcome::Waiting { why });
        };
        if tip == *to {
            return Ok(PublishOutcome::Done);
        }
        if !self.descends(to, &tip)? || self.is_set_back(known, &tip)? {
            return self.elsewhere(target_ref, known, to);
        }
        let why = match self.places(target_ref)?.as_slice() {
            [] => self.move_ref(target_ref, &tip, to)?,
            [place] => match self.fast_forward(place, target_ref, to)? {
                Ok(why) => why,
                Err(why) => place.blocks(&why, to),
            },
            [first, second, ..] => {
                let other = second.path.display();
                first.blocks(
                    &format!("the target is checked out twice, also in {other}"),
                    to,
                )
            }
        };
        // Whatever was said, where the ref stands is the answer.
        match self.tip(target_ref)? {
            Some(now) if now == *to => Ok(PublishOutcome::Done),
            Some(now) if now != tip => self.elsewhere(target_ref, known, to),
            _ => Ok(PublishOutcome::Waiting { why }),
        }
    }

    /// The target stands neither at `to` nor where it can be reached from.
    fn elsewhere(
        &self,
        target_ref: &str,
        known: &Oid,
        to: &Oid,
    ) -> Result<PublishOutcome, GitError> {
        let ground = self.ground(target_ref, Some(known))?;
        Ok(if self.descends(&ground.target, to)? {
            PublishOutcome::Beyond { ground }
        } else {
            PublishOutcome::Moved { ground }
        })
    }

    /// The target is checked out nowhere: compare and swap. Says why it failed, if it did.
    fn move_ref(&self, target_ref: &str, from: &Oid, to: &Oid) -> Result<String, GitError> {
        let edit = RefEdit::Move(target_ref, Some(from), to);
        fault::past(Point::PublishMoving);
        let output = self.try_update_refs("harness: publish", &[edit])?;
        fault::past(Point::PublishMoved);
        Ok(output.complaint())
    }

    /// Fast-forwards one checkout. `Err` holds why the user's checkout does not let it happen, `Ok` what
    /// git said otherwise.
    fn fast_forward(
        &self,
        place: &Place,
        target_ref: &str,
        to: &Oid,
    ) -> Result<Result<String, String>, GitError> {
        if let Some(told) = self.finish_move(place, PATIENCE)? {
            tracing::info!(told, "a checkout was put right");
        }
        if let Some(what) = busy(&place.git_dir) {
            return Ok(Err(what.to_owned()));
        }
        if !place.path.is_dir() {
            let why = "git has a worktree registered there, but it is gone; `git worktree prune` forgets it";
            return Ok(Err(why.to_owned()));
        }
        Ok(match self.move_forward(place, target_ref, to)? {
            Moved::Ended(why) => Ok(why),
            Moved::Blocked(why) => Err(why),
        })
    }

    /// Work trees that have the branch checked out, or are rebasing or bisecting it.
    pub(super) fn places(&self, branch: &str) -> Result<Vec<Place>, GitError> {
        let mut all = self.all_places()?;
        all.retain(|place| stands_on(&place.git_dir, branch));
        Ok(all)
    }

    /// All work trees, with their git directories.
    pub(super) fn all_places(&self) -> Result<Vec<Place>, GitError> {
        let mut all = vec![Place {
            git_dir: self.git_dir().to_owned(),
            path: self.root().to_owned(),
        }];
        let linked = self.git_dir().join("worktrees");
        for entry in fs::read_dir(&linked).into_iter().flatten() {
            let git_dir = entry.map_err(GitError::io("list", &linked))?.path();
            if let Some(path) = worktree_of(&git_dir) {
                all.push(Place { git_dir, path });
            }
        }
        Ok(all)
    }
}

/// What a person is in the middle of in the work tree of this git directory, and what ends it.
pub(super) fn operation(git_dir: &Path) -> Option<&'static str> {
    let found = OPERATIONS
        .iter()
        .find(|(name, _)| git_dir.join(name).exists());
    found.map(|(_, what)| *what)
}

/// The same, or that another git command has its lock.
pub(super) fn busy(git_dir: &Path) -> Option<&'static str> {
    match git_dir.join("index.lock").exists() {
        true => Some(LOCKED),
        false => operation(git_dir),
    }
}

/// So many files in the way are named.
const MOST_NAMED: usize = 20;

/// What git said of a checkout that does not let itself be moved forward, in fewer words where they are known.
pub(super) fn refusal(merged: &Output) -> String {
    let mut lines = merged.stderr.lines();
    let Some(head) = lines.find(|line| line.ends_with(" would be overwritten by merge:")) else {
        return merged.complaint();
    };
    // Each on a line of its own, behind a tab.
    let names: Vec<String> = lines
        .take_while(|line| line.starts_with('\t'))
        .map(|line| visible(line.trim()))
        .collect();
    let first = names.iter().take(MOST_NAMED).cloned().collect::<Vec<_>>();
    let names = match names.len().saturating_sub(MOST_NAMED) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    };
    match head.contains("untracked") {
        true => {
            format!("files that git does not know stand where these land: {names}; move them away")
        }
        false => format!("you have edited what lands there: {names}; commit or stash that"),
    }
}

/// Whether git refused because of what stands in the checkout, and therefore changed nothing.
pub(super) fn is_in_the_way(merged: &Output) -> bool {
    IN_THE_WAY.iter().any(|words| merged.stderr.contains(words))
}

/// Whether the work tree of this git directory has the branch checked out or will move it.
fn stands_on(git_dir: &Path, branch: &str) -> bool {
    let line = |name: &str| {
        let text = fs::read_to_string(git_dir.join(name)).unwrap_or_default();
        text.trim_end().to_owned()
    };
    let updates = line("rebase-merge/update-refs");
    line("HEAD").strip_prefix("ref: ") == Some(branch)
        || line("rebase-merge/head-name") == branch
        || line("rebase-apply/head-name") == branch
        || line("BISECT_START") == short(branch)
        || updates.lines().any(|found| visible(found) == branch)
}
