//! Puts the report together. Says what the run's history and the picture hold, and nothing else.

use super::need::needs;
use super::parts;
use super::smells::smells;
use super::timeline::timeline;
use super::{
    AgentRow, Changed, Cost, Facts, FeatureRow, LandedPart, Learning, Link, Morning, Next, Proof,
    RunPart, RunState,
};
use crate::core::{AttemptSpan, FeatureFigures, FeatureView, RunHistory, Stage, Told, View};
use crate::model::{Evidence, Slug, Usage, escaped, escaped_lines};
use crate::report::Glance;
use crate::report::Reason;
use crate::report::money;
use crate::report::text::{branch, count, shown, some};
use crate::report::why::first_reason;
use crate::report::words::command;
use std::collections::{BTreeMap, BTreeSet};

/// The longest title or summary that is shown.
const TEXT_COLUMNS: usize = 400;

/// Composes the report of a run.
#[must_use]
pub fn morning(told: &Told, facts: &Facts) -> Morning {
    let (run, mut view) = (&told.run, told.view.clone());
    let state = match (&run.codes, &facts.live) {
        (Some(_), _) => RunState::Ended,
        (None, Some(_)) => RunState::Running,
        (None, None) => RunState::CutOff,
    };
    if state != RunState::Running {
        for feature in &mut view.features {
            feature.waits.retain(|wait| !wait.is_for_a_run());
        }
    }
    let landed = landed(run, &view, facts);
    let needs = needs(run, &view, facts);
    let fresh: BTreeSet<&Slug> = landed.iter().map(|landed| &landed.slug).collect();
    let merged = |feature: &&FeatureView| feature.stage == Stage::Merged;
    let earlier = view.features.iter().filter(merged);
    let earlier = earlier.filter(|feature| !fresh.contains(&feature.slug));
    let is_left_out = |feature: &&FeatureView| feature.stage == Stage::LeftOut;
    let part = RunPart {
        id: escaped(&run.id.0),
        target: branch(&run.target),
        state,
        started: run.started,
        last: run.last,
        slept_ms: run.slept_ms(),
        parallel: run.parallel,
        iterations: run.iterations,
        codes: run.codes.clone().unwrap_or_default(),
        open: open(&view).filter(|it| !is_left_out(it)).count(),
        left_out: open(&view).filter(is_left_out).count(),
        earlier: earlier.count(),
    };
    let smells = smells(run, &view, &landed);
    Morning {
        zone: facts.zone.clone(),
        sentence: sentence(&part, run, needs.len(), landed.len()),
        next: next(&view, run, facts.live.as_ref()),
        timeline: timeline(run),
        cost: cost(run, &view),
        learnings: learnings(run),
        run: part,
        needs,
        landed,
        smells,
    }
}

/// Features of the run that are neither merged nor need a person.
fn open(view: &View) -> impl Iterator<Item = &FeatureView> {
    view.features.iter().filter(|feature| {
        feature.stage != Stage::Merged && command(feature).is_none() && !feature.unselected
    })
}

/// One sentence.
fn sentence(part: &RunPart, run: &RunHistory, needs: usize, landed: usize) -> String {
    let took = parts::took(run.took_ms());
    let cost = money::cost(&run.usage).map(|cost| format!(" for {cost}"));
    let cost = cost.unwrap_or_default();
    let what = match landed {
        0 => "nothing landed".to_owned(),
        n => format!("{} landed", some(n, "feature")),
    };
    let target = &part.target;
    let mut out = match part.state {
        RunState::Ended => format!("{what} on {target} in {took}{cost}"),
        RunState::Running => format!("still running: {what} on {target} in the first {took}{cost}"),
        RunState::CutOff => {
            format!("the run was cut off: {what} on {target} in the {took} that are recorded{cost}")
        }
    };
    let mut more = Vec::new();
    match needs {
        0 => {}
        1 => more.push("one thing needs you".to_owned()),
        n => more.push(format!("{} things need you", count(n))),
    }
    match part.open {
        0 if needs == 0 => more.push("nothing is left to do".to_owned()),
        0 => {}
        1 => more.push("1 feature is still to be done".to_owned()),
        n => more.push(format!("{} features are still to be done", count(n))),
    }
    match part.left_out {
        0 => {}
        n => more.push(format!("{} left out", some(n, "feature"))),
    }
    if !more.is_empty() {
        out = format!("{out}; {}", more.join(", "));
    }
    let mut letters = out.chars();
    let first = letters.next().map(|c| c.to_ascii_uppercase());
    format!(
        "{}{}.",
        first.map_or(String::new(), String::from),
        letters.as_str()
    )
}

fn landed(run: &RunHistory, view: &View, facts: &Facts) -> Vec<LandedPart> {
    let unpublished = view.run.iter().flat_map(|run| &run.unpublished);
    let unpublished: BTreeSet<&Slug> = unpublished.collect();
    let attempts: BTreeMap<u32, &AttemptSpan> = run
        .attempts
        .iter()
        .map(|span| (span.number, span))
        .collect();
    let landed = run.landed().into_iter();
    let landed = landed.map(|(slug, landing)| {
        let figures = &run.features[slug];
        let attempt = landing.attempt.and_then(|number| attempts.get(&number));
        LandedPart {
            slug: slug.clone(),
            title: shown(&figures.title, TEXT_COLUMNS),
            commit: landing.commit.clone(),
            at: landing.at,
            empty: landing.empty,
            published: !unpublished.contains(slug),
            changes: facts.changes.get(slug).map(shown_changes),
            summary: escaped_lines(figures.summary.trim()),
            proof: proof(slug, attempt.copied(), facts),
            iterations: figures.iterations,
            work_ms: figures.work_ms,
            usage: figures.usage,
            agents: figures.agents.iter().map(|name| shown(name, 60)).collect(),
            first: figures.first,
            links: links(slug, figures, landing.attempt),
        }
    });
    landed.collect()
}

fn shown_changes(changes: &Changed) -> Changed {
    Changed {
        removed: changes.removed.iter().map(|path| escaped(path)).collect(),
        ..changes.clone()
    }
}

/// Where there is more to read.
pub(super) fn links(slug: &Slug, figures: &FeatureFigures, tried: Option<u32>) -> Vec<Link> {
    let link = |name: String, path: String| Link { name, path };
    let mut links = vec![link("log".to_owned(), format!("{slug}.log"))];
    if let Some(attempt) = tried {
        links.push(link("gate".to_owned(), format!("gates/{attempt}.log")));
    }
    if figures.last_iteration > 0 {
        let n = figures.last_iteration;
        links.push(link(
            format!("iteration {n}"),
            format!("iterations/{slug}/{n}/output.log"),
        ));
    }
    links
}

fn proof(slug: &Slug, attempt: Option<&AttemptSpan>, facts: &Facts) -> Proof {
    let evidence = attempt.and_then(|span| span.evidence.as_ref());
    let commands = attempt.and_then(|span| facts.commands.get(&span.number));
    let commands = commands.map(|all| all.iter().map(|one| shown(one, TEXT_COLUMNS)).collect());
    let members = attempt.map_or(&[][..], |span| &span.members[..]);
    Proof {
        kind: match evidence {
            Some(Evidence::Passed) => "passed",
            Some(Evidence::Known) => "known",
            Some(Evidence::Unchecked) => "unchecked",
            Some(Evidence::Flaky { .. }) => "flaky",
            Some(Evidence::Fixed) => "fixed",
            None => "found",
        },
        tree: attempt.and_then(|span| span.tree.clone()),
        commands: commands.unwrap_or_default(),
        gate_ms: attempt.map_or(0, |span| span.gate_ms),
        with: members
            .iter()
            .filter(|member| *member != slug)
            .cloned()
            .collect(),
    }
}

fn cost(run: &RunHistory, view: &View) -> Cost {
    let agents = run.agents.iter().map(|(name, figures)| AgentRow {
        name: shown(name, 60),
        iterations: figures.iterations,
        failed: figures.failed,
        work_ms: figures.work_ms,
        usage: figures.usage,
        landed: figures.landed,
        first_claims: figures.first_claims,
        first_passed: figures.first_passed,
    });
    let called = run
        .features
        .iter()
        .filter(|(_, figures)| figures.iterations > 0);
    let mut features: Vec<FeatureRow> = called
        .map(|(slug, figures)| FeatureRow {
            slug: slug.clone(),
            iterations: figures.iterations,
            work_ms: figures.work_ms,
            usage: figures.usage,
        })
        .collect();
    let weight = |usage: &Usage| (usage.micro_usd, usage.tokens());
    features.sort_by(|a, b| {
        let by_cost = weight(&b.usage).cmp(&weight(&a.usage));
        by_cost
            .then(b.work_ms.cmp(&a.work_ms))
            .then(a.slug.cmp(&b.slug))
    });
    Cost {
        total: run.usage,
        left: view.run.as_ref().and_then(|run| money::left(&run.budget)),
        agents: agents.collect(),
        features,
    }
}

fn learnings(run: &RunHistory) -> Vec<Learning> {
    let all = run.features.iter();
    let all = all.flat_map(|(slug, figures)| figures.lessons.iter().map(move |it| (slug, it)));
    let mut all: Vec<_> = all.collect();
    all.sort_by_key(|(slug, lesson)| (lesson.at, *slug, lesson.iteration));
    let mut known = BTreeSet::new();
    let fresh = all
        .into_iter()
        .filter(|(_, lesson)| known.insert(lesson.text.trim()));
    let fresh = fresh.map(|(slug, lesson)| Learning {
        slug: slug.clone(),
        iteration: lesson.iteration,
        text: shown(&lesson.text, 2 * TEXT_COLUMNS),
    });
    fresh.collect()
}

/// What goes on in the next run: first what would begin at once, each group in the order of the plan.
fn next(view: &View, run: &RunHistory, live: Option<&String>) -> Vec<Next> {
    let heard = BTreeMap::new();
    let glance = Glance {
        view,
        now: run.last,
        live: live.cloned(),
        heard: &heard,
    };
    let mut next: Vec<Next> = open(view)
        .map(|feature| {
            let (code, why) = first_reason(&glance, feature);
            Next {
                slug: feature.slug.clone(),
                title: shown(&feature.title, TEXT_COLUMNS),
                is_ready: matches!(code, Reason::Ready | Reason::Interrupted | Reason::Queued),
                why: escaped(&why),
            }
        })
        .collect();
    next.sort_by_key(|next| !next.is_ready);
    next
}
