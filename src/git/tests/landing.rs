//! Candidates and landing: the target moves forward, and the user's checkout is never harmed.

use super::*;
use crate::model::LandOutcome;

fn in_the_way(outcome: &LandOutcome) -> &str {
    match outcome {
        LandOutcome::CheckoutInTheWay { why } => why,
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
    let built = f
        .repo()
        .candidate(&slug("one"), MAIN, Strategy::Merge, "m")
        .unwrap();
    let paths = vec!["b.txt".to_owned(), "both\nü".to_owned()];
    assert_eq!(built, Candidacy::Conflict { paths });
    let missing = f.repo().candidate(&slug("two"), MAIN, Strategy::Merge, "m");
    assert!(missing.unwrap_err().to_string().contains("harness/two"));
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
    assert_eq!(f.repo().land(MAIN, &candidate).unwrap(), LandOutcome::Done);
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
    let repo = f.repo();
    assert_eq!(repo.land(MAIN, &candidate).unwrap(), LandOutcome::Done);
    assert_eq!(f.oid("main"), candidate.commit);
    assert_eq!(get(&f.root, "b.txt").as_deref(), Some("feature\n"));
    assert_eq!(get(&f.root, "a.txt").as_deref(), Some("my edit\n"));
    assert_eq!(
        f.git(&f.root, &["status", "--porcelain"]),
        "M  a.txt\n?? mine.txt"
    );
    assert_eq!(
        repo.land(MAIN, &candidate).unwrap(),
        LandOutcome::Done,
        "twice is harmless"
    );
    f.commit("user goes on");
    assert_eq!(
        repo.land(MAIN, &candidate).unwrap(),
        LandOutcome::Done,
        "beyond it, too"
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
        let outcome = f.repo().land(MAIN, &candidate).unwrap();
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
    let repo = f.repo();
    let lock = f.root.join(".git/index.lock");
    fs::write(&lock, "").unwrap();
    assert!(in_the_way(&repo.land(MAIN, &candidate).unwrap()).contains("index.lock"));
    assert!(lock.exists());
    fs::remove_file(&lock).unwrap();
    f.git(&f.root, &["branch", "topic", "main"]);
    f.git(&f.root, &["checkout", "-q", "topic"]);
    f.write("a.txt", "topic\n");
    f.commit("topic");
    f.git(&f.root, &["checkout", "-q", "main"]);
    f.git(&f.root, &["merge", "-q", "--no-ff", "--no-commit", "topic"]);
    assert!(in_the_way(&repo.land(MAIN, &candidate).unwrap()).contains("merge is in progress"));
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
    assert!(in_the_way(&f.repo().land(MAIN, &candidate).unwrap()).contains("rebase"));
    f.git(&f.root, &["rebase", "--abort"]);
    assert_eq!(f.repo().land(MAIN, &candidate).unwrap(), LandOutcome::Done);
}

#[test]
fn lands_where_the_target_is_checked_out_elsewhere_nowhere_or_twice() {
    let (f, candidate) = ready();
    f.git(&f.root, &["checkout", "-q", "-b", "topic"]);
    f.git(&f.root, &["worktree", "add", "-q", "../else where", "main"]);
    let elsewhere = f.root.parent().unwrap().join("else where");
    assert_eq!(f.repo().land(MAIN, &candidate).unwrap(), LandOutcome::Done);
    assert_eq!(get(&elsewhere, "new.txt").as_deref(), Some("new\n"));
    assert_eq!(f.git(&elsewhere, &["status", "--porcelain"]), "");
    assert_eq!(get(&f.root, "new.txt"), None);

    let (f, candidate) = ready();
    f.git(&f.root, &["checkout", "-q", "--detach"]);
    assert_eq!(f.repo().land(MAIN, &candidate).unwrap(), LandOutcome::Done);
    assert_eq!(f.oid("main"), candidate.commit);
    assert_eq!(get(&f.root, "new.txt"), None);
    assert_eq!(f.git(&f.root, &["status", "--porcelain"]), "");

    let (f, candidate) = ready();
    f.git(
        &f.root,
        &["worktree", "add", "-q", "-f", "../twice", "main"],
    );
    let outcome = f.repo().land(MAIN, &candidate).unwrap();
    assert!(in_the_way(&outcome).contains("twice"), "{outcome:?}");
    assert_eq!(f.oid("main"), candidate.onto);
    f.git(&f.root, &["worktree", "remove", "../twice"]);

    f.git(&f.root, &["checkout", "-q", "--detach"]);
    f.git(&f.root, &["worktree", "add", "-q", "../unplugged", "main"]);
    fs::remove_dir_all(f.root.parent().unwrap().join("unplugged")).unwrap();
    let outcome = f.repo().land(MAIN, &candidate).unwrap();
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
    assert_eq!(
        f.repo().land(MAIN, &candidate).unwrap(),
        LandOutcome::TargetMoved
    );
    assert_eq!(f.oid("main"), user);
    let again = f.candidate("one", Strategy::Merge);
    assert_eq!(f.repo().land(MAIN, &again).unwrap(), LandOutcome::Done);
    assert!(f.repo().contains(MAIN, &user).unwrap());
    assert!(f.repo().contains(MAIN, &again.branch_tip).unwrap());
}

#[test]
fn a_candidate_that_is_not_what_it_says_does_not_land() {
    let (f, candidate) = ready();
    let other_tree = Candidate {
        tree: f.oid("main^{tree}"),
        ..candidate.clone()
    };
    assert!(matches!(
        f.repo().land(MAIN, &other_tree).unwrap(),
        LandOutcome::Infra { .. }
    ));
    let gone = f.repo().land("refs/heads/gone", &candidate).unwrap();
    assert!(matches!(gone, LandOutcome::Infra { .. }));
    assert_eq!(f.oid("main"), candidate.onto);
}
