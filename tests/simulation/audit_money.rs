//! What must hold of budgets: nobody begins beyond one, who is given up has none left, a person is told once, and the exit
//! code says it.

use super::auditor::{Auditor, Known, Where};
use harness::model::{Budget, BudgetUnit, Finding, SkipReason, Slug, Spending, Usage};

impl Known {
    pub(super) fn budget_again(&mut self) {
        self.used = [0, 0];
        self.told_of_budget = false;
    }
}

/// Whether less than that is used.
fn is_left(budget: Budget, [micro_usd, tokens]: [u64; 2]) -> bool {
    budget.micro_usd.is_none_or(|limit| micro_usd < limit)
        && budget.tokens.is_none_or(|limit| tokens < limit)
}

impl Auditor {
    pub(super) fn money_begins_anew(&mut self) {
        self.used = [0, 0];
        let names: Vec<Slug> = self.features.keys().cloned().collect();
        names.iter().for_each(|slug| self.frees(slug));
    }

    pub(super) fn run_may_spend(&self) -> bool {
        is_left(self.settings.budget.run, self.used)
    }

    fn budget(&self, slug: &Slug) -> Budget {
        let all = self.settings.budget.feature;
        let own = self.of(slug).spec.as_ref().unwrap().budget;
        Budget {
            micro_usd: own.micro_usd.or(all.micro_usd),
            tokens: own.tokens.or(all.tokens),
        }
    }

    pub(super) fn may_spend(&self, slug: &Slug) -> bool {
        is_left(self.budget(slug), self.of(slug).used)
    }

    /// A bigger budget lets a feature go on that was given up for want of one.
    pub(super) fn frees(&mut self, slug: &Slug) {
        let used_up = matches!(
            self.of(slug).place,
            Where::Failed(SkipReason::BudgetUsedUp { .. })
        );
        if used_up && self.may_spend(slug) {
            self.get(slug).place = Where::Idle;
        }
    }

    pub(super) fn spends(&mut self, slug: &Slug, usage: Option<Usage>) {
        let Some(usage) = usage else { return };
        let tokens = usage.input + usage.output + usage.cache_read + usage.cache_write;
        for used in [
            &mut self.used,
            &mut self.features.get_mut(slug).unwrap().used,
        ] {
            used[0] += usage.micro_usd;
            used[1] += tokens;
        }
    }

    pub(super) fn noticed(&mut self, what: &Finding) {
        let Finding::Budget { slug, spending } = what else {
            return;
        };
        let (budget, used) = match slug {
            Some(slug) => {
                let known = self.of(slug);
                assert!(!known.told_of_budget, "a person was told of {slug}'s twice");
                assert!(!spending.is_all(), "{slug} is given up when all is used");
                (self.budget(slug), known.used)
            }
            None => (self.settings.budget.run, self.used),
        };
        let (limit, used) = match spending.unit {
            BudgetUnit::MicroUsd => (budget.micro_usd, used[0]),
            BudgetUnit::Tokens => (budget.tokens, used[1]),
        };
        let expected = Spending {
            budget: limit.expect("a limit that is set"),
            used,
            ..*spending
        };
        assert_eq!(*spending, expected);
        assert!(used * 5 >= expected.budget * 4, "told too early");
        if let Some(slug) = slug {
            self.get(slug).told_of_budget = true;
        }
    }

    /// At the end of a run.
    pub(super) fn assert_money(&self, codes: &[u8]) {
        let selected = || {
            let all = self.features.iter();
            all.filter(|(slug, _)| self.is_selected(slug))
        };
        let used_up =
            |known: &Known| matches!(known.place, Where::Failed(SkipReason::BudgetUsedUp { .. }));
        let given_up = selected().any(|(_, known)| used_up(known));
        let told = codes.contains(&7);
        assert!(
            told || !given_up,
            "nobody is told of a budget that is used up"
        );
        assert!(
            !told || given_up || !self.run_may_spend(),
            "7 with a budget that is left"
        );
        let gone_on = |known: &Known| {
            let free = matches!(known.place, Where::Idle | Where::Between);
            free && known
                .spec
                .as_ref()
                .unwrap()
                .depends_on
                .iter()
                .all(|name| self.has_landed(name))
        };
        let waits = selected().any(|(_, known)| known.listed && gone_on(known));
        assert!(
            told || self.run_may_spend() || !waits,
            "nobody is told that the run's budget held features back"
        );
    }
}
