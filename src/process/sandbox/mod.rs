//! What a job may write and see: a policy, and the two ways the system has of holding a process to it.
//!
//! `bwrap` gives the job a view of the file system of its own (and processes and, if asked for, a network of its own);
//! it is preferred, because agents that put their own commands into a sandbox of the same kind still can. Landlock
//! refuses what the policy does not name, in the view everybody has. This room knows paths, not what they mean: it
//! never knows of agents, worktrees or git. Linux only; elsewhere nothing is found.

mod bwrap;
#[cfg(target_os = "linux")]
pub(super) mod rules;

use super::Keeper;
use crate::model::SandboxTier;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

/// A policy, and what holds a job to it.
#[derive(Clone, Debug)]
pub struct Sandbox {
    /// How.
    pub backend: Backend,
    /// To what.
    pub policy: Policy,
}

/// How a job is held to a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backend {
    /// By a bubblewrap program.
    Bwrap(PathBuf),
    /// By the kernel's Landlock.
    Landlock,
}

/// What a job may write and see. Everything is readable and nothing writable but for what is said here; where one path
/// is below another, the deeper one's rule holds. Paths are absolute; what does not exist when the job starts is left
/// out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// May be written, with all below.
    pub write: Vec<PathBuf>,
    /// May be read, although something above it is hidden or may be written. Below what may be written, Landlock cannot
    /// hold to this.
    pub read: Vec<PathBuf>,
    /// Is not there.
    pub hide: Vec<PathBuf>,
    /// What is seen at another place than its own, and may be written there: what, where. Only bwrap can.
    pub stand_ins: Vec<(PathBuf, PathBuf)>,
    /// What may be written instead of the stand-ins where Landlock holds to the policy.
    pub instead: Vec<PathBuf>,
    /// A directory for temporary files. For bwrap it is what stands at `/tmp`.
    pub temporary: Option<PathBuf>,
    /// Where the job begins, as it sees it.
    pub cwd: PathBuf,
    /// Whether it has the network.
    pub network: bool,
}

impl Policy {
    /// Where these places really are, of those that are there. Below a place that jobs may write, a link may be one
    /// that an earlier job made: it counts only if it does not lead out of that place.
    fn found(&self, paths: &[PathBuf]) -> Vec<PathBuf> {
        let own = self.stand_ins.iter().map(|(what, _)| what);
        let writable = self.write.iter().chain(&self.instead).chain(own);
        let writable: Vec<PathBuf> = writable.filter_map(|path| there(path)).collect();
        let leads_out = |path: &Path, found: &Path| {
            let above = path.ancestors().skip(1).filter_map(there);
            let mut places =
                above.flat_map(|above| writable.iter().filter(move |w| above.starts_with(w)));
            places.any(|place| !found.starts_with(place))
        };
        let found = paths.iter().filter_map(|path| {
            let found = there(path)?;
            (!leads_out(path, &found)).then_some(found)
        });
        found.collect()
    }
}

impl Backend {
    /// Whether what a job sees can be at another place than its own.
    #[must_use]
    pub fn mounts(&self) -> bool {
        matches!(self, Self::Bwrap(_))
    }

    /// What it is called.
    #[must_use]
    pub fn tier(&self) -> SandboxTier {
        match self {
            Self::Bwrap(_) => SandboxTier::Bwrap,
            Self::Landlock => SandboxTier::Landlock,
        }
    }

    /// Where a job sees its temporary directory.
    #[must_use]
    pub fn seen_temporary<'a>(&self, dir: &'a Path) -> &'a Path {
        match self {
            Self::Bwrap(_) => Path::new(bwrap::TEMPORARY),
            Self::Landlock => dir,
        }
    }
}

/// Tries bubblewrap, which is looked for on `path`.
///
/// # Errors
/// Why it is of no use here, in a sentence.
pub fn find_bwrap(path: Option<&OsStr>) -> Result<Backend, String> {
    if !cfg!(target_os = "linux") {
        return Err("bwrap is for Linux".to_owned());
    }
    let root = Path::new("/");
    let Some(program) = super::which(OsStr::new("bwrap"), path, root) else {
        return Err("the program bwrap (package bubblewrap) is not installed".to_owned());
    };
    bwrap::probe(&program)
        .map_err(|why| format!("{} does not work here: {why}", program.display()))?;
    Ok(Backend::Bwrap(program))
}

/// Asks the kernel for Landlock, which only a supervisor can put a job under.
///
/// # Errors
/// Why it is of no use here, in a sentence.
pub fn find_landlock(keeper: &Keeper) -> Result<Backend, String> {
    if *keeper == Keeper::Groups {
        return Err("Landlock needs Linux, and a /proc that shows this process".to_owned());
    }
    #[cfg(target_os = "linux")]
    {
        rules::probe().map(|()| Backend::Landlock)
    }
    #[cfg(not(target_os = "linux"))]
    Err("Landlock is for Linux".to_owned())
}

/// A command as it is really started.
#[derive(Debug)]
pub(super) struct Wrapped {
    pub(super) program: PathBuf,
    pub(super) args: Vec<OsString>,
    /// What the supervisor is told of it.
    pub(super) order: Vec<OsString>,
}

/// First word of a supervisor's order about a sandbox: none; a program that makes one; Landlock's rules, which follow.
pub(super) const NONE: &str = "-";
pub(super) const BY_PROGRAM: &str = "program";
pub(super) const BY_RULES: &str = "rules";

/// Puts a command into its sandbox, if it has one.
///
/// # Errors
/// When the policy cannot be worked out, since a directory cannot be read.
pub(super) fn wrap(
    sandbox: Option<&Sandbox>,
    program: PathBuf,
    args: &[OsString],
) -> io::Result<Wrapped> {
    let plain = |order: Vec<OsString>, program, args: &[OsString]| Wrapped {
        program,
        args: args.to_vec(),
        order,
    };
    match sandbox {
        None => Ok(plain(vec![NONE.into()], program, args)),
        Some(sandbox) => match &sandbox.backend {
            Backend::Bwrap(bwrap) => {
                let mut all = bwrap::args(&sandbox.policy);
                all.push("--".into());
                all.push(program.into());
                all.extend_from_slice(args);
                Ok(Wrapped {
                    program: bwrap.clone(),
                    args: all,
                    order: vec![BY_PROGRAM.into()],
                })
            }
            #[cfg(target_os = "linux")]
            Backend::Landlock => {
                let all = rules::all(&sandbox.policy)?;
                let mut order: Vec<OsString> = vec![BY_RULES.into(), all.len().to_string().into()];
                order.extend(all.iter().map(rules::Rule::encode));
                Ok(plain(order, program, args))
            }
            #[cfg(not(target_os = "linux"))]
            Backend::Landlock => Err(io::ErrorKind::Unsupported.into()),
        },
    }
}

/// `path` with links resolved, if it exists.
fn there(path: &Path) -> Option<PathBuf> {
    path.canonicalize().ok()
}

#[cfg(test)]
mod tests;
