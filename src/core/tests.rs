//! Scenarios of the pure core: a story told in inputs, checked by what follows.

use super::{State, decide, exit_codes, next, view, wanted};
use crate::core::Stage;
use crate::model::{
    AgentChoice, AgentFailure, Backlog, BuildOutcome, Candidate, Chain, Command, Effect, Ending,
    Event, FailureKind, FeatureSpec, GateOutcome, Ground, InfraKind, Input, IterationReport,
    LandOutcome, MergeSettings, Oid, OnHalt, PublishOutcome, Record, Relation, RunId, Settings,
    Slug, Stamp, Step, StopLevel, Trial, Usage, WorktreeName, Writing,
};
use std::collections::{BTreeMap, BTreeSet};

mod accounts;
mod budget;
mod cut_off;
mod deadline;
mod ladder;
mod queue;
mod session;
mod time;
mod wishes;

/// A run being told what happens.
struct Story {
    state: State,
    now: Stamp,
    facts: Vec<Event>,
    /// Commits made so far.
    made: u32,
    /// What is in each of them, and the trees: equal content is an equal tree.
    contents: BTreeMap<Oid, BTreeSet<String>>,
    trees: Vec<BTreeSet<String>>,
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
        refused: None,
        tampered: None,
        blocked: None,
        failure: None,
        tip: Some(oid('b')),
        changed: true,
        merge: None,
        usage: None,
        prompt: None,
        session: None,
        quota: Vec::new(),
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
            made: 0,
            contents: BTreeMap::new(),
            trees: Vec::new(),
        };
        story.run_again(settings, Some(features));
        story
    }

    fn run_again(&mut self, settings: Settings, features: Option<Vec<FeatureSpec>>) {
        self.begins(settings, features);
        self.base_passes();
    }

    fn begins(&mut self, mut settings: Settings, features: Option<Vec<FeatureSpec>>) {
        settings.merge.gate = Some("gate".into());
        let begins = Input::RunBegins {
            run: RunId("r".into()),
            settings: Box::new(settings),
            target: "refs/heads/main".into(),
            ground: Ground {
                tip: oid('a'),
                tree: oid('e'),
                target: oid('a'),
                relation: Relation::Behind,
            },
            lost: Vec::new(),
            gone: Vec::new(),
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
            if let Effect::Prepare {
                slug,
                worktree,
                attempt,
                ..
            } = effect
            {
                let base = oid('a');
                self.tell(Input::Prepared {
                    slug,
                    attempt,
                    worktree,
                    base,
                });
            }
        }
        self.flush();
    }

    fn running(&self) -> Vec<String> {
        let all = self.state.running().into_iter();
        all.map(|it| format!("{}#{}", it.slug, it.iteration))
            .collect()
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

    /// A commit or tree that was not there before.
    fn fresh(&mut self) -> Oid {
        self.made += 1;
        Oid::parse(&format!("{:040x}", self.made)).unwrap()
    }

    /// The chain that is to be built: its attempt, what for, its base and its members.
    fn asked(&self) -> Option<(u32, Trial, Oid, Vec<Slug>)> {
        wanted(&self.state)
            .into_iter()
            .find_map(|effect| match effect {
                Effect::Build {
                    attempt,
                    what,
                    onto,
                    members,
                    ..
                } => {
                    let slugs = members.into_iter().map(|member| member.slug).collect();
                    Some((attempt, what, onto, slugs))
                }
                _ => None,
            })
    }

    fn chain(&mut self, onto: &Oid, members: &[Slug]) -> Chain {
        let mut chain = Chain {
            onto: onto.clone(),
            onto_tree: self.tree_of(onto),
            commit: onto.clone(),
            tree: self.tree_of(onto),
            steps: Vec::new(),
        };
        let mut content = self.contents.get(onto).cloned().unwrap_or_default();
        for slug in members {
            let change = format!("{slug}#{}", self.state.last_iteration(slug));
            content.insert(change.clone());
            let (branch, commit) = (self.fresh(), self.fresh());
            self.contents
                .insert(branch.clone(), BTreeSet::from([change]));
            self.contents.insert(commit.clone(), content.clone());
            let branch_tree = self.tree_of(&branch);
            let candidate = Candidate {
                tree: self.tree_of(&commit),
                onto: chain.commit.clone(),
                branch_tip: oid('b'),
                branch_tree,
                commit: commit.clone(),
            };
            chain.tree = candidate.tree.clone();
            chain.commit = commit;
            let slug = slug.clone();
            chain.steps.push(Step { slug, candidate });
        }
        chain
    }

    fn tree_of(&mut self, commit: &Oid) -> Oid {
        let Some(content) = self.contents.get(commit) else {
            return oid('e');
        };
        let known = self.trees.iter().position(|tree| tree == content);
        let number = known.unwrap_or_else(|| {
            self.trees.push(content.clone());
            self.trees.len() - 1
        });
        Oid::parse(&format!("f{number:039x}")).unwrap()
    }

    /// All chains that are to be built are, of all their members.
    fn build(&mut self) {
        while let Some((attempt, _, onto, members)) = self.asked() {
            let chain = self.chain(&onto, &members);
            self.built(attempt, chain, Vec::new(), Vec::new());
        }
    }

    fn built(
        &mut self,
        attempt: u32,
        chain: Chain,
        conflicts: Vec<(Slug, Vec<String>)>,
        deferred: Vec<Slug>,
    ) {
        self.tell(Input::Built {
            attempt,
            outcome: BuildOutcome::Built {
                chain,
                conflicts,
                deferred,
                yielded: Vec::new(),
                failed: Vec::new(),
            },
        });
        self.flush();
    }

    /// The features whose gate runs, oldest attempt first; nothing for the base's.
    fn gating(&self) -> Vec<(u32, u32, Vec<String>)> {
        let effects = wanted(&self.state).into_iter();
        let gates = effects.filter_map(|effect| match effect {
            Effect::Gate {
                attempt,
                reds,
                about,
                ..
            } => {
                let names = about.iter().map(|(slug, _)| slug.to_string());
                Some((attempt, reds, names.collect()))
            }
            _ => None,
        });
        gates.collect()
    }

    /// Whatever is to be built is built, and the first gate ends so.
    fn gate(&mut self, outcome: GateOutcome) {
        self.build();
        let (attempt, reds, _) = self.gating().into_iter().next().expect("a gate runs");
        self.tell(Input::Gated {
            attempt,
            reds,
            outcome,
        });
        self.flush();
    }

    /// The base passes, if that is asked.
    fn base_passes(&mut self) {
        if self
            .asked()
            .is_some_and(|(_, what, _, _)| what == Trial::Base)
        {
            self.gate(GateOutcome::Green { gate_ms: 1 });
        }
    }

    /// The next chain fails its gate, at each try.
    fn red(&mut self, command: &str, tail: &str) {
        let tries = self.facts.len();
        self.build();
        let attempt = self.gating()[0].0;
        while self
            .gating()
            .iter()
            .any(|(running, _, _)| *running == attempt)
        {
            self.gate(GateOutcome::Red {
                command: command.into(),
                tail: tail.into(),
                gate_ms: 5,
            });
            assert!(self.facts.len() < tries + 20);
        }
    }

    /// The first feature of the chain that is to be built conflicts with what has landed.
    fn clash(&mut self, paths: &[&str]) {
        let (attempt, _, onto, members) = self.asked().expect("a chain is built");
        let paths = paths.iter().map(|path| (*path).to_owned()).collect();
        let chain = self.chain(&onto, &members[1..]);
        self.built(
            attempt,
            chain,
            vec![(members[0].clone(), paths)],
            Vec::new(),
        );
    }

    /// The first chain that passed lands.
    fn land(&mut self, outcome: LandOutcome) {
        let found = wanted(&self.state)
            .into_iter()
            .find_map(|effect| match effect {
                Effect::Land { attempt, .. } => Some(attempt),
                _ => None,
            });
        let attempt = found.expect("a chain is being landed");
        self.tell(Input::Landed { attempt, outcome });
        self.flush();
    }

    fn publish(&mut self, outcome: PublishOutcome) {
        let found = wanted(&self.state)
            .into_iter()
            .find_map(|effect| match effect {
                Effect::Publish { number, .. } => Some(number),
                _ => None,
            });
        let number = found.expect("the target is being moved");
        self.tell(Input::Published { number, outcome });
        self.flush();
    }

    fn green(&mut self) {
        self.gate(GateOutcome::Green { gate_ms: 7 });
    }

    fn merge(&mut self, name: &str) {
        self.end(name, claim());
        self.lands();
    }

    /// What has been claimed passes, lands and is published.
    fn lands(&mut self) {
        self.green();
        self.land(LandOutcome::Done);
        self.publish(PublishOutcome::Done);
    }

    fn stage(&self, name: &str) -> Stage {
        let view = view(&self.state, self.state.wall_time(self.now));
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
    story.build();
    let (attempt, _, _) = story.gating()[0];
    for reds in 0..2 {
        story.tell(Input::Gated {
            attempt,
            reds,
            outcome: GateOutcome::Red {
                command: "make test".into(),
                tail: "assertion failed at line 7".into(),
                gate_ms: 5,
            },
        });
    }
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
    // Without a snapshot nobody knows whether the worktree is still there.
    let again = wanted(&story.state);
    assert!(
        matches!(again.as_slice(), [Effect::Prepare { .. }]),
        "{again:?}"
    );
    story.prepare();
    story.end("a", report());
    assert_eq!(story.state.answer(&slug("a")), None);
}

#[test]
fn what_a_machine_without_processes_made_fail_is_done_again_uncharged() {
    let settings = Settings {
        max_iterations_per_feature: 1,
        ..Settings::default()
    };
    let starved = IterationReport {
        ending: Ending::Exited { code: 1 },
        failure: Some(AgentFailure::new(
            FailureKind::Machine,
            "the machine refused new processes (exit 1)",
        )),
        ..report()
    };
    let not_kept = IterationReport {
        tip: None,
        ..report()
    };
    let mut story = Story::with(settings, vec![feature("a", &[])]);
    story.prepare();
    for (report, next) in [(starved, "a#2"), (not_kept, "a#3")] {
        story.end("a", report);
        assert!(story.running().is_empty(), "it waits a moment");
        story.now = story.now.plus_ms(60_000);
        story.tell(Input::Tick);
        story.prepare();
        assert_eq!(story.running(), [next]);
    }
    story.end("a", report());
    assert_eq!(story.finish(), [1], "its one iteration is used up now");
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
fn who_tampers_is_not_believed_and_trips_at_once_and_nobody_else_does() {
    for (ending, done) in [(Ending::Exited { code: 0 }, true), (Ending::Stopped, false)] {
        let mut story = Story::begin(2, vec![feature("a", &[]), feature("b", &[])]);
        story.prepare();
        let tampering = IterationReport {
            ending,
            done: done.then(|| "done".into()),
            blocked: (!done).then(|| "why?".into()),
            tampered: Some("it moved harness/b".into()),
            ..report()
        };
        story.tell(Input::IterationEnded {
            slug: slug("a"),
            iteration: 1,
            report: Box::new(tampering),
        });
        assert_eq!(story.stage("a"), Stage::Tripped);
        assert!(!story.state.is_in_our_hands(&slug("a")));
        let told = story.facts.iter().any(|event| {
            matches!(event, Event::Tripped { breaker, why, .. }
                if breaker == "tampered" && why == "it moved harness/b")
        });
        assert!(told);
        let logged = wanted(&story.state).into_iter().any(|effect| {
            matches!(effect, Effect::Write(job) if matches!(&job.what,
                Writing::Log { text, .. } if text.contains("harness found that it moved harness/b. Change")))
        });
        assert!(logged);
        story.flush();
        story.merge("b");
        assert_eq!(story.finish(), [5]);
        story.run_again(Settings::default(), None);
        story.tell(Input::Commanded(Command::Retry { slug: slug("a") }));
        assert!(story.state.is_in_our_hands(&slug("a")));
        story.flush();
        story.prepare();
        story.merge("a");
        assert_eq!(story.finish(), [0]);
    }
}

#[test]
fn a_dead_login_is_not_charged_and_ends_the_run_with_6() {
    let mut story = Story::begin(1, vec![feature("a", &[]), feature("b", &[])]);
    story.prepare();
    let not_logged_in = IterationReport {
        failure: Some(AgentFailure::new(FailureKind::Auth, "Not logged in")),
        note: String::new(),
        changed: false,
        ..report()
    };
    story.end("a", not_logged_in);
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
fn a_service_that_fails_for_now_is_waited_for_and_not_charged() {
    for kind in [FailureKind::Overloaded, FailureKind::Network] {
        let mut story = Story::begin(1, vec![feature("a", &[])]);
        story.prepare();
        let trouble = IterationReport {
            failure: Some(AgentFailure::new(kind, "try again later")),
            note: String::new(),
            changed: false,
            ..report()
        };
        story.end("a", trouble);
        let seen = view(&story.state, story.now).run.unwrap();
        assert_eq!((seen.iterations, seen.accounts.len()), (0, 1));
        assert!(story.running().is_empty(), "not at once");
        story.now = super::wake_at(&story.state, story.now).unwrap_or(story.now);
        story.tell(Input::Tick);
        assert_eq!(story.running(), ["a#2"]);
        story.merge("a");
        assert_eq!(story.finish(), [0]);
    }
}

#[test]
fn what_is_the_accounts_ends_the_run_and_what_is_the_agents_is_charged() {
    // Of those that are charged, the next iteration has begun as well.
    for (kind, iterations) in [
        (FailureKind::Auth, 0),
        (FailureKind::Billing, 0),
        (FailureKind::Context, 2),
        (FailureKind::Refused, 2),
        (FailureKind::Crashed, 2),
        (FailureKind::Other, 2),
    ] {
        let mut story = Story::begin(1, vec![feature("a", &[])]);
        story.prepare();
        let failed = IterationReport {
            failure: Some(AgentFailure::new(kind, "no")),
            ..report()
        };
        story.end("a", failed);
        let run = view(&story.state, story.now).run.unwrap();
        assert_eq!(run.iterations, iterations, "{kind:?}");
        assert_eq!(run.accounts.len(), usize::from(iterations == 0), "{kind:?}");
    }
}

#[test]
fn failing_to_prepare_backs_off_and_gives_up_without_touching_the_others() {
    let mut story = Story::begin(1, vec![feature("a", &[]), feature("b", &[])]);
    for round in 0..3 {
        let (kind, why) = (InfraKind::Setup, format!("npm ci failed ({round})"));
        story.tell(Input::PrepareFailed {
            slug: slug("a"),
            attempt: round + 1,
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
fn an_agent_that_can_never_be_started_is_given_up_though_its_worktree_is_ready_each_time() {
    let mut story = Story::begin(1, vec![feature("a", &[])]);
    for round in 1..=3 {
        assert_eq!(story.stage("a"), Stage::Preparing, "{round}");
        story.prepare();
        let lost = IterationReport {
            ending: Ending::NotStarted {
                why: "no room for a process".into(),
            },
            tip: None,
            ..report()
        };
        story.end("a", lost);
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
    story.publish(PublishOutcome::Done);
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
        attempt: 1,
        worktree: WorktreeName(1),
        base: oid('a'),
    });
    story.tell(Input::Landed {
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
fn an_iteration_that_was_stopped_or_lost_is_not_charged() {
    let capped = || Settings {
        max_iterations: 1,
        max_iterations_per_feature: 1,
        parallel: 1,
        ..Settings::default()
    };
    let calls = |story: &Story| view(&story.state, story.now).run.map(|run| run.iterations);
    let mut story = Story::with(capped(), vec![feature("a", &[])]);
    story.prepare();
    assert_eq!(calls(&story), Some(1));
    story.tell(Input::Stop(StopLevel::Terminate { code: 143 }));
    let stopped = IterationReport {
        ending: Ending::Stopped,
        ..report()
    };
    story.end("a", stopped);
    assert_eq!(calls(&story), Some(0));
    story.tell(Input::Tidied);
    assert!(matches!(story.facts.last(), Some(Event::RunEnded { .. })));

    story.run_again(capped(), None);
    story.prepare();
    assert_eq!(story.running(), ["a#2"], "it goes on where it was");
    let used = Usage {
        input: 500,
        micro_usd: 20_000,
        ..Usage::default()
    };
    story.tell(Input::IterationLost {
        slug: slug("a"),
        iteration: 2,
        usage: Some(used),
    });
    story.flush();
    assert_eq!(story.running(), ["a#3"]);
    assert_eq!(calls(&story), Some(1));
    let seen = view(&story.state, story.now);
    assert_eq!(seen.features[0].usage, used, "but it is paid for");
    assert_eq!(seen.run.map(|run| run.usage), Some(used));
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
    story.green();
    story.land(LandOutcome::Done);
    story.publish(PublishOutcome::Waiting {
        why: "dirty".into(),
    });
    story.tell(Input::Tidied);
    story.publish(PublishOutcome::Waiting {
        why: "still dirty".into(),
    });
    assert!(matches!(
        story.facts.last(),
        Some(Event::RunEnded { code: 5, .. })
    ));
    assert_eq!(exit_codes(&story.state), [5, 4, 8]);
}

#[test]
fn a_strained_machine_starts_nothing_while_anything_runs() {
    let mut story = Story::begin(3, vec![feature("a", &[]), feature("b", &[])]);
    story.prepare();
    assert_eq!(story.running(), ["a#1", "b#1"]);
    let short = |why: Option<&str>| Input::Strained {
        why: why.map(str::to_owned),
    };
    story.tell(short(Some("memory")));
    story.end("a", report());
    story.flush();
    assert_eq!(
        story.running(),
        ["b#1"],
        "a waits for b or for the end of it"
    );
    story.end("b", report());
    story.flush();
    assert_eq!(
        story.running().len(),
        1,
        "with nothing under way one goes on"
    );
    story.tell(short(Some("memory")));
    story.tell(short(None));
    story.tell(short(None));
    assert_eq!(story.running(), ["a#2", "b#2"]);
    let told = story
        .facts
        .iter()
        .filter(|f| matches!(f, Event::Strained { .. }));
    assert_eq!(told.count(), 2, "only changes are facts");
}
