//! Reading a journal, and telling what a crash cut off from what is damaged.
//!
//! Every append is synced before the next one begins, so a crash can touch only what was written together last: it may
//! be missing, or cut short, or hold blocks that never reached the disk and read as zeros. All of that is *torn*: nothing
//! has happened yet that those records call for, and they are cut off. Whatever else does not read is *damage*: records
//! that counted are lost, and nobody but a person may say that the run goes on without them.

use super::JournalError;
use super::line::{self, Line, Unread};
use super::sum::Sum;
use crate::model::Record;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::num::NonZero;
use std::path::Path;
use std::thread::ScopedJoinHandle;

/// File systems write blocks of a multiple of this.
const SECTOR: u64 = 512;
/// About so much is read at a time, so that a long journal is never in memory as a whole.
const BATCH_BYTES: usize = 1 << 20;
/// So few lines are read sooner than another thread begins.
const FEW_LINES: usize = 256;

/// What reading a journal found.
#[derive(Debug, Default)]
pub struct Contents {
    /// All records in order.
    pub records: Vec<Record>,
    /// Bytes at the end that are no whole record: a write that a crash cut off.
    pub torn_bytes: u64,
    /// How far the records go.
    pub(super) mark: Mark,
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

/// How far a journal was read or written, and of which bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    /// Lines before it, which is the number of the last record.
    pub(super) lines: u64,
    /// Of the bytes before it.
    pub(super) sum: Sum,
}

impl Mark {
    /// Bytes before it.
    pub(super) fn offset(&self) -> u64 {
        self.sum.length()
    }

    /// Goes past a record's line.
    pub(super) fn pass(&mut self, line: &[u8]) {
        self.lines += 1;
        self.sum.add(line);
    }
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
    let Contents { records, mark, .. } = &mut contents;
    let found = scan_on(&mut reader, path, mark, &mut |record| records.push(record))?;
    Ok((contents, found))
}

/// Reads on from where `mark` stands, and tells each record that reads once the mark is behind it.
pub(super) fn scan_on(
    reader: &mut (impl BufRead + Seek),
    path: &Path,
    mark: &mut Mark,
    tell: &mut dyn FnMut(Record),
) -> Result<Option<Break>, JournalError> {
    let io = |source| JournalError::Io {
        act: "read",
        path: path.to_owned(),
        source,
    };
    let mut text = Vec::new();
    reader.seek(SeekFrom::Start(mark.offset())).map_err(io)?;
    'batches: loop {
        let lengths = next_lines(reader, &mut text).map_err(io)?;
        if lengths.is_empty() {
            return Ok(None);
        }
        let mut rest = text.as_slice();
        let lines = lengths.iter().map(|length| rest.split_off(..*length));
        let lines: Vec<&[u8]> = lines.map(Option::unwrap_or_default).collect();
        for (bytes, parsed) in lines.iter().zip(parse_all(&lines)) {
            let expected = mark.lines + 1;
            let why = match parsed {
                Ok(Line { record, .. }) if record.seq == expected => {
                    mark.pass(bytes);
                    tell(record);
                    continue;
                }
                Ok(Line { record, .. }) => {
                    format!("record {} where {expected} belongs", record.seq)
                }
                Err(Unread::Newer(why)) => {
                    return Err(JournalError::Newer {
                        path: path.to_owned(),
                        line: expected,
                        why,
                    });
                }
                Err(Unread::Broken(why)) => why,
            };
            let mut rest = Vec::new();
            reader
                .seek(SeekFrom::Start(mark.offset()))
                .and_then(|_| reader.read_to_end(&mut rest))
                .map_err(io)?;
            let again = rest.split_inclusive(|byte| *byte == b'\n').next();
            let again = again.map(line::parse);
            if again.is_some_and(|line| line.is_ok_and(|line| line.record.seq == expected)) {
                // It was being written just now, and only part of that could be seen.
                reader.seek(SeekFrom::Start(mark.offset())).map_err(io)?;
                continue 'batches;
            }
            return Ok(Some(Break {
                line: expected,
                offset: mark.offset(),
                rest: u64::try_from(rest.len()).unwrap_or(u64::MAX),
                why,
                is_damage: !is_torn(&rest, mark.offset(), expected),
            }));
        }
    }
}

/// Reads some whole lines, and tells how long each is; none at the end, where the last one may be cut short.
fn next_lines(reader: &mut impl BufRead, text: &mut Vec<u8>) -> io::Result<Vec<usize>> {
    text.clear();
    let mut lengths = Vec::new();
    while text.len() < BATCH_BYTES {
        match reader.read_until(b'\n', text)? {
            0 => break,
            length => lengths.push(length),
        }
    }
    Ok(lengths)
}

/// Reads each line by itself; many of them on all processors.
fn parse_all(lines: &[&[u8]]) -> Vec<Result<Line, Unread>> {
    let parse = |lines: &[&[u8]]| lines.iter().map(|line| line::parse(line)).collect();
    let workers = std::thread::available_parallelism().map_or(1, NonZero::get);
    let share = lines.len().div_ceil(workers).max(FEW_LINES);
    std::thread::scope(|scope| {
        let (first, others) = lines.split_at(share.min(lines.len()));
        let others: Vec<_> = others
            .chunks(share)
            .map(|part| {
                let thread = std::thread::Builder::new();
                let begun = thread.spawn_scoped(scope, move || parse(part));
                (part, begun)
            })
            .collect();
        let mut all: Vec<_> = parse(first);
        for (part, begun) in others {
            // Without another thread it is done on this one.
            all.extend(match begun.map(ScopedJoinHandle::join) {
                Ok(Ok(parsed)) => parsed,
                Ok(Err(panic)) => std::panic::resume_unwind(panic),
                Err(_) => parse(part),
            });
        }
        all
    })
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
