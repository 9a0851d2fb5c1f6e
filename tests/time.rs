//! Clocks that jump a year and machines that sleep: no run waits for it, nothing is asked for twice, and people see the
//! times that their clocks show.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]
#![cfg(feature = "fake-agent")]

mod support;

use serde_json::Value;
use std::time::{SystemTime, UNIX_EPOCH};
use support::{Site, end};

const HOUR_MS: i64 = 3600 * 1000;
const YEAR_MS: i64 = 365 * 24 * HOUR_MS;

/// A site whose wall clock is wrong by so much.
fn site(wrong_ms: i64) -> Site {
    let mut site = Site::new();
    let clock = site.path("clock");
    site.set("FAKE_CLOCK", &clock.to_string_lossy());
    set(&site, wrong_ms, 0);
    site.config("run: {sleep_between: 1s}");
    site.commit("init");
    site
}

/// Two iterations; the first waits in the middle until `go` is there.
fn feature(site: &Site, slug: &str) {
    let go = site.path("go");
    site.spec(slug, "");
    site.script(
        slug,
        &format!(
            "[1]\nsay began\nwait-for {go:?}\nwrite one.txt x\nnote \"did the first half of the work\"\nlearn \"it takes two\"\n\
             [2+]\nwrite {slug}.txt x\nnote \"did the other half of the work\"\ndone \"there\"\n"
        ),
    );
    site.commit(slug);
}

fn set(site: &Site, wrong_ms: i64, slept_ms: i64) {
    // Renamed into place: nobody reads half of it.
    let draft = site.path("clock.new");
    std::fs::write(&draft, format!("{wrong_ms} {slept_ms}")).unwrap();
    std::fs::rename(draft, site.path("clock")).unwrap();
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

fn status(site: &Site) -> Value {
    let ran = site.harness(&["status", "--json"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    serde_json::from_str(&ran.out).unwrap()
}

/// So much passed between the two times of a status, in milliseconds.
fn between(status: &Value, from: &str, to: &str) -> i64 {
    status.pointer(to).unwrap().as_i64().unwrap() - status.pointer(from).unwrap().as_i64().unwrap()
}

fn assert_short(ms: i64) {
    assert!((0..HOUR_MS).contains(&ms), "{ms}");
}

#[test]
fn a_clock_set_by_a_year_in_the_middle_of_a_run_changes_what_people_read_and_nothing_else() {
    for wrong in [YEAR_MS, -YEAR_MS] {
        let site = site(0);
        feature(&site, "auth");
        let run = site.start(&["run"]);
        site.await_journal("iteration_started");
        set(&site, wrong, 0);
        site.await_journal("clock_set");
        let seen = status(&site);
        assert_eq!(seen["ahead"], Value::Null);
        assert_short(between(&seen, "/run/started_ms", "/now_ms"));
        assert_short(between(&seen, "/features/0/since_ms", "/now_ms"));
        std::fs::write(site.path("go"), "").unwrap();
        let ran = end(run);
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        assert!(
            ran.err.contains("the clock was set: it is 20"),
            "{}",
            ran.err
        );
        assert_eq!(
            ran.err.matches("the clock was set").count(),
            1,
            "{}",
            ran.err
        );
        let seen = status(&site);
        assert_short(between(&seen, "/run/started_ms", "/run/ended_ms"));
        assert_short(between(&seen, "/run/ended_ms", "/now_ms"));
        // What is written for people bears the time that they had.
        let year = seen["now"].as_str().unwrap()[..4].to_owned();
        let lesson = site.read(".harness/learnings.md");
        assert!(lesson.starts_with(&format!("- {year}-")), "{lesson}");
    }
}

#[test]
fn a_journal_from_a_year_ahead_is_gone_on_with_and_time_goes_on() {
    let site = site(YEAR_MS);
    std::fs::write(site.path("go"), "").unwrap();
    feature(&site, "auth");
    assert_eq!(site.harness(&["run"]).code, Some(0));
    // The clock is put right between two runs; nobody can know how long ago the last one was.
    set(&site, 0, 0);
    let seen = status(&site);
    assert!(seen["ahead"].is_string(), "{seen}");
    let text = site.harness(&["status"]).out;
    assert!(text.contains("the clock was set back"), "{text}");
    let undone = site.harness(&["undo", "auth", "--requeue"]);
    assert_eq!(undone.code, Some(0), "{}", undone.err);
    std::fs::remove_file(site.path("go")).unwrap();
    feature(&site, "billing");
    let run = site.start(&["run", "--parallel", "2"]);
    site.await_journal("clock_set");
    let seen = status(&site);
    assert_eq!(seen["ahead"], Value::Null);
    assert_short(between(&seen, "/run/started_ms", "/now_ms"));
    std::fs::write(site.path("go"), "").unwrap();
    let ran = end(run);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let told = site
        .journal()
        .iter()
        .filter(|event| event["event"] == "clock_set")
        .count();
    assert_eq!(told, 1);
    let seen = status(&site);
    assert_short(between(&seen, "/run/ended_ms", "/now_ms"));
    assert_short(now_ms() - seen["now_ms"].as_i64().unwrap());
}

#[test]
fn a_machine_that_slept_is_told_of_and_no_agent_is_taken_for_hung() {
    let site = site(0);
    site.config("run: {sleep_between: 1s, iteration_timeout: 1h, idle_timeout: 30m}");
    feature(&site, "auth");
    let run = site.start(&["run"]);
    site.await_journal("iteration_started");
    set(&site, 0, 6 * HOUR_MS);
    site.await_journal("slept");
    let text = site.harness(&["status"]).out;
    assert!(text.contains("(asleep for 6h00m)"), "{text}");
    std::fs::write(site.path("go"), "").unwrap();
    let ran = end(run);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(
        ran.err.contains("the machine slept for 6h00m"),
        "{}",
        ran.err
    );
    assert!(
        ran.out.contains("ended after 6h00m (asleep for 6h00m)"),
        "{}",
        ran.out
    );
    let seen = status(&site);
    assert_eq!(seen["run"]["slept_ms"], 6 * HOUR_MS);
    // Sleep is no jump: the two clocks still say the same.
    let jumps = site
        .journal()
        .iter()
        .filter(|event| event["event"] == "clock_set")
        .count();
    assert_eq!(jumps, 0);
    let report = site.journal();
    let report = report
        .iter()
        .find(|event| event["event"] == "iteration_ended")
        .unwrap();
    assert_eq!(report["report"]["ending"]["how"], "exited");
}
