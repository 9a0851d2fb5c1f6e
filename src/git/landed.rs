//! What landed since a piece of work began, and which of it touches the same files.
//!
//! Reading only, through git2. Of a merge only what it brought is looked at.

use super::error::{GitError, visible};
use super::read::{raw, shown};
use super::repo::{Repo, branch_of};
use crate::model::{Oid, Slug};
use std::collections::BTreeSet;

/// Most commits that are named.
const NAMED: usize = 20;
/// Most commits that are looked at for that.
const LOOKED_AT: usize = 500;
/// The trailer of a commit that brought a feature.
const FEATURE: &str = "Harness-Feature";

/// A commit that landed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Landed {
    /// Its id.
    pub commit: Oid,
    /// First line of its message, control characters escaped.
    pub subject: String,
    /// The feature it brought, by its trailer, escaped; `None` for a commit of the user's.
    pub feature: Option<String>,
    /// Those of the paths asked for that it changes, sorted.
    pub paths: Vec<String>,
}

impl Landed {
    /// On one line.
    #[must_use]
    pub fn line(&self) -> String {
        format!("{} {}", self.commit.short(), self.subject)
    }
}

impl Repo {
    /// What landed on `onto` that `since` does not have, the newest first, at most 20; only what changes one of
    /// `paths`, if there are any.
    ///
    /// # Errors
    /// When one of them is not there.
    pub fn landed_since(
        &self,
        since: &Oid,
        onto: &Oid,
        paths: &[String],
    ) -> Result<Vec<Landed>, GitError> {
        let library = self.library()?;
        let read = || GitError::read(format!("read the history from {since} to {onto}"));
        let mut walk = library.revwalk().map_err(read())?;
        walk.push(raw(onto)?).map_err(read())?;
        walk.hide(raw(since)?).map_err(read())?;
        walk.simplify_first_parent().map_err(read())?;
        let mut found = Vec::new();
        // Of a merge only what it brought is asked, which `git log` with paths does not tell: it leaves
        // out a merge that is like one of its parents.
        for oid in walk.take(LOOKED_AT) {
            let raw_commit = library.find_commit(oid.map_err(read())?).map_err(read())?;
            let commit = shown(&raw_commit)?;
            let changed = match commit.parents.first() {
                Some(parent) if !paths.is_empty() => self.changed_paths(parent, &commit.oid)?,
                _ => Vec::new(),
            };
            let changed: BTreeSet<String> = changed.into_iter().collect();
            let of_them = |path: &&String| changed.contains(*path);
            let touched: Vec<String> = paths.iter().filter(of_them).cloned().collect();
            if paths.is_empty() || commit.parents.is_empty() || !touched.is_empty() {
                found.push(Landed {
                    commit: commit.oid,
                    subject: commit.subject,
                    feature: feature_of(raw_commit.message_bytes()),
                    paths: touched,
                });
            }
            if found.len() == NAMED {
                break;
            }
        }
        Ok(found)
    }

    /// Paths that a feature's branch has changed since it parted from `onto`; none if it has no branch or no
    /// common history.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub fn own_paths(&self, slug: &Slug, onto: &Oid) -> Result<Vec<String>, GitError> {
        let Some(tip) = self.tip(&branch_of(slug))? else {
            return Ok(Vec::new());
        };
        match self.merge_base(onto, &tip)? {
            Some(base) => self.changed_paths(&base, &tip),
            None => Ok(Vec::new()),
        }
    }
}

/// The feature that the trailers of a commit's message name.
pub(super) fn feature_of(message: &[u8]) -> Option<String> {
    let trailers = git2::message_trailers_bytes(message).ok()?;
    let found = trailers.iter().find(|(key, _)| *key == FEATURE.as_bytes());
    found.map(|(_, value)| visible(&String::from_utf8_lossy(value)))
}
