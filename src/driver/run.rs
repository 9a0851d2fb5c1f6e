//! The run: the only select loop.
//!
//! It collects observations, turns, and tells the audience. It must never decide what happens to a
//! feature, and nothing it shows may harm the run.

use super::awake::Wakeful;
use super::builds;
use super::clock::{Clock, wall_clock};
use super::crew::Crew;
use super::damage;
use super::error::DriverError;
use super::evidence::gate_digest;
use super::leftovers;
use super::lookout::{Lookout, remove};
use super::machine::{self, LOOK_EVERY, Machine};
use super::notify::Notifier;
use super::place::Place;
use super::preflight::Ready;
use super::reports;
use super::signals::{Drain, Signals};
use super::tamper;
use super::turn::{Engine, Observation};
use super::until::deadline;
use super::world::{Hands, Message};
use crate::agent;
use crate::core::{State, View, view, wake_at};
use crate::fault::{self, Point};
use crate::journal::Lock;
use crate::learnings::Memory;
use crate::model::{
    Command, Containment, CredentialKind, Event, Input, Record, RunId, Slug, Stamp, escaped_lines,
};
use crate::process::{self, Secrets};
use crate::report::{self, Heard};
use jiff::tz::TimeZone;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// So far apart two agents that go by one login are started, in milliseconds. Each refreshes a login that is about to end
/// when it starts, with a token that holds once: of two at the same time one would be logged out. To refresh it is one
/// request.
const APART_MS: u64 = 3_000;

/// Who watches a run. A slow or failing audience must not harm the run.
pub trait Audience {
    /// One line of the run log.
    fn say(&mut self, line: &str);
    /// One that says what is seen at a glance as well: something goes its usual way.
    fn mention(&mut self, line: &str) {
        self.say(line);
    }
    /// The state as it is when the wall clock reads `now`, with the last words of running agents; called after every
    /// turn and at the pace of [`redraw_every`](Self::redraw_every).
    fn glance(&mut self, state: &State, now: Stamp, heard: &BTreeMap<Slug, Heard>);
    /// Draws the attention of whoever is at the terminal; the text is one line.
    fn ring(&mut self, _text: &str) {}
    /// How often it wants to be shown progress between turns; `None`: not at all.
    fn redraw_every(&self) -> Option<Duration>;
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The exit code.
    pub code: u8,
    /// The picture at the end.
    pub view: View,
    /// The report, if it could be written.
    pub report: Option<PathBuf>,
}

/// Runs the backlog to its end. Must be called inside a `tokio::task::LocalSet` on a current-thread
/// runtime on the main thread: agents die with the thread that started them.
///
/// # Errors
/// When the lock is held, the journal cannot be written, or a state file keeps refusing to be written.
pub async fn run(ready: Ready, audience: &mut dyn Audience) -> Result<Outcome, DriverError> {
    let id = new_run_id();
    let drain = Drain::listen();
    let memory = Memory::open(&ready.place.state_dir)?;
    let holder = Place::this_process(&format!("run {id}"));
    let _lock = Lock::take(&ready.place.state_dir, &holder)?;
    memory.clear_up(|pid| process::alive(pid, None, None))?;
    let forgotten = damage::forgotten(&ready.place)?;
    let (journal, contents) = ready.place.journal()?;
    let engine = Engine::replay(&contents.records);
    let cut_off = reports::cut_off(&contents.records);
    fault::past(Point::RunBegin);
    let run_log = open_log(&ready.place)?;
    let untrusted = ready.config.verify.commands.is_empty();
    let (mut crew, scanner) = Crew::new(ready, id, memory);
    crew.builds = builds::find(&crew).await;
    let crew = Rc::new(crew);
    let secrets = crew.secrets.clone();
    leftovers::end_processes(&crew.place, engine.state());
    let cleared = leftovers::clear(&crew.worktrees, &crew.place, &crew.target)?;
    crew.place.repo.begin_record();
    let clock = Clock::after(engine.state());
    // In this order: by the journal's clock a time of the day is never before it shows on the wall.
    let wall = wall_clock();
    let begins = begins(&crew, engine.state(), (clock.now(), wall)).await?;
    let (sender, messages) = unbounded_channel();
    let notifier = Notifier::begin(&crew, &contents.records, engine.state(), &sender);
    let (wakeful, sleepy) = Wakeful::begin(&crew);
    let mut session = Session {
        clock,
        engine,
        hands: Hands::new(Rc::clone(&crew), journal, sender),
        lookout: Lookout::new(Rc::clone(&crew), scanner),
        machine: Machine::new(&crew),
        machine_due: Instant::now(),
        wakeful,
        notifier,
        crew,
        signals: Signals::listen(drain),
        messages,
        voice: Voice {
            audience,
            run_log,
            zone: TimeZone::system(),
            secrets,
            in_the_way: None,
        },
    };
    let torn = (contents.torn_bytes > 0)
        .then_some("the journal ended in the middle of a line: its torn end was cut off");
    let untrusted =
        untrusted.then_some("harness.yaml sets no `verify.commands`: what agents call done is merged untested; name the commands that must pass");
    let odd = [
        torn.map(str::to_owned),
        forgotten.map(|one| one.to_string()),
    ];
    let odd = cleared.into_iter().chain(odd.into_iter().flatten());
    for told in odd.chain(untrusted.map(str::to_owned)).chain(sleepy) {
        session.voice.warn(&told);
    }
    if let Some(before) = cut_off {
        session.write_report(&before);
    }
    let ended = session.go(begins).await;
    if let Err(why) = &ended {
        session.break_off(&why.to_string()).await;
    }
    // How the run ended stands; a report that cannot be written is only told.
    let run = session.crew.run.clone();
    let report = session.write_report(&run);
    ended.map(|outcome| Outcome { report, ..outcome })
}

fn open_log(place: &Place) -> Result<File, DriverError> {
    let path = place.run_log();
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    let opened = fault::at(Point::RunLogOpen).and_then(|()| options.open(&path));
    opened.map_err(DriverError::io("open", path))
}

/// The run's first observation: what it is asked to do, and where it stands.
async fn begins(crew: &Crew, state: &State, clocks: (Stamp, Stamp)) -> Result<Input, DriverError> {
    let repo = &crew.place.repo;
    let ground = repo.ground(&crew.target, state.published(&crew.target))?;
    let mut lost = Vec::new();
    for (slug, tip) in state.unpublished() {
        if !repo.holds(&ground.tip, tip)? {
            lost.push(slug.clone());
        }
    }
    let mut gone = Vec::new();
    for slug in state.awaiting_merge().chain(&lost) {
        if repo.has_forgotten(slug, state.left_at(slug))? {
            gone.push(slug.clone());
        }
    }
    let mut settings = crew.config.settings();
    settings.until = deadline(crew.config.run.until, state, clocks, &TimeZone::system());
    settings.merge.gate = gate_digest(crew).await?;
    for (name, agent) in &mut settings.agents {
        let profile = crew.config.agents.get(name);
        let kind = profile.map(|profile| agent::credentials(profile, &crew.env).kind);
        agent.apart_ms = (kind == Some(CredentialKind::Login)).then_some(APART_MS);
    }
    settings.containment = Containment {
        processes: crew.keeper.tier(),
        sandbox: crew.confinement.tier(),
    };
    Ok(Input::RunBegins {
        run: crew.run.clone(),
        settings: Box::new(settings),
        target: crew.target.clone(),
        ground,
        lost,
        gone,
    })
}

struct Session<'a> {
    engine: Engine,
    hands: Hands,
    lookout: Lookout,
    machine: Machine,
    /// When the machine is looked at next.
    machine_due: Instant,
    wakeful: Wakeful,
    notifier: Option<Notifier>,
    crew: Rc<Crew>,
    signals: Signals,
    messages: UnboundedReceiver<Message>,
    voice: Voice<'a>,
    clock: Clock,
}

impl Session<'_> {
    /// Whoever asked for something that does not apply any more was told that it is taken.
    fn tell_of_vain(&mut self, wishes: &[Command], records: &[Record]) {
        for wish in wishes {
            if !records.iter().any(|record| wish.is_done_by(&record.event)) {
                let (command, slug) = wish.typed();
                self.voice.warn(&format!(
                    "`harness {command} {slug}` did nothing: it does not apply to where {slug} stands now"
                ));
            }
        }
    }

    async fn go(&mut self, begins: Input) -> Result<Outcome, DriverError> {
        let mut batch = self.engine.resume(&mut self.hands);
        batch.push(begins.into());
        loop {
            let look = self.lookout.look(self.engine.state());
            for warning in &look.warnings {
                self.voice.warn(warning);
            }
            batch.extend(look.inputs.into_iter().map(Observation::from));
            // First of all: what the rest leads to bears the time.
            let news = self.clock.news(self.engine.state());
            batch.splice(0..0, news.into_iter().map(Observation::from));
            let now = self.clock.now();
            let records = self
                .engine
                .turn(&mut self.hands, std::mem::take(&mut batch), now)?;
            remove(&look.consumed);
            self.hands.keep(self.engine.state());
            tamper::heed(&self.crew.place.repo, self.engine.state(), &records);
            for record in &records {
                self.hear(record);
            }
            self.tell_of_vain(&look.wishes, &records);
            self.notify(&records, now);
            self.show(now);
            let code = self.engine.state().exit_code();
            if let Some(code) = code.filter(|_| self.engine.is_idle()) {
                self.last_words().await;
                fault::past(Point::RunEnd);
                let state = self.engine.state();
                return Ok(Outcome {
                    code,
                    view: view(state, state.wall_time(now)),
                    report: None,
                });
            }
            batch = self.wait().await?;
        }
    }

    /// Writes the report of a run, and tells where it is not to be had.
    fn write_report(&mut self, run: &RunId) -> Option<PathBuf> {
        let crew = &self.crew;
        match reports::write(&crew.place, &crew.config, run, &crew.secrets) {
            Ok(path) => path,
            Err(error) => {
                let text = format!("the report of run {run} could not be written: {error}");
                self.voice.warn(&text);
                None
            }
        }
    }

    fn show(&mut self, now: Stamp) {
        let heard = self.crew.heard.borrow();
        let state = self.engine.state();
        let now = state.wall_time(now);
        self.voice.audience.glance(state, now, &heard);
    }

    fn hear(&mut self, record: &Record) {
        if let Event::IterationEnded { slug, .. } = &record.event {
            self.crew.heard.borrow_mut().remove(slug);
        }
        if !self.voice.is_news(&record.event) {
            return;
        }
        let at = self.engine.state().wall_time(record.at);
        if let Some(line) = report::line(record, at, &self.voice.zone) {
            self.voice.log(&line, report::is_passing(&record.event));
        }
    }

    fn notify(&mut self, records: &[Record], now: Stamp) {
        let Some(notifier) = &mut self.notifier else {
            return;
        };
        let told = notifier.hear(records, self.engine.state(), now);
        for notice in told.iter().filter(|_| self.crew.config.notify.terminal) {
            self.voice.audience.ring(&notice.line());
        }
    }

    /// The run cannot go on, and whoever is to be told of its end is told so. What is under way ends meanwhile.
    async fn break_off(&mut self, why: &str) {
        let Some(notifier) = &self.notifier else {
            return;
        };
        self.hands.stop_all();
        let now = self.engine.state().wall_time(self.clock.now());
        let told = notifier.break_off(why, now);
        if let Some(notice) = told.filter(|_| self.crew.config.notify.terminal) {
            self.voice.audience.ring(&notice.line());
        }
        self.last_words().await;
    }

    /// Who is to be told of the end is, unless somebody who is there does not wait for that.
    async fn last_words(&mut self) {
        let Some(notifier) = self.notifier.take() else {
            return;
        };
        tokio::select! {
            untold = notifier.finish() => if untold > 0 {
                let text = format!("there was no time to tell {untold} of what was to be told; the next run tells what is still so");
                self.voice.warn(&text);
            },
            () = self.signals.impatience() => {}
        }
        while let Ok(message) = self.messages.try_recv() {
            if let Message::Warning(text) = message {
                self.voice.warn(&text);
            }
        }
    }

    /// Waits until there is something to turn about, and collects all of it. With every look at the machine it is
    /// asked anew how long: a sleep that began before the machine slept says nothing about the time after it.
    async fn wait(&mut self) -> Result<Vec<Observation>, DriverError> {
        let redraw = self.voice.audience.redraw_every();
        loop {
            let now = self.clock.now();
            let wake = wake_at(self.engine.state(), now).map(|at| at.since_ms(now));
            let mut batch = Vec::new();
            tokio::select! {
                message = self.messages.recv() => {
                    self.take(message, &mut batch)?;
                    while let Ok(message) = self.messages.try_recv() {
                        self.take(Some(message), &mut batch)?;
                    }
                    if !batch.is_empty() {
                        return Ok(batch);
                    }
                }
                level = self.signals.next() => return Ok(vec![Input::Stop(level).into()]),
                changed = self.lookout.watch.changed() => {
                    self.lookout.expect(changed);
                    return Ok(batch);
                }
                () = tokio::time::sleep_until(self.machine_due.into()) => {
                    self.machine_due = Instant::now() + LOOK_EVERY;
                    self.crew.builds.settle();
                    if let Some(told) = self.wakeful.look() {
                        self.voice.warn(&told);
                    }
                    let finding = self.machine.judge(machine::look(&self.crew));
                    if let Some(why) = finding.emergency {
                        self.make_room(&why);
                    }
                    batch.extend(finding.input.map(Observation::from));
                    // News of the clock are taken in by the turn.
                    if !batch.is_empty() || self.clock.has_news(self.engine.state()) {
                        return Ok(batch);
                    }
                }
                () = sleep_ms(wake) => return Ok(vec![Input::Tick.into()]),
                () = pause(redraw) => self.show(now),
            }
        }
    }

    /// On a disk that is all but full everything fails; ending one feature's iteration saves the others.
    /// Who has written little is not to blame, and ending it would not help.
    fn make_room(&mut self, why: &str) {
        let least = self.crew.config.worktrees.min_free / 8;
        if let Some(who) = self.hands.end_largest_writer(least, why) {
            self.voice
                .warn(&format!("{why}: {who} wrote most and is ended"));
        }
    }

    fn take(
        &mut self,
        message: Option<Message>,
        batch: &mut Vec<Observation>,
    ) -> Result<(), DriverError> {
        match message {
            Some(Message::Seen(seen)) => batch.push(*seen),
            Some(Message::Warning(text)) => self.voice.warn(&text),
            Some(Message::Fatal(why)) => {
                return Err(DriverError::Broken(why));
            }
            None => {}
        }
        Ok(())
    }
}

async fn sleep_ms(ms: Option<u64>) {
    match ms {
        Some(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
        None => std::future::pending().await,
    }
}

async fn pause(duration: Option<Duration>) {
    match duration {
        Some(duration) => tokio::time::sleep(duration).await,
        None => std::future::pending().await,
    }
}

/// The run log and the audience.
struct Voice<'a> {
    audience: &'a mut dyn Audience,
    run_log: File,
    zone: TimeZone,
    secrets: Secrets,
    /// What keeps the target from being moved, as it was told last.
    in_the_way: Option<String>,
}

impl Voice<'_> {
    /// Whether it says something new: the target is tried again and again while the same is in the way.
    fn is_news(&mut self, event: &Event) -> bool {
        match event {
            Event::PublishWaits { why, .. } => {
                self.in_the_way.replace(why.clone()).as_ref() != Some(why)
            }
            Event::Published { .. } => {
                self.in_the_way = None;
                true
            }
            _ => true,
        }
    }

    fn say(&mut self, line: &str) {
        self.log(line, false);
    }

    fn log(&mut self, line: &str, is_passing: bool) {
        // A full disk must not stop a run that can still work; the journal has the facts.
        let line = escaped_lines(&self.secrets.hide(line));
        let text = format!("{line}\n");
        let _ = fault::write(Point::RunLogWrite, &mut self.run_log, text.as_bytes());
        match is_passing {
            true => self.audience.mention(&line),
            false => self.audience.say(&line),
        }
    }

    fn warn(&mut self, text: &str) {
        // Lines of a text must not be taken for lines of the log.
        let text = text.lines().collect::<Vec<_>>().join("\n          ");
        let time = wall_time(&self.zone);
        self.say(&format!("{}  warning: {text}", time.strftime("%H:%M:%S")));
    }
}

fn wall_time(zone: &TimeZone) -> jiff::ZonedDateTime {
    let ms = i64::try_from(wall_clock().0).unwrap_or(i64::MAX);
    let time = jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::MAX);
    time.to_zoned_datetime(zone.clone())
}

fn new_run_id() -> RunId {
    let now = wall_time(&TimeZone::system());
    // Two runs within a second differ by process and fraction.
    let salt = std::process::id() ^ now.subsec_nanosecond().unsigned_abs();
    RunId(format!(
        "{}-{:04x}",
        now.strftime("%Y%m%d-%H%M%S"),
        salt & 0xffff
    ))
}
