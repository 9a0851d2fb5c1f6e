//! Scenarios of budgets: a person is told, nothing more begins, what is done lands, and a bigger budget goes on.

use super::super::Wait;
use super::*;
use crate::model::{Budget, BudgetSettings, Finding, SkipReason, Spending, Usage};

const USD: u64 = 1_000_000;

fn usd(dollars: u64) -> Budget {
    Budget {
        micro_usd: Some(dollars * USD),
        tokens: None,
    }
}

fn settings(parallel: u32, run: Budget, feature: Budget) -> Settings {
    Settings {
        parallel,
        budget: BudgetSettings { run, feature },
        ..Settings::default()
    }
}

fn cost(dollars: u64, report: IterationReport) -> IterationReport {
    let usage = Usage {
        input: 10,
        cache_read: 90,
        micro_usd: dollars * USD,
        ..Usage::default()
    };
    IterationReport {
        usage: Some(usage),
        ..report
    }
}

impl Story {
    fn told(&self) -> Vec<(Option<Slug>, u64)> {
        let told = self.facts.iter().filter_map(|fact| match fact {
            Event::Noticed {
                what: Finding::Budget { slug, spending },
            } => Some((slug.clone(), spending.used / USD)),
            _ => None,
        });
        told.collect()
    }

    fn given_up(&self) -> Option<Spending> {
        self.facts.iter().rev().find_map(|fact| match fact {
            Event::Failed {
                why: SkipReason::BudgetUsedUp { spending },
                ..
            } => Some(*spending),
            _ => None,
        })
    }
}

#[test]
fn a_runs_budget_is_told_at_80_percent_and_then_nothing_begins_but_what_is_done_lands() {
    let features = vec![feature("a", &[]), feature("b", &[]), feature("c", &[])];
    let mut story = Story::with(settings(2, usd(10), Budget::default()), features);
    story.prepare();
    assert_eq!(story.running(), ["a#1", "b#1"]);
    story.end("a", cost(7, report()));
    assert_eq!(story.told(), []);
    story.end("b", cost(1, report()));
    assert_eq!(story.told(), [(None, 8)]);
    // Those that run may end, however much they use.
    assert_eq!(story.running(), ["a#2", "b#2"]);
    story.end("a", cost(3, claim()));
    assert_eq!(story.told(), [(None, 8), (None, 11)]);
    assert_eq!(story.running(), ["b#2"]);
    assert!(story.asked().is_some(), "a is merged");
    assert_eq!(
        view(&story.state, story.now).features[2].waits,
        [Wait::Budget]
    );
    story.lands();
    story.end("b", cost(1, claim()));
    story.lands();
    story.finish();
    assert_eq!(story.told().len(), 2, "told once: {:?}", story.told());
    assert!(story.state.is_merged(&slug("a")) && story.state.is_merged(&slug("b")));
    assert_eq!(exit_codes(&story.state), [7]);
    let run = view(&story.state, story.now).run.unwrap();
    assert_eq!(run.usage.micro_usd, 12 * USD);
    assert_eq!(run.cached_percent, Some(90));
    assert_eq!(run.budget.left_micro_usd, Some(0));
    // A run that is begun anew has a budget of its own.
    story.run_again(settings(2, usd(10), Budget::default()), None);
    story.prepare();
    assert_eq!(story.running(), ["c#1"]);
}

#[test]
fn a_features_budget_holds_over_all_runs_until_it_is_tried_again() {
    let features = vec![feature("a", &[]), feature("b", &[])];
    let own = |dollars| settings(1, Budget::default(), usd(dollars));
    let mut story = Story::with(own(10), features);
    story.prepare();
    story.end("a", cost(9, report()));
    assert_eq!(story.told(), [(Some(slug("a")), 9)]);
    let failed = IterationReport {
        ending: Ending::TimedOut,
        tip: None,
        ..report()
    };
    story.tell(Input::Stop(StopLevel::Drain));
    story.end("a", cost(1, failed));
    story.finish();
    story.run_again(own(10), None);
    story.prepare();
    let spent = story.given_up().expect("given up");
    assert_eq!((spent.used, spent.budget), (10 * USD, 10 * USD));
    assert_eq!(story.running(), ["b#1"], "others go on");
    story.end("b", claim());
    story.lands();
    story.finish();
    assert_eq!(exit_codes(&story.state), [7]);
    // The same budget again: nothing has changed.
    story.run_again(own(10), None);
    story.finish();
    assert_eq!(exit_codes(&story.state), [7]);
    // A bigger one: it goes on.
    story.run_again(own(12), None);
    story.prepare();
    assert_eq!(story.running(), ["a#3"]);
    story.end("a", cost(5, report()));
    assert_eq!(story.given_up().unwrap().used, 15 * USD);
    story.tell(Input::Commanded(Command::Retry { slug: slug("a") }));
    story.prepare();
    assert_eq!(story.running(), ["a#4"], "with a new budget");
    assert_eq!(story.told().len(), 1);
}

#[test]
fn a_spec_may_have_a_budget_of_its_own_and_change_it() {
    let own = |tokens| {
        let mut spec = feature("a", &[]);
        spec.budget.tokens = tokens;
        spec
    };
    let look = |spec: FeatureSpec| {
        Input::Looked(Backlog {
            features: Some(vec![spec]),
            ..Backlog::default()
        })
    };
    let mut story = Story::with(
        settings(1, Budget::default(), usd(100)),
        vec![own(Some(150))],
    );
    story.prepare();
    story.end("a", cost(1, report()));
    story.tell(look(own(Some(100))));
    assert_eq!(story.running(), ["a#2"], "what runs is not stopped");
    story.end("a", cost(1, report()));
    assert_eq!(story.given_up().unwrap().budget, 100);
    story.tell(look(own(Some(201))));
    story.prepare();
    assert_eq!(story.running(), ["a#3"]);
    story.end("a", cost(98, report()));
    let spent = story.given_up().unwrap();
    assert_eq!(
        (spent.budget, spent.used),
        (100 * USD, 100 * USD),
        "where it sets no limit, that of all features holds"
    );
}

#[test]
fn an_answer_is_no_new_budget() {
    let mut story = Story::with(
        settings(1, Budget::default(), usd(5)),
        vec![feature("a", &[])],
    );
    story.prepare();
    let asks = IterationReport {
        blocked: Some("which colour?".into()),
        ..report()
    };
    story.end("a", cost(6, asks));
    assert_eq!(exit_codes(&story.state), [4]);
    story.tell(Input::Commanded(Command::Unblock {
        slug: slug("a"),
        answer: "blue".into(),
    }));
    assert!(story.given_up().is_some());
}

#[test]
fn prompts_that_begin_otherwise_than_before_are_told_once() {
    let with = |hash: &str| IterationReport {
        prompt: Some(crate::model::PromptFigures {
            hash: hash.into(),
            ..Default::default()
        }),
        ..report()
    };
    let mut story = Story::begin(1, vec![feature("a", &[])]);
    story.prepare();
    for hash in ["x", "x", "y", "y"] {
        story.end("a", with(hash));
    }
    let told: Vec<&Event> = story
        .facts
        .iter()
        .filter(|fact| matches!(fact, Event::Noticed { .. }))
        .collect();
    let expected = Event::Noticed {
        what: Finding::PromptChanged {
            slug: slug("a"),
            iteration: 3,
        },
    };
    assert_eq!(told, [&expected]);
}
