//! Whatever is killed, and whenever (harness, agents, supervisors), the next run goes on where it was: every feature
//! lands once and whole, every value of the target passes its gate, no lesson is lost or doubled, nothing of the user's is
//! touched, and nobody of a dead run is left.
//!
//! A black box: harness is judged by what git says and by `status --json`, never by its journal. `HARNESS_TORTURE_*`
//! (`RUNS KILLS FEATURES SLOTS SEED SLOWEST_MS`) ask for more than the usual short run; `scripts/torture` does the long
//! version.
#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on must stop, and says what it saw"
)]

#[path = "support/processes.rs"]
mod processes;
mod support;

use processes::{Process, at_work_in, below};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use support::Site;

/// A kill comes at most this much later than the growth of the journal that it waits for.
const JITTER_US: u64 = 30_000;
/// What stands in the command lines of those that are killed.
const AGENT: &str = "torture.sh";
const SUPERVISOR: &str = "__supervise";
/// How long a victim is waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// What a feature adds to the journal, about.
const BYTES_A_FEATURE: u64 = 3_000;

/// Draws numbers; the same from the same seed.
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        // Not 0, from which nothing but 0 is drawn.
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// A number from the environment.
fn asked(name: &str, usual: u64) -> u64 {
    let name = format!("HARNESS_TORTURE_{name}");
    std::env::var(name).map_or(usual, |text| text.parse().unwrap())
}

/// What one run from the first spec to the last landing went through.
#[derive(Clone, Default)]
struct Tally {
    harness_killed: u64,
    agents_killed: u64,
    supervisors_killed: u64,
    landed: usize,
    values: usize,
    iterations: u64,
    /// From a kill of harness until nobody that worked for it was left.
    slowest: Duration,
    /// The same for git commands, which go on to their own end.
    slowest_git: Duration,
    took: Duration,
}

impl Tally {
    fn kills(&self) -> u64 {
        self.harness_killed + self.agents_killed + self.supervisors_killed
    }

    fn add(&mut self, other: &Self) {
        self.harness_killed += other.harness_killed;
        self.agents_killed += other.agents_killed;
        self.supervisors_killed += other.supervisors_killed;
        self.landed += other.landed;
        self.values += other.values;
        self.iterations += other.iterations;
        self.slowest = self.slowest.max(other.slowest);
        self.slowest_git = self.slowest_git.max(other.slowest_git);
        self.took += other.took;
    }

    fn print(&self, name: &str) {
        println!(
            "{name:>5}{:>9}{:>8}{:>13}{:>9}{:>12}{:>15}{:>10} ms{:>10} ms{:>9.1} s",
            self.harness_killed,
            self.agents_killed,
            self.supervisors_killed,
            self.landed,
            self.iterations,
            self.values,
            self.slowest.as_millis(),
            self.slowest_git.as_millis(),
            self.took.as_secs_f64(),
        );
        let _ = std::io::stdout().flush();
    }
}

#[test]
fn whatever_is_killed_every_feature_lands_once() {
    let (runs, kills) = (asked("RUNS", 1), asked("KILLS", 12));
    let (features, seed) = (asked("FEATURES", 12), asked("SEED", 1));
    assert!(features > 0 && runs > 0);
    println!("seed {seed}: {kills} kills over {runs} runs of {features} features");
    println!(
        "{:>5}{:>9}{:>8}{:>13}{:>9}{:>12}{:>15}{:>13}{:>13}{:>11}",
        "run",
        "harness",
        "agents",
        "supervisors",
        "landed",
        "iterations",
        "green values",
        "gone in",
        "git in",
        "took"
    );
    let mut total = Tally::default();
    let mut run = 0;
    while run < runs || total.kills() < kills {
        let share = (kills - total.kills().min(kills)).div_ceil(runs.saturating_sub(run).max(1));
        let mut torture = Torture::new(features, Dice::new(seed + run));
        torture.go(share);
        torture.judge();
        run += 1;
        torture.tally.print(&run.to_string());
        total.add(&torture.tally);
    }
    total.print("all");
    println!("0 lost, 0 doubled, 0 half merged; the user's files are as they were");
    let slowest = Duration::from_millis(asked("SLOWEST_MS", 0));
    assert!(
        slowest.is_zero() || total.slowest <= slowest,
        "somebody was left for longer than {slowest:?}"
    );
}

/// A repository, its features, a user in the middle of something, and who kills.
struct Torture {
    site: Site,
    slugs: Vec<String>,
    slots: String,
    edits: BTreeMap<&'static str, Vec<u8>>,
    status: String,
    staged: String,
    base: String,
    dice: Dice,
    /// The most that the journal grows between two kills.
    growth: u64,
    tally: Tally,
}

impl Torture {
    fn new(features: u64, dice: Dice) -> Self {
        let site = Site::new();
        let slugs: Vec<String> = (10..10 + features).map(|n| format!("f{n}")).collect();
        let agent = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/agents/torture.sh");
        // An agent that is killed is silent and fails: no breaker or cap may end what the dice began.
        site.write(
            "harness.yaml",
            &format!(
                "version: 1\nagent: torture\nagents:\n  torture:\n    kind: command\n    command: [sh, {agent:?}]\n\
                 verify: {{commands: ['sh check.sh']}}\n\
                 run: {{max_iterations: 1000000, max_iterations_per_feature: 100000, grace: 500ms}}\n\
                 breakers: {{stuck: {{limit: 1000}}, idle: {{limit: 1000}}, repeat: {{limit: 1000}}}}\n\
                 merge: {{max_conflict_rounds: 100, max_red_rounds: 100}}\n"
            ),
        );
        site.write(
            "check.sh",
            include_str!("../fixtures/agents/torture_check.sh"),
        );
        for n in 0..5 {
            site.write(&format!("shared/{n}.txt"), "everybody's\n");
        }
        for (place, slug) in slugs.iter().enumerate() {
            // The agent writes down what it depends on: one before it, see there.
            let needs = match (place + 10) % 4 {
                3 if place > 0 => format!("depends_on: [{}]", slugs[place - 1]),
                _ => String::new(),
            };
            site.spec(slug, &needs);
        }
        for path in ["edited", "staged"] {
            site.write(path, "as it was\n");
        }
        site.write(".gitignore", "ignored\n");
        site.commit("specs");
        let mut edits = BTreeMap::new();
        for path in ["edited", "staged", "new", "ignored"] {
            let text = format!("the user is in the middle of {path}\n");
            site.write(path, &text);
            edits.insert(path, text.into_bytes());
        }
        site.git(&["add", "staged"]);
        site.write("staged", "and went on after it was staged\n");
        edits.insert("staged", b"and went on after it was staged\n".to_vec());
        let base = site.git(&["rev-parse", "HEAD"]);
        Self {
            status: site.git(&["status", "--porcelain"]),
            staged: site.git(&["ls-files", "--stage", "staged", "edited"]),
            slots: asked("SLOTS", 8).to_string(),
            base: base.trim().to_owned(),
            growth: 0,
            tally: Tally::default(),
            site,
            slugs,
            edits,
            dice,
        }
    }

    /// Starts harness and kills, until it comes to its end; the last of `kills` kills leaves it to come to one.
    fn go(&mut self, kills: u64) {
        let began = Instant::now();
        let features = u64::try_from(self.slugs.len()).unwrap();
        // A little less than would fit, since who is killed late in a run has nothing to be killed over.
        self.growth = 2 * features * BYTES_A_FEATURE / (kills + 1);
        let log = self.site.path("printed");
        loop {
            let args = ["run", "--parallel", &self.slots];
            let mut child = self.site.start_into(&args, &log);
            let ended = loop {
                if self.tally.kills() == kills {
                    break Some(child.wait().unwrap());
                }
                if let Some(ended) = self.ride(&mut child) {
                    break Some(ended);
                }
                // Of five kills three hit harness itself.
                match self.dice.below(5) {
                    0 => self.kill_below(&mut child, AGENT, |tally| &mut tally.agents_killed),
                    1 => self.kill_below(&mut child, SUPERVISOR, |tally| {
                        &mut tally.supervisors_killed
                    }),
                    _ => break None,
                }
            };
            if let Some(ended) = ended {
                let printed = fs::read_to_string(&log).unwrap();
                let tail = printed.len().saturating_sub(5_000);
                assert_eq!(
                    ended.code(),
                    Some(0),
                    "{}",
                    &printed[printed.ceil_char_boundary(tail)..]
                );
                break;
            }
            self.kill_harness(child);
        }
        self.tally.took = began.elapsed();
    }

    /// Waits for a moment that the dice choose. How the run ended, if it came to its end before.
    fn ride(&mut self, child: &mut Child) -> Option<std::process::ExitStatus> {
        let journal = self.site.repo.join(".harness/journal.jsonl");
        let size = || fs::metadata(&journal).map_or(0, |meta| meta.len());
        let enough = size() + self.dice.below(self.growth);
        let jitter = Duration::from_micros(self.dice.below(JITTER_US));
        let mut since = None;
        loop {
            if let Some(ended) = child.try_wait().unwrap() {
                return Some(ended);
            }
            if size() >= enough && since.get_or_insert_with(Instant::now).elapsed() >= jitter {
                return None;
            }
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    /// Kills one of harness's descendants whose command line holds this word, as soon as there is one.
    fn kill_below(&mut self, child: &mut Child, word: &str, count: fn(&mut Tally) -> &mut u64) {
        let patience = Instant::now() + PATIENCE;
        // A supervisor's line has its command's in it.
        let is_meant = |one: &Process| {
            one.is_running()
                && one.line.contains(word)
                && one.line.contains(SUPERVISOR) == (word == SUPERVISOR)
        };
        while Instant::now() < patience && child.try_wait().unwrap().is_none() {
            let mut found = below(child.id());
            found.retain(is_meant);
            let number = u64::try_from(found.len()).unwrap();
            if number > 0 && found[usize::try_from(self.dice.below(number)).unwrap()].kill() {
                *count(&mut self.tally) += 1;
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Kills harness, and every other time goes on at once, without waiting until all that worked for it is gone.
    fn kill_harness(&mut self, mut child: Child) {
        let patient = self.dice.below(2) == 0;
        child.kill().unwrap();
        let began = Instant::now();
        child.wait().unwrap();
        self.tally.harness_killed += 1;
        self.assert_edits();
        if !patient {
            return;
        }
        let dir = self.site.path("");
        let is_git = |one: &Process| one.line.starts_with("git ") || one.line.contains("/git ");
        loop {
            let left = at_work_in(&dir);
            let now = began.elapsed();
            if left.iter().any(|one| !is_git(one)) {
                self.tally.slowest = now;
            }
            if left.is_empty() {
                self.tally.slowest_git = self.tally.slowest_git.max(now);
                break;
            }
            assert!(now < Duration::from_secs(60), "left: {left:?}");
            std::thread::sleep(Duration::from_millis(1));
        }
        self.assert_consistent();
    }

    /// What the user has not committed is as it was.
    fn assert_edits(&self) {
        for (path, text) in &self.edits {
            let found = fs::read(self.site.repo.join(path)).unwrap();
            assert_eq!(found, *text, "{path} is the user's");
        }
    }

    /// Between two runs: the repository is whole, and what `status` calls merged has landed.
    fn assert_consistent(&self) {
        let site = &self.site;
        self.assert_edits();
        let staged = site.git(&["ls-files", "--stage", "staged", "edited"]);
        assert_eq!(staged, self.staged);
        assert_eq!(site.git(&["fsck", "--strict", "--no-dangling"]), "");
        let tip = site.harness(&["status", "--json"]);
        assert_eq!(tip.code, Some(0), "{}", tip.err);
        let status: serde_json::Value = serde_json::from_str(&tip.out).unwrap();
        assert_eq!(status["live"], false);
        let ahead = "refs/harness/integration/main";
        let landed = match site.git(&["for-each-ref", ahead]).is_empty() {
            true => self.landings("main"),
            false => self.landings(ahead),
        };
        for feature in status["features"].as_array().unwrap() {
            if feature["stage"] == "merged" {
                let slug = feature["slug"].as_str().unwrap();
                assert!(
                    landed.contains_key(slug),
                    "{feature} only in status, of {landed:?}"
                );
            }
        }
    }

    /// The features that landed in a history, each with the number of the iteration that did it. Each once.
    fn landings(&self, tip: &str) -> BTreeMap<String, String> {
        let log = self.site.git(&[
            "log",
            "--first-parent",
            "--format=%(trailers:key=Harness-Feature,valueonly,separator=%x20) \
             %(trailers:key=Harness-Iteration,valueonly,separator=%x20)",
            &format!("{}..{tip}", self.base),
        ]);
        let mut found = BTreeMap::new();
        for line in log.lines().filter(|line| !line.trim().is_empty()) {
            let (slug, iteration) = line.split_once(' ').unwrap();
            let before = found.insert(slug.to_owned(), iteration.to_owned());
            assert_eq!(before, None, "{slug} landed twice");
        }
        found
    }

    fn judge(&mut self) {
        self.assert_edits();
        assert_eq!(self.site.git(&["status", "--porcelain"]), self.status);
        self.assert_consistent();
        let site = &self.site;
        assert!(!site.repo.join(".git/MERGE_HEAD").exists());
        assert_eq!(site.git(&["worktree", "list"]).lines().count(), 1);
        let branches = site.git(&["branch", "--format=%(refname)"]);
        assert_eq!(branches, "refs/heads/main\n");
        assert!(!site.path("the repo.harness").exists(), "the pool is gone");
        assert!(at_work_in(&site.path("")).is_empty());
        let landed = self.landings("main");
        assert_eq!(
            landed.keys().collect::<Vec<_>>(),
            self.slugs.iter().collect::<Vec<_>>()
        );
        self.assert_status(&landed);
        self.assert_lessons(&landed);
        self.tally.landed = landed.len();
        self.tally.values = self.assert_green_at_every_value();
    }

    /// At the end git and `status` say the same.
    fn assert_status(&mut self, landed: &BTreeMap<String, String>) {
        let status = self.site.harness(&["status", "--json"]).out;
        let status: serde_json::Value = serde_json::from_str(&status).unwrap();
        assert_eq!(status["state"], "ended");
        let features = status["features"].as_array().unwrap();
        let merged = features.iter().filter(|one| one["stage"] == "merged");
        assert_eq!(merged.count(), landed.len());
        for feature in features {
            let commit = feature["commit"].as_str().unwrap();
            let format = "--format=%(trailers:key=Harness-Feature,valueonly,separator=)";
            let of = self.site.git(&["log", "-1", format, commit]);
            assert_eq!(of.trim(), feature["slug"].as_str().unwrap());
            self.tally.iterations += feature["iteration"].as_u64().unwrap();
        }
    }

    /// The lesson of the iteration that landed is there, and none is there twice.
    fn assert_lessons(&self, landed: &BTreeMap<String, String>) {
        let text = self.site.read(".harness/learnings.md");
        let mut told = BTreeSet::new();
        for line in text.lines() {
            let lesson = line.split_once("] ").map_or(line, |(_, lesson)| lesson);
            assert!(told.insert(lesson), "told twice: {line}");
        }
        for (slug, iteration) in landed {
            let lesson = format!("lesson of {slug} in iteration {iteration}");
            assert!(told.contains(lesson.as_str()), "lost: {lesson}");
        }
    }

    /// Everything the target ever stood at, and every step in between, passes the gate in a fresh checkout.
    fn assert_green_at_every_value(&self) -> usize {
        let site = &self.site;
        let since = format!("{}..main", self.base);
        let steps = site.git(&["rev-list", "--first-parent", &since]);
        let steps: BTreeSet<&str> = steps.lines().collect();
        let values = site.git(&["log", "--walk-reflogs", "--format=%H", "main"]);
        let values: BTreeSet<&str> = values.lines().collect();
        let before = site.git(&["rev-list", &self.base]);
        for value in &values {
            let known = steps.contains(value) || before.contains(value);
            assert!(
                known,
                "the target stood at {value}, which is no step of its history"
            );
        }
        for step in &steps {
            self.assert_green(step);
        }
        values.intersection(&steps).count()
    }

    fn assert_green(&self, commit: &str) {
        let fresh = tempfile::tempdir_in(self.site.path("")).unwrap();
        let mut archive = self.site.git_command(&["archive", commit]);
        let mut archive = archive.stdout(Stdio::piped()).spawn().unwrap();
        let mut tar = Command::new("tar");
        tar.arg("-x")
            .current_dir(fresh.path())
            .stdin(archive.stdout.take().unwrap());
        assert!(tar.status().unwrap().success());
        assert!(archive.wait().unwrap().success());
        let mut check = Command::new("sh");
        let checked = check
            .arg("check.sh")
            .current_dir(fresh.path())
            .output()
            .unwrap();
        assert!(checked.status.success(), "{commit} is red: {checked:?}");
    }
}
