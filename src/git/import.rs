//! Objects out of a store that an agent has written: what its commits reach is copied into the repository, and
//! checked on the way as if it came over a network.
//!
//! git runs in the repository, with the other store as one to look into; nothing of the agent's but objects is
//! read, and of those every one is named anew by its content. This file moves no ref.

use super::cli::{Call, Git};
use super::error::GitError;
use super::read::raw;
use super::repo::{Repo, to_path};
use super::tree::remove_any;
use crate::fault::{self, Point};
use crate::model::Oid;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;

/// How long any step may take.
const LIMIT: Duration = Duration::from_secs(300);
/// From here on objects are kept in a pack of their own, as git does it with what it receives.
const PACK_FROM: u32 = 100;
/// How deep an object store goes.
const DEPTH: u32 = 2;
/// What could tell lies about objects: it is the agent's, and is not asked.
const OFF: [&str; 8] = [
    "-c",
    "core.commitGraph=false",
    "-c",
    "core.multiPackIndex=false",
    "-c",
    "pack.useBitmaps=false",
    "-c",
    "core.useReplaceRefs=false",
];

/// What is to be copied.
pub(super) struct Wanted<'a> {
    /// The agent's store.
    pub(super) store: &'a Path,
    /// Commits, or tags of commits; those that are nowhere are left out.
    pub(super) tips: &'a BTreeSet<Oid>,
    /// git on the agent's index, of which the files that differ from `base` are wanted, too.
    pub(super) index: Option<&'a Git>,
    /// A commit of the repository that the work began from.
    pub(super) base: &'a Oid,
}

/// What was copied.
#[derive(Debug, Default)]
pub(super) struct Imported {
    /// The commits that the tips stand for, all of them in the repository now.
    pub(super) commits: BTreeMap<Oid, Oid>,
    /// Whether everything that the index names is.
    pub(super) index_is_whole: bool,
}

impl Repo {
    /// Copies what is wanted and not there yet.
    ///
    /// # Errors
    /// git failed, was too slow, or found an object that is not sound.
    pub(super) fn import(&self, wanted: &Wanted<'_>) -> Result<Imported, GitError> {
        let staged = match wanted.index {
            Some(git) => staged(git, wanted)?,
            None => None,
        };
        let mut commits = BTreeMap::new();
        let mut lacking: Vec<(&Oid, &str)> = Vec::new();
        for tip in wanted.tips {
            match self.commit_at(tip)? {
                Some(commit) => drop(commits.insert(tip.clone(), commit)),
                None => lacking.push((tip, "commit")),
            }
        }
        for blob in staged.iter().flatten() {
            if !self.has(blob)? {
                lacking.push((blob, "blob"));
            }
        }
        let found = self.look_up(&lacking, wanted.store)?;
        if !found.is_empty() {
            self.copy_objects(found.values(), wanted)?;
        }
        let mut index_is_whole = staged.is_some();
        for (oid, kind) in lacking {
            let object = found.get(oid);
            let is_here = object.is_some_and(|object| self.has(object).unwrap_or(false));
            match object.filter(|_| is_here && kind == "commit") {
                Some(commit) => drop(commits.insert(oid.clone(), commit.clone())),
                None => index_is_whole &= is_here || kind == "commit",
            }
        }
        Ok(Imported {
            commits,
            index_is_whole,
        })
    }

    /// The commit that a tag stands for, or a commit itself, if it is there.
    pub(super) fn commit_at(&self, oid: &Oid) -> Result<Option<Oid>, GitError> {
        let library = self.library()?;
        let object = library.find_object(raw(oid)?, None);
        let commit = object.and_then(|object| object.peel_to_commit());
        commit
            .ok()
            .map(|c| super::read::wrapped(c.id()))
            .transpose()
    }

    fn has(&self, oid: &Oid) -> Result<bool, GitError> {
        let library = self.library()?;
        let store = library.odb();
        let store = store.map_err(GitError::read("open the object store".to_owned()))?;
        Ok(store.exists(raw(oid)?))
    }

    /// What is found under these names, in the repository or in the other store, of the kind that is asked for.
    fn look_up(
        &self,
        asked: &[(&Oid, &str)],
        store: &Path,
    ) -> Result<BTreeMap<Oid, Oid>, GitError> {
        if asked.is_empty() {
            return Ok(BTreeMap::new());
        }
        let mut names = String::new();
        for (oid, kind) in asked {
            names.push_str(&format!("{oid}^{{{kind}}}\n"));
        }
        let call = self.git().call(["cat-file", "--batch-check=%(objectname)"]);
        let answers = looking_into(call, store).stdin(names).ok()?.text();
        let answers = answers.lines().map(Oid::parse);
        let pairs = asked.iter().zip(answers);
        let found = pairs.filter_map(|((oid, _), found)| Some(((*oid).clone(), found?)));
        Ok(found.collect())
    }

    /// Copies objects with all that they reach and the repository's branches do not.
    fn copy_objects<'a>(
        &self,
        lacking: impl Iterator<Item = &'a Oid>,
        wanted: &Wanted<'_>,
    ) -> Result<(), GitError> {
        let mut revisions = String::new();
        for oid in lacking {
            revisions.push_str(&format!("{oid}\n"));
        }
        let mut known = vec![wanted.base.clone()];
        for kind in [
            "refs/heads/",
            "refs/harness/integration/",
            "refs/harness/onto/",
        ] {
            known.extend(self.refs(kind)?.into_iter().map(|(_, oid)| oid));
        }
        known.sort();
        known.dedup();
        for oid in known {
            revisions.push_str(&format!("^{oid}\n"));
        }
        // No search for what resembles what: they are few, and are written out again at once.
        let call = self
            .git()
            .call(["pack-objects", "--revs", "--stdout", "-q"]);
        let call = call.args(["--window=0", "--threads=1"]);
        let packed = looking_into(call, wanted.store).stdin(revisions).ok()?;
        // The fourth word of a pack: how many objects are in it.
        let count = packed
            .stdout
            .get(8..12)
            .and_then(|word| word.try_into().ok());
        let count = count.map_or(0, u32::from_be_bytes);
        let keep: &[&str] = match count {
            0 => return Ok(()),
            1..PACK_FROM => &["unpack-objects", "-q", "--strict"],
            _ => &["index-pack", "--stdin", "--strict"],
        };
        fault::past(Point::HomeUnpack);
        let call = self.git().call(keep).stdin(packed.stdout);
        call.limit(LIMIT).ok().map(drop)
    }
}

/// A command that finds objects of another store as well.
fn looking_into<'a>(call: Call<'a>, store: &Path) -> Call<'a> {
    // In quotes: a colon would end the path.
    let mut quoted = vec![b'"'];
    for byte in store.as_os_str().as_bytes() {
        match byte {
            b'\n' => quoted.extend_from_slice(b"\\n"),
            b'"' | b'\\' => quoted.extend_from_slice(&[b'\\', *byte]),
            byte => quoted.push(*byte),
        }
    }
    quoted.push(b'"');
    let stores: OsString = to_path(&quoted).into();
    let env = [("GIT_ALTERNATE_OBJECT_DIRECTORIES".into(), stores)];
    call.env(&env).options(OFF).limit(LIMIT)
}

/// The content of files that differs between the base and an index; `None` when that cannot be read.
fn staged(git: &Git, wanted: &Wanted<'_>) -> Result<Option<BTreeSet<Oid>>, GitError> {
    let call = git.call(["diff-index", "--cached", "--raw", "-z", "--no-abbrev"]);
    let call = call.args(["--no-renames", "--ignore-submodules=all"]);
    let listed = looking_into(call.arg(wanted.base.as_str()), wanted.store).run()?;
    if listed.code != 0 {
        return Ok(None);
    }
    // `:<mode> <mode> <oid> <oid> <status>`, then the path.
    let lines = listed.fields().step_by(2).map(String::from_utf8_lossy);
    let blobs = lines.filter_map(|line| {
        let words: Vec<&str> = line.split(' ').collect();
        let [_, mode, _, oid, _] = words[..] else {
            return None;
        };
        let is_file = matches!(mode, "100644" | "100755" | "120000");
        Oid::parse(oid).filter(|_| is_file)
    });
    Ok(Some(blobs.collect()))
}

/// Takes out of an object store what is no plain file or directory, or leads elsewhere: a link would show objects that
/// are not the agent's, a pipe would be waited for. Gives how much that was.
pub(super) fn purge(store: &Path) -> Result<usize, GitError> {
    let alternates = store.join("info/alternates");
    let mut taken = 0;
    purge_dir(store, 0, &mut taken)?;
    remove_any(&alternates)?;
    Ok(taken)
}

fn purge_dir(dir: &Path, depth: u32, taken: &mut usize) -> Result<(), GitError> {
    let fail = || GitError::io("list", dir);
    for entry in fs::read_dir(dir).map_err(fail())? {
        let entry = entry.map_err(fail())?;
        let kind = entry.file_type().map_err(fail())?;
        let path = entry.path();
        match kind.is_dir() {
            true if depth < DEPTH => purge_dir(&path, depth + 1, taken)?,
            false if kind.is_file() => {}
            _ => {
                *taken += 1;
                remove_any(&path)?;
            }
        }
    }
    Ok(())
}
