//! A git process that runs: what it prints is read as it comes, and its end is waited for, or brought about when
//! its time is up.
//!
//! This file never starts a process and knows nothing of what it does.

use super::error::GitError;
use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// From TERM, on which git removes its lock files, to KILL.
const GRACE: Duration = Duration::from_secs(2);
/// How long the pipes of a command that has ended are read on, when something it started holds them.
const DRAIN: Duration = Duration::from_millis(300);

/// Bytes read from a pipe by a thread of their own.
pub(super) struct Sink(Arc<Mutex<(Vec<u8>, bool)>>);

impl Sink {
    pub(super) fn reading(
        pipe: Option<impl Read + Send + 'static>,
        cap: usize,
        ended: Sender<()>,
    ) -> Self {
        let sink = Arc::new(Mutex::new((Vec::new(), false)));
        let shared = Arc::clone(&sink);
        std::thread::spawn(move || {
            let mut buffer = vec![0; 16 << 10];
            let mut pipe = pipe;
            while let Some(Ok(count @ 1..)) = pipe.as_mut().map(|pipe| pipe.read(&mut buffer)) {
                let mut kept = shared.lock().unwrap_or_else(PoisonError::into_inner);
                let room = cap.saturating_sub(kept.0.len()).min(count);
                kept.0.extend_from_slice(&buffer[..room]);
                kept.1 |= room < count;
            }
            let _ = ended.send(());
        });
        Self(sink)
    }

    pub(super) fn taken(self) -> (Vec<u8>, bool) {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Waits for the end of the child; `None` when it had to be killed. Both pipes closing is the usual sign
/// of the end; a filter that lives on and holds them must not make us wait for it.
pub(super) fn wait(
    child: &mut Child,
    closed: &Receiver<()>,
    deadline: Instant,
    command: &str,
) -> Result<Option<ExitStatus>, GitError> {
    let lost = |error: std::io::Error| GitError::Failed {
        command: command.to_owned(),
        why: error.to_string(),
    };
    let mut open = 2;
    let mut tick = Duration::from_millis(20);
    while open > 0 {
        match closed.recv_timeout(tick) {
            Ok(()) => open -= 1,
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                if let Some(status) = child.try_wait().map_err(lost)? {
                    while open > 0 && closed.recv_timeout(DRAIN).is_ok() {
                        open -= 1;
                    }
                    return Ok(Some(status));
                }
                if Instant::now() >= deadline {
                    return end(child).map(|()| None).map_err(lost);
                }
                tick = (tick * 2).min(Duration::from_millis(500));
            }
        }
    }
    // Both pipes are closed: all but a hostile git ends now.
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait().map_err(lost)? {
            return Ok(Some(status));
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    end(child).map(|()| None).map_err(lost)
}

/// Ends the child's whole group (it leads one): TERM, on which git removes its locks, then KILL.
fn end(child: &mut Child) -> std::io::Result<()> {
    // The child is not reaped yet, so its id still names it and nothing else.
    let group = child.id();
    let signal = |name: &str| {
        if group > 1 {
            let _ = Command::new("kill")
                .args([name, "--", &format!("-{group}")])
                .stderr(Stdio::null())
                .status();
        }
    };
    signal("-TERM");
    let patience = Instant::now() + GRACE;
    while Instant::now() < patience {
        if child.try_wait()?.is_some() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    signal("-KILL");
    child.kill()?;
    child.wait().map(drop)
}
