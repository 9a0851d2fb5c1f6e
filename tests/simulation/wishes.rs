//! What people leave out, and what they want to see before it lands. With dice of their own: a night without such wishes
//! is the night that it was before there were any.

use super::auditor::{Known, Where};
use super::dice::Dice;
use super::repository::Repository;
use super::world::Sim;
use harness::model::{Command, FeatureSpec, Slug};

#[derive(Debug)]
pub(super) struct Wishes {
    dice: Dice,
    /// How often somebody leaves something out, lets it through or sends it back, in percent of the occasions.
    pub(super) rate: u64,
    /// How many features a person wants to see, in percent.
    pub(super) reviews: u64,
}

impl Wishes {
    pub(super) fn new(mut dice: Dice) -> Self {
        let mut rate = |most| match dice.chance(50) {
            true => 1 + dice.roll(most),
            false => 0,
        };
        let (rate, reviews) = (rate(80), rate(60));
        Self {
            dice,
            rate,
            reviews,
        }
    }

    /// Somebody goes through the specs and says anew of some of them whether they want to see what comes of it.
    pub(super) fn revise(&mut self, specs: &mut [FeatureSpec]) {
        for spec in specs {
            if self.reviews > 0 && self.dice.chance(40) {
                spec.review = self.dice.chance(self.reviews);
            }
        }
    }
}

impl Sim {
    /// Somebody wishes something, perhaps.
    pub(super) fn somebody_wishes(&mut self) -> bool {
        let dice = &mut self.wishes.dice;
        if self.wishes.rate == 0 || !dice.chance(self.wishes.rate) {
            return false;
        }
        let kind = dice.roll(4);
        // Mostly of those for whom it makes sense, at times of any.
        let is_any = dice.chance(20);
        let fits = |known: &Known| match kind {
            0 => !matches!(known.place, Where::Landed),
            1 => known.is_left_out(),
            _ => known.place == Where::ToReview,
        };
        let features = self.auditor.features.iter();
        let meant = features.filter(|(_, known)| is_any || fits(known));
        let names: Vec<Slug> = meant.map(|(slug, _)| slug.clone()).collect();
        let Some(slug) = dice.pick(&names) else {
            return false;
        };
        let known_to_wait = self.auditor.of(&slug).place == Where::ToReview;
        self.disk.inbox.push(match kind {
            0 => Command::Skip {
                slug,
                why: "not tonight".into(),
            },
            1 => Command::Retry { slug },
            2 if dice.chance(40) => Command::Unblock {
                slug,
                answer: "smaller".into(),
            },
            _ => {
                // At times of what it was before.
                let version = self.disk.repo.branches.get(&slug).copied().unwrap_or(0);
                let before = u64::from(dice.chance(20));
                let tip = Repository::branch_tip(&slug, version.saturating_sub(before));
                if known_to_wait && dice.chance(30) {
                    // Somebody adds to it after all.
                    self.disk.repo.work(&slug, true, None);
                }
                Command::Approve { slug, tip }
            }
        });
        true
    }
}
