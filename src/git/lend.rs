//! Lending: the git directory that an agent's own git commands see and may write.
//!
//! A worktree's git directory is the repository's, with the refs, settings and hooks of everybody. What is lent
//! instead is one of its own, made from trusted copies: the refs as they stand, the index, HEAD and an unfinished
//! merge. Only objects are the repository's: added to it ([`Isolation::Worktree`]), or read there and added to
//! the lent directory ([`Isolation::Clone`]). Lending twice, or again after a crash at any point, is harmless. This file never
//! reads what an agent wrote.

use super::error::GitError;
use super::loan::{self, Loan, is_real_dir, lent_dir};
use super::repo::{Repo, branch_of};
use super::sealed::{Setting, as_file, own_settings};
use super::stage::copy_index;
use super::tree::{Tree, UNFINISHED, make_dir, remove_any, write};
use super::worktrees::{Worktrees, entries};
use crate::fault::{self, Point};
use crate::model::{Isolation, Slug, WorktreeName};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// Largest file of an unfinished operation, and most of them, that are copied.
const STATE_FILE_CAP: u64 = 16 << 20;
const STATE_FILES_CAP: u32 = 20_000;
/// Largest hook that is copied.
const HOOK_CAP: u64 = 1 << 20;
/// Where git-lfs keeps files; beside objects they are the only content that is not in them.
const LFS: &str = "lfs";
/// What git is set to in a lent directory, whatever the repository says. It sees only some of the refs, so no
/// command may take an object for garbage that is the repository's.
const FIXED: [(&str, &str); 2] = [("core.bare", "false"), ("gc.auto", "0")];
const PRECIOUS: (&str, &str) = ("extensions.preciousobjects", "true");
/// Settings of a main checkout.
const OF_THE_MAIN_ONE: [&[u8]; 2] = [b"core.bare", b"core.worktree"];

/// What git needs to be able to write while somebody works in a worktree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lent {
    /// Directories below which it must be able to write, besides the worktree itself. None when nothing was
    /// lent: then it is the repository's own git directory.
    pub writable: Vec<PathBuf>,
}

impl Worktrees {
    /// Lends a git directory to who is to work in the worktree, which was prepared for the feature. Without
    /// `apart`, worktrees that add their objects to the repository stay what git makes of them, with everybody's refs
    /// and settings: where nothing else keeps an agent from writing those.
    ///
    /// # Errors
    /// The worktree is not prepared, the repository cannot be cloned so, or git or the disk failed.
    pub fn lend(
        &self,
        name: WorktreeName,
        slug: &Slug,
        isolation: Isolation,
        apart: bool,
    ) -> Result<Lent, GitError> {
        let tree = self.prepared_for(slug, name)?;
        tree.heal(Some(slug), &self.repo)?;
        if isolation == Isolation::Worktree && !apart {
            return Ok(Lent::default());
        }
        let loan = Loan {
            slug: slug.clone(),
            tip: self.repo.expect_tip(&branch_of(slug))?,
            isolation,
            is_out: true,
        };
        fault::past(Point::LendBegin);
        let last = Loan::read(&tree.admin);
        let is_same = last.is_some_and(|last| last.slug == *slug && last.isolation == isolation);
        let dir = lent_dir(&tree.admin);
        clear(&dir, is_same)?;
        let mut writable = vec![dir.clone()];
        self.repo.make_lent(&tree, &loan, &dir, &mut writable)?;
        fault::past(Point::LendMade);
        loan.write(&tree.admin)?;
        fault::past(Point::LendRecorded);
        tree.point_at(&dir)?;
        Ok(Lent { writable })
    }

    /// Takes home what was left in the git directory that was lent last, if it was not before; gives what was odd, a
    /// sentence each, safe to show. No agent may be at work in the worktree.
    ///
    /// # Errors
    /// git or the disk failed; doing it again continues.
    pub fn take_home(&self, name: WorktreeName) -> Result<Vec<String>, GitError> {
        match Tree::find(&self.repo, &self.path(name))? {
            Some(tree) if tree.is_whole() => tree.heal(None, &self.repo),
            Some(tree) => tree.take_home(&self.repo),
            None => Ok(Vec::new()),
        }
    }
}

impl Repo {
    /// Whether agents can be isolated so in this repository.
    ///
    /// # Errors
    /// They cannot, and why; or the configuration cannot be read.
    pub fn can_isolate(&self, isolation: Isolation) -> Result<(), GitError> {
        if isolation == Isolation::Worktree {
            return Ok(());
        }
        let settings = own_settings(self.git())?;
        let is_partial = settings
            .iter()
            .any(|(key, _)| key == b"extensions.partialclone");
        let why = if is_partial {
            "what a partial clone lacks could not be told from what an agent left out"
        } else if self
            .git_dir()
            .as_os_str()
            .as_encoded_bytes()
            .contains(&b'\n')
        {
            "git cannot borrow objects from a path with a line break"
        } else {
            return Ok(());
        };
        let why = format!("{why}; use `isolation: worktree`");
        Err(GitError::refused("give agents clones of their own", why))
    }

    /// Fills an empty git directory, and names what besides it must be writable.
    fn make_lent(
        &self,
        tree: &Tree,
        loan: &Loan,
        dir: &Path,
        writable: &mut Vec<PathBuf>,
    ) -> Result<(), GitError> {
        for name in ["refs", "info"] {
            make_dir(&dir.join(name))?;
        }
        let settings = own_settings(self.git())?;
        let objects = self.git_dir().join("objects");
        match loan.isolation {
            Isolation::Worktree => {
                link(&objects, &dir.join("objects"))?;
                writable.push(objects);
            }
            Isolation::Clone => {
                borrow(&objects, &dir.join("objects"))?;
            }
        }
        if self.uses_lfs(&settings) {
            let store = self.git_dir().join(LFS);
            make_dir(&store)?;
            link(&store, &dir.join(LFS))?;
            writable.push(store);
        }
        // Of submodules that were checked out before anything was lent.
        writable.extend(
            [tree.admin.join("modules")]
                .into_iter()
                .filter(|dir| is_real_dir(dir)),
        );
        write(&dir.join("config"), &config(settings, loan.isolation))?;
        copy_hooks(&self.git_dir().join("hooks"), &dir.join("hooks"))?;
        for (from, name) in [
            (self.settings(), "info/attributes"),
            (self.settings(), "info/exclude"),
            (&tree.admin, "HEAD"),
            (&tree.admin, "info/sparse-checkout"),
            (self.git_dir(), "shallow"),
        ] {
            copy_plain(&from.join(name), &dir.join(name), &mut 1)?;
        }
        self.lend_refs(tree, &loan.slug, dir)?;
        lay_state(&tree.admin, dir)?;
        let index = tree.admin.join("index");
        if index.is_file() {
            copy_index(&index, &dir.join("index"))?;
        }
        Ok(())
    }

    /// Whether files of this repository may be kept by git-lfs.
    fn uses_lfs(&self, settings: &[Setting]) -> bool {
        let global = fs::read(self.settings().join("global")).unwrap_or_default();
        let named = b"[filter \"lfs\"]";
        self.git_dir().join(LFS).is_dir()
            || settings
                .iter()
                .any(|(key, _)| key.starts_with(b"filter.lfs."))
            || global.windows(named.len()).any(|part| part == named)
    }

    /// Copies the refs that concern a feature: all but the stash and what harness keeps of others.
    fn lend_refs(&self, tree: &Tree, slug: &Slug, dir: &Path) -> Result<(), GitError> {
        let read = || GitError::read("list the refs".to_owned());
        let (mut packed, mut aliases) = (BTreeMap::new(), Vec::new());
        for found in self.library()?.for_once().references().map_err(read())? {
            let found = found.map_err(read())?;
            let Some(name) = found.name().ok().filter(|name| concerns(name, slug)) else {
                continue;
            };
            match (found.target(), found.symbolic_target()) {
                (Some(oid), _) => {
                    packed.insert(name.to_owned(), (oid, found.target_peel()));
                }
                (None, Ok(Some(to))) => aliases.push((name.to_owned(), to.to_owned())),
                // What names nothing is of no use to anybody.
                _ => {}
            }
        }
        let mut text = String::from("# pack-refs with: sorted \n");
        for (name, (oid, peeled)) in packed {
            text.push_str(&format!("{oid} {name}\n"));
            text.extend(peeled.map(|peeled| format!("^{peeled}\n")));
        }
        write(&dir.join("packed-refs"), text.as_bytes())?;
        loan::write_refs(&tree.admin, text.as_bytes())?;
        for (name, to) in aliases {
            let path = dir.join(name);
            make_dir(path.parent().unwrap_or(dir))?;
            write(&path, format!("ref: {to}\n").as_bytes())?;
        }
        Ok(())
    }
}

/// Whether a ref is lent to a feature's agent.
fn concerns(name: &str, slug: &Slug) -> bool {
    let Some(ours) = name.strip_prefix("refs/harness/") else {
        return name != "refs/stash";
    };
    let (kind, rest) = ours.split_once('/').unwrap_or((ours, ""));
    let rest = match kind {
        "integration" => return true,
        "iterations" | "old" | "onto" | "lost" => rest.strip_prefix(slug.as_str()),
        _ => None,
    };
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '-']))
}

/// The settings of a lent directory.
fn config(mut settings: Vec<Setting>, isolation: Isolation) -> Vec<u8> {
    settings.retain(|(key, _)| !OF_THE_MAIN_ONE.contains(&key.as_slice()));
    if isolation == Isolation::Clone {
        settings.retain(|(key, _)| !is_secret(key));
        for (_, value) in settings.iter_mut() {
            let plain = value.as_deref().and_then(without_password);
            *value = plain.or_else(|| value.take());
        }
    }
    let precious = (isolation == Isolation::Worktree).then_some(PRECIOUS);
    for (key, value) in FIXED.into_iter().chain(precious) {
        settings.push((key.into(), Some(value.into())));
    }
    as_file(&settings)
}

/// Settings that hold what only their owner should have.
fn is_secret(key: &[u8]) -> bool {
    let names = [
        &b".extraheader"[..],
        b".cookiefile",
        b".password",
        b".token",
    ];
    let has_user = key.contains(&b'@') && key.starts_with(b"url.");
    key.starts_with(b"credential.") || has_user || names.iter().any(|end| key.ends_with(end))
}

/// An address without the user it names; `None` when it names none.
pub(super) fn without_password(value: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(value).ok()?;
    let (scheme, rest) = text.split_once("://")?;
    let host = rest.split('/').next().unwrap_or(rest);
    let (user, host) = host.rsplit_once('@')?;
    // A name alone is no secret, and ssh needs it.
    let is_plain = scheme == "ssh" && !user.contains(':');
    let path = &rest[user.len() + 1 + host.len()..];
    (!is_plain).then(|| format!("{scheme}://{host}{path}").into_bytes())
}

/// Empties a lent directory but for what is worth keeping: submodules, and of the same work its logs and objects.
fn clear(dir: &Path, is_same: bool) -> Result<(), GitError> {
    if !is_real_dir(dir) {
        remove_any(dir)?;
        return make_dir(dir);
    }
    for path in entries(dir)? {
        let name = path.file_name().and_then(|name| name.to_str());
        let is_kept = match name {
            Some("modules") => true,
            Some("logs" | "objects") => is_same,
            _ => false,
        };
        if !is_kept || !is_real_dir(&path) {
            remove_any(&path)?;
        }
    }
    Ok(())
}

/// Makes an object store that finds in another what it has not itself.
fn borrow(from: &Path, store: &Path) -> Result<(), GitError> {
    let info = store.join("info");
    if !is_real_dir(&info) {
        remove_any(&info)?;
    }
    for dir in [&info, &store.join("pack")] {
        make_dir(dir)?;
    }
    let alternates = info.join("alternates");
    remove_any(&alternates)?;
    write(
        &alternates,
        &[from.as_os_str().as_encoded_bytes(), b"\n"].concat(),
    )
}

/// Copies what an unfinished operation has written from one git directory into another, where nothing of it stays that
/// the first one has not.
pub(super) fn lay_state(from: &Path, to: &Path) -> Result<(), GitError> {
    let mut room = STATE_FILES_CAP;
    for name in UNFINISHED.into_iter().chain(["ORIG_HEAD"]) {
        remove_any(&to.join(name))?;
        copy_plain(&from.join(name), &to.join(name), &mut room)?;
    }
    Ok(())
}

/// Copies a regular file, or a directory of them, while there is room for so many; anything else is left out.
pub(super) fn copy_plain(from: &Path, to: &Path, room: &mut u32) -> Result<(), GitError> {
    let Ok(meta) = fs::symlink_metadata(from) else {
        return Ok(());
    };
    if *room == 0 || !(meta.is_dir() || meta.is_file() && meta.len() <= STATE_FILE_CAP) {
        return Ok(());
    }
    *room -= 1;
    if meta.is_file() {
        let bytes = fs::read(from).map_err(GitError::io("read", from))?;
        return write(to, &bytes);
    }
    make_dir(to)?;
    for path in entries(from)? {
        if let Some(name) = path.file_name() {
            copy_plain(&path, &to.join(name), room)?;
        }
    }
    Ok(())
}

/// Copies the hooks that git would run: those of the user hold for who commits in a worktree, too.
fn copy_hooks(from: &Path, to: &Path) -> Result<(), GitError> {
    make_dir(to)?;
    for path in entries(from)? {
        let is_example = path.extension().is_some_and(|end| end == "sample");
        let meta = fs::metadata(&path).ok().filter(|_| !is_example);
        if let Some(name) = path.file_name()
            && meta.is_some_and(|meta| meta.is_file() && meta.len() <= HOOK_CAP)
        {
            fault::at(Point::GitFileCopy)
                .and_then(|()| fs::copy(&path, to.join(name)))
                .map_err(GitError::io("copy", &path))?;
        }
    }
    Ok(())
}

fn link(to: &Path, at: &Path) -> Result<(), GitError> {
    remove_any(at)?;
    fault::at(Point::GitFileCreate)
        .and_then(|()| symlink(to, at))
        .map_err(GitError::io("create", at))
}
