//! Chains of reasons on pages small enough to read here.

use super::*;
use crate::core::{QueuedView, SentBack, View};
use crate::model::Stamp;
use crate::report::tests::{feature, view_of};

fn slug(name: &str) -> Slug {
    Slug::new(name).unwrap()
}

fn told(features: Vec<FeatureView>, queue: &QueueView, live: bool, name: &str) -> String {
    let now = features[0].since.plus_ms(90_000);
    let view = view_of(features);
    let glance = Glance {
        view: &view,
        now,
        live: live.then(|| "process 42 on here".to_owned()),
        heard: &BTreeMap::new(),
    };
    why_text(&glance, queue, &slug(name)).unwrap()
}

fn waiting(name: &str, waits: Vec<Wait>) -> FeatureView {
    let mut feature = feature(name, Stage::Waiting);
    feature.waits = waits;
    feature
}

#[test]
fn a_chain_ends_at_what_a_person_can_change() {
    let mut cart = feature("cart", Stage::Blocked);
    cart.detail = Some("Which currency?".to_owned());
    let payment = waiting("payment", vec![Wait::Hopeless(vec![slug("cart")])]);
    let both = vec![slug("payment"), slug("cart")];
    let checkout = waiting("checkout", vec![Wait::Hopeless(both)]);
    assert_eq!(
        told(
            vec![cart, payment, checkout],
            &QueueView::default(),
            true,
            "checkout"
        ),
        "\
checkout: waiting: needs payment, cart, which will not merge without you [needs_help]
  payment: waiting: needs cart, which will not merge without you [needs_help]
    cart: blocked: Which currency? [blocked]
      $ harness unblock cart -m \"…\"
  cart: as told [as_told]
"
    );
}

#[test]
fn who_waits_for_a_slot_is_told_who_has_them() {
    let a = feature("a", Stage::Working);
    let b = waiting("b", vec![Wait::Slot]);
    assert_eq!(
        told(vec![a, b], &QueueView::default(), true, "b"),
        "\
b: waiting: for a free slot [slot]
  a has a slot: working for 1m30s [has_a_slot]
"
    );
}

#[test]
fn what_helps_without_a_run_is_named() {
    let mut view = view_of(vec![
        feature("works", Stage::Working),
        waiting("later", vec![Wait::Time(Stamp(1))]),
        waiting("clashes", vec![Wait::Clash(slug("works"))]),
        feature("left", Stage::Waiting),
    ]);
    view.features[3].unselected = true;
    let tell = |view: &View, name: &str| {
        let glance = Glance {
            view,
            now: Stamp(0),
            live: None,
            heard: &BTreeMap::new(),
        };
        why_text(&glance, &QueueView::default(), &slug(name)).unwrap()
    };
    for halt in [None, Some("deploying".to_owned())] {
        view.halt.clone_from(&halt);
        for name in ["works", "later", "clashes", "left"] {
            let text = tell(&view, name);
            let run = text.find("$ harness run\n");
            let resume = text.find("$ harness resume\n");
            assert!(run.is_some(), "{text}");
            assert_eq!(resume.is_some(), halt.is_some(), "{text}");
            assert!(resume < run, "{text}");
        }
    }
}

#[test]
fn a_stop_says_who_asked_for_it() {
    let mut view = view_of(vec![waiting("a", vec![Wait::Stopped])]);
    let run = view.run.as_mut().unwrap();
    (run.iterations, run.max_iterations) = (7, 7);
    let tell = |view: &View| {
        let glance = Glance {
            view,
            now: Stamp(0),
            live: Some("somebody".to_owned()),
            heard: &BTreeMap::new(),
        };
        why_json(&glance, &QueueView::default(), &slug("a")).unwrap()["why"].clone()
    };
    assert_eq!(tell(&view)["because"][0]["code"], "iterations");
    view.halt = Some("deploying".to_owned());
    let why = tell(&view);
    assert_eq!(why["code"], "stopped");
    assert_eq!(why["because"][0]["text"], "HALT: deploying");
    assert_eq!(why["because"][0]["command"], "harness resume");
}

#[test]
fn what_is_done_says_what_keeps_it_from_the_target() {
    let queue = QueueView {
        target: "refs/heads/main".to_owned(),
        waiting: vec![QueuedView {
            slug: slug("a"),
            since: feature("a", Stage::Queued).since,
            waits: Some(QueueWait::RightOfWay(slug("b"))),
            gates_ahead: None,
        }],
        ..QueueView::default()
    };
    let mut b = feature("b", Stage::Between);
    b.sent_back = Some(SentBack {
        red: None,
        paths: vec!["src/shop.rs".to_owned()],
        round: 2,
    });
    assert_eq!(
        told(vec![feature("a", Stage::Queued), b], &queue, true, "a"),
        "\
a: done, waiting to be merged [queued]
  claimed 1m30s ago; waits for b, which goes first [right_of_way]
    b: after iteration 3: between for 1m30s [between]
      sent back by the merge queue (round 2): it conflicts with what has landed in src/shop.rs [sent_back]
"
    );
}

#[test]
fn a_chain_of_thousands_is_told_as_far_as_anybody_reads() {
    let names: Vec<String> = (0..5_000).map(|n| format!("f{n}")).collect();
    let chain = names.iter().zip(names.iter().skip(1));
    let mut features: Vec<FeatureView> = chain
        .map(|(name, next)| waiting(name, vec![Wait::Dependencies(vec![slug(next)])]))
        .collect();
    features.push(feature("f4999", Stage::Working));
    let text = told(features.clone(), &QueueView::default(), true, "f0");
    assert_eq!(text.lines().count(), DEEPEST + 2);
    let last = format!("f{}, and so on [more]\n", DEEPEST + 1);
    assert!(text.ends_with(&last), "{text}");
    // No deeper than readers go by themselves: 128 levels, serde_json for one.
    let (view, heard) = (view_of(features), BTreeMap::new());
    let glance = Glance {
        view: &view,
        now: Stamp(0),
        live: None,
        heard: &heard,
    };
    let json = why_json(&glance, &QueueView::default(), &slug("f0")).unwrap();
    let read: Value = serde_json::from_str(&json.to_string()).unwrap();
    assert_eq!(read, json);
}

#[test]
fn no_text_steers_a_terminal() {
    let mut a = feature("a", Stage::Tripped);
    a.detail = Some("stuck: \u{1b}[2J".to_owned());
    let text = told(vec![a], &QueueView::default(), true, "a");
    assert!(!text.contains('\u{1b}'), "{text}");
}
