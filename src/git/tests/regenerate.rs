//! Generated files are made anew, everything else is merged or conflicts as ever.

use super::*;
use crate::git::{Generated, Rebuild, Regenerated};

fn patterns(list: &[&str]) -> Vec<String> {
    list.iter().map(|pattern| (*pattern).to_owned()).collect()
}

fn generating(f: &Fixture, list: &[&str]) -> Repo {
    f.repo().generating(&[patterns(list)]).unwrap()
}

fn merge(f: &Fixture, onto: &Oid, tip: &Oid, list: &[&str]) -> Generated {
    generating(f, list).merge_generated(onto, tip).unwrap()
}

fn rebuild(merged: Generated) -> (Oid, Oid, Vec<String>) {
    match merged {
        Generated::Rebuild(rebuild) => (rebuild.tree, rebuild.commit, rebuild.paths),
        other => panic!("{other:?}"),
    }
}

const LOCK: &str = "one 1\n\ntwo 1\n\nthree 1\n\nfour 1\n\nfive 1\n";

/// `main` with lock files; a base for branches.
fn locked() -> Fixture {
    let f = Fixture::new();
    f.write("Cargo.lock", LOCK);
    f.write("sub/ü/Cargo.lock", LOCK);
    f.write("snaps/a.snap", "a\n");
    f.commit("lock files");
    f
}

#[test]
fn a_clean_merge_without_them_is_just_that() {
    let f = locked();
    let one = f.branch("one", "main", |dir| {
        put(dir, "b.txt", "one\n");
        // Changed on one side only: that side's file is whole.
        put(dir, "Cargo.lock", "one 2\n");
    });
    f.write("main.txt", "main\n");
    let main = f.commit("main");
    f.make_dirty();
    let before = f.all_but_objects();
    let list = ["Cargo.lock", "*.snap"];
    let Generated::Clean(tree) = merge(&f, &main, &one, &list) else {
        panic!("not clean");
    };
    let show = |path: &str| f.show(tree.as_str(), path);
    assert_eq!(show("Cargo.lock").as_deref(), Some("one 2"));
    assert_eq!(show("main.txt").as_deref(), Some("main"));
    assert_eq!(merge(&f, &main, &one, &[]), Generated::Clean(tree));
    // Nothing to bring, and nothing to bring it to.
    let of = |oid: &Oid| Generated::Clean(f.repo().tree_of(oid).unwrap());
    assert_eq!(merge(&f, &one, &f.oid("main~"), &list), of(&one));
    assert_eq!(merge(&f, &f.oid("main~"), &one, &list), of(&one));
    assert_eq!(f.all_but_objects(), before);
}

#[test]
fn conflicts_in_them_take_the_targets_side() {
    let f = locked();
    let one = f.branch("one", "main", |dir| {
        put(dir, "Cargo.lock", "branch\n");
        put(dir, "sub/ü/Cargo.lock", "branch\n");
        fs::write(dir.join("image.bin"), [0, 1]).unwrap();
        fs::remove_file(dir.join("snaps/a.snap")).unwrap();
        put(dir, "snaps/new\nline.snap", "branch\n");
        put(dir, "code.txt", "code\n");
    });
    f.write("Cargo.lock", "main\n");
    fs::remove_file(f.root.join("sub/ü/Cargo.lock")).unwrap();
    fs::write(f.root.join("image.bin"), [0, 2]).unwrap();
    f.write("snaps/a.snap", "main\n");
    f.write("snaps/new\nline.snap", "main\n");
    fs::set_permissions(
        f.root.join("snaps/new\nline.snap"),
        fs::Permissions::from_mode(0o755),
    )
    .unwrap();
    let main = f.commit("main");
    let list = ["Cargo.lock", "/snaps/", "*.bin"];
    let (tree, commit, paths) = rebuild(merge(&f, &main, &one, &list));
    let all = [
        "Cargo.lock",
        "image.bin",
        "snaps/a.snap",
        "snaps/new\nline.snap",
        "sub/ü/Cargo.lock",
    ];
    assert_eq!(paths, all);
    // Apart from the branch's own work it is the target.
    let own = f.git(
        &f.root,
        &["diff", "--name-status", main.as_str(), tree.as_str()],
    );
    assert_eq!(own, "A\tcode.txt");
    assert_eq!(f.repo().tree_of(&commit).unwrap(), tree);
    let parents = f.git(&f.root, &["log", "-1", "--format=%P", commit.as_str()]);
    assert_eq!(parents, format!("{main} {one}"));
    let pin = format!("refs/harness/candidates/rebuild-{}", tree.short());
    assert_eq!(f.oid(&pin), commit);
    f.fsck();
    // What no pattern names still conflicts, and no ref is made for it.
    let refs = f.refs("refs/");
    let open = merge(&f, &main, &one, &["Cargo.lock", "snaps/*", "!snaps/a.snap"]);
    let paths = patterns(&["image.bin", "snaps/a.snap"]);
    assert_eq!(open, Generated::Conflict(paths));
    let open = merge(&f, &main, &one, &["/Cargo.lock", "snaps", "*.bin"]);
    assert_eq!(open, Generated::Conflict(patterns(&["sub/ü/Cargo.lock"])));
    assert_eq!(f.refs("refs/"), refs);
}

#[test]
fn a_clean_text_merge_of_them_is_not_trusted() {
    let f = locked();
    let one = f.branch("one", "main", |dir| {
        put(dir, "Cargo.lock", &LOCK.replace("one 1", "one 2"));
        put(dir, "snaps/a.snap", "same\n");
    });
    f.write("Cargo.lock", &LOCK.replace("five 1", "five 2"));
    f.write("snaps/a.snap", "same\n");
    let main = f.commit("main");
    let Generated::Clean(mixed) = merge(&f, &main, &one, &["*.none"]) else {
        panic!("git merges this cleanly");
    };
    let (tree, _, paths) = rebuild(merge(&f, &main, &one, &["Cargo.lock", "*.snap"]));
    assert_eq!(paths, ["Cargo.lock", "snaps/a.snap"]);
    assert_ne!(tree, mixed);
    assert_eq!(tree, f.repo().tree_of(&main).unwrap());
}

#[test]
fn one_that_was_moved_and_changed_is_not_trusted_either() {
    let f = locked();
    let one = f.branch("one", "main", |dir| {
        fs::create_dir(dir.join("moved")).unwrap();
        fs::rename(dir.join("Cargo.lock"), dir.join("moved/Cargo.lock")).unwrap();
        put(dir, "moved/Cargo.lock", &LOCK.replace("one 1", "one 2"));
    });
    f.write("Cargo.lock", &LOCK.replace("five 1", "five 2"));
    f.git(&f.root, &["mv", "sub/ü/Cargo.lock", "sub/Cargo.lock"]);
    let main = f.commit("main");
    let (tree, _, paths) = rebuild(merge(&f, &main, &one, &["Cargo.lock"]));
    assert_eq!(paths, ["moved/Cargo.lock"]);
    // The branch's own, whole file, where the target has none; nothing is left at the old place.
    let ours = f.show(one.as_str(), "moved/Cargo.lock");
    assert_eq!(f.show(tree.as_str(), "moved/Cargo.lock"), ours);
    assert_eq!(f.show(tree.as_str(), "Cargo.lock"), None);
    assert!(f.show(tree.as_str(), "sub/Cargo.lock").is_some());
    // Deleted on both sides: there is nothing to make anew.
    let gone = f.branch("gone", "main", |dir| {
        fs::remove_file(dir.join("snaps/a.snap")).unwrap();
    });
    fs::remove_file(f.root.join("snaps/a.snap")).unwrap();
    let main = f.commit("gone here too");
    assert!(matches!(
        merge(&f, &main, &gone, &["*.snap"]),
        Generated::Clean(_)
    ));
}

#[test]
fn files_in_the_place_of_directories_and_split_directories_conflict() {
    let f = locked();
    let one = f.branch("one", "main", |dir| {
        fs::remove_dir_all(dir.join("snaps")).unwrap();
        put(dir, "snaps", "a file now\n");
    });
    f.write("snaps/a.snap", "main\n");
    f.write("snaps/b.snap", "main\n");
    let main = f.commit("main");
    let Generated::Conflict(paths) = merge(&f, &main, &one, &["snaps/"]) else {
        panic!("must conflict");
    };
    assert!(
        paths.iter().any(|path| path.starts_with("snaps~")),
        "{paths:?}"
    );
    // All of it is covered: what comes out is the target's side, or the merge is refused; nothing else goes.
    match merge(&f, &main, &one, &["snaps*"]) {
        Generated::Rebuild(Rebuild { tree, .. }) => {
            let left = f.git(
                &f.root,
                &["diff", "--name-only", main.as_str(), tree.as_str()],
            );
            assert!(left.lines().all(|path| path.starts_with("snaps")), "{left}");
        }
        Generated::Conflict(_) => {}
        clean @ Generated::Clean(_) => panic!("{clean:?}"),
    }
    // One side splits a directory evenly, the other adds to it: git names no conflicted file.
    let f = Fixture::new();
    for n in 0..4 {
        f.write(&format!("d/{n}"), &format!("content {n}\n").repeat(9));
    }
    f.write("Cargo.lock", "1\n");
    f.commit("base");
    let split = f.branch("split", "main", |dir| {
        for n in 0..4 {
            let to = dir.join(if n < 2 { "x" } else { "y" });
            fs::create_dir_all(&to).unwrap();
            fs::rename(dir.join(format!("d/{n}")), to.join(n.to_string())).unwrap();
        }
        put(dir, "Cargo.lock", "split\n");
    });
    f.write("d/new", "new\n");
    f.write("Cargo.lock", "main\n");
    let main = f.commit("main");
    let merged = merge(&f, &main, &split, &["Cargo.lock"]);
    assert!(matches!(merged, Generated::Conflict(_)), "{merged:?}");
}

#[test]
fn patterns_that_mean_nothing_are_refused() {
    let f = locked();
    let main = f.oid("main");
    for bad in ["", "  ", "/", "../x", "a/../b", "a\nb", "#x", "x\0"] {
        let refused = f.repo().generating(&[patterns(&["ok", bad])]);
        let why = refused.unwrap_err().to_string();
        assert!(why.starts_with("cannot use the pattern"), "{why}");
    }
    f.git(&f.root, &["checkout", "-q", "--orphan", "other"]);
    let other = f.commit("another root");
    let unrelated = f.repo().merge_generated(&main, &other);
    assert!(unrelated.unwrap_err().to_string().contains("unrelated"));
}

/// Both sides changed the lock file; the merge stands in the gate's worktree.
fn in_the_gate() -> (Fixture, PathBuf, Rebuild) {
    let f = locked();
    let one = f.branch("one", "main", |dir| put(dir, "Cargo.lock", "branch\n"));
    f.write("Cargo.lock", "main\n");
    f.write(".gitignore", "*.ignored\ntarget/\nkept.lock\n");
    f.write("kept.lock", "known though ignored\n");
    f.git(&f.root, &["add", "-f", "kept.lock"]);
    let main = f.commit("main");
    let Generated::Rebuild(rebuild) = merge(&f, &main, &one, &["*.lock", "snaps/", "gen/"]) else {
        panic!("nothing to make");
    };
    let gate = f.pool().gate_checkout(&rebuild.commit, 1, false).unwrap();
    (f, gate, rebuild)
}

fn take(f: &Fixture, gate: &Path, rebuild: &Rebuild) -> Regenerated {
    let repo = generating(f, &["*.lock", "snaps/", "gen/"]);
    repo.take_regenerated(gate, rebuild).unwrap()
}

#[test]
fn takes_what_was_generated_and_tells_of_the_rest() {
    let (f, gate, rebuild) = in_the_gate();
    put(&gate, "Cargo.lock", "made\n");
    put(&gate, "kept.lock", "made\n");
    fs::remove_file(gate.join("sub/ü/Cargo.lock")).unwrap();
    fs::remove_dir_all(gate.join("snaps")).unwrap();
    put(&gate, "gen/neu ü\nname", "new\n");
    put(&gate, "gen/run", "#!/bin/sh\n");
    fs::set_permissions(gate.join("gen/run"), fs::Permissions::from_mode(0o755)).unwrap();
    std::os::unix::fs::symlink("run", gate.join("gen/link")).unwrap();
    fs::write(gate.join("gen/data"), [0, 255]).unwrap();
    put(&gate, "a.txt", "the command should not have\n");
    fs::remove_file(gate.join("b.txt")).unwrap();
    put(&gate, "added.txt", "staged\n");
    f.git(&gate, &["add", "added.txt", "Cargo.lock"]);
    put(&gate, "untracked.txt", "no one's\n");
    put(&gate, "target/x.lock", "ignored\n");
    put(&gate, ".harness/x.lock", "the outbox\n");
    f.make_dirty();
    let before = f.all_but_objects();
    let status = f.git(&gate, &["status", "--porcelain"]);
    let made = take(&f, &gate, &rebuild);
    let paths = [
        "Cargo.lock",
        "gen/data",
        "gen/link",
        "gen/neu ü\nname",
        "gen/run",
        "kept.lock",
        "snaps/a.snap",
        "sub/ü/Cargo.lock",
    ];
    assert_eq!(made.paths, paths);
    assert_eq!(made.left_out, ["a.txt", "added.txt", "b.txt"]);
    let modes = f.git(&f.root, &["ls-tree", "-r", made.tree.as_str(), "gen/"]);
    let modes: Vec<&str> = modes.lines().map(|line| &line[..6]).collect();
    assert_eq!(modes, ["100644", "120000", "100644", "100755"]);
    assert_eq!(
        f.show(made.tree.as_str(), "Cargo.lock").as_deref(),
        Some("made")
    );
    assert_eq!(f.show(made.tree.as_str(), "b.txt").as_deref(), Some("b"));
    let pin = format!("refs/harness/candidates/rebuild-{}", rebuild.tree.short());
    assert_eq!(f.repo().tree_of(&f.oid(&pin)).unwrap(), made.tree);
    // The worktree, its index, and the user's checkout are as they were.
    assert_eq!(f.git(&gate, &["status", "--porcelain"]), status);
    let but_pin = |mut state: BTreeMap<PathBuf, (u32, Vec<u8>)>| {
        state.remove(&f.root.join(".git").join(&pin));
        // What our own `git status` in the test refreshed.
        state.retain(|path, _| !path.starts_with(f.root.join(".git/worktrees")));
        state
    };
    assert_eq!(but_pin(f.all_but_objects()), but_pin(before));
    f.fsck();
}

#[test]
fn files_and_directories_may_change_places() {
    let (f, gate, rebuild) = in_the_gate();
    fs::remove_dir_all(gate.join("snaps")).unwrap();
    fs::remove_file(gate.join("Cargo.lock")).unwrap();
    put(&gate, "Cargo.lock/part.lock", "a directory now\n");
    put(&gate, "snaps/a.snap/deep.snap", "deeper\n");
    let made = take(&f, &gate, &rebuild);
    let paths = [
        "Cargo.lock",
        "Cargo.lock/part.lock",
        "snaps/a.snap",
        "snaps/a.snap/deep.snap",
    ];
    assert_eq!(made.paths, paths);
    assert!(made.left_out.is_empty());
    assert!(f.show(made.tree.as_str(), "Cargo.lock/part.lock").is_some());
    f.fsck();
}

#[test]
fn nothing_made_is_a_commit_of_the_same_tree_and_embedded_repositories_stay_out() {
    let (f, gate, rebuild) = in_the_gate();
    let made = take(&f, &gate, &rebuild);
    assert_eq!((&made.tree, made.paths.len()), (&rebuild.tree, 0));
    assert!(made.left_out.is_empty());
    f.git(&gate, &["init", "-q", "gen/repo"]);
    put(&gate, "gen/repo/file", "x");
    assert_eq!(take(&f, &gate, &rebuild).tree, rebuild.tree);
}

#[test]
fn a_worktree_that_holds_something_else_is_refused() {
    let (f, gate, rebuild) = in_the_gate();
    put(&gate, "Cargo.lock", "made\n");
    let repo = generating(&f, &["*.lock"]);
    let refs = f.refs("refs/");
    let why = |dir: &Path| {
        let refused = repo.take_regenerated(dir, &rebuild);
        refused.unwrap_err().to_string()
    };
    assert!(why(f.home()).contains("not a worktree"));
    f.git(&gate, &["commit", "-qam", "the command commits"]);
    assert!(why(&gate).contains("must not commit"));
    assert_eq!(f.refs("refs/"), refs);
}

#[test]
fn a_chain_lands_what_was_made_under_the_features_own_merge() {
    let f = locked();
    let tip = |name: &str, text: &str| {
        f.branch(&format!("harness/{name}"), "main", |dir| {
            put(dir, "Cargo.lock", text);
            put(dir, &format!("{name}.txt"), "own\n");
        })
    };
    let (one, two) = (tip("one", "one\n"), tip("two", "two\n"));
    let main = f.oid("main");
    let repo = f
        .repo()
        .generating(&[patterns(&["*.snap"]), patterns(&["Cargo.lock"])])
        .unwrap();
    let links: Vec<Link> = ["one", "two"]
        .map(|name| Link {
            slug: slug(name),
            message: format!("Land {name}\n"),
        })
        .into();
    let pool = f.pool();
    let mut asked = Vec::new();
    let mut remake = |rebuild: &Rebuild| {
        asked.push((rebuild.paths.clone(), rebuild.kinds.clone()));
        let gate = pool.gate_checkout(&rebuild.commit, 1, false).unwrap();
        put(&gate, "Cargo.lock", "one and two\n");
        Ok(Some(repo.take_regenerated(&gate, rebuild).unwrap().tree))
    };
    let built = repo.chain("1", &main, &main, &links, Strategy::Merge, &mut remake);
    let built = built.unwrap();
    assert_eq!((built.conflicts, built.failed), (vec![], vec![]));
    // The first is alone and its file is whole; the second meets it.
    assert_eq!(asked, [(vec!["Cargo.lock".to_owned()], vec![1])]);
    let last = &built.chain.steps[1].candidate;
    let show = |path: &str| f.show(last.commit.as_str(), path);
    assert_eq!(show("Cargo.lock").as_deref(), Some("one and two"));
    assert!(show("one.txt").is_some() && show("two.txt").is_some());
    let told = ["log", "-1", "--format=%P %s", last.commit.as_str()];
    let told = f.git(&f.root, &told);
    assert_eq!(
        told,
        format!("{} {two} Land two", built.chain.steps[0].candidate.commit)
    );
    assert!(repo.holds(&last.commit, &one).unwrap());
    // A command that fails is a conflict in its files, and nobody else's.
    let built = repo.chain("2", &main, &main, &links, Strategy::Squash, &mut |_| {
        Ok(None)
    });
    let built = built.unwrap();
    assert_eq!(built.chain.steps.len(), 1);
    assert_eq!(built.deferred, [slug("two")]);
}

#[test]
fn a_squashed_feature_is_held_though_its_generated_file_was_made_anew() {
    let f = locked();
    let one = f.branch("harness/one", "main", |dir| {
        put(dir, "Cargo.lock", "one\n");
        put(dir, "one.txt", "own\n");
    });
    f.write("one.txt", "own\n");
    f.write("Cargo.lock", "made of both\n");
    let main = f.commit("squashed");
    assert!(!f.repo().holds(&main, &one).unwrap());
    assert!(generating(&f, &["*.lock"]).holds(&main, &one).unwrap());
}
