//! Reading a journal, and telling what a crash cut off from what is damaged.
//!
//! Every append is synced before the next one begins, so a crash can touch only what was written together last: it may
//! be missing, or cut short, or hold blocks that never reached the disk and read as zeros. All of that is *torn*: nothing
//! has happened yet that those records call for, and they are cut off. Whatever else does not read is *damage*: records
//! that counted are lost, and nobody but a person may say that the run goes on without them.

use super::JournalError;
use super::line::{self, Line, Unread};
use crate::model::Record;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::Path;

/// File systems write blocks of a multiple of this.
const SECTOR: u64 = 512;

/// What reading a journal found.
#[derive(Debug, Default)]
pub struct Contents {
    /// All records in order.
    pub records: Vec<Record>,
    /// Bytes at the end that are no whole record: a write that a crash cut off.
    pub torn_bytes: u64,
}

/// Where a journal stops being readable.
pub(super) struct Break {
    /// Line, from 1.
    pub(super) line: u64,
    /// Where that line begins.
    pub(super) offset: u64,
    /// How many bytes there are from there on.
    rest: u64,
    /// Why it does not read.
    why: String,
    /// Whether what follows proves damage.
    pub(super) is_damage: bool,
}

impl Break {
    /// The damage, as an error.
    pub(super) fn told(&self, path: &Path) -> JournalError {
        JournalError::Damaged {
            path: path.to_owned(),
            line: self.line,
            why: self.why.clone(),
        }
    }
}

/// How far a journal was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Lines before it.
    pub(super) lines: u64,
    /// Bytes before it.
    pub(super) offset: u64,
    /// Number of the last record before it.
    pub(super) seq: u64,
}

/// Reads a journal without touching it; a missing file is an empty journal. Safe while a run appends.
///
/// # Errors
/// When the file system refuses or the journal is damaged.
pub fn read(path: &Path) -> Result<Contents, JournalError> {
    sound(scan(path)?, path)
}

/// Reads what stands in the journal at `path`.
#[cfg(feature = "fuzzing")]
pub(super) fn read_from(
    reader: impl BufRead + Seek,
    path: &Path,
) -> Result<Contents, JournalError> {
    sound(scan_from(reader, path)?, path)
}

/// What was found, if it is not damaged.
fn sound(
    (mut contents, found): (Contents, Option<Break>),
    path: &Path,
) -> Result<Contents, JournalError> {
    match found {
        Some(found) if found.is_damage => Err(found.told(path)),
        Some(found) => {
            contents.torn_bytes = found.rest;
            Ok(contents)
        }
        None => Ok(contents),
    }
}

/// The records before the first line that does not read, and that line.
pub(super) fn scan(path: &Path) -> Result<(Contents, Option<Break>), JournalError> {
    let io = |source| JournalError::Io {
        act: "read",
        path: path.to_owned(),
        source,
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok((Contents::default(), None));
        }
        Err(error) => return Err(io(error)),
    };
    scan_from(BufReader::with_capacity(1 << 16, file), path)
}

fn scan_from(
    mut reader: impl BufRead + Seek,
    path: &Path,
) -> Result<(Contents, Option<Break>), JournalError> {
    let mut contents = Contents::default();
    let mut mark = Mark::default();
    let found = scan_on(&mut reader, path, &mut mark, &mut contents.records)?;
    Ok((contents, found))
}

/// Reads on from where `mark` stands, adds what reads to `records`, and leaves the mark behind the last of them.
pub(super) fn scan_on(
    reader: &mut (impl BufRead + Seek),
    path: &Path,
    mark: &mut Mark,
    records: &mut Vec<Record>,
) -> Result<Option<Break>, JournalError> {
    let io = |source| JournalError::Io {
        act: "read",
        path: path.to_owned(),
        source,
    };
    let mut bytes = Vec::new();
    reader.seek(SeekFrom::Start(mark.offset)).map_err(io)?;
    loop {
        bytes.clear();
        let size = reader.read_until(b'\n', &mut bytes).map_err(io)?;
        if size == 0 {
            return Ok(None);
        }
        let (line, expected) = (mark.lines + 1, mark.seq + 1);
        let why = match line::parse(&bytes) {
            Ok(Line { record, .. }) if record.seq == expected => {
                records.push(record);
                mark.lines = line;
                mark.seq = expected;
                mark.offset += u64::try_from(size).unwrap_or(u64::MAX);
                continue;
            }
            Ok(Line { record, .. }) => format!("record {} where {expected} belongs", record.seq),
            Err(Unread::Newer(why)) => {
                return Err(JournalError::Newer {
                    path: path.to_owned(),
                    line,
                    why,
                });
            }
            Err(Unread::Broken(why)) => why,
        };
        let mut rest = Vec::new();
        reader.seek(SeekFrom::Start(mark.offset)).map_err(io)?;
        reader.read_to_end(&mut rest).map_err(io)?;
        let is_damage = !is_torn(&rest, mark.offset, expected);
        return Ok(Some(Break {
            line,
            offset: mark.offset,
            rest: u64::try_from(rest.len()).unwrap_or(u64::MAX),
            why,
            is_damage,
        }));
    }
}

/// Whether a crash can have left `rest`, which begins at `offset`, where the record `expected` belongs.
fn is_torn(rest: &[u8], offset: u64, expected: u64) -> bool {
    let mut begin = 0;
    rest.split_inclusive(|byte| *byte == b'\n').all(|bytes| {
        let at = begin;
        begin += bytes.len();
        if line::is_intact(bytes) {
            // Only if it was written together with what is missing before it.
            let is_after = |line: Line| line.with <= expected && expected < line.record.seq;
            return at > 0 && line::parse(bytes).is_ok_and(is_after);
        }
        // The newline comes last: a line that is whole but for another last byte was whole.
        let is_cut_short = !bytes.ends_with(b"\n") && !line::is_whole_but_for_its_end(bytes);
        is_cut_short && !bytes.contains(&0) || has_holes(rest, at..begin, offset)
    })
}

/// Whether there are zeros in this part of `rest`, and only such as unwritten blocks leave: from where the write began or a
/// block begins, up to where a block or the file ends.
fn has_holes(rest: &[u8], part: std::ops::Range<usize>, offset: u64) -> bool {
    let is_border = |at: usize| (offset + at as u64).is_multiple_of(SECTOR);
    let mut found = false;
    let mut at = part.start;
    while at < part.end {
        if rest[at] != 0 {
            at += 1;
            continue;
        }
        let end = rest[at..].iter().position(|byte| *byte != 0);
        let end = end.map_or(rest.len(), |length| at + length);
        if !((at == 0 || is_border(at)) && (end == rest.len() || is_border(end))) {
            return false;
        }
        found = true;
        at = end;
    }
    found
}
