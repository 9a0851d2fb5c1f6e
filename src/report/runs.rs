//! All runs of a journal, one a line; what features and agents came to; and how two runs differ.
//!
//! Sums up what the histories hold; never reads them itself.

use super::code::code_meaning;
use super::money;
use super::morning::{usage_cells, usage_json};
use super::text::{branch, clock, count, elapsed, padded, rfc3339, shown, width};
use crate::core::{AgentFigures, FeatureFigures, FirstClaim, RunHistory, Stage};
use crate::model::{RunId, Slug, Usage, escaped};
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;

const TITLE_COLUMNS: usize = 60;

/// Whether a feature waits for a person.
fn needs_you(stage: Option<Stage>) -> bool {
    stage.is_some_and(Stage::needs_a_person)
}

/// Features that wait for a person at the end of a run.
pub(super) fn needy(run: &RunHistory) -> impl Iterator<Item = &Slug> {
    let features = run.features.iter();
    features.filter_map(|(slug, figures)| needs_you(figures.stage).then_some(slug))
}

/// How many first claims landed as they were, and how many were decided.
pub(super) fn first_claims<'a>(
    features: impl Iterator<Item = &'a FeatureFigures>,
) -> (usize, usize) {
    let decided = features.filter_map(|figures| match figures.first {
        FirstClaim::Passed => Some(true),
        FirstClaim::SentBack => Some(false),
        FirstClaim::None | FirstClaim::Open => None,
    });
    decided.fold((0, 0), |(passed, all), good| {
        (passed + usize::from(good), all + 1)
    })
}

fn state<'a>(run: &RunHistory, live: Option<&RunId>) -> &'a str {
    match &run.codes {
        Some(_) => "ended",
        None if live == Some(&run.id) => "running",
        None => "cut_off",
    }
}

/// All runs, the last one last. `live` is the one that is going on.
#[must_use]
pub fn runs_text(runs: &[RunHistory], live: Option<&RunId>, zone: &TimeZone) -> String {
    if runs.is_empty() {
        return "no run yet\n".to_owned();
    }
    let header = [
        "RUN",
        "BEGAN",
        "TOOK",
        "LANDED",
        "NEED YOU",
        "ITERATIONS",
        "COST",
        "END",
    ];
    let rows = runs.iter().map(|run| {
        let code = run.codes.as_ref().and_then(|codes| codes.first());
        [
            shown(&run.id.0, 40),
            clock(run.started, zone, "%F %H:%M"),
            elapsed(run.took_ms()),
            count(run.landed().len()),
            count(needy(run).count()),
            run.iterations.to_string(),
            money::cost(&run.usage).unwrap_or_else(|| "-".to_owned()),
            match code {
                Some(code) => format!("{code}: {}", code_meaning(*code)),
                None if state(run, live) == "running" => "is going on".to_owned(),
                None => "was cut off".to_owned(),
            },
        ]
    });
    columns(header.map(str::to_owned), rows.collect())
}

/// `{"schema":"harness.runs","version":1,"runs":[…]}`, the last one last.
#[must_use]
pub fn runs_json(runs: &[RunHistory], live: Option<&RunId>) -> Value {
    let all = runs.iter().map(|run| {
        json!({
            "id": escaped(&run.id.0),
            "target": branch(&run.target),
            "state": state(run, live),
            "started": rfc3339(run.started),
            "started_ms": run.started.0,
            "last": rfc3339(run.last),
            "last_ms": run.last.0,
            "took_ms": run.took_ms(),
            "slept_ms": run.slept_ms(),
            "codes": run.codes.clone().unwrap_or_default(),
            "parallel": run.parallel,
            "iterations": run.iterations,
            "landed": run.landed().iter().map(|(slug, _)| slug.as_str()).collect::<Vec<_>>(),
            "needs_you": needy(run).collect::<Vec<_>>(),
            "usage": usage_json(&run.usage),
        })
    });
    json!({ "schema": "harness.runs", "version": 1, "runs": all.collect::<Vec<_>>() })
}

/// What features and agents came to.
#[derive(Clone, Debug)]
pub struct Stats {
    /// The run it is limited to; `None`: all.
    pub run: Option<RunId>,
    /// How many runs there are in it.
    pub runs: usize,
    /// Features.
    pub features: BTreeMap<Slug, FeatureFigures>,
    /// Agents.
    pub agents: BTreeMap<String, AgentFigures>,
}

impl Stats {
    fn touched(&self) -> impl Iterator<Item = (&Slug, &FeatureFigures)> {
        self.features
            .iter()
            .filter(|(_, figures)| figures.is_touched())
    }

    fn usage(&self) -> Usage {
        let all = self.features.values().map(|figures| figures.usage);
        all.fold(Usage::default(), Usage::plus)
    }
}

/// What features and agents came to, in two tables.
#[must_use]
pub fn stats_text(stats: &Stats) -> String {
    let touched: Vec<_> = stats.touched().collect();
    if touched.is_empty() {
        return "no agent has been called yet\n".to_owned();
    }
    let header = [
        "FEATURE",
        "STAGE",
        "ITERATIONS",
        "FAILED",
        "TIME",
        "TOKENS",
        "COST",
        "CACHED",
        "CLAIMS",
        "FIRST",
        "TITLE",
    ];
    let rows = touched.iter().map(|(slug, figures)| {
        let [tokens, money, cached] = usage_cells(&figures.usage);
        [
            slug.to_string(),
            figures
                .stage
                .map_or("gone", super::words::stage_name)
                .to_owned(),
            figures.iterations.to_string(),
            figures.failed.to_string(),
            elapsed(figures.work_ms),
            tokens,
            money,
            cached,
            figures.claims.to_string(),
            match figures.first {
                FirstClaim::None => "-",
                FirstClaim::Open => "open",
                FirstClaim::Passed => "landed",
                FirstClaim::SentBack => "sent back",
            }
            .to_owned(),
            shown(&figures.title, TITLE_COLUMNS),
        ]
    });
    let mut out = columns(header.map(str::to_owned), rows.collect());
    out.push('\n');
    out.push_str(&agents_text(stats));
    let (passed, all) = first_claims(stats.features.values());
    let runs = super::text::some(stats.runs, "run");
    let _ = writeln!(
        out,
        "\n{runs}; first claims that landed as they were: {}",
        rate(passed, all)
    );
    out
}

fn agents_text(stats: &Stats) -> String {
    let header = [
        "AGENT",
        "ITERATIONS",
        "FAILED",
        "TIME",
        "TOKENS",
        "COST",
        "CACHED",
        "LANDED",
        "FIRST CLAIMS",
    ];
    let rows = stats.agents.iter().map(|(name, figures)| {
        let [tokens, money, cached] = usage_cells(&figures.usage);
        [
            shown(name, 60),
            figures.iterations.to_string(),
            figures.failed.to_string(),
            elapsed(figures.work_ms),
            tokens,
            money,
            cached,
            figures.landed.to_string(),
            rate(
                usize::try_from(figures.first_passed).unwrap_or(usize::MAX),
                usize::try_from(figures.first_claims).unwrap_or(usize::MAX),
            ),
        ]
    });
    columns(header.map(str::to_owned), rows.collect())
}

/// `{"schema":"harness.stats","version":1,…}`.
#[must_use]
pub fn stats_json(stats: &Stats) -> Value {
    let features = stats.touched().map(|(slug, figures)| {
        json!({
            "slug": slug,
            "title": shown(&figures.title, 400),
            "stage": figures.stage,
            "iterations": figures.iterations,
            "failed": figures.failed,
            "work_ms": figures.work_ms,
            "usage": usage_json(&figures.usage),
            "agents": figures.agents.iter().map(|name| escaped(name)).collect::<Vec<_>>(),
            "claims": figures.claims,
            "refused": figures.refused.len(),
            "sent_back": figures.sent_back.len(),
            "first_claim": figures.first,
        })
    });
    let agents = stats.agents.iter().map(|(name, figures)| {
        json!({
            "agent": escaped(name),
            "iterations": figures.iterations,
            "failed": figures.failed,
            "work_ms": figures.work_ms,
            "usage": usage_json(&figures.usage),
            "landed": figures.landed,
            "first_claims": figures.first_claims,
            "first_passed": figures.first_passed,
        })
    });
    let (passed, all) = first_claims(stats.features.values());
    json!({
        "schema": "harness.stats",
        "version": 1,
        "run": stats.run.as_ref().map(|run| escaped(&run.0)),
        "runs": stats.runs,
        "usage": usage_json(&stats.usage()),
        "first_claims": all,
        "first_passed": passed,
        "features": features.collect::<Vec<_>>(),
        "agents": agents.collect::<Vec<_>>(),
    })
}

/// `3 of 4 (75 %)`.
pub(super) fn rate(passed: usize, all: usize) -> String {
    match all {
        0 => "-".to_owned(),
        all => format!("{passed} of {all} ({} %)", passed * 100 / all),
    }
}

/// Rows in columns; the last may be as wide as it likes.
fn columns<const N: usize>(header: [String; N], rows: Vec<[String; N]>) -> String {
    let rows: Vec<[String; N]> = std::iter::once(header).chain(rows).collect();
    let mut widths = [0; N];
    for row in &rows {
        for (wide, cell) in widths.iter_mut().zip(row) {
            *wide = (*wide).max(width(cell));
        }
    }
    let mut out = String::new();
    for row in &rows {
        let cells = row.iter().zip(widths);
        let line: Vec<String> = cells.map(|(cell, wide)| padded(cell, wide)).collect();
        let _ = writeln!(out, "{}", line.join("  ").trim_end());
    }
    out
}
