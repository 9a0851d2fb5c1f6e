//! Recorded runs of the real programs, read as if they ran now: what each comes to stands in a table.
//!
//! The records are `fixtures/agents/records/<program>-<version>-<scenario>/`, the table is `expected.txt` beside them.

use super::cli::Cli;
use super::reader::{End, Verdict};
use crate::config::Kind;
use crate::model::{Ending, FailureKind};
use crate::process::Stream;
use jiff::ZonedDateTime;
use std::fs;
use std::path::{Path, PathBuf};

/// Every kind that has a program of its own.
pub(super) const KINDS: [(&str, Kind); 8] = [
    ("claude", Kind::Claude),
    ("codex", Kind::Codex),
    ("opencode", Kind::Opencode),
    ("goose", Kind::Goose),
    ("gemini", Kind::Gemini),
    ("copilot", Kind::Copilot),
    ("qwen", Kind::Qwen),
    ("aider", Kind::Aider),
];

/// 2026-11-23 10:00 UTC: shortly before the limits of the records end.
pub(super) fn then() -> ZonedDateTime {
    let then = jiff::Timestamp::from_second(1_795_428_000).unwrap();
    then.to_zoned_datetime(jiff::tz::TimeZone::UTC)
}

pub(super) struct Run {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) out: String,
    pub(super) err: String,
    pub(super) ending: Ending,
}

impl Run {
    /// Reads it as harness would have.
    pub(super) fn read(&self) -> Verdict {
        let mut reader = (Cli::of(self.kind).reader)();
        for (stream, text) in [(Stream::Out, &self.out), (Stream::Err, &self.err)] {
            for line in text.lines() {
                reader.line(stream, line, &mut |_| {});
            }
        }
        let end = End {
            ending: &self.ending,
            at: &then(),
        };
        reader.finish(end)
    }
}

fn place() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/agents/records")
}

/// All records, by name.
pub(super) fn runs() -> Vec<Run> {
    let entries = fs::read_dir(place()).unwrap();
    let dirs = entries.map(|entry| entry.unwrap().path());
    let mut dirs: Vec<PathBuf> = dirs.filter(|path| path.is_dir()).collect();
    dirs.sort();
    dirs.iter().map(|dir| run(dir)).collect()
}

fn run(dir: &Path) -> Run {
    let name = dir.file_name().unwrap().to_str().unwrap().to_owned();
    let text = |file| {
        let bytes = fs::read(dir.join(file)).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let program = name.split('-').next().unwrap();
    let kind = KINDS.iter().find(|(known, _)| *known == program).unwrap().1;
    let ending = match text("exit").trim() {
        "killed" => Ending::TimedOut,
        code => Ending::Exited {
            code: code.parse().unwrap(),
        },
    };
    Run {
        kind,
        out: text("stdout"),
        err: text("stderr"),
        ending,
        name,
    }
}

/// One line of the table: failure, scope and end of a limit, tokens (input, output, cache read, cache write), money,
/// turns, message.
fn line(run: &Run) -> String {
    let verdict = run.read();
    let failure = verdict.failure.as_ref();
    let kind = failure.map_or_else(
        || "-".to_owned(),
        |failure| format!("{:?}", failure.kind).to_lowercase(),
    );
    let scope = failure.and_then(|failure| failure.scope.clone());
    let resets = failure.and_then(|failure| failure.resets_at).map(|at| {
        let at = jiff::Timestamp::from_second(at).unwrap().to_string();
        at.replace("2026-", "")
    });
    let usage = verdict.usage.map(|usage| {
        let (a, b, c, d) = (
            usage.input,
            usage.output,
            usage.cache_read,
            usage.cache_write,
        );
        format!("{a}/{b}/{c}/{d} ${}", usage.micro_usd)
    });
    let turns = verdict.turns.map(|turns| format!("{turns}t"));
    let words = match failure {
        Some(failure) => format!("! {}", failure.text),
        None => verdict.message,
    };
    let words: String = words.chars().take(60).collect();
    let or = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    format!(
        "{:<40} {kind:<10} {:<9} {:<15} {:<26} {:<4} {}",
        run.name,
        or(scope),
        or(resets),
        or(usage),
        or(turns),
        words.replace('\n', " ")
    )
    .trim_end()
    .to_owned()
}

#[test]
fn each_record_comes_to_what_the_table_says() {
    let table: Vec<String> = runs().iter().map(line).collect();
    println!("{}", table.join("\n"));
    let expected = fs::read_to_string(place().join("expected.txt")).unwrap();
    let expected: Vec<&str> = expected.lines().collect();
    for (line, expected) in table.iter().zip(&expected) {
        assert_eq!(line, expected);
    }
    assert_eq!(table.len(), expected.len());
    assert_eq!(table.len(), 132, "a record is missing");
}

/// What the scenarios of the records mean, whatever the table says.
#[test]
fn each_scenario_comes_to_its_kind() {
    use FailureKind::{Auth, Billing, Context, Limit, Network, Other, Overloaded};
    let mut seen = 0;
    for run in runs() {
        // `claude-2.1.330-f-401` is `f-401`, and `claude-1.0.83-plan-quota-json` is `plan-quota-json`.
        let scenario = run.name.splitn(3, '-').nth(2).unwrap();
        let is_claude = run.kind == Kind::Claude;
        let expected: &[FailureKind] = match scenario {
            // With a key, Claude Code tells no plan's limit.
            "f-quota" | "mid-quota" if is_claude => &[Overloaded],
            it if it.contains("quota") => &[Limit],
            "f-401" | "f-403" => &[Auth],
            "f-credit" => &[Billing],
            "f-context" | "f-context-compact" => &[Context],
            "f-429-always"
            | "mid-429"
            | "f-500-always"
            | "f-529-always"
            | "f-html"
            | "f-sse-over"
            | "plan-plain-429-stream" => &[Overloaded],
            "f-disc" | "f-disc-mid" | "noserver" => &[Network],
            "f-garbage" | "f-404" => &[Other, Network],
            "max-turns" | "int-in-tool" | "term-in-tool" | "int-in-request" => continue,
            _ => &[],
        };
        let failure = run.read().failure.map(|failure| failure.kind);
        // It never gave up, and had said nothing when it was stopped.
        let never_told = run.ending == Ending::TimedOut && run.out.is_empty();
        match failure {
            Some(kind) => assert!(expected.contains(&kind), "{}: {kind:?}", run.name),
            None => assert!(expected.is_empty() || never_told, "{}: none", run.name),
        }
        seen += 1;
    }
    assert!(seen > 120, "{seen}");
}

#[test]
fn who_looks_at_the_output_of_a_running_agent_sees_words_and_no_records() {
    let (mut told, mut counted) = (0, 0);
    for run in runs().into_iter().filter(|run| run.out.starts_with('{')) {
        // Cut off in the middle, as it is while it runs.
        let half: Vec<&str> = run.out.lines().collect();
        let half = half[..half.len().div_ceil(2)].join("\n");
        let (words, used) = crate::agent::glimpse(run.kind, &half);
        if let Some(words) = words {
            assert!(!words.contains("{\""), "{}: {words}", run.name);
            told += 1;
        }
        counted += u32::from(used.is_some_and(|used| used.tokens() > 0));
    }
    assert!(
        told > 5,
        "{told} of the recorded runs say what they are doing"
    );
    assert!(
        counted > 5,
        "{counted} of them say what they have used so far"
    );
}
