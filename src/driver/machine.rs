//! Looks at the machine: whether it is short of memory, disk throughput or disk space.
//!
//! It tells; what follows is for `core` to say, but for one thing that cannot wait: on a disk that is all but
//! full, the run ends who writes most.

use super::crew::Crew;
use crate::config::size_shown;
use crate::model::Input;
use crate::process::machine::{Pressure, pressure};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

/// Between two looks.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(2);
/// What was held back begins again when the pressure is below this share of the limit.
const EASED: f64 = 0.5;

/// What one look saw.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Seen {
    /// `None`: the kernel does not tell.
    pub(super) pressure: Option<Pressure>,
    /// Bytes that are free where the worktrees are; `None`: nobody can say.
    pub(super) free: Option<u64>,
}

/// What follows from a look.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Finding {
    /// What is new, for the engine.
    pub(super) input: Option<Input>,
    /// Why the largest writer must end now.
    pub(super) emergency: Option<String>,
}

/// Remembers what it has told.
#[derive(Debug)]
pub(super) struct Machine {
    /// Percent of full stalls that hold back.
    limit: Option<u32>,
    min_free: u64,
    told: Option<String>,
    /// Which shortage was told: its words change from look to look.
    kind: Option<&'static str>,
}

impl Machine {
    pub(super) fn new(crew: &Crew) -> Self {
        Self {
            limit: crew.config.resources.pressure,
            min_free: crew.config.worktrees.min_free,
            told: None,
            kind: None,
        }
    }

    /// Judges what a look saw.
    pub(super) fn judge(&mut self, seen: Seen) -> Finding {
        let shortage = self.shortage(seen);
        let mut finding = Finding::default();
        if shortage.as_ref().map(|(kind, _)| *kind) != self.kind {
            self.kind = shortage.as_ref().map(|(kind, _)| *kind);
            self.told = shortage.map(|(kind, much)| format!("{kind} ({much})"));
            let why = self.told.clone();
            finding.input = Some(Input::Strained { why });
        }
        // Half of what must be free is left for the snapshot of who is ended, and for what lands.
        if let Some(free) = seen.free.filter(|free| *free < self.min_free / 2) {
            let [free, asked] = [free, self.min_free].map(size_shown);
            finding.emergency = Some(format!("disk: {free} free, {asked} must be"));
        }
        finding
    }

    fn shortage(&self, seen: Seen) -> Option<(&'static str, String)> {
        if let Some(free) = seen.free.filter(|free| *free < self.min_free) {
            let [free, asked] = [free, self.min_free].map(size_shown);
            return Some((
                "disk space",
                format!("{free} free, worktrees.min_free asks for {asked}"),
            ));
        }
        let (pressure, limit) = (seen.pressure?, f64::from(self.limit?));
        let kinds = [
            ("memory", pressure.memory),
            ("disk throughput", pressure.io),
        ];
        kinds.into_iter().find_map(|(kind, share)| {
            let told = self.kind == Some(kind);
            let limit = if told { limit * EASED } else { limit };
            let words = format!("everything stood still for {share:.0} % of 10 s");
            (share > limit).then_some((kind, words))
        })
    }
}

/// Looks.
pub(super) fn look(crew: &Rc<Crew>) -> Seen {
    Seen {
        pressure: pressure(),
        free: free_space(crew.worktrees.dir()).ok(),
    }
}

/// Bytes that are free where `dir` is or will be.
///
/// # Errors
/// When the system does not say, in a sentence.
pub(super) fn free_space(dir: &Path) -> Result<u64, String> {
    // The pool's directory may not exist yet; its nearest ancestor is on the same file system.
    let there = dir.ancestors().find(|path| path.exists()).unwrap_or(dir);
    let stat = nix::sys::statvfs::statvfs(there)
        .map_err(|error| format!("cannot ask for free space in {}: {error}", there.display()))?;
    Ok(stat.blocks_available().saturating_mul(stat.fragment_size()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> Machine {
        Machine {
            limit: Some(40),
            min_free: 2 << 30,
            told: None,
            kind: None,
        }
    }

    fn seen(memory: f64, io: f64, free_gib: u64) -> Seen {
        Seen {
            pressure: Some(Pressure { memory, io }),
            free: Some(free_gib << 30),
        }
    }

    fn told(finding: Finding) -> Option<Option<String>> {
        match finding.input {
            Some(Input::Strained { why }) => Some(why),
            _ => None,
        }
    }

    #[test]
    fn pressure_is_told_once_and_is_over_at_half() {
        let mut machine = machine();
        assert_eq!(told(machine.judge(seen(39.0, 40.0, 9))), None);
        let why = "memory (everything stood still for 41 % of 10 s)".to_owned();
        assert_eq!(told(machine.judge(seen(41.0, 0.0, 9))), Some(Some(why)));
        assert_eq!(told(machine.judge(seen(60.0, 0.0, 9))), None);
        assert_eq!(told(machine.judge(seen(21.0, 0.0, 9))), None);
        assert_eq!(told(machine.judge(seen(20.0, 0.0, 9))), Some(None));
        let io = told(machine.judge(seen(0.0, 90.0, 9))).unwrap().unwrap();
        assert!(io.starts_with("disk throughput ("), "{io}");
    }

    #[test]
    fn little_space_holds_back_and_too_little_ends_the_largest_writer() {
        let mut machine = machine();
        let low = machine.judge(seen(0.0, 0.0, 1));
        assert_eq!(low.emergency, None);
        let why = told(low).unwrap().unwrap();
        assert_eq!(
            why,
            "disk space (1 GiB free, worktrees.min_free asks for 2 GiB)"
        );
        let lower = machine.judge(seen(0.0, 0.0, 0));
        assert_eq!(lower.input, None);
        let why = lower.emergency.unwrap();
        assert!(why.starts_with("disk: 0 "), "{why}");
        assert_eq!(told(machine.judge(seen(0.0, 0.0, 3))), Some(None));
    }

    #[test]
    fn what_nobody_can_say_holds_nothing_back() {
        let mut machine = machine();
        let blind = Seen {
            pressure: None,
            free: None,
        };
        assert_eq!(machine.judge(blind), Finding::default());
        machine.limit = None;
        assert_eq!(machine.judge(seen(100.0, 100.0, 9)), Finding::default());
    }
}
