//! Lines of text that a person reads through: wrapped or cut to a width, scrolled, and following what is added.
//!
//! Never knows what the text says; it must be safe for a terminal already.

use super::columns::wrapped;

/// Columns by which the rest of a wrapped line is moved in.
pub(super) const INDENT: usize = 2;

/// What a line looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Look {
    /// As text does.
    #[default]
    Plain,
    /// A heading.
    Strong,
    /// Beside the point.
    Dim,
    /// New.
    Added,
    /// Gone.
    Removed,
    /// A person's business.
    Urgent,
    /// At work.
    Busy,
    /// Done.
    Landed,
    /// Where something is.
    Place,
}

/// A line of text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    /// What it says.
    pub text: String,
    /// What it looks like.
    pub look: Look,
}

/// Text to be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// What is to be said of all of it; may be empty.
    pub title: String,
    /// Its lines.
    pub lines: Vec<Text>,
}

/// A page, and the part of it that is in sight.
#[derive(Clone, Debug)]
pub(super) struct Reader {
    page: Page,
    /// Whether it is only waiting for its first text.
    blank: bool,
    wraps: bool,
    /// Whether what is added at the end matters.
    grows: bool,
    /// Whether it is to be seen.
    follows: bool,
    /// The first row in sight.
    top: usize,
    /// Rows in sight, as of when it was last drawn.
    height: usize,
    /// For which width `rows` was made.
    width: usize,
    /// Whether `rows` is of an earlier text.
    is_old: bool,
    /// For each row: its line, and where in that it begins and ends.
    rows: Vec<(usize, usize, usize)>,
}

impl Reader {
    /// Nothing yet; `grows`: what is added at its end is what matters.
    pub(super) fn new(wraps: bool, grows: bool) -> Self {
        Self {
            page: Page::default(),
            blank: true,
            wraps,
            grows,
            follows: grows,
            top: 0,
            height: 1,
            width: 0,
            is_old: false,
            rows: Vec::new(),
        }
    }

    pub(super) fn title(&self) -> &str {
        &self.page.title
    }

    pub(super) fn is_empty(&self) -> bool {
        self.page.lines.is_empty()
    }

    pub(super) fn is_blank(&self) -> bool {
        self.blank
    }

    pub(super) fn follows(&self) -> bool {
        self.follows
    }

    /// Takes in another text in place of this one; whether it is another.
    pub(super) fn take(&mut self, page: Page) -> bool {
        let is_other = page != self.page;
        self.blank = false;
        if is_other {
            self.page = page;
            self.is_old = true;
        }
        is_other
    }

    pub(super) fn turn_wrapping(&mut self) {
        self.wraps = !self.wraps;
        self.width = 0;
    }

    /// Makes rows for a width, and puts the part in sight where it must be. To be called before rows are read.
    pub(super) fn lay(&mut self, width: usize, height: usize) {
        self.height = height.max(1);
        if self.is_old || width != self.width {
            // The line at the top stays there; in the same width, its row does.
            let line = self.rows.get(self.top).map(|(line, ..)| *line);
            let row = match line.filter(|_| width == self.width) {
                Some(line) => self.top - self.first_row(line),
                None => 0,
            };
            self.width = width;
            self.is_old = false;
            self.rows = self.rows_for(width);
            if let Some(line) = line {
                let (first, next) = (self.first_row(line), self.first_row(line + 1));
                self.top = (first + row).min(next.saturating_sub(1)).max(first);
            }
        }
        if self.last_top() == 0 {
            // All of it is in sight, and so is what is added.
            self.follows = self.grows;
        }
        if self.follows {
            self.top = self.last_top();
        }
        self.top = self.top.min(self.last_top());
    }

    fn rows_for(&self, width: usize) -> Vec<(usize, usize, usize)> {
        let mut rows = Vec::with_capacity(self.page.lines.len());
        for (n, line) in self.page.lines.iter().enumerate() {
            if self.wraps {
                let pieces = wrapped(&line.text, width, INDENT.min(width / 4));
                rows.extend(pieces.into_iter().map(|(begin, end)| (n, begin, end)));
            } else {
                rows.push((n, 0, line.text.len()));
            }
        }
        rows
    }

    /// The first row of a line; if there is no such line, the end.
    fn first_row(&self, line: usize) -> usize {
        self.rows.partition_point(|(other, ..)| *other < line)
    }

    fn last_top(&self) -> usize {
        self.rows.len().saturating_sub(self.height)
    }

    /// The rows in sight: text, look, and whether it is the rest of a line.
    pub(super) fn in_sight(&self) -> impl Iterator<Item = (&str, Look, bool)> {
        let rows = self.rows.iter().skip(self.top).take(self.height);
        rows.filter_map(|(line, begin, end)| {
            let line = self.page.lines.get(*line)?;
            let text = line.text.get(*begin..*end)?;
            Some((text, line.look, *begin > 0))
        })
    }

    /// How far one has read: `12%`, `end`.
    pub(super) fn place(&self) -> String {
        match self.last_top() {
            0 => String::new(),
            last if self.top >= last => "end".to_owned(),
            last => format!("{}%", self.top * 100 / last),
        }
    }

    /// Moves by so many rows.
    pub(super) fn scroll(&mut self, rows: isize) {
        self.top = self.top.saturating_add_signed(rows).min(self.last_top());
        if self.last_top() > 0 {
            self.follows = self.grows && self.top == self.last_top() && rows > 0;
        }
    }

    /// Moves by so many pages, which overlap by a row.
    pub(super) fn turn(&mut self, pages: isize) {
        let page = isize::try_from(self.height.saturating_sub(1).max(1)).unwrap_or(isize::MAX);
        self.scroll(page.saturating_mul(pages));
    }

    pub(super) fn go_to_begin(&mut self) {
        self.top = 0;
        self.follows = self.grows && self.last_top() == 0;
    }

    pub(super) fn go_to_end(&mut self) {
        self.top = self.last_top();
        self.follows = self.grows;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(lines: usize) -> Page {
        let lines = (0..lines).map(|n| Text {
            text: format!("line {n} has words"),
            look: Look::Plain,
        });
        Page {
            title: String::new(),
            lines: lines.collect(),
        }
    }

    fn first(reader: &Reader) -> String {
        let row = reader.in_sight().next();
        row.map(|(text, ..)| text.to_owned()).unwrap_or_default()
    }

    #[test]
    fn who_reads_the_end_sees_what_is_added_and_who_reads_on_is_left_in_peace() {
        let mut reader = Reader::new(false, true);
        reader.take(page(100));
        reader.lay(40, 10);
        assert_eq!(
            (first(&reader).as_str(), reader.place().as_str()),
            ("line 90 has words", "end")
        );
        reader.take(page(120));
        reader.lay(40, 10);
        assert_eq!(first(&reader), "line 110 has words");
        reader.turn(-1);
        assert_eq!(first(&reader), "line 101 has words");
        reader.take(page(140));
        reader.lay(40, 10);
        assert_eq!(first(&reader), "line 101 has words");
        reader.scroll(100);
        reader.take(page(150));
        reader.lay(40, 10);
        assert_eq!(first(&reader), "line 140 has words");
        reader.go_to_begin();
        assert_eq!(
            (first(&reader).as_str(), reader.place().as_str()),
            ("line 0 has words", "0%")
        );
        reader.take(page(3));
        reader.lay(40, 10);
        assert_eq!(
            (first(&reader).as_str(), reader.place().as_str()),
            ("line 0 has words", "")
        );
    }

    #[test]
    fn a_text_that_is_wholly_in_sight_follows_again() {
        let mut reader = Reader::new(false, true);
        reader.take(page(20));
        reader.lay(40, 10);
        reader.scroll(-5);
        reader.lay(40, 10);
        assert!(!reader.follows());
        reader.lay(40, 30);
        assert!(reader.follows());
        reader.take(page(50));
        reader.lay(40, 30);
        assert_eq!(first(&reader), "line 20 has words");
    }

    #[test]
    fn a_new_text_leaves_who_reads_in_the_middle_of_a_line_where_they_are() {
        let mut reader = Reader::new(true, false);
        reader.take(page(100));
        reader.lay(10, 4);
        reader.scroll(31);
        let row = first(&reader);
        assert!(!row.starts_with("line"), "{row}");
        reader.take(page(120));
        reader.lay(10, 4);
        assert_eq!(first(&reader), row);
        // Another way to lay it out begins with the line.
        reader.turn_wrapping();
        reader.lay(10, 4);
        assert!(first(&reader).starts_with("line "), "{}", first(&reader));
    }

    #[test]
    fn another_width_shows_the_same_line() {
        let mut reader = Reader::new(true, false);
        reader.take(page(100));
        reader.lay(40, 10);
        reader.scroll(50);
        assert_eq!(first(&reader), "line 50 has words");
        reader.lay(10, 10);
        assert_eq!(first(&reader), "line 50 ");
        reader.lay(1, 1);
        reader.lay(40, 10);
        assert_eq!(first(&reader), "line 50 has words");
        reader.lay(0, 0);
        reader.lay(3, 2);
        reader.go_to_end();
        assert!(reader.in_sight().count() == 2);
    }
}
