//! `harness status`: works while a run lives, after it was killed, and from inside a worktree.

use super::args::StatusArgs;
use super::desk::{Failure, show};
use super::logs::open_log;
use super::{Desk, out, plan, terminal};
use crate::agent;
use crate::config::{Flags, Kind};
use crate::core::{State, View, view};
use crate::driver::{Place, Reading, Watch, forgotten, survey, wall_clock};
use crate::learnings::Memory;
use crate::model::{Problem, Slug, Stamp, escaped_lines};
use crate::report::{self, Bars, Glance, Heard, PlainNews};
use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Pause between two looks of `--watch`.
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(300);
/// How much of an agent's output is read for its last words, where there is more than is read whole.
const TAIL_BYTES: u64 = 1 << 16;
/// Longer output of agents is not read whole for what they have used: a look must stay short.
const WHOLE_BYTES: u64 = 1 << 20;

pub(super) fn status(desk: &Desk, args: &StatusArgs) -> Result<u8, Failure> {
    let place = desk.place()?;
    let plain = args.plain || !out::is_terminal();
    if args.watch {
        if let Some(seen) = watch(desk, &place, plain)?
            && !plain
        {
            out::exact(&page(desk, &place, &seen));
        }
        return Ok(0);
    }
    let forgotten: Vec<Problem> = forgotten(&place)?.into_iter().collect();
    show(&forgotten, desk.colour);
    let seen = look(desk, &place)?;
    let glance = seen.glance();
    if args.json {
        out::json(&report::status_json(&glance))?;
        return Ok(0);
    }
    if plain {
        out::out(&report::status_plain(&glance));
    } else {
        out::exact(&page(desk, &place, &seen));
    }
    Ok(0)
}

/// The page for a terminal: names of features lead to what their agent prints, or to their logs, and when no run lives the
/// last one's report is named.
fn page(desk: &Desk, place: &Place, seen: &Seen) -> String {
    let text = report::status(&seen.glance(), out::columns(), desk.colour);
    let running = seen.state.running().into_iter();
    let running: BTreeMap<Slug, u32> = running.map(|one| (one.slug, one.iteration)).collect();
    let mut text = terminal::rows_linked(&desk.env, text, |name| {
        let slug = Slug::new(name).ok()?;
        let file = match running.get(&slug) {
            Some(n) => place.records(&slug, *n).join("output.log"),
            None => place.state_dir.join(format!("{slug}.log")),
        };
        file.is_file().then_some(file)
    });
    let last = place.reports().join("latest.html");
    if seen.live.is_none() && last.is_file() {
        let line = escaped_lines(&format!("\nreport: {}\n", last.display()));
        text.push_str(&terminal::linked(&desk.env, line, &last));
    }
    text
}

/// One look.
pub(super) struct Seen {
    pub(super) state: State,
    view: View,
    pub(super) now: Stamp,
    live: Option<String>,
    heard: BTreeMap<Slug, Heard>,
    /// What is odd about the configuration, where that was read.
    pub(super) warnings: Vec<Problem>,
}

impl Seen {
    pub(super) fn glance(&self) -> Glance<'_> {
        Glance {
            view: &self.view,
            now: self.now,
            live: self.live.clone(),
            heard: &self.heard,
        }
    }
}

pub(super) fn look(desk: &Desk, place: &Place) -> Result<Seen, Failure> {
    let seen = seen(desk, place, place.read()?)?;
    show(&seen.warnings, desk.colour);
    Ok(seen)
}

pub(super) fn seen(desk: &Desk, place: &Place, reading: Reading) -> Result<Seen, Failure> {
    let now = wall_clock();
    let live = reading
        .live
        .as_ref()
        .map(|holder| format!("process {} on {}", holder.pid, holder.host));
    let (state, warnings) = known(desk, place, reading)?;
    let mut view = view(&state, now);
    let heard = match live {
        Some(_) => all_heard(desk, place, &state, &view),
        None => BTreeMap::new(),
    };
    if reading_is_empty(&view) {
        view.run = None;
    }
    if live.is_none() {
        // The journal knows of the HALT file only what the last run saw.
        let halt = Memory::at(&place.state_dir).halt();
        view.halt = halt.unwrap_or(view.halt);
        for feature in &mut view.features {
            feature.waits.retain(|wait| !wait.is_for_a_run());
        }
    }
    Ok(Seen {
        state,
        view,
        now,
        live,
        heard,
        warnings,
    })
}

/// What the journal knows; where no run lives to look at the specs, with these as they are now.
fn known(desk: &Desk, place: &Place, reading: Reading) -> Result<(State, Vec<Problem>), Failure> {
    let (state, is_live) = (reading.state, reading.live.is_some());
    let is_first = !state.has_run();
    if is_live && !is_first {
        return Ok((state, Vec::new()));
    }
    let specs = || {
        let loaded = desk.load(place, Flags::default())?;
        let survey = survey(place, &loaded.config)?;
        Ok((loaded, survey))
    };
    match specs() {
        // A run that is beginning says itself what is odd or wrong.
        Ok((loaded, survey)) if is_live => {
            Ok((plan::foreseen(place, &loaded.config, &survey)?, Vec::new()))
        }
        Err(_) if is_live => Ok((state, Vec::new())),
        Ok((loaded, survey)) if is_first => {
            let state = plan::foreseen(place, &loaded.config, &survey)?;
            Ok((state, loaded.warnings))
        }
        Ok((_, survey)) => Ok((plan::looked(state, place, &survey), Vec::new())),
        Err(failure) if is_first => Err(failure),
        Err(failure) => {
            let text = format!("the backlog is shown as the last run knew it: {failure}");
            Ok((state, vec![Problem::warning(text)]))
        }
    }
}

/// A run that was only imagined for the plan is none.
fn reading_is_empty(view: &View) -> bool {
    view.run.as_ref().is_some_and(|run| run.id == "plan")
}

/// What running agents are doing and have used, by what they have printed.
fn all_heard(desk: &Desk, place: &Place, state: &State, view: &View) -> BTreeMap<Slug, Heard> {
    let running = state.running();
    if running.is_empty() {
        return BTreeMap::new();
    }
    let loaded = desk.load(place, Flags::default()).ok();
    let kind_of = |slug: &Slug| {
        let feature = view.features.iter().find(|feature| feature.slug == *slug)?;
        let agents = &loaded.as_ref()?.config.agents;
        Some(agents.get(&feature.agent.as_ref()?.profile)?.kind)
    };
    let heard = running.into_iter().filter_map(|running| {
        let slug = running.slug;
        let output = place.records(&slug, running.iteration).join("output.log");
        let (printed, is_whole) = printed(&output)?;
        let (words, used) = match kind_of(&slug) {
            Some(Kind::Command) | None => (last_line(&printed), None),
            Some(kind) => agent::glimpse(kind, &printed),
        };
        let used = used.filter(|_| is_whole);
        let heard = Heard {
            words,
            used,
            output,
        };
        Some((slug, heard))
    });
    heard.collect()
}

fn last_line(text: &str) -> Option<String> {
    let mut lines = text.lines().rev();
    lines
        .find(|line| !line.trim().is_empty())
        .map(str::to_owned)
}

/// A file, or the end of a long one without the line that it begins in; and whether it is all.
fn printed(path: &Path) -> Option<(String, bool)> {
    let (mut file, length) = open_log(path)?;
    let is_whole = length <= WHOLE_BYTES;
    let from = match is_whole {
        true => 0,
        false => length - TAIL_BYTES,
    };
    file.seek(SeekFrom::Start(from)).ok()?;
    let mut bytes = Vec::new();
    file.take(WHOLE_BYTES).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    match text.split_once('\n').filter(|_| !is_whole) {
        Some((_, rest)) => Some((rest.to_owned(), is_whole)),
        None => Some((text, is_whole)),
    }
}

/// Shows the run until it ends, and gives the last look; `None`: a person has seen enough. `plain`: in lines on stdout,
/// whatever could be drawn.
pub(super) fn watch(desk: &Desk, place: &Place, plain: bool) -> Result<Option<Seen>, Failure> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::new)?;
    // From before the first look: who leaves during it is heard, too.
    let mut ends = runtime.block_on(Ends::listen())?;
    let mut bars = Bars::new();
    let plain = plain || bars.is_hidden();
    let mut told = PlainNews::default();
    let mut journal = Watch::of(place);
    loop {
        let (news, live) = journal.look()?;
        if !plain {
            for line in news {
                bars.say(&line);
            }
        }
        let reading = Reading {
            state: journal.state().clone(),
            live,
        };
        let seen = seen(desk, place, reading)?;
        let glance = seen.glance();
        if plain {
            out::out(&told.look(&glance));
        } else {
            bars.show(&glance, terminal::drawn_on(&desk.env, desk.colour));
        }
        if seen.live.is_none() {
            bars.finish();
            show(&seen.warnings, desk.colour);
            return Ok(Some(seen));
        }
        if runtime.block_on(ends.come_within(LOOK_AGAIN)) {
            bars.finish();
            return Ok(None);
        }
    }
}

/// Signals that end a look that goes on: the terminal is to be left clean then. They are listened for all the time, so that none
/// is lost that comes while something else is done.
struct Ends {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Ends {
    async fn listen() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(anyhow::Error::new);
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    async fn come_within(&mut self, pause: Duration) -> bool {
        tokio::select! {
            _ = self.interrupt.recv() => true,
            _ = self.terminate.recv() => true,
            _ = self.hangup.recv() => true,
            () = tokio::time::sleep(pause) => false,
        }
    }
}
