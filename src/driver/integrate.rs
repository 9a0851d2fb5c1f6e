//! Building a candidate, gating it, and moving the target to it.

use super::crew::Crew;
use super::world::blocking;
use crate::config;
use crate::gate::{self, Checks, Verdict};
use crate::git::{Candidacy, Strategy};
use crate::model::{Candidate, EffectKey, Input, IntegrationOutcome, LandOutcome, Oid, Slug};
use std::rc::Rc;

/// What one integration is about.
pub(super) struct Integration {
    pub(super) slug: Slug,
    pub(super) attempt: u32,
    pub(super) iteration: u32,
    pub(super) summary: String,
    pub(super) verify: Vec<String>,
}

/// Builds the candidate and runs the gate on exactly its tree.
pub(super) async fn integrate(
    crew: Rc<Crew>,
    job: Integration,
    stop: impl Future<Output = ()>,
) -> Input {
    let outcome = outcome(&crew, &job, stop)
        .await
        .unwrap_or_else(|why| IntegrationOutcome::Infra { why });
    Input::Integrated {
        slug: job.slug,
        attempt: job.attempt,
        outcome,
    }
}

async fn outcome(
    crew: &Rc<Crew>,
    job: &Integration,
    stop: impl Future<Output = ()>,
) -> Result<IntegrationOutcome, String> {
    let repo = crew.place.repo.clone();
    let (slug, target) = (job.slug.clone(), crew.target.clone());
    let (strategy, message) = (strategy(crew), message(crew, job));
    let candidacy = blocking(move || repo.candidate(&slug, &target, strategy, &message)).await?;
    let candidate = match candidacy {
        Candidacy::Clean(candidate) => candidate,
        Candidacy::Conflict { paths } => {
            // File names are the agent's; they will stand on somebody's terminal.
            let paths = paths.iter().map(|path| path.escape_debug().to_string());
            return Ok(IntegrationOutcome::Conflict {
                paths: paths.collect(),
            });
        }
    };
    let mut commands = crew.config.verify.commands.clone();
    commands.extend(job.verify.iter().cloned());
    if commands.is_empty() {
        return Ok(IntegrationOutcome::Green {
            candidate,
            gate_ms: 0,
        });
    }
    verify(crew, job, candidate, commands, stop).await
}

async fn verify(
    crew: &Rc<Crew>,
    job: &Integration,
    candidate: Candidate,
    commands: Vec<String>,
    stop: impl Future<Output = ()>,
) -> Result<IntegrationOutcome, String> {
    let pool = crew.worktrees.clone();
    let commit: Oid = candidate.commit.clone();
    let cwd = blocking(move || pool.gate_checkout(&commit)).await?;
    let records = crew.place.records(&job.slug, job.iteration);
    let checks = Checks {
        commands,
        cwd,
        env: crew.command_env(&job.slug),
        timeout: crew.config.verify.timeout,
        grace: crew.config.run.grace,
        log: records.join("gate.log"),
        token: crew.token(&EffectKey::Integrate(job.slug.clone(), job.attempt)),
    };
    Ok(match gate::verify(checks, stop).await {
        Verdict::Green { gate_ms } => IntegrationOutcome::Green { candidate, gate_ms },
        Verdict::Red {
            command,
            tail,
            gate_ms,
        } => IntegrationOutcome::Red {
            command,
            tail,
            gate_ms,
        },
        Verdict::Stopped => IntegrationOutcome::Stopped,
        Verdict::NotStarted { why } => IntegrationOutcome::Infra { why },
    })
}

fn strategy(crew: &Crew) -> Strategy {
    match crew.config.merge.strategy {
        config::Strategy::Merge => Strategy::Merge,
        config::Strategy::Squash => Strategy::Squash,
    }
}

fn message(crew: &Crew, job: &Integration) -> String {
    let summary = job.summary.trim();
    let subject = match strategy(crew) {
        Strategy::Merge => format!("Merge {}: {summary}", job.slug),
        Strategy::Squash => format!("{}: {summary}", job.slug),
    };
    let subject: String = subject.chars().take(100).collect();
    format!(
        "{subject}\n\nHarness-Run: {}\nHarness-Feature: {}\nHarness-Iteration: {}\n",
        crew.run, job.slug, job.iteration
    )
}

/// Moves the target to a candidate that passed.
pub(super) async fn land(crew: Rc<Crew>, slug: Slug, attempt: u32, candidate: Candidate) -> Input {
    let (repo, target) = (crew.place.repo.clone(), crew.target.clone());
    let outcome = blocking(move || repo.land(&target, &candidate))
        .await
        .unwrap_or_else(|why| LandOutcome::Infra { why });
    Input::Landed {
        slug,
        attempt,
        outcome,
    }
}
