//! The first evening: a harness.yaml for the checkout at hand, and a rehearsal of the night.

#![cfg(feature = "fake-agent")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

mod support;

use support::Site;

/// Every file, and every ref, worktree and byte of the state directory.
fn everything(site: &Site) -> String {
    let files = std::process::Command::new("find")
        .args([".", "..", "-type", "f", "-not", "-path", "*/.git/*"])
        // A rehearsal locks as a run does.
        .args(["-not", "-path", "*/.harness/lock"])
        .args(["-not", "-path", "*/.harness/.gitignore"])
        .current_dir(&site.repo)
        .output()
        .unwrap();
    let mut lines: Vec<String> = String::from_utf8_lossy(&files.stdout)
        .lines()
        .map(str::to_owned)
        .collect();
    lines.sort();
    let refs = site.git(&["for-each-ref"]);
    let trees = site.git(&["worktree", "list"]);
    format!("{}\n{refs}{trees}", lines.join("\n"))
}

#[test]
fn what_stands_in_the_checkout_is_found_and_the_result_works() {
    let site = Site::new();
    site.write("Makefile", "test:\n\ttest -e README\n");
    site.write(
        "package.json",
        r#"{"packageManager": "pnpm@9.1.0", "scripts": {"lint": "x"}}"#,
    );
    site.write("docs/specs/hello/spec.md", "# Hello\n\nWrite hello.\n");
    site.write(".gitignore", "*.log");
    site.commit("a project");
    let before = everything(&site);
    let dry = site.harness(&["init", "--dry-run", "--example"]);
    assert_eq!(dry.code, Some(0), "{}", dry.err);
    for part in [
        "found JavaScript (package.json, pnpm), Makefile says `test`",
        "new file harness.yaml",
        "+     - \"make test\"",
        "+     - \"pnpm install\"",
        "+   dir: \"docs/specs\"",
        "new file docs/specs/say-hello/spec.md",
        "added to .gitignore",
        "+ node_modules/",
        "nothing is written",
    ] {
        assert!(dry.out.contains(part), "{part} is missing in\n{}", dry.out);
    }
    assert_eq!(everything(&site), before);
    // A file that is there is added to only when a person has said so.
    let plain = site.harness(&["init"]);
    assert!(plain.out.contains("wrote harness.yaml"), "{}", plain.out);
    assert_eq!(site.read(".gitignore"), "*.log");
    let yes = site.harness(&["init", "--yes", "--instructions"]);
    assert!(
        yes.out
            .contains("harness.yaml is there already; left as it is"),
        "{}",
        yes.out
    );
    assert_eq!(site.read(".gitignore"), "*.log\nnode_modules/\n");
    assert!(site.read("AGENTS.md").starts_with("## Features\n"));
    let again = site.harness(&["init", "--yes", "--instructions"]);
    assert!(!again.out.contains("wrote"), "{}", again.out);
    let plan = site.harness(&["plan"]);
    assert_eq!(plan.code, Some(0), "{}", plan.err);
    assert!(plan.out.contains("hello"), "{}", plan.out);
    let config = site.harness(&["config"]).out;
    assert!(config.contains("make test"), "{config}");
}

#[test]
fn a_rehearsal_tries_what_the_night_needs_and_leaves_nothing() {
    let site = Site::new();
    site.shell_config(
        "run: {parallel: 2}\nworktrees: {setup: ['echo made > made'], min_free: 1KiB}\n\
         verify: {commands: ['test -e made', 'test -e README']}",
    );
    for slug in ["a", "b", "c", "d"] {
        site.shell(slug, &format!("echo {slug} > {slug}.txt\n"));
    }
    site.commit("specs");
    let before = everything(&site);
    let first = site.harness(&["run", "--rehearse", "--no-probe"]);
    assert_eq!(first.code, Some(0), "{}{}", first.out, first.err);
    for part in [
        "rehearsal on main at ",
        "checkout  ok in ",
        "set-up    ok in 0s  echo made > made\n",
        "gate      ok in 0s  test -e README\n",
        "3 of them",
        "4 features to do; how long that takes nobody can say yet",
        "nothing stands in the way",
    ] {
        assert!(
            first.out.contains(part),
            "{part} is missing in\n{}",
            first.out
        );
    }
    assert_eq!(everything(&site), before);
    // With its one turn: the scripted agent answers with an error, since there is no such feature.
    let probed = site.harness(&["run", "--rehearse"]);
    assert!(probed.err.contains("costs"), "{}", probed.err);
    assert_eq!(probed.code, Some(1), "{}", probed.out);
    assert!(probed.out.contains("did not answer"), "{}", probed.out);
    assert_eq!(everything(&site), before);
    // What is known from earlier runs says how long the rest takes.
    assert_eq!(site.harness(&["run", "--only", "a,b,c"]).code, Some(0));
    let before = everything(&site);
    let later = site.harness(&["run", "--rehearse", "--no-probe"]);
    assert!(
        later
            .out
            .contains("1 feature to do, 2 at once: about 0s, going by the 3 merged features"),
        "{}",
        later.out
    );
    assert_eq!(everything(&site), before);
}

#[test]
fn a_base_that_fails_is_seen_in_the_evening() {
    let site = Site::new();
    site.shell_config("verify: {commands: ['echo no such thing; exit 3', 'echo never']}");
    site.shell("a", "true\n");
    site.commit("specs");
    let before = everything(&site);
    let ran = site.harness(&["run", "--rehearse", "--no-probe"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.out.contains("gate      FAILED in 0s"), "{}", ran.out);
    assert!(ran.out.contains("          no such thing\n"), "{}", ran.out);
    assert!(!ran.out.contains("echo never"), "{}", ran.out);
    let doctor = site.harness(&["doctor", "--verify"]);
    assert_eq!(doctor.code, Some(1));
    assert!(
        doctor.out.contains("error    verify: gate failed after 0s"),
        "{}",
        doctor.out
    );
    assert_eq!(everything(&site), before);
}
