//! Budgets: what a run or a feature may use, and how it is said that one is reached.
//!
//! This file must never know what follows from it.

use super::Slug;
use serde::{Deserialize, Serialize};

/// What may be used; `None`: as much as it takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Money in millionths of a US dollar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub micro_usd: Option<u64>,
    /// Tokens of every kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
}

impl Budget {
    /// Whether it sets no limit.
    #[must_use]
    pub fn is_unlimited(&self) -> bool {
        *self == Self::default()
    }

    /// This one, and `other` where it sets no limit.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            micro_usd: self.micro_usd.or(other.micro_usd),
            tokens: self.tokens.or(other.tokens),
        }
    }
}

/// The budgets of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BudgetSettings {
    /// What all iterations of the run may use together.
    #[serde(default, skip_serializing_if = "Budget::is_unlimited")]
    pub run: Budget,
    /// What one feature may use that has no budget of its own.
    #[serde(default, skip_serializing_if = "Budget::is_unlimited")]
    pub feature: Budget,
}

impl BudgetSettings {
    pub(super) fn is_unlimited(&self) -> bool {
        self.run.is_unlimited() && self.feature.is_unlimited()
    }
}

impl Finding {
    /// The codes of all of them.
    pub const CODES: [&'static str; 3] = ["budget", "cache_dropped", "prompt_changed"];

    /// Its code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        let [budget, cache_dropped, prompt_changed] = Self::CODES;
        match self {
            Self::Budget { .. } => budget,
            Self::CacheDropped { .. } => cache_dropped,
            Self::PromptChanged { .. } => prompt_changed,
        }
    }
}

/// What a budget counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BudgetUnit {
    /// Money, in millionths of a US dollar.
    MicroUsd,
    /// Tokens.
    Tokens,
}

/// A budget, and how much of it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spending {
    /// Of what.
    pub unit: BudgetUnit,
    /// How much there was.
    pub budget: u64,
    /// How much of it is used; may be more.
    pub used: u64,
    /// Whether some of it is an estimate.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub estimated: bool,
}

impl Spending {
    /// Whether nothing is left.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.used >= self.budget
    }
}

/// Something that a person should know, and that stops nothing. Told once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "finding",
    rename_all = "snake_case",
    rename_all_fields = "snake_case",
    deny_unknown_fields
)]
pub enum Finding {
    /// Most of a budget is used, or all of it.
    Budget {
        /// Whose; `None`: the run's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        slug: Option<Slug>,
        /// How much.
        spending: Spending,
    },
    /// Much less of what a profile's models are given comes from the prompt cache than before.
    CacheDropped {
        /// Which profile.
        profile: String,
        /// How many percent it is.
        percent: u32,
        /// How many it was.
        before: u32,
    },
    /// The beginning that all prompts have in common is another one than it was: caches begin anew.
    PromptChanged {
        /// The first feature that was told the new one.
        slug: Slug,
        /// In which iteration.
        iteration: u32,
    },
}
