//! The one place that prints. A closed pipe is no error: the reader has seen enough.
//!
//! What agents, files and git said must not command a terminal, and much of what is printed holds such words: so it
//! is escaped here, whoever else has done so, unless the caller made the whole text itself.

use super::args::When;
use crate::model::{acts, escaped_lines};
use std::io::{IsTerminal, Write};

/// Writes to stdout, with lines and tabs, and everything else that acts on a terminal escaped.
pub(super) fn out(text: &str) {
    exact(&escaped_lines(text));
}

/// Writes to stdout what must not be changed where a program reads it; on a terminal it is escaped.
pub(super) fn document(text: &str) {
    if is_terminal() {
        out(text);
    } else {
        exact(text);
    }
}

/// Writes to stdout what is safe already, with colours.
pub(super) fn exact(text: &str) {
    let mut stdout = std::io::stdout().lock();
    // Nobody is left to tell that nobody reads.
    let _ = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
}

/// Writes a value to stdout, for programs, which read the same whether or not a character is escaped.
pub(super) fn json(value: &serde_json::Value) -> Result<(), super::Failure> {
    let text = serde_json::to_string_pretty(value).map_err(anyhow::Error::new)?;
    exact(&format!("{}\n", ascii_where_it_acts(&text)));
    Ok(())
}

/// JSON's own escapes for what acts on a terminal: such characters stand in its strings only.
pub(super) fn ascii_where_it_acts(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if acts(c) && c != '\n' {
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            out.push(c);
        }
    }
    out
}

/// Writes to stderr.
pub(super) fn err(text: &str) {
    let mut stderr = std::io::stderr().lock();
    let _ = stderr
        .write_all(text.as_bytes())
        .and_then(|()| stderr.flush());
}

/// Whether colours are wanted.
pub(super) fn colours(when: When) -> bool {
    match when {
        When::Always => true,
        When::Never => false,
        When::Auto => may_paint(std::io::stdout().is_terminal() && std::io::stderr().is_terminal()),
    }
}

/// Whether colours are wanted where nobody has said so: on a terminal that has some, unless `NO_COLOR` is set.
pub(super) fn may_paint(on_terminal: bool) -> bool {
    let is = |name: &str, fits: &dyn Fn(&str) -> bool| {
        let value = std::env::var_os(name);
        value.is_some_and(|value| fits(&value.to_string_lossy()))
    };
    on_terminal
        && !is("NO_COLOR", &|value| !value.is_empty())
        && !is("TERM", &|term| term == "dumb")
}

/// Whether stdout is a terminal.
pub(super) fn is_terminal() -> bool {
    std::io::stdout().is_terminal()
}

/// Whether the terminal that stdout was is not there any more.
#[cfg(feature = "ui")]
pub(super) fn is_gone() -> bool {
    !is_terminal()
}

/// Whether the terminal that stdout is says how large it is; a serial line does not.
#[cfg(feature = "ui")]
pub(super) fn has_size() -> bool {
    terminal_size::terminal_size_of(std::io::stdout()).is_some()
}

/// Columns of the terminal; 100 when there is none.
pub(super) fn columns() -> usize {
    std::env::var("COLUMNS")
        .ok()
        .and_then(|columns| columns.parse().ok())
        .or_else(|| terminal_size::terminal_size().map(|(width, _)| usize::from(width.0)))
        .unwrap_or(100)
}

#[cfg(test)]
mod tests {
    use super::ascii_where_it_acts;

    #[test]
    fn a_program_reads_the_same() {
        let value = serde_json::json!({"a": "\u{9b}m\u{202e}\u{e0041}\u{1b}é\n"});
        let text = serde_json::to_string_pretty(&value).unwrap();
        let shown = ascii_where_it_acts(&text);
        assert!(
            shown.contains("\\u009bm\\u202e\\udb40\\udc41\\u001bé\\n"),
            "{shown}"
        );
        let read: serde_json::Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(read, value);
    }
}
