//! The state directory's text files: feature logs, learnings.md, done markers and HALT, with one writer.
//!
//! Everything written here is for the next prompt and for people. Entries carry a key, so that a write
//! asked for again after a crash happens once. This room never changes what a user wrote, never follows
//! a link, and knows nothing about agents, prompts, git or the journal's meaning.

mod file;

#[cfg(test)]
mod tests;

use crate::fault::{self, Point};
use crate::model::{Slug, Stamp, WriteJob, Writing, acts};
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// How far back from its end a file is searched for an entry that may be there already, and the most
/// that is ever read of one.
const WINDOW_BYTES: usize = 256 * 1024;
/// The most text one log entry may hold; small against [`WINDOW_BYTES`], so that an entry is always
/// found again.
const ENTRY_CAP_BYTES: usize = 64 * 1024;
/// A window on a file moves on by such a part of itself at once.
const STEPS: usize = 4;
const LINE_CAP_CHARS: usize = 500;
const NO_REASON: &str = "(no reason given)";

/// Why the state directory could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LearningsError {
    /// The system said no.
    #[error("cannot {act} {path}: {source}", path = path.display())]
    Io {
        /// What was tried: `read`, `append to`, …
        act: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Something else stands where a text file belongs.
    #[error("{path} is not a regular file; move it away, harness keeps text there", path = path.display())]
    NotAFile {
        /// Where.
        path: PathBuf,
    },
}

type Result<T> = std::result::Result<T, LearningsError>;

/// The state directory's text files. There must be one writer at a time; the run's lock sees to that.
#[derive(Clone, Debug)]
pub struct Memory {
    dir: PathBuf,
}

impl Memory {
    /// Opens the state directory and makes it, and its self-ignoring `.gitignore`, if missing.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self> {
        let dir = dir.into();
        if !dir.is_dir() {
            fault::at(Point::MemoryOpen)
                .and_then(|()| fs::create_dir_all(&dir))
                .map_err(failed("create", &dir))?;
            // Else a power cut could take all of it away, whatever is synced in it.
            file::sync_dir(dir.parent().unwrap_or(Path::new(".")))?;
        }
        file::create(&dir.join(".gitignore"), "*\n")?;
        Ok(Self { dir })
    }

    /// Removes what a process that died was in the middle of writing. `is_alive` says whether there is a process of
    /// this number.
    ///
    /// # Errors
    /// When it is there but cannot be removed.
    pub fn clear_up(&self, is_alive: impl Fn(u32) -> bool) -> Result<()> {
        file::clear_drafts(&self.dir, is_alive)
    }

    /// The state directory for somebody who only reads; nothing is made.
    #[must_use]
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// The state directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// `<slug>.log`: the feature's memory.
    #[must_use]
    pub fn log_path(&self, slug: &Slug) -> PathBuf {
        self.dir.join(format!("{slug}.log"))
    }

    /// `<slug>.done`: present means accepted.
    #[must_use]
    pub fn done_path(&self, slug: &Slug) -> PathBuf {
        self.dir.join(format!("{slug}.done"))
    }

    /// `learnings.md`: what features learnt for one another.
    #[must_use]
    pub fn learnings_path(&self) -> PathBuf {
        self.dir.join("learnings.md")
    }

    /// `HALT`: present means that nothing new is started.
    #[must_use]
    pub fn halt_path(&self) -> PathBuf {
        self.dir.join("HALT")
    }

    /// Performs a write and syncs it. Doing it again changes nothing.
    ///
    /// # Errors
    /// When a file cannot be written; then it is as it was before.
    pub fn perform(&self, job: &WriteJob) -> Result<()> {
        match &job.what {
            Writing::Log {
                slug,
                iteration,
                heading,
                text,
                lessons,
            } => {
                let key = format!("<!-- {}-{} -->", job.number, job.at.0);
                let heading = format!("{} {}", utc(job.at, "%F %H:%M"), line(heading));
                let entry = format!("## {heading} {key}\n\n{}\n\n", body(text));
                self.append_entry(slug, &key, &entry)?;
                self.append_lessons(slug, *iteration, job.at, lessons)
            }
            Writing::Done { slug, summary } => {
                let content = format!("{}\n", line(summary));
                file::create(&self.done_path(slug), &content).map(drop)
            }
            Writing::NotDone { slug } => self.remove(&self.done_path(slug)).map(drop),
            Writing::Halt { reason } => self.set_halt(reason).map(drop),
        }
    }

    fn append_entry(&self, slug: &Slug, key: &str, entry: &str) -> Result<()> {
        let path = self.log_path(slug);
        let tail = file::tail(&path, WINDOW_BYTES)?;
        if let Some(start) = heading_with(&tail, key) {
            // A machine that died before the sync can leave the beginning of our own entry at the end of
            // the file. That, and nothing else, is cut off and written again.
            let found = tail.get(start..).unwrap_or_default();
            if found.len() >= entry.len() || !entry.as_bytes().starts_with(found) {
                return Ok(());
            }
            file::cut(&path, found.len())?;
        }
        file::append(&path, entry)
    }

    fn append_lessons(
        &self,
        slug: &Slug,
        iteration: Option<u32>,
        at: Stamp,
        lessons: &[String],
    ) -> Result<()> {
        let source = iteration.map_or_else(|| slug.to_string(), |n| format!("{slug} #{n}"));
        let day = utc(at, "%F");
        let tail = file::tail(&self.learnings_path(), WINDOW_BYTES)?;
        let tail = String::from_utf8_lossy(&tail);
        // Not a line that has no end yet: it may be half of one.
        let whole = tail.split_inclusive('\n');
        let whole = whole.filter_map(|line| line.strip_suffix('\n'));
        let mut known: BTreeSet<String> = whole.map(str::to_owned).collect();
        let mut fresh = String::new();
        for lesson in lessons.iter().filter(|lesson| !lesson.trim().is_empty()) {
            let entry = format!("- {day} [{source}] {}", line(lesson));
            if known.insert(entry.clone()) {
                fresh.push_str(&entry);
                fresh.push('\n');
            }
        }
        if fresh.is_empty() {
            return Ok(());
        }
        file::append(&self.learnings_path(), &fresh)
    }

    /// The last lines of the feature's log, at most `lines`; empty when there is none. Bytes that are not UTF-8
    /// come out as U+FFFD, and of a very long stretch only the end. What is told again and again should begin as it
    /// began: while the log grows, the beginning stays, and then moves on by a quarter of `lines` at once.
    ///
    /// # Errors
    /// When it is there but cannot be read.
    pub fn prior_log(&self, slug: &Slug, lines: usize) -> Result<String> {
        let window = Window::of(&self.log_path(slug), lines)?;
        Ok(window.settled + &window.latest)
    }

    /// The last lines of learnings.md, on the same terms.
    ///
    /// # Errors
    /// When it is there but cannot be read.
    pub fn learnings(&self, lines: usize) -> Result<Window> {
        Window::of(&self.learnings_path(), lines)
    }

    /// Every feature that has a done marker.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn done_markers(&self) -> Result<BTreeSet<Slug>> {
        let mut found = BTreeSet::new();
        for entry in fs::read_dir(&self.dir).map_err(failed("read", &self.dir))? {
            let entry = entry.map_err(failed("read", &self.dir))?;
            let name = entry.file_name();
            let slug = name
                .to_str()
                .and_then(|name| name.strip_suffix(".done"))
                .and_then(|name| Slug::new(name).ok());
            if let Some(slug) = slug {
                found.insert(slug);
            }
        }
        Ok(found)
    }

    /// First line of the HALT file, or `(no reason given)`; `None` when there is no such file. Whatever
    /// stands there halts, also a directory or a dangling link; only a regular file is read.
    ///
    /// # Errors
    /// When it is there but cannot be read.
    pub fn halt(&self) -> Result<Option<String>> {
        let path = self.halt_path();
        match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("read", &path)(error)),
            Ok(meta) if !meta.is_file() => return Ok(Some(NO_REASON.to_owned())),
            Ok(_) => {}
        }
        let text = file::head(&path, 4096)?;
        let first = line(text.lines().next().unwrap_or_default());
        let reason = if first.is_empty() {
            NO_REASON.to_owned()
        } else {
            first
        };
        Ok(Some(reason))
    }

    /// Makes the HALT file with `reason` as its line; leaves one that is there. Says whether it was made.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn set_halt(&self, reason: &str) -> Result<bool> {
        file::create(&self.halt_path(), &format!("{}\n", line(reason)))
    }

    /// Removes the HALT file. Says whether there was one.
    ///
    /// # Errors
    /// When it is there but cannot be removed.
    pub fn clear_halt(&self) -> Result<bool> {
        self.remove(&self.halt_path())
    }

    fn remove(&self, path: &Path) -> Result<bool> {
        match fault::at(Point::MemoryRemove).and_then(|()| fs::remove_file(path)) {
            Ok(()) => file::sync_dir(&self.dir).map(|()| true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(failed("remove", path)(error)),
        }
    }
}

/// Attaches act and path to an error of the system.
fn failed(act: &'static str, path: &Path) -> impl FnOnce(io::Error) -> LearningsError {
    let path = path.to_owned();
    move |source| LearningsError::Io { act, path, source }
}

fn utc(at: Stamp, format: &str) -> String {
    let ms = i64::try_from(at.0).unwrap_or(i64::MAX);
    let time = Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX);
    time.strftime(format).to_string()
}

/// The end of a file that only grows, as prompts tell it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// What stays as it is until the file has grown by a quarter of the window.
    pub settled: String,
    /// What came after that: it grows with the file.
    pub latest: String,
}

impl Window {
    fn of(path: &Path, lines: usize) -> Result<Self> {
        let tail = file::steady_tail(path, WINDOW_BYTES, WINDOW_BYTES / STEPS)?;
        let tail = String::from_utf8_lossy(&tail);
        let step = (lines / STEPS).max(1);
        let all = tail.lines().count();
        let settled = all.saturating_sub(1) / step * step;
        // Both move on at once: then what is told begins anew, and no more often.
        let skip = settled.saturating_add(step).saturating_sub(lines);
        let mut window = Self::default();
        for (n, line) in tail.lines().enumerate().skip(skip) {
            let part = match n < settled {
                true => &mut window.settled,
                false => &mut window.latest,
            };
            part.push_str(line);
            part.push('\n');
        }
        Ok(window)
    }
}

/// Where the heading line that ends with `key` begins.
fn heading_with(text: &[u8], key: &str) -> Option<usize> {
    let mut start = 0;
    for line in text.split(|&byte| byte == b'\n') {
        if line.starts_with(b"## ") && line.ends_with(key.as_bytes()) {
            return Some(start);
        }
        start += line.len() + 1;
    }
    None
}

/// One line: trimmed, control characters escaped, at most 500 characters.
fn line(text: &str) -> String {
    let mut out = String::new();
    for c in text.trim().chars() {
        push_visible(&mut out, c);
    }
    if out.chars().count() > LINE_CAP_CHARS {
        out = out.chars().take(LINE_CAP_CHARS - 1).collect();
        out.push('…');
    }
    out
}

/// The text of an entry: control characters but newline and tab escaped, capped, and no line of it can
/// be taken for the heading of another entry.
fn body(text: &str) -> String {
    let mut out = String::new();
    for line in text.trim_end().lines() {
        if line.starts_with("## ") && line.trim_end().ends_with("-->") {
            out.push(' ');
        }
        for c in line.chars() {
            if c == '\t' {
                out.push(c);
            } else {
                push_visible(&mut out, c);
            }
        }
        out.push('\n');
    }
    out.truncate(out.trim_end().len());
    if out.len() > ENTRY_CAP_BYTES {
        out.truncate(out.floor_char_boundary(ENTRY_CAP_BYTES));
        out.push_str(" … [cut: an entry holds at most 64 KiB]");
    }
    out
}

/// Control characters, line separators and marks that turn the direction of text are written escaped.
fn push_visible(out: &mut String, c: char) {
    if acts(c) {
        out.extend(c.escape_default());
    } else {
        out.push(c);
    }
}
