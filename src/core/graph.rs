//! The dependency graph: who waits for whom, how long the chains are, and what is wrong with it.
//!
//! The only file that knows petgraph. It sees names and edges, never phases.

use crate::model::{FeatureSpec, Slug};
use petgraph::Direction;
use petgraph::algo::{kosaraju_scc, toposort};
use petgraph::graph::{DiGraph, NodeIndex};
use serde::{Deserialize, Serialize};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What is wrong with a set of features as a graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GraphProblem {
    /// A feature names one that does not exist.
    Unknown {
        /// Which feature.
        slug: Slug,
        /// The name it uses.
        named: Slug,
        /// The key it stands under: `depends_on` or `after`.
        key: &'static str,
    },
    /// Features that wait for each other.
    Cycle {
        /// The way round, first and last the same: `a -> b -> a`.
        path: Vec<Slug>,
    },
    /// A selected feature waits for one that is neither selected nor merged.
    Unselected {
        /// The selected feature.
        slug: Slug,
        /// What it waits for.
        needs: Slug,
    },
}

/// Features and their hard dependencies.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(into = "Plain", try_from = "Plain")]
pub(super) struct Graph {
    graph: DiGraph<Slug, ()>,
    index: BTreeMap<Slug, NodeIndex>,
    chain: BTreeMap<Slug, u32>,
}

/// The same as names and edges, in their order.
#[derive(Serialize, Deserialize)]
struct Plain {
    nodes: Vec<Slug>,
    edges: Vec<(u32, u32)>,
}

impl From<Graph> for Plain {
    fn from(graph: Graph) -> Self {
        let place = |node: NodeIndex| u32::try_from(node.index()).unwrap_or(u32::MAX);
        let edges = graph.graph.raw_edges().iter();
        let edges = edges.map(|edge| (place(edge.source()), place(edge.target())));
        Self {
            nodes: graph
                .graph
                .raw_nodes()
                .iter()
                .map(|node| node.weight.clone())
                .collect(),
            edges: edges.collect(),
        }
    }
}

impl TryFrom<Plain> for Graph {
    type Error = &'static str;

    fn try_from(plain: Plain) -> Result<Self, Self::Error> {
        let mut built = Self::default();
        for slug in plain.nodes {
            let node = built.graph.add_node(slug.clone());
            built.index.insert(slug, node);
        }
        for (from, to) in plain.edges {
            let known = built.graph.node_count();
            if [from, to]
                .iter()
                .any(|n| usize::try_from(*n).is_ok_and(|n| n >= known))
            {
                return Err("an edge leads nowhere");
            }
            built
                .graph
                .add_edge(NodeIndex::from(from), NodeIndex::from(to), ());
        }
        built.chain = built.chains();
        Ok(built)
    }
}

impl Graph {
    /// Builds the graph; edges run from a dependency to its dependents. Edges to unknown features are
    /// left out ([`check`] reports them).
    pub(super) fn new<'a>(features: impl IntoIterator<Item = &'a FeatureSpec>) -> Self {
        let specs: Vec<_> = features.into_iter().collect();
        let mut built = Self::default();
        for spec in &specs {
            let node = built.graph.add_node(spec.slug.clone());
            built.index.insert(spec.slug.clone(), node);
        }
        for spec in &specs {
            let Some(&to) = built.index.get(&spec.slug) else {
                continue;
            };
            for from in spec.depends_on.iter().collect::<BTreeSet<_>>() {
                if let Some(&from) = built.index.get(from) {
                    built.graph.add_edge(from, to, ());
                }
            }
        }
        built.chain = built.chains();
        built
    }

    /// The features that depend directly on `slug`.
    pub(super) fn dependents<'a>(&'a self, slug: &Slug) -> impl Iterator<Item = &'a Slug> + 'a {
        self.index
            .get(slug)
            .into_iter()
            .flat_map(|&node| {
                self.graph
                    .neighbors_directed(node, Direction::Outgoing)
                    .collect::<Vec<_>>()
            })
            .map(|node| &self.graph[node])
    }

    /// Length of the longest chain that begins with `slug`, counting itself: its share of the critical
    /// path.
    pub(super) fn chain(&self, slug: &Slug) -> u32 {
        self.chain.get(slug).copied().unwrap_or(1)
    }

    /// Features so that each comes after everything it depends on; those in a cycle are missing.
    pub(super) fn in_order(&self) -> Vec<&Slug> {
        match toposort(&self.graph, None) {
            Ok(nodes) => nodes.into_iter().map(|node| &self.graph[node]).collect(),
            Err(_) => Vec::new(),
        }
    }

    fn chains(&self) -> BTreeMap<Slug, u32> {
        let mut length: BTreeMap<Slug, u32> = BTreeMap::new();
        for slug in self.in_order().into_iter().rev() {
            let longest = self
                .dependents(slug)
                .filter_map(|next| length.get(next))
                .max()
                .copied()
                .unwrap_or(0);
            length.insert(slug.clone(), longest + 1);
        }
        length
    }
}

/// Everything that is wrong with `features` as a graph: unknown names, and one cycle for each knot.
/// `after` edges count: a circle through one would wait for itself just the same.
#[must_use]
pub fn check(features: &[FeatureSpec]) -> Vec<GraphProblem> {
    let known: BTreeSet<&Slug> = features.iter().map(|spec| &spec.slug).collect();
    let mut problems = Vec::new();
    let mut graph = DiGraph::<&Slug, ()>::new();
    let index: BTreeMap<&Slug, NodeIndex> = known
        .iter()
        .map(|slug| (*slug, graph.add_node(*slug)))
        .collect();
    for spec in features {
        let hard = spec.depends_on.iter().map(|name| ("depends_on", name));
        let soft = spec.after.iter().map(|name| ("after", name));
        for (key, named) in hard.chain(soft) {
            match (index.get(&spec.slug), index.get(named)) {
                (Some(&from), Some(&to)) => {
                    graph.update_edge(from, to, ());
                }
                _ => problems.push(GraphProblem::Unknown {
                    slug: spec.slug.clone(),
                    named: named.clone(),
                    key,
                }),
            }
        }
    }
    for knot in kosaraju_scc(&graph) {
        let knot: BTreeSet<NodeIndex> = knot.into_iter().collect();
        if let Some(path) = shortest_circle(&graph, &knot) {
            problems.push(GraphProblem::Cycle { path });
        }
    }
    problems
}

/// The shortest way from the alphabetically first member of a knot back to itself; `None` when the
/// knot is one feature that does not name itself.
fn shortest_circle(graph: &DiGraph<&Slug, ()>, knot: &BTreeSet<NodeIndex>) -> Option<Vec<Slug>> {
    let start = *knot.iter().min_by_key(|node| graph[**node])?;
    let mut came_from: BTreeMap<NodeIndex, NodeIndex> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        let mut next: Vec<NodeIndex> = graph.neighbors(node).filter(|n| knot.contains(n)).collect();
        next.sort_by_key(|n| graph[*n]);
        for to in next {
            if to == start {
                let mut path = vec![graph[start].clone(), graph[node].clone()];
                let mut at = node;
                while at != start {
                    at = came_from[&at];
                    path.push(graph[at].clone());
                }
                path.reverse();
                return Some(path);
            }
            if let Entry::Vacant(new) = came_from.entry(to) {
                new.insert(node);
                queue.push_back(to);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slug(name: &str) -> Slug {
        Slug::new(name).unwrap()
    }

    fn feature(name: &str, depends_on: &[&str]) -> FeatureSpec {
        FeatureSpec {
            depends_on: depends_on.iter().map(|name| slug(name)).collect(),
            ..FeatureSpec::bare(slug(name))
        }
    }

    #[test]
    fn a_cycle_is_named_with_its_members_in_order() {
        let found = check(&[
            feature("c", &["b"]),
            feature("a", &["c"]),
            feature("b", &["a"]),
            feature("free", &["a"]),
        ]);
        let path = ["a", "c", "b", "a"].map(slug).to_vec();
        assert_eq!(found, [GraphProblem::Cycle { path }]);
    }

    #[test]
    fn a_feature_that_waits_for_itself_is_a_cycle() {
        let path = ["a", "a"].map(slug).to_vec();
        assert_eq!(
            check(&[feature("a", &["a"])]),
            [GraphProblem::Cycle { path }]
        );
    }

    #[test]
    fn a_soft_edge_can_close_a_cycle() {
        let mut b = feature("b", &[]);
        b.after = vec![slug("a")];
        assert!(matches!(
            check(&[feature("a", &["b"]), b]).as_slice(),
            [GraphProblem::Cycle { .. }]
        ));
    }

    #[test]
    fn an_unknown_name_is_reported_with_its_key() {
        let found = check(&[feature("a", &["ghost"])]);
        assert_eq!(
            found,
            [GraphProblem::Unknown {
                slug: slug("a"),
                named: slug("ghost"),
                key: "depends_on"
            }]
        );
    }

    #[test]
    fn the_chain_counts_the_longest_way_to_the_end() {
        let features = [
            feature("a", &[]),
            feature("b", &["a"]),
            feature("c", &["b"]),
            feature("d", &["a"]),
        ];
        let graph = Graph::new(&features);
        assert_eq!(graph.chain(&slug("a")), 3);
        assert_eq!(graph.chain(&slug("b")), 2);
        assert_eq!(graph.chain(&slug("d")), 1);
    }
}
