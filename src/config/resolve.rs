//! From checked values to the resolved configuration, with the checks that need more than one key.
//!
//! This file must never know how a value is written.

use super::agents;
use super::confine;
use super::feature::{FeatureKeys, unknown_profile};
use super::kind::{PARALLEL_MOST, Parallel, Text};
use super::origin::{Origin, Tree};
use super::overrides::is_ours;
use super::resolved::{
    Config, Confine, Kind, Merge, Profile, Prompt, Resources, SandboxChoice, Specs, Strategy,
    Verify, Worktrees,
};
use super::run;
use super::shape::{self, Selection, Shape};
use super::source::{Place, Source, Spot, quoted};
use super::yaml::Node;
use crate::model::{BreakerSettings, Code, Problem, Severity, Slug};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

/// What the values were read from, to give problems their place.
pub(super) struct Resolver<'a> {
    pub root: &'a Path,
    pub tree: &'a Tree,
    /// The file, if there is one.
    pub file: Option<(&'a Source, &'a Node)>,
    pub problems: Vec<Problem>,
}

impl Resolver<'_> {
    /// The configuration; what does not fit together is in `problems`.
    pub(super) fn config(&mut self, shape: Shape, selection: Selection) -> Config {
        let features = self.features(&shape);
        let agents = self.agents(shape.agents);
        let agent = shape.agent.0;
        if !agents.contains_key(&agent) {
            let problem = unknown_profile(&agent, agents.keys().map(String::as_str));
            self.problem("agent", problem);
        }
        for keys in features.values() {
            let profiles = agents.keys().map(String::as_str);
            self.problems.extend(keys.unknown_agent(profiles));
        }
        let breakers = BreakerSettings {
            stuck_limit: shape.breakers.stuck.limit,
            stuck_min_bytes: shape.breakers.stuck.min_bytes,
            idle_limit: shape.breakers.idle.limit,
            repeat_limit: shape.breakers.repeat.limit,
        };
        let strategy = match shape.merge.strategy {
            shape::Strategy::Merge => Strategy::Merge,
            shape::Strategy::Squash => Strategy::Squash,
        };
        let agents_at = self.agents_at(&agents, &agent);
        Config {
            target: shape.target.map(|name| name.0),
            specs: self.specs(&shape.specs),
            features,
            run: run::resolve(&shape.run),
            agent,
            escalate: self.escalate(shape.escalate, &agents),
            routes: self.routes(shape.routes, &agents),
            limits: self.limits(&shape.limits, shape.fallback.0, &agents),
            budget: shape.budget.resolved(),
            prices: self.prices(shape.prices),
            agents_at,
            agents,
            breakers,
            worktrees: self.worktrees(shape.worktrees),
            isolation: confine::isolation(shape.isolation),
            resources: resources(&shape.resources),
            sandbox: match shape.sandbox {
                confine::SandboxChoice::Off => SandboxChoice::Off,
                confine::SandboxChoice::Auto => SandboxChoice::Auto,
                confine::SandboxChoice::Bwrap => SandboxChoice::Bwrap,
                confine::SandboxChoice::Landlock => SandboxChoice::Landlock,
            },
            confine: self.confine(shape.confine),
            verify: Verify {
                commands: shape.verify.commands.0,
                timeout: shape.verify.timeout.0,
                retries: shape.verify.retries,
                fingerprint: shape.verify.fingerprint.0,
            },
            merge: Merge {
                strategy,
                batch: shape.merge.batch,
                parallel_gates: shape.merge.parallel_gates,
                max_conflict_rounds: shape.merge.max_conflict_rounds,
                max_red_rounds: shape.merge.max_red_rounds,
                review: shape.merge.review,
                publish: matches!(shape.merge.publish, shape::Publish::Auto),
                regenerate: self.regenerate(shape.merge.regenerate),
            },
            prompt: self.prompt(shape.prompt),
            notify: self.notices(shape.notify),
            model: selection.model.map(|name| name.0),
            only: self.only(&selection.only.0),
            dry_run: selection.dry_run,
        }
    }

    /// Puts a problem where the value of `key` was given.
    pub(super) fn problem(&mut self, key: &str, problem: Problem) {
        let problem = match (self.tree.origin(key), self.file) {
            (Origin::File { .. }, Some((source, root))) => match place(root, key) {
                Some(place) => source.spot(place).mark(problem),
                None => problem.file(source.file()),
            },
            (Origin::Environment { name }, _) => named(&name, problem).file("environment"),
            (Origin::Flag { name }, _) => named(&name, problem).file("command line"),
            _ => problem,
        };
        self.problems.push(problem);
    }

    fn features(&mut self, shape: &Shape) -> BTreeMap<Slug, FeatureKeys> {
        let Some((source, section)) = self
            .file
            .and_then(|(source, root)| Some((source, root.entry("features")?)))
        else {
            return BTreeMap::new();
        };
        let mut features = BTreeMap::new();
        for entry in section.node.entries() {
            let Some(values) = shape.features.get(&entry.key) else {
                continue; // It was refused already.
            };
            match (Slug::new(&entry.key), serde_yaml::to_value(values)) {
                (Ok(slug), Ok(values)) => {
                    let problems = &mut self.problems;
                    let mut keys = FeatureKeys::of_checked(values, &entry.node, source, problems);
                    keys.spot = entry.place.map(|place| source.spot(place));
                    features.entry(slug).or_insert(keys);
                }
                (Err(error), _) => {
                    let problem = source.problem(Severity::Error, entry.place, error.to_string());
                    self.problems.push(problem.code(Code::BadSlug));
                }
                (_, Err(error)) => {
                    let message = error.to_string();
                    self.problems
                        .push(source.problem(Severity::Error, entry.place, message));
                }
            }
        }
        features
    }

    fn agents(&mut self, shapes: BTreeMap<String, agents::Profile>) -> BTreeMap<String, Profile> {
        let mut agents = BTreeMap::new();
        for (name, shape) in shapes {
            let command = texts(shape.command);
            let kind = self.kind(&name, shape.kind, &command);
            let env = shape
                .env
                .into_iter()
                .map(|(name, text)| (name, text.0))
                .collect();
            self.variables(&name, &env, &shape.env_pass.0);
            self.places(&format!("agents.{name}.write"), &shape.write.0);
            let profile = Profile {
                kind,
                command,
                model: shape.model.map(|name| name.0),
                args: texts(shape.args),
                env,
                env_pass: shape.env_pass.0,
                write: shape.write.0,
                network: shape.network.map(has_network),
                account: match (shape.account, kind) {
                    (Some(account), _) => account.0,
                    // Of two programs that are nobody's, nothing says that they share anything.
                    (None, Kind::Command) => name.clone(),
                    (None, kind) => kind.name().to_owned(),
                },
                parallel: shape.parallel,
                resume: self.resumes(&name, kind, shape.session),
            };
            agents.insert(name, profile);
        }
        // Who names a kind means the program of that name.
        for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Command) {
            let own = || Profile::bare(kind);
            agents.entry(kind.name().to_owned()).or_insert_with(own);
        }
        agents
    }

    fn agents_at(
        &self,
        agents: &BTreeMap<String, Profile>,
        chosen: &str,
    ) -> BTreeMap<String, Spot> {
        let Some((source, root)) = self.file else {
            return BTreeMap::new();
        };
        let spots = agents.keys().filter_map(|name| {
            let keys = ["command", "kind"].map(|key| format!("agents.{name}.{key}"));
            let chosen = (name == chosen).then(|| "agent".to_owned());
            let found = keys.into_iter().chain(chosen);
            let is_given = |key: &String| matches!(self.tree.origin(key), Origin::File { .. });
            let key = found.into_iter().find(is_given)?;
            Some((name.clone(), source.spot(place(root, &key)?)))
        });
        spots.collect()
    }

    /// The kind of a profile. A program that is nobody's must be named.
    fn kind(&mut self, agent: &str, kind: Option<agents::Kind>, command: &[String]) -> Kind {
        let kind = match kind {
            Some(agents::Kind::Claude) => Kind::Claude,
            Some(agents::Kind::Codex) => Kind::Codex,
            Some(agents::Kind::Opencode) => Kind::Opencode,
            Some(agents::Kind::Goose) => Kind::Goose,
            Some(agents::Kind::Gemini) => Kind::Gemini,
            Some(agents::Kind::Copilot) => Kind::Copilot,
            Some(agents::Kind::Qwen) => Kind::Qwen,
            Some(agents::Kind::Aider) => Kind::Aider,
            Some(agents::Kind::Command) => Kind::Command,
            None => {
                self.no_kind(agent);
                return Kind::Command;
            }
        };
        let program = command.first().map_or("", |program| program.trim());
        if kind == Kind::Command && program.is_empty() {
            let message = format!("{}: kind `command` needs a command", agents_key(agent));
            let help = "for example `command: [\"./tools/agent.sh\"]`";
            let problem = Problem::error(message).code(Code::BadValue).help(help);
            self.problem(&format!("agents.{agent}.kind"), problem);
        }
        kind
    }

    fn no_kind(&mut self, agent: &str) {
        let entry = self.file.and_then(|(source, root)| {
            let entry = root.entry("agents")?.node.entry(agent)?;
            Some((source, entry))
        });
        // A kind that was given and refused has been reported.
        if entry.is_some_and(|(_, entry)| entry.node.entry("kind").is_some()) {
            return;
        }
        let message = format!("{} has no kind", agents_key(agent));
        let problem = Problem::error(message)
            .code(Code::BadValue)
            .help("add `kind: claude`, say, or `kind: command`");
        let place = entry.and_then(|(source, entry)| Some(source.spot(entry.place?)));
        self.problems.push(match place {
            Some(spot) => spot.mark(problem),
            None => problem,
        });
    }

    /// Checks the names of a profile's variables.
    fn variables(&mut self, agent: &str, env: &BTreeMap<String, String>, pass: &[String]) {
        let set = env
            .keys()
            .map(|name| (name, format!("agents.{agent}.env.{name}")));
        let passed = pass
            .iter()
            .map(|name| (name, format!("agents.{agent}.env_pass")));
        let all: Vec<(&String, String)> = set.chain(passed).collect();
        for (name, key) in all {
            let found = quoted(name);
            if name.is_empty() || name.contains(['=', '\0']) {
                let message = format!(
                    "{}: {found} cannot be the name of a variable",
                    agents_key(agent)
                );
                self.problem(&key, Problem::error(message).code(Code::BadValue));
            } else if is_ours(name) {
                let message = format!("{}: harness itself sets {found}", agents_key(agent));
                self.problem(
                    &key,
                    Problem::error(message)
                        .code(Code::BadValue)
                        .help("remove it"),
                );
            }
        }
    }

    fn confine(&mut self, shape: confine::Confine) -> Confine {
        self.places("confine.write", &shape.write.0);
        self.places("confine.hide", &shape.hide.0);
        self.places("confine.read", &shape.read.0);
        Confine {
            network: has_network(shape.network),
            write: shape.write.0,
            hide: shape.hide.0,
            read: shape.read.0,
        }
    }

    /// Checks places outside of the repository.
    fn places(&mut self, key: &str, places: &[String]) {
        for place in places {
            let plain = place.strip_prefix("~/").map(|rest| format!("/{rest}"));
            let path = PathBuf::from(plain.as_deref().unwrap_or(place));
            let is_named = path.is_absolute()
                && path != Path::new("/")
                && path
                    .components()
                    .all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
            if !is_named {
                let found = quoted(place);
                let message = format!(
                    "`{key}`: expected a place such as ~/.cache or /opt/tools, found {found}"
                );
                self.problem(key, Problem::error(message).code(Code::BadValue));
            }
        }
    }

    fn specs(&mut self, shape: &shape::Specs) -> Specs {
        Specs {
            dir: self.inside("specs.dir", &shape.dir.0),
            file: self.inside("specs.file", &shape.file.0),
            order_file: PathBuf::from(&shape.order_file.0),
            order_file_named: self.tree.origin("specs.order_file") != Origin::Default,
        }
    }

    /// A path relative to the repository that does not leave it.
    fn inside(&mut self, key: &str, text: &str) -> PathBuf {
        let given = Path::new(text);
        let path = given.strip_prefix(self.root).unwrap_or(given);
        let plain = |part| matches!(part, Component::Normal(_) | Component::CurDir);
        let names = path
            .components()
            .filter(|part| matches!(part, Component::Normal(_)));
        if names.count() == 0 || !path.components().all(plain) {
            let found = quoted(text);
            let message = format!("`{key}`: expected a path inside the repository, found {found}");
            self.problem(key, Problem::error(message).code(Code::BadValue));
        }
        // Dropping `.` keeps paths that are shown and journalled the same however they were typed.
        path.components()
            .filter(|part| *part != Component::CurDir)
            .collect()
    }

    fn worktrees(&mut self, shape: shape::Worktrees) -> Worktrees {
        const KEY: &str = "worktrees.dir";
        let repo = self.root.file_name().unwrap_or_default().to_string_lossy();
        let text = shape.dir.0.replace("{repo}", &repo);
        if shape.dir.0.replace("{repo}", "").contains(['{', '}']) {
            let found = quoted(&shape.dir.0);
            let problem = Problem::error(format!("`{KEY}`: unknown placeholder in {found}"))
                .code(Code::BadValue);
            self.problem(KEY, problem.help("the only one is `{repo}`"));
        }
        let dir = flat(&self.root.join(text));
        if self.root.starts_with(&dir) {
            let message = format!("`{KEY}`: worktrees cannot stand in the repository's own place");
            let problem = Problem::error(message)
                .code(Code::BadValue)
                .help("for example `../{repo}.harness`");
            self.problem(KEY, problem);
        }
        Worktrees {
            dir,
            setup: shape.setup.0,
            include_file: self
                .inside("worktrees.include_file", &shape.include_file.0)
                .to_string_lossy()
                .into_owned(),
            min_free: shape.min_free.0,
        }
    }

    fn prompt(&mut self, shape: shape::Prompt) -> Prompt {
        let template = shape.template.map(|name| flat(&self.root.join(name.0)));
        if let Some(path) = template.as_ref().filter(|path| !path.is_file()) {
            let message = format!("`prompt.template`: there is no file {}", path.display());
            self.problem(
                "prompt.template",
                Problem::error(message).code(Code::BadValue),
            );
        }
        Prompt {
            template,
            prior_log_lines: shape.prior_log_lines,
            learnings_lines: shape.learnings_lines,
            extra: shape.extra.0,
        }
    }

    fn only(&mut self, names: &[String]) -> Option<BTreeSet<Slug>> {
        let mut only = BTreeSet::new();
        for name in names {
            match Slug::new(name.as_str()) {
                Ok(slug) => {
                    only.insert(slug);
                }
                Err(error) => self.problem(
                    "only",
                    Problem::error(error.to_string()).code(Code::UnknownFeature),
                ),
            }
        }
        (!names.is_empty()).then_some(only)
    }
}

/// The key of a profile, as messages show it.
fn agents_key(agent: &str) -> String {
    quoted(&format!("agents.{agent}"))
}

fn named(name: &str, problem: Problem) -> Problem {
    Problem {
        message: format!("`{name}`: {}", problem.message),
        ..problem
    }
}

/// That many, or as many as this process may use.
pub(super) fn processors(number: Parallel) -> u32 {
    match number {
        Parallel::Auto => {
            let all = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
            u32::try_from(all).unwrap_or(PARALLEL_MOST)
        }
        Parallel::Number(number) => number,
    }
}

fn resources(shape: &shape::Resources) -> Resources {
    Resources {
        memory: shape.memory.map(|size| size.0),
        processes: shape.processes,
        open_files: shape.open_files,
        file_size: shape.file_size.map(|size| size.0),
        output: shape.output.0,
        pressure: shape.pressure,
        jobs: shape.jobs.map(processors),
    }
}

fn has_network(network: confine::Network) -> bool {
    matches!(network, confine::Network::Full)
}

fn texts(texts: Vec<Text>) -> Vec<String> {
    texts.into_iter().map(|text| text.0).collect()
}

/// Where the value (or else the key) of a dotted key stands.
fn place(root: &Node, key: &str) -> Option<Place> {
    let mut at = root;
    let mut found = None;
    let mut rest = key;
    // Names the user chose may hold dots themselves, so the longest entry that fits is taken.
    while !rest.is_empty() {
        let fits = |name: &str| {
            let after = rest.strip_prefix(name)?;
            after.strip_prefix('.').or(after.is_empty().then_some(""))
        };
        let best = at
            .entries()
            .iter()
            .filter_map(|entry| Some((entry, fits(&entry.key)?)))
            .min_by_key(|(_, after)| after.len());
        let (entry, after) = best?;
        found = entry
            .node
            .place
            .filter(|_| entry.node.entries().is_empty())
            .or(entry.place);
        at = &entry.node;
        rest = after;
    }
    found
}

/// The path without `.` and `..`, by name only: it need not exist.
fn flat(path: &Path) -> PathBuf {
    let mut flat = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                flat.pop();
            }
            other => flat.push(other),
        }
    }
    flat
}
