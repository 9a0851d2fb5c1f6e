//! Puts files of the user's checkout back to what is committed, after keeping what they hold as a patch.
//!
//! Whether that may be done is for others to say: this file only makes sure that nothing is lost. It never touches the
//! index, follows no link, and writes nothing over a file that does not hold what the patch holds.

use super::error::GitError;
use super::repo::Repo;
use super::scratch::ScratchIndex;
use super::tripwire::{Committed, Touched, Tripwire};
use crate::fault::{self, Point};
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{OpenOptionsExt as _, symlink};
use std::path::{Component, Path, PathBuf};

/// Larger files are left where they are.
const LARGEST: u64 = 32 << 20;
/// Modes of git's.
const EXECUTABLE: &str = "100755";
pub(super) const LINK: &str = "120000";

/// What became of files that were to be put back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PutBack {
    /// Those that hold what is committed again, or are gone again.
    pub back: Vec<String>,
    /// Those that were left as they are, and why.
    pub left: Vec<(String, String)>,
}

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Held {
    Nothing,
    File(Vec<u8>, u32),
    Link(PathBuf),
}

impl Tripwire {
    /// Keeps what the files hold as a patch for `git apply`, and puts them back to what is committed. Only files of
    /// which that is known, see [`Touched::was_clean`], are touched.
    ///
    /// # Errors
    /// The patch could not be made or written; then no file was touched.
    pub fn put_back(&self, touched: &[&Touched], patch: &Path) -> Result<PutBack, GitError> {
        let root = self.repo.root();
        let mut done = PutBack::default();
        let mut held = Vec::new();
        for one in touched {
            match held_at(root, &one.path) {
                Ok(now) if one.was_clean && one.committed.is_some() => held.push((*one, now)),
                Ok(_) => done.leave(one, "what it held before is not known"),
                Err(why) => done.leave(one, &why),
            }
        }
        if held.is_empty() {
            return Ok(done);
        }
        let text = self
            .repo
            .patch_of(held.iter().map(|(one, _)| one.path.as_path()))?;
        keep(patch, &text)?;
        let mut written = Vec::new();
        for (one, before) in held {
            match self.restore(one, &before) {
                Ok(()) => written.push(one),
                Err(why) => done.leave(one, &why),
            }
        }
        let still = self.still_touched(&written)?;
        for one in written {
            match still.contains(&one.shown) {
                true => done.leave(one, "it still differs from what is committed"),
                false => done.back.push(one.shown.clone()),
            }
        }
        Ok(done)
    }

    fn restore(&self, one: &Touched, before: &Held) -> Result<(), String> {
        let (root, path) = (self.repo.root(), self.repo.root().join(&one.path));
        let io = |error: std::io::Error| error.to_string();
        let made = match &one.committed {
            Some(Committed::File { mode, blob }) => {
                // Not the attributes that stand there now: they may be part of what is undone.
                let bytes = self
                    .repo
                    .checked_out_form("HEAD", &one.path, mode, blob)
                    .map_err(|error| error.to_string())?;
                Some(make_beside(root, &one.path, mode, &bytes)?)
            }
            _ => None,
        };
        // As late as can be: what somebody writes from here on is not seen.
        if held_at(root, &one.path)? != *before {
            if let Some(made) = made {
                fs::remove_file(made).map_err(io)?;
            }
            return Err("it has just changed again".to_owned());
        }
        match made {
            Some(made) => fault::at(Point::GitFileRename)
                .and_then(|()| fs::rename(made, path))
                .map_err(io),
            None => fault::at(Point::GitFileRemove)
                .and_then(|()| fs::remove_file(path))
                .map_err(io),
        }
    }
}

impl PutBack {
    fn leave(&mut self, one: &Touched, why: &str) {
        self.left.push((one.shown.clone(), why.to_owned()));
    }
}

impl Repo {
    /// What these files of the main checkout hold, against HEAD, in the form `git apply` takes.
    fn patch_of<'p>(&self, paths: impl Iterator<Item = &'p Path>) -> Result<Vec<u8>, GitError> {
        let index = ScratchIndex::new(&self.git().at(self.root()))?;
        let head = self.expect_tip("HEAD")?;
        index.read(&head)?;
        let mut list = Vec::new();
        for path in paths {
            list.extend_from_slice(path.as_os_str().as_bytes());
            list.push(0);
        }
        index
            .call(["add", "--force", "--all", "--sparse"])
            .args(["--pathspec-from-file=-", "--pathspec-file-nul"])
            .options(["--literal-pathspecs"])
            .stdin(list)
            .ok()?;
        let patch = index
            .call([
                "diff-index",
                "--cached",
                "--patch",
                "--binary",
                "--full-index",
            ])
            .args([
                "--no-ext-diff",
                "--no-textconv",
                "--no-renames",
                "--no-color",
            ])
            .args(["--src-prefix=a/", "--dst-prefix=b/", head.as_str()])
            .ok()?;
        Ok(patch.stdout)
    }

    /// A blob as git would check it out at this path, by the attributes that stand in a commit.
    pub(super) fn checked_out_form(
        &self,
        attributes: &str,
        path: &Path,
        mode: &str,
        blob: &crate::model::Oid,
    ) -> Result<Vec<u8>, GitError> {
        let git = self.git().at(self.root());
        let mut call = match mode {
            LINK => git.call(["cat-file", "blob"]),
            _ => {
                let mut at = OsString::from("--path=");
                at.push(path);
                git.call(["cat-file", "--filters"]).arg(at)
            }
        };
        if self.git_is_at_least((2, 41)) {
            call = call.options([format!("--attr-source={attributes}")]);
        }
        Ok(call.arg(blob.as_str()).ok()?.stdout)
    }
}

/// What stands at a path below the root, if it is not too large.
fn held_at(root: &Path, path: &Path) -> Result<Held, String> {
    let Some(meta) = meta_at(root, path)? else {
        return Ok(Held::Nothing);
    };
    let io = |error: std::io::Error| error.to_string();
    let place = root.join(path);
    if meta.is_symlink() {
        return fs::read_link(place).map(Held::Link).map_err(io);
    }
    if !meta.is_file() || meta.len() > LARGEST {
        return Err("it is no file, or a very large one".to_owned());
    }
    let bytes = fs::read(place).map_err(io)?;
    Ok(Held::File(
        bytes,
        std::os::unix::fs::MetadataExt::mode(&meta),
    ))
}

/// What the system says of a path below the root; `None` where nothing stands. Nothing above it may be a link: it
/// would lead elsewhere.
pub(super) fn meta_at(root: &Path, path: &Path) -> Result<Option<fs::Metadata>, String> {
    let mut above = root.to_owned();
    let mut parts = path.components().peekable();
    while let Some(part) = parts.next() {
        let Component::Normal(name) = part else {
            return Err("it lies outside of the checkout".to_owned());
        };
        above.push(name);
        let meta = match fs::symlink_metadata(&above) {
            Ok(meta) => meta,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.to_string()),
        };
        if parts.peek().is_none() {
            return Ok(Some(meta));
        }
        if !meta.is_dir() {
            return Err(format!("{} is no directory any more", above.display()));
        }
    }
    Err("it is the checkout itself".to_owned())
}

/// Makes what is committed beside the path it is for, with the missing directories above.
fn make_beside(root: &Path, path: &Path, mode: &str, bytes: &[u8]) -> Result<PathBuf, String> {
    let io = |error: std::io::Error| error.to_string();
    let place = root.join(path);
    let dir = place.parent().unwrap_or(root);
    fault::at(Point::GitDirCreate)
        .and_then(|()| fs::create_dir_all(dir))
        .map_err(io)?;
    // Only now that all of it is there can be seen where it leads.
    held_at(root, path)?;
    let mut name = OsString::from(".harness-");
    name.push(std::process::id().to_string());
    name.push("-");
    name.push(place.file_name().unwrap_or_default());
    let made = dir.join(name);
    if mode == LINK {
        symlink(Path::new(std::ffi::OsStr::from_bytes(bytes)), &made).map_err(io)?;
        return Ok(made);
    }
    let rights = if mode == EXECUTABLE { 0o777 } else { 0o666 };
    let mut options = OpenOptions::new();
    let file = options
        .write(true)
        .create_new(true)
        .mode(rights)
        .open(&made);
    file.and_then(|mut file| file.write_all(bytes))
        .map_err(io)?;
    Ok(made)
}

/// Writes the patch and sees to it that it is on the disk.
fn keep(path: &Path, text: &[u8]) -> Result<(), GitError> {
    if text.is_empty() {
        let why = "git sees no difference there";
        return Err(GitError::refused("keep what was changed", why));
    }
    let written = super::tree::remove_file(path)
        .map(|()| fault::at(Point::GitFileCreate).and_then(|()| File::create_new(path)))?
        .and_then(|mut file| {
            file.write_all(text)?;
            file.sync_all()
        });
    written.map_err(GitError::io("write", path))
}
