//! Looks for what keeps harness from working here, and for what a killed run has left; puts right what can be.
//!
//! A check is one function in [`CHECKS`]. Looking changes nothing, takes no lock and runs neither agents nor commands of
//! the project (it asks agents for their version, and [`agents`] has them answer once if a person asks for that), so it is fine beside a living run; then what that run uses is not called litter. Mending is done in the
//! order of the list, while the state directory's lock is held: first nobody of a dead run is left, then its locks are
//! nobody's.

mod agents;
mod conditions;
mod night;
mod remains;

pub use agents::agents;

use super::error::DriverError;
use super::place::{Place, Reading};
use crate::config::Config;
use crate::git::{GitError, Litter, Target, Worktrees};
use crate::journal::Lock;
use crate::model::Slug;
use crate::report::{Checkup, Finding, Urgency};

/// What all checks look at.
struct Scene<'a> {
    place: &'a Place,
    config: Result<&'a Config, &'a str>,
    target: Result<Target, GitError>,
    pool: Option<Worktrees>,
    reading: Result<Reading, DriverError>,
    /// Who runs here now.
    live: Option<String>,
}

/// What a look finds; an error is a finding of its own.
type Found = Result<Vec<Finding>, DriverError>;
/// What mending did, a sentence each.
type Fixed = Result<Vec<String>, DriverError>;

type Look = fn(&Scene<'_>) -> Found;
type Mend = fn(&Scene<'_>) -> Fixed;

/// One check.
struct Check {
    id: &'static str,
    /// What is looked at.
    about: &'static str,
    look: Look,
    mend: Option<Mend>,
}

const CHECKS: &[Check] = &[
    look("git", "the version of git", conditions::git),
    look("config", "harness.yaml", conditions::configuration),
    look(
        "repository",
        "the branch features land on, and the names of theirs",
        conditions::repository,
    ),
    look("state", "the state directory", conditions::state),
    look("journal", "the journal", conditions::journal),
    look("disk", "room where the worktrees are", conditions::disk),
    look(
        "sandbox",
        "the sandbox that harness.yaml asks for",
        conditions::sandbox,
    ),
    look("halt", "the HALT file", conditions::halt),
    look("room", "room for all worktrees at once", night::room),
    look("sleep", "whether the machine stays awake", night::sleep),
    look("clock", "the clock and its time zone", night::clock),
    look(
        "limits",
        "what the system lets one program have",
        night::limits,
    ),
    look(
        "notify",
        "the programs that tell you what happens",
        night::notify,
    ),
    look("keys", "keys that agents would be charged on", night::keys),
    look("program", "which harness is meant", night::program),
    look("pool", "the directory of the worktrees", conditions::pool),
    look(
        "run",
        "who runs here, and whether the last run came to its end",
        remains::run,
    ),
    mends(
        "processes",
        "processes of a dead run",
        remains::processes,
        remains::end_processes,
    ),
    mends(
        "litter",
        "locks, drafts and half-made worktrees that killed commands left",
        remains::litter,
        remains::clear_litter,
    ),
    look("locks", "git locks that are not harness's", remains::locks),
    mends(
        "checkout",
        "checkouts that were being moved forward",
        remains::checkout,
        remains::finish_moves,
    ),
    mends(
        "landed",
        "worktrees and branches of features that have landed",
        remains::landed,
        remains::drop_landed,
    ),
    mends(
        "temporary",
        "temporary directories of dead runs",
        remains::temporary,
        remains::remove_temporary,
    ),
];

/// A check of what a program cannot put right.
const fn look(id: &'static str, about: &'static str, look: Look) -> Check {
    Check {
        id,
        about,
        look,
        mend: None,
    }
}

/// A check of what can be put right.
const fn mends(id: &'static str, about: &'static str, look: Look, mend: Mend) -> Check {
    Check {
        id,
        about,
        look,
        mend: Some(mend),
    }
}

/// Looks. `config` is the configuration, or why there is none.
#[must_use]
pub fn examine(place: &Place, config: Result<&Config, &str>) -> Checkup {
    let scene = Scene::of(place, config);
    let mut findings = Vec::new();
    for check in CHECKS {
        match (check.look)(&scene) {
            Ok(found) => findings.extend(found),
            Err(error) => findings.push(Finding {
                check: check.id,
                urgency: Urgency::Error,
                what: error.to_string(),
                remedy: String::new(),
                fixable: false,
            }),
        }
    }
    Checkup {
        live: scene.live,
        checks: CHECKS.iter().map(|check| (check.id, check.about)).collect(),
        findings,
        agents: Vec::new(),
        fixed: Vec::new(),
    }
}

/// Puts right what can be, and looks again.
///
/// # Errors
/// A run lives, or something cannot be put right.
pub fn mend(place: &Place, config: Result<&Config, &str>) -> Result<Checkup, DriverError> {
    let lock = match place.state_dir.is_dir() {
        true => Some(Lock::take(
            &place.state_dir,
            &Place::this_process("doctor --fix"),
        )?),
        false => None,
    };
    // Files are compared and written by the settings as they stand now, whoever changes them meanwhile.
    let sealed = Place {
        repo: place.repo.seal()?,
        state_dir: place.state_dir.clone(),
    };
    let mut fixed = Vec::new();
    for check in CHECKS {
        if let Some(mend) = check.mend {
            // Each as it stands after those before.
            let mut scene = Scene::of(&sealed, config);
            scene.live = None;
            let done = mend(&scene)?;
            fixed.extend(done.into_iter().map(|what| (check.id, what)));
        }
    }
    drop(lock);
    Ok(Checkup {
        fixed,
        ..examine(place, config)
    })
}

impl<'a> Scene<'a> {
    fn of(place: &'a Place, config: Result<&'a Config, &'a str>) -> Self {
        let wanted = config.ok().and_then(|config| config.target.as_deref());
        let pool = config.ok().map(|config| &config.worktrees.dir);
        let pool = pool.and_then(|dir| Worktrees::new(place.repo.clone(), dir).ok());
        let holder = place.holder();
        Self {
            config,
            target: place.repo.target(wanted),
            pool,
            reading: place.read(),
            live: holder.map(|one| format!("process {} on {}: {}", one.pid, one.host, one.doing)),
            place,
        }
    }

    fn target_ref(&self) -> Option<&str> {
        let target = self.target.as_ref().ok();
        target.map(|target| target.refname.as_str())
    }

    /// What git commands left, but not while a run lives, whose commands take locks all the time.
    fn litter(&self) -> Result<Vec<Litter>, GitError> {
        match (&self.pool, &self.live) {
            (Some(pool), None) => pool.litter(self.target_ref()),
            _ => Ok(Vec::new()),
        }
    }

    /// Features that have landed, and that the target holds.
    fn landed(&self) -> Vec<Slug> {
        let (Ok(reading), None) = (&self.reading, &self.live) else {
            return Vec::new();
        };
        let state = &reading.state;
        let waiting: Vec<&Slug> = state.unpublished().map(|(slug, _)| slug).collect();
        let landed = state.slugs();
        let landed = landed.filter(|slug| state.is_merged(slug) && !waiting.contains(slug));
        landed.cloned().collect()
    }
}

fn finding(
    check: &'static str,
    urgency: Urgency,
    what: impl Into<String>,
    remedy: impl Into<String>,
) -> Finding {
    Finding {
        check,
        urgency,
        what: what.into(),
        remedy: remedy.into(),
        fixable: false,
    }
}

/// What `--fix` puts right.
fn fixable(check: &'static str, what: impl Into<String>) -> Finding {
    Finding {
        fixable: true,
        ..finding(
            check,
            Urgency::Warning,
            what,
            "`harness doctor --fix` puts it right, and so does `harness run`",
        )
    }
}
