//! What waits for a person: the question or reason, what there is to see, and the commands.

use super::compose::links;
use super::{Facts, Need};
use crate::core::{
    AttemptResult, AttemptSpan, FeatureFigures, FeatureView, RunHistory, Stage, View,
};
use crate::model::{Red, Slug, escaped, escaped_lines};
use crate::report::text::branch;
use crate::report::words::{command, stage_name, unblock, what_it_changes};

/// Lines of a gate's output that are shown.
const TAIL_LINES: usize = 20;
/// Conflicted paths that are named.
const PATHS: usize = 20;

/// Everything that waits for a person: first the run as a whole, then features in the order of the plan.
pub(super) fn needs(run: &RunHistory, view: &View, facts: &Facts) -> Vec<Need> {
    let mut needs = of_the_run(view);
    let target = view.run.as_ref().map_or("HEAD", |run| &run.target);
    let features = view.features.iter();
    let features = features.filter(|feature| command(feature).is_some());
    needs.extend(features.map(|feature| match feature.stage {
        Stage::Review => to_review(run, feature, target, facts),
        _ => of_a_feature(run, feature),
    }));
    needs
}

/// What is done and lands when a person has seen it: what there is to see, and both answers.
fn to_review(run: &RunHistory, feature: &FeatureView, target: &str, facts: &Facts) -> Need {
    let slug = &feature.slug;
    let nothing = FeatureFigures::default();
    let figures = run.features.get(slug).unwrap_or(&nothing);
    let mut commands = vec![what_it_changes(target, slug)];
    commands.extend(command(feature));
    commands.push(unblock(slug));
    let alone = |span: &&AttemptSpan| span.members == [slug.clone()];
    let tried = run.attempts.iter().rev().find(alone);
    let tried = tried.filter(|span| span.result == AttemptResult::Green);
    let passed = tried.and_then(|span| facts.commands.get(&span.number));
    let mut evidence = Vec::new();
    if let Some(commands) = passed.filter(|commands| !commands.is_empty()) {
        let title = "what its merge with the target passed".to_owned();
        evidence.push((title, escaped_lines(&commands.join("\n"))));
    }
    let said = figures.note.trim();
    if !said.is_empty() {
        evidence.push(("the agent's last note".to_owned(), escaped_lines(said)));
    }
    Need {
        slug: Some(slug.clone()),
        title: escaped(&feature.title),
        kind: stage_name(feature.stage),
        why: match feature.detail.as_deref().map_or("", str::trim) {
            "" => "it is done, and you are to see it before it lands".to_owned(),
            summary => format!(
                "it is done, and you are to see it before it lands: {}",
                escaped_lines(summary)
            ),
        },
        evidence,
        commands,
        links: links(slug, figures, tried.map(|span| span.number)),
    }
}

fn of_the_run(view: &View) -> Vec<Need> {
    let need = |kind, title: &str, why: &str, commands: &[&str]| Need {
        slug: None,
        title: title.to_owned(),
        kind,
        why: escaped_lines(why.trim()),
        evidence: Vec::new(),
        commands: commands.iter().map(|&command| command.to_owned()).collect(),
        links: Vec::new(),
    };
    let mut needs = Vec::new();
    if let Some(reason) = &view.halt {
        let why = match reason.trim() {
            "" => "no reason given",
            reason => reason,
        };
        let commands = ["harness resume", "harness run"];
        needs.push(need("halt", "Nothing new is started: HALT", why, &commands));
    }
    let Some(run) = &view.run else {
        return needs;
    };
    if let Some(text) = &run.account {
        let title = "An account of an agent cannot be used";
        needs.push(need("account", title, text, &["harness doctor --probe"]));
    }
    if let Some(broken) = &run.broken_base {
        let target = branch(&run.target);
        let title = format!("{target} fails by itself");
        let why = format!("`{broken}` fails on what has landed, with no feature merged onto it");
        needs.push(need("base", &title, &why, &["harness run"]));
    }
    if let Some(why) = &run.publish_waits {
        let target = branch(&run.target);
        let title = format!("What has landed is not in {target} yet");
        needs.push(need("publish", &title, why, &["harness run"]));
    }
    needs
}

fn of_a_feature(run: &RunHistory, feature: &FeatureView) -> Need {
    let slug = &feature.slug;
    let nothing = FeatureFigures::default();
    let figures = run.features.get(slug).unwrap_or(&nothing);
    let detail = feature.detail.as_deref().unwrap_or_default();
    let mut evidence = Vec::new();
    if let Some(red) = last_red(run, slug, figures) {
        let title = format!("the end of what `{}` printed", escaped(&red.command));
        evidence.push((title, tail(&red.tail)));
    }
    let paths = figures.sent_back.last().map_or(&[][..], |it| &it.paths[..]);
    if !paths.is_empty() {
        let mut named: Vec<String> = paths.iter().take(PATHS).map(|path| escaped(path)).collect();
        if paths.len() > PATHS {
            named.push(format!("… and {} more", paths.len() - PATHS));
        }
        evidence.push(("files in conflict".to_owned(), named.join("\n")));
    }
    let said = figures.note.trim();
    if feature.stage != Stage::Blocked && !said.is_empty() {
        evidence.push(("the agent's last note".to_owned(), escaped_lines(said)));
    }
    let mut commands: Vec<String> = command(feature).into_iter().collect();
    commands.push(format!("harness logs {slug}"));
    Need {
        slug: Some(slug.clone()),
        title: escaped(&feature.title),
        kind: stage_name(feature.stage),
        why: match detail.trim() {
            "" => stage_name(feature.stage).to_owned(),
            detail => escaped_lines(detail),
        },
        evidence,
        commands,
        links: links(
            slug,
            figures,
            figures.sent_back.last().map(|refusal| refusal.attempt),
        ),
    }
}

/// The last gate that failed on it, alone or with others.
fn last_red<'a>(run: &'a RunHistory, slug: &Slug, figures: &'a FeatureFigures) -> Option<&'a Red> {
    let tried = run.attempts.iter().rev();
    let mut tried = tried.filter(|span| span.members.contains(slug));
    let own = figures.sent_back.last();
    match tried.next() {
        Some(last) if last.red.is_some() => last.red.as_ref(),
        _ => own.and_then(|refusal| refusal.red.as_ref()),
    }
}

/// The last lines of a text.
fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    let skipped = lines.len().saturating_sub(TAIL_LINES);
    escaped_lines(&lines[skipped..].join("\n"))
}
