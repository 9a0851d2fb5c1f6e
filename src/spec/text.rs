//! The text of a spec: where its front matter ends and what its title is.
//!
//! This file must never know what the keys of front matter mean.

use crate::model::acts;

/// Longest title, in characters.
const TITLE_CAP: usize = 120;

/// A spec's text, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Split<'a> {
    /// There is no front matter.
    Plain,
    /// The first line opens front matter that no line closes.
    Unclosed,
    /// There is front matter; it begins on line 2.
    Front {
        /// What stands between the two fences.
        front: &'a str,
        /// What follows them.
        body: &'a str,
    },
}

/// Splits front matter off: it is there only when the first line is exactly `---`.
pub(super) fn split(text: &str) -> Split<'_> {
    let bare = |line: &'_ str| -> String { line.trim_end_matches(['\n', '\r']).to_owned() };
    let mut lines = text.split_inclusive('\n');
    let Some(first) = lines.next().filter(|line| bare(line) == "---") else {
        return Split::Plain;
    };
    let mut at = first.len();
    for line in lines {
        if matches!(bare(line).as_str(), "---" | "...") {
            return Split::Front {
                front: text.get(first.len()..at).unwrap_or_default(),
                body: text.get(at + line.len()..).unwrap_or_default(),
            };
        }
        at += line.len();
    }
    Split::Unclosed
}

/// The first heading of a markdown text, fit for one line of a display.
pub(super) fn title(body: &str) -> Option<String> {
    let mut fence: Option<&str> = None;
    let mut before = "";
    for line in body.lines() {
        let text = line.trim();
        let indented = line.starts_with("    ") || line.starts_with('\t');
        let mark = ["```", "~~~"]
            .into_iter()
            .find(|mark| text.starts_with(mark));
        match (fence, mark) {
            (Some(open), Some(mark)) if open == mark => fence = None,
            (None, Some(mark)) => fence = Some(mark),
            (None, None) if !indented => {
                if let Some(title) = heading(text).and_then(shown) {
                    return Some(title);
                }
                let underline = text.len() >= 3 && text.bytes().all(|b| b == b'=');
                if underline && let Some(title) = shown(before) {
                    return Some(title);
                }
            }
            _ => {}
        }
        before = text;
    }
    None
}

/// The words of a `# heading`.
fn heading(line: &str) -> Option<&str> {
    let rest = line.trim_start_matches('#');
    let level = line.len() - rest.len();
    if !(1..=6).contains(&level) || !rest.starts_with([' ', '\t']) {
        return None;
    }
    let words = rest.trim();
    let without = words.trim_end_matches('#');
    let closed = without.is_empty() || without.ends_with([' ', '\t']);
    Some(if closed { without.trim_end() } else { words })
}

/// A title without what would disturb a terminal; `None` when nothing is left.
fn shown(words: &str) -> Option<String> {
    let clean: String = words
        .chars()
        .filter(|c| !acts(*c))
        .take(TITLE_CAP)
        .collect();
    let clean = clean.trim();
    (!clean.is_empty()).then(|| clean.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn front_matter_is_there_only_when_the_first_line_says_so() {
        let front = |front, body| Split::Front { front, body };
        assert_eq!(split("---\na: 1\n---\nx"), front("a: 1\n", "x"));
        assert_eq!(split("---\r\na: 1\r\n...\r\nx"), front("a: 1\r\n", "x"));
        assert_eq!(split("---\n---"), front("", ""));
        assert_eq!(split("---\na: 1\n"), Split::Unclosed);
        for plain in [
            "",
            "x",
            "\n---\n---\n",
            "----\n---\n",
            " ---\n---\n",
            "--- \n---\n",
        ] {
            assert_eq!(split(plain), Split::Plain, "{plain:?}");
        }
    }

    #[test]
    fn the_title_is_the_first_heading() {
        let title = |text: &str| title(text).unwrap_or_default();
        assert_eq!(title("text\n\n## Log in ##\n# Other"), "Log in");
        assert_eq!(title("```\n# no\n```\n# C#"), "C#");
        assert_eq!(title("Log in\n======\n"), "Log in");
        assert_eq!(
            title("#no\n####### no\n    # no\n#\n# \u{1b}[31mred\u{202e}"),
            "[31mred"
        );
        let long = format!("# {}", "é".repeat(500));
        assert_eq!(title(&long), "é".repeat(120));
        assert_eq!(title("nothing"), "");
    }
}
