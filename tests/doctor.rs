//! `harness doctor` on a place that has something wrong with it, and beside a run that lives.

#![cfg(feature = "fake-agent")]

mod support;

use std::fs;
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
    let site = Site::new();
    site.shell_config("");
    site.shell("a", "echo a > a.txt");
    site.commit("specs");
    let healthy = site.harness(&["doctor"]);
    assert_eq!(
        (healthy.code, healthy.out.as_str()),
        (Some(0), "16 checks: nothing is wrong\n")
    );
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
