//! Handing a conflict back: what landed is laid into the feature's own worktree as a merge in progress, for its
//! agent to resolve.
//!
//! Laying twice, or again after a crash at any point, is harmless; a resolution that exists is never asked for
//! again. This file never judges a resolution and never calls an agent.

use super::audit::own_side;
use super::error::GitError;
use super::merge::{Unmerged, pinned};
use super::repo::{RefEdit, Repo, branch_of};
use super::sides::{LINK, SUBMODULE, Sides, is_marker};
use super::snapshot::{Keeping, lost_ref};
use super::tree::Tree;
use super::worktrees::Worktrees;
use crate::fault::{self, Point};
use crate::model::{ConflictKind, Conflicted, MergeTask, Oid, Slug, WorktreeName, acts};
use std::fs;
use std::path::Path;

/// Most lines of conflicts that go into a prompt, in all and of one file, and most characters of a line.
const EXCERPT_LINES: usize = 200;
const EXCERPT_LINES_OF_FILE: usize = 40;
const EXCERPT_COLUMNS: usize = 240;
/// Files beyond this are not looked into.
const EXCERPT_FILE_CAP: u64 = 4 << 20;

/// What came of laying a merge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Laid {
    /// It lies in the worktree and waits for a resolution.
    Conflicted {
        /// Paths that need work. None when an earlier iteration was lost after it had resolved all of them.
        conflicts: Vec<Conflicted>,
    },
    /// Nothing clashed: the branch contains what landed.
    Clean {
        /// Where it stands now.
        tip: Oid,
    },
    /// The branch contained what landed before.
    Already,
}

impl Worktrees {
    /// Merges `onto` into the feature's branch, in its worktree, which was prepared before. What is in conflict
    /// is left there with markers. A merge with `onto` that is in progress already stays as it is, edits and
    /// all; any other uncommitted work goes to the branch, or under `refs/harness/lost/` if it is part of a
    /// merge that is not resolved. Where the branch stands may therefore differ from before.
    ///
    /// # Errors
    /// The worktree is not prepared, or git or the disk failed; doing it again continues.
    pub fn lay_merge(&self, slug: &Slug, name: WorktreeName, onto: &Oid) -> Result<Laid, GitError> {
        let _guard = self.guard();
        let tree = self.prepared_for(slug, name)?;
        tree.heal(Some(slug), &self.repo)?;
        let branch = branch_of(slug);
        self.repo.mend(&branch)?;
        let mut tip = self.repo.expect_tip(&branch)?;
        if self.repo.descends(&tip, onto)? {
            match self.unmarked(&tip, onto)? {
                None => return self.already(&tree, onto),
                Some(own) => {
                    self.take_back(&tree, slug, &tip, &own)?;
                    tip = own;
                }
            }
        }
        if tree.is_laying(slug) {
            // No agent was in it since, but then nothing is thrown away on the word of one file.
            self.rescue(&tree)?;
            tree.switch(&tip)?;
            tree.attach(&branch)?;
        }
        if self.is_in_progress(&tree, &branch, &tip, onto)? {
            return self.conflicts(&tree, &tip, onto);
        }
        let head = tree.head(&self.repo)?.branch;
        let is_busy = tree.is_rebasing() || !tree.merge_heads().is_empty();
        if is_busy || head.as_ref() != Some(&branch) || !tree.is_clean().unwrap_or(false) {
            tip = self.keep_leftovers(&tree, slug, &tip, onto)?;
            if self.repo.descends(&tip, onto)? {
                return Ok(Laid::Already);
            }
        }
        self.merge(&tree, slug, &tip, onto)
    }

    /// Whether this very merge is in progress on the branch, with anything to show for it.
    fn is_in_progress(
        &self,
        tree: &Tree,
        branch: &str,
        tip: &Oid,
        onto: &Oid,
    ) -> Result<bool, GitError> {
        let head = tree.head(&self.repo)?;
        Ok(tree.merge_heads() == [onto.clone()]
            && !tree.is_rebasing()
            && head.branch.as_deref() == Some(branch)
            && head.commit.as_ref() == Some(tip)
            // One that cannot be read is no merge anyone can go on with.
            && tree.unmerged().is_ok()
            && !tree.is_clean().unwrap_or(true))
    }

    /// The branch contains it: only what a crash left of the way there is tidied.
    fn already(&self, tree: &Tree, onto: &Oid) -> Result<Laid, GitError> {
        tree.set_laying(None)?;
        let is_unmerged = tree.unmerged().is_ok_and(|paths| !paths.is_empty());
        if tree.merge_heads() == [onto.clone()] {
            tree.forget_unfinished()?;
        }
        if is_unmerged && tree.merge_heads().is_empty() {
            // The index only; the files stay as they are.
            tree.git.call(["reset", "--mixed", "--quiet"]).run()?;
        }
        Ok(Laid::Already)
    }

    /// When the branch contains `onto` by way of commits with conflict markers (of an iteration that was lost
    /// before it was judged): its newest commit from before.
    fn unmarked(&self, tip: &Oid, onto: &Oid) -> Result<Option<Oid>, GitError> {
        let own = own_side(&self.repo, tip, onto)?;
        if own == *tip {
            return Ok(None);
        }
        let sides = Sides::of(&self.repo, &own, onto)?;
        let marked = sides.marked(&self.repo.tree_of(tip)?)?;
        Ok((!marked.is_empty()).then_some(own))
    }

    /// Takes the branch from `tip` back to `own`. The worktree follows when the merge is laid.
    fn take_back(&self, tree: &Tree, slug: &Slug, tip: &Oid, own: &Oid) -> Result<(), GitError> {
        self.rescue(tree)?;
        tree.set_laying(Some(slug))?;
        let (branch, lost) = (branch_of(slug), lost_ref(slug.as_str(), tip));
        let edits = [
            RefEdit::Set(&lost, tip),
            RefEdit::Move(&branch, Some(tip), own),
        ];
        self.repo.update_refs("harness: unresolved merge", &edits)
    }

    /// Keeps what an iteration that was lost left in the worktree; gives where the branch stands then.
    fn keep_leftovers(
        &self,
        tree: &Tree,
        slug: &Slug,
        tip: &Oid,
        onto: &Oid,
    ) -> Result<Oid, GitError> {
        // What it was merging, if anything, tells best what its files are.
        let mut onto = onto.clone();
        if let [other] = tree.merge_heads().as_slice()
            && self.repo.is_commit(other)?
        {
            onto = other.clone();
        }
        let task = MergeTask { onto };
        let keeping = Keeping {
            slug,
            pin: None,
            before: tip,
            message: format!("{slug}: work of an iteration that was lost\n"),
            merge: Some(&task),
            allow_dropped: false,
        };
        let kept = self.repo.keep(tree, &keeping)?;
        tracing::info!(%slug, tip = %kept.tip, merge = ?kept.merge, notes = ?kept.notes, "kept what lay in the worktree");
        Ok(kept.tip)
    }

    /// Merges in a worktree that stands clean on the branch.
    fn merge(&self, tree: &Tree, slug: &Slug, tip: &Oid, onto: &Oid) -> Result<Laid, GitError> {
        tree.forget_unfinished()?;
        tree.set_laying(Some(slug))?;
        fault::past(Point::HandbackNoted);
        // A name says more in a marker than an id does, and the agent can give it to git.
        let pin = format!("refs/harness/onto/{slug}");
        self.repo.unlock(&pin)?;
        let edit = RefEdit::Set(&pin, onto);
        self.repo.update_refs("harness: hand back", &[edit])?;
        let message = format!("Merge {} into {slug}\n", onto.short());
        let merged = tree
            .git
            .call(["merge", "--no-ff", "--no-commit", "--strategy=ort"])
            .args([
                "--no-stat",
                "--no-squash",
                "--no-autostash",
                "--no-edit",
                "--no-log",
            ])
            .args(["--no-verify", "--no-verify-signatures", "--no-gpg-sign"])
            .args(["-m", message.trim_end()])
            .arg(pin.trim_start_matches("refs/"))
            .options(pinned())
            .options([
                "-c".to_owned(),
                format!("branch.harness/{slug}.mergeOptions="),
            ])
            .env(self.repo.identity()?)
            .run()?;
        fault::past(Point::HandbackMerged);
        if tree.merge_heads() != [onto.clone()] {
            return Err(merged.failed());
        }
        if merged.code != 0 {
            tree.set_laying(None)?;
            fault::past(Point::HandbackLaid);
            return self.conflicts(tree, tip, onto);
        }
        // The files first and the branch last: dying in between leaves no branch ahead of its files.
        let made = tree.git.call(["write-tree"]).oid()?;
        let parents = [tip.clone(), onto.clone()];
        let commit = self.repo.commit(&made, &parents, &message)?;
        let edit = RefEdit::Move(&branch_of(slug), Some(tip), &commit);
        self.repo.update_refs("harness: merge", &[edit])?;
        tree.forget_unfinished()?;
        tree.set_laying(None)?;
        Ok(Laid::Clean { tip: commit })
    }

    /// What needs work in a worktree with a merge in progress: what git calls unmerged, and what an agent
    /// told git was resolved though markers are left in it.
    fn conflicts(&self, tree: &Tree, tip: &Oid, onto: &Oid) -> Result<Laid, GitError> {
        let mut sides = tree.unmerged()?;
        let open: Vec<Vec<u8>> = sides.iter().map(|side| side.path.clone()).collect();
        let merged = self.repo.automatic(tip, onto)?;
        sides.extend(merged.unmerged.into_iter().filter(|side| {
            let file = tree.path.join(super::repo::to_path(&side.path));
            !open.contains(&side.path) && hunks(&file).is_some_and(|hunks| !hunks.is_empty())
        }));
        sides.sort_by(|a, b| (&a.path, a.stage).cmp(&(&b.path, b.stage)));
        let conflicts = sides
            .chunk_by(|a, b| a.path == b.path)
            .map(|sides| self.repo.conflicted(sides, &merged.tree));
        let mut conflicts: Vec<Conflicted> = conflicts.collect::<Result<_, _>>()?;
        // Those that git could merge as text wait for their command all the same.
        for path in self.repo.mixed_generated(tip, onto, &merged.tree)? {
            if !conflicts.iter().any(|conflict| conflict.path == path) {
                let kind = ConflictKind::Generated;
                conflicts.push(Conflicted { path, kind });
            }
        }
        Ok(Laid::Conflicted { conflicts })
    }

    /// The conflicting lines of a worktree's textual files, with a few words before each, for a prompt. Long
    /// ones are cut, and say so.
    #[must_use]
    pub fn conflict_excerpts(&self, name: WorktreeName, conflicts: &[Conflicted]) -> String {
        let root = self.path(name);
        let mut text = String::new();
        let mut room = EXCERPT_LINES;
        for conflict in conflicts {
            let file = root.join(&conflict.path);
            // An agent may have put a link there, or above it.
            let is_inside = matches!(
                (file.canonicalize(), root.canonicalize()),
                (Ok(file), Ok(root)) if file.starts_with(&root)
            );
            let Some(hunks) = hunks(&file).filter(|hunks| is_inside && !hunks.is_empty()) else {
                continue;
            };
            let take = room.min(EXCERPT_LINES_OF_FILE);
            let shown = super::error::visible(&conflict.path);
            if take == 0 {
                text.push_str(&format!("--- {shown}: not shown\n"));
                continue;
            }
            text.push_str(&format!("--- {shown}, line {}\n", hunks[0].0));
            let mut last = hunks[0].0;
            for (number, line) in hunks.iter().take(take) {
                if *number > last + 1 {
                    text.push_str(&format!("--- {shown}, line {number}\n"));
                }
                last = *number;
                text.push_str(line);
                text.push('\n');
            }
            if hunks.len() > take {
                text.push_str(&format!("--- {} more lines\n", hunks.len() - take));
            }
            room -= take.min(hunks.len());
        }
        text
    }
}

impl Repo {
    /// How the sides of one path clash.
    fn conflicted(&self, sides: &[Unmerged], automatic: &Oid) -> Result<Conflicted, GitError> {
        let at = |stage: usize| sides.iter().find(|side| side.stage == stage);
        let (base, mine, landed) = (at(1), at(2), at(3));
        let mode = |mode: i32| sides.iter().any(|side| side.mode == mode);
        let path = &sides[0].path;
        let is_whole = || -> Result<bool, GitError> {
            let laid = self.entry(automatic, &super::repo::to_path(path))?;
            let library = self.library()?;
            let is_binary = |side: &Unmerged| {
                let oid = super::read::raw(&side.oid);
                let blob = oid.ok().and_then(|oid| library.find_blob(oid).ok());
                blob.is_some_and(|blob| blob.is_binary())
            };
            // The second: attributes forbid to merge it, and git left the feature's version.
            Ok(sides.iter().any(is_binary) || laid.as_ref() == mine.map(|side| &side.oid))
        };
        let named = std::iter::once(path.clone()).collect();
        let is_generated = !self.generated_among(&named, automatic)?.is_empty();
        let kind = match (base, mine, landed) {
            _ if is_generated => ConflictKind::Generated,
            _ if mode(SUBMODULE) => ConflictKind::Submodule,
            (_, Some(mine), Some(landed)) if mine.mode == LINK && landed.mode == LINK => {
                ConflictKind::Link
            }
            (_, Some(_), Some(_)) if mode(LINK) => ConflictKind::Other,
            (_, Some(mine), Some(landed)) if mine.oid == landed.oid => ConflictKind::Mode,
            (_, Some(_), Some(_)) if is_whole()? => ConflictKind::Binary,
            (Some(_), Some(_), Some(_)) => ConflictKind::BothModified,
            (None, Some(_), Some(_)) => ConflictKind::BothAdded,
            (Some(_), Some(_), None) => ConflictKind::DeletedByTarget,
            (Some(_), None, Some(_)) => ConflictKind::DeletedByFeature,
            _ => ConflictKind::Other,
        };
        Ok(Conflicted {
            path: String::from_utf8_lossy(path).into_owned(),
            kind,
        })
    }
}

/// The lines of a file from an opening marker to the closing one, with their numbers. `None` when it is no
/// text that can be read.
fn hunks(file: &Path) -> Option<Vec<(usize, String)>> {
    let meta = fs::symlink_metadata(file).ok()?;
    if !meta.is_file() || meta.len() > EXCERPT_FILE_CAP {
        return None;
    }
    let text = fs::read(file).ok()?;
    if text.contains(&0) {
        return None;
    }
    let mut found = Vec::new();
    let mut is_inside = false;
    for (n, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let marker = Some(line)
            .filter(|line| is_marker(line))
            .and_then(|l| l.first());
        is_inside |= marker == Some(&b'<');
        if is_inside {
            found.push((n + 1, printable(line)));
        }
        is_inside &= marker != Some(&b'>');
    }
    Some(found)
}

/// A line for a prompt: cut, control characters other than tabs escaped.
fn printable(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line));
    let mut out = String::new();
    for (n, c) in text.chars().enumerate() {
        if n == EXCERPT_COLUMNS {
            out.push('…');
            break;
        }
        if acts(c) && c != '\t' {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}
