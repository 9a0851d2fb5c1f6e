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
                self.judged(slug);
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
                self.judged(slug);
                self.set_phase(slug, Phase::Failed { why: why.clone() }, at);
                if let SkipReason::LeftOut { text, .. } = why {
                    self.left_out(slug, text, at);
                }
            }
            _ => self.apply_wish(event, at),
        }
    }

    /// Nothing is left to be said of its last report. Whether it is left out is still to be.
    pub(super) fn judged(&mut self, slug: &Slug) {
        let feature = self.features.get(slug);
        if feature.is_none_or(|feature| feature.skip.is_none()) {
            self.unjudged.remove(slug);
        }
    }

    /// A person wants it left out.
    fn skipped(&mut self, slug: &Slug, text: &str, at: Stamp) {
        let Some(feature) = self.features.get_mut(slug) else {
            return;
        };
        if !feature.is_at_rest() || feature.has_claim_or_worse() {
            feature.skip = Some(text.to_owned());
            self.unjudged.insert(slug.clone());
            return;
        }
        let why = SkipReason::LeftOut {
            text: text.to_owned(),
            done: feature.is_done(),
        };
        self.set_phase(slug, Phase::Failed { why }, at);
        self.left_out(slug, text, at);
    }

    fn left_out(&mut self, slug: &Slug, text: &str, at: Stamp) {
        if let Some(feature) = self.features.get_mut(slug) {
            feature.skip = None;
        }
        self.unjudged.remove(slug);
        let text = match text {
            "" => "A person left it out.".to_owned(),
            why => format!("A person left it out: {why}"),
        };
        self.log(slug, None, "left out".to_owned(), text, Vec::new(), at);
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
                    if feature.ready_for_review().is_some() {
                        // It was done: what a person wants changed is more than it was to be.
                        feature.allow_again();
                    }
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
            Event::Retried { slug } => self.retried(slug, at),
            Event::Skipped { slug, why } => self.skipped(slug, why, at),
            Event::Approved { slug, tip } => {
                if let Some(feature) = self.features.get_mut(slug) {
                    feature.approved = Some(tip.clone());
                    feature.not_before = at;
                }
                self.set_phase(slug, Phase::Queued, at);
            }
            _ => {}
        }
    }

    fn retried(&mut self, slug: &Slug, at: Stamp) {
        let Some(feature) = self.features.get_mut(slug) else {
            return;
        };
        // Who was to be left out stays, and is worked on as before.
        if feature.skip.take().is_some() && !feature.is_halted() {
            return;
        }
        let done = match &feature.phase {
            Phase::Failed {
                why: SkipReason::LeftOut { done, .. },
            } => *done,
            _ => feature.is_done(),
        };
        feature.forgive();
        feature.allow_again();
        if done {
            feature.handback = None;
        }
        let phase = match done {
            true => Phase::Queued,
            false => Phase::Pending,
        };
        self.set_phase(slug, phase, at);
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
            // What it did is to be seen, also of one that a person wants left out.
            feature.skip = None;
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
