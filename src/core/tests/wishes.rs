//! Scenarios of what people leave out and let through.

use super::*;
use crate::model::SkipReason;

fn skip(name: &str) -> Input {
    let (slug, why) = (slug(name), "not tonight".to_owned());
    Input::Commanded(Command::Skip { slug, why })
}

fn retry(name: &str) -> Input {
    Input::Commanded(Command::Retry { slug: slug(name) })
}

fn approve(name: &str, tip: char) -> Input {
    let (slug, tip) = (slug(name), oid(tip));
    Input::Commanded(Command::Approve { slug, tip })
}

fn answer(name: &str) -> Input {
    let (slug, answer) = (slug(name), "smaller".to_owned());
    Input::Commanded(Command::Unblock { slug, answer })
}

/// One that a person must see before it lands.
fn reviewed(name: &str) -> FeatureSpec {
    FeatureSpec {
        review: true,
        ..feature(name, &[])
    }
}

fn stopped() -> IterationReport {
    IterationReport {
        ending: Ending::Stopped,
        ..report()
    }
}

impl Story {
    /// What has passed before lands and is published.
    fn lands_ungated(&mut self) {
        self.build();
        assert!(self.gating().is_empty());
        self.land(LandOutcome::Done);
        self.publish(PublishOutcome::Done);
    }
}

fn awaits_review(story: &Story, name: &str) -> bool {
    story.stage(name) == Stage::Review && story.state.reviewed(&slug(name)) == Some(&oid('b'))
}

#[test]
fn who_waits_is_left_out_at_once_and_nothing_more_comes_of_it() {
    let mut first = feature("a", &[]);
    first.priority = 1;
    let mut story = Story::begin(1, vec![first, feature("b", &[]), feature("c", &["b"])]);
    story.prepare();
    story.tell(skip("b"));
    assert_eq!(story.stage("b"), Stage::LeftOut);
    assert_eq!(story.stage("c"), Stage::Skipped, "it needs b");
    story.end("a", claim());
    story.lands();
    // Nobody waits for b, but c does not come either.
    assert_eq!(story.finish(), [1]);
    let starts = story
        .facts
        .iter()
        .filter(|fact| matches!(fact, Event::Started { .. }));
    assert_eq!(starts.count(), 1);
}

#[test]
fn what_is_left_out_is_not_missing() {
    let mut story = Story::begin(1, vec![feature("a", &[]), feature("b", &[])]);
    story.tell(skip("b"));
    story.prepare();
    story.end("a", claim());
    story.lands();
    assert_eq!(story.finish(), [0]);
    // It stays so in the next run, until somebody wants it.
    story.run_again(Settings::default(), None);
    assert_eq!(story.stage("b"), Stage::LeftOut);
    assert_eq!(story.finish(), [0]);
    story.run_again(Settings::default(), None);
    story.tell(retry("b"));
    story.prepare();
    assert_eq!(story.running(), ["b#1"]);
}

#[test]
fn an_agent_at_work_is_stopped_and_what_it_did_is_kept() {
    let mut story = Story::begin(1, vec![feature("a", &[]), feature("b", &[])]);
    story.prepare();
    assert_eq!(story.running(), ["a#1"]);
    story.tell(skip("a"));
    let iterates = |story: &Story| {
        let wanted = wanted(&story.state);
        wanted
            .iter()
            .any(|effect| matches!(effect, Effect::Iterate { .. }))
    };
    assert!(!iterates(&story), "it is to be stopped");
    assert_eq!(story.running(), ["a#1"], "until it is, it has its slot");
    story.tell(skip("a"));
    story.end("a", stopped());
    assert_eq!(story.stage("a"), Stage::LeftOut);
    let times = story
        .facts
        .iter()
        .filter(|fact| matches!(fact, Event::Skipped { .. }));
    assert_eq!(times.count(), 1);
    // Its slot is another's now; its worktree is its own still.
    story.prepare();
    assert_eq!(story.running(), ["b#1"]);
    assert_eq!(story.state.worktree(&slug("a")), Some(WorktreeName(1)));
    story.end("b", claim());
    story.lands();
    assert_eq!(story.finish(), [0]);
}

#[test]
fn who_thinks_better_of_it_in_time_loses_nothing() {
    let mut story = Story::begin(1, vec![feature("a", &[])]);
    story.prepare();
    story.tell(skip("a"));
    story.tell(retry("a"));
    assert!(
        wanted(&story.state)
            .iter()
            .any(|effect| matches!(effect, Effect::Iterate { .. }))
    );
    story.end("a", stopped());
    assert_eq!(story.running(), ["a#2"]);
}

#[test]
fn a_claim_that_came_first_is_kept() {
    let mut story = Story::begin(1, vec![feature("a", &[])]);
    story.prepare();
    story.tell(skip("a"));
    story.end("a", claim());
    let done = SkipReason::LeftOut {
        text: "not tonight".into(),
        done: true,
    };
    let left_out = Event::Failed {
        slug: slug("a"),
        why: done,
    };
    assert!(story.facts.contains(&left_out));
    assert_eq!(story.stage("a"), Stage::LeftOut);
    story.tell(retry("a"));
    // No agent is called again for what is done.
    story.lands();
    assert_eq!(story.finish(), [0]);
}

#[test]
fn nothing_is_asked_for_what_is_left_out() {
    let settings = Settings {
        on_halt: OnHalt::Stop,
        ..Settings::default()
    };
    let mut story = Story::with(settings, vec![feature("a", &[])]);
    story.prepare();
    story.tell(skip("a"));
    let blocked = Some("which colour?".to_owned());
    story.end("a", IterationReport { blocked, ..claim() });
    assert_eq!(story.stage("a"), Stage::LeftOut);
    assert_eq!(story.finish(), [0]);
}

#[test]
fn who_is_being_merged_leaves_the_chain_and_the_others_go_on() {
    let features = ["a", "b", "c"].map(|name| feature(name, &[]));
    let settings = Settings {
        parallel: 3,
        merge: MergeSettings {
            batch: 4,
            ..MergeSettings::default()
        },
        ..Settings::default()
    };
    let mut story = Story::with(settings, features.into());
    story.prepare();
    for name in ["a", "b", "c"] {
        story.end(name, claim());
    }
    story.lands();
    let (_, _, _, members) = story.asked().unwrap();
    assert_eq!(members, [slug("b"), slug("c")]);
    story.tell(skip("b"));
    assert_eq!(story.stage("b"), Stage::LeftOut);
    let (_, _, _, members) = story.asked().unwrap();
    assert_eq!(members, [slug("c")]);
    story.lands();
    assert_eq!(story.finish(), [0]);
}

#[test]
fn what_is_being_landed_lands() {
    let mut story = Story::begin(1, vec![feature("a", &[])]);
    story.prepare();
    story.end("a", claim());
    story.green();
    story.tell(skip("a"));
    assert!(!story.state.may_be_skipped(&slug("a")));
    story.land(LandOutcome::Done);
    assert_eq!(story.stage("a"), Stage::Merged);
    assert!(!story.state.is_being_left_out(&slug("a")));
    story.publish(PublishOutcome::Done);
    assert_eq!(story.finish(), [0]);
    story.tell(skip("a"));
    assert_eq!(story.stage("a"), Stage::Merged);
}

#[test]
fn whoever_halted_can_be_left_out() {
    let mut story = Story::begin(1, vec![feature("a", &[])]);
    story.prepare();
    let blocked = Some("which colour?".to_owned());
    story.end(
        "a",
        IterationReport {
            blocked,
            ..report()
        },
    );
    assert_eq!(story.finish(), [4]);
    story.run_again(Settings::default(), None);
    story.tell(skip("a"));
    assert_eq!(story.stage("a"), Stage::LeftOut);
    assert_eq!(story.finish(), [0]);
}

#[test]
fn a_run_that_was_killed_leaves_out_in_the_next() {
    let mut story = Story::begin(1, vec![feature("a", &[])]);
    story.prepare();
    story.tell(skip("a"));
    story.tell(Input::IterationLost {
        slug: slug("a"),
        iteration: 1,
        usage: None,
    });
    assert_eq!(story.stage("a"), Stage::LeftOut);
}

#[test]
fn what_a_person_must_see_is_tried_and_waits() {
    let mut story = Story::begin(1, vec![reviewed("a")]);
    story.prepare();
    story.end("a", claim());
    story.green();
    assert!(awaits_review(&story, "a"));
    assert_eq!(story.finish(), [8]);
    story.run_again(Settings::default(), None);
    // What passed is not gated again.
    assert!(story.asked().is_some());
    story.build();
    assert!(awaits_review(&story, "a"));
    story.tell(approve("a", 'b'));
    story.lands_ungated();
    assert_eq!(story.stage("a"), Stage::Merged);
    assert_eq!(story.finish(), [0]);
}

#[test]
fn what_does_not_pass_is_nobodys_to_see() {
    let mut story = Story::begin(1, vec![reviewed("a")]);
    story.prepare();
    story.end("a", claim());
    for _ in 0..2 {
        story.gate(GateOutcome::Red {
            command: "make test".into(),
            tail: "no".into(),
            gate_ms: 5,
        });
    }
    assert_eq!(
        story.stage("a"),
        Stage::Preparing,
        "it goes back to its agent"
    );
}

#[test]
fn others_do_not_wait_for_what_a_person_must_see() {
    let settings = Settings {
        parallel: 3,
        merge: MergeSettings {
            batch: 4,
            parallel_gates: 3,
            ..MergeSettings::default()
        },
        ..Settings::default()
    };
    let mut story = Story::with(
        settings,
        vec![reviewed("a"), feature("b", &[]), feature("c", &[])],
    );
    story.prepare();
    story.end("a", claim());
    // It is tried, and nothing is built onto it.
    for name in ["b", "c"] {
        story.end(name, claim());
    }
    let started = story.facts.iter().filter(|fact| {
        matches!(
            fact,
            Event::AttemptStarted {
                what: Trial::Features,
                ..
            }
        )
    });
    assert_eq!(started.count(), 1);
    story.green();
    assert!(awaits_review(&story, "a"));
    let (_, _, onto, members) = story.asked().unwrap();
    assert_eq!((onto, members), (oid('a'), vec![slug("b"), slug("c")]));
    story.lands();
    assert_eq!(story.stage("c"), Stage::Merged);
    assert_eq!(story.finish(), [8]);
}

#[test]
fn only_what_was_seen_lands() {
    let mut story = Story::begin(1, vec![reviewed("a")]);
    story.prepare();
    story.end("a", claim());
    story.green();
    // Somebody looked at another commit than the one that would land.
    let before = story.facts.len();
    story.tell(approve("a", 'd'));
    assert_eq!(story.facts.len(), before);
    assert!(awaits_review(&story, "a"), "its branch stands elsewhere");
    // Whoever has words for it sends it back; what comes of that is seen again.
    story.tell(answer("a"));
    assert_eq!(story.state.answer(&slug("a")), Some("smaller"));
    story.prepare();
    story.end("a", claim());
    story.green();
    assert!(awaits_review(&story, "a"));
    story.tell(approve("a", 'b'));
    story.lands_ungated();
    assert_eq!(story.finish(), [0]);
}

#[test]
fn an_approval_is_for_who_waits_for_one() {
    let mut story = Story::begin(1, vec![feature("a", &[])]);
    let before = story.facts.len();
    story.tell(approve("a", 'b'));
    assert_eq!(story.facts.len(), before);
}

#[test]
fn what_is_not_to_be_seen_any_more_lands() {
    let mut story = Story::begin(1, vec![reviewed("a"), feature("b", &[])]);
    story.prepare();
    story.end("a", claim());
    story.green();
    assert!(awaits_review(&story, "a"));
    let features = Some(vec![feature("a", &[]), feature("b", &[])]);
    story.tell(Input::Looked(Backlog {
        features,
        ..Backlog::default()
    }));
    story.lands_ungated();
    assert_eq!(story.stage("a"), Stage::Merged);
}

#[test]
fn whoever_tampers_and_is_left_out_is_shown_all_the_same() {
    let mut story = Story::begin(1, vec![feature("a", &[])]);
    story.prepare();
    story.tell(skip("a"));
    let tampered = Some("it planted a hook".to_owned());
    story.end(
        "a",
        IterationReport {
            tampered,
            ..report()
        },
    );
    assert_eq!(story.stage("a"), Stage::Tripped);
    assert_eq!(story.finish(), [5]);
}

#[test]
fn what_a_person_wants_changed_may_cost_something() {
    let settings = Settings {
        max_iterations_per_feature: 1,
        ..Settings::default()
    };
    let mut story = Story::with(settings, vec![reviewed("a")]);
    story.prepare();
    story.end("a", claim());
    story.green();
    story.tell(answer("a"));
    story.prepare();
    assert_eq!(story.running(), ["a#2"]);
}

#[test]
fn what_may_have_landed_is_not_left_out() {
    let mut story = Story::begin(1, vec![feature("a", &[])]);
    story.prepare();
    story.end("a", claim());
    story.green();
    story.land(LandOutcome::Infra {
        why: "the disk is full".into(),
    });
    assert!(!story.state.may_be_skipped(&slug("a")));
    // A later failure of something else says nothing of it either.
    story.now = story.now.plus_ms(100_000);
    story.settle();
    story.build();
    assert!(!story.state.may_be_skipped(&slug("a")));
    story.land(LandOutcome::Done);
    story.publish(PublishOutcome::Done);
    assert_eq!(story.finish(), [0]);
}
