//! One supervised process tree: spawn, feed, capture, limit, stop, reap.
//!
//! This room knows nothing about features, agents, git or the journal; it never decides what an exit
//! code means. Only a pid from a successful spawn, greater than 1, may ever reach `kill`.

use crate::model::Ending;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// A command to run under supervision.
#[derive(Clone, Debug)]
pub struct Job {
    /// Program: an absolute path, or a name looked up on the `PATH` of `env`.
    pub program: OsString,
    /// Arguments.
    pub args: Vec<OsString>,
    /// Working directory.
    pub cwd: PathBuf,
    /// The whole environment of the child; nothing is inherited.
    pub env: BTreeMap<OsString, OsString>,
    /// Fed to stdin while output is read; then stdin is closed.
    pub stdin: Vec<u8>,
    /// Raw stdout and stderr go here, interleaved as they come, created or truncated.
    pub output: PathBuf,
    /// At most this many bytes are written to `output`; what follows is read and dropped, and one line
    /// at the end says how much.
    pub output_cap: u64,
    /// Wall time after which the tree is stopped.
    pub timeout: Duration,
    /// Time without a byte of output after which the tree is stopped.
    pub idle_timeout: Option<Duration>,
    /// From TERM to KILL.
    pub grace: Duration,
    /// A value unique to this job, set as `HARNESS_TOKEN` in the child's environment; what still
    /// carries it after the process group is dead is killed too.
    pub token: String,
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
}

/// Where a line of output came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// stdout.
    Out,
    /// stderr.
    Err,
}
