//! Where everything stands on the screen, and drawing it: how the whole stands, the list, the text, the bottom lines.
//!
//! Never changes what is shown, only which part of it is in sight.

use super::columns::{columns, cut, fitting, wrapped};
use super::footer::{self, Footer};
use super::help::KEYS;
use super::list;
use super::page::INDENT;
use super::screen::{Focus, Mode, Pane, Screen};
use crate::report::name_cut;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;

/// Smaller than this nothing can be shown.
const LEAST: (u16, u16) = (24, 5);
/// From so many columns on, the text stands beside the list, not below it.
const WIDE: u16 = 110;
/// From so many rows on, the text stands below the list; with fewer there is one at a time.
const TALL: u16 = 14;

/// Draws the view; gives where the cursor is, if there is one.
pub fn draw(screen: &mut Screen, area: Rect, buf: &mut Buffer) -> Option<Position> {
    screen.stale = false;
    if area.width < LEAST.0 || area.height < LEAST.1 {
        screen.shows_pane = false;
        let text = format!("too small: {} by {} at least", LEAST.0, LEAST.1);
        put(buf, area, 0, &text, Style::new());
        return None;
    }
    let footer = Footer::of(screen, area);
    let foot = footer.height();
    let head = head(screen, area.height);
    let body = Rect {
        y: area.y + head,
        height: area.height - head - foot,
        ..area
    };
    draw_head(
        screen,
        Rect {
            height: head,
            ..area
        },
        buf,
    );
    if let Mode::Help(top) = screen.mode {
        screen.shows_pane = false;
        let top = draw_help(screen, body, buf, top);
        screen.mode = Mode::Help(top);
    } else {
        draw_body(screen, body, buf);
    }
    let foot = Rect {
        y: body.bottom(),
        height: foot,
        ..area
    };
    footer::draw(&footer, screen, foot, buf)
}

/// Rows for how the whole stands.
fn head(screen: &Screen, rows: u16) -> u16 {
    let most: u16 = match rows {
        0..10 => 0,
        10..16 => 1,
        16..30 => 2,
        _ => 5,
    };
    let trouble = u16::from(screen.trouble.is_some());
    let notices = u16::try_from(screen.facts.notices.len()).unwrap_or(u16::MAX);
    1 + (notices.min(most)).max(trouble)
}

fn draw_head(screen: &Screen, area: Rect, buf: &mut Buffer) {
    let theme = screen.theme;
    put(buf, area, 0, &screen.facts.whole, theme.strong());
    let trouble = screen.trouble.iter().map(|text| (text.as_str(), true));
    let notices = screen.facts.notices.iter();
    let notices = notices.map(|(text, urgent)| (text.as_str(), *urgent));
    for (row, (text, urgent)) in (1..area.height).zip(trouble.chain(notices)) {
        let style = if urgent { theme.urgent() } else { Style::new() };
        put(buf, area, row, text, style);
    }
}

fn draw_body(screen: &mut Screen, area: Rect, buf: &mut Buffer) {
    let (list, pane) = areas(screen, area);
    (screen.shows_list, screen.shows_pane) = (list.is_some(), pane.is_some());
    if let Some(list) = list {
        list::draw(screen, list, buf);
    }
    if let Some(pane) = pane {
        draw_pane(screen, pane, buf);
    }
    if let (Some(list), Some(pane)) = (list, pane)
        && list.y == pane.y
    {
        for y in area.y..area.bottom() {
            buf.set_string(list.right(), y, "│", screen.theme.dim());
        }
    }
}

/// Where the list and the text are.
fn areas(screen: &mut Screen, area: Rect) -> (Option<Rect>, Option<Rect>) {
    screen.is_small = area.height < TALL && (area.width < WIDE || area.height < 4);
    if screen.whole_screen {
        return (None, Some(area));
    }
    if area.width >= WIDE && area.height >= 4 {
        let list = (area.width.saturating_mul(9) / 20).min(100);
        let left = Rect {
            width: list,
            ..area
        };
        let right = Rect {
            x: area.x + list + 1,
            width: area.width - list - 1,
            ..area
        };
        return (Some(left), Some(right));
    }
    if area.height >= TALL {
        let rows = u16::try_from(screen.facts.rows.len()).unwrap_or(u16::MAX);
        let list = rows.saturating_add(1).clamp(4, area.height / 2);
        let above = Rect {
            height: list,
            ..area
        };
        let below = Rect {
            y: area.y + list,
            height: area.height - list,
            ..area
        };
        return (Some(above), Some(below));
    }
    match screen.focus {
        Focus::List => (Some(area), None),
        Focus::Pane => (None, Some(area)),
    }
}

fn draw_pane(screen: &mut Screen, area: Rect, buf: &mut Buffer) {
    draw_tabs(screen, area, buf);
    let text = below_first(area);
    let theme = screen.theme;
    let (width, height) = (usize::from(text.width), usize::from(text.height));
    screen.pane_columns = width;
    if height == 0 {
        return;
    }
    let reader = screen.reader_mut();
    reader.lay(width, height);
    if reader.is_empty() {
        let pieces = wrapped(reader.title(), width, 0);
        for (row, (begin, end)) in (0..text.height).zip(pieces) {
            put(buf, text, row, &reader.title()[begin..end], theme.dim());
        }
        return;
    }
    for (row, (line, look, goes_on)) in (0..).zip(reader.in_sight()) {
        let indent = if goes_on { INDENT.min(width / 4) } else { 0 };
        let room = width.saturating_sub(indent);
        let x = text.x + u16::try_from(indent).unwrap_or(0);
        buf.set_string(x, text.y + row, cut(line, room), theme.look(look));
    }
}

/// ` 1 log  2 diff  3 why  4 graph │ auth: 3 files, +12 -1 · 40% `.
fn draw_tabs(screen: &Screen, area: Rect, buf: &mut Buffer) {
    let has_focus = screen.focus == Focus::Pane;
    let theme = screen.theme;
    let bar = theme.bar(has_focus);
    fill(buf, area, 0, bar);
    let mut x = area.x;
    let width = usize::from(area.width);
    let short = width < 60;
    for (n, pane) in (1..).zip(Pane::ALL) {
        let is_it = pane == screen.pane;
        let name = match (pane, screen.output) {
            (Pane::Log, true) => "output",
            _ => pane.name(),
        };
        let text = match (short, is_it) {
            (true, false) => format!(" {n}"),
            _ => format!(" {n} {name} "),
        };
        let style = if is_it { theme.strong() } else { bar };
        let room = usize::from(area.right().saturating_sub(x));
        let text = fitting(&text, room);
        buf.set_string(x, area.y, text, style);
        x += u16::try_from(columns(text)).unwrap_or(0);
    }
    let reader = screen.reader();
    let mut right = reader.place();
    if screen.pane == Pane::Log && !reader.follows() {
        let comma = if right.is_empty() { "" } else { ", " };
        right = format!("{right}{comma}End follows");
    }
    let right = if right.is_empty() {
        right
    } else {
        format!(" {right} ")
    };
    let room = usize::from(area.right().saturating_sub(x)).saturating_sub(columns(&right) + 1);
    let slug = screen.selected().map(|(_, row)| row.slug.to_string());
    // Where the list is in sight, it says of which.
    let slug = slug.filter(|_| screen.pane != Pane::Graph && !screen.shows_list);
    let name = name_cut(&slug.unwrap_or_default(), room.min(40));
    let title = match (reader.title(), name.is_empty()) {
        (title, _) if reader.is_empty() || title.is_empty() => name,
        (title, true) => title.to_owned(),
        (title, false) => format!("{name}: {title}"),
    };
    buf.set_string(x + 1, area.y, cut(&title, room), bar);
    let at = area
        .right()
        .saturating_sub(u16::try_from(columns(&right)).unwrap_or(0));
    if at > x {
        buf.set_string(at, area.y, right, bar);
    }
}

/// All keys, from the first one in sight on; gives which that is.
fn draw_help(screen: &Screen, area: Rect, buf: &mut Buffer, top: usize) -> usize {
    let theme = screen.theme;
    fill(buf, area, 0, theme.bar(true));
    put(
        buf,
        area,
        0,
        " keys; any other one leads back",
        theme.bar(true),
    );
    let text = below_first(area);
    let height = usize::from(text.height);
    let top = top.min(KEYS.len().saturating_sub(height));
    let room = usize::from(text.width);
    let narrow = room < 60;
    let indent = if narrow { 10 } else { 16 };
    for (row, (keys, what)) in (0..text.height).zip(KEYS.iter().skip(top)) {
        buf.set_string(text.x, text.y + row, cut(keys, indent - 1), theme.strong());
        let x = text.x + u16::try_from(indent).unwrap_or(0);
        buf.set_string(
            x,
            text.y + row,
            cut(what, room.saturating_sub(indent)),
            Style::new(),
        );
    }
    top
}

pub(super) fn below_first(area: Rect) -> Rect {
    Rect {
        y: area.y + 1,
        height: area.height - 1,
        ..area
    }
}

/// Writes a row of an area, cut to it.
pub(super) fn put(buf: &mut Buffer, area: Rect, row: u16, text: &str, style: Style) {
    if row < area.height {
        buf.set_string(
            area.x,
            area.y + row,
            cut(text, usize::from(area.width)),
            style,
        );
    }
}

/// Gives all of a row a style.
pub(super) fn fill(buf: &mut Buffer, area: Rect, row: u16, style: Style) {
    if row < area.height {
        let row = Rect {
            y: area.y + row,
            height: 1,
            ..area
        };
        buf.set_style(row, style);
    }
}
