//! What the auditor makes of records about one feature and its agents.

use super::audit_accounts::is_the_accounts;
use super::auditor::{Auditor, Where};
use harness::model::{
    Ending, Event, FailureKind, IterationReport, MergeVerdict, OnHalt, SkipReason, Slug, Stamp,
    WorktreeName,
};

impl Auditor {
    pub(super) fn of_a_feature(&mut self, slug: &Slug, event: &Event, at: Stamp) {
        match event {
            Event::Started { worktree, .. } => self.started(slug, *worktree, at),
            Event::Prepared { .. } => {
                self.moves(slug, &Where::Preparing, Where::Between);
                let known = self.get(slug);
                known.anew = false;
            }
            Event::PrepareFailed { .. } => {
                self.moves(slug, &Where::Preparing, Where::Idle);
                self.get(slug).fails(at);
            }
            Event::IterationStarted {
                iteration,
                instead,
                rung,
                ..
            } => {
                self.uses_account(slug, instead.as_deref(), at);
                self.assert_closed(slug, rung.as_ref());
                self.iteration_started(slug, *iteration, at);
            }
            Event::IterationEnded {
                iteration, report, ..
            } => self.iteration_ended(slug, *iteration, report, at),
            Event::IterationLost {
                iteration, usage, ..
            } => {
                self.moves(slug, &Where::Running(*iteration), Where::Between);
                self.spends(slug, *usage);
                self.give_back(slug);
            }
            Event::Claimed { .. } => self.claimed(slug),
            Event::Blocked { .. } => self.halts(slug, Where::Blocked),
            Event::Tripped { breaker, .. } => {
                self.assert_opens(slug, breaker);
                self.assert_at_the_top(slug, breaker);
                self.halts(slug, Where::Tripped);
            }
            Event::Escalated { .. } => self.escalated(event),
            Event::Failed { why, .. } => self.failed(slug, why),
            event => self.of_a_person(slug, event, at),
        }
    }

    /// What people did or asked for.
    fn of_a_person(&mut self, slug: &Slug, event: &Event, at: Stamp) {
        match event {
            Event::FoundDone { .. } => {
                let known = self.get(slug);
                let idle = known.halted() || matches!(known.place, Where::Idle | Where::Claimed);
                assert!(idle, "{slug} was found done while it was worked on");
                self.lands(slug);
            }
            Event::Requeued { .. } => self.begins_again(slug, Where::Idle),
            Event::Abandoned { .. } => {
                assert_ne!(
                    self.of(slug).place,
                    Where::Idle,
                    "{slug} was abandoned twice"
                );
                let known = self.get(slug);
                known.place = Where::Landed;
                self.begins_again(slug, Where::Idle);
            }
            Event::Undone { requeue, .. } => {
                let place = match requeue {
                    true => Where::Idle,
                    false => Where::Failed(SkipReason::Undone),
                };
                self.begins_again(slug, place);
            }
            Event::Unblocked { .. } => {
                let known = self.get(slug);
                match known.place {
                    Where::Blocked => {}
                    Where::ToReview => known.budget_again(),
                    _ => panic!("{slug} asks nothing"),
                }
                known.place = Where::Idle;
                let conversation = known.conversation.take();
                known.forgive();
                known.conversation = conversation;
            }
            Event::Retried { .. } => {
                let known = self.get(slug);
                let was_to_go = std::mem::take(&mut known.skip);
                if was_to_go && !known.halted() {
                    return;
                }
                assert!(known.halted(), "{slug} was retried and had not halted");
                known.forgive();
                known.budget_again();
                known.place = match &known.place {
                    Where::Parked | Where::ToReview => Where::Claimed,
                    Where::Failed(SkipReason::LeftOut { done: true, .. }) => Where::Claimed,
                    _ => Where::Idle,
                };
            }
            Event::Skipped { .. } => self.skipped(slug),
            Event::Approved { tip, .. } => {
                self.moves(slug, &Where::ToReview, Where::Claimed);
                assert_eq!(self.of(slug).ready_at.as_ref(), Some(tip), "what was seen");
                let known = self.get(slug);
                known.approved = Some(tip.clone());
                known.not_before = Stamp::default();
            }
            event => self.of_a_member(slug, event, at),
        }
    }

    fn skipped(&mut self, slug: &Slug) {
        if let Where::Integrating(n) = self.of(slug).place {
            assert!(!self.attempts[&n].verified, "{slug} is being landed");
        }
        let known = self.get(slug);
        let left_out = known.skip || known.is_left_out();
        assert!(!left_out, "{slug} was left out twice");
        let claims = known.last.as_ref().is_some_and(|last| {
            let unmerged = matches!(last.merge, Some(MergeVerdict::Unresolved { .. }));
            let counts =
                !last.ending.killed_by_us() && last.refused.is_none() && last.tip.is_some();
            let claims = last.done.is_some() && last.blocked.is_none();
            last.tampered.is_some() || claims && counts && !unmerged
        });
        let done = match &known.place {
            Where::Landed => panic!("{slug} had landed and was left out"),
            Where::Claimed | Where::Parked | Where::ToReview => true,
            Where::Preparing | Where::Running(_) | Where::Integrating(_) => {
                known.skip = true;
                return;
            }
            Where::Idle | Where::Between if claims => {
                known.skip = true;
                return;
            }
            _ => false,
        };
        let text = "not tonight".to_owned();
        known.place = Where::Failed(SkipReason::LeftOut { text, done });
    }

    pub(super) fn started(&mut self, slug: &Slug, worktree: WorktreeName, at: Stamp) {
        self.assert_admits("a feature was started");
        let parallel = usize::try_from(self.settings.parallel).unwrap();
        // Who waits for its account leaves its slot to others.
        let waits = self.an_account_may_be_closed(at);
        assert!(
            self.active() < parallel && (waits || self.slots() < parallel),
            "{slug} was started without a free slot"
        );
        assert!(
            self.dependencies_landed(slug),
            "{slug} was started before what it depends on had landed"
        );
        assert!(self.of(slug).listed && self.is_selected(slug));
        assert!(
            at >= self.of(slug).not_before,
            "{slug} was started too early"
        );
        let others = self.features.iter().filter(|(other, _)| *other != slug);
        let mut holders = others.filter(|(_, known)| known.worktree == Some(worktree));
        if let Some((other, _)) = holders.next() {
            panic!("{slug} was given the worktree of {other}");
        }
        self.assert_no_clash(slug);
        assert!(!self.of(slug).skip, "{slug} was to be left out");
        self.moves(slug, &Where::Idle, Where::Preparing);
        self.get(slug).worktree = Some(worktree);
    }

    pub(super) fn assert_no_clash(&self, slug: &Slug) {
        let spec = self.of(slug).spec.as_ref().unwrap();
        for (other, known) in &self.features {
            let active = matches!(
                known.place,
                Where::Preparing | Where::Between | Where::Running(_)
            );
            let Some(theirs) = known.spec.as_ref().filter(|_| active && other != slug) else {
                continue;
            };
            let lock = spec.locks.iter().any(|lock| theirs.locks.contains(lock));
            let path = spec
                .touches
                .iter()
                .any(|path| theirs.touches.contains(path));
            assert!(
                !lock && !path,
                "{slug} was started beside {other}, which it clashes with"
            );
        }
    }

    pub(super) fn iteration_started(&mut self, slug: &Slug, iteration: u32, at: Stamp) {
        self.assert_admits("an iteration was started");
        assert!(
            self.may_spend(slug),
            "{slug} #{iteration} is beyond its budget"
        );
        assert!(!self.of(slug).skip, "{slug} was to be left out");
        let cap = self.settings.max_iterations_per_feature;
        self.run_iterations += 1;
        self.moves(slug, &Where::Between, Where::Running(iteration));
        let known = self.get(slug);
        assert_eq!(
            iteration,
            known.iteration + 1,
            "numbers of iterations count up"
        );
        assert!(
            at >= known.not_before,
            "{slug} #{iteration} was started too early"
        );
        assert!(known.charged < cap, "{slug} #{iteration} is beyond the cap");
        let last = known
            .last
            .as_ref()
            .filter(|last| last.ending != Ending::Stopped);
        let open = last.and_then(|last| last.blocked.as_ref());
        assert_eq!(open, None, "{slug} waits for an answer");
        (known.iteration, known.last) = (iteration, None);
        known.charged += 1;
    }

    pub(super) fn give_back(&mut self, slug: &Slug) {
        self.run_iterations = self.run_iterations.saturating_sub(1);
        let known = self.get(slug);
        known.charged = known.charged.saturating_sub(1);
    }

    pub(super) fn iteration_ended(
        &mut self,
        slug: &Slug,
        iteration: u32,
        report: &IterationReport,
        at: Stamp,
    ) {
        self.moves(slug, &Where::Running(iteration), Where::Between);
        let failure = report.failure.as_ref();
        let of = |kind| failure.is_some_and(|failure| failure.kind == kind);
        let account = failure.is_some_and(is_the_accounts);
        self.hears_of_account(slug, report, at);
        self.spends(slug, report.usage);
        let (failed, of_machine) = (failure.is_some(), of(FailureKind::Machine));
        let sleep = self.settings.sleep_between_ms;
        let known = self.get(slug);
        known.not_before = at.plus_ms(sleep);
        known.last = Some(report.clone());
        let spared = account || of_machine || report.ending == Ending::Stopped;
        let spared = spared || matches!(report.ending, Ending::NotStarted { .. });
        let told = report.session.clone().zip(known.worktree);
        known.conversation = match told {
            _ if failed && !spared => None,
            Some((id, place)) => Some((known.profile.clone(), place, id)),
            None if spared => known.conversation.take(),
            None => None,
        };
        let stopped = report.ending == Ending::Stopped;
        let not_started = matches!(report.ending, Ending::NotStarted { .. });
        let not_kept = report.tip.is_none() && !stopped && !account;
        let machine = not_started || of(FailureKind::Machine) || not_kept;
        if machine {
            known.fails(at);
        } else if !stopped && !account {
            known.infra = 0;
        }
        if !stopped && !account && !machine {
            let said = report.note.trim().len() + report.message.trim().len();
            known.silent = if said <= 32 { known.silent + 1 } else { 0 };
            known.idle = if report.changed { 0 } else { known.idle + 1 };
            known.trial.clear();
        }
        if report.tip.is_none() && !stopped {
            known.place = Where::Idle;
        }
        if account || machine || stopped {
            self.give_back(slug);
        }
    }

    pub(super) fn claimed(&mut self, slug: &Slug) {
        let known = self.get(slug);
        let report = known.last.take().expect("who claims has reported");
        assert!(report.done.is_some(), "{slug} claims nothing");
        assert!(!report.ending.killed_by_us() && report.refused.is_none() && report.tip.is_some());
        let unmerged = matches!(report.merge, Some(MergeVerdict::Unresolved { .. }));
        assert!(!unmerged, "{slug} claims and has not done its merge");
        assert!(report.tampered.is_none() && report.blocked.is_none());
        assert!(matches!(known.place, Where::Between | Where::Idle));
        known.not_before = Stamp::default();
        known.place = Where::Claimed;
    }

    pub(super) fn halts(&mut self, slug: &Slug, place: Where) {
        let known = self.get(slug);
        assert!(matches!(known.place, Where::Between | Where::Idle));
        (known.place, known.last, known.skip) = (place, None, false);
        self.halted_by |= self.settings.on_halt == OnHalt::Stop;
    }

    pub(super) fn failed(&mut self, slug: &Slug, why: &SkipReason) {
        let known = self.get(slug);
        if let SkipReason::LeftOut { done, .. } = why {
            let is_done = matches!(
                known.place,
                Where::Claimed | Where::Parked | Where::ToReview
            );
            let idle = matches!(known.place, Where::Between | Where::Idle) || known.halted();
            assert!(known.skip && (is_done || idle), "{slug} was left out");
            assert_eq!(*done, is_done, "what {slug} claimed");
            (known.place, known.skip) = (Where::Failed(why.clone()), false);
            return;
        }
        assert!(matches!(known.place, Where::Between | Where::Idle));
        known.place = Where::Failed(why.clone());
        let known = self.of(slug);
        match why {
            SkipReason::LeftOut { .. } => {}
            SkipReason::IterationsUsedUp { cap } => assert!(known.charged >= *cap),
            SkipReason::Setup { .. } | SkipReason::Spawn { .. } => assert!(known.infra >= 3),
            SkipReason::BudgetUsedUp { .. } => {
                assert!(!self.may_spend(slug), "{slug} has money left");
            }
            SkipReason::SpecRemoved => assert!(!known.listed),
            SkipReason::Undone => panic!("nobody took {slug} back"),
        }
    }

    pub(super) fn begins_again(&mut self, slug: &Slug, place: Where) {
        self.moves(slug, &Where::Landed, place);
        let known = self.get(slug);
        known.forgive();
        known.budget_again();
        (known.anew, known.skip) = (true, false);
    }
}
