//! What an examination found, for people and programs.
//!
//! Only words; what was looked at and mended was done elsewhere.

use super::agents::{AgentHere, CHECK};
use super::rehearsal::Tried;
use super::text::{escaped, some};
use crate::model::{Problem, Severity};
use serde::Serialize;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Urgency {
    /// Good to know; nothing is wrong.
    Note,
    /// Something to put right; a run goes on in spite of it.
    Warning,
    /// A run cannot begin, or cannot do its work.
    Error,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// By which check.
    pub check: &'static str,
    /// How much it matters.
    pub urgency: Urgency,
    /// What it is.
    pub what: String,
    /// What a person does about it.
    pub remedy: String,
    /// Whether `--fix` puts it right.
    pub fixable: bool,
}

/// An examination.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checkup {
    /// Who runs here now.
    pub live: Option<String>,
    /// The checks, in their order: name, and what is looked at.
    pub checks: Vec<(&'static str, &'static str)>,
    /// What is to be said.
    pub findings: Vec<Finding>,
    /// The agents that a run would call, and others that are installed.
    pub agents: Vec<AgentHere>,
    /// What was put right, by which check.
    pub fixed: Vec<(&'static str, String)>,
}

impl Checkup {
    /// Takes in what was found of the agents.
    pub fn hear_of(&mut self, agents: Vec<AgentHere>) {
        self.checks.push(CHECK);
        self.findings
            .extend(agents.iter().flat_map(AgentHere::findings));
        self.agents = agents;
    }

    /// Takes in how the commands of the project went on what features build on, or why they could not be tried.
    pub fn hear_of_base(&mut self, tried: Result<&[Tried], &[Problem]>) {
        const VERIFY: &str = "verify";
        self.checks
            .push((VERIFY, "the project's commands on what features build on"));
        match tried {
            Ok(tried) => self.findings.extend(tried.iter().map(Tried::finding)),
            Err(problems) => {
                let problems = problems
                    .iter()
                    .filter(|one| one.severity == Severity::Error);
                self.findings.extend(problems.map(|problem| Finding {
                    check: VERIFY,
                    urgency: Urgency::Error,
                    what: format!("they were not tried: {problem}"),
                    remedy: problem.help.clone().unwrap_or_default(),
                    fixable: false,
                }));
            }
        }
    }

    /// Whether something is to be put right.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        let mut findings = self.findings.iter();
        findings.all(|finding| finding.urgency == Urgency::Note)
    }

    /// A line for each agent and for what was put right, two for each finding, and how many checks there were.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        for agent in &self.agents {
            let _ = writeln!(out, "agent    {}", escaped(&agent.line()));
        }
        for (check, what) in &self.fixed {
            let _ = writeln!(out, "fixed    {check}: {}", escaped(what));
        }
        for finding in &self.findings {
            let word = match finding.urgency {
                Urgency::Note => "note",
                Urgency::Warning => "warning",
                Urgency::Error => "error",
            };
            let what = escaped(&finding.what);
            let _ = writeln!(out, "{word:<8} {}: {what}", finding.check);
            if !finding.remedy.is_empty() {
                let _ = writeln!(out, "{:<8} {}", "", escaped(&finding.remedy));
            }
        }
        let checks = some(self.checks.len(), "check");
        let wrong = self.findings.iter();
        let wrong = wrong.filter(|finding| finding.urgency != Urgency::Note);
        let (fixable, other): (Vec<_>, Vec<_>) = wrong.partition(|finding| finding.fixable);
        let _ = match (fixable.len(), other.len()) {
            (0, 0) => writeln!(out, "{checks}: nothing is wrong"),
            (0, other) => writeln!(out, "{checks}: {} to put right", some(other, "thing")),
            (fixable, other) => writeln!(
                out,
                "{checks}: {} to put right; `harness doctor --fix` does it for {fixable}",
                some(fixable + other, "thing")
            ),
        };
        out
    }

    /// `{"schema":"harness.doctor","version":1,…}`: fields are added, never renamed.
    #[must_use]
    pub fn json(&self) -> Value {
        let checks = self.checks.iter().map(|(id, about)| {
            let mut findings = self.findings.iter();
            let wrong = findings.any(|one| one.check == *id && one.urgency != Urgency::Note);
            json!({"id": id, "about": about, "ok": !wrong})
        });
        let fixed = self.fixed.iter();
        let fixed = fixed.map(|(check, what)| json!({"check": check, "what": what}));
        json!({
            "schema": "harness.doctor",
            "version": 1,
            "healthy": self.is_healthy(),
            "live": self.live,
            "checks": checks.collect::<Vec<Value>>(),
            "findings": self.findings,
            "agents": self.agents,
            "fixed": fixed.collect::<Vec<Value>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkup_is_healthy_if_all_there_is_to_say_are_notes() {
        let finding = |check, urgency, fixable| Finding {
            check,
            urgency,
            what: "some\u{1b}thing".to_owned(),
            remedy: "do this".to_owned(),
            fixable,
        };
        let mut checkup = Checkup {
            checks: vec![("a", "what a is"), ("b", "what b is")],
            findings: vec![finding("a", Urgency::Note, false)],
            ..Checkup::default()
        };
        assert!(checkup.is_healthy());
        assert!(checkup.text().ends_with("2 checks: nothing is wrong\n"));
        checkup.findings.push(finding("b", Urgency::Warning, true));
        checkup.fixed.push(("a", "removed it".to_owned()));
        let text = checkup.text();
        for part in [
            "fixed    a: removed it\n",
            "warning  b: some\\u{1b}thing\n         do this\n",
            "2 checks: 1 thing to put right; `harness doctor --fix` does it for 1\n",
        ] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
        let json = checkup.json();
        assert_eq!(json["healthy"], false);
        assert_eq!(
            (&json["checks"][0]["ok"], &json["checks"][1]["ok"]),
            (&true.into(), &false.into())
        );
        assert_eq!(json["findings"][1]["urgency"], "warning");
    }
}
