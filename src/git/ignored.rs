//! What `.gitignore` says of the main checkout, and what one more line in it would say.
//!
//! git itself reads the lines, so that they mean what they mean. Reading only: this file never touches a work tree.

use super::error::GitError;
use super::repo::{Repo, to_path};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

impl Repo {
    /// Whether git would leave an untracked file at this path of the main checkout alone. What is not the
    /// repository's (behind a link, in a submodule) it leaves alone as well.
    ///
    /// # Errors
    /// git failed.
    pub fn ignores(&self, path: &Path) -> Result<bool, GitError> {
        let git = self.git().at(self.root());
        let asked = git.call(["check-ignore", "-q", "--no-index", "--"]);
        let asked = asked.arg(path).run()?;
        let is_elsewhere = ["beyond a symbolic link", "is in submodule"];
        match asked.code {
            0 => Ok(true),
            1 => Ok(false),
            _ if is_elsewhere.iter().any(|why| asked.stderr.contains(why)) => Ok(true),
            _ => Err(asked.failed()),
        }
    }

    /// What stands in the main checkout, is not tracked, and is ignored: files, and directories for all that is in them.
    ///
    /// # Errors
    /// git failed.
    pub fn ignored(&self) -> Result<BTreeSet<PathBuf>, GitError> {
        let git = self.git().at(self.root());
        let listed = git.call(["ls-files", "-z", "--others", "--ignored"]);
        let listed = listed.arg("--exclude-standard").arg("--directory").ok()?;
        Ok(listed.fields().map(to_path).collect())
    }

    /// A tracked file that a line of the root's `.gitignore` would name, if there is one.
    ///
    /// # Errors
    /// git failed.
    pub fn tracked_by_line(&self, line: &str) -> Result<Option<PathBuf>, GitError> {
        let git = self.git().at(self.root());
        let listed = git.call(["ls-files", "-z", "--cached", "--ignored"]);
        let listed = listed.arg(format!("--exclude={line}")).ok()?;
        Ok(listed.fields().next().map(to_path))
    }
}
