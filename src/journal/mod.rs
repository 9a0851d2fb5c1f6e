//! The append-only record of facts, and the lock that says who may append.
//!
//! This room knows records and lines, never what a record means: it must never decide, and never
//! import `core`. One line is one record: a JSON object with schema version, sequence number, time,
//! event and a checksum over everything before it.

mod cache;
mod follow;
#[cfg(feature = "fuzzing")]
mod fuzz;
mod line;
mod lock;
mod mend;
mod read;
mod sum;

pub use cache::{keep, kept};
pub use follow::{Follower, News};
#[cfg(feature = "fuzzing")]
pub(crate) use fuzz::fuzz;
pub use lock::{Held, Holder, Lock, is_held, read_holder};
pub use mend::{Mended, mend};
pub use read::{Contents, Mark, read};

use crate::fault::{self, Point};
use crate::model::Record;
use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The journal's file name in the state directory.
pub const FILE_NAME: &str = "journal.jsonl";

/// What can go wrong with a journal.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file system refused.
    #[error("cannot {act} {}: {source}", path.display())]
    Io {
        /// What was tried.
        act: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A line does not read, and no crash leaves it so.
    #[error("{}:{line}: {why}; this is damage, not a write that a crash cut off", path.display())]
    Damaged {
        /// The journal.
        path: PathBuf,
        /// Line, from 1.
        line: u64,
        /// What is wrong with it.
        why: String,
    },
    /// A whole line holds what this harness does not know.
    #[error("{}:{line} was written by a newer harness: {why}", path.display())]
    Newer {
        /// The journal.
        path: PathBuf,
        /// Line, from 1.
        line: u64,
        /// What is not known.
        why: String,
    },
}

impl JournalError {
    /// What a person can do about it.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Damaged { .. } => {
                "nothing was changed, and what agents did is in git: branches harness/<feature>, and \
                 refs/harness/iterations/ for every iteration. Restore the file from a backup; or `harness recover --journal` \
                 goes on without what is damaged: it keeps the records before that line, and the whole file beside them"
            }
            Self::Newer { .. } => {
                "nothing was changed; use that harness here, or a later one: `harness --version` tells which this is"
            }
            Self::Io { .. } => {
                "see that the state directory is writable and the disk has room, then run again"
            }
        }
    }
}

/// An open journal: records can be appended.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    /// How far it goes.
    mark: Mark,
}

impl Journal {
    /// Opens the journal in `dir` for appending, creating it when there is none, and cuts off a torn
    /// tail (its bytes are kept beside it, in `journal.jsonl.torn`). The caller must hold the [`Lock`].
    ///
    /// # Errors
    /// When the file system refuses or the journal is damaged.
    pub fn open(dir: &Path) -> Result<(Self, Contents), JournalError> {
        let path = dir.join(FILE_NAME);
        let contents = read(&path)?;
        let io = |act| {
            let path = path.clone();
            move |source| JournalError::Io { act, path, source }
        };
        let mut options = OpenOptions::new();
        options.read(true).create(true).append(true);
        let mut file = fault::at(Point::JournalOpen)
            .and_then(|()| options.open(&path))
            .map_err(io("open"))?;
        let mark = contents.mark;
        if contents.torn_bytes > 0 {
            let keep = mark.offset();
            save_torn(&mut file, keep, &path).map_err(io("keep the torn end of"))?;
            fault::at(Point::JournalCut)
                .and_then(|()| file.set_len(keep))
                .map_err(io("cut the torn end of"))?;
        }
        file.sync_all().map_err(io("sync"))?;
        sync_dir(dir).map_err(io("sync the directory of"))?;
        let journal = Self { path, file, mark };
        Ok((journal, contents))
    }

    /// Appends `records` with one write and one sync. When it returns, they survive a power cut; when
    /// it fails, none of them is in the file.
    ///
    /// # Errors
    /// When the file system refuses; the run must stop then.
    pub fn append(&mut self, records: &[Record]) -> Result<(), JournalError> {
        let Some(first) = records.first() else {
            return Ok(());
        };
        let (mut text, mut mark) = (Vec::new(), self.mark);
        for record in records {
            let begin = text.len();
            line::write(&mut text, record, first.seq);
            mark.pass(&text[begin..]);
        }
        let written = self
            .is_there()
            .and_then(|()| fault::at(Point::JournalAppend))
            .and_then(|()| fault::write(Point::JournalWrite, &mut self.file, &text))
            .and_then(|()| fault::at(Point::JournalSync))
            .and_then(|()| self.file.sync_data());
        if let Err(source) = written {
            // A full disk must not leave half a batch behind; should this fail too, the checksums
            // tell on the next start.
            let _ = self.file.set_len(self.mark.offset());
            return Err(JournalError::Io {
                act: "append to",
                path: self.path.clone(),
                source,
            });
        }
        fault::past(Point::JournalSynced);
        self.mark = mark;
        Ok(())
    }
}

impl Journal {
    /// How far it goes: what was made of all records that were read and appended may be kept with it.
    #[must_use]
    pub fn mark(&self) -> Mark {
        self.mark
    }

    /// An error when somebody deleted or moved the file: the next run would not find what is written into
    /// it then.
    fn is_there(&self) -> io::Result<()> {
        let own = self.file.metadata()?;
        match std::fs::metadata(&self.path) {
            Ok(found) if (found.dev(), found.ino()) == (own.dev(), own.ino()) => Ok(()),
            _ => Err(io::Error::new(
                io::ErrorKind::NotFound,
                "the file was deleted or moved while the run was using it",
            )),
        }
    }
}

fn save_torn(file: &mut File, from: u64, path: &Path) -> std::io::Result<()> {
    fault::at(Point::JournalKeep)?;
    file.seek(SeekFrom::Start(from))?;
    // Whoever has the lock may write it; nobody else does.
    let kept = path.with_extension("jsonl.torn");
    let draft = kept.with_added_extension("new");
    match std::fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut torn = File::create_new(&draft)?;
    io::copy(file, &mut torn)?;
    torn.sync_all()?;
    std::fs::rename(&draft, kept)
}

fn sync_dir(dir: &Path) -> std::io::Result<()> {
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests;
