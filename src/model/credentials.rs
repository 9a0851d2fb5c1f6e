//! What an agent goes by when it asks its service: names only, never values.

use serde::Serialize;

/// What an agent would go by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Credentials {
    /// What it is.
    pub kind: CredentialKind,
    /// The variable or the file that it is in; empty when nothing was found.
    pub name: String,
}

/// Whose money a call costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialKind {
    /// A key's: each call is paid for.
    Key,
    /// That of whoever has logged in: a subscription, as a rule.
    Login,
    /// A cloud's, or that of a service of the user's own.
    Elsewhere,
    /// Nothing was found. There may be something where nobody can look: in a key ring, or in a file that holds more.
    Nothing,
    /// Nobody knows what this program goes by.
    Unknown,
}
