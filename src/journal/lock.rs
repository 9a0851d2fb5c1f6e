//! The lock file: at most one process may append to a journal.
//!
//! The kernel's lock is the truth and dies with its holder; the text inside only says whom to blame.

use crate::fault::{self, Point};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

const FILE_NAME: &str = "lock";

/// Between `fork` and `exec` a child shares its parent's open files, and with them the lock: for the moment
/// that takes, a lock may seem held whose holder was killed. So who finds it held looks again this often.
const LOOKS: u32 = 5;
/// Time between two looks.
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// Who holds a lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Process id.
    pub pid: u32,
    /// The process's start time in clock ticks since boot, where the system tells.
    pub start_time: Option<u64>,
    /// The boot it was started in, where the system tells.
    pub boot_id: Option<String>,
    /// What it does: a run's name, or a command.
    pub doing: String,
    /// Host name.
    pub host: String,
}

/// Holding this is the right to append; dropping it gives the right back.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

/// Why a lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum Held {
    /// Somebody has it.
    #[error("{}", held_words(.0.as_ref()))]
    By(Option<Holder>),
    /// The file system refused.
    #[error("cannot lock {}: {source}", path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

fn held_words(holder: Option<&Holder>) -> String {
    match holder {
        Some(holder) => format!(
            "another harness is at work here: process {} on {} ({})",
            holder.pid, holder.host, holder.doing
        ),
        None => "another harness is at work here".to_owned(),
    }
}

impl Lock {
    /// Takes the lock in `dir` and writes `holder` into it.
    ///
    /// # Errors
    /// [`Held::By`] when somebody else has it.
    pub fn take(dir: &Path, holder: &Holder) -> Result<Self, Held> {
        let path = dir.join(FILE_NAME);
        let io = |source| Held::Io {
            path: path.clone(),
            source,
        };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = fault::at(Point::LockOpen)
            .and_then(|()| options.open(&path))
            .map_err(io)?;
        let mut looks = 1;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if looks < LOOKS => std::thread::sleep(BETWEEN_LOOKS),
                Err(TryLockError::WouldBlock) => return Err(Held::By(read_holder(dir))),
                Err(TryLockError::Error(source)) => return Err(io(source)),
            }
            looks += 1;
        }
        let text = serde_json::to_string(holder).unwrap_or_default();
        fault::at(Point::LockWrite)
            .and_then(|()| file.set_len(0))
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{text}"))
            .map_err(io)?;
        fault::past(Point::LockTaken);
        Ok(Self { file })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // An empty file says that nobody holds it.
        let _ = fault::at(Point::LockRelease).and_then(|()| self.file.set_len(0));
        // Not left to closing: a child that has not come to its `exec` yet keeps the open file, and closing
        // alone would leave the lock with it.
        let _ = self.file.unlock();
    }
}

/// Whether somebody holds the lock in `dir`: the kernel says it, wherever that process is. `None`: it cannot be asked.
///
/// Asking takes a share of the lock for a moment; who wants all of it at that moment looks again.
#[must_use]
pub fn is_held(dir: &Path) -> Option<bool> {
    let file = match File::open(dir.join(FILE_NAME)) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Some(false),
        Err(_) => return None,
    };
    match file.try_lock_shared() {
        Ok(()) => {
            let _ = file.unlock();
            Some(false)
        }
        Err(TryLockError::WouldBlock) => Some(true),
        Err(TryLockError::Error(_)) => None,
    }
}

/// Who wrote the lock file in `dir` last, if it says. Whether that process still lives is for the
/// caller to find out.
#[must_use]
pub fn read_holder(dir: &Path) -> Option<Holder> {
    let mut text = String::new();
    File::open(dir.join(FILE_NAME))
        .ok()?
        .take(4096)
        .read_to_string(&mut text)
        .ok()?;
    serde_json::from_str(text.trim()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(doing: &str) -> Holder {
        Holder {
            pid: 4242,
            start_time: Some(7),
            boot_id: None,
            doing: doing.to_owned(),
            host: "box".to_owned(),
        }
    }

    #[test]
    fn the_second_taker_is_told_who_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let first = Lock::take(dir.path(), &holder("run r1")).unwrap();
        let error = Lock::take(dir.path(), &holder("run r2")).unwrap_err();
        assert!(
            error.to_string().contains("process 4242 on box (run r1)"),
            "{error}"
        );
        assert_eq!(is_held(dir.path()), Some(true));
        drop(first);
        assert_eq!(is_held(dir.path()), Some(false));
        assert!(read_holder(dir.path()).is_none());
        assert!(Lock::take(dir.path(), &holder("run r2")).is_ok());
    }

    #[test]
    fn giving_it_back_does_not_wait_for_who_shares_the_open_file() {
        let dir = tempfile::tempdir().unwrap();
        let first = Lock::take(dir.path(), &holder("run r1")).unwrap();
        // What a forked child has.
        let shared = first.file.try_clone().unwrap();
        drop(first);
        assert!(Lock::take(dir.path(), &holder("run r2")).is_ok());
        drop(shared);
    }

    #[test]
    fn a_lock_file_left_by_a_killed_process_is_taken_over() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE_NAME), "{\"pid\":1,garbage").unwrap();
        assert!(read_holder(dir.path()).is_none());
        let lock = Lock::take(dir.path(), &holder("run r2")).unwrap();
        assert_eq!(read_holder(dir.path()).unwrap().doing, "run r2");
        drop(lock);
    }
}
