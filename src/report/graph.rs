//! The dependency graph for people and programs: a tree for terminals, Graphviz, Mermaid, JSON.
//!
//! Each feature stands once: below the one that it waits for longest, with the others named beside it.

use super::text::{count, cut, name_cut, names, some, width};
use super::words::{is_active, is_interrupted, stage_shown};
use crate::core::{GraphView, Node, Stage};
use crate::model::Slug;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// From so many features on, what has landed with all below it is one line.
const MANY: usize = 30;
/// Fewer are not worth a fold.
const LEAST_FOLDED: usize = 3;
/// Levels that are moved in, at most; never by more than half of the columns.
const DEEPEST_INDENT: usize = 24;
/// Columns by which a level is moved in.
const INDENT_COLUMNS: usize = 3;
/// Features of the critical path that are named.
const MAX_CHAIN: usize = 12;

/// The tree, for a terminal `columns` wide; `live`: a run is going on.
#[must_use]
pub fn graph_text(graph: &GraphView, live: bool, columns: usize, colour: bool) -> String {
    if graph.features.is_empty() {
        return "no features: a feature is a spec, specs/<name>/spec.md\n".to_owned();
    }
    let tree = Tree::of(graph);
    let mut page = Page {
        tree,
        folds: graph.features.len() >= MANY,
        columns: columns.max(20),
        live,
        colour,
        out: String::new(),
    };
    // By hand: a chain of thousands must not go as deep in this program.
    let mut open: Vec<(&Node, Vec<bool>)> = Vec::new();
    let roots = page.tree.below(None);
    open.extend(roots.into_iter().rev().map(|root| (root, Vec::new())));
    while let Some((node, last)) = open.pop() {
        if page.row(node, &last) {
            continue;
        }
        let children = page.tree.below(Some(&node.slug));
        let number = children.len();
        for (n, child) in children.into_iter().enumerate().rev() {
            let mut last = last.clone();
            last.push(n + 1 == number);
            open.push((child, last));
        }
    }
    let mut out = page.out;
    let _ = writeln!(out, "\n{}", outlook(graph));
    out
}

/// What decides how long the rest takes.
fn outlook(graph: &GraphView) -> String {
    let path = &graph.critical_path;
    let first = path.iter().take(MAX_CHAIN).map(Slug::as_str);
    let mut chain = first.collect::<Vec<_>>().join(" -> ");
    if path.len() > MAX_CHAIN {
        chain.push_str(" -> …");
    }
    let left_out = graph.features.iter().filter(|node| is_left_out(node));
    match (path.len(), left_out.count()) {
        (0, 0) => "everything has landed".to_owned(),
        (0, 1) => "all that was selected has landed; 1 feature was not selected".to_owned(),
        (0, number) => format!(
            "all that was selected has landed; {} were not selected",
            some(number, "feature")
        ),
        (1, _) => format!("critical path (*): 1 feature that has not landed: {chain}"),
        (number, _) => format!(
            "critical path (*): {} that have not landed, each counted alike: {chain}",
            some(number, "feature")
        ),
    }
}

/// Whether the run leaves it alone: it is limited to others.
fn is_left_out(node: &Node) -> bool {
    node.unselected && node.stage != Stage::Merged && !is_active(node.stage)
}

/// For Graphviz; `live`: a run is going on.
#[must_use]
pub fn graph_dot(graph: &GraphView, live: bool) -> String {
    let mut out = String::from("digraph features {\n  rankdir=LR;\n  node [shape=box];\n");
    for node in &graph.features {
        let (slug, stage) = (&node.slug, stage_shown(node.stage, live));
        let colour = match look(node.stage, live) {
            Look::Landed => "palegreen",
            Look::AtWork | Look::Merging => "lightyellow",
            Look::NeedsYou => "lightpink",
            Look::Waits => "white",
        };
        let pen = if node.critical { 2 } else { 1 };
        let _ = writeln!(
            out,
            "  \"{slug}\" [label=\"{slug}\\n{stage}\", style=filled, fillcolor={colour}, penwidth={pen}];"
        );
    }
    for (from, to, critical) in edges(graph) {
        let pen = if critical { " [penwidth=2]" } else { "" };
        let _ = writeln!(out, "  \"{from}\" -> \"{to}\"{pen};");
    }
    out.push_str("}\n");
    out
}

/// For Mermaid, as Markdown pages on many sites show it; `live`: a run is going on.
#[must_use]
pub fn graph_mermaid(graph: &GraphView, live: bool) -> String {
    let mut out = String::from("flowchart LR\n");
    let numbers: BTreeMap<&Slug, usize> = graph
        .features
        .iter()
        .enumerate()
        .map(|(n, node)| (&node.slug, n))
        .collect();
    for (n, node) in graph.features.iter().enumerate() {
        let class = match look(node.stage, live) {
            Look::Landed => "landed",
            Look::AtWork | Look::Merging => "active",
            Look::NeedsYou => "needsyou",
            Look::Waits => "waiting",
        };
        let (slug, stage) = (&node.slug, stage_shown(node.stage, live));
        let _ = writeln!(out, "  f{n}[\"{slug}<br/>{stage}\"]:::{class}");
    }
    for (from, to, critical) in edges(graph) {
        let arrow = if critical { "==>" } else { "-->" };
        if let (Some(from), Some(to)) = (numbers.get(from), numbers.get(to)) {
            let _ = writeln!(out, "  f{from} {arrow} f{to}");
        }
    }
    out.push_str(
        "  classDef landed fill:#c8f7c5,color:#000\n  classDef active fill:#fff9c4,color:#000\n  \
         classDef needsyou fill:#ffcdd2,color:#000\n  classDef waiting fill:#fff,color:#000\n",
    );
    out
}

/// `{"schema":"harness.graph","version":1,…}`: fields are added, never renamed.
#[must_use]
pub fn graph_json(graph: &GraphView, live: bool) -> Value {
    json!({
        "schema": "harness.graph",
        "version": 1,
        "live": live,
        "features": graph.features,
        "critical_path": graph.critical_path,
        "weight": "features",
    })
}

/// Who must have landed before whom, and whether both are on the critical path, one after the other.
fn edges(graph: &GraphView) -> impl Iterator<Item = (&Slug, &Slug, bool)> {
    let path = &graph.critical_path;
    // Each stands on the path once, so there is at most one right before it.
    let steps = path.iter().zip(path.iter().skip(1));
    let before: BTreeMap<&Slug, &Slug> = steps.map(|(from, to)| (to, from)).collect();
    graph.features.iter().flat_map(move |node| {
        let before = before.get(&node.slug).copied();
        let needs = node.depends_on.iter();
        needs.map(move |from| (from, &node.slug, before == Some(from)))
    })
}

/// What a stage looks like. What was interrupted waits for a run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    Landed,
    AtWork,
    Merging,
    NeedsYou,
    Waits,
}

fn look(stage: Stage, live: bool) -> Look {
    match stage {
        _ if is_interrupted(stage, live) => Look::Waits,
        Stage::Merged => Look::Landed,
        Stage::Preparing | Stage::Working | Stage::Between => Look::AtWork,
        Stage::Queued | Stage::Gating | Stage::Landing => Look::Merging,
        stage if stage.needs_a_person() => Look::NeedsYou,
        _ => Look::Waits,
    }
}

/// Each feature below the one that it waits for longest.
struct Tree<'a> {
    below: BTreeMap<Option<&'a Slug>, Vec<&'a Node>>,
    above: BTreeMap<&'a Slug, &'a Slug>,
    /// Of each, how many there are below it; `None`: not all of them have landed.
    landed_below: BTreeMap<&'a Slug, Option<usize>>,
}

impl<'a> Tree<'a> {
    fn of(graph: &'a GraphView) -> Self {
        let by_name: BTreeMap<&Slug, &Node> = graph
            .features
            .iter()
            .map(|node| (&node.slug, node))
            .collect();
        let mut below: BTreeMap<Option<&Slug>, Vec<&Node>> = BTreeMap::new();
        let mut above = BTreeMap::new();
        for node in &graph.features {
            let parent = parent(node, &by_name);
            above.extend(parent.map(|parent| (&node.slug, parent)));
            below.entry(parent).or_default().push(node);
        }
        let mut landed_below: BTreeMap<&Slug, Option<usize>> = BTreeMap::new();
        // What is below stands behind.
        for node in graph.features.iter().rev() {
            let children = below.get(&Some(&node.slug)).into_iter().flatten();
            let all = children.map(|child| Some(landed_below.get(&child.slug)?.as_ref()? + 1));
            let sum: Option<usize> = all.sum();
            let sum = sum.filter(|_| node.stage == Stage::Merged);
            landed_below.insert(&node.slug, sum);
        }
        Self {
            below,
            above,
            landed_below,
        }
    }

    fn below(&self, slug: Option<&Slug>) -> Vec<&'a Node> {
        self.below.get(&slug).cloned().unwrap_or_default()
    }
}

/// Of what a feature needs, the one that stands deepest, on the critical path if that is one of them.
fn parent<'a>(node: &'a Node, by_name: &BTreeMap<&'a Slug, &'a Node>) -> Option<&'a Slug> {
    let needs = node.depends_on.iter().filter_map(|name| by_name.get(name));
    let above = needs.filter(|need| need.level < node.level);
    let deepest = above.max_by_key(|need| (need.level, need.critical && node.critical));
    deepest.map(|need| &need.slug)
}

struct Page<'a> {
    tree: Tree<'a>,
    folds: bool,
    columns: usize,
    live: bool,
    colour: bool,
    out: String,
}

impl Page<'_> {
    /// Writes the line of a feature; whether what is below it is told with it.
    fn row(&mut self, node: &Node, last: &[bool]) -> bool {
        let deepest = (self.columns / 2 / INDENT_COLUMNS).min(DEEPEST_INDENT);
        let cut_off = last.len().saturating_sub(deepest);
        let text = indent(last, cut_off);
        let (sign, paint) = match look(node.stage, self.live) {
            Look::Landed => ("✓", "32"),
            Look::AtWork => ("●", "33"),
            Look::Merging => ("◆", "33"),
            Look::NeedsYou => ("✗", "31"),
            Look::Waits => ("○", ""),
        };
        // A sign may take two columns.
        let room = self.columns.saturating_sub(width(&text) + 2);
        let mark = if node.critical { "*" } else { "" };
        let name = name_cut(node.slug.as_str(), room.saturating_sub(1 + mark.len()));
        let below = self.tree.landed_below.get(&node.slug).copied().flatten();
        let folded = below.filter(|n| self.folds && *n >= LEAST_FOLDED);
        let notes = self.notes(node, cut_off > 0, folded);
        let rest = cut(&format!(" {name}{mark}{notes}"), room);
        let _ = match (self.colour, paint.is_empty(), node.critical) {
            (false, ..) | (true, true, false) => writeln!(self.out, "{text}{sign}{rest}"),
            (true, _, true) => writeln!(self.out, "{text}\u{1b}[1;{paint}m{sign}{rest}\u{1b}[0m"),
            (true, false, false) => {
                writeln!(self.out, "{text}\u{1b}[{paint}m{sign}\u{1b}[0m{rest}")
            }
        };
        folded.is_some()
    }

    /// What is said behind a name: the stage, what else it needs (or all, where its place does not say that), what is told
    /// with it.
    fn notes(&self, node: &Node, is_cut_off: bool, folded: Option<usize>) -> String {
        let mut out = String::new();
        let is_left_out = is_left_out(node);
        let says_itself = match node.stage {
            Stage::Merged | Stage::Waiting => true,
            stage => stage == Stage::Skipped && is_left_out,
        };
        if !says_itself {
            let _ = write!(out, "  {}", stage_shown(node.stage, self.live));
        }
        if is_left_out {
            out.push_str("  not selected");
        }
        let above = self.tree.above.get(&node.slug).copied();
        let above = above.filter(|_| !is_cut_off);
        let others = node.depends_on.iter().filter(|name| Some(*name) != above);
        let others: Vec<&str> = others.map(Slug::as_str).collect();
        if !others.is_empty() {
            let also = if is_cut_off { "needs" } else { "also needs" };
            let _ = write!(out, "  ({also} {})", names(others.into_iter()));
        }
        if let Some(number) = folded {
            let _ = write!(out, "  and {} that need it, all merged", count(number));
        }
        out
    }
}

/// The lines that lead to a feature, without the first `cut_off` levels: whether each of those above it, and itself, is the
/// last one there.
fn indent(last: &[bool], cut_off: usize) -> String {
    let mut out = String::new();
    for (n, is_last) in last.iter().enumerate().skip(cut_off) {
        out.push_str(match (n + 1 == last.len(), is_last) {
            (true, true) => "└─ ",
            (true, false) => "├─ ",
            (false, _) if n == cut_off && cut_off > 0 => "…  ",
            (false, true) => "   ",
            (false, false) => "│  ",
        });
    }
    out
}

#[cfg(test)]
mod tests;
