//! `retry`, `unblock`, `pause`, `resume`: what each does, and the words in which it says so.

use super::args::{PauseArgs, RetryArgs, UnblockArgs};
use super::{Desk, desk::Failure, features, known, out};
use crate::core::{Stage, State, view};
use crate::driver::{DriverError, Given, Place, give, wall_clock};
use crate::learnings::Memory;
use crate::model::{Command, Problem, Slug};

/// Who can be put back in the queue, and what is said of the others.
const RETRIED: ([Stage; 4], &str) = (
    [Stage::Tripped, Stage::Failed, Stage::Parked, Stage::Blocked],
    "is not tripped, failed, parked or blocked",
);
/// Who can be answered, and what is said of the others.
const ANSWERED: ([Stage; 1], &str) = ([Stage::Blocked], "is not blocked");

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
        out::out(&retry_one(&place, &state, slug)?);
    }
    if slugs.is_empty() {
        out::out("nothing to retry\n");
    }
    Ok(0)
}

/// Puts a feature back in the queue.
pub(super) fn retry_one(place: &Place, state: &State, slug: &Slug) -> Result<String, Failure> {
    may_retry(state, slug)?;
    let given = give(place, Command::Retry { slug: slug.clone() })?;
    told(slug, given, "is back in the queue", RETRIED.1)
}

/// Whether a feature can be put back in the queue.
pub(super) fn may_retry(state: &State, slug: &Slug) -> Result<(), Failure> {
    stands(state, slug, &RETRIED.0, RETRIED.1)
}

pub(super) fn unblock(desk: &Desk, args: UnblockArgs) -> Result<u8, Failure> {
    let place = desk.place()?;
    let state = place.read()?.state;
    let names = features(desk, &place, &state);
    let slug = known(&args.slug, &names)?;
    out::out(&answer(&place, &state, &slug, args.message)?);
    Ok(0)
}

/// Answers a blocked feature.
pub(super) fn answer(
    place: &Place,
    state: &State,
    slug: &Slug,
    answer: String,
) -> Result<String, Failure> {
    if answer.trim().is_empty() {
        return Err(Problem::error("the answer is empty")
            .help("say something with -m")
            .into());
    }
    may_answer(state, slug)?;
    let command = Command::Unblock {
        slug: slug.clone(),
        answer,
    };
    let given = give(place, command)?;
    told(slug, given, "is answered and back in the queue", ANSWERED.1)
}

/// Whether a feature waits for an answer.
pub(super) fn may_answer(state: &State, slug: &Slug) -> Result<(), Failure> {
    stands(state, slug, &ANSWERED.0, ANSWERED.1)
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

fn told(slug: &Slug, given: Given, done: &str, not: &str) -> Result<String, Failure> {
    match given {
        Given::Done => Ok(format!("{slug} {done}; `harness run` works on it\n")),
        Given::Left { to_a_run: true } => Ok(format!(
            "{slug}: the living run takes it at its next turn\n"
        )),
        Given::Left { to_a_run: false } => Ok(format!("{slug}: the next run takes it\n")),
        Given::NotApplicable => Err(Problem::error(format!("`{slug}` {not}"))
            .help("`harness status` shows where it stands")
            .into()),
    }
}

pub(super) fn pause(desk: &Desk, args: &PauseArgs) -> Result<u8, Failure> {
    out::out(pause_for(&desk.place()?, &args.message)?);
    Ok(0)
}

/// Has nothing new started.
pub(super) fn pause_for(place: &Place, why: &str) -> Result<&'static str, Failure> {
    let memory = Memory::open(&place.state_dir).map_err(DriverError::from)?;
    let made = memory.set_halt(why).map_err(DriverError::from)?;
    Ok(if made {
        "paused: nothing new is started; `harness resume` goes on\n"
    } else {
        "already paused; `harness resume` goes on\n"
    })
}

pub(super) fn resume(desk: &Desk) -> Result<u8, Failure> {
    out::out(go_on(&desk.place()?)?);
    Ok(0)
}

/// Has what is new started again.
pub(super) fn go_on(place: &Place) -> Result<&'static str, Failure> {
    let memory = Memory::at(&place.state_dir);
    let was = memory.clear_halt().map_err(DriverError::from)?;
    Ok(if was {
        "resumed: a living run goes on, otherwise `harness run` does\n"
    } else {
        "it was not paused\n"
    })
}
