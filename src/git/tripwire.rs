//! What changes in the user's checkout while agents run, who have no business there.
//!
//! Most looks find nothing, so a look is cheap: git is asked only when a tracked file, a directory of one, the index or
//! HEAD bears another stamp than at the last look. Ignored files are not looked at, and neither is what is excluded:
//! specs are a person's to edit all the time. This file never writes; it cannot tell who changed what.

use super::error::{GitError, visible};
use super::land::busy;
use super::repo::{Repo, to_path};
use super::stamp::{Stamp, is_same};
use crate::model::Oid;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

/// Untracked files that are watched at most.
const UNTRACKED: usize = 5_000;

/// Watches one checkout.
#[derive(Debug)]
pub struct Tripwire {
    pub(super) repo: Repo,
    /// Paths below the root that are not looked at.
    excluded: Vec<String>,
    last: Mutex<Option<Last>>,
}

/// A file of the checkout that changed between two looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touched {
    /// Below the root.
    pub path: PathBuf,
    /// The same for people.
    pub shown: String,
    /// Whether it was as committed, or not there, at the look before: then harness knows what it held.
    pub was_clean: bool,
    /// When the file last changed; `None` where it is gone.
    pub changed_at: Option<SystemTime>,
    /// What it is to hold, where harness knows.
    pub(super) committed: Option<Committed>,
}

/// What a path holds by the index, which agrees with HEAD there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Committed {
    /// Nothing.
    Nothing,
    /// This blob, with the mode as git writes it.
    File { mode: String, blob: Oid },
}

#[derive(Debug)]
struct Last {
    stamps: Vec<(PathBuf, Option<Stamp>)>,
    head: Option<Oid>,
    dirty: BTreeMap<Vec<u8>, Dirty>,
}

/// A path that is not as committed.
#[derive(Clone, Debug)]
struct Dirty {
    stamp: Option<Stamp>,
    committed: Option<Committed>,
}

impl Repo {
    /// A tripwire on the main checkout that does not look at these paths below its root.
    #[must_use]
    pub fn tripwire(&self, excluded: Vec<String>) -> Tripwire {
        Tripwire {
            repo: self.clone(),
            excluded,
            last: Mutex::default(),
        }
    }
}

impl Tripwire {
    /// What has changed since the last look; nothing at the first one, and nothing while a person is in the middle
    /// of a merge, a rebase or any other git command there.
    ///
    /// # Errors
    /// git failed.
    pub fn look(&self) -> Result<Vec<Touched>, GitError> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let git_dir = self.repo.git_dir();
        if busy(git_dir).is_some() {
            *last = None;
            return Ok(Vec::new());
        }
        let head = self.repo.tip("HEAD")?;
        let is_quiet = last.as_ref().is_some_and(|last| {
            let stamps = last.stamps.par_iter();
            let is_same = |(path, before): &(PathBuf, Option<Stamp>)| {
                is_same(before.as_ref(), Stamp::at(path).as_ref())
            };
            last.head == head && stamps.all(is_same)
        });
        if is_quiet {
            return Ok(Vec::new());
        }
        let now = self.read(head)?;
        let found = match &*last {
            Some(before) => touched(before, &now),
            None => Vec::new(),
        };
        *last = Some(now);
        Ok(found)
    }

    /// Takes what stands there now as known; those of the paths that are not as committed.
    ///
    /// # Errors
    /// git failed.
    pub(super) fn still_touched(&self, paths: &[&Touched]) -> Result<Vec<String>, GitError> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.read(self.repo.tip("HEAD")?)?;
        let is_dirty = |touched: &&&Touched| {
            let key = touched.path.as_os_str().as_encoded_bytes();
            now.dirty.contains_key(key)
        };
        let still = paths.iter().filter(is_dirty);
        let still = still.map(|touched| touched.shown.clone()).collect();
        *last = Some(now);
        Ok(still)
    }

    fn read(&self, head: Option<Oid>) -> Result<Last, GitError> {
        let root = self.repo.root();
        let git = self.repo.git().at(root);
        // Stamps first: what changes while git looks is looked at again.
        let listed = git.call(["ls-files", "-z", "--"]).args(self.specs()).ok()?;
        let mut places: BTreeSet<PathBuf> = BTreeSet::from([root.to_owned()]);
        for path in listed.fields() {
            watch(&mut places, root, &to_path(path));
        }
        places.insert(self.repo.git_dir().join("index"));
        let places: Vec<PathBuf> = places.into_iter().collect();
        let stamped = places.into_par_iter().map(|path| {
            let stamp = Stamp::at(&path);
            (path, stamp)
        });
        let mut stamps: Vec<(PathBuf, Option<Stamp>)> = stamped.collect();
        let status = git
            .call(["status", "--porcelain=v2", "-z", "--untracked-files=all"])
            .args(["--no-renames", "--ignore-submodules=all", "--"])
            .args(self.specs())
            .ok()?;
        let mut dirty = BTreeMap::new();
        let mut others = BTreeSet::new();
        for entry in status.fields() {
            let Some((path, committed)) = parsed(entry) else {
                continue;
            };
            if committed == Some(Committed::Nothing) {
                if others.len() >= UNTRACKED {
                    continue;
                }
                watch(&mut others, root, &to_path(path));
            }
            let stamp = Stamp::at(&root.join(to_path(path)));
            dirty.insert(path.to_vec(), Dirty { stamp, committed });
        }
        stamps.extend(others.into_iter().map(|path| {
            let stamp = Stamp::at(&path);
            (path, stamp)
        }));
        Ok(Last {
            stamps,
            head,
            dirty,
        })
    }

    /// Everything but what is excluded.
    fn specs(&self) -> Vec<String> {
        let excluded = self.excluded.iter();
        let excluded = excluded.map(|path| format!(":(exclude,top,literal){path}"));
        std::iter::once(":(top)".to_owned())
            .chain(excluded)
            .collect()
    }
}

/// The file and the directories above it: in one of them a new file would stand.
fn watch(places: &mut BTreeSet<PathBuf>, root: &Path, path: &Path) {
    let mut above = path.parent();
    while let Some(dir) = above.filter(|dir| !dir.as_os_str().is_empty()) {
        if !places.insert(root.join(dir)) {
            break;
        }
        above = dir.parent();
    }
    places.insert(root.join(path));
}

/// A path of `git status --porcelain=v2`, and what is committed there where the index does not say otherwise.
pub(super) fn parsed(entry: &[u8]) -> Option<(&[u8], Option<Committed>)> {
    if let Some(path) = entry.strip_prefix(b"? ") {
        return Some((path, Some(Committed::Nothing)));
    }
    let fields = if entry.starts_with(b"u ") { 11 } else { 9 };
    let parts: Vec<&[u8]> = entry.splitn(fields, |byte| *byte == b' ').collect();
    let path = *parts.get(fields - 1)?;
    let text = |at: usize| std::str::from_utf8(parts.get(at)?).ok();
    let is_plain = text(0) == Some("1") && text(1)?.starts_with('.') && text(2) == Some("N...");
    let committed = is_plain.then(|| {
        Some(Committed::File {
            mode: text(4)?.to_owned(),
            blob: Oid::parse(text(7)?)?,
        })
    });
    Some((path, committed.flatten()))
}

fn touched(before: &Last, now: &Last) -> Vec<Touched> {
    let paths: BTreeSet<&Vec<u8>> = before.dirty.keys().chain(now.dirty.keys()).collect();
    let mut found = Vec::new();
    for path in paths {
        let (earlier, later) = (before.dirty.get(path), now.dirty.get(path));
        let is_as_it_was = match (earlier, later) {
            (Some(earlier), Some(later)) => match (&earlier.stamp, &later.stamp) {
                (Some(earlier), Some(later)) => earlier.looks_like(later),
                (None, None) => true,
                _ => false,
            },
            // Committed, or thrown away.
            (Some(_), None) => before.head != now.head,
            (None, _) => false,
        };
        if is_as_it_was {
            continue;
        }
        found.push(Touched {
            path: to_path(path),
            shown: visible(&String::from_utf8_lossy(path)),
            was_clean: earlier.is_none(),
            changed_at: later.and_then(|later| later.stamp?.changed_at()),
            committed: later.and_then(|later| later.committed.clone()),
        });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_index_leaves_as_committed_can_be_known() {
        let oid = "a".repeat(40);
        let line = |xy: &str, sub: &str| {
            format!("1 {xy} {sub} 100644 100755 100644 {oid} {oid} a b/c").into_bytes()
        };
        let known = Committed::File {
            mode: "100755".to_owned(),
            blob: Oid::parse(&oid).unwrap(),
        };
        assert_eq!(
            parsed(&line(".M", "N...")),
            Some((&b"a b/c"[..], Some(known)))
        );
        assert_eq!(parsed(&line("MM", "N...")), Some((&b"a b/c"[..], None)));
        assert_eq!(parsed(&line(".M", "SC..")), Some((&b"a b/c"[..], None)));
        assert_eq!(
            parsed(b"? x y"),
            Some((&b"x y"[..], Some(Committed::Nothing)))
        );
        let unmerged = format!("u UU N... 1 2 3 4 {oid} {oid} {oid} a b").into_bytes();
        assert_eq!(parsed(&unmerged), Some((&b"a b"[..], None)));
        assert_eq!(parsed(b"# branch"), None);
    }
}
