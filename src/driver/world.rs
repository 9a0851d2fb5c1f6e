//! The real world: effects become tasks, and their ends come back as messages.
//!
//! This file starts and stops; it must never decide.

use super::cache::{self, MANY};
use super::crew::Crew;
use super::integrate::{Building, Gating, build, land, publish, rewind, run_gate};
use super::iterate::{Iteration, iterate};
use super::prepare::{Preparing, prepare};
use super::turn::{Observation, World};
use crate::agent::{self, Cut};
use crate::core::{Running, State};
use crate::journal::{Journal, JournalError};
use crate::model::{Effect, EffectKey, Ending, Input, Record, Slug, Usage, WriteJob};
use crate::process;
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// What tasks tell the run.
#[derive(Debug)]
pub(super) enum Message {
    /// Something was observed.
    Seen(Box<Observation>),
    /// Odd, but the run goes on.
    Warning(String),
    /// The run cannot go on.
    Fatal(String),
}

/// Performs effects as tasks on this thread, and git and file work on blocking threads.
pub(super) struct Hands {
    crew: Rc<Crew>,
    journal: Journal,
    /// Number of the record as of which the state was last kept.
    kept: u64,
    out: mpsc::UnboundedSender<Message>,
    stops: BTreeMap<EffectKey, watch::Sender<Option<Ending>>>,
    writer: std::sync::mpsc::Sender<WriteJob>,
}

impl Hands {
    pub(super) fn new(
        crew: Rc<Crew>,
        journal: Journal,
        out: mpsc::UnboundedSender<Message>,
    ) -> Self {
        // From before anybody can put another program in its place.
        let _ = cache::maker();
        let writer = start_writer(&crew, out.clone());
        Self {
            crew,
            journal,
            kept: 0,
            out,
            stops: BTreeMap::new(),
            writer,
        }
    }

    /// Keeps the state for whoever looks, when much has come since it was last kept.
    pub(super) fn keep(&mut self, state: &State) {
        if state.seq() - self.kept >= MANY {
            self.kept = state.seq();
            cache::keep(&self.crew.place, self.journal.mark(), state);
        }
    }

    /// Ends the iteration whose processes have written most, of those that run and have written at least so
    /// much; says which. What its agent leaves is snapshotted as ever.
    pub(super) fn end_largest_writer(&mut self, least: u64, why: &str) -> Option<String> {
        let running = self.stops.iter().filter(|(key, stop)| {
            let is_free = !stop.is_closed() && stop.borrow().is_none();
            matches!(key, EffectKey::Iterate(..)) && is_free
        });
        let written =
            running.map(|running| (process::written(&self.crew.token(running.0)), running));
        let (bytes, (key, stop)) = written.max_by_key(|(bytes, _)| *bytes)?;
        if bytes < least {
            return None;
        }
        let EffectKey::Iterate(slug, number) = key else {
            return None;
        };
        let what = why.to_owned();
        stop.send_replace(Some(Ending::OverLimit { what }));
        Some(format!("{slug} #{number}"))
    }

    /// Stops whatever can be stopped.
    pub(super) fn stop_all(&self) {
        for stop in self.stops.values() {
            stop.send_replace(Some(Ending::Stopped));
        }
    }

    fn spawn(
        &mut self,
        key: EffectKey,
        task: impl FnOnce(Rc<Crew>, Stop) -> std::pin::Pin<Box<dyn Future<Output = Input>>>,
    ) {
        let (sender, receiver) = watch::channel(None);
        self.stops.retain(|_, stop| !stop.is_closed());
        self.stops.insert(key.clone(), sender);
        let work = task(Rc::clone(&self.crew), Stop(receiver));
        tokio::task::spawn_local(perform(key, work, self.out.clone()));
    }
}

/// Does an effect's work and tells its end.
async fn perform(
    key: EffectKey,
    work: impl Future<Output = Input>,
    out: mpsc::UnboundedSender<Message>,
) {
    let _last_word = LastWord {
        of: format!("{key:?}"),
        out: out.clone(),
    };
    let input = work.await;
    // The receiver is gone only when the run is over.
    let _ = out.send(Message::Seen(Box::new(Observation::end_of(key, input))));
}

/// Stops the run when whoever holds it panics: no end would come of its work, and a run would wait for it for ever.
/// The next run does it again.
struct LastWord {
    of: String,
    out: mpsc::UnboundedSender<Message>,
}

impl Drop for LastWord {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let text = format!("internal: {} panicked; please report this", self.of);
            let _ = self.out.send(Message::Fatal(text));
        }
    }
}

impl Hands {
    fn perform_merge(&mut self, key: EffectKey, effect: Effect) {
        match effect {
            Effect::Build {
                attempt,
                what,
                onto,
                tip,
                members,
                first,
                follow,
            } => {
                let job = Building {
                    attempt,
                    what,
                    onto,
                    tip,
                    members,
                    first,
                    follow,
                };
                let out = self.out.clone();
                self.spawn(key, move |crew, stop| {
                    Box::pin(build(crew, job, out, stop.wait()))
                });
            }
            Effect::Gate {
                attempt,
                reds,
                commit,
                gate,
                about,
            } => {
                let job = Gating {
                    attempt,
                    reds,
                    commit,
                    gate,
                    about,
                };
                self.spawn(key, move |crew, stop| {
                    Box::pin(run_gate(crew, job, stop.wait()))
                });
            }
            Effect::Land { attempt, from, to } => {
                self.spawn(key, move |crew, _| Box::pin(land(crew, attempt, from, to)));
            }
            Effect::Rewind { .. } => {
                let out = self.out.clone();
                self.spawn(key, move |crew, _| {
                    Box::pin(async move {
                        match rewind(crew).await {
                            Ok(input) => input,
                            Err(why) => {
                                // Nothing can land until the ref stands where it must.
                                let _ = out.send(Message::Fatal(why));
                                Input::Tick
                            }
                        }
                    })
                });
            }
            Effect::Publish { from, to, number } => {
                self.spawn(key, move |crew, _| {
                    Box::pin(publish(crew, number, from, to))
                });
            }
            _ => {}
        }
    }
}

/// Completes when the effect is to stop; never completes when the run forgot about it.
struct Stop(watch::Receiver<Option<Ending>>);

impl Stop {
    async fn wait(self) {
        self.ending().await;
    }

    /// Completes with what is to be recorded as the ending.
    async fn ending(mut self) -> Ending {
        let stop = self.0.wait_for(Option::is_some).await;
        let ending = stop.ok().and_then(|ending| ending.clone());
        match ending {
            Some(ending) => ending,
            None => std::future::pending().await,
        }
    }
}

impl World for Hands {
    fn record(&mut self, records: &[Record]) -> Result<(), JournalError> {
        self.journal.append(records)
    }

    fn perform(&mut self, effect: Effect) {
        let key = effect.key();
        match effect {
            Effect::Prepare {
                slug,
                worktree,
                attempt,
                fresh,
            } => {
                let out = self.out.clone();
                let job = Preparing {
                    slug,
                    worktree,
                    attempt,
                    fresh,
                };
                self.spawn(key, move |crew, stop| {
                    Box::pin(prepare(crew, job, out, stop.wait()))
                });
            }
            Effect::Iterate {
                slug,
                worktree,
                iteration,
                agent,
                session,
                timeout_ms,
                answer,
                handback,
            } => {
                let out = self.out.clone();
                let job = Iteration {
                    slug,
                    worktree,
                    number: iteration,
                    agent,
                    session,
                    timeout_ms,
                    answer,
                    handback,
                };
                self.spawn(key, move |crew, stop| {
                    Box::pin(iterate(crew, job, stop.ending(), out))
                });
            }
            Effect::Write(job) => {
                if self.writer.send(job).is_err() {
                    let text = "the writer of the state directory is gone".to_owned();
                    let _ = self.out.send(Message::Fatal(text));
                }
            }
            Effect::Tidy { keep, landed } => {
                let out = self.out.clone();
                self.spawn(key, move |crew, _| Box::pin(tidy(crew, keep, landed, out)));
            }
            of_the_queue => self.perform_merge(key, of_the_queue),
        }
    }

    fn stop(&mut self, key: &EffectKey) {
        if let Some(stop) = self.stops.get(key) {
            stop.send_replace(Some(Ending::Stopped));
        }
    }

    fn probe(&mut self, running: Vec<Running>) -> Vec<Observation> {
        let lost = running.into_iter().map(|lost| {
            // Agents die with the harness that started them; what they had started may not.
            let key = EffectKey::Iterate(lost.slug.clone(), lost.iteration);
            process::sweep(&self.crew.token(&key));
            let usage = used(&self.crew, &lost).unwrap_or_else(|why| {
                let text = format!(
                    "what {} #{} had used is not known: {why}",
                    lost.slug, lost.iteration
                );
                let _ = self.out.send(Message::Warning(text));
                None
            });
            Input::IterationLost {
                usage,
                slug: lost.slug,
                iteration: lost.iteration,
            }
        });
        lost.map(Observation::from).collect()
    }
}

/// What an iteration that was cut off had used, by what its agent printed.
fn used(crew: &Crew, lost: &Running) -> io::Result<Option<Usage>> {
    let name = lost.agent.profile.as_ref();
    let Some(profile) = crew.config.agents.get(name.unwrap_or(&crew.config.agent)) else {
        return Ok(None);
    };
    let cut = Cut {
        profile,
        model: lost.agent.model.as_deref(),
        session: lost.session.as_ref(),
        prices: &crew.config.prices,
    };
    let records = crew.place.records(&lost.slug, lost.iteration);
    agent::used(&cut, &records.join("output.log"))
}

async fn tidy(
    crew: Rc<Crew>,
    keep: Vec<crate::model::WorktreeName>,
    landed: Vec<(Slug, crate::model::Oid)>,
    out: mpsc::UnboundedSender<Message>,
) -> Input {
    for then in ["it is tried again", "`harness clean` tries again"] {
        let (pool, target) = (crew.worktrees.clone(), crew.target.clone());
        let (keep, landed) = (keep.clone(), landed.clone());
        match blocking(move || pool.tidy(&keep, &landed, &target)).await {
            Ok(()) => break,
            // Litter is no reason to keep a finished run alive.
            Err(why) => {
                let text = format!("could not tidy up: {why}; {then}");
                let _ = out.send(Message::Warning(text));
            }
        }
    }
    Input::Tidied
}

/// Runs blocking work on a thread of its own; errors become sentences.
pub(super) async fn blocking<T, E>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, String>
where
    T: Send + 'static,
    E: std::fmt::Display + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(error) => Err(format!("internal: {error}")),
    }
}

/// Tries before a state file that cannot be written stops the run, and the pause between them.
const WRITE_TRIES: u32 = 5;
const WRITE_PAUSE: Duration = Duration::from_millis(400);

/// The one writer of the state directory's files: takes jobs in order, answers in order.
fn start_writer(
    crew: &Crew,
    out: mpsc::UnboundedSender<Message>,
) -> std::sync::mpsc::Sender<WriteJob> {
    let (sender, jobs) = std::sync::mpsc::channel::<WriteJob>();
    let memory = crew.memory.clone();
    std::thread::spawn(move || {
        let _last_word = LastWord {
            of: "the writer of the state directory".to_owned(),
            out: out.clone(),
        };
        while let Ok(job) = jobs.recv() {
            let mut tries = 0;
            while let Err(error) = memory.perform(&job) {
                tries += 1;
                if tries == 1 {
                    let text = format!("{error}; it is tried again");
                    let _ = out.send(Message::Warning(text));
                }
                if tries == WRITE_TRIES {
                    let _ = out.send(Message::Fatal(error.to_string()));
                    return;
                }
                std::thread::sleep(WRITE_PAUSE);
            }
            let through = job.number;
            let seen = Observation::end_of(EffectKey::Write(through), Input::Written { through });
            let _ = out.send(Message::Seen(Box::new(seen)));
        }
    });
    sender
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_effect_that_panics_stops_the_run_instead_of_being_waited_for() {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let (out, mut messages) = mpsc::unbounded_channel();
        let heard = tokio::task::LocalSet::new().block_on(&runtime.unwrap(), async move {
            let work = async { panic!("a mistake of ours") };
            tokio::task::spawn_local(perform(EffectKey::Land(3), work, out));
            messages.recv().await
        });
        assert!(
            matches!(&heard, Some(Message::Fatal(why)) if why.contains("Land(3) panicked")),
            "{heard:?}"
        );
    }
}
