//! What agents and commands may write and see: the configuration and the places of this run, made into policies.
//!
//! It holds nobody to anything; that is for `process`.

use super::error::DriverError;
use super::place::Place;
use crate::agent::{self, Home};
use crate::config::{Config, Profile, SandboxChoice};
use crate::git::{Lent, Worktrees};
use crate::model::{Code, Problem, SandboxTier};
use crate::process::sandbox::{find_bwrap, find_landlock};
use crate::process::{Backend, Keeper, Policy, Sandbox};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// Name, in the pool's directory, under which every agent sees its worktree, where that can be: then what an agent's
/// service remembers of one feature's prompts serves the others', too.
const SEEN: &str = "work";
/// What bwrap replaces: of what is there, only what is named is seen.
const REPLACED: [&str; 3] = ["/tmp", "/var/tmp", "/run"];
/// What leads to helpers that would do outside of a sandbox what may not be done inside.
const HELPERS: [&str; 3] = [
    "SSH_AUTH_SOCK",
    "XDG_RUNTIME_DIR",
    "DBUS_SESSION_BUS_ADDRESS",
];

/// How agents and commands are confined in this run.
#[derive(Debug, Default)]
pub(super) struct Confinement {
    backend: Option<Backend>,
    pool: PathBuf,
    user: Option<PathBuf>,
    /// What everybody may write.
    write: Vec<PathBuf>,
    /// What is seen although something above it is hidden or replaced.
    read: Vec<PathBuf>,
    hide: Vec<PathBuf>,
    network: bool,
}

impl Confinement {
    /// Finds what works here of what is asked for. Takes out of `env` what would lead around it. Gives a warning when
    /// nothing works and that was allowed.
    ///
    /// # Errors
    /// What was asked for does not work here.
    pub(super) fn find(
        config: &Config,
        place: &Place,
        worktrees: &Worktrees,
        keeper: &Keeper,
        env: &mut BTreeMap<OsString, OsString>,
    ) -> Result<(Self, Option<Problem>), DriverError> {
        let path = env.get(OsStr::new("PATH")).map(OsString::as_os_str);
        let (backend, warning) = backend(config.sandbox, path, keeper)?;
        let Some(backend) = backend else {
            return Ok((Self::default(), warning));
        };
        needs_network(config, &backend)?;
        let user = env.get(OsStr::new("HOME")).map(PathBuf::from);
        let mut read = vec![
            place.repo.root().to_owned(),
            place.repo.git_dir().to_owned(),
        ];
        let on_path = path.map(|path| std::env::split_paths(path).collect::<Vec<_>>());
        let replaced = on_path.into_iter().flatten().chain(user.clone());
        read.extend(replaced.filter(|dir| is_replaced(dir)));
        let mut confinement = Self {
            backend: Some(backend),
            pool: worktrees.dir().to_owned(),
            user,
            write: Vec::new(),
            read,
            hide: vec![worktrees.dir().to_owned()],
            network: config.confine.network,
        };
        confinement.write = confinement.places(&config.confine.write);
        let shown = confinement.places(&config.confine.read);
        confinement.read.extend(shown);
        let hidden = confinement.places(&config.confine.hide);
        confinement.hide.extend(hidden);
        confinement.hide.extend(agent::all_homes(env));
        for name in HELPERS {
            env.remove(OsStr::new(name));
        }
        Ok((confinement, warning))
    }

    /// What is in force.
    pub(super) fn tier(&self) -> SandboxTier {
        self.backend
            .as_ref()
            .map_or(SandboxTier::Off, Backend::tier)
    }

    /// Whether anything is in force.
    pub(super) fn is_on(&self) -> bool {
        self.backend.is_some()
    }

    /// Where whoever works in this worktree of the pool sees it.
    pub(super) fn seen(&self, worktree: &Path) -> PathBuf {
        match &self.backend {
            Some(backend) if backend.mounts() => self.pool.join(SEEN),
            _ => worktree.to_owned(),
        }
    }

    /// For an agent in a worktree.
    pub(super) fn agent(
        &self,
        profile: &Profile,
        home: &Home,
        program: &Path,
        worktree: &Path,
        lent: &Lent,
    ) -> Option<Sandbox> {
        let mut sandbox = self.worker(worktree, lent)?;
        home.make();
        let policy = &mut sandbox.policy;
        policy.write.extend(home.write.iter().cloned());
        policy.write.extend(self.places(&profile.write));
        policy.read.extend(home.read.iter().cloned());
        policy.read.push(program.to_owned());
        // What it is started with: a script, say.
        let words = profile.command.iter().chain(&profile.args).map(Path::new);
        policy
            .read
            .extend(words.filter(|word| is_replaced(word)).map(Path::to_owned));
        policy.network = profile.network.unwrap_or(self.network);
        Some(sandbox)
    }

    /// For commands in an agent's worktree.
    pub(super) fn worker(&self, worktree: &Path, lent: &Lent) -> Option<Sandbox> {
        let seen = self.seen(worktree);
        let mut sandbox = self.checks(None, &seen)?;
        let policy = &mut sandbox.policy;
        policy.write.extend(lent.writable.iter().cloned());
        policy.stand_ins.push((worktree.to_owned(), seen));
        policy.instead.push(worktree.to_owned());
        Some(sandbox)
    }

    /// For commands in `cwd`, which may write what is in `place`.
    pub(super) fn checks(&self, place: Option<&Path>, cwd: &Path) -> Option<Sandbox> {
        let mut write = self.write.clone();
        write.extend(place.map(Path::to_owned));
        Some(Sandbox {
            backend: self.backend.clone()?,
            policy: Policy {
                write,
                read: self.read.clone(),
                hide: self.hide.clone(),
                cwd: cwd.to_owned(),
                network: self.network,
                ..Policy::default()
            },
        })
    }

    /// Places as they are configured.
    fn places(&self, places: &[String]) -> Vec<PathBuf> {
        let place = |text: &String| match text.strip_prefix("~/") {
            Some(rest) => self.user.as_ref().map(|user| user.join(rest)),
            None => Some(PathBuf::from(text)),
        };
        places.iter().filter_map(place).collect()
    }
}

/// The backend that is to be used, if any; and a warning when none is although one was asked for.
pub(super) fn backend(
    choice: SandboxChoice,
    path: Option<&OsStr>,
    keeper: &Keeper,
) -> Result<(Option<Backend>, Option<Problem>), DriverError> {
    let refuse = |why: String, help: &str| {
        DriverError::problem(Problem::error(why).code(Code::NoSandbox).help(help))
    };
    match choice {
        SandboxChoice::Off => Ok((None, None)),
        SandboxChoice::Bwrap => match find_bwrap(path) {
            Ok(found) => Ok((Some(found), None)),
            Err(why) => Err(refuse(
                format!("`sandbox: bwrap`: {why}"),
                "install or allow it, or use `sandbox: landlock` or `sandbox: auto`",
            )),
        },
        SandboxChoice::Landlock => match find_landlock(keeper) {
            Ok(found) => Ok((Some(found), None)),
            Err(why) => Err(refuse(
                format!("`sandbox: landlock`: {why}"),
                "use `sandbox: bwrap` or `sandbox: auto`",
            )),
        },
        SandboxChoice::Auto => {
            let bwrap = match find_bwrap(path) {
                Ok(found) => return Ok((Some(found), None)),
                Err(why) => why,
            };
            match find_landlock(keeper) {
                Ok(found) => Ok((Some(found), None)),
                Err(landlock) => {
                    let text = format!("there is no sandbox: {bwrap}; {landlock}");
                    let help = "agents can write and read all that you can; install bubblewrap, or run in a container";
                    Ok((
                        None,
                        Some(Problem::warning(text).code(Code::NoSandbox).help(help)),
                    ))
                }
            }
        }
    }
}

/// Only bwrap can take the network away.
fn needs_network(config: &Config, backend: &Backend) -> Result<(), DriverError> {
    let mut profiles = config.agents.iter();
    let without = profiles.find(|(_, profile)| profile.network == Some(false));
    let key = match without {
        _ if backend.mounts() => return Ok(()),
        _ if !config.confine.network => "confine.network".to_owned(),
        Some((name, _)) => format!("agents.{name}.network"),
        None => return Ok(()),
    };
    let text = format!("`{key}: none` cannot be had from Landlock, only from bwrap");
    let problem = Problem::error(text)
        .code(Code::NoSandbox)
        .file("harness.yaml");
    let help = "install bubblewrap, or set `network: full`";
    Err(DriverError::problem(problem.help(help)))
}

fn is_replaced(path: &Path) -> bool {
    REPLACED.iter().any(|replaced| path.starts_with(replaced))
}
