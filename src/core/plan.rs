//! The plan: the order in which features would be worked on if nothing went wrong.
//!
//! Computed when somebody looks; nothing is decided by it.

use super::state::State;
use crate::model::{FeatureSpec, Slug};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// One line of the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Planned {
    /// Which feature.
    pub slug: Slug,
    /// 1 for what can start at once, 2 for what waits only for those, and so on.
    pub wave: u32,
    /// Dependencies that have not landed.
    pub waits_for: Vec<Slug>,
    /// Length of the longest chain of features that begins with it.
    pub chain: u32,
}

/// The order in which one slot would work: ready features by priority, order file, chain and name;
/// each as soon as everything it depends on stands before it. Landed features come first.
#[must_use]
pub fn plan(state: &State) -> Vec<Planned> {
    let mut wave: BTreeMap<&Slug, u32> = BTreeMap::new();
    for slug in state.graph.in_order() {
        let Some(feature) = state.features.get(slug) else {
            continue;
        };
        let after = feature
            .spec
            .depends_on
            .iter()
            .filter_map(|name| wave.get(name))
            .max()
            .copied();
        let own = if feature.is_merged() {
            0
        } else {
            after.unwrap_or(0) + 1
        };
        wave.insert(slug, own);
    }
    let mut open: BTreeMap<&Slug, usize> = BTreeMap::new();
    let mut ready = BTreeSet::new();
    for feature in state.features.values() {
        let slug = &feature.spec.slug;
        let count = feature
            .spec
            .depends_on
            .iter()
            .collect::<BTreeSet<_>>()
            .into_iter()
            .filter(|name| wave.contains_key(name))
            .count();
        open.insert(slug, count);
        if count == 0 && wave.contains_key(slug) {
            ready.insert((!feature.is_merged(), state.ready_key(feature), slug));
        }
    }
    let mut planned = Vec::new();
    while let Some((_, _, slug)) = ready.pop_first() {
        for next in state.graph.dependents(slug) {
            let Some((count, feature)) = open.get_mut(next).zip(state.features.get(next)) else {
                continue;
            };
            *count = count.saturating_sub(1);
            if *count == 0 {
                ready.insert((
                    !feature.is_merged(),
                    state.ready_key(feature),
                    &feature.spec.slug,
                ));
            }
        }
        planned.push(Planned {
            slug: slug.clone(),
            wave: wave.get(slug).copied().unwrap_or(1),
            waits_for: state
                .spec(slug)
                .map(|spec| open_dependencies(state, spec))
                .unwrap_or_default(),
            chain: state.graph.chain(slug),
        });
    }
    planned
}

fn open_dependencies(state: &State, spec: &FeatureSpec) -> Vec<Slug> {
    spec.depends_on
        .iter()
        .filter(|name| !state.is_merged(name))
        .cloned()
        .collect()
}
