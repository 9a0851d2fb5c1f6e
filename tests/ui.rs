//! `harness ui` on a terminal of its own: what it shows, what it has done, and that the terminal and the run are as they were when
//! it is left, however that happens.

#![cfg(all(feature = "fake-agent", feature = "ui", target_os = "linux"))]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

mod support;

use harness::ui::Terminal;
use nix::fcntl::OFlag;
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::stat::Mode;
use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};
use nix::unistd::mkfifo;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use support::{Site, end, signal};

/// `harness ui`, and whoever sits before it.
struct Seat {
    keys: File,
    terminal: File,
    child: Child,
    shown: Arc<Mutex<Vec<u8>>>,
    /// Nobody looks any more.
    leave: Arc<AtomicBool>,
    before: Termios,
}

impl Seat {
    fn take(site: &Site, args: &[&str]) -> Self {
        let mut command = site.program(env!("CARGO_BIN_EXE_harness"));
        command.args(args);
        Self::before(site, command, ["24", "80"])
    }

    fn before(site: &Site, mut command: Command, [rows, columns]: [&str; 2]) -> Self {
        // Not handed on to what other tests start meanwhile: they would hold the terminal.
        let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let master = posix_openpt(flags).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let mut options = std::fs::OpenOptions::new();
        options.read(true).write(true);
        options.custom_flags(OFlag::O_NOCTTY.bits());
        let slave = options.open(ptsname_r(&master).unwrap()).unwrap();
        let mut sized = site.program("stty");
        sized.args(["rows", rows, "cols", columns]);
        assert!(
            sized
                .stdin(slave.try_clone().unwrap())
                .status()
                .unwrap()
                .success()
        );
        let before = tcgetattr(&slave).unwrap();
        let end_of = || Stdio::from(slave.try_clone().unwrap());
        command.env("TERM", "xterm-256color");
        command.stdin(end_of()).stdout(end_of()).stderr(end_of());
        // A group of its own: it stops all of it, when it is to be stopped.
        let child = command.process_group(0).spawn().unwrap();
        let keys = File::from(OwnedFd::from(master));
        let shown = Arc::new(Mutex::new(Vec::new()));
        let leave = Arc::new(AtomicBool::new(false));
        let left = Arc::clone(&leave);
        let (mut screen, seen) = (keys.try_clone().unwrap(), Arc::clone(&shown));
        std::thread::spawn(move || {
            let mut some = [0; 4096];
            while let Ok(length @ 1..) = screen.read(&mut some) {
                if left.load(Ordering::SeqCst) {
                    return;
                }
                seen.lock().unwrap().extend_from_slice(&some[..length]);
            }
        });
        Self {
            keys,
            terminal: slave,
            child,
            shown,
            leave,
            before,
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().unwrap()).into_owned()
    }

    fn await_words(&self, site: &Site, words: &str) {
        site.await_that(words, || self.picture().contains(words));
    }

    /// What a person sees.
    fn picture(&self) -> String {
        let mut rows = vec![vec![' '; 80]; 24];
        let (mut row, mut column) = (0, 0);
        let text = self.text();
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            if c != '\u{1b}' {
                if let Some(cell) = rows.get_mut(row).and_then(|row| row.get_mut(column)) {
                    *cell = c;
                }
                column += 1;
                continue;
            }
            // Whatever follows, it is a sequence that ends with a letter.
            let sequence: String = rest.by_ref().take_while(|c| *c != '[').collect();
            assert_eq!(sequence, "", "{text:?}");
            let mut numbers = String::new();
            let end = rest.by_ref().find(|c| {
                numbers.push(*c);
                c.is_ascii_alphabetic()
            });
            let mut numbers = numbers
                .split([';', 'H'])
                .filter_map(|n| n.parse::<usize>().ok());
            match end {
                Some('H') => {
                    row = numbers.next().unwrap_or(1) - 1;
                    column = numbers.next().unwrap_or(1) - 1;
                }
                Some('J') => rows = vec![vec![' '; 80]; 24],
                _ => {}
            }
        }
        let rows = rows
            .into_iter()
            .map(|row| row.into_iter().collect::<String>() + "\n");
        rows.collect()
    }

    fn await_that_gone(&self, site: &Site, words: &str) {
        site.await_that(words, || !self.picture().contains(words));
    }

    /// Waits for what the terminal is told.
    fn await_told(&self, site: &Site, told: &str) {
        site.await_that(told, || self.text().contains(told));
    }

    fn await_stopped(&self, site: &Site) {
        let stat = format!("/proc/{}/stat", self.child.id());
        site.await_that("it is stopped", || {
            let stat = std::fs::read_to_string(&stat).unwrap_or_default();
            let state = stat.rsplit(')').next();
            state.is_some_and(|rest| rest.starts_with(" T"))
        });
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    fn assert_as_before(&self) {
        assert_eq!(tcgetattr(&self.terminal).unwrap(), self.before);
    }

    /// It has ended by itself: its code; the terminal is as it was.
    fn left(self, site: &Site) -> Option<i32> {
        self.await_told(site, "\u{1b}[?1049l");
        let text = Arc::clone(&self.shown);
        let before = self.before.clone();
        let ran = end(self.child);
        assert_eq!(tcgetattr(&self.terminal).unwrap(), before);
        let text = String::from_utf8_lossy(&text.lock().unwrap()).into_owned();
        assert!(
            text.contains("\u{1b}[?25h"),
            "the cursor is there: {text:?}"
        );
        assert!(text.contains("\u{1b}[?2004l"), "{text:?}");
        ran.code
    }
}

/// A feature that has landed, one that has asked, and one that has failed.
fn morning() -> Site {
    let site = Site::new();
    site.shell_config("run: {max_iterations_per_feature: 1}\nverify: {commands: [\"true\"]}");
    site.shell("lands", "echo a > a\n");
    site.shell(
        "asks",
        "echo 'Which colour, \u{1b}[2Jblue?' > \"$HARNESS_OUTBOX/blocked\"; exit 0\n",
    );
    site.shell("fails", "exit 3\n");
    site.commit("specs");
    site.harness(&["run"]);
    site
}

/// A run whose agent says that it is there, and goes on when it is told.
fn night() -> (Site, Child) {
    let site = Site::new();
    let (here, go) = (site.path("here"), site.path("go"));
    site.shell_config("run: {keep_awake: false}\nverify: {commands: [\"true\"]}");
    let text = format!(
        "echo something > new-file; echo so it goes; touch {here:?}\nwhile [ ! -e {go:?} ]; do sleep 0.02; done\n"
    );
    site.shell("slow", &text);
    site.commit("specs");
    let run = site.start(&["run"]);
    site.await_file(&here);
    (site, run)
}

/// The run was not harmed: it comes to its good end.
fn comes_to_its_end(site: &Site, run: Child) {
    std::fs::write(site.path("go"), "").unwrap();
    let ran = end(run);
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
}

#[test]
fn a_question_is_answered_and_a_failure_tried_again_from_the_screen() {
    let site = morning();
    let mut seat = Seat::take(&site, &["ui"]);
    seat.await_words(&site, "lands");
    seat.await_words(&site, "Which colour");
    assert!(!seat.text().contains("\u{1b}[2Jblue"), "{:?}", seat.text());
    // What is asked for is not there: the command's own words.
    seat.press("/lands\rr");
    seat.await_words(&site, "`lands` is not tripped, failed, parked, blocked");
    seat.press("\u{1b}");
    seat.await_words(&site, "fails");
    seat.press("/asks\ru");
    seat.await_words(&site, "asks asks: ");
    seat.press("blue\r");
    seat.await_words(
        &site,
        "asks is answered and back in the queue; `harness run` works on it",
    );
    seat.press("/\u{15}fails\rr");
    seat.await_words(&site, "retry fails?");
    seat.press("y");
    seat.await_words(&site, "fails is back in the queue");
    seat.press("p");
    seat.await_words(&site, "paused: nothing new is started");
    assert!(site.repo.join(".harness/HALT").exists());
    seat.press("p");
    seat.await_words(&site, "resumed: a living run goes on");
    assert!(!site.repo.join(".harness/HALT").exists());
    seat.press("q");
    assert_eq!(seat.left(&site), Some(0));
    assert!(site.read(".harness/asks.log").contains("blue"));
    let status = site.harness(&["status", "--plain"]).out;
    for slug in ["asks", "fails"] {
        let mut rows = status.lines().map(|row| row.split_whitespace().take(2));
        assert!(rows.any(|row| row.eq([slug, "waiting"])), "{status}");
    }
}

#[test]
fn one_is_approved_and_others_are_left_out_from_the_screen() {
    let (site, run) = night();
    let path = site.path("scripts").join("seen.sh");
    std::fs::write(path, "echo s > s\n").unwrap();
    site.spec("seen", "review: true");
    site.await_journal("\"why\":\"review\"");
    let mut seat = Seat::take(&site, &["ui"]);
    seat.await_words(&site, "so it goes");
    // What waits for no review is not asked about: the command's own words.
    seat.press("/slow\ra");
    seat.await_words(&site, "`slow` does not wait for a review");
    seat.press("/\u{15}seen\ru");
    seat.await_words(&site, "what is to be changed of seen: finished");
    // Alone: with the next key it would be another one.
    seat.press("\u{1b}");
    seat.await_words(&site, "nothing was done");
    seat.press("a");
    let tip = site.git(&["rev-parse", "--short=9", "harness/seen"]);
    seat.await_words(
        &site,
        &format!("let seen land as it stands at {}?", tip.trim()),
    );
    seat.press("y");
    seat.await_words(&site, "seen: the living run takes it");
    site.await_journal("\"event\":\"published\"");
    seat.press("/\u{15}slow\rx");
    seat.await_words(&site, "leave slow out?");
    seat.press("y");
    seat.await_words(&site, "slow: the living run takes it");
    let ran = end(run);
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    assert_eq!(site.landed(), ["seen"]);
    seat.await_words(&site, "left out");
    seat.press("r");
    seat.await_words(&site, "retry slow?");
    seat.press("y");
    seat.await_words(&site, "slow is back in the queue");
    seat.press("q");
    assert_eq!(seat.left(&site), Some(0));
}

#[test]
fn who_stops_a_run_that_has_ended_meanwhile_is_told_that_none_lives() {
    let (site, run) = night();
    let mut seat = Seat::take(&site, &["ui"]);
    seat.await_words(&site, "slow");
    seat.press("S");
    seat.await_words(&site, "stop the run?");
    comes_to_its_end(&site, run);
    seat.press("y");
    seat.await_words(&site, "there is nothing to stop");
    seat.press("q");
    assert_eq!(seat.left(&site), Some(0));
}

#[test]
fn the_texts_are_those_of_the_commands() {
    let (site, run) = night();
    let mut seat = Seat::take(&site, &["ui"]);
    seat.await_words(&site, "so it goes");
    seat.press("2");
    seat.await_words(&site, "new-file (new)");
    seat.await_words(&site, "+something");
    seat.press("3");
    seat.await_words(&site, "[working]");
    seat.press("4");
    seat.await_words(&site, "critical path (*)");
    seat.press("\u{3}");
    assert_eq!(seat.left(&site), Some(0));
    comes_to_its_end(&site, run);
}

#[test]
fn signals_end_it_and_nothing_else() {
    let (site, run) = night();
    for name in ["TERM", "HUP", "INT"] {
        let seat = Seat::take(&site, &["ui"]);
        seat.await_words(&site, "slow");
        assert_ne!(
            tcgetattr(&seat.terminal).unwrap(),
            seat.before,
            "keys come one by one"
        );
        signal(&seat.child, name);
        assert_eq!(seat.left(&site), Some(0), "{name}");
    }
    comes_to_its_end(&site, run);
}

#[test]
fn it_ends_when_the_terminal_is_gone_and_nobody_says_so() {
    let site = morning();
    let seat = Seat::take(&site, &["ui"]);
    seat.await_words(&site, "Which colour");
    let Seat {
        keys,
        terminal,
        child,
        leave,
        ..
    } = seat;
    // Whoever reads what is shown holds the terminal too, until there is something to be read.
    leave.store(true, Ordering::SeqCst);
    (&keys).write_all(b"?").unwrap();
    drop((keys, terminal));
    assert_eq!(end(child).code, Some(0));
}

#[test]
fn it_is_stopped_and_goes_on() {
    let site = morning();
    let mut seat = Seat::take(&site, &["ui"]);
    seat.await_words(&site, "Which colour");
    seat.press("\u{1a}");
    seat.await_stopped(&site);
    seat.assert_as_before();
    assert!(seat.text().ends_with("\u{1b}[?25h"), "{:?}", seat.text());
    seat.shown.lock().unwrap().clear();
    signal(&seat.child, "CONT");
    seat.await_told(&site, "\u{1b}[?1049h");
    seat.await_words(&site, "Which colour");
    seat.press("q");
    assert_eq!(seat.left(&site), Some(0));
}

#[test]
fn after_a_stop_from_outside_keys_come_one_by_one_again() {
    let site = morning();
    let mut seat = Seat::take(&site, &["ui"]);
    seat.await_words(&site, "Which colour");
    let raw = tcgetattr(&seat.terminal).unwrap();
    signal(&seat.child, "STOP");
    seat.await_stopped(&site);
    // As a shell does.
    tcsetattr(&seat.terminal, SetArg::TCSANOW, &seat.before).unwrap();
    seat.shown.lock().unwrap().clear();
    signal(&seat.child, "CONT");
    seat.await_told(&site, "\u{1b}[?1049h");
    assert_eq!(tcgetattr(&seat.terminal).unwrap(), raw);
    seat.await_words(&site, "Which colour");
    seat.press("q");
    assert_eq!(seat.left(&site), Some(0));
}

#[test]
fn a_terminal_without_a_size_is_refused_with_what_gives_it_one() {
    let site = morning();
    let mut command = site.program(env!("CARGO_BIN_EXE_harness"));
    command.arg("ui");
    let seat = Seat::before(&site, command, ["0", "0"]);
    seat.await_told(&site, "`stty rows 24 cols 80`");
    assert!(!seat.text().contains("\u{1b}[?1049h"), "{:?}", seat.text());
    assert_eq!(end(seat.child).code, Some(2));
}

#[test]
fn a_pipe_in_the_place_of_a_log_is_not_waited_for() {
    let site = morning();
    let log = site.repo.join(".harness/asks.log");
    std::fs::remove_file(&log).unwrap();
    mkfifo(&log, Mode::S_IRWXU).unwrap();
    let mut seat = Seat::take(&site, &["ui"]);
    seat.await_words(&site, "Which colour");
    seat.press("/asks\r");
    seat.await_words(&site, "only /asks");
    seat.await_words(&site, "nothing yet");
    seat.press("q");
    assert_eq!(seat.left(&site), Some(0));
}

/// Says to this very program that it is the one that panics.
const PANICS: &str = "HARNESS_TEST_PANICS";
const LOST: i32 = 7;

#[test]
fn a_panic_gives_the_terminal_back() {
    if std::env::var_os(PANICS).is_some() {
        let terminal = Terminal::enter(true).unwrap();
        let panicked = std::thread::spawn(|| panic!("on purpose")).join();
        let code = match panicked.is_err() && Terminal::is_lost() {
            true => LOST,
            false => 1,
        };
        // Not by being dropped.
        std::mem::forget(terminal);
        std::process::exit(code);
    }
    let site = Site::new();
    let this = std::env::current_exe().unwrap();
    let mut command = site.program(this.to_str().unwrap());
    command.args(["--exact", "a_panic_gives_the_terminal_back", "--nocapture"]);
    command.env(PANICS, "1");
    let seat = Seat::before(&site, command, ["24", "80"]);
    seat.await_told(&site, "on purpose");
    assert_eq!(seat.left(&site), Some(LOST));
}

#[test]
fn a_picture_that_is_not_true_any_more_says_so() {
    let site = morning();
    let journal = site.repo.join(".harness/journal.jsonl");
    let good = std::fs::read(&journal).unwrap();
    let mut seat = Seat::take(&site, &["ui"]);
    seat.await_words(&site, "Which colour");
    let mut bad = good.clone();
    let middle = bad.len() / 2;
    bad[middle] ^= 1;
    bad.extend_from_slice(b"not a record\n{}\n");
    std::fs::write(&journal, &bad).unwrap();
    seat.await_words(&site, "not up to date");
    std::fs::write(&journal, &good).unwrap();
    seat.press("\u{c}");
    seat.await_that_gone(&site, "not up to date");
    seat.await_words(&site, "no run lives");
    seat.press("q");
    assert_eq!(seat.left(&site), Some(0));
    // Damaged from the beginning, it is told as everywhere.
    std::fs::write(&journal, &bad).unwrap();
    let ran = end(Seat::take(&site, &["ui"]).child);
    assert_eq!(ran.code, Some(10));
}

#[test]
fn specs_that_do_not_read_are_told_beside_what_the_last_run_knew() {
    let site = morning();
    site.spec("new", "depends_on: nobody");
    let mut seat = Seat::take(&site, &["ui"]);
    seat.await_words(&site, "as the last run knew it");
    site.spec("new", "");
    seat.press("\u{c}");
    seat.await_that_gone(&site, "as the last run knew it");
    seat.press("q");
    assert_eq!(seat.left(&site), Some(0));
}

#[test]
fn without_a_terminal_it_names_what_helps() {
    let mut site = morning();
    let ran = site.harness(&["ui"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{}", ran.err);
    for words in [
        "this is no terminal",
        "`harness status`",
        "`harness status --watch`",
    ] {
        assert!(ran.err.contains(words), "{words}: {}", ran.err);
    }
    site.set("NO_COLOR", "1");
    let mut seat = Seat::take(&site, &["ui"]);
    seat.await_words(&site, "Which colour");
    let text = seat.text();
    let sequences = text.split("\u{1b}[").skip(1);
    let sequences = sequences.filter_map(|rest| rest.split_once(|c: char| c.is_ascii_alphabetic()));
    let paints = |number: &str| {
        let number: u32 = number.parse().unwrap_or(0);
        matches!(number, 30..=38 | 40..=48 | 90..=107)
    };
    // Of what begins with a number and ends with `m`.
    let painted: Vec<&str> = sequences
        .map(|(numbers, _)| numbers)
        .filter(|numbers| {
            numbers.split(';').any(paints) && text.contains(&format!("\u{1b}[{numbers}m"))
        })
        .collect();
    assert_eq!(painted, [""; 0]);
    seat.press("q");
    assert_eq!(seat.left(&site), Some(0));
}
