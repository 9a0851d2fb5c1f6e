//! What an agent did inside a submodule: the project's branch cannot carry it, so it is kept beside.
//!
//! This file never changes a submodule and never runs git with a submodule's own configuration.

use super::cli::Git;
use super::error::{GitError, visible};
use super::repo::{RefEdit, Repo, to_path};
use super::snapshot::lost_ref;
use super::stage::{Scratch, files_of};
use super::tree::Tree;
use crate::model::{Oid, Slug};
use std::path::{Path, PathBuf};

/// How a submodule's entry begins, where the index is listed.
const GITLINK: &[u8] = b"160000 ";
/// Where the submodules of a tree are described.
const GITMODULES: &str = ".gitmodules";

impl Repo {
    /// Pins the files of every submodule in the worktree that were changed there, or committed where nobody
    /// else has them, as commits under `refs/harness/lost/`; gives a sentence for each.
    ///
    /// # Errors
    /// git failed.
    pub(super) fn keep_submodules(
        &self,
        tree: &Tree,
        slug: &Slug,
        staged: &Oid,
    ) -> Result<Vec<String>, GitError> {
        if self.entry(staged, Path::new(GITMODULES))?.is_none() {
            return Ok(Vec::new());
        }
        let (Some(root), Some(index)) = (tree.git.work_tree(), tree.git.index()) else {
            return Ok(Vec::new());
        };
        let mut notes = Vec::new();
        for path in self.gitlinks(staged)? {
            if !has_own_work(&root.join(to_path(&path))) {
                continue;
            }
            let mut about = Vec::new();
            let scratch = Scratch::beside(&index, 0)?;
            let Some(files) = files_of(&tree.git, &scratch, &path, &mut about, 0)? else {
                continue;
            };
            let name = visible(&String::from_utf8_lossy(&path));
            let pin = lost_ref(slug.as_str(), &files);
            if self.tip(&pin)?.is_none() {
                let message = format!("{slug}: the submodule {name} as it stood in the worktree\n");
                let commit = self.commit(&files, &[], &message)?;
                self.update_refs("harness: submodule", &[RefEdit::Set(&pin, &commit)])?;
                notes.push(format!(
                    "{name} is a submodule: what was changed inside it does not land with the feature; its files are \
                     kept as {pin}"
                ));
            }
            notes.append(&mut about);
        }
        Ok(notes)
    }

    /// A submodule of a commit in whose checkout something differs from the commit that is checked out there.
    ///
    /// # Errors
    /// The commit cannot be read.
    pub(super) fn changed_submodule(
        &self,
        tree: &Tree,
        commit: &Oid,
    ) -> Result<Option<PathBuf>, GitError> {
        let held = self.tree_of(commit)?;
        if self.entry(&held, Path::new(GITMODULES))?.is_none() {
            return Ok(None);
        }
        let links = self.gitlinks(&held)?;
        let mut paths = links.iter().map(|path| to_path(path));
        Ok(paths.find(|path| {
            let path = tree.path.join(path);
            let is_there = std::fs::symlink_metadata(path.join(".git")).is_ok();
            let is_clean = |library: git2::Repository| has_no_changes(&library);
            is_there && !git2::Repository::open(path).is_ok_and(is_clean)
        }))
    }
}

/// Submodules in the index whose checkouts git would ask what has changed in them, and so run what their own settings
/// say, which are an agent's to write.
pub(super) fn checked_out(git: &Git) -> Result<Vec<Vec<u8>>, GitError> {
    let Some(root) = git.work_tree() else {
        return Ok(Vec::new());
    };
    let listed = git.call(["ls-files", "--stage", "-z"]).run()?;
    // A broken index is put right by whoever adds to it.
    let links = listed
        .fields()
        .filter_map(|field| field.strip_prefix(GITLINK));
    let mut paths: Vec<Vec<u8>> = links
        .filter_map(|link| link.splitn(2, |byte| *byte == b'\t').nth(1))
        .filter(|path| std::fs::symlink_metadata(root.join(to_path(path)).join(".git")).is_ok())
        .map(<[u8]>::to_vec)
        .collect();
    paths.dedup();
    Ok(paths)
}

/// Makes the index say of these submodules what is checked out in them. What cannot be read stays as it is.
pub(super) fn point(git: &Git, paths: &[Vec<u8>]) -> Result<(), GitError> {
    let Some(root) = git.work_tree() else {
        return Ok(());
    };
    let mut lines = Vec::new();
    for path in paths {
        let library = git2::Repository::open(root.join(to_path(path)));
        let head = library.and_then(|library| Ok(library.head()?.peel_to_commit()?.id()));
        if let Ok(head) = head {
            lines.extend_from_slice(format!("160000 {head}\t").as_bytes());
            lines.extend_from_slice(path);
            lines.push(0);
        }
    }
    if lines.is_empty() {
        return Ok(());
    }
    let call = git.call(["update-index", "-z", "--index-info"]);
    call.stdin(lines).ok().map(drop)
}

/// Looked at by the library, which runs nothing.
fn has_no_changes(library: &git2::Repository) -> bool {
    let mut options = git2::StatusOptions::new();
    options.include_untracked(true).include_ignored(false);
    options.no_refresh(true).update_index(false);
    let statuses = library.statuses(Some(&mut options));
    statuses.is_ok_and(|statuses| statuses.is_empty())
}

/// Whether a submodule's checkout holds anything that its remotes do not. What cannot be read is no reason to
/// fail: its files are kept then.
fn has_own_work(path: &Path) -> bool {
    if std::fs::symlink_metadata(path.join(".git")).is_err() {
        return false;
    }
    let Ok(library) = git2::Repository::open(path) else {
        return true;
    };
    !has_no_changes(&library) || is_published(&library) != Ok(true)
}

/// Whether the checked out commit is in a branch of a remote.
fn is_published(library: &git2::Repository) -> Result<bool, git2::Error> {
    let head = library.head()?.peel_to_commit()?.id();
    for found in library.references_glob("refs/remotes/*")? {
        let Some(tip) = found?.target() else { continue };
        if tip == head || library.graph_descendant_of(tip, head)? {
            return Ok(true);
        }
    }
    Ok(false)
}
