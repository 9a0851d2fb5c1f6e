//! How two runs differ: what landed, what has gone back, who needs a person, and the figures.
//!
//! Compares what the histories hold; never reads them itself.

use super::money;
use super::morning::usage_json;
use super::runs::{first_claims, needy, rate};
use super::text::{count, elapsed, names, shown};
use crate::core::{AttemptResult, RunHistory, Stage};
use crate::model::{Slug, Usage, escaped};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// What is there in one run and not in the other.
struct Difference<'a> {
    /// Landed in the later one only.
    landed: Vec<&'a Slug>,
    /// Merged at the end of the earlier one, and not at the end of the later one.
    regressed: Vec<&'a Slug>,
    /// Need a person since.
    need_you: Vec<&'a Slug>,
    /// Needed a person, and do not any more.
    helped: Vec<&'a Slug>,
}

impl<'a> Difference<'a> {
    fn new(a: &'a RunHistory, b: &'a RunHistory) -> Self {
        let landed = |run: &'a RunHistory| -> BTreeSet<&'a Slug> {
            run.landed().into_iter().map(|(slug, _)| slug).collect()
        };
        let merged = |run: &'a RunHistory| -> BTreeSet<&'a Slug> {
            let features = run.features.iter();
            let merged = features.filter(|(_, figures)| figures.stage == Some(Stage::Merged));
            merged.map(|(slug, _)| slug).collect()
        };
        let needs = |run: &'a RunHistory| -> BTreeSet<&'a Slug> { needy(run).collect() };
        let less = |a: &BTreeSet<&'a Slug>, b: &BTreeSet<&'a Slug>| -> Vec<&'a Slug> {
            a.difference(b).copied().collect()
        };
        Self {
            landed: less(&landed(b), &landed(a)),
            regressed: less(&merged(a), &merged(b)),
            need_you: less(&needs(b), &needs(a)),
            helped: less(&needs(a), &needs(b)),
        }
    }
}

/// The figures of one run, in words and for programs.
fn figures(run: &RunHistory) -> ([(&'static str, String); 8], Value) {
    let (passed, claims) = first_claims(run.features.values());
    // What failed without a gate, by a verdict that was known, tells nothing of gates.
    let gated = run.attempts.iter().filter(|span| span.gate_ms > 0);
    let gates = gated.clone().count();
    let red = |result| matches!(result, AttemptResult::Red | AttemptResult::Split);
    let reds = gated.filter(|span| red(span.result)).count();
    let landed = run.landed().len();
    let each = u64::try_from(landed).unwrap_or(u64::MAX);
    let words = [
        ("landed", count(landed)),
        ("needs you", count(needy(run).count())),
        ("took", elapsed(run.took_ms())),
        ("iterations", run.iterations.to_string()),
        (
            "cost",
            money::cost(&run.usage).unwrap_or_else(|| "-".to_owned()),
        ),
        (
            "cost a landed feature",
            match (each, run.usage.micro_usd) {
                (0, _) | (_, 0) => "-".to_owned(),
                (each, micro_usd) => money::money(&Usage {
                    micro_usd: micro_usd / each,
                    ..run.usage
                }),
            },
        ),
        ("first claims that landed", rate(passed, claims)),
        ("attempts with red gates", rate(reds, gates)),
    ];
    let value = json!({
        "id": escaped(&run.id.0),
        "landed": landed,
        "needs_you": needy(run).count(),
        "took_ms": run.took_ms(),
        "iterations": run.iterations,
        "usage": usage_json(&run.usage),
        "first_claims": claims,
        "first_passed": passed,
        "gates": gates,
        "red_gates": reds,
        "codes": run.codes.clone().unwrap_or_default(),
    });
    (words, value)
}

/// How run `b` differs from run `a`.
#[must_use]
pub fn run_diff_text(a: &RunHistory, b: &RunHistory) -> String {
    let mut out = String::new();
    let (before, after) = (figures(a).0, figures(b).0);
    let (first, second) = (shown(&a.id.0, 40), shown(&b.id.0, 40));
    let wide = before
        .iter()
        .map(|(_, value)| value.len())
        .max()
        .unwrap_or(0);
    let wide = wide.max(first.len());
    let _ = writeln!(out, "{:<24}  {first:<wide$}  {second}", "");
    for ((name, before), (_, after)) in before.iter().zip(&after) {
        let _ = writeln!(out, "{name:<24}  {before:<wide$}  {after}");
    }
    let difference = Difference::new(a, b);
    let lists = [
        ("landed in the second only", &difference.landed),
        (
            "merged after the first, and not any more",
            &difference.regressed,
        ),
        ("need you since", &difference.need_you),
        ("do not need you any more", &difference.helped),
    ];
    let lists: Vec<_> = lists
        .iter()
        .filter(|(_, slugs)| !slugs.is_empty())
        .collect();
    if !lists.is_empty() {
        out.push('\n');
    }
    for (name, slugs) in lists {
        let slugs = names(slugs.iter().map(|slug| slug.as_str()));
        let _ = writeln!(out, "{name}: {slugs}");
    }
    out
}

/// `{"schema":"harness.report-diff","version":1,"before":…,"after":…,…}`.
#[must_use]
pub fn run_diff_json(a: &RunHistory, b: &RunHistory) -> Value {
    let difference = Difference::new(a, b);
    json!({
        "schema": "harness.report-diff",
        "version": 1,
        "before": figures(a).1,
        "after": figures(b).1,
        "landed": difference.landed,
        "regressed": difference.regressed,
        "needs_you": difference.need_you,
        "helped": difference.helped,
    })
}
