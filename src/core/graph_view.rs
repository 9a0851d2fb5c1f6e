//! The dependency graph as a person sees it: who needs whom, where each stands, and which chain decides how long the rest
//! takes.
//!
//! It reads the picture only.

use super::stage::Stage;
use super::view::{FeatureView, View};
use crate::model::Slug;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// The graph.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct GraphView {
    /// Every feature, each after all that it needs, else in the order of the plan.
    pub features: Vec<Node>,
    /// The longest chain of features that have not landed, each needing the one before; among chains of one length the
    /// one that is planned first. The features in it count alike, however much there is to do for each. Who is not
    /// selected is in no chain: the run leaves them alone.
    pub critical_path: Vec<Slug>,
}

/// A feature in the graph.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Node {
    /// Which.
    pub slug: Slug,
    /// Heading of its spec.
    pub title: String,
    /// Where it stands.
    pub stage: Stage,
    /// What must have landed before it starts; only those that there are.
    pub depends_on: Vec<Slug>,
    /// So many features stand between it and one that needs nothing, on the longest way.
    pub level: u32,
    /// Whether it is on the critical path.
    pub critical: bool,
    /// Whether the run is limited to others.
    pub unselected: bool,
}

/// The graph of a picture.
#[must_use]
pub fn graph(view: &View) -> GraphView {
    let by_name: BTreeMap<&Slug, &FeatureView> =
        view.features.iter().map(|f| (&f.slug, f)).collect();
    let levels = levels(&view.features, &by_name);
    let critical_path = critical_path(&view.features, &by_name, &levels);
    let critical: BTreeSet<&Slug> = critical_path.iter().collect();
    let mut features: Vec<Node> = view
        .features
        .iter()
        .map(|feature| Node {
            slug: feature.slug.clone(),
            title: feature.title.clone(),
            stage: feature.stage,
            depends_on: needed(feature, &by_name).map(|f| f.slug.clone()).collect(),
            level: levels.get(&feature.slug).copied().unwrap_or(0),
            critical: critical.contains(&feature.slug),
            unselected: feature.unselected,
        })
        .collect();
    features.sort_by_key(|node| node.level);
    GraphView {
        features,
        critical_path,
    }
}

/// What a feature needs, each once, as far as it is there.
fn needed<'a>(
    feature: &'a FeatureView,
    by_name: &'a BTreeMap<&Slug, &FeatureView>,
) -> impl Iterator<Item = &'a FeatureView> {
    let names: BTreeSet<&Slug> = feature.depends_on.iter().collect();
    names
        .into_iter()
        .filter_map(|name| by_name.get(name).copied())
}

/// How far each is from one that needs nothing, on the longest way. The plan has each behind all that it needs; what waits
/// for itself is behind all others, and counts as if it needed only those. A run refuses such features.
fn levels<'a>(
    features: &'a [FeatureView],
    by_name: &BTreeMap<&Slug, &'a FeatureView>,
) -> BTreeMap<&'a Slug, u32> {
    let mut levels: BTreeMap<&Slug, u32> = BTreeMap::new();
    for feature in features {
        let needs = needed(feature, by_name).filter_map(|f| levels.get(&f.slug));
        let level = needs.max().map_or(0, |level| level + 1);
        levels.insert(&feature.slug, level);
    }
    levels
}

/// The longest chain of what is to land and has not.
fn critical_path(
    features: &[FeatureView],
    by_name: &BTreeMap<&Slug, &FeatureView>,
    levels: &BTreeMap<&Slug, u32>,
) -> Vec<Slug> {
    let mut in_order: Vec<&FeatureView> = features
        .iter()
        .filter(|f| f.stage != Stage::Merged && !f.unselected)
        .collect();
    in_order.sort_by_key(|f| levels.get(&f.slug));
    // Of each, the length of the longest chain that ends with it, and what comes before it there.
    let mut chains: BTreeMap<&Slug, (u32, Option<&Slug>)> = BTreeMap::new();
    for feature in &in_order {
        let mut best = (1, None);
        for before in needed(feature, by_name) {
            let length = chains.get(&before.slug).map_or(0, |(length, _)| *length);
            if length > 0 && length + 1 > best.0 {
                best = (length + 1, Some(&before.slug));
            }
        }
        chains.insert(&feature.slug, best);
    }
    let longest = chains
        .values()
        .map(|(length, _)| *length)
        .max()
        .unwrap_or(0);
    let mut planned = features.iter().map(|f| &f.slug);
    let last = planned.find(|slug| chains.get(slug).is_some_and(|(n, _)| *n == longest));
    let mut path = Vec::new();
    let mut at = last;
    while let Some(slug) = at {
        path.push(slug.clone());
        at = chains.get(slug).and_then(|(_, before)| *before);
    }
    path.reverse();
    path
}
