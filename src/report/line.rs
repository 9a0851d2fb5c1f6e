//! The run log: one line for people about one record.
//!
//! Never more than one line a record, and never anything that is not in it.

use super::code::codes_text;
use super::merge_line;
use super::money;
use super::text::{branch, clock, count, elapsed, reason, setup_said, shown};
use super::words::{contained, retry, unblock};
use crate::model::{
    AgentChoice, Ending, Event, Evidence, FailureKind, InfraKind, IterationReport, Oid, Record,
    SkipReason, Slug, Stamp, StopLevel,
};
use jiff::tz::TimeZone;

/// Columns for what an agent says in passing.
pub(super) const NOTE_COLUMNS: usize = 80;
/// Columns for what a person must read to act.
pub(super) const REASON_COLUMNS: usize = 400;
/// Columns for the names of features.
const SLUG_COLUMNS: usize = 14;

/// One line for the run log (`run.log` and stderr) about one record, without a line end; `None` when
/// people need not hear of it. `at` is what the wall clock read, shown in `tz`; lines about the run have `*` for a
/// feature.
#[must_use]
pub fn line(record: &Record, at: Stamp, tz: &TimeZone) -> Option<String> {
    let (slug, text) = match &record.event {
        Event::RunStarted { .. } => (None, run_started(record, at, tz)?),
        Event::ClockSet { wall } => (None, clock_set(*wall, tz)),
        event => match slug(event) {
            Some(slug) => (Some(slug), feature_text(event, slug)?),
            None => (None, run_text(event)?),
        },
    };
    let time = clock(at, tz, "%H:%M:%S");
    let name = slug.map_or("*", Slug::as_str);
    Some(format!("{time}  {name:<SLUG_COLUMNS$} {text}"))
}

/// Whether the line about an event says only what a live picture shows as well: that something goes its usual way.
#[must_use]
pub fn is_passing(event: &Event) -> bool {
    match event {
        Event::Started { .. }
        | Event::IterationStarted { .. }
        | Event::Claimed { .. }
        | Event::AttemptStarted { .. }
        | Event::Gated { red: None, .. }
        | Event::Split { .. }
        | Event::Deferred { .. }
        | Event::GaveWay { .. }
        | Event::RightOfWayEnded { .. }
        | Event::Published { .. } => true,
        Event::IterationEnded { report, .. } => {
            report.failure.is_none() && matches!(report.ending, Ending::Exited { code: 0 })
        }
        Event::Verified { how, .. } => !matches!(how, Evidence::Flaky { .. }),
        _ => false,
    }
}

fn slug(event: &Event) -> Option<&Slug> {
    match event {
        Event::FoundDone { slug }
        | Event::Requeued { slug }
        | Event::Abandoned { slug }
        | Event::Started { slug, .. }
        | Event::Prepared { slug, .. }
        | Event::PrepareFailed { slug, .. }
        | Event::IterationStarted { slug, .. }
        | Event::IterationEnded { slug, .. }
        | Event::IterationLost { slug, .. }
        | Event::Claimed { slug, .. }
        | Event::Blocked { slug, .. }
        | Event::Unblocked { slug, .. }
        | Event::Tripped { slug, .. }
        | Event::Escalated { slug, .. }
        | Event::Failed { slug, .. }
        | Event::Undone { slug, .. }
        | Event::Retried { slug }
        | Event::Skipped { slug, .. }
        | Event::Approved { slug, .. }
        | Event::Clashed { slug, .. }
        | Event::Deferred { slug, .. }
        | Event::GaveWay { slug, .. }
        | Event::RightOfWayEnded { slug }
        | Event::Rejected { slug, .. }
        | Event::Held { slug, .. }
        | Event::MemberFailed { slug, .. }
        | Event::Merged { slug, .. }
        | Event::Unlanded { slug }
        | Event::Parked { slug, .. } => Some(slug),
        _ => None,
    }
}

fn run_started(record: &Record, at: Stamp, tz: &TimeZone) -> Option<String> {
    let Event::RunStarted {
        run,
        settings,
        target,
        ground,
    } = &record.event
    else {
        return None;
    };
    let until = settings.until.as_ref().map(|until| {
        let then = at.plus_ms(until.at.since_ms(record.at));
        let then = clock(then, tz, "%F %H:%M");
        format!("; nothing is started that cannot land by {then}")
    });
    Some(format!(
        "run {} started on {}: {} at once, onto {} at {}; {}{}",
        shown(&run.0, 40),
        clock(at, tz, "%F"),
        settings.parallel,
        branch(target),
        ground.tip.short(),
        contained(&settings.containment),
        until.unwrap_or_default(),
    ))
}

fn clock_set(wall: Stamp, tz: &TimeZone) -> String {
    format!(
        "the clock was set: it is {}",
        clock(wall, tz, "%F %H:%M:%S")
    )
}

fn run_text(event: &Event) -> Option<String> {
    Some(match event {
        Event::BacklogChanged { upserted, removed } => match (upserted.len(), removed.len()) {
            (0, 0) => return None,
            (new, 0) => format!("backlog: {} new or changed", count(new)),
            (0, gone) => format!("backlog: {} gone", count(gone)),
            (new, gone) => format!(
                "backlog: {} new or changed, {} gone",
                count(new),
                count(gone)
            ),
        },
        Event::HaltSeen { reason } => {
            let reason = said(reason, "no reason given", REASON_COLUMNS);
            format!("halted: {reason}; nothing new is started (remove the HALT file to go on)")
        }
        Event::HaltCleared => "resumed: the HALT file is gone".to_owned(),
        Event::Strained { why: Some(what) } => format!(
            "short of {}; nothing new starts while anything runs",
            shown(what, REASON_COLUMNS)
        ),
        Event::Strained { why: None } => "no longer short of anything".to_owned(),
        Event::Noticed { what } => money::finding(what),
        Event::Slept { slept_ms } => format!("the machine slept for {}", elapsed(*slept_ms)),
        Event::TimeUp => {
            "the run's time is up: nothing new is started, what is done lands".to_owned()
        }
        Event::StopRequested {
            level: StopLevel::Drain,
        } => "stopping: nothing new is started, running agents may finish".to_owned(),
        Event::StopRequested { .. } => "stopping now: running agents are ended".to_owned(),
        Event::RunEnded { code, codes } if codes.is_empty() => {
            format!("run ended: {}", codes_text(&[*code]))
        }
        Event::RunEnded { codes, .. } => format!("run ended: {}", codes_text(codes)),
        event => return merge_line::queue(event),
    })
}

fn feature_text(event: &Event, slug: &Slug) -> Option<String> {
    Some(match event {
        Event::FoundDone { .. } => "found its .done marker; counts as merged".to_owned(),
        Event::Requeued { .. } => "back in the queue: its .done marker is gone".to_owned(),
        Event::Abandoned { .. } => {
            "begins anew: its branch is gone, or without what was done".to_owned()
        }
        Event::Started { worktree, .. } => format!("started in {worktree}"),
        Event::PrepareFailed { kind, why, .. } => {
            let whose = match kind {
                InfraKind::Setup => "setup failed",
                InfraKind::System => "worktree could not be made ready",
            };
            format!("{whose}: {}", shown(setup_said(why), REASON_COLUMNS))
        }
        Event::IterationStarted {
            iteration, rung, ..
        } => began(*iteration, rung.as_ref()),
        Event::IterationEnded {
            iteration, report, ..
        } => ended(*iteration, report),
        Event::IterationLost { iteration, .. } => {
            format!("#{iteration} was cut off with its run; what it left is kept")
        }
        Event::Claimed { summary, .. } => format!(
            "claims to be done: {}",
            said(summary, "(no summary)", NOTE_COLUMNS)
        ),
        Event::Blocked { question, .. } => format!(
            "blocked: {} (answer: {})",
            said(question, "(no question)", REASON_COLUMNS),
            unblock(slug)
        ),
        Event::Unblocked { answer, .. } => {
            format!("answered: {}", said(answer, "(nothing)", NOTE_COLUMNS))
        }
        Event::Tripped { breaker, why, .. } => format!(
            "breaker {} tripped: {} (again: {})",
            shown(breaker, 20),
            reason(why, REASON_COLUMNS),
            retry(slug)
        ),
        Event::Escalated {
            breaker, why, to, ..
        } => format!(
            "breaker {} opened: {}; on with {}",
            shown(breaker, 20),
            reason(why, REASON_COLUMNS),
            shown(&to.words(), 60)
        ),
        Event::Failed {
            why: SkipReason::LeftOut { text, .. },
            ..
        } => format!("{} (again: {})", left_out(text), retry(slug)),
        Event::Failed { why, .. } => {
            format!("given up: {} (again: {})", given_up(why), retry(slug))
        }
        Event::Undone {
            commit,
            requeue,
            why,
            ..
        } => undone(commit.as_ref(), *requeue, why),
        Event::Retried { .. } => "back in the queue, with fresh breakers".to_owned(),
        Event::Skipped { why, .. } => with_reason("to be left out", why),
        Event::Approved { tip, .. } => format!("approved as it stands at {}", tip.short()),
        event => return merge_line::member(event, slug),
    })
}

fn undone(commit: Option<&Oid>, requeue: bool, why: &str) -> String {
    let how = commit.map_or(String::new(), |commit| format!(" by {}", commit.short()));
    let again = if requeue { ", to be done again" } else { "" };
    with_reason(&format!("taken back{how}{again}"), why)
}

/// `left out: not tonight`.
fn left_out(why: &str) -> String {
    with_reason("left out", why)
}

pub(super) fn with_reason(what: &str, why: &str) -> String {
    match shown(why, NOTE_COLUMNS) {
        empty if empty.is_empty() => what.to_owned(),
        why => format!("{what}: {why}"),
    }
}

fn began(iteration: u32, rung: Option<&AgentChoice>) -> String {
    match rung {
        Some(rung) => format!("#{iteration} started on {}", shown(&rung.words(), 60)),
        None => format!("#{iteration} started"),
    }
}

/// `#3 ended after 4m12s: moved the parser …`
fn ended(iteration: u32, report: &IterationReport) -> String {
    let took = elapsed(report.elapsed_ms);
    let how = match &report.ending {
        Ending::Exited { code: 0 } => format!("ended after {took}"),
        Ending::Exited { code } => format!("ended with exit code {code} after {took}"),
        Ending::Signalled { signal } => format!("was killed by signal {signal} after {took}"),
        Ending::TimedOut => format!("was stopped after {took}, its time was up"),
        Ending::IdleTimedOut => format!("was stopped after {took}, it had gone silent"),
        Ending::OverLimit { what } => format!(
            "was stopped after {took}, it used more than it may ({})",
            shown(what, 80)
        ),
        Ending::Stopped => format!("was stopped after {took}"),
        Ending::NotStarted { why } => {
            return format!(
                "#{iteration} could not be started: {}",
                shown(why, REASON_COLUMNS)
            );
        }
    };
    if let Some(failure) = &report.failure {
        let kind = match failure.kind {
            FailureKind::Limit => "limit: ",
            FailureKind::Auth => "login: ",
            FailureKind::Billing => "billing: ",
            FailureKind::Overloaded => "overloaded: ",
            FailureKind::Network => "network: ",
            FailureKind::Context => "context: ",
            FailureKind::Refused => "refused: ",
            FailureKind::Crashed => "crashed: ",
            FailureKind::Machine | FailureKind::Other => "",
        };
        let text = reason(&failure.text, REASON_COLUMNS);
        return format!("#{iteration} {how}: {kind}{text}");
    }
    let first = |text: &str| {
        text.lines()
            .map(str::trim)
            .find(|l| !l.is_empty())
            .map(str::to_owned)
    };
    match first(&report.note).or_else(|| first(&report.message)) {
        Some(words) => format!("#{iteration} {how}: {}", shown(&words, NOTE_COLUMNS)),
        None => format!("#{iteration} {how}, without a word"),
    }
}

fn given_up(why: &SkipReason) -> String {
    match why {
        SkipReason::IterationsUsedUp { cap } => format!("its {cap} iterations are used up"),
        SkipReason::BudgetUsedUp { spending } => {
            format!("its budget is used up: {}", money::spending(spending))
        }
        SkipReason::Setup { text } => {
            let last = shown(setup_said(text), REASON_COLUMNS);
            format!("its worktree could not be made ready: {last}")
        }
        SkipReason::Spawn { text } => {
            let last = shown(setup_said(text), REASON_COLUMNS);
            format!("the agent could not be run: {last}")
        }
        SkipReason::SpecRemoved => "its spec was removed".to_owned(),
        SkipReason::Undone => "a person took it back".to_owned(),
        SkipReason::LeftOut { text, .. } => left_out(text),
    }
}

pub(super) fn said(text: &str, instead: &str, columns: usize) -> String {
    let text = shown(text, columns);
    if text.is_empty() {
        instead.to_owned()
    } else {
        text
    }
}
