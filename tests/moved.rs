//! A person moves, switches, renames or deletes the target while a run goes on: what they did stands, what landed is
//! not lost, and the run goes on beside it.

#![cfg(feature = "fake-agent")]

mod support;

use support::{Ran, Site, end};

/// `a` lands and is published; then, with `b` at work on what was there before, the person acts; then `b` claims.
fn meanwhile(act: impl FnOnce(&Site)) -> (Site, Ran) {
    let site = Site::new();
    let (begun, go) = (site.path("begun"), site.path("go"));
    site.shell_config("target: main\nverify: {commands: ['true']}");
    let wait = format!("while [ ! -e '{}' ]; do sleep 0.01; done;", begun.display());
    site.shell("a", &format!("{wait} echo a > a.txt"));
    site.shell(
        "b",
        &format!(
            "touch '{}'; while [ ! -e '{}' ]; do sleep 0.01; done; echo b > b.txt",
            begun.display(),
            go.display()
        ),
    );
    site.commit("specs");
    let run = site.start(&["run", "--parallel", "2"]);
    site.await_that("a is published", || {
        site.repo.join(".harness/a.done").exists()
    });
    act(&site);
    std::fs::write(&go, "").unwrap_or_default();
    let ran = end(run);
    site.git(&["fsck", "--strict", "--no-dangling"]);
    (site, ran)
}

fn lands(ran: &Ran) {
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
}

#[test]
fn an_amended_commit_is_built_upon() {
    let (site, ran) = meanwhile(|site| {
        site.write("mine.txt", "mine\n");
        site.git(&["add", "mine.txt"]);
        site.git(&["commit", "-q", "--amend", "-m", "in my own words"]);
    });
    lands(&ran);
    for (file, text) in [("a.txt", "a\n"), ("b.txt", "b\n"), ("mine.txt", "mine\n")] {
        assert_eq!(site.read(file), text);
    }
    let log = site.git(&["log", "--first-parent", "--format=%s", "-2"]);
    assert!(log.ends_with("in my own words\n"), "{log}");
    site.assert_no_litter();
}

#[test]
fn a_target_that_was_rebased_or_set_back_stays_so() {
    for replace in [false, true] {
        let (site, ran) = meanwhile(|site| {
            site.git(&["reset", "-q", "--hard", "main~1"]);
            if replace {
                site.write("mine.txt", "mine\n");
                site.commit("instead of it");
            }
        });
        lands(&ran);
        assert_eq!(site.read("b.txt"), "b\n");
        assert!(!site.repo.join("a.txt").exists(), "the person took it out");
        assert_eq!(site.repo.join("mine.txt").exists(), replace);
        // What it had been is kept.
        let old = site.git(&["for-each-ref", "--format=%(refname)", "refs/harness/old/"]);
        let has_a = |name: &str| !site.git(&["ls-tree", name, "a.txt"]).is_empty();
        assert!(old.lines().any(has_a), "{old}");
        let ran = site.harness(&["run"]);
        assert!(ran.err.contains("no longer holds"), "{}", ran.err);
    }
}

#[test]
fn whoever_switches_branches_is_left_alone() {
    for detach in [false, true] {
        let (site, ran) = meanwhile(|site| {
            let how = if detach { "--detach" } else { "-bmine" };
            site.git(&["checkout", "-q", how]);
            site.write("a.txt", "in the middle of it\n");
        });
        lands(&ran);
        assert!(!site.repo.join("b.txt").exists());
        assert_eq!(site.read("a.txt"), "in the middle of it\n");
        assert_eq!(site.git(&["show", "main:b.txt"]), "b\n");
        assert_eq!(site.git(&["status", "--porcelain"]), " M a.txt\n");
    }
}

#[test]
fn a_target_that_is_gone_is_waited_for() {
    for rename in [false, true] {
        let (site, ran) = meanwhile(|site| {
            if rename {
                site.git(&["branch", "-m", "main", "trunk"]);
            } else {
                site.git(&["checkout", "-q", "--detach"]);
                site.git(&["branch", "-q", "-D", "main"]);
            }
        });
        assert_eq!(ran.code, Some(8), "{}", ran.err);
        let told = format!("{}{}", ran.out, ran.err);
        assert!(
            told.contains("the branch `main` is gone; `git branch main "),
            "{told}"
        );
        let again = site.harness(&["run"]);
        assert_eq!(again.code, Some(2), "{}", again.err);
        assert!(again.err.contains("main"), "{}", again.err);
        site.git(&["branch", "main", "HEAD"]);
        site.git(&["checkout", "-q", "main"]);
        lands(&site.harness(&["run"]));
        assert_eq!(site.read("b.txt"), "b\n");
    }
}

#[test]
fn the_checkout_that_has_the_target_follows_wherever_it_is() {
    let (site, ran) = meanwhile(|site| {
        site.git(&["checkout", "-q", "-b", "mine"]);
        site.git(&["worktree", "add", "-q", "../other", "main"]);
    });
    lands(&ran);
    let other = |name: &str| std::fs::read_to_string(site.path("other").join(name)).ok();
    assert_eq!(other("b.txt").as_deref(), Some("b\n"));
    assert!(!site.repo.join("b.txt").exists());
    assert_eq!(site.git(&["-C", "../other", "status", "--porcelain"]), "");

    let (site, ran) = meanwhile(|site| {
        site.git(&["worktree", "add", "-q", "-f", "../other", "main"]);
    });
    assert_eq!(ran.code, Some(8), "{}", ran.err);
    assert!(ran.out.contains("checked out twice"), "{}", ran.out);
    assert_eq!(site.git(&["status", "--porcelain"]), "");
    site.git(&["worktree", "remove", "../other"]);
    lands(&site.harness(&["run"]));
    assert_eq!(site.read("b.txt"), "b\n");
}

#[test]
fn a_run_begins_only_where_there_is_something_to_land_on() {
    let refused = |site: &Site, args: &[&str], words: &str| {
        let ran = site.harness(args);
        assert_eq!(ran.code, Some(2), "{}{}", ran.out, ran.err);
        assert!(ran.err.contains(words), "{words}: {}", ran.err);
        assert!(!site.repo.join(".harness/journal.jsonl").exists());
    };
    let site = Site::new();
    site.shell_config("");
    site.shell("a", "echo a > a.txt");
    site.commit("specs");
    site.git(&["checkout", "-q", "--detach"]);
    refused(&site, &["run"], "`target:`");
    refused(&site, &["run", "--target", "mian"], "main");
    lands(&site.harness(&["run", "--target", "main"]));
    assert!(!site.repo.join("a.txt").exists());
    assert_eq!(site.git(&["show", "main:a.txt"]), "a\n");

    let site = Site::bare_dir();
    refused(&site, &["run"], "git init");
    site.git(&["init", "-q", "-b", "main", "."]);
    site.shell_config("");
    site.shell("a", "echo a > a.txt");
    refused(&site, &["run"], "commit");

    let site = Site::new();
    site.git(&["clone", "-q", "--bare", ".", "../bare"]);
    let ran = site.harness_in(&site.path("bare"), &["run"]);
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    assert!(ran.err.contains("bare"), "{}", ran.err);
}
