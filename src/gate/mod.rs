//! Runs a project's own checks in a given tree and says green or red.
//!
//! It is told commands, a directory and an environment. It never knows whose work stands there, never
//! touches git, and never decides what a verdict means.

mod tail;

#[cfg(test)]
mod tests;

use crate::fault::{self, Point};
use crate::model::Ending;
use crate::process::{self, Builds, Finished, Job, Keeper, Limits, PrivateTemp, Sandbox, Secrets};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tail::Tail;

/// The most of one command's output that is kept in the log.
const OUTPUT_CAP_BYTES: u64 = 16 * 1024 * 1024;

/// Commands to run, and where.
#[derive(Clone, Debug)]
pub struct Checks {
    /// Run in order by `sh -c`; the first that fails ends it.
    pub commands: Vec<String>,
    /// Working directory.
    pub cwd: PathBuf,
    /// The whole environment of the commands.
    pub env: BTreeMap<OsString, OsString>,
    /// Wall time of each command.
    pub timeout: Duration,
    /// From TERM to KILL.
    pub grace: Duration,
    /// Their output is appended here, under a header each. Its directory is made if missing.
    pub log: PathBuf,
    /// A value unique to this gate; see [`Job::token`].
    pub token: String,
    /// Who sees to it that nothing outlives a command.
    pub keeper: Keeper,
    /// What a command may use.
    pub limits: Limits,
    /// What it may write and see, but for a temporary directory, which is made here.
    pub sandbox: Option<Sandbox>,
    /// How its builds share the processors with others.
    pub builds: Builds,
    /// What the log and the verdict must not hold.
    pub secrets: Secrets,
}

/// What came of [`verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every command ended with exit code 0.
    Green {
        /// Wall time of all commands in milliseconds.
        gate_ms: u64,
    },
    /// A command failed, or its time was up.
    Red {
        /// The command.
        command: String,
        /// The end of its output, escaped, with a line that says how it ended.
        tail: String,
        /// Wall time so far in milliseconds.
        gate_ms: u64,
    },
    /// It was told to stop.
    Stopped,
    /// A command could not be run, or failed on a machine that refused it what it needs; says nothing about the tree.
    NotStarted {
        /// What the system said.
        why: String,
    },
}

/// Why [`setup`] did not go through.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// A command failed, or its time was up.
    #[error("set-up command `{command}` failed:\n{tail}")]
    Failed {
        /// The command.
        command: String,
        /// The end of its output, escaped.
        tail: String,
    },
    /// It was told to stop.
    #[error("set-up was stopped")]
    Stopped,
    /// A command could not be run at all.
    #[error("set-up could not be run: {why}")]
    NotStarted {
        /// What the system said.
        why: String,
    },
}

/// Runs the commands in order until one fails or `stop` completes. Without commands it is green at once.
pub async fn verify(mut checks: Checks, stop: impl Future<Output = ()>) -> Verdict {
    let mut stop = Latch::new(stop);
    let mut gate_ms = 0_u64;
    // Kept until the last command has ended.
    let _temporary = match prepare_log(&checks.log).and_then(|()| own_temporary(&mut checks)) {
        Ok(temporary) => temporary,
        Err(why) => return Verdict::NotStarted { why },
    };
    for (n, command) in checks.commands.iter().enumerate() {
        if stop.is_done {
            return Verdict::Stopped;
        }
        let mut tail = Tail::default();
        let job = job(&checks, n, command);
        let part = job.output.clone();
        let stopped = async {
            (&mut stop).await;
            Ending::Stopped
        };
        let finished = process::run(job, stopped, |_, line| tail.push(line)).await;
        gate_ms = gate_ms.saturating_add(millis(finished.elapsed));
        let outcome = outcome(&finished, checks.timeout);
        // The verdict stands without its log; a full disk must not turn green into anything else.
        if let Err(error) = append_log(&checks.log, command, &part, &outcome) {
            tracing::warn!(log = %checks.log.display(), %error, "the gate's log is incomplete");
        }
        match finished.ending {
            Ending::Exited { code: 0 } => {}
            Ending::Stopped => return Verdict::Stopped,
            Ending::NotStarted { why } => return Verdict::NotStarted { why },
            Ending::Exited { .. } if finished.starved => {
                let why = format!(
                    "while `{command}` ran, the machine refused new processes: its limit was reached"
                );
                return Verdict::NotStarted { why };
            }
            _ => {
                return Verdict::Red {
                    command: command.clone(),
                    tail: tail.finish(&outcome),
                    gate_ms,
                };
            }
        }
    }
    Verdict::Green { gate_ms }
}

/// Runs a fresh worktree's set-up commands on the same terms as [`verify`].
///
/// # Errors
/// When a command fails, cannot be run, or `stop` completes first.
pub async fn setup(checks: Checks, stop: impl Future<Output = ()>) -> Result<(), SetupError> {
    match verify(checks, stop).await {
        Verdict::Green { .. } => Ok(()),
        Verdict::Red { command, tail, .. } => Err(SetupError::Failed { command, tail }),
        Verdict::Stopped => Err(SetupError::Stopped),
        Verdict::NotStarted { why } => Err(SetupError::NotStarted { why }),
    }
}

fn job(checks: &Checks, n: usize, command: &str) -> Job {
    let mut part = checks.log.clone().into_os_string();
    part.push(".part");
    Job {
        program: "/bin/sh".into(),
        args: vec!["-c".into(), command.into()],
        cwd: checks.cwd.clone(),
        env: checks.env.clone(),
        stdin: Vec::new(),
        output: part.into(),
        needs_output: true,
        output_cap: OUTPUT_CAP_BYTES,
        timeout: checks.timeout,
        idle_timeout: None,
        grace: checks.grace,
        awaits_all: false,
        token: format!("{}-{n}", checks.token),
        keeper: checks.keeper.clone(),
        limits: checks.limits,
        sandbox: checks.sandbox.clone(),
        builds: checks.builds.clone(),
        secrets: checks.secrets.clone(),
    }
}

/// In a sandbox the commands share no temporary directory with anybody else.
fn own_temporary(checks: &mut Checks) -> Result<Option<PrivateTemp>, String> {
    let Some(sandbox) = &mut checks.sandbox else {
        return Ok(None);
    };
    let base = checks.env.get(OsStr::new("TMPDIR")).map(Path::new);
    let temporary = PrivateTemp::create(base, "checks")
        .map_err(|(dir, error)| format!("cannot create {}: {error}", dir.display()))?;
    let seen = sandbox.backend.seen_temporary(temporary.path());
    checks.env.insert("TMPDIR".into(), seen.into());
    sandbox.policy.temporary = Some(temporary.path().to_owned());
    Ok(Some(temporary))
}

/// How a command ended, in words for its log and its tail.
fn outcome(finished: &Finished, timeout: Duration) -> String {
    let seconds = finished.elapsed.as_secs_f64();
    match &finished.ending {
        Ending::Exited { code } => format!("exit {code}"),
        Ending::Signalled { signal } => format!("ended by signal {signal}"),
        Ending::TimedOut | Ending::IdleTimedOut => format!(
            "stopped by harness after {seconds:.0} s: its time limit is {} s",
            timeout.as_secs_f64()
        ),
        Ending::OverLimit { what } => {
            format!("stopped by harness: it used more than it may: {what}")
        }
        Ending::Stopped => "stopped by harness: the run is ending".to_owned(),
        Ending::NotStarted { why } => format!("not started: {why}"),
    }
}

fn prepare_log(log: &Path) -> Result<(), String> {
    let Some(dir) = log.parent() else {
        return Ok(());
    };
    fault::at(Point::GateCreate)
        .and_then(|()| fs::create_dir_all(dir))
        .map_err(|error| format!("cannot create {}: {error}", dir.display()))
}

/// Moves the output of one command from its own file into the log, byte by byte as it was. The command
/// runs an agent's code and may have put anything in place of either file: only regular files are opened.
fn append_log(log: &Path, command: &str, part: &Path, outcome: &str) -> io::Result<()> {
    fault::at(Point::GateLog)?;
    if is_regular(log)? == Some(false) {
        fs::remove_file(log)?;
    }
    let mut log = OpenOptions::new().create(true).append(true).open(log)?;
    writeln!(log, "$ {command}")?;
    match is_regular(part)? {
        Some(true) => {
            let mut output = LastByte::new(File::open(part)?.take(2 * OUTPUT_CAP_BYTES));
            io::copy(&mut output, &mut log)?;
            if output.last.is_some_and(|byte| byte != b'\n') {
                log.write_all(b"\n")?;
            }
            fs::remove_file(part)?;
        }
        Some(false) => writeln!(log, "[its output was replaced and is lost]")?,
        // A command that never started left none.
        None => {}
    }
    writeln!(log, "[{outcome}]")
}

/// Whether a regular file stands there, or something else; `None` for nothing.
fn is_regular(path: &Path) -> io::Result<Option<bool>> {
    match fs::symlink_metadata(path) {
        Ok(meta) => Ok(Some(meta.is_file())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Remembers the last byte that went through.
struct LastByte<R> {
    inner: R,
    last: Option<u8>,
}

impl<R> LastByte<R> {
    fn new(inner: R) -> Self {
        Self { inner, last: None }
    }
}

impl<R: Read> Read for LastByte<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        if let Some(&byte) = buffer.get(..count).and_then(<[u8]>::last) {
            self.last = Some(byte);
        }
        Ok(count)
    }
}

fn millis(elapsed: Duration) -> u64 {
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}

/// A future that stays complete: the same request to stop serves one command after another.
struct Latch<F> {
    is_done: bool,
    inner: Pin<Box<F>>,
}

impl<F: Future<Output = ()>> Latch<F> {
    fn new(inner: F) -> Self {
        Self {
            is_done: false,
            inner: Box::pin(inner),
        }
    }
}

impl<F: Future<Output = ()>> Future for Latch<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if !self.is_done {
            self.is_done = self.inner.as_mut().poll(context).is_ready();
        }
        if self.is_done {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}
