//! What things look like, with colours and without.
//!
//! Never knows where they are drawn. Without colours nothing is lost: brightness and inversion say the same.

use super::page::Look;
use crate::core::Stage;
use ratatui::style::{Color, Modifier, Style};

/// Whether colours may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Theme {
    /// Whether they may.
    pub colour: bool,
}

impl Theme {
    fn painted(self, colour: Color) -> Style {
        match self.colour {
            true => Style::new().fg(colour),
            false => Style::new(),
        }
    }

    pub(super) fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    pub(super) fn dim(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    /// The row that keys are about.
    pub(super) fn selected(self, has_focus: bool) -> Style {
        match has_focus {
            true => Style::new().add_modifier(Modifier::REVERSED),
            false => Style::new().add_modifier(Modifier::UNDERLINED),
        }
    }

    /// A line that parts two areas.
    pub(super) fn bar(self, has_focus: bool) -> Style {
        match has_focus {
            true => self.strong().add_modifier(Modifier::REVERSED),
            false => Style::new().add_modifier(Modifier::REVERSED | Modifier::DIM),
        }
    }

    /// What a person must see.
    pub(super) fn urgent(self) -> Style {
        self.painted(Color::Red).add_modifier(Modifier::BOLD)
    }

    /// What went well.
    pub(super) fn good(self) -> Style {
        self.painted(Color::Green)
    }

    pub(super) fn stage(self, stage: Stage, needs_you: bool) -> Style {
        match stage {
            _ if needs_you => self.urgent(),
            Stage::Preparing | Stage::Working | Stage::Between => self.painted(Color::Yellow),
            Stage::Queued | Stage::Gating | Stage::Landing => self.painted(Color::Cyan),
            Stage::Merged => self.good(),
            _ => Style::new(),
        }
    }

    pub(super) fn look(self, look: Look) -> Style {
        match look {
            Look::Plain => Style::new(),
            Look::Strong => self.strong(),
            Look::Dim => self.dim(),
            Look::Added | Look::Landed => self.good(),
            Look::Removed => self.painted(Color::Red),
            Look::Urgent => self.urgent(),
            Look::Busy => self.painted(Color::Yellow),
            Look::Place => self.painted(Color::Cyan),
        }
    }
}
