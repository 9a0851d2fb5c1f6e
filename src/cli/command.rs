//! `retry`, `unblock`, `skip`, `approve`, `pause`, `resume`: what each does, and the words in which it says so.

use super::args::{ApproveArgs, PauseArgs, RetryArgs, SkipArgs, UnblockArgs};
use super::{Desk, desk::Failure, features, known, out, plan};
use crate::config::Flags;
use crate::core::{Stage, State, view};
use crate::driver::{DriverError, Given, Place, branch_tip, give, survey, wall_clock};
use crate::learnings::Memory;
use crate::model::{Command, FeatureSpec, Oid, Problem, Slug};

/// What is said of features to which a command does not apply.
const NOT_RETRIED: &str = "is not tripped, failed, parked, blocked or left out";
const NOT_ANSWERED: &str = "is not blocked, and does not wait for a review";
const NOT_SKIPPED: &str = "cannot be left out";
const NOT_REVIEWED: &str = "does not wait for a review";

pub(super) fn retry(desk: &Desk, args: &RetryArgs) -> Result<u8, Failure> {
    let place = desk.place()?;
    let state = place.read()?.state;
    let slugs = match args.all {
        true => at(&state, &[Stage::Tripped, Stage::Parked, Stage::Failed]),
        false => named(desk, &place, &state, &args.slugs)?,
    };
    slugs.iter().try_for_each(|slug| may_retry(&state, slug))?;
    for slug in &slugs {
        out::out(&retry_one(&place, &state, slug)?);
    }
    if slugs.is_empty() {
        out::out("nothing to retry\n");
    }
    Ok(0)
}

/// Features at one of these stages.
fn at(state: &State, stages: &[Stage]) -> Vec<Slug> {
    let features = view(state, wall_clock()).features.into_iter();
    let found = features.filter(|feature| stages.contains(&feature.stage));
    found.map(|feature| feature.slug).collect()
}

/// Features by their names as typed.
fn named(
    desk: &Desk,
    place: &Place,
    state: &State,
    typed: &[String],
) -> Result<Vec<Slug>, Failure> {
    let names = features(desk, place, state);
    typed.iter().map(|typed| known(typed, &names)).collect()
}

/// Puts a feature back in the queue.
pub(super) fn retry_one(place: &Place, state: &State, slug: &Slug) -> Result<String, Failure> {
    may_retry(state, slug)?;
    let given = give(place, Command::Retry { slug: slug.clone() }, None)?;
    told(
        slug,
        given,
        "is back in the queue; `harness run` works on it",
        NOT_RETRIED,
    )
}

/// Whether a feature can be put back in the queue.
pub(super) fn may_retry(state: &State, slug: &Slug) -> Result<(), Failure> {
    let stages = [
        Stage::Tripped,
        Stage::Failed,
        Stage::Parked,
        Stage::Blocked,
        Stage::Review,
        Stage::LeftOut,
    ];
    let stands = stage(state, slug).is_some_and(|stage| stages.contains(&stage));
    applies(slug, stands || state.is_being_left_out(slug), NOT_RETRIED)
}

pub(super) fn unblock(desk: &Desk, args: UnblockArgs) -> Result<u8, Failure> {
    let place = desk.place()?;
    let state = place.read()?.state;
    let names = features(desk, &place, &state);
    let slug = known(&args.slug, &names)?;
    out::out(&answer(&place, &state, &slug, args.message)?);
    Ok(0)
}

/// Answers a blocked feature, or sends back one that waits for a review.
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
    let given = give(place, command, None)?;
    let done = "is answered and back in the queue; `harness run` works on it";
    told(slug, given, done, NOT_ANSWERED)
}

/// Whether a feature waits for words of a person.
pub(super) fn may_answer(state: &State, slug: &Slug) -> Result<(), Failure> {
    applies(slug, state.asks_a_person(slug), NOT_ANSWERED)
}

pub(super) fn skip(desk: &Desk, args: &SkipArgs) -> Result<u8, Failure> {
    let place = desk.place()?;
    let state = place.read()?.state;
    let slugs = named(desk, &place, &state, &args.slugs)?;
    let (state, specs) = as_it_is_now(desk, &place)?;
    slugs
        .iter()
        .try_for_each(|slug| is_skippable(&state, slug))?;
    for slug in &slugs {
        out::out(&leave_out(&place, slug, &args.message, specs.clone())?);
    }
    Ok(0)
}

/// Leaves a feature out, if it can be.
pub(super) fn skip_one(desk: &Desk, place: &Place, slug: &Slug) -> Result<String, Failure> {
    let (state, specs) = as_it_is_now(desk, place)?;
    is_skippable(&state, slug)?;
    leave_out(place, slug, "", specs)
}

fn leave_out(
    place: &Place,
    slug: &Slug,
    why: &str,
    specs: Option<Vec<FeatureSpec>>,
) -> Result<String, Failure> {
    let command = Command::Skip {
        slug: slug.clone(),
        why: why.to_owned(),
    };
    let given = give(place, command, specs)?;
    // Of what a killed run was at, the next run knows whether it has landed.
    let when = match place.read()?.state.is_being_left_out(slug) {
        true => "will be left out when the next run begins",
        false => "is left out",
    };
    let done = format!("{when}; `harness retry {slug}` takes it up again");
    told(slug, given, &done, NOT_SKIPPED)
}

/// Whether a feature can be left out.
pub(super) fn may_skip(desk: &Desk, place: &Place, slug: &Slug) -> Result<(), Failure> {
    is_skippable(&as_it_is_now(desk, place)?.0, slug)
}

/// What is known, and where no run lives to look at them, the specs as they are: one that is new may be left out before any
/// run has seen it.
fn as_it_is_now(desk: &Desk, place: &Place) -> Result<(State, Option<Vec<FeatureSpec>>), Failure> {
    let reading = place.read()?;
    if reading.live.is_some() {
        return Ok((reading.state, None));
    }
    let loaded = desk.load(place, Flags::default());
    match loaded.and_then(|loaded| Ok(survey(place, &loaded.config)?)) {
        Ok(survey) => {
            let state = plan::looked(reading.state, place, &survey);
            Ok((state, Some(survey.features)))
        }
        // Whom the last run knew can be left out all the same.
        Err(_) if reading.state.has_run() => Ok((reading.state, None)),
        Err(failure) => Err(failure),
    }
}

fn is_skippable(state: &State, slug: &Slug) -> Result<(), Failure> {
    if state.may_be_skipped(slug) {
        return Ok(());
    }
    let problem = match stage(state, slug) {
        Some(Stage::Merged) => Problem::error(format!("`{slug}` has landed"))
            .help(format!("`harness undo {slug}` takes it back")),
        Some(Stage::LeftOut) => Problem::error(format!("`{slug}` is left out already"))
            .help(format!("`harness retry {slug}` takes it up again")),
        _ if state.is_being_left_out(slug) => {
            Problem::error(format!("`{slug}` is being left out already"))
        }
        None => Problem::error(format!("no run has seen a spec of `{slug}`"))
            .help("`harness status` shows it as soon as one has; then say it again"),
        _ => Problem::error(format!("`{slug}` may have landed, or is landing now")).help(
            "it is known when it has been tried again: `harness status` shows where it stands",
        ),
    };
    Err(problem.into())
}

pub(super) fn approve(desk: &Desk, args: &ApproveArgs) -> Result<u8, Failure> {
    let place = desk.place()?;
    let state = place.read()?.state;
    let slugs = match args.all {
        true => at(&state, &[Stage::Review]),
        false => named(desk, &place, &state, &args.slugs)?,
    };
    let tips = slugs.iter().map(|slug| may_approve(&place, &state, slug));
    let tips: Vec<Oid> = tips.collect::<Result<_, _>>()?;
    for (slug, tip) in slugs.iter().zip(tips) {
        out::out(&approve_one(&place, &state, slug, tip)?);
    }
    if slugs.is_empty() {
        out::out("nothing waits for a review\n");
    }
    Ok(0)
}

/// Lets a feature land as it stood at `tip`.
pub(super) fn approve_one(
    place: &Place,
    state: &State,
    slug: &Slug,
    tip: Oid,
) -> Result<String, Failure> {
    applies(slug, state.reviewed(slug) == Some(&tip), NOT_REVIEWED)?;
    let done = format!("is approved at {}; `harness run` lands it", tip.short());
    let slug = slug.clone();
    let command = Command::Approve {
        slug: slug.clone(),
        tip,
    };
    told(&slug, give(place, command, None)?, &done, NOT_REVIEWED)
}

/// Whether a feature waits for a review: then the commit that was found to be ready, at which its branch must still stand.
pub(super) fn may_approve(place: &Place, state: &State, slug: &Slug) -> Result<Oid, Failure> {
    let Some(ready) = state.reviewed(slug) else {
        return Err(unfit(slug, NOT_REVIEWED));
    };
    let problem = match branch_tip(place, slug)? {
        Some(tip) if tip == *ready => return Ok(tip),
        Some(tip) => Problem::error(format!(
            "harness/{slug} has moved since it was found to be ready: from {} to {}",
            ready.short(),
            tip.short()
        ))
        .help(format!(
            "`harness retry {slug}` has it tried as it stands now; then it can be approved"
        )),
        None => Problem::error(format!("the branch harness/{slug} is not there any more"))
            .help(format!("`harness recover {slug}` lists what was kept")),
    };
    Err(problem.into())
}

fn stage(state: &State, slug: &Slug) -> Option<Stage> {
    let view = view(state, wall_clock());
    let mut features = view.features.iter();
    let found = features.find(|feature| feature.slug == *slug);
    found.map(|feature| feature.stage)
}

/// An error if the feature is not where a command applies; a living run would take the wish and ignore it.
fn applies(slug: &Slug, does: bool, not: &str) -> Result<(), Failure> {
    match does {
        true => Ok(()),
        false => Err(unfit(slug, not)),
    }
}

fn unfit(slug: &Slug, not: &str) -> Failure {
    Problem::error(format!("`{slug}` {not}"))
        .help("`harness status` shows where it stands")
        .into()
}

fn told(slug: &Slug, given: Given, done: &str, not: &str) -> Result<String, Failure> {
    match given {
        Given::Done => Ok(format!("{slug} {done}\n")),
        Given::Left { to_a_run: true } => Ok(format!(
            "{slug}: the living run takes it at its next turn\n"
        )),
        Given::Left { to_a_run: false } => Ok(format!("{slug}: the next run takes it\n")),
        Given::NotApplicable => Err(unfit(slug, not)),
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
