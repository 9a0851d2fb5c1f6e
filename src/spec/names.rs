//! Which directories may hold a spec, and which names a feature cannot have.
//!
//! It looks at names only, never into a spec.

use crate::config::{Specs, quoted};
use crate::model::{Code, Problem, Slug};
use std::ffi::{OsStr, OsString};
use std::path::Path;

/// Names whose files in the state directory (`<slug>.log`, `<slug>.done`) are harness's own: `run.log`.
/// Whatever else lives there (learnings.md, journal.jsonl, lock, HALT) has another ending or none.
const RESERVED: [&str; 1] = ["run"];

pub(super) fn reserved(slug: &Slug) -> Option<Problem> {
    RESERVED.contains(&slug.as_str()).then(|| {
        let message = format!("a feature cannot be called `{slug}`: {slug}.log is harness's own");
        Problem::error(message)
            .code(Code::BadSlug)
            .help("rename its directory")
    })
}

/// Two directories that some file systems take for the same.
pub(super) fn twins(one: &str, other: &str, shown: &Path) -> Problem {
    let (one, other) = (quoted(one), quoted(other));
    let problem = Problem::error(format!("{one} and {other} differ only in case"));
    let help = "rename one: some file systems take them for the same";
    problem.code(Code::BadSlug).file(shown).help(help)
}

/// The directories that may hold a spec, sorted; hidden ones and templates (`_template`) are not.
pub(super) fn names_in(dir: &Path, specs: &Specs, problems: &mut Vec<Problem>) -> Vec<OsString> {
    let shown = &specs.dir;
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) => {
            let message = format!("cannot read the specs directory: {error}");
            let help = format!(
                "make {}/<name>/{}, or name another directory with `specs.dir` in harness.yaml",
                shown.display(),
                specs.file.display()
            );
            problems.push(
                Problem::error(message)
                    .code(Code::NoSpecs)
                    .file(shown)
                    .help(help),
            );
            return Vec::new();
        }
    };
    let mut names = Vec::new();
    for entry in entries {
        match entry {
            Ok(entry) => names.push(entry.file_name()),
            Err(error) => {
                let message = format!("cannot read the whole specs directory: {error}");
                problems.push(Problem::error(message).code(Code::NoSpecs).file(shown));
            }
        }
    }
    let skipped = |name: &OsStr| matches!(name.as_encoded_bytes().first(), Some(b'.' | b'_'));
    names.retain(|name| !skipped(name));
    names.sort();
    names
}

/// The specs directory holds none.
pub(super) fn no_spec(specs: &Specs) -> Problem {
    let file = specs.file.display();
    let message = format!("there is no `*/{file}` in it");
    let help = format!("make {}/<name>/{file}", specs.dir.display());
    Problem::error(message)
        .code(Code::NoSpecs)
        .file(&specs.dir)
        .help(help)
}
