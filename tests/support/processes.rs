//! What the kernel says about processes: who is below whom, who works where, and `kill -9` for one that was seen.
//!
//! A process is known by its number and its start time, so that a stranger with the same number is never killed.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::allow_attributes,
    reason = "each test file includes this one and uses its part"
)]

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// A process that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    pub pid: i32,
    pub parent: i32,
    pub start_time: u64,
    pub state: u8,
    pub threads: u64,
    /// Clock ticks of its own, and of children that it has waited for.
    pub ticks: (u64, u64),
    /// Its command line, with blanks between the words.
    pub line: String,
}

impl Process {
    pub fn of(pid: i32) -> Option<Self> {
        let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
        let stat = String::from_utf8_lossy(&stat).into_owned();
        // The name in parentheses may hold blanks and parentheses itself.
        let (_, rest) = stat.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        Some(Self {
            pid,
            parent: fields.get(1)?.parse().ok()?,
            start_time: number(22)?,
            state: *fields.first()?.as_bytes().first()?,
            threads: number(20)?,
            ticks: (number(14)? + number(15)?, number(16)? + number(17)?),
            line: String::from_utf8_lossy(&line).replace('\0', " "),
        })
    }

    /// Neither a zombie nor dead.
    pub fn is_running(&self) -> bool {
        !matches!(self.state, b'Z' | b'X' | b'x')
    }

    /// Whether this very process still runs.
    pub fn still_runs(&self) -> bool {
        let now = Self::of(self.pid);
        now.is_some_and(|now| now.start_time == self.start_time && now.is_running())
    }

    /// Kills this very process. Says whether it was there.
    pub fn kill(&self) -> bool {
        assert!(self.pid > 1);
        self.still_runs() && kill(Pid::from_raw(self.pid), Signal::SIGKILL).is_ok()
    }
}

/// All processes there are.
pub fn everybody() -> Vec<Process> {
    pids().filter_map(Process::of).collect()
}

/// All descendants of a process, zombies included.
pub fn below(pid: u32) -> Vec<Process> {
    let everybody = everybody();
    let mut above = BTreeSet::from([i32::try_from(pid).unwrap()]);
    let mut found: Vec<Process> = Vec::new();
    loop {
        let is_new = |one: &&Process| above.contains(&one.parent) && !above.contains(&one.pid);
        let fresh: Vec<Process> = everybody.iter().filter(is_new).cloned().collect();
        if fresh.is_empty() {
            return found;
        }
        above.extend(fresh.iter().map(|one| one.pid));
        found.extend(fresh);
    }
}

/// Running processes whose working directory is in `dir`.
pub fn at_work_in(dir: &Path) -> Vec<Process> {
    let dir = dir.canonicalize().unwrap();
    let is_there = |pid: &i32| {
        let place = fs::read_link(format!("/proc/{pid}/cwd"));
        place.is_ok_and(|place| place.starts_with(&dir))
    };
    let found = pids().filter(is_there).filter_map(Process::of);
    found.filter(Process::is_running).collect()
}

fn pids() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").unwrap();
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter_map(|name| name.parse().ok())
}
