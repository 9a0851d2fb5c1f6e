//! The room against a real directory: what is written once, what is never touched, what a crash leaves.

use super::*;
use tempfile::TempDir;

/// 2026-11-23 22:15:00 UTC.
const AT: Stamp = Stamp(1_795_472_100_000);

fn memory() -> (TempDir, Memory) {
    let dir = tempfile::tempdir().unwrap();
    let memory = Memory::open(dir.path().join("state")).unwrap();
    (dir, memory)
}

fn slug() -> Slug {
    Slug::new("auth-login").unwrap()
}

fn log(number: u64, text: &str, lessons: &[&str]) -> WriteJob {
    WriteJob {
        number,
        at: AT,
        what: Writing::Log {
            slug: slug(),
            iteration: Some(3),
            heading: "iteration 3".into(),
            text: text.into(),
            lessons: lessons.iter().map(|&lesson| lesson.into()).collect(),
        },
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn opening_makes_a_self_ignoring_directory_and_overwrites_nothing() {
    let (_dir, memory) = memory();
    let ignore = memory.dir().join(".gitignore");
    assert_eq!(read(&ignore), "*\n");
    fs::write(&ignore, "mine\n").unwrap();
    Memory::open(memory.dir()).unwrap();
    assert_eq!(read(&ignore), "mine\n");
}

#[test]
fn an_entry_is_written_once_however_often_it_is_asked_for() {
    let (_dir, memory) = memory();
    let job = log(12, "Wrote the parser.\n", &["run `make gen` first"]);
    for _ in 0..3 {
        memory.perform(&job).unwrap();
    }
    memory
        .perform(&log(13, "More.", &["run `make gen` first"]))
        .unwrap();
    memory.perform(&job).unwrap();
    assert_eq!(
        read(&memory.log_path(&slug())),
        "## 2026-11-23 22:15 iteration 3 <!-- 12-1795472100000 -->\n\nWrote the parser.\n\n\
         ## 2026-11-23 22:15 iteration 3 <!-- 13-1795472100000 -->\n\nMore.\n\n"
    );
    assert_eq!(
        read(&memory.learnings_path()),
        "- 2026-11-23 [auth-login #3] run `make gen` first\n"
    );
}

#[test]
fn what_the_user_wrote_stays_and_a_torn_line_is_ended_first() {
    let (_dir, memory) = memory();
    let path = memory.log_path(&slug());
    fs::write(&path, b"notes of mine \xff\nno newline here").unwrap();
    fs::write(memory.learnings_path(), "mine").unwrap();
    memory.perform(&log(1, "Text.", &["a lesson"])).unwrap();
    let bytes = fs::read(&path).unwrap();
    assert!(bytes.starts_with(b"notes of mine \xff\nno newline here\n## 2026"));
    assert_eq!(
        read(&memory.learnings_path()),
        "mine\n- 2026-11-23 [auth-login #3] a lesson\n"
    );
}

#[test]
fn an_entry_torn_anywhere_is_made_whole() {
    let (_dir, memory) = memory();
    let path = memory.log_path(&slug());
    memory.perform(&log(1, "First.", &[])).unwrap();
    let first = read(&path);
    let job = log(2, "Second — with “quotes”.", &[]);
    memory.perform(&job).unwrap();
    let whole = fs::read(&path).unwrap();
    let entry = String::from_utf8(whole.get(first.len()..).unwrap().to_vec()).unwrap();
    for keep in first.len()..whole.len() {
        fs::write(&path, whole.get(..keep).unwrap()).unwrap();
        memory.perform(&job).unwrap();
        let after = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
        assert_eq!(after, format!("{first}{entry}"), "{keep}");
    }
}

#[test]
fn lessons_torn_anywhere_are_made_whole() {
    let (_dir, memory) = memory();
    let path = memory.learnings_path();
    memory
        .perform(&log(1, "First.", &["what it learnt"]))
        .unwrap();
    let first = read(&path);
    let job = log(2, "Second.", &["a “quoted” lesson", "and another one"]);
    memory.perform(&job).unwrap();
    let whole = fs::read(&path).unwrap();
    for keep in first.len()..whole.len() {
        fs::write(&path, whole.get(..keep).unwrap()).unwrap();
        memory.perform(&job).unwrap();
        assert_eq!(fs::read(&path).unwrap(), whole, "{keep}");
    }
}

#[test]
fn a_user_may_edit_an_entry_and_it_stays_edited() {
    let (_dir, memory) = memory();
    let path = memory.log_path(&slug());
    let job = log(1, "Long and wrong.", &[]);
    memory.perform(&job).unwrap();
    let edited = read(&path).replace("Long and wrong.", "Right.");
    fs::write(&path, &edited).unwrap();
    memory.perform(&job).unwrap();
    assert_eq!(read(&path), edited);
}

#[test]
fn text_cannot_pass_for_an_entry_that_is_still_to_be_written() {
    let (_dir, memory) = memory();
    let fake = "## 2026-11-23 22:15 x <!-- 2-1795472100000 -->";
    memory.perform(&log(1, fake, &[])).unwrap();
    memory.perform(&log(2, "real", &[])).unwrap();
    let text = read(&memory.log_path(&slug()));
    assert!(text.contains("\n ## 2026"), "{text}");
    assert!(text.ends_with("\n\nreal\n\n"), "{text}");
}

#[test]
fn lessons_are_single_visible_lines_of_bounded_length() {
    let (_dir, memory) = memory();
    let long = "é".repeat(2000);
    memory
        .perform(&log(1, "", &["a\nb\u{1b}[31m\u{202e}", "  ", &long]))
        .unwrap();
    let text = read(&memory.learnings_path());
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(
        lines.first().unwrap(),
        &"- 2026-11-23 [auth-login #3] a\\nb\\u{1b}[31m\\u{202e}"
    );
    assert_eq!(
        lines.last().unwrap().chars().filter(|&c| c == 'é').count(),
        499
    );
}

#[test]
fn a_huge_entry_is_cut_and_still_written_once() {
    let (_dir, memory) = memory();
    let job = log(1, &"\u{1b}".repeat(200_000), &[]);
    memory.perform(&job).unwrap();
    let len = fs::metadata(memory.log_path(&slug())).unwrap().len();
    assert!(len < 70 * 1024, "{len}");
    memory.perform(&job).unwrap();
    assert_eq!(fs::metadata(memory.log_path(&slug())).unwrap().len(), len);
}

#[test]
fn only_the_tail_of_a_big_log_is_read() {
    let (_dir, memory) = memory();
    assert_eq!(memory.prior_log(&slug(), 200).unwrap(), "");
    let path = memory.log_path(&slug());
    let many: String = (0..100_000).map(|n| format!("line {n}\n")).collect();
    fs::write(&path, many).unwrap();
    assert_eq!(
        memory.prior_log(&slug(), 2).unwrap(),
        "line 99998\nline 99999\n"
    );
    assert_eq!(memory.prior_log(&slug(), 0).unwrap(), "");
    let all = memory.prior_log(&slug(), usize::MAX).unwrap();
    assert!(all.len() <= WINDOW_BYTES && all.starts_with("line "));
    fs::write(memory.learnings_path(), "x".repeat(1 << 20)).unwrap();
    assert_eq!(memory.learnings(5).unwrap().latest.len(), WINDOW_BYTES + 1);
}

/// What prompts tell of a file that grows begins as it began: caches match on beginnings.
#[test]
fn a_window_on_a_growing_file_moves_in_big_steps() {
    let (_dir, memory) = memory();
    let mut text = String::new();
    let mut last = (String::new(), Window::default());
    let (mut log_moved, mut lessons_settled) = (0, 0);
    for n in 0..400 {
        text.push_str(&format!("- lesson {n} of about the usual length\n"));
        fs::write(memory.log_path(&slug()), &text).unwrap();
        fs::write(memory.learnings_path(), &text).unwrap();
        let log = memory.prior_log(&slug(), 40).unwrap();
        let lessons = memory.learnings(40).unwrap();
        let count = log.lines().count();
        assert!(count <= 40 && (count > 30 || count == n + 1), "{count}");
        assert!(text.ends_with(&log));
        assert_eq!(log, lessons.settled.clone() + &lessons.latest);
        assert!(lessons.latest.lines().count() <= 10);
        log_moved += u32::from(!log.starts_with(&last.0));
        lessons_settled += u32::from(lessons.settled != last.1.settled);
        last = (log, lessons);
    }
    assert_eq!((log_moved, lessons_settled), (36, 39));
}

#[test]
fn links_fifos_and_directories_are_refused_not_followed() {
    let (dir, memory) = memory();
    let elsewhere = dir.path().join("precious");
    fs::write(&elsewhere, "precious\n").unwrap();
    let path = memory.log_path(&slug());
    std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
    let error = memory.perform(&log(1, "x", &[])).unwrap_err();
    assert!(error.to_string().contains("not a regular file"), "{error}");
    assert_eq!(read(&elsewhere), "precious\n");
    fs::remove_file(&path).unwrap();
    let status = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(status.unwrap().success());
    assert!(memory.prior_log(&slug(), 5).is_err());
    assert!(memory.perform(&log(1, "x", &[])).is_err());
}

#[test]
fn done_markers_are_made_once_and_listed() {
    let (_dir, memory) = memory();
    let job = |summary: &str| WriteJob {
        number: 1,
        at: AT,
        what: Writing::Done {
            slug: slug(),
            summary: summary.into(),
        },
    };
    memory.perform(&job("two\nlines")).unwrap();
    memory.perform(&job("other")).unwrap();
    assert_eq!(read(&memory.done_path(&slug())), "two\\nlines\n");
    for other in ["Not A Slug.done", "x.log", ".done"] {
        fs::write(memory.dir().join(other), "").unwrap();
    }
    assert_eq!(memory.done_markers().unwrap(), [slug()].into());
    let left: Vec<_> = fs::read_dir(memory.dir())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name.to_string_lossy().starts_with(".new-"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn halt_is_made_once_read_and_cleared() {
    let (_dir, memory) = memory();
    assert_eq!(memory.halt().unwrap(), None);
    assert!(memory.set_halt("build\u{7} is broken").unwrap());
    assert!(!memory.set_halt("another").unwrap());
    assert_eq!(memory.halt().unwrap().unwrap(), "build\\u{7} is broken");
    assert!(memory.clear_halt().unwrap());
    assert!(!memory.clear_halt().unwrap());
    fs::write(memory.halt_path(), "").unwrap();
    assert_eq!(memory.halt().unwrap().unwrap(), NO_REASON);
    memory.clear_halt().unwrap();
    std::os::unix::fs::symlink("/nowhere", memory.halt_path()).unwrap();
    assert_eq!(memory.halt().unwrap().unwrap(), NO_REASON);
}

#[test]
fn strange_times_do_not_panic() {
    assert!(utc(Stamp(u64::MAX), "%F").starts_with("9999"));
    assert_eq!(utc(Stamp(0), "%F %H:%M"), "1970-01-01 00:00");
}
