//! What a person is told while they are not looking, how the machine is kept awake meanwhile, and when a run's time is up.

#![cfg(feature = "fake-agent")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

mod support;

use serde_json::Value;
use std::os::unix::fs::PermissionsExt as _;
use support::schema::problems;
use support::{Site, end, signal};

/// A program in front of all others on the path.
fn program(site: &Site, name: &str, script: &str) {
    let path = site.path("bin").join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// One feature that lands and one whose agent asks.
fn site(keys: &str) -> Site {
    let site = Site::new();
    site.shell_config(&format!("verify: {{commands: [\"true\"]}}\n{keys}"));
    site.shell("lands", "echo x > x\n");
    site.shell(
        "asks",
        "echo 'which one?' > \"$HARNESS_OUTBOX/blocked\"; exit 0\n",
    );
    site.commit("specs");
    site
}

/// A command that adds what it is given to a file, one a line.
fn collects(site: &Site) -> String {
    format!("cat >> {:?}", site.path("told"))
}

fn told(site: &Site) -> Vec<Value> {
    let text = std::fs::read_to_string(site.path("told")).unwrap_or_default();
    let all: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for one in &all {
        assert_eq!(problems("notification", one), [""; 0]);
    }
    all
}

fn kinds(site: &Site) -> Vec<String> {
    let all = told(site).into_iter();
    all.map(|one| one["kind"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_command_is_told_what_needs_a_person_and_how_the_run_ended() {
    let site = site("");
    let command = collects(&site);
    site.shell_config(&format!(
        "verify: {{commands: [\"true\"]}}\nnotify: {{command: {command:?}}}"
    ));
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(4), "{}", ran.err);
    assert_eq!(kinds(&site), ["needs_human", "finished"]);
    let all = told(&site);
    assert_eq!(all[0]["schema"], "harness.notification");
    assert_eq!(
        (&all[0]["feature"], &all[0]["stage"]),
        (&"asks".into(), &"blocked".into())
    );
    assert_eq!(all[0]["text"], "which one?");
    assert_eq!(all[1]["codes"], serde_json::json!([4]));
    assert_eq!(all[1]["title"], "the run has ended: 1 feature needs you");
    // The next run tells of itself, and nothing again.
    assert_eq!(site.harness(&["run"]).code, Some(4));
    assert_eq!(kinds(&site), ["needs_human", "finished", "finished"]);
}

#[test]
fn what_a_killed_run_did_not_come_to_tell_is_told_by_the_next_once() {
    let site = site("");
    let (here, go) = (site.path("here"), site.path("go"));
    // The first one is told and hangs until the run is killed; from then on telling works.
    let command = format!(
        "if [ -e {go:?} ]; then {}; else touch {here:?}; sleep 600; fi",
        collects(&site)
    );
    let keys = format!(
        "verify: {{commands: [\"true\"]}}\nnotify: {{command: {command:?}, on: [needs_human]}}"
    );
    site.shell_config(&keys);
    let run = site.start(&["run"]);
    site.await_file(&here);
    signal(&run, "KILL");
    end(run);
    std::fs::write(&go, "").unwrap();
    for _ in 0..2 {
        assert_eq!(site.harness(&["run"]).code, Some(4));
        let all = told(&site);
        assert_eq!(all.len(), 1, "{all:?}");
        assert_eq!(all[0]["feature"], "asks");
    }
}

/// The names of the runs that the journal knows, first to last.
fn runs(site: &Site) -> Vec<String> {
    let starts = site.journal().into_iter();
    let starts = starts.filter(|event| event["event"] == "run_started");
    let starts = starts.map(|event| event["run"].as_str().unwrap().to_owned());
    starts.collect()
}

#[test]
fn what_two_killed_runs_did_not_come_to_tell_is_told_as_the_first_ones() {
    let site = site("");
    let (here, go) = (site.path("here"), site.path("go"));
    let command = format!(
        "if [ -e {go:?} ]; then {}; else touch {here:?}; sleep 600; fi",
        collects(&site)
    );
    site.shell_config(&format!(
        "verify: {{commands: [\"true\"]}}\nnotify: {{command: {command:?}, on: [needs_human]}}"
    ));
    for _ in 0..2 {
        let run = site.start(&["run"]);
        site.await_file(&here);
        signal(&run, "KILL");
        end(run);
        std::fs::remove_file(&here).unwrap();
    }
    std::fs::write(&go, "").unwrap();
    assert_eq!(site.harness(&["run"]).code, Some(4));
    let all = told(&site);
    assert_eq!(all.len(), 1, "{all:?}");
    assert_eq!(all[0]["feature"], "asks");
    let first = &runs(&site)[0];
    assert_eq!(all[0]["run"], first.as_str());
    assert!(all[0]["id"].as_str().unwrap().starts_with(first), "{all:?}");
}

#[test]
fn what_happened_while_nobody_was_to_be_told_is_told_to_nobody_later() {
    let site = site("");
    let on = format!(
        "verify: {{commands: [\"true\"]}}\nnotify: {{command: {:?}, on: [started, merged, needs_human, finished]}}",
        collects(&site)
    );
    site.shell_config(&on);
    assert_eq!(site.harness(&["run", "--only", "asks"]).code, Some(4));
    assert_eq!(kinds(&site), ["started", "needs_human", "finished"]);
    site.shell_config("verify: {commands: [\"true\"]}");
    assert_eq!(site.harness(&["run"]).code, Some(4));
    assert_eq!(site.landed(), ["lands"]);
    site.shell_config(&on);
    std::fs::remove_file(site.path("told")).unwrap();
    assert_eq!(site.harness(&["run"]).code, Some(4));
    assert_eq!(kinds(&site), ["started", "finished"]);
    let last = runs(&site).pop().unwrap();
    assert!(told(&site).iter().all(|one| one["run"] == last.as_str()));
}

#[test]
fn what_cannot_keep_a_log_is_told_all_the_same() {
    let site = site("");
    let command = collects(&site);
    site.shell_config(&format!(
        "verify: {{commands: [\"true\"]}}\nnotify: {{command: {command:?}}}"
    ));
    // Nothing can be made in its place.
    std::fs::create_dir_all(site.repo.join(".harness/notify.log/in the way")).unwrap();
    assert_eq!(site.harness(&["run"]).code, Some(4));
    assert_eq!(kinds(&site), ["needs_human", "finished"]);
}

#[test]
fn who_can_only_be_told_on_a_terminal_that_is_not_there_is_warned() {
    let site = site("notify: {terminal: true}");
    let ran = site.harness(&["run"]);
    assert!(ran.err.contains("nobody is told anything"), "{}", ran.err);
    site.shell_config(&format!(
        "verify: {{commands: [\"true\"]}}\nnotify: {{terminal: true, command: {:?}}}",
        collects(&site)
    ));
    let ran = site.harness(&["run"]);
    assert!(!ran.err.contains("nobody is told anything"), "{}", ran.err);
}

#[test]
fn only_somebody_who_is_there_cuts_short_what_is_told_of_the_end() {
    let site = site("");
    let (here, go) = (site.path("here"), site.path("go"));
    let command = format!(
        "touch {here:?}; until test -e {go:?}; do sleep 0.02; done; {}",
        collects(&site)
    );
    let keys = |site: &Site| {
        site.shell_config(&format!(
            "verify: {{commands: [\"true\"]}}\nnotify: {{on: [finished], command: {command:?}}}"
        ));
    };
    keys(&site);
    let run = site.start(&["run"]);
    site.await_file(&here);
    signal(&run, "USR1");
    signal(&run, "HUP");
    // It is still there: a look at it says so.
    let status = site.harness(&["status", "--json"]).out;
    let status: Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["live"], true);
    std::fs::write(&go, "").unwrap();
    assert_eq!(end(run).code, Some(4));
    assert_eq!(kinds(&site), ["finished"]);
    std::fs::remove_file(&go).unwrap();
    std::fs::remove_file(&here).unwrap();
    let run = site.start(&["run"]);
    site.await_file(&here);
    signal(&run, "INT");
    assert_eq!(end(run).code, Some(4));
    assert_eq!(kinds(&site), ["finished"]);
}

#[test]
fn a_run_that_breaks_off_says_so() {
    let site = site("");
    let command = collects(&site);
    site.shell_config(&format!(
        "verify: {{commands: [\"true\"]}}\nnotify: {{command: {command:?}}}"
    ));
    let ran = site.harness_with(&["run"], &[("HARNESS_FAULT", "journal.append#4+=ENOSPC")]);
    assert_eq!(ran.code, Some(10), "{}", ran.err);
    let all = told(&site);
    let last = all.last().unwrap();
    assert_eq!(last["kind"], "finished");
    assert_eq!(last["codes"], serde_json::json!([10]));
    assert_eq!(last["title"], "the run broke off");
    let text = last["text"].as_str().unwrap();
    assert!(text.contains("journal.jsonl"), "{text}");
    assert_eq!(last["run"], runs(&site)[0].as_str());
}

#[test]
fn what_a_command_leaves_in_the_background_is_let_end() {
    let site = site("");
    // It goes on when the shell is gone.
    let later = format!(
        "exec 3<&0; (while kill -0 $$ 2> /dev/null; do sleep 0.02; done; sleep 0.3; cat <&3 >> {:?}) & exit 0",
        site.path("told")
    );
    site.shell_config(&format!(
        "verify: {{commands: [\"true\"]}}\nnotify: {{command: {later:?}, on: [finished]}}"
    ));
    assert_eq!(site.harness(&["run"]).code, Some(4));
    assert_eq!(kinds(&site), ["finished"]);
}

#[test]
fn an_address_that_answers_otherwise_than_with_success_was_not_told() {
    for (answer, why) in [
        ("302", Some("it answered with 302: moved")),
        ("404", Some("it answered with 404: moved")),
        ("", Some("it did not answer")),
        ("204", None),
    ] {
        let site = site("notify: {webhook: 'https://x.example/?a={1,2}', on: [finished]}");
        let args = site.path("args");
        let script = format!(
            "printf '%s\\n' \"$@\" > {args:?}; cat > /dev/null; printf 'moved\\n{answer}\\n'"
        );
        program(&site, "curl", &script);
        let ran = site.harness(&["run"]);
        match why {
            Some(why) => assert!(ran.err.contains(why), "{answer}: {}", ran.err),
            None => assert!(!ran.err.contains("notify.webhook"), "{}", ran.err),
        }
        // Braces and brackets of the address are no list of addresses.
        let args = std::fs::read_to_string(args).unwrap();
        assert!(args.contains("--globoff\n"), "{args}");
    }
}

#[test]
fn telling_that_fails_is_said_once_and_harms_nothing() {
    let site = site(
        "notify: {command: 'echo no route >&2; exit 7', on: [started, merged, needs_human, finished]}",
    );
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(4));
    assert_eq!(site.landed(), ["lands"]);
    assert_eq!(ran.err.matches("notify.command").count(), 1, "{}", ran.err);
    assert!(
        ran.err.contains("ended with exit code 7: no route"),
        "{}",
        ran.err
    );
}

#[test]
fn a_web_address_gets_the_same_and_no_argument_holds_a_secret() {
    let mut site = site(
        "notify: {webhook: '${HOOK_URL}', headers: {Authorization: 'Bearer ${HOOK_TOKEN}'}, on: [finished]}",
    );
    let (args, order) = (site.path("args"), site.path("order"));
    program(
        &site,
        "curl",
        &format!("printf '%s\\n' \"$@\" > {args:?}; cat > {order:?}; echo 204"),
    );
    // Nothing begins that could not tell.
    let refused = site.harness(&["run"]);
    assert_eq!(refused.code, Some(2));
    assert!(
        refused.err.contains("HOOK_URL is not set"),
        "{}",
        refused.err
    );
    site.set("HOOK_URL", "https://hooks.example.org/T0P/s3cret");
    site.set("HOOK_TOKEN", "tok-0123456789");
    assert_eq!(site.harness(&["run"]).code, Some(4));
    let order = std::fs::read_to_string(order).unwrap();
    assert!(
        order.contains("url = \"https://hooks.example.org/T0P/s3cret\"\n"),
        "{order}"
    );
    assert!(order.contains("header = \"Authorization: Bearer tok-0123456789\"\n"));
    assert!(order.contains("data-binary = \"{\\\"at\\\":"), "{order}");
    assert!(order.contains("\\\"kind\\\":\\\"finished\\\""), "{order}");
    let args = std::fs::read_to_string(args).unwrap();
    assert!(!args.contains("s3cret") && !args.contains("tok-"), "{args}");
    // Nor what is kept.
    for file in ["run.log", "journal.jsonl"] {
        let text = site.read(&format!(".harness/{file}"));
        assert!(
            !text.contains("s3cret") && !text.contains("tok-0123"),
            "{file}"
        );
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_desktop_gets_words_and_no_markup() {
    let site = site("notify: {desktop: true, on: [needs_human]}");
    site.shell(
        "asks",
        "echo 'a <b> & c?' > \"$HARNESS_OUTBOX/blocked\"; exit 0\n",
    );
    let args = site.path("args");
    program(
        &site,
        "notify-send",
        &format!("printf '%s\\n' \"$@\" > {args:?}"),
    );
    assert_eq!(site.harness(&["run"]).code, Some(4));
    let args = std::fs::read_to_string(args).unwrap();
    let lines: Vec<&str> = args.lines().collect();
    assert_eq!(
        lines,
        [
            "--app-name=harness",
            "--",
            "asks needs you: blocked",
            "a &lt;b&gt; &amp; c?"
        ]
    );
}

/// The fake says that it is there, and that it is gone.
#[cfg(target_os = "linux")]
fn inhibitor(site: &Site) {
    let (begun, gone) = (site.path("awake"), site.path("asleep"));
    let script = format!("printf '%s\\n' \"$@\" > {begun:?}; cat; touch {gone:?}");
    program(site, "systemd-inhibit", &script);
}

#[cfg(target_os = "linux")]
#[test]
fn the_machine_is_kept_awake_as_long_as_the_run_lives_however_it_ends() {
    let site = site("");
    inhibitor(&site);
    let (here, go) = (site.path("here"), site.path("go"));
    site.shell(
        "lands",
        &format!("touch {here:?}; while [ ! -e {go:?} ]; do sleep 0.02; done; echo x > x\n"),
    );
    let run = site.start(&["run"]);
    site.await_file(&here);
    let asked = std::fs::read_to_string(site.path("awake")).unwrap();
    assert!(asked.starts_with("--what=sleep:idle\n"), "{asked}");
    assert!(!site.path("asleep").exists());
    signal(&run, "KILL");
    end(run);
    site.await_file(&site.path("asleep"));
    std::fs::write(&go, "").unwrap();
    // Nobody is asked who is not to be.
    std::fs::remove_file(site.path("awake")).unwrap();
    site.shell_config("verify: {commands: [\"true\"]}\nrun: {keep_awake: false}");
    assert_eq!(site.harness(&["run"]).code, Some(4));
    assert!(!site.path("awake").exists());
    assert_eq!(site.landed(), ["lands"]);
}

#[test]
fn a_run_whose_time_is_up_lands_what_is_done_and_starts_nothing_more() {
    let mut site = Site::new();
    let clock = site.path("clock");
    std::fs::write(&clock, "0 0").unwrap();
    site.set("FAKE_CLOCK", clock.to_str().unwrap());
    site.shell_config("verify: {commands: [\"true\"]}\nrun: {parallel: 1, until: 6h}");
    // While it works, six hours pass.
    site.shell(
        "a-first",
        &format!("echo '0 21600000' > {clock:?}; echo x > x\n"),
    );
    site.shell("b-second", "echo y > y\n");
    site.commit("specs");
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(ran.err.contains("the run's time is up"), "{}", ran.err);
    assert_eq!(site.landed(), ["a-first"]);
    let status: Value = serde_json::from_str(&site.harness(&["status", "--json"]).out).unwrap();
    assert_eq!(status["run"]["time_up"], true);
    assert!(status["run"]["until_ms"].is_u64());
    // The next run has a time of its own.
    assert_eq!(site.harness(&["run"]).code, Some(0));
    assert_eq!(site.landed(), ["a-first", "b-second"]);
    let refused = site.harness(&["run", "--until", "25:00"]);
    assert_eq!(refused.code, Some(2));
    assert!(refused.err.contains("a time of the day"), "{}", refused.err);
}
