//! Finding what was kept of a feature, and bringing it back: as files beside the project, or as its branch.
//!
//! Nothing that is kept is ever removed here, and no file, index or HEAD of the user's changes.

use super::error::{GitError, visible};
use super::repo::{RefEdit, Repo, branch_of, short};
use super::scratch::ScratchIndex;
use super::snapshot::lost_ref;
use super::tree::{Tree, make_dir, remove_any, same};
use super::worktrees::{Worktrees, resolved};
use crate::model::{Oid, Slug};
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

/// Why a commit was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeptKind {
    /// The snapshot after this iteration.
    Iteration(u32),
    /// It would otherwise have been dropped: uncommitted work in a worktree, a branch that was rewritten.
    Lost,
    /// The branch's tip from before it was started anew, removed or put elsewhere.
    Old,
}

/// A state of a feature that can be brought back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The full name of the ref that keeps it.
    pub refname: String,
    /// The commit.
    pub oid: Oid,
    /// Why it was kept.
    pub kind: KeptKind,
    /// When it was committed, in seconds since the Unix epoch.
    pub time: i64,
    /// First line of its message, control characters escaped.
    pub subject: String,
    /// Files that differ from its first parent, a rename counting twice; `None` when it has no parent.
    pub files_changed: Option<usize>,
}

/// What harness has left in a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traces {
    /// Branches of features.
    pub branches: usize,
    /// Kept iterations.
    pub iterations: usize,
}

impl Repo {
    /// What harness has left in this repository.
    ///
    /// # Errors
    /// The repository cannot be read.
    pub fn traces(&self) -> Result<Traces, GitError> {
        Ok(Traces {
            branches: self.refs("refs/heads/harness/")?.len(),
            iterations: self.refs("refs/harness/iterations/")?.len(),
        })
    }

    /// All that is kept of a feature: iterations by number, then what was lost and old tips, by time.
    /// Refs that name no commit which is there are left out.
    ///
    /// # Errors
    /// The repository cannot be read.
    pub fn kept(&self, slug: &Slug) -> Result<Vec<Kept>, GitError> {
        let mut found = Vec::new();
        for (iteration, oid) in self.snapshots(slug)? {
            let refname = format!("refs/harness/iterations/{slug}/{iteration}");
            found.push((KeptKind::Iteration(iteration), refname, oid));
        }
        let lost = self.refs("refs/harness/lost/")?.into_iter();
        // The names of features may begin alike: only the whole name tells whose it is.
        let lost = lost.filter(|(refname, oid)| *refname == lost_ref(slug.as_str(), oid));
        found.extend(lost.map(|(refname, oid)| (KeptKind::Lost, refname, oid)));
        let old = self.refs(&format!("refs/harness/old/{slug}/"))?.into_iter();
        found.extend(old.map(|(refname, oid)| (KeptKind::Old, refname, oid)));

        let mut kept = Vec::with_capacity(found.len());
        for (kind, refname, oid) in found {
            if !self.is_commit(&oid)? {
                continue;
            }
            let (commit, time) = self.dated(&oid)?;
            let parent = commit.parents.first();
            let changed = parent.map(|parent| self.changed_paths(parent, &oid));
            kept.push(Kept {
                refname,
                kind,
                time,
                subject: commit.subject,
                // A shallow clone does not have every parent.
                files_changed: changed.and_then(Result::ok).map(|paths| paths.len()),
                oid,
            });
        }
        kept.sort_by(|a, b| (a.kind, a.time, &a.refname).cmp(&(b.kind, b.time, &b.refname)));
        Ok(kept)
    }

    /// Writes all files of a commit into `dir`, which must be empty or not exist, as a checkout would:
    /// filters, executable files and links included, submodules as empty directories. Gives the number of
    /// files. No index, HEAD or work tree of the repository changes.
    ///
    /// # Errors
    /// The commit is not there; `dir` is a file, is not empty, or lies in the git directory; git or the
    /// disk failed. A directory that was made for it is removed again then.
    pub fn restore_to(&self, kept: &Oid, dir: &Path) -> Result<usize, GitError> {
        let tree = self.tree_of(kept)?;
        let absolute = std::path::absolute(dir).map_err(GitError::io("find", dir))?;
        let dir = resolved(&absolute);
        if dir.starts_with(self.git_dir()) {
            return Err(GitError::InTheWay {
                path: dir,
                why: "it lies in the git directory; name a directory outside of it".to_owned(),
            });
        }
        let made = make_empty(&dir)?;
        let restored = self.check_out(&tree, &dir);
        if restored.is_err() && made {
            // What failed is worth more than what a second failure would say.
            let _ = remove_any(&dir);
        }
        restored
    }

    /// Makes a new branch at a commit.
    ///
    /// # Errors
    /// The name cannot be a branch's or is taken, the commit is not there, or git failed.
    pub fn branch_at(&self, kept: &Oid, name: &str) -> Result<(), GitError> {
        let act = || format!("make the branch `{}`", visible(name));
        if !git2::Branch::name_is_valid(name).unwrap_or(false) {
            return Err(GitError::refused(act(), "no branch can be called so"));
        }
        if !self.is_commit(kept)? {
            return Err(GitError::refused(act(), "there is no such commit"));
        }
        let branch = format!("refs/heads/{name}");
        if self.tip(&branch)?.is_some() {
            return Err(GitError::refused(act(), "there is one; name another"));
        }
        self.update_refs("harness: recover", &[RefEdit::Move(&branch, None, kept)])
    }

    fn check_out(&self, tree: &Oid, dir: &Path) -> Result<usize, GitError> {
        let index = ScratchIndex::new(&self.git().at(dir))?;
        // `-m`: a file that somebody puts there meanwhile is not overwritten.
        let read = ["read-tree", "-m", "-u", "--no-recurse-submodules"];
        index.call(read).arg(tree.as_str()).ok()?;
        let listed = index.call(["ls-files", "--stage", "-z"]).ok()?;
        let is_file = |entry: &&[u8]| !entry.starts_with(b"160000 ");
        Ok(listed.fields().filter(is_file).count())
    }
}

impl Worktrees {
    /// Puts the feature's branch, which need not exist, at a commit. Gives the ref under
    /// `refs/harness/old/<slug>/` that keeps where it stood, if it stood elsewhere. A clean worktree of the
    /// pool that has the branch checked out is detached first, and the next preparation switches it.
    /// No agent may be at work on the feature.
    ///
    /// # Errors
    /// The commit is not there; the branch is checked out outside of the pool, or in the pool with
    /// uncommitted changes or in the middle of a rebase; it moved meanwhile; git failed. The branch stands
    /// where it stood then.
    pub fn restore_branch(&self, slug: &Slug, kept: &Oid) -> Result<Option<String>, GitError> {
        let _guard = self.guard();
        if !self.repo.is_commit(kept)? {
            let act = format!("put harness/{slug} at {}", kept.short());
            return Err(GitError::refused(act, "there is no such commit"));
        }
        // First what a run that was killed has left to be taken home: it moves the branch.
        for listed in self.list()? {
            if listed.feature.as_ref() == Some(slug)
                && let Some(tree) = self.usable(&listed.path)?
            {
                tree.heal(None, &self.repo)?;
            }
        }
        let branch = branch_of(slug);
        let old = self.repo.tip(&branch)?;
        if old.as_ref() == Some(kept) {
            return Ok(None);
        }
        let holders = self.holders(&branch)?;
        let mut released = Vec::new();
        let mut moved = Ok(());
        for tree in &holders {
            // First nobody's: a crash in between must not look like work to be resumed.
            let owner = tree.owner();
            released.push((tree, owner));
            moved = tree.set_owner(None).and_then(|()| match &old {
                Some(old) => tree.detach(old),
                None => Ok(()),
            });
            if moved.is_err() {
                break;
            }
        }
        let pin = old
            .as_ref()
            .map(|old| format!("refs/harness/old/{slug}/{}", old.short()));
        let moved = moved.and_then(|()| {
            let mut edits = vec![RefEdit::Move(&branch, old.as_ref(), kept)];
            edits.extend(
                pin.iter()
                    .zip(&old)
                    .map(|(pin, old)| RefEdit::Set(pin, old)),
            );
            self.repo.update_refs("harness: restore", &edits)
        });
        if let Err(error) = moved {
            for (tree, owner) in released {
                let back = tree.attach(&branch);
                // The first error is the one to tell.
                let _ = back.and_then(|()| tree.set_owner(owner.as_ref()));
            }
            return Err(error);
        }
        Ok(pin)
    }

    /// The pool's worktrees that have the branch checked out, all of them fit to be taken off it.
    fn holders(&self, branch: &str) -> Result<Vec<Tree>, GitError> {
        let mut holders = Vec::new();
        for place in self.repo.places(branch)? {
            let parent = place.path.parent();
            let in_pool = parent.is_some_and(|parent| same(parent, &self.dir));
            let Some(tree) = Tree::find(&self.repo, &place.path)?.filter(|_| in_pool) else {
                return Err(GitError::BranchInUse {
                    branch: short(branch).to_owned(),
                    path: place.path,
                });
            };
            if !tree.is_whole() {
                // Its directory is gone or was never finished: nobody's work is in it.
                self.remove(&tree.path)?;
                continue;
            }
            let busy = if tree.head(&self.repo)?.branch.as_deref() != Some(branch) {
                Some("a rebase or bisect of the branch is unfinished there")
            } else if !tree.is_clean()? || !tree.merge_heads().is_empty() {
                Some(
                    "it holds uncommitted changes; let the feature run on, or run `harness clean`: both keep them",
                )
            } else {
                None
            };
            if let Some(why) = busy {
                return Err(GitError::InTheWay {
                    path: tree.path,
                    why: why.to_owned(),
                });
            }
            holders.push(tree);
        }
        Ok(holders)
    }
}

/// Makes sure that `dir` is an empty directory; whether it had to be made.
fn make_empty(dir: &Path) -> Result<bool, GitError> {
    let in_the_way = |why: &str| {
        Err(GitError::InTheWay {
            path: dir.to_owned(),
            why: format!("{why}; name a new or empty directory"),
        })
    };
    match fs::read_dir(dir) {
        Ok(mut entries) => match entries.next() {
            None => Ok(false),
            Some(_) => in_the_way("it is not empty"),
        },
        Err(error) if error.kind() == ErrorKind::NotADirectory => {
            in_the_way("it is not a directory")
        }
        Err(error) if error.kind() != ErrorKind::NotFound => Err(GitError::io("list", dir)(error)),
        Err(_) => {
            if let Some(parent) = dir.parent() {
                make_dir(parent)?;
            }
            make_dir(dir)?;
            Ok(true)
        }
    }
}
