//! The conflict radar: it says what merges would say, and leaves no trace.

use super::*;
use crate::git::Clash;
use crate::git::merge::Merged;

fn tips(list: &[(&str, &Oid)]) -> Vec<(String, Oid)> {
    list.iter()
        .map(|(name, oid)| ((*name).to_owned(), (*oid).clone()))
        .collect()
}

fn clash(a: &str, b: &str, paths: &[&str]) -> Clash {
    Clash {
        a: a.to_owned(),
        b: b.to_owned(),
        paths: paths.iter().map(|path| (*path).to_owned()).collect(),
    }
}

/// What merging every pair, one by one, says.
fn one_by_one(repo: &Repo, tips: &[(String, Oid)]) -> Vec<Clash> {
    let mut tips = tips.to_vec();
    tips.sort();
    let mut found = Vec::new();
    for (n, (a, ours)) in tips.iter().enumerate() {
        for (b, theirs) in &tips[n + 1..] {
            if let Merged::Conflict(paths) = repo.merge_trees(ours, theirs).unwrap() {
                let (a, b) = (a.clone(), b.clone());
                found.push(Clash { a, b, paths });
            }
        }
    }
    found
}

#[test]
fn names_pairs_and_paths_in_one_order_and_leaves_no_trace() {
    let f = Fixture::new();
    let main = f.oid("main");
    let one = f.branch("one", "main", |dir| put(dir, "a.txt", "one\n"));
    let two = f.branch("two", "main", |dir| {
        put(dir, "a.txt", "two\n");
        put(dir, "both\nü", "two");
    });
    let three = f.branch("three", "main", |dir| put(dir, "both\nü", "three"));
    let far = f.branch("far", "main", |dir| put(dir, "far.txt", "far"));
    f.make_dirty();
    let before = f.everything();
    let list = [
        ("two", &two),
        ("far", &far),
        ("three", &three),
        ("one", &one),
        ("main", &main),
        ("one", &one),
    ];
    let found = f.repo().clashes(&tips(&list)).unwrap();
    let expected = [
        clash("one", "two", &["a.txt"]),
        clash("three", "two", &["both\nü"]),
    ];
    assert_eq!(found, expected);
    let mut turned = tips(&list);
    turned.reverse();
    assert_eq!(f.repo().clashes(&turned).unwrap(), expected);
    assert_eq!(
        f.repo_with_old_git("2.38.5").clashes(&turned).unwrap(),
        expected
    );
    assert_eq!(f.repo().clashes(&[]).unwrap(), []);
    assert_eq!(f.everything(), before);
}

#[test]
fn renames_deletions_and_files_where_directories_were_are_seen() {
    let f = Fixture::new();
    for n in 0..4 {
        f.write(
            &format!("dir/{n}"),
            &format!("some content {n}\n").repeat(9),
        );
    }
    f.write("dir/sub/x", &"deep\n".repeat(9));
    f.commit("a directory");
    let renamed = f.branch("renamed", "main", |dir| {
        fs::rename(dir.join("dir"), dir.join("new")).unwrap();
    });
    let adds = f.branch("adds", "main", |dir| put(dir, "dir/fresh", "fresh\n"));
    let deep = f.branch("deep", "main", |dir| put(dir, "dir/sub/fresh", "fresh\n"));
    let deletes = f.branch("deletes", "main", |dir| {
        fs::remove_file(dir.join("a.txt")).unwrap();
    });
    let edits = f.branch("edits", "main", |dir| put(dir, "a.txt", "edited\n"));
    let file = f.branch("file", "main", |dir| put(dir, "place", "a file\n"));
    let below = f.branch("below", "main", |dir| put(dir, "place/x", "below\n"));
    let binary = f.branch("binary", "main", |dir| {
        fs::write(dir.join("place.bin"), [0, 1, 2]).unwrap();
    });
    let binary2 = f.branch("binary2", "main", |dir| {
        fs::write(dir.join("place.bin"), [0, 1, 3]).unwrap();
    });
    let list = tips(&[
        ("renamed", &renamed),
        ("adds", &adds),
        ("deep", &deep),
        ("deletes", &deletes),
        ("edits", &edits),
        ("file", &file),
        ("below", &below),
        ("binary", &binary),
        ("binary2", &binary2),
    ]);
    let repo = f.repo();
    let found = repo.clashes(&list).unwrap();
    let names: Vec<(&str, &str)> = found.iter().map(|c| (&*c.a, &*c.b)).collect();
    let expected = [
        ("adds", "renamed"),
        ("below", "file"),
        ("binary", "binary2"),
        ("deep", "renamed"),
        ("deletes", "edits"),
    ];
    assert_eq!(names, expected);
    assert_eq!(found, one_by_one(&repo, &list));
}

#[test]
fn unrelated_histories_are_left_out_and_a_missing_commit_is_an_error() {
    let f = Fixture::new();
    let one = f.branch("one", "main", |dir| put(dir, "a.txt", "one\n"));
    let two = f.branch("two", "main", |dir| put(dir, "a.txt", "two\n"));
    f.git(&f.root, &["checkout", "-q", "--orphan", "other"]);
    f.write("a.txt", "other\n");
    let other = f.commit("another root");
    let list = tips(&[("one", &one), ("other", &other), ("two", &two)]);
    let found = f.repo().clashes(&list).unwrap();
    assert_eq!(found, [clash("one", "two", &["a.txt"])]);
    let gone = Oid::parse(&"1".repeat(40)).unwrap();
    assert!(
        f.repo()
            .clashes(&tips(&[("one", &one), ("x", &gone)]))
            .is_err()
    );
}

#[test]
fn the_attributes_of_the_branches_count_and_those_of_the_checkout_do_not() {
    let f = Fixture::new();
    f.write(".gitattributes", "log.txt merge=union\n");
    f.write("log.txt", "first\n");
    f.commit("a log");
    let one = f.branch("one", "main", |dir| put(dir, "log.txt", "first\none\n"));
    let two = f.branch("two", "main", |dir| put(dir, "log.txt", "first\ntwo\n"));
    fs::remove_file(f.root.join(".gitattributes")).unwrap();
    let list = tips(&[("one", &one), ("two", &two)]);
    assert_eq!(f.repo().clashes(&list).unwrap(), []);
}

/// The filter before the merges must never hide a conflict: odd histories, compared with plain merges.
#[test]
fn says_what_merging_each_pair_says() {
    for seed in 2..=3 {
        let conflicts = compare_on_odd_histories(seed);
        assert!((10..80).contains(&conflicts), "{conflicts} prove nothing");
    }
}

fn compare_on_odd_histories(mut seed: u64) -> usize {
    let mut next = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) % below
    };
    let f = Fixture::new();
    for n in 0..8 {
        let text: String = (0..12).map(|line| format!("{n} {line}\n")).collect();
        f.write(&format!("d{}/s{}/f{n}", n % 2, n % 4), &text);
    }
    f.commit("files");
    let mut list = Vec::new();
    for branch in 0..14 {
        let name = format!("b{branch:02}");
        // Some branches begin on others, some main moves on: bases differ.
        let from = match next(4) {
            0 if branch > 0 => format!("b{:02}", next(branch)),
            _ => "main".to_owned(),
        };
        let tip = f.branch(&name, &from, |root| {
            put(root, &format!("own{branch}"), "own");
            for _ in 0..=next(3) {
                let (d, n) = (next(2), next(8));
                let file = root.join(format!("d{}/s{}/f{n}", n % 2, n % 4));
                let fresh = format!("d{d}/s{}/new{}", next(4), next(3));
                match next(6) {
                    0 => drop(fs::remove_file(&file)),
                    1 => drop(fs::rename(&file, root.join(format!("moved{}", next(4))))),
                    2 => drop(fs::rename(
                        root.join(format!("d{d}")),
                        root.join(format!("e{}", next(2))),
                    )),
                    3 if !root.join(format!("d{d}")).is_file() => put(root, &fresh, &name),
                    4 if file.is_file() => {
                        let text = fs::read_to_string(&file).unwrap();
                        let line = format!("{n} {}\n", next(12));
                        let text = text.replacen(&line, &format!("{name}\n"), 1);
                        fs::write(&file, text).unwrap();
                    }
                    _ if !root.join(format!("moved{d}")).exists() => {
                        put(root, &format!("moved{d}/x"), &name);
                    }
                    _ => {}
                }
            }
        });
        list.push((name, tip));
        if next(5) == 0 {
            f.write("b.txt", &format!("main {branch}\n"));
            f.commit("main moves on");
        }
    }
    let repo = f.repo();
    let found = repo.clashes(&list).unwrap();
    assert_eq!(found, one_by_one(&repo, &list));
    found.len()
}
