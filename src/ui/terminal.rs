//! The terminal: a screen and a mode of its own as long as this view is shown, and its keys.
//!
//! The only file of this room that touches anything. Whatever ends the program, the terminal is as it was.

use super::draw::draw;
use super::key::{Event, Key};
use super::screen::Screen;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::event::{
    self, DisableBracketedPaste, EnableBracketedPaste, KeyCode, KeyEvent, KeyEventKind,
    KeyModifiers,
};
use ratatui::crossterm::style::force_color_output;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::crossterm::{Command, event::Event as Came, execute, queue};
use std::io::{self, BufWriter, Stdout, Write};
use std::mem::ManuallyDrop;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

/// The terminal while it shows a view. When this is dropped, it is as it was.
pub struct Terminal {
    /// Never dropped: it would complain on stderr where the terminal is gone, and panic where that is gone too.
    inner: ManuallyDrop<ratatui::Terminal<CrosstermBackend<BufWriter<Stdout>>>>,
}

impl std::fmt::Debug for Terminal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Terminal").finish_non_exhaustive()
    }
}

impl Terminal {
    /// Takes the terminal: from now on it shows the view, until this is dropped or the program panics.
    ///
    /// # Errors
    /// When it is none, or is gone.
    pub fn enter(colour: bool) -> io::Result<Self> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let usual = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                give_back();
                usual(info);
            }));
        });
        // What may be used was decided already.
        force_color_output(colour);
        let writer = BufWriter::with_capacity(1 << 16, io::stdout());
        let inner = ratatui::Terminal::new(CrosstermBackend::new(writer))?;
        let inner = ManuallyDrop::new(inner);
        let mut terminal = Self { inner };
        terminal.take()?;
        Ok(terminal)
    }

    /// Takes the terminal again, whatever was done to it meanwhile.
    ///
    /// # Errors
    /// When it is gone.
    pub fn take(&mut self) -> io::Result<()> {
        TAKEN.store(true, Ordering::SeqCst);
        // Whoever stopped this program has set the modes anew, and it would be believed that they still are those of here.
        let _ = disable_raw_mode();
        enable_raw_mode()?;
        execute!(
            io::stdout(),
            EnterAlternateScreen,
            EnableBracketedPaste,
            Hide
        )?;
        // Clears and forgets what was drawn. `clear` would ask the terminal where its cursor is, and wait for an answer.
        let size = self.inner.size()?;
        self.inner.resize(size.into())
    }

    /// Gives the terminal back for a while.
    pub fn leave(&mut self) {
        give_back();
    }

    /// Whether it was given back because something panicked.
    #[must_use]
    pub fn is_lost() -> bool {
        !TAKEN.load(Ordering::SeqCst)
    }

    /// Draws what has changed.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn draw(&mut self, screen: &mut Screen) -> io::Result<()> {
        self.inner.draw(|frame| {
            let area = frame.area();
            if let Some(cursor) = draw(screen, area, frame.buffer_mut()) {
                frame.set_cursor_position(cursor);
            }
        })?;
        Ok(())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        give_back();
    }
}

/// Whether the terminal is not as it was. There is one, and whoever panics knows nothing else of it.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Makes the terminal as it was, once, whether or not all of it works: there may be none left.
fn give_back() {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    let mut stdout = io::stdout();
    let _ = quietly(&mut stdout, DisableBracketedPaste);
    let _ = quietly(&mut stdout, LeaveAlternateScreen);
    let _ = quietly(&mut stdout, Show);
    let _ = stdout.flush();
    let _ = disable_raw_mode();
}

fn quietly(stdout: &mut Stdout, command: impl Command) -> io::Result<()> {
    queue!(stdout, command)
}

/// Hands on what comes from the terminal until `hear` wants no more. It sleeps in a thread of its own, which ends with the
/// program.
pub fn listen(mut hear: impl FnMut(Event) -> bool + Send + 'static) {
    std::thread::spawn(move || {
        loop {
            let goes_on = match event::read() {
                Ok(came) => translated(came).is_none_or(&mut hear),
                Err(_) => {
                    hear(Event::Gone);
                    false
                }
            };
            if !goes_on {
                return;
            }
        }
    });
}

fn translated(came: Came) -> Option<Event> {
    match came {
        Came::Resize(..) => Some(Event::Resized),
        Came::Paste(text) => Some(Event::Key(Key::Paste(text))),
        Came::Key(key) if key.kind != KeyEventKind::Release => pressed(key).map(Event::Key),
        _ => None,
    }
}

fn pressed(key: KeyEvent) -> Option<Key> {
    let ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
    Some(match key.code {
        KeyCode::Char(c) if ctrl => Key::Ctrl(c.to_ascii_lowercase()),
        KeyCode::Char(_) if key.modifiers.contains(KeyModifiers::ALT) => return None,
        KeyCode::Char(c) => Key::Char(c),
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::Left => Key::Left,
        KeyCode::Right => Key::Right,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Esc,
        KeyCode::Tab => Key::Tab,
        KeyCode::BackTab => Key::BackTab,
        KeyCode::Backspace => Key::Backspace,
        KeyCode::Delete => Key::Delete,
        _ => return None,
    })
}
