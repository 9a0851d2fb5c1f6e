//! The graph of pages small enough to read here.

use super::*;
use crate::core::{FeatureView, graph};
use crate::report::tests::{feature, view_of};

fn needs(name: &str, stage: Stage, on: &[&str]) -> FeatureView {
    let mut feature = feature(name, stage);
    feature.depends_on = on.iter().map(|name| Slug::new(*name).unwrap()).collect();
    feature
}

fn shop() -> GraphView {
    graph(&view_of(vec![
        needs("db", Stage::Merged, &[]),
        needs("auth", Stage::Working, &["db"]),
        needs("cart", Stage::Blocked, &["db"]),
        needs("docs", Stage::Waiting, &[]),
        needs("pay", Stage::Waiting, &["auth", "cart"]),
        needs("ship", Stage::Waiting, &["pay", "gone"]),
    ]))
}

#[test]
fn a_tree_has_each_feature_once() {
    assert_eq!(
        graph_text(&shop(), 100, false),
        "\
✓ db
├─ ● auth*  working
│  └─ ○ pay*  (also needs cart)
│     └─ ○ ship*
└─ ✗ cart  blocked
○ docs

critical path (*): 3 features that have not landed, each counted alike: auth -> pay -> ship
"
    );
}

#[test]
fn other_programs_draw_the_same() {
    let dot = graph_dot(&shop());
    assert!(dot.starts_with("digraph features {\n"), "{dot}");
    assert!(dot.contains("\"auth\" -> \"pay\" [penwidth=2];"), "{dot}");
    assert!(dot.contains("\"cart\" -> \"pay\";"), "{dot}");
    let mermaid = graph_mermaid(&shop());
    assert!(
        mermaid.contains("[\"cart<br/>blocked\"]:::needsyou"),
        "{mermaid}"
    );
    assert_eq!(mermaid.matches("==>").count(), 2, "{mermaid}");
    assert_eq!(mermaid.matches("-->").count(), 3, "{mermaid}");
    let json = graph_json(&shop(), true);
    assert_eq!(
        json["critical_path"],
        serde_json::json!(["auth", "pay", "ship"])
    );
}

#[test]
fn what_has_landed_takes_one_line_where_there_is_much() {
    let mut features: Vec<FeatureView> = vec![needs("base", Stage::Merged, &[])];
    features.extend((0..40).map(|n| needs(&format!("old-{n}"), Stage::Merged, &["base"])));
    features.push(needs("new", Stage::Waiting, &[]));
    let text = graph_text(&graph(&view_of(features)), 80, false);
    assert!(
        text.starts_with("✓ base  and 40 that need it, all merged\n○ new*\n"),
        "{text}"
    );
}

#[test]
fn a_chain_of_thousands_is_drawn() {
    let mut features = vec![needs("f0", Stage::Waiting, &[])];
    for n in 1..5_000 {
        features.push(needs(
            &format!("f{n}"),
            Stage::Waiting,
            &[&format!("f{}", n - 1)],
        ));
    }
    let text = graph_text(&graph(&view_of(features)), 80, false);
    assert_eq!(text.lines().count(), 5_002);
    assert!(
        text.lines().all(|line| line.chars().count() <= 300),
        "too wide"
    );
}

#[test]
fn who_waits_for_itself_is_drawn_all_the_same() {
    let graph = graph(&view_of(vec![
        needs("a", Stage::Waiting, &["b"]),
        needs("b", Stage::Waiting, &["a"]),
    ]));
    assert!(graph_text(&graph, 80, true).contains("also needs b"));
}
