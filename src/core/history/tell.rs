//! The fold itself: one record in, one step further.
//!
//! It plays the records into a state of its own and notes what changes in that, so that what is told is what the
//! scheduler went by. Never knows how it is shown.

use super::figures::{FeatureFigures, credit};
use super::{AttemptResult, AttemptSpan, Doing, IterationResult, RunHistory, Span, Told, critical};
use crate::core::feature::Phase;
use crate::core::state::State;
use crate::core::view::view;
use crate::model::{Event, Evidence, Record, RunId, Slug, Stamp, Trial, Usage};
use std::collections::BTreeMap;
use std::ops::Range;

/// Names of all runs of a journal, first to last.
#[must_use]
pub fn run_ids(records: &[Record]) -> Vec<RunId> {
    let ids = records.iter().filter_map(|record| match &record.event {
        Event::RunStarted { run, .. } => Some(run.clone()),
        _ => None,
    });
    ids.collect()
}

/// What happened in each run of a journal, first to last.
#[must_use]
pub fn histories(records: &[Record]) -> Vec<RunHistory> {
    let mut found = Vec::new();
    tell(records, |teller| found.push(teller.finish().0));
    found
}

/// What happened in one run, and how things stood at its end; `None`: the journal has no such run.
#[must_use]
pub fn history_of(records: &[Record], run: &RunId) -> Option<Told> {
    let mut found = None;
    tell(records, |teller| {
        if teller.run.id == *run {
            let (run, state) = teller.finish();
            let view = view(state, state.wall_time(state.last_at));
            found = Some(Told { run, view });
        }
    });
    found
}

/// Plays all records, and hands each run over when it is at its end.
fn tell(records: &[Record], mut at_end: impl FnMut(Teller<'_>)) {
    let mut state = State::new();
    let mut next = 0;
    let ranges = ranges(records);
    let begins = ranges.iter().skip(1).map(|range| range.start);
    let begins: Vec<usize> = begins.chain([records.len()]).collect();
    for (range, after) in ranges.into_iter().zip(begins) {
        for record in &records[next..range.start] {
            state.apply(record);
        }
        next = range.end;
        if let Some(mut teller) = Teller::begin(&mut state, &records[range.start]) {
            for record in &records[range.start + 1..range.end] {
                teller.take(record);
            }
            // What was lost with it is found by the next run, and is its own all the same.
            for record in &records[range.end..after] {
                if let Event::IterationLost { slug, usage, .. } = &record.event {
                    teller.lost(slug, usage.unwrap_or_default());
                }
            }
            at_end(teller);
        }
    }
}

/// Where the records of each run stand. What people did after a run had ended, or was killed, and what the next process
/// noticed before its own run began, is not its own.
fn ranges(records: &[Record]) -> Vec<Range<usize>> {
    let begins = records.iter().enumerate();
    let begins = begins.filter(|(_, record)| matches!(record.event, Event::RunStarted { .. }));
    let begins: Vec<usize> = begins.map(|(n, _)| n).collect();
    let ends = begins.iter().skip(1).copied().chain([records.len()]);
    let mut found = Vec::with_capacity(begins.len());
    for (begin, next) in begins.iter().copied().zip(ends) {
        let own = &records[begin..next];
        let ended = own
            .iter()
            .position(|record| matches!(record.event, Event::RunEnded { .. }));
        let theirs = || {
            own.iter()
                .rev()
                .take_while(|record| comes_later(&record.event))
                .count()
        };
        let length = ended.map_or_else(|| own.len() - theirs(), |last| last + 1);
        found.push(begin..begin + length);
    }
    found
}

fn comes_later(event: &Event) -> bool {
    matches!(
        event,
        Event::IterationLost { .. }
            | Event::Slept { .. }
            | Event::ClockSet { .. }
            | Event::Retried { .. }
            | Event::Unblocked { .. }
            | Event::Undone { .. }
            | Event::Skipped { .. }
            | Event::Approved { .. }
            | Event::BacklogChanged { .. }
            | Event::Written { .. }
    )
}

/// A run that is being told.
pub(super) struct Teller<'a> {
    pub(super) state: &'a mut State,
    pub(super) run: RunHistory,
    /// What features are at, and since when.
    pub(super) at: BTreeMap<Slug, (Doing, Stamp)>,
    /// Attempts that are under way, by their place in the list.
    pub(super) trying: BTreeMap<u32, usize>,
}

impl<'a> Teller<'a> {
    fn begin(state: &'a mut State, record: &Record) -> Option<Self> {
        state.apply(record);
        let Event::RunStarted {
            run,
            settings,
            target,
            ..
        } = &record.event
        else {
            return None;
        };
        let run = RunHistory {
            id: run.clone(),
            target: target.clone(),
            parallel: settings.parallel,
            started: record.at,
            last: record.at,
            codes: None,
            asleep: Vec::new(),
            iterations: 0,
            usage: Usage::default(),
            spans: Vec::new(),
            attempts: Vec::new(),
            features: BTreeMap::new(),
            agents: BTreeMap::new(),
            critical: Vec::new(),
        };
        let mut teller = Self {
            state,
            run,
            at: BTreeMap::new(),
            trying: BTreeMap::new(),
        };
        teller.look(record.at);
        Some(teller)
    }

    fn take(&mut self, record: &Record) {
        self.state.apply(record);
        let at = record.at;
        self.run.last = at;
        match &record.event {
            Event::Slept { slept_ms } => {
                let began = Stamp(at.0.saturating_sub(*slept_ms)).max(self.run.started);
                self.run.asleep.push((began, at));
            }
            Event::RunEnded { code, codes } if codes.is_empty() => {
                self.run.codes = Some(vec![*code]);
            }
            Event::RunEnded { codes, .. } => self.run.codes = Some(codes.clone()),
            Event::IterationStarted { slug, .. } => self.called(slug),
            Event::IterationEnded {
                slug,
                iteration,
                report,
            } => self.reported(slug, *iteration, report, at),
            Event::AttemptStarted { .. }
            | Event::Built { .. }
            | Event::Gated { .. }
            | Event::Split { .. }
            | Event::Verified { .. }
            | Event::Reconciled { .. } => self.tried(&record.event, at),
            event => self.judged(event, record.seq, at),
        }
        // Of what changes no phase there are many.
        if !matches!(record.event, Event::Written { .. } | Event::Noticed { .. }) {
            self.look(at);
        }
    }

    pub(super) fn feature(&mut self, slug: &Slug) -> &mut FeatureFigures {
        self.run.features.entry(slug.clone()).or_default()
    }

    /// What the merge queue did as a whole.
    fn tried(&mut self, event: &Event, at: Stamp) {
        if let Event::AttemptStarted {
            attempt,
            what,
            members,
            ..
        } = event
        {
            self.trying.insert(*attempt, self.run.attempts.len());
            self.run.attempts.push(AttemptSpan {
                number: *attempt,
                what: *what,
                members: members.clone(),
                from: at,
                built: None,
                verified: None,
                to: at,
                tree: None,
                evidence: None,
                red: None,
                gate_ms: 0,
                result: AttemptResult::Open,
            });
            return;
        }
        match event {
            Event::Built { attempt, chain } => {
                let is_empty = chain.steps.is_empty();
                self.with(*attempt, |span| {
                    span.built = Some(at);
                    span.tree = Some(chain.tree.clone());
                    if is_empty && span.what == Trial::Features {
                        span.result = AttemptResult::Conflict;
                    }
                });
            }
            Event::Gated {
                attempt,
                red,
                gate_ms,
                ..
            } => self.with(*attempt, |span| {
                span.gate_ms = span.gate_ms.saturating_add(*gate_ms);
                if let Some(red) = red {
                    span.red = Some(red.clone());
                    span.result = AttemptResult::Red;
                }
            }),
            Event::Split { attempt } => {
                self.with(*attempt, |span| span.result = AttemptResult::Split);
            }
            Event::Verified { attempt, how, .. } => self.with(*attempt, |span| {
                span.verified = Some(at);
                span.evidence = Some(how.clone());
                span.result = AttemptResult::Green;
            }),
            Event::Reconciled { attempt } => {
                self.with(*attempt, |span| span.result = AttemptResult::Green);
            }
            _ => {}
        }
    }

    pub(super) fn with(&mut self, attempt: u32, change: impl FnOnce(&mut AttemptSpan)) {
        let place = self.trying.get(&attempt);
        if let Some(span) = place.and_then(|place| self.run.attempts.get_mut(*place)) {
            change(span);
        }
    }

    /// The attempt under way that a feature is in. It left the state with its last member, and is still listed here.
    pub(super) fn attempt_of(&self, slug: &Slug) -> Option<(u32, Option<Evidence>)> {
        let spans = self.trying.values();
        let mut spans = spans.filter_map(|place| self.run.attempts.get(*place));
        let span = spans.find(|span| span.verified.is_some() && span.members.contains(slug))?;
        Some((span.number, span.evidence.clone()))
    }

    /// Notes what has changed since the last record.
    fn look(&mut self, at: Stamp) {
        let ended: Vec<u32> = self
            .trying
            .keys()
            .filter(|number| !self.state.merging.attempts.contains_key(number))
            .copied()
            .collect();
        for number in ended {
            self.with(number, |span| span.to = at);
            self.trying.remove(&number);
        }
        let changed: Vec<Slug> = self
            .at
            .iter()
            .filter(|(slug, (doing, _))| !is_still(*doing, self.doing(slug, at)))
            .map(|(slug, _)| slug.clone())
            .collect();
        for slug in changed {
            self.close(&slug, at);
        }
        let state = &*self.state;
        let active = state.in_slots.iter();
        let active = active.chain(state.queue.iter().map(|(_, _, slug)| slug));
        let fresh: Vec<(Slug, Doing)> = active
            .filter(|slug| !self.at.contains_key(*slug))
            .filter_map(|slug| Some((slug.clone(), self.doing(slug, at)?)))
            .collect();
        for (slug, doing) in fresh {
            self.at.insert(slug, (doing, at));
        }
    }

    fn close(&mut self, slug: &Slug, at: Stamp) {
        let Some((doing, from)) = self.at.remove(slug) else {
            return;
        };
        let is_call = matches!(doing, Doing::Iteration { .. });
        if from < at || is_call {
            self.run.spans.push(Span {
                slug: slug.clone(),
                from,
                to: at,
                doing,
            });
        }
    }

    fn doing(&self, slug: &Slug, now: Stamp) -> Option<Doing> {
        let feature = self.state.features.get(slug)?;
        let run = self.state.run.as_ref()?;
        Some(match feature.phase {
            Phase::Preparing => Doing::Preparing,
            Phase::Working {
                running: Some(number),
            } => Doing::Iteration {
                number,
                result: IterationResult::Open,
            },
            Phase::Working { running: None } => {
                match self.state.closed_account(run, feature, now) {
                    Some(_) => Doing::Account,
                    None => Doing::Between,
                }
            }
            Phase::Queued => Doing::Queued,
            _ => return None,
        })
    }

    /// The whole of it, by the wall clock.
    fn finish(mut self) -> (RunHistory, &'a State) {
        let last = self.run.last;
        let open: Vec<Slug> = self.at.keys().cloned().collect();
        for slug in open {
            self.close(&slug, last);
        }
        let trying = std::mem::take(&mut self.trying);
        for place in trying.into_values() {
            if let Some(span) = self.run.attempts.get_mut(place) {
                span.to = last;
            }
        }
        let (mut run, state) = (self.run, self.state);
        run.spans
            .sort_by(|a, b| (a.from, a.to, &a.slug).cmp(&(b.from, b.to, &b.slug)));
        for feature in view(state, state.wall_time(last)).features {
            let figures = run.features.entry(feature.slug).or_default();
            figures.stage = Some(feature.stage);
        }
        for (slug, figures) in &mut run.features {
            if let Some(feature) = state.features.get(slug) {
                figures.title.clone_from(&feature.spec.title);
                figures.verify.clone_from(&feature.spec.verify);
            }
        }
        credit(&mut run.agents, run.features.values());
        run.critical = critical::critical(&run, state);
        let wall = |at: &mut Stamp| *at = state.wall_time(*at);
        on_the_wall(&mut run, wall);
        (run, state)
    }
}

/// Whether a feature is still at the same; how an iteration went is known only when it is over.
fn is_still(doing: Doing, now: Option<Doing>) -> bool {
    match (doing, now) {
        (Doing::Iteration { number: a, .. }, Some(Doing::Iteration { number: b, .. })) => a == b,
        // An account that opens again is found out by the next call.
        (Doing::Account, Some(Doing::Between)) => true,
        (doing, now) => Some(doing) == now,
    }
}

fn on_the_wall(run: &mut RunHistory, wall: impl Fn(&mut Stamp)) {
    wall(&mut run.started);
    wall(&mut run.last);
    for (from, to) in &mut run.asleep {
        wall(from);
        wall(to);
    }
    for span in &mut run.spans {
        wall(&mut span.from);
        wall(&mut span.to);
    }
    for span in &mut run.attempts {
        wall(&mut span.from);
        wall(&mut span.to);
        span.built.iter_mut().for_each(&wall);
        span.verified.iter_mut().for_each(&wall);
    }
    for figures in run.features.values_mut() {
        figures
            .landed
            .iter_mut()
            .for_each(|landing| wall(&mut landing.at));
        figures
            .lessons
            .iter_mut()
            .for_each(|lesson| wall(&mut lesson.at));
    }
    for step in &mut run.critical {
        wall(&mut step.from);
        wall(&mut step.to);
    }
}
