//! Scenarios of conversations that iterations go on with.

use super::*;
use crate::model::{AgentSettings, Session, Usage};

fn settings(resume: bool) -> Settings {
    let agent = AgentSettings {
        account: "one".into(),
        resume,
        ..AgentSettings::default()
    };
    Settings {
        agent: "one".into(),
        agents: BTreeMap::from([("one".into(), agent)]),
        escalate: vec![AgentChoice {
            profile: None,
            model: Some("large".into()),
        }],
        ..Settings::default()
    }
}

fn said(session: Option<&str>, output: u64) -> IterationReport {
    IterationReport {
        session: session.map(str::to_owned),
        usage: Some(Usage {
            output,
            ..Usage::default()
        }),
        ..report()
    }
}

/// What the iteration that runs goes on with: its name, and the output tokens so far.
fn resumed(story: &Story) -> Option<(String, u64)> {
    let effects = wanted(&story.state);
    let mut sessions = effects.into_iter().filter_map(|effect| match effect {
        Effect::Iterate { session, .. } => Some(session),
        _ => None,
    });
    let session: Option<Session> = sessions.next().expect("an iteration runs");
    session.map(|session| (session.id, session.used.output))
}

fn begun(resume: bool) -> Story {
    let mut story = Story::with(settings(resume), vec![feature("a", &[])]);
    story.prepare();
    assert_eq!(resumed(&story), None);
    story
}

#[test]
fn an_iteration_goes_on_with_the_last_conversation_where_that_is_asked_for() {
    let mut story = begun(false);
    story.end("a", said(Some("s1"), 5));
    assert_eq!(resumed(&story), None);
    let mut story = begun(true);
    story.end("a", said(Some("s1"), 5));
    assert_eq!(resumed(&story), Some(("s1".into(), 5)));
    story.end("a", said(Some("s1"), 7));
    assert_eq!(resumed(&story), Some(("s1".into(), 12)));
    story.end("a", said(Some("s2"), 1));
    assert_eq!(resumed(&story), Some(("s2".into(), 1)));
    story.end("a", said(None, 1));
    assert_eq!(resumed(&story), None);
}

#[test]
fn what_failed_is_begun_anew_and_what_was_not_its_fault_is_gone_on_with() {
    let failed = |kind| IterationReport {
        failure: Some(AgentFailure::new(kind, "it failed")),
        ..said(None, 0)
    };
    for (kind, kept) in [
        (FailureKind::Other, false),
        (FailureKind::Context, false),
        (FailureKind::Overloaded, true),
        (FailureKind::Machine, true),
    ] {
        let mut story = begun(true);
        story.end("a", said(Some("s1"), 5));
        story.end("a", failed(kind));
        story.now = story.now.plus_ms(60_000);
        story.tell(Input::Tick);
        assert_eq!(resumed(&story).is_some(), kept, "{kind:?}");
    }
}

#[test]
fn a_rung_and_a_retry_begin_anew_an_answer_goes_on() {
    let quiet = IterationReport {
        note: "ok".into(),
        ..said(Some("s1"), 5)
    };
    let mut story = begun(true);
    for _ in 0..3 {
        story.end("a", quiet.clone());
    }
    assert_eq!(resumed(&story), None, "the next rung begins anew");
    story.end("a", quiet);
    story.tell(Input::Commanded(Command::Retry { slug: slug("a") }));
    story.prepare();
    assert_eq!(resumed(&story), None);
    let blocked = Some("which one?".into());
    story.end(
        "a",
        IterationReport {
            blocked,
            ..said(Some("s2"), 5)
        },
    );
    story.tell(Input::Commanded(Command::Unblock {
        slug: slug("a"),
        answer: "the first".into(),
    }));
    story.prepare();
    assert_eq!(resumed(&story), Some(("s2".into(), 5)));
}

#[test]
fn what_is_lost_in_another_worktree_was_no_part_of_a_conversation() {
    let mut story = begun(true);
    story.end("a", said(Some("s1"), 5));
    // Its worktree becomes another's meanwhile.
    let move_to = |story: &mut Story, to: WorktreeName| {
        let feature = story.state.features.get_mut(&slug("a")).unwrap();
        let from = feature.worktree.replace(to).unwrap();
        story.state.worktrees.remove(&from);
        story.state.worktrees.insert(to, slug("a"));
        from
    };
    let first = move_to(&mut story, WorktreeName(7));
    story.tell(Input::IterationLost {
        slug: slug("a"),
        iteration: 2,
        usage: said(None, 3).usage,
    });
    move_to(&mut story, first);
    story.end("a", said(None, 0));
    assert_eq!(resumed(&story), Some(("s1".into(), 5)));
}

#[test]
fn a_restart_goes_on_with_what_the_last_iteration_told() {
    let mut story = begun(true);
    story.end("a", said(Some("s1"), 5));
    story.tell(Input::IterationLost {
        slug: slug("a"),
        iteration: 2,
        usage: said(None, 3).usage,
    });
    story.run_again(settings(true), None);
    story.prepare();
    assert_eq!(resumed(&story), Some(("s1".into(), 8)));
}
