//! The hands of the merge queue: chains built, gates run, the integration ref and the target moved.
//!
//! It does what it is told and reports what it saw; which chain to try and what a verdict means is for
//! `core` to say.

use super::crew::{Crew, Station};
use super::iterate::warn;
use super::world::{Message, blocking};
use crate::config;
use crate::fault::{self, Point};
use crate::gate::{self, Verdict};
use crate::git::{GitError, Link, Rebuild, Reconciled, Remake, Repo, Strategy};
use crate::model::{
    BuildOutcome, EffectKey, GateId, GateOutcome, Input, LandOutcome, Member, Oid, PublishOutcome,
    RightOfWay, Slug, Trial,
};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::rc::Rc;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{mpsc, oneshot};

/// A chain to build.
pub(super) struct Building {
    pub(super) attempt: u32,
    pub(super) what: Trial,
    pub(super) onto: Oid,
    pub(super) tip: Oid,
    pub(super) members: Vec<Member>,
    pub(super) first: Vec<RightOfWay>,
    pub(super) follow: Option<Oid>,
}

/// Merges the members one upon the other, in memory.
pub(super) async fn build(
    crew: Rc<Crew>,
    job: Building,
    out: UnboundedSender<Message>,
    stop: impl Future<Output = ()>,
) -> Input {
    let attempt = job.attempt;
    let outcome = built(&crew, job, &out, stop)
        .await
        .unwrap_or_else(|why| BuildOutcome::Infra { why });
    Input::Built { attempt, outcome }
}

/// A merge's generated files that are to be made, and where the answer goes.
type Request = (Rebuild, oneshot::Sender<Result<Option<Oid>, String>>);

async fn built(
    crew: &Rc<Crew>,
    job: Building,
    out: &UnboundedSender<Message>,
    stop: impl Future<Output = ()>,
) -> Result<BuildOutcome, String> {
    let attempt = job.attempt;
    let (repo, target) = (crew.place.repo.clone(), crew.target.clone());
    let strategy = strategy(crew);
    let links = job.members.iter().map(|member| Link {
        slug: member.slug.clone(),
        message: message(crew, member),
    });
    let links: Vec<Link> = links.collect();
    let run = crew.run.to_string();
    let (ask, mut asked) = mpsc::unbounded_channel::<Request>();
    let merging = blocking(move || {
        let mut remake = |rebuild: &Rebuild| {
            let (answer, answered) = oneshot::channel();
            let _ = ask.send((rebuild.clone(), answer));
            let made = answered.blocking_recv();
            made.unwrap_or_else(|_| Err("the run is over".to_owned()))
        };
        chained(&repo, &target, &job, links, strategy, &run, &mut remake)
    });
    tokio::pin!(merging, stop);
    loop {
        let (rebuild, answer) = tokio::select! {
            outcome = &mut merging => return outcome,
            Some(request) = asked.recv() => request,
        };
        let made = remade(crew, attempt, &rebuild, out, &mut stop).await;
        // Nobody asks twice: what is not answered is told as an error.
        let _ = answer.send(made);
    }
}

fn chained(
    repo: &Repo,
    target: &str,
    job: &Building,
    mut links: Vec<Link>,
    strategy: Strategy,
    run: &str,
    remake: &mut Remake<'_>,
) -> Result<BuildOutcome, GitError> {
    if let Some(known) = &job.follow
        && let Some(ground) = repo.follow(target, known)?
    {
        return Ok(BuildOutcome::Moved { ground });
    }
    let name = job.attempt.to_string();
    if job.what == Trial::Reconcile {
        let message = format!("Merge what has landed\n\nHarness-Run: {run}\n");
        let merged = repo.reconcile(&name, &job.onto, &job.tip, &message, remake)?;
        return Ok(match merged {
            Reconciled::Conflict(paths) => BuildOutcome::Clash {
                paths: shown(paths),
            },
            Reconciled::Clean(chain) => BuildOutcome::Built {
                chain,
                conflicts: Vec::new(),
                deferred: Vec::new(),
                yielded: Vec::new(),
                failed: Vec::new(),
            },
        });
    }
    let yielded = give_way(repo, &job.tip, &job.first, &mut links)?;
    let chained = repo.chain(&name, &job.onto, &job.tip, &links, strategy, remake)?;
    let conflicts = chained.conflicts.into_iter();
    Ok(BuildOutcome::Built {
        chain: chained.chain,
        conflicts: conflicts
            .map(|(slug, paths)| (slug, shown(paths)))
            .collect(),
        deferred: chained.deferred,
        yielded,
        failed: chained.failed,
    })
}

/// Makes a merge's generated files in one of the gates' worktrees: the tree with them, or `None` when a command
/// fails.
async fn remade(
    crew: &Rc<Crew>,
    attempt: u32,
    rebuild: &Rebuild,
    out: &UnboundedSender<Message>,
    stop: impl Future<Output = ()>,
) -> Result<Option<Oid>, String> {
    if let Some(tree) = crew.made.borrow().get(&rebuild.tree) {
        return Ok(Some(tree.clone()));
    }
    let place = GatePlace::take(&crew.gates);
    let cwd = checked_out(crew, &rebuild.commit, place.number, false).await??;
    let kinds = rebuild.kinds.iter();
    let commands = kinds.filter_map(|kind| crew.config.merge.regenerate.get(*kind));
    let commands = commands.map(|kind| kind.command.clone()).collect();
    let station = Station {
        sandbox: crew.confinement.checks(Some(&cwd), &cwd),
        cwd: cwd.clone(),
    };
    let (key, log) = (EffectKey::Build(attempt), crew.place.made_log(attempt));
    let checks = crew.checks(commands, &key, None, log, station);
    let making = "the commands that make generated files".to_owned();
    let _at_work = crew.vigil.commands(making);
    match gate::verify(checks, stop).await {
        Verdict::Green { .. } => {}
        Verdict::Red { command, tail, .. } => {
            let files = shown(rebuild.paths.clone()).join(", ");
            warn(
                out,
                &format!("{files}: not made anew: `{command}` failed:\n{tail}"),
            );
            return Ok(None);
        }
        Verdict::Stopped => return Err("it was stopped".to_owned()),
        Verdict::NotStarted { why } => return Err(why),
    }
    let (repo, wanted) = (crew.place.repo.clone(), rebuild.clone());
    let made = blocking(move || repo.take_regenerated(&cwd, &wanted)).await?;
    if !made.left_out.is_empty() {
        let files = shown(made.left_out).join(", ");
        let text = format!("left out, because `merge.regenerate` does not name them: {files}");
        warn(out, &text);
    }
    let mut known = crew.made.borrow_mut();
    known.insert(rebuild.tree.clone(), made.tree.clone());
    Ok(Some(made.tree))
}

/// A commit in one of the gates' worktrees, with the ignored files that checks need.
pub(super) async fn checked_out(
    crew: &Rc<Crew>,
    commit: &Oid,
    place: u32,
    again: bool,
) -> Result<Result<PathBuf, String>, String> {
    let (pool, include, commit) = (crew.worktrees.clone(), crew.include_file(), commit.clone());
    blocking(move || {
        let cwd = match pool.gate_checkout(&commit, place, again) {
            Err(error @ GitError::Unfit { .. }) => return Ok(Err(error.to_string())),
            made => made?,
        };
        pool.include(&include, &cwd, &commit, !again)?;
        Ok::<_, GitError>(Ok(cwd))
    })
    .await
}

/// Takes out who changes paths on which another has the right of way.
fn give_way(
    repo: &Repo,
    tip: &Oid,
    first: &[RightOfWay],
    links: &mut Vec<Link>,
) -> Result<Vec<(Slug, Slug)>, GitError> {
    let mut yielded = Vec::new();
    if first.is_empty() {
        return Ok(yielded);
    }
    let mut stay = Vec::new();
    for link in links.drain(..) {
        let paths: BTreeSet<String> = shown(repo.own_paths(&link.slug, tip)?)
            .into_iter()
            .collect();
        // Of two that have it, the one that got it first goes first.
        let before = first.iter().take_while(|other| other.slug != link.slug);
        let mut clashing =
            before.filter(|other| other.paths.iter().any(|path| paths.contains(path)));
        match clashing.next() {
            Some(other) => yielded.push((link.slug, other.slug.clone())),
            None => stay.push(link),
        }
    }
    *links = stay;
    Ok(yielded)
}

/// File names are the agents'; they will stand on somebody's terminal.
fn shown(paths: Vec<String>) -> Vec<String> {
    let paths = paths.iter();
    paths.map(|path| path.escape_debug().to_string()).collect()
}

fn strategy(crew: &Crew) -> Strategy {
    match crew.config.merge.strategy {
        config::Strategy::Merge => Strategy::Merge,
        config::Strategy::Squash => Strategy::Squash,
    }
}

fn message(crew: &Crew, member: &Member) -> String {
    let summary = member.summary.trim();
    let slug = &member.slug;
    let subject = match strategy(crew) {
        Strategy::Merge => format!("Merge {slug}: {summary}"),
        Strategy::Squash => format!("{slug}: {summary}"),
    };
    let subject: String = subject.chars().take(100).collect();
    format!(
        "{subject}\n\nHarness-Run: {}\nHarness-Feature: {slug}\nHarness-Iteration: {}\n",
        crew.run, member.iteration
    )
}

/// A gate to run.
pub(super) struct Gating {
    pub(super) attempt: u32,
    pub(super) reds: u32,
    pub(super) commit: Oid,
    pub(super) gate: GateId,
    pub(super) about: Vec<(Slug, u32)>,
}

/// Runs a gate in a clean checkout of exactly this commit.
pub(super) async fn run_gate(crew: Rc<Crew>, job: Gating, stop: impl Future<Output = ()>) -> Input {
    let (attempt, reds) = (job.attempt, job.reds);
    let place = GatePlace::take(&crew.gates);
    let outcome = gated(&crew, job, place.number, stop)
        .await
        .unwrap_or_else(|why| GateOutcome::Infra { why });
    Input::Gated {
        attempt,
        reds,
        outcome,
    }
}

/// One of the gates' worktrees, held as long as a gate runs in it.
struct GatePlace<'a> {
    taken: &'a RefCell<BTreeSet<u32>>,
    number: u32,
}

impl<'a> GatePlace<'a> {
    fn take(taken: &'a RefCell<BTreeSet<u32>>) -> Self {
        let mut numbers = taken.borrow_mut();
        let mut number = 1;
        while !numbers.insert(number) {
            number += 1;
        }
        Self { taken, number }
    }
}

impl Drop for GatePlace<'_> {
    fn drop(&mut self) {
        self.taken.borrow_mut().remove(&self.number);
    }
}

async fn gated(
    crew: &Rc<Crew>,
    job: Gating,
    place: u32,
    stop: impl Future<Output = ()>,
) -> Result<GateOutcome, String> {
    let cwd = match checked_out(crew, &job.commit, place, job.reds > 0).await? {
        Ok(cwd) => cwd,
        Err(tail) => {
            // Whose files these are is found as for any other failure.
            return Ok(GateOutcome::Red {
                command: "git checkout".to_owned(),
                tail,
                gate_ms: 0,
            });
        }
    };
    // What setup brings may depend on the tree (a lock file, say), and the gate's place holds another one now.
    let mut commands = crew.config.worktrees.setup.clone();
    if !job.gate.common.is_empty() {
        commands.extend(crew.config.verify.commands.iter().cloned());
    }
    commands.extend(job.gate.own.iter().cloned());
    let log = crew.place.gate_log(job.attempt, job.reds);
    let station = Station {
        sandbox: crew.confinement.checks(Some(&cwd), &cwd),
        cwd,
    };
    let key = EffectKey::Gate(job.attempt, job.reds);
    let checks = crew.checks(commands, &key, None, log.clone(), station);
    let verdict = {
        let whose: Vec<&str> = job.about.iter().map(|(slug, _)| slug.as_str()).collect();
        let name = match whose.as_slice() {
            [] => "the checks of the base".to_owned(),
            whose => format!("the checks of {}", whose.join(", ")),
        };
        let runs = !checks.commands.is_empty();
        let _at_work = runs.then(|| crew.vigil.commands(name));
        gate::verify(checks, stop).await
    };
    for (slug, iteration) in &job.about {
        // For whoever looks into the iteration's records; the log itself stays where it is.
        let records = crew.place.records(slug, *iteration);
        let _ = fault::at(Point::StateCreate)
            .and_then(|()| std::fs::create_dir_all(&records))
            .and_then(|()| std::fs::copy(&log, records.join("gate.log")));
    }
    Ok(match verdict {
        Verdict::Green { gate_ms } => GateOutcome::Green { gate_ms },
        Verdict::Red {
            command,
            tail,
            gate_ms,
        } => GateOutcome::Red {
            command,
            tail,
            gate_ms,
        },
        Verdict::Stopped => GateOutcome::Stopped,
        Verdict::NotStarted { why } => GateOutcome::Infra { why },
    })
}

/// Moves the integration ref to a chain that passed.
pub(super) async fn land(crew: Rc<Crew>, attempt: u32, from: Oid, to: Oid) -> Input {
    let (repo, target) = (crew.place.repo.clone(), crew.target.clone());
    let outcome = blocking(move || repo.land(&target, &from, &to))
        .await
        .unwrap_or_else(|why| LandOutcome::Infra { why });
    Input::Landed { attempt, outcome }
}

/// Sets the integration ref back onto the user's commits.
pub(super) async fn rewind(crew: Rc<Crew>) -> Result<Input, String> {
    let (repo, target) = (crew.place.repo.clone(), crew.target.clone());
    let ground = blocking(move || repo.rewind(&target)).await?;
    Ok(Input::Rewound { ground })
}

/// Moves the target to what has landed.
pub(super) async fn publish(crew: Rc<Crew>, number: u32, from: Oid, to: Oid) -> Input {
    let (repo, target) = (crew.place.repo.clone(), crew.target.clone());
    // What the fast-forward changes in the checkout is not to be taken for somebody's edits.
    let _away = crew.vigil.away().await;
    let outcome = blocking(move || repo.publish(&target, &from, &to))
        .await
        .unwrap_or_else(|why| PublishOutcome::Waiting { why });
    Input::Published { number, outcome }
}
