//! Brings back what was kept of a feature, beside the project.
//!
//! No lock is taken and nothing that is kept ever changes: it works while a run lives, too.

use super::error::DriverError;
use super::place::Place;
use crate::git::{Kept, KeptKind};
use crate::model::{Oid, Slug, Stamp};
use crate::report::{KeptState, KeptStates};
use jiff::tz::TimeZone;
use std::path::Path;

/// All states of a feature that can be brought back.
///
/// # Errors
/// When the repository cannot be read.
pub fn kept(place: &Place, slug: &Slug) -> Result<KeptStates, DriverError> {
    let states = place.repo.kept(slug)?.into_iter().map(state).collect();
    Ok(KeptStates {
        slug: slug.clone(),
        zone: TimeZone::system(),
        states,
    })
}

/// Writes all files of a kept state into a directory that must be empty or not exist; gives their number.
///
/// # Errors
/// The directory is not empty or cannot be written, or git failed; a directory made for it is removed again.
pub fn restore_to(place: &Place, commit: &Oid, dir: &Path) -> Result<usize, DriverError> {
    Ok(place.repo.restore_to(commit, dir)?)
}

/// Makes a new branch at a kept state.
///
/// # Errors
/// The name is taken or cannot be one, or git failed.
pub fn branch_at(place: &Place, commit: &Oid, branch: &str) -> Result<(), DriverError> {
    Ok(place.repo.branch_at(commit, branch)?)
}

fn state(kept: Kept) -> KeptState {
    let (iteration, what) = match kept.kind {
        KeptKind::Iteration(number) => (Some(number), format!("iteration {number}")),
        KeptKind::Lost => (None, "uncommitted or rewritten".to_owned()),
        KeptKind::Old => (None, "earlier branch".to_owned()),
    };
    let seconds = u64::try_from(kept.time).unwrap_or(0);
    KeptState {
        iteration,
        what,
        commit: kept.oid,
        refname: kept.refname,
        at: Stamp(seconds.saturating_mul(1000)),
        subject: kept.subject,
        files: kept.files_changed,
    }
}
