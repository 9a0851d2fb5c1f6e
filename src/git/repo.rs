//! The repository: finding it, the target branch, identity, and moving refs.
//!
//! This file never touches a work tree.

use super::cli::{Git, Output};
use super::error::GitError;
use super::handles;
use super::land::operation;
use super::ledger::Ledger;
use super::loan;
use super::near::distance;
use super::planted::Planted;
use super::sealed::Sealed;
use super::tree::remove_file;
use crate::fault::{self, Point};
use crate::model::{Oid, Slug};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// Oldest git that can merge without a work tree.
const OLDEST_GIT: (u32, u32) = (2, 38);
/// Who commits when the user has told git no name.
const FALLBACK_NAME: &str = "harness";
const FALLBACK_EMAIL: &str = "harness@localhost";

/// A git repository with a main checkout. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Repo {
    inner: Arc<Inner>,
    /// Which files are generated: for each kind the lines of a `.gitignore`.
    generated: Arc<[Vec<u8>]>,
}

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    git: Git,
    git_dir: PathBuf,
    version: (u32, u32),
    /// Whether it was found from inside a linked worktree.
    by_link: bool,
    /// What git2 has open and nobody uses.
    handles: handles::Handles,
    /// The git directory with the configuration that holds for git2 and git.
    settings: PathBuf,
    identity: OnceLock<Vec<(OsString, OsString)>>,
    /// Where harness's own refs stand.
    ledger: Ledger,
}

/// The branch features land on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its full name: `refs/heads/main`.
    pub refname: String,
    /// Where it stands.
    pub tip: Oid,
}

/// A work tree that git knows of.
#[derive(Clone, Debug, Default)]
pub(super) struct Checkout {
    pub(super) path: PathBuf,
    /// Full name of the branch that is checked out there.
    pub(super) branch: Option<String>,
}

/// One change of a ref.
pub(super) enum RefEdit<'a> {
    /// Set it, whatever it was.
    Set(&'a str, &'a Oid),
    /// Move it from exactly this (`None`: it must not exist).
    Move(&'a str, Option<&'a Oid>, &'a Oid),
    /// Delete it if it stands exactly here.
    Delete(&'a str, &'a Oid),
}

impl Repo {
    /// Finds the repository around `start` and its main checkout, also from inside a linked worktree.
    ///
    /// # Errors
    /// git is missing or too old; there is no repository; it is bare; its format is not supported.
    pub fn discover(start: &Path) -> Result<Self, GitError> {
        Self::discover_with(start, std::env::vars_os())
    }

    /// The same with an explicit environment for the git program, of which only what git needs to find
    /// the user's identity and configuration is handed on.
    ///
    /// # Errors
    /// As [`Repo::discover`].
    pub fn discover_with(
        start: &Path,
        env: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, GitError> {
        let start = start
            .canonicalize()
            .map_err(GitError::io("enter the directory", start))?;
        let git = Git::in_dir(&start, env);
        let version = version(&git)?;
        let found = git
            .call([
                "rev-parse",
                "--path-format=absolute",
                "--git-common-dir",
                "--git-dir",
            ])
            .run()?;
        if found.code != 0 {
            return Err(GitError::NotARepository {
                path: start,
                why: found.complaint(),
            });
        }
        let mut lines = found.stdout.split(|byte| *byte == b'\n').map(to_path);
        let (common, own) = (
            lines.next().unwrap_or_default(),
            lines.next().unwrap_or_default(),
        );
        let git_dir = common
            .canonicalize()
            .map_err(GitError::io("enter the git directory", &common))?;
        let git_dir = loan::lender(&git_dir).unwrap_or(git_dir);
        let at_main = own.canonicalize().is_ok_and(|own| own == git_dir);
        let root = main_checkout(&git, &git_dir, at_main)?;
        let git = git.on(&git_dir);
        handles::open(&git_dir)?;
        let inner = Inner {
            root,
            git,
            settings: git_dir.clone(),
            git_dir,
            version,
            by_link: !at_main,
            handles: handles::Handles::default(),
            identity: OnceLock::new(),
            ledger: Ledger::default(),
        };
        Ok(Self {
            inner: Arc::new(inner),
            generated: Arc::default(),
        })
    }

    /// The same repository with its configuration, the user's and the system's as they stand now, whatever
    /// becomes of the files. What this makes for it is gone when the last clone of the result is.
    ///
    /// # Errors
    /// The configuration cannot be read, or the disk failed.
    pub fn seal(&self) -> Result<Self, GitError> {
        let sealed = Arc::new(Sealed::make(self.git(), self.git_dir())?);
        let settings = sealed.path().to_owned();
        Ok(self.with_git(self.git().with_settings_of(&sealed), settings))
    }

    /// The same repository, whose git commands and all they start have this variable in their environment, by which
    /// they can be found.
    #[must_use]
    pub fn carrying(&self, name: &str, value: &str) -> Self {
        self.with_git(
            self.git().carrying(name, value),
            self.inner.settings.clone(),
        )
    }

    fn with_git(&self, git: Git, settings: PathBuf) -> Self {
        let inner = Inner {
            root: self.inner.root.clone(),
            git,
            git_dir: self.inner.git_dir.clone(),
            version: self.inner.version,
            by_link: self.inner.by_link,
            handles: handles::Handles::default(),
            settings,
            identity: OnceLock::new(),
            ledger: Ledger::default(),
        };
        Self {
            inner: Arc::new(inner),
            generated: Arc::clone(&self.generated),
        }
    }

    /// Settings, hooks, rules about files and links between worktrees that have changed in the repository since it
    /// was sealed, each told once. They are not obeyed here, but the user's own git would.
    ///
    /// # Errors
    /// The configuration cannot be read.
    pub fn planted(&self) -> Result<Vec<Planted>, GitError> {
        match self.git().sealed() {
            Some(sealed) => sealed.changes(&self.git().unsealed(), self.git_dir()),
            None => Ok(Vec::new()),
        }
    }

    /// The git directory as git2 is to open it.
    pub(super) fn settings(&self) -> &Path {
        &self.inner.settings
    }

    pub(super) fn ledger(&self) -> &Ledger {
        &self.inner.ledger
    }

    pub(super) fn handles(&self) -> &handles::Handles {
        &self.inner.handles
    }

    pub(super) fn with_generated(&self, kinds: Vec<Vec<u8>>) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            generated: kinds.into(),
        }
    }

    pub(super) fn generated(&self) -> &[Vec<u8>] {
        &self.generated
    }

    /// The main checkout.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.inner.root
    }

    /// Whether it was found from inside a linked worktree, whose files and branch then mean nothing.
    #[must_use]
    pub fn is_entered_by_link(&self) -> bool {
        self.inner.by_link
    }

    /// The git directory all worktrees share.
    #[must_use]
    pub fn git_dir(&self) -> &Path {
        &self.inner.git_dir
    }

    /// The name of the main checkout's directory.
    #[must_use]
    pub fn name(&self) -> String {
        let name = self.root().file_name().unwrap_or(OsStr::new("repository"));
        name.to_string_lossy().into_owned()
    }

    /// git on this repository, away from every work tree.
    pub(super) fn git(&self) -> &Git {
        &self.inner.git
    }

    /// Whether the git program is at least this version.
    #[must_use]
    pub fn git_is_at_least(&self, version: (u32, u32)) -> bool {
        self.inner.version >= version
    }

    /// The branch features land on: the configured one (short or full name), or the one that is checked
    /// out in the main checkout.
    ///
    /// # Errors
    /// It does not exist, has no commit yet, or none is configured and none is checked out.
    pub fn target(&self, configured: Option<&str>) -> Result<Target, GitError> {
        let refname = match configured {
            Some(name) if name.starts_with("refs/heads/") => name.to_owned(),
            Some(name) => format!("refs/heads/{name}"),
            None => self.checked_out()?.ok_or_else(|| GitError::Detached {
                path: self.root().to_owned(),
                operation: operation(self.git_dir()),
            })?,
        };
        match self.tip(&refname)? {
            Some(tip) => Ok(Target {
                refname: self.resolved(&refname)?,
                tip,
            }),
            None => Err(self.no_such_branch(short(&refname), configured.is_none())?),
        }
    }

    fn no_such_branch(&self, name: &str, is_head: bool) -> Result<GitError, GitError> {
        let is_head = is_head || self.checked_out()?.is_some_and(|head| short(&head) == name);
        if is_head {
            return Ok(GitError::Unborn {
                branch: name.to_owned(),
            });
        }
        let branches = self.refs("refs/heads/")?;
        let names = branches.iter().map(|(refname, _)| short(refname));
        let near = names.min_by_key(|other| distance(name, other));
        let close = near.filter(|other| distance(name, other) <= 1 + name.chars().count() / 3);
        Ok(GitError::NoSuchBranch {
            name: name.to_owned(),
            hint: close.map(str::to_owned),
        })
    }

    /// The full name of the branch that is checked out in the main checkout, born or not.
    fn checked_out(&self) -> Result<Option<String>, GitError> {
        let head = self.git().call(["symbolic-ref", "--quiet", "HEAD"]).run()?;
        match head.code {
            0 => Ok(Some(head.text())),
            1 => Ok(None),
            _ => Err(head.failed()),
        }
    }

    /// Whether the user has told git a name and an address. When not, harness commits as
    /// `harness <harness@localhost>`.
    ///
    /// # Errors
    /// git cannot be asked.
    pub fn has_identity(&self) -> Result<bool, GitError> {
        Ok(self.identity()?.is_empty())
    }

    /// What a commit command needs in its environment when the user has no identity. An answer is kept; that git could not
    /// be asked is none.
    pub(super) fn identity(&self) -> Result<&[(OsString, OsString)], GitError> {
        if let Some(known) = self.inner.identity.get() {
            return Ok(known);
        }
        let mut env = Vec::new();
        for role in ["AUTHOR", "COMMITTER"] {
            let variable = format!("GIT_{role}_IDENT");
            let only = ["-c", "user.useConfigOnly=true"];
            let asked = self.git().call(["var", &variable]).options(only).run()?;
            if asked.code < 0 {
                return Err(asked.failed());
            }
            if asked.code != 0 {
                env.push((format!("GIT_{role}_NAME").into(), FALLBACK_NAME.into()));
                env.push((format!("GIT_{role}_EMAIL").into(), FALLBACK_EMAIL.into()));
            }
        }
        Ok(self.inner.identity.get_or_init(|| env))
    }

    /// Writes a commit object; no ref moves.
    pub(super) fn commit(
        &self,
        tree: &Oid,
        parents: &[Oid],
        message: &str,
    ) -> Result<Oid, GitError> {
        let mut call = self.git().call(["commit-tree", tree.as_str()]);
        for parent in parents {
            call = call.arg("-p").arg(parent.as_str());
        }
        call.arg("-F")
            .arg("-")
            .env(self.identity()?)
            .stdin(message)
            .oid()
    }

    /// Changes refs, all or none.
    pub(super) fn update_refs(&self, why: &str, edits: &[RefEdit<'_>]) -> Result<(), GitError> {
        if edits.is_empty() {
            return Ok(());
        }
        self.try_update_refs(why, edits)
            .and_then(|output| match output.code {
                0 => Ok(()),
                _ => Err(output.failed()),
            })
    }

    /// The same, with git's answer.
    pub(super) fn try_update_refs(
        &self,
        why: &str,
        edits: &[RefEdit<'_>],
    ) -> Result<Output, GitError> {
        let _moving = self.ledger().moving();
        fault::past(Point::RefsMoving);
        let output = self.run_edits(why, edits);
        fault::past(Point::RefsMoved);
        match &output {
            Ok(output) if output.code == 0 => self.ledger().note(edits),
            Ok(_) => {}
            Err(_) => self.ledger().doubt(edits),
        }
        output
    }

    /// The same, without a word to the ledger.
    pub(super) fn run_edits(&self, why: &str, edits: &[RefEdit<'_>]) -> Result<Output, GitError> {
        let mut lines = String::new();
        for edit in edits {
            // None of these is a symbolic ref. If someone made one, what it points at must not be moved.
            lines.push_str("option no-deref\0");
            let line = match edit {
                RefEdit::Set(name, new) => format!("update {name}\0{new}\0\0"),
                RefEdit::Move(name, None, new) => format!("create {name}\0{new}\0"),
                RefEdit::Move(name, Some(old), new) => format!("update {name}\0{new}\0{old}\0"),
                RefEdit::Delete(name, old) => format!("delete {name}\0{old}\0"),
            };
            lines.push_str(&line);
        }
        self.git()
            .call(["update-ref", "-m", why, "--stdin", "-z"])
            .stdin(lines)
            .run()
    }

    /// Removes the lock that a killed process left on a ref which nobody but harness writes.
    pub(super) fn unlock(&self, refname: &str) -> Result<(), GitError> {
        remove_file(&self.git_dir().join(format!("{refname}.lock")))
    }

    /// All work trees git knows of, the main one first.
    pub(super) fn checkouts(&self) -> Result<Vec<Checkout>, GitError> {
        let list = self
            .git()
            .call(["worktree", "list", "--porcelain", "-z"])
            .ok()?;
        let mut found: Vec<Checkout> = Vec::new();
        for field in list.fields() {
            if let Some(path) = field.strip_prefix(b"worktree ") {
                found.push(Checkout {
                    path: to_path(path),
                    branch: None,
                });
            } else if let (Some(name), Some(last)) =
                (field.strip_prefix(b"branch "), found.last_mut())
            {
                last.branch = Some(String::from_utf8_lossy(name).into_owned());
            }
        }
        // git derives the main one's path from the git directory, which is wrong for submodules.
        if let Some(main) = found.first_mut() {
            self.root().clone_into(&mut main.path);
        }
        Ok(found)
    }
}

/// The full name of a feature's branch.
pub(super) fn branch_of(slug: &Slug) -> String {
    format!("refs/heads/harness/{slug}")
}

/// A branch's name without `refs/heads/`.
pub(super) fn short(refname: &str) -> &str {
    refname.strip_prefix("refs/heads/").unwrap_or(refname)
}

/// Bytes that git printed, as a path.
pub(super) fn to_path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(bytes))
}

fn version(git: &Git) -> Result<(u32, u32), GitError> {
    let text = git.call(["version"]).ok()?.text();
    let number = text.split_whitespace().nth(2).unwrap_or(&text).to_owned();
    let mut parts = number.split('.').map(str::parse::<u32>);
    match (parts.next(), parts.next()) {
        (Some(Ok(major)), Some(Ok(minor))) if (major, minor) >= OLDEST_GIT => Ok((major, minor)),
        _ => Err(GitError::TooOld { found: number }),
    }
}

/// The root of the main checkout of a git directory; `at_main` when `git` runs inside of it.
fn main_checkout(git: &Git, git_dir: &Path, at_main: bool) -> Result<PathBuf, GitError> {
    let on = git.on(git_dir);
    // Asked of the shared directory: a linked worktree of a bare repository is not bare itself.
    if on.call(["rev-parse", "--is-bare-repository"]).ok()?.text() == "true" {
        return Err(GitError::Bare {
            path: git_dir.to_owned(),
        });
    }
    let top = git
        .call(["rev-parse", "--path-format=absolute", "--show-toplevel"])
        .run()?;
    let configured = on.call(["config", "--get", "core.worktree"]).run()?;
    let line = |output: &Output| {
        let text = output.stdout.strip_suffix(b"\n").unwrap_or(&output.stdout);
        to_path(text)
    };
    let root = if at_main && top.code == 0 {
        line(&top)
    } else if configured.code == 0 {
        git_dir.join(line(&configured))
    } else if git_dir.file_name() == Some(OsStr::new(".git")) {
        git_dir.parent().unwrap_or(git_dir).to_owned()
    } else {
        return Err(GitError::NotARepository {
            path: git_dir.to_owned(),
            why: "its main checkout cannot be found from here; start harness there".to_owned(),
        });
    };
    root.canonicalize()
        .map_err(GitError::io("enter the main checkout", &root))
}
