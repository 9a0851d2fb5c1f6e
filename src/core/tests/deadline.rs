//! Scenarios of a run whose time ends.

use super::*;
use crate::core::{Wait, wake_at};
use crate::model::Deadline;

const MINUTE: u64 = 60_000;

fn until(ms: u64, parallel: u32, features: Vec<FeatureSpec>) -> Story {
    let settings = Settings {
        parallel,
        until: Some(Deadline {
            at: Stamp(ms),
            asked: "07:30".into(),
        }),
        ..Settings::default()
    };
    Story::with(settings, features)
}

fn took(minutes: u64, report: IterationReport) -> IterationReport {
    IterationReport {
        elapsed_ms: minutes * MINUTE,
        ..report
    }
}

#[test]
fn nothing_is_started_that_would_not_end_in_time() {
    let mut story = until(100 * MINUTE, 1, vec![feature("a", &[]), feature("b", &[])]);
    story.prepare();
    story.now = Stamp(20 * MINUTE);
    story.end("a", took(20, report()));
    assert_eq!(story.stage("a"), Stage::Working);
    // The next would take as long, and the gate a millisecond: from minute 80 on there is no time for one.
    let wake = wake_at(&story.state, story.now);
    assert_eq!(wake, Some(Stamp(80 * MINUTE - 1)));
    story.now = Stamp(80 * MINUTE);
    story.end("a", took(60, report()));
    story.finish();
    assert!(story.facts.contains(&Event::TimeUp));
    assert_eq!(story.stage("a"), Stage::Between);
    assert_eq!(exit_codes(&story.state), [1]);
    let seen = view(&story.state, story.now);
    assert!(seen.run.as_ref().unwrap().time_up);
    assert_eq!(
        story
            .facts
            .iter()
            .filter(|fact| **fact == Event::TimeUp)
            .count(),
        1
    );
}

#[test]
fn who_waits_for_time_is_told_so_and_the_run_ends() {
    let mut story = until(50 * MINUTE, 1, vec![feature("a", &[]), feature("b", &[])]);
    story.prepare();
    let stopped = |story: &Story| view(&story.state, story.now).features[1].waits.clone();
    assert_eq!(stopped(&story), [Wait::Slot]);
    story.now = Stamp(50 * MINUTE);
    story.tell(Input::Tick);
    assert_eq!(stopped(&story), [Wait::Deadline]);
    // What runs may end, and what is done lands.
    assert_eq!(story.stage("a"), Stage::Working);
    story.end("a", claim());
    story.merge("a");
    assert_eq!(story.stage("a"), Stage::Merged);
    assert_eq!(story.stage("b"), Stage::Waiting);
    assert_eq!(exit_codes(&story.state), [1]);
}

#[test]
fn the_next_run_has_a_time_of_its_own_unless_this_one_was_cut_off() {
    let mut story = until(50 * MINUTE, 1, vec![feature("a", &[])]);
    story.prepare();
    let known = story.state.cut_off_until().cloned();
    assert_eq!(known.unwrap().at, Stamp(50 * MINUTE));
    story.now = Stamp(50 * MINUTE);
    story.end("a", report());
    story.finish();
    assert!(story.state.exit_code().is_some());
    assert_eq!(story.state.cut_off_until(), None);
}
