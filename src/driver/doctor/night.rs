//! Checks of what would spoil a night although a run can begin.
//!
//! Nothing here is put right by a program. This file only looks, and does not look long.

use super::super::clock::wall_clock;
use super::super::costs::charges;
use super::super::machine::free_space;
use super::super::preflight::survey;
use super::super::rehearse::bytes_of;
use super::super::tell;
use super::{Found, Scene, finding};
use crate::core::view;
use crate::process;
use crate::report::{Room, Urgency};
use jiff::tz::TimeZone;
use nix::sys::resource::{Resource, getrlimit};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// 2020: no clock that is right shows less.
const LONG_AGO_MS: u64 = 1_577_836_800_000;
/// So many files are looked at in a moment.
const MOST_FILES: usize = 100_000;
/// Files that harness itself needs open, with a few agents.
const FILES: u64 = 512;
/// Watches of files that a backlog needs, beside those of editors.
const WATCHES: u64 = 4096;

/// Of the sizes that can be known without trying, the checkout as it stands comes nearest to a worktree that is set up.
pub(super) fn room(scene: &Scene<'_>) -> Found {
    let (Some(pool), Ok(config)) = (&scene.pool, scene.config) else {
        return Ok(Vec::new());
    };
    let Ok(free) = free_space(pool.dir()) else {
        return Ok(Vec::new());
    };
    let root = scene.place.repo.root();
    let without = [root.join(".git"), scene.place.state_dir.clone()];
    let without = without.each_ref().map(PathBuf::as_path);
    // Whoever wants to know it of more has it tried: `harness run --rehearse`.
    let Some(each) = bytes_of(root, &without, MOST_FILES) else {
        return Ok(Vec::new());
    };
    let room = Room {
        each,
        worktrees: u64::from(config.run.parallel) + u64::from(config.merge.parallel_gates),
        free,
        min_free: config.worktrees.min_free,
    };
    if room.is_enough() || free < config.worktrees.min_free {
        return Ok(Vec::new());
    }
    let what = format!("if each is as large as this checkout: {}", room.words());
    let remedy = "make room, or run fewer at once: run.parallel";
    Ok(vec![finding("room", Urgency::Warning, what, remedy)])
}

pub(super) fn sleep(scene: &Scene<'_>) -> Found {
    if !process::may_sleep() {
        return Ok(Vec::new());
    }
    let Ok(config) = scene.config else {
        return Ok(Vec::new());
    };
    let (what, remedy) = if !config.run.keep_awake {
        (
            "this machine may fall asleep during a run: run.keep_awake is off",
            "see that it stays awake, or switch it on",
        )
    } else if !cfg!(target_os = "macos") && here("systemd-inhibit", scene).is_none() {
        (
            "this machine may fall asleep during a run: systemd-inhibit is not installed",
            "switch sleeping off in its settings for the night",
        )
    } else {
        return Ok(Vec::new());
    };
    Ok(vec![finding("sleep", Urgency::Warning, what, remedy)])
}

pub(super) fn clock(scene: &Scene<'_>) -> Found {
    let mut found = Vec::new();
    let now = wall_clock();
    let remedy = "set the clock: it says when limits end, and when work was done";
    if now.0 < LONG_AGO_MS {
        let what = "the clock shows a time long past";
        found.push(finding("clock", Urgency::Warning, what, remedy));
    }
    let ahead = scene.reading.as_ref().ok();
    if ahead.is_some_and(|reading| view(&reading.state, now).ahead.is_some()) {
        let what = "the clock was set back: the journal's last record lies ahead of it";
        found.push(finding("clock", Urgency::Warning, what, remedy));
    }
    let until = scene.config.is_ok_and(|config| config.run.until.is_some());
    if TimeZone::try_system().is_err() {
        let what = "the system's time zone is not known: times of the day are taken for UTC";
        let urgency = if until {
            Urgency::Warning
        } else {
            Urgency::Note
        };
        found.push(finding("clock", urgency, what, "set TZ, or /etc/localtime"));
    }
    Ok(found)
}

pub(super) fn limits(_: &Scene<'_>) -> Found {
    let mut found = Vec::new();
    if let Ok((files, _)) = getrlimit(Resource::RLIMIT_NOFILE)
        && files < FILES
    {
        let what = format!("a program may have {files} files open, and a run needs {FILES}");
        found.push(finding(
            "limits",
            Urgency::Warning,
            what,
            "raise it: ulimit -n 4096",
        ));
    }
    let watches = std::fs::read_to_string("/proc/sys/fs/inotify/max_user_watches");
    let watches: Option<u64> = watches.ok().and_then(|text| text.trim().parse().ok());
    if let Some(watches) = watches.filter(|watches| *watches < WATCHES) {
        let what = format!(
            "only {watches} files can be watched by one user: changes of specs may be seen late"
        );
        let remedy = "sysctl fs.inotify.max_user_watches=65536";
        found.push(finding("limits", Urgency::Note, what, remedy));
    }
    Ok(found)
}

pub(super) fn notify(scene: &Scene<'_>) -> Found {
    let Ok(config) = scene.config else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    let env = std::env::vars_os().collect();
    if let Err(error) = tell::check(&config.notify, &env) {
        let remedy = "set it where harness is started";
        found.push(finding("notify", Urgency::Error, error.to_string(), remedy));
    }
    let desktop = if cfg!(target_os = "macos") {
        "osascript"
    } else {
        "notify-send"
    };
    for (key, is_set, program) in [
        ("notify.webhook", config.notify.webhook.is_some(), "curl"),
        ("notify.desktop", config.notify.desktop, desktop),
    ] {
        if is_set && here(program, scene).is_none() {
            let what = format!("{key} needs {program}, which is not on the PATH");
            found.push(finding(
                "notify",
                Urgency::Warning,
                what,
                format!("install {program}"),
            ));
        }
    }
    Ok(found)
}

/// Keys that agents would be charged on, and nobody has said that they should.
pub(super) fn keys(scene: &Scene<'_>) -> Found {
    let Ok(config) = scene.config else {
        return Ok(Vec::new());
    };
    let env = std::env::vars_os().collect();
    // What is wrong with the specs is said elsewhere.
    let features = survey(scene.place, config).map(|survey| survey.features);
    let charged = charges(config, &features.unwrap_or_default(), &env).into_iter();
    let found = charged.map(|problem| {
        let remedy = problem.help.unwrap_or_default();
        finding("keys", Urgency::Warning, problem.message, remedy)
    });
    Ok(found.collect())
}

/// Who types `harness` may get another one than this.
pub(super) fn program(scene: &Scene<'_>) -> Found {
    let own = std::env::current_exe().and_then(|path| path.canonicalize());
    let other = here("harness", scene).and_then(|path| path.canonicalize().ok());
    let (Ok(own), Some(other)) = (own, other) else {
        return Ok(Vec::new());
    };
    if own == other {
        return Ok(Vec::new());
    }
    let what = format!(
        "`harness` on the PATH is {}, and this is {}",
        other.display(),
        own.display()
    );
    Ok(vec![finding(
        "program",
        Urgency::Note,
        what,
        "put the one you mean first",
    )])
}

fn here(program: &str, scene: &Scene<'_>) -> Option<PathBuf> {
    let path: Option<OsString> = std::env::var_os("PATH");
    let root: &Path = scene.place.repo.root();
    process::which(OsStr::new(program), path.as_deref(), root)
}
