//! One feature: where it stands and what is remembered of it.
//!
//! Plain data with small questions about itself; it never changes its own phase, which is
//! [`State::set_phase`](super::state::State::set_phase)'s to do.

use super::breaker::Breakers;
use super::session::Conversation;
use crate::model::{
    AgentChoice, FeatureSpec, Handback, IterationReport, MergeVerdict, Oid, ParkReason, SkipReason,
    Slug, Stamp, Usage, WorktreeName,
};
use serde::{Deserialize, Serialize};

/// One feature.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Feature {
    pub(super) spec: FeatureSpec,
    /// Whether its spec exists now.
    pub(super) listed: bool,
    pub(super) phase: Phase,
    pub(super) since: Stamp,
    /// Record number at which the phase was entered; breaks ties of time.
    pub(super) since_seq: u64,
    /// Dependencies that have not landed.
    pub(super) unmet: u32,
    pub(super) worktree: Option<WorktreeName>,
    pub(super) prepare_attempts: u32,
    /// Number of the last iteration; never reused.
    pub(super) iterations: u32,
    /// Iterations since it was last queued by a person or for the first time.
    pub(super) charged: u32,
    pub(super) breakers: Breakers,
    /// On which rung of the ladder it is; 0: its own agent.
    pub(super) rung: u32,
    /// What the breaker saw that sent it there.
    pub(super) rung_why: String,
    /// Failures in a row that were nobody's fault, and the last one's text.
    pub(super) infra: u32,
    pub(super) infra_text: String,
    /// Whether the last was of making its worktree ready.
    pub(super) infra_setup: bool,
    pub(super) not_before: Stamp,
    /// The branch restarts at the target's tip: its earlier work has landed.
    pub(super) fresh: bool,
    pub(super) answer: Option<String>,
    /// The profile that stands in for its own in the current or last iteration.
    pub(super) instead: Option<String>,
    /// Who was called in the current or last iteration, whatever its spec says since; the profile is always named.
    pub(super) called: AgentChoice,
    /// The last conversation about it, if that can be gone on with.
    pub(super) conversation: Option<Conversation>,
    pub(super) summary: String,
    pub(super) last: Option<Last>,
    /// Where its last iteration left its branch.
    pub(super) tip: Option<Oid>,
    pub(super) last_words: String,
    /// Number of the last write about this feature.
    pub(super) last_write: u64,
    /// Number of the write that makes its `.done` marker; 0 before.
    pub(super) marker_write: u64,
    /// Whether its `.done` marker is known to be on disk.
    pub(super) marker: bool,
    /// All that it ever used.
    pub(super) usage: Usage,
    /// What it used since a person had it tried again, or since its beginning.
    pub(super) spent: Usage,
    /// Whether a person was told that most of its budget is used.
    pub(super) budget_told: bool,
    /// Whether what landed last of it changed nothing.
    pub(super) empty: bool,
    /// When it first claimed to be done since a person or the beginning queued it: its age in the merge
    /// queue, which a conflict does not take from it.
    pub(super) claimed: Option<(Stamp, u64)>,
    /// The merge its agent is to complete.
    pub(super) handback: Option<Handback>,
    /// Conflicts handed back so far, and the paths of the last one.
    pub(super) rounds: u32,
    pub(super) conflicts: Vec<String>,
    /// Merges handed back because they fail without conflicting.
    pub(super) red_rounds: u32,
    /// It conflicts with something that is under way, and waits for its end.
    pub(super) deferred: bool,
    /// It changes paths on which this one has the right of way.
    pub(super) gives_way_to: Option<Slug>,
    /// It fails as this tip does, and waits until another one stands there.
    pub(super) held_on: Option<Oid>,
    /// A person wants it left out, for this reason, and something is still under way for it.
    pub(super) skip: Option<String>,
    /// The commit of its branch that a person has let through.
    pub(super) approved: Option<Oid>,
}

/// What judging needs of the last report.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Last {
    pub(super) done: Option<String>,
    pub(super) blocked: Option<String>,
    pub(super) tampered: Option<String>,
    pub(super) stopped: bool,
}

/// Where a feature stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Phase {
    /// Waiting for dependencies, a slot, or both.
    Pending,
    /// Its worktree is being made ready.
    Preparing,
    /// It has a slot and a worktree; `running` is the iteration the agent is at.
    Working {
        running: Option<u32>,
    },
    /// Claimed done, waiting for its merge.
    Queued,
    /// Its merge is being made, gated or landed.
    Integrating {
        attempt: u32,
    },
    /// Landed. `None`: a marker said so.
    Merged {
        commit: Option<Oid>,
    },
    Blocked {
        question: String,
    },
    Tripped {
        breaker: String,
        why: String,
    },
    Parked {
        why: ParkReason,
    },
    Failed {
        why: SkipReason,
    },
}

/// What orders ready features: work in progress, priority, order file, chain of dependents.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct ReadyKey {
    pub(super) fresh: bool,
    pub(super) priority: std::cmp::Reverse<i64>,
    pub(super) order: u32,
    pub(super) chain: std::cmp::Reverse<u32>,
}

impl Feature {
    pub(super) fn new(spec: FeatureSpec, at: Stamp) -> Self {
        Self {
            spec,
            listed: true,
            phase: Phase::Pending,
            since: at,
            since_seq: 0,
            unmet: 0,
            worktree: None,
            prepare_attempts: 0,
            iterations: 0,
            charged: 0,
            breakers: Breakers::default(),
            rung: 0,
            rung_why: String::new(),
            infra: 0,
            infra_text: String::new(),
            infra_setup: false,
            not_before: Stamp::default(),
            fresh: false,
            answer: None,
            instead: None,
            called: AgentChoice::default(),
            conversation: None,
            summary: String::new(),
            last: None,
            tip: None,
            last_words: String::new(),
            last_write: 0,
            marker_write: 0,
            marker: false,
            usage: Usage::default(),
            spent: Usage::default(),
            budget_told: false,
            empty: false,
            claimed: None,
            handback: None,
            rounds: 0,
            conflicts: Vec::new(),
            red_rounds: 0,
            deferred: false,
            gives_way_to: None,
            held_on: None,
            skip: None,
            approved: None,
        }
    }

    pub(super) fn is_merged(&self) -> bool {
        matches!(self.phase, Phase::Merged { .. })
    }

    /// Given up until a person acts or the next run begins.
    pub(super) fn is_halted(&self) -> bool {
        matches!(
            self.phase,
            Phase::Blocked { .. }
                | Phase::Tripped { .. }
                | Phase::Parked { .. }
                | Phase::Failed { .. }
        )
    }

    /// Whether a person left it out.
    pub(super) fn is_left_out(&self) -> bool {
        matches!(
            self.phase,
            Phase::Failed {
                why: SkipReason::LeftOut { .. }
            }
        )
    }

    /// Whether its agent's claim stands.
    pub(super) fn is_done(&self) -> bool {
        matches!(self.phase, Phase::Queued | Phase::Parked { .. })
    }

    /// Whether nothing is under way for it.
    pub(super) fn is_at_rest(&self) -> bool {
        !matches!(
            self.phase,
            Phase::Preparing
                | Phase::Working { running: Some(_) }
                | Phase::Integrating { .. }
                | Phase::Merged { .. }
        )
    }

    /// Whether its last report says something that is still to be judged and that stays true when it is left out.
    pub(super) fn has_claim_or_worse(&self) -> bool {
        let last = self.last.as_ref().filter(|_| self.may_begin());
        last.is_some_and(|last| {
            let claims = last.done.is_some() && last.blocked.is_none();
            claims || last.tampered.is_some()
        })
    }

    /// Where its branch stood when it was found to be ready, if nothing but a person's review keeps it from landing.
    pub(super) fn ready_for_review(&self) -> Option<&Oid> {
        match &self.phase {
            Phase::Parked {
                why: ParkReason::Review { tip },
            } => Some(tip),
            _ => None,
        }
    }

    /// Whether a person must still see it before it lands, its branch standing at `tip`.
    pub(super) fn awaits_review(&self, tip: &Oid) -> bool {
        self.spec.review && self.approved.as_ref() != Some(tip)
    }

    /// Its place in the merge queue.
    pub(super) fn queue_entry(&self) -> (Stamp, u64, Slug) {
        let (at, seq) = self.claimed.unwrap_or((self.since, self.since_seq));
        (at, seq, self.spec.slug.clone())
    }

    pub(super) fn running(&self) -> Option<u32> {
        match self.phase {
            Phase::Working { running } => running,
            _ => None,
        }
    }

    pub(super) fn holds_slot(&self) -> bool {
        matches!(self.phase, Phase::Preparing | Phase::Working { .. })
    }

    /// A new budget.
    pub(super) fn allow_again(&mut self) {
        self.spent = Usage::default();
        self.budget_told = false;
    }

    /// Whether its next iteration could begin as far as it itself goes.
    pub(super) fn may_begin(&self) -> bool {
        matches!(
            self.phase,
            Phase::Pending | Phase::Working { running: None }
        )
    }

    /// A clean slate after a person stepped in.
    pub(super) fn forgive(&mut self) {
        self.breakers = Breakers::default();
        self.rung = 0;
        self.conversation = None;
        self.rung_why.clear();
        self.charged = 0;
        self.infra = 0;
        self.not_before = Stamp::default();
        self.last = None;
        self.claimed = None;
        self.rounds = 0;
        self.red_rounds = 0;
        self.held_on = None;
    }

    pub(super) fn remember(&mut self, report: &IterationReport) {
        self.last = Some(Last {
            // After a kill of ours no claim counts; a question still does.
            done: report.done.clone().filter(|_| {
                let merged = !matches!(report.merge, Some(MergeVerdict::Unresolved { .. }));
                merged
                    && report.refused.is_none()
                    && !report.ending.killed_by_us()
                    && report.tip.is_some()
            }),
            blocked: report.blocked.clone(),
            tampered: report.tampered.clone(),
            stopped: report.ending == crate::model::Ending::Stopped,
        });
        self.tip.clone_from(&report.tip);
        let words = [&report.note, &report.message]
            .into_iter()
            .flat_map(|text| text.lines())
            .map(|line| line.trim().trim_start_matches(['#', '-', '*', ' ']))
            .find(|line| !line.is_empty())
            .unwrap_or_default();
        self.last_words = words.chars().take(120).collect();
    }
}
