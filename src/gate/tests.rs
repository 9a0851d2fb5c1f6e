//! The room against real commands.

use super::*;
use std::future::{pending, ready};
use tempfile::TempDir;

fn checks(dir: &TempDir, commands: &[&str]) -> Checks {
    Checks {
        commands: commands.iter().map(|&command| command.into()).collect(),
        cwd: dir.path().to_owned(),
        env: [
            ("PATH".into(), std::env::var_os("PATH").unwrap()),
            ("SEEN".into(), "yes".into()),
        ]
        .into(),
        timeout: Duration::from_secs(60),
        grace: Duration::from_secs(5),
        log: dir.path().join("records/gate.log"),
        token: format!("gate-{}", dir.path().display()),
        keeper: crate::process::Keeper::Groups,
        limits: crate::process::Limits::default(),
        sandbox: None,
        builds: crate::process::Builds::default(),
        secrets: crate::process::Secrets::default(),
    }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

#[test]
fn green_when_every_command_passes_with_one_log() {
    let dir = tempfile::tempdir().unwrap();
    let checks = checks(&dir, &["printf one", "echo two >&2; test \"$SEEN\" = yes"]);
    let log = checks.log.clone();
    assert!(matches!(
        run(verify(checks, pending())),
        Verdict::Green { .. }
    ));
    assert_eq!(
        fs::read_to_string(&log).unwrap(),
        "$ printf one\none\n[exit 0]\n$ echo two >&2; test \"$SEEN\" = yes\ntwo\n[exit 0]\n"
    );
    assert!(!log.with_extension("log.part").exists());
}

#[test]
fn no_commands_are_green() {
    let dir = tempfile::tempdir().unwrap();
    let verdict = run(verify(checks(&dir, &[]), ready(())));
    assert_eq!(verdict, Verdict::Green { gate_ms: 0 });
}

#[test]
fn the_first_red_ends_it_and_is_told_with_its_tail() {
    let dir = tempfile::tempdir().unwrap();
    let commands = [
        "true",
        "printf '\\033[31mboom\\033[0m\\n'; exit 3",
        "touch ran",
    ];
    let verdict = run(verify(checks(&dir, &commands), pending()));
    let Verdict::Red { command, tail, .. } = verdict else {
        panic!("{verdict:?}");
    };
    assert_eq!(Some(command.as_str()), commands.get(1).copied());
    assert_eq!(tail, "boom\n[exit 3]");
    assert!(!dir.path().join("ran").exists());
}

#[test]
fn a_command_that_kills_itself_is_red() {
    let dir = tempfile::tempdir().unwrap();
    let verdict = run(verify(checks(&dir, &["kill -9 $$"]), pending()));
    assert!(matches!(verdict, Verdict::Red { tail, .. } if tail == "[ended by signal 9]"));
}

#[test]
fn a_command_out_of_time_is_red_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let mut checks = checks(&dir, &["echo begun; exec sleep 1000"]);
    checks.timeout = Duration::from_millis(200);
    let verdict = run(verify(checks, pending()));
    assert!(matches!(verdict, Verdict::Red { tail, .. }
        if tail.contains("time limit is 0.2 s")));
}

#[test]
fn a_stop_ends_the_running_command_and_starts_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let commands = ["exec sleep 1000", "touch ran"];
    let verdict = run(verify(checks(&dir, &commands), ready(())));
    assert_eq!(verdict, Verdict::Stopped);
    assert!(!dir.path().join("ran").exists());
}

#[test]
fn a_command_that_replaces_the_log_by_a_pipe_hangs_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let hostile = "cd records; rm -f gate.log*; mkfifo gate.log gate.log.part";
    let checks = checks(&dir, &["true", hostile]);
    let log = checks.log.clone();
    let verdict = run(verify(checks, pending()));
    assert!(matches!(verdict, Verdict::Green { .. }), "{verdict:?}");
    let text = fs::read_to_string(log).unwrap();
    assert!(text.contains("replaced and is lost"), "{text}");
}

#[test]
fn what_cannot_be_run_says_nothing_about_the_tree() {
    let dir = tempfile::tempdir().unwrap();
    let mut checks = checks(&dir, &["true"]);
    checks.cwd = dir.path().join("missing");
    let verdict = run(verify(checks, pending()));
    assert!(matches!(verdict, Verdict::NotStarted { .. }), "{verdict:?}");
}

#[test]
fn setup_gives_the_failing_command_and_its_tail() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(run(setup(checks(&dir, &["true"]), pending())), Ok(()));
    let error = run(setup(checks(&dir, &["echo no network; false"]), pending())).unwrap_err();
    assert_eq!(
        error.to_string(),
        "set-up command `echo no network; false` failed:\nno network\n[exit 1]"
    );
}
