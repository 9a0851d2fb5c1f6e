//! Agents of kind `command`: any program that reads a prompt on stdin. Its output is plain text.
//!
//! Knows nothing about records or accounts; only the exit status tells whether such a call failed.

use super::text::{Tail, last_line, visible};
use super::{Profile, call::Progress};
use crate::model::{AgentFailure, Ending, FailureKind};
use crate::process::Stream;

/// The most that is kept of a final message.
pub(super) const MESSAGE_BYTES: usize = 64 * 1024;
/// The most that is kept of a failure's text.
pub(super) const FAILURE_CHARS: usize = 300;
/// The most that is shown of what the agent says.
pub(super) const STATUS_CHARS: usize = 200;

/// Arguments after the program.
pub(super) fn args(profile: &Profile) -> Vec<String> {
    let own = profile.command.iter().skip(1);
    own.chain(&profile.args).cloned().collect()
}

/// What was read of the output of a text-speaking agent.
#[derive(Debug)]
pub(super) struct Text {
    out: Tail,
    last_out: String,
    last_err: String,
}

impl Text {
    pub(super) fn new() -> Self {
        Self {
            out: Tail::new(MESSAGE_BYTES),
            last_out: String::new(),
            last_err: String::new(),
        }
    }

    /// Takes one line; gives the words for the status line, if there are any.
    pub(super) fn line(&mut self, stream: Stream, line: &str) -> Option<Progress> {
        if stream == Stream::Out {
            self.out.push(line);
        }
        let words = last_line(line, STATUS_CHARS);
        if words.is_empty() {
            return None;
        }
        let last = last_line(line, FAILURE_CHARS);
        match stream {
            Stream::Out => self.last_out = last,
            Stream::Err => self.last_err = last,
        }
        Some(Progress::Line(words))
    }

    /// The last line of stdout that is not blank.
    pub(super) fn last_out(&self) -> &str {
        &self.last_out
    }

    /// The last line that is not blank: of stderr if it has one, else of stdout.
    pub(super) fn last_words(&self) -> &str {
        if self.last_err.is_empty() {
            &self.last_out
        } else {
            &self.last_err
        }
    }

    /// The final message: the end of stdout.
    pub(super) fn message(self) -> String {
        cap(&visible(self.out.finish().trim()))
    }
}

/// The end of `text`, at most 64 KiB.
pub(super) fn cap(text: &str) -> String {
    let from = text.ceil_char_boundary(text.len().saturating_sub(MESSAGE_BYTES));
    text.get(from..).unwrap_or_default().to_owned()
}

/// A failure, when the process ended by itself and not well; `words` say why, if anything does.
pub(super) fn failure(ending: &Ending, words: &str) -> Option<AgentFailure> {
    let how = match ending {
        Ending::Exited { code: 0 } => return None,
        Ending::Exited { code } => format!("exit {code}"),
        Ending::Signalled { signal } => format!("ended by signal {signal}"),
        Ending::OverLimit { what } => format!("used more than it may: {what}"),
        Ending::TimedOut | Ending::IdleTimedOut | Ending::Stopped | Ending::NotStarted { .. } => {
            return None;
        }
    };
    let text = if words.is_empty() {
        how
    } else {
        format!("{how}: {words}")
    };
    Some(AgentFailure {
        kind: FailureKind::Other,
        text: super::text::clip(&text, FAILURE_CHARS),
    })
}
