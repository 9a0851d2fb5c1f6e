//! What the live picture foretells, and when it says nothing; and that it stays as small as it promises.

use super::*;
use crate::core::{Forecast, View};
use crate::model::Stamp;
use crate::report::tests::{feature, view_of};

/// Of `landed` features one landed every ten minutes since the run began; so many more are open.
fn half_way(landed: u64, open: usize) -> (View, Stamp) {
    let mut features = Vec::new();
    for n in 1..=landed {
        let mut done = feature(&format!("done-{n}"), Stage::Merged);
        done.since = done.since.plus_ms(n * 600_000);
        features.push(done);
    }
    features.extend((0..open).map(|n| feature(&format!("open-{n}"), Stage::Waiting)));
    let view = view_of(features);
    let now = view.run.as_ref().unwrap().started.plus_ms(landed * 600_000);
    (view, now)
}

#[test]
fn the_rest_takes_as_long_as_as_much_took() {
    let (view, now) = half_way(6, 9);
    let expected = Forecast {
        left_ms: 90 * 60_000,
        landed: 6,
        in_ms: 60 * 60_000,
    };
    assert_eq!(forecast(&view, now), Some(expected));
    // A night that began with hours of sleep, and of waiting for a limit to end, is no slower for that.
    let (mut view, now) = half_way(6, 9);
    let run = view.run.as_mut().unwrap();
    (run.slept_ms, run.waited_ms) = (60_000, 120_000);
    run.started = Stamp(run.started.0 - 180_000);
    assert_eq!(forecast(&view, now), Some(expected));
    let words = forecast_words(&expected);
    assert_eq!(words, "about 1h30m left (6 landed in 1h00m)");
}

#[test]
fn what_is_left_out_is_not_missing() {
    let (mut view, now) = half_way(2, 0);
    view.features.push(feature("themes", Stage::LeftOut));
    let heard = BTreeMap::new();
    let glance = Glance {
        view: &view,
        now,
        live: None,
        heard: &heard,
    };
    assert_eq!(percent(&glance), 100);
    let words = crate::report::words::overall(&view, false, 4);
    assert_eq!(words, "████ 2/2 merged · 1 left out");
    let line: String = overall_line(&glance, 80)
        .0
        .into_iter()
        .map(|it| it.text)
        .collect();
    assert!(
        line.contains("2/2 merged") && line.contains("1 left out"),
        "{line}"
    );
}

#[test]
fn long_names_are_told_apart() {
    let name = "feature-with-a-long-name-28";
    assert_eq!(name_cut(name, 27), name);
    assert_eq!(name_cut(name, 16), "feature-…name-28");
    assert_eq!(name_cut(name, 2), "f…");
    assert_eq!(name_cut(name, 0), "");
}

#[test]
fn what_cannot_be_known_is_not_foretold() {
    let (view, now) = half_way(2, 9);
    assert_eq!(forecast(&view, now), None, "two are no measure");
    let (good, now) = half_way(6, 9);
    assert!(forecast(&good, now).is_some());
    let spoilt = |spoil: &dyn Fn(&mut View)| {
        let mut view = good.clone();
        spoil(&mut view);
        forecast(&view, now)
    };
    assert_eq!(spoilt(&|view| view.halt = Some(String::new())), None);
    let run = |spoil: fn(&mut RunView)| spoilt(&|view| spoil(view.run.as_mut().unwrap()));
    assert_eq!(run(|run| run.strain = Some("memory".into())), None);
    assert_eq!(run(|run| run.broken_base = Some("make".into())), None);
    assert_eq!(run(|run| run.budget.left_tokens = Some(0)), None);
    assert_eq!(run(|run| run.ended = Some(run.started)), None);
    assert_eq!(run(|run| run.time_up = true), None);
    // Not all of it lands in the time that is left.
    let hour = |run: &mut RunView, hours: u64| {
        run.until = Some(run.started.plus_ms(hours * 3_600_000));
    };
    assert_eq!(spoilt(&|view| hour(view.run.as_mut().unwrap(), 2)), None);
    assert!(spoilt(&|view| hour(view.run.as_mut().unwrap(), 3)).is_some());
    // The calls that are left do not suffice for the rest.
    assert_eq!(run(|run| run.max_iterations = run.iterations + 3), None);
    // Nothing has landed for hours: what once was is no measure.
    assert_eq!(forecast(&good, now.plus_ms(3 * 3_600_000)), None);
    // One after the other: how long each takes is not known.
    assert_eq!(spoilt(&|view| view.features[6].chain = 9), None);
    // Nothing is left that lands without a person.
    let mut all = good.clone();
    all.features.retain(|f| f.stage == Stage::Merged);
    assert_eq!(forecast(&all, now), None);
}

/// So many features at work, and one of each other kind that is told.
fn busy(slots: u32) -> View {
    let mut features: Vec<FeatureView> = (0..slots)
        .map(|n| feature(&format!("working-{n}"), Stage::Working))
        .collect();
    for stage in [Stage::Gating, Stage::Queued, Stage::Blocked, Stage::Waiting] {
        features.push(feature(&format!("{stage:?}").to_lowercase(), stage));
    }
    let mut view = view_of(features);
    let run = view.run.as_mut().unwrap();
    run.parallel = slots;
    run.usage.input = 5_000_000;
    view
}

#[test]
fn in_few_rows_what_matters_most_is_shown() {
    let view = busy(2);
    let heard = BTreeMap::new();
    let glance = Glance {
        view: &view,
        now: Stamp(0),
        live: Some("pid 1".to_owned()),
        heard: &heard,
    };
    for (rows, expected) in [
        (0, &["░"][..]),
        (1, &["░"]),
        (2, &["░"]),
        (3, &["needs you: ", "░"]),
        (4, &["working-0", "needs you: ", "░"]),
        (5, &["working-0", "merging: ", "needs you: ", "░"]),
        (
            6,
            &["working-0", "merging: ", "waiting: ", "needs you: ", "░"],
        ),
        (
            7,
            &[
                "working-0",
                "working-1",
                "merging: ",
                "waiting: ",
                "needs you: ",
                "░",
            ],
        ),
    ] {
        let canvas = Canvas {
            columns: 60,
            rows,
            colour: false,
            links: false,
        };
        let lines = lines(&glance, canvas);
        let fits = lines.iter().zip(expected);
        assert!(
            lines.len() == expected.len()
                && fits.into_iter().all(|(line, is)| line.starts_with(is)),
            "{rows}: {lines:#?}"
        );
    }
}

#[test]
fn never_more_lines_than_slots_and_four() {
    for slots in [1_u32, 4, 16] {
        let view = busy(slots);
        let heard = BTreeMap::new();
        let glance = Glance {
            view: &view,
            now: Stamp(0),
            live: Some("pid 1".to_owned()),
            heard: &heard,
        };
        for columns in [20, 40, 80, 200] {
            let canvas = Canvas {
                columns,
                rows: 50,
                colour: false,
                links: false,
            };
            let lines = lines(&glance, canvas);
            assert!(
                lines.len() <= usize::try_from(slots).unwrap() + 4,
                "{lines:#?}"
            );
            assert!(
                lines.iter().all(|line| width(line) <= columns),
                "{lines:#?}"
            );
        }
    }
}
