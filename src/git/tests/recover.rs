//! What was kept comes back, and nothing else changes.

use super::*;
use crate::git::{GitError, KeptKind};

/// A feature with three snapshots; the second holds a bit of everything.
fn worked() -> (Fixture, Prepared, [Oid; 3]) {
    let f = Fixture::new();
    let mut p = f.prepare(&f.pool(), "one", W1);
    put(&p.path, "first.txt", "1\n");
    let first = f.snapshot(&p, "one", 1).tip;
    p.tip = first.clone();
    put(&p.path, "neu dir/ü\nname", "odd\n");
    fs::write(p.path.join("data.bin"), [0, 159, 146, 150]).unwrap();
    put(&p.path, "run.sh", "#!/bin/sh\n");
    fs::set_permissions(p.path.join("run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    std::os::unix::fs::symlink("no/such", p.path.join("link")).unwrap();
    fs::remove_file(p.path.join("b.txt")).unwrap();
    f.git(&p.path, &["mv", "a.txt", "moved.txt"]);
    let second = f.snapshot(&p, "one", 2).tip;
    p.tip = second.clone();
    fs::remove_file(p.path.join("data.bin")).unwrap();
    let third = f.snapshot(&p, "one", 10).tip;
    p.tip = third.clone();
    (f, p, [first, second, third])
}

fn listed(f: &Fixture, name: &str) -> Vec<(KeptKind, Oid)> {
    let kept = f.repo().kept(&slug(name)).unwrap();
    kept.into_iter().map(|kept| (kept.kind, kept.oid)).collect()
}

#[test]
fn lists_what_is_kept_of_this_feature_only() {
    let (f, p, [first, second, third]) = worked();
    let main = f.oid("main");
    let set = |name: &str, oid: &Oid| f.git(&f.root, &["update-ref", name, oid.as_str()]);
    set(
        &format!("refs/harness/lost/one-{}", second.short()),
        &second,
    );
    set(&format!("refs/harness/old/one/{}", first.short()), &first);
    // Features whose names begin alike, and a worktree's.
    set(
        &format!("refs/harness/lost/one-two-{}", first.short()),
        &first,
    );
    set(
        &format!("refs/harness/old/one-two/{}", first.short()),
        &first,
    );
    set("refs/harness/iterations/one-two/1", &first);
    set(&format!("refs/harness/lost/w1-{}", main.short()), &main);
    // Not numbers, not commits.
    set("refs/harness/iterations/one/abc", &first);
    let blob = f.oid("main:b.txt");
    set(&format!("refs/harness/old/one/{}", blob.short()), &blob);
    let kept = f.repo().kept(&slug("one")).unwrap();
    let found: Vec<_> = kept.iter().map(|kept| (kept.kind, &kept.oid)).collect();
    let expected = [
        (KeptKind::Iteration(1), &first),
        (KeptKind::Iteration(2), &second),
        (KeptKind::Iteration(10), &third),
        (KeptKind::Lost, &second),
        (KeptKind::Old, &first),
    ];
    assert_eq!(found, expected);
    assert_eq!(kept[0].refname, "refs/harness/iterations/one/1");
    assert_eq!(kept[0].subject, "one: iteration 1 (did it)");
    assert_eq!(kept[0].files_changed, Some(1));
    // Four added, one removed, and one renamed, which is two paths.
    assert_eq!(kept[1].files_changed, Some(7));
    let time = f.git(&f.root, &["log", "-1", "--format=%ct", first.as_str()]);
    assert_eq!(kept[0].time.to_string(), time);
    assert_eq!(listed(&f, "none"), []);
    // The first commit of a history has nothing to be compared with.
    set("refs/harness/iterations/root/1", &main);
    let root = f.repo().kept(&slug("root")).unwrap();
    assert_eq!(root[0].files_changed, None);
    assert_eq!(p.tip, third);
}

#[test]
fn files_are_written_as_they_were_and_nothing_else_changes() {
    let (f, _, [_, second, _]) = worked();
    f.make_dirty();
    f.git(&f.root, &["config", "core.splitIndex", "true"]);
    f.git(&f.root, &["config", "core.sparseCheckout", "true"]);
    put(&f.root.join(".git"), "info/sparse-checkout", "/first.txt\n");
    let before = f.everything();
    let repo = f.repo();
    let dir = f.home().join("deep/er/restored");
    assert_eq!(repo.restore_to(&second, &dir).unwrap(), 7);
    assert_eq!(get(&dir, "neu dir/ü\nname").as_deref(), Some("odd\n"));
    assert_eq!(fs::read(dir.join("data.bin")).unwrap(), [0, 159, 146, 150]);
    assert_eq!(
        fs::read_link(dir.join("link")).unwrap(),
        Path::new("no/such")
    );
    let mode = |name: &str| fs::metadata(dir.join(name)).unwrap().permissions().mode() & 0o111;
    assert!(mode("run.sh") != 0 && mode("first.txt") == 0);
    assert!(!dir.join("b.txt").exists() && !dir.join("a.txt").exists());
    assert!(!dir.join(".git").exists());
    // Into an empty directory that is there already.
    let empty = f.home().join("empty");
    fs::create_dir(&empty).unwrap();
    assert_eq!(repo.restore_to(&second, &empty).unwrap(), 7);
    assert_eq!(f.everything(), before);
    f.fsck();
}

#[test]
fn filters_and_a_tree_without_files() {
    let f = Fixture::new();
    f.git(&f.root, &["config", "filter.case.smudge", "tr a-z A-Z"]);
    f.git(&f.root, &["config", "filter.case.clean", "tr A-Z a-z"]);
    f.write(".gitattributes", "*.up filter=case\n");
    f.write("!first.up", "text\n");
    let filtered = f.commit("filtered");
    let dir = f.home().join("filtered");
    assert_eq!(f.repo().restore_to(&filtered, &dir).unwrap(), 5);
    assert_eq!(get(&dir, "!first.up").as_deref(), Some("TEXT\n"));
    f.git(&f.root, &["rm", "-rq", "."]);
    f.git(&f.root, &["commit", "-q", "-m", "nothing left"]);
    let dir = f.home().join("nothing");
    assert_eq!(f.repo().restore_to(&f.oid("main"), &dir).unwrap(), 0);
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
}

#[test]
fn a_place_that_is_taken_is_refused_and_a_failure_leaves_none() {
    let (f, _, [first, ..]) = worked();
    let repo = f.repo();
    let refused = |dir: &Path| repo.restore_to(&first, dir).unwrap_err().to_string();
    put(f.home(), "full/file", "mine");
    assert!(refused(&f.home().join("full")).contains("not empty"));
    assert!(refused(&f.home().join("full/file")).contains("not a directory"));
    assert!(refused(&f.root).contains("not empty"));
    assert!(refused(&f.root.join(".git/deep/er")).contains("git directory"));
    assert!(!f.root.join(".git/deep").exists());
    assert_eq!(get(f.home(), "full/file").as_deref(), Some("mine"));
    let dir = f.home().join("none");
    let gone = Oid::parse(&"1".repeat(40)).unwrap();
    assert!(repo.restore_to(&gone, &dir).is_err());
    assert!(!dir.exists());
    // A filter that must run and cannot.
    f.git(&f.root, &["config", "filter.bad.smudge", "false"]);
    f.git(&f.root, &["config", "filter.bad.required", "true"]);
    put(
        &f.root.join(".git"),
        "info/attributes",
        "b.txt filter=bad\n",
    );
    let repo = f.repo();
    assert!(repo.restore_to(&first, &dir).is_err());
    assert!(!dir.exists());
}

#[test]
fn the_branch_goes_back_and_the_feature_goes_on_from_there() {
    let (f, p, [_, second, third]) = worked();
    f.make_dirty();
    let before = f.all_but_objects();
    let pool = f.pool();
    let kept = pool.restore_branch(&slug("one"), &second).unwrap();
    let old = format!("refs/harness/old/one/{}", third.short());
    assert_eq!(kept.as_deref(), Some(old.as_str()));
    assert_eq!(
        (f.oid("harness/one"), f.oid(&old)),
        (second.clone(), third.clone())
    );
    // Only git's own files of refs and worktrees changed.
    let mut now = f.all_but_objects();
    let mut then = before;
    for state in [&mut now, &mut then] {
        let git = f.root.join(".git");
        state.retain(|path, _| {
            let own = ["worktrees", "refs/harness", "refs/heads/harness", "logs"];
            !own.iter().any(|dir| path.starts_with(git.join(dir)))
        });
    }
    assert_eq!(now, then);
    let again = f.prepare(&pool, "one", W1);
    assert_eq!(
        (&again.tip, again.resumed, again.recycled),
        (&second, false, true)
    );
    assert_eq!(
        get(&again.path, "neu dir/ü\nname").as_deref(),
        Some("odd\n")
    );
    assert_eq!(f.git(&again.path, &["status", "--porcelain"]), "");
    assert_eq!(again.path, p.path);
    let taken = f.snapshot(&again, "one", 11);
    assert_eq!((taken.tip, taken.changed), (second.clone(), false));
    // There already: nothing to do. And what was left can be had again.
    assert_eq!(pool.restore_branch(&slug("one"), &second).unwrap(), None);
    pool.restore_branch(&slug("one"), &third).unwrap();
    assert_eq!(f.oid("harness/one"), third);
    f.fsck();
}

#[test]
fn a_branch_that_is_gone_comes_back() {
    let (f, _, [first, ..]) = worked();
    let pool = f.pool();
    pool.clean(MAIN, true).unwrap();
    assert!(f.repo().tip("refs/heads/harness/one").unwrap().is_none());
    assert_eq!(pool.restore_branch(&slug("one"), &first).unwrap(), None);
    assert_eq!(f.oid("harness/one"), first);
    assert_eq!(f.prepare(&pool, "one", W2).tip, first);
}

#[test]
fn a_branch_in_use_is_not_moved() {
    let (f, p, [first, second, third]) = worked();
    let pool = f.pool();
    let refused = |commit: &Oid| pool.restore_branch(&slug("one"), commit).unwrap_err();
    let state = || {
        (
            f.refs("refs/"),
            f.oid("harness/one"),
            f.git(&p.path, &["symbolic-ref", "HEAD"]),
        )
    };
    let before = state();
    let gone = Oid::parse(&"1".repeat(40)).unwrap();
    assert!(refused(&gone).to_string().contains("no such commit"));
    // Untracked, then edited.
    for name in ["fresh.txt", "moved.txt"] {
        put(&p.path, name, "x\n");
        let why = refused(&second).to_string();
        assert!(why.contains("uncommitted changes"), "{why}");
        assert_eq!(get(&p.path, name).as_deref(), Some("x\n"));
        f.git(&p.path, &["checkout", "-q", "."]);
        f.git(&p.path, &["clean", "-qfd"]);
    }
    assert_eq!(state(), before);
    // In the middle of a rebase HEAD is on no branch, but will be.
    put(&p.path, "first.txt", "2\n");
    f.git(&p.path, &["commit", "-qam", "clash"]);
    let tip = f.oid("harness/one");
    let (ok, _) = f.try_git(&p.path, &["rebase", "-q", "--onto", "main", "HEAD~1"]);
    assert!(!ok);
    assert!(refused(&second).to_string().contains("rebase"));
    f.git(&p.path, &["rebase", "--abort"]);
    assert_eq!(f.oid("harness/one"), tip);
    // The user looks at it in a worktree of his own, though clean.
    f.git(&p.path, &["checkout", "-q", "--detach"]);
    let own = f.home().join("own");
    f.git(
        &f.root,
        &[
            "worktree",
            "add",
            "-q",
            &own.to_string_lossy(),
            "harness/one",
        ],
    );
    assert!(matches!(refused(&first), GitError::BranchInUse { path, .. } if path == own));
    f.git(&f.root, &["worktree", "remove", &own.to_string_lossy()]);
    f.git(&f.root, &["checkout", "-q", "harness/one"]);
    assert!(matches!(refused(&first), GitError::BranchInUse { path, .. } if path == f.root));
    assert_eq!(f.oid("harness/one"), tip);
    assert_eq!(f.git(&f.root, &["status", "--porcelain"]), "");
    assert_ne!(tip, third);
}

#[test]
fn when_the_branch_cannot_be_moved_the_worktree_is_on_it_again() {
    let (f, p, [first, _, third]) = worked();
    // A ref of the user's stands where the old tip is to be kept.
    f.git(&f.root, &["update-ref", "refs/harness/old/one", "main"]);
    let before = f.refs("refs/");
    assert!(f.pool().restore_branch(&slug("one"), &first).is_err());
    assert_eq!((f.oid("harness/one"), f.refs("refs/")), (third, before));
    assert_eq!(
        f.git(&p.path, &["symbolic-ref", "HEAD"]),
        "refs/heads/harness/one"
    );
    assert_eq!(f.git(&p.path, &["status", "--porcelain"]), "");
    let listed = f.pool().list().unwrap();
    assert_eq!(listed[0].feature, Some(slug("one")));
}
