//! System calls that fail in harness itself and in its git commands, one after the other: the run says what failed or goes
//! on over it, and the next run lands everything once.
//!
//! `strace` makes them fail, and only those that concern a file of harness's, so that agents are left alone. Where
//! processes cannot be traced the test says so. `HARNESS_INJECTED_EACH=n` lets each of the calls of the table fail at its
//! n first occurrences; `scripts/injected` does the long version.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

mod support;
#[path = "support/trace.rs"]
mod trace;

use std::collections::BTreeMap;
use support::Site;

const FEATURES: [&str; 3] = ["a", "b", "c"];

/// A file or directory, calls on it, and how they fail.
const TABLE: &[(&str, &str, &str)] = &[
    (".harness/journal.jsonl", "write", "ENOSPC"),
    (".harness/journal.jsonl", "fdatasync", "EIO"),
    (".harness/journal.jsonl", "openat", "EMFILE"),
    (".harness/journal.jsonl", "fsync", "EIO"),
    (".harness/learnings.md", "write", "ENOSPC"),
    (".harness/learnings.md", "fsync", "EIO"),
    (".harness/learnings.md", "openat", "EACCES"),
    (".harness/a.log", "write", "EDQUOT"),
    (".harness/a.done", "link,linkat,renameat2,rename", "ENOSPC"),
    (".harness", "openat", "ENFILE"),
    (".harness/run.log", "write", "ENOSPC"),
    (".harness/lock", "openat", "EACCES"),
    (
        ".git/refs/harness/integration/main.lock",
        "openat",
        "ENOSPC",
    ),
    (".git/refs/harness/integration/main.lock", "write", "ENOSPC"),
    (".git/refs/harness/integration/main.lock", "rename", "EIO"),
    (".git/refs/heads/main.lock", "write", "ENOSPC"),
    (".git/index.lock", "openat", "ENOSPC"),
    (".git/refs/heads/harness/a.lock", "fsync", "EIO"),
];

#[test]
fn whatever_call_fails_once_the_next_run_lands_everything_once() {
    if !trace::can_trace() {
        eprintln!("SKIPPED: strace is missing, or processes cannot be traced here");
        return;
    }
    let each = std::env::var("HARNESS_INJECTED_EACH");
    let each: Option<usize> = each.ok().map(|text| text.parse().unwrap());
    let mut codes: BTreeMap<String, usize> = BTreeMap::new();
    for (number, (path, calls, error)) in TABLE.iter().enumerate() {
        // The usual short version: every sixth of the table, at one occurrence each.
        let times: Vec<usize> = match each {
            Some(each) => (1..=each).collect(),
            None if number % 6 == 0 => vec![2],
            None => Vec::new(),
        };
        for time in times {
            let outcome = fails_at(path, calls, error, time);
            println!("{calls} of {path} fails with {error}, occurrence {time}: {outcome}");
            *codes.entry(outcome).or_default() += 1;
        }
    }
    println!("{codes:?}");
}

/// One run in which that fails, and one in which nothing does. How the first ended.
fn fails_at(path: &str, calls: &str, error: &str, time: usize) -> String {
    let site = Site::new();
    site.shell_config("verify: {commands: ['test -f README']}");
    for slug in FEATURES {
        site.shell(
            slug,
            &format!("echo {slug} > {slug}.txt\necho 'lesson of {slug}' > \"$HARNESS_OUTBOX/learnings.md\"\n"),
        );
    }
    site.commit("specs");
    let file = site.repo.canonicalize().unwrap().join(path);
    let inject = format!("inject={calls}:error={error}:when={time}");
    let trace = format!("trace={calls}");
    let file = file.to_str().unwrap();
    let options = ["-f", "-qq", "-P", file, "-e", &trace, "-e", &inject, "-o"];
    let ran = site.traced(&options, &site.path("trace"), &["run", "--parallel", "2"]);
    let case = format!("{calls} of {path} with {error} at {time}");
    let code = ran
        .code
        .unwrap_or_else(|| panic!("{case}: it died: {}", ran.err));
    assert_ne!(code, 101, "{case}: it panicked: {}", ran.err);
    if code != 0 {
        let words = ran.err.to_lowercase();
        assert!(
            ["error", "cannot", "fatal"]
                .iter()
                .any(|word| words.contains(word)),
            "{case} ended with {code}, and nobody knows why: {}",
            ran.err
        );
    }
    let status = site.harness(&["status", "--json"]);
    assert_eq!(status.code, Some(0), "{case}: {}", status.err);
    let again = site.harness(&["run", "--parallel", "2"]);
    assert_eq!(again.code, Some(0), "{case}: {}{}", again.out, again.err);
    let mut landed = site.landed();
    landed.sort();
    assert_eq!(landed, FEATURES, "{case}");
    let learnings = site.read(".harness/learnings.md");
    for slug in FEATURES {
        let lesson = format!("lesson of {slug}");
        let times = learnings.matches(&lesson).count();
        assert_eq!(times, 1, "{case}: {learnings}");
    }
    assert_eq!(
        site.git(&["fsck", "--strict", "--no-dangling"]),
        "",
        "{case}"
    );
    site.assert_no_litter();
    match code {
        0 => "it went on over it".to_owned(),
        code => format!("it ended with {code}"),
    }
}
