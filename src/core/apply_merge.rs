//! Taking in the records of the merge queue; the other half of [`apply`](super::apply).

use super::feature::Phase;
use super::queue::{Attempt, AttemptStage, Publish, Publishing};
use super::right_of_way;
use super::state::State;
use super::words::{conflict_text, park_text, red_text};
use crate::model::{Chain, Event, Ground, Handback, Oid, ParkReason, Red, Slug, Stamp, Trial};

/// First wait after git or the disk failed; each further one waits four times as long.
const INFRA_BACKOFF_MS: u64 = 1_000;
/// First wait before the target is tried again, doubled each time up to the longest.
const PUBLISH_BACKOFF_MS: u64 = 2_000;
const PUBLISH_LONGEST_MS: u64 = 60_000;

impl State {
    pub(super) fn apply_merge(&mut self, event: &Event, at: Stamp) {
        match event {
            Event::AttemptStarted {
                attempt,
                what,
                onto,
                members,
            } => self.attempt_started(*attempt, *what, onto, members, at),
            Event::Built { attempt, chain } => self.built(*attempt, chain, at),
            Event::Gated {
                attempt,
                tree,
                gate,
                red,
                gate_ms,
            } => {
                self.merging.works();
                self.merging.took(*gate_ms);
                self.merging.gated(tree, gate, red.as_ref());
                if let Some(found) = self.merging.attempts.get_mut(attempt) {
                    found.gated = true;
                    self.merging.base_asked |= found.what == Trial::Base;
                }
            }
            Event::Split { attempt } => self.split(*attempt, at),
            Event::Verified { attempt, .. } => self.verified(*attempt),
            Event::AttemptPostponed {
                attempt,
                why,
                counted,
            } => {
                if *counted {
                    let wait =
                        INFRA_BACKOFF_MS.saturating_mul(4u64.saturating_pow(self.merging.infra));
                    self.merging.infra += 1;
                    self.merging.infra_text = why.clone();
                    self.merging.not_before = at.plus_ms(wait.min(PUBLISH_LONGEST_MS));
                }
                self.doubt(*attempt, *counted);
                self.give_up(*attempt, at);
            }
            Event::Clashed { .. }
            | Event::Deferred { .. }
            | Event::GaveWay { .. }
            | Event::Rejected { .. }
            | Event::Held { .. }
            | Event::MemberFailed { .. }
            | Event::Merged { .. }
            | Event::Unlanded { .. }
            | Event::Parked { .. } => self.apply_member(event, at),
            _ => self.apply_ground(event, at),
        }
    }

    /// What is not known for certain any more when an attempt is postponed: that members of a landing that failed have not
    /// landed, and that who was approved is what was seen.
    fn doubt(&mut self, attempt: u32, is_failure: bool) {
        let Some(attempt) = self.merging.attempts.get(&attempt) else {
            return;
        };
        if is_failure && matches!(attempt.stage, AttemptStage::Landing(_)) {
            let unheard = attempt.members.iter().cloned();
            self.merging.unheard.extend(unheard);
        }
        for step in attempt.chain().map_or(&[][..], |chain| &chain.steps) {
            let feature = self.features.get_mut(&step.slug);
            if let Some(feature) = feature
                && feature.approved.as_ref() != Some(&step.candidate.branch_tip)
            {
                feature.approved = None;
            }
        }
    }

    /// What happens to one feature in the queue.
    fn apply_member(&mut self, event: &Event, at: Stamp) {
        match event {
            Event::Clashed {
                slug,
                onto,
                paths,
                attempt,
            } => self.clashed(slug, *attempt, onto, paths, at),
            Event::Deferred { slug, attempt } => {
                if let Some(feature) = self.features.get_mut(slug) {
                    feature.deferred = true;
                }
                self.leave(slug, *attempt, Phase::Queued, at);
            }
            Event::GaveWay { slug, attempt, to } => {
                if let Some(feature) = self.features.get_mut(slug) {
                    feature.gives_way_to = Some(to.clone());
                }
                self.leave(slug, *attempt, Phase::Queued, at);
            }
            Event::Rejected {
                slug,
                attempt,
                onto,
                red,
                merged,
            } => self.rejected(slug, *attempt, onto, red, *merged, at),
            Event::Held { slug, attempt } => {
                let tip = self.run.as_ref().map(|run| run.tip.clone());
                if let Some(feature) = self.features.get_mut(slug) {
                    feature.held_on = tip;
                }
                self.give_up(*attempt, at);
            }
            Event::MemberFailed { slug, attempt, why } => {
                self.infra(slug, why, at);
                self.unjudged.insert(slug.clone());
                self.leave(slug, *attempt, Phase::Queued, at);
            }
            Event::Merged { slug, commit, .. } => self.merged(slug, commit, at),
            Event::Unlanded { slug } => {
                self.merging.unpublished.retain(|(other, _)| other != slug);
                self.set_phase(slug, Phase::Queued, at);
                self.adjust_dependents(slug, 1);
            }
            Event::Parked { slug, why } => {
                self.judged(slug);
                if let (ParkReason::Review { .. }, Some(feature)) =
                    (why, self.features.get_mut(slug))
                {
                    feature.approved = None;
                }
                let phase = self.features.get(slug).map(|feature| &feature.phase);
                if let Some(Phase::Integrating { attempt }) = phase {
                    self.give_up(*attempt, at);
                }
                self.set_phase(slug, Phase::Parked { why: why.clone() }, at);
                let text = park_text(slug, why);
                self.log(slug, None, "not merged".to_owned(), text, Vec::new(), at);
            }
            _ => {}
        }
    }

    /// What happens to the integration ref and the target.
    fn apply_ground(&mut self, event: &Event, at: Stamp) {
        match event {
            Event::RightOfWayEnded { slug } => {
                self.merging.right_of_way.remove(slug);
            }
            Event::TipMoved { ground } => self.stand_on(ground, at),
            Event::Reconciled { attempt } => {
                let chain = self.merging.attempts.remove(attempt);
                let chain = chain.and_then(|attempt| attempt.chain().cloned());
                if let (Some(run), Some(chain)) = (&mut self.run, chain) {
                    run.tip = chain.commit;
                    run.tree = chain.tree;
                    run.held = Some(run.target_tip.clone());
                }
                self.merging.works();
                self.merging.overtaken += 1;
                self.merging.publishing = Publishing::Ready;
            }
            Event::ReconcileFailed { attempt, .. } => {
                self.give_up(*attempt, at);
                self.merging.rewinding = self.run.as_ref().map(|run| run.target_tip.clone());
            }
            Event::RolledBack { ground } => {
                self.merging.rewinding = None;
                self.stand_on(ground, at);
            }
            Event::PublishStarted { commit } => {
                let merging = &mut self.merging;
                merging.publishes_made += 1;
                merging.publish_final = matches!(merging.publishing, Publishing::Waiting { .. });
                merging.publish = Some(Publish {
                    number: merging.publishes_made,
                    to: commit.clone(),
                    features: merging.unpublished.len(),
                });
            }
            Event::Published { commit } => self.target_moved(commit, at),
            Event::PublishWaits { why, .. } => {
                let merging = &mut self.merging;
                let doubled = 1u64 << merging.publishes_failed.min(10);
                let wait = PUBLISH_BACKOFF_MS.saturating_mul(doubled);
                merging.publishes_failed += 1;
                merging.publish = None;
                merging.publishing = Publishing::Waiting {
                    until: at.plus_ms(wait.min(PUBLISH_LONGEST_MS)),
                    why: why.clone(),
                };
            }
            _ => {}
        }
    }

    fn attempt_started(
        &mut self,
        number: u32,
        what: Trial,
        onto: &Oid,
        members: &[Slug],
        at: Stamp,
    ) {
        let merging = &mut self.merging;
        merging.attempts_made = number;
        let suspects = match members.first() {
            Some(first) => {
                let group = merging
                    .groups
                    .iter()
                    .position(|group| group.contains(first));
                if let Some(position) = group {
                    merging.groups.drain(..=position);
                }
                group.is_some()
            }
            None => false,
        };
        if what == Trial::Features && !suspects && merging.attempts.is_empty() {
            // Nobody is under suspicion: what failed before says nothing of this chain.
            let tree = self.run.as_ref().map(|run| run.tree.clone());
            merging
                .red
                .retain(|(known, _), _| Some(known) == tree.as_ref());
            merging.groups.clear();
        }
        merging.attempts.insert(
            number,
            Attempt {
                what,
                onto: onto.clone(),
                members: members.to_vec(),
                stage: AttemptStage::Building,
                gated: false,
                suspects,
            },
        );
        for slug in members {
            if let Some(feature) = self.features.get_mut(slug) {
                feature.deferred = false;
                feature.gives_way_to = None;
            }
            self.delayed.remove(slug);
            self.set_phase(slug, Phase::Integrating { attempt: number }, at);
        }
    }

    fn built(&mut self, number: u32, chain: &Chain, at: Stamp) {
        let Some(attempt) = self.merging.attempts.get_mut(&number) else {
            return;
        };
        attempt.members = chain.steps.iter().map(|step| step.slug.clone()).collect();
        attempt.stage = AttemptStage::Built(chain.clone());
        if attempt.what == Trial::Features && chain.steps.is_empty() {
            self.give_up(number, at);
        }
    }

    /// A feature leaves an attempt that goes on without it.
    fn leave(&mut self, slug: &Slug, attempt: u32, phase: Phase, at: Stamp) {
        if let Some(attempt) = self.merging.attempts.get_mut(&attempt) {
            attempt.members.retain(|member| member != slug);
        }
        self.set_phase(slug, phase, at);
    }

    /// Ends an attempt and everything that builds on it: its members wait in the queue again.
    pub(super) fn give_up(&mut self, number: u32, at: Stamp) {
        let what = self
            .merging
            .attempts
            .get(&number)
            .map(|attempt| attempt.what);
        let ended: Vec<u32> = match what {
            Some(Trial::Base) | None => vec![number],
            Some(_) => self
                .merging
                .attempts
                .range(number..)
                .filter(|(_, attempt)| attempt.what != Trial::Base)
                .map(|(number, _)| *number)
                .collect(),
        };
        for (n, number) in ended.into_iter().rev().enumerate() {
            let Some(attempt) = self.merging.attempts.remove(&number) else {
                continue;
            };
            for slug in &attempt.members {
                let here = Phase::Integrating { attempt: number };
                if self.features.get(slug).is_some_and(|f| f.phase == here) {
                    self.set_phase(slug, Phase::Queued, at);
                }
            }
            // Suspects whose turn was cut short by another's failure stay a group of their own.
            if attempt.suspects && n > 0 {
                self.merging.groups.push_front(attempt.members);
            }
        }
    }

    fn split(&mut self, number: u32, at: Stamp) {
        let Some(attempt) = self.merging.attempts.get(&number) else {
            return;
        };
        let members = attempt.members.clone();
        self.give_up(number, at);
        let (left, right) = members.split_at(members.len().div_ceil(2));
        self.merging.groups.push_front(right.to_vec());
        self.merging.groups.push_front(left.to_vec());
    }

    fn verified(&mut self, number: u32) {
        let Some(attempt) = self.merging.attempts.get_mut(&number) else {
            return;
        };
        if attempt.what == Trial::Base {
            self.merging.attempts.remove(&number);
            return;
        }
        if let Some(chain) = attempt.chain().cloned() {
            attempt.stage = AttemptStage::Landing(chain);
        }
    }

    fn clashed(&mut self, slug: &Slug, attempt: u32, onto: &Oid, paths: &[String], at: Stamp) {
        let Some(feature) = self.features.get_mut(slug) else {
            return;
        };
        feature.rounds += 1;
        feature.conflicts = paths.to_vec();
        feature.last = None;
        feature.last_words = format!("conflicts in {}", paths.join(", "));
        feature.handback = Some(Handback {
            onto: onto.clone(),
            red: None,
            round: feature.rounds,
        });
        if feature.rounds >= right_of_way::ROUNDS {
            let until = at.plus_ms(right_of_way::LONGEST_MS);
            let ways = &mut self.merging.right_of_way;
            // Who has it already keeps its place before those who got it since.
            ways.entry(slug.clone()).or_insert(until);
        }
        self.unjudged.insert(slug.clone());
        self.leave(slug, attempt, Phase::Pending, at);
        let text = conflict_text(onto, paths);
        self.log(slug, None, "conflict".to_owned(), text, Vec::new(), at);
    }

    fn rejected(
        &mut self,
        slug: &Slug,
        attempt: u32,
        onto: &Oid,
        red: &Red,
        merged: bool,
        at: Stamp,
    ) {
        self.merging.judged(false);
        self.give_up(attempt, at);
        if let Some(feature) = self.features.get_mut(slug) {
            feature.breakers.rejected(&red.command, &red.tail);
            feature.infra = 0;
            feature.last = None;
            feature.last_words = format!("gate failed: {}", red.command);
            if merged {
                feature.red_rounds += 1;
                feature.handback = Some(Handback {
                    onto: onto.clone(),
                    red: Some(red.clone()),
                    round: feature.red_rounds,
                });
            }
        }
        self.set_phase(slug, Phase::Pending, at);
        self.unjudged.insert(slug.clone());
        let text = red_text(red, merged.then_some(onto));
        self.log(slug, None, "gate failed".to_owned(), text, Vec::new(), at);
    }

    fn merged(&mut self, slug: &Slug, commit: &Oid, at: Stamp) {
        let number = match self.features.get(slug).map(|feature| &feature.phase) {
            Some(Phase::Integrating { attempt }) => *attempt,
            _ => return,
        };
        let mut tip = None;
        if let Some(attempt) = self.merging.attempts.get_mut(&number) {
            attempt.members.retain(|member| member != slug);
            if let (Some(run), Some(chain)) = (&mut self.run, attempt.chain()) {
                run.tip = chain.commit.clone();
                run.tree = chain.tree.clone();
                run.tidied = false;
                let step = chain.steps.iter().find(|step| step.slug == *slug);
                tip = step.map(|step| step.candidate.branch_tip.clone());
            }
            if attempt.members.is_empty() {
                self.merging.attempts.remove(&number);
            }
        }
        self.merging.judged(true);
        self.merging.works();
        self.merging.overtaken = 0;
        self.merging.right_of_way.remove(slug);
        if let Some(feature) = self.features.get_mut(slug) {
            feature.breakers.verified();
            feature.infra = 0;
            feature.handback = None;
        }
        self.land(slug, Some(commit.clone()), at);
        if let Some(tip) = tip {
            self.merging.unpublished.push((slug.clone(), tip));
        }
        if self
            .run
            .as_ref()
            .is_some_and(|run| run.tip == run.target_tip)
        {
            // It changed nothing: the target contains it as it stands.
            self.made_public(usize::MAX, at);
        }
        if matches!(self.merging.publishing, Publishing::Waiting { .. }) {
            self.merging.publishing = Publishing::Ready;
            self.merging.publish_final = false;
        }
    }

    /// A run begins: attempts of an earlier one are dropped, except one whose end may already stand in the
    /// integration ref.
    pub(super) fn begin_merging(&mut self, ground: &Ground, at: Stamp) {
        let merging = &mut self.merging;
        merging.groups.clear();
        merging.red.clear();
        merging.base_asked = false;
        merging.publish = None;
        merging.publish_final = false;
        merging.publishes_failed = 0;
        merging.rewinding = None;
        merging.overtaken = 0;
        merging.works();
        merging.stand(ground);
        let dropped: Vec<(u32, Vec<Slug>)> = merging
            .attempts
            .iter()
            .filter(|(_, attempt)| !attempt.has_landed(&ground.tip))
            .map(|(number, attempt)| (*number, attempt.members.clone()))
            .collect();
        for (number, members) in dropped {
            self.merging.attempts.remove(&number);
            for slug in members {
                let here = Phase::Integrating { attempt: number };
                if self.features.get(&slug).is_some_and(|f| f.phase == here) {
                    self.set_phase(&slug, Phase::Queued, at);
                }
            }
        }
    }

    pub(super) fn land(&mut self, slug: &Slug, commit: Option<Oid>, at: Stamp) {
        self.set_phase(slug, Phase::Merged { commit }, at);
        self.merging.unheard.remove(slug);
        if let Some(feature) = self.features.get_mut(slug) {
            feature.skip = None;
        }
        self.unjudged.remove(slug);
        if let Some(worktree) = self.features.get_mut(slug).and_then(|f| f.worktree.take()) {
            self.worktrees.remove(&worktree);
        }
        self.adjust_dependents(slug, -1);
    }
}
