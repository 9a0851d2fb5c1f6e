//! What a job may use, and how much it uses.
//!
//! Limits of the kernel are set where they hold for one process alone; memory and the number of processes are
//! those of a whole tree, and are measured. This file must never end anything itself.

use super::proc_fs;
use super::tree::Killable;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};

/// What a job may use with everything it starts; `None`: as much as there is. Memory and processes are
/// watched by a supervisor only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory of its own, without files that others share, of all its processes together.
    pub memory: Option<u64>,
    /// Processes at the same time.
    pub processes: Option<u64>,
    /// Files each process may have open.
    pub open_files: Option<u64>,
    /// Bytes that a file may grow to.
    pub file_size: Option<u64>,
}

impl Limits {
    /// On one line, for a supervisor.
    pub(super) fn encode(&self) -> String {
        let Self {
            memory,
            processes,
            open_files,
            file_size,
        } = self;
        let numbers = [memory, processes, open_files, file_size];
        let words = numbers.map(|limit| limit.map_or_else(|| "-".to_owned(), |n| n.to_string()));
        words.join(",")
    }

    /// What [`encode`](Self::encode) wrote.
    pub(super) fn decode(text: &str) -> Option<Self> {
        let mut numbers = text.split(',').map(|word| match word {
            "-" => Some(None),
            word => word.parse().ok().map(Some),
        });
        let limits = Self {
            memory: numbers.next()??,
            processes: numbers.next()??,
            open_files: numbers.next()??,
            file_size: numbers.next()??,
        };
        numbers.next().is_none().then_some(limits)
    }

    /// Whether anything of it has to be watched.
    pub(super) fn are_watched(&self) -> bool {
        self.memory.is_some() || self.processes.is_some()
    }

    /// Lets the kernel hold this process, and what it starts, to what it can. Async-signal-safe. Never raises
    /// a limit, and leaves no core dumps: they would fill the disk with what nobody looks at.
    pub(super) fn bind(&self) -> nix::Result<()> {
        let lowered = [
            (Resource::RLIMIT_NOFILE, self.open_files),
            (Resource::RLIMIT_FSIZE, self.file_size),
            (Resource::RLIMIT_CORE, Some(0)),
        ];
        for (resource, limit) in lowered {
            if let Some(limit) = limit {
                let (soft, hard) = getrlimit(resource)?;
                let lower = |have: u64| {
                    if have == RLIM_INFINITY {
                        limit
                    } else {
                        have.min(limit)
                    }
                };
                setrlimit(resource, lower(soft), lower(hard))?;
            }
        }
        Ok(())
    }

    /// Which limit these processes break, in words; `None` if none.
    pub(super) fn broken_by(&self, tree: &[Killable]) -> Option<String> {
        let processes = u64::try_from(tree.len()).unwrap_or(u64::MAX);
        if let Some(limit) = self.processes.filter(|limit| processes > *limit) {
            return Some(format!("processes: {processes}, {limit} allowed"));
        }
        let limit = self.memory?;
        let sizes = tree
            .iter()
            .map(|pid| proc_fs::own_memory(pid.pid().as_raw()));
        let used = sizes.fold(0, u64::saturating_add);
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        (used > limit).then(|| format!("memory: {} MiB, {} allowed", mib(used), mib(limit)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_survive_the_way_to_a_supervisor() {
        let some = Limits {
            memory: Some(1 << 33),
            processes: None,
            open_files: Some(1024),
            file_size: Some(0),
        };
        for limits in [some, Limits::default()] {
            assert_eq!(Limits::decode(&limits.encode()), Some(limits));
        }
        for text in ["", "1,2,3", "1,2,3,4,5", "1,2,3,x", "-1,2,3,4"] {
            assert_eq!(Limits::decode(text), None, "{text}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_broken_limit_is_named() {
        let me = [];
        assert_eq!(Limits::default().broken_by(&me), None);
        let parent = Killable::new(nix::unistd::getppid().as_raw());
        let tree: Vec<Killable> = parent.into_iter().collect();
        if tree.is_empty() {
            return;
        }
        let limit = |memory, processes| Limits {
            memory,
            processes,
            ..Limits::default()
        };
        assert_eq!(limit(Some(1 << 50), Some(1)).broken_by(&tree), None);
        assert_eq!(
            limit(None, Some(0)).broken_by(&tree).unwrap(),
            "processes: 1, 0 allowed"
        );
        let words = limit(Some(0), None).broken_by(&tree).unwrap();
        assert!(words.starts_with("memory: "), "{words}");
    }
}
