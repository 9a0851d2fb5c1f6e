//! Tests against real repositories, made with the git program in temporary directories.

mod changes;
mod earlier;
mod finding;
mod forward;
mod guarded;
mod handback;
mod landing;
mod laying;
mod lending;
mod litter;
mod many;
mod patch;
mod planted;
mod pool;
mod radar;
mod recover;
mod regenerate;
mod snapshots;
mod tripwire;
mod undo;

use super::{Chained, Link, Prepared, Repo, Snapshot, Strategy, Worktrees};
use crate::model::{Candidate, Oid, PublishOutcome, Slug, WorktreeName};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

pub(super) const MAIN: &str = "refs/heads/main";
pub(super) const W1: WorktreeName = WorktreeName(1);
pub(super) const W2: WorktreeName = WorktreeName(2);

/// A repository with one commit on `main`, in a directory with a blank and an umlaut in its name.
pub(super) struct Fixture {
    dir: tempfile::TempDir,
    pub(super) root: PathBuf,
}

pub(super) fn slug(text: &str) -> Slug {
    Slug::new(text).unwrap()
}

/// An environment that no configuration of the machine reaches.
pub(super) fn env(home: &Path) -> Vec<(OsString, OsString)> {
    let mut env: Vec<(OsString, OsString)> = Vec::new();
    env.push(("PATH".into(), std::env::var_os("PATH").unwrap()));
    env.push(("HOME".into(), home.into()));
    for (name, value) in [
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_CONFIG_SYSTEM", "/dev/null"),
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_AUTHOR_NAME", "Ada"),
        ("GIT_AUTHOR_EMAIL", "ada@example.com"),
        ("GIT_COMMITTER_NAME", "Ada"),
        ("GIT_COMMITTER_EMAIL", "ada@example.com"),
    ] {
        env.push((name.into(), value.into()));
    }
    env
}

impl Fixture {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap().join("my äpp");
        fs::create_dir(&root).unwrap();
        let fixture = Self { dir, root };
        fixture.git(&fixture.root, &["init", "-q", "-b", "main"]);
        fixture.write("a.txt", "1\n2\n3\n4\n5\n6\n7\n8\n9\n");
        fixture.write("b.txt", "b\n");
        fixture.write(".gitignore", "*.ignored\ncache/\n.env\n");
        fixture.commit("first");
        fixture
    }

    pub(super) fn home(&self) -> &Path {
        self.dir.path()
    }

    /// Runs git as a user or an agent would; gives what it printed.
    pub(super) fn git(&self, cwd: &Path, args: &[&str]) -> String {
        let (ok, out) = self.try_git(cwd, args);
        assert!(ok, "git {args:?}: {out}");
        out
    }

    pub(super) fn try_git(&self, cwd: &Path, args: &[&str]) -> (bool, String) {
        let mut command = Command::new("git");
        command
            .current_dir(cwd)
            .args(args)
            .env_clear()
            .envs(env(self.home()));
        let output = command.env("GIT_EDITOR", "true").output().unwrap();
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            text.push_str(&String::from_utf8_lossy(&output.stderr));
        }
        (output.status.success(), text.trim_end().to_owned())
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        put(&self.root, name, text);
    }

    /// Commits everything in the main checkout.
    pub(super) fn commit(&self, message: &str) -> Oid {
        self.git(&self.root, &["add", "-A"]);
        self.git(&self.root, &["commit", "-q", "-m", message]);
        self.oid("HEAD")
    }

    pub(super) fn oid(&self, revision: &str) -> Oid {
        Oid::parse(&self.git(&self.root, &["rev-parse", revision])).unwrap()
    }

    /// A branch with one commit on `from`, made in the main checkout, which is on `main` afterwards.
    pub(super) fn branch(&self, name: &str, from: &str, work: impl FnOnce(&Path)) -> Oid {
        self.git(&self.root, &["checkout", "-q", "-b", name, from]);
        work(&self.root);
        let tip = self.commit(name);
        self.git(&self.root, &["checkout", "-q", "main"]);
        tip
    }

    /// Every file of the main checkout and of its git directory, with mode and content, but for objects:
    /// of those, only the names. What must not be touched must leave this the same.
    pub(super) fn everything(&self) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
        let mut found = BTreeMap::new();
        let mut open = vec![self.root.clone()];
        while let Some(dir) = open.pop() {
            for entry in fs::read_dir(&dir).unwrap() {
                let path = entry.unwrap().path();
                let meta = fs::symlink_metadata(&path).unwrap();
                let content = if meta.is_dir() {
                    open.push(path.clone());
                    Vec::new()
                } else if meta.is_symlink() {
                    let to = fs::read_link(&path).unwrap();
                    to.into_os_string().into_encoded_bytes()
                } else if path.starts_with(self.root.join(".git/objects")) {
                    Vec::new()
                } else {
                    fs::read(&path).unwrap()
                };
                found.insert(path, (meta.permissions().mode(), content));
            }
        }
        found
    }

    /// The same without git's objects, which may be added.
    pub(super) fn all_but_objects(&self) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
        let mut found = self.everything();
        found.retain(|path, _| !path.starts_with(self.root.join(".git/objects")));
        found
    }

    /// Uncommitted work of every kind in the main checkout.
    pub(super) fn make_dirty(&self) {
        self.write("b.txt", "staged\n");
        self.git(&self.root, &["add", "b.txt"]);
        self.write("b.txt", "and then edited\n");
        self.write("untracked ü.txt", "mine\n");
        let _ = fs::remove_file(self.root.join("a.txt"));
    }

    /// git finds nothing wrong with the repository.
    pub(super) fn fsck(&self) {
        let (ok, said) = self.try_git(&self.root, &["fsck", "--strict", "--no-dangling"]);
        assert!(ok, "{said}");
    }

    /// The repository through a git program that says it is older than it is.
    pub(super) fn repo_with_old_git(&self, version: &str) -> Repo {
        let bin = self.home().join("old git");
        fs::create_dir_all(&bin).unwrap();
        // Written by a shell: a file that another thread's child still holds open cannot be started.
        let script = "real=$(command -v git) && printf '%s\n' '#!/bin/sh' \
            'case \" $* \" in *\" version \"*) echo git version '\"$2\"';; *) exec '\"$real\"' \"$@\";; esac' \
            > \"$1/git\" && chmod +x \"$1/git\"";
        let made = Command::new("sh")
            .args(["-c", script, "sh"])
            .arg(&bin)
            .arg(version)
            .status();
        assert!(made.unwrap().success());
        let mut path = bin.into_os_string();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap());
        let mut env = env(self.home());
        env.retain(|(name, _)| name != "PATH");
        env.push(("PATH".into(), path));
        Repo::discover_with(&self.root, env).unwrap()
    }

    /// As a run has it.
    pub(super) fn repo(&self) -> Repo {
        Repo::discover_with(&self.root, env(self.home()))
            .unwrap()
            .seal()
            .unwrap()
    }

    pub(super) fn pool(&self) -> Worktrees {
        Worktrees::new(self.repo(), Path::new("../my äpp.harness")).unwrap()
    }

    pub(super) fn prepare(&self, pool: &Worktrees, name: &str, worktree: WorktreeName) -> Prepared {
        self.try_prepare(pool, name, worktree, false).unwrap()
    }

    pub(super) fn try_prepare(
        &self,
        pool: &Worktrees,
        name: &str,
        worktree: WorktreeName,
        fresh: bool,
    ) -> Result<Prepared, super::GitError> {
        let include = self.root.join(".worktreeinclude");
        pool.prepare(&slug(name), worktree, MAIN, fresh, &include)
    }

    pub(super) fn snapshot(&self, prepared: &Prepared, name: &str, iteration: u32) -> Snapshot {
        let trailers = [("Harness-Feature", name)];
        let subject = format!("{name}: iteration {iteration} (did it)");
        let (path, before) = (&prepared.path, &prepared.tip);
        let taken = self
            .repo()
            .snapshot(path, &slug(name), iteration, before, &subject, &trailers);
        let taken = taken.unwrap();
        // The promises that hold after every snapshot.
        assert_eq!(self.git(path, &["status", "--porcelain"]), "");
        let branch = format!("refs/heads/harness/{name}");
        assert_eq!(self.git(path, &["symbolic-ref", "HEAD"]), branch);
        assert_eq!(self.oid(&branch), taken.tip);
        assert!(
            self.git(path, &["status"]).lines().count() <= 2,
            "nothing is in progress"
        );
        taken
    }

    /// A feature whose branch has one commit that writes `file`.
    pub(super) fn feature(&self, pool: &Worktrees, name: &str, file: &str, text: &str) -> Snapshot {
        let prepared = self.prepare(pool, name, W1);
        put(&prepared.path, file, text);
        self.snapshot(&prepared, name, 1)
    }

    /// A chain of these features on `onto`, named after them: no two chains under way share a name.
    pub(super) fn chain(
        &self,
        onto: &Oid,
        tip: &Oid,
        names: &[&str],
        strategy: Strategy,
    ) -> Chained {
        let links: Vec<Link> = names
            .iter()
            .map(|name| Link {
                slug: slug(name),
                message: "Land it\n".to_owned(),
            })
            .collect();
        // An attempt's name is its own: only then may a lock left on its ref be removed.
        let name = names.join("-");
        self.repo()
            .chain(&name, onto, tip, &links, strategy, &mut |_| Ok(None))
            .unwrap()
    }

    pub(super) fn candidate(&self, name: &str, strategy: Strategy) -> Candidate {
        let main = self.oid("main");
        let built = self.chain(&main, &main, &[name], strategy);
        assert_eq!(built.conflicts, []);
        assert_eq!(built.failed, []);
        built.chain.steps[0].candidate.clone()
    }

    pub(super) fn publish(&self, candidate: &Candidate) -> PublishOutcome {
        let repo = self.repo();
        repo.publish(MAIN, &candidate.onto, &candidate.commit)
            .unwrap()
    }

    /// The content of a file in a commit, if it is there.
    pub(super) fn show(&self, revision: &str, path: &str) -> Option<String> {
        let (ok, text) = self.try_git(&self.root, &["show", &format!("{revision}:{path}")]);
        ok.then_some(text)
    }

    /// All refs of a kind.
    pub(super) fn refs(&self, under: &str) -> Vec<String> {
        let listed = self.git(&self.root, &["for-each-ref", "--format=%(refname)", under]);
        listed.lines().map(str::to_owned).collect()
    }
}

pub(super) fn put(dir: &Path, name: &str, text: &str) {
    let path = dir.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

pub(super) fn get(dir: &Path, name: &str) -> Option<String> {
    fs::read_to_string(dir.join(name)).ok()
}
