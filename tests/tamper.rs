//! Agents that reach into what is not theirs: the repository's settings, others' refs, the user's checkout. What is
//! certain trips the one who did it, what only harness writes is put back, a person's files stay as they are, and the
//! neighbour lands in every case.

#![cfg(feature = "fake-agent")]

mod support;

use std::path::PathBuf;
use support::{Ran, Site};

/// A feature `bad` that does this in its first iteration and nothing of it later, and its neighbour `good`.
fn with(script: &str) -> Site {
    let site = Site::new();
    site.shell_config("");
    site.write("a.txt", "one\ntwo\n");
    site.write("b.txt", "b\n");
    site.write("sub/c.bin", "\u{0}\u{1}binary\n");
    site.shell(
        "bad",
        &format!(
            "main='{}'\nif [ \"$HARNESS_ITERATION\" = 1 ]; then\n{script}\nfi\necho bad > bad.txt",
            site.repo.display()
        ),
    );
    site.shell("good", "echo good > good.txt");
    site.commit("specs");
    site
}

/// One after the other, `bad` first.
fn alone(site: &Site) -> Ran {
    let ran = site.harness(&["run", "--parallel", "1"]);
    assert_eq!(
        site.git(&["show", "main:good.txt"]),
        "good\n",
        "{}",
        ran.err
    );
    ran
}

fn trips(ran: &Ran, words: &[&str]) {
    assert_eq!(ran.code, Some(5), "{}", ran.err);
    let line = ran
        .err
        .lines()
        .find(|line| line.contains("breaker tampered tripped: "));
    let line = line.unwrap_or_else(|| panic!("{}", ran.err));
    assert!(line.contains(" bad "), "{line}");
    for words in words {
        assert!(line.contains(words), "{words}: {line}");
    }
    assert!(
        ran.out.contains("tampered: while no other agent ran, "),
        "{}",
        ran.out
    );
}

fn goes_on(site: &Site) {
    let ran = site.harness(&["retry", "bad"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(site.git(&["show", "main:bad.txt"]), "bad\n");
}

fn patch(site: &Site) -> PathBuf {
    site.repo.join(".harness/iterations/bad/1/checkout.patch")
}

#[test]
fn who_plants_something_that_git_runs_trips_if_nobody_else_was_there() {
    let site = with(
        "printf '#!/bin/sh\\n' > \"$main/.git/hooks/pre-push\"; git config filter.x.clean evil; git config user.name Eve",
    );
    let ran = alone(&site);
    trips(&ran, &["the hook pre-push", "the setting filter.x.clean"]);
    assert!(
        !ran.err.contains("the setting filter.x.clean; harness"),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("while bad #1 ran, something changed in the repository that git obeys: the setting user.name;"));
    assert_eq!(
        site.git(&["ls-tree", "main", "bad.txt"]),
        "",
        "its claim does not count"
    );
    assert!(
        site.read(".harness/bad.log")
            .contains("harness found that while no other agent ran, ")
    );
    let status = site.harness(&["status"]);
    assert!(status.out.contains("the hook pre-push"), "{}", status.out);
    goes_on(&site);
}

#[test]
fn what_a_person_sets_as_well_trips_nobody() {
    let site = with(
        "git config user.name Eve; git config branch.main.remote origin; echo x >> \"$main/.git/info/exclude\"",
    );
    let ran = alone(&site);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    for part in [
        "the setting user.name",
        "the setting branch.main.remote",
        "the file info/exclude",
    ] {
        assert!(ran.err.contains(part), "{part}: {}", ran.err);
    }
}

#[test]
fn of_two_who_ran_at_once_nobody_is_accused() {
    let site = with("");
    let (began, planted) = (site.path("began"), site.path("planted"));
    let wait = |file: &PathBuf| format!("while [ ! -e '{}' ]; do sleep 0.01; done", file.display());
    site.shell(
        "bad",
        &format!(
            "{}; git config core.editor evil; echo x > '{}/b.txt'; echo \"{0}/b.txt\"; touch '{}'; echo bad > bad.txt",
            wait(&began),
            site.repo.display(),
            planted.display()
        ),
    );
    site.shell(
        "good",
        &format!(
            "touch '{}'; {}; echo good > good.txt",
            began.display(),
            wait(&planted)
        ),
    );
    let ran = site.harness(&["run", "--parallel", "2"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(site.read("bad.txt"), "bad\n");
    let told = "while bad #1, good #1 ran, something changed in the repository that git obeys: the setting core.editor;";
    assert!(ran.err.contains(told), "{}", ran.err);
    assert!(
        ran.err
            .contains("while bad #1, good #1 ran, files in your checkout changed: b.txt;"),
        "{}",
        ran.err
    );
    assert_eq!(site.read("b.txt"), "x\n");
}

#[test]
fn commands_of_the_project_may_have_done_it_too_but_have_not_said_what_the_agent_said() {
    let site = with("");
    let (gating, edited) = (site.path("gating"), site.path("edited"));
    let wait = |file: &PathBuf| format!("while [ ! -e '{}' ]; do sleep 0.01; done", file.display());
    let check = format!("touch '{}'; {}", gating.display(), wait(&edited));
    site.shell_config(&format!("verify: {{commands: [\"{check}\"]}}"));
    let repo = site.repo.display();
    site.shell(
        "bad",
        &format!(
            "{}; git config core.editor evil; echo x > '{repo}/b.txt'; echo '{repo}/b.txt'; touch '{}'",
            wait(&gating),
            edited.display()
        ),
    );
    site.git(&["add", "-A"]);
    site.git(&["commit", "-q", "-m", "a gate"]);
    let ran = alone(&site);
    trips(
        &ran,
        &["it changed files in your checkout: b.txt (put back; "],
    );
    let told = "while bad #1, the checks of the base ran, something changed in the repository that git obeys: the \
                setting core.editor;";
    assert!(ran.err.contains(told), "{}", ran.err);
}

#[test]
fn refs_of_others_are_put_back_and_who_moved_them_trips() {
    let site = with(
        "evil=$(git commit-tree -p main -m evil HEAD^{tree})\n\
         git update-ref refs/heads/harness/idle $evil\n\
         git update-ref -d refs/harness/iterations/idle/1\n\
         git update-ref refs/harness/integration/main $evil",
    );
    site.shell(
        "idle",
        "echo \"$HARNESS_ITERATION\" >> idle.txt; [ \"$HARNESS_ITERATION\" = 2 ]",
    );
    site.commit("specs");
    let ran = site.harness(&["run", "--only", "idle", "--max-iterations", "1"]);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    let refs = ["refs/heads/harness/idle", "refs/harness/iterations/idle/1"];
    let before = refs.map(|name| site.git(&["rev-parse", name]));
    let ran = site.harness(&["run", "--parallel", "1", "--only", "bad,good"]);
    trips(
        &ran,
        &[
            "harness/idle was moved, and is back at",
            "refs/harness/iterations/idle/1 was deleted, and is back at",
            "refs/harness/integration/main was moved, and is back at",
            "is kept as refs/harness/lost/idle-",
        ],
    );
    assert_eq!(refs.map(|name| site.git(&["rev-parse", name])), before);
    let log = site.git(&["log", "--format=%s", "main"]);
    assert!(log.contains("good") && !log.contains("evil"), "{log}");
    let ran = site.harness(&["run", "--only", "idle"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(site.read("idle.txt"), "1\n2\n");
    goes_on(&site);
}

#[test]
fn an_agent_may_do_with_its_own_branch_what_it_likes() {
    let site = with(
        "echo x > x.txt; git add x.txt; git commit -qm own; git reset -q --hard HEAD~1; git commit -q --allow-empty -m again\n\
         git checkout -q -b elsewhere; git branch -q side; git tag mine; git checkout -q harness/bad",
    );
    let ran = alone(&site);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(!ran.err.contains("while bad #1 ran"), "{}", ran.err);
    assert_eq!(site.read("bad.txt"), "bad\n");
}

#[test]
fn the_users_own_refs_are_told_of_and_left_alone() {
    let site = with(
        "git branch -q -f release HEAD~1; git tag -d v1; git -C \"$main\" checkout -q -b away",
    );
    site.git(&["branch", "release"]);
    site.git(&["tag", "v1"]);
    let [old, at] = ["release~1", "v1"].map(|name| site.git(&["rev-parse", name]));
    let ran = alone(&site);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    for part in [
        "while bad #1 ran, release was moved from ",
        &format!("refs/tags/v1 was deleted; it stood at {}", at.trim()),
        "your checkout was switched to away",
    ] {
        assert!(ran.err.contains(part), "{part}: {}", ran.err);
    }
    assert_eq!(site.git(&["rev-parse", "release"]), old);
}

#[test]
fn what_an_agent_changes_in_the_users_checkout_is_put_back_and_kept() {
    let site = with(
        "echo three >> \"$main/a.txt\"; rm \"$main/b.txt\"; printf '\\001\\000x' > \"$main/sub/c.bin\"\n\
         mkdir -p \"$main/new/dir\"; echo new > \"$main/new/dir/n.txt\"\n\
         for file in a.txt b.txt sub/c.bin new/dir/n.txt; do echo \"edited $main/$file\"; done",
    );
    let ran = alone(&site);
    trips(
        &ran,
        &[
            "it changed files in your checkout: a.txt, b.txt, new/dir/n.txt, sub/c.bin (put back; git -C ",
        ],
    );
    assert_eq!(site.git(&["status", "--porcelain"]), "");
    assert_eq!(site.read("a.txt"), "one\ntwo\n");
    assert!(!site.repo.join("new/dir/n.txt").exists());
    // The neighbour landed in the very checkout.
    assert_eq!(site.read("good.txt"), "good\n");
    site.git(&["apply", patch(&site).to_str().unwrap_or_default()]);
    assert_eq!(site.read("a.txt"), "one\ntwo\nthree\n");
    assert_eq!(site.read("sub/c.bin"), "\u{1}\u{0}x");
    assert_eq!(site.read("new/dir/n.txt"), "new\n");
    assert!(!site.repo.join("b.txt").exists());
    site.git(&["checkout", "-q", "."]);
    std::fs::remove_dir_all(site.repo.join("new")).unwrap_or_default();
    assert!(
        site.read(".harness/bad.log")
            .contains("Change files only in the directory")
    );
    goes_on(&site);
}

#[test]
fn what_a_person_had_changed_before_is_never_written_over() {
    let site = with(
        "echo agent >> \"$main/a.txt\"; echo agent > \"$main/b.txt\"; echo \"$main/a.txt $main/b.txt\"",
    );
    site.write("a.txt", "a person's\n");
    let ran = alone(&site);
    trips(
        &ran,
        &[
            "b.txt (put back; ",
            "a.txt (left as it is: what it held before is not known)",
        ],
    );
    assert_eq!(site.read("a.txt"), "a person's\nagent\n");
    assert_eq!(site.read("b.txt"), "b\n");
    let kept = std::fs::read_to_string(patch(&site)).unwrap_or_default();
    assert!(kept.contains("b.txt") && !kept.contains("a.txt"), "{kept}");
}

#[test]
fn what_a_person_changes_meanwhile_stays_and_is_told_once() {
    // By other hands than the agent's, as far as anybody can tell; it names other files of its own.
    let site = with(
        "echo mine > \"$main/a.txt\"; echo mine > \"$main/new.txt\"; echo \"I edit a.txt and new.txt in $PWD\"\n\
         echo '# More' >> \"$main/specs/good/spec.md\"",
    );
    let ran = alone(&site);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let told = "while bad #1 ran, files in your checkout changed: a.txt, new.txt; harness leaves them alone";
    assert_eq!(ran.err.matches(told).count(), 1, "{}", ran.err);
    assert_eq!(
        ran.err.matches("in your checkout changed").count(),
        1,
        "{}",
        ran.err
    );
    assert_eq!(site.read("a.txt"), "mine\n");
    assert_eq!(site.read("new.txt"), "mine\n");
    assert!(!patch(&site).exists());
}

#[test]
fn no_link_leads_a_restored_file_out_of_the_checkout() {
    let site = with(
        "mv \"$main/sub\" \"$main/../moved\"; ln -s ../moved \"$main/sub\"; echo x > \"$main/../moved/c.bin\"\n\
         ln -sf /etc/hostname \"$main/a.txt\"; echo \"$main/sub/c.bin $main/sub $main/a.txt\"",
    );
    let ran = alone(&site);
    trips(&ran, &["a.txt"]);
    assert_eq!(site.read("a.txt"), "one\ntwo\n");
    let outside = std::fs::read_to_string(site.path("moved/c.bin")).unwrap_or_default();
    assert_eq!(outside, "x\n");
}
