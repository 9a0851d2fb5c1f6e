//! What a person does with the target between two runs, while work that has landed waits to be published: theirs
//! stands, and what landed comes on top of it, or is asked for again, but is never lost.

#![cfg(feature = "fake-agent")]

mod support;

use support::{Ran, Site, end};

/// What the person makes of `shared.txt`.
const HERS: &str = "mine\n2\n3\n4\n5\n6\n7\n";

/// `a`, then `b` have landed and wait for `shared.txt`, which the person edits. Whoever is called again has a
/// conflict in it.
fn waiting() -> Site {
    let site = Site::new();
    site.shell_config("target: main\nverify: {commands: ['true']}");
    site.write("shared.txt", "1\n2\n3\n4\n5\n6\n7\n");
    site.write("secret.txt", "base\n");
    site.shell(
        "a",
        "if [ -e .git/MERGE_HEAD ] || grep -q '<<<<<<<' shared.txt; then\n\
         printf 'mine\\na\\n2\\n3\\n4\\n5\\n6\\n7\\n' > shared.txt; git add shared.txt\n\
         else sed -i s/^1$/a/ shared.txt; echo a > a.txt; fi",
    );
    site.shell("b", "echo b > b.txt");
    site.spec("b", "depends_on: a");
    site.commit("specs");
    site.write("secret.txt", "secret\n");
    site.commit("secret");
    site.write("shared.txt", HERS);
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(8), "{}", ran.err);
    assert!(ran.out.contains("not in main yet: a, b"), "{}", ran.out);
    site
}

fn lands(site: &Site, args: &[&str]) -> Ran {
    let ran = site.harness(args);
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    site.git(&["fsck", "--strict", "--no-dangling"]);
    ran
}

fn calls(site: &Site) -> usize {
    let events = site.journal().into_iter();
    let calls = events.filter(|event| event["event"] == "iteration_started");
    calls.count()
}

/// Both are in `main`, and nobody was called again.
fn both_are_there(site: &Site) {
    assert_eq!(site.git(&["show", "main:a.txt"]), "a\n");
    assert_eq!(site.git(&["show", "main:b.txt"]), "b\n");
    assert_eq!(calls(site), 2);
}

#[test]
fn commits_of_hers_are_merged_with_what_waits() {
    let site = waiting();
    site.git(&["checkout", "-q", "shared.txt"]);
    site.write("hers.txt", "hers\n");
    site.commit("hers");
    lands(&site, &["run"]);
    both_are_there(&site);
    assert_eq!(site.read("hers.txt"), "hers\n");
    site.assert_no_litter();

    // In conflict: hers stands, and the feature's agent brings both together.
    let site = waiting();
    site.git(&["commit", "-q", "-a", "-m", "mine"]);
    lands(&site, &["run"]);
    assert_eq!(site.read("shared.txt"), "mine\na\n2\n3\n4\n5\n6\n7\n");
    assert_eq!(site.read("b.txt"), "b\n");
    assert_eq!(calls(&site), 3);
    site.assert_no_litter();
}

/// A commit that a person took out of the target is in what has landed upon it, and must not come back by itself:
/// not in the next run, and not in the one after that.
#[test]
fn what_was_taken_out_of_the_history_does_not_come_back_by_itself() {
    for amend in [false, true] {
        let site = waiting();
        site.git(&["checkout", "-q", "shared.txt"]);
        let act: &[&str] = match amend {
            true => &[
                "commit",
                "-q",
                "--amend",
                "--allow-empty",
                "-m",
                "without it",
            ],
            false => &["reset", "-q", "--hard", "main~1"],
        };
        if amend {
            site.write("secret.txt", "base\n");
            site.git(&["add", "-A"]);
        }
        site.git(act);
        let stands = site.git(&["rev-parse", "main"]);
        for _ in 0..3 {
            let ran = site.harness(&["run"]);
            assert_eq!(ran.code, Some(8), "{}", ran.err);
            let shown = site.harness(&["status"]).out;
            assert!(
                shown.contains("the target's history was rewritten"),
                "{shown}"
            );
            assert_eq!(site.git(&["rev-parse", "main"]), stands);
        }
        // Others land meanwhile, and wait with them; then she takes all of it after all.
        site.shell("c", "echo c > c.txt");
        let ran = site.harness(&["run"]);
        assert_eq!(ran.code, Some(8), "{}", ran.err);
        assert!(ran.out.contains("not in main yet: a, b, c"), "{}", ran.out);
        site.git(&["stash", "push", "-q", "--include-untracked"]);
        site.git(&["merge", "-q", "--no-edit", "refs/harness/integration/main"]);
        site.git(&["stash", "pop", "-q"]);
        lands(&site, &["run"]);
        assert_eq!(site.git(&["show", "main:c.txt"]), "c\n");
    }
}

/// The same within one run: `a` waits to be published while `b` is at work.
#[test]
fn nor_does_it_within_the_run() {
    let site = Site::new();
    site.shell_config("verify: {commands: ['true']}");
    site.write("shared.txt", "base\n");
    let go = site.path("go").display().to_string();
    site.shell("a", "echo a > shared.txt");
    let wait = format!("while [ ! -e '{go}' ]; do sleep 0.01; done; echo b > b.txt");
    site.shell("b", &wait);
    site.commit("specs");
    site.write("secret.txt", "secret\n");
    site.commit("secret");
    site.write("shared.txt", "mine\n");
    let run = site.start(&["run", "--parallel", "2"]);
    site.await_journal("publish_waits");
    site.git(&["reset", "-q", "--hard", "main~1"]);
    std::fs::write(&go, "").unwrap_or_default();
    let ran = end(run);
    assert_eq!(ran.code, Some(8), "{}", ran.err);
    assert!(
        ran.out.contains("the target's history was rewritten"),
        "{}",
        ran.out
    );
    assert!(!site.repo.join("secret.txt").exists());
    assert_eq!(site.read("shared.txt"), "base\n");
}

#[test]
fn what_is_dropped_is_done_again() {
    let site = waiting();
    site.git(&["reset", "-q", "--hard", "main~1"]);
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(8), "{}", ran.err);
    assert_eq!(site.harness(&["clean", "--force"]).code, Some(0));
    let ran = lands(&site, &["run"]);
    assert!(
        ran.err.contains("begins anew: its branch is gone"),
        "{}",
        ran.err
    );
    assert!(!ran.err.contains("they count as merged"), "{}", ran.err);
    assert_eq!(calls(&site), 4);
    assert_eq!(site.read("secret.txt"), "base\n");
    assert_eq!(
        (site.read("a.txt"), site.read("b.txt")),
        ("a\n".into(), "b\n".into())
    );
    site.assert_no_litter();
}

#[test]
fn a_target_that_left_the_checkout_is_published_beside_it() {
    let site = waiting();
    site.git(&["checkout", "-q", "-b", "mine"]);
    lands(&site, &["run"]);
    both_are_there(&site);
    assert_eq!(site.read("shared.txt"), HERS);
    assert!(!site.repo.join("a.txt").exists());
}

#[test]
fn a_target_that_is_gone_is_told_with_where_the_work_is() {
    let site = waiting();
    site.git(&["checkout", "-q", "--detach"]);
    site.git(&["branch", "-q", "-D", "main"]);
    let tip = site.git(&["rev-parse", "refs/harness/integration/main"]);
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    let remedy = format!("git branch main {}", tip.trim());
    assert!(ran.err.contains(&remedy), "{}", ran.err);
    site.git(&["branch", "main", tip.trim()]);
    lands(&site, &["run"]);
    both_are_there(&site);
    assert_eq!(site.read("shared.txt"), HERS);

    let site = waiting();
    site.git(&["checkout", "-q", "shared.txt"]);
    site.git(&["branch", "-q", "-m", "main", "trunk"]);
    let ran = site.harness(&["run", "--target", "trunk"]);
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    let remedy = "merge refs/harness/integration/main into `trunk` first";
    assert!(ran.err.contains(remedy), "{}", ran.err);
    site.git(&["merge", "-q", "--ff-only", "refs/harness/integration/main"]);
    lands(&site, &["run", "--target", "trunk"]);
    assert_eq!(site.read("b.txt"), "b\n");
}

#[test]
fn refs_of_ours_that_are_removed_are_made_again() {
    let site = waiting();
    site.git(&["checkout", "-q", "shared.txt"]);
    site.git(&["update-ref", "-d", "refs/harness/integration/main"]);
    lands(&site, &["run"]);
    both_are_there(&site);
    site.assert_no_litter();
}
