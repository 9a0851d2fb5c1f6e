//! Text an agent made, fit to be shown, stored and put into a prompt: visible, one line or many, capped.
//!
//! Knows nothing about where it came from.

use super::call::Progress;
use crate::model::escaped_lines;
use crate::process::Stream;
use std::collections::VecDeque;

/// The most that is kept of a final message.
pub(super) const MESSAGE_BYTES: usize = 64 * 1024;
/// The most that is kept of a failure's text.
pub(super) const FAILURE_CHARS: usize = 300;
/// The most that is shown of what the agent says.
pub(super) const STATUS_CHARS: usize = 200;
/// Of so many lines, the last ones are kept: among them stand the words of a CLI that gives up.
const LAST_LINES: usize = 40;
const LAST_LINE_CHARS: usize = 1000;

/// The same text with control characters (but newline and tab), line separators and marks that turn the
/// direction of text written escaped.
pub(super) fn visible(text: &str) -> String {
    escaped_lines(&text.replace("\r\n", "\n"))
}

/// The first line that is not blank, visible and at most `chars` long.
pub(super) fn first_line(text: &str, chars: usize) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty());
    clip(&visible(line.unwrap_or_default()), chars)
}

/// The last line that is not blank, visible and at most `chars` long.
pub(super) fn last_line(text: &str, chars: usize) -> String {
    let line = text.lines().rev().map(str::trim).find(|l| !l.is_empty());
    clip(&visible(line.unwrap_or_default()), chars)
}

/// At most `chars` characters; a cut is marked with `…`.
pub(super) fn clip(text: &str, chars: usize) -> String {
    if text.chars().nth(chars).is_none() {
        return text.to_owned();
    }
    let mut out: String = text.chars().take(chars.saturating_sub(1)).collect();
    out.push('…');
    out
}

/// `text`, or `instead` when it is empty.
pub(super) fn or(text: String, instead: &str) -> String {
    if text.is_empty() {
        instead.to_owned()
    } else {
        text
    }
}

/// The last lines of a stream, at most `cap` bytes of them.
#[derive(Debug)]
pub(super) struct Tail {
    text: String,
    cap: usize,
}

impl Tail {
    pub(super) fn new(cap: usize) -> Self {
        Self {
            text: String::new(),
            cap,
        }
    }

    pub(super) fn push(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
        // Cutting only at twice the cap keeps the copying linear in what comes.
        if self.text.len() > self.cap.saturating_mul(2) {
            self.cut();
        }
    }

    pub(super) fn finish(mut self) -> String {
        self.cut();
        self.text
    }

    fn cut(&mut self) {
        let excess = self.text.len().saturating_sub(self.cap);
        self.text.drain(..self.text.ceil_char_boundary(excess));
    }
}

/// What was read of the output of an agent that speaks plain text.
#[derive(Debug)]
pub(super) struct Text {
    out: Tail,
    last_out: String,
    last_err: String,
    last: VecDeque<(Stream, String)>,
}

impl Default for Text {
    fn default() -> Self {
        Self::new()
    }
}

impl Text {
    pub(super) fn new() -> Self {
        Self {
            out: Tail::new(MESSAGE_BYTES),
            last_out: String::new(),
            last_err: String::new(),
            last: VecDeque::new(),
        }
    }

    /// Takes one line; gives the words for the status line, if there are any.
    pub(super) fn line(&mut self, stream: Stream, line: &str) -> Option<Progress> {
        if stream == Stream::Out {
            self.out.push(line);
        }
        let words = last_line(line, STATUS_CHARS);
        if words.is_empty() {
            return None;
        }
        let last = last_line(line, FAILURE_CHARS);
        match stream {
            Stream::Out => self.last_out = last,
            Stream::Err => self.last_err = last,
        }
        if self.last.len() == LAST_LINES {
            self.last.pop_front();
        }
        self.last
            .push_back((stream, clip(line.trim_end(), LAST_LINE_CHARS)));
        Some(Progress::Line(words))
    }

    /// The last line of stdout that is not blank.
    pub(super) fn last_out(&self) -> &str {
        &self.last_out
    }

    /// The last line that is not blank: of stderr if it has one, else of stdout.
    pub(super) fn last_words(&self) -> &str {
        if self.last_err.is_empty() {
            &self.last_out
        } else {
            &self.last_err
        }
    }

    /// The last lines that are not blank, the last one first.
    pub(super) fn last_lines(&self) -> impl Iterator<Item = (Stream, &str)> {
        let lines = self.last.iter().rev();
        lines.map(|(stream, line)| (*stream, line.as_str()))
    }

    /// The final message: the end of stdout.
    pub(super) fn message(self) -> String {
        cap(&visible(self.out.finish().trim()))
    }
}

/// The end of `text`, at most 64 KiB.
pub(super) fn cap(text: &str) -> String {
    let from = text.ceil_char_boundary(text.len().saturating_sub(MESSAGE_BYTES));
    text.get(from..).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_come_out_escaped() {
        assert_eq!(
            visible("a\tb\r\nc\u{1b}[0m\u{202e}\r"),
            "a\tb\nc\\u{1b}[0m\\u{202e}\\r"
        );
    }

    #[test]
    fn lines_are_found_and_clipped() {
        assert_eq!(first_line("\n  \n one \ntwo", 10), "one");
        assert_eq!(last_line("one\n two\n \n", 10), "two");
        assert_eq!(clip("ééééé", 3), "éé…");
        assert_eq!(clip("ééé", 3), "ééé");
        assert_eq!(last_line("", 3), "");
    }

    #[test]
    fn a_tail_keeps_the_end() {
        let mut tail = Tail::new(10);
        for n in 0..100 {
            tail.push(&format!("é{n}"));
        }
        let text = tail.finish();
        assert!(text.len() <= 10 && text.ends_with("é98\né99\n"), "{text}");
    }
}
