//! `retry`, `unblock`, `pause`, `resume`.

use super::args::{PauseArgs, RetryArgs, UnblockArgs};
use super::{Desk, desk::Failure, features, known, out};
use crate::core::{Stage, State, view};
use crate::driver::{DriverError, Given, give, wall_clock};
use crate::learnings::Memory;
use crate::model::{Command, Problem, Slug};

pub(super) fn retry(desk: &Desk, args: &RetryArgs) -> Result<u8, Failure> {
    let place = desk.place()?;
    let state = place.read()?.state;
    let slugs: Vec<Slug> = if args.all {
        view(&state, wall_clock())
            .features
            .into_iter()
            .filter(|f| matches!(f.stage, Stage::Tripped | Stage::Parked | Stage::Failed))
            .map(|feature| feature.slug)
            .collect()
    } else {
        let names = features(desk, &place, &state);
        let names = args.slugs.iter().map(|typed| known(typed, &names));
        names.collect::<Result<_, _>>()?
    };
    for slug in &slugs {
        let halted = [Stage::Tripped, Stage::Failed, Stage::Parked, Stage::Blocked];
        stands(
            &state,
            slug,
            &halted,
            "is not tripped, failed, parked or blocked",
        )?;
        let given = give(&place, Command::Retry { slug: slug.clone() })?;
        told(
            slug,
            given,
            "is back in the queue",
            "is not tripped, failed, parked or blocked",
        )?;
    }
    if slugs.is_empty() {
        out::out("nothing to retry\n");
    }
    Ok(0)
}

pub(super) fn unblock(desk: &Desk, args: UnblockArgs) -> Result<u8, Failure> {
    let place = desk.place()?;
    let state = place.read()?.state;
    let names = features(desk, &place, &state);
    let slug = known(&args.slug, &names)?;
    if args.message.trim().is_empty() {
        return Err(Problem::error("the answer is empty")
            .help("say something with -m")
            .into());
    }
    stands(&state, &slug, &[Stage::Blocked], "is not blocked")?;
    let answer = args.message;
    let command = Command::Unblock {
        slug: slug.clone(),
        answer,
    };
    let given = give(&place, command)?;
    told(
        &slug,
        given,
        "is answered and back in the queue",
        "is not blocked",
    )?;
    Ok(0)
}

/// Whether the feature is where the command applies; a living run would take the wish and ignore it.
fn stands(state: &State, slug: &Slug, stages: &[Stage], not: &str) -> Result<(), Failure> {
    let view = view(state, wall_clock());
    let stage = view
        .features
        .iter()
        .find(|f| f.slug == *slug)
        .map(|f| f.stage);
    if stage.is_some_and(|stage| stages.contains(&stage)) {
        return Ok(());
    }
    Err(Problem::error(format!("`{slug}` {not}"))
        .help("`harness status` shows where it stands")
        .into())
}

fn told(slug: &Slug, given: Given, done: &str, not: &str) -> Result<(), Failure> {
    match given {
        Given::Done => out::out(&format!("{slug} {done}; `harness run` works on it\n")),
        Given::Left => out::out(&format!(
            "{slug}: the living run takes it at its next turn\n"
        )),
        Given::NotApplicable => {
            return Err(Problem::error(format!("`{slug}` {not}"))
                .help("`harness status` shows where it stands")
                .into());
        }
    }
    Ok(())
}

pub(super) fn pause(desk: &Desk, args: &PauseArgs) -> Result<u8, Failure> {
    let place = desk.place()?;
    let memory = Memory::open(&place.state_dir).map_err(DriverError::from)?;
    let made = memory.set_halt(&args.message).map_err(DriverError::from)?;
    out::out(if made {
        "paused: nothing new is started; `harness resume` goes on\n"
    } else {
        "already paused; `harness resume` goes on\n"
    });
    Ok(0)
}

pub(super) fn resume(desk: &Desk) -> Result<u8, Failure> {
    let place = desk.place()?;
    let memory = Memory::at(&place.state_dir);
    let was = memory.clear_halt().map_err(DriverError::from)?;
    out::out(if was {
        "resumed: a living run goes on, otherwise `harness run` does\n"
    } else {
        "it was not paused\n"
    });
    Ok(0)
}
