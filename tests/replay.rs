//! A history replayed through harness, its changes all at once, comes out as it was. `scripts/replay` does it with
//! any repository; here it is one made for the purpose.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

mod support;

use std::path::Path;
use std::process::Command;
use support::Site;

/// Twelve changes: some for themselves, some on the same lines, one that takes another back, a removal, a new
/// mode, a name with a blank.
fn history(site: &Site) {
    let lines = |of: &str| (1..=30).map(|n| format!("{of} {n}\n")).collect::<String>();
    site.write("story.txt", &lines("line"));
    site.write("old.txt", &lines("old"));
    site.commit("what was there");
    for n in 1..=3 {
        site.write(&format!("own-{n}.txt"), &lines("own"));
        site.commit(&format!("a file of its own, {n}"));
    }
    let mut story = lines("line");
    for n in [3, 17, 18, 28] {
        story = story.replace(&format!("line {n}\n"), &format!("line {n}, told better\n"));
        site.write("story.txt", &story);
        site.commit(&format!("line {n}"));
    }
    site.write("own-1.txt", "");
    site.write(
        "story.txt",
        &story.replace("line 17, told better\n", "line 17\n"),
    );
    site.commit("line 17 was better as it was");
    std::fs::remove_file(site.repo.join("old.txt")).unwrap();
    site.commit("what is old goes");
    site.write("a name with a blank", "#!/bin/sh\n");
    site.commit("a program");
    site.git(&["update-index", "--chmod=+x", "a name with a blank"]);
    site.git(&["commit", "-q", "-m", "that can be run"]);
    site.git(&["checkout", "-q", "--", "."]);
    site.write("old.txt", "new\n");
    site.commit("what was old comes back");
}

#[test]
fn a_history_comes_out_as_it_was() {
    let site = Site::new();
    history(&site);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/replay");
    let ran = Command::new("sh")
        .arg(script)
        .arg(&site.repo)
        .args(["12", "6"])
        .env("BINARY", env!("CARGO_BIN_EXE_harness"))
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("HOME", site.path("home"))
        .env("TMPDIR", site.path("scripts"))
        .output()
        .unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&ran.stdout),
        String::from_utf8_lossy(&ran.stderr),
    );
    assert!(ran.status.success(), "{out}{err}");
    assert!(out.contains("landed      12"), "{out}");
    assert!(out.ends_with("the tree is the real one\n"), "{out}");
}
