//! A rehearsal touches nothing that is another's: not a living run, not what a killed one has left; and it tries what a run
//! would begin with.

#![cfg(feature = "fake-agent")]

mod support;

use support::{Site, end, signal};

fn worktrees_and_refs(site: &Site) -> String {
    site.git(&["worktree", "list"]) + &site.git(&["for-each-ref"])
}

#[test]
fn nobody_begins_a_run_beside_it_and_a_signal_ends_it_without_a_trace() {
    for (name, code) in [("INT", 130), ("TERM", 143), ("HUP", 143)] {
        let site = Site::new();
        let here = site.path("here");
        let wait = format!("touch {here:?}; exec sleep 1000");
        site.shell_config(&format!("verify: {{commands: [{wait:?}]}}"));
        site.shell("a", "echo a > a\n");
        site.commit("specs");
        let before = worktrees_and_refs(&site);
        let rehearsal = site.start(&["run", "--rehearse", "--no-probe"]);
        site.await_file(&here);
        let run = site.harness(&["run"]);
        assert_eq!(run.code, Some(9), "{}", run.err);
        signal(&rehearsal, name);
        let ran = end(rehearsal);
        assert_eq!(ran.code, Some(code), "{name}: {}", ran.err);
        assert!(ran.err.contains("nothing was changed"), "{}", ran.err);
        assert_eq!(worktrees_and_refs(&site), before, "{name}");
        let names = std::fs::read_dir(site.path("")).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name());
        let mut names = names.map(|name| name.to_string_lossy().into_owned());
        let left = names.find(|name| name.starts_with("harness-"));
        assert_eq!(left, None, "{name}: a temporary directory");
    }
}

#[test]
fn nobody_takes_it_for_a_run() {
    let site = Site::new();
    let (here, wait) = (site.path("here"), site.path("wait"));
    let gate = format!("test ! -e {wait:?} || {{ touch {here:?}; exec sleep 1000; }}");
    site.shell_config(&format!(
        "run: {{max_iterations_per_feature: 1}}\nverify: {{commands: [{gate:?}]}}"
    ));
    let able = site.path("able");
    site.shell("a", &format!("test -e {able:?}\necho a > a\n"));
    site.commit("specs");
    assert_eq!(site.harness(&["run"]).code, Some(1));
    std::fs::write(&wait, "").unwrap();
    std::fs::write(able, "").unwrap();
    let rehearsal = site.start(&["run", "--rehearse", "--no-probe"]);
    site.await_file(&here);
    let status = site.harness(&["status", "--json"]).out;
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    assert_eq!(
        (&status["live"], &status["state"]),
        (&false.into(), &"ended".into())
    );
    let stop = site.harness(&["stop"]);
    assert!(stop.out.contains("nothing to stop"), "{stop:?}");
    let retry = site.harness(&["retry", "a"]);
    assert_eq!(retry.out, "a: the next run takes it\n", "{}", retry.err);
    signal(&rehearsal, "INT");
    end(rehearsal);
    std::fs::remove_file(&wait).unwrap();
    let run = site.harness(&["run"]);
    assert_eq!(run.code, Some(0), "{}{}", run.out, run.err);
}

#[test]
fn what_a_killed_run_has_left_stays_as_it_is() {
    let site = Site::new();
    let go = site.path("go");
    site.shell_config("run: {parallel: 2}\nverify: {commands: ['true']}");
    site.shell("a", "echo a > a\n");
    site.shell(
        "b",
        &format!("echo b > b; until test -e {go:?}; do sleep 0.02; done\n"),
    );
    site.commit("specs");
    let run = site.start(&["run"]);
    site.await_journal("\"event\":\"published\"");
    signal(&run, "KILL");
    end(run);
    let before = worktrees_and_refs(&site);
    let ran = site.harness(&["run", "--rehearse", "--no-probe"]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    assert_eq!(worktrees_and_refs(&site), before);
    std::fs::write(go, "").unwrap();
    assert_eq!(site.harness(&["run"]).code, Some(0));
    assert_eq!(site.landed().len(), 2);
}

#[test]
fn what_a_run_would_begin_with_is_tried() {
    let site = Site::new();
    site.shell_config("verify: {fingerprint: ['exit 3'], commands: ['true']}");
    site.shell("a", "echo a > a\n");
    site.commit("specs");
    let ran = site.harness(&["run", "--rehearse", "--no-probe"]);
    assert_eq!(ran.code, Some(1), "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("fingerprint"), "{}", ran.out);
    assert!(ran.out.contains("FAILED"), "{}", ran.out);
}
