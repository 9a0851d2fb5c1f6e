//! How many gates a landed feature costs, by batch size and by how many features are bad: the real decisions in
//! a simulated world, with a backlog of claimed features and a gate that takes a minute.
//!
//! `HARNESS_GATES_TABLE=1` prints the whole table; `scripts/bench merge` does that in a release build.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

#[path = "gates/repository.rs"]
#[expect(dead_code, reason = "it knows more than these tests ask")]
mod repository;

use harness::core::{Running, wake_at};
use harness::driver::turn::{Engine, Observation, World};
use harness::journal::JournalError;
use harness::model::{
    Backlog, Effect, EffectKey, Ending, Event, FeatureSpec, GateOutcome, Input, IterationReport,
    MergeSettings, Oid, Record, RunId, Settings, Slug, Stamp,
};
use repository::Repository;
use std::collections::BTreeMap;

const FEATURES: u64 = 32;
const GATE_MS: u64 = 60_000;
/// Seeds that a cell of the table is the mean of.
const SEEDS: u64 = 40;

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.roll(100) < percent
    }
}

fn slug(n: u64) -> Slug {
    Slug::new(format!("f{n:02}")).unwrap()
}

fn slug_number(slug: &Slug) -> u64 {
    slug.as_str()[1..].parse().unwrap()
}

fn oid(n: u64) -> Oid {
    Oid::parse(&format!("{n:040x}")).unwrap()
}

fn number(oid: &Oid) -> u64 {
    u64::from_str_radix(&oid.as_str()[24..], 16).unwrap()
}

/// What a cell of the table asks.
#[derive(Clone, Copy)]
struct Case {
    batch: u32,
    /// Percent of the features that fail until they are told.
    bad: u64,
    /// Percent of the gates that fail although everything is good.
    flaky: u64,
}

/// What it costs.
#[derive(Clone, Copy, Default)]
struct Cost {
    gates: f64,
    landed: f64,
    innocents: f64,
    minutes: f64,
}

struct Night {
    repo: Repository,
    dice: Dice,
    now: Stamp,
    under_way: BTreeMap<EffectKey, (Effect, Stamp)>,
    cost: Cost,
}

impl World for Night {
    fn record(&mut self, records: &[Record]) -> Result<(), JournalError> {
        for record in records {
            if let Event::Rejected { slug, .. } = &record.event {
                let branch = self.repo.branches.get_mut(slug).unwrap();
                self.cost.innocents += if branch.good { 1.0 } else { 0.0 };
                branch.good = true;
            }
        }
        Ok(())
    }

    fn perform(&mut self, effect: Effect) {
        let takes = match &effect {
            Effect::Gate { .. } => GATE_MS,
            Effect::Iterate { .. } => 2,
            Effect::Prepare { .. } | Effect::Write(_) => 1,
            _ => 0,
        };
        let ends = self.now.plus_ms(takes);
        self.under_way.insert(effect.key(), (effect, ends));
    }

    fn stop(&mut self, key: &EffectKey) {
        self.under_way.remove(key);
    }

    fn probe(&mut self, _: Vec<Running>) -> Vec<Observation> {
        Vec::new()
    }
}

impl Night {
    fn finish(&mut self, key: &EffectKey) -> Observation {
        let (effect, ends) = self.under_way.remove(key).unwrap();
        self.now = self.now.max(ends);
        let input = match effect {
            Effect::Prepare {
                slug,
                worktree,
                attempt,
                ..
            } => Input::Prepared {
                slug,
                attempt,
                worktree,
                base: oid(self.repo.integration),
            },
            Effect::Iterate {
                slug, iteration, ..
            } => Input::IterationEnded {
                report: Box::new(self.report(&slug, iteration)),
                slug,
                iteration,
            },
            Effect::Tidy { .. } => Input::Tidied,
            Effect::Write(job) => Input::Written {
                through: job.number,
            },
            Effect::Build {
                attempt,
                what,
                onto,
                tip,
                members,
                first,
                follow,
            } => {
                let follow = follow.as_ref().map(number);
                let (onto, tip) = (number(&onto), number(&tip));
                let repo = &mut self.repo;
                let outcome = repo.build(what, onto, tip, &members, &first, follow);
                Input::Built { attempt, outcome }
            }
            Effect::Gate {
                attempt,
                commit,
                reds,
                ..
            } => Input::Gated {
                attempt,
                reds,
                outcome: self.gate(&commit),
            },
            Effect::Land { attempt, from, to } => Input::Landed {
                attempt,
                outcome: self.repo.land(number(&from), number(&to)),
            },
            Effect::Rewind { .. } => Input::Rewound {
                ground: self.repo.rewind(),
            },
            Effect::Publish {
                from,
                to,
                number: publish,
            } => Input::Published {
                number: publish,
                outcome: self
                    .repo
                    .publish(number(&from), number(&to), &mut self.dice),
            },
        };
        Observation::end_of(key.clone(), input)
    }

    fn gate(&mut self, commit: &Oid) -> GateOutcome {
        self.cost.gates += 1.0;
        if self.repo.gate(number(commit), &mut self.dice) {
            return GateOutcome::Green { gate_ms: GATE_MS };
        }
        GateOutcome::Red {
            command: "make test".into(),
            tail: "it does not work".into(),
            gate_ms: GATE_MS,
        }
    }

    fn report(&mut self, slug: &Slug, iteration: u32) -> IterationReport {
        let branch = self.repo.branches.get_mut(slug).unwrap();
        branch.version += 1;
        IterationReport {
            ending: Ending::Exited { code: 0 },
            elapsed_ms: 2,
            note: format!("iteration {iteration} of {slug} did what was asked for"),
            message: String::new(),
            lessons: Vec::new(),
            done: Some("there".into()),
            refused: None,
            tampered: None,
            blocked: None,
            failure: None,
            tip: Some(oid(1_000_000 + u64::from(iteration))),
            changed: true,
            merge: None,
            usage: None,
            prompt: None,
            session: None,
            quota: Vec::new(),
        }
    }
}

/// One night.
fn night(case: Case, seed: u64) -> Cost {
    let mut dice = Dice(seed);
    let mut repo = Repository::default();
    (repo.textual, repo.semantic, repo.user) = (0, 0, 0);
    repo.flaky = case.flaky;
    for n in 0..FEATURES {
        let branch = repo.branches.entry(slug(n)).or_default();
        branch.good = !dice.chance(case.bad);
    }
    let settings = Settings {
        parallel: u32::try_from(FEATURES).unwrap(),
        max_iterations: 2_000,
        merge: MergeSettings {
            gate: Some("gate".into()),
            batch: case.batch,
            parallel_gates: 1,
            ..MergeSettings::default()
        },
        ..Settings::default()
    };
    let mut night = Night {
        repo,
        dice,
        now: Stamp(1_000_000),
        under_way: BTreeMap::new(),
        cost: Cost::default(),
    };
    let mut engine = Engine::replay(&[]);
    let mut batch = engine.resume(&mut night);
    let begins = Input::RunBegins {
        run: RunId("gates".into()),
        settings: Box::new(settings),
        target: "refs/heads/main".into(),
        ground: night.repo.ground(None),
        lost: Vec::new(),
        gone: Vec::new(),
    };
    let backlog = Input::Looked(Backlog {
        features: Some((0..FEATURES).map(|n| FeatureSpec::bare(slug(n))).collect()),
        done: None,
        halt: None,
    });
    batch.extend([begins.into(), backlog.into()]);
    loop {
        let now = night.now;
        engine
            .turn(&mut night, std::mem::take(&mut batch), now)
            .unwrap();
        if engine.state().exit_code().is_some() {
            break;
        }
        let next = night.under_way.iter().min_by_key(|(_, (_, ends))| *ends);
        match (
            next.map(|(key, _)| key.clone()),
            wake_at(engine.state(), night.now),
        ) {
            (Some(key), _) => batch.push(night.finish(&key)),
            (None, Some(at)) => {
                night.now = at;
                batch.push(Input::Tick.into());
            }
            (None, None) => panic!("nothing is under way"),
        }
    }
    let merged = (0..FEATURES).filter(|n| engine.state().is_merged(&slug(*n)));
    night.cost.landed = f64::from(u32::try_from(merged.count()).unwrap());
    night.cost.minutes = f64::from(u32::try_from((night.now.0 - 1_000_000) / 1000).unwrap()) / 60.0;
    night.cost
}

/// The mean of so many nights, a landed feature.
fn cost(case: Case, seeds: u64) -> Cost {
    let mut sum = Cost::default();
    for seed in 0..seeds {
        let one = night(case, seed);
        sum.gates += one.gates;
        sum.landed += one.landed;
        sum.innocents += one.innocents;
        sum.minutes += one.minutes;
    }
    let nights = f64::from(u32::try_from(seeds).unwrap());
    Cost {
        gates: sum.gates / sum.landed,
        landed: sum.landed / nights,
        innocents: sum.innocents / nights,
        minutes: sum.minutes / nights,
    }
}

#[test]
fn a_landed_feature_costs_little_more_than_half_a_gate_where_one_in_twenty_is_bad() {
    let case = |batch, bad, flaky| cost(Case { batch, bad, flaky }, 12);
    let all_good = case(4, 0, 0);
    assert!((all_good.landed - 32.0).abs() < f64::EPSILON);
    assert!(all_good.gates < 0.30, "{}", all_good.gates);
    let (one, four) = (case(1, 5, 0), case(4, 5, 0));
    assert!(four.gates <= 0.6, "{}", four.gates);
    assert!(four.gates < 0.6 * one.gates, "{} {}", four.gates, one.gates);
    for sure in [one, four, case(4, 20, 0)] {
        assert!((sure.landed - 32.0).abs() < f64::EPSILON, "{}", sure.landed);
        assert!(sure.innocents < f64::EPSILON, "an innocent was charged");
    }
}

#[test]
fn the_table() {
    if std::env::var_os("HARNESS_GATES_TABLE").is_none() {
        return;
    }
    println!(
        "{FEATURES} features, all claimed at once; a gate takes a minute; means of {SEEDS} nights\n"
    );
    println!("batch  bad %  flaky %  gates/landed  innocents/night  minutes");
    for flaky in [0, 5] {
        for bad in [0, 2, 5, 10, 20, 30] {
            for batch in [1, 2, 4, 8] {
                let cost = cost(Case { batch, bad, flaky }, SEEDS);
                println!(
                    "{batch:>5}  {bad:>5}  {flaky:>7}  {:>12.2}  {:>15.3}  {:>7.1}",
                    cost.gates, cost.innocents, cost.minutes
                );
            }
        }
    }
}
