//! What a run that was killed left: first its processes, then what its git commands left.
//!
//! The order is what makes it safe: whoever holds the state directory's lock knows that no harness is at work, then no
//! process of one is, and only then is a lock of ours nobody's. This file never touches what is the user's.

use super::crew::token;
use super::error::DriverError;
use super::place::Place;
use crate::core::{State, wanted};
use crate::git::{GivenUp, Litter, Worktrees};
use crate::model::{Effect, EffectKey};
use crate::process;
use std::time::{Duration, Instant};

/// How long git commands of a killed run may take to come to their end by themselves.
pub(super) const GIT_PATIENCE: Duration = Duration::from_secs(60);
/// How long a lock of somebody else's may take to go.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// What a killed run may have had under way, for people, and the token of its processes.
pub(super) fn jobs(place: &Place, state: &State) -> Vec<(String, String)> {
    let mut jobs: Vec<(String, String)> = Vec::new();
    let mut add = |name: String, key: &EffectKey| jobs.push((name, token(&place.state_dir, key)));
    for running in state.running() {
        let name = format!("{} #{}", running.slug, running.iteration);
        add(name, &EffectKey::Iterate(running.slug, running.iteration));
    }
    for effect in wanted(state) {
        let name = match &effect {
            Effect::Prepare { slug, .. } => format!("the set-up of {slug}"),
            Effect::Build { .. } => "the commands that make generated files".to_owned(),
            Effect::Gate { .. } => "the checks of a merge".to_owned(),
            _ => continue,
        };
        add(name, &effect.key());
    }
    jobs
}

/// Ends what is left of a killed run's processes; says how many there were. Its git commands may come to their end.
pub(super) fn end_processes(place: &Place, state: &State) -> usize {
    let jobs = jobs(place, state);
    let mut ended = jobs.iter().map(|(_, token)| process::sweep(token)).sum();
    let git = place.git_token();
    if !process::await_end(&git, GIT_PATIENCE) {
        ended += process::sweep(&git);
    }
    ended
}

/// Puts right what killed git commands left: removes what is harness's, finishes what was cut off in a checkout. Says
/// what it did, and names locks of others that stay. The lock must be held, and nobody of ours at work.
pub(super) fn clear(
    worktrees: &Worktrees,
    place: &Place,
    target_ref: &str,
) -> Result<Vec<String>, DriverError> {
    let target = Some(target_ref);
    let mut found = worktrees.litter(target)?;
    // A person's command takes a moment.
    let until = Instant::now() + LOCK_PATIENCE;
    while found.iter().any(|one| !one.is_ours) && Instant::now() < until {
        std::thread::sleep(LOOK_AGAIN);
        found = worktrees.litter(target)?;
    }
    let mut told = Vec::new();
    if found.iter().any(|one| one.is_ours) {
        told.extend(worktrees.clear_litter(target)?.iter().map(removed));
    }
    told.extend(place.repo.finish_moves(GIT_PATIENCE)?);
    told.extend(worktrees.give_up_old()?.iter().map(given_up));
    for path in process::left_behind(&std::env::temp_dir()) {
        // What cannot be removed is in nobody's way.
        let _ = process::remove(&path);
    }
    let gates = std::fs::read_dir(place.gate_logs());
    for entry in gates.into_iter().flatten().flatten() {
        // What a command had printed when it was killed.
        if entry.path().extension().is_some_and(|end| end == "part") {
            let _ = process::remove(&entry.path());
        }
    }
    told.extend(found.iter().filter(|one| !one.is_ours).map(foreign));
    Ok(told)
}

/// What was removed.
pub(super) fn removed(litter: &Litter) -> String {
    let (path, what) = (litter.path.display(), litter.what);
    format!("removed {path}: {what}, left by a command that was killed")
}

/// A worktree that is not gone on in, and where what it held is.
fn given_up(old: &GivenUp) -> String {
    let path = old.path.display();
    let kept = old.kept.as_ref().map_or_else(
        || "nothing in it was uncommitted".to_owned(),
        |kept| format!("what was uncommitted in it is kept as {kept}"),
    );
    format!(
        "made {path} anew: the machine was started since it was made, and may have lost what was written there last; {kept}"
    )
}

/// A lock that is nobody's business but its owner's.
fn foreign(litter: &Litter) -> String {
    format!("{}; {}", is_foreign(litter), remedy(litter))
}

pub(super) fn is_foreign(litter: &Litter) -> String {
    let path = litter.path.display();
    let since = match age(litter) {
        Some(age) => format!(", for {age}"),
        None => String::new(),
    };
    format!(
        "{path} stands{since}: another git command is at work, or was killed; harness cannot tell"
    )
}

pub(super) fn remedy(litter: &Litter) -> String {
    let path = litter.path.display();
    format!("if no git command runs in this repository: rm '{path}'")
}

/// For eyes only: nothing is decided by it.
fn age(litter: &Litter) -> Option<String> {
    let modified = litter.path.symlink_metadata().ok()?.modified().ok()?;
    let seconds = modified.elapsed().ok()?.as_secs();
    Some(match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3600),
    })
}
