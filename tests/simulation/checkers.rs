//! What must hold: after every turn, at the end of every run, and in the morning.

use super::auditor::Where;
use super::world::Sim;
use harness::core::{FeatureView, Stage, State, exit_codes, next, view, wake_at, wanted};
use harness::driver::turn::Engine;
use harness::model::{Effect, EffectKey, Event, Record, Slug, Stamp};
use std::collections::{BTreeMap, BTreeSet};

/// Turns between two comparisons of everything that is known.
const COMPARE_EVERY: usize = 64;
/// Later than any wait lasts.
const FAR: u64 = 400 * 24 * 3_600_000;

/// After a turn.
pub(super) fn turn(sim: &Sim, state: &State, shadow: &State, turn: usize) {
    assert_eq!(
        sim.unnamed(),
        None,
        "runs, and the journal does not name it"
    );
    let effects = wanted(state);
    for key in effects.iter().map(Effect::key) {
        let waits = key == EffectKey::Tidy || sim.is_under_way(&EffectKey::Tidy);
        assert!(
            waits || sim.is_under_way(&key),
            "{key:?} is wanted and not under way"
        );
    }
    assert_eq!(
        shadow.seq(),
        state.seq(),
        "something is known that was not recorded"
    );
    assert_eq!(
        wanted(shadow),
        effects,
        "the journal calls for something else"
    );
    if turn.is_multiple_of(COMPARE_EVERY) {
        same(shadow, state);
    }
    if !turn.is_multiple_of(4) {
        return;
    }
    let late = Stamp(sim.now.0 + FAR);
    let due = next(state, late).filter(|event| !matches!(event, Event::RightOfWayEnded { .. }));
    if due.is_some() && wake_at(state, sim.now).is_none() {
        panic!("time alone would bring {due:?}, and nothing wakes the run for it");
    }
}

/// Two states that know the same, down to the last field.
fn same(a: &State, b: &State) {
    assert_eq!(
        format!("{a:?}"),
        format!("{b:?}"),
        "a replay knows something else"
    );
}

/// When a run has ended.
pub(super) fn run(sim: &Sim, state: &State, code: u8) {
    let codes = exit_codes(state);
    assert_eq!(Some(&code), codes.first());
    let read: Vec<Record> = match sim.disk.journal.len() % 8 {
        // Through the form in which it stands on a disk.
        0 => sim.disk.journal.iter().map(through_json).collect(),
        _ => sim.disk.journal.clone(),
    };
    same(Engine::replay(&read).state(), state);
    let picture = view(state, state.last_at());
    let open: Vec<&FeatureView> = picture
        .features
        .iter()
        .filter(|feature| feature.stage != Stage::Merged && !feature.unselected)
        .filter(|feature| !state.is_undone(&feature.slug) && feature.stage != Stage::LeftOut)
        .collect();
    for feature in &open {
        let slug = &feature.slug;
        assert!(
            is_explained(feature, &codes),
            "{slug} is {:?} without a reason: {codes:?}",
            feature.stage
        );
    }
    let unpublished = state.unpublished().next().is_some() && sim.settings.merge.publish;
    assert_eq!(
        code == 0,
        open.is_empty() && !unpublished,
        "exit {code}, open: {open:?}"
    );
    if code == 0 && !sim.disk.repo.rewritten && sim.settings.merge.publish {
        assert!(
            sim.disk.repo.is_published(),
            "said to be published, and it is not"
        );
    }
}

fn through_json(record: &Record) -> Record {
    let line = serde_json::to_string(record).unwrap();
    serde_json::from_str(&line).unwrap()
}

/// Whether a person is told why it has not landed.
fn is_explained(feature: &FeatureView, codes: &[u8]) -> bool {
    let told = feature.detail.is_some() || !feature.waits.is_empty();
    let has = |any: &[u8]| codes.iter().any(|code| any.contains(code));
    match feature.stage {
        Stage::Blocked => told && has(&[4]),
        Stage::Tripped => told && has(&[5]),
        Stage::Parked | Stage::Review => told && has(&[8]),
        Stage::Failed => told && has(&[1, 7]),
        Stage::Skipped => told && !has(&[0]),
        _ => has(&[1, 3, 4, 5, 6, 7, 130, 143]),
    }
}

/// In the morning.
pub(super) fn night(sim: &Sim) {
    lessons(sim);
    let state = Engine::replay(&sim.disk.journal);
    let state = state.state();
    landed_work_is_there(sim, state);
    unsaved_work_is_kept(sim, state);
}

/// Every lesson of every ended iteration is written, exactly once.
fn lessons(sim: &Sim) {
    let mut times: BTreeMap<&str, u32> = BTreeMap::new();
    for entry in sim.disk.written.values() {
        let quoted = entry.split('"').filter(|text| text.starts_with("lesson "));
        quoted.for_each(|lesson| *times.entry(lesson).or_default() += 1);
    }
    for record in &sim.disk.journal {
        if let Event::IterationEnded { report, .. } = &record.event {
            for lesson in &report.lessons {
                assert_eq!(times.get(lesson.as_str()), Some(&1), "{lesson}");
            }
        }
    }
}

/// What the journal calls landed is in the target, or at least in the integration ref.
fn landed_work_is_there(sim: &Sim, state: &State) {
    let repo = &sim.disk.repo;
    let unpublished: BTreeSet<&Slug> = state.unpublished().map(|(slug, _)| slug).collect();
    let landings = state
        .landings()
        .into_iter()
        .flat_map(|(_, landings)| landings);
    for (slug, _) in landings.filter(|(slug, _)| !state.landed_empty(slug)) {
        let place = match unpublished.contains(slug) {
            true => repo.integration,
            false => repo.target,
        };
        assert!(repo.rewritten || repo.holds(place, slug), "{slug} is lost");
    }
}

/// When the target has moved: what the journal does not hold to be unpublished is in it.
pub(super) fn published(sim: &Sim, state: &State) {
    let repo = &sim.disk.repo;
    let unpublished: BTreeSet<&Slug> = state.unpublished().map(|(slug, _)| slug).collect();
    let landings = state.landings().into_iter();
    for (slug, _) in landings.flat_map(|(_, landings)| landings) {
        let public = !unpublished.contains(slug) && !state.landed_empty(slug);
        assert!(
            !public || repo.rewritten || repo.holds(repo.target, slug),
            "{slug} is called public, and it is not"
        );
    }
}

/// What an agent left and no snapshot holds stays in a worktree that its feature holds.
fn unsaved_work_is_kept(sim: &Sim, state: &State) {
    for (name, (slug, unsaved)) in &sim.disk.worktrees {
        let known = sim.auditor.of(slug);
        let ended = known.place == Where::Landed || known.anew;
        let kept = state.worktree(slug) == Some(*name);
        assert!(
            !unsaved || ended || kept,
            "{name} with work of {slug} is anybody's"
        );
    }
}
