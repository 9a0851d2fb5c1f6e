//! YAML with places: a tree in which every key and every scalar knows where it stands.
//!
//! serde hands out values without places; the YAML reader knows the place only of an *error*. So each
//! scalar first reports itself as an error, which the mapping or list around it catches at once, place
//! and all. That is exact for every style of YAML, where a scan of the text would guess.
//!
//! This file must never know which keys exist.

use super::source::{Place, Source, escaped, quoted};
use crate::model::{Code, Problem, Severity};
use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, Visitor};
use std::fmt::{self, Display};

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where it stands: for lists and mappings, where their first entry stands.
    pub place: Option<Place>,
    /// What it is.
    pub value: Value,
}

/// What a [`Node`] is.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing, `null` or `~`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the order of the text; keys given twice are in it twice.
    Map(Vec<Entry>),
}

/// One key of a mapping.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where it stands.
    pub place: Option<Place>,
    /// Its value.
    pub node: Node,
}

impl Node {
    /// A value that stands in no text.
    #[must_use]
    pub fn placeless(value: Value) -> Self {
        Self { place: None, value }
    }

    /// The entries of a mapping; none for anything else.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The first entry called `key`.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// The items of a list, or the value itself when it is not one.
    #[must_use]
    pub fn items(&self) -> &[Self] {
        match &self.value {
            Value::List(items) => items,
            _ => std::slice::from_ref(self),
        }
    }

    /// The value in words, for `found …`.
    #[must_use]
    pub fn describe(&self) -> String {
        match &self.value {
            Value::Null => "nothing".into(),
            Value::Bool(value) => format!("`{value}`"),
            Value::Int(value) => format!("the number {value}"),
            Value::Float(value) => format!("the number {value}"),
            Value::Text(text) => quoted(text),
            Value::List(_) => "a list".into(),
            Value::Map(_) => "a mapping".into(),
        }
    }
}

/// Reads one YAML document. An empty one is [`Value::Null`].
///
/// # Errors
/// A [`Problem`] at the place where the text stops being YAML.
pub fn parse(source: &Source) -> Result<Node, Box<Problem>> {
    let mut reader = Reader {
        caught: None,
        // Aliases may repeat a little, not explode: every byte of the text may count four times.
        budget: source.text().len().saturating_mul(4).saturating_add(4096),
    };
    let deserializer = serde_yaml::Deserializer::from_str(source.text());
    match (&mut reader).deserialize(deserializer) {
        Ok(node) => Ok(node),
        Err(error) => match reader.caught.take() {
            Some(Value::Null) => nothing_else(source),
            Some(value) => Ok(Node {
                place: place_of(&error),
                value,
            }),
            None => Err(syntax(source, &error).into()),
        },
    }
}

/// A document that begins with nothing must also end there (`---` twice would hide the second).
fn nothing_else(source: &Source) -> Result<Node, Box<Problem>> {
    match serde_yaml::from_str::<serde_yaml::Value>(source.text()) {
        Ok(_) => Ok(Node::placeless(Value::Null)),
        Err(error) => Err(syntax(source, &error).into()),
    }
}

fn syntax(source: &Source, error: &serde_yaml::Error) -> Problem {
    let place = match error.location() {
        Some(location) => Some(Place {
            row: location.line().saturating_sub(1),
            column: location.column().saturating_sub(1),
        }),
        // The only error that the reader gives no place.
        None => Some(second_document(source)),
    };
    let text = error.to_string();
    let what = text.split(" at line ").next().unwrap_or(&text);
    let problem = source.problem(
        Severity::Error,
        place,
        format!("this is not valid YAML: {}", escaped(what)),
    );
    let problem = problem.code(Code::BadYaml);
    let tab = place.is_some_and(|place| {
        let line = source.row(place.row);
        line.trim_start_matches(' ').starts_with('\t')
    });
    match remedy(source, &text) {
        _ if tab => problem.help("indent with spaces; YAML allows no tabs there"),
        Some(help) => problem.help(help),
        None => problem,
    }
}

/// What helps against what the YAML reader says. Where it began to read what it could not end, it says so behind it.
fn remedy(source: &Source, text: &str) -> Option<String> {
    let begun = text.split(" at line ").nth(2);
    let row = begun.and_then(|place| {
        place
            .split(' ')
            .next()?
            .parse::<usize>()
            .ok()?
            .checked_sub(1)
    });
    let line = row.map_or_else(
        || "before this".to_owned(),
        |row| format!("in line {}", source.spot(Place { row, column: 0 }).line),
    );
    let open = |bracket: char, end: char| {
        format!(
            "the `{bracket}` {line} is not closed: add a `{end}`, or a comma between two entries"
        )
    };
    let help = match text {
        text if text.contains("expected ',' or '}'") => open('{', '}'),
        text if text.contains("expected ',' or ']'") => open('[', ']'),
        text if text.contains("quoted scalar") => format!("close the quotation mark that stands {line}"),
        text if text.starts_with("mapping values are not allowed") => {
            "begin a new line for the second key, or put a text with `: ` in it into quotation marks".to_owned()
        }
        text if text.starts_with("could not find expected ':'") => {
            "a key is followed by a colon and a space: `key: value`".to_owned()
        }
        text if text.contains("expected key") || text.contains("expected '-' indicator") => {
            "lines that belong together begin in the same column".to_owned()
        }
        text if text.starts_with("found character that cannot start") => {
            "put a text that begins with this character into quotation marks".to_owned()
        }
        _ => return None,
    };
    Some(help)
}

/// Where a second document begins: at a fence that is not the first line that says something, or after an end.
fn second_document(source: &Source) -> Place {
    let (mut begun, mut ended) = (false, false);
    let place = |row| Place { row, column: 0 };
    let mut last = 0;
    for (row, line) in source.text().lines().enumerate() {
        last = row;
        let is_fence = line == "---" || line.starts_with("--- ");
        let is_end = line == "..." || line.starts_with("... ");
        let says_nothing = line.trim().is_empty() || line.starts_with(['#', '%']);
        if begun && is_fence || ended && !says_nothing && !is_end {
            return place(row);
        }
        ended |= is_end;
        begun |= !says_nothing && !is_end;
    }
    place(last)
}

/// The place an error of the YAML reader names. Only its text tells, because inside serde the error's
/// type is hidden; the very first character is not named.
fn place_of(error: &impl Display) -> Option<Place> {
    let text = error.to_string();
    let Some((_, place)) = text.rsplit_once(" at line ") else {
        return Some(Place { row: 0, column: 0 });
    };
    let (line, column) = place.split_once(" column ")?;
    Some(Place {
        row: line.parse::<usize>().ok()?.checked_sub(1)?,
        column: column.parse::<usize>().ok()?.checked_sub(1)?,
    })
}

struct Reader {
    /// The scalar that reported itself last.
    caught: Option<Value>,
    /// How much may still be read.
    budget: usize,
}

impl Reader {
    fn spend<E: Error>(&mut self, cost: usize) -> Result<(), E> {
        match self.budget.checked_sub(cost + 1) {
            Some(rest) => {
                self.budget = rest;
                Ok(())
            }
            None => Err(E::custom("its aliases repeat too much text")),
        }
    }

    /// Reports a scalar. Always an error; whether it is a real one shows in `caught`.
    fn report<E: Error>(&mut self, value: Value) -> Result<Node, E> {
        let cost = if let Value::Text(text) = &value {
            text.len()
        } else {
            0
        };
        self.spend(cost)?;
        self.caught = Some(value);
        Err(E::custom("a scalar"))
    }

    /// Turns a report back into a value.
    fn catch<E: Error>(&mut self, outcome: Result<Option<Node>, E>) -> Result<Option<Node>, E> {
        match outcome {
            Ok(node) => Ok(node),
            Err(error) => match self.caught.take() {
                Some(value) => Ok(Some(Node {
                    place: place_of(&error),
                    value,
                })),
                None => Err(error),
            },
        }
    }
}

impl<'de> DeserializeSeed<'de> for &mut Reader {
    type Value = Node;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// A key: read as text whatever it looks like.
struct Key<'a>(&'a mut Reader);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Node;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_str(self.0)
    }
}

impl<'de> Visitor<'de> for &mut Reader {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a plain key or value")
    }

    fn visit_unit<E: Error>(self) -> Result<Node, E> {
        self.report(Value::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Node, E> {
        self.report(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Node, E> {
        self.report(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Node, E> {
        self.report(Value::Int(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Node, E> {
        self.report(
            i64::try_from(value).map_or_else(|_| Value::Text(value.to_string()), Value::Int),
        )
    }

    fn visit_i128<E: Error>(self, value: i128) -> Result<Node, E> {
        self.report(Value::Text(value.to_string()))
    }

    fn visit_u128<E: Error>(self, value: u128) -> Result<Node, E> {
        self.report(Value::Text(value.to_string()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Node, E> {
        self.report(Value::Float(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Node, E> {
        self.report(Value::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        self.spend(0)?;
        let mut list = Vec::new();
        loop {
            let outcome = items.next_element_seed(&mut *self);
            match self.catch(outcome)? {
                Some(node) => list.push(node),
                None => break,
            }
        }
        Ok(Node {
            place: list.first().and_then(|node: &Node| node.place),
            value: Value::List(list),
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        self.spend(0)?;
        let mut map = Vec::new();
        loop {
            let outcome = entries.next_key_seed(Key(&mut *self));
            let Some(key) = self.catch(outcome)? else {
                break;
            };
            let Value::Text(name) = key.value else {
                return Err(A::Error::custom("a key must be plain text"));
            };
            let outcome = entries.next_value_seed(&mut *self).map(Some);
            let node = self.catch(outcome)?.unwrap_or(Node::placeless(Value::Null));
            map.push(Entry {
                key: name,
                place: key.place,
                node,
            });
        }
        Ok(Node {
            place: map.first().and_then(|entry: &Entry| entry.place),
            value: Value::Map(map),
        })
    }

    fn visit_enum<A: EnumAccess<'de>>(self, _: A) -> Result<Node, A::Error> {
        Err(A::Error::custom("tags (`!name`) are not supported"))
    }
}
