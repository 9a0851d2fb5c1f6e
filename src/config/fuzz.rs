//! What must hold of YAML that people wrote, whatever it is.

use super::{FeatureKeys, Source, Sources, resolved, yaml};
use crate::model::{Problem, Severity};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Of harness.yaml: it is read in the same way twice, and every problem has a place inside the file.
pub(crate) fn fuzz(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let source = Source::new("harness.yaml", text.to_owned());
    let read = || match yaml::parse(&source) {
        Err(problem) => Err(vec![*problem]),
        Ok(node) => {
            let sources = Sources {
                root: PathBuf::from("/nowhere"),
                file: None,
                env: BTreeMap::new(),
                flags: super::Flags::default(),
            };
            let file = Some((source.clone(), node));
            match resolved(&sources, file, Vec::new()) {
                Ok(loaded) => Ok(loaded),
                Err(problems) => Err(problems.0),
            }
        }
    };
    let first = read();
    assert_eq!(format!("{first:?}"), format!("{:?}", read()), "read twice");
    match first {
        Ok(loaded) => check_places(&loaded.warnings, text, 1),
        Err(problems) => {
            assert!(problems.iter().any(|it| it.severity == Severity::Error));
            check_places(&problems, text, 1);
        }
    }
}

/// Of front matter that begins on line 2 of a spec.
pub(crate) fn fuzz_front_matter(front: &str) {
    let source = Source::part("spec.md", front.to_owned(), 2);
    let (keys, problems) = FeatureKeys::of_front_matter(&source);
    check_places(&problems, front, 2);
    let again = FeatureKeys::of_front_matter(&source);
    assert_eq!(
        format!("{again:?}"),
        format!("{:?}", (keys, problems)),
        "read twice"
    );
}

/// Each stands on a line of the text, shows that line, and marks what is on it.
fn check_places(problems: &[Problem], text: &str, first_line: u32) {
    for problem in problems {
        let line = problem
            .line
            .unwrap_or_else(|| panic!("no place: {problem:?}"));
        let row = line.checked_sub(first_line).expect("not before the text");
        let row = usize::try_from(row).expect("a row");
        let found = text.split('\n').nth(row);
        let found = found.unwrap_or_else(|| panic!("beyond the text: {problem:?}"));
        let Some(shown) = &problem.source_line else {
            continue;
        };
        assert_eq!(shown, found.trim_end_matches('\r'), "another line");
        if let Some((start, end)) = problem.columns {
            assert!(shown.get(start..end).is_some(), "odd columns: {problem:?}");
        }
    }
}
