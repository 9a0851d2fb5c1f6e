//! What every page says about a feature in the same words: its stage, why it waits, what a person can
//! do about it, and how the whole stands.
//!
//! Never lays anything out.

use super::line::{REASON_COLUMNS, with_reason};
use super::text::{about_time, count, elapsed, escaped, grouped, names, reason, shell_word, shown};
use crate::core::{AccountView, Because, FeatureView, Forecast, RunView, Stage, View, Wait};
use crate::model::{Containment, FailureKind, ProcessTier, SandboxTier, Slug, Stamp};
use std::fmt::Write as _;

/// Stages in the order in which counts are told.
const STAGES: [Stage; 15] = [
    Stage::Merged,
    Stage::Working,
    Stage::Between,
    Stage::Preparing,
    Stage::Gating,
    Stage::Landing,
    Stage::Queued,
    Stage::Blocked,
    Stage::Tripped,
    Stage::Parked,
    Stage::Failed,
    Stage::Review,
    Stage::Waiting,
    Stage::Skipped,
    Stage::LeftOut,
];

/// Instead of the commit that brought a feature, where none did.
pub(super) const NOTHING_TO_MERGE: &str = "nothing to merge: it changes nothing";

/// The stage's name, the same as in JSON.
pub(super) fn stage_name(stage: Stage) -> &'static str {
    match stage {
        Stage::Waiting => "waiting",
        Stage::Skipped => "skipped",
        Stage::Preparing => "preparing",
        Stage::Working => "working",
        Stage::Between => "between",
        Stage::Queued => "queued",
        Stage::Gating => "gating",
        Stage::Landing => "landing",
        Stage::Merged => "merged",
        Stage::Blocked => "blocked",
        Stage::Tripped => "tripped",
        Stage::Parked => "parked",
        Stage::Failed => "failed",
        Stage::Review => "review",
        Stage::LeftOut => "left_out",
    }
}

/// The stage as it is to be shown: without a living run nothing is being worked on. What is only queued
/// stays so.
pub(super) fn stage_shown(stage: Stage, live: bool) -> &'static str {
    match stage {
        _ if is_interrupted(stage, live) => "interrupted",
        Stage::LeftOut => "left out",
        _ => stage_name(stage),
    }
}

/// Whether it was being worked on when its run was cut off.
pub(super) fn is_interrupted(stage: Stage, live: bool) -> bool {
    !live && is_active(stage) && stage != Stage::Queued
}

/// Whether something is being done for it, or about to be.
pub(super) fn is_active(stage: Stage) -> bool {
    matches!(
        stage,
        Stage::Preparing
            | Stage::Working
            | Stage::Between
            | Stage::Queued
            | Stage::Gating
            | Stage::Landing
    )
}

/// The command with which a person moves it on; `None` when it needs nobody.
pub(super) fn command(feature: &FeatureView) -> Option<String> {
    match feature.stage {
        Stage::Blocked => Some(unblock(&feature.slug)),
        Stage::Tripped | Stage::Parked | Stage::Failed => Some(retry(&feature.slug)),
        Stage::Review => Some(approve(&feature.slug)),
        _ => None,
    }
}

/// The command that answers a blocked feature.
pub(super) fn unblock(slug: &Slug) -> String {
    format!("harness unblock {slug} -m \"…\"")
}

/// The command that puts a feature back in the queue.
pub(super) fn retry(slug: &Slug) -> String {
    format!("harness retry {slug}")
}

/// The command that shows what a feature changes of its target.
pub(super) fn what_it_changes(target: &str, slug: &Slug) -> String {
    let target = target.strip_prefix("refs/heads/").unwrap_or(target);
    format!("git diff {}...harness/{slug}", shell_word(&escaped(target)))
}

/// The command that lets a feature land.
pub(super) fn approve(slug: &Slug) -> String {
    format!("harness approve {slug}")
}

/// Why it is not being worked on, for one that waits or is skipped; not wholly escaped.
fn why_waiting(feature: &FeatureView, halted: bool, now: Stamp) -> String {
    if feature.unselected {
        return "not selected in this run".to_owned();
    }
    let mut parts: Vec<String> = feature
        .waits
        .iter()
        .map(|wait| wait_text(wait, now))
        .collect();
    if let Some(trouble) = &feature.detail {
        parts.push(format!("last try: {}", reason(trouble, REASON_COLUMNS)));
    }
    match (parts.is_empty(), halted) {
        (true, true) => "held back by HALT".to_owned(),
        (true, false) => "ready".to_owned(),
        (false, _) => parts.join("; "),
    }
}

pub(super) fn wait_text(wait: &Wait, now: Stamp) -> String {
    let all = |slugs: &[Slug]| names(slugs.iter().map(Slug::as_str));
    match wait {
        Wait::Dependencies(slugs) => format!("needs {}", all(slugs)),
        Wait::Hopeless(slugs) => {
            format!("needs {}, which will not merge without you", all(slugs))
        }
        Wait::After(slug) => format!("comes after {slug}"),
        Wait::Clash(slug) => format!("shares a path or lock with {slug}"),
        Wait::Time(at) => format!("again in {}", elapsed(at.since_ms(now))),
        Wait::Account(name, until) => account_text(name, *until, now),
        Wait::Budget => "the run's budget is used up".to_owned(),
        Wait::Deadline => "the run's time is up".to_owned(),
        Wait::Slot => "for a free slot".to_owned(),
        Wait::Stopped => "nothing new is started".to_owned(),
    }
}

fn account_text(name: &str, until: Option<Stamp>, now: Stamp) -> String {
    match until {
        Some(until) => format!(
            "the account {} can be used again in {}",
            shown(name, 40),
            elapsed(until.since_ms(now))
        ),
        None => format!("the account {} cannot be used", shown(name, 40)),
    }
}

/// What is the matter with an account, and whether a person must act.
pub(super) fn account_words(account: &AccountView, now: Stamp) -> (String, bool) {
    let name = shown(&account.name, 40);
    let at_once = account.at_once.unwrap_or(u32::MAX);
    if !account.closed {
        return (
            format!("the account {name} is being tried again, {at_once} at once"),
            false,
        );
    }
    let what = match account.kind {
        Some(FailureKind::Limit) => "its limit is reached",
        Some(FailureKind::Overloaded) => "its service is overloaded",
        Some(FailureKind::Network) => "its service cannot be reached",
        Some(FailureKind::Billing) => "it must be paid",
        _ => "it is not logged in",
    };
    let scope = account
        .scope
        .as_ref()
        .map(|scope| format!(" ({})", shown(scope, 40)));
    let when = match account.until {
        Some(until) => format!("; tried again in {}", elapsed(until.since_ms(now))),
        None => String::new(),
    };
    let said = reason(&account.text, 400);
    let words = format!(
        "the account {name}: {what}{}{when}: {said}",
        scope.unwrap_or_default()
    );
    (words, account.until.is_none())
}

/// Columns for [`about`] where nothing forces a line to be short: what a person must read to act is not
/// cut where the others are.
pub(super) fn room(feature: &FeatureView, others: usize) -> usize {
    if command(feature).is_some() {
        others.max(REASON_COLUMNS)
    } else {
        others
    }
}

/// One line about it whatever its stage, escaped and at most `columns` wide; see [`room`].
pub(super) fn about(
    feature: &FeatureView,
    halted: bool,
    output: Option<&String>,
    now: Stamp,
    columns: usize,
) -> String {
    let text = match feature.stage {
        Stage::Waiting | Stage::Skipped => why_waiting(feature, halted, now),
        Stage::Merged if feature.empty => NOTHING_TO_MERGE.to_owned(),
        Stage::Merged => match &feature.commit {
            Some(commit) => format!("{} {}", commit.short(), feature.title),
            None => feature.title.clone(),
        },
        Stage::LeftOut => left_out_words(feature),
        _ if feature.skip.is_some() => "to be left out".to_owned(),
        _ => [feature.detail.as_ref(), output, Some(&feature.last_words)]
            .into_iter()
            .flatten()
            .find(|text| !text.trim().is_empty())
            .cloned()
            .unwrap_or_default(),
    };
    let text = match (handed_on(feature), text.is_empty()) {
        (None, _) => text,
        (Some(agent), true) => agent,
        (Some(agent), false) => format!("{agent}: {text}"),
    };
    match feature.stage {
        Stage::Tripped | Stage::Parked | Stage::Failed => reason(&text, columns),
        _ => shown(&text, columns),
    }
}

/// `by a person: not tonight`.
pub(super) fn left_out_words(feature: &FeatureView) -> String {
    with_reason("by a person", feature.detail.as_deref().unwrap_or_default())
}

/// `on claude/opus after 3 iterations in a row said nothing`, of a feature that is worked on by a rung of the ladder.
fn handed_on(feature: &FeatureView) -> Option<String> {
    let agent = feature.agent.as_ref()?;
    match &agent.because {
        Because::Breaker(why) if is_active(feature.stage) => {
            Some(format!("on {} after {why}", agent.words()))
        }
        _ => None,
    }
}

/// `███░░░░░ 7/12 merged · 2 working · 3 waiting`. Features outside the selection are told apart.
pub(super) fn overall(view: &View, live: bool, bar_columns: usize) -> String {
    let mut counts = [0_usize; STAGES.len()];
    let (mut total, mut unselected) = (0, 0);
    for feature in &view.features {
        if feature.unselected && !is_active(feature.stage) {
            unselected += 1;
            continue;
        }
        // What a person left out is not missing.
        total += usize::from(feature.stage != Stage::LeftOut);
        if let Some(place) = STAGES.iter().position(|stage| *stage == feature.stage) {
            counts[place] += 1;
        }
    }
    let merged = counts[0];
    let filled = (merged * bar_columns).checked_div(total).unwrap_or(0);
    let mut out = "█".repeat(filled) + &"░".repeat(bar_columns - filled);
    let _ = write!(out, " {}/{} merged", count(merged), count(total));
    let mut told: Vec<(&str, usize)> = Vec::new();
    for (stage, number) in STAGES.iter().zip(counts).skip(1).filter(|(_, n)| *n > 0) {
        let name = stage_shown(*stage, live);
        match told.last_mut().filter(|(last, _)| *last == name) {
            Some((_, sum)) => *sum += number,
            None => told.push((name, number)),
        }
    }
    for (name, number) in told {
        let _ = write!(out, " · {} {name}", count(number));
    }
    if unselected > 0 {
        let _ = write!(out, " · {} not selected", count(unselected));
    }
    out
}

/// `about 40m left (7 landed in 25m)`: with the facts that it comes from.
pub(super) fn forecast_words(forecast: &Forecast) -> String {
    let (landed, time) = (grouped(forecast.landed), elapsed(forecast.in_ms));
    format!(
        "{} left ({landed} landed in {time})",
        about_time(forecast.left_ms)
    )
}

/// Of the time that a run took, what the machine slept; empty when it did not.
pub(super) fn asleep(run: &RunView) -> String {
    match run.slept_ms {
        0 => String::new(),
        ms => format!(" (asleep for {})", elapsed(ms)),
    }
}

/// What is to be said of the end of the run's time, while the run lives.
pub(super) fn until(run: &RunView, now: Stamp) -> Option<String> {
    let until = run.until.filter(|_| run.ended.is_none())?;
    Some(match run.time_up {
        true => "the run's time is up: nothing new is started, what is done lands".to_owned(),
        false => format!(
            "the run's time is up in {}: nothing is started that cannot land by then",
            elapsed(until.since_ms(now))
        ),
    })
}

/// What keeps agents and commands in bounds.
pub(super) fn contained(containment: &Containment) -> String {
    let processes = match containment.processes {
        ProcessTier::Supervisor => "contained by supervisor",
        ProcessTier::Cgroup => "contained by supervisor and control group",
        ProcessTier::Groups => "contained by process groups only: a daemon can outlive its agent",
    };
    let sandbox = match containment.sandbox {
        SandboxTier::Off => "no sandbox",
        SandboxTier::Landlock => "sandbox: landlock",
        SandboxTier::Bwrap => "sandbox: bwrap",
    };
    format!("{processes}, {sandbox}")
}
