//! A control group for each job, where the system lets us make one: then the kernel itself ends everything in
//! it at once, and holds it to its limits.
//!
//! Only version 2 (Linux 5.14 and later). Nothing here is needed: without it the supervisor does the same by
//! looking and killing.

use super::limits::Limits;
use super::proc_fs;
use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a group that was killed may take to become empty before it is left where it is.
const GIVE_UP: Duration = Duration::from_secs(1);

/// Our own group's directory, if groups can be made below it.
pub(super) fn parent() -> Option<PathBuf> {
    let parent = proc_fs::own_cgroup()?;
    let probe = Group::make(&parent, "probe", &Limits::default())?;
    // Moving processes needs more rights than making groups.
    let moves = OpenOptions::new()
        .write(true)
        .open(parent.join("cgroup.procs"));
    let works = moves.is_ok() && probe.dir.join("cgroup.kill").exists();
    probe.remove();
    if works {
        clear_up(&parent);
    }
    works.then_some(parent)
}

/// Removes groups whose supervisor was killed together with harness. One that is not empty the kernel keeps; one that
/// somebody elsewhere has just made and not entered yet is not needed, as nothing here is.
fn clear_up(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let number = name
            .to_str()
            .and_then(|name| name.strip_prefix("harness-")?.parse::<u32>().ok());
        if number.is_some_and(|number| !Path::new(&format!("/proc/{number}")).exists()) {
            let _ = fs::remove_dir(entry.path());
        }
    }
}

/// The group of one job. Not removed by itself: it outlives nobody's exit.
pub(super) struct Group {
    dir: PathBuf,
}

impl Group {
    /// Makes one, held to what of `limits` the system can count; `None` if it does not let us.
    pub(super) fn make(parent: &Path, name: &str, limits: &Limits) -> Option<Self> {
        let group = Self::at(parent, name);
        fs::create_dir(&group.dir).ok()?;
        // Only there where the parent hands the controller down; the supervisor counts as well.
        for (file, limit) in [
            ("memory.max", limits.memory),
            ("pids.max", limits.processes),
        ] {
            if let Some(limit) = limit {
                let _ = fs::write(group.dir.join(file), limit.to_string());
            }
        }
        Some(group)
    }

    /// The one that a supervisor with this number made.
    pub(super) fn of(parent: &Path, supervisor: i32) -> Self {
        Self::at(parent, &supervisor.to_string())
    }

    fn at(parent: &Path, name: &str) -> Self {
        let own = format!("harness-{name}-{}", std::process::id());
        let name = if name == "probe" {
            own
        } else {
            format!("harness-{name}")
        };
        Self {
            dir: parent.join(name),
        }
    }

    /// Writing `0` to it moves the writer in.
    pub(super) fn entrance(&self) -> Option<File> {
        let procs = self.dir.join("cgroup.procs");
        OpenOptions::new().write(true).open(procs).ok()
    }

    /// Ends everything in it at once. That there is no such group means that nothing is in it.
    pub(super) fn kill(&self) {
        let _ = fs::write(self.dir.join("cgroup.kill"), "1");
    }

    /// Removes it if it is empty. Says whether it is gone.
    pub(super) fn is_removed(&self) -> bool {
        !fs::remove_dir(&self.dir).is_err_and(|e| e.kind() == std::io::ErrorKind::ResourceBusy)
    }

    /// Removes it once it is empty. Blocks: for supervisors, which have nothing else to do.
    pub(super) fn remove(&self) {
        let begun = Instant::now();
        while !self.is_removed() && begun.elapsed() < GIVE_UP {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}
