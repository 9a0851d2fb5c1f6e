//! The branch features land on, and what people do with it between and during runs.

#![cfg(feature = "fake-agent")]

mod support;

use support::Site;

/// One feature, landed on `main`.
fn landed() -> Site {
    let site = Site::new();
    site.config("");
    site.spec("a", "");
    site.script(
        "a",
        "write a.txt \"a\\n\"\nnote \"wrote all of it\"\ndone \"there\"\n",
    );
    site.commit("specs");
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    site
}

#[test]
fn what_landed_on_one_branch_is_not_taken_as_merged_into_another() {
    let site = landed();
    site.git(&["branch", "release", "main~1"]);
    let ran = site.harness(&["run", "--target", "release"]);
    assert_eq!(ran.code, Some(2), "{}{}", ran.out, ran.err);
    for part in [
        "merged into `main`, not into `release`: a",
        "--target main",
        "<feature>.done",
    ] {
        assert!(ran.err.contains(part), "{part}: {}", ran.err);
    }
    let planned = site.harness(&["run", "--target", "release", "--dry-run"]);
    let told = "a run would be refused: these features are merged into `main`";
    assert!(planned.err.contains(told), "{}", planned.err);
    // Whoever merges it says so with git.
    site.git(&["checkout", "-q", "release"]);
    site.git(&["merge", "-q", "--squash", "main"]);
    site.git(&["commit", "-q", "-m", "all of it"]);
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
}

#[test]
fn a_marker_that_is_removed_has_the_feature_done_again_on_the_new_target() {
    let site = landed();
    site.git(&["branch", "release", "main~1"]);
    std::fs::remove_file(site.repo.join(".harness/a.done")).unwrap();
    let ran = site.harness(&["run", "--target", "release"]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    assert_eq!(site.git(&["show", "release:a.txt"]), "a\n");
}

#[test]
fn a_rewritten_target_is_told_and_stops_nothing() {
    let site = landed();
    site.git(&["reset", "-q", "--hard", "main~1"]);
    site.write("b.txt", "b\n");
    site.commit("instead");
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let told = "`main` no longer holds what these features landed as: a";
    assert!(ran.err.contains(told), "{}", ran.err);
    assert!(!site.repo.join("a.txt").exists());
}

#[test]
fn the_gate_has_what_a_worktree_has() {
    let site = Site::new();
    site.config(
        "worktrees: {setup: ['mkdir -p modules && cat wanted.txt >modules/installed']}\n\
         verify: {commands: ['grep -q secret .env && cmp wanted.txt modules/installed']}",
    );
    site.write(".gitignore", ".env\nmodules/\n");
    site.write(".worktreeinclude", ".env\n");
    site.write(".env", "secret\n");
    site.write("wanted.txt", "0\n");
    for (slug, front) in [("a", ""), ("b", "depends_on: a")] {
        site.spec(slug, front);
        site.script(
            slug,
            &format!(
                "expect-file .env\nexpect-file modules/installed\nwrite wanted.txt \"{slug}\\n\"\n\
                 note \"asked for another module\"\ndone \"there\"\n"
            ),
        );
    }
    site.commit("specs");
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    assert_eq!(site.read("wanted.txt"), "b\n");
}

#[test]
fn who_breaks_the_setup_repairs_it() {
    let site = Site::new();
    site.config(
        "worktrees: {setup: ['! grep -q typo wanted.txt || { echo no such module; exit 1; }']}\n\
         verify: {commands: ['true']}",
    );
    site.write("wanted.txt", "0\n");
    site.spec("a", "");
    site.script(
        "a",
        "[1]\nwrite wanted.txt \"typo\\n\"\nnote \"asked for another module\"\ndone \"there\"\n\
         [2]\nstdin-contains \"no such module\"\nwrite wanted.txt \"1\\n\"\nnote \"wrote its name as it is\"\ndone \"there\"\n",
    );
    site.commit("specs");
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    assert!(
        ran.err
            .contains("a goes on in a worktree that is not ready"),
        "{}",
        ran.err
    );
    assert_eq!(site.read("wanted.txt"), "1\n");
}
