//! What becomes of output: a capped raw log on disk, and lines for whoever listens.
//!
//! Bytes come in, in order; memory stays bounded whatever they are. This file must never know where
//! the bytes come from, and never let a failing disk stop a job.

use super::secrets::Sieve;
use super::{Secrets, Stream};
use crate::fault::{self, Point};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Longest line of stdout that is passed on whole: the result record of an agent is one line.
const OUT_LINE_MAX: usize = 8 << 20;
/// Longest line of stderr that is passed on whole.
const ERR_LINE_MAX: usize = 1 << 20;
/// What a line buffer keeps allocated after a long line.
const LINE_KEPT: usize = 64 << 10;

/// Log and listeners of one job.
pub(super) struct Capture<F> {
    log: Log,
    out: Source,
    err: Source,
    on_line: F,
    bytes: u64,
}

/// What is between one pipe and whoever listens.
struct Source {
    sieve: Sieve,
    lines: Lines,
}

impl<F: FnMut(Stream, &str)> Capture<F> {
    pub(super) fn new(log: Log, secrets: &Secrets, on_line: F) -> Self {
        let source = |max| Source {
            sieve: Sieve::new(secrets),
            lines: Lines::new(max),
        };
        Self {
            log,
            out: source(OUT_LINE_MAX),
            err: source(ERR_LINE_MAX),
            on_line,
            bytes: 0,
        }
    }

    /// Takes a piece of one stream.
    pub(super) fn take(&mut self, stream: Stream, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        let Source { sieve, lines } = match stream {
            Stream::Out => &mut self.out,
            Stream::Err => &mut self.err,
        };
        sieve.take(bytes, &mut |bytes| {
            self.log.write(bytes);
            lines.take(bytes, &mut |line| (self.on_line)(stream, line));
        });
    }

    /// Passes on unfinished last lines and completes the log. Returns how many bytes came and what went
    /// wrong with the log.
    pub(super) fn finish(mut self) -> (u64, Option<String>) {
        for (stream, source) in [(Stream::Out, self.out), (Stream::Err, self.err)] {
            let Source { sieve, mut lines } = source;
            let on_line = &mut |line: &str| (self.on_line)(stream, line);
            sieve.finish(&mut |bytes| {
                self.log.write(bytes);
                lines.take(bytes, on_line);
            });
            lines.finish(on_line);
        }
        (self.bytes, self.log.finish())
    }
}

/// A file that takes at most so many bytes and counts the rest.
pub(super) struct Log {
    path: PathBuf,
    file: Option<File>,
    room: u64,
    dropped: u64,
    ends_in_newline: bool,
    error: Option<String>,
}

impl Log {
    /// Replaces whatever stands at `path` by a new file: never through a link, never into a FIFO.
    pub(super) fn create(path: &Path, cap: u64) -> io::Result<Self> {
        fault::at(Point::OutputCreate)?;
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        Ok(Self {
            path: path.to_owned(),
            file: Some(File::create_new(path)?),
            room: cap,
            dropped: 0,
            ends_in_newline: true,
            error: None,
        })
    }

    /// One that keeps nothing, since it could not be made.
    pub(super) fn lost(path: &Path, why: String) -> Self {
        Self {
            path: path.to_owned(),
            file: None,
            room: 0,
            dropped: 0,
            ends_in_newline: true,
            error: Some(why),
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        let fits = usize::try_from(self.room).map_or(bytes.len(), |room| room.min(bytes.len()));
        let (kept, dropped) = bytes.split_at(fits);
        self.dropped += dropped.len() as u64;
        self.room -= kept.len() as u64;
        self.put(kept);
    }

    fn put(&mut self, bytes: &[u8]) {
        let (Some(file), Some(last)) = (&mut self.file, bytes.last()) else {
            return;
        };
        self.ends_in_newline = *last == b'\n';
        if let Err(error) = fault::write(Point::OutputWrite, file, bytes) {
            self.error = Some(format!("cannot write {}: {error}", self.path.display()));
            self.file = None;
        }
    }

    fn finish(mut self) -> Option<String> {
        if self.dropped > 0 {
            let break_line = if self.ends_in_newline { "" } else { "\n" };
            let last = format!("{break_line}[harness: {} bytes dropped]\n", self.dropped);
            self.put(last.as_bytes());
        }
        self.error
    }
}

/// Cuts a stream into lines of bounded length. What is too long for a line is dropped rather than
/// passed on as a line of its own: a piece of a line must never be taken for a record.
struct Lines {
    partial: Vec<u8>,
    max: usize,
}

impl Lines {
    fn new(max: usize) -> Self {
        Self {
            partial: Vec::new(),
            max,
        }
    }

    fn take(&mut self, mut bytes: &[u8], on_line: &mut impl FnMut(&str)) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            if self.partial.is_empty() {
                emit(&bytes[..end.min(self.max)], on_line);
            } else {
                self.keep(&bytes[..end]);
                self.finish(on_line);
            }
            bytes = &bytes[end + 1..];
        }
        self.keep(bytes);
    }

    fn keep(&mut self, bytes: &[u8]) {
        let fits = bytes.len().min(self.max - self.partial.len());
        self.partial.extend_from_slice(&bytes[..fits]);
    }

    fn finish(&mut self, on_line: &mut impl FnMut(&str)) {
        if !self.partial.is_empty() {
            emit(&self.partial, on_line);
            self.partial.clear();
            self.partial.shrink_to(LINE_KEPT);
        }
    }
}

fn emit(line: &[u8], on_line: &mut impl FnMut(&str)) {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    on_line(&String::from_utf8_lossy(line));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(max: usize, pieces: &[&[u8]]) -> Vec<String> {
        let mut seen = Vec::new();
        let mut lines = Lines::new(max);
        for piece in pieces {
            lines.take(piece, &mut |line| seen.push(line.to_owned()));
        }
        lines.finish(&mut |line| seen.push(line.to_owned()));
        seen
    }

    #[test]
    fn lines_are_put_together_across_pieces() {
        assert_eq!(
            lines(99, &[b"a", b"b\nc\r\n\nd", b"\n", b"e"]),
            ["ab", "c", "", "d", "e"]
        );
    }

    #[test]
    fn a_character_split_between_pieces_stays_whole_and_junk_is_replaced() {
        let euro = "€".as_bytes();
        assert_eq!(
            lines(99, &[&euro[..1], &euro[1..], b"\n\xff\n"]),
            ["€", "\u{fffd}"]
        );
    }

    #[test]
    fn the_tail_of_a_line_that_is_too_long_is_never_a_line() {
        assert_eq!(
            lines(4, &[b"abcdefgh\nij\n", b"abc", b"def", b"ghi\nk"]),
            ["abcd", "ij", "abcd", "k"]
        );
    }

    #[test]
    fn the_log_keeps_to_its_cap_and_says_what_is_missing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut log = Log::create(&path, 5).unwrap();
        log.write(b"abc");
        log.write(b"defg");
        log.write(b"hi");
        assert_eq!(log.finish(), None);
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            "abcde\n[harness: 4 bytes dropped]\n"
        );
    }

    #[test]
    fn neither_the_log_nor_a_line_holds_a_secret() {
        use std::ffi::OsStr;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let key = [(OsStr::new("A_KEY"), OsStr::new("ab-12345-cd"))];
        let mut seen = Vec::new();
        let log = Log::create(&path, 1 << 20).unwrap();
        let mut capture = Capture::new(log, &Secrets::among(key), |stream, line: &str| {
            seen.push((stream, line.to_owned()));
        });
        let long = "x".repeat(100_000);
        for (stream, piece) in [
            (Stream::Out, format!("{long}ab-12")),
            (Stream::Err, "ab-".to_owned()),
            (Stream::Out, format!("345-cd{long}\n")),
            (Stream::Err, "12345-c".to_owned()),
        ] {
            capture.take(stream, piece.as_bytes());
        }
        let whole = format!("{long}[redacted A_KEY]{long}");
        let bytes = 2 * long.len() as u64 + 22;
        assert_eq!(capture.finish(), (bytes, None));
        let line = |stream, text: &str| (stream, text.to_owned());
        assert_eq!(
            seen,
            [line(Stream::Out, &whole), line(Stream::Err, "ab-12345-c")],
            "what is not the whole value is none"
        );
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            format!("{whole}\nab-12345-c")
        );
    }

    #[test]
    fn the_log_replaces_a_link_instead_of_writing_through_it() {
        let dir = tempfile::tempdir().unwrap();
        let (path, victim) = (dir.path().join("log"), dir.path().join("victim"));
        fs::write(&victim, "precious").unwrap();
        std::os::unix::fs::symlink(&victim, &path).unwrap();
        let mut log = Log::create(&path, 99).unwrap();
        log.write(b"x");
        assert_eq!(log.finish(), None);
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
        assert_eq!(fs::read_to_string(&path).unwrap(), "x");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_reported_and_stops_nothing() {
        let mut log = Log {
            path: "/dev/full".into(),
            file: Some(File::options().write(true).open("/dev/full").unwrap()),
            room: 99,
            dropped: 0,
            ends_in_newline: true,
            error: None,
        };
        log.write(b"a");
        log.write(b"b");
        let error = log.finish().unwrap();
        assert!(error.starts_with("cannot write /dev/full: "), "{error}");
    }
}
