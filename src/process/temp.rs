//! A private directory for a job's temporary files, and removing whatever a job has made of a directory.
//!
//! Nothing in it is trusted: links are removed, never followed.

use crate::fault::{self, Point};
use nix::unistd::geteuid;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Most names that are tried.
const TRIES: u32 = 1000;
/// Most characters of the label that are used.
const LABEL: usize = 16;

/// A directory that only we can enter, removed with all it holds.
#[derive(Debug)]
pub struct PrivateTemp {
    dir: PathBuf,
    /// Locked as long as we live, so that anybody can tell a directory that was left. Where that cannot be, none is.
    _alive: Option<File>,
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
                Ok(()) => {
                    let alive = File::open(&dir).and_then(|open| open.lock().map(|()| open));
                    let _alive = alive.ok();
                    return Ok(Self { dir, _alive });
                }
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

/// Directories below `base` that harness made for a time, and whose makers are dead: the lock that each holds on its own
/// ended with it. Only our own user's.
#[must_use]
pub fn left_behind(base: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(base)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| is_of_harness(path) && is_ownerless(path))
        .collect();
    found.sort();
    found
}

/// `harness-git-…`, or `harness-<pid>-…`.
fn is_of_harness(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    let rest = name.and_then(|name| name.strip_prefix("harness-"));
    rest.and_then(|rest| rest.split_once('-'))
        .is_some_and(|(kind, _)| kind == "git" || kind.parse::<u32>().is_ok())
}

fn is_ownerless(path: &Path) -> bool {
    let own = geteuid().as_raw();
    let is_ours = fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir() && meta.uid() == own);
    // One that was made this moment is not locked yet, and empty.
    let holds = fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some());
    is_ours && holds && File::open(path).is_ok_and(|dir| dir.try_lock().is_ok())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_lost_its_maker_is_left_behind() {
        let base = tempfile::tempdir().unwrap();
        let alive = PrivateTemp::create(Some(base.path()), "job").unwrap();
        for name in ["harness-git-x", "harness-77-job-0", "harness-demo", "else"] {
            fs::create_dir_all(base.path().join(name).join("something")).unwrap();
        }
        fs::create_dir(base.path().join("harness-git-new")).unwrap();
        fs::write(alive.path().join("file"), "").unwrap();
        let left = |base: &Path| left_behind(base);
        let expected = ["harness-77-job-0", "harness-git-x"].map(|name| base.path().join(name));
        assert_eq!(left(base.path()), expected);
        alive.remove().unwrap();
        assert_eq!(left(base.path()), expected);
    }
}
