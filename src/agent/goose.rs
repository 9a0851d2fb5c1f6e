//! goose: its flags, and what its messages say about the call.
//!
//! It reports success whatever happens: what failed is told only by a message of its own, which it puts into the
//! model's mouth. Such a message has no id; what the model says has one.

use super::call::Progress;
use super::cli::{Cli, PROVIDERS, Place, Tells};
use super::failure::Complaint;
use super::reader::{Heard, Protocol, Records, Stage, Tell, count_at, str_at};
use super::text::{MESSAGE_BYTES, STATUS_CHARS, cap, clip, last_line, visible};
use crate::model::Usage;
use crate::process::Stream;
use serde_json::Value;

pub(super) const GOOSE: Cli = Cli {
    program: "goose",
    args: |call| {
        let fixed = ["run", "--quiet", "--output-format", "stream-json"];
        let mut args = call.words(&fixed, "--model");
        args.extend(["-i", "-"].map(str::to_owned));
        args
    },
    later: None,
    resume: None,
    is_fed: true,
    passes: &[&["GOOSE_*"], &PROVIDERS],
    sets: &[("GOOSE_MODE", "auto")],
    // Several that begin with no database of sessions at the same time make each other fail. Configuration and login
    // are elsewhere.
    apart: &[("XDG_DATA_HOME", "data")],
    home: &[
        Place {
            variable: "XDG_STATE_HOME",
            inside: "goose",
            usual: ".local/state/goose",
            is_directory: true,
            settings: &[],
        },
        Place {
            variable: "XDG_CONFIG_HOME",
            inside: "goose",
            usual: ".config/goose",
            is_directory: true,
            settings: &[
                "config.yaml",
                "permission.yaml",
                "secrets.yaml",
                ".goosehints",
                "custom_providers",
                "recipes",
                "skills",
            ],
        },
    ],
    tells: Tells::Tokens,
    litter: None,
    reader: Records::<Messages>::boxed,
};

/// How its own messages begin that say that something went wrong.
const BEGINNINGS: [&str; 4] = [
    "Network error: ",
    "Ran into this error trying to compact: ",
    "Unable to continue: ",
    "I've reached the maximum number of actions",
];
/// What stands before an error, and behind it.
const ERROR: &str = "Ran into this error: ";
const ADVICE: &str = "Please retry if you think this is a transient or recoverable error.";

/// What its messages mean.
#[derive(Debug, Default)]
struct Messages {
    /// Of the message that is being said in pieces.
    id: Option<String>,
}

impl Protocol for Messages {
    const RESULT: Option<&'static str> = Some("a result");

    fn record(&mut self, record: &Value, heard: &mut Heard, tell: Tell<'_>) {
        // The document of `--output-format json`.
        if let Some(messages) = record.get("messages").and_then(Value::as_array) {
            for message in messages {
                self.message(message, heard, tell);
            }
            complete(record.get("metadata").unwrap_or(&Value::Null), heard);
            return;
        }
        match str_at(record, "/type").unwrap_or_default() {
            "message" => {
                if let Some(message) = record.get("message") {
                    self.message(message, heard, tell);
                }
            }
            "error" => {
                let text = str_at(record, "/error").or_else(|| str_at(record, "/message"));
                heard.complaint = Some(Complaint::of(text.unwrap_or("an error without words")));
            }
            "complete" => complete(record, heard),
            _ => {}
        }
    }

    /// Its errors before a session begins.
    fn complaint(stream: Stream, line: &str) -> Option<&str> {
        let mut beginnings = BEGINNINGS.iter().chain([&ERROR]);
        let is_own = stream == Stream::Err || beginnings.any(|it| line.starts_with(it));
        is_own.then_some(line)
    }
}

impl Messages {
    fn message(&mut self, message: &Value, heard: &mut Heard, tell: Tell<'_>) {
        let is_shown = message.pointer("/metadata/userVisible") != Some(&Value::Bool(false));
        if str_at(message, "/role") != Some("assistant") || !is_shown {
            return;
        }
        heard.stage = Stage::UnderWay;
        let id = str_at(message, "/id").filter(|id| !id.is_empty());
        // In a stream, a message comes in pieces with the same id.
        let goes_on = id.is_some() && self.id.as_deref() == id;
        if !goes_on && id.is_some() {
            heard.turn();
        }
        self.id = id.map(cap);
        let content = message.get("content").and_then(Value::as_array);
        for part in content.into_iter().flatten() {
            match str_at(part, "/type").unwrap_or_default() {
                "text" => {
                    let text = str_at(part, "/text").unwrap_or_default();
                    match own_words(id, text) {
                        Some(words) => heard.complaint = Some(Complaint::of(words)),
                        None => said(goes_on, text, heard),
                    }
                    tell(Progress::Line(last_line(&heard.said, STATUS_CHARS)));
                }
                "toolRequest" => {
                    heard.complaint = None;
                    tool(part, tell);
                }
                "systemNotification" => {
                    let words = str_at(part, "/msg").unwrap_or_default();
                    let kind = str_at(part, "/notificationType");
                    let is_bad =
                        own_words(None, words).is_some() || kind == Some("creditsExhausted");
                    if is_bad {
                        heard.complaint = Some(Complaint::of(words).code(kind));
                    }
                }
                _ => {}
            }
        }
    }
}

fn said(goes_on: bool, text: &str, heard: &mut Heard) {
    heard.complaint = None;
    if !goes_on {
        heard.said.clear();
    }
    heard.said.push_str(text);
    // Cutting at twice the cap keeps the copying linear.
    if heard.said.len() > 2 * MESSAGE_BYTES {
        heard.said = cap(&heard.said);
    }
}

/// The CLI's own words in a message, if it is such a one.
fn own_words<'a>(id: Option<&str>, text: &'a str) -> Option<&'a str> {
    let is_own = id.is_none();
    let text = text.trim();
    if let Some(error) = text.strip_prefix(ERROR) {
        let error = error.strip_suffix(ADVICE)?;
        return is_own.then(|| error.trim());
    }
    let begins = BEGINNINGS.iter().any(|words| text.starts_with(words));
    (is_own && begins).then_some(text)
}

fn tool(part: &Value, tell: Tell<'_>) {
    let name = str_at(part, "/toolCall/value/name").unwrap_or("tool");
    let fields = ["command", "path", "url", "query"];
    let mut what = fields
        .iter()
        .filter_map(|field| str_at(part, &format!("/toolCall/value/arguments/{field}")));
    let words = match what.next() {
        Some(what) => format!("{name}: {}", what.replace('\n', " ")),
        None => name.to_owned(),
    };
    tell(Progress::Line(clip(&visible(&words), STATUS_CHARS)));
}

/// It does not tell apart what was cached.
fn complete(record: &Value, heard: &mut Heard) {
    heard.has_result = true;
    heard.stage = Stage::Over;
    let usage = Usage {
        input: count_at(record, "/input_tokens"),
        output: count_at(record, "/output_tokens"),
        ..Usage::default()
    };
    if usage != Usage::default() {
        heard.usage = Some(usage);
    }
}
