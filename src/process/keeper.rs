//! Who sees to it that nothing of a job is left: harness's side of the supervisor, and the orphans of one
//! that was killed.
//!
//! harness is a subreaper itself, so what loses its supervisor becomes harness's own child. Such a child is
//! told from one that harness started by its session: nobody can enter somebody else's, and whatever runs
//! below a supervisor is in one of its own.

use super::Job;
use super::below::Seen;
use super::proc_fs::{self, Stat};
use super::spawn::{Start, spawn};
use super::tree::{Killable, LOOK_AGAIN};
use crate::model::{Ending, ProcessTier};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::getsid;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::process::Child;

/// First argument of the supervisor's mode.
pub(super) const MODE: &str = "__supervise";
/// To a supervisor: end the command, politely at first.
pub(super) const STOP: u8 = b'T';
/// To a supervisor: end everything now.
pub(super) const KILL: u8 = b'K';

/// How processes are kept from outliving their job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Keeper {
    /// By session, group and token: what leaves its session and cleans its environment gets away.
    #[default]
    Groups,
    /// By a supervisor, this program in another mode: nothing gets away.
    Supervisor {
        /// The program.
        program: PathBuf,
        /// The directory of a control group in which one can be made for each job.
        cgroup: Option<PathBuf>,
    },
}

/// How long a supervisor that was told to kill may take before it is killed itself.
const KILL_PATIENCE: Duration = Duration::from_secs(2);

/// Whether this program has the supervisor's mode.
static HAS_MODE: AtomicBool = AtomicBool::new(false);

/// Direct children that lead a job. Locked while one is started, since a leader that is not noted yet
/// would look like an orphan.
static LEADERS: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

fn leaders() -> MutexGuard<'static, BTreeSet<i32>> {
    // A set of numbers cannot be left half changed.
    LEADERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// To be called first thing in `main` with the program's arguments: in the supervisor's mode it does that
/// work and says with which status to exit; otherwise it notes that this program has the mode.
pub fn supervise(mut args: impl Iterator<Item = OsString>) -> Option<u8> {
    if args.nth(1).is_some_and(|arg| arg == MODE) {
        #[cfg(target_os = "linux")]
        return Some(super::supervisor::serve(args));
        #[cfg(not(target_os = "linux"))]
        return Some(2);
    }
    HAS_MODE.store(true, Ordering::Relaxed);
    None
}

impl Keeper {
    /// The best there is on this system and in this program. Makes this process a subreaper.
    #[must_use]
    pub fn find() -> Self {
        // Also right after the program's file was replaced by a newer one.
        let program = PathBuf::from("/proc/self/exe");
        if HAS_MODE.load(Ordering::Relaxed) && proc_fs::is_ours() && adopt_orphans() {
            Self::Supervisor {
                program,
                cgroup: cgroup(),
            }
        } else {
            Self::Groups
        }
    }

    /// What is in force.
    #[must_use]
    pub fn tier(&self) -> ProcessTier {
        match self {
            Self::Groups => ProcessTier::Groups,
            Self::Supervisor { cgroup: None, .. } => ProcessTier::Supervisor,
            Self::Supervisor { .. } => ProcessTier::Cgroup,
        }
    }
}

#[cfg(target_os = "linux")]
fn adopt_orphans() -> bool {
    nix::sys::prctl::set_child_subreaper(true).is_ok()
}

#[cfg(not(target_os = "linux"))]
fn adopt_orphans() -> bool {
    false
}

#[cfg(target_os = "linux")]
fn cgroup() -> Option<PathBuf> {
    super::cgroup::parent()
}

#[cfg(not(target_os = "linux"))]
fn cgroup() -> Option<PathBuf> {
    None
}

/// The line to a job's supervisor.
#[derive(Debug)]
pub(super) struct Link {
    socket: UnixStream,
    /// Where the supervisor may have made a control group.
    cgroup: Option<PathBuf>,
}

/// A job's direct child, its number, and the line to it if it is a supervisor.
pub(super) struct Started {
    pub(super) child: Child,
    pub(super) pid: Killable,
    pub(super) link: Option<Link>,
}

/// What a supervisor has told.
pub(super) enum Told {
    /// The command ended so, and so many others were left and are dead.
    End(Ending, usize),
    /// Nothing: it was killed.
    Nothing,
}

/// Starts a job's direct child: the command, or its supervisor.
pub(super) fn start(job: &Job) -> Result<Started, String> {
    let mut leaders = leaders();
    let (child, link) = match &job.keeper {
        Keeper::Groups => (spawn(job, &Start::Bare)?, None),
        Keeper::Supervisor { program, cgroup } => {
            let (ours, theirs) = UnixStream::pair()
                .and_then(|(ours, theirs)| ours.set_nonblocking(true).map(|()| (ours, theirs)))
                .map_err(|error| format!("cannot talk to a supervisor: {error}"))?;
            let start = Start::Supervised {
                program,
                cgroup: cgroup.as_deref(),
                socket: theirs,
            };
            let child = spawn(job, &start)?;
            let link = Link {
                socket: ours,
                cgroup: cgroup.clone(),
            };
            (child, Some(link))
        }
    };
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
    let Some(pid) = pid.and_then(Killable::new) else {
        return Err("the system gave the new process no usable number".to_owned());
    };
    leaders.insert(pid.pid().as_raw());
    Ok(Started { child, pid, link })
}

/// To be called when a direct child is about to be reaped: its number may then be anybody's.
pub(super) fn forget(pid: Killable) {
    leaders().remove(&pid.pid().as_raw());
}

impl Link {
    /// Says one word. That nobody listens any more is seen at the supervisor's end.
    pub(super) fn say(&self, word: u8) {
        let _ = (&self.socket).write(&[word]);
    }

    /// Ends what is left in the control group of the supervisor, which was killed, and removes the group if that
    /// is possible at once. Says whether it is gone. Never waits: harness has others to look after, and what
    /// breeds meanwhile is not reaped.
    pub(super) fn end_group(&self, supervisor: Killable) -> bool {
        #[cfg(target_os = "linux")]
        if let Some(parent) = &self.cgroup {
            let group = super::cgroup::Group::of(parent, supervisor.pid().as_raw());
            group.kill();
            return group.is_removed();
        }
        #[cfg(not(target_os = "linux"))]
        let _ = (&self.cgroup, supervisor);
        true
    }

    /// What the supervisor, which has ended, has told.
    pub(super) fn told(&self) -> Told {
        let mut text = String::new();
        match (&self.socket).take(4096).read_to_string(&mut text) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Told::Nothing,
            _ => parse(text.trim_end()).unwrap_or(Told::Nothing),
        }
    }
}

fn parse(text: &str) -> Option<Told> {
    if let Some(why) = text.strip_prefix("failed ") {
        let why = why.to_owned();
        return Some(Told::End(Ending::NotStarted { why }, 0));
    }
    let (ending, left) = text.rsplit_once(" left ")?;
    let ending = match ending.split_once(' ') {
        Some(("over", what)) => Ending::OverLimit {
            what: what.to_owned(),
        },
        Some(("exited", code)) => Ending::Exited {
            code: code.parse().ok()?,
        },
        Some(("signalled", signal)) => Ending::Signalled {
            signal: signal.parse().ok()?,
        },
        // It hangs in the kernel; harness's reason for killing it is the ending that counts.
        _ => Ending::Signalled { signal: 9 },
    };
    Some(Told::End(ending, left.parse().ok()?))
}

/// What has lost its supervisor and become our child: whose it was cannot be told, and need not be, since it has
/// no right to live. Takes the status of what is dead.
pub(super) fn orphans() -> Seen {
    let leaders = leaders();
    let own = getsid(None);
    let mut seen = Seen::default();
    for pid in proc_fs::children().into_iter().filter_map(Killable::new) {
        let is_ours = leaders.contains(&pid.pid().as_raw()) || getsid(Some(pid.pid())) == own;
        if is_ours {
            continue;
        }
        // Somebody has to: it is nobody else's child.
        match waitpid(pid.pid(), Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => seen.running.push(pid),
            _ => seen.dead = true,
        }
    }
    seen
}

/// Waits, for a bounded time, until a supervisor that was told to kill has ended. Blocks; does not reap.
pub(super) fn wait_for(supervisor: Killable) {
    #[cfg(target_os = "linux")]
    {
        use nix::sys::wait::{Id, waitid};
        let begun = Instant::now();
        let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        let frozen = || Stat::of(supervisor.pid().as_raw()).is_some_and(|stat| stat.is_frozen());
        while waitid(Id::Pid(supervisor.pid()), look) == Ok(WaitStatus::StillAlive)
            && begun.elapsed() < KILL_PATIENCE
            && !frozen()
        {
            std::thread::sleep(LOOK_AGAIN);
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = supervisor;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_supervisor_says_is_understood_and_nothing_else() {
        let end = |text| match parse(text) {
            Some(Told::End(ending, left)) => Some((ending, left)),
            _ => None,
        };
        assert_eq!(
            end("exited 3 left 2"),
            Some((Ending::Exited { code: 3 }, 2))
        );
        let over = Ending::OverLimit {
            what: "processes: 9, 8 allowed".to_owned(),
        };
        assert_eq!(end("over processes: 9, 8 allowed left 9"), Some((over, 9)));
        let killed = Ending::Signalled { signal: 9 };
        assert_eq!(end("signalled 9 left 0"), Some((killed.clone(), 0)));
        assert_eq!(end("lost left 1"), Some((killed, 1)));
        let why = "cannot start x: left 4".to_owned();
        let failed = Ending::NotStarted { why };
        assert_eq!(end("failed cannot start x: left 4"), Some((failed, 0)));
        for text in ["", "exited 3", "exited x left 1", "exited 3 left x"] {
            assert_eq!(end(text), None, "{text}");
        }
    }
}
