//! What records say of features and of the agents that were called on them.
//!
//! Counts and keeps; when things were is noted elsewhere.

use super::figures::{FirstClaim, Landing, Lesson, Refusal};
use super::tell::Teller;
use super::{AttemptResult, Doing, IterationResult};
use crate::model::{
    Ending, Event, Evidence, IterationReport, MergeVerdict, ParkReason, Red, Slug, Stamp, Usage,
};

impl Teller<'_> {
    pub(super) fn called(&mut self, slug: &Slug) {
        let called = self.state.features.get(slug);
        let agent = called.map_or_else(String::new, |feature| feature.called.words());
        self.run.iterations = self.run.iterations.saturating_add(1);
        self.run.agents.entry(agent.clone()).or_default().called();
        let figures = self.feature(slug);
        figures.iterations = figures.iterations.saturating_add(1);
        if !figures.agents.contains(&agent) {
            figures.agents.push(agent.clone());
        }
        figures.last_by = Some(agent);
    }

    pub(super) fn reported(
        &mut self,
        slug: &Slug,
        iteration: u32,
        report: &IterationReport,
        at: Stamp,
    ) {
        let usage = report.usage.unwrap_or_default();
        let result = result_of(report);
        let failed = result == IterationResult::Failed;
        self.run.usage = self.run.usage.plus(usage);
        if let Some((Doing::Iteration { result: open, .. }, _)) = self.at.get_mut(slug) {
            *open = result;
        }
        let agent = self.feature(slug).last_by.clone().unwrap_or_default();
        let agent_figures = self.run.agents.entry(agent.clone()).or_default();
        agent_figures.ended(report.elapsed_ms, usage, failed);
        let figures = self.feature(slug);
        figures.last_iteration = iteration;
        figures.work_ms = figures.work_ms.saturating_add(report.elapsed_ms);
        figures.failed = figures.failed.saturating_add(u32::from(failed));
        figures.usage = figures.usage.plus(usage);
        if let Some(line) = report
            .note
            .lines()
            .map(str::trim)
            .find(|line| !line.is_empty())
        {
            figures.note = line.to_owned();
        }
        let lessons = report.lessons.iter().map(|text| Lesson {
            iteration,
            at,
            text: text.clone(),
        });
        figures.lessons.extend(lessons);
        let conflicts = figures.sent_back.last().is_some_and(|it| it.red.is_none());
        if report.merge == Some(MergeVerdict::Resolved) && conflicts {
            figures.resolved = figures.resolved.saturating_add(1);
        }
        if report.done.is_none() {
            return;
        }
        figures.claims = figures.claims.saturating_add(1);
        if figures.first == FirstClaim::None {
            (figures.first, figures.first_by) = (FirstClaim::Open, Some(agent));
        }
        let left = match (&report.refused, &report.merge) {
            (Some(why), _) => Some(why.clone()),
            (None, Some(MergeVerdict::Unresolved { findings })) => Some(findings.join(" ")),
            (None, _) => None,
        };
        if let Some(why) = left {
            figures.refused.push(why);
        }
        if !matches!(result, IterationResult::Claimed) {
            figures.first_claim_is(FirstClaim::SentBack);
        }
    }

    /// An iteration that was cut off costs what it had used.
    pub(super) fn lost(&mut self, slug: &Slug, usage: Usage) {
        self.run.usage = self.run.usage.plus(usage);
        let figures = self.feature(slug);
        figures.usage = figures.usage.plus(usage);
        let agent = figures.last_by.clone().unwrap_or_default();
        let agent = self.run.agents.entry(agent).or_default();
        agent.ended(0, usage, false);
    }

    /// What a verdict says of one feature.
    pub(super) fn judged(&mut self, event: &Event, seq: u64, at: Stamp) {
        match event {
            Event::Claimed { slug, summary } => self.feature(slug).summary.clone_from(summary),
            Event::Blocked { slug, question } => {
                self.feature(slug).question = Some(question.clone());
            }
            Event::Tripped { slug, breaker, why } => {
                let figures = self.feature(slug);
                figures.breakers.push((breaker.clone(), why.clone(), None));
                figures.first_claim_is(FirstClaim::SentBack);
            }
            Event::Escalated {
                slug,
                breaker,
                why,
                to,
                ..
            } => {
                let to = Some(to.words());
                let opened = (breaker.clone(), why.clone(), to);
                self.feature(slug).breakers.push(opened);
            }
            Event::Clashed {
                slug,
                attempt,
                paths,
                ..
            } => self.sent_back(slug, *attempt, None, paths),
            Event::Rejected {
                slug, attempt, red, ..
            } => self.sent_back(slug, *attempt, Some(red.clone()), &[]),
            Event::Held { attempt, .. }
            | Event::MemberFailed { attempt, .. }
            | Event::AttemptPostponed { attempt, .. } => {
                self.with(*attempt, |span| span.result = AttemptResult::Dropped);
            }
            // Whoever has words for a claim sends it back; a question is asked before there is one.
            Event::Unblocked { slug, .. } => {
                self.feature(slug).first_claim_is(FirstClaim::SentBack);
            }
            Event::Parked {
                slug,
                why: ParkReason::Review { .. },
            } => self.found_ready(slug),
            Event::Merged {
                slug,
                commit,
                empty,
            } => {
                let attempt = self.attempt_of(slug);
                let figures = self.feature(slug);
                figures.landed = Some(Landing {
                    seq,
                    at,
                    commit: commit.clone(),
                    empty: *empty,
                    attempt: attempt.as_ref().map(|(number, _)| *number),
                });
                figures.first_claim_is(FirstClaim::Passed);
                if let Some((_, Some(Evidence::Flaky { red }))) = attempt {
                    figures.flaky = Some(red);
                }
            }
            Event::Unlanded { slug }
            | Event::Undone { slug, .. }
            | Event::Requeued { slug }
            | Event::Abandoned { slug } => self.feature(slug).landed = None,
            _ => {}
        }
    }

    /// The attempt that found it to be ready is answered.
    fn found_ready(&mut self, slug: &Slug) {
        let mut tried = self.trying.iter();
        let found = tried.find(|(_, place)| {
            let span = self.run.attempts.get(**place);
            span.is_some_and(|span| span.members.contains(slug))
        });
        let Some(number) = found.map(|(number, _)| *number) else {
            return;
        };
        self.with(number, |span| span.result = AttemptResult::Green);
    }

    fn sent_back(&mut self, slug: &Slug, attempt: u32, red: Option<Red>, paths: &[String]) {
        let figures = self.feature(slug);
        figures.first_claim_is(FirstClaim::SentBack);
        figures.sent_back.push(Refusal {
            attempt,
            red,
            paths: paths.to_vec(),
        });
    }
}

fn result_of(report: &IterationReport) -> IterationResult {
    let unresolved = matches!(report.merge, Some(MergeVerdict::Unresolved { .. }));
    let failed = report.failure.is_some()
        || report.tampered.is_some()
        || report.tip.is_none()
        || report.ending.killed_by_us()
        || !matches!(report.ending, Ending::Exited { .. });
    match report {
        _ if report.blocked.is_some() && report.tampered.is_none() => IterationResult::Blocked,
        _ if report.done.is_some() && (unresolved || report.refused.is_some()) => {
            IterationResult::Refused
        }
        _ if failed => IterationResult::Failed,
        _ if report.done.is_some() => IterationResult::Claimed,
        _ => IterationResult::Step,
    }
}
