//! Taking in the records of integration and landing; the other half of [`apply`](super::apply).

use super::state::{Phase, State};
use super::words::park_text;
use crate::model::{Event, Slug, Stamp, Writing};

impl State {
    pub(super) fn apply_integration(&mut self, event: &Event, at: Stamp) {
        match event {
            Event::IntegrationStarted { slug, attempt } => {
                if let Some(feature) = self.features.get_mut(slug) {
                    feature.integration_attempts = *attempt;
                }
                self.set_phase(slug, Phase::Integrating { attempt: *attempt }, at);
            }
            Event::Verified {
                slug,
                attempt,
                candidate,
                ..
            } => {
                if let Some(feature) = self.features.get_mut(slug) {
                    feature.breakers.verified();
                    feature.infra = 0;
                }
                let candidate = candidate.clone();
                let attempt = *attempt;
                self.set_phase(slug, Phase::Verified { attempt, candidate }, at);
            }
            Event::Rejected {
                slug,
                command,
                tail,
                ..
            } => {
                if let Some(feature) = self.features.get_mut(slug) {
                    feature.breakers.rejected(command, tail);
                    feature.infra = 0;
                    feature.last = None;
                    feature.last_words = format!("gate failed: {command}");
                }
                self.set_phase(slug, Phase::Pending, at);
                self.unjudged.insert(slug.clone());
                let text = format!(
                    "The done claim was not accepted: `{command}` failed on the merge of this branch \
                     with the target.\nIts output ended:\n\n{tail}"
                );
                self.log(slug, None, "gate failed".to_owned(), text, Vec::new(), at);
            }
            Event::IntegrationPostponed {
                slug, why, counted, ..
            } => {
                if *counted {
                    self.infra(slug, why, at);
                    self.unjudged.insert(slug.clone());
                }
                self.set_phase(slug, Phase::Queued, at);
            }
            Event::Merged { slug, commit } => self.merged(slug, commit, at),
            Event::Parked { slug, why } => {
                self.set_phase(slug, Phase::Parked { why: why.clone() }, at);
                self.log(
                    slug,
                    None,
                    "not merged".to_owned(),
                    park_text(why),
                    Vec::new(),
                    at,
                );
            }
            _ => {}
        }
    }

    fn merged(&mut self, slug: &Slug, commit: &crate::model::Oid, at: Stamp) {
        let tip = match self.features.get(slug).map(|feature| &feature.phase) {
            Some(Phase::Verified { candidate, .. }) => Some(candidate.branch_tip.clone()),
            _ => None,
        };
        if let Some(run) = &mut self.run {
            run.tip = commit.clone();
            run.tidied = false;
        }
        self.land(slug, Some(commit.clone()), at);
        if let Some(tip) = tip {
            self.to_tidy.push((slug.clone(), tip));
        }
        if let Some(feature) = self.features.get(slug) {
            let summary = feature.summary.clone();
            self.write(
                at,
                Writing::Done {
                    slug: slug.clone(),
                    summary,
                },
            );
        }
    }

    pub(super) fn land(&mut self, slug: &Slug, commit: Option<crate::model::Oid>, at: Stamp) {
        self.set_phase(slug, Phase::Merged { commit }, at);
        self.unjudged.remove(slug);
        if let Some(worktree) = self.features.get_mut(slug).and_then(|f| f.worktree.take()) {
            self.worktrees.remove(&worktree);
        }
        self.adjust_dependents(slug, -1);
    }
}
