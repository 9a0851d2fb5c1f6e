//! Everything a directory contains, as a tree: modified, deleted and untracked files, embedded repositories'
//! files too, whatever state the index was left in.
//!
//! This file never moves a ref and never changes a file of the work tree; it knows nothing of features.

use super::cli::{Git, Output};
use super::error::{GitError, visible};
use super::repo::{Repo, to_path};
use super::submodules;
use super::tree::{OUTBOX, Tree, remove_file};
use crate::fault::{self, Point};
use crate::model::Oid;
use std::path::{Path, PathBuf};

/// Most notes kept of one staging.
const NOTES_CAP: usize = 20;
/// Repositories in repositories in repositories: deeper ones are left out, with a note.
const DEPTH_CAP: u32 = 8;

/// Most files that are kept as they are because git cannot convert them.
const RAW_CAP: usize = 100;

/// The number of an index's copy, out of the way of those of embedded repositories.
const COPY: u32 = 98;

/// What staging made.
pub(super) struct Staged {
    /// The tree that holds everything.
    pub(super) tree: Oid,
    /// What could not be kept as it was, a sentence each.
    pub(super) notes: Vec<String>,
    /// git's complaints about files that the attributes ask it to convert, and that it cannot. They are kept
    /// as they are, which is not what they ought to be in a commit.
    pub(super) unconverted: Vec<String>,
}

/// Puts everything at `git`'s work tree into its index and writes that as a tree. `before` is a commit
/// whose submodules are known to be meant and whose version of the outbox's path, if it has one, stays.
pub(super) fn stage(repo: &Repo, git: &Git, before: &Oid) -> Result<Staged, GitError> {
    let before = repo.tree_of(before)?;
    let mut notes = Vec::new();
    let unconverted = add(git, &mut notes, 0)?;
    let mut tree = write_tree(git)?;
    let linked: Vec<Vec<u8>> = repo
        .new_gitlinks(&before, &tree)?
        .into_iter()
        .filter(|path| is_embedded(git, path))
        .collect();
    let outbox = Path::new(OUTBOX);
    let kept = repo.entry(&before, outbox)?;
    let outbox_differs = repo.entry(&tree, outbox)? != kept;
    for path in &linked {
        forget(git, path)?;
        embed(git, path, &mut notes, 0)?;
    }
    if outbox_differs {
        forget(git, OUTBOX.as_bytes())?;
        if let Some(kept) = kept {
            graft(git, OUTBOX.as_bytes(), &kept)?;
        }
    }
    if outbox_differs || !linked.is_empty() {
        tree = write_tree(git)?;
    }
    notes.truncate(NOTES_CAP);
    Ok(Staged {
        tree,
        notes,
        unconverted,
    })
}

/// `git add -A`, coping with what can stand in its way. Gives git's complaints about what it cannot convert.
fn add(git: &Git, notes: &mut Vec<String>, depth: u32) -> Result<Vec<String>, GitError> {
    let asked = submodules::checked_out(git)?;
    let added = add_except(git, &asked)?;
    if added.code == 0 && !added.stderr.contains("embedded git repository") {
        submodules::point(git, &asked)?;
        return Ok(Vec::new());
    }
    // Begin again from a sound index, naming what `add` must leave to us.
    reset_index(git, depth)?;
    let listed = git
        .call(["ls-files", "--others", "--exclude-standard", "-z"])
        .ok()?;
    let embedded: Vec<Vec<u8>> = listed
        .fields()
        .filter_map(|path| path.strip_suffix(b"/"))
        .filter(|path| path != &OUTBOX.as_bytes())
        .map(<[u8]>::to_vec)
        .collect();
    let asked = submodules::checked_out(git)?;
    let except = [embedded.clone(), asked.clone()].concat();
    let (added, raw) = add_convertible(git, &except)?;
    submodules::point(git, &asked)?;
    match added.code {
        0 => {}
        // Some files could not be read; all others are in.
        1 => {
            let lines = added
                .stderr
                .lines()
                .filter(|line| !line.starts_with("hint:"));
            notes.extend(lines.map(|line| format!("not kept: {}", visible(line))));
        }
        _ => return Err(added.failed()),
    }
    for path in &embedded {
        embed(git, path, notes, depth)?;
    }
    for (path, why) in &raw {
        add_raw(git, path)?;
        notes.push(format!("kept as it is: {why}"));
    }
    Ok(raw.into_iter().map(|(_, why)| why).collect())
}

/// Adds everything but `left_out` and the files that git cannot convert, which it names one at a time when it
/// gives up: those come back with its words.
fn add_convertible(
    git: &Git,
    left_out: &[Vec<u8>],
) -> Result<(Output, Vec<(String, String)>), GitError> {
    let (mut except, mut raw) = (left_out.to_vec(), Vec::new());
    loop {
        let added = add_except(git, &except)?;
        let why = added.stderr.lines().find_map(|l| l.strip_prefix("fatal: "));
        let named = why.and_then(|why| Some((unconvertible(why)?, visible(why))));
        match named {
            Some((path, why)) if added.code > 1 && raw.len() < RAW_CAP => {
                except.push(path.clone().into_bytes());
                raw.push((path, why));
            }
            _ => return Ok((added, raw)),
        }
    }
}

/// The file whose conversion to what a commit holds is why git gave up.
fn unconvertible(why: &str) -> Option<String> {
    let quoted = |after: &str, before: &str| {
        let rest = why.strip_prefix(after)?.strip_prefix('\'')?;
        Some(rest[..rest.rfind(before)?].to_owned())
    };
    let filtered = || {
        let (path, _) = why.rsplit_once(": clean filter '")?;
        Some(path.to_owned())
    };
    quoted("failed to encode ", "' from ")
        .or_else(|| quoted("BOM is required in ", "' if encoded as "))
        .or_else(|| quoted("BOM is prohibited in ", "' if encoded as "))
        .or_else(filtered)
}

/// Puts a file into the index without any conversion.
fn add_raw(git: &Git, path: &str) -> Result<(), GitError> {
    use std::os::unix::fs::PermissionsExt as _;
    let Some(root) = git.work_tree() else {
        return Ok(());
    };
    let file = root.join(path);
    let meta = std::fs::metadata(&file).map_err(GitError::io("read", &file))?;
    let mode = match meta.permissions().mode() & 0o100 {
        0 => "100644",
        _ => "100755",
    };
    let blob = git.call(["hash-object", "-w", "--no-filters", "--"]);
    let blob = blob.arg(path).oid()?;
    let line = format!("{mode} {blob}\t{path}\0");
    let call = git.call(["update-index", "--add", "-z", "--index-info"]);
    call.stdin(line).ok().map(drop)
}

/// Adds everything but these paths. The outbox is not named: it ignores itself, git complains about
/// exclusions of ignored paths, and what gets in all the same is taken out of the tree afterwards.
fn add_except(git: &Git, paths: &[Vec<u8>]) -> Result<Output, GitError> {
    // In a sparse checkout, what somebody made outside of it is work, too.
    let add = git.call(["add", "--all", "--sparse", "--ignore-errors"]);
    if paths.is_empty() {
        return add.run();
    }
    let mut specs = Vec::new();
    for path in paths {
        specs.extend_from_slice(b":(exclude,top,literal)");
        specs.extend_from_slice(path);
        specs.push(0);
    }
    add.arg("--pathspec-from-file=-")
        .arg("--pathspec-file-nul")
        .stdin(specs)
        .run()
}

/// Makes a worktree's index anew from HEAD if its bytes are not all there, as a power cut may leave it. git goes by whatever
/// names it finds in one, and looks at its checksum only when asked to; git2 always does.
pub(super) fn distrust_torn(tree: &Tree) -> Result<(), GitError> {
    let index = tree.git.index().filter(|index| index.exists());
    match index.is_some_and(|index| git2::Index::open(&index).is_err()) {
        true => reset_index(&tree.git, 0),
        false => Ok(()),
    }
}

/// Makes the index that of HEAD, or empty for an embedded repository, whose HEAD is none of ours. What
/// it knows of unchanged files is kept where it can be read at all.
fn reset_index(git: &Git, depth: u32) -> Result<(), GitError> {
    let read = || git.call(["read-tree", "--reset", "HEAD"]).run();
    if depth == 0 {
        if read()?.code == 0 {
            return Ok(());
        }
        if let Some(index) = git.index() {
            remove_file(&index)?;
        }
        if read()?.code == 0 {
            return Ok(());
        }
    }
    // HEAD is unborn or broken: everything is new.
    git.call(["read-tree", "--empty"]).ok().map(drop)
}

/// Adds the files of an embedded repository as ordinary files.
fn embed(git: &Git, path: &[u8], notes: &mut Vec<String>, depth: u32) -> Result<(), GitError> {
    let name = visible(&String::from_utf8_lossy(path));
    let Some(index) = git.index() else {
        return Ok(());
    };
    if depth >= DEPTH_CAP {
        notes.push(format!("not kept: {name}, a repository too deep in others"));
        return Ok(());
    }
    notes.push(format!(
        "{name} is a repository of its own: its files are kept, its history is not"
    ));
    let scratch = Scratch::beside(&index, depth)?;
    match files_of(git, &scratch, path, notes, depth)? {
        Some(tree) => graft(git, path, &tree),
        None => Ok(()),
    }
}

/// The files of a repository below `git`'s work tree as a tree; `None` when there are none. Its own
/// configuration and index are not looked at.
pub(super) fn files_of(
    git: &Git,
    scratch: &Scratch,
    path: &[u8],
    notes: &mut Vec<String>,
    depth: u32,
) -> Result<Option<Oid>, GitError> {
    let Some(root) = git.work_tree() else {
        return Ok(None);
    };
    let inner = git.at(&root.join(to_path(path))).with_index(&scratch.0);
    inner.call(["read-tree", "--empty"]).ok()?;
    add(&inner, notes, depth + 1)?;
    if inner.call(["ls-files", "--cached"]).ok()?.stdout.is_empty() {
        return Ok(None);
    }
    write_tree(&inner).map(Some)
}

/// Puts a tree into the index at `path`, where the index holds nothing.
fn graft(git: &Git, path: &[u8], tree: &Oid) -> Result<(), GitError> {
    let mut prefix = std::ffi::OsString::from("--prefix=");
    prefix.push(to_path(path));
    prefix.push("/");
    git.call(["read-tree"])
        .arg(prefix)
        .arg(tree.as_str())
        .ok()
        .map(drop)
}

/// Takes a path and all below it out of the index.
fn forget(git: &Git, path: &[u8]) -> Result<(), GitError> {
    git.call([
        "rm",
        "-r",
        "--cached",
        "--quiet",
        "--force",
        "--ignore-unmatch",
    ])
    .arg("--pathspec-from-file=-")
    .arg("--pathspec-file-nul")
    .stdin([b":(top,literal)", path].concat())
    .ok()
    .map(drop)
}

fn write_tree(git: &Git) -> Result<Oid, GitError> {
    git.call(["write-tree"]).oid()
}

/// A repository of its own rather than a submodule, whose `.git` is a file.
fn is_embedded(git: &Git, path: &[u8]) -> bool {
    let own = git
        .work_tree()
        .map(|root| root.join(to_path(path)).join(".git"));
    own.and_then(|own| std::fs::symlink_metadata(own).ok())
        .is_some_and(|meta| meta.is_dir())
}

/// Copies an index with its time: git compares it with the files' to see which it must read again. A newer one
/// would hide an edit that was made right after the index was written.
pub(super) fn copy_index(from: &Path, to: &Path) -> Result<(), GitError> {
    let copied = std::fs::metadata(from).and_then(|meta| {
        fault::at(Point::GitFileCopy)?;
        std::fs::copy(from, to)?;
        let copy = std::fs::File::options().write(true).open(to)?;
        copy.set_modified(meta.modified()?)
    });
    copied.map_err(GitError::io("copy", from))
}

/// An index file that is gone when this is.
pub(super) struct Scratch(pub(super) PathBuf);

impl Scratch {
    /// A scratch index next to another.
    pub(super) fn beside(index: &Path, depth: u32) -> Result<Self, GitError> {
        let path = index.with_file_name(format!("harness-index-{depth}"));
        remove_file(&path)?;
        remove_file(&path.with_added_extension("lock"))?;
        Ok(Self(path))
    }

    /// A copy of an index, in which everything can be staged while the index itself still tells what is
    /// in conflict.
    pub(super) fn copy_of(index: &Path) -> Result<Self, GitError> {
        let scratch = Self::beside(index, COPY)?;
        if std::fs::metadata(index).is_ok() {
            copy_index(index, &scratch.0)?;
        }
        Ok(scratch)
    }

    /// Puts it in an index's place.
    pub(super) fn install(self, index: &Path) -> Result<(), GitError> {
        fault::at(Point::GitFileRename)
            .and_then(|()| std::fs::rename(&self.0, index))
            .map_err(GitError::io("replace", index))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fault::at(Point::GitFileRemove).and_then(|()| std::fs::remove_file(&self.0));
    }
}

#[cfg(test)]
mod tests {
    use super::unconvertible;

    #[test]
    fn the_file_that_cannot_be_converted_is_the_one_git_names() {
        for (why, path) in [
            ("failed to encode 'a b' from UTF-16 to UTF-8", Some("a b")),
            (
                "failed to encode 'it's' from x' from UTF-16 to UTF-8",
                Some("it's' from x"),
            ),
            (
                "BOM is required in 'a' if encoded as UTF-16LE-BOM",
                Some("a"),
            ),
            ("BOM is prohibited in 'a' if encoded as utf-16le", Some("a")),
            ("d/a.dat: clean filter 'box' failed", Some("d/a.dat")),
            ("unable to write new index file", None),
        ] {
            assert_eq!(unconvertible(why).as_deref(), path, "{why}");
        }
    }
}
