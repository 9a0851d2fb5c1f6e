//! One record as one line of text, sealed with a checksum.

use crate::model::{Event, Record, Stamp};
use serde::{Deserialize, Serialize};

/// Version of the line format and of the events' meaning.
const VERSION: u32 = 1;

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
struct In {
    seq: u64,
    with: Option<u64>,
    at: Stamp,
    event: Event,
}

/// A line that reads.
pub(super) struct Line {
    pub(super) record: Record,
    /// Number of the first record that was written together with it.
    pub(super) with: u64,
}

#[derive(Deserialize)]
struct VersionOnly {
    v: u32,
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
pub(super) fn parse(line: &[u8]) -> Result<Line, String> {
    let mut json = unseal(line)?.to_vec();
    json.push(b'}');
    let version: VersionOnly =
        serde_json::from_slice(&json).map_err(|error| format!("no record: {error}"))?;
    if version.v != VERSION {
        return Err(format!(
            "written by another version of harness (format version {}, this one reads {VERSION})",
            version.v
        ));
    }
    let line: In = serde_json::from_slice(&json).map_err(|error| format!("no record: {error}"))?;
    Ok(Line {
        with: line.with.unwrap_or(line.seq),
        record: Record {
            seq: line.seq,
            at: line.at,
            event: line.event,
        },
    })
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
