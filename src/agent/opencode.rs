//! opencode: its flags, and what its stream of events says about the call.
//!
//! It has no record of the end: what a call used is the sum of its steps, and its exit is its end.

use super::call::Progress;
use super::cli::{Cli, PROVIDERS, Place, Tells};
use super::failure::Complaint;
use super::reader::{Heard, Protocol, Records, Tell, count_at, str_at};
use super::text::{STATUS_CHARS, cap, clip, last_line, visible};
use crate::model::Usage;
use serde_json::Value;

pub(super) const OPENCODE: Cli = Cli {
    program: "opencode",
    args: |call| call.words(&["run", "--format", "json", "--auto"], "--model"),
    later: None,
    resume: None,
    is_fed: true,
    passes: &[&["OPENCODE_*"], &PROVIDERS],
    sets: &[("OPENCODE_DISABLE_AUTOUPDATE", "1")],
    // Several that begin with no database at the same time make each other fail. The login is elsewhere.
    apart: &[("OPENCODE_DB", "opencode.db")],
    home: &[
        Place {
            variable: "XDG_DATA_HOME",
            inside: "opencode",
            usual: ".local/share/opencode",
            is_directory: true,
            settings: &[],
        },
        Place {
            variable: "XDG_STATE_HOME",
            inside: "opencode",
            usual: ".local/state/opencode",
            is_directory: true,
            settings: &[],
        },
        Place {
            variable: "XDG_CACHE_HOME",
            inside: "opencode",
            usual: ".cache/opencode",
            is_directory: true,
            settings: &[],
        },
        Place {
            variable: "XDG_CONFIG_HOME",
            inside: "opencode",
            usual: ".config/opencode",
            is_directory: true,
            settings: &[
                "config.json",
                "opencode.json",
                "opencode.jsonc",
                "AGENTS.md",
                "agent",
                "agents",
                "command",
                "commands",
                "plugin",
                "plugins",
                "skill",
                "skills",
                "tool",
                "tools",
            ],
        },
    ],
    tells: Tells::Money,
    litter: None,
    reader: Records::<Events>::boxed,
};

/// What its events mean.
#[derive(Debug, Default)]
struct Events;

impl Protocol for Events {
    const RESULT: Option<&'static str> = Some("the end of a turn");

    fn record(&mut self, record: &Value, heard: &mut Heard, tell: Tell<'_>) {
        if let Some(session) = str_at(record, "/sessionID") {
            heard.session = Some(cap(session));
        }
        match str_at(record, "/type").unwrap_or_default() {
            "text" => {
                let text = str_at(record, "/part/text").unwrap_or_default();
                heard.said = cap(text);
                tell(Progress::Line(last_line(text, STATUS_CHARS)));
            }
            "tool_use" => tool(record, heard, tell),
            "step_start" => heard.has_result = false,
            "step_finish" => {
                heard.turn();
                let reason = str_at(record, "/part/reason").unwrap_or_default();
                // Whoever called tools has not answered yet.
                heard.has_result = reason != "tool-calls";
                heard.stop_reason = Some(cap(reason));
                let usage = sum(heard.usage.unwrap_or_default(), step(record));
                heard.usage = Some(usage);
                tell(Progress::Tokens(usage));
            }
            "error" => {
                let complaint = complaint(record);
                heard.complaint = Some(complaint);
            }
            _ => {}
        }
    }
}

fn tool(record: &Value, heard: &mut Heard, tell: Tell<'_>) {
    let name = str_at(record, "/part/tool").unwrap_or("tool");
    let error = str_at(record, "/part/state/error").unwrap_or_default();
    let is_failed = str_at(record, "/part/state/status") == Some("error");
    if is_failed && error.contains("rejected permission") {
        heard.denied(name);
    }
    let fields = [
        "command",
        "filePath",
        "path",
        "pattern",
        "url",
        "description",
    ];
    let mut what = fields
        .iter()
        .filter_map(|field| str_at(record, &format!("/part/state/input/{field}")));
    let words = match what.next() {
        Some(what) => format!("{name}: {}", what.replace('\n', " ")),
        None => name.to_owned(),
    };
    tell(Progress::Line(clip(&visible(&words), STATUS_CHARS)));
}

fn complaint(record: &Value) -> Complaint {
    let message =
        str_at(record, "/error/data/message").or_else(|| str_at(record, "/error/message"));
    let message = message.unwrap_or("an error without words");
    let status = record
        .pointer("/error/data/statusCode")
        .and_then(Value::as_u64);
    // What the service said, word for word, and sometimes in place of a message.
    let body = str_at(record, "/error/data/responseBody").unwrap_or_default();
    Complaint::of(message)
        .body(message)
        .body(body)
        .code(str_at(record, "/error/name"))
        .status(status)
}

/// Its input holds nothing that was cached.
fn step(record: &Value) -> Usage {
    let count = |name: &str| count_at(record, &format!("/part/tokens/{name}"));
    let cost = record.pointer("/part/cost").and_then(Value::as_f64);
    Usage {
        input: count("input"),
        output: count("output").saturating_add(count("reasoning")),
        cache_read: count("cache/read"),
        cache_write: count("cache/write"),
        micro_usd: super::tally::micros(cost.unwrap_or(0.0)),
        ..Usage::default()
    }
}

fn sum(a: Usage, b: Usage) -> Usage {
    super::tally::sum([a, b].into_iter())
}
