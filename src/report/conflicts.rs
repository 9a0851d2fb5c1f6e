//! The radar for people and programs: which unfinished features would conflict with which.
//!
//! Only words; who clashes was found out elsewhere.

use super::text::{branch, escaped, some};
use crate::model::Slug;
use serde::Serialize;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// What came of merging unfinished features with each other and with what they would land on, in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflicts {
    /// Full name of the branch features land on.
    pub target: String,
    /// Unfinished features with commits of their own.
    pub features: Vec<Slug>,
    /// Who would conflict with whom, in the order of their names.
    pub clashes: Vec<Conflict>,
}

/// Two that cannot be merged as they stand.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Conflict {
    /// One side.
    pub a: Side,
    /// The other.
    pub b: Side,
    /// Conflicted paths; empty when git names none.
    pub paths: Vec<String>,
}

/// One side of a conflict.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "kind", content = "name", rename_all = "snake_case")]
pub enum Side {
    /// An unfinished feature's branch.
    Feature(Slug),
    /// What has landed and is not in the target yet.
    Landed,
    /// The branch features land on.
    Target,
}

impl Conflicts {
    /// `a × b: src/x.rs, src/y.rs`, a line each; one sentence when there is nothing to say.
    #[must_use]
    pub fn text(&self) -> String {
        let target = branch(&self.target);
        let checked = some(self.features.len(), "unfinished feature");
        if self.features.is_empty() {
            return "no conflicts: no unfinished feature has commits yet\n".to_owned();
        }
        if self.clashes.is_empty() {
            return format!(
                "no conflicts: {checked}, each checked against the others and {target}\n"
            );
        }
        let mut out = String::new();
        for Conflict { a, b, paths } in &self.clashes {
            let paths = match paths.as_slice() {
                [] => "(git names no file)".to_owned(),
                paths => escaped(&paths.join(", ")),
            };
            let (a, b) = (a.shown(&target), b.shown(&target));
            let _ = writeln!(out, "{a} × {b}: {paths}");
        }
        out
    }

    /// `{"schema":"harness.conflicts","version":1,…}`: fields are added, never renamed.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({
            "schema": "harness.conflicts",
            "version": 1,
            "target": self.target,
            "features": self.features,
            "conflicts": self.clashes,
        })
    }
}

impl Side {
    fn shown<'a>(&'a self, target: &'a str) -> &'a str {
        match self {
            Self::Feature(slug) => slug.as_str(),
            Self::Landed => "what has landed",
            Self::Target => target,
        }
    }
}
