//! Signals as wishes to stop: Ctrl-C once drains, twice terminates; USR1 is `harness stop`, which drains however often
//! it comes.

use crate::model::StopLevel;
use nix::sys::signal::{Signal as Name, killpg};
use nix::unistd::getpgrp;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Exit code after Ctrl-C.
const INTERRUPTED: u8 = 130;
/// Exit code after TERM or HUP.
const TERMINATED: u8 = 143;

/// The polite wish, heard from before there is anything to drain: its default action would end the program.
pub(super) struct Drain(Option<Signal>);

impl Drain {
    /// Starts listening.
    pub(super) fn listen() -> Self {
        Self(signal(SignalKind::user_defined1()).ok())
    }
}

/// Listens for INT, TERM, HUP and USR1.
pub(super) struct Signals {
    interrupt: Option<Signal>,
    terminate: Option<Signal>,
    hangup: Option<Signal>,
    drain: Option<Signal>,
    interrupts: u32,
}

impl Signals {
    /// Starts listening; a signal that cannot be listened for keeps its default action.
    pub(super) fn listen(drain: Drain) -> Self {
        let Drain(drain) = drain;
        Self {
            interrupt: signal(SignalKind::interrupt()).ok(),
            terminate: signal(SignalKind::terminate()).ok(),
            hangup: signal(SignalKind::hangup()).ok(),
            drain,
            interrupts: 0,
        }
    }

    /// The next wish.
    pub(super) async fn next(&mut self) -> StopLevel {
        tokio::select! {
            () = one(&mut self.interrupt) => {
                self.interrupts += 1;
                if self.interrupts == 1 {
                    StopLevel::Drain
                } else {
                    StopLevel::Terminate { code: INTERRUPTED }
                }
            }
            () = one(&mut self.terminate) => StopLevel::Terminate { code: TERMINATED },
            () = one(&mut self.hangup) => StopLevel::Terminate { code: TERMINATED },
            () = one(&mut self.drain) => StopLevel::Drain,
        }
    }
}

impl Signals {
    /// Somebody who is there does not wait any longer: INT or TERM. A terminal that is closed says nothing of the kind, nor does
    /// a polite wish to stop that comes once more.
    pub(super) async fn impatience(&mut self) {
        tokio::select! {
            () = one(&mut self.interrupt) => {}
            () = one(&mut self.terminate) => {}
        }
    }
}

/// Exit code of what has nothing to drain and ends at this wish.
pub(super) fn exit_code(wish: StopLevel) -> u8 {
    match wish {
        StopLevel::Terminate { code } => code,
        StopLevel::Drain => INTERRUPTED,
    }
}

async fn one(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}

/// What tells that the shell goes on with a program that was stopped.
#[must_use]
pub fn continued() -> SignalKind {
    SignalKind::from_raw(Name::SIGCONT as i32)
}

/// Stops this program and who was started with it, as Ctrl-Z does, until the shell goes on with it. It may come back before
/// that has happened; where no shell could go on with it, nothing is stopped.
pub fn suspend() {
    let group = getpgrp();
    if group.as_raw() > 1 {
        // Whoever cannot be stopped goes on.
        let _ = killpg(group, Name::SIGTSTP);
    }
}
