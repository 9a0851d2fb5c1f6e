//! Which lines `.gitignore` lacks, so that nothing is committed that setting up and building make.
//!
//! A line that names too much loses work without a word: each holds for its part alone, and none is given for a place
//! that holds tracked files.

use super::detect::{Made, Part};
use crate::driver::{DriverError, Place};
use std::path::PathBuf;

/// At the beginning of a line: at any depth.
const ANY_DEPTH: &str = "**/";

/// What `.gitignore` lacks.
#[derive(Debug, Default)]
pub(super) struct Lacking {
    pub(super) lines: Vec<String>,
    /// Lines that would name tracked files, each with one of those.
    pub(super) refused: Vec<(String, PathBuf)>,
}

pub(super) fn lacking(place: &Place, parts: &[Part]) -> Result<Lacking, DriverError> {
    let mut found = Lacking::default();
    for made in parts.iter().flat_map(|part| &part.made) {
        // What is no text, or is several lines, cannot be written on one.
        if let Some(dir) = made
            .dir
            .to_str()
            .filter(|dir| !dir.contains(char::is_control))
            && !place.repo.ignores(&example(made))?
        {
            add(place, dir, made.name, &mut found)?;
        }
    }
    found.lines.sort();
    found.lines.dedup();
    Ok(found)
}

/// Adds the line for what is made there, or says why it is not to be had.
fn add(place: &Place, dir: &str, name: &str, found: &mut Lacking) -> Result<(), DriverError> {
    let line = line(dir, name);
    match place.repo.tracked_by_line(&line)? {
        None => found.lines.push(line),
        Some(file) => match name.strip_prefix(ANY_DEPTH) {
            // The place where it is certain to be made remains.
            Some(here) => add(place, dir, here, found)?,
            None => found.refused.push((line, file)),
        },
    }
    Ok(())
}

/// The line of the root's `.gitignore` that names what is made in a directory.
fn line(dir: &str, name: &str) -> String {
    if dir.is_empty() && name.starts_with(ANY_DEPTH) {
        return name[ANY_DEPTH.len()..].to_owned();
    }
    let mut line = String::from("/");
    for c in dir.chars() {
        if matches!(c, '\\' | '*' | '?' | '[' | ']') {
            line.push('\\');
        }
        line.push(c);
    }
    if !dir.is_empty() {
        line.push('/');
    }
    line + name
}

/// A file that what is made consists of.
fn example(made: &Made) -> PathBuf {
    let name = made.name.strip_prefix(ANY_DEPTH).unwrap_or(made.name);
    let path = made.dir.join(name.trim_end_matches('/').replace('*', "x"));
    match name.ends_with('/') {
        true => path.join("x"),
        false => path,
    }
}
