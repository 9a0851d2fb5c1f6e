//! Snapshots: whatever an agent left in its worktree becomes a commit on the feature's branch.
//!
//! This file never judges what it keeps. After it, the worktree stands on the feature's branch, clean.

use super::error::{GitError, visible};
use super::merge::Merged;
use super::repo::{RefEdit, Repo, branch_of};
use super::stage::{Staged, stage};
use super::tree::Tree;
use crate::model::{Oid, Slug};
use std::fmt::Write as _;
use std::path::Path;

/// What a snapshot made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Where the feature's branch stands now.
    pub tip: Oid,
    /// Whether its tree differs from the tree of the commit before the iteration.
    pub changed: bool,
    /// What could not be kept as it was, or was put aside; a sentence each, safe to show.
    pub notes: Vec<String>,
}

/// Where the branch goes, and what would be unreachable from it.
struct Settled {
    tip: Oid,
    put_aside: Vec<Oid>,
}

impl Repo {
    /// Commits everything in the worktree (modified, deleted and untracked files, whatever branch or
    /// unfinished operation the agent left) to the feature's branch and to
    /// `refs/harness/iterations/<slug>/<iteration>`, and attaches the worktree to the branch. `before` is
    /// the branch's tip when the iteration began. Commits the agent made are kept; no empty commit is made.
    ///
    /// # Errors
    /// The worktree is not one of this repository's, or git failed. Nothing is lost then.
    pub fn snapshot(
        &self,
        worktree: &Path,
        slug: &Slug,
        iteration: u32,
        before: &Oid,
        subject: &str,
        trailers: &[(&str, &str)],
    ) -> Result<Snapshot, GitError> {
        let tree = Tree::find(self, worktree)?.ok_or_else(|| GitError::InTheWay {
            path: worktree.to_owned(),
            why: "it is not a worktree of this repository".to_owned(),
        })?;
        let mut notes = tree.heal(Some(slug), self)?;
        let branch = branch_of(slug);
        let on_branch = self.tip(&branch)?;
        let old = on_branch.clone().unwrap_or_else(|| before.clone());
        let message = message(subject, trailers);
        let (kept, staged) = self.keep_all(&tree, &old, before, &message)?;
        notes.extend(staged.notes);
        let settled = self.settle(&tree, &branch, &old, &kept)?;
        notes.extend(settled.put_aside.iter().map(|oid| {
            let short = oid.short();
            format!("the branch no longer contains {short}; it is kept as refs/harness/lost/{slug}-{short}")
        }));

        let pin = format!("refs/harness/iterations/{slug}/{iteration}");
        let mut aside = settled.put_aside;
        if let Some(earlier) = self.tip(&pin)?
            && !self.descends(&kept, &earlier)?
        {
            aside.push(earlier);
        }
        aside.extend(tree.autostash());
        let lost: Vec<String> = aside
            .iter()
            .map(|oid| lost_ref(slug.as_str(), oid))
            .collect();
        let mut edits = vec![RefEdit::Set(&pin, &kept)];
        edits.extend(
            lost.iter()
                .zip(&aside)
                .map(|(name, oid)| RefEdit::Set(name, oid)),
        );
        edits.push(RefEdit::Move(&branch, on_branch.as_ref(), &settled.tip));
        self.unlock(&pin)?;
        self.update_refs("harness: snapshot", &edits)?;

        tree.forget_unfinished()?;
        if tree.head(self)?.branch.as_ref() != Some(&branch) {
            tree.attach(&branch)?;
        }
        let tip_tree = self.tree_of(&settled.tip)?;
        if tip_tree != staged.tree {
            // All that is in the worktree is in `kept`, which is pinned.
            tree.git.call(["reset", "--hard", "--quiet"]).ok()?;
        }
        Ok(Snapshot {
            changed: tip_tree != self.tree_of(before)?,
            tip: settled.tip,
            notes,
        })
    }

    /// A commit of everything in the worktree, on top of its HEAD; HEAD itself when nothing differs.
    fn keep_all(
        &self,
        tree: &Tree,
        old: &Oid,
        before: &Oid,
        message: &str,
    ) -> Result<(Oid, Staged), GitError> {
        let merging = tree.merge_heads();
        // A merge whose conflicts are all resolved only lacks its commit: it stays a merge.
        let unmerged = !merging.is_empty() && {
            let listed = tree.git.call(["ls-files", "--unmerged", "-z"]).run()?;
            listed.code != 0 || !listed.stdout.is_empty()
        };
        let staged = stage(self, &tree.git, before)?;
        let head = tree.head(self)?.commit.unwrap_or_else(|| old.clone());
        let mut parents = vec![head.clone()];
        if !unmerged {
            for other in merging {
                if self.is_commit(&other)? && !self.descends(&head, &other)? {
                    parents.push(other);
                }
            }
        }
        if parents.len() == 1 && self.tree_of(&head)? == staged.tree {
            return Ok((head, staged));
        }
        let commit = self.commit(&staged.tree, &parents, message)?;
        Ok((commit, staged))
    }

    /// Decides where the branch goes when the agent left `kept`, possibly on another branch.
    fn settle(
        &self,
        tree: &Tree,
        branch: &str,
        old: &Oid,
        kept: &Oid,
    ) -> Result<Settled, GitError> {
        let settled = |tip: &Oid, put_aside: Option<&Oid>| {
            Ok(Settled {
                tip: tip.clone(),
                put_aside: put_aside.into_iter().cloned().collect(),
            })
        };
        if self.descends(kept, old)? {
            return settled(kept, None);
        }
        if self.descends(old, kept)? {
            // It only looked at an earlier commit.
            return settled(old, None);
        }
        if tree.is_rebasing() {
            // Half a rebase is worth less than the whole branch it began from.
            return settled(old, Some(kept));
        }
        if tree.head(self)?.branch.as_deref() == Some(branch) {
            return settled(kept, Some(old));
        }
        // It worked elsewhere, and the branch has work of its own: join them if that goes without conflict.
        if self.merge_base(old, kept)?.is_some()
            && let Merged::Clean(joined) = self.merge_trees(old, kept)?
        {
            let parents = [old.clone(), kept.clone()];
            let subject = "Join the work the agent left outside of the feature's branch";
            return settled(&self.commit(&joined, &parents, subject)?, None);
        }
        settled(kept, Some(old))
    }
}

/// The ref that keeps `oid`, found by whose it was.
pub(super) fn lost_ref(whose: &str, oid: &Oid) -> String {
    format!("refs/harness/lost/{whose}-{}", oid.short())
}

/// A commit message: one line, and trailers.
fn message(subject: &str, trailers: &[(&str, &str)]) -> String {
    let mut text = visible(subject);
    for (n, (key, value)) in trailers.iter().enumerate() {
        let gap = if n == 0 { "\n\n" } else { "\n" };
        // Writing to a string cannot fail.
        let _ = write!(text, "{gap}{key}: {}", visible(value));
    }
    text.push('\n');
    text
}
