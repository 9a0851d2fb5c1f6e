//! Which files differ between two trees.
//!
//! The library's own comparison looks into every directory, equal ones too, and those are nearly all there are: on
//! 100,000 files that was most of what a landing cost (`scripts/bench landing`). This file never looks at contents.

use super::error::GitError;
use super::read::{raw, wrapped};
use super::repo::Repo;
use crate::model::Oid;
use git2::{Oid as Raw, Repository};
use std::cmp::Ordering;

/// Mode of a directory, and the mask of what kind of thing an entry is.
const DIRECTORY: i32 = 0o040_000;
const KIND: i32 = 0o170_000;
/// Mode of a submodule or embedded repository.
const GITLINK: i32 = 0o160_000;

/// A path that is not the same in two trees; a rename is two of them.
pub(super) struct Difference<'a> {
    pub(super) path: &'a [u8],
    /// Its mode in the first tree, where it is there and no directory.
    before: Option<i32>,
    /// The same in the second one.
    after: Option<i32>,
}

impl Difference<'_> {
    pub(super) fn is_added(&self) -> bool {
        self.before.is_none()
    }

    pub(super) fn is_deleted(&self) -> bool {
        self.after.is_none()
    }

    /// Whether the second tree holds a submodule there.
    pub(super) fn is_gitlink(&self) -> bool {
        self.after == Some(GITLINK)
    }
}

/// An entry of a tree.
#[derive(PartialEq, Eq)]
struct Entry {
    name: Vec<u8>,
    id: Raw,
    mode: i32,
}

impl Entry {
    fn is_directory(&self) -> bool {
        self.mode & KIND == DIRECTORY
    }
}

struct Walk<'r, F> {
    library: &'r Repository,
    path: Vec<u8>,
    each: F,
}

impl Repo {
    /// Calls `each` with every path that differs between two trees, in no particular order.
    pub(super) fn diff(
        &self,
        before: &Oid,
        after: &Oid,
        each: impl FnMut(Difference<'_>),
    ) -> Result<(), GitError> {
        if before == after {
            return Ok(());
        }
        let library = self.library()?;
        let mut walk = Walk {
            library: &library,
            path: Vec::new(),
            each,
        };
        walk.trees(Some(raw(before)?), Some(raw(after)?))
    }
}

impl<F: FnMut(Difference<'_>)> Walk<'_, F> {
    fn trees(&mut self, before: Option<Raw>, after: Option<Raw>) -> Result<(), GitError> {
        let (before, after) = (self.entries(before)?, self.entries(after)?);
        let (mut old, mut new) = (before.iter().peekable(), after.iter().peekable());
        loop {
            let order = match (old.peek(), new.peek()) {
                (None, None) => return Ok(()),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(a), Some(b)) => a.name.cmp(&b.name),
            };
            let a = old.next_if(|_| order != Ordering::Greater);
            let b = new.next_if(|_| order != Ordering::Less);
            if a != b {
                self.name(a, b)?;
            }
        }
    }

    /// One name that is not the same in the two trees.
    fn name(&mut self, a: Option<&Entry>, b: Option<&Entry>) -> Result<(), GitError> {
        let Some(either) = a.or(b) else {
            return Ok(());
        };
        let above = self.path.len();
        if above > 0 {
            self.path.push(b'/');
        }
        self.path.extend_from_slice(&either.name);
        let file = |entry: Option<&Entry>| {
            let entry = entry.filter(|entry| !entry.is_directory());
            entry.map(|entry| entry.mode)
        };
        let below = |entry: Option<&Entry>| {
            let entry = entry.filter(|entry| entry.is_directory());
            entry.map(|entry| entry.id)
        };
        let (before, after) = (file(a), file(b));
        if before.is_some() || after.is_some() {
            (self.each)(Difference {
                path: &self.path,
                before,
                after,
            });
        }
        let (before, after) = (below(a), below(b));
        if before != after {
            self.trees(before, after)?;
        }
        self.path.truncate(above);
        Ok(())
    }

    /// A tree's entries by name; none for no tree. git itself sorts directories as if their names ended in a
    /// slash.
    fn entries(&self, tree: Option<Raw>) -> Result<Vec<Entry>, GitError> {
        let Some(id) = tree else {
            return Ok(Vec::new());
        };
        let shown = wrapped(id)?;
        let read = GitError::read(format!("read the tree {shown}"));
        let tree = self.library.find_tree(id).map_err(read)?;
        let entries = tree.iter().map(|entry| Entry {
            name: entry.name_bytes().to_vec(),
            id: entry.id(),
            mode: entry.filemode_raw(),
        });
        let mut entries: Vec<Entry> = entries.collect();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }
}
