//! What follows in the merge queue: which chain to try next, and what a gate's verdict means.
//!
//! It gives one fact at a time and looks only at the state, so that a lost or doubled completion changes
//! nothing and a crash is simply continued. It must never change anything.
//!
//! Order: the target's own movement first, then what a verdict leaves open about the base, then suspects of
//! a red chain, then claimed features, oldest claim first.

use super::feature::{Feature, Phase};
use super::queue::{Attempt, AttemptStage, Publishing, evidence};
use super::right_of_way;
use super::schedule::{INFRA_LIMIT, integrates};
use super::state::{Run, State};
use crate::model::{
    Chain, Event, Evidence, GateId, ParkReason, Red, Slug, Stamp, StopLevel, Trial,
};

/// The next fact about merging.
pub(super) fn next(state: &State, run: &Run, now: Stamp) -> Option<Event> {
    right_of_way::expired(state, now)
        .or_else(|| park(state, run))
        .or_else(|| judge(state, run))
        .or_else(|| start(state, run, now))
        .or_else(|| publish(state, run, now))
}

impl Run {
    /// What everything must pass; `None` without verify commands.
    pub(super) fn base_gate(&self) -> GateId {
        GateId {
            common: self.settings.merge.gate.clone().unwrap_or_default(),
            own: Vec::new(),
        }
    }
}

/// What an attempt must pass.
pub(super) fn gate_of(state: &State, run: &Run, attempt: &Attempt) -> GateId {
    let mut gate = run.base_gate();
    let steps = attempt.chain().map_or(&[][..], |chain| &chain.steps);
    for step in steps {
        let own = state.features.get(&step.slug);
        for command in own.map_or(&[][..], |feature| &feature.spec.verify) {
            if !gate.own.contains(command) {
                gate.own.push(command.clone());
            }
        }
    }
    gate
}

/// Features whose trouble is not theirs to solve by iterating.
fn park(state: &State, run: &Run) -> Option<Event> {
    if state.merging.infra >= INFRA_LIMIT && state.merging.attempts.is_empty() {
        // Nothing can be merged: no feature's fault, and no use to go on trying.
        if let Some(slug) = queued(state).next() {
            let (slug, text) = (slug.clone(), state.merging.infra_text.clone());
            let why = ParkReason::Infra { text };
            return Some(Event::Parked { slug, why });
        }
    }
    state.unjudged.iter().find_map(|slug| {
        let feature = state.features.get(slug)?;
        let why = given_up(run, feature)?;
        let slug = slug.clone();
        Some(Event::Parked { slug, why })
    })
}

fn given_up(run: &Run, feature: &Feature) -> Option<ParkReason> {
    if feature.phase == Phase::Queued && feature.infra >= INFRA_LIMIT {
        let text = feature.infra_text.clone();
        return Some(ParkReason::Infra { text });
    }
    let waits = matches!(
        feature.phase,
        Phase::Pending | Phase::Working { running: None }
    );
    let handback = feature.handback.as_ref().filter(|_| waits)?;
    let merge = &run.settings.merge;
    match &handback.red {
        None if feature.rounds > merge.max_conflict_rounds => Some(ParkReason::Conflict {
            paths: feature.conflicts.clone(),
        }),
        Some(red) if feature.red_rounds > merge.max_red_rounds => {
            Some(ParkReason::Red { red: red.clone() })
        }
        _ => None,
    }
}

/// What is to become of a chain that is built.
pub(super) enum Outlook {
    /// Its gate must run (again).
    Gate,
    /// It may land.
    Green(Evidence),
    /// It failed and more than one feature is in it.
    Split,
    /// It failed for good, but whether its base passes is not known.
    AskBase,
    /// It failed for good.
    Red(Red),
    /// It failed for good, and so does what it builds on.
    BaseRed(Red),
}

/// What the evidence says of an attempt's chain.
pub(super) fn outlook(state: &State, run: &Run, attempt: &Attempt, chain: &Chain) -> Outlook {
    let merging = &state.merging;
    let (gate, base) = (gate_of(state, run, attempt), run.base_gate());
    if gate == GateId::default() {
        return Outlook::Green(Evidence::Unchecked);
    }
    if merging.is_green(&chain.tree, &gate) {
        let seen = evidence(merging, chain, &gate, &base);
        return Outlook::Green(match seen {
            Evidence::Passed if !attempt.gated => Evidence::Known,
            seen => seen,
        });
    }
    let Some(failed) = merging.failed(&chain.tree, &gate) else {
        return Outlook::Gate;
    };
    if chain.steps.len() > 1 {
        return Outlook::Split;
    }
    if failed.times <= run.settings.merge.retries {
        return Outlook::Gate;
    }
    let red = failed.red.clone();
    let own = gate.own.contains(&red.command);
    let bare = run.settings.merge.gate.is_none();
    if own || bare || attempt.what != Trial::Features || merging.is_green(&chain.onto_tree, &base) {
        return Outlook::Red(red);
    }
    match merging.failed(&chain.onto_tree, &base) {
        Some(failed) if failed.times > run.settings.merge.retries => Outlook::BaseRed(red),
        _ => Outlook::AskBase,
    }
}

fn judge(state: &State, run: &Run) -> Option<Event> {
    let mut first = true;
    for (number, attempt) in &state.merging.attempts {
        let number = *number;
        let leads = first && attempt.what != Trial::Base;
        let stale = attempt.what == Trial::Features && attempt.onto != run.tip;
        if leads && stale && !is_landing(attempt) {
            return Some(postponed(number, "what it builds on has changed"));
        }
        if let Some(slug) = left_out(state, attempt) {
            return Some(postponed(number, &format!("{slug} is left out")));
        }
        first &= !leads;
        let AttemptStage::Built(chain) = &attempt.stage else {
            continue;
        };
        let review = to_review(state, attempt, chain);
        if chain.steps.len() > 1 && review.is_some() {
            // It is tried alone first, to be seen as something that passes.
            return Some(postponed(
                number,
                "one of them must be seen before it lands",
            ));
        }
        let event = match outlook(state, run, attempt, chain) {
            Outlook::Green(_) if review.is_some() && leads => return review,
            Outlook::Green(_) if review.is_some() => continue,
            Outlook::Green(how) => Event::Verified {
                attempt: number,
                commit: chain.commit.clone(),
                how,
            },
            Outlook::Gate | Outlook::AskBase => continue,
            // What builds on something undecided is not blamed: it is built anew if that fails.
            _ if !leads && attempt.what != Trial::Base => continue,
            Outlook::Split => Event::Split { attempt: number },
            Outlook::Red(red) => red_event(number, attempt, chain, red, false),
            Outlook::BaseRed(red) => red_event(number, attempt, chain, red, true),
        };
        return Some(event);
    }
    None
}

/// The member of an attempt that a person wants left out. What is being landed has been decided.
fn left_out<'a>(state: &State, attempt: &'a Attempt) -> Option<&'a Slug> {
    let mut members = attempt.members.iter().filter(|_| !is_landing(attempt));
    members.find(|slug| state.is_being_left_out(slug))
}

/// The first of a chain that a person must see before it lands: as its branch stands there, and not as it stood when it
/// was reviewed.
fn to_review(state: &State, attempt: &Attempt, chain: &Chain) -> Option<Event> {
    let mut steps = chain.steps.iter().filter(|step| {
        let feature = state.features.get(&step.slug);
        let tip = &step.candidate.branch_tip;
        let features = attempt.what == Trial::Features;
        features && feature.is_some_and(|feature| feature.awaits_review(tip))
    });
    steps.next().map(|step| Event::Parked {
        slug: step.slug.clone(),
        why: ParkReason::Review {
            tip: step.candidate.branch_tip.clone(),
        },
    })
}

/// Whether a person must see it before it lands, as far as is known before its merge is built.
fn is_unseen(state: &State, slug: &Slug) -> bool {
    let feature = state.features.get(slug);
    feature.is_some_and(|feature| feature.spec.review && feature.approved.is_none())
}

fn red_event(number: u32, attempt: &Attempt, chain: &Chain, red: Red, base_is_red: bool) -> Event {
    match (attempt.what, chain.steps.first()) {
        (Trial::Features, Some(step)) if base_is_red => Event::Held {
            slug: step.slug.clone(),
            attempt: number,
        },
        (Trial::Features, Some(step)) => Event::Rejected {
            slug: step.slug.clone(),
            attempt: number,
            onto: chain.onto.clone(),
            red,
            merged: step.candidate.tree != step.candidate.branch_tree,
        },
        (Trial::Reconcile, _) => Event::ReconcileFailed {
            attempt: number,
            why: format!("`{}` fails on the merge", red.command),
        },
        // Of the base the evidence itself is what was asked for.
        _ => postponed(number, "what features would land on does not pass"),
    }
}

fn postponed(attempt: u32, why: &str) -> Event {
    Event::AttemptPostponed {
        attempt,
        why: why.to_owned(),
        counted: false,
    }
}

fn is_landing(attempt: &Attempt) -> bool {
    matches!(attempt.stage, AttemptStage::Landing(_))
}

fn start(state: &State, run: &Run, now: Stamp) -> Option<Event> {
    let merging = &state.merging;
    let resting = merging.not_before > now || merging.infra >= INFRA_LIMIT;
    if !integrates(state, run) || resting || merging.rewinding.is_some() {
        return None;
    }
    let attempts = &merging.attempts;
    let begin = |what, onto: &crate::model::Oid, members| {
        Some(Event::AttemptStarted {
            attempt: merging.attempts_made + 1,
            what,
            onto: onto.clone(),
            members,
        })
    };
    if attempts.values().any(|attempt| attempt.what == Trial::Base) {
        return None;
    }
    let asks = attempts.values().next().is_some_and(|attempt| {
        let chain = attempt.chain().filter(|_| !is_landing(attempt));
        chain.is_some_and(|chain| matches!(outlook(state, run, attempt, chain), Outlook::AskBase))
    });
    if asks {
        return begin(Trial::Base, &run.tip, Vec::new());
    }
    if attempts
        .values()
        .any(|attempt| attempt.what != Trial::Features)
    {
        return None;
    }
    if merging.publishing == Publishing::Ahead {
        let onto = &run.target_tip;
        return attempts
            .is_empty()
            .then(|| begin(Trial::Reconcile, onto, Vec::new()))?;
    }
    let known = merging.base_asked
        || run.settings.merge.gate.is_none()
        || merging.is_green(&run.tree, &run.base_gate());
    if !known && attempts.is_empty() {
        return begin(Trial::Base, &run.tip, Vec::new());
    }
    let room = usize::try_from(run.settings.merge.parallel_gates.max(1)).unwrap_or(usize::MAX);
    if attempts.len() >= room {
        return None;
    }
    let onto = match attempts.values().next_back() {
        // What a person must see lands later, whatever its gate says.
        Some(last) if last.members.iter().any(|slug| is_unseen(state, slug)) => return None,
        Some(last) => &last.chain()?.commit,
        None => &run.tip,
    };
    let members = members(state, run, now);
    (!members.is_empty()).then(|| begin(Trial::Features, onto, members))?
}

/// The features of the next chain.
fn members(state: &State, run: &Run, now: Stamp) -> Vec<Slug> {
    let merging = &state.merging;
    let may = |slug: &&Slug| is_eligible(state, run, slug, now) && !is_unseen(state, slug);
    for group in &merging.groups {
        let members: Vec<Slug> = group.iter().filter(may).cloned().collect();
        if !members.is_empty() {
            return members;
        }
    }
    let batch = if base_is_red(state, run) {
        // Every chain fails as its base does; only one that repairs it can pass.
        1
    } else {
        merging.batch(run.settings.merge.batch)
    };
    let members: Vec<Slug> = queued(state).filter(may).take(batch).cloned().collect();
    if !members.is_empty() {
        return members;
    }
    // Alone, since it does not land yet: whether it could is what a person is told.
    let mut unseen = queued(state).filter(|slug| is_eligible(state, run, slug, now));
    unseen.next().cloned().into_iter().collect()
}

/// Whether what has landed is known to fail by itself.
pub(super) fn base_is_red(state: &State, run: &Run) -> bool {
    base_failure(state, run).is_some()
}

/// What fails on what has landed, if that is known.
pub(super) fn base_failure<'a>(state: &'a State, run: &Run) -> Option<&'a Red> {
    let (merging, gate) = (&state.merging, run.base_gate());
    let failed = merging.failed(&run.tree, &gate)?;
    let believed = failed.times > run.settings.merge.retries;
    (believed && !merging.is_green(&run.tree, &gate)).then_some(&failed.red)
}

/// Selected features that wait for their merge, oldest claim first.
pub(super) fn queued(state: &State) -> impl Iterator<Item = &Slug> {
    state
        .queue
        .iter()
        .map(|(_, _, slug)| slug)
        .filter(|slug| state.is_selected(slug))
}

/// Whether a queued feature may be tried at `now`.
fn is_eligible(state: &State, run: &Run, slug: &Slug, now: Stamp) -> bool {
    state
        .features
        .get(slug)
        .is_some_and(|feature| feature.not_before <= now && may_be_tried(state, run, feature))
}

/// Whether nothing but time keeps a feature from being tried.
pub(super) fn may_be_tried(state: &State, run: &Run, feature: &Feature) -> bool {
    feature.phase == Phase::Queued
        && (!feature.deferred || state.merging.attempts.is_empty())
        && !is_held(state, feature)
        && !right_of_way::gives_way(state, run, feature)
        // After a roll-back a dependency may have to land once more first.
        && feature.unmet == 0
}

/// Whether a queued feature waits for what it would land on to be repaired.
pub(super) fn is_held(state: &State, feature: &Feature) -> bool {
    let tip = state.run.as_ref().map(|run| &run.tip);
    feature.phase == Phase::Queued && feature.held_on.is_some() && feature.held_on.as_ref() == tip
}

fn publish(state: &State, run: &Run, now: Stamp) -> Option<Event> {
    let merging = &state.merging;
    if !publishes(run) || merging.publish.is_some() || merging.rewinding.is_some() {
        return None;
    }
    let due = match &merging.publishing {
        Publishing::Ready => true,
        Publishing::Waiting { until, .. } => *until <= now,
        Publishing::Ahead | Publishing::Rewritten => false,
    };
    due.then(|| Event::PublishStarted {
        commit: run.tip.clone(),
    })
}

/// One more try to move the target before the run ends.
pub(super) fn publish_once_more(state: &State, run: &Run) -> Option<Event> {
    let waits = matches!(state.merging.publishing, Publishing::Waiting { .. });
    (waits && publishes(run) && !state.merging.publish_final).then(|| Event::PublishStarted {
        commit: run.tip.clone(),
    })
}

/// Whether something has landed that the target lacks and this run may publish.
pub(super) fn publishes(run: &Run) -> bool {
    let terminating = run.stop.is_some_and(StopLevel::terminates);
    run.settings.merge.publish && !terminating && run.target_tip != run.tip
}

/// Whether the queue is at rest: nothing of it is under way or will start without a new input.
pub(super) fn is_quiet(state: &State, run: &Run) -> bool {
    let merging = &state.merging;
    let terminating = run.stop.is_some_and(StopLevel::terminates);
    let integrates = integrates(state, run);
    let first = merging
        .attempts
        .values()
        .position(|attempt| attempt.what != Trial::Base);
    let busy = merging
        .attempts
        .values()
        .enumerate()
        .any(|(n, attempt)| match &attempt.stage {
            // Behind one that will not be gated any more it cannot land either.
            AttemptStage::Landing(_) => first == Some(n),
            _ if terminating => false,
            AttemptStage::Building => true,
            AttemptStage::Built(chain) => match outlook(state, run, attempt, chain) {
                Outlook::Gate | Outlook::Green(_) => true,
                Outlook::AskBase => integrates,
                // Behind another it waits for what becomes of that one.
                _ => integrates || first == Some(n) || attempt.what == Trial::Base,
            },
        });
    let waiting = integrates
        && queued(state)
            .filter_map(|slug| state.features.get(slug))
            .any(|feature| may_be_tried(state, run, feature));
    let publishing =
        merging.publish.is_some() || (publishes(run) && merging.publishing == Publishing::Ready);
    let able = merging.infra < INFRA_LIMIT;
    let reconciling = integrates && able && merging.publishing == Publishing::Ahead;
    !busy && !waiting && !publishing && !reconciling && merging.rewinding.is_none()
}

/// A queued feature that cannot land in this run: what it would land on fails, or a feature it depends on
/// was taken back. To be asked when nothing is left that could change that.
pub(super) fn park_held(state: &State, run: &Run) -> Option<Event> {
    let red = base_failure(state, run);
    queued(state).find_map(|slug| {
        let feature = state.features.get(slug)?;
        let held = is_held(state, feature);
        let missing = feature
            .spec
            .depends_on
            .iter()
            .find(|name| !state.is_merged(name));
        let why = match (red.filter(|_| held), missing.filter(|_| feature.unmet > 0)) {
            (Some(red), _) => ParkReason::BaseBroken { red: red.clone() },
            (None, Some(slug)) => ParkReason::Dependency { slug: slug.clone() },
            (None, None) => return None,
        };
        let slug = slug.clone();
        Some(Event::Parked { slug, why })
    })
}
