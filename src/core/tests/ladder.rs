//! Scenarios of the ladder: who takes over when a breaker opens, and for how long.

use super::super::{AgentView, Because};
use super::*;

fn rung(profile: Option<&str>, model: Option<&str>) -> AgentChoice {
    AgentChoice {
        profile: profile.map(str::to_owned),
        model: model.map(str::to_owned),
    }
}

/// Two rungs: another model, then another agent.
fn settings() -> Settings {
    Settings {
        agent: "one".into(),
        escalate: vec![rung(None, Some("large")), rung(Some("two"), None)],
        ..Settings::default()
    }
}

fn quiet() -> IterationReport {
    IterationReport {
        note: "ok".into(),
        ..report()
    }
}

/// What the agent of the running iteration is.
fn called(story: &Story) -> AgentChoice {
    let effects = wanted(&story.state);
    let mut agents = effects.iter().filter_map(|effect| match effect {
        Effect::Iterate { agent, .. } => Some(agent.clone()),
        _ => None,
    });
    agents.next().expect("an iteration runs")
}

fn agent(story: &Story) -> AgentView {
    let view = view(&story.state, story.now);
    view.features[0].agent.clone().expect("a run began")
}

fn end_all(story: &mut Story, reports: &[IterationReport]) {
    for report in reports {
        story.end("a", report.clone());
    }
}

/// A feature that has tripped once.
fn on_the_first_rung() -> Story {
    let mut story = Story::with(settings(), vec![feature("a", &[])]);
    story.prepare();
    assert_eq!(called(&story), rung(Some("one"), None));
    end_all(&mut story, &[quiet(), quiet(), quiet()]);
    story
}

#[test]
fn each_rung_gets_one_try_and_then_a_person_is_asked() {
    let mut story = on_the_first_rung();
    assert_eq!(called(&story), rung(Some("one"), Some("large")));
    assert_eq!(story.stage("a"), Stage::Working);
    let because = Because::Breaker("3 iterations in a row said nothing".into());
    let seen = agent(&story);
    assert_eq!(
        (seen.words(), &seen.because),
        ("one/large".into(), &because)
    );
    assert!(seen.on_trial);
    end_all(&mut story, &[quiet()]);
    assert_eq!(called(&story), rung(Some("two"), None));
    end_all(&mut story, &[quiet()]);
    assert_eq!(story.stage("a"), Stage::Tripped);
    let rungs = story.facts.iter().filter_map(|fact| match fact {
        Event::IterationStarted { rung, .. } => Some(rung.as_ref().map(AgentChoice::words)),
        _ => None,
    });
    let rungs: Vec<Option<String>> = rungs.collect();
    let (large, two) = (Some("large".to_owned()), Some("two".to_owned()));
    assert_eq!(rungs, [None, None, None, large, two]);
    assert_eq!(story.finish(), [5]);
    // A person begins at the bottom.
    story.run_again(settings(), None);
    story.tell(Input::Commanded(Command::Retry { slug: slug("a") }));
    story.prepare();
    assert_eq!(called(&story), rung(Some("one"), None));
    end_all(&mut story, &[quiet(), quiet()]);
    assert_eq!(
        called(&story),
        rung(Some("one"), None),
        "with fresh breakers"
    );
}

#[test]
fn progress_closes_the_breaker_and_the_feature_stays_on_its_rung() {
    let mut story = on_the_first_rung();
    end_all(&mut story, &[report()]);
    assert!(!agent(&story).on_trial);
    end_all(&mut story, &[quiet(), quiet()]);
    assert_eq!(called(&story), rung(Some("one"), Some("large")));
    end_all(&mut story, &[quiet()]);
    assert_eq!(called(&story), rung(Some("two"), None), "it opened again");
}

#[test]
fn what_is_not_charged_is_no_try() {
    let mut story = on_the_first_rung();
    let overloaded = IterationReport {
        failure: Some(AgentFailure::new(FailureKind::Overloaded, "overloaded")),
        ..quiet()
    };
    end_all(&mut story, &[overloaded]);
    assert_eq!(story.stage("a"), Stage::Between);
    story.now = story.now.plus_ms(60_000);
    story.tell(Input::Tick);
    assert_eq!(called(&story), rung(Some("one"), Some("large")));
}

#[test]
fn the_rung_outlives_the_run_and_follows_the_ladder_as_it_is_now() {
    let mut story = on_the_first_rung();
    story.tell(Input::IterationLost {
        slug: slug("a"),
        iteration: 4,
        usage: None,
    });
    story.run_again(settings(), None);
    story.prepare();
    assert_eq!(called(&story), rung(Some("one"), Some("large")));
    story.tell(Input::IterationLost {
        slug: slug("a"),
        iteration: 5,
        usage: None,
    });
    let none = Settings {
        escalate: Vec::new(),
        ..settings()
    };
    story.run_again(none, None);
    story.prepare();
    assert_eq!(
        called(&story),
        rung(Some("one"), None),
        "nobody is there any more"
    );
    end_all(&mut story, &[quiet()]);
    assert_eq!(story.stage("a"), Stage::Tripped);
}

#[test]
fn a_gate_that_fails_alike_hands_on_and_the_next_gate_decides() {
    let mut story = Story::with(settings(), vec![feature("a", &[])]);
    story.prepare();
    for _ in 0..3 {
        story.end("a", claim());
        story.red("make test", "1 failed");
        story.prepare();
    }
    assert_eq!(called(&story), rung(Some("one"), Some("large")));
    // Iterations that claim nothing say nothing about the gate.
    end_all(&mut story, &[report(), report()]);
    assert_eq!(called(&story), rung(Some("one"), Some("large")));
    story.end("a", claim());
    story.red("make test", "1 failed");
    story.prepare();
    assert_eq!(called(&story), rung(Some("two"), None));
    story.end("a", claim());
    story.lands();
    assert_eq!(story.stage("a"), Stage::Merged);
}

#[test]
fn who_tampers_is_not_handed_on() {
    let mut story = Story::with(settings(), vec![feature("a", &[])]);
    story.prepare();
    let tampered = Some("the hook pre-commit changed".into());
    end_all(
        &mut story,
        &[IterationReport {
            tampered,
            ..report()
        }],
    );
    assert_eq!(story.stage("a"), Stage::Tripped);
}

#[test]
fn a_model_for_the_run_goes_before_the_features_and_a_rungs_before_both() {
    let mut spec = feature("a", &[]);
    spec.agent.model = Some("small".into());
    let settings = Settings {
        model: Some("usual".into()),
        ..settings()
    };
    let mut story = Story::with(settings, vec![spec]);
    story.prepare();
    assert_eq!(called(&story), rung(Some("one"), Some("usual")));
    end_all(&mut story, &[quiet(), quiet(), quiet()]);
    assert_eq!(called(&story), rung(Some("one"), Some("large")));
    end_all(&mut story, &[quiet()]);
    assert_eq!(called(&story), rung(Some("two"), None), "two has its own");
}
