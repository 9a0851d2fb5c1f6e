//! Everything that is checked before the first worktree is made: specs, graph, selection, agents,
//! target, state directory. All problems come at once.

use super::confine::Confinement;
use super::costs::{charges, not_kept, unmeasured};
use super::error::DriverError;
use super::place::{Place, profiles_in_use};
use super::tell;
use crate::agent;
use crate::config::{self, Config, Profile};
use crate::core::{self, GraphProblem};
use crate::git::{BrokenFilter, GitError, Target, Worktrees, integration_ref};
use crate::model::{Code, FeatureSpec, Isolation, Oid, Problem, Severity, Slug};
use crate::process::{self, Keeper};
use crate::spec::{Loaded, Scanner};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// The backlog as it stands, without errors.
#[derive(Debug)]
pub struct Survey {
    /// Every feature.
    pub features: Vec<FeatureSpec>,
    /// What is odd but does not stop a run.
    pub warnings: Vec<Problem>,
    /// Looks again later without reading what has not changed.
    pub(super) scanner: Scanner,
}

/// What a run needs, checked.
#[derive(Debug)]
pub struct Ready {
    /// Where.
    pub place: Place,
    /// How.
    pub config: Config,
    /// What.
    pub survey: Survey,
    /// The branch features land on.
    pub target: Target,
    pub(super) worktrees: Worktrees,
    pub(super) profiles: BTreeMap<String, (Profile, PathBuf)>,
    pub(super) template: Option<(PathBuf, String)>,
    pub(super) env: BTreeMap<OsString, OsString>,
    pub(super) keeper: Keeper,
    pub(super) confinement: Confinement,
}

/// Reads all specs and checks them as a graph.
///
/// # Errors
/// All problems at once, with their places.
pub fn survey(place: &Place, config: &Config) -> Result<Survey, DriverError> {
    let mut scanner = Scanner::new(place.repo.root(), config);
    let loaded = scanner.scan().unwrap_or_default();
    let mut problems = loaded.problems.clone();
    problems.extend(graph_problems(&loaded));
    problems.extend(selection_problems(place, config, &loaded.features));
    if problems.iter().any(|p| p.severity == Severity::Error) {
        return Err(DriverError::Problems(problems));
    }
    Ok(Survey {
        features: loaded.features,
        warnings: problems,
        scanner,
    })
}

/// Checks everything a run needs. `env` is the whole environment of this process.
///
/// # Errors
/// The first kind of thing that is wrong, with all its problems.
pub fn preflight(
    mut place: Place,
    config: Config,
    mut env: BTreeMap<OsString, OsString>,
) -> Result<Ready, DriverError> {
    place.repo = place.repo.generating(&config.merge.generated())?.seal()?;
    let mut survey = survey(&place, &config)?;
    let target = place.repo.target(config.target.as_deref());
    let target = target.or_else(|error| no_target(&place, error))?;
    survey
        .warnings
        .extend(not_held(&place, &survey.features, &target)?);
    tell::check(&config.notify, &env)?;
    let profiles = programs(&place, &config, &survey.features, &env)?;
    let template = match &config.prompt.template {
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(DriverError::io("read the prompt template", path))?;
            Some((path.clone(), text))
        }
        None => None,
    };
    let worktrees = Worktrees::new(place.repo.clone(), &config.worktrees.dir)?;
    let worktrees = worktrees.in_boot(process::boot_id());
    let around = surroundings(&place, &worktrees, &survey.features, config.isolation)?;
    survey.warnings.extend(around);
    let keeper = Keeper::find();
    let (confinement, odd) = Confinement::find(&config, &place, &worktrees, &keeper, &mut env)?;
    survey.warnings.extend(odd);
    let charges = charges(&config, &survey.features, &env);
    survey.warnings.extend(charges);
    let unmeasured = unmeasured(&config, &survey.features);
    survey.warnings.extend(unmeasured);
    survey.warnings.extend(not_kept(&config, &survey.features));
    Ok(Ready {
        place,
        config,
        survey,
        target,
        worktrees,
        profiles,
        template,
        env,
        keeper,
        confinement,
    })
}

/// Says where what landed on a branch is, when the branch is gone.
fn no_target(place: &Place, error: GitError) -> Result<Target, DriverError> {
    if let GitError::NoSuchBranch { name, .. } = &error {
        let landed = integration_ref(name);
        if let Some(tip) = place.repo.tip(&landed)? {
            let text = format!("the branch `{name}` is gone, and what has landed waits for it");
            return Err(DriverError::problem(Problem::error(text).code(Code::UnknownBranch).help(format!(
                "`git branch {name} {tip}` brings it back with all of that; or merge {landed} into another \
                 branch and run with `--target`"
            ))));
        }
    }
    Err(error.into())
}

/// What the user has checked out where, as far as it is odd.
///
/// # Errors
/// No feature could have a branch, or a worktree.
fn surroundings(
    place: &Place,
    worktrees: &Worktrees,
    features: &[FeatureSpec],
    isolation: Isolation,
) -> Result<Vec<Problem>, DriverError> {
    let repo = &place.repo;
    if repo.tip("refs/heads/harness")?.is_some() {
        let text = "there is a branch `harness`, so that no branch `harness/<feature>` can be made";
        let help = "give it another name: git branch -m harness <name>";
        return Err(DriverError::problem(
            Problem::error(text).code(Code::BranchTaken).help(help),
        ));
    }
    let broken = repo.broken_filters()?;
    if !broken.is_empty() {
        let problems = broken.into_iter().map(|filter| {
            let BrokenFilter { name, file, why } = filter;
            let text = format!("the filter `{name}`, which {file} needs, does not work: {why}");
            let shown = format!("git config --get-regexp filter.{name}");
            Problem::error(text)
                .code(Code::BrokenFilter)
                .help(format!("install what `{shown}` names, or change it"))
        });
        return Err(DriverError::Problems(problems.collect()));
    }
    repo.can_isolate(isolation)?;
    let mut odd = Vec::new();
    if repo.is_entered_by_link() {
        let root = repo.root().display();
        let text = format!("this is a linked worktree; what counts is the main checkout, {root}");
        odd.push(
            Problem::warning(text)
                .code(Code::LinkedWorktree)
                .help("its specs, its harness.yaml and its state are used"),
        );
    }
    let slugs: BTreeSet<&Slug> = features.iter().map(|spec| &spec.slug).collect();
    for (slug, path) in worktrees.checked_out_elsewhere()? {
        if slugs.contains(&slug) {
            let path = path.display();
            let text = format!(
                "`{slug}` cannot start: its branch harness/{slug} is checked out in {path}"
            );
            odd.push(
                Problem::warning(text)
                    .code(Code::BranchTaken)
                    .help("check out another branch there"),
            );
        }
    }
    Ok(odd)
}

/// What is wrong with the features as a graph, with places.
pub(super) fn graph_problems(loaded: &Loaded) -> Vec<Problem> {
    let names: Vec<&str> = loaded.features.iter().map(|f| f.slug.as_str()).collect();
    core::check(&loaded.features)
        .into_iter()
        .map(|problem| match problem {
            GraphProblem::Unknown { slug, named, key } => {
                let text =
                    format!("`{slug}` names `{named}` under `{key}`, and there is no such feature");
                let help = match config::nearest(named.as_str(), names.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "add its spec, or take the name out".to_owned(),
                };
                placed(
                    Problem::error(text)
                        .code(Code::UnknownDependency)
                        .help(help),
                    loaded,
                    &slug,
                    &named,
                )
            }
            GraphProblem::Cycle { path } => {
                let way: Vec<&str> = path.iter().map(Slug::as_str).collect();
                let text = format!("features wait for each other: {}", way.join(" -> "));
                let problem = Problem::error(text)
                    .code(Code::DependencyCycle)
                    .help("take one of these dependencies out");
                match path.as_slice() {
                    [first, second, ..] => placed(problem, loaded, first, second),
                    _ => problem,
                }
            }
            GraphProblem::Unselected { slug, needs } => unselected(&slug, &needs),
        })
        .collect()
}

fn placed(problem: Problem, loaded: &Loaded, slug: &Slug, word: &Slug) -> Problem {
    match loaded.places.of(slug, word.as_str()) {
        Some(spot) => spot.mark(problem),
        None => problem,
    }
}

fn unselected(slug: &Slug, needs: &Slug) -> Problem {
    Problem::error(format!(
        "`{slug}` is selected, but depends on `{needs}`, which is neither selected nor merged"
    ))
    .code(Code::UnselectedDependency)
    .file("command line")
    .help(format!("select `{needs}` too: --only {needs},{slug}"))
}

fn selection_problems(place: &Place, config: &Config, features: &[FeatureSpec]) -> Vec<Problem> {
    let Some(only) = &config.only else {
        return Vec::new();
    };
    let names: Vec<&str> = features.iter().map(|spec| spec.slug.as_str()).collect();
    let mut problems: Vec<Problem> = only
        .iter()
        .filter(|slug| !names.contains(&slug.as_str()))
        .map(|slug| {
            let problem = Problem::error(format!("there is no feature `{slug}` to select"))
                .code(Code::UnknownFeature)
                .file("command line");
            match config::nearest(slug.as_str(), names.iter().copied()) {
                Some(near) => problem.help(format!("did you mean `{near}`?")),
                None => problem.help("`harness plan` lists all features"),
            }
        })
        .collect();
    let landed = landed(place, features);
    problems.extend(
        core::unselected(features, only, &landed)
            .into_iter()
            .filter_map(|problem| match problem {
                GraphProblem::Unselected { slug, needs } => Some(unselected(&slug, &needs)),
                _ => None,
            }),
    );
    problems
}

/// Features that have a marker or that the journal calls merged.
fn landed(place: &Place, features: &[FeatureSpec]) -> BTreeSet<Slug> {
    let state = place.read().map(|reading| reading.state).ok();
    features
        .iter()
        .map(|spec| &spec.slug)
        .filter(|slug| {
            let marker = place.state_dir.join(format!("{slug}.done"));
            marker.is_file() || state.as_ref().is_some_and(|state| state.is_merged(slug))
        })
        .cloned()
        .collect()
}

/// Features that are merged by the journal, but not in this target. On the target they landed on that is a
/// warning: its history was rewritten, and what it should hold is its owner's to say.
///
/// # Errors
/// When they landed on another target: to take them as done would be wrong, to do them again perhaps too.
fn not_held(
    place: &Place,
    features: &[FeatureSpec],
    target: &Target,
) -> Result<Option<Problem>, DriverError> {
    // What is wrong with the state directory is told when the run opens it.
    let Ok(reading) = place.read() else {
        return Ok(None);
    };
    let Some((landed_on, landed)) = reading.state.landings() else {
        return Ok(None);
    };
    let listed: BTreeSet<&Slug> = features.iter().map(|spec| &spec.slug).collect();
    let ahead = place.repo.tip(&integration_ref(&target.refname))?;
    let mut missing = Vec::new();
    let unpublished: BTreeSet<&Slug> = reading.state.unpublished().map(|(slug, _)| slug).collect();
    // Who lost its marker is to be done again.
    let counts = |slug: &Slug| {
        let marker = place.state_dir.join(format!("{slug}.done"));
        listed.contains(slug) && (unpublished.contains(slug) || marker.is_file())
    };
    for (slug, commit) in landed.filter(|(slug, _)| counts(slug)) {
        let in_tip = |tip: &Oid| place.repo.holds(tip, commit);
        let held = in_tip(&target.tip)? || ahead.as_ref().map(in_tip).transpose()? == Some(true);
        if !held {
            missing.push(slug.as_str());
        }
    }
    if missing.is_empty() {
        return Ok(None);
    }
    let short = |name: &str| name.trim_start_matches("refs/heads/").to_owned();
    let (here, there) = (short(&target.refname), short(landed_on));
    if here == there {
        // What was never published is merged again by the run itself.
        missing.retain(|name| !unpublished.iter().any(|slug| slug.as_str() == *name));
        if missing.is_empty() {
            return Ok(None);
        }
    }
    let names = missing.join(", ");
    let again = format!(
        "to have one done again, delete its marker, {}/<feature>.done",
        place.state_dir.display()
    );
    if here == there {
        let text = format!("`{here}` no longer holds what these features landed as: {names}");
        return Ok(Some(
            Problem::warning(text)
                .code(Code::LandedElsewhere)
                .help(format!("they count as merged; {again}")),
        ));
    }
    let text = format!("these features are merged into `{there}`, not into `{here}`: {names}");
    let help = match place.repo.tip(landed_on)? {
        Some(_) => format!("run with --target {there}, or merge `{there}` into `{here}` first"),
        // It was renamed, say.
        None => format!("merge {} into `{here}` first", integration_ref(landed_on)),
    };
    let problem = Problem::error(text)
        .code(Code::LandedElsewhere)
        .help(format!("{help}; {again}"));
    Err(DriverError::problem(problem))
}

fn programs(
    place: &Place,
    config: &Config,
    features: &[FeatureSpec],
    env: &BTreeMap<OsString, OsString>,
) -> Result<BTreeMap<String, (Profile, PathBuf)>, DriverError> {
    let path = env.get(OsStr::new("PATH"));
    let mut found = BTreeMap::new();
    let mut problems = Vec::new();
    for name in profiles_in_use(config, features) {
        let Some(profile) = config.agents.get(name).cloned() else {
            continue;
        };
        match agent::preflight(&profile, path.map(OsString::as_os_str), place.repo.root()) {
            Ok(program) => {
                found.insert(name.clone(), (profile, program));
            }
            Err(error) => {
                let text = format!("agent `{name}`: {error}");
                let mut problem = Problem::error(text).code(Code::AgentMissing);
                problem.help = error.remedy();
                problems.push(match config.agents_at.get(name) {
                    Some(spot) => spot.mark(problem),
                    None => problem,
                });
            }
        }
    }
    if problems.is_empty() {
        Ok(found)
    } else {
        Err(DriverError::Problems(problems))
    }
}

impl DriverError {
    /// Problems that only warn, apart from errors.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        match self {
            Self::Problems(problems) => problems,
            _ => &[],
        }
    }
}
