//! One spec file: opened with suspicion, read whole, and recognised when it has not changed.
//!
//! Specs live in the repository, where agents work too, so a spec is read only when it is a regular file
//! inside the repository. This file must never know what a spec says.

use super::text;
use crate::config;
use crate::model::{Code, Problem};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Why a spec could not be read for a prompt.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// The file is missing, too large, or no text.
    #[error("cannot read the spec {path}: {why}", path = path.display())]
    Read {
        /// The spec.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

/// The whole text of a spec.
///
/// # Errors
/// [`SpecError::Read`] when it is not a regular UTF-8 file of at most 1 MiB.
pub fn raw(path: &Path) -> Result<String, SpecError> {
    config::read_text(path, path).map_err(|problem| SpecError::Read {
        path: path.to_owned(),
        why: problem.message,
    })
}

/// The text of a spec without its front matter, as it stands in prompts.
///
/// # Errors
/// As [`raw`]. Front matter that is never closed is part of the text.
pub fn body(path: &Path) -> Result<String, SpecError> {
    let whole = raw(path)?;
    Ok(match text::split(&whole) {
        text::Split::Front { body, .. } => body.to_owned(),
        text::Split::Plain | text::Split::Unclosed => whole,
    })
}

/// What tells a changed file from an unchanged one without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    size: u64,
    inode: u64,
    device: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    /// Whether a later change is sure to give another stamp: file systems count time in steps, and a
    /// file that changed within the current step may change again without a trace.
    settled: bool,
}

impl Stamp {
    /// The stamp of what is at `path`, links followed; `None` when there is nothing.
    pub(super) fn of(path: &Path, now: SystemTime) -> Option<Self> {
        let meta = std::fs::metadata(path).ok()?;
        let changed = (meta.ctime(), meta.ctime_nsec());
        // Coarse file systems count whole seconds.
        let step_ms = if changed.1 == 0 { 2_000 } else { 50 };
        let now_ms = now
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since| {
                i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
            });
        let changed_ms = changed
            .0
            .saturating_mul(1000)
            .saturating_add(changed.1 / 1_000_000);
        Some(Self {
            size: meta.size(),
            inode: meta.ino(),
            device: meta.dev(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed,
            settled: changed_ms.saturating_add(step_ms) < now_ms,
        })
    }

    /// Whether what had this stamp is surely the same as what has the `later` one.
    pub(super) fn surely_same(&self, later: &Self) -> bool {
        self.settled
            && Self {
                settled: true,
                ..*later
            } == *self
    }
}

/// Whether the file at `path` is surely the one that had the stamp `before`.
pub(super) fn unchanged(before: Option<&Stamp>, now: Option<&Stamp>) -> bool {
    match (before, now) {
        (None, None) => true,
        (Some(before), Some(now)) => before.surely_same(now),
        _ => false,
    }
}

/// Reads a spec file after making sure that no link leads out of the repository.
pub(super) fn read_inside(path: &Path, shown: &Path, root: &Path) -> Result<String, Box<Problem>> {
    stays_inside(path, shown, root)?;
    config::read_text(path, shown)
}

/// Refuses a path that leads out of `root` (which is canonical) through a link.
pub(super) fn stays_inside(path: &Path, shown: &Path, root: &Path) -> Result<(), Box<Problem>> {
    let real = path.canonicalize().map_err(|error| {
        Box::new(
            Problem::error(format!("cannot follow the path: {error}"))
                .code(Code::UnreadableFile)
                .file(shown),
        )
    })?;
    if real.starts_with(root) {
        return Ok(());
    }
    let problem = Problem::error("a link leads out of the repository")
        .code(Code::LinkOutside)
        .file(shown);
    Err(problem.help("replace the link by what it leads to").into())
}
