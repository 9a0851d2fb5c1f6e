//! The policy as arguments of bubblewrap 0.4 and later.
//!
//! The whole file system is mounted read-only, and what differs is mounted over it, what is deeper later. `/run` is
//! empty but for name resolution: the sockets in it (of the system's and the user's service managers, of container
//! engines, of key agents) would do outside what the job may not do inside. This file never starts a job.

use super::{Policy, there};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Where a job sees its temporary directory.
pub(super) const TEMPORARY: &str = "/tmp";
/// Another place where programs put temporary files.
const ALSO_TEMPORARY: &str = "/var/tmp";
const RUN: &str = "/run";
/// Of `/run`, what finding the address of a name needs, and what a system's own programs are.
const SHOWN_OF_RUN: [&str; 8] = [
    "/run/systemd/resolve",
    "/run/resolvconf",
    "/run/NetworkManager/resolv.conf",
    "/run/connman/resolv.conf",
    "/run/nscd",
    "/run/current-system",
    "/run/wrappers",
    "/run/booted-system",
];
/// How long a try may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is done at one path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Act {
    Hide,
    Show,
    Write,
}

/// All arguments before `--`.
pub(super) fn args(policy: &Policy) -> Vec<OsString> {
    let mut args = Vec::new();
    say(&mut args, &base());
    if !policy.network {
        say(&mut args, &["--unshare-net"]);
    }
    if let Some(dir) = &policy.temporary {
        for place in [TEMPORARY, ALSO_TEMPORARY] {
            if Path::new(place).is_dir() {
                mount(&mut args, "--bind", dir, Path::new(place));
            }
        }
    }
    if Path::new(RUN).is_dir() {
        say(&mut args, &["--tmpfs", RUN]);
        for path in SHOWN_OF_RUN.map(Path::new) {
            mount(&mut args, "--ro-bind-try", path, path);
        }
    }
    for (place, act, what) in acts(policy) {
        match act {
            Act::Hide if place.is_dir() => {
                say(&mut args, &[OsStr::new("--tmpfs"), place.as_os_str()]);
            }
            Act::Hide => mount(&mut args, "--ro-bind", Path::new("/dev/null"), &place),
            Act::Show => mount(&mut args, "--ro-bind", &what, &place),
            Act::Write => mount(&mut args, "--bind", &what, &place),
        }
    }
    say(&mut args, &[OsStr::new("--chdir"), policy.cwd.as_os_str()]);
    args
}

/// What holds for every job.
fn base() -> Vec<&'static str> {
    let mut base = vec![
        // It dies with its supervisor, and all that is in it dies with it: the kernel ends a process namespace whole.
        "--die-with-parent",
        "--unshare-pid",
        "--unshare-ipc",
        "--unshare-cgroup-try",
        // Root's rights would undo the mounts.
        "--cap-drop",
        "ALL",
        "--ro-bind",
        "/",
        "/",
        "--dev",
        "/dev",
        "--proc",
        "/proc",
    ];
    if nix::unistd::geteuid().is_root() {
        // For others bwrap does it by itself. Files that belong to others than root are then nobody's.
        base.push("--unshare-user-try");
        // Without it root could not make a sandbox in the sandbox.
        base.extend(["--cap-add", "CAP_SETFCAP"]);
    }
    base
}

/// What is done where, with what, in order: deeper paths later, since a mount covers what was mounted below it before.
fn acts(policy: &Policy) -> Vec<(PathBuf, Act, PathBuf)> {
    let at_their_own = [
        (Act::Hide, &policy.hide),
        (Act::Show, &policy.read),
        (Act::Write, &policy.write),
    ];
    let mut acts: Vec<(PathBuf, Act, PathBuf)> = Vec::new();
    for (act, paths) in at_their_own {
        let found = policy.found(paths).into_iter();
        acts.extend(found.map(|path| (path.clone(), act, path)));
    }
    for (what, place) in &policy.stand_ins {
        if let Some(what) = there(what) {
            // The place itself need not exist: a directory above it may be one that hides what is there.
            let place = there(place).unwrap_or_else(|| place.clone());
            acts.push((place, Act::Write, what));
        }
    }
    acts.sort_by_key(|(place, act, _)| (place.components().count(), *act));
    acts
}

fn mount(args: &mut Vec<OsString>, how: &str, what: &Path, place: &Path) {
    say(
        args,
        &[OsStr::new(how), what.as_os_str(), place.as_os_str()],
    );
}

fn say<S: AsRef<OsStr>>(args: &mut Vec<OsString>, words: &[S]) {
    args.extend(words.iter().map(|word| word.as_ref().to_owned()));
}

/// Runs a program that does nothing in a sandbox.
pub(super) fn probe(program: &Path) -> Result<(), String> {
    let policy = Policy {
        cwd: "/".into(),
        network: false,
        ..Policy::default()
    };
    let mut child = Command::new(program)
        .args(args(&policy))
        .args(["--", "/bin/sh", "-c", ":"])
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| error.to_string())?;
    let begun = Instant::now();
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if begun.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(2)),
            Ok(None) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err("it does not end".to_owned());
            }
            Err(error) => return Err(error.to_string()),
        }
    };
    if status.success() {
        return Ok(());
    }
    let mut said = String::new();
    if let Some(mut pipe) = child.stderr.take() {
        // What it cannot say is not worth an error of its own.
        let _ = std::io::Read::read_to_string(&mut pipe, &mut said);
    }
    Err(match said.lines().find(|line| !line.trim().is_empty()) {
        Some(line) => line.trim_start_matches("bwrap: ").trim().to_owned(),
        None => status.to_string(),
    })
}
