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
        graph_text(&shop(), true, 100, false),
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
    let dot = graph_dot(&shop(), true);
    assert!(dot.starts_with("digraph features {\n"), "{dot}");
    assert!(dot.contains("\"auth\" -> \"pay\" [penwidth=2];"), "{dot}");
    assert!(dot.contains("\"cart\" -> \"pay\";"), "{dot}");
    let mermaid = graph_mermaid(&shop(), true);
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
    let text = graph_text(&graph(&view_of(features)), true, 80, false);
    assert!(
        text.starts_with("✓ base  and 40 that need it, all merged\n○ new*\n"),
        "{text}"
    );
}

#[test]
fn a_deep_chain_keeps_its_names_and_fits() {
    let name = |n: usize| format!("feature-{n:02}-with-a-name-of-some-length");
    let mut features = vec![needs(&name(0), Stage::Waiting, &[])];
    features.extend((1..30).map(|n| needs(&name(n), Stage::Waiting, &[&name(n - 1)])));
    let graph = graph(&view_of(features));
    for columns in [20, 40, 60, 80, 200] {
        let text = graph_text(&graph, true, columns, false);
        let rows: Vec<&str> = text.lines().take(30).collect();
        for row in &rows {
            assert!(width(row) <= columns, "{columns}: {row}");
            assert!(row.contains("○ fea"), "{columns}: {row}");
        }
        if columns >= 80 {
            assert!(rows[29].contains(&name(29)[..10]), "{columns}: {text}");
        }
        if columns == 200 {
            assert!(
                rows[29].ends_with(&format!("(needs {})", name(28))),
                "{text}"
            );
            assert!(rows[29].starts_with("…  "), "{text}");
            assert!(!rows[24].contains("needs"), "{text}");
        }
    }
}

#[test]
fn who_is_left_alone_is_on_no_critical_path() {
    let mut features = vec![
        needs("a", Stage::Working, &[]),
        needs("b", Stage::Waiting, &[]),
        needs("c", Stage::Waiting, &["b"]),
        needs("d", Stage::Blocked, &["c"]),
    ];
    for feature in &mut features[1..] {
        feature.unselected = true;
    }
    assert_eq!(
        graph_text(&graph(&view_of(features)), true, 80, false),
        "\
● a*  working
○ b  not selected
└─ ○ c  not selected
   └─ ✗ d  blocked  not selected

critical path (*): 1 feature that has not landed: a
"
    );
}

#[test]
fn without_a_run_nothing_is_at_work() {
    let graph = graph(&view_of(vec![
        needs("a", Stage::Gating, &[]),
        needs("b", Stage::Queued, &[]),
        needs("c", Stage::Between, &[]),
    ]));
    let text = graph_text(&graph, false, 80, false);
    assert!(
        text.starts_with("○ a*  interrupted\n◆ b  queued\n○ c  interrupted\n"),
        "{text}"
    );
    let mermaid = graph_mermaid(&graph, false);
    assert!(
        mermaid.contains("a<br/>interrupted\"]:::waiting"),
        "{mermaid}"
    );
    let dot = graph_dot(&graph, false);
    assert!(
        dot.contains("c\\ninterrupted\", style=filled, fillcolor=white"),
        "{dot}"
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
    let text = graph_text(&graph(&view_of(features)), true, 80, false);
    assert_eq!(text.lines().count(), 5_002);
}

#[test]
fn who_waits_for_itself_is_drawn_all_the_same() {
    let graph = graph(&view_of(vec![
        needs("a", Stage::Waiting, &["b"]),
        needs("b", Stage::Waiting, &["a"]),
    ]));
    assert!(graph_text(&graph, true, 80, true).contains("also needs b"));
}
