//! A journal that is damaged, emptied or gone: every command says where, what is still there and the way on, changes
//! nothing by itself, and the way on loses no work and lands nothing twice.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;
use support::{Ran, Site};

/// Two features that land, and a third that is blocked, or lands as well, after its first half.
fn worked(is_blocked: bool) -> Site {
    let site = Site::new();
    site.shell_config("verify: {commands: ['test ! -e red']}");
    for slug in ["a", "b"] {
        site.shell(slug, &format!("echo {slug} > {slug}.txt\n"));
    }
    let second = match is_blocked {
        true => "echo 'which one?' > \"$HARNESS_OUTBOX/blocked\"; exit 0",
        false => "exit 0",
    };
    site.shell(
        "c",
        &format!("[ -e c.half ] || {{ echo half > c.half; {second}; }}\necho c > c.txt\n"),
    );
    site.commit("specs");
    let ran = site.harness(&["run", "--parallel", "2"]);
    let code = if is_blocked { 4 } else { 0 };
    assert_eq!(ran.code, Some(code), "{}{}", ran.out, ran.err);
    site
}

fn journal(repo: &Path) -> std::path::PathBuf {
    repo.join(".harness/journal.jsonl")
}

/// Refs and the state directory's files.
fn everything(site: &Site) -> String {
    let refs = site.git(&["for-each-ref", "--format=%(refname) %(objectname)"]);
    let mut files = Vec::new();
    for entry in fs::read_dir(site.repo.join(".harness")).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap_or_default();
        files.push(format!("{} {bytes:?}", path.display()));
    }
    files.sort();
    refs + &files.join("\n")
}

fn assert_refused(ran: &Ran, args: &[&str], words: &[&str]) {
    assert_eq!(ran.code, Some(10), "{args:?}: {}{}", ran.out, ran.err);
    for word in words {
        assert!(ran.err.contains(word), "{args:?}: {word} in {}", ran.err);
    }
    let lines = ran.err.lines().filter(|line| line.starts_with("error"));
    assert_eq!(lines.count(), 1, "{args:?}: {}", ran.err);
}

const COMMANDS: [&[&str]; 8] = [
    &["run"],
    &["status"],
    &["status", "--json"],
    &["recover", "c"],
    &["queue"],
    &["undo", "a"],
    &["unblock", "c", "-m", "the first"],
    &["retry", "c"],
];

#[test]
fn every_command_says_where_the_damage_is_and_the_way_on() {
    let site = worked(true);
    let path = journal(&site.repo);
    let whole = fs::read(&path).unwrap();
    let lines: Vec<&[u8]> = whole.split_inclusive(|byte| *byte == b'\n').collect();
    // In the middle, and in the last line, which is as whole as any.
    for line in [lines.len() / 2, lines.len()] {
        let mut bytes = whole.clone();
        let at: usize = lines[..line - 1].iter().map(|line| line.len()).sum();
        bytes[at + 30] ^= 1;
        fs::write(&path, &bytes).unwrap();
        let before = everything(&site);
        for args in COMMANDS {
            let ran = site.harness(args);
            let place = format!("journal.jsonl:{line}: ");
            let words = [
                &place,
                "harness/<feature>",
                "refs/harness/iterations/",
                "harness recover --journal",
            ];
            assert_refused(&ran, args, &words);
            // Whoever was there left an empty lock file at most.
            assert_eq!(everything(&site), before, "{args:?}");
        }
    }
    let mended = site.harness(&["recover", "--journal"]);
    assert_eq!(mended.code, Some(0), "{}", mended.err);
    let kept = format!("{} records kept", lines.len() - 1);
    assert!(mended.out.contains(&kept), "{}", mended.out);
    assert!(
        mended.out.contains("journal.jsonl.damaged-1"),
        "{}",
        mended.out
    );
    let again = site.harness(&["recover", "--journal"]);
    assert!(again.out.contains("not damaged"), "{}", again.out);
    let status = site.harness(&["status"]);
    assert_eq!(status.code, Some(0), "{}", status.err);
}

#[test]
fn from_whatever_record_is_kept_the_way_on_lands_nothing_twice_and_loses_nothing() {
    let site = worked(false);
    let whole = fs::read(journal(&site.repo)).unwrap();
    let lines: Vec<&[u8]> = whole.split_inclusive(|byte| *byte == b'\n').collect();
    let landed = site.landed();
    assert_eq!(landed.len(), 3);
    let kept = site.git(&[
        "for-each-ref",
        "--format=%(objectname)",
        "refs/harness/iterations",
    ]);
    for line in (1..=lines.len()).step_by(4) {
        let copy = site.path(&format!("copy-{line}"));
        let status = Command::new("cp")
            .arg("-a")
            .arg(&site.repo)
            .arg(&copy)
            .status();
        assert!(status.unwrap().success());
        let mut bytes = whole.clone();
        let at: usize = lines[..line - 1].iter().map(|line| line.len()).sum();
        bytes[at + 5] ^= 4;
        fs::write(journal(&copy), &bytes).unwrap();
        let mended = site.harness_in(&copy, &["recover", "--journal"]);
        assert_eq!(mended.code, Some(0), "line {line}: {}", mended.err);
        let aside = fs::read(copy.join(".harness/journal.jsonl.damaged-1")).unwrap();
        assert_eq!(aside, bytes);
        let ran = site.harness_in(&copy, &["run", "--parallel", "2"]);
        assert_eq!(ran.code, Some(0), "line {line}: {}{}", ran.out, ran.err);
        let git = |args: &[&str]| {
            let place = ["-C", copy.to_str().unwrap()];
            site.git(&[&place, args].concat())
        };
        let format = "--format=%(trailers:key=Harness-Feature,valueonly,separator=)";
        let log = git(&["log", "--first-parent", "--reverse", format, "main"]);
        let now: Vec<&str> = log.lines().filter(|line| !line.is_empty()).collect();
        assert_eq!(now, landed, "from line {line} on");
        for commit in kept.lines() {
            let holders = git(&["for-each-ref", "--contains", commit, "--format=%(refname)"]);
            assert!(
                !holders.is_empty(),
                "line {line}: {commit} is held by nothing"
            );
        }
        let status = site.harness_in(&copy, &["status", "--json"]);
        let status: serde_json::Value = serde_json::from_str(&status.out).unwrap();
        assert_eq!(status["counts"]["merged"], 3, "line {line}: {}", ran.out);
    }
}

#[test]
fn an_emptied_journal_is_not_taken_for_a_new_one() {
    let site = worked(true);
    let path = journal(&site.repo);
    let whole = fs::read(&path).unwrap();
    // Emptied, and with nothing but a torn line: that would be cut off, and then it were empty.
    for bytes in [&b""[..], &whole[..40]] {
        fs::write(&path, bytes).unwrap();
        let before = everything(&site);
        for args in COMMANDS {
            let ran = site.harness(args);
            let words = [
                "journal.jsonl:1: it holds no record",
                "harness recover --journal",
            ];
            assert_refused(&ran, args, &words);
            assert_eq!(everything(&site), before, "{args:?}");
        }
    }
    let mended = site.harness(&["recover", "--journal"]);
    assert_eq!(mended.code, Some(0), "{}", mended.err);
    assert!(!path.exists(), "an empty one would be refused again");
    go_on_without(&site);
}

#[test]
fn without_its_journal_a_run_says_so_and_takes_up_the_branches() {
    let site = worked(true);
    fs::remove_file(journal(&site.repo)).unwrap();
    let status = site.harness(&["status"]);
    assert_eq!(status.code, Some(0), "{}", status.err);
    assert!(status.err.contains("there is no journal"), "{}", status.err);
    go_on_without(&site);
}

/// The blocked feature is worked on from where its branch stands; what landed stays landed.
fn go_on_without(site: &Site) {
    let half = site.git(&["rev-parse", "harness/c"]);
    let landed = site.landed();
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    assert!(ran.err.contains("there is no journal"), "{}", ran.err);
    assert_eq!(site.read("c.half"), "half\n");
    site.git(&["merge-base", "--is-ancestor", half.trim(), "main"]);
    let now = site.landed();
    assert_eq!(now[..landed.len()], landed, "what had landed stays");
    assert_eq!(now[landed.len()..], ["c"]);
}

#[test]
fn a_run_that_was_killed_before_its_first_record_is_no_damage() {
    let site = Site::new();
    site.shell_config("");
    site.shell("a", "echo a > a.txt\n");
    site.commit("specs");
    fs::create_dir_all(site.repo.join(".harness")).unwrap();
    fs::write(journal(&site.repo), "").unwrap();
    site.git(&["update-ref", "refs/harness/integration/main", "HEAD"]);
    assert_eq!(site.harness(&["status"]).code, Some(0));
    assert_eq!(site.harness(&["run"]).code, Some(0));
}
