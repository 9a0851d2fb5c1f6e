//! Who works on a feature: the ladder of agents that take over, and agents by label, from harness.yaml to the journal.

#![cfg(feature = "fake-agent")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

mod support;

use serde_json::Value;
use support::Site;

/// Says nothing and changes nothing, except for the model `strong`.
const AGENT: &str = r#"
cat >/dev/null
echo "$HARNESS_MODEL" >>"$DIR/$HARNESS_FEATURE.models"
if [ "$HARNESS_MODEL" = strong ]; then
    echo ok >"$HARNESS_FEATURE.txt"
    echo "wrote the file of this feature, all of it" >"$HARNESS_OUTBOX/note.md"
    echo "it is there" >"$HARNESS_OUTBOX/done"
fi
"#;

/// One scripted profile `weak`, another one `other`, and more of harness.yaml.
fn site(more: &str) -> Site {
    let site = Site::new();
    let agent = site.path("agent.sh");
    let dir = site.path("");
    std::fs::write(&agent, format!("DIR={dir:?}\n{AGENT}")).unwrap();
    site.write(
        "harness.yaml",
        &format!(
            "agent: weak\nagents:\n  weak: {{kind: command, command: [sh, {agent:?}]}}\n  \
             other: {{kind: command, command: [sh, {agent:?}], model: strong}}\n{more}\n"
        ),
    );
    site
}

fn models(site: &Site, feature: &str) -> Vec<String> {
    let text = std::fs::read_to_string(site.path(&format!("{feature}.models"))).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn status(site: &Site) -> Value {
    serde_json::from_str(&site.harness(&["status", "--json"]).out).unwrap()
}

#[test]
fn a_feature_that_makes_no_progress_is_handed_on_until_somebody_helps() {
    let site = site("escalate: [{model: middle}, {agent: other}]");
    site.spec("a", "");
    site.commit("specs");
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    assert_eq!(models(&site, "a"), ["", "", "", "middle", "strong"]);
    for words in [
        "breaker stuck opened: 3 iterations in a row said nothing; on with middle",
        "#4 started on middle",
        "breaker stuck opened: 4 iterations in a row said nothing; on with other",
    ] {
        assert!(ran.err.contains(words), "{words}: {}", ran.err);
    }
    let log = site.read(".harness/a.log");
    assert!(
        log.contains("Another agent or model goes on from here"),
        "{log}"
    );
}

#[test]
fn at_the_end_of_the_ladder_a_person_is_asked_and_retry_begins_at_the_bottom() {
    let site = site("escalate: [{model: middle}]");
    site.spec("a", "");
    site.commit("specs");
    assert_eq!(site.harness(&["run"]).code, Some(5));
    assert_eq!(models(&site, "a"), ["", "", "", "middle"]);
    let agent = &status(&site)["features"][0]["agent"];
    assert_eq!(
        (&agent["profile"], &agent["model"]),
        (&"weak".into(), &"middle".into())
    );
    assert_eq!(agent["because"]["of"], "breaker");
    assert_eq!(site.harness(&["retry", "a"]).code, Some(0));
    assert_eq!(site.harness(&["run"]).code, Some(5));
    assert_eq!(models(&site, "a")[4..], ["", "", "", "middle"]);
}

#[test]
fn labels_choose_the_agent_and_the_plan_says_so() {
    let site = site("routes:\n- {label: ui, model: strong}\n- {label: uj, agent: other}");
    site.spec("a", "labels: [ui]");
    site.spec("b", "labels: [ui]\nagent: other");
    site.commit("specs");
    let plan = site.harness(&["plan"]);
    assert!(
        plan.out.contains("agent weak/strong (label ui)"),
        "{}",
        plan.out
    );
    assert!(plan.out.contains("agent other  "), "{}", plan.out);
    assert!(
        plan.err.contains("no feature has the label `uj`"),
        "{}",
        plan.err
    );
    let agent = &status(&site)["features"][0]["agent"];
    assert_eq!(
        agent["because"],
        serde_json::json!({"of": "label", "what": "ui"})
    );
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    assert_eq!(models(&site, "a"), ["strong"]);
}

#[test]
fn a_fallback_profile_that_no_feature_names_is_found_as_well() {
    let stub = "cat >/dev/null\nprintf '%s\\n' '{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":true,\
                \"api_error_status\":401,\"result\":\"Not logged in · Please run /login\"}'\nexit 1\n";
    let site = site("fallback: [other]\nlimits: {on_limit: switch}");
    let path = site.path("claude.sh");
    std::fs::write(&path, stub).unwrap();
    let yaml = site.read("harness.yaml");
    let claude = format!("agents:\n  claude: {{kind: claude, command: [sh, {path:?}]}}\n");
    let yaml = yaml
        .replace("agent: weak", "agent: claude")
        .replace("agents:\n", &claude);
    site.write("harness.yaml", &yaml);
    site.spec("a", "");
    site.commit("specs");
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    assert_eq!(models(&site, "a"), ["strong"]);
}
