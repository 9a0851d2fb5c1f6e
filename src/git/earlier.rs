//! What a power cut may have taken: files of worktrees of an earlier boot, and refs of which the journal knows.
//!
//! Files of a worktree are never synced. When a machine loses power, some of them are empty, missing or there again, and
//! neither git nor an agent could tell that from work: the next snapshot would commit it as the feature's. A worktree
//! says in which boot it was made; what those of another boot hold is kept, and they are removed before anything builds on
//! it. This file never judges whether a machine lost power or was shut down.

use super::error::GitError;
use super::repo::{Repo, branch_of};
use super::tree::Tree;
use super::worktrees::Worktrees;
use crate::model::{Oid, Slug};
use std::fs;
use std::path::{Path, PathBuf};

/// In a worktree's administrative directory: the boot in which it was made.
pub(super) const BOOT_FILE: &str = "harness-boot";

/// A worktree that was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenUp {
    /// Where it was.
    pub path: PathBuf,
    /// The ref that keeps what was in it and on no ref.
    pub kept: Option<String>,
}

impl Repo {
    /// Whether a feature's branch is gone, or is without what its last iteration, which is no longer kept either, made of
    /// it: then the journal knows of work that the repository lost. A person who moves a branch does not take the
    /// iterations away.
    ///
    /// # Errors
    /// The repository cannot be read.
    pub fn has_forgotten(&self, slug: &Slug, left: Option<(u32, &Oid)>) -> Result<bool, GitError> {
        let Some(tip) = self.tip(&branch_of(slug))? else {
            return Ok(true);
        };
        let Some((iteration, left)) = left else {
            return Ok(false);
        };
        let kept = self.tip(&format!("refs/harness/iterations/{slug}/{iteration}"))?;
        Ok(kept.is_none() && !self.holds(&tip, left)?)
    }
}

impl Worktrees {
    /// Keeps what worktrees of earlier boots hold, under `refs/harness/lost/<feature>-…`, and removes them. Features go
    /// on from their branches, which hold all snapshots. No run, agent or git command of ours may be at work.
    ///
    /// # Errors
    /// git or the disk failed; doing it again continues.
    pub fn give_up_old(&self) -> Result<Vec<GivenUp>, GitError> {
        let Some(boot) = self.boot.as_deref() else {
            return Ok(Vec::new());
        };
        let _guard = self.guard();
        let mut given_up = Vec::new();
        for listed in self.list()? {
            let Some(tree) = Tree::find(&self.repo, &listed.path)?.filter(Tree::is_whole) else {
                continue;
            };
            let made_in = fs::read_to_string(tree.admin.join(BOOT_FILE)).unwrap_or_default();
            if made_in == boot {
                continue;
            }
            let kept = match &listed.feature {
                // Of a worktree too damaged for that, the files.
                Some(slug) => {
                    let kept = self.rescue_as(Path::new(slug.as_str()), &tree);
                    kept.or_else(|_| self.rescue_files(&listed.path))?
                }
                None => None,
            };
            self.remove(&listed.path)?;
            let path = listed.path;
            given_up.push(GivenUp { path, kept });
        }
        Ok(given_up)
    }
}
