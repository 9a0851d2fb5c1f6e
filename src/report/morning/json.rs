//! The report for programs. Fields are added, never renamed; `schemas/report.json` describes them.

use super::{
    AgentRow, Bar, FeatureRow, LandedPart, LaneKind, Link, Morning, Need, RunState, Timeline, What,
};
use crate::model::{Stamp, Usage};
use crate::report::code::code_meaning;
use crate::report::text::rfc3339;
use serde_json::{Map, Value, json};

/// `{"schema":"harness.report","version":1,…}`. A time `x` is RFC 3339 in UTC and has its milliseconds since the epoch
/// beside it as `x_ms`; in the timeline there are only those. Paths of links are below the state directory.
#[must_use]
pub fn morning_json(morning: &Morning) -> Value {
    let run = &morning.run;
    let codes = run.codes.iter();
    let codes = codes.map(|code| json!({ "code": code, "meaning": code_meaning(*code) }));
    json!({
        "schema": "harness.report",
        "version": 1,
        "run": {
            "id": run.id,
            "target": run.target,
            "state": match run.state {
                RunState::Ended => "ended",
                RunState::CutOff => "cut_off",
                RunState::Running => "running",
            },
            "started": rfc3339(run.started),
            "started_ms": run.started.0,
            "last": rfc3339(run.last),
            "last_ms": run.last.0,
            "took_ms": run.last.since_ms(run.started),
            "slept_ms": run.slept_ms,
            "parallel": run.parallel,
            "iterations": run.iterations,
            "codes": codes.collect::<Vec<_>>(),
            "landed": morning.landed.len(),
            "merged_before": run.earlier,
            "open": run.open,
            "left_out": run.left_out,
        },
        "sentence": morning.sentence,
        "needs_you": morning.needs.iter().map(need).collect::<Vec<_>>(),
        "landed": morning.landed.iter().map(landed).collect::<Vec<_>>(),
        "look_closer": morning.smells.iter().map(|smell| json!({
            "slug": smell.slug,
            "code": smell.code,
            "text": smell.text,
        })).collect::<Vec<_>>(),
        "timeline": timeline(&morning.timeline),
        "cost": {
            "total": usage(&morning.cost.total),
            "left": morning.cost.left,
            "agents": morning.cost.agents.iter().map(agent).collect::<Vec<_>>(),
            "features": morning.cost.features.iter().map(feature).collect::<Vec<_>>(),
        },
        "learnings": morning.learnings.iter().map(|learning| json!({
            "slug": learning.slug,
            "iteration": learning.iteration,
            "text": learning.text,
        })).collect::<Vec<_>>(),
        "next": morning.next.iter().map(|next| json!({
            "slug": next.slug,
            "title": next.title,
            "ready": next.is_ready,
            "why": next.why,
        })).collect::<Vec<_>>(),
    })
}

/// Tokens and money, as everywhere.
pub(in crate::report) fn usage(usage: &Usage) -> Value {
    json!({
        "input": usage.input,
        "output": usage.output,
        "cache_read": usage.cache_read,
        "cache_write": usage.cache_write,
        "micro_usd": usage.micro_usd,
        "estimated": usage.estimated,
        "cached_percent": usage.cached_percent(),
    })
}

fn links(links: &[Link]) -> Value {
    let links = links.iter();
    links
        .map(|link| json!({ "name": link.name, "path": link.path }))
        .collect()
}

fn need(need: &Need) -> Value {
    let evidence = need.evidence.iter();
    let evidence = evidence.map(|(title, text)| json!({ "title": title, "text": text }));
    json!({
        "slug": need.slug,
        "title": need.title,
        "kind": need.kind,
        "why": need.why,
        "evidence": evidence.collect::<Vec<_>>(),
        "commands": need.commands,
        "links": links(&need.links),
    })
}

fn landed(landed: &LandedPart) -> Value {
    let changes = landed.changes.as_ref().map(|changes| {
        json!({
            "files": changes.files,
            "insertions": changes.insertions,
            "deletions": changes.deletions,
            "removed": changes.removed,
        })
    });
    json!({
        "slug": landed.slug,
        "title": landed.title,
        "commit": landed.commit,
        "at": rfc3339(landed.at),
        "at_ms": landed.at.0,
        "empty": landed.empty,
        "published": landed.published,
        "changes": changes,
        "summary": landed.summary,
        "evidence": {
            "kind": landed.proof.kind,
            "tree": landed.proof.tree,
            "commands": landed.proof.commands,
            "gate_ms": landed.proof.gate_ms,
            "with": landed.proof.with,
        },
        "iterations": landed.iterations,
        "work_ms": landed.work_ms,
        "usage": usage(&landed.usage),
        "agents": landed.agents,
        "first_claim": landed.first,
        "links": links(&landed.links),
    })
}

fn timeline(timeline: &Timeline) -> Value {
    let span = |from: Stamp, to: Stamp| json!({ "from_ms": from.0, "to_ms": to.0 });
    let lanes = timeline.lanes.iter().map(|lane| {
        json!({
            "kind": match lane.kind {
                LaneKind::Slot => "slot",
                LaneKind::Account => "account",
                LaneKind::Queue => "merge",
            },
            "number": lane.number,
            "bars": lane.bars.iter().map(bar).collect::<Vec<_>>(),
        })
    });
    let asleep = timeline.asleep.iter().map(|(from, to)| span(*from, *to));
    let critical = timeline.critical.iter().map(|step| {
        json!({
            "slugs": step.slugs,
            "attempt": step.attempt,
            "iterations": step.iterations,
            "from_ms": step.from.0,
            "to_ms": step.to.0,
            "waited_ms": step.waited_ms,
            "cause": step.cause,
        })
    });
    json!({
        "from_ms": timeline.from.0,
        "to_ms": timeline.to.0,
        "lanes": lanes.collect::<Vec<_>>(),
        "asleep": asleep.collect::<Vec<_>>(),
        "critical": critical.collect::<Vec<_>>(),
    })
}

fn bar(bar: &Bar) -> Value {
    let mut fields = Map::new();
    fields.insert("slugs".to_owned(), json!(bar.slugs));
    let (what, number, result) = match bar.what {
        What::Preparing => ("preparing", None, Value::Null),
        What::Between => ("between", None, Value::Null),
        What::Account => ("account", None, Value::Null),
        What::Iteration { number, result } => ("iteration", Some(number), json!(result)),
        What::Attempt { number, result } => ("attempt", Some(number), json!(result)),
    };
    fields.insert("what".to_owned(), json!(what));
    fields.insert("number".to_owned(), json!(number));
    fields.insert("result".to_owned(), result);
    fields.insert("from_ms".to_owned(), json!(bar.from.0));
    fields.insert("to_ms".to_owned(), json!(bar.to.0));
    fields.insert("critical".to_owned(), json!(bar.is_critical));
    Value::Object(fields)
}

fn agent(row: &AgentRow) -> Value {
    json!({
        "agent": row.name,
        "iterations": row.iterations,
        "failed": row.failed,
        "work_ms": row.work_ms,
        "usage": usage(&row.usage),
        "landed": row.landed,
        "first_claims": row.first_claims,
        "first_passed": row.first_passed,
    })
}

fn feature(row: &FeatureRow) -> Value {
    json!({
        "slug": row.slug,
        "iterations": row.iterations,
        "work_ms": row.work_ms,
        "usage": usage(&row.usage),
    })
}
