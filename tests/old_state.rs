//! A state directory that an earlier or a later harness left: the one is read as it was meant, the other is refused
//! whole and left alone.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]
#![cfg(feature = "fake-agent")]

mod support;

use serde_json::Value;
use std::path::Path;
use support::Site;

fn fixture(name: &str) -> Vec<u8> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/state/v1");
    std::fs::read(dir.join(name)).unwrap()
}

fn site() -> Site {
    let site = Site::new();
    site.config("");
    site.spec("auth", "");
    site.script(
        "default",
        "write auth.txt x\nnote \"wrote the file asked for\"\ndone \"there\"\n",
    );
    site.commit("specs");
    std::fs::create_dir_all(site.repo.join(".harness/inbox")).unwrap();
    site
}

/// A night of the first harness: features that clash, that fail only together, that need an answer, that trip; a kill, a
/// sleep, a clock that is set back, a HALT, commits of the user's, an undo.
#[test]
fn a_night_of_the_first_harness_is_shown_as_it_was() {
    let site = site();
    let journal = site.repo.join(".harness/journal.jsonl");
    std::fs::write(&journal, fixture("night.jsonl")).unwrap();
    // The specs of that night are not here. Some that are wrong leave the picture to the journal.
    site.spec("auth", "depends_on: nobody");
    let status = site.harness(&["status", "--json"]);
    assert_eq!(status.code, Some(0), "{}", status.err);
    let told = "shown as the last run knew it";
    assert!(status.err.contains(told), "{}", status.err);
    let mut status: Value = serde_json::from_str(&status.out).unwrap();
    // They depend on when it is looked at.
    for name in ["now", "now_ms", "ahead", "ahead_ms"] {
        assert!(status.as_object_mut().unwrap().remove(name).is_some());
    }
    let expected: Value = serde_json::from_slice(&fixture("night.status.json")).unwrap();
    // Fields may have been added since.
    assert_holds(&status, &expected, "");
    assert_eq!(std::fs::read(&journal).unwrap(), fixture("night.jsonl"));
}

fn assert_holds(value: &Value, expected: &Value, place: &str) {
    match (value, expected) {
        (Value::Object(fields), Value::Object(wanted)) => {
            for (name, wanted) in wanted {
                assert_holds(&fields[name], wanted, &format!("{place}/{name}"));
            }
        }
        (Value::Array(items), Value::Array(wanted)) => {
            assert_eq!(items.len(), wanted.len(), "{place}");
            for (n, (item, wanted)) in items.iter().zip(wanted).enumerate() {
                assert_holds(item, wanted, &format!("{place}/{n}"));
            }
        }
        _ => assert_eq!(value, expected, "{place}"),
    }
}

/// The record as a line of a journal.
fn sealed(body: &str) -> String {
    let sum = body.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{body},\"sum\":\"{sum:016x}\"}}\n")
}

#[test]
fn the_journal_of_a_newer_harness_is_refused_and_not_touched() {
    let site = site();
    assert_eq!(site.harness(&["run"]).code, Some(0));
    let journal = site.repo.join(".harness/journal.jsonl");
    let good = std::fs::read_to_string(&journal).unwrap();
    let next = good.lines().count() + 1;
    let lines = [
        (
            r#""v":2"#,
            r#"{"event":"tidied"}"#,
            "format version 2, this harness reads up to 1",
        ),
        (
            r#""v":1"#,
            r#"{"event":"asked","slug":"auth"}"#,
            "unknown variant `asked`",
        ),
        (
            r#""v":1"#,
            r#"{"event":"requeued","slug":"auth","by":"Tess"}"#,
            "unknown field `by`",
        ),
        (
            r#""v":1"#,
            r#"{"event":"tidied","all":true}"#,
            "unknown field `all`",
        ),
    ];
    for (version, event, word) in lines {
        let line = sealed(&format!(
            r#"{{{version},"seq":{next},"at":9999999999999,"event":{event}"#
        ));
        let text = format!("{good}{line}");
        std::fs::write(&journal, &text).unwrap();
        for args in [
            &["run"][..],
            &["status"],
            &["retry", "auth"],
            &["undo", "auth"],
            &["queue"],
        ] {
            let ran = site.harness(args);
            assert_eq!(ran.code, Some(10), "{args:?}: {}{}", ran.out, ran.err);
            let place = format!("journal.jsonl:{next} was written by a newer harness");
            for word in [
                place.as_str(),
                word,
                "use that harness here, or a later one",
            ] {
                assert!(ran.err.contains(word), "{args:?}: {word}: {}", ran.err);
            }
        }
        assert_eq!(std::fs::read_to_string(&journal).unwrap(), text);
        assert!(!site.repo.join(".harness/journal.jsonl.torn").exists());
    }
}

#[test]
fn a_command_that_nobody_knows_stays_for_one_that_does() {
    let site = site();
    let inbox = site.repo.join(".harness/inbox");
    let newer = inbox.join("1-1.json");
    std::fs::write(&newer, r#"{"command":"pause","slug":"auth"}"#).unwrap();
    std::fs::write(inbox.join("2-1.json"), fixture("inbox-retry.json")).unwrap();
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let told = ran.err.matches("holds no command that this harness knows");
    assert_eq!(told.count(), 1, "{}", ran.err);
    assert!(newer.exists() && !inbox.join("2-1.json").exists());
}

/// Names under which later runs, and people, find what a run left.
#[test]
fn refs_and_results_are_where_they_always_were() {
    let site = site();
    site.spec("billing", "");
    site.script(
        "billing",
        "write half.txt x\nnote \"did what can be done without an answer\"\nblock \"which?\"\n",
    );
    site.commit("another");
    assert_eq!(site.harness(&["run"]).code, Some(4));
    let refs = site.git(&[
        "for-each-ref",
        "--format=%(refname)",
        "refs/harness",
        "refs/heads",
    ]);
    let mut refs: Vec<&str> = refs
        .lines()
        .filter(|name| !name.contains("/candidates/"))
        .collect();
    refs.sort_unstable();
    let expected = [
        "refs/harness/iterations/auth/1",
        "refs/harness/iterations/billing/1",
        "refs/heads/harness/billing",
        "refs/heads/main",
    ];
    assert_eq!(refs, expected);
    // It is there only while the target lags behind.
    let integration = harness::git::integration_ref("refs/heads/main");
    assert_eq!(integration, "refs/harness/integration/main");
    let result = site.read(".harness/iterations/billing/1/result.json");
    let result: Value = serde_json::from_str(&result).unwrap();
    assert_eq!(
        (&result["schema"], &result["version"]),
        (&"harness.result".into(), &1.into())
    );
    assert_eq!(result["blocked"], "which?");
}
