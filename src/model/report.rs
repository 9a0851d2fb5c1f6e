//! What an agent reports of its conversation and of its account.
//!
//! Never what follows from it.

use super::Usage;
use serde::{Deserialize, Serialize};

/// How much of one of an account's limits is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// Which, in the agent's words: `five_hour`, `seven_day`, ...
    pub scope: String,
    /// From 0 to 100.
    pub used_percent: u8,
    /// When it begins anew, in seconds since 1970.
    pub resets_at: i64,
}

impl Usage {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        self.with(other, u64::saturating_add)
    }

    /// What is left of it without what was used before.
    #[must_use]
    pub fn minus(self, before: Self) -> Self {
        self.with(before, u64::saturating_sub)
    }

    fn with(self, other: Self, of: fn(u64, u64) -> u64) -> Self {
        Self {
            input: of(self.input, other.input),
            output: of(self.output, other.output),
            cache_read: of(self.cache_read, other.cache_read),
            cache_write: of(self.cache_write, other.cache_write),
            micro_usd: of(self.micro_usd, other.micro_usd),
        }
    }
}

/// A conversation with an agent that can be gone on with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// What the agent calls it.
    pub id: String,
    /// What all calls in it have used.
    pub used: Usage,
}
