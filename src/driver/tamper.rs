//! What changes outside of the agents' worktrees while they run, who can have done it, and what follows.
//!
//! A look is taken when an iteration begins and when it ends. What it finds was done by somebody who ran since the look
//! before; only if that was one iteration and nothing else, no commands of the project either, it is certain who. Then
//! its feature trips, but only on what is no ordinary act of a person's, who may be at work at the same time:
//!
//! - what makes git run something: hooks, attributes, certain settings, links between worktrees (`git::Planted`);
//! - refs that nobody but harness writes; they are put back, whoever it was;
//! - files of the user's checkout that the output of the only agent says it changed. They are put back only if they
//!   were as committed before, and the change is kept as a patch.
//!
//! Everything else is told and left alone. This file never decides what becomes of a feature.

use super::crew::Crew;
use super::iterate::{Iteration, warn};
use super::world::{Message, blocking};
use crate::agent;
use crate::core::State;
use crate::git::{GitError, MovedRef, Planted, PutBack, Repo, Touched, Tripwire};
use crate::model::{Event, Record, Slug};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{Mutex, MutexGuard};

/// Most things of a kind that one message names.
const NAMED: usize = 8;
/// The clock of file systems may be behind by so much.
const BEHIND: Duration = Duration::from_millis(20);
/// The patch among an iteration's records.
const PATCH: &str = "checkout.patch";
/// Its raw output there.
const OUTPUT: &str = "output.log";

/// Who may change what.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    /// An iteration, and its worktree.
    Agent(Slug, u32, PathBuf),
    /// Commands of the project, which run what agents wrote.
    Commands(String),
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agent(slug, number, _) => write!(f, "{slug} #{number}"),
            Self::Commands(name) => f.write_str(name),
        }
    }
}

#[derive(Debug, Default)]
struct Suspects {
    at_work: Vec<Who>,
    /// All who ran at any time since the last look began.
    since: Vec<Who>,
    /// What was found of an iteration that still ran.
    charges: BTreeMap<(Slug, u32), Vec<String>>,
}

/// Watches over what is not the agents'.
#[derive(Debug)]
pub(super) struct Vigil {
    /// One look at a time, and harness changes nothing in the checkout meanwhile.
    looking: Mutex<()>,
    suspects: RefCell<Suspects>,
    /// Files of the checkout that were told of: a person who works there hears of each once.
    told: RefCell<BTreeSet<String>>,
    tripwire: Arc<Tripwire>,
}

/// What one look found.
struct Found {
    planted: Result<Vec<Planted>, String>,
    refs: Result<Vec<MovedRef>, String>,
    touched: Result<Vec<Touched>, String>,
    /// Who can have done it.
    by: Vec<Who>,
}

impl Vigil {
    pub(super) fn new(repo: &Repo, excluded: Vec<String>) -> Self {
        Self {
            looking: Mutex::default(),
            suspects: RefCell::default(),
            told: RefCell::default(),
            tripwire: Arc::new(repo.tripwire(excluded)),
        }
    }

    /// To be held while harness itself changes the user's checkout.
    pub(super) async fn away(&self) -> MutexGuard<'_, ()> {
        self.looking.lock().await
    }

    /// Commands of the project run until this is dropped.
    pub(super) fn commands(&self, name: String) -> AtWork<'_> {
        self.enter(Who::Commands(name))
    }

    fn enter(&self, who: Who) -> AtWork<'_> {
        let mut suspects = self.suspects.borrow_mut();
        suspects.at_work.push(who.clone());
        suspects.since.push(who.clone());
        AtWork { vigil: self, who }
    }

    /// Looks, and says what was seen and who can have done it. `ended` has ended.
    async fn look(&self, repo: &Repo, ended: Option<&Who>) -> Found {
        let mut by = {
            let mut suspects = self.suspects.borrow_mut();
            // Whoever runs on may do something that this look just misses.
            let left = suspects.at_work.iter().filter(|who| Some(*who) != ended);
            let left = left.cloned().collect();
            std::mem::replace(&mut suspects.since, left)
        };
        let (repo, tripwire) = (repo.clone(), Arc::clone(&self.tripwire));
        let seen = blocking(move || {
            let text = |error: GitError| error.to_string();
            let planted = repo.planted().map_err(text);
            let refs = repo.moved_refs().map_err(text);
            let touched = tripwire.look().map_err(text);
            Ok::<_, String>((planted, refs, touched))
        });
        let (planted, refs, touched) = match seen.await {
            Ok(seen) => seen,
            Err(why) => (Err(why.clone()), Err(why.clone()), Err(why)),
        };
        by.extend(self.suspects.borrow().since.iter().cloned());
        by.sort();
        by.dedup();
        Found {
            planted,
            refs,
            touched,
            by,
        }
    }
}

/// Somebody is at work until this is dropped.
pub(super) struct AtWork<'a> {
    vigil: &'a Vigil,
    who: Who,
}

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        let mut suspects = self.vigil.suspects.borrow_mut();
        if let Some(at) = suspects.at_work.iter().position(|who| *who == self.who) {
            suspects.at_work.remove(at);
        }
    }
}

/// One iteration under watch.
pub(super) struct Watched<'a> {
    at_work: AtWork<'a>,
    crew: &'a Crew,
    slug: Slug,
    number: u32,
    started: SystemTime,
}

/// Looks, and watches an iteration from here on.
pub(super) async fn watch<'a>(
    crew: &'a Rc<Crew>,
    job: &Iteration,
    worktree: &Path,
    out: &UnboundedSender<Message>,
) -> Watched<'a> {
    let _one = crew.vigil.away().await;
    let found = crew.vigil.look(&crew.place.repo, None).await;
    let charges = found.tell(crew, out);
    if let (Some(charges), [Who::Agent(slug, number, _)]) = (charges, found.by.as_slice()) {
        let mut suspects = crew.vigil.suspects.borrow_mut();
        let earlier = suspects.charges.entry((slug.clone(), *number)).or_default();
        earlier.extend(charges);
    }
    found.tell_touched(crew, &[], out);
    let who = Who::Agent(job.slug.clone(), job.number, worktree.to_owned());
    Watched {
        at_work: crew.vigil.enter(who),
        crew,
        slug: job.slug.clone(),
        number: job.number,
        started: SystemTime::now(),
    }
}

impl Watched<'_> {
    /// The agent is about to be called: from here on its branch is in its hands.
    pub(super) fn starts(&mut self) {
        self.crew.place.repo.lend(&self.slug);
        self.started = SystemTime::now();
    }

    /// The agent's processes are dead. Puts back what it is certain to have changed of what is not its own, and
    /// says for what it trips.
    pub(super) async fn ends(self, out: &UnboundedSender<Message>) -> Option<String> {
        let ended = SystemTime::now();
        let crew = self.crew;
        let _one = crew.vigil.away().await;
        let found = crew
            .vigil
            .look(&crew.place.repo, Some(&self.at_work.who))
            .await;
        let mut charges = {
            let mut suspects = crew.vigil.suspects.borrow_mut();
            let key = (self.slug.clone(), self.number);
            suspects.charges.remove(&key).unwrap_or_default()
        };
        charges.extend(found.tell(crew, out).into_iter().flatten());
        let mut accused = Vec::new();
        // Commands that ran meanwhile are not what wrote this iteration's output.
        if found.agents() == 1
            && let Ok(touched) = &found.touched
        {
            accused = self.accused(touched, ended, out).await;
        }
        if !accused.is_empty() {
            charges.push(self.put_back(&accused).await);
        }
        found.tell_touched(crew, &accused, out);
        (!charges.is_empty()).then(|| format!("while no other agent ran, {}", charges.join("; ")))
    }

    /// Files of the checkout that changed while the agent ran and that its own output says it changed. When a file changed
    /// can only acquit: if the clock was set back meanwhile, what the agent changed may be told of and left as it is.
    async fn accused(
        &self,
        touched: &[Touched],
        ended: SystemTime,
        out: &UnboundedSender<Message>,
    ) -> Vec<Touched> {
        let in_time = |touched: &&Touched| {
            let started = self.started.checked_sub(BEHIND).unwrap_or(self.started);
            touched
                .changed_at
                .is_none_or(|at| started <= at && at <= ended)
        };
        let touched: Vec<Touched> = touched.iter().filter(in_time).cloned().collect();
        if touched.is_empty() {
            return touched;
        }
        let place = &self.crew.place;
        let output = place.records(&self.slug, self.number).join(OUTPUT);
        let root = place.repo.root().to_owned();
        let paths: Vec<PathBuf> = touched.iter().map(|touched| touched.path.clone()).collect();
        match blocking(move || agent::named(&output, &root, &paths)).await {
            Ok(named) => {
                let pairs = touched.into_iter().zip(named);
                pairs
                    .filter_map(|(touched, named)| named.then_some(touched))
                    .collect()
            }
            Err(why) => {
                let text = format!(
                    "{} #{}: its output cannot be read: {why}",
                    self.slug, self.number
                );
                warn(out, &text);
                Vec::new()
            }
        }
    }

    async fn put_back(&self, accused: &[Touched]) -> String {
        let place = &self.crew.place;
        let patch = place.records(&self.slug, self.number).join(PATCH);
        let (tripwire, wanted) = (Arc::clone(&self.crew.vigil.tripwire), accused.to_vec());
        let file = patch.clone();
        let done = blocking(move || {
            let all: Vec<&Touched> = wanted.iter().collect();
            tripwire.put_back(&all, &file)
        });
        let done = done.await.unwrap_or_else(|why| PutBack {
            back: Vec::new(),
            left: accused
                .iter()
                .map(|one| (one.shown.clone(), why.clone()))
                .collect(),
        });
        let mut parts = Vec::new();
        if !done.back.is_empty() {
            let (root, patch) = (place.repo.root().display(), patch.display());
            let files = list(done.back.iter().cloned());
            parts.push(format!(
                "{files} (put back; git -C '{root}' apply '{patch}' brings the change back)"
            ));
        }
        for (why, files) in by_reason(done.left) {
            parts.push(format!(
                "{} (left as it is: {why})",
                list(files.into_iter())
            ));
        }
        format!("it changed files in your checkout: {}", parts.join(", "))
    }
}

fn by_reason(left: Vec<(String, String)>) -> BTreeMap<String, Vec<String>> {
    let mut reasons: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (file, why) in left {
        reasons.entry(why).or_default().push(file);
    }
    reasons
}

impl Found {
    /// The only one who can have done it, if that is an agent.
    fn certain(&self) -> Option<&Who> {
        match self.by.as_slice() {
            [who @ Who::Agent(..)] => Some(who),
            _ => None,
        }
    }

    fn agents(&self) -> usize {
        let agents = self.by.iter().filter(|who| matches!(who, Who::Agent(..)));
        agents.count()
    }

    /// `while a #1, b #2 ran`
    fn when(&self) -> String {
        match self.by.as_slice() {
            [] => "while no agent ran".to_owned(),
            by => format!("while {} ran", list(by.iter().map(Who::to_string))),
        }
    }

    /// Tells of settings and refs, but not what the only suspect is charged with, which is given.
    fn tell(&self, crew: &Crew, out: &UnboundedSender<Message>) -> Option<Vec<String>> {
        let when = self.when();
        let mut charges = Vec::new();
        match &self.planted {
            Ok(planted) => {
                let planted = planted.iter().filter(|planted| !self.is_own_link(planted));
                let (runs, sets): (Vec<_>, Vec<_>) = planted.partition(|planted| planted.runs);
                // All of them, however many: each is one for a person to take out.
                let runs: Vec<String> = runs.into_iter().map(|one| one.what.clone()).collect();
                let mut told: Vec<String> = sets.into_iter().map(|one| one.what.clone()).collect();
                if self.certain().is_none() {
                    told.splice(0..0, runs);
                } else if !runs.is_empty() {
                    let what = runs.join(", ");
                    charges.push(format!(
                        "something changed in the repository by which your own git runs something: {what}"
                    ));
                }
                if !told.is_empty() {
                    let what = told.join(", ");
                    let text = format!(
                        "{when}, something changed in the repository that git obeys: {what}; harness does not use it, \
                         but your own git will"
                    );
                    warn(out, &text);
                }
            }
            Err(why) => {
                let text =
                    format!("{when}, the repository's git configuration became unreadable: {why}");
                warn(out, &text);
            }
        }
        match &self.refs {
            Ok(refs) => self.tell_refs(refs, &mut charges, out),
            Err(why) => warn(out, &format!("{when}, refs became unreadable: {why}")),
        }
        if let Err(why) = &self.touched {
            let root = crew.place.repo.root().display();
            warn(
                out,
                &format!("{when}, {root} could not be looked at: {why}"),
            );
        }
        self.certain().map(|_| charges)
    }

    fn tell_refs(
        &self,
        refs: &[MovedRef],
        charges: &mut Vec<String>,
        out: &UnboundedSender<Message>,
    ) {
        let when = self.when();
        let (ours, users): (Vec<_>, Vec<_>) = refs.iter().partition(|found| found.is_ours);
        if !ours.is_empty() {
            let what = list(ours.iter().map(|found| found.what.clone()));
            match self.certain() {
                Some(_) => charges.push(what),
                None => warn(
                    out,
                    &format!("{when}, somebody changed refs of harness's: {what}"),
                ),
            }
        }
        // Between the agents a person is at work.
        if !users.is_empty() && !self.by.is_empty() {
            let what = list(users.iter().map(|found| found.what.clone()));
            let text = format!(
                "{when}, {what}; harness leaves that alone, and if it was not you, `git update-ref` sets it right"
            );
            warn(out, &text);
        }
    }

    /// A worktree's own links are put right before they are used.
    fn is_own_link(&self, planted: &Planted) -> bool {
        planted.worktree.as_ref().is_some_and(|worktree| {
            let own = |who: &Who| matches!(who, Who::Agent(_, _, own) if own == worktree);
            self.by.iter().any(own)
        })
    }

    /// Tells of files in the checkout that nobody is accused of.
    fn tell_touched(&self, crew: &Crew, accused: &[Touched], out: &UnboundedSender<Message>) {
        let Ok(touched) = &self.touched else {
            return;
        };
        let mut known = crew.vigil.told.borrow_mut();
        let files = touched.iter().filter(|touched| !accused.contains(touched));
        let files = files.filter(|touched| !self.by.is_empty() && !known.contains(&touched.shown));
        let files: Vec<String> = files.map(|touched| touched.shown.clone()).collect();
        known.extend(files.iter().cloned());
        if !files.is_empty() {
            let root = crew.place.repo.root().display();
            let text = format!(
                "{}, files in your checkout changed: {}; harness leaves them alone, and if it was not you, look at \
                 them: git -C '{root}' status",
                self.when(),
                list(files.into_iter())
            );
            warn(out, &text);
        }
    }
}

/// Names with commas, so many and no more.
fn list(names: impl Iterator<Item = String>) -> String {
    let mut names: Vec<String> = names.collect();
    let more = names.len().saturating_sub(NAMED);
    names.truncate(NAMED);
    let mut text = names.join(", ");
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

/// Keeps the record of whose the features' branches are.
pub(super) fn heed(repo: &Repo, state: &State, records: &[Record]) {
    let own = |slug: &Slug| {
        repo.expect_branch(slug);
        repo.leave(slug, !state.is_in_our_hands(slug));
    };
    for record in records {
        match &record.event {
            Event::RunStarted { .. } => state.slugs().for_each(own),
            Event::BacklogChanged { upserted, .. } => {
                upserted.iter().for_each(|spec| own(&spec.slug));
            }
            Event::FoundDone { slug }
            | Event::Requeued { slug }
            | Event::Abandoned { slug }
            | Event::Blocked { slug, .. }
            | Event::Unblocked { slug, .. }
            | Event::Tripped { slug, .. }
            | Event::Failed { slug, .. }
            | Event::Undone { slug, .. }
            | Event::Retried { slug }
            | Event::Merged { slug, .. }
            | Event::Unlanded { slug }
            | Event::Parked { slug, .. } => own(slug),
            _ => {}
        }
    }
}
