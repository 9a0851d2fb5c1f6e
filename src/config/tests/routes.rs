//! Who works on what, and how: the ladder, agents by label, conversations.

use super::{loaded, refused};
use crate::model::AgentChoice;

const AGENTS: &str = "agents: {codex: {kind: codex}}\n";

fn choice(profile: Option<&str>, model: Option<&str>) -> AgentChoice {
    AgentChoice {
        profile: profile.map(str::to_owned),
        model: model.map(str::to_owned),
    }
}

#[test]
fn rungs_and_routes_name_an_agent_a_model_or_both() {
    let yaml = format!(
        "{AGENTS}escalate: [{{model: opus}}, {{agent: codex}}, {{agent: codex, model: big}}]\n\
         routes:\n  - {{label: ui, agent: codex}}\n  - {{label: docs, model: haiku}}\n"
    );
    let config = loaded(&yaml, &[]).config;
    let rungs = [
        choice(None, Some("opus")),
        choice(Some("codex"), None),
        choice(Some("codex"), Some("big")),
    ];
    assert_eq!(config.escalate, rungs);
    assert_eq!(config.settings().escalate, rungs);
    let routes = config.routes.iter();
    let routes: Vec<(&str, &AgentChoice)> =
        routes.map(|one| (one.label.as_str(), &one.agent)).collect();
    assert_eq!(
        routes,
        [
            ("ui", &choice(Some("codex"), None)),
            ("docs", &choice(None, Some("haiku")))
        ]
    );
    let none = loaded("escalate: []\nroutes:\n", &[]).config;
    assert!(none.escalate.is_empty() && none.routes.is_empty());
}

#[test]
fn what_is_wrong_with_them_is_refused_at_its_line() {
    for (yaml, expected) in [
        (
            "escalate:\n- {agent: claude}\n- {agent: codx}",
            "harness.yaml:4: there is no agent profile `codx` (did you mean `codex`?)",
        ),
        (
            "escalate:\n- {model: null}",
            "harness.yaml:3: `escalate`: an item names neither `agent` nor `model` \
             (for example `- {agent: claude, model: opus}`)",
        ),
        (
            "routes:\n- {label: ui, agent: codx}",
            "harness.yaml:3: there is no agent profile `codx` (did you mean `codex`?)",
        ),
        (
            "routes:\n- {label: ui}",
            "harness.yaml:3: `routes`: an item names neither `agent` nor `model` \
             (for example `- {agent: claude, model: opus}`)",
        ),
        (
            "routes:\n- {agent: codex}",
            "harness.yaml:3: `routes`: `label` is missing (name the label it is for)",
        ),
        (
            "routes:\n- {label: ui, agent: codex}\n- {label: ui, model: opus}",
            "harness.yaml:4: `routes`: `ui` was routed above already (the first counts; remove this one)",
        ),
        (
            "escalate: [{agnt: codex}]",
            "harness.yaml:2: unknown key `escalate.agnt` (did you mean `agent`?)",
        ),
    ] {
        let problems = refused(&format!("{AGENTS}{yaml}"), &[]);
        assert!(
            problems.iter().any(|one| one == expected),
            "{yaml}: {problems:#?}"
        );
    }
}

#[test]
fn a_reserve_is_a_share_in_percent() {
    let config = loaded("limits: {keep: 20%}", &[]).config;
    assert_eq!(config.settings().limits.keep_percent, Some(20));
    for wrong in ["20", "0%", "100%", "a lot"] {
        let expected = format!(
            "harness.yaml:1: `limits.keep`: expected a share from 1% to 99%, found `{wrong}`"
        );
        assert_eq!(
            refused(&format!("limits: {{keep: '{wrong}'}}"), &[]),
            [expected]
        );
    }
}

#[test]
fn a_conversation_is_gone_on_with_only_by_kinds_that_can() {
    let config = loaded("agents: {claude: {session: resume}, c: {kind: codex}}", &[]).config;
    assert!(config.agents["claude"].resume && !config.agents["c"].resume);
    assert!(config.settings().agents["claude"].resume);
    let yaml = "agents:\n  g:\n    kind: goose\n    session: resume";
    let expected = "harness.yaml:4: kind `goose` cannot be told to go on with a conversation \
                    (remove `session: resume`; these can: claude, codex)";
    assert_eq!(refused(yaml, &[]), [expected]);
}
