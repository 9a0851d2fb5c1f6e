//! What evidence is kept under, besides the tree: the commands, their environment, and the fingerprint.
//!
//! It never runs a gate and never says what a verdict means.

use super::crew::{Crew, Station};
use super::error::DriverError;
use crate::fault::{self, Point};
use crate::gate::{self, Verdict};
use crate::model::{Code, EffectKey, Problem};
use std::io;

/// Variables that belong to a login, not to a toolchain: they say nothing about a verdict.
const SESSION_ONLY: [&str; 9] = [
    "TERM",
    "TMPDIR",
    "SSH_AUTH_SOCK",
    "SHELL",
    "XDG_",
    "GIT_",
    "USER",
    "LOGNAME",
    "HARNESS",
];

/// Digest of the verify commands and of what besides the tree can change their verdict: the setup commands before
/// them, their environment and the fingerprint; `None` without commands.
///
/// # Errors
/// A fingerprint command fails.
pub(super) async fn gate_digest(crew: &Crew) -> Result<Option<String>, DriverError> {
    let commands = &crew.config.verify.commands;
    if commands.is_empty() {
        return Ok(None);
    }
    let mut text = Vec::new();
    for command in crew.config.worktrees.setup.iter().chain(commands) {
        text.extend_from_slice(command.as_bytes());
        text.push(0);
    }
    for (name, value) in crew.command_env(None) {
        let session = SESSION_ONLY.iter().any(|prefix| {
            let name = name.to_string_lossy();
            name.starts_with(prefix)
        });
        if !session {
            text.extend_from_slice(name.as_encoded_bytes());
            text.push(b'=');
            text.extend_from_slice(value.as_encoded_bytes());
            text.push(0);
        }
    }
    text.extend(fingerprint(crew).await?);
    Ok(Some(crew.place.repo.digest(&text)?.to_string()))
}

/// What the fingerprint commands print.
async fn fingerprint(crew: &Crew) -> Result<Vec<u8>, DriverError> {
    let commands = crew.config.verify.fingerprint.clone();
    if commands.is_empty() {
        return Ok(Vec::new());
    }
    let log = crew.place.fingerprint();
    let root = crew.place.repo.root();
    let station = Station {
        cwd: root.to_owned(),
        sandbox: crew.confinement.checks(None, root),
    };
    let checks = crew.checks(commands, &EffectKey::Tidy, None, log.clone(), station);
    match fault::at(Point::StateRemove).and_then(|()| std::fs::remove_file(&log)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(DriverError::io("remove", log)(error));
        }
        _ => {}
    }
    let why = match gate::verify(checks, std::future::pending()).await {
        // Commands, output and exit codes, and nothing that changes by itself.
        Verdict::Green { .. } => return std::fs::read(&log).map_err(DriverError::io("read", log)),
        Verdict::Red { command, tail, .. } => format!("`{command}` failed:\n{tail}"),
        Verdict::NotStarted { why } => why,
        Verdict::Stopped => "it was stopped".to_owned(),
    };
    let problem =
        Problem::error(format!("verify.fingerprint: {why}")).code(Code::FingerprintFailed);
    let help = "it must print what a verdict depends on and exit with 0";
    Err(DriverError::problem(problem.help(help)))
}
