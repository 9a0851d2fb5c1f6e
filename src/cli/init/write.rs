//! Files that `harness init` writes: all of them, or none.
//!
//! What is there is only added to, byte for byte. This file never knows what the texts are about.

use super::super::desk::Failure;
use crate::model::Problem;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

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
                    return Err(refused(
                        "add to",
                        name,
                        "it is a link to nothing; nothing is written",
                    ));
                }
                None
            }
            Err(error) => {
                let why = format!("{error}; nothing is written");
                return Err(refused("add to", name, &why));
            }
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

/// Writes them; gives what was written. Where one cannot be, all are as they were.
///
/// # Errors
/// One cannot be.
pub(super) fn write<'a>(root: &Path, drafts: &'a [Draft]) -> Result<&'a [Draft], Failure> {
    let mut opened: Vec<Opened<'_>> = Vec::new();
    let outcome = drafts.iter().try_for_each(|draft| {
        let path = root.join(&draft.name);
        let above = path.ancestors().skip(1);
        let dirs: Vec<PathBuf> = above
            .take_while(|dir| !dir.exists())
            .map(Path::to_owned)
            .collect();
        let file = open(&path, draft.is_there).map_err(|error| {
            remove_empty(&dirs);
            (draft, error)
        })?;
        let length = file.metadata().map_or(0, |about| about.len());
        opened.push(Opened {
            draft,
            path,
            dirs,
            file,
            length,
        });
        Ok(())
    });
    let outcome = outcome.and_then(|()| {
        opened.iter_mut().try_for_each(|one| {
            let written = one.file.write_all(one.draft.text.as_bytes());
            written.map_err(|error| (one.draft, error))
        })
    });
    outcome.map(|()| drafts).map_err(|(draft, error)| {
        let stays: Vec<&str> = opened.iter().filter_map(Opened::undo).collect();
        let why = match stays.as_slice() {
            [] => format!("{error}; nothing is written"),
            _ => format!("{error}; look at what is left in {}", stays.join(", ")),
        };
        refused("write", &draft.name, &why)
    })
}

/// A file that is being written.
struct Opened<'a> {
    draft: &'a Draft,
    path: PathBuf,
    /// Directories that were made for it, the innermost first.
    dirs: Vec<PathBuf>,
    file: File,
    /// What it had before.
    length: u64,
}

impl Opened<'_> {
    /// Makes it as it was; its name, if that cannot be done.
    fn undo(&self) -> Option<&str> {
        let undone = match self.draft.is_there {
            true => self.file.set_len(self.length),
            false => fs::remove_file(&self.path),
        };
        remove_empty(&self.dirs);
        undone.is_err().then_some(self.draft.name.as_str())
    }
}

/// Removes directories that nothing has been put into.
fn remove_empty(dirs: &[PathBuf]) {
    for dir in dirs {
        // One that somebody uses meanwhile stays.
        let _ = fs::remove_dir(dir);
    }
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
    let problem = Problem::error(format!("cannot {act} {name}: {why}"));
    let help = "put that right, then run `harness init` again";
    problem.help(help).into()
}
