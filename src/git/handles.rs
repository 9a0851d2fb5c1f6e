//! Handles of git2, each for one thread at a time, and used again, though not for ever.
//!
//! This file never asks a repository anything.

use super::error::{GitError, visible};
use super::repo::Repo;
use std::fmt;
use std::ops::Deref;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Times a handle is used. It remembers every object that was read through it, up to hundreds of megabytes, and forgets
/// them only when it is closed.
pub(super) const USES: u32 = 256;

/// A handle of git2 for one thread at a time; idle again when this is dropped, unless it is worn out.
pub(super) struct Library<'r> {
    idle: &'r Handles,
    handle: Option<git2::Repository>,
    /// How often it can be used after this.
    left: u32,
}

/// Handles that nobody uses, and how often each can still be used.
#[derive(Default)]
pub(super) struct Handles(Mutex<Vec<(git2::Repository, u32)>>);

impl Handles {
    fn idle(&self) -> MutexGuard<'_, Vec<(git2::Repository, u32)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Handles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handles").finish_non_exhaustive()
    }
}

impl Deref for Library<'_> {
    type Target = git2::Repository;

    fn deref(&self) -> &git2::Repository {
        match &self.handle {
            Some(handle) => handle,
            // It is taken out only when this is dropped.
            None => unreachable!(),
        }
    }
}

impl Library<'_> {
    /// The same, closed when it is dropped: for what leaves much behind in the handle, as a list of all refs does.
    pub(super) fn for_once(mut self) -> Self {
        self.left = 0;
        self
    }
}

impl Drop for Library<'_> {
    fn drop(&mut self) {
        if self.left > 0 {
            let handle = self.handle.take();
            self.idle.idle().extend(handle.map(|it| (it, self.left)));
        }
    }
}

impl Repo {
    /// The repository as git2 sees it. A handle that another thread has done with is used again, though not for ever: to
    /// open one reads the configuration and maps the packs, which takes longer than most of what is asked.
    pub(super) fn library(&self) -> Result<Library<'_>, GitError> {
        let idle = self.handles().idle().pop();
        let (handle, left) = match idle {
            Some(known) => known,
            None => (open(self.settings())?, USES),
        };
        Ok(Library {
            idle: self.handles(),
            handle: Some(handle),
            left: left - 1,
        })
    }
}

/// Opens exactly this git directory.
pub(super) fn open(git_dir: &Path) -> Result<git2::Repository, GitError> {
    let flags = git2::RepositoryOpenFlags::NO_SEARCH;
    let ceiling: [&std::ffi::OsStr; 0] = [];
    git2::Repository::open_ext(git_dir, flags, ceiling).map_err(|error| GitError::Unsupported {
        path: git_dir.to_owned(),
        why: visible(error.message()),
    })
}
