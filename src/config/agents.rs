//! The keys of an agent's profile.
//!
//! This file must never know how a kind of agent is called.

use super::confine::Network;
use super::kind::{Name, Text, Words};
use super::resolve::Resolver;
use super::resolved;
use crate::model::{Code, Problem};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(super) struct Profile {
    /// claude (Claude Code), codex, opencode, goose, gemini, copilot, qwen, aider; command: any, prompt on its stdin.
    pub kind: Option<Kind>,
    /// Program and first arguments; for kinds other than command, what to run instead of the program of that name.
    pub command: Vec<Text>,
    /// Model handed to the agent.
    pub model: Option<Name>,
    /// Further arguments.
    pub args: Vec<Text>,
    /// Environment variables set for the agent.
    pub env: BTreeMap<String, Text>,
    /// Environment variables passed on from harness's own environment.
    pub env_pass: Words,
    /// Places that it may write in a sandbox besides those of its kind and of confine.write; ~ is your home.
    pub write: Words,
    /// full or none, in a sandbox; null means what confine.network says.
    pub network: Option<Network>,
    /// Name of the account that it uses; profiles of one account share its limits. null means the kind's: profiles of
    /// kind command have one each.
    pub account: Option<Name>,
    /// fresh begins a conversation with each iteration, resume goes on with the last one about the feature; the latter for
    /// claude and codex.
    pub session: Session,
    /// How many of it may work at once; null means as many as there are slots.
    #[schemars(range(min = 1, max = 1000))]
    pub parallel: Option<u32>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Session {
    #[default]
    Fresh,
    Resume,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Claude,
    Codex,
    Opencode,
    Goose,
    Gemini,
    Copilot,
    Qwen,
    Aider,
    Command,
}

impl Resolver<'_> {
    /// Whether a profile's iterations go on with a conversation. Its kind must be able to.
    pub(super) fn resumes(&mut self, agent: &str, kind: resolved::Kind, session: Session) -> bool {
        let asked = session == Session::Resume;
        if asked && !kind.can_resume() {
            let able = resolved::Kind::ALL
                .into_iter()
                .filter(|kind| kind.can_resume());
            let able: Vec<&str> = able.map(resolved::Kind::name).collect();
            let name = kind.name();
            let message = format!("kind `{name}` cannot be told to go on with a conversation");
            let help = format!("remove `session: resume`; these can: {}", able.join(", "));
            let key = format!("agents.{agent}.session");
            self.problem(
                &key,
                Problem::error(message).code(Code::BadValue).help(help),
            );
        }
        asked
    }
}
