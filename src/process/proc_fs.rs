//! What the system says about processes: `/proc` on Linux, nothing elsewhere.
//!
//! This file only reads; it must never signal anything. A process that vanishes between two reads is
//! the normal case, so every answer is an `Option`.

use super::TOKEN_VARIABLE;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Which process, beyond reuse of its number: kept in a lock file to tell a living holder from a
/// stranger who got the same pid later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// Its number.
    pub pid: u32,
    /// When it started, in clock ticks since boot; `None` where the system does not say.
    pub start_time: Option<u64>,
    /// Which boot that was; `None` where the system does not say.
    pub boot_id: Option<String>,
}

impl ProcessIdentity {
    /// This process.
    #[must_use]
    pub fn current() -> Self {
        let pid = std::process::id();
        Self {
            pid,
            start_time: start_time(pid),
            boot_id: boot_id(),
        }
    }

    /// Whether exactly that process still runs.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        alive(self.pid, self.start_time, self.boot_id.as_deref())
    }
}

/// When process `pid` started, in clock ticks since boot. `None` if there is none, or off Linux.
#[must_use]
pub fn start_time(pid: u32) -> Option<u64> {
    Stat::of(pid.try_into().ok()?).map(|stat| stat.start_time)
}

/// The kernel's name for this boot. `None` off Linux.
#[must_use]
pub fn boot_id() -> Option<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned())
}

/// Whether the process that was seen with this start time in this boot still runs. What is `None` is
/// not compared; with no start time the number alone decides.
#[must_use]
pub fn alive(pid: u32, started: Option<u64>, boot: Option<&str>) -> bool {
    let Some(pid) = i32::try_from(pid).ok().filter(|pid| *pid > 0) else {
        return false;
    };
    if boot.is_some_and(|boot| boot_id().is_some_and(|now| now != boot)) {
        return false;
    }
    match (Stat::of(pid), started) {
        (Some(stat), Some(started)) => stat.is_running() && stat.start_time == started,
        (Some(stat), None) => stat.is_running(),
        // No signal is sent; a process of another user answers EPERM and lives.
        (None, _) => {
            !cfg!(target_os = "linux") && kill(Pid::from_raw(pid), None) != Err(nix::Error::ESRCH)
        }
    }
}

/// What this room wants of `/proc/<pid>/stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) pid: i32,
    state: u8,
    pub(super) parent: i32,
    pub(super) group: i32,
    pub(super) session: i32,
    pub(super) start_time: u64,
}

impl Stat {
    pub(super) fn of(pid: i32) -> Option<Self> {
        // One call reads all of it: this is done for every process there is.
        let mut text = [0; 1024];
        let mut file = fs::File::open(format!("/proc/{pid}/stat")).ok()?;
        let length = file.read(&mut text).ok()?;
        Self::parse(&text[..length])
    }

    /// The command name in parentheses may itself hold blanks and parentheses: the last one closes it.
    fn parse(text: &[u8]) -> Option<Self> {
        let close = text.iter().rposition(|byte| *byte == b')')?;
        let open = text.iter().position(|byte| *byte == b'(')?;
        let pid = std::str::from_utf8(text.get(..open)?).ok()?;
        let rest = std::str::from_utf8(text.get(close + 1..)?).ok()?;
        // Field 3, the state, comes first here.
        let mut fields = rest.split_ascii_whitespace();
        Some(Self {
            pid: pid.trim().parse().ok()?,
            state: *fields.next()?.as_bytes().first()?,
            parent: fields.next()?.parse().ok()?,
            group: fields.next()?.parse().ok()?,
            session: fields.next()?.parse().ok()?,
            // Field 22.
            start_time: fields.nth(15)?.parse().ok()?,
        })
    }

    /// Neither a zombie nor dead: it can still do things.
    pub(super) fn is_running(&self) -> bool {
        !matches!(self.state, b'Z' | b'X' | b'x')
    }

    /// Stopped by a signal or by a debugger.
    pub(super) fn is_frozen(&self) -> bool {
        matches!(self.state, b'T' | b't')
    }
}

/// Whether `/proc` is there and tells of the processes as we number them.
pub(super) fn is_ours() -> bool {
    let own = std::process::id().to_string();
    fs::read_link("/proc/self").is_ok_and(|link| link.as_os_str() == own.as_str())
}

/// Bytes of memory that only `pid` has: neither of files nor shared. 0 if it is gone, or off Linux.
pub(super) fn own_memory(pid: i32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
    let mut pages = text.split(' ').skip(1).map(|word| word.parse::<u64>());
    match (pages.next(), pages.next()) {
        (Some(Ok(resident)), Some(Ok(shared))) => {
            resident.saturating_sub(shared).saturating_mul(page_size())
        }
        _ => 0,
    }
}

/// Bytes that `pid`, and the children it has waited for, have written: to disk, or at least by calls (which
/// is what file systems in memory count). 0 if it is gone, or off Linux.
pub(super) fn written(pid: i32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
    let number = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|word| word.trim().parse::<u64>().ok())
            .unwrap_or(0)
    };
    let to_disk = number("write_bytes:").saturating_sub(number("cancelled_write_bytes:"));
    to_disk.max(number("wchar:"))
}

fn page_size() -> u64 {
    let size = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE);
    size.ok().flatten().map_or(4096, |size| size.unsigned_abs())
}

/// The directory of our own control group of version 2, if there is one.
pub(super) fn own_cgroup() -> Option<PathBuf> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let dir = |line| cgroup_dir(line, own, |kind| kind.starts_with("cgroup2 "));
    mounts.lines().find_map(dir)
}

/// The directory of our own control group of version 1 under this controller, if there is one.
pub(super) fn own_cgroup_of(controller: &str) -> Option<PathBuf> {
    let has = |words: &str| words.split(',').any(|word| word == controller);
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = groups.lines().find_map(|line| {
        let (controllers, group) = line.split_once(':')?.1.split_once(':')?;
        has(controllers).then_some(group)
    })?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let is_it =
        |kind: &str| kind.starts_with("cgroup ") && kind.rsplit(' ').next().is_some_and(has);
    mounts.lines().find_map(|line| cgroup_dir(line, own, is_it))
}

/// Where a group is, by one line of `mountinfo`: fields 4 and 5 are the mounted directory and its place, and
/// the kind follows a lone dash.
fn cgroup_dir(mount: &str, group: &str, is_it: impl Fn(&str) -> bool) -> Option<PathBuf> {
    let (place, kind) = mount.split_once(" - ")?;
    if !is_it(kind) {
        return None;
    }
    let mut fields = place.split(' ').skip(3);
    let (root, point) = (fields.next()?, fields.next()?);
    let below = Path::new(group).strip_prefix(root).ok()?;
    Some(Path::new(point).join(below)).filter(|_| !group.contains(".."))
}

/// The number of every process. Empty off Linux, and where `/proc` is that of another namespace: its numbers mean
/// other processes to us, which might be signalled.
pub(super) fn pids() -> Vec<i32> {
    if !is_ours() {
        return Vec::new();
    }
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect()
}

/// The numbers of our children, also of dead ones whose status nobody has taken. Empty off Linux.
pub(super) fn children() -> Vec<i32> {
    // A file that the kernel may be built without.
    listed_children().unwrap_or_else(|| {
        let own = i32::try_from(std::process::id());
        let all = pids().into_iter().filter_map(Stat::of);
        let ours = all.filter(|stat| Ok(stat.parent) == own);
        ours.map(|stat| stat.pid).collect()
    })
}

/// Every thread has children of its own.
fn listed_children() -> Option<Vec<i32>> {
    let mut found = Vec::new();
    for thread in fs::read_dir("/proc/self/task").ok()? {
        let file = thread.ok()?.path().join("children");
        match fs::read_to_string(&file) {
            Ok(text) => found.extend(text.split(' ').filter_map(|word| word.parse::<i32>().ok())),
            // A thread that has ended meanwhile leaves its children to another.
            Err(_) if !file.parent().is_some_and(Path::exists) => {}
            Err(_) => return None,
        }
    }
    Some(found)
}

/// Whether the environment that `pid` was started with holds the token.
pub(super) fn carries(pid: i32, token: &str) -> bool {
    let wanted = format!("{TOKEN_VARIABLE}={token}");
    fs::read(format!("/proc/{pid}/environ"))
        .is_ok_and(|environment| variables(&environment).any(|entry| entry == wanted.as_bytes()))
}

fn variables(environment: &[u8]) -> impl Iterator<Item = &[u8]> {
    environment.split(|byte| *byte == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_name_cannot_forge_fields() {
        let text = b"42 (a) S 1 1 1 (b) R 7 8 9 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 12345 99 1\n";
        let stat = Stat::parse(text).unwrap();
        assert_eq!(
            (stat.pid, stat.state, stat.parent, stat.group, stat.session),
            (42, b'R', 7, 8, 9)
        );
        assert_eq!(stat.start_time, 12345);
        assert_eq!(Stat::parse(b"42 (a"), None);
        assert_eq!(Stat::parse(b")("), None);
        assert_eq!(Stat::parse(b"1 (a) R 1"), None);
    }

    #[test]
    fn a_control_group_is_found_by_its_mount() {
        let line = "35 24 0:30 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate";
        let dir =
            |line: &str, group: &str| cgroup_dir(line, group, |kind| kind.starts_with("cgroup2 "));
        let found = Path::new("/sys/fs/cgroup/user.slice/a.scope").to_owned();
        assert_eq!(dir(line, "/user.slice/a.scope"), Some(found));
        assert_eq!(dir(line, "/"), Some("/sys/fs/cgroup/".into()));
        let nested = line.replace("0:30 / ", "0:30 /box ");
        assert_eq!(dir(&nested, "/box/a"), Some("/sys/fs/cgroup/a".into()));
        assert_eq!(dir(&nested, "/a"), None);
        assert_eq!(dir(&line.replace("cgroup2", "cgroup"), "/a"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn an_identity_is_more_than_a_number() {
        let me = ProcessIdentity::current();
        assert!(me.is_alive());
        assert!(!alive(me.pid, me.start_time.map(|time| time + 1), None));
        assert!(!alive(me.pid, me.start_time, Some("another boot")));
        assert!(!alive(0, None, None));
        assert!(!alive(u32::MAX, None, None));
        let kept = serde_json::to_string(&me).unwrap();
        assert_eq!(serde_json::from_str::<ProcessIdentity>(&kept).unwrap(), me);
    }
}
