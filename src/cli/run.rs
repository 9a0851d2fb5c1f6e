//! `harness run`.

use super::apart::{Leaving, detach};
use super::args::RunArgs;
use super::{Desk, desk::Failure, out, plan, rehearse, terminal};
use crate::config::Notices;
use crate::core::{State, view};
use crate::driver::{self, Audience, Outcome, Ready, preflight};
use crate::model::{Problem, Slug, Stamp, escaped_lines};
use crate::report::{self, Bars, Glance, Heard};
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::runtime::Builder;
use tokio::task::LocalSet;

/// How often the picture is redrawn.
const REDRAW: Duration = Duration::from_millis(250);

pub(super) fn run(desk: &Desk, args: RunArgs) -> Result<u8, Failure> {
    let (detaches, apart) = (args.detach, args.apart);
    let (rehearses, probes) = (args.rehearse, !args.no_probe);
    let flags = args.flags();
    let place = desk.place()?;
    // What only shows a plan has nothing that could go on by itself. What is wrong is said by the process that is begun.
    let only_plans = || {
        desk.load(&place, flags.clone())
            .is_ok_and(|loaded| loaded.config.dry_run)
    };
    if detaches && !only_plans() {
        return detach(desk);
    }
    let leaving = match apart {
        true => Some(Leaving::new(&place)?),
        false => None,
    };
    let config = desk.config(&place, flags)?;
    // It lands nothing either, and was asked for now.
    if rehearses {
        return rehearse::rehearse(desk, &place, config, probes);
    }
    if config.dry_run {
        return plan::dry_run(desk, &place, &config);
    }
    let ready = preflight(place, config, desk.env.clone())?;
    super::desk::show(&ready.survey.warnings, desk.colour);
    if is_mute(&ready.config.notify, leaving.is_some()) {
        let text =
            "nobody is told anything: `notify.terminal` is the only way, and there is no terminal";
        let problem = Problem::warning(text).help("name a `notify.command` or `notify.webhook`");
        super::desk::show(&[problem], desk.colour);
    }
    let state_dir = ready.place.state_dir.clone();
    let outcome = match leaving {
        Some(mut leaving) => conduct(ready, &mut leaving)?,
        None => play(desk, ready)?,
    };
    show_end(desk, &outcome, &state_dir);
    Ok(outcome.code)
}

/// Whether a person wants to be told on a terminal alone, and this run has none.
fn is_mute(notices: &Notices, leaves: bool) -> bool {
    let another = notices.command.is_some() || notices.webhook.is_some() || notices.desktop;
    let has_terminal = !leaves && std::io::stderr().is_terminal();
    notices.terminal && !notices.on.is_empty() && !another && !has_terminal
}

/// The end of a run in a few lines, and where there is more to read.
pub(super) fn show_end(desk: &Desk, outcome: &Outcome, state_dir: &Path) {
    let text = escaped_lines(&report::summary(&outcome.view, state_dir));
    let named = ["run.log", "iterations"].map(|name| state_dir.join(name));
    let text = named
        .iter()
        .fold(text, |text, file| terminal::linked(&desk.env, text, file));
    out::exact(&format!("\n{text}"));
    if let Some(path) = &outcome.report {
        let text = escaped_lines(&format!("report: {}\n", path.display()));
        out::exact(&terminal::linked(&desk.env, text, path));
    }
}

/// Runs a checked backlog on this thread, with a live picture on a terminal and lines elsewhere.
pub(super) fn play(desk: &Desk, ready: Ready) -> Result<Outcome, Failure> {
    let mut crowd = Crowd {
        desk,
        bars: Bars::new(),
        drawn: None,
    };
    let outcome = conduct(ready, &mut crowd);
    crowd.bars.finish();
    outcome
}

fn conduct(ready: Ready, audience: &mut dyn Audience) -> Result<Outcome, Failure> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::from(anyhow::Error::new(error).context("no runtime")))?;
    let outcome = runtime.block_on(LocalSet::new().run_until(driver::run(ready, audience)));
    // Blocking git work that was still under way when the run broke off must not hold the exit.
    runtime.shutdown_timeout(Duration::from_secs(10));
    Ok(outcome?)
}

/// People at a terminal, or a log file.
struct Crowd<'a> {
    desk: &'a Desk,
    bars: Bars,
    drawn: Option<Instant>,
}

impl Audience for Crowd<'_> {
    fn say(&mut self, line: &str) {
        self.bars.say(line);
    }

    fn mention(&mut self, line: &str) {
        // On a terminal the picture shows it.
        if self.bars.is_hidden() {
            self.bars.say(line);
        }
    }

    fn glance(&mut self, state: &State, now: Stamp, heard: &BTreeMap<Slug, Heard>) {
        let fresh = self.drawn.is_some_and(|drawn| drawn.elapsed() < REDRAW);
        if self.bars.is_hidden() || fresh {
            return;
        }
        self.drawn = Some(Instant::now());
        let view = view(state, now);
        let glance = Glance {
            view: &view,
            now,
            live: Some("this run".to_owned()),
            heard,
        };
        let terminal = terminal::drawn_on(&self.desk.env, self.desk.colour);
        self.bars.show(&glance, terminal);
    }

    fn ring(&mut self, text: &str) {
        self.bars.ring(text);
    }

    fn redraw_every(&self) -> Option<Duration> {
        (!self.bars.is_hidden()).then_some(REDRAW)
    }
}
