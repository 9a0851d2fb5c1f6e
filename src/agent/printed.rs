//! What can be known of a call by nothing but what its agent has printed: while it goes on, and after its harness died.
//!
//! This file never knows what a token costs, nor who asks.

use super::call::{Progress, Spent, spent};
use super::cli::Cli;
use super::reader::End;
use crate::config::{Kind, Profile};
use crate::model::{Ending, Price, Session, Usage};
use crate::process::Stream;
use jiff::ZonedDateTime;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::path::Path;

/// What a kind of agent is doing, by the end of what it has printed so far; `None`: that does not say.
#[must_use]
pub fn glimpse(kind: Kind, printed: &str) -> Option<String> {
    let mut reader = (Cli::of(kind).reader)();
    let mut last = None;
    for line in printed.lines() {
        reader.line(Stream::Out, line, &mut |progress| {
            if let Progress::Line(words) = progress {
                last = Some(words);
            }
        });
    }
    last
}

/// A call that was cut off with its harness.
#[derive(Clone, Copy, Debug)]
pub struct Cut<'a> {
    /// Who was called.
    pub profile: &'a Profile,
    /// The model that was asked for, if not the profile's.
    pub model: Option<&'a str>,
    /// The conversation that it went on with.
    pub session: Option<&'a Session>,
    /// What models cost by the user's own word.
    pub prices: &'a BTreeMap<String, Price>,
}

/// What a call that was cut off had used, by what it printed; `None`: that does not say.
///
/// # Errors
/// When what it printed is there and cannot be read.
pub fn used(cut: &Cut<'_>, printed: &Path) -> io::Result<Option<Usage>> {
    let file = match File::open(printed) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let cli = Cli::of(cut.profile.kind);
    let mut reader = (cli.reader)();
    let mut file = BufReader::new(file);
    let mut line = Vec::new();
    while file.read_until(b'\n', &mut line)? > 0 {
        let text = String::from_utf8_lossy(&line);
        reader.line(
            Stream::Out,
            text.trim_end_matches(['\r', '\n']),
            &mut |_| {},
        );
        line.clear();
    }
    let verdict = reader.finish(End {
        ending: &Ending::Stopped,
        at: &ZonedDateTime::now(),
    });
    Ok(spent(
        &verdict,
        &Spent {
            prices: cut.prices,
            asked: cut.model.or(cut.profile.model.as_deref()),
            session: cut.session,
            cli,
        },
    ))
}
