//! How the three interfaces write an answer, whole and in pieces.
//!
//! It must never decide what is answered, nor count tokens.

use super::ask::{Api, Ask, Say};
use super::cache::Usage;
use serde_json::{Value, json};

/// The whole answer.
pub(crate) fn whole(ask: &Ask, id: u64, say: &Say, usage: Usage) -> Value {
    match ask.api {
        Api::Messages => {
            let mut message = message(ask, id, usage);
            message["content"] = json!([message_block(id, say)]);
            message["stop_reason"] = message_end(say).into();
            message["usage"]["output_tokens"] = usage.output.into();
            message
        }
        Api::Chat => json!({
            "id": format!("chatcmpl-{id}"),
            "object": "chat.completion",
            "created": 1,
            "model": ask.model,
            "choices": [{"index": 0, "message": chat_message(id, say), "finish_reason": chat_end(say)}],
            "usage": chat_usage(usage),
        }),
        Api::Responses => response(ask, id, say, usage),
    }
}

/// The answer in pieces, each a line of its own with an end.
pub(crate) fn pieces(ask: &Ask, id: u64, say: &Say, usage: Usage) -> Vec<String> {
    match ask.api {
        Api::Messages => messages(ask, id, say, usage),
        Api::Chat => chat(ask, id, say, usage),
        Api::Responses => responses(ask, id, say, usage),
    }
}

/// An event that says its type twice, as two of the interfaces want it.
fn named(event: &Value) -> String {
    let name = event["type"].as_str().unwrap_or_default();
    format!("event: {name}\ndata: {event}\n\n")
}

fn message(ask: &Ask, id: u64, usage: Usage) -> Value {
    json!({
        "id": format!("msg_{id}"), "type": "message", "role": "assistant", "model": ask.model,
        "content": [], "stop_reason": null, "stop_sequence": null,
        "usage": {
            "input_tokens": usage.input, "output_tokens": 1,
            "cache_creation_input_tokens": usage.cache_write, "cache_read_input_tokens": usage.cache_read,
        },
    })
}

fn message_block(id: u64, say: &Say) -> Value {
    match say {
        Say::Text(text) => json!({"type": "text", "text": text}),
        Say::Call { tool, input } => {
            json!({"type": "tool_use", "id": format!("toolu_{id}"), "name": tool, "input": input})
        }
    }
}

fn message_end(say: &Say) -> &'static str {
    match say {
        Say::Text(_) => "end_turn",
        Say::Call { .. } => "tool_use",
    }
}

fn messages(ask: &Ask, id: u64, say: &Say, usage: Usage) -> Vec<String> {
    let mut begin = message_block(id, say);
    let delta = match say {
        Say::Text(text) => {
            begin["text"] = "".into();
            json!({"type": "text_delta", "text": text})
        }
        Say::Call { input, .. } => {
            begin["input"] = json!({});
            json!({"type": "input_json_delta", "partial_json": input.to_string()})
        }
    };
    let end = json!({"stop_reason": message_end(say), "stop_sequence": null});
    let events = [
        json!({"type": "message_start", "message": message(ask, id, usage)}),
        json!({"type": "content_block_start", "index": 0, "content_block": begin}),
        json!({"type": "content_block_delta", "index": 0, "delta": delta}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": end, "usage": {"output_tokens": usage.output}}),
        json!({"type": "message_stop"}),
    ];
    events.iter().map(named).collect()
}

fn chat_message(id: u64, say: &Say) -> Value {
    match say {
        Say::Text(text) => json!({"role": "assistant", "content": text}),
        Say::Call { tool, input } => json!({"role": "assistant", "content": null, "tool_calls": [{
            "index": 0, "id": format!("call_{id}"), "type": "function",
            "function": {"name": tool, "arguments": input.to_string()},
        }]}),
    }
}

fn chat_end(say: &Say) -> &'static str {
    match say {
        Say::Text(_) => "stop",
        Say::Call { .. } => "tool_calls",
    }
}

/// What this interface calls input holds what was read from the cache.
fn chat_usage(usage: Usage) -> Value {
    let input = usage.input + usage.cache_read;
    json!({
        "prompt_tokens": input, "completion_tokens": usage.output, "total_tokens": input + usage.output,
        "prompt_tokens_details": {"cached_tokens": usage.cache_read},
    })
}

fn chat(ask: &Ask, id: u64, say: &Say, usage: Usage) -> Vec<String> {
    let chunk = |choices: Value, usage: Value| {
        let chunk = json!({
            "id": format!("chatcmpl-{id}"), "object": "chat.completion.chunk", "created": 1, "model": ask.model,
            "choices": choices, "usage": usage,
        });
        format!("data: {chunk}\n\n")
    };
    let choice =
        |delta: Value, end: Value| json!([{"index": 0, "delta": delta, "finish_reason": end}]);
    vec![
        chunk(choice(chat_message(id, say), Value::Null), Value::Null),
        chunk(choice(json!({}), chat_end(say).into()), Value::Null),
        chunk(json!([]), chat_usage(usage)),
        "data: [DONE]\n\n".to_owned(),
    ]
}

fn item(id: u64, say: &Say) -> Value {
    match say {
        Say::Text(text) => json!({
            "type": "message", "id": format!("msg_{id}"), "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": text, "annotations": []}],
        }),
        Say::Call { tool, input } => json!({
            "type": "function_call", "id": format!("fc_{id}"), "call_id": format!("call_{id}"),
            "status": "completed", "name": tool, "arguments": input.to_string(),
        }),
    }
}

/// What this interface calls input holds what was read from the cache, too.
fn response(ask: &Ask, id: u64, say: &Say, usage: Usage) -> Value {
    let input = usage.input + usage.cache_read;
    json!({
        "id": format!("resp_{id}"), "object": "response", "created_at": 1, "status": "completed",
        "model": ask.model, "output": [item(id, say)],
        "usage": {
            "input_tokens": input, "input_tokens_details": {"cached_tokens": usage.cache_read},
            "output_tokens": usage.output, "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": input + usage.output,
        },
    })
}

fn responses(ask: &Ask, id: u64, say: &Say, usage: Usage) -> Vec<String> {
    let begun = json!({"id": format!("resp_{id}"), "object": "response", "status": "in_progress", "output": []});
    let item = item(id, say);
    let mut events = vec![
        json!({"type": "response.created", "response": begun}),
        json!({"type": "response.output_item.added", "output_index": 0, "item": item}),
    ];
    if let Say::Text(text) = say {
        events.push(json!({
            "type": "response.output_text.delta", "item_id": format!("msg_{id}"),
            "output_index": 0, "content_index": 0, "delta": text,
        }));
    }
    events.push(json!({"type": "response.output_item.done", "output_index": 0, "item": item}));
    events.push(json!({"type": "response.completed", "response": response(ask, id, say, usage)}));
    events.iter().map(named).collect()
}
