//! Nights small enough to be told by hand.

use super::*;
use crate::core::{Stage, State, view};
use crate::model::{
    AgentChoice, Chain, Ending, Event, FeatureSpec, GateId, Ground, IterationReport, Oid, Record,
    Relation, Settings, WorktreeName,
};

fn slug(name: &str) -> Slug {
    Slug::new(name).unwrap()
}

fn oid(digit: char) -> Oid {
    Oid::parse(&digit.to_string().repeat(40)).unwrap()
}

/// A journal that is written line by line, at so many seconds.
#[derive(Default)]
struct Night(Vec<Record>);

impl Night {
    fn at(&mut self, seconds: u64, event: Event) -> &mut Self {
        let seq = u64::try_from(self.0.len()).unwrap() + 1;
        let at = Stamp(seconds * 1000);
        self.0.push(Record { seq, at, event });
        self
    }

    fn begins(&mut self, seconds: u64, run: &str, parallel: u32) -> &mut Self {
        let settings = Settings {
            parallel,
            agent: "claude".to_owned(),
            ..Settings::default()
        };
        let ground = Ground {
            tip: oid('a'),
            tree: oid('b'),
            target: oid('a'),
            relation: Relation::Behind,
        };
        self.at(
            seconds,
            Event::RunStarted {
                run: RunId(run.to_owned()),
                settings: Box::new(settings),
                target: "refs/heads/main".to_owned(),
                ground,
            },
        )
    }

    fn backlog(&mut self, seconds: u64, specs: &[(&str, &str)]) -> &mut Self {
        let specs = specs.iter().map(|(name, needs)| FeatureSpec {
            depends_on: match *needs {
                "" => Vec::new(),
                needs => vec![slug(needs)],
            },
            ..FeatureSpec::bare(slug(name))
        });
        let event = Event::BacklogChanged {
            upserted: specs.collect(),
            removed: Vec::new(),
        };
        self.at(seconds, event)
    }

    fn starts(&mut self, seconds: u64, name: &str, worktree: u32) -> &mut Self {
        let worktree = WorktreeName(worktree);
        let slug = slug(name);
        self.at(seconds, Event::Started { slug, worktree })
    }

    fn prepared(&mut self, seconds: u64, name: &str) -> &mut Self {
        let (slug, base) = (slug(name), oid('a'));
        self.at(seconds, Event::Prepared { slug, base })
    }

    fn iterates(&mut self, from: u64, to: u64, name: &str, n: u32, done: bool) -> &mut Self {
        let begun = Event::IterationStarted {
            slug: slug(name),
            iteration: n,
            instead: None,
            rung: None,
        };
        let ended = Event::IterationEnded {
            slug: slug(name),
            iteration: n,
            report: Box::new(report((to - from) * 1000, done)),
        };
        self.at(from, begun).at(to, ended)
    }

    fn claims(&mut self, seconds: u64, name: &str) -> &mut Self {
        let (slug, summary) = (slug(name), format!("{name} is done"));
        self.at(seconds, Event::Claimed { slug, summary })
    }

    fn tries(&mut self, seconds: u64, attempt: u32, name: &str) -> &mut Self {
        let begun = Event::AttemptStarted {
            attempt,
            what: Trial::Features,
            onto: oid('a'),
            members: vec![slug(name)],
        };
        let candidate = crate::model::Candidate {
            commit: oid('c'),
            tree: oid('d'),
            onto: oid('a'),
            branch_tip: oid('e'),
            branch_tree: oid('e'),
        };
        let chain = Chain {
            onto: oid('a'),
            onto_tree: oid('b'),
            commit: oid('c'),
            tree: oid('d'),
            steps: vec![crate::model::Step {
                slug: slug(name),
                candidate,
            }],
        };
        self.at(seconds, begun)
            .at(seconds, Event::Built { attempt, chain })
    }

    fn gated(&mut self, seconds: u64, attempt: u32, red: Option<Red>) -> &mut Self {
        let event = Event::Gated {
            attempt,
            tree: oid('d'),
            gate: GateId::default(),
            red,
            gate_ms: 1000,
        };
        self.at(seconds, event)
    }

    fn lands(&mut self, seconds: u64, attempt: u32, name: &str) -> &mut Self {
        let verified = Event::Verified {
            attempt,
            commit: oid('c'),
            how: Evidence::Passed,
        };
        let merged = Event::Merged {
            slug: slug(name),
            commit: oid('c'),
            empty: false,
        };
        self.at(seconds, verified).at(seconds, merged)
    }

    fn rejects(&mut self, seconds: u64, attempt: u32, name: &str) -> &mut Self {
        let event = Event::Rejected {
            slug: slug(name),
            attempt,
            onto: oid('a'),
            red: red(),
            merged: false,
        };
        self.at(seconds, event)
    }

    fn ends(&mut self, seconds: u64, code: u8) -> &mut Self {
        let codes = vec![code];
        self.at(seconds, Event::RunEnded { code, codes })
    }

    fn last(&self) -> RunHistory {
        histories(&self.0).pop().unwrap()
    }
}

fn red() -> Red {
    Red {
        command: "make test".to_owned(),
        tail: "it does not work".to_owned(),
    }
}

fn report(elapsed_ms: u64, done: bool) -> IterationReport {
    IterationReport {
        ending: Ending::Exited { code: 0 },
        elapsed_ms,
        note: "went one step further".to_owned(),
        message: String::new(),
        lessons: Vec::new(),
        done: done.then(|| "it is there".to_owned()),
        refused: None,
        tampered: None,
        blocked: None,
        failure: None,
        tip: Some(oid('e')),
        changed: true,
        merge: None,
        usage: Some(Usage {
            output: 10,
            micro_usd: 5,
            ..Usage::default()
        }),
        prompt: None,
        session: None,
        quota: Vec::new(),
    }
}

/// `0-5 a preparing` and so on, in seconds.
fn spans(run: &RunHistory) -> Vec<String> {
    let spans = run.spans.iter().map(|span| {
        let what = match span.doing {
            Doing::Preparing => "preparing".to_owned(),
            Doing::Iteration { number, result } => format!("#{number} {result:?}"),
            Doing::Between => "between".to_owned(),
            Doing::Account => "account".to_owned(),
            Doing::Queued => "queued".to_owned(),
        };
        format!(
            "{}-{} {} {what}",
            span.from.0 / 1000,
            span.to.0 / 1000,
            span.slug
        )
    });
    spans.collect()
}

/// One slot, two features of which the second needs the first, which is sent back once.
fn chain() -> Night {
    let mut night = Night::default();
    night
        .begins(0, "one", 1)
        .backlog(0, &[("a", ""), ("b", "a")])
        .starts(0, "a", 1)
        .prepared(5, "a")
        .iterates(5, 20, "a", 1, true)
        .claims(20, "a")
        .tries(21, 1, "a")
        .gated(30, 1, Some(red()))
        .rejects(30, 1, "a")
        .starts(31, "a", 1)
        .prepared(32, "a")
        .iterates(32, 40, "a", 2, true)
        .claims(40, "a")
        .tries(42, 2, "a")
        .gated(50, 2, None)
        .lands(50, 2, "a")
        .starts(50, "b", 2)
        .prepared(51, "b")
        .iterates(51, 70, "b", 1, true)
        .claims(70, "b")
        .tries(70, 3, "b")
        .gated(79, 3, None)
        .lands(80, 3, "b")
        .ends(81, 0);
    night
}

#[test]
fn who_did_what_when_is_told() {
    let run = chain().last();
    assert_eq!(
        spans(&run),
        [
            "0-5 a preparing",
            "5-20 a #1 Claimed",
            "20-21 a queued",
            "31-32 a preparing",
            "32-40 a #2 Claimed",
            "40-42 a queued",
            "50-51 b preparing",
            "51-70 b #1 Claimed",
        ]
    );
    let attempts: Vec<_> = run
        .attempts
        .iter()
        .map(|it| (it.number, it.from.0 / 1000, it.to.0 / 1000, it.result))
        .collect();
    assert_eq!(
        attempts,
        [
            (1, 21, 30, AttemptResult::Red),
            (2, 42, 50, AttemptResult::Green),
            (3, 70, 80, AttemptResult::Green),
        ]
    );
    let landed: Vec<_> = run
        .landed()
        .iter()
        .map(|(slug, it)| (slug.as_str().to_owned(), it.attempt))
        .collect();
    assert_eq!(
        landed,
        [("a".to_owned(), Some(2)), ("b".to_owned(), Some(3))]
    );
    assert_eq!((run.iterations, run.usage.micro_usd), (3, 15));
    assert_eq!(run.features[&slug("a")].stage, Some(Stage::Merged));
    assert_eq!(run.agents["claude"].iterations, 3);
}

#[test]
fn the_critical_path_goes_through_gates_dependencies_and_what_was_sent_back() {
    let run = chain().last();
    let steps: Vec<_> = run
        .critical
        .iter()
        .map(|step| (step.slugs[0].as_str(), step.attempt, step.cause))
        .collect();
    assert_eq!(
        steps,
        [
            ("a", None, StepCause::Start),
            ("a", Some(1), StepCause::Claim),
            ("a", None, StepCause::Again),
            ("a", Some(2), StepCause::Claim),
            ("b", None, StepCause::Dependency),
            ("b", Some(3), StepCause::Claim),
        ]
    );
}

#[test]
fn who_waited_for_a_slot_comes_after_who_left_it() {
    let mut night = Night::default();
    night
        .begins(0, "one", 1)
        .backlog(0, &[("a", ""), ("b", "")])
        .starts(0, "a", 1)
        .prepared(0, "a")
        .iterates(0, 10, "a", 1, false)
        .at(
            10,
            Event::Blocked {
                slug: slug("a"),
                question: "Which?".to_owned(),
            },
        )
        .starts(10, "b", 2)
        .prepared(11, "b")
        .iterates(11, 30, "b", 1, false)
        .at(
            30,
            Event::Blocked {
                slug: slug("b"),
                question: "Which?".to_owned(),
            },
        )
        .ends(30, 4);
    let run = night.last();
    let steps: Vec<_> = run
        .critical
        .iter()
        .map(|step| (step.slugs[0].as_str(), step.cause))
        .collect();
    assert_eq!(steps, [("a", StepCause::Start), ("b", StepCause::Slot)]);
    assert_eq!(run.features[&slug("b")].question.as_deref(), Some("Which?"));
}

#[test]
fn only_a_first_claim_that_landed_as_it_was_has_passed() {
    let run = chain().last();
    let (a, b) = (&run.features[&slug("a")], &run.features[&slug("b")]);
    assert_eq!(
        (a.first, b.first),
        (FirstClaim::SentBack, FirstClaim::Passed)
    );
    assert_eq!((a.claims, a.sent_back.len()), (2, 1));
    let claude = &run.agents["claude"];
    assert_eq!(
        (claude.first_claims, claude.first_passed, claude.landed),
        (2, 1, 2)
    );
}

#[test]
fn a_claim_of_one_run_is_judged_by_the_next() {
    let mut night = Night::default();
    night
        .begins(0, "one", 1)
        .backlog(0, &[("a", "")])
        .starts(0, "a", 1)
        .prepared(1, "a")
        .iterates(1, 9, "a", 1, true)
        .claims(9, "a");
    // Killed; a person asks for something before the next one begins.
    night
        .at(500, Event::Retried { slug: slug("a") })
        .begins(600, "two", 1)
        .tries(600, 1, "a")
        .gated(601, 1, None)
        .lands(601, 1, "a")
        .ends(602, 0);
    let runs = histories(&night.0);
    assert_eq!(
        run_ids(&night.0),
        [RunId("one".into()), RunId("two".into())]
    );
    let (one, two) = (&runs[0], &runs[1]);
    assert_eq!(
        (one.codes.clone(), two.codes.clone()),
        (None, Some(vec![0]))
    );
    assert_eq!(
        one.last,
        Stamp(9000),
        "what people did after it is not its own"
    );
    assert_eq!(one.features[&slug("a")].first, FirstClaim::Open);
    assert_eq!(two.features[&slug("a")].first, FirstClaim::None);
    let (features, agents) = over_runs(&runs, None);
    assert_eq!(features[&slug("a")].first, FirstClaim::Passed);
    assert_eq!(
        (
            features[&slug("a")].iterations,
            agents["claude"].first_passed
        ),
        (1, 1)
    );
    let told = history_of(&night.0, &RunId("one".into())).unwrap();
    assert_eq!(told.view.features[0].stage, Stage::Queued);
    assert!(history_of(&night.0, &RunId("three".into())).is_none());
}

#[test]
fn what_was_taken_back_did_not_land() {
    let mut night = chain();
    night.0.pop();
    night
        .at(
            81,
            Event::Undone {
                slug: slug("b"),
                commit: None,
                requeue: true,
                why: String::new(),
            },
        )
        .ends(82, 1);
    let run = night.last();
    let landed: Vec<&str> = run.landed().iter().map(|(slug, _)| slug.as_str()).collect();
    assert_eq!(landed, ["a"]);
}

#[test]
fn times_are_the_wall_clocks() {
    let mut night = chain();
    night.0.pop();
    night
        .at(81, Event::Slept { slept_ms: 5000 })
        .at(
            81,
            Event::ClockSet {
                wall: Stamp(1_000_081_000),
            },
        )
        .ends(82, 0);
    let run = night.last();
    assert_eq!(
        (run.started, run.last),
        (Stamp(1_000_000_000), Stamp(1_000_082_000))
    );
    assert_eq!(run.spans[0].from, Stamp(1_000_000_000));
    assert_eq!(run.asleep, [(Stamp(1_000_076_000), Stamp(1_000_081_000))]);
    assert_eq!((run.took_ms(), run.slept_ms()), (82_000, 5000));
}

#[test]
fn who_was_handed_on_is_counted_for_whom_it_was_handed_to() {
    let mut night = Night::default();
    night
        .begins(0, "one", 1)
        .backlog(0, &[("a", "")])
        .starts(0, "a", 1)
        .prepared(0, "a")
        .iterates(0, 4, "a", 1, false);
    if let Event::RunStarted { settings, .. } = &mut night.0[0].event {
        settings.escalate = vec![AgentChoice {
            profile: Some("codex".to_owned()),
            model: Some("large".to_owned()),
        }];
    }
    night
        .at(
            4,
            Event::Escalated {
                slug: slug("a"),
                breaker: "stuck".to_owned(),
                why: "it said nothing".to_owned(),
                rung: 1,
                to: AgentChoice {
                    profile: Some("codex".to_owned()),
                    model: Some("large".to_owned()),
                },
            },
        )
        .at(
            5,
            Event::IterationStarted {
                slug: slug("a"),
                iteration: 2,
                instead: None,
                rung: None,
            },
        );
    let run = night.last();
    let calls: Vec<_> = run
        .agents
        .iter()
        .map(|(name, it)| (name.as_str(), it.iterations))
        .collect();
    assert_eq!(calls, [("claude", 1), ("codex/large", 1)]);
    assert_eq!(
        spans(&run).last().unwrap(),
        "5-5 a #2 Open",
        "it was cut off"
    );
}

#[test]
fn spans_are_laid_into_as_few_lanes_as_hold_them() {
    let span = |from, to| (Stamp(from), Stamp(to));
    let spans = [
        span(0, 10),
        span(0, 4),
        span(4, 9),
        span(10, 12),
        span(11, 13),
    ];
    assert_eq!(lanes(&spans, |_| None), [vec![0, 3], vec![1, 2, 4]]);
    // Who goes on stays where it is.
    let spans = [span(0, 4), span(0, 5), span(5, 9)];
    assert_eq!(
        lanes(&spans, |n| (n == 2).then_some(1)),
        [vec![0], vec![1, 2]]
    );
    assert!(lanes(&[], |_| None).is_empty());
}

#[test]
fn what_was_lost_with_a_killed_run_is_its_own_and_the_time_until_somebody_noticed_is_not() {
    let mut night = Night(Vec::new());
    night.begins(0, "one", 1).backlog(0, &[("a", "")]);
    night.starts(1, "a", 1).prepared(2, "a");
    night.at(
        3,
        Event::IterationStarted {
            slug: slug("a"),
            iteration: 1,
            instead: None,
            rung: None,
        },
    );
    let usage = Usage {
        micro_usd: 7,
        ..Usage::default()
    };
    night
        .at(500, Event::Retried { slug: slug("a") })
        .at(
            600,
            Event::IterationLost {
                slug: slug("a"),
                iteration: 1,
                usage: Some(usage),
            },
        )
        .begins(600, "two", 1)
        .ends(601, 1);
    let runs = histories(&night.0);
    assert_eq!(runs[0].took_ms(), 3_000);
    assert_eq!(runs[0].spans.last().unwrap().to, Stamp(3_000));
    assert_eq!((runs[0].iterations, runs[0].usage), (1, usage));
    assert_eq!(runs[1].usage, Usage::default());
}

#[test]
fn what_was_taken_back_since_has_not_landed() {
    let mut night = Night(Vec::new());
    night.begins(0, "one", 1).backlog(0, &[("a", "")]);
    night.starts(1, "a", 1).prepared(2, "a");
    night.iterates(3, 4, "a", 1, true).claims(4, "a");
    night
        .tries(5, 1, "a")
        .gated(6, 1, None)
        .lands(7, 1, "a")
        .ends(8, 0);
    let runs = histories(&night.0);
    let landed = |now: Option<&View>| {
        let (features, agents) = over_runs(&runs, now);
        let feature = &features[&slug("a")];
        (
            feature.stage,
            feature.landed.is_some(),
            agents["claude"].landed,
        )
    };
    assert_eq!(landed(None), (Some(Stage::Merged), true, 1));
    let mut state = State::new();
    for record in &night.0 {
        state.apply(record);
    }
    let mut now = view(&state, Stamp(9_000));
    assert_eq!(landed(Some(&now)), landed(None));
    now.features[0].stage = Stage::Failed;
    assert_eq!(landed(Some(&now)), (Some(Stage::Failed), false, 0));
}
