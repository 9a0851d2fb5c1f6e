//! Finding the repository and its target; limits of git calls.

use super::*;
use crate::git::GitError;
use crate::git::cli::Git;
use crate::git::handles::USES;
use std::time::Duration;

#[test]
fn found_from_a_subdirectory_and_from_inside_a_worktree() {
    let f = Fixture::new();
    f.write("deep/er/file", "x");
    f.commit("deep");
    let pool = f.pool();
    let prepared = f.prepare(&pool, "one", W1);
    f.git(
        &f.root,
        &["worktree", "add", "-q", "../other", "-b", "topic"],
    );
    for start in [
        f.root.join("deep/er"),
        prepared.path.join("deep"),
        f.root.parent().unwrap().join("other/deep"),
        f.root.join(".git"),
    ] {
        let repo = Repo::discover_with(&start, env(f.home())).unwrap();
        assert_eq!(repo.root(), f.root, "{start:?}");
        assert_eq!(repo.git_dir(), f.root.join(".git"));
        assert_eq!(repo.name(), "my äpp");
        // The target is what the main checkout has, not what is checked out here.
        assert_eq!(repo.target(None).unwrap().refname, MAIN);
    }
}

#[test]
fn a_separate_git_directory_and_a_submodule_are_found() {
    let f = Fixture::new();
    let home = f.home().canonicalize().unwrap();
    f.git(
        &home,
        &[
            "init",
            "-q",
            "-b",
            "main",
            "--separate-git-dir",
            "store",
            "split",
        ],
    );
    let repo = Repo::discover_with(&home.join("split"), env(f.home())).unwrap();
    assert_eq!(repo.root(), home.join("split"));
    let source = f.root.to_str().unwrap();
    f.git(&home, &["init", "-q", "-b", "main", "super"]);
    let add = [
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "--quiet",
        "add",
        source,
        "sub",
    ];
    f.git(&home.join("super"), &add);
    let repo = Repo::discover_with(&home.join("super/sub"), env(f.home())).unwrap();
    assert_eq!(repo.root(), home.join("super/sub"));
    let pool = Worktrees::new(repo, &home.join("sub.harness")).unwrap();
    let prepared = pool
        .prepare(&slug("one"), W1, MAIN, false, Path::new("none"))
        .unwrap();
    assert_eq!(get(&prepared.path, "b.txt").as_deref(), Some("b\n"));
}

#[test]
fn what_is_not_usable_is_refused_with_a_remedy() {
    let f = Fixture::new();
    let home = f.home().canonicalize().unwrap();
    let discover = |dir: &Path| Repo::discover_with(dir, env(f.home()));
    fs::create_dir(home.join("plain")).unwrap();
    let error = discover(&home.join("plain")).unwrap_err();
    assert!(matches!(error, GitError::NotARepository { .. }), "{error}");
    let remedy = error.remedy().unwrap_or_default();
    assert!(remedy.contains("git init"), "{error}: {remedy}");
    f.git(
        &home,
        &["clone", "-q", "--bare", f.root.to_str().unwrap(), "bare"],
    );
    assert!(matches!(
        discover(&home.join("bare")),
        Err(GitError::Bare { .. })
    ));
    f.git(&home.join("bare"), &["worktree", "add", "-q", "../linked"]);
    assert!(matches!(
        discover(&home.join("linked")),
        Err(GitError::Bare { .. })
    ));
    f.git(&home, &["init", "-q", "--object-format=sha256", "long"]);
    assert!(matches!(
        discover(&home.join("long")),
        Err(GitError::Unsupported { .. })
    ));
    assert!(matches!(
        discover(&home.join("gone")),
        Err(GitError::Io { .. })
    ));
    let nowhere = [("PATH".into(), home.into_os_string())];
    let error = Repo::discover_with(&f.root, nowhere).unwrap_err();
    assert!(matches!(error, GitError::Missing { .. }), "{error}");
}

#[test]
fn a_git_that_is_too_old_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let f = Fixture::new();
    let fake = f.home().join("bin/git");
    put(f.home(), "bin/git", "#!/bin/sh\necho git version 2.34.1\n");
    fs::set_permissions(&fake, fs::Permissions::from_mode(0o755)).unwrap();
    let path = [("PATH".into(), f.home().join("bin").into_os_string())];
    let error = Repo::discover_with(&f.root, path).unwrap_err();
    assert!(
        matches!(&error, GitError::TooOld { found } if found == "2.34.1"),
        "{error}"
    );
}

#[test]
fn the_target_is_named_or_checked_out() {
    let f = Fixture::new();
    let repo = f.repo();
    f.git(&f.root, &["branch", "release/1"]);
    assert_eq!(repo.target(None).unwrap().tip, f.oid("main"));
    for name in ["release/1", "refs/heads/release/1"] {
        assert_eq!(
            repo.target(Some(name)).unwrap().refname,
            "refs/heads/release/1"
        );
    }
    let error = repo.target(Some("mian")).unwrap_err();
    assert_eq!(error.to_string(), "there is no branch `mian`");
    assert_eq!(error.remedy().as_deref(), Some("did you mean `main`?"));
    let error = repo.target(Some("something-else-entirely")).unwrap_err();
    assert!(matches!(error, GitError::NoSuchBranch { hint: None, .. }));
    // An alias names what it stands for: that is what is checked out somewhere.
    f.git(&f.root, &["symbolic-ref", "refs/heads/trunk", MAIN]);
    assert_eq!(repo.target(Some("trunk")).unwrap().refname, MAIN);
    f.git(&f.root, &["symbolic-ref", "-d", "refs/heads/trunk"]);
    f.git(&f.root, &["checkout", "-q", "--detach"]);
    assert!(matches!(repo.target(None), Err(GitError::Detached { .. })));
    assert_eq!(repo.target(Some("main")).unwrap().refname, MAIN);
    f.git(&f.root, &["checkout", "-q", "--orphan", "new"]);
    assert!(matches!(repo.target(None), Err(GitError::Unborn { branch }) if branch == "new"));
}

#[test]
fn the_users_identity_is_used_and_its_absence_is_no_obstacle() {
    let f = Fixture::new();
    assert!(f.repo().has_identity().unwrap());
    let nameless = env(f.home())
        .into_iter()
        .filter(|(name, _)| !name.to_str().unwrap().starts_with("GIT_AUTHOR_"))
        .filter(|(name, _)| !name.to_str().unwrap().starts_with("GIT_COMMITTER_"));
    let repo = Repo::discover_with(&f.root, nameless).unwrap();
    assert!(!repo.has_identity().unwrap());
    let pool = Worktrees::new(repo.clone(), Path::new("../p")).unwrap();
    let none = Path::new("none");
    let prepared = pool.prepare(&slug("one"), W1, MAIN, false, none).unwrap();
    put(&prepared.path, "new", "x");
    let taken = repo
        .snapshot(&prepared.path, &slug("one"), 1, &prepared.tip, "s", &[])
        .unwrap();
    let who = f.git(
        &f.root,
        &["log", "-1", "--format=%an %ae %cn", taken.tip.as_str()],
    );
    assert_eq!(who, "harness harness@localhost harness");
}

#[test]
fn a_hanging_git_command_is_killed() {
    let f = Fixture::new();
    let git = Git::in_dir(&f.root, env(f.home()));
    let hang = ["-c", "alias.hang=!sleep 1000", "hang"];
    let hanging = git.call(hang).limit(Duration::from_millis(100)).run();
    assert!(matches!(hanging, Err(GitError::TimedOut { .. })));
    // One that leaves something behind that holds its pipes is not waited for.
    let leave = ["-c", "alias.leave=!sleep 5 & echo done", "leave"];
    let started = std::time::Instant::now();
    assert_eq!(git.call(leave).ok().unwrap().text(), "done");
    assert!(started.elapsed() < Duration::from_secs(4));
}

#[test]
fn reading_history_and_differences() {
    let f = Fixture::new();
    let first = f.oid("main");
    f.git(&f.root, &["mv", "b.txt", "c.txt"]);
    f.write("a.txt", "1\n");
    let second = f.commit("second\n\nbody");
    let repo = f.repo();
    assert_eq!(
        repo.changed_paths(&first, &second).unwrap(),
        ["a.txt", "b.txt", "c.txt"]
    );
    let stat = repo.diff_stat(&first, &second).unwrap();
    assert_eq!((stat.files, stat.insertions, stat.deletions), (3, 1, 9));
    let log = repo.commits_on(MAIN, 10).unwrap();
    assert_eq!(
        log.iter().map(|c| c.subject.as_str()).collect::<Vec<_>>(),
        ["second", "first"]
    );
    assert_eq!(repo.log_between(&first, &second, 10).unwrap(), log[..1]);
    assert!(repo.contains(MAIN, &first).unwrap());
    assert!(!repo.contains("refs/heads/none", &first).unwrap());
    assert_eq!(repo.tip("refs/heads/none").unwrap(), None);
}

#[test]
fn what_was_read_is_not_remembered_for_ever() {
    let f = Fixture::new();
    let commit = f.oid("HEAD");
    let repo = f.repo();
    let tree = repo.tree_of(&commit).unwrap();
    let (dir, file) = commit.as_str().split_at(2);
    fs::remove_file(f.root.join(".git/objects").join(dir).join(file)).unwrap();
    // Remembered by the handle that read it, and each look is one more use of that.
    assert_eq!(repo.tree_of(&commit).unwrap(), tree);
    let looks = (0..USES).take_while(|_| repo.tree_of(&commit).is_ok());
    assert!(looks.count() < USES.try_into().unwrap());
    assert!(repo.tree_of(&commit).is_err());
}
