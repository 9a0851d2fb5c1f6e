//! A night in small: setting up and the gate on what features would build on, one turn of each agent, room on the disk.
//!
//! Nothing is left of it: the worktree is a gate's and is removed, nothing is journalled, no verdict is kept. This file
//! never decides whether a run should begin.

use super::crew::{Crew, Station};
use super::doctor;
use super::error::DriverError;
use super::integrate::checked_out;
use super::machine::free_space;
use super::place::Place;
use super::preflight::Ready;
use super::world::blocking;
use crate::core::{Stage, State, view};
use crate::gate::{self, Verdict};
use crate::journal::{self, Lock};
use crate::learnings::Memory;
use crate::model::{EffectKey, Event, Oid, Problem, Record, RunId, Slug, Stamp, WorktreeName};
use crate::process::PrivateTemp;
use crate::report::{Past, Rehearsal, Room, Tried};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Instant;

/// Rehearses. `foreseen` is the state that a run would begin with; `probe` has each agent answer once, which costs what
/// that costs.
///
/// # Errors
/// A run lives, git or the disk failed, or a person interrupted it.
pub async fn rehearse(
    ready: Ready,
    foreseen: &State,
    probe: bool,
    now: Stamp,
) -> Result<Rehearsal, DriverError> {
    let (place, config, env) = (ready.place.clone(), ready.config.clone(), ready.env.clone());
    let target = ready
        .target
        .refname
        .trim_start_matches("refs/heads/")
        .to_owned();
    let base = ready.target.tip.short().to_owned();
    let (tried, each) = try_base(ready).await?;
    let agents = doctor::agents(&place, &config, &env, probe).await;
    let gates = u64::from(config.merge.parallel_gates);
    let free = free_space(&config.worktrees.dir).ok();
    let room = free.zip(each).map(|(free, each)| Room {
        each,
        worktrees: u64::from(config.run.parallel) + gates,
        // What was taken meanwhile is free again.
        free,
        min_free: config.worktrees.min_free,
    });
    let features = view(foreseen, now).features;
    let open = features.iter();
    let open: Vec<_> = open
        .filter(|feature| feature.stage != Stage::Merged && !feature.unselected)
        .collect();
    Ok(Rehearsal {
        target,
        base,
        parallel: config.run.parallel,
        tried,
        agents,
        room,
        open: open.len(),
        chain: open.iter().map(|feature| feature.chain).max().unwrap_or(0),
        past: past(&journal::read(&place.journal_file())?.records),
    })
}

/// The commands of the project on what features build on, each timed, up to the first that fails; and how many bytes the
/// worktree takes then.
///
/// # Errors
/// As [`rehearse`].
pub async fn try_base(ready: Ready) -> Result<(Vec<Tried>, Option<u64>), DriverError> {
    let state_dir = &ready.place.state_dir;
    let _lock = match state_dir.is_dir() {
        true => Some(Lock::take(state_dir, &Place::this_process("rehearsal"))?),
        false => None,
    };
    let state = ready.place.read()?.state;
    let keep: Vec<WorktreeName> = state.held_worktrees().map(|(name, _)| name).collect();
    let tip = ready.target.tip.clone();
    let memory = Memory::at(state_dir);
    let (crew, _) = Crew::new(ready, RunId("rehearsal".to_owned()), memory);
    let crew = Rc::new(crew);
    let tried = in_a_gate(&crew, &tip).await;
    let (pool, target) = (crew.worktrees.clone(), crew.target.clone());
    let tidied = blocking(move || pool.tidy(&keep, &[], &target)).await;
    let tried = tried?;
    tidied.map_err(DriverError::Broken)?;
    Ok(tried)
}

async fn in_a_gate(crew: &Rc<Crew>, tip: &Oid) -> Result<(Vec<Tried>, Option<u64>), DriverError> {
    let refused = |why: String| DriverError::problem(Problem::error(why));
    let begun = Instant::now();
    let cwd = checked_out(crew, tip, 1, false).await.map_err(refused)?;
    let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let mut tried = vec![Tried {
        what: "checkout",
        command: String::new(),
        took_ms,
        failed: cwd.as_ref().err().cloned(),
    }];
    let Ok(cwd) = cwd else {
        return Ok((tried, None));
    };
    let base = crew.env.get(OsStr::new("TMPDIR")).map(Path::new);
    let logs = PrivateTemp::create(base, "rehearsal")
        .map_err(|(dir, source)| DriverError::io("make", dir)(source))?;
    let setup = crew
        .config
        .worktrees
        .setup
        .iter()
        .map(|one| ("set-up", one));
    let verify = crew.config.verify.commands.iter().map(|one| ("gate", one));
    for (what, command) in setup.chain(verify) {
        let one = try_one(crew, what, command, &cwd, logs.path()).await?;
        let failed = one.failed.is_some();
        tried.push(one);
        if failed {
            break;
        }
    }
    let size = tokio::task::spawn_blocking(move || bytes_of(&cwd, &[], usize::MAX)).await;
    Ok((tried, size.ok().flatten()))
}

async fn try_one(
    crew: &Crew,
    what: &'static str,
    command: &str,
    cwd: &Path,
    logs: &Path,
) -> Result<Tried, DriverError> {
    let station = Station {
        sandbox: crew.confinement.checks(Some(cwd), cwd),
        cwd: cwd.to_owned(),
    };
    let log: PathBuf = logs.join("log");
    let checks = crew.checks(
        vec![command.to_owned()],
        &EffectKey::Tidy,
        None,
        log,
        station,
    );
    let interrupted = async {
        // Where it cannot be listened for, it ends the program.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    let (took_ms, failed) = match gate::verify(checks, interrupted).await {
        Verdict::Green { gate_ms } => (gate_ms, None),
        Verdict::Red { tail, gate_ms, .. } => (gate_ms, Some(tail)),
        Verdict::NotStarted { why } => (0, Some(why)),
        Verdict::Stopped => {
            let problem = Problem::error("the rehearsal was interrupted");
            return Err(DriverError::problem(problem.help("nothing was changed")));
        }
    };
    Ok(Tried {
        what,
        command: command.to_owned(),
        took_ms,
        failed,
    })
}

/// What a directory takes on the disk, but for what stands below `without`; files with several names count once a name.
/// `None`: there are more than `most` of them.
pub(super) fn bytes_of(dir: &Path, without: &[&Path], most: usize) -> Option<u64> {
    let (mut bytes, mut seen) = (0_u64, 0);
    let mut left = vec![dir.to_owned()];
    while let Some(dir) = left.pop() {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            let path = entry.path();
            let Ok(meta) = entry.metadata() else { continue };
            if without.contains(&path.as_path()) {
                continue;
            }
            seen += 1;
            if seen > most {
                return None;
            }
            bytes = bytes.saturating_add(meta.blocks().saturating_mul(512));
            if meta.is_dir() {
                left.push(path);
            }
        }
    }
    Some(bytes)
}

/// What the journal says of features that are merged.
fn past(records: &[Record]) -> Past {
    let mut spent: BTreeMap<&Slug, u64> = BTreeMap::new();
    let mut merged: BTreeSet<&Slug> = BTreeSet::new();
    let mut past = Past::default();
    for record in records {
        match &record.event {
            Event::IterationEnded { slug, report, .. } => {
                *spent.entry(slug).or_default() += report.elapsed_ms;
            }
            Event::Gated { gate_ms, .. } => {
                past.gates = (past.gates.0 + 1, past.gates.1.saturating_add(*gate_ms));
            }
            Event::Merged { slug, .. } => drop(merged.insert(slug)),
            _ => {}
        }
    }
    let known = merged.iter().filter_map(|slug| spent.get(slug));
    for ms in known {
        past.merged += 1;
        past.agents_ms = past.agents_ms.saturating_add(*ms);
    }
    past
}
