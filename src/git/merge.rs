//! Candidates: the merge of a feature onto the target's tip, made without touching any work tree.
//!
//! This file never moves a branch. The result depends on the commits alone: options that the user's
//! configuration could bend are pinned.

use super::cli::Call;
use super::error::{GitError, visible};
use super::regenerate::{Generated, Rebuild};
use super::repo::{Repo, branch_of, to_path};
use crate::fault::{self, Point};
use crate::model::{Candidate, Chain, Oid, Slug, Step};

/// How a feature's commits reach the target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// A merge commit; the feature's own commits stay in the history.
    #[default]
    Merge,
    /// One commit with the same tree.
    Squash,
}

/// What the user's configuration must not bend in a merge, in memory or in a worktree.
const PINNED: [&str; 6] = [
    "merge.renames=true",
    "merge.directoryRenames=conflict",
    "merge.conflictStyle=zdiff3",
    "merge.renameLimit=7000",
    "merge.renormalize=false",
    "diff.algorithm=histogram",
];

/// What came of a merge in memory.
pub(super) enum Merged {
    /// The tree.
    Clean(Oid),
    /// Conflicted paths.
    Conflict(Vec<String>),
}

/// A feature that is to be merged, and the message of its merge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Whose branch.
    pub slug: Slug,
    /// The commit message.
    pub message: String,
}

/// What came of building a chain of merges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chained {
    /// The chain, of those that could be merged. Its end is pinned under `refs/harness/candidates/`.
    pub chain: Chain,
    /// Who conflicts with what has landed, and the paths.
    pub conflicts: Vec<(Slug, Vec<String>)>,
    /// Who conflicts only with others that have not landed.
    pub deferred: Vec<Slug>,
    /// Who could not be tried, and why.
    pub failed: Vec<(Slug, String)>,
}

/// What came of merging what has landed with the user's commits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reconciled {
    /// A merge of both, pinned as a chain's end is.
    Clean(Chain),
    /// They changed the same places.
    Conflict(Vec<String>),
}

/// Runs the commands that make a merge's generated files: the tree with them, `None` when a command fails, or
/// why none could be run.
pub type Remake<'a> = dyn FnMut(&Rebuild) -> Result<Option<Oid>, String> + 'a;

fn made(remake: &mut Remake<'_>, rebuild: &Rebuild) -> Result<Option<Oid>, GitError> {
    remake(rebuild).map_err(|why| {
        let act = format!("make {} anew", visible(&rebuild.paths.join(", ")));
        GitError::refused(act, why)
    })
}

/// What came of one merge.
enum Linked {
    Clean(Candidate),
    Conflict(Vec<String>),
}

/// What git alone makes of a merge.
pub(super) struct Automatic {
    /// The tree; conflicted files in it hold markers.
    pub(super) tree: Oid,
    /// Whether nothing clashed.
    pub(super) is_clean: bool,
    /// What clashed, sorted by path.
    pub(super) unmerged: Vec<Unmerged>,
}

/// One side of a conflicted path.
pub(super) struct Unmerged {
    pub(super) path: Vec<u8>,
    /// 1 the merge base's, 2 the feature's, 3 the landed one.
    pub(super) stage: usize,
    pub(super) mode: i32,
    pub(super) oid: Oid,
}

/// The options that pin a merge, to stand before the subcommand.
pub(super) fn pinned() -> Vec<String> {
    let pair = |config: &str| ["-c".to_owned(), config.to_owned()];
    PINNED.into_iter().flat_map(pair).collect()
}

/// Parses `<mode> <oid> <stage>\t<path>`, as `merge-tree` and `ls-files --unmerged` print it.
pub(super) fn unmerged<'a>(fields: impl Iterator<Item = &'a [u8]>) -> Vec<Unmerged> {
    let parsed = fields.filter_map(|field| {
        let tab = field.iter().position(|byte| *byte == b'\t')?;
        let head = std::str::from_utf8(&field[..tab]).ok()?;
        let mut words = head.split(' ');
        Some(Unmerged {
            mode: i32::from_str_radix(words.next()?, 8).ok()?,
            oid: Oid::parse(words.next()?)?,
            stage: words.next()?.parse().ok().filter(|n| (1..=3).contains(n))?,
            path: field[tab + 1..].to_vec(),
        })
    });
    parsed.collect()
}

/// Paths for people, sorted, each once.
fn shown<'a>(paths: impl Iterator<Item = &'a [u8]>) -> Vec<String> {
    let mut paths: Vec<String> = paths
        .map(|path| String::from_utf8_lossy(path).into_owned())
        .collect();
    paths.sort();
    paths.dedup();
    paths
}

impl Repo {
    /// Merges features one upon the other, beginning at `onto`, without touching any work tree. `tip` is what
    /// has landed; it differs from `onto` when the chain builds on another that is still being gated.
    /// `name` is the chain's, for its pin. A merge whose generated files cannot be made counts as a conflict
    /// in them.
    ///
    /// # Errors
    /// git failed in a way that concerns no single feature.
    pub fn chain(
        &self,
        name: &str,
        onto: &Oid,
        tip: &Oid,
        links: &[Link],
        strategy: Strategy,
        remake: &mut Remake<'_>,
    ) -> Result<Chained, GitError> {
        let onto_tree = self.tree_of(onto)?;
        let mut built = Chained {
            chain: Chain {
                onto: onto.clone(),
                commit: onto.clone(),
                tree: onto_tree.clone(),
                onto_tree,
                steps: Vec::new(),
            },
            conflicts: Vec::new(),
            deferred: Vec::new(),
            failed: Vec::new(),
        };
        for link in links {
            let slug = link.slug.clone();
            match self.link(&built.chain, link, strategy, remake) {
                Ok(Linked::Clean(candidate)) => {
                    built.chain.commit = candidate.commit.clone();
                    built.chain.tree = candidate.tree.clone();
                    built.chain.steps.push(Step { slug, candidate });
                }
                Ok(Linked::Conflict(paths)) if built.chain.commit == *tip => {
                    built.conflicts.push((slug, paths));
                }
                Ok(Linked::Conflict(_)) => {
                    let branch = self.expect_tip(&branch_of(&slug))?;
                    match self.merge_generated(tip, &branch)? {
                        Generated::Conflict(paths) => built.conflicts.push((slug, paths)),
                        Generated::Clean(_) | Generated::Rebuild(_) => built.deferred.push(slug),
                    }
                }
                Err(error) => built.failed.push((slug, error.to_string())),
            }
        }
        fault::past(Point::CandidateBuilt);
        self.pin_chain(name, onto, &built.chain.commit)?;
        Ok(built)
    }

    /// Merges what has landed (`landed`) into the user's commits (`target`): the user's come first.
    ///
    /// # Errors
    /// The histories are unrelated, or git failed.
    pub fn reconcile(
        &self,
        name: &str,
        target: &Oid,
        landed: &Oid,
        message: &str,
        remake: &mut Remake<'_>,
    ) -> Result<Reconciled, GitError> {
        let tree = match self.merge_generated(target, landed)? {
            Generated::Clean(tree) => tree,
            Generated::Conflict(paths) => return Ok(Reconciled::Conflict(paths)),
            Generated::Rebuild(rebuild) => match made(remake, &rebuild)? {
                Some(tree) => tree,
                None => return Ok(Reconciled::Conflict(rebuild.paths)),
            },
        };
        let commit = self.commit(&tree, &[target.clone(), landed.clone()], message)?;
        self.pin_chain(name, target, &commit)?;
        Ok(Reconciled::Clean(Chain {
            onto: target.clone(),
            onto_tree: self.tree_of(target)?,
            commit,
            tree,
            steps: Vec::new(),
        }))
    }

    /// Pins a chain's end, or an agent's `git gc --prune=now` would take it from under the gate.
    fn pin_chain(&self, name: &str, onto: &Oid, commit: &Oid) -> Result<(), GitError> {
        if commit == onto {
            return Ok(());
        }
        self.pin_candidate(name, commit)
    }

    /// Sets `refs/harness/candidates/<name>`, which nobody but harness reads or writes, and which is made anew after
    /// a power cut: without a process of git's, which would be a fifth of what a landing costs.
    pub(super) fn pin_candidate(&self, name: &str, commit: &Oid) -> Result<(), GitError> {
        let pin = format!("refs/harness/candidates/{name}");
        let _moving = self.ledger().moving();
        self.unlock(&pin)?;
        let library = self.library()?;
        let oid = super::read::raw(commit)?;
        fault::at(Point::CandidatePin)
            .map_err(GitError::io("write", &self.git_dir().join(&pin)))?;
        let set = library.reference(&pin, oid, true, "harness: candidate");
        set.map_err(GitError::read(format!("set {pin}")))?;
        self.ledger().note_set(&pin, commit);
        fault::past(Point::CandidatePinned);
        Ok(())
    }

    fn link(
        &self,
        chain: &Chain,
        link: &Link,
        strategy: Strategy,
        remake: &mut Remake<'_>,
    ) -> Result<Linked, GitError> {
        let (onto, onto_tree) = (chain.commit.clone(), chain.tree.clone());
        self.mend(&branch_of(&link.slug))?;
        let branch_tip = self.expect_tip(&branch_of(&link.slug))?;
        let branch_tree = self.tree_of(&branch_tip)?;
        let candidate = |commit: Oid, tree: Oid| {
            Ok(Linked::Clean(Candidate {
                commit,
                tree,
                onto: onto.clone(),
                branch_tip: branch_tip.clone(),
                branch_tree: branch_tree.clone(),
            }))
        };
        if self.descends(&onto, &branch_tip)? {
            return candidate(onto.clone(), onto_tree);
        }
        let merged = self.merge_generated(&onto, &branch_tip)?;
        let tree = match &merged {
            Generated::Clean(tree) | Generated::Rebuild(Rebuild { tree, .. }) => tree.clone(),
            Generated::Conflict(paths) => return Ok(Linked::Conflict(paths.clone())),
        };
        self.assert_own_paths(&onto, &branch_tip, &onto_tree, &tree)?;
        let tree = match merged {
            Generated::Rebuild(rebuild) => match made(remake, &rebuild)? {
                Some(tree) => tree,
                None => return Ok(Linked::Conflict(rebuild.paths)),
            },
            _ => tree,
        };
        if tree == onto_tree {
            return candidate(onto.clone(), onto_tree);
        }
        let parents = match strategy {
            Strategy::Merge => vec![onto.clone(), branch_tip.clone()],
            Strategy::Squash => vec![onto.clone()],
        };
        let commit = self.commit(&tree, &parents, &link.message)?;
        candidate(commit, tree)
    }

    /// A merge must change nothing but what its branch changed: a wrong merge of this kind once reverted
    /// others' work in merge queues elsewhere.
    fn assert_own_paths(
        &self,
        onto: &Oid,
        branch_tip: &Oid,
        onto_tree: &Oid,
        tree: &Oid,
    ) -> Result<(), GitError> {
        let Some(base) = self.merge_base(onto, branch_tip)? else {
            return Ok(());
        };
        let base = self.tree_of(&base)?;
        let own = self.changed_between(&base, &self.tree_of(branch_tip)?)?;
        for path in self.changed_between(onto_tree, tree)? {
            if own.contains(&path) {
                continue;
            }
            // The target renamed what the branch changed: the change is there, under the new name.
            let place = to_path(&path);
            let followed =
                self.entry(&base, &place)?.is_none() && self.entry(tree, &place)?.is_some();
            if !followed {
                return Err(GitError::WrongMerge {
                    path: visible(&String::from_utf8_lossy(&path)),
                    branch: branch_tip.short().to_owned(),
                });
            }
        }
        Ok(())
    }

    /// Merges two commits in memory.
    pub(super) fn merge_trees(&self, ours: &Oid, theirs: &Oid) -> Result<Merged, GitError> {
        let merged = self.automatic(ours, theirs)?;
        if merged.is_clean {
            return Ok(Merged::Clean(merged.tree));
        }
        let paths = merged.unmerged.iter().map(|unmerged| &*unmerged.path);
        Ok(Merged::Conflict(shown(paths)))
    }

    /// What git alone makes of a merge, conflicts included.
    pub(super) fn automatic(&self, ours: &Oid, theirs: &Oid) -> Result<Automatic, GitError> {
        let merged = self
            .merge_call(ours)
            .arg("--no-messages")
            .arg(ours.as_str())
            .arg(theirs.as_str())
            .run()?;
        let mut fields = merged.fields();
        let tree = fields.next().map(String::from_utf8_lossy);
        match (merged.code, tree.and_then(|text| Oid::parse(&text))) {
            (code @ (0 | 1), Some(tree)) => Ok(Automatic {
                tree,
                is_clean: code == 0,
                unmerged: unmerged(fields),
            }),
            _ => Err(merged.failed()),
        }
    }

    /// `git merge-tree` onto `ours` with all that is pinned; what is to be merged is still to be said.
    /// Attributes are those of `ours`, where git can be told.
    pub(super) fn merge_call(&self, ours: &Oid) -> Call<'_> {
        let mut options = pinned();
        if self.git_is_at_least((2, 41)) {
            options.push(format!("--attr-source={ours}"));
        }
        self.git()
            .call(["merge-tree", "--write-tree", "-z"])
            .options(options)
    }

    /// Runs a merge that prints names only and no messages.
    pub(super) fn merged(call: Call<'_>) -> Result<Merged, GitError> {
        let merged = call.run()?;
        let mut fields = merged.fields();
        let tree = fields.next().map(String::from_utf8_lossy);
        match (merged.code, tree.and_then(|text| Oid::parse(&text))) {
            (0, Some(tree)) => Ok(Merged::Clean(tree)),
            (1, Some(_)) => Ok(Merged::Conflict(shown(fields))),
            _ => Err(merged.failed()),
        }
    }

    /// Whether `tip` holds all the commit brings: it is in its history, or merging it would change nothing.
    /// A commit that is not in the repository is held by nothing.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub fn holds(&self, tip: &Oid, commit: &Oid) -> Result<bool, GitError> {
        Ok(self.is_commit(commit)? && self.is_absorbed(tip, commit)?)
    }

    /// Whether the target holds all the commit brings: it is in its history, or merging it would change
    /// nothing (it was squashed).
    pub(super) fn is_absorbed(&self, target_tip: &Oid, commit: &Oid) -> Result<bool, GitError> {
        if self.descends(target_tip, commit)? {
            return Ok(true);
        }
        if self.merge_base(target_tip, commit)?.is_none() {
            return Ok(false);
        }
        match self.merge_generated(target_tip, commit)? {
            // Generated files are those of the target: they bring nothing of their own.
            Generated::Clean(tree) | Generated::Rebuild(Rebuild { tree, .. }) => {
                Ok(tree == self.tree_of(target_tip)?)
            }
            Generated::Conflict(_) => Ok(false),
        }
    }

    /// Where a ref stands that must exist.
    pub(super) fn expect_tip(&self, refname: &str) -> Result<Oid, GitError> {
        self.tip(refname)?.ok_or_else(|| GitError::NoSuchBranch {
            name: super::repo::short(refname).to_owned(),
            hint: None,
        })
    }
}
