//! Whoever looks at a run gets the same answer whether the state was replayed or kept, whatever became of what was kept, and
//! however the run is doing; and gets it soon.

#![cfg(feature = "fake-agent")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

mod support;

use harness::core::State;
use harness::journal;
use harness::model::{Record, Stamp};
use std::fmt::Write as _;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Instant;
use support::{Site, end, signal};

/// Features that land, ask, fail, clash and give way.
fn night() -> Site {
    let site = Site::new();
    site.shell_config(
        "run: {parallel: 3, max_iterations_per_feature: 3}\nverify: {commands: ['! test -e red']}\n\
         merge: {max_red_rounds: 1, max_conflict_rounds: 1}",
    );
    site.shell("lands", "echo a > a\n");
    site.shell(
        "asks",
        "echo 'Which one?' > \"$HARNESS_OUTBOX/blocked\"; exit 0\n",
    );
    site.shell("fails", "exit 3\n");
    site.shell("red", "touch red\n");
    site.shell("one", "echo one > shared\n");
    site.shell("two", "echo two > shared\n");
    site.shell("later", "echo c > c\n");
    site.spec("later", "depends_on: lands\npriority: 3");
    site.commit("specs");
    site.harness(&["run"]);
    site.harness(&["unblock", "asks", "-m", "the first"]);
    site.harness(&["run"]);
    site
}

fn records(path: &Path) -> Vec<Record> {
    journal::read(path).unwrap().records
}

fn journal_of(site: &Site) -> PathBuf {
    site.repo.join(".harness/journal.jsonl")
}

#[test]
fn a_state_that_was_kept_is_the_state_at_every_record() {
    let site = night();
    let records = records(&journal_of(&site));
    assert!(records.len() > 60, "{}", records.len());
    let (mut replayed, mut kept) = (State::new(), State::new());
    for record in &records {
        replayed.apply(record);
        kept.apply(record);
        let text = serde_json::to_string(&kept).unwrap();
        kept = serde_json::from_str(&text).unwrap();
        assert_eq!(
            format!("{kept:?}"),
            format!("{replayed:?}"),
            "after {record:?}"
        );
    }
}

#[test]
fn every_recorded_kind_of_fact_can_be_kept() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/journal");
    let mut folded = 0;
    let mut dirs = vec![dir];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
                continue;
            }
            let Ok(contents) = journal::read(&path) else {
                continue;
            };
            let mut state = State::new();
            for record in &contents.records {
                state.apply(record);
                folded += 1;
            }
            let text = serde_json::to_string(&state).unwrap();
            let kept: State = serde_json::from_str(&text).unwrap();
            assert_eq!(format!("{kept:?}"), format!("{state:?}"), "{path:?}");
        }
    }
    assert!(folded > 20, "{folded} records in fixtures/journal");
}

/// Lengthens a journal that ends while a feature is worked on, by more iterations of it, up to about so many records.
fn lengthen(path: &Path, length: u64) {
    let text = std::fs::read_to_string(path).unwrap();
    let mut out = text.clone();
    let last_of = |kind: &str| {
        let kind = format!("\"event\":{{\"event\":\"{kind}\"");
        let line = text.lines().rfind(|line| line.contains(&kind)).unwrap();
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        line["event"].clone()
    };
    let [mut started, mut ended, mut written] =
        ["iteration_started", "iteration_ended", "written"].map(last_of);
    let words = "moved the parser into its own module, so that tests can use it; ".repeat(4);
    ended["report"]["note"] = words.into();
    ended["report"].as_object_mut().unwrap().remove("done");
    ended["slug"] = started["slug"].clone();
    let last: Record = records(path).pop().unwrap();
    let (mut seq, mut at) = (last.seq, last.at);
    while seq < length {
        let one_more = |number: &serde_json::Value| (number.as_u64().unwrap() + 1).into();
        ended["iteration"] = started["iteration"].clone();
        started["iteration"] = one_more(&started["iteration"]);
        written["through"] = one_more(&written["through"]);
        for event in [&ended, &written, &started] {
            seq += 1;
            at = Stamp(at.0 + 500);
            let body = format!("{{\"v\":1,\"seq\":{seq},\"at\":{},\"event\":{event}", at.0);
            let sum = body.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
            });
            let _ = writeln!(out, "{body},\"sum\":\"{sum:016x}\"}}");
        }
    }
    std::fs::write(path, out).unwrap();
}

/// A run that has stopped in the middle of its work, and cannot answer, and a journal longer than it knows.
fn stopped(length: u64) -> (Site, Child, PathBuf) {
    let (site, go) = before();
    let run = working(&site);
    lengthen(&journal_of(&site), length);
    (site, run, go)
}

/// A run that went on with a long journal, the work of one that was killed, and has stopped in the middle of its own.
fn long_run(length: u64) -> (Site, Child) {
    let (site, _) = before();
    let run = working(&site);
    signal(&run, "KILL");
    end(run);
    lengthen(&journal_of(&site), length);
    let known = std::fs::metadata(journal_of(&site)).unwrap().len();
    let run = site.start(&["run"]);
    let path = journal_of(&site);
    site.await_that("the next iteration", || {
        let mut file = std::fs::File::open(&path).unwrap();
        let mut news = String::new();
        file.seek(SeekFrom::Start(known)).unwrap();
        file.read_to_string(&mut news).unwrap();
        news.contains("\"event\":\"iteration_started\"")
    });
    signal(&run, "STOP");
    (site, run)
}

/// A repository with one iteration done, so that there is something to lengthen the journal with.
fn before() -> (Site, PathBuf) {
    let site = Site::new();
    site.shell_config("run: {max_iterations: 1000000, max_iterations_per_feature: 1000000}");
    let go = site.path("go");
    site.shell(
        "works",
        &format!("until test -e {go:?}; do sleep 0.02; done\n"),
    );
    site.shell("waits", "echo x > x\n");
    site.spec("waits", "depends_on: works");
    site.commit("specs");
    site.shell("first", "echo f > f\n");
    site.commit("first");
    site.harness(&["run", "--only", "first"]);
    (site, go)
}

/// A run that is stopped while an agent works.
fn working(site: &Site) -> Child {
    let run = site.start(&["run"]);
    site.await_journal("\"event\":\"iteration_started\",\"slug\":\"works\"");
    signal(&run, "STOP");
    run
}

/// What is told of a run, without what the clock says when it is asked.
fn answers(site: &Site) -> (serde_json::Value, String, String, String) {
    let answers = ["status --json", "why waits", "queue --json", "graph --json"].map(|words| {
        let words: Vec<&str> = words.split(' ').collect();
        let ran = site.harness(&words);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        ran.out
    });
    let [status, why, queue, graph] = answers;
    let mut status: serde_json::Value = serde_json::from_str(&status).unwrap();
    for word in ["now", "now_ms", "ahead", "ahead_ms"] {
        status.as_object_mut().unwrap().remove(word);
    }
    for feature in status["features"].as_array_mut().unwrap() {
        feature.as_object_mut().unwrap().remove("reason");
    }
    let why = why.lines().next().unwrap_or_default().to_owned();
    (status, why, queue, graph)
}

#[test]
fn what_is_kept_is_only_a_cache() {
    let (site, run, _) = stopped(2_500);
    let kept = site.repo.join(".harness/journal.cache");
    let ask = || answers(&site);
    let _ = std::fs::remove_file(&kept);
    let answer = ask();
    assert!(kept.exists(), "what took long is kept");
    let made = std::fs::read(&kept).unwrap();
    assert_eq!(ask(), answer, "by what is kept");
    let stages = answer.0["features"].as_array().unwrap().iter();
    let stages: Vec<_> = stages.map(|feature| feature["stage"].clone()).collect();
    assert!(stages.contains(&"working".into()), "{stages:?}");
    let spoilt = |text: &[u8]| {
        std::fs::write(&kept, text).unwrap();
        assert_eq!(ask(), answer);
    };
    spoilt(b"");
    spoilt(b"{}\n{}");
    spoilt(&made[..made.len() / 2]);
    let mut odd = made.clone();
    let middle = odd.len() / 2;
    odd[middle] ^= 1;
    spoilt(&odd);
    let text = String::from_utf8(made.clone()).unwrap();
    spoilt(
        text.replacen("{\"maker\":\"", "{\"maker\":\"x", 1)
            .as_bytes(),
    );
    spoilt(text.replacen("\"stage\"", "\"stagx\"", 1).as_bytes());
    // Of an older journal: what has come since is read.
    std::fs::write(&kept, &made).unwrap();
    lengthen(&journal_of(&site), 3_000);
    let longer = ask();
    std::fs::remove_file(&kept).unwrap();
    assert_eq!(ask(), longer);
    // Of another journal: one byte of it is not what it was, so that is damage.
    std::fs::write(&kept, &made).unwrap();
    let good = std::fs::read(journal_of(&site)).unwrap();
    let mut bad = good.clone();
    let middle = bad.len() / 2;
    bad[middle] ^= 1;
    std::fs::write(journal_of(&site), &bad).unwrap();
    let ran = site.harness(&["status"]);
    assert_eq!(ran.code, Some(10), "{ran:?}");
    // A directory in its place is nobody's cache, and nobody's error.
    std::fs::write(journal_of(&site), &good).unwrap();
    let _ = std::fs::remove_file(&kept);
    std::fs::create_dir(&kept).unwrap();
    assert_eq!(ask(), longer);
    signal(&run, "KILL");
    end(run);
}

#[test]
fn a_run_leaves_what_it_knows_for_whoever_looks() {
    let (site, run) = long_run(2_500);
    let kept = site.repo.join(".harness/journal.cache");
    assert!(kept.exists(), "nobody has looked, and it is there");
    let ask = || answers(&site);
    let answer = ask();
    std::fs::remove_file(&kept).unwrap();
    assert_eq!(ask(), answer);
    // A byte that rotted while the run lived, of what it had read: that is told, though the run keeps what it made of it.
    let mut bytes = std::fs::read(journal_of(&site)).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(journal_of(&site), bytes).unwrap();
    let ran = site.harness(&["status"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(10), ""), "{ran:?}");
    signal(&run, "KILL");
    end(run);
}

#[test]
fn a_run_that_has_stopped_is_shown_all_the_same() {
    let (site, run, _) = stopped(500);
    let status = site.harness(&["status", "--plain"]);
    assert!(status.out.contains("works  working"), "{}", status.out);
    let why = site.harness(&["why", "waits"]);
    assert!(
        why.out.starts_with("waits: waiting: needs works [needs]\n"),
        "{}",
        why.out
    );
    signal(&run, "KILL");
    end(run);
}

/// `scripts/bench status`: a journal of 100,000 records, 10 GB of iteration logs beside it, and a run that does not answer.
#[test]
fn the_table() {
    if std::env::var_os("HARNESS_STATUS_TABLE").is_none() {
        return;
    }
    let (site, run) = long_run(100_000);
    let logs = site.repo.join(".harness/iterations/works");
    for n in 2..12 {
        std::fs::create_dir_all(logs.join(n.to_string())).unwrap();
        let log = std::fs::File::create(logs.join(n.to_string()).join("output.log")).unwrap();
        log.set_len(1 << 30).unwrap();
    }
    let kept = site.repo.join(".harness/journal.cache");
    let by_the_run = std::fs::read(&kept).unwrap();
    let time = |program: &str, words: &[&str]| {
        let begin = Instant::now();
        let ran = Command::new(program)
            .args(words)
            .current_dir(&site.repo)
            .output();
        assert!(ran.unwrap().status.success(), "{program} {words:?}");
        begin.elapsed().as_millis()
    };
    let size = std::fs::metadata(journal_of(&site)).unwrap().len() / 1_000_000;
    let sum = median(|| time("cksum", &[".harness/journal.jsonl"]));
    println!(
        "a journal of 100,000 records and {size} MB, of which cksum takes {sum} ms; the run is stopped\n"
    );
    println!("median of {TIMES}, in ms   as the run left it   nothing is kept");
    let harness = env!("CARGO_BIN_EXE_harness");
    for words in [
        &["status"][..],
        &["status", "--json"],
        &["why", "waits"],
        &["queue"],
        &["graph"],
    ] {
        let first = median(|| {
            std::fs::write(&kept, &by_the_run).unwrap();
            time(harness, words)
        });
        let bare = median(|| {
            std::fs::remove_file(&kept).unwrap();
            time(harness, words)
        });
        println!("{:<24} {first:>19} {bare:>17}", words.join(" "));
    }
    signal(&run, "KILL");
    end(run);
}

const TIMES: usize = 9;

fn median(time: impl Fn() -> u128) -> u128 {
    let mut times: Vec<u128> = (0..TIMES).map(|_| time()).collect();
    times.sort_unstable();
    times[TIMES / 2]
}
