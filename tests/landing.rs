//! What a landing costs: `scripts/bench landing`. Not a test: it has no verdict.
//!
//! harness's candidate (the chain of one feature) and landing, against the three git commands that any script
//! would need for the same: `merge-tree --write-tree`, `commit-tree`, `update-ref`. Side by side, in turns, on the
//! same repository; the processor time is that of the process and its children.

#![cfg(target_os = "linux")]

use harness::git::{Link, Repo, Strategy};
use harness::model::{LandOutcome, Oid, PublishOutcome, Slug};
use nix::sys::resource::{UsageWho, getrusage};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Files that each feature changes, and how many features land.
const CHANGED: usize = 50;
const LANDINGS: usize = 20;

/// What something took.
#[derive(Clone, Copy, Default)]
struct Cost {
    wall: Duration,
    cpu: Duration,
}

fn cpu() -> Duration {
    let of = |who| getrusage(who).unwrap_or_else(|error| panic!("getrusage: {error}"));
    let part = |time: nix::sys::time::TimeVal| {
        Duration::from_micros(
            u64::try_from(time.tv_sec() * 1_000_000 + time.tv_usec()).unwrap_or(0),
        )
    };
    [UsageWho::RUSAGE_SELF, UsageWho::RUSAGE_CHILDREN]
        .map(of)
        .iter()
        .map(|usage| part(usage.user_time()) + part(usage.system_time()))
        .sum()
}

fn cost<T>(work: impl FnOnce() -> T) -> (T, Cost) {
    let (began, before) = (Instant::now(), cpu());
    let done = work();
    let cost = Cost {
        wall: began.elapsed(),
        cpu: cpu() - before,
    };
    (done, cost)
}

fn git(dir: &Path, args: &[&str]) -> Command {
    let mut git = Command::new("git");
    git.current_dir(dir)
        .args(["-c", "user.name=Tess", "-c", "user.email=tess@example.org"])
        .args(args)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1");
    git
}

fn ran(mut command: Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("git: {error}"));
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A repository of so many files, twenty to a directory, and branches that each change fifty of them.
fn repository(dir: &Path, files: usize) {
    ran(git(dir, &["init", "-q", "-b", "main", "."]));
    let mut import = git(dir, &["fast-import", "--quiet"]);
    let mut import = import
        .stdin(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{error}"));
    let mut script = String::new();
    let who = "committer Tess <tess@example.org> 1700000000 +0000\ndata 1\nx\n";
    let name = |n: usize| format!("d{}/e{}/f{n}.txt", n / 400, n / 20);
    script.push_str(&format!("commit refs/heads/main\nmark :1\n{who}"));
    for n in 0..files {
        let text = format!("file {n}\n").repeat(8);
        script.push_str(&format!(
            "M 100644 inline {}\ndata {}\n{text}\n",
            name(n),
            text.len()
        ));
    }
    for feature in 0..LANDINGS {
        script.push_str(&format!(
            "commit refs/heads/harness/f{feature}\n{who}from :1\n"
        ));
        for n in 0..CHANGED {
            let n = (feature * CHANGED + n) * (files / (CHANGED * LANDINGS));
            let text = format!("file {n}\n").repeat(7) + &format!("changed by {feature}\n");
            script.push_str(&format!(
                "M 100644 inline {}\ndata {}\n{text}\n",
                name(n),
                text.len()
            ));
        }
    }
    if let Some(mut input) = import.stdin.take() {
        input
            .write_all(script.as_bytes())
            .unwrap_or_else(|error| panic!("{error}"));
    }
    assert!(import.wait().is_ok_and(|status| status.success()));
    // A clone's objects are packed; the checkout stands elsewhere, so that publishing moves no file.
    ran(git(dir, &["repack", "-q", "-a", "-d"]));
    ran(git(dir, &["symbolic-ref", "HEAD", "refs/heads/elsewhere"]));
    ran(git(dir, &["update-ref", "refs/heads/elsewhere", "main"]));
}

fn by_script(dir: &Path, onto: &Oid, feature: &str) -> Oid {
    let script = "set -e; tree=$(git merge-tree --write-tree \"$1\" \"$2\")
        commit=$(git commit-tree \"$tree\" -p \"$1\" -p \"$2\" -m \"Merge $2\")
        git update-ref refs/bench/script \"$commit\" \"$1\"; echo \"$commit\"";
    let mut sh = Command::new("sh");
    sh.current_dir(dir)
        .args(["-c", script, "sh", onto.as_str(), feature])
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1");
    for role in ["AUTHOR", "COMMITTER"] {
        sh.env(format!("GIT_{role}_NAME"), "Tess")
            .env(format!("GIT_{role}_EMAIL"), "tess@example.org");
    }
    Oid::parse(&ran(sh)).unwrap_or_else(|| panic!("no commit"))
}

fn median(mut all: Vec<Duration>) -> f64 {
    all.sort();
    all.get(all.len() / 2).map_or(0.0, Duration::as_secs_f64) * 1e3
}

fn row(what: &str, costs: &[Cost], base: Option<&[Cost]>) -> String {
    let cpu = |costs: &[Cost]| {
        costs
            .iter()
            .map(|cost| cost.cpu)
            .sum::<Duration>()
            .as_secs_f64()
    };
    let (mean, wall) = (
        cpu(costs) * 1e3 / costs.len() as f64,
        median(costs.iter().map(|cost| cost.wall).collect()),
    );
    let ratio = base.map_or(String::new(), |base| {
        format!("{:>8.2}x", cpu(costs) / cpu(base))
    });
    format!("  {what:<34}{mean:>9.1} ms{wall:>11.1} ms{ratio}")
}

#[test]
#[ignore = "a measurement: scripts/bench landing"]
fn the_table() {
    for files in [20_000, 100_000] {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("repo");
        std::fs::create_dir(&at).unwrap();
        repository(&at, files);
        // As a run has it.
        let repo = Repo::discover(&at).unwrap().seal().unwrap();
        let target = "refs/heads/main";
        let base = repo.ground(target, None).unwrap().tip;
        ran(git(
            &at,
            &["update-ref", "refs/bench/script", base.as_str()],
        ));
        let (mut ours, mut script) = (base.clone(), base.clone());
        let (mut landing, mut publishing, mut scripted) = (Vec::new(), Vec::new(), Vec::new());
        for n in 0..LANDINGS {
            let name = format!("f{n}");
            let link = Link {
                slug: Slug::new(&name).unwrap(),
                message: format!("Merge {name}\n"),
            };
            let (commit, cost_of_landing) = cost(|| {
                let built = repo.chain(&name, &ours, &ours, &[link], Strategy::Merge, &mut |_| {
                    Ok(None)
                });
                let commit = built.unwrap().chain.commit;
                assert_eq!(
                    repo.land(target, &ours, &commit).unwrap(),
                    LandOutcome::Done
                );
                commit
            });
            let (done, cost_of_publishing) = cost(|| repo.publish(target, &ours, &commit).unwrap());
            assert_eq!(done, PublishOutcome::Done);
            let (made, cost_of_script) =
                cost(|| by_script(&at, &script, &format!("harness/{name}")));
            (ours, script) = (commit, made);
            landing.push(cost_of_landing);
            publishing.push(cost_of_publishing);
            scripted.push(cost_of_script);
        }
        let tree = |commit: &Oid| ran(git(&at, &["rev-parse", &format!("{commit}^{{tree}}")]));
        assert_eq!(tree(&ours), tree(&script), "both made the same");
        println!(
            "{files} files, {LANDINGS} features of {CHANGED} files      processor       wall   of the script's\n\
             \x20                                       (mean)   (median)"
        );
        for line in [
            row("merge-tree, commit-tree, update-ref", &scripted, None),
            row("harness: candidate and landing", &landing, Some(&scripted)),
            row("harness: publishing", &publishing, None),
        ] {
            println!("{line}");
        }
        println!();
    }
}
