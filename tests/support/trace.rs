//! What a run does to files, as `strace` saw it: calls with what they were given, in the order in which they began and
//! ended.
//!
//! It knows files and directories, and never what is in them.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::allow_attributes,
    reason = "each test file includes this one and uses its part"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The calls that change files or make changes last.
pub const CALLS: &str = "openat,write,pwrite64,writev,rename,renameat,renameat2,link,linkat,unlink,unlinkat,fsync,fdatasync,\
                         sync_file_range,ftruncate,mkdir,mkdirat,symlink,symlinkat";

/// Whether processes can be traced here.
pub fn can_trace() -> bool {
    let mut strace = Command::new("strace");
    let traced = strace.args(["-f", "-o", "/dev/null", "true"]).output();
    traced.is_ok_and(|ran| ran.status.success())
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// So many bytes are about to be written to the end of a file, or somewhere into it.
    Writes { pid: u32, path: PathBuf, bytes: u64 },
    /// A name was made for a new file or directory.
    Made { path: PathBuf },
    /// A file has a new name.
    Renamed { from: PathBuf, to: PathBuf },
    /// A file has a second name.
    Linked { from: PathBuf, to: PathBuf },
    /// A name is gone.
    Removed { path: PathBuf },
    /// A file or directory is on the disk.
    Synced { pid: u32, path: PathBuf },
    /// What a file holds was given to the disk, which may not have stored it yet.
    Flushed { pid: u32, path: PathBuf },
}

/// A call, joined where another process's came in between.
pub struct Call {
    pub pid: u32,
    /// The lines of the trace on which it began and ended.
    pub begin: usize,
    pub end: usize,
    pub text: String,
}

/// Reads what `strace -f -y -qq` wrote: calls in the order of their ends, since names mean what they meant then.
pub fn calls(text: &str) -> Vec<Call> {
    let mut calls: Vec<Call> = Vec::new();
    let mut open: BTreeMap<u32, usize> = BTreeMap::new();
    for (number, line) in text.lines().enumerate() {
        let Some((pid, rest)) = line.split_once(' ') else {
            continue;
        };
        let (Ok(pid), rest) = (pid.parse(), rest.trim_start()) else {
            continue;
        };
        if let Some(rest) = rest.strip_prefix("<... ") {
            let Some(call) = open.remove(&pid).map(|at| &mut calls[at]) else {
                continue;
            };
            let rest = rest.split_once(" resumed>").map_or("", |(_, rest)| rest);
            call.text.push_str(rest);
            call.end = number;
        } else {
            let begun = rest.strip_suffix(" <unfinished ...>");
            if begun.is_some() {
                open.insert(pid, calls.len());
            }
            let text = begun.unwrap_or(rest).to_owned();
            calls.push(Call {
                pid,
                begin: number,
                end: number,
                text,
            });
        }
    }
    calls.sort_by_key(|call| call.end);
    calls
}

/// Reads what `strace -f -y -qq -s 0` wrote.
pub fn steps(text: &str) -> Vec<Step> {
    let mut places = Places::default();
    let mut steps: Vec<(usize, Step)> = Vec::new();
    for call in &calls(text) {
        if let Some((is_begin, step)) = places.step(call) {
            steps.push((if is_begin { call.begin } else { call.end }, step));
        }
    }
    steps.sort_by_key(|(at, _)| *at);
    steps.into_iter().map(|(_, step)| step).collect()
}

/// Which real paths the names in the calls stand for.
#[derive(Default)]
struct Places {
    /// Directories as they were named, and what they are.
    dirs: BTreeMap<PathBuf, PathBuf>,
    cwd: BTreeMap<u32, PathBuf>,
    known: std::collections::BTreeSet<PathBuf>,
}

impl Places {
    fn step(&mut self, call: &Call) -> Option<(bool, Step)> {
        let (name, rest) = call.text.split_once('(')?;
        let (args, result) = rest.rsplit_once(" = ")?;
        let failed = result.trim_start().starts_with(['-', '?']);
        let pid = call.pid;
        if let Some(cwd) = args
            .strip_prefix("AT_FDCWD<")
            .and_then(|rest| rest.split_once('>'))
        {
            self.cwd.insert(pid, cwd.0.into());
        }
        if failed {
            return None;
        }
        let path = || Some(PathBuf::from(args.split_once('<')?.1.split_once('>')?.0));
        Some(match name {
            "write" | "pwrite64" | "writev" | "ftruncate" => {
                let bytes = result.split_whitespace().next()?.parse().ok()?;
                let path = path()?;
                (true, Step::Writes { pid, path, bytes })
            }
            "fsync" | "fdatasync" => (false, Step::Synced { pid, path: path()? }),
            "sync_file_range" => (false, Step::Flushed { pid, path: path()? }),
            _ => (false, self.naming(name, pid, args, result)?),
        })
    }

    /// What is done with names.
    fn naming(&mut self, name: &str, pid: u32, args: &str, result: &str) -> Option<Step> {
        let names: Vec<&str> = args.split('"').skip(1).step_by(2).collect();
        let named = |places: &Self, n: usize| places.real(pid, names.get(n)?);
        match name {
            "openat" => {
                let path = PathBuf::from(result.split_once('<')?.1.split_once('>')?.0);
                let called = self.absolute(pid, names.first()?)?;
                if let (Some(called), Some(is)) = (called.parent(), path.parent()) {
                    self.dirs.insert(called.to_owned(), is.to_owned());
                }
                let is_new = self.known.insert(path.clone()) && args.contains("O_CREAT");
                is_new.then_some(Step::Made { path })
            }
            "mkdir" | "mkdirat" | "symlink" | "symlinkat" => {
                let path = named(self, names.len().checked_sub(1)?)?;
                Some(Step::Made { path })
            }
            "rename" | "renameat" | "renameat2" => {
                let (from, to) = (named(self, 0)?, named(self, 1)?);
                self.known.remove(&from);
                self.known.insert(to.clone());
                Some(Step::Renamed { from, to })
            }
            "link" | "linkat" => {
                let (from, to) = (named(self, 0)?, named(self, 1)?);
                self.known.insert(to.clone());
                Some(Step::Linked { from, to })
            }
            "unlink" | "unlinkat" => {
                let path = named(self, 0)?;
                self.known.remove(&path);
                Some(Step::Removed { path })
            }
            _ => None,
        }
    }

    fn absolute(&self, pid: u32, name: &str) -> Option<PathBuf> {
        let path = Path::new(name);
        if path.is_absolute() {
            return Some(path.to_owned());
        }
        let path = path.strip_prefix("./").unwrap_or(path);
        Some(self.cwd.get(&pid)?.join(path))
    }

    fn real(&self, pid: u32, name: &str) -> Option<PathBuf> {
        let path = self.absolute(pid, name)?;
        let parent = path.parent()?;
        match self.dirs.get(parent) {
            Some(dir) => Some(dir.join(path.file_name()?)),
            None => Some(path),
        }
    }
}
