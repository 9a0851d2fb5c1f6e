//! What is counted in a run: for each feature, and for each agent.
//!
//! Sums only; what they mean is said elsewhere.

use super::RunHistory;
use crate::core::Stage;
use crate::model::{Oid, Red, Slug, Stamp, Usage};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What became of one feature.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FeatureFigures {
    /// Heading of its spec.
    pub title: String,
    /// Its own verify commands.
    pub verify: Vec<String>,
    /// Where it stood at the end; `None`: it was not there any more.
    pub stage: Option<Stage>,
    /// Agent calls.
    pub iterations: u32,
    /// Number of the last of them.
    pub last_iteration: u32,
    /// How long they took, in milliseconds.
    pub work_ms: u64,
    /// Calls that failed or were ended.
    pub failed: u32,
    /// What the calls used.
    pub usage: Usage,
    /// Who was called, in the order of the first calls.
    pub agents: Vec<String>,
    /// Who was called last.
    pub last_by: Option<String>,
    /// What became of its first claim.
    pub first: FirstClaim,
    /// Who made that.
    pub first_by: Option<String>,
    /// Claims that it made.
    pub claims: u32,
    /// Claims that were not taken because something was left half done, and what.
    pub refused: Vec<String>,
    /// Times that the merge queue sent it back.
    pub sent_back: Vec<Refusal>,
    /// Merges with conflicts that its agent completed.
    pub resolved: u32,
    /// The gate that failed and passed when it was run again, on the tree that landed.
    pub flaky: Option<Red>,
    /// Breakers that opened, what they saw, and who went on; `None`: a person is to.
    pub breakers: Vec<(String, String, Option<String>)>,
    /// The last question.
    pub question: Option<String>,
    /// The last claim's summary.
    pub summary: String,
    /// First line of the last note.
    pub note: String,
    /// How it landed, unless it was taken back.
    pub landed: Option<Landing>,
    /// Lines that help others, and in which iteration they were learnt.
    pub lessons: Vec<Lesson>,
}

/// A line that helps other features.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lesson {
    /// In which iteration.
    pub iteration: u32,
    /// When.
    pub at: Stamp,
    /// What.
    pub text: String,
}

/// Why the merge queue sent a feature back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// In which attempt.
    pub attempt: u32,
    /// What failed; `None`: it conflicts.
    pub red: Option<Red>,
    /// Where it conflicts.
    pub paths: Vec<String>,
}

/// How a feature landed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Landing {
    /// Number of the record.
    pub seq: u64,
    /// When.
    pub at: Stamp,
    /// As which commit.
    pub commit: Oid,
    /// Whether that changes nothing.
    pub empty: bool,
    /// In which attempt.
    pub attempt: Option<u32>,
}

/// What became of a feature's first claim.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FirstClaim {
    /// It made none.
    #[default]
    None,
    /// Nobody knows yet.
    Open,
    /// It landed as it was.
    Passed,
    /// It was refused or sent back.
    SentBack,
}

/// What one agent did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AgentFigures {
    /// Calls.
    pub iterations: u32,
    /// Calls that failed or were ended.
    pub failed: u32,
    /// How long they took, in milliseconds.
    pub work_ms: u64,
    /// What they used.
    pub usage: Usage,
    /// Features that landed after a call of it.
    pub landed: u32,
    /// First claims of features that were decided.
    pub first_claims: u32,
    /// Those that landed as they were.
    pub first_passed: u32,
}

impl FeatureFigures {
    /// Whether anything was done for it.
    #[must_use]
    pub fn is_touched(&self) -> bool {
        self.iterations > 0
            || self.claims > 0
            || self.landed.is_some()
            || !self.sent_back.is_empty()
    }

    /// What is charged to its first claim, if that is still undecided.
    pub(super) fn first_claim_is(&mut self, decided: FirstClaim) {
        if self.first == FirstClaim::Open {
            self.first = decided;
        }
    }

    /// This run's figures, and those of a later one.
    fn and(mut self, later: &Self) -> Self {
        match (self.first, later.first) {
            (FirstClaim::None, first) => {
                self.first = first;
                self.first_by.clone_from(&later.first_by);
            }
            // What was claimed in one run may be judged in the next.
            (FirstClaim::Open, _) if !later.sent_back.is_empty() => {
                self.first = FirstClaim::SentBack;
            }
            (FirstClaim::Open, FirstClaim::None) if later.landed.is_some() => {
                self.first = FirstClaim::Passed;
            }
            (FirstClaim::Open, first) if first != FirstClaim::None => {
                self.first = FirstClaim::SentBack;
            }
            _ => {}
        }
        self.title.clone_from(&later.title);
        self.stage = later.stage;
        self.iterations = self.iterations.saturating_add(later.iterations);
        self.last_iteration = self.last_iteration.max(later.last_iteration);
        self.work_ms = self.work_ms.saturating_add(later.work_ms);
        self.failed = self.failed.saturating_add(later.failed);
        self.usage = self.usage.plus(later.usage);
        for agent in &later.agents {
            if !self.agents.contains(agent) {
                self.agents.push(agent.clone());
            }
        }
        if later.last_by.is_some() {
            self.last_by.clone_from(&later.last_by);
        }
        self.claims = self.claims.saturating_add(later.claims);
        self.refused.extend(later.refused.iter().cloned());
        self.sent_back.extend(later.sent_back.iter().cloned());
        self.resolved = self.resolved.saturating_add(later.resolved);
        self.breakers.extend(later.breakers.iter().cloned());
        if later.landed.is_some() {
            self.landed.clone_from(&later.landed);
        }
        self
    }
}

impl AgentFigures {
    pub(super) fn called(&mut self) {
        self.iterations = self.iterations.saturating_add(1);
    }

    /// Takes in what came of a call, or of several.
    pub(super) fn ended(&mut self, took_ms: u64, usage: Usage, failed: bool) {
        self.work_ms = self.work_ms.saturating_add(took_ms);
        self.usage = self.usage.plus(usage);
        self.failed = self.failed.saturating_add(u32::from(failed));
    }

    fn and(mut self, later: &Self) -> Self {
        self.iterations = self.iterations.saturating_add(later.iterations);
        self.ended(later.work_ms, later.usage, false);
        self.failed = self.failed.saturating_add(later.failed);
        self
    }
}

/// Tells each agent what became of the features that it worked on.
pub(super) fn credit<'a>(
    agents: &mut BTreeMap<String, AgentFigures>,
    features: impl Iterator<Item = &'a FeatureFigures>,
) {
    for figures in agents.values_mut() {
        (figures.landed, figures.first_claims, figures.first_passed) = (0, 0, 0);
    }
    for feature in features {
        let last = feature
            .last_by
            .as_ref()
            .filter(|_| feature.landed.is_some());
        if let Some(agent) = last.and_then(|agent| agents.get_mut(agent)) {
            agent.landed += 1;
        }
        let decided = matches!(feature.first, FirstClaim::Passed | FirstClaim::SentBack);
        let first = feature.first_by.as_ref().filter(|_| decided);
        if let Some(agent) = first.and_then(|agent| agents.get_mut(agent)) {
            agent.first_claims += 1;
            agent.first_passed += u32::from(feature.first == FirstClaim::Passed);
        }
    }
}

/// The figures of several runs together, in the order in which they went.
#[must_use]
pub fn over_runs(
    runs: &[RunHistory],
) -> (
    BTreeMap<Slug, FeatureFigures>,
    BTreeMap<String, AgentFigures>,
) {
    let mut features: BTreeMap<Slug, FeatureFigures> = BTreeMap::new();
    let mut agents: BTreeMap<String, AgentFigures> = BTreeMap::new();
    for run in runs {
        for (slug, figures) in &run.features {
            let before = features.remove(slug).unwrap_or_default();
            features.insert(slug.clone(), before.and(figures));
        }
        for (name, figures) in &run.agents {
            let before = agents.remove(name).unwrap_or_default();
            agents.insert(name.clone(), before.and(figures));
        }
    }
    // One that the last run did not know any more stands nowhere.
    if let Some(last) = runs.last() {
        let known: BTreeSet<&Slug> = last.features.keys().collect();
        for (slug, figures) in &mut features {
            if !known.contains(slug) {
                figures.stage = None;
            }
        }
    }
    credit(&mut agents, features.values());
    (features, agents)
}
