//! Nothing outlives what it was started for, whatever it does to get away: hostile scripts against the
//! supervisor, which is the real binary. `tests/escapes.rs` does the same by the hundred.
#![cfg(target_os = "linux")]

#[path = "support/hostile.rs"]
mod hostile;
mod support;

use harness::model::Ending;
use harness::process::{Job, Keeper, Limits, run};
use hostile::{
    Bench, ESCAPES, SABOTAGE, keepers, neighbours, on_runtime, readiness, supervisor, working_in,
};
use std::future::pending;

/// Every script with every keeper.
fn each(
    scripts: impl Iterator<Item = &'static (&'static str, &'static str)> + Clone,
) -> impl Iterator<Item = (&'static str, &'static str, Keeper)> {
    keepers().into_iter().flat_map(move |keeper| {
        let scripts = scripts.clone();
        scripts.map(move |(name, script)| (*name, *script, keeper.clone()))
    })
}

#[test]
fn nothing_is_left_of_what_ends_by_itself() {
    for (name, script, keeper) in each(ESCAPES.iter()) {
        let bench = Bench::new();
        let job = bench.job(script, keeper);
        let finished = on_runtime(run(job, pending(), |_, _| {}));
        assert_eq!(finished.ending, Ending::Exited { code: 0 }, "{name}");
        assert_eq!(working_in(bench.dir.path()), [""; 0], "{name}");
        let left = finished.leftovers;
        assert!(left >= 1 || name.contains("hops"), "{name}: {left}");
    }
}

#[test]
fn nothing_is_left_of_what_is_stopped() {
    for (name, script, keeper) in each(ESCAPES.iter().chain(SABOTAGE)) {
        let bench = Bench::new();
        let (on_line, ready) = readiness();
        let script = format!("{script}; trap '' TERM; sleep 1000; sleep 1000");
        let finished = on_runtime(run(bench.job(&script, keeper), ready, on_line));
        let killed = Ending::Signalled { signal: 9 };
        let ending = finished.ending;
        assert!(
            [Ending::Stopped, killed].contains(&ending),
            "{name}: {ending:?}"
        );
        assert_eq!(working_in(bench.dir.path()), [""; 0], "{name}");
    }
}

#[test]
fn nothing_is_left_of_what_is_dropped() {
    for (name, script, keeper) in each(ESCAPES.iter()) {
        let bench = Bench::new();
        let (on_line, ready) = readiness();
        let script = format!("{script}; sleep 1000");
        on_runtime(async {
            tokio::select! {
                finished = run(bench.job(&script, keeper), pending(), on_line) => panic!("{name}: {finished:?}"),
                _ = ready => {}
            }
        });
        assert_eq!(working_in(bench.dir.path()), [""; 0], "{name}");
    }
}

#[test]
fn a_signal_without_a_name_ends_a_job_like_any_other() {
    for keeper in [Keeper::Groups, supervisor()] {
        let bench = Bench::new();
        let script = "sh -c 'kill -40 $$' & wait; kill -35 $$; sleep 1000";
        let finished = on_runtime(run(bench.job(script, keeper), pending(), |_, _| {}));
        assert_eq!(finished.ending, Ending::Signalled { signal: 35 });
    }
}

#[test]
fn what_cannot_start_is_said_by_the_supervisor_too() {
    let bench = Bench::new();
    let script = bench.dir.path().join("broken");
    std::fs::write(&script, "#!/nowhere/interpreter\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&script, mode).unwrap();
    let job = Job {
        program: script.into(),
        args: Vec::new(),
        ..bench.job("", supervisor())
    };
    let finished = on_runtime(run(job, pending(), |_, _| {}));
    let Ending::NotStarted { why } = finished.ending else {
        panic!("{:?}", finished.ending);
    };
    assert!(
        why.starts_with("cannot start ") && why.contains("No such file"),
        "{why}"
    );
}

#[test]
fn a_hostile_feature_changes_nothing_for_its_neighbour() {
    for (name, script) in ESCAPES.iter().chain(&SABOTAGE[..1]) {
        let site = neighbours(script);
        let ran = site.harness(&["run"]);
        assert_eq!(ran.code, Some(1), "{name}: {}{}", ran.out, ran.err);
        assert_eq!(site.landed(), ["good"], "{name}");
        assert_eq!(working_in(&site.path("")), [""; 0], "{name}");
    }
}

#[test]
fn when_harness_is_killed_nothing_it_started_stays() {
    // Who has killed its supervisor is ended by harness, and by nobody if harness is killed in that moment.
    for (name, script) in ESCAPES.iter().chain(&SABOTAGE[1..2]) {
        let site = neighbours(&format!("{script}; sleep 1000"));
        let mut harness = site.start(&["run"]);
        let pool = site.path("the repo.harness");
        let ready = ["w1/ready", "w2/ready"].map(|file| pool.join(file));
        site.await_that(name, || ready.iter().any(|file| file.exists()));
        // The supervisors see it die; nobody else is told.
        harness.kill().unwrap();
        harness.wait().unwrap();
        site.await_that(name, || working_in(&site.path("")).is_empty());
    }
}

#[test]
fn who_uses_more_than_it_may_is_stopped_and_told() {
    let mib = 1 << 20;
    let memory = Limits {
        memory: Some(32 * mib),
        ..Limits::default()
    };
    let processes = Limits {
        processes: Some(20),
        ..Limits::default()
    };
    let table = [
        (
            memory,
            "x=$(head -c 100000000 /dev/zero | tr '\\0' x); sleep 1000",
            "memory: ",
        ),
        (
            processes,
            "n=0; while [ $n -lt 30 ]; do sleep 1000 & n=$((n + 1)); done; wait",
            "processes: 31, 20 allowed",
        ),
    ];
    for (limits, script, said) in table {
        let bench = Bench::new();
        let job = Job {
            limits,
            ..bench.job(script, supervisor())
        };
        let finished = on_runtime(run(job, pending(), |_, _| {}));
        let Ending::OverLimit { what } = &finished.ending else {
            panic!("{script}: {:?}", finished.ending);
        };
        assert!(what.starts_with(said), "{what}");
        assert_eq!(working_in(bench.dir.path()), [""; 0], "{script}");
    }
}

#[test]
fn the_kernel_holds_each_process_to_its_limits() {
    for keeper in [Keeper::Groups, supervisor()] {
        let bench = Bench::new();
        let job = Job {
            limits: Limits {
                open_files: Some(77),
                file_size: Some(1 << 20),
                ..Limits::default()
            },
            ..bench.job(
                "ulimit -n; ulimit -c; head -c 2000000 /dev/zero >big; echo $(wc -c <big)",
                keeper,
            )
        };
        let finished = on_runtime(run(job, pending(), |_, _| {}));
        assert_eq!(finished.ending, Ending::Exited { code: 0 });
        let log = std::fs::read_to_string(bench.dir.path().join("output.log")).unwrap();
        let numbers: Vec<&str> = log
            .lines()
            .filter(|line| line.bytes().all(|byte| byte.is_ascii_digit()))
            .collect();
        assert_eq!(numbers, ["77", "0", "1048576"], "{log}");
    }
}
