//! Making a worktree known to git, and forgetting it, in one step each.
//!
//! `git worktree add` and `remove` write and delete a worktree's administrative directory file by file. Any other
//! git command that looks at the list of worktrees meanwhile dies of it (`failed to read …/commondir`): a branch, a
//! log, a commit of an agent elsewhere. Here the directory is renamed into its place and out of it. This file
//! never touches the files of a worktree, and knows nothing of features.

use super::earlier::BOOT_FILE;
use super::error::GitError;
use super::repo::Repo;
use super::tree::{make_dir, remove_any, write_synced};
use crate::fault::{self, Point};
use crate::model::Oid;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Where, in the git directory, an administrative directory is made and taken apart.
pub(super) const APART: &str = "harness-worktree";
/// Settings of the main checkout that must not hold for another.
const OF_THE_MAIN_ONE: [&str; 2] = ["core.bare", "core.worktree"];

impl Repo {
    /// Registers a worktree at `path`, HEAD detached at `commit`, and gives its administrative directory. It is
    /// locked as one that is still being made, as `git worktree add` does it, so that nothing prunes it. Only one
    /// at a time may be registered or forgotten.
    ///
    /// # Errors
    /// The disk failed.
    pub(super) fn register(
        &self,
        path: &Path,
        commit: &Oid,
        boot: Option<&str>,
    ) -> Result<PathBuf, GitError> {
        let made = self.git_dir().join(APART);
        remove_any(&made)?;
        make_dir(&made)?;
        let link = path.join(".git");
        let link = [link.as_os_str().as_encoded_bytes(), b"\n"].concat();
        let head = format!("{commit}\n");
        // On the disk before they have their names: after a power cut every git command would die of an empty one.
        write_synced(&made.join("locked"), b"initializing\n")?;
        write_synced(&made.join("HEAD"), head.as_bytes())?;
        write_synced(&made.join("commondir"), b"../..\n")?;
        write_synced(&made.join("gitdir"), &link)?;
        if let Some(boot) = boot {
            write_synced(&made.join(BOOT_FILE), boot.as_bytes())?;
        }
        self.hand_settings_on(&made)?;
        let all = self.git_dir().join("worktrees");
        make_dir(&all)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let mut admin = all.join(&*name);
        let mut number = 0;
        loop {
            match fault::at(Point::WorktreeRegister).and_then(|()| fs::rename(&made, &admin)) {
                Ok(()) => return Ok(admin),
                // Somebody else has a worktree of this name.
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::AlreadyExists | ErrorKind::DirectoryNotEmpty
                    ) =>
                {
                    number += 1;
                    admin = all.join(format!("{name}{number}"));
                }
                Err(error) => return Err(GitError::io("create", &admin)(error)),
            }
        }
    }

    /// What the main checkout is set to holds in the others: which files are checked out at all.
    fn hand_settings_on(&self, made: &Path) -> Result<(), GitError> {
        let copy = |from: &Path, to: &Path| {
            let copied = fault::at(Point::GitFileCopy).and_then(|()| fs::copy(from, to));
            copied.map_err(GitError::io("copy", from))
        };
        let sparse = self.git_dir().join("info/sparse-checkout");
        if sparse.is_file() {
            let info = made.join("info");
            make_dir(&info)?;
            copy(&sparse, &info.join("sparse-checkout"))?;
        }
        let config = self.git_dir().join("config.worktree");
        if config.is_file() {
            let own = made.join("config.worktree");
            copy(&config, &own)?;
            for key in OF_THE_MAIN_ONE {
                // That it is not there is no error.
                let unset = self.git().call(["config", "--unset-all", "--file"]);
                unset.arg(&own).arg(key).run()?;
            }
        }
        Ok(())
    }

    /// Removes what is left of a worktree that was being registered or forgotten when somebody died.
    ///
    /// # Errors
    /// The disk failed.
    pub(super) fn clear_apart(&self) -> Result<(), GitError> {
        remove_any(&self.git_dir().join(APART))?;
        // As git does it: no directory without worktrees in it.
        let _ = fault::at(Point::GitDirPrune)
            .and_then(|()| fs::remove_dir(self.git_dir().join("worktrees")));
        Ok(())
    }

    /// Forgets the worktree of an administrative directory.
    ///
    /// # Errors
    /// The disk failed.
    pub(super) fn forget_worktree(&self, admin: &Path) -> Result<(), GitError> {
        let gone = self.git_dir().join(APART);
        remove_any(&gone)?;
        fault::at(Point::GitFileRename)
            .and_then(|()| fs::rename(admin, &gone))
            .map_err(GitError::io("remove", admin))?;
        fault::past(Point::WorktreeForgotten);
        self.clear_apart()
    }
}
