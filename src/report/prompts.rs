//! Where two prompts of a feature part, for people: prompt caches reach to there and no further.
//!
//! Never reads a prompt from anywhere.

use super::text::{escaped, grouped};
use std::fmt::Write as _;

/// Lines that are shown of what both have, and of each side.
const CONTEXT: usize = 3;
const COLUMNS: usize = 160;

/// Two prompts of one feature.
#[derive(Clone, Debug)]
pub struct PromptPair<'a> {
    /// Its name.
    pub slug: &'a str,
    /// The iteration and prompt of the earlier one.
    pub before: (u32, &'a str),
    /// The same of the later one.
    pub after: (u32, &'a str),
    /// How long they are the same, in bytes.
    pub shared: usize,
    /// The part in which they part.
    pub part: String,
}

/// How much they have in common, and the first line that differs with those around it.
#[must_use]
pub fn prompt_diff(pair: &PromptPair<'_>) -> String {
    let ((n, before), (m, after)) = (pair.before, pair.after);
    let mut out = format!(
        "{}: the prompts of iterations {n} ({} bytes) and {m} ({} bytes)\n",
        pair.slug,
        number(before.len()),
        number(after.len())
    );
    if before == after {
        out.push_str("are the same\n");
        return out;
    }
    let share = (pair.shared * 100).checked_div(after.len()).unwrap_or(0);
    let head = before.as_bytes().get(..pair.shared).unwrap_or_default();
    let line = head.iter().filter(|byte| **byte == b'\n').count();
    let _ = writeln!(
        out,
        "are the same for {} bytes, {share} % of the later one; the first byte that differs stands in line {}, in {}",
        number(pair.shared),
        line + 1,
        pair.part
    );
    let from = line.saturating_sub(CONTEXT);
    for text in after.lines().skip(from).take(line - from) {
        show(&mut out, ' ', text);
    }
    for (mark, side) in [('-', before), ('+', after)] {
        for text in side.lines().skip(line).take(CONTEXT) {
            show(&mut out, mark, text);
        }
    }
    out
}

fn show(out: &mut String, mark: char, text: &str) {
    let text = super::text::cut(&escaped(text), COLUMNS);
    let _ = writeln!(out, "{}", format!("  {mark} {text}").trim_end());
}

fn number(count: usize) -> String {
    grouped(u64::try_from(count).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(before: &str, after: &str) -> String {
        let pairs = before.bytes().zip(after.bytes());
        prompt_diff(&PromptPair {
            slug: "login",
            before: (3, before),
            after: (4, after),
            shared: pairs.take_while(|(a, b)| a == b).count(),
            part: "PRIOR_LOG".into(),
        })
    }

    #[test]
    fn the_first_difference_is_shown_with_what_stands_around_it() {
        assert_eq!(
            told(
                "a\nb\nc\nd\nold 1\nx\n",
                "a\nb\nc\nd\nold 2\u{1b}\ny\nz\nw\n"
            ),
            "login: the prompts of iterations 3 (16 bytes) and 4 (21 bytes)\n\
             are the same for 12 bytes, 57 % of the later one; the first byte that differs stands in line 5, in PRIOR_LOG\n    \
             b\n    c\n    d\n  - old 1\n  - x\n  + old 2\\u{1b}\n  + y\n  + z\n"
        );
    }

    #[test]
    fn equal_ones_and_empty_ones_are_told_as_such() {
        assert!(told("a", "a").ends_with("are the same\n"));
        assert!(told("", "a\n").contains("for 0 bytes, 0 % of the later one"));
        // In the middle of a character.
        assert!(told("é", "è").contains("for 1 bytes"));
    }
}
