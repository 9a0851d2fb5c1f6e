//! A git directory that is lent to an agent: where it is, for which work, and what stands in it afterwards.
//!
//! What an agent left there is read as data, as regular files of limited size and never through a link: git is
//! never started in it, and nothing here changes anything but the record of the loan.

use super::error::{GitError, visible};
use super::tree::replace;
use crate::model::{Isolation, Oid, Slug};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// In a worktree's administrative directory: the git directory that is lent.
const LENT: &str = "harness-git";
/// Beside it, out of the agent's reach: for which work it was lent last, and whether it still is.
const RECORD: &str = "harness-lent";
/// Beside it: its refs as they were lent, in the format of git's `packed-refs`.
const REFS: &str = "harness-lent-refs";

/// Largest file with all refs, and largest file with one, that are read.
const REFS_CAP: u64 = 64 << 20;
const REF_CAP: u64 = 1024;
/// Most refs that an agent can have made, deepest directory they are looked for in, most of a stash's entries.
const LOOSE_CAP: usize = 10_000;
const DEPTH_CAP: usize = 20;
const STASH_CAP: u64 = 1 << 20;

/// For which work a git directory was lent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Loan {
    pub(super) slug: Slug,
    /// Where the feature's branch stood.
    pub(super) tip: Oid,
    pub(super) isolation: Isolation,
    /// Whether what is in it has not been taken home yet.
    pub(super) is_out: bool,
}

/// What an agent left of refs.
#[derive(Debug, Default)]
pub(super) struct Left {
    pub(super) head: LeftHead,
    /// All branches, tags and whatever else has a value.
    pub(super) refs: BTreeMap<String, Oid>,
    /// Those of them that are not as they were lent.
    pub(super) changed: Vec<String>,
    /// What was stashed, newest first.
    pub(super) stashes: Vec<Oid>,
    /// Refs that hold no object's name.
    pub(super) broken: Vec<String>,
    /// How many have a file each.
    loose: usize,
}

/// Where its HEAD points.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum LeftHead {
    Branch(String),
    Commit(Oid),
    #[default]
    Broken,
}

/// The git directory that is lent to whoever works in the worktree of an administrative directory.
pub(super) fn lent_dir(admin: &Path) -> PathBuf {
    admin.join(LENT)
}

/// The repository's git directory, when `git_dir` is one that it has lent.
pub(super) fn lender(git_dir: &Path) -> Option<PathBuf> {
    let admin = git_dir.parent().filter(|_| git_dir.ends_with(LENT))?;
    let all = admin.parent().filter(|all| all.ends_with("worktrees"))?;
    all.parent().map(Path::to_owned)
}

impl Loan {
    /// The last loan of a worktree; `None` when there was none.
    pub(super) fn read(admin: &Path) -> Option<Self> {
        let text = plain_file(&admin.join(RECORD), REF_CAP)?;
        let text = String::from_utf8(text).ok()?;
        let mut words = text.split_whitespace();
        let is_out = words.next()? == "out";
        let isolation = match words.next()? {
            "clone" => Isolation::Clone,
            _ => Isolation::Worktree,
        };
        Some(Self {
            is_out,
            isolation,
            slug: Slug::new(words.next()?).ok()?,
            tip: Oid::parse(words.next()?)?,
        })
    }

    /// Puts it on record.
    pub(super) fn write(&self, admin: &Path) -> Result<(), GitError> {
        let state = if self.is_out { "out" } else { "home" };
        let isolation = match self.isolation {
            Isolation::Worktree => "worktree",
            Isolation::Clone => "clone",
        };
        let text = format!("{state} {isolation} {} {}\n", self.slug, self.tip);
        replace(&admin.join(RECORD), text.as_bytes())
    }
}

/// Puts on record which refs are lent; gives the file.
pub(super) fn write_refs(admin: &Path, packed: &[u8]) -> Result<(), GitError> {
    replace(&admin.join(REFS), packed)
}

/// The refs that were lent.
pub(super) fn lent_refs(admin: &Path) -> BTreeMap<String, Oid> {
    let packed = plain_file(&admin.join(REFS), REFS_CAP).unwrap_or_default();
    parse_packed(&packed)
}

impl Left {
    /// What stands in the git directory that was lent.
    pub(super) fn read(admin: &Path) -> Self {
        let dir = lent_dir(admin);
        let mut left = Self::default();
        let packed = plain_file(&dir.join("packed-refs"), REFS_CAP).unwrap_or_default();
        left.refs = parse_packed(&packed);
        for kind in ["refs/heads", "refs/tags"] {
            if is_real_dir(&dir.join("refs")) {
                left.read_loose(&dir, kind, 0);
            }
        }
        let lent = lent_refs(admin);
        let differs = left.refs.iter().filter(|(name, oid)| {
            let is_work = name.starts_with("refs/heads/") || name.starts_with("refs/tags/");
            is_work && lent.get(*name) != Some(*oid)
        });
        left.changed = differs.map(|(name, _)| name.clone()).collect();
        left.stashes = stashes(&dir);
        left.head = head(&dir);
        left
    }

    /// Reads the refs below a directory that have a file each.
    fn read_loose(&mut self, dir: &Path, name: &str, depth: usize) {
        let path = dir.join(name);
        if !is_real_dir(&path) || depth > DEPTH_CAP {
            return;
        }
        for entry in fs::read_dir(&path).into_iter().flatten().flatten() {
            let Some(last) = entry.file_name().to_str().map(str::to_owned) else {
                continue;
            };
            let name = format!("{name}/{last}");
            if last.ends_with(".lock") || self.loose > LOOSE_CAP {
                continue;
            }
            self.loose += 1;
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                self.read_loose(dir, &name, depth + 1);
                continue;
            }
            let text = plain_file(&entry.path(), REF_CAP);
            let text = text.and_then(|text| String::from_utf8(text).ok());
            let oid = text.as_deref().and_then(Oid::parse);
            let oid = oid.filter(|_| git2::Reference::is_valid_name(&name));
            match oid {
                Some(oid) => drop(self.refs.insert(name, oid)),
                None => {
                    // What git itself would not go back to either.
                    self.refs.remove(&name);
                    self.broken.push(name);
                }
            }
        }
    }
}

fn head(dir: &Path) -> LeftHead {
    let text = plain_file(&dir.join("HEAD"), REF_CAP).unwrap_or_default();
    let text = String::from_utf8(text).unwrap_or_default();
    match (text.trim_end().strip_prefix("ref: "), Oid::parse(&text)) {
        (Some(name), _) if name.starts_with("refs/") && git2::Reference::is_valid_name(name) => {
            LeftHead::Branch(name.to_owned())
        }
        (_, Some(oid)) => LeftHead::Commit(oid),
        _ => LeftHead::Broken,
    }
}

/// What the stash holds: its entries are lines of the ref's log.
fn stashes(dir: &Path) -> Vec<Oid> {
    let top = plain_below(dir, "refs/stash", REF_CAP);
    let top = top.and_then(|text| Oid::parse(&String::from_utf8_lossy(&text)));
    let Some(top) = top else {
        return Vec::new();
    };
    let log = plain_below(dir, "logs/refs/stash", STASH_CAP).unwrap_or_default();
    let log = String::from_utf8_lossy(&log);
    let entries = log
        .lines()
        .filter_map(|line| Oid::parse(line.split(' ').nth(1)?));
    let mut found: Vec<Oid> = entries.collect();
    found.push(top);
    found.reverse();
    found.dedup();
    found
}

/// Refs in the format of git's `packed-refs`.
pub(super) fn parse_packed(text: &[u8]) -> BTreeMap<String, Oid> {
    let text = String::from_utf8_lossy(text);
    let refs = text.lines().filter_map(|line| {
        let (oid, name) = line.split_once(' ')?;
        let oid = Oid::parse(oid)?;
        git2::Reference::is_valid_name(name).then(|| (name.to_owned(), oid))
    });
    refs.collect()
}

/// Whether this is a directory and no link to one.
pub(super) fn is_real_dir(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir())
}

/// The content of a regular file that is no larger than `cap`.
pub(super) fn plain_file(path: &Path, cap: u64) -> Option<Vec<u8>> {
    let meta = fs::symlink_metadata(path).ok()?;
    if !meta.is_file() || meta.len() > cap {
        return None;
    }
    fs::read(path).ok()
}

/// The same of a file below a directory, when no directory on the way is a link.
pub(super) fn plain_below(dir: &Path, name: &str, cap: u64) -> Option<Vec<u8>> {
    let path = dir.join(name);
    let above = path.ancestors().skip(1);
    let mut above = above.take_while(|above| *above != dir);
    above.all(is_real_dir).then(|| plain_file(&path, cap))?
}

/// A ref's name for people.
pub(super) fn shown(name: &str) -> String {
    let name = name.strip_prefix("refs/heads/").unwrap_or(name);
    visible(name.strip_prefix("refs/tags/").unwrap_or(name))
}
