//! The verdict on a merge that an agent was to resolve: whether the branch contains what landed, and whether
//! anything of either side fell under the table.
//!
//! The task says what was to be merged; what the agent left in `MERGE_HEAD` is a hint only. This file never
//! writes anything and never moves a ref.

use super::error::{GitError, visible};
use super::merge::Unmerged;
use super::repo::Repo;
use super::sides::{Fate, Sides};
use super::tree::Tree;
use crate::model::{MergeTask, Oid};

/// Most paths that one sentence names.
const NAMED: usize = 10;
/// How far back the branch's own commits are looked for.
const WALK: usize = 1000;

/// A merge that was to be resolved in a worktree, and the state the worktree was left in.
pub(super) struct Round<'a> {
    repo: &'a Repo,
    onto: &'a Oid,
    /// The branch's tip when the iteration began.
    before: &'a Oid,
    allow_dropped: bool,
    /// The feature's side of the merge.
    mine: Oid,
    sides: Sides<'a>,
    /// What git calls unmerged.
    unmerged: Vec<Unmerged>,
    is_merging: bool,
    is_rebasing: bool,
}

/// What is to be said about a resolution.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// What speaks against it.
    pub(super) against: Vec<String>,
    /// Choices that are allowed and worth telling.
    pub(super) notes: Vec<String>,
    /// Paths not in conflict that differ from what git alone would have made.
    pub(super) also_changed: Vec<String>,
}

impl<'a> Round<'a> {
    /// Looks at the worktree before anything in it is staged.
    pub(super) fn begin(
        repo: &'a Repo,
        tree: &Tree,
        task: &'a MergeTask,
        before: &'a Oid,
        allow_dropped: bool,
    ) -> Result<Self, GitError> {
        let mine = own_side(repo, before, &task.onto)?;
        Ok(Self {
            sides: Sides::of(repo, &mine, &task.onto)?,
            // An index that cannot be read says nothing: the files decide.
            unmerged: tree.unmerged().unwrap_or_default(),
            is_merging: tree.merge_heads().contains(&task.onto),
            is_rebasing: tree.is_rebasing(),
            onto: &task.onto,
            repo,
            before,
            allow_dropped,
            mine,
        })
    }

    /// What is merged into the branch.
    pub(super) fn onto(&self) -> &Oid {
        self.onto
    }

    /// Commits that must stay reachable whatever the agent did to the branch.
    pub(super) fn precious(&self) -> [&Oid; 2] {
        [&self.mine, self.before]
    }

    /// Whether a commit of `staged` (all the worktree holds) on top of `head` is the merge that `head` lacks.
    pub(super) fn completes(&self, head: &Oid, staged: &Oid) -> Result<bool, GitError> {
        if self.is_rebasing || self.repo.descends(head, self.onto)? {
            return Ok(false);
        }
        if !self.sides.marked(staged)?.is_empty() {
            return Ok(false);
        }
        if self.is_merging {
            return Ok(self.untouched(staged)?.is_empty());
        }
        // Nothing but the content tells now, and a merge that is none would undo what landed.
        self.sides.shows_landed(staged)
    }

    /// Judges the branch at `tip`, after an iteration that left `staged` in the worktree.
    pub(super) fn judge(&self, tip: &Oid, staged: &Oid) -> Result<Findings, GitError> {
        if self.repo.descends(tip, self.onto)? {
            self.audit(tip)
        } else {
            self.why_not(staged)
        }
    }

    /// Why the branch does not contain what landed.
    fn why_not(&self, staged: &Oid) -> Result<Findings, GitError> {
        let mut found = Findings::default();
        let against = &mut found.against;
        if self.is_rebasing {
            against.push(
                "A rebase was left unfinished and has been undone: resolve the merge that is laid out in the \
                 worktree instead."
                    .to_owned(),
            );
            return Ok(found);
        }
        let marked = self.sides.marked(staged)?;
        if !marked.is_empty() {
            against.push(format!("Conflict markers are left in {}.", named(&marked)));
        }
        let untouched = self.untouched(staged)?;
        if !untouched.is_empty() {
            against.push(format!(
                "Still in conflict and not touched: {}. Decide what is right, then `git add` or `git rm` it.",
                named(&untouched)
            ));
        }
        if against.is_empty() {
            let mut text = format!(
                "The merge was aborted or undone: the branch does not contain what landed ({}).",
                self.onto.short()
            );
            let same = self.sides.as_mine(staged)?;
            if !same.is_empty() {
                text.push_str(&format!(" As the feature had it: {}.", named(&same)));
            }
            against.push(text);
        }
        Ok(found)
    }

    /// Unmerged paths that still hold what git laid there. Those with markers are told of otherwise.
    fn untouched(&self, staged: &Oid) -> Result<Vec<Vec<u8>>, GitError> {
        let mut untouched = Vec::new();
        if !self.is_merging {
            return Ok(untouched);
        }
        for side in &self.unmerged {
            if self.sides.is_as_laid(staged, side)? {
                untouched.push(side.path.clone());
            }
        }
        untouched.dedup();
        Ok(untouched)
    }

    /// Looks for what went wrong in a branch that contains what landed.
    fn audit(&self, tip: &Oid) -> Result<Findings, GitError> {
        let mut found = Findings::default();
        let tree = self.repo.tree_of(tip)?;
        let marked = self.sides.marked(&tree)?;
        if !marked.is_empty() {
            let text = format!("Conflict markers were committed in {}.", named(&marked));
            found.against.push(text);
        }
        if self.repo.descends(&self.mine, self.onto)? {
            return Ok(found);
        }
        let (mut undone, mut deleted) = (Vec::new(), Vec::new());
        for (path, fate) in self.sides.fates(&tree)? {
            match fate {
                Fate::Undone => undone.push(path),
                Fate::Deleted => deleted.push(path),
                Fate::AsLanded => found.notes.push(format!("as it landed: {}", shown(&path))),
                Fate::AsMine => found
                    .notes
                    .push(format!("as the feature had it: {}", shown(&path))),
            }
        }
        let mut dropped = Vec::new();
        if !undone.is_empty() {
            dropped.push(format!(
                "What landed was dropped, the file is just as the feature had it: {}.",
                named(&undone)
            ));
        }
        if !deleted.is_empty() {
            dropped.push(format!(
                "Deleted, with what landed in it: {}.",
                named(&deleted)
            ));
        }
        if !self.repo.descends(tip, &self.mine)? {
            dropped.extend(self.rewritten(&tree)?);
        }
        if self.allow_dropped {
            found.notes.append(&mut dropped);
        }
        found.against.append(&mut dropped);
        let also = self.sides.also_changed(&tree)?;
        found.also_changed = also.iter().map(|path| plain(path)).collect();
        Ok(found)
    }

    /// What is missing of the feature's own work in a branch that was rewritten.
    fn rewritten(&self, tree: &Oid) -> Result<Option<String>, GitError> {
        let own = self.sides.own(tree)?;
        if own.is_nothing_left {
            return Ok(Some(
                "The branch was reset to what landed: none of the feature's own work is left in it.".to_owned(),
            ));
        }
        Ok((!own.missing.is_empty()).then(|| {
            format!(
                "The branch was rewritten without the feature's own change to {}.",
                named(&own.missing)
            )
        }))
    }

    /// Where the branch goes when the merge is not resolved: to the newest commit that is no part of the
    /// attempt. `kept` is all that was in the worktree, on top of `head`, and `tips` are where else such commits
    /// may be.
    pub(super) fn without(&self, kept: &Oid, head: &Oid, tips: [&Oid; 2]) -> Result<Oid, GitError> {
        // With the merge still in progress, what is uncommitted is part of it.
        let heads = tips.map(|tip| {
            if self.is_merging && tip == kept {
                head
            } else {
                tip
            }
        });
        // When an earlier iteration merged already, that stays.
        let had_it = self.repo.descends(self.before, self.onto)?;
        for head in heads {
            let mut at = Some(head.clone());
            for _ in 0..WALK {
                let Some(commit) = at.take() else { break };
                if !self.repo.descends(&commit, self.before)? {
                    break;
                }
                let is_free = had_it || !self.repo.descends(&commit, self.onto)?;
                if is_free && self.sides.marked(&self.repo.tree_of(&commit)?)?.is_empty() {
                    return Ok(commit);
                }
                at = self.repo.first_parent(&commit)?;
            }
        }
        Ok(self.before.clone())
    }
}

/// The branch's side of a merge with `onto` when the branch stands at `tip`: `tip` itself, or, when it contains
/// `onto` already, its newest commit that does not.
pub(super) fn own_side(repo: &Repo, tip: &Oid, onto: &Oid) -> Result<Oid, GitError> {
    let mut at = tip.clone();
    for _ in 0..WALK {
        if !repo.descends(&at, onto)? {
            // A commit that landed itself means that the branch was built upon what landed.
            let is_own = !repo.descends(onto, &at)?;
            return Ok(if is_own { at } else { tip.clone() });
        }
        match repo.first_parent(&at)? {
            Some(parent) => at = parent,
            None => break,
        }
    }
    Ok(tip.clone())
}

/// Paths in a sentence.
fn named(paths: &[Vec<u8>]) -> String {
    let mut text: Vec<String> = paths.iter().take(NAMED).map(|path| shown(path)).collect();
    if paths.len() > NAMED {
        text.push(format!("and {} more", paths.len() - NAMED));
    }
    text.join(", ")
}

fn shown(path: &[u8]) -> String {
    format!("`{}`", plain(path))
}

fn plain(path: &[u8]) -> String {
    visible(&String::from_utf8_lossy(path))
}
