//! One turn: observations in, facts journalled, effects started and stopped. Synchronous.
//!
//! The order is the promise: a fact is in the journal, synced, before anything it calls for is started.
//! Production and simulation run this same code; [`World`] is the only seam between them. This file
//! must never know what an effect does or how long it takes.

use crate::core::{Running, State, broken_invariant, decide, next, wanted};
use crate::journal::JournalError;
use crate::model::{Effect, EffectKey, Input, Record, Stamp};
use std::collections::BTreeSet;

/// Facts that may follow from one batch of observations before something must be wrong.
const MAX_FACTS: usize = 1_000_000;

/// What a turn needs of the world.
pub trait World {
    /// Appends to the journal and syncs it.
    ///
    /// # Errors
    /// When the journal cannot be written; the run stops then.
    fn record(&mut self, records: &[Record]) -> Result<(), JournalError>;
    /// Starts an effect. Its end comes back as an [`Observation`] that names it.
    fn perform(&mut self, effect: Effect);
    /// Stops an effect that is no longer wanted. Its end comes back all the same.
    fn stop(&mut self, key: &EffectKey);
    /// Of iterations that the journal calls running, those that are not, as observations. Asked once,
    /// before the first turn.
    fn probe(&mut self, running: Vec<Running>) -> Vec<Observation>;
}

/// Something observed, and the effect that ended with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// The effect whose end this is.
    pub finished: Option<EffectKey>,
    /// What was observed.
    pub input: Input,
}

impl Observation {
    /// The end of an effect.
    #[must_use]
    pub fn end_of(key: EffectKey, input: Input) -> Self {
        Self {
            finished: Some(key),
            input,
        }
    }
}

impl From<Input> for Observation {
    fn from(input: Input) -> Self {
        Self {
            finished: None,
            input,
        }
    }
}

/// Why a turn could not be completed. The run must stop; the journal is good up to its last record.
#[derive(Debug, thiserror::Error)]
pub enum TurnError {
    /// The journal could not be written.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A promise of the program does not hold.
    #[error("harness is wrong about itself: {0}; nothing more is started, please report this")]
    Invariant(String),
}

/// State and what is under way.
#[derive(Debug, Default)]
pub struct Engine {
    state: State,
    in_flight: BTreeSet<EffectKey>,
    stopping: BTreeSet<EffectKey>,
}

impl Engine {
    /// Replays a journal. Nothing is under way.
    #[must_use]
    pub fn replay(records: &[Record]) -> Self {
        let mut engine = Self::default();
        for record in records {
            engine.state.apply(record);
        }
        engine
    }

    /// What is known.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Whether nothing is under way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// Iterations that an earlier process left behind, as observations for the first turn.
    pub fn resume(&mut self, world: &mut impl World) -> Vec<Observation> {
        let running = self.state.running();
        if running.is_empty() {
            return Vec::new();
        }
        world.probe(running)
    }

    /// One turn of a run. Returns the facts it recorded.
    ///
    /// # Errors
    /// When the journal cannot be written or an invariant is broken.
    pub fn turn(
        &mut self,
        world: &mut impl World,
        observations: Vec<Observation>,
        now: Stamp,
    ) -> Result<Vec<Record>, TurnError> {
        let mut records = self.observe(observations, now);
        while let Some(event) = next(&self.state, now) {
            if records.len() > MAX_FACTS {
                return Err(TurnError::Invariant("a turn does not end".to_owned()));
            }
            records.push(self.take_in(event, now));
        }
        if let Some(broken) = broken_invariant(&self.state) {
            return Err(TurnError::Invariant(broken));
        }
        if !records.is_empty() {
            world.record(&records)?;
        }
        self.reconcile(world);
        Ok(records)
    }

    /// Takes observations in without starting anything: for a person's command while no run lives.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub fn note(
        &mut self,
        world: &mut impl World,
        observations: Vec<Observation>,
        now: Stamp,
    ) -> Result<Vec<Record>, TurnError> {
        let records = self.observe(observations, now);
        if !records.is_empty() {
            world.record(&records)?;
        }
        for effect in wanted(&self.state) {
            if matches!(effect, Effect::Write(_)) && self.in_flight.insert(effect.key()) {
                world.perform(effect);
            }
        }
        Ok(records)
    }

    fn observe(&mut self, observations: Vec<Observation>, now: Stamp) -> Vec<Record> {
        let mut records = Vec::new();
        for observation in observations {
            if let Some(key) = &observation.finished {
                self.in_flight.remove(key);
                self.stopping.remove(key);
            }
            for event in decide(&self.state, observation.input) {
                records.push(self.take_in(event, now));
            }
        }
        records
    }

    fn take_in(&mut self, event: crate::model::Event, now: Stamp) -> Record {
        let record = Record {
            seq: self.state.seq() + 1,
            // The journal's time never goes backwards, whatever the caller's clock does.
            at: now.max(self.state.last_at()),
            event,
        };
        self.state.apply(&record);
        record
    }

    /// Tidying takes worktrees away: nothing that may work in one runs beside it. What must wait is wanted until
    /// the turn in which it can be started.
    fn has_room_for(&self, key: &EffectKey) -> bool {
        let in_worktrees = |key: &EffectKey| !matches!(key, EffectKey::Write(_) | EffectKey::Tidy);
        match key {
            EffectKey::Write(_) => true,
            EffectKey::Tidy => !self.in_flight.iter().any(in_worktrees),
            _ => !self.in_flight.contains(&EffectKey::Tidy),
        }
    }

    /// Starts what is wanted and not under way; stops what is under way and not wanted.
    fn reconcile(&mut self, world: &mut impl World) {
        let mut unwanted = self.in_flight.clone();
        for effect in wanted(&self.state) {
            let key = effect.key();
            unwanted.remove(&key);
            if self.has_room_for(&key) && self.in_flight.insert(key) {
                world.perform(effect);
            }
        }
        for key in unwanted {
            match key {
                // Written: there is nothing to stop.
                EffectKey::Write(_) => {
                    self.in_flight.remove(&key);
                }
                key => {
                    if self.stopping.insert(key.clone()) {
                        world.stop(&key);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Backlog, FeatureSpec, Ground, Oid, Relation, RunId, Slug};

    /// Remembers what it was asked to do.
    #[derive(Default)]
    struct Asked(Vec<EffectKey>);

    impl World for Asked {
        fn record(&mut self, _: &[Record]) -> Result<(), JournalError> {
            Ok(())
        }

        fn perform(&mut self, effect: Effect) {
            self.0.push(effect.key());
        }

        fn stop(&mut self, _: &EffectKey) {}

        fn probe(&mut self, _: Vec<Running>) -> Vec<Observation> {
            Vec::new()
        }
    }

    fn looked(halt: Option<&str>) -> Observation {
        let spec = FeatureSpec::bare(Slug::new("a").unwrap());
        let backlog = Backlog {
            features: Some(vec![spec]),
            done: None,
            halt: halt.map(str::to_owned),
        };
        Input::Looked(backlog).into()
    }

    #[test]
    fn nobody_is_given_a_worktree_while_worktrees_are_taken_away() {
        let (mut engine, mut asked) = (Engine::default(), Asked::default());
        let commit = Oid::parse(&"a".repeat(40)).unwrap();
        let begins = Input::RunBegins {
            run: RunId("r".into()),
            settings: Box::default(),
            target: "refs/heads/main".into(),
            ground: Ground {
                tip: commit.clone(),
                tree: commit.clone(),
                target: commit,
                relation: Relation::Behind,
            },
            lost: Vec::new(),
            gone: Vec::new(),
        };
        let first = vec![begins.into(), looked(Some("enough"))];
        engine.turn(&mut asked, first, Stamp(1)).unwrap();
        engine
            .turn(&mut asked, vec![looked(None)], Stamp(2))
            .unwrap();
        assert_eq!(asked.0, [EffectKey::Tidy]);
        let tidied = Observation::end_of(EffectKey::Tidy, Input::Tidied);
        engine.turn(&mut asked, vec![tidied], Stamp(3)).unwrap();
        let prepare = EffectKey::Prepare(Slug::new("a").unwrap(), 1);
        assert_eq!(asked.0, [EffectKey::Tidy, prepare]);
    }
}
