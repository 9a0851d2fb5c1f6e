//! What harness writes into a feature's log. Never counted as the agent's progress.

use crate::model::{Ending, IterationReport, ParkReason};

/// What stands behind `iteration 3` in the log when it did not simply end.
pub(super) fn ending_words(report: &IterationReport) -> String {
    match &report.ending {
        Ending::Exited { code: 0 } => String::new(),
        Ending::Exited { code } => format!(" (exit {code})"),
        Ending::Signalled { signal } => format!(" (killed by signal {signal})"),
        Ending::TimedOut => " (stopped: its time was up)".to_owned(),
        Ending::IdleTimedOut => " (stopped: no output for too long)".to_owned(),
        Ending::Stopped => " (stopped with the run)".to_owned(),
        Ending::NotStarted { .. } => " (not started)".to_owned(),
    }
}

/// The iteration's entry in the log: the note, or the final message where there is no note.
pub(super) fn log_text(report: &IterationReport) -> String {
    let own = if report.note.trim().is_empty() {
        report.message.trim()
    } else {
        report.note.trim()
    };
    let mut text = if own.is_empty() {
        "(no note)".to_owned()
    } else {
        own.to_owned()
    };
    match (&report.ending, &report.failure) {
        (Ending::NotStarted { why }, _) => text = format!("The agent could not be started: {why}"),
        (_, Some(failure)) => text.push_str(&format!("\n(the agent reported: {})", failure.text)),
        _ => {}
    }
    text
}

/// Why a done feature was not merged.
pub(super) fn park_text(why: &ParkReason) -> String {
    match why {
        ParkReason::Conflict { paths } => format!(
            "The feature is done, but it conflicts with the target in: {}.",
            paths.join(", ")
        ),
        ParkReason::Checkout { text, commit } => format!(
            "The feature is done and verified as {}, but the target's checkout is in the way: {text}",
            commit.short()
        ),
        ParkReason::Infra { text } => format!("Merging kept failing: {text}"),
    }
}
