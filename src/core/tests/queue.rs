//! Scenarios of the merge queue.

use super::*;
use crate::model::{Evidence, MergeVerdict, ParkReason, Red};

fn names(members: &[Slug]) -> Vec<&str> {
    members.iter().map(Slug::as_str).collect()
}

/// All of these have claimed, in this order.
fn claimed(parallel: u32, all: &[&str], merge: MergeSettings) -> Story {
    let settings = Settings {
        parallel,
        merge,
        ..Settings::default()
    };
    let features = all.iter().map(|name| feature(name, &[])).collect();
    let mut story = Story::with(settings, features);
    story.prepare();
    for name in all {
        story.end(name, claim());
    }
    story
}

fn batch(batch: u32) -> MergeSettings {
    MergeSettings {
        batch,
        ..MergeSettings::default()
    }
}

#[test]
fn a_batch_is_gated_once_and_published_once() {
    let mut story = claimed(4, &["a", "b", "c", "d"], batch(4));
    // The first to claim goes alone, and meanwhile the others gather.
    story.green();
    story.land(LandOutcome::Done);
    story.publish(PublishOutcome::Done);
    let (_, _, _, members) = story.asked().unwrap();
    assert_eq!(names(&members), ["b", "c", "d"]);
    story.green();
    story.land(LandOutcome::Done);
    story.publish(PublishOutcome::Done);
    assert_eq!(story.finish(), [0]);
    let gates = story
        .facts
        .iter()
        .filter(|fact| matches!(fact, Event::Gated { .. }));
    assert_eq!(gates.count(), 3, "the base, a, and the other three at once");
}

#[test]
fn a_red_batch_is_separated_and_the_innocent_land() {
    let mut story = claimed(5, &["a", "b", "c", "d", "e"], batch(4));
    story.merge_first();
    let fails = |name: &str| name == "d";
    // b c d e fail; b c pass; d e is known to fail as it is; d fails twice; e passes.
    let verdicts = story.drive(|members| !members.iter().any(|name| fails(name)));
    assert_eq!(
        verdicts,
        ["b c d e: red", "b c: green", "d: red", "d: red", "e: green"]
    );
    assert_eq!(
        story.stage("d"),
        Stage::Preparing,
        "it goes back to its agent"
    );
    for name in ["a", "b", "c", "e"] {
        assert_eq!(story.stage(name), Stage::Merged);
    }
    let charged = story.facts.iter().filter_map(|fact| match fact {
        Event::Rejected { slug, .. } => Some(slug.as_str()),
        _ => None,
    });
    assert_eq!(charged.collect::<Vec<_>>(), ["d"]);
}

#[test]
fn a_pair_that_fails_only_together_costs_the_younger_one_a_round() {
    let mut story = claimed(5, &["a", "b", "c", "d", "e"], batch(4));
    story.merge_first();
    let mut landed: Vec<String> = Vec::new();
    let verdicts = story.drive(|members| {
        let mut all = landed.clone();
        all.extend(members.iter().map(|name| (*name).to_owned()));
        let green = !(all.iter().any(|n| n == "b") && all.iter().any(|n| n == "e"));
        if green {
            landed = all;
        }
        green
    });
    assert_eq!(
        verdicts,
        ["b c d e: red", "b c: green", "d: green", "e: red"],
        "with e it is the tree that failed before: once more is enough"
    );
    let handback = story.state.features[&slug("e")].handback.clone().unwrap();
    assert_eq!(handback.round, 1);
    assert!(handback.red.is_some(), "its merge is what fails");
}

#[test]
fn a_flaky_gate_is_tried_once_more_and_recorded() {
    let mut story = claimed(1, &["a"], batch(1));
    story.gate(GateOutcome::Red {
        command: "make test".into(),
        tail: "timed out".into(),
        gate_ms: 5,
    });
    story.green();
    let flaky = story.facts.iter().any(|fact| {
        matches!(fact, Event::Verified { how: Evidence::Flaky { red }, .. } if red.tail == "timed out")
    });
    assert!(flaky);
    story.land(LandOutcome::Done);
    story.publish(PublishOutcome::Done);
    assert_eq!(story.finish(), [0]);
}

#[test]
fn a_tree_that_passed_is_not_gated_again() {
    let mut story = claimed(1, &["a"], batch(1));
    story.green();
    let green = story
        .state
        .merging
        .attempts
        .values()
        .next()
        .unwrap()
        .chain()
        .cloned()
        .unwrap();
    story.land(LandOutcome::Moved {
        ground: Ground {
            tip: oid('a'),
            tree: oid('e'),
            target: oid('a'),
            relation: Relation::Behind,
        },
    });
    // Nothing moved after all, so the same attempt is asked to land again; then it really moves.
    story.land(LandOutcome::Infra { why: "disk".into() });
    story.now = story.now.plus_ms(5_000);
    story.tell(Input::Tick);
    let (attempt, _, _, _) = story.asked().unwrap();
    story.built(attempt, green, Vec::new(), Vec::new());
    assert!(story.gating().is_empty());
    assert!(matches!(
        story.facts.last(),
        Some(Event::Verified {
            how: Evidence::Known,
            ..
        })
    ));
}

#[test]
fn a_marker_does_not_hide_a_landing_of_which_nobody_knows() {
    let mut story = claimed(1, &["a"], batch(1));
    story.green();
    story.land(LandOutcome::Infra { why: "disk".into() });
    let done = Some([slug("a")].into());
    story.tell(Input::Looked(Backlog {
        done,
        ..Backlog::default()
    }));
    assert_eq!(story.stage("a"), Stage::Queued);
    story.now = story.now.plus_ms(5_000);
    story.tell(Input::Tick);
    assert!(story.asked().is_some(), "it is tried again");
}

#[test]
fn nor_when_merging_was_given_up() {
    let mut story = claimed(1, &["a"], batch(1));
    story.green();
    story.land(LandOutcome::Infra { why: "disk".into() });
    while story.stage("a") == Stage::Queued {
        story.now = story.now.plus_ms(60_000);
        story.tell(Input::Tick);
        let (attempt, ..) = story.asked().unwrap();
        let why = "disk".to_owned();
        let outcome = BuildOutcome::Infra { why };
        story.tell(Input::Built { attempt, outcome });
    }
    assert_eq!(story.stage("a"), Stage::Parked);
    let done = Some([slug("a")].into());
    story.tell(Input::Looked(Backlog {
        done,
        ..Backlog::default()
    }));
    assert_eq!(story.stage("a"), Stage::Parked);
    assert_ne!(exit_codes(&story.state), [0]);
}

#[test]
fn a_conflict_goes_back_to_its_agent_and_keeps_its_age() {
    let mut story = claimed(3, &["a", "b", "c"], batch(4));
    story.merge_first();
    story.clash(&["src/lib.rs"]);
    story.green();
    assert_eq!(story.stage("b"), Stage::Preparing);
    story.prepare();
    assert_eq!(story.running(), ["b#2"]);
    let handback = wanted(&story.state)
        .into_iter()
        .find_map(|effect| match effect {
            Effect::Iterate { handback, .. } => handback,
            _ => None,
        });
    assert_eq!(handback.map(|handback| handback.round), Some(1));
    let resolved = IterationReport {
        merge: Some(MergeVerdict::Resolved),
        ..claim()
    };
    story.end("b", resolved);
    story.land(LandOutcome::Done);
    story.publish(PublishOutcome::Done);
    story.green();
    story.land(LandOutcome::Done);
    story.publish(PublishOutcome::Done);
    assert_eq!(story.finish(), [0]);
}

#[test]
fn a_claim_without_the_merge_is_refused_and_rounds_are_bounded() {
    let mut story = claimed(1, &["a"], batch(1));
    story.clash(&["x.rs"]);
    story.prepare();
    let unresolved = IterationReport {
        merge: Some(MergeVerdict::Unresolved {
            findings: vec!["x.rs has conflict markers".into()],
        }),
        ..claim()
    };
    for _ in 0..3 {
        assert_ne!(story.stage("a"), Stage::Parked);
        story.end("a", unresolved.clone());
        assert!(story.asked().is_none(), "the claim does not count");
    }
    assert_eq!(story.stage("a"), Stage::Parked);
    assert_eq!(story.finish(), [8]);
    // The next run merges once more, and asks no agent.
    story.run_again(Settings::default(), None);
    story.clash(&["x.rs"]);
    assert_eq!(story.stage("a"), Stage::Parked);
    assert_eq!(story.finish(), [8]);
    story.run_again(Settings::default(), None);
    story.green();
    story.land(LandOutcome::Done);
    story.publish(PublishOutcome::Done);
    assert_eq!(story.finish(), [0], "a person completed the merge");
}

#[test]
fn a_broken_base_is_one_finding_and_nobody_is_charged() {
    let mut story = Story::begin_bare(2, vec![feature("a", &[]), feature("b", &[])]);
    story.red("make test", "it never worked");
    assert_eq!(
        view(&story.state, story.now)
            .run
            .unwrap()
            .broken_base
            .as_deref(),
        Some("make test")
    );
    story.prepare();
    story.end("a", claim());
    story.red("make test", "it never worked");
    assert_eq!(story.stage("a"), Stage::Queued, "held, not rejected");
    story.end("b", claim());
    story.green();
    let fixed = |fact: &Event| {
        matches!(
            fact,
            Event::Verified {
                how: Evidence::Fixed,
                ..
            }
        )
    };
    assert!(story.facts.iter().any(fixed));
    story.land(LandOutcome::Done);
    story.publish(PublishOutcome::Done);
    story.green();
    story.land(LandOutcome::Done);
    story.publish(PublishOutcome::Done);
    assert_eq!(story.finish(), [0]);
}

#[test]
fn a_base_that_stays_broken_parks_the_done_at_the_end() {
    let mut story = Story::begin_bare(1, vec![feature("a", &[])]);
    story.red("make test", "it never worked");
    story.prepare();
    story.end("a", claim());
    story.red("make test", "it never worked");
    story.flush();
    assert_eq!(story.finish(), [8]);
    let red = Red {
        command: "make test".into(),
        tail: "it never worked".into(),
    };
    let parked = Event::Parked {
        slug: slug("a"),
        why: ParkReason::BaseBroken { red },
    };
    assert!(story.facts.contains(&parked));
}

#[test]
fn a_dirty_checkout_delays_publishing_and_nothing_else() {
    let mut story = Story::begin(1, vec![feature("a", &[]), feature("b", &["a"])]);
    story.prepare();
    story.end("a", claim());
    story.green();
    story.land(LandOutcome::Done);
    story.publish(PublishOutcome::Waiting {
        why: "README.md has changes".into(),
    });
    story.prepare();
    assert_eq!(
        story.running(),
        ["b#1"],
        "a has landed, if not in the target"
    );
    assert!(
        !story
            .facts
            .iter()
            .any(|f| matches!(f, Event::Published { .. }))
    );
    story.now = story.now.plus_ms(2_000);
    story.tell(Input::Tick);
    story.publish(PublishOutcome::Done);
    let marked = story.state.features[&slug("a")].marker_write > 0;
    assert!(marked, "done is what is in the target");
    story.merge("b");
    assert_eq!(story.finish(), [0]);
}

/// The next run finds the integration ref at the tip and the target there or at the base.
fn begins_at(story: &mut Story, tip: &Oid, target: &Oid, lost: &[&str]) {
    story.tell(Input::RunBegins {
        run: RunId("again".into()),
        settings: Box::new(Settings::default()),
        target: "refs/heads/main".into(),
        ground: Ground {
            tip: tip.clone(),
            tree: oid('d'),
            target: target.clone(),
            relation: Relation::Behind,
        },
        lost: lost.iter().map(|name| slug(name)).collect(),
        gone: Vec::new(),
    });
}

#[test]
fn what_was_published_unheard_is_public_in_the_next_run() {
    for lost in [false, true] {
        let mut story = claimed(1, &["a"], batch(1));
        story.green();
        story.land(LandOutcome::Done);
        // harness dies here, and the git it had started moves the target all the same.
        let tip = story.state.run.as_ref().unwrap().tip.clone();
        let missing: &[&str] = if lost { &["a"] } else { &[] };
        begins_at(&mut story, &tip, &tip, missing);
        let marked = story.state.features[&slug("a")].marker_write > 0;
        if lost {
            assert_eq!((story.stage("a"), marked), (Stage::Gating, false));
        } else {
            assert!(marked && story.state.unpublished().next().is_none());
            assert_eq!(story.finish(), [0]);
        }
    }
}

#[test]
fn what_landed_unheard_is_published_with_all_the_rest() {
    let mut story = claimed(1, &["a"], batch(1));
    let base = story.state.run.as_ref().unwrap().tip.clone();
    story.green();
    // harness dies here, and the git it had started moves the integration ref all the same.
    let attempt = story.state.merging.attempts.values().next().unwrap();
    let tip = attempt.chain().unwrap().commit.clone();
    begins_at(&mut story, &tip, &base, &[]);
    // Publishing begins before the landing is heard of.
    story.land(LandOutcome::Done);
    story.publish(PublishOutcome::Done);
    assert_eq!(story.finish(), [0]);
}

#[test]
fn commits_of_the_user_are_followed_or_merged_or_merged_around() {
    let mut story = Story::begin(1, vec![feature("a", &[]), feature("b", &[])]);
    story.prepare();
    story.end("a", claim());
    let ground = |tip, target, relation| Ground {
        tip: oid(tip),
        tree: oid('d'),
        target: oid(target),
        relation,
    };
    // All is published, and the user commits: followed.
    let (attempt, _, _, _) = story.asked().unwrap();
    story.tell(Input::Built {
        attempt,
        outcome: BuildOutcome::Moved {
            ground: ground('9', '9', Relation::Behind),
        },
    });
    let (_, _, onto, _) = story.asked().unwrap();
    assert_eq!(onto, oid('9'));
    story.green();
    story.land(LandOutcome::Done);
    // It commits again while something is not published: merged, gated, published.
    let tip = story.state.run.as_ref().unwrap().tip.clone();
    let ahead = Ground {
        tip,
        tree: oid('d'),
        target: oid('8'),
        relation: Relation::Ahead,
    };
    story.publish(PublishOutcome::Moved { ground: ahead });
    let (attempt, what, onto, _) = story.asked().unwrap();
    assert_eq!((what, &onto), (Trial::Reconcile, &oid('8')));
    // They conflict: what was not published goes back into the queue, on top of the user's commit.
    story.tell(Input::Built {
        attempt,
        outcome: BuildOutcome::Clash {
            paths: vec!["a.rs".into()],
        },
    });
    assert!(
        wanted(&story.state)
            .iter()
            .any(|e| matches!(e, Effect::Rewind { to, .. } if *to == oid('8')))
    );
    story.tell(Input::Rewound {
        ground: ground('8', '8', Relation::Behind),
    });
    assert_eq!(story.stage("a"), Stage::Gating);
    let (_, _, onto, members) = story.asked().unwrap();
    assert_eq!((names(&members), onto), (vec!["a"], oid('8')));
}

#[test]
fn on_a_busy_target_features_go_one_at_a_time_until_one_lands() {
    let mut story = claimed(3, &["a", "b", "c"], batch(4));
    let view = |story: &Story| view(&story.state, story.now).run.unwrap().overtaken;
    // The first is tried as soon as it claims, alone.
    for (commit, chain) in [('1', 1), ('2', 3), ('3', 3), ('4', 3)] {
        let (attempt, _, _, members) = story.asked().unwrap();
        assert_eq!((members.len(), view(&story)), (chain, false));
        let ground = Ground {
            tip: oid(commit),
            tree: oid('d'),
            target: oid(commit),
            relation: Relation::Behind,
        };
        let outcome = BuildOutcome::Moved { ground };
        story.tell(Input::Built { attempt, outcome });
    }
    assert_eq!(names(&story.asked().unwrap().3), ["a"]);
    assert!(view(&story));
    story.green();
    story.land(LandOutcome::Done);
    assert_eq!(names(&story.asked().unwrap().3), ["b", "c"]);
    assert!(!view(&story));
}

#[test]
fn speculative_gates_land_in_order_and_fall_together() {
    let merge = MergeSettings {
        batch: 1,
        parallel_gates: 3,
        ..MergeSettings::default()
    };
    let mut story = claimed(4, &["a", "b", "c", "d"], merge);
    story.build();
    let running: Vec<Vec<String>> = story
        .gating()
        .into_iter()
        .map(|(_, _, names)| names)
        .collect();
    assert_eq!(running, [["a"], ["b"], ["c"]]);
    // b passes first, and waits for a; a fails for good: b and c are built anew without it.
    let b = story.gating()[1].0;
    story.tell(Input::Gated {
        attempt: b,
        reds: 0,
        outcome: GateOutcome::Green { gate_ms: 1 },
    });
    assert!(
        !wanted(&story.state)
            .iter()
            .any(|e| matches!(e, Effect::Land { .. }))
    );
    story.red("make test", "no");
    assert_eq!(story.stage("a"), Stage::Preparing, "it has a slot again");
    story.build();
    let running: Vec<Vec<String>> = story
        .gating()
        .into_iter()
        .map(|(_, _, names)| names)
        .collect();
    assert_eq!(running, [["b"], ["c"], ["d"]]);
}

#[test]
fn a_doubled_verdict_counts_once() {
    let mut story = claimed(1, &["a"], batch(1));
    story.build();
    let attempt = story.gating()[0].0;
    let red = Input::Gated {
        attempt,
        reds: 0,
        outcome: GateOutcome::Red {
            command: "t".into(),
            tail: String::new(),
            gate_ms: 1,
        },
    };
    story.tell(red.clone());
    story.tell(red);
    assert_eq!(
        story.stage("a"),
        Stage::Gating,
        "one failure is tried again"
    );
}

impl Story {
    /// The first attempt, of the first to claim alone, lands.
    fn merge_first(&mut self) {
        self.green();
        self.land(LandOutcome::Done);
        self.publish(PublishOutcome::Done);
    }

    fn begin_bare(parallel: u32, features: Vec<FeatureSpec>) -> Self {
        let mut story = Self {
            state: State::new(),
            now: Stamp(1_000),
            facts: Vec::new(),
            made: 0,
            contents: BTreeMap::new(),
            trees: Vec::new(),
        };
        let settings = Settings {
            parallel,
            ..Settings::default()
        };
        story.begins(settings, Some(features));
        story
    }

    /// Runs the queue until it is at rest, with a gate that judges members; says what it judged.
    fn drive(&mut self, mut passes: impl FnMut(&[&str]) -> bool) -> Vec<String> {
        let mut verdicts = Vec::new();
        loop {
            self.build();
            let Some((_, _, names)) = self.gating().into_iter().next() else {
                break;
            };
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            if passes(&names) {
                verdicts.push(format!("{}: green", names.join(" ")));
                self.green();
                self.land(LandOutcome::Done);
                self.publish(PublishOutcome::Done);
            } else {
                verdicts.push(format!("{}: red", names.join(" ")));
                self.gate(GateOutcome::Red {
                    command: "make test".into(),
                    tail: names.join(" "),
                    gate_ms: 5,
                });
            }
        }
        verdicts
    }
}

#[test]
fn a_claim_that_changes_nothing_is_recorded_as_such() {
    let mut story = Story::begin(1, vec![feature("a", &[]), feature("b", &[])]);
    story.prepare();
    story.end("a", claim());
    let (attempt, _, onto, members) = story.asked().unwrap();
    let mut chain = story.chain(&onto, &members);
    let step = &mut chain.steps[0].candidate;
    step.commit = onto.clone();
    step.tree = chain.onto_tree.clone();
    chain.commit = onto.clone();
    chain.tree = chain.onto_tree.clone();
    story.built(attempt, chain, Vec::new(), Vec::new());
    story.land(LandOutcome::Done);
    assert!(story.facts.contains(&Event::Merged {
        slug: slug("a"),
        commit: onto,
        empty: true,
    }));
    story.prepare();
    story.merge("b");
    let view = view(&story.state, story.now);
    let empty = |name: &str| {
        view.features
            .iter()
            .any(|f| f.slug == slug(name) && f.empty)
    };
    assert!(empty("a") && !empty("b"));
}

/// `a` has clashed twice and is at it again; `b` claims, changes one of the same paths, and waits.
/// Each would wait for the other, and the run would end: who comes after another does not go before it.
#[test]
fn who_has_the_right_of_way_and_comes_after_who_gives_way_does_not_hold_it_up() {
    let mut story = a_goes_first();
    let late = FeatureSpec {
        after: vec![slug("b")],
        ..feature("a", &[])
    };
    // The run is cut off, and when the next begins `a` is to come after `b`.
    story.run_again(Settings::default(), Some(vec![late, feature("b", &[])]));
    assert_eq!(story.state.exit_code(), None);
    story.merge("b");
    assert_eq!(story.stage("b"), Stage::Merged);
}

pub(super) fn a_goes_first() -> Story {
    let mut story = claimed(2, &["a"], batch(4));
    let resolved = || IterationReport {
        merge: Some(MergeVerdict::Resolved),
        ..claim()
    };
    story.clash(&["hot.rs"]);
    story.prepare();
    story.end("a", resolved());
    story.clash(&["hot.rs"]);
    story.prepare();
    story.tell(Input::Looked(Backlog {
        features: Some(vec![feature("a", &[]), feature("b", &[])]),
        ..Backlog::default()
    }));
    story.flush();
    story.prepare();
    story.end("b", claim());
    let first = wanted(&story.state)
        .into_iter()
        .find_map(|effect| match effect {
            Effect::Build { first, .. } => Some(first),
            _ => None,
        });
    let first = first.unwrap();
    assert_eq!(first.len(), 1);
    assert_eq!(first[0].slug.as_str(), "a");
    assert_eq!(first[0].paths, ["hot.rs"]);
    let (attempt, _, onto, _) = story.asked().unwrap();
    let chain = story.chain(&onto, &[]);
    story.tell(Input::Built {
        attempt,
        outcome: BuildOutcome::Built {
            chain,
            conflicts: Vec::new(),
            deferred: Vec::new(),
            yielded: vec![(slug("b"), slug("a"))],
            failed: Vec::new(),
        },
    });
    story.flush();
    assert!(story.asked().is_none(), "b waits for a");
    assert_eq!(story.stage("b"), Stage::Queued);
    story
}

#[test]
fn who_clashed_twice_goes_first() {
    let mut story = a_goes_first();
    let resolved = IterationReport {
        merge: Some(MergeVerdict::Resolved),
        ..claim()
    };
    story.end("a", resolved);
    let (_, _, _, members) = story.asked().unwrap();
    assert_eq!(names(&members), ["a"]);
    story.green();
    story.land(LandOutcome::Done);
    story.publish(PublishOutcome::Done);
    let (_, _, _, members) = story.asked().unwrap();
    assert_eq!(names(&members), ["b"]);
}

#[test]
fn who_cannot_be_called_any_more_holds_up_nobody() {
    let mut story = a_goes_first();
    let logged_out = AgentFailure::new(FailureKind::Auth, "log in");
    story.end(
        "a",
        IterationReport {
            ending: Ending::Exited { code: 1 },
            failure: Some(logged_out),
            note: String::new(),
            changed: false,
            ..report()
        },
    );
    let (_, _, _, members) = story.asked().unwrap();
    assert_eq!(names(&members), ["b"]);
}

#[test]
fn two_with_the_right_of_way_never_wait_for_each_other() {
    let mut story = a_goes_first();
    let until = story.state.merging.right_of_way[&slug("a")];
    let b = story.state.features.get_mut(&slug("b")).unwrap();
    b.rounds = 2;
    assert_eq!(b.gives_way_to, Some(slug("a")));
    let ways = |state: &mut State, b: Stamp| {
        state.merging.right_of_way.insert(slug("b"), b);
    };
    ways(&mut story.state, until.plus_ms(1));
    story.settle();
    assert!(story.asked().is_none(), "a got it first");
    ways(&mut story.state, Stamp(until.0 - 1));
    story.settle();
    let (_, _, _, members) = story.asked().unwrap();
    assert_eq!(names(&members), ["b"], "b did, whatever was before");
}

#[test]
fn who_has_the_right_of_way_and_clashes_again_does_not_go_last() {
    let mut story = a_goes_first();
    let until = story.state.merging.right_of_way[&slug("a")];
    let resolved = IterationReport {
        merge: Some(MergeVerdict::Resolved),
        ..claim()
    };
    story.end("a", resolved);
    story.clash(&["cold.rs"]);
    assert_eq!(story.state.merging.right_of_way[&slug("a")], until);
}

#[test]
fn the_right_of_way_ends_with_its_time_or_its_holder() {
    let mut story = a_goes_first();
    let until = crate::core::wake_at(&story.state, story.now).unwrap();
    story.now = until;
    story.tell(Input::Tick);
    let (_, _, _, members) = story.asked().unwrap();
    assert_eq!(names(&members), ["b"]);

    let mut story = a_goes_first();
    let stuck = IterationReport {
        blocked: Some("which of the two?".into()),
        ..claim()
    };
    story.end("a", stuck);
    let (_, _, _, members) = story.asked().unwrap();
    assert_eq!(names(&members), ["b"]);
}
