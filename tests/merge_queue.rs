//! The merge queue on real repositories: conflicts go back to their agents, red merges too, the user's
//! checkout is never in the way and never harmed, and a tree that passed is not gated again.

#![cfg(feature = "fake-agent")]

mod support;

use support::Site;

/// Two features that start from the same base: each waits until both have begun.
fn pair(config: &str, a: &str, b: &str) -> Site {
    let site = Site::new();
    site.config(config);
    for (slug, text) in [("a", a), ("b", b)] {
        site.spec(slug, "");
        let (own, other) = if slug == "a" { ("a", "b") } else { ("b", "a") };
        let (own, other) = (site.path(own), site.path(other));
        let meet = format!("[1]\ntouch {own:?}\nwait-for {other:?}\n");
        site.script(slug, &text.replace("[1]\n", &meet));
    }
    site
}

fn events(site: &Site, kind: &str) -> Vec<serde_json::Value> {
    let all = site.journal();
    all.into_iter()
        .filter(|event| event["event"] == kind)
        .collect()
}

#[test]
fn a_conflict_is_resolved_by_the_agent_that_caused_it() {
    let text = |own: &str| {
        format!(
            "[1]\nwrite same.txt \"{own}\\n\"\nnote \"wrote the file that both of us want\"\ndone \"mine is there\"\n\
             [2]\nstdin-contains \"same.txt: both added it\"\nstdin-contains \"Merge \"\nwrite same.txt \"a\\nb\\n\"\n\
             note \"kept the line of either side\"\ndone \"both are there\"\n"
        )
    };
    let site = pair("", &text("a"), &text("b"));
    site.commit("specs");
    let ran = site.harness(&["run", "--parallel", "2"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(site.read("same.txt"), "a\nb\n");
    let clashed = events(&site, "clashed");
    assert_eq!(clashed.len(), 1);
    // The resolution is a merge on the feature's own branch, with both parents.
    let loser = clashed[0]["slug"].as_str().unwrap();
    let merges = site.git(&["log", "--merges", "--format=%s", "main"]);
    assert!(
        merges.contains(&format!("{loser}: iteration 2")),
        "{merges}"
    );
    site.assert_no_litter();
}

#[test]
fn a_merge_that_fails_is_repaired_by_the_younger_one() {
    let text = |own: &str| {
        format!(
            "[1]\nwrite {own}.txt \"1\\n\"\nnote \"raised my share of the budget to one\"\ndone \"raised\"\n\
             [2]\nstdin-contains \"over budget\"\nexpect-file a.txt\nexpect-file b.txt\nwrite {own}.txt \"0\\n\"\n\
             note \"gave my share back to the other one\"\ndone \"lowered\"\n"
        )
    };
    let gate = "verify: {commands: ['! grep -q 1 a.txt || ! grep -q 1 b.txt || { echo over budget; exit 1; }']}";
    let site = pair(gate, &text("a"), &text("b"));
    site.write("a.txt", "0\n");
    site.write("b.txt", "0\n");
    site.commit("specs");
    let ran = site.harness(&["run", "--parallel", "2"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let rejected = events(&site, "rejected");
    assert_eq!(rejected.len(), 1);
    assert_eq!(rejected[0]["merged"], true);
    let shares = [site.read("a.txt"), site.read("b.txt")].concat();
    assert!(shares == "1\n0\n" || shares == "0\n1\n", "{shares}");
}

#[test]
fn a_dirty_checkout_delays_only_what_the_user_sees() {
    let site = Site::new();
    site.config("");
    site.spec("a", "");
    site.spec("b", "depends_on: a");
    site.script(
        "a",
        "write shared.txt \"theirs\\n\"\nnote \"wrote the shared file\"\ndone \"there\"\n",
    );
    site.script("b", "expect-file shared.txt\nwrite b.txt x\nnote \"built upon the shared file\"\ndone \"there\"\n");
    site.write("shared.txt", "base\n");
    site.commit("specs");
    site.write("shared.txt", "the user is in the middle of it\n");
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(8), "{}", ran.err);
    assert!(ran.out.contains("not in main yet: a, b"), "{}", ran.out);
    assert!(ran.out.contains("shared.txt"), "{}", ran.out);
    assert_eq!(site.read("shared.txt"), "the user is in the middle of it\n");
    assert_eq!(site.landed().len(), 0);
    let status = site.harness(&["status"]);
    assert!(status.out.contains("not in main yet"), "{}", status.out);
    site.git(&["checkout", "-q", "shared.txt"]);
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(site.landed(), ["a", "b"]);
    assert_eq!(
        events(&site, "iteration_started").len(),
        2,
        "nobody was asked again"
    );
    site.assert_no_litter();
}

#[test]
fn a_broken_base_is_told_at_once_and_who_repairs_it_lands() {
    let site = Site::new();
    site.config("verify: {commands: ['test -e works || { echo nothing works; exit 1; }']}");
    site.spec("other", "");
    site.spec("repair", "");
    site.script(
        "other",
        "write other.txt x\nnote \"wrote my file, broken base or not\"\ndone \"there\"\n",
    );
    site.script(
        "repair",
        "write works x\nnote \"repaired what was broken before us\"\ndone \"works\"\n",
    );
    site.commit("specs");
    let ran = site.harness(&["run", "--parallel", "1"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(
        ran.err.contains("does") && ran.err.contains("pass by itself?"),
        "{}",
        ran.err
    );
    assert_eq!(site.landed(), ["repair", "other"]);
    assert!(events(&site, "rejected").is_empty(), "nobody was charged");
    let verified = events(&site, "verified");
    assert!(
        verified
            .iter()
            .any(|event| event["how"]["evidence"] == "fixed")
    );
}

#[test]
fn a_base_nobody_repairs_parks_what_is_done() {
    let site = Site::new();
    site.config("verify: {commands: ['echo nothing works; exit 1']}");
    site.spec("a", "");
    site.script(
        "a",
        "write a.txt x\nnote \"wrote my file, broken base or not\"\ndone \"there\"\n",
    );
    site.commit("specs");
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(8), "{}", ran.err);
    assert!(ran.out.contains("main is broken by itself"), "{}", ran.out);
    assert_eq!(events(&site, "iteration_started").len(), 1);
}

#[test]
fn a_flaky_gate_is_recorded_and_a_passed_tree_is_not_gated_again() {
    let site = Site::new();
    let (once, runs) = (site.path("once"), site.path("runs"));
    site.config(&format!(
        "verify: {{commands: ['echo run >> {}', '! test -e a.txt || test -e {o} || {{ touch {o}; exit 1; }}']}}",
        runs.display(),
        o = once.display()
    ));
    site.spec("a", "");
    site.script(
        "a",
        "write a.txt x\nnote \"wrote my file as the spec says\"\ndone \"there\"\n",
    );
    site.commit("specs");
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.err.contains("flaky"), "{}", ran.err);
    let count = || std::fs::read_to_string(&runs).unwrap().lines().count();
    assert_eq!(count(), 3, "the base, and the merge twice");
    // What has landed is known to pass: a run that finds it so gates nothing.
    site.harness(&["run"]);
    assert_eq!(count(), 3);
}

#[test]
fn commits_of_the_user_meanwhile_are_built_upon() {
    let site = Site::new();
    site.config("");
    site.spec("a", "");
    let root = site.repo.display().to_string();
    site.script(
        "a",
        &format!(
            "git -C {root:?} commit -q --allow-empty -m \"the user goes on\"\nwrite a.txt x\nnote \"wrote my file while the user went on\"\ndone \"there\"\n"
        ),
    );
    site.commit("specs");
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let log = site.git(&["log", "--first-parent", "--format=%s", "main"]);
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines[..2], ["Merge a: there", "the user goes on"], "{log}");
}

#[test]
fn claims_on_something_half_done_are_refused() {
    let site = Site::new();
    site.config("");
    site.spec("marked", "");
    site.spec("rebasing", "");
    let clash = "write a.txt \"mine\\n\"\ncommit \"mine\"\n";
    let other = "git checkout -q -b other-${FEATURE} HEAD~1\nwrite a.txt \"other\\n\"\ncommit \"other\"\ngit checkout -q harness/${FEATURE}\n";
    let finish = "note \"finished what was left half done\"\ndone \"whole\"\n";
    site.script(
        "marked",
        &format!(
            "[1]\nwrite b.txt \"<<<<<<< mine\\na\\n=======\\nb\\n>>>>>>> theirs\\n\"\nnote \"left a file full of markers\"\ndone \"done\"\n\
             [2]\nstdin-contains \"conflict markers are left in b.txt\"\nwrite b.txt \"ab\\n\"\n{finish}"
        ),
    );
    site.script(
        "rebasing",
        &format!(
            "[1]\n{clash}{other}try-git rebase other-rebasing\nnote \"in the middle of a rebase\"\ndone \"done\"\n\
             [2]\nstdin-contains \"rebase was left half done\"\nwrite c.txt c\n{finish}"
        ),
    );
    site.write("a.txt", "base\n");
    site.commit("specs");
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(site.read("b.txt"), "ab\n");
    assert_eq!(events(&site, "iteration_started").len(), 4);
}

#[test]
fn a_directory_of_somebody_else_in_the_pool_is_left_alone() {
    for name in ["gate", "w1"] {
        let site = Site::new();
        site.config("verify: {commands: ['true']}");
        site.spec("a", "");
        site.script(
            "a",
            "write a.txt x\nnote \"wrote my file as the spec says\"\ndone \"there\"\n",
        );
        site.commit("specs");
        let pool = site.repo.with_extension("harness");
        let file = pool.join(name).join("mine.env");
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, "precious").unwrap();
        let ran = site.harness(&["run"]);
        assert_ne!(ran.code, Some(0), "{name}: {}", ran.err);
        assert!(ran.out.contains("move it away"), "{name}: {}", ran.out);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "precious");
    }
}

#[test]
fn a_state_directory_that_vanishes_stops_the_run_before_it_lands() {
    let site = Site::new();
    site.config("");
    site.spec("a", "");
    let state = site.repo.join(".harness");
    let aside = site.path("aside");
    site.script(
        "a",
        &format!(
            "write a.txt x\nmove {state:?} {aside:?}\nnote \"moved away what is not mine\"\ndone \"there\"\n"
        ),
    );
    site.commit("specs");
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(10), "{}{}", ran.out, ran.err);
    assert_eq!(site.landed().len(), 0);
}

#[test]
fn a_passed_tree_is_gated_again_when_the_fingerprint_differs() {
    let site = Site::new();
    let (runs, version) = (site.path("runs"), site.path("version"));
    site.config(&format!(
        "verify: {{commands: ['echo run >> {}'], fingerprint: ['cat {}']}}",
        runs.display(),
        version.display()
    ));
    site.spec("a", "");
    site.script(
        "a",
        "write a.txt x\nnote \"wrote my file as the spec says\"\ndone \"there\"\n",
    );
    site.commit("specs");
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    assert!(ran.err.contains("verify.fingerprint"), "{}", ran.err);
    assert!(!runs.exists(), "nothing was started");
    std::fs::write(&version, "1.0\n").unwrap();
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let count = || std::fs::read_to_string(&runs).unwrap().lines().count();
    assert_eq!(count(), 2, "the base and the merge");
    site.harness(&["run"]);
    assert_eq!(count(), 2);
    std::fs::write(&version, "1.1\n").unwrap();
    site.harness(&["run"]);
    assert_eq!(count(), 3, "another compiler may think otherwise");
}
