//! The agents that a run would call: whether they are here, which version they are, and what they would go by; and one
//! turn of each, if a person asks for that.
//!
//! Only that turn starts an agent. Nothing of the user's is written, and no login is read.

use super::super::place::{Place, profiles_in_use};
use super::super::preflight::survey;
use crate::agent::{self, Call, Called};
use crate::config::{Config, Kind, Profile};
use crate::model::{Ending, FailureKind, Price, RunId, Slug};
use crate::process::{Builds, Keeper, Limits, PrivateTemp, Secrets};
use crate::report::{AgentHere, Turn};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;
use tokio::task::{JoinSet, LocalSet};

/// What the one turn is about.
const PROMPT: &str = "Reply with the word OK. Do nothing else: read no files, run no commands.\n";
/// The longest that the one turn may take.
const TURN: Duration = Duration::from_mins(3);

type Environment = BTreeMap<OsString, OsString>;

/// What all looks go by.
struct Scene {
    env: Environment,
    root: PathBuf,
    keeper: Keeper,
    prices: BTreeMap<String, Price>,
    with_turn: bool,
}

/// The agents of the profiles that a run would use, in their order, and after them other kinds that are installed.
/// `with_turn` has each of the former answer once, which costs what that costs.
pub async fn agents(
    place: &Place,
    config: &Config,
    env: &Environment,
    with_turn: bool,
) -> Vec<AgentHere> {
    let scene = Rc::new(Scene {
        env: env.clone(),
        root: place.repo.root().to_owned(),
        keeper: Keeper::find(),
        prices: config.prices.clone(),
        with_turn,
    });
    let local = LocalSet::new();
    let mut looks = JoinSet::new();
    for (number, (name, profile)) in looked_at(place, config).into_iter().enumerate() {
        let scene = Rc::clone(&scene);
        let look = async move { (number, look(&scene, name, profile).await) };
        looks.spawn_local_on(look, &local);
    }
    let mut found = local.run_until(looks.join_all()).await;
    found.sort_by_key(|(number, _)| *number);
    found.into_iter().filter_map(|(_, here)| here).collect()
}

/// Profiles in use, by name, and the kinds that none of them is of.
fn looked_at(place: &Place, config: &Config) -> Vec<(Option<String>, Profile)> {
    let features = survey(place, config).map(|survey| survey.features);
    let mut names: BTreeSet<&String> = match &features {
        Ok(features) => profiles_in_use(config, features).into_iter().collect(),
        // What is wrong with the specs is said elsewhere.
        Err(_) => BTreeSet::new(),
    };
    names.insert(&config.agent);
    let used = names.into_iter().filter_map(|name| {
        let profile = config.agents.get(name)?;
        Some((Some(name.clone()), profile.clone()))
    });
    let used: Vec<(Option<String>, Profile)> = used.collect();
    let kinds: Vec<Kind> = used.iter().map(|(_, profile)| profile.kind).collect();
    let others = Kind::ALL.into_iter().filter(|kind| *kind != Kind::Command);
    let others = others.filter(|kind| !kinds.contains(kind));
    let others: Vec<Kind> = others.collect();
    let others = others.into_iter().map(|kind| (None, Profile::bare(kind)));
    used.into_iter().chain(others).collect()
}

/// `None`: of a kind that no profile is of, nothing is here.
async fn look(scene: &Scene, name: Option<String>, profile: Profile) -> Option<AgentHere> {
    let path = scene.env.get(OsStr::new("PATH")).map(OsString::as_os_str);
    let program = agent::preflight(&profile, path, &scene.root);
    if name.is_none() && program.is_err() {
        return None;
    }
    let mut here = AgentHere {
        profile: name,
        kind: profile.kind.name(),
        program: None,
        missing: None,
        version: None,
        credentials: agent::credentials(&profile, &scene.env),
        turn: None,
    };
    match program {
        Ok(program) => {
            here.version =
                agent::version(&profile, program.clone(), &scene.env, &scene.keeper).await;
            if scene.with_turn && here.profile.is_some() {
                let version = here.version.clone();
                here.turn = Some(turn(scene, &profile, program.clone(), version).await);
            }
            here.program = Some(program);
        }
        Err(error) => {
            let remedy = error.remedy().map(|remedy| format!("; {remedy}"));
            here.missing = Some(format!("{error}{}", remedy.unwrap_or_default()));
        }
    }
    Some(here)
}

/// One turn in an empty directory.
async fn turn(scene: &Scene, profile: &Profile, program: PathBuf, version: Option<String>) -> Turn {
    match try_turn(scene, profile, program, version).await {
        Ok(called) => told(called),
        Err(why) => Turn::failed(FailureKind::Machine, why),
    }
}

async fn try_turn(
    scene: &Scene,
    profile: &Profile,
    program: PathBuf,
    version: Option<String>,
) -> Result<Called, String> {
    let base = scene.env.get(OsStr::new("TMPDIR")).map(Path::new);
    let empty = |label| {
        let made = PrivateTemp::create(base, label);
        made.map_err(|(dir, error)| format!("cannot make {}: {error}", dir.display()))
    };
    let (work, records) = (empty("doctor")?, empty("records")?);
    let worktree = work.path().to_owned();
    let slug = Slug::new("doctor").map_err(|error| error.to_string())?;
    let run = RunId("doctor".to_owned());
    let given = profile.env.iter();
    let given = given.map(|(name, value)| (OsStr::new(name), OsStr::new(value)));
    let own = scene.env.iter();
    let own = own.map(|(name, value)| (name.as_os_str(), value.as_os_str()));
    let version = version.filter(|_| agent::depends_on_version(profile, &program));
    let call = Call {
        profile,
        program,
        slug: &slug,
        iteration: 0,
        run: &run,
        worktree: worktree.clone(),
        seen_worktree: worktree.clone(),
        spec_path: worktree.join("spec.md"),
        prompt: PROMPT.to_owned(),
        records: records.path().to_owned(),
        timeout: TURN,
        idle_timeout: None,
        grace: Duration::from_secs(2),
        parent_env: &scene.env,
        // As unique as the directory.
        token: work.path().to_string_lossy().into_owned(),
        keeper: scene.keeper.clone(),
        limits: Limits::default(),
        sandbox: None,
        builds: Builds::Free,
        secrets: Secrets::among(given.chain(own)),
        output_cap: 1 << 20,
        model: None,
        prices: &scene.prices,
        version,
        session: None,
    };
    Ok(agent::call(call, std::future::pending(), drop).await)
}

fn told(called: Called) -> Turn {
    let failure = match (&called.failure, &called.ending) {
        (Some(failure), _) => Some((failure.kind, failure.text.clone())),
        (None, Ending::Exited { code: 0 }) => None,
        (None, Ending::TimedOut) => {
            let seconds = TURN.as_secs();
            Some((FailureKind::Other, format!("no answer within {seconds} s")))
        }
        (None, Ending::NotStarted { why }) => Some((FailureKind::Machine, why.clone())),
        (None, ending) => Some((FailureKind::Crashed, format!("{ending:?}"))),
    };
    Turn {
        elapsed_ms: called.elapsed_ms,
        message: called.message,
        failure: failure.as_ref().map(|(kind, _)| *kind),
        text: failure.map_or_else(String::new, |(_, text)| text),
        usage: called.usage,
    }
}
