//! Scenarios of clocks that jump and machines that sleep.

use super::queue::a_goes_first;
use super::*;
use crate::core::{queue, wake_at};

const YEAR_MS: u64 = 365 * 24 * 3600 * 1000;

fn a_pause_of(ms: u64) -> Story {
    let settings = Settings {
        sleep_between_ms: ms,
        ..Settings::default()
    };
    let mut story = Story::with(settings, vec![feature("a", &[])]);
    story.now = Stamp(3 * YEAR_MS);
    story.prepare();
    story.end("a", report());
    story
}

#[test]
fn a_clock_set_by_a_year_moves_what_people_see_and_no_wait() {
    for wall in [Stamp(2 * YEAR_MS), Stamp(4 * YEAR_MS)] {
        let mut story = a_pause_of(60_000);
        let wake = wake_at(&story.state, story.now).unwrap();
        assert!(wake.since_ms(story.now) <= 60_000);
        story.tell(Input::ClockSet { wall });
        assert_eq!(wake_at(&story.state, story.now), Some(wake));
        let seen = view(&story.state, wall);
        assert_eq!(seen.ahead, None);
        let since = seen.features[0].since;
        assert!(wall.since_ms(since) < 1000 && since <= wall, "{since:?}");
        assert!(wall.since_ms(seen.run.unwrap().started) > 2 * YEAR_MS - 1000);
        story.now = wake;
        story.tell(Input::Tick);
        assert_eq!(story.stage("a"), Stage::Working);
    }
}

#[test]
fn what_is_written_for_people_bears_the_time_on_the_wall() {
    let mut story = a_pause_of(0);
    let wall = Stamp(5 * YEAR_MS);
    story.tell(Input::ClockSet { wall });
    story.tell(Input::IterationLost {
        slug: slug("a"),
        iteration: story.state.last_iteration(&slug("a")),
        usage: None,
    });
    let at = story.state.writes.back().unwrap().at;
    assert_eq!(at.since_ms(wall), 10);
}

#[test]
fn who_looks_from_before_the_last_record_is_told() {
    let story = a_pause_of(60_000);
    let last = story.state.last_at();
    let seen = view(&story.state, Stamp(last.0 - YEAR_MS));
    assert_eq!(seen.ahead, Some(last));
    // Nothing is due in a year because of it.
    let again = wake_at(&story.state, last).unwrap();
    assert!(again.since_ms(last) <= 60_000);
    assert_eq!(view(&story.state, Stamp(last.0 - 1000)).ahead, None);
}

#[test]
fn a_right_of_way_lasts_as_much_longer_as_the_machine_slept() {
    let mut story = a_goes_first();
    let until = wake_at(&story.state, story.now).unwrap();
    let slept_ms = 6 * 3600 * 1000;
    story.now = story.now.plus_ms(slept_ms);
    story.tell(Input::Slept { slept_ms });
    let later = wake_at(&story.state, story.now).unwrap();
    assert_eq!(later, until.plus_ms(slept_ms));
    assert_eq!(story.stage("b"), Stage::Queued);
    let run = view(&story.state, story.now).run.unwrap();
    assert_eq!(run.slept_ms, slept_ms);
    assert!(queue(&story.state, story.now).attempts.is_empty());
}

#[test]
fn sleep_without_a_run_is_nobodys() {
    assert_eq!(decide(&State::new(), Input::Slept { slept_ms: 7 }), []);
}
