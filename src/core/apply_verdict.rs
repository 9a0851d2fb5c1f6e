//! Taking in what was made of a feature: claimed, blocked, given up, wished for by a person; the rest of its life
//! is in [`apply`](super::apply).

use super::feature::Phase;
use super::state::State;
use crate::model::{Event, Oid, SkipReason, Slug, Stamp, Writing};

impl State {
    pub(super) fn apply_verdict(&mut self, event: &Event, at: Stamp) {
        match event {
            Event::FoundDone { slug } => {
                self.land(slug, None, at);
                if let Some(feature) = self.features.get_mut(slug) {
                    feature.marker = true;
                }
            }
            Event::Requeued { slug } => self.begin_again(slug, Phase::Pending, at),
            Event::Abandoned { slug } => {
                self.merging.unpublished.retain(|(other, _)| other != slug);
                self.begin_again(slug, Phase::Pending, at);
            }
            Event::Claimed { slug, summary } => {
                self.unjudged.remove(slug);
                let seq = self.seq;
                if let Some(feature) = self.features.get_mut(slug) {
                    feature.claimed = feature.claimed.or(Some((at, seq)));
                    feature.handback = None;
                    feature.summary = summary.clone();
                    feature.last = None;
                    feature.not_before = at;
                }
                self.set_phase(slug, Phase::Queued, at);
            }
            Event::Blocked { slug, question } => {
                let question = question.clone();
                let text = format!("Blocked on: {question}");
                self.halt_feature(slug, Phase::Blocked { question }, at);
                self.log(slug, None, "blocked".to_owned(), text, Vec::new(), at);
            }
            Event::Tripped { slug, breaker, why } => {
                let text = format!("The `{breaker}` breaker opened: {why}.");
                let phase = Phase::Tripped {
                    breaker: breaker.clone(),
                    why: why.clone(),
                };
                self.halt_feature(slug, phase, at);
                self.log(
                    slug,
                    None,
                    "breaker opened".to_owned(),
                    text,
                    Vec::new(),
                    at,
                );
            }
            Event::Escalated { .. } => self.escalated(event, at),
            Event::Failed { slug, why } => {
                self.unjudged.remove(slug);
                self.set_phase(slug, Phase::Failed { why: why.clone() }, at);
            }
            _ => self.apply_wish(event, at),
        }
    }

    /// A landed feature is to be done from its beginning, now or later.
    fn begin_again(&mut self, slug: &Slug, phase: Phase, at: Stamp) {
        // Those who build on what has not landed wait for it already.
        let had_landed = self.is_merged(slug);
        self.set_phase(slug, phase, at);
        if let Some(feature) = self.features.get_mut(slug) {
            feature.forgive();
            feature.allow_again();
            feature.marker = false;
            feature.fresh = true;
            feature.empty = false;
            feature.handback = None;
            feature.summary.clear();
        }
        if had_landed {
            self.adjust_dependents(slug, 1);
        }
    }

    fn undone(&mut self, slug: &Slug, commit: Option<&Oid>, why: &str, phase: Phase, at: Stamp) {
        self.merging.unpublished.retain(|(other, _)| other != slug);
        self.begin_again(slug, phase, at);
        let mut text = match commit {
            Some(commit) => format!(
                "It had landed, and a person took it back with the commit {commit}: nothing of it is left."
            ),
            None => "It had landed, and nothing of that is left.".to_owned(),
        };
        if !why.is_empty() {
            text.push_str(&format!(" The reason: {why}"));
        }
        self.write(at, Writing::NotDone { slug: slug.clone() });
        self.log(slug, None, "taken back".to_owned(), text, Vec::new(), at);
    }

    /// What a person asked for.
    fn apply_wish(&mut self, event: &Event, at: Stamp) {
        match event {
            Event::Unblocked { slug, answer } => {
                if let Some(feature) = self.features.get_mut(slug) {
                    // An answer goes on with what was asked.
                    let conversation = feature.conversation.take();
                    feature.forgive();
                    feature.conversation = conversation;
                    feature.answer = Some(answer.clone());
                }
                // An answer is no new budget.
                self.unjudged.insert(slug.clone());
                self.set_phase(slug, Phase::Pending, at);
                let text = format!("A person answered: {answer}");
                self.log(slug, None, "answer".to_owned(), text, Vec::new(), at);
            }
            Event::Undone {
                slug,
                commit,
                requeue,
                why,
            } => {
                let phase = if *requeue {
                    Phase::Pending
                } else {
                    let why = SkipReason::Undone;
                    Phase::Failed { why }
                };
                self.undone(slug, commit.as_ref(), why, phase, at);
            }
            Event::Retried { slug } => {
                let parked = self
                    .features
                    .get(slug)
                    .is_some_and(|feature| matches!(feature.phase, Phase::Parked { .. }));
                if let Some(feature) = self.features.get_mut(slug) {
                    feature.forgive();
                    feature.allow_again();
                    if parked {
                        feature.handback = None;
                    }
                }
                let phase = if parked {
                    Phase::Queued
                } else {
                    Phase::Pending
                };
                self.set_phase(slug, phase, at);
            }
            _ => {}
        }
    }

    /// A feature's halt; with `on_halt: stop` it is the run's as well.
    fn halt_feature(&mut self, slug: &Slug, phase: Phase, at: Stamp) {
        let reason = match &phase {
            Phase::Blocked { question } => format!("{slug} is blocked: {question}"),
            Phase::Tripped { breaker, why } => format!("{slug}: breaker `{breaker}`: {why}"),
            _ => String::new(),
        };
        self.unjudged.remove(slug);
        self.set_phase(slug, phase, at);
        if let Some(feature) = self.features.get_mut(slug) {
            feature.last = None;
        }
        let stop = match &mut self.run {
            Some(run) if run.settings.on_halt == crate::model::OnHalt::Stop => {
                run.halted_by = run.halted_by.take().or_else(|| Some(slug.clone()));
                true
            }
            _ => false,
        };
        if stop {
            self.write(at, Writing::Halt { reason });
        }
    }
}
