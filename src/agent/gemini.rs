//! Gemini CLI: its flags, and what its events, or its one document, say about the call.
//!
//! Its exit code is no guide: it is what is left of an HTTP status. Its errors are records, on stdout or on stderr.

use super::call::Progress;
use super::cli::{Cli, Place, Tells};
use super::failure::Complaint;
use super::reader::{Heard, Protocol, Records, Stage, Tell, count_at, str_at};
use super::text::{MESSAGE_BYTES, STATUS_CHARS, cap, clip, last_line, visible};
use crate::model::Usage;
use serde_json::Value;

pub(super) const GEMINI: Cli = Cli {
    program: "gemini",
    args: |call| {
        let fixed = ["--yolo", "--skip-trust", "--output-format", "stream-json"];
        call.words(&fixed, "--model")
    },
    later: None,
    resume: None,
    is_fed: true,
    passes: &[&["GEMINI_*", "GOOGLE_*", "CLOUDSDK_*"]],
    sets: &[],
    apart: &[],
    home: &[Place {
        variable: "",
        inside: "",
        usual: ".gemini",
        is_directory: true,
        settings: &[
            "settings.json",
            "trustedFolders.json",
            "GEMINI.md",
            "agents",
            "commands",
            "extensions",
            "hooks",
            "policies",
            "skills",
        ],
    }],
    tells: Tells::Tokens,
    litter: None,
    reader: Records::<Events>::boxed,
};

/// What its events mean.
#[derive(Debug, Default)]
struct Events {
    /// Whether the model's words come in pieces that belong together.
    is_saying: bool,
}

impl Protocol for Events {
    const RESULT: Option<&'static str> = Some("a result");

    fn record(&mut self, record: &Value, heard: &mut Heard, tell: Tell<'_>) {
        if let Some(session) = str_at(record, "/session_id") {
            heard.session = Some(cap(session));
        }
        let is_message = str_at(record, "/type") == Some("message");
        let was_saying = std::mem::replace(&mut self.is_saying, is_message);
        match str_at(record, "/type") {
            Some("message") if str_at(record, "/role") == Some("assistant") => {
                let text = str_at(record, "/content").unwrap_or_default();
                let is_delta = record.get("delta").and_then(Value::as_bool) == Some(true);
                if is_delta && was_saying {
                    heard.said.push_str(text);
                    // Cutting at twice the cap keeps the copying linear.
                    if heard.said.len() > 2 * MESSAGE_BYTES {
                        heard.said = cap(&heard.said);
                    }
                } else {
                    heard.turn();
                    heard.said = cap(text);
                }
                tell(Progress::Line(last_line(&heard.said, STATUS_CHARS)));
            }
            Some("message") => self.is_saying = false,
            Some("tool_use") => tool(record, tell),
            Some("result") => {
                heard.stage = Stage::Over;
                heard.has_result = true;
                heard.usage = stats(record).or(heard.usage);
                heard.complaint = (str_at(record, "/status") == Some("error"))
                    .then(|| complaint(record.get("error")));
            }
            Some(_) => {}
            // The document of `--output-format json`: without a type.
            None => document(record, heard),
        }
    }
}

fn document(record: &Value, heard: &mut Heard) {
    if let Some(error) = record.get("error").filter(|error| error.is_object()) {
        heard.complaint = Some(complaint(Some(error)));
    } else if let Some(response) = str_at(record, "/response") {
        heard.said = cap(response);
        heard.has_result = true;
        heard.stage = Stage::Over;
        heard.complaint = None;
    }
    heard.usage = document_stats(record).or(heard.usage);
}

/// The message is often what the service sent, as JSON.
fn complaint(error: Option<&Value>) -> Complaint {
    let error = error.unwrap_or(&Value::Null);
    let message = str_at(error, "/message").unwrap_or("an error without words");
    let status = error.get("code").and_then(Value::as_u64);
    Complaint::of(message)
        .body(message)
        .code(str_at(error, "/type"))
        .code(str_at(error, "/code"))
        .status(status.filter(|status| (400..600).contains(status)))
}

fn tool(record: &Value, tell: Tell<'_>) {
    let name = str_at(record, "/tool_name").unwrap_or("tool");
    let fields = ["command", "file_path", "path", "pattern", "query", "prompt"];
    let mut what = fields
        .iter()
        .filter_map(|field| str_at(record, &format!("/parameters/{field}")));
    let words = match what.next() {
        Some(what) => format!("{name}: {}", what.replace('\n', " ")),
        None => name.to_owned(),
    };
    tell(Progress::Line(clip(&visible(&words), STATUS_CHARS)));
}

/// Of the last event: its input holds what was cached.
fn stats(record: &Value) -> Option<Usage> {
    let stats = record.get("stats")?;
    let cached = count_at(stats, "/cached");
    Some(Usage {
        input: count_at(stats, "/input_tokens").saturating_sub(cached),
        output: count_at(stats, "/output_tokens"),
        cache_read: cached,
        ..Usage::default()
    })
}

/// Of the document: one entry a model, `prompt` with and `input` without what was cached.
fn document_stats(record: &Value) -> Option<Usage> {
    let models = record.pointer("/stats/models")?.as_object()?;
    let of = |model: &Value| {
        let count = |name: &str| count_at(model, &format!("/tokens/{name}"));
        Usage {
            input: count("prompt").saturating_sub(count("cached")),
            output: count("candidates").saturating_add(count("thoughts")),
            cache_read: count("cached"),
            ..Usage::default()
        }
    };
    (!models.is_empty()).then(|| super::tally::sum(models.values().map(of)))
}
