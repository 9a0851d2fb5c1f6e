//! The agents that an examination found: a line about each, and what is to be done.
//!
//! Only words; what was looked at was looked at elsewhere.

use super::doctor::{Finding, Urgency};
use super::money::money;
use super::text::{elapsed, grouped, shown};
use crate::model::{CredentialKind, Credentials, FailureKind, Usage};
use serde::Serialize;
use std::path::PathBuf;

/// The check by which all of this is found.
pub(super) const CHECK: (&str, &str) = ("agents", "the agents that a run would call");

/// An agent, as it was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AgentHere {
    /// The profile that a run would use; `None`: it is merely installed.
    pub profile: Option<String>,
    /// Its kind.
    pub kind: &'static str,
    /// Where its program is.
    pub program: Option<PathBuf>,
    /// Why its program cannot be run.
    pub missing: Option<String>,
    /// Which version it says it is.
    pub version: Option<String>,
    /// What it goes by.
    pub credentials: Credentials,
    /// What came of one turn, if one was asked for.
    pub turn: Option<Turn>,
}

/// What came of one turn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Turn {
    /// Wall time in milliseconds.
    pub elapsed_ms: u64,
    /// What it answered.
    pub message: String,
    /// How it failed; `None`: it did not.
    pub failure: Option<FailureKind>,
    /// The failure in words.
    pub text: String,
    /// Tokens and money, where it reports them.
    pub usage: Option<Usage>,
}

impl Turn {
    /// One that could not be made.
    #[must_use]
    pub fn failed(kind: FailureKind, text: String) -> Self {
        Self {
            elapsed_ms: 0,
            message: String::new(),
            failure: Some(kind),
            text,
            usage: None,
        }
    }

    fn words(&self) -> String {
        let took = elapsed(self.elapsed_ms);
        let mut out = match self.failure {
            None => format!("answered in {took}: {}", shown(&self.message, 40)),
            Some(_) => format!("did not answer (after {took})"),
        };
        if let Some(usage) = self.usage {
            let (read, written) = (grouped(usage.heard()), grouped(usage.output));
            out.push_str(&format!("; {read} tokens in, {written} out"));
            if usage.micro_usd > 0 {
                out.push_str(&format!(", {}", money(&usage)));
            }
        }
        out
    }
}

impl AgentHere {
    fn name(&self) -> String {
        match &self.profile {
            Some(profile) if profile == self.kind => self.kind.to_owned(),
            Some(profile) => format!("{} ({})", shown(profile, 40), self.kind),
            None => self.kind.to_owned(),
        }
    }

    /// `claude: /usr/bin/claude, 2.1.330 (Claude Code); charged to the login in …`
    pub(super) fn line(&self) -> String {
        let program = match &self.program {
            Some(program) => shown(&program.to_string_lossy(), 80),
            None => "not found".to_owned(),
        };
        let version = self.version.as_ref();
        let version =
            version.map_or_else(String::new, |version| format!(", {}", shown(version, 60)));
        let unused = match self.profile {
            Some(_) => "",
            None => "; installed, and no feature uses it",
        };
        let turn = self.turn.as_ref();
        let turn = turn.map_or_else(String::new, |turn| format!("; {}", turn.words()));
        let charged = charged(&self.credentials);
        format!(
            "{}: {program}{version}; {charged}{unused}{turn}",
            self.name()
        )
    }

    /// What a person should hear of it.
    pub(super) fn findings(&self) -> Vec<Finding> {
        let finding = |urgency, what: String, remedy: &str| Finding {
            check: CHECK.0,
            urgency,
            what: format!("agent {}: {what}", self.name()),
            remedy: remedy.to_owned(),
            fixable: false,
        };
        if self.profile.is_none() {
            return Vec::new();
        }
        if let Some(why) = &self.missing {
            return vec![finding(Urgency::Error, why.clone(), "")];
        }
        let failed = self
            .turn
            .as_ref()
            .and_then(|turn| Some((turn.failure?, &turn.text)));
        if let Some((kind, text)) = failed {
            let what = format!("its turn failed: {}", shown(text, 200));
            return vec![finding(Urgency::Error, what, self.remedy(kind))];
        }
        let answered = self.turn.is_some();
        if self.credentials.kind == CredentialKind::Nothing && !answered {
            let what = "neither a login nor a key was found".to_owned();
            let remedy = "log in with it, or set its key; `harness doctor --probe` tries it";
            return vec![finding(Urgency::Note, what, remedy)];
        }
        Vec::new()
    }
}

/// Whose money a call costs.
fn charged(credentials: &Credentials) -> String {
    let name = shown(&credentials.name, 80);
    match credentials.kind {
        CredentialKind::Key => format!("charged to the key in {name}"),
        CredentialKind::Login => format!("charged to the login in {name}"),
        CredentialKind::Elsewhere => format!("charged by the service that {name} names"),
        CredentialKind::Nothing => "no login or key found".to_owned(),
        CredentialKind::Unknown => "what it is charged to is not known".to_owned(),
    }
}

impl AgentHere {
    fn remedy(&self, kind: FailureKind) -> &'static str {
        // A program of the user's may well be fine where the project's files are.
        match self.kind {
            "command" => {
                "it was asked in an empty directory: name its files by their whole paths, or do without asking it"
            }
            _ => remedy(kind),
        }
    }
}

fn remedy(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::Limit => "wait until its limit is reset, or name another profile",
        FailureKind::Auth => "log in with it again, or set its key",
        FailureKind::Billing => "see to its payment, or name another profile",
        FailureKind::Overloaded => "its service refuses work for now: try again later",
        FailureKind::Network => "see that its service can be reached: network, proxy, address",
        FailureKind::Context | FailureKind::Refused => "try another model",
        FailureKind::Crashed | FailureKind::Machine => "run it by hand to see what it says",
        FailureKind::Other => "look at `model` and `args` in its profile, and run it by hand",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here() -> AgentHere {
        AgentHere {
            profile: Some("claude".into()),
            kind: "claude",
            program: Some("/usr/bin/claude".into()),
            missing: None,
            version: Some("2.1.330 (Claude Code)".into()),
            credentials: Credentials {
                kind: CredentialKind::Key,
                name: "ANTHROPIC_API_KEY".into(),
            },
            turn: None,
        }
    }

    #[test]
    fn an_agent_is_one_line_and_what_is_wrong_a_finding() {
        let line = "claude: /usr/bin/claude, 2.1.330 (Claude Code); charged to the key in ANTHROPIC_API_KEY";
        assert_eq!(here().line(), line);
        assert_eq!(here().findings(), []);
        let turn = Turn {
            elapsed_ms: 4_100,
            message: "OK".into(),
            failure: None,
            text: String::new(),
            usage: Some(Usage {
                input: 10,
                output: 4,
                cache_read: 1_000,
                cache_write: 224,
                micro_usd: 12_345,
                estimated: false,
            }),
        };
        let answered = AgentHere {
            turn: Some(turn),
            ..here()
        };
        let words = format!("{line}; answered in 4s: OK; 1,234 tokens in, 4 out, $0.01");
        assert_eq!(answered.line(), words);
        let failed = AgentHere {
            turn: Some(Turn::failed(FailureKind::Auth, "Not logged in".into())),
            ..here()
        };
        let found = failed.findings();
        assert_eq!((found[0].urgency, found.len()), (Urgency::Error, 1));
        assert!(found[0].what.ends_with("its turn failed: Not logged in"));
        let nothing = AgentHere {
            credentials: Credentials {
                kind: CredentialKind::Nothing,
                name: String::new(),
            },
            ..here()
        };
        assert_eq!(nothing.findings()[0].urgency, Urgency::Note);
        let unused = AgentHere {
            profile: None,
            ..nothing
        };
        assert_eq!(unused.findings(), []);
        assert!(
            unused
                .line()
                .ends_with("no login or key found; installed, and no feature uses it")
        );
    }
}
