//! Checks of the place itself: whether harness can work here at all.
//!
//! Nothing here can be put right by a program. This file only looks.

use super::super::confine;
use super::super::error::DriverError;
use super::super::machine::free_space;
use super::{Found, Scene, finding};
use crate::config::{SandboxChoice, size_shown};
use crate::journal;
use crate::learnings::Memory;
use crate::process::Keeper;
use crate::report::Urgency;
use nix::unistd::{AccessFlags, access};
use std::ffi::OsStr;

/// From this version on git reads the attributes of a commit instead of those that happen to be checked out.
const GOOD_GIT: (u32, u32) = (2, 41);

pub(super) fn git(scene: &Scene<'_>) -> Found {
    if scene.place.repo.git_is_at_least(GOOD_GIT) {
        return Ok(Vec::new());
    }
    let what = "this git cannot read .gitattributes of a commit that is not checked out";
    let remedy = format!("install git {}.{} or newer", GOOD_GIT.0, GOOD_GIT.1);
    Ok(vec![finding("git", Urgency::Note, what, remedy)])
}

pub(super) fn configuration(scene: &Scene<'_>) -> Found {
    let refused = scene.config.err();
    let refused = refused.map(|why| {
        let remedy = "`harness config` shows it with its place";
        finding("config", Urgency::Error, why, remedy)
    });
    Ok(refused.into_iter().collect())
}

pub(super) fn repository(scene: &Scene<'_>) -> Found {
    let repo = &scene.place.repo;
    let mut found = Vec::new();
    if let Err(error) = &scene.target {
        let (why, remedy) = (error.to_string(), error.remedy().unwrap_or_default());
        found.push(finding("repository", Urgency::Error, &why, &remedy));
    }
    if repo.tip("refs/heads/harness")?.is_some() {
        let what = "there is a branch `harness`, so that no branch `harness/<feature>` can be made";
        let remedy = "give it another name: git branch -m harness <name>";
        found.push(finding("repository", Urgency::Error, what, remedy));
    }
    Ok(found)
}

pub(super) fn state(scene: &Scene<'_>) -> Found {
    let dir = &scene.place.state_dir;
    let (place, act) = match dir.is_dir() {
        true => (dir.as_path(), "be written"),
        false => (scene.place.repo.root(), "hold the state directory"),
    };
    let flags = AccessFlags::W_OK | AccessFlags::X_OK;
    Ok(match access(place, flags) {
        Ok(()) => Vec::new(),
        Err(error) => {
            let what = format!("{} cannot {act}: {}", place.display(), error.desc());
            let remedy = "see that you own it and that its disk is not read-only";
            vec![finding("state", Urgency::Error, what, remedy)]
        }
    })
}

pub(super) fn journal(scene: &Scene<'_>) -> Found {
    let error = match &scene.reading {
        Ok(_) => {
            let read = journal::read(&scene.place.state_dir.join(journal::FILE_NAME))?;
            let is_torn = read.torn_bytes > 0 && scene.live.is_none();
            let what = "the journal ends in the middle of a line, which a crash cut off";
            let remedy = "the next run cuts the torn end off and goes on";
            let note = || finding("journal", Urgency::Note, what, remedy);
            return Ok(is_torn.then(note).into_iter().collect());
        }
        Err(error) => error,
    };
    let remedy = match error {
        DriverError::Journal(error) => error.remedy(),
        _ => "see that the state directory can be read",
    };
    let what = error.to_string();
    Ok(vec![finding("journal", Urgency::Error, what, remedy)])
}

pub(super) fn disk(scene: &Scene<'_>) -> Found {
    let (Some(pool), Ok(config)) = (&scene.pool, scene.config) else {
        return Ok(Vec::new());
    };
    let asked = config.worktrees.min_free;
    let dir = pool.dir().display();
    let (what, remedy) = match free_space(pool.dir()) {
        Ok(free) if free >= asked => return Ok(Vec::new()),
        Ok(free) => {
            let [free, asked] = [free, asked].map(size_shown);
            let what =
                format!("only {free} are free in {dir}; worktrees.min_free asks for {asked}");
            (what, "make room, or lower it: nothing starts meanwhile")
        }
        Err(why) => (why, ""),
    };
    Ok(vec![finding("disk", Urgency::Error, what, remedy)])
}

pub(super) fn sandbox(scene: &Scene<'_>) -> Found {
    let Ok(config) = scene.config else {
        return Ok(Vec::new());
    };
    if config.sandbox == SandboxChoice::Off {
        return Ok(Vec::new());
    }
    let path = std::env::var_os("PATH");
    let path = path.as_deref().map(OsStr::new);
    let (_, warning) = confine::backend(config.sandbox, path, &Keeper::find())?;
    let found = warning.map(|problem| {
        let remedy = problem.help.unwrap_or_default();
        finding("sandbox", Urgency::Warning, problem.message, remedy)
    });
    Ok(found.into_iter().collect())
}

pub(super) fn halt(scene: &Scene<'_>) -> Found {
    let why = Memory::at(&scene.place.state_dir).halt()?;
    let found = why.map(|why| {
        let what = format!("HALT is there, so that nothing new is started: {why}");
        let remedy = "`harness resume` removes it";
        finding("halt", Urgency::Warning, what, remedy)
    });
    Ok(found.into_iter().collect())
}

pub(super) fn pool(scene: &Scene<'_>) -> Found {
    let Some(pool) = &scene.pool else {
        return Ok(Vec::new());
    };
    let strangers = pool.strangers()?.into_iter().map(|path| {
        let what = format!("{} is not harness's, and is left alone", path.display());
        let remedy = "move it away if a worktree is to be made there";
        finding("pool", Urgency::Note, what, remedy)
    });
    Ok(strangers.collect())
}
