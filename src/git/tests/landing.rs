//! Candidates and landing: the target moves forward, and the user's checkout is never harmed.

use super::*;
use crate::git::{Reconciled, integration_ref};
use crate::model::{LandOutcome, Relation};

fn in_the_way(outcome: &PublishOutcome) -> &str {
    match outcome {
        PublishOutcome::Waiting { why } => why,
        other => panic!("{other:?}"),
    }
}

/// A feature that changes `b.txt` and adds `new.txt`, and its candidate.
fn ready() -> (Fixture, Candidate) {
    let f = Fixture::new();
    let prepared = f.prepare(&f.pool(), "one", W1);
    put(&prepared.path, "b.txt", "feature\n");
    put(&prepared.path, "new.txt", "new\n");
    f.snapshot(&prepared, "one", 1);
    let candidate = f.candidate("one", Strategy::Merge);
    (f, candidate)
}

#[test]
fn a_candidate_is_a_merge_or_one_commit() {
    let (f, merge) = ready();
    f.write("b-user.txt", "x");
    let onto = f.commit("user");
    for (strategy, parents) in [
        (Strategy::Merge, format!("{onto} {}", merge.branch_tip)),
        (Strategy::Squash, onto.to_string()),
    ] {
        let candidate = f.candidate("one", strategy);
        assert_eq!(candidate.onto, onto);
        assert_eq!(
            f.git(
                &f.root,
                &["log", "-1", "--format=%P", candidate.commit.as_str()]
            ),
            parents
        );
        assert_eq!(
            f.show(candidate.commit.as_str(), "b-user.txt").as_deref(),
            Some("x")
        );
        assert_eq!(
            f.show(candidate.commit.as_str(), "new.txt").as_deref(),
            Some("new")
        );
        assert_eq!(
            f.oid(&format!("{}^{{tree}}", candidate.commit)),
            candidate.tree
        );
        assert_eq!(f.oid("refs/harness/candidates/one"), candidate.commit);
    }
    assert_eq!(f.git(&f.root, &["status", "--porcelain"]), "");
    assert_eq!(f.oid("main"), onto, "building one moves nothing");
}

#[test]
fn conflicts_name_their_paths_and_renames_do_not_conflict() {
    let f = Fixture::new();
    let pool = f.pool();
    let prepared = f.prepare(&pool, "one", W1);
    put(&prepared.path, "b.txt", "feature\n");
    f.git(&prepared.path, &["mv", "a.txt", "dir ü.txt"]);
    put(&prepared.path, "both\nü", "feature");
    f.snapshot(&prepared, "one", 1);
    f.write("a.txt", "1\n2\n3\n4\n5\n6\n7\n8\nuser\n");
    f.commit("edit what the feature renames");
    let candidate = f.candidate("one", Strategy::Merge);
    assert!(
        f.show(candidate.commit.as_str(), "dir ü.txt")
            .unwrap()
            .ends_with("user")
    );
    f.write("b.txt", "user\n");
    f.write("both\nü", "user");
    f.commit("clash");
    let main = f.oid("main");
    let built = f.chain(&main, &main, &["one", "two"], Strategy::Merge);
    let paths = vec!["b.txt".to_owned(), "both\nü".to_owned()];
    assert_eq!(built.conflicts, [(slug("one"), paths)]);
    assert_eq!(built.failed[0].0, slug("two"));
    assert!(built.failed[0].1.contains("harness/two"));
    assert_eq!(built.chain.commit, main);
}

#[test]
fn a_feature_without_changes_is_the_target_itself() {
    let f = Fixture::new();
    let pool = f.pool();
    f.prepare(&pool, "none", W1);
    let candidate = f.candidate("none", Strategy::Merge);
    assert_eq!(
        (&candidate.commit, &candidate.onto),
        (&f.oid("main"), &f.oid("main"))
    );
    assert_eq!(f.publish(&candidate), PublishOutcome::Done);
    // The same content came another way.
    f.feature(&pool, "same", "same.txt", "x\n");
    f.write("same.txt", "x\n");
    let main = f.commit("same");
    assert_eq!(f.candidate("same", Strategy::Squash).commit, main);
}

#[test]
fn the_result_does_not_depend_on_the_users_configuration() {
    let f = Fixture::new();
    let prepared = f.prepare(&f.pool(), "one", W1);
    f.git(&prepared.path, &["mv", "a.txt", "renamed.txt"]);
    f.snapshot(&prepared, "one", 1);
    f.write("a.txt", "1\n2\n3\n4\n5\n6\n7\n8\nuser\n");
    f.commit("edit");
    let tree = f.candidate("one", Strategy::Merge).tree;
    f.git(&f.root, &["config", "merge.renames", "false"]);
    f.git(&f.root, &["config", "diff.renames", "false"]);
    f.write(".gitattributes", "* merge=binary\n");
    f.git(&f.root, &["add", ".gitattributes"]);
    assert_eq!(f.candidate("one", Strategy::Merge).tree, tree);
}

#[test]
fn lands_in_a_checkout_and_keeps_changes_that_do_not_overlap() {
    let (f, candidate) = ready();
    f.write("a.txt", "my edit\n");
    f.write("mine.txt", "untracked\n");
    f.git(&f.root, &["add", "a.txt"]);
    assert_eq!(f.publish(&candidate), PublishOutcome::Done);
    assert_eq!(f.oid("main"), candidate.commit);
    assert_eq!(get(&f.root, "b.txt").as_deref(), Some("feature\n"));
    assert_eq!(get(&f.root, "a.txt").as_deref(), Some("my edit\n"));
    assert_eq!(
        f.git(&f.root, &["status", "--porcelain"]),
        "M  a.txt\n?? mine.txt"
    );
    assert_eq!(
        f.publish(&candidate),
        PublishOutcome::Done,
        "twice is harmless"
    );
    let beyond = f.commit("user goes on");
    let PublishOutcome::Beyond { ground } = f.publish(&candidate) else {
        panic!("it holds the candidate");
    };
    assert_eq!((ground.target, ground.relation), (beyond, Relation::Behind));
}

#[test]
fn many_files_in_the_way_are_told_as_such() {
    let f = Fixture::new();
    let prepared = f.prepare(&f.pool(), "one", W1);
    for n in 0..60 {
        put(&prepared.path, &format!("new-{n:02}.txt"), "feature\n");
        put(&f.root, &format!("new-{n:02}.txt"), "mine\n");
    }
    f.snapshot(&prepared, "one", 1);
    let outcome = f.publish(&f.candidate("one", Strategy::Merge));
    let why = in_the_way(&outcome);
    let head = "files that git does not know stand where these land: new-00.txt, new-01.txt, ";
    assert!(why.contains(head), "{why}");
    assert!(
        why.contains("new-19.txt and 40 more; move them away"),
        "{why}"
    );
}

#[test]
fn the_users_files_in_the_way_are_left_untouched() {
    let cases: [(&str, &str, bool); 4] = [
        ("b.txt", "edited", false),
        ("b.txt", "staged", true),
        ("new.txt", "untracked", false),
        ("new.txt", "ignored", false),
    ];
    for (file, text, staged) in cases {
        let (f, candidate) = ready();
        if text == "ignored" {
            put(&f.root, ".git/info/exclude", "new.txt\n");
        }
        f.write(file, text);
        if staged {
            f.git(&f.root, &["add", file]);
        }
        let before = f.git(&f.root, &["status", "--porcelain", "--ignored"]);
        let outcome = f.publish(&candidate);
        let why = in_the_way(&outcome);
        assert!(why.contains(file) && why.contains("my äpp"), "{why}");
        assert_eq!(f.oid("main"), candidate.onto);
        assert_eq!(get(&f.root, file).as_deref(), Some(text));
        assert_eq!(
            f.git(&f.root, &["status", "--porcelain", "--ignored"]),
            before
        );
    }
}

#[test]
fn a_checkout_in_the_middle_of_something_is_left_alone() {
    let (f, candidate) = ready();
    let lock = f.root.join(".git/index.lock");
    fs::write(&lock, "").unwrap();
    assert!(in_the_way(&f.publish(&candidate)).contains("index.lock"));
    assert!(lock.exists());
    fs::remove_file(&lock).unwrap();
    f.git(&f.root, &["branch", "topic", "main"]);
    f.git(&f.root, &["checkout", "-q", "topic"]);
    f.write("a.txt", "topic\n");
    f.commit("topic");
    f.git(&f.root, &["checkout", "-q", "main"]);
    f.git(&f.root, &["merge", "-q", "--no-ff", "--no-commit", "topic"]);
    assert!(in_the_way(&f.publish(&candidate)).contains("merge is in progress"));
    f.git(&f.root, &["merge", "--abort"]);
    // In the middle of a rebase the branch is checked out nowhere by name, but git will move it.
    let (f, _) = ready();
    f.write("a.txt", "mine\n");
    f.commit("mine");
    f.git(&f.root, &["checkout", "-q", "-b", "upstream", "main~"]);
    f.write("a.txt", "upstream\n");
    f.commit("upstream");
    f.git(&f.root, &["checkout", "-q", "main"]);
    let candidate = f.candidate("one", Strategy::Merge);
    assert!(!f.try_git(&f.root, &["rebase", "upstream"]).0);
    assert!(in_the_way(&f.publish(&candidate)).contains("rebase"));
    f.git(&f.root, &["rebase", "--abort"]);
    assert_eq!(f.publish(&candidate), PublishOutcome::Done);
}

#[test]
fn lands_where_the_target_is_checked_out_elsewhere_nowhere_or_twice() {
    let (f, candidate) = ready();
    f.git(&f.root, &["checkout", "-q", "-b", "topic"]);
    f.git(&f.root, &["worktree", "add", "-q", "../else where", "main"]);
    let elsewhere = f.root.parent().unwrap().join("else where");
    assert_eq!(f.publish(&candidate), PublishOutcome::Done);
    assert_eq!(get(&elsewhere, "new.txt").as_deref(), Some("new\n"));
    assert_eq!(f.git(&elsewhere, &["status", "--porcelain"]), "");
    assert_eq!(get(&f.root, "new.txt"), None);

    let (f, candidate) = ready();
    f.git(&f.root, &["checkout", "-q", "--detach"]);
    assert_eq!(f.publish(&candidate), PublishOutcome::Done);
    assert_eq!(f.oid("main"), candidate.commit);
    assert_eq!(get(&f.root, "new.txt"), None);
    assert_eq!(f.git(&f.root, &["status", "--porcelain"]), "");

    let (f, candidate) = ready();
    f.git(
        &f.root,
        &["worktree", "add", "-q", "-f", "../twice", "main"],
    );
    let outcome = f.publish(&candidate);
    assert!(in_the_way(&outcome).contains("twice"), "{outcome:?}");
    assert_eq!(f.oid("main"), candidate.onto);
    f.git(&f.root, &["worktree", "remove", "../twice"]);

    f.git(&f.root, &["checkout", "-q", "--detach"]);
    f.git(&f.root, &["worktree", "add", "-q", "../unplugged", "main"]);
    fs::remove_dir_all(f.root.parent().unwrap().join("unplugged")).unwrap();
    let outcome = f.publish(&candidate);
    assert!(
        in_the_way(&outcome).contains("git worktree prune"),
        "{outcome:?}"
    );
}

#[test]
fn a_target_that_moved_is_never_moved_back() {
    let (f, candidate) = ready();
    f.write("user.txt", "x");
    let user = f.commit("user");
    assert!(matches!(
        f.publish(&candidate),
        PublishOutcome::Moved { .. }
    ));
    assert_eq!(f.oid("main"), user);
    let again = f.candidate("one", Strategy::Merge);
    assert_eq!(f.publish(&again), PublishOutcome::Done);
    assert!(f.repo().contains(MAIN, &user).unwrap());
    assert!(f.repo().contains(MAIN, &again.branch_tip).unwrap());
}

#[test]
fn a_target_that_is_gone_says_how_to_bring_it_back() {
    let (f, candidate) = ready();
    f.git(&f.root, &["checkout", "-q", "--detach"]);
    f.git(&f.root, &["branch", "-q", "-D", "main"]);
    let gone = f.publish(&candidate);
    let command = format!("git branch main {}", candidate.commit);
    assert!(in_the_way(&gone).contains(&command), "{gone:?}");
}

#[test]
fn a_chain_merges_one_upon_the_other_and_tells_whose_conflict_it_is() {
    let f = Fixture::new();
    let pool = f.pool();
    f.feature(&pool, "one", "one.txt", "x\n");
    f.feature(&pool, "two", "two.txt", "x\n");
    f.feature(&pool, "mate", "two.txt", "y\n");
    f.feature(&pool, "old", "b.txt", "old\n");
    f.write("b.txt", "user\n");
    let main = f.commit("clashes with old");
    let built = f.chain(
        &main,
        &main,
        &["one", "two", "mate", "old"],
        Strategy::Merge,
    );
    let steps: Vec<&str> = built
        .chain
        .steps
        .iter()
        .map(|step| step.slug.as_str())
        .collect();
    assert_eq!(steps, ["one", "two"]);
    assert_eq!(
        built.deferred,
        [slug("mate")],
        "only clashes with what has not landed"
    );
    assert_eq!(built.conflicts, [(slug("old"), vec!["b.txt".to_owned()])]);
    let [one, two] = built.chain.steps.as_slice() else {
        panic!();
    };
    assert_eq!(two.candidate.onto, one.candidate.commit);
    assert_eq!(built.chain.tree, two.candidate.tree);
    assert_ne!(two.candidate.tree, two.candidate.branch_tree);
    // On top of a chain that has not landed, a conflict with that chain is nobody's fault either.
    let next = f.chain(&built.chain.commit, &main, &["mate"], Strategy::Merge);
    assert_eq!((next.deferred.len(), next.conflicts.len()), (1, 0));
}

#[test]
fn landing_moves_only_the_integration_ref_and_only_forward() {
    let (f, candidate) = ready();
    let (repo, main) = (f.repo(), f.oid("main"));
    let ground = repo.ground(MAIN, None).unwrap();
    assert_eq!((&ground.tip, &ground.target), (&main, &main));
    for _ in 0..2 {
        let landed = repo.land(MAIN, &main, &candidate.commit).unwrap();
        assert_eq!(landed, LandOutcome::Done, "twice is harmless");
    }
    assert_eq!(f.oid(&integration_ref(MAIN)), candidate.commit);
    assert_eq!(f.oid("main"), main);
    let ground = repo.ground(MAIN, Some(&main)).unwrap();
    assert_eq!(
        (ground.tip, ground.relation),
        (candidate.commit.clone(), Relation::Behind)
    );
    // Not from where it does not stand.
    f.feature(&f.pool(), "two", "two.txt", "x\n");
    let other = f.candidate("two", Strategy::Merge);
    let moved = repo.land(MAIN, &main, &other.commit).unwrap();
    assert!(matches!(moved, LandOutcome::Moved { .. }));
    assert_eq!(f.oid(&integration_ref(MAIN)), candidate.commit);
}

#[test]
fn the_ground_knows_what_the_user_did() {
    let (f, _) = ready();
    let (repo, main) = (f.repo(), f.oid("main"));
    let integration = integration_ref(MAIN);
    repo.ground(MAIN, None).unwrap();
    // All is published, and the user commits: followed.
    f.write("user.txt", "1");
    let first = f.commit("user");
    assert!(repo.follow(MAIN, &first).unwrap().is_none());
    let followed = repo.follow(MAIN, &main).unwrap().unwrap();
    assert_eq!(
        (&followed.tip, followed.relation),
        (&first, Relation::Behind)
    );
    // All is published, and the user amends: followed too, and what it replaces is kept.
    f.git(&f.root, &["commit", "-q", "--amend", "-m", "better"]);
    let amended = f.oid("main");
    let followed = repo.ground(MAIN, Some(&first)).unwrap();
    assert_eq!(
        (&followed.tip, followed.relation),
        (&amended, Relation::Behind)
    );
    assert_eq!(f.refs("refs/harness/old/integration").len(), 1);
    // Something is not published, and the user commits: to be merged.
    let candidate = f.candidate("one", Strategy::Merge).commit;
    assert_eq!(
        repo.land(MAIN, &amended, &candidate).unwrap(),
        LandOutcome::Done
    );
    f.write("user.txt", "2");
    let second = f.commit("user again");
    let ahead = repo.ground(MAIN, Some(&amended)).unwrap();
    assert_eq!((&ahead.tip, ahead.relation), (&candidate, Relation::Ahead));
    let both = repo.reconcile("2", &second, &candidate, "Both\n", &mut |_| Ok(None));
    let Reconciled::Clean(chain) = both.unwrap() else {
        panic!("they go together");
    };
    assert_eq!(
        repo.land(MAIN, &candidate, &chain.commit).unwrap(),
        LandOutcome::Done
    );
    let published = repo.publish(MAIN, &amended, &chain.commit).unwrap();
    assert_eq!(published, PublishOutcome::Done);
    assert_eq!(get(&f.root, "user.txt").as_deref(), Some("2"));
    assert_eq!(get(&f.root, "new.txt").as_deref(), Some("new\n"));
    // Something is not published, and the user rewrites what was: only the user knows what that means.
    f.feature(&f.pool(), "two", "two.txt", "x\n");
    let tip = f.oid("main");
    let two = f.candidate("two", Strategy::Merge).commit;
    assert_eq!(repo.land(MAIN, &tip, &two).unwrap(), LandOutcome::Done);
    f.git(&f.root, &["reset", "-q", "--hard", second.as_str()]);
    f.write("other.txt", "2");
    let rewritten = f.commit("another way");
    let ground = repo.ground(MAIN, Some(&tip)).unwrap();
    assert_eq!(
        (ground.tip, ground.relation),
        (two.clone(), Relation::Rewritten)
    );
    let refused = repo.publish(MAIN, &tip, &two).unwrap();
    assert!(
        matches!(refused, PublishOutcome::Moved { .. }),
        "{refused:?}"
    );
    assert_eq!(f.oid("main"), rewritten);
    // Set back onto the user's commits, keeping what had landed.
    let ground = repo.rewind(MAIN).unwrap();
    assert_eq!(
        (&ground.tip, ground.relation),
        (&rewritten, Relation::Behind)
    );
    assert_eq!(f.oid(&integration), rewritten);
    let old = format!("refs/harness/old/integration/{}", two.short());
    assert_eq!(f.oid(&old), two);
}
