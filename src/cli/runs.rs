//! `harness runs` and `harness stats`: what all runs came to.

use super::args::{RunsArgs, StatsArgs};
use super::desk::Failure;
use super::report::find;
use super::{Desk, out};
use crate::core::{over_runs, view};
use crate::driver::{self, local_zone};
use crate::report::{Stats, runs_json, runs_text, stats_json, stats_text};

pub(super) fn runs(desk: &Desk, args: &RunsArgs) -> Result<u8, Failure> {
    let place = desk.place()?;
    let runs = driver::runs(&place)?;
    let live = driver::living_run(&place);
    match args.json {
        true => out::json(&runs_json(&runs, live.as_ref()))?,
        false => out::out(&runs_text(&runs, live.as_ref(), &local_zone())),
    }
    Ok(0)
}

pub(super) fn stats(desk: &Desk, args: &StatsArgs) -> Result<u8, Failure> {
    let place = desk.place()?;
    let mut runs = driver::runs(&place)?;
    if let Some(typed) = &args.run {
        runs = vec![find(&runs, typed)?.clone()];
    }
    let now = match args.run {
        Some(_) => None,
        None => Some(view(&place.read()?.state, driver::wall_clock())),
    };
    let (features, agents) = over_runs(&runs, now.as_ref());
    let one = args.run.as_ref().and_then(|_| runs.first());
    let stats = Stats {
        run: one.map(|run| run.id.clone()),
        runs: runs.len(),
        features,
        agents,
    };
    match args.json {
        true => out::json(&stats_json(&stats))?,
        false => out::out(&stats_text(&stats)),
    }
    Ok(0)
}
