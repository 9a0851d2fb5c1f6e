//! Codex CLI: its flags, and what its stream of events says about the call.
//!
//! Only how the last turn ended decides: errors that it got over are events, too, and every run has some.

use super::call::Progress;
use super::cli::{Cli, Place, Resume, Tells};
use super::failure::Complaint;
use super::reader::{Heard, Protocol, Records, Stage, Tell, count_at, str_at};
use super::text::{STATUS_CHARS, cap, clip, last_line, visible};
use crate::model::Usage;
use crate::process::Stream;
use serde_json::Value;

pub(super) const CODEX: Cli = Cli {
    program: "codex",
    args: |call| {
        let mut fixed = vec!["exec", "--json", "--skip-git-repo-check"];
        // Its own sandbox keeps it from committing in a worktree. Who asks for that one gets it.
        if !call.has_own(&["--sandbox", "-s", "--full-auto", BYPASS]) {
            fixed.push(BYPASS);
        }
        let mut args = call.words(&fixed, "--model");
        // From stdin. Who goes on with a conversation says so behind its name.
        if call.session.is_none() {
            args.push("-".to_owned());
        }
        args
    },
    later: None,
    resume: Some(Resume {
        words: |id| vec!["resume".to_owned(), id.to_owned(), "-".to_owned()],
        tells_all: true,
    }),
    is_fed: true,
    passes: &[&["CODEX_*", "OPENAI_*", "AZURE_OPENAI_*"]],
    sets: &[],
    apart: &[],
    home: &[Place {
        variable: "CODEX_HOME",
        inside: "",
        usual: ".codex",
        is_directory: true,
        settings: &[
            "config.toml",
            "AGENTS.md",
            "AGENTS.override.md",
            "hooks.json",
            "prompts",
            "rules",
        ],
    }],
    tells: Tells::Tokens,
    litter: None,
    reader: Records::<Events>::boxed,
};

const BYPASS: &str = "--dangerously-bypass-approvals-and-sandbox";

/// What its events mean.
#[derive(Debug, Default)]
struct Events;

impl Protocol for Events {
    const RESULT: Option<&'static str> = Some("the end of a turn");

    fn record(&mut self, record: &Value, heard: &mut Heard, tell: Tell<'_>) {
        let message = str_at(record, "/message");
        heard.waiting = None;
        match str_at(record, "/type").unwrap_or_default() {
            "thread.started" => heard.session = str_at(record, "/thread_id").map(cap),
            "turn.started" => {
                heard.stage = Stage::UnderWay;
                heard.complaint = None;
            }
            "item.started" | "item.updated" | "item.completed" => item(record, heard, tell),
            "error" => {
                let message = message.unwrap_or("an error without words");
                tell(Progress::Line(last_line(message, STATUS_CHARS)));
                match reconnecting(message) {
                    Some(why) => heard.waiting = Some(complaint(why)),
                    None => heard.complaint = Some(complaint(message)),
                }
            }
            "turn.completed" => {
                heard.turn();
                heard.complaint = None;
                heard.has_result = true;
                heard.stage = Stage::Over;
                // Of the whole thread, not of the turn.
                heard.usage = Some(usage(record));
            }
            "turn.failed" => {
                let told = str_at(record, "/error/message");
                let told = told.map(complaint).or_else(|| heard.complaint.take());
                heard.complaint = told.or_else(|| Some(Complaint::of("its turn failed")));
                heard.stage = Stage::Over;
            }
            _ => {}
        }
    }

    /// In text mode stderr has the prompt as well; its own errors begin so.
    fn complaint(stream: Stream, line: &str) -> Option<&str> {
        let beginnings = ["ERROR: ", "Error: ", "error: "];
        let mut stripped = beginnings.iter().filter_map(|it| line.strip_prefix(it));
        stripped.next().filter(|_| stream == Stream::Err)
    }
}

/// What it waits for: `Reconnecting... 1/5 (why)`.
fn reconnecting(message: &str) -> Option<&str> {
    let rest = message.strip_prefix("Reconnecting...")?;
    let why = rest.split_once('(').map_or(rest, |(_, why)| why);
    Some(why.strip_suffix(')').unwrap_or(why))
}

/// Some messages are what the service sent, as JSON.
fn complaint(message: &str) -> Complaint {
    Complaint::of(message).body(message)
}

fn item(record: &Value, heard: &mut Heard, tell: Tell<'_>) {
    let text = |field: &str| str_at(record, &format!("/item/{field}")).unwrap_or_default();
    let words = match text("type") {
        "agent_message" => {
            heard.said = cap(text("text"));
            last_line(text("text"), STATUS_CHARS)
        }
        "command_execution" => {
            if text("status") == "declined" {
                heard.denied("commands");
            }
            format!("command: {}", text("command").replace('\n', " "))
        }
        "file_change" => {
            if text("status") == "declined" {
                heard.denied("file changes");
            }
            let changes = record.pointer("/item/changes").and_then(Value::as_array);
            let paths = changes.into_iter().flatten();
            let paths: Vec<&str> = paths.filter_map(|it| str_at(it, "/path")).collect();
            format!("edit: {}", paths.join(", "))
        }
        "mcp_tool_call" => format!("{}: {}", text("server"), text("tool")),
        "web_search" => format!("search: {}", text("query")),
        "reasoning" => last_line(text("text"), STATUS_CHARS),
        _ => return,
    };
    if !words.is_empty() {
        tell(Progress::Line(clip(&visible(&words), STATUS_CHARS)));
    }
}

/// Its input holds what was cached.
fn usage(record: &Value) -> Usage {
    let count = |name: &str| count_at(record, &format!("/usage/{name}"));
    let cached = count("cached_input_tokens");
    let written = count("cache_write_input_tokens");
    Usage {
        input: count("input_tokens").saturating_sub(cached.saturating_add(written)),
        output: count("output_tokens"),
        cache_read: cached,
        cache_write: written,
        ..Usage::default()
    }
}
