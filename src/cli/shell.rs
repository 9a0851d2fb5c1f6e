//! `harness completions` and `harness man`, from the same types that parse the command line.

use super::args::{Cli, CompletionsArgs, ManArgs};
use super::desk::{self, Failure};
use super::out;
use crate::config::{Flags, Loaded};
use crate::driver::Place;
use crate::model::{Code, Problem, Slug};
use crate::report::{SCHEMAS, pages};
use clap::CommandFactory;
use clap_complete::engine::CompletionCandidate;
use clap_complete::env::{CompleteEnv, Shells};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::Path;

/// The variable in which a shell's script asks for completions.
const ASKS: &str = "HARNESS_COMPLETE";
/// An option that changes nothing, wherever it stands.
const NOTHING: &str = "--color=auto";

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

/// Answers a shell's script, if one asks; with what exit code. A shell that completes is no place for complaints.
pub(super) fn answered() -> Option<u8> {
    let shell = std::env::var_os(ASKS).filter(|shell| !shell.is_empty())?;
    let shell = shell.to_string_lossy();
    if Shells::builtins().completer(&shell).is_none() {
        let text = format!("{ASKS}={shell} names no shell, so nothing was done");
        let help = format!("the scripts of `harness completions` set it; `unset {ASKS}` here");
        let problem = Problem::error(text).code(Code::BadValue).help(help);
        desk::show(&[problem], false);
        return Some(desk::NOT_STARTED);
    }
    let asked = CompleteEnv::with_factory(Cli::command)
        .var(ASKS)
        .bin("harness");
    let here = std::env::current_dir().ok();
    let answered = asked.try_complete(typed(), here.as_deref());
    answered.unwrap_or(true).then_some(0)
}

/// The command line, before `--` that of the script. bash parts words at `=`: those before the one that is being typed are put
/// together again, with options beside them that say nothing, since the script counts words.
fn typed() -> Vec<OsString> {
    let mut words: Vec<OsString> = std::env::args_os().collect();
    let begins = words.iter().position(|word| word == "--").unwrap_or(0);
    let last = words.len().saturating_sub(1);
    for n in begins + 2..last {
        let is_option = words[n - 1].as_encoded_bytes().starts_with(b"--");
        if is_option && words[n] == "=" && n + 1 < last {
            let value = std::mem::replace(&mut words[n + 1], NOTHING.into());
            words[n] = NOTHING.into();
            words[n - 1].push("=");
            words[n - 1].push(value);
        }
    }
    words
}

/// Names of features that can be typed now: those that have a spec, and those that have been worked on. The journal is not
/// read for that: it can be long.
pub(super) fn slugs() -> Vec<CompletionCandidate> {
    let Some(place) = place() else {
        return Vec::new();
    };
    let (dir, file) = match loaded(&place) {
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
    let loaded = place().and_then(|place| loaded(&place));
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
    let dir = option("--directory", Some("-C")).unwrap_or_else(|| ".".into());
    Place::find(&std::fs::canonicalize(dir).ok()?).ok()
}

/// The configuration that the command would work by; of variables that are wrong, none.
fn loaded(place: &Place) -> Option<Loaded> {
    let file = option("--config", None).and_then(|file| std::path::absolute(file).ok());
    let env = std::env::vars_os();
    let env =
        env.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    // It is the script's, and no key.
    let env: BTreeMap<String, String> = env.filter(|(name, _)| name != ASKS).collect();
    let loaded = place.config(file.clone(), env, Flags::default());
    let loaded = loaded.or_else(|_| place.config(file, BTreeMap::new(), Flags::default()));
    loaded.ok()
}

/// What was given to an option of all commands.
fn option(long: &str, short: Option<&str>) -> Option<OsString> {
    let words = typed();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if word == long || short.is_some_and(|short| word == short) {
            return words.next().cloned();
        }
        let text = word.to_str().unwrap_or_default();
        let joined = text
            .strip_prefix(long)
            .and_then(|rest| rest.strip_prefix('='));
        let joined = joined.or_else(|| Some(text.strip_prefix(short?)?.trim_start_matches('=')));
        if let Some(value) = joined {
            return Some(value.into());
        }
    }
    None
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
