//! The circuit breakers of one feature: mechanical, blind to meaning, fed only with what the agent
//! itself produced.
//!
//! What harness writes never counts as the agent's progress: the ancestor's breaker counted its own
//! exit line and never tripped.

use crate::model::{BreakerSettings, Ending, FailureKind, IterationReport, StuckRule};
use serde::{Deserialize, Serialize};

/// Counters of one feature. All closed at the beginning and after a person's `retry` or `unblock`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Breakers {
    silent: Row,
    idle: Row,
    agent: Repeat,
    gate: Repeat,
    /// The counter that opened a breaker which is now half open: it trips again when it counts on, and is closed when it
    /// begins anew.
    half_open: Option<Counter>,
}

/// What can open a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Counter {
    Silent,
    Idle,
    Agent,
    Gate,
}

/// Iterations in a row of which the same is true, and how many of them a limit of harness's own ended:
/// an agent that never got to the end of its work is another trouble than one with nothing to say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Row {
    times: u32,
    timed_out: u32,
    no_output: u32,
}

impl Row {
    fn see(&mut self, goes_on: bool, ending: &Ending) {
        if !goes_on {
            *self = Self::default();
            return;
        }
        self.times += 1;
        self.timed_out += u32::from(*ending == Ending::TimedOut);
        self.no_output += u32::from(*ending == Ending::IdleTimedOut);
    }

    /// `3 iterations in a row said nothing (2 were stopped at the time limit)`.
    fn words(&self, did: &str) -> String {
        let were = |number: u32, how: &str| {
            let verb = if number == 1 { "was" } else { "were" };
            (number > 0).then(|| format!("{number} {verb} stopped {how}"))
        };
        let stopped: Vec<String> = [
            were(self.timed_out, "at the time limit"),
            were(self.no_output, "for giving no output"),
        ]
        .into_iter()
        .flatten()
        .collect();
        let mut out = format!("{} iterations in a row {did}", self.times);
        if !stopped.is_empty() {
            out.push_str(&format!(" ({})", stopped.join(", ")));
        }
        out
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Repeat {
    fingerprint: String,
    times: u32,
    /// The last line of what was seen, in its own words.
    last: String,
}

impl Repeat {
    fn see(&mut self, text: &str) {
        let fingerprint = fingerprint(text);
        let again = fingerprint == self.fingerprint;
        let line = text.lines().rev().find(|line| !line.trim().is_empty());
        *self = Self {
            fingerprint,
            times: if again { self.times + 1 } else { 1 },
            last: line
                .unwrap_or_default()
                .trim()
                .chars()
                .take(LAST_CHARS)
                .collect(),
        };
    }
}

/// The breaker that opens at once, on what harness saw outside of the feature's worktree. It counts nothing.
pub(super) const TAMPERED: &str = "tampered";

/// Iterations said nothing.
const STUCK: &str = "stuck";
/// Iterations changed nothing.
const IDLE: &str = "idle";
/// The same failed again and again.
const REPEAT: &str = "repeat";

/// The names of all breakers.
pub const BREAKERS: [&str; 4] = [STUCK, IDLE, REPEAT, TAMPERED];

/// Whether a failure is neither the account's nor the service's.
fn is_its_own(kind: FailureKind) -> bool {
    !kind.is_the_accounts() && !kind.passes()
}

/// A breaker that should open: its name and what it saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trip {
    pub(super) breaker: &'static str,
    pub(super) why: String,
    counter: Counter,
}

impl Breakers {
    /// Counts one charged iteration.
    pub(super) fn iteration(
        &mut self,
        report: &IterationReport,
        run: &BreakerSettings,
        own: StuckRule,
    ) {
        // Of a gate's failures only a gate tells.
        self.half_open = self.half_open.filter(|open| *open == Counter::Gate);
        let said = report.note.trim().len() + report.message.trim().len();
        let min_bytes = own.min_bytes.unwrap_or(run.stuck_min_bytes);
        let silent = u64::try_from(said).unwrap_or(u64::MAX) <= min_bytes;
        self.silent.see(silent, &report.ending);
        self.idle.see(!report.changed, &report.ending);
        match &report.failure {
            Some(failure) if is_its_own(failure.kind) => self.agent.see(&failure.text),
            _ => self.agent = Repeat::default(),
        }
    }

    /// Counts one red gate. Iterations in between do not reset it: only a different failure or a green
    /// gate does.
    pub(super) fn rejected(&mut self, command: &str, tail: &str) {
        self.gate_told();
        self.gate.see(&format!("{command}\n{tail}"));
    }

    /// A gate was green.
    pub(super) fn verified(&mut self) {
        self.gate_told();
        self.gate = Repeat::default();
    }

    fn gate_told(&mut self) {
        self.half_open = self.half_open.filter(|open| *open != Counter::Gate);
    }

    /// Opens it half: once more of the same opens it again, anything else closes it. What others had counted was another
    /// agent's doing.
    pub(super) fn half_open(&mut self, run: &BreakerSettings, own: StuckRule) {
        let before = std::mem::take(self);
        let Some(trip) = before.trip(run, own) else {
            return;
        };
        self.half_open = Some(trip.counter);
        match trip.counter {
            Counter::Silent => self.silent = before.silent,
            Counter::Idle => self.idle = before.idle,
            Counter::Agent => self.agent = before.agent,
            Counter::Gate => self.gate = before.gate,
        }
    }

    pub(super) fn is_half_open(&self) -> bool {
        self.half_open.is_some()
    }

    /// Whether one should open now.
    pub(super) fn trip(&self, run: &BreakerSettings, own: StuckRule) -> Option<Trip> {
        let stuck_limit = own.limit.unwrap_or(run.stuck_limit);
        let trip = |counter, breaker, why| Trip {
            breaker,
            why,
            counter,
        };
        let repeats = |row: &Repeat, who| {
            let (times, last) = (row.times, &row.last);
            format!("the {who} failed in the same way {times} times in a row: {last}")
        };
        let all = [
            (self.gate.times >= run.repeat_limit)
                .then(|| trip(Counter::Gate, REPEAT, repeats(&self.gate, "gate"))),
            (self.agent.times >= run.repeat_limit)
                .then(|| trip(Counter::Agent, REPEAT, repeats(&self.agent, "agent"))),
            (self.silent.times >= stuck_limit)
                .then(|| trip(Counter::Silent, STUCK, self.silent.words("said nothing"))),
            (self.idle.times >= run.idle_limit)
                .then(|| trip(Counter::Idle, IDLE, self.idle.words("changed nothing"))),
        ];
        let mut all = all.into_iter().flatten();
        all.find(|trip| self.half_open != Some(trip.counter))
    }
}

/// Longest line of a failure that the reason quotes, in characters.
const LAST_CHARS: usize = 160;
/// Longest text that is compared, in characters.
const FINGERPRINT_CHARS: usize = 600;

/// A failure without what differs from run to run: numbers, hex ids, spacing and case.
fn fingerprint(text: &str) -> String {
    let mut out = String::new();
    for word in text.split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        let hex_id = word.len() >= 7 && word.chars().all(|c| c.is_ascii_hexdigit());
        if hex_id {
            out.push('#');
            continue;
        }
        let mut in_number = false;
        for c in word.chars() {
            if c.is_ascii_digit() {
                if !in_number {
                    out.push('#');
                }
                in_number = true;
            } else {
                in_number = false;
                out.extend(c.to_lowercase());
            }
        }
    }
    // The end says most: commands print their verdict last.
    let skip = out.chars().count().saturating_sub(FINGERPRINT_CHARS);
    out.chars().skip(skip).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::AgentFailure;

    fn report(note: &str, changed: bool) -> IterationReport {
        IterationReport {
            ending: Ending::Exited { code: 0 },
            elapsed_ms: 5,
            note: note.to_owned(),
            message: String::new(),
            lessons: Vec::new(),
            done: None,
            refused: None,
            tampered: None,
            blocked: None,
            failure: None,
            tip: None,
            changed,
            merge: None,
            usage: None,
            prompt: None,
            session: None,
            quota: Vec::new(),
        }
    }

    fn after(reports: &[IterationReport]) -> Option<&'static str> {
        let mut breakers = Breakers::default();
        let run = BreakerSettings::default();
        for report in reports {
            breakers.iteration(report, &run, StuckRule::default());
        }
        breakers
            .trip(&run, StuckRule::default())
            .map(|trip| trip.breaker)
    }

    #[test]
    fn three_silent_iterations_trip_stuck_and_a_word_in_between_resets() {
        let quiet = report("ok", true);
        let loud = report("moved the parser into its own module, tests pass", true);
        assert_eq!(after(&[quiet.clone(), quiet.clone()]), None);
        assert_eq!(
            after(&[quiet.clone(), quiet.clone(), quiet.clone()]),
            Some("stuck")
        );
        assert_eq!(after(&[quiet.clone(), quiet.clone(), loud, quiet]), None);
    }

    #[test]
    fn a_time_limit_is_told_from_having_nothing_to_say() {
        let why = |endings: &[Ending]| {
            let mut breakers = Breakers::default();
            let run = BreakerSettings::default();
            for ending in endings {
                let ending = ending.clone();
                let quiet = IterationReport {
                    ending,
                    ..report("", true)
                };
                breakers.iteration(&quiet, &run, StuckRule::default());
            }
            let trip = breakers.trip(&run, StuckRule::default());
            trip.map(|trip| trip.why).unwrap_or_default()
        };
        let (end, time, quiet) = (
            Ending::Exited { code: 0 },
            Ending::TimedOut,
            Ending::IdleTimedOut,
        );
        assert_eq!(
            why(&[end.clone(), end.clone(), end.clone()]),
            "3 iterations in a row said nothing"
        );
        assert_eq!(
            why(&[time.clone(), time.clone(), time.clone()]),
            "3 iterations in a row said nothing (3 were stopped at the time limit)"
        );
        assert_eq!(
            why(&[end, time, quiet]),
            "3 iterations in a row said nothing (1 was stopped at the time limit, 1 was stopped for giving no output)"
        );
    }

    #[test]
    fn the_threshold_is_inclusive() {
        let at = report(&"x".repeat(32), true);
        let over = report(&"x".repeat(33), true);
        assert_eq!(after(&[at.clone(), at.clone(), at]), Some("stuck"));
        assert_eq!(after(&[over.clone(), over.clone(), over]), None);
    }

    #[test]
    fn five_iterations_that_change_nothing_trip_idle() {
        let talk = report(
            "I am still thinking about the best way to go on here",
            false,
        );
        assert_eq!(after(&vec![talk.clone(); 4]), None);
        assert_eq!(after(&vec![talk; 5]), Some("idle"));
    }

    #[test]
    fn the_same_failure_thrice_trips_repeat_though_its_numbers_differ() {
        let fail = |text: &str| IterationReport {
            failure: Some(AgentFailure::new(FailureKind::Other, text.to_owned())),
            ..report("a note that is long enough to count as speech", true)
        };
        assert_eq!(
            after(&[
                fail("error at 10:31:07"),
                fail("error at 10:32:44"),
                fail("Error at 11:00:01")
            ]),
            Some("repeat")
        );
        let mut breakers = Breakers::default();
        let run = BreakerSettings::default();
        for _ in 0..3 {
            breakers.iteration(&fail("exit 3\nno login\n"), &run, StuckRule::default());
        }
        let trip = breakers.trip(&run, StuckRule::default()).unwrap();
        assert!(trip.why.ends_with("in a row: no login"), "{}", trip.why);
        assert_eq!(
            after(&[fail("error a"), fail("error b"), fail("error a")]),
            None
        );
    }

    #[test]
    fn gate_failures_count_across_iterations_that_went_well() {
        let run = BreakerSettings::default();
        let mut breakers = Breakers::default();
        for n in 0..3 {
            breakers.iteration(
                &report("did what the gate asked for, I believe so", true),
                &run,
                StuckRule::default(),
            );
            assert_eq!(breakers.trip(&run, StuckRule::default()), None);
            breakers.rejected("make test", &format!("1 failed in 0.{n}s"));
        }
        assert!(breakers.trip(&run, StuckRule::default()).is_some());
        breakers.verified();
        assert_eq!(breakers.trip(&run, StuckRule::default()), None);
    }

    /// Breakers that `report` has tripped, half opened.
    fn half_open(reports: &[IterationReport]) -> Breakers {
        let (run, own) = (BreakerSettings::default(), StuckRule::default());
        let mut breakers = Breakers::default();
        for report in reports {
            breakers.iteration(report, &run, own);
        }
        assert!(breakers.trip(&run, own).is_some());
        breakers.half_open(&run, own);
        assert!(breakers.is_half_open());
        assert_eq!(breakers.trip(&run, own), None);
        breakers
    }

    #[test]
    fn half_open_one_more_of_the_same_trips_and_anything_else_closes() {
        let (run, own) = (BreakerSettings::default(), StuckRule::default());
        let quiet = report("ok", false);
        let loud = report("moved the parser into its own module, tests pass", true);
        let mut again = half_open(&vec![quiet.clone(); 3]);
        again.iteration(&quiet, &run, own);
        let trip = again.trip(&run, own).unwrap();
        assert_eq!(trip.why, "4 iterations in a row said nothing");
        let mut closed = half_open(&vec![quiet.clone(); 3]);
        closed.iteration(&loud, &run, own);
        assert!(!closed.is_half_open());
        // Closed, it counts from the beginning; so do those that another agent had brought near to tripping.
        for _ in 0..2 {
            closed.iteration(&quiet, &run, own);
        }
        assert_eq!(closed.trip(&run, own), None);
    }

    #[test]
    fn half_open_for_a_gate_only_a_gate_decides() {
        let (run, own) = (BreakerSettings::default(), StuckRule::default());
        let tripped = || {
            let mut breakers = Breakers::default();
            for _ in 0..3 {
                breakers.rejected("make test", "1 failed");
            }
            breakers.half_open(&run, own);
            let loud = report("went about it in another way altogether this time", true);
            breakers.iteration(&loud, &run, own);
            assert!(breakers.is_half_open());
            assert_eq!(breakers.trip(&run, own), None);
            breakers
        };
        let mut same = tripped();
        same.rejected("make test", "1 failed");
        assert_eq!(
            same.trip(&run, own).map(|trip| trip.breaker),
            Some("repeat")
        );
        let mut other = tripped();
        other.rejected("make test", "no such file");
        assert_eq!(other.trip(&run, own), None);
        let mut green = tripped();
        green.verified();
        assert!(!green.is_half_open());
    }
}
