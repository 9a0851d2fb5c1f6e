//! The merge queue as a person sees it: what is being tried, who comes next, who waits for what, and about how
//! long it takes.
//!
//! Computed when somebody looks. Times are journal times.

use super::feature::{Feature, Phase};
use super::merge::{base_failure, queued};
use super::queue::AttemptStage;
use super::right_of_way;
use super::state::{Run, State};
use super::view::publish_waits;
use crate::model::{Slug, Stamp, Trial};
use serde::Serialize;

/// The merge queue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct QueueView {
    /// The branch features land on, in full; empty before the first run.
    pub target: String,
    /// What is being tried, in the order in which it may land.
    pub attempts: Vec<AttemptView>,
    /// Claimed features that are not being tried, oldest claim first.
    pub waiting: Vec<QueuedView>,
    /// Done, but a person must say how they go on.
    pub parked: Vec<Slug>,
    /// Done and ready: a person must see them before they land.
    pub review: Vec<Slug>,
    /// Landed, not in the target yet.
    pub unpublished: Vec<Slug>,
    /// Why not, if something is in the way.
    pub publish_waits: Option<String>,
    /// What fails on the target by itself, if something does.
    pub broken_base: Option<String>,
    /// The median of the last gates, in milliseconds; `None` before the first.
    pub gate_ms: Option<u64>,
}

/// A chain of merges under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AttemptView {
    /// Its number.
    pub number: u32,
    /// What it is for.
    pub what: Trial,
    /// What it would land.
    pub members: Vec<Slug>,
    /// How far it is.
    pub stage: AttemptStep,
    /// When it began, by its first member; `None` if it has none.
    pub since: Option<Stamp>,
}

/// How far an attempt is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptStep {
    /// Its merges are being made.
    Building,
    /// Its gate runs.
    Gating,
    /// What has landed is being moved to it.
    Landing,
}

/// A claimed feature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct QueuedView {
    /// Which.
    pub slug: Slug,
    /// When it claimed to be done.
    pub since: Stamp,
    /// What keeps it from being tried, besides its turn.
    pub waits: Option<QueueWait>,
    /// So many gates, each at its usual length, are over before its own is, if all of them pass; `None` for
    /// one that waits for something else.
    pub gates_ahead: Option<u32>,
}

/// Why a claimed feature is not tried although it may be its turn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "for", content = "what", rename_all = "snake_case")]
pub enum QueueWait {
    /// It conflicts with something that is being tried.
    Attempt,
    /// It fails as what it would land on does.
    Base,
    /// This one has the right of way on its paths.
    RightOfWay(Slug),
    /// A dependency that was taken back must land again.
    Dependency,
    /// git or the disk failed; it is tried again at this time.
    Time(Stamp),
}

/// The merge queue when the wall clock reads `now`; all times are that clock's.
#[must_use]
pub fn queue(state: &State, now: Stamp) -> QueueView {
    let now = state.journal_time(now);
    let Some(run) = state.run.as_ref() else {
        return QueueView::default();
    };
    let merging = &state.merging;
    let attempts: Vec<AttemptView> = merging
        .attempts
        .iter()
        .map(|(number, attempt)| AttemptView {
            number: *number,
            what: attempt.what,
            members: attempt.members.clone(),
            stage: match attempt.stage {
                AttemptStage::Building => AttemptStep::Building,
                AttemptStage::Built(_) => AttemptStep::Gating,
                AttemptStage::Landing(_) => AttemptStep::Landing,
            },
            since: first_since(state, &attempt.members).map(|at| state.wall_time(at)),
        })
        .collect();
    let batch = u32::try_from(merging.batch(run.settings.merge.batch)).unwrap_or(u32::MAX);
    let under_way = attempts.iter().filter(|a| a.stage != AttemptStep::Landing);
    let under_way = u32::try_from(under_way.count()).unwrap_or(u32::MAX);
    let mut place = 0_u32;
    let waiting = queued(state)
        .filter_map(|slug| state.features.get(slug))
        .map(|feature| {
            let waits = wait(state, run, feature, now);
            let gates_ahead = waits.is_none().then(|| {
                place += 1;
                under_way.saturating_add(place.div_ceil(batch.max(1)))
            });
            QueuedView {
                slug: feature.spec.slug.clone(),
                since: state.wall_time(feature.claimed.map_or(feature.since, |(at, _)| at)),
                waits,
                gates_ahead,
            }
        })
        .collect();
    let parked = |feature: &&Feature| matches!(feature.phase, Phase::Parked { .. });
    let parked = state.features.values().filter(parked);
    let parked = parked.map(|feature| feature.spec.slug.clone());
    let (review, parked) = parked.partition(|slug| state.reviewed(slug).is_some());
    QueueView {
        target: run.target.clone(),
        attempts,
        waiting,
        parked,
        review,
        unpublished: state.unpublished().map(|(slug, _)| slug.clone()).collect(),
        publish_waits: publish_waits(state, run),
        broken_base: base_failure(state, run).map(|red| red.command.clone()),
        gate_ms: merging.usual_gate_ms(),
    }
}

fn first_since(state: &State, members: &[Slug]) -> Option<Stamp> {
    let first = state.features.get(members.first()?)?;
    Some(first.since)
}

fn wait(state: &State, run: &Run, feature: &Feature, now: Stamp) -> Option<QueueWait> {
    if feature.unmet > 0 {
        Some(QueueWait::Dependency)
    } else if feature.held_on.as_ref() == Some(&run.tip) {
        Some(QueueWait::Base)
    } else if right_of_way::gives_way(state, run, feature) {
        feature.gives_way_to.clone().map(QueueWait::RightOfWay)
    } else if feature.deferred && !state.merging.attempts.is_empty() {
        Some(QueueWait::Attempt)
    } else if feature.not_before > now {
        Some(QueueWait::Time(state.wall_time(feature.not_before)))
    } else {
        None
    }
}
