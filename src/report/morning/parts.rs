//! What every format says in the same words.

use super::{
    AgentRow, Bar, Changed, LandedPart, LaneKind, LanePart, Morning, Proof, RunState, StepPart,
    Timeline, What,
};
use crate::core::{AttemptResult, FirstClaim, IterationResult, StepCause};
use crate::model::{Slug, Usage};
use crate::report::code::code_meaning;
use crate::report::money;
use crate::report::text::{clock, count, elapsed, grouped, names, some};

/// A length of time; of what is over soon, tenths of a second are shown.
pub(super) fn took(ms: u64) -> String {
    match ms {
        0..10_000 => format!("{}.{}s", ms / 1000, ms % 1000 / 100),
        ms => elapsed(ms),
    }
}

/// What a run was and how it ended, in short facts.
pub(super) fn facts(morning: &Morning) -> Vec<(&'static str, String)> {
    let run = &morning.run;
    let zone = &morning.zone;
    let time = |at| clock(at, zone, "%a %F %H:%M");
    let ended = match run.state {
        RunState::Ended => time(run.last),
        RunState::Running => "it is still running".to_owned(),
        RunState::CutOff => format!("cut off; its last record is of {}", time(run.last)),
    };
    let length = took(run.last.since_ms(run.started));
    let asleep = match run.slept_ms {
        0 => String::new(),
        ms => format!(", asleep for {}", took(ms)),
    };
    let mut facts = vec![
        ("Run", run.id.clone()),
        ("Onto", run.target.clone()),
        ("Began", time(run.started)),
        ("Ended", ended),
        (
            "Took",
            format!("{length}{asleep}, {} at once", run.parallel),
        ),
    ];
    for (n, code) in run.codes.iter().enumerate() {
        let name = if n == 0 { "Exit code" } else { "Also" };
        facts.push((name, format!("{code} ({})", code_meaning(*code))));
    }
    let calls = some(
        usize::try_from(run.iterations).unwrap_or(usize::MAX),
        "iteration",
    );
    let used = match &morning.cost.total {
        none if *none == Usage::default() => calls,
        usage => format!("{calls}; {}", money::used(usage)),
    };
    facts.push(("Used", used));
    if let Some(left) = &morning.cost.left {
        facts.push(("Left of the budget", left.clone()));
    }
    facts
}

/// Of how many iterations, and for how much.
pub(super) fn effort(landed: &LandedPart) -> String {
    let calls = usize::try_from(landed.iterations).unwrap_or(usize::MAX);
    let cost = money::cost(&landed.usage).filter(|_| landed.usage.micro_usd > 0);
    let parts = [Some(some(calls, "iteration")), cost];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    parts.join(" · ")
}

/// `12 files, +340 −12`.
pub(super) fn changes(landed: &LandedPart) -> String {
    match &landed.changes {
        _ if landed.empty => "changes nothing".to_owned(),
        None => String::new(),
        Some(Changed {
            files,
            insertions,
            deletions,
            ..
        }) => format!(
            "{}, +{} −{}",
            some(*files, "file"),
            count(*insertions),
            count(*deletions)
        ),
    }
}

/// How it was made: iterations, time, cost, agents.
pub(super) fn made(landed: &LandedPart) -> String {
    let calls = usize::try_from(landed.iterations).unwrap_or(usize::MAX);
    let mut parts = vec![some(calls, "iteration")];
    if landed.work_ms > 0 {
        parts.push(took(landed.work_ms));
    }
    parts.extend(money::cost(&landed.usage));
    if !landed.agents.is_empty() {
        parts.push(landed.agents.join(", "));
    }
    if landed.first == FirstClaim::Passed {
        parts.push("at the first claim".to_owned());
    }
    parts.join(" · ")
}

/// What stands behind a landing, but for the commands.
pub(super) fn proof(proof: &Proof) -> String {
    let tree = proof.tree.as_ref();
    let tree = tree.map_or_else(
        || "its tree".to_owned(),
        |tree| format!("tree {}", tree.short()),
    );
    let time = took(proof.gate_ms);
    let with = match proof.with.len() {
        0 => String::new(),
        _ => format!(", together with {}", all(&proof.with)),
    };
    match proof.kind {
        "passed" => format!("green on {tree} in {time}{with}"),
        "known" => format!("{tree} had passed before; nothing was run again{with}"),
        "unchecked" => "no verify commands are set: taken on its agent's word".to_owned(),
        "flaky" => format!("red and then green on {tree} in {time}{with}"),
        "fixed" => format!("green on {tree} in {time}; what it landed on was red{with}"),
        _ => "found to have landed".to_owned(),
    }
}

/// Names of features in a row, the first few.
pub(super) fn all(slugs: &[Slug]) -> String {
    names(slugs.iter().map(Slug::as_str))
}

/// `slot 1`.
pub(super) fn lane_name(lane: &LanePart) -> String {
    match lane.kind {
        LaneKind::Slot => format!("slot {}", lane.number),
        LaneKind::Account => format!("account {}", lane.number),
        LaneKind::Queue => format!("merge {}", lane.number),
    }
}

/// What a bar shows.
pub(super) fn bar(bar: &Bar) -> String {
    let slugs = all(&bar.slugs);
    let time = took(bar.to.since_ms(bar.from));
    match bar.what {
        What::Preparing => format!("{slugs}: worktree made ready, {time}"),
        What::Between => format!("{slugs}: between two iterations, {time}"),
        What::Account => format!("{slugs}: waits for its account, {time}"),
        What::Iteration { number, result } => {
            format!("{slugs}: iteration {number}, {time}, {}", iteration(result))
        }
        What::Attempt { number, result } if bar.slugs.is_empty() => {
            format!(
                "merge {number}: what has landed, {time}, {}",
                attempt(result)
            )
        }
        What::Attempt { number, result } => {
            format!("merge {number}: {slugs}, {time}, {}", attempt(result))
        }
    }
}

fn iteration(result: IterationResult) -> &'static str {
    match result {
        IterationResult::Open => "had not ended",
        IterationResult::Step => "one step further",
        IterationResult::Claimed => "claimed to be done",
        IterationResult::Refused => "claimed to be done, refused",
        IterationResult::Blocked => "asked you",
        IterationResult::Failed => "failed",
    }
}

fn attempt(result: AttemptResult) -> &'static str {
    match result {
        AttemptResult::Open => "had not ended",
        AttemptResult::Green => "green",
        AttemptResult::Red => "red",
        AttemptResult::Conflict => "conflict",
        AttemptResult::Split => "red, tried again in halves",
        AttemptResult::Dropped => "came to nothing",
    }
}

/// One step of the critical path: what, and why it did not begin before.
pub(super) fn step(step: &StepPart) -> (String, &'static str) {
    let slugs = all(&step.slugs);
    let time = took(step.to.since_ms(step.from));
    let what = match step.attempt {
        Some(_) if step.slugs.is_empty() => format!("gate of what has landed, {time}"),
        Some(_) => format!("merge of {slugs}, {time}"),
        None => {
            let calls = usize::try_from(step.iterations).unwrap_or(usize::MAX);
            format!("{slugs}: {} in {time}", some(calls, "iteration"))
        }
    };
    let waited = match step.waited_ms {
        0..1000 => String::new(),
        ms => format!("after {}, ", took(ms)),
    };
    let why = match step.cause {
        StepCause::Start => "began with the run",
        StepCause::Dependency => "a dependency had landed",
        StepCause::Claim => "it was done",
        StepCause::Queue => "the merge queue was free",
        StepCause::Again => "went on with it",
        StepCause::Clash => "what it clashes with was over",
        StepCause::Slot => "a slot was free",
    };
    (format!("{waited}{what}"), why)
}

/// What the critical path is made of: `work 5h02m, merging 40m, waiting 12m`.
pub(super) fn critical(timeline: &Timeline) -> String {
    let sum = |is_merge: bool| -> u64 {
        let steps = timeline.critical.iter();
        let own = steps.filter(|step| step.attempt.is_some() == is_merge);
        own.map(|step| step.to.since_ms(step.from)).sum()
    };
    let waited: u64 = timeline.critical.iter().map(|step| step.waited_ms).sum();
    let mut parts = vec![format!("work {}", took(sum(false)))];
    parts.push(format!("merging {}", took(sum(true))));
    if waited >= 1000 {
        parts.push(format!("waiting {}", took(waited)));
    }
    let steps = timeline.critical.iter();
    let slots = steps.filter(|step| step.cause == StepCause::Slot).count();
    let out = parts.join(", ");
    match slots {
        few if few * 2 < timeline.critical.len() || few < 2 => out,
        many => format!(
            "{out}; {} of its {} steps had to wait for a slot",
            count(many),
            count(timeline.critical.len())
        ),
    }
}

/// How much of the time a lane was used, in percent.
pub(super) fn busy(lane: &LanePart, timeline: &Timeline) -> u64 {
    let all = timeline.to.since_ms(timeline.from).max(1);
    let bars = lane.bars.iter().filter(|bar| bar.what != What::Between);
    let used: u64 = bars.map(|bar| bar.to.since_ms(bar.from)).sum();
    used.saturating_mul(100) / all
}

/// `3 of 4`, or `-` before the first.
pub(super) fn first_pass(row: &AgentRow) -> String {
    match row.first_claims {
        0 => "-".to_owned(),
        all => format!("{} of {all}", row.first_passed),
    }
}

/// Tokens, money and the part from the cache, each `-` where nothing is known.
pub(in crate::report) fn usage(usage: &Usage) -> [String; 3] {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let tokens = (usage.tokens() > 0).then(|| grouped(usage.tokens()));
    let money = (usage.micro_usd > 0).then(|| money::money(usage));
    let cached = usage.cached_percent().map(|percent| format!("{percent} %"));
    [or_dash(tokens), or_dash(money), or_dash(cached)]
}
