//! What the auditor makes of records about merging.

use super::auditor::{Attempt, Auditor, Where};
use harness::model::{Event, Evidence, GateId, Oid, ParkReason, Slug, Stamp, Trial};

impl Auditor {
    pub(super) fn of_a_member(&mut self, slug: &Slug, event: &Event, at: Stamp) {
        match event {
            Event::Clashed { attempt, .. } => {
                self.leaves(slug, *attempt, Where::Idle);
                self.get(slug).last = None;
            }
            Event::Deferred { attempt, .. } | Event::GaveWay { attempt, .. } => {
                self.leaves(slug, *attempt, Where::Claimed);
            }
            Event::MemberFailed { attempt, .. } => {
                self.leaves(slug, *attempt, Where::Claimed);
                self.get(slug).fails(at);
            }
            Event::Held { attempt, .. } => self.give_up(*attempt),
            Event::Rejected { attempt, .. } => {
                let chain = self.attempts[attempt]
                    .chain
                    .clone()
                    .expect("a chain was built");
                assert_eq!(chain.steps.len(), 1, "{slug} is charged for others");
                assert_eq!(chain.steps[0].slug, *slug);
                let reds = self.reds.get(&(chain.tree, self.gate())).copied();
                let tries = self.settings.merge.retries + 1;
                assert!(
                    reds >= Some(tries),
                    "{slug} is charged after {reds:?} red gates"
                );
                self.give_up(*attempt);
                let known = self.get(slug);
                (known.place, known.last, known.infra) = (Where::Idle, None, 0);
            }
            Event::Merged { .. } => {
                let Where::Integrating(n) = self.of(slug).place else {
                    panic!("{slug} landed and was in no attempt");
                };
                let attempt = self.attempts.get_mut(&n).expect("its attempt is under way");
                assert!(attempt.verified, "{slug} landed unverified");
                let chain = attempt.chain.as_ref().expect("a chain was built");
                assert!(chain.steps.iter().any(|step| step.slug == *slug));
                self.tip = Some(chain.commit.clone());
                attempt.members.remove(slug);
                if attempt.members.is_empty() {
                    self.attempts.remove(&n);
                }
                self.get(slug).infra = 0;
                self.lands(slug);
            }
            Event::Unlanded { .. } => self.moves(slug, &Where::Landed, Where::Claimed),
            Event::Parked {
                why: ParkReason::Review { tip },
                ..
            } => self.parked_to_be_seen(slug, tip),
            Event::Parked { .. } => {
                let known = self.get(slug);
                let waits = matches!(known.place, Where::Claimed | Where::Idle | Where::Between);
                assert!(waits, "{slug} was parked while it was worked on");
                known.place = Where::Parked;
            }
            _ => {}
        }
    }

    /// It is not let through as its branch stands, and alone it would have landed.
    fn parked_to_be_seen(&mut self, slug: &Slug, tip: &Oid) {
        let Where::Integrating(n) = self.of(slug).place else {
            panic!("{slug} is to be seen and was not tried");
        };
        let chain = self.attempts[&n].chain.clone().expect("a chain was built");
        assert!(self.is_unseen(slug, tip), "{slug} has been seen");
        let step = chain.steps.iter().find(|step| step.slug == *slug);
        assert_eq!(step.map(|step| &step.candidate.branch_tip), Some(tip));
        let gate = self.gate();
        let passes = gate == GateId::default() || self.green.contains(&(chain.tree, gate));
        assert!(
            passes && chain.steps.len() == 1,
            "{slug} does not pass alone"
        );
        self.give_up(n);
        let known = self.get(slug);
        (known.place, known.ready_at) = (Where::ToReview, Some(tip.clone()));
    }

    fn is_unseen(&self, slug: &Slug, tip: &Oid) -> bool {
        let known = self.of(slug);
        let asked = known.spec.as_ref().is_some_and(|spec| spec.review);
        asked && known.approved.as_ref() != Some(tip)
    }

    pub(super) fn leaves(&mut self, slug: &Slug, attempt: u32, place: Where) {
        if let Some(attempt) = self.attempts.get_mut(&attempt) {
            attempt.members.remove(slug);
        }
        self.moves(slug, &Where::Integrating(attempt), place);
    }

    pub(super) fn of_the_queue(&mut self, event: &Event) {
        match event {
            Event::AttemptStarted {
                attempt,
                what,
                members,
                ..
            } => self.attempt_started(*attempt, *what, members),
            Event::Built { attempt, chain } => {
                let gone = {
                    let attempt = self.attempts.get_mut(attempt).expect("it was started");
                    assert!(attempt.chain.is_none(), "a chain was built twice");
                    attempt.chain = Some(chain.clone());
                    let built = chain.steps.iter().map(|step| step.slug.clone()).collect();
                    assert_eq!(attempt.members, built, "a member is nowhere");
                    attempt.what == Trial::Features && chain.steps.is_empty()
                };
                if gone {
                    self.give_up(*attempt);
                }
            }
            Event::Gated {
                attempt,
                tree,
                gate,
                red,
                ..
            } => {
                let chain = self.attempts[attempt].chain.as_ref();
                assert_eq!(chain.map(|chain| &chain.tree), Some(tree));
                let key = (tree.clone(), gate.clone());
                match red {
                    None => drop(self.green.insert(key)),
                    Some(_) => *self.reds.entry(key).or_default() += 1,
                }
            }
            Event::Verified { attempt, how, .. } => self.verified(*attempt, how),
            Event::Split { attempt }
            | Event::AttemptPostponed { attempt, .. }
            | Event::ReconcileFailed { attempt, .. } => self.give_up(*attempt),
            Event::Reconciled { attempt } => {
                let attempt = self.attempts.remove(attempt).expect("it was started");
                assert!(
                    attempt.verified,
                    "a merge with the user's commits landed unverified"
                );
                self.tip = attempt.chain.map(|chain| chain.commit);
            }
            Event::TipMoved { ground } | Event::RolledBack { ground }
                if self.tip.as_ref() != Some(&ground.tip) =>
            {
                self.tip = Some(ground.tip.clone());
                if let Some(first) = self.attempts.keys().next().copied() {
                    self.give_up(first);
                }
            }
            Event::PublishStarted { .. } => {
                assert!(
                    !self.terminating(),
                    "the target is moved although the run is to stop"
                );
                assert!(
                    self.settings.merge.publish,
                    "the target is a person's to move"
                );
            }
            _ => {}
        }
    }

    pub(super) fn attempt_started(&mut self, number: u32, what: Trial, members: &[Slug]) {
        assert_eq!(
            number,
            self.last_attempt + 1,
            "numbers of attempts count up"
        );
        self.last_attempt = number;
        assert!(
            self.stop.is_none(),
            "an attempt was started after a stop was asked for"
        );
        assert!(!self.halt, "an attempt was started under HALT");
        assert_eq!(what == Trial::Features, !members.is_empty());
        for slug in members {
            assert!(
                self.dependencies_landed(slug),
                "{slug} is merged before what it depends on"
            );
            assert!(self.is_selected(slug), "{slug} is not selected");
            self.moves(slug, &Where::Claimed, Where::Integrating(number));
        }
        let attempt = Attempt {
            what,
            members: members.iter().cloned().collect(),
            chain: None,
            verified: false,
        };
        self.attempts.insert(number, attempt);
        let most = usize::try_from(self.settings.merge.parallel_gates.max(1)).unwrap();
        assert!(self.attempts.len() <= most + 1, "too many gates at once");
    }

    pub(super) fn verified(&mut self, number: u32, how: &Evidence) {
        let gate = self.gate();
        let attempt = self.attempts.get(&number).expect("it was started");
        let steps = attempt.chain.iter().flat_map(|chain| &chain.steps);
        for step in steps.filter(|_| attempt.what == Trial::Features) {
            let (slug, tip) = (&step.slug, &step.candidate.branch_tip);
            assert!(!self.is_unseen(slug, tip), "nobody has seen {slug}");
            assert!(!self.of(slug).skip, "{slug} was to be left out");
        }
        let attempt = self.attempts.get_mut(&number).expect("it was started");
        let tree = attempt.chain.as_ref().map(|chain| chain.tree.clone());
        let key = (tree.expect("a chain was built"), gate);
        match how {
            Evidence::Unchecked => assert_eq!(self.settings.merge.gate, None),
            _ => assert!(self.green.contains(&key), "verified without evidence"),
        }
        attempt.verified = true;
        if attempt.what == Trial::Base {
            self.attempts.remove(&number);
        }
    }

    /// An attempt ends, and what builds on it.
    pub(super) fn give_up(&mut self, number: u32) {
        let Some(what) = self.attempts.get(&number).map(|attempt| attempt.what) else {
            return;
        };
        let ended = self.attempts.extract_if(number.., |n, attempt| match what {
            Trial::Base => *n == number,
            _ => attempt.what != Trial::Base,
        });
        let ended: Vec<u32> = ended.map(|(n, _)| n).collect();
        for known in self.features.values_mut() {
            if matches!(known.place, Where::Integrating(n) if ended.contains(&n)) {
                known.place = Where::Claimed;
            }
        }
    }
}
