//! What agents used: tokens, money, and what they were told.
//!
//! This file must never know what may be used.

use serde::{Deserialize, Serialize};

/// Tokens and money of one iteration, or of many, as far as agents report them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    /// Input tokens that were not cached.
    pub input: u64,
    /// Output tokens.
    pub output: u64,
    /// Tokens read from the prompt cache.
    pub cache_read: u64,
    /// Tokens written to the prompt cache.
    pub cache_write: u64,
    /// Money in millionths of a US dollar.
    pub micro_usd: u64,
    /// Whether some of the money is no agent's word: its tokens at a list price.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub estimated: bool,
}

impl Usage {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            input: self.input.saturating_add(other.input),
            output: self.output.saturating_add(other.output),
            cache_read: self.cache_read.saturating_add(other.cache_read),
            cache_write: self.cache_write.saturating_add(other.cache_write),
            micro_usd: self.micro_usd.saturating_add(other.micro_usd),
            estimated: self.estimated || other.estimated,
        }
    }

    /// What is left of it without what was used before.
    #[must_use]
    pub fn minus(self, before: Self) -> Self {
        Self {
            input: self.input.saturating_sub(before.input),
            output: self.output.saturating_sub(before.output),
            cache_read: self.cache_read.saturating_sub(before.cache_read),
            cache_write: self.cache_write.saturating_sub(before.cache_write),
            micro_usd: self.micro_usd.saturating_sub(before.micro_usd),
            estimated: self.estimated,
        }
    }

    /// All tokens: what was said and what was heard, whether it was cached or not.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.heard().saturating_add(self.output)
    }

    /// All tokens that models were given.
    #[must_use]
    pub fn heard(&self) -> u64 {
        let fresh = self.input.saturating_add(self.cache_write);
        fresh.saturating_add(self.cache_read)
    }

    /// How many percent of what models were given came from the prompt cache; `None`: they were given nothing.
    #[must_use]
    pub fn cached_percent(&self) -> Option<u32> {
        let share = u128::from(self.cache_read) * 100 / u128::from(self.heard()).max(1);
        (self.heard() > 0).then(|| u32::try_from(share).unwrap_or(100))
    }
}

/// The prompt of one iteration, in figures. Prompt caches match on beginnings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromptFigures {
    /// Its length in bytes.
    pub bytes: u64,
    /// The length of the part that it has in common with every other prompt of its run.
    pub stable: u64,
    /// FNV-1a of that part, 64 bits in hexadecimal.
    pub hash: String,
    /// How long it is the same as the feature's prompt before it, in bytes; 0 when there was none.
    pub shared: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_adds_up() {
        let one = Usage {
            input: 10,
            output: 5,
            cache_read: 60,
            cache_write: 30,
            micro_usd: 7,
            estimated: false,
        };
        let guessed = Usage {
            estimated: true,
            ..one
        };
        let both = one.plus(guessed);
        assert_eq!((both.tokens(), both.micro_usd), (210, 14));
        assert!(both.estimated && !one.plus(one).estimated);
        assert_eq!(both.cached_percent(), Some(60));
        assert_eq!(Usage::default().cached_percent(), None);
        let most = Usage {
            input: u64::MAX,
            cache_read: u64::MAX,
            ..one
        };
        assert_eq!(most.plus(most).tokens(), u64::MAX);
        assert_eq!(most.cached_percent(), Some(100));
    }
}
