//! What keys do.
//!
//! Never carries out what is wanted: it says so.

use super::key::Key;
use super::line::Line;
use super::screen::{Focus, Intent, Mode, Pane, Screen, Verb};
use crate::model::Slug;

/// Steps that stand for all the way.
const ALL_THE_WAY: isize = isize::MAX;

impl Screen {
    /// Takes a key, and says what is wanted of whoever shows this.
    pub fn press(&mut self, key: &Key) -> Option<Intent> {
        self.stale = true;
        let key = match (&self.mode, key) {
            (Mode::Browse, Key::Ctrl('c')) => return Some(Intent::Leave),
            // Out of what is being asked; not out of all of it.
            (_, Key::Ctrl('c')) => &Key::Esc,
            (_, key) => key,
        };
        match key {
            Key::Ctrl('z') => return Some(Intent::Suspend),
            Key::Ctrl('l') => return Some(Intent::LookAgain),
            _ => {}
        }
        match std::mem::take(&mut self.mode) {
            Mode::Browse => self.browse(key),
            Mode::Filter => {
                self.filter(key);
                None
            }
            Mode::Help(top) => {
                self.mode = match key {
                    Key::Down | Key::Char('j') => Mode::Help(top.saturating_add(1)),
                    Key::Up | Key::Char('k') => Mode::Help(top.saturating_sub(1)),
                    _ => Mode::Browse,
                };
                None
            }
            Mode::Confirm(verb) => match key {
                Key::Char('y' | 'Y') => Some(Intent::Do(verb)),
                _ => {
                    self.message = Some(("nothing was done".to_owned(), false));
                    None
                }
            },
            Mode::Answer(slug, line) => self.answer(slug, line, key),
        }
    }

    fn answer(&mut self, slug: Slug, mut line: Line, key: &Key) -> Option<Intent> {
        self.message = None;
        match key {
            Key::Enter if !line.text().trim().is_empty() => {
                Some(Intent::Do(Verb::Unblock(slug, line.text().to_owned())))
            }
            Key::Esc => {
                self.message = Some(("nothing was done".to_owned(), false));
                None
            }
            key => {
                line.press(key);
                self.mode = Mode::Answer(slug, line);
                None
            }
        }
    }

    fn filter(&mut self, key: &Key) {
        match key {
            Key::Enter | Key::Down | Key::Up | Key::Tab => {}
            Key::Esc => self.filter = Line::default(),
            key => {
                self.filter.press(key);
                self.mode = Mode::Filter;
            }
        }
        self.settle();
    }

    fn browse(&mut self, key: &Key) -> Option<Intent> {
        self.message = None;
        match key {
            Key::Char('q') => return Some(Intent::Leave),
            Key::Char('?') => self.mode = Mode::Help(0),
            Key::Char('/') => {
                self.focus = Focus::List;
                self.mode = Mode::Filter;
            }
            Key::Tab => self.turn_to(self.pane.beside(1)),
            Key::BackTab => self.turn_to(self.pane.beside(3)),
            Key::Char('1') => self.turn_to(Pane::Log),
            Key::Char('2') => self.turn_to(Pane::Diff),
            Key::Char('3') => self.turn_to(Pane::Why),
            Key::Char('4') => self.turn_to(Pane::Graph),
            Key::Char('o') => {
                self.turn_to(Pane::Log);
                self.turn_output();
            }
            Key::Char('w') => self.reader_mut().turn_wrapping(),
            Key::Char('z') => {
                self.whole_screen = !self.whole_screen;
                self.focus = Focus::Pane;
            }
            Key::Enter | Key::Right | Key::Char('l') => self.focus = Focus::Pane,
            Key::Left | Key::Char('h') => self.back_to_list(),
            Key::Esc if self.focus == Focus::Pane || self.whole_screen => self.back_to_list(),
            Key::Esc => {
                self.filter = Line::default();
                self.settle();
            }
            Key::Char('J') => self.reader_mut().scroll(1),
            Key::Char('K') => self.reader_mut().scroll(-1),
            key => {
                if let Some(verb) = self.verb(key) {
                    return Some(verb);
                }
                self.travel(key);
            }
        }
        None
    }

    fn verb(&self, key: &Key) -> Option<Intent> {
        let slug = || self.selected().map(|(_, row)| row.slug.clone());
        match key {
            Key::Char('p') if self.facts.paused => Some(Intent::Do(Verb::Resume)),
            Key::Char('p') => Some(Intent::Do(Verb::Pause)),
            Key::Char('S') => Some(Intent::MayI(Verb::Stop)),
            Key::Char('r') => Some(Intent::MayI(Verb::Retry(slug()?))),
            Key::Char('x') => Some(Intent::MayI(Verb::Skip(slug()?))),
            Key::Char('a') => Some(Intent::MayI(Verb::Approve(slug()?, None))),
            Key::Char('u') => Some(Intent::MayI(Verb::Unblock(slug()?, String::new()))),
            _ => None,
        }
    }

    fn turn_to(&mut self, pane: Pane) {
        self.pane = pane;
        if self.is_small {
            self.focus = Focus::Pane;
        }
    }

    fn back_to_list(&mut self) {
        self.focus = Focus::List;
        self.whole_screen = false;
    }

    fn travel(&mut self, key: &Key) {
        let (pages, steps) = match key {
            Key::Down | Key::Char('j') | Key::Ctrl('n') => (false, 1),
            Key::Up | Key::Char('k') | Key::Ctrl('p') => (false, -1),
            Key::PageDown | Key::Char(' ') | Key::Ctrl('f' | 'd') => (true, 1),
            Key::PageUp | Key::Char('b') | Key::Ctrl('b' | 'u') => (true, -1),
            Key::Home | Key::Char('g') => (false, -ALL_THE_WAY),
            Key::End | Key::Char('G') => (false, ALL_THE_WAY),
            _ => return,
        };
        match self.focus {
            Focus::List => {
                let page = isize::try_from(self.list_height.max(1)).unwrap_or(1);
                let steps = if pages { page * steps } else { steps };
                self.select(self.cursor().saturating_add_signed(steps));
            }
            Focus::Pane => {
                let reader = self.reader_mut();
                match (pages, steps) {
                    (true, pages) => reader.turn(pages),
                    (false, ALL_THE_WAY) => reader.go_to_end(),
                    (false, steps) if steps == -ALL_THE_WAY => reader.go_to_begin(),
                    (false, rows) => reader.scroll(rows),
                }
            }
        }
    }
}
