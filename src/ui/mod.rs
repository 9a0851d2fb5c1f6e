//! The full-screen view of a run: a model that takes in facts and keys, says what it wants, and draws itself.
//!
//! [`Screen`] is handed what is known ([`Facts`], [`Page`]s of text), is told which keys were pressed, answers with what a
//! person wants ([`Intent`]), and is drawn into any buffer. This room must never read a file, a clock or the journal, and
//! never carries out what is wanted: `cli` does. Only `terminal` touches the terminal.

mod columns;
mod draw;
mod footer;
mod help;
mod key;
mod line;
mod list;
mod page;
mod press;
mod screen;
mod terminal;
mod theme;

#[cfg(test)]
mod tests;

pub use draw::draw;
pub use key::{Event, Key};
pub use page::{Look, Page, Text};
pub use screen::{Facts, Intent, Pane, Screen, Verb, Wanted};
pub use terminal::{Terminal, listen};
pub use theme::Theme;
