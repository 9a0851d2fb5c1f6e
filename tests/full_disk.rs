//! A disk that fills up in the middle of a run, whoever filled it: nothing is damaged, the run says what is wrong, and
//! when there is room again everything lands once.
//!
//! On a small file system of its own, which a user namespace lets anybody mount; where there is none the test says so.
//! `HARNESS_FULL_DISK_ROUNDS=n` fills it at n moments.
#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on must stop, and says what it saw"
)]

mod support;

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;
use support::Site;

const FEATURES: [&str; 5] = ["a", "b", "c", "d", "e"];
/// The file system's size, which the repository needs a part of.
const SIZE: &str = "size=24m";
/// What mounts it and runs the test there, in a place of its own.
const INSIDE: &str = "mount -t tmpfs -o $1 none \"$2\" && TMPDIR=$2 exec \"$3\" --ignored --exact --nocapture fill_it_up";

#[test]
fn a_disk_that_fills_up_damages_nothing() {
    let place = tempfile::tempdir().unwrap();
    let disk = place.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let unshare = |script: &str| {
        let mut command = Command::new("unshare");
        command.args([
            "--user",
            "--map-root-user",
            "--mount",
            "sh",
            "-c",
            script,
            "sh",
        ]);
        command.arg(SIZE).arg(&disk);
        command.arg(std::env::current_exe().unwrap());
        command
    };
    let try_it = unshare("mount -t tmpfs -o $1 none \"$2\"").output();
    if !try_it.is_ok_and(|tried| tried.status.success()) {
        eprintln!("SKIPPED: no file system can be mounted here");
        return;
    }
    let ran = unshare(INSIDE).output().unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    println!("{said}");
    assert!(
        ran.status.success(),
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    assert!(said.contains("1 passed"), "it ran");
}

#[test]
#[ignore = "fills the disk: only for a file system of its own, see above"]
fn fill_it_up() {
    let rounds = std::env::var("HARNESS_FULL_DISK_ROUNDS");
    let rounds: u64 = rounds.map_or(4, |text| text.parse().unwrap());
    for round in 0..rounds {
        // From the first record on; what a run adds to its journal is about twice as much in all.
        fill_at(round * 9_000 / rounds);
    }
}

/// Fills the disk when the journal has so many bytes, makes room when harness says that there is none, and runs on.
fn fill_at(bytes: u64) {
    let site = Site::new();
    // The least room that harness asks for must be less than what it finds, or it would not begin.
    site.shell_config("verify: {commands: ['test -f README']}\nworktrees: {min_free: 1MiB}\nrun: {max_iterations_per_feature: 100}\n\
                       breakers: {stuck: {limit: 100}, idle: {limit: 100}, repeat: {limit: 100}}");
    for slug in FEATURES {
        site.shell(
            slug,
            &format!("echo {slug} > {slug}.txt; git add -A; git diff --cached --quiet || git commit -q -m {slug}\n"),
        );
    }
    site.commit("specs");
    let journal = site.repo.join(".harness/journal.jsonl");
    // Beside the disk that fills up.
    let log = std::env::temp_dir().with_file_name("printed");
    let _ = fs::remove_file(&log);
    let mut child = site.start_into(&["run", "--parallel", "3"], &log);
    site.await_that("the journal grows", || {
        fs::metadata(&journal).is_ok_and(|meta| meta.len() >= bytes)
    });
    let balloon = site.path("balloon");
    let filled = fill(&balloon);
    let said = complaint(&log, &mut child);
    println!("filled with {filled} bytes at {bytes} of the journal: {said}");
    fs::remove_file(&balloon).unwrap();
    let code = child.wait().unwrap().code();
    // It ended for it, or it could wait and went on to its end.
    assert!(
        matches!(code, Some(0 | 1 | 2 | 5 | 8 | 10)),
        "{code:?}: {}",
        fs::read_to_string(&log).unwrap()
    );
    let status = site.harness(&["status", "--json"]);
    assert_eq!(status.code, Some(0), "{}", status.err);
    if code != Some(0) {
        for slug in FEATURES {
            // Whom a full disk made fail is tried again when a person says so.
            site.harness(&["retry", slug]);
        }
        let ran = site.harness(&["run", "--parallel", "3"]);
        assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    }
    let mut landed = site.landed();
    landed.sort();
    assert_eq!(landed, FEATURES, "at {bytes}");
    assert_eq!(site.git(&["fsck", "--strict", "--no-dangling"]), "");
    site.assert_no_litter();
}

/// Takes all the room there is; how much that was.
fn fill(path: &Path) -> u64 {
    let mut file = fs::File::create(path).unwrap();
    let block = vec![b'x'; 64 << 10];
    let mut step = block.len();
    while step > 0 {
        if file.write_all(&block[..step]).is_err() {
            step /= 2;
        }
    }
    file.metadata().unwrap().len()
}

/// What harness says of it first: the end of the run, or a line that names the lack of room.
fn complaint(log: &Path, child: &mut Child) -> String {
    let mut patience = 2_000;
    loop {
        let printed = fs::read_to_string(log).unwrap_or_default();
        let short = |line: &&str| line.contains("No space left") || line.contains("disk");
        if let Some(line) = printed.lines().rfind(short) {
            return line.to_owned();
        }
        if let Some(ended) = child.try_wait().unwrap() {
            return format!("ended with {ended}");
        }
        patience -= 1;
        assert!(
            patience > 0,
            "it never said that the disk is full:\n{printed}"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}
