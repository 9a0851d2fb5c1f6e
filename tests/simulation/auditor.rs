//! A second reading of the journal, which shares no code with the first: what each record may follow on. The state
//! under test can be wrong about itself; this one judges it by what it wrote down.

use super::audit_accounts::Account;
use harness::model::{
    Chain, Event, FeatureSpec, GateId, Ground, IterationReport, Oid, Record, Settings, SkipReason,
    Slug, Stamp, StopLevel, Trial, WorktreeName,
};
use std::collections::{BTreeMap, BTreeSet};

/// Where a feature is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Where {
    #[default]
    Idle,
    Preparing,
    Between,
    Running(u32),
    Claimed,
    Integrating(u32),
    Landed,
    Blocked,
    Tripped,
    Parked,
    /// Found to be ready: a person must see it.
    ToReview,
    Failed(SkipReason),
}

/// What is known of a feature.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    pub(super) spec: Option<FeatureSpec>,
    pub(super) listed: bool,
    pub(super) place: Where,
    pub(super) iteration: u32,
    pub(super) worktree: Option<WorktreeName>,
    /// Whether its branch may be started anew: what it held has landed, or a person dropped it.
    pub(super) anew: bool,
    pub(super) charged: u32,
    pub(super) infra: u32,
    pub(super) not_before: Stamp,
    pub(super) silent: u32,
    pub(super) idle: u32,
    pub(super) last: Option<IterationReport>,
    /// The profile of its last iteration; empty: the usual one.
    pub(super) profile: String,
    /// What it has used since a person had it tried again: millionths of a dollar, and tokens.
    pub(super) used: [u64; 2],
    pub(super) told_of_budget: bool,
    /// The model that this was given.
    pub(super) model: Option<String>,
    /// Its last conversation, of which profile, and where.
    pub(super) conversation: Option<(String, WorktreeName, String)>,
    /// Its rung of the ladder; 0: its own agent.
    pub(super) rung: u32,
    /// The breaker that is half open; empty: none.
    pub(super) trial: String,
    /// Whether a person wants it left out, and something is still under way for it.
    pub(super) skip: bool,
    /// Where its branch stood when it was found to be ready for a review.
    pub(super) ready_at: Option<Oid>,
    /// The commit of its branch that a person has let through.
    pub(super) approved: Option<Oid>,
}

impl Known {
    pub(super) fn forgive(&mut self) {
        (self.charged, self.infra, self.silent, self.idle) = (0, 0, 0, 0);
        self.not_before = Stamp::default();
        self.last = None;
        self.rung = 0;
        self.trial.clear();
        self.conversation = None;
    }

    pub(super) fn fails(&mut self, at: Stamp) {
        self.not_before = at.plus_ms(1_000 * 4u64.pow(self.infra));
        self.infra += 1;
    }

    pub(super) fn halted(&self) -> bool {
        matches!(
            self.place,
            Where::Blocked | Where::Tripped | Where::Parked | Where::ToReview | Where::Failed(_)
        )
    }

    pub(super) fn is_left_out(&self) -> bool {
        matches!(self.place, Where::Failed(SkipReason::LeftOut { .. }))
    }
}

#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub(super) what: Trial,
    pub(super) members: BTreeSet<Slug>,
    pub(super) chain: Option<Chain>,
    pub(super) verified: bool,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Auditor {
    pub(super) features: BTreeMap<Slug, Known>,
    pub(super) settings: Settings,
    pub(super) stop: Option<StopLevel>,
    pub(super) halt: bool,
    pub(super) seq: u64,
    pub(super) at: Stamp,
    pub(super) live: bool,
    pub(super) accounts: BTreeMap<String, Account>,
    /// When an iteration of a profile last began.
    pub(super) last_starts: BTreeMap<String, Stamp>,
    pub(super) halted_by: bool,
    pub(super) strained: bool,
    /// Whether the run has said that its time is up, and the longest that anything took.
    pub(super) time_up: bool,
    pub(super) longest: [u64; 2],
    pub(super) tip: Option<Oid>,
    pub(super) run_iterations: u32,
    pub(super) attempts: BTreeMap<u32, Attempt>,
    pub(super) last_attempt: u32,
    pub(super) green: BTreeSet<(Oid, GateId)>,
    pub(super) reds: BTreeMap<(Oid, GateId), u32>,
    pub(super) written: u64,
    /// What the run has used: millionths of a dollar, and tokens.
    pub(super) used: [u64; 2],
}

impl Auditor {
    /// Takes in one record that has reached the disk.
    ///
    /// # Panics
    /// When it must not stand there.
    pub(super) fn hear(&mut self, record: &Record) {
        assert_eq!(
            record.seq,
            self.seq + 1,
            "records are numbered without gaps"
        );
        assert!(record.at >= self.at, "the journal's time went back");
        (self.seq, self.at) = (record.seq, record.at);
        let [iteration, gate] = &mut self.longest;
        match &record.event {
            Event::IterationEnded { report, .. } => *iteration = report.elapsed_ms.max(*iteration),
            Event::Gated { gate_ms, .. } => *gate = (*gate_ms).max(*gate),
            _ => {}
        }
        let at = record.at;
        match &record.event {
            Event::RunStarted {
                settings, ground, ..
            } => self.run_started(settings, ground),
            Event::BacklogChanged { upserted, removed } => self.backlog(upserted, removed),
            Event::HaltSeen { .. } => self.halt = true,
            Event::HaltCleared => self.halt = false,
            Event::Strained { why } => self.strained = why.is_some(),
            Event::TimeUp => self.time_is_up(at),
            Event::StopRequested { level } => self.stop = self.stop.max(Some(*level)),
            Event::Written { through } => {
                assert!(*through > self.written, "writes are confirmed once");
                self.written = *through;
            }
            Event::Noticed { what } => self.noticed(what),
            Event::RunEnded { code, codes } => self.run_ended(*code, codes),
            event => match whose(event) {
                Some(slug) => self.of_a_feature(slug, event, at),
                None => self.of_the_queue(event),
            },
        }
    }

    /// What is known of a feature.
    pub(super) fn of(&self, slug: &Slug) -> &Known {
        self.features.get(slug).expect("a feature that was listed")
    }

    pub(super) fn get(&mut self, slug: &Slug) -> &mut Known {
        self.features
            .get_mut(slug)
            .expect("a feature that was listed")
    }

    pub(super) fn has_landed(&self, slug: &Slug) -> bool {
        let known = self.features.get(slug);
        known.is_some_and(|known| known.place == Where::Landed)
    }

    pub(super) fn dependencies_landed(&self, slug: &Slug) -> bool {
        let spec = self.of(slug).spec.as_ref().unwrap();
        spec.depends_on.iter().all(|name| self.has_landed(name))
    }

    pub(super) fn is_selected(&self, slug: &Slug) -> bool {
        let only = self.settings.only.as_ref();
        only.is_none_or(|only| only.contains(slug))
    }

    /// Features that an agent is at work on, or is about to be.
    pub(super) fn active(&self) -> usize {
        let places = self.features.values().map(|known| &known.place);
        let active = places.filter(|place| matches!(place, Where::Preparing | Where::Running(_)));
        active.count()
    }

    pub(super) fn slots(&self) -> usize {
        let places = self.features.values().map(|known| &known.place);
        places
            .filter(|place| matches!(place, Where::Preparing | Where::Between | Where::Running(_)))
            .count()
    }

    pub(super) fn run_started(&mut self, settings: &Settings, ground: &Ground) {
        let before = std::mem::replace(&mut self.settings, settings.clone());
        self.accounts_begin_anew(&before);
        (self.stop, self.halted_by, self.strained) = (None, false, false);
        self.time_up = false;
        (self.live, self.run_iterations) = (true, 0);
        self.money_begins_anew();
        self.tip = Some(ground.tip.clone());
        self.attempts.retain(|_, attempt| {
            let chain = attempt.chain.as_ref().filter(|_| attempt.verified);
            attempt.what == Trial::Features && chain.is_some_and(|chain| chain.commit == ground.tip)
        });
        for (slug, known) in &mut self.features {
            (known.infra, known.not_before) = (0, Stamp::default());
            known.place = match &known.place {
                Where::Running(n) => panic!("{slug} #{n} ran when the run began, and was not lost"),
                Where::Preparing | Where::Between => Where::Idle,
                Where::Failed(SkipReason::Setup { .. } | SkipReason::Spawn { .. }) => Where::Idle,
                Where::Parked | Where::ToReview => Where::Claimed,
                Where::Integrating(n) if !self.attempts.contains_key(n) => Where::Claimed,
                same => same.clone(),
            };
        }
    }

    pub(super) fn backlog(&mut self, upserted: &[FeatureSpec], removed: &[Slug]) {
        for spec in upserted {
            let known = self.features.entry(spec.slug.clone()).or_default();
            known.spec = Some(spec.clone());
            known.listed = true;
            if known.place == Where::Failed(SkipReason::SpecRemoved) {
                known.place = Where::Idle;
            }
            if known.place == Where::ToReview && !spec.review {
                known.place = Where::Claimed;
            }
            self.frees(&spec.slug);
        }
        for slug in removed {
            self.get(slug).listed = false;
        }
    }

    pub(super) fn run_ended(&mut self, code: u8, codes: &[u8]) {
        assert_eq!(Some(&code), codes.first());
        assert!(self.live, "a run ended twice");
        self.assert_money(codes);
        self.live = false;
        let terminating = self.terminating();
        let mut attempts = self.attempts.iter();
        let first = attempts
            .find(|(_, attempt)| attempt.what != Trial::Base)
            .map(|(n, _)| *n);
        for (slug, known) in &self.features {
            match known.place {
                Where::Running(n) => panic!("the run ended while {slug} #{n} ran"),
                Where::Preparing => assert!(terminating, "the run ended while {slug} was prepared"),
                Where::Integrating(n) if first == Some(n) => assert!(
                    !self.attempts[&n].verified,
                    "the run ended while {slug} was landing"
                ),
                _ => {}
            }
        }
        self.assert_nothing_is_left();
    }

    /// A run that nothing holds goes on while a feature can be called.
    fn assert_nothing_is_left(&self) {
        let used_up = self.run_iterations >= self.settings.max_iterations || !self.run_may_spend();
        let is_held = self.stop.is_some() || self.halt || self.halted_by || self.time_up;
        if is_held || used_up || self.an_account_may_be_lost() {
            return;
        }
        for (slug, known) in &self.features {
            let is_idle = known.listed && known.place == Where::Idle;
            let wanted = is_idle && self.is_selected(slug) && self.may_spend(slug);
            assert!(
                !wanted || !self.dependencies_landed(slug),
                "the run ended, and {slug} could have been started"
            );
        }
    }

    /// Not before it matters: by then nothing that takes as long as anything did would have ended.
    fn time_is_up(&mut self, at: Stamp) {
        let until = self.settings.until.as_ref();
        let until = until.expect("a run whose time matters");
        assert!(!self.time_up, "said once");
        let [iteration, gate] = self.longest;
        assert!(at.plus_ms(iteration + gate) >= until.at, "there was time");
        self.time_up = true;
    }

    pub(super) fn terminating(&self) -> bool {
        matches!(self.stop, Some(StopLevel::Terminate { .. }))
    }

    /// Whether an agent may be called or a worktree made ready now.
    pub(super) fn assert_admits(&self, what: &str) {
        assert!(self.live, "{what} outside of a run");
        assert!(self.stop.is_none(), "{what} after a stop was asked for");
        assert!(!self.halt, "{what} under HALT");
        assert!(!self.time_up, "{what} after the run's time was up");
        let until = self.settings.until.as_ref();
        assert!(
            until.is_none_or(|until| self.at < until.at),
            "{what} too late"
        );
        assert!(!self.halted_by, "{what} after a halt that stops the run");
        assert!(
            self.run_iterations < self.settings.max_iterations,
            "{what} beyond the run's iterations"
        );
        assert!(self.run_may_spend(), "{what} beyond the run's budget");
        let busy = self
            .features
            .values()
            .any(|known| matches!(known.place, Where::Preparing | Where::Running(_)));
        let held = self.strained && (busy || !self.attempts.is_empty());
        assert!(!held, "{what} on a strained machine at work");
    }

    pub(super) fn moves(&mut self, slug: &Slug, from: &Where, to: Where) {
        let known = self.get(slug);
        assert_eq!(known.place, *from, "{slug} is not where this begins");
        known.place = to;
    }

    pub(super) fn lands(&mut self, slug: &Slug) {
        let known = self.get(slug);
        (known.place, known.worktree, known.skip) = (Where::Landed, None, false);
    }

    pub(super) fn gate(&self) -> GateId {
        GateId {
            common: self.settings.merge.gate.clone().unwrap_or_default(),
            own: Vec::new(),
        }
    }
}

/// The feature that a record is about.
fn whose(event: &Event) -> Option<&Slug> {
    match event {
        Event::FoundDone { slug }
        | Event::Requeued { slug }
        | Event::Abandoned { slug }
        | Event::Started { slug, .. }
        | Event::Prepared { slug, .. }
        | Event::PrepareFailed { slug, .. }
        | Event::IterationStarted { slug, .. }
        | Event::IterationEnded { slug, .. }
        | Event::IterationLost { slug, .. }
        | Event::Claimed { slug, .. }
        | Event::Blocked { slug, .. }
        | Event::Unblocked { slug, .. }
        | Event::Tripped { slug, .. }
        | Event::Escalated { slug, .. }
        | Event::Failed { slug, .. }
        | Event::Undone { slug, .. }
        | Event::Retried { slug }
        | Event::Skipped { slug, .. }
        | Event::Approved { slug, .. }
        | Event::Clashed { slug, .. }
        | Event::Deferred { slug, .. }
        | Event::GaveWay { slug, .. }
        | Event::RightOfWayEnded { slug }
        | Event::Rejected { slug, .. }
        | Event::Held { slug, .. }
        | Event::MemberFailed { slug, .. }
        | Event::Merged { slug, .. }
        | Event::Unlanded { slug }
        | Event::Parked { slug, .. } => Some(slug),
        _ => None,
    }
}
