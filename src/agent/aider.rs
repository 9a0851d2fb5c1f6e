//! aider: its flags, and what its text says about the call.
//!
//! It has no records, and ends with 0 whatever happens. A report of tokens ends each answer; an error of its library
//! that stands behind the last of them is what the call ended with.

use super::cli::{Cli, PROVIDERS, Place, Tells};
use super::failure::{Complaint, of_exit};
use super::reader::{End, Reader, Stage, Tell, Verdict};
use super::text::Text;
use crate::model::{FailureKind, Usage};
use crate::process::Stream;

pub(super) const AIDER: Cli = Cli {
    program: "aider",
    args: |call| {
        let fixed = [
            "--yes-always",
            "--no-check-update",
            "--analytics-disable",
            "--no-show-model-warnings",
            "--no-gitignore",
            "--no-pretty",
            "--no-stream",
        ];
        let mut args = call.words(&fixed, "--model");
        // Elsewhere than in the worktree, where they would be committed.
        for (flag, path) in [
            ("--chat-history-file", call.scratch.join("aider.chat.md")),
            ("--input-history-file", call.scratch.join("aider.input")),
            ("--message-file", call.prompt.to_owned()),
        ] {
            args.extend([flag.to_owned(), path.to_string_lossy().into_owned()]);
        }
        args
    },
    later: None,
    resume: None,
    is_fed: false,
    passes: &[&["AIDER_*"], &PROVIDERS],
    sets: &[],
    apart: &[],
    home: &[Place {
        variable: "",
        inside: "",
        usual: ".aider",
        is_directory: true,
        settings: &[],
    }],
    tells: Tells::Money,
    litter: Some(".aider.tags.cache."),
    reader: || Box::new(Lines::default()),
};

/// What was read of its text.
#[derive(Debug, Default)]
struct Lines {
    text: Text,
    usage: Option<Usage>,
    turns: Option<u64>,
    /// The last error, unless an answer came after it.
    complaint: Option<Complaint>,
}

impl Reader for Lines {
    fn line(&mut self, stream: Stream, line: &str, tell: Tell<'_>) {
        if stream == Stream::Out {
            if let Some(answer) = tokens(line) {
                self.turns = Some(self.turns.unwrap_or(0).saturating_add(1));
                self.complaint = None;
                let known = self.usage.unwrap_or_default();
                self.usage = Some(super::tally::sum([known, answer].into_iter()));
            } else if is_error(line) {
                self.complaint = Some(Complaint::of(line));
            }
        }
        if let Some(progress) = self.text.line(stream, line) {
            tell(progress);
        }
    }

    fn stage(&self) -> Stage {
        Stage::UnderWay
    }

    fn finish(self: Box<Self>, end: End<'_>) -> Verdict {
        let told = self.complaint.map(|complaint| complaint.failure(end.at));
        // After a kill of ours an error may be its echo.
        let told = told.filter(|told| !end.ending.killed_by_us() || told.is_no_echo());
        let failure = told.or_else(|| of_exit(end.ending, self.text.last_words()));
        let is_known = failure
            .as_ref()
            .is_some_and(|it| it.kind != FailureKind::Other);
        Verdict {
            message: if is_known {
                String::new()
            } else {
                self.text.message()
            },
            failure,
            usage: self.usage,
            turns: self.turns,
            ..Verdict::default()
        }
    }
}

/// `litellm.AuthenticationError: ...`, `Model x has hit a token limit!`
fn is_error(line: &str) -> bool {
    let of_library = line.strip_prefix("litellm.").and_then(|rest| {
        let (name, _) = rest.split_once(':')?;
        (name.ends_with("Error") || name == "Timeout").then_some(())
    });
    of_library.is_some()
        || (line.starts_with("Model ") && line.ends_with(" has hit a token limit!"))
}

/// `Tokens: 4.1k sent, 3k cache hit, 240 received. Cost: $0.01 message, $0.02 session.`
fn tokens(line: &str) -> Option<Usage> {
    let rest = line.strip_prefix("Tokens: ")?;
    let (counts, cost) = rest.split_once(" received.")?;
    let mut usage = Usage::default();
    for part in format!("{counts} received").split(", ") {
        let (number, what) = part.split_once(' ')?;
        let number = number_of(number)?;
        match what {
            "sent" => usage.input = number,
            "received" => usage.output = number,
            "cache hit" => usage.cache_read = number,
            "cache write" => usage.cache_write = number,
            _ => {}
        }
    }
    usage.input = usage
        .input
        .saturating_sub(usage.cache_read.saturating_add(usage.cache_write));
    let cost = cost.split_once('$').and_then(|(_, rest)| {
        let (number, _) = rest.split_once(" message")?;
        number.parse::<f64>().ok()
    });
    usage.micro_usd = super::tally::micros(cost.unwrap_or(0.0));
    Some(usage)
}

/// `240`, `1,234`, `4.1k`, `2M`.
fn number_of(text: &str) -> Option<u64> {
    let text = text.replace(',', "");
    let (digits, times) = match text.strip_suffix(['k', 'M']) {
        Some(digits) if text.ends_with('k') => (digits, 1e3),
        Some(digits) => (digits, 1e6),
        None => (text.as_str(), 1.0),
    };
    let number = digits.parse::<f64>().ok()? * times;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the conversion saturates"
    )]
    Some(number.round() as u64)
}
