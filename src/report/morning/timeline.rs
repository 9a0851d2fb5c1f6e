//! The run as lanes of bars: slots, waits for accounts, the merge queue; and the critical path.

use super::{Bar, LaneKind, LanePart, StepPart, Timeline, What};
use crate::core::{CriticalStep, Doing, RunHistory, Span, lanes};
use crate::model::{Slug, Stamp};
use std::collections::{BTreeMap, BTreeSet};

/// Lays a run out.
pub(super) fn timeline(run: &RunHistory) -> Timeline {
    let critical = Critical::new(&run.critical);
    let mut all = laid_out(run, LaneKind::Slot, &critical, Doing::holds_slot);
    let account = |doing| doing == Doing::Account;
    all.extend(laid_out(run, LaneKind::Account, &critical, account));
    all.extend(queue(run, &critical));
    Timeline {
        from: run.started,
        to: run.last,
        lanes: all,
        asleep: run.asleep.clone(),
        critical: steps(run),
    }
}

/// Which stretches of work, and which attempts, the critical path goes through.
struct Critical<'a> {
    work: BTreeMap<&'a Slug, Vec<(Stamp, Stamp)>>,
    attempts: BTreeSet<u32>,
}

impl<'a> Critical<'a> {
    fn new(steps: &'a [CriticalStep]) -> Self {
        let mut work: BTreeMap<&Slug, Vec<(Stamp, Stamp)>> = BTreeMap::new();
        let own = steps.iter().filter(|step| step.attempt.is_none());
        for (slug, step) in own.flat_map(|step| step.slugs.iter().map(move |slug| (slug, step))) {
            work.entry(slug).or_default().push((step.from, step.to));
        }
        let attempts = steps.iter().filter_map(|step| step.attempt).collect();
        Self { work, attempts }
    }

    fn holds(&self, span: &Span) -> bool {
        let stretches = self.work.get(&span.slug);
        stretches.is_some_and(|all| {
            let within = |(from, to): &(Stamp, Stamp)| *from <= span.from && span.to <= *to;
            all.iter().any(within)
        })
    }
}

fn laid_out(
    run: &RunHistory,
    kind: LaneKind,
    critical: &Critical<'_>,
    is_here: impl Fn(Doing) -> bool,
) -> Vec<LanePart> {
    let spans = run.spans.iter().filter(|span| is_here(span.doing));
    let spans: Vec<&Span> = spans.collect();
    let mut last: BTreeMap<&Slug, usize> = BTreeMap::new();
    let mut before = Vec::with_capacity(spans.len());
    for (n, span) in spans.iter().enumerate() {
        let known = last.insert(&span.slug, n);
        before.push(known.filter(|known| spans[*known].to == span.from));
    }
    let times: Vec<(Stamp, Stamp)> = spans.iter().map(|span| (span.from, span.to)).collect();
    let laid = lanes(&times, |n| before[n]);
    let parts = (1..).zip(laid).map(|(number, lane)| LanePart {
        kind,
        number,
        bars: lane
            .into_iter()
            .map(|n| spans[n])
            .map(|span| Bar {
                slugs: vec![span.slug.clone()],
                what: match span.doing {
                    Doing::Preparing => What::Preparing,
                    Doing::Iteration { number, result } => What::Iteration { number, result },
                    Doing::Account => What::Account,
                    Doing::Between | Doing::Queued => What::Between,
                },
                from: span.from,
                to: span.to,
                is_critical: critical.holds(span),
            })
            .collect(),
    });
    parts.collect()
}

fn queue(run: &RunHistory, critical: &Critical<'_>) -> Vec<LanePart> {
    let spans = run.attempts.iter();
    let times: Vec<(Stamp, Stamp)> = spans.map(|span| (span.from, span.to)).collect();
    let laid = lanes(&times, |_| None);
    let parts = (1..).zip(laid).map(|(number, lane)| LanePart {
        kind: LaneKind::Queue,
        number,
        bars: lane
            .into_iter()
            .map(|n| &run.attempts[n])
            .map(|span| Bar {
                slugs: span.members.clone(),
                what: What::Attempt {
                    number: span.number,
                    result: span.result,
                },
                from: span.from,
                to: span.to,
                is_critical: critical.attempts.contains(&span.number),
            })
            .collect(),
    });
    parts.collect()
}

fn steps(run: &RunHistory) -> Vec<StepPart> {
    let mut over = run.started;
    let steps = run.critical.iter().map(|step| {
        let waited_ms = step.from.since_ms(over);
        over = step.to;
        StepPart {
            slugs: step.slugs.clone(),
            attempt: step.attempt,
            iterations: step.iterations,
            from: step.from,
            to: step.to,
            cause: step.cause,
            waited_ms,
        }
    });
    steps.collect()
}
