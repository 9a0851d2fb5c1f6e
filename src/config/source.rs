//! A text the user wrote, and places in it: what turns "wrong" into "wrong at file:line, here".
//!
//! This file must never know what the text means.

use crate::model::{Code, Problem, Severity};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Files larger than this are refused: 1 MiB.
pub const FILE_CAP_BYTES: u64 = 1 << 20;

/// Lines longer than this are not quoted in problems.
const QUOTE_CAP_BYTES: usize = 400;

/// A place in a [`Source`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Line of the source's text, from 0.
    pub row: usize,
    /// Character in that line, from 0.
    pub column: usize,
}

/// A place for people: file, line and the text that stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot {
    /// The file, as it is shown.
    pub file: PathBuf,
    /// Line in the file, from 1.
    pub line: u32,
    /// Text of that line; empty when it is too long to be quoted.
    pub text: String,
    /// First and one-past-last byte of the word in `text`.
    pub columns: Option<(usize, usize)>,
}

impl Spot {
    /// Puts `problem` at this place.
    #[must_use]
    pub fn mark(&self, problem: Problem) -> Problem {
        let mut problem = problem.file(&self.file);
        problem.line = Some(self.line);
        problem.columns = self.columns;
        problem.source_line = (!self.text.is_empty()).then(|| self.text.clone());
        problem
    }
}

/// A text with a name and quick access to its lines.
#[derive(Clone, Debug)]
pub struct Source {
    file: PathBuf,
    text: String,
    /// Byte at which each line begins.
    starts: Vec<usize>,
    /// Line of the file on which the text begins, from 1.
    first_line: u32,
}

impl Source {
    /// The whole of a file.
    #[must_use]
    pub fn new(file: impl Into<PathBuf>, text: String) -> Self {
        Self::part(file, text, 1)
    }

    /// A part of a file that begins on `first_line` (from 1).
    #[must_use]
    pub fn part(file: impl Into<PathBuf>, text: String, first_line: u32) -> Self {
        let breaks = text.match_indices('\n').map(|(at, _)| at + 1);
        let starts = std::iter::once(0).chain(breaks).collect();
        Self {
            file: file.into(),
            text,
            starts,
            first_line,
        }
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The file's name as it is shown.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The line `row` (from 0) without its line break.
    #[must_use]
    pub fn row(&self, row: usize) -> &str {
        let start = self.starts.get(row).copied().unwrap_or(self.text.len());
        let end = self.starts.get(row + 1).copied().unwrap_or(self.text.len());
        let line = self.text.get(start..end).unwrap_or_default();
        line.trim_end_matches(['\n', '\r'])
    }

    /// The place for people, with the word that stands there. What lies beyond the text, as the place of an end that
    /// came too early does, is shown on the last line that says something.
    #[must_use]
    pub fn spot(&self, place: Place) -> Spot {
        let last = self.text.trim_end().matches('\n').count();
        let row = place.row.min(last);
        let line = self.row(row);
        let quoted = line.len() <= QUOTE_CAP_BYTES;
        let row = u32::try_from(row).unwrap_or(u32::MAX);
        Spot {
            file: self.file.clone(),
            line: self.first_line.saturating_add(row),
            text: if quoted {
                line.to_owned()
            } else {
                String::new()
            },
            columns: quoted.then(|| word_at(line, place.column)).flatten(),
        }
    }

    /// A problem in this text, at `place` if that is known: a value that does not fit, unless its code says otherwise.
    #[must_use]
    pub fn problem(
        &self,
        severity: Severity,
        place: Option<Place>,
        message: impl Into<String>,
    ) -> Problem {
        let problem = Problem {
            severity,
            ..Problem::error(message).code(Code::BadValue)
        };
        match place {
            Some(place) => self.spot(place).mark(problem),
            None => problem.file(&self.file),
        }
    }
}

/// The bytes of the YAML word that begins at character `column`.
fn word_at(line: &str, column: usize) -> Option<(usize, usize)> {
    let (start, first) = line.char_indices().nth(column)?;
    let rest = line.get(start..)?;
    let length = if matches!(first, '"' | '\'') {
        let inner = rest.get(1..)?;
        inner.find(first).map_or(rest.len(), |end| end + 2)
    } else {
        let end = [": ", ",", "]", "}", " #"]
            .iter()
            .filter_map(|stop| rest.find(stop))
            .min();
        end.unwrap_or(rest.len())
    };
    let word = rest.get(..length)?.trim_end().trim_end_matches(':');
    (!word.is_empty()).then(|| (start, start + word.len()))
}

/// Reads a regular file of at most [`FILE_CAP_BYTES`] as UTF-8; a byte order mark is dropped. `shown` is
/// its name in problems. Links are followed: whoever must not follow them looks before.
///
/// # Errors
/// A [`Problem`] saying what is wrong with the file, with the line where it is not UTF-8.
pub fn read_text(path: &Path, shown: &Path) -> Result<String, Box<Problem>> {
    let failed = |error: std::io::Error| {
        Box::new(
            Problem::error(format!("cannot read the file: {error}"))
                .code(Code::UnreadableFile)
                .file(shown),
        )
    };
    // Looking before opening: opening a named pipe would wait for a writer.
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        return Err(Problem::error("not a regular file")
            .code(Code::UnreadableFile)
            .file(shown)
            .into());
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(FILE_CAP_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > FILE_CAP_BYTES {
        return Err(Problem::error("the file is larger than 1 MiB")
            .code(Code::UnreadableFile)
            .file(shown)
            .into());
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(match text.strip_prefix('\u{feff}') {
            Some(rest) => rest.to_owned(),
            None => text,
        }),
        Err(error) => {
            let good = error.utf8_error().valid_up_to();
            let before = error.as_bytes().get(..good).unwrap_or_default();
            let row = before.iter().filter(|byte| **byte == b'\n').count();
            let mut problem = Problem::error("the file is not UTF-8 text")
                .code(Code::UnreadableFile)
                .file(shown);
            problem.line = u32::try_from(row + 1).ok();
            Err(problem.help("save it as UTF-8").into())
        }
    }
}

/// `text` between backticks for a message, at most 60 characters of it, safe for a terminal.
pub(crate) fn quoted(text: &str) -> String {
    let short: String = text.chars().take(60).collect();
    let more = if short.len() < text.len() { "…" } else { "" };
    format!("`{}{more}`", escaped(&short))
}

/// `text` with everything escaped that would not show as itself; quotes and backslashes stay.
pub(crate) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '"' | '\'' | '\\') {
            safe.push(c);
        } else {
            safe.extend(c.escape_debug());
        }
    }
    safe
}
