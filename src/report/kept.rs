//! What was kept of a feature, for people and programs.
//!
//! Only words; what is kept was found out elsewhere.

use super::text::{clock, cut, escaped, padded, rfc3339, shown, some, width};
use crate::model::{Oid, Slug, Stamp};
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use std::fmt::Write as _;

const SUBJECT_COLUMNS: usize = 60;

/// The kept states of a feature, iterations first.
#[derive(Clone, Debug)]
pub struct KeptStates {
    /// Whose they are.
    pub slug: Slug,
    /// For times that people read.
    pub zone: TimeZone,
    /// The states.
    pub states: Vec<KeptState>,
}

/// A state of a feature that can be brought back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptState {
    /// The number of the iteration it is the snapshot of; `None` for what would otherwise have been dropped.
    pub iteration: Option<u32>,
    /// What it is: `iteration 3`, `uncommitted or rewritten`, `earlier branch`.
    pub what: String,
    /// Its commit.
    pub commit: Oid,
    /// The full name of the ref that keeps it.
    pub refname: String,
    /// When it was committed.
    pub at: Stamp,
    /// First line of its message.
    pub subject: String,
    /// Files that differ from its parent; `None` when it has none that is known.
    pub files: Option<usize>,
}

impl KeptState {
    /// What it is called on the command line: the iteration's number, else its short commit id.
    #[must_use]
    pub fn name(&self) -> String {
        match self.iteration {
            Some(number) => number.to_string(),
            None => self.commit.short().to_owned(),
        }
    }
}

impl KeptStates {
    /// The state of this name: an iteration's number, or the beginning (four digits or more) of a commit id
    /// that is no other's.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&KeptState> {
        let number: Option<u32> = name.parse().ok();
        let by_number = |state: &&KeptState| number.is_some() && state.iteration == number;
        if let Some(state) = self.states.iter().find(by_number) {
            return Some(state);
        }
        let begins = |state: &&KeptState| state.commit.as_str().starts_with(name);
        let mut found = self.states.iter().filter(begins);
        let first = found.next().filter(|_| name.len() >= 4)?;
        found
            .all(|other| other.commit == first.commit)
            .then_some(first)
    }

    /// A line a state: name, what it is, when, files, subject; at the end how to bring one back.
    #[must_use]
    pub fn text(&self) -> String {
        let slug = &self.slug;
        let Some(last) = self.states.last() else {
            return format!("nothing is kept of {slug} yet: its first iteration has not ended\n");
        };
        let names: Vec<String> = self.states.iter().map(KeptState::name).collect();
        let name_columns = names.iter().map(|name| width(name)).max().unwrap_or(0);
        let what = self.states.iter().map(|state| width(&state.what));
        let what_columns = what.max().unwrap_or(0);
        let mut out = String::new();
        for (name, state) in names.iter().zip(&self.states) {
            let name = padded(name, name_columns);
            let what = padded(&state.what, what_columns);
            let at = clock(state.at, &self.zone, "%Y-%m-%d %H:%M");
            let files = state.files.map_or_else(String::new, |n| some(n, "file"));
            let subject = shown(&state.subject, SUBJECT_COLUMNS);
            let row = format!("{name}  {what}  {at}  {}  {subject}", padded(&files, 9));
            let _ = writeln!(out, "{}", row.trim_end());
        }
        let name = last.name();
        let _ = writeln!(
            out,
            "bring one back: harness recover {slug} {name} --to <new directory>, or --branch <new branch>"
        );
        out
    }

    /// `{"schema":"harness.kept","version":1,…}`: fields are added, never renamed.
    #[must_use]
    pub fn json(&self) -> Value {
        let states = self.states.iter().map(|state| {
            json!({
                "name": state.name(),
                "iteration": state.iteration,
                "what": state.what,
                "commit": state.commit,
                "ref": state.refname,
                "at": rfc3339(state.at),
                "subject": state.subject,
                "files": state.files,
            })
        });
        json!({
            "schema": "harness.kept",
            "version": 1,
            "feature": self.slug,
            "states": states.collect::<Vec<Value>>(),
        })
    }

    /// The names of all states, for a message.
    #[must_use]
    pub fn names(&self) -> String {
        let names: Vec<String> = self.states.iter().map(KeptState::name).collect();
        cut(&escaped(&names.join(", ")), 200)
    }
}
