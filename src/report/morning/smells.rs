//! What may be worth a closer look: only what the journal and git can say, and never a verdict.

use super::{LandedPart, Smell};
use crate::core::{FeatureFigures, RunHistory, View};
use crate::model::escaped;
use crate::report::money;
use crate::report::text::{names, reason, shown, some};
use std::path::Path;

/// So many iterations are never many.
const FEW_ITERATIONS: u32 = 4;
/// So many failed calls are never many.
const FEW_FAILED: u32 = 2;
/// A change of more files, or lines, is a large one.
const LARGE: (usize, usize) = (60, 3_000);
const WHY_COLUMNS: usize = 240;

/// Everything that may be worth a look, by feature and then of the run.
pub(super) fn smells(run: &RunHistory, view: &View, landed: &[LandedPart]) -> Vec<Smell> {
    let usual = usual_iterations(run);
    let mut smells = Vec::new();
    for (slug, figures) in &run.features {
        let mut smell = |code, text| {
            let slug = Some(slug.clone());
            smells.push(Smell { slug, code, text });
        };
        of_work(figures, usual, &mut smell);
        of_claims(figures, &mut smell);
    }
    for part in landed {
        smells.extend(of_a_landing(part));
    }
    smells.sort_by(|a, b| a.slug.cmp(&b.slug));
    let of_the_run = |code, text| Smell {
        slug: None,
        code,
        text,
    };
    let unchecked = landed.iter().filter(|part| part.proof.kind == "unchecked");
    match unchecked.count() {
        0 => {}
        n => smells.push(of_the_run(
            "unchecked",
            format!(
                "{} landed on its agent's word: no verify commands are set",
                some(n, "feature")
            ),
        )),
    }
    if run.usage.estimated {
        let text = "some of the money is worked out from a list of prices, no agent's own word";
        smells.push(of_the_run("estimated", text.to_owned()));
    }
    let findings = view.run.iter().flat_map(|run| &run.findings);
    smells.extend(findings.map(|finding| of_the_run("finding", money::finding(finding))));
    smells
}

fn of_work(figures: &FeatureFigures, usual: u32, smell: &mut impl FnMut(&'static str, String)) {
    let many = figures.iterations > FEW_ITERATIONS && figures.iterations >= usual.saturating_mul(2);
    if many {
        let n = figures.iterations;
        let text = format!("took {n} iterations; the usual was {usual}");
        smell("iterations", text);
    }
    if figures.failed > FEW_FAILED {
        let text = format!(
            "{} of its {} calls failed",
            figures.failed, figures.iterations
        );
        smell("failed_calls", text);
    }
    for (breaker, why, to) in &figures.breakers {
        let why = reason(why, WHY_COLUMNS);
        match to {
            _ if breaker == "tampered" => {
                smell("tampered", format!("changed what is not its own: {why}"));
            }
            Some(to) => {
                let to = shown(to, 60);
                smell("escalated", format!("was handed on to {to}: {why}"));
            }
            None => {}
        }
    }
}

fn of_claims(figures: &FeatureFigures, smell: &mut impl FnMut(&'static str, String)) {
    let reds = figures
        .sent_back
        .iter()
        .filter(|it| it.red.is_some())
        .count();
    if reds + figures.refused.len() > 1 {
        let times = reds + figures.refused.len();
        smell(
            "claims",
            format!("claimed to be done {times} times when it was not"),
        );
    }
    if figures.resolved > 0 {
        let paths = figures.sent_back.iter().flat_map(|it| &it.paths);
        let mut paths: Vec<String> = paths.map(|path| escaped(path)).collect();
        paths.sort();
        paths.dedup();
        let place = match paths.len() {
            0 => String::new(),
            _ => format!(" in {}", names(paths.iter().map(String::as_str))),
        };
        let times = some(
            usize::try_from(figures.resolved).unwrap_or(usize::MAX),
            "conflict",
        );
        smell("resolved", format!("its agent resolved {times}{place}"));
    }
    if let Some(red) = &figures.flaky {
        let command = shown(&red.command, 120);
        let text = format!("`{command}` failed and then passed on the same tree");
        smell("flaky", text);
    }
}

fn of_a_landing(part: &LandedPart) -> Vec<Smell> {
    let mut smells = Vec::new();
    let mut smell = |code, text| {
        smells.push(Smell {
            slug: Some(part.slug.clone()),
            code,
            text,
        });
    };
    if part.proof.kind == "fixed" {
        let text = "passes, and what it landed on did not".to_owned();
        smell("fixed", text);
    }
    let Some(changes) = &part.changes else {
        return smells;
    };
    let tests = changes.removed.iter().filter(|path| is_a_test(path));
    let tests: Vec<&str> = tests.map(String::as_str).collect();
    if !tests.is_empty() {
        let files = some(tests.len(), "test file");
        let text = format!("removes {files}: {}", names(tests.iter().copied()));
        smell("tests_removed", text);
    }
    let lines = changes.insertions + changes.deletions;
    if changes.files > LARGE.0 || lines > LARGE.1 {
        let files = some(changes.files, "file");
        let text = format!("is large: {} in {files}", some(lines, "changed line"));
        smell("large", text);
    }
    smells
}

/// The median of the features that were worked on.
fn usual_iterations(run: &RunHistory) -> u32 {
    let worked = run.features.values().map(|figures| figures.iterations);
    let mut worked: Vec<u32> = worked.filter(|n| *n > 0).collect();
    worked.sort_unstable();
    worked.get(worked.len() / 2).copied().unwrap_or(0)
}

/// Whether a file is a test by its name or place, as most languages have it.
fn is_a_test(path: &str) -> bool {
    let is_prose = Path::new(path)
        .extension()
        .is_some_and(|end| end == "md" || end == "txt");
    let mut parts: Vec<&str> = path.split('/').collect();
    let name = parts.pop().unwrap_or_default().to_ascii_lowercase();
    let below = |part: &&str| matches!(*part, "test" | "tests" | "__tests__" | "spec" | "testdata");
    let named = ["test_", "test."]
        .iter()
        .any(|begin| name.starts_with(begin))
        || ["_test.", ".test.", "_tests.", ".spec.", "_spec."]
            .iter()
            .any(|middle| name.contains(middle));
    !is_prose && (named || parts.iter().any(below))
}

#[cfg(test)]
mod tests {
    use super::is_a_test;

    #[test]
    fn tests_are_known_by_name_or_place() {
        for path in [
            "tests/a.rs",
            "src/__tests__/a.js",
            "pkg/a_test.go",
            "a.spec.ts",
            "test_a.py",
            "spec/models/user.rb",
        ] {
            assert!(is_a_test(path), "{path}");
        }
        for path in [
            "src/latest.rs",
            "specs/a/spec.md",
            "src/attest.py",
            "tests/README.md",
        ] {
            assert!(!is_a_test(path), "{path}");
        }
    }
}
