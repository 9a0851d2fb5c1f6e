//! Claude Code: its flags, and what its stream of records says about the call.
//!
//! Decides by the records, never by words in tool output: a spec about rate limits may quote any of
//! them. Tolerates everything: plain text, several results, cut lines, unknown fields.

use super::command::{self, FAILURE_CHARS, STATUS_CHARS, Text, cap};
use super::text::{clip, last_line, or, visible};
use super::{Profile, call::Progress};
use crate::model::{AgentFailure, Ending, FailureKind, Usage};
use crate::process::{Secrets, Stream};
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Arguments after the program. The user's own come last and so win.
pub(super) fn args(profile: &Profile, model: Option<&str>) -> Vec<String> {
    let own = profile.command.iter().skip(1).cloned();
    let fixed = [
        "-p",
        "--output-format",
        "stream-json",
        "--verbose",
        "--permission-mode",
        "bypassPermissions",
    ];
    let mut args: Vec<String> = own.chain(fixed.map(str::to_owned)).collect();
    if let Some(model) = model {
        args.extend(["--model".to_owned(), model.to_owned()]);
    }
    args.extend(profile.args.iter().cloned());
    args
}

/// What was read of Claude Code's output.
#[derive(Debug)]
pub(super) struct Records {
    text: Text,
    has_records: bool,
    result: Option<Value>,
    /// A rejected `rate_limit_event` with a reset time stands unanswered.
    is_limited: bool,
    /// The model's last words.
    last_said: String,
    /// The CLI's own last words, which it puts into the model's mouth.
    last_error: String,
    /// Usage by message id: a message is told once per block, each time with all of its input.
    seen: BTreeMap<String, Usage>,
}

/// What the records came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) message: String,
    pub(super) failure: Option<AgentFailure>,
    pub(super) usage: Option<Usage>,
    pub(super) oddities: Vec<String>,
}

impl Verdict {
    /// Takes out what came through in an escaped form.
    pub(super) fn hide(&mut self, secrets: &Secrets) {
        let failure = self.failure.as_mut().map(|failure| &mut failure.text);
        let texts = failure.into_iter().chain(&mut self.oddities);
        for text in texts.chain([&mut self.message]) {
            *text = secrets.hide(text).into_owned();
        }
    }
}

#[derive(Deserialize)]
struct Tag {
    #[serde(rename = "type")]
    kind: String,
}

impl Records {
    pub(super) fn new() -> Self {
        Self {
            text: Text::new(),
            has_records: false,
            result: None,
            is_limited: false,
            last_said: String::new(),
            last_error: String::new(),
            seen: BTreeMap::new(),
        }
    }

    /// Takes one line of output.
    pub(super) fn line(&mut self, stream: Stream, line: &str, tell: &mut impl FnMut(Progress)) {
        let bare = line.trim();
        if stream == Stream::Out && bare.starts_with('{') {
            // Skimmed first: the bulk of a stream is tool output that nobody here needs as a tree.
            if let Ok(tag) = serde_json::from_str::<Tag>(bare) {
                self.has_records = true;
                if matches!(
                    tag.kind.as_str(),
                    "assistant" | "result" | "rate_limit_event" | "system"
                ) && let Ok(record) = serde_json::from_str(bare)
                {
                    self.record(&tag.kind, record, tell);
                }
                return;
            }
        }
        // `--output-format json` with `--verbose` prints all records as one array.
        if stream == Stream::Out
            && bare.starts_with('[')
            && let Ok(records) = serde_json::from_str::<Vec<Value>>(bare)
        {
            for record in records {
                if let Some(kind) = str_at(&record, "/type").map(str::to_owned) {
                    self.has_records = true;
                    self.record(&kind, record, tell);
                }
            }
            return;
        }
        if let Some(progress) = self.text.line(stream, line) {
            tell(progress);
        }
    }

    fn record(&mut self, kind: &str, record: Value, tell: &mut impl FnMut(Progress)) {
        match kind {
            "assistant" => self.assistant(&record, tell),
            "rate_limit_event" => {
                let info = |field: &str| record.pointer(&format!("/rate_limit_info/{field}"));
                let is_rejected = info("status").and_then(Value::as_str) == Some("rejected");
                // A passing 429 is told as rejected too, but without a reset time.
                let has_reset = info("resetsAt").is_some_and(Value::is_number);
                self.is_limited = is_rejected && has_reset;
            }
            "system" if str_at(&record, "/subtype") == Some("api_retry") => {
                let number = |field: &str| record.get(field).and_then(Value::as_u64).unwrap_or(0);
                let why = str_at(&record, "/error").unwrap_or("error");
                let (attempt, all) = (number("attempt"), number("max_retries"));
                let words = format!("waiting for the API: retry {attempt} of {all} ({why})");
                tell(Progress::Line(clip(&visible(&words), STATUS_CHARS)));
            }
            "result" => self.result = Some(record),
            _ => {}
        }
    }

    fn assistant(&mut self, record: &Value, tell: &mut impl FnMut(Progress)) {
        let is_synthetic = str_at(record, "/message/model") == Some("<synthetic>");
        let is_sub_agent = str_at(record, "/parent_tool_use_id").is_some();
        let blocks = record.pointer("/message/content").and_then(Value::as_array);
        for block in blocks.into_iter().flatten() {
            let words = match str_at(block, "/type") {
                Some("text") => {
                    let text = str_at(block, "/text").unwrap_or_default();
                    if is_synthetic {
                        self.last_error = last_line(text, FAILURE_CHARS);
                    } else if !is_sub_agent {
                        self.last_said = cap(text);
                    }
                    last_line(text, STATUS_CHARS)
                }
                Some("tool_use") => tool_words(block),
                _ => continue,
            };
            if !words.is_empty() {
                tell(Progress::Line(words));
            }
        }
        let id = str_at(record, "/message/id");
        if let (Some(id), Some(usage)) = (id, record.pointer("/message/usage")) {
            let told = tokens(usage, &SNAKE);
            let known = self.seen.entry(id.to_owned()).or_default();
            *known = Usage {
                output: told.output.max(known.output),
                ..told
            };
            tell(Progress::Tokens(sum(self.seen.values().copied())));
        }
    }

    /// What it all came to, once the process has ended.
    pub(super) fn finish(self, ending: &Ending) -> Verdict {
        let failure = self.failure(ending);
        let result = self.result.as_ref();
        let usage = match result {
            Some(result) => Some(result_usage(result)),
            // Killed half-way: what it had told so far is a lower bound.
            None if !self.seen.is_empty() => Some(sum(self.seen.values().copied())),
            None => None,
        };
        let oddities = result.map_or_else(Vec::new, denials);
        // What the CLI says in place of an answer is not the agent's own text.
        let message = match result.filter(|result| !is_error(result)) {
            Some(result) => str_at(result, "/result")
                .unwrap_or(&self.last_said)
                .to_owned(),
            None if self.has_records => self.last_said,
            None if failure
                .as_ref()
                .is_some_and(|it| it.kind != FailureKind::Other) =>
            {
                String::new()
            }
            None => self.text.message(),
        };
        let message = cap(&visible(message.trim()));
        Verdict {
            message,
            failure,
            usage,
            oddities,
        }
    }

    fn failure(&self, ending: &Ending) -> Option<AgentFailure> {
        let ended_well = matches!(ending, Ending::Exited { code: 0 });
        let is_error =
            |result: &Value| result.get("is_error").and_then(Value::as_bool) != Some(false);
        match &self.result {
            Some(result) if !is_error(result) => None,
            Some(result) => {
                let text = error_text(result);
                let kind = if self.is_limited {
                    FailureKind::Limit
                } else {
                    classify(result, &text)
                };
                // After a kill of ours an error is the kill's echo.
                let is_echo = ending.killed_by_us() && kind == FailureKind::Other;
                (!is_echo).then_some(AgentFailure { kind, text })
            }
            None if self.is_limited => Some(AgentFailure {
                kind: FailureKind::Limit,
                text: or(self.last_error.clone(), "the account's limit is reached"),
            }),
            None if ended_well && self.has_records => Some(AgentFailure {
                kind: FailureKind::Other,
                text: "its records end without a result".to_owned(),
            }),
            None => {
                let failure = command::failure(ending, self.text.last_words())?;
                // In text mode the CLI's own error is the last thing on stdout.
                let said = self.text.last_out();
                match classify(&Value::Null, said) {
                    FailureKind::Other => Some(failure),
                    kind => Some(AgentFailure {
                        kind,
                        text: said.to_owned(),
                    }),
                }
            }
        }
    }
}

/// Only a result that says so is a success; the subtype says `success` of failures, too.
fn is_error(result: &Value) -> bool {
    result.get("is_error").and_then(Value::as_bool) != Some(false)
}

/// Name and first telling argument of a tool call.
fn tool_words(block: &Value) -> String {
    let name = str_at(block, "/name").unwrap_or("tool");
    let telling = [
        "command",
        "file_path",
        "path",
        "pattern",
        "url",
        "query",
        "description",
    ];
    let what = telling
        .iter()
        .find_map(|field| str_at(block, &format!("/input/{field}")));
    match what {
        Some(what) => clip(
            &visible(&format!("{name}: {}", what.replace('\n', " "))),
            STATUS_CHARS,
        ),
        None => clip(&visible(name), STATUS_CHARS),
    }
}

/// The CLI's own words for what went wrong, in one line.
fn error_text(result: &Value) -> String {
    let errors = || {
        let errors = result.get("errors")?.as_array()?;
        let all: Vec<&str> = errors.iter().filter_map(Value::as_str).collect();
        (!all.is_empty()).then(|| all.join("; "))
    };
    let said = str_at(result, "/result").filter(|text| !text.trim().is_empty());
    let text = said
        .map(str::to_owned)
        .or_else(errors)
        .or_else(|| str_at(result, "/subtype").map(str::to_owned))
        .unwrap_or_else(|| "an error without words".to_owned());
    clip(&visible(text.trim()).replace('\n', " "), FAILURE_CHARS)
}

/// What kind of failure a failed call's own error is. Texts are looked at only here, and only at their
/// beginning: they are what the CLI prints in place of an answer.
fn classify(result: &Value, text: &str) -> FailureKind {
    const LIMIT: [&str; 7] = [
        "Claude AI usage limit reached",
        "Claude usage limit reached",
        "Limit reached",
        "5-hour limit reached",
        "Weekly limit reached",
        "Opus limit reached",
        "API Error: 400 You have reached your specified API usage limits",
    ];
    const AUTH: [&str; 4] = [
        "Invalid API key",
        "Not logged in",
        "Failed to authenticate",
        "Credit balance is too low",
    ];
    let begins = |list: &[&str]| list.iter().any(|beginning| text.starts_with(beginning));
    let is_plan_limit = text.starts_with("You've hit your ") && text.contains("limit");
    let is_unauthorised = result.get("api_error_status").and_then(Value::as_u64) == Some(401);
    if str_at(result, "/api_error") == Some("usage_limit_reached")
        || is_plan_limit
        || begins(&LIMIT)
    {
        FailureKind::Limit
    } else if is_unauthorised || begins(&AUTH) || text.contains("Please run /login") {
        FailureKind::Auth
    } else {
        FailureKind::Other
    }
}

/// Tokens of all models (`usage` leaves out sub-agents) and the money.
fn result_usage(result: &Value) -> Usage {
    let models = result.get("modelUsage").and_then(Value::as_object);
    let mut total = match models.filter(|models| !models.is_empty()) {
        Some(models) => sum(models.values().map(|model| tokens(model, &CAMEL))),
        None => result
            .get("usage")
            .map_or_else(Usage::default, |usage| tokens(usage, &SNAKE)),
    };
    total.micro_usd = micros(
        result
            .get("total_cost_usd")
            .and_then(Value::as_f64)
            .unwrap_or(0.0),
    );
    total
}

/// Names of input, output, cache-read and cache-write tokens.
type Names = [&'static str; 4];
const SNAKE: Names = [
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
];
const CAMEL: Names = [
    "inputTokens",
    "outputTokens",
    "cacheReadInputTokens",
    "cacheCreationInputTokens",
];

fn tokens(value: &Value, [input, output, cache_read, cache_write]: &Names) -> Usage {
    let count = |name: &str| value.get(name).and_then(Value::as_u64).unwrap_or(0);
    Usage {
        input: count(input),
        output: count(output),
        cache_read: count(cache_read),
        cache_write: count(cache_write),
        micro_usd: 0,
    }
}

fn sum(all: impl Iterator<Item = Usage>) -> Usage {
    all.fold(Usage::default(), |a, b| Usage {
        input: a.input.saturating_add(b.input),
        output: a.output.saturating_add(b.output),
        cache_read: a.cache_read.saturating_add(b.cache_read),
        cache_write: a.cache_write.saturating_add(b.cache_write),
        micro_usd: a.micro_usd.saturating_add(b.micro_usd),
    })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the conversion saturates, and takes what is not a number for 0"
)]
fn micros(usd: f64) -> u64 {
    (usd * 1e6).round() as u64
}

/// A success with denied tools did less than it meant to.
fn denials(result: &Value) -> Vec<String> {
    let denied = result.get("permission_denials").and_then(Value::as_array);
    let tools: BTreeSet<&str> = denied
        .into_iter()
        .flatten()
        .filter_map(|denial| str_at(denial, "/tool_name"))
        .collect();
    if tools.is_empty() {
        return Vec::new();
    }
    let tools: Vec<&str> = tools.into_iter().collect();
    let tools = clip(&visible(&tools.join(", ")), STATUS_CHARS);
    vec![format!(
        "claude was not permitted to use: {tools}; look at `args` in its profile"
    )]
}

fn str_at<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INIT: &str = r#"{"type":"system","subtype":"init","cwd":"/wt","model":"m"}"#;
    const SAID: &str = r#"{"type":"assistant","message":{"id":"msg_1","content":[{"type":"text","text":"Looking.\nAll done."}],"usage":{"input_tokens":100,"cache_creation_input_tokens":50,"cache_read_input_tokens":1000,"output_tokens":1}},"parent_tool_use_id":null}"#;
    const TOOL: &str = r#"{"type":"assistant","message":{"id":"msg_1","content":[{"type":"tool_use","name":"Bash","input":{"command":"cargo\ntest"}}],"usage":{"input_tokens":100,"cache_creation_input_tokens":50,"cache_read_input_tokens":1000,"output_tokens":7}}}"#;
    const GOOD: &str = r#"{"duration_ms":755,"total_cost_usd":0.0090625,"usage":{"input_tokens":1},"modelUsage":{"a":{"inputTokens":500,"outputTokens":100,"cacheReadInputTokens":5000,"cacheCreationInputTokens":250,"costUSD":0.009},"b":{"inputTokens":20,"outputTokens":4}},"permission_denials":[],"is_error":false,"subtype":"success","result":"All finished.","type":"result","result_index":0}"#;
    const REJECTED: &str = r#"{"type":"rate_limit_event","rate_limit_info":{"status":"rejected","resetsAt":1795437002,"rateLimitType":"five_hour"}}"#;
    const PASSING: &str = r#"{"type":"rate_limit_event","rate_limit_info":{"status":"rejected","isUsingOverage":false}}"#;
    const ALLOWED: &str = r#"{"type":"rate_limit_event","rate_limit_info":{"status":"allowed","isUsingOverage":false}}"#;
    const EXIT_0: Ending = Ending::Exited { code: 0 };
    const EXIT_1: Ending = Ending::Exited { code: 1 };

    fn error(text: &str, status: &str) -> String {
        format!(
            r#"{{"type":"result","subtype":"success","is_error":true,"api_error_status":{status},"result":"{text}","total_cost_usd":0.0018,"modelUsage":{{}}}}"#
        )
    }

    fn read(lines: &[&str], ending: &Ending) -> (Verdict, Vec<Progress>) {
        let mut progress = Vec::new();
        let mut records = Records::new();
        for line in lines {
            records.line(Stream::Out, line, &mut |step| progress.push(step));
        }
        (records.finish(ending), progress)
    }

    fn failure(lines: &[&str], ending: &Ending) -> Option<(FailureKind, String)> {
        let failure = read(lines, ending).0.failure;
        failure.map(|failure| (failure.kind, failure.text))
    }

    #[test]
    fn a_success_gives_message_usage_and_progress() {
        let (verdict, progress) = read(&[INIT, SAID, TOOL, ALLOWED, GOOD], &EXIT_0);
        let usage = Usage {
            input: 520,
            output: 104,
            cache_read: 5000,
            cache_write: 250,
            micro_usd: 9063,
        };
        assert_eq!(
            verdict,
            Verdict {
                message: "All finished.".into(),
                failure: None,
                usage: Some(usage),
                oddities: Vec::new(),
            }
        );
        let so_far = |output| {
            Progress::Tokens(Usage {
                input: 100,
                output,
                cache_read: 1000,
                cache_write: 50,
                micro_usd: 0,
            })
        };
        assert_eq!(
            progress,
            [
                Progress::Line("All done.".into()),
                so_far(1),
                Progress::Line("Bash: cargo test".into()),
                so_far(7),
            ]
        );
    }

    #[test]
    fn of_several_results_the_last_counts() {
        let bad = error("API Error: 500", "500");
        let second = GOOD.replace("All finished.", "Woken up.");
        assert_eq!(read(&[GOOD, SAID, &second], &EXIT_0).0.message, "Woken up.");
        assert_eq!(failure(&[&bad, GOOD], &EXIT_0), None);
        assert!(failure(&[GOOD, &bad], &EXIT_1).is_some());
    }

    #[test]
    fn failures_are_told_apart_by_records_and_the_clis_own_error() {
        use FailureKind::{Auth, Limit, Other};
        let session = "You've hit your session limit · resets 8am (America/New_York)";
        let passing = "API Error: Server is temporarily limiting requests (not your usage limit) · This request would exceed your account's rate limit.";
        for (records, text, status, kind) in [
            (&[REJECTED][..], session, "429", Limit),
            (&[REJECTED], "something new", "429", Limit),
            (&[], session, "429", Limit),
            (
                &[],
                "Claude AI usage limit reached|1795438800",
                "null",
                Limit,
            ),
            (
                &[],
                "Limit reached resets 8am (America/New_York) · ",
                "null",
                Limit,
            ),
            (&[PASSING], passing, "429", Other),
            (&[REJECTED, ALLOWED], "API Error: 500", "500", Other),
            (
                &[],
                "API Error: Request rejected (429) · exceed your account's rate limit.",
                "429",
                Other,
            ),
            (&[], "Invalid API key · Fix external API key", "401", Auth),
            (&[], "Not logged in · Please run /login", "null", Auth),
            (
                &[],
                "Failed to authenticate. API Error: 403 no permission",
                "403",
                Auth,
            ),
            (&[], "Credit balance is too low", "400", Auth),
            (
                &[],
                "API Error: Unable to connect to API (ConnectionRefused)",
                "null",
                Other,
            ),
            (
                &[],
                "API Error: 529 Overloaded. This is a server-side issue",
                "529",
                Other,
            ),
            (
                &[],
                "Prompt is too long · the tests talk of a usage limit",
                "400",
                Other,
            ),
        ] {
            let result = error(text, status);
            let mut lines = vec![INIT];
            lines.extend(records);
            lines.push(&result);
            let expected = (kind, text.trim().to_owned());
            assert_eq!(failure(&lines, &EXIT_1), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_the_cli_says_in_place_of_an_answer_is_not_the_agents_text() {
        let synthetic = r#"{"type":"assistant","message":{"id":"x","model":"<synthetic>","content":[{"type":"text","text":"API Error: 500"}]}}"#;
        let bad = error("API Error: 500", "500");
        assert_eq!(read(&[INIT, synthetic, &bad], &EXIT_1).0.message, "");
        let (verdict, _) = read(&[SAID, synthetic, REJECTED], &EXIT_1);
        assert_eq!(verdict.message, "Looking.\nAll done.");
        assert_eq!(verdict.failure.unwrap().text, "API Error: 500");
    }

    #[test]
    fn talk_of_limits_in_a_good_run_is_talk() {
        let talk = GOOD.replace("All finished.", "usage limit reached; Invalid API key; 429");
        assert_eq!(failure(&[INIT, ALLOWED, &talk], &EXIT_0), None);
        assert_eq!(failure(&[REJECTED, &talk], &EXIT_0), None);
    }

    #[test]
    fn an_error_without_text_is_told_by_its_errors() {
        let turns = r#"{"type":"result","subtype":"error_max_turns","is_error":true,"errors":["Reached maximum number of turns (2)"],"modelUsage":{}}"#;
        let (verdict, _) = read(&[SAID, turns], &EXIT_1);
        assert_eq!(
            verdict.failure.unwrap().text,
            "Reached maximum number of turns (2)"
        );
        assert_eq!(verdict.message, "Looking.\nAll done.");
    }

    #[test]
    fn plain_text_is_the_message() {
        let (verdict, progress) = read(&["Added hello.", "", "Done.\u{1b}[0m"], &EXIT_0);
        assert_eq!(verdict.message, "Added hello.\n\nDone.\\u{1b}[0m");
        assert_eq!((verdict.failure, verdict.usage), (None, None));
        assert_eq!(progress.len(), 2);
        let limit = "You've hit your 5-hour limit · resets 8am (Europe/Berlin)";
        assert_eq!(
            failure(&[limit], &EXIT_1),
            Some((FailureKind::Limit, limit.into()))
        );
        assert_eq!(failure(&[limit], &EXIT_0), None);
        assert_eq!(read(&[limit], &EXIT_1).0.message, "");
    }

    #[test]
    fn an_exit_without_records_is_told_by_the_last_line_of_stderr() {
        let mut records = Records::new();
        records.line(Stream::Out, "out", &mut |_| {});
        records.line(Stream::Err, "error: unknown option '--x'", &mut |_| {});
        records.line(Stream::Err, "  ", &mut |_| {});
        let failure = records.finish(&EXIT_1).failure.unwrap();
        assert_eq!(failure.text, "exit 1: error: unknown option '--x'");
        assert_eq!(read(&[], &EXIT_1).0.failure.unwrap().text, "exit 1");
        assert_eq!(read(&[], &EXIT_0).0.failure, None);
    }

    #[test]
    fn records_without_a_result_are_no_success() {
        let (verdict, _) = read(&[INIT, SAID], &EXIT_0);
        assert_eq!(
            verdict.failure.unwrap().text,
            "its records end without a result"
        );
        assert_eq!(verdict.usage.unwrap().input, 100);
    }

    #[test]
    fn after_a_kill_of_ours_an_error_is_its_echo_but_a_limit_is_not() {
        let echo = r#"{"type":"result","subtype":"error_during_execution","is_error":true}"#;
        assert_eq!(failure(&[SAID, echo], &Ending::TimedOut), None);
        assert_eq!(failure(&[SAID], &Ending::Stopped), None);
        let limited = failure(&[SAID, REJECTED], &Ending::IdleTimedOut).unwrap();
        assert_eq!(
            limited,
            (FailureKind::Limit, "the account's limit is reached".into())
        );
    }

    #[test]
    fn garbage_is_survived() {
        let deep = "[".repeat(100_000);
        let lines = [
            "{",
            "{\"type\":3}",
            "[1,2",
            "null",
            "{\"type\":\"result\"",
            "\u{fffd}{}",
            &deep,
            r#"{"type":"assistant","message":7}"#,
            r#"{"type":"assistant","message":{"id":"x","content":"text","usage":[]}}"#,
            r#"{"type":"rate_limit_event","rate_limit_info":{"status":"rejected","resetsAt":"soon"}}"#,
            r#"{"type":"result","is_error":false,"result":{"a":1},"modelUsage":7,"total_cost_usd":-1e300,"permission_denials":"x"}"#,
        ];
        let (verdict, _) = read(&lines, &EXIT_0);
        assert_eq!(
            (verdict.failure, verdict.usage),
            (None, Some(Usage::default()))
        );
    }

    #[test]
    fn denied_tools_are_told() {
        let denied = GOOD.replace(
            r#""permission_denials":[]"#,
            r#""permission_denials":[{"tool_name":"Write"},{"tool_name":"Bash"},{"tool_name":"Bash"}]"#,
        );
        let oddities = read(&[&denied], &EXIT_0).0.oddities;
        assert!(
            oddities.first().unwrap().contains("to use: Bash, Write;"),
            "{oddities:?}"
        );
    }

    #[test]
    fn one_array_of_records_is_read_like_lines() {
        let array = format!("[{INIT},{SAID},{GOOD}]");
        assert_eq!(read(&[&array], &EXIT_0).0.message, "All finished.");
    }

    #[test]
    fn the_users_arguments_come_last() {
        let profile = Profile {
            kind: super::super::Kind::Claude,
            command: vec!["claude".into(), "--first".into()],
            model: None,
            args: vec!["--max-turns".into(), "9".into()],
            env: BTreeMap::new(),
            env_pass: Vec::new(),
            write: Vec::new(),
            network: None,
        };
        assert_eq!(
            args(&profile, Some("opus")).join(" "),
            "--first -p --output-format stream-json --verbose --permission-mode bypassPermissions \
             --model opus --max-turns 9"
        );
    }
}
