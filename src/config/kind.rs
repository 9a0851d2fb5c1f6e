//! The kinds of value that plain JSON types do not tell apart: names, durations, sizes.
//!
//! This file must never know a key.

use super::words;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use std::borrow::Cow;
use std::time::Duration;

/// A name or path: not empty, one line, and not to be taken for an option.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Name(pub String);

/// Any text, of a number too.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Text(pub String);

/// A list of texts; one text stands for a list of one.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Words(pub Vec<String>);

/// A duration.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span(pub Duration);

/// A number of bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size(pub u64);

/// Money, in millionths of a US dollar.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Usd(pub u64);

/// A share, in percent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Percent(pub u8);

/// How many at once.
#[derive(Clone, Copy, Debug)]
pub(super) enum Parallel {
    /// By the number of processors.
    Auto,
    /// This many.
    Number(u32),
}

/// Largest accepted [`Parallel::Number`].
pub(super) const PARALLEL_MOST: u32 = 1000;

impl Parallel {
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text == "auto" {
            return Some(Self::Auto);
        }
        let number = text.parse().ok()?;
        (1..=PARALLEL_MOST)
            .contains(&number)
            .then_some(Self::Number(number))
    }
}

impl Serialize for Parallel {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Number(number) => serializer.serialize_u32(*number),
        }
    }
}

impl<'de> Deserialize<'de> for Parallel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom("not a number of agents"))
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&words::duration_text(self.0))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        // The checker has refused bare numbers where the user must not write them.
        let duration = words::duration_or_seconds(&text);
        duration
            .map(Self)
            .ok_or_else(|| D::Error::custom("not a duration"))
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&words::size_text(self.0))
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        words::size(&text)
            .map(Self)
            .ok_or_else(|| D::Error::custom("not a size"))
    }
}

impl Serialize for Usd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&words::usd_text(self.0))
    }
}

impl<'de> Deserialize<'de> for Usd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        words::usd(&text)
            .map(Self)
            .ok_or_else(|| D::Error::custom("not an amount of money"))
    }
}

impl Percent {
    /// `20%`, from 1 to 99.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let number = text.strip_suffix('%')?.trim_end().parse().ok()?;
        (1..=99).contains(&number).then_some(Self(number))
    }
}

impl Serialize for Percent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{}%", self.0))
    }
}

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom("not a share in percent"))
    }
}

/// Gives a type its schema: JSON types for editors, and `x-kind`, which the checker goes by.
macro_rules! kind {
    ($type:ident, $($schema:tt)+) => {
        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($($schema)+)
            }
        }
    };
}

kind!(Name, {"type": "string", "minLength": 1, "x-kind": "name"});
kind!(Text, {"type": ["string", "integer"], "x-kind": "text"});
kind!(Words, {"type": ["array", "string"], "items": {"type": "string"}, "x-kind": "words"});
kind!(Span, {"type": ["string", "integer"], "x-kind": "duration"});
kind!(Size, {"type": ["string", "integer"], "x-kind": "size"});
kind!(Usd, {"type": ["number", "string"], "minimum": 0, "x-kind": "usd"});
kind!(Percent, {"type": "string", "pattern": "^[1-9][0-9]? *%$", "x-kind": "percent"});
kind!(Parallel, {
    "type": ["string", "integer"], "pattern": "^auto$", "minimum": 1, "maximum": PARALLEL_MOST,
    "x-kind": "parallel"
});
