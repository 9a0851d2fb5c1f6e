//! `harness completions` and `harness man`, from the same types that parse the command line.

use super::args::{Cli, CompletionsArgs, ManArgs};
use super::{desk::Failure, out};
use crate::config::{Flags, Loaded};
use crate::driver::Place;
use crate::model::Slug;
use crate::report::{SCHEMAS, pages};
use clap::CommandFactory;
use clap_complete::engine::CompletionCandidate;
use clap_complete::env::{CompleteEnv, Shells};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::Path;

/// The variable in which a shell's script asks for completions.
const ASKS: &str = "HARNESS_COMPLETE";

/// The script for a shell: it asks this program for everything that can be typed.
pub(super) fn completions(args: &CompletionsArgs) -> Result<u8, Failure> {
    let shells = Shells::builtins();
    let shell = shells.completer(&args.shell.to_string());
    let shell = shell.ok_or_else(|| anyhow::anyhow!("there is no script for {}", args.shell))?;
    let mut text = Vec::new();
    let written = shell.write_registration(ASKS, "harness", "harness", "harness", &mut text);
    written.map_err(anyhow::Error::new)?;
    out::exact(&String::from_utf8_lossy(&text));
    Ok(0)
}

/// Answers a shell's script, if one asks; whether one did. A shell that completes is no place for complaints.
pub(super) fn answered() -> bool {
    if std::env::var_os(ASKS).is_none_or(|asked| asked.is_empty()) {
        return false;
    }
    let asked = CompleteEnv::with_factory(Cli::command)
        .var(ASKS)
        .bin("harness");
    let here = std::env::current_dir().ok();
    asked
        .try_complete(std::env::args_os(), here.as_deref())
        .unwrap_or(true)
}

/// Names of features that can be typed now: those that have a spec, and those that have been worked on. The journal is not
/// read for that: it can be long.
pub(super) fn slugs() -> Vec<CompletionCandidate> {
    let Some(place) = place() else {
        return Vec::new();
    };
    let loaded = place.config(None, BTreeMap::new(), Flags::default()).ok();
    let (dir, file) = match loaded {
        Some(Loaded { config, .. }) => (config.specs.dir, config.specs.file),
        None => ("specs".into(), "spec.md".into()),
    };
    let specs = place.repo.root().join(dir);
    let mut names = names_in(&specs, |path| path.join(&file).is_file());
    names.extend(names_in(&place.state_dir.join("iterations"), |_| true));
    names.into_iter().map(CompletionCandidate::new).collect()
}

/// Profiles of agents.
pub(super) fn profiles() -> Vec<CompletionCandidate> {
    let loaded = place().and_then(|place| {
        let loaded = place.config(None, BTreeMap::new(), Flags::default());
        loaded.ok()
    });
    let profiles = loaded
        .into_iter()
        .flat_map(|loaded| loaded.config.agents.into_keys());
    profiles.map(CompletionCandidate::new).collect()
}

/// Codes that can be explained.
pub(super) fn codes() -> Vec<CompletionCandidate> {
    let pages = pages();
    let pages =
        pages.map(|page| CompletionCandidate::new(page.code).help(Some(page.summary.into())));
    pages.collect()
}

/// Schemas that can be printed.
pub(super) fn schemas() -> Vec<CompletionCandidate> {
    let names = SCHEMAS.iter().map(|schema| schema.name);
    names.map(CompletionCandidate::new).collect()
}

/// Where the command that is being typed would work.
fn place() -> Option<Place> {
    let words: Vec<OsString> = std::env::args_os().collect();
    let named = words
        .iter()
        .position(|word| word == "-C" || word == "--directory");
    let dir = named
        .and_then(|at| words.get(at + 1))
        .map_or(".".as_ref(), OsString::as_os_str);
    Place::find(&std::fs::canonicalize(dir).ok()?).ok()
}

fn names_in(dir: &Path, fits: impl Fn(&Path) -> bool) -> BTreeSet<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let fitting = entries.filter(|entry| fits(&entry.path()));
    let names = fitting.filter_map(|entry| entry.file_name().into_string().ok());
    names
        .filter(|name| Slug::new(name.as_str()).is_ok())
        .collect()
}

pub(super) fn man(args: &ManArgs) -> Result<u8, Failure> {
    if let Some(dir) = &args.dir {
        std::fs::create_dir_all(dir)
            .and_then(|()| clap_mangen::generate_to(Cli::command(), dir))
            .map_err(|error| {
                let text = format!("cannot write man pages to {}", dir.display());
                anyhow::Error::new(error).context(text)
            })?;
        return Ok(0);
    }
    let mut text = Vec::new();
    clap_mangen::Man::new(Cli::command())
        .render(&mut text)
        .map_err(anyhow::Error::new)?;
    out::exact(&String::from_utf8_lossy(&text));
    Ok(0)
}
