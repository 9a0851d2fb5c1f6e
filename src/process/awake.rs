//! Keeps the machine from sleeping, where the system lets that be asked.
//!
//! Somebody else's program does it, for as long as this one lives: on Linux it waits for the end of a pipe that this
//! process holds, on macOS for the end of this process. This file must never know why the machine is to stay awake.

use super::spawn::which;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Where Linux lists batteries and chargers.
const POWER: &str = "/sys/class/power_supply";

/// The machine stays awake until this is dropped, or this process ends in whatever way.
#[derive(Debug)]
pub struct Awake {
    child: Child,
    program: &'static str,
}

impl Awake {
    /// Asks for it.
    ///
    /// # Errors
    /// Why nobody could be asked, in a few words.
    pub fn ask(path: Option<&OsStr>) -> Result<Self, String> {
        let own = std::process::id().to_string();
        let (program, args): (&'static str, Vec<&str>) = if cfg!(target_os = "macos") {
            ("caffeinate", vec!["-i", "-w", &own])
        } else {
            let what = "--what=sleep:idle";
            let why = "--why=a run is under way";
            (
                "systemd-inhibit",
                vec![what, "--mode=block", "--who=harness", why, "cat"],
            )
        };
        let found = which(OsStr::new(program), path, Path::new("/"));
        let found = found.ok_or_else(|| format!("{program} is not installed"))?;
        let mut command = Command::new(found);
        command.args(args).stdin(Stdio::piped());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        // What ends a run politely, Ctrl-C, comes to all of a terminal's foreground.
        command.process_group(0);
        match command.spawn() {
            Ok(child) => Ok(Self { child, program }),
            Err(error) => Err(format!("{program} could not be started: {error}")),
        }
    }

    /// Why the machine is not kept awake any more, if it is not.
    pub fn refused(&mut self) -> Option<String> {
        let status = self.child.try_wait().ok()??;
        Some(format!("{} ended by itself ({status})", self.program))
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        // It ends with the pipe; the rest is for one that does not listen, and for its exit status.
        drop(self.child.stdin.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether this machine is of a kind that falls asleep by itself: one with a battery.
#[must_use]
pub fn may_sleep() -> bool {
    cfg!(target_os = "macos") || has_battery(Path::new(POWER))
}

fn has_battery(power: &Path) -> bool {
    let supplies = fs::read_dir(power).into_iter().flatten().flatten();
    let mut batteries = supplies.filter(|supply| {
        let says = |name: &str, word: &str| {
            let text = fs::read_to_string(supply.path().join(name));
            text.is_ok_and(|text| text.trim() == word)
        };
        // A mouse has one, too.
        says("type", "Battery") && !says("scope", "Device")
    });
    batteries.next().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_with_a_battery_may_sleep() {
        let dir = tempfile::tempdir().unwrap();
        let supply = |name: &str, kind: &str, scope: Option<&str>| {
            let supply = dir.path().join(name);
            fs::create_dir(&supply).unwrap();
            fs::write(supply.join("type"), format!("{kind}\n")).unwrap();
            if let Some(scope) = scope {
                fs::write(supply.join("scope"), format!("{scope}\n")).unwrap();
            }
        };
        assert!(!has_battery(&dir.path().join("none")));
        supply("AC", "Mains", None);
        supply("mouse", "Battery", Some("Device"));
        assert!(!has_battery(dir.path()));
        supply("BAT0", "Battery", Some("System"));
        assert!(has_battery(dir.path()));
    }
}
