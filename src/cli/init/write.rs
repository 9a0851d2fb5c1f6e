//! Files that `harness init` writes: all of them, or none.
//!
//! What is there is only added to, byte for byte. This file never knows what the texts are about.

use super::super::desk::Failure;
use crate::model::Problem;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::Path;

/// A file that is about to be written.
#[derive(Debug)]
pub(super) struct Draft {
    /// Below the root.
    pub(super) name: String,
    /// What is added; all of it, where nothing is there yet.
    pub(super) text: String,
    /// Whether there is a file that this is added to.
    pub(super) is_there: bool,
}

impl Draft {
    /// A file that is not there.
    pub(super) fn fresh(name: &str, text: String) -> Self {
        Self {
            name: name.to_owned(),
            text,
            is_there: false,
        }
    }

    /// What is added to a file, on lines of its own.
    ///
    /// # Errors
    /// There is something at that place that cannot be added to.
    pub(super) fn added(root: &Path, name: &str, text: &str) -> Result<Self, Failure> {
        let path = root.join(name);
        let known = match fs::read(&path) {
            Ok(known) => Some(known),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                if fs::symlink_metadata(&path).is_ok() {
                    return Err(refused("add to", name, "it is a link to nothing"));
                }
                None
            }
            Err(error) => return Err(refused("add to", name, &error.to_string())),
        };
        let text = match &known {
            None => text.trim_start().to_owned(),
            Some(known) if known.is_empty() || known.ends_with(b"\n") => {
                text.strip_prefix('\n').unwrap_or(text).to_owned()
            }
            Some(_) => format!("\n{}", text.strip_prefix('\n').unwrap_or(text)),
        };
        Ok(Self {
            name: name.to_owned(),
            text,
            is_there: known.is_some(),
        })
    }
}

/// Writes them; gives what was written. Nothing is, unless every file can be opened.
///
/// # Errors
/// One cannot be.
pub(super) fn write<'a>(root: &Path, drafts: &'a [Draft]) -> Result<&'a [Draft], Failure> {
    let mut opened: Vec<(&Draft, File)> = Vec::new();
    for draft in drafts {
        match open(&root.join(&draft.name), draft.is_there) {
            Ok(file) => opened.push((draft, file)),
            Err(error) => {
                for (made, _) in opened.iter().filter(|(draft, _)| !draft.is_there) {
                    // An empty file that stays is no harm, and this is told of anyway.
                    let _ = fs::remove_file(root.join(&made.name));
                }
                return Err(refused("write", &draft.name, &error.to_string()));
            }
        }
    }
    for (draft, file) in &mut opened {
        let written = file.write_all(draft.text.as_bytes());
        written.map_err(|error| refused("write", &draft.name, &error.to_string()))?;
    }
    Ok(drafts)
}

fn open(path: &Path, is_there: bool) -> std::io::Result<File> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    let mut options = OpenOptions::new();
    match is_there {
        true => options.append(true),
        // Not over what came meanwhile.
        false => options.write(true).create_new(true),
    };
    options.open(path)
}

fn refused(act: &str, name: &str, why: &str) -> Failure {
    let problem = Problem::error(format!("cannot {act} {name}: {why}; nothing is written"));
    let help = "put that right, then run `harness init` again";
    problem.help(help).into()
}
