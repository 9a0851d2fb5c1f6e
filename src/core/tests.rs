//! Scenarios of the pure core: a story told in inputs, checked by what follows.

use super::{State, decide, exit_codes, next, view, wanted};
use crate::core::Stage;
use crate::model::{
    AgentFailure, Backlog, Candidate, Command, Effect, Ending, Event, FailureKind, FeatureSpec,
    InfraKind, Input, IntegrationOutcome, IterationReport, LandOutcome, Oid, OnHalt, Record, RunId,
    Settings, Slug, Stamp, StopLevel, WorktreeName, Writing,
};
use std::collections::BTreeSet;

/// A run being told what happens.
struct Story {
    state: State,
    now: Stamp,
    facts: Vec<Event>,
}

fn slug(name: &str) -> Slug {
    Slug::new(name).unwrap()
}

fn feature(name: &str, depends_on: &[&str]) -> FeatureSpec {
    FeatureSpec {
        depends_on: depends_on.iter().map(|name| slug(name)).collect(),
        ..FeatureSpec::bare(slug(name))
    }
}

fn oid(digit: char) -> Oid {
    Oid::parse(&digit.to_string().repeat(40)).unwrap()
}

fn report() -> IterationReport {
    IterationReport {
        ending: Ending::Exited { code: 0 },
        elapsed_ms: 1_000,
        note: "moved the parser into a module of its own; next: its tests".into(),
        message: String::new(),
        lessons: Vec::new(),
        done: None,
        blocked: None,
        failure: None,
        tip: Some(oid('b')),
        changed: true,
        usage: None,
    }
}

fn claim() -> IterationReport {
    IterationReport {
        done: Some("it works".into()),
        ..report()
    }
}

impl Story {
    fn begin(parallel: u32, features: Vec<FeatureSpec>) -> Self {
        let settings = Settings {
            parallel,
            ..Settings::default()
        };
        Self::with(settings, features)
    }

    fn with(settings: Settings, features: Vec<FeatureSpec>) -> Self {
        let mut story = Self {
            state: State::new(),
            now: Stamp(1_000),
            facts: Vec::new(),
        };
        story.run_again(settings, Some(features));
        story
    }

    fn run_again(&mut self, settings: Settings, features: Option<Vec<FeatureSpec>>) {
        let begins = Input::RunBegins {
            run: RunId("r".into()),
            settings,
            target: "refs/heads/main".into(),
            tip: oid('a'),
        };
        let looked = Input::Looked(Backlog {
            features,
            ..Backlog::default()
        });
        self.tell_all(vec![begins, looked]);
    }

    fn tell(&mut self, input: Input) {
        self.tell_all(vec![input]);
    }

    fn tell_all(&mut self, inputs: Vec<Input>) {
        self.now = self.now.plus_ms(10);
        for input in inputs {
            for event in decide(&self.state, input) {
                self.take(event);
            }
        }
        self.settle();
    }

    fn settle(&mut self) {
        while let Some(event) = next(&self.state, self.now) {
            self.take(event);
        }
        assert_eq!(super::broken_invariant(&self.state), None);
    }

    fn take(&mut self, event: Event) {
        let record = Record {
            seq: self.state.seq() + 1,
            at: self.now,
            event: event.clone(),
        };
        self.state.apply(&record);
        self.facts.push(event);
    }

    /// Everything that is waiting to be written is written.
    fn flush(&mut self) {
        if let Some(through) = self.state.last_write() {
            self.tell(Input::Written { through });
        }
    }

    /// All worktrees being made ready are.
    fn prepare(&mut self) {
        for effect in wanted(&self.state) {
            if let Effect::Prepare { slug, worktree, .. } = effect {
                let base = oid('a');
                self.tell(Input::Prepared {
                    slug,
                    worktree,
                    base,
                });
            }
        }
        self.flush();
    }

    fn running(&self) -> Vec<String> {
        let all = self.state.running();
        all.iter().map(|(slug, n)| format!("{slug}#{n}")).collect()
    }

    fn end(&mut self, name: &str, report: IterationReport) {
        let iteration = self.state.last_iteration(&slug(name));
        self.tell(Input::IterationEnded {
            slug: slug(name),
            iteration,
            report: Box::new(report),
        });
        self.flush();
    }

    fn gate(&mut self, outcome: IntegrationOutcome) {
        let found = wanted(&self.state)
            .into_iter()
            .find_map(|effect| match effect {
                Effect::Integrate { slug, attempt, .. } => Some((slug, attempt)),
                _ => None,
            });
        let (slug, attempt) = found.expect("a candidate is being gated");
        self.tell(Input::Integrated {
            slug,
            attempt,
            outcome,
        });
        self.flush();
    }

    fn land(&mut self, outcome: LandOutcome) {
        let found = wanted(&self.state)
            .into_iter()
            .find_map(|effect| match effect {
                Effect::Land { slug, attempt, .. } => Some((slug, attempt)),
                _ => None,
            });
        let (slug, attempt) = found.expect("a candidate is being landed");
        self.tell(Input::Landed {
            slug,
            attempt,
            outcome,
        });
        self.flush();
    }

    fn green(&mut self) {
        let candidate = Candidate {
            commit: oid('c'),
            tree: oid('d'),
            onto: oid('a'),
            branch_tip: oid('b'),
        };
        self.gate(IntegrationOutcome::Green {
            candidate,
            gate_ms: 7,
        });
    }

    fn merge(&mut self, name: &str) {
        self.end(name, claim());
        self.green();
        self.land(LandOutcome::Done);
    }

    fn stage(&self, name: &str) -> Stage {
        let view = view(&self.state, self.now);
        let found = view.features.iter().find(|f| f.slug.as_str() == name);
        found.unwrap().stage
    }

    fn finish(&mut self) -> Vec<u8> {
        self.flush();
        assert!(
            wanted(&self.state)
                .iter()
                .any(|e| matches!(e, Effect::Tidy { .. }))
        );
        self.tell(Input::Tidied);
        let Some(Event::RunEnded { codes, .. }) = self.facts.last() else {
            panic!("the run goes on: {:?}", self.facts.last());
        };
        codes.clone()
    }
}

#[test]
fn at_most_n_run_and_dependents_wait_for_the_landing() {
    let mut story = Story::begin(
        2,
        vec![
            feature("a", &[]),
            feature("b", &[]),
            feature("c", &["a"]),
            feature("d", &[]),
        ],
    );
    story.prepare();
    // `a` has a dependent, so its chain is the longest; then by name.
    assert_eq!(story.running(), ["a#1", "b#1"]);
    story.end("a", claim());
    story.prepare();
    assert_eq!(
        story.running(),
        ["b#1", "d#1"],
        "a claimed feature frees its slot"
    );
    story.end("b", report());
    assert_eq!(story.running(), ["b#2", "d#1"]);
    story.merge("b");
    // Only `a` was gated first: oldest claim first.
    assert_eq!(story.stage("a"), Stage::Merged);
    assert_eq!(story.stage("b"), Stage::Gating);
    story.prepare();
    assert_eq!(story.running(), ["c#1", "d#1"]);
}

#[test]
fn priority_then_order_file_then_chain_then_name() {
    let mut urgent = feature("zz", &[]);
    urgent.priority = 5;
    let mut listed = feature("y", &[]);
    listed.order = Some(0);
    let features = vec![
        feature("a", &[]),
        feature("b", &[]),
        feature("c", &["b"]),
        listed,
        urgent,
    ];
    let story = Story::begin(1, features);
    let order: Vec<String> = super::plan(&story.state)
        .iter()
        .map(|planned| planned.slug.to_string())
        .collect();
    assert_eq!(order, ["zz", "y", "b", "a", "c"]);
}

#[test]
fn a_red_gate_sends_the_feature_back_with_the_tail_in_its_log() {
    let mut story = Story::begin(1, vec![feature("a", &[]), feature("b", &[])]);
    story.prepare();
    story.end("a", claim());
    let red = IntegrationOutcome::Red {
        command: "make test".into(),
        tail: "assertion failed at line 7".into(),
        gate_ms: 5,
    };
    story.now = story.now.plus_ms(10);
    let attempt = Input::Integrated {
        slug: slug("a"),
        attempt: 1,
        outcome: red,
    };
    story.tell(attempt);
    let logged = wanted(&story.state).into_iter().any(|effect| {
        matches!(effect, Effect::Write(job) if matches!(&job.what,
            Writing::Log { text, .. } if text.contains("assertion failed at line 7")))
    });
    assert!(logged);
    assert_eq!(story.stage("a"), Stage::Waiting);
    story.flush();
    story.prepare();
    story.end("b", claim());
    story.prepare();
    assert_eq!(
        story.running(),
        ["a#2"],
        "work in progress goes first, under the next number"
    );
}

#[test]
fn a_blocked_feature_leaves_the_others_running_and_its_dependents_skipped() {
    let mut story = Story::begin(
        2,
        vec![feature("a", &[]), feature("b", &["a"]), feature("c", &[])],
    );
    story.prepare();
    let blocked = IterationReport {
        blocked: Some("which colour?".into()),
        done: Some("and done".into()),
        ..report()
    };
    story.end("a", blocked);
    assert_eq!(
        story.stage("a"),
        Stage::Blocked,
        "a question outweighs a claim"
    );
    assert_eq!(story.stage("b"), Stage::Skipped);
    story.merge("c");
    assert_eq!(story.finish(), [4]);

    story.run_again(Settings::default(), None);
    story.tell(Input::Commanded(Command::Unblock {
        slug: slug("a"),
        answer: "green".into(),
    }));
    story.flush();
    story.prepare();
    let answered = wanted(&story.state).into_iter().any(|effect| {
        matches!(effect, Effect::Iterate { answer: Some(text), iteration: 2, .. } if text == "green")
    });
    assert!(answered);
    story.merge("a");
    story.prepare();
    story.merge("b");
    assert_eq!(story.finish(), [0]);
}

#[test]
fn an_answer_stays_until_an_iteration_has_seen_it() {
    let mut story = Story::begin(1, vec![feature("a", &[])]);
    story.prepare();
    story.end(
        "a",
        IterationReport {
            blocked: Some("?".into()),
            ..report()
        },
    );
    story.run_again(Settings::default(), None);
    let answer = "42".to_owned();
    story.tell(Input::Commanded(Command::Unblock {
        slug: slug("a"),
        answer,
    }));
    story.flush();
    story.prepare();
    let lost = IterationReport {
        ending: Ending::NotStarted {
            why: "no memory".into(),
        },
        tip: None,
        ..report()
    };
    story.end("a", lost);
    assert_eq!(story.state.answer(&slug("a")), Some("42"));
    story.now = story.now.plus_ms(60_000);
    story.tell(Input::Tick);
    story.end("a", report());
    assert_eq!(story.state.answer(&slug("a")), None);
}

#[test]
fn on_halt_stop_writes_halt_and_starts_nothing_new() {
    let settings = Settings {
        parallel: 2,
        on_halt: OnHalt::Stop,
        ..Settings::default()
    };
    let mut story = Story::with(
        settings,
        vec![feature("a", &[]), feature("b", &[]), feature("c", &[])],
    );
    story.prepare();
    story.end(
        "a",
        IterationReport {
            blocked: Some("why?".into()),
            ..report()
        },
    );
    let halts = story
        .facts
        .iter()
        .filter(|e| matches!(e, Event::Blocked { .. }))
        .count();
    assert_eq!(halts, 1);
    assert_eq!(story.running(), ["b#1"]);
    story.end("b", report());
    assert!(story.running().is_empty());
    assert_eq!(story.finish(), [4]);
}

#[test]
fn the_halt_file_drains_and_explains_itself() {
    let mut story = Story::begin(1, vec![feature("a", &[]), feature("b", &[])]);
    story.prepare();
    story.tell(Input::Looked(Backlog {
        halt: Some("lunch".into()),
        ..Backlog::default()
    }));
    assert_eq!(
        story.running(),
        ["a#1"],
        "a running iteration ends by itself"
    );
    story.end("a", report());
    assert_eq!(story.finish(), [3]);
}

#[test]
fn one_interrupt_drains_two_terminate() {
    let mut story = Story::begin(1, vec![feature("a", &[])]);
    story.prepare();
    story.tell(Input::Stop(StopLevel::Drain));
    assert!(
        wanted(&story.state)
            .iter()
            .any(|e| matches!(e, Effect::Iterate { .. }))
    );
    story.tell(Input::Stop(StopLevel::Terminate { code: 130 }));
    assert!(
        !wanted(&story.state)
            .iter()
            .any(|e| matches!(e, Effect::Iterate { .. }))
    );
    let stopped = IterationReport {
        ending: Ending::Stopped,
        done: Some("done?".into()),
        ..report()
    };
    story.end("a", stopped);
    assert_eq!(story.finish(), [130]);
}

#[test]
fn a_silent_agent_trips_and_retry_closes_the_breaker() {
    let mut story = Story::begin(1, vec![feature("a", &[])]);
    story.prepare();
    for _ in 0..3 {
        story.end(
            "a",
            IterationReport {
                note: "ok".into(),
                ..report()
            },
        );
    }
    assert_eq!(story.stage("a"), Stage::Tripped);
    assert_eq!(story.finish(), [5]);
    story.run_again(Settings::default(), None);
    assert_eq!(story.finish(), [5], "only a person closes it");
    story.run_again(Settings::default(), None);
    story.tell(Input::Commanded(Command::Retry { slug: slug("a") }));
    story.prepare();
    assert_eq!(story.running(), ["a#4"]);
}

#[test]
fn quota_is_not_charged_and_ends_the_run_with_6() {
    let mut story = Story::begin(1, vec![feature("a", &[]), feature("b", &[])]);
    story.prepare();
    let limit = IterationReport {
        failure: Some(AgentFailure {
            kind: FailureKind::Limit,
            text: "usage limit reached".into(),
        }),
        note: String::new(),
        changed: false,
        ..report()
    };
    story.end("a", limit);
    assert_eq!(story.finish(), [6]);
    assert_eq!(view(&story.state, story.now).run.unwrap().iterations, 0);
    story.run_again(Settings::default(), None);
    story.prepare();
    assert_eq!(
        story.running(),
        ["a#2"],
        "the number is spent, the charge is not"
    );
}

#[test]
fn failing_to_prepare_backs_off_and_gives_up_without_touching_the_others() {
    let mut story = Story::begin(1, vec![feature("a", &[]), feature("b", &[])]);
    for round in 0..3 {
        let (kind, why) = (InfraKind::Setup, format!("npm ci failed ({round})"));
        story.tell(Input::PrepareFailed {
            slug: slug("a"),
            kind,
            why,
        });
        if round == 0 {
            story.prepare();
            assert_eq!(story.running(), ["b#1"], "b takes the slot meanwhile");
            story.merge("b");
        }
        story.now = super::wake_at(&story.state, story.now).unwrap_or(story.now);
        story.tell(Input::Tick);
    }
    assert_eq!(story.stage("a"), Stage::Failed);
    assert_eq!(story.finish(), [1]);
}

#[test]
fn the_iteration_budgets_end_in_code_1() {
    let settings = Settings {
        max_iterations: 2,
        ..Settings::default()
    };
    let mut story = Story::with(settings, vec![feature("a", &[])]);
    story.prepare();
    story.end("a", report());
    story.end("a", report());
    assert_eq!(story.finish(), [1]);

    let settings = Settings {
        max_iterations_per_feature: 1,
        ..Settings::default()
    };
    let mut story = Story::with(settings, vec![feature("a", &[]), feature("b", &[])]);
    story.prepare();
    story.end("a", report());
    assert_eq!(story.stage("a"), Stage::Failed);
    story.prepare();
    story.merge("b");
    assert_eq!(story.finish(), [1]);
}

#[test]
fn a_conflict_parks_and_the_next_run_tries_again() {
    let mut story = Story::begin(1, vec![feature("a", &[])]);
    story.prepare();
    story.end("a", claim());
    story.gate(IntegrationOutcome::Conflict {
        paths: vec!["src/lib.rs".into()],
    });
    assert_eq!(story.finish(), [8]);
    story.run_again(Settings::default(), None);
    assert_eq!(story.stage("a"), Stage::Gating);
    story.green();
    story.land(LandOutcome::CheckoutInTheWay {
        why: "src/lib.rs has changes".into(),
    });
    assert_eq!(story.finish(), [8]);
}

#[test]
fn a_target_that_moved_is_merged_onto_anew() {
    let mut story = Story::begin(1, vec![feature("a", &[])]);
    story.prepare();
    story.end("a", claim());
    story.green();
    story.land(LandOutcome::TargetMoved);
    assert_eq!(story.stage("a"), Stage::Gating);
    story.green();
    story.land(LandOutcome::Done);
    assert_eq!(story.finish(), [0]);
}

#[test]
fn a_marker_counts_as_landed_and_its_removal_requeues() {
    let mut story = Story::begin(1, vec![feature("a", &[]), feature("b", &["a"])]);
    let done = |names: &[&str]| {
        Input::Looked(Backlog {
            done: Some(names.iter().map(|name| slug(name)).collect::<BTreeSet<_>>()),
            ..Backlog::default()
        })
    };
    story.tell(done(&["a"]));
    // It was being prepared: left alone until it is idle.
    assert_eq!(story.stage("a"), Stage::Preparing);
    story.prepare();
    story.merge("a");
    story.prepare();
    story.merge("b");
    story.tell(done(&["a", "b"]));
    story.tell(done(&["b"]));
    story.prepare();
    assert_eq!(story.running(), ["a#2"]);
    assert!(story.facts.contains(&Event::Requeued { slug: slug("a") }));
    story.merge("a");
    assert_eq!(story.finish(), [0]);
}

#[test]
fn locks_and_paths_keep_two_features_apart_until_the_first_has_landed() {
    let mut a = feature("a", &[]);
    a.touches = vec!["src/api".into()];
    let mut b = feature("b", &[]);
    b.touches = vec!["src/**".into()];
    let mut story = Story::begin(2, vec![a, b, feature("c", &[])]);
    story.prepare();
    assert_eq!(story.running(), ["a#1", "c#1"]);
    story.end("a", claim());
    story.prepare();
    assert_eq!(story.running(), ["c#1"], "a is not in the target yet");
    story.green();
    story.land(LandOutcome::Done);
    story.prepare();
    assert_eq!(story.running(), ["b#1", "c#1"]);
}

#[test]
fn after_is_soft() {
    let mut b = feature("b", &[]);
    b.after = vec![slug("a")];
    let mut story = Story::begin(2, vec![feature("a", &[]), b]);
    story.prepare();
    assert_eq!(story.running(), ["a#1"]);
    story.end(
        "a",
        IterationReport {
            blocked: Some("?".into()),
            ..report()
        },
    );
    story.prepare();
    assert_eq!(story.running(), ["b#1"], "a has ended, if not well");
}

#[test]
fn late_and_doubled_observations_change_nothing() {
    let mut story = Story::begin(1, vec![feature("a", &[])]);
    story.prepare();
    story.end("a", report());
    let before = story.facts.len();
    let old = Input::IterationEnded {
        slug: slug("a"),
        iteration: 1,
        report: Box::new(claim()),
    };
    story.tell(old);
    story.tell(Input::Prepared {
        slug: slug("a"),
        worktree: WorktreeName(1),
        base: oid('a'),
    });
    story.tell(Input::Landed {
        slug: slug("a"),
        attempt: 9,
        outcome: LandOutcome::Done,
    });
    assert_eq!(story.facts.len(), before);
}

#[test]
fn a_killed_iteration_keeps_its_question_and_loses_its_claim() {
    let mut story = Story::begin(1, vec![feature("a", &[])]);
    story.prepare();
    let late = IterationReport {
        ending: Ending::TimedOut,
        ..claim()
    };
    story.end("a", late);
    assert_eq!(story.running(), ["a#2"]);
}

#[test]
fn a_spec_that_appears_or_vanishes_mid_run_is_honoured() {
    let mut story = Story::begin(1, vec![feature("a", &[]), feature("b", &[])]);
    story.prepare();
    story.tell(Input::Looked(Backlog {
        features: Some(vec![feature("b", &[]), feature("c", &[])]),
        ..Backlog::default()
    }));
    assert_eq!(story.running(), ["a#1"], "what runs ends by itself");
    story.end("a", report());
    story.prepare();
    assert_eq!(story.running(), ["b#1"]);
    story.merge("b");
    story.prepare();
    assert_eq!(story.running(), ["c#1"]);
}

#[test]
fn exit_codes_come_in_their_order() {
    let mut story = Story::begin(
        3,
        vec![feature("a", &[]), feature("b", &[]), feature("c", &[])],
    );
    story.prepare();
    story.end(
        "a",
        IterationReport {
            blocked: Some("?".into()),
            ..report()
        },
    );
    for _ in 0..3 {
        story.end(
            "b",
            IterationReport {
                note: String::new(),
                ..report()
            },
        );
    }
    story.end("c", claim());
    story.gate(IntegrationOutcome::Conflict { paths: Vec::new() });
    assert_eq!(story.finish(), [5, 4, 8]);
    assert_eq!(exit_codes(&story.state), [5, 4, 8]);
}
