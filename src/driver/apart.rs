//! A run in a session of its own: how it is begun from a terminal, how it leaves it, and how it is asked to stop.
//!
//! The one that begins it waits for one line on a pipe, which the other writes when its run is in the journal; until then
//! that one's errors are seen where the person is. This file decides nothing about a run.

use super::error::DriverError;
use super::place::Place;
use super::signals::{Drain, Signals, exit_code};
use crate::fault::{self, Point};
use crate::journal::Holder;
use crate::model::{Code, Problem};
use crate::process::{self, Wish};
use std::ffi::OsString;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

/// Before the name of the run in the line that says that it has begun.
const BEGUN: &str = "begun ";

/// What became of a run that was to go on by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// It has begun.
    Yes {
        /// Its name.
        run: String,
        /// Its process.
        pid: u32,
    },
    /// It would not begin, and has said why on stderr.
    No {
        /// Its exit code.
        code: u8,
    },
}

/// Starts this program again with other arguments, and waits until its run has begun. Who interrupts that ends it.
///
/// # Errors
/// When the program cannot be started.
pub async fn begin_apart(args: &[OsString]) -> Result<Begun, DriverError> {
    let program = own_program();
    let failed = || DriverError::io("start", &program);
    let mut command = Command::new(&program);
    command.arg0("harness").args(args);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = fault::at(Point::JobSpawn)
        .and_then(|()| command.spawn())
        .map_err(failed())?;
    let pid = child.id().unwrap_or_default();
    let mut signals = Signals::listen(Drain::listen());
    let mut interrupted = None;
    let mut line = String::new();
    if let Some(stdout) = child.stdout.take() {
        let mut stdout = BufReader::new(stdout);
        let mut read = std::pin::pin!(stdout.read_line(&mut line));
        loop {
            tokio::select! {
                // What was read of a line that broke off counts as nothing.
                _ = &mut read => break,
                wish = signals.next() => {
                    interrupted = Some(exit_code(wish));
                    // It is ours and nobody has waited for it: the number is its own.
                    process::ask(pid, None, None, Wish::Terminate).map_err(failed())?;
                }
            }
        }
    }
    let run = line
        .strip_prefix(BEGUN)
        .and_then(|run| run.strip_suffix('\n'))
        // One that was begun in the same moment is ended all the same.
        .filter(|_| interrupted.is_none());
    if let Some(run) = run {
        let run = run.to_owned();
        return Ok(Begun::Yes { run, pid });
    }
    let status = child.wait().await.map_err(failed())?;
    let code = match (status.code(), status.signal(), interrupted) {
        (_, Some(_), Some(code)) => code,
        (Some(code), ..) => u8::try_from(code).unwrap_or(1),
        (None, signal, _) => u8::try_from(128 + signal.unwrap_or(0)).unwrap_or(1),
    };
    Ok(Begun::No { code })
}

/// Also right after the program's file was replaced by a newer one.
fn own_program() -> PathBuf {
    let here = PathBuf::from("/proc/self/exe");
    if here.exists() {
        return here;
    }
    std::env::current_exe().unwrap_or_else(|_| PathBuf::from("harness"))
}

/// The run's side: a process that has a session of its own, and a terminal only until its run has begun.
#[derive(Debug)]
pub struct Apart {
    is_heard: bool,
}

impl Apart {
    /// Leaves the session of whoever started this process.
    ///
    /// # Errors
    /// When that is not possible: it was not started for this.
    pub fn enter() -> Result<Self, DriverError> {
        process::lead_session().map_err(DriverError::io("leave", "the terminal's session"))?;
        Ok(Self { is_heard: true })
    }

    /// Whether somebody still sees what is printed.
    #[must_use]
    pub fn is_heard(&self) -> bool {
        self.is_heard
    }

    /// Tells whoever waits that the run has begun; what is printed from now on goes into the run's log.
    pub fn begun(&mut self, run: &str, run_log: &Path) {
        if !std::mem::take(&mut self.is_heard) {
            return;
        }
        // Who waited may be gone; the run is not.
        let mut stdout = std::io::stdout();
        let _ = writeln!(stdout, "{BEGUN}{run}").and_then(|()| stdout.flush());
        let mut options = std::fs::OpenOptions::new();
        let log = fault::at(Point::RunLogOpen)
            .and_then(|()| options.create(true).append(true).open(run_log))
            .or_else(|_| std::fs::File::create("/dev/null"));
        let _ = log.and_then(|log| process::print_into(&log));
    }
}

/// Whether the holder of a lock is a run, and not a command that is done in a moment.
#[must_use]
pub fn is_run(holder: &Holder) -> bool {
    holder.doing.starts_with("run ")
}

/// Asks a run to stop: to drain, or to end what is under way `now`. `false`: it has ended.
///
/// # Errors
/// When it is somebody else's, or cannot be seen from here: in another container, or on another machine.
pub fn stop(place: &Place, holder: &Holder, now: bool) -> Result<bool, DriverError> {
    // On another machine the number is somebody else's.
    let is_here = holder.host == Place::this_process("").host;
    let seen = is_here && process::alive(holder.pid, holder.start_time, holder.boot_id.as_deref());
    if !seen && place.holder().as_ref() == Some(holder) {
        let text = format!(
            "{} is under way as process {} on {}, which cannot be seen from here",
            holder.doing, holder.pid, holder.host
        );
        let problem = Problem::error(text).code(Code::NotPossible);
        return Err(DriverError::problem(problem.help(
            "stop it where it was begun; `harness pause` works from here: it starts nothing new then",
        )));
    }
    let wish = if now { Wish::Terminate } else { Wish::Drain };
    let boot = holder.boot_id.as_deref();
    process::ask(holder.pid, holder.start_time, boot, wish)
        .map_err(DriverError::io("stop", format!("process {}", holder.pid)))
}
