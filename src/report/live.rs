//! The live picture in lines: who is being worked on, what waits and why, what needs a person, how the whole stands.
//!
//! Never more lines than slots and four more, and never more than the terminal has rows. Each is cut to the terminal;
//! nothing here draws.

use super::Glance;
use super::money;
use super::status::queue_words;
use super::steady::steady;
use super::text::style::{BOLD, DIM, GREEN, RED, YELLOW};
use super::text::{count, cut, elapsed, file_link, name_cut, shown, tokens, width};
use super::words::{
    about, account_words, command, forecast_words, is_active, stage_name, stage_shown,
};
use crate::core::{FeatureView, RunView, Stage, Wait, forecast};
use std::collections::BTreeMap;
use std::path::Path;

/// Columns of a slug, at most.
const SLUG_COLUMNS: usize = 32;
/// Terminals narrower than this get what matters most only.
const NARROW: usize = 60;
/// Lines besides those of the features at work.
const OTHER_LINES: usize = 4;
/// Names in a row.
const MOST_NAMED: usize = 3;

/// How much room there is, and what may be used in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Canvas {
    pub(super) columns: usize,
    pub(super) rows: usize,
    pub(super) colour: bool,
    pub(super) links: bool,
}

/// Some text in its colour, and the file it leads to.
struct Part<'a> {
    text: String,
    colour: &'static str,
    file: Option<&'a Path>,
}

#[derive(Default)]
struct Line<'a>(Vec<Part<'a>>);

impl<'a> Line<'a> {
    fn of(text: impl Into<String>, colour: &'static str) -> Self {
        Self::default().and(text, colour)
    }

    fn and(self, text: impl Into<String>, colour: &'static str) -> Self {
        self.leading(text, colour, None)
    }

    fn leading(
        mut self,
        text: impl Into<String>,
        colour: &'static str,
        file: Option<&'a Path>,
    ) -> Self {
        let text = text.into();
        self.0.push(Part { text, colour, file });
        self
    }

    fn width(&self) -> usize {
        self.0.iter().map(|part| width(&part.text)).sum()
    }

    /// Cut to the canvas, with only what every terminal shows alike.
    fn drawn(self, canvas: Canvas) -> String {
        let mut left = canvas.columns;
        let mut out = String::new();
        for Part { text, colour, file } in self.0 {
            let text = steady(&text);
            let is_cut = width(&text) > left;
            let mut text = cut(&text, left);
            left -= width(&text).min(left);
            if !text.is_empty() {
                if canvas.colour && !colour.is_empty() {
                    text = format!("\u{1b}[{colour}m{text}\u{1b}[0m");
                }
                if let Some(file) = file.filter(|_| canvas.links) {
                    text = file_link(&file.display().to_string(), &text);
                }
            }
            out.push_str(&text);
            if is_cut {
                break;
            }
        }
        out.trim_end().to_owned()
    }
}

/// The picture, from top to bottom.
pub(super) fn lines(glance: &Glance<'_>, canvas: Canvas) -> Vec<String> {
    let working =
        |f: &&FeatureView| matches!(f.stage, Stage::Preparing | Stage::Working | Stage::Between);
    let active: Vec<&FeatureView> = glance.view.features.iter().filter(working).collect();
    let room = canvas.rows.saturating_sub(OTHER_LINES + 1).max(1);
    let shown = active.get(..room).unwrap_or(&active);
    let slug_columns = shown.iter().map(|f| f.slug.as_str().len()).max();
    let columns = Columns {
        slug: slug_columns
            .unwrap_or(0)
            .min(SLUG_COLUMNS)
            .min(canvas.columns / 3),
        tokens: canvas.columns >= NARROW && shown.iter().any(|f| glance.tokens(f) > 0),
        stage: canvas.columns >= NARROW,
    };
    let mut out: Vec<(Rank, Line<'_>)> = shown
        .iter()
        .map(|feature| (Rank::Feature, feature_line(feature, glance, &columns)))
        .collect();
    let others = [
        (Rank::Merging, merging_line(glance)),
        (Rank::Waiting, waiting_line(glance)),
        (
            Rank::Notice,
            notice_line(glance, active.len() - shown.len()),
        ),
    ];
    let others = others.map(|(rank, line)| Some((rank, line?)));
    let others: Vec<(Rank, Line<'_>)> = others.into_iter().flatten().collect();
    let has_room = others.len() < OTHER_LINES - 1;
    out.extend(others);
    let whole = overall_line(glance, canvas.columns);
    match spent_words(glance) {
        None => out.push((Rank::Whole, whole)),
        Some(spent) if has_room && whole.width() + 3 + width(&spent) > canvas.columns => {
            out.push((Rank::Spent, Line::of(spent, DIM)));
            out.push((Rank::Whole, whole));
        }
        Some(spent) => out.push((Rank::Whole, whole.and(" · ", "").and(spent, DIM))),
    }
    fitted(out, canvas.rows.saturating_sub(1).max(1))
        .map(|line| line.drawn(canvas))
        .collect()
}

/// What a line tells, from what stays longest where there are few rows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Whole,
    Notice,
    Feature,
    Merging,
    Waiting,
    Spent,
}

/// At most so many of the lines, in their order.
fn fitted(mut lines: Vec<(Rank, Line<'_>)>, most: usize) -> impl Iterator<Item = Line<'_>> {
    while lines.len() > most {
        let ranks = lines.iter().enumerate();
        let Some((least, _)) = ranks.max_by_key(|(_, (rank, _))| *rank) else {
            break;
        };
        lines.remove(least);
    }
    lines.into_iter().map(|(_, line)| line)
}

struct Columns {
    slug: usize,
    tokens: bool,
    stage: bool,
}

fn feature_line<'a>(feature: &FeatureView, glance: &'a Glance<'_>, columns: &Columns) -> Line<'a> {
    let live = glance.live.is_some();
    let stage = stage_shown(feature.stage, live);
    let time = match live {
        true => elapsed(glance.now.since_ms(feature.since)),
        false => "-".to_owned(),
    };
    let name = name_cut(feature.slug.as_str(), columns.slug);
    let missing = " ".repeat(columns.slug.saturating_sub(width(&name)));
    let output = glance.output(&feature.slug);
    let mut line = Line::default().leading(name, BOLD, output).and(missing, "");
    if columns.stage || feature.stage != Stage::Working {
        line = line.and(format!("  {stage:<9}"), "");
    }
    line = line.and(format!(" #{:<2} {time:>6}", feature.iteration), "");
    if columns.tokens {
        let used = match glance.tokens(feature) {
            0 => String::new(),
            used => tokens(used),
        };
        line = line.and(format!(" {used:>6}"), DIM);
    }
    let words = glance.words(&feature.slug);
    let halted = glance.view.halt.is_some();
    // Cut when it is drawn.
    let words = about(feature, halted, words, glance.now, 400);
    line.and(format!("  {words}"), "")
}

/// What is on its way into the target: `merging: auth gating 12s · next: billing, search`.
fn merging_line(glance: &Glance<'_>) -> Option<Line<'static>> {
    let features = glance.view.features.iter();
    let (mut tried, mut queued) = (Vec::new(), Vec::new());
    for feature in features {
        let slug = &feature.slug;
        match feature.stage {
            Stage::Gating | Stage::Landing if glance.live.is_some() => {
                let since = elapsed(glance.now.since_ms(feature.since));
                let stage = stage_name(feature.stage);
                tried.push(format!("{slug} {stage} {since}"));
            }
            Stage::Gating | Stage::Landing | Stage::Queued => queued.push(slug.to_string()),
            _ => {}
        }
    }
    let mut parts = Vec::new();
    if !tried.is_empty() {
        parts.push(few(&tried));
    }
    if !queued.is_empty() {
        let before = if tried.is_empty() { "" } else { "then " };
        parts.push(format!("{before}{}", few(&queued)));
    }
    (!parts.is_empty()).then(|| Line::of("merging: ", DIM).and(parts.join(" · "), ""))
}

/// How many wait for what, and who comes next.
fn waiting_line(glance: &Glance<'_>) -> Option<Line<'static>> {
    let view = glance.view;
    let waits = |f: &&FeatureView| f.stage == Stage::Waiting && !f.unselected;
    let mut reasons: Vec<(String, usize)> = Vec::new();
    let mut next = Vec::new();
    let mut all = 0;
    for feature in view.features.iter().filter(waits) {
        all += 1;
        let first = feature.waits.first();
        if matches!(first, None | Some(Wait::Slot)) {
            next.push(feature.slug.to_string());
        }
        let reason = first.map_or_else(String::new, waits_for);
        match reasons.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, number)) => *number += 1,
            None => reasons.push((reason, 1)),
        }
    }
    if all == 0 {
        return None;
    }
    reasons.retain(|(reason, _)| !reason.is_empty());
    let mut parts: Vec<String> = match reasons.as_slice() {
        [(reason, number)] if *number == all => vec![format!("{} {reason}", count(all))],
        _ => {
            let each = reasons
                .iter()
                .map(|(reason, n)| format!("{} {reason}", count(*n)));
            each.collect()
        }
    };
    if !next.is_empty() {
        parts.push(format!("next: {}", few(&next)));
    }
    Some(Line::of("waiting: ", DIM).and(parts.join(" · "), ""))
}

/// A reason that many can have in common.
fn waits_for(wait: &Wait) -> String {
    match wait {
        Wait::Dependencies(_) => "for others to land".to_owned(),
        Wait::Hopeless(_) => "for one that needs you".to_owned(),
        Wait::After(_) => "for its turn after another".to_owned(),
        Wait::Clash(_) => "for a shared path or lock".to_owned(),
        Wait::Time(_) => "to be tried again".to_owned(),
        Wait::Account(name, _) => format!("for the account {}", shown(name, 40)),
        Wait::Slot => "for a slot".to_owned(),
        Wait::Budget => "for budget".to_owned(),
        Wait::Deadline => "past the run's time".to_owned(),
        Wait::Stopped => "held back".to_owned(),
    }
}

/// What a person should see at once: who needs them, limits and when they end, what holds the run back.
fn notice_line(glance: &Glance<'_>, not_shown: usize) -> Option<Line<'static>> {
    let view = glance.view;
    let mut parts: Vec<(String, &'static str)> = Vec::new();
    if let Some(reason) = &view.halt {
        parts.push((format!("HALT: {}", shown(reason, 120)), RED));
    }
    let needy = view.features.iter().filter(|f| command(f).is_some());
    let needy: Vec<String> = needy
        .map(|f| format!("{} ({})", f.slug, stage_name(f.stage)))
        .collect();
    if !needy.is_empty() {
        parts.push((format!("needs you: {}", few(&needy)), RED));
    }
    if let Some(run) = &view.run {
        for account in &run.accounts {
            let (text, urgent) = account_words(account, glance.now);
            parts.push((text, if urgent { RED } else { YELLOW }));
        }
        if let Some(what) = &run.strain {
            let text = format!("short of {}: nothing new starts", shown(what, 80));
            parts.push((text, YELLOW));
        }
        parts.extend(queue_words(run).into_iter().map(|text| (text, RED)));
        if run.stop.is_some() {
            parts.push(("stopping".to_owned(), YELLOW));
        }
    }
    if not_shown > 0 {
        parts.push((format!("{} more at work", count(not_shown)), DIM));
    }
    let mut line = Line::default();
    for (n, (text, colour)) in parts.into_iter().enumerate() {
        if n > 0 {
            line = line.and(" · ", "");
        }
        line = line.and(text, colour);
    }
    (!line.0.is_empty()).then_some(line)
}

/// `██████░░░░ 7/12 merged · 3/4 slots · 25m02s · about 40m left (7 landed in 25m)`.
fn overall_line(glance: &Glance<'_>, columns: usize) -> Line<'static> {
    let view = glance.view;
    let counts = counts(glance);
    let (total, merged) = progress(&counts);
    let bar = (columns / 5).clamp(6, 24);
    let filled = (merged * bar).checked_div(total).unwrap_or(0);
    let mut line = Line::of("█".repeat(filled), GREEN)
        .and("░".repeat(bar - filled), DIM)
        .and(format!(" {}/{} merged", count(merged), count(total)), BOLD);
    if let Some(run) = &view.run {
        let used = [Stage::Preparing, Stage::Working, Stage::Between];
        let used: usize = used.iter().filter_map(|stage| counts.get(stage)).sum();
        line = line.and(format!(" · {}/{} slots", count(used), run.parallel), "");
        line = line.and(format!(" · {}", running_for(run, glance)), "");
    }
    if let Some(forecast) = forecast(view, glance.now).filter(|_| glance.live.is_some()) {
        line = line.and(format!(" · {}", forecast_words(&forecast)), "");
    }
    for (stage, colour) in [
        (Stage::Blocked, RED),
        (Stage::Tripped, RED),
        (Stage::Parked, RED),
        (Stage::Failed, RED),
        (Stage::Review, RED),
        (Stage::Skipped, YELLOW),
        (Stage::LeftOut, DIM),
    ] {
        if let Some(number) = counts.get(&stage) {
            let text = format!("{} {}", count(*number), stage_shown(stage, true));
            line = line.and(" · ", "").and(text, colour);
        }
    }
    line
}

fn running_for(run: &RunView, glance: &Glance<'_>) -> String {
    elapsed(run.ended.unwrap_or(glance.now).since_ms(run.started))
}

fn counts(glance: &Glance<'_>) -> BTreeMap<Stage, usize> {
    let mut counts = BTreeMap::new();
    for feature in &glance.view.features {
        if is_active(feature.stage) || !feature.unselected {
            *counts.entry(feature.stage).or_default() += 1;
        }
    }
    counts
}

/// How many features there are to do, but for those that a person left out, and how many are merged.
fn progress(counts: &BTreeMap<Stage, usize>) -> (usize, usize) {
    let of = |stage| counts.get(&stage).copied().unwrap_or(0);
    let all: usize = counts.values().sum();
    (all - of(Stage::LeftOut), of(Stage::Merged))
}

/// `1.2M tokens, $3.40, 87 % cached` of this run.
fn spent_words(glance: &Glance<'_>) -> Option<String> {
    let run = glance.view.run.as_ref()?;
    if run.usage.tokens() == 0 && run.usage.micro_usd == 0 {
        return None;
    }
    let mut parts = vec![format!("{} tokens", tokens(run.usage.tokens()))];
    if run.usage.micro_usd > 0 {
        parts.push(money::money(&run.usage));
    }
    if let Some(percent) = run.cached_percent {
        parts.push(format!("{percent} % cached"));
    }
    Some(parts.join(", "))
}

/// How much of the whole is done, in percent, for a terminal that shows that in its title or task bar.
pub(super) fn percent(glance: &Glance<'_>) -> usize {
    let (total, merged) = progress(&counts(glance));
    (merged * 100).checked_div(total).unwrap_or(0)
}

/// The first few of them, and how many more.
fn few(names: &[String]) -> String {
    let first = names.iter().take(MOST_NAMED).cloned().collect::<Vec<_>>();
    match names.len().checked_sub(MOST_NAMED).filter(|n| *n > 0) {
        Some(more) => format!("{} and {} more", first.join(", "), count(more)),
        None => first.join(", "),
    }
}

#[cfg(test)]
mod tests;
