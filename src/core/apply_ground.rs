//! Taking in where the target and the integration ref stand; the rest of merging is in
//! [`apply_merge`](super::apply_merge).

use super::queue::Publishing;
use super::state::State;
use crate::model::{Ground, Oid, Relation, Slug, Stamp, Writing};

impl State {
    pub(super) fn target_moved(&mut self, commit: &Oid, at: Stamp) {
        let mut is_all = false;
        if let Some(run) = &mut self.run {
            is_all = run.tip == *commit;
            run.target_tip = commit.clone();
            run.held = Some(commit.clone());
            run.tidied = false;
        }
        let merging = &mut self.merging;
        // Whatever has landed is in the tip, even what was found to have landed after publishing began.
        let count = match merging.publish.take() {
            Some(publish) if !is_all => publish.features,
            _ => usize::MAX,
        };
        merging.publishing = Publishing::Ready;
        merging.publishes_failed = 0;
        self.made_public(count, at);
    }

    /// The oldest `count` landed features are in the target.
    pub(super) fn made_public(&mut self, count: usize, at: Stamp) {
        let unpublished = &mut self.merging.unpublished;
        let features: Vec<(Slug, Oid)> =
            unpublished.drain(..count.min(unpublished.len())).collect();
        for (slug, tip) in features {
            let summary = self
                .features
                .get(&slug)
                .map(|feature| feature.summary.clone());
            self.to_tidy.push((slug.clone(), tip));
            let summary = summary.unwrap_or_default();
            self.write(at, Writing::Done { slug, summary });
        }
    }

    /// The integration ref and the target stand here, whatever was thought.
    pub(super) fn stand_on(&mut self, ground: &Ground, at: Stamp) {
        let moved = self.run.as_ref().is_some_and(|run| run.tip != ground.tip);
        if let Some(run) = &mut self.run {
            run.tip = ground.tip.clone();
            run.tree = ground.tree.clone();
            run.target_tip = ground.target.clone();
            if ground.relation == Relation::Behind {
                run.held = Some(ground.target.clone());
            }
        }
        self.merging.publish = None;
        self.merging.stand(ground);
        if moved {
            self.merging.overtaken += 1;
            let first = self.merging.attempts.keys().next().copied();
            if let Some(first) = first {
                self.give_up(first, at);
            }
        }
    }
}
