//! Budgets: how much of one is used, when a person is told, and when nothing more may begin.
//!
//! A run's budget counts from its start, as its iterations do; a feature's counts over all runs, until a person has it
//! tried again. What an iteration used is known when it has ended: what runs at that moment may go beyond. This file must
//! never know what an agent is.

use super::feature::Feature;
use super::state::{Run, State};
use crate::model::{Budget, BudgetUnit, Event, Finding, Settings, Slug, Spending, Usage};

/// At so many percent of a budget a person is told.
const NEAR_PERCENT: u128 = 80;

/// How much is used of each limit that a budget sets.
fn spendings(budget: Budget, used: &Usage) -> impl Iterator<Item = Spending> {
    let limits = [
        (BudgetUnit::MicroUsd, budget.micro_usd, used.micro_usd),
        (BudgetUnit::Tokens, budget.tokens, used.tokens()),
    ];
    let estimated = used.estimated;
    limits.into_iter().filter_map(move |(unit, limit, used)| {
        Some(Spending {
            unit,
            budget: limit?,
            used,
            estimated: estimated && unit == BudgetUnit::MicroUsd,
        })
    })
}

fn is_near(spending: &Spending) -> bool {
    u128::from(spending.used) * 100 >= u128::from(spending.budget) * NEAR_PERCENT
}

/// What a feature may use until a person has it tried again.
pub(super) fn allowed(settings: &Settings, feature: &Feature) -> Budget {
    feature.spec.budget.or(settings.budget.feature)
}

/// The run's budget, if nothing is left of it.
pub(super) fn run_used_up(run: &Run) -> Option<Spending> {
    spendings(run.settings.budget.run, &run.used).find(Spending::is_all)
}

/// A feature's budget, if nothing is left of it.
pub(super) fn feature_used_up(settings: &Settings, feature: &Feature) -> Option<Spending> {
    spendings(allowed(settings, feature), &feature.spent).find(Spending::is_all)
}

/// What is to be told of the run's budget.
pub(super) fn run_news(run: &Run) -> Option<Event> {
    let told = |one: &Spending| run.budget_told.contains(&(one.unit, one.is_all()));
    let mut near = spendings(run.settings.budget.run, &run.used).filter(is_near);
    let spending = near.find(|one| !told(one))?;
    Some(noticed(Finding::Budget {
        slug: None,
        spending,
    }))
}

/// What is to be told of a feature's budget. That it is used up is told otherwise: the feature is given up then.
pub(super) fn feature_news(run: &Run, slug: &Slug, feature: &Feature) -> Option<Event> {
    if feature.budget_told || !feature.may_begin() {
        return None;
    }
    let mut all = spendings(allowed(&run.settings, feature), &feature.spent);
    let spending = all.find(|one| is_near(one) && !one.is_all())?;
    Some(noticed(Finding::Budget {
        slug: Some(slug.clone()),
        spending,
    }))
}

pub(super) fn noticed(what: Finding) -> Event {
    Event::Noticed { what }
}

impl State {
    /// Takes in what an iteration used, whatever came of it.
    pub(super) fn spend(&mut self, slug: &Slug, used: Usage) {
        if let Some(feature) = self.features.get_mut(slug) {
            feature.usage = feature.usage.plus(used);
            feature.spent = feature.spent.plus(used);
        }
        if let Some(run) = &mut self.run {
            run.used = run.used.plus(used);
        }
    }

    /// Takes in that a person was told of something.
    pub(super) fn notice(&mut self, what: &Finding) {
        match what {
            Finding::Budget {
                slug: Some(slug), ..
            } => {
                if let Some(feature) = self.features.get_mut(slug) {
                    feature.budget_told = true;
                }
            }
            Finding::Budget {
                slug: None,
                spending,
            } => {
                if let Some(run) = &mut self.run {
                    // Who is told that all is used need not be told that most of it is.
                    run.budget_told.insert((spending.unit, spending.is_all()));
                    run.budget_told.insert((spending.unit, false));
                }
            }
            Finding::CacheDropped { profile, .. } => {
                if let Some(run) = &mut self.run
                    && let Some(cache) = run.caches.get_mut(profile)
                {
                    cache.told = true;
                }
            }
            Finding::PromptChanged { .. } => self.prompt.changed = None,
        }
        if let Some(run) = &mut self.run {
            run.findings.push(what.clone());
        }
    }
}
