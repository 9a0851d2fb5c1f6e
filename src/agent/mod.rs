//! One call of a coding agent: its prompt, its environment, its command, and what it left behind.
//!
//! An agent's failure is data here, never an error. This room never decides what an outcome means for
//! a feature, never touches git, the journal or the state directory's memory, and trusts nothing an
//! agent wrote. `claude` and `command` hold what is particular to one kind of agent.

mod account;
mod call;
mod claude;
mod command;
mod deeds;
mod env;
#[cfg(feature = "fuzzing")]
mod fuzz;
mod handoff;
mod homes;
mod meanwhile;
pub mod outbox;
pub mod prompt;
mod text;

#[cfg(test)]
mod tests;

pub use account::charged;
pub use call::{Call, Called, Progress, call};
pub use deeds::named;
pub use env::base_env;
#[cfg(feature = "fuzzing")]
pub(crate) use fuzz::{fuzz_outbox, fuzz_output};
pub use handoff::{Handoff, handoff};
pub use homes::{Home, all_homes, home};
pub use meanwhile::{Meanwhile, meanwhile};

use crate::config::{Kind, Profile};
use crate::process;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

/// The profile's program as configured; empty when there is none.
fn program(profile: &Profile) -> &str {
    match (profile.command.first(), profile.kind) {
        (Some(program), _) => program,
        (None, Kind::Claude) => "claude",
        (None, Kind::Command) => "",
    }
}

/// Why an agent could not be called.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The profile has no program.
    #[error(
        "the agent's profile names no program; set `command: [\"program\", ...]` in harness.yaml"
    )]
    NoProgram,
    /// The program is nowhere to be found.
    #[error(
        "the agent's program `{program}` was not found{place}; install it, or set `command` in its \
         profile in harness.yaml"
    )]
    NotFound {
        /// The program as configured.
        program: String,
        /// Where it was looked for: ` on PATH`, or nothing for a path.
        place: &'static str,
    },
    /// The program is there but cannot be run.
    #[error("the agent's program {path} is not an executable file; try `chmod +x {path}`", path = path.display())]
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

/// Finds the profile's program: a name on `path_env`, a path from the repository root `root`.
///
/// # Errors
/// When it is missing or cannot be run; the message names the program and the remedy.
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
