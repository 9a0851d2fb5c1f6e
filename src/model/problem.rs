//! A problem in something the user wrote, with its place and its remedy.
//!
//! The rooms that read the user's files collect these; the desk in `cli` shows them.

use super::Code;
use std::fmt;
use std::path::PathBuf;

/// How bad a [`Problem`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth saying; the run goes on.
    Warning,
    /// Nothing is started.
    Error,
}

/// One thing that is wrong with the user's input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Whether it stops the run.
    pub severity: Severity,
    /// What kind of problem it is.
    pub code: Code,
    /// What is wrong, one sentence without a full stop.
    pub message: String,
    /// What to do about it, one sentence without a full stop; names the likely intended word where one
    /// is near.
    pub help: Option<String>,
    /// The file it stands in, or what stands for one (`environment`, `command line`).
    pub file: Option<PathBuf>,
    /// Line in that file, from 1.
    pub line: Option<u32>,
    /// First and one-past-last column (bytes, from 0) of the offending text in that line.
    pub columns: Option<(usize, usize)>,
    /// The text of that line, for the snippet.
    pub source_line: Option<String>,
}

impl Problem {
    /// An error with nothing but its message: what was asked for is not possible, for a reason that is nothing more
    /// than that.
    #[must_use]
    pub fn error(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code: Code::NotPossible,
            message: message.into(),
            help: None,
            file: None,
            line: None,
            columns: None,
            source_line: None,
        }
    }

    /// A warning with nothing but its message.
    #[must_use]
    pub fn warning(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(message)
        }
    }

    /// Says what kind of problem it is.
    #[must_use]
    pub fn code(mut self, code: Code) -> Self {
        self.code = code;
        self
    }

    /// Adds the remedy.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds the file.
    #[must_use]
    pub fn file(mut self, file: impl Into<PathBuf>) -> Self {
        self.file = Some(file.into());
        self
    }

    /// Adds the line (from 1), its text, and the columns (bytes, from 0) of `word` in it if it occurs.
    #[must_use]
    pub fn at(mut self, line: u32, text: &str, word: &str) -> Self {
        self.line = Some(line);
        self.source_line = Some(text.to_owned());
        self.columns = text
            .find(word)
            .filter(|_| !word.is_empty())
            .map(|start| (start, start + word.len()));
        self
    }
}

/// `file:line: message (help)`: the one-line form, for logs and tests.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}", file.display())?;
            if let Some(line) = self.line {
                write!(f, ":{line}")?;
            }
            write!(f, ": ")?;
        }
        write!(f, "{}", self.message)?;
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

/// All problems of one look at the user's files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// Whether any of them stops the run.
    #[must_use]
    pub fn any_error(&self) -> bool {
        self.0
            .iter()
            .any(|problem| problem.severity == Severity::Error)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.0.iter().enumerate() {
            if n > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
