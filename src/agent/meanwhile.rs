//! The part of a prompt that tells what has landed meanwhile in the files a feature changes.
//!
//! Knows nothing of git: it is told.

use super::text::visible;
use std::fmt::Write as _;

/// Most paths that are named at once.
const NAMED_PATHS: usize = 12;

/// What has landed since a feature's work began and touches its files.
#[derive(Clone, Copy, Debug)]
pub struct Meanwhile<'a> {
    /// What it is called, and those of the feature's paths that it changes; the newest first.
    pub landed: &'a [(String, Vec<String>)],
    /// Paths in which merging now would conflict; empty when it would not.
    pub conflicts: &'a [String],
}

/// The paragraph for the prompt; `None` when there is nothing to say.
#[must_use]
pub fn meanwhile(news: &Meanwhile<'_>) -> Option<String> {
    if news.landed.is_empty() {
        return None;
    }
    let mut out = String::from(
        "# Landed meanwhile\n\nSince your work began, this has landed and touches files you changed; expect to merge:\n",
    );
    for (what, paths) in news.landed {
        let _ = writeln!(out, "- {}: {}", one_line(what), listed(paths));
    }
    if news.conflicts.is_empty() {
        out.push_str("Merging it now would not conflict.\n");
    } else {
        let paths = listed(news.conflicts);
        let _ = writeln!(out, "Merging it now would conflict in: {paths}");
    }
    Some(out)
}

fn listed(paths: &[String]) -> String {
    let named: Vec<String> = paths
        .iter()
        .take(NAMED_PATHS)
        .map(|p| one_line(p))
        .collect();
    let more = match paths.len().saturating_sub(NAMED_PATHS) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    named.join(", ") + &more
}

fn one_line(text: &str) -> String {
    visible(text).replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_names_what_landed_and_what_would_conflict() {
        let paths: Vec<String> = (0..14).map(|n| format!("{n}.rs")).collect();
        let landed = [("Merge b\u{1b}".to_owned(), vec!["a\nb".to_owned()])];
        let news = |conflicts| {
            meanwhile(&Meanwhile {
                landed: &landed,
                conflicts,
            })
            .unwrap()
        };
        let text = news(&[]);
        assert!(text.contains("- Merge b\\u{1b}: a\\nb\n"), "{text}");
        assert!(text.ends_with("would not conflict.\n"), "{text}");
        assert!(news(&paths).ends_with("10.rs, 11.rs and 2 more\n"));
        let nothing = Meanwhile {
            landed: &[],
            conflicts: &paths,
        };
        assert_eq!(meanwhile(&nothing), None);
    }
}
