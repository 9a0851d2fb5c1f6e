//! What a person is shown of the accounts of agents.
//!
//! Only of those that are not as usual; it must never decide what follows.

use super::state::State;
use crate::model::{FailureKind, Stamp};
use serde::Serialize;

/// An account of agents that cannot be used, or is being tried again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AccountView {
    /// Its name: that of its profile or kind of agent, or what `account` says.
    pub name: String,
    /// Whether it cannot be used now.
    pub closed: bool,
    /// What is the matter; `None`: nothing any more.
    pub kind: Option<FailureKind>,
    /// Which of its limits it is, where the agent says so.
    pub scope: Option<String>,
    /// The agent's own words.
    pub text: String,
    /// When it is tried again; `None`: when a person has helped, or in the next run.
    pub until: Option<Stamp>,
    /// How many may use it at once, while it is being tried.
    pub at_once: Option<u32>,
}

/// What the agent said of the first account that a person must help.
pub(super) fn lost_account(state: &State) -> Option<String> {
    let mut lost = state.accounts.values().filter(|account| account.is_lost());
    Some(lost.next()?.closed.as_ref()?.failure.text.clone())
}

/// All that cannot be used at `now`, by the journal's time, or are being tried again.
pub(super) fn accounts(state: &State, now: Stamp) -> Vec<AccountView> {
    let accounts = state.accounts.iter().map(|(name, account)| {
        let closed = account.closed.as_ref();
        AccountView {
            name: name.clone(),
            closed: account.is_closed(now),
            kind: closed.map(|closed| closed.failure.kind),
            scope: closed.and_then(|closed| closed.failure.scope.clone()),
            text: closed.map_or_else(String::new, |closed| closed.failure.text.clone()),
            until: closed
                .and_then(|closed| closed.until)
                .map(|at| state.wall_time(at)),
            at_once: account.ramp,
        }
    });
    accounts.collect()
}
