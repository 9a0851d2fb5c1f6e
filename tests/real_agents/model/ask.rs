//! What a client asks a model, and what a model answers, whatever interface it is asked through.
//!
//! Knows the shapes of three interfaces' requests, and nothing of how they are answered.

use super::cache::Block;
use serde_json::{Value, json};

/// Through which interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Api {
    /// `/v1/messages`.
    Messages,
    /// `/v1/chat/completions`.
    Chat,
    /// `/v1/responses`.
    Responses,
}

/// One request.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) api: Api,
    pub(crate) model: String,
    /// Whether the answer is to come in pieces.
    pub(crate) streams: bool,
    /// The prompt in the order in which it is remembered.
    pub(crate) blocks: Vec<Block>,
    /// All that was said on the user's side, results of tools aside.
    pub(crate) said: String,
    /// Names of tools, and what stands in their schemas.
    tools: Vec<(String, Value)>,
    /// How often the model has used tools in this conversation.
    pub(crate) turns: usize,
}

/// What the model says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Say {
    Text(String),
    /// It uses a tool.
    Call {
        tool: String,
        input: Value,
    },
}

impl Say {
    /// What it says, as far as it costs tokens.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Call { tool, input } => format!("{tool}{input}"),
        }
    }
}

impl Ask {
    /// Reads a request; `None` if it is none of that interface.
    pub(crate) fn read(api: Api, body: &[u8]) -> Option<Self> {
        let body: Value = serde_json::from_slice(body).ok()?;
        let list = |name: &str| body.get(name).and_then(Value::as_array).cloned();
        let mut ask = Self {
            api,
            model: body.get("model")?.as_str()?.to_owned(),
            streams: body.get("stream") == Some(&Value::Bool(true)),
            blocks: Vec::new(),
            said: String::new(),
            tools: Vec::new(),
            turns: 0,
        };
        for tool in list("tools").unwrap_or_default() {
            ask.tool(&tool);
        }
        match api {
            Api::Messages => {
                ask.content(&body["system"]);
                for message in list("messages")? {
                    ask.message(&message);
                }
            }
            Api::Chat => {
                for message in list("messages")? {
                    ask.chat_message(&message);
                }
            }
            Api::Responses => {
                ask.block(&body["instructions"]);
                match &body["input"] {
                    Value::Array(items) => items.iter().for_each(|item| ask.item(item)),
                    text => ask.item(&json!({"role": "user", "content": text})),
                }
            }
        }
        Some(ask)
    }

    /// The first of these names that is a tool's, and the schema of what it takes.
    pub(crate) fn tool_named(&self, names: &[&str]) -> Option<(&str, &Value)> {
        let tool = names
            .iter()
            .find_map(|name| self.tools.iter().find(|(is, _)| is == name))?;
        Some((&tool.0, &tool.1))
    }

    pub(crate) fn has_tools(&self) -> bool {
        !self.tools.is_empty()
    }

    fn tool(&mut self, tool: &Value) {
        self.block(tool);
        let tool = tool.get("function").unwrap_or(tool);
        if let Some(name) = tool["name"].as_str() {
            let schema = tool.get("input_schema").or_else(|| tool.get("parameters"));
            let schema = schema.unwrap_or(&Value::Null).clone();
            self.tools.push((name.to_owned(), schema));
        }
    }

    /// Takes in a part of the prompt. Where the service remembers by itself, every part is marked.
    fn block(&mut self, part: &Value) {
        if part.is_null() {
            return;
        }
        let mut part = part.clone();
        let mark = part
            .as_object_mut()
            .and_then(|part| part.remove("cache_control"));
        self.blocks.push(Block {
            text: part.to_string(),
            is_marked: mark.is_some() || self.api != Api::Messages,
        });
    }

    /// A list of parts, or one text, which is the same as a list of it.
    fn content(&mut self, content: &Value) {
        match content {
            Value::Array(parts) => parts.iter().for_each(|part| self.block(part)),
            Value::String(text) => self.block(&json!({"type": "text", "text": text})),
            _ => {}
        }
    }

    fn message(&mut self, message: &Value) {
        self.content(&message["content"]);
        let content = &message["content"];
        let is = |kind: &str| parts(content).any(|part| part["type"] == kind);
        if message["role"] == "assistant" {
            self.turns += usize::from(is("tool_use"));
        } else {
            self.hear(content);
        }
    }

    fn chat_message(&mut self, message: &Value) {
        self.block(message);
        match message["role"].as_str() {
            Some("assistant") => {
                let calls = message["tool_calls"].as_array();
                self.turns += usize::from(calls.is_some_and(|calls| !calls.is_empty()));
            }
            Some("user") => self.hear(&message["content"]),
            _ => {}
        }
    }

    fn item(&mut self, item: &Value) {
        self.block(item);
        match item["type"].as_str() {
            Some("function_call" | "custom_tool_call") => self.turns += 1,
            _ if item["role"] == "user" => self.hear(&item["content"]),
            _ => {}
        }
    }

    fn hear(&mut self, content: &Value) {
        let texts = parts(content).filter_map(|part| part["text"].as_str());
        for text in texts.chain(content.as_str()) {
            self.said.push_str(text);
            self.said.push('\n');
        }
    }
}

fn parts(content: &Value) -> impl Iterator<Item = &Value> {
    content.as_array().into_iter().flatten()
}
