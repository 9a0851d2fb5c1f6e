//! One record as one line of text, sealed with a checksum; and how lines of older versions are read.
//!
//! Every line names its version, so that a file may hold several: an old one is read as it stands, step by step from
//! its version to this one, and what is appended is of this version. Nothing is ever rewritten.
//!
//! The version changes only when what older harnesses wrote would be read wrongly. A new kind of event or a new field
//! does not need that: who does not know them refuses the line.

use crate::model::{Event, Record, Stamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The version that is written.
const VERSION: u32 = 1;

/// From a record of one version to the same record of the next.
type Step = fn(&mut Map<String, Value>);

/// The steps from older versions, the oldest first; the last one leads to [`VERSION`].
const STEPS: &[Step] = &[];

#[derive(Serialize)]
struct Out<'a> {
    v: u32,
    seq: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    with: Option<u64>,
    at: Stamp,
    event: &'a Event,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct In {
    v: u32,
    seq: u64,
    with: Option<u64>,
    at: Stamp,
    event: Event,
}

/// A line that reads.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) record: Record,
    /// Number of the first record that was written together with it.
    pub(super) with: u64,
}

#[derive(Deserialize)]
struct VersionOnly {
    v: u32,
}

/// Why a line is no record.
#[derive(Debug)]
pub(super) enum Unread {
    /// It is not what was once written.
    Broken(String),
    /// It is, by a harness that knows more than this one.
    Newer(String),
}

/// Length of `,"sum":"0123456789abcdef"}` and the newline.
const SEAL: usize = 27;

/// Appends `record` as a line; `first` is the first of those that are written together.
pub(super) fn write(out: &mut Vec<u8>, record: &Record, first: u64) {
    let line = Out {
        v: VERSION,
        seq: record.seq,
        with: (first != record.seq).then_some(first),
        at: record.at,
        event: &record.event,
    };
    // Plain data with string keys always serialises, and writing to memory does not fail.
    let mut text = serde_json::to_vec(&line).unwrap_or_default();
    text.pop();
    out.extend(sealed(&text));
}

/// An object without its closing brace, sealed.
pub(super) fn sealed(open_object: &[u8]) -> Vec<u8> {
    let mut line = open_object.to_vec();
    line.extend(format!(",\"sum\":\"{:016x}\"}}\n", checksum(open_object)).into_bytes());
    line
}

/// Whether the line is whole and its checksum holds.
pub(super) fn is_intact(line: &[u8]) -> bool {
    unseal(line).is_ok()
}

/// Whether the line is whole and its checksum holds, if only its last byte were the newline that belongs there.
pub(super) fn is_whole_but_for_its_end(line: &[u8]) -> bool {
    let mut line = line.to_vec();
    line.pop();
    line.push(b'\n');
    is_intact(&line)
}

/// Reads a line back.
///
/// # Errors
/// A sentence that says what is wrong.
pub(super) fn parse(line: &[u8]) -> Result<Line, Unread> {
    parse_with(STEPS, line)
}

fn parse_with(steps: &[Step], line: &[u8]) -> Result<Line, Unread> {
    let mut json = unseal(line).map_err(Unread::Broken)?.to_vec();
    json.push(b'}');
    let error = match serde_json::from_slice::<In>(&json) {
        Ok(line) if line.v == VERSION => return Ok(line.into()),
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    };
    let broken = |error| Unread::Broken(format!("no record: {error}"));
    match serde_json::from_slice(&json) {
        Ok(VersionOnly { v }) if v > VERSION => Err(Unread::Newer(format!(
            "format version {v}, this harness reads up to {VERSION}"
        ))),
        // The seal says that this is what was written. That this harness cannot read it means that it knows less.
        Ok(VersionOnly { v }) if v == VERSION => Err(Unread::Newer(error)),
        Ok(VersionOnly { v }) => lifted(steps, v, &json).map_err(broken),
        Err(error) => Err(broken(error.to_string())),
    }
}

/// A record of an older version, in this one.
fn lifted(steps: &[Step], version: u32, json: &[u8]) -> Result<Line, String> {
    let behind = usize::try_from(VERSION - version).unwrap_or(usize::MAX);
    let first = steps.len().checked_sub(behind);
    let steps = first
        .and_then(|first| steps.get(first..))
        .ok_or_else(|| format!("there never was a format version {version}"))?;
    let mut record: Map<String, Value> =
        serde_json::from_slice(json).map_err(|error| error.to_string())?;
    for step in steps {
        step(&mut record);
    }
    serde_json::from_value::<In>(Value::Object(record))
        .map(Line::from)
        .map_err(|error| error.to_string())
}

impl From<In> for Line {
    fn from(line: In) -> Self {
        Self {
            with: line.with.unwrap_or(line.seq),
            record: Record {
                seq: line.seq,
                at: line.at,
                event: line.event,
            },
        }
    }
}

fn unseal(line: &[u8]) -> Result<&[u8], String> {
    let cut = line
        .len()
        .checked_sub(SEAL)
        .filter(|_| line.ends_with(b"\"}\n"))
        .ok_or("the line is cut off")?;
    let (body, seal) = line.split_at(cut);
    let expected = format!(",\"sum\":\"{:016x}\"}}\n", checksum(body));
    if seal == expected.as_bytes() {
        Ok(body)
    } else {
        Err("the checksum does not match".to_owned())
    }
}

/// FNV-1a, 64 bits (Fowler, Noll, Vo): catches torn and rotten lines; it is not meant to stop a forger.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Slug;

    /// As if there had been a version 0, in which events lay flat in the record and features were called tasks.
    const FROM_0: Step = |record| {
        let mut event = Map::new();
        event.extend(record.remove("kind").map(|kind| ("event".to_owned(), kind)));
        event.extend(record.remove("task").map(|slug| ("slug".to_owned(), slug)));
        record.insert("event".to_owned(), Value::Object(event));
    };

    fn old(seq: u64) -> Vec<u8> {
        let line = format!(r#"{{"v":0,"seq":{seq},"at":7,"kind":"requeued","task":"auth""#);
        sealed(line.as_bytes())
    }

    #[test]
    fn a_line_of_an_older_version_is_lifted_to_this_one() {
        let record = Record {
            seq: 1,
            at: Stamp(7),
            event: Event::Requeued {
                slug: Slug::new("auth").unwrap(),
            },
        };
        assert_eq!(parse_with(&[FROM_0], &old(1)).unwrap().record, record);
        // What is appended to the same file is of this version and is read beside it.
        let mut new = Vec::new();
        write(&mut new, &record, record.seq);
        assert_eq!(parse_with(&[FROM_0], &new).unwrap().record, record);
    }

    #[test]
    fn a_version_that_never_was_is_damage() {
        for steps in [&[][..], &[FROM_0][..]] {
            let line = sealed(br#"{"v":0,"seq":1,"at":7"#);
            assert!(matches!(parse_with(steps, &line), Err(Unread::Broken(_))));
        }
    }

    #[test]
    fn a_line_that_says_more_than_is_known_is_refused_as_newer() {
        for more in [
            r#"{"v":2,"seq":1,"at":7,"event":{"event":"requeued","slug":"auth"}"#,
            r#"{"v":1,"seq":1,"at":7,"event":{"event":"renamed","slug":"auth"}"#,
            r#"{"v":1,"seq":1,"at":7,"event":{"event":"requeued","slug":"auth","by":"Tess"}"#,
            r#"{"v":1,"seq":1,"at":7,"by":"Tess","event":{"event":"requeued","slug":"auth"}"#,
        ] {
            let read = parse(&sealed(more.as_bytes()));
            assert!(matches!(read, Err(Unread::Newer(_))), "{more}: {read:?}");
        }
    }
}
