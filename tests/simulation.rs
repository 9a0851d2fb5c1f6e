//! Seeded simulation of the production turn. A night is a backlog, agents, a repository, people and the faults that
//! its seed draws, in simulated time; nothing sleeps. The same [`Engine`](harness::driver::turn::Engine) that drives
//! real runs is played through lives and deaths until a last run ends, and is judged after every turn.
//!
//! `HARNESS_SIM_SEED=n` plays one night and tells its journal; `HARNESS_SIM_NIGHTS=n` plays so many, from
//! `HARNESS_SIM_FROM`. `scripts/soak nights` plays millions.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

#[path = "simulation/agents.rs"]
mod agents;
#[path = "simulation/audit_accounts.rs"]
mod audit_accounts;
#[path = "simulation/audit_features.rs"]
mod audit_features;
#[path = "simulation/audit_ladder.rs"]
mod audit_ladder;
#[path = "simulation/audit_money.rs"]
mod audit_money;
#[path = "simulation/audit_queue.rs"]
mod audit_queue;
#[path = "simulation/auditor.rs"]
mod auditor;
#[path = "simulation/checkers.rs"]
mod checkers;
#[path = "simulation/dice.rs"]
mod dice;
#[path = "simulation/faults.rs"]
mod faults;
#[path = "simulation/night.rs"]
mod night;
#[path = "simulation/people.rs"]
mod people;
#[path = "simulation/purse.rs"]
mod purse;
#[path = "simulation/repository.rs"]
mod repository;
#[path = "simulation/wishes.rs"]
mod wishes;
#[path = "simulation/world.rs"]
mod world;

use harness::core::view;
use harness::driver::turn::Engine;
use harness::model::{Oid, Slug};
use night::Night;
use std::any::Any;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

fn slug(n: u64) -> Slug {
    Slug::new(format!("f{n:02}")).unwrap()
}

fn slug_number(slug: &Slug) -> u64 {
    slug.as_str()[1..].parse().unwrap()
}

fn oid(n: u64) -> Oid {
    Oid::parse(&format!("{n:040x}")).unwrap()
}

fn number(oid: &Oid) -> u64 {
    u64::from_str_radix(&oid.as_str()[24..], 16).unwrap()
}

/// Nights of the test suite.
const NIGHTS: u64 = 10_000;
/// Records of a journal that a failure shows.
const SHOWN: usize = 60;

/// Plays one night; gives the story of the promise that it broke. A panic of the code under test is told as any other.
fn play(seed: u64) -> Result<Night, String> {
    tried(seed, Night::new(seed), Night::play)
}

fn tried(seed: u64, mut night: Night, play: impl Fn(&mut Night)) -> Result<Night, String> {
    let outcome = catch_unwind(AssertUnwindSafe(|| play(&mut night)));
    match outcome {
        Ok(()) => Ok(night),
        Err(panic) => Err(story(seed, &night, panic.as_ref())),
    }
}

fn story(seed: u64, night: &Night, panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let why = text
        .or(panic.downcast_ref::<&str>().copied())
        .unwrap_or("a panic");
    let mut out = format!("seed {seed}: {why}\n");
    let sim = &night.sim;
    let _ = writeln!(out, "faults: {}", sim.faults);
    let _ = writeln!(out, "{:?}", sim.settings);
    let journal = &sim.disk.journal;
    let from = match std::env::var_os("HARNESS_SIM_SEED") {
        Some(_) => 0,
        None => journal.len().saturating_sub(SHOWN),
    };
    for (n, record) in journal.iter().enumerate().skip(from) {
        if night.lives.contains(&n) {
            let _ = writeln!(out, "-- a life begins");
        }
        let _ = writeln!(out, "{} {:?} {:?}", record.seq, record.at, record.event);
    }
    let state = Engine::replay(journal);
    for feature in view(state.state(), sim.now).features {
        let (slug, stage, waits) = (&feature.slug, feature.stage, &feature.waits);
        let _ = writeln!(out, "{slug} {stage:?} {waits:?} {:?}", feature.detail);
    }
    let _ = writeln!(out, "at {:?}, under way: {:?}", sim.now, sim.tasks.keys());
    let _ = write!(
        out,
        "again: HARNESS_SIM_SEED={seed} cargo test --test simulation nights"
    );
    out
}

/// Plays nights on all processors; gives the story of the first that fails.
#[expect(clippy::print_stdout, reason = "millions of nights take a while")]
fn play_all(from: u64, count: u64) -> Option<String> {
    let (next, failed) = (AtomicU64::new(from), Mutex::new(None::<(u64, String)>));
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= from + count || failed.lock().unwrap().is_some() {
                return;
            }
            if let Err(story) = play(seed) {
                let mut failed = failed.lock().unwrap();
                if failed.as_ref().is_none_or(|(other, _)| seed < *other) {
                    *failed = Some((seed, story));
                }
            }
            if (seed + 1 - from).is_multiple_of(100_000) {
                println!("{} nights", seed + 1 - from);
            }
        }
    };
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(work);
        }
    });
    failed.into_inner().unwrap().map(|(_, story)| story)
}

#[test]
fn nights_keep_every_promise() {
    let from_env = |name| std::env::var(name).ok().map(|n| n.parse::<u64>().unwrap());
    if let Some(seed) = from_env("HARNESS_SIM_SEED") {
        match play(seed) {
            Ok(night) => println!("{} records", night.sim.disk.journal.len()),
            Err(story) => panic!("{story}"),
        }
        return;
    }
    let from = from_env("HARNESS_SIM_FROM").unwrap_or(0);
    let count = from_env("HARNESS_SIM_NIGHTS").unwrap_or(NIGHTS);
    if let Some(story) = play_all(from, count) {
        panic!("{story}");
    }
}

#[test]
fn a_crash_after_every_single_record_and_again_while_recovering_loses_nothing() {
    const SEED: u64 = 7;
    let length = |deaths: &[usize]| {
        let night = tried(SEED, Night::quiet(SEED), |night| {
            night.play_with_deaths(deaths);
        });
        night.map_or_else(
            |story| panic!("dead at {deaths:?}: {story}"),
            |night| night.sim.disk.journal.len(),
        )
    };
    for n in 0..length(&[]) {
        length(&[n]);
        length(&[n, n + 1 + n % 4]);
    }
}
