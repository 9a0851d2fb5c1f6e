//! What a feature has changed, for somebody who looks: of its worktree while that is its own, of its branch, or of the
//! commit that landed it.
//!
//! Reading only: nothing is locked, and no program is started.

use super::error::DriverError;
use super::place::Place;
use crate::core::FeatureView;
use crate::git::{Patch, PatchLine, Whereabouts};
use crate::report::{Part, Work};
use std::path::{Path, PathBuf};

/// Where the worktree of a feature is, if it has one; `dir` is what the configuration says of worktrees.
#[must_use]
pub fn worktree_of(place: &Place, dir: &Path, feature: &FeatureView) -> Option<PathBuf> {
    let pool = crate::git::Worktrees::new(place.repo.clone(), dir).ok()?;
    Some(pool.path(feature.worktree?))
}

/// What a feature has changed; `None`: nothing has been begun, or it is not there any more.
///
/// # Errors
/// When the repository cannot be read.
pub fn work_of(
    place: &Place,
    feature: &FeatureView,
    worktree: Option<&Path>,
    target: &str,
) -> Result<Option<Work>, DriverError> {
    let repo = &place.repo;
    if feature.empty {
        // The commit is somebody else's.
        return Ok(None);
    }
    if let Some(commit) = &feature.commit {
        let patch = repo.patch_of_commit(commit)?;
        let against = format!("landed as {}", commit.short());
        return Ok(patch.map(|patch| told(&against, patch)));
    }
    let found = repo.patch_of_feature(&feature.slug, worktree, target)?;
    Ok(found.map(|(whereabouts, base, patch)| {
        let place = match whereabouts {
            Whereabouts::Worktree => "in its worktree",
            Whereabouts::Branch => "on its branch",
        };
        told(&format!("{place}, since {}", base.short()), patch)
    }))
}

fn told(against: &str, patch: Patch) -> Work {
    let stat = patch.stat;
    let files = if stat.files == 1 { "file" } else { "files" };
    let more = if patch.is_cut { ", and more" } else { "" };
    let title = format!(
        "{} {files}, +{} -{}{more}, {against}",
        stat.files, stat.insertions, stat.deletions
    );
    let lines = patch.lines.into_iter().map(|(kind, text)| {
        let part = match kind {
            PatchLine::File => Part::File,
            PatchLine::Hunk => Part::Place,
            PatchLine::Same => Part::Same,
            PatchLine::Added => Part::Added,
            PatchLine::Removed => Part::Removed,
            PatchLine::Note => Part::Note,
        };
        (part, text)
    });
    Work {
        title,
        lines: lines.collect(),
    }
}
