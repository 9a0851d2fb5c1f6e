//! What is known: every feature's phase and the indexes a turn needs.
//!
//! A fold over the journal and nothing else; [`apply`](super::apply) is the only writer. The indexes
//! are kept by one door, [`State::set_phase`], so that a turn looks at active features and never
//! scans finished ones.

use super::accounts::Account;
use super::caches::{Cache, CommonPrompt};
use super::deadline::Paces;
use super::feature::{Feature, Phase, ReadyKey};
use super::graph::Graph;
use super::queue::Merging;
use super::session::resumed;
use crate::model::{
    AgentChoice, BudgetUnit, FeatureSpec, Finding, Handback, Oid, RunId, Session, Settings,
    SkipReason, Slug, Stamp, StopLevel, Usage, WorktreeName, WriteJob, Writing,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// An iteration that the journal calls running.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// Of which feature.
    pub slug: Slug,
    /// Which.
    pub iteration: u32,
    /// Who was called; the profile is always named.
    pub agent: AgentChoice,
    /// The conversation that it goes on with.
    pub session: Option<Session>,
}

/// Everything `core` remembers. Equal journals give equal states.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct State {
    pub(super) run: Option<Run>,
    pub(super) seq: u64,
    pub(super) last_at: Stamp,
    /// How far the wall clock is ahead of the journal's, in milliseconds.
    pub(super) wall_ahead_ms: i64,
    /// First line of the HALT file.
    pub(super) halt: Option<String>,
    pub(super) features: BTreeMap<Slug, Feature>,
    pub(super) graph: Graph,
    /// Startable as far as dependencies go, best first.
    pub(super) ready: BTreeSet<(ReadyKey, Slug)>,
    /// Holding a slot: preparing or working.
    pub(super) in_slots: BTreeSet<Slug>,
    /// Claimed, waiting for the merge, oldest claim first.
    pub(super) queue: BTreeSet<(Stamp, u64, Slug)>,
    /// In an attempt.
    pub(super) integrating: BTreeSet<Slug>,
    /// The merge queue.
    pub(super) merging: Merging,
    /// Accounts of agents that cannot be used, or are being tried again.
    pub(super) accounts: BTreeMap<String, Account>,
    /// What all prompts begin with.
    pub(super) prompt: CommonPrompt,
    /// How long things take.
    pub(super) paces: Paces,
    /// When an iteration of each account last began.
    pub(super) last_starts: BTreeMap<String, Stamp>,
    /// Features whose last report or gate verdict is still to be judged.
    pub(super) unjudged: BTreeSet<Slug>,
    /// Features whose `not_before` lies ahead.
    pub(super) delayed: BTreeSet<Slug>,
    /// Who holds which worktree.
    pub(super) worktrees: BTreeMap<WorktreeName, Slug>,
    /// Writes that are not known to be on disk, in order.
    pub(super) writes: VecDeque<WriteJob>,
    pub(super) writes_made: u64,
    pub(super) writes_done: u64,
    /// Landed features whose branch may go at the next tidying, and the tip it had.
    pub(super) to_tidy: Vec<(Slug, Oid)>,
}

/// The current or last run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Run {
    pub(super) id: RunId,
    pub(super) settings: Settings,
    pub(super) target: String,
    /// Where the integration ref stands, and its tree.
    pub(super) tip: Oid,
    pub(super) tree: Oid,
    /// Where the target stands, as far as is known.
    pub(super) target_tip: Oid,
    /// Where the target stood when what has landed last held all of it. A person who rewrites the target from
    /// there takes something out, and nothing may bring that back before they say so.
    pub(super) held: Option<Oid>,
    pub(super) started: Stamp,
    /// How long the machine slept since, in milliseconds.
    pub(super) slept_ms: u64,
    /// How long nothing ran since because an account was closed, in milliseconds; the machine's sleep not counted.
    pub(super) waited_ms: u64,
    pub(super) iterations: u32,
    /// What its iterations used, also those that count towards no cap.
    pub(super) used: Usage,
    /// Of which limits of its budget a person was told, and whether that all of it is used.
    pub(super) budget_told: BTreeSet<(BudgetUnit, bool)>,
    /// The prompt caches of its profiles.
    pub(super) caches: BTreeMap<String, Cache>,
    /// What a person was told.
    pub(super) findings: Vec<Finding>,
    pub(super) stop: Option<StopLevel>,
    /// Whether nothing is started any more because it could not land in time.
    pub(super) time_up: bool,
    /// What the machine is short of.
    pub(super) strain: Option<String>,
    /// `on_halt: stop` and a feature blocked or tripped in this run.
    pub(super) halted_by: Option<Slug>,
    pub(super) tidied: bool,
    pub(super) ended: Option<Ended>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ended {
    pub(super) at: Stamp,
    pub(super) code: u8,
    pub(super) codes: Vec<u8>,
}

impl State {
    /// Whether an agent, a set-up or the merge queue is at work.
    pub(super) fn is_anything_at_work(&self) -> bool {
        let runs = |slug: &Slug| {
            let phase = self.features.get(slug).map(|feature| &feature.phase);
            matches!(
                phase,
                Some(Phase::Preparing | Phase::Working { running: Some(_) })
            )
        };
        self.in_slots.iter().any(runs) || !self.merging.attempts.is_empty()
    }

    /// An empty journal's state.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of the last record.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Time of the last record.
    #[must_use]
    pub fn last_at(&self) -> Stamp {
        self.last_at
    }

    /// What the wall clock read, or would have read as it stands now, at a point of the journal's time.
    #[must_use]
    pub fn wall_time(&self, at: Stamp) -> Stamp {
        Stamp(at.0.saturating_add_signed(self.wall_ahead_ms))
    }

    /// The point of the journal's time at which the wall clock reads `wall`.
    #[must_use]
    pub fn journal_time(&self, wall: Stamp) -> Stamp {
        Stamp(
            wall.0
                .saturating_add_signed(self.wall_ahead_ms.saturating_neg()),
        )
    }

    /// The run that has begun and not ended.
    pub(super) fn live(&self) -> Option<&Run> {
        self.run.as_ref().filter(|run| run.ended.is_none())
    }

    /// Whether the feature is still to land and harness goes on with it by itself. One that has landed is history,
    /// and one that was given up waits for a person, who may be at work on its branch.
    #[must_use]
    pub fn is_in_our_hands(&self, slug: &Slug) -> bool {
        let feature = self.features.get(slug);
        feature.is_some_and(|feature| !feature.is_merged() && !feature.is_halted())
    }

    /// The target of the current or last run, and what each feature that is merged landed as; features that
    /// were merged by other hands have no commit and are left out.
    pub fn landings(&self) -> Option<(&str, impl Iterator<Item = (&Slug, &Oid)>)> {
        let landed = self.features.iter().filter_map(|(slug, feature)| {
            let Phase::Merged { commit } = &feature.phase else {
                return None;
            };
            Some((slug, commit.as_ref()?))
        });
        Some((self.run.as_ref()?.target.as_str(), landed))
    }

    /// Whether a run has ever begun.
    #[must_use]
    pub fn has_run(&self) -> bool {
        self.run.is_some()
    }

    /// Why nothing new is started, if a person wants that.
    #[must_use]
    pub fn halt(&self) -> Option<&str> {
        self.halt.as_deref()
    }

    /// Whether a run has ended (or never began).
    #[must_use]
    pub fn exit_code(&self) -> Option<u8> {
        let ended = self.run.as_ref()?.ended.as_ref()?;
        Some(ended.code)
    }

    /// Where this target stood when what has landed last held all of it; `None` if no run had it.
    #[must_use]
    pub fn published(&self, target: &str) -> Option<&Oid> {
        let run = self.run.as_ref().filter(|run| run.target == target)?;
        run.held.as_ref()
    }

    /// Features that are done by their agents' word and have not landed.
    pub fn awaiting_merge(&self) -> impl Iterator<Item = &Slug> {
        let waiting = self.features.iter().filter(|(_, feature)| {
            matches!(
                feature.phase,
                Phase::Queued | Phase::Integrating { .. } | Phase::Parked { .. }
            )
        });
        waiting.map(|(slug, _)| slug)
    }

    /// The number of a feature's last iteration, and where that left its branch.
    pub fn left_at(&self, slug: &Slug) -> Option<(u32, &Oid)> {
        let feature = self.features.get(slug)?;
        Some((feature.iterations, feature.tip.as_ref()?))
    }

    /// Features that have landed and are not in the target, with their branches' tips.
    pub fn unpublished(&self) -> impl Iterator<Item = (&Slug, &Oid)> {
        self.merging
            .unpublished
            .iter()
            .map(|(slug, tip)| (slug, tip))
    }

    /// Iterations that the journal calls running: after a crash, those to probe.
    #[must_use]
    pub fn running(&self) -> Vec<Running> {
        let running = |slug: &Slug| {
            let feature = self.features.get(slug)?;
            Some(Running {
                slug: slug.clone(),
                iteration: feature.running()?,
                agent: feature.called.clone(),
                session: self.run.as_ref().and_then(|run| resumed(run, feature)),
            })
        };
        self.in_slots.iter().filter_map(running).collect()
    }

    /// Number of the feature's last iteration; 0 before the first.
    #[must_use]
    pub fn last_iteration(&self, slug: &Slug) -> u32 {
        self.features
            .get(slug)
            .map_or(0, |feature| feature.iterations)
    }

    /// A person's answer that the next prompt will hold.
    #[must_use]
    pub fn answer(&self, slug: &Slug) -> Option<&str> {
        self.features.get(slug)?.answer.as_deref()
    }

    /// The merge that is the task of a feature's next iteration.
    #[must_use]
    pub fn handback(&self, slug: &Slug) -> Option<&Handback> {
        self.features.get(slug)?.handback.as_ref()
    }

    /// Number of the last write that is not known to be on disk.
    #[must_use]
    pub fn last_write(&self) -> Option<u64> {
        self.writes.back().map(|job| job.number)
    }

    /// Names of all known features.
    pub fn slugs(&self) -> impl Iterator<Item = &Slug> {
        self.features.keys()
    }

    /// Whether `slug` counts as landed.
    #[must_use]
    pub fn is_merged(&self, slug: &Slug) -> bool {
        self.features.get(slug).is_some_and(Feature::is_merged)
    }

    /// Whether a person took it back after it had landed, and did not ask for it again.
    #[must_use]
    pub fn is_undone(&self, slug: &Slug) -> bool {
        let why = SkipReason::Undone;
        let feature = self.features.get(slug);
        feature.is_some_and(|feature| feature.phase == Phase::Failed { why })
    }

    /// Whether what landed last of it changed nothing.
    #[must_use]
    pub fn landed_empty(&self, slug: &Slug) -> bool {
        self.features.get(slug).is_some_and(|feature| feature.empty)
    }

    /// Merged features that depend on it, the one that landed last first.
    #[must_use]
    pub fn merged_dependents(&self, slug: &Slug) -> Vec<Slug> {
        let merged = self.features.values().filter(|other| other.is_merged());
        let mut found: Vec<&Feature> = merged
            .filter(|other| other.spec.depends_on.contains(slug))
            .collect();
        found.sort_by_key(|feature| std::cmp::Reverse((feature.since, feature.since_seq)));
        found
            .iter()
            .map(|feature| feature.spec.slug.clone())
            .collect()
    }

    /// The feature's spec as the journal knows it.
    #[must_use]
    pub fn spec(&self, slug: &Slug) -> Option<&FeatureSpec> {
        self.features.get(slug).map(|feature| &feature.spec)
    }

    /// The worktree a feature holds.
    #[must_use]
    pub fn worktree(&self, slug: &Slug) -> Option<WorktreeName> {
        self.features.get(slug)?.worktree
    }

    /// Worktrees that hold unfinished work, and whose.
    pub fn held_worktrees(&self) -> impl Iterator<Item = (WorktreeName, &Slug)> {
        self.worktrees.iter().map(|(name, slug)| (*name, slug))
    }

    pub(super) fn is_selected(&self, slug: &Slug) -> bool {
        match self.run.as_ref().and_then(|run| run.settings.only.as_ref()) {
            Some(only) => only.contains(slug),
            None => true,
        }
    }

    /// The one door through which a phase changes; keeps every index.
    pub(super) fn set_phase(&mut self, slug: &Slug, phase: Phase, at: Stamp) {
        self.unindex(slug);
        let Some(feature) = self.features.get_mut(slug) else {
            return;
        };
        if std::mem::discriminant(&feature.phase) != std::mem::discriminant(&phase) {
            feature.since = at;
            feature.since_seq = self.seq;
        }
        feature.phase = phase;
        self.index(slug);
    }

    /// Recomputes everything that depends on the graph or on the selection.
    pub(super) fn reindex(&mut self) {
        self.graph = Graph::new(
            self.features
                .values()
                // What has begun counts on after its spec was removed: it may land, and be taken back.
                .filter(|feature| feature.listed || feature.phase != Phase::Pending)
                .map(|feature| &feature.spec),
        );
        self.ready.clear();
        self.in_slots.clear();
        self.queue.clear();
        self.integrating.clear();
        let merged: BTreeSet<Slug> = self
            .features
            .iter()
            .filter(|(_, feature)| feature.is_merged())
            .map(|(slug, _)| slug.clone())
            .collect();
        let slugs: Vec<Slug> = self.features.keys().cloned().collect();
        for slug in slugs {
            if let Some(feature) = self.features.get_mut(&slug) {
                let unmet = feature
                    .spec
                    .depends_on
                    .iter()
                    .collect::<BTreeSet<_>>()
                    .into_iter()
                    .filter(|name| !merged.contains(*name))
                    .count();
                feature.unmet = u32::try_from(unmet).unwrap_or(u32::MAX);
            }
            self.index(&slug);
        }
    }

    /// After a feature landed (`delta` -1) or went back to the queue (+1).
    pub(super) fn adjust_dependents(&mut self, slug: &Slug, delta: i32) {
        let dependents: Vec<Slug> = self.graph.dependents(slug).cloned().collect();
        for dependent in dependents {
            self.unindex(&dependent);
            if let Some(feature) = self.features.get_mut(&dependent) {
                feature.unmet = feature.unmet.saturating_add_signed(delta);
            }
            self.index(&dependent);
        }
    }

    /// Queues a write; a feature's next iteration waits for it.
    pub(super) fn write(&mut self, at: Stamp, what: Writing) {
        self.writes_made += 1;
        let number = self.writes_made;
        let about = match &what {
            Writing::Log { slug, .. } | Writing::Done { slug, .. } | Writing::NotDone { slug } => {
                Some(slug.clone())
            }
            Writing::Halt { .. } => None,
        };
        if let Some(feature) = about.and_then(|slug| self.features.get_mut(&slug)) {
            feature.last_write = number;
            if matches!(what, Writing::Done { .. }) {
                feature.marker_write = number;
            }
        }
        // People read these: they get the time that they had on the wall.
        let at = self.wall_time(at);
        self.writes.push_back(WriteJob { number, at, what });
    }

    pub(super) fn ready_key(&self, feature: &Feature) -> ReadyKey {
        ReadyKey {
            fresh: feature.worktree.is_none(),
            priority: std::cmp::Reverse(feature.spec.priority),
            order: feature.spec.order.unwrap_or(u32::MAX),
            chain: std::cmp::Reverse(self.graph.chain(&feature.spec.slug)),
        }
    }

    pub(super) fn index(&mut self, slug: &Slug) {
        let Some(feature) = self.features.get(slug) else {
            return;
        };
        match feature.phase {
            Phase::Pending if feature.unmet == 0 && feature.listed && self.is_selected(slug) => {
                let key = self.ready_key(feature);
                self.ready.insert((key, slug.clone()));
            }
            Phase::Queued => {
                let entry = feature.queue_entry();
                self.queue.insert(entry);
            }
            Phase::Integrating { .. } => {
                self.integrating.insert(slug.clone());
            }
            _ if feature.holds_slot() => {
                self.in_slots.insert(slug.clone());
            }
            _ => {}
        }
    }

    pub(super) fn unindex(&mut self, slug: &Slug) {
        let Some(feature) = self.features.get(slug) else {
            return;
        };
        match feature.phase {
            Phase::Pending => {
                let key = self.ready_key(feature);
                self.ready.remove(&(key, slug.clone()));
            }
            Phase::Queued => {
                let entry = feature.queue_entry();
                self.queue.remove(&entry);
            }
            Phase::Integrating { .. } => {
                self.integrating.remove(slug);
            }
            _ => {
                self.in_slots.remove(slug);
            }
        }
    }
}
