//! The life of one job, from spawn to the last process dead.
//!
//! The end of a job is the exit of its direct child, never the end of a pipe. This file must never know
//! what a job is for.

use super::below::{Hunt, freeze_and_kill};
use super::capture::{Capture, Log};
use super::keeper::{self, STOP, Started, Told};
use super::pipes::Pipes;
use super::tree::{GIVE_UP, LOOK_AGAIN, Tree, signal_each};
use super::{Finished, Job, Stream, machine};
use crate::fault::{self, Point};
use crate::model::Ending;
use nix::sys::signal::Signal;
use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt as _;
use std::pin::pin;
use std::time::Duration;
use tokio::process::Child;
use tokio::signal::unix::{self, SignalKind};
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// What outlives the direct child and is not awaited gets this long between TERM and KILL: a git that holds a lock
/// must come to remove it, on a busy machine too.
const LEFTOVER_GRACE: Duration = Duration::from_millis(400);
/// Between two looks at a supervisor that should have ended.
const SUPERVISORS_MOMENT: Duration = Duration::from_millis(50);
/// Between two looks at what is awaited though the direct child has exited, at least.
const LOOK_FOR_OTHERS: Duration = Duration::from_millis(20);
/// The pause is so many times as long as such a look, which reads something of every process there is.
const REST: u32 = 20;
/// How long output that is already on its way is waited for once the tree is dead.
const DRAIN: Duration = Duration::from_millis(200);

/// Runs a job to its end: by itself, by a limit, or because `stop` resolved, with the ending to record. When it returns, nothing of
/// the job's process tree is left running (see [`Finished::leftovers`]). Dropping the future kills the
/// tree.
///
/// `on_line` gets every line of output as it comes, without its terminator, lossily decoded; a line
/// longer than 8 MiB (1 MiB on stderr) is cut there. Nothing is escaped; what is secret is replaced.
///
/// Call it within a tokio runtime that has IO and time enabled, on a thread that lives as long as the
/// job: on Linux the direct child dies with the *thread* that spawned it, so that it cannot survive a
/// `kill -9` of the program. A current-thread runtime on the main thread is right. SIGPIPE must be
/// ignored, as it is in a Rust program unless somebody changes that: a child may close its stdin.
///
/// Never fails: what cannot be started is an [`Ending::NotStarted`] that says why.
pub async fn run(
    mut job: Job,
    stop: impl Future<Output = Ending>,
    on_line: impl FnMut(Stream, &str),
) -> Finished {
    let begun = Instant::now();
    let refused = machine::refused_forks();
    if let (Some(sandbox), Some(dir)) = (&mut job.sandbox, job.builds.dir()) {
        // Where mounts hold it, a FIFO can be written all the same.
        sandbox.policy.read.push(dir.clone());
        sandbox.policy.instead.push(dir);
    }
    let share = job.builds.begin();
    share.set(&mut job.env);
    let (mut leader, log) = match start(&job) {
        Ok(started) => started,
        Err(why) => return not_started(why, begun.elapsed()),
    };
    let input = std::mem::take(&mut job.stdin);
    let capture = Capture::new(log, &job.secrets, on_line);
    let mut pipes = Pipes::new(&mut leader.child, input, capture);

    let killed = supervise(&job, &mut leader, &mut pipes, stop).await;
    if killed.is_some() {
        stop_leader(&job, &mut leader, &mut pipes).await;
    }
    let (by_itself, leftovers) = match leader.tree.told() {
        Told::End(ending, leftovers) => {
            // The supervisor ended after everything below it.
            pipes.drain(DRAIN).await;
            leader.reap();
            (ending, leftovers)
        }
        Told::Nothing => {
            leader.tree.end_group();
            let mut leftovers = clear(&leader.tree, &mut pipes).await;
            if !pipes.drain(DRAIN).await {
                // Whoever holds a pipe now was missed: it was forked while we looked, or it hides from us.
                leftovers += clear(&leader.tree, &mut pipes).await;
                pipes.drain(DRAIN).await;
            }
            (leader.reap(), leftovers)
        }
    };
    let was_whole = killed.is_none() && matches!(by_itself, Ending::Exited { .. });
    share.end(was_whole && leftovers == 0);
    fault::past(Point::JobEnded);
    Finished {
        starved: machine::refused_forks() > refused,
        ..pipes.finish(killed.unwrap_or(by_itself), begun.elapsed(), leftovers)
    }
}

fn start(job: &Job) -> Result<(Leader, Log), String> {
    // Listening begins before the child exists, so that its end cannot be missed.
    let child_ends = unix::signal(SignalKind::child())
        .map_err(|error| format!("cannot listen for the end of child processes: {error}"))?;
    let log = match Log::create(&job.output, job.output_cap) {
        Ok(log) => log,
        Err(error) => {
            let why = format!("cannot create {}: {error}", job.output.display());
            if job.needs_output {
                return Err(why);
            }
            Log::lost(&job.output, why)
        }
    };
    let Started { child, pid, link } = keeper::start(job)?;
    let leader = Leader {
        tree: Tree::new(pid, job.token.clone(), link),
        child,
        child_ends,
        next_look: Instant::now(),
    };
    Ok((leader, log))
}

fn not_started(why: String, elapsed: Duration) -> Finished {
    Finished {
        ending: Ending::NotStarted { why },
        elapsed,
        output_bytes: 0,
        output_error: None,
        leftovers: 0,
        starved: false,
    }
}

/// Moves bytes until the direct child exits (`None`) or has to be stopped (why).
async fn supervise<F: FnMut(Stream, &str)>(
    job: &Job,
    leader: &mut Leader,
    pipes: &mut Pipes<F>,
    stop: impl Future<Output = Ending>,
) -> Option<Ending> {
    let mut stop = pin!(stop);
    let mut time_up = pin!(sleep(job.timeout));
    loop {
        let idle = sleep(pipes.idle_left(job.idle_timeout));
        tokio::select! {
            // In this order: a flood of output starves nobody, and bytes that are already here
            // count before the idle limit does.
            biased;
            () = leader.ended(job.awaits_all) => return None,
            ending = &mut stop => return Some(ending),
            () = &mut time_up => return Some(Ending::TimedOut),
            () = pipes.step() => {}
            () = idle => return Some(Ending::IdleTimedOut),
        }
    }
}

/// TERM, grace, KILL. Output is read all the while: who says goodbye must not block on a full pipe.
async fn stop_leader<F: FnMut(Stream, &str)>(job: &Job, leader: &mut Leader, pipes: &mut Pipes<F>) {
    let supervised = leader.tree.say(STOP);
    if !supervised {
        leader.tree.signal_group(Signal::SIGTERM);
        if job.awaits_all {
            signal_each(&leader.tree.outside_group(), Signal::SIGTERM);
        }
    }
    if comes_within(pipes, job.grace, leader.ended(job.awaits_all)).await {
        return;
    }
    // A supervisor does all of it, and needs a moment for the last step. One that somebody has frozen does
    // nothing: it is killed like anybody.
    let begun = Instant::now();
    while supervised && begun.elapsed() < GIVE_UP {
        if comes_within(pipes, SUPERVISORS_MOMENT, leader.exited()).await {
            return;
        }
        if leader.tree.is_frozen() {
            break;
        }
    }
    leader.tree.signal_group(Signal::SIGKILL);
    comes_within(pipes, GIVE_UP, leader.exited()).await;
}

/// Moves bytes until the end comes, for so long at most. Says whether it has.
async fn comes_within<F: FnMut(Stream, &str)>(
    pipes: &mut Pipes<F>,
    patience: Duration,
    end: impl Future<Output = ()>,
) -> bool {
    tokio::select! {
        biased;
        ended = timeout(patience, end) => ended.is_ok(),
        () = pipes.pump(Duration::MAX) => false,
    }
}

/// Ends whatever outlived the direct child: TERM, a short grace, KILL until nothing is left. Returns how many
/// there were.
async fn clear<F: FnMut(Stream, &str)>(tree: &Tree, pipes: &mut Pipes<F>) -> usize {
    let mut grace = LEFTOVER_GRACE;
    let mut orphans = 0;
    if tree.is_supervised() {
        // What has killed its supervisor has had its time.
        grace = Duration::ZERO;
        let mut hunt = Hunt::begin();
        while !hunt.look(keeper::orphans) {
            pipes.pump(LOOK_AGAIN).await;
        }
        orphans = hunt.count();
    }
    let begun = Instant::now();
    let mut known = BTreeSet::new();
    loop {
        let alive = tree.survivors();
        if (alive.is_empty() && tree.end_group()) || begun.elapsed() > GIVE_UP {
            break;
        }
        if begun.elapsed() < grace {
            let fresh: Vec<_> = alive.into_iter().filter(|pid| known.insert(*pid)).collect();
            signal_each(&fresh, Signal::SIGTERM);
        } else {
            known.extend(alive.iter().copied());
            freeze_and_kill(alive, || tree.survivors());
        }
        pipes.pump(LOOK_AGAIN).await;
    }
    // Where survivors cannot be seen (off Linux) this is what ends them.
    tree.signal_group(Signal::SIGKILL);
    orphans + known.len()
}

/// The direct child. Fields are dropped in this order: an armed tree is killed while the unreaped child
/// still keeps its number from being reused.
struct Leader {
    tree: Tree,
    child: Child,
    child_ends: unix::Signal,
    /// When it is looked again for others that are awaited, whoever asks meanwhile.
    next_look: Instant,
}

impl Leader {
    /// Resolves when the direct child has exited, and if all are awaited, with it whatever can be seen of the tree. A
    /// supervisor ends last of all anyway. Cancel safe.
    async fn ended(&mut self, awaits_all: bool) {
        self.exited().await;
        while awaits_all && !self.tree.is_supervised() {
            sleep_until(self.next_look).await;
            let begun = Instant::now();
            let others = self.tree.survivors();
            self.next_look = Instant::now() + LOOK_FOR_OTHERS.max(begun.elapsed() * REST);
            if others.is_empty() {
                return;
            }
        }
    }

    /// Resolves when the direct child has exited, without reaping it. Cancel safe.
    #[cfg(target_os = "linux")]
    async fn exited(&mut self) {
        use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
        let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        while waitid(Id::Pid(self.tree.leader().pid()), look) == Ok(WaitStatus::StillAlive) {
            if self.child_ends.recv().await.is_none() {
                return;
            }
        }
    }

    /// Resolves when the direct child has exited. Cancel safe. Reaps, since not every system can look
    /// without: what is left of the group then holds its number just as well.
    #[cfg(not(target_os = "linux"))]
    async fn exited(&mut self) {
        // The result is kept and asked for again by `reap`.
        let _ = self.child.wait().await;
    }

    /// Takes the exit status. A child that KILL did not end (stuck in the kernel) is left to the
    /// runtime, which reaps it whenever it ends.
    fn reap(mut self) -> Ending {
        self.tree.disarm();
        match self.child.try_wait() {
            Ok(Some(status)) => match (status.code(), status.signal()) {
                (Some(code), _) => Ending::Exited { code },
                (None, signal) => Ending::Signalled {
                    signal: signal.unwrap_or(0),
                },
            },
            Ok(None) => lost("it did not end"),
            Err(error) => lost(&error.to_string()),
        }
    }
}

/// An exit status that nobody can tell any more is a failure of the system, not of the job.
fn lost(why: &str) -> Ending {
    Ending::NotStarted {
        why: format!("the exit status was lost: {why}"),
    }
}
