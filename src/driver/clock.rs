//! The one place where the driver reads clocks.
//!
//! A run's own clock begins where the journal ends and then follows elapsed time, asleep or awake, so that it never goes
//! back and never jumps, whatever is done to the wall clock. What the two make of each other is a fact of the journal,
//! and so is sleep. Time limits of agents and commands are not measured here: they count time awake, since who sleeps
//! does not hang. This file never decides what time means for a feature.

use crate::core::State;
use crate::model::{Input, Stamp};
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Clocks that differ by less than this are the same: they are corrected all the time.
const SAME_MS: u64 = 5_000;
/// Shorter naps are not told of.
const NAP_MS: u64 = 1_000;

/// What the machine's clocks say at one moment.
#[derive(Clone, Copy, Debug)]
struct Reading {
    wall: Stamp,
    /// Since some moment in the past, with the time asleep where the system tells.
    elapsed_ms: u64,
    /// Of that, time asleep.
    slept_ms: u64,
}

/// The run's clock.
#[derive(Clone, Debug)]
pub(super) struct Clock {
    begin: Stamp,
    begun: Reading,
    told_slept_ms: u64,
}

impl Clock {
    /// A clock that goes on from where the journal ends.
    pub(super) fn after(state: &State) -> Self {
        Self::begun_at(state, read())
    }

    fn begun_at(state: &State, begun: Reading) -> Self {
        Self {
            begin: state.journal_time(begun.wall).max(state.last_at()),
            begun,
            told_slept_ms: begun.slept_ms,
        }
    }

    /// The journal's time.
    pub(super) fn now(&self) -> Stamp {
        self.at(read())
    }

    fn at(&self, reading: Reading) -> Stamp {
        let elapsed = reading.elapsed_ms.saturating_sub(self.begun.elapsed_ms);
        self.begin.plus_ms(elapsed)
    }

    /// What happened to the clocks that the journal does not know yet.
    pub(super) fn news(&mut self, state: &State) -> Vec<Input> {
        self.news_of(state, read())
    }

    /// Whether there is any; it stays news.
    pub(super) fn has_news(&self, state: &State) -> bool {
        !self.clone().news(state).is_empty()
    }

    fn news_of(&mut self, state: &State, reading: Reading) -> Vec<Input> {
        let mut news = Vec::new();
        let slept_ms = reading.slept_ms.saturating_sub(self.told_slept_ms);
        if slept_ms >= NAP_MS {
            self.told_slept_ms = reading.slept_ms;
            news.push(Input::Slept { slept_ms });
        }
        let wall = reading.wall;
        if wall.0.abs_diff(state.wall_time(self.at(reading)).0) > SAME_MS {
            news.push(Input::ClockSet { wall });
        }
        news
    }
}

/// The wall clock.
#[must_use]
pub fn wall_clock() -> Stamp {
    read().wall
}

fn read() -> Reading {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let awake = awake();
    let elapsed = since_boot().unwrap_or(awake);
    shifted(Reading {
        wall: Stamp(since.map_or(0, millis)),
        elapsed_ms: millis(elapsed),
        slept_ms: millis(elapsed.saturating_sub(awake)),
    })
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(target_os = "linux")]
fn awake() -> Duration {
    use nix::time::{ClockId, clock_gettime};
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or_else(|_| since_start(), Duration::from)
}

#[cfg(target_os = "linux")]
fn since_boot() -> Option<Duration> {
    use nix::time::{ClockId, clock_gettime};
    Some(clock_gettime(ClockId::CLOCK_BOOTTIME).ok()?.into())
}

#[cfg(not(target_os = "linux"))]
fn awake() -> Duration {
    since_start()
}

/// Where nobody tells of sleep, waking up looks as if the wall clock had been set.
#[cfg(not(target_os = "linux"))]
fn since_boot() -> Option<Duration> {
    None
}

fn since_start() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

#[cfg(not(feature = "fake-agent"))]
fn shifted(reading: Reading) -> Reading {
    reading
}

/// What tests do to the clocks: the file holds by how many milliseconds the wall clock is to be wrong, and how many the
/// machine is to have slept.
#[cfg(feature = "fake-agent")]
fn shifted(mut reading: Reading) -> Reading {
    let file = std::env::var_os("FAKE_CLOCK");
    let text = file.and_then(|file| std::fs::read_to_string(file).ok());
    let mut words = text.iter().flat_map(|text| text.split_whitespace());
    let wrong = words.next().and_then(|word| word.parse().ok());
    let slept = words.next().and_then(|word| word.parse().ok());
    let (wrong, slept): (i64, u64) = (wrong.unwrap_or(0), slept.unwrap_or(0));
    reading.wall = Stamp(reading.wall.0.saturating_add_signed(wrong)).plus_ms(slept);
    reading.elapsed_ms = reading.elapsed_ms.saturating_add(slept);
    reading.slept_ms = reading.slept_ms.saturating_add(slept);
    reading
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::decide;
    use crate::model::Record;

    const YEAR_MS: u64 = 365 * 24 * 3600 * 1000;

    /// Clocks, and a journal that hears of them.
    struct Desk {
        state: State,
        clock: Clock,
        reading: Reading,
    }

    impl Desk {
        fn new() -> Self {
            let reading = Reading {
                wall: Stamp(3 * YEAR_MS),
                elapsed_ms: 70_000,
                slept_ms: 0,
            };
            let state = State::new();
            let clock = Clock::begun_at(&state, reading);
            Self {
                state,
                clock,
                reading,
            }
        }

        fn pass(&mut self, ms: u64) {
            self.reading.elapsed_ms += ms;
            self.reading.wall = self.reading.wall.plus_ms(ms);
        }

        /// What the journal gets to know now.
        fn look(&mut self) -> Vec<Input> {
            let news = self.clock.news_of(&self.state, self.reading);
            let at = self.clock.at(self.reading);
            for input in news.clone() {
                for event in decide(&self.state, input) {
                    let seq = self.state.seq() + 1;
                    self.state.apply(&Record { seq, at, event });
                }
            }
            news
        }

        fn next_run(&mut self) {
            self.clock = Clock::begun_at(&self.state, self.reading);
        }
    }

    #[test]
    fn a_clock_that_is_only_corrected_is_no_news() {
        let mut desk = Desk::new();
        desk.pass(3_600_000);
        desk.reading.wall = desk.reading.wall.plus_ms(SAME_MS);
        assert_eq!(desk.look(), []);
    }

    #[test]
    fn a_jump_of_a_year_either_way_is_told_once_and_moves_nothing_but_the_wall() {
        for years in [1, -1] {
            let mut desk = Desk::new();
            desk.pass(1000);
            let before = desk.clock.at(desk.reading);
            let jump = i64::try_from(YEAR_MS).unwrap() * years;
            desk.reading.wall = Stamp(desk.reading.wall.0.saturating_add_signed(jump));
            desk.pass(1000);
            let wall = desk.reading.wall;
            assert_eq!(desk.look(), [Input::ClockSet { wall }]);
            assert_eq!(desk.look(), []);
            let now = desk.clock.at(desk.reading);
            assert_eq!(now.since_ms(before), 1000);
            assert_eq!(desk.state.wall_time(now), wall);
            assert_eq!(desk.state.journal_time(wall), now);
            // The next run goes on from there, with the time between the two.
            desk.pass(60_000);
            desk.next_run();
            assert_eq!(desk.look(), []);
            assert_eq!(desk.clock.at(desk.reading).since_ms(now), 60_000);
        }
    }

    #[test]
    fn sleep_is_part_of_the_time_and_told_once() {
        let mut desk = Desk::new();
        let before = desk.clock.at(desk.reading);
        desk.pass(6 * 3_600_000);
        desk.reading.slept_ms += 6 * 3_600_000;
        let slept_ms = 6 * 3_600_000;
        assert_eq!(desk.look(), [Input::Slept { slept_ms }]);
        assert_eq!(desk.look(), []);
        assert_eq!(desk.clock.at(desk.reading).since_ms(before), slept_ms);
        desk.reading.slept_ms += NAP_MS - 1;
        assert_eq!(desk.look(), []);
    }

    #[test]
    fn where_the_journal_lies_ahead_the_run_goes_on_from_its_end() {
        let mut desk = Desk::new();
        desk.reading.wall = Stamp(5 * YEAR_MS);
        desk.look();
        let end = desk.state.last_at();
        desk.reading.wall = Stamp(2 * YEAR_MS);
        desk.next_run();
        assert_eq!(desk.clock.at(desk.reading), end);
        let wall = desk.reading.wall;
        assert_eq!(desk.look(), [Input::ClockSet { wall }]);
        desk.pass(2000);
        assert_eq!(desk.clock.at(desk.reading).since_ms(end), 2000);
    }
}
