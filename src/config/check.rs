//! Holds what the user wrote against the schema: all problems at once, and the values that are fine.
//!
//! This file must never know a key by name; it knows the few kinds of value that `shape` uses.

use super::kind::{PARALLEL_MOST, Parallel, Percent};
use super::source::{Place, Source, quoted};
use super::unavailable::Unavailable;
use super::until::Until;
use super::words::{self, nearest};
use super::yaml::{Entry, Node, Value};
use crate::model::{Code, Problem, Severity};
use serde_json::Value as Schema;
use serde_yaml::Value as Yaml;
use std::collections::BTreeMap;

/// Keys that are named to somebody who gave none.
const MOST_KEYS: usize = 8;

/// The name of a key.
#[derive(Clone, Debug, Default)]
pub(super) struct Key {
    /// As the user wrote it, dotted: `agents.mine.kind`. Empty for the whole document.
    pub shown: String,
    /// With `*` for names the user chooses: `agents.*.kind`.
    pub pattern: String,
}

impl Key {
    fn child(&self, shown: &str, pattern: &str) -> Self {
        let join = |parent: &str, child: &str| match parent {
            "" => child.to_owned(),
            _ => format!("{parent}.{child}"),
        };
        let quoted = quoted(shown);
        Self {
            shown: join(&self.shown, quoted.trim_matches('`')),
            pattern: join(&self.pattern, pattern),
        }
    }
}

/// One look at one source.
pub(super) struct Checker<'a> {
    pub source: &'a Source,
    /// How bad an unknown key is.
    pub unknown: Severity,
    pub unavailable: &'a [Unavailable],
    /// Whether a bare number is a duration in seconds.
    pub seconds: bool,
    pub problems: Vec<Problem>,
}

impl Checker<'_> {
    /// The checked value of `node`; parts that are wrong are left out, and reported at their own place
    /// or else at `place`.
    pub(super) fn value(
        &mut self,
        node: &Node,
        schema: &Schema,
        key: &Key,
        place: Option<Place>,
    ) -> Option<Yaml> {
        let place = node.place.or(place);
        let (schema, nullable) = without_null(schema);
        match &node.value {
            Value::Null if nullable => Some(Yaml::Null),
            // What is left when everything below a key is commented out.
            Value::Null if has_type(schema, "object") => Some(Yaml::Mapping(Default::default())),
            Value::Null if has_type(schema, "array") => Some(Yaml::Sequence(Vec::new())),
            Value::Map(entries) if has_type(schema, "object") => {
                Some(self.mapping(entries, schema, key))
            }
            Value::List(items) if has_type(schema, "array") => {
                Some(self.list(items, schema, key, place))
            }
            Value::Map(_) | Value::List(_) | Value::Null => self.mismatch(node, schema, key, place),
            _ => match self.scalar(node, schema) {
                Some(value) => Some(value),
                None => self.mismatch(node, schema, key, place),
            },
        }
    }

    fn mapping(&mut self, entries: &[Entry], schema: &Schema, key: &Key) -> Yaml {
        let mut map = serde_yaml::Mapping::new();
        let mut seen = BTreeMap::new();
        for entry in entries {
            let known = &schema["properties"][&entry.key];
            let (child_schema, pattern) = match &schema["additionalProperties"] {
                Schema::Object(_) if known.is_null() => (&schema["additionalProperties"], "*"),
                _ => (known, entry.key.as_str()),
            };
            let child = key.child(&entry.key, pattern);
            if let Some(first) = seen.insert(&entry.key, entry.place) {
                self.twice(entry, first, &child);
                continue;
            }
            if self.is_unavailable(entry, &child, !child_schema.is_null()) {
                continue;
            }
            if child_schema.is_null() {
                self.unknown(entry, schema, key, &child);
                continue;
            }
            if let Some(value) = self.value(&entry.node, child_schema, &child, entry.place) {
                map.insert(Yaml::String(entry.key.clone()), value);
            }
        }
        Yaml::Mapping(map)
    }

    fn list(&mut self, items: &[Node], schema: &Schema, key: &Key, place: Option<Place>) -> Yaml {
        let item_schema = &schema["items"];
        let values = items
            .iter()
            .filter_map(|item| self.value(item, item_schema, key, place));
        Yaml::Sequence(values.collect())
    }

    /// A scalar as its schema wants it; `None` when it does not fit.
    fn scalar(&self, node: &Node, schema: &Schema) -> Option<Yaml> {
        let text = match &node.value {
            Value::Text(text) => text.clone(),
            Value::Int(number) => number.to_string(),
            Value::Float(number) if schema["x-kind"] == "usd" => number.to_string(),
            Value::Bool(value) => {
                // What older readers of YAML make of a plain `off`.
                let choices = schema["enum"].as_array();
                if !value && choices.is_some_and(|all| all.iter().any(|one| one == "off")) {
                    return Some(Yaml::String("off".to_owned()));
                }
                return has_type(schema, "boolean").then_some(Yaml::Bool(*value));
            }
            _ => return None,
        };
        if text.contains('\0') {
            return None;
        }
        let whole = matches!(node.value, Value::Int(_));
        let fits = match schema["x-kind"].as_str() {
            Some("duration") => {
                let duration = if self.seconds {
                    words::duration_or_seconds(&text)
                } else {
                    words::duration(&text)
                };
                let least_s = schema["x-least-s"].as_u64().unwrap_or(0);
                duration.is_some_and(|duration| duration.as_secs() >= least_s)
            }
            Some("until") => Until::parse(&text).is_some(),
            Some("size") => words::size(&text).is_some(),
            Some("usd") => words::usd(&text).is_some(),
            Some("parallel") => Parallel::parse(&text).is_some(),
            Some("percent") => Percent::parse(&text).is_some(),
            Some("text") => true,
            Some("name") => is_name(&text),
            Some("words") => {
                return is_item(&text).then(|| Yaml::Sequence(vec![Yaml::String(text)]));
            }
            _ if has_type(schema, "integer") => {
                let number = whole.then(|| text.parse::<i64>().ok()).flatten()?;
                let least = schema["minimum"].as_i64().unwrap_or(i64::MIN);
                let most = schema["maximum"].as_i64().unwrap_or(i64::MAX);
                return (least..=most).contains(&number).then(|| number.into());
            }
            _ => match schema["enum"].as_array() {
                Some(allowed) => allowed.iter().any(|one| one.as_str() == Some(&text)),
                None => has_type(schema, "string") && is_item(&text),
            },
        };
        fits.then_some(Yaml::String(text))
    }

    fn mismatch(
        &mut self,
        node: &Node,
        schema: &Schema,
        key: &Key,
        place: Option<Place>,
    ) -> Option<Yaml> {
        let expected = self.expected(schema);
        let found = node.describe();
        let message = match key.shown.as_str() {
            "" => format!("expected {expected}, found {found}"),
            name => format!("`{name}`: expected {expected}, found {found}"),
        };
        let mut problem = self.source.problem(Severity::Error, place, message);
        let choices = schema["enum"].as_array();
        if let (Value::Text(text), Some(choices)) = (&node.value, choices) {
            let near = nearest(text, choices.iter().filter_map(Schema::as_str));
            problem.help = near.map(|near| format!("did you mean `{near}`?"));
        } else if matches!(node.value, Value::Bool(_) | Value::Float(_)) && wants_text(schema) {
            problem.help = Some("put it in quotes".into());
        } else if matches!(node.value, Value::Int(1..)) && schema["x-kind"] == "duration" {
            problem.help = Some("add a unit: s, m or h".into());
        } else if has_type(schema, "object") {
            problem.help = keys_of(schema);
        }
        self.problems.push(problem);
        None
    }

    fn expected(&self, schema: &Schema) -> String {
        match schema["x-kind"].as_str() {
            Some("duration") => {
                let least = match schema["x-least-s"].as_u64() {
                    Some(_) => " of at least 1s",
                    None => "",
                };
                let seconds = if self.seconds { ", or seconds" } else { "" };
                return format!("a duration{least} such as 30s, 10m or 1h30m{seconds}");
            }
            Some("until") => {
                return "a time of the day such as \"07:30\", or a duration of at least 1m such as 6h".into();
            }
            Some("percent") => return "a share from 1% to 99%".into(),
            Some("size") => return "a size such as 500MB or 2GiB".into(),
            Some("usd") => return "an amount in US dollars such as 20 or 2.50".into(),
            Some("parallel") => return format!("a number from 1 to {PARALLEL_MOST} or `auto`"),
            Some("name") => return "one line of text that does not begin with `-`".into(),
            Some("words") => return "text or a list of texts".into(),
            _ => {}
        }
        if let Some(choices) = schema["enum"].as_array() {
            let choices = choices.iter().filter_map(Schema::as_str);
            let choices: Vec<String> = choices.map(|one| format!("`{one}`")).collect();
            return choices.join(" or ");
        }
        if has_type(schema, "integer") && schema["x-kind"].is_null() {
            return match (schema["minimum"].as_i64(), schema["maximum"].as_i64()) {
                (Some(least), Some(most)) if least == most => format!("{least}"),
                (Some(least), Some(most)) => format!("a number from {least} to {most}"),
                _ => "a whole number".into(),
            };
        }
        for (name, words) in [
            ("boolean", "`true` or `false`"),
            ("array", "a list"),
            ("object", "a mapping (`key: value`)"),
        ] {
            if has_type(schema, name) {
                return words.into();
            }
        }
        "text".into()
    }

    fn twice(&mut self, entry: &Entry, first: Option<Place>, key: &Key) {
        let message = format!("`{}` is given twice", key.shown);
        let problem = self.source.problem(Severity::Error, entry.place, message);
        let help = match first {
            Some(first) => format!("the first is on line {}", self.source.spot(first).line),
            None => "remove one of the two".into(),
        };
        self.problems.push(problem.code(Code::BadYaml).help(help));
    }

    /// Deals with keys that are not available, and with sections that hold only such keys; whether it did.
    fn is_unavailable(&mut self, entry: &Entry, key: &Key, in_schema: bool) -> bool {
        let exact = self.unavailable.iter().find(|one| one.key == key.pattern);
        if let Some(one) = exact {
            let what = match &entry.node.value {
                Value::Text(text) => format!("{}: {}", key.shown, text),
                _ => key.shown.clone(),
            };
            let message = format!("{} is not available yet", quoted(&what));
            let problem = self.source.problem(Severity::Error, entry.place, message);
            self.problems
                .push(problem.code(Code::NotAvailable).help(one.instead));
            return true;
        }
        let section = format!("{}.", key.pattern);
        let is_section = self
            .unavailable
            .iter()
            .any(|one| one.key.starts_with(&section));
        let fits = matches!(entry.node.value, Value::Map(_) | Value::Null);
        if in_schema || !is_section || !fits {
            return false;
        }
        self.mapping(entry.node.entries(), &Schema::Null, key);
        true
    }

    fn unknown(&mut self, entry: &Entry, schema: &Schema, parent: &Key, key: &Key) {
        let message = format!("unknown key `{}`", key.shown);
        let problem = self.source.problem(self.unknown, entry.place, message);
        let problem = problem.code(Code::UnknownKey);
        let empty = serde_json::Map::new();
        let known = schema["properties"].as_object().unwrap_or(&empty);
        let prefix = match parent.pattern.as_str() {
            "" => String::new(),
            parent => format!("{parent}."),
        };
        let later = self.unavailable.iter().filter_map(|one| {
            let rest = one.key.strip_prefix(&prefix)?;
            rest.split('.').next()
        });
        let help = if entry.key == "<<" {
            Some("merge keys are not supported; write the keys out".to_owned())
        } else {
            let candidates = known.keys().map(String::as_str).chain(later);
            let near = nearest(&entry.key, candidates).map(str::to_owned);
            let near = near.or_else(|| elsewhere(schema, &entry.key));
            near.map(|near| format!("did you mean `{near}`?"))
        };
        self.problems.push(Problem { help, ..problem });
    }
}

/// A key of this name one level down: `parallel` stands under `run`.
fn elsewhere(schema: &Schema, word: &str) -> Option<String> {
    let sections = schema["properties"].as_object()?;
    sections.iter().find_map(|(section, schema)| {
        let found = schema["properties"].get(word)?;
        found.is_object().then(|| format!("{section}.{word}"))
    })
}

/// The schema itself and whether it also allows null.
fn without_null(schema: &Schema) -> (&Schema, bool) {
    match schema["anyOf"].as_array() {
        Some(choices) => {
            let some = choices.iter().find(|one| one["type"] != "null");
            (some.unwrap_or(schema), true)
        }
        None => (schema, has_type(schema, "null")),
    }
}

pub(super) fn has_type(schema: &Schema, name: &str) -> bool {
    match &schema["type"] {
        Schema::String(one) => one == name,
        Schema::Array(many) => many.iter().any(|one| one == name),
        _ => false,
    }
}

/// What may stand in a mapping, if its keys are known.
fn keys_of(schema: &Schema) -> Option<String> {
    let names = schema["properties"].as_object()?.keys();
    let all: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    Some(match all.get(..MOST_KEYS) {
        Some(first) if all.len() > MOST_KEYS => {
            let first = first.join(", ");
            format!("its keys are {first} and others; `harness schema` has them all")
        }
        _ => format!("its keys are {}", all.join(", ")),
    })
}

fn wants_text(schema: &Schema) -> bool {
    has_type(schema, "string")
        && matches!(
            schema["x-kind"].as_str(),
            None | Some("text" | "name" | "words")
        )
}

fn is_name(text: &str) -> bool {
    !text.trim().is_empty() && !text.starts_with('-') && !text.chars().any(char::is_control)
}

fn is_item(text: &str) -> bool {
    !text.trim().is_empty()
}
