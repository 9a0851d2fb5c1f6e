//! Nothing outlives what it was started for, whatever it does to get away: hostile scripts against the
//! supervisor, which is the real binary.
//!
//! Who is left is asked of the kernel, not of the scripts: every process whose working directory is the
//! script's. Nothing here may signal anything but its own parent.
#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says what it cannot test"
)]

mod support;

use harness::model::Ending;
use harness::process::{Builds, Job, Keeper, Limits, Secrets, Stream, run};
use std::future::pending;
use std::time::Duration;
use support::{Site, working_in};
use tokio::sync::mpsc::unbounded_channel;

/// Name, and a script that is done with getting away when it says `ready`. `$0` is the shell.
const ESCAPES: &[(&str, &str)] = &[
    (
        "a daemon in a session of its own, with a clean environment, deaf to TERM",
        "mkfifo up; env -i PATH=$PATH setsid sh -c 'trap \"\" TERM HUP; echo >up; sleep 1000' &
         read _ <up; echo ready",
    ),
    (
        "a double fork",
        "mkfifo up; (env -i PATH=$PATH setsid sh -c 'echo >up; sleep 1000' &) ; read _ <up; echo ready",
    ),
    (
        "twenty daemons, each the child of another",
        "mkfifo up; cat >nest.sh <<'EOF'
[ $1 = 0 ] && { echo >up; exec sleep 1000; }
setsid sh nest.sh $(($1 - 1)) & wait
EOF
         env -i PATH=$PATH setsid sh nest.sh 20 & read _ <up; echo ready",
    ),
    (
        "one that hops from process to process, each in a session of its own",
        "cat >hop.sh <<'EOF'
[ -e hop.sh ] || exit
setsid sh hop.sh &
EOF
         env -i PATH=$PATH sh hop.sh; echo ready",
    ),
    ("a child that is left behind", "sleep 1000 & echo ready"),
    ("a frozen child", "sleep 1000 & kill -STOP $!; echo ready"),
];

/// Scripts after which the supervisor is of no use.
const SABOTAGE: &[(&str, &str)] = &[
    (
        "it kills its supervisor",
        "mkfifo up; (env -i PATH=$PATH setsid sh -c 'echo >up; sleep 1000' &); read _ <up
         echo ready; kill -9 $PPID; sleep 1000",
    ),
    (
        "it stops its supervisor",
        "sleep 1000 & kill -STOP $PPID; echo ready; sleep 1000",
    ),
];

struct Bench {
    dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        // What is orphaned here would otherwise go to init, out of sight.
        nix::sys::prctl::set_child_subreaper(true).unwrap();
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn job(&self, script: &str, keeper: Keeper) -> Job {
        Job {
            program: "sh".into(),
            args: vec!["-c".into(), script.into()],
            cwd: self.dir.path().to_owned(),
            env: [("PATH".into(), std::env::var_os("PATH").unwrap())].into(),
            stdin: Vec::new(),
            output: self.dir.path().join("output.log"),
            output_cap: 1 << 20,
            timeout: Duration::from_secs(120),
            idle_timeout: None,
            grace: Duration::from_millis(200),
            token: String::new(),
            keeper,
            limits: Limits::default(),
            sandbox: None,
            builds: Builds::default(),
            secrets: Secrets::default(),
        }
    }
}

fn supervisor() -> Keeper {
    Keeper::Supervisor {
        program: env!("CARGO_BIN_EXE_harness").into(),
        cgroup: None,
    }
}

/// Every way of keeping processes that this system has, the supervisor alone first.
fn keepers() -> Vec<Keeper> {
    let mut keepers = vec![supervisor()];
    // Tells the library that there is a supervisor, which for a test is another program.
    assert_eq!(harness::process::supervise(std::iter::empty()), None);
    match Keeper::find() {
        Keeper::Supervisor {
            cgroup: Some(parent),
            ..
        } => keepers.push(Keeper::Supervisor {
            program: env!("CARGO_BIN_EXE_harness").into(),
            cgroup: Some(parent),
        }),
        _ => eprintln!("SKIPPED with control groups: none can be made here"),
    }
    keepers
}

/// Every script with every keeper.
fn each(
    scripts: impl Iterator<Item = &'static (&'static str, &'static str)> + Clone,
) -> impl Iterator<Item = (&'static str, &'static str, Keeper)> {
    keepers().into_iter().flat_map(move |keeper| {
        let scripts = scripts.clone();
        scripts.map(move |(name, script)| (*name, *script, keeper.clone()))
    })
}

fn on_runtime<T>(future: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap().block_on(future)
}

/// What to call with every line, and what stops the job when one is `ready`.
fn readiness() -> (impl FnMut(Stream, &str), impl Future<Output = Ending>) {
    let (tell, mut told) = unbounded_channel();
    let on_line = move |_: Stream, line: &str| {
        if line == "ready" {
            // Whoever does not listen any more knows.
            let _ = tell.send(());
        }
    };
    (on_line, async move {
        told.recv().await;
        Ending::Stopped
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

/// A site where `good` is done at once, and the agent of `bad` is a hostile script.
fn neighbours(script: &str) -> Site {
    let site = Site::new();
    site.spec("good", "");
    site.spec("bad", "agent: hostile");
    site.script("good", "write good.txt ok\ndone it is there\n");
    let script = script.replace("echo ready", ": >ready; exec >&- 2>&-");
    site.write("hostile.sh", &script);
    site.config(
        "  hostile:\n    kind: command\n    command: [sh, hostile.sh]\nrun:\n  parallel: 2\n  grace: 100ms\n  \
         max_iterations_per_feature: 1\n  iteration_timeout: 60s",
    );
    site.commit("specs");
    site
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
    for (name, script) in ESCAPES {
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
