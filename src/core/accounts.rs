//! Accounts of agents: which can be used, since when again, and by how many at once.
//!
//! One feature that hears of a limit hears it for all that use the account. A closed account opens at its reset; then one
//! iteration tries it, and each that goes well lets one more in beside it. All of it is a fold over the reports, so a
//! wait survives a restart. This file must never know which program an account belongs to.

use super::feature::{Feature, Phase};
use super::ladder;
use super::state::{Run, State};
use crate::model::{
    AgentFailure, Ending, Event, FailureKind, IterationReport, OnLimit, Quota, Record, Settings,
    Stamp,
};
use serde::{Deserialize, Serialize};

/// The shortest wait, whatever reset was told.
const FLOOR_MS: u64 = 5_000;
/// Clocks differ: so long after the reset it is tried.
const MARGIN_MS: u64 = 2_000;
/// First and longest wait for a limit of which nobody knows when it ends.
const UNKNOWN_MS: (u64, u64) = (5 * 60_000, 60 * 60_000);
/// First and longest wait for a service that is overloaded or cannot be reached.
const PASSING_MS: (u64, u64) = (15_000, 10 * 60_000);

/// One account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Account {
    /// Why it could not be used when that was last heard of; gone when an iteration has gone well since.
    pub(super) closed: Option<Closed>,
    /// So many at once, while it is being tried again; `None`: no such bound.
    pub(super) ramp: Option<u32>,
    /// Failures in a row, each heard after the wait for the one before.
    failures: u32,
}

/// How much of a limit is used that a person keeps a part of, if more is.
fn over_the_reserve(report: &IterationReport, keep_percent: u8) -> Option<&Quota> {
    let most = 100_u8.saturating_sub(keep_percent);
    let over = report
        .quota
        .iter()
        .filter(|quota| quota.used_percent > most);
    over.max_by_key(|quota| quota.resets_at)
}

/// An account that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Closed {
    /// What the agent said.
    pub(super) failure: AgentFailure,
    /// When the first failure in a row was heard, later by all time since in which nobody waited.
    pub(super) since: Stamp,
    /// Until when; `None`: until a person has helped, or the next run begins.
    pub(super) until: Option<Stamp>,
}

impl Account {
    pub(super) fn is_closed(&self, now: Stamp) -> bool {
        let closed = self.closed.as_ref();
        closed.is_some_and(|closed| closed.until.is_none_or(|until| until > now))
    }

    /// Whether this run has nothing more to hope from it.
    pub(super) fn is_lost(&self) -> bool {
        let closed = self.closed.as_ref();
        closed.is_some_and(|closed| closed.until.is_none())
    }

    /// An iteration failed because of the account, which is reset then, if that was told.
    fn close(
        &mut self,
        failure: &AgentFailure,
        reset: Option<Stamp>,
        settings: &Settings,
        (at, salt): (Stamp, u64),
    ) {
        let is_closed = self.is_closed(at);
        let earlier = self.closed.take();
        if let Some(earlier) = earlier.as_ref().filter(|_| is_closed) {
            // Who had begun before it was closed brings no news, unless it must be waited for longer.
            let until = reset.map(|at| at.plus_ms(MARGIN_MS));
            let until = earlier.until.map(|known| known.max(until.unwrap_or(known)));
            self.closed = Some(Closed {
                until: until.filter(|until| is_worth_it(*until, earlier.since, settings)),
                ..earlier.clone()
            });
            return;
        }
        // What lies between the end of a wait and the next failure was no waiting.
        let since = earlier.map_or(at, |closed| {
            let ended = closed.until.unwrap_or(at);
            closed.since.plus_ms(at.since_ms(ended))
        });
        let wait = self.wait(failure, reset, (at, salt));
        let until = wait.map(|ms| at.plus_ms(ms.max(FLOOR_MS)));
        let is_final =
            settings.limits.on_limit == OnLimit::Halt && failure.kind == FailureKind::Limit;
        self.closed = Some(Closed {
            failure: failure.clone(),
            since,
            until: until.filter(|until| !is_final && is_worth_it(*until, since, settings)),
        });
        self.ramp = Some(1);
        self.failures += 1;
    }

    /// How long to wait, in milliseconds; `None`: time does not help.
    fn wait(
        &self,
        failure: &AgentFailure,
        reset: Option<Stamp>,
        (at, salt): (Stamp, u64),
    ) -> Option<u64> {
        let doubled = |(first, longest): (u64, u64)| {
            let wait = first.saturating_mul(1 << self.failures.min(16));
            wait.min(longest)
        };
        match failure.kind {
            FailureKind::Auth | FailureKind::Billing => None,
            FailureKind::Limit => match reset {
                Some(reset) if reset > at => Some(reset.since_ms(at) + MARGIN_MS),
                // It should have ended by now.
                Some(_) => Some(doubled((FLOOR_MS, UNKNOWN_MS.1))),
                None => Some(doubled(UNKNOWN_MS)),
            },
            // Many who wait for the same service should not come back all at once.
            _ => {
                let wait = doubled(PASSING_MS);
                Some(wait - salt % (wait / 4))
            }
        }
    }

    /// An iteration of it has gone well.
    fn open(&mut self, slots: u32, at: Stamp) {
        if self.is_closed(at) {
            // It had begun before.
            return;
        }
        self.closed = None;
        self.failures = 0;
        self.ramp = self.ramp.map(|ramp| ramp + 1).filter(|ramp| *ramp < slots);
    }
}

fn is_worth_it(until: Stamp, since: Stamp, settings: &Settings) -> bool {
    until.since_ms(since) <= settings.limits.max_wait_ms
}

/// Whether a failure tells of the account and not of the feature.
pub(super) fn is_the_accounts(failure: &AgentFailure) -> bool {
    failure.kind.is_the_accounts() || failure.kind.passes()
}

impl State {
    /// Counts the time before `record`, as far as nothing was at work in it because an account was closed for a while.
    pub(super) fn count_waiting(&mut self, record: &Record) {
        let Some(until) = self.waits_until() else {
            return;
        };
        let slept_ms = match &record.event {
            Event::Slept { slept_ms } => *slept_ms,
            _ => 0,
        };
        let waited_ms = record.at.min(until).since_ms(self.last_at);
        if let Some(run) = &mut self.run {
            let awake_ms = waited_ms.saturating_sub(slept_ms);
            run.waited_ms = run.waited_ms.saturating_add(awake_ms);
        }
    }

    /// Until when nothing but time is waited for, since accounts are closed.
    fn waits_until(&self) -> Option<Stamp> {
        let now = self.last_at;
        let run = self.live().filter(|_| !self.is_anything_at_work())?;
        let begun = self.in_slots.iter();
        let mut begun = begun.filter_map(|slug| self.features.get(slug));
        if begun.any(|feature| self.reopens(run, feature, now).is_none()) {
            // It pauses only.
            return None;
        }
        let closed = self.accounts.values();
        let closed = closed.filter(|account| account.is_closed(now));
        let opens = closed.filter_map(|account| account.closed.as_ref()?.until);
        opens.max()
    }

    /// Takes in what an iteration of `feature` says about the account it used.
    pub(super) fn hear_of_account(
        &mut self,
        profile: &str,
        report: &IterationReport,
        settings: &Settings,
        at: Stamp,
    ) {
        let name = account_of(settings, profile);
        let salt = self.seq.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16;
        match &report.failure {
            Some(failure) if is_the_accounts(failure) => {
                let reset = failure.resets_at.and_then(|at| self.told_time(at));
                let account = self.accounts.entry(name.to_owned()).or_default();
                account.close(failure, reset, settings, (at, salt));
            }
            // The agent came to no end that would say anything about its account.
            _ if report.ending.killed_by_us()
                || matches!(
                    report.ending,
                    Ending::NotStarted { .. } | Ending::Signalled { .. }
                ) => {}
            _ => {
                if let Some(account) = self.accounts.get_mut(name) {
                    account.open(settings.parallel, at);
                    if *account == Account::default() {
                        self.accounts.remove(name);
                    }
                }
            }
        }
        self.keep_a_reserve(name, report, settings, (at, salt));
    }

    /// Closes an account until its limit is reset when less of that is left than a person keeps.
    fn keep_a_reserve(
        &mut self,
        name: &str,
        report: &IterationReport,
        settings: &Settings,
        (at, salt): (Stamp, u64),
    ) {
        let keep = settings.limits.keep_percent;
        let Some((keep, quota)) =
            keep.and_then(|keep| Some((keep, over_the_reserve(report, keep)?)))
        else {
            return;
        };
        let Some(reset) = self.told_time(quota.resets_at).filter(|reset| *reset > at) else {
            return;
        };
        let (used, scope) = (quota.used_percent, &quota.scope);
        let text = format!("{used}% of it is used, and {keep}% are kept for you (limits.keep)");
        let failure = AgentFailure {
            resets_at: Some(quota.resets_at),
            scope: Some(scope.clone()),
            ..AgentFailure::new(FailureKind::Limit, text)
        };
        let account = self.accounts.entry(name.to_owned()).or_default();
        account.close(&failure, Some(reset), settings, (at, salt));
    }

    /// The journal's time of a moment that an agent told, in seconds since 1970: agents go by the wall.
    fn told_time(&self, seconds: i64) -> Option<Stamp> {
        let seconds = u64::try_from(seconds).ok()?;
        Some(self.journal_time(Stamp(seconds.saturating_mul(1000))))
    }

    /// When the next iteration of the profile's account may begin: logins are not refreshed by two at once.
    pub(super) fn apart_until(&self, run: &Run, profile: &str) -> Option<Stamp> {
        let apart_ms = run.settings.agents.get(profile)?.apart_ms?;
        let last = self.last_starts.get(account_of(&run.settings, profile))?;
        Some(last.plus_ms(apart_ms))
    }

    /// Takes note that an iteration of a profile has begun.
    pub(super) fn account_used(&mut self, profile: &str, at: Stamp) {
        if let Some(run) = &self.run {
            let account = account_of(&run.settings, profile).to_owned();
            self.last_starts.insert(account, at);
        }
    }

    /// When accounts that were used a moment ago may be used again.
    pub(super) fn apart_times(&self, run: &Run, now: Stamp) -> Option<Stamp> {
        let times = run.settings.agents.keys();
        let times = times.filter_map(|profile| self.apart_until(run, profile));
        times.filter(|at| *at > now).min()
    }

    /// What only a person could mend may have been mended; what time mends is still waited for.
    pub(super) fn try_accounts_again(&mut self) {
        self.accounts.retain(|_, account| !account.is_lost());
    }

    /// The account that can be used for a feature no more in this run, if that is so.
    pub(super) fn lost_account<'a>(&self, run: &'a Run, feature: &'a Feature) -> Option<&'a str> {
        let mut profiles = profiles(run, feature).peekable();
        let own = account_of(&run.settings, profiles.peek()?);
        let lost = |profile| self.account(run, profile).is_some_and(Account::is_lost);
        profiles.all(lost).then_some(own)
    }

    /// The account that a feature waits for, and until when; see [`State::reopens`].
    pub(super) fn closed_account<'a>(
        &self,
        run: &'a Run,
        feature: &'a Feature,
        now: Stamp,
    ) -> Option<(&'a str, Option<Stamp>)> {
        let own = account_of(&run.settings, own_profile(run, feature));
        if self.lost_account(run, feature).is_some() {
            return Some((own, None));
        }
        let until = self.reopens(run, feature, now)?;
        Some((own, Some(until)))
    }

    fn account(&self, run: &Run, profile: &str) -> Option<&Account> {
        self.accounts.get(account_of(&run.settings, profile))
    }

    /// When a feature's account can be used again, if it is closed for a while and nothing stands in for it.
    pub(super) fn reopens(&self, run: &Run, feature: &Feature, now: Stamp) -> Option<Stamp> {
        let mut opens = Vec::new();
        for profile in profiles(run, feature) {
            let account = self
                .account(run, profile)
                .filter(|account| account.is_closed(now));
            opens.push(account?.closed.as_ref()?.until);
        }
        opens.into_iter().flatten().min()
    }

    /// The profile that may begin an iteration of the feature now.
    pub(super) fn profile_for<'a>(
        &self,
        run: &'a Run,
        feature: &'a Feature,
        now: Stamp,
    ) -> Option<&'a str> {
        let is_open = |profile: &&str| {
            !self
                .account(run, profile)
                .is_some_and(|account| account.is_closed(now))
        };
        let profile = profiles(run, feature).find(is_open)?;
        if self
            .apart_until(run, profile)
            .is_some_and(|until| until > now)
        {
            return None;
        }
        let own = &feature.spec.slug;
        let others = |same: &dyn Fn(&str) -> bool| {
            let busy = self.in_slots.iter().filter(|slug| *slug != own);
            let busy = busy
                .filter_map(|slug| self.features.get(slug))
                .filter(|other| is_active(other) && same(used_by(run, other)));
            u32::try_from(busy.count()).unwrap_or(u32::MAX)
        };
        let account = account_of(&run.settings, profile);
        let ramp = self.account(run, profile).and_then(|account| account.ramp);
        let most = run
            .settings
            .agents
            .get(profile)
            .and_then(|agent| agent.parallel);
        let fits = ramp
            .is_none_or(|ramp| others(&|used| account_of(&run.settings, used) == account) < ramp)
            && most.is_none_or(|most| others(&|used| used == profile) < most);
        fits.then_some(profile)
    }
}

/// Whether an agent is at work on it, or will be when its worktree is ready.
pub(super) fn is_active(feature: &Feature) -> bool {
    matches!(
        feature.phase,
        Phase::Preparing | Phase::Working { running: Some(_) }
    )
}

/// The profiles that may work on a feature, the best first.
fn profiles<'a>(run: &'a Run, feature: &'a Feature) -> impl Iterator<Item = &'a str> {
    let limits = &run.settings.limits;
    let fallback = limits
        .fallback
        .iter()
        .filter(|_| limits.on_limit == OnLimit::Switch);
    std::iter::once(own_profile(run, feature)).chain(fallback.map(String::as_str))
}

/// The profile that is at work on a feature, or will be.
pub(super) fn used_by<'a>(run: &'a Run, feature: &'a Feature) -> &'a str {
    let called = feature.called.profile.as_deref();
    let called = called.filter(|_| feature.running().is_some());
    called.unwrap_or_else(|| own_profile(run, feature))
}

pub(super) fn own_profile<'a>(run: &'a Run, feature: &'a Feature) -> &'a str {
    let rung = ladder::rung(run, feature).and_then(|rung| rung.profile.as_deref());
    let own = rung.or(feature.spec.agent.profile.as_deref());
    own.unwrap_or(&run.settings.agent)
}

/// Profiles that nothing is known of have an account of their own.
fn account_of<'a>(settings: &'a Settings, profile: &'a str) -> &'a str {
    let known = settings.agents.get(profile);
    known.map_or(profile, |agent| agent.account.as_str())
}
