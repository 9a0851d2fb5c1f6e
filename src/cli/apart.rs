//! `harness run --detach`, `harness attach`, `harness stop`: a run and the people who come and go.

use super::args::StopArgs;
use super::status::{LOOK_AGAIN, watch};
use super::{Desk, desk::Failure, out};
use crate::core::State;
use crate::driver::{self, Apart, Audience, Begun, Place};
use crate::journal::Holder;
use crate::model::{Problem, Slug, Stamp, StopLevel};
use crate::report::{self, Heard};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

/// The option of the process that goes on; a person types `--detach`.
const APART: &str = "--apart";
/// What is said where no run lives.
pub(super) const NOTHING_TO_STOP: &str = "no run is under way: there is nothing to stop\n";
/// What is said where it has ended since it was seen.
const JUST_ENDED: &str = "the run has just ended: there is nothing to stop\n";
/// Exit code of who was shown a run that has no end: it was killed, and work is pending.
const PENDING: u8 = 1;

/// Begins the same run in a session of its own, and says so when it has really begun.
pub(super) fn detach(desk: &Desk) -> Result<u8, Failure> {
    let place = desk.place()?;
    let typed = std::env::args_os().skip(1);
    let its_own = |arg: OsString| match arg == "--detach" {
        true => APART.into(),
        false => arg,
    };
    let args: Vec<OsString> = typed.map(its_own).collect();
    match runtime()?.block_on(driver::begin_apart(&args))? {
        Begun::No { code } => Ok(code),
        Begun::Yes { run, pid } => {
            let log = place.run_log();
            out::out(&format!(
                "run {run} goes on by itself (process {pid})\n\
                 harness attach  shows it, and how it ends\n\
                 harness stop    ends it\n\
                 its output: {}\n",
                log.display()
            ));
            Ok(0)
        }
    }
}

/// Whoever began a run that goes on by itself, until it has begun; then nobody. The log has every line anyway.
pub(super) struct Leaving {
    apart: Apart,
    run_log: PathBuf,
}

impl Leaving {
    pub(super) fn new(place: &Place) -> Result<Self, Failure> {
        let run_log = place.run_log();
        let apart = Apart::enter()?;
        Ok(Self { apart, run_log })
    }
}

impl Audience for Leaving {
    fn say(&mut self, line: &str) {
        // What the run tells of its first turn belongs to the run, which is in nobody's hands yet.
        let is_odd = line.contains("  warning: ");
        if is_odd && self.apart.is_heard() {
            out::err(&format!("{line}\n"));
        }
    }

    fn glance(&mut self, state: &State, now: Stamp, _: &BTreeMap<Slug, Heard>) {
        if self.apart.is_heard()
            && let Some(run) = crate::core::view(state, now).run
        {
            self.apart.begun(&run.id, &self.run_log);
        }
    }

    fn redraw_every(&self) -> Option<Duration> {
        None
    }
}

/// Shows a run from outside, to its end.
pub(super) fn attach(desk: &Desk) -> Result<u8, Failure> {
    let place = desk.place()?;
    let Some(seen) = watch(desk, &place, false)? else {
        out::err("the run goes on; `harness attach` shows it again, `harness stop` ends it\n");
        return Ok(0);
    };
    let glance = seen.glance();
    let Some(run) = &glance.view.run else {
        let problem = Problem::error("there is no run to attach to");
        return Err(problem.help("`harness run` begins one").into());
    };
    out::out(&format!(
        "\n{}",
        report::summary(glance.view, &place.state_dir)
    ));
    if run.ended.is_none() {
        out::err("it was killed before its end; `harness run` goes on where it was\n");
    }
    Ok(seen.state.exit_code().unwrap_or(PENDING))
}

/// Asks the living run to stop, and waits until it has.
pub(super) fn stop(desk: &Desk, args: &StopArgs) -> Result<u8, Failure> {
    let place = desk.place()?;
    let Some(holder) = place.run() else {
        out::out(NOTHING_TO_STOP);
        return Ok(0);
    };
    // It only chooses the words: a run is stopped whatever its journal is like.
    let before = place
        .read()
        .map_or_else(|_| State::new(), |read| read.state);
    out::out(&ask_to_stop(&place, &before, &holder, args.now)?);
    if args.no_wait {
        return Ok(0);
    }
    let ended = runtime()?.block_on(ended(&place, &holder));
    if !ended.map_err(anyhow::Error::new)? {
        out::err("the run has not ended yet; it still stops\n");
        return Ok(0);
    }
    // Another one may have begun since.
    let mut runs = driver::runs(&place)?.into_iter();
    let run = runs.find(|run| is_of(&holder, &run.id.0));
    let code = run.map(|run| run.codes.and_then(|codes| codes.first().copied()));
    out::out(&match code {
        None => "it has ended before anything was begun\n".to_owned(),
        Some(Some(code)) => format!(
            "the run has ended with exit code {code}: {}\n",
            report::code_meaning(code)
        ),
        Some(None) => {
            "the run has ended in the middle; `harness run` goes on where it was\n".to_owned()
        }
    });
    Ok(0)
}

/// Asks a living run to stop, and says what comes of it; it may have ended meanwhile.
pub(super) fn ask_to_stop(
    place: &Place,
    state: &State,
    holder: &Holder,
    now: bool,
) -> Result<String, Failure> {
    let view = crate::core::view(state, driver::wall_clock());
    let run = view.run.filter(|run| is_of(holder, &run.id));
    let stopping = run.and_then(|run| run.stop);
    Ok(match driver::stop(place, holder, now)? {
        true => asked(holder, stopping, now),
        false => JUST_ENDED.to_owned(),
    })
}

/// Whether that run is the one that the holder of the lock does: it may not have begun yet.
fn is_of(holder: &Holder, run: &str) -> bool {
    holder.doing.strip_prefix("run ") == Some(run)
}

fn asked(holder: &Holder, stopping: Option<StopLevel>, now: bool) -> String {
    let who = format!("{} (process {})", holder.doing, holder.pid);
    match (now, stopping) {
        (true, _) => format!("{who} ends what is under way; what agents have changed is kept\n"),
        (false, None) => format!(
            "{who} starts nothing new and ends when what is under way has ended; `harness stop --now` ends that too\n"
        ),
        (false, Some(_)) => format!("{who} is stopping already; `harness stop --now` hurries it\n"),
    }
}

/// Waits until nobody, or somebody else, holds the lock; `false`: the person does not wait.
async fn ended(place: &Place, holder: &Holder) -> std::io::Result<bool> {
    // All the time: the first listener takes the default action away for good.
    let mut interrupt = signal(SignalKind::interrupt())?;
    while place.holder().as_ref() == Some(holder) {
        tokio::select! {
            _ = interrupt.recv() => return Ok(false),
            () = tokio::time::sleep(LOOK_AGAIN / 3) => {}
        }
    }
    Ok(true)
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let runtime = Builder::new_current_thread().enable_all().build();
    Ok(runtime.map_err(anyhow::Error::new)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_a_run_to_stop_that_has_just_ended_is_told_so() {
        let dir = tempfile::tempdir().unwrap();
        let mut git = std::process::Command::new("git");
        git.args(["init", "-q"]).current_dir(dir.path());
        assert!(git.status().unwrap().success());
        let place = Place::find(dir.path()).unwrap();
        // A process of that number lives, and began at another time.
        let holder = Holder {
            start_time: Some(u64::MAX),
            ..Place::this_process("run 1")
        };
        for now in [true, false] {
            let told = ask_to_stop(&place, &State::new(), &holder, now).unwrap();
            assert_eq!(told, JUST_ENDED);
        }
    }
}
