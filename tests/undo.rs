//! `harness undo`: a landed feature goes with one commit, nothing else does, and it can be done again.

#![cfg(feature = "fake-agent")]

mod support;

use support::{Ran, Site, end};

/// Features that each write a file of their own, one after the other, landed.
fn landed(strategy: &str, slugs: &[(&str, &str)]) -> Site {
    let site = Site::new();
    site.config(&format!("merge: {{strategy: {strategy}}}"));
    for (slug, front) in slugs {
        site.spec(slug, front);
        site.script(
            slug,
            &format!(
                "write {slug}.txt \"by iteration ${{ITERATION}}\\n\"\nnote \"wrote the file asked for\"\ndone \"there\"\n"
            ),
        );
    }
    site.write("user.txt", "base\n");
    site.commit("specs");
    let ran = site.harness(&["run", "--parallel", "1"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    site
}

fn refused(ran: &Ran, words: &[&str]) {
    assert_eq!(ran.code, Some(2), "{}{}", ran.out, ran.err);
    for word in words {
        assert!(ran.err.contains(word), "{word}: {}", ran.err);
    }
}

/// Refs, files and markers.
fn everything(site: &Site) -> String {
    let refs = site.git(&["for-each-ref", "--format=%(refname) %(objectname)"]);
    // harness's own bookkeeping: of an undo that comes to nothing, the commit it would have been may stay pinned.
    let refs: Vec<&str> = refs
        .lines()
        .filter(|line| !line.contains("/candidates/") && !line.contains("/integration/"))
        .collect();
    let done = std::fs::read_dir(site.repo.join(".harness"));
    let done = done.into_iter().flatten().flatten();
    let mut done: Vec<_> = done.map(|entry| entry.file_name()).collect();
    done.sort();
    let status = site.git(&["status", "--porcelain"]);
    format!("{refs:?}\n{status}\n{done:?}\n{}", site.read("user.txt"))
}

#[test]
fn a_feature_goes_and_comes_back_and_nothing_else_moves() {
    for strategy in ["merge", "squash"] {
        let site = landed(strategy, &[("a", ""), ("b", "after: a")]);
        let before = site.git(&["rev-parse", "main"]);
        site.write("user.txt", "in the middle of it\n");
        let undone = site.harness(&["undo", "a", "-m", "the wrong colour"]);
        assert_eq!(undone.code, Some(0), "{}", undone.err);
        assert!(undone.out.contains("not verified"), "{}", undone.out);
        assert_eq!(site.git(&["rev-parse", "main~"]), before, "one commit");
        let own = site.git(&["diff", "--name-status", "main~", "main"]);
        assert_eq!(own.trim(), "D\ta.txt");
        assert!(!site.repo.join("a.txt").exists() && site.repo.join("b.txt").exists());
        assert_eq!(site.read("user.txt"), "in the middle of it\n");
        assert!(!site.repo.join(".harness/a.done").exists());
        let status = site.harness(&["status"]).out;
        assert!(status.contains("a person took it back"), "{status}");

        // It stays gone until it is asked for.
        refused(
            &site.harness(&["undo", "a"]),
            &["already been taken back", "harness retry a"],
        );
        let ran = site.harness(&["run"]);
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        assert!(!site.repo.join("a.txt").exists());
        site.harness(&["retry", "a"]);
        let ran = site.harness(&["run"]);
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        assert_eq!(site.read("a.txt"), "by iteration 2\n");
        let prompt = site.read(".harness/iterations/a/2/prompt.md");
        assert!(prompt.contains("The reason: the wrong colour"), "{prompt}");
        assert!(site.repo.join(".harness/a.done").exists());
        assert_eq!(site.read("user.txt"), "in the middle of it\n");
        site.git(&["checkout", "-q", "user.txt"]);
        site.assert_no_litter();
    }
}

#[test]
fn a_requeued_feature_is_done_again_at_once_and_who_depends_on_it_waits() {
    let site = landed("merge", &[("a", "")]);
    assert_eq!(site.harness(&["undo", "a", "--requeue"]).code, Some(0));
    site.spec("b", "depends_on: a");
    site.script(
        "b",
        "expect-file a.txt\nwrite b.txt x\nnote \"built upon the first one\"\ndone \"there\"\n",
    );
    site.commit("another");
    let ran = site.harness(&["run", "--parallel", "2"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(site.read("a.txt"), "by iteration 2\n");
    assert_eq!(site.read("b.txt"), "x");
}

#[test]
fn what_cannot_be_taken_back_is_refused_and_nothing_changes() {
    let site = landed(
        "merge",
        &[("a", ""), ("b", "depends_on: a"), ("c", "after: b")],
    );
    site.write("user.txt", "mine\n");
    let before = everything(&site);
    refused(
        &site.harness(&["undo", "a"]),
        &["needed by what is merged: b", "harness undo b"],
    );
    refused(&site.harness(&["undo", "nobody"]), &["nobody"]);
    assert_eq!(everything(&site), before);

    // Somebody built upon it by hand.
    site.git(&["stash", "-q"]);
    site.write("c.txt", "better\n");
    site.commit("improve what c did");
    site.git(&["stash", "pop", "-q"]);
    let before = everything(&site);
    let ran = site.harness(&["undo", "c"]);
    refused(&ran, &["c.txt", "improve what c did", "git revert -m 1 "]);
    assert_eq!(everything(&site), before);

    // The checkout is in the way.
    site.write("b.txt", "the user is in the middle of it\n");
    let before = everything(&site);
    refused(
        &site.harness(&["undo", "b"]),
        &["nothing was changed", "b.txt"],
    );
    assert_eq!(everything(&site), before);
    site.git(&["checkout", "-q", "b.txt"]);
    assert_eq!(site.harness(&["undo", "b"]).code, Some(0));
    assert_eq!(site.harness(&["undo", "a"]).code, Some(0));
    assert!(!site.repo.join("a.txt").exists() && !site.repo.join("b.txt").exists());
    refused(&site.harness(&["undo", "b"]), &["already been taken back"]);
}

#[test]
fn cut_off_between_git_and_the_journal_it_is_said_again() {
    let site = landed("merge", &[("a", "")]);
    let journal = site.repo.join(".harness/journal.jsonl");
    let before = std::fs::read(&journal).unwrap();
    assert_eq!(site.harness(&["undo", "a"]).code, Some(0));
    let main = site.git(&["rev-parse", "main"]);
    std::fs::write(&journal, before).unwrap();
    let again = site.harness(&["undo", "a", "--requeue"]);
    assert_eq!(again.code, Some(0), "{}", again.err);
    assert!(
        again.out.contains("nothing of a was left in main"),
        "{}",
        again.out
    );
    assert_eq!(site.git(&["rev-parse", "main"]), main);
    assert_eq!(site.harness(&["run"]).code, Some(0));
    assert_eq!(site.read("a.txt"), "by iteration 2\n");
}

#[test]
fn while_a_run_lives_it_is_refused() {
    let site = landed("merge", &[("a", "")]);
    let (begun, go) = (site.path("begun"), site.path("go"));
    site.spec("b", "");
    site.script(
        "b",
        &format!("touch {begun:?}\nwait-for {go:?}\nwrite b.txt x\nnote \"waited and wrote\"\ndone \"there\"\n"),
    );
    site.commit("another");
    let run = site.start(&["run"]);
    site.await_file(&begun);
    let ran = site.harness(&["undo", "a"]);
    std::fs::write(&go, "").unwrap();
    assert_eq!(end(run).code, Some(0));
    assert!(
        ran.code != Some(0) && ran.err.contains("run"),
        "{}",
        ran.err
    );
    assert!(site.repo.join("a.txt").exists());
}

#[test]
fn what_had_landed_and_waited_goes_along() {
    let site = Site::new();
    site.config("merge: {publish: manual}");
    for slug in ["a", "b"] {
        site.spec(slug, "");
        site.script(
            slug,
            &format!("write {slug}.txt x\nnote \"wrote the file asked for\"\ndone \"there\"\n"),
        );
    }
    site.commit("specs");
    let ran = site.harness(&["run"]);
    assert!(!site.repo.join("b.txt").exists(), "{}", ran.err);
    let undone = site.harness(&["undo", "a"]);
    assert_eq!(undone.code, Some(0), "{}", undone.err);
    assert!(!site.repo.join("a.txt").exists() && site.repo.join("b.txt").exists());
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(site.repo.join(".harness/b.done").exists());
    assert!(!site.repo.join(".harness/a.done").exists());
}
