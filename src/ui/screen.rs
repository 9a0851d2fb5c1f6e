//! The state of the view: what is known, what is selected, what is being asked, and what text is wanted.
//!
//! Never draws, and never knows where the facts come from.

use super::line::Line;
use super::page::{Page, Reader};
use super::theme::Theme;
use crate::model::{Oid, Slug};
use crate::report::Row;

/// What is known at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// How the whole stands, in one line.
    pub whole: String,
    /// How the run stands and what holds it back, and whether that is a person's business.
    pub notices: Vec<(String, bool)>,
    /// All features.
    pub rows: Vec<Row>,
    /// Whether nothing new is started because somebody said so.
    pub paused: bool,
}

/// Which text is shown beside the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pane {
    /// The feature's log, or what its agent prints.
    Log,
    /// What it has changed.
    Diff,
    /// Why it is not merged.
    Why,
    /// Who needs whom.
    Graph,
}

impl Pane {
    pub(super) const ALL: [Self; 4] = [Self::Log, Self::Diff, Self::Why, Self::Graph];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Diff => "diff",
            Self::Why => "why",
            Self::Graph => "graph",
        }
    }

    fn place(self) -> usize {
        Self::ALL.iter().position(|pane| *pane == self).unwrap_or(0)
    }

    pub(super) fn beside(self, steps: usize) -> Self {
        Self::ALL[(self.place() + steps) % Self::ALL.len()]
    }

    fn reader(self) -> Reader {
        match self {
            Self::Log => Reader::new(true, true),
            Self::Why => Reader::new(true, false),
            Self::Diff | Self::Graph => Reader::new(false, false),
        }
    }
}

/// What a person can have done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Start nothing new.
    Pause,
    /// Go on.
    Resume,
    /// End the run when what is under way has ended.
    Stop,
    /// Put the feature back in the queue.
    Retry(Slug),
    /// Answer the feature's question, or send it back.
    Unblock(Slug, String),
    /// Leave the feature out.
    Skip(Slug),
    /// Let the feature land as its branch stands at this commit; `None`: wherever it does, to be found out before it is
    /// asked for.
    Approve(Slug, Option<Oid>),
}

/// What is wanted of whoever shows this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Intent {
    /// To leave; the run goes on.
    Leave,
    /// To be stopped until the shell goes on with it.
    Suspend,
    /// To see everything anew.
    LookAgain,
    /// To know whether this can be done; then [`Screen::ask`].
    MayI(Verb),
    /// To do it; then [`Screen::tell`].
    Do(Verb),
}

/// The text that belongs beside the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Of which feature; `None`: there is none.
    pub slug: Option<Slug>,
    /// Which text.
    pub pane: Pane,
    /// Of the log: what the agent prints instead.
    pub output: bool,
    /// Of the graph: for how many columns; the others are wrapped or cut when they are drawn.
    pub columns: Option<usize>,
}

/// What keys are for at the moment.
#[derive(Clone, Debug, Default)]
pub(super) enum Mode {
    #[default]
    Browse,
    Filter,
    Help(usize),
    Confirm(Verb),
    Answer(Slug, Line),
}

/// What arrows move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Focus {
    List,
    Pane,
}

/// The view.
#[derive(Debug)]
pub struct Screen {
    pub(super) theme: Theme,
    pub(super) facts: Facts,
    pub(super) mode: Mode,
    pub(super) focus: Focus,
    /// Whether the text takes all of the screen.
    pub(super) whole_screen: bool,
    pub(super) filter: Line,
    pub(super) pane: Pane,
    pub(super) output: bool,
    pub(super) readers: [Reader; 4],
    /// What came of the last thing that was done, and whether it failed.
    pub(super) message: Option<(String, bool)>,
    /// What keeps the picture from being a true one.
    pub(super) trouble: Option<String>,
    selected: Option<Slug>,
    /// Which of the rows in the list that is.
    cursor: usize,
    /// The first row of the list in sight.
    pub(super) list_top: usize,
    /// Rows of the list in sight, as of when it was last drawn.
    pub(super) list_height: usize,
    /// Whether there is room for the list or the text only.
    pub(super) is_small: bool,
    /// Whether there was room for the list when it was last drawn.
    pub(super) shows_list: bool,
    /// Whether there was room for the text when it was last drawn.
    pub(super) shows_pane: bool,
    /// Columns of the text when it was last drawn.
    pub(super) pane_columns: usize,
    pub(super) stale: bool,
}

impl Screen {
    /// A view of nothing.
    #[must_use]
    pub fn new(theme: Theme) -> Self {
        Self {
            theme,
            facts: Facts::default(),
            mode: Mode::Browse,
            focus: Focus::List,
            whole_screen: false,
            filter: Line::default(),
            pane: Pane::Log,
            output: false,
            readers: Pane::ALL.map(Pane::reader),
            message: None,
            trouble: None,
            selected: None,
            cursor: 0,
            list_top: 0,
            list_height: 1,
            is_small: false,
            shows_list: true,
            shows_pane: true,
            pane_columns: 0,
            stale: true,
        }
    }

    /// Whether it would be drawn otherwise than it was last time.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.stale
    }

    /// Whatever was drawn is not there any more.
    pub fn spoil(&mut self) {
        self.stale = true;
    }

    /// Takes in what is known now.
    pub fn know(&mut self, facts: Facts) {
        if self.facts != facts {
            self.facts = facts;
            self.stale = true;
            self.settle();
        }
    }

    /// Takes in what keeps the picture from being a true one.
    pub fn doubt(&mut self, trouble: Option<String>) {
        if self.trouble != trouble {
            self.trouble = trouble;
            self.stale = true;
        }
    }

    /// Which text is to be shown; `None`: there is no room for any.
    #[must_use]
    pub fn wanted(&self) -> Option<Wanted> {
        self.shows_pane.then(|| Wanted {
            slug: self.selected.clone(),
            pane: self.pane,
            output: self.output && self.pane == Pane::Log,
            columns: (self.pane == Pane::Graph).then_some(self.pane_columns),
        })
    }

    /// Whether the text in sight has never been there: it is not to be waited for.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        self.reader().is_blank()
    }

    /// Whether a person sees what is added to the text.
    #[must_use]
    pub fn follows(&self) -> bool {
        self.reader().follows()
    }

    /// Takes in a text, if it is still the one that is wanted.
    pub fn show(&mut self, wanted: &Wanted, page: Page) {
        if self.wanted().as_ref() == Some(wanted) && self.reader_mut().take(page) {
            self.stale = true;
        }
    }

    /// Asks a person about something that can be done; for an answer, which may have been begun.
    pub fn ask(&mut self, verb: Verb) {
        self.mode = match verb {
            Verb::Unblock(slug, begun) => Mode::Answer(slug, Line::of(begun)),
            verb => Mode::Confirm(verb),
        };
        self.stale = true;
    }

    /// Says what came of something.
    pub fn tell(&mut self, words: &str, failed: bool) {
        let words: Vec<&str> = words.split_whitespace().collect();
        self.message = Some((crate::report::on_screen(&words.join(" ")), failed));
        self.stale = true;
    }

    pub(super) fn reader(&self) -> &Reader {
        &self.readers[self.pane.place()]
    }

    pub(super) fn reader_mut(&mut self) -> &mut Reader {
        &mut self.readers[self.pane.place()]
    }

    /// The rows that the filter lets through.
    pub(super) fn rows(&self) -> Vec<&Row> {
        let wanted = self.filter.text().to_lowercase();
        let fits = |row: &&Row| {
            wanted.is_empty()
                || row.slug.as_str().contains(&wanted)
                || row.stage_name.contains(&wanted)
                || row.words.to_lowercase().contains(&wanted)
        };
        self.facts.rows.iter().filter(fits).collect()
    }

    /// The selected row, and its place among those in the list.
    pub(super) fn selected(&self) -> Option<(usize, &Row)> {
        let rows = self.rows();
        rows.get(self.cursor).map(|row| (self.cursor, *row))
    }

    /// Selects the row at a place in the list, or the last one.
    pub(super) fn select(&mut self, place: usize) {
        let rows = self.rows();
        let place = place.min(rows.len().saturating_sub(1));
        let slug = rows.get(place).map(|row| row.slug.clone());
        self.cursor = place;
        if self.selected != slug {
            self.selected = slug;
            for pane in [Pane::Log, Pane::Diff, Pane::Why] {
                self.readers[pane.place()] = pane.reader();
            }
        }
        self.stale = true;
    }

    pub(super) fn cursor(&self) -> usize {
        self.cursor
    }

    /// Keeps the selected feature selected wherever it is in the list now; if it is gone, what stands in its place.
    pub(super) fn settle(&mut self) {
        let rows = self.rows();
        let selected = self.selected.as_ref();
        let place = rows.iter().position(|row| Some(&row.slug) == selected);
        self.select(place.unwrap_or(self.cursor));
    }

    /// Shows the agent's output in place of the log, or the log again.
    pub(super) fn turn_output(&mut self) {
        self.pane = Pane::Log;
        self.output = !self.output;
        self.readers[Pane::Log.place()] = Pane::Log.reader();
    }
}
