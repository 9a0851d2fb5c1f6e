//! Who belongs to a job, and the only place that sends signals.
//!
//! A job's tree is: the session and process group its direct child leads, everything that carries the
//! job's token in its environment, and the descendants of those. As long as the direct child is not
//! reaped its number cannot be given to anybody else, so group and session are ours alone; this is why
//! the tree is cleared *before* the child is reaped. This file must never signal a pid it did not get
//! from a successful spawn, from that definition, or from `apart`, which knows a harness by its identity.

use super::below::{Hunt, add_descendants, everybody, freeze_and_kill};
use super::keeper::{self, KILL, Link, Told};
use super::proc_fs::{self, Stat};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{Pid, getpgid};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Between two looks at processes that were just killed: the kernel needs a moment.
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// After this long a killed process hangs in the kernel, and waiting for it would hang us.
pub(super) const GIVE_UP: Duration = Duration::from_secs(5);
/// How often a look at all processes looks again for those forked meanwhile.
const LOOKS: usize = 16;

/// Kills every process whose environment has `HARNESS_TOKEN=<token>`, and the descendants of those, until
/// none is left (for at most five seconds). Returns how many there were. Blocks. Finds nothing off Linux.
///
/// Meant for what a crash of harness left behind; [`run`](super::run()) does the same by itself.
pub fn sweep(token: &str) -> usize {
    let begun = Instant::now();
    let mut found = BTreeSet::new();
    loop {
        let alive = members(token, None);
        signal_each(&alive, Signal::SIGKILL);
        found.extend(alive.iter().map(|pid| pid.0));
        if alive.is_empty() || begun.elapsed() > GIVE_UP {
            return found.len();
        }
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// How many running processes carry `token`, with their descendants. 0 off Linux.
#[must_use]
pub fn carriers(token: &str) -> usize {
    members(token, None).len()
}

/// Waits for the end of every process that carries `token`; `false` when some have not come to it in time. Blocks.
pub fn await_end(token: &str, patience: Duration) -> bool {
    let until = Instant::now() + patience;
    while carriers(token) > 0 {
        if Instant::now() >= until {
            return false;
        }
        std::thread::sleep(LOOK_AGAIN);
    }
    true
}

/// Bytes that the running processes which carry `token`, their descendants, and the children they have waited
/// for have written so far. 0 off Linux.
#[must_use]
pub fn written(token: &str) -> u64 {
    let alive = members(token, None);
    let bytes = alive.iter().map(|pid| proc_fs::written(pid.0));
    bytes.fold(0, u64::saturating_add)
}

/// A pid that may be signalled: not 0, not init, not a "minus something", not ourselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Killable(i32);

impl Killable {
    pub(super) fn new(pid: i32) -> Option<Self> {
        let own = std::process::id();
        (pid > 1 && i64::from(pid) != i64::from(own)).then_some(Self(pid))
    }

    pub(super) fn pid(self) -> Pid {
        Pid::from_raw(self.0)
    }
}

/// The process tree of one job. Dropping it while armed kills the tree.
pub(super) struct Tree {
    leader: Killable,
    started: u64,
    token: String,
    link: Option<Link>,
    armed: bool,
}

impl Tree {
    /// The tree of a direct child that was just spawned as leader of its own session.
    pub(super) fn new(leader: Killable, token: String, link: Option<Link>) -> Self {
        Self {
            leader,
            started: Stat::of(leader.0).map_or(0, |stat| stat.start_time),
            token,
            link,
            armed: true,
        }
    }

    /// Says a word to the supervisor; `false` if there is none.
    pub(super) fn say(&self, word: u8) -> bool {
        self.link.as_ref().is_some_and(|link| {
            link.say(word);
            true
        })
    }

    /// What the supervisor, which has ended, has told.
    pub(super) fn told(&self) -> Told {
        self.link.as_ref().map_or(Told::Nothing, Link::told)
    }

    /// The direct child.
    pub(super) fn leader(&self) -> Killable {
        self.leader
    }

    /// Signals the direct child's process group.
    pub(super) fn signal_group(&self, signal: Signal) {
        // An error says that nobody is left there, which is what signals are for here.
        let _ = killpg(self.leader.pid(), signal);
    }

    /// Whether there is, or was, a supervisor.
    pub(super) fn is_supervised(&self) -> bool {
        self.link.is_some()
    }

    /// Whether somebody has frozen the direct child.
    pub(super) fn is_frozen(&self) -> bool {
        Stat::of(self.leader.0).is_some_and(|stat| stat.is_frozen())
    }

    /// Ends what is left in the control group of a supervisor that was killed. Says whether the group is gone.
    pub(super) fn end_group(&self) -> bool {
        self.link
            .as_ref()
            .is_none_or(|link| link.end_group(self.leader))
    }

    /// Everything of the tree that still runs, and is not below a supervisor. Off Linux nothing can be seen.
    pub(super) fn survivors(&self) -> Vec<Killable> {
        members(&self.token, Some((self.leader, self.started)))
    }

    /// Those of them that are not in the direct child's process group.
    pub(super) fn outside_group(&self) -> Vec<Killable> {
        let mut others = self.survivors();
        others.retain(|pid| getpgid(Some(pid.pid())).is_ok_and(|group| group != self.leader.pid()));
        others
    }

    /// To be called when the direct child is about to be reaped: from then on its number may be
    /// somebody else's.
    pub(super) fn disarm(&mut self) {
        self.armed = false;
        keeper::forget(self.leader);
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        if !self.armed {
            return;
        }
        if self.say(KILL) {
            keeper::wait_for(self.leader);
        }
        self.signal_group(Signal::SIGKILL);
        self.end_group();
        if self.is_supervised() {
            let mut hunt = Hunt::begin();
            while !hunt.look(keeper::orphans) {
                std::thread::sleep(LOOK_AGAIN);
            }
        }
        let begun = Instant::now();
        while begun.elapsed() < GIVE_UP {
            let alive = self.survivors();
            if alive.is_empty() && self.end_group() {
                break;
            }
            freeze_and_kill(alive, || self.survivors());
            std::thread::sleep(LOOK_AGAIN);
        }
        keeper::forget(self.leader);
    }
}

/// Signals one process; the caller knows who that is.
pub(super) fn signal_one(pid: Killable, signal: Signal) -> nix::Result<()> {
    kill(pid.pid(), signal)
}

/// Signals each of them.
pub(super) fn signal_each(pids: &[Killable], signal: Signal) {
    for pid in pids {
        // An error says that it is gone.
        let _ = kill(pid.pid(), signal);
    }
}

/// The running processes that carry `token` or are in the leader's session or group, and their
/// descendants. Nothing older than the leader can be one, which saves reading most environments.
fn members(token: &str, leader: Option<(Killable, u64)>) -> Vec<Killable> {
    let ours = |stat: &Stat| {
        leader.is_some_and(|(pid, _)| stat.session == pid.0 || stat.group == pid.0)
            // A variable that is set to nothing must not make strangers ours.
            || (!token.is_empty() && proc_fs::carries(stat.pid, token))
    };
    let mut all = everybody(LOOKS);
    all.retain(|stat| {
        let too_old = leader.is_some_and(|(_, started)| stat.start_time < started);
        stat.is_running() && !too_old
    });
    let found = all.iter().filter(|stat| ours(stat)).map(|stat| stat.pid);
    let mut found: BTreeSet<i32> = found.collect();
    add_descendants(&mut found, &all);
    found.into_iter().filter_map(Killable::new).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dangerous_numbers_cannot_be_killed() {
        let own = i32::try_from(std::process::id()).unwrap();
        for pid in [i32::MIN, -1, 0, 1, own] {
            assert_eq!(Killable::new(pid), None, "{pid}");
        }
        assert!(Killable::new(2).is_some());
    }

    #[test]
    fn an_empty_token_matches_nothing() {
        assert_eq!(sweep(""), 0);
    }
}
