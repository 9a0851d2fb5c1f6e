//! Live bars on a terminal: how the whole stands, and one line for each feature being worked on.
//!
//! Draws to stderr through indicatif. Losing a picture harms nobody, so nothing here can fail.

use super::Glance;
use super::text::{count, elapsed, escaped, is_wide, padded};
use super::words::{about, is_active, overall, stage_name};
use crate::core::{FeatureView, Stage};
use crate::model::Slug;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::BTreeMap;

/// Features that get a line; a picture higher than the terminal cannot be redrawn.
const MAX_LINES: usize = 16;
const BAR_COLUMNS: usize = 20;
const SLUG_COLUMNS: usize = 20;
/// Words handed to indicatif, which cuts them to the terminal.
const WORD_COLUMNS: usize = 300;

/// The live picture of `harness run` and `status --watch`. The overall bar is the lowest line.
#[derive(Debug)]
pub struct Bars {
    multi: MultiProgress,
    total: ProgressBar,
    lines: BTreeMap<Slug, ProgressBar>,
}

impl Default for Bars {
    fn default() -> Self {
        Self::new()
    }
}

impl Bars {
    /// Bars on stderr; hidden when that is no terminal.
    #[must_use]
    pub fn new() -> Self {
        Self::on(ProgressDrawTarget::stderr())
    }

    fn on(target: ProgressDrawTarget) -> Self {
        let multi = MultiProgress::with_draw_target(target);
        let total = multi.add(text_line());
        Self {
            multi,
            total,
            lines: BTreeMap::new(),
        }
    }

    /// Whether nothing is drawn: then [`Bars::say`] says nothing either, and the caller should print.
    #[must_use]
    pub fn is_hidden(&self) -> bool {
        self.multi.is_hidden()
    }

    /// Draws the picture. Cheap where little changed; call it at most some ten times a second.
    pub fn show(&mut self, glance: &Glance<'_>) {
        if self.is_hidden() {
            return;
        }
        let active: Vec<&FeatureView> = glance
            .view
            .features
            .iter()
            .filter(|f| is_active(f.stage) && f.stage != Stage::Queued)
            .collect();
        let drawn = active.get(..MAX_LINES).unwrap_or(&active);
        let multi = &self.multi;
        self.lines.retain(|slug, line| {
            let stays = drawn.iter().any(|f| f.slug == *slug);
            if !stays {
                multi.remove(line);
            }
            stays
        });
        for feature in drawn {
            let line = self
                .lines
                .entry(feature.slug.clone())
                .or_insert_with(|| multi.insert_before(&self.total, text_line()));
            set(line, &feature_text(feature, glance));
        }
        let mut whole = overall(glance.view, BAR_COLUMNS);
        if active.len() > drawn.len() {
            whole += &format!(" · {} not shown", count(active.len() - drawn.len()));
        }
        if let Some(reason) = &glance.view.halt {
            whole += &format!(" · HALT: {}", escaped(reason));
        }
        set(&self.total, &whole);
        // What the drawing rate held back a moment ago is drawn now, even if nothing changed.
        self.total.tick();
    }

    /// Prints lines of the log above the bars. Nothing is printed where the bars are hidden.
    pub fn say(&self, text: &str) {
        for line in text.lines() {
            // The terminal may be gone; the same line is in run.log.
            let _ = self.multi.println(counted(&escaped(line)));
        }
    }

    /// Takes all bars off the screen; what was said stays.
    pub fn finish(&mut self) {
        for line in std::mem::take(&mut self.lines).into_values() {
            self.multi.remove(&line);
        }
        self.total.finish_and_clear();
        let _ = self.multi.clear();
    }
}

fn text_line() -> ProgressBar {
    let line = ProgressBar::new_spinner();
    // The template is a constant; were it wrong, indicatif's own style would show the same words.
    match ProgressStyle::with_template("{wide_msg}") {
        Ok(style) => line.with_style(style),
        Err(_) => line,
    }
}

fn set(line: &ProgressBar, text: &str) {
    let text = counted(text);
    if line.message() != text {
        line.set_message(text);
    }
}

fn feature_text(feature: &FeatureView, glance: &Glance<'_>) -> String {
    let slug = padded(feature.slug.as_str(), SLUG_COLUMNS);
    let stage = stage_name(feature.stage);
    let iteration = format!("#{}", feature.iteration);
    let time = elapsed(glance.now.since_ms(feature.since));
    let output = glance.words.get(&feature.slug);
    let words = about(feature, output, glance.now, WORD_COLUMNS);
    format!("{slug} {stage:<9} {iteration:<4} {time:>6}  {words}")
}

/// indicatif, built without width tables, counts characters. An invisible one (combining grapheme
/// joiner) before each wide one makes its count the number of columns, so that cutting fits the terminal.
fn counted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_wide(c) {
            out.push('\u{34f}');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests;
