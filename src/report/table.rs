//! The status for programs: aligned columns for pipes, JSON for scripts.
//!
//! The JSON is a contract: fields are added, never renamed. Nothing is left out, however long it gets.

use super::Glance;
use super::status::{foreseen, standing_with};
use super::text::{elapsed, escaped, rfc3339, width};
use super::why::first_reason;
use super::words::{about, is_active, room, stage_name, stage_shown};
use crate::core::Forecast;
use crate::model::Stamp;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

const DETAIL_COLUMNS: usize = 200;

/// How the run stands, in lines that begin with `# `; a header; then one `slug stage iteration elapsed
/// detail` line a feature, in columns filled up with spaces. Only the last column holds spaces of its own;
/// an empty field is `-`.
#[must_use]
pub fn status_plain(glance: &Glance<'_>) -> String {
    PlainNews::default().look(glance)
}

/// What the plain status says anew, look after look: all of it at first, then the lines in which something has changed. That
/// time passes is nothing new, nor is what an agent prints while it works: a night would fill a log with that.
#[derive(Debug, Default)]
pub struct PlainNews {
    /// What was told, without times and words.
    standing: BTreeSet<String>,
    rows: BTreeMap<String, Row>,
}

/// The fields of a line.
type Row = [String; 5];

impl PlainNews {
    /// What is new since the last look.
    pub fn look(&mut self, glance: &Glance<'_>) -> String {
        let heard = BTreeMap::new();
        let still = Glance {
            now: Stamp(0),
            heard: &heard,
            ..glance.clone()
        };
        let mut out = String::new();
        let forecast = foreseen(glance);
        // As time passes, a forecast may come and go; what it says of time is nothing new.
        let untimed = forecast.map(|forecast| Forecast {
            left_ms: 0,
            in_ms: 0,
            ..forecast
        });
        let now = standing_lines(glance, forecast.as_ref());
        let known = standing_lines(&still, untimed.as_ref());
        for (line, known) in now.iter().zip(&known) {
            if !self.standing.contains(known) {
                let _ = writeln!(out, "# {line}");
            }
        }
        self.standing = known.into_iter().collect();
        let now = rows(glance);
        let widths = widths(&now);
        let known = rows(&still);
        for (row, known) in now.iter().zip(&known) {
            let [slug, ..] = row;
            if self.rows.get(slug) != Some(known) {
                write_row(&mut out, row, widths);
            }
        }
        self.rows = known.into_iter().map(|row| (row[0].clone(), row)).collect();
        out
    }
}

fn standing_lines(glance: &Glance<'_>, forecast: Option<&Forecast>) -> Vec<String> {
    let lines = standing_with(glance, forecast).into_iter();
    lines.map(|(text, _)| escaped(&text)).collect()
}

/// The header, and a row for each feature.
fn rows(glance: &Glance<'_>) -> Vec<Row> {
    let header = ["SLUG", "STAGE", "ITERATION", "ELAPSED", "DETAIL"].map(str::to_owned);
    let (now, live) = (glance.now, glance.live.is_some());
    let features = glance.view.features.iter().map(|feature| {
        let runs = is_active(feature.stage) && live;
        let time = runs.then(|| elapsed(now.since_ms(feature.since)));
        let output = glance.words(&feature.slug);
        let halted = glance.view.halt.is_some();
        let room = room(feature, DETAIL_COLUMNS);
        [
            feature.slug.to_string(),
            stage_shown(feature.stage, live).to_owned(),
            feature.iteration.to_string(),
            time.unwrap_or_else(|| "-".to_owned()),
            about(feature, halted, output, now, room),
        ]
    });
    std::iter::once(header).chain(features).collect()
}

/// How wide all columns but the last are.
fn widths(rows: &[Row]) -> [usize; 4] {
    let mut widths = [0; 4];
    for row in rows {
        for (wide, cell) in widths.iter_mut().zip(row) {
            *wide = (*wide).max(width(cell));
        }
    }
    widths
}

fn write_row(out: &mut String, [slug, stage, iteration, time, detail]: &Row, widths: [usize; 4]) {
    let [a, b, c, d] = widths;
    let detail = if detail.is_empty() { "-" } else { detail };
    let _ = writeln!(
        out,
        "{slug:<a$}  {stage:<b$}  {iteration:<c$}  {time:<d$}  {detail}"
    );
}

/// `{"schema":"harness.status","version":1,…}`. A time `x` is RFC 3339 in UTC and has its milliseconds
/// since the epoch beside it as `x_ms`. `usage` holds tokens (`input` without the cache, `output`, `cache_read`,
/// `cache_write`) and `micro_usd`, which is an estimate if `estimated` is there; `budget` the limits and what is left of
/// them (`left_micro_usd`, `left_tokens`; null: no limit); `cached_percent` how much of what models were given came from the
/// prompt cache; `findings` what came to light in the run; `forecast` how long the
/// rest takes, or null where nobody can know. Marks that could steer a terminal are escaped in texts; JSON
/// itself escapes the rest.
#[must_use]
pub fn status_json(glance: &Glance<'_>) -> Value {
    let view = glance.view;
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for feature in &view.features {
        *counts.entry(stage_name(feature.stage)).or_default() += 1;
    }
    let features: Vec<Value> = view
        .features
        .iter()
        .map(|feature| {
            let mut value = safe(to_value(feature));
            if let (Value::Object(fields), Some(output)) = (&mut value, glance.words(&feature.slug))
            {
                fields.insert("output".to_owned(), Value::String(escaped(output)));
            }
            if let (Value::Object(fields), Some(used)) = (&mut value, glance.used(&feature.slug)) {
                fields.insert("iteration_usage".to_owned(), to_value(&used));
            }
            if let Value::Object(fields) = &mut value {
                let (code, text) = first_reason(glance, feature);
                fields.insert(
                    "reason".to_owned(),
                    json!({ "code": code.name(), "text": text }),
                );
            }
            value
        })
        .collect();
    let state = match (&glance.live, &view.run) {
        (Some(_), _) => "running",
        (None, None) => "none",
        (None, Some(run)) if run.ended.is_none() => "cut_off",
        (None, Some(_)) => "ended",
    };
    json!({
        "schema": "harness.status",
        "version": 1,
        "now": rfc3339(glance.now),
        "now_ms": glance.now.0,
        "live": glance.live.is_some(),
        "live_by": glance.live.as_deref().map(escaped),
        "state": state,
        "run": safe(to_value(&view.run)),
        "halt": safe(to_value(&view.halt)),
        "ahead": view.ahead.map(rfc3339),
        "ahead_ms": view.ahead,
        "forecast": foreseen(glance),
        "counts": counts,
        "features": features,
    })
}

fn to_value(part: &impl serde::Serialize) -> Value {
    // A view is plain data with string keys: turning it into a value cannot fail.
    serde_json::to_value(part).unwrap_or(Value::Null)
}

/// Texts made harmless, times given in both forms.
fn safe(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(harmless(&text)),
        Value::Array(items) => Value::Array(items.into_iter().map(safe).collect()),
        Value::Object(fields) => Value::Object(safe_fields(fields)),
        plain => plain,
    }
}

fn safe_fields(fields: Map<String, Value>) -> Map<String, Value> {
    let waits_for_time = fields.get("for").and_then(Value::as_str) == Some("time");
    let mut out = Map::new();
    for (name, value) in fields {
        let is_time = matches!(name.as_str(), "since" | "started" | "ended" | "until")
            || (waits_for_time && name == "what");
        if is_time {
            let ms = value.as_u64();
            out.insert(format!("{name}_ms"), value);
            let text = ms.map_or(Value::Null, |ms| Value::String(rfc3339(Stamp(ms))));
            out.insert(name, text);
        } else {
            out.insert(name, safe(value));
        }
    }
    out
}

/// Line ends and tabs stay, JSON escapes them.
fn harmless(text: &str) -> String {
    let lines: Vec<String> = text
        .split('\n')
        .map(|line| line.split('\t').map(escaped).collect::<Vec<_>>().join("\t"))
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests;
