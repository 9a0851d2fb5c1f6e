//! Scenarios of accounts that cannot be used: waiting, trying again, going on elsewhere.

use super::super::{Wait, wake_at};
use super::*;
use crate::model::{AgentSettings, LimitSettings, OnLimit, Quota};

const HOUR_MS: u64 = 60 * 60_000;

fn failed(kind: FailureKind, resets_at: Option<Stamp>) -> IterationReport {
    let resets_at = resets_at.map(|at| i64::try_from(at.0 / 1000).unwrap());
    IterationReport {
        ending: Ending::Exited { code: 1 },
        failure: Some(AgentFailure {
            resets_at,
            ..AgentFailure::new(kind, "You've hit your session limit")
        }),
        note: String::new(),
        changed: false,
        ..report()
    }
}

fn limited(story: &Story, after_ms: u64) -> IterationReport {
    failed(FailureKind::Limit, Some(story.now.plus_ms(after_ms)))
}

/// Profiles `one` and `two` with an account each; `also` shares the first's.
fn settings(parallel: u32) -> Settings {
    let agent = |account: &str| AgentSettings {
        account: account.into(),
        ..AgentSettings::default()
    };
    Settings {
        parallel,
        agent: "one".into(),
        agents: BTreeMap::from([
            ("one".into(), agent("first")),
            ("also".into(), agent("first")),
            ("two".into(), agent("second")),
        ]),
        ..Settings::default()
    }
}

fn of(profile: &str, name: &str) -> FeatureSpec {
    let mut spec = feature(name, &[]);
    spec.agent.profile = Some(profile.into());
    spec
}

#[test]
fn waiting_for_an_account_is_no_measure_of_how_fast_a_run_is() {
    let mut story = Story::with(settings(1), many(&["a", "b"]));
    let waited = |story: &Story| view(&story.state, story.now).run.unwrap().waited_ms;
    story.prepare();
    story.now = story.now.plus_ms(1000);
    assert_eq!(waited(&story), 0);
    story.end("a", limited(&story, HOUR_MS));
    let begun = waited(&story);
    assert!(begun < 1000, "only what writing it down took");
    let (slept_ms, since) = (HOUR_MS / 4, story.state.last_at());
    story.now = story.now.plus_ms(HOUR_MS / 2);
    story.tell(Input::Slept { slept_ms });
    story.sleep();
    let passed = story.state.last_at().since_ms(since);
    let run = view(&story.state, story.now).run.unwrap();
    assert_eq!(run.slept_ms, slept_ms);
    let counted = waited(&story) - begun;
    assert!(
        counted.abs_diff(passed - slept_ms) < 1000,
        "{counted} of {passed}"
    );
    // Its slot is at work again.
    let before = waited(&story);
    story.prepare();
    story.now = story.now.plus_ms(60_000);
    story.end("a", report());
    assert_eq!(waited(&story), before);
}

#[test]
fn a_pause_beside_a_closed_account_is_no_waiting() {
    let mut settings = settings(2);
    settings.sleep_between_ms = HOUR_MS / 2;
    let mut story = Story::with(settings, vec![of("one", "a"), of("two", "b")]);
    let waited = |story: &Story| view(&story.state, story.now).run.unwrap().waited_ms;
    story.prepare();
    story.end("a", limited(&story, HOUR_MS));
    story.end("b", report());
    let begun = waited(&story);
    while story.profiles().is_empty() {
        story.sleep();
    }
    assert_eq!(story.profiles(), [Some("two".to_owned())], "b goes on");
    assert_eq!(waited(&story), begun);
}

#[test]
fn who_waits_behind_one_that_is_called_no_more_holds_up_nobody() {
    let locked = |profile: &str, name: &str| FeatureSpec {
        locks: vec!["db".into()],
        ..of(profile, name)
    };
    let all = vec![locked("one", "c"), of("two", "b")];
    let mut story = Story::with(settings(2), all.clone());
    story.prepare();
    let features = Some([all, vec![locked("two", "a")]].concat());
    story.tell(Input::Looked(Backlog {
        features,
        ..Backlog::default()
    }));
    assert_eq!(story.stage("a"), Stage::Waiting);
    // It has the right of way, and `b` is to let it through.
    let later = story.now.plus_ms(HOUR_MS);
    story.state.merging.right_of_way.insert(slug("a"), later);
    story.state.features.get_mut(&slug("a")).unwrap().rounds = 2;
    story
        .state
        .features
        .get_mut(&slug("b"))
        .unwrap()
        .gives_way_to = Some(slug("a"));
    story.end("b", claim());
    assert!(story.asked().is_none(), "c may end yet");
    story.end("c", failed(FailureKind::Auth, None));
    let (_, _, _, members) = story.asked().expect("nobody comes before b");
    assert_eq!(members, [slug("b")]);
}

fn many(names: &[&str]) -> Vec<FeatureSpec> {
    names.iter().map(|name| feature(name, &[])).collect()
}

impl Story {
    /// Time passes until something is to happen by itself.
    fn sleep(&mut self) -> u64 {
        let wake = wake_at(&self.state, self.now).expect("it waits for a time");
        let slept = wake.since_ms(self.now);
        self.now = wake;
        self.tell(Input::Tick);
        slept
    }

    fn waits(&self, name: &str) -> Vec<Wait> {
        let view = view(&self.state, self.now);
        let found = view.features.iter().find(|f| f.slug == slug(name));
        found.unwrap().waits.clone()
    }

    /// The profiles at work.
    fn profiles(&self) -> Vec<Option<String>> {
        let effects = wanted(&self.state).into_iter();
        let profiles = effects.filter_map(|effect| match effect {
            Effect::Iterate { agent, .. } => Some(agent.profile),
            _ => None,
        });
        profiles.collect()
    }
}

#[test]
fn a_limit_that_should_have_ended_is_tried_soon_and_then_less_and_less() {
    let mut story = Story::with(settings(1), many(&["a"]));
    story.prepare();
    let just_now = Stamp(story.now.0 - 1_000);
    for expected in [5_000, 10_000, 20_000] {
        story.end("a", failed(FailureKind::Limit, Some(just_now)));
        let slept = story.sleep();
        assert!(slept <= expected && expected - slept < 1_000, "{slept}");
    }
}

#[test]
fn only_waiting_counts_as_waiting() {
    let mut story = Story::with(settings(1), many(&["a"]));
    story.prepare();
    story.end("a", failed(FailureKind::Overloaded, None));
    story.sleep();
    // The next call takes longer than an account is waited for.
    story.now = story.now.plus_ms(30 * HOUR_MS);
    story.end("a", failed(FailureKind::Overloaded, None));
    assert!(story.sleep() <= 30_000, "it is tried again");
    assert_eq!(story.running(), ["a#3"]);
}

#[test]
fn a_limit_parks_all_of_the_account_and_one_tries_it_at_the_reset() {
    let mut story = Story::with(settings(3), many(&["a", "b", "c", "d"]));
    story.prepare();
    assert_eq!(story.running(), ["a#1", "b#1", "c#1"]);
    let reset = limited(&story, HOUR_MS);
    story.end("a", reset.clone());
    assert_eq!(story.running(), ["b#1", "c#1"], "nobody starts");
    // They had begun before and come to the same end, or to a good one: no news.
    story.end("b", reset);
    story.end("c", report());
    assert!(story.running().is_empty());
    let until = |waits: &[Wait]| match waits {
        [Wait::Account(name, Some(until))] => (name.clone(), *until),
        waits => panic!("{waits:?}"),
    };
    let (name, until) = until(&story.waits("d"));
    assert_eq!(name, "first");
    let asked = story.now.plus_ms(HOUR_MS);
    assert!(until >= asked && until.since_ms(asked) < 10_000);
    assert_eq!(view(&story.state, story.now).run.unwrap().iterations, 1);
    let slept = story.sleep();
    assert!(slept > HOUR_MS - 1_000, "{slept}");
    story.prepare();
    assert_eq!(story.running(), ["a#2"], "the canary");
    story.end("a", report());
    story.prepare();
    assert_eq!(story.running().len(), 2);
    story.end("b", report());
    story.prepare();
    assert_eq!(story.running().len(), 3, "as many as there are slots");
    assert!(story.state.accounts.is_empty(), "and forgotten");
}

#[test]
fn who_tries_it_in_vain_is_not_charged_and_the_next_wait_is_as_long_as_told() {
    let limits = LimitSettings {
        max_wait_ms: 8 * HOUR_MS,
        ..LimitSettings::default()
    };
    let settings = Settings {
        max_iterations_per_feature: 1,
        limits,
        ..settings(2)
    };
    let mut story = Story::with(settings, many(&["a", "b"]));
    story.prepare();
    for _ in 0..3 {
        let reset = limited(&story, 2 * HOUR_MS);
        story.end("a", reset);
        if story.running() == ["b#1"] {
            story.end("b", failed(FailureKind::Limit, None));
        }
        assert!(story.running().is_empty());
        story.sleep();
        story.prepare();
        assert_eq!(story.running().len(), 1);
        assert_eq!(view(&story.state, story.now).run.unwrap().iterations, 1);
    }
    let stages = ["a", "b"].map(|name| story.stage(name));
    assert!(!stages.contains(&Stage::Failed), "{stages:?}");
}

#[test]
fn a_wait_survives_a_restart() {
    let mut story = Story::with(settings(2), many(&["a", "b"]));
    story.prepare();
    let reset = limited(&story, HOUR_MS);
    story.end("a", reset);
    // harness is killed over `b`, and started again.
    story.run_again(settings(2), None);
    story.prepare();
    assert!(story.running().is_empty());
    assert!(matches!(story.waits("a")[..], [Wait::Account(_, Some(_))]));
    story.sleep();
    story.prepare();
    assert_eq!(story.running().len(), 1);
}

#[test]
fn what_no_wait_mends_ends_the_run_with_6_and_the_others_go_on() {
    let halting = LimitSettings {
        on_limit: OnLimit::Halt,
        ..LimitSettings::default()
    };
    for (limits, failure) in [
        (halting, failed(FailureKind::Limit, None)),
        (
            LimitSettings::default(),
            failed(FailureKind::Limit, Some(Stamp(50 * HOUR_MS))),
        ),
        (LimitSettings::default(), failed(FailureKind::Auth, None)),
        (LimitSettings::default(), failed(FailureKind::Billing, None)),
    ] {
        let settings = Settings {
            limits,
            ..settings(1)
        };
        let specs = vec![feature("a", &[]), of("also", "b"), of("two", "c")];
        let mut story = Story::with(settings.clone(), specs);
        story.prepare();
        story.end("a", failure);
        story.prepare();
        assert_eq!(story.running(), ["c#1"], "its slot is another account's");
        story.merge("c");
        assert_eq!(story.waits("b"), [Wait::Account("first".into(), None)]);
        assert_eq!(story.finish(), [6]);
        story.run_again(settings, None);
        story.prepare();
        assert_eq!(story.running(), ["a#2"], "a person may have helped");
    }
}

#[test]
fn with_switch_they_go_on_with_another_profile_until_the_reset() {
    let limits = LimitSettings {
        on_limit: OnLimit::Switch,
        fallback: vec!["also".into(), "two".into()],
        ..LimitSettings::default()
    };
    let settings = Settings {
        limits,
        ..settings(1)
    };
    let mut story = Story::with(settings, many(&["a"]));
    story.prepare();
    assert_eq!(story.profiles(), [Some("one".into())]);
    let reset = limited(&story, HOUR_MS);
    story.end("a", reset);
    assert_eq!(story.profiles(), [Some("two".into())]);
    // Both are used up: the first that opens is waited for.
    let reset = limited(&story, 2 * HOUR_MS);
    story.end("a", reset);
    assert!(story.running().is_empty());
    let slept = story.sleep();
    assert!(slept < HOUR_MS + 10_000, "{slept}");
    assert_eq!(story.profiles(), [Some("one".into())], "its own again");
}

#[test]
fn a_service_that_is_overloaded_is_asked_again_ever_later_and_nobody_is_charged() {
    let settings = Settings {
        max_iterations_per_feature: 1,
        ..settings(1)
    };
    let mut story = Story::with(settings, many(&["a"]));
    story.prepare();
    let mut waits = Vec::new();
    for kind in [FailureKind::Overloaded, FailureKind::Network].repeat(4) {
        story.end("a", failed(kind, None));
        waits.push(story.sleep());
        story.prepare();
        assert_eq!(story.running().len(), 1);
    }
    assert!(waits[0] >= 11_000 && waits[0] <= 15_000, "{waits:?}");
    assert!(waits[1] > waits[0] && waits[2] > waits[1], "{waits:?}");
    assert!(waits.iter().all(|wait| *wait <= 600_000), "{waits:?}");
    story.end("a", claim());
    story.lands();
    assert_eq!(story.stage("a"), Stage::Merged);
}

#[test]
fn a_profile_may_run_less_often_at_once_than_there_are_slots() {
    let mut settings = settings(3);
    settings.agents.get_mut("one").unwrap().parallel = Some(1);
    let specs = vec![feature("a", &[]), feature("b", &[]), of("two", "c")];
    let mut story = Story::with(settings, specs);
    story.prepare();
    assert_eq!(story.running(), ["a#1", "c#1"]);
    story.merge("a");
    story.prepare();
    assert_eq!(story.running(), ["b#1", "c#1"]);
}

#[test]
fn what_is_done_lands_while_its_account_waits() {
    let mut story = Story::with(settings(2), many(&["a", "b"]));
    story.prepare();
    story.end("b", claim());
    let reset = limited(&story, HOUR_MS);
    story.end("a", reset);
    story.lands();
    assert_eq!(story.stage("b"), Stage::Merged);
    assert!(story.running().is_empty());
}

#[test]
fn a_dead_login_does_not_keep_a_run_from_ending_though_others_would_wait_for_its_features() {
    let mut after = of("two", "b");
    after.after = vec![slug("a")];
    let (mut left, mut right) = (feature("c", &[]), of("two", "d"));
    left.locks = vec!["database".into()];
    right.locks = vec!["database".into()];
    left.after = vec![slug("a")];
    let all = vec![feature("a", &[]), after, left, right];
    let mut story = Story::with(settings(2), all);
    story.prepare();
    assert_eq!(story.running(), ["a#1", "d#1"]);
    story.end("d", claim());
    story.end("a", failed(FailureKind::Auth, None));
    // What only should come after the first goes on without it.
    story.prepare();
    assert_eq!(story.running(), ["b#1"]);
    story.lands();
    story.merge("b");
    assert_eq!(story.finish(), [6]);
}

#[test]
fn who_shares_a_lock_with_a_feature_whose_login_is_dead_waits_for_the_next_run() {
    let (mut left, mut right) = (feature("a", &[]), of("two", "b"));
    left.locks = vec!["database".into()];
    right.locks = vec!["database".into()];
    let mut story = Story::with(settings(2), vec![left, right]);
    story.prepare();
    story.end("a", failed(FailureKind::Auth, None));
    assert_eq!(story.running(), [""; 0]);
    assert_eq!(story.finish(), [6]);
}

#[test]
fn a_limit_is_that_of_the_agent_that_was_called_whatever_its_spec_says_since() {
    let mut story = Story::with(settings(1), vec![feature("a", &[])]);
    story.prepare();
    story.tell(Input::Looked(Backlog {
        features: Some(vec![of("two", "a")]),
        ..Backlog::default()
    }));
    let limit = limited(&story, HOUR_MS);
    story.end("a", limit);
    let view = view(&story.state, story.now);
    assert_eq!(view.run.unwrap().accounts[0].name, "first");
    assert_eq!(story.running(), ["a#2"], "the other account can be used");
}

#[test]
fn what_a_person_keeps_of_a_limit_is_left_until_its_reset() {
    let quota = |story: &Story, used_percent, after_ms: u64| IterationReport {
        quota: vec![Quota {
            scope: "five_hour".into(),
            used_percent,
            resets_at: i64::try_from(story.now.plus_ms(after_ms).0 / 1000).unwrap(),
        }],
        ..report()
    };
    let mut settings = settings(2);
    settings.limits.keep_percent = Some(20);
    let mut story = Story::with(settings, vec![feature("a", &[]), of("also", "b")]);
    story.prepare();
    let enough = quota(&story, 80, HOUR_MS);
    story.end("a", enough);
    assert_eq!(story.running(), ["a#2", "b#1"]);
    let over = quota(&story, 81, HOUR_MS);
    story.end("a", over);
    story.end("b", report());
    assert_eq!(story.running(), [""; 0], "all that use the account wait");
    let seen = view(&story.state, story.now);
    let account = &seen.run.unwrap().accounts[0];
    assert!(
        account.closed && account.text.starts_with("81% of it is used"),
        "{account:?}"
    );
    let slept = story.sleep();
    assert!(
        (HOUR_MS - 2_000..HOUR_MS + 3_000).contains(&slept),
        "{slept}"
    );
    assert_eq!(story.running().len(), 1, "one tries it");
    // A reset that has passed says nothing.
    let passed = quota(&story, 99, 0);
    story.end("a", passed);
    assert_eq!(story.running().len(), 2);
}

#[test]
fn two_that_share_a_login_do_not_begin_at_once() {
    let mut settings = settings(3);
    for name in ["one", "also"] {
        settings.agents.get_mut(name).unwrap().apart_ms = Some(3_000);
    }
    let all = vec![feature("a", &[]), of("also", "b"), of("two", "c")];
    let mut story = Story::with(settings, all);
    story.prepare();
    story.prepare();
    assert_eq!(
        story.running(),
        ["a#1", "c#1"],
        "another login is not waited for"
    );
    let slept = story.sleep();
    assert!(slept <= 3_000, "{slept}");
    story.prepare();
    assert_eq!(story.running(), ["a#1", "b#1", "c#1"]);
}
