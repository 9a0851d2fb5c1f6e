//! Looking at a run from outside, again and again: the state as the journal has it, and what is new in it.
//!
//! Reading only, but for what [`cache`](super::cache) keeps.

use super::cache::{self, MANY};
use super::damage;
use super::error::DriverError;
use super::place::Place;
use crate::core::State;
use crate::journal::{Follower, Holder, Mark, News};
use crate::model::Record;
use crate::report;
use jiff::tz::TimeZone;

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
        let kept = cache::kept(place);
        let (mark, state) = kept.unwrap_or_else(|| (Mark::default(), State::new()));
        Self {
            follower: Follower::from(place.journal_file(), mark),
            place: place.clone(),
            state,
            has_looked: false,
        }
    }

    /// Takes in what was appended since the last look, and says it in lines of the run log, but for what goes its usual way;
    /// at the first look, nothing is new. And the run that lives now, if one does.
    ///
    /// # Errors
    /// When the journal is damaged.
    pub fn look(&mut self) -> Result<(Vec<String>, Option<Holder>), DriverError> {
        let before = self.place.run();
        let mut lines = self.read()?;
        let mut live = None;
        if before.is_some() {
            live = self.place.run();
            if live != before {
                // What it wrote last is not to be missed: without it, its end looks like a crash.
                lines.extend(self.read()?);
            }
        }
        Ok((lines, live))
    }

    fn read(&mut self) -> Result<Vec<String>, DriverError> {
        let is_first = !std::mem::replace(&mut self.has_looked, true);
        let (mut anew, mut read, mut lines) = (false, 0, Vec::new());
        let Self {
            follower, state, ..
        } = self;
        follower.look(|news| match news {
            News::Anew => {
                *state = State::new();
                (anew, read) = (true, 0);
                lines.clear();
            }
            News::Record(record) => {
                state.apply(&record);
                read += 1;
                if !is_first && !anew {
                    lines.extend(line(state, &record));
                }
            }
        })?;
        if anew {
            damage::not_emptied(&self.place, read == 0)?;
        }
        if read >= MANY {
            cache::keep(&self.place, self.follower.mark(), &self.state);
        }
        Ok(lines)
    }

    /// The state as of the last look.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }
}

fn line(state: &State, record: &Record) -> Option<String> {
    let at = state.wall_time(record.at);
    report::line(record, at, &TimeZone::system()).filter(|_| !report::is_passing(&record.event))
}
