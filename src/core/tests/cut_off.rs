//! What random nights found: verdicts that a crash cut off, features that wait for what will not come, and ends of
//! runs that explained nothing.

use super::*;

fn locked(name: &str) -> FeatureSpec {
    FeatureSpec {
        locks: vec!["database".into()],
        ..feature(name, &[])
    }
}

/// An iteration's end is recorded, and the process dies before what follows from it is.
fn dies_after(story: &mut Story, name: &str, report: IterationReport) {
    let iteration = story.state.last_iteration(&slug(name));
    story.take(Event::IterationEnded {
        slug: slug(name),
        iteration,
        report: Box::new(report),
    });
}

#[test]
fn a_question_is_heard_although_the_process_died_before_it_was_judged() {
    let mut story = Story::begin(1, vec![feature("a", &[])]);
    story.prepare();
    let asks = IterationReport {
        blocked: Some("which colour?".into()),
        ..report()
    };
    dies_after(&mut story, "a", asks);
    story.run_again(Settings::default(), None);
    assert_eq!(story.stage("a"), Stage::Blocked);
}

#[test]
fn a_claim_and_a_trip_survive_a_death_before_their_verdict() {
    let mut story = Story::begin(2, vec![feature("a", &[]), feature("b", &[])]);
    story.prepare();
    let reaches_out = IterationReport {
        tampered: Some("the hook pre-commit changed".into()),
        ..report()
    };
    dies_after(&mut story, "a", claim());
    dies_after(&mut story, "b", reaches_out);
    story.run_again(Settings::default(), None);
    assert_eq!(story.stage("a"), Stage::Gating);
    assert_eq!(story.stage("b"), Stage::Tripped);
}

#[test]
fn a_lower_cap_holds_from_the_run_that_sets_it() {
    let mut story = Story::begin(1, vec![feature("a", &[])]);
    story.prepare();
    story.end("a", report());
    story.end("a", report());
    story.tell(Input::Stop(StopLevel::Drain));
    story.end("a", report());
    let lower = Settings {
        max_iterations_per_feature: 2,
        ..Settings::default()
    };
    story.run_again(lower, None);
    assert_eq!(story.stage("a"), Stage::Failed);
}

#[test]
fn an_end_of_an_earlier_preparation_does_not_end_this_one() {
    let mut story = Story::begin(1, vec![feature("a", &[])]);
    let fails = || Input::PrepareFailed {
        slug: slug("a"),
        attempt: 1,
        kind: InfraKind::System,
        why: "no space is left".into(),
    };
    story.tell(fails());
    story.now = story.now.plus_ms(10_000);
    story.tell(Input::Tick);
    assert_eq!(story.stage("a"), Stage::Preparing);
    let before = story.facts.len();
    story.tell(fails());
    story.tell(Input::Prepared {
        slug: slug("a"),
        attempt: 1,
        worktree: WorktreeName(1),
        base: oid('a'),
    });
    assert_eq!(story.facts.len(), before);
}

#[test]
fn a_claimed_feature_outside_of_the_selection_keeps_nobody_waiting() {
    let mut story = Story::begin(1, vec![locked("a"), locked("b")]);
    story.prepare();
    story.end("a", claim());
    let only = Settings {
        only: Some(BTreeSet::from([slug("b")])),
        ..Settings::default()
    };
    story.run_again(only, None);
    assert_eq!(story.stage("b"), Stage::Preparing);
}

#[test]
fn a_feature_that_waited_for_a_broken_base_has_its_locks_again_when_it_is_called() {
    let mut story = Story::begin(2, vec![locked("a"), locked("b")]);
    story.prepare();
    story.end("a", claim());
    story.build();
    let attempt = story.gating()[0].0;
    let ground = Ground {
        tip: oid('c'),
        tree: oid('d'),
        target: oid('c'),
        relation: Relation::Behind,
    };
    story.take(Event::Held {
        slug: slug("a"),
        attempt,
    });
    story.take(Event::TipMoved { ground });
    story.take(Event::AttemptStarted {
        attempt: attempt + 1,
        what: Trial::Features,
        onto: oid('c'),
        members: vec![slug("a")],
    });
    let chain = story.chain(&oid('c'), &[slug("a")]);
    story.take(Event::Built {
        attempt: attempt + 1,
        chain,
    });
    story.take(Event::Rejected {
        slug: slug("a"),
        attempt: attempt + 1,
        onto: oid('c'),
        red: crate::model::Red {
            command: "make".into(),
            tail: "no".into(),
        },
        merged: false,
    });
    story.tell(Input::Tick);
    let stages = [story.stage("a"), story.stage("b")];
    let active = stages.iter().filter(|stage| **stage == Stage::Preparing);
    assert_eq!(active.count(), 1, "{stages:?}");
}

#[test]
fn what_is_to_land_behind_one_that_is_not_gated_any_more_does_not_keep_the_run_alive() {
    let merge = MergeSettings {
        batch: 1,
        parallel_gates: 2,
        ..MergeSettings::default()
    };
    let settings = Settings {
        parallel: 2,
        merge,
        ..Settings::default()
    };
    let mut story = Story::with(settings, vec![feature("a", &[]), feature("b", &[])]);
    story.prepare();
    story.end("a", claim());
    story.end("b", claim());
    story.build();
    let (attempt, reds, about) = story.gating()[1].clone();
    assert_eq!(about, ["b"]);
    story.tell(Input::Gated {
        attempt,
        reds,
        outcome: GateOutcome::Green { gate_ms: 1 },
    });
    story.tell(Input::Stop(StopLevel::Terminate { code: 130 }));
    assert_eq!(story.finish(), [130]);
}

#[test]
fn what_waits_for_a_feature_that_was_taken_back_is_not_done() {
    let mut story = Story::begin(1, vec![feature("a", &[]), feature("b", &["a"])]);
    story.prepare();
    story.merge("a");
    story.tell(Input::Stop(StopLevel::Terminate { code: 130 }));
    story.finish();
    story.tell(Input::Undone {
        slug: slug("a"),
        commit: Some(oid('9')),
        requeue: false,
        why: String::new(),
    });
    story.run_again(Settings::default(), None);
    assert_eq!(story.stage("b"), Stage::Skipped);
    assert_eq!(story.finish(), [1]);
}

#[test]
fn a_feature_that_was_taken_back_is_no_reason_for_a_code() {
    let mut story = Story::begin(1, vec![feature("a", &[])]);
    story.prepare();
    story.merge("a");
    story.finish();
    story.tell(Input::Undone {
        slug: slug("a"),
        commit: Some(oid('9')),
        requeue: false,
        why: String::new(),
    });
    story.run_again(Settings::default(), None);
    story.tell(Input::Looked(Backlog {
        halt: Some("enough".into()),
        ..Backlog::default()
    }));
    assert_eq!(story.finish(), [0]);
}

#[test]
fn what_landed_before_a_death_has_landed_although_its_branch_is_gone() {
    let mut story = Story::begin(1, vec![feature("a", &[]), feature("b", &["a"])]);
    story.prepare();
    story.end("a", claim());
    story.green();
    let mut effects = wanted(&story.state).into_iter();
    let landing = effects.find_map(|effect| match effect {
        Effect::Land { to, .. } => Some(to),
        _ => None,
    });
    // The process dies after git has moved the integration ref, and a person deletes the branch.
    story.tell(Input::RunBegins {
        run: RunId("again".into()),
        settings: Box::new(Settings::default()),
        target: "refs/heads/main".into(),
        ground: Ground {
            tip: landing.unwrap(),
            tree: oid('d'),
            target: oid('a'),
            relation: Relation::Behind,
        },
        lost: Vec::new(),
        gone: vec![slug("a")],
    });
    story.land(LandOutcome::Done);
    story.publish(PublishOutcome::Done);
    assert_eq!(story.stage("a"), Stage::Merged);
    assert_eq!(story.stage("b"), Stage::Preparing);
}
