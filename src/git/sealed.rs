//! A git directory of harness's own, for the time of a run: it shares objects, refs and worktrees with the
//! repository's, and has the configuration as it stood when the run began.
//!
//! Agents can write the repository's configuration, and what is planted there (filters, merge drivers, included
//! files) git would run in the next command. A list of settings to switch off is not enough: their names are the
//! planter's choice. The layout is that of git's `contrib/workdir`; git finds it by `GIT_COMMON_DIR`. This file
//! never changes anything in the repository.

use super::cli::Git;
use super::error::GitError;
use super::planted::{Known, Planted};
use super::repo::to_path;
use crate::fault::{self, Point};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use tempfile::TempDir;

/// What is shared with the repository's git directory. What is not there yet is a link all the same: git makes it
/// where the link leads.
const SHARED: [&str; 8] = [
    "HEAD",
    "objects",
    "refs",
    "packed-refs",
    "logs",
    "worktrees",
    "shallow",
    "rr-cache",
];
/// What is copied as it stands: rules about files, which run nothing but choose what is run.
pub(super) const COPIED: [&str; 2] = [ATTRIBUTES, "info/exclude"];
/// The first of them chooses filters and merge drivers.
pub(super) const ATTRIBUTES: &str = "info/attributes";
/// Settings of the user and the system; of the repository; and what must not be handed on: a worktree's own
/// settings are its agent's to write.
const GLOBAL: &str = "global";
const CONFIG: &str = "config";
const WORKTREE_SETTINGS: &str = "extensions.worktreeconfig";
/// Settings that hold for the main checkout alone when they stand among its own.
const OF_THE_MAIN_ONE: [&str; 2] = ["core.bare", "core.worktree"];

/// The directory; gone when this is dropped.
#[derive(Debug)]
pub(super) struct Sealed {
    dir: TempDir,
    /// Locked as long as we live, so that anybody can tell a directory that was left. Where that cannot be, none is.
    _alive: Option<File>,
    /// The repository's settings that are handed on.
    own: Vec<Setting>,
    /// What stood in the repository when it was made, or has been told of since.
    known: Mutex<Known>,
}

impl Sealed {
    /// Makes one for the repository that `git` stands on.
    pub(super) fn make(git: &Git, common: &Path) -> Result<Self, GitError> {
        let temp = std::env::temp_dir();
        let fail = || GitError::io("make harness's own git directory in", &temp);
        let made = fault::at(Point::ScratchCreate)
            .and_then(|()| tempfile::Builder::new().prefix("harness-git-").tempdir());
        let settings = Settings::read(git)?;
        let made = made.map_err(fail())?;
        let alive = File::open(made.path()).and_then(|dir| dir.lock().map(|()| dir));
        let sealed = Self {
            dir: made,
            _alive: alive.ok(),
            own: settings.own,
            known: Mutex::default(),
        };
        let dir = sealed.path();
        for name in SHARED {
            symlink(common.join(name), dir.join(name)).map_err(fail())?;
        }
        fs::create_dir(dir.join("info")).map_err(fail())?;
        for name in COPIED {
            match fs::read(common.join(name)) {
                Ok(text) => fs::write(dir.join(name), text).map_err(fail())?,
                // Not there, or nothing that git could read either.
                Err(_) => continue,
            }
        }
        fs::write(dir.join(GLOBAL), as_file(&settings.global)).map_err(fail())?;
        fs::write(dir.join(CONFIG), as_file(&sealed.own)).map_err(fail())?;
        sealed.changes(git, common)?;
        Ok(sealed)
    }

    /// What has changed in the repository that git would obey; what was told once is not told again. `git` is one
    /// that reads the repository's own configuration, which by itself runs nothing.
    pub(super) fn changes(&self, git: &Git, common: &Path) -> Result<Vec<Planted>, GitError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.changes(git, common)
    }

    /// Stands in for the repository's git directory.
    pub(super) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// What tells git so.
    pub(super) fn env(&self) -> [(&'static str, PathBuf); 3] {
        [
            ("GIT_COMMON_DIR", self.path().to_owned()),
            ("GIT_CONFIG_GLOBAL", self.path().join(GLOBAL)),
            ("GIT_CONFIG_NOSYSTEM", "1".into()),
        ]
    }
}

/// A key as git lists it, and its value, if it has one.
pub(super) type Setting = (Vec<u8>, Option<Vec<u8>>);

/// The repository's own settings, of its worktrees only those of the main one: as they were sealed, or as they are.
pub(super) fn own_settings(git: &Git) -> Result<Vec<Setting>, GitError> {
    match git.sealed() {
        Some(sealed) => Ok(sealed.own.clone()),
        None => Ok(Settings::read(git)?.own),
    }
}

/// All settings that hold now, included files and conditions resolved.
#[derive(Default)]
pub(super) struct Settings {
    /// Those of user and system.
    global: Vec<Setting>,
    /// Those of the repository that are handed on.
    own: Vec<Setting>,
    /// All of the repository, with their values.
    pub(super) of_repository: Vec<(String, Vec<u8>)>,
    /// The files they stand in.
    pub(super) files: BTreeSet<PathBuf>,
}

impl Settings {
    pub(super) fn read(git: &Git) -> Result<Self, GitError> {
        let listed = git
            .call(["config", "--list", "--includes", "--show-scope"])
            .args(["--show-origin", "-z"])
            .ok()?;
        let mut settings = Self::default();
        let mut fields = listed.fields();
        while let (Some(scope), Some(origin), Some(setting)) =
            (fields.next(), fields.next(), fields.next())
        {
            if let (b"local" | b"worktree", Some(file)) = (scope, origin.strip_prefix(b"file:")) {
                settings.files.insert(to_path(file));
            }
            settings.take(scope, setting);
        }
        Ok(settings)
    }

    fn take(&mut self, scope: &[u8], setting: &[u8]) {
        let (key, value) = match setting.iter().position(|byte| *byte == b'\n') {
            Some(end) => (&setting[..end], Some(&setting[end + 1..])),
            None => (setting, None),
        };
        let is = |known: &&str| known.as_bytes() == key;
        let setting = || (key.to_vec(), value.map(<[u8]>::to_vec));
        match scope {
            b"system" | b"global" => self.global.push(setting()),
            b"local" if !is(&WORKTREE_SETTINGS) => self.own.push(setting()),
            b"worktree" if !OF_THE_MAIN_ONE.iter().any(is) => self.own.push(setting()),
            // Of the command line, which every call has anew, or not for others.
            _ => {}
        }
        if matches!(scope, b"local" | b"worktree") {
            let key = String::from_utf8_lossy(key).into_owned();
            self.of_repository
                .push((key, value.unwrap_or_default().to_vec()));
        }
    }
}

/// Settings in the syntax of git's files.
pub(super) fn as_file(settings: &[Setting]) -> Vec<u8> {
    let mut file = Vec::new();
    for (key, value) in settings {
        write(&mut file, key, value.as_deref());
    }
    file
}

/// One setting in the syntax of git's files. A key is a section, perhaps the name of a subsection, which may hold
/// anything, and a name.
fn write(file: &mut Vec<u8>, key: &[u8], value: Option<&[u8]>) {
    let dot = |byte: &u8| *byte == b'.';
    let (Some(first), Some(last)) = (key.iter().position(dot), key.iter().rposition(dot)) else {
        return;
    };
    if key.starts_with(b"include.") || key.starts_with(b"includeif.") {
        // What was to be included is in the list by itself.
        return;
    }
    file.push(b'[');
    file.extend_from_slice(&key[..first]);
    if first < last {
        file.extend_from_slice(b" \"");
        // In a name only these two are escaped: git reads `\t` there as a `t`.
        for byte in &key[first + 1..last] {
            if matches!(byte, b'\\' | b'"') {
                file.push(b'\\');
            }
            file.push(*byte);
        }
        file.push(b'"');
    }
    file.extend_from_slice(b"]\n\t");
    file.extend_from_slice(&key[last + 1..]);
    if let Some(value) = value {
        file.extend_from_slice(b" = \"");
        escape(file, value);
        file.push(b'"');
    }
    file.push(b'\n');
}

fn escape(file: &mut Vec<u8>, text: &[u8]) {
    for byte in text {
        match byte {
            b'\n' => file.extend_from_slice(b"\\n"),
            b'\t' => file.extend_from_slice(b"\\t"),
            b'\\' | b'"' => file.extend_from_slice(&[b'\\', *byte]),
            byte => file.push(*byte),
        }
    }
}
