//! What the full-screen view shows, in words that are fit for a screen: a row a feature, how the whole stands, what a feature
//! has changed.
//!
//! Never lays anything out, and never decides what is shown where.

use super::Glance;
use super::status::standing;
use super::steady::steady;
use super::text::{elapsed, escaped, tokens};
use super::words::{about, command, is_active, overall, stage_shown};
use crate::core::Stage;
use crate::model::Slug;

/// Columns that the words of a row may take; whoever draws them cuts them to what is there.
const WORDS_COLUMNS: usize = 400;
/// Columns of the bar.
const BAR_COLUMNS: usize = 12;
/// What a tab becomes.
const TAB: &str = "    ";

/// A feature, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its name.
    pub slug: Slug,
    /// Where it stands.
    pub stage: Stage,
    /// The same in a word.
    pub stage_name: &'static str,
    /// Number of its last iteration; 0: it had none.
    pub iteration: u32,
    /// How long it has been doing what it does now; empty when nothing is being done.
    pub time: String,
    /// About how many tokens it has used; empty when nobody has counted any.
    pub tokens: String,
    /// What it does, needs or waits for.
    pub words: String,
    /// Whether it goes on only when a person helps.
    pub needs_you: bool,
}

/// All features: those that something is done for, then those that need a person, those that wait, and what is done with; each
/// of these in the order of the plan.
#[must_use]
pub fn rows(glance: &Glance<'_>) -> Vec<Row> {
    let (live, halted) = (glance.live.is_some(), glance.view.halt.is_some());
    let features = glance.view.features.iter();
    let rows = features.map(|feature| {
        let output = glance.words(&feature.slug);
        let words = about(feature, halted, output, glance.now, WORDS_COLUMNS);
        let at_work = live && is_active(feature.stage);
        let used = glance.tokens(feature);
        Row {
            slug: feature.slug.clone(),
            stage: feature.stage,
            stage_name: stage_shown(feature.stage, live),
            iteration: feature.iteration,
            time: match at_work {
                true => elapsed(glance.now.since_ms(feature.since)),
                false => String::new(),
            },
            tokens: match used {
                0 => String::new(),
                used => tokens(used),
            },
            words: on_screen(&words),
            needs_you: command(feature).is_some(),
        }
    });
    let mut rows: Vec<Row> = rows.collect();
    rows.sort_by_key(|row| match row.stage {
        stage if is_active(stage) => 0,
        Stage::Merged => 3,
        _ if row.needs_you => 1,
        _ => 2,
    });
    rows
}

/// How the whole stands, in one line.
#[must_use]
pub fn whole(glance: &Glance<'_>) -> String {
    match glance.view.features.is_empty() {
        true => "no features: a feature is a spec, specs/<name>/spec.md".to_owned(),
        false => overall(glance.view, glance.live.is_some(), BAR_COLUMNS),
    }
}

/// How the run stands and what holds it back, a line each, and whether that is a person's business; what is, comes
/// right after how the run stands.
#[must_use]
pub fn notices(glance: &Glance<'_>) -> Vec<(String, bool)> {
    let mut lines: Vec<(String, bool)> = standing(glance)
        .into_iter()
        .map(|(text, urgent)| (on_screen(&text), urgent))
        .collect();
    if let Some((_, rest)) = lines.split_first_mut() {
        rest.sort_by_key(|(_, urgent)| !urgent);
    }
    lines
}

/// One line that takes the same columns on every terminal, and acts on none.
#[must_use]
pub fn on_screen(line: &str) -> String {
    steady(&escaped(&line.replace('\t', TAB)))
}

/// What a line of a difference is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Which file comes next.
    File,
    /// Where in it.
    Place,
    /// It is in both.
    Same,
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// What is to be said about it.
    Note,
}

/// What a feature has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// What is compared, and how much differs.
    pub title: String,
    /// The difference, not escaped.
    pub lines: Vec<(Part, String)>,
}
