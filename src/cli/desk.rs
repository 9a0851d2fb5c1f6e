//! The error desk: every failure becomes a message, a hint and an exit code here and nowhere else.

use super::out;
use crate::driver::DriverError;
use crate::journal::Held;
use crate::model::{Code, Problem, Severity, acts, escaped, escaped_lines};
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use std::io::IsTerminal;

/// Not started: usage, configuration, preflight.
pub(super) const NOT_STARTED: u8 = 2;
/// Another run holds the lock.
pub(super) const HELD: u8 = 9;
/// State damaged.
pub(super) const DAMAGED: u8 = 10;

/// A failed command.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(super) struct Failure(#[from] anyhow::Error);

impl From<DriverError> for Failure {
    fn from(error: DriverError) -> Self {
        Self(error.into())
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        DriverError::Problems(vec![problem]).into()
    }
}

/// Says what clap found wrong (or the help that was asked for).
pub(super) fn usage(error: &clap::Error) -> u8 {
    if !error.use_stderr() {
        // A closed pipe is no reason to fail differently.
        let _ = error.print();
        return 0;
    }
    let text = error.render();
    let text = match out::may_paint(std::io::stderr().is_terminal()) {
        true => text.ansi().to_string(),
        false => text.to_string(),
    };
    let code = Code::Usage.name();
    out::err(&text.replacen("error:", &format!("error[{code}]:"), 1));
    NOT_STARTED
}

/// Says what went wrong and returns the exit code.
pub(super) fn report(failure: &Failure, colour: bool) -> u8 {
    show(&problems(failure), colour);
    code(failure.0.downcast_ref())
}

/// What went wrong and what helps, in words without a place.
#[cfg(feature = "ui")]
pub(super) fn words(failure: &Failure) -> String {
    let problems = problems(failure).into_iter().map(|problem| {
        let help = problem.help.map(|help| format!("; {help}"));
        problem.message + &help.unwrap_or_default()
    });
    problems.collect::<Vec<_>>().join(". ")
}

/// What went wrong, each with its remedy.
pub(super) fn problems(failure: &Failure) -> Vec<Problem> {
    match failure.0.downcast_ref::<DriverError>() {
        Some(DriverError::Problems(problems)) => problems.clone(),
        error => {
            let code = error.map_or(Code::NotPossible, DriverError::code);
            let mut problem = Problem::error(failure.to_string()).code(code);
            if let Some(help) = hint(failure.0.downcast_ref()) {
                problem = problem.help(help);
            }
            vec![problem]
        }
    }
}

fn code(error: Option<&DriverError>) -> u8 {
    match error {
        Some(DriverError::Held(Held::By(_))) => HELD,
        Some(DriverError::Interrupted { code }) => *code,
        Some(DriverError::Journal(_) | DriverError::Broken(_) | DriverError::Invariant(_)) => {
            DAMAGED
        }
        _ => NOT_STARTED,
    }
}

fn hint(error: Option<&DriverError>) -> Option<String> {
    let text = match error? {
        DriverError::Git(error) => return error.remedy(),
        DriverError::Held(Held::By(_)) => {
            "`harness status --watch` or `harness attach` shows it, `harness stop` ends it; then try again"
        }
        DriverError::Journal(error) => error.remedy(),
        DriverError::Broken(_) | DriverError::Memory(_) | DriverError::Io { .. } => {
            "see that the state directory is writable and the disk has room, then run again"
        }
        _ => return None,
    };
    Some(text.to_owned())
}

/// Shows problems on stderr, each with its place and remedy; below errors, where to read more about them.
pub(super) fn show(problems: &[Problem], colour: bool) {
    for problem in problems {
        out::err(&format!("{}\n", render(problem, colour)));
    }
    // What is not possible now has said why; there is no more to be read about it.
    let explained = problems
        .iter()
        .filter(|p| p.severity == Severity::Error && p.code != Code::NotPossible);
    if let Some(first) = explained.map(|problem| problem.code.name()).min() {
        out::err(&format!("`harness explain {first}` says more about it\n"));
    }
}

fn render(problem: &Problem, colour: bool) -> String {
    let level = match problem.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let renderer = if colour {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let path = problem.file.as_ref();
    let path = path.map(|file| escaped(&file.display().to_string()));
    let line = problem.line.and_then(|line| usize::try_from(line).ok());
    // A place without text to show still is a place; it goes in front of the message.
    let title = match (&path, &problem.source_line) {
        (Some(path), None) => match line {
            Some(line) => format!("{path}:{line}: {}", problem.message),
            None => format!("{path}: {}", problem.message),
        },
        _ => problem.message.clone(),
    };
    let title = escaped_lines(&title);
    let source;
    let mut group = Group::with_title(level.primary_title(title.as_str()).id(problem.code.name()));
    if let (Some(path), Some(text)) = (&path, &problem.source_line) {
        let (start, end) = span(problem, text);
        let (start, end) = (quiet(&text[..start]).len(), quiet(&text[..end]).len());
        source = quiet(text);
        group = group.element(
            Snippet::source(source.as_str())
                .line_start(line.unwrap_or(1))
                .path(path.as_str())
                .annotation(AnnotationKind::Primary.span(start..end)),
        );
    }
    let help = problem.help.as_deref().map(escaped_lines);
    if let Some(help) = &help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    renderer.render(&[group])
}

/// A line of a file, with one column for each character that must not act on the terminal. The renderer knows only
/// some of them.
fn quiet(line: &str) -> String {
    let quiet = |c| if acts(c) && c != '\t' { '\u{fffd}' } else { c };
    line.chars().map(quiet).collect()
}

/// The marked columns, kept inside of the line and on character borders.
fn span(problem: &Problem, text: &str) -> (usize, usize) {
    match problem.columns {
        Some((start, end)) if text.get(start..end).is_some() => (start, end),
        _ => (0, text.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_shown_with_place_snippet_and_remedy() {
        let problem = Problem::error("unknown key `paralel`")
            .code(Code::UnknownKey)
            .help("did you mean `parallel`?")
            .file("harness.yaml")
            .at(3, "  paralel: 4", "paralel");
        let text = render(&problem, false);
        for part in [
            "error[unknown-key]: unknown key",
            "harness.yaml:3",
            "paralel: 4",
            "^^^^^^^",
            "did you mean",
        ] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
    }

    #[test]
    fn a_problem_with_odd_columns_does_not_panic() {
        let mut problem = Problem::error("odd").file("x").at(1, "é", "é");
        for columns in [(1, 2), (0, 99), (5, 3)] {
            problem.columns = Some(columns);
            assert!(render(&problem, false).contains("odd"));
        }
    }

    #[test]
    fn codes_follow_the_table() {
        assert_eq!(code(Some(&DriverError::Held(Held::By(None)))), 9);
        assert_eq!(code(Some(&DriverError::Invariant(String::new()))), 10);
        assert_eq!(code(Some(&DriverError::Problems(Vec::new()))), 2);
    }
}
