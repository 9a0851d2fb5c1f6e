//! Seeded simulation of the production turn: random backlogs, random agents, completions in random
//! order, doubled and late ones, and a crash after any record. Time is simulated; nothing sleeps.
//!
//! `HARNESS_SIM_SEED=n` runs one seed and prints its journal.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

use harness::core::{State, exit_codes, wake_at, wanted};
use harness::driver::turn::{Engine, Observation, World};
use harness::journal::JournalError;
use harness::model::{
    AgentFailure, Backlog, Candidate, Effect, EffectKey, Ending, Event, FailureKind, FeatureSpec,
    Input, IntegrationOutcome, IterationReport, LandOutcome, Oid, Record, RunId, Settings, Slug,
    Stamp, Writing,
};
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

fn oid(n: u64) -> Oid {
    Oid::parse(&format!("{n:040x}")).unwrap()
}

/// What survives a crash: the disk.
#[derive(Default)]
struct Disk {
    journal: Vec<Record>,
    /// Lessons and log entries by write number.
    written: BTreeMap<u64, String>,
    done: BTreeSet<Slug>,
    landed: Vec<Slug>,
    tip: u64,
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
                assert!(
                    self.disk.landed.contains(name) || self.disk.done.contains(name),
                    "{slug} started before {name} landed"
                );
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
                        base: oid(self.disk.tip),
                    }
                }
            }
            Effect::Iterate {
                slug, iteration, ..
            } => Input::IterationEnded {
                report: Box::new(self.report(&slug, iteration, stopped)),
                slug,
                iteration,
            },
            Effect::Integrate { slug, attempt, .. } => Input::Integrated {
                outcome: self.outcome(),
                slug,
                attempt,
            },
            Effect::Land {
                slug,
                attempt,
                candidate,
            } => Input::Landed {
                outcome: self.land(&slug, &candidate),
                slug,
                attempt,
            },
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
            Effect::Tidy { .. } => Input::Tidied,
        };
        Observation::end_of(key.clone(), input)
    }

    fn report(&mut self, slug: &Slug, iteration: u32, stopped: bool) -> IterationReport {
        let n = u64::from(iteration);
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
            blocked: dice.chance(2).then(|| "which colour?".into()),
            failure: dice.chance(10).then(|| AgentFailure {
                kind: FailureKind::Other,
                text: format!("error {}", dice.roll(3)),
            }),
            tip: dice.chance(98).then(|| oid(1_000_000 + n)),
            changed: dice.chance(85),
            usage: None,
        }
    }

    fn outcome(&mut self) -> IntegrationOutcome {
        let tip = self.disk.tip;
        match self.dice().roll(10) {
            0 => IntegrationOutcome::Red {
                command: "make test".into(),
                tail: format!("{} failed", self.dice().roll(2)),
                gate_ms: 5,
            },
            1 => IntegrationOutcome::Infra {
                why: "git died".into(),
            },
            2 => IntegrationOutcome::Conflict {
                paths: vec!["a.rs".into()],
            },
            _ => IntegrationOutcome::Green {
                candidate: Candidate {
                    commit: oid(tip + 1),
                    tree: oid(tip + 1),
                    onto: oid(tip),
                    branch_tip: oid(77),
                },
                gate_ms: 5,
            },
        }
    }

    fn land(&mut self, slug: &Slug, candidate: &Candidate) -> LandOutcome {
        let commit = candidate.commit.clone();
        if oid(self.disk.tip) == commit {
            // Landed before the crash that lost the answer.
            return LandOutcome::Done;
        }
        if oid(self.disk.tip) != candidate.onto {
            return LandOutcome::TargetMoved;
        }
        if self.dice().chance(10) {
            // Somebody commits.
            self.disk.tip += 1_000;
            return LandOutcome::TargetMoved;
        }
        self.disk.tip += 1;
        assert!(!self.disk.landed.contains(slug), "{slug} landed twice");
        self.disk.landed.push(slug.clone());
        LandOutcome::Done
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

/// One process's life: from the journal to the end of the run, or to its death.
fn live(sim: &mut Sim, settings: &Settings) -> Option<u8> {
    let mut engine = Engine::replay(&sim.disk.journal);
    sim.now = sim.now.max(engine.state().last_at());
    let mut batch = engine.resume(sim);
    batch.push(
        Input::RunBegins {
            run: RunId("sim".into()),
            settings: settings.clone(),
            target: "refs/heads/main".into(),
            tip: oid(sim.disk.tip),
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
            }
            (None, Some(at)) => {
                sim.now = at;
                batch.push(Input::Tick.into());
            }
            (None, None) => panic!("not finished, and nothing is under way or will wake it"),
        }
    }
    panic!("the run does not end");
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
        ..Settings::default()
    };
    let mut sim = Sim {
        slots: usize::try_from(settings.parallel).unwrap(),
        now: Stamp(1_000_000),
        ..Sim::default()
    };
    sim.disk.specs = backlog(&mut dice);
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
    let merged = |record: &&Record| matches!(record.event, Event::Merged { .. });
    assert_eq!(
        disk.journal.iter().filter(merged).count(),
        disk.landed.len()
    );
    assert_eq!(
        code == 0,
        disk.landed.len() == disk.specs.len(),
        "seed {seed}: code {code}"
    );
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
    for seed in 0..1_000 {
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
