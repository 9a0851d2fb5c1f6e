//! When a run's time ends, by the journal's clock: worked out once, when the run begins.
//!
//! Here the wall clock and its zone come in; what follows is decided elsewhere.

use crate::config::Until;
use crate::core::State;
use crate::model::{Deadline, Stamp};
use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use std::time::Duration;

/// The end of the time of a run that begins at `now` by the journal, when the wall clock reads `wall`. A run that goes on
/// with what a killed one was asked for has no more time than that one had, unless that is over: who asks again then means
/// the next time.
pub(super) fn deadline(
    until: Option<Until>,
    state: &State,
    (now, wall): (Stamp, Stamp),
    zone: &TimeZone,
) -> Option<Deadline> {
    let until = until?;
    let asked = until.to_string();
    let earlier = state.cut_off_until();
    let goes_on = |earlier: &&Deadline| earlier.asked == asked && earlier.at > now;
    if let Some(earlier) = earlier.filter(goes_on) {
        return Some(earlier.clone());
    }
    let left_ms = match until {
        Until::After(span) => millis(span),
        Until::Clock { hour, minute } => next(hour, minute, wall, zone)?.since_ms(wall),
    };
    let at = now.plus_ms(left_ms);
    Some(Deadline { at, asked })
}

/// When the clock on the wall next shows this time. Where a day skips it, as much later as was skipped.
fn next(hour: i8, minute: i8, wall: Stamp, zone: &TimeZone) -> Option<Stamp> {
    let ms = i64::try_from(wall.0).ok()?;
    let now = Timestamp::from_millisecond(ms).ok()?;
    let time = Time::new(hour, minute, 0, 0).ok()?;
    let today = now.to_zoned_datetime(zone.clone()).date();
    let days = [Some(today), today.checked_add(1.day()).ok()];
    let times = days.into_iter().flatten().filter_map(|day| {
        let at = day.to_datetime(time).to_zoned_datetime(zone.clone()).ok()?;
        Some(at.timestamp())
    });
    let at = times.into_iter().find(|at| *at > now)?;
    Some(Stamp(u64::try_from(at.as_millisecond()).ok()?))
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Event, Ground, Oid, Record, Relation, RunId, Settings};

    const HOUR: u64 = 3_600_000;

    /// What the wall clock reads in Berlin.
    fn wall(text: &str) -> Stamp {
        let zoned: jiff::civil::DateTime = text.parse().unwrap();
        let at = zoned.to_zoned_datetime(berlin()).unwrap().timestamp();
        Stamp(u64::try_from(at.as_millisecond()).unwrap())
    }

    /// As that zone is, without asking the machine for it.
    fn berlin() -> TimeZone {
        TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
    }

    fn left(until: &str, at: &str) -> u64 {
        let (now, wall) = (Stamp(1_000), wall(at));
        let until = Until::parse(until);
        let deadline = deadline(until, &State::new(), (now, wall), &berlin()).unwrap();
        deadline.at.since_ms(now)
    }

    #[test]
    fn a_time_of_the_day_is_the_next_one() {
        assert_eq!(left("07:30", "2026-11-26T22:30"), 9 * HOUR);
        assert_eq!(left("07:30", "2026-11-27T07:29"), HOUR / 60);
        assert_eq!(left("07:30", "2026-11-27T07:30"), 24 * HOUR);
        assert_eq!(left("6h", "2026-11-27T07:30"), 6 * HOUR);
    }

    #[test]
    fn a_night_in_which_clocks_are_changed_has_another_length() {
        assert_eq!(left("07:30", "2026-03-28T22:30"), 8 * HOUR);
        assert_eq!(left("07:30", "2026-10-24T22:30"), 10 * HOUR);
        // At 02:00 the clock is set to 03:00: the time that there is not is as much later.
        assert_eq!(left("02:30", "2026-03-29T01:30"), HOUR);
    }

    #[test]
    fn who_goes_on_with_a_killed_run_has_no_more_time_than_that_had_until_it_is_over() {
        let mut state = State::new();
        let begun = wall("2026-11-26T22:30");
        let until = Until::parse("07:30");
        let first = deadline(until, &state, (Stamp(1_000), begun), &berlin()).unwrap();
        let settings = Settings {
            until: Some(first.clone()),
            ..Settings::default()
        };
        let oid = || Oid::parse(&"a".repeat(40)).unwrap();
        let ground = Ground {
            tip: oid(),
            tree: oid(),
            target: oid(),
            relation: Relation::Behind,
        };
        let event = Event::RunStarted {
            run: RunId("r1".to_owned()),
            settings: Box::new(settings),
            target: "refs/heads/main".to_owned(),
            ground,
        };
        state.apply(&Record {
            seq: 1,
            at: Stamp(1_000),
            event,
        });
        let again = |hours: u64| {
            let clocks = (Stamp(1_000 + hours * HOUR), begun.plus_ms(hours * HOUR));
            deadline(until, &state, clocks, &berlin()).unwrap().at
        };
        assert_eq!(again(8), first.at);
        assert_eq!(
            again(9),
            first.at.plus_ms(24 * HOUR),
            "it is the next night"
        );
    }

    #[test]
    fn without_a_time_there_is_none() {
        let times = (Stamp(1), Stamp(2));
        assert_eq!(deadline(None, &State::new(), times, &berlin()), None);
    }
}
