//! What supervision costs: `scripts/bench containment`. Not a test: it has no verdict.
//!
//! The same command, started by bare spawning and as a job with each keeper and sandbox there is, in turns, so that whatever
//! else the machine does hits all alike. The processor time is that of this process and of its children, which
//! includes the supervisors.
#![cfg(target_os = "linux")]
#![expect(clippy::print_stdout, reason = "it prints a table")]

use harness::model::Ending;
use harness::process::sandbox::{find_bwrap, find_landlock};
use harness::process::{Backend, Builds, Job, Keeper, Limits, Policy, Sandbox, Secrets, run};
use nix::sys::resource::{UsageWho, getrusage};
use std::future::pending;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};

/// Rounds, and jobs of each kind in a round.
const ROUNDS: usize = 15;
const JOBS: u32 = 20;

/// What one job took in a round.
#[derive(Clone, Copy)]
struct Cost {
    wall: Duration,
    cpu: Duration,
}

fn cpu() -> Duration {
    let of = |who| getrusage(who).unwrap_or_else(|error| panic!("getrusage: {error}"));
    let part = |time: nix::sys::time::TimeVal| {
        let micros = time.tv_sec() * 1_000_000 + time.tv_usec();
        Duration::from_micros(u64::try_from(micros).unwrap_or(0))
    };
    [UsageWho::RUSAGE_SELF, UsageWho::RUSAGE_CHILDREN]
        .map(of)
        .iter()
        .map(|usage| part(usage.user_time()) + part(usage.system_time()))
        .sum()
}

fn cost(mut work: impl FnMut()) -> Cost {
    let (began, before) = (Instant::now(), cpu());
    for _ in 0..JOBS {
        work();
    }
    Cost {
        wall: began.elapsed() / JOBS,
        cpu: (cpu() - before) / JOBS,
    }
}

fn bare(dir: &Path) {
    let mut command = Command::new("true");
    let status = command
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status();
    assert!(status.is_ok_and(|status| status.success()));
}

/// One kind of containment.
struct Kept {
    keeper: Keeper,
    limits: Limits,
    backend: Option<Backend>,
}

/// As an agent has it: nearly everything read-only, with places to hide.
fn sandbox(dir: &Path, backend: &Backend) -> Sandbox {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let hide = home
        .into_iter()
        .flat_map(|home| [".ssh", ".aws", ".config/gh"].map(|name| home.join(name)));
    Sandbox {
        backend: backend.clone(),
        policy: Policy {
            write: vec![dir.to_owned()],
            hide: hide.collect(),
            cwd: dir.to_owned(),
            network: true,
            ..Policy::default()
        },
    }
}

fn job(dir: &Path, kept: &Kept) -> Job {
    let path = std::env::var_os("PATH").unwrap_or_default();
    Job {
        program: "true".into(),
        args: Vec::new(),
        cwd: dir.to_owned(),
        env: [("PATH".into(), path)].into(),
        stdin: Vec::new(),
        output: dir.join("output.log"),
        needs_output: true,
        output_cap: 1 << 20,
        timeout: Duration::from_secs(60),
        idle_timeout: None,
        grace: Duration::from_secs(1),
        awaits_all: false,
        token: "price".to_owned(),
        keeper: kept.keeper.clone(),
        limits: kept.limits,
        sandbox: kept.backend.as_ref().map(|backend| sandbox(dir, backend)),
        builds: Builds::default(),
        secrets: Secrets::default(),
    }
}

/// The kinds of start, by name; nothing for a bare one.
fn kinds() -> Vec<(&'static str, Option<Kept>)> {
    let supervisor = |cgroup| Keeper::Supervisor {
        program: env!("CARGO_BIN_EXE_harness").into(),
        cgroup,
    };
    let limits = Limits {
        memory: Some(1 << 33),
        processes: Some(2000),
        ..Limits::default()
    };
    let none = Limits::default();
    let kept = |keeper, limits, backend: Option<Backend>| {
        Some(Kept {
            keeper,
            limits,
            backend,
        })
    };
    let mut kinds = vec![
        ("bare spawn", None),
        ("process groups", kept(Keeper::Groups, none, None)),
        ("supervisor", kept(supervisor(None), none, None)),
        ("supervisor, limits", kept(supervisor(None), limits, None)),
    ];
    // Tells the library that there is a supervisor, which for a test is another program.
    assert_eq!(harness::process::supervise(std::iter::empty()), None);
    let found = Keeper::find();
    if let Keeper::Supervisor {
        cgroup: Some(group),
        ..
    } = &found
    {
        let keeper = supervisor(Some(group.clone()));
        kinds.push((
            "supervisor, control group, limits",
            kept(keeper, limits, None),
        ));
    }
    let path = std::env::var_os("PATH");
    for (name, backend) in [
        ("supervisor, limits, landlock", find_landlock(&found)),
        ("supervisor, limits, bwrap", find_bwrap(path.as_deref())),
    ] {
        match backend {
            Ok(backend) => kinds.push((name, kept(supervisor(None), limits, Some(backend)))),
            Err(why) => println!("SKIPPED {name}: {why}"),
        }
    }
    kinds
}

fn once(runtime: &Runtime, dir: &Path, kind: Option<&Kept>) {
    let Some(kept) = kind else {
        return bare(dir);
    };
    let finished = runtime.block_on(run(job(dir, kept), pending(), |_, _| {}));
    assert_eq!(finished.ending, Ending::Exited { code: 0 });
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

#[test]
#[ignore = "a measurement; see scripts/bench"]
fn the_table() {
    let dir = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.unwrap_or_else(|error| panic!("{error}"));
    let kinds = kinds();
    let mut seen: Vec<Vec<Cost>> = vec![Vec::new(); kinds.len()];
    for round in 0..=ROUNDS {
        for (number, (_, kind)) in kinds.iter().enumerate() {
            let cost = cost(|| once(&runtime, dir.path(), kind.as_ref()));
            // The first round warms up.
            if round > 0 {
                seen[number].push(cost);
            }
        }
    }
    println!("medians of {ROUNDS} rounds in turns, {JOBS} jobs each; a job is `true`");
    println!(
        "{:<36}{:>10}{:>10}{:>8}{:>8}{:>14}",
        "", "wall ms", "cpu ms", "wall x", "cpu x", "cpu above ms"
    );
    let medians = seen.iter().map(|costs| {
        let wall = median(costs.iter().map(|cost| cost.wall).collect());
        (wall, median(costs.iter().map(|cost| cost.cpu).collect()))
    });
    let medians: Vec<_> = medians.collect();
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    let base = medians[0];
    for ((name, _), (wall, cpu)) in kinds.iter().zip(&medians) {
        println!(
            "{name:<36}{:>10.2}{:>10.2}{:>8.2}{:>8.2}{:>14.2}",
            ms(*wall),
            ms(*cpu),
            ms(*wall) / ms(base.0),
            ms(*cpu) / ms(base.1),
            ms(*cpu) - ms(base.1),
        );
    }
}
