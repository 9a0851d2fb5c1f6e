//! What an agent did inside a submodule: the project's branch cannot carry it, so it is kept beside.
//!
//! This file never changes a submodule and never runs git with a submodule's own configuration.

use super::error::{GitError, visible};
use super::repo::{RefEdit, Repo, to_path};
use super::snapshot::lost_ref;
use super::stage::{Scratch, files_of};
use super::tree::Tree;
use crate::model::{Oid, Slug};
use std::path::Path;

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
    let mut options = git2::StatusOptions::new();
    options.include_untracked(true).include_ignored(false);
    options.no_refresh(true).update_index(false);
    let is_clean = library
        .statuses(Some(&mut options))
        .is_ok_and(|statuses| statuses.is_empty());
    !is_clean || is_published(&library) != Ok(true)
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
