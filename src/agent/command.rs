//! Agents of kind `command`: any program that reads a prompt on stdin. Its output is plain text.
//!
//! Knows nothing about records or accounts; only the exit status tells whether such a call failed.

use super::cli::{Cli, Tells};
use super::failure;
use super::reader::{End, Reader, Stage, Tell, Verdict};
use super::text::Text;
use crate::process::Stream;

pub(super) const COMMAND: Cli = Cli {
    program: "",
    args: |_| Vec::new(),
    later: None,
    resume: None,
    is_fed: true,
    passes: &[],
    sets: &[],
    apart: &[],
    home: &[],
    tells: Tells::Nothing,
    litter: None,
    reader: || Box::new(Plain(Text::new())),
};

/// Takes everything for text.
#[derive(Debug)]
struct Plain(Text);

impl Reader for Plain {
    fn line(&mut self, stream: Stream, line: &str, tell: Tell<'_>) {
        if let Some(progress) = self.0.line(stream, line) {
            tell(progress);
        }
    }

    fn stage(&self) -> Stage {
        Stage::UnderWay
    }

    fn finish(self: Box<Self>, end: End<'_>) -> Verdict {
        Verdict {
            failure: failure::of_exit(end.ending, self.0.last_words()),
            message: self.0.message(),
            ..Verdict::default()
        }
    }
}
