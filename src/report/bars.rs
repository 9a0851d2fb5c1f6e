//! Live bars on a terminal: how the whole stands, and one line for each feature being worked on.
//!
//! Draws to stderr through indicatif. Losing a picture harms nobody, so nothing here can fail.

use super::Glance;
use super::text::{count, elapsed, escaped, padded};
use super::words::{about, is_active, overall, stage_name};
use crate::core::{FeatureView, Stage};
use crate::model::Slug;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::BTreeMap;
use std::io::{self, Write};

/// Features that get a line; a picture higher than the terminal cannot be redrawn.
const MAX_LINES: usize = 16;
const BAR_COLUMNS: usize = 20;
const SLUG_COLUMNS: usize = 20;
/// Words handed to indicatif, which cuts them to the terminal.
const WORD_COLUMNS: usize = 300;

/// The live picture of `harness run` and `status --watch`. The overall bar is the lowest line.
pub struct Bars {
    /// Where lines of the log go: not through indicatif, which would miscount wide characters.
    out: Box<dyn Write + Send>,
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
        Self::on(ProgressDrawTarget::stderr(), Box::new(io::stderr()))
    }

    fn on(target: ProgressDrawTarget, out: Box<dyn Write + Send>) -> Self {
        let multi = MultiProgress::with_draw_target(target);
        let total = multi.add(text_line());
        Self {
            out,
            multi,
            total,
            lines: BTreeMap::new(),
        }
    }

    /// Whether nothing is drawn because stderr is no terminal.
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

    /// Prints lines of the log above the bars, or plainly where the bars are hidden.
    pub fn say(&mut self, text: &str) {
        let mut lines = String::with_capacity(text.len() + 1);
        for line in text.lines() {
            lines.push_str(&escaped(line));
            lines.push('\n');
        }
        // Not `suspend`: it panics when the terminal is gone (a closed window, a lost connection), and a
        // picture must not end a run. The same lines are in run.log.
        if self.multi.clear().is_err() {
            self.multi.set_draw_target(ProgressDrawTarget::hidden());
        }
        let _ = self
            .out
            .write_all(lines.as_bytes())
            .and_then(|()| self.out.flush());
        self.total.tick();
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
    let text = narrow(text);
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

/// The same text with `?` for every character that is not surely one column wide. indicatif, built
/// without width tables, counts characters and relies on lines that fill the terminal exactly: one wide
/// or combining character would shift the whole picture.
fn narrow(text: &str) -> String {
    let one = |c: char| {
        matches!(c, ' '..='~' | '\u{a1}'..='\u{ac}' | '\u{ae}'..='\u{2ff}' | '\u{370}'..='\u{377}'
            | '\u{37a}'..='\u{37f}' | '\u{384}'..='\u{482}' | '\u{48a}'..='\u{52f}' | '\u{2010}'..='\u{2027}'
            | '\u{2030}'..='\u{205e}' | '\u{20a0}'..='\u{20c0}' | '\u{2190}'..='\u{22ff}' | '\u{2500}'..='\u{25fc}'
            | '\u{2713}'..='\u{2718}')
    };
    text.chars().map(|c| if one(c) { c } else { '?' }).collect()
}

#[cfg(test)]
mod tests;
