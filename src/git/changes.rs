//! What a landed commit changed, for people.
//!
//! Reads only, and never judges what it finds.

use super::error::GitError;
use super::read::{DiffStat, raw};
use super::repo::Repo;
use crate::model::Oid;
use git2::{Delta, DiffFindOptions};

/// So many files that came and went are compared with each other to find what was only moved.
const RENAMES_MOST: usize = 400;

/// What a commit changed, compared with its first parent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// How much.
    pub stat: DiffStat,
    /// Files that are gone and were not moved elsewhere; names that are not UTF-8 with replacement characters.
    pub removed: Vec<String>,
}

impl Repo {
    /// What a commit changed, compared with its first parent; `None`: it has none, or is not there any more.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub fn changes(&self, commit: &Oid) -> Result<Option<Changes>, GitError> {
        let library = self.library()?;
        let read = || GitError::read(format!("read what {commit} changed"));
        let Ok(found) = library.find_commit(raw(commit)?) else {
            return Ok(None);
        };
        let Ok(before) = found.parent(0).and_then(|parent| parent.tree()) else {
            return Ok(None);
        };
        let after = found.tree().map_err(read())?;
        let mut diff = library
            .diff_tree_to_tree(Some(&before), Some(&after), None)
            .map_err(read())?;
        let mut moved = DiffFindOptions::new();
        moved.renames(true).rename_limit(RENAMES_MOST);
        diff.find_similar(Some(&mut moved)).map_err(read())?;
        let stats = diff.stats().map_err(read())?;
        let removed = diff
            .deltas()
            .filter(|delta| delta.status() == Delta::Deleted);
        let paths = removed.filter_map(|delta| delta.old_file().path_bytes());
        Ok(Some(Changes {
            stat: DiffStat {
                files: stats.files_changed(),
                insertions: stats.insertions(),
                deletions: stats.deletions(),
            },
            removed: paths
                .map(|path| String::from_utf8_lossy(path).into_owned())
                .collect(),
        }))
    }
}
