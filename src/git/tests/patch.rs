//! What a feature changes, as people are shown it: wherever its work is, and whatever state that is in.

use super::*;
use crate::git::{Patch, PatchLine, Whereabouts};

fn of(f: &Fixture, path: Option<&Path>) -> (Whereabouts, Patch) {
    let found = f.repo().patch_of_feature(&slug("one"), path, MAIN);
    let (place, _, patch) = found.unwrap().expect("it has a branch");
    (place, patch)
}

fn lines(patch: &Patch, kind: PatchLine) -> Vec<&str> {
    let lines = patch.lines.iter().filter(|(is, _)| *is == kind);
    lines.map(|(_, text)| text.as_str()).collect()
}

#[test]
fn work_is_shown_where_it_is() {
    let f = Fixture::new();
    assert_eq!(
        f.repo().patch_of_feature(&slug("one"), None, MAIN).unwrap(),
        None,
        "nobody has begun it"
    );
    let prepared = f.prepare(&f.pool(), "one", W1);
    put(&prepared.path, "b.txt", "changed\n");
    put(&prepared.path, "new/deep.txt", "new\r\n");
    put(&prepared.path, "x.ignored", "no work\n");
    fs::remove_file(prepared.path.join("a.txt")).unwrap();
    let (place, patch) = of(&f, Some(&prepared.path));
    assert_eq!(place, Whereabouts::Worktree);
    assert_eq!(
        lines(&patch, PatchLine::File),
        ["a.txt (removed)", "b.txt", "new/deep.txt (new)"]
    );
    assert_eq!(lines(&patch, PatchLine::Added), ["+changed", "+new"]);
    let stat = patch.stat;
    assert_eq!((stat.files, stat.insertions, stat.deletions), (3, 2, 10));
    assert!(!patch.is_cut);
    f.snapshot(&prepared, "one", 1);
    // Whoever has the worktree now is another.
    let (place, committed) = of(&f, None);
    assert_eq!(place, Whereabouts::Branch);
    assert_eq!(committed, patch);
    let candidate = f.candidate("one", Strategy::Merge);
    let landed = f.repo().patch_of_commit(&candidate.commit).unwrap();
    assert_eq!(landed, Some(patch));
    let first = f.oid("main");
    assert_eq!(f.repo().patch_of_commit(&first).unwrap(), None);
}

#[test]
fn nobody_is_shown_more_than_anybody_reads() {
    let f = Fixture::new();
    let prepared = f.prepare(&f.pool(), "one", W1);
    put(&prepared.path, "long.txt", &"line\n".repeat(30_000));
    put(&prepared.path, "wide.txt", &"x".repeat(100_000));
    let (_, patch) = of(&f, Some(&prepared.path));
    assert!(patch.is_cut);
    assert_eq!(patch.lines.len(), 10_000);
    fs::remove_file(prepared.path.join("long.txt")).unwrap();
    let (_, patch) = of(&f, Some(&prepared.path));
    assert!(!patch.is_cut);
    assert_eq!(lines(&patch, PatchLine::Added)[0].len(), 2_000);
    // Two megabytes are named, and bytes that are no text.
    put(&prepared.path, "wide.txt", &"y".repeat(2 << 20));
    fs::write(prepared.path.join("bytes"), [0, 159, 146, 150, 0, 1]).unwrap();
    let (_, patch) = of(&f, Some(&prepared.path));
    assert_eq!(
        lines(&patch, PatchLine::File),
        ["bytes (new)", "wide.txt (new)"]
    );
    assert_eq!(lines(&patch, PatchLine::Added), [""; 0]);
}

#[test]
fn a_conflict_and_a_repository_within_are_shown_as_such() {
    let f = Fixture::new();
    let prepared = f.prepare(&f.pool(), "one", W1);
    put(&prepared.path, "b.txt", "the feature's\n");
    f.snapshot(&prepared, "one", 1);
    f.write("b.txt", "the user's\n");
    f.commit("user");
    let (merged, _) = f.try_git(&prepared.path, &["merge", "main"]);
    assert!(!merged);
    let within = prepared.path.join("within");
    fs::create_dir(&within).unwrap();
    f.git(&within, &["init", "-q"]);
    put(&within, "file", "its own\n");
    let (place, patch) = of(&f, Some(&prepared.path));
    assert_eq!(place, Whereabouts::Worktree);
    let files = lines(&patch, PatchLine::File);
    assert!(files.contains(&"b.txt (in conflict)"), "{patch:#?}");
    assert!(
        !lines(&patch, PatchLine::Added).contains(&"+its own"),
        "{patch:#?}"
    );
}
