//! What happens when the account of an agent cannot be used: the keys, and what they come to.
//!
//! This file must never know why an account cannot be used.

use super::kind::{Percent, Span};
use super::resolve::Resolver;
use super::resolved::Profile;
use super::source::quoted;
use crate::model::{self, Code, LimitSettings, Problem};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(super) struct Limits {
    /// What the features do that need the account: wait until it can be used again, halt for this run, or switch to a
    /// fallback profile meanwhile.
    pub on_limit: OnLimit,
    /// How long an account is waited for at most; a limit that ends later ends the run with exit code 6.
    pub max_wait: Span,
    /// So much of each limit is kept for you: an account of which more is used counts as used up until the reset, for
    /// agents that report it (claude, with a subscription); null keeps nothing.
    pub keep: Option<Percent>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum OnLimit {
    Wait,
    Halt,
    Switch,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            on_limit: OnLimit::Wait,
            max_wait: Span(Duration::from_secs(6 * 60 * 60)),
            keep: None,
        }
    }
}

impl Resolver<'_> {
    /// What happens at a limit. Fallback profiles must exist.
    pub(super) fn limits(
        &mut self,
        shape: &Limits,
        fallback: Vec<String>,
        agents: &BTreeMap<String, Profile>,
    ) -> LimitSettings {
        for name in fallback.iter().filter(|name| !agents.contains_key(*name)) {
            let message = format!("`fallback`: there is no agent profile {}", quoted(name));
            let known: Vec<&str> = agents.keys().map(String::as_str).collect();
            let problem = Problem::error(message)
                .code(Code::UnknownAgent)
                .help(format!("profiles are: {}", known.join(", ")));
            self.problem("fallback", problem);
        }
        let on_limit = match shape.on_limit {
            OnLimit::Wait => model::OnLimit::Wait,
            OnLimit::Halt => model::OnLimit::Halt,
            OnLimit::Switch => model::OnLimit::Switch,
        };
        if on_limit == model::OnLimit::Switch && fallback.is_empty() {
            let message = "`limits.on_limit: switch` needs something to switch to";
            let problem = Problem::error(message)
                .code(Code::BadValue)
                .help("name other profiles: `fallback: [codex]`");
            self.problem("limits.on_limit", problem);
        }
        LimitSettings {
            on_limit,
            max_wait_ms: u64::try_from(shape.max_wait.0.as_millis()).unwrap_or(u64::MAX),
            keep_percent: shape.keep.map(|percent| percent.0),
            fallback,
        }
    }
}
