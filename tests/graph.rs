//! `harness graph` and `harness status` show what is so now: specs that no run has seen yet, work that nobody does any more, and
//! what is wrong with the specs.

#![cfg(feature = "fake-agent")]

mod support;

use serde_json::Value;
use support::{Site, end, signal};

fn site() -> Site {
    let site = Site::new();
    site.config("");
    site.script(
        "default",
        "write ${FEATURE}.txt x\nnote \"did it\"\ndone \"is there\"\n",
    );
    site
}

fn graph(site: &Site) -> String {
    let ran = site.harness(&["graph"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran.out
}

#[test]
fn specs_that_are_wrong_are_told_before_the_first_run() {
    let site = site();
    site.spec("a", "depends_on: b");
    site.spec("b", "after: a");
    for args in [
        &["graph"][..],
        &["graph", "--json"],
        &["status"],
        &["why", "a"],
    ] {
        let ran = site.harness(args);
        assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{ran:?}");
        assert!(ran.err.contains("error[dependency-cycle]"), "{ran:?}");
    }
}

#[test]
fn specs_that_no_run_has_seen_are_shown() {
    let site = site();
    site.spec("a", "");
    site.spec("gone", "");
    site.commit("specs");
    assert_eq!(site.harness(&["run"]).code, Some(0));
    assert!(graph(&site).contains("everything has landed"));
    site.spec("z", "depends_on: a");
    std::fs::remove_dir_all(site.repo.join("specs/gone")).unwrap();
    assert_eq!(
        graph(&site),
        "✓ a\n└─ ○ z*\n✓ gone\n\ncritical path (*): 1 feature that has not landed: z\n"
    );
    let why = site.harness(&["why", "z"]).out;
    assert_eq!(
        why,
        "z: ready [ready]\n  no run is going on [no_run]\n    $ harness run\n"
    );
    let status = site.harness(&["status", "--json"]).out;
    let status: Value = serde_json::from_str(&status).unwrap();
    let mut features = status["features"].as_array().unwrap().iter();
    let z = features.find(|feature| feature["slug"] == "z").unwrap();
    assert_eq!(
        (&z["stage"], &z["reason"]["code"]),
        (&"waiting".into(), &"ready".into())
    );
    // What is wrong with the specs now does not hide what the last run knew.
    site.spec("a", "depends_on: z");
    let ran = site.harness(&["graph"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.starts_with("✓ a\n✓ gone\n"), "{ran:?}");
    assert!(ran.err.contains("as the last run knew"), "{ran:?}");
    assert!(ran.err.contains("a -> z -> a"), "{ran:?}");
}

#[test]
fn who_is_not_selected_decides_nothing() {
    let site = site();
    for (slug, front) in [
        ("a", ""),
        ("b", ""),
        ("c", "depends_on: b"),
        ("d", "depends_on: c"),
    ] {
        site.spec(slug, front);
    }
    site.commit("specs");
    assert_eq!(site.harness(&["run", "--only", "a"]).code, Some(0));
    assert_eq!(
        graph(&site),
        "✓ a\n○ b  not selected\n└─ ○ c  not selected\n   └─ ○ d  not selected\n\n\
         all that was selected has landed; 3 features were not selected\n"
    );
    let json = site.harness(&["graph", "--json"]).out;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["critical_path"], serde_json::json!([]));
    let chosen = json["features"].as_array().unwrap().iter();
    let chosen: Vec<_> = chosen.map(|node| node["unselected"].clone()).collect();
    assert_eq!(chosen, [false, true, true, true]);
    let why = site.harness(&["why", "b"]).out;
    assert!(why.contains("$ harness run\n"), "{why}");
}

#[test]
fn dead_work_is_not_shown_as_alive() {
    let site = Site::new();
    site.shell_config("");
    let go = site.path("go");
    site.shell(
        "works",
        &format!("until test -e {go:?}; do sleep 0.02; done\n"),
    );
    site.commit("specs");
    let run = site.start(&["run"]);
    site.await_journal("\"event\":\"iteration_started\"");
    assert!(graph(&site).starts_with("● works*  working\n"));
    signal(&run, "KILL");
    end(run);
    assert!(graph(&site).starts_with("○ works*  interrupted\n"));
    for format in ["dot", "mermaid"] {
        let drawn = site.harness(&["graph", "--format", format]).out;
        assert!(drawn.contains("interrupted"), "{drawn}");
        assert!(!drawn.contains("working"), "{drawn}");
    }
    let why = site.harness(&["why", "works"]).out;
    assert_eq!(
        why,
        "works: the run that worked on it was cut off [interrupted]\n  no run is going on [no_run]\n    $ harness run\n"
    );
    site.harness(&["pause", "-m", "deploying"]);
    let why = site.harness(&["why", "works"]).out;
    assert_eq!(
        why,
        "works: the run that worked on it was cut off [interrupted]\n  HALT: deploying [halt]\n    $ harness resume\n  \
         no run is going on [no_run]\n    $ harness run\n"
    );
}
