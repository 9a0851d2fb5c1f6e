//! What speaks against a done claim before any gate is asked: an operation the agent left half done, or
//! conflict markers in what it made.
//!
//! This file only looks. A merge that harness itself handed back has an audit of its own.

use super::error::{GitError, visible};
use super::repo::{Repo, to_path};
use super::sides::markers;
use super::tree::Tree;
use crate::model::Oid;
use std::collections::BTreeSet;
use std::path::Path;

/// Larger files are no text that somebody merged by hand.
const TEXT_CAP: usize = 8 << 20;
/// Most files that are named.
const NAMED: usize = 10;

impl Repo {
    /// The git operation that stands half done in a worktree, as a sentence; `None` without one.
    ///
    /// # Errors
    /// git failed.
    pub fn unfinished(&self, worktree: &Path) -> Result<Option<String>, GitError> {
        let Some(tree) = Tree::find(self, worktree)? else {
            return Ok(None);
        };
        if tree.is_rebasing() {
            return Ok(Some("a rebase was left half done".to_owned()));
        }
        // A broken index says nothing; the snapshot copes with it.
        let open: BTreeSet<String> = tree
            .unmerged()
            .unwrap_or_default()
            .iter()
            .map(|side| visible(&String::from_utf8_lossy(&side.path)))
            .collect();
        if open.is_empty() {
            return Ok(None);
        }
        let paths = named(open.into_iter());
        Ok(Some(format!("a merge was left half done: {paths}")))
    }

    /// Files that hold conflict markers in `tip`, and did not in `base`; as a sentence.
    ///
    /// # Errors
    /// One of the commits is not there.
    pub fn left_markers(&self, base: &Oid, tip: &Oid) -> Result<Option<String>, GitError> {
        let (before, after) = (self.tree_of(base)?, self.tree_of(tip)?);
        let mut found = Vec::new();
        for path in self.changed_between(&before, &after)? {
            let place = to_path(&path);
            let Some(text) = self.text_at(&after, &place)? else {
                continue;
            };
            if markers(&text).next().is_none() {
                continue;
            }
            let known = self.text_at(&before, &place)?.unwrap_or_default();
            let known: BTreeSet<&[u8]> = markers(&known).collect();
            if markers(&text).any(|line| !known.contains(line)) {
                found.push(visible(&String::from_utf8_lossy(&path)));
            }
        }
        let paths = (!found.is_empty()).then(|| named(found.into_iter()));
        Ok(paths.map(|paths| format!("conflict markers are left in {paths}")))
    }

    /// The same, since `tip` left the history of a ref.
    ///
    /// # Errors
    /// As [`Repo::left_markers`].
    pub fn left_markers_since(&self, refname: &str, tip: &Oid) -> Result<Option<String>, GitError> {
        let base = match self.tip(refname)? {
            Some(landed) => self.merge_base(&landed, tip)?,
            None => None,
        };
        match base {
            Some(base) => self.left_markers(&base, tip),
            None => Ok(None),
        }
    }

    /// The text of a file in a tree; `None` for anything else, and for binary and huge ones.
    fn text_at(&self, tree: &Oid, path: &Path) -> Result<Option<Vec<u8>>, GitError> {
        let Some(blob) = self.entry(tree, path)? else {
            return Ok(None);
        };
        let bytes = self.blob(&blob)?;
        Ok(bytes.filter(|bytes| bytes.len() <= TEXT_CAP && !bytes.contains(&0)))
    }
}

fn named(paths: impl Iterator<Item = String>) -> String {
    let mut paths: Vec<String> = paths.collect();
    let more = paths.len().saturating_sub(NAMED);
    paths.truncate(NAMED);
    let mut text = paths.join(", ");
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}
