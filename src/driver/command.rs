//! What a person asks of a run: `retry`, `unblock`, `skip`, `approve`. A living run finds the wish in its inbox; without
//! one, the wish goes straight into the journal.

use super::apart::is_run;
use super::clock::wall_clock;
use super::damage::forgotten;
use super::error::DriverError;
use super::place::Place;
use super::turn::{Engine, Observation, World};
use crate::config::Config;
use crate::core::Running;
use crate::fault::{self, Point};
use crate::git::{Cleaned, Worktrees};
use crate::journal::{Held, Journal, JournalError, Lock};
use crate::learnings::Memory;
use crate::model::{
    Backlog, Command, Effect, EffectKey, FeatureSpec, Input, Oid, Problem, Record, Severity, Slug,
    Stamp,
};
use std::io::Write;
use std::path::{Path, PathBuf};

/// What became of a wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Given {
    /// It is in the journal.
    Done,
    /// Whoever holds the lock is not disturbed: a living run takes it at its next turn, else the next one does.
    Left {
        /// Whether it is a run.
        to_a_run: bool,
    },
    /// The feature is in no state that it applies to.
    NotApplicable,
}

/// Gives a command. `specs` are those that stand there now: without a run, nobody else has looked at them since the last one.
///
/// # Errors
/// When the journal or the inbox cannot be written.
pub fn give(
    place: &Place,
    command: Command,
    specs: Option<Vec<FeatureSpec>>,
) -> Result<Given, DriverError> {
    let memory = Memory::open(&place.state_dir)?;
    let holder = Place::this_process("a command");
    let lock = match Lock::take(&place.state_dir, &holder) {
        Ok(lock) => lock,
        Err(Held::By(holder)) => {
            let to_a_run = holder.as_ref().is_some_and(is_run);
            return leave(place, &command).map(|()| Given::Left { to_a_run });
        }
        Err(error) => return Err(error.into()),
    };
    if let Some(problem) = forgotten(place)? {
        return Err(DriverError::problem(Problem {
            severity: Severity::Error,
            ..problem
        }));
    }
    let (journal, contents) = place.journal()?;
    let mut engine = Engine::replay(&contents.records);
    let mut desk = Desk::new(journal, memory);
    let now = engine.state().journal_time(wall_clock());
    if specs.is_some() {
        let backlog = Backlog {
            halt: engine.state().halt().map(str::to_owned),
            features: specs,
            done: None,
        };
        engine.note(&mut desk, vec![Input::Looked(backlog).into()], now)?;
    }
    let wish = Input::Commanded(command).into();
    let records = engine.note(&mut desk, vec![wish], now)?;
    settle(&mut engine, &mut desk)?;
    drop(lock);
    Ok(if records.is_empty() {
        Given::NotApplicable
    } else {
        Given::Done
    })
}

/// Where the branch of a feature stands; `None`: it has none.
///
/// # Errors
/// When the repository cannot be read.
pub fn branch_tip(place: &Place, slug: &Slug) -> Result<Option<Oid>, DriverError> {
    Ok(place.repo.branch_tip(slug)?)
}

/// Records that everything is written that the journal calls for.
pub(super) fn settle(engine: &mut Engine, desk: &mut Desk) -> Result<(), DriverError> {
    if let Some(error) = desk.failed.take() {
        return Err(error);
    }
    let through = engine.state().last_write();
    let written = through.map(|through| Input::Written { through }.into());
    let now = engine.state().journal_time(wall_clock());
    engine.note(desk, written.into_iter().collect(), now)?;
    Ok(())
}

/// Removes worktrees and landed branches; with `force` also the branches of unfinished features (their
/// snapshots stay under `refs/harness/`).
///
/// # Errors
/// When a run lives, or git refuses.
pub fn clean_up(place: &Place, config: &Config, force: bool) -> Result<Cleaned, DriverError> {
    let _lock = match place.state_dir.is_dir() {
        true => Some(Lock::take(&place.state_dir, &Place::this_process("clean"))?),
        false => None,
    };
    let target = place.repo.target(config.target.as_deref())?;
    let repo = place.repo.generating(&config.merge.generated())?;
    let pool = Worktrees::new(repo, &config.worktrees.dir)?;
    Ok(pool.clean(&target.refname, force)?)
}

/// A world in which only the journal and the state directory's files exist.
pub(super) struct Desk {
    journal: Journal,
    memory: Memory,
    failed: Option<DriverError>,
}

impl Desk {
    pub(super) fn new(journal: Journal, memory: Memory) -> Self {
        Self {
            journal,
            memory,
            failed: None,
        }
    }
}

impl World for Desk {
    fn record(&mut self, records: &[Record]) -> Result<(), JournalError> {
        self.journal.append(records)
    }

    fn perform(&mut self, effect: Effect) {
        if let Effect::Write(job) = effect
            && let Err(error) = self.memory.perform(&job)
        {
            self.failed = Some(error.into());
        }
    }

    fn stop(&mut self, _: &EffectKey) {}

    fn probe(&mut self, _: Vec<Running>) -> Vec<Observation> {
        Vec::new()
    }
}

fn leave(place: &Place, command: &Command) -> Result<(), DriverError> {
    let inbox = place.inbox();
    let io = || DriverError::io("leave a command in", inbox.clone());
    fault::at(Point::StateCreate)
        .and_then(|()| std::fs::create_dir_all(&inbox))
        .map_err(io())?;
    let text = serde_json::to_vec(command).map_err(|error| io()(error.into()))?;
    let name = name_after(&inbox, wall_clock());
    // Written under another name first: the run must never read half a wish.
    let draft = inbox.join(format!(".{name}.tmp"));
    let mut file = std::fs::File::create(&draft).map_err(io())?;
    file.write_all(&text)
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::rename(&draft, inbox.join(format!("{name}.json"))))
        .map_err(io())
}

/// A name that sorts behind all that stand in the inbox, also when the clock was set back.
fn name_after(inbox: &Path, now: Stamp) -> String {
    let names = std::fs::read_dir(inbox).into_iter().flatten().flatten();
    let last = names.filter_map(|entry| {
        let name = entry.file_name();
        let (number, _) = name.to_str()?.split_once('-')?;
        number.parse::<u64>().ok()
    });
    let next = last.max().map_or(0, |last| last.saturating_add(1));
    format!("{:013}-{}", now.0.max(next), std::process::id())
}

/// What stands in an inbox.
#[derive(Debug, Default)]
pub(super) struct Left {
    /// Oldest first.
    pub(super) commands: Vec<Command>,
    /// The files they stand in, to be removed once they are in the journal.
    pub(super) files: Vec<PathBuf>,
    /// Files that hold nothing this harness knows; a newer one may.
    pub(super) unknown: Vec<PathBuf>,
}

/// Reads an inbox.
pub(super) fn left(inbox: &Path) -> Left {
    let mut left = Left::default();
    let Ok(entries) = std::fs::read_dir(inbox) else {
        return left;
    };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|ext| ext == "json"))
        .collect();
    files.sort();
    for path in files {
        let Ok(text) = std::fs::read(&path) else {
            continue;
        };
        match serde_json::from_slice(&text) {
            Ok(command) => {
                left.commands.push(command);
                left.files.push(path);
            }
            Err(_) => left.unknown.push(path),
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Slug;

    #[test]
    fn commands_keep_their_order_when_the_clock_is_set_back() {
        let dir = tempfile::tempdir().unwrap();
        let slug = |name: &str| Slug::new(name).unwrap();
        let order = ["a", "b", "c"];
        for (name, now) in order.into_iter().zip([2_000, 1_000, 0]) {
            let command = Command::Retry { slug: slug(name) };
            let file = format!("{}.json", name_after(dir.path(), Stamp(now)));
            std::fs::write(dir.path().join(file), serde_json::to_vec(&command).unwrap()).unwrap();
        }
        let left = left(dir.path());
        let expected = order.map(|name| Command::Retry { slug: slug(name) });
        assert_eq!(left.commands, expected);
        assert_eq!((left.files.len(), left.unknown.len()), (3, 0));
    }
}
