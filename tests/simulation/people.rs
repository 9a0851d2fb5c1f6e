//! What people do: they write specs, and change their mind at any moment.

use super::auditor::{Known, Where};
use super::dice::Dice;
use super::world::Sim;
use super::{number, oid, slug};
use harness::core::State;
use harness::driver::turn::Engine;
use harness::model::{
    AgentChoice, Command, EffectKey, FeatureSpec, Input, Relation, Slug, StopLevel,
};
use std::collections::BTreeSet;

/// What a person has just done that a run hears of at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    /// Files changed.
    Files,
    /// A signal was sent.
    Signal(StopLevel),
}

/// Something that a person does; what a run hears of it at once.
type Act = fn(&mut Sim) -> Option<Deed>;

/// A backlog without cycles: a feature depends on such with lower numbers only.
pub(super) fn backlog(dice: &mut Dice) -> Vec<FeatureSpec> {
    let count = match dice.roll(8) {
        0 => 8 + dice.roll(16),
        _ => 1 + dice.roll(8),
    };
    let mut specs = Vec::new();
    for n in 0..count {
        let spec = written(dice, n, &specs);
        specs.push(spec);
    }
    specs
}

fn written(dice: &mut Dice, n: u64, others: &[FeatureSpec]) -> FeatureSpec {
    let mut spec = FeatureSpec::bare(slug(n));
    let older = others
        .iter()
        .map(|other| &other.slug)
        .filter(|other| **other < spec.slug);
    for other in older {
        if dice.chance(14) {
            spec.depends_on.push(other.clone());
        } else if dice.chance(4) {
            spec.after.push(other.clone());
        }
    }
    if dice.chance(20) {
        spec.locks.push("database".into());
    }
    if dice.chance(20) {
        spec.touches.push(format!("src/{}", dice.roll(3)));
    }
    if dice.chance(15) {
        // As routes give it: harness itself knows of labels only what came of them.
        spec.agent = agent(dice);
        spec.label = Some("ui".into());
    }
    spec.priority = i64::try_from(dice.roll(3)).unwrap();
    spec
}

/// A profile, a model, or both.
pub(super) fn agent(dice: &mut Dice) -> AgentChoice {
    let named = 1 + dice.roll(3);
    AgentChoice {
        profile: (named & 1 > 0)
            .then(|| ["another", "third"][usize::try_from(dice.roll(2)).unwrap()].into()),
        model: (named & 2 > 0).then(|| "large".into()),
    }
}

impl Sim {
    /// Somebody does something while a run lives.
    pub(super) fn somebody_acts(&mut self) -> Option<Deed> {
        let wished = self.somebody_wishes().then_some(Deed::Files);
        self.somebody_does_something().or(wished)
    }

    fn somebody_does_something(&mut self) -> Option<Deed> {
        let faults = self.faults.clone();
        let kinds: [(u64, Act); 8] = [
            (faults.halt, Self::halt),
            (faults.edits, Self::edit),
            (faults.markers, Self::marker),
            (faults.commands, Self::command),
            (faults.stops, Self::stops),
            (faults.commits, |sim| {
                sim.disk.repo.user_commits();
                None
            }),
            (faults.rewrites, |sim| {
                sim.disk.repo.user_rewrites(&mut sim.dice);
                None
            }),
            (faults.dirty, |sim| {
                sim.disk.repo.dirty ^= true;
                None
            }),
        ];
        let sum = kinds.iter().map(|(rate, _)| rate).sum::<u64>();
        let mut roll = self.dice.roll(sum.max(1));
        for (rate, act) in kinds {
            if roll < rate {
                return act(self);
            }
            roll -= rate;
        }
        None
    }

    fn halt(&mut self) -> Option<Deed> {
        self.disk.halt = match self.disk.halt {
            Some(_) => None,
            None => Some("enough".into()),
        };
        Some(Deed::Files)
    }

    fn stops(&mut self) -> Option<Deed> {
        Some(Deed::Signal(match self.dice.roll(3) {
            0 => StopLevel::Drain,
            1 => StopLevel::Terminate { code: 130 },
            _ => StopLevel::Terminate { code: 143 },
        }))
    }

    fn edit(&mut self) -> Option<Deed> {
        let names: Vec<Slug> = self
            .disk
            .specs
            .iter()
            .map(|spec| spec.slug.clone())
            .collect();
        match (self.dice.roll(4), self.dice.pick(&names)) {
            (0, Some(name)) => {
                // Nothing may name what is not there.
                self.disk.specs.retain(|spec| spec.slug != name);
                for spec in &mut self.disk.specs {
                    spec.depends_on.retain(|other| *other != name);
                    spec.after.retain(|other| *other != name);
                }
            }
            (1, _) => {
                // Perhaps one that was there before.
                let n = self.dice.roll(self.last_number() + 2);
                let spec = written(&mut self.dice, n, &self.disk.specs);
                if n < 30 && !names.contains(&spec.slug) {
                    self.disk.specs.push(spec);
                }
            }
            (_, Some(name)) => {
                let spec = written(&mut self.dice, super::slug_number(&name), &self.disk.specs);
                let old = self.disk.specs.iter_mut().find(|spec| spec.slug == name);
                *old.unwrap() = spec;
            }
            (_, None) => return None,
        }
        self.purse.revise(&mut self.disk.specs);
        self.wishes.revise(&mut self.disk.specs);
        Some(Deed::Files)
    }

    fn marker(&mut self) -> Option<Deed> {
        let done: Vec<Slug> = self.disk.done.iter().cloned().collect();
        let names: Vec<Slug> = self
            .disk
            .specs
            .iter()
            .map(|spec| spec.slug.clone())
            .collect();
        if self.dice.chance(60) {
            self.disk.done.remove(&self.dice.pick(&done)?);
        } else {
            self.disk.done.insert(self.dice.pick(&names)?);
        }
        Some(Deed::Files)
    }

    fn command(&mut self) -> Option<Deed> {
        let retries = self.dice.chance(50);
        // Mostly for those who wait for it, at times for any.
        let is_any = self.dice.chance(30);
        let waits = |known: &Known| match retries {
            true => known.halted(),
            false => known.place == Where::Blocked,
        };
        let features = self.auditor.features.iter();
        let meant = features.filter(|(_, known)| is_any || waits(known));
        let names: Vec<Slug> = meant.map(|(slug, _)| slug.clone()).collect();
        let slug = self.dice.pick(&names)?;
        let answer = "blue".to_owned();
        self.disk.inbox.push(match retries {
            true => Command::Retry { slug },
            false => Command::Unblock { slug, answer },
        });
        Some(Deed::Files)
    }

    /// Somebody looks after things while no run lives.
    pub(super) fn somebody_tidies_up(&mut self) {
        if self.dice.chance(70) {
            self.disk.halt = None;
        }
        if self.dice.chance(70) {
            self.disk.repo.dirty = false;
        }
        for _ in 0..self.dice.roll(4) {
            self.somebody_acts();
        }
        for _ in 0..3 {
            self.somebody_wishes();
        }
        for _ in 0..3 {
            if self.dice.chance(self.faults.commands) {
                self.command();
            }
        }
        if self.dice.chance(self.faults.undo) {
            self.undo();
        }
        if self.dice.chance(self.faults.drops) {
            let names: Vec<Slug> = self.disk.repo.branches.keys().cloned().collect();
            if let Some(name) = self.dice.pick(&names) {
                self.disk.repo.branches.remove(&name);
            }
        }
    }

    /// `harness undo`, which may be cut off between git and the journal.
    fn undo(&mut self) {
        let mut engine = Engine::replay(&self.disk.journal);
        let state = engine.state();
        let Some(slug) = self.may_be_undone(state) else {
            return;
        };
        let published = state.published("refs/heads/main").map(number);
        let ground = self.disk.repo.ground(published);
        if ground.relation != Relation::Behind || self.disk.repo.dirty {
            return;
        }
        let commit = match state.landed_empty(&slug) {
            true => None,
            false => self.disk.repo.take_back(&slug).map(oid),
        };
        if self.dice.chance(self.faults.crash / 4) {
            self.disk.repo.rewritten = true;
            return;
        }
        let undone = Input::Undone {
            slug,
            commit,
            requeue: self.dice.chance(50),
            why: "it was slow".into(),
        };
        // The clock of whoever says it may stand anywhere.
        let fate = self.fate.take();
        let now = harness::model::Stamp(self.dice.roll(2 * self.now.0));
        engine.note(self, vec![undone.into()], now).unwrap();
        let writes = self
            .tasks
            .keys()
            .filter(|key| matches!(key, EffectKey::Write(_)));
        let last = writes.count();
        // It waits for its writes; the next run does what a crash keeps it from.
        if self.dice.chance(80) && last > 0 {
            self.now = self.now.plus_ms(100_000_000);
            let seen = self.happens();
            engine.note(self, seen, now).unwrap();
        }
        self.dies();
        self.fate = fate;
    }

    fn may_be_undone(&mut self, state: &State) -> Option<Slug> {
        let (_, landings) = state.landings()?;
        let names: Vec<Slug> = landings.map(|(slug, _)| slug.clone()).collect();
        let slug = self.dice.pick(&names)?;
        state.merged_dependents(&slug).is_empty().then_some(slug)
    }

    /// A selection that needs nothing outside of itself.
    pub(super) fn selection(&mut self) -> BTreeSet<Slug> {
        let mut only = BTreeSet::new();
        for spec in &self.disk.specs {
            let whole = spec.depends_on.iter().all(|name| only.contains(name));
            if whole && self.dice.chance(70) {
                only.insert(spec.slug.clone());
            }
        }
        only
    }
}
