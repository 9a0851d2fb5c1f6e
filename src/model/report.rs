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

/// A conversation with an agent that can be gone on with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// What the agent calls it.
    pub id: String,
    /// What all calls in it have used.
    pub used: Usage,
}
