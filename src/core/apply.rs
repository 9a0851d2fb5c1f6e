//! The only function that changes state: one record in, one step further.
//!
//! It must accept every record that a journal can hold, in the journal's order, and must never decide:
//! what happens next is for [`schedule`](super::schedule) to say.

use super::accounts::is_the_accounts;
use super::budget::feature_used_up;
use super::feature::{Feature, Phase};
use super::ladder;
use super::state::{Ended, Run, State};
use super::words::{ending_words, log_text};
use crate::model::{
    Ending, Event, FailureKind, FeatureSpec, Ground, InfraKind, IterationReport, MergeVerdict,
    Record, Relation, Settings, SkipReason, Slug, Stamp, StopLevel, Usage, Writing,
};
use std::collections::{BTreeMap, BTreeSet};

/// First wait after a failure that was nobody's fault; each further one waits four times as long.
const INFRA_BACKOFF_MS: u64 = 1_000;

impl State {
    /// Takes one record in. Records that name unknown features are accepted and change nothing.
    pub fn apply(&mut self, record: &Record) {
        let at = record.at;
        self.count_waiting(record);
        self.seq = record.seq;
        self.last_at = at;
        self.paces.hear(&record.event);
        match &record.event {
            Event::RunStarted { .. } => self.run_started(&record.event, at),
            Event::BacklogChanged { upserted, removed } => self.backlog(upserted, removed, at),
            Event::HaltSeen { reason } => self.halt = Some(reason.clone()),
            Event::HaltCleared => self.halt = None,
            Event::Written { through } => self.written(*through),
            Event::ClockSet { wall } => self.clock_set(*wall, at),
            Event::Slept { slept_ms } => self.slept(*slept_ms),
            Event::Noticed { what } => self.notice(what),
            Event::Strained { .. }
            | Event::TimeUp
            | Event::StopRequested { .. }
            | Event::Tidied
            | Event::RunEnded { .. } => self.apply_run(&record.event, at),
            Event::Started { .. }
            | Event::Prepared { .. }
            | Event::PrepareFailed { .. }
            | Event::IterationStarted { .. }
            | Event::IterationEnded { .. }
            | Event::IterationLost { .. } => self.apply_work(&record.event, at),
            Event::FoundDone { .. }
            | Event::Requeued { .. }
            | Event::Abandoned { .. }
            | Event::Claimed { .. }
            | Event::Blocked { .. }
            | Event::Unblocked { .. }
            | Event::Tripped { .. }
            | Event::Escalated { .. }
            | Event::Failed { .. }
            | Event::Undone { .. }
            | Event::Retried { .. }
            | Event::Skipped { .. }
            | Event::Approved { .. } => self.apply_verdict(&record.event, at),
            event => {
                self.note_empty(event);
                self.apply_merge(event, at);
            }
        }
    }

    fn run_started(&mut self, event: &Event, at: Stamp) {
        let Event::RunStarted {
            run,
            settings,
            target,
            ground,
        } = event
        else {
            return;
        };
        let held = match ground.relation {
            Relation::Behind => Some(ground.target.clone()),
            Relation::Ahead | Relation::Rewritten => self.published(target).cloned(),
        };
        self.run = Some(Run {
            id: run.clone(),
            settings: (**settings).clone(),
            target: target.clone(),
            tip: ground.tip.clone(),
            tree: ground.tree.clone(),
            target_tip: ground.target.clone(),
            held,
            started: at,
            slept_ms: 0,
            waited_ms: 0,
            iterations: 0,
            used: Usage::default(),
            budget_told: BTreeSet::new(),
            caches: BTreeMap::new(),
            findings: Vec::new(),
            stop: None,
            time_up: false,
            strain: None,
            halted_by: None,
            tidied: false,
            ended: None,
        });
        self.begin_anew(ground, at);
    }

    /// What happens to the run as a whole.
    fn apply_run(&mut self, event: &Event, at: Stamp) {
        if *event == Event::Tidied {
            self.to_tidy.clear();
        }
        let Some(run) = &mut self.run else {
            return;
        };
        match event {
            Event::Strained { why } => run.strain.clone_from(why),
            Event::StopRequested { level } => run.stop = run.stop.max(Some(*level)),
            Event::Tidied => run.tidied = true,
            Event::RunEnded { code, codes } => {
                run.ended = Some(Ended {
                    at,
                    code: *code,
                    codes: codes.clone(),
                });
            }
            Event::TimeUp => run.time_up = true,
            _ => {}
        }
    }

    fn clock_set(&mut self, wall: Stamp, at: Stamp) {
        let [wall, at] = [wall, at].map(|time| i64::try_from(time.0).unwrap_or(i64::MAX));
        self.wall_ahead_ms = wall.saturating_sub(at);
    }

    fn slept(&mut self, ms: u64) {
        if let Some(run) = &mut self.run {
            run.slept_ms = run.slept_ms.saturating_add(ms);
        }
        // A right of way is time to work, and nobody worked.
        for until in self.merging.right_of_way.values_mut() {
            *until = until.plus_ms(ms);
        }
    }

    fn note_empty(&mut self, event: &Event) {
        if let Event::Merged { slug, empty, .. } = event
            && let Some(feature) = self.features.get_mut(slug)
        {
            feature.empty = *empty;
        }
    }

    /// What a run before this one left half-way goes back to a place from which it can go on.
    fn begin_anew(&mut self, ground: &Ground, at: Stamp) {
        self.begin_merging(ground, at);
        self.try_accounts_again();
        let slugs: Vec<Slug> = self.features.keys().cloned().collect();
        let settings = self.settings();
        for slug in slugs {
            let Some(feature) = self.features.get_mut(&slug) else {
                continue;
            };
            feature.not_before = Stamp::default();
            feature.infra = 0;
            // A crash may have come before the verdict, and this run's limits may be other ones.
            let has_spent = feature.spent != Usage::default();
            let is_begun = feature.charged > 0 || feature.last.is_some() || has_spent;
            if is_begun {
                self.unjudged.insert(slug.clone());
            }
            let phase = match &feature.phase {
                Phase::Preparing | Phase::Working { .. } => Phase::Pending,
                Phase::Parked { .. } => Phase::Queued,
                Phase::Failed {
                    why: SkipReason::Setup { .. } | SkipReason::Spawn { .. },
                } => Phase::Pending,
                _ if is_allowed_more(&settings, feature) => Phase::Pending,
                same => same.clone(),
            };
            if phase != feature.phase {
                if phase == Phase::Queued {
                    // A person may have completed the merge; the next chain tells.
                    feature.handback = None;
                    feature.held_on = None;
                }
                self.set_phase(&slug, phase, at);
            }
        }
        self.delayed.clear();
        // The selection may be another one.
        self.reindex();
    }

    /// What the current or last run was asked to do.
    fn settings(&self) -> Settings {
        let settings = self.run.as_ref().map(|run| run.settings.clone());
        settings.unwrap_or_default()
    }

    fn backlog(&mut self, upserted: &[FeatureSpec], removed: &[Slug], at: Stamp) {
        let settings = self.settings();
        for spec in upserted {
            match self.features.get_mut(&spec.slug) {
                Some(feature) => {
                    if feature.spec.budget != spec.budget {
                        self.unjudged.insert(spec.slug.clone());
                    }
                    feature.spec = spec.clone();
                    feature.listed = true;
                    let is_back = feature.phase
                        == (Phase::Failed {
                            why: SkipReason::SpecRemoved,
                        });
                    if is_back || is_allowed_more(&settings, feature) {
                        feature.phase = Phase::Pending;
                        feature.since = at;
                    }
                    if !spec.review && feature.ready_for_review().is_some() {
                        feature.phase = Phase::Queued;
                        feature.since = at;
                    }
                }
                None => {
                    let feature = Feature::new(spec.clone(), at);
                    self.features.insert(spec.slug.clone(), feature);
                }
            }
        }
        for slug in removed {
            if let Some(feature) = self.features.get_mut(slug) {
                feature.listed = false;
                self.unjudged.insert(slug.clone());
            }
        }
        self.reindex();
    }

    fn written(&mut self, through: u64) {
        self.writes_done = self.writes_done.max(through);
        while let Some(job) = self.writes.pop_front() {
            if job.number > through {
                self.writes.push_front(job);
                return;
            }
            if let Writing::Done { slug, .. } = &job.what
                && let Some(feature) = self.features.get_mut(slug)
            {
                feature.marker = true;
            }
        }
    }

    fn apply_work(&mut self, event: &Event, at: Stamp) {
        match event {
            Event::Started { slug, worktree } => {
                self.set_phase(slug, Phase::Preparing, at);
                self.worktrees.insert(*worktree, slug.clone());
                if let Some(feature) = self.features.get_mut(slug) {
                    feature.worktree = Some(*worktree);
                    feature.prepare_attempts += 1;
                }
            }
            Event::Prepared { slug, .. } => {
                if let Some(feature) = self.features.get_mut(slug) {
                    // What failed in a row is forgotten when an iteration has run: an agent that can never be started
                    // finds its worktree ready each time.
                    feature.fresh = false;
                }
                self.set_phase(slug, Phase::Working { running: None }, at);
            }
            Event::PrepareFailed { slug, kind, why } => {
                let what = match kind {
                    InfraKind::Setup => "setup",
                    InfraKind::System => "worktree",
                };
                self.infra(slug, &format!("{what}: {why}"), at);
                if let Some(feature) = self.features.get_mut(slug) {
                    feature.infra_setup = true;
                }
                self.set_phase(slug, Phase::Pending, at);
                self.unjudged.insert(slug.clone());
            }
            Event::IterationStarted {
                slug,
                iteration,
                instead,
                ..
            } => {
                self.iteration_started(slug, *iteration, instead.as_ref(), at);
            }
            Event::IterationEnded { slug, report, .. } => self.iteration_ended(slug, report, at),
            Event::IterationLost {
                slug,
                iteration,
                usage,
            } => {
                let used = usage.unwrap_or_default();
                let run = self.run.as_ref();
                if let (Some(run), Some(feature)) = (run, self.features.get_mut(slug)) {
                    feature.lose_iteration(run, used);
                }
                self.spend(slug, used);
                self.give_back(slug);
                self.set_phase(slug, Phase::Working { running: None }, at);
                self.log(
                    slug,
                    Some(*iteration),
                    format!("iteration {iteration} was cut off"),
                    "harness was killed during this iteration. Whatever it had changed is still in the worktree."
                        .to_owned(),
                    Vec::new(),
                    at,
                );
            }
            _ => {}
        }
    }

    fn iteration_started(
        &mut self,
        slug: &Slug,
        iteration: u32,
        instead: Option<&String>,
        at: Stamp,
    ) {
        self.unjudged.remove(slug);
        self.delayed.remove(slug);
        if let Some(run) = &mut self.run {
            run.iterations += 1;
        }
        if let Some(feature) = self.features.get_mut(slug) {
            feature.iterations = iteration;
            feature.instead = instead.cloned();
            if let Some(run) = &self.run {
                feature.called = ladder::called(run, feature);
            }
            feature.charged += 1;
            feature.last = None;
            feature.approved = None;
        }
        let feature = self.features.get(slug);
        if let Some(profile) = feature.and_then(|feature| feature.called.profile.clone()) {
            self.account_used(&profile, at);
        }
        let running = Some(iteration);
        self.set_phase(slug, Phase::Working { running }, at);
        // Entered anew with every iteration: "since" is the iteration's start.
        if let Some(feature) = self.features.get_mut(slug) {
            feature.since = at;
        }
    }

    fn iteration_ended(&mut self, slug: &Slug, report: &IterationReport, at: Stamp) {
        let settings = self.settings();
        self.set_phase(slug, Phase::Working { running: None }, at);
        let Some(feature) = self.features.get_mut(slug) else {
            return;
        };
        let iteration = feature.iterations;
        let profile = feature.called.profile.clone();
        feature.since = at;
        feature.not_before = at.plus_ms(settings.sleep_between_ms);
        self.delayed.insert(slug.clone());
        feature.remember(report);
        feature.hear_of_conversation(report);
        self.unjudged.insert(slug.clone());
        match &report.merge {
            Some(MergeVerdict::Resolved) => feature.handback = None,
            Some(MergeVerdict::Unresolved { .. }) if report.done.is_some() => {
                // A claim without the merge is a round lost; the next one says what was wrong.
                feature.rounds += 1;
            }
            _ => {}
        }
        let account = report
            .failure
            .as_ref()
            .filter(|failure| is_the_accounts(failure));
        let machine = match (&report.ending, &report.failure) {
            (Ending::NotStarted { why }, _) => Some(why.clone()),
            (_, Some(failure)) if failure.kind == FailureKind::Machine => {
                Some(failure.text.clone())
            }
            (Ending::Stopped, _) => None,
            _ if account.is_some() => None,
            _ if report.tip.is_none() => {
                Some("no snapshot of the worktree could be taken".to_owned())
            }
            _ => None,
        };
        let nobodys_fault = machine.is_some() || account.is_some();
        if let Some(why) = machine {
            self.infra(slug, &why, at);
        } else if !nobodys_fault && report.ending != Ending::Stopped {
            let own = feature.spec.stuck;
            feature.breakers.iteration(report, &settings.breakers, own);
            feature.answer = None;
            feature.infra = 0;
        }
        self.spend(slug, report.usage.unwrap_or_default());
        self.hear_of_cache(slug, iteration, profile.clone(), report);
        if let Some(profile) = profile {
            self.hear_of_account(&profile, report, &settings, at);
        }
        if report.tip.is_none() && report.ending != Ending::Stopped {
            // Perhaps there is no worktree any more: the next iteration begins by making it ready.
            self.set_phase(slug, Phase::Pending, at);
        }
        if nobodys_fault || report.ending == Ending::Stopped {
            // Whoever stopped it means to go on where it was, not to spend one of its calls.
            self.give_back(slug);
        }
        self.log(
            slug,
            Some(iteration),
            format!("iteration {iteration}{}", ending_words(report)),
            log_text(report),
            report.lessons.clone(),
            at,
        );
    }

    /// The iteration that has just ended counts towards no cap. Its number stays used.
    fn give_back(&mut self, slug: &Slug) {
        if let Some(run) = &mut self.run {
            run.iterations = run.iterations.saturating_sub(1);
        }
        if let Some(feature) = self.features.get_mut(slug) {
            feature.charged = feature.charged.saturating_sub(1);
        }
    }

    /// One more failure in a row that was nobody's fault.
    pub(super) fn infra(&mut self, slug: &Slug, why: &str, at: Stamp) {
        if let Some(feature) = self.features.get_mut(slug) {
            let wait = INFRA_BACKOFF_MS.saturating_mul(4u64.saturating_pow(feature.infra));
            feature.infra += 1;
            feature.infra_setup = false;
            feature.infra_text = why.to_owned();
            feature.not_before = at.plus_ms(wait);
            self.delayed.insert(slug.clone());
        }
    }

    pub(super) fn log(
        &mut self,
        slug: &Slug,
        iteration: Option<u32>,
        heading: String,
        text: String,
        lessons: Vec<String>,
        at: Stamp,
    ) {
        self.write(
            at,
            Writing::Log {
                slug: slug.clone(),
                iteration,
                heading,
                text,
                lessons,
            },
        );
    }
}

impl StopLevel {
    /// Whether running iterations are to be stopped.
    #[must_use]
    pub(super) fn terminates(self) -> bool {
        matches!(self, Self::Terminate { .. })
    }
}

/// Whether it was given up because its budget was used up, and has a bigger one now.
fn is_allowed_more(settings: &Settings, feature: &Feature) -> bool {
    let was_used_up = matches!(
        feature.phase,
        Phase::Failed {
            why: SkipReason::BudgetUsedUp { .. }
        }
    );
    was_used_up && feature_used_up(settings, feature).is_none()
}
