//! What commands print for programs is what the published schemas say, in every state that a repository can be in.

#![cfg(feature = "fake-agent")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

mod support;

use harness::report::SCHEMAS;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use support::schema::misfits;
use support::{Site, end, signal};

/// Commands that print JSON; `{}` is a feature.
const COMMANDS: [&str; 11] = [
    "status --json",
    "why {} --json",
    "queue --json",
    "conflicts --json",
    "doctor --json",
    "graph --json",
    "plan --json",
    "config --json",
    "prompt {} --json",
    "recover {} --json",
    "plan --only free --json",
];

fn schema(name: &str) -> Value {
    let short = name.strip_prefix("harness.").unwrap();
    let found = SCHEMAS.iter().find(|schema| schema.name == short);
    let found = found.unwrap_or_else(|| panic!("`{name}` has no schema"));
    serde_json::from_str(found.text).unwrap()
}

/// Checks a text against the schema that it names.
fn fits(what: &str, text: &str, seen: &mut BTreeSet<String>) -> Value {
    let value: Value = serde_json::from_str(text).unwrap_or_else(|e| panic!("{what}: {e}: {text}"));
    let name = value["schema"]
        .as_str()
        .unwrap_or_else(|| panic!("{what}: {text}"));
    let found = misfits(&schema(name), &value);
    assert!(found.is_empty(), "{what}: {found:#?}\n{text}");
    seen.insert(name.to_owned());
    value
}

fn look(site: &Site, state: &str, slugs: &[&str], seen: &mut BTreeSet<String>) {
    for command in COMMANDS {
        for slug in slugs {
            let words = command.replace("{}", slug);
            let words: Vec<&str> = words.split(' ').collect();
            let ran = site.harness(&words);
            assert!(
                matches!(ran.code, Some(0 | 1)),
                "{state}: {words:?}: {ran:?}"
            );
            fits(&format!("{state}: {words:?}"), &ran.out, seen);
            if !command.contains("{}") {
                break;
            }
        }
    }
}

fn results(dir: &Path, seen: &mut BTreeSet<String>) {
    for feature in std::fs::read_dir(dir).unwrap() {
        for iteration in std::fs::read_dir(feature.unwrap().path()).unwrap() {
            let path = iteration.unwrap().path().join("result.json");
            if let Ok(text) = std::fs::read_to_string(&path) {
                fits(&path.to_string_lossy(), &text, seen);
            }
        }
    }
}

/// Features that land, ask, fail, clash and wait.
fn site() -> Site {
    let site = Site::new();
    site.shell_config(
        "run: {parallel: 3, max_iterations_per_feature: 2}\nbudget: {feature_tokens: 900}\n\
         verify: {commands: ['! test -e red']}\nmerge: {max_red_rounds: 1}",
    );
    let go = site.path("go");
    let wait = format!("until test -e {go:?}; do sleep 0.02; done\n");
    site.shell("lands", "echo a > a\n");
    site.shell("slow", &format!("{wait}echo b > b\n"));
    site.shell(
        "asks",
        "echo 'Which one?' > \"$HARNESS_OUTBOX/blocked\"; exit 0\n",
    );
    site.shell("fails", "exit 3\n");
    site.shell("red", "touch red\n");
    site.shell("free", "echo f > f\n");
    for (slug, front) in [
        ("needs-help", "depends_on: asks"),
        ("later", "depends_on: slow"),
    ] {
        site.shell(slug, "echo c > c\n");
        site.spec(slug, front);
    }
    site.commit("specs");
    site
}

#[test]
fn what_is_printed_is_what_the_schemas_say() {
    let (site, mut seen) = (site(), BTreeSet::new());
    let all = [
        "lands",
        "slow",
        "asks",
        "fails",
        "red",
        "needs-help",
        "later",
    ];
    look(&site, "before the first run", &all, &mut seen);
    let run = site.start(&["run"]);
    site.await_journal("\"event\":\"blocked\"");
    site.await_journal("\"event\":\"merged\"");
    look(&site, "while it runs", &all, &mut seen);
    site.harness(&["pause", "-m", "wait\u{1b}[2J"]);
    look(&site, "halted", &["lands", "later"], &mut seen);
    signal(&run, "KILL");
    end(run);
    look(&site, "cut off", &all, &mut seen);
    site.harness(&["resume"]);
    std::fs::write(site.path("go"), "").unwrap();
    site.harness(&["run"]);
    look(&site, "when it has ended", &all, &mut seen);
    for words in [
        "report --json",
        "runs --json",
        "stats --json",
        "report diff --json",
    ] {
        let ran = site.harness(&words.split(' ').collect::<Vec<_>>());
        assert_eq!(ran.code, Some(0), "{words}: {ran:?}");
        fits(words, &ran.out, &mut seen);
    }
    results(&site.repo.join(".harness/iterations"), &mut seen);
    let known: BTreeSet<String> = SCHEMAS
        .iter()
        .map(|s| format!("harness.{}", s.name))
        .collect();
    // Other tests make what is not printed here.
    let elsewhere: BTreeSet<String> = ELSEWHERE
        .iter()
        .map(|name| format!("harness.{name}"))
        .collect();
    let missing: Vec<&String> = known
        .difference(&seen)
        .filter(|name| !elsewhere.contains(*name))
        .collect();
    assert!(missing.is_empty(), "nothing was printed for {missing:?}");
    // A damaged journal gives no half of an answer.
    let journal = site
        .read(".harness/journal.jsonl")
        .replacen("blocked", "unblocked", 1);
    site.write(".harness/journal.jsonl", &journal);
    for words in [
        ["status", "--json"],
        ["queue", "--json"],
        ["graph", "--json"],
    ] {
        let ran = site.harness(&words);
        assert_eq!((ran.code, ran.out.as_str()), (Some(10), ""), "{words:?}");
        assert!(ran.err.contains("error[journal-damaged]"), "{}", ran.err);
    }
    fits(
        "damaged",
        &site.harness(&["doctor", "--json"]).out,
        &mut seen,
    );
}

/// Schemas of what the features here do not bring about, and where it is checked: `tests/notify.rs`.
const ELSEWHERE: [&str; 1] = ["notification"];

#[test]
fn a_field_that_the_schemas_do_not_know_does_not_fit() {
    let site = site();
    let text = site.harness(&["status", "--json"]).out;
    let good = fits("status", &text, &mut BTreeSet::new());
    let schema = schema("harness.status");
    for place in ["", "/features/0", "/features/0/usage", "/features/0/reason"] {
        let mut odd = good.clone();
        odd.pointer_mut(place).unwrap()["colour"] = "red".into();
        assert_eq!(misfits(&schema, &odd).len(), 1, "{place}");
    }
    for (place, wrong) in [
        ("/version", 2.into()),
        ("/live", "no".into()),
        ("/features/0/stage", "done".into()),
    ] {
        let mut odd = good.clone();
        *odd.pointer_mut(place).unwrap() = wrong;
        assert_eq!(misfits(&schema, &odd).len(), 1, "{place}");
    }
}

#[test]
fn every_schema_is_printed_and_says_what_it_is_of() {
    let site = Site::new();
    for known in SCHEMAS {
        let ran = site.harness(&["schema", known.name]);
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        let value: Value = serde_json::from_str(&ran.out).unwrap();
        assert_eq!(
            value["$schema"],
            "https://json-schema.org/draft/2020-12/schema"
        );
        assert_eq!(
            value["properties"]["schema"]["const"],
            format!("harness.{}", known.name)
        );
        assert!(value["description"].is_string(), "{}", known.name);
        assert_eq!(value["additionalProperties"], false, "{}", known.name);
    }
    let files =
        std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/report/schemas")).unwrap();
    assert_eq!(files.count(), SCHEMAS.len(), "each file is in the table");
    let unknown = site.harness(&["schema", "queu"]);
    assert_eq!(unknown.code, Some(2));
    assert!(
        unknown.err.contains("did you mean `queue`?"),
        "{}",
        unknown.err
    );
    assert!(site.harness(&["schema"]).out.contains("max_iterations"));
}
