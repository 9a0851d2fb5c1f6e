//! Snapshots: whatever an agent leaves, nothing of it is lost.

use super::*;

/// A prepared worktree of the feature `one`, with one snapshot of one commit behind it.
fn started() -> (Fixture, Prepared) {
    let f = Fixture::new();
    let pool = f.pool();
    let mut prepared = f.prepare(&pool, "one", W1);
    put(&prepared.path, "one.txt", "one\n");
    prepared.tip = f.snapshot(&prepared, "one", 1).tip;
    (f, prepared)
}

#[test]
fn everything_is_taken_and_nothing_makes_no_commit() {
    let (f, p) = started();
    let idle = f.snapshot(&p, "one", 2);
    assert_eq!((idle.changed, &idle.tip), (false, &p.tip));
    assert_eq!(f.oid("refs/harness/iterations/one/2"), p.tip);
    put(&p.path, "a.txt", "changed\n");
    fs::remove_file(p.path.join("b.txt")).unwrap();
    put(&p.path, "new dir/ü\nnew line", "odd");
    put(&p.path, "x.ignored", "ignored");
    put(&p.path, ".harness/note.md", "note");
    fs::remove_file(p.path.join(".harness/.gitignore")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", p.path.join("link")).unwrap();
    let taken = f.repo().snapshot(
        &p.path,
        &slug("one"),
        3,
        &p.tip,
        "one: iteration 3 (a\nb)",
        &[("Harness-Iteration", "3")],
    );
    let taken = taken.unwrap();
    assert!(taken.changed && taken.notes.is_empty(), "{taken:?}");
    let files = f.git(
        &f.root,
        &[
            "-c",
            "core.quotePath=false",
            "ls-tree",
            "-r",
            "-z",
            "--name-only",
            taken.tip.as_str(),
        ],
    );
    let files: Vec<&str> = files.split('\0').filter(|name| !name.is_empty()).collect();
    assert_eq!(
        files,
        [
            ".gitignore",
            "a.txt",
            "link",
            "new dir/ü\nnew line",
            "one.txt"
        ]
    );
    let message = f.git(&f.root, &["log", "-1", "--format=%B", taken.tip.as_str()]);
    assert_eq!(message, "one: iteration 3 (a; b)\n\nHarness-Iteration: 3");
    assert_eq!(f.oid("harness/one~"), p.tip);
}

#[test]
fn the_agents_own_commits_stay() {
    let (f, p) = started();
    put(&p.path, "c.txt", "c");
    f.git(&p.path, &["add", "-A"]);
    f.git(&p.path, &["commit", "-q", "-m", "agent"]);
    put(&p.path, "d.txt", "d");
    let taken = f.snapshot(&p, "one", 2);
    let log = f.repo().log_between(&p.tip, &taken.tip, 9).unwrap();
    assert_eq!(log.len(), 2);
    assert_eq!(log[1].subject, "agent");
    // Committed by the agent alone: no commit of ours on top.
    put(&p.path, "e.txt", "e");
    f.git(&p.path, &["add", "-A"]);
    f.git(&p.path, &["commit", "-q", "-m", "agent again"]);
    let again = f.snapshot(&p, "one", 3);
    assert_eq!(
        f.repo().commits_on("refs/heads/harness/one", 1).unwrap()[0].subject,
        "agent again"
    );
    assert!(again.changed);
}

#[test]
fn a_committed_outbox_does_not_get_through() {
    let (f, p) = started();
    put(&p.path, ".harness/note.md", "note");
    f.git(&p.path, &["add", "-f", ".harness"]);
    f.git(&p.path, &["commit", "-q", "-m", "oops"]);
    let taken = f.snapshot(&p, "one", 2);
    assert_eq!(f.show(taken.tip.as_str(), ".harness/note.md"), None);
    assert_eq!(get(&p.path, ".harness/note.md").as_deref(), Some("note"));
    assert!(!taken.changed);
}

#[test]
fn resetting_amending_and_moving_the_branch_lose_nothing() {
    let (f, p) = started();
    f.git(&p.path, &["reset", "-q", "--hard", "main"]);
    put(&p.path, "other.txt", "x");
    let taken = f.snapshot(&p, "one", 2);
    assert_eq!(f.show(taken.tip.as_str(), "one.txt"), None);
    assert_eq!(
        f.show(taken.tip.as_str(), "other.txt").as_deref(),
        Some("x")
    );
    assert_eq!(f.oid("refs/harness/iterations/one/1"), p.tip);
    f.git(&p.path, &["checkout", "-q", "--detach"]);
    f.git(&p.path, &["branch", "-q", "-D", "harness/one"]);
    put(&p.path, "third.txt", "x");
    let taken = f.snapshot(&p, "one", 3);
    assert_eq!(
        f.show(taken.tip.as_str(), "third.txt").as_deref(),
        Some("x")
    );
    assert_eq!(
        f.show(taken.tip.as_str(), "other.txt").as_deref(),
        Some("x")
    );
}

#[test]
fn work_on_another_branch_or_none_reaches_the_feature() {
    let (f, p) = started();
    // On top of the branch.
    f.git(&p.path, &["checkout", "-q", "-b", "side"]);
    put(&p.path, "side.txt", "x");
    f.git(&p.path, &["add", "-A"]);
    f.git(&p.path, &["commit", "-q", "-m", "side"]);
    put(&p.path, "loose.txt", "x");
    let taken = f.snapshot(&p, "one", 2);
    for file in ["one.txt", "side.txt", "loose.txt"] {
        assert!(f.show(taken.tip.as_str(), file).is_some(), "{file}");
    }
    // Beside the branch, detached: joined with it.
    f.git(&p.path, &["checkout", "-q", "--detach", "main"]);
    put(&p.path, "detached.txt", "x");
    f.git(&p.path, &["add", "-A"]);
    f.git(&p.path, &["commit", "-q", "-m", "detached"]);
    let joined = f.snapshot(&p, "one", 3);
    for file in ["one.txt", "side.txt", "loose.txt", "detached.txt"] {
        assert!(f.show(joined.tip.as_str(), file).is_some(), "{file}");
        assert!(get(&p.path, file).is_some(), "{file}");
    }
    // Beside the branch, and in conflict: what the agent left wins, the rest is kept.
    f.git(&p.path, &["checkout", "-q", "--detach", "main"]);
    put(&p.path, "one.txt", "quite another\n");
    let third = f.snapshot(&p, "one", 4);
    assert_eq!(
        f.show(third.tip.as_str(), "one.txt").as_deref(),
        Some("quite another")
    );
    assert_eq!(
        f.oid(&format!("refs/harness/lost/one-{}", joined.tip.short())),
        joined.tip
    );
    assert_eq!(third.notes.len(), 1);
    // Merely looking at an earlier commit undoes nothing.
    f.git(&p.path, &["checkout", "-q", "--detach", "main"]);
    let looked = f.snapshot(&p, "one", 5);
    assert_eq!(looked.tip, third.tip);
    assert_eq!(get(&p.path, "one.txt").as_deref(), Some("quite another\n"));
    // An orphan branch.
    f.git(&p.path, &["checkout", "-q", "--orphan", "root"]);
    put(&p.path, "orphan.txt", "x");
    let orphan = f.snapshot(&p, "one", 6);
    assert!(f.show(orphan.tip.as_str(), "orphan.txt").is_some());
    assert!(f.repo().descends(&orphan.tip, &looked.tip).unwrap());
}

#[test]
fn locks_left_by_killed_git_processes_are_no_obstacle() {
    let (f, p) = started();
    let admin = PathBuf::from(f.git(&p.path, &["rev-parse", "--absolute-git-dir"]));
    for lock in ["index.lock", "HEAD.lock", "MERGE_HEAD.lock"] {
        fs::write(admin.join(lock), "").unwrap();
    }
    fs::write(f.root.join(".git/refs/heads/harness/one.lock"), "").unwrap();
    put(&f.root, ".git/refs/harness/iterations/one/2.lock", "");
    fs::write(f.root.join(".git/index.lock"), "").unwrap();
    put(&p.path, "new.txt", "x");
    let taken = f.snapshot(&p, "one", 2);
    assert!(f.show(taken.tip.as_str(), "new.txt").is_some());
    assert!(
        f.root.join(".git/index.lock").exists(),
        "the user's lock is not ours"
    );
    fs::write(admin.join("index"), "garbage").unwrap();
    put(&p.path, "newer.txt", "x");
    fs::remove_file(p.path.join("b.txt")).unwrap();
    let taken = f.snapshot(&p, "one", 3);
    assert!(f.show(taken.tip.as_str(), "newer.txt").is_some());
    assert!(f.show(taken.tip.as_str(), "b.txt").is_none());
    fs::write(admin.join("HEAD"), "garbage").unwrap();
    put(&p.path, "newest.txt", "x");
    let taken = f.snapshot(&p, "one", 4);
    assert!(f.show(taken.tip.as_str(), "newest.txt").is_some());
}

/// Another branch and the feature's change the same line.
fn clash(f: &Fixture, p: &Prepared) {
    f.write("one.txt", "theirs\n");
    f.commit("theirs");
    put(&p.path, "one.txt", "ours\n");
    f.git(&p.path, &["commit", "-q", "-a", "-m", "ours"]);
}

#[test]
fn an_unfinished_merge_is_kept_markers_and_all() {
    let (f, p) = started();
    clash(&f, &p);
    let ours = f.oid("harness/one");
    assert!(!f.try_git(&p.path, &["merge", "main"]).0);
    put(&p.path, "more.txt", "x");
    let taken = f.snapshot(&p, "one", 2);
    assert!(
        f.show(taken.tip.as_str(), "one.txt")
            .unwrap()
            .contains("<<<<<<<")
    );
    assert!(f.show(taken.tip.as_str(), "more.txt").is_some());
    assert_eq!(
        f.git(&f.root, &["log", "-1", "--format=%P", taken.tip.as_str()]),
        ours.as_str()
    );
}

#[test]
fn a_resolved_merge_that_lacks_its_commit_stays_a_merge() {
    let (f, p) = started();
    clash(&f, &p);
    assert!(!f.try_git(&p.path, &["merge", "main"]).0);
    put(&p.path, "one.txt", "both\n");
    f.git(&p.path, &["add", "one.txt"]);
    let taken = f.snapshot(&p, "one", 2);
    assert!(f.repo().descends(&taken.tip, &f.oid("main")).unwrap());
    assert_eq!(
        f.show(taken.tip.as_str(), "one.txt").as_deref(),
        Some("both")
    );
    assert_eq!(f.candidate("one", Strategy::Merge).onto, f.oid("main"));
}

#[test]
fn an_unfinished_rebase_or_cherry_pick_is_ended() {
    let (f, p) = started();
    clash(&f, &p);
    let ours = f.oid("harness/one");
    assert!(!f.try_git(&p.path, &["rebase", "main"]).0);
    put(&p.path, "more.txt", "x");
    let taken = f.snapshot(&p, "one", 2);
    // The branch is whole, and what lay there is in the iteration's ref.
    assert_eq!(taken.tip, ours);
    assert_eq!(get(&p.path, "one.txt").as_deref(), Some("ours\n"));
    assert!(
        f.show("refs/harness/iterations/one/2", "more.txt")
            .is_some()
    );
    assert!(
        f.show("refs/harness/iterations/one/2", "one.txt")
            .unwrap()
            .contains("<<<<<<<")
    );
    assert!(!f.try_git(&p.path, &["cherry-pick", "main"]).0);
    let taken = f.snapshot(&p, "one", 3);
    assert!(
        f.show(taken.tip.as_str(), "one.txt")
            .unwrap()
            .contains("<<<<<<<")
    );
    f.git(&p.path, &["bisect", "start"]);
    put(&p.path, "last.txt", "x");
    let taken = f.snapshot(&p, "one", 4);
    assert!(f.show(taken.tip.as_str(), "last.txt").is_some());
}

#[test]
fn embedded_repositories_are_kept_as_files() {
    let (f, p) = started();
    // Without a commit, with one, one in another, and one the agent committed as a link.
    for name in [
        "empty",
        "fresh",
        "full",
        "full/inner",
        "linked",
        "back\\slash *",
    ] {
        fs::create_dir_all(p.path.join(name)).unwrap();
        f.git(&p.path.join(name), &["init", "-q"]);
    }
    put(&p.path, "fresh/file", "x");
    put(&p.path, "back\\slash */file", "x");
    for name in ["full/inner", "full", "linked"] {
        put(&p.path, &format!("{name}/file"), "x");
        f.git(&p.path.join(name), &["add", "file"]);
        f.git(&p.path.join(name), &["commit", "-q", "-m", "inner"]);
        put(&p.path, &format!("{name}/loose"), "x");
    }
    f.git(&p.path, &["add", "linked"]);
    f.git(&p.path, &["commit", "-q", "-m", "a link"]);
    put(&p.path, "plain.txt", "x");
    let taken = f
        .repo()
        .snapshot(&p.path, &slug("one"), 2, &p.tip, "s", &[])
        .unwrap();
    for file in [
        "fresh/file",
        "full/file",
        "full/loose",
        "full/inner/file",
        "full/inner/loose",
        "linked/file",
        "linked/loose",
        "plain.txt",
        "back\\slash */file",
    ] {
        assert!(
            f.show(taken.tip.as_str(), file).is_some(),
            "{file}: {:?}",
            taken.notes
        );
    }
    assert!(
        taken
            .notes
            .iter()
            .any(|note| note.contains("full/inner") || note.starts_with("inner")),
        "{:?}",
        taken.notes
    );
    // The next one finds ordinary files there.
    put(&p.path, "full/later", "x");
    let next = f
        .repo()
        .snapshot(&p.path, &slug("one"), 3, &taken.tip, "s", &[])
        .unwrap();
    assert!(f.show(next.tip.as_str(), "full/later").is_some());
    assert!(f.show(next.tip.as_str(), "linked/loose").is_some());
    assert!(next.changed);
}

#[test]
fn a_submodule_stays_a_submodule() {
    let (f, p) = started();
    let source = f.home().join("library");
    f.git(
        f.home(),
        &["clone", "-q", f.root.to_str().unwrap(), "library"],
    );
    let add = [
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "--quiet",
        "add",
        source.to_str().unwrap(),
        "lib",
    ];
    f.git(&p.path, &add);
    let taken = f.snapshot(&p, "one", 2);
    let entry = f.git(&f.root, &["ls-tree", taken.tip.as_str(), "lib"]);
    assert!(entry.starts_with("160000 commit"), "{entry}");
    let pool = f.pool();
    f.prepare(&pool, "two", W1);
    pool.tidy(&[], &[], MAIN).unwrap();
    assert!(!pool.dir().exists());
}

#[test]
fn a_snapshot_repeated_after_a_crash_keeps_both() {
    let (f, p) = started();
    put(&p.path, "x.txt", "x");
    let first = f.snapshot(&p, "one", 2);
    let again = f.snapshot(&p, "one", 2);
    assert_eq!(first, again);
    put(&p.path, "y.txt", "y");
    f.snapshot(&p, "one", 2);
    assert_eq!(f.oid("refs/harness/iterations/one/2~"), first.tip);
    f.git(&p.path, &["reset", "-q", "--hard", "main"]);
    let second = f.oid("refs/harness/iterations/one/2");
    f.snapshot(&p, "one", 2);
    let lost = format!("refs/harness/lost/one-{}", second.short());
    assert_eq!(f.oid(&lost), second);
}

#[test]
fn a_worktree_of_nobody_is_refused() {
    let (f, p) = started();
    let taken = f
        .repo()
        .snapshot(&f.root, &slug("one"), 9, &p.tip, "s", &[]);
    assert!(taken.is_err(), "never in the main checkout");
}

#[test]
fn unreadable_files_are_named_and_the_rest_is_kept() {
    use std::os::unix::fs::PermissionsExt;
    let (f, p) = started();
    put(&p.path, "closed.txt", "x");
    put(&p.path, "closed/file", "x");
    put(&p.path, "open.txt", "x");
    let mode = |name: &str, mode| {
        fs::set_permissions(p.path.join(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    mode("closed.txt", 0o000);
    mode("closed", 0o000);
    if get(&p.path, "closed.txt").is_some() {
        eprintln!("SKIPPED: this user may read everything");
        return;
    }
    let taken = f
        .repo()
        .snapshot(&p.path, &slug("one"), 2, &p.tip, "s", &[]);
    let taken = taken.unwrap();
    assert!(f.show(taken.tip.as_str(), "open.txt").is_some());
    let noted = |name: &str| taken.notes.iter().any(|note| note.contains(name));
    assert!(noted("closed.txt") && noted("closed/"), "{:?}", taken.notes);
    mode("closed", 0o700);
}

#[test]
fn a_project_that_ignores_the_outbox_too_is_no_news() {
    let (f, p) = started();
    put(&p.path, ".gitignore", "/.harness\n*.ignored\n");
    put(&p.path, ".harness/note.md", "note");
    let taken = f.snapshot(&p, "one", 2);
    assert!(taken.changed && taken.notes.is_empty(), "{taken:?}");
    put(&p.path, "more.txt", "more");
    let taken = f.snapshot(&p, "one", 3);
    assert!(taken.changed && taken.notes.is_empty(), "{taken:?}");
}
