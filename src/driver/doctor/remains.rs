//! Checks of what a dead run has left, and putting it right.
//!
//! While a run lives there is nothing to find: what it uses is not called litter. This file decides nothing by the age of
//! a file, and ends nobody's process but harness's.

use super::super::error::DriverError;
use super::super::leftovers;
use super::{Fixed, Found, Scene, finding, fixable};
use crate::journal;
use crate::process;
use crate::report::{Finding, Urgency};

pub(super) fn run(scene: &Scene<'_>) -> Found {
    let note = match (&scene.live, journal::read_holder(&scene.place.state_dir)) {
        (Some(who), _) => finding(
            "run",
            Urgency::Note,
            format!("harness is at work here ({who}): what it uses is not looked at"),
            "",
        ),
        (None, Some(dead)) => finding(
            "run",
            Urgency::Note,
            format!("process {} ({}) was killed", dead.pid, dead.doing),
            "`harness run` goes on where it was",
        ),
        (None, None) => return Ok(Vec::new()),
    };
    Ok(vec![note])
}

pub(super) fn processes(scene: &Scene<'_>) -> Found {
    let (Ok(reading), None) = (&scene.reading, &scene.live) else {
        return Ok(Vec::new());
    };
    let jobs = leftovers::jobs(scene.place, &reading.state).into_iter();
    let found = jobs.filter_map(|(name, token)| {
        let count = process::carriers(&token);
        let what = format!("{name} of a dead run still has processes: {count}");
        (count > 0).then(|| fixable("processes", what))
    });
    Ok(found.collect())
}

pub(super) fn end_processes(scene: &Scene<'_>) -> Fixed {
    let Ok(reading) = &scene.reading else {
        return Ok(Vec::new());
    };
    let ended = leftovers::end_processes(scene.place, &reading.state);
    let what = format!("ended processes of a dead run: {ended}");
    Ok((ended > 0).then_some(what).into_iter().collect())
}

pub(super) fn litter(scene: &Scene<'_>) -> Found {
    let ours = scene.litter()?.into_iter().filter(|one| one.is_ours);
    let found = ours.map(|one| {
        let (path, what) = (one.path.display(), one.what);
        fixable(
            "litter",
            format!("{path}: {what}, left by a command that was killed"),
        )
    });
    Ok(found.collect())
}

pub(super) fn clear_litter(scene: &Scene<'_>) -> Fixed {
    // Without a journal nobody knows what may still be at work.
    let (Some(pool), Ok(_)) = (&scene.pool, &scene.reading) else {
        return Ok(Vec::new());
    };
    let cleared = pool.clear_litter(scene.target_ref())?;
    Ok(cleared.iter().map(leftovers::removed).collect())
}

pub(super) fn locks(scene: &Scene<'_>) -> Found {
    let foreign = scene.litter()?.into_iter().filter(|one| !one.is_ours);
    let found = foreign.map(|one| {
        let (what, remedy) = (leftovers::is_foreign(&one), leftovers::remedy(&one));
        finding("locks", Urgency::Warning, what, remedy)
    });
    Ok(found.collect())
}

pub(super) fn checkout(scene: &Scene<'_>) -> Found {
    if scene.live.is_some() {
        return Ok(Vec::new());
    }
    let found = scene.place.repo.cut_off()?.into_iter().map(|cut| {
        let (path, from, to) = (cut.path.display(), cut.from.short(), cut.to.short());
        let branch = &cut.branch;
        match cut.is_alive {
            true => finding(
                "checkout",
                Urgency::Note,
                format!("{path}: a git command of a dead run still moves {branch} to {to}"),
                "it comes to its end by itself",
            ),
            false => fixable(
                "checkout",
                format!("{path}: moving {branch} from {from} to {to} was cut off in the middle"),
            ),
        }
    });
    Ok(found.collect())
}

pub(super) fn finish_moves(scene: &Scene<'_>) -> Fixed {
    Ok(scene.place.repo.finish_moves(leftovers::GIT_PATIENCE)?)
}

pub(super) fn landed(scene: &Scene<'_>) -> Found {
    let Some(pool) = &scene.pool else {
        return Ok(Vec::new());
    };
    let left = pool.left_of(&scene.landed())?.into_iter();
    let found = left.map(|name| fixable("landed", format!("{name}: its feature has landed")));
    Ok(found.collect())
}

pub(super) fn drop_landed(scene: &Scene<'_>) -> Fixed {
    let (Some(pool), Some(target)) = (&scene.pool, scene.target_ref()) else {
        return Ok(Vec::new());
    };
    let done = pool.drop_landed(&scene.landed(), target)?;
    let gone = done.worktrees.into_iter().chain(done.branches);
    let kept = done.rescued.into_iter();
    let told = gone.map(|name| format!("removed {name}: its feature has landed"));
    let kept = kept.map(|name| format!("kept as {name} what was uncommitted"));
    Ok(told.chain(kept).collect())
}

pub(super) fn temporary(_: &Scene<'_>) -> Found {
    let left = process::left_behind(&std::env::temp_dir()).into_iter();
    let found = left.map(|path| {
        let what = format!("{}: left by a run that was killed", path.display());
        let remedy = "`harness doctor --fix` removes it, and so does `harness run`";
        Finding {
            fixable: true,
            ..finding("temporary", Urgency::Note, what, remedy)
        }
    });
    Ok(found.collect())
}

pub(super) fn remove_temporary(_: &Scene<'_>) -> Fixed {
    let mut told = Vec::new();
    for path in process::left_behind(&std::env::temp_dir()) {
        process::remove(&path).map_err(DriverError::io("remove", &path))?;
        told.push(format!("removed {}", path.display()));
    }
    Ok(told)
}
