//! Takes back what a feature landed: one commit on the target, and the feature is not merged any more.
//!
//! Only while no run lives. git first, the journal second: whoever is cut off in between says it again, and what
//! is gone from the target already is not taken back twice. Nothing is gated here; the next run begins with that.

use super::clock::wall_clock;
use super::command::{Desk, settle};
use super::error::DriverError;
use super::place::Place;
use super::turn::Engine;
use crate::config::Config;
use crate::core::State;
use crate::fault::{self, Point};
use crate::git::{Landed, Reverted, Target};
use crate::journal::Lock;
use crate::learnings::Memory;
use crate::model::{Input, Oid, Problem, PublishOutcome, Relation, Slug};

/// What became of taking a feature back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undone {
    /// The target, without `refs/heads/`.
    pub target: String,
    /// What took it back; `None` when nothing of it was left in the target.
    pub commit: Option<Oid>,
}

/// Takes a merged feature back, and queues it again if `requeue` says so; `why` stands in its log, and so in
/// its next prompt.
///
/// # Errors
/// Somebody is at work; the feature is not merged, or others that are merged need it; later work builds on the
/// same places; the checkout is in the way. Nothing has changed then.
pub fn undo(
    place: &Place,
    config: &Config,
    slug: &Slug,
    requeue: bool,
    why: &str,
) -> Result<Undone, DriverError> {
    let memory = Memory::open(&place.state_dir)?;
    let _lock = Lock::take(&place.state_dir, &Place::this_process("undo"))?;
    let target = place.repo.target(config.target.as_deref())?;
    let (journal, contents) = place.journal()?;
    let mut engine = Engine::replay(&contents.records);
    let landed = landed(engine.state(), slug, &target)?;
    let commit = match &landed {
        Some(landed) => take_back(place, engine.state(), slug, landed, &target)?,
        None => None,
    };
    let input = Input::Undone {
        slug: slug.clone(),
        commit: commit.clone(),
        requeue,
        why: why.to_owned(),
    };
    let mut desk = Desk::new(journal, memory);
    let now = engine.state().journal_time(wall_clock());
    engine.note(&mut desk, vec![input.into()], now)?;
    settle(&mut engine, &mut desk)?;
    Ok(Undone {
        target: short(&target.refname).to_owned(),
        commit,
    })
}

/// What the feature landed as; `None` when that changed nothing.
fn landed(state: &State, slug: &Slug, target: &Target) -> Result<Option<Oid>, DriverError> {
    let refused =
        |text: String, help: String| Err(DriverError::problem(Problem::error(text).help(help)));
    if state.is_undone(slug) {
        return refused(
            format!("`{slug}` has already been taken back"),
            format!("`harness retry {slug}` has it done again"),
        );
    }
    if !state.is_merged(slug) {
        return refused(
            format!("`{slug}` is not merged: there is nothing to take back"),
            "`harness status` shows where it stands".to_owned(),
        );
    }
    let needed_by: Vec<String> = state
        .merged_dependents(slug)
        .iter()
        .map(Slug::to_string)
        .collect();
    if let Some(last) = needed_by.first() {
        return refused(
            format!(
                "`{slug}` is needed by what is merged: {}",
                needed_by.join(", ")
            ),
            format!("take those back first, the last one before the others: harness undo {last}"),
        );
    }
    let landings = state.landings();
    let Some((landed_on, mut landings)) = landings else {
        return refused(
            format!("no run is known that merged `{slug}`"),
            by_marker(slug),
        );
    };
    if landed_on != target.refname {
        let (here, there) = (short(&target.refname), short(landed_on));
        return refused(
            format!("`{slug}` was merged into `{there}`, and the target is `{here}`"),
            format!("set `target: {there}` in harness.yaml for that"),
        );
    }
    match landings.find(|(other, _)| *other == slug) {
        Some((_, commit)) => Ok(Some(commit.clone()).filter(|_| !state.landed_empty(slug))),
        None => refused(
            format!(
                "`{slug}` counts as merged because of its marker alone: what it changed is not known"
            ),
            by_marker(slug),
        ),
    }
}

fn by_marker(slug: &Slug) -> String {
    format!("delete {slug}.done in the state directory to have it done again")
}

/// Moves the target to a commit without what was landed; `None` when nothing of it is left there.
fn take_back(
    place: &Place,
    state: &State,
    slug: &Slug,
    landed: &Oid,
    target: &Target,
) -> Result<Option<Oid>, DriverError> {
    let repo = &place.repo;
    let refused =
        |text: String, help: String| Err(DriverError::problem(Problem::error(text).help(help)));
    let ground = repo.ground(&target.refname, state.published(&target.refname))?;
    let name = short(&target.refname);
    if ground.relation != Relation::Behind {
        return refused(
            format!(
                "what has landed and what was committed to `{name}` by hand are not merged yet"
            ),
            "`harness run` brings them together first".to_owned(),
        );
    }
    let message = format!(
        "Undo {slug}\n\nThis takes back what landed as {landed}.\n\nHarness-Undo: {slug}\n"
    );
    let commit = match repo.revert(&ground.tip, landed, &message)? {
        Reverted::Nothing => return Ok(None),
        Reverted::Clean(commit) => commit,
        Reverted::Conflict(paths) => {
            let later = repo.landed_since(landed, &ground.tip, &paths)?;
            let later: Vec<String> = later.iter().map(Landed::line).collect();
            let shown = paths.iter().map(|path| path.escape_debug().to_string());
            let shown: Vec<String> = shown.collect();
            let mut text = format!("later work changed the same places in {}", shown.join(", "));
            for line in &later {
                text.push_str(&format!("\n  {}", line.escape_debug()));
            }
            let parent = if repo.is_merge(landed)? { "-m 1 " } else { "" };
            return refused(text, format!("by hand: git revert {parent}{landed}"));
        }
    };
    match repo.publish(&target.refname, &ground.target, &commit)? {
        PublishOutcome::Done => {
            // The integration ref follows; if it were not to now, the next run does that.
            fault::past(Point::UndoPublished);
            repo.ground(&target.refname, Some(&commit))?;
            Ok(Some(commit))
        }
        PublishOutcome::Waiting { why } => refused(
            format!("`{name}` cannot be moved now, and nothing was changed: {why}"),
            "get that out of the way and say it again".to_owned(),
        ),
        PublishOutcome::Moved { .. } | PublishOutcome::Beyond { .. } => refused(
            format!("`{name}` has moved meanwhile"),
            "say it again".to_owned(),
        ),
    }
}

fn short(refname: &str) -> &str {
    refname.trim_start_matches("refs/heads/")
}
