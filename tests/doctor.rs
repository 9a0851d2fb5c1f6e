//! `harness doctor` on a place that has something wrong with it, and beside a run that lives.

#![cfg(feature = "fake-agent")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

mod support;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use support::{Site, end};

#[test]
fn beside_a_living_run_the_doctor_only_looks() {
    let site = Site::new();
    let (began, go) = (site.path("began"), site.path("go"));
    site.shell_config("");
    site.shell(
        "a",
        &format!(
            "echo > '{}'; while [ ! -e '{}' ]; do sleep 0.01; done",
            began.display(),
            go.display()
        ),
    );
    site.commit("specs");
    let child = site.start(&["run", "--parallel", "1"]);
    site.await_file(&began);
    let lock = site.repo.join(".git/worktrees/w1/index.lock");
    fs::write(&lock, "").unwrap();
    let found = site.harness(&["doctor"]);
    assert_eq!(found.code, Some(0), "{}", found.out);
    assert!(
        found.out.contains("harness is at work here"),
        "{}",
        found.out
    );
    assert_eq!(site.harness(&["doctor", "--fix"]).code, Some(9));
    assert!(lock.exists());
    fs::write(&go, "").unwrap();
    assert_eq!(end(child).code, Some(0));
}

#[test]
fn what_is_wrong_with_the_place_itself_is_named() {
    let mut site = Site::new();
    // Of the machine only what a test can bring along.
    site.set("TZ", "UTC");
    let own = env!("CARGO_BIN_EXE_harness");
    std::os::unix::fs::symlink(own, site.path("bin/harness")).unwrap();
    std::os::unix::fs::symlink("/bin/cat", site.path("bin/systemd-inhibit")).unwrap();
    site.shell_config("");
    site.shell("a", "echo a > a.txt");
    site.commit("specs");
    let healthy = site.harness(&["doctor"]);
    assert_eq!(healthy.code, Some(0), "{}", healthy.out);
    // Which other agents are installed differs from place to place.
    let lines: Vec<&str> = healthy.out.lines().collect();
    assert!(
        lines[0].starts_with("agent    shell (command): /"),
        "{lines:?}"
    );
    let mut others = lines[1..].iter();
    let others = others.by_ref().take_while(|line| line.starts_with("agent"));
    others.for_each(|line| assert!(line.ends_with("no feature uses it"), "{line}"));
    assert_eq!(lines.last(), Some(&"24 checks: nothing is wrong"));
    assert!(!site.repo.join(".harness").exists(), "a look makes nothing");
    assert_eq!(site.harness(&["run"]).code, Some(0));
    let wrong = |site: &Site, words: &[&str]| {
        let found = site.harness(&["doctor"]);
        assert_eq!(found.code, Some(1), "{}", found.out);
        for words in words {
            assert!(found.out.contains(words), "{words}: {}", found.out);
        }
    };
    site.git(&["branch", "harness/a", "main"]);
    wrong(
        &site,
        &["warning  landed: harness/a: its feature has landed"],
    );
    assert_eq!(site.harness(&["doctor", "--fix"]).code, Some(0));
    assert_eq!(site.git(&["branch", "--list", "harness/*"]), "");
    assert_eq!(site.harness(&["pause", "-m", "lunch"]).code, Some(0));
    wrong(&site, &["warning  halt: ", "lunch", "`harness resume`"]);
    assert_eq!(site.harness(&["resume"]).code, Some(0));
    site.git(&["branch", "harness"]);
    wrong(&site, &["error    repository: ", "git branch -m harness"]);
    site.git(&["branch", "-D", "harness"]);
    let yaml = site.read("harness.yaml");
    site.write(
        "harness.yaml",
        &format!("{yaml}worktrees: {{min_free: 9000000TiB}}\n"),
    );
    wrong(&site, &["error    disk: only ", "worktrees.min_free"]);
    site.write("harness.yaml", "paralel: 4\n");
    wrong(&site, &["error    config: ", "paralel"]);
    site.write("harness.yaml", &yaml);
    let journal = site.read(".harness/journal.jsonl");
    site.write(".harness/journal.jsonl", &journal.replacen("run", "rum", 1));
    wrong(
        &site,
        &[
            "error    journal: ",
            "journal.jsonl:1: ",
            "harness recover --journal",
        ],
    );
    site.write(".harness/journal.jsonl", &journal);
    assert_eq!(site.harness(&["doctor"]).code, Some(0));
}

/// A stand-in for Claude Code that tells its version, and answers as a file says.
fn with_a_stub() -> Site {
    let mut site = Site::new();
    let stub = site.path("bin/claude");
    let text = "#!/bin/sh\n\
        [ \"$1\" = --version ] && { touch \"$HOME/.claude.json\"; echo '2.1.330 (Claude Code)'; exit; }\n\
        cat >/dev/null\n\
        pwd >>\"$0.turns\"\n\
        ls -A >>\"$0.turns\"\n\
        cat \"$0.answer\"\n";
    fs::write(&stub, text).unwrap();
    fs::set_permissions(&stub, Permissions::from_mode(0o755)).unwrap();
    site.write("harness.yaml", "agent: claude\n");
    site.spec("a", "");
    site.commit("specs");
    // Found first, whatever is installed here.
    site.set("CLAUDE_CODE_OAUTH_TOKEN", "a-token-that-nobody-may-see");
    site
}

#[test]
fn agents_are_told_with_version_and_who_is_charged_and_no_turn_is_started() {
    let site = with_a_stub();
    let found = site.harness(&["doctor"]);
    let line = format!(
        "agent    claude: {}, 2.1.330 (Claude Code); charged to the login in CLAUDE_CODE_OAUTH_TOKEN\n",
        site.path("bin/claude").display()
    );
    assert!(found.out.starts_with(&line), "{}", found.out);
    assert_eq!(found.code, Some(0), "{}", found.out);
    assert!(
        !site.path("bin/claude.turns").exists(),
        "no turn was started"
    );
    assert_eq!(
        fs::read_dir(site.path("home")).unwrap().count(),
        0,
        "the home is as it was"
    );
    let json = site.harness(&["doctor", "--json"]).out;
    assert!(!json.contains("nobody-may-see"), "{json}");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let agent = &json["agents"][0];
    assert_eq!(agent["version"], "2.1.330 (Claude Code)");
    let login = serde_json::json!({"kind": "login", "name": "CLAUDE_CODE_OAUTH_TOKEN"});
    assert_eq!(
        (&agent["credentials"], &agent["turn"]),
        (&login, &serde_json::Value::Null)
    );
    site.write(
        "harness.yaml",
        "agent: none\nagents: {none: {kind: command, command: [no-such-program]}}\n",
    );
    let found = site.harness(&["doctor"]);
    assert_eq!(found.code, Some(1));
    let error = "error    agents: agent none (command): the agent's program `no-such-program` was not found";
    assert!(found.out.contains(error), "{}", found.out);
}

#[test]
fn a_probe_has_each_agent_answer_once_in_an_empty_directory() {
    let site = with_a_stub();
    let answer = site.path("bin/claude.answer");
    let record = "{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":false,\"result\":\"OK\",\
        \"total_cost_usd\":0.0123,\"usage\":{\"input_tokens\":1234,\"output_tokens\":4}}\n";
    fs::write(&answer, record).unwrap();
    let found = site.harness(&["doctor", "--probe"]);
    assert_eq!(found.code, Some(0), "{}", found.out);
    let told = "OK; 1,234 tokens in, 4 out, $0.01\n";
    assert!(found.out.contains(told), "{}", found.out);
    let turns = fs::read_to_string(site.path("bin/claude.turns")).unwrap();
    let (place, files) = turns.split_once('\n').unwrap();
    assert_eq!(files, ".harness\n", "only the outbox is there");
    assert!(!std::path::Path::new(place).exists(), "and it is gone");
    let record = "{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":true,\"api_error_status\":401,\
        \"result\":\"Not logged in · Please run /login\"}\n";
    fs::write(&answer, record).unwrap();
    let found = site.harness(&["doctor", "--probe", "--json"]);
    assert_eq!(found.code, Some(1), "{}", found.out);
    let json: serde_json::Value = serde_json::from_str(&found.out).unwrap();
    assert_eq!(json["agents"][0]["turn"]["failure"], "auth");
    let finding = &json["findings"][0];
    assert_eq!(finding["check"], "agents");
    assert_eq!(finding["remedy"], "log in with it again, or set its key");
}

#[test]
fn commands_that_cannot_be_tried_are_a_finding_like_others() {
    let site = Site::new();
    let (began, go) = (site.path("began"), site.path("go"));
    site.shell_config("verify: {commands: ['true']}");
    site.shell(
        "a",
        &format!("echo > {began:?}; while [ ! -e {go:?} ]; do sleep 0.01; done"),
    );
    site.commit("specs");
    let verify = |site: &Site| {
        let found = site.harness(&["doctor", "--verify", "--json"]);
        assert_eq!(found.code, Some(1), "{}{}", found.out, found.err);
        let json: serde_json::Value = serde_json::from_str(&found.out).unwrap();
        let checks = json["checks"].as_array().unwrap();
        assert!(
            checks
                .iter()
                .any(|one| one["id"] == "verify" && one["ok"] == false)
        );
        let findings = json["findings"].as_array().unwrap();
        let of_it = findings.iter().find(|one| one["check"] == "verify");
        let of_it = of_it.unwrap();
        let words = |key: &str| of_it[key].as_str().unwrap().to_owned();
        (words("what"), words("remedy"))
    };
    // A run lives.
    let child = site.start(&["run"]);
    site.await_file(&began);
    let (what, remedy) = verify(&site);
    assert!(what.starts_with("they were not tried: "), "{what}");
    assert!(remedy.contains("`harness stop`"), "{remedy}");
    fs::write(&go, "").unwrap();
    assert_eq!(end(child).code, Some(0));
    // A run would not begin.
    site.spec("b", "agent: nobody");
    let (what, _) = verify(&site);
    assert!(what.contains("nobody"), "{what}");
}
