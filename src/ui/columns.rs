//! How many columns text takes, as ratatui counts them, and cutting it to that.
//!
//! Never knows what the text says; it must be safe for a terminal already.

use crate::report::Columns;
use ratatui::text::Span;

/// Columns of a character.
pub(super) fn char_columns(c: char) -> usize {
    match c {
        ' '..='~' => 1,
        c => Span::raw(c.encode_utf8(&mut [0; 4]) as &str).width(),
    }
}

/// As the picture is laid out.
const DRAWN: Columns = Columns(char_columns);

/// Columns of a text.
pub(super) fn columns(text: &str) -> usize {
    DRAWN.of(text)
}

/// At most so many columns; a cut is marked with `…`.
pub(super) fn cut(text: &str, most: usize) -> String {
    DRAWN.cut(text, most)
}

/// Cut or filled up with spaces to exactly so many columns.
pub(super) fn padded(text: &str, exactly: usize) -> String {
    DRAWN.padded(text, exactly)
}

/// As much of the beginning as fits.
pub(super) fn fitting(text: &str, most: usize) -> &str {
    DRAWN.fitting(text, most)
}

/// A text in pieces of at most so many columns, broken at spaces where there are some: where each begins and ends.
/// A piece that goes on is moved in by `indent`.
pub(super) fn wrapped(text: &str, most: usize, indent: usize) -> Vec<(usize, usize)> {
    let mut pieces = Vec::new();
    let (mut begin, mut room) = (0, most.max(1));
    loop {
        let rest = &text[begin..];
        let fits = fitting(rest, room).len();
        if fits == rest.len() {
            pieces.push((begin, text.len()));
            return pieces;
        }
        // A character that is wider than all there is takes a line of its own all the same.
        let first = rest.chars().next().map_or(1, char::len_utf8);
        let head = &rest[..fits.max(first)];
        let after_space = head.rfind(' ').map(|at| at + 1);
        // Not where only the margin would stand before the break.
        let broken = after_space.filter(|at| !rest[..*at].trim().is_empty());
        let end = begin + broken.unwrap_or(head.len());
        pieces.push((begin, end));
        if end == text.len() {
            return pieces;
        }
        begin = end;
        room = most.saturating_sub(indent).max(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(text: &str, most: usize) -> Vec<&str> {
        let pieces = wrapped(text, most, 0).into_iter();
        pieces.map(|(begin, end)| &text[begin..end]).collect()
    }

    #[test]
    fn text_is_broken_at_spaces_and_never_lost() {
        assert_eq!(pieces("", 5), [""]);
        assert_eq!(pieces("one two three", 8), ["one two ", "three"]);
        assert_eq!(pieces("abcdefghij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(pieces("    abcdefghij", 8), ["    abcd", "efghij"]);
        assert_eq!(pieces("日本語", 1), ["日", "本", "語"]);
        assert_eq!(pieces("日本語", 5), ["日本", "語"]);
        for most in 0..30 {
            let text = "an e\u{301}poch of 日本語 words, longlonglonglong";
            assert_eq!(pieces(text, most).concat(), text, "{most}");
        }
    }

    #[test]
    fn what_is_cut_fits() {
        assert_eq!(cut("日本語", 6), "日本語");
        assert_eq!(cut("日本語", 5), "日本…");
        assert_eq!(cut("日本語", 4), "日…");
        assert_eq!(cut("abc", 0), "");
        assert_eq!(padded("日本語", 4), "日… ");
    }
}
