//! Text fit to be shown: on one line, escaped, cut to columns; numbers and times for people.
//!
//! Knows nothing about what the text says.

pub(super) use super::columns::name_cut;
pub(super) use crate::model::escaped;

use super::columns::Columns;
use crate::model::Stamp;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::fmt::Write as _;

/// How a terminal is told to draw (SGR, ECMA-48).
pub(super) mod style {
    pub(in super::super) const BOLD: &str = "1";
    pub(in super::super) const DIM: &str = "2";
    pub(in super::super) const RED: &str = "31";
    pub(in super::super) const GREEN: &str = "32";
    pub(in super::super) const YELLOW: &str = "33";
}

/// A text that leads to a file (`OSC 8`), for a terminal that knows links. Both must be safe for a terminal already.
#[must_use]
pub fn file_link(path: &str, text: &str) -> String {
    let mut url = String::from("file://");
    for byte in path.bytes() {
        match byte {
            b'/' | b'-' | b'_' | b'.' | b'~' => url.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => url.push(char::from(byte)),
            byte => url.push_str(&format!("%{byte:02X}")),
        }
    }
    format!("\u{1b}]8;;{url}\u{1b}\\{text}\u{1b}]8;;\u{1b}\\")
}

/// On one line (runs of white space become one space), escaped, and at most `columns` wide.
pub(super) fn shown(text: &str, columns: usize) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    cut(&escaped(&words.join(" ")), columns)
}

/// What a person must read to act, as [`shown`], with its lines told apart: git lists files one a line.
pub(super) fn reason(text: &str, columns: usize) -> String {
    if let Some((head, why)) = head_and_tail(text) {
        return shown(&format!("{head} {}", last_said(why)), columns);
    }
    let mut out = String::new();
    let (mut wrapped, mut listed) = (false, false);
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let item = line.starts_with([' ', '\t', '-', '*']);
        let closed = out.ends_with([':', ';', '.', ',', '?', '!']);
        // Prose that was wrapped goes on; a list's items and whatever follows them do not.
        let flows = closed || (wrapped && !item && !listed);
        if !out.is_empty() {
            out.push_str(if flows { " " } else { "; " });
        }
        (wrapped, listed) = (line.chars().count() >= WRAPPED_CHARS, item);
        out.push_str(line.trim());
    }
    shown(&out, columns)
}

/// Lines at least this long were probably wrapped, in characters.
const WRAPPED_CHARS: usize = 60;

/// How lines begin that programs add behind what went wrong: advice, and drawings that lead to what stands above.
const ASIDES: [&str; 6] = ["[notice]", "note:", "hint:", "npm notice", "│", "╰─>"];

/// Of a failed command's output, which ends with `[exit 1]` or the like, the line that says why: the
/// last one before that which is no aside; without one, how it ended.
pub(super) fn last_said(tail: &str) -> &str {
    let lines = || tail.lines().rev().filter(|line| !line.trim().is_empty());
    let own = lines().next().unwrap_or_default();
    let said = || lines().skip(usize::from(own.starts_with('[')));
    let is_aside = |line: &str| ASIDES.iter().any(|begin| line.trim().starts_with(begin));
    let why = said().find(|line| !is_aside(line));
    why.or_else(|| said().next()).unwrap_or(own)
}

/// Why setting up failed, out of all that was printed meanwhile.
pub(super) fn setup_said(text: &str) -> &str {
    head_and_tail(text).map_or_else(|| last_said(text), |(_, tail)| last_said(tail))
}

/// A text that says "this command failed:" and then how its output ended.
fn head_and_tail(text: &str) -> Option<(&str, &str)> {
    let (head, tail) = text.trim().split_once('\n')?;
    let last = tail.lines().last()?;
    let ends = last.starts_with('[') && last.ends_with(']');
    (head.ends_with(':') && ends).then_some((head, tail))
}

/// At most `columns` wide; a cut is marked with `…`.
pub(super) fn cut(text: &str, columns: usize) -> String {
    NEVER_TOO_FEW.cut(text, columns)
}

/// Cut or filled up with spaces to exactly `columns`.
pub(super) fn padded(text: &str, columns: usize) -> String {
    NEVER_TOO_FEW.padded(text, columns)
}

/// Columns on a terminal, never too few: marks that combine count as one, and blocks that hold wide
/// symbols count as wide throughout.
pub(super) fn width(text: &str) -> usize {
    NEVER_TOO_FEW.of(text)
}

/// As terminals may show it at most.
const NEVER_TOO_FEW: Columns = Columns(char_width);

fn char_width(c: char) -> usize {
    1 + usize::from(is_wide(c))
}

/// Whether a terminal may give the character two columns.
fn is_wide(c: char) -> bool {
    matches!(u32::from(c),
        0x1100..=0x115f | 0x231a..=0x231b | 0x2329..=0x232a | 0x23e9..=0x23f3 | 0x25fd..=0x25fe
        | 0x2600..=0x27bf | 0x2b1b..=0x2b1c | 0x2b50..=0x2b55 | 0x2e80..=0xa4cf | 0xa960..=0xa97c
        | 0xac00..=0xd7a3 | 0xf900..=0xfaff | 0xfe10..=0xfe19 | 0xfe30..=0xfe6f | 0xff00..=0xff60
        | 0xffe0..=0xffe6 | 0x16fe0..=0x18dff | 0x1aff0..=0x1b2ff | 0x1d300..=0x1d37f
        | 0x1f000..=0x1faff | 0x20000..=0x3fffd)
}

/// `12s`, `4m12s`, `1h03m`, `2d05h`.
pub(super) fn elapsed(ms: u64) -> String {
    let s = ms / 1000;
    match s {
        0..60 => format!("{s}s"),
        60..3600 => format!("{}m{:02}s", s / 60, s % 60),
        3600..86_400 => format!("{}h{:02}m", s / 3600, s / 60 % 60),
        _ => format!("{}d{:02}h", s / 86_400, s / 3600 % 24),
    }
}

/// `1,234,567`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `940`, `12k`, `1.2M`, `34M`: about so many tokens.
pub(super) fn tokens(number: u64) -> String {
    match number {
        0..1_000 => number.to_string(),
        1_000..999_500 => format!("{}k", number.saturating_add(500) / 1_000),
        _ => {
            let tenths = number.saturating_add(50_000) / 100_000;
            match tenths {
                0..100 => format!("{}.{}M", tenths / 10, tenths % 10),
                _ => format!("{}M", grouped(tenths / 10)),
            }
        }
    }
}

/// About how long: `under 2m`, `about 25m`, `about 1h40m`. What is foretold has no seconds.
pub(super) fn about_time(ms: u64) -> String {
    let minutes = ms.saturating_add(30_000) / 60_000;
    let tens = minutes.saturating_add(5) / 10 * 10;
    match minutes {
        0..2 => "under 2m".to_owned(),
        2..60 => format!("about {minutes}m"),
        60..1440 => format!("about {}h{:02}m", tens / 60, tens % 60),
        _ => format!("about {}d{:02}h", minutes / 1440, minutes / 60 % 24),
    }
}

/// A length as [`grouped`].
pub(super) fn count(number: usize) -> String {
    grouped(u64::try_from(number).unwrap_or(u64::MAX))
}

/// `1 feature`, `2 features`.
pub(super) fn some(number: usize, noun: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{} {noun}{ending}", count(number))
}

/// Names in a row, the first few of them.
pub(super) fn names<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    const MOST: usize = 5;
    let total = names.len();
    let mut out = names.take(MOST).collect::<Vec<_>>().join(", ");
    if total > MOST {
        let _ = write!(out, " and {} more", count(total - MOST));
    }
    out
}

/// The moment in a time zone, by a `strftime` format.
pub(super) fn clock(at: Stamp, tz: &TimeZone, format: &str) -> String {
    let zoned = timestamp(at).to_zoned_datetime(tz.clone());
    zoned.strftime(format).to_string()
}

/// The moment as RFC 3339 in UTC, to the millisecond.
pub(super) fn rfc3339(at: Stamp) -> String {
    timestamp(at).strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

fn timestamp(at: Stamp) -> Timestamp {
    let ms = i64::try_from(at.0).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX)
}

/// A word of a command, as a shell takes it for exactly this text.
#[must_use]
pub fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._/-".contains(c);
    match !text.is_empty() && text.chars().all(plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

/// `refs/heads/main` as `main`.
pub(super) fn branch(target: &str) -> String {
    shown(target.strip_prefix("refs/heads/").unwrap_or(target), 60)
}
