//! What it costs to lend an agent a git directory and to take home what it did: `scripts/bench lending`. Not a test:
//! it has no verdict.
//!
//! Beside it stands what every iteration costs anyway: a `git status` of the worktree.

#![expect(
    clippy::unwrap_used,
    reason = "a measurement that cannot go on must stop"
)]

use harness::git::{Repo, Worktrees};
use harness::model::{Isolation, Slug, WorktreeName};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Files in the repository, and of those an iteration changes; iterations.
const FILES: usize = 20_000;
const CHANGED: usize = 50;
const ROUNDS: usize = 20;

fn git(dir: &Path, args: &[&str]) {
    let mut git = Command::new("git");
    git.current_dir(dir).args(args);
    git.env("GIT_CONFIG_GLOBAL", "/dev/null");
    for role in ["AUTHOR", "COMMITTER"] {
        git.env(format!("GIT_{role}_NAME"), "Tess");
        git.env(format!("GIT_{role}_EMAIL"), "tess@example.org");
    }
    let output = git.env("GIT_CONFIG_NOSYSTEM", "1").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {args:?}: {said}");
}

fn file(dir: &Path, n: usize, text: &str) {
    let path = dir.join(format!("d{}/e{}/f{n}.txt", n / 400, n / 20));
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// How long something took, in milliseconds; the middle one of all.
fn middle(mut all: Vec<Duration>) -> f64 {
    all.sort();
    all[all.len() / 2].as_secs_f64() * 1e3
}

fn timed<T>(times: &mut Vec<Duration>, work: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let done = work();
    times.push(began.elapsed());
    done
}

#[test]
#[ignore = "a measurement: scripts/bench lending"]
fn the_table() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("repo");
    std::fs::create_dir(&root).unwrap();
    git(&root, &["init", "-q", "-b", "main", "."]);
    for n in 0..FILES {
        file(&root, n, &format!("file {n}\n").repeat(8));
    }
    git(&root, &["add", "-A"]);
    git(&root, &["commit", "-q", "-m", "base"]);
    git(&root, &["repack", "-q", "-a", "-d"]);
    let repo = Repo::discover(&root).unwrap().seal().unwrap();
    let pool = Worktrees::new(repo, Path::new("../pool")).unwrap();
    let (slug, name) = (Slug::new("f").unwrap(), WorktreeName(1));
    let include = root.join(".worktreeinclude");
    let made = pool.prepare(&slug, name, "refs/heads/main", false, &include);
    let worktree = made.unwrap().path;
    println!(
        "{FILES} files, {CHANGED} of them changed      lend  take home   (milliseconds, median)"
    );
    let mut status = Vec::new();
    for isolation in [Isolation::Worktree, Isolation::Clone] {
        for commits in [false, true] {
            let (mut lend, mut home) = (Vec::new(), Vec::new());
            for round in 0..ROUNDS {
                timed(&mut lend, || pool.lend(name, &slug, isolation, true)).unwrap();
                if commits {
                    for n in 0..CHANGED {
                        let text = format!("{isolation:?} {round} {n}\n");
                        file(&worktree, n * (FILES / CHANGED), &text);
                    }
                    git(&worktree, &["add", "-A"]);
                    git(&worktree, &["commit", "-q", "-m", "work"]);
                }
                let odd = timed(&mut home, || pool.take_home(name)).unwrap();
                assert_eq!(odd, [""; 0]);
                timed(&mut status, || git(&worktree, &["status", "--porcelain"]));
            }
            let what = if commits {
                "one commit"
            } else {
                "nothing done"
            };
            let what = format!("{isolation:?}, {what}");
            println!("  {what:<34}{:>8.1}{:>11.1}", middle(lend), middle(home));
        }
    }
    println!(
        "  {:<34}{:>8.1}",
        "git status, for comparison",
        middle(status)
    );
}
