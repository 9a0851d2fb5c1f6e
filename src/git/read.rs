//! Reading a repository through git2: refs, ancestry, trees and differences.
//!
//! Nothing here writes, and nothing here looks at a work tree: git2 knows no filters, no sparse checkouts
//! and no merge drivers, so what a work tree contains is asked of the git program.

use super::error::{GitError, visible};
use super::repo::{Repo, branch_of, to_path};
use crate::model::{Oid, Slug};
use std::collections::BTreeSet;
use std::path::Path;

/// A commit, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Its id.
    pub oid: Oid,
    /// First line of its message, control characters escaped.
    pub subject: String,
    /// Its parents.
    pub parents: Vec<Oid>,
}

/// The size of a difference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiffStat {
    /// Files that differ.
    pub files: usize,
    /// Lines added.
    pub insertions: usize,
    /// Lines removed.
    pub deletions: usize,
}

impl Repo {
    /// Where a ref stands; `None` when it does not exist.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub fn tip(&self, refname: &str) -> Result<Option<Oid>, GitError> {
        let library = self.library()?;
        let found = library
            .find_reference(refname)
            .and_then(|r| r.peel_to_commit());
        match found {
            Ok(commit) => wrapped(commit.id()).map(Some),
            Err(error) if error.code() == git2::ErrorCode::NotFound => Ok(None),
            Err(error) => Err(GitError::read(format!("read {refname}"))(error)),
        }
    }

    /// Where the branch of a feature stands; `None` when it has none.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub fn branch_tip(&self, slug: &Slug) -> Result<Option<Oid>, GitError> {
        self.tip(&branch_of(slug))
    }

    /// The branch that a name stands for: itself, unless it is an alias (a symbolic ref). Landing must
    /// know the real one to see where it is checked out.
    pub(super) fn resolved(&self, refname: &str) -> Result<String, GitError> {
        let library = self.library()?;
        let read = || GitError::read(format!("read {refname}"));
        let found = library.find_reference(refname).and_then(|r| r.resolve());
        let found = found.map_err(read())?;
        found.name().map(str::to_owned).map_err(read())
    }

    /// Whether the ref's history contains the commit. A ref or commit that does not exist: no.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub fn contains(&self, refname: &str, oid: &Oid) -> Result<bool, GitError> {
        match self.tip(refname)? {
            Some(tip) => self.descends(&tip, oid),
            None => Ok(false),
        }
    }

    /// Whether `ancestor` is `oid` or in its history; no, where it is not there.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub fn descends(&self, oid: &Oid, ancestor: &Oid) -> Result<bool, GitError> {
        if oid == ancestor {
            return Ok(true);
        }
        let library = self.library()?;
        let ancestor = raw(ancestor)?;
        if library.find_commit(ancestor).is_err() {
            return Ok(false);
        }
        library
            .graph_descendant_of(raw(oid)?, ancestor)
            .map_err(GitError::read(format!("read the history of {oid}")))
    }

    /// Those of the commits that a tip's history is seen to hold, newest first, until it is older than all of them. One
    /// walk for many; of those that are not among them nothing is said, because clocks may have gone wrong.
    pub(super) fn held_lately(
        &self,
        tip: &Oid,
        mut commits: BTreeSet<Oid>,
    ) -> Result<BTreeSet<Oid>, GitError> {
        let library = self.library()?;
        let read = || GitError::read(format!("read the history of {tip}"));
        let mut oldest = i64::MAX;
        for oid in &commits {
            if let Ok(commit) = library.find_commit(raw(oid)?) {
                oldest = oldest.min(commit.time().seconds());
            }
        }
        let mut walk = library.revwalk().map_err(read())?;
        // Without a sorting of its own, which would read all of the history first.
        walk.push(raw(tip)?).map_err(read())?;
        let mut held = BTreeSet::new();
        for oid in walk {
            let oid = oid.map_err(read())?;
            let commit = library.find_commit(oid).map_err(read())?;
            if commits.is_empty() || commit.time().seconds() < oldest {
                break;
            }
            held.extend(commits.take(&wrapped(oid)?));
        }
        Ok(held)
    }

    /// A digest of some bytes, as git would name them; nothing is written.
    ///
    /// # Errors
    /// Never in practice.
    pub fn digest(&self, bytes: &[u8]) -> Result<Oid, GitError> {
        let hashed = git2::Oid::hash_object(git2::ObjectType::Blob, bytes);
        hashed
            .map_err(GitError::read("digest".to_owned()))
            .and_then(wrapped)
    }

    /// The best common ancestor; `None` for unrelated histories.
    pub(super) fn merge_base(&self, a: &Oid, b: &Oid) -> Result<Option<Oid>, GitError> {
        match self.library()?.merge_base(raw(a)?, raw(b)?) {
            Ok(base) => wrapped(base).map(Some),
            Err(error) if error.code() == git2::ErrorCode::NotFound => Ok(None),
            Err(error) => Err(GitError::read(format!("compare {a} and {b}"))(error)),
        }
    }

    /// All best common ancestors of `tip` and each of `others`; none for unrelated histories.
    pub(super) fn merge_bases(
        &self,
        tip: &Oid,
        others: &[&Oid],
    ) -> Result<Vec<Vec<Oid>>, GitError> {
        let library = self.library()?;
        let own = raw(tip)?;
        others
            .iter()
            .map(|other| match library.merge_bases(own, raw(other)?) {
                Ok(bases) => bases.iter().copied().map(wrapped).collect(),
                Err(error) if error.code() == git2::ErrorCode::NotFound => Ok(Vec::new()),
                Err(error) => Err(GitError::read(format!("compare {tip} and {other}"))(error)),
            })
            .collect()
    }

    /// Whether this is a commit that is there.
    pub(super) fn is_commit(&self, oid: &Oid) -> Result<bool, GitError> {
        Ok(self.library()?.find_commit(raw(oid)?).is_ok())
    }

    /// The tree of a commit.
    ///
    /// # Errors
    /// When there is no such commit.
    pub fn tree_of(&self, commit: &Oid) -> Result<Oid, GitError> {
        let library = self.library()?;
        let found = library.find_commit(raw(commit)?);
        found
            .map_err(GitError::read(format!("read the commit {commit}")))
            .and_then(|commit| wrapped(commit.tree_id()))
    }

    /// A commit and when it was made, in seconds since the Unix epoch.
    pub(super) fn dated(&self, oid: &Oid) -> Result<(Commit, i64), GitError> {
        let library = self.library()?;
        let found = library.find_commit(raw(oid)?);
        let commit = found.map_err(GitError::read(format!("read the commit {oid}")))?;
        Ok((shown(&commit)?, commit.time().seconds()))
    }

    /// The first parent of a commit, if it has one.
    pub(super) fn first_parent(&self, commit: &Oid) -> Result<Option<Oid>, GitError> {
        let library = self.library()?;
        let found = library.find_commit(raw(commit)?);
        let found = found.map_err(GitError::read(format!("read the commit {commit}")))?;
        found.parent_ids().next().map(wrapped).transpose()
    }

    /// Whether a commit has several parents.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn is_merge(&self, commit: &Oid) -> Result<bool, GitError> {
        let library = self.library()?;
        let found = library.find_commit(raw(commit)?);
        let found = found.map_err(GitError::read(format!("read the commit {commit}")))?;
        Ok(found.parent_count() > 1)
    }

    /// The entry of a tree at `path`, if there is one.
    pub(super) fn entry(&self, tree: &Oid, path: &Path) -> Result<Option<Oid>, GitError> {
        let found = self.entry_and_mode(tree, path)?;
        Ok(found.map(|(oid, _)| oid))
    }

    /// The same with the entry's mode as git writes it: 0o100644, 0o40000 for a tree, and so on.
    pub(super) fn entry_and_mode(
        &self,
        tree: &Oid,
        path: &Path,
    ) -> Result<Option<(Oid, i32)>, GitError> {
        let library = self.library()?;
        let tree = library
            .find_tree(raw(tree)?)
            .map_err(GitError::read(format!("read the tree {tree}")))?;
        tree.get_path(path)
            .ok()
            .map(|entry| Ok((wrapped(entry.id())?, entry.filemode())))
            .transpose()
    }

    /// Those of the paths at which a tree has nothing.
    pub(super) fn absent(
        &self,
        tree: &Oid,
        mut paths: BTreeSet<Vec<u8>>,
    ) -> Result<BTreeSet<Vec<u8>>, GitError> {
        let library = self.library()?;
        let tree = library
            .find_tree(raw(tree)?)
            .map_err(GitError::read(format!("read the tree {tree}")))?;
        paths.retain(|path| tree.get_path(&to_path(path)).is_err());
        Ok(paths)
    }

    /// The content of a blob; `None` when the object is none.
    pub(super) fn blob(&self, oid: &Oid) -> Result<Option<Vec<u8>>, GitError> {
        let library = self.library()?;
        let found = library.find_blob(raw(oid)?);
        Ok(found.ok().map(|blob| blob.content().to_vec()))
    }

    /// Paths whose content or mode differs between two commits, sorted; a rename counts as both paths.
    /// Names that are not UTF-8 are shown with replacement characters.
    ///
    /// # Errors
    /// When one of them is not there.
    pub fn changed_paths(&self, base: &Oid, tip: &Oid) -> Result<Vec<String>, GitError> {
        let changed = self.changed_between(&self.tree_of(base)?, &self.tree_of(tip)?)?;
        let shown = changed.iter().map(|path| String::from_utf8_lossy(path));
        Ok(shown.map(|path| path.into_owned()).collect())
    }

    /// Paths whose content or mode differs between two trees; a rename counts as both paths.
    pub(super) fn changed_between(
        &self,
        before: &Oid,
        after: &Oid,
    ) -> Result<BTreeSet<Vec<u8>>, GitError> {
        let mut paths = BTreeSet::new();
        self.diff(before, after, |found| {
            paths.insert(found.path.to_vec());
        })?;
        Ok(paths)
    }

    /// Paths at which a tree holds a submodule or embedded repository.
    pub(super) fn gitlinks(&self, tree: &Oid) -> Result<Vec<Vec<u8>>, GitError> {
        let library = self.library()?;
        let read = || GitError::read(format!("read the tree {tree}"));
        let found = library.find_tree(raw(tree)?).map_err(read())?;
        let mut paths = Vec::new();
        found
            .walk(git2::TreeWalkMode::PreOrder, |above, entry| {
                if entry.filemode() == i32::from(git2::FileMode::Commit) {
                    paths.push([above.as_bytes(), entry.name_bytes()].concat());
                }
                git2::TreeWalkResult::Ok
            })
            .map_err(read())?;
        Ok(paths)
    }

    /// Paths at which `after` (a tree) holds a submodule or embedded repository that `before` does not.
    pub(super) fn new_gitlinks(&self, before: &Oid, after: &Oid) -> Result<Vec<Vec<u8>>, GitError> {
        let mut paths = Vec::new();
        self.diff(before, after, |found| {
            if found.is_gitlink() {
                paths.push(found.path.to_vec());
            }
        })?;
        Ok(paths)
    }

    /// How much differs between two commits.
    ///
    /// # Errors
    /// When one of them is not there.
    pub fn diff_stat(&self, base: &Oid, tip: &Oid) -> Result<DiffStat, GitError> {
        let library = self.library()?;
        let read = || GitError::read(format!("compare {base} and {tip}"));
        let tree = |oid: &Oid| {
            library
                .find_commit(raw(oid)?)
                .and_then(|c| c.tree())
                .map_err(read())
        };
        let stats = library
            .diff_tree_to_tree(Some(&tree(base)?), Some(&tree(tip)?), None)
            .and_then(|diff| diff.stats())
            .map_err(read())?;
        Ok(DiffStat {
            files: stats.files_changed(),
            insertions: stats.insertions(),
            deletions: stats.deletions(),
        })
    }

    /// The newest commits of a ref, newest first, at most `limit`.
    ///
    /// # Errors
    /// When the ref is not there.
    pub fn commits_on(&self, refname: &str, limit: usize) -> Result<Vec<Commit>, GitError> {
        let library = self.library()?;
        let read = || GitError::read(format!("read the history of {refname}"));
        let mut walk = library.revwalk().map_err(read())?;
        walk.push_ref(refname).map_err(read())?;
        let sorting = git2::Sort::TOPOLOGICAL | git2::Sort::TIME;
        walk.set_sorting(sorting).map_err(read())?;
        walk.take(limit)
            .map(|oid| {
                let commit = library.find_commit(oid.map_err(read())?).map_err(read())?;
                shown(&commit)
            })
            .collect()
    }

    /// Commits in `tip`'s history that are not in `base`'s, newest first, at most `limit`.
    ///
    /// # Errors
    /// When one of them is not there.
    pub fn log_between(
        &self,
        base: &Oid,
        tip: &Oid,
        limit: usize,
    ) -> Result<Vec<Commit>, GitError> {
        let library = self.library()?;
        let read = || GitError::read(format!("read the history from {base} to {tip}"));
        let mut walk = library.revwalk().map_err(read())?;
        walk.push(raw(tip)?).map_err(read())?;
        walk.hide(raw(base)?).map_err(read())?;
        let sorting = git2::Sort::TOPOLOGICAL | git2::Sort::TIME;
        walk.set_sorting(sorting).map_err(read())?;
        walk.take(limit)
            .map(|oid| {
                let commit = library.find_commit(oid.map_err(read())?).map_err(read())?;
                shown(&commit)
            })
            .collect()
    }

    /// Snapshots of a feature's iterations, by number.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub fn snapshots(&self, slug: &Slug) -> Result<Vec<(u32, Oid)>, GitError> {
        let prefix = format!("refs/harness/iterations/{slug}/");
        let mut found: Vec<(u32, Oid)> = self
            .refs(&prefix)?
            .into_iter()
            .filter_map(|(name, oid)| Some((name.strip_prefix(&prefix)?.parse().ok()?, oid)))
            .collect();
        found.sort();
        Ok(found)
    }

    /// All refs whose names begin with `prefix`, which ends in `/`, and where they stand.
    pub(super) fn refs(&self, prefix: &str) -> Result<Vec<(String, Oid)>, GitError> {
        let library = self.library()?.for_once();
        let read = || GitError::read(format!("list the refs under {prefix}"));
        let mut found = Vec::new();
        for reference in library
            .references_glob(&format!("{prefix}*"))
            .map_err(read())?
        {
            let reference = reference.map_err(read())?;
            // A ref that names nothing that is there stays out; it cannot be worked with.
            if let (Ok(name), Some(oid)) = (reference.name(), reference.target()) {
                found.push((name.to_owned(), wrapped(oid)?));
            }
        }
        found.sort();
        Ok(found)
    }
}

pub(super) fn shown(commit: &git2::Commit<'_>) -> Result<Commit, GitError> {
    let subject = String::from_utf8_lossy(commit.message_bytes());
    Ok(Commit {
        oid: wrapped(commit.id())?,
        subject: visible(subject.lines().next().unwrap_or_default()),
        parents: commit.parent_ids().map(wrapped).collect::<Result<_, _>>()?,
    })
}

pub(super) fn raw(oid: &Oid) -> Result<git2::Oid, GitError> {
    git2::Oid::from_str(oid.as_str()).map_err(GitError::read(format!("read the object {oid}")))
}

pub(super) fn wrapped(oid: git2::Oid) -> Result<Oid, GitError> {
    let text = oid.to_string();
    Oid::parse(&text).ok_or_else(|| GitError::Read {
        act: "read an object id".to_owned(),
        why: format!("`{text}` is not one"),
    })
}
