//! How the builds of this run's jobs share the processors: which of the ways works with what is installed.
//!
//! It looks at make once, when the run begins. It must never keep a run from beginning.

use super::crew::Crew;
use crate::agent;
use crate::fault::{self, Point};
use crate::model::EffectKey;
use crate::process::{self, Builds, Job, takes_fifo};
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A make that does not say what it is within this time is taken for an old one.
const ASK: Duration = Duration::from_secs(5);
/// More than any make says.
const ANSWER_BYTES: u64 = 64 << 10;

/// What `resources.jobs` asks for, as far as every make that a job may find can do it.
pub(super) async fn find(crew: &Crew) -> Builds {
    let Some(processors) = crew.config.resources.jobs else {
        return Builds::Free;
    };
    let agents = crew.config.run.parallel;
    for make in makes(crew) {
        if !is_new(crew, &make).await {
            // It would stop with an error at the name of a FIFO. In a variable that only cargo reads it would
            // find it too: build scripts hand that one on to make.
            tracing::info!(make = %make.display(), "no jobserver: this make is older than 4.4; builds get a number");
            return Builds::divided(processors, agents);
        }
    }
    let temporary = crew.env.get(OsStr::new("TMPDIR")).map(PathBuf::from);
    let temporary = temporary.unwrap_or_else(|| PathBuf::from("/tmp"));
    let dir = crew.place.state_dir.join("jobs");
    match Builds::shared(&dir, &temporary, processors, agents) {
        Ok(builds) => {
            tracing::info!(processors, "builds share a jobserver");
            builds
        }
        Err(error) => {
            tracing::warn!(%error, "no jobserver can be made; builds get a number");
            Builds::divided(processors, agents)
        }
    }
}

/// Every make on the paths of commands and agents.
fn makes(crew: &Crew) -> BTreeSet<PathBuf> {
    let own = crew.profiles.values();
    let own = own.filter_map(|(profile, _)| profile.env.get("PATH").map(OsString::from));
    let usual = crew.env.get(OsStr::new("PATH")).cloned();
    let paths: Vec<OsString> = own.chain(usual).collect();
    let root = crew.place.repo.root();
    let names = ["make", "gmake"].map(OsStr::new);
    let found = paths.iter().flat_map(|path| {
        names
            .iter()
            .filter_map(|name| process::which(name, Some(path), root))
    });
    found.collect()
}

async fn is_new(crew: &Crew, make: &Path) -> bool {
    let output = crew.place.state_dir.join("make-version");
    let job = Job {
        program: make.into(),
        args: vec!["--version".into()],
        cwd: crew.place.repo.root().to_owned(),
        env: agent::base_env(&crew.env, &[]),
        stdin: Vec::new(),
        output: output.clone(),
        needs_output: true,
        output_cap: ANSWER_BYTES,
        timeout: ASK,
        idle_timeout: None,
        grace: Duration::ZERO,
        awaits_all: false,
        token: crew.token(&EffectKey::Tidy),
        keeper: crew.keeper.clone(),
        limits: crew.limits,
        // It is the user's own, and runs before any agent.
        sandbox: None,
        builds: Builds::Free,
        secrets: crew.secrets.clone(),
    };
    let mut said = String::new();
    let ended = process::run(job, std::future::pending(), |_, line| {
        if said.is_empty() {
            line.clone_into(&mut said);
        }
    });
    let ending = ended.await.ending;
    let _ = fault::at(Point::StateRemove).and_then(|()| std::fs::remove_file(output));
    ending == (crate::model::Ending::Exited { code: 0 }) && takes_fifo(&said)
}
