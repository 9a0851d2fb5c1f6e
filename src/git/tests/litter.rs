//! Whose a lock is, is told by where it stands and what it holds.

use super::*;

fn owners(pool: &Worktrees) -> BTreeMap<String, bool> {
    let found = pool.litter(Some(MAIN)).unwrap().into_iter();
    found
        .map(|one| {
            let name = one.path.file_name().unwrap().to_string_lossy().into_owned();
            (name, one.is_ours)
        })
        .collect()
}

#[test]
fn a_feature_s_branch_in_a_persons_worktree_is_a_persons() {
    let f = Fixture::new();
    let pool = f.pool();
    f.feature(&pool, "one", "one.txt", "1\n");
    f.feature(&pool, "two", "two.txt", "2\n");
    pool.clean(MAIN, false).unwrap();
    let theirs = f.home().join("theirs");
    let path = theirs.to_str().unwrap();
    f.git(&f.root, &["worktree", "add", "-q", path, "harness/one"]);
    let refs = f.root.join(".git/refs/heads/harness");
    for name in ["one.lock", "two.lock"] {
        fs::create_dir_all(&refs).unwrap();
        fs::write(refs.join(name), "").unwrap();
    }
    let expected = [("one.lock", false), ("two.lock", true)];
    let expected = expected.map(|(name, ours)| (name.to_owned(), ours));
    assert_eq!(owners(&pool), BTreeMap::from(expected));
    let cleared = pool.clear_litter(Some(MAIN)).unwrap();
    assert_eq!(cleared.len(), 1);
    assert!(refs.join("one.lock").exists() && !refs.join("two.lock").exists());
}

#[test]
fn the_targets_lock_is_ours_only_with_what_has_landed() {
    let f = Fixture::new();
    let pool = f.pool();
    f.feature(&pool, "one", "one.txt", "1\n");
    let candidate = f.candidate("one", Strategy::Merge);
    let main = f.oid("main");
    let git_dir = f.root.join(".git");
    let lock = git_dir.join("refs/heads/main.lock");
    let said = |text: &str, head: &str| {
        fs::write(&lock, text).unwrap();
        fs::write(git_dir.join("HEAD.lock"), head).unwrap();
        let found = owners(&pool);
        (found["main.lock"], found["HEAD.lock"])
    };
    let to = format!("{}\n", candidate.commit);
    // It has not landed yet.
    assert_eq!(said(&to, ""), (false, false));
    for name in ["refs/heads/main.lock", "HEAD.lock"] {
        fs::remove_file(git_dir.join(name)).unwrap();
    }
    f.repo().ground(MAIN, None).unwrap();
    f.repo().land(MAIN, &main, &candidate.commit).unwrap();
    assert_eq!(said(&to, ""), (true, true));
    assert_eq!(said(&to, "something"), (true, false));
    assert_eq!(said("", ""), (false, false));
    assert_eq!(said(&format!("{main}\n"), ""), (false, false));
}

#[test]
fn a_draft_of_the_packed_refs_is_nobodys_only_while_nobody_holds_their_lock() {
    let f = Fixture::new();
    let pool = f.pool();
    let (draft, lock) = (
        f.root.join(".git/packed-refs.new"),
        f.root.join(".git/packed-refs.lock"),
    );
    fs::write(&draft, "half").unwrap();
    fs::write(&lock, "").unwrap();
    assert_eq!(pool.clear_litter(Some(MAIN)).unwrap(), []);
    assert!(draft.exists() && lock.exists());
    fs::remove_file(&lock).unwrap();
    assert_eq!(pool.clear_litter(Some(MAIN)).unwrap().len(), 1);
    assert!(!draft.exists() && !lock.exists());
}
