//! What a person is told of a run while they are not looking, and what they were told already.
//!
//! One after the other, beside the run and never in its way; a failure is said once. Up to which record all was told
//! stands in a file, so that what killed runs did not come to tell is told by the next. This file never says what is worth
//! telling.

use super::crew::Crew;
use super::tell::{Notice, tell};
use super::world::Message;
use crate::config::Occasion;
use crate::core::{AccountView, State, View, view};
use crate::fault::{self, Point};
use crate::model::{Event, FailureKind, Record, RunId, Stamp};
use crate::report::{Notification, occasion};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

/// How long the end of a run waits for what is still to be told.
const LAST: Duration = Duration::from_secs(120);
/// The exit code of a run that could not go on.
const BROKEN_OFF: u8 = 10;

/// Tells of one run.
pub(super) struct Notifier {
    crew: Rc<Crew>,
    queue: UnboundedSender<Notice>,
    task: JoinHandle<()>,
    /// How many are still to be told.
    untold: Rc<Cell<u64>>,
    closed: Closed,
    /// The last record that was taken in.
    heard: u64,
}

impl Notifier {
    /// `None`: nobody wants to be told anything. `records` is the journal as the run found it.
    pub(super) fn begin(
        crew: &Rc<Crew>,
        records: &[Record],
        state: &State,
        out: &UnboundedSender<Message>,
    ) -> Option<Self> {
        let notices = &crew.config.notify;
        let any = notices.command.is_some() || notices.webhook.is_some();
        if notices.on.is_empty() || !(any || notices.desktop || notices.terminal) {
            forget(crew);
            return None;
        }
        let (queue, told) = unbounded_channel();
        let untold = Rc::new(Cell::new(0));
        let telling = tell_all(Rc::clone(crew), told, Rc::clone(&untold), out.clone());
        let task = tokio::task::spawn_local(telling);
        let mut notifier = Self {
            crew: Rc::clone(crew),
            queue,
            task,
            untold,
            closed: Closed::default(),
            heard: records.last().map_or(0, |record| record.seq),
        };
        match told_through(crew) {
            // The journal was cut since.
            Some(seq) if seq > notifier.heard => remember(crew, notifier.heard),
            Some(seq) => notifier.catch_up(records, seq, state),
            None => remember(crew, notifier.heard),
        }
        Some(notifier)
    }

    /// What earlier runs recorded, did not come to tell, and is still so.
    fn catch_up(&mut self, records: &[Record], seq: u64, state: &State) {
        let now = view(state, state.wall_time(state.last_at()));
        let mut late: Vec<(u64, Notification)> = Vec::new();
        let (mut run, mut then) = (None, State::default());
        for record in records {
            if let Event::RunStarted { run: begun, .. } = &record.event {
                run = Some(begun);
            }
            if record.seq <= seq {
                if self.wants(Occasion::Limit) {
                    then.apply(record);
                }
            } else if let Some(run) = run.filter(|run| outlasts(&record.event, run, &now))
                && let Some(note) = self.wanted(record, run, (state, &now))
            {
                // Of a feature that needed somebody twice, the last time.
                late.retain(|(_, known)| known.title != note.title);
                late.push((record.seq, note));
            }
        }
        for (seq, note) in late {
            self.send(seq, &note);
        }
        if self.wants(Occasion::Limit) {
            let then = view(&then, then.wall_time(state.last_at()));
            self.closed.news(waiting(&then));
            if let Some(run) = run {
                self.of_accounts(waiting(&now), run, state.wall_time(state.last_at()));
            }
        }
    }

    /// Takes in what a turn has recorded; gives what is to be said on the terminal.
    pub(super) fn hear(&mut self, records: &[Record], state: &State, now: Stamp) -> Vec<Notice> {
        self.heard = records.last().map_or(self.heard, |record| record.seq);
        let run = self.crew.run.clone();
        let is_wanted =
            |record: &Record| occasion(&record.event).is_some_and(|what| self.wants(what));
        let mut told = Vec::new();
        if records.iter().any(is_wanted) {
            let now = view(state, state.wall_time(state.last_at()));
            for record in records {
                if let Some(note) = self.wanted(record, &run, (state, &now)) {
                    told.push(self.send(record.seq, &note));
                }
            }
        }
        let tells_of_accounts = |record: &Record| match &record.event {
            Event::IterationEnded { report, .. } => {
                report.failure.is_some() || !report.quota.is_empty() || !self.closed.0.is_empty()
            }
            _ => false,
        };
        if self.wants(Occasion::Limit) && records.iter().any(tells_of_accounts) {
            let now = state.wall_time(now);
            let accounts = accounts(&view(state, now));
            told.extend(self.of_accounts(accounts, &run, now));
        }
        told
    }

    fn wants(&self, occasion: Occasion) -> bool {
        self.crew.config.notify.on.contains(&occasion)
    }

    fn wanted(
        &self,
        record: &Record,
        run: &RunId,
        (state, now): (&State, &View),
    ) -> Option<Notification> {
        occasion(&record.event).filter(|what| self.wants(*what))?;
        Notification::of(record, run, now, state.wall_time(record.at))
    }

    fn of_accounts(&mut self, accounts: Vec<AccountView>, run: &RunId, now: Stamp) -> Vec<Notice> {
        let news = self.closed.news(accounts).into_iter();
        let notes = news.map(|account| Notification::of_account(&account, run, now));
        let notes: Vec<Notification> = notes.collect();
        let told = notes.iter().map(|note| self.send(self.heard, note));
        told.collect()
    }

    fn send(&self, seq: u64, note: &Notification) -> Notice {
        let secrets = &self.crew.secrets;
        let json = note.json(self.crew.place.repo.root());
        let notice = Notice {
            seq,
            json: secrets.hide(&json.to_string()).into_owned(),
            title: secrets.hide(&note.title).into_owned(),
            text: secrets.hide(&note.text).into_owned(),
        };
        // Gone is who panicked; the run is told of that already.
        if self.queue.send(notice.clone()).is_ok() {
            self.untold.set(self.untold.get() + 1);
        }
        notice
    }

    /// That the run cannot go on; gives what is to be said on the terminal.
    pub(super) fn break_off(&self, why: &str, now: Stamp) -> Option<Notice> {
        let note = Notification::broken_off(&self.crew.run, BROKEN_OFF, why, now);
        self.wants(Occasion::Finished)
            .then(|| self.send(self.heard, &note))
    }

    /// Tells what is left, for a bounded time; gives how many were not told in it. The next run tells them, if they are still
    /// so.
    pub(super) async fn finish(self) -> u64 {
        drop(self.queue);
        let mut task = self.task;
        tokio::select! {
            ended = &mut task => if ended.is_ok() {
                remember(&self.crew, self.heard);
            },
            () = tokio::time::sleep(LAST) => task.abort(),
        }
        self.untold.get()
    }
}

/// Whether something recorded in this run can still be so when another one begins. That a run began or has used its money
/// is nothing any more; how it ended is, until the next one begins.
fn outlasts(event: &Event, run: &RunId, now: &View) -> bool {
    match event {
        Event::RunStarted { .. } | Event::Noticed { .. } => false,
        Event::RunEnded { .. } => now.run.as_ref().is_some_and(|last| last.id == run.0),
        _ => true,
    }
}

fn accounts(view: &View) -> Vec<AccountView> {
    let run = view.run.as_ref();
    run.map_or_else(Vec::new, |run| run.accounts.clone())
}

/// Accounts that time opens. A run that begins tries all others anew, and hears at once if nothing has changed.
fn waiting(view: &View) -> Vec<AccountView> {
    let mut accounts = accounts(view);
    accounts.retain(|account| account.until.is_some());
    accounts
}

/// Accounts that were told of: what the matter was, and whether it needed a person.
#[derive(Debug, Default)]
struct Closed(BTreeMap<String, (FailureKind, bool)>);

impl Closed {
    /// Of all accounts those that are closed and were not told of since they were last in use. One that is tried in vain,
    /// however often, is still the same.
    fn news(&mut self, accounts: Vec<AccountView>) -> Vec<AccountView> {
        let is_open = |name: &str| {
            let known = accounts.iter().find(|account| account.name == name);
            known.is_none_or(|account| account.kind.is_none())
        };
        self.0.retain(|name, _| !is_open(name));
        let mut news = accounts;
        news.retain(|account| {
            let Some(kind) = account.kind.filter(|_| account.closed) else {
                return false;
            };
            let what = (kind, account.until.is_none());
            self.0.insert(account.name.clone(), what) != Some(what)
        });
        news
    }
}

async fn tell_all(
    crew: Rc<Crew>,
    mut notices: UnboundedReceiver<Notice>,
    untold: Rc<Cell<u64>>,
    out: UnboundedSender<Message>,
) {
    let mut failed = BTreeSet::new();
    while let Some(notice) = notices.recv().await {
        for (way, told) in tell(&crew, &notice).await {
            if let Err(why) = told
                && failed.insert(way)
            {
                let text = format!("{way}: {why}; of further failures nothing is said in this run");
                let _ = out.send(Message::Warning(text));
            }
        }
        remember(&crew, notice.seq);
        untold.set(untold.get().saturating_sub(1));
    }
}

fn file(crew: &Crew) -> PathBuf {
    crew.place.state_dir.join("notified")
}

/// Up to which record all was told; `None`: nobody was ever to be told anything.
fn told_through(crew: &Crew) -> Option<u64> {
    std::fs::read_to_string(file(crew))
        .ok()?
        .trim()
        .parse()
        .ok()
}

fn remember(crew: &Crew, seq: u64) {
    let (file, draft) = (file(crew), crew.place.state_dir.join(".notified.tmp"));
    // Should that fail, the same may be told twice; its id says so.
    let _ = fault::at(Point::StateCreate)
        .and_then(|()| std::fs::write(&draft, format!("{seq}\n")))
        .and_then(|()| std::fs::rename(&draft, &file));
}

/// Nobody is to be told of what happens now, not later either.
fn forget(crew: &Crew) {
    let file = file(crew);
    if file.exists() {
        // Should that fail, a later run tells what is still so.
        let _ = fault::at(Point::StateRemove).and_then(|()| std::fs::remove_file(&file));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(kind: Option<FailureKind>, closed: bool, until: Option<u64>) -> Vec<AccountView> {
        vec![AccountView {
            name: "claude".to_owned(),
            closed,
            kind,
            scope: None,
            text: String::new(),
            until: until.map(Stamp),
            at_once: Some(1),
        }]
    }

    #[test]
    fn a_closed_account_is_news_once_until_it_was_in_use_or_something_else_is_the_matter() {
        let limit = Some(FailureKind::Limit);
        let network = Some(FailureKind::Network);
        let mut told = Closed::default();
        let steps = [
            (account(limit, true, Some(5)), true),
            (account(limit, true, Some(9)), false),
            // It is tried, in vain.
            (account(limit, false, Some(9)), false),
            (account(limit, true, Some(20)), false),
            (account(network, true, Some(25)), true),
            (account(network, true, None), true),
            (account(network, true, None), false),
            // An iteration has gone well.
            (account(None, false, None), false),
            (account(network, true, Some(40)), true),
            (Vec::new(), false),
            (account(network, true, Some(60)), true),
        ];
        for (n, (accounts, is_news)) in steps.into_iter().enumerate() {
            assert_eq!(!told.news(accounts).is_empty(), is_news, "step {n}");
        }
    }
}
