//! Conversations with agents that the next iteration goes on with, where its profile asks for that.
//!
//! Only with the same agent in the same worktree: agents keep conversations by directory. What failed, or was handed on, is
//! begun anew. This file must never know what is said in one.

use super::accounts::is_the_accounts;
use super::feature::Feature;
use super::state::Run;
use crate::model::{Ending, FailureKind, IterationReport, Session, Usage, WorktreeName};
use serde::{Deserialize, Serialize};

/// The last conversation about a feature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Conversation {
    profile: String,
    worktree: WorktreeName,
    session: Session,
}

/// The conversation that the iteration which now runs goes on with.
pub(super) fn resumed(run: &Run, feature: &Feature) -> Option<Session> {
    let last = feature.conversation.as_ref()?;
    let profile = feature.called.profile.as_ref()?;
    let asked = run.settings.agents.get(profile)?.resume;
    let same = last.profile == *profile && feature.worktree == Some(last.worktree);
    (asked && same).then(|| last.session.clone())
}

impl Feature {
    /// Takes in what an iteration that was cut off has used of the conversation that it went on with.
    pub(super) fn lose_iteration(&mut self, run: &Run, usage: Usage) {
        let is_its = resumed(run, self).is_some();
        if let Some(last) = self.conversation.as_mut().filter(|_| is_its) {
            last.session.used = last.session.used.plus(usage);
        }
    }

    /// Takes in what the iteration that has ended says about its conversation.
    pub(super) fn hear_of_conversation(&mut self, report: &IterationReport) {
        let spared = report.ending == Ending::Stopped
            || matches!(report.ending, Ending::NotStarted { .. })
            || report.failure.as_ref().is_some_and(|failure| {
                is_the_accounts(failure) || failure.kind == FailureKind::Machine
            });
        if report.failure.is_some() && !spared {
            self.conversation = None;
            return;
        }
        let place = self.called.profile.clone().zip(self.worktree);
        match (&report.session, place) {
            (Some(id), Some((profile, worktree))) => {
                let usage = report.usage.unwrap_or_default();
                let before = self.conversation.take().map(|last| last.session);
                let before = before.filter(|session| session.id == *id);
                let used = before.map_or(usage, |session| session.used.plus(usage));
                self.conversation = Some(Conversation {
                    profile,
                    worktree,
                    session: Session {
                        id: id.clone(),
                        used,
                    },
                });
            }
            // It may have got nowhere near the conversation.
            _ if spared => {}
            _ => self.conversation = None,
        }
    }
}
