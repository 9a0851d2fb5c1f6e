//! The shape of what harness.yaml says about sandboxes.
//!
//! This file must never know how a sandbox is made.

use super::kind::Words;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where people keep what would let somebody act in their name.
const SECRETS: [&str; 24] = [
    "~/.ssh",
    "~/.gnupg",
    "~/.aws",
    "~/.azure",
    "~/.kube",
    "~/.docker",
    "~/.netrc",
    "~/.git-credentials",
    "~/.npmrc",
    "~/.pypirc",
    "~/.vault-token",
    "~/.password-store",
    "~/.cargo/credentials.toml",
    "~/.config/gh",
    "~/.config/git/credentials",
    "~/.config/gcloud",
    "~/.config/op",
    "~/.config/google-chrome",
    "~/.config/chromium",
    "~/.mozilla",
    "~/.local/share/keyrings",
    "~/.bash_history",
    "~/.zsh_history",
    "~/.terraform.d/credentials.tfrc.json",
];

#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum SandboxChoice {
    Off,
    Auto,
    Bwrap,
    Landlock,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Network {
    Full,
    None,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(super) struct Confine {
    /// full or none; only bwrap can take it away.
    pub network: Network,
    /// Places that agents and commands may write besides their worktree, caches for example; ~ is your home.
    pub write: Words,
    /// Places that nobody may read; ~ is your home.
    pub hide: Words,
    /// Places that may be read although they are below one of hide, or below /tmp; ~ is your home.
    pub read: Words,
}

impl Default for Confine {
    fn default() -> Self {
        Self {
            network: Network::Full,
            write: Words::default(),
            hide: Words(SECRETS.map(str::to_owned).into()),
            read: Words::default(),
        }
    }
}

/// What is asked of agents' own git.
pub(super) fn isolation(shape: super::shape::Isolation) -> crate::model::Isolation {
    match shape {
        super::shape::Isolation::Worktree => crate::model::Isolation::Worktree,
        super::shape::Isolation::Clone => crate::model::Isolation::Clone,
    }
}
