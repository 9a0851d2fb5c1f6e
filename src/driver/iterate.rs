//! One iteration: outbox, prompt, agent, snapshot, report.

use super::crew::{Crew, News, spec_path};
use super::radar;
use super::tamper;
use super::world::{Message, blocking};
use crate::agent::{self, Call, Called, outbox};
use crate::git::{GitError, Iterated, Laid, Landed, Lent, Snapshot, integration_ref};
use crate::model::{
    AgentChoice, EffectKey, Ending, Handback, Input, IterationReport, MergeTask, Oid, Session,
    Slug, WorktreeName,
};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;

/// What one iteration is about.
pub(super) struct Iteration {
    pub(super) slug: Slug,
    pub(super) worktree: WorktreeName,
    pub(super) number: u32,
    pub(super) agent: AgentChoice,
    pub(super) session: Option<Session>,
    pub(super) timeout_ms: Option<u64>,
    pub(super) answer: Option<String>,
    pub(super) handback: Option<Handback>,
}

/// Calls the agent once and takes a snapshot of what it left.
pub(super) async fn iterate(
    crew: Rc<Crew>,
    job: Iteration,
    stop: impl Future<Output = Ending>,
    out: UnboundedSender<Message>,
) -> Input {
    let worktree = crew.worktrees.path(job.worktree);
    let mut watched = tamper::watch(&crew, &job, &worktree, &out).await;
    let iterated = match before(&crew, &job, &worktree, &out).await {
        Ok(begun) => {
            let tip = begun.tip.clone();
            let prompt = crew.figures(&job.slug, job.number, &begun.prompt);
            watched.starts();
            let called = call(&crew, &job, &worktree, begun, stop).await;
            let tampered = watched.ends(&out).await;
            for oddity in &called.oddities {
                warn(&out, &format!("{} #{}: {oddity}", job.slug, job.number));
            }
            let home = take_home(&crew, &job, &out).await;
            let unfinished = unfinished(&crew, &job, &worktree, &called).await;
            let taken = match (&called.ending, home) {
                (Ending::NotStarted { .. }, _) => Ok(None),
                (_, Err(why)) => Err(why),
                _ => snapshot(&crew, &job, &worktree, &tip, &called, &out).await,
            };
            crew.place.repo.take_back(&job.slug);
            let (snapshot, lost) = match taken {
                Ok(snapshot) => (snapshot, None),
                Err(why) => (None, Some(format!("it could not be committed: {why}"))),
            };
            let unfit = unfinished.or(lost).or_else(|| unfit(snapshot.as_ref()));
            let refused = match unfit {
                Some(why) => Some(why),
                None => not_to_land(&crew, &worktree, &called, snapshot.as_ref()).await,
            };
            IterationReport {
                refused,
                tampered,
                prompt: Some(prompt),
                ..report(called, snapshot)
            }
        }
        Err(why) => not_started(why),
    };
    Input::IterationEnded {
        slug: job.slug,
        iteration: job.number,
        report: Box::new(iterated),
    }
}

/// Takes home what the agent did with the git directory that was lent to it, and tells what is odd.
async fn take_home(
    crew: &Rc<Crew>,
    job: &Iteration,
    out: &UnboundedSender<Message>,
) -> Result<(), String> {
    let taken = crew.take_home(job.worktree).await;
    for odd in taken.iter().flatten().chain(taken.as_ref().err()) {
        warn(out, &format!("{} #{}: {odd}", job.slug, job.number));
    }
    taken.map(drop)
}

/// What an agent that claims to be done has left half done. Of a merge that was its task, the audit tells.
async fn unfinished(
    crew: &Rc<Crew>,
    job: &Iteration,
    worktree: &Path,
    called: &Called,
) -> Option<String> {
    if called.done.is_none() || job.handback.is_some() {
        return None;
    }
    let (repo, worktree) = (crew.place.repo.clone(), worktree.to_owned());
    let found = blocking(move || repo.unfinished(&worktree)).await;
    // What cannot be looked at is told by the snapshot that follows.
    found.unwrap_or_default()
}

/// What the attributes ask of files that git cannot do: whoever checks that out would not get what was meant.
fn unfit(snapshot: Option<&Snapshot>) -> Option<String> {
    let why = &snapshot?.unfit;
    (!why.is_empty()).then(|| {
        let why = why.join("; ");
        format!("git cannot store what .gitattributes asks for ({why}): mend the files or the attributes")
    })
}

/// Conflict markers in what a claim would land, or files that nobody could check out.
async fn not_to_land(
    crew: &Rc<Crew>,
    worktree: &Path,
    called: &Called,
    snapshot: Option<&Snapshot>,
) -> Option<String> {
    let tip = snapshot.filter(|_| called.done.is_some())?.tip.clone();
    let (repo, target) = (crew.place.repo.clone(), integration_ref(&crew.target));
    let worktree = worktree.to_owned();
    let found = blocking(move || match repo.left_markers_since(&target, &tip)? {
        Some(why) => Ok(Some(why)),
        None => repo.unusable(&worktree, &target, &tip),
    });
    let found: Result<_, String> = found.await;
    found.unwrap_or_default()
}

pub(super) fn warn(out: &UnboundedSender<Message>, text: &str) {
    // The run outlives its effects; were it gone, nobody would be left to tell.
    let _ = out.send(Message::Warning(text.to_owned()));
}

/// What an iteration begins with.
struct Beginning {
    prompt: String,
    spec_path: PathBuf,
    /// Where the branch stands.
    tip: Oid,
    /// What the agent's git may write.
    lent: Lent,
}

async fn before(
    crew: &Rc<Crew>,
    job: &Iteration,
    worktree: &Path,
    out: &UnboundedSender<Message>,
) -> Result<Beginning, String> {
    let handoff = match &job.handback {
        Some(handback) => Some(hand_back(crew, job, handback).await?),
        None => None,
    };
    let repo = crew.place.repo.clone();
    let branch = format!("refs/heads/harness/{}", job.slug);
    let tip = blocking(move || repo.tip(&branch))
        .await?
        .ok_or_else(|| format!("branch harness/{} is gone", job.slug))?;
    outbox::reset(worktree).map_err(|error| error.to_string())?;
    let file = crew.features.borrow().get(&job.slug).map_or_else(
        || format!("specs/{}/spec.md", job.slug),
        |spec| spec.path.clone(),
    );
    let spec_path = spec_path(crew.place.repo.root(), Some(worktree), &file);
    let spec_path = match spec_path.strip_prefix(worktree) {
        Ok(inside) => crew.confinement.seen(worktree).join(inside),
        Err(_) => spec_path,
    };
    // Of a merge that is the task, the handoff tells.
    let meanwhile = match handoff {
        Some(_) => None,
        None => meanwhile(crew, job, out).await,
    };
    let news = News {
        answer: job.answer.as_deref(),
        handoff: handoff.as_deref(),
        meanwhile: meanwhile.as_deref(),
    };
    let prompt = crew
        .prompt(&job.slug, job.number, &spec_path, news)
        .map_err(|error| error.to_string())?;
    let lent = crew.lend(job.worktree, &job.slug).await?;
    Ok(Beginning {
        prompt,
        spec_path,
        tip,
        lent,
    })
}

/// What has landed in the feature's files since its work began. Not to know it is no reason not to work.
async fn meanwhile(
    crew: &Rc<Crew>,
    job: &Iteration,
    out: &UnboundedSender<Message>,
) -> Option<String> {
    let (repo, target) = (crew.place.repo.clone(), crew.target.clone());
    let slug = job.slug.clone();
    let told = blocking(move || radar::meanwhile(&repo, &target, &slug)).await;
    told.unwrap_or_else(|why| {
        let text = format!(
            "{} #{}: what landed meanwhile is not known: {why}",
            job.slug, job.number
        );
        warn(out, &text);
        None
    })
}

/// Lays the merge into the worktree, and words it for the prompt.
async fn hand_back(
    crew: &Rc<Crew>,
    job: &Iteration,
    handback: &Handback,
) -> Result<String, String> {
    let (pool, repo) = (crew.worktrees.clone(), crew.place.repo.clone());
    let (slug, name, handback) = (job.slug.clone(), job.worktree, handback.clone());
    let kinds = crew.config.merge.regenerate.iter();
    let generated = kinds.map(|kind| (kind.paths.join(", "), kind.command.clone()));
    let generated: Vec<(String, String)> = generated.collect();
    blocking(move || {
        let branch = format!("refs/heads/harness/{slug}");
        let before = repo.tip(&branch)?;
        let laid = pool.lay_merge(&slug, name, &handback.onto)?;
        let conflicts = match laid {
            Laid::Conflicted { conflicts } => conflicts,
            Laid::Clean { .. } | Laid::Already => Vec::new(),
        };
        let paths: Vec<String> = conflicts
            .iter()
            .map(|conflict| conflict.path.clone())
            .collect();
        let landed = match &before {
            Some(before) => repo.landed_since(before, &handback.onto, &paths)?,
            None => Vec::new(),
        };
        let landed: Vec<String> = landed.iter().map(Landed::line).collect();
        Ok::<_, GitError>(agent::handoff(&agent::Handoff {
            onto: &handback.onto,
            round: handback.round,
            excerpts: &pool.conflict_excerpts(name, &conflicts),
            conflicts: &conflicts,
            generated: &generated,
            landed: &landed,
            red: handback.red.as_ref(),
        }))
    })
    .await
}

async fn call(
    crew: &Rc<Crew>,
    job: &Iteration,
    worktree: &Path,
    begun: Beginning,
    stop: impl Future<Output = Ending>,
) -> Called {
    let (profile, program, model) = match crew.agent(&job.agent) {
        Ok(found) => found,
        Err(why) => return Called::not_started(why),
    };
    let timeout = job
        .timeout_ms
        .map_or(crew.config.run.iteration_timeout, Duration::from_millis);
    let version = crew.version(profile, program).await;
    let call = Call {
        profile,
        program: program.clone(),
        slug: &job.slug,
        iteration: job.number,
        run: &crew.run,
        worktree: worktree.to_owned(),
        seen_worktree: crew.confinement.seen(worktree),
        spec_path: begun.spec_path,
        prompt: begun.prompt,
        records: crew.place.records(&job.slug, job.number),
        timeout,
        idle_timeout: crew.config.run.idle_timeout,
        grace: crew.config.run.grace,
        parent_env: &crew.env,
        token: crew.token(&EffectKey::Iterate(job.slug.clone(), job.number)),
        keeper: crew.keeper.clone(),
        limits: crew.limits,
        sandbox: crew.confinement.agent(
            profile,
            &agent::home(profile, &crew.env),
            program,
            worktree,
            &begun.lent,
        ),
        builds: crew.builds.clone(),
        secrets: crew.secrets.clone(),
        output_cap: crew.config.resources.output,
        model,
        prices: &crew.config.prices,
        version,
        session: job.session.clone(),
    };
    agent::converse(call, stop, |progress| {
        crew.hear(&job.slug, job.number, progress);
    })
    .await
}

/// At most `columns` characters of `text`, cut between words where it can be.
fn headline(text: &str, columns: usize) -> String {
    if text.chars().count() <= columns {
        return text.to_owned();
    }
    // One character more than fits, so that a word that ends just there is kept whole.
    let kept: String = text.chars().take(columns).collect();
    let last = kept.char_indices().last().map_or(0, |(at, _)| at);
    let end = kept.rfind(char::is_whitespace).unwrap_or(last);
    format!("{}…", kept[..end].trim_end())
}

async fn snapshot(
    crew: &Rc<Crew>,
    job: &Iteration,
    worktree: &Path,
    before: &Oid,
    called: &Called,
    out: &UnboundedSender<Message>,
) -> Result<Option<Snapshot>, String> {
    let repo = crew.place.repo.clone();
    let (slug, number, run) = (job.slug.clone(), job.number, crew.run.to_string());
    let (worktree, before) = (worktree.to_owned(), before.clone());
    let words = called.note.lines().find(|line| !line.trim().is_empty());
    let subject = match words {
        Some(words) => format!("{slug}: iteration {number}: {}", headline(words.trim(), 60)),
        None => format!("{slug}: iteration {number}"),
    };
    let merge = job.handback.as_ref().map(|handback| MergeTask {
        onto: handback.onto.clone(),
    });
    let allow_dropped = called.dropped.is_some();
    let taken = blocking(move || {
        let count = number.to_string();
        let trailers = [
            ("Harness-Run", run.as_str()),
            ("Harness-Feature", slug.as_str()),
            ("Harness-Iteration", count.as_str()),
        ];
        let iterated = Iterated {
            slug: &slug,
            iteration: number,
            before: &before,
            subject: &subject,
            trailers: &trailers,
            merge: merge.as_ref(),
            allow_dropped,
        };
        repo.snapshot_merge(&worktree, &iterated)
    })
    .await;
    match taken {
        Ok(snapshot) => {
            let also = &snapshot.also_changed;
            let also =
                (!also.is_empty()).then(|| format!("the merge also changes {}", also.join(", ")));
            for note in snapshot.notes.iter().chain(&also) {
                warn(out, &format!("{} #{}: {note}", job.slug, job.number));
            }
            Ok(Some(snapshot))
        }
        Err(why) => {
            warn(
                out,
                &format!("{} #{}: no snapshot: {why}", job.slug, job.number),
            );
            Err(why)
        }
    }
}

fn report(called: Called, snapshot: Option<Snapshot>) -> IterationReport {
    IterationReport {
        ending: called.ending,
        elapsed_ms: called.elapsed_ms,
        note: called.note,
        message: called.message,
        lessons: called.lessons,
        done: called.done,
        refused: None,
        tampered: None,
        blocked: called.blocked,
        failure: called.failure,
        changed: snapshot.as_ref().is_some_and(|snapshot| snapshot.changed),
        merge: snapshot
            .as_ref()
            .and_then(|snapshot| snapshot.merge.clone()),
        tip: snapshot.map(|snapshot| snapshot.tip),
        usage: called.usage,
        prompt: None,
        quota: called.quota,
        session: called.session.filter(|id| agent::is_plain_name(id)),
    }
}

fn not_started(why: String) -> IterationReport {
    report(Called::not_started(why), None)
}

#[cfg(test)]
mod tests {
    use super::headline;

    #[test]
    fn a_headline_is_cut_between_words() {
        assert_eq!(headline("short enough", 12), "short enough");
        assert_eq!(headline("three words here", 12), "three words…");
        assert_eq!(headline("unbreakable", 6), "unbre…");
        assert_eq!(headline("üüü üüü üüü", 9), "üüü üüü…");
    }
}
