//! Until when a run may begin something: a time of the day, or how long.
//!
//! This file must never know what time it is, nor a time zone.

use super::words;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

/// Shortest time that a run may be given.
const LEAST: Duration = Duration::from_secs(60);

/// The end of a run's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// When the clock on the wall next shows this.
    Clock {
        /// From 0 to 23.
        hour: i8,
        /// From 0 to 59.
        minute: i8,
    },
    /// So long after the run began.
    After(Duration),
}

impl Until {
    /// `07:30`, `7:30`, `6h`, `1h30m`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let Some((hour, minute)) = text.split_once(':') else {
            let span = words::duration(text)?;
            return (span >= LEAST).then_some(Self::After(span));
        };
        let number = |digits: &str, least: usize| {
            let fits = (least..=2).contains(&digits.len());
            let fits = fits && digits.bytes().all(|digit| digit.is_ascii_digit());
            fits.then(|| digits.parse::<i8>().ok()).flatten()
        };
        let (hour, minute) = (number(hour, 1)?, number(minute, 2)?);
        (hour < 24 && minute < 60).then_some(Self::Clock { hour, minute })
    }
}

impl fmt::Display for Until {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clock { hour, minute } => write!(f, "{hour:02}:{minute:02}"),
            Self::After(span) => f.write_str(&words::duration_text(*span)),
        }
    }
}

impl Serialize for Until {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Until {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom("not a time of the day or a duration"))
    }
}

impl JsonSchema for Until {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Until".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "x-kind": "until"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_the_day_and_durations_are_read_and_shown() {
        for (text, shown) in [
            ("07:30", "07:30"),
            ("7:30", "07:30"),
            ("00:00", "00:00"),
            ("23:59", "23:59"),
            ("6h", "6h"),
            ("90m", "1h30m"),
            ("1m", "1m"),
        ] {
            let until = Until::parse(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(until.to_string(), shown);
            assert_eq!(Until::parse(shown), Some(until));
        }
        for bad in [
            "24:00", "7:60", "07:3", "730", "7", "59s", "0", "", ":", "-1:30", "+7:30", "7:30pm",
            "007:30", "07:30:00", "soon",
        ] {
            assert_eq!(Until::parse(bad), None, "{bad}");
        }
    }
}
