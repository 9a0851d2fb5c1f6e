//! The conflict radar: which branches would conflict with which, before any of them lands.
//!
//! Everything happens in memory and in an object directory that is thrown away: this file writes nothing
//! into the repository. It never knows which branch should go first.

use super::cli::Output;
use super::error::GitError;
use super::merge::Merged;
use super::repo::Repo;
use crate::fault::{self, Point};
use crate::model::Oid;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

/// Oldest git that takes many merges on its standard input.
const BATCHES: (u32, u32) = (2, 39);

/// Two branches that would conflict with each other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Clash {
    /// The one whose name sorts first.
    pub a: String,
    /// The other.
    pub b: String,
    /// Conflicted paths, sorted. Empty when git names none, as for a directory that one side split in two.
    pub paths: Vec<String>,
}

/// Two branches, by their places in the list, that are to be merged or compared.
struct Pair {
    a: usize,
    b: usize,
    bases: Vec<Oid>,
}

/// What one side did since a base.
#[derive(Default)]
struct Shape {
    /// Every path it added, changed or deleted.
    paths: BTreeSet<Vec<u8>>,
    /// Those it added.
    added: BTreeSet<Vec<u8>>,
    /// Directories that may have been renamed: nothing is left of them.
    gone: BTreeSet<Vec<u8>>,
}

impl Repo {
    /// Which of these branches (name and tip) would conflict with each other: all pairs, sorted, whatever
    /// the order of `tips`. Pairs with unrelated histories are left out. Nothing is written into the
    /// repository.
    ///
    /// # Errors
    /// One of the tips is not there, or git failed.
    pub fn clashes(&self, tips: &[(String, Oid)]) -> Result<Vec<Clash>, GitError> {
        let mut tips = tips.to_vec();
        tips.sort();
        tips.dedup();
        let all = self.pairs(&tips)?;
        let shapes = self.shapes(&tips, &all)?;
        let may_clash = |pair: &&Pair| {
            let [base] = pair.bases.as_slice() else {
                // Several bases are merged first; only git knows what comes of that.
                return true;
            };
            let side = |n: usize| shapes.get(&(base, &tips[n].1));
            side(pair.a)
                .zip(side(pair.b))
                .is_none_or(|(a, b)| a.may_clash(b))
        };
        let pairs: Vec<&Pair> = all.iter().filter(may_clash).collect();
        if pairs.is_empty() {
            return Ok(Vec::new());
        }
        let scratch = fault::at(Point::ScratchCreate).and_then(|()| tempfile::tempdir());
        let scratch = scratch.map_err(GitError::io("use", &std::env::temp_dir()))?;
        let env = objects_in(scratch.path(), self.git_dir());
        // One process a row, not a few for all: the attributes of a merge are those of its first side.
        let rows: Vec<&[&Pair]> = pairs.chunk_by(|one, next| one.a == next.a).collect();
        let found: Result<Vec<Vec<Clash>>, GitError> = rows
            .into_par_iter()
            .map(|row| self.row(&tips, row, &env))
            .collect();
        Ok(found?.concat())
    }

    /// All pairs that have a common history and are not one and the same line of commits.
    fn pairs(&self, tips: &[(String, Oid)]) -> Result<Vec<Pair>, GitError> {
        let row = |(a, (_, tip)): (usize, &(String, Oid))| {
            let others: Vec<&Oid> = tips[a + 1..].iter().map(|(_, tip)| tip).collect();
            let bases = self.merge_bases(tip, &others)?.into_iter().enumerate();
            let row = bases.map(|(n, bases)| Pair {
                a,
                b: a + 1 + n,
                bases,
            });
            let apart = |pair: &Pair| {
                let ends = [&tips[pair.a].1, &tips[pair.b].1];
                !pair.bases.is_empty() && !pair.bases.iter().any(|base| ends.contains(&base))
            };
            Ok(row.filter(apart).collect::<Vec<Pair>>())
        };
        let rows: Result<Vec<Vec<Pair>>, GitError> = tips.par_iter().enumerate().map(row).collect();
        Ok(rows?.into_iter().flatten().collect())
    }

    /// What each side of the pairs did since their base, each computed once.
    fn shapes<'a>(
        &self,
        tips: &'a [(String, Oid)],
        pairs: &'a [Pair],
    ) -> Result<BTreeMap<(&'a Oid, &'a Oid), Shape>, GitError> {
        let mut wanted = BTreeSet::new();
        for pair in pairs {
            if let [base] = pair.bases.as_slice() {
                wanted.extend([(base, &tips[pair.a].1), (base, &tips[pair.b].1)]);
            }
        }
        wanted
            .into_par_iter()
            .map(|(base, tip)| Ok(((base, tip), self.shape(base, tip)?)))
            .collect()
    }

    fn shape(&self, base: &Oid, tip: &Oid) -> Result<Shape, GitError> {
        let mut shape = Shape::default();
        let mut emptier = BTreeSet::new();
        let tree = self.tree_of(tip)?;
        self.diff(&self.tree_of(base)?, &tree, |found| {
            let path = found.path.to_vec();
            if found.is_deleted() {
                emptier.extend(dirs(&path).map(<[u8]>::to_vec));
            }
            if found.is_added() {
                shape.added.insert(path.clone());
            }
            shape.paths.insert(path);
        })?;
        // To git a directory is renamed when none of it is left and its files are elsewhere.
        if !shape.added.is_empty() {
            shape.gone = self.absent(&tree, emptier)?;
        }
        Ok(shape)
    }

    /// Merges all pairs of one row, which share their first side.
    fn row(
        &self,
        tips: &[(String, Oid)],
        row: &[&Pair],
        env: &[(OsString, OsString)],
    ) -> Result<Vec<Clash>, GitError> {
        let Some(first) = row.first() else {
            return Ok(Vec::new());
        };
        let ours = &tips[first.a].1;
        let call = || {
            // What is thrown away needs no sync.
            let call = self.merge_call(ours).options(["-c", "core.fsync=none"]);
            call.args(["--name-only", "--no-messages"]).env(env)
        };
        let found = if self.git_is_at_least(BATCHES) {
            let lines = row
                .iter()
                .map(|pair| format!("{ours} {}\n", tips[pair.b].1));
            let output = call()
                .arg("--stdin")
                .stdin(lines.collect::<String>())
                .ok()?;
            parse(&output, row.len())?
        } else {
            let one = |pair: &&Pair| {
                let call = call().arg(ours.as_str()).arg(tips[pair.b].1.as_str());
                Ok(match Self::merged(call)? {
                    Merged::Clean(_) => None,
                    Merged::Conflict(paths) => Some(paths),
                })
            };
            row.iter().map(one).collect::<Result<_, GitError>>()?
        };
        let clashes = row.iter().zip(found).filter_map(|(pair, paths)| {
            Some(Clash {
                a: tips[pair.a].0.clone(),
                b: tips[pair.b].0.clone(),
                paths: paths?,
            })
        });
        Ok(clashes.collect())
    }
}

impl Shape {
    /// Whether a merge with the other side has to be tried. `false` only where no rule of git's could
    /// make it conflict.
    fn may_clash(&self, other: &Self) -> bool {
        self.touches(other)
            || other.touches(self)
            || self.may_take_along(other)
            || other.may_take_along(self)
    }

    /// Whether one of the other's paths, or a directory it lies in, is one of ours.
    fn touches(&self, other: &Self) -> bool {
        let ours = |path: &[u8]| self.paths.contains(path);
        let mut paths = other.paths.iter();
        paths.any(|path| ours(path) || dirs(path).any(ours))
    }

    /// Whether the other added a file where we may have renamed the directory.
    fn may_take_along(&self, other: &Self) -> bool {
        let mut added = other.added.iter();
        !self.gone.is_empty() && added.any(|path| dirs(path).any(|dir| self.gone.contains(dir)))
    }
}

/// The directories a path lies in, but for the root, which always stays where it is.
fn dirs(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
    ends.map(|(end, _)| &path[..end])
}

/// What `merge-tree --stdin` answered: conflicted paths for each pair that conflicts.
fn parse(output: &Output, pairs: usize) -> Result<Vec<Option<Vec<String>>>, GitError> {
    answers(&output.stdout, pairs).ok_or_else(|| output.failed())
}

/// `None` when it is no such answer.
pub(super) fn answers(stdout: &[u8], pairs: usize) -> Option<Vec<Option<Vec<String>>>> {
    let mut fields = stdout.split(|byte| *byte == 0);
    let mut found = Vec::with_capacity(pairs);
    for _ in 0..pairs {
        // 1 or 0, the tree, conflicted paths, and an empty field as the end.
        let clean = match fields.next() {
            Some(b"1") => true,
            Some(b"0") => false,
            _ => return None,
        };
        if fields.next().is_none_or(<[u8]>::is_empty) {
            return None;
        }
        let paths = fields.by_ref().take_while(|field| !field.is_empty());
        let mut paths: Vec<String> = paths
            .map(|path| String::from_utf8_lossy(path).into_owned())
            .collect();
        paths.sort();
        paths.dedup();
        found.push((!clean).then_some(paths));
    }
    Some(found)
}

/// The environment in which git writes objects to `scratch` and reads the repository's too.
fn objects_in(scratch: &Path, git_dir: &Path) -> Vec<(OsString, OsString)> {
    // The variable is a list separated by colons, unless an entry is quoted.
    let mut quoted = vec![b'"'];
    for byte in git_dir.join("objects").as_os_str().as_bytes() {
        if matches!(byte, b'"' | b'\\') {
            quoted.push(b'\\');
        }
        quoted.push(*byte);
    }
    quoted.push(b'"');
    let variable = |name: &str, value: &OsStr| (OsString::from(name), value.to_owned());
    vec![
        variable("GIT_OBJECT_DIRECTORY", scratch.as_os_str()),
        variable(
            "GIT_ALTERNATE_OBJECT_DIRECTORIES",
            &OsString::from_vec(quoted),
        ),
    ]
}
