//! GitHub Copilot CLI: its flags, and what its events say about the call.
//!
//! What failed it says in words: in an event, or on stderr. It tells no tokens but those of each answer.

use super::call::Progress;
use super::cli::{Cli, Place, Tells};
use super::failure::Complaint;
use super::reader::{Heard, Protocol, Records, Stage, Tell, count_at, str_at};
use super::text::{MESSAGE_BYTES, STATUS_CHARS, cap, clip, last_line, visible};
use crate::model::Usage;
use crate::process::Stream;
use serde_json::Value;

pub(super) const COPILOT: Cli = Cli {
    program: "copilot",
    args: |call| {
        let fixed = [
            "--allow-all-tools",
            "--no-auto-update",
            "--output-format",
            "json",
        ];
        call.words(&fixed, "--model")
    },
    later: None,
    resume: None,
    is_fed: true,
    passes: &[&["COPILOT_*", "GH_TOKEN", "GITHUB_TOKEN", "GH_HOST"]],
    sets: &[],
    apart: &[],
    home: &[Place {
        variable: "COPILOT_HOME",
        inside: "",
        usual: ".copilot",
        is_directory: true,
        settings: &[
            "mcp-config.json",
            "copilot-instructions.md",
            "agents",
            "hooks",
            "skills",
        ],
    }],
    tells: Tells::Tokens,
    litter: None,
    reader: Records::<Events>::boxed,
};

/// What stands on stderr below every call, whatever became of it.
const FOOTER: [&str; 5] = ["Changes", "Duration", "Tokens", "Resume", "AI Units"];

/// What its events mean.
#[derive(Debug, Default)]
struct Events {
    /// Of the message that is being said in pieces.
    id: String,
}

impl Protocol for Events {
    const RESULT: Option<&'static str> = Some("a result");

    fn record(&mut self, record: &Value, heard: &mut Heard, tell: Tell<'_>) {
        let data = record.get("data").unwrap_or(&Value::Null);
        // What a helper says is not the answer.
        let is_helpers = str_at(data, "/parentToolCallId").is_some();
        match str_at(record, "/type").unwrap_or_default() {
            "assistant.message" => {
                let text = str_at(data, "/content").unwrap_or_default();
                if !is_helpers && !text.trim().is_empty() {
                    heard.said = cap(text);
                    self.id.clear();
                }
                heard.complaint = None;
                heard.stage = Stage::UnderWay;
                heard.turn();
                let usage = heard.usage.get_or_insert_default();
                let output = count_at(data, "/outputTokens");
                usage.output = usage.output.saturating_add(output);
                tell(Progress::Line(last_line(text, STATUS_CHARS)));
            }
            "assistant.message_delta" if !is_helpers => {
                let id = str_at(data, "/messageId").unwrap_or_default();
                if self.id != id {
                    id.clone_into(&mut self.id);
                    heard.said.clear();
                }
                heard
                    .said
                    .push_str(str_at(data, "/deltaContent").unwrap_or_default());
                if heard.said.len() > 2 * MESSAGE_BYTES {
                    heard.said = cap(&heard.said);
                }
            }
            "tool.execution_start" => tool(data, tell),
            "tool.execution_complete" => {
                let code = str_at(data, "/error/code").unwrap_or_default();
                let message = str_at(data, "/error/message").unwrap_or_default();
                if code == "denied" || message.starts_with("Permission denied") {
                    heard.denied(str_at(data, "/toolName").unwrap_or("tools"));
                }
            }
            "assistant.usage" => used(data, heard, tell),
            "session.error" => heard.complaint = Some(complaint(data)),
            "result" => {
                heard.session = str_at(record, "/sessionId").map(cap);
                heard.stage = Stage::Over;
                let code = record.get("exitCode").and_then(Value::as_i64);
                // What went wrong stands on stderr, if no event told it.
                heard.has_result = code == Some(0);
                if heard.has_result {
                    heard.complaint = None;
                }
            }
            _ => {}
        }
    }

    fn complaint(stream: Stream, line: &str) -> Option<&str> {
        let is_footer = FOOTER.iter().any(|word| line.starts_with(word));
        (stream == Stream::Err && !is_footer).then_some(line)
    }
}

fn complaint(data: &Value) -> Complaint {
    let message = str_at(data, "/message").unwrap_or("an error without words");
    Complaint::of(message)
        .code(str_at(data, "/errorType"))
        .code(str_at(data, "/errorCode"))
        .status(data.get("statusCode").and_then(Value::as_u64))
}

fn tool(data: &Value, tell: Tell<'_>) {
    let name = str_at(data, "/toolName").unwrap_or("tool");
    let fields = ["command", "path", "pattern", "url", "query", "description"];
    let mut what = fields
        .iter()
        .filter_map(|field| str_at(data, &format!("/arguments/{field}")));
    let words = match what.next() {
        Some(what) => format!("{name}: {}", what.replace('\n', " ")),
        None => name.to_owned(),
    };
    tell(Progress::Line(clip(&visible(&words), STATUS_CHARS)));
}

/// One request, in the versions that tell it; the answer's own count is in it.
fn used(data: &Value, heard: &mut Heard, tell: Tell<'_>) {
    let cached = count_at(data, "/cacheReadTokens");
    let request = Usage {
        input: count_at(data, "/inputTokens").saturating_sub(cached),
        cache_read: cached,
        cache_write: count_at(data, "/cacheWriteTokens"),
        ..Usage::default()
    };
    let known = heard.usage.unwrap_or_default();
    let usage = super::tally::sum([known, request].into_iter());
    heard.usage = Some(usage);
    tell(Progress::Tokens(usage));
}
