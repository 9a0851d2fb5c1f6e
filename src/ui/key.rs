//! Keys as this view knows them, whatever the terminal calls them.
//!
//! Never knows what a key does.

/// What comes from the terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A key was pressed.
    Key(Key),
    /// It has another size.
    Resized,
    /// Nothing more will come: it is gone.
    Gone,
}

/// A key that was pressed, or text that was pasted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// A character.
    Char(char),
    /// A letter with the control key.
    Ctrl(char),
    /// Text.
    Paste(String),
    /// Arrow.
    Up,
    /// Arrow.
    Down,
    /// Arrow.
    Left,
    /// Arrow.
    Right,
    /// A page back.
    PageUp,
    /// A page on.
    PageDown,
    /// To the beginning.
    Home,
    /// To the end.
    End,
    /// Enter.
    Enter,
    /// Escape.
    Esc,
    /// Tabulator.
    Tab,
    /// Tabulator, with shift.
    BackTab,
    /// Removes the character before the cursor.
    Backspace,
    /// Removes the character at the cursor.
    Delete,
}
