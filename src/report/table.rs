//! The status for programs: aligned columns for pipes, JSON for scripts.
//!
//! The JSON is a contract: fields are added, never renamed. Nothing is left out, however long it gets.

use super::Glance;
use super::status::standing;
use super::text::{elapsed, escaped, rfc3339, width};
use super::why::first_reason;
use super::words::{about, is_active, room, stage_name, stage_shown};
use crate::core::forecast;
use crate::model::Stamp;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;

const DETAIL_COLUMNS: usize = 200;

/// How the run stands, in lines that begin with `# `; a header; then one `slug stage iteration elapsed
/// detail` line a feature, in columns filled up with spaces. Only the last column holds spaces of its own;
/// an empty field is `-`.
#[must_use]
pub fn status_plain(glance: &Glance<'_>) -> String {
    let header = ["SLUG", "STAGE", "ITERATION", "ELAPSED", "DETAIL"].map(str::to_owned);
    let rows: Vec<[String; 5]> = std::iter::once(header)
        .chain(glance.view.features.iter().map(|feature| {
            let now = glance.now;
            let runs = is_active(feature.stage) && glance.live.is_some();
            let time = runs.then(|| elapsed(now.since_ms(feature.since)));
            let output = glance.words(&feature.slug);
            [
                feature.slug.to_string(),
                stage_shown(feature.stage, glance.live.is_some()).to_owned(),
                feature.iteration.to_string(),
                time.unwrap_or_else(|| "-".to_owned()),
                about(
                    feature,
                    glance.view.halt.is_some(),
                    output,
                    now,
                    room(feature, DETAIL_COLUMNS),
                ),
            ]
        }))
        .collect();
    let mut widths = [0; 4];
    for row in &rows {
        for (wide, cell) in widths.iter_mut().zip(row) {
            *wide = (*wide).max(width(cell));
        }
    }
    let mut out = String::new();
    for (text, _) in standing(glance) {
        let _ = writeln!(out, "# {}", escaped(&text));
    }
    for [slug, stage, iteration, time, detail] in &rows {
        let [a, b, c, d] = widths;
        let detail = if detail.is_empty() { "-" } else { detail };
        let _ = writeln!(
            out,
            "{slug:<a$}  {stage:<b$}  {iteration:<c$}  {time:<d$}  {detail}"
        );
    }
    out
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
        "forecast": glance.live.as_ref().and_then(|_| forecast(view, glance.now)),
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
