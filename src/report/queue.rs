//! The merge queue for people and programs.

use super::text::{branch, elapsed, escaped, names, some};
use super::words::{approve, retry};
use crate::core::{AttemptStep, AttemptView, QueueView, QueueWait, QueuedView};
use crate::model::{Slug, Stamp, Trial};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// What is tried now, who comes next and about when, who waits for what, and what a person has to do. Without
/// a living run nothing is being tried, and nobody can say when.
#[must_use]
pub fn queue_text(queue: &QueueView, live: bool, now: Stamp) -> String {
    let mut out = String::new();
    if let Some(command) = &queue.broken_base {
        let command = escaped(command);
        let _ = writeln!(
            out,
            "{} fails by itself: `{command}`",
            branch(&queue.target)
        );
    }
    for attempt in &queue.attempts {
        out.push_str(&attempt_line(attempt, live, now));
    }
    for (number, waiting) in (1_usize..).zip(&queue.waiting) {
        let said = waiting_words(waiting, queue.gate_ms.filter(|_| live), now);
        let since = elapsed(now.since_ms(waiting.since));
        let _ = writeln!(
            out,
            "{number}. {}  claimed {since} ago; {said}",
            waiting.slug
        );
    }
    for slug in &queue.parked {
        let _ = writeln!(
            out,
            "parked: {slug}; `harness status` says why, then: {}",
            retry(slug)
        );
    }
    for slug in &queue.review {
        let _ = writeln!(out, "ready for review: {slug}; then: {}", approve(slug));
    }
    if !queue.unpublished.is_empty() {
        let slugs = names(queue.unpublished.iter().map(Slug::as_str));
        let why = queue
            .publish_waits
            .as_ref()
            .map(|why| format!(": {}", escaped(why)));
        let target = branch(&queue.target);
        let _ = writeln!(
            out,
            "landed, not in {target} yet: {slugs}{}",
            why.unwrap_or_default()
        );
    }
    if out.is_empty() {
        return "the merge queue is empty\n".to_owned();
    }
    if let (Some(ms), false) = (queue.gate_ms, queue.waiting.is_empty()) {
        let _ = writeln!(out, "a gate usually takes {}", elapsed(ms));
    }
    out
}

/// `{"schema":"harness.queue","version":1,…}`: fields are added, never renamed.
#[must_use]
pub fn queue_json(queue: &QueueView, live: bool) -> Value {
    json!({
        "schema": "harness.queue",
        "version": 1,
        "live": live,
        "queue": queue,
    })
}

fn attempt_line(attempt: &AttemptView, live: bool, now: Stamp) -> String {
    let what = match attempt.what {
        Trial::Features => names(attempt.members.iter().map(Slug::as_str)),
        Trial::Base => "does what has landed pass by itself?".to_owned(),
        Trial::Reconcile => "what has landed with new commits of the target".to_owned(),
    };
    let step = match attempt.stage {
        _ if !live => "interrupted",
        AttemptStep::Building => "being merged",
        AttemptStep::Gating => "being gated",
        AttemptStep::Landing => "landing",
    };
    let since = attempt
        .since
        .map(|at| format!(" for {}", elapsed(now.since_ms(at))));
    let since = since.filter(|_| live).unwrap_or_default();
    format!("merge {}: {what}  {step}{since}\n", attempt.number)
}

pub(super) fn waiting_words(waiting: &QueuedView, gate_ms: Option<u64>, now: Stamp) -> String {
    match (&waiting.waits, waiting.gates_ahead) {
        (Some(QueueWait::Attempt), _) => "conflicts with what is being tried; after it".to_owned(),
        (Some(QueueWait::Base), _) => {
            "fails as what it would land on does; until that is repaired".to_owned()
        }
        (Some(QueueWait::RightOfWay(to)), _) => format!("waits for {to}, which goes first"),
        (Some(QueueWait::Dependency), _) => "a dependency must land again first".to_owned(),
        (Some(QueueWait::Time(at)), _) => {
            format!("tried again in {}", elapsed(at.since_ms(now)))
        }
        (None, Some(gates)) => {
            let gates_shown = some(usize::try_from(gates).unwrap_or(usize::MAX), "gate");
            match gate_ms {
                Some(ms) => format!(
                    "in about {} ({gates_shown})",
                    elapsed(ms.saturating_mul(u64::from(gates)))
                ),
                None => format!("after {gates_shown}"),
            }
        }
        (None, None) => "waits for its turn".to_owned(),
    }
}
