//! The hostile scripts by the hundred: nothing is left after timeouts, after `kill -9` of harness, and no
//! feature's misbehaviour changes what becomes of another. `scripts/escapes` does the long version, prints the
//! tables, and sets the variables:
//!
//! `HARNESS_ESCAPES_TIMEOUTS=n` and `HARNESS_ESCAPES_KILLS=n` say how often. `HARNESS_ESCAPES_CAGED=1` says that
//! this is a process namespace of its own with a limit to its processes, where also storms may be let loose.
//! `HARNESS_ESCAPES_SLOWEST_MS=n` fails if anything took longer to end than its grace and n.
#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test that cannot go on must stop, and says what it cannot test"
)]

#[path = "support/hostile.rs"]
mod hostile;
mod support;

use harness::model::Ending;
use harness::process::{Job, Keeper, Limits, run};
use hostile::{Bench, ESCAPES, HERD, SABOTAGE, STORMS, keepers, on_runtime, readiness, working_in};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::{Duration, Instant};
use support::Site;
use tokio::task::LocalSet;

/// Jobs at once in one process.
const JOBS: usize = 8;
const GRACE: Duration = Duration::from_millis(200);
/// How long a storm blows.
const STORM: Duration = Duration::from_millis(500);
/// Who is not ready by then is stopped in the middle of getting ready.
const LONGEST_MS: u64 = 400;

/// A number from the environment.
fn asked(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |text| text.parse().unwrap())
}

fn is_caged() -> bool {
    asked("HARNESS_ESCAPES_CAGED", 0) == 1
}

/// One line of the table.
#[derive(Default)]
struct Row {
    runs: u64,
    left: usize,
    slowest: Duration,
}

type Table = BTreeMap<(usize, &'static str, &'static str), Row>;

fn print(title: &str, table: &Table) {
    println!(
        "\n{:<97}{:<22}{:>6}{:>6}{:>12}",
        title, "tier", "runs", "left", "slowest end"
    );
    for ((_, name, tier), row) in table {
        let slowest = row.slowest.as_millis();
        println!(
            "{name:<97}{tier:<22}{:>6}{:>6}{slowest:>9} ms",
            row.runs, row.left
        );
    }
    let slack = Duration::from_millis(asked("HARNESS_ESCAPES_SLOWEST_MS", 0));
    let late = table.values().any(|row| row.slowest > GRACE + slack);
    assert!(slack.is_zero() || !late, "something took too long to end");
    assert!(table.values().all(|row| row.left == 0), "something is left");
}

fn tier(keeper: &Keeper) -> &'static str {
    match keeper {
        Keeper::Groups => "groups",
        Keeper::Supervisor { cgroup: None, .. } => "supervisor",
        Keeper::Supervisor { .. } => "and control group",
    }
}

/// Processes of this namespace and descriptors of this process: what must not become more by running jobs. `None`
/// where others start and open things at the same time. Control groups are shared with the whole machine.
fn litter() -> Option<(BTreeSet<String>, usize)> {
    let names = |dir: &str| -> BTreeSet<String> {
        let entries = std::fs::read_dir(dir).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect()
    };
    is_caged().then(|| {
        let mut processes = names("/proc");
        processes.retain(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
        (processes, names("/proc/self/fd").len())
    })
}

/// One script until it is stopped: when it is ready, or a while after it was started.
async fn stopped(
    script: &str,
    keeper: Keeper,
    limits: Limits,
    after: Option<Duration>,
) -> (usize, Duration) {
    let bench = Bench::new();
    let (on_line, ready) = readiness();
    let began = Cell::new(None);
    let stop = async {
        match after {
            Some(after) => tokio::time::sleep(after).await,
            None => drop(ready.await),
        }
        began.set(Some(Instant::now()));
        Ending::TimedOut
    };
    let job = Job {
        grace: GRACE,
        limits,
        ..bench.job(
            &format!("{script}; trap '' TERM; sleep 1000; sleep 1000"),
            keeper,
        )
    };
    let finished = run(job, stop, on_line).await;
    // Of who was not stopped but ended for what it used, the beginning of the end is not known.
    let took = began.get().map_or(Duration::ZERO, |began| began.elapsed());
    let ended = matches!(
        finished.ending,
        // Whose supervisor is dead is dead with it; who forks too much is ended for that.
        Ending::TimedOut | Ending::Signalled { signal: 9 } | Ending::OverLimit { .. }
    );
    assert!(ended, "{script}: {:?}", finished.ending);
    let left = working_in(bench.dir.path());
    if !left.is_empty() {
        eprintln!("LEFT {left:?} of {script}");
    }
    (left.len(), took)
}

/// So many runs of each script with each keeper, several at once.
fn stop_all(
    scripts: &[(&'static str, &'static str)],
    keepers: &[Keeper],
    limits: Limits,
    times: u64,
    (jobs, least): (usize, Duration),
) -> Table {
    let mut todo = Vec::new();
    for (number, (name, script)) in scripts.iter().enumerate() {
        for keeper in keepers {
            todo.extend((0..times).map(|time| (number, *name, *script, keeper.clone(), time)));
        }
    }
    // One script beside another rather than beside itself.
    todo.sort_by_key(|(.., time)| std::cmp::Reverse(*time));
    let todo = Rc::new(RefCell::new(todo));
    let table = Rc::new(RefCell::new(Table::new()));
    on_runtime(async {
        let local = LocalSet::new();
        let workers = (0..jobs).map(|_| {
            let (todo, table) = (Rc::clone(&todo), Rc::clone(&table));
            local.spawn_local(async move {
                loop {
                    let next = todo.borrow_mut().pop();
                    let Some((number, name, script, keeper, time)) = next else {
                        return;
                    };
                    // Every other one in the middle of something.
                    let moment = Duration::from_millis(time * 37 % LONGEST_MS);
                    let after = (time % 2 == 1 || !least.is_zero()).then_some(least + moment);
                    let tier = tier(&keeper);
                    let (left, took) = stopped(script, keeper, limits, after).await;
                    let mut table = table.borrow_mut();
                    let row = table.entry((number, name, tier)).or_default();
                    row.runs += 1;
                    row.left += left;
                    row.slowest = row.slowest.max(took);
                }
            })
        });
        let workers: Vec<_> = workers.collect();
        local
            .run_until(async {
                for worker in workers {
                    worker.await.unwrap();
                }
            })
            .await;
    });
    table.take()
}

#[test]
fn nothing_is_left_after_timeouts() {
    let times = asked("HARNESS_ESCAPES_TIMEOUTS", 4);
    let mut scripts: Vec<_> = ESCAPES.iter().chain(SABOTAGE).copied().collect();
    if is_caged() {
        scripts.extend(HERD);
    }
    let keepers = keepers();
    let none = Limits::default();
    let at_once = (JOBS, Duration::ZERO);
    // What the first job leaves for the rest, such as the runtime's own descriptors, is no litter.
    stop_all(&ESCAPES[..1], &keepers, none, 1, at_once);
    let before = litter();
    let table = stop_all(&scripts, &keepers, none, times, at_once);
    print("stopped", &table);
    assert_eq!(litter(), before);
}

#[test]
fn nothing_is_left_after_storms() {
    if !is_caged() {
        eprintln!(
            "SKIPPED fork bombs: not in a process namespace of its own with a limit, see scripts/escapes"
        );
        return;
    }
    let times = asked("HARNESS_ESCAPES_TIMEOUTS", 4);
    let keepers = keepers();
    let none = Limits::default();
    let few = Limits {
        processes: Some(150),
        ..none
    };
    // One at a time: beside a storm nothing can be started.
    let table = stop_all(STORMS, &keepers, few, times.div_ceil(20), (1, STORM));
    print("a storm, 150 processes allowed", &table);
    let table = stop_all(STORMS, &keepers, none, times.div_ceil(20), (1, STORM));
    print("a storm, up to what the namespace holds", &table);
    for (name, script) in STORMS {
        // Where no process can be started an iteration is not begun, or fails, and is not charged; it is done again.
        let last_iteration = |mut seen: (BTreeMap<String, Vec<String>>, usize)| {
            for events in seen.0.values_mut() {
                let last = events
                    .iter()
                    .rposition(|event| event == "iteration_started");
                events.drain(..last.unwrap_or(0));
            }
            seen
        };
        let seen = last_iteration(beside(script, "processes: 100"));
        assert_eq!(seen, last_iteration(beside("echo ready", "")), "{name}");
        println!("beside {name:<90} two others landed as ever");
    }
}

/// What a feature uses up, and the setting that stops it.
const GREED: &[(&str, &str, &str)] = &[
    ("it prints without end", "output: 1MiB", "yes & echo ready"),
    (
        "it takes all the memory it may",
        "memory: 64MiB",
        "(x=$(head -c 300000000 /dev/zero | tr '\\0' x); sleep 1000) & echo ready",
    ),
    (
        "it starts all the processes it may",
        "processes: 60",
        "(n=0; while [ $n -lt 90 ]; do sleep 1000 & n=$((n + 1)); done; wait) & echo ready",
    ),
    (
        "it fills files up to what they may hold",
        "file_size: 4MiB",
        "for n in 1 2 3 4 5 6 7 8; do head -c 99000000 /dev/zero >.harness/$n; done; echo ready",
    ),
];

/// Two features that get on with their work only once a third is at its worst, which goes on until both have landed.
/// Returns the first two's events, and how many processes are left.
fn beside(script: &str, setting: &str) -> (BTreeMap<String, Vec<String>>, usize) {
    let site = Site::new();
    let ready = site.path("ready");
    let goods = ["good-a", "good-b"];
    for good in goods {
        site.spec(good, "");
        let text = format!(
            "wait-for {ready:?}\nwrite {good}.txt ok\nnote it is written\ndone it is there\n"
        );
        site.script(good, &text);
    }
    site.spec("bad", "agent: hostile");
    let script = script.replace("echo ready", &format!(": >{ready:?}; exec >&- 2>&-"));
    let landed = goods.map(|good| site.repo.join(format!("{good}.txt")));
    let [a, b] = &landed;
    site.write(
        "hostile.sh",
        &format!("{script}\nuntil [ -f {a:?} ] && [ -f {b:?} ]; do sleep 0.1; done\n"),
    );
    site.config(&format!(
        "  hostile:\n    kind: command\n    command: [sh, hostile.sh]\nrun:\n  parallel: 3\n  grace: 200ms\n  \
         max_iterations_per_feature: 1\n  iteration_timeout: 60s\nverify: {{commands: ['test -f hostile.sh']}}\n\
         resources: {{{setting}}}"
    ));
    site.commit("specs");
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(1), "{script}: {}{}", ran.out, ran.err);
    let mut events: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for event in site.journal() {
        if let Some(slug) = event["slug"].as_str().filter(|slug| goods.contains(slug)) {
            let name = event["event"].as_str().unwrap().to_owned();
            events.entry(slug.to_owned()).or_default().push(name);
        }
    }
    (events, working_in(&site.path("")).len())
}

#[test]
fn a_hostile_feature_changes_the_outcome_of_no_other() {
    let all = asked("HARNESS_ESCAPES_KILLS", 0) > 0;
    let calm = beside("echo ready", "");
    let of = |scripts: &'static [(&str, &str)]| {
        scripts.iter().map(|(name, script)| (*name, *script, ""))
    };
    let mut scripts: Vec<(&str, &str, &str)> = GREED
        .iter()
        .map(|(name, setting, script)| (*name, *script, *setting))
        .collect();
    if all {
        scripts.extend(of(ESCAPES).chain(of(SABOTAGE)));
    }
    if all && is_caged() {
        scripts.extend(of(HERD));
    }
    for (name, script, setting) in scripts {
        let seen = beside(script, setting);
        assert_eq!(seen, calm, "{name}");
        println!(
            "beside {name:<90} two others landed as ever, {} processes left",
            seen.1
        );
    }
}

/// Features of one run that are at it when harness is killed. Who has killed its supervisor is ended by harness,
/// and by nobody if harness is killed in that moment: such scripts are not here.
const AT_ONCE: usize = 4;

/// Starts harness on some hostile features and kills it, so many times.
fn kill_harness(scripts: &[(&str, &str)], times: u64) -> Row {
    let site = Site::new();
    let mut agents = String::new();
    for (number, (_, script)) in scripts.iter().enumerate() {
        site.spec(&format!("f{number}"), &format!("agent: hostile{number}"));
        let ready = site.path(&format!("ready{number}"));
        let script = script.replace("echo ready", &format!(": >{ready:?}; exec >&- 2>&-"));
        // What the iteration before left in the worktree is in the way.
        let script = format!("rm -f up *.sh; {script}; trap '' TERM; sleep 1000; sleep 1000");
        std::fs::write(site.path(&format!("hostile{number}")), script).unwrap();
        agents += &format!(
            "  hostile{number}:\n    kind: command\n    command: [sh, {:?}]\n",
            site.path(&format!("hostile{number}"))
        );
    }
    site.config(&format!(
        "{agents}run:\n  parallel: {AT_ONCE}\n  grace: 200ms\n  max_iterations: 1000000\n  max_iterations_per_feature: 1000000"
    ));
    site.commit("specs");
    let all_ready =
        || (0..scripts.len()).all(|number| site.path(&format!("ready{number}")).exists());
    let mut row = Row::default();
    for time in 0..times {
        for number in 0..scripts.len() {
            let _ = std::fs::remove_file(site.path(&format!("ready{number}")));
        }
        let mut harness = site.start(&["run"]);
        // Every other time before they are ready.
        if time % 2 == 0 {
            site.await_that("all agents are ready", all_ready);
        } else {
            std::thread::sleep(Duration::from_millis(200 + time * 97 % 800));
        }
        harness.kill().unwrap();
        let began = Instant::now();
        harness.wait().unwrap();
        let mut left = working_in(&site.path(""));
        while !left.is_empty() && began.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(5));
            left = working_in(&site.path(""));
        }
        row.runs += 1;
        row.left += left.len();
        row.slowest = row.slowest.max(began.elapsed());
    }
    row
}

#[test]
fn nothing_is_left_when_harness_is_killed() {
    let kills = asked("HARNESS_ESCAPES_KILLS", 4);
    if kills > 4 {
        // Else the supervisors that a killed harness leaves become our own dead, by the hundred. Another test
        // needs to be a subreaper, but the long version runs one after the other.
        nix::sys::prctl::set_child_subreaper(false).unwrap();
    }
    let scripts: Vec<_> = ESCAPES.iter().chain(&SABOTAGE[1..2]).copied().collect();
    let groups: Vec<_> = scripts.chunks(AT_ONCE).collect();
    let each = kills.div_ceil(u64::try_from(groups.len()).unwrap());
    let rows: Vec<Row> = std::thread::scope(|scope| {
        let running: Vec<_> = groups
            .iter()
            .map(|group| scope.spawn(|| kill_harness(group, each)))
            .collect();
        running
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    let names = [
        "harness killed over the first four scripts",
        "over the next four",
        "over the rest",
    ];
    let table = rows.into_iter().enumerate();
    let table = table.map(|(number, row)| ((number, names[number], "best there is"), row));
    print("harness killed", &table.collect());
}
