//! Who is below a process, and how all of them are ended so that none can fork away.
//!
//! Looking takes time, and what is looked at goes on forking and exiting: one look alone proves nothing. But a
//! dead child stays a child until its parent takes its status. So whoever forks and exits to get away is seen by a
//! subreaper dead or alive, and a look that shows neither proves that nobody is there. This file must never signal
//! anybody but whom a look has just shown.

use super::proc_fs::{self, Stat};
use super::tree::{GIVE_UP, Killable, signal_each};
use nix::sys::signal::Signal;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How often frozen processes are looked through for those forked meanwhile.
const FREEZES: usize = 16;
/// The same where only children are looked at, which is quick.
const QUICK_FREEZES: usize = 200;
/// How many looks in a row must show nobody new before all are known.
const CALM: usize = 2;
/// For so long new ones may keep coming before those at hand are killed all the same.
const FREEZE_PATIENCE: Duration = Duration::from_millis(500);
/// How often a hunt begins anew when there are others after those that were known are dead.
const ROUNDS: usize = 4;

/// Every process, also those that were forked while the others were looked at; it looks so often at most.
pub(super) fn everybody(looks: usize) -> Vec<Stat> {
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    for _ in 0..looks {
        let mut fresh = proc_fs::pids();
        fresh.retain(|pid| seen.insert(*pid));
        if fresh.is_empty() {
            break;
        }
        all.extend(fresh.into_iter().filter_map(Stat::of));
    }
    all
}

/// Adds to `found` whatever is below one of them.
pub(super) fn add_descendants(found: &mut BTreeSet<i32>, all: &[Stat]) {
    let mut before = 0;
    while before < found.len() {
        before = found.len();
        let children = all.iter().filter(|stat| found.contains(&stat.parent));
        let children: Vec<i32> = children.map(|stat| stat.pid).collect();
        found.extend(children);
    }
}

/// Freezes first, so that nobody can fork away from KILL. `look` says who is there now.
pub(super) fn freeze_and_kill(mut alive: Vec<Killable>, look: impl Fn() -> Vec<Killable>) {
    let mut frozen = BTreeSet::new();
    for _ in 0..FREEZES {
        if freeze(&mut frozen, &alive) == 0 {
            break;
        }
        alive = look();
    }
    signal_each(&alive, Signal::SIGKILL);
}

/// Freezes those that are not frozen yet, and says how many they were.
fn freeze(frozen: &mut BTreeSet<Killable>, alive: &[Killable]) -> usize {
    let fresh = alive.iter().copied();
    let fresh: Vec<Killable> = fresh.filter(|pid| frozen.insert(*pid)).collect();
    signal_each(&fresh, Signal::SIGSTOP);
    fresh.len()
}

/// What a look at children shows.
#[derive(Default)]
pub(super) struct Seen {
    /// Who runs.
    pub(super) running: Vec<Killable>,
    /// Whether somebody was found dead: a child of it may have come after the list was made.
    pub(super) dead: bool,
}

/// Freezes children until a look shows nobody new and nobody dead. It reads nothing but a list between two
/// looks, and so is faster than who hops from process to process. Says who runs, and whether it found anybody that
/// was not frozen yet.
pub(super) fn freeze_children(
    frozen: &mut BTreeSet<Killable>,
    mut look: impl FnMut() -> Seen,
) -> (Vec<Killable>, bool) {
    let mut anybody = false;
    for _ in 0..QUICK_FREEZES {
        let seen = look();
        let fresh = freeze(frozen, &seen.running);
        anybody |= fresh > 0 || seen.dead;
        if fresh == 0 && !seen.dead {
            return (seen.running, anybody);
        }
    }
    (look().running, true)
}

/// The end of those that have lost their supervisor, as harness does it, which has other children too, so that
/// the kernel cannot say when all are gone.
pub(super) struct Hunt {
    begun: Instant,
    frozen: BTreeSet<Killable>,
    calm: usize,
    all_known: bool,
    rounds: usize,
    count: usize,
}

impl Hunt {
    pub(super) fn begin() -> Self {
        Self {
            begun: Instant::now(),
            frozen: BTreeSet::new(),
            calm: 0,
            all_known: false,
            rounds: 0,
            count: 0,
        }
    }

    /// One look and what follows from it; to be called until it says that it is over. `orphans` shows the
    /// children that are hunted.
    pub(super) fn look(&mut self, orphans: impl Fn() -> Seen) -> bool {
        if self.begun.elapsed() > GIVE_UP {
            return true;
        }
        if self.all_known {
            self.kill_known(orphans)
        } else {
            self.freeze(orphans)
        }
    }

    fn freeze(&mut self, orphans: impl Fn() -> Seen) -> bool {
        let before = self.frozen.len();
        let (children, mut anybody) = freeze_children(&mut self.frozen, orphans);
        if children.is_empty() && !anybody && self.frozen.is_empty() {
            return true;
        }
        let alive = with_descendants(&children);
        anybody |= freeze(&mut self.frozen, &alive) > 0;
        self.count += self.frozen.len() - before;
        self.calm = if anybody { 0 } else { self.calm + 1 };
        self.all_known = self.calm >= CALM;
        if self.all_known || self.begun.elapsed() > FREEZE_PATIENCE {
            signal_each(&alive, Signal::SIGKILL);
        }
        false
    }

    /// Kills those that are known until they are gone. Others may have come meanwhile: let go by one that was
    /// killed, or by the supervisor of another job that was killed just now, whose own hunt they are.
    fn kill_known(&mut self, orphans: impl Fn() -> Seen) -> bool {
        let Seen { running, dead } = orphans();
        let nobody = running.is_empty() && !dead;
        let left = with_descendants(&running).into_iter();
        let left: Vec<Killable> = left.filter(|pid| self.frozen.contains(pid)).collect();
        if !left.is_empty() {
            signal_each(&left, Signal::SIGKILL);
            return false;
        }
        self.rounds += 1;
        self.frozen.clear();
        (self.calm, self.all_known) = (0, false);
        nobody || self.rounds == ROUNDS
    }

    /// How many there were.
    pub(super) fn count(&self) -> usize {
        self.count
    }
}

/// These and everything below them, as far as it runs.
fn with_descendants(tops: &[Killable]) -> Vec<Killable> {
    if tops.is_empty() {
        return Vec::new();
    }
    let all = everybody(1);
    let mut found: BTreeSet<i32> = tops.iter().map(|pid| pid.pid().as_raw()).collect();
    add_descendants(&mut found, &all);
    let running = all
        .iter()
        .filter(|stat| found.contains(&stat.pid) && stat.is_running());
    running.filter_map(|stat| Killable::new(stat.pid)).collect()
}
