//! What the user has set up around the repository: hooks, signing, submodules. It holds for the user's own commits
//! and checkout, and never stops the night.

#![cfg(feature = "fake-agent")]

mod support;

use std::os::unix::fs::PermissionsExt as _;
use support::Site;

fn hook(site: &Site, name: &str, text: &str) {
    let path = site.repo.join(".git/hooks").join(name);
    std::fs::create_dir_all(path.parent().unwrap_or(&path)).unwrap_or_default();
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap_or_default();
    let all = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&path, all).unwrap_or_default();
}

#[test]
fn no_hook_of_the_repository_is_run() {
    let site = Site::new();
    site.shell_config("");
    site.shell("a", "echo a > a.txt");
    site.shell("b", "echo b > b.txt");
    site.commit("specs");
    let said = site.path("said");
    for name in [
        "pre-commit",
        "commit-msg",
        "prepare-commit-msg",
        "pre-merge-commit",
        "post-commit",
        "pre-auto-gc",
        "post-merge",
        "reference-transaction",
    ] {
        hook(
            &site,
            name,
            &format!("echo {name} >> '{}'; exit 1", said.display()),
        );
    }
    let ran = site.harness(&["run", "--parallel", "2"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(site.read("a.txt"), "a\n");
    assert_eq!(site.read("b.txt"), "b\n");
    // What an agent may have planted there is not run by harness, and what the user has there is not either.
    assert!(!said.exists());
    site.assert_no_litter();
}

#[test]
fn a_hook_that_writes_into_checkouts_is_no_work_of_the_agent() {
    let site = Site::new();
    site.shell_config("verify: {commands: ['[ -e specs ]']}");
    site.shell("a", "echo a > a.txt");
    site.commit("specs");
    hook(&site, "post-checkout", "echo litter > from-the-hook");
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(
        site.git(&["ls-tree", "--name-only", "main", "from-the-hook"]),
        ""
    );
    assert!(!site.repo.join("from-the-hook").exists());
}

#[test]
fn branches_and_checkouts_that_are_in_the_way_are_told_before_anybody_is_called() {
    let site = Site::new();
    site.shell_config("");
    site.shell("a", "echo a > a.txt");
    site.commit("specs");
    site.git(&["branch", "harness"]);
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    assert!(ran.err.contains("git branch -m harness"), "{}", ran.err);
    site.git(&["branch", "-m", "harness", "mine"]);
    site.git(&["worktree", "add", "-q", "-b", "harness/a", "../look"]);
    let ran = site.harness(&["plan"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let ran = site.harness_in(&site.path("look"), &["run"]);
    for part in [
        "`a` cannot start: its branch harness/a is checked out in",
        "this is a linked worktree",
    ] {
        assert!(ran.err.contains(part), "{part}: {}", ran.err);
    }
    assert_ne!(ran.code, Some(0), "{}", ran.err);
    site.git(&["worktree", "remove", "../look"]);
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(site.read("a.txt"), "a\n");
}

#[test]
fn a_worktree_that_somebody_deletes_is_made_again() {
    let site = Site::new();
    site.shell_config("");
    site.shell(
        "a",
        "echo \"$HARNESS_ITERATION\" >> a.txt; git add a.txt; git commit -qm own\n\
         case $HARNESS_ITERATION in 1) here=$PWD; cd /; rm -rf \"$here\"; exit 3;; 2) rm .git; exit 3;; esac",
    );
    site.commit("specs");
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(site.read("a.txt"), "1\n2\n3\n");
    site.assert_no_litter();
}

#[test]
fn signing_that_needs_somebody_awake_stops_nothing() {
    let site = Site::new();
    site.shell_config("");
    site.shell(
        "a",
        "echo a > a.txt; git add a.txt; git -c commit.gpgSign=false commit -qm own",
    );
    site.shell("b", "echo b > b.txt");
    site.commit("specs");
    let program = site.path("bin").join("no-gpg");
    std::fs::write(&program, "#!/bin/sh\necho 'no pinentry' >&2; exit 2\n").unwrap();
    let all = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&program, all).unwrap();
    for (key, value) in [
        ("commit.gpgSign", "true"),
        ("tag.gpgSign", "true"),
        ("merge.verifySignatures", "true"),
        ("gpg.program", program.to_str().unwrap()),
    ] {
        site.git(&["config", key, value]);
    }
    let ran = site.harness(&["run", "--parallel", "2"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(site.read("a.txt"), "a\n");
    assert_eq!(site.read("b.txt"), "b\n");
    let signed = site.git(&["log", "--format=%H", "main"]);
    for commit in signed.lines() {
        let raw = site.git(&["cat-file", "commit", commit]);
        assert!(!raw.contains("gpgsig"), "{raw}");
    }
    site.assert_no_litter();
}

/// A project with a library in `lib`, whose own repository stands beside it and has two commits.
fn with_submodule(more: &str) -> (Site, [String; 2]) {
    let site = Site::new();
    let origin = site.path("library");
    let at = origin.to_str().unwrap_or_default().to_owned();
    let in_it = |args: &[&str]| {
        let args: Vec<&str> = ["-C", &at]
            .into_iter()
            .chain(args.iter().copied())
            .collect();
        site.git(&args).trim().to_owned()
    };
    site.git(&["init", "-q", "-b", "main", &at]);
    let mut commits = Vec::new();
    for text in ["one", "two", "three"] {
        std::fs::write(origin.join("lib.txt"), text).unwrap_or_default();
        in_it(&["add", "-A"]);
        in_it(&["commit", "-qm", text]);
        commits.push(in_it(&["rev-parse", "HEAD"]));
    }
    site.git(&["config", "protocol.file.allow", "always"]);
    site.git(&[
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "add",
        "-q",
        &at,
        "lib",
    ]);
    site.git(&["-C", "lib", "checkout", "-q", &commits[0]]);
    site.shell_config(more);
    (site, [commits[1].clone(), commits[2].clone()])
}

const SETUP: &str = "worktrees: {setup: ['git -c protocol.file.allow=always submodule update --init --quiet']}\n\
    verify: {commands: ['[ -s lib/lib.txt ]']}";

#[test]
fn submodules_are_there_where_setup_brings_them_and_can_be_moved() {
    let (site, [two, _]) = with_submodule(SETUP);
    site.shell(
        "plain",
        "[ \"$(cat lib/lib.txt)\" = one ]; echo x > plain.txt",
    );
    site.shell("next", &format!("git -C lib checkout -q {two}"));
    site.commit("specs");
    let ran = site.harness(&["run", "--parallel", "1"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let link = site.git(&["ls-tree", "main", "lib"]);
    assert!(link.contains(&two), "{link}");
    // The user's own copy of the library is the user's to update, as after any merge.
    assert_eq!(site.read("lib/lib.txt"), "one");
    site.git(&["submodule", "update", "--quiet"]);
    assert_eq!(site.read("lib/lib.txt"), "two");
    site.assert_no_litter();
}

#[test]
fn a_submodule_that_two_move_is_a_conflict_for_the_younger() {
    let (site, [two, three]) = with_submodule(SETUP);
    for (own, other, to) in [("a", "b", &two), ("b", "a", &three)] {
        let text = format!(
            "touch '{}'; while [ ! -e '{}' ]; do sleep 0.01; done\n\
             if [ \"$HARNESS_ITERATION\" = 1 ]; then git -C lib checkout -q {to}; else\n\
             grep -q 'lib: both moved the submodule' .harness/prompt; git -C lib checkout -q {three}; git add lib; fi",
            site.path(own).display(),
            site.path(other).display()
        );
        site.shell(own, &text);
    }
    site.commit("specs");
    let ran = site.harness(&["run", "--parallel", "2"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let link = site.git(&["ls-tree", "main", "lib"]);
    assert!(link.contains(&three), "{link}");
}

#[test]
fn work_inside_a_submodule_is_not_lost() {
    let (site, _) = with_submodule(SETUP);
    site.shell(
        "inside",
        "echo mine > lib/new.txt; echo mine >> lib/lib.txt; echo x > outside.txt",
    );
    site.shell(
        "commits",
        "cd lib; echo mine > own.txt; git add own.txt; git commit -qm 'inside'; cd ..",
    );
    site.commit("specs");
    site.harness(&["run", "--parallel", "1"]);
    let kept = site.git(&["for-each-ref", "--format=%(refname)", "refs/harness/lost/"]);
    let (mut inside, mut commits) = (Vec::new(), Vec::new());
    for name in kept.lines() {
        let show = |file: &str| site.git(&["show", &format!("{name}:{file}")]);
        if name.contains("/inside-") {
            inside.push((show("new.txt"), show("lib.txt")));
        } else {
            commits.push(show("own.txt"));
        }
    }
    assert_eq!(inside, [("mine\n".to_owned(), "onemine\n".to_owned())]);
    assert_eq!(commits, ["mine\n"], "once, however often it is seen");
    let log = site.read(".harness/run.log");
    assert!(
        log.contains("inside it does not land with the feature"),
        "{log}"
    );
    // A pointer to a commit that nobody else has fails in the gate, and the agent is told.
    assert!(log.contains("commits        gate failed"), "{log}");
    assert!(site.repo.join("outside.txt").exists());
}
