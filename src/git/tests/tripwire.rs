//! What changes in the user's checkout.

use super::Fixture;
use crate::git::{Touched, Tripwire};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

fn looks(tripwire: &Tripwire) -> Vec<String> {
    let found = tripwire.look().unwrap().into_iter();
    let clean = |one: &Touched| {
        if one.was_clean {
            ""
        } else {
            " (changed before)"
        }
    };
    found
        .map(|one| format!("{}{}", one.shown, clean(&one)))
        .collect()
}

/// Puts back all that is touched now; what was, what was left, and the patch.
fn puts_back(f: &Fixture, tripwire: &Tripwire) -> (Vec<String>, Vec<(String, String)>, String) {
    let touched = tripwire.look().unwrap();
    let patch = f.home().join("a.patch");
    let done = tripwire
        .put_back(&touched.iter().collect::<Vec<_>>(), &patch)
        .unwrap();
    let text = fs::read(&patch).unwrap_or_default();
    (
        done.back,
        done.left,
        String::from_utf8_lossy(&text).into_owned(),
    )
}

#[test]
fn a_look_tells_what_changed_since_the_last_one() {
    let f = Fixture::new();
    f.write("specs/a/spec.md", "a\n");
    f.write("deep/er/file", "x\n");
    f.commit("more");
    let tripwire = f.repo().tripwire(vec!["specs".to_owned()]);
    f.write("b.txt", "mine\n");
    assert_eq!(
        looks(&tripwire),
        [""; 0],
        "the first look knows nothing before"
    );
    assert_eq!(looks(&tripwire), [""; 0]);
    f.write("b.txt", "more\n");
    f.write("specs/a/spec.md", "b\n");
    f.write("specs/b/spec.md", "b\n");
    f.write("x.ignored", "x\n");
    f.write("deep/er/new", "x\n");
    f.write("other/new ü", "x\n");
    assert_eq!(
        looks(&tripwire),
        ["b.txt (changed before)", "deep/er/new", "other/new ü"]
    );
    f.write("other/second", "x\n");
    let all = fs::Permissions::from_mode(0o755);
    fs::set_permissions(f.root.join("a.txt"), all).unwrap();
    assert_eq!(looks(&tripwire), ["a.txt", "other/second"]);
    // What a person commits is no loss, what somebody throws away may be.
    f.git(&f.root, &["add", "deep", "other"]);
    f.git(&f.root, &["commit", "-qm", "mine"]);
    assert_eq!(looks(&tripwire), [""; 0]);
    f.git(&f.root, &["checkout", "-q", "--", "b.txt"]);
    assert_eq!(looks(&tripwire), ["b.txt (changed before)"]);
    // In the middle of something, nothing is known.
    fs::write(f.root.join(".git/MERGE_HEAD"), "").unwrap();
    f.write("b.txt", "merged\n");
    assert_eq!(looks(&tripwire), [""; 0]);
    fs::remove_file(f.root.join(".git/MERGE_HEAD")).unwrap();
    assert_eq!(looks(&tripwire), [""; 0]);
}

#[test]
fn files_of_every_kind_are_put_back_and_the_patch_brings_the_change_back() {
    let f = Fixture::new();
    f.write(".gitattributes", "*.crlf text eol=crlf\n");
    f.write("run.sh", "#!/bin/sh\n");
    f.write("lines.crlf", "a\r\nb\r\n");
    f.write("only/one", "x\n");
    fs::write(f.root.join("binary"), [0, 1, 2, 0, 255]).unwrap();
    symlink("a.txt", f.root.join("link")).unwrap();
    let all = fs::Permissions::from_mode(0o755);
    fs::set_permissions(f.root.join("run.sh"), all).unwrap();
    f.commit("kinds");
    let everything = || {
        let mut found = f.all_but_objects();
        // `git status` of a person's writes it.
        found.remove(&f.root.join(".git/index"));
        found
    };
    let before = everything();
    let tripwire = f.repo().tripwire(Vec::new());
    looks(&tripwire);
    let change = || {
        f.write("lines.crlf", "a\r\nx\r\n");
        f.write("run.sh", "#!/bin/sh\nevil\n");
        let none = fs::Permissions::from_mode(0o644);
        fs::set_permissions(f.root.join("run.sh"), none).unwrap();
        fs::write(f.root.join("binary"), [9, 0, 9]).unwrap();
        fs::remove_file(f.root.join("link")).unwrap();
        symlink("b.txt", f.root.join("link")).unwrap();
        fs::remove_dir_all(f.root.join("only")).unwrap();
        symlink("/nowhere", f.root.join("new link")).unwrap();
        f.write("new", "new");
    };
    change();
    let changed = f.git(&f.root, &["status", "--porcelain"]);
    let index = fs::read(f.root.join(".git/index")).unwrap();
    let (back, left, _) = puts_back(&f, &tripwire);
    assert_eq!(left, []);
    let all = [
        "binary",
        "lines.crlf",
        "link",
        "new",
        "new link",
        "only/one",
        "run.sh",
    ];
    assert_eq!(back, all);
    assert_eq!(fs::read(f.root.join(".git/index")).unwrap(), index);
    assert!(everything() == before);
    assert_eq!(f.git(&f.root, &["status", "--porcelain"]), "");
    assert_eq!(looks(&tripwire), [""; 0]);
    let patch = f.home().join("a.patch");
    f.git(&f.root, &["apply", patch.to_str().unwrap()]);
    assert_eq!(f.git(&f.root, &["status", "--porcelain"]), changed);
}

#[test]
fn what_is_staged_changed_before_or_in_the_way_is_left() {
    let f = Fixture::new();
    f.write("dir/file", "x\n");
    f.commit("more");
    let tripwire = f.repo().tripwire(Vec::new());
    f.write("b.txt", "mine\n");
    looks(&tripwire);
    f.write("b.txt", "agent\n");
    f.write("a.txt", "staged\n");
    f.git(&f.root, &["add", "a.txt"]);
    fs::remove_dir_all(f.root.join("dir")).unwrap();
    f.write("dir", "now a file\n");
    f.write("fine", "x\n");
    let (back, left, patch) = puts_back(&f, &tripwire);
    assert_eq!(back, ["dir", "fine"]);
    let unknown = "what it held before is not known".to_owned();
    let names: Vec<_> = left.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["a.txt", "b.txt", "dir/file"]);
    assert_eq!([&left[0].1, &left[1].1], [&unknown, &unknown]);
    assert!(left[2].1.contains("no directory"), "{left:?}");
    assert!(
        patch.contains("fine") && !patch.contains("agent"),
        "{patch}"
    );
    assert_eq!(fs::read_to_string(f.root.join("b.txt")).unwrap(), "agent\n");
    assert_eq!(
        fs::read_to_string(f.root.join("a.txt")).unwrap(),
        "staged\n"
    );
}
