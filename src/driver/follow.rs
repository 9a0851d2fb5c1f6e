//! Looking at a run from outside, again and again: the state as the journal has it, and what is new in it.
//!
//! Reading only, but for a cache of the state beside the journal. A run never reads that, and whoever looks believes it only
//! for exactly the journal that it was made of.

use super::damage;
use super::error::DriverError;
use super::place::Place;
use crate::core::State;
use crate::journal::{self, Follower, Holder, Mark};
use crate::model::Record;
use crate::report;
use jiff::tz::TimeZone;
use std::os::unix::fs::MetadataExt;

/// After so many records that had to be read the state is kept.
const MANY: usize = 2_000;

/// Somebody who looks at a journal.
#[derive(Debug)]
pub struct Watch {
    place: Place,
    follower: Follower,
    pub(super) state: State,
    has_looked: bool,
}

impl Watch {
    /// Looks at the journal of a place. Nothing is read before the first look.
    #[must_use]
    pub fn of(place: &Place) -> Self {
        let kept = kept(place);
        let (mark, state) = kept.unwrap_or_else(|| (Mark::default(), State::new()));
        Self {
            follower: Follower::from(place.journal_file(), mark),
            place: place.clone(),
            state,
            has_looked: false,
        }
    }

    /// Takes in what was appended since the last look, and says it in lines of the run log, but for what goes its usual way;
    /// at the first look, nothing is new. And who runs it now, if anybody.
    ///
    /// # Errors
    /// When the journal is damaged.
    pub fn look(&mut self) -> Result<(Vec<String>, Option<Holder>), DriverError> {
        let before = self.place.holder();
        let mut lines = self.read()?;
        let mut live = None;
        if before.is_some() {
            live = self.place.holder();
            if live != before {
                // What it wrote last is not to be missed: without it, its end looks like a crash.
                lines.extend(self.read()?);
            }
        }
        Ok((lines, live))
    }

    fn read(&mut self) -> Result<Vec<String>, DriverError> {
        let is_first = !std::mem::replace(&mut self.has_looked, true);
        let news = self.follower.look()?;
        if news.anew {
            self.state = State::new();
            damage::not_emptied(&self.place, news.records.is_empty())?;
        }
        let mut lines = Vec::new();
        for record in &news.records {
            self.state.apply(record);
            if !is_first && !news.anew {
                lines.extend(self.line(record));
            }
        }
        if news.records.len() >= MANY {
            self.keep();
        }
        Ok(lines)
    }

    /// The state as of the last look.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    fn line(&self, record: &Record) -> Option<String> {
        let at = self.state.wall_time(record.at);
        report::line(record, at, &TimeZone::system()).filter(|_| !report::is_passing(&record.event))
    }

    /// Keeps the state for the next who looks. Without it, they read what this one has read.
    fn keep(&self) {
        let state = serde_json::to_vec(&self.state);
        if let (Ok(text), Some(maker)) = (state, maker()) {
            let dir = &self.place.state_dir;
            let _ = journal::keep(dir, &maker, self.follower.mark(), &text);
        }
    }
}

fn kept(place: &Place) -> Option<(Mark, State)> {
    let (mark, text) = journal::kept(&place.state_dir, &maker()?)?;
    Some((mark, serde_json::from_slice(&text).ok()?))
}

/// This very program: another one may make another state of the same records. That its file is the same is told by all that
/// the system knows of it.
fn maker() -> Option<String> {
    let file = std::fs::metadata(std::env::current_exe().ok()?).ok()?;
    let (dev, ino, size) = (file.dev(), file.ino(), file.size());
    let (s, ns) = (file.mtime(), file.mtime_nsec());
    let version = env!("CARGO_PKG_VERSION");
    Some(format!("{version} {dev:x}-{ino:x}-{size:x}-{s:x}.{ns:x}"))
}
