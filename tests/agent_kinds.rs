//! Each kind of agent in a run of the binary: a program of its name that looks at how it was called and prints what the
//! real one printed.

#![cfg(feature = "fake-agent")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

mod support;

use harness::process::sandbox::find_bwrap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use support::Site;

/// A kind, a record of it, the arguments that it must get, and its tokens: input, output, cache read, cache write.
type Case = (&'static str, &'static str, &'static str, [u64; 4]);

const CASES: [Case; 8] = [
    (
        "claude",
        "claude-2.1.330-bg-tool-stream",
        "-p --output-format stream-json --verbose --permission-mode bypassPermissions --model big \
         --exclude-dynamic-system-prompt-sections",
        [300, 60, 3000, 150],
    ),
    (
        "codex",
        "codex-0.169.0-add-hello",
        "exec --json --skip-git-repo-check --dangerously-bypass-approvals-and-sandbox --model big -",
        [750, 100, 5000, 0],
    ),
    (
        "opencode",
        "opencode-1.18.33-add-hello",
        "run --format json --auto --model big",
        [750, 100, 5000, 0],
    ),
    (
        "goose",
        "goose-1.34.0-add-hello-stream",
        "run --quiet --output-format stream-json --model big -i -",
        [5750, 100, 0, 0],
    ),
    (
        "gemini",
        "gemini-0.61.0-say-only",
        "--yolo --skip-trust --output-format stream-json --model big",
        [150, 20, 1000, 0],
    ),
    (
        "copilot",
        "copilot-1.0.102-say-only",
        "--allow-all-tools --no-auto-update --output-format json --model big",
        [0, 0, 0, 0],
    ),
    (
        "qwen",
        "qwen-0.15.10-say-only",
        "--yolo --output-format stream-json --model big",
        [450, 60, 3000, 0],
    ),
    (
        "aider",
        "",
        "--yes-always --no-check-update --analytics-disable --no-show-model-warnings --no-gitignore \
         --no-pretty --no-stream --model big",
        [1500, 20, 0, 0],
    ),
];

/// What Claude Code 2.1.330 answers when it is asked for its version.
const VERSION: &str = "2.1.330 (Claude Code)";

/// Puts a program on the PATH that notes how it was called, prints a record and ends as that did.
fn program(site: &Site, kind: &str, record: &str, claims: bool) {
    let records = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/agents/records");
    let seen = site.path("seen");
    let print = if record.is_empty() {
        "echo 'Tokens: 1.5k sent, 20 received. Cost: $0.01 message, $0.02 session.'".to_owned()
    } else {
        let record = records.join(record);
        format!(
            "cat {:?}; cat {:?} >&2; code=$(cat {:?})",
            record.join("stdout"),
            record.join("stderr"),
            record.join("exit")
        )
    };
    // That `cat` comes back proves that stdin was closed.
    let claim = if claims {
        "echo finished > \"$HARNESS_OUTBOX/done\""
    } else {
        ""
    };
    let text = format!(
        "#!/bin/sh\n[ \"$1\" = --version ] && echo asked >> {seen:?}/{kind}.asked && echo '{VERSION}' && exit\n\
         cat > {seen:?}/{kind}.stdin\necho \"$*\" > {seen:?}/{kind}.args\nenv > {seen:?}/{kind}.env\n\
         while [ $# -gt 0 ]; do [ \"$1\" = --message-file ] && cat \"$2\" > {seen:?}/{kind}.file; shift; done\n\
         echo \"$HARNESS_FEATURE\" > \"$HARNESS_FEATURE.txt\"\n\
         echo 'did what this feature is about' > \"$HARNESS_OUTBOX/note.md\"\n\
         {claim}\ncode=0\n{print}\nexit $code\n"
    );
    let path = site.path("bin").join(kind);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn site(cases: &[(&str, &str)], claims: bool) -> Site {
    let site = Site::new();
    fs::create_dir(site.path("seen")).unwrap();
    let mut config = "version: 1\nlimits: {on_limit: halt}\nagents:\n".to_owned();
    for (kind, record) in cases {
        program(&site, kind, record, claims);
        config += &format!("  {kind}: {{kind: {kind}, model: big}}\n");
        site.spec(&format!("with-{kind}"), &format!("agent: {kind}"));
    }
    site.write("harness.yaml", &config);
    site.commit("specs");
    site
}

fn seen(site: &Site, name: &str) -> String {
    fs::read_to_string(site.path("seen").join(name)).unwrap_or_default()
}

#[test]
fn each_kind_is_called_as_documented_and_its_usage_is_shown() {
    let cases: Vec<_> = CASES.iter().map(|case| (case.0, case.1)).collect();
    let mut site = site(&cases, true);
    site.set("OPENAI_API_KEY", "sk-openai");
    site.set("ANTHROPIC_API_KEY", "sk-anthropic");
    site.set("GEMINI_API_KEY", "sk-gemini");
    site.set("MY_SECRET", "sk-mine");
    let ran = site.harness(&["run", "--parallel", "4"]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    let status = site.harness(&["status", "--json"]);
    let status: serde_json::Value = serde_json::from_str(&status.out).unwrap();
    let features = status["features"].as_array().unwrap();
    for (kind, _, args, tokens) in CASES {
        let told = seen(&site, &format!("{kind}.args"));
        let told = told.trim();
        let prompt = match kind {
            "aider" => {
                assert!(told.starts_with(args), "{told}");
                assert_eq!(seen(&site, "aider.stdin"), "");
                seen(&site, "aider.file")
            }
            _ => {
                assert_eq!(told, args, "{kind}");
                seen(&site, &format!("{kind}.stdin"))
            }
        };
        let text = format!("Write with-{kind}.txt.");
        assert!(prompt.contains(&text), "{kind}: {prompt}");
        assert!(
            !told.contains("Write with-"),
            "{kind}: the prompt is an argument"
        );
        let feature = format!("with-{kind}");
        let shown = features.iter().find(|it| it["slug"] == *feature).unwrap();
        let names = ["input", "output", "cache_read", "cache_write"];
        let usage = names.map(|name| shown["usage"][name].as_u64().unwrap());
        assert_eq!(usage, tokens, "{kind}: {shown}");
        assert!(site.repo.join(format!("{feature}.txt")).exists(), "{kind}");
    }
    for (kind, has, has_not) in [
        ("claude", "ANTHROPIC_API_KEY=", "OPENAI_API_KEY="),
        ("codex", "OPENAI_API_KEY=", "ANTHROPIC_API_KEY="),
        ("opencode", "OPENCODE_DB=", "MY_SECRET="),
        ("goose", "GOOSE_MODE=auto", "MY_SECRET="),
        ("gemini", "GEMINI_API_KEY=", "OPENAI_API_KEY="),
        ("copilot", "HARNESS_OUTBOX=", "OPENAI_API_KEY="),
        ("qwen", "OPENAI_API_KEY=", "ANTHROPIC_API_KEY="),
        ("aider", "ANTHROPIC_API_KEY=", "MY_SECRET="),
    ] {
        let env = seen(&site, &format!("{kind}.env"));
        let is_set = |name: &str| env.lines().any(|line| line.starts_with(name));
        assert!(is_set(has) && !is_set(has_not), "{kind}: {env}");
    }
}

/// A flag that came with a version is passed to no earlier one: the program would refuse it.
#[test]
fn an_old_claude_is_called_as_it_can_be_and_asked_for_its_version_once() {
    let site = site(&[("claude", "claude-2.1.330-bg-tool-stream")], true);
    let path = site.path("bin/claude");
    let program = fs::read_to_string(&path).unwrap();
    fs::write(&path, program.replace("2.1.330 (", "2.1.97 (")).unwrap();
    site.spec("another", "agent: claude");
    site.commit("another");
    let ran = site.harness(&["run", "--parallel", "2"]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    let told = seen(&site, "claude.args");
    assert_eq!(told.trim(), CASES[0].2.rsplit_once(' ').unwrap().0);
    assert_eq!(seen(&site, "claude.asked"), "asked\n");
}

/// The version is asked outside of any sandbox: where agents are held in one, nothing that they can write is run so.
#[test]
fn a_program_is_not_asked_for_its_version_where_agents_are_in_a_sandbox() {
    let path = std::env::var_os("PATH");
    assert_eq!(harness::process::supervise(std::iter::empty()), None);
    if let Err(why) = find_bwrap(path.as_deref()) {
        eprintln!("SKIPPED: {why}");
        return;
    }
    let site = site(&[("claude", "claude-2.1.330-bg-tool-stream")], true);
    let seen_dir = site.path("seen");
    let config = format!("sandbox: bwrap\nconfine: {{write: [{seen_dir:?}]}}\n");
    let yaml = site.read("harness.yaml");
    site.write("harness.yaml", &format!("{yaml}{config}"));
    site.commit("a sandbox");
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    let told = seen(&site, "claude.args");
    assert_eq!(told.trim(), CASES[0].2.rsplit_once(' ').unwrap().0);
    assert_eq!(seen(&site, "claude.asked"), "");
}

/// The account's failures end the run with 6, whatever the program's exit code says.
#[test]
fn an_account_that_cannot_be_used_ends_the_run() {
    for (kind, record, told) in [
        (
            "codex",
            "codex-0.169.0-f-quota",
            "limit: You’ve hit your usage limit.",
        ),
        (
            "goose",
            "goose-1.34.0-f-quota",
            "limit: Rate limit exceeded: The usage limit",
        ),
        ("qwen", "qwen-0.15.10-f-401", "login: 401 Incorrect API key"),
        (
            "gemini",
            "gemini-0.61.0-f-credit",
            "billing: You exceeded your current quota",
        ),
    ] {
        let site = site(&[(kind, record)], false);
        let ran = site.harness(&["run"]);
        assert_eq!(ran.code, Some(6), "{record}: {}{}", ran.out, ran.err);
        assert!(ran.err.contains(told), "{record}: {}", ran.err);
        assert!(
            ran.err.contains("#1 ended") && !ran.err.contains("#2"),
            "{}",
            ran.err
        );
    }
}
