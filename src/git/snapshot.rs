//! Snapshots: whatever an agent left in its worktree becomes a commit on the feature's branch.
//!
//! This file never judges what it keeps. After it, the worktree stands on the feature's branch, clean.

use super::audit::Round;
use super::error::{GitError, visible};
use super::merge::Merged;
use super::repo::{RefEdit, Repo, branch_of};
use super::stage::{Scratch, Staged, stage};
use super::tree::Tree;
use crate::fault::{self, Point};
use crate::model::{MergeTask, MergeVerdict, Oid, Slug};
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
    /// Why what it holds must not land, though it is kept: git's words about files that it cannot convert.
    pub unfit: Vec<String>,
    /// What came of the merge the iteration had to resolve; `None` when it had none.
    pub merge: Option<MergeVerdict>,
    /// Files outside of the conflict that the resolution left other than git alone would have.
    pub also_changed: Vec<String>,
}

/// An iteration whose work is to be kept.
#[derive(Clone, Copy, Debug)]
pub struct Iterated<'a> {
    /// Of which feature.
    pub slug: &'a Slug,
    /// Which.
    pub iteration: u32,
    /// The branch's tip when it began (after the merge was laid).
    pub before: &'a Oid,
    /// Subject of the commit.
    pub subject: &'a str,
    /// Its trailers.
    pub trailers: &'a [(&'a str, &'a str)],
    /// The merge it had to resolve.
    pub merge: Option<&'a MergeTask>,
    /// The agent gave a reason for dropping what landed: then that is a note, not a finding.
    pub allow_dropped: bool,
}

/// What is to be kept of a worktree, and as what.
pub(super) struct Keeping<'a> {
    pub(super) slug: &'a Slug,
    /// The ref that holds it whatever becomes of the branch; without one, only what is put aside is pinned.
    pub(super) pin: Option<String>,
    pub(super) before: &'a Oid,
    pub(super) message: String,
    pub(super) merge: Option<&'a MergeTask>,
    pub(super) allow_dropped: bool,
}

/// Where the branch goes, and what would be unreachable from it.
struct Settled {
    tip: Oid,
    put_aside: Vec<Oid>,
}

/// Everything that was in a worktree.
struct Kept {
    commit: Oid,
    /// What `commit` is on top of; itself when nothing was uncommitted.
    head: Oid,
    staged: Staged,
    /// The index it was staged in, when that is not the worktree's own.
    index: Option<Scratch>,
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
        let iterated = Iterated {
            slug,
            iteration,
            before,
            subject,
            trailers,
            merge: None,
            allow_dropped: false,
        };
        self.snapshot_merge(worktree, &iterated)
    }

    /// The same for an iteration that may have had a merge to resolve. The branch then contains what landed
    /// only if the verdict is that it is resolved. An attempt that is not stays in the iteration's ref (and
    /// under `refs/harness/lost/`), and the branch goes back to the newest commit that is no part of it.
    ///
    /// # Errors
    /// As [`Repo::snapshot`].
    pub fn snapshot_merge(
        &self,
        worktree: &Path,
        iterated: &Iterated<'_>,
    ) -> Result<Snapshot, GitError> {
        let tree = Tree::find(self, worktree)?.ok_or_else(|| GitError::InTheWay {
            path: worktree.to_owned(),
            why: "it is not a worktree of this repository".to_owned(),
        })?;
        let (slug, iteration) = (iterated.slug, iterated.iteration);
        let keeping = Keeping {
            slug,
            pin: Some(format!("refs/harness/iterations/{slug}/{iteration}")),
            before: iterated.before,
            message: message(iterated.subject, iterated.trailers),
            merge: iterated.merge,
            allow_dropped: iterated.allow_dropped,
        };
        self.keep(&tree, &keeping)
    }

    /// Keeps all that is in a worktree, judges the merge in it if there was to be one, and leaves it clean and
    /// on the feature's branch.
    pub(super) fn keep(&self, tree: &Tree, job: &Keeping<'_>) -> Result<Snapshot, GitError> {
        let mut notes = tree.heal(Some(job.slug), self)?;
        let branch = branch_of(job.slug);
        let on_branch = self.tip(&branch)?;
        let old = on_branch.clone().unwrap_or_else(|| job.before.clone());
        let round = match job.merge {
            Some(task) => {
                let (before, allow) = (job.before, job.allow_dropped);
                Some(Round::begin(self, tree, task, before, allow)?)
            }
            None => None,
        };
        let mut kept = self.keep_all(tree, &old, job, round.as_ref())?;
        fault::past(Point::SnapshotCommitted);
        notes.append(&mut kept.staged.notes);
        notes.append(&mut self.keep_submodules(tree, job.slug, &kept.staged.tree)?);
        let mut settled = self.settle(tree, &branch, &old, &kept.commit)?;
        let (mut merge, mut also_changed) = (None, Vec::new());
        if let Some(round) = &round {
            let mut found = round.judge(&settled.tip, &kept.staged.tree)?;
            let told = found.notes.drain(..);
            notes.extend(told.map(|note| format!("the merge: {note}")));
            also_changed = found.also_changed;
            if !found.against.is_empty() {
                self.back_off(round, &kept, &old, &mut settled)?;
            }
            self.spare(round, &mut settled)?;
            merge = Some(verdict(found.against, job, &settled, &kept.commit));
        }
        notes.extend(settled.put_aside.iter().map(|oid| {
            let (slug, short) = (job.slug, oid.short());
            format!("the branch no longer contains {short}; it is kept as refs/harness/lost/{slug}-{short}")
        }));
        self.pin(tree, job, &kept.commit, on_branch.as_ref(), &settled)?;
        fault::past(Point::SnapshotPinned);
        tree.set_laying(None)?;
        tree.forget_unfinished()?;
        if tree.head(self)?.branch.as_ref() != Some(&branch) {
            tree.attach(&branch)?;
        }
        if let (Some(scratch), Some(index)) = (kept.index, tree.git.index()) {
            scratch.install(&index)?;
        }
        let tip_tree = self.tree_of(&settled.tip)?;
        if tip_tree != kept.staged.tree {
            // All that is in the worktree is in `kept`, which is pinned.
            tree.git.call(["reset", "--hard", "--quiet"]).ok()?;
        }
        fault::past(Point::SnapshotDone);
        Ok(Snapshot {
            changed: tip_tree != self.tree_of(job.before)?,
            tip: settled.tip,
            notes,
            unfit: kept.staged.unconverted,
            merge,
            also_changed,
        })
    }

    /// Takes the branch back to where it is no part of a merge that is not resolved.
    fn back_off(
        &self,
        round: &Round<'_>,
        kept: &Kept,
        old: &Oid,
        settled: &mut Settled,
    ) -> Result<(), GitError> {
        let tip = round.without(&kept.commit, &kept.head, [&settled.tip, old])?;
        let left = std::mem::replace(&mut settled.tip, tip);
        settled.put_aside.extend([left, old.clone()]);
        Ok(())
    }

    /// Puts aside what the branch does not hold of the commits the merge began from, and nothing it does.
    fn spare(&self, round: &Round<'_>, settled: &mut Settled) -> Result<(), GitError> {
        let mut aside = std::mem::take(&mut settled.put_aside);
        aside.extend(round.precious().into_iter().cloned());
        for oid in aside {
            if !settled.put_aside.contains(&oid) && !self.descends(&settled.tip, &oid)? {
                settled.put_aside.push(oid);
            }
        }
        Ok(())
    }

    /// Moves the branch and pins what it does not hold, all at once.
    fn pin(
        &self,
        tree: &Tree,
        job: &Keeping<'_>,
        kept: &Oid,
        on_branch: Option<&Oid>,
        settled: &Settled,
    ) -> Result<(), GitError> {
        let mut edits = Vec::new();
        let mut aside = settled.put_aside.clone();
        if let Some(pin) = &job.pin {
            if let Some(earlier) = self.tip(pin)?
                && !self.descends(kept, &earlier)?
            {
                aside.push(earlier);
            }
            self.unlock(pin)?;
            edits.push(RefEdit::Set(pin, kept));
        } else if !self.descends(&settled.tip, kept)? {
            aside.push(kept.clone());
        }
        aside.extend(tree.autostash());
        // A ref can be set only once at a time.
        aside.sort();
        aside.dedup();
        let name = |oid: &Oid| lost_ref(job.slug.as_str(), oid);
        let lost: Vec<String> = aside.iter().map(name).collect();
        let pairs = lost.iter().zip(&aside);
        edits.extend(pairs.map(|(name, oid)| RefEdit::Set(name, oid)));
        let branch = branch_of(job.slug);
        edits.push(RefEdit::Move(&branch, on_branch, &settled.tip));
        self.update_refs("harness: snapshot", &edits)
    }

    /// A commit of everything in the worktree, on top of its HEAD; HEAD itself when nothing differs.
    fn keep_all(
        &self,
        tree: &Tree,
        old: &Oid,
        job: &Keeping<'_>,
        round: Option<&Round<'_>>,
    ) -> Result<Kept, GitError> {
        let mut merging = tree.merge_heads();
        // A merge whose conflicts are all resolved only lacks its commit: it stays a merge.
        let unmerged = !merging.is_empty() && {
            let listed = tree.git.call(["ls-files", "--unmerged", "-z"]).run()?;
            listed.code != 0 || !listed.stdout.is_empty()
        };
        let (index, staged) = match (round, tree.git.index()) {
            (Some(round), Some(index)) => {
                // Not in the worktree's own index: what is unmerged there must still be known when harness
                // dies half-way and all of this is done again. The outbox's path is what landed there.
                let scratch = Scratch::copy_of(&index)?;
                let git = tree.git.with_index(&scratch.0);
                (Some(scratch), stage(self, &git, round.onto())?)
            }
            _ => (None, stage(self, &tree.git, job.before)?),
        };
        fault::past(Point::SnapshotStaged);
        let head = tree.head(self)?.commit.unwrap_or_else(|| old.clone());
        let mut parents = vec![head.clone()];
        if unmerged {
            merging.clear();
        }
        if let Some(round) = round {
            merging.retain(|other| other != round.onto());
            if round.completes(&head, &staged.tree)? {
                merging.push(round.onto().clone());
            }
        }
        for other in merging {
            if self.is_commit(&other)? && !self.descends(&head, &other)? {
                parents.push(other);
            }
        }
        let commit = if parents.len() == 1 && self.tree_of(&head)? == staged.tree {
            head.clone()
        } else {
            self.commit(&staged.tree, &parents, &job.message)?
        };
        Ok(Kept {
            commit,
            head,
            staged,
            index,
        })
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

/// The verdict, with where an attempt that does not count is kept.
fn verdict(
    mut findings: Vec<String>,
    job: &Keeping<'_>,
    settled: &Settled,
    kept: &Oid,
) -> MergeVerdict {
    if findings.is_empty() {
        return MergeVerdict::Resolved;
    }
    if let Some(pin) = job
        .pin
        .as_ref()
        .filter(|_| settled.put_aside.contains(kept))
    {
        findings.push(format!(
            "What was there is kept: `git checkout {pin} -- <path>` brings a file of it back."
        ));
    }
    MergeVerdict::Unresolved { findings }
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
