//! The loop of `harness ui`: waits for keys, signals and time, looks, and draws where something has changed.
//!
//! Never decides what is shown, nor what a key means. It ends on a key, a signal, or when the terminal is gone; the run goes on.

use super::super::desk::Failure;
use super::super::{Desk, out};
use super::eyes::{Eyes, trouble};
use super::hands;
use super::pages::{self, Origin, Question};
use crate::driver::{Place, continued, suspend};
use crate::model::Slug;
use crate::ui::{self, Event, Intent, Page, Pane, Screen, Terminal, Theme, Wanted};
use std::io;
use std::time::{Duration, Instant};
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{MissedTickBehavior, interval, timeout};

/// Pause between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(250);
/// How long the shell is given to stop this program.
const STOPPED: Duration = Duration::from_millis(200);
/// Pause between two looks at what a feature has changed.
const DIFF_AGAIN: Duration = Duration::from_secs(2);
/// What is made again and again may take this part of the time, at most.
pub(super) const SHARE: u32 = 20;

pub(super) fn show(desk: &Desk, place: &Place) -> Result<u8, Failure> {
    let mut eyes = Eyes::new(desk, place);
    // What is wrong already is told as every command tells it.
    eyes.look(true)?;
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(anyhow::Error::new)?;
    let ended = runtime.block_on(async {
        let mut stage = Stage::new(desk, place, eyes)?;
        match stage.play().await {
            // Nobody is left to be told.
            Err(_) if out::is_gone() => Ok(0),
            ended => ended.map(|()| 0).map_err(|error| {
                anyhow::Error::new(error)
                    .context("the screen could not be drawn any more; the run is not concerned")
                    .into()
            }),
        }
    });
    // Whoever still reads what has changed is not waited for.
    runtime.shutdown_background();
    ended
}

/// A difference that was made, for whom, and how long that took.
type Made = (Wanted, Page, Duration);

struct Stage<'a> {
    place: &'a Place,
    eyes: Eyes<'a>,
    screen: Screen,
    terminal: Terminal,
    keys: UnboundedReceiver<Event>,
    made: (UnboundedSender<Made>, UnboundedReceiver<Made>),
    diff: Diff,
    /// What the text in sight was made of, when, and what that took.
    text: Option<(Origin, Instant, Duration)>,
    ends: [Signal; 3],
    goes_on: Signal,
}

/// Differences take long: one at a time.
#[derive(Default)]
struct Diff {
    /// Whether one is being made.
    busy: bool,
    /// Of which feature the last one was, when it was made, and what that took.
    last: Option<(Slug, Instant, Duration)>,
}

impl<'a> Stage<'a> {
    fn new(desk: &Desk, place: &'a Place, eyes: Eyes<'a>) -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(anyhow::Error::new);
        // Before the terminal is taken: from then on it must be given back.
        let ends = [
            listen(SignalKind::interrupt())?,
            listen(SignalKind::terminate())?,
            listen(SignalKind::hangup())?,
        ];
        let goes_on = listen(continued())?;
        let terminal = Terminal::enter(desk.colour).map_err(anyhow::Error::new)?;
        let (told, keys) = unbounded_channel();
        ui::listen(move |event| told.send(event).is_ok());
        Ok(Self {
            place,
            eyes,
            screen: Screen::new(Theme {
                colour: desk.colour,
            }),
            terminal,
            keys,
            made: unbounded_channel(),
            diff: Diff::default(),
            text: None,
            ends,
            goes_on,
        })
    }

    /// # Errors
    /// When the terminal cannot be drawn on any more.
    async fn play(&mut self) -> io::Result<()> {
        let mut clock = interval(LOOK_AGAIN);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.screen.know(self.eyes.facts());
        loop {
            self.turn_pages();
            while self.screen.is_stale() {
                self.terminal.draw(&mut self.screen)?;
                // Whether there is room for a text is known only now.
                self.turn_pages();
            }
            let [interrupt, terminate, hangup] = &mut self.ends;
            tokio::select! {
                event = self.keys.recv() => {
                    let mut next = event;
                    // All that has come already, before anything is drawn: resizing sends hundreds.
                    while let Some(event) = next {
                        if self.take(event).await? {
                            return Ok(());
                        }
                        next = self.keys.try_recv().ok();
                    }
                }
                made = self.made.1.recv() => {
                    if let Some((wanted, page, took)) = made {
                        self.diff.busy = false;
                        self.diff.last = wanted.slug.clone().map(|slug| (slug, Instant::now(), took));
                        self.screen.show(&wanted, page);
                    }
                }
                _ = clock.tick() => {
                    if out::is_gone() {
                        return Ok(());
                    }
                    if Terminal::is_lost() {
                        return Err(io::Error::other("a part of this program panicked"));
                    }
                    self.look(false);
                }
                _ = self.goes_on.recv() => self.again()?,
                _ = interrupt.recv() => return Ok(()),
                _ = terminate.recv() => return Ok(()),
                _ = hangup.recv() => return Ok(()),
            }
        }
    }

    fn look(&mut self, anew: bool) {
        match self.eyes.look(anew) {
            Ok(is_other) => {
                self.screen.doubt(self.eyes.trouble());
                if is_other {
                    self.screen.know(self.eyes.facts());
                }
            }
            Err(failure) => self.screen.doubt(Some(trouble(&failure))),
        }
    }

    /// Whether a person is done with it.
    async fn take(&mut self, event: Event) -> io::Result<bool> {
        let key = match event {
            Event::Gone => return Ok(true),
            Event::Resized => {
                self.screen.spoil();
                return Ok(false);
            }
            Event::Key(key) => key,
        };
        match self.screen.press(&key) {
            None => {}
            Some(Intent::Leave) => return Ok(true),
            Some(Intent::Suspend) => {
                self.terminal.leave();
                suspend();
                // Until it goes on; where it was not stopped, at once.
                let _ = timeout(STOPPED, self.goes_on.recv()).await;
                self.again()?;
            }
            Some(Intent::LookAgain) => {
                self.diff.last = None;
                self.look(true);
                self.again()?;
            }
            Some(Intent::MayI(verb)) => {
                self.look(false);
                hands::may(&self.eyes, self.place, verb, &mut self.screen);
            }
            Some(Intent::Do(verb)) => {
                hands::act(&mut self.eyes, self.place, verb, &mut self.screen);
                self.look(true);
            }
        }
        Ok(false)
    }

    fn again(&mut self) -> std::io::Result<()> {
        self.screen.spoil();
        self.terminal.take()
    }

    /// Sees that the text in sight is the one that is wanted, as it is now.
    fn turn_pages(&mut self) {
        let Some(wanted) = self.screen.wanted() else {
            return;
        };
        if wanted.pane == Pane::Diff {
            self.ask_for_diff(wanted);
            return;
        }
        let origin = Origin::of(&self.eyes, self.place, &wanted);
        if let Some((last, at, took)) = &self.text
            && last.is_of(&wanted)
            && !self.screen.is_blank()
        {
            // Who reads further up in a log is left in peace.
            let rests = wanted.pane == Pane::Log && !self.screen.follows();
            if rests || *last == origin || at.elapsed() < *took * SHARE {
                return;
            }
        }
        let begun = Instant::now();
        if let Some(page) = pages::page(&self.eyes, self.place, &wanted) {
            self.screen.show(&wanted, page);
        }
        self.text = Some((origin, Instant::now(), begun.elapsed()));
    }

    fn ask_for_diff(&mut self, wanted: Wanted) {
        let Some(slug) = wanted.slug.clone() else {
            self.screen
                .show(&wanted, pages::said("no feature is selected"));
            return;
        };
        let is_due = match &self.diff.last {
            _ if self.screen.is_blank() => true,
            Some((of, at, took)) if *of == slug => at.elapsed() > DIFF_AGAIN.max(*took * SHARE),
            _ => true,
        };
        if self.diff.busy || !is_due {
            return;
        }
        let Some(question) = Question::new(&self.eyes, self.place, &slug) else {
            self.screen.show(&wanted, pages::said("nothing yet"));
            return;
        };
        self.diff.busy = true;
        let told = self.made.0.clone();
        tokio::task::spawn_blocking(move || {
            let begun = Instant::now();
            let page = question.answer();
            // Nobody waits for it any more, if nobody hears it.
            let _ = told.send((wanted, page, begun.elapsed()));
        });
    }
}
