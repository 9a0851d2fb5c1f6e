//! What git commands that were killed leave in the repository: locks, drafts, worktrees half made or half removed.
//!
//! Whose a lock is, is decided by where it stands and what it holds, never by its age. Nobody but harness and its agents
//! writes in the administrative directories of the pool's worktrees, below `refs/harness/` and on features' branches that
//! are checked out nowhere else. Elsewhere a lock is ours only if it holds what only a command of ours writes; all others
//! are named and left. That no command of ours is at work is for the caller to know.

use super::error::GitError;
use super::forward::is_record;
use super::ground::integration_ref;
use super::register::APART;
use super::repo::{Repo, branch_of, short};
use super::tree::{Tree, remove_any, remove_file, same, worktree_of, write};
use super::worktrees::{Worktrees, entries};
use crate::fault::{self, Point};
use crate::model::{Oid, Slug};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The lock of all refs that have no file of their own, and the draft of what it guards.
const PACKED_LOCK: &str = "packed-refs.lock";
const PACKED_DRAFT: &str = "packed-refs.new";
/// What stands in a lock that harness takes itself.
const WORDS: &[u8] = b"harness holds this lock; if none runs, `harness doctor --fix` removes it\n";
/// Where that is written before it becomes a lock.
const OWN_LOCK: &str = "harness-lock";
/// Copies of indexes, and drafts of our own files.
const SCRATCH: &str = "harness-index-";
const DRAFT: &str = "new";

/// Where candidates are pinned.
const CANDIDATES: &str = "refs/harness/candidates";

/// Something that a killed command left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Litter {
    /// Where it is.
    pub path: PathBuf,
    /// What it is, for people.
    pub what: &'static str,
    /// Whether it is certain to be nobody's but harness's.
    pub is_ours: bool,
}

impl Worktrees {
    /// All that killed commands left, what is ours first. Reading only.
    ///
    /// # Errors
    /// A directory cannot be read.
    pub fn litter(&self, target_ref: Option<&str>) -> Result<Vec<Litter>, GitError> {
        let mut found = Found::default();
        self.in_the_pool(&mut found)?;
        self.among_refs(&mut found)?;
        let git_dir = self.repo.git_dir();
        if let Some(target) = target_ref {
            self.on_the_target(target, &mut found)?;
        }
        for path in entries(git_dir)? {
            // Who writes the packed refs holds their lock.
            if path.ends_with(PACKED_DRAFT) && !exists(&git_dir.join(PACKED_LOCK)) {
                found.ours(path, "a draft of packed-refs");
                continue;
            }
            if path.ends_with(APART) || path.ends_with(OWN_LOCK) {
                found.ours(path, "a draft of harness's");
                continue;
            }
            match is_lock(&path) {
                // Of a checkout that was being moved forward: more than the lock is to be put right.
                true if is_record(&path) => {}
                true if fs::read(&path).is_ok_and(|text| text == WORDS) => {
                    found.ours(path, "a lock of harness's");
                }
                true => found.foreign(path),
                false if is_scratch(&path) => found.ours(path, "a copy of an index"),
                false => {}
            }
        }
        Ok(found.all())
    }

    /// Removes what is ours of it; says of each what it was. No run, agent or git command of ours may be at work.
    ///
    /// # Errors
    /// git or the disk failed; doing it again continues.
    pub fn clear_litter(&self, target_ref: Option<&str>) -> Result<Vec<Litter>, GitError> {
        let _guard = self.guard();
        let mut cleared = self.litter(target_ref)?;
        cleared.retain(|litter| litter.is_ours);
        for Litter { path, .. } in &cleared {
            if path.ends_with(PACKED_DRAFT) {
                self.repo.clear_packed_draft()?;
            } else if path.parent().is_some_and(|parent| same(parent, &self.dir)) {
                if Tree::find(&self.repo, path)?.is_none() {
                    self.rescue_files(path)?;
                }
                self.remove(path)?;
            } else {
                remove_any(path)?;
            }
        }
        Ok(cleared)
    }

    /// In the administrative directories of our worktrees, and the worktrees themselves.
    fn in_the_pool(&self, found: &mut Found) -> Result<(), GitError> {
        for admin in entries(&self.repo.git_dir().join("worktrees"))? {
            let Some(path) = worktree_of(&admin) else {
                continue;
            };
            if !path.parent().is_some_and(|parent| same(parent, &self.dir)) {
                continue;
            }
            let tree = Tree::at(&self.repo, &path, admin);
            if !tree.is_whole() {
                // Without the whole pool, its disk may just not be there.
                if self.dir.is_dir() {
                    found.ours(path, "a worktree that was half made or half removed");
                }
                continue;
            }
            let mut locks = Vec::new();
            locks_below(&tree.admin, &mut locks)?;
            for lock in locks {
                found.ours(lock, "a git lock in a worktree of harness's");
            }
            for path in entries(&tree.admin)? {
                let is_draft = path.extension().is_some_and(|end| end == DRAFT);
                if is_scratch(&path) || (is_draft && is_named(&path, "harness-")) {
                    found.ours(path, "a draft of harness's");
                }
            }
        }
        for listed in self.list()? {
            let known = Tree::find(&self.repo, &listed.path)?.is_some();
            if !known && self.is_remains(&listed.path)? {
                found.ours(
                    listed.path,
                    "a directory of a worktree that git does not know",
                );
            }
        }
        Ok(())
    }

    /// Whether a directory of the pool is what is left of a worktree of ours: it links to a place in this repository
    /// where nothing is any more, or is empty.
    fn is_remains(&self, path: &Path) -> Result<bool, GitError> {
        if self.refuse_foreign(path).is_err() {
            return Ok(false);
        }
        let link = fs::read_to_string(path.join(".git")).unwrap_or_default();
        let named = link.strip_prefix("gitdir: ").map(str::trim_end);
        let is_of_here = named.is_some_and(|named| {
            Path::new(named).starts_with(self.repo.git_dir().join("worktrees"))
        });
        Ok(is_of_here || entries(path)?.is_empty())
    }

    /// Below harness's own refs and the features' branches.
    fn among_refs(&self, found: &mut Found) -> Result<(), GitError> {
        let git_dir = self.repo.git_dir();
        let elsewhere = self.checked_out_elsewhere()?;
        let elsewhere: Vec<PathBuf> = elsewhere
            .into_iter()
            .map(|(slug, _)| self.repo.lock_of(&branch_of(&slug)))
            .collect();
        for dir in ["refs", "logs/refs"] {
            for below in ["harness", "heads/harness"] {
                let mut locks = Vec::new();
                locks_below(&git_dir.join(dir).join(below), &mut locks)?;
                for lock in locks {
                    match elsewhere.contains(&lock) {
                        true => found.foreign(lock),
                        false => found.ours(lock, "a lock on a ref of harness's"),
                    }
                }
            }
        }
        for path in entries(&git_dir.join(CANDIDATES))? {
            // Not synced when it was written; with its commit it could be made again.
            let names_one = fs::read_to_string(&path).is_ok_and(|text| Oid::parse(&text).is_some());
            if path.is_file() && !is_lock(&path) && !names_one {
                found.ours(path, "a candidate's ref that names nothing");
            }
        }
        for dir in ["refs/heads", "refs/tags", "refs/remotes"] {
            let mut locks = Vec::new();
            locks_below(&git_dir.join(dir), &mut locks)?;
            locks.retain(|lock| !lock.starts_with(git_dir.join("refs/heads/harness")));
            locks.into_iter().for_each(|lock| found.foreign(lock));
        }
        found.foreign(git_dir.join("refs/stash.lock"));
        Ok(())
    }

    /// The target's lock is ours if it holds a commit that has landed and is not in the target yet: nothing but
    /// publishing moves it there. HEAD's is taken before it.
    fn on_the_target(&self, target: &str, found: &mut Found) -> Result<(), GitError> {
        let lock = self.repo.lock_of(target);
        let text = fs::read_to_string(&lock).unwrap_or_default();
        let (Some(to), Some(tip)) = (Oid::parse(&text), self.repo.tip(target)?) else {
            return Ok(());
        };
        let landed = self.repo.tip(&integration_ref(target))?;
        let is_ours = match landed {
            Some(landed) => {
                to != tip
                    && self.repo.is_commit(&to)?
                    && self.repo.descends(&to, &tip)?
                    && self.repo.descends(&landed, &to)?
            }
            None => false,
        };
        if !is_ours {
            return Ok(());
        }
        found.ours(lock, "a lock of publishing on the target");
        for place in self.repo.places(target)? {
            let head = place.git_dir.join("HEAD.lock");
            if fs::metadata(&head).is_ok_and(|meta| meta.len() == 0) {
                found.ours(head, "a lock of publishing on HEAD");
            }
        }
        Ok(())
    }

    /// The features whose branches or worktrees are still there, of those named.
    ///
    /// # Errors
    /// The repository cannot be read.
    pub fn left_of(&self, slugs: &[Slug]) -> Result<Vec<String>, GitError> {
        let mut found = Vec::new();
        for listed in self.list()? {
            if listed.feature.is_some_and(|slug| slugs.contains(&slug)) {
                found.push(listed.path.display().to_string());
            }
        }
        for slug in slugs {
            let branch = branch_of(slug);
            if self.repo.tip(&branch)?.is_some() {
                found.push(short(&branch).to_owned());
            }
        }
        Ok(found)
    }

    /// What stands in the pool's directory and is not harness's.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn strangers(&self) -> Result<Vec<PathBuf>, GitError> {
        let ours: Vec<PathBuf> = self.list()?.into_iter().map(|one| one.path).collect();
        let mut found = entries(&self.dir)?;
        found.retain(|path| !ours.contains(path) || self.refuse_foreign(path).is_err());
        Ok(found)
    }
}

impl Repo {
    fn lock_of(&self, refname: &str) -> PathBuf {
        self.git_dir().join(format!("{refname}.lock"))
    }

    /// Removes a draft of the packed refs. Only who holds their lock may write one: so that is taken meanwhile.
    fn clear_packed_draft(&self) -> Result<(), GitError> {
        let (own, lock) = (
            self.git_dir().join(OWN_LOCK),
            self.git_dir().join(PACKED_LOCK),
        );
        write(&own, WORDS)?;
        match fault::at(Point::GitFileCreate).and_then(|()| fs::hard_link(&own, &lock)) {
            Ok(()) => {}
            // Somebody is writing them.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return remove_file(&own),
            Err(error) => return Err(GitError::io("lock", &lock)(error)),
        }
        remove_file(&self.git_dir().join(PACKED_DRAFT))?;
        remove_file(&lock)?;
        remove_file(&own)
    }
}

#[derive(Default)]
struct Found {
    ours: Vec<Litter>,
    foreign: Vec<Litter>,
}

impl Found {
    fn ours(&mut self, path: PathBuf, what: &'static str) {
        self.ours.push(Litter {
            path,
            what,
            is_ours: true,
        });
    }

    fn foreign(&mut self, path: PathBuf) {
        let is_known = self.ours.iter().any(|litter| litter.path == path);
        if exists(&path) && !is_known {
            self.foreign.push(Litter {
                path,
                what: "a lock of another git command",
                is_ours: false,
            });
        }
    }

    /// Each once: what turned out to be ours is nobody else's.
    fn all(mut self) -> Vec<Litter> {
        let ours = &self.ours;
        self.foreign
            .retain(|one| !ours.iter().any(|other| other.path == one.path));
        self.ours.append(&mut self.foreign);
        self.ours
    }
}

/// All locks of git's in a directory and below, objects left out. Links are not followed.
fn locks_below(dir: &Path, found: &mut Vec<PathBuf>) -> Result<(), GitError> {
    if !fs::symlink_metadata(dir).is_ok_and(|meta| meta.is_dir()) {
        return Ok(());
    }
    for path in entries(dir)? {
        if is_lock(&path) {
            found.push(path);
        } else if !path.ends_with("objects") {
            locks_below(&path, found)?;
        }
    }
    Ok(())
}

fn is_lock(path: &Path) -> bool {
    let is_file = fs::symlink_metadata(path).is_ok_and(|meta| !meta.is_dir());
    is_file && path.extension().is_some_and(|end| end == "lock")
}

fn is_named(path: &Path, prefix: &str) -> bool {
    let name = path.file_name().unwrap_or_default();
    name.as_encoded_bytes().starts_with(prefix.as_bytes())
}

/// An index that was copied, or its lock.
fn is_scratch(path: &Path) -> bool {
    is_named(path, SCRATCH)
}

fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}
