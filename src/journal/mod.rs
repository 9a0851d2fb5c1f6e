//! The append-only record of facts, and the lock that says who may append.
//!
//! This room knows records and lines, never what a record means: it must never decide, and never
//! import `core`. One line is one record: a JSON object with schema version, sequence number, time,
//! event and a checksum over everything before it.

#[cfg(feature = "fuzzing")]
mod fuzz;
mod line;
mod lock;

#[cfg(feature = "fuzzing")]
pub(crate) use fuzz::fuzz;
pub use lock::{Held, Holder, Lock, read_holder};

use crate::fault::{self, Point};
use crate::model::Record;
use line::Unread;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
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
    /// A line in the middle does not read.
    #[error("{}:{line}: {why}; the lines after it are intact, so this is damage, not a torn write", path.display())]
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

/// An open journal: records can be appended.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    length: u64,
}

/// What reading a journal found.
#[derive(Debug, Default)]
pub struct Contents {
    /// All records in order.
    pub records: Vec<Record>,
    /// Bytes at the end that are no whole record: a write that a crash cut off.
    pub torn_bytes: u64,
}

impl Journal {
    /// Opens the journal in `dir` for appending, creating it when there is none, and cuts off a torn
    /// tail (its bytes are kept beside it, in `journal.jsonl.torn`). The caller must hold the [`Lock`].
    ///
    /// # Errors
    /// When the file system refuses or a line in the middle is unreadable.
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
        let mut length = file.metadata().map_err(io("read"))?.len();
        if contents.torn_bytes > 0 {
            let keep = length.saturating_sub(contents.torn_bytes);
            save_torn(&mut file, keep, &path).map_err(io("keep the torn end of"))?;
            fault::at(Point::JournalCut)
                .and_then(|()| file.set_len(keep))
                .map_err(io("cut the torn end of"))?;
            length = keep;
        }
        file.sync_all().map_err(io("sync"))?;
        sync_dir(dir).map_err(io("sync the directory of"))?;
        let journal = Self { path, file, length };
        Ok((journal, contents))
    }

    /// Appends `records` with one write and one sync. When it returns, they survive a power cut; when
    /// it fails, none of them is in the file.
    ///
    /// # Errors
    /// When the file system refuses; the run must stop then.
    pub fn append(&mut self, records: &[Record]) -> Result<(), JournalError> {
        if records.is_empty() {
            return Ok(());
        }
        let mut text = Vec::new();
        for record in records {
            line::write(&mut text, record);
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
            let _ = self.file.set_len(self.length);
            return Err(JournalError::Io {
                act: "append to",
                path: self.path.clone(),
                source,
            });
        }
        fault::past(Point::JournalSynced);
        self.length += u64::try_from(text.len()).unwrap_or(u64::MAX);
        Ok(())
    }
}

impl Journal {
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

/// Reads a journal without touching it; a missing file is an empty journal. Safe while a run appends.
///
/// # Errors
/// When the file system refuses or a line in the middle is unreadable.
pub fn read(path: &Path) -> Result<Contents, JournalError> {
    let io = |source| JournalError::Io {
        act: "read",
        path: path.to_owned(),
        source,
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(Contents::default());
        }
        Err(error) => return Err(io(error)),
    };
    read_from(BufReader::with_capacity(1 << 16, file), path)
}

/// Reads what stands in the journal at `path`.
fn read_from(mut reader: impl BufRead, path: &Path) -> Result<Contents, JournalError> {
    let io = |source| JournalError::Io {
        act: "read",
        path: path.to_owned(),
        source,
    };
    let mut contents = Contents::default();
    let mut bad: Option<(u64, String)> = None;
    let mut number = 0;
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        let size = reader.read_until(b'\n', &mut bytes).map_err(io)?;
        if size == 0 {
            break;
        }
        number += 1;
        let expected = contents.records.last().map(|record| record.seq + 1);
        let parsed = line::parse(&bytes).and_then(|record| match expected {
            Some(seq) if seq != record.seq => Err(Unread::Broken(format!(
                "record {} where {seq} belongs",
                record.seq
            ))),
            _ => Ok(record),
        });
        let why = match parsed {
            Ok(record) if bad.is_none() => {
                contents.records.push(record);
                continue;
            }
            Err(Unread::Newer(why)) if bad.is_none() => {
                return Err(JournalError::Newer {
                    path: path.to_owned(),
                    line: number,
                    why,
                });
            }
            Err(Unread::Broken(why)) => why,
            _ => String::new(),
        };
        // A whole line with a good checksum that does not fit, or that follows one that does not read,
        // is no torn write.
        let (line, why) = bad.get_or_insert((number, why));
        if line::is_intact(&bytes) {
            return Err(damaged(path, *line, why));
        }
        contents.torn_bytes += u64::try_from(size).unwrap_or(u64::MAX);
    }
    Ok(contents)
}

fn damaged(path: &Path, line: u64, why: &str) -> JournalError {
    JournalError::Damaged {
        path: path.to_owned(),
        line,
        why: why.to_owned(),
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
mod tests {
    use super::*;
    use crate::model::{Event, Slug, Stamp};

    fn record(seq: u64) -> Record {
        Record {
            seq,
            at: Stamp(1_000 + seq),
            event: Event::Claimed {
                slug: Slug::new("auth").unwrap(),
                summary: format!("done\nnumber {seq} \u{1f600} \"quoted\""),
            },
        }
    }

    fn journal_of(count: u64) -> (tempfile::TempDir, PathBuf, Vec<Record>) {
        let dir = tempfile::tempdir().unwrap();
        let records: Vec<Record> = (1..=count).map(record).collect();
        let (mut journal, before) = Journal::open(dir.path()).unwrap();
        assert!(before.records.is_empty());
        journal.append(&records).unwrap();
        let path = dir.path().join(FILE_NAME);
        (dir, path, records)
    }

    #[test]
    fn what_was_appended_is_read_back() {
        let (dir, _, records) = journal_of(3);
        let (mut journal, contents) = Journal::open(dir.path()).unwrap();
        assert_eq!(contents.records, records);
        journal.append(&[record(4)]).unwrap();
        let contents = read(&dir.path().join(FILE_NAME)).unwrap();
        assert_eq!(contents.records.len(), 4);
    }

    #[test]
    fn a_tail_torn_at_any_byte_is_cut_and_kept_beside() {
        let (_dir, path, records) = journal_of(3);
        let whole = std::fs::read(&path).unwrap();
        let two: usize = whole
            .split_inclusive(|b| *b == b'\n')
            .take(2)
            .map(<[u8]>::len)
            .sum();
        for cut in two + 1..whole.len() {
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join(FILE_NAME), &whole[..cut]).unwrap();
            let (mut journal, contents) = Journal::open(dir.path()).unwrap();
            assert_eq!(contents.records, records[..2], "cut at {cut}");
            let torn = std::fs::read(dir.path().join("journal.jsonl.torn")).unwrap();
            assert_eq!(torn, &whole[two..cut]);
            journal.append(&[record(3)]).unwrap();
            let again = read(&dir.path().join(FILE_NAME)).unwrap();
            assert_eq!(again.records, records);
            assert_eq!(again.torn_bytes, 0);
        }
    }

    #[test]
    fn a_changed_byte_in_the_middle_is_refused_with_its_line() {
        let (_dir, path, _) = journal_of(3);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replacen("number 2", "number 7", 1)).unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains("journal.jsonl:2:"), "{error}");
        assert!(error.contains("checksum"), "{error}");
    }

    #[test]
    fn a_missing_line_is_refused() {
        let (_dir, path, _) = journal_of(3);
        let text = std::fs::read_to_string(&path).unwrap();
        let without: Vec<&str> = text
            .lines()
            .enumerate()
            .filter(|(n, _)| *n != 1)
            .map(|(_, line)| line)
            .collect();
        std::fs::write(&path, without.join("\n") + "\n").unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(
            error.contains("journal.jsonl:2: record 3 where 2 belongs"),
            "{error}"
        );
    }

    #[test]
    fn a_journal_of_a_newer_version_is_refused_not_cut() {
        let (dir, path, _) = journal_of(1);
        let mut text = std::fs::read(&path).unwrap();
        text.extend(line::sealed(
            br#"{"v":99,"seq":2,"at":1,"event":{"event":"tidied"}"#,
        ));
        std::fs::write(&path, text).unwrap();
        let error = Journal::open(dir.path()).unwrap_err().to_string();
        assert!(
            error.contains("journal.jsonl:2 was written by a newer harness: format version 99"),
            "{error}"
        );
    }
}
