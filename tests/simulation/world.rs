//! The world of a night: a disk that survives, and a process with effects under way that does not. When an effect
//! does its deed and when that is reported are two moments; a crash can come before, between and after.

use super::auditor::{Auditor, Where};
use super::dice::Dice;
use super::faults::Faults;
use super::purse::Purse;
use super::repository::Repository;
use super::wishes::Wishes;
use super::{number, slug_number};
use harness::core::Running;
use harness::driver::turn::{Observation, World};
use harness::journal::JournalError;
use harness::model::{
    Command, Effect, EffectKey, Event, FeatureSpec, Input, Record, Settings, Slug, Stamp,
    WorktreeName, WriteJob, Writing,
};
use std::collections::{BTreeMap, BTreeSet};

/// What survives a crash.
#[derive(Debug)]
pub(super) struct Disk {
    pub(super) journal: Vec<Record>,
    /// Entries of logs and lessons, by the number of the write.
    pub(super) written: BTreeMap<u64, String>,
    pub(super) done: BTreeSet<Slug>,
    pub(super) halt: Option<String>,
    /// Commands that wait for a run to take them.
    pub(super) inbox: Vec<Command>,
    pub(super) specs: Vec<FeatureSpec>,
    /// Whose worktree it is, and whether something in it is in no snapshot.
    pub(super) worktrees: BTreeMap<WorktreeName, (Slug, bool)>,
    pub(super) repo: Repository,
}

/// An effect under way.
#[derive(Debug)]
pub(super) struct Task {
    effect: Effect,
    deed_at: Stamp,
    report_at: Stamp,
    /// What is to be reported, once it has done its deed.
    seen: Option<Input>,
    stopped: bool,
}

impl Task {
    fn next_at(&self) -> Stamp {
        match self.seen {
            None => self.deed_at,
            Some(_) => self.report_at,
        }
    }
}

/// How a life is cut short.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fate {
    /// The process dies when so many records are in the journal.
    DiesWriting(usize),
    /// The journal refuses to grow beyond so many records.
    IsRefused(usize),
    /// The process dies after so many turns.
    DiesWaiting(usize),
}

#[derive(Debug)]
pub(super) struct Sim {
    pub(super) disk: Disk,
    pub(super) dice: Dice,
    pub(super) purse: Purse,
    pub(super) wishes: Wishes,
    pub(super) faults: Faults,
    pub(super) settings: Settings,
    pub(super) auditor: Auditor,
    pub(super) now: Stamp,
    pub(super) tasks: BTreeMap<EffectKey, Task>,
    /// Completions that will be seen (again), and when.
    pub(super) echoes: Vec<(Stamp, Observation)>,
    pub(super) fate: Option<Fate>,
    pub(super) dead: bool,
    started: BTreeSet<(Slug, u32)>,
}

impl World for Sim {
    fn record(&mut self, records: &[Record]) -> Result<(), JournalError> {
        for record in records {
            let length = self.disk.journal.len();
            if matches!(self.fate, Some(Fate::DiesWriting(n) | Fate::IsRefused(n)) if n <= length) {
                self.dead = true;
                // A refused batch is cut off again where that is still possible.
                if matches!(self.fate, Some(Fate::IsRefused(_))) && self.dice.chance(70) {
                    self.forget(records);
                }
                let (path, line, why) = ("sim".into(), 0, "no space is left".into());
                return Err(JournalError::Damaged { path, line, why });
            }
            self.auditor.hear(record);
            if let Event::FoundDone { slug, .. } = &record.event {
                self.gives_up_unsaved(slug);
            }
            self.disk.journal.push(record.clone());
        }
        Ok(())
    }

    fn perform(&mut self, effect: Effect) {
        let key = effect.key();
        self.assert_named(&effect);
        let slow = self.dice.chance(self.faults.slow);
        let longest = if slow { 20_000_000 } else { 5_000 };
        let mut deed_at = self.now.plus_ms(self.dice.roll(longest));
        if let Effect::Write(_) = effect {
            // There is one writer, and it keeps the order.
            let writes = self
                .tasks
                .values()
                .filter(|task| matches!(task.effect, Effect::Write(_)));
            let last = writes.map(|task| task.deed_at).max().unwrap_or_default();
            deed_at = deed_at.max(last.plus_ms(1));
        }
        let task = Task {
            effect,
            deed_at,
            report_at: deed_at.plus_ms(self.dice.roll(800)),
            seen: None,
            stopped: false,
        };
        let twice = self.tasks.insert(key.clone(), task);
        assert!(twice.is_none(), "{key:?} was performed twice");
        self.assert_room();
    }

    fn stop(&mut self, key: &EffectKey) {
        let grace = 1 + self.dice.roll(3_000);
        let Some(task) = self.tasks.get_mut(key) else {
            return;
        };
        task.stopped = true;
        task.deed_at = task.deed_at.min(self.now.plus_ms(grace));
        task.report_at = task
            .report_at
            .min(task.deed_at.plus_ms(grace))
            .max(task.deed_at);
    }

    fn probe(&mut self, running: Vec<Running>) -> Vec<Observation> {
        let lost = running.into_iter().map(|it| Input::IterationLost {
            slug: it.slug,
            iteration: it.iteration,
            usage: self.purse.usage(),
        });
        lost.map(Observation::from).collect()
    }
}

impl Sim {
    /// What a person calls done is worked on no more, and its worktree is anybody's: who takes it or clears it away keeps
    /// what is in it beside all branches (`git::Worktrees` does so, whoever it was of).
    fn gives_up_unsaved(&mut self, slug: &Slug) {
        let worktrees = self.disk.worktrees.values_mut();
        for (_, unsaved) in worktrees.filter(|(own, _)| own == slug) {
            *unsaved = false;
        }
    }

    pub(super) fn new(
        mut dice: Dice,
        faults: Faults,
        settings: Settings,
        repo: Repository,
    ) -> Self {
        let mut purse = Purse::new(dice.another());
        let mut specs = super::people::backlog(&mut dice);
        purse.revise(&mut specs);
        let mut wishes = Wishes::new(dice.apart());
        wishes.revise(&mut specs);
        let disk = Disk {
            journal: Vec::new(),
            written: BTreeMap::new(),
            done: BTreeSet::new(),
            halt: None,
            inbox: Vec::new(),
            specs,
            worktrees: BTreeMap::new(),
            repo,
        };
        Self {
            disk,
            purse,
            wishes,
            dice,
            faults,
            settings,
            auditor: Auditor::default(),
            now: Stamp(100_000_000_000),
            tasks: BTreeMap::new(),
            echoes: Vec::new(),
            fate: None,
            dead: false,
            started: BTreeSet::new(),
        }
    }

    /// Takes what was written of a batch back out of the journal.
    fn forget(&mut self, records: &[Record]) {
        let first = records.first().map_or(0, |record| record.seq);
        self.disk.journal.retain(|record| record.seq < first);
        self.auditor = Auditor::default();
        for record in &self.disk.journal {
            self.auditor.hear(record);
        }
    }

    /// An effect is started for what the journal says, and for nothing else.
    fn assert_named(&mut self, effect: &Effect) {
        match effect {
            Effect::Prepare {
                slug,
                worktree,
                fresh,
                ..
            } => {
                let known = self.auditor.of(slug);
                assert_eq!(known.place, Where::Preparing, "{slug} is prepared unasked");
                assert_eq!(known.worktree, Some(*worktree));
                assert_eq!(*fresh, known.anew, "{slug}: its branch begins anew, or not");
            }
            Effect::Iterate {
                slug,
                iteration,
                worktree,
                ..
            } => {
                let place = &self.auditor.of(slug).place;
                let named = *place == Where::Running(*iteration);
                assert!(
                    named,
                    "{slug} #{iteration} is started and the journal says {place:?}"
                );
                let own = self.disk.worktrees.get(worktree).map(|(own, _)| own);
                assert_eq!(own, Some(slug), "{slug} is called in another's worktree");
                let first = self.started.insert((slug.clone(), *iteration));
                assert!(first, "{slug} #{iteration} was started twice");
                self.assert_told(slug);
            }
            _ => {}
        }
    }

    /// What a feature's last iteration taught stands in its files before the next one begins.
    fn assert_told(&self, slug: &Slug) {
        let about = |task: &&Task| {
            matches!(&task.effect, Effect::Write(WriteJob { what: Writing::Log { slug: whose, .. }, .. })
                if whose == slug)
        };
        let open = self.tasks.values().filter(about);
        let mut missing = open.filter(|task| match &task.effect {
            Effect::Write(job) => !self.disk.written.contains_key(&job.number),
            _ => false,
        });
        assert!(
            missing.next().is_none(),
            "{slug} is called before its log was written"
        );
    }

    /// No more agents than allowed, and nobody shares a worktree.
    fn assert_room(&self) {
        let mut held = BTreeSet::new();
        for task in self.tasks.values() {
            if let Effect::Prepare { worktree, slug, .. } | Effect::Iterate { worktree, slug, .. } =
                &task.effect
            {
                assert!(held.insert(*worktree), "two work in the worktree of {slug}");
            }
        }
        let slots = usize::try_from(self.settings.parallel).unwrap();
        assert!(
            held.len() <= slots,
            "{} agents on {slots} slots",
            held.len()
        );
    }

    /// When something happens next by itself.
    pub(super) fn next_at(&self) -> Option<Stamp> {
        let tasks = self.tasks.values().map(Task::next_at);
        tasks.chain(self.echoes.iter().map(|(at, _)| *at)).min()
    }

    /// Everything that is due by now happens; what is reported comes back.
    pub(super) fn happens(&mut self) -> Vec<Observation> {
        let mut seen = Vec::new();
        while let Some(key) = self.due() {
            let (doubled, late) = (self.faults.doubled, self.faults.late);
            if self.tasks[&key].seen.is_none() {
                let input = self.deed(&key);
                self.tasks.get_mut(&key).unwrap().seen = Some(input);
                continue;
            }
            let input = self.tasks.remove(&key).unwrap().seen.unwrap();
            let observation = Observation::end_of(key, input);
            if self.dice.chance(doubled) {
                let again = Observation::from(observation.input.clone());
                let longest = if self.dice.chance(late) { 20_000 } else { 1 };
                let at = self.now.plus_ms(self.dice.roll(longest));
                self.echoes.push((at, again));
            }
            seen.push(observation);
        }
        let now = self.now;
        seen.extend(
            self.echoes
                .extract_if(.., |(at, _)| *at <= now)
                .map(|(_, seen)| seen),
        );
        if seen.len() > 1 && self.dice.chance(50) {
            seen.reverse();
        }
        seen
    }

    fn due(&self) -> Option<EffectKey> {
        let due = self
            .tasks
            .iter()
            .filter(|(_, task)| task.next_at() <= self.now);
        due.min_by_key(|(_, task)| task.next_at())
            .map(|(key, _)| key.clone())
    }

    /// The process ends. What was under way has been done, or not; a write only after those before it.
    pub(super) fn dies(&mut self) {
        self.dead = false;
        let mut writing = true;
        let keys: Vec<EffectKey> = self.tasks.keys().cloned().collect();
        for key in keys {
            if self.tasks[&key].seen.is_none() {
                let mut happens = self.dice.chance(50);
                if let EffectKey::Write(_) = key {
                    writing &= happens;
                    happens = writing;
                }
                if happens {
                    let input = self.deed(&key);
                    self.tasks.get_mut(&key).unwrap().seen = Some(input);
                }
            }
            let input = self.tasks.remove(&key).and_then(|task| task.seen);
            let late = self.dice.chance(self.faults.late);
            if let Some(input) = input.filter(|_| late) {
                let at = self.now.plus_ms(self.dice.roll(10_000));
                self.echoes.push((at, input.into()));
            }
        }
    }

    /// An effect does its deed; gives what there is to report.
    fn deed(&mut self, key: &EffectKey) -> Input {
        let task = &self.tasks[key];
        let (effect, stopped) = (task.effect.clone(), task.stopped);
        match effect {
            Effect::Prepare {
                slug,
                worktree,
                fresh,
                attempt,
            } => self.prepare(slug, worktree, fresh, attempt, stopped),
            Effect::Iterate {
                slug,
                worktree,
                iteration,
                handback,
                agent,
                session,
                ..
            } => {
                self.auditor.assert_called(&slug, &agent);
                self.auditor
                    .assert_resumes(&slug, worktree, session.as_ref());
                let onto = handback.map(|handback| number(&handback.onto));
                let report = self.iterate(&slug, worktree, iteration, onto, stopped);
                Input::IterationEnded {
                    slug,
                    iteration,
                    report: Box::new(report),
                }
            }
            Effect::Tidy { keep, landed } => {
                let repo = &mut self.disk.repo;
                for (name, (slug, unsaved)) in &self.disk.worktrees {
                    let stays = keep.contains(name) || self.auditor.has_landed(slug);
                    assert!(stays || !unsaved, "work of {slug} went away with {name}");
                }
                self.disk.worktrees.retain(|name, _| keep.contains(name));
                repo.branches.retain(|slug, version| {
                    let tip = Repository::branch_tip(slug, *version);
                    !landed.contains(&(slug.clone(), tip))
                });
                Input::Tidied
            }
            Effect::Write(job) => self.write(job),
            of_the_queue => self.merge(of_the_queue, stopped),
        }
    }

    fn write(&mut self, job: WriteJob) -> Input {
        let entry = format!("{} {:?}", job.at.0, job.what);
        let before = self.disk.written.insert(job.number, entry.clone());
        let same = before.is_none_or(|before| before == entry);
        assert!(same, "write {} is another than it was", job.number);
        match job.what {
            Writing::Done { slug, .. } => drop(self.disk.done.insert(slug)),
            Writing::NotDone { slug } => drop(self.disk.done.remove(&slug)),
            Writing::Halt { reason } => drop(self.disk.halt.get_or_insert(reason)),
            Writing::Log { .. } => {}
        }
        Input::Written {
            through: job.number,
        }
    }

    fn prepare(
        &mut self,
        slug: Slug,
        worktree: WorktreeName,
        fresh: bool,
        attempt: u32,
        stopped: bool,
    ) -> Input {
        let fails = self.dice.chance(self.faults.setup);
        if stopped || fails {
            let kind = match self.dice.chance(50) {
                true => harness::model::InfraKind::System,
                false => harness::model::InfraKind::Setup,
            };
            let why = "no space is left".into();
            return Input::PrepareFailed {
                slug,
                attempt,
                kind,
                why,
            };
        }
        if let Some((other, unsaved)) = self.disk.worktrees.get(&worktree) {
            let done = self.auditor.has_landed(other);
            assert!(
                *other == slug || !unsaved || done,
                "{slug} writes over work of {other}"
            );
        }
        let unsaved = self
            .disk
            .worktrees
            .get(&worktree)
            .is_some_and(|(_, unsaved)| *unsaved);
        self.disk
            .worktrees
            .insert(worktree, (slug.clone(), unsaved && !fresh));
        let repo = &mut self.disk.repo;
        if fresh || !repo.branches.contains_key(&slug) {
            repo.begin_branch(&slug);
        }
        let base = super::oid(repo.integration);
        Input::Prepared {
            slug,
            attempt,
            worktree,
            base,
        }
    }

    /// Tasks whose process the journal does not name any more and that nobody stopped.
    pub(super) fn unnamed(&self) -> Option<String> {
        let terminating = matches!(
            self.auditor.stop,
            Some(harness::model::StopLevel::Terminate { .. })
        );
        let running = self.tasks.values().filter(|task| !task.stopped);
        let mut unnamed = running.filter(|task| match &task.effect {
            Effect::Iterate {
                slug, iteration, ..
            } => terminating || self.auditor.of(slug).place != Where::Running(*iteration),
            Effect::Prepare { slug, .. } => {
                terminating || self.auditor.of(slug).place != Where::Preparing
            }
            Effect::Gate { .. } | Effect::Build { .. } => terminating,
            _ => false,
        });
        unnamed
            .next()
            .map(|task| format!("{:?}", task.effect.key()))
    }

    pub(super) fn is_under_way(&self, key: &EffectKey) -> bool {
        self.tasks.contains_key(key)
    }

    /// The last feature's number.
    pub(super) fn last_number(&self) -> u64 {
        let known = self.auditor.features.keys();
        let specs = self.disk.specs.iter().map(|spec| &spec.slug);
        known.chain(specs).map(slug_number).max().unwrap_or(0)
    }
}
