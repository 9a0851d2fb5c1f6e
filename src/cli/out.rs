//! The one place that prints. A closed pipe is no error: the reader has seen enough.

use super::args::When;
use std::io::{IsTerminal, Write};

/// Writes to stdout.
pub(super) fn out(text: &str) {
    let mut stdout = std::io::stdout().lock();
    // Nobody is left to tell that nobody reads.
    let _ = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
}

/// Writes a value to stdout, for programs.
pub(super) fn json(value: &serde_json::Value) -> Result<(), super::Failure> {
    let text = serde_json::to_string_pretty(value).map_err(anyhow::Error::new)?;
    out(&format!("{text}\n"));
    Ok(())
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
        When::Auto => {
            let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
            !unwanted && std::io::stdout().is_terminal() && std::io::stderr().is_terminal()
        }
    }
}

/// Whether stdout is a terminal.
pub(super) fn is_terminal() -> bool {
    std::io::stdout().is_terminal()
}

/// Columns of the terminal; 100 when there is none.
pub(super) fn columns() -> usize {
    std::env::var("COLUMNS")
        .ok()
        .and_then(|columns| columns.parse().ok())
        .or_else(|| terminal_size::terminal_size().map(|(width, _)| usize::from(width.0)))
        .unwrap_or(100)
}
