//! One supervised process tree: spawn, feed, capture, limit, stop, reap.
//!
//! This room knows nothing about features, agents, git or the journal; it never decides what an exit
//! code means. Only a pid from a successful spawn, one that carries a job's token, or that of a harness which was found
//! by its identity, and greater than 1, may ever reach `kill`.
//!
//! What to read where: [`run`] is the life of one job; `spawn` starts it; `pipes` and `capture` move
//! its bytes; `keeper` and `supervisor` see to it that nothing outlives it; `tree` finds and kills what
//! belongs to it without a supervisor; `below` ends whole trees; `sandbox` holds it to what it may write and see;
//! `proc_fs` reads `/proc`; `apart` is for a harness without a terminal; `awake` keeps the machine from
//! sleeping; `jobserver` shares the processors among builds; `secrets` keeps values out of what is
//! written.

mod apart;
mod awake;
mod below;
mod capture;
#[cfg(target_os = "linux")]
mod cgroup;
#[cfg(feature = "fuzzing")]
mod fuzz;
mod heap;
mod jobserver;
mod keeper;
mod limits;
pub mod machine;
mod pipes;
mod proc_fs;
mod run;
pub mod sandbox;
mod secrets;
mod spawn;
#[cfg(target_os = "linux")]
mod supervisor;
mod temp;
mod tree;

#[cfg(test)]
mod tests;

pub use apart::{Wish, ask, lead_session, print_into};
pub use awake::{Awake, may_sleep};
#[cfg(feature = "fuzzing")]
pub(crate) use fuzz::fuzz;
pub use heap::keep_one_heap;
pub use jobserver::{Builds, Jobserver, takes_fifo};
pub use keeper::{Keeper, supervise};
pub use limits::Limits;
pub use proc_fs::{ProcessIdentity, alive, boot_id, start_time};
pub use run::run;
pub use sandbox::{Backend, Policy, Sandbox};
pub use secrets::Secrets;
pub use spawn::which;
pub use temp::{PrivateTemp, left_behind, remove};
pub use tree::{await_end, carriers, sweep, written};

use crate::model::Ending;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// Name of the environment variable that carries [`Job::token`].
pub const TOKEN_VARIABLE: &str = "HARNESS_TOKEN";

/// A command to run under supervision.
#[derive(Clone, Debug)]
pub struct Job {
    /// Program: a path (a relative one is taken from `cwd`), or a name looked up on the `PATH` of `env`.
    pub program: OsString,
    /// Arguments.
    pub args: Vec<OsString>,
    /// Working directory.
    pub cwd: PathBuf,
    /// The whole environment of the child; nothing is inherited.
    pub env: BTreeMap<OsString, OsString>,
    /// Fed to stdin while output is read; then stdin is closed. Empty: stdin is `/dev/null`.
    pub stdin: Vec<u8>,
    /// Raw stdout and stderr go here, interleaved as they come, without [`Job::secrets`]. Whatever stood there (also a link) is
    /// replaced by a new file.
    pub output: PathBuf,
    /// Whether it is not started where `output` cannot be made. Else what it prints is lost, and that is told with its end.
    pub needs_output: bool,
    /// At most this many bytes are written to `output`; what follows is read and dropped, and one line
    /// at the end says how much.
    pub output_cap: u64,
    /// Wall time after which the tree is stopped.
    pub timeout: Duration,
    /// Time without a byte of output after which the tree is stopped.
    pub idle_timeout: Option<Duration>,
    /// From TERM to KILL.
    pub grace: Duration,
    /// Whether it ends with the last process of its tree, within the same limits, and not with its direct child, whose exit
    /// code counts in either case. What cannot be seen (off Linux) is not waited for.
    pub awaits_all: bool,
    /// A value unique to this job, set as `HARNESS_TOKEN` in the child's environment; what still
    /// carries it after the process group is dead is killed too.
    pub token: String,
    /// Who sees to it that nothing outlives the job.
    pub keeper: Keeper,
    /// What it may use.
    pub limits: Limits,
    /// What it may write and see; without one, all that we can.
    pub sandbox: Option<Sandbox>,
    /// How its builds share the processors with those of other jobs.
    pub builds: Builds,
    /// What its output must not hold.
    pub secrets: Secrets,
}

/// What a finished [`Job`] left.
#[derive(Clone, Debug)]
pub struct Finished {
    /// How it ended.
    pub ending: Ending,
    /// Wall time.
    pub elapsed: Duration,
    /// Bytes of stdout and stderr seen, including dropped ones.
    pub output_bytes: u64,
    /// Why `output` is not complete, if writing it failed (disk full). The job itself went on.
    pub output_error: Option<String>,
    /// How many other processes of the tree outlived the direct child and had to be killed.
    pub leftovers: usize,
    /// Whether the machine refused somebody a new process while it ran ([`machine::refused_forks`]): if it failed, that
    /// may be why.
    pub starved: bool,
}

/// Where a line of output came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// stdout.
    Out,
    /// stderr.
    Err,
}
