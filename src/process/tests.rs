//! The room against real processes. Synchronisation is by lines the child prints and by exits; the
//! few milliseconds in limits belong to children that would otherwise block for ever.

mod awaited;

use super::*;
use crate::model::Ending;
use std::fs;
use std::future::{pending, ready};
use std::path::Path;
use std::time::Instant;
use tempfile::TempDir;
use tokio::sync::oneshot;

/// Longer than any test, shorter than a forgotten process should live.
const FOREVER: &str = "sleep 1000";

struct Bench {
    dir: TempDir,
}

impl Bench {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn job(&self, script: &str) -> Job {
        let unique = self.dir.path().file_name().unwrap().to_string_lossy();
        Job {
            program: "sh".into(),
            args: vec!["-c".into(), script.into()],
            cwd: self.dir.path().to_owned(),
            env: [("PATH".into(), std::env::var_os("PATH").unwrap())].into(),
            stdin: Vec::new(),
            output: self.path("output.log"),
            needs_output: true,
            output_cap: 1 << 20,
            timeout: Duration::from_secs(120),
            idle_timeout: None,
            grace: Duration::from_secs(60),
            awaits_all: false,
            token: format!("test-{}-{unique}", std::process::id()),
            keeper: Keeper::Groups,
            limits: Limits::default(),
            sandbox: None,
            builds: Builds::default(),
            secrets: Secrets::default(),
        }
    }

    fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.path("output.log")).unwrap()).into_owned()
    }

    fn noted_pid(&self, name: &str) -> u32 {
        read_pid(&self.path(name))
    }
}

fn read_pid(path: &Path) -> u32 {
    fs::read_to_string(path).unwrap().trim().parse().unwrap()
}

fn on_runtime<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(future)
}

fn finish(job: Job) -> Finished {
    on_runtime(run(job, pending(), |_, _| {}))
}

fn finish_with_lines(job: Job) -> (Finished, Vec<(Stream, String)>) {
    let mut lines = Vec::new();
    let finished = on_runtime(run(job, pending(), |stream, line| {
        lines.push((stream, line.to_owned()));
    }));
    (finished, lines)
}

/// Runs the job and stops it once it printed the line `ready`.
fn stop_when_ready(job: Job) -> Finished {
    let (tell, told) = oneshot::channel();
    let mut tell = Some(tell);
    let stop = async { told.await.unwrap() };
    on_runtime(run(job, stop, |_, line| {
        if line == "ready"
            && let Some(tell) = tell.take()
        {
            tell.send(Ending::Stopped).unwrap();
        }
    }))
}

#[test]
fn an_exit_code_is_data() {
    let bench = Bench::new();
    let (finished, lines) = finish_with_lines(bench.job("echo out; echo err >&2; exit 7"));
    assert_eq!(finished.ending, Ending::Exited { code: 7 });
    assert_eq!(finished.output_bytes, 8);
    assert_eq!(finished.output_error, None);
    assert_eq!(finished.leftovers, 0);
    assert!(lines.contains(&(Stream::Out, "out".to_owned())));
    assert!(lines.contains(&(Stream::Err, "err".to_owned())));
    assert_eq!(bench.log().len(), 8);
}

#[test]
fn a_signal_is_told_from_an_exit() {
    let finished = finish(Bench::new().job("kill -9 $$"));
    assert_eq!(finished.ending, Ending::Signalled { signal: 9 });
}

#[test]
fn what_was_printed_last_is_not_lost() {
    let (finished, lines) = finish_with_lines(Bench::new().job("printf 'a\nb'"));
    assert_eq!(finished.ending, Ending::Exited { code: 0 });
    let texts: Vec<_> = lines.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(texts, ["a", "b"]);
}

#[test]
fn time_limit_ends_it() {
    let bench = Bench::new();
    let job = Job {
        timeout: Duration::from_millis(50),
        ..bench.job(FOREVER)
    };
    assert_eq!(finish(job).ending, Ending::TimedOut);
}

#[test]
fn silence_ends_it_and_output_does_not() {
    let bench = Bench::new();
    let job = Job {
        idle_timeout: Some(Duration::from_millis(500)),
        ..bench.job("for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 0.1; done; echo last; sleep 1000")
    };
    let (finished, lines) = finish_with_lines(job);
    assert_eq!(finished.ending, Ending::IdleTimedOut);
    assert_eq!(lines.last().unwrap().1, "last");
}

#[test]
fn stop_lets_it_say_goodbye_and_exit_zero_is_still_a_stop() {
    let bench = Bench::new();
    let farewell = "head -c 300000 /dev/zero | tr '\\0' x; echo; echo bye; exit 0";
    let script = format!("trap \"{farewell}\" TERM; echo ready; while :; do sleep 0.01; done");
    let finished = stop_when_ready(bench.job(&script));
    assert_eq!(finished.ending, Ending::Stopped);
    assert!(bench.log().ends_with("x\nbye\n"));
}

#[test]
fn a_stop_that_is_already_there_works() {
    let finished = on_runtime(run(
        Bench::new().job(FOREVER),
        ready(Ending::Stopped),
        |_, _| {},
    ));
    assert_eq!(finished.ending, Ending::Stopped);
}

#[test]
fn who_ignores_term_is_killed_after_the_grace() {
    let bench = Bench::new();
    let job = Job {
        grace: Duration::from_millis(50),
        ..bench.job("trap '' TERM; echo $$ >pid; echo ready; while :; do sleep 1000; done")
    };
    let finished = stop_when_ready(job);
    assert_eq!(finished.ending, Ending::Stopped);
    assert!(!alive(bench.noted_pid("pid"), None, None));
}

#[test]
fn a_prompt_larger_than_the_pipe_arrives_whole_while_output_flows() {
    let bench = Bench::new();
    let job = Job {
        stdin: vec![b'p'; 1 << 20],
        output_cap: 4 << 20,
        ..bench.job("tee /dev/stderr")
    };
    let finished = finish(job);
    assert_eq!(finished.ending, Ending::Exited { code: 0 });
    assert_eq!(finished.output_bytes, 2 << 20);
}

#[test]
fn a_prompt_nobody_reads_is_no_error() {
    for script in ["exit 3", "exec <&-; exit 3"] {
        let bench = Bench::new();
        let job = Job {
            stdin: vec![b'p'; 1 << 20],
            ..bench.job(script)
        };
        assert_eq!(finish(job).ending, Ending::Exited { code: 3 });
    }
}

#[test]
fn without_a_prompt_stdin_is_at_its_end() {
    let finished = finish(Bench::new().job("cat"));
    assert_eq!(finished.ending, Ending::Exited { code: 0 });
}

#[test]
fn output_beyond_the_cap_is_counted_and_dropped() {
    let bench = Bench::new();
    let job = Job {
        output_cap: 1000,
        ..bench.job("head -c 500000 /dev/zero | tr '\\0' y")
    };
    let finished = finish(job);
    assert_eq!(finished.output_bytes, 500_000);
    let log = bench.log();
    assert_eq!(
        log.len(),
        1000 + "\n[harness: 499000 bytes dropped]\n".len()
    );
    assert!(log.ends_with("y\n[harness: 499000 bytes dropped]\n"));
}

#[test]
fn bytes_that_are_not_text_pass() {
    let bench = Bench::new();
    let (_, lines) = finish_with_lines(bench.job("printf 'a\\377b\\000c\\n'"));
    assert_eq!(lines, [(Stream::Out, "a\u{fffd}b\0c".to_owned())]);
    assert_eq!(fs::read(bench.path("output.log")).unwrap(), b"a\xffb\0c\n");
}

#[test]
fn what_cannot_start_says_why() {
    let bench = Bench::new();
    let why = |job: Job| match finish(job).ending {
        Ending::NotStarted { why } => why,
        other => panic!("{other:?}"),
    };
    let job = || bench.job("true");
    let missing = why(Job {
        program: "no-such-agent".into(),
        ..job()
    });
    assert!(missing.contains("no-such-agent") && missing.contains("PATH="));
    let no_path = why(Job {
        env: BTreeMap::new(),
        ..job()
    });
    assert!(no_path.contains("PATH is not set"), "{no_path}");
    let not_executable = why(Job {
        program: bench.path("output.log").into(),
        ..job()
    });
    assert!(not_executable.contains("no such executable"));
    let no_cwd = why(Job {
        cwd: bench.path("nowhere"),
        ..job()
    });
    assert!(no_cwd.contains("nowhere does not exist"), "{no_cwd}");
    let too_long = why(Job {
        args: vec!["x".repeat(8 << 20).into()],
        ..job()
    });
    assert!(too_long.contains("Argument list too long"), "{too_long}");
    let no_log = why(Job {
        output: bench.path("nowhere/output.log"),
        ..job()
    });
    assert!(no_log.contains("cannot create"), "{no_log}");
}

#[test]
fn nothing_is_inherited_and_the_token_is_there() {
    let bench = Bench::new();
    let mut job = bench.job("/usr/bin/env");
    job.env.insert("GIVEN".into(), "yes".into());
    let token = job.token.clone();
    finish(job);
    let log = bench.log();
    assert!(log.contains("GIVEN=yes\n"));
    assert!(log.contains(&format!("HARNESS_TOKEN={token}\n")));
    assert!(!log.contains("CARGO") && !log.contains("HOME="), "{log}");
}

#[cfg(target_os = "linux")]
mod on_linux {
    use super::*;

    #[test]
    fn it_leads_a_session_of_its_own() {
        let bench = Bench::new();
        finish(bench.job("cat /proc/$$/stat; exit 0"));
        let log = bench.log();
        let fields: Vec<_> = log.split(' ').collect();
        assert_eq!((fields[0], fields[0]), (fields[4], fields[5]));
    }

    #[test]
    fn a_background_child_that_holds_the_pipe_neither_hangs_nor_survives() {
        let bench = Bench::new();
        let begun = Instant::now();
        let finished = finish(bench.job("sleep 1000 & echo $! >pid; echo done"));
        assert_eq!(finished.ending, Ending::Exited { code: 0 });
        assert_eq!(finished.leftovers, 1);
        assert!(!alive(bench.noted_pid("pid"), None, None));
        assert!(begun.elapsed() < Duration::from_secs(60));
        assert_eq!(bench.log(), "done\n");
    }

    #[test]
    fn a_daemon_in_its_own_session_that_ignores_term_is_found_by_its_token() {
        let bench = Bench::new();
        let daemon = "trap \"\" TERM; echo $$ >pid; echo up >fifo; sleep 1000";
        let script = format!("mkfifo fifo; setsid sh -c '{daemon}' & read up <fifo");
        let finished = finish(bench.job(&script));
        assert_eq!(finished.ending, Ending::Exited { code: 0 });
        assert!(finished.leftovers >= 1, "{}", finished.leftovers);
        assert!(!alive(bench.noted_pid("pid"), None, None));
    }

    #[test]
    fn who_keeps_hopping_into_new_sessions_is_caught() {
        let bench = Bench::new();
        // Ends by itself once the directory is gone.
        let hop = "[ -e hop.sh ] || exit\nsetsid sh hop.sh &\n";
        fs::write(bench.path("hop.sh"), hop).unwrap();
        let job = bench.job("sh hop.sh; exit 0");
        let token = job.token.clone();
        assert_eq!(finish(job).ending, Ending::Exited { code: 0 });
        assert_eq!(sweep(&token), 0);
    }

    #[test]
    fn who_drops_the_token_but_stays_in_the_session_is_found_too() {
        let bench = Bench::new();
        let script = "set -m; env -i sleep 1000 & echo $! >pid";
        let finished = finish(bench.job(script));
        assert_eq!(finished.leftovers, 1);
        assert!(!alive(bench.noted_pid("pid"), None, None));
    }

    #[test]
    fn sweep_kills_carriers_of_the_token_and_nobody_else() {
        let token = format!("sweep-{}", std::process::id());
        let spawn = |token: &str| {
            std::process::Command::new("sleep")
                .arg("1000")
                .env(TOKEN_VARIABLE, token)
                .spawn()
                .unwrap()
        };
        let mut mine = [spawn(&token), spawn(&token)];
        let mut other = spawn(&format!("{token}0"));
        assert_eq!(sweep(&token), 2);
        for child in &mut mine {
            assert_eq!(child.wait().unwrap().code(), None);
        }
        assert_eq!(other.try_wait().unwrap(), None);
        other.kill().unwrap();
        other.wait().unwrap();
        assert_eq!(sweep(&token), 0);
    }

    /// Polls the run until it printed `ready`, then hands the unfinished future over.
    async fn until_ready(job: Job) -> std::pin::Pin<Box<dyn Future<Output = Finished> + Send>> {
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        let mut future = Box::pin(run(job, pending(), move |_, line| {
            if line == "ready" {
                tell.send(()).unwrap();
            }
        }));
        tokio::select! {
            finished = &mut future => panic!("{finished:?}"),
            _ = told.recv() => future,
        }
    }

    #[test]
    fn dropping_the_future_kills_the_tree() {
        let bench = Bench::new();
        let held = bench.path("held");
        nix::unistd::mkfifo(&held, nix::sys::stat::Mode::S_IRWXU).unwrap();
        // Reads until the last process that holds the FIFO is dead.
        let all_dead = std::thread::spawn(move || fs::read_to_string(held).unwrap());
        let job = bench.job(
            "exec 9>held; echo leader >&9; (echo member >&9; sleep 1000) & mkfifo fifo
             setsid sh -c 'echo daemon >&9; echo up >fifo; sleep 1000' &
             read up <fifo; echo ready; wait",
        );
        on_runtime(async { drop(until_ready(job).await) });
        let said = all_dead.join().unwrap();
        assert!(said.contains("leader") && said.contains("daemon"), "{said}");
    }

    #[test]
    fn the_child_dies_with_the_thread_that_runs_it() {
        let bench = Bench::new();
        let job = bench.job("echo $$ >pid; echo ready; exec sleep 1000");
        std::thread::spawn(move || {
            on_runtime(async { std::mem::forget(until_ready(job).await) });
        })
        .join()
        .unwrap();
        let pid = i32::try_from(bench.noted_pid("pid")).unwrap();
        let ended = nix::sys::wait::waitpid(nix::unistd::Pid::from_raw(pid), None);
        assert!(
            matches!(
                ended,
                Ok(nix::sys::wait::WaitStatus::Signaled(
                    _,
                    nix::sys::signal::Signal::SIGKILL,
                    _
                ))
            ),
            "{ended:?}"
        );
    }
}

#[test]
fn who_prints_without_end_starves_nobody() {
    let bench = Bench::new();
    let job = bench.job("exec yes");
    let seen = std::rc::Rc::new(std::cell::Cell::new(0_usize));
    let most = std::rc::Rc::clone(&seen);
    // Gets its turn again and again while the job prints, and stops it in the end.
    let stop = async move {
        let (mut turns, mut before, mut longest) = (0, 0, 0);
        while turns < 50 {
            tokio::task::yield_now().await;
            let now = most.get();
            turns += usize::from(now > before);
            longest = longest.max(now - before);
            before = now;
        }
        longest
    };
    let (tell, told) = oneshot::channel();
    on_runtime(async {
        let local = tokio::task::LocalSet::new();
        local.spawn_local(async move { tell.send(stop.await) });
        let stopped = async {
            let longest = told.await.unwrap();
            assert!(longest <= 1 << 20, "{longest} bytes between two turns");
            Ending::Stopped
        };
        let running = run(job, stopped, |_, line| {
            seen.set(seen.get() + line.len() + 1);
        });
        assert_eq!(local.run_until(running).await.ending, Ending::Stopped);
    });
}

#[test]
fn fifty_at_once_end_with_their_own_results() {
    let benches: Vec<_> = (0..50).map(|_| Bench::new()).collect();
    let check = |number: i32| {
        let job = Job {
            stdin: number.to_string().into_bytes(),
            ..benches[usize::try_from(number).unwrap()].job(&format!("cat; exit {number}"))
        };
        async move {
            let mut text = String::new();
            let finished = run(job, pending(), |_, line| text.push_str(line)).await;
            assert_eq!(finished.ending, Ending::Exited { code: number });
            assert_eq!(text, number.to_string());
        }
    };
    on_runtime(async {
        let local = tokio::task::LocalSet::new();
        let tasks: Vec<_> = (0..50)
            .map(|number| local.spawn_local(check(number)))
            .collect();
        local
            .run_until(async {
                for task in tasks {
                    task.await.unwrap();
                }
            })
            .await;
    });
}
