//! What programs are told of a feature's logs: which files there are, and of which iteration and which attempt they are.
//!
//! Composed of what the histories hold and of the files that whoever asks has found; nothing is read here.

use super::text::rfc3339;
use crate::core::{AttemptResult, Doing, IterationResult, RunHistory};
use crate::model::{Slug, Stamp, escaped};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// A log that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFile {
    /// Where.
    pub path: PathBuf,
    /// How long it is.
    pub bytes: u64,
}

/// Finds the logs of a feature.
pub trait Logs {
    /// Its memory, in which everything is noted that its agents are to know.
    fn of_feature(&self) -> Option<LogFile>;
    /// What an iteration has left.
    fn of_iteration(&self, number: u32) -> Vec<LogFile>;
    /// What the gates of an attempt of the merge queue printed.
    fn of_attempt(&self, number: u32) -> Vec<LogFile>;
}

/// `{"schema":"harness.logs","version":1,…}`: iterations and attempts in the order in which they began.
#[must_use]
pub fn logs_json(slug: &Slug, runs: &[RunHistory], logs: &dyn Logs) -> Value {
    let mut iterations = Vec::new();
    let mut attempts = Vec::new();
    for run in runs {
        for span in run.spans.iter().filter(|span| span.slug == *slug) {
            let Doing::Iteration { number, result } = span.doing else {
                continue;
            };
            let ended = (result != IterationResult::Open).then_some(span.to);
            iterations.push(json!({
                "run": escaped(&run.id.0),
                "iteration": number,
                "outcome": result,
                "started": rfc3339(span.from),
                "started_ms": span.from.0,
                "ended": ended.map(rfc3339),
                "ended_ms": ended.map(ms),
                "files": files(&logs.of_iteration(number)),
            }));
        }
        for span in run
            .attempts
            .iter()
            .filter(|span| span.members.contains(slug))
        {
            let ended = (span.result != AttemptResult::Open).then_some(span.to);
            attempts.push(json!({
                "run": escaped(&run.id.0),
                "attempt": span.number,
                "members": span.members,
                "outcome": span.result,
                "started": rfc3339(span.from),
                "started_ms": span.from.0,
                "ended": ended.map(rfc3339),
                "ended_ms": ended.map(ms),
                "gate_ms": span.gate_ms,
                "files": files(&logs.of_attempt(span.number)),
            }));
        }
    }
    json!({
        "schema": "harness.logs",
        "version": 1,
        "feature": slug,
        "log": logs.of_feature().as_ref().map(file),
        "iterations": iterations,
        "attempts": attempts,
    })
}

fn ms(at: Stamp) -> u64 {
    at.0
}

fn files(files: &[LogFile]) -> Vec<Value> {
    files.iter().map(file).collect()
}

fn file(file: &LogFile) -> Value {
    let name = file.path.file_name().map(Path::new).unwrap_or(&file.path);
    json!({
        "name": name.to_string_lossy(),
        "path": file.path.to_string_lossy(),
        "bytes": file.bytes,
    })
}
