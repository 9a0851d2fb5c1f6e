//! The supervisor: this program in another mode, between harness and one command.
//!
//! It is a process of its own because the kernel gives orphans to the nearest *subreaper* above them: however
//! a process below it detaches (a new session, a double fork, a parent that exits), it stays a descendant of
//! the supervisor, and the supervisor ends only when it has none. It ends them all when it is told to, and
//! also when harness dies, which it sees at its end of a socket. Linux only.
//!
//! Single-threaded, and it trusts nothing that runs below it. It must never know what the command is for.
//! [`keeper`](super::keeper) is harness's side of the socket.

use super::below::{Seen, add_descendants, everybody, freeze_and_kill, freeze_children};
use super::cgroup::Group;
use super::keeper::KILL;
use super::limits::Limits;
use super::proc_fs::{self, Stat};
use super::sandbox;
use super::sandbox::rules::{Restriction, Rule};
use super::tree::{Killable, signal_each};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, killpg, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::stat::{SFlag, fstat};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::{Pid, dup2_stderr, dup2_stdin, dup2_stdout, getppid, setsid};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, FromRawFd as _, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

/// What outlives the command gets this long between TERM and KILL: a git that holds a lock
/// must come to remove it, on a busy machine too.
const LEFTOVER_GRACE: Duration = Duration::from_millis(400);
/// After this long a killed process hangs in the kernel, and waiting for it would hang harness.
const GIVE_UP: Duration = Duration::from_secs(5);
/// Between two looks at processes that were just killed.
const LOOK_AGAIN: Duration = Duration::from_millis(2);
/// Between two looks at what the command uses.
const LOOK_AT_LIMITS: Duration = Duration::from_millis(500);

/// Does the supervisor's work with the arguments behind [`MODE`](super::keeper::MODE): the number of the
/// inherited socket, the grace in milliseconds, whether all are awaited, the limits, the control group above or `-`, the
/// sandbox, the program, its arguments. Returns the exit status of the process, which says
/// nothing: what harness wants to know comes through the socket.
pub(super) fn serve(args: impl Iterator<Item = OsString>) -> u8 {
    let Some(order) = Order::parse(args) else {
        return 2;
    };
    match Supervisor::begin(&order) {
        Ok(mut supervisor) => {
            supervisor.watch();
            supervisor.end();
            0
        }
        Err((mut socket, why)) => {
            // If harness is gone nobody wants to know.
            let _ = writeln!(socket, "failed {}", why.replace('\n', " "));
            1
        }
    }
}

struct Order {
    socket: UnixStream,
    grace: Duration,
    awaits_all: bool,
    limits: Limits,
    cgroup: Option<PathBuf>,
    confined: Confined,
    program: OsString,
    args: Vec<OsString>,
}

/// How the command is kept in its sandbox.
enum Confined {
    /// It has none.
    No,
    /// By a program, which is what we start, and which starts the command.
    ByProgram,
    /// By the kernel's rules.
    ByRules(Vec<Rule>),
}

impl Confined {
    fn parse(args: &mut impl Iterator<Item = OsString>) -> Option<Self> {
        match args.next()?.to_str()? {
            sandbox::NONE => Some(Self::No),
            sandbox::BY_PROGRAM => Some(Self::ByProgram),
            sandbox::BY_RULES => {
                let count: usize = args.next()?.to_str()?.parse().ok()?;
                let rules: Vec<Rule> = args
                    .take(count)
                    .map_while(|arg| Rule::decode(&arg))
                    .collect();
                (rules.len() == count).then_some(Self::ByRules(rules))
            }
            _ => None,
        }
    }
}

impl Order {
    /// `None` for anything but what harness says: the mode is not for people.
    fn parse(mut args: impl Iterator<Item = OsString>) -> Option<Self> {
        let socket: RawFd = args.next()?.to_str()?.parse().ok()?;
        let grace: u64 = args.next()?.to_str()?.parse().ok()?;
        let awaits_all = args.next()? == "1";
        let limits = Limits::decode(args.next()?.to_str()?)?;
        let cgroup = args.next().filter(|word| word != "-").map(PathBuf::from);
        let confined = Confined::parse(&mut args)?;
        let program = args.next()?;
        Some(Self {
            socket: inherited(socket)?,
            grace: Duration::from_millis(grace),
            awaits_all,
            limits,
            cgroup,
            confined,
            program,
            args: args.collect(),
        })
    }
}

/// The socket harness left open for us; `None` if there is none at that number.
#[expect(
    unsafe_code,
    reason = "std has no safe way to take over an inherited descriptor"
)]
fn inherited(number: RawFd) -> Option<UnixStream> {
    if number <= 2 {
        return None;
    }
    // SAFETY: only looked at, and for no longer than this statement; an invalid number is an error.
    let kind = fstat(unsafe { BorrowedFd::borrow_raw(number) }).ok()?;
    let is_socket = SFlag::from_bits_truncate(kind.st_mode) & SFlag::S_IFMT == SFlag::S_IFSOCK;
    if !is_socket {
        return None;
    }
    // SAFETY: it is open, and nothing else in this process, which has only just begun, knows of it.
    let socket = unsafe { UnixStream::from_raw_fd(number) };
    // The command must neither speak for us nor keep harness waiting.
    fcntl(&socket, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).ok()?;
    Some(socket)
}

struct Supervisor {
    socket: UnixStream,
    /// Whether harness still is at the other end.
    heard: bool,
    signals: SignalFd,
    grace: Duration,
    /// Whether what the command leaves behind is waited for.
    awaits_all: bool,
    limits: Limits,
    group: Option<Group>,
    leader: Pid,
    /// Whether the leader is a program that keeps the command in its sandbox, not the command.
    is_wrapped: bool,
    /// How the command ended, as it is told to harness.
    ending: Option<String>,
    /// When the command's time to say goodbye is over.
    deadline: Option<Instant>,
    /// Whether everything is to die at once.
    killing: bool,
    /// Which limit was broken.
    over: Option<String>,
    /// When the limits are looked at again.
    look: Instant,
    left: BTreeSet<i32>,
}

impl Supervisor {
    fn begin(order: &Order) -> Result<Self, (UnixStream, String)> {
        let socket = |why: String| {
            // A copy can only fail for want of descriptors; then there is nobody to tell.
            let socket = order.socket.try_clone();
            socket.map_or_else(|_| std::process::exit(1), |socket| (socket, why))
        };
        let system = |what: &str, error: Errno| socket(format!("cannot {what}: {error}"));
        prctl::set_child_subreaper(true).map_err(|e| system("adopt orphans", e))?;
        // Whoever has frozen us must not keep us from seeing that harness died.
        prctl::set_pdeathsig(Signal::SIGCONT).map_err(|e| system("be woken", e))?;
        // Nobody of the same user can look into us or use our descriptors.
        prctl::set_dumpable(false).map_err(|e| system("hide", e))?;
        let mut watched = SigSet::empty();
        for signal in [
            Signal::SIGCHLD,
            Signal::SIGTERM,
            Signal::SIGINT,
            Signal::SIGHUP,
        ] {
            watched.add(signal);
        }
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&watched), None)
            .map_err(|e| system("block signals", e))?;
        let signals =
            SignalFd::with_flags(&watched, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
                .map_err(|e| system("listen for signals", e))?;
        let group = order.cgroup.as_deref().and_then(|parent| {
            let name = std::process::id().to_string();
            Group::make(parent, &name, &order.limits)
        });
        let leader = start(order, group.as_ref()).map_err(|why| {
            if let Some(group) = &group {
                group.remove();
            }
            socket(why)
        })?;
        let supervisor = Self {
            socket: order
                .socket
                .try_clone()
                .map_err(|error| socket(error.to_string()))?,
            heard: true,
            signals,
            grace: order.grace,
            awaits_all: order.awaits_all,
            limits: order.limits,
            group,
            leader,
            is_wrapped: matches!(order.confined, Confined::ByProgram),
            ending: None,
            deadline: None,
            killing: false,
            over: None,
            look: Instant::now() + LOOK_AT_LIMITS,
            left: BTreeSet::new(),
        };
        let _ = supervisor.socket.set_nonblocking(true);
        let_go_of_pipes();
        Ok(supervisor)
    }

    /// Until the command has ended, with all that it left if that is awaited, or must be killed.
    fn watch(&mut self) {
        loop {
            self.reap();
            let now = Instant::now();
            let over = self.deadline.is_some_and(|deadline| deadline <= now);
            let has_ended = self.ending.is_some() && !(self.awaits_all && has_children());
            if has_ended || over || self.killing {
                return;
            }
            self.look_at_limits(now);
            let look = self.limits.are_watched().then_some(self.look);
            let next = [self.deadline, look].into_iter().flatten().min();
            self.sleep(next.map(|next| next.saturating_duration_since(now)));
            if self.told_to_stop() && self.deadline.is_none() {
                self.ask();
                self.deadline = Some(Instant::now() + self.grace);
            }
        }
    }

    /// Asks the command to end.
    fn ask(&self) {
        if self.ending.is_some() {
            // Its number may be somebody else's by now.
            signal_each(&descendants(), Signal::SIGTERM);
            return;
        }
        if !self.is_wrapped {
            // An error says that nobody is left there.
            let _ = killpg(self.leader, Signal::SIGTERM);
            return;
        }
        // Were the program that keeps the sandbox to end, or the first process in it, the kernel would end all others
        // at once, and nobody could say goodbye.
        let all: Vec<Stat> = proc_fs::pids().into_iter().filter_map(Stat::of).collect();
        let first = |pid: &Killable| {
            let pid = pid.pid().as_raw();
            let stat = all.iter().find(|stat| stat.pid == pid);
            stat.is_some_and(|stat| stat.parent == self.leader.as_raw())
        };
        let mut others = descendants();
        others.retain(|pid| pid.pid() != self.leader && !first(pid));
        signal_each(&others, Signal::SIGTERM);
    }

    fn look_at_limits(&mut self, now: Instant) {
        if !self.limits.are_watched() || self.look > now {
            return;
        }
        self.look = now + LOOK_AT_LIMITS;
        self.over = self.limits.broken_by(&descendants());
        self.killing |= self.over.is_some();
    }

    /// Ends whatever is left, tells harness, and returns when there is nothing.
    fn end(&mut self) {
        let begun = Instant::now();
        // A command that had to be killed has had its time.
        let polite = self.ending.is_some();
        let mut greeted = BTreeSet::new();
        loop {
            self.reap();
            let killing = !polite || self.killing || begun.elapsed() >= LEFTOVER_GRACE;
            if let Some(group) = self.group.as_ref().filter(|_| killing) {
                // Before looking: in a storm every look takes long.
                group.kill();
            }
            let alive = descendants();
            let hopeless = begun.elapsed() > GIVE_UP;
            if (alive.is_empty() && !has_children()) || hopeless {
                break;
            }
            if !self.is_wrapped {
                // When the program that keeps a sandbox ends, the kernel ends all in it: how many there were is not
                // to be seen.
                let others = alive.iter().filter(|pid| pid.pid() != self.leader);
                self.left.extend(others.map(|pid| pid.pid().as_raw()));
            }
            self.told_to_stop();
            if !killing {
                let fresh: Vec<Killable> = alive
                    .into_iter()
                    .filter(|pid| greeted.insert(*pid))
                    .collect();
                signal_each(&fresh, Signal::SIGTERM);
            } else {
                self.freeze_children();
                freeze_and_kill(alive, descendants);
            }
            self.sleep(Some(LOOK_AGAIN));
        }
        if let Some(group) = &self.group {
            group.remove();
        }
        let ending = self.ending.as_deref().unwrap_or("lost");
        let over = self.over.as_ref().map(|what| format!("over {what}"));
        let ending = over.as_deref().unwrap_or(ending);
        let _ = writeln!(self.socket, "{ending} left {}", self.left.len());
    }

    /// Takes the status of every child that has ended: the command's is kept.
    fn reap(&mut self) {
        while let Some((pid, status)) = ended_child() {
            if pid == self.leader.as_raw() {
                self.ending = Some(match (status.code(), status.signal()) {
                    (Some(code), _) => format!("exited {code}"),
                    (None, signal) => format!("signalled {}", signal.unwrap_or(0)),
                });
            }
        }
    }

    /// Stops those that hop from process to process: they end up as our children.
    fn freeze_children(&mut self) {
        freeze_children(&mut BTreeSet::new(), || {
            self.reap();
            let children = proc_fs::children().into_iter();
            Seen {
                running: children.filter_map(Killable::new).collect(),
                dead: false,
            }
        });
    }

    /// Until a signal or a word from harness comes, or the time is over.
    fn sleep(&self, limit: Option<Duration>) {
        let limit = limit.map_or(PollTimeout::NONE, |limit| {
            // Rounded up: waking too early would be a busy wait.
            let millis = limit.as_millis().saturating_add(1);
            PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX)
        });
        let mut waited = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        if self.heard {
            waited.push(PollFd::new(self.socket.as_fd(), PollFlags::POLLIN));
        }
        // An interruption is as good as an event: everything is looked at again.
        let _ = poll(&mut waited, limit);
    }

    /// Whether harness, its death, or somebody with a signal asks for the end.
    fn told_to_stop(&mut self) -> bool {
        let mut stop = false;
        while let Ok(Some(signal)) = self.signals.read_signal() {
            stop |= signal.ssi_signo != Signal::SIGCHLD as u32;
        }
        let mut words = [0; 16];
        while self.heard {
            match (&self.socket).read(&mut words) {
                Ok(0) => (self.heard, stop) = (false, true),
                Ok(count) => {
                    stop = true;
                    self.killing |= words[..count].contains(&KILL);
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                Err(_) => (self.heard, stop) = (false, true),
            }
        }
        stop
    }
}

/// Starts the command as leader of a session of its own, so that a signal to its group does not reach us.
#[expect(
    unsafe_code,
    reason = "std offers neither setsid nor the parent-death signal in stable form"
)]
fn start(order: &Order, group: Option<&Group>) -> Result<Pid, String> {
    let supervisor = nix::unistd::getpid();
    let limits = order.limits;
    let mut restriction = match &order.confined {
        Confined::ByRules(rules) => Some(Restriction::new(rules)?),
        Confined::No | Confined::ByProgram => None,
    };
    let entrance = group.and_then(Group::entrance);
    let before_exec = move || -> std::io::Result<()> {
        setsid()?;
        SigSet::empty().thread_set_mask()?;
        if let Some(entrance) = &entrance {
            // Without the group the supervisor does what it can.
            let _ = nix::unistd::write(entrance, b"0");
        }
        limits.bind()?;
        prctl::set_pdeathsig(Signal::SIGKILL)?;
        // The supervisor may have died before the kernel was told to watch it.
        if getppid() != supervisor {
            return Err(Errno::ESRCH.into());
        }
        // Last: nothing above is allowed any more.
        restriction.as_mut().map_or(Ok(()), Restriction::enforce)
    };
    let mut command = Command::new(&order.program);
    command.args(&order.args);
    // SAFETY: between fork and exec of a program with threads only async-signal-safe calls are allowed. This one has
    // a single thread. The closure makes bare system calls, and owns nothing but numbers and open files.
    unsafe {
        command.pre_exec(before_exec);
    }
    let name = order.program.display();
    let child = command
        .spawn()
        .map_err(|error| format!("cannot start {name}: {error}"))?;
    let pid = i32::try_from(child.id()).ok().and_then(Killable::new);
    pid.map(Killable::pid)
        .ok_or_else(|| "the system gave the new process no usable number".to_owned())
}

/// The pipes are the command's: as long as we held them, harness would wait for their end.
fn let_go_of_pipes() {
    let null = OpenOptions::new().read(true).write(true).open("/dev/null");
    let replace = |null: &File| -> nix::Result<()> {
        dup2_stdin(null)?;
        dup2_stdout(null)?;
        dup2_stderr(null)
    };
    // Without it the end of the output is seen when we end; harness waits for that anyway.
    let _ = null.ok().map(|null| replace(&null));
}

/// Takes the status of one child that has ended.
#[expect(
    unsafe_code,
    reason = "nix takes a status that names a real-time signal for an error, and the child is lost with it"
)]
fn ended_child() -> Option<(i32, ExitStatus)> {
    let mut status = 0;
    // SAFETY: the status is written to a local number that outlives the call.
    let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG | libc::__WALL) };
    (pid > 0).then(|| (pid, ExitStatus::from_raw(status)))
}

/// Whether any child is left, dead or alive.
fn has_children() -> bool {
    let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    waitid(Id::All, look | WaitPidFlag::__WALL) != Err(Errno::ECHILD)
}

/// Everything below us that still runs.
fn descendants() -> Vec<Killable> {
    if !has_children() {
        return Vec::new();
    }
    // Nobody is missed for good: the kernel says when no child is left.
    let all = everybody(1);
    let mut found: BTreeSet<i32> = i32::try_from(std::process::id()).into_iter().collect();
    add_descendants(&mut found, &all);
    let running = all
        .iter()
        .filter(|stat| found.contains(&stat.pid) && stat.is_running());
    // Killable refuses our own number.
    running.filter_map(|stat| Killable::new(stat.pid)).collect()
}
