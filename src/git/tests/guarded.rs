//! Refs of harness's own that somebody else moves.

use super::{Fixture, MAIN, W1, slug};
use crate::git::repo::{RefEdit, Repo};
use crate::git::{MovedRef, integration_ref};
use crate::model::Oid;
use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};

const A: &str = "refs/heads/harness/a";
const B: &str = "refs/heads/harness/b";
const PIN: &str = "refs/harness/iterations/b/1";

/// A repository with a record of it, the features `a` and `b`, and a second commit that is on no branch.
fn begun() -> (Fixture, Repo, Oid, Oid) {
    let f = Fixture::new();
    let first = f.oid("HEAD");
    let other = f.branch("other", "main", |root| super::put(root, "o.txt", "o\n"));
    let repo = f.repo();
    repo.begin_record();
    repo.expect_branch(&slug("a"));
    repo.expect_branch(&slug("b"));
    repo.ground(MAIN, None).unwrap();
    // What ends late of a run before.
    f.git(&f.root, &["update-ref", PIN, other.as_str()]);
    assert_eq!(repo.moved_refs().unwrap(), []);
    let all = [A, B, PIN].map(|name| RefEdit::Set(name, &first));
    repo.update_refs("test", &all).unwrap();
    assert_eq!(repo.moved_refs().unwrap(), []);
    (f, repo, first, other)
}

fn words(found: &[MovedRef]) -> String {
    let lines = found
        .iter()
        .map(|found| format!("{} {}\n", found.is_ours, found.what));
    lines.collect()
}

#[test]
fn what_others_move_delete_or_make_is_put_back_and_kept() {
    let (f, repo, first, other) = begun();
    let git = |args: &[&str]| f.git(&f.root, args);
    let integration = integration_ref(MAIN);
    git(&["update-ref", B, other.as_str()]);
    git(&["update-ref", "-d", PIN]);
    git(&["update-ref", &integration, other.as_str()]);
    git(&["update-ref", "refs/harness/candidates/7", other.as_str()]);
    let told = words(&repo.moved_refs().unwrap());
    for (name, at) in [(B, &first), (PIN, &first), (integration.as_str(), &first)] {
        assert_eq!(&f.oid(name), at, "{name}");
    }
    let is_there = |name: &str| f.try_git(&f.root, &["rev-parse", "-q", "--verify", name]).0;
    assert!(!is_there("refs/harness/candidates/7"));
    let short = other.short();
    for part in [
        format!(
            "true harness/b was moved, and is back at {}; ",
            first.short()
        ),
        format!("is kept as refs/harness/lost/b-{short}\n"),
        format!("true {PIN} was deleted, and is back at"),
        format!("true {integration} was moved"),
        format!(
            "candidates/7 was made by somebody else, and is removed; what it was moved to is kept as refs/harness/lost/moved-{short}"
        ),
    ] {
        assert!(told.contains(&part), "{part}: {told}");
    }
    assert_eq!(f.oid(&format!("refs/harness/lost/b-{short}")), other);
    assert_eq!(repo.moved_refs().unwrap(), [], "told once");
    assert!(is_there("refs/heads/other"));
    f.fsck();
}

#[test]
fn what_stands_in_the_way_of_a_ref_is_taken_away_first() {
    let (f, repo, first, other) = begun();
    f.git(&f.root, &["update-ref", "-d", B]);
    f.git(&f.root, &["update-ref", &format!("{B}/x"), other.as_str()]);
    f.git(&f.root, &["update-ref", "-d", PIN]);
    f.git(
        &f.root,
        &["update-ref", &format!("{PIN}/x"), other.as_str()],
    );
    assert_eq!(repo.moved_refs().unwrap().len(), 4);
    assert_eq!([f.oid(B), f.oid(PIN)], [first.clone(), first]);
    f.fsck();
}

#[test]
fn no_link_or_symbolic_ref_leads_harness_elsewhere() {
    let (f, repo, first, other) = begun();
    let at = |name: &str| f.root.join(".git").join(name);
    f.git(&f.root, &["symbolic-ref", PIN, MAIN]);
    repo.update_refs("test", &[RefEdit::Set(PIN, &other)])
        .unwrap();
    assert_eq!(f.oid(MAIN), first, "what it led to stands where it stood");
    assert_eq!(f.oid(PIN), other);
    for garbage in ["", "garbage\n", "ref: refs/heads/main\n"] {
        f.git(&f.root, &["pack-refs", "--all"]);
        fs::create_dir_all(at("refs/heads/harness")).unwrap();
        fs::write(at(B), garbage).unwrap();
        assert_eq!(repo.moved_refs().unwrap().len(), 1, "{garbage}");
        assert_eq!(f.oid(B), first);
    }
    // A file and a directory of the user's behind links.
    let precious = f.home().join("precious");
    fs::create_dir(&precious).unwrap();
    fs::write(precious.join("notes"), "mine\n").unwrap();
    fs::create_dir_all(at("refs/heads/harness")).unwrap();
    symlink(precious.join("notes"), at(B)).unwrap();
    fs::create_dir_all(at("refs/harness")).unwrap();
    fs::rename(at("refs/harness"), f.home().join("away")).unwrap();
    symlink(&precious, at("refs/harness")).unwrap();
    let told = words(&repo.moved_refs().unwrap());
    assert_eq!([f.oid(B), f.oid(PIN)], [first.clone(), other], "{told}");
    // The same before a single one is used.
    fs::write(precious.join("b"), "mine\n").unwrap();
    fs::rename(at("refs/heads/harness"), f.home().join("branches")).unwrap();
    symlink(&precious, at("refs/heads/harness")).unwrap();
    repo.mend(B).unwrap();
    assert_eq!(f.oid(B), first);
    assert_eq!(fs::read_to_string(precious.join("b")).unwrap(), "mine\n");
    fs::remove_file(precious.join("b")).unwrap();
    assert_eq!(
        fs::read_to_string(precious.join("notes")).unwrap(),
        "mine\n"
    );
    assert_eq!(fs::read_dir(&precious).unwrap().count(), 1);
}

#[test]
fn a_branch_is_its_agents_while_it_runs_and_a_persons_when_it_was_given_up() {
    let (f, repo, first, other) = begun();
    let moved = |name: &str, to: &Oid| f.git(&f.root, &["update-ref", name, to.as_str()]);
    repo.lend(&slug("a"));
    moved(A, &other);
    assert_eq!(repo.moved_refs().unwrap(), []);
    moved(A, &first);
    repo.take_back(&slug("a"));
    assert_eq!(repo.moved_refs().unwrap(), [], "as it was left");
    moved(A, &other);
    assert_eq!(repo.moved_refs().unwrap().len(), 1);
    assert_eq!(f.oid(A), first);

    repo.leave(&slug("b"), true);
    moved(B, &other);
    assert_eq!(repo.moved_refs().unwrap(), []);
    assert_eq!(f.oid(B), other, "it may be a person's work");
    moved(B, &first);
    assert!(words(&repo.moved_refs().unwrap()).starts_with("false harness/b was moved from"));
    assert_eq!(f.oid(B), first, "told, and left");
    // Asked for again at once: what stands there counts.
    moved(B, &other);
    repo.leave(&slug("b"), false);
    repo.mend(B).unwrap();
    assert_eq!(repo.moved_refs().unwrap(), []);
    moved(B, &first);
    repo.mend(B).unwrap();
    assert_eq!(f.oid(B), other, "mended before it is used");
    assert_eq!(
        repo.moved_refs().unwrap().len(),
        1,
        "and told at the next look"
    );
}

#[test]
fn a_snapshot_takes_the_branch_back() {
    let f = Fixture::new();
    let pool = f.pool();
    let repo = pool.repo.clone();
    repo.begin_record();
    repo.expect_branch(&slug("a"));
    let prepared = f.prepare(&pool, "a", W1);
    assert_eq!(repo.moved_refs().unwrap(), []);
    repo.lend(&slug("a"));
    super::put(&prepared.path, "x.txt", "x\n");
    f.git(&prepared.path, &["add", "-A"]);
    f.git(&prepared.path, &["commit", "-qm", "own"]);
    super::put(&prepared.path, "y.txt", "y\n");
    let taken = repo.snapshot(&prepared.path, &slug("a"), 1, &prepared.tip, "s", &[]);
    let tip = taken.unwrap().tip;
    f.git(&f.root, &["update-ref", A, prepared.tip.as_str()]);
    repo.take_back(&slug("a"));
    assert_eq!(repo.moved_refs().unwrap().len(), 1);
    assert_eq!(f.oid(A), tip);
}

#[test]
fn of_the_users_refs_only_losses_are_told_and_none_is_moved() {
    let (f, repo, first, other) = begun();
    let git = |args: &[&str]| f.git(&f.root, args);
    git(&["tag", "v1"]);
    git(&["branch", "gone"]);
    git(&["symbolic-ref", "refs/heads/alias", MAIN]);
    git(&["branch", "harness/no-feature"]);
    assert_eq!(repo.moved_refs().unwrap(), [], "new ones");
    git(&["merge", "-q", "--ff-only", "other"]);
    git(&[
        "update-ref",
        "refs/heads/harness/no-feature",
        other.as_str(),
    ]);
    git(&["pack-refs", "--all"]);
    assert_eq!(repo.moved_refs().unwrap(), [], "forward");
    git(&["reset", "-q", "--hard", first.as_str()]);
    git(&["tag", "-f", "v1", other.as_str()]);
    git(&["branch", "-D", "gone"]);
    git(&["checkout", "-q", "-b", "elsewhere"]);
    let told = words(&repo.moved_refs().unwrap());
    for part in [
        format!(
            "false main was moved from {} to {}",
            other.short(),
            first.short()
        ),
        format!("false refs/tags/v1 was moved from {}", first.short()),
        format!("false gone was deleted; it stood at {first}"),
        "false your checkout was switched to elsewhere".to_owned(),
    ] {
        assert!(told.contains(&part), "{part}: {told}");
    }
    assert_eq!(told.lines().count(), 4, "{told}");
    assert_eq!(f.oid("main"), first);
    assert_eq!(f.oid("v1"), other);
}

#[test]
fn landing_does_not_build_on_a_forged_integration_ref() {
    let (f, repo, first, other) = begun();
    f.git(
        &f.root,
        &["update-ref", &integration_ref(MAIN), other.as_str()],
    );
    assert_eq!(repo.ground(MAIN, None).unwrap().tip, first);
    f.git(&f.root, &["update-ref", "-d", &integration_ref(MAIN)]);
    assert_eq!(repo.ground(MAIN, None).unwrap().tip, first);
    assert_eq!(repo.moved_refs().unwrap().len(), 2);
}

#[test]
fn moves_of_our_own_are_never_taken_for_others() {
    let (_f, repo, first, other) = begun();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..3)
            .map(|writer| {
                let (repo, first, other) = (&repo, &first, &other);
                scope.spawn(move || {
                    let pin = format!("refs/harness/iterations/w{writer}/1");
                    for turn in 0..20 {
                        let to = if turn % 2 == 0 { first } else { other };
                        repo.update_refs("test", &[RefEdit::Set(&pin, to)]).unwrap();
                        repo.pin_candidate(&format!("w{writer}"), to).unwrap();
                    }
                })
            })
            .collect();
        let looker = scope.spawn(|| {
            let mut found = Vec::new();
            while !is_over.load(Ordering::Relaxed) {
                found.extend(repo.moved_refs().unwrap());
            }
            found
        });
        let ended: Vec<_> = writers.into_iter().map(|writer| writer.join()).collect();
        is_over.store(true, Ordering::Relaxed);
        assert!(ended.into_iter().all(|ended| ended.is_ok()));
        assert_eq!(looker.join().unwrap(), []);
    });
}

#[test]
fn many_kept_iterations_are_packed_and_watched_as_before() {
    let (f, repo, first, other) = begun();
    if !repo.git_is_at_least((2, 42)) {
        eprintln!("SKIPPED: this git cannot pack some refs only");
        return;
    }
    let pins: Vec<String> = (0..300)
        .map(|n| format!("refs/harness/iterations/a/{n}"))
        .collect();
    let edits: Vec<_> = pins.iter().map(|pin| RefEdit::Set(pin, &first)).collect();
    repo.update_refs("test", &edits).unwrap();
    let in_a_file = |name: &str| f.root.join(".git").join(name).exists();
    assert!(in_a_file(&pins[7]));
    assert_eq!(repo.moved_refs().unwrap(), []);
    assert!(!in_a_file(&pins[7]), "they are packed");
    assert!(in_a_file(A), "nothing else is");
    for _ in 0..2 {
        assert_eq!(repo.moved_refs().unwrap(), []);
        f.git(&f.root, &["update-ref", &pins[7], other.as_str()]);
        f.git(&f.root, &["update-ref", "-d", &pins[9]]);
        let told = words(&repo.moved_refs().unwrap());
        assert!(told.contains(&format!("{} was moved", pins[7])), "{told}");
        assert!(told.contains(&format!("{} was deleted", pins[9])), "{told}");
        assert_eq!(
            [f.oid(&pins[7]), f.oid(&pins[9])],
            [first.clone(), first.clone()]
        );
    }
    f.fsck();
}
