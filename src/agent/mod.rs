//! One call of a coding agent: its prompt, its environment, its command, and what it left behind.
//!
//! An agent's failure is data here, never an error. This room never decides what an outcome means for
//! a feature, never touches git, the journal or the state directory's memory, and trusts nothing an
//! agent wrote. What is particular to one kind of agent stands in the file of its name, and in the table of `cli`.

mod account;
mod aider;
mod call;
mod claude;
mod cli;
mod codex;
mod command;
mod copilot;
mod credentials;
mod deeds;
mod env;
mod failure;
#[cfg(feature = "fuzzing")]
mod fuzz;
mod gemini;
mod goose;
mod handoff;
mod homes;
mod meanwhile;
mod opencode;
pub mod outbox;
mod prefix;
mod printed;
pub mod prompt;
mod quota;
mod qwen;
mod reader;
mod resets;
mod resume;
mod tally;
mod text;
mod version;

#[cfg(test)]
mod record_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod transcript_tests;

pub use account::charged;
pub use call::{Call, Called, Progress, call};
pub use cli::Tells;
pub use credentials::credentials;
pub use deeds::named;
pub use env::base_env;
#[cfg(feature = "fuzzing")]
pub(crate) use fuzz::{fuzz_outbox, fuzz_output};
pub use handoff::{Handoff, handoff};
pub use homes::{Home, all_homes, home};
pub use meanwhile::{Meanwhile, meanwhile};
pub use prefix::{figures, part_at, shared_bytes, stable_bytes};
pub use printed::{Cut, glimpse, used};
pub use resume::{converse, is_plain_name};
pub use version::{depends_on_version, version};

use crate::config::{Kind, Profile};
use crate::process;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

/// The profile's program as configured; empty when there is none.
fn program(profile: &Profile) -> &str {
    let own = profile.command.first();
    own.map_or(usual_program(profile.kind), String::as_str)
}

/// The program that a kind of agent is named after; empty for `command`.
#[must_use]
pub fn usual_program(kind: Kind) -> &'static str {
    cli::Cli::of(kind).program
}

/// What a kind of agent tells of what it used.
#[must_use]
pub fn tells(kind: Kind) -> Tells {
    cli::Cli::of(kind).tells
}

/// Whether a kind of agent ever reports how much of its account's limits is used. Codex knows it, and does not tell it in
/// the records of `codex exec`.
#[must_use]
pub fn reports_quota(kind: Kind) -> bool {
    kind == Kind::Claude
}

/// Why an agent could not be called.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The profile has no program.
    #[error("the agent's profile names no program")]
    NoProgram,
    /// The program is nowhere to be found.
    #[error("the agent's program `{program}` was not found{place}")]
    NotFound {
        /// The program as configured.
        program: String,
        /// Where it was looked for: ` on PATH`, or nothing for a path.
        place: &'static str,
    },
    /// The program is there but cannot be run.
    #[error("the agent's program {path} is not an executable file", path = path.display())]
    NotExecutable {
        /// Where it is.
        path: PathBuf,
    },
    /// The user's prompt template is wrong.
    #[error("prompt template {path}:{line}: {why}", path = path.display())]
    Template {
        /// Where it stands.
        path: PathBuf,
        /// Line in it, from 1.
        line: usize,
        /// What is wrong.
        why: String,
    },
    /// The system said no.
    #[error("cannot {act} {path}: {source}", path = path.display())]
    Io {
        /// What was tried.
        act: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl AgentError {
    /// What a person can do about it, where that is not said already.
    #[must_use]
    pub fn remedy(&self) -> Option<String> {
        Some(match self {
            Self::NoProgram => "set `command: [\"program\", ...]` in its profile in harness.yaml".to_owned(),
            Self::NotFound { .. } => {
                "install it, or set `command` in the agent's profile in harness.yaml; `harness doctor` tells which \
                 agents are here"
                    .to_owned()
            }
            Self::NotExecutable { path } => format!("try `chmod +x {}`", path.display()),
            Self::Template { .. } | Self::Io { .. } => return None,
        })
    }
}

/// Finds the profile's program: a name on `path_env`, a path from the repository root `root`.
///
/// # Errors
/// When it is missing or cannot be run; the message names the program, and there is a remedy.
pub fn preflight(
    profile: &Profile,
    path_env: Option<&OsStr>,
    root: &Path,
) -> Result<PathBuf, AgentError> {
    let program = program(profile);
    if program.is_empty() {
        return Err(AgentError::NoProgram);
    }
    if let Some(found) = process::which(OsStr::new(program), path_env, root) {
        return Ok(found);
    }
    let is_path = program.contains('/');
    let path = root.join(program);
    if is_path && path.exists() {
        return Err(AgentError::NotExecutable { path });
    }
    Err(AgentError::NotFound {
        program: program.to_owned(),
        place: if is_path { "" } else { " on PATH" },
    })
}
