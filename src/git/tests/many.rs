//! What a long night leaves: thousands of refs that nobody touches any more. What they cost is counted, never timed.

use super::*;
use crate::git::repo::RefEdit;
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;

/// More than are left in files of their own.
const LANDED: usize = 300;

/// A repository with a record of it in which so many features have landed, each with a kept iteration.
fn landed() -> (Fixture, Repo, Vec<Slug>) {
    let f = Fixture::new();
    let first = f.oid("HEAD");
    let repo = f.repo();
    repo.begin_record();
    let slugs: Vec<Slug> = (0..LANDED).map(|n| slug(&format!("f{n}"))).collect();
    slugs.iter().for_each(|slug| repo.expect_branch(slug));
    assert_eq!(repo.moved_refs().unwrap(), []);
    let names = slugs.iter().flat_map(|slug| {
        let branch = format!("refs/heads/harness/{slug}");
        [branch, format!("refs/harness/iterations/{slug}/1")]
    });
    let names: Vec<String> = names.collect();
    let edits: Vec<_> = names
        .iter()
        .map(|name| RefEdit::Set(name, &first))
        .collect();
    repo.update_refs("test", &edits).unwrap();
    slugs.iter().for_each(|slug| repo.leave(slug, true));
    (f, repo, slugs)
}

/// Files of refs below the git directory.
fn loose(f: &Fixture) -> usize {
    fn below(dir: &Path) -> usize {
        let entries = fs::read_dir(dir).unwrap().map(Result::unwrap);
        entries
            .map(|entry| match entry.file_type().unwrap().is_dir() {
                true => below(&entry.path()),
                false => 1,
            })
            .sum()
    }
    below(&f.root.join(".git/refs"))
}

#[test]
fn branches_that_nobody_moves_any_more_are_packed_and_watched_as_before() {
    let (f, repo, slugs) = landed();
    if !repo.git_is_at_least((2, 42)) {
        eprintln!("SKIPPED: this git cannot pack some refs only");
        return;
    }
    // Those at work stay as they are: their agents lock and move them.
    repo.leave(&slugs[0], false);
    repo.lend(&slugs[1]);
    repo.pin_candidate("7", &f.oid("HEAD")).unwrap();
    assert_eq!(loose(&f), 2 * LANDED + 2);
    assert_eq!(repo.moved_refs().unwrap(), []);
    let branch = |n: usize| format!("refs/heads/harness/{}", slugs[n]);
    let is_in_a_file = |n: usize| f.root.join(".git").join(branch(n)).exists();
    assert_eq!(
        [0, 1, 2, 3].map(is_in_a_file),
        [true, true, false, false],
        "what is in use stays"
    );
    assert_eq!(loose(&f), 3);
    let first = f.oid("HEAD");
    let other = f.branch("other", "main", |root| put(root, "o.txt", "o\n"));
    // A person's, and harness's.
    f.git(&f.root, &["update-ref", &branch(2), other.as_str()]);
    f.git(&f.root, &["update-ref", &branch(0), other.as_str()]);
    let pin = format!("refs/harness/iterations/{}/1", slugs[3]);
    f.git(&f.root, &["update-ref", "-d", &pin]);
    let told = repo.moved_refs().unwrap();
    assert_eq!(told.iter().filter(|one| one.is_ours).count(), 2, "{told:?}");
    assert_eq!(f.oid(&branch(2)), other);
    assert_eq!([f.oid(&branch(0)), f.oid(&pin)], [first.clone(), first]);
    f.fsck();
}

#[test]
fn a_look_at_the_refs_considers_only_what_has_changed() {
    let (f, repo, slugs) = landed();
    for _ in 0..2 {
        assert_eq!(repo.moved_refs().unwrap(), []);
    }
    let suspects = || {
        let mut guard = repo.ledger().book();
        let book = guard.as_mut().unwrap();
        let now = book.reader.read(repo.git_dir()).unwrap();
        book.suspects(&now)
    };
    let names =
        |all: &[&str]| -> BTreeSet<String> { all.iter().map(|&name| name.into()).collect() };
    assert_eq!(suspects(), names(&[]), "nothing has happened");
    let other = f.branch("other", "main", |root| put(root, "o.txt", "o\n"));
    let (branch, pin) = (
        format!("refs/heads/harness/{}", slugs[7]),
        "refs/harness/iterations/f9/2",
    );
    f.git(&f.root, &["update-ref", &branch, other.as_str()]);
    let edit = RefEdit::Set(pin, &other);
    repo.update_refs("test", &[edit]).unwrap();
    assert_eq!(suspects(), names(&[&branch, "refs/heads/other", pin]));
    assert_eq!(repo.moved_refs().unwrap(), []);
    // Packed by somebody, all of them have another place and none another value.
    f.git(&f.root, &["pack-refs", "--all"]);
    assert_eq!(suspects(), names(&[]));
    repo.lend(&slugs[8]);
    assert_eq!(suspects(), names(&["refs/heads/harness/f8"]));
}

/// The same repository with a git that writes down what it is called for.
fn counted(f: &Fixture) -> (Worktrees, PathBuf) {
    let (bin, calls) = (f.home().join("bin"), f.home().join("calls"));
    let mut env = super::env(f.home());
    let path = env.iter_mut().find(|(name, _)| name == "PATH").unwrap();
    let mut real = std::env::split_paths(&path.1).map(|dir| dir.join("git"));
    let real = real.find(|git| git.is_file()).unwrap();
    fs::create_dir(&bin).unwrap();
    let text = format!(
        "#!/bin/sh\necho \"$*\" >>'{}'\nexec '{}' \"$@\"\n",
        calls.display(),
        real.display()
    );
    fs::write(bin.join("git"), text).unwrap();
    fs::set_permissions(bin.join("git"), fs::Permissions::from_mode(0o755)).unwrap();
    let dirs = std::iter::once(bin).chain(std::env::split_paths(&path.1));
    path.1 = std::env::join_paths(dirs.collect::<Vec<_>>()).unwrap();
    let repo = Repo::discover_with(&f.root, env).unwrap();
    (Worktrees::new(repo, f.pool().dir()).unwrap(), calls)
}

#[test]
fn many_branches_go_with_as_many_git_commands_as_few() {
    let f = Fixture::new();
    let first = f.oid("HEAD");
    f.write("more.txt", "x");
    f.commit("more");
    let (pool, calls) = counted(&f);
    let mut counts = Vec::new();
    for count in [2, 60] {
        let slugs: Vec<Slug> = (0..count).map(|n| slug(&format!("f{n}"))).collect();
        for slug in &slugs {
            let name = format!("refs/heads/harness/{slug}");
            f.git(&f.root, &["update-ref", &name, first.as_str()]);
        }
        f.git(&f.root, &["pack-refs", "--all"]);
        let landed: Vec<(Slug, Oid)> = slugs
            .into_iter()
            .map(|slug| (slug, first.clone()))
            .collect();
        let _ = fs::remove_file(&calls);
        pool.tidy(&[], &landed, MAIN).unwrap();
        assert!(f.refs("refs/heads/harness").is_empty());
        assert!(f.refs("refs/harness/old").is_empty());
        counts.push(fs::read_to_string(&calls).unwrap().lines().count());
    }
    assert_eq!(counts[0], counts[1]);
}

#[test]
fn a_branch_that_cannot_go_keeps_no_other() {
    let f = Fixture::new();
    let pool = f.pool();
    let first = f.oid("HEAD");
    let landed = ["a", "b", "c"].map(|name| {
        let branch = format!("refs/heads/harness/{name}");
        f.git(&f.root, &["update-ref", &branch, first.as_str()]);
        (slug(name), first.clone())
    });
    let lock = f.root.join(".git/refs/heads/harness/b.lock");
    fs::write(&lock, "").unwrap();
    let error = pool.tidy(&[], &landed, MAIN).unwrap_err();
    assert!(error.to_string().contains("b.lock"), "{error}");
    assert_eq!(f.refs("refs/heads/harness"), ["refs/heads/harness/b"]);
    fs::remove_file(lock).unwrap();
    pool.tidy(&[], &landed, MAIN).unwrap();
    assert!(f.refs("refs/heads/harness").is_empty());
}

#[test]
fn what_is_held_is_known_also_where_clocks_were_wrong() {
    let f = Fixture::new();
    let pool = f.pool();
    let first = f.oid("HEAD");
    let tree = f.oid("HEAD^{tree}");
    // Older than what it comes after.
    let script = format!(
        "GIT_COMMITTER_DATE='1990-01-01T00:00:00Z' git commit-tree {tree} -p {first} -m later"
    );
    let mut command = Command::new("sh");
    let command = command.arg("-c").arg(script).current_dir(&f.root);
    let made = command.env_clear().envs(super::env(f.home())).output();
    let later = String::from_utf8(made.unwrap().stdout).unwrap();
    let later = Oid::parse(&later).unwrap();
    f.git(&f.root, &["reset", "-q", "--hard", later.as_str()]);
    let name = "refs/heads/harness/a";
    f.git(&f.root, &["update-ref", name, first.as_str()]);
    let repo = &pool.repo;
    let asked = BTreeSet::from([first.clone(), later.clone()]);
    assert_eq!(repo.held_lately(&later, asked.clone()).unwrap(), asked);
    let asked = BTreeSet::from([first.clone()]);
    assert!(repo.held_lately(&later, asked).unwrap().is_empty());
    pool.tidy(&[], &[(slug("a"), first)], MAIN).unwrap();
    assert!(f.refs("refs/heads/harness").is_empty());
    assert!(f.refs("refs/harness/old").is_empty(), "the target holds it");
}
