//! What the machine has, and whether it is short of it: `/proc` on Linux, nothing known elsewhere.

use super::proc_fs;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Bytes of memory that processes here can have: the machine's, or less if our control group has less.
#[must_use]
pub fn memory() -> Option<u64> {
    let all = fs::read_to_string("/proc/meminfo").ok()?;
    let total = all
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let total: u64 = total.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    let limit =
        proc_fs::own_cgroup().and_then(|dir| fs::read_to_string(dir.join("memory.max")).ok());
    let limit = limit.and_then(|text| text.trim().parse::<u64>().ok());
    let total = total.saturating_mul(1024);
    Some(limit.map_or(total, |limit| limit.min(total)))
}

/// How much of the last ten seconds all work stood still because the machine was short of something.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pressure {
    /// Of memory, in percent.
    pub memory: f64,
    /// Of disk throughput, in percent.
    pub io: f64,
}

/// The pressure at this moment; `None` where the kernel does not tell (Linux before 4.20, or switched off).
/// Source: the kernel's documentation of "Pressure Stall Information".
#[must_use]
pub fn pressure() -> Option<Pressure> {
    let full = |what: &str| full(&fs::read_to_string(format!("/proc/pressure/{what}")).ok()?);
    Some(Pressure {
        memory: full("memory")?,
        io: full("io")?,
    })
}

/// `full avg10=1.23 avg60=…` of such a file.
fn full(text: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix("full "))?;
    let word = line
        .split(' ')
        .find_map(|word| word.strip_prefix("avg10="))?;
    word.parse().ok().filter(|share: &f64| share.is_finite())
}

/// How often so far a new process was refused in our control group because a limit of it was reached. `None` where
/// nobody counts that: without control groups, and when the limit is the user's or the whole machine's.
///
/// Until Linux 6.11 and in version 1, `pids.events` of the group that asked counts; from then on, that of the group
/// whose limit it was, and `pids.events.local` alone leaves out the groups below it, which are single jobs.
#[must_use]
pub fn refused_forks() -> Option<u64> {
    static COUNTERS: OnceLock<Vec<PathBuf>> = OnceLock::new();
    let counters = COUNTERS.get_or_init(fork_counters);
    let counts = counters.iter().filter_map(|file| {
        let text = fs::read_to_string(file).ok()?;
        refusals(&text)
    });
    counts.reduce(u64::saturating_add)
}

/// The files that count refusals for us: of our own group and of those above it.
fn fork_counters() -> Vec<PathBuf> {
    let has_counter = |dir: &Path| dir.join("pids.events").exists();
    let own = proc_fs::own_cgroup().filter(|dir| has_counter(dir));
    let Some(own) = own.or_else(|| proc_fs::own_cgroup_of("pids")) else {
        return Vec::new();
    };
    let groups = own.ancestors().take_while(|dir| has_counter(dir));
    let counters = groups.map(|dir| {
        let local = dir.join("pids.events.local");
        if local.exists() {
            return local;
        }
        dir.join("pids.events")
    });
    counters.collect()
}

/// `max 3` of such a file.
fn refusals(text: &str) -> Option<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix("max "))?
        .trim()
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_counted_by_the_kernel() {
        assert_eq!(refusals("max 0\n"), Some(0));
        assert_eq!(refusals("other 1\nmax 17\n"), Some(17));
        for text in ["", "max", "max many", "maximum 3"] {
            assert_eq!(refusals(text), None, "{text}");
        }
    }

    #[test]
    fn pressure_is_the_share_of_full_stalls() {
        let text = "some avg10=9.00 avg60=1.00 avg300=0.00 total=5\n\
                    full avg10=4.25 avg60=1.00 avg300=0.00 total=3\n";
        assert_eq!(full(text), Some(4.25));
        for text in ["", "some avg10=9.00", "full avg10=much", "full avg60=1"] {
            assert_eq!(full(text), None, "{text}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_machine_has_memory() {
        assert!(memory().unwrap() > 1 << 20);
    }
}
