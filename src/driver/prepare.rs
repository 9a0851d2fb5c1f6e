//! Making a worktree ready for a feature: room on the disk, the checkout, the user's setup commands.
//!
//! It never calls an agent, and never decides whether another try is worth it.

use super::crew::{Crew, Station};
use super::iterate::warn;
use super::machine::free_space;
use super::world::{Message, blocking};
use crate::fault::{self, Point};
use crate::gate::{self, SetupError};
use crate::git::integration_ref;
use crate::model::{EffectKey, InfraKind, Input, Oid, Slug, WorktreeName};
use std::path::Path;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedSender;

/// How long a feature waits for disk space, and between two looks.
const SPACE_PATIENCE: Duration = Duration::from_secs(10 * 60);
const SPACE_LOOK: Duration = Duration::from_millis(500);

/// A worktree to make ready.
pub(super) struct Preparing {
    pub(super) slug: Slug,
    pub(super) worktree: WorktreeName,
    pub(super) attempt: u32,
    pub(super) fresh: bool,
}

/// Makes a worktree ready: free space, checkout, setup commands.
pub(super) async fn prepare(
    crew: Rc<Crew>,
    job: Preparing,
    out: UnboundedSender<Message>,
    stop: impl Future<Output = ()>,
) -> Input {
    let prepared = ready(&crew, &job, &out, stop).await;
    let Preparing {
        slug,
        worktree,
        attempt,
        ..
    } = job;
    match prepared {
        Ok(base) => Input::Prepared {
            slug,
            attempt,
            worktree,
            base,
        },
        Err((kind, why)) => Input::PrepareFailed {
            slug,
            attempt,
            kind,
            why,
        },
    }
}

async fn ready(
    crew: &Rc<Crew>,
    job: &Preparing,
    out: &UnboundedSender<Message>,
    stop: impl Future<Output = ()>,
) -> Result<Oid, (InfraKind, String)> {
    let (slug, worktree, fresh) = (&job.slug, job.worktree, job.fresh);
    let system = |why: String| (InfraKind::System, why);
    let mut stop = pin!(stop);
    await_space(crew, slug, out, stop.as_mut())
        .await
        .map_err(system)?;
    let pool = crew.worktrees.clone();
    let include = crew.include_file();
    let (target, whose) = (integration_ref(&crew.target), slug.clone());
    let prepared = blocking(move || pool.prepare(&whose, worktree, &target, fresh, &include))
        .await
        .map_err(system)?;
    for note in &prepared.notes {
        warn(out, &format!("{slug}: {note}"));
    }
    let commands = crew.config.worktrees.setup.clone();
    if commands.is_empty() {
        return Ok(prepared.base);
    }
    let _at_work = crew.vigil.commands(format!("the set-up of {slug}"));
    // The stamp says that setup has run here for this feature; a crash in between leaves none.
    let stamp = crew
        .place
        .state_dir
        .join("worktrees")
        .join(worktree.to_string());
    let expected = format!("{slug}\n{}\n", commands.join("\n"));
    if prepared.resumed && std::fs::read_to_string(&stamp).is_ok_and(|text| text == expected) {
        return Ok(prepared.base);
    }
    let io = |error: std::io::Error| (InfraKind::System, format!("{}: {error}", stamp.display()));
    remove_if_there(&stamp).map_err(io)?;
    // Setup is the project's, which agents can change: it sees what they see.
    let lent = crew.lend(worktree, slug).await.map_err(system)?;
    let sandbox = crew.confinement.worker(&prepared.path, &lent);
    let station = Station {
        cwd: prepared.path,
        sandbox,
    };
    let key = EffectKey::Prepare(slug.clone(), job.attempt);
    let log = crew.place.records(slug, 0).with_file_name("setup.log");
    let checks = crew.checks(commands, &key, Some(slug), log, station);
    let set_up = gate::setup(checks, stop).await;
    for note in crew.take_home(worktree).await.map_err(system)? {
        warn(out, &format!("{slug}: {note}"));
    }
    match set_up {
        Ok(()) => {}
        // Perhaps its own work is what cannot be set up. Its agent is the one to repair that, and whatever
        // else is the reason, the gate sets up before it verifies.
        Err(error @ SetupError::Failed { .. }) if prepared.tip != prepared.base => {
            warn(
                out,
                &format!("{slug} goes on in a worktree that is not ready: {error}"),
            );
            return Ok(prepared.base);
        }
        Err(error @ SetupError::Failed { .. }) => {
            return Err((InfraKind::Setup, error.to_string()));
        }
        Err(error) => return Err((InfraKind::System, error.to_string())),
    }
    let written = fault::at(Point::StateCreate)
        .and_then(|()| std::fs::create_dir_all(stamp.with_file_name("")))
        .and_then(|()| std::fs::write(&stamp, expected));
    written.map_err(io)?;
    Ok(prepared.base)
}

fn remove_if_there(path: &Path) -> std::io::Result<()> {
    match fault::at(Point::StateRemove).and_then(|()| std::fs::remove_file(path)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Waits for free space, for a bounded time: what filled the disk was another feature's, or will be removed by somebody,
/// and is no reason to give this one up.
async fn await_space(
    crew: &Crew,
    slug: &Slug,
    out: &UnboundedSender<Message>,
    mut stop: Pin<&mut impl Future<Output = ()>>,
) -> Result<(), String> {
    let begun = Instant::now();
    let mut told = false;
    while let Err(why) = enough_space(crew) {
        if begun.elapsed() > SPACE_PATIENCE {
            return Err(why);
        }
        if !told {
            warn(out, &format!("{slug} waits for disk space: {why}"));
            told = true;
        }
        tokio::select! {
            () = &mut stop => return Err(why),
            () = tokio::time::sleep(SPACE_LOOK) => {}
        }
    }
    Ok(())
}

/// Refuses when the file system of the worktrees has less free space than configured.
fn enough_space(crew: &Crew) -> Result<(), String> {
    let dir = crew.worktrees.dir();
    let free = free_space(dir)?;
    if free >= crew.config.worktrees.min_free {
        return Ok(());
    }
    let [free, asked] = [free, crew.config.worktrees.min_free].map(crate::config::size_shown);
    Err(format!(
        "only {free} are free in {}, and worktrees.min_free asks for {asked}; make room or lower it",
        dir.display()
    ))
}
