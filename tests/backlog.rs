//! People write specs while a run goes on: it sees them as they come.

#![cfg(all(feature = "fake-agent", target_os = "linux"))]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

mod support;

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use support::{Site, end};

/// Whether the process is told by the kernel of what happens in this directory.
fn watches(pid: u32, dir: &Path) -> bool {
    let inode = format!(" ino:{:x} ", dir.metadata().unwrap().ino());
    let files = std::fs::read_dir(format!("/proc/{pid}/fdinfo")).unwrap();
    let mut texts = files.filter_map(|file| std::fs::read_to_string(file.ok()?.path()).ok());
    texts.any(|text| {
        let mut watches = text.lines().filter(|line| line.starts_with("inotify "));
        watches.any(|line| line.contains(&inode))
    })
}

#[test]
fn a_directory_without_a_spec_is_watched_until_there_is_one() {
    let site = Site::new();
    site.shell_config("");
    let (here, go) = (site.path("here"), site.path("go"));
    site.shell(
        "slow",
        &format!("touch {here:?}\nuntil test -e {go:?}; do sleep 0.02; done\necho s > s\n"),
    );
    let before = site.repo.join("specs/before");
    std::fs::create_dir(&before).unwrap();
    site.commit("specs");
    let run = site.start(&["run", "--parallel", "2"]);
    site.await_file(&here);
    let begun = site.repo.join("specs/begun");
    std::fs::create_dir(&begun).unwrap();
    for dir in [&before, &begun] {
        site.await_that("it is watched", || watches(run.id(), dir));
    }
    site.shell("begun", "echo b > b\n");
    site.shell("before", "echo c > c\n");
    site.await_that("both have landed", || site.landed().len() == 2);
    std::fs::write(go, "").unwrap();
    assert_eq!(end(run).code, Some(0));
    assert_eq!(site.landed().last().map(String::as_str), Some("slow"));
}
