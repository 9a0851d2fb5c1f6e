//! The one place that starts the git program: environment, limits and capture of every call.
//!
//! This file never knows what a command is for, and nothing it starts inherits the caller's `GIT_*`
//! variables, terminal, hooks or pager.

use super::child::{Sink, wait};
use super::error::{GitError, visible};
use super::sealed::Sealed;
use crate::fault::{self, Point};
use crate::model::Oid;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

/// Longest any one git command may take: a checkout of a huge tree, with filters, on a busy disk.
const LIMIT: Duration = Duration::from_secs(900);
/// What an empty pipe takes without anybody reading.
const PIPE_HOLDS: usize = 4096;
/// Most bytes of a command's output that are kept. More is an error, never a truncated answer.
const STDOUT_CAP: usize = 256 << 20;
/// Most bytes of its complaints that are kept.
const STDERR_CAP: usize = 256 << 10;

/// Variables that are handed on: what git needs to find the user's identity, keys and configuration.
const HANDED_ON: [&str; 11] = [
    "PATH",
    "HOME",
    "XDG_CONFIG_HOME",
    "USER",
    "LOGNAME",
    "TMPDIR",
    "SSH_AUTH_SOCK",
    "GNUPGHOME",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM",
    "GIT_CONFIG_NOSYSTEM",
];
const FIXED_ENV: [(&str, &str); 7] = [
    // Reading must not take `index.lock`: without this, polling makes agents' own commits fail.
    ("GIT_OPTIONAL_LOCKS", "0"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_NO_LAZY_FETCH", "1"),
    ("GIT_EDITOR", "true"),
    ("GIT_SEQUENCE_EDITOR", "true"),
    ("GIT_PAGER", "cat"),
    ("LC_ALL", "C"),
];
/// Settings of every call: nothing planted runs, nothing waits for a person, what is written is synced,
/// and a ref somebody else is just writing is waited for.
const FIXED_CONFIG: [&str; 16] = [
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    // A line end that git would change is no reason to lose a snapshot.
    "core.safecrlf=false",
    // What is checked out inside a submodule obeys settings that an agent could write.
    "submodule.recurse=false",
    "core.pager=cat",
    "core.quotePath=false",
    "core.fsync=committed,reference",
    "core.fsyncMethod=batch",
    "core.filesRefLockTimeout=5000",
    "core.packedRefsTimeout=5000",
    "gc.auto=0",
    "maintenance.auto=false",
    "commit.gpgSign=false",
    "rerere.enabled=false",
    "i18n.commitEncoding=UTF-8",
    "advice.detachedHead=false",
];

/// Where git commands run and on what.
#[derive(Clone, Debug)]
pub(super) struct Git {
    program: Arc<Path>,
    /// Where its configuration comes from, when not from the repository.
    sealed: Option<Arc<Sealed>>,
    env: Arc<Vec<(OsString, OsString)>>,
    cwd: PathBuf,
    git_dir: Option<PathBuf>,
    work_tree: Option<PathBuf>,
    index: Option<PathBuf>,
}

/// Where git is: the first of its name on the path. It is looked for once, so that nobody can put another one in
/// its way later, and a program with a path is started without a copy of this process, which took longer than
/// most git commands do.
fn program(env: &[(OsString, OsString)]) -> PathBuf {
    let path = env.iter().find(|(name, _)| name == "PATH");
    let dirs = path.map(|(_, path)| std::env::split_paths(path).collect::<Vec<_>>());
    let found = dirs.into_iter().flatten().map(|dir| dir.join("git"));
    let is_program = |file: &PathBuf| {
        let meta = file.metadata();
        meta.is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    let mut found = found.filter(|file| file.is_absolute());
    found.find(is_program).unwrap_or_else(|| "git".into())
}

/// Whether this says that there is no such program, rather than that the system has no room for one.
fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::NotFound | ErrorKind::PermissionDenied
    )
}

impl Git {
    /// git in `cwd`, with what is allowed of `env`, finding the repository by itself.
    pub(super) fn in_dir(cwd: &Path, env: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let allowed = |name: &OsStr| {
            name.to_str().is_some_and(|name| {
                HANDED_ON.contains(&name)
                    || name.starts_with("GIT_AUTHOR_")
                    || name.starts_with("GIT_COMMITTER_")
            })
        };
        let env = env.into_iter().filter(|(name, _)| allowed(name));
        let env: Vec<(OsString, OsString)> = env.collect();
        Self {
            program: program(&env).into(),
            sealed: None,
            env: Arc::new(env),
            cwd: cwd.to_owned(),
            git_dir: None,
            work_tree: None,
            index: None,
        }
    }

    /// The same git on this repository, in its git directory, away from every work tree.
    pub(super) fn on(&self, git_dir: &Path) -> Self {
        Self {
            cwd: git_dir.to_owned(),
            git_dir: Some(git_dir.to_owned()),
            work_tree: None,
            ..self.clone()
        }
    }

    /// The same git with this work tree, running at its root.
    pub(super) fn at(&self, work_tree: &Path) -> Self {
        Self {
            cwd: work_tree.to_owned(),
            work_tree: Some(work_tree.to_owned()),
            ..self.clone()
        }
    }

    /// The same git with one more variable for all it starts.
    pub(super) fn carrying(&self, name: &str, value: &str) -> Self {
        let mut env = self.env.to_vec();
        env.push((name.into(), value.into()));
        Self {
            env: Arc::new(env),
            ..self.clone()
        }
    }

    /// The same git with the configuration of this directory.
    pub(super) fn with_settings_of(&self, sealed: &Arc<Sealed>) -> Self {
        Self {
            sealed: Some(Arc::clone(sealed)),
            ..self.clone()
        }
    }

    /// The same git with the repository's own configuration.
    pub(super) fn unsealed(&self) -> Self {
        Self {
            sealed: None,
            ..self.clone()
        }
    }

    /// Where its configuration comes from, when not from the repository.
    pub(super) fn sealed(&self) -> Option<&Sealed> {
        self.sealed.as_deref()
    }

    /// The same git with another index file.
    pub(super) fn with_index(&self, index: &Path) -> Self {
        Self {
            index: Some(index.to_owned()),
            ..self.clone()
        }
    }

    /// Its work tree.
    pub(super) fn work_tree(&self) -> Option<&Path> {
        self.work_tree.as_deref()
    }

    /// The file its index is in.
    pub(super) fn index(&self) -> Option<PathBuf> {
        let own = || self.git_dir.as_ref().map(|dir| dir.join("index"));
        self.index.clone().or_else(own)
    }

    /// A command with these arguments, not yet started.
    pub(super) fn call<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Call<'_> {
        Call {
            git: self,
            args: args.into_iter().map(|arg| arg.as_ref().into()).collect(),
            options: Vec::new(),
            env: Vec::new(),
            stdin: Vec::new(),
            held: None,
            limit: LIMIT,
        }
    }
}

/// A git command about to be started.
pub(super) struct Call<'a> {
    git: &'a Git,
    args: Vec<OsString>,
    options: Vec<String>,
    env: Vec<(OsString, OsString)>,
    stdin: Vec<u8>,
    held: Option<File>,
    limit: Duration,
}

/// What a git command left.
pub(super) struct Output {
    /// Its exit code; -1 when a signal ended it.
    pub(super) code: i32,
    /// All it printed.
    pub(super) stdout: Vec<u8>,
    /// The tail of its complaints.
    pub(super) stderr: String,
    command: String,
}

impl Call<'_> {
    /// Adds an argument.
    pub(super) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().into());
        self
    }

    /// Adds arguments.
    pub(super) fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args
            .extend(args.into_iter().map(|arg| arg.as_ref().into()));
        self
    }

    /// Adds options that stand before the subcommand.
    pub(super) fn options<S: Into<String>>(mut self, options: impl IntoIterator<Item = S>) -> Self {
        self.options.extend(options.into_iter().map(Into::into));
        self
    }

    /// Adds variables to the environment.
    pub(super) fn env(mut self, env: &[(OsString, OsString)]) -> Self {
        self.env.extend_from_slice(env);
        self
    }

    /// Feeds it this.
    pub(super) fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// Lets it hold this open file as long as it lives, in place of its input.
    pub(super) fn holding(mut self, file: File) -> Self {
        self.held = Some(file);
        self
    }

    /// Gives it this long instead of the usual limit.
    pub(super) fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs it to its end, whatever its exit code.
    pub(super) fn run(mut self) -> Result<Output, GitError> {
        let command = self.shown();
        let started = Instant::now();
        let mut start = self.command();
        if let Some(held) = self.held.take() {
            start.stdin(held);
        }
        let spawned = fault::at(Point::GitCall).and_then(|()| start.spawn());
        let mut child = match spawned {
            Ok(child) => child,
            // A missing directory reads just like a missing program.
            Err(error) if !self.git.cwd.is_dir() => {
                return Err(GitError::io("enter", &self.git.cwd)(error));
            }
            Err(error) if is_missing(&error) => {
                let why = error.to_string();
                return Err(GitError::Missing { why });
            }
            Err(error) => {
                let why = format!("it could not be started: {error}");
                return Err(GitError::Failed { command, why });
            }
        };
        let (sender, receiver) = channel();
        let stdout = Sink::reading(child.stdout.take(), STDOUT_CAP, sender.clone());
        let stderr = Sink::reading(child.stderr.take(), STDERR_CAP, sender);
        if let Some(mut pipe) = child.stdin.take() {
            let bytes = self.stdin;
            let fits = bytes.len() <= PIPE_HOLDS;
            // A command that does not read its input is no error: it says what it thinks by its code.
            let mut feed = move || {
                let _ = pipe.write_all(&bytes);
            };
            if fits {
                feed();
            } else {
                std::thread::spawn(feed);
            }
        }
        let status = wait(&mut child, &receiver, started + self.limit, &command);
        fault::past(Point::GitDone);
        let Some(status) = status? else {
            return Err(GitError::TimedOut {
                command,
                limit_s: self.limit.as_secs(),
            });
        };
        let (stdout, overflown) = stdout.taken();
        if overflown {
            return Err(GitError::Failed {
                command,
                why: format!("it printed more than {} MB", STDOUT_CAP >> 20),
            });
        }
        Ok(Output {
            code: status.code().unwrap_or(-1),
            stdout,
            stderr: String::from_utf8_lossy(&stderr.taken().0).into_owned(),
            command,
        })
    }

    /// Runs it; any exit code but 0 is an error.
    pub(super) fn ok(self) -> Result<Output, GitError> {
        let output = self.run()?;
        if output.code == 0 {
            Ok(output)
        } else {
            Err(output.failed())
        }
    }

    /// Runs it; its output is an object id.
    pub(super) fn oid(self) -> Result<Oid, GitError> {
        let output = self.ok()?;
        Oid::parse(&output.text()).ok_or_else(|| GitError::Failed {
            why: format!("it printed `{}`, not an object id", visible(&output.text())),
            command: output.command.clone(),
        })
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&*self.git.program);
        command.env_clear().envs(self.git.env.iter().cloned());
        command.envs(FIXED_ENV);
        for (name, value) in self.git.sealed.iter().flat_map(|sealed| sealed.env()) {
            command.env(name, value);
        }
        if let Some(index) = &self.git.index {
            command.env("GIT_INDEX_FILE", index);
        }
        command.envs(self.env.iter().cloned());
        for config in FIXED_CONFIG {
            command.args(["-c", config]);
        }
        if let Some(dir) = &self.git.git_dir {
            command.arg("--git-dir").arg(dir);
        }
        if let Some(dir) = &self.git.work_tree {
            command.arg("--work-tree").arg(dir);
        }
        command
            .args(&self.options)
            .args(&self.args)
            .current_dir(&self.git.cwd)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Its own group: Ctrl-C in the terminal must not cut a ref update in half.
            .process_group(0);
        command
    }

    /// The command as a person would type it, shortened.
    fn shown(&self) -> String {
        let mut text = String::from("git");
        for arg in &self.args {
            text.push(' ');
            text.push_str(&visible(&arg.to_string_lossy()));
        }
        if text.chars().count() > 120 {
            text = text.chars().take(119).chain(['…']).collect();
        }
        text
    }
}

impl Output {
    /// What it printed, as text without the final newline.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim_end().to_owned()
    }

    /// What it printed, split at NUL.
    pub(super) fn fields(&self) -> impl Iterator<Item = &[u8]> {
        let text = self.stdout.strip_suffix(b"\0").unwrap_or(&self.stdout);
        text.split(|byte| *byte == 0)
            .skip(usize::from(text.is_empty()))
    }

    /// The error this is, when the exit code was not an answer.
    pub(super) fn failed(&self) -> GitError {
        let why = match self.complaint() {
            why if why.is_empty() => format!("it ended with code {}", self.code),
            why => why,
        };
        GitError::Failed {
            command: self.command.clone(),
            why,
        }
    }

    /// git's words without its hints, on one line, capped.
    pub(super) fn complaint(&self) -> String {
        let lines: Vec<&str> = self
            .stderr
            .lines()
            .filter(|line| !line.starts_with("hint:"))
            .collect();
        let tail = lines.len().saturating_sub(30);
        visible(&lines[tail..].join("\n"))
            .chars()
            .take(2000)
            .collect()
    }
}
