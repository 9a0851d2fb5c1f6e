//! The end of a command's output, made fit for a prompt, a log and a terminal.
//!
//! Knows nothing about commands or verdicts.

use crate::model::acts;
use std::collections::VecDeque;

const LINES: usize = 60;
const BYTES: usize = 8 * 1024;
const LINE_CHARS: usize = 1000;

/// The last 60 lines, at most 8 KiB; escape sequences are removed, other control characters escaped.
#[derive(Debug, Default)]
pub(super) struct Tail {
    lines: VecDeque<String>,
    bytes: usize,
}

impl Tail {
    /// Takes one line of output.
    pub(super) fn push(&mut self, line: &str) {
        // What a terminal would show of a progress bar is what came after its last carriage return.
        let line = line.trim_end_matches('\r');
        let line = line.rsplit('\r').next().unwrap_or(line);
        let line = visible(line);
        self.bytes += line.len() + 1;
        self.lines.push_back(line);
        while self.lines.len() > LINES || self.bytes > BYTES {
            let Some(dropped) = self.lines.pop_front() else {
                break;
            };
            self.bytes -= dropped.len() + 1;
        }
    }

    /// The lines, and a last one in brackets.
    pub(super) fn finish(self, outcome: &str) -> String {
        let mut text = String::with_capacity(self.bytes + outcome.len() + 3);
        for line in &self.lines {
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text.push_str(&format!("[{outcome}]"));
        text
    }
}

/// Without escape sequences, with other control characters and marks that turn the direction of text
/// escaped, and cut at 1000 characters.
fn visible(line: &str) -> String {
    let mut out = String::new();
    let mut chars = line.chars().peekable();
    let mut count = 0;
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => skip_sequence(&mut chars),
            '\t' => out.push(c),
            c if acts(c) => out.extend(c.escape_default()),
            c => out.push(c),
        }
        count += 1;
        if count == LINE_CHARS && chars.peek().is_some() {
            out.push('…');
            break;
        }
    }
    out
}

/// Skips what follows ESC: a control sequence, an operating system command, or one character.
fn skip_sequence(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    match chars.next() {
        Some('[') => while chars.next_if(|c| !('@'..='~').contains(c)).is_some() {},
        Some(']') => {
            while chars.next_if(|&c| c != '\u{7}' && c != '\u{1b}').is_some() {}
            if chars.next_if_eq(&'\u{1b}').is_none() {
                chars.next();
                return;
            }
        }
        _ => return,
    }
    chars.next();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_shows_what_a_terminal_would_and_nothing_more() {
        for (raw, shown) in [
            ("plain\tté", "plain\tté"),
            ("\u{1b}[1;31merror\u{1b}[0m: x", "error: x"),
            ("\u{1b}]0;title\u{7}after", "after"),
            ("\u{1b}]8;;http://x\u{1b}\\link", "link"),
            ("\u{1b}(Bx", "Bx"),
            ("bell\u{7}\u{202e}", "bell\\u{7}\\u{202e}"),
            ("cut\u{1b}[31", "cut"),
            ("\u{1b}", ""),
        ] {
            assert_eq!(visible(raw), shown, "{raw:?}");
        }
    }

    #[test]
    fn the_end_is_kept_within_lines_and_bytes() {
        let mut tail = Tail::default();
        for n in 0..100 {
            tail.push(&format!("line {n}"));
        }
        let text = tail.finish("exit 1");
        assert!(text.starts_with("line 40\n") && text.ends_with("line 99\n[exit 1]"));
        let mut tail = Tail::default();
        for _ in 0..60 {
            tail.push(&"y".repeat(100_000));
        }
        tail.push("10%\r50%\r100%\r");
        let text = tail.finish("exit 1");
        assert!(text.len() < BYTES + 20 && text.ends_with("\n100%\n[exit 1]"));
    }
}
