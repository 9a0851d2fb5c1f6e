//! `harness skip` and `harness approve`: what a person leaves out costs nothing more and loses nothing, and what they want
//! to see lands only as they have seen it.

#![cfg(feature = "fake-agent")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

mod support;

use serde_json::Value;
use std::path::Path;
use support::{Ran, Site, end};

fn ok(ran: &Ran, words: &[&str]) {
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    for word in words {
        assert!(ran.out.contains(word), "{word}: {}{}", ran.out, ran.err);
    }
}

fn refused(ran: &Ran, words: &[&str]) {
    assert_eq!(ran.code, Some(2), "{}{}", ran.out, ran.err);
    for word in words {
        assert!(ran.err.contains(word), "{word}: {}", ran.err);
    }
}

/// The stage and the first reason of a feature.
fn stands(site: &Site, slug: &str) -> (String, String) {
    let ran = site.harness(&["status", "--json"]);
    let status: Value = serde_json::from_str(&ran.out).unwrap();
    let features = status["features"].as_array().unwrap();
    let feature = features.iter().find(|it| it["slug"] == slug).unwrap();
    let word = |name: &str| feature[name].as_str().unwrap_or_default().to_owned();
    (
        word("stage"),
        feature["reason"]["code"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
    )
}

#[test]
fn before_any_run_and_across_runs_what_is_left_out_stays_out() {
    let site = Site::new();
    site.shell_config("");
    for slug in ["a", "b"] {
        site.shell(slug, &format!("echo {slug} > {slug}\n"));
    }
    site.shell("c", "echo c > c\n");
    site.spec("c", "depends_on: b");
    site.commit("specs");
    refused(&site.harness(&["skip", "d"]), &["there is no feature `d`"]);
    ok(
        &site.harness(&["skip", "b", "-m", "not\nto\u{1b}[2Jnight"]),
        &["b is left out", "harness retry b"],
    );
    refused(&site.harness(&["skip", "b"]), &["is left out already"]);
    assert_eq!(stands(&site, "b").0, "left_out");
    assert_eq!(stands(&site, "c").0, "skipped");
    let status = site.harness(&["status", "--plain"]);
    ok(&status, &["by a person: not to\\u{1b}[2Jnight"]);
    ok(
        &site.harness(&["why", "c"]),
        &["needs b", "b: left out by a person"],
    );
    // c would have been done, had b been.
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert_eq!(site.landed(), ["a"]);
    assert!(ran.out.contains("1 left out"), "{}", ran.out);
    ok(&site.harness(&["skip", "c"]), &[]);
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    ok(
        &site.harness(&["report"]),
        &["2 features left out", "left out by a person"],
    );
    ok(
        &site.harness(&["retry", "b", "c"]),
        &["b is back in the queue"],
    );
    ok(&site.harness(&["run"]), &[]);
    assert_eq!(site.landed(), ["a", "b", "c"]);
    refused(
        &site.harness(&["skip", "a"]),
        &["`a` has landed", "harness undo a"],
    );
}

#[test]
fn an_agent_at_work_is_stopped_the_others_go_on_and_its_work_is_kept() {
    let site = Site::new();
    site.shell_config("run: {parallel: 1, grace: 5s}");
    let at_work = site.path("at-work");
    site.shell(
        "burns",
        &format!(
            "if test -e half; then return 0; fi\necho half > half\n: > {at_work:?}\nwhile :; do sleep 0.02; done\n"
        ),
    );
    site.shell("other", "echo other > other\n");
    site.spec("burns", "priority: 1");
    site.commit("specs");
    let run = site.start(&["run"]);
    site.await_file(&at_work);
    ok(
        &site.harness(&["skip", "burns", "-m", "money"]),
        &["the living run takes it"],
    );
    let ran = end(run);
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    assert_eq!(site.landed(), ["other"]);
    assert_eq!(
        stands(&site, "burns"),
        ("left_out".into(), "left_out".into())
    );
    // It is on its branch, and the next iteration finds it.
    assert_eq!(site.git(&["show", "harness/burns:half"]), "half\n");
    let log = site.read(".harness/burns.log");
    assert!(log.contains("A person left it out: money"), "{log}");
    ok(&site.harness(&["retry", "burns"]), &[]);
    ok(&site.harness(&["run"]), &[]);
    assert_eq!(site.landed(), ["other", "burns"]);
    // No call was charged for the one that was stopped.
    let ended = site.journal();
    let starts = ended
        .iter()
        .filter(|event| event["event"] == "iteration_started" && event["slug"] == "burns");
    assert_eq!(starts.count(), 2);
}

/// One that a person must see, and one that they need not.
fn to_be_seen() -> Site {
    let site = Site::new();
    site.shell_config("verify: {commands: ['! test -e red']}\nmerge: {review: true}");
    site.shell("seen", "echo one > seen.txt\n");
    site.shell("plain", "echo p > plain.txt\n");
    site.spec("plain", "review: false");
    site.commit("specs");
    site
}

#[test]
fn what_a_person_must_see_waits_and_everybody_is_told_how_it_goes_on() {
    let site = to_be_seen();
    refused(
        &site.harness(&["approve", "seen"]),
        &["does not wait for a review"],
    );
    let plan = site.harness(&["plan"]);
    ok(&plan, &["lands after your review"]);
    assert_eq!(plan.out.matches("your review").count(), 1, "{}", plan.out);
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(8), "{}{}", ran.out, ran.err);
    assert_eq!(site.landed(), ["plain"]);
    assert!(ran.out.contains("harness approve seen"), "{}", ran.out);
    assert_eq!(stands(&site, "seen"), ("review".into(), "review".into()));
    ok(
        &site.harness(&["why", "seen"]),
        &[
            "git diff main...harness/seen",
            "harness approve seen",
            "harness unblock seen",
        ],
    );
    ok(&site.harness(&["queue"]), &["ready for review: seen"]);
    let report = site.read(".harness/reports/latest.md");
    assert!(report.contains("git diff main...harness/seen"), "{report}");
}

#[test]
fn what_a_person_must_see_lands_as_they_saw_it_and_not_otherwise() {
    let site = to_be_seen();
    assert_eq!(site.harness(&["run"]).code, Some(8));
    // Somebody adds to the branch before the review: nothing is known of that.
    let branch = "refs/heads/harness/seen";
    let by_hand = |name: &str| {
        let tree = site.git(&["for-each-ref", "--format=%(worktreepath)", branch]);
        let tree = tree.trim();
        std::fs::write(Path::new(tree).join(name), "more\n").unwrap();
        site.git(&["-C", tree, "add", name]);
        site.git(&["-C", tree, "commit", "-q", "-m", "by hand"]);
    };
    by_hand("more.txt");
    refused(
        &site.harness(&["approve", "seen"]),
        &[
            "has moved since it was found to be ready",
            "harness retry seen",
        ],
    );
    ok(&site.harness(&["retry", "seen"]), &[]);
    assert_eq!(site.harness(&["run"]).code, Some(8));
    // And after it: what would land is not what was seen.
    ok(
        &site.harness(&["approve", "seen"]),
        &["seen is approved at", "harness run"],
    );
    by_hand("most.txt");
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(8), "{}{}", ran.out, ran.err);
    assert_eq!(site.landed(), ["plain"]);
    // Words send it back; they stand in the prompt of the iteration that follows, whose work is seen again.
    let path = site.path("scripts").join("seen.sh");
    let answered = "grep -q 'two, please' \"$HARNESS_OUTBOX/prompt\"\necho two > seen.txt\n";
    std::fs::write(path, answered).unwrap();
    ok(
        &site.harness(&["unblock", "seen", "-m", "two, please"]),
        &["seen is answered"],
    );
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(8), "{}{}", ran.out, ran.err);
    ok(
        &site.harness(&["approve", "--all"]),
        &["seen is approved at"],
    );
    ok(
        &site.harness(&["approve", "--all"]),
        &["nothing waits for a review"],
    );
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    assert_eq!(site.landed(), ["plain", "seen"]);
    assert_eq!(site.read("seen.txt"), "two\n");
    assert_eq!(site.read("more.txt"), "more\n");
    assert_eq!(site.read("most.txt"), "more\n");
    site.assert_no_litter();
}

#[test]
fn a_living_run_lands_what_is_approved_while_it_goes_on() {
    let site = Site::new();
    site.shell_config("run: {parallel: 2}");
    let go = site.path("go");
    site.shell("seen", "echo s > seen.txt\n");
    site.spec("seen", "review: true");
    site.shell(
        "slow",
        &format!("until test -e {go:?}; do sleep 0.02; done\necho b > b\n"),
    );
    site.commit("specs");
    let run = site.start(&["run"]);
    site.await_journal("\"why\":{\"why\":\"review\"");
    ok(
        &site.harness(&["approve", "seen"]),
        &["the living run takes it"],
    );
    site.await_journal("\"event\":\"published\"");
    assert_eq!(site.landed(), ["seen"]);
    // What came too late is not passed over in silence.
    let late = "{\"command\":\"skip\",\"slug\":\"seen\"}";
    site.write(".harness/inbox/9999999999999-1.json", late);
    site.await_that("it is told", || {
        let log = site.read(".harness/run.log");
        log.contains("`harness skip seen` did nothing")
    });
    std::fs::write(go, "").unwrap();
    assert_eq!(end(run).code, Some(0));
    assert_eq!(site.landed(), ["seen", "slow"]);
}
