//! Whether a file may have changed since it was looked at, by what the file system says of it.
//!
//! This file never reads what a file holds. An agent can set a file's times, but not the time of the change itself.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Two changes within so short a time may bear the same stamp: the clock of file systems is a coarse one.
const COARSE: Duration = Duration::from_millis(50);
/// The same where time is counted in whole seconds.
const WHOLE_SECONDS: Duration = Duration::from_secs(2);

/// What the file system said of a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamp {
    place: (u64, u64),
    size: u64,
    mode: u32,
    modified: (i64, i64),
    changed: (i64, i64),
    /// Whether a change after the look cannot bear this stamp.
    settled: bool,
}

impl Stamp {
    /// Of what stands at `path`, links not followed; `None` where nothing does. To be asked before the file is read.
    pub(super) fn at(path: &Path) -> Option<Self> {
        fs::symlink_metadata(path).ok().as_ref().map(Self::of)
    }

    /// Of a file whose metadata were read just now.
    pub(super) fn of(meta: &Metadata) -> Self {
        Self {
            place: (meta.dev(), meta.ino()),
            size: meta.size(),
            mode: meta.mode(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
            settled: is_settled(meta.ctime(), meta.ctime_nsec(), SystemTime::now()),
        }
    }

    /// Whether what `later` was taken of is certain to be the same file with the same content.
    pub(super) fn still_holds(&self, later: &Self) -> bool {
        self.looks_like(later) && self.settled
    }

    /// Whether nothing speaks against it.
    pub(super) fn looks_like(&self, later: &Self) -> bool {
        self.place == later.place
            && self.size == later.size
            && self.mode == later.mode
            && self.modified == later.modified
            && self.changed == later.changed
    }

    /// When the file last changed.
    pub(super) fn changed_at(&self) -> Option<SystemTime> {
        since_epoch(self.changed.0, self.changed.1)
    }
}

/// Whether nothing can have changed between two looks at the same place.
pub(super) fn is_same(before: Option<&Stamp>, after: Option<&Stamp>) -> bool {
    match (before, after) {
        (Some(before), Some(after)) => before.still_holds(after),
        (None, None) => true,
        _ => false,
    }
}

/// Whether a change at `now` cannot bear the same time. What lies ahead of `now` tells nothing: the clock was set back.
fn is_settled(seconds: i64, nanos: i64, now: SystemTime) -> bool {
    let step = if nanos == 0 { WHOLE_SECONDS } else { COARSE };
    let age = since_epoch(seconds, nanos).and_then(|changed| now.duration_since(changed).ok());
    age.is_some_and(|age| age > step)
}

fn since_epoch(seconds: i64, nanos: i64) -> Option<SystemTime> {
    let (seconds, nanos) = (u64::try_from(seconds).ok()?, u32::try_from(nanos).ok()?);
    UNIX_EPOCH.checked_add(Duration::new(seconds, nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_written_just_now_is_never_taken_as_unchanged() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "a").unwrap();
        let first = Stamp::at(&path).unwrap();
        assert!(!first.still_holds(&Stamp::at(&path).unwrap()));
        assert!(is_same(None, None));
        assert!(!is_same(Some(&first), None));
    }

    #[test]
    fn whole_seconds_and_times_ahead_are_not_trusted_too_soon() {
        let at = |ms| UNIX_EPOCH + Duration::from_millis(ms);
        assert!(is_settled(7, 1_000_000, at(7_100)));
        assert!(!is_settled(7, 1_000_000, at(7_040)));
        assert!(!is_settled(7, 0, at(8_900)));
        assert!(is_settled(7, 0, at(9_100)));
        assert!(!is_settled(8, 1, at(7_000)));
    }
}
