//! `.worktreeinclude`: ignored files of the main checkout (`.env`, local settings, caches) that worktrees need.
//!
//! Only files that git ignores are copied: a merely untracked one would be committed by the next snapshot
//! and land. Links are never followed, and tracked files never overwritten.

use super::error::GitError;
use super::repo::{Repo, to_path};
use super::tree::{OUTBOX, make_dir, remove_file};
use super::worktrees::Worktrees;
use crate::fault::{self, Point};
use crate::model::Oid;
use rayon::prelude::*;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// harness's own state directories, which never leave the main checkout.
const STATE_DIRS: [&str; 2] = [OUTBOX, "logs/feature-runner"];

impl Worktrees {
    /// Copies what the patterns in the file `include`, which need not exist, name from the main checkout into a
    /// worktree that holds `commit`. With `keep`, files that are there already stay.
    ///
    /// # Errors
    /// git or the disk failed.
    pub fn include(
        &self,
        include: &Path,
        worktree: &Path,
        commit: &Oid,
        keep: bool,
    ) -> Result<usize, GitError> {
        copy(&self.repo, include, worktree, commit, keep)
    }
}

/// Copies what the patterns in the file `include` (gitignore syntax) name from the main checkout into
/// `worktree`, which holds `commit`. With `keep`, files that are there already stay. Gives the number of
/// files copied.
pub(super) fn copy(
    repo: &Repo,
    include: &Path,
    worktree: &Path,
    commit: &Oid,
    keep: bool,
) -> Result<usize, GitError> {
    if !include.is_file() {
        return Ok(0);
    }
    let tree = repo.tree_of(commit)?;
    let mut wanted = Vec::new();
    for path in named(repo, include)? {
        // A file of the commit stays what the commit says.
        if is_ours_to_copy(&path) && repo.entry(&tree, &path)?.is_none() {
            wanted.push(path);
        }
    }
    let copied: Result<Vec<bool>, GitError> = wanted
        .par_iter()
        .map(|path| copy_one(repo.root(), worktree, path, keep))
        .collect();
    Ok(copied?.into_iter().filter(|copied| *copied).count())
}

/// Files of the main checkout that the patterns name and git ignores.
fn named(repo: &Repo, include: &Path) -> Result<Vec<PathBuf>, GitError> {
    let git = repo.git().at(repo.root());
    // git itself reads the patterns, so that they mean exactly what they mean in a .gitignore.
    let listed = git
        .call(["ls-files", "--others", "--ignored", "-z", "--exclude-from"])
        .arg(include)
        .ok()?;
    if listed.stdout.is_empty() {
        return Ok(Vec::new());
    }
    let ignored = git
        .call(["check-ignore", "-z", "--stdin"])
        .stdin(listed.stdout)
        .run()?;
    match ignored.code {
        0 => Ok(ignored.fields().map(to_path).collect()),
        1 => Ok(Vec::new()),
        _ => Err(ignored.failed()),
    }
}

fn is_ours_to_copy(path: &Path) -> bool {
    let plain = path
        .components()
        .all(|part| matches!(part, Component::Normal(name) if name != ".git"));
    plain && !STATE_DIRS.iter().any(|dir| path.starts_with(dir))
}

/// Copies one file; `false` when it is none, or when something stands where it should go.
fn copy_one(root: &Path, worktree: &Path, path: &Path, keep: bool) -> Result<bool, GitError> {
    let (from, to) = (root.join(path), worktree.join(path));
    let Ok(meta) = fs::symlink_metadata(&from) else {
        return Ok(false);
    };
    if !meta.is_file() || !is_below_real_dirs(worktree, path)? {
        return Ok(false);
    }
    match fs::symlink_metadata(&to) {
        Ok(found) if keep || found.is_dir() => return Ok(false),
        Ok(_) => remove_file(&to)?,
        Err(_) => {}
    }
    fault::at(Point::GitFileCopy)
        .and_then(|()| reflink_copy::reflink_or_copy(&from, &to))
        .map_err(GitError::io("copy", &from))?;
    // A clone of the blocks does not carry the mode over.
    fs::set_permissions(&to, meta.permissions()).map_err(GitError::io("set the mode of", &to))?;
    Ok(true)
}

/// Makes the directories above `path`; `false` when one of them is a link or a file.
fn is_below_real_dirs(worktree: &Path, path: &Path) -> Result<bool, GitError> {
    let mut dir = worktree.to_owned();
    for part in path.parent().into_iter().flat_map(Path::components) {
        dir.push(part);
        match fs::symlink_metadata(&dir) {
            Ok(meta) if meta.is_dir() => {}
            Ok(_) => return Ok(false),
            // Another thread may be making it, too.
            Err(_) => make_dir(&dir)?,
        }
    }
    Ok(true)
}
