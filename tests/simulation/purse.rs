//! Budgets, and what iterations use of them. With dice of its own: a night without budgets is the night that it was before
//! there were any.

use super::dice::Dice;
use harness::model::{Budget, BudgetSettings, FeatureSpec, PromptFigures, Usage};

#[derive(Debug)]
pub(super) struct Purse {
    dice: Dice,
    /// How often a budget is set, in percent of the occasions.
    pub(super) rate: u64,
}

impl Purse {
    pub(super) fn new(mut dice: Dice) -> Self {
        let rate = if dice.chance(50) {
            1 + dice.roll(60)
        } else {
            0
        };
        Self { dice, rate }
    }

    pub(super) fn settings(&mut self) -> BudgetSettings {
        BudgetSettings {
            run: self.budget(20_000_000),
            feature: self.budget(4_000_000),
        }
    }

    /// At most so many millionths of a dollar, and some tokens.
    fn budget(&mut self, most: u64) -> Budget {
        let (rate, dice) = (self.rate, &mut self.dice);
        Budget {
            micro_usd: dice.chance(rate).then(|| dice.roll(most)),
            tokens: dice.chance(rate).then(|| dice.roll(most / 40)),
        }
    }

    /// Somebody goes through the specs and sets the budgets of some of them anew.
    pub(super) fn revise(&mut self, specs: &mut [FeatureSpec]) {
        for spec in specs {
            if self.dice.chance(self.rate / 5) {
                spec.budget = self.budget(6_000_000);
            }
        }
    }

    /// What an iteration used, if its agent says so.
    pub(super) fn usage(&mut self) -> Option<Usage> {
        let dice = &mut self.dice;
        dice.chance(90).then(|| Usage {
            input: dice.roll(1_000),
            output: dice.roll(1_000),
            cache_read: dice.roll(20_000),
            cache_write: dice.roll(1_000),
            micro_usd: dice.roll(1_000_000),
            estimated: dice.chance(30),
        })
    }

    /// Its prompt, whose beginning hardly ever changes.
    pub(super) fn prompt(&mut self) -> Option<PromptFigures> {
        let hash = if self.dice.chance(2) { "b" } else { "a" };
        Some(PromptFigures {
            hash: hash.into(),
            ..PromptFigures::default()
        })
    }
}
