//! Noticing that specs come, go or change where no run does.
//!
//! Never says what has changed.

use super::show::SHARE;
use crate::config::Config;
use crate::spec::Scanner;
use std::path::Path;
use std::time::{Duration, Instant};

/// The specs of a checkout, looked at again and again.
pub(super) struct Specs {
    scanner: Scanner,
    /// When they were looked at last, and what that took.
    looked: Option<(Instant, Duration)>,
}

impl Specs {
    /// As they are now.
    pub(super) fn new(root: &Path, config: &Config) -> Self {
        let mut scanner = Scanner::new(root, config);
        scanner.scan();
        Self {
            scanner,
            looked: None,
        }
    }

    /// Whether what they say is another thing than when this was last asked. Where it is not, no more is done than asking the
    /// system for the times of each; of very many, not at every look.
    pub(super) fn have_changed(&mut self) -> bool {
        if let Some((at, took)) = self.looked
            && at.elapsed() < took * SHARE
        {
            return false;
        }
        let begun = Instant::now();
        let have_changed = self.scanner.scan().is_some();
        self.looked = Some((Instant::now(), begun.elapsed()));
        have_changed
    }
}
