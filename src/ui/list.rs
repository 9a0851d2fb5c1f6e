//! The list of features.
//!
//! Never changes which of them is selected, only which are in sight.

use super::columns::{cut, padded};
use super::draw::{below_first, fill, put};
use super::screen::{Focus, Screen};
use crate::report::{Row, name_cut};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Columns for what is said of a feature before names are cut to make room for it.
const WORDS: usize = 32;

/// How many columns each part of a row takes.
struct Parts {
    name: usize,
    stage: usize,
    iteration: usize,
    time: usize,
    tokens: usize,
}

impl Parts {
    fn of(rows: &[&Row], width: usize) -> Self {
        let longest = |part: &dyn Fn(&Row) -> usize| rows.iter().map(|row| part(row)).max();
        let is_wide = width >= 60;
        let tokens = longest(&|row| row.tokens.len()).unwrap_or(0);
        let parts = Self {
            name: longest(&|row| row.slug.as_str().len()).unwrap_or(0).max(7),
            stage: longest(&|row| row.stage_name.len()).unwrap_or(0).max(7),
            iteration: if is_wide { 4 } else { 0 },
            time: if is_wide { 7 } else { 0 },
            tokens: if is_wide && tokens > 0 {
                tokens.max(6) + 1
            } else {
                0
            },
        };
        let others = 2 + parts.stage + parts.iteration + parts.time + parts.tokens + 2;
        let room = width.saturating_sub(others + WORDS);
        Self {
            name: parts.name.min(room.max(width / 3)),
            ..parts
        }
    }

    fn head(&self) -> String {
        let mut out = format!(
            " {} {:<2$}",
            padded("feature", self.name),
            "stage",
            self.stage
        );
        if self.iteration > 0 {
            out.push_str(&format!("{:>1$}", "#", self.iteration));
            out.push_str(&format!("{:>1$}", "for", self.time));
        }
        if self.tokens > 0 {
            out.push_str(&format!("{:>1$}", "tokens", self.tokens));
        }
        out.push_str("  what");
        out
    }

    /// What stands behind the stage.
    fn rest(&self, row: &Row) -> String {
        let mut out = String::new();
        if self.iteration > 0 {
            let number = match row.iteration {
                0 => String::new(),
                number => number.to_string(),
            };
            out.push_str(&format!("{number:>0$}", self.iteration));
            out.push_str(&format!("{:>1$}", row.time, self.time));
        }
        if self.tokens > 0 {
            out.push_str(&format!("{:>1$}", row.tokens, self.tokens));
        }
        out.push_str("  ");
        out.push_str(&row.words);
        out
    }
}

/// Draws it.
pub(super) fn draw(screen: &mut Screen, area: Rect, buf: &mut Buffer) {
    let theme = screen.theme;
    let has_focus = screen.focus == Focus::List;
    let body = below_first(area);
    let height = usize::from(body.height);
    let cursor = screen.cursor();
    screen.list_height = height;
    let number = screen.rows().len();
    let last_top = number.saturating_sub(height);
    let first = (cursor + 1).saturating_sub(height);
    screen.list_top = screen
        .list_top
        .clamp(first, cursor.max(first))
        .min(last_top);
    let rows = screen.rows();
    let parts = Parts::of(&rows, usize::from(area.width));
    fill(buf, area, 0, theme.bar(has_focus));
    let mut head = parts.head();
    if number > height {
        let last = (screen.list_top + height).min(number);
        let place = format!(" {}-{last} of {number} ", screen.list_top + 1);
        let room = usize::from(area.width).saturating_sub(place.len());
        head = format!("{}{place}", padded(&head, room));
    }
    put(buf, area, 0, &head, theme.bar(has_focus));
    if rows.is_empty() {
        let text = match screen.facts.rows.is_empty() {
            true => " no features",
            false => " no feature has that; Esc shows all",
        };
        put(buf, body, 0, text, theme.dim());
        return;
    }
    let in_sight = rows.iter().enumerate().skip(screen.list_top).take(height);
    for (y, (place, row)) in (0..).zip(in_sight) {
        let is_selected = place == cursor;
        let mark = if row.needs_you { "!" } else { " " };
        let name = padded(&name_cut(row.slug.as_str(), parts.name), parts.name);
        put(buf, body, y, &format!("{mark}{name}"), theme.strong());
        let mut rest = body;
        let mut skip = |columns: usize| {
            let columns = u16::try_from(columns).unwrap_or(0).min(rest.width);
            rest.x += columns;
            rest.width -= columns;
            rest
        };
        let stage = skip(parts.name + 2);
        let style = theme.stage(row.stage, row.needs_you);
        put(buf, stage, y, &cut(row.stage_name, parts.stage), style);
        put(
            buf,
            skip(parts.stage),
            y,
            &parts.rest(row),
            ratatui::style::Style::new(),
        );
        if is_selected {
            fill(buf, body, y, theme.selected(has_focus));
        }
    }
}
