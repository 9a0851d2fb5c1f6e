//! harness.yaml, environment and flags become one resolved [`Config`] with the origin of every key.
//!
//! `shape` is the only list of keys; the JSON [`schema`] is derived from it and `check` holds every layer
//! of values against that schema. This room must never read the process's own environment or arguments
//! (they are handed over), never look into specs, and never decide anything about a run.

mod agents;
mod budget;
mod check;
mod confine;
mod feature;
#[cfg(feature = "fuzzing")]
mod fuzz;
mod generated;
mod kind;
mod limits;
mod notify;
mod origin;
mod overrides;
mod resolve;
mod resolved;
mod routes;
mod run;
mod shape;
mod source;
mod unavailable;
mod until;
mod words;
pub mod yaml;

pub use budget::price;
pub use feature::{FeatureKeys, Reference};
#[cfg(feature = "fuzzing")]
pub(crate) use fuzz::{fuzz, fuzz_front_matter};
pub use notify::{Notices, Occasion};
pub use origin::{KeyOrigin, Origin, Origins};
pub use resolved::{
    Config, Confine, Generated, Kind, Merge, Profile, Prompt, Resources, Route, Run, SandboxChoice,
    Specs, Strategy, Verify, Worktrees,
};
pub(crate) use source::quoted;
pub use source::{FILE_CAP_BYTES, Place, Source, Spot, read_text};
pub use until::Until;
pub use words::{nearest, size_shown};

use crate::model::{Code, Problem, Problems, Severity};
use check::{Checker, Key};
use origin::Tree;
use resolve::Resolver;
use shape::{Selection, Shape};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use yaml::Node;

/// The configuration file that is read when none is named, relative to the repository.
pub const FILE_NAME: &str = "harness.yaml";

/// Where configuration comes from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The main checkout, absolute.
    pub root: PathBuf,
    /// The file named by `--config`; it must exist.
    pub file: Option<PathBuf>,
    /// The environment.
    pub env: BTreeMap<String, String>,
    /// The command line.
    pub flags: Flags,
}

/// The flags that cover configuration, as typed.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--parallel`: a number or `auto`.
    pub parallel: Option<String>,
    /// `--max-iterations`.
    pub max_iterations: Option<u32>,
    /// `--max-iterations-per-feature`.
    pub max_iterations_per_feature: Option<u32>,
    /// `--iteration-timeout`: a duration.
    pub iteration_timeout: Option<String>,
    /// `--idle-timeout`: a duration.
    pub idle_timeout: Option<String>,
    /// `--target`: a branch.
    pub target: Option<String>,
    /// `--only`: features; may be given several times and hold commas.
    pub only: Vec<String>,
    /// `--agent`: a profile.
    pub agent: Option<String>,
    /// `--model`.
    pub model: Option<String>,
    /// `--until`: a time of the day, or a duration.
    pub until: Option<String>,
    /// `--on-halt`: `isolate` or `stop`.
    pub on_halt: Option<String>,
    /// `--budget-usd`.
    pub budget_usd: Option<String>,
    /// `--budget-tokens`.
    pub budget_tokens: Option<String>,
    /// `--sandbox`: `off`, `auto`, `bwrap` or `landlock`.
    pub sandbox: Option<String>,
    /// `--dry-run`.
    pub dry_run: bool,
}

/// A configuration without errors.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What is worth saying about it.
    pub warnings: Vec<Problem>,
    /// Where each value came from.
    pub origins: Origins,
}

/// Resolves the configuration.
///
/// # Errors
/// All problems at once, warnings among them, when any of them is an error.
pub fn load(sources: &Sources) -> Result<Loaded, Problems> {
    let mut problems = Vec::new();
    let file = read_file(sources, &mut problems);
    resolved(sources, file, problems)
}

/// The same of what stands in the file, with the problems that reading it had.
fn resolved(
    sources: &Sources,
    file: Option<(Source, Node)>,
    mut problems: Vec<Problem>,
) -> Result<Loaded, Problems> {
    let mut tree = Tree::new(defaults());
    if let Some((source, node)) = &file {
        let mut checker = Checker {
            source,
            unknown: Severity::Error,
            unavailable: unavailable::IN_FILE,
            seconds: false,
            problems: Vec::new(),
        };
        let schema = shape::schema_of::<Shape>();
        if let Some(values) = checker.value(node, &schema, &Key::default(), None) {
            tree.cover(values, node, source);
        }
        problems.append(&mut checker.problems);
    }
    complete_profiles(&mut tree.values);
    overrides::apply(sources, &mut tree, &mut problems);
    let config = resolve_tree(sources, &tree, file.as_ref(), &mut problems);
    // The order of the file, whichever check found them; those without a line keep their order.
    problems.sort_by_key(|problem| problem.line);
    match config {
        Some(config) if !problems.iter().any(is_error) => Ok(Loaded {
            config,
            warnings: problems,
            origins: tree.origins(),
        }),
        _ => Err(Problems(problems)),
    }
}

/// JSON Schema of harness.yaml, for editors.
#[must_use]
pub fn schema() -> serde_json::Value {
    shape::schema_of::<Shape>()
}

fn is_error(problem: &Problem) -> bool {
    problem.severity == Severity::Error
}

/// The defaults of every key, in the file's order; what only flags and environment can set comes last.
fn defaults() -> serde_yaml::Value {
    let mut all = serde_yaml::Mapping::new();
    for part in [
        serde_yaml::to_value(Shape::default()),
        serde_yaml::to_value(Selection::default()),
    ] {
        if let Ok(serde_yaml::Value::Mapping(part)) = part {
            all.extend(part);
        }
    }
    serde_yaml::Value::Mapping(all)
}

/// Gives each profile the defaults of the keys it leaves out, so that origins list them.
fn complete_profiles(values: &mut serde_yaml::Value) {
    let Ok(serde_yaml::Value::Mapping(mut defaults)) =
        serde_yaml::to_value(agents::Profile::default())
    else {
        return;
    };
    defaults.remove("kind"); // It has none.
    let agents = values
        .get_mut("agents")
        .and_then(|agents| agents.as_mapping_mut());
    for profile in agents.into_iter().flat_map(|agents| agents.values_mut()) {
        let Some(profile) = profile.as_mapping_mut() else {
            continue;
        };
        for (key, value) in &defaults {
            profile.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }
}

fn read_file(sources: &Sources, problems: &mut Vec<Problem>) -> Option<(Source, Node)> {
    let path = match &sources.file {
        Some(path) => path.clone(),
        None => sources.root.join(FILE_NAME),
    };
    // A link that leads nowhere is not an absent file.
    if sources.file.is_none()
        && path
            .symlink_metadata()
            .is_err_and(|error| is_absent(&error))
    {
        return None;
    }
    let shown = path.strip_prefix(&sources.root).unwrap_or(&path).to_owned();
    let parsed = read_source(&path, &shown).and_then(|source| {
        let node = yaml::parse(&source)?;
        Ok((source, node))
    });
    match parsed {
        Ok(parsed) => Some(parsed),
        Err(problem) => {
            problems.push(*problem);
            None
        }
    }
}

fn is_absent(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::NotFound
}

fn read_source(path: &Path, shown: &Path) -> Result<Source, Box<Problem>> {
    read_text(path, shown).map(|text| Source::new(shown, text))
}

fn resolve_tree(
    sources: &Sources,
    tree: &Tree,
    file: Option<&(Source, Node)>,
    problems: &mut Vec<Problem>,
) -> Option<Config> {
    let shape = serde_yaml::from_value::<Shape>(tree.values.clone());
    let selection = serde_yaml::from_value::<Selection>(tree.values.clone());
    let (shape, selection) = match (shape, selection) {
        (Ok(shape), Ok(selection)) => (shape, selection),
        (Err(error), _) | (_, Err(error)) => {
            problems.push(
                Problem::error(format!("the configuration does not fit: {error}"))
                    .code(Code::BadValue),
            );
            return None;
        }
    };
    let mut resolver = Resolver {
        root: &sources.root,
        tree,
        file: file.map(|(source, node)| (source, node)),
        problems: Vec::new(),
    };
    let config = resolver.config(shape, selection);
    problems.append(&mut resolver.problems);
    Some(config)
}

#[cfg(test)]
mod tests;
