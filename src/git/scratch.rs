//! An index in a directory of its own that is gone afterwards, for everything that needs one but must not
//! touch those of the user and of the worktrees.
//!
//! This file never moves a ref and never knows what the index is for.

use super::cli::{Call, Git};
use super::error::GitError;
use crate::fault::{self, Point};
use crate::model::Oid;
use std::ffi::OsStr;
use tempfile::TempDir;

/// Settings under which git would share parts of the index with the repository, or leave files out.
const OFF: [&str; 6] = [
    "-c",
    "core.splitIndex=false",
    "-c",
    "core.sparseCheckout=false",
    "-c",
    "index.sparse=false",
];

/// The index, and git working on it.
pub(super) struct ScratchIndex {
    git: Git,
    dir: TempDir,
}

impl ScratchIndex {
    /// An empty one for git on this repository and, if it has one, work tree.
    pub(super) fn new(git: &Git) -> Result<Self, GitError> {
        let dir = fault::at(Point::ScratchCreate).and_then(|()| tempfile::tempdir());
        let dir = dir.map_err(GitError::io("use", &std::env::temp_dir()))?;
        Ok(Self {
            git: git.with_index(&dir.path().join("index")),
            dir,
        })
    }

    /// A command on it.
    pub(super) fn call<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Call<'_> {
        self.git.call(args).options(OFF)
    }

    /// Makes it hold exactly this tree or commit.
    pub(super) fn read(&self, tree: &Oid) -> Result<(), GitError> {
        self.call(["read-tree", tree.as_str()]).ok().map(drop)
    }

    /// Changes entries: `<mode> <oid> <stage>\t<path>\0` each, mode 0 removes.
    pub(super) fn edit(&self, entries: Vec<u8>) -> Result<(), GitError> {
        let call = self.call(["update-index", "-z", "--index-info"]);
        call.stdin(entries).ok().map(drop)
    }

    /// Writes what it holds as a tree.
    pub(super) fn write(&self) -> Result<Oid, GitError> {
        self.call(["write-tree"]).oid()
    }

    /// Where it is; other files may be put there too.
    pub(super) fn dir(&self) -> &std::path::Path {
        self.dir.path()
    }
}
