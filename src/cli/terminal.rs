//! What the terminal can do: its size, colours, links, and progress that it shows by itself.
//!
//! Only what a terminal is known to understand is sent to it; nothing is asked of it.

use super::out;
use crate::report::{Terminal, file_link};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

/// The terminal that a live picture is drawn on, as it is now: people change its size.
pub(super) fn drawn_on(env: &BTreeMap<OsString, OsString>, colour: bool) -> Terminal {
    let size = terminal_size::terminal_size_of(std::io::stderr());
    let (columns, rows) = size.map_or((100, 24), |(w, h)| (usize::from(w.0), usize::from(h.0)));
    let is_one = std::io::stderr().is_terminal();
    Terminal {
        columns,
        rows,
        colour: colour && !is_dumb(env),
        progress: shows_progress(env, is_one),
        links: has_links(env, is_one),
    }
}

fn is(env: &BTreeMap<OsString, OsString>, name: &str, values: &[&str]) -> bool {
    let value = env
        .get(&OsString::from(name))
        .and_then(|value| value.to_str());
    value.is_some_and(|value| values.contains(&value))
}

fn has(env: &BTreeMap<OsString, OsString>, name: &str) -> bool {
    let value = env.get(&OsString::from(name));
    value.is_some_and(|value| !value.is_empty())
}

/// Whether it can do nothing but print.
pub(super) fn is_dumb(env: &BTreeMap<OsString, OsString>) -> bool {
    is(env, "TERM", &["dumb"])
}

/// Multiplexers keep to themselves what they do not know.
fn is_behind_another(env: &BTreeMap<OsString, OsString>) -> bool {
    has(env, "TMUX") || has(env, "STY")
}

/// Whether it shows progress by itself (`OSC 9;4`); `is_one`: it is a terminal at all.
fn shows_progress(env: &BTreeMap<OsString, OsString>, is_one: bool) -> bool {
    let known = has(env, "WT_SESSION")
        || is(env, "ConEmuANSI", &["ON"])
        || is(env, "TERM_PROGRAM", &["WezTerm", "ghostty"]);
    is_one && known && !is_dumb(env) && !is_behind_another(env)
}

/// Whether it makes links of what is marked as such (`OSC 8`); `is_one`: it is a terminal at all.
fn has_links(env: &BTreeMap<OsString, OsString>, is_one: bool) -> bool {
    let vte = env.get(&OsString::from("VTE_VERSION"));
    let vte = vte.and_then(|value| value.to_str()?.parse::<u32>().ok());
    let known = has(env, "WT_SESSION")
        || has(env, "KONSOLE_VERSION")
        || vte.is_some_and(|version| version >= 5000)
        || is(
            env,
            "TERM",
            &["xterm-kitty", "alacritty", "foot", "xterm-ghostty"],
        )
        || is(
            env,
            "TERM_PROGRAM",
            &["iTerm.app", "WezTerm", "vscode", "ghostty", "Hyper"],
        );
    is_one && known && !is_dumb(env) && !is_behind_another(env)
}

/// The text with a link where it names a file for the first time, if the terminal knows links. The text must be safe for
/// a terminal already.
pub(super) fn linked(env: &BTreeMap<OsString, OsString>, text: String, file: &Path) -> String {
    let name = file.display().to_string();
    match has_links(env, out::is_terminal()) && file.is_absolute() {
        true => text.replacen(&name, &file_link(&name, &name), 1),
        false => text,
    }
}

/// A page with links from the names that begin its rows to the files that are theirs, if the terminal knows links. The page
/// must be safe for a terminal already.
pub(super) fn rows_linked(
    env: &BTreeMap<OsString, OsString>,
    page: String,
    file_of: impl Fn(&str) -> Option<PathBuf>,
) -> String {
    if !has_links(env, out::is_terminal()) {
        return page;
    }
    let rows = page.split_inclusive('\n');
    rows.map(|row| row_linked(row, &file_of)).collect()
}

/// A row of a list is two blanks, a name, and more.
fn row_linked(row: &str, file_of: &impl Fn(&str) -> Option<PathBuf>) -> String {
    let found = row.strip_prefix("  ").and_then(|row| {
        let (name, rest) = row.split_once(' ')?;
        Some((name, rest, file_of(name)?))
    });
    match found {
        Some((name, rest, file)) => {
            format!("  {} {rest}", file_link(&file.display().to_string(), name))
        }
        None => row.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> BTreeMap<OsString, OsString> {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| (name.into(), value.into()))
            .collect()
    }

    #[test]
    fn a_pipe_gets_neither_links_nor_progress() {
        let able = env(&[("TERM_PROGRAM", "WezTerm"), ("WT_SESSION", "x")]);
        for is_one in [true, false] {
            assert_eq!(has_links(&able, is_one), is_one);
            assert_eq!(shows_progress(&able, is_one), is_one);
        }
        let mut cases = vec![env(&[("TERM", "xterm")])];
        for more in [("TERM", "dumb"), ("TMUX", "/tmp/x"), ("STY", "1.x")] {
            let more = env(&[more]);
            cases.push(able.clone().into_iter().chain(more).collect());
        }
        for case in cases {
            assert!(!has_links(&case, true), "{case:?}");
            assert!(!shows_progress(&case, true), "{case:?}");
        }
    }

    #[test]
    fn a_name_that_begins_a_row_is_linked_and_nothing_else_is() {
        let file_of = |name: &str| (name == "auth").then(|| PathBuf::from("/s/auth.log"));
        let row = "  auth  working  writes auth.rs\n";
        let name = "\u{1b}]8;;file:///s/auth.log\u{1b}\\auth\u{1b}]8;;\u{1b}\\";
        let expected = format!("  {name}  working  writes auth.rs\n");
        assert_eq!(row_linked(row, &file_of), expected);
        for row in [
            "auth  x\n",
            "        auth x\n",
            "  billing  auth\n",
            "  auth\n",
            "\n",
        ] {
            assert_eq!(row_linked(row, &file_of), row);
        }
    }

    #[test]
    fn what_is_between_counts() {
        assert!(is_behind_another(&env(&[("TMUX", "/tmp/x")])));
        assert!(!is_behind_another(&env(&[("TMUX", "")])));
        assert!(is_dumb(&env(&[("TERM", "dumb")])));
    }
}
