//! Live lines on a terminal: drawn, redrawn, taken away; and the progress that some terminals show by themselves.
//!
//! Draws to stderr through indicatif. Losing a picture harms nobody, so nothing here can fail.

use super::Glance;
use super::live::{self, Canvas};
use super::text::{escaped, shown};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, Write};

/// Columns of a terminal's own note.
const RING_COLUMNS: usize = 200;

/// What the terminal of a live picture can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terminal {
    /// Columns.
    pub columns: usize,
    /// Rows.
    pub rows: usize,
    /// Whether colours are wanted.
    pub colour: bool,
    /// Whether it shows how far something has come by itself, when it is told (`OSC 9;4`).
    pub progress: bool,
    /// Whether it makes links of what is marked as such (`OSC 8`).
    pub links: bool,
}

/// The live picture of `harness run` and `status --watch`, below what has been said.
pub struct Bars {
    /// Where lines of the log go: not through indicatif, which trusts its own count of columns.
    out: Box<dyn Write + Send>,
    multi: MultiProgress,
    picture: ProgressBar,
    /// How much the terminal was told to show; `None`: nothing.
    told: Option<usize>,
}

impl Default for Bars {
    fn default() -> Self {
        Self::new()
    }
}

impl Bars {
    /// A picture on stderr; hidden when that is no terminal.
    #[must_use]
    pub fn new() -> Self {
        let target = ProgressDrawTarget::stderr();
        Self::on(target, Box::new(io::stderr()))
    }

    fn on(target: ProgressDrawTarget, out: Box<dyn Write + Send>) -> Self {
        let multi = MultiProgress::with_draw_target(target);
        let picture = ProgressBar::new_spinner();
        // The template is a constant; were it wrong, indicatif's own style would show the same words.
        let picture = match ProgressStyle::with_template("{msg}") {
            Ok(style) => picture.with_style(style),
            Err(_) => picture,
        };
        Self {
            out,
            picture: multi.add(picture),
            multi,
            told: None,
        }
    }

    /// Whether nothing is drawn because stderr is no terminal.
    #[must_use]
    pub fn is_hidden(&self) -> bool {
        self.multi.is_hidden()
    }

    /// Draws the picture. Cheap where little changed; what comes too often for an eye is held back.
    pub fn show(&mut self, glance: &Glance<'_>, terminal: Terminal) {
        if self.is_hidden() {
            return;
        }
        let canvas = Canvas {
            // A line that fills the last column makes some terminals wrap.
            columns: terminal.columns.saturating_sub(1).max(1),
            rows: terminal.rows,
            colour: terminal.colour,
            links: terminal.links,
        };
        let text = live::lines(glance, canvas).join("\n");
        if terminal.progress {
            self.tell(Some(live::percent(glance)));
        }
        // What the drawing rate held back a moment ago is drawn now, even if nothing changed.
        match self.picture.message() == text {
            true => self.picture.tick(),
            false => self.picture.set_message(text),
        }
    }

    /// Prints lines of the log above the picture, or plainly where that is hidden.
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
        self.write(&lines);
        self.picture.tick();
    }

    /// Rings the bell of the terminal and hands it the text for a note of its own (OSC 9); nothing elsewhere.
    pub fn ring(&mut self, text: &str) {
        if !self.is_hidden() {
            self.write(&format!("\x1b]9;{}\x07\x07", shown(text, RING_COLUMNS)));
        }
    }

    /// Takes the picture off the screen; what was said stays.
    pub fn finish(&mut self) {
        self.picture.finish_and_clear();
        let _ = self.multi.clear();
        self.tell(None);
    }

    /// Has the terminal itself show how much is done, or nothing any more.
    fn tell(&mut self, percent: Option<usize>) {
        if self.told == percent {
            return;
        }
        self.told = percent;
        match percent {
            Some(percent) => self.write(&format!("\u{1b}]9;4;1;{percent}\u{1b}\\")),
            None => self.write("\u{1b}]9;4;0;0\u{1b}\\"),
        }
    }

    fn write(&mut self, text: &str) {
        let _ = self
            .out
            .write_all(text.as_bytes())
            .and_then(|()| self.out.flush());
    }
}

/// However a picture ends, in a panic too, the terminal is not left with half of it.
impl Drop for Bars {
    fn drop(&mut self) {
        self.tell(None);
    }
}

#[cfg(test)]
mod tests;
