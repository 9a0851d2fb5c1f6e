//! Made runs of every kind, in every form in which it prints: good ones that talk of limits, keys, bills and blockers
//! wherever an agent can talk, and bad ones that mean it.

use super::outbox::blocked_line;
use super::record_tests::{KINDS, Run, runs};
use crate::config::Kind;
use crate::model::{AgentFailure, Ending, FailureKind};
use serde_json::{Value, json};

/// What limits say.
const LIMITS: [&str; 14] = [
    "Claude AI usage limit reached|1795438800",
    "Limit reached resets 8am (America/New_York) · ",
    "You've hit your limit · resets 8am (America/New_York)",
    "You've hit your session limit · resets 8am (America/New_York)",
    "You've hit your weekly limit · resets Nov 25, 8:02pm (Europe/Berlin)",
    "You've hit your Opus limit · resets Nov 25, 8pm (UTC)",
    "5-hour limit reached ∙ resets 1pm",
    "Weekly limit reached · resets 10am (Asia/Seoul) · /upgrade to Max",
    "Claude usage limit reached. Your limit will reset at 9am (America/Chicago).",
    "You’ve hit your usage limit. Upgrade to Pro (https://chatgpt.com/explore/pro) or try again at 11:13 AM.",
    "You've hit your usage limit. Try again at Nov 25th, 2026 10:46 AM.",
    "You've hit your usage limit. Upgrade to Plus, or try again in 2 days 17 hours 14 minutes.",
    "You have exhausted your capacity on this model. Your quota will reset after 5s.",
    "API Error: 400 You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC.",
];

/// What else an agent may write about.
const TALK: [&str; 16] = [
    "Invalid API key · Fix external API key",
    "Not logged in · Please run /login",
    "Credit balance is too low",
    "You exceeded your current quota, please check your plan and billing details.",
    "API Error: 529 Overloaded. This is a server-side issue, usually temporary",
    "API Error: Request rejected (429) · This request would exceed your account's rate limit.",
    "Prompt is too long · the request is ~208310 tokens (limit 200000)",
    "Codex ran out of room in the model's context window.",
    "[API Error: 401 Incorrect API key provided: dummy.]",
    "Ran into this error: Rate limit exceeded: The usage limit has been reached.",
    "unexpected status 401 Unauthorized: Missing bearer",
    "stream disconnected before completion: error sending request",
    "The log now says `BLOCKED: which colour?` when it should.",
    "STATUS: blocked, quota exceeded, not done: panicked at src/main.rs",
    "fatal: authentication failed; connection refused; exit 1",
    "I am done: the breaker trips on `usage limit reached` and says DONE",
];

/// Where in its last message an agent quotes such a sentence.
const PLACES: usize = 3;

fn last_message(place: usize, sentence: &str) -> String {
    match place {
        0 => format!("{sentence}\nThat is the text that the parser now knows. All tests pass."),
        1 => format!("Added the case \"{sentence}\" to the table. All tests pass."),
        _ => format!(
            "The parser now knows this text:\n\n```\nBLOCKED: x\n{sentence}\n```\n\nAll tests pass."
        ),
    }
}

/// A form in which a kind prints.
type Form = (&'static str, fn(&Said<'_>) -> String);

/// What is said in a good run.
struct Said<'a> {
    /// In a tool's input and output, on the way, in a commit message.
    talk: &'a str,
    /// In the end.
    last: &'a str,
}

fn lines(records: &[Value]) -> String {
    let lines: Vec<String> = records.iter().map(Value::to_string).collect();
    lines.join("\n")
}

fn claude_like(said: &Said<'_>, bin: &str) -> Vec<Value> {
    let usage = json!({"input_tokens": 100, "output_tokens": 20, "cache_read_input_tokens": 50});
    vec![
        json!({"type": "system", "subtype": "init", "cwd": "/wt", "session_id": "s", "model": "m"}),
        json!({"type": "assistant", "message": {"id": "m1", "model": "m", "content": [{"type": "text", "text": said.talk}], "usage": usage}}),
        json!({"type": "assistant", "message": {"id": "m1", "model": "m", "content": [{"type": "tool_use", "name": "Bash", "input": {"command": format!("git commit -m '{}'", said.talk)}}], "usage": usage}}),
        json!({"type": "user", "message": {"role": "user", "content": [{"type": "tool_result", "is_error": true, "content": said.talk}]}}),
        json!({"type": "rate_limit_event", "rate_limit_info": {"status": "allowed", "isUsingOverage": false}}),
        json!({"type": "assistant", "message": {"id": "m2", "model": "m", "content": [{"type": "text", "text": said.last}], "usage": usage}}),
        json!({"type": "result", "subtype": "success", "is_error": false, "result": said.last, "num_turns": 2, "usage": usage, "permission_denials": [],
            "stats": {"models": {bin: {"api": {"totalRequests": 2, "totalErrors": 0}}}}}),
    ]
}

fn codex(said: &Said<'_>) -> Vec<Value> {
    let command = format!("git commit -m '{}'", said.talk);
    vec![
        json!({"type": "thread.started", "thread_id": "t"}),
        json!({"type": "item.completed", "item": {"type": "error", "message": said.talk}}),
        json!({"type": "turn.started"}),
        json!({"type": "error", "message": format!("Reconnecting... 1/5 ({})", said.talk)}),
        json!({"type": "item.completed", "item": {"type": "agent_message", "text": said.talk}}),
        json!({"type": "item.completed", "item": {"type": "command_execution", "command": command, "aggregated_output": said.talk, "exit_code": 1, "status": "failed"}}),
        json!({"type": "item.completed", "item": {"type": "agent_message", "text": said.last}}),
        json!({"type": "turn.completed", "usage": {"input_tokens": 100, "cached_input_tokens": 50, "output_tokens": 20}}),
    ]
}

fn opencode(said: &Said<'_>) -> Vec<Value> {
    let input = json!({"command": format!("git commit -m '{}'", said.talk)});
    let finish = |reason| json!({"type": "step_finish", "sessionID": "s", "part": {"reason": reason, "tokens": {"input": 1, "output": 2}, "cost": 0.1}});
    vec![
        json!({"type": "step_start", "sessionID": "s", "part": {}}),
        json!({"type": "text", "sessionID": "s", "part": {"text": said.talk}}),
        json!({"type": "tool_use", "sessionID": "s", "part": {"tool": "bash", "state": {"status": "error", "error": said.talk, "input": input, "output": said.talk}}}),
        finish("tool-calls"),
        json!({"type": "step_start", "sessionID": "s", "part": {}}),
        json!({"type": "text", "sessionID": "s", "part": {"text": said.last}}),
        finish("stop"),
    ]
}

fn goose(said: &Said<'_>) -> Vec<Value> {
    let message = |id: &str, role, part: Value| json!({"id": id, "role": role, "content": [part], "metadata": {"userVisible": true}});
    let call = json!({"status": "success", "value": {"name": "shell", "arguments": {"command": said.talk}}});
    let answer = json!({"status": "error", "value": {"content": [{"type": "text", "text": said.talk}], "isError": true}});
    vec![
        message("a", "assistant", json!({"type": "text", "text": said.talk})),
        message(
            "a",
            "assistant",
            json!({"type": "toolRequest", "toolCall": call}),
        ),
        message(
            "b",
            "user",
            json!({"type": "toolResponse", "toolResult": answer}),
        ),
        message("c", "assistant", json!({"type": "text", "text": said.last})),
    ]
}

fn gemini(said: &Said<'_>) -> Vec<Value> {
    vec![
        json!({"type": "init", "session_id": "s", "model": "m"}),
        json!({"type": "message", "role": "user", "content": said.talk}),
        json!({"type": "message", "role": "assistant", "content": said.talk, "delta": true}),
        json!({"type": "tool_use", "tool_name": "run_shell_command", "tool_id": "1", "parameters": {"command": said.talk}}),
        json!({"type": "tool_result", "tool_id": "1", "status": "error", "output": said.talk, "error": {"type": "x", "message": said.talk}}),
        json!({"type": "error", "severity": "warning", "message": said.talk}),
        json!({"type": "message", "role": "assistant", "content": said.last, "delta": true}),
        json!({"type": "result", "status": "success", "stats": {"total_tokens": 3, "input_tokens": 2, "output_tokens": 1, "cached": 0}}),
    ]
}

fn copilot(said: &Said<'_>) -> Vec<Value> {
    vec![
        json!({"type": "user.message", "data": {"content": said.talk}}),
        json!({"type": "assistant.message", "data": {"messageId": "1", "content": said.talk, "outputTokens": 5}}),
        json!({"type": "tool.execution_start", "data": {"toolName": "bash", "arguments": {"command": said.talk}}}),
        json!({"type": "tool.execution_complete", "data": {"toolName": "bash", "success": false, "result": {"content": said.talk}, "error": {"message": said.talk}}}),
        json!({"type": "assistant.message", "data": {"messageId": "2", "content": said.last, "outputTokens": 5}}),
        json!({"type": "result", "sessionId": "s", "exitCode": 0, "usage": {"premiumRequests": 1}}),
    ]
}

/// Every form of every kind.
fn forms(kind: Kind) -> Vec<Form> {
    let text: Form = ("text", |said| format!("{}\n\n{}", said.talk, said.last));
    match kind {
        Kind::Claude => vec![
            ("stream", |said| lines(&claude_like(said, "m"))),
            ("array", |said| {
                Value::from(claude_like(said, "m")).to_string()
            }),
            ("json", |said| {
                claude_like(said, "m").pop().unwrap().to_string()
            }),
            text,
        ],
        Kind::Codex => vec![("events", |said| lines(&codex(said))), text],
        Kind::Opencode => vec![("events", |said| lines(&opencode(said))), text],
        Kind::Goose => vec![
            ("stream", |said| {
                let messages = goose(said).into_iter();
                let mut all: Vec<Value> = messages
                    .map(|message| json!({"type": "message", "message": message}))
                    .collect();
                all.push(json!({"type": "complete", "total_tokens": 3, "input_tokens": 2, "output_tokens": 1}));
                lines(&all)
            }),
            ("document", |said| {
                let all = json!({"messages": goose(said), "metadata": {"input_tokens": 2, "output_tokens": 1, "status": "completed"}});
                serde_json::to_string_pretty(&all).unwrap()
            }),
            text,
        ],
        Kind::Gemini => vec![
            ("stream", |said| lines(&gemini(said))),
            ("document", |said| {
                let all =
                    json!({"session_id": "s", "response": said.last, "stats": {"models": {}}});
                serde_json::to_string_pretty(&all).unwrap()
            }),
            text,
        ],
        Kind::Copilot => vec![("events", |said| lines(&copilot(said))), text],
        Kind::Qwen => vec![
            ("stream", |said| lines(&claude_like(said, "m"))),
            ("array", |said| {
                Value::from(claude_like(said, "m")).to_string()
            }),
            text,
        ],
        Kind::Aider => vec![("text", |said| {
            let tokens = "Tokens: 4.1k sent, 240 received. Cost: $0.01 message, $0.02 session.";
            format!(
                "{}\n{tokens}\n{}\n{tokens}\nCommit 1234567 {}",
                said.talk, said.last, said.talk
            )
        })],
        Kind::Command => vec![text],
    }
}

fn kinds() -> impl Iterator<Item = Kind> {
    let named = KINDS.iter().map(|(_, kind)| *kind);
    named.chain([Kind::Command])
}

#[test]
fn whoever_talks_of_limits_and_ends_well_is_left_alone() {
    let mut seen = 0;
    for kind in kinds() {
        for (form, print) in forms(kind) {
            for (n, talk) in LIMITS.iter().chain(&TALK).enumerate() {
                let last = last_message(n % PLACES, talk);
                let said = Said { talk, last: &last };
                let run = Run {
                    name: format!("{kind:?} {form} {n}"),
                    kind,
                    out: print(&said),
                    err: format!("user\n{talk}\nwarning: {talk}\n"),
                    ending: Ending::Exited { code: 0 },
                };
                let verdict = run.read();
                assert_eq!(verdict.failure, None, "{}: {}", run.name, run.out);
                assert_eq!(blocked_line(&verdict.message), None, "{}", run.name);
                assert!(verdict.message.contains("All tests pass."), "{}", run.name);
                seen += 1;
            }
        }
    }
    assert!(seen >= 300, "{seen} transcripts");
}

/// How each kind prints that it failed with these words, and its exit code.
fn failed(kind: Kind, text: &str) -> Vec<(String, String, i32)> {
    let both = |out: Value| vec![(out.to_string(), String::new(), 1)];
    match kind {
        Kind::Claude => {
            let result =
                json!({"type": "result", "subtype": "success", "is_error": true, "result": text});
            let mut forms = vec![(result.to_string(), String::new(), 1)];
            // In text mode only its own sentences are told from the agent's. This one is Gemini's.
            if !text.contains("your capacity") {
                forms.push((text.to_owned(), String::new(), 1));
            }
            forms
        }
        Kind::Codex => {
            let events = [
                json!({"type": "error", "message": text}),
                json!({"type": "turn.failed", "error": {"message": text}}),
            ];
            let err = format!("user\nthe prompt\nERROR: {text}\n");
            vec![(lines(&events), String::new(), 1), (String::new(), err, 1)]
        }
        Kind::Opencode => {
            let data = json!({"message": text, "statusCode": 429});
            both(json!({"type": "error", "error": {"name": "APIError", "data": data}}))
        }
        Kind::Goose => {
            let advice = "Please retry if you think this is a transient or recoverable error.";
            let text = format!("Ran into this error: {text}.\n\n{advice}");
            let part = json!({"type": "text", "text": text});
            let message = json!({"id": null, "role": "assistant", "content": [part]});
            let stream = [
                json!({"type": "message", "message": message}),
                json!({"type": "complete"}),
            ];
            let all = json!({"messages": [message], "metadata": {"status": "completed"}});
            let document = serde_json::to_string_pretty(&all).unwrap();
            vec![
                (lines(&stream), String::new(), 0),
                (document, String::new(), 0),
            ]
        }
        Kind::Gemini => {
            let error = json!({"type": "Error", "message": text, "code": 429});
            let result = json!({"type": "result", "status": "error", "error": error});
            let document = serde_json::to_string_pretty(&json!({"error": error})).unwrap();
            let noise = "Attempt 1 failed with status 429. {\n  status: 429\n}\n";
            vec![
                (result.to_string(), String::new(), 1),
                (String::new(), format!("{noise}{document}"), 173),
            ]
        }
        Kind::Copilot => {
            let error =
                json!({"type": "session.error", "data": {"message": text, "statusCode": 429}});
            let result = json!({"type": "result", "exitCode": 1});
            let err = format!("\n{text}\n\nChanges    +0 -0\nResume     copilot --resume=429\n");
            vec![
                (lines(&[error, result]), String::new(), 1),
                (String::new(), err, 1),
            ]
        }
        Kind::Qwen => {
            let result = json!({"type": "result", "is_error": false, "result": format!("[API Error: {text}]")});
            vec![
                (result.to_string(), String::new(), 0),
                (json!([result]).to_string(), String::new(), 0),
            ]
        }
        Kind::Aider => vec![(format!("litellm.RateLimitError: {text}"), String::new(), 0)],
        Kind::Command => Vec::new(),
    }
}

#[test]
fn whoever_fails_on_a_limit_is_known_by_it_in_every_form() {
    let mut seen = 0;
    for kind in kinds() {
        for text in LIMITS {
            for (out, err, code) in failed(kind, text) {
                let run = Run {
                    name: format!("{kind:?} {text}"),
                    kind,
                    out,
                    err,
                    ending: Ending::Exited { code },
                };
                let verdict = run.read();
                let failure = verdict.failure.as_ref();
                let found = failure.map(|failure| failure.kind);
                assert_eq!(found, Some(FailureKind::Limit), "{}: {verdict:?}", run.name);
                assert_eq!(verdict.message, "", "{}", run.name);
                let resets_at = failure.and_then(|failure| failure.resets_at);
                assert!(resets_at.is_some(), "{}: {failure:?}", run.name);
                seen += 1;
            }
        }
    }
    assert_eq!(seen, 195);
}

#[test]
fn a_stream_that_is_cut_short_is_no_success() {
    let last = last_message(1, "x");
    let said = Said {
        talk: "x",
        last: &last,
    };
    for (_, kind) in KINDS {
        for (form, print) in forms(kind) {
            let text = print(&said);
            let Some((cut, _)) = text.rsplit_once("\n{") else {
                continue;
            };
            let run = Run {
                name: format!("{kind:?} {form}"),
                kind,
                out: cut.to_owned(),
                err: String::new(),
                ending: Ending::Exited { code: 0 },
            };
            let failure = run.read().failure;
            let other = failure.is_some_and(|failure| failure.kind == FailureKind::Other);
            assert!(other, "{}", run.name);
        }
    }
}

#[test]
fn after_a_kill_of_ours_only_what_a_kill_cannot_cause_is_a_failure() {
    for run in runs() {
        let known = run.read().failure;
        let killed = Run {
            ending: Ending::Stopped,
            ..run
        };
        if let Some(failure) = killed.read().failure {
            assert!(failure.is_no_echo(), "{}: {failure:?}", killed.name);
            let same = known.as_ref().map(|known: &AgentFailure| known.kind);
            assert_eq!(Some(failure.kind), same, "{}", killed.name);
        }
    }
}

/// A small generator: the same damage in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % limit.max(1)
    }
}

#[test]
fn damaged_output_is_read_as_far_as_it_goes() {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let pieces: [&[u8]; 8] = [
        b"\xff\xfe",
        b"\n",
        b"{",
        b"}",
        b"\"",
        b"null",
        b"\\u0000",
        b"-1e999",
    ];
    for mut run in runs() {
        for _ in 0..8 {
            let mut bytes = std::mem::take(&mut run.out).into_bytes();
            let err = std::mem::take(&mut run.err).into_bytes();
            for _ in 0..=dice.below(6) {
                let at = dice.below(bytes.len() + 1);
                let piece = pieces[dice.below(pieces.len())];
                match dice.below(4) {
                    0 => bytes.truncate(at),
                    1 => drop(bytes.splice(at..at, piece.iter().copied())),
                    2 => drop(bytes.drain(at..bytes.len().min(at + dice.below(40)))),
                    _ => {
                        let copy = bytes[at..bytes.len().min(at + 200)].to_vec();
                        bytes.splice(at..at, copy);
                    }
                }
            }
            run.out = String::from_utf8_lossy(&bytes).into_owned();
            run.err = String::from_utf8_lossy(&err).into_owned();
            let verdict = run.read();
            assert!(verdict.message.len() <= 64 * 1024);
        }
    }
}

#[test]
fn a_line_without_end_is_survived_by_every_kind() {
    for kind in kinds() {
        for line in [
            "[".repeat(50_000),
            format!("{{\"type\":\"{}\"}}", "x".repeat(1 << 18)),
            format!("{{\n{}", "\"a\":\n".repeat(10_000)),
        ] {
            let run = Run {
                name: String::new(),
                kind,
                out: line,
                err: String::new(),
                ending: Ending::Exited { code: 0 },
            };
            assert!(run.read().message.len() <= 64 * 1024);
        }
    }
}
