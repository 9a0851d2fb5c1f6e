//! The model itself: what it answers through each interface, what it counts, and how it fails.

use crate::model::{Api, Ask, Fault, Model, Reply, Say, Served, Usage, tokens};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

const ALL: [Api; 3] = [Api::Messages, Api::Chat, Api::Responses];

fn path(api: Api) -> &'static str {
    match api {
        Api::Messages => "/v1/messages",
        Api::Chat => "/v1/chat/completions",
        Api::Responses => "/v1/responses",
    }
}

/// Asks, and takes what comes until the connection ends: status, headers and body.
fn post(model: &Model, path: &str, body: &Value) -> (u16, String, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", model.port)).unwrap();
    let body = body.to_string();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let Some((head, body)) = answer.split_once("\r\n\r\n") else {
        return (0, String::new(), answer);
    };
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_owned(), body.to_owned())
}

/// The events of an answer in pieces; with `false` if it was cut off.
fn events(body: &str) -> (Vec<Value>, bool) {
    let lines = body
        .lines()
        .filter_map(|line| line.strip_prefix("data: ").filter(|it| *it != "[DONE]"));
    let events = lines.filter_map(|line| serde_json::from_str(line).ok());
    (events.collect(), body.ends_with("0\r\n\r\n"))
}

/// A conversation about a feature: what was said on the user's side, and how often a tool was used since.
fn request(api: Api, said: &str, turns: usize, streams: bool) -> Value {
    let mut said = vec![json!({"role": "user", "content": format!("Feature: {said}\n")})];
    let schema = json!({"type": "object", "properties": {"command": {"type": "string"}}});
    for turn in 0..turns {
        let (call, result) = match api {
            Api::Messages => (
                json!({"role": "assistant", "content": [{"type": "tool_use", "id": turn, "name": "sh", "input": {}}]}),
                json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": turn, "content": "ok"}]}),
            ),
            Api::Chat => (
                json!({"role": "assistant", "tool_calls": [{"id": turn, "function": {"name": "sh", "arguments": "{}"}}]}),
                json!({"role": "tool", "tool_call_id": turn, "content": "ok"}),
            ),
            Api::Responses => (
                json!({"type": "function_call", "call_id": turn, "name": "sh", "arguments": "{}"}),
                json!({"type": "function_call_output", "call_id": turn, "output": "ok"}),
            ),
        };
        said.extend([call, result]);
    }
    let (model, name) = ("m", "sh");
    match api {
        Api::Messages => {
            let last = said.last_mut().unwrap();
            let mut parts = match &last["content"] {
                Value::String(text) => json!([{"type": "text", "text": text}]),
                parts => parts.clone(),
            };
            parts[0]["cache_control"] = json!({"type": "ephemeral"});
            last["content"] = parts;
            json!({"model": model, "stream": streams, "messages": said,
                "system": [{"type": "text", "text": "You work."}], "tools": [{"name": name, "input_schema": schema}]})
        }
        Api::Chat => json!({"model": model, "stream": streams, "messages": said,
            "tools": [{"type": "function", "function": {"name": name, "parameters": schema}}]}),
        Api::Responses => {
            json!({"model": model, "stream": streams, "input": said, "instructions": "You work.",
            "tools": [{"type": "function", "name": name, "parameters": schema}]})
        }
    }
}

/// Uses a tool twice, then says so.
fn scripted(ask: &Ask, _: &[Served]) -> Reply {
    Reply::Say(match (ask.tool_named(&["no", "sh"]), ask.turns) {
        (Some((tool, _)), 0 | 1) => Say::Call {
            tool: tool.to_owned(),
            input: json!({"command": "true"}),
        },
        _ => Say::Text("That is done.".to_owned()),
    })
}

/// Of a whole answer: the tool that it calls with its input, or its text, and its tokens.
fn read_whole(api: Api, body: &Value) -> (String, Usage) {
    match api {
        Api::Messages => {
            let part = &body["content"][0];
            let said = match part["text"].as_str() {
                Some(text) => text.to_owned(),
                None => format!("{} {}", part["name"], part["input"]["command"]),
            };
            let count = |name: &str| body["usage"][name].as_u64().unwrap();
            let usage = Usage {
                input: count("input_tokens"),
                output: count("output_tokens"),
                cache_read: count("cache_read_input_tokens"),
                cache_write: count("cache_creation_input_tokens"),
            };
            (said, usage)
        }
        Api::Chat => {
            let message = &body["choices"][0]["message"];
            let said = match message["content"].as_str() {
                Some(text) => text.to_owned(),
                None => call(&message["tool_calls"][0]["function"]),
            };
            (said, others_usage(&body["usage"], "prompt", "completion"))
        }
        Api::Responses => {
            let item = &body["output"][0];
            let said = match item["content"][0]["text"].as_str() {
                Some(text) => text.to_owned(),
                None => call(item),
            };
            (said, others_usage(&body["usage"], "input", "output"))
        }
    }
}

fn call(function: &Value) -> String {
    let input: Value = serde_json::from_str(function["arguments"].as_str().unwrap()).unwrap();
    format!("{} {}", function["name"], input["command"])
}

fn others_usage(usage: &Value, input: &str, output: &str) -> Usage {
    let count = |name: String| usage[name].as_u64().unwrap();
    let details = &usage[format!("{input}_tokens_details")];
    let cached = details["cached_tokens"].as_u64().unwrap();
    Usage {
        input: count(format!("{input}_tokens")) - cached,
        output: count(format!("{output}_tokens")),
        cache_read: cached,
        cache_write: 0,
    }
}

#[test]
fn a_conversation_through_each_interface_is_scripted_and_counted() {
    for api in ALL {
        let model = Model::start(scripted);
        let mut sum = Usage::default();
        for turn in 0..3 {
            let (status, _, body) = post(&model, path(api), &request(api, "left", turn, false));
            let (said, usage) = read_whole(api, &serde_json::from_str(&body).unwrap());
            let expected = ["\"sh\" \"true\"", "\"sh\" \"true\"", "That is done."][turn];
            assert_eq!((status, said.as_str()), (200, expected), "{api:?}");
            assert_eq!(usage.cache_read > 0, turn > 0, "{api:?}: {usage:?}");
            sum += usage;
        }
        let log = model.log();
        assert_eq!(model.usage_of("left", |_| true), sum, "{api:?}");
        assert_eq!(model.usage_of("right", |_| true), Usage::default());
        let seen: Vec<_> = log.iter().map(|it| (it.turn, it.has_tools)).collect();
        assert_eq!(seen, [(0, true), (1, true), (2, true)]);
    }
}

#[test]
fn in_pieces_it_says_and_counts_the_same() {
    for api in ALL {
        for turn in [0, 2] {
            let (whole, pieces) = (Model::start(scripted), Model::start(scripted));
            let (_, _, body) = post(&whole, path(api), &request(api, "left", turn, false));
            let (said, usage) = read_whole(api, &serde_json::from_str(&body).unwrap());
            let (_, head, body) = post(&pieces, path(api), &request(api, "left", turn, true));
            assert!(head.contains("text/event-stream"), "{head}");
            let (events, is_whole) = events(&body);
            assert!(is_whole, "{body}");
            assert_eq!(gathered(api, &events), (said, usage), "{api:?} {events:#?}");
        }
    }
}

/// What a client makes of the pieces.
fn gathered(api: Api, events: &[Value]) -> (String, Usage) {
    let of = |kind: &str| events.iter().find(|it| it["type"] == kind).unwrap();
    match api {
        Api::Messages => {
            let mut message = of("message_start")["message"].clone();
            let mut part = of("content_block_start")["content_block"].clone();
            let delta = &of("content_block_delta")["delta"];
            match delta["partial_json"].as_str() {
                Some(input) => part["input"] = serde_json::from_str(input).unwrap(),
                None => part["text"] = delta["text"].clone(),
            }
            message["content"] = json!([part]);
            message["usage"]["output_tokens"] =
                of("message_delta")["usage"]["output_tokens"].clone();
            read_whole(api, &message)
        }
        Api::Chat => {
            let message = &events[0]["choices"][0]["delta"];
            let whole = json!({"choices": [{"message": message}], "usage": events[2]["usage"]});
            read_whole(api, &whole)
        }
        Api::Responses => {
            let whole = &of("response.completed")["response"];
            assert_eq!(
                of("response.output_item.done")["item"],
                whole["output"][0],
                "said twice"
            );
            read_whole(api, whole)
        }
    }
}

#[test]
fn the_longest_known_beginning_is_read_and_the_rest_is_written() {
    let model = Model::start(scripted);
    let ask = |said: &str, turns| {
        let before = model.usage_of(said, |_| true);
        post(
            &model,
            path(Api::Messages),
            &request(Api::Messages, said, turns, true),
        );
        let mut after = model.usage_of(said, |_| true);
        after.cache_read -= before.cache_read;
        after.cache_write -= before.cache_write;
        (after.cache_read, after.cache_write)
    };
    let (read, first) = ask("left", 0);
    assert_eq!(read, 0, "nothing is known");
    assert_eq!(ask("left", 0), (first, 0), "all is known");
    let (read, written) = ask("left", 1);
    assert_eq!(read, first, "the conversation goes on");
    assert_eq!(ask("left", 1), (first + written, 0));
    // Marks stand behind what was said, so what comes before it was never remembered by itself.
    assert_eq!(ask("right", 0).0, 0, "another conversation");

    // Without marks nothing is remembered and all is input; the others remember by themselves, part by part.
    let mut plain = request(Api::Messages, "plain", 0, true);
    plain["messages"][0]["content"] = "Feature: plain\n".into();
    for _ in 0..2 {
        post(&model, path(Api::Messages), &plain);
    }
    let served = model.usage_of("plain", |_| true);
    assert_eq!((served.cache_read, served.cache_write), (0, 0));
    let model = Model::start(scripted);
    let chat = |said| post(&model, path(Api::Chat), &request(Api::Chat, said, 0, true));
    chat("left");
    chat("right");
    let (left, right) = (model.log()[0].usage, model.log()[1].usage);
    let tools = request(Api::Chat, "", 0, true)["tools"][0].to_string();
    assert_eq!(right.cache_read, tokens(&tools), "the tools are the same");
    let length = |usage: Usage| usage.input + usage.cache_read;
    assert!(length(right) - length(left) <= 1, "a name is longer by one");
}

#[test]
fn each_fault_is_told_as_services_tell_it() {
    let reset = 1_795_400_000;
    for (fault, status, words) in [
        (
            Fault::TooFast {
                retry_after: Some(7),
            },
            [429; 3],
            ["rate_limit_error", "rate_limit_exceeded"],
        ),
        (
            Fault::Limit { resets_at: reset },
            [429; 3],
            ["rate_limit_error", "usage_limit_reached"],
        ),
        (
            Fault::Overloaded,
            [529; 3],
            ["overloaded_error", "overloaded"],
        ),
        (Fault::Failing, [500; 3], ["api_error", "server_error"]),
        (
            Fault::Login,
            [401; 3],
            ["authentication_error", "invalid_api_key"],
        ),
        (
            Fault::Billing,
            [400, 429, 429],
            ["credit balance", "insufficient_quota"],
        ),
        (
            Fault::Context,
            [400; 3],
            ["prompt is too long", "context_length_exceeded"],
        ),
    ] {
        let model = Model::start(move |_, _| Reply::Fail(fault));
        for (n, api) in ALL.into_iter().enumerate() {
            let (is, head, body) = post(&model, path(api), &request(api, "left", 0, true));
            assert_eq!(is, status[n], "{fault:?} {body}");
            assert!(body.contains(words[n.min(1)]), "{fault:?} {body}");
            let retry = head.contains("retry-after: 7");
            assert_eq!(retry, matches!(fault, Fault::TooFast { .. }), "{head}");
            if matches!(fault, Fault::Limit { .. }) {
                let told = head.clone() + &body;
                assert!(told.contains(&reset.to_string()), "{told}");
            }
        }
        let log = model.log();
        assert!(log.iter().all(|served| served.fault == Some(fault.name())));
        assert_eq!(model.usage_of("left", |_| true), Usage::default());
    }
}

#[test]
fn what_is_no_answer_is_none() {
    for api in ALL {
        for (fault, is_answered, is_whole) in [
            (Fault::Garbage, true, true),
            (Fault::Broken, true, false),
            (Fault::Disconnect, false, false),
        ] {
            let model = Model::start(move |_, _| Reply::Fail(fault));
            let (status, _, body) = post(&model, path(api), &request(api, "left", 0, true));
            let (events, ended) = events(&body);
            assert_eq!((status == 200, ended), (is_answered, is_whole), "{fault:?}");
            assert_eq!(
                events.is_empty(),
                fault != Fault::Broken,
                "{fault:?} {body}"
            );
        }
    }
}

/// Nobody is answered until the model goes: then the one that waits is let go.
#[test]
fn who_hangs_is_let_go_when_the_model_ends() {
    for (fault, begins) in [(Fault::Hang, false), (Fault::Stall, true)] {
        let model = Model::start(move |_, _| Reply::Fail(fault));
        let port = model.port;
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let body = request(Api::Chat, "left", 0, true).to_string();
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all((head + &body).as_bytes()).unwrap();
        while model.log().is_empty() {
            std::thread::yield_now();
        }
        let mut seen = Vec::new();
        while begins && !String::from_utf8_lossy(&seen).contains("about to begin") {
            let mut some = [0; 512];
            let n = stream.read(&mut some).unwrap();
            assert_ne!(n, 0, "it ended by itself");
            seen.extend_from_slice(&some[..n]);
        }
        drop(model);
        let _ = stream.read_to_end(&mut seen);
        assert_eq!(seen.is_empty(), !begins);
        assert!(!seen.ends_with(b"0\r\n\r\n"), "it was never whole");
    }
}

#[test]
fn what_is_no_request_to_a_model_is_turned_away_and_noted() {
    let model = Model::start(scripted);
    assert_eq!(post(&model, "/v1/embeddings", &json!({})).0, 404);
    assert_eq!(post(&model, "/v1/messages", &json!({"no": "model"})).0, 404);
    let (status, _, body) = post(&model, "/v1/messages/count_tokens", &json!({"a": 1}));
    assert_eq!((status, body.as_str()), (200, "{\"input_tokens\": 2}"));
    let paths: Vec<_> = model.log().into_iter().map(|it| it.path).collect();
    assert_eq!(
        paths,
        [
            "POST /v1/embeddings",
            "POST /v1/messages",
            "POST /v1/messages/count_tokens"
        ]
    );
}
