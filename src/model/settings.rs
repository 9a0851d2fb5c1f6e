//! The part of the configuration that decisions depend on; it is journalled with every run.

use super::Slug;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What [`core`](crate::core) needs to know to decide.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// How many agents may run at once; at least 1.
    pub parallel: u32,
    /// Agent calls in the whole run.
    pub max_iterations: u32,
    /// Agent calls on one feature since it was last queued.
    pub max_iterations_per_feature: u32,
    /// Pause between two iterations of one feature, in milliseconds.
    pub sleep_between_ms: u64,
    /// What one feature's halt does to the others.
    pub on_halt: OnHalt,
    /// Thresholds of the breakers.
    pub breakers: BreakerSettings,
    /// Features the run is limited to; `None` means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<BTreeSet<Slug>>,
}

/// What happens to the other features when one blocks or trips.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnHalt {
    /// They go on.
    #[default]
    Isolate,
    /// The HALT file is written and the run drains, as harness-loop did.
    Stop,
}

/// Thresholds of the per-feature circuit breakers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakerSettings {
    /// Silent iterations in a row that trip `stuck`.
    pub stuck_limit: u32,
    /// At most this many bytes of the agent's own text make an iteration silent.
    pub stuck_min_bytes: u64,
    /// Iterations in a row that change nothing in the worktree and trip `idle`.
    pub idle_limit: u32,
    /// Same failures in a row that trip `repeat`.
    pub repeat_limit: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            parallel: 1,
            max_iterations: 200,
            max_iterations_per_feature: 20,
            sleep_between_ms: 0,
            on_halt: OnHalt::Isolate,
            breakers: BreakerSettings::default(),
            only: None,
        }
    }
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self {
            stuck_limit: 3,
            stuck_min_bytes: 32,
            idle_limit: 5,
            repeat_limit: 3,
        }
    }
}
