//! What must hold of accounts: nobody uses one before it can be used, and while it is being tried, few do.

use super::auditor::{Auditor, Where};
use harness::model::{
    AgentFailure, Ending, FailureKind, IterationReport, OnLimit, Settings, Slug, Stamp,
};

/// What is known of an account. All profiles have their own here.
#[derive(Clone, Debug, Default)]
pub(super) struct Account {
    /// Why it cannot be used, since when, and the earliest and the latest time at which it is tried again.
    closed: Option<(Stamp, Stamp, Stamp)>,
    /// In this run nothing more is to be hoped from it.
    is_dead: bool,
    failures: u32,
    at_once: Option<u32>,
    /// Nobody here knows whether the last run gave it up.
    is_unsure: bool,
}

impl Account {
    fn is_closed(&self, at: Stamp) -> bool {
        self.is_dead || self.closed.is_some_and(|(_, earliest, _)| earliest > at)
    }

    /// Whether its end may lie beyond what a run waits for.
    fn may_be_lost(&self, settings: &Settings) -> bool {
        let most = settings.limits.max_wait_ms;
        let lasts = |(since, _, latest): (Stamp, Stamp, Stamp)| latest.since_ms(since) > most;
        self.is_dead || self.closed.is_some_and(lasts)
    }

    fn fails(&mut self, failure: &AgentFailure, settings: &Settings, at: Stamp) {
        let reset = failure
            .resets_at
            .map(|at| Stamp(u64::try_from(at).unwrap() * 1000));
        if self.is_closed(at) {
            // Who had begun before it was closed.
            if let (Some((_, earliest, latest)), Some(reset)) = (&mut self.closed, reset) {
                *earliest = (*earliest).max(reset);
                *latest = (*latest).max(reset.plus_ms(2_000));
            }
            return;
        }
        let times = |first: u64, most: u64| (first << self.failures.min(16)).min(most);
        let (least, most) = match (failure.kind, reset) {
            (FailureKind::Auth | FailureKind::Billing, _) => {
                self.is_dead = true;
                (0, 0)
            }
            (FailureKind::Limit, Some(reset)) if reset <= at => {
                let wait = times(5_000, 3_600_000);
                (wait, wait)
            }
            (FailureKind::Limit, Some(reset)) => {
                let wait = reset.since_ms(at);
                (wait.max(5_000), (wait + 2_000).max(5_000))
            }
            (FailureKind::Limit, None) => {
                let wait = times(300_000, 3_600_000);
                (wait, wait)
            }
            _ => {
                let wait = times(15_000, 600_000);
                (wait - wait / 4, wait)
            }
        };
        let halts = settings.limits.on_limit == OnLimit::Halt;
        self.is_dead |= halts && failure.kind == FailureKind::Limit;
        let since = self
            .closed
            .map_or(at, |(since, _, latest)| since.plus_ms(at.since_ms(latest)));
        self.closed = Some((since, at.plus_ms(least), at.plus_ms(most)));
        self.failures += 1;
        self.at_once = Some(1);
    }

    fn goes_well(&mut self, settings: &Settings, at: Stamp) {
        if self.is_closed(at) {
            return;
        }
        (self.closed, self.failures, self.is_unsure) = (None, 0, false);
        let at_once = self.at_once.map(|at_once| at_once + 1);
        self.at_once = at_once.filter(|at_once| *at_once < settings.parallel);
    }
}

impl Auditor {
    pub(super) fn accounts_begin_anew(&mut self, before: &Settings) {
        for account in self.accounts.values_mut() {
            if account.may_be_lost(before) {
                *account = Account {
                    is_unsure: !account.is_dead,
                    ..Account::default()
                };
            }
        }
    }

    /// Whether this run may have ended because of an account.
    pub(super) fn an_account_may_be_lost(&self) -> bool {
        let mut accounts = self.accounts.values();
        accounts.any(|account| account.may_be_lost(&self.settings))
    }

    /// Whether somebody may still be waiting for an account.
    pub(super) fn an_account_may_be_closed(&self, at: Stamp) -> bool {
        let may_be = |account: &Account| account.closed.is_some_and(|(.., latest)| latest > at);
        let mut accounts = self.accounts.values();
        accounts.any(|account| {
            account.is_unsure || account.may_be_lost(&self.settings) || may_be(account)
        })
    }

    /// An iteration is about to use an account: its feature's own, or that of a profile which stands in for it.
    pub(super) fn uses_account(&mut self, slug: &Slug, instead: Option<&str>, at: Stamp) {
        let own_profile = self.own_profile(slug);
        let own = self.accounts.get(&own_profile).cloned();
        let own = own.unwrap_or_default();
        let limits = &self.settings.limits;
        if let Some(instead) = instead {
            assert_eq!(limits.on_limit, OnLimit::Switch, "{slug} switched");
            assert!(limits.fallback.iter().any(|name| name == instead));
            assert!(
                own.closed.is_some() || own.is_dead,
                "{slug} switched in vain"
            );
        }
        let name = instead.map_or(own_profile, str::to_owned);
        let account = self.accounts.get(&name).cloned().unwrap_or_default();
        assert!(
            !account.is_closed(at),
            "{slug} uses an account that is used up"
        );
        let active = self.features.iter().filter(|(other, known)| {
            let uses = match known.place {
                Where::Running(_) => known.profile == name,
                Where::Preparing => self.own_profile(other) == name,
                _ => false,
            };
            *other != slug && uses
        });
        let others = u32::try_from(active.count()).unwrap();
        assert!(
            account.at_once.is_none_or(|at_once| others < at_once),
            "{slug} uses an account beside {others} others while it is being tried"
        );
        let apart_ms = self.settings.agents[&name].apart_ms.unwrap_or(0);
        let last = self.last_starts.insert(name, at);
        assert!(
            last.is_none_or(|last| at >= last.plus_ms(apart_ms)),
            "{slug} begins at once with another of its login"
        );
        self.calls(slug, instead);
    }

    pub(super) fn hears_of_account(&mut self, slug: &Slug, report: &IterationReport, at: Stamp) {
        let name = self.of(slug).profile.clone();
        let account = self.accounts.entry(name).or_default();
        let says_nothing = report.ending.killed_by_us()
            || matches!(
                report.ending,
                Ending::NotStarted { .. } | Ending::Signalled { .. }
            );
        match &report.failure {
            Some(failure) if is_the_accounts(failure) => account.fails(failure, &self.settings, at),
            _ if says_nothing => {}
            _ => account.goes_well(&self.settings, at),
        }
        let most = 100 - self.settings.limits.keep_percent.unwrap_or(0);
        let over = report
            .quota
            .iter()
            .filter(|quota| quota.used_percent > most);
        for quota in over.filter(|quota| quota.resets_at * 1000 > i64::try_from(at.0).unwrap()) {
            let failure = AgentFailure {
                resets_at: Some(quota.resets_at),
                ..AgentFailure::new(FailureKind::Limit, "less is left than is kept")
            };
            account.fails(&failure, &self.settings, at);
        }
    }
}

pub(super) fn is_the_accounts(failure: &AgentFailure) -> bool {
    matches!(
        failure.kind,
        FailureKind::Limit
            | FailureKind::Auth
            | FailureKind::Billing
            | FailureKind::Overloaded
            | FailureKind::Network
    )
}
