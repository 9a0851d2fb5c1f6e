//! A private directory for a job's temporary files, and removing whatever a job has made of a directory.
//!
//! Nothing in it is trusted: links are removed, never followed.

use crate::fault::{self, Point};
use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Most names that are tried.
const TRIES: u32 = 1000;
/// Most characters of the label that are used.
const LABEL: usize = 16;

/// A directory that only we can enter, removed with all it holds.
#[derive(Debug)]
pub struct PrivateTemp {
    dir: PathBuf,
}

impl PrivateTemp {
    /// Makes one below `base`, or below `/tmp` when that is no absolute path. Its name is short: sockets in it have
    /// about a hundred bytes.
    ///
    /// # Errors
    /// What the system says, with the path.
    pub fn create(base: Option<&Path>, label: &str) -> Result<Self, (PathBuf, io::Error)> {
        let base = base.filter(|dir| dir.is_absolute());
        let base = base.unwrap_or_else(|| Path::new("/tmp"));
        let pid = std::process::id();
        let label: String = label.chars().take(LABEL).collect();
        let mut n = 0;
        loop {
            let dir = base.join(format!("harness-{pid}-{label}-{n}"));
            let made = fault::at(Point::TemporaryCreate)
                .and_then(|()| DirBuilder::new().mode(0o700).create(&dir));
            match made {
                Ok(()) => return Ok(Self { dir }),
                // Another job's, or what a killed run left; somebody else's is not ours to remove.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && n < TRIES => n += 1,
                Err(error) => return Err((dir, error)),
            }
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// Removes it.
    ///
    /// # Errors
    /// It cannot be removed, in a sentence.
    pub fn remove(&self) -> Result<(), String> {
        remove(&self.dir).map_err(|error| format!("cannot remove {}: {error}", self.dir.display()))
    }
}

impl Drop for PrivateTemp {
    /// For a job that was dropped half-way; otherwise there is nothing left to remove.
    fn drop(&mut self) {
        if let Err(why) = self.remove() {
            tracing::debug!(%why, "a temporary directory stays");
        }
    }
}

/// Removes whatever stands at `path`, if anything: a directory with all it holds, also where somebody took away its
/// permissions; a link itself, never what it leads to.
///
/// # Errors
/// What the system says.
pub fn remove(path: &Path) -> io::Result<()> {
    fault::at(Point::RemainsRemove)?;
    let meta = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    if !meta.is_dir() {
        return fs::remove_file(path);
    }
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            unlock(path)?;
            fs::remove_dir_all(path)
        }
        other => other,
    }
}

/// Makes every directory below `top` removable.
fn unlock(top: &Path) -> io::Result<()> {
    let mut pending = vec![top.to_owned()];
    while let Some(dir) = pending.pop() {
        fs::set_permissions(&dir, Permissions::from_mode(0o700))?;
        for entry in fs::read_dir(&dir)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                pending.push(entry.path());
            }
        }
    }
    Ok(())
}
