//! What a feature changes, line by line, for people: of its worktree, its branch, or the commit that landed it.
//!
//! Reads only: through git2, which starts no program, whatever an agent has written into configuration or attributes. So
//! filters are not applied: a file that one of them changes is shown as it lies there.

use super::error::GitError;
use super::ground::integration_ref;
use super::handles;
use super::read::{DiffStat, raw};
use super::repo::{Repo, branch_of};
use super::tree::Tree;
use crate::model::{Oid, Slug};
use git2::{Diff, DiffDelta, DiffFormat, DiffLine, DiffOptions};
use std::path::Path;

/// So many lines are told; a person reads no more.
const MOST_LINES: usize = 10_000;
/// Characters of a line that are told.
const LONGEST: usize = 2_000;
/// A file that is longer is only named.
const BIGGEST: i64 = 1 << 20;

/// What a line of a patch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchLine {
    /// Which file comes next.
    File,
    /// Where in it.
    Hunk,
    /// It is in both.
    Same,
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// What git says about it.
    Note,
}

/// A difference, line by line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patch {
    /// How much differs; without what is not told.
    pub stat: DiffStat,
    /// Its lines without their ends, not escaped; what is not UTF-8 with replacement characters.
    pub lines: Vec<(PatchLine, String)>,
    /// Whether there is more.
    pub is_cut: bool,
}

/// Where the work of a feature is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whereabouts {
    /// In its worktree, committed or not.
    Worktree,
    /// On its branch.
    Branch,
}

impl Repo {
    /// What a commit changed, compared with its first parent; `None`: it has none, or is not there any more.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub fn patch_of_commit(&self, commit: &Oid) -> Result<Option<Patch>, GitError> {
        if !self.is_commit(commit)? {
            return Ok(None);
        }
        match self.first_parent(commit)? {
            Some(parent) if self.is_commit(&parent)? => self.patch(&parent, commit).map(Some),
            _ => Ok(None),
        }
    }

    /// What a feature has changed since its branch last took in what had landed on the target: in its worktree, if this is
    /// still its own, else on its branch. `None`: it has neither.
    ///
    /// # Errors
    /// When the repository or the worktree cannot be read.
    pub fn patch_of_feature(
        &self,
        slug: &Slug,
        worktree: Option<&Path>,
        target: &str,
    ) -> Result<Option<(Whereabouts, Oid, Patch)>, GitError> {
        let Some(tip) = self.tip(&branch_of(slug))? else {
            return Ok(None);
        };
        let onto = match self.tip(&integration_ref(target))? {
            Some(landed) => Some(landed),
            None => self.tip(target)?,
        };
        let base = match &onto {
            Some(onto) => self.merge_base(&tip, onto)?,
            None => None,
        };
        let base = base.unwrap_or_else(|| tip.clone());
        if let Some(path) = worktree
            && let Some(tree) = Tree::find(self, path)?
            && tree.owner().as_ref() == Some(slug)
            && tree.is_whole()
        {
            let patch = self.patch_of_worktree(&base, &tree)?;
            return Ok(Some((Whereabouts::Worktree, base, patch)));
        }
        let patch = self.patch(&base, &tip)?;
        Ok(Some((Whereabouts::Branch, base, patch)))
    }

    fn patch(&self, before: &Oid, after: &Oid) -> Result<Patch, GitError> {
        let library = self.library()?;
        let read = || GitError::read(format!("compare {before} and {after}"));
        let tree = |oid: &Oid| {
            let commit = library.find_commit(raw(oid)?);
            commit.and_then(|commit| commit.tree()).map_err(read())
        };
        let (old, new) = (tree(before)?, tree(after)?);
        let diff = library.diff_tree_to_tree(Some(&old), Some(&new), Some(&mut options()));
        told(&diff.map_err(read())?).map_err(read())
    }

    /// Of all files that lie in a worktree and are not ignored.
    fn patch_of_worktree(&self, base: &Oid, tree: &Tree) -> Result<Patch, GitError> {
        let read = || GitError::read(format!("read what changed in {}", tree.path.display()));
        // A handle of its own: it is told of another work tree and index.
        let library = handles::open(self.git_dir())?;
        library.set_workdir(&tree.path, false).map_err(read())?;
        let index = git2::Index::open(&tree.admin.join("index"));
        let mut index = index.map_err(read())?;
        library.set_index(&mut index).map_err(read())?;
        let commit = library.find_commit(raw(base)?);
        let old = commit.and_then(|commit| commit.tree()).map_err(read())?;
        let mut options = options();
        options
            .include_untracked(true)
            .recurse_untracked_dirs(true)
            .show_untracked_content(true);
        let diff = library.diff_tree_to_workdir_with_index(Some(&old), Some(&mut options));
        told(&diff.map_err(read())?).map_err(read())
    }
}

fn options() -> DiffOptions {
    let mut options = DiffOptions::new();
    // A submodule's own repository is not asked.
    options.ignore_submodules(true).max_size(BIGGEST);
    options
}

/// The difference as text, up to the most that is told.
fn told(diff: &Diff<'_>) -> Result<Patch, git2::Error> {
    let mut patch = Patch::default();
    let printed = diff.print(DiffFormat::Patch, |delta, _, line| {
        if patch.lines.len() >= MOST_LINES {
            patch.is_cut = true;
            return false;
        }
        patch.add(&delta, &line);
        true
    });
    match printed {
        Err(error) if error.code() != git2::ErrorCode::User => Err(error),
        _ => Ok(patch),
    }
}

impl Patch {
    fn add(&mut self, delta: &DiffDelta<'_>, line: &DiffLine<'_>) {
        let text = String::from_utf8_lossy(line.content());
        let (kind, sign) = match line.origin() {
            'F' => {
                self.stat.files += 1;
                self.lines.push((PatchLine::File, headline(delta)));
                return;
            }
            'H' => (PatchLine::Hunk, ""),
            '+' => {
                self.stat.insertions += 1;
                (PatchLine::Added, "+")
            }
            '-' => {
                self.stat.deletions += 1;
                (PatchLine::Removed, "-")
            }
            ' ' => (PatchLine::Same, " "),
            _ => (PatchLine::Note, ""),
        };
        for part in text.trim_end_matches('\n').split('\n') {
            let part = part.strip_suffix('\r').unwrap_or(part);
            let shown: String = sign.chars().chain(part.chars()).take(LONGEST).collect();
            if kind != PatchLine::Note || !shown.is_empty() {
                self.lines.push((kind, shown));
            }
        }
    }
}

/// `src/a.rs (new)`.
fn headline(delta: &DiffDelta<'_>) -> String {
    use git2::Delta;
    let path = delta.new_file().path_bytes();
    let path = path.or_else(|| delta.old_file().path_bytes());
    let path = String::from_utf8_lossy(path.unwrap_or_default());
    let what = match delta.status() {
        Delta::Added | Delta::Untracked => " (new)",
        Delta::Deleted => " (removed)",
        Delta::Conflicted => " (in conflict)",
        Delta::Typechange => " (another kind of file)",
        _ => "",
    };
    format!("{path}{what}")
}
