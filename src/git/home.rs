//! Taking home what an agent left in the git directory that was lent to it: its branch, its HEAD, its index, an
//! unfinished operation, and what else it committed.
//!
//! Doing it twice, or again after a crash at any point, is harmless. git is never started in what was lent, and
//! what cannot be understood is told and left: the files of the worktree are kept in any case, by the snapshot that
//! follows. This file never judges work.

use super::error::GitError;
use super::import::{Imported, Wanted, purge};
use super::lend::{copy_plain, lay_state};
use super::loan::{Left, LeftHead, Loan, is_real_dir, lent_dir, lent_refs, plain_below, shown};
use super::repo::{RefEdit, Repo, branch_of};
use super::snapshot::lost_ref;
use super::stage::{Scratch, copy_index};
use super::tree::{Tree, replace};
use crate::fault::{self, Point};
use crate::model::{Isolation, Oid};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Largest index that is taken over.
const INDEX_CAP: u64 = 1 << 30;
/// The number of an index's copy that is looked at before it is used.
const COPY: u32 = 97;
/// Most sentences about refs.
const NOTES_CAP: usize = 20;
/// Files of an unfinished operation that name commits.
const NAMING: [&str; 8] = [
    "MERGE_HEAD",
    "MERGE_AUTOSTASH",
    "CHERRY_PICK_HEAD",
    "REVERT_HEAD",
    "ORIG_HEAD",
    "rebase-merge/autostash",
    "rebase-merge/orig-head",
    "rebase-apply/autostash",
];
/// Largest of them.
const NAMING_CAP: u64 = 64 << 10;

/// One taking home.
struct Homecoming<'a> {
    repo: &'a Repo,
    tree: &'a Tree,
    loan: &'a Loan,
    left: Left,
    /// The commits that are in the repository, by what the agent called them.
    commits: BTreeMap<Oid, Oid>,
    notes: Vec<String>,
}

impl Tree {
    /// Takes home what was left in the git directory that was lent last, if it was not before.
    pub(super) fn take_home(&self, repo: &Repo) -> Result<Vec<String>, GitError> {
        let Some(loan) = Loan::read(&self.admin).filter(|loan| loan.is_out) else {
            return Ok(Vec::new());
        };
        fault::past(Point::HomeBegin);
        let dir = lent_dir(&self.admin);
        let mut notes = Vec::new();
        if is_real_dir(&dir) {
            let mut home = Homecoming {
                left: Left::read(&self.admin),
                commits: BTreeMap::new(),
                notes,
                repo,
                tree: self,
                loan: &loan,
            };
            let index = home.index(&dir)?;
            let is_whole = home.objects(&dir, index.as_ref())?;
            fault::past(Point::HomeObjects);
            home.refs()?;
            fault::past(Point::HomeRefs);
            lay_state(&dir, &self.admin)?;
            home.head()?;
            fault::past(Point::HomeHead);
            if let Some(index) = index.filter(|_| is_whole) {
                index.install(&self.admin.join("index"))?;
            }
            notes = home.notes;
        } else {
            notes.push(
                "the git directory it worked with is gone, with all that it committed".to_owned(),
            );
        }
        fault::past(Point::HomeWhole);
        let loan = Loan {
            is_out: false,
            ..loan
        };
        loan.write(&self.admin)?;
        notes.truncate(NOTES_CAP);
        tracing::info!(slug = %loan.slug, ?notes, "took home what was left in the lent git directory");
        Ok(notes)
    }
}

impl Homecoming<'_> {
    /// A copy of the index, unless it is the one that was lent.
    fn index(&self, dir: &Path) -> Result<Option<Scratch>, GitError> {
        let (left, own) = (dir.join("index"), self.tree.admin.join("index"));
        let meta = fs::symlink_metadata(&left);
        let is_plain = meta.is_ok_and(|meta| meta.is_file() && meta.len() <= INDEX_CAP);
        let is_same = || Ok::<_, std::io::Error>(fs::read(&left)? == fs::read(&own)?);
        if !is_plain || is_same().unwrap_or(false) {
            return Ok(None);
        }
        // A split index has its larger half in a file beside it.
        for path in super::worktrees::entries(dir)? {
            let name = path.file_name().unwrap_or_default();
            if name.to_string_lossy().starts_with("sharedindex.") {
                copy_plain(&path, &self.tree.admin.join(name), &mut 1)?;
            }
        }
        let scratch = Scratch::beside(&own, COPY)?;
        copy_index(&left, &scratch.0)?;
        Ok(Some(scratch))
    }

    /// Brings the objects home, and finds out which commits are there. Whether all is there that the index names.
    fn objects(&mut self, dir: &Path, index: Option<&Scratch>) -> Result<bool, GitError> {
        let tips = self.tips(dir);
        if self.loan.isolation == Isolation::Worktree {
            for tip in tips {
                if let Some(commit) = self.repo.commit_at(&tip)? {
                    self.commits.insert(tip, commit);
                }
            }
            return Ok(true);
        }
        let store = dir.join("objects");
        if !is_real_dir(&store) {
            self.notes
                .push("its git directory has no objects of its own any more".to_owned());
            return self.known(&tips).map(|()| false);
        }
        let strange = purge(&store)?;
        if strange > 0 {
            self.notes.push(format!(
                "{strange} links or the like were taken out of its objects"
            ));
        }
        // Away from the worktree, whose directory may be gone.
        let git = self.repo.git().on(&self.tree.admin);
        let git = index.map(|index| git.with_index(&index.0));
        let wanted = Wanted {
            store: &store,
            tips: &tips,
            index: git.as_ref(),
            base: &self.loan.tip,
        };
        match self.repo.import(&wanted) {
            Ok(Imported {
                commits,
                index_is_whole,
            }) => {
                self.commits = commits;
                Ok(index_is_whole)
            }
            // What git says of objects that are not sound, or too many: that must not stop everything else.
            Err(error @ (GitError::Failed { .. } | GitError::TimedOut { .. })) => {
                let (at, why) = (store.display(), error.to_string());
                self.notes.push(format!(
                    "its commits stay in {at} and only its files are kept: {why}"
                ));
                self.known(&tips).map(|()| false)
            }
            Err(error) => Err(error),
        }
    }

    /// Those of the tips that the repository had before.
    fn known(&mut self, tips: &BTreeSet<Oid>) -> Result<(), GitError> {
        for tip in tips {
            if let Some(commit) = self.repo.commit_at(tip)? {
                self.commits.insert(tip.clone(), commit);
            }
        }
        Ok(())
    }

    /// All that names a commit.
    fn tips(&self, dir: &Path) -> BTreeSet<Oid> {
        let left = &self.left;
        let mut tips: BTreeSet<Oid> = left.stashes.iter().cloned().collect();
        let names = left.changed.iter().chain(match &left.head {
            LeftHead::Branch(name) => Some(name),
            _ => None,
        });
        tips.extend(names.filter_map(|name| left.refs.get(name)).cloned());
        if let LeftHead::Commit(oid) = &left.head {
            tips.insert(oid.clone());
        }
        for name in NAMING {
            let text = plain_below(dir, name, NAMING_CAP).unwrap_or_default();
            tips.extend(
                String::from_utf8_lossy(&text)
                    .lines()
                    .filter_map(Oid::parse),
            );
        }
        tips
    }

    /// The commit of one of its refs, if it is in the repository.
    fn commit_of(&self, name: &str) -> Option<&Oid> {
        self.commits.get(self.left.refs.get(name)?)
    }

    /// Moves the feature's branch from where it was lent to where it stands, and pins what else was committed.
    fn refs(&mut self) -> Result<(), GitError> {
        let branch = branch_of(&self.loan.slug);
        // Whoever held it is dead.
        self.repo.unlock(&branch)?;
        let now = self.repo.tip(&branch)?;
        let lent = &self.loan.tip;
        let came = match self.left.refs.get(&branch) {
            Some(oid) if oid == lent => Some(oid),
            Some(oid) => self.commits.get(oid),
            None => None,
        };
        let came = came.cloned();
        let mut aside: Vec<(String, Oid)> = Vec::new();
        let mut edits = Vec::new();
        match (&came, &now) {
            (None, _) => {
                let why = match self.left.refs.contains_key(&branch)
                    || self.left.broken.contains(&branch)
                {
                    true => "held no commit that is there",
                    false => "had been deleted or renamed",
                };
                self.notes.push(format!(
                    "{} {why}: it stays at {}",
                    shown(&branch),
                    lent.short()
                ));
            }
            (Some(came), Some(now)) if came == now => {}
            (Some(came), Some(now)) if now == lent => {
                edits.push(RefEdit::Move(&branch, Some(now), came));
            }
            (Some(came), _) if came != lent => {
                aside.push((
                    format!(
                        "{}, which somebody else has moved meanwhile,",
                        shown(&branch)
                    ),
                    came.clone(),
                ));
            }
            _ => {}
        }
        let tip = came.as_ref().or(now.as_ref()).unwrap_or(lent);
        aside.extend(self.others(&branch, tip)?);
        let mut pins = BTreeMap::new();
        for (what, oid) in aside {
            let pin = lost_ref(self.loan.slug.as_str(), &oid);
            self.notes.push(format!("{what} is kept as {pin}"));
            pins.insert(pin, oid);
        }
        edits.extend(pins.iter().map(|(pin, oid)| RefEdit::Set(pin, oid)));
        self.repo.update_refs("harness: take home", &edits)
    }

    /// What was committed elsewhere than on the feature's branch and on HEAD, and is in no history that was there
    /// before.
    fn others(&self, branch: &str, tip: &Oid) -> Result<Vec<(String, Oid)>, GitError> {
        let head = match &self.left.head {
            LeftHead::Branch(name) => self.commit_of(name),
            LeftHead::Commit(oid) => self.commits.get(oid),
            LeftHead::Broken => None,
        };
        let head = head.unwrap_or(tip);
        let lent: BTreeSet<Oid> = match self.left.changed.is_empty() {
            true => BTreeSet::new(),
            false => lent_refs(&self.tree.admin).into_values().collect(),
        };
        let mut found = Vec::new();
        for name in self.left.changed.iter().filter(|name| *name != branch) {
            let Some(commit) = self.commit_of(name) else {
                continue;
            };
            let is_old = lent.contains(commit) || lent.contains(&self.left.refs[name]);
            let repo = self.repo;
            if !is_old && !repo.descends(tip, commit)? && !repo.descends(head, commit)? {
                found.push((
                    format!("{}, which it made or moved,", shown(name)),
                    commit.clone(),
                ));
            }
        }
        for stash in self
            .left
            .stashes
            .iter()
            .filter_map(|oid| self.commits.get(oid))
        {
            found.push(("what it stashed".to_owned(), stash.clone()));
        }
        Ok(found)
    }

    /// Puts the worktree's HEAD where the agent left its own. Branches other than the feature's are the agent's
    /// alone: on one of them the HEAD is detached.
    fn head(&mut self) -> Result<(), GitError> {
        let branch = branch_of(&self.loan.slug);
        let commit = match &self.left.head {
            LeftHead::Branch(name) if *name == branch => {
                let came = self.commit_of(name);
                // Unless somebody moved the branch away from what the agent's files are based on.
                came.filter(|_| came != self.repo.tip(&branch).ok().flatten().as_ref())
            }
            LeftHead::Branch(name) => Some(self.commit_of(name).unwrap_or(&self.loan.tip)),
            LeftHead::Commit(oid) => self.commits.get(oid),
            LeftHead::Broken => None,
        };
        let text = match (commit, &self.left.head) {
            (Some(commit), _) => format!("{commit}\n"),
            (None, LeftHead::Branch(_)) => format!("ref: {branch}\n"),
            (None, _) => {
                self.notes
                    .push("its HEAD named no commit that is there".to_owned());
                return Ok(());
            }
        };
        replace(&self.tree.admin.join("HEAD"), text.as_bytes())
    }
}
