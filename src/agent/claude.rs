//! Claude Code: its flags, and what its stream of records says about the call.
//!
//! Decides by the records, never by words in tool output: a spec about rate limits may quote any of
//! them. Tolerates everything: plain text, several results, cut lines, unknown fields.

use super::call::Progress;
use super::cli::{Cli, Later, Place, Resume, Tells};
use super::failure::{Complaint, of_exit};
use super::quota::{Limit, quota};
use super::reader::{End, Reader, Stage, Tell, Verdict, denied, str_at};
use super::tally::{SNAKE, result_usage, sum, tokens};
use super::text::{FAILURE_CHARS, STATUS_CHARS, Text, cap, clip, last_line, visible};
use crate::model::{AgentFailure, Ending, FailureKind, Quota, Usage};
use crate::process::Stream;
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

pub(super) const CLAUDE: Cli = Cli {
    program: "claude",
    args: |call| {
        let fixed = [
            "-p",
            "--output-format",
            "stream-json",
            "--verbose",
            "--permission-mode",
            "bypassPermissions",
        ];
        call.words(&fixed, "--model")
    },
    // What its own prompt says of directory, memory and git comes behind what is the same for all features, whatever an agent
    // remembers meanwhile. Measured on the first prompt of a feature that follows another: of 19,600 tokens of version 2.1.197
    // 16,627 come from the cache with it and 15,846 without; of 13,100 of 2.1.330, whose memory is the same in all worktrees
    // of a repository, 8,941 and 9,559.
    later: Some(Later {
        words: &["--exclude-dynamic-system-prompt-sections"],
        since: [2, 1, 98],
    }),
    resume: Some(Resume {
        words: |id| vec!["--resume".to_owned(), id.to_owned()],
        tells_all: false,
    }),
    is_fed: true,
    passes: &[&[
        "ANTHROPIC_*",
        "CLAUDE_*",
        "IS_SANDBOX",
        "DISABLE_*",
        "API_TIMEOUT_MS",
    ]],
    sets: &[("DISABLE_AUTOUPDATER", "1")],
    apart: &[],
    home: &[
        Place {
            variable: "CLAUDE_CONFIG_DIR",
            inside: "",
            usual: ".claude",
            is_directory: true,
            settings: &[
                "settings.json",
                "settings.local.json",
                "CLAUDE.md",
                "agents",
                "commands",
                "hooks",
                "output-styles",
                "plugins",
                "rules",
                "skills",
            ],
        },
        Place {
            variable: "",
            inside: "",
            usual: ".claude.json",
            is_directory: false,
            settings: &[],
        },
    ],
    tells: Tells::Money,
    litter: None,
    reader: || Box::new(Records::default()),
};

/// What was read of Claude Code's output.
#[derive(Debug, Default)]
struct Records {
    text: Text,
    has_records: bool,
    result: Option<Value>,
    /// A rejected `rate_limit_event` with a reset time stands unanswered.
    limit: Option<Limit>,
    /// How much of its account's limits is used, by their names.
    quota: BTreeMap<String, Quota>,
    /// The model's last words.
    last_said: String,
    /// The CLI's own last words, which it puts into the model's mouth.
    last_error: String,
    /// What it waits for, when nothing came after that.
    retry: Option<Complaint>,
    /// Usage by message id: a message is told once per block, each time with all of its input.
    seen: BTreeMap<String, Usage>,
    /// The model that spoke last.
    model: Option<String>,
    /// Commands and helpers of the agent's that have not ended.
    background: usize,
    stage: Stage,
}

/// How the sentences begin that it prints in place of an answer.
const BEGINNINGS: [&str; 16] = [
    "API Error",
    "Claude AI usage limit reached",
    "Claude usage limit reached",
    "Credit balance is too low",
    "Error: ",
    "Failed to authenticate",
    "Invalid API key",
    "Limit reached",
    "5-hour limit reached",
    "Weekly limit reached",
    "Opus limit reached",
    "Not logged in",
    "OAuth token",
    "Prompt is too long",
    "You've hit your ",
    "You’ve hit your ",
];

#[derive(Deserialize)]
struct Tag {
    #[serde(rename = "type")]
    kind: String,
}

impl Reader for Records {
    fn line(&mut self, stream: Stream, line: &str, tell: Tell<'_>) {
        let bare = line.trim();
        if stream == Stream::Out && bare.starts_with('{') {
            // Skimmed first: the bulk of a stream is tool output that nobody here needs as a tree.
            if let Ok(tag) = serde_json::from_str::<Tag>(bare) {
                self.has_records = true;
                self.goes_on(&tag.kind);
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
            && records.iter().any(Value::is_object)
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

    fn stage(&self) -> Stage {
        self.stage
    }

    fn finish(self: Box<Self>, end: End<'_>) -> Verdict {
        let failure = self.failure(end);
        let result = self.result.as_ref();
        let usage = match result {
            Some(result) => Some(result_usage(result)),
            // Killed half-way: what it had told so far is a lower bound.
            None if !self.seen.is_empty() => Some(sum(self.seen.values().copied())),
            None => None,
        };
        let text = |field: &str| result.and_then(|result| str_at(result, field));
        let (stop_reason, session) = (text("/stop_reason"), text("/session_id"));
        let (stop_reason, session) = (stop_reason.map(cap), session.map(cap));
        let turns = result.and_then(|result| result.get("num_turns")?.as_u64());
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
        Verdict {
            message: cap(&visible(message.trim())),
            failure,
            usage,
            model: self.model,
            turns,
            stop_reason,
            session,
            quota: self.quota.into_values().collect(),
            oddities,
        }
    }
}

impl Records {
    /// After a result, a new turn begins: what ran in the background has woken the model.
    fn goes_on(&mut self, kind: &str) {
        if matches!(kind, "assistant" | "user") {
            self.stage = Stage::UnderWay;
        }
    }

    fn record(&mut self, kind: &str, record: Value, tell: Tell<'_>) {
        self.retry = None;
        match kind {
            "assistant" => self.assistant(&record, tell),
            "rate_limit_event" => {
                for quota in record.get("rate_limit_info").into_iter().flat_map(quota) {
                    self.quota.insert(quota.scope.clone(), quota);
                }
                let info = |field: &str| record.pointer(&format!("/rate_limit_info/{field}"));
                let is_rejected = info("status").and_then(Value::as_str) == Some("rejected");
                // A passing 429 is told as rejected too, but without a reset time.
                let resets_at = info("resetsAt").filter(|it| it.is_number());
                let scope = info("rateLimitType").and_then(Value::as_str);
                self.limit = resets_at.filter(|_| is_rejected).map(|resets_at| Limit {
                    resets_at: resets_at.as_i64(),
                    scope: scope.map(|scope| clip(&visible(scope), 40)),
                });
            }
            "system" if str_at(&record, "/subtype") == Some("api_retry") => {
                let number = |field: &str| record.get(field).and_then(Value::as_u64).unwrap_or(0);
                let why = str_at(&record, "/error").unwrap_or("error");
                let (attempt, all) = (number("attempt"), number("max_retries"));
                let words = format!("waiting for the API: retry {attempt} of {all} ({why})");
                tell(Progress::Line(clip(&visible(&words), STATUS_CHARS)));
                let status = record.get("error_status").and_then(Value::as_u64);
                self.retry = Some(Complaint::of(&words).code(Some(why)).status(status));
            }
            "system" if str_at(&record, "/subtype") == Some("init") => {
                self.stage = Stage::UnderWay;
            }
            "system" if str_at(&record, "/subtype") == Some("background_tasks_changed") => {
                let tasks = record.get("tasks").and_then(Value::as_array);
                self.background = tasks.map_or(0, Vec::len);
                if self.stage != Stage::UnderWay {
                    self.result_told();
                }
            }
            "result" => {
                self.result = Some(record);
                self.result_told();
            }
            _ => {}
        }
    }

    fn result_told(&mut self) {
        self.stage = match self.background {
            0 => Stage::Over,
            _ => Stage::InBackground,
        };
    }

    fn assistant(&mut self, record: &Value, tell: Tell<'_>) {
        let is_synthetic = str_at(record, "/message/model") == Some("<synthetic>");
        let model = str_at(record, "/message/model").filter(|_| !is_synthetic);
        self.model = model.map(cap).or(self.model.take());
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
                        // It works again.
                        self.limit = None;
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

    fn failure(&self, end: End<'_>) -> Option<AgentFailure> {
        let ended_well = matches!(end.ending, Ending::Exited { code: 0 });
        let killed = end.ending.killed_by_us();
        match &self.result {
            Some(result) if !is_error(result) => None,
            Some(result) => {
                let failure = self.of_result(result).failure(end.at);
                // After a kill of ours an error is the kill's echo.
                (!killed || failure.is_no_echo()).then_some(failure)
            }
            None => match &self.limit {
                Some(limit) => {
                    let words = match self.last_error.as_str() {
                        "" => "the account's limit is reached",
                        words => words,
                    };
                    let scope = limit.scope.as_deref();
                    let limit = Complaint::of(words).limit(limit.resets_at, scope);
                    Some(limit.failure(end.at))
                }
                None if ended_well && self.has_records => Some(AgentFailure::new(
                    FailureKind::Other,
                    "its records end without a result",
                )),
                None if matches!(end.ending, Ending::TimedOut | Ending::IdleTimedOut) => {
                    let retry = self.retry.as_ref()?.failure(end.at);
                    (retry.is_no_echo() || retry.kind.passes()).then_some(retry)
                }
                None => self.of_exit(end),
            },
        }
    }

    /// Of a call that ended without a record.
    fn of_exit(&self, end: End<'_>) -> Option<AgentFailure> {
        let failure = of_exit(end.ending, self.text.last_words())?;
        if self.has_records {
            return Some(failure);
        }
        // In text mode the CLI's own error is the last thing on stdout, where else the agent's words would be.
        let said = self.text.last_out();
        let is_the_clis = BEGINNINGS.iter().any(|words| said.starts_with(words));
        let said = Complaint::of(said).unquoted(!is_the_clis).failure(end.at);
        let is_known = said.kind != FailureKind::Other;
        Some(if is_known { said } else { failure })
    }

    /// The complaint of a result that is an error.
    fn of_result(&self, result: &Value) -> Complaint {
        let text = error_text(result);
        let said = str_at(result, "/result").unwrap_or_default().trim();
        let is_prose = !said.is_empty() && said == self.last_said.trim();
        let mut complaint = Complaint::of(&text)
            .status(result.get("api_error_status").and_then(Value::as_u64))
            .unquoted(is_prose);
        for field in [
            "api_error",
            "api_error_type",
            "terminal_reason",
            "stop_reason",
        ] {
            // These name what happened in one word.
            complaint = complaint.code(result.get(field).and_then(Value::as_str));
        }
        match &self.limit {
            Some(limit) => complaint.limit(limit.resets_at, limit.scope.as_deref()),
            None => complaint,
        }
    }
}

/// Only a result that says so is a success; the subtype says `success` of failures, too.
fn is_error(result: &Value) -> bool {
    result.get("is_error").and_then(Value::as_bool) != Some(false)
}

/// Name and first telling argument of a tool call.
pub(super) fn tool_words(block: &Value) -> String {
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
pub(super) fn error_text(result: &Value) -> String {
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

/// A success with denied tools did less than it meant to.
pub(super) fn denials(result: &Value) -> Vec<String> {
    let told = result.get("permission_denials").and_then(Value::as_array);
    let tools: BTreeSet<&str> = told
        .into_iter()
        .flatten()
        .filter_map(|denial| str_at(denial, "/tool_name"))
        .collect();
    if tools.is_empty() {
        return Vec::new();
    }
    let tools: Vec<&str> = tools.into_iter().collect();
    vec![denied(&tools.join(", "))]
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
        let mut records = Records::default();
        for line in lines {
            records.line(Stream::Out, line, &mut |step| progress.push(step));
        }
        (finish(records, ending), progress)
    }

    fn finish(records: Records, ending: &Ending) -> Verdict {
        let at = jiff::Timestamp::from_second(1_795_424_400).unwrap();
        let at = at.to_zoned_datetime(jiff::tz::TimeZone::UTC);
        Box::new(records).finish(End { ending, at: &at })
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
            estimated: false,
        };
        assert_eq!(
            verdict,
            Verdict {
                message: "All finished.".into(),
                usage: Some(usage),
                ..Verdict::default()
            }
        );
        let so_far = |output| {
            Progress::Tokens(Usage {
                input: 100,
                output,
                cache_read: 1000,
                cache_write: 50,
                micro_usd: 0,
                estimated: false,
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
        use FailureKind::{Auth, Billing, Context, Limit, Network, Overloaded};
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
            (&[PASSING], passing, "429", Overloaded),
            (&[REJECTED, ALLOWED], "API Error: 500", "500", Overloaded),
            (
                &[],
                "API Error: Request rejected (429) · exceed your account's rate limit.",
                "429",
                Overloaded,
            ),
            (&[], "Invalid API key · Fix external API key", "401", Auth),
            (&[], "Not logged in · Please run /login", "null", Auth),
            (
                &[],
                "Failed to authenticate. API Error: 403 no permission",
                "403",
                Auth,
            ),
            (&[], "Credit balance is too low", "400", Billing),
            (
                &[],
                "API Error: Unable to connect to API (ConnectionRefused)",
                "null",
                Network,
            ),
            (
                &[],
                "API Error: 529 Overloaded. This is a server-side issue",
                "529",
                Overloaded,
            ),
            (
                &[],
                "Prompt is too long · the tests talk of a usage limit",
                "400",
                Context,
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
        let mut records = Records::default();
        records.line(Stream::Out, "out", &mut |_| {});
        records.line(Stream::Err, "error: unknown option '--x'", &mut |_| {});
        records.line(Stream::Err, "  ", &mut |_| {});
        let failure = finish(records, &EXIT_1).failure.unwrap();
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
    fn a_call_that_was_stopped_while_it_waited_for_the_service_was_held_up_by_that() {
        let retry = r#"{"type":"system","subtype":"api_retry","attempt":3,"max_retries":10,"error_status":529,"error":"overloaded"}"#;
        let (kind, text) = failure(&[INIT, SAID, retry], &Ending::TimedOut).unwrap();
        assert_eq!(kind, FailureKind::Overloaded);
        assert_eq!(text, "waiting for the API: retry 3 of 10 (overloaded)");
        assert_eq!(failure(&[INIT, retry, SAID], &Ending::TimedOut), None);
        assert_eq!(failure(&[INIT, SAID, retry], &Ending::Stopped), None);
    }

    #[test]
    fn what_the_agent_said_is_no_complaint_even_in_a_failed_call() {
        let said = SAID.replace(r"Looking.\nAll done.", "Credit balance is too low");
        let bad = error("Credit balance is too low", "null");
        assert_eq!(failure(&[&bad], &EXIT_1).unwrap().0, FailureKind::Billing);
        assert_eq!(
            failure(&[&said, &bad], &EXIT_1).unwrap().0,
            FailureKind::Other
        );
        let prose = "I wrote the text: You've hit your weekly limit · resets 8am";
        assert_eq!(failure(&[prose], &EXIT_1).unwrap().0, FailureKind::Other);
    }

    #[test]
    fn the_last_result_is_the_end_unless_something_runs_in_the_background() {
        let tasks = |tasks: &str| {
            format!(r#"{{"type":"system","subtype":"background_tasks_changed","tasks":[{tasks}]}}"#)
        };
        let mut records = Records::default();
        let mut stage = |line: &str| {
            records.line(Stream::Out, line, &mut |_| {});
            records.stage()
        };
        assert_eq!(stage(SAID), Stage::UnderWay);
        assert_eq!(stage(GOOD), Stage::Over);
        assert_eq!(stage(SAID), Stage::UnderWay);
        assert_eq!(stage(&tasks(r#"{"task_id":"x"}"#)), Stage::UnderWay);
        assert_eq!(stage(GOOD), Stage::InBackground);
        assert_eq!(stage(&tasks("")), Stage::Over);
        assert_eq!(stage(INIT), Stage::UnderWay);
        assert_eq!(stage(GOOD), Stage::Over);
    }
}
