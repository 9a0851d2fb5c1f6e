//! Looking at the specs: cheaply when nothing changed, in parallel when something did.
//!
//! This file must never keep a value of a file that may have changed since it was read.

use super::file::{self, Stamp};
use super::names::{names_in, no_spec, reserved, twins};
use super::{order, routes, text};
use crate::config::{Config, FeatureKeys, Reference, Source, Spot, nearest, read_text};
use crate::model::{AgentChoice, Code, FeatureSpec, Problem, Slug, StuckRule};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// What one look at the specs found. When `problems` holds an error, `features` may lack some: a caller
/// in the middle of a run keeps what it had.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// The features, by slug.
    pub features: Vec<FeatureSpec>,
    /// Everything that is wrong.
    pub problems: Vec<Problem>,
    /// Where features name others.
    pub places: Places,
    /// Whether there is no spec at all (which is also a problem).
    pub nothing: bool,
}

impl Loaded {
    /// Whether any of the problems is an error.
    #[must_use]
    pub fn any_error(&self) -> bool {
        let error = crate::model::Severity::Error;
        self.problems
            .iter()
            .any(|problem| problem.severity == error)
    }
}

/// Where features name others, for whoever checks the graph.
#[derive(Clone, Debug, Default)]
pub struct Places(BTreeMap<Slug, Vec<Reference>>);

impl Places {
    /// Where `slug` names the feature `word` in `depends_on` or `after`.
    #[must_use]
    pub fn of(&self, slug: &Slug, word: &str) -> Option<&Spot> {
        let references = self.0.get(slug)?;
        let found = references.iter().find(|one| one.slug.as_str() == word)?;
        Some(&found.spot)
    }
}

/// One directory below the specs directory.
#[derive(Clone, Debug)]
struct Seen {
    name: OsString,
    /// Of the spec file; `None` when there is none.
    stamp: Option<Stamp>,
    /// What it says, once it was read.
    spec: Option<Arc<Spec>>,
}

/// What one spec file says.
#[derive(Debug, PartialEq)]
struct Spec {
    readable: bool,
    title: Option<String>,
    keys: FeatureKeys,
    problems: Vec<Problem>,
}

/// What one look at the files saw.
#[derive(Debug)]
struct Look {
    /// Of the specs directory; `None` when it could not be read.
    dir: Option<Stamp>,
    dir_problems: Vec<Problem>,
    /// Of the order file; `None` when there is none.
    order: Option<Stamp>,
    order_text: Result<String, Box<Problem>>,
    seen: Vec<Seen>,
}

/// Looks at the specs again and again.
#[derive(Debug)]
pub struct Scanner {
    root: PathBuf,
    config: Config,
    /// What the last look saw; `None` before the first.
    last: Option<Look>,
    /// Spec files read so far, for tests.
    pub(super) reads: usize,
}

impl Scanner {
    /// A scanner for the main checkout `root`. Of the configuration it uses where specs are, what
    /// harness.yaml says about features, and the names of the agent profiles.
    #[must_use]
    pub fn new(root: &Path, config: &Config) -> Self {
        Self {
            root: root.to_owned(),
            config: config.clone(),
            last: None,
            reads: 0,
        }
    }

    /// Looks at the specs; `None` when nothing has changed since the last look. The first look always
    /// finds something.
    pub fn scan(&mut self) -> Option<Loaded> {
        // Before anything is read: what changes from here on must look newer than what was read.
        let now = SystemTime::now();
        if self
            .last
            .as_ref()
            .is_some_and(|last| self.surely_same(last, now))
        {
            return None;
        }
        let look = self.look(now);
        let news = self
            .last
            .as_ref()
            .is_none_or(|last| !look.says_the_same(last));
        let loaded = news.then(|| self.assemble(&look));
        self.last = Some(look);
        loaded
    }

    /// The directories that the last look found, in the order of their names, with and without a spec.
    pub fn dirs(&self) -> impl Iterator<Item = PathBuf> {
        let dir = self.root.join(&self.config.specs.dir);
        let seen = self.last.iter().flat_map(|last| &last.seen);
        seen.map(move |seen| dir.join(&seen.name))
    }

    /// Whether no file can have changed since `last`, judging by their stamps alone.
    fn surely_same(&self, last: &Look, now: SystemTime) -> bool {
        let same = |path: &Path, before: &Option<Stamp>| {
            file::unchanged(before.as_ref(), Stamp::of(path, now).as_ref())
        };
        let specs = &self.config.specs;
        same(&self.root.join(&specs.dir), &last.dir)
            && same(&self.root.join(&specs.order_file), &last.order)
            && last
                .seen
                .par_iter()
                .all(|seen| same(&self.path_of(&seen.name), &seen.stamp))
    }

    fn path_of(&self, name: &OsStr) -> PathBuf {
        let mut path = self.root.join(&self.config.specs.dir);
        path.push(name);
        path.push(&self.config.specs.file);
        path
    }

    /// Looks at everything, reading only what may have changed.
    fn look(&mut self, now: SystemTime) -> Look {
        let specs = &self.config.specs;
        let dir = self.root.join(&specs.dir);
        let dir_stamp = Stamp::of(&dir, now);
        let order_stamp = Stamp::of(&self.root.join(&specs.order_file), now);
        let mut dir_problems = Vec::new();
        let names = names_in(&dir, specs, &mut dir_problems);
        let known = self.last.iter().flat_map(|last| &last.seen);
        let known: BTreeMap<&OsStr, &Seen> =
            known.map(|seen| (seen.name.as_os_str(), seen)).collect();
        let real_root = self
            .root
            .canonicalize()
            .unwrap_or_else(|_| self.root.clone());
        let looks: Vec<(Seen, bool)> = names
            .into_par_iter()
            .map(|name| {
                let old = known.get(name.as_os_str()).copied();
                self.look_at(name, old, &real_root, now)
            })
            .collect();
        self.reads += looks.iter().filter(|(_, read)| *read).count();
        Look {
            dir: dir_stamp.filter(|_| dir_problems.is_empty()),
            dir_problems,
            order: order_stamp,
            order_text: self.order_text(),
            seen: looks.into_iter().map(|(seen, _)| seen).collect(),
        }
    }

    /// Looks at one directory and reads its spec if it may have changed; whether it did read.
    fn look_at(
        &self,
        name: OsString,
        old: Option<&Seen>,
        root: &Path,
        now: SystemTime,
    ) -> (Seen, bool) {
        let path = self.path_of(&name);
        let stamp = Stamp::of(&path, now);
        if let Some(old) = old
            && file::unchanged(old.stamp.as_ref(), stamp.as_ref())
        {
            return (old.clone(), false);
        }
        // A link to nothing is a spec that cannot be read, not a directory without one.
        if stamp.is_none() && path.symlink_metadata().is_err() {
            let spec = None;
            return (Seen { name, stamp, spec }, false);
        }
        let shown = self
            .config
            .specs
            .dir
            .join(&name)
            .join(&self.config.specs.file);
        let spec = self.read(&path, &shown, root);
        // What could not be read is tried again at every look.
        let stamp = stamp.filter(|_| spec.readable);
        let spec = Some(Arc::new(spec));
        (Seen { name, stamp, spec }, true)
    }

    fn order_text(&self) -> Result<String, Box<Problem>> {
        let shown = &self.config.specs.order_file;
        let path = self.root.join(shown);
        if path.symlink_metadata().is_err() && !self.config.specs.order_file_named {
            return Ok(String::new());
        }
        let help = "it lists features, one a line";
        read_text(&path, shown).map_err(|problem| Box::new(problem.help(help)))
    }

    fn read(&self, path: &Path, shown: &Path, root: &Path) -> Spec {
        let mut spec = Spec {
            readable: false,
            title: None,
            keys: FeatureKeys::default(),
            problems: Vec::new(),
        };
        let whole = match file::read_inside(path, shown, root) {
            Ok(whole) => whole,
            Err(problem) => {
                spec.problems.push(*problem);
                return spec;
            }
        };
        spec.readable = true;
        spec.title = match text::split(&whole) {
            text::Split::Plain => text::title(&whole),
            text::Split::Unclosed => {
                let problem = Problem::error("the front matter is not closed")
                    .code(Code::OpenFrontMatter)
                    .file(shown);
                let problem = problem.at(1, "---", "---");
                spec.problems.push(problem.help("end it with a line `---`"));
                None
            }
            text::Split::Front { front, body } => {
                let source = Source::part(shown, front.to_owned(), 2);
                (spec.keys, spec.problems) = FeatureKeys::of_front_matter(&source);
                let profiles = self.config.agents.keys().map(String::as_str);
                spec.problems.extend(spec.keys.unknown_agent(profiles));
                text::title(body)
            }
        };
        spec
    }

    /// Puts together what the single files say.
    fn assemble(&self, look: &Look) -> Loaded {
        let mut problems = look.dir_problems.clone();
        let specs = &self.config.specs;
        let mut features: BTreeMap<Slug, FeatureSpec> = BTreeMap::new();
        let mut places = BTreeMap::new();
        let mut folded: BTreeMap<String, &OsStr> = BTreeMap::new();
        let found = look
            .seen
            .iter()
            .filter_map(|seen| Some((seen, seen.spec.as_deref()?)));
        let mut nothing = true;
        let mut all_labels = BTreeSet::new();
        for (seen, spec) in found {
            nothing = false;
            let shown = specs.dir.join(&seen.name).join(&specs.file);
            let name = seen.name.to_string_lossy();
            if let Some(twin) = folded.insert(name.to_lowercase(), &seen.name) {
                problems.push(twins(&twin.to_string_lossy(), &name, &shown));
                continue;
            }
            problems.extend(spec.problems.iter().cloned());
            match Slug::new(name) {
                Ok(slug) => {
                    problems.extend(reserved(&slug).map(|problem| problem.file(&shown)));
                    let yaml = self.config.features.get(&slug);
                    let (mut feature, references) =
                        merged(slug.clone(), &shown, spec, yaml, self.config.merge.review);
                    let own = labels(spec, yaml);
                    routes::assign(&self.config.routes, &mut feature, &own);
                    all_labels.extend(own);
                    places.insert(slug.clone(), references);
                    features.insert(slug, feature);
                }
                Err(error) => problems.push(
                    Problem::error(error.to_string())
                        .code(Code::BadSlug)
                        .file(shown)
                        .help("rename its directory"),
                ),
            }
        }
        if nothing && problems.is_empty() {
            problems.push(no_spec(specs));
        }
        let slugs: BTreeSet<Slug> = features.keys().cloned().collect();
        problems.extend(self.without_spec(&slugs));
        problems.extend(routes::unused(&self.config.routes, &all_labels));
        match &look.order_text {
            Ok(text) => {
                let source = Source::new(&specs.order_file, text.clone());
                let (order, mut odd) = order::parse(&source, &slugs);
                problems.append(&mut odd);
                for (slug, position) in order {
                    if let Some(feature) = features.get_mut(&slug) {
                        feature.order = Some(position);
                    }
                }
            }
            Err(problem) => problems.push(problem.as_ref().clone()),
        }
        Loaded {
            features: features.into_values().collect(),
            problems,
            places: Places(places),
            nothing,
        }
    }

    /// Warnings for features that harness.yaml knows and the specs do not.
    fn without_spec<'a>(&'a self, slugs: &'a BTreeSet<Slug>) -> impl Iterator<Item = Problem> + 'a {
        let strangers = self.config.features.iter();
        strangers
            .filter(|(slug, _)| !slugs.contains(*slug))
            .map(|(slug, keys)| {
                let mut problem =
                    Problem::warning(format!("there is no spec for the feature `{slug}`"))
                        .code(Code::UnknownFeature);
                let near = nearest(slug.as_str(), slugs.iter().map(Slug::as_str));
                problem.help = near.map(|near| format!("did you mean `{near}`?"));
                match &keys.spot {
                    Some(spot) => spot.mark(problem),
                    None => problem,
                }
            })
    }
}

impl Look {
    fn says_the_same(&self, other: &Self) -> bool {
        let specs = |look: &Self| {
            let found = look.seen.iter().filter(|seen| seen.spec.is_some());
            found
                .map(|seen| (seen.name.clone(), seen.spec.clone()))
                .collect::<Vec<_>>()
        };
        self.dir_problems == other.dir_problems
            && self.order_text == other.order_text
            && specs(self) == specs(other)
    }
}

/// A feature as spec and harness.yaml describe it together, and where it names others: lists are joined,
/// for single values the spec's wins. `review` is what counts where neither says anything of it.
fn merged(
    slug: Slug,
    shown: &Path,
    spec: &Spec,
    yaml: Option<&FeatureKeys>,
    review: bool,
) -> (FeatureSpec, Vec<Reference>) {
    let nothing = FeatureKeys::default();
    let (front, yaml) = (&spec.keys, yaml.unwrap_or(&nothing));
    let slugs = |mine: &[Reference], theirs: &[Reference]| {
        joined(mine.iter().chain(theirs).map(|one| one.slug.clone()))
    };
    let texts = |mine: &[String], theirs: &[String]| joined(mine.iter().chain(theirs).cloned());
    let agent = front.agent.as_ref().or(yaml.agent.as_ref());
    let timeout = front.timeout.or(yaml.timeout);
    let lists = [
        &front.depends_on,
        &yaml.depends_on,
        &front.after,
        &yaml.after,
    ];
    let references = lists.into_iter().flatten().cloned().collect();
    let feature = FeatureSpec {
        title: spec.title.clone().unwrap_or_else(|| slug.to_string()),
        path: shown.to_string_lossy().into_owned(),
        slug,
        depends_on: slugs(&front.depends_on, &yaml.depends_on),
        after: slugs(&front.after, &yaml.after),
        priority: front.priority.or(yaml.priority).unwrap_or_default(),
        order: None,
        touches: texts(&front.touches, &yaml.touches),
        locks: texts(&front.locks, &yaml.locks),
        agent: AgentChoice {
            profile: agent.map(|(name, _)| name.clone()),
            model: front.model.clone().or_else(|| yaml.model.clone()),
        },
        label: None,
        timeout_ms: timeout.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
        budget: front.budget.or(yaml.budget),
        stuck: StuckRule {
            limit: front.stuck.limit.or(yaml.stuck.limit),
            min_bytes: front.stuck.min_bytes.or(yaml.stuck.min_bytes),
        },
        // Those of harness.yaml first, as with the run's own.
        verify: texts(&yaml.verify, &front.verify),
        review: front.review.or(yaml.review).unwrap_or(review),
    };
    (feature, references)
}

/// The labels that spec and harness.yaml give a feature.
fn labels(spec: &Spec, yaml: Option<&FeatureKeys>) -> Vec<String> {
    let yaml = yaml.into_iter().flat_map(|keys| &keys.labels);
    joined(spec.keys.labels.iter().chain(yaml).cloned())
}

/// The items, each once, in order.
fn joined<T: PartialEq>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut list = Vec::new();
    for item in items {
        if !list.contains(&item) {
            list.push(item);
        }
    }
    list
}
