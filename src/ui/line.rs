//! A line that a person types: its text and where the cursor is.
//!
//! Never knows what it is typed for.

use super::columns::{char_columns, columns};
use super::key::Key;

/// A line that is being typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Line {
    text: String,
    /// In bytes, at a character's border.
    cursor: usize,
}

/// What stands for the end of a line inside of pasted text.
const NEW_LINE: char = '↵';

impl Line {
    /// A line that was typed already, with the cursor at its end.
    pub(super) fn of(text: String) -> Self {
        Self {
            cursor: text.len(),
            text,
        }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Takes a key; whether it meant something here.
    pub(super) fn press(&mut self, key: &Key) -> bool {
        match key {
            Key::Char(c) => self.insert(&c.to_string()),
            Key::Paste(text) => self.insert(&text.replace("\r\n", "\n").replace('\r', "\n")),
            Key::Left | Key::Ctrl('b') => self.cursor -= self.before(),
            Key::Right | Key::Ctrl('f') => self.cursor += self.after(),
            Key::Home | Key::Ctrl('a') => self.cursor = 0,
            Key::End | Key::Ctrl('e') => self.cursor = self.text.len(),
            Key::Backspace | Key::Ctrl('h') => self.remove_before(self.before()),
            Key::Delete | Key::Ctrl('d') => {
                let end = self.cursor + self.after();
                self.text.replace_range(self.cursor..end, "");
            }
            Key::Ctrl('u') => self.remove_before(self.cursor),
            Key::Ctrl('k') => self.text.truncate(self.cursor),
            Key::Ctrl('w') => {
                let head = &self.text[..self.cursor];
                let word = head.trim_end().rfind(char::is_whitespace);
                let begin = word.map_or(0, |at| {
                    at + head[at..].chars().next().map_or(1, char::len_utf8)
                });
                self.remove_before(self.cursor - begin);
            }
            _ => return false,
        }
        true
    }

    /// What fits into so many columns around the cursor, and the cursor's column in it.
    pub(super) fn shown(&self, most: usize, on_screen: impl Fn(&str) -> String) -> (String, usize) {
        let show = |text: &str| on_screen(&text.replace('\n', &NEW_LINE.to_string()));
        let (head, tail) = (
            show(&self.text[..self.cursor]),
            show(&self.text[self.cursor..]),
        );
        let mut head = head.as_str();
        let mut at = columns(head);
        // The cursor has a column of its own.
        while at + 1 > most {
            let Some(first) = head.chars().next() else {
                break;
            };
            at -= char_columns(first);
            head = &head[first.len_utf8()..];
        }
        let mut text = head.to_owned();
        let mut room = most.saturating_sub(at);
        for c in tail.chars() {
            let Some(left) = room.checked_sub(char_columns(c)) else {
                break;
            };
            room = left;
            text.push(c);
        }
        (text, at)
    }

    fn insert(&mut self, text: &str) {
        self.text.insert_str(self.cursor, text);
        self.cursor += text.len();
    }

    fn remove_before(&mut self, bytes: usize) {
        let begin = self.cursor - bytes;
        self.text.replace_range(begin..self.cursor, "");
        self.cursor = begin;
    }

    fn before(&self) -> usize {
        let before = self.text[..self.cursor].chars().next_back();
        before.map_or(0, char::len_utf8)
    }

    fn after(&self) -> usize {
        let after = self.text[self.cursor..].chars().next();
        after.map_or(0, char::len_utf8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(keys: &[Key]) -> Line {
        let mut line = Line::default();
        for key in keys {
            line.press(key);
        }
        line
    }

    fn text(text: &str) -> Vec<Key> {
        text.chars().map(Key::Char).collect()
    }

    #[test]
    fn a_line_is_typed_and_mended() {
        let mut keys = text("größer 日本");
        keys.extend([
            Key::Left,
            Key::Backspace,
            Key::Char('x'),
            Key::Home,
            Key::Delete,
        ]);
        assert_eq!(typed(&keys).text(), "rößer x本");
        keys.extend([Key::End, Key::Ctrl('w')]);
        assert_eq!(typed(&keys).text(), "rößer ");
        keys.extend([
            Key::Ctrl('w'),
            Key::Ctrl('w'),
            Key::Backspace,
            Key::Left,
            Key::Delete,
        ]);
        assert_eq!(typed(&keys).text(), "");
        let pasted = typed(&[Key::Paste("a\r\nb".into()), Key::Ctrl('u')]);
        assert_eq!(pasted, Line::default());
        assert_eq!(typed(&[Key::Paste("a\r\nb".into())]).text(), "a\nb");
        assert!(!Line::default().press(&Key::PageUp));
    }

    #[test]
    fn the_cursor_is_always_in_sight() {
        let line = typed(&text("abcdefghij"));
        let same = str::to_owned;
        assert_eq!(line.shown(20, same), ("abcdefghij".to_owned(), 10));
        assert_eq!(line.shown(5, same), ("ghij".to_owned(), 4));
        let mut line = line;
        line.press(&Key::Home);
        assert_eq!(line.shown(5, same), ("abcde".to_owned(), 0));
        assert_eq!(line.shown(0, same), (String::new(), 0));
    }
}
