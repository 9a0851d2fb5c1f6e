//! The critical path: the chain of work, gates and waits that determined when the run came to its end.
//!
//! Found backwards. What ended last could not begin before something else was over: its own work before a gate sent it
//! back, a dependency, a gate that was busy, a feature with the same lock, a slot. It must never guess: where nothing that
//! this file knows of came before, the chain begins.

use super::{AttemptSpan, Doing, RunHistory};
use crate::core::schedule::overlap;
use crate::core::state::State;
use crate::model::{Slug, Stamp};
use serde::Serialize;
use std::collections::BTreeMap;

/// Links that are told at most; a run of thousands of features can have as many.
const MOST: usize = 10_000;

/// One step of the critical path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CriticalStep {
    /// The features that it is about: one that was worked on, or those that were tried together.
    pub slugs: Vec<Slug>,
    /// The attempt of the merge queue; `None`: work.
    pub attempt: Option<u32>,
    /// How many iterations it holds.
    pub iterations: u32,
    /// From when.
    pub from: Stamp,
    /// Until when.
    pub to: Stamp,
    /// Why it did not begin before.
    pub cause: StepCause,
}

/// Why a step did not begin before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StepCause {
    /// Nothing that is known came before it.
    Start,
    /// A dependency landed.
    Dependency,
    /// The feature was done.
    Claim,
    /// The merge queue was busy.
    Queue,
    /// The feature was sent back, or waited for its account.
    Again,
    /// One with the same lock or path was over, or one that it comes after.
    Clash,
    /// A slot became free.
    Slot,
}

/// A stretch of time in which one feature held a slot.
struct Hold<'a> {
    slug: &'a Slug,
    from: Stamp,
    to: Stamp,
    iterations: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Node {
    Hold(usize),
    Attempt(usize),
}

struct Finder<'a> {
    run: &'a RunHistory,
    state: &'a State,
    holds: Vec<Hold<'a>>,
}

/// The critical path of a run, first to last.
pub(super) fn critical(run: &RunHistory, state: &State) -> Vec<CriticalStep> {
    let finder = Finder {
        run,
        state,
        holds: holds(run),
    };
    let nodes = (0..finder.holds.len()).map(Node::Hold);
    let nodes = nodes.chain((0..run.attempts.len()).map(Node::Attempt));
    let mut at = nodes.max_by_key(|node| (finder.ends(*node), *node));
    let mut path = Vec::new();
    while let Some(node) = at.filter(|_| path.len() < MOST) {
        let before = finder.before(node);
        path.push(finder.step(node, before.map_or(StepCause::Start, |(cause, _)| cause)));
        at = before.map(|(_, node)| node);
    }
    path.reverse();
    path
}

fn holds(run: &RunHistory) -> Vec<Hold<'_>> {
    let mut holds: Vec<Hold<'_>> = Vec::new();
    let mut last: BTreeMap<&Slug, usize> = BTreeMap::new();
    for span in run.spans.iter().filter(|span| span.doing.holds_slot()) {
        let calls = u32::from(matches!(span.doing, Doing::Iteration { .. }));
        let known = last.get(&span.slug).copied();
        match known.filter(|n| holds[*n].to == span.from) {
            Some(n) => {
                holds[n].to = span.to;
                holds[n].iterations += calls;
            }
            None => {
                last.insert(&span.slug, holds.len());
                holds.push(Hold {
                    slug: &span.slug,
                    from: span.from,
                    to: span.to,
                    iterations: calls,
                });
            }
        }
    }
    holds
}

impl Finder<'_> {
    fn begins(&self, node: Node) -> Stamp {
        match node {
            Node::Hold(n) => self.holds[n].from,
            Node::Attempt(n) => self.run.attempts[n].from,
        }
    }

    fn ends(&self, node: Node) -> Stamp {
        match node {
            Node::Hold(n) => self.holds[n].to,
            Node::Attempt(n) => self.run.attempts[n].to,
        }
    }

    fn step(&self, node: Node, cause: StepCause) -> CriticalStep {
        let (slugs, attempt, iterations) = match node {
            Node::Hold(n) => {
                let hold = &self.holds[n];
                (vec![hold.slug.clone()], None, hold.iterations)
            }
            Node::Attempt(n) => {
                let attempt = &self.run.attempts[n];
                (attempt.members.clone(), Some(attempt.number), 0)
            }
        };
        CriticalStep {
            slugs,
            attempt,
            iterations,
            from: self.begins(node),
            to: self.ends(node),
            cause,
        }
    }

    /// What was over last of all that it had to wait for.
    fn before(&self, node: Node) -> Option<(StepCause, Node)> {
        let causes = match node {
            Node::Hold(n) => self.before_work(&self.holds[n]),
            Node::Attempt(n) => self.before_attempt(&self.run.attempts[n]),
        };
        // What took no time of its own could lead in a circle.
        let earlier = causes
            .into_iter()
            .filter(|(_, found)| self.begins(*found) < self.begins(node));
        earlier.max_by_key(|(cause, found)| (self.ends(*found), std::cmp::Reverse(*cause)))
    }

    fn before_work(&self, hold: &Hold<'_>) -> Vec<(StepCause, Node)> {
        let spec = self.state.spec(hold.slug);
        let (needs, after) = spec.map_or((&[][..], &[][..]), |spec| {
            (&spec.depends_on[..], &spec.after[..])
        });
        let holds_all = self.full_at(hold.from);
        let others = self.holds.iter().enumerate();
        let others = others.filter(|(_, other)| other.to <= hold.from);
        let mut found: Vec<(StepCause, Node)> = others
            .filter_map(|(n, other)| {
                let cause = match other.slug {
                    own if own == hold.slug => StepCause::Again,
                    slug if after.contains(slug) || self.clash(hold.slug, slug) => StepCause::Clash,
                    _ if holds_all => StepCause::Slot,
                    _ => return None,
                };
                Some((cause, Node::Hold(n)))
            })
            .collect();
        let attempts = self.run.attempts.iter().enumerate();
        let attempts = attempts.filter(|(_, attempt)| attempt.to <= hold.from);
        found.extend(attempts.filter_map(|(n, attempt)| {
            let of = |slug: &Slug| attempt.members.contains(slug);
            let cause = match () {
                () if of(hold.slug) => StepCause::Again,
                () if needs.iter().any(of) => StepCause::Dependency,
                () if after.iter().any(of) => StepCause::Clash,
                () if attempt
                    .members
                    .iter()
                    .any(|slug| self.clash(hold.slug, slug)) =>
                {
                    StepCause::Clash
                }
                () => return None,
            };
            Some((cause, Node::Attempt(n)))
        }));
        found
    }

    fn before_attempt(&self, attempt: &AttemptSpan) -> Vec<(StepCause, Node)> {
        let holds = self.holds.iter().enumerate();
        let holds = holds
            .filter(|(_, hold)| hold.to <= attempt.from && attempt.members.contains(hold.slug));
        let mut found: Vec<(StepCause, Node)> = holds
            .map(|(n, _)| (StepCause::Claim, Node::Hold(n)))
            .collect();
        let earlier = self.run.attempts.iter().enumerate();
        let earlier = earlier.filter(|(_, other)| other.to <= attempt.from);
        found.extend(earlier.map(|(n, _)| (StepCause::Queue, Node::Attempt(n))));
        found
    }

    /// Whether all slots were taken up to this moment.
    fn full_at(&self, at: Stamp) -> bool {
        let held = self.holds.iter();
        let held = held.filter(|hold| hold.from < at && hold.to >= at).count();
        held >= usize::try_from(self.run.parallel).unwrap_or(usize::MAX)
    }

    fn clash(&self, a: &Slug, b: &Slug) -> bool {
        let features = &self.state.features;
        let both = features.get(a).zip(features.get(b));
        a != b && both.is_some_and(|(a, b)| overlap(a, b))
    }
}
