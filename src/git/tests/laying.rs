//! Laying a merge into a worktree: what it says, and that it can be done again after anything.

use super::handback::{BOTH, Bench, Clash};
use super::*;
use crate::git::Laid;
use crate::model::{ConflictKind, Conflicted, MergeVerdict};

fn kinds(laid: &[Conflicted]) -> Vec<(&str, ConflictKind)> {
    laid.iter().map(|c| (c.path.as_str(), c.kind)).collect()
}

#[test]
fn the_kinds_of_conflict() {
    use ConflictKind::{BothModified, DeletedByFeature, DeletedByTarget};
    let texts = Bench::new(Clash::Text).conflicts();
    assert_eq!(
        kinds(&texts),
        [("a.txt", BothModified), ("two.txt", BothModified)]
    );
    let removed = Bench::new(Clash::Removal).conflicts();
    assert_eq!(
        kinds(&removed),
        [
            ("gone.txt", DeletedByTarget),
            ("left.txt", DeletedByFeature)
        ]
    );
}

#[test]
fn the_rarer_kinds_of_conflict() {
    use ConflictKind::{Binary, BothAdded, Link, Submodule};
    let b = rarities();
    let laid = b.conflicts();
    let found = kinds(&laid);
    for wanted in [
        ("x.lock", Binary),
        ("new.txt", BothAdded),
        ("link", Link),
        ("sub", Submodule),
    ] {
        assert!(found.contains(&wanted), "{wanted:?} in {found:?}");
    }
    let made_up = |path: &str| path.starts_with("clash~");
    assert!(found.iter().any(|(path, _)| made_up(path)), "{found:?}");
    // Nothing is taken for a choice that nobody made.
    let taken = b.take(2, false);
    let Some(MergeVerdict::Unresolved { findings }) = taken.merge else {
        panic!("{taken:?}");
    };
    let findings = findings.join(" | ");
    for name in ["new.txt", "x.lock", "link", "clash~"] {
        assert!(findings.contains(name), "{name}: {findings}");
    }
}

/// A merge with conflicts that are not about lines of text.
fn rarities() -> Bench {
    let f = Fixture::new();
    f.write(".gitattributes", "*.lock -merge\n");
    f.write("x.lock", "base\n");
    f.write("clash", "file\n");
    let old = f.commit("base");
    let inner = |oid: &Oid| format!("160000,{oid},sub");
    f.write("b.txt", "more\n");
    let mine = f.commit("more");
    f.write("b.txt", "still more\n");
    let third = f.commit("still more");
    f.git(
        &f.root,
        &["update-index", "--add", "--cacheinfo", &inner(&old)],
    );
    f.git(&f.root, &["commit", "-q", "-m", "a submodule"]);
    let pool = f.pool();
    let mut p = f.prepare(&pool, "one", W1);
    let w = &p.path;
    for (name, text) in [
        ("x.lock", "mine\n"),
        ("new.txt", "mine\n"),
        ("clash", "mine\n"),
    ] {
        put(w, name, text);
    }
    std::os::unix::fs::symlink("mine", w.join("link")).unwrap();
    f.git(w, &["add", "-A"]);
    f.git(w, &["update-index", "--cacheinfo", &inner(&mine)]);
    f.git(w, &["commit", "-q", "-m", "mine"]);
    p.tip = f.oid("harness/one");
    for (name, text) in [("x.lock", "landed\n"), ("new.txt", "landed\n")] {
        f.write(name, text);
    }
    fs::remove_file(f.root.join("clash")).unwrap();
    f.write("clash/file", "landed\n");
    std::os::unix::fs::symlink("landed", f.root.join("link")).unwrap();
    f.git(&f.root, &["add", "-A"]);
    f.git(
        &f.root,
        &["update-index", "--add", "--cacheinfo", &inner(&third)],
    );
    f.git(&f.root, &["commit", "-q", "-m", "landed"]);
    let onto = f.oid("HEAD");
    Bench { f, pool, p, onto }
}

#[test]
fn the_markers_say_what_they_are_and_no_configuration_bends_them() {
    let b = Bench::unlaid(Clash::Text);
    for (key, value) in [
        ("merge.conflictStyle", "merge"),
        ("merge.ff", "only"),
        ("merge.verifySignatures", "true"),
        ("rerere.enabled", "true"),
        ("rerere.autoUpdate", "true"),
        ("commit.gpgSign", "true"),
        ("pull.twohead", "ours"),
        ("branch.harness/one.mergeOptions", "--squash -X ours"),
        ("core.hooksPath", "/does/not/exist"),
    ] {
        b.f.git(&b.f.root, &["config", key, value]);
    }
    b.lay();
    let text = get(&b.p.path, "a.txt").unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[4], "<<<<<<< HEAD");
    assert!(lines[6].starts_with("||||||| "), "{text}");
    assert_eq!(lines[10], ">>>>>>> harness/onto/one");
    assert_eq!(b.f.oid("refs/harness/onto/one"), b.onto);
}

#[test]
fn excerpts_show_the_conflicts_and_are_cut() {
    let b = Bench::new(Clash::Text);
    let conflicts = b.conflicts();
    let text = b.pool.conflict_excerpts(W1, &conflicts);
    let first: Vec<&str> = text.lines().take(4).collect();
    assert_eq!(first[0], "--- a.txt, line 5");
    assert_eq!(first[1], "<<<<<<< HEAD");
    assert_eq!(first[2], "five of the feature");
    assert!(text.contains("--- two.txt, line 5\n"));
    let long = format!("<<<<<<< HEAD\n{}\n>>>>>>> x\n", "line\x1b[31m\n".repeat(60));
    b.put("a.txt", &long);
    let mut many = conflicts.clone();
    many.extend((0..9).map(|_| conflicts[0].clone()));
    let text = b.pool.conflict_excerpts(W1, &many);
    assert!(
        text.contains("line\\u{1b}[31m\n--- 23 more lines\n"),
        "{text}"
    );
    assert!(text.ends_with("--- a.txt: not shown\n"));
    assert!(text.lines().count() < 230);
    // Nothing from outside of the worktree.
    put(b.f.home(), "secret", "<<<<<<< HEAD\nsecret\n>>>>>>> x\n");
    fs::remove_file(b.p.path.join("a.txt")).unwrap();
    std::os::unix::fs::symlink(b.f.home().join("secret"), b.p.path.join("a.txt")).unwrap();
    let outside = Conflicted {
        path: "../../secret".to_owned(),
        kind: ConflictKind::BothModified,
    };
    let text = b
        .pool
        .conflict_excerpts(W1, &[conflicts[0].clone(), outside]);
    assert_eq!(text, "");
}

#[test]
fn a_merge_without_conflict_is_completed_once() {
    let mut b = Bench::unlaid(Clash::Text);
    b.git(&["reset", "-q", "--hard", "HEAD~"]);
    b.put("feature.txt", "feature\n");
    b.p.tip = b.f.snapshot(&b.p, "one", 1).tip;
    let own = b.p.tip.clone();
    let Laid::Clean { tip } = b.lay_again() else {
        panic!("a conflict");
    };
    assert_eq!(b.f.oid("harness/one"), tip);
    let shown = b.git(&["log", "-1", "--format=%s %P"]);
    let short = b.onto.short();
    assert_eq!(shown, format!("Merge {short} into one {own} {}", b.onto));
    assert_eq!(b.git(&["status", "--porcelain"]), "");
    assert!(b.git(&["status"]).lines().count() <= 2);
    assert_eq!(get(&b.p.path, "landed.txt").as_deref(), Some("landed\n"));
    assert_eq!(b.lay_again(), Laid::Already);
    // The repair of a red gate is an iteration with a task that is fulfilled.
    b.put("fix.txt", "fix\n");
    assert_eq!(b.take(2, false).merge, Some(MergeVerdict::Resolved));
    // Taking back what landed is seen even so.
    b.p.tip = b.f.oid("harness/one");
    b.git(&["rm", "-q", "landed.txt"]);
    let taken = b.take_from(3, false);
    let Some(MergeVerdict::Unresolved { findings }) = &taken.merge else {
        panic!("{taken:?}");
    };
    assert!(findings[0].contains("`landed.txt`"), "{findings:?}");
    // The merge itself is not taken away again.
    assert!(b.f.repo().descends(&taken.tip, &tip).unwrap());
}

#[test]
fn a_branch_without_commits_of_its_own_is_merged_too() {
    let f = Fixture::new();
    let pool = f.pool();
    let p = f.prepare(&pool, "one", W1);
    f.write("x.txt", "x\n");
    let onto = f.commit("landed");
    let b = Bench { f, pool, p, onto };
    assert!(matches!(b.lay(), Laid::Clean { .. }));
    assert_eq!(b.lay(), Laid::Already);
}

#[test]
fn laying_twice_keeps_what_was_edited_in_between() {
    let mut b = Bench::new(Clash::Text);
    b.put("a.txt", BOTH);
    b.put("new.txt", "new\n");
    assert_eq!(b.conflicts().len(), 2);
    b.git(&["add", "a.txt"]);
    let Laid::Conflicted { conflicts } = b.lay_again() else {
        panic!("laid anew");
    };
    assert_eq!(kinds(&conflicts), [("two.txt", ConflictKind::BothModified)]);
    assert_eq!(get(&b.p.path, "a.txt").as_deref(), Some(BOTH));
    assert_eq!(get(&b.p.path, "new.txt").as_deref(), Some("new\n"));
    // Added with its markers: still to be done.
    b.git(&["add", "-A"]);
    assert_eq!(b.conflicts().len(), 1);
    b.put("two.txt", BOTH);
    b.git(&["add", "-A"]);
    assert_eq!(b.conflicts(), []);
    assert!(b.f.refs("refs/harness/lost/").is_empty());
    assert_eq!(b.take(2, false).merge, Some(MergeVerdict::Resolved));
}

#[test]
fn a_worktree_that_is_not_prepared_is_refused() {
    let b = Bench::unlaid(Clash::Text);
    for (name, worktree) in [("one", W2), ("two", W1)] {
        let laid = b.pool.lay_merge(&slug(name), worktree, &b.onto);
        assert!(laid.is_err(), "{name}");
    }
}

/// A state that harness was killed in, or a lost iteration left.
type Crash = (&'static str, fn(&Bench));

#[test]
fn killed_while_laying() {
    let crashes: [Crash; 6] = [
        ("at the very beginning", |b| {
            fs::write(b.admin().join("harness-laying"), "one\n").unwrap();
        }),
        ("some files written, the index locked", |b| {
            fs::write(b.admin().join("harness-laying"), "one\n").unwrap();
            b.put("side.txt", "landed beside the conflict\n");
            b.put("landed.txt", "landed\n");
            fs::write(b.admin().join("index.lock"), "half").unwrap();
        }),
        ("the index written, MERGE_HEAD not", |b| {
            b.lay();
            fs::write(b.admin().join("harness-laying"), "one\n").unwrap();
            for name in ["MERGE_HEAD", "MERGE_MODE", "MERGE_MSG"] {
                fs::remove_file(b.admin().join(name)).unwrap();
            }
        }),
        ("all but the last step", |b| {
            b.lay();
            fs::write(b.admin().join("harness-laying"), "one\n").unwrap();
        }),
        ("MERGE_HEAD written, the index not", |b| {
            fs::write(b.admin().join("MERGE_HEAD"), format!("{}\n", b.onto)).unwrap();
        }),
        ("the index broken", |b| {
            b.lay();
            fs::write(b.admin().join("index"), "garbage").unwrap();
        }),
    ];
    for (name, crash) in crashes {
        eprintln!("killed: {name}");
        let mut b = Bench::unlaid(Clash::Text);
        crash(&b);
        let Laid::Conflicted { conflicts } = b.lay_again() else {
            panic!("{name}");
        };
        assert_eq!(conflicts.len(), 2, "{name}");
        assert!(
            get(&b.p.path, "a.txt").unwrap().contains("<<<<<<< HEAD"),
            "{name}"
        );
        assert!(get(&b.p.path, "landed.txt").is_some(), "{name}");
        assert_eq!(b.f.oid("harness/one"), b.p.tip, "{name}");
        b.resolve();
        assert_eq!(
            b.take(2, false).merge,
            Some(MergeVerdict::Resolved),
            "{name}"
        );
    }
}

#[test]
fn killed_while_completing_a_clean_merge() {
    for moved in [false, true] {
        let mut b = Bench::unlaid(Clash::Text);
        b.git(&["reset", "-q", "--hard", "HEAD~"]);
        b.put("feature.txt", "feature\n");
        b.p.tip = b.f.snapshot(&b.p, "one", 1).tip;
        fs::write(b.admin().join("harness-laying"), "one\n").unwrap();
        b.git(&["merge", "-q", "--no-ff", "--no-commit", b.onto.as_str()]);
        if moved {
            let tree = b.git(&["write-tree"]);
            let (own, onto) = (b.p.tip.as_str(), b.onto.as_str());
            let commit = b.git(&["commit-tree", &tree, "-p", own, "-p", onto, "-m", "m"]);
            b.git(&["update-ref", "refs/heads/harness/one", &commit]);
        }
        match (b.lay_again(), moved) {
            (Laid::Clean { .. }, false) | (Laid::Already, true) => {}
            (other, _) => panic!("{other:?}"),
        }
        assert_eq!(b.git(&["status", "--porcelain"]), "");
        assert!(b.git(&["status"]).lines().count() <= 2);
        assert!(!b.admin().join("harness-laying").exists());
        assert_eq!(get(&b.p.path, "landed.txt").as_deref(), Some("landed\n"));
    }
}

#[test]
fn an_iteration_lost_half_way() {
    // Resolved, but in a way that only a verdict shows: it is not paid for twice.
    let mut b = Bench::new(Clash::Text);
    b.resolve();
    fs::remove_file(b.admin().join("MERGE_HEAD")).unwrap();
    assert_eq!(b.lay_again(), Laid::Already);
    assert_eq!(
        b.f.show("harness/one", "a.txt").as_deref(),
        Some(BOTH.trim_end())
    );
    // Aborted, with new work in the worktree: that goes to the branch.
    let mut b = Bench::new(Clash::Text);
    b.git(&["merge", "--abort"]);
    b.put("work.txt", "work\n");
    assert!(matches!(b.lay_again(), Laid::Conflicted { .. }));
    assert!(b.f.show("harness/one", "work.txt").is_some());
    // Half-way through a rebase: the branch as it was, the rest kept.
    let mut b = Bench::new(Clash::Text);
    b.git(&["merge", "--abort"]);
    assert!(!b.f.try_git(&b.p.path, &["rebase", "harness/onto/one"]).0);
    b.put("a.txt", BOTH);
    assert!(matches!(b.lay_again(), Laid::Conflicted { .. }));
    let lost = b.f.refs("refs/harness/lost/");
    let kept = |name: &String| b.f.show(name, "a.txt").as_deref() == Some(BOTH.trim_end());
    assert!(lost.iter().any(kept), "{lost:?}");
    // Committed with markers: no resolution.
    let mut b = Bench::new(Clash::Text);
    let own = b.p.tip.clone();
    b.git(&["commit", "-q", "-a", "--no-edit"]);
    let marked = b.f.oid("harness/one");
    b.put("work.txt", "work\n");
    assert!(matches!(b.lay_again(), Laid::Conflicted { .. }));
    assert_eq!(b.p.tip, own);
    assert_eq!(
        b.f.oid(&format!("refs/harness/lost/one-{}", marked.short())),
        marked
    );
    let lost = b.f.refs("refs/harness/lost/");
    assert!(lost.iter().any(|name| b.f.show(name, "work.txt").is_some()));
    b.resolve();
    assert_eq!(b.take(3, false).merge, Some(MergeVerdict::Resolved));
}

#[test]
fn a_snapshot_killed_after_the_branch_moved() {
    let mut b = Bench::new(Clash::Text);
    b.resolve();
    b.git(&["add", "a.txt"]);
    let index = fs::read(b.admin().join("index")).unwrap();
    let head = fs::read(b.admin().join("MERGE_HEAD")).unwrap();
    let taken = b.take(2, false);
    fs::write(b.admin().join("index"), index).unwrap();
    fs::write(b.admin().join("MERGE_HEAD"), head).unwrap();
    assert_eq!(b.lay_again(), Laid::Already);
    assert_eq!(b.git(&["status", "--porcelain"]), "");
    let again = b.take(3, false);
    assert_eq!((again.tip, again.changed), (taken.tip, false));
}

#[test]
fn more_landed_meanwhile() {
    // Resolved and not yet committed when more lands: that merge is completed, then the next laid.
    let mut b = Bench::new(Clash::Text);
    b.resolve();
    b.git(&["add", "-A"]);
    let first = b.onto.clone();
    b.f.write("a.txt", "quite different\n");
    b.onto = b.f.commit("more landed");
    let Laid::Conflicted { conflicts } = b.lay_again() else {
        panic!("no conflict");
    };
    assert_eq!(kinds(&conflicts), [("a.txt", ConflictKind::BothModified)]);
    assert!(b.f.repo().descends(&b.p.tip, &first).unwrap());
    // Not resolved: the new one takes its place.
    let mut b = Bench::new(Clash::Text);
    b.f.write("a.txt", "quite different\n");
    b.onto = b.f.commit("more landed");
    assert!(matches!(b.lay_again(), Laid::Conflicted { .. }));
    let merging = fs::read_to_string(b.admin().join("MERGE_HEAD")).unwrap();
    assert_eq!(merging.trim(), b.onto.as_str());
}
