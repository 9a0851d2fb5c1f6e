//! Files of a checkout that a git command was cut off in: brought to what the index says, where what they hold is git's
//! own work and nobody else's.
//!
//! git's work is what the file holds before or after, nothing, or the beginning of either (a write that was cut off, and
//! after a power cut zeros behind it). Whatever else a file holds is a person's, and stays. This file never changes the
//! index or a ref.

use super::cli::Git;
use super::error::{GitError, visible};
use super::land::Place;
use super::put_back::{LINK, meta_at};
use super::repo::{Repo, to_path};
use super::stage::copy_index;
use super::tree::remove_file;
use crate::fault::{self, Point};
use crate::model::Oid;
use rayon::prelude::*;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// Larger files are not compared byte by byte.
const LARGEST: u64 = 128 << 20;
/// How git writes that there is nothing, and a submodule.
const NOTHING: &str = "000000";
const GITLINK: &str = "160000";
const WHOLE: [&str; 2] = ["-c", "core.splitIndex=false"];

/// What a path holds in a commit: mode and blob.
type Side = Option<(String, Oid)>;

/// A path that differs between two commits.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) path: PathBuf,
    sides: [Side; 2],
}

/// What was done.
#[derive(Debug, Default)]
pub(super) struct Mended {
    /// Files that were put right.
    pub(super) paths: Vec<PathBuf>,
    /// Files that were left, for people, and why.
    pub(super) left: Vec<(String, String)>,
    /// Whether the index holds what the second commit has.
    pub(super) is_forward: bool,
}

impl Mended {
    fn leave(&mut self, change: &Change, why: &str) {
        let shown = visible(&change.path.to_string_lossy());
        self.left.push((shown, why.to_owned()));
    }
}

/// One checkout, and where its index is.
struct Checkout<'a> {
    repo: &'a Repo,
    root: &'a Path,
    git: Git,
    /// A directory for what is needed meanwhile.
    scratch: &'a Path,
    commits: [&'a Oid; 2],
    /// The commit that the index agrees with: 0 or 1.
    side: usize,
}

impl Repo {
    /// Paths that differ between two commits, submodules left out.
    pub(super) fn changes_between(&self, from: &Oid, to: &Oid) -> Result<Vec<Change>, GitError> {
        let listed = self
            .git()
            .call(["diff-tree", "-r", "-z", "--raw", "--no-renames"])
            .args([from.as_str(), to.as_str()])
            .ok()?;
        let mut fields = listed.fields();
        let mut changes = Vec::new();
        while let (Some(entry), Some(path)) = (fields.next(), fields.next()) {
            let entry = String::from_utf8_lossy(entry);
            let mut words = entry.trim_start_matches(':').split(' ');
            let modes = [words.next(), words.next()];
            let blobs = [words.next(), words.next()].map(|word| Oid::parse(word.unwrap_or("")));
            let [before, after] = modes.map(|mode| mode.unwrap_or(NOTHING).to_owned());
            if before == GITLINK || after == GITLINK {
                continue;
            }
            let [old, new] = blobs;
            let side = |mode: String, blob: Option<Oid>| Some((mode, blob?));
            let side = |mode: String, blob| match mode.as_str() {
                NOTHING => None,
                _ => side(mode, blob),
            };
            changes.push(Change {
                path: to_path(path),
                sides: [side(before, old), side(after, new)],
            });
        }
        Ok(changes)
    }

    /// Brings the files that differ between two commits to what the checkout's index says, if that agrees with one of
    /// them there. Whoever calls this holds the index.
    pub(super) fn mend_files(
        &self,
        place: &Place,
        scratch: &Path,
        from: &Oid,
        to: &Oid,
    ) -> Result<Mended, GitError> {
        let changes = self.changes_between(from, to)?;
        let git = self.git().on(&place.git_dir).at(&place.path);
        let mut mended = Mended::default();
        let mut side = None;
        for (number, commit) in [from, to].into_iter().enumerate() {
            let staged = names(
                git.call(["diff-index", "--cached", "--name-only", "-z"])
                    .args(["--no-renames", "--ignore-submodules=all", commit.as_str()]),
            )?;
            if side.is_none() && !changes.iter().any(|change| staged.contains(&change.path)) {
                side = Some(number);
            }
        }
        let Some(side) = side else {
            let told = "the index was changed since; look at `git status`";
            changes.iter().for_each(|change| mended.leave(change, told));
            return Ok(mended);
        };
        mended.is_forward = side == 1;
        let checkout = Checkout {
            repo: self,
            root: &place.path,
            git,
            scratch,
            commits: [from, to],
            side,
        };
        checkout.mend(&changes, &mut mended)?;
        Ok(mended)
    }
}

impl Checkout<'_> {
    fn mend(&self, changes: &[Change], mended: &mut Mended) -> Result<(), GitError> {
        let tracked = self.differing()?;
        let (mut stray, mut differing) = (Vec::new(), Vec::new());
        for change in changes {
            if change.sides[self.side].is_some() {
                if tracked.contains(&change.path) {
                    differing.push(change);
                }
            } else if meta_at(self.root, &change.path)
                // A directory is none of it: what is in there is looked at by itself.
                .is_ok_and(|meta| meta.is_some_and(|meta| !meta.is_dir()))
            {
                stray.push(change);
            }
        }
        let ours = self.holding_the_other(stray.iter().chain(&differing).copied())?;
        // First what should not be there: it may stand where a directory must be.
        for change in stray {
            match self.is_gits_own(change, &ours) {
                Ok(true) => {
                    remove_file(&self.root.join(&change.path))?;
                    self.prune_above(&change.path);
                    mended.paths.push(change.path.clone());
                }
                Ok(false) => mended.leave(change, "it holds what git did not write there"),
                Err(why) => mended.leave(change, &why),
            }
        }
        let mut restore = Vec::new();
        for change in differing {
            if meta_at(self.root, &change.path).is_ok_and(|meta| meta.is_some_and(|m| m.is_dir())) {
                // Where a file was before it became a directory; if anything is in there, it stays.
                let _ = fault::at(Point::GitDirPrune)
                    .and_then(|()| fs::remove_dir(self.root.join(&change.path)));
            }
            match self.is_gits_own(change, &ours) {
                Ok(true) => restore.push(change.path.clone()),
                Ok(false) => mended.leave(change, "it holds what git did not write there"),
                Err(why) => mended.leave(change, &why),
            }
        }
        self.check_out(&restore)?;
        mended.paths.append(&mut restore);
        Ok(())
    }

    /// Tracked files that do not hold what the index says.
    fn differing(&self) -> Result<BTreeSet<PathBuf>, GitError> {
        let (index, copy) = (self.git.index(), self.scratch.join("index.look"));
        remove_file(&copy)?;
        if let Some(index) = index.filter(|index| index.is_file()) {
            copy_index(&index, &copy)?;
        }
        self.stale(&copy)
    }

    /// What of an index's files differs in the checkout. The index itself is changed: its times.
    fn stale(&self, index: &Path) -> Result<BTreeSet<PathBuf>, GitError> {
        let git = self.git.with_index(index);
        // Says by its code that some differ.
        git.call(["update-index", "-q", "--ignore-submodules", "--refresh"])
            .options(WHOLE)
            .run()?;
        names(
            git.call(["diff-files", "--name-only", "-z"])
                .arg("--ignore-submodules=all"),
        )
    }

    /// Those of the changed paths that hold what the other commit has there.
    fn holding_the_other<'c>(
        &self,
        changes: impl Iterator<Item = &'c Change>,
    ) -> Result<BTreeSet<PathBuf>, GitError> {
        let mut entries = Vec::new();
        let mut asked = BTreeSet::new();
        for change in changes {
            if let Some((mode, blob)) = &change.sides[1 - self.side] {
                entries.extend_from_slice(format!("{mode} {blob}\t").as_bytes());
                entries.extend_from_slice(change.path.as_os_str().as_bytes());
                entries.push(0);
                asked.insert(change.path.clone());
            }
        }
        if asked.is_empty() {
            return Ok(asked);
        }
        let index = self.scratch.join("index.other");
        remove_file(&index)?;
        self.git
            .with_index(&index)
            .call(["update-index", "--add", "-z", "--index-info"])
            .options(WHOLE)
            .stdin(entries)
            .ok()?;
        let stale = self.stale(&index)?;
        asked.retain(|path| !stale.contains(path));
        Ok(asked)
    }

    /// Whether what stands at a path is nothing but what git has written there, or begun to.
    fn is_gits_own(&self, change: &Change, whole: &BTreeSet<PathBuf>) -> Result<bool, String> {
        let Some(meta) = meta_at(self.root, &change.path)? else {
            return Ok(true);
        };
        if whole.contains(&change.path) {
            return Ok(true);
        }
        if !meta.is_file() || meta.len() > LARGEST {
            return Ok(false);
        }
        let path = self.root.join(&change.path);
        let held = fs::read(&path).map_err(|error| error.to_string())?;
        for (commit, side) in self.commits.into_iter().zip(&change.sides) {
            let Some((mode, blob)) = side.as_ref().filter(|(mode, _)| mode != LINK) else {
                continue;
            };
            let form = self
                .repo
                .checked_out_form(commit.as_str(), &change.path, mode, blob);
            if is_begun(&held, &form.map_err(|error| error.to_string())?) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Lets git write files as the index says.
    fn check_out(&self, paths: &[PathBuf]) -> Result<(), GitError> {
        if paths.is_empty() {
            return Ok(());
        }
        let mut list = Vec::new();
        for path in paths {
            list.extend_from_slice(path.as_os_str().as_bytes());
            list.push(0);
        }
        let mut call = self
            .git
            .call(["checkout-index", "--force", "--quiet", "-z", "--stdin"]);
        if self.repo.git_is_at_least((2, 41)) {
            // Not the attributes that stand in the checkout now: they may be half-written.
            let commit = self.commits[self.side];
            call = call.options([format!("--attr-source={commit}")]);
        }
        call.stdin(list).ok().map(drop)
    }

    /// Removes the directories above a file that are empty now, as git does.
    fn prune_above(&self, path: &Path) {
        for above in path.ancestors().skip(1) {
            if above.as_os_str().is_empty() {
                return;
            }
            let gone = fault::at(Point::GitDirPrune);
            if gone
                .and_then(|()| fs::remove_dir(self.root.join(above)))
                .is_err()
            {
                return;
            }
        }
    }
}

/// The paths that git lists.
fn names(call: super::cli::Call<'_>) -> Result<BTreeSet<PathBuf>, GitError> {
    Ok(call.ok()?.fields().map(to_path).collect())
}

/// Whether a write of `whole` that was cut off can have left this: its beginning, perhaps with zeros behind it.
fn is_begun(held: &[u8], whole: &[u8]) -> bool {
    let written = held.iter().rposition(|byte| *byte != 0);
    let written = &held[..written.map_or(0, |last| last + 1)];
    held.len() <= whole.len() && whole.starts_with(written)
}

/// Sees to it that files, and the names in their directories, are on the disk. What cannot be opened is no file of ours
/// to care for.
pub(super) fn sync_files(root: &Path, paths: &[PathBuf]) {
    let above = paths.iter().filter_map(|path| path.parent());
    let all: BTreeSet<&Path> = paths.iter().map(PathBuf::as_path).chain(above).collect();
    let all: Vec<&Path> = all.into_iter().collect();
    all.par_iter().for_each(|path| {
        let is_plain = |meta: &fs::Metadata| meta.is_file() || meta.is_dir();
        if let Ok(Some(meta)) = meta_at(root, path)
            && is_plain(&meta)
        {
            let _ = File::open(root.join(path)).and_then(|file| file.sync_all());
        }
    });
}

#[cfg(test)]
mod tests {
    use super::is_begun;

    #[test]
    fn what_a_write_that_was_cut_off_can_leave() {
        for held in ["", "on", "one\n", "on\0\0", "\0\0\0\0"] {
            assert!(is_begun(held.as_bytes(), b"one\n"), "{held:?}");
        }
        for held in ["One", "one\n\0", "one\nmore", "ne\n", "\0ne\n"] {
            assert!(!is_begun(held.as_bytes(), b"one\n"), "{held:?}");
        }
    }
}
