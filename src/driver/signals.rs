//! Signals as wishes to stop: once drains, twice terminates.

use crate::model::StopLevel;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Exit code after Ctrl-C.
const INTERRUPTED: u8 = 130;
/// Exit code after TERM or HUP.
const TERMINATED: u8 = 143;

/// Listens for INT, TERM and HUP.
pub(super) struct Signals {
    interrupt: Option<Signal>,
    terminate: Option<Signal>,
    hangup: Option<Signal>,
    interrupts: u32,
}

impl Signals {
    /// Starts listening; a signal that cannot be listened for keeps its default action.
    pub(super) fn listen() -> Self {
        Self {
            interrupt: signal(SignalKind::interrupt()).ok(),
            terminate: signal(SignalKind::terminate()).ok(),
            hangup: signal(SignalKind::hangup()).ok(),
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
        }
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
