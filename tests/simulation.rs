//! Seeded simulation of the production turn: random backlogs, random agents, conflicts of both kinds, flaky
//! gates, a user who commits meanwhile, completions in random order, doubled and late ones, and a crash after
//! any record. Time is simulated; nothing sleeps.
//!
//! `HARNESS_SIM_SEED=n` runs one seed and prints its journal; `HARNESS_SIM_NIGHTS=n` runs the first n seeds.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

#[path = "simulation/repository.rs"]
mod repository;

use harness::core::{State, exit_codes, wake_at, wanted};
use harness::driver::turn::{Engine, Observation, World};
use harness::journal::JournalError;
use harness::model::{
    AgentFailure, Backlog, Effect, EffectKey, Ending, Event, FailureKind, FeatureSpec, GateOutcome,
    Handback, Input, IterationReport, LandOutcome, MergeSettings, MergeVerdict, Oid, Record, RunId,
    Settings, Slug, Stamp, Writing,
};
use repository::Repository;
use std::collections::{BTreeMap, BTreeSet};

/// SplitMix64 (Steele, Lea, Flood 2014): small, seedable, good enough to shuffle with.
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

/// What survives a crash: the disk.
#[derive(Default)]
struct Disk {
    journal: Vec<Record>,
    /// Lessons and log entries by write number.
    written: BTreeMap<u64, String>,
    done: BTreeSet<Slug>,
    repo: Repository,
    rolled_back: BTreeSet<Slug>,
    started: BTreeSet<(Slug, u32)>,
    specs: Vec<FeatureSpec>,
}

/// What does not survive it.
#[derive(Default)]
struct Sim {
    disk: Disk,
    dice: Option<Dice>,
    /// Effects under way and when they end.
    under_way: BTreeMap<EffectKey, (Effect, Stamp)>,
    stopped: BTreeSet<EffectKey>,
    now: Stamp,
    slots: usize,
    /// Records after which the process dies, if it is to die.
    die_after: Option<usize>,
    dead: bool,
}

impl Sim {
    fn dice(&mut self) -> &mut Dice {
        self.dice.as_mut().unwrap()
    }
}

impl World for Sim {
    fn record(&mut self, records: &[Record]) -> Result<(), JournalError> {
        for record in records {
            if self.die_after == Some(self.disk.journal.len()) {
                self.dead = true;
                return Err(JournalError::Damaged {
                    path: "sim".into(),
                    line: 0,
                    why: "killed".into(),
                });
            }
            if let Event::Unlanded { slug } = &record.event {
                self.disk.rolled_back.insert(slug.clone());
            }
            self.disk.journal.push(record.clone());
        }
        Ok(())
    }

    fn perform(&mut self, effect: Effect) {
        let key = effect.key();
        if let Effect::Iterate {
            slug, iteration, ..
        } = &effect
        {
            assert!(
                self.disk.started.insert((slug.clone(), *iteration)),
                "{slug} #{iteration} was started twice"
            );
            let spec = self.disk.specs.iter().find(|spec| spec.slug == *slug);
            for name in &spec.unwrap().depends_on {
                let repo = &self.disk.repo;
                // Unless a roll-back has just taken it out again, or a user dropped it.
                let there = repo.holds(repo.integration, name)
                    || self.disk.done.contains(name)
                    || self.disk.rolled_back.contains(name);
                assert!(there, "{slug} started before {name} landed");
            }
            let journalled = self.disk.journal.iter().any(|record| {
                matches!(&record.event, Event::IterationStarted { slug: s, iteration: n }
                    if s == slug && n == iteration)
            });
            assert!(journalled, "{slug} #{iteration} started before its record");
        }
        let wait = self.dice().roll(5_000);
        let ends = self.now.plus_ms(wait);
        let twice = self.under_way.insert(key.clone(), (effect, ends));
        assert!(twice.is_none(), "{key:?} performed twice");
        let busy = |(effect, _): &&(Effect, Stamp)| {
            matches!(effect, Effect::Iterate { .. } | Effect::Prepare { .. })
        };
        assert!(self.under_way.values().filter(busy).count() <= self.slots);
    }

    fn stop(&mut self, key: &EffectKey) {
        self.stopped.insert(key.clone());
        if let Some((_, ends)) = self.under_way.get_mut(key) {
            *ends = self.now;
        }
    }

    fn probe(&mut self, running: &[(Slug, u32)]) -> Vec<Observation> {
        running
            .iter()
            .map(|(slug, iteration)| {
                Input::IterationLost {
                    slug: slug.clone(),
                    iteration: *iteration,
                }
                .into()
            })
            .collect()
    }
}

impl Sim {
    /// Ends one effect: what it did stays on the disk, and the observation comes back.
    fn finish(&mut self, key: &EffectKey) -> Observation {
        let (effect, _) = self.under_way.remove(key).unwrap();
        let stopped = self.stopped.remove(key);
        let input = match effect {
            Effect::Prepare { slug, worktree, .. } => {
                if self.dice().chance(5) {
                    Input::PrepareFailed {
                        slug,
                        kind: harness::model::InfraKind::System,
                        why: "disk full".into(),
                    }
                } else {
                    Input::Prepared {
                        slug,
                        worktree,
                        base: oid(self.disk.repo.integration),
                    }
                }
            }
            Effect::Iterate {
                slug,
                iteration,
                handback,
                ..
            } => Input::IterationEnded {
                report: Box::new(self.report(&slug, iteration, stopped, handback.as_ref())),
                slug,
                iteration,
            },
            Effect::Tidy { .. } => Input::Tidied,
            Effect::Write(job) => {
                let line = format!("{:?}", job.what);
                let before = self.disk.written.insert(job.number, line.clone());
                assert!(
                    before.is_none_or(|old| old == line),
                    "write {} changed",
                    job.number
                );
                if let Writing::Done { slug, .. } = job.what {
                    self.disk.done.insert(slug);
                }
                // Writes are performed in order by one writer: all up to the first missing.
                let through = (1..)
                    .take_while(|n| self.disk.written.contains_key(n))
                    .last();
                Input::Written {
                    through: through.unwrap_or(0),
                }
            }
            of_the_queue => self.merged(of_the_queue, stopped),
        };
        Observation::end_of(key.clone(), input)
    }

    fn merged(&mut self, effect: Effect, stopped: bool) -> Input {
        match effect {
            Effect::Build {
                attempt,
                what,
                onto,
                tip,
                members,
                first,
                follow,
            } => Input::Built {
                attempt,
                outcome: if self.dice().chance(2) {
                    harness::model::BuildOutcome::Infra {
                        why: "git died".into(),
                    }
                } else {
                    let follow = follow.as_ref().map(number);
                    self.disk.repo.build(
                        what,
                        number(&onto),
                        number(&tip),
                        &members,
                        &first,
                        follow,
                    )
                },
            },
            Effect::Gate {
                attempt,
                commit,
                reds,
                ..
            } => Input::Gated {
                attempt,
                reds,
                outcome: self.gate(number(&commit), stopped),
            },
            Effect::Land { attempt, from, to } => Input::Landed {
                attempt,
                outcome: if self.dice().chance(2) {
                    LandOutcome::Infra {
                        why: "git died".into(),
                    }
                } else {
                    self.disk.repo.land(number(&from), number(&to))
                },
            },
            Effect::Rewind { .. } => Input::Rewound {
                ground: self.disk.repo.rewind(),
            },
            Effect::Publish {
                from,
                to,
                number: publish,
            } => {
                let dice = self.dice.as_mut().unwrap();
                Input::Published {
                    number: publish,
                    outcome: self.disk.repo.publish(number(&from), number(&to), dice),
                }
            }
            other => panic!("{other:?}"),
        }
    }

    fn gate(&mut self, commit: u64, stopped: bool) -> GateOutcome {
        if stopped {
            return GateOutcome::Stopped;
        }
        let dice = self.dice.as_mut().unwrap();
        if dice.chance(2) {
            return GateOutcome::Infra {
                why: "no disk".into(),
            };
        }
        if self.disk.repo.gate(commit, dice) {
            return GateOutcome::Green { gate_ms: 5 };
        }
        GateOutcome::Red {
            command: "make test".into(),
            tail: format!("{} failed", dice.roll(4)),
            gate_ms: 5,
        }
    }

    /// What the agent made of its branch; whether it got the merge that was its task together.
    fn work(&mut self, slug: &Slug, handback: Option<&Handback>) -> Option<MergeVerdict> {
        let dice = self.dice.as_mut().unwrap();
        let repo = &mut self.disk.repo;
        let with = handback.map(|handback| repo.commits[&number(&handback.onto)].content.clone());
        let branch = repo.branches.entry(slug.clone()).or_default();
        branch.version += 1;
        branch.good = dice.chance(85);
        let with = with?;
        if dice.chance(30) {
            return Some(MergeVerdict::Unresolved {
                findings: vec!["markers are left".into()],
            });
        }
        let names = with.iter().filter_map(|change| change.split_once('@'));
        branch
            .reconciled
            .extend(names.map(|(name, _)| name.to_owned()));
        Some(MergeVerdict::Resolved)
    }

    fn report(
        &mut self,
        slug: &Slug,
        iteration: u32,
        stopped: bool,
        handback: Option<&Handback>,
    ) -> IterationReport {
        let n = u64::from(iteration);
        let merge = self.work(slug, handback);
        let dice = self.dice();
        let note = if dice.chance(80) {
            format!("iteration {iteration} of {slug} moved the parser a good step forward")
        } else {
            String::new()
        };
        IterationReport {
            ending: if stopped {
                Ending::Stopped
            } else if dice.chance(3) {
                Ending::NotStarted {
                    why: "no memory".into(),
                }
            } else if dice.chance(5) {
                Ending::TimedOut
            } else {
                Ending::Exited { code: 0 }
            },
            elapsed_ms: dice.roll(4_000),
            note,
            message: String::new(),
            lessons: vec![format!("lesson {iteration} of {slug}")],
            done: dice.chance(30).then(|| format!("{slug} is done")),
            refused: dice.chance(2).then(|| "a rebase was left half done".into()),
            tampered: dice.chance(1).then(|| "the hook pre-commit changed".into()),
            blocked: dice.chance(2).then(|| "which colour?".into()),
            failure: dice
                .chance(10)
                .then(|| AgentFailure::new(FailureKind::Other, format!("error {}", dice.roll(3)))),
            tip: dice.chance(98).then(|| oid(1_000_000 + n)),
            changed: dice.chance(85),
            merge,
            usage: None,
        }
    }
}

fn backlog(dice: &mut Dice) -> Vec<FeatureSpec> {
    let count = 3 + dice.roll(22);
    (0..count)
        .map(|n| {
            let mut spec = FeatureSpec::bare(slug(n));
            for other in 0..n {
                if dice.chance(12) {
                    spec.depends_on.push(slug(other));
                } else if dice.chance(4) {
                    spec.after.push(slug(other));
                }
            }
            if dice.chance(20) {
                spec.locks.push("database".into());
            }
            if dice.chance(20) {
                spec.touches.push(format!("src/{}", dice.roll(3)));
            }
            spec.priority = i64::try_from(dice.roll(3)).unwrap();
            spec
        })
        .collect()
}

fn begin(sim: &mut Sim, settings: &Settings) -> (Engine, Vec<Observation>) {
    let mut engine = Engine::replay(&sim.disk.journal);
    sim.now = sim.now.max(engine.state().last_at());
    let mut batch = engine.resume(sim);
    let published = engine.state().published("refs/heads/main").map(number);
    let ground = sim.disk.repo.ground(published);
    let tip = number(&ground.tip);
    let lost = engine.state().unpublished();
    let lost = lost.filter(|(slug, _)| !sim.disk.repo.holds(tip, slug));
    let lost = lost.map(|(slug, _)| slug.clone()).collect();
    batch.push(
        Input::RunBegins {
            run: RunId("sim".into()),
            settings: settings.clone(),
            target: "refs/heads/main".into(),
            ground,
            lost,
            gone: Vec::new(),
        }
        .into(),
    );
    batch.push(
        Input::Looked(Backlog {
            features: Some(sim.disk.specs.clone()),
            done: Some(sim.disk.done.clone()),
            halt: None,
        })
        .into(),
    );
    (engine, batch)
}

/// One process's life: from the journal to the end of the run, or to its death.
fn live(sim: &mut Sim, settings: &Settings) -> Option<u8> {
    let (mut engine, mut batch) = begin(sim, settings);
    let mut late: Option<Observation> = None;
    for turn in 0..100_000 {
        if engine
            .turn(sim, std::mem::take(&mut batch), sim.now)
            .is_err()
        {
            assert!(sim.dead, "the engine stopped by itself");
            return None;
        }
        // A replay costs the whole journal; now and then is enough, and always at the end.
        if turn % 32 == 0 || engine.state().exit_code().is_some() {
            assert_replays(&sim.disk.journal, engine.state());
        }
        if let Some(code) = engine.state().exit_code() {
            assert!(engine.is_idle(), "the run ended with work under way");
            assert_eq!(Some(&code), exit_codes(engine.state()).first());
            return Some(code);
        }
        let next = sim.under_way.iter().min_by_key(|(_, (_, ends))| *ends);
        let wake = wake_at(engine.state(), sim.now);
        match (next.map(|(key, (_, ends))| (key.clone(), *ends)), wake) {
            (Some((key, ends)), _) => {
                sim.now = sim.now.max(ends);
                let seen = sim.finish(&key);
                if sim.dice().chance(10) {
                    // A doubled answer, now and once more later.
                    batch.push(seen.clone());
                    late = Some(seen.clone());
                } else if let Some(old) = late.take() {
                    batch.push(Observation {
                        finished: None,
                        ..old
                    });
                }
                batch.push(seen);
                if sim.dice().chance(5) {
                    let why = sim.dice().chance(50).then(|| "memory".to_owned());
                    batch.push(Input::Strained { why }.into());
                }
            }
            (None, Some(at)) => {
                sim.now = at;
                batch.push(Input::Tick.into());
            }
            (None, None) => {
                tell(&sim.disk.journal);
                panic!("not finished, and nothing is under way or will wake it");
            }
        }
    }
    tell(&sim.disk.journal);
    panic!("the run does not end");
}

#[expect(clippy::print_stdout, reason = "a failing test tells its story")]
/// The end of a journal, for whoever has to find out what went wrong.
fn tell(journal: &[Record]) {
    for record in journal.iter().skip(journal.len().saturating_sub(60)) {
        println!("{} {:?} {:?}", record.seq, record.at, record.event);
    }
}

fn assert_replays(journal: &[Record], state: &State) {
    let again = Engine::replay(journal);
    assert_eq!(again.state().seq(), state.seq());
    assert_eq!(
        harness::core::view(again.state(), state.last_at()),
        harness::core::view(state, state.last_at())
    );
    assert_eq!(wanted(again.state()), wanted(state));
}

fn simulate(seed: u64) -> (Disk, u8) {
    let mut dice = Dice(seed);
    let settings = Settings {
        parallel: 1 + u32::try_from(dice.roll(6)).unwrap(),
        max_iterations: if dice.chance(10) { 20 } else { 2_000 },
        sleep_between_ms: if dice.chance(20) { 700 } else { 0 },
        merge: MergeSettings {
            gate: Some("gate".into()),
            batch: 1 + u32::try_from(dice.roll(5)).unwrap(),
            parallel_gates: 1 + u32::try_from(dice.roll(4) * dice.roll(2)).unwrap(),
            ..MergeSettings::default()
        },
        ..Settings::default()
    };
    let mut sim = Sim {
        slots: usize::try_from(settings.parallel).unwrap(),
        now: Stamp(1_000_000),
        ..Sim::default()
    };
    sim.disk.specs = backlog(&mut dice);
    let repo = &mut sim.disk.repo;
    (repo.textual, repo.semantic) = (dice.roll(15), dice.roll(8));
    (repo.flaky, repo.user) = (dice.roll(8), dice.roll(8));
    repo.broken_base = dice.chance(10);
    let crashes = dice.roll(4);
    sim.dice = Some(dice);
    for _ in 0..crashes {
        let more = sim.dice().roll(60);
        sim.die_after = Some(sim.disk.journal.len() + usize::try_from(more).unwrap());
        if let Some(code) = live(&mut sim, &settings) {
            return (sim.disk, code);
        }
        // What was under way dies with the process; what it had written stays.
        sim.under_way.clear();
        sim.stopped.clear();
        sim.dead = false;
    }
    sim.die_after = None;
    let code = live(&mut sim, &settings).unwrap();
    (sim.disk, code)
}

fn check(seed: u64) {
    let (disk, code) = simulate(seed);
    // Every lesson of every ended iteration was written, exactly once.
    for record in &disk.journal {
        if let Event::IterationEnded { report, .. } = &record.event {
            for lesson in &report.lessons {
                let quoted = format!("{lesson:?}");
                let times = disk
                    .written
                    .values()
                    .filter(|w| w.contains(&quoted))
                    .count();
                assert_eq!(times, 1, "seed {seed}: {lesson}");
            }
        }
    }
    let repo = &disk.repo;
    // Every value the target was given works, whatever the gate's mood was.
    for commit in &repo.published {
        let content = &repo.commits[commit].content;
        assert!(repo.passed.contains(content), "seed {seed}: {content:?}");
    }
    // What the journal calls landed is there: in the target, or at least in the integration ref.
    let state = Engine::replay(&disk.journal);
    let state = state.state();
    let unpublished: BTreeSet<&Slug> = state.unpublished().map(|(slug, _)| slug).collect();
    for spec in &disk.specs {
        if !state.is_merged(&spec.slug) || repo.rewritten {
            continue;
        }
        let place = if unpublished.contains(&spec.slug) {
            repo.integration
        } else {
            repo.target
        };
        assert!(
            repo.holds(place, &spec.slug),
            "seed {seed}: {} is lost",
            spec.slug
        );
    }
    let all = disk.specs.iter().all(|spec| state.is_merged(&spec.slug));
    assert_eq!(
        code == 0,
        all && unpublished.is_empty(),
        "seed {seed}: code {code}"
    );
    if code == 0 && !repo.rewritten {
        assert_eq!(repo.integration, repo.target, "seed {seed}");
    }
}

#[test]
fn a_thousand_random_nights_keep_every_promise() {
    if let Ok(seed) = std::env::var("HARNESS_SIM_SEED") {
        let seed = seed.parse().unwrap();
        let (disk, code) = simulate(seed);
        for record in &disk.journal {
            println!("{} {:?}", record.seq, record.event);
        }
        println!("exit {code}");
        return check(seed);
    }
    let nights = std::env::var("HARNESS_SIM_NIGHTS").map_or(1_000, |n| n.parse().unwrap());
    for seed in 0..nights {
        let outcome = std::panic::catch_unwind(|| check(seed));
        assert!(
            outcome.is_ok(),
            "seed {seed} broke a promise; HARNESS_SIM_SEED={seed} shows it"
        );
    }
}

#[test]
fn a_crash_after_every_single_record_loses_nothing() {
    let settings = Settings {
        parallel: 3,
        merge: MergeSettings {
            gate: Some("gate".into()),
            ..MergeSettings::default()
        },
        ..Settings::default()
    };
    let fresh = |die_after| {
        let mut sim = Sim {
            slots: 3,
            now: Stamp(1_000_000),
            dice: Some(Dice(7)),
            die_after,
            ..Sim::default()
        };
        sim.disk.specs = backlog(&mut Dice(7));
        sim
    };
    let mut whole = fresh(None);
    live(&mut whole, &settings).unwrap();
    for n in 0..whole.disk.journal.len() {
        let mut sim = fresh(Some(n));
        assert_eq!(live(&mut sim, &settings), None);
        sim.under_way.clear();
        sim.stopped.clear();
        sim.dead = false;
        sim.die_after = None;
        live(&mut sim, &settings).unwrap();
    }
}
