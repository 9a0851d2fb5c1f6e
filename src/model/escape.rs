//! Characters that do not show themselves but act on whoever shows them: on a terminal, an editor, a log.
//!
//! Never knows what a text says or where it goes.

/// Whether a character moves a cursor, hides, or turns the direction of writing. What joins emoji does not count.
#[must_use]
pub fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// The text with every such character written out, but for those in `keep`. Doing it twice changes nothing.
#[must_use]
pub fn escaped_but(text: &str, keep: &[char]) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if acts(c) && !keep.contains(&c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// The text on its one line.
#[must_use]
pub fn escaped(text: &str) -> String {
    escaped_but(text, &[])
}

/// The text with its lines and tabs.
#[must_use]
pub fn escaped_lines(text: &str) -> String {
    escaped_but(text, &['\n', '\t'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_is_written_out_and_the_rest_stays() {
        let text = "é 👩‍👧\t\u{1b}[2J\u{9b}m\r\n\u{7}\u{7f}\u{202e}\u{2066}\u{200b}\u{feff}\u{e0041}";
        let shown = "é 👩‍👧\t\\u{1b}[2J\\u{9b}m\\r\n\\u{7}\\u{7f}\\u{202e}\\u{2066}\\u{200b}\\u{feff}\\u{e0041}";
        assert_eq!(escaped_lines(text), shown);
        assert_eq!(escaped_lines(shown), shown);
        assert_eq!(escaped("a\tb\n"), "a\\tb\\n");
    }
}
