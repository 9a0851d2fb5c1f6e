//! A night in small: setting up and the gate on what features would build on, one turn of each agent, room on the disk.
//!
//! Nothing is left of it but the state directory: the worktree is a gate's that no run has, and is removed; nothing is
//! journalled, no verdict is kept. Nobody else is at work meanwhile. This file never decides whether a run should begin.

use super::crew::{Crew, Station};
use super::doctor;
use super::error::DriverError;
use super::integrate::checked_out;
use super::machine::free_space;
use super::place::Place;
use super::preflight::Ready;
use super::signals::{Drain, Signals, exit_code};
use super::world::blocking;
use crate::core::{Stage, State, view};
use crate::gate::{self, Verdict};
use crate::git::integration_ref;
use crate::journal::{self, Lock};
use crate::learnings::Memory;
use crate::model::{EffectKey, Event, Oid, Problem, Record, RunId, Slug, Stamp};
use crate::process::PrivateTemp;
use crate::report::{Past, Rehearsal, Room, Tried};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Instant;
use tokio::sync::watch;

/// The place of the rehearsal's worktree among those of gates: no run has as many.
const PLACE: u32 = 1000;

/// Tells when it is to end, and with which exit code.
type Stop = watch::Receiver<Option<u8>>;

/// Rehearses. `foreseen` is the state that a run would begin with; `probe` has each agent answer once, which costs what
/// that costs.
///
/// # Errors
/// A run lives, git or the disk failed, or a signal ended it.
pub async fn rehearse(
    ready: Ready,
    foreseen: &State,
    probe: bool,
    now: Stamp,
) -> Result<Rehearsal, DriverError> {
    until_told(|stop| rehearsed(ready, foreseen, probe, now, stop)).await
}

/// The commands of the project on what features build on, each timed, up to the first that fails; and how many bytes the
/// worktree takes then.
///
/// # Errors
/// As [`rehearse`].
pub async fn try_base(ready: Ready) -> Result<(Vec<Tried>, Option<u64>), DriverError> {
    until_told(|stop| tried(ready, stop)).await
}

/// Does something that a signal can end.
async fn until_told<T>(work: impl AsyncFnOnce(Stop) -> T) -> T {
    let mut signals = Signals::listen(Drain::listen());
    let (tell, stop) = watch::channel(None);
    let listen = async {
        loop {
            let wish = signals.next().await;
            tell.send_replace(Some(exit_code(wish)));
        }
    };
    tokio::select! {
        done = work(stop) => done,
        never = listen => never,
    }
}

async fn rehearsed(
    ready: Ready,
    foreseen: &State,
    probe: bool,
    now: Stamp,
    mut stop: Stop,
) -> Result<Rehearsal, DriverError> {
    let (place, config, env) = (ready.place.clone(), ready.config.clone(), ready.env.clone());
    let target = ready
        .target
        .refname
        .trim_start_matches("refs/heads/")
        .to_owned();
    let base = base(&ready)?.short().to_owned();
    let (tried, each) = tried(ready, stop.clone()).await?;
    let agents = tokio::select! {
        agents = doctor::agents(&place, &config, &env, probe) => agents,
        code = told(&mut stop) => return Err(DriverError::Interrupted { code }),
    };
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

/// When it is to end.
async fn told(stop: &mut Stop) -> u8 {
    match stop.wait_for(Option::is_some).await.map(|code| *code) {
        Ok(Some(code)) => code,
        // Nobody can tell it any more.
        _ => std::future::pending().await,
    }
}

/// What a run that began now would build on: what has landed, also where that is not in the target yet.
fn base(ready: &Ready) -> Result<Oid, DriverError> {
    let (repo, target) = (&ready.place.repo, &ready.target);
    let landed = repo.tip(&integration_ref(&target.refname))?;
    Ok(match landed {
        Some(landed) if !repo.descends(&target.tip, &landed)? => landed,
        _ => target.tip.clone(),
    })
}

async fn tried(ready: Ready, stop: Stop) -> Result<(Vec<Tried>, Option<u64>), DriverError> {
    // Also where harness was never used before: a run may begin meanwhile.
    let memory = Memory::open(&ready.place.state_dir)?;
    let _lock = Lock::take(memory.dir(), &Place::this_process("rehearsal"))?;
    let base = base(&ready)?;
    let (crew, _) = Crew::new(ready, RunId("rehearsal".to_owned()), memory);
    let crew = Rc::new(crew);
    let tried = in_a_gate(&crew, &base, &stop).await;
    let pool = crew.worktrees.clone();
    let removed = blocking(move || pool.discard_gate(PLACE)).await;
    let tried = tried?;
    removed.map_err(DriverError::Broken)?;
    Ok(tried)
}

async fn in_a_gate(
    crew: &Rc<Crew>,
    base: &Oid,
    stop: &Stop,
) -> Result<(Vec<Tried>, Option<u64>), DriverError> {
    let refused = |why: String| DriverError::problem(Problem::error(why));
    let begun = Instant::now();
    let cwd = checked_out(crew, base, PLACE, false)
        .await
        .map_err(refused)?;
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
    let temporary = crew.env.get(OsStr::new("TMPDIR")).map(Path::new);
    let logs = PrivateTemp::create(temporary, "rehearsal")
        .map_err(|(dir, source)| DriverError::io("make", dir)(source))?;
    let root = crew.place.repo.root();
    let of = |what, commands: &[String], cwd: &Path, tree: Option<&Path>| -> Vec<_> {
        let station = Station {
            sandbox: crew.confinement.checks(tree, cwd),
            cwd: cwd.to_owned(),
        };
        let each = commands.iter();
        each.map(|one| (what, one.clone(), station.clone()))
            .collect()
    };
    let (config, tree) = (&crew.config, Some(cwd.as_path()));
    let all = [
        of("fingerprint", &config.verify.fingerprint, root, None),
        of("set-up", &config.worktrees.setup, &cwd, tree),
        of("gate", &config.verify.commands, &cwd, tree),
    ];
    for (what, command, station) in all.into_iter().flatten() {
        let one = try_one(crew, (what, &command), station, logs.path(), stop).await?;
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
    (what, command): (&'static str, &str),
    station: Station,
    logs: &Path,
    stop: &Stop,
) -> Result<Tried, DriverError> {
    let log: PathBuf = logs.join("log");
    let commands = vec![command.to_owned()];
    let checks = crew.checks(commands, &EffectKey::Tidy, None, log, station);
    let mut stop = stop.clone();
    let mut code = 0;
    let interrupted = async { code = told(&mut stop).await };
    let (took_ms, failed) = match gate::verify(checks, interrupted).await {
        Verdict::Green { gate_ms } => (gate_ms, None),
        Verdict::Red { tail, gate_ms, .. } => (gate_ms, Some(tail)),
        Verdict::NotStarted { why } => (0, Some(why)),
        Verdict::Stopped => return Err(DriverError::Interrupted { code }),
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
