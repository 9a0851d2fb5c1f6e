//! The part of the configuration that decisions depend on; it is journalled with every run.

use super::{AgentChoice, BudgetSettings, Slug, Stamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What [`core`](crate::core) needs to know to decide.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// How many agents may run at once; at least 1.
    pub parallel: u32,
    /// Agent calls in the whole run.
    pub max_iterations: u32,
    /// Agent calls on one feature since it was last queued.
    pub max_iterations_per_feature: u32,
    /// When nothing is started any more that cannot land by then; `None`: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Deadline>,
    /// Pause between two iterations of one feature, in milliseconds.
    pub sleep_between_ms: u64,
    /// What one feature's halt does to the others.
    pub on_halt: OnHalt,
    /// Thresholds of the breakers.
    pub breakers: BreakerSettings,
    /// How finished features reach the target.
    #[serde(default)]
    pub merge: MergeSettings,
    /// What keeps agents and commands in bounds.
    #[serde(default)]
    pub containment: Containment,
    /// The profile of features that name none.
    #[serde(default)]
    pub agent: String,
    /// The model of every agent of this run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What is to be known of the profiles.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub agents: BTreeMap<String, AgentSettings>,
    /// What happens when an account cannot be used.
    #[serde(default)]
    pub limits: LimitSettings,
    /// What may be used.
    #[serde(default, skip_serializing_if = "BudgetSettings::is_unlimited")]
    pub budget: BudgetSettings,
    /// Whom a feature is given to when one of its breakers opens, one after the other; empty: to a person.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub escalate: Vec<AgentChoice>,
    /// Features the run is limited to; `None` means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<BTreeSet<Slug>>,
}

/// The end of the time that a run was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deadline {
    /// When, by the journal's time: a clock that is set meanwhile does not move it.
    pub at: Stamp,
    /// As it was asked for: `07:30`, `6h`.
    pub asked: String,
}

/// What decisions need to know of an agent's profile.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentSettings {
    /// The account that it uses: profiles of one account share its limits.
    pub account: String,
    /// At most so many of it at once; `None`: as many as there are slots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallel: Option<u32>,
    /// Whether its next iteration on a feature goes on with the conversation of the last.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub resume: bool,
    /// Two of its account are not started within so many milliseconds; `None`: they may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apart_ms: Option<u64>,
}

/// What happens when an account cannot be used for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitSettings {
    /// What the features do that would use it.
    pub on_limit: OnLimit,
    /// How long it is waited for at most, in milliseconds. A limit that ends later ends the run.
    pub max_wait_ms: u64,
    /// So much of each limit is left to the person, in percent; `None`: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_percent: Option<u8>,
    /// With [`OnLimit::Switch`]: the profiles to go on with meanwhile, the best first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallback: Vec<String>,
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            on_limit: OnLimit::Wait,
            max_wait_ms: 6 * 60 * 60 * 1000,
            keep_percent: None,
            fallback: Vec::new(),
        }
    }
}

/// What features do whose agent's account is used up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnLimit {
    /// They wait until it can be used again.
    #[default]
    Wait,
    /// They end for this run.
    Halt,
    /// They go on with another profile.
    Switch,
}

/// What keeps agents and commands in bounds during a run: what the system at hand allows, not what was asked
/// for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Containment {
    /// How processes are kept from outliving what they were started for.
    pub processes: ProcessTier,
    /// What holds them to what they may write and see.
    #[serde(default)]
    pub sandbox: SandboxTier,
}

/// What holds agents and commands to what they may write and see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SandboxTier {
    /// Nothing: they can write and see all that the user can.
    #[default]
    Off,
    /// The kernel's Landlock: it refuses what is not allowed.
    Landlock,
    /// bubblewrap: they have a view of files and processes of their own.
    Bwrap,
}

/// How processes are kept from outliving what they were started for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProcessTier {
    /// By session, process group and a token in the environment: what leaves all three gets away.
    #[default]
    Groups,
    /// By a supervisor that adopts orphans: nothing gets away.
    Supervisor,
    /// By a supervisor and a control group: the kernel ends everything at once.
    Cgroup,
}

/// What of the repository an agent's own git commands may write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// New objects.
    #[default]
    Worktree,
    /// Nothing: what they make is copied when the agent has ended.
    Clone,
}

/// How finished features reach the target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MergeSettings {
    /// Digest of the verify commands and their environment; `None`: there are no commands.
    pub gate: Option<String>,
    /// Features merged and gated together; at least 1.
    pub batch: u32,
    /// Gates that may run at once; at least 1.
    pub parallel_gates: u32,
    /// How often a gate that failed is run again before it is believed.
    pub retries: u32,
    /// How often a conflict goes back to its agent.
    pub max_conflict_rounds: u32,
    /// How often a merge that fails although it does not conflict goes back to its agent.
    pub max_red_rounds: u32,
    /// Whether the target is moved; if not, a person does it.
    pub publish: bool,
}

impl Default for MergeSettings {
    fn default() -> Self {
        Self {
            gate: None,
            batch: 4,
            parallel_gates: 1,
            retries: 1,
            max_conflict_rounds: 3,
            max_red_rounds: 2,
            publish: true,
        }
    }
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
#[serde(deny_unknown_fields)]
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
            until: None,
            sleep_between_ms: 0,
            on_halt: OnHalt::Isolate,
            breakers: BreakerSettings::default(),
            merge: MergeSettings::default(),
            containment: Containment::default(),
            agent: String::new(),
            model: None,
            agents: BTreeMap::new(),
            limits: LimitSettings::default(),
            budget: BudgetSettings::default(),
            escalate: Vec::new(),
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
