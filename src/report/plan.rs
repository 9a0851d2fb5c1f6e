//! The plan for people: what would be worked on in which order, and how long the longest chain is.
//!
//! Only shows an order; `core` made it.

use super::money;
use super::text::{names, padded, shown, some};
use super::words::stage_shown;
use crate::core::{Because, FeatureView, Planned, RunView, Stage, View};
use crate::model::{Budget, Slug};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Names of the longest chain that are spelled out.
const MAX_CHAIN: usize = 8;

/// The features that are left, numbered in the order in which one slot would take them: wave, name,
/// what they wait for; at the end the length of the longest chain. Merged ones and ones outside the
/// selection are only counted.
#[must_use]
pub fn plan_text(planned: &[Planned], view: &View) -> String {
    let by_name: BTreeMap<&Slug, &FeatureView> =
        view.features.iter().map(|f| (&f.slug, f)).collect();
    let merged = planned.iter().filter(|p| p.wave == 0).count();
    let open = planned.iter().filter(|p| p.wave > 0);
    let (outside, open): (Vec<&Planned>, Vec<&Planned>) =
        open.partition(|p| by_name.get(&p.slug).is_some_and(|f| f.unselected));
    let mut out = String::new();
    if open.is_empty() {
        out.push_str("nothing to do\n");
    }
    let number_columns = open.len().to_string().len();
    let longest = open.iter().map(|p| p.slug.as_str().len()).max();
    let slug_columns = longest.unwrap_or(0).min(40);
    for (number, plan) in (1_usize..).zip(&open) {
        let slug = padded(plan.slug.as_str(), slug_columns);
        let wave = plan.wave;
        let notes = notes(plan, by_name.get(&plan.slug).copied());
        let row = format!("{number:>number_columns$}. wave {wave}  {slug}  {notes}");
        let _ = writeln!(out, "{}", row.trim_end());
    }
    if merged > 0 {
        let _ = writeln!(out, "{} already merged", some(merged, "feature"));
    }
    if !outside.is_empty() {
        let _ = writeln!(out, "{} not selected", some(outside.len(), "feature"));
    }
    if let Some(chain) = longest_chain(&open) {
        let _ = writeln!(out, "{chain}");
    }
    if let Some(budget) = view.run.as_ref().and_then(budget) {
        let _ = writeln!(out, "{budget}");
    }
    out
}

/// `{"schema":"harness.plan","version":1,…}`: fields are added, never renamed.
#[must_use]
pub fn plan_json(planned: &[Planned], view: &View) -> Value {
    let by_name: BTreeMap<&Slug, &FeatureView> =
        view.features.iter().map(|f| (&f.slug, f)).collect();
    let features = planned.iter().filter_map(|plan| {
        let feature = by_name.get(&plan.slug)?;
        Some(json!({
            "slug": plan.slug,
            "title": feature.title,
            "stage": feature.stage,
            "wave": plan.wave,
            "waits_for": plan.waits_for,
            "chain": plan.chain,
            "unselected": feature.unselected,
            "agent": feature.agent,
        }))
    });
    json!({
        "schema": "harness.plan",
        "version": 1,
        "features": features.collect::<Vec<Value>>(),
    })
}

/// `budget: $20.00 for the run, $5.00 for each feature`.
fn budget(run: &RunView) -> Option<String> {
    let all = Budget {
        micro_usd: run.budget.micro_usd,
        tokens: run.budget.tokens,
    };
    let all = money::limit(&all).map(|limit| format!("{limit} for the run"));
    let each = money::limit(&run.feature_budget).map(|limit| format!("{limit} for each feature"));
    let both: Vec<String> = [all, each].into_iter().flatten().collect();
    (!both.is_empty()).then(|| format!("budget: {}", both.join(", ")))
}

fn notes(plan: &Planned, feature: Option<&FeatureView>) -> String {
    let mut parts = Vec::new();
    if !plan.waits_for.is_empty() {
        let waits_for = names(plan.waits_for.iter().map(Slug::as_str));
        parts.push(format!("waits for {waits_for}"));
    }
    if let Some(feature) = feature {
        if feature.stage != Stage::Waiting {
            parts.push(stage_shown(feature.stage, true).to_owned());
        }
        if feature.review && feature.stage != Stage::Review {
            parts.push("lands after your review".to_owned());
        }
        parts.extend(agent(feature));
        if feature.title != plan.slug.as_str() {
            parts.push(format!("\"{}\"", shown(&feature.title, 60)));
        }
    }
    parts.join("  ")
}

/// Who would work on it, and why; nothing of the one that works on whatever names none.
fn agent(feature: &FeatureView) -> Option<String> {
    let agent = feature.agent.as_ref()?;
    let why = match &agent.because {
        Because::Default => return None,
        Because::Feature => String::new(),
        Because::Label(label) => format!(" (label {label})"),
        Because::Breaker(why) => format!(" (after {why})"),
        Because::Account(other) => format!(" (instead of {other})"),
    };
    Some(shown(&format!("agent {}{why}", agent.words()), 80))
}

/// `critical path: 3 features (a -> b -> c)`. A wave is one more than the highest wave it waits for, so
/// walking back from the highest wave finds the chain.
fn longest_chain(open: &[&Planned]) -> Option<String> {
    let by_name: BTreeMap<&Slug, &Planned> = open.iter().map(|p| (&p.slug, *p)).collect();
    // The first of equals, in the order of the plan.
    let mut last = *open.iter().rev().max_by_key(|p| p.wave)?;
    let length = usize::try_from(last.wave).unwrap_or(usize::MAX);
    let mut chain = vec![last.slug.as_str()];
    while let Some(before) = last
        .waits_for
        .iter()
        .filter_map(|name| by_name.get(name))
        .find(|p| p.wave + 1 == last.wave)
    {
        chain.push(before.slug.as_str());
        last = before;
    }
    chain.reverse();
    let shown = chain.get(..MAX_CHAIN).unwrap_or(&chain).join(" -> ");
    let more = if chain.len() > MAX_CHAIN {
        " -> …"
    } else {
        ""
    };
    let length = some(length, "feature");
    Some(format!("critical path: {length} ({shown}{more})"))
}
