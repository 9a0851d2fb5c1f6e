//! List prices of models, for agents that report tokens and no money. What comes of them is an estimate.
//!
//! Read in November 2026 from the providers' public price pages (platform.claude.com/docs/en/about-claude/pricing,
//! developers.openai.com/api/docs/pricing) and from the table of prices in GitHub's documentation of Copilot
//! (docs.github.com, models and pricing): standard rates for short prompts. Not in it are higher rates for long prompts,
//! faster or slower tiers, caches that are kept for hours, and discounts; `prices` in harness.yaml overrules it. A model
//! that is not in it has no price: to guess one by its name would be worse. This file must never know who uses a model.

use super::Usage;
use serde::{Deserialize, Serialize};

/// When the table was read, as it is told to people.
pub const PRICES_READ: &str = "November 2026";

/// What a million tokens cost, in millionths of a US dollar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// Input that was not cached.
    pub input: u64,
    /// Output.
    pub output: u64,
    /// Input read from the cache.
    pub cache_read: u64,
    /// Input written to the cache.
    pub cache_write: u64,
}

impl Price {
    /// What that costs, in millionths of a US dollar.
    #[must_use]
    pub fn of(&self, usage: &Usage) -> u64 {
        let parts = [
            (usage.input, self.input),
            (usage.output, self.output),
            (usage.cache_read, self.cache_read),
            (usage.cache_write, self.cache_write),
        ];
        let sum: u128 = parts
            .iter()
            .map(|(tokens, price)| u128::from(*tokens).saturating_mul(u128::from(*price)))
            .fold(0, u128::saturating_add);
        u64::try_from(sum.saturating_add(500_000) / 1_000_000).unwrap_or(u64::MAX)
    }
}

/// In thousandths of a US dollar: input, output, cache read, cache write.
const fn price(input: u64, output: u64, cache_read: u64, cache_write: u64) -> Price {
    Price {
        input: input * 1_000,
        output: output * 1_000,
        cache_read: cache_read * 1_000,
        cache_write: cache_write * 1_000,
    }
}

const TABLE: &[(&str, Price)] = &[
    ("claude-fable-5-1", price(10_000, 50_000, 250, 12_500)),
    ("claude-fable-5", price(10_000, 50_000, 1_000, 12_500)),
    ("claude-opus-5-5", price(4_000, 20_000, 200, 5_000)),
    ("claude-opus-5", price(5_000, 25_000, 500, 6_250)),
    ("claude-opus-4-8", price(5_000, 25_000, 500, 6_250)),
    ("claude-opus-4-7", price(5_000, 25_000, 500, 6_250)),
    ("claude-opus-4-6", price(5_000, 25_000, 500, 6_250)),
    ("claude-opus-4-5", price(5_000, 25_000, 500, 6_250)),
    ("claude-opus-4-1", price(15_000, 75_000, 1_500, 18_750)),
    ("claude-sonnet-5-5", price(2_000, 10_000, 100, 2_500)),
    ("claude-sonnet-5", price(2_000, 10_000, 200, 2_500)),
    ("claude-sonnet-4-6", price(3_000, 15_000, 300, 3_750)),
    ("claude-sonnet-4-5", price(3_000, 15_000, 300, 3_750)),
    ("claude-sonnet-4", price(3_000, 15_000, 300, 3_750)),
    ("claude-haiku-4-5", price(1_000, 5_000, 100, 1_250)),
    ("gpt-6-sol", price(2_000, 10_000, 200, 2_500)),
    ("gpt-6.1-sol", price(2_000, 10_000, 100, 2_500)),
    ("gpt-6.1-terra", price(1_000, 5_000, 50, 1_250)),
    ("gpt-5.6-sol", price(5_000, 30_000, 500, 6_250)),
    ("gpt-5.6-terra", price(2_000, 12_000, 200, 2_500)),
    ("gpt-5.6-luna", price(200, 1_200, 20, 250)),
    // Before GPT-5.6, what is written to the cache costs what other input costs.
    ("gpt-5.5", price(5_000, 30_000, 500, 5_000)),
    ("gpt-5.4", price(2_500, 15_000, 250, 2_500)),
    ("gpt-5.4-mini", price(750, 4_500, 75, 750)),
    ("gpt-5.4-nano", price(200, 1_250, 20, 200)),
    ("gpt-5.3-codex", price(1_750, 14_000, 175, 1_750)),
    ("gpt-5.2-codex", price(1_750, 14_000, 175, 1_750)),
    ("gpt-5.2", price(1_750, 14_000, 175, 1_750)),
    ("gpt-5-codex", price(1_250, 10_000, 125, 1_250)),
    ("gpt-5", price(1_250, 10_000, 125, 1_250)),
    ("gpt-5-mini", price(250, 2_000, 25, 250)),
    ("gemini-3.1-pro", price(2_000, 12_000, 200, 2_000)),
    ("gemini-3.5-flash", price(1_500, 9_000, 150, 1_500)),
];

/// The list price of a model. Providers (`openai/`), dates (`-20260714`, `-2026-07-14`), sizes of context (`[1m]`) and
/// `-latest` or `-preview` belong to no name in the table.
#[must_use]
pub fn list_price(model: &str) -> Option<Price> {
    let name = bare_name(model);
    let known = TABLE.iter().find(|(known, _)| *known == name);
    known.map(|(_, price)| *price)
}

fn bare_name(model: &str) -> &str {
    let name = model.rsplit('/').next().unwrap_or(model);
    let name = name.split(['[', '@', ':']).next().unwrap_or(name);
    let name = name.strip_suffix("-latest").unwrap_or(name);
    let name = name.strip_suffix("-preview").unwrap_or(name);
    without_date(name)
}

/// Without a date at its end.
fn without_date(name: &str) -> &str {
    let dated = ["-dddddddd", "-dddd-dd-dd"];
    let fits = |pattern: &&str| {
        let tail = name
            .len()
            .checked_sub(pattern.len())
            .and_then(|from| name.get(from..));
        tail.is_some_and(|tail| {
            let mut both = tail.chars().zip(pattern.chars());
            both.all(|(c, p)| if p == 'd' { c.is_ascii_digit() } else { c == p })
        })
    };
    let date = dated.iter().find(|pattern| fits(pattern));
    date.and_then(|pattern| name.get(..name.len() - pattern.len()))
        .unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_found_by_its_name_and_by_no_other() {
        let opus = list_price("claude-opus-5-5");
        assert!(opus.is_some());
        for name in [
            "claude-opus-5-5[1m]",
            "anthropic/claude-opus-5-5",
            "claude-opus-5-5-20260922",
            "claude-opus-5-5@20260922",
            "claude-opus-5-5-latest",
        ] {
            assert_eq!(list_price(name), opus, "{name}");
        }
        assert_eq!(list_price("gpt-5-2026-01-31"), list_price("gpt-5"));
        assert_ne!(list_price("gpt-5-mini"), list_price("gpt-5"));
        for unknown in [
            "gpt-5-pro",
            "gpt-5.9",
            "fake-model",
            "claude-opus",
            "",
            "ü-20260101",
            "-20260101",
        ] {
            assert_eq!(list_price(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn the_table_names_each_model_once_and_in_its_bare_form() {
        for (n, (name, price)) in TABLE.iter().enumerate() {
            assert!(TABLE[n + 1..].iter().all(|(other, _)| other != name));
            assert_eq!(bare_name(name), *name);
            assert!(price.cache_read < price.input && price.input < price.output);
            assert!(price.cache_write >= price.input, "{name}");
        }
    }

    #[test]
    fn tokens_come_to_money() {
        let usage = Usage {
            input: 1_000_000,
            output: 100_000,
            cache_read: 2_000_000,
            cache_write: 10_000,
            ..Usage::default()
        };
        let price = list_price("claude-sonnet-4-6").unwrap();
        assert_eq!(price.of(&usage), 3_000_000 + 1_500_000 + 600_000 + 37_500);
        assert_eq!(price.of(&Usage::default()), 0);
        let most = Usage {
            input: u64::MAX,
            output: u64::MAX,
            ..usage
        };
        assert_eq!(price.of(&most), u64::MAX);
    }
}
