//! Live bars on a terminal: how the whole stands, and one line for each feature being worked on.
//!
//! Draws to stderr through indicatif. Losing a picture harms nobody, so nothing here can fail.

use super::Glance;
use super::text::{count, elapsed, escaped, padded, shown};
use super::words::{about, is_active, overall, stage_shown};
use crate::core::{FeatureView, Stage};
use crate::model::Slug;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::BTreeMap;
use std::io::{self, Write};

/// Features that get a line; a picture higher than the terminal cannot be redrawn.
const MAX_LINES: usize = 16;
const BAR_COLUMNS: usize = 20;
const SLUG_COLUMNS: usize = 20;
/// Columns of a terminal's own note.
const RING_COLUMNS: usize = 200;
/// Words handed to indicatif, which cuts them to the terminal.
const WORD_COLUMNS: usize = 300;

/// The live picture of `harness run` and `status --watch`. The overall bar is the lowest line.
pub struct Bars {
    /// Where lines of the log go: not through indicatif, which trusts its own count of columns.
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
        let mut whole = overall(glance.view, glance.live.is_some(), BAR_COLUMNS);
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

    /// Rings the bell of the terminal and hands it the text for a note of its own (OSC 9); nothing elsewhere.
    pub fn ring(&mut self, text: &str) {
        if self.is_hidden() {
            return;
        }
        let text = format!("\x1b]9;{}\x07\x07", shown(text, RING_COLUMNS));
        let _ = self
            .out
            .write_all(text.as_bytes())
            .and_then(|()| self.out.flush());
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
    let text = steady(text);
    if line.message() != text {
        line.set_message(text);
    }
}

fn feature_text(feature: &FeatureView, glance: &Glance<'_>) -> String {
    let slug = padded(feature.slug.as_str(), SLUG_COLUMNS);
    let stage = stage_shown(feature.stage, glance.live.is_some());
    let iteration = format!("#{}", feature.iteration);
    let time = elapsed(glance.now.since_ms(feature.since));
    let output = glance.words.get(&feature.slug);
    let words = about(
        feature,
        glance.view.halt.is_some(),
        output,
        glance.now,
        WORD_COLUMNS,
    );
    format!("{slug} {stage:<9} {iteration:<4} {time:>6}  {words}")
}

/// The same text with only characters to which every terminal gives the same columns as indicatif does:
/// it relies on lines that fill the terminal exactly, and one character more or less would shift the
/// whole picture. What joins or tints emoji is left out; anything else unsure becomes `?`.
fn steady(text: &str) -> String {
    let one = |c: char| match c {
        '\u{200d}' | '\u{fe00}'..='\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}' => None,
        c if is_narrow(c) || is_combining(c) || is_wide(c) => Some(c),
        _ => Some('?'),
    };
    text.chars().filter_map(one).collect()
}

/// Surely one column.
fn is_narrow(c: char) -> bool {
    matches!(c, ' '..='~' | '\u{a1}'..='\u{ac}' | '\u{ae}'..='\u{2ff}' | '\u{370}'..='\u{377}'
        | '\u{37a}'..='\u{37f}' | '\u{384}'..='\u{482}' | '\u{48a}'..='\u{52f}' | '\u{2010}'..='\u{2027}'
        | '\u{2030}'..='\u{205e}' | '\u{20a0}'..='\u{20c0}' | '\u{2190}'..='\u{22ff}' | '\u{2500}'..='\u{25fc}'
        | '\u{26a0}' | '\u{2713}'..='\u{2718}' | '\u{2764}')
}

/// Surely none: accents on the letter before.
fn is_combining(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{34e}' | '\u{350}'..='\u{36f}')
}

/// Surely two: East Asian scripts, and emoji that need no mark to be shown as such.
fn is_wide(c: char) -> bool {
    matches!(u32::from(c),
        0x2705 | 0x270a..=0x270b | 0x2728 | 0x274c | 0x274e | 0x2753..=0x2755 | 0x2757 | 0x2795..=0x2797
        | 0x26a1 | 0x26d4 | 0x2b50 | 0x3000..=0x3029 | 0x3030..=0x303e | 0x3041..=0x3096 | 0x309b..=0x30ff
        | 0x3105..=0x312f | 0x3131..=0x3163 | 0x3165..=0x318e | 0x3200..=0x321e | 0x3220..=0x3247
        | 0x3250..=0x4dbf | 0x4e00..=0xa48c | 0xac00..=0xd7a3 | 0xf900..=0xfa6d | 0xff01..=0xff60
        | 0xffe0..=0xffe6 | 0x1f300..=0x1f320 | 0x1f32d..=0x1f335 | 0x1f337..=0x1f37c | 0x1f37e..=0x1f393
        | 0x1f3a0..=0x1f3ca | 0x1f3cf..=0x1f3d3 | 0x1f3e0..=0x1f3f0 | 0x1f400..=0x1f43e | 0x1f440
        | 0x1f442..=0x1f4fc | 0x1f4ff..=0x1f53d | 0x1f550..=0x1f567 | 0x1f5fb..=0x1f64f | 0x1f680..=0x1f6c5
        | 0x1f7e0..=0x1f7eb | 0x1f90c..=0x1f93a | 0x1f93c..=0x1f945 | 0x1f947..=0x1f9ff | 0x20000..=0x2a6df)
}

#[cfg(test)]
mod tests;
