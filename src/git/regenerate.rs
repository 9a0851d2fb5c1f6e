//! Generated files in merges: lock files and snapshots are made anew after a merge, never merged as text.
//!
//! This file never runs the commands that make them and never moves a branch. Which files are generated is
//! said in the syntax of `.gitignore` and decided by git itself.

use super::error::GitError;
use super::merge::Merged;
use super::repo::{RefEdit, Repo, to_path};
use super::scratch::ScratchIndex;
use super::tree::{OUTBOX, Tree, write};
use crate::model::{Oid, not_a_pattern};
use std::collections::BTreeSet;
use std::path::Path;

type Paths = BTreeSet<Vec<u8>>;

/// What came of merging with generated files in mind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Generated {
    /// The merge is clean and touches no generated file on both sides: its tree.
    Clean(Oid),
    /// Conflicted paths that are not generated, sorted. Empty when git names none.
    Conflict(Vec<String>),
    /// All that is left is to make some files anew.
    Rebuild(Rebuild),
}

/// A merge whose generated files are still to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rebuild {
    /// The merge, with the version of each of these files that was there first.
    pub tree: Oid,
    /// A commit of the tree, to check it out: on top of both tips, pinned under
    /// `refs/harness/candidates/rebuild-<tree>`. It is not to land.
    pub commit: Oid,
    /// The files, sorted.
    pub paths: Vec<String>,
    /// Of which kinds they are: places in the list that [`Repo::generating`] was given, rising.
    pub kinds: Vec<usize>,
}

/// What a command made of generated files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Regenerated {
    /// The merge's tree with them. A commit of it is pinned in place of the one that was checked out.
    pub tree: Oid,
    /// Generated files that are now different, sorted.
    pub paths: Vec<String>,
    /// Other files that git knows and that the command changed, sorted: they are not in the tree.
    pub left_out: Vec<String>,
}

/// A merge as git tells it.
struct Told {
    tree: Oid,
    clean: bool,
    /// Conflicted paths.
    conflicts: Paths,
    /// Paths of conflicts of which none is in the list above.
    elsewhere: Paths,
}

impl Repo {
    /// The same repository, in which these files are generated: for each kind its patterns, in the syntax of
    /// `.gitignore`, negation included.
    ///
    /// # Errors
    /// A pattern is none.
    pub fn generating(&self, kinds: &[Vec<String>]) -> Result<Self, GitError> {
        let kinds: Result<_, _> = kinds.iter().map(|patterns| rules(patterns)).collect();
        Ok(self.with_generated(kinds?))
    }

    /// Merges two commits in memory. A generated file that conflicts, was changed on both sides, or was put
    /// together from both, is not merged: the tree gets the version of `onto`, or none where `onto` deleted it.
    ///
    /// # Errors
    /// Histories are unrelated, or git failed.
    pub fn merge_generated(&self, onto: &Oid, branch_tip: &Oid) -> Result<Generated, GitError> {
        if self.generated().is_empty() {
            return Ok(match self.merge_trees(onto, branch_tip)? {
                Merged::Clean(tree) => Generated::Clean(tree),
                Merged::Conflict(paths) => Generated::Conflict(paths),
            });
        }
        let merge = self.told(onto, branch_tip)?;
        let covered = self.generated_among(&merge.conflicts, onto)?;
        let mut open: Paths = merge.conflicts.difference(&covered).cloned().collect();
        open.extend(merge.elsewhere);
        if !open.is_empty() || (!merge.clean && covered.is_empty()) {
            return Ok(Generated::Conflict(shown(&open)));
        }
        let (ours, theirs) = (self.tree_of(onto)?, self.tree_of(branch_tip)?);
        let base = self.base_tree(onto, branch_tip)?;
        let mixed = self.mixed(&base, &ours, &theirs, &merge.tree)?;
        let mut paths = self.generated_among(&mixed, onto)?;
        paths.extend(covered);
        if paths.is_empty() {
            return Ok(Generated::Clean(merge.tree));
        }
        let tree = self.take_ours(&paths, &base, &ours, &theirs, &merge.tree)?;
        // A file in the place of a directory could have taken more with it than it should.
        let mut beyond = self.changed_between(&merge.tree, &tree)?;
        beyond.retain(|path| !paths.contains(path));
        if !beyond.is_empty() {
            return Ok(Generated::Conflict(shown(&beyond)));
        }
        let parents = [onto.clone(), branch_tip.clone()];
        let message = "Merge, generated files to be made anew\n";
        let commit = self.commit(&tree, &parents, message)?;
        self.pin_rebuild(&tree, &commit)?;
        Ok(Generated::Rebuild(Rebuild {
            tree,
            commit,
            kinds: self.kinds_of(&paths, onto)?,
            paths: shown(&paths),
        }))
    }

    /// After commands have run in `worktree`, where the commit of `rebuild` is checked out: the tree that
    /// holds the generated files as they left them, made, changed or deleted. Files that git ignores count
    /// only where git knows them already. The worktree, its index and its HEAD stay as they are.
    ///
    /// # Errors
    /// `worktree` is not one of this repository's, another tree is checked out there, or git failed.
    pub fn take_regenerated(
        &self,
        worktree: &Path,
        rebuild: &Rebuild,
    ) -> Result<Regenerated, GitError> {
        let tree = &rebuild.tree;
        let found = Tree::find(self, worktree)?.ok_or_else(|| GitError::InTheWay {
            path: worktree.to_owned(),
            why: "it is not a worktree of this repository".to_owned(),
        })?;
        let head = found.head(self)?.commit;
        let head_tree = head.map(|head| self.tree_of(&head)).transpose()?;
        if head_tree.as_ref() != Some(tree) {
            let act = format!("take generated files from {}", worktree.display());
            let why = "another commit is checked out there now; the command must not commit";
            return Err(GitError::refused(act, why));
        }
        let changes = changes(&found)?;
        let all: Paths = changes.iter().map(|change| change.path.clone()).collect();
        let mut taken = self.generated_among(&all, tree)?;
        // A directory git does not look into, because it is a repository of its own.
        taken.retain(|path| !path.ends_with(b"/"));
        let others = changes.iter().filter(|change| change.known);
        let others = others.map(|change| change.path.clone());
        let left_out: Paths = others.filter(|path| !taken.contains(path)).collect();

        let index = ScratchIndex::new(&found.git)?;
        index.read(tree)?;
        // Out with all of them, then in with those that are there: whatever became a directory or ceased
        // to be one finds its place free.
        let there = changes.iter().filter(|change| change.there);
        let there: Paths = there.map(|change| change.path.clone()).collect();
        for (how, paths) in [
            ("--force-remove", joined(taken.iter())),
            ("--add", joined(taken.intersection(&there))),
        ] {
            if !paths.is_empty() {
                let call = index.call(["update-index", how, "-z", "--stdin"]);
                call.stdin(paths).ok()?;
            }
        }
        let made = index.write()?;
        let parents = std::slice::from_ref(&rebuild.commit);
        let commit = self.commit(&made, parents, "Generated files made anew\n")?;
        self.pin_rebuild(tree, &commit)?;
        let paths = shown(&self.changed_between(tree, &made)?);
        Ok(Regenerated {
            tree: made,
            paths,
            left_out: shown(&left_out),
        })
    }

    /// Merges in memory and reads all that git says of it.
    fn told(&self, onto: &Oid, branch_tip: &Oid) -> Result<Told, GitError> {
        let call = self.merge_call(onto).args(["--name-only", "--messages"]);
        let output = call.arg(onto.as_str()).arg(branch_tip.as_str()).run()?;
        let mut fields = output.fields();
        let first = fields.next().map(String::from_utf8_lossy);
        let Some(tree) = first.and_then(|text| Oid::parse(&text)) else {
            return Err(output.failed());
        };
        let mut told = Told {
            tree,
            clean: output.code == 0,
            conflicts: Paths::new(),
            elsewhere: Paths::new(),
        };
        match output.code {
            0 => return Ok(told),
            1 => {}
            _ => return Err(output.failed()),
        }
        let conflicts = fields.by_ref().take_while(|path| !path.is_empty());
        told.conflicts = conflicts.map(<[u8]>::to_vec).collect();
        // The messages: a number, so many paths, the kind, the text. The list above need not name them all.
        while let Some(number) = fields.next() {
            let number = std::str::from_utf8(number)
                .ok()
                .and_then(|n| n.parse().ok());
            let number = number.ok_or_else(|| output.failed())?;
            let paths: Vec<&[u8]> = fields.by_ref().take(number).collect();
            let kind = fields.next().unwrap_or_default();
            let _text = fields.next();
            let is_conflict = kind.starts_with(b"CONFLICT") || kind.starts_with(b"ERROR");
            if is_conflict && !paths.iter().any(|path| told.conflicts.contains(*path)) {
                told.elsewhere
                    .extend(paths.iter().map(|path| path.to_vec()));
            }
        }
        Ok(told)
    }

    /// Generated files whose content in `merged` is put together from both, or was changed on both sides.
    pub(super) fn mixed_generated(
        &self,
        ours: &Oid,
        theirs: &Oid,
        merged: &Oid,
    ) -> Result<Vec<String>, GitError> {
        if self.generated().is_empty() {
            return Ok(Vec::new());
        }
        let base = self.base_tree(ours, theirs)?;
        let mixed = self.mixed(&base, &self.tree_of(ours)?, &self.tree_of(theirs)?, merged)?;
        Ok(shown(&self.generated_among(&mixed, ours)?))
    }

    fn base_tree(&self, ours: &Oid, theirs: &Oid) -> Result<Oid, GitError> {
        match self.merge_base(ours, theirs)? {
            Some(base) => self.tree_of(&base),
            None => self.tree_of(ours),
        }
    }

    /// Paths whose merged content is nobody's: changed on both sides, or different from both. What the
    /// merge removed needs no content.
    fn mixed(&self, base: &Oid, ours: &Oid, theirs: &Oid, merged: &Oid) -> Result<Paths, GitError> {
        let both = |from: &Oid| -> Result<Paths, GitError> {
            let (ours, theirs) = (
                self.changed_between(from, ours)?,
                self.changed_between(from, theirs)?,
            );
            Ok(ours.intersection(&theirs).cloned().collect())
        };
        let mut mixed = both(base)?;
        // A file that one side renamed and the other changed has no such path in common.
        mixed.extend(both(merged)?);
        let mut found = Paths::new();
        for path in mixed {
            if self.file(merged, &path)?.is_some() {
                found.insert(path);
            }
        }
        Ok(found)
    }

    /// The merged tree with our side's version of these paths.
    fn take_ours(
        &self,
        paths: &Paths,
        base: &Oid,
        ours: &Oid,
        theirs: &Oid,
        merged: &Oid,
    ) -> Result<Oid, GitError> {
        let mut entries = Vec::new();
        for path in paths {
            let mut version = self.file(ours, path)?;
            if version.is_none() && self.file(base, path)?.is_none() {
                // Not deleted by us but never ours: their whole file is better than none.
                version = self.file(theirs, path)?;
            }
            let line = match version {
                Some((oid, mode)) => format!("{mode:o} {oid} 0\t"),
                None => format!("0 {} 0\t", "0".repeat(ours.as_str().len())),
            };
            entries.extend_from_slice(line.as_bytes());
            entries.extend_from_slice(path);
            entries.push(0);
        }
        let index = ScratchIndex::new(self.git())?;
        index.read(merged)?;
        index.edit(entries)?;
        index.write()
    }

    /// A tree's entry at a path that is no directory there.
    fn file(&self, tree: &Oid, path: &[u8]) -> Result<Option<(Oid, i32)>, GitError> {
        let found = self.entry_and_mode(tree, &to_path(path))?;
        Ok(found.filter(|(_, mode)| *mode != i32::from(git2::FileMode::Tree)))
    }

    /// Those of the paths that are generated; see [`Repo::matching`].
    pub(super) fn generated_among(&self, paths: &Paths, filler: &Oid) -> Result<Paths, GitError> {
        let mut found = Paths::new();
        for rules in self.generated() {
            found.extend(self.matching(paths, rules, filler)?);
        }
        Ok(found)
    }

    /// Of which kinds generated files are.
    fn kinds_of(&self, paths: &Paths, filler: &Oid) -> Result<Vec<usize>, GitError> {
        let mut kinds = Vec::new();
        for (n, rules) in self.generated().iter().enumerate() {
            if !self.matching(paths, rules, filler)?.is_empty() {
                kinds.push(n);
            }
        }
        Ok(kinds)
    }

    /// Those of the paths that the rules name, as git sees it: they are put into an index (`filler` stands
    /// for their content) and listed.
    fn matching(&self, paths: &Paths, rules: &[u8], filler: &Oid) -> Result<Paths, GitError> {
        if paths.is_empty() || rules.is_empty() {
            return Ok(Paths::new());
        }
        let index = ScratchIndex::new(self.git())?;
        let file = index.dir().join("rules");
        write(&file, rules)?;
        let mut entries = Vec::new();
        for path in paths {
            // A file and a file below it, from different commits, only go together in different stages.
            let above = |end: &usize| path[*end] == b'/' && paths.contains(&path[..*end]);
            let stage = 1 + (0..path.len()).filter(above).count().min(2);
            entries.extend_from_slice(format!("100644 {filler} {stage}\t").as_bytes());
            entries.extend_from_slice(path);
            entries.push(0);
        }
        index.edit(entries)?;
        let list = ["ls-files", "-z", "--cached", "--ignored", "--exclude-from"];
        let listed = index.call(list).arg(&file).ok()?;
        Ok(listed.fields().map(<[u8]>::to_vec).collect())
    }

    fn pin_rebuild(&self, tree: &Oid, commit: &Oid) -> Result<(), GitError> {
        let pin = format!("refs/harness/candidates/rebuild-{}", tree.short());
        self.unlock(&pin)?;
        self.update_refs("harness: rebuild", &[RefEdit::Set(&pin, commit)])
    }
}

/// Something in a work tree that differs from HEAD.
struct Change {
    path: Vec<u8>,
    /// git knows the file: it is in HEAD or was added.
    known: bool,
    /// There is something at the path.
    there: bool,
}

/// What differs from HEAD in a worktree, untracked files one by one; the outbox left out.
fn changes(tree: &Tree) -> Result<Vec<Change>, GitError> {
    let output = tree
        .git
        .call(["status", "--porcelain=v1", "-z", "--no-renames"])
        .args(["--untracked-files=all", "--ignore-submodules=dirty", "--"])
        .arg(format!(":(exclude,top){OUTBOX}"))
        .ok()?;
    let mut found = Vec::new();
    for field in output.fields() {
        if let [x, y, b' ', path @ ..] = field {
            let known = *x != b'?';
            found.push(Change {
                path: path.to_vec(),
                known,
                there: !known || (*x != b'D' && *y != b'D'),
            });
        }
    }
    Ok(found)
}

/// The patterns as the lines of a `.gitignore`.
fn rules(patterns: &[String]) -> Result<Vec<u8>, GitError> {
    let mut text = Vec::new();
    for pattern in patterns {
        if let Some(why) = not_a_pattern(pattern) {
            let act = format!("use the pattern `{}`", super::error::visible(pattern));
            return Err(GitError::refused(act, why));
        }
        text.extend_from_slice(pattern.as_bytes());
        text.push(b'\n');
    }
    Ok(text)
}

fn shown(paths: &Paths) -> Vec<String> {
    let texts = paths.iter().map(|path| String::from_utf8_lossy(path));
    texts.map(|text| text.into_owned()).collect()
}

/// Paths for a command's standard input.
fn joined<'a>(paths: impl Iterator<Item = &'a Vec<u8>>) -> Vec<u8> {
    paths
        .flat_map(|path| path.iter().copied().chain([0]))
        .collect()
}
