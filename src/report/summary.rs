//! The end of a run in a few lines: what landed, what needs a person, what it cost.
//!
//! Tells the run that the view shows; never looks at files.

use super::code::code_meaning;
use super::money;
use super::status::queue_words;
use super::text::{branch, count, elapsed, grouped, padded, shown, some};
use super::words::{NOTHING_TO_MERGE, about, asleep, command, room, stage_name};
use crate::core::{FeatureView, RunView, Stage, View};
use crate::model::Usage;
use std::fmt::Write as _;
use std::path::Path;

const MAX_ROWS: usize = 50;
const COLUMNS: usize = 100;

/// The end of a run: how it ended, what was merged in it, what needs a person and the command for it,
/// tokens and money where agents reported them, and where the logs are (`state_dir`, as it is to be
/// shown). Of a run that has not ended it says so.
#[must_use]
pub fn summary(view: &View, state_dir: &Path) -> String {
    let mut out = String::new();
    let Some(run) = &view.run else {
        return "no run yet\n".to_owned();
    };
    head(&mut out, run);
    let is_merged = |f: &&FeatureView| f.stage == Stage::Merged;
    let (fresh, earlier): (Vec<&FeatureView>, Vec<&FeatureView>) = view
        .features
        .iter()
        .filter(is_merged)
        .partition(|f| f.since >= run.started && f.commit.is_some());
    let left_out = view.features.iter().filter(|f| f.stage == Stage::LeftOut);
    let left_out = left_out.count();
    let open = view.features.len() - fresh.len() - earlier.len() - left_out;
    let _ = writeln!(
        out,
        "merged {} in this run; {} merged before, {} open{}",
        some(fresh.len(), "feature"),
        count(earlier.len()),
        count(open),
        match left_out {
            0 => String::new(),
            n => format!(", {} left out", count(n)),
        }
    );
    rows(&mut out, &fresh, |f| {
        if f.empty {
            return format!("  {:<9}  {}  {NOTHING_TO_MERGE}", "-", f.slug);
        }
        let commit = f.commit.as_ref().map_or("-", |commit| commit.short());
        let cost = money::cost(&f.usage).map(|cost| format!("  ({cost})"));
        let cost = cost.unwrap_or_default();
        let row = format!("  {commit}  {}  {}{cost}", f.slug, shown(&f.title, COLUMNS));
        row.trim_end().to_owned()
    });
    for text in queue_words(run) {
        let _ = writeln!(out, "{text}");
    }
    let needy: Vec<&FeatureView> = view
        .features
        .iter()
        .filter(|f| command(f).is_some())
        .collect();
    if !needy.is_empty() {
        let _ = writeln!(out, "{}", needs_you(needy.len()));
    }
    let longest = needy.iter().take(MAX_ROWS).map(|f| f.slug.as_str().len());
    let columns = longest.max().unwrap_or(0);
    rows(&mut out, &needy, |f| {
        let slug = padded(f.slug.as_str(), columns);
        let now = run.ended.unwrap_or(run.started);
        let why = about(f, view.halt.is_some(), None, now, room(f, COLUMNS));
        let command = command(f).unwrap_or_default();
        let indent = columns + 4;
        let stage = stage_name(f.stage);
        format!("  {slug}  {stage}: {why}\n{:indent$}{command}", "")
    });
    if let Some(used) = money::run_words(run) {
        let _ = writeln!(out, "{used}");
    }
    let total = total(view);
    if total != Usage::default() {
        let _ = writeln!(out, "{}", cost(total));
    }
    let dir = shown(&state_dir.display().to_string(), 200);
    let _ = writeln!(
        out,
        "logs: {dir}/run.log, {dir}/<feature>.log, {dir}/iterations/"
    );
    out
}

fn head(out: &mut String, run: &RunView) {
    let id = shown(&run.id, 40);
    let target = branch(&run.target);
    let calls = some(
        usize::try_from(run.iterations).unwrap_or(usize::MAX),
        "iteration",
    );
    let _ = match run.ended {
        Some(ended) => {
            let took = elapsed(ended.since_ms(run.started));
            let asleep = asleep(run);
            writeln!(
                out,
                "run {id} onto {target} ended after {took}{asleep}, {calls}"
            )
        }
        None => writeln!(out, "run {id} onto {target} has not ended, {calls} so far"),
    };
    for (n, code) in run.codes.iter().enumerate() {
        let name = if n == 0 { "exit code" } else { "     also" };
        let _ = writeln!(out, "{name} {code}: {}", code_meaning(*code));
    }
}

fn rows(out: &mut String, features: &[&FeatureView], row: impl Fn(&FeatureView) -> String) {
    for feature in features.iter().take(MAX_ROWS) {
        let _ = writeln!(out, "{}", row(feature));
    }
    if let Some(more) = features.len().checked_sub(MAX_ROWS).filter(|n| *n > 0) {
        let _ = writeln!(
            out,
            "  … and {} more (`harness status --json`)",
            count(more)
        );
    }
}

fn total(view: &View) -> Usage {
    let all = view.features.iter().map(|f| f.usage);
    all.fold(Usage::default(), Usage::plus)
}

/// Over all runs: a feature's usage outlives a run.
fn cost(usage: Usage) -> String {
    let mut out = format!(
        "tokens of these features so far: {} in, {} out, {} from cache, {} to cache",
        grouped(usage.input),
        grouped(usage.output),
        grouped(usage.cache_read),
        grouped(usage.cache_write)
    );
    if usage.micro_usd > 0 {
        let _ = write!(out, "; {}", money::money(&usage));
    }
    out
}

fn needs_you(number: usize) -> String {
    match number {
        1 => "1 feature needs you".to_owned(),
        _ => format!("{} need you", some(number, "feature")),
    }
}
