//! What may be used, and what models cost: the keys, and what they come to.
//!
//! This file must never know what was used.

use super::kind::Usd;
use super::resolve::Resolver;
use super::source::quoted;
use crate::model::{self, BudgetSettings, Code, Problem, list_price};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What may be used.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(super) struct Budget {
    /// US dollars for the whole run; what runs when they are used up may end. null means no limit.
    pub usd: Option<Usd>,
    /// Tokens for the whole run, those from the prompt cache included.
    #[schemars(range(min = 1, max = 1_000_000_000_000_000_i64))]
    pub tokens: Option<u64>,
    /// US dollars for each feature that has no budget of its own, until it is tried again.
    pub feature_usd: Option<Usd>,
    /// Tokens for each feature that has no budget of its own.
    #[schemars(range(min = 1, max = 1_000_000_000_000_000_i64))]
    pub feature_tokens: Option<u64>,
}

/// What one feature may use.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(super) struct FeatureBudget {
    /// US dollars, until the feature is tried again.
    pub usd: Option<Usd>,
    /// Tokens, those from the prompt cache included.
    #[schemars(range(min = 1, max = 1_000_000_000_000_000_i64))]
    pub tokens: Option<u64>,
}

/// What a million tokens of a model cost, in US dollars.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(super) struct Price {
    /// Input that was not cached.
    pub input: Usd,
    /// Output.
    pub output: Usd,
    /// Input read from the prompt cache; null means what other input costs.
    pub cache_read: Option<Usd>,
    /// Input written to the prompt cache; null means what other input costs.
    pub cache_write: Option<Usd>,
}

impl FeatureBudget {
    pub(super) fn resolved(&self) -> model::Budget {
        model::Budget {
            micro_usd: self.usd.map(|usd| usd.0),
            tokens: self.tokens,
        }
    }
}

impl Budget {
    pub(super) fn resolved(&self) -> BudgetSettings {
        BudgetSettings {
            run: model::Budget {
                micro_usd: self.usd.map(|usd| usd.0),
                tokens: self.tokens,
            },
            feature: model::Budget {
                micro_usd: self.feature_usd.map(|usd| usd.0),
                tokens: self.feature_tokens,
            },
        }
    }
}

impl Resolver<'_> {
    /// What models cost by the user's own word. Who says what one costs says it of input and of output.
    pub(super) fn prices(
        &mut self,
        shapes: BTreeMap<String, Price>,
    ) -> BTreeMap<String, model::Price> {
        let mut prices = BTreeMap::new();
        let section = self
            .file
            .and_then(|(source, root)| Some((source, root.entry("prices")?)));
        for (name, shape) in shapes {
            let given = section.and_then(|(source, all)| Some((source, all.node.entry(&name)?)));
            let is_there = |part| given.is_none_or(|(_, one)| one.node.entry(part).is_some());
            for part in ["input", "output"] {
                if is_there(part) {
                    continue;
                }
                let message = format!("{}: `{part}` is missing", quoted(&format!("prices.{name}")));
                let help = "say what a million tokens cost: {input: 2, output: 10}";
                let problem = Problem::error(message).code(Code::BadValue).help(help);
                let spot = given.and_then(|(source, one)| Some(source.spot(one.place?)));
                self.problems.push(match spot {
                    Some(spot) => spot.mark(problem),
                    None => problem,
                });
            }
            let input = shape.input.0;
            let price = model::Price {
                input,
                output: shape.output.0,
                cache_read: shape.cache_read.map_or(input, |usd| usd.0),
                cache_write: shape.cache_write.map_or(input, |usd| usd.0),
            };
            prices.insert(name, price);
        }
        prices
    }
}

/// What a model costs: by the user's word, else by the list.
#[must_use]
pub fn price(own: &BTreeMap<String, model::Price>, model: &str) -> Option<model::Price> {
    own.get(model).copied().or_else(|| list_price(model))
}
