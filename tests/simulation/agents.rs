//! What agents, gates and git make of what they are asked for.

use super::number;
use super::repository::Repository;
use super::world::Sim;
use harness::model::{
    AgentFailure, BuildOutcome, Effect, Ending, FailureKind, GateOutcome, Input, IterationReport,
    LandOutcome, MergeVerdict, PublishOutcome, Quota, Slug, WorktreeName,
};

impl Sim {
    /// Why an account cannot be used, and until when.
    fn account_failure(&mut self) -> AgentFailure {
        let dice = &mut self.dice;
        let (kind, text) = match dice.roll(10) {
            0 => (FailureKind::Auth, "not logged in"),
            1 => (FailureKind::Billing, "no credit"),
            2 => (FailureKind::Overloaded, "overloaded"),
            3 => (FailureKind::Network, "no connection"),
            _ => (FailureKind::Limit, "the limit is reached"),
        };
        let told = kind == FailureKind::Limit && dice.chance(60);
        let hours = if dice.chance(10) { 40 } else { 3 };
        // It may have ended while the call did.
        let reset = self.now.plus_ms(dice.roll(hours * 3_600_000)).0 / 1000 - 60;
        AgentFailure {
            resets_at: told.then(|| i64::try_from(reset).unwrap()),
            ..AgentFailure::new(kind, text)
        }
    }

    /// One iteration: what its agent did, and its report.
    pub(super) fn iterate(
        &mut self,
        slug: &Slug,
        worktree: WorktreeName,
        iteration: u32,
        onto: Option<u64>,
        stopped: bool,
    ) -> IterationReport {
        let (weak, odd) = (self.faults.weak, self.faults.odd);
        let ending = self.ending(stopped);
        let started = !matches!(ending, Ending::NotStarted { .. });
        let saved = started && !self.dice.chance(self.faults.snapshot);
        let changed = started && !self.dice.chance(weak);
        if changed && !saved {
            self.disk.worktrees.get_mut(&worktree).unwrap().1 = true;
        }
        let resolved = onto.is_some() && self.dice.chance(70);
        if saved {
            // The snapshot holds what an earlier one missed.
            let missed = std::mem::take(&mut self.disk.worktrees.get_mut(&worktree).unwrap().1);
            if changed || missed || resolved {
                let good = !self.dice.chance(self.faults.bad);
                self.disk.repo.work(slug, good, onto.filter(|_| resolved));
            }
        }
        let version = self.disk.repo.branches.get(slug).copied().unwrap_or(0);
        let dice = &mut self.dice;
        let quiet = dice.chance(weak);
        let starved = self.dice.chance(self.faults.spawn);
        let kind = match starved {
            true => FailureKind::Machine,
            false => FailureKind::Other,
        };
        let error = ["a", "b", "c"][usize::try_from(version % 3).unwrap()];
        let failure = (self.dice.chance(weak) || starved)
            .then(|| AgentFailure::new(kind, format!("error {error}")));
        let account = self.dice.chance(self.faults.account);
        let account = account.then(|| self.account_failure());
        let (usage, prompt) = (self.purse.usage(), self.purse.prompt());
        let reset = self.now.plus_ms(self.dice.roll(2 * 3_600_000)).0 / 1000;
        let quota = self.dice.chance(self.faults.account).then(|| Quota {
            scope: "five_hour".into(),
            used_percent: 70 + u8::try_from(self.dice.roll(31)).unwrap(),
            resets_at: i64::try_from(reset).unwrap(),
        });
        let dice = &mut self.dice;
        IterationReport {
            elapsed_ms: dice.roll(4_000),
            note: match quiet {
                true => String::new(),
                false => {
                    format!("iteration {iteration} of {slug} moved the parser a good step forward")
                }
            },
            message: String::new(),
            lessons: vec![format!("lesson {iteration} of {slug}")],
            done: dice.chance(40).then(|| format!("{slug} is done")),
            refused: dice
                .chance(odd)
                .then(|| "a rebase was left half done".into()),
            tampered: dice
                .chance(odd / 3)
                .then(|| "the hook pre-commit changed".into()),
            blocked: dice.chance(odd).then(|| "which colour?".into()),
            failure: account.or(failure).filter(|_| started),
            tip: saved.then(|| Repository::branch_tip(slug, version)),
            changed,
            merge: onto.filter(|_| saved).map(|_| match resolved {
                true => MergeVerdict::Resolved,
                false => MergeVerdict::Unresolved {
                    findings: vec!["markers are left".into()],
                },
            }),
            usage: started.then_some(usage).flatten(),
            prompt,
            quota: quota.into_iter().collect(),
            session: dice.chance(70).then(|| format!("{slug}-{iteration}")),
            ending,
        }
    }

    fn ending(&mut self, stopped: bool) -> Ending {
        if stopped {
            return Ending::Stopped;
        }
        if self.dice.chance(self.faults.spawn) {
            let why = "no memory".into();
            return Ending::NotStarted { why };
        }
        if self.dice.chance(self.faults.weak / 2) {
            return match self.dice.roll(3) {
                0 => Ending::TimedOut,
                1 => Ending::IdleTimedOut,
                _ => Ending::Signalled { signal: 11 },
            };
        }
        Ending::Exited { code: 0 }
    }

    /// What came of an effect of the merge queue.
    pub(super) fn merge(&mut self, effect: Effect, stopped: bool) -> Input {
        let fails = self.dice.chance(self.faults.git);
        let why = || "git died".to_owned();
        let repo = &mut self.disk.repo;
        match effect {
            Effect::Build {
                attempt,
                what,
                onto,
                tip,
                members,
                first,
                follow,
            } => {
                let places = (number(&onto), number(&tip));
                let follow = follow.as_ref().map(number);
                let outcome = match (stopped, fails) {
                    (true, _) => BuildOutcome::Stopped,
                    (_, true) => BuildOutcome::Infra { why: why() },
                    _ => repo.build(what, places, &members, &first, follow),
                };
                Input::Built { attempt, outcome }
            }
            Effect::Gate {
                attempt,
                reds,
                commit,
                gate,
                ..
            } => {
                let outcome = match (stopped, fails) {
                    (true, _) => GateOutcome::Stopped,
                    (_, true) => GateOutcome::Infra { why: why() },
                    _ if repo.gate(number(&commit), &gate.common, &mut self.dice) => {
                        GateOutcome::Green { gate_ms: 5 }
                    }
                    _ => GateOutcome::Red {
                        command: "make test".into(),
                        tail: format!(
                            "failed in part {}",
                            ["a", "b", "c"][usize::try_from(number(&commit) % 3).unwrap()]
                        ),
                        gate_ms: 5,
                    },
                };
                Input::Gated {
                    attempt,
                    reds,
                    outcome,
                }
            }
            of_a_ref => self.move_ref(of_a_ref, fails),
        }
    }

    /// What came of moving the integration ref or the target.
    fn move_ref(&mut self, effect: Effect, fails: bool) -> Input {
        let why = || "git died".to_owned();
        let repo = &mut self.disk.repo;
        let gate = self.settings.merge.gate.clone();
        match effect {
            Effect::Land { attempt, from, to } => {
                // A git command may say that it failed and have done it.
                let outcome = match fails && self.dice.chance(50) {
                    true => LandOutcome::Infra { why: why() },
                    false => repo.land(number(&from), number(&to), gate.as_ref()),
                };
                let outcome = match fails {
                    true => LandOutcome::Infra { why: why() },
                    false => outcome,
                };
                Input::Landed { attempt, outcome }
            }
            Effect::Rewind { .. } => Input::Rewound {
                ground: repo.rewind(),
            },
            Effect::Publish {
                from,
                to,
                number: publish,
            } => {
                let outcome = match fails {
                    true => PublishOutcome::Waiting { why: why() },
                    false => repo.publish(number(&from), number(&to), gate.is_some()),
                };
                Input::Published {
                    number: publish,
                    outcome,
                }
            }
            other => panic!("{other:?} is not the queue's"),
        }
    }
}
