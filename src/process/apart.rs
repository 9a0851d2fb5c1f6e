//! A program that goes on without the terminal it was started from, and wishes to one that was found by its identity.
//!
//! This file must never know what the program does, and signals nobody whose identity does not hold.

use super::proc_fs::{alive, start_time};
use super::tree::{Killable, signal_one};
use nix::sys::signal::Signal;
use nix::unistd::{dup2_stderr, dup2_stdout, setsid};
use std::fs::File;
use std::io;

/// What a running harness is asked for. Asking twice asks for the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// To start nothing new and to end when what is under way has ended.
    Drain,
    /// To end what is under way.
    Terminate,
}

/// Makes this process leader of a session of its own, which no terminal belongs to.
///
/// # Errors
/// When it leads a process group already.
pub fn lead_session() -> io::Result<()> {
    setsid()?;
    Ok(())
}

/// From now on what this process prints goes into a file.
///
/// # Errors
/// When the system refuses.
pub fn print_into(file: &File) -> io::Result<()> {
    dup2_stdout(file)?;
    dup2_stderr(file)?;
    Ok(())
}

/// Tells a process a wish, if it is the one that was seen with this start time in this boot. `false`: it is gone.
///
/// # Errors
/// When it is somebody else's.
pub fn ask(pid: u32, started: Option<u64>, boot: Option<&str>, wish: Wish) -> io::Result<bool> {
    let signal = match wish {
        Wish::Drain => Signal::SIGUSR1,
        Wish::Terminate => Signal::SIGTERM,
    };
    let number = i32::try_from(pid).ok().and_then(Killable::new);
    // One that was seen to have a start time is not known again where none can be seen.
    let is_it = || alive(pid, started, boot) && (started.is_none() || start_time(pid) == started);
    let Some(number) = number.filter(|_| is_it()) else {
        return Ok(false);
    };
    match signal_one(number, signal) {
        Ok(()) => Ok(true),
        Err(nix::Error::ESRCH) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::start_time;
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::Command;

    #[test]
    fn only_the_process_that_was_seen_is_asked() {
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        let pid = child.id();
        let started = start_time(pid);
        let other = started.map(|ticks| ticks + 1);
        if started.is_some() {
            assert!(!ask(pid, other, None, Wish::Terminate).unwrap());
            let boot = Some("another boot");
            assert!(!ask(pid, started, boot, Wish::Terminate).unwrap());
        }
        for nobody in [0, 1, std::process::id(), u32::MAX] {
            assert!(!ask(nobody, None, None, Wish::Terminate).unwrap());
        }
        assert!(child.try_wait().unwrap().is_none());
        assert!(ask(pid, started, None, Wish::Terminate).unwrap());
        assert_eq!(child.wait().unwrap().signal(), Some(15));
        assert!(!ask(pid, started, None, Wish::Terminate).unwrap());
    }
}
