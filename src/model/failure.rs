//! How the call of an agent can fail.
//!
//! Says what kinds there are and what they have in common, never what follows from one.

use serde::{Deserialize, Serialize};

/// An agent's report that its call failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentFailure {
    /// What kind.
    pub kind: FailureKind,
    /// The CLI's own words, one line, capped.
    pub text: String,
    /// When the account can be used again, in seconds since 1970; `None`: at once, or nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resets_at: Option<i64>,
    /// Which of the account's limits it is, in the CLI's words: `five_hour`, `weekly`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
}

impl AgentFailure {
    /// A failure of which nothing is known but its kind and its words.
    #[must_use]
    pub fn new(kind: FailureKind, text: impl Into<String>) -> Self {
        Self {
            kind,
            text: text.into(),
            resets_at: None,
            scope: None,
        }
    }
}

/// Kinds of agent failure that call for different treatment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The account's quota is used up.
    Limit,
    /// Not logged in, or a bad key.
    Auth,
    /// No credit, or a payment that is due.
    Billing,
    /// The service refuses work for now: it is overloaded, fails, or limits how fast it is asked.
    Overloaded,
    /// The service could not be reached, or the connection broke.
    Network,
    /// The prompt, or what the agent made of it, is too long for the model.
    Context,
    /// The model or its provider declined the work.
    Refused,
    /// The agent's program died.
    Crashed,
    /// The machine refused it processes while it ran: nothing the feature did, so it is done again.
    Machine,
    /// Anything else.
    Other,
}

impl FailureKind {
    /// Whether nothing can be done with this account until a person or time has helped.
    #[must_use]
    pub fn is_the_accounts(self) -> bool {
        matches!(self, Self::Limit | Self::Auth | Self::Billing)
    }

    /// Whether it is nobody's fault and passes by itself.
    #[must_use]
    pub fn passes(self) -> bool {
        matches!(self, Self::Overloaded | Self::Network)
    }
}
