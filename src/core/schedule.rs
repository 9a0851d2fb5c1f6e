//! What follows from what is known: judging reports, starting what may start, ending the run.
//!
//! [`next`] gives one fact at a time; the turn applies it and asks again until nothing follows. Because
//! it looks only at the state, a turn that was cut short by a crash is simply continued.

use super::accounts::{is_active, own_profile};
use super::breaker::TAMPERED;
use super::budget::{feature_news, feature_used_up, run_news, run_used_up};
use super::caches;
use super::deadline;
use super::exit::exit_codes;
use super::feature::{Feature, Phase};
use super::ladder;
use super::merge;
use super::state::{Run, State};
use crate::model::{Event, SkipReason, Slug, Stamp, StopLevel, WorktreeName};
use std::collections::BTreeSet;
use std::path::Path;

/// Failures in a row that were nobody's fault after which a feature is given up for this run.
pub(super) const INFRA_LIMIT: u32 = 3;

/// The next fact that follows from the state at `now`, if any.
#[must_use]
pub fn next(state: &State, now: Stamp) -> Option<Event> {
    let run = state.live()?;
    judge(state, run)
        .or_else(|| notice(state, run))
        .or_else(|| merge::next(state, run, now))
        .or_else(|| deadline::time_up(state, run, now))
        .or_else(|| start_iteration(state, run, now))
        .or_else(|| start_feature(state, run, now))
        .or_else(|| park_held(state, run))
        .or_else(|| end(state, run))
}

/// Whether new work may start in this run.
pub(super) fn admits(state: &State, run: &Run) -> bool {
    admits_but_for_limits(state, run)
        && run.iterations < run.settings.max_iterations
        && run_used_up(run).is_none()
}

fn admits_but_for_limits(state: &State, run: &Run) -> bool {
    run.stop.is_none() && state.halt.is_none() && run.halted_by.is_none() && !run.time_up
}

/// Whether new work waits because the machine is short of something. What runs may end that; when nothing
/// does, waiting would not help.
fn is_held_back(state: &State, run: &Run) -> bool {
    run.strain.is_some() && state.is_anything_at_work()
}

/// Whether claimed features may still be integrated. A used-up account or iteration budget does not
/// keep finished work from landing; a person's wish to stop does.
pub(super) fn integrates(state: &State, run: &Run) -> bool {
    run.stop.is_none() && state.halt.is_none()
}

fn judge(state: &State, run: &Run) -> Option<Event> {
    state
        .unjudged
        .iter()
        .find_map(|slug| verdict(run, slug, state.features.get(slug)?))
}

/// What a person is to be told.
fn notice(state: &State, run: &Run) -> Option<Event> {
    let mut unjudged = state.unjudged.iter();
    let of_a_feature =
        || unjudged.find_map(|slug| feature_news(run, slug, state.features.get(slug)?));
    run_news(run)
        .or_else(of_a_feature)
        .or_else(|| caches::news(state, run))
}

/// The verdict on a feature's last report, gate run or failure; `None`: it goes on.
fn verdict(run: &Run, slug: &Slug, feature: &Feature) -> Option<Event> {
    let slug = slug.clone();
    let idle = matches!(
        feature.phase,
        Phase::Working { running: None } | Phase::Pending
    );
    if !idle {
        return left_out(slug, feature);
    }
    // Before anything it says: whoever reaches into what is not its own is not believed, nor called again.
    let tampered = feature.last.as_ref().and_then(|last| last.tampered.clone());
    if let Some(why) = tampered {
        let breaker = TAMPERED.to_owned();
        return Some(Event::Tripped { slug, breaker, why });
    }
    if let Some(last) = feature.last.as_ref().filter(|last| !last.stopped) {
        match (last.blocked.clone(), last.done.clone()) {
            // Of what is left out nothing is asked; that it is done stays true.
            (Some(_), _) if feature.skip.is_some() => {}
            (Some(question), _) => return Some(Event::Blocked { slug, question }),
            (None, Some(summary)) => return Some(Event::Claimed { slug, summary }),
            (None, None) => {}
        }
    }
    if feature.skip.is_some() {
        return left_out(slug, feature);
    }
    let breakers = &run.settings.breakers;
    if let Some(trip) = feature.breakers.trip(breakers, feature.spec.stuck) {
        return Some(ladder::opened(run, slug, feature, trip));
    }
    let why = if feature.infra >= INFRA_LIMIT {
        let text = feature.infra_text.clone();
        match feature.infra_setup {
            true => SkipReason::Setup { text },
            false => SkipReason::Spawn { text },
        }
    } else if feature.charged >= run.settings.max_iterations_per_feature {
        let cap = run.settings.max_iterations_per_feature;
        SkipReason::IterationsUsedUp { cap }
    } else if let Some(spending) = feature_used_up(&run.settings, feature) {
        SkipReason::BudgetUsedUp { spending }
    } else if !feature.listed && matches!(feature.phase, Phase::Working { .. }) {
        SkipReason::SpecRemoved
    } else {
        return None;
    };
    Some(Event::Failed { slug, why })
}

/// What a person wants left out is, as soon as nothing is under way for it.
fn left_out(slug: Slug, feature: &Feature) -> Option<Event> {
    let text = feature.skip.clone().filter(|_| feature.is_at_rest())?;
    let done = feature.is_done();
    let why = SkipReason::LeftOut { text, done };
    Some(Event::Failed { slug, why })
}

fn start_iteration(state: &State, run: &Run, now: Stamp) -> Option<Event> {
    if !admits(state, run) || is_held_back(state, run) {
        return None;
    }
    let active = active(state);
    if active.count() >= slots(run) {
        return None;
    }
    state.in_slots.iter().find_map(|slug| {
        let feature = state.features.get(slug)?;
        let starts = feature.phase == (Phase::Working { running: None })
            && feature.not_before <= now
            // What the last iteration taught must stand in the next prompt.
            && feature.last_write <= state.writes_done;
        let profile = starts.then(|| state.profile_for(run, feature, now))??;
        Some(Event::IterationStarted {
            slug: slug.clone(),
            iteration: feature.iterations + 1,
            instead: (profile != own_profile(run, feature)).then(|| profile.to_owned()),
            rung: ladder::rung(run, feature).cloned(),
        })
    })
}

/// Features that an agent is at work on, or is about to be.
pub(super) fn active(state: &State) -> impl Iterator<Item = &Feature> {
    let features = state.in_slots.iter();
    let features = features.filter_map(|slug| state.features.get(slug));
    features.filter(|feature| is_active(feature))
}

pub(super) fn slots(run: &Run) -> usize {
    usize::try_from(run.settings.parallel).unwrap_or(usize::MAX)
}

/// Slots that are taken. Who waits for its account leaves its slot to others meanwhile.
fn taken(state: &State, run: &Run, now: Stamp) -> usize {
    let taken = state.in_slots.iter().filter(|slug| {
        let feature = state.features.get(*slug);
        feature.is_none_or(|feature| {
            is_active(feature) || state.closed_account(run, feature, now).is_none()
        })
    });
    taken.count()
}

fn start_feature(state: &State, run: &Run, now: Stamp) -> Option<Event> {
    let full = taken(state, run, now) >= slots(run);
    if !admits(state, run) || full || is_held_back(state, run) {
        return None;
    }
    let mut over = None;
    let slug = state.ready.iter().map(|(_, slug)| slug).find(|slug| {
        state.features.get(*slug).is_some_and(|feature| {
            feature.not_before <= now
                && clash(state, feature).is_none()
                && waits_after(state, feature, &mut over).is_none()
                && state.profile_for(run, feature, now).is_some()
        })
    })?;
    let worktree = match state.features.get(slug)?.worktree {
        Some(own) => own,
        None => lowest_free(state),
    };
    Some(Event::Started {
        slug: slug.clone(),
        worktree,
    })
}

fn lowest_free(state: &State) -> WorktreeName {
    let mut number = 1;
    while state.worktrees.contains_key(&WorktreeName(number)) {
        number += 1;
    }
    WorktreeName(number)
}

/// The active feature that shares a lock or a path with this one.
pub(super) fn clash<'a>(state: &'a State, feature: &Feature) -> Option<&'a Slug> {
    if feature.spec.touches.is_empty() && feature.spec.locks.is_empty() {
        return None;
    }
    // A claimed feature that has not landed still owns its paths: to start before it lands would be to
    // start on a base that is about to change there. One that this run leaves alone lands in none of its time.
    let queued = merge::queued(state);
    state
        .in_slots
        .iter()
        .chain(queued)
        .chain(state.integrating.iter())
        .filter(|slug| **slug != feature.spec.slug)
        .find(|slug| {
            state.features.get(*slug).is_some_and(|other| {
                // One that cannot land until the base is repaired keeps nobody from repairing it.
                !merge::is_held(state, other) && overlap(feature, other)
            })
        })
}

pub(super) fn overlap(a: &Feature, b: &Feature) -> bool {
    a.spec.locks.iter().any(|name| b.spec.locks.contains(name))
        || a.spec
            .touches
            .iter()
            .any(|x| b.spec.touches.iter().any(|y| same_place(x, y)))
}

/// Whether two path lists may mean the same file: the literal part of one begins the other's.
fn same_place(a: &str, b: &str) -> bool {
    let literal = |pattern: &str| {
        let end = pattern.find(['*', '?', '[', '{']).unwrap_or(pattern.len());
        let text = pattern.get(..end).unwrap_or_default();
        // `src/ap*` owns everything in `src` as far as we can tell.
        let whole = end == pattern.len();
        let cut = if whole {
            text
        } else {
            text.rsplit_once('/').map_or("", |(dir, _)| dir)
        };
        cut.trim_start_matches("./").trim_matches('/').to_owned()
    };
    let (a, b) = (literal(a), literal(b));
    let (a, b) = (Path::new(&a), Path::new(&b));
    a.starts_with(b) || b.starts_with(a)
}

/// The feature of its `after` list that has not ended and still may.
pub(super) fn waits_after<'a>(
    state: &State,
    feature: &'a Feature,
    over: &mut Option<BTreeSet<Slug>>,
) -> Option<&'a Slug> {
    feature.spec.after.iter().find(|name| {
        let Some(other) = state.features.get(*name) else {
            return false;
        };
        let ended = other.is_merged() || other.is_halted() || !other.listed;
        if ended || !state.is_selected(name) {
            return false;
        }
        !over
            .get_or_insert_with(|| over_for_now(state))
            .contains(*name)
    })
}

/// Pending features that wait for one that will not merge without a person (or in this run).
pub(super) fn hopeless_features(state: &State) -> BTreeSet<Slug> {
    doomed_by(state, &|_| false)
}

/// Features that nothing more comes of in this run: hopeless ones, those whose account cannot be used any more, and what
/// depends on them.
pub(super) fn over_for_now(state: &State) -> BTreeSet<Slug> {
    let Some(run) = state.live() else {
        return hopeless_features(state);
    };
    let lost = |feature: &Feature| {
        let idle = matches!(
            feature.phase,
            Phase::Pending | Phase::Working { running: None }
        );
        idle && state.lost_account(run, feature).is_some()
    };
    let mut over = doomed_by(state, &lost);
    let features = state.features.values().filter(|feature| lost(feature));
    over.extend(features.map(|feature| feature.spec.slug.clone()));
    over
}

fn doomed_by(state: &State, lost: &dyn Fn(&Feature) -> bool) -> BTreeSet<Slug> {
    let mut hopeless = BTreeSet::new();
    for slug in state.graph.in_order() {
        let Some(feature) = state.features.get(slug) else {
            continue;
        };
        if feature.phase != Phase::Pending || feature.unmet == 0 {
            continue;
        }
        let doomed = feature.spec.depends_on.iter().any(|name| {
            hopeless.contains(name)
                || state.features.get(name).is_none_or(|dependency| {
                    let absent = !dependency.listed || !state.is_selected(name);
                    dependency.is_halted()
                        || lost(dependency)
                        || (absent && dependency.phase == Phase::Pending)
                })
        });
        if doomed {
            hopeless.insert(slug.clone());
        }
    }
    hopeless
}

/// Features that wait for a broken base to be repaired are given up when nobody is left who could repair
/// it; others may wait for them.
fn park_held(state: &State, run: &Run) -> Option<Event> {
    let alone = state.in_slots.is_empty() && merge::is_quiet(state, run);
    merge::park_held(state, run).filter(|_| alone)
}

/// The run ends when nothing is under way and nothing can start any more.
fn end(state: &State, run: &Run) -> Option<Event> {
    if !is_quiet(state, run) || !run.tidied {
        return None;
    }
    if let Some(event) = merge::publish_once_more(state, run) {
        return Some(event);
    }
    let codes = exit_codes(state);
    Some(Event::RunEnded {
        code: codes.first().copied().unwrap_or(0),
        codes,
    })
}

/// Whether nothing is under way and nothing will start without a new input.
pub(super) fn is_quiet(state: &State, run: &Run) -> bool {
    let terminating = run.stop.is_some_and(StopLevel::terminates);
    let busy = state.in_slots.iter().any(|slug| {
        state
            .features
            .get(slug)
            .is_some_and(|feature| match feature.phase {
                Phase::Working { running: Some(_) } => true,
                // Terminating stops the preparation; the next run prepares again.
                Phase::Preparing => !terminating,
                _ => admits(state, run) && state.lost_account(run, feature).is_none(),
            })
    });
    !busy
        && merge::is_quiet(state, run)
        && state.writes.is_empty()
        && !(admits(state, run) && is_something_startable(state, run))
}

/// Whether a feature will start by itself although nothing is under way: what would have to come to its end first will
/// not, if its account cannot be used any more in this run.
fn is_something_startable(state: &State, run: &Run) -> bool {
    let mut over = None;
    let mut ready = state.ready.iter();
    let ready = ready
        .by_ref()
        .filter_map(|(_, slug)| state.features.get(slug));
    let mut usable = ready.filter(|feature| state.lost_account(run, feature).is_none());
    usable.any(|feature| {
        clash(state, feature).is_none() && waits_after(state, feature, &mut over).is_none()
    })
}

#[cfg(test)]
mod tests {
    use super::same_place;

    #[test]
    fn paths_clash_by_whole_components() {
        assert!(same_place("src/api", "src/api/users.rs"));
        assert!(same_place("src/**", "src/api"));
        assert!(same_place("./src/api/", "src/api"));
        assert!(same_place("**/*.rs", "docs"));
        assert!(same_place("src/ap*", "src/api"));
        assert!(!same_place("src/api", "src/apiary"));
        assert!(!same_place("src/api", "src/web"));
    }
}
