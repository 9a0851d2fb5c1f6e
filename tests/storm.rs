//! Killed again and again while it merges, harness leaves nothing half merged, lands nothing twice, asks for
//! no resolution a second time, and leaves the user's edits as they are.
//!
//! Only harness itself is killed: its agents die with it, the git commands it has started go on to their end.
//! `HARNESS_STORM_KILLS=n` kills n times; `HARNESS_STORM_SEED=n` draws other moments. `scripts/storm` does the
//! long version.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};
use support::{Site, end};

const FEATURES: u32 = 16;
const PARTS: usize = 20;
const SLOTS: &str = "6";
/// A kill comes after the journal has grown by at most this many bytes, and then at most this much later.
const GROWTH: u64 = 16_000;
const JITTER_US: u64 = 20_000;

/// Draws numbers; the same from the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// A number from the environment.
fn asked(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |text| text.parse().unwrap())
}

#[derive(Debug, Default)]
struct Tally {
    runs: u32,
    kills: u64,
    landed: usize,
    resolutions: usize,
    iterations: usize,
    lost_iterations: usize,
}

#[test]
fn whatever_is_killed_while_it_merges_everything_lands_once() {
    let kills = asked("HARNESS_STORM_KILLS", 6);
    // Not 0, from which nothing but 0 is drawn.
    let mut dice = Dice(asked("HARNESS_STORM_SEED", 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut tally = Tally::default();
    while tally.kills < kills {
        let storm = Storm::new();
        storm.blow(kills, &mut dice, &mut tally);
        storm.audit(&mut tally);
        tally.runs += 1;
    }
    println!("{tally:?}");
}

/// A repository whose features clash, with a user in the middle of something.
struct Storm {
    site: Site,
    edits: BTreeMap<&'static str, Vec<u8>>,
    status: String,
    base: String,
}

impl Storm {
    fn new() -> Self {
        let site = Site::new();
        let agent = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/agents/storm.sh");
        let diary = site.path("diary");
        fs::write(&diary, "").unwrap();
        site.write(
            "harness.yaml",
            &format!(
                "version: 1\nagent: storm\nagents:\n  storm:\n    kind: command\n    \
                 command: [sh, {agent:?}, {diary:?}]\nverify: {{commands: ['sh check.sh']}}\n"
            ),
        );
        site.write(
            "check.sh",
            &format!(
                "for f in parts/*; do\n  test \"$f\" = 'parts/*' || test $(ls \"$f\" | wc -l) -eq {PARTS} || exit 1\ndone\n\
                 ! grep -r '^<<<<<<<' shared\n"
            ),
        );
        for n in 0..4 {
            site.write(&format!("shared/{n}.txt"), "everybody's\n");
        }
        for slug in slugs() {
            site.spec(&slug, "");
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
        let status = site.git(&["status", "--porcelain"]);
        let base = site.git(&["rev-parse", "HEAD"]);
        Self {
            site,
            edits,
            status,
            base: base.trim().to_owned(),
        }
    }

    /// Starts harness and kills it, until it comes to its end or has been killed often enough.
    fn blow(&self, kills: u64, dice: &mut Dice, tally: &mut Tally) {
        while tally.kills < kills {
            let child = self.site.start(&["run", "--parallel", SLOTS]);
            let Some(mut child) = self.ride(child, dice) else {
                return;
            };
            child.kill().unwrap();
            child.wait().unwrap();
            tally.kills += 1;
            self.assert_edits();
        }
        let ran = self.site.harness(&["run", "--parallel", SLOTS]);
        assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    }

    /// Waits for a moment that the dice choose. `None` if the run came to its end before.
    fn ride(&self, mut child: Child, dice: &mut Dice) -> Option<Child> {
        let journal = self.site.repo.join(".harness/journal.jsonl");
        let size = || fs::metadata(&journal).map_or(0, |meta| meta.len());
        let enough = size() + dice.below(GROWTH);
        let jitter = Duration::from_micros(dice.below(JITTER_US));
        let mut since = None;
        loop {
            if child.try_wait().unwrap().is_some() {
                let ran = end(child);
                assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
                return None;
            }
            if size() >= enough && since.get_or_insert_with(Instant::now).elapsed() >= jitter {
                return Some(child);
            }
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    fn assert_edits(&self) {
        for (path, text) in &self.edits {
            let found = fs::read(self.site.repo.join(path)).unwrap();
            assert_eq!(found, *text, "{path} is the user's");
        }
    }

    fn audit(&self, tally: &mut Tally) {
        let site = &self.site;
        self.assert_edits();
        assert_eq!(site.git(&["status", "--porcelain"]), self.status);
        assert!(!site.repo.join(".git/MERGE_HEAD").exists());
        assert_eq!(site.git(&["fsck", "--strict", "--no-dangling"]), "");
        assert_eq!(site.git(&["worktree", "list"]).lines().count(), 1);
        assert_eq!(
            site.git(&["branch", "--format=%(refname)"]),
            "refs/heads/main\n"
        );
        let landed = site.landed();
        assert_eq!(landed.len(), slugs().len(), "{landed:?}");
        let once: BTreeSet<String> = landed.iter().cloned().collect();
        assert_eq!(once, slugs().into_iter().collect());
        tally.landed += landed.len();
        self.assert_whole_at_every_commit();
        self.assert_journal(tally);
        self.assert_diary(tally);
    }

    /// Nothing the target ever stood at held half a feature.
    fn assert_whole_at_every_commit(&self) {
        let site = &self.site;
        let since = format!("{}..main", self.base);
        for commit in site.git(&["rev-list", "--first-parent", &since]).lines() {
            let files = site.git(&["ls-tree", "-r", "--name-only", commit]);
            let mut parts: BTreeMap<&str, usize> = BTreeMap::new();
            for file in files.lines().filter_map(|file| file.strip_prefix("parts/")) {
                *parts.entry(file.split('/').next().unwrap()).or_default() += 1;
            }
            let names = site.git(&["grep", "-h", "-e", "^[ef]", commit, "--", "shared"]);
            let names: BTreeSet<&str> =
                names.lines().filter(|name| name.starts_with('f')).collect();
            assert!(parts.values().all(|count| *count == PARTS), "{parts:?}");
            assert_eq!(names, parts.keys().copied().collect(), "{commit}");
        }
    }

    fn assert_journal(&self, tally: &mut Tally) {
        let mut merged = BTreeSet::new();
        for event in self.site.journal() {
            let slug = event["slug"].as_str().unwrap_or_default().to_owned();
            match event["event"].as_str().unwrap() {
                "merged" => assert!(merged.insert(slug), "{event}"),
                "unlanded" | "parked" | "tripped" | "failed" => panic!("{event}"),
                "iteration_started" => tally.iterations += 1,
                "iteration_lost" => tally.lost_iterations += 1,
                _ => {}
            }
        }
    }

    /// What an agent had resolved it was not asked again.
    fn assert_diary(&self, tally: &mut Tally) {
        let mut resolved = BTreeSet::new();
        for line in fs::read_to_string(self.site.path("diary")).unwrap().lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let merge = (words[1].to_owned(), words[2].to_owned());
            match words[0] {
                "asked" => assert!(!resolved.contains(&merge), "asked again: {line}"),
                "resolved" => {
                    resolved.insert(merge);
                }
                _ => panic!("{line}"),
            }
        }
        tally.resolutions += resolved.len();
    }
}

fn slugs() -> Vec<String> {
    (10..10 + FEATURES).map(|n| format!("f{n}")).collect()
}
