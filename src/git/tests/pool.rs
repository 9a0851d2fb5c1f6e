//! The worktree pool: preparing, recycling, including, the gate's checkout, tidying.

use super::*;
use crate::git::GitError;

#[test]
fn the_pool_must_lie_outside_of_the_repository() {
    let f = Fixture::new();
    let error = Worktrees::new(f.repo(), Path::new("build/../trees")).unwrap_err();
    assert!(error.to_string().contains("../my äpp.harness"), "{error}");
    std::os::unix::fs::symlink(&f.root, f.home().join("link")).unwrap();
    assert!(Worktrees::new(f.repo(), &f.home().join("link/trees")).is_err());
    assert!(Worktrees::new(f.repo(), Path::new("../trees")).is_ok());
}

#[test]
fn prepared_once_twice_and_for_the_next_feature() {
    let f = Fixture::new();
    let pool = f.pool();
    let first = f.prepare(&pool, "one", W1);
    assert_eq!((first.recycled, first.resumed), (false, false));
    assert_eq!((&first.base, &first.tip), (&f.oid("main"), &f.oid("main")));
    assert_eq!(
        get(&first.path, ".harness/.gitignore").as_deref(),
        Some("*\n")
    );
    assert_eq!(f.git(&first.path, &["status", "--porcelain"]), "");
    put(&first.path, "cache/big", "kept");
    let again = f.prepare(&pool, "one", W1);
    assert_eq!((again.recycled, &again.tip), (true, &first.tip));
    put(&first.path, "new.txt", "x");
    let taken = f.snapshot(&first, "one", 1);
    f.write("main.txt", "x");
    let main = f.commit("user");
    let next = f.prepare(&pool, "two", W1);
    assert_eq!((next.recycled, &next.tip), (true, &main));
    assert_eq!(get(&next.path, "new.txt"), None);
    assert_eq!(get(&next.path, "main.txt").as_deref(), Some("x"));
    assert_eq!(get(&next.path, "cache/big").as_deref(), Some("kept"));
    // Unmerged commits are continued; their base is where they left the target.
    let back = f.prepare(&pool, "one", W2);
    assert_eq!((back.tip, back.base), (taken.tip, first.base));
    assert_eq!(get(&back.path, "new.txt").as_deref(), Some("x"));
    assert!(f.refs("refs/harness/lost").is_empty());
}

#[test]
fn a_merged_branch_starts_anew_and_a_fresh_one_keeps_what_it_had() {
    let f = Fixture::new();
    let pool = f.pool();
    let taken = f.feature(&pool, "one", "new.txt", "x");
    let fresh = f.try_prepare(&pool, "one", W1, true).unwrap();
    assert_eq!(fresh.tip, f.oid("main"));
    let old = format!("refs/harness/old/one/{}", taken.tip.short());
    assert_eq!(f.oid(&old), taken.tip);
    let taken = f.feature(&pool, "two", "two.txt", "x");
    f.git(&f.root, &["merge", "-q", "--no-edit", "harness/two"]);
    f.write("more.txt", "x");
    f.commit("more");
    let merged = f.prepare(&pool, "two", W1);
    assert_eq!(merged.tip, f.oid("main"));
    assert_ne!(merged.tip, taken.tip);
    assert!(f.refs("refs/harness/old/two").is_empty());
}

#[test]
fn work_left_by_a_crash_is_resumed_as_it_was() {
    let f = Fixture::new();
    let pool = f.pool();
    let first = f.prepare(&pool, "one", W1);
    put(&first.path, "half.txt", "half");
    put(&first.path, "b.txt", "changed");
    let admin = f.git(&first.path, &["rev-parse", "--absolute-git-dir"]);
    fs::write(Path::new(&admin).join("index.lock"), "").unwrap();
    f.write("user.txt", "x");
    f.commit("the target has moved");
    let again = f.prepare(&f.pool(), "one", W1);
    assert!(again.resumed);
    assert_eq!(again.tip, first.tip);
    assert_eq!(get(&again.path, "half.txt").as_deref(), Some("half"));
    assert_eq!(get(&again.path, "b.txt").as_deref(), Some("changed"));
    f.git(&again.path, &["add", "-A"]);
    // A HEAD that is gone is no reason to lose it.
    fs::remove_file(Path::new(&admin).join("HEAD")).unwrap();
    assert!(f.prepare(&f.pool(), "one", W1).resumed);
    // In another worktree it goes on, too.
    let moved = f.prepare(&f.pool(), "one", W2);
    assert_eq!(get(&moved.path, "half.txt").as_deref(), Some("half"));
    assert_eq!(get(&moved.path, "b.txt").as_deref(), Some("changed"));
    // And another feature finds nothing of it.
    let other = f.prepare(&f.pool(), "two", W1);
    assert_eq!(get(&other.path, "half.txt"), None);
    assert_eq!(f.refs("refs/harness/lost").len(), 1);
}

#[test]
fn features_do_not_get_in_each_others_way() {
    let f = Fixture::new();
    let pool = f.pool();
    std::thread::scope(|scope| {
        for n in 1..=6 {
            let (f, pool) = (&f, pool.clone());
            scope.spawn(move || {
                let name = format!("f{n}");
                for iteration in 1..=3 {
                    let prepared = f.prepare(&pool, &name, WorktreeName(n));
                    put(&prepared.path, &format!("{name}-{iteration}"), "x");
                    f.snapshot(&prepared, &name, iteration);
                    f.candidate(&name, Strategy::Merge);
                }
            });
        }
    });
    for n in 1..=6 {
        let candidate = f.candidate(&format!("f{n}"), Strategy::Merge);
        pool.gate_checkout(&candidate.commit, 1, false).unwrap();
        let landed = f.publish(&candidate);
        assert_eq!(landed, crate::model::PublishOutcome::Done);
    }
    let files = f.git(&f.root, &["ls-files", "f*"]);
    assert_eq!(files.lines().count(), 18);
}

#[test]
fn work_of_another_feature_is_kept_before_a_worktree_is_reused() {
    let f = Fixture::new();
    let pool = f.pool();
    let first = f.prepare(&pool, "one", W1);
    put(&first.path, "half.txt", "half");
    fs::remove_file(first.path.join("b.txt")).unwrap();
    f.prepare(&pool, "two", W1);
    let lost = f.refs("refs/harness/lost");
    assert_eq!(lost.len(), 1, "{lost:?}");
    assert!(lost[0].starts_with("refs/harness/lost/w1-"));
    assert_eq!(f.show(&lost[0], "half.txt").as_deref(), Some("half"));
    assert_eq!(f.show(&lost[0], "b.txt"), None);
    // So is a commit that no branch names.
    put(&first.path, "c.txt", "c");
    f.git(&first.path, &["checkout", "-q", "--detach"]);
    f.git(&first.path, &["add", "-A"]);
    f.git(&first.path, &["commit", "-q", "-m", "nowhere"]);
    let nowhere = f.git(&first.path, &["rev-parse", "HEAD"]);
    f.prepare(&pool, "three", W1);
    let kept = f.refs("refs/harness/lost");
    assert!(
        kept.iter().any(|name| f.oid(name).as_str() == nowhere),
        "{kept:?}"
    );
}

#[test]
fn crashes_while_a_worktree_was_made_or_removed_are_repaired() {
    let f = Fixture::new();
    let pool = f.pool();
    let path = pool.path(W1);
    // An empty directory git knows nothing of.
    fs::create_dir_all(&path).unwrap();
    assert!(!f.prepare(&pool, "one", W1).recycled);
    // Registered, but its directory is gone.
    fs::remove_dir_all(&path).unwrap();
    assert!(!f.prepare(&pool, "one", W1).recycled);
    // Gone, and the feature goes on elsewhere.
    fs::remove_dir_all(&path).unwrap();
    f.prepare(&pool, "one", W2);
    f.prepare(&pool, "one", W1);
    // Killed in the middle of `git worktree add`.
    let admin = f.git(&path, &["rev-parse", "--absolute-git-dir"]);
    fs::write(Path::new(&admin).join("locked"), "initializing").unwrap();
    fs::remove_file(path.join("a.txt")).unwrap();
    let made = f.prepare(&pool, "one", W1);
    assert!(!made.recycled && !made.resumed);
    assert!(get(&path, "a.txt").is_some());
    // A broken index.
    let admin = f.git(&path, &["rev-parse", "--absolute-git-dir"]);
    fs::write(Path::new(&admin).join("index"), "garbage").unwrap();
    put(&path, "half.txt", "half");
    f.prepare(&pool, "two", W1);
    assert_eq!(f.git(&path, &["status", "--porcelain"]), "");
    let kept = |name: &String| f.show(name, "half.txt").is_some();
    assert!(f.refs("refs/harness/lost").iter().any(kept));
    // An agent removed or replaced the link to the repository.
    fs::remove_file(path.join(".git")).unwrap();
    f.git(&path, &["init", "-q"]);
    put(&path, "mine.txt", "mine");
    let again = f.prepare(&pool, "two", W1);
    assert!(again.resumed);
    assert_eq!(f.git(&path, &["status", "--porcelain"]), "?? mine.txt");
}

#[test]
fn nobody_ever_sees_half_a_worktree() {
    let f = Fixture::new();
    let pool = f.pool();
    let all = f.root.join(".git/worktrees");
    let over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let look = scope.spawn(|| {
            let mut seen = 0;
            while !over.load(std::sync::atomic::Ordering::Relaxed) {
                for admin in fs::read_dir(&all).into_iter().flatten().flatten() {
                    // Gone in between is fine, half there is not.
                    for file in ["commondir", "gitdir", "HEAD"] {
                        match fs::read(admin.path().join(file)) {
                            Ok(text) => assert!(text.ends_with(b"\n"), "{file}: {text:?}"),
                            Err(_) => assert!(!admin.path().exists(), "{file} is missing"),
                        }
                        seen += 1;
                    }
                }
            }
            seen
        });
        // No name twice: what is gone stays gone.
        for number in 1..=20 {
            f.prepare(&pool, "one", WorktreeName(number));
            pool.tidy(&[], &[], MAIN).unwrap();
        }
        over.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(look.join().unwrap() > 0);
    });
}

#[test]
fn a_sparse_checkout_stays_one_in_worktrees() {
    let f = Fixture::new();
    f.write("docs/big.txt", "x");
    f.commit("docs");
    f.git(&f.root, &["sparse-checkout", "set", "--no-cone", "/a.txt"]);
    f.git(&f.root, &["config", "--worktree", "core.bare", "false"]);
    let made = f.prepare(&f.pool(), "one", W1);
    assert_eq!(get(&made.path, "docs/big.txt"), None);
    assert!(get(&made.path, "a.txt").is_some());
    assert_eq!(f.git(&made.path, &["status", "--porcelain"]), "");
    assert!(
        !f.try_git(&made.path, &["config", "--worktree", "core.bare"])
            .0
    );
}

#[test]
fn what_is_not_ours_is_left_alone() {
    let f = Fixture::new();
    let pool = f.pool();
    let refused = || {
        f.try_prepare(&pool, "one", W1, false)
            .unwrap_err()
            .to_string()
    };
    put(pool.dir(), "w1", "a file");
    assert!(refused().contains("not a directory"));
    fs::remove_file(pool.path(W1)).unwrap();
    put(&pool.path(W1), "stray.txt", "stray");
    assert!(refused().contains("harness did not put there"));
    assert_eq!(get(&pool.path(W1), "stray.txt").as_deref(), Some("stray"));
    fs::remove_dir_all(pool.path(W1)).unwrap();
    f.git(pool.dir(), &["clone", "-q", f.root.to_str().unwrap(), "w1"]);
    assert!(refused().contains("repository of its own"));
    f.git(&pool.path(W1), &["worktree", "add", "-q", "../w2"]);
    let error = f.try_prepare(&pool, "one", W2, false).unwrap_err();
    assert!(error.to_string().contains("another repository"), "{error}");
    assert!(get(&pool.path(W2), "b.txt").is_some());
    // The feature's branch is checked out by the user.
    f.git(
        &f.root,
        &["worktree", "add", "-q", "../mine", "-b", "harness/three"],
    );
    let error = f
        .try_prepare(&pool, "three", WorktreeName(3), false)
        .unwrap_err();
    assert!(
        matches!(&error, GitError::BranchInUse { path, .. } if path.ends_with("mine")),
        "{error}"
    );
    f.git(&f.root, &["worktree", "remove", "../mine"]);
    f.git(&f.root, &["branch", "-D", "harness/three"]);
    f.git(&f.root, &["branch", "harness"]);
    let error = f
        .try_prepare(&pool, "three", WorktreeName(3), false)
        .unwrap_err();
    assert!(
        error.to_string().contains("git branch -m harness"),
        "{error}"
    );
}

#[test]
fn worktreeinclude_copies_ignored_files_only() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let f = Fixture::new();
    f.write(".worktreeinclude", "# local files\n.env\n/conf/*.ignored\n!conf/not.ignored\nuntracked.txt\n.harness/\nlink.ignored\n");
    f.commit("include");
    f.write(".env", "SECRET=1");
    fs::set_permissions(f.root.join(".env"), fs::Permissions::from_mode(0o600)).unwrap();
    f.write("conf/yes ü.ignored", "yes");
    f.write("conf/not.ignored", "no");
    f.write("deep/conf/x.ignored", "anchored elsewhere");
    f.write("deep/.env", "deep");
    f.write("untracked.txt", "would be committed");
    f.write(".harness/.gitignore", "*");
    f.write(".harness/journal.jsonl", "state");
    symlink("/etc/passwd", f.root.join("link.ignored")).unwrap();
    let pool = f.pool();
    let prepared = f.prepare(&pool, "one", W1);
    assert_eq!(prepared.included, 3);
    let there = |name: &str| get(&prepared.path, name);
    assert_eq!(there(".env").as_deref(), Some("SECRET=1"));
    let mode = fs::metadata(prepared.path.join(".env"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(there("deep/.env").as_deref(), Some("deep"));
    assert_eq!(there("conf/yes ü.ignored").as_deref(), Some("yes"));
    for absent in [
        "conf/not.ignored",
        "deep/conf/x.ignored",
        "untracked.txt",
        "link.ignored",
        ".harness/journal.jsonl",
    ] {
        assert_eq!(there(absent), None, "{absent}");
    }
    assert_eq!(f.git(&prepared.path, &["status", "--porcelain"]), "");
    // Tracked files and files behind links are not overwritten.
    f.git(&f.root, &["branch", "-q", "tracked"]);
    let outside = f.home().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::remove_dir_all(prepared.path.join("conf")).unwrap();
    symlink(&outside, prepared.path.join("conf")).unwrap();
    put(&prepared.path, ".env", "TRACKED=1");
    f.git(&prepared.path, &["add", "-f", ".env", "conf"]);
    f.git(&prepared.path, &["commit", "-q", "-m", "odd"]);
    let again = f.prepare(&pool, "one", W1);
    assert_eq!(again.included, 1);
    assert_eq!(there(".env").as_deref(), Some("TRACKED=1"));
    assert!(fs::read_dir(&outside).unwrap().next().is_none());
}

#[test]
fn the_gate_sees_exactly_the_commit() {
    let f = Fixture::new();
    let pool = f.pool();
    let first = f.oid("main");
    f.write("b.txt", "changed");
    f.write("new.txt", "new");
    let second = f.commit("second");
    let gate = pool.gate_checkout(&second, 1, false).unwrap();
    assert_eq!(get(&gate, "new.txt").as_deref(), Some("new"));
    // A gate that leaves dirt, caches, an embedded repository, another branch and an unfinished merge.
    put(&gate, "b.txt", "dirt");
    put(&gate, "left.txt", "dirt");
    put(&gate, "cache/x", "cache");
    f.git(&gate, &["init", "-q", "inner"]);
    f.git(&gate, &["checkout", "-q", "-b", "gate-branch"]);
    let admin = f.git(&gate, &["rev-parse", "--absolute-git-dir"]);
    fs::write(Path::new(&admin).join("index.lock"), "").unwrap();
    fs::write(Path::new(&admin).join("MERGE_HEAD"), format!("{second}\n")).unwrap();
    assert_eq!(pool.gate_checkout(&first, 1, false).unwrap(), gate);
    assert_eq!(f.git(&gate, &["status", "--porcelain"]), "");
    assert_eq!(f.git(&gate, &["rev-parse", "HEAD"]), first.as_str());
    assert_eq!(get(&gate, "new.txt"), None);
    assert_eq!(get(&gate, "cache/x").as_deref(), Some("cache"));
    assert!(!gate.join("inner").exists());
    assert_eq!(f.oid("gate-branch"), second);
    fs::write(Path::new(&admin).join("index"), "garbage").unwrap();
    pool.gate_checkout(&second, 1, false).unwrap();
    assert_eq!(f.git(&gate, &["status", "--porcelain"]), "");
}

#[test]
fn hooks_of_the_repository_do_not_run() {
    use std::os::unix::fs::PermissionsExt;
    let f = Fixture::new();
    for hook in [
        "post-checkout",
        "reference-transaction",
        "post-merge",
        "pre-merge-commit",
        "post-index-change",
    ] {
        f.write(
            &format!(".git/hooks/{hook}"),
            "#!/bin/sh\ntouch \"$HOME/ran\"\nexit 1\n",
        );
        let path = f.root.join(".git/hooks").join(hook);
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let pool = f.pool();
    let prepared = f.prepare(&pool, "one", W1);
    put(&prepared.path, "new.txt", "x");
    let one = slug("one");
    let taken = f
        .repo()
        .snapshot(&prepared.path, &one, 1, &prepared.tip, "s", &[]);
    assert!(taken.unwrap().changed);
    let candidate = f.candidate("one", Strategy::Merge);
    pool.gate_checkout(&candidate.commit, 1, false).unwrap();
    assert_eq!(f.publish(&candidate), crate::model::PublishOutcome::Done);
    pool.tidy(&[], &[], MAIN).unwrap();
    assert!(!f.home().join("ran").exists());
}

#[test]
fn tidy_leaves_the_users_repository_as_it_was() {
    for strategy in [Strategy::Merge, Strategy::Squash] {
        let f = Fixture::new();
        let pool = f.pool();
        let taken = f.feature(&pool, "one", "new.txt", "x");
        let open = f.prepare(&pool, "open", W2);
        put(&open.path, "open.txt", "x");
        f.snapshot(&open, "open", 1);
        put(&open.path, "half.txt", "half");
        let candidate = f.candidate("one", strategy);
        pool.gate_checkout(&candidate.commit, 1, false).unwrap();
        f.publish(&candidate);
        assert_eq!(pool.list().unwrap().len(), 3);
        let landed = [
            (slug("one"), taken.tip.clone()),
            (slug("open"), f.oid("main")),
        ];
        pool.tidy(&[W2], &landed, MAIN).unwrap();
        let left: Vec<_> = pool.list().unwrap();
        assert_eq!(left.len(), 1);
        assert_eq!(
            (left[0].name, left[0].feature.clone()),
            (Some(W2), Some(slug("open")))
        );
        assert_eq!(get(&open.path, "half.txt").as_deref(), Some("half"));
        pool.tidy(&[], &landed, MAIN).unwrap();
        assert!(!pool.dir().exists());
        assert_eq!(f.git(&f.root, &["worktree", "list"]).lines().count(), 1);
        assert_eq!(f.refs("refs/heads"), ["refs/heads/harness/open", MAIN]);
        let snapshots: Vec<String> = f.refs("refs/harness");
        let known = [
            "refs/harness/iterations/",
            "refs/harness/lost/w2-",
            "refs/harness/old/one/",
        ];
        assert!(
            snapshots
                .iter()
                .all(|name| known.iter().any(|k| name.starts_with(k))),
            "{snapshots:?}"
        );
        let lost = f.refs("refs/harness/lost");
        assert_eq!(f.show(&lost[0], "half.txt").as_deref(), Some("half"));
        assert_eq!(f.repo().snapshots(&slug("one")).unwrap(), [(1, taken.tip)]);
    }
}

#[test]
fn a_branch_that_moved_on_or_is_in_use_survives_tidy() {
    let f = Fixture::new();
    let pool = f.pool();
    let taken = f.feature(&pool, "one", "new.txt", "x");
    f.publish(&f.candidate("one", Strategy::Merge));
    let prepared = f.prepare(&pool, "one", W1);
    put(&prepared.path, "later.txt", "x");
    let later = f.snapshot(&prepared, "one", 2);
    pool.tidy(&[], &[(slug("one"), taken.tip)], MAIN).unwrap();
    assert_eq!(f.oid("harness/one"), later.tip);
    // A worktree of the user in the same repository is none of our business, there or not.
    f.git(&f.root, &["worktree", "add", "-q", "../mine", "-b", "mine"]);
    f.git(
        &f.root,
        &["worktree", "add", "-q", "../unplugged", "-b", "unplugged"],
    );
    fs::remove_dir_all(f.root.parent().unwrap().join("unplugged")).unwrap();
    pool.tidy(&[], &[(slug("one"), later.tip.clone())], MAIN)
        .unwrap();
    assert_eq!(f.git(&f.root, &["worktree", "list"]).lines().count(), 3);
    assert_eq!(f.oid("harness/one"), later.tip, "not in the target");
}

#[test]
fn clean_removes_all_but_unmerged_work() {
    let f = Fixture::new();
    let pool = f.pool();
    f.feature(&pool, "done", "done.txt", "x");
    f.publish(&f.candidate("done", Strategy::Merge));
    let open = f.feature(&pool, "open", "open.txt", "x");
    put(&pool.path(W1), "half.txt", "half");
    let mut read_only = fs::metadata(pool.path(W1)).unwrap().permissions();
    put(&pool.path(W1), "cache/mod/file", "x");
    std::os::unix::fs::PermissionsExt::set_mode(&mut read_only, 0o555);
    fs::set_permissions(pool.path(W1).join("cache/mod"), read_only).unwrap();
    let cleaned = pool.clean(MAIN, false).unwrap();
    assert_eq!(cleaned.branches, ["harness/done"]);
    let why = "its work has not landed".to_owned();
    assert_eq!(cleaned.kept_branches, [("harness/open".to_owned(), why)]);
    assert_eq!(cleaned.worktrees.len(), 1);
    assert_eq!(
        f.show(&cleaned.rescued[0], "half.txt").as_deref(),
        Some("half")
    );
    assert!(!pool.dir().exists());
    let cleaned = pool.clean(MAIN, true).unwrap();
    assert_eq!(cleaned.branches, ["harness/open"]);
    assert_eq!(
        f.oid(&format!("refs/harness/old/open/{}", open.tip.short())),
        open.tip
    );
    assert_eq!(
        pool.clean(MAIN, true).unwrap(),
        crate::git::Cleaned::default()
    );
}
