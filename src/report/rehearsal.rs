//! What a rehearsal found: whether a night would go well, how long it may take, and what stands in its way.
//!
//! Only words and sums; what was tried was tried elsewhere.

use super::agents::AgentHere;
use super::doctor::{Finding, Urgency};
use super::text::{about_time, elapsed, escaped, last_said, shown, some};
use crate::config::size_shown;
use std::fmt::Write as _;

const COMMAND_COLUMNS: usize = 80;
const TAIL_LINES: usize = 12;
/// From so few merged features nothing is concluded.
const FEW: usize = 3;

/// Something that every merge needs, tried on what features would build on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// `checkout`, `set-up` or `gate`.
    pub what: &'static str,
    /// The command; empty for the checkout.
    pub command: String,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// The end of its output, if it failed.
    pub failed: Option<String>,
}

impl Tried {
    /// What a person should know of it.
    #[must_use]
    pub fn finding(&self) -> Finding {
        let took = elapsed(self.took_ms);
        let command = match shown(&self.command, COMMAND_COLUMNS) {
            none if none.is_empty() => none,
            command => format!(": {command}"),
        };
        let (urgency, what, remedy) = match &self.failed {
            None => (
                Urgency::Note,
                format!("{} passed in {took}{command}", self.what),
                "",
            ),
            Some(tail) => (
                Urgency::Error,
                format!(
                    "{} failed after {took}{command}: {}",
                    self.what,
                    shown(last_said(tail), 200)
                ),
                "make it pass on what features build on; until then nothing lands",
            ),
        };
        Finding {
            check: "verify",
            urgency,
            what,
            remedy: remedy.to_owned(),
            fixable: false,
        }
    }
}

/// Disk space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Bytes that a worktree takes.
    pub each: u64,
    /// How many there may be at once.
    pub worktrees: u64,
    /// Bytes that are free where they stand.
    pub free: u64,
    /// Bytes that stay free.
    pub min_free: u64,
}

impl Room {
    /// Bytes that they take together.
    #[must_use]
    pub fn needed(&self) -> u64 {
        self.each.saturating_mul(self.worktrees)
    }

    /// Whether they fit.
    #[must_use]
    pub fn is_enough(&self) -> bool {
        self.needed().saturating_add(self.min_free) <= self.free
    }

    /// In words.
    #[must_use]
    pub fn words(&self) -> String {
        let [each, all, free, kept] =
            [self.each, self.needed(), self.free, self.min_free].map(size_shown);
        format!(
            "a worktree takes {each}, {} of them {all}; {free} are free, and {kept} of that stay so (worktrees.min_free)",
            self.worktrees
        )
    }
}

/// How long features took that are merged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// How many they are.
    pub merged: usize,
    /// What their iterations took together, in milliseconds.
    pub agents_ms: u64,
    /// How many gates there were, and how long they took, in milliseconds.
    pub gates: (usize, u64),
}

/// A rehearsal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rehearsal {
    /// The branch features land on.
    pub target: String,
    /// What they would build on.
    pub base: String,
    /// Agents at once.
    pub parallel: u32,
    /// What was tried, in order.
    pub tried: Vec<Tried>,
    /// The agents that a run would call.
    pub agents: Vec<AgentHere>,
    /// Disk space; `None`: nobody can say.
    pub room: Option<Room>,
    /// Features to do.
    pub open: usize,
    /// Length of the longest chain of them.
    pub chain: u32,
    /// What the journal says of earlier ones.
    pub past: Past,
}

impl Rehearsal {
    /// Whether nothing stands in the way.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let passed = self.tried.iter().all(|one| one.failed.is_none());
        let mut agents = self.agents.iter().flat_map(AgentHere::findings);
        let fits = self.room.is_none_or(|room| room.is_enough());
        passed && fits && agents.all(|finding| finding.urgency != Urgency::Error)
    }

    /// How long the open features may take, in milliseconds; `None`: the journal knows too few.
    #[must_use]
    pub fn foreseen_ms(&self) -> Option<u64> {
        let Past {
            merged,
            agents_ms,
            gates,
        } = self.past;
        if merged < FEW {
            return None;
        }
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let each = agents_ms / count(merged);
        let gate = gates.1 / count(gates.0).max(1);
        let work = each.saturating_mul(count(self.open)) / u64::from(self.parallel.max(1));
        let chain = (each + gate).saturating_mul(u64::from(self.chain));
        let queue = gate.saturating_mul(count(self.open));
        Some(work.max(chain).max(queue))
    }

    /// A line for each thing that was tried, and what it comes to.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = format!(
            "rehearsal on {} at {}\n",
            shown(&self.target, 80),
            self.base
        );
        for one in &self.tried {
            let command = shown(&one.command, COMMAND_COLUMNS);
            let took = elapsed(one.took_ms);
            let (word, rest) = match &one.failed {
                None => ("ok", String::new()),
                Some(tail) => ("FAILED", last_lines(tail)),
            };
            let line = format!("{:<9} {word} in {took}  {command}", one.what);
            let _ = writeln!(out, "{}", line.trim_end());
            out.push_str(&rest);
        }
        if !self.tried.iter().any(|one| one.what == "gate") {
            let why = match self.tried.iter().any(|one| one.failed.is_some()) {
                true => "not tried, since what comes before it failed",
                false => "no verify.commands are set: done claims are taken on trust",
            };
            let _ = writeln!(out, "gate      {why}");
        }
        for agent in self.agents.iter().filter(|agent| agent.profile.is_some()) {
            let _ = writeln!(out, "agent     {}", escaped(&agent.line()));
            for finding in agent.findings() {
                let _ = writeln!(
                    out,
                    "          {}; {}",
                    escaped(&finding.what),
                    finding.remedy
                );
            }
        }
        if let Some(room) = &self.room {
            let word = if room.is_enough() { "" } else { "TOO LITTLE: " };
            let _ = writeln!(out, "disk      {word}{}", room.words());
        }
        let _ = writeln!(out, "time      {}", self.time());
        out
    }

    fn time(&self) -> String {
        let todo = some(self.open, "feature");
        let known = some(self.past.merged, "merged feature");
        match self.foreseen_ms() {
            _ if self.open == 0 => "nothing is to be done".to_owned(),
            Some(ms) => format!(
                "{todo} to do, {} at once: {}, going by the {known} of this journal",
                self.parallel,
                about_time(ms)
            ),
            None => format!(
                "{todo} to do; how long that takes nobody can say yet: the journal knows {known}"
            ),
        }
    }
}

fn last_lines(tail: &str) -> String {
    let lines: Vec<&str> = tail.lines().collect();
    let last = lines.len().saturating_sub(TAIL_LINES);
    let last = lines[last..].iter();
    last.map(|line| format!("          {}\n", escaped(line)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rehearsal(past: Past) -> Rehearsal {
        Rehearsal {
            target: "main".into(),
            base: "abc1234".into(),
            parallel: 4,
            tried: vec![Tried {
                what: "gate",
                command: "make test".into(),
                took_ms: 63_000,
                failed: None,
            }],
            agents: Vec::new(),
            room: Some(Room {
                each: 1 << 30,
                worktrees: 5,
                free: 8 << 30,
                min_free: 2 << 30,
            }),
            open: 12,
            chain: 2,
            past,
        }
    }

    const MINUTE: u64 = 60_000;

    #[test]
    fn a_finish_is_foreseen_only_from_what_is_known() {
        let past = |merged| Past {
            merged,
            agents_ms: 20 * MINUTE * 4,
            gates: (8, 8 * MINUTE),
        };
        assert_eq!(rehearsal(past(2)).foreseen_ms(), None);
        // 12 features of 20 minutes each by four agents.
        assert_eq!(rehearsal(past(4)).foreseen_ms(), Some(60 * MINUTE));
        let mut chained = rehearsal(past(4));
        chained.chain = 5;
        assert_eq!(chained.foreseen_ms(), Some(5 * 21 * MINUTE));
        let text = rehearsal(past(4)).text();
        for part in [
            "gate      ok in 1m03s  make test\n",
            "12 features to do, 4 at once: about 1h00m, going by the 4 merged features",
            "a worktree takes 1 GiB, 5 of them 5 GiB; 8 GiB are free",
        ] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
    }

    #[test]
    fn a_gate_that_was_not_reached_is_not_called_unset() {
        let mut early = rehearsal(Past::default());
        early.tried[0].what = "set-up";
        assert!(early.text().contains("no verify.commands are set"));
        early.tried[0].failed = Some("boom\n[exit 1]".into());
        let text = early.text();
        assert!(text.contains("gate      not tried"), "{text}");
        assert!(!text.contains("verify.commands"), "{text}");
    }

    #[test]
    fn a_gate_that_fails_or_a_disk_that_is_too_small_is_not_ready() {
        assert!(rehearsal(Past::default()).is_ready());
        let mut small = rehearsal(Past::default());
        small.room.as_mut().unwrap().free = 6 << 30;
        assert!(!small.is_ready());
        assert!(small.text().contains("TOO LITTLE"));
        let mut red = rehearsal(Past::default());
        red.tried[0].failed = Some("a\n\u{1b}[31mboom\n[exit 2]".into());
        assert!(!red.is_ready());
        let text = red.text();
        assert!(
            text.contains("gate      FAILED in 1m03s  make test\n"),
            "{text}"
        );
        assert!(text.contains("\\u{1b}[31mboom"), "{text}");
        assert_eq!(red.tried[0].finding().urgency, Urgency::Error);
    }
}
