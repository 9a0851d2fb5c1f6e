//! One worktree of the pool as git keeps it: its administrative directory, its HEAD, its leftovers.
//!
//! What agents left in a worktree is not trusted: its `.git` file is never followed, and git is always told
//! which repository it works on.

use super::cli::Git;
use super::error::GitError;
use super::merge::{Unmerged, unmerged};
use super::repo::{Repo, branch_of, to_path};
use crate::fault::{self, Point};
use crate::model::{Oid, Slug};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The directory through which the agent talks to harness; never part of anything git keeps.
pub(super) const OUTBOX: &str = ".harness";
/// In a worktree's administrative directory: which feature it was prepared for.
const OWNER_FILE: &str = "harness-feature";
/// In a worktree's administrative directory: a merge is being laid into it for this feature, and no agent has
/// been in it since that began.
const LAYING_FILE: &str = "harness-laying";
/// What an unfinished merge, rebase, cherry-pick, revert, am or bisect leaves.
pub(super) const UNFINISHED: [&str; 18] = [
    "MERGE_HEAD",
    "MERGE_MODE",
    "MERGE_MSG",
    "MERGE_RR",
    "MERGE_AUTOSTASH",
    "AUTO_MERGE",
    "SQUASH_MSG",
    "CHERRY_PICK_HEAD",
    "REVERT_HEAD",
    "REBASE_HEAD",
    "sequencer",
    "rebase-merge",
    "rebase-apply",
    "BISECT_LOG",
    "BISECT_START",
    "BISECT_NAMES",
    "BISECT_TERMS",
    "BISECT_EXPECTED_REV",
];

/// A linked worktree.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) path: PathBuf,
    pub(super) admin: PathBuf,
    pub(super) git: Git,
}

/// Where a worktree's HEAD points.
#[derive(Debug, Default)]
pub(super) struct Head {
    /// The branch it is attached to.
    pub(super) branch: Option<String>,
    /// The commit; `None` when the branch has none or the file is broken.
    pub(super) commit: Option<Oid>,
}

impl Tree {
    /// The registered worktree at `path`, whatever state it is in.
    pub(super) fn find(repo: &Repo, path: &Path) -> Result<Option<Self>, GitError> {
        let all = repo.git_dir().join("worktrees");
        let entries = match fs::read_dir(&all) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(GitError::io("list", &all)(error)),
        };
        for entry in entries {
            let admin = entry.map_err(GitError::io("list", &all))?.path();
            if worktree_of(&admin).is_some_and(|found| same(&found, path)) {
                return Ok(Some(Self::at(repo, path, admin)));
            }
        }
        Ok(None)
    }

    /// The worktree at `path` with this administrative directory.
    pub(super) fn at(repo: &Repo, path: &Path, admin: PathBuf) -> Self {
        Self {
            path: path.to_owned(),
            git: repo.git().on(&admin).at(path),
            admin,
        }
    }

    /// Whether its directory is there and its creation was not cut short.
    pub(super) fn is_whole(&self) -> bool {
        let is_dir = fs::symlink_metadata(&self.path).is_ok_and(|meta| meta.is_dir());
        let locked = fs::read_to_string(self.admin.join("locked")).unwrap_or_default();
        is_dir && !locked.contains("initializing")
    }

    /// Notes that its creation has come to its end.
    pub(super) fn unlock(&self) -> Result<(), GitError> {
        remove_file(&self.admin.join("locked"))
    }

    /// Takes home what an agent left in a git directory that was lent to it, removes locks of killed git processes
    /// and repairs the links between the worktree and the repository. Only called when no agent runs in it.
    pub(super) fn heal(&self, slug: Option<&Slug>, repo: &Repo) -> Result<Vec<String>, GitError> {
        for entry in fs::read_dir(&self.admin).map_err(GitError::io("list", &self.admin))? {
            let path = entry.map_err(GitError::io("list", &self.admin))?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "lock")
            {
                remove_file(&path)?;
            }
        }
        if let Some(slug) = slug {
            // Nobody but the feature's own agent, which is dead, writes its branch.
            repo.unlock(&branch_of(slug))?;
        }
        let common = self.admin.join("commondir");
        if !reads(&common, b"../..") {
            write(&common, b"../..\n")?;
        }
        self.mend_head(slug)?;
        let mut notes = self.take_home(repo)?;
        notes.extend(self.relink()?);
        Ok(notes)
    }

    /// A HEAD that git cannot even parse is attached to the feature's branch again.
    fn mend_head(&self, slug: Option<&Slug>) -> Result<(), GitError> {
        let head = self.admin.join("HEAD");
        let text = fs::read_to_string(&head).unwrap_or_default();
        if text.starts_with("ref: refs/") || Oid::parse(&text).is_some() {
            return Ok(());
        }
        match slug.cloned().or_else(|| self.owner()) {
            Some(slug) => write(&head, format!("ref: {}\n", branch_of(&slug)).as_bytes()),
            None => Ok(()),
        }
    }

    /// Makes `.git` the file that names this worktree's administrative directory. A repository an agent
    /// put there instead is moved next to the worktree.
    fn relink(&self) -> Result<Vec<String>, GitError> {
        let link = self.path.join(".git");
        let named = |text: &[u8]| {
            let named = text.strip_prefix(b"gitdir: ").map(<[u8]>::trim_ascii_end);
            named.is_some_and(|named| same(&self.path.join(to_path(named)), &self.admin))
        };
        let meta = fs::symlink_metadata(&link).ok();
        if meta.as_ref().is_some_and(|m| m.is_file() && m.len() < 8192)
            && fs::read(&link).is_ok_and(|text| named(&text))
        {
            return Ok(Vec::new());
        }
        let mut notes = Vec::new();
        if meta.is_some_and(|meta| meta.is_dir()) {
            let aside = free_name(&self.path);
            fault::at(Point::GitFileRename)
                .and_then(|()| fs::rename(&link, &aside))
                .map_err(GitError::io("move aside", &link))?;
            let name = aside.display();
            notes.push(format!(
                "the worktree's .git had been replaced by a repository, now at {name}"
            ));
        } else {
            remove_file(&link)?;
        }
        self.point_at(&self.admin)?;
        Ok(notes)
    }

    /// Writes into the worktree's `.git` file where git is to look.
    pub(super) fn point_at(&self, git_dir: &Path) -> Result<(), GitError> {
        let named = git_dir.as_os_str().as_encoded_bytes();
        let link = [b"gitdir: ", named, b"\n"].concat();
        write(&self.path.join(".git"), &link)
    }

    /// Where HEAD points. A broken HEAD reads as nothing.
    pub(super) fn head(&self, repo: &Repo) -> Result<Head, GitError> {
        let text = fs::read_to_string(self.admin.join("HEAD")).unwrap_or_default();
        if let Some(branch) = text.trim_end().strip_prefix("ref: ") {
            return Ok(Head {
                branch: Some(branch.to_owned()),
                commit: repo.tip(branch)?,
            });
        }
        let commit = Oid::parse(&text);
        let there = match &commit {
            Some(commit) => repo.is_commit(commit)?,
            None => false,
        };
        Ok(Head {
            branch: None,
            commit: commit.filter(|_| there),
        })
    }

    /// Attaches HEAD to a branch; files and index stay as they are.
    pub(super) fn attach(&self, branch: &str) -> Result<(), GitError> {
        self.git
            .call(["symbolic-ref", "HEAD", branch])
            .ok()
            .map(drop)
    }

    /// Detaches HEAD at a commit; files and index stay as they are.
    pub(super) fn detach(&self, commit: &Oid) -> Result<(), GitError> {
        self.git
            .call(["update-ref", "--no-deref", "HEAD", commit.as_str()])
            .ok()
            .map(drop)
    }

    /// Whether nothing differs from HEAD: no modified, deleted or untracked file, no unmerged path.
    pub(super) fn is_clean(&self) -> Result<bool, GitError> {
        Ok(self.status()?.is_empty())
    }

    /// What differs from HEAD, as git prints it; the outbox left out.
    pub(super) fn status(&self) -> Result<String, GitError> {
        let shown = self
            .git
            .call([
                "status",
                "--porcelain",
                "--untracked-files=normal",
                // Not what is inside them: git would ask them with their own settings.
                "--ignore-submodules=dirty",
            ])
            .arg("--")
            .arg(format!(":(exclude,top){OUTBOX}"))
            .ok()?;
        Ok(shown.text())
    }

    /// Makes the worktree hold exactly this commit, HEAD detached. Ignored files stay: they are caches.
    pub(super) fn switch(&self, commit: &Oid) -> Result<(), GitError> {
        self.forget_unfinished()?;
        self.git
            .call([
                "checkout",
                "--quiet",
                "--force",
                "--detach",
                commit.as_str(),
                "--",
            ])
            .ok()?;
        self.git
            .call(["clean", "-ffdq", "-e", &format!("/{OUTBOX}/")])
            .ok()
            .map(drop)
    }

    /// Commits that an unfinished merge was to bring in.
    pub(super) fn merge_heads(&self) -> Vec<Oid> {
        let text = fs::read_to_string(self.admin.join("MERGE_HEAD")).unwrap_or_default();
        text.lines().filter_map(Oid::parse).collect()
    }

    /// What the index holds of paths in conflict.
    pub(super) fn unmerged(&self) -> Result<Vec<Unmerged>, GitError> {
        let listed = self.git.call(["ls-files", "--unmerged", "-z"]).ok()?;
        Ok(unmerged(listed.fields()))
    }

    /// Whether a rebase or `git am` is under way.
    pub(super) fn is_rebasing(&self) -> bool {
        ["rebase-merge", "rebase-apply"]
            .iter()
            .any(|name| self.admin.join(name).exists())
    }

    /// What a rebase or merge has put aside before it began.
    pub(super) fn autostash(&self) -> Option<Oid> {
        [
            "rebase-merge/autostash",
            "rebase-apply/autostash",
            "MERGE_AUTOSTASH",
        ]
        .iter()
        .filter_map(|name| fs::read_to_string(self.admin.join(name)).ok())
        .find_map(|text| Oid::parse(&text))
    }

    /// Ends an unfinished merge, rebase or the like where it stands; files, index and HEAD stay.
    pub(super) fn forget_unfinished(&self) -> Result<(), GitError> {
        for name in UNFINISHED {
            let path = self.admin.join(name);
            match fs::symlink_metadata(&path) {
                Ok(meta) if meta.is_dir() => {
                    remove_any(&path)?;
                }
                Ok(_) => remove_file(&path)?,
                Err(_) => {}
            }
        }
        Ok(())
    }

    /// The feature it was prepared for; survives crashes and whatever agents do to branches.
    pub(super) fn owner(&self) -> Option<Slug> {
        let text = fs::read_to_string(self.admin.join(OWNER_FILE)).ok()?;
        Slug::new(text.trim_end()).ok()
    }

    /// Notes the feature, or that there is none now.
    pub(super) fn set_owner(&self, slug: Option<&Slug>) -> Result<(), GitError> {
        let path = self.admin.join(OWNER_FILE);
        match slug {
            Some(slug) => write(&path, format!("{slug}\n").as_bytes()),
            None => remove_file(&path),
        }
    }

    /// Whether laying a merge for the feature was begun and not ended: what lies there is half of it.
    pub(super) fn is_laying(&self, slug: &Slug) -> bool {
        reads(&self.admin.join(LAYING_FILE), slug.as_str().as_bytes())
    }

    /// Notes that a merge is being laid, or that none is.
    pub(super) fn set_laying(&self, slug: Option<&Slug>) -> Result<(), GitError> {
        let path = self.admin.join(LAYING_FILE);
        match slug {
            Some(slug) => write(&path, format!("{slug}\n").as_bytes()),
            None => remove_file(&path),
        }
    }

    /// Makes the outbox a real directory that ignores itself.
    pub(super) fn make_outbox(&self) -> Result<(), GitError> {
        let outbox = self.path.join(OUTBOX);
        match fs::symlink_metadata(&outbox) {
            Ok(meta) if meta.is_dir() => {}
            found => {
                if found.is_ok() {
                    remove_file(&outbox)?;
                }
                make_dir(&outbox)?;
            }
        }
        let ignore = outbox.join(".gitignore");
        if !reads(&ignore, b"*") {
            remove_any(&ignore)?;
            write(&ignore, b"*\n")?;
        }
        Ok(())
    }
}

/// The worktree an administrative directory belongs to.
pub(super) fn worktree_of(admin: &Path) -> Option<PathBuf> {
    let text = fs::read(admin.join("gitdir")).ok()?;
    let link = admin.join(to_path(text.trim_ascii_end()));
    link.parent().map(Path::to_owned)
}

/// Whether two paths name the same place, links resolved where the place exists.
pub(super) fn same(a: &Path, b: &Path) -> bool {
    a == b || matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

/// Removes a file or link if it is there.
pub(super) fn remove_file(path: &Path) -> Result<(), GitError> {
    match fault::at(Point::GitFileRemove).and_then(|()| fs::remove_file(path)) {
        Ok(()) => Ok(()),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(())
        }
        Err(error) => Err(GitError::io("remove", path)(error)),
    }
}

/// Removes whatever is there, links not followed, directories without write permission included.
pub(super) fn remove_any(path: &Path) -> Result<(), GitError> {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => {}
        _ => return remove_file(path),
    }
    fault::at(Point::GitDirRemove).map_err(GitError::io("remove", path))?;
    if fs::remove_dir_all(path).is_ok() {
        return Ok(());
    }
    // Package caches are often read-only; git worktree remove would fail on them too.
    open_up(path);
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(GitError::io("remove", path)(error))
        }
        _ => Ok(()),
    }
}

/// Gives us write permission on every directory below; what cannot be changed shows at the removal.
fn open_up(dir: &Path) {
    let _ = fs::set_permissions(dir, fs::Permissions::from_mode(0o700));
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            open_up(&entry.path());
        }
    }
}

/// Whether a regular file holds this, apart from white space at its end.
fn reads(path: &Path, text: &[u8]) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| meta.is_file() && meta.len() < 4096)
        && fs::read(path).is_ok_and(|found| found.trim_ascii_end() == text)
}

/// Makes a directory, and those above it, where there is none.
pub(super) fn make_dir(path: &Path) -> Result<(), GitError> {
    fault::at(Point::GitDirCreate)
        .and_then(|()| fs::create_dir_all(path))
        .map_err(GitError::io("create", path))
}

/// Writes a file.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), GitError> {
    fault::at(Point::GitFileCreate)
        .and_then(|()| fs::File::create(path))
        .and_then(|mut file| fault::write(Point::GitFileWrite, &mut file, bytes))
        .map_err(GitError::io("write", path))
}

/// Writes a file, and sees to it that what it holds is on the disk.
pub(super) fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), GitError> {
    fault::at(Point::GitFileCreate)
        .and_then(|()| fs::File::create(path))
        .and_then(|mut file| {
            fault::write(Point::GitFileWrite, &mut file, bytes)?;
            file.sync_data()
        })
        .map_err(GitError::io("write", path))
}

/// Writes a file whole or not at all, whatever happens meanwhile.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), GitError> {
    let draft = path.with_added_extension("new");
    remove_any(&draft)?;
    let created = fault::at(Point::GitFileCreate).and_then(|()| fs::File::create_new(&draft));
    let written = created.and_then(|mut file| {
        fault::write(Point::GitFileWrite, &mut file, bytes)?;
        file.sync_data()?;
        fault::at(Point::GitFileRename)?;
        fs::rename(&draft, path)
    });
    written.map_err(GitError::io("write", path))
}

/// A name next to `path` that is not taken: `w1.git-1`, `w1.git-2`, …
fn free_name(path: &Path) -> PathBuf {
    let mut number = 1;
    loop {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".git-{number}"));
        if fs::symlink_metadata(&name).is_err() {
            return PathBuf::from(name);
        }
        number += 1;
    }
}
