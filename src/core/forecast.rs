//! How long the rest of a run will take, by what has landed in it so far; nothing where that cannot be known.
//!
//! It reads the picture only. A forecast that is wrong is worse than none: whatever makes the past a bad measure of what
//! is to come gives none.

use super::stage::Stage;
use super::view::{FeatureView, RunView, View, Wait};
use crate::model::Stamp;
use serde::Serialize;

/// Landings before anything is foretold.
const LEAST_LANDED: u64 = 3;
/// Without a landing for so many times the usual pause, nothing is foretold any more.
const LATE: u64 = 3;

/// How long the rest takes, and the facts from which that is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Forecast {
    /// About how long it takes until the last feature has landed that needs no person, in milliseconds.
    pub left_ms: u64,
    /// So many features have landed in this run,
    pub landed: u64,
    /// in so much time; the machine's sleep, and what was only waited for accounts, not counted.
    pub in_ms: u64,
}

/// The rest of the run at `now`; `None`: nobody can know.
#[must_use]
pub fn forecast(view: &View, now: Stamp) -> Option<Forecast> {
    let run = view.run.as_ref().filter(|run| goes_on(run))?;
    if view.halt.is_some() || view.ahead.is_some() {
        return None;
    }
    let landings = view.features.iter().filter(|f| landed_in(f, run));
    let landed = u64::try_from(landings.clone().count()).ok()?;
    let last = landings.map(|f| f.since).max()?;
    let open: Vec<&FeatureView> = view.features.iter().filter(|f| will_land(f)).collect();
    let (open, chain) = (
        u64::try_from(open.len()).ok()?,
        open.iter().map(|f| u64::from(f.chain)).max()?,
    );
    let idle_ms = run.slept_ms.saturating_add(run.waited_ms);
    let in_ms = now.since_ms(run.started).saturating_sub(idle_ms);
    // The longest chain lands one after the other, each as slow as all slots together make one fast.
    let one_by_one = chain.saturating_mul(u64::from(run.parallel));
    let calls_left = u64::from(run.max_iterations.saturating_sub(run.iterations));
    let calls_needed = u64::from(run.iterations).saturating_mul(open) / landed.max(1);
    let left_ms = in_ms.saturating_mul(open.max(one_by_one)) / landed.max(1);
    let known = landed >= LEAST_LANDED
        && now.since_ms(last).saturating_mul(landed) <= in_ms.saturating_mul(LATE)
        && one_by_one <= open.saturating_mul(2)
        && calls_needed <= calls_left
        && run.until.is_none_or(|until| now.plus_ms(left_ms) <= until);
    known.then_some(Forecast {
        left_ms,
        landed,
        in_ms,
    })
}

/// Whether nothing holds the run back as a whole.
fn goes_on(run: &RunView) -> bool {
    let is_closed = run.accounts.iter().any(|account| account.closed);
    let budget = [run.budget.left_micro_usd, run.budget.left_tokens];
    run.ended.is_none()
        && run.stop.is_none()
        && !run.time_up
        && run.strain.is_none()
        && run.broken_base.is_none()
        && !is_closed
        && !budget.contains(&Some(0))
}

fn landed_in(feature: &FeatureView, run: &RunView) -> bool {
    feature.stage == Stage::Merged && feature.commit.is_some() && feature.since >= run.started
}

/// Whether it is still to land, and needs nobody for that.
fn will_land(feature: &FeatureView) -> bool {
    match feature.stage {
        Stage::Waiting => {
            let is_hopeless = |wait: &Wait| matches!(wait, Wait::Hopeless(_));
            !feature.unselected && !feature.waits.iter().any(is_hopeless)
        }
        Stage::Preparing
        | Stage::Working
        | Stage::Between
        | Stage::Queued
        | Stage::Gating
        | Stage::Landing => true,
        Stage::Skipped
        | Stage::Merged
        | Stage::Blocked
        | Stage::Tripped
        | Stage::Parked
        | Stage::Failed
        | Stage::Review
        | Stage::LeftOut => false,
    }
}
