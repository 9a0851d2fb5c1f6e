//! What is on disk outlives the harness that wrote it. Every kind of journalled fact, and every variant of what it is
//! made of, has a fixture that is kept for ever and must read as it always did.
//!
//! The fixtures of a version are written when something is added to it, by hand or from a real journal, and never made
//! anew: nothing here writes them, and `CHECKSUMS` names the git object of each.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

#[path = "formats/expected.rs"]
mod expected;
#[path = "formats/parts.rs"]
mod parts;

use expected::expected;
use harness::journal::{self, Journal, JournalError};
use harness::learnings::Memory;
use harness::model::{
    BudgetUnit, Command, Ending, Event, Evidence, FailureKind, Finding, InfraKind, MergeVerdict,
    Oid, OnHalt, OnLimit, ParkReason, ProcessTier, Record, Relation, SandboxTier, SkipReason,
    Stamp, StopLevel, Trial, WriteJob, Writing,
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Names each variant of an enum. Who adds a variant cannot compile this before it is named, and then there must be a
/// fixture of it.
macro_rules! variants {
    ($all:ident, $name:ident, $of:ty { $($variant:ident => $word:literal),* $(,)? }) => {
        const $all: &[&str] = &[$($word),*];
        #[expect(dead_code, reason = "it is there to be compiled")]
        fn $name(value: &$of) -> &'static str {
            type Of = $of;
            match value { $(Of::$variant { .. } => $word),* }
        }
    };
}

variants!(KINDS, kind, Event {
    RunStarted => "run_started", BacklogChanged => "backlog_changed", FoundDone => "found_done",
    Requeued => "requeued", Abandoned => "abandoned", HaltSeen => "halt_seen", HaltCleared => "halt_cleared",
    Strained => "strained", ClockSet => "clock_set", Slept => "slept", TimeUp => "time_up", StopRequested => "stop_requested",
    Started => "started", Prepared => "prepared", PrepareFailed => "prepare_failed",
    IterationStarted => "iteration_started", IterationEnded => "iteration_ended",
    IterationLost => "iteration_lost", Claimed => "claimed", Blocked => "blocked", Unblocked => "unblocked",
    Tripped => "tripped", Escalated => "escalated", Failed => "failed", Undone => "undone", Retried => "retried",
    Skipped => "skipped", Approved => "approved",
    AttemptStarted => "attempt_started", Built => "built", Clashed => "clashed", Deferred => "deferred",
    GaveWay => "gave_way", RightOfWayEnded => "right_of_way_ended", Gated => "gated", Split => "split",
    Verified => "verified", Rejected => "rejected", Held => "held", AttemptPostponed => "attempt_postponed",
    MemberFailed => "member_failed", Merged => "merged", TipMoved => "tip_moved", Reconciled => "reconciled",
    ReconcileFailed => "reconcile_failed", Unlanded => "unlanded", RolledBack => "rolled_back",
    PublishStarted => "publish_started", Published => "published", PublishWaits => "publish_waits",
    Parked => "parked", Noticed => "noticed", Written => "written", Tidied => "tidied", RunEnded => "run_ended",
});
variants!(ENDINGS, ending, Ending {
    Exited => "exited", Signalled => "signalled", TimedOut => "timed_out", IdleTimedOut => "idle_timed_out",
    OverLimit => "over_limit", Stopped => "stopped", NotStarted => "not_started",
});
variants!(FAILURES, failure, FailureKind {
    Limit => "limit", Auth => "auth", Billing => "billing", Overloaded => "overloaded", Network => "network",
    Context => "context", Refused => "refused", Crashed => "crashed", Machine => "machine", Other => "other",
});
variants!(MERGES, merge, MergeVerdict { Resolved => "resolved", Unresolved => "unresolved" });
variants!(INFRA, infra, InfraKind { Setup => "setup", System => "system" });
variants!(SKIPS, skip, SkipReason {
    IterationsUsedUp => "iterations_used_up", Setup => "setup", Spawn => "spawn",
    BudgetUsedUp => "budget_used_up", SpecRemoved => "spec_removed", Undone => "undone", LeftOut => "left_out",
});
variants!(PARKS, park, ParkReason {
    Conflict => "conflict", Red => "red", BaseBroken => "base_broken", Dependency => "dependency",
    Infra => "infra", Review => "review",
});
variants!(FINDINGS, finding, Finding {
    Budget => "budget", CacheDropped => "cache_dropped", PromptChanged => "prompt_changed",
});
variants!(UNITS, unit, BudgetUnit { MicroUsd => "micro_usd", Tokens => "tokens" });
variants!(TRIALS, trial, Trial { Features => "features", Base => "base", Reconcile => "reconcile" });
variants!(EVIDENCE, evidence, Evidence {
    Passed => "passed", Known => "known", Unchecked => "unchecked", Flaky => "flaky", Fixed => "fixed",
});
variants!(RELATIONS, relation, Relation { Behind => "behind", Ahead => "ahead", Rewritten => "rewritten" });
variants!(STOPS, stop, StopLevel { Drain => "drain", Terminate => "terminate" });
variants!(LIMITS, on_limit, OnLimit { Wait => "wait", Halt => "halt", Switch => "switch" });
variants!(HALTS, halt, OnHalt { Isolate => "isolate", Stop => "stop" });
variants!(TIERS, tier, ProcessTier { Groups => "groups", Supervisor => "supervisor", Cgroup => "cgroup" });
variants!(SANDBOXES, sandbox, SandboxTier { Off => "off", Landlock => "landlock", Bwrap => "bwrap" });
variants!(COMMANDS, command, Command {
    Retry => "retry", Unblock => "unblock", Skip => "skip", Approve => "approve",
});

/// Where the words of an enum stand: in the fixture of an event, the places at which values of the enum stand.
const PLACES: &[(&[&str], &str, &str)] = &[
    (ENDINGS, "iteration_ended", "/event/report/ending/how"),
    (FAILURES, "iteration_ended", "/event/report/failure/kind"),
    (MERGES, "iteration_ended", "/event/report/merge/verdict"),
    (INFRA, "prepare_failed", "/event/kind"),
    (SKIPS, "failed", "/event/why/why"),
    (PARKS, "parked", "/event/why/why"),
    (FINDINGS, "noticed", "/event/what/finding"),
    (UNITS, "noticed", "/event/what/spending/unit"),
    (UNITS, "failed", "/event/why/spending/unit"),
    (TRIALS, "attempt_started", "/event/what"),
    (EVIDENCE, "verified", "/event/how/evidence"),
    (RELATIONS, "run_started", "/event/ground/relation"),
    (STOPS, "stop_requested", "/event/level"),
    (HALTS, "run_started", "/event/settings/on_halt"),
    (LIMITS, "run_started", "/event/settings/limits/on_limit"),
    (
        TIERS,
        "run_started",
        "/event/settings/containment/processes",
    ),
    (
        SANDBOXES,
        "run_started",
        "/event/settings/containment/sandbox",
    ),
];

fn fixtures(below: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(below)
}

fn lines(kind: &str) -> Vec<Value> {
    let text = fs::read_to_string(fixtures("journal/v1").join(format!("{kind}.jsonl"))).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The record's line, sealed as the format says: FNV-1a over all before the seal.
fn sealed(record: &Value) -> String {
    let mut record = record.clone();
    record.as_object_mut().unwrap().remove("sum");
    let text = record.to_string();
    let body = &text[..text.len() - 1];
    let sum = body.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{body},\"sum\":\"{sum:016x}\"}}\n")
}

/// What reading a journal of this one line says.
fn read(record: &Value) -> Result<Vec<Record>, JournalError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(journal::FILE_NAME);
    fs::write(&path, sealed(record)).unwrap();
    journal::read(&path).map(|contents| contents.records)
}

#[test]
fn the_old_bytes_are_as_they_were() {
    let mut seen = BTreeSet::new();
    let dir = fixtures("");
    for line in fs::read_to_string(dir.join("CHECKSUMS")).unwrap().lines() {
        let (id, name) = line.split_once("  ").unwrap();
        let bytes = fs::read(dir.join(name)).unwrap();
        let now = git2::Oid::hash_object(git2::ObjectType::Blob, &bytes).unwrap();
        assert_eq!(
            id,
            now.to_string(),
            "{name} was changed: old formats stay as they were written"
        );
        assert!(seen.insert(name.to_owned()));
    }
    for below in ["journal/v1", "state/v1"] {
        for entry in fs::read_dir(dir.join(below)).unwrap() {
            let name = format!("{below}/{}", entry.unwrap().file_name().to_string_lossy());
            assert!(
                seen.contains(&name),
                "{name} is not in CHECKSUMS: add the line `git hash-object` gives"
            );
        }
    }
}

#[test]
fn every_kind_of_event_reads_as_it_always_did() {
    for kind in KINDS {
        let path = fixtures("journal/v1").join(format!("{kind}.jsonl"));
        assert!(
            path.exists(),
            "write a fixture of the new kind: {}",
            path.display()
        );
        let read = journal::read(&path).unwrap();
        assert_eq!(read.torn_bytes, 0);
        let expected: Vec<Record> = (1..)
            .zip(expected(kind))
            .map(|(seq, event)| Record {
                seq,
                at: Stamp(1_789_999_999_999 + seq),
                event,
            })
            .collect();
        assert_eq!(read.records, expected, "{kind}");
        // What is written of it today reads as the same.
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, _) = Journal::open(dir.path()).unwrap();
        for record in &expected {
            journal.append(std::slice::from_ref(record)).unwrap();
        }
        let again = dir.path().join(journal::FILE_NAME);
        assert_eq!(journal::read(&again).unwrap().records, expected, "{kind}");
        // And the harness that wrote the fixture could read it: of the full form, nothing has changed.
        let last = |path: &Path| {
            fs::read_to_string(path)
                .unwrap()
                .lines()
                .last()
                .unwrap()
                .to_owned()
        };
        assert_eq!(last(&again), last(&path), "{kind}");
    }
}

#[test]
fn records_that_were_written_together_say_so() {
    let path = fixtures("state/v1/together.jsonl");
    let records = journal::read(&path).unwrap().records;
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = Journal::open(dir.path()).unwrap();
    journal.append(&records[..2]).unwrap();
    journal.append(&records[2..]).unwrap();
    let again = fs::read(dir.path().join(journal::FILE_NAME)).unwrap();
    assert_eq!(again, fs::read(path).unwrap());
}

#[test]
fn every_variant_of_what_facts_are_made_of_has_a_fixture() {
    for (words, kind, place) in PLACES {
        let mut missing: BTreeSet<&str> = words.iter().copied().collect();
        for line in lines(kind) {
            let word = match line.pointer(place) {
                Some(Value::String(word)) => word.clone(),
                Some(Value::Object(tagged)) => tagged.keys().next().unwrap().clone(),
                _ => continue,
            };
            missing.remove(word.as_str());
        }
        assert!(
            missing.is_empty(),
            "{kind}.jsonl has nothing of {missing:?} at {place}"
        );
    }
}

/// Every object in a record, by its path.
fn objects(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            found.push(path.to_owned());
            fields
                .iter()
                .for_each(|(name, inner)| objects(inner, &format!("{path}/{name}"), found));
        }
        Value::Array(items) => {
            let each = items.iter().enumerate();
            each.for_each(|(n, inner)| objects(inner, &format!("{path}/{n}"), found));
        }
        _ => {}
    }
}

/// A path without numbers, and which variant stands there: all objects of one make.
fn make(line: &Value, path: &str) -> String {
    let names = path.split('/').filter(|name| name.parse::<u32>().is_err());
    let tags = ["how", "verdict", "why", "evidence", "finding"]
        .iter()
        .filter_map(|tag| {
            // The kind of the event is the fixture's.
            let value = line.pointer(path).filter(|_| path != "/event");
            value?.get(tag)?.as_str()
        });
    names.chain(tags).collect::<Vec<_>>().join("/")
}

#[test]
fn a_field_that_is_not_known_is_refused_wherever_it_stands_and_all_known_ones_have_fixtures() {
    for kind in KINDS {
        let mut known: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut present: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for line in lines(kind) {
            let mut paths = Vec::new();
            objects(&line, "", &mut paths);
            for path in paths {
                let make = if path.is_empty() {
                    String::new()
                } else {
                    make(&line, &path)
                };
                let mut more = line.clone();
                let object = more.pointer_mut(&path).unwrap().as_object_mut().unwrap();
                let names = object.keys().filter(|name| *name != "sum").cloned();
                present.entry(make.clone()).or_default().extend(names);
                object.insert("not_known".to_owned(), Value::from(1));
                let Err(JournalError::Newer { why, .. }) = read(&more) else {
                    panic!("{kind}{path} takes a field that it does not know");
                };
                // `unknown field `x`, expected one of `a`, `b` at …`, but for an enum that has become a map of two.
                if let Some((_, names)) = why.split_once("expected") {
                    let names = names.split('`').skip(1).step_by(2).map(str::to_owned);
                    known.entry(make).or_default().extend(names);
                }
            }
        }
        for (make, names) in known {
            // Which records were written together has a fixture of its own.
            let missing = names.difference(&present[&make]);
            let missing: Vec<_> = missing
                .filter(|name| !(make.is_empty() && *name == "with"))
                .collect();
            assert!(
                missing.is_empty(),
                "{kind}.jsonl has no line with {missing:?} at `{make}`"
            );
        }
    }
}

#[test]
fn the_first_line_of_each_fixture_is_the_least_that_reads() {
    for kind in KINDS {
        let line = lines(kind).remove(0);
        let mut paths = Vec::new();
        objects(&line, "", &mut paths);
        for path in paths {
            let object = line.pointer(&path).unwrap().as_object().unwrap();
            for name in object.keys().filter(|name| *name != "sum") {
                let mut less = line.clone();
                less.pointer_mut(&path)
                    .unwrap()
                    .as_object_mut()
                    .unwrap()
                    .remove(name);
                assert!(
                    read(&less).is_err(),
                    "{kind}: {path}/{name} can be left out; the first line is to be without"
                );
            }
        }
    }
}

#[test]
fn commands_in_an_inbox_read_as_they_always_did() {
    let auth = || harness::model::Slug::new("auth").unwrap();
    for name in COMMANDS {
        let text = fs::read(fixtures("state/v1").join(format!("inbox-{name}.json"))).unwrap();
        let command: Command = serde_json::from_slice(&text).unwrap();
        let expected = match *name {
            "retry" => Command::Retry { slug: auth() },
            "unblock" => Command::Unblock {
                slug: auth(),
                answer: "the new one".into(),
            },
            "skip" => Command::Skip {
                slug: auth(),
                why: "not tonight".into(),
            },
            "approve" => Command::Approve {
                slug: auth(),
                tip: Oid::parse(&"a".repeat(40)).unwrap(),
            },
            name => panic!("what does inbox-{name}.json mean?"),
        };
        assert_eq!(command, expected);
        assert_eq!(serde_json::to_vec(&command).unwrap(), text);
    }
}

#[test]
fn a_lock_file_says_whom_to_blame_also_when_it_says_more() {
    for name in ["lock-least", "lock-full", "lock-newer"] {
        let dir = tempfile::tempdir().unwrap();
        fs::copy(fixtures("state/v1").join(name), dir.path().join("lock")).unwrap();
        let holder = journal::read_holder(dir.path()).unwrap();
        assert_eq!((holder.pid, holder.host.as_str()), (4242, "box"), "{name}");
        assert_eq!(holder.doing, "run 20261123-221530-4f2a");
        let full = name != "lock-least";
        assert_eq!(holder.start_time, full.then_some(7));
        assert_eq!(holder.boot_id.is_some(), full);
    }
}

/// What is written again after a crash is recognised by the key in its heading, whichever harness wrote it.
#[test]
fn entries_of_logs_are_recognised_as_they_always_were() {
    let fixture = |name: &str| fs::read(fixtures("state/v1").join(name)).unwrap();
    let slug = harness::model::Slug::new("e").unwrap();
    let job = WriteJob {
        number: 9,
        at: Stamp(1_795_707_779_438),
        what: Writing::Log {
            slug: slug.clone(),
            iteration: Some(1),
            heading: "iteration 1".into(),
            text: "the spec asks for colours that nobody names".into(),
            lessons: vec!["colours are named in one place".into()],
        },
    };
    let whole = fixture("feature.log");
    for cut in [0, 60, whole.len() - 9, whole.len()] {
        let dir = tempfile::tempdir().unwrap();
        let memory = Memory::open(dir.path()).unwrap();
        fs::write(memory.log_path(&slug), &whole[..cut]).unwrap();
        fs::write(memory.learnings_path(), fixture("learnings.md")).unwrap();
        memory.perform(&job).unwrap();
        assert_eq!(
            fs::read(memory.log_path(&slug)).unwrap(),
            whole,
            "from byte {cut}"
        );
        assert_eq!(
            fs::read(memory.learnings_path()).unwrap(),
            fixture("learnings.md")
        );
    }
}
