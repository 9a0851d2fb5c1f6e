//! What a landed commit changed.

use super::*;
use crate::git::DiffStat;

#[test]
fn what_is_gone_is_told_and_what_was_moved_is_not() {
    let f = Fixture::new();
    let text: String = (0..20).map(|n| format!("line {n}\n")).collect();
    for name in ["tests/gone.rs", "tests/moved.rs", "kept.rs"] {
        f.write(name, &format!("{name}\n{text}"));
    }
    f.commit("before");
    let topic = f.branch("topic", "main", |dir| {
        std::fs::remove_file(dir.join("tests/gone.rs")).unwrap();
        std::fs::rename(dir.join("tests/moved.rs"), dir.join("tests/elsewhere.rs")).unwrap();
        put(dir, "kept.rs", &format!("kept.rs\n{text}one more\n"));
    });
    let changes = f.repo().changes(&topic).unwrap().unwrap();
    assert_eq!(changes.removed, ["tests/gone.rs"]);
    let stat = DiffStat {
        files: 3,
        insertions: 1,
        deletions: 21,
    };
    assert_eq!(changes.stat, stat);
}

#[test]
fn of_a_commit_that_is_not_there_or_is_the_first_nothing_is_told() {
    let f = Fixture::new();
    let nowhere = Oid::parse(&"5".repeat(40)).unwrap();
    assert_eq!(f.repo().changes(&nowhere).unwrap(), None);
    let first = f.git(&f.root, &["rev-list", "--max-parents=0", "HEAD"]);
    let first = Oid::parse(&first).unwrap();
    assert_eq!(f.repo().changes(&first).unwrap(), None);
}
