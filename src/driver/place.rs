//! Where harness works: the repository, its state directory, its configuration.
//!
//! Reading only. This file must never start, lock or change anything.

use super::apart::is_run;
use super::damage;
use super::error::DriverError;
use super::follow::Watch;
use crate::config::{self, Config, Flags, Loaded, Sources};
use crate::core::State;
use crate::git::Repo;
use crate::journal::{self, Contents, Holder, Journal};
use crate::model::{AgentChoice, OnLimit};
use crate::process;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often it is looked who holds a lock, where what stands there is nobody who lives.
const LOOKS: u32 = 3;
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);
/// State directory of a repository that did not use harness-loop.
const STATE_DIR: &str = ".harness";
/// State directory of harness-loop; used where it exists.
const LEGACY_STATE_DIR: &str = "logs/feature-runner";

/// A repository and its state directory.
#[derive(Clone, Debug)]
pub struct Place {
    /// The repository, opened at its main checkout.
    pub repo: Repo,
    /// Where journal, logs and markers live.
    pub state_dir: PathBuf,
}

/// What the journal tells somebody who only looks.
#[derive(Debug)]
pub struct Reading {
    /// The replayed state.
    pub state: State,
    /// Who runs it now, if anybody.
    pub live: Option<Holder>,
}

impl Place {
    /// Finds the repository that `start` is in: any directory of it, or of one of its worktrees.
    ///
    /// # Errors
    /// When there is no repository that harness can work in.
    pub fn find(start: &Path) -> Result<Self, DriverError> {
        let repo = Repo::discover(start)?;
        let legacy = repo.root().join(LEGACY_STATE_DIR);
        let state_dir = if legacy.is_dir() {
            legacy
        } else {
            repo.root().join(STATE_DIR)
        };
        let repo = repo.carrying(process::TOKEN_VARIABLE, &git_token(&state_dir));
        Ok(Self { repo, state_dir })
    }

    /// What the git commands of harness carry here, so that those of a killed run can be found.
    #[must_use]
    pub(super) fn git_token(&self) -> String {
        git_token(&self.state_dir)
    }

    /// The configuration with all its sources.
    ///
    /// # Errors
    /// All problems at once.
    pub fn config(
        &self,
        file: Option<PathBuf>,
        env: BTreeMap<String, String>,
        flags: Flags,
    ) -> Result<Loaded, DriverError> {
        let sources = Sources {
            root: self.repo.root().to_owned(),
            file,
            env,
            flags,
        };
        config::load(&sources).map_err(|problems| DriverError::Problems(problems.0))
    }

    /// Replays the journal without touching it; works while a run lives and after it was killed.
    ///
    /// # Errors
    /// When the journal is damaged.
    pub fn read(&self) -> Result<Reading, DriverError> {
        let mut watch = Watch::of(self);
        let (_, live) = watch.look()?;
        Ok(Reading {
            state: watch.state,
            live,
        })
    }

    /// What stands in the journal, without touching it.
    pub(super) fn contents(&self) -> Result<Contents, DriverError> {
        let contents = journal::read(&self.journal_file())?;
        damage::not_emptied(self, contents.records.is_empty())?;
        Ok(contents)
    }

    /// Opens the journal to append to it. The caller must hold the lock.
    ///
    /// # Errors
    /// When the journal is damaged or cannot be written.
    pub(super) fn journal(&self) -> Result<(Journal, Contents), DriverError> {
        let contents = journal::read(&self.journal_file())?;
        // Before a torn end is cut off: where nothing else is there, all of it was lost.
        damage::not_emptied(self, contents.records.is_empty())?;
        Ok(Journal::open(&self.state_dir)?)
    }

    /// Where the journal is.
    pub(super) fn journal_file(&self) -> PathBuf {
        self.state_dir.join(journal::FILE_NAME)
    }

    /// The living process that holds the lock, if any.
    #[must_use]
    pub fn holder(&self) -> Option<Holder> {
        let lives = |holder: &Holder| {
            process::alive(holder.pid, holder.start_time, holder.boot_id.as_deref())
        };
        let mut looks = 1;
        loop {
            let is_held = journal::is_held(&self.state_dir);
            let holder = journal::read_holder(&self.state_dir);
            match is_held {
                Some(false) => return None,
                None => return holder.filter(lives),
                // Who has just taken it has yet to write so; who is not seen from here stays.
                Some(true) if looks < LOOKS && !holder.as_ref().is_some_and(lives) => {
                    std::thread::sleep(BETWEEN_LOOKS);
                    looks += 1;
                }
                Some(true) => return holder,
            }
        }
    }

    /// The run that lives here. Whoever else holds the lock has it for a while, a rehearsal for one; nothing is worked on then.
    #[must_use]
    pub fn run(&self) -> Option<Holder> {
        self.holder().filter(is_run)
    }

    /// Directory of one iteration's records: prompt, output, result.
    #[must_use]
    pub fn records(&self, slug: &crate::model::Slug, iteration: u32) -> PathBuf {
        let directory = self.state_dir.join("iterations").join(slug.as_str());
        directory.join(iteration.to_string())
    }

    /// The prompt that an iteration was given.
    #[must_use]
    pub fn prompt(&self, slug: &crate::model::Slug, iteration: u32) -> PathBuf {
        self.records(slug, iteration).join("prompt.md")
    }

    /// Iterations of a feature whose prompts are kept, in order.
    #[must_use]
    pub fn prompts(&self, slug: &crate::model::Slug) -> Vec<u32> {
        let directory = self.state_dir.join("iterations").join(slug.as_str());
        let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
        let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let mut kept: Vec<u32> = numbers
            .filter(|n| self.prompt(slug, *n).is_file())
            .collect();
        kept.sort_unstable();
        kept
    }

    /// What gates print.
    pub(super) fn gate_logs(&self) -> PathBuf {
        self.state_dir.join("gates")
    }

    /// What `verify.fingerprint` printed when the run began.
    #[must_use]
    pub fn fingerprint(&self) -> PathBuf {
        self.gate_logs().join("fingerprint.log")
    }

    /// What a gate printed: of which attempt, after how many failures of the same tree.
    #[must_use]
    pub fn gate_log(&self, attempt: u32, reds: u32) -> PathBuf {
        let name = match reds {
            0 => format!("{attempt}.log"),
            reds => format!("{attempt}-retry{reds}.log"),
        };
        self.gate_logs().join(name)
    }

    /// What the commands printed that made an attempt's generated files.
    #[must_use]
    pub fn made_log(&self, attempt: u32) -> PathBuf {
        self.state_dir
            .join("gates")
            .join(format!("{attempt}-generated.log"))
    }

    /// The run for people, one line an event.
    #[must_use]
    pub fn run_log(&self) -> PathBuf {
        self.state_dir.join("run.log")
    }

    /// Where the reports of runs are.
    #[must_use]
    pub fn reports(&self) -> PathBuf {
        self.state_dir.join("reports")
    }

    /// Where commands for a living run are left.
    #[must_use]
    pub fn inbox(&self) -> PathBuf {
        self.state_dir.join("inbox")
    }

    /// A description of this process for the lock file.
    #[must_use]
    pub fn this_process(doing: &str) -> Holder {
        let pid = std::process::id();
        let host = nix::unistd::gethostname()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_else(|_| "this machine".to_owned());
        Holder {
            pid,
            start_time: process::start_time(pid),
            boot_id: process::boot_id(),
            doing: doing.to_owned(),
            host,
        }
    }
}

fn git_token(state_dir: &Path) -> String {
    mark(state_dir, "git")
}

/// Names something of this state directory: repositories must not find each other's processes.
pub(super) fn mark(state_dir: &Path, what: &str) -> String {
    // FNV-1a.
    let place = state_dir
        .as_os_str()
        .as_encoded_bytes()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
    format!("{place:016x}-{what}")
}

/// The profiles that a run may need: of the features, of the ladder, and those that stand in for others.
#[must_use]
pub(super) fn profiles_in_use<'a>(
    config: &'a Config,
    features: &[crate::model::FeatureSpec],
) -> Vec<&'a String> {
    config
        .agents
        .keys()
        .filter(|name| {
            let own = |spec: &crate::model::FeatureSpec| {
                spec.agent.profile.as_ref().unwrap_or(&config.agent) == *name
            };
            let rung = |rung: &AgentChoice| rung.profile.as_ref() == Some(*name);
            let limits = &config.limits;
            let stands_in = limits.on_limit == OnLimit::Switch && limits.fallback.contains(name);
            features.iter().any(own) || config.escalate.iter().any(rung) || stands_in
        })
        .collect()
}
