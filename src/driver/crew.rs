//! What every effect needs to know: one bundle, made when the run begins and never changed.

use super::confine::Confinement;
use super::error::DriverError;
use super::place::{Place, mark};
use super::preflight::Ready;
use super::radar;
use super::tamper::Vigil;
use super::world::blocking;
use crate::agent::prompt::{Materials, Template, build};
use crate::agent::{self, Progress};
use crate::config::{Config, Profile};
use crate::core::State;
use crate::gate::Checks;
use crate::git::{Lent, Worktrees};
use crate::learnings::Memory;
use crate::model::{
    AgentChoice, Code, EffectKey, FeatureSpec, Oid, PromptFigures, RunId, Slug, WorktreeName,
};
use crate::process::{self, Builds, Keeper, Limits, Sandbox, Secrets};
use crate::report::Heard;
use crate::spec;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use tokio::sync::OnceCell;

/// The run's fixed surroundings.
#[derive(Debug)]
pub(super) struct Crew {
    pub(super) place: Place,
    pub(super) config: Config,
    pub(super) target: String,
    pub(super) run: RunId,
    pub(super) worktrees: Worktrees,
    pub(super) memory: Memory,
    pub(super) profiles: BTreeMap<String, (Profile, PathBuf)>,
    /// Versions of programs, each asked when it is first called.
    versions: RefCell<BTreeMap<PathBuf, Rc<OnceCell<Option<String>>>>>,
    pub(super) template: Option<(PathBuf, String)>,
    /// How long the beginning is that all prompts have, in bytes.
    stable: usize,
    pub(super) env: BTreeMap<OsString, OsString>,
    /// The features as last read;
    pub(super) features: RefCell<BTreeMap<Slug, FeatureSpec>>,
    /// Which of the gates' worktrees are in use.
    pub(super) gates: RefCell<BTreeSet<u32>>,
    /// Trees with the generated files that a command made of a merge, by the merge's tree: a chain that is
    /// built again must come out the same.
    pub(super) made: RefCell<BTreeMap<Oid, Oid>>,
    /// The last words of each agent that runs. Not told one by one: an agent may print faster than anybody reads.
    pub(super) heard: RefCell<BTreeMap<Slug, Heard>>,
    /// Who sees to it that no process outlives what it was started for.
    pub(super) keeper: Keeper,
    /// What an agent or command may use, with everything it starts.
    pub(super) limits: Limits,
    /// What it may write and see.
    pub(super) confinement: Confinement,
    /// How the builds of all of them share the processors.
    pub(super) builds: Builds,
    /// What nothing that is written or shown may hold: an agent finds more of the environment than it is given.
    pub(super) secrets: Secrets,
    /// Who watches over what is not the agents'.
    pub(super) vigil: Vigil,
}

impl Crew {
    pub(super) fn new(ready: Ready, run: RunId, memory: Memory) -> (Self, spec::Scanner) {
        let features = by_slug(ready.survey.features);
        let resources = &ready.config.resources;
        let limits = Limits {
            memory: resources.memory.or_else(default_memory),
            processes: Some(resources.processes),
            open_files: resources.open_files,
            file_size: resources.file_size,
        };
        let given = ready.profiles.values();
        let given = given.flat_map(|(profile, _)| &profile.env);
        let given = given.map(|(name, value)| (OsStr::new(name), OsStr::new(value)));
        let own = ready.env.iter();
        let own = own.map(|(name, value)| (name.as_os_str(), value.as_os_str()));
        let secrets = Secrets::among(given.chain(own));
        let vigil = Vigil::new(&ready.place.repo, not_watched(&ready.place, &ready.config));
        let template = ready.template.as_ref();
        let template = template.map(|(path, text)| Template { path, text });
        let stable = agent::stable_bytes(&ready.config.prompt.extra, template.as_ref());
        let crew = Self {
            vigil,
            stable,
            place: ready.place,
            config: ready.config,
            target: ready.target.refname,
            run,
            worktrees: ready.worktrees,
            memory,
            profiles: ready.profiles,
            versions: RefCell::default(),
            template: ready.template,
            env: ready.env,
            features: RefCell::new(features),
            gates: RefCell::default(),
            made: RefCell::default(),
            keeper: ready.keeper,
            heard: RefCell::default(),
            limits,
            confinement: ready.confinement,
            builds: Builds::Free,
            secrets,
        };
        (crew, ready.survey.scanner)
    }

    /// Lends a git directory to whoever is to work in a worktree.
    pub(super) async fn lend(&self, name: WorktreeName, slug: &Slug) -> Result<Lent, String> {
        let (pool, slug) = (self.worktrees.clone(), slug.clone());
        // Apart only where something keeps agents out of the repository's own.
        let (isolation, apart) = (self.config.isolation, self.confinement.is_on());
        blocking(move || pool.lend(name, &slug, isolation, apart)).await
    }

    /// Takes home what was left in it; gives what was odd.
    pub(super) async fn take_home(&self, name: WorktreeName) -> Result<Vec<String>, String> {
        let pool = self.worktrees.clone();
        blocking(move || pool.take_home(name)).await
    }

    /// The profile, program and model for a feature's choice.
    pub(super) fn agent(
        &self,
        choice: &AgentChoice,
    ) -> Result<(&Profile, &PathBuf, Option<String>), String> {
        let name = choice.profile.as_ref().unwrap_or(&self.config.agent);
        let (profile, program) = self.profiles.get(name).ok_or_else(|| {
            format!("agent `{name}` was not checked when the run began; run again")
        })?;
        Ok((profile, program, choice.model.clone()))
    }

    /// The program's version, if how it is called goes by that. It is asked outside of any sandbox, so never where agents are
    /// held in one: they may be able to write the program.
    pub(super) async fn version(&self, profile: &Profile, program: &Path) -> Option<String> {
        if self.confinement.is_on() || !agent::depends_on_version(profile, program) {
            return None;
        }
        let asked = {
            let mut versions = self.versions.borrow_mut();
            Rc::clone(versions.entry(program.to_owned()).or_default())
        };
        let ask = || agent::version(profile, program.to_owned(), &self.env, &self.keeper);
        asked.get_or_init(ask).await.clone()
    }

    /// Keeps what an agent has told last, in this iteration.
    pub(super) fn hear(&self, slug: &Slug, iteration: u32, progress: Progress) {
        let mut all = self.heard.borrow_mut();
        let heard = all.entry(slug.clone()).or_insert_with(|| Heard {
            output: self.place.records(slug, iteration).join("output.log"),
            ..Heard::default()
        });
        match progress {
            Progress::Line(line) => heard.words = Some(line),
            Progress::Tokens(used) => heard.used = Some(used),
        }
    }

    /// The file that names the ignored files of the main checkout which worktrees need.
    pub(super) fn include_file(&self) -> PathBuf {
        let root = self.place.repo.root();
        root.join(&self.config.worktrees.include_file)
    }

    /// The environment of setup commands (of a feature) and verify commands (of a tree, whoever made it).
    pub(super) fn command_env(&self, slug: Option<&Slug>) -> BTreeMap<OsString, OsString> {
        let mut env = agent::base_env(&self.env, &[]);
        env.insert("HARNESS".into(), "1".into());
        if let Some(slug) = slug {
            env.insert("HARNESS_FEATURE".into(), slug.as_str().into());
        }
        env
    }

    /// Commands of the project for one effect.
    pub(super) fn checks(
        &self,
        commands: Vec<String>,
        key: &EffectKey,
        slug: Option<&Slug>,
        log: PathBuf,
        place: Station,
    ) -> Checks {
        let Station { cwd, sandbox } = place;
        Checks {
            commands,
            cwd,
            env: self.command_env(slug),
            timeout: self.config.verify.timeout,
            grace: self.config.run.grace,
            log,
            token: self.token(key),
            keeper: self.keeper.clone(),
            limits: self.limits,
            sandbox,
            builds: self.builds.clone(),
            secrets: self.secrets.clone(),
        }
    }

    /// What the processes of an effect carry in their environment, so that they can be found after a
    /// crash: the same in every run, because a later run looks for an earlier one's.
    pub(super) fn token(&self, key: &EffectKey) -> String {
        token(&self.place.state_dir, key)
    }

    /// A prompt in figures; what the feature was told before is read from its records.
    pub(super) fn figures(&self, slug: &Slug, iteration: u32, prompt: &str) -> PromptFigures {
        let before = self.place.prompt(slug, iteration.saturating_sub(1));
        let before = std::fs::read_to_string(before).ok();
        agent::figures(prompt, self.stable, before.as_deref())
    }

    /// The prompt of the feature's next iteration.
    pub(super) fn prompt(
        &self,
        slug: &Slug,
        iteration: u32,
        spec_path: &Path,
        news: News<'_>,
    ) -> Result<String, DriverError> {
        let features = self.features.borrow();
        let template = self.template.as_ref();
        Scribe {
            place: &self.place,
            config: &self.config,
            memory: &self.memory,
            template: template.map(|(path, text)| (path.as_path(), text.as_str())),
        }
        .write(&features, slug, iteration, spec_path, news)
    }
}

/// Where commands run, and in what sandbox.
#[derive(Clone)]
pub(super) struct Station {
    pub(super) cwd: PathBuf,
    pub(super) sandbox: Option<Sandbox>,
}

/// What changes in the main checkout all the time: specs and their order, which are a person's to edit, and harness's
/// own files.
fn not_watched(place: &Place, config: &Config) -> Vec<String> {
    let state = place.state_dir.strip_prefix(place.repo.root()).ok();
    let state = state.and_then(Path::to_str).map(str::to_owned);
    let specs = &config.specs;
    let all = [specs.dir.to_str(), specs.order_file.to_str()];
    let all = all.into_iter().flatten().map(str::to_owned).chain(state);
    all.map(|path| {
        path.trim_start_matches("./")
            .trim_end_matches('/')
            .to_owned()
    })
    .filter(|path| !path.is_empty() && path != ".")
    .collect()
}

/// Three quarters of what there is: enough for any build, and the rest keeps the machine alive.
fn default_memory() -> Option<u64> {
    process::machine::memory().map(|bytes| bytes / 4 * 3)
}

/// The token of an effect's processes.
pub(super) fn token(state_dir: &Path, key: &EffectKey) -> String {
    let what = match key {
        EffectKey::Prepare(slug, n) => format!("setup-{slug}-{n}"),
        EffectKey::Iterate(slug, n) => format!("agent-{slug}-{n}"),
        EffectKey::Build(n) => format!("build-{n}"),
        EffectKey::Gate(n, reds) => format!("gate-{n}-{reds}"),
        EffectKey::Land(n) => format!("land-{n}"),
        EffectKey::Rewind(to) => format!("rewind-{to}"),
        EffectKey::Publish(n) => format!("publish-{n}"),
        EffectKey::Write(n) => format!("write-{n}"),
        EffectKey::Tidy => "tidy".to_owned(),
    };
    mark(state_dir, &what)
}

/// What an iteration's prompt tells besides the feature and its log.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct News<'a> {
    /// A person's answer.
    pub(super) answer: Option<&'a str>,
    /// The merge that is the task.
    pub(super) handoff: Option<&'a str>,
    /// What landed in the feature's files since its work began.
    pub(super) meanwhile: Option<&'a str>,
}

/// Builds prompts from what is on disk.
struct Scribe<'a> {
    place: &'a Place,
    config: &'a Config,
    memory: &'a Memory,
    template: Option<(&'a Path, &'a str)>,
}

impl Scribe<'_> {
    fn write(
        &self,
        features: &BTreeMap<Slug, FeatureSpec>,
        slug: &Slug,
        iteration: u32,
        spec_path: &Path,
        news: News<'_>,
    ) -> Result<String, DriverError> {
        let lines = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
        let (title, own_verify, file) = match features.get(slug) {
            Some(spec) => (spec.title.clone(), spec.verify.clone(), spec.path.clone()),
            None => (
                slug.to_string(),
                Vec::new(),
                format!("specs/{slug}/spec.md"),
            ),
        };
        let text = spec::body(&self.place.repo.root().join(file)).map_err(|error| {
            DriverError::problem(
                crate::model::Problem::error(error.to_string()).code(Code::UnreadableFile),
            )
        })?;
        let mut verify = self.config.verify.commands.clone();
        verify.extend(own_verify);
        let others: Vec<String> = features
            .keys()
            .filter(|other| *other != slug)
            .map(Slug::to_string)
            .collect();
        let learnings = lines(self.config.prompt.learnings_lines);
        let learnings = self.memory.learnings(learnings)?;
        let materials = Materials {
            slug: slug.as_str(),
            title: &title,
            spec_path,
            spec_text: &text,
            iteration,
            prior_log: &self
                .memory
                .prior_log(slug, lines(self.config.prompt.prior_log_lines))?,
            learnings: (&learnings.settled, &learnings.latest),
            answer: news.answer,
            handoff: news.handoff,
            meanwhile: news.meanwhile,
            verify: &verify,
            extra: &self.config.prompt.extra,
            out_of_scope: &others,
        };
        let template = self.template.map(|(path, text)| Template { path, text });
        build(&materials, template.as_ref()).map_err(|error| {
            DriverError::problem(
                crate::model::Problem::error(error.to_string()).code(Code::BadTemplate),
            )
        })
    }
}

/// The exact prompt that the next iteration of a feature would get if its worktree held its spec as it
/// stands.
///
/// # Errors
/// When the spec or the template cannot be read.
pub fn prompt_for(
    place: &Place,
    config: &Config,
    features: &[FeatureSpec],
    slug: &Slug,
    state: &State,
) -> Result<String, DriverError> {
    let template = match &config.prompt.template {
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(DriverError::io("read the prompt template", path))?;
            Some((path.clone(), text))
        }
        None => None,
    };
    let handoff = state.handback(slug).map(|handback| {
        // Where the merge is laid out only when the iteration begins, its places are not known yet.
        agent::handoff(&agent::Handoff {
            onto: &handback.onto,
            round: handback.round,
            conflicts: &[],
            excerpts: "",
            generated: &[],
            landed: &[],
            red: handback.red.as_ref(),
        })
    });
    let target = place.repo.target(config.target.as_deref()).ok();
    // Of a merge that is the task, the handoff tells.
    let meanwhile = target.filter(|_| handoff.is_none()).and_then(|target| {
        let told = radar::meanwhile(&place.repo, &target.refname, slug);
        told.ok().flatten()
    });
    let features = by_slug(features.to_vec());
    let spec_path = match features.get(slug) {
        Some(spec) => {
            let worktree = state.worktree(slug);
            let worktree = worktree.map(|name| config.worktrees.dir.join(name.to_string()));
            spec_path(place.repo.root(), worktree.as_deref(), &spec.path)
        }
        None => place.repo.root().to_owned(),
    };
    Scribe {
        place,
        config,
        memory: &Memory::at(&place.state_dir),
        template: template
            .as_ref()
            .map(|(path, text)| (path.as_path(), text.as_str())),
    }
    .write(
        &features,
        slug,
        state.last_iteration(slug) + 1,
        &spec_path,
        News {
            answer: state.answer(slug),
            handoff: handoff.as_deref(),
            meanwhile: meanwhile.as_deref(),
        },
    )
}

/// Where the agent finds the spec: the worktree's copy when it says the same as the main checkout's,
/// which is the one that counts.
pub(super) fn spec_path(root: &Path, worktree: Option<&Path>, file: &str) -> PathBuf {
    let main = root.join(file);
    let Some(copy) = worktree.map(|dir| dir.join(file)) else {
        return main;
    };
    let is_file = std::fs::symlink_metadata(&copy).is_ok_and(|meta| meta.is_file());
    match (is_file, std::fs::read(&copy), std::fs::read(&main)) {
        (true, Ok(a), Ok(b)) if a == b => copy,
        _ => main,
    }
}

pub(super) fn by_slug(features: Vec<FeatureSpec>) -> BTreeMap<Slug, FeatureSpec> {
    features
        .into_iter()
        .map(|spec| (spec.slug.clone(), spec))
        .collect()
}
