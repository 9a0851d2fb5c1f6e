//! What harness writes into a feature's log. Never counted as the agent's progress.

use crate::model::{
    Ending, FailureKind, IterationReport, MergeVerdict, Oid, ParkReason, Red, Slug,
};

/// What stands behind `iteration 3` in the log when it did not simply end.
pub(super) fn ending_words(report: &IterationReport) -> String {
    match &report.ending {
        Ending::Exited { code: 0 } => String::new(),
        Ending::Exited { code } => format!(" (exit {code})"),
        Ending::Signalled { signal } => format!(" (killed by signal {signal})"),
        Ending::TimedOut => " (stopped: its time was up)".to_owned(),
        Ending::IdleTimedOut => " (stopped: no output for too long)".to_owned(),
        Ending::OverLimit { what } => format!(" (stopped: it used more than it may: {what})"),
        Ending::Stopped => " (stopped)".to_owned(),
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
        (_, Some(failure)) if failure.kind == FailureKind::Machine => {
            text.push_str(&format!(
                "\n({}; this iteration does not count)",
                failure.text
            ));
        }
        (_, Some(failure)) => text.push_str(&format!("\n(the agent reported: {})", failure.text)),
        _ => {}
    }
    if let Some(what) = &report.tampered {
        text.push_str(&format!(
            "\nharness found that {what}. Change files only in the directory that you are started in, \
             and leave the repository's settings, hooks and the refs of others alone."
        ));
    }
    if let (Some(_), Some(why)) = (&report.done, &report.refused) {
        text.push_str(&format!("\nThe done claim was not accepted: {why}."));
    }
    match &report.merge {
        Some(MergeVerdict::Resolved) => {
            text.push_str("\n(the merge with what has landed is complete)");
        }
        Some(MergeVerdict::Unresolved { findings }) => {
            text.push_str("\nThe merge with what has landed is not complete:");
            for finding in findings {
                text.push_str(&format!("\n- {finding}"));
            }
        }
        None => {}
    }
    text
}

/// Why a done feature was not merged.
pub(super) fn park_text(slug: &Slug, why: &ParkReason) -> String {
    match why {
        ParkReason::Conflict { paths } => format!(
            "The feature is done, but its agent did not get it together with what has landed; conflicts in: {}.\n\
             To finish it by hand: merge the target into the branch harness/{slug}, then `harness retry {slug}`.",
            paths.join(", ")
        ),
        ParkReason::Red { red } => format!(
            "The feature is done, but merged with what has landed `{}` fails, and its agent did not get it to \
             pass.\nIts output ended:\n\n{}",
            red.command, red.tail
        ),
        ParkReason::BaseBroken { red } => format!(
            "The feature is done, but `{}` fails without it already, on what it would be merged onto.",
            red.command
        ),
        ParkReason::Dependency { slug } => {
            format!("The feature is done, but {slug}, which it depends on, is not merged any more.")
        }
        ParkReason::Infra { text } => format!("Merging kept failing: {text}"),
        ParkReason::Review { tip } => format!(
            "The feature is done, and a person must see it before it lands ({}): `harness approve {slug}` lets it \
             land.",
            tip.short()
        ),
    }
}

/// The conflict that the next iteration is to resolve.
pub(super) fn conflict_text(onto: &Oid, paths: &[String]) -> String {
    format!(
        "The done claim was not accepted yet: merging this branch with what has landed ({}) conflicts in: {}.\n\
         The merge is laid into the worktree; resolve it, keeping what both sides intend, and claim done again.",
        onto.short(),
        paths.join(", ")
    )
}

/// The gate's refusal; with `merged`, of the merge with what has landed.
pub(super) fn red_text(red: &Red, merged: Option<&Oid>) -> String {
    let what = match merged {
        Some(onto) => format!(
            "on the merge of this branch with what has landed meanwhile ({}); that merge is now part of this branch",
            onto.short()
        ),
        None => "on this branch".to_owned(),
    };
    format!(
        "The done claim was not accepted: `{}` failed {what}.\nIts output ended:\n\n{}",
        red.command, red.tail
    )
}
