//! Starting the direct child of a job: found on the given `PATH`, in its own session, with nothing
//! inherited, and dying with us.
//!
//! This file must never guess: what cannot be started is said in one sentence.

use super::keeper::MODE;
use super::sandbox;
use super::{Job, Limits, TOKEN_VARIABLE};
use crate::fault::{self, Point};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::unistd::{AccessFlags, access, setsid};
use std::ffi::OsStr;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::{Child, Command};

/// Finds an executable as `exec` would: a name with a slash is taken from `cwd`; any other is looked up in
/// the directories of `path`, of which relative ones are taken from `cwd` too. Without a `path` only names
/// with a slash are found.
#[must_use]
pub fn which(program: &OsStr, path: Option<&OsStr>, cwd: &Path) -> Option<PathBuf> {
    if program.is_empty() {
        return None;
    }
    if program.as_encoded_bytes().contains(&b'/') {
        return Some(cwd.join(program)).filter(|file| is_executable(file));
    }
    std::env::split_paths(path?)
        .map(|dir| cwd.join(dir).join(program))
        .find(|file| is_executable(file))
}

fn is_executable(file: &Path) -> bool {
    file.is_file() && access(file, AccessFlags::X_OK).is_ok()
}

/// What the direct child of a job is.
pub(super) enum Start<'a> {
    /// The command; on Linux it dies with us.
    Bare,
    /// A supervisor, which starts the command.
    Supervised {
        /// Its program.
        program: &'a Path,
        /// A control group in which it may make one for the command.
        cgroup: Option<&'a Path>,
        /// Its end of the line to us.
        socket: UnixStream,
    },
}

/// Spawns the job's direct child with piped output. The error is a sentence.
pub(super) fn spawn(job: &Job, start: &Start<'_>) -> Result<Child, String> {
    let name = job.program.display();
    let cwd = job.cwd.display();
    if !job.cwd.is_dir() {
        return Err(format!(
            "cannot start {name}: its working directory {cwd} does not exist or is not a directory"
        ));
    }
    let path = job.env.get(OsStr::new("PATH")).map(|path| path.as_os_str());
    let Some(program) = which(&job.program, path, &job.cwd) else {
        let hint = match path {
            _ if job.program.as_encoded_bytes().contains(&b'/') => String::new(),
            Some(path) => format!(" on PATH={}", path.display()),
            None => ": PATH is not set for it".to_owned(),
        };
        return Err(format!(
            "cannot start {name} in {cwd}: no such executable file{hint}"
        ));
    };
    let input = if job.stdin.is_empty() {
        Stdio::null()
    } else {
        Stdio::piped()
    };
    let wrapped = sandbox::wrap(job.sandbox.as_ref(), program, &job.args).map_err(|error| {
        format!("cannot start {name}: its sandbox cannot be worked out: {error}")
    })?;
    let program = wrapped.program;
    let mut command = match start {
        Start::Bare => {
            let mut command = Command::new(&program);
            lead_session_and_die_with_us(&mut command, job.limits);
            command
        }
        Start::Supervised {
            program: supervisor,
            cgroup,
            socket,
        } => {
            let mut command = Command::new(supervisor);
            let grace = job.grace.as_millis();
            let awaits_all = u8::from(job.awaits_all).to_string();
            let numbers = [
                socket.as_raw_fd().to_string(),
                grace.to_string(),
                awaits_all,
            ];
            command.arg0("harness").arg(MODE).args(numbers);
            command.arg(job.limits.encode());
            command.arg(cgroup.unwrap_or(Path::new("-")));
            command.args(&wrapped.order).arg(&program);
            lead_session_and_inherit(&mut command, socket);
            command
        }
    };
    command
        .args(&wrapped.args)
        .current_dir(&job.cwd)
        .env_clear()
        .envs(&job.env)
        .env(TOKEN_VARIABLE, &job.token)
        .stdin(input)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = fault::at(Point::JobSpawn)
        .and_then(|()| command.spawn())
        .map_err(|error| format!("cannot start {} in {cwd}: {error}", program.display()))?;
    fault::past(Point::JobSpawned);
    Ok(child)
}

/// Makes the child leader of a session and process group of its own, and on Linux lets the kernel kill
/// it when the *thread* that spawned it ends, which is how it goes down with a `kill -9` of us.
#[expect(
    unsafe_code,
    reason = "std offers neither setsid nor the parent-death signal in stable form"
)]
fn lead_session_and_die_with_us(command: &mut Command, limits: Limits) {
    #[cfg(target_os = "linux")]
    let parent = nix::unistd::getpid();
    let before_exec = move || -> io::Result<()> {
        setsid()?;
        limits.bind()?;
        #[cfg(target_os = "linux")]
        {
            nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL)?;
            // The parent may have died before the kernel was told to watch it.
            if nix::unistd::getppid() != parent {
                return Err(nix::Error::ESRCH.into());
            }
        }
        Ok(())
    };
    // SAFETY: between fork and exec only async-signal-safe calls are allowed. The closure makes bare
    // system calls, builds errors from a number without allocating, and owns nothing but numbers.
    unsafe {
        command.pre_exec(before_exec);
    }
}

/// Makes the child leader of a session of its own, with one more descriptor than usual.
#[expect(
    unsafe_code,
    reason = "std offers neither setsid nor a way to hand down one descriptor"
)]
fn lead_session_and_inherit(command: &mut Command, socket: &UnixStream) {
    let number = socket.as_raw_fd();
    let before_exec = move || -> io::Result<()> {
        setsid()?;
        // SAFETY: the socket is open in the parent while it spawns, and so it is in the child.
        let socket = unsafe { std::os::fd::BorrowedFd::borrow_raw(number) };
        fcntl(socket, FcntlArg::F_SETFD(FdFlag::empty()))?;
        Ok(())
    };
    // SAFETY: between fork and exec only async-signal-safe calls are allowed. The closure makes two bare
    // system calls, builds errors from a number without allocating, and owns nothing but a number.
    unsafe {
        command.pre_exec(before_exec);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn which_skips_what_cannot_run_and_takes_relative_paths_from_cwd() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        for (name, mode) in [("a/tool", 0o644), ("b/tool", 0o755)] {
            let file = root.join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, "").unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        }
        fs::create_dir(root.join("a/dir")).unwrap();
        let find = |program: &str, path: Option<&str>| {
            which(OsStr::new(program), path.map(OsStr::new), root)
        };
        assert_eq!(find("tool", Some("a:b")), Some(root.join("b/tool")));
        assert_eq!(find("b/tool", None), Some(root.join("b/tool")));
        assert_eq!(find("a/tool", None), None);
        assert_eq!(find("dir", Some("a")), None);
        assert_eq!(find("tool", None), None);
        assert_eq!(find("", Some("a:b")), None);
    }
}
