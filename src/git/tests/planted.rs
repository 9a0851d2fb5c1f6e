//! What git obeys in the repository, and changes of it.

use super::{Fixture, W1, W2};
use crate::git::{Planted, Repo};
use std::fs;

fn told(repo: &Repo) -> Vec<(String, bool)> {
    let planted = repo.planted().unwrap().into_iter();
    planted
        .map(|Planted { what, runs, .. }| (what, runs))
        .collect()
}

fn is(what: &str, runs: bool) -> (String, bool) {
    (what.to_owned(), runs)
}

#[test]
fn each_change_is_told_once_however_quickly_they_follow() {
    let f = Fixture::new();
    let git = |args: &[&str]| f.git(&f.root, args);
    let repo = f.repo();
    assert_eq!(told(&repo), []);
    for value in ["one", "two", "six"] {
        git(&["config", "core.editor", value]);
        assert_eq!(
            told(&repo),
            [is("the setting core.editor", true)],
            "{value}"
        );
        // In place, with the same length: nothing but the file's times tells.
        let path = f.root.join(".git/config");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace(value, "abc")).unwrap();
        assert_eq!(
            told(&repo),
            [is("the setting core.editor", true)],
            "{value}"
        );
        assert_eq!(told(&repo), []);
    }
    git(&["config", "--unset", "core.editor"]);
    assert_eq!(
        told(&repo),
        [is("the setting core.editor (it is gone)", false)]
    );
    git(&["config", "user.name", "Eve"]);
    assert_eq!(told(&repo), [is("the setting user.name", false)]);
}

#[test]
fn what_is_included_counts_also_when_it_comes_later() {
    let f = Fixture::new();
    let repo = f.repo();
    let later = f.home().join("later");
    f.git(
        &f.root,
        &["config", "include.path", later.to_str().unwrap()],
    );
    assert_eq!(told(&repo), [is("the setting include.path", true)]);
    assert_eq!(told(&repo), []);
    fs::write(&later, "[alias]\n\tx = !evil\n").unwrap();
    assert_eq!(told(&repo), [is("the setting alias.x", true)]);
}

#[test]
fn hooks_attributes_and_links_of_worktrees_are_told() {
    let f = Fixture::new();
    let pool = f.pool();
    let repo = pool.repo.clone();
    let one = f.prepare(&pool, "one", W1);
    assert_eq!(told(&repo), [], "a new worktree");
    let two = f.prepare(&pool, "two", W2);
    let at = |name: &str| f.root.join(".git").join(name);
    fs::create_dir_all(at("hooks")).unwrap();
    fs::create_dir_all(at("info")).unwrap();
    fs::write(at("hooks/pre-push"), "#!/bin/sh\n").unwrap();
    // Nobody will ever write into it.
    let pipe = at("hooks/pre-commit");
    f.git(
        &f.root,
        &["-c", &format!("alias.x=!mkfifo '{}'", pipe.display()), "x"],
    );
    fs::write(at("info/attributes"), "* filter=evil\n").unwrap();
    assert_eq!(
        told(&repo),
        [
            is("the file info/attributes", true),
            is("the hook pre-commit", true),
            is("the hook pre-push", true)
        ]
    );
    fs::write(at("worktrees/w1/commondir"), "../../elsewhere\n").unwrap();
    fs::write(at("worktrees/w2/gitdir"), "/elsewhere/.git\n").unwrap();
    let planted = repo.planted().unwrap();
    let found: Vec<_> = planted
        .iter()
        .map(|one| (one.what.as_str(), one.worktree.clone()))
        .collect();
    let wanted = [
        ("the link worktrees/w1/commondir", Some(one.path)),
        ("the link worktrees/w2/gitdir", Some(two.path)),
    ];
    assert_eq!(found, wanted);
    // Just being written, put right again, and gone with its worktree.
    fs::write(at("worktrees/w1/commondir"), "").unwrap();
    assert_eq!(told(&repo), []);
    fs::write(at("worktrees/w1/commondir"), "../..\n").unwrap();
    fs::remove_dir_all(at("worktrees/w2")).unwrap();
    assert_eq!(told(&repo), []);
}
