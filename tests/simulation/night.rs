//! One night: lives of a process, one after the other, until a last one that nobody disturbs brings it to an end.

use super::dice::Dice;
use super::faults::Faults;
use super::people::{Deed, agent};
use super::repository::{Odds, Repository};
use super::world::{Fate, Sim};
use super::{checkers, number};
use harness::core::{State, wake_at};
use harness::driver::turn::{Engine, Observation, TurnError};
use harness::model::{
    AgentSettings, Backlog, Deadline, Event, Input, LimitSettings, MergeSettings, OnHalt, OnLimit,
    Record, RunId, Settings, Slug, Stamp,
};

/// More turns than any run needs.
const MOST_TURNS: usize = 20_000;
/// More turns in a row than a clock may cause without anything coming of it.
const MOST_VAIN: u32 = 20;
const HOUR: u64 = 3_600_000;
const YEAR: u64 = 365 * 24 * HOUR;

pub(super) struct Night {
    pub(super) sim: Sim,
    /// Lengths of the journal at which lives began.
    pub(super) lives: Vec<usize>,
}

/// What a life keeps an eye on.
struct Watch {
    files_due: bool,
    /// How often people still do something, and when next.
    acts: u64,
    act_at: Stamp,
    vain: u32,
}

impl Night {
    pub(super) fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let faults = Faults::swarm(&mut dice);
        let odds = Odds {
            textual: faults.textual,
            semantic: faults.semantic,
            flaky: faults.flaky,
            broken_base: dice.chance(faults.broken_base),
        };
        let sim = Sim::new(dice, faults, Settings::default(), Repository::new(odds));
        let lives = Vec::new();
        Self { sim, lives }
    }

    /// A night in which agents and gates are as they are, and nothing else goes wrong.
    pub(super) fn quiet(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let faults = Faults {
            bad: 15,
            flaky: 4,
            textual: 15,
            ..Faults::default()
        };
        let odds = Odds {
            textual: 15,
            semantic: 4,
            flaky: 4,
            broken_base: false,
        };
        let settings = settings(&mut dice);
        let mut sim = Sim::new(dice, faults, settings, Repository::new(odds));
        sim.purse.rate = 0;
        (sim.wishes.rate, sim.wishes.reviews) = (0, 0);
        sim.disk
            .specs
            .iter_mut()
            .for_each(|spec| spec.review = false);
        let lives = Vec::new();
        Self { sim, lives }
    }

    /// The process dies when so many records are in the journal, once for each number; then it lives on.
    pub(super) fn play_with_deaths(&mut self, deaths: &[usize]) {
        for length in deaths {
            self.sim.fate = Some(Fate::DiesWriting(*length));
            if self.live(false).is_some() {
                break;
            }
        }
        self.sim.fate = None;
        self.live(false).expect("a run that nobody disturbs ends");
        checkers::night(&self.sim);
    }

    /// # Panics
    /// When a promise is broken.
    pub(super) fn play(&mut self) {
        let sim = &mut self.sim;
        sim.settings = sim.draw_settings();
        let disturbed = sim.dice.roll(5);
        let mut died = false;
        for _ in 0..disturbed {
            self.sim.fate = self.fate(died);
            died = self.live(true).is_none();
            self.between();
        }
        let sim = &mut self.sim;
        sim.fate = None;
        (sim.disk.halt, sim.disk.repo.dirty) = (None, false);
        self.live(false).expect("a run that nobody disturbs ends");
        checkers::night(&self.sim);
    }

    fn fate(&mut self, died: bool) -> Option<Fate> {
        let sim = &mut self.sim;
        let length = sim.disk.journal.len();
        let mut soon = |sides| usize::try_from(sim.dice.roll(sides)).unwrap();
        let (again, later) = (soon(6), soon(80));
        if died && sim.dice.chance(sim.faults.crash_again) {
            return Some(Fate::DiesWriting(length + again));
        }
        if sim.dice.chance(sim.faults.refused) {
            return Some(Fate::IsRefused(length + later));
        }
        if sim.dice.chance(sim.faults.crash) {
            return Some(match sim.dice.chance(60) {
                true => Fate::DiesWriting(length + later),
                false => Fate::DiesWaiting(later),
            });
        }
        None
    }

    /// Time passes and people do things while no run lives.
    fn between(&mut self) {
        let sim = &mut self.sim;
        if sim.dice.chance(sim.faults.clock) {
            sim.now = match sim.dice.chance(50) {
                true => sim.now.plus_ms(YEAR),
                false => Stamp(sim.now.0.saturating_sub(YEAR)),
            };
        }
        sim.somebody_tidies_up();
        if sim.dice.chance(20) {
            sim.settings = sim.draw_settings();
        }
        let only = sim.selection();
        sim.settings.only = sim.dice.chance(10).then_some(only);
    }

    /// One process's life: from the journal to the end of the run, or to its death.
    fn live(&mut self, disturbed: bool) -> Option<u8> {
        self.lives.push(self.sim.disk.journal.len());
        let mut engine = Engine::replay(&self.sim.disk.journal);
        let mut shadow = engine.state().clone();
        // As the run's clock: never before the journal's end.
        self.sim.now = self.sim.now.max(shadow.last_at());
        let mut batch = engine.resume(&mut self.sim);
        batch.push(self.begins(engine.state()).into());
        let acts = self.sim.dice.roll(if disturbed { 8 } else { 1 });
        let mut watch = Watch {
            files_due: true,
            acts,
            act_at: self.sim.now.plus_ms(self.sim.dice.roll(60_000)),
            vain: 0,
        };
        for turn in 0..MOST_TURNS {
            self.look(engine.state(), &mut watch, &mut batch);
            let records = match self.turn(&mut engine, std::mem::take(&mut batch)) {
                Ok(records) => records,
                Err(TurnError::Invariant(broken)) => panic!("{broken}"),
                Err(TurnError::Journal(_)) => {
                    assert!(self.sim.dead, "the engine stopped by itself");
                    self.sim.dies();
                    return None;
                }
            };
            records.iter().for_each(|record| shadow.apply(record));
            checkers::turn(&self.sim, engine.state(), &shadow, turn);
            let published = |record: &Record| matches!(record.event, Event::Published { .. });
            if records.iter().any(published) {
                checkers::published(&self.sim, engine.state());
            }
            if let Some(code) = engine.state().exit_code().filter(|_| engine.is_idle()) {
                checkers::run(&self.sim, engine.state(), code);
                // What was under way is done.
                self.sim.dies();
                return Some(code);
            }
            if matches!(self.sim.fate, Some(Fate::DiesWaiting(n)) if n <= turn) {
                self.sim.dies();
                return None;
            }
            batch = self.wait(engine.state(), &mut watch, records.is_empty());
        }
        panic!("the run does not end");
    }

    fn turn(
        &mut self,
        engine: &mut Engine,
        batch: Vec<Observation>,
    ) -> Result<Vec<Record>, TurnError> {
        let now = self.sim.now;
        let records = engine.turn(&mut self.sim, batch, now)?;
        // Commands are taken away once they are in the journal.
        self.sim.disk.inbox.clear();
        Ok(records)
    }

    fn begins(&mut self, state: &State) -> Input {
        let repo = &mut self.sim.disk.repo;
        let ground = repo.ground(state.published("refs/heads/main").map(number));
        let tip = number(&ground.tip);
        let unpublished = state.unpublished().map(|(slug, _)| slug);
        let lost: Vec<Slug> = unpublished
            .filter(|slug| !repo.holds(tip, slug))
            .cloned()
            .collect();
        let awaiting = state.awaiting_merge().chain(&lost);
        let gone = awaiting
            .filter(|slug| !repo.branches.contains_key(*slug))
            .cloned()
            .collect();
        Input::RunBegins {
            run: RunId("sim".into()),
            settings: Box::new(self.sim.settings.clone()),
            target: "refs/heads/main".into(),
            ground,
            lost,
            gone,
        }
    }

    /// Before each turn a run looks at HALT, and at other files when they changed.
    fn look(&mut self, state: &State, watch: &mut Watch, batch: &mut Vec<Observation>) {
        let disk = &self.sim.disk;
        let mut backlog = Backlog {
            halt: disk.halt.clone(),
            ..Backlog::default()
        };
        let made = batch
            .iter()
            .any(|seen| matches!(seen.input, Input::Written { .. }));
        if watch.files_due || made {
            watch.files_due = state.has_unsettled_marker(&disk.done);
            backlog.features = Some(disk.specs.clone());
            backlog.done = Some(disk.done.clone());
        }
        batch.extend(
            disk.inbox
                .iter()
                .cloned()
                .map(|command| Input::Commanded(command).into()),
        );
        batch.push(Input::Looked(backlog).into());
    }

    /// Until something happens: in the world, by the clock, or because of a person.
    fn wait(&mut self, state: &State, watch: &mut Watch, vain: bool) -> Vec<Observation> {
        let sim = &mut self.sim;
        let wake = wake_at(state, sim.now);
        let own = sim.next_at().into_iter().chain(wake).min();
        let Some(own) = own else {
            panic!("the run has not ended, and nothing is under way or will wake it");
        };
        let act = (watch.acts > 0).then_some(watch.act_at);
        let next = own.min(act.unwrap_or(own));
        sim.now = sim.now.max(next);
        if sim.dice.chance(sim.faults.suspend) {
            sim.now = sim.now.plus_ms(sim.dice.roll(8 * HOUR));
        }
        if sim.dice.chance(20) {
            // A busy loop hears of several things at once.
            sim.now = sim.now.plus_ms(sim.dice.roll(1_500));
        }
        let mut batch = sim.happens();
        watch.vain = if vain && batch.is_empty() {
            watch.vain + 1
        } else {
            0
        };
        assert!(
            watch.vain < MOST_VAIN,
            "the clock wakes the run again and again for nothing"
        );
        if act.is_some_and(|at| at <= sim.now) {
            watch.acts -= 1;
            watch.act_at = sim.now.plus_ms(sim.dice.roll(60_000));
            match sim.somebody_acts() {
                Some(Deed::Files) => watch.files_due = true,
                Some(Deed::Signal(level)) => batch.push(Input::Stop(level).into()),
                None => {}
            }
        }
        if sim.dice.chance(sim.faults.strain) {
            let why = sim.dice.chance(50).then(|| "memory".to_owned());
            batch.push(Input::Strained { why }.into());
        }
        if batch.is_empty() && wake.is_some_and(|at| at <= sim.now) {
            batch.push(Input::Tick.into());
        }
        batch
    }
}

impl Sim {
    /// What a run is asked to do.
    fn draw_settings(&mut self) -> Settings {
        // From other dice: the nights without one are to be what they were.
        let mut other = self.dice.another();
        let seconds = other.roll(600);
        let until = other.chance(15).then(|| Deadline {
            at: self.now.plus_ms(seconds * 1_000),
            asked: "then".into(),
        });
        Settings {
            until,
            budget: self.purse.settings(),
            ..settings(&mut self.dice)
        }
    }
}

/// Each has an account of its own.
fn profile(dice: &mut Dice, name: &str) -> (String, AgentSettings) {
    let settings = AgentSettings {
        account: name.into(),
        resume: dice.chance(50),
        apart_ms: dice.chance(30).then_some(3_000),
        ..AgentSettings::default()
    };
    (name.into(), settings)
}

fn settings(dice: &mut Dice) -> Settings {
    let mut small = |sides| u32::try_from(dice.roll(sides)).unwrap();
    let (parallel, batch) = (1 + small(6), 1 + small(5));
    let (gates, retries, rounds) = (1 + small(4) * small(2), small(3), 1 + small(3));
    let per_feature = if small(3) == 0 { 2 + small(6) } else { 40 };
    Settings {
        parallel,
        max_iterations: if dice.chance(10) { 20 } else { 2_000 },
        max_iterations_per_feature: per_feature,
        sleep_between_ms: if dice.chance(20) { 700 } else { 0 },
        on_halt: if dice.chance(10) {
            OnHalt::Stop
        } else {
            OnHalt::Isolate
        },
        merge: MergeSettings {
            gate: match dice.roll(12) {
                0 => None,
                1 => Some("another gate".into()),
                _ => Some("gate".into()),
            },
            batch,
            parallel_gates: gates,
            retries,
            max_conflict_rounds: rounds,
            publish: !dice.chance(6),
            ..MergeSettings::default()
        },
        agents: ["", "another", "third"]
            .map(|name| profile(dice, name))
            .into(),
        escalate: (0..dice.roll(4)).map(|_| agent(dice)).collect(),
        limits: LimitSettings {
            on_limit: match dice.roll(4) {
                0 => OnLimit::Halt,
                1 => OnLimit::Switch,
                _ => OnLimit::Wait,
            },
            fallback: vec!["another".into()],
            keep_percent: dice.chance(30).then_some(20),
            ..LimitSettings::default()
        },
        ..Settings::default()
    }
}
