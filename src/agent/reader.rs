//! How the output of an agent is read, whatever its kind: split into records and lines, and summed up in the end.
//!
//! A kind's own file says what its records mean. Everything is tolerated: records over many lines, arrays of them, cut
//! lines, plain text in between. This file must never look for words in what an agent or its tools wrote.

use super::call::Progress;
use super::failure::{self, Complaint};
use super::text::{STATUS_CHARS, Text, cap, clip, visible};
use crate::model::{AgentFailure, Ending, FailureKind, Quota, Usage};
use crate::process::{Secrets, Stream};
use jiff::ZonedDateTime;
use serde_json::Value;

/// Longer documents are not waited for.
const DOCUMENT_BYTES: usize = 16 << 20;

/// Takes glimpses of a running call.
pub(super) type Tell<'a> = &'a mut dyn FnMut(Progress);

/// How a call ended, and when, on the clock that the agent went by.
#[derive(Clone, Copy, Debug)]
pub(super) struct End<'a> {
    pub(super) ending: &'a Ending,
    pub(super) at: &'a ZonedDateTime,
}

/// Reads the output of one call.
pub(super) trait Reader {
    /// Takes one line of output.
    fn line(&mut self, stream: Stream, line: &str, tell: Tell<'_>);

    /// How far it has come.
    fn stage(&self) -> Stage;

    /// What it all came to, once the process has ended.
    fn finish(self: Box<Self>, end: End<'_>) -> Verdict;
}

/// How far a call has come, by its records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stage {
    /// It goes on, or nobody can tell.
    #[default]
    UnderWay,
    /// Its result has been told, and it has said that something of its own still runs in the background.
    InBackground,
    /// Its result has been told: there is nothing more to come.
    Over,
}

/// What the output of a call came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) message: String,
    pub(super) failure: Option<AgentFailure>,
    pub(super) usage: Option<Usage>,
    /// The model that was at work, where the records name it.
    pub(super) model: Option<String>,
    pub(super) turns: Option<u64>,
    pub(super) stop_reason: Option<String>,
    pub(super) session: Option<String>,
    pub(super) quota: Vec<Quota>,
    pub(super) oddities: Vec<String>,
}

impl Verdict {
    /// Takes out what came through in an escaped form.
    pub(super) fn hide(&mut self, secrets: &Secrets) {
        let failure = self.failure.as_mut().map(|failure| &mut failure.text);
        let texts = failure.into_iter().chain(&mut self.oddities);
        for text in texts.chain([&mut self.message]) {
            *text = secrets.hide(text).into_owned();
        }
    }
}

/// What the records of one kind of agent mean.
pub(super) trait Protocol: Default {
    /// What a run in which nothing failed ends with, in words; `None` when there is no such record.
    const RESULT: Option<&'static str>;

    /// Takes one record.
    fn record(&mut self, record: &Value, heard: &mut Heard, tell: Tell<'_>);

    /// A line that was no record. Says whether it is this CLI's own word that something went wrong, and which part of
    /// the line that is. Only asked of calls that failed.
    fn complaint(stream: Stream, line: &str) -> Option<&str> {
        (stream == Stream::Err).then_some(line)
    }
}

/// What was heard of a call, in terms that all kinds share.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// The model's last words.
    pub(super) said: String,
    /// The CLI's own error, unless something came after it that makes it good.
    pub(super) complaint: Option<Complaint>,
    /// What it waits for, by its own word. Counts only if it waits for ever.
    pub(super) waiting: Option<Complaint>,
    /// Whether the record that ends a good run has come.
    pub(super) has_result: bool,
    pub(super) stage: Stage,
    pub(super) usage: Option<Usage>,
    pub(super) model: Option<String>,
    pub(super) turns: Option<u64>,
    pub(super) stop_reason: Option<String>,
    pub(super) session: Option<String>,
    pub(super) oddities: Vec<String>,
}

impl Heard {
    /// A tool that the agent was not allowed to use: told once.
    pub(super) fn denied(&mut self, tool: &str) {
        let text = denied(tool);
        if !self.oddities.contains(&text) {
            self.oddities.push(text);
        }
    }

    /// Counts a turn of the model.
    pub(super) fn turn(&mut self) {
        self.turns = Some(self.turns.unwrap_or(0).saturating_add(1));
    }
}

/// A success with denied tools did less than it meant to.
pub(super) fn denied(tools: &str) -> String {
    let tools = clip(&visible(tools), STATUS_CHARS);
    format!("the agent was not permitted to use: {tools}; look at `args` in its profile")
}

/// Reads a kind of agent that speaks in records.
#[derive(Debug)]
pub(super) struct Records<P> {
    protocol: P,
    heard: Heard,
    out: Splitter,
    err: Splitter,
    text: Text,
    has_records: bool,
}

impl<P: Protocol> Records<P> {
    pub(super) fn new() -> Self {
        Self {
            protocol: P::default(),
            heard: Heard::default(),
            out: Splitter::default(),
            err: Splitter::default(),
            text: Text::new(),
            has_records: false,
        }
    }

    /// A reader that knows nothing but records.
    pub(super) fn boxed() -> Box<dyn Reader>
    where
        P: 'static,
    {
        Box::new(Self::new())
    }

    /// The failure of a call that did not say so in its records.
    fn silent_failure(&self, end: End<'_>) -> Option<AgentFailure> {
        let exit = failure::of_exit(end.ending, self.text.last_words());
        let lines = self.text.last_lines();
        let mut complaints = lines.filter_map(|(stream, line)| P::complaint(stream, line));
        match exit {
            // A CLI's own words are looked at only now that the call has failed.
            Some(exit) => complaints
                .map(|text| Complaint::of(text).failure(end.at))
                .find(|failure| failure.kind != FailureKind::Other)
                .or(Some(exit)),
            None if end.ending.killed_by_us() => None,
            None => {
                let lacks_result = self.has_records && !self.heard.has_result;
                let what = P::RESULT.filter(|_| lacks_result)?;
                let known = complaints.find_map(|text| {
                    let failure = Complaint::of(text).failure(end.at);
                    (failure.kind != FailureKind::Other).then_some(failure)
                });
                let text = format!("its records end without {what}");
                known.or_else(|| Some(AgentFailure::new(FailureKind::Other, text)))
            }
        }
    }

    fn failure(&self, end: End<'_>) -> Option<AgentFailure> {
        let killed = end.ending.killed_by_us();
        match &self.heard.complaint {
            Some(complaint) => {
                let failure = complaint.failure(end.at);
                // After a kill of ours an error may be the kill's echo.
                (!killed || failure.is_no_echo()).then_some(failure)
            }
            None if killed => {
                let waited = matches!(end.ending, Ending::TimedOut | Ending::IdleTimedOut);
                let waiting = self.heard.waiting.as_ref().filter(|_| waited)?;
                Some(waiting.failure(end.at)).filter(AgentFailure::is_no_fault_of_its_own)
            }
            None => self.silent_failure(end),
        }
    }
}

impl AgentFailure {
    /// Whether a kill cannot have caused it.
    pub(super) fn is_no_echo(&self) -> bool {
        self.kind.is_the_accounts() || self.kind == FailureKind::Overloaded
    }

    fn is_no_fault_of_its_own(&self) -> bool {
        self.kind.is_the_accounts() || self.kind.passes()
    }
}

impl<P: Protocol> Reader for Records<P> {
    fn line(&mut self, stream: Stream, line: &str, tell: Tell<'_>) {
        let splitter = match stream {
            Stream::Out => &mut self.out,
            Stream::Err => &mut self.err,
        };
        match splitter.take(line) {
            Found::Records(records) => {
                self.has_records = true;
                for record in &records {
                    if let Some(model) = str_at(record, "/model") {
                        self.heard.model = Some(cap(model));
                    }
                    self.protocol.record(record, &mut self.heard, tell);
                }
            }
            Found::Part => {}
            Found::Text(lines) => {
                for line in lines.split('\n') {
                    if let Some(progress) = self.text.line(stream, line) {
                        tell(progress);
                    }
                }
            }
        }
    }

    fn stage(&self) -> Stage {
        self.heard.stage
    }

    fn finish(mut self: Box<Self>, end: End<'_>) -> Verdict {
        for (stream, splitter) in [(Stream::Out, &mut self.out), (Stream::Err, &mut self.err)] {
            for line in splitter.rest().split('\n').filter(|line| !line.is_empty()) {
                self.text.line(stream, line);
            }
        }
        let failure = self.failure(end);
        let heard = self.heard;
        let is_known = failure
            .as_ref()
            .is_some_and(|it| it.kind != FailureKind::Other);
        let message = if self.has_records || !heard.said.is_empty() {
            heard.said
        } else if is_known {
            // What a CLI says in place of an answer is not the agent's own text.
            String::new()
        } else {
            self.text.message()
        };
        Verdict {
            message: cap(&visible(message.trim())),
            failure,
            usage: heard.usage,
            model: heard.model,
            turns: heard.turns,
            stop_reason: heard.stop_reason,
            session: heard.session,
            quota: Vec::new(),
            oddities: heard.oddities,
        }
    }
}

/// What a line turned out to be.
enum Found {
    Records(Vec<Value>),
    /// A line of a document that is not whole yet.
    Part,
    /// No record: one line, or more once it is clear that they are no document.
    Text(String),
}

/// Finds records in lines: one a line, an array of them, or one document printed over many lines.
#[derive(Debug, Default)]
struct Splitter {
    /// Lines of a document that has begun.
    open: Option<String>,
}

impl Splitter {
    fn take(&mut self, line: &str) -> Found {
        let bare = line.trim();
        if let Some(open) = &mut self.open {
            open.push('\n');
            open.push_str(line);
            let is_last = line.starts_with(['}', ']']);
            if !is_last && open.len() < DOCUMENT_BYTES {
                return Found::Part;
            }
            let text = self.open.take().unwrap_or_default();
            return match parse(&text) {
                Some(records) => Found::Records(records),
                None => Found::Text(text),
            };
        }
        if !bare.starts_with(['{', '[']) {
            return Found::Text(line.to_owned());
        }
        if let Some(records) = parse(bare) {
            return Found::Records(records);
        }
        // Pretty-printed documents begin with a bracket alone.
        if line.trim_end() == "{" || line.trim_end() == "[" {
            self.open = Some(line.to_owned());
            return Found::Part;
        }
        Found::Text(line.to_owned())
    }

    /// What was begun and never ended.
    fn rest(&mut self) -> String {
        self.open.take().unwrap_or_default()
    }
}

/// Only objects are records.
fn parse(text: &str) -> Option<Vec<Value>> {
    match serde_json::from_str(text).ok()? {
        record @ Value::Object(_) => Some(vec![record]),
        Value::Array(records) if records.iter().all(Value::is_object) && !records.is_empty() => {
            Some(records)
        }
        _ => None,
    }
}

/// The text at a pointer of a record.
pub(super) fn str_at<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str)
}

/// The count at a pointer of a record; 0 without one.
pub(super) fn count_at(value: &Value, pointer: &str) -> u64 {
    value.pointer(pointer).and_then(Value::as_u64).unwrap_or(0)
}
