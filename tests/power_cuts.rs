//! Power loss, replayed: whatever a power cut may leave of a run on the disk, the next run brings to the same end.
//!
//! One run is traced, and a model of the disk is made from its system calls (`support/disk.rs`). At each sync and at each
//! record the model says which states a power cut could leave there (`support/cuts.rs`): everything that was not synced
//! stored, or nothing of it, or all but one thing, or whatever dice say, with writes torn or read as zeros. Each state is
//! laid out as a repository with its state directory and worktrees, and `harness run` must come to the tree, the lessons
//! and the refs of the run that nobody disturbed; what the journal called landed stays landed as that commit.
//!
//! `HARNESS_POWER_IMAGES=n` plays n states, `all` plays all; `HARNESS_POWER_SEED` chooses others; `HARNESS_POWER_KEEP=dir`
//! lays those that went wrong out in there. `scripts/power` does the long version.
#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on must stop, and says what it saw"
)]

#[path = "support/calls.rs"]
mod calls;
#[path = "support/cuts.rs"]
mod cuts;
#[path = "support/disk.rs"]
mod disk;
mod support;
#[path = "support/trace.rs"]
mod trace;

use cuts::{Cut, Cuts, Dice, LAWS, Law, mark};
use disk::{Disk, Node, Tree};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use support::Site;

const RUN: [&str; 3] = ["run", "--parallel", "2"];
const JOURNAL: &str = "the repo/.harness/journal.jsonl";
/// How many states the usual short version plays.
const FEW: usize = 20;
/// How many random losses there are at each moment.
const DRAWS: u64 = 6;

/// Three features: `c` needs `a`, `b` clashes with it.
fn scene() -> Site {
    let site = Site::new();
    let agent = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/agents/steady.sh");
    site.write(
        "harness.yaml",
        &format!(
            "version: 1\nagent: steady\nagents:\n  steady:\n    kind: command\n    command: [sh, {agent:?}]\n\
             verify: {{commands: ['{}']}}\nworktrees: {{setup: ['true']}}\n",
            GATE.replace('\'', "''")
        ),
    );
    // Examples, which would only be copied.
    fs::remove_dir_all(site.repo.join(".git/hooks")).unwrap();
    site.write("list.txt", "0\n");
    for (slug, needs) in [("a", ""), ("b", ""), ("c", "depends_on: a")] {
        site.spec(slug, needs);
    }
    site.commit("specs");
    site
}

/// What each value of the target must pass.
const GATE: &str = "! grep -q \"^<<<\" list.txt && { test ! -e c.txt || grep -q -x a list.txt; }";

/// What is the same in the end.
#[derive(Debug, PartialEq, Eq)]
struct Ends {
    tree: String,
    lessons: Vec<String>,
}

impl Ends {
    fn of(site: &Site) -> Self {
        let tree = site.git(&["rev-parse", "main^{tree}"]);
        // Which iteration learnt it, and in which order, depends on what was lost.
        let lesson = |line: &str| line.split_once("] ").unwrap_or(("", line)).1.to_owned();
        let text = site.read(".harness/learnings.md");
        let mut lessons: Vec<String> = text.lines().map(lesson).collect();
        lessons.sort();
        Self { tree, lessons }
    }
}

/// A state of the disk, and the power cuts that leave it.
struct Image {
    cut: Cut,
    tree: Tree,
}

impl Image {
    /// Makes it so below a directory, in another boot and moved there.
    fn lay_out(&self, root: &Path, before: &Path) {
        let boot = harness::process::boot_id().unwrap();
        let another = boot.replace(|c: char| c != '-', "0");
        let bytes = |path: &Path| path.as_os_str().as_bytes().to_vec();
        let (before, root_bytes) = (bytes(before), bytes(root));
        let words: [(&[u8], &[u8]); 2] = [
            (&before, &root_bytes),
            (boot.as_bytes(), another.as_bytes()),
        ];
        self.tree.lay_out(root, &words);
    }

    /// Lays it out where a person asked for it, to be looked at.
    fn keep(&self, before: &Path, why: &str) {
        let Some(dir) = std::env::var_os("HARNESS_POWER_KEEP") else {
            return;
        };
        let Cut { at, law, loss } = self.cut;
        let dir = Path::new(&dir).join(format!("{law:?}-{at}-{loss:?}"));
        fs::create_dir_all(&dir).unwrap();
        self.lay_out(&dir.canonicalize().unwrap(), before);
        fs::write(dir.join("why"), why).unwrap();
    }
}

/// Where all of a site's files are.
fn root(site: &Site) -> PathBuf {
    let path = site.path("").canonicalize().unwrap();
    path.components().collect()
}

#[test]
fn whatever_a_power_cut_leaves_the_next_run_comes_to_the_same_end() {
    if !trace::can_trace() {
        eprintln!("SKIPPED: strace is missing, or processes cannot be traced here");
        return;
    }
    let site = scene();
    let root = root(&site);
    let mut disk = Disk::new(&root);
    let log = tempfile::tempdir().unwrap();
    let log = log.path().join("trace");
    let options = [
        "-f",
        "-y",
        "-qq",
        "-s",
        calls::LONGEST,
        "-e",
        calls::CALLS,
        "-e",
        "signal=none",
        "-o",
    ];
    let ran = site.traced(&options, &log, &RUN);
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    disk.follow(&String::from_utf8_lossy(&fs::read(&log).unwrap()));
    disk.assert_is_what_is_there(&[]);
    let ends = Ends::of(&site);
    let own = disk.dirs_below(Path::new("the repo/.harness"));
    let journal = disk.find(Path::new(JOURNAL)).unwrap();
    let cuts = Cuts::new(&disk, &own.into_iter().collect(), journal);
    let chosen = chosen(&cuts);
    println!(
        "{} changes, {} syncs, {} moments; {} states",
        disk.changes.len(),
        disk.syncs.len(),
        cuts.moments().len(),
        chosen.len()
    );
    let wrong = play(&cuts, &chosen, &root, &ends);
    for (cut, why) in &wrong {
        println!("WRONG {cut:?}: {why}\n---");
    }
    let all = chosen.len();
    assert!(wrong.is_empty(), "{} of {all} went wrong", wrong.len());
}

/// The power cuts to play, of those that leave the same only one.
fn chosen(cuts: &Cuts) -> Vec<Cut> {
    let asked = std::env::var("HARNESS_POWER_IMAGES").unwrap_or_default();
    let number = |text: &str, usual| match text {
        "" => usual,
        text => text.parse().unwrap(),
    };
    let seed = std::env::var("HARNESS_POWER_SEED").unwrap_or_default();
    let mut dice = Dice::new(u64::try_from(number(&seed, 1)).unwrap());
    let mut known = BTreeSet::new();
    let mut chosen = Vec::new();
    let mut take = |cut: Cut| {
        if known.insert(mark(&cuts.image(cut))) {
            chosen.push(cut);
        }
        chosen.len()
    };
    if asked == "all" {
        for at in cuts.moments() {
            for law in LAWS {
                for cut in cuts.at(*at, law, DRAWS) {
                    take(cut);
                }
            }
        }
        return chosen;
    }
    let wanted = number(&asked, FEW);
    // The short version plays what the file systems do on which most people work.
    let laws = if asked.is_empty() { &LAWS[..1] } else { &LAWS };
    // There may be fewer than are wanted.
    for _ in 0..100 * wanted {
        if take(cuts.drawn(&mut dice, laws)) == wanted {
            break;
        }
    }
    chosen
}

/// Plays all of them, several at once; what went wrong.
fn play(cuts: &Cuts, chosen: &[Cut], before: &Path, ends: &Ends) -> Vec<(Cut, String)> {
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(cut) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let tree = cuts.image(*cut);
                    let image = Image { cut: *cut, tree };
                    let played = std::panic::catch_unwind(|| goes_on(&image, before, ends));
                    if let Err(why) = played {
                        let why = why.downcast_ref::<String>().cloned().unwrap_or_default();
                        image.keep(before, &why);
                        wrong.lock().unwrap().push((*cut, why));
                    }
                }
            });
        }
    });
    println!("played in {:.1} s", began.elapsed().as_secs_f64());
    wrong.into_inner().unwrap()
}

/// The next run on this state comes to its end, which is the same.
fn goes_on(image: &Image, before: &Path, ends: &Ends) {
    let site = Site::bare_dir();
    image.lay_out(&root(&site), before);
    remove_what_the_doctor_names(&site);
    let ran = site.harness(&RUN);
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    assert_eq!(Ends::of(&site), *ends, "{}", ran.err);
    assert_eq!(site.git(&["fsck", "--strict", "--no-dangling"]), "");
    if image.cut.law != Law::Journalled {
        // That branches were removed may be lost with the names, and nobody says so in the journal.
        let mended = site.harness(&["doctor", "--fix"]);
        assert_eq!(mended.code, Some(0), "{}", mended.out);
    }
    let there = std::panic::catch_unwind(|| site.assert_no_litter());
    assert!(there.is_ok(), "litter: {}", ran.err);
    assert_green(&site);
    if image.cut.law == Law::Journalled {
        assert_kept(&site, &image.tree);
    }
}

/// A lock that may be a person's, as far as git lets anybody tell, is named and left; the person removes it.
fn remove_what_the_doctor_names(site: &Site) {
    let locks = ["packed-refs.lock", "HEAD.lock", "refs/heads/main.lock"];
    let mut left = locks.to_vec();
    left.retain(|lock| site.repo.join(".git").join(lock).exists());
    if !left.is_empty() {
        let told = site.harness(&["doctor"]).out;
        for lock in left {
            assert!(told.contains(lock), "{lock} is not named: {told}");
        }
        for part in told
            .split("if no git command runs in this repository: rm '")
            .skip(1)
        {
            fs::remove_file(part.split_once('\'').unwrap().0).unwrap();
        }
    }
}

/// Every value that the target ever had passes.
fn assert_green(site: &Site) {
    let mut values = site.git(&["log", "--first-parent", "--format=%H", "main"]);
    values.push_str(&site.git(&["log", "--walk-reflogs", "--format=%H", "main"]));
    for value in values.lines() {
        let files = site.git(&["ls-tree", "--name-only", value]);
        if !files.lines().any(|name| name == "list.txt") {
            // Before there was a project.
            continue;
        }
        let list = site.git(&["show", &format!("{value}:list.txt")]);
        assert!(!list.contains("<<<"), "{value}: {list}");
        let needs = files.lines().any(|name| name == "c.txt");
        assert!(!needs || list.lines().any(|line| line == "a"), "{value}");
    }
}

/// What the journal said is so: what landed is in the target, and what iterations came to is there.
fn assert_kept(site: &Site, tree: &Tree) {
    let all = tree.all();
    let Some(Node::File { bytes, .. }) = all.get(Path::new(JOURNAL)) else {
        return;
    };
    let records = bytes.split(|byte| *byte == b'\n');
    for record in records.filter_map(|line| serde_json::from_slice::<serde_json::Value>(line).ok())
    {
        let event = &record["event"];
        if event["event"] == "merged" {
            let commit = event["commit"].as_str().unwrap();
            site.git(&["merge-base", "--is-ancestor", commit, "main"]);
        }
        if let Some(tip) = event["report"]["tip"].as_str() {
            site.git(&["cat-file", "-e", tip]);
        }
    }
}
