//! The bottom lines: what came of the last thing, what is being asked, and keys.
//!
//! Never decides what a key does.

use super::columns::{columns, cut, fitting, wrapped};
use super::draw::{fill, put};
use super::screen::{Focus, Mode, Screen, Verb};
use crate::core::Stage;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;

/// Rows for words that matter.
const MOST_ROWS: usize = 4;

/// What the bottom lines say.
pub(super) struct Footer {
    /// Words above the last line, and whether they are bad news.
    words: Vec<String>,
    bad: bool,
}

impl Footer {
    pub(super) fn of(screen: &Screen, area: Rect) -> Self {
        let (text, bad) = match (&screen.mode, &screen.message) {
            // Why it was not given.
            (Mode::Answer(..), Some((text, true))) => (text.clone(), true),
            (Mode::Answer(slug, _), _) => {
                let rows = screen.facts.rows.iter();
                let asked = rows.clone().find(|row| row.slug == *slug);
                let words = asked.map_or("", |row| row.words.as_str());
                let text = match asked.map(|row| row.stage) {
                    Some(Stage::Review) => format!("what is to be changed of {slug}: {words}"),
                    _ => format!("{slug} asks: {words}"),
                };
                (text, false)
            }
            (Mode::Browse, Some((text, bad))) => (text.clone(), *bad),
            _ => (String::new(), false),
        };
        let most = MOST_ROWS.min(usize::from(area.height / 4).max(1));
        let width = usize::from(area.width);
        let words = match text.is_empty() {
            true => Vec::new(),
            false => rows(&text, width, most),
        };
        Self { words, bad }
    }

    pub(super) fn height(&self) -> u16 {
        u16::try_from(self.words.len() + 1).unwrap_or(1)
    }
}

/// A text on at most so many rows.
fn rows(text: &str, width: usize, most: usize) -> Vec<String> {
    let pieces = wrapped(text, width, 0);
    let mut rows: Vec<String> = pieces
        .iter()
        .take(most)
        .map(|(begin, end)| text[*begin..*end].trim_end().to_owned())
        .collect();
    if let (Some(last), Some((begin, _))) = (rows.last_mut(), pieces.get(most - 1))
        && pieces.len() > most
    {
        *last = cut(&text[*begin..], width);
    }
    rows
}

/// Draws them; gives where the cursor is, if there is one.
pub(super) fn draw(
    footer: &Footer,
    screen: &Screen,
    area: Rect,
    buf: &mut Buffer,
) -> Option<Position> {
    let theme = screen.theme;
    let style = if footer.bad {
        theme.urgent()
    } else {
        theme.strong()
    };
    for (row, text) in (0..).zip(&footer.words) {
        put(buf, area, row, text, style);
    }
    let last = Rect {
        y: area.bottom() - 1,
        height: 1,
        ..area
    };
    match &screen.mode {
        Mode::Filter => typed(buf, last, "/", &screen.filter, style),
        Mode::Answer(_, line) => typed(
            buf,
            last,
            "answer (Enter sends, Esc does not): ",
            line,
            style,
        ),
        Mode::Confirm(verb) => {
            put(buf, last, 0, &question(verb), theme.urgent());
            None
        }
        Mode::Browse | Mode::Help(_) => {
            draw_keys(screen, last, buf);
            None
        }
    }
}

fn question(verb: &Verb) -> String {
    match verb {
        Verb::Retry(slug) => format!("retry {slug}? agents are called for it again (y/n)"),
        Verb::Skip(slug) => {
            format!("leave {slug} out? what its agent does is stopped and kept (y/n)")
        }
        Verb::Approve(slug, Some(tip)) => {
            format!("let {slug} land as it stands at {}? (y/n)", tip.short())
        }
        Verb::Approve(slug, None) => format!("let {slug} land? (y/n)"),
        Verb::Stop => "stop the run? it starts nothing new and ends (y/n)".to_owned(),
        Verb::Pause | Verb::Resume | Verb::Unblock(..) => "really? (y/n)".to_owned(),
    }
}

fn typed(
    buf: &mut Buffer,
    area: Rect,
    prompt: &str,
    line: &super::line::Line,
    style: Style,
) -> Option<Position> {
    let width = usize::from(area.width);
    // At least half of the line is for what is typed.
    let prompt = cut(prompt, (width / 2).max(1));
    put(buf, area, 0, &prompt, style);
    let begin = columns(&prompt);
    let (text, cursor) = line.shown(width.saturating_sub(begin), crate::report::on_screen);
    let x = |columns: usize| area.x + u16::try_from(columns).unwrap_or(0);
    buf.set_string(x(begin), area.y, text, Style::new());
    Some(Position::new(x(begin + cursor), area.y))
}

fn draw_keys(screen: &Screen, area: Rect, buf: &mut Buffer) {
    let theme = screen.theme;
    fill(buf, area, 0, theme.dim());
    let mut keys: Vec<(&str, &str)> = vec![("?", "keys"), ("q", "leave")];
    match screen.selected().map(|(_, row)| row.stage) {
        Some(Stage::Blocked) => keys.push(("u", "answer")),
        Some(Stage::Review) => keys.extend([("a", "approve"), ("u", "send back")]),
        Some(Stage::LeftOut) => keys.push(("r", "retry")),
        Some(stage) if stage.needs_a_person() => keys.push(("r", "retry")),
        _ => {}
    }
    if screen.focus == Focus::Pane || screen.whole_screen {
        keys.push(("Esc", "list"));
    } else {
        keys.push(("Enter", "read"));
    }
    keys.push(("/", "filter"));
    keys.push((
        "p",
        if screen.facts.paused {
            "resume"
        } else {
            "pause"
        },
    ));
    keys.extend([
        ("Tab", "next"),
        ("o", "output"),
        ("w", "wrap"),
        ("z", "whole screen"),
        ("x", "skip"),
        ("S", "stop"),
    ]);
    let filter = crate::report::on_screen(screen.filter.text());
    let mut x = area.x;
    let mut write = |text: &str, style: Style| {
        let room = usize::from(area.right().saturating_sub(x));
        let text = fitting(text, room);
        buf.set_string(x, area.y, text, style);
        x += u16::try_from(columns(text)).unwrap_or(0);
    };
    if !filter.is_empty() {
        write(&format!("only /{}  ", cut(&filter, 20)), theme.strong());
    }
    let width = usize::from(area.width);
    let mut used = if filter.is_empty() {
        0
    } else {
        columns(&filter).min(20) + 8
    };
    for (key, what) in keys {
        let needed = columns(key) + columns(what) + 3;
        if used + needed > width + 2 {
            break;
        }
        used += needed;
        write(key, theme.strong());
        write(&format!(" {what}  "), theme.dim());
    }
}
