//! What a power cut may have taken: worktrees of an earlier boot, a `.git` file, refs that the journal knows of.

use super::*;

#[test]
fn what_a_worktree_of_another_boot_holds_is_kept_and_not_gone_on_in() {
    let f = Fixture::new();
    let before = f.pool().in_boot(Some("one".to_owned()));
    let first = f.prepare(&before, "one", W1);
    let taken = {
        put(&first.path, "new.txt", "whole");
        f.snapshot(&first, "one", 1)
    };
    // As a file is whose bytes were never stored, and one whose name was not.
    put(&first.path, "new.txt", "");
    fs::remove_file(first.path.join("b.txt")).unwrap();
    assert_eq!(before.give_up_old().unwrap(), [], "of this boot");
    assert_eq!(f.pool().give_up_old().unwrap(), [], "no boots here");

    let now = f.pool().in_boot(Some("two".to_owned()));
    let given_up = now.give_up_old().unwrap();
    assert_eq!(given_up.len(), 1);
    assert_eq!(given_up[0].path, first.path);
    let kept = given_up[0].kept.as_deref().unwrap();
    assert!(kept.starts_with("refs/harness/lost/one-"), "{kept}");
    assert_eq!(f.show(kept, "new.txt").as_deref(), Some(""));
    assert!(!first.path.exists());

    let again = f.prepare(&now, "one", W1);
    assert_eq!((again.recycled, again.resumed), (false, false));
    assert_eq!(again.tip, taken.tip);
    assert_eq!(get(&again.path, "new.txt").as_deref(), Some("whole"));
    assert!(get(&again.path, "b.txt").is_some());
    assert_eq!(now.give_up_old().unwrap(), []);
}

#[test]
fn a_git_file_that_names_nothing_is_in_nobodys_way() {
    let f = Fixture::new();
    let pool = f.pool();
    for (text, name) in [("", "w1"), ("\0\0\0\0", "w2")] {
        let path = pool.dir().join(name);
        put(&path, ".git", text);
        put(&path, "README", "what was checked out");
    }
    assert!(!f.prepare(&pool, "one", W1).recycled);
    assert!(!f.prepare(&pool, "two", W2).recycled);
}

#[test]
fn what_the_journal_knows_and_the_repository_lost_is_forgotten() {
    let f = Fixture::new();
    let pool = f.pool();
    let taken = f.feature(&pool, "one", "new.txt", "x");
    let (repo, one, main) = (f.repo(), slug("one"), f.oid("main"));
    let left = Some((1, &taken.tip));
    let has_forgotten = |left| repo.has_forgotten(&one, left).unwrap();
    assert!(!has_forgotten(left));
    // A person took the branch elsewhere: what was done is kept.
    f.git(
        &f.root,
        &["update-ref", "refs/heads/harness/one", main.as_str()],
    );
    assert!(!has_forgotten(left));
    f.git(
        &f.root,
        &["update-ref", "-d", "refs/harness/iterations/one/1"],
    );
    assert!(has_forgotten(left));
    assert!(!has_forgotten(None), "it has done nothing yet");
    // The iteration is not kept any more, but the branch holds it.
    f.git(
        &f.root,
        &["update-ref", "refs/heads/harness/one", taken.tip.as_str()],
    );
    assert!(!has_forgotten(left));
    f.git(&f.root, &["update-ref", "-d", "refs/heads/harness/one"]);
    assert!(has_forgotten(None));
}

#[test]
fn a_candidates_ref_that_names_nothing_is_litter() {
    let f = Fixture::new();
    let main = f.oid("main");
    f.git(
        &f.root,
        &["update-ref", "refs/harness/candidates/1", main.as_str()],
    );
    let dir = f.root.join(".git/refs/harness/candidates");
    put(&dir, "2", "");
    put(&dir, "3", "\0\0\0\0");
    let cleared = f.pool().clear_litter(None).unwrap();
    assert_eq!(cleared.len(), 2, "{cleared:?}");
    assert_eq!(
        f.refs("refs/harness/candidates"),
        ["refs/harness/candidates/1"]
    );
    f.fsck();
}

/// git looks at no checksum of an index: what is zeros there is names to it.
#[test]
fn an_index_that_a_power_cut_tore_names_nothing_that_is_kept() {
    let f = Fixture::new();
    let before = f.pool().in_boot(Some("one".to_owned()));
    let first = f.prepare(&before, "one", W1);
    put(&first.path, "src/deep/new.txt", "whole");
    f.git(&first.path, &["add", "-A"]);
    let index = f.git(&first.path, &["rev-parse", "--git-path", "index"]);
    let index = PathBuf::from(index.trim());
    let whole = fs::read(&index).unwrap();
    let now = f.pool().in_boot(Some("two".to_owned()));
    for (from, is_cut) in (12..whole.len())
        .step_by(20)
        .flat_map(|n| [(n, false), (n, true)])
    {
        let again = f.pool().in_boot(Some("one".to_owned()));
        let worktree = f.prepare(&again, "one", W1);
        put(&worktree.path, "src/deep/new.txt", "whole");
        f.git(&worktree.path, &["add", "-A"]);
        let mut torn = fs::read(&index).unwrap();
        torn[from..].fill(0);
        if is_cut {
            torn.truncate(from);
        }
        fs::write(&index, torn).unwrap();
        // A git command that was under way left its lock.
        fs::write(index.with_extension("lock"), "").unwrap();
        let given_up = now.give_up_old().unwrap();
        let kept = given_up[0].kept.as_deref().unwrap();
        assert_eq!(
            f.show(kept, "src/deep/new.txt").as_deref(),
            Some("whole"),
            "{from}"
        );
    }
    f.fsck();
}
