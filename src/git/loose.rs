//! All branches, tags and refs of harness's own with where they stand, read from their files.
//!
//! git2 opens every file each time, which takes 15 ms for a thousand refs; here a file that has not changed is only
//! looked at. This file never writes, and never follows a link: what it names lies in the git directory.

use super::error::GitError;
use super::stamp::{Stamp, is_same};
use crate::model::Oid;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

/// Where those that matter are.
const ROOTS: [&str; 3] = ["refs/heads", "refs/tags", "refs/harness"];
const PACKED: &str = "packed-refs";
/// What a file of a ref holds at most.
const LONGEST: u64 = 4096;

/// What a ref holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// An object's id.
    At(Oid),
    /// Anything else: another ref's name, a link, nothing that git could read.
    Other,
}

/// Refs in files of their own, and the stamps of the files when they were read.
type Loose = BTreeMap<String, (Stamp, Value)>;

/// All refs at one moment. Packed ones are shared by all moments between which nobody packed any.
#[derive(Clone, Debug, Default)]
pub(super) struct Refs {
    loose: Arc<Loose>,
    packed: Arc<Packed>,
}

impl Refs {
    /// What one of them holds.
    pub(super) fn get(&self, name: &str) -> Option<Value> {
        let packed = || self.packed.get(name).map(Value::At);
        let loose = self.loose.get(name);
        loose.map(|(_, value)| value.clone()).or_else(packed)
    }

    /// Names of all of them.
    pub(super) fn names(&self) -> BTreeSet<&str> {
        self.loose().chain(self.packed.names()).collect()
    }

    /// Names of those in files of their own, sorted.
    pub(super) fn loose(&self) -> impl Iterator<Item = &str> {
        self.loose.keys().map(String::as_str)
    }

    /// Names of those that hold other values than at a moment before. So many as are packed are compared only if
    /// somebody packed any in between.
    pub(super) fn changed<'a>(&'a self, before: &'a Self) -> BTreeSet<&'a str> {
        let mut names: BTreeSet<&str> = self.loose().chain(before.loose()).collect();
        if !Arc::ptr_eq(&self.packed, &before.packed) {
            names.extend(self.packed.differing(&before.packed));
            names.extend(before.packed.differing(&self.packed));
        }
        names.retain(|name| self.get(name) != before.get(name));
        names
    }
}

/// The packed refs that matter, as git's file has them: a night leaves tens of thousands.
#[derive(Debug, Default)]
struct Packed {
    text: String,
    /// Where the lines of `text` begin, by the names in them.
    lines: Vec<u32>,
}

impl Packed {
    fn of(file: &[u8]) -> Self {
        let mut packed = Self::default();
        for line in file.split(|byte| *byte == b'\n') {
            let line = std::str::from_utf8(line).unwrap_or_default();
            let Some((oid, name)) = line.split_once(' ') else {
                continue;
            };
            let matters = ROOTS.iter().any(|root| {
                let below = name.strip_prefix(root);
                below.is_some_and(|below| below.starts_with('/'))
            });
            // git itself cannot read a file of four gigabytes sensibly; what lies behind is left out.
            let at = u32::try_from(packed.text.len());
            if let (true, Some(_), Ok(at)) = (matters, Oid::parse(oid), at) {
                packed.lines.push(at);
                packed.text.push_str(line);
                packed.text.push('\n');
            }
        }
        let Self { text, lines } = &mut packed;
        lines.sort_by_key(|at| split(text, *at).1);
        text.shrink_to_fit();
        lines.shrink_to_fit();
        packed
    }

    fn get(&self, name: &str) -> Option<Oid> {
        let found = self
            .lines
            .binary_search_by_key(&name, |at| split(&self.text, *at).1);
        Oid::parse(split(&self.text, self.lines[found.ok()?]).0)
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(|at| split(&self.text, *at).1)
    }

    /// Names under which this holds what another does not.
    fn differing<'a>(&'a self, other: &Self) -> impl Iterator<Item = &'a str> {
        self.names()
            .filter(|name| self.get(name) != other.get(name))
    }
}

/// The id and the name in the line that begins there.
fn split(text: &str, at: u32) -> (&str, &str) {
    let rest = usize::try_from(at).ok().and_then(|at| text.get(at..));
    let line = rest.unwrap_or_default().split('\n').next();
    line.unwrap_or_default().split_once(' ').unwrap_or_default()
}

/// Reads refs, and remembers what it has read.
#[derive(Debug, Default)]
pub(super) struct Reader {
    loose: Arc<Loose>,
    packed_at: Option<Stamp>,
    packed: Arc<Packed>,
}

impl Reader {
    /// All of them.
    pub(super) fn read(&mut self, git_dir: &Path) -> Result<Refs, GitError> {
        let mut found = BTreeMap::new();
        for root in ROOTS {
            let path = git_dir.join(root);
            if fs::symlink_metadata(&path).is_ok_and(|meta| !meta.is_dir()) {
                let why = "it is no directory, so that nobody can tell what refs there are";
                return Err(GitError::InTheWay {
                    path,
                    why: why.to_owned(),
                });
            }
            self.walk(git_dir, root, &mut found)?;
        }
        self.loose = Arc::new(found);
        self.read_packed(git_dir)?;
        Ok(Refs {
            loose: Arc::clone(&self.loose),
            packed: Arc::clone(&self.packed),
        })
    }

    /// One of them.
    pub(super) fn read_one(
        &mut self,
        git_dir: &Path,
        name: &str,
    ) -> Result<Option<Value>, GitError> {
        let path = git_dir.join(name);
        match fs::symlink_metadata(&path) {
            Ok(meta) if meta.is_dir() => {}
            Ok(meta) => return Ok(Some(value(&path, &meta))),
            Err(error) if is_absence(&error) => {}
            Err(error) => return Err(GitError::io("read", &path)(error)),
        }
        self.read_packed(git_dir)?;
        Ok(self.packed.get(name).map(Value::At))
    }

    fn walk(&self, git_dir: &Path, dir: &str, found: &mut Loose) -> Result<(), GitError> {
        let path = git_dir.join(dir);
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if is_absence(&error) => return Ok(()),
            Err(error) => return Err(GitError::io("list", &path)(error)),
        };
        for entry in entries {
            let entry = entry.map_err(GitError::io("list", &path))?;
            let name = entry.file_name();
            let Some(name) = name.to_str().filter(|name| !name.ends_with(".lock")) else {
                continue;
            };
            let name = format!("{dir}/{name}");
            // Of the entry itself. One that is gone meanwhile is no ref any more.
            let Ok(meta) = entry.metadata() else {
                continue;
            };
            if meta.is_dir() {
                self.walk(git_dir, &name, found)?;
                continue;
            }
            let stamp = Stamp::of(&meta);
            let known = self.loose.get(&name);
            let known = known.filter(|(before, _)| before.still_holds(&stamp));
            let value = match known {
                Some((_, value)) => value.clone(),
                None => value(&entry.path(), &meta),
            };
            found.insert(name, (stamp, value));
        }
        Ok(())
    }

    fn read_packed(&mut self, git_dir: &Path) -> Result<(), GitError> {
        let path = git_dir.join(PACKED);
        let stamp = Stamp::at(&path);
        if is_same(self.packed_at.as_ref(), stamp.as_ref()) {
            return Ok(());
        }
        // Whatever else stands there, a pipe say, would be waited for.
        let is_file = fs::metadata(&path).map(|meta| meta.is_file());
        let text = match is_file.and_then(|is_file| is_file.then(|| fs::read(&path)).transpose()) {
            Ok(text) => text.unwrap_or_default(),
            Err(error) if is_absence(&error) => Vec::new(),
            Err(error) => return Err(GitError::io("read", &path)(error)),
        };
        self.packed = Arc::new(Packed::of(&text));
        self.packed_at = stamp;
        Ok(())
    }
}

fn value(path: &Path, meta: &fs::Metadata) -> Value {
    if !meta.is_file() || meta.len() > LONGEST {
        return Value::Other;
    }
    let text = fs::read_to_string(path).unwrap_or_default();
    Oid::parse(&text).map_or(Value::Other, Value::At)
}

fn is_absence(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}
