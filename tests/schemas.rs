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
const COMMANDS: [&str; 12] = [
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
    "logs {} --json",
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

/// Checks each record of a journal; gives the kinds of facts in it.
fn records(path: &Path) -> BTreeSet<String> {
    let schema = schema("harness.journal");
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines().map(|line| {
        let record: Value = serde_json::from_str(line).unwrap();
        let found = misfits(&schema, &record);
        assert!(found.is_empty(), "{}: {found:#?}\n{line}", path.display());
        record["event"]["event"].as_str().unwrap().to_owned()
    });
    lines.collect()
}

/// Features of the site that are looked at one by one.
const ALL: [&str; 8] = [
    "lands",
    "slow",
    "asks",
    "fails",
    "red",
    "needs-help",
    "later",
    "seen",
];

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
    site.shell("seen", "echo s > s\n");
    site.spec("seen", "review: true");
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
    let all = ALL;
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
    site.harness(&["skip", "fails", "-m", "not tonight\u{1b}[2J"]);
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
    let kinds = records(&site.repo.join(".harness/journal.jsonl"));
    assert!(kinds.len() > 15, "{kinds:?}");
    seen.insert("harness.journal".to_owned());
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
fn every_kind_of_record_fits_the_schema_of_the_journal_and_nothing_else_does() {
    let mut kinds = BTreeSet::new();
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/journal/v1");
    for entry in std::fs::read_dir(fixtures).unwrap() {
        kinds.extend(records(&entry.unwrap().path()));
    }
    // There is a fixture of every kind that harness knows.
    let schema = schema("harness.journal");
    let known = schema["$defs"]["event"]["oneOf"].as_array().unwrap().iter();
    let known = known.map(|kind| {
        kind["properties"]["event"]["const"]
            .as_str()
            .unwrap()
            .to_owned()
    });
    assert_eq!(known.collect::<BTreeSet<_>>(), kinds);
    let path = Path::new(fixtures).join("iteration_ended.jsonl");
    let text = std::fs::read_to_string(path).unwrap();
    let good: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    for place in ["", "/event", "/event/report", "/event/report/ending"] {
        let mut odd = good.clone();
        odd.pointer_mut(place).unwrap()["colour"] = "red".into();
        assert_ne!(misfits(&schema, &odd), [""; 0], "{place}");
    }
    for (place, wrong) in [
        ("/v", 2.into()),
        ("/seq", 0.into()),
        ("/at", "now".into()),
        ("/event/event", "iteration_finished".into()),
        ("/event/slug", "No Name".into()),
        ("/event/iteration", "first".into()),
        ("/event/report/ending/how", "vanished".into()),
    ] {
        let mut odd = good.clone();
        *odd.pointer_mut(place).unwrap() = wrong;
        assert_ne!(misfits(&schema, &odd), [""; 0], "{place}");
    }
    for name in ["v", "seq", "at", "event", "sum"] {
        let mut odd = good.clone();
        odd.as_object_mut().unwrap().remove(name);
        assert_ne!(misfits(&schema, &odd), [""; 0], "without {name}");
    }
}

#[test]
fn the_logs_that_are_told_are_the_files_that_are_there() {
    let site = Site::new();
    site.shell_config("verify: {commands: ['! test -e red']}");
    site.shell(
        "mends",
        "if test \"$HARNESS_ITERATION\" = 1; then touch red; else rm red; fi\n",
    );
    site.commit("specs");
    let asked = || -> Value {
        let ran = site.harness(&["logs", "mends", "--json"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        serde_json::from_str(&ran.out).unwrap()
    };
    let before = asked();
    assert_eq!(before["log"], Value::Null);
    assert_eq!(before["iterations"], serde_json::json!([]));
    assert_eq!(site.harness(&["run"]).code, Some(0));
    let told = asked();
    let outcomes = |what: &str| -> Vec<String> {
        let all = told[what].as_array().unwrap().iter();
        all.map(|one| one["outcome"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(outcomes("iterations"), ["claimed", "claimed"]);
    assert_eq!(
        outcomes("attempts").first().map(String::as_str),
        Some("red")
    );
    assert_eq!(
        outcomes("attempts").last().map(String::as_str),
        Some("green")
    );
    let mut files = vec![told["log"].clone()];
    for what in ["iterations", "attempts"] {
        for one in told[what].as_array().unwrap() {
            files.extend(one["files"].as_array().unwrap().iter().cloned());
        }
    }
    let mut names = BTreeSet::new();
    for file in &files {
        let path = Path::new(file["path"].as_str().unwrap());
        assert_eq!(path.metadata().unwrap().len(), file["bytes"], "{file}");
        assert!(path.ends_with(file["name"].as_str().unwrap()), "{file}");
        names.insert(file["name"].as_str().unwrap().to_owned());
    }
    for name in [
        "mends.log",
        "prompt.md",
        "output.log",
        "result.json",
        "2.log",
    ] {
        assert!(names.contains(name), "{name}: {names:?}");
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
        match known.name {
            // Each record names the version that it is of.
            "journal" => assert_eq!(value["properties"]["v"]["const"], 1),
            name => assert_eq!(
                value["properties"]["schema"]["const"],
                format!("harness.{name}")
            ),
        }
        assert!(value["description"].is_string(), "{}", known.name);
        // Whoever checks what an older harness had a schema for must not fail on what is new. Journals are read by
        // harness alone, which refuses what it does not know.
        let is_closed = known.text.contains("\"additionalProperties\": false");
        assert_eq!(is_closed, known.name == "journal", "{}", known.name);
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
