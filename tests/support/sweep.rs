//! What a sweep over all places is made of: scenes that pass them, runs with an order for one place, and what must
//! be true in the end whatever was ordered.

#![expect(
    unreachable_pub,
    clippy::unwrap_used,
    reason = "each test file includes this one and uses its part"
)]

use super::support::{Ran, Site};
use harness::fault::Point;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// A repository as it stands before the commands of an act, and how the act ends.
pub struct Scene {
    pub name: &'static str,
    begins: Site,
    /// How the run before died.
    before: Option<&'static str>,
    act: &'static [Step],
    target: &'static str,
    ends: Ends,
    /// How often each place is passed when nothing is ordered.
    pub passes: BTreeMap<&'static str, u32>,
}

/// A command, and the exit codes it may end with when nothing is ordered. It is said again after a crash, and may
/// have nothing left to do then.
struct Step {
    args: &'static [&'static str],
    codes: &'static [i32],
}

/// What is the same in the end, whatever happened before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Ends {
    tree: String,
    lessons: Vec<String>,
}

const RUN: Step = Step {
    args: &["run", "--parallel", "2"],
    codes: &[0],
};
const UNDO: Step = Step {
    args: &["undo", "a", "--requeue"],
    codes: &[0, 2],
};

impl Scene {
    /// Three features: `c` needs `a`, `b` clashes with it. Agents work in clones, worktrees are set up, and the target
    /// is checked out.
    pub fn night() -> Self {
        let site = site(
            "isolation: clone\nworktrees: {setup: ['true']}",
            &["a", "b", "c"],
        );
        site.spec("c", "depends_on: a");
        site.commit("specs");
        Self::new("night", site, &[RUN], "main")
    }

    /// One feature, and a target that is checked out nowhere.
    pub fn aside() -> Self {
        let site = site("target: trunk", &["a"]);
        site.commit("specs");
        site.git(&["branch", "trunk"]);
        Self::new("aside", site, &[RUN], "trunk")
    }

    /// A feature has landed and could not be published, and the user has committed what clashes with it.
    pub fn overtaken() -> Self {
        let site = site("", &["b"]);
        site.commit("specs");
        site.write("list.txt", "0\nz\n");
        let ran = site.harness(RUN.args);
        assert_eq!(ran.code, Some(8), "{}{}", ran.out, ran.err);
        site.git(&["commit", "-q", "-a", "-m", "mine"]);
        Self::new("overtaken", site, &[RUN], "main")
    }

    /// A feature is merged, taken back and done again.
    pub fn undone() -> Self {
        let site = site("", &["a"]);
        site.commit("specs");
        let ran = site.harness(RUN.args);
        assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
        Self::new("undone", site, &[UNDO, RUN], "main")
    }

    /// The run before died in the middle of a write.
    pub fn torn(order: &'static str) -> Self {
        let site = site("", &["a"]);
        site.commit("specs");
        Self::after(Some(order), "torn", site, &[RUN], "main")
    }

    /// All of them: together they pass every place.
    pub fn all() -> Vec<Self> {
        vec![
            Self::aside(),
            Self::torn("journal.write#3=crash"),
            Self::torn("memory.write=crash"),
            Self::undone(),
            Self::overtaken(),
            Self::night(),
        ]
    }

    fn new(name: &'static str, begins: Site, act: &'static [Step], target: &'static str) -> Self {
        Self::after(None, name, begins, act, target)
    }

    fn after(
        before: Option<&'static str>,
        name: &'static str,
        begins: Site,
        act: &'static [Step],
        target: &'static str,
    ) -> Self {
        let mut scene = Self {
            name,
            begins,
            before,
            act,
            target,
            ends: Ends::default(),
            passes: BTreeMap::new(),
        };
        let site = scene.site();
        scene.passes = scene.passes_in(&site);
        scene.ends = scene.found(&site);
        scene
    }

    /// A copy of the repository to play in.
    pub fn site(&self) -> Site {
        let site = Site::bare_dir();
        fs::remove_dir(&site.repo).unwrap();
        let copied = Command::new("cp")
            .arg("-a")
            .arg(&self.begins.repo)
            .arg(&site.repo)
            .status();
        assert!(copied.unwrap().success());
        if let Some(order) = self.before {
            let ran = site.harness_with(RUN.args, &[("HARNESS_FAULT", order)]);
            assert_eq!(ran.code, None, "{}{}", ran.out, ran.err);
            await_nobody(&site);
        }
        site
    }

    /// Plays the act with an order; gives what each command left, up to the first that did not end as it may.
    pub fn play(&self, site: &Site, order: &str) -> Vec<Ran> {
        let log = site.path("passes");
        let log = ("HARNESS_FAULT_LOG", log.to_str().unwrap());
        self.play_with(site, &[("HARNESS_FAULT", order), log])
    }

    fn play_with(&self, site: &Site, env: &[(&str, &str)]) -> Vec<Ran> {
        let mut all = Vec::new();
        for step in self.act {
            let ran = site.harness_with(step.args, env);
            let goes_on = ran.code.is_some_and(|code| step.codes.contains(&code));
            all.push(ran);
            if !goes_on {
                break;
            }
        }
        all
    }

    /// Whether the act came to its end.
    pub fn is_over(&self, all: &[Ran]) -> bool {
        all.len() == self.act.len() && all.last().is_some_and(|ran| ran.code == Some(0))
    }

    /// Plays the act to its end, which it must come to.
    pub fn plays_out(&self, site: &Site) {
        let all = self.play_with(site, &[]);
        assert!(self.is_over(&all), "{}: {all:#?}", self.name);
    }

    /// How often each place is passed from here on when nothing is ordered.
    pub fn passes_in(&self, site: &Site) -> BTreeMap<&'static str, u32> {
        let log = site.path("passes");
        let all = self.play_with(site, &[("HARNESS_FAULT_LOG", log.to_str().unwrap())]);
        assert!(self.is_over(&all), "{}: {all:#?}", self.name);
        let mut passes = BTreeMap::new();
        for line in fs::read_to_string(log).unwrap().lines() {
            let point = Point::ALL.iter().find(|point| point.name() == line);
            *passes.entry(point.unwrap().name()).or_default() += 1;
        }
        passes
    }

    fn found(&self, site: &Site) -> Ends {
        let tree = site.git(&["rev-parse", &format!("{}^{{tree}}", self.target)]);
        // Which iteration learnt it, and in which order, depends on what was lost.
        let lesson = |line: &str| line.split_once("] ").unwrap_or(("", line)).1.to_owned();
        let text = site.read(".harness/learnings.md");
        let mut lessons: Vec<String> = text.lines().map(lesson).collect();
        lessons.sort();
        Ends { tree, lessons }
    }

    /// What must be so when a run has said that all is done.
    pub fn is_done(&self, site: &Site, about: &str) {
        assert_eq!(self.found(site), self.ends, "{about}");
        let fsck = site.git(&["fsck", "--strict", "--no-dangling"]);
        assert_eq!(fsck, "", "{about}");
        assert_eq!(site.git(&["status", "--porcelain"]), "", "{about}");
        await_nobody(site);
    }

    /// What must be so in the end.
    pub fn audit(&self, site: &Site, about: &str) {
        self.is_done(site, about);
        assert_eq!(site.read(".harness/lock"), "", "{about}: the lock");
        let refs = site.git(&["for-each-ref", "--format=%(refname)"]);
        let expected = |name: &&str| {
            let history = ["iterations", "old", "lost"];
            let history = history.map(|kind| format!("refs/harness/{kind}/"));
            ["refs/heads/main", "refs/heads/trunk"].contains(name)
                || history.iter().any(|kind| name.starts_with(kind))
        };
        let mut litter: Vec<String> = refs
            .lines()
            .filter(|name| !expected(name))
            .map(str::to_owned)
            .collect();
        if site.path("the repo.harness").exists() {
            litter.push("the pool".to_owned());
        }
        let mut look = |dir: &str, is_litter: &dyn Fn(&str) -> bool| {
            walk(&site.repo.join(dir), &mut |path| {
                let name = path.file_name().unwrap().to_string_lossy();
                if is_litter(&name) {
                    litter.push(path.display().to_string());
                }
            });
        };
        look(".git", &|name| {
            name.starts_with("harness-") || name.ends_with(".lock") || name == "worktrees"
        });
        look(".harness", &|name| {
            let drafts = [".part", ".new", ".tmp"];
            name.starts_with(".new") || drafts.iter().any(|end| name.ends_with(end))
        });
        assert_eq!(litter, Vec::<String>::new(), "{about}: left behind");
    }
}

/// A repository with features for the steady agent, not yet committed.
fn site(more: &str, features: &[&str]) -> Site {
    let site = Site::new();
    let agent = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/agents/steady.sh");
    site.write(
        "harness.yaml",
        &format!(
            "version: 1\nagent: steady\nagents:\n  steady:\n    kind: command\n    command: [sh, {agent:?}]\n\
             verify: {{commands: ['! grep -q \"^<<<\" list.txt', 'test ! -e c.txt || grep -q -x a list.txt']}}\n{more}\n"
        ),
    );
    // Examples, which would only be copied.
    fs::remove_dir_all(site.repo.join(".git/hooks")).unwrap();
    site.write("list.txt", "0\n");
    site.write(".gitignore", "cached\n");
    site.write("cached", "what a build needs\n");
    site.write(".worktreeinclude", "cached\n");
    for slug in features {
        site.spec(slug, "");
    }
    site
}

fn walk(dir: &Path, tell: &mut impl FnMut(&Path)) {
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        tell(&path);
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            walk(&path, tell);
        }
    }
}

/// Waits until no process is left that was started for this repository.
pub fn await_nobody(site: &Site) {
    let here = site.path("");
    let here = here.to_str().unwrap().trim_end_matches('/').to_owned();
    let is_here = |pid: &Path| {
        let env = fs::read(pid.join("environ")).unwrap_or_default();
        let named = format!("TMPDIR={here}");
        let named = named.as_bytes();
        env.windows(named.len()).any(|part| part == named)
    };
    let own = std::process::id().to_string();
    site.await_rarely("no process is left", || {
        let all = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = all.map(|entry| entry.path()).filter(|path| {
            let name = path.file_name().unwrap().to_string_lossy();
            name.bytes().all(|byte| byte.is_ascii_digit()) && *name != *own
        });
        !pids.into_iter().any(|pid| is_here(&pid))
    });
}

/// Does all jobs, several at once, and tells what went wrong with which.
pub fn in_parallel<T: Sync>(jobs: &[T], work: impl Fn(&T) + Sync) {
    let workers = std::env::var("HARNESS_SWEEP_WORKERS").map_or(4, |text| text.parse().unwrap());
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(job)));
                    if let Err(why) = done {
                        let why = why.downcast_ref::<String>().cloned();
                        let mut all = wrong.lock().unwrap_or_else(PoisonError::into_inner);
                        all.push(why.unwrap_or_default());
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap_or_else(PoisonError::into_inner);
    assert!(
        wrong.is_empty(),
        "{} went wrong:\n{}",
        wrong.len(),
        wrong.join("\n---\n")
    );
}

/// Of a long version only every so many: a sample.
pub fn sample<T>(all: Vec<T>) -> Vec<T> {
    let every = std::env::var("HARNESS_SWEEP_EVERY").map_or(1, |text| text.parse().unwrap());
    all.into_iter().step_by(every).collect()
}

/// Names of places that are in one set and not in another.
pub fn missing<'a>(all: impl Iterator<Item = &'a str>, found: &BTreeSet<&str>) -> Vec<&'a str> {
    all.filter(|name| !found.contains(name)).collect()
}
