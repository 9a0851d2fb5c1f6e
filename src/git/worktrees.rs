//! The pool of worktrees: where they are, making and removing one, keeping what one holds, and the gate's.
//!
//! Adding and removing worktrees race with each other, so one lock serialises them. This file never touches
//! the user's own worktrees, and removes nothing before what it holds is on a ref.

use super::error::GitError;
use super::repo::{RefEdit, Repo};
use super::snapshot::lost_ref;
use super::stage::{Scratch, distrust_torn, stage};
use super::tree::{Tree, make_dir, remove_any, same, worktree_of};
use crate::fault::{self, Point};
use crate::model::{Oid, Slug, WorktreeName};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The pool. Cheap to clone; clones share the lock.
#[derive(Clone, Debug)]
pub struct Worktrees {
    pub(super) repo: Repo,
    pub(super) dir: PathBuf,
    /// The kernel's name for this boot, where it has one.
    pub(super) boot: Option<String>,
    lock: Arc<Mutex<()>>,
}

/// A worktree of the pool that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name; `None` for the gate's.
    pub name: Option<WorktreeName>,
    /// Where it is.
    pub path: PathBuf,
    /// The feature it was last prepared for.
    pub feature: Option<Slug>,
}

impl Worktrees {
    /// The pool in `dir`, which may be relative to the main checkout and need not exist yet.
    ///
    /// # Errors
    /// `dir` lies inside of the repository, where package managers, test runners and agents would find it.
    pub fn new(repo: Repo, dir: &Path) -> Result<Self, GitError> {
        let dir = resolved(&repo.root().join(dir));
        let inside = [repo.root(), repo.git_dir()]
            .iter()
            .any(|taken| dir.starts_with(taken));
        if inside {
            return Err(GitError::InTheWay {
                path: dir,
                why: format!(
                    "worktrees must not lie inside of the repository {}; name a directory outside of it, \
                     such as ../{}.harness",
                    repo.root().display(),
                    repo.name()
                ),
            });
        }
        Ok(Self {
            repo,
            dir,
            boot: None,
            lock: Arc::default(),
        })
    }

    /// The same pool in this boot: what is made now says so, see [`Worktrees::give_up_old`].
    #[must_use]
    pub fn in_boot(self, boot: Option<String>) -> Self {
        Self { boot, ..self }
    }

    /// The directory of the pool.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where a worktree is, or will be.
    #[must_use]
    pub fn path(&self, name: WorktreeName) -> PathBuf {
        self.dir.join(name.to_string())
    }

    /// Where a gate's worktree is, or will be: `gate`, `gate2`, and so on.
    #[must_use]
    pub fn gate_path(&self, place: u32) -> PathBuf {
        self.dir.join(match place {
            0 | 1 => "gate".to_owned(),
            place => format!("gate{place}"),
        })
    }

    /// The worktrees of the pool that exist or are registered with git, `w1` first, the gate's last.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn list(&self) -> Result<Vec<Listed>, GitError> {
        let mut names: Vec<String> = entries(&self.dir)?
            .iter()
            .filter_map(|path| path.file_name()?.to_str().map(str::to_owned))
            .collect();
        for admin in entries(&self.repo.git_dir().join("worktrees"))? {
            let Some(path) = worktree_of(&admin) else {
                continue;
            };
            if path.parent().is_some_and(|parent| same(parent, &self.dir)) {
                names.extend(
                    path.file_name()
                        .and_then(|name| name.to_str())
                        .map(str::to_owned),
                );
            }
        }
        let mut found: Vec<Listed> = Vec::new();
        for name in names {
            let number = name
                .strip_prefix('w')
                .and_then(|n| n.parse().ok())
                .map(WorktreeName);
            let number = number.filter(|number| number.to_string() == name);
            let gate = name.strip_prefix("gate").is_some_and(|rest| {
                rest.is_empty()
                    || rest
                        .parse()
                        .is_ok_and(|n: u32| n > 1 && n.to_string() == rest)
            });
            if number.is_none() && !gate {
                continue;
            }
            let path = self.dir.join(&name);
            let feature = Tree::find(&self.repo, &path)?.and_then(|tree| tree.owner());
            found.push(Listed {
                name: number,
                path,
                feature,
            });
        }
        found.sort_by_key(|listed| (listed.name.is_none(), listed.name));
        found.dedup();
        Ok(found)
    }

    /// A gate's worktree, holding exactly this commit, HEAD detached. Ignored files of earlier gates stay:
    /// they are build caches. With `scrub` they go, for a gate that should not trust them.
    ///
    /// # Errors
    /// It cannot be made, or what git checks out is not what the commit holds (a filter is missing, say).
    pub fn gate_checkout(
        &self,
        commit: &Oid,
        place: u32,
        scrub: bool,
    ) -> Result<PathBuf, GitError> {
        let _guard = self.guard();
        let path = self.gate_path(place);
        if let Some(tree) = self.usable(&path)? {
            let scrubbed = || match scrub {
                true => tree.git.call(["clean", "-ffdxq"]).ok().map(|_| ()),
                false => Ok(()),
            };
            let ready = tree
                .heal(None, &self.repo)
                .and_then(|_| tree.switch(commit))
                .and_then(|()| scrubbed())
                .and_then(|()| self.unlike(&tree, commit));
            if ready.is_ok_and(|difference| difference.is_none()) {
                return Ok(path);
            }
        }
        self.remove(&path)?;
        let made = self.add(&path, commit);
        let tree = made.map_err(|error| error.checking_out(commit))?;
        match self.unlike(&tree, commit)? {
            None => Ok(path),
            Some(difference) => Err(GitError::Unfit {
                commit: commit.clone(),
                why: format!(
                    "a fresh checkout differs from it: {difference}; is a filter missing, or does \
                     .gitattributes disagree with what was committed?"
                ),
            }),
        }
    }

    /// How a worktree differs from a commit, if it does.
    fn unlike(&self, tree: &Tree, commit: &Oid) -> Result<Option<String>, GitError> {
        let head = tree.head(&self.repo)?.commit;
        let same_tree = match head {
            Some(head) => self.repo.tree_of(&head)? == self.repo.tree_of(commit)?,
            None => false,
        };
        if !same_tree {
            return Ok(Some("another commit is checked out".to_owned()));
        }
        if let Some(path) = self.repo.changed_submodule(tree, commit)? {
            let path = super::error::visible(&path.to_string_lossy());
            return Ok(Some(format!("something inside {path} was changed")));
        }
        let status = tree.status()?;
        let shown: String = super::error::visible(&status).chars().take(500).collect();
        Ok((!status.is_empty()).then_some(shown))
    }

    /// Serialises everything that adds, removes or switches worktrees.
    pub(super) fn guard(&self) -> MutexGuard<'_, ()> {
        self.lock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The worktree at `path` if it is ours and whole.
    pub(super) fn usable(&self, path: &Path) -> Result<Option<Tree>, GitError> {
        Ok(Tree::find(&self.repo, path)?.filter(Tree::is_whole))
    }

    /// The worktree that was prepared for this feature.
    pub(super) fn prepared_for(&self, slug: &Slug, name: WorktreeName) -> Result<Tree, GitError> {
        let path = self.path(name);
        let tree = self.usable(&path)?;
        let tree = tree.filter(|tree| tree.owner().as_ref() == Some(slug));
        tree.ok_or_else(|| GitError::InTheWay {
            path,
            why: format!("it is not prepared for `{slug}`"),
        })
    }

    /// A new worktree at `path`, where nothing is, HEAD detached.
    pub(super) fn add(&self, path: &Path, commit: &Oid) -> Result<Tree, GitError> {
        make_dir(path)?;
        let tree = Tree::at(
            &self.repo,
            path,
            self.repo.register(path, commit, self.boot.as_deref())?,
        );
        fault::past(Point::WorktreeRegistered);
        tree.heal(None, &self.repo)?;
        tree.switch(commit)?;
        fault::past(Point::WorktreeFilled);
        tree.unlock()?;
        Ok(tree)
    }

    /// Removes the worktree at `path` from disk and from git's list. What it holds must be kept before; what was
    /// committed in it is.
    pub(super) fn remove(&self, path: &Path) -> Result<(), GitError> {
        let tree = Tree::find(&self.repo, path)?;
        match &tree {
            Some(tree) => drop(tree.take_home(&self.repo)?),
            None => self.refuse_foreign(path)?,
        }
        remove_any(path)?;
        fault::past(Point::WorktreeGone);
        match tree {
            Some(tree) => self.repo.forget_worktree(&tree.admin),
            None => Ok(()),
        }
    }

    /// An error when what is at `path` is somebody else's: a file, a link, a repository, or a worktree of
    /// another repository.
    pub(super) fn refuse_foreign(&self, path: &Path) -> Result<(), GitError> {
        let refused = |what: &str| {
            Err(GitError::InTheWay {
                path: path.to_owned(),
                why: format!("{what}; move it away"),
            })
        };
        let Ok(meta) = fs::symlink_metadata(path) else {
            return Ok(());
        };
        if !meta.is_dir() {
            return refused("it is not a directory");
        }
        let link = path.join(".git");
        match fs::symlink_metadata(&link) {
            Err(_) if entries(path)?.is_empty() => Ok(()),
            Err(_) => refused("it holds files that harness did not put there"),
            Ok(meta) if meta.is_dir() => refused("it is a repository of its own"),
            Ok(_) => {
                let text = fs::read(&link).unwrap_or_default();
                let named = text
                    .strip_prefix(b"gitdir: ")
                    .unwrap_or_default()
                    .trim_ascii_end();
                // One that names nothing, as a power cut leaves it, is nobody's.
                let admin = path.join(super::repo::to_path(named));
                if !named.is_empty()
                    && admin.is_dir()
                    && !resolved(&admin).starts_with(self.repo.git_dir())
                {
                    return refused("it is a worktree of another repository");
                }
                Ok(())
            }
        }
    }

    /// Keeps what a worktree holds and no ref does, under `refs/harness/lost/`. Gives the ref, if one
    /// was needed.
    pub(super) fn rescue(&self, tree: &Tree) -> Result<Option<String>, GitError> {
        self.rescue_as(&tree.path, tree)
    }

    /// The same, under the last part of this path as a name.
    pub(super) fn rescue_as(&self, whose: &Path, tree: &Tree) -> Result<Option<String>, GitError> {
        tree.heal(None, &self.repo)?;
        distrust_torn(tree)?;
        let head = tree.head(&self.repo)?;
        let on_branch = head.branch.is_some();
        if let Some(stash) = tree.autostash() {
            self.pin_lost(whose, &stash)?;
        }
        let Some(head) = head.commit else {
            // Unborn or broken: everything in it is new.
            return self.rescue_files(&tree.path);
        };
        let kept = if tree.is_clean().unwrap_or(false) {
            head.clone()
        } else {
            let staged = stage(&self.repo, &tree.git, &head)?;
            if staged.tree == self.repo.tree_of(&head)? {
                head.clone()
            } else {
                let message = "Work left uncommitted in a worktree\n";
                self.repo
                    .commit(&staged.tree, std::slice::from_ref(&head), message)?
            }
        };
        if kept == head && (on_branch || self.is_on_a_ref(&head)?) {
            return Ok(None);
        }
        self.pin_lost(whose, &kept).map(Some)
    }

    /// Keeps the files of a directory that git does not know as a worktree.
    pub(super) fn rescue_files(&self, path: &Path) -> Result<Option<String>, GitError> {
        let empty = entries(path)?.iter().all(|entry| entry.ends_with(".git"));
        if empty {
            return Ok(None);
        }
        let Some(head) = self.any_commit()? else {
            return Ok(None);
        };
        let scratch = Scratch::beside(&self.repo.git_dir().join("index"), 99)?;
        let git = self.repo.git().at(path).with_index(&scratch.0);
        let staged = stage(&self.repo, &git, &head)?;
        let message = "Files left in a directory of the worktree pool\n";
        let commit = self.repo.commit(&staged.tree, &[head], message)?;
        self.pin_lost(path, &commit).map(Some)
    }

    fn pin_lost(&self, path: &Path, commit: &Oid) -> Result<String, GitError> {
        let whose = path.file_name().unwrap_or_default().to_string_lossy();
        let name = lost_ref(&whose, commit);
        let edit = RefEdit::Set(&name, commit);
        self.repo
            .update_refs("harness: keep what was left", &[edit])?;
        Ok(name)
    }

    fn is_on_a_ref(&self, commit: &Oid) -> Result<bool, GitError> {
        let call = self
            .repo
            .git()
            .call(["for-each-ref", "--count=1", "--contains"]);
        Ok(!call.arg(commit.as_str()).ok()?.stdout.is_empty())
    }

    /// A commit to hang rescued files on.
    fn any_commit(&self) -> Result<Option<Oid>, GitError> {
        Ok(self
            .repo
            .refs("refs/heads/")?
            .into_iter()
            .next()
            .map(|(_, oid)| oid))
    }
}

/// The entries of a directory, sorted; none when it is not there.
pub(super) fn entries(dir: &Path) -> Result<Vec<PathBuf>, GitError> {
    let listed = match fs::read_dir(dir) {
        Ok(listed) => listed,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(GitError::io("list", dir)(error)),
    };
    let paths: Result<Vec<PathBuf>, _> = listed
        .map(|entry| entry.map(|entry| entry.path()))
        .collect();
    let mut paths = paths.map_err(GitError::io("list", dir))?;
    paths.sort();
    Ok(paths)
}

/// `path` with links resolved and `..` gone, as far as it exists; the rest as it is written.
pub(super) fn resolved(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => {
                plain = plain.canonicalize().unwrap_or(plain);
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    let mut rest = Vec::new();
    let mut known = plain.as_path();
    loop {
        if let Ok(found) = known.canonicalize() {
            return rest.iter().rev().fold(found, |path, name| path.join(name));
        }
        match (known.parent(), known.file_name()) {
            (Some(parent), Some(name)) => {
                rest.push(name.to_owned());
                known = parent;
            }
            _ => return plain,
        }
    }
}
