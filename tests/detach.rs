//! A run that goes on without the terminal it was begun from, who looks at it, and who ends it.

#![cfg(feature = "fake-agent")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

mod support;

use std::process::Child;
use support::{Ran, Site, end, signal};

/// One feature whose agent says that it is there, and goes on when the test says so.
fn site() -> Site {
    let site = Site::new();
    let (here, go) = (site.path("here"), site.path("go"));
    site.shell_config("run: {keep_awake: false}\nverify: {commands: [\"true\"]}");
    site.shell(
        "slow",
        &format!("touch {here:?}\nwhile [ ! -e {go:?} ]; do sleep 0.02; done\necho x > x\n"),
    );
    site.commit("specs");
    site
}

fn go(site: &Site) {
    std::fs::write(site.path("go"), "").unwrap();
}

fn detached(site: &Site) -> Ran {
    let ran = site.harness(&["run", "--detach"]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    ran
}

/// `attach` that has shown something.
fn attached(site: &Site) -> Child {
    let log = site.path("attached");
    let child = site.start_into(&["attach"], &log);
    site.await_that("a picture", || {
        std::fs::read_to_string(&log).is_ok_and(|text| text.contains("slow"))
    });
    child
}

fn holder(site: &Site) -> serde_json::Value {
    serde_json::from_str(&site.read(".harness/lock")).unwrap()
}

#[test]
fn a_detached_run_comes_to_its_end_and_whoever_is_attached_sees_it() {
    let site = site();
    let began = detached(&site);
    assert!(began.out.contains("goes on by itself"), "{}", began.out);
    assert_eq!(began.err, "");
    let lock = holder(&site);
    assert!(began.out.contains(&format!("process {}", lock["pid"])));
    let run = lock["doing"].as_str().unwrap();
    assert!(began.out.contains(run), "{run}: {}", began.out);
    site.await_file(&site.path("here"));
    // A second one is told of the first, here as without --detach.
    let second = site.harness(&["run", "--detach"]);
    assert_eq!(second.code, Some(9), "{}", second.err);
    assert!(second.err.contains("another harness"), "{}", second.err);
    let attached = attached(&site);
    go(&site);
    assert_eq!(end(attached).code, Some(0));
    let seen = std::fs::read_to_string(site.path("attached")).unwrap();
    assert!(seen.contains("merged 1 feature in this run"), "{seen}");
    assert_eq!(site.landed(), ["slow"]);
    site.await_that("the end of the run", || {
        site.read(".harness/lock").is_empty()
    });
    // What it would have printed stands in its log: each line once, and how it ended.
    site.await_that("its last words", || {
        site.read(".harness/run.log").contains("exit code 0")
    });
    let log = site.read(".harness/run.log");
    let merged = log.lines().filter(|line| line.contains("merged"));
    let told = merged.filter(|line| line.contains("slow") && line.contains(':'));
    assert_eq!(told.count(), 1, "{log}");
    // Who comes later sees the same.
    let late = site.harness(&["attach"]);
    assert_eq!(late.code, Some(0), "{}", late.err);
    assert!(late.out.contains("merged 1 feature in this run"));
}

#[test]
fn what_would_not_begin_says_why_at_once() {
    let site = site();
    site.write("harness.yaml", "verison: 1\n");
    let plain = site.harness(&["run"]);
    let ran = site.harness(&["run", "--detach"]);
    assert_eq!((ran.code, &ran.err), (plain.code, &plain.err));
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("did you mean `version`?"), "{}", ran.err);
    assert_eq!(ran.out, "");
    // Also what only the run itself finds out, when it has the lock.
    site.shell_config("verify: {commands: [\"true\"], fingerprint: [\"exit 3\"]}");
    let ran = site.harness(&["run", "--detach"]);
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    assert!(ran.err.contains("verify.fingerprint"), "{}", ran.err);
}

#[test]
fn leaving_an_attached_run_leaves_it_alone() {
    let site = site();
    detached(&site);
    site.await_file(&site.path("here"));
    let attached = attached(&site);
    signal(&attached, "INT");
    let left = end(attached);
    assert_eq!(left.code, Some(0));
    let seen = std::fs::read_to_string(site.path("attached")).unwrap();
    assert!(seen.contains("the run goes on"), "{seen}");
    go(&site);
    assert_eq!(site.harness(&["attach"]).code, Some(0));
    assert_eq!(site.landed(), ["slow"]);
}

#[test]
fn to_stop_lets_what_is_under_way_end_however_often_it_is_asked() {
    let site = site();
    detached(&site);
    site.await_file(&site.path("here"));
    let first = site.harness(&["stop", "--no-wait"]);
    assert!(first.out.contains("starts nothing new"), "{}", first.out);
    site.await_journal("stop_requested");
    for _ in 0..2 {
        let again = site.harness(&["stop", "--no-wait"]);
        assert_eq!(again.code, Some(0));
        assert!(again.out.contains("is stopping already"), "{}", again.out);
    }
    let waits = site.start(&["stop"]);
    go(&site);
    let stopped = end(waits);
    assert_eq!(stopped.code, Some(0));
    assert!(stopped.out.contains("exit code 130"), "{}", stopped.out);
    let events = site.journal();
    let ended = events
        .iter()
        .find(|event| event["event"] == "iteration_ended");
    let ending = ended.unwrap()["report"]["ending"].to_string();
    assert!(ending.contains("exited"), "{ending}");
    assert_eq!(site.harness(&["attach"]).code, Some(130));
}

#[test]
fn to_stop_now_ends_the_agent_and_keeps_its_work() {
    let site = site();
    detached(&site);
    site.await_file(&site.path("here"));
    let stopped = site.harness(&["stop", "--now"]);
    assert!(stopped.out.contains("exit code 143"), "{}", stopped.out);
    let none = site.harness(&["stop"]);
    assert_eq!(none.code, Some(0));
    assert!(none.out.contains("nothing to stop"), "{}", none.out);
    go(&site);
    assert_eq!(site.harness(&["run"]).code, Some(0));
    assert_eq!(site.landed(), ["slow"]);
}

#[test]
fn nobody_but_a_run_is_asked_to_stop() {
    let site = site();
    site.harness(&["run", "--dry-run"]);
    let mut stranger = std::process::Command::new("sleep")
        .arg("600")
        .spawn()
        .unwrap();
    // What a machine without start times leaves behind after a crash; the number is another's by now.
    let says = |pid: u32| {
        format!(r#"{{"pid":{pid},"start_time":null,"boot_id":null,"doing":"run 1","host":"box"}}"#)
    };
    site.write(".harness/lock", &says(stranger.id()));
    let ran = site.harness(&["stop"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.out.contains("nothing to stop"), "{}", ran.out);
    assert!(stranger.try_wait().unwrap().is_none(), "it lives");
    stranger.kill().unwrap();
    stranger.wait().unwrap();
    // And one that holds the lock where it cannot be seen from here.
    site.write(".harness/lock", &says(u32::MAX));
    let lock = std::fs::File::open(site.repo.join(".harness/lock")).unwrap();
    lock.lock().unwrap();
    let ran = site.harness(&["stop"]);
    assert_eq!(ran.code, Some(2), "{}", ran.out);
    assert!(ran.err.contains("cannot be seen from here"), "{}", ran.err);
    let status = site.harness(&["status"]);
    assert!(status.out.contains("on box"), "{}", status.out);
}

#[test]
fn a_plan_is_shown_and_not_begun_apart() {
    let mut site = site();
    site.set("HARNESS_DRY_RUN", "1");
    let ran = site.harness(&["run", "--detach"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.out.contains("slow"), "{}", ran.out);
    assert!(!ran.out.contains("goes on by itself"), "{}", ran.out);
    assert!(!site.repo.join(".harness/journal.jsonl").exists());
}

#[test]
fn without_a_run_there_is_nothing_to_attach_to_and_a_killed_one_has_no_end() {
    let site = site();
    let none = site.harness(&["attach"]);
    assert_eq!(none.code, Some(2), "{}", none.out);
    assert!(none.err.contains("no run to attach to"), "{}", none.err);
    let run = site.start(&["run"]);
    site.await_file(&site.path("here"));
    signal(&run, "KILL");
    end(run);
    let killed = site.harness(&["attach"]);
    assert_eq!(killed.code, Some(1), "{}", killed.err);
    assert!(
        killed.err.contains("killed before its end"),
        "{}",
        killed.err
    );
}
