//! What a person is told while they are not looking, and how: the keys, and what they come to.
//!
//! This file must never know what happens in a run.

use super::kind::{Name, Text, Words};
use super::resolve::Resolver;
use crate::model::{Code, Problem};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(super) struct Notify {
    /// Of what you are told: started, merged, needs_human, limit, budget, finished.
    pub on: Vec<On>,
    /// Gets what happened as JSON on standard input; by sh -c, for 30 seconds at most with all it starts.
    pub command: Option<Text>,
    /// Variables passed on to the command from harness's own environment.
    pub env_pass: Words,
    /// Where the same JSON is posted to, by curl; `${NAME}` stands for a variable of the environment.
    pub webhook: Option<Name>,
    /// Headers of that request; `${NAME}` stands for a variable of the environment.
    pub headers: BTreeMap<String, Text>,
    /// Ring the bell of the terminal that `harness run` was typed in, and hand it the text (OSC 9).
    pub terminal: bool,
    /// Show it on the desktop: notify-send, or osascript on macOS.
    pub desktop: bool,
}

/// What a person may be told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Occasion {
    /// A run began.
    Started,
    /// A feature landed.
    Merged,
    /// A feature goes on only when a person has done something.
    NeedsHuman,
    /// An account of agents cannot be used for a while, or until a person has helped.
    Limit,
    /// Most of the run's budget is used, or all of it.
    Budget,
    /// A run ended.
    Finished,
}

impl Occasion {
    /// Its name in harness.yaml.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Merged => "merged",
            Self::NeedsHuman => "needs_human",
            Self::Limit => "limit",
            Self::Budget => "budget",
            Self::Finished => "finished",
        }
    }
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum On {
    Started,
    Merged,
    NeedsHuman,
    Limit,
    Budget,
    Finished,
}

impl From<On> for Occasion {
    fn from(on: On) -> Self {
        match on {
            On::Started => Self::Started,
            On::Merged => Self::Merged,
            On::NeedsHuman => Self::NeedsHuman,
            On::Limit => Self::Limit,
            On::Budget => Self::Budget,
            On::Finished => Self::Finished,
        }
    }
}

impl Default for Notify {
    fn default() -> Self {
        Self {
            on: vec![On::NeedsHuman, On::Finished],
            command: None,
            env_pass: Words::default(),
            webhook: None,
            headers: BTreeMap::new(),
            terminal: false,
            desktop: false,
        }
    }
}

/// How a person is told, and of what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notices {
    /// Of what.
    pub on: BTreeSet<Occasion>,
    /// A command that gets JSON on standard input.
    pub command: Option<String>,
    /// Variables of harness's own environment that the command gets; `NAME_*` means all that begin so.
    pub env_pass: Vec<String>,
    /// Where JSON is posted to; `${NAME}` stands for a variable.
    pub webhook: Option<String>,
    /// Headers of that request.
    pub headers: BTreeMap<String, String>,
    /// On the terminal of the run.
    pub terminal: bool,
    /// On the desktop.
    pub desktop: bool,
}

impl Resolver<'_> {
    /// As [`Self::problem`], with the line but not what stands in it: that may be a secret.
    fn hidden_problem(&mut self, key: &str, problem: Problem) {
        self.problem(key, problem);
        if let Some(problem) = self.problems.last_mut() {
            (problem.source_line, problem.columns) = (None, None);
        }
    }

    /// A web address must be one, and a header one line.
    pub(super) fn notices(&mut self, shape: Notify) -> Notices {
        const WEBHOOK: &str = "notify.webhook";
        let webhook = shape.webhook.map(|url| url.0);
        let is_address = |url: &String| {
            let known = ["https://", "http://", "${"];
            known.iter().any(|begin| url.starts_with(begin)) && !url.contains(char::is_whitespace)
        };
        if webhook.as_ref().is_some_and(|url| !is_address(url)) {
            // Not shown: it may be a secret.
            let message =
                format!("`{WEBHOOK}`: expected an address that begins with https:// or http://");
            let help = "or with a variable that holds one: \"${WEBHOOK_URL}\"";
            let problem = Problem::error(message).code(Code::BadValue);
            self.hidden_problem(WEBHOOK, problem.help(help));
        }
        let headers = shape.headers.into_iter();
        let headers: BTreeMap<String, String> =
            headers.map(|(name, text)| (name, text.0)).collect();
        for (name, text) in &headers {
            let is_token = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            let fits = !name.is_empty() && name.chars().all(is_token);
            if !fits || text.contains(char::is_control) {
                let message = "`notify.headers`: a header is a name of letters, digits and `-`, and one line of text";
                let problem = Problem::error(message).code(Code::BadValue);
                self.hidden_problem(&format!("notify.headers.{name}"), problem);
            }
        }
        Notices {
            on: shape.on.into_iter().map(Occasion::from).collect(),
            command: shape.command.map(|command| command.0),
            env_pass: shape.env_pass.0,
            webhook,
            headers,
            terminal: shape.terminal,
            desktop: shape.desktop,
        }
    }
}
