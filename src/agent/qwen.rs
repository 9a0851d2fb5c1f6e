//! Qwen Code: its flags, and what its records say about the call.
//!
//! Its records look like Claude Code's, but a call that failed is told as a success: the only sign is a sentence in
//! brackets that it puts in place of, or behind, what the model said.

use super::call::Progress;
use super::claude::{denials, error_text, tool_words};
use super::cli::{Cli, Place, Tells};
use super::failure::Complaint;
use super::reader::{Heard, Protocol, Records, Stage, Tell, count_at, str_at};
use super::text::{STATUS_CHARS, cap, last_line};
use crate::model::Usage;
use serde_json::Value;

pub(super) const QWEN: Cli = Cli {
    program: "qwen",
    args: |call| call.words(&["--yolo", "--output-format", "stream-json"], "--model"),
    later: None,
    resume: None,
    is_fed: true,
    passes: &[&["QWEN_*", "OPENAI_*", "DASHSCOPE_*", "BAILIAN_*"]],
    sets: &[],
    apart: &[],
    home: &[Place {
        variable: "",
        inside: "",
        usual: ".qwen",
        is_directory: true,
        settings: &[
            "settings.json",
            "trustedFolders.json",
            "QWEN.md",
            "agents",
            "commands",
            "extensions",
            "hooks",
            "skills",
        ],
    }],
    tells: Tells::Tokens,
    litter: None,
    reader: Records::<Told>::boxed,
};

/// How the sentence begins; it ends with a bracket.
const ERROR: &str = "[API Error: ";

/// What its records mean.
#[derive(Debug, Default)]
struct Told {
    /// Whether the last answer used any tokens: what the CLI puts there itself uses none.
    has_answered: bool,
}

impl Protocol for Told {
    const RESULT: Option<&'static str> = Some("a result");

    fn record(&mut self, record: &Value, heard: &mut Heard, tell: Tell<'_>) {
        if let Some(session) = str_at(record, "/session_id") {
            heard.session = Some(cap(session));
        }
        match str_at(record, "/type").unwrap_or_default() {
            "assistant" => self.assistant(record, heard, tell),
            "result" => self.result(record, heard),
            _ => {}
        }
    }
}

impl Told {
    fn assistant(&mut self, record: &Value, heard: &mut Heard, tell: Tell<'_>) {
        heard.stage = Stage::UnderWay;
        let is_helpers = str_at(record, "/parent_tool_use_id").is_some();
        if !is_helpers {
            self.has_answered = count_at(record, "/message/usage/output_tokens") > 0;
        }
        let blocks = record.pointer("/message/content").and_then(Value::as_array);
        for block in blocks.into_iter().flatten() {
            let words = match str_at(block, "/type") {
                Some("text") => {
                    let text = str_at(block, "/text").unwrap_or_default();
                    if !is_helpers {
                        heard.said = cap(text);
                    }
                    last_line(text, STATUS_CHARS)
                }
                Some("tool_use") => tool_words(block),
                _ => continue,
            };
            tell(Progress::Line(words));
        }
    }

    fn result(&mut self, record: &Value, heard: &mut Heard) {
        heard.stage = Stage::Over;
        heard.has_result = true;
        heard.turns = record.get("num_turns").and_then(Value::as_u64);
        heard.stop_reason = str_at(record, "/stop_reason").map(cap);
        heard.usage = Some(usage(record));
        heard.oddities = denials(record);
        let is_error = record.get("is_error").and_then(Value::as_bool) != Some(false);
        if is_error {
            let message = str_at(record, "/error/message");
            let text = message.map_or_else(|| error_text(record), str::to_owned);
            let code = str_at(record, "/error/type");
            heard.complaint = Some(Complaint::of(bare(&text)).code(code));
            heard.said.clear();
            return;
        }
        let text = str_at(record, "/result").unwrap_or(&heard.said).to_owned();
        let api_failed = !self.has_answered && has_errors(record);
        heard.complaint = match split(&text) {
            Some((said, error)) if api_failed => {
                heard.said = cap(said);
                Some(Complaint::of(error))
            }
            _ => {
                heard.said = cap(&text);
                None
            }
        };
    }
}

/// What the model had said, and the sentence behind it.
fn split(text: &str) -> Option<(&str, &str)> {
    let text = text.trim();
    text.strip_suffix(']')?;
    let at = text.find(ERROR)?;
    Some((text.get(..at)?, bare(text.get(at..)?)))
}

fn bare(text: &str) -> &str {
    let bare = text
        .strip_prefix(ERROR)
        .and_then(|text| text.strip_suffix(']'));
    bare.unwrap_or(text)
}

/// Whether any request failed, as far as that is told.
fn has_errors(record: &Value) -> bool {
    let Some(models) = record.pointer("/stats/models").and_then(Value::as_object) else {
        return true;
    };
    models.is_empty()
        || models
            .values()
            .any(|model| count_at(model, "/api/totalErrors") > 0)
}

/// Its input holds what was cached.
fn usage(record: &Value) -> Usage {
    let cached = count_at(record, "/usage/cache_read_input_tokens");
    Usage {
        input: count_at(record, "/usage/input_tokens").saturating_sub(cached),
        output: count_at(record, "/usage/output_tokens"),
        cache_read: cached,
        ..Usage::default()
    }
}
