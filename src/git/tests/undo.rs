//! Taking back what has landed.

use super::*;
use crate::git::Reverted;

fn undo(repo: &Repo, onto: &Oid, landed: &Oid) -> Oid {
    match repo.revert(onto, landed, "Take it back\n").unwrap() {
        Reverted::Clean(commit) => commit,
        other => panic!("{other:?}"),
    }
}

/// A feature that edits, adds, deletes, renames, makes executable and links, landed on `main`.
fn landed(strategy: Strategy) -> (Fixture, Oid, Oid) {
    let f = Fixture::new();
    f.write("gone.txt", "gone\n");
    f.write("run.sh", "#!/bin/sh\n");
    let before = f.commit("more");
    let pool = f.pool();
    let prepared = f.prepare(&pool, "one", W1);
    put(&prepared.path, "b.txt", "feature\n");
    put(&prepared.path, "neu/ü\nname", "new\n");
    fs::write(prepared.path.join("data.bin"), [0, 159, 146, 150]).unwrap();
    fs::remove_file(prepared.path.join("gone.txt")).unwrap();
    f.git(&prepared.path, &["mv", "a.txt", "moved.txt"]);
    let exec = fs::Permissions::from_mode(0o755);
    fs::set_permissions(prepared.path.join("run.sh"), exec).unwrap();
    std::os::unix::fs::symlink("b.txt", prepared.path.join("link")).unwrap();
    f.snapshot(&prepared, "one", 1);
    let candidate = f.candidate("one", strategy);
    assert_eq!(f.publish(&candidate), PublishOutcome::Done);
    (f, before, candidate.commit)
}

#[test]
fn a_merge_and_a_squash_are_taken_back_whole() {
    for strategy in [Strategy::Merge, Strategy::Squash] {
        let (f, before, landed) = landed(strategy);
        f.write("later.txt", "later\n");
        let onto = f.commit("later");
        f.make_dirty();
        let pin = format!("refs/harness/candidates/undo-{}", landed.short());
        let repo = f.repo();
        let mut untouched = f.all_but_objects();
        let undone = undo(&repo, &onto, &landed);
        assert_eq!(f.oid(&pin), undone);
        let commit = undone.as_str();
        assert_eq!(
            f.git(&f.root, &["log", "-1", "--format=%P %B", commit]),
            format!("{onto} Take it back")
        );
        // All that differs from before the feature is what came later, names, modes and links included.
        let left = f.git(&f.root, &["diff", "--name-status", before.as_str(), commit]);
        assert_eq!(left, "A\tlater.txt");
        let mut now = f.all_but_objects();
        let path = f.root.join(".git").join(&pin);
        assert!(now.remove(&path).is_some());
        let is_dir = |path: &PathBuf| path.is_dir();
        now.retain(|path, _| !is_dir(path));
        untouched.retain(|path, _| !is_dir(path));
        assert_eq!(now, untouched);
        f.fsck();
        // It lands like any other.
        f.git(&f.root, &["reset", "-q", "--hard"]);
        let published = repo.publish(MAIN, &onto, &undone).unwrap();
        assert_eq!(published, PublishOutcome::Done);
        assert_eq!(f.oid("main"), undone);
        // And once it has, there is nothing left to take back.
        let again = repo.revert(&undone, &landed, "again\n").unwrap();
        assert_eq!(again, Reverted::Nothing);
        // Taking back the taking back brings the feature again.
        let back = undo(&repo, &undone, &undone);
        let tree = |commit: &Oid| repo.tree_of(commit).unwrap();
        assert_eq!(tree(&back), tree(&onto));
    }
}

#[test]
fn later_work_on_the_same_places_conflicts_and_on_others_stays() {
    let (f, _, landed) = landed(Strategy::Merge);
    f.write("moved.txt", "1\n2\n3\n4\n5\n6\n7\n8\nlater\n");
    let onto = f.commit("edit what the feature renamed");
    let undone = undo(&f.repo(), &onto, &landed);
    let text = f.show(undone.as_str(), "a.txt").unwrap();
    assert!(text.ends_with("8\nlater"));
    f.write("b.txt", "built on the feature\n");
    let onto = f.commit("build on it");
    let refs = f.refs("refs/");
    let built = f.repo().revert(&onto, &landed, "m").unwrap();
    let paths = vec!["b.txt".to_owned()];
    assert_eq!(built, Reverted::Conflict(paths));
    assert_eq!(f.refs("refs/"), refs);
}

#[test]
fn what_cannot_be_taken_back_is_refused() {
    let (f, before, landed) = landed(Strategy::Merge);
    let repo = f.repo();
    let state = f.all_but_objects();
    let why = |onto: &Oid, commit: &Oid| {
        let refused = repo.revert(onto, commit, "m").unwrap_err();
        refused.to_string()
    };
    assert!(why(&before, &landed).contains("is not in the history of"));
    let root = f.oid("main~2");
    assert_eq!(
        f.git(&f.root, &["log", "-1", "--format=%P", root.as_str()]),
        ""
    );
    assert!(why(&landed, &root).contains("first commit"));
    let gone = Oid::parse(&"1".repeat(40)).unwrap();
    assert!(why(&landed, &gone).contains("is not in the history of"));
    assert!(why(&gone, &landed).contains("cannot read"));
    let old = f.repo_with_old_git("2.39.4");
    let refused = old.revert(&landed, &landed, "m").unwrap_err();
    assert!(refused.to_string().contains("needs git 2.40"));
    assert_eq!(f.all_but_objects(), state);
}
