//! Going on without what is damaged: only ever because a person asked for it.

use super::read::scan;
use super::{FILE_NAME, JournalError, sync_dir};
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// What became of a damaged journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mended {
    /// Records before the damage, which are kept.
    pub kept: usize,
    /// The first line that is not.
    pub line: u64,
    /// Where all of the damaged journal is.
    pub aside: PathBuf,
}

/// Keeps the records before the first line that does not read, and the damaged journal beside them, as
/// `journal.jsonl.damaged-<n>`; one without any record is only put aside. `None`: it is not damaged, and was left
/// alone. The caller must hold the [`Lock`](super::Lock).
///
/// # Errors
/// When the file system refuses; the journal is as it was then.
pub fn mend(dir: &Path) -> Result<Option<Mended>, JournalError> {
    let path = dir.join(FILE_NAME);
    let (contents, found) = scan(&path)?;
    let is_sound = match &found {
        Some(found) => !found.is_damage,
        None => true,
    };
    // One that is there without a record is damaged for whoever knows that there were some.
    if (is_sound && !contents.records.is_empty()) || !path.exists() {
        return Ok(None);
    }
    let (line, length) = found.map_or((1, 0), |found| (found.line, found.offset));
    let io = |act| {
        let path = path.clone();
        move |source| JournalError::Io { act, path, source }
    };
    let kept = match length {
        // Not an empty one: that there is none can be told from an empty one.
        0 => None,
        length => Some(copy_of_start(dir, &path, length).map_err(io("copy the good part of"))?),
    };
    let aside = set_aside(&path).map_err(io("set aside"))?;
    sync_dir(dir).map_err(io("sync the directory of"))?;
    // The damaged one has two names here, so that there is a journal whenever this is cut off.
    let replaced = match kept {
        Some(kept) => kept.persist(&path).map(drop).map_err(|error| error.error),
        None => fs::remove_file(&path),
    };
    replaced.map_err(io("replace"))?;
    sync_dir(dir).map_err(io("sync the directory of"))?;
    Ok(Some(Mended {
        kept: contents.records.len(),
        line,
        aside,
    }))
}

fn copy_of_start(dir: &Path, path: &Path, length: u64) -> io::Result<tempfile::NamedTempFile> {
    let mut start = File::open(path)?.take(length);
    let mut copy = tempfile::NamedTempFile::new_in(dir)?;
    io::copy(&mut start, &mut copy)?;
    let mode = fs::metadata(path)?.permissions();
    copy.as_file().set_permissions(mode)?;
    copy.as_file().sync_all()?;
    Ok(copy)
}

/// Gives it a second name that nothing has yet.
fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let mut number = 1;
    loop {
        let aside = path.with_extension(format!("jsonl.damaged-{number}"));
        match fs::hard_link(path, &aside) {
            Ok(()) => return Ok(aside),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(error),
        }
    }
}
