//! The directory through which an agent talks to harness: emptied before its call, read after its death.
//!
//! Everything in it is hostile until proven otherwise: links are never followed, only regular files are
//! opened, nothing is read beyond its cap. This room never decides what a claim is worth.

use super::AgentError;
use super::text::{clip, first_line, or, visible};
use crate::fault::{self, Point};
use crate::process::{Secrets, remove};
use std::fs::{self, File, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Name of the outbox in a worktree.
pub const DIRECTORY: &str = ".harness";

const NOTE_BYTES: usize = 16 * 1024;
const NOTE_LINES: usize = 40;
const LESSONS: usize = 20;
const LINE_CHARS: usize = 500;
/// Room for every allowed lesson at four bytes a character, and some blank lines.
const LESSONS_BYTES: usize = 64 * 1024;
const CUT: &str = "[cut here: the note was longer]";

/// What an agent left in its outbox. All text is capped, with control characters escaped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outbox {
    /// The progress note; empty without one.
    pub note: String,
    /// Lessons for other features, one line each.
    pub lessons: Vec<String>,
    /// The done claim: one line.
    pub done: Option<String>,
    /// What the agent needs from a person.
    pub blocked: Option<String>,
    /// Why a side of a merge had to go; none without a merge.
    pub dropped: Option<String>,
    /// What was strange and was therefore not read, or not in full; a sentence each.
    pub oddities: Vec<String>,
}

/// Empties the outbox of a worktree, makes it if missing, and has it ignore itself. Whatever stands in
/// its place is removed, never followed. Returns its path.
///
/// # Errors
/// When it cannot be emptied or made.
pub fn reset(worktree: &Path) -> Result<PathBuf, AgentError> {
    let dir = worktree.join(DIRECTORY);
    let reset = || -> io::Result<()> {
        remove(&dir)?;
        fault::at(Point::OutboxCreate)?;
        fs::create_dir(&dir)?;
        let mut ignore = File::create_new(dir.join(".gitignore"))?;
        ignore.write_all(b"*\n")
    };
    match reset() {
        Ok(()) => Ok(dir),
        Err(source) => Err(AgentError::Io {
            act: "empty the outbox",
            path: dir,
            source,
        }),
    }
}

/// Reads the outbox of a worktree whose agent, with all its processes, is dead.
#[must_use]
pub fn read(worktree: &Path, secrets: &Secrets) -> Outbox {
    let dir = worktree.join(DIRECTORY);
    let mut outbox = Outbox::default();
    let odd = match fs::symlink_metadata(&dir) {
        Ok(meta) if meta.is_dir() => None,
        Ok(meta) => Some(format!(
            "the outbox is {}; nothing in it was read",
            kind(&meta)
        )),
        Err(error) => Some(format!("the outbox cannot be read: {error}")),
    };
    if let Some(odd) = odd {
        outbox.oddities.push(odd);
        return outbox;
    }
    let odd = &mut outbox.oddities;
    let mut read = |name, cap| {
        let content = read_file(&dir, name, cap, odd)?;
        Some(content.without(secrets))
    };
    let note = read("note.md", NOTE_BYTES);
    let lessons = read("learnings.md", LESSONS_BYTES);
    let done = read("done", NOTE_BYTES);
    let blocked = read("blocked", NOTE_BYTES);
    let dropped = read("dropped", NOTE_BYTES);
    outbox.note = note.map_or_else(String::new, |content| content.block());
    outbox.lessons = lessons.map_or_else(Vec::new, |content| content.lessons(odd));
    outbox.done = done.map(|content| or(first_line(&content.text, LINE_CHARS), "done"));
    outbox.dropped = dropped.map(|content| first_line(&content.text, LINE_CHARS));
    outbox.dropped = outbox.dropped.filter(|why| !why.is_empty());
    outbox.blocked = blocked.map(|content| or(content.block(), "blocked, without saying on what"));
    outbox
}

/// The bytes that were read of a file.
struct Bytes {
    bytes: Vec<u8>,
    is_cut: bool,
}

impl Bytes {
    fn without(self, secrets: &Secrets) -> Content {
        let bytes = secrets.hide_bytes(&self.bytes, self.is_cut);
        Content {
            text: String::from_utf8_lossy(&bytes).into_owned(),
            is_cut: self.is_cut,
        }
    }
}

/// What a file says.
struct Content {
    text: String,
    is_cut: bool,
}

impl Content {
    /// At most 40 lines and 16 KiB, marked where it was cut.
    fn block(&self) -> String {
        let text = visible(self.text.trim());
        let mut out = String::new();
        let mut is_cut = self.is_cut;
        for (n, line) in text.lines().enumerate() {
            // Escaping makes text longer, so the cap is looked at again.
            if n == NOTE_LINES || out.len() + line.len() > NOTE_BYTES {
                is_cut = true;
                if n < NOTE_LINES {
                    let room = line.floor_char_boundary(NOTE_BYTES - out.len().min(NOTE_BYTES));
                    out.push_str(line.get(..room).unwrap_or_default());
                    out.push('\n');
                }
                break;
            }
            out.push_str(line);
            out.push('\n');
        }
        if is_cut {
            out.push_str(CUT);
        }
        out.truncate(out.trim_end().len());
        out
    }

    /// One lesson a line, without list markers, blanks and repetitions.
    fn lessons(&self, oddities: &mut Vec<String>) -> Vec<String> {
        let mut lessons: Vec<String> = Vec::new();
        let mut dropped = usize::from(self.is_cut);
        for line in self.text.lines() {
            let line = line.trim();
            let bare = ["- ", "* ", "+ "]
                .iter()
                .find_map(|mark| line.strip_prefix(mark));
            let lesson = clip(&visible(bare.unwrap_or(line).trim()), LINE_CHARS);
            if lesson.is_empty() || lessons.contains(&lesson) {
                continue;
            }
            if lessons.len() == LESSONS {
                dropped += 1;
            } else {
                lessons.push(lesson);
            }
        }
        if dropped > 0 {
            oddities.push(format!("only the first {LESSONS} lessons were taken"));
        }
        lessons
    }
}

/// See [`fuzz`](super::fuzz).
#[cfg(feature = "fuzzing")]
pub(super) fn fuzz(data: &[u8], secrets: &Secrets, secret: &str) {
    let is_harmless = |text: &str| {
        let acts = |c| crate::model::acts(c) && !matches!(c, '\n' | '\t');
        !text.chars().any(acts) && !text.contains(secret)
    };
    for is_cut in [false, true] {
        let bytes = data.to_vec();
        let content = Bytes { bytes, is_cut }.without(secrets);
        let block = content.block();
        assert!(is_harmless(&block), "{block:?}");
        assert!(block.lines().count() <= NOTE_LINES + 1);
        assert!(block.len() <= NOTE_BYTES + CUT.len() + 1);
        let mut oddities = Vec::new();
        let lessons = content.lessons(&mut oddities);
        assert!(lessons.len() <= LESSONS);
        for lesson in &lessons {
            assert!(is_harmless(lesson) && !lesson.contains('\n'), "{lesson:?}");
            assert!(!lesson.is_empty() && lesson.chars().count() <= LINE_CHARS);
        }
        let line = first_line(&content.text, LINE_CHARS);
        assert!(is_harmless(&line) && !line.contains('\n'), "{line:?}");
        let _ = blocked_line(&block).inspect(|what| assert!(is_harmless(what)));
    }
}

/// The first `cap` bytes of a regular file; `None`, with an oddity unless it is simply missing, when
/// there is none.
fn read_file(dir: &Path, name: &str, cap: usize, oddities: &mut Vec<String>) -> Option<Bytes> {
    let path = dir.join(name);
    let seen = match fs::symlink_metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            oddities.push(format!("{name} in the outbox cannot be read: {error}"));
            return None;
        }
        Ok(meta) => meta,
    };
    if !seen.is_file() {
        oddities.push(format!(
            "{name} in the outbox is {}; it was not read",
            kind(&seen)
        ));
        return None;
    }
    match read_regular(&path, &seen, cap) {
        Ok(content) => Some(content),
        Err(error) => {
            oddities.push(format!("{name} in the outbox cannot be read: {error}"));
            None
        }
    }
}

fn read_regular(path: &Path, seen: &Metadata, cap: usize) -> io::Result<Bytes> {
    let file = File::open(path)?;
    let opened = file.metadata()?;
    if (opened.dev(), opened.ino()) != (seen.dev(), seen.ino()) {
        return Err(io::Error::other("it was replaced while it was being read"));
    }
    let mut bytes = Vec::new();
    file.take(cap as u64 + 1).read_to_end(&mut bytes)?;
    let is_cut = bytes.len() > cap;
    bytes.truncate(cap);
    Ok(Bytes { bytes, is_cut })
}

fn kind(meta: &Metadata) -> &'static str {
    let kind = meta.file_type();
    if kind.is_symlink() {
        "a link"
    } else if kind.is_dir() {
        "a directory"
    } else if kind.is_file() {
        "a file"
    } else if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

/// What follows `BLOCKED:` at the beginning of a line, outside code fences and quotations.
#[must_use]
pub fn blocked_line(text: &str) -> Option<String> {
    let mut fence: Option<&str> = None;
    for line in text.lines() {
        let bare = line.trim_start();
        let mark = ["```", "~~~"]
            .into_iter()
            .find(|mark| bare.starts_with(mark));
        match (mark, fence) {
            (Some(mark), None) => fence = Some(mark),
            (Some(mark), Some(open)) if mark == open => fence = None,
            (None, None) => {
                if let Some(what) = line.strip_prefix("BLOCKED:") {
                    let what = clip(&visible(what.trim()), LINE_CHARS);
                    return Some(or(what, "blocked, without saying on what"));
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::fs::symlink;
    use tempfile::TempDir;

    fn worktree() -> (TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let outbox = reset(dir.path()).unwrap();
        (dir, outbox)
    }

    fn mkfifo(path: &Path) {
        let status = std::process::Command::new("mkfifo").arg(path).status();
        assert!(status.unwrap().success());
    }

    #[test]
    fn an_untouched_outbox_says_nothing() {
        let (dir, outbox) = worktree();
        assert_eq!(
            fs::read_to_string(outbox.join(".gitignore")).unwrap(),
            "*\n"
        );
        assert_eq!(read(dir.path(), &Secrets::default()), Outbox::default());
    }

    #[test]
    fn what_was_written_is_read() {
        let (dir, outbox) = worktree();
        fs::write(outbox.join("note.md"), "Did it.\r\n\tthen\u{1b}[2J\n\n").unwrap();
        fs::write(
            outbox.join("learnings.md"),
            "- use `make`\n\n* use `make`\n+ other\nbare\u{7}\n",
        )
        .unwrap();
        fs::write(outbox.join("done"), "\n  All of it. \nmore\n").unwrap();
        fs::write(outbox.join("blocked"), "Which key?\nA or B?\n").unwrap();
        assert_eq!(
            read(dir.path(), &Secrets::default()),
            Outbox {
                note: "Did it.\n\tthen\\u{1b}[2J".into(),
                lessons: vec!["use `make`".into(), "other".into(), "bare\\u{7}".into()],
                done: Some("All of it.".into()),
                blocked: Some("Which key?\nA or B?".into()),
                dropped: None,
                oddities: Vec::new(),
            }
        );
    }

    #[test]
    fn an_empty_claim_is_a_claim() {
        let (dir, outbox) = worktree();
        fs::write(outbox.join("done"), "").unwrap();
        fs::write(outbox.join("blocked"), " \n").unwrap();
        let read = read(dir.path(), &Secrets::default());
        assert_eq!(read.done.unwrap(), "done");
        assert_eq!(read.blocked.unwrap(), "blocked, without saying on what");
    }

    #[test]
    fn everything_is_capped() {
        let (dir, outbox) = worktree();
        let huge = vec![0x1b; 30 << 20];
        for name in ["note.md", "done", "blocked"] {
            fs::write(outbox.join(name), &huge).unwrap();
        }
        let lessons: String = (0..5000).map(|n| format!("lesson {n}\n")).collect();
        fs::write(outbox.join("learnings.md"), lessons).unwrap();
        let read = read(dir.path(), &Secrets::default());
        for text in [&read.note, read.blocked.as_ref().unwrap()] {
            assert!(
                text.len() <= NOTE_BYTES + 100 && text.ends_with(CUT),
                "{}",
                text.len()
            );
        }
        assert_eq!(read.done.unwrap().chars().count(), LINE_CHARS);
        assert_eq!(read.lessons.len(), LESSONS);
        assert_eq!(read.oddities.len(), 1);
        let lines: String = (1..=41).map(|n| format!("{n}\n")).collect();
        fs::write(outbox.join("note.md"), lines).unwrap();
        let note = super::read(dir.path(), &Secrets::default()).note;
        assert!(note.ends_with(&format!("\n40\n{CUT}")), "{note}");
    }

    #[test]
    fn links_directories_and_pipes_are_told_and_not_read() {
        let (dir, outbox) = worktree();
        let secret = dir.path().join("secret");
        fs::write(&secret, "secret").unwrap();
        symlink(&secret, outbox.join("note.md")).unwrap();
        mkfifo(&outbox.join("learnings.md"));
        fs::create_dir(outbox.join("done")).unwrap();
        symlink("/dev/zero", outbox.join("blocked")).unwrap();
        let read = read(dir.path(), &Secrets::default());
        assert_eq!(
            read.oddities,
            [
                "note.md in the outbox is a link; it was not read",
                "learnings.md in the outbox is a pipe; it was not read",
                "done in the outbox is a directory; it was not read",
                "blocked in the outbox is a link; it was not read",
            ]
        );
        assert_eq!(
            Outbox {
                oddities: Vec::new(),
                ..read
            },
            Outbox::default()
        );
    }

    #[test]
    fn a_replaced_outbox_is_not_followed_and_resetting_spares_what_it_led_to() {
        let (dir, outbox) = worktree();
        let elsewhere = tempfile::tempdir().unwrap();
        fs::write(elsewhere.path().join("done"), "x").unwrap();
        let lead_astray: [&dyn Fn(); 3] = [
            &|| symlink(elsewhere.path(), &outbox).unwrap(),
            &|| fs::write(&outbox, "file").unwrap(),
            &|| mkfifo(&outbox),
        ];
        for make in lead_astray {
            remove(&outbox).unwrap();
            make();
            let read = read(dir.path(), &Secrets::default());
            assert_eq!((read.done, read.oddities.len()), (None, 1));
            reset(dir.path()).unwrap();
            assert!(fs::symlink_metadata(&outbox).unwrap().is_dir());
            assert!(elsewhere.path().join("done").exists());
        }
        remove(&outbox).unwrap();
        assert_eq!(
            super::read(dir.path(), &Secrets::default()).oddities.len(),
            1
        );
    }

    #[test]
    fn resetting_empties_whatever_stands_there() {
        let (dir, outbox) = worktree();
        let elsewhere = tempfile::tempdir().unwrap();
        fs::write(elsewhere.path().join("kept"), "x").unwrap();
        fs::create_dir_all(outbox.join("a/b")).unwrap();
        fs::write(outbox.join("a/b/c"), "x").unwrap();
        symlink(elsewhere.path(), outbox.join("a/link")).unwrap();
        fs::set_permissions(outbox.join("a/b"), Permissions::from_mode(0o000)).unwrap();
        fs::set_permissions(outbox.join("a"), Permissions::from_mode(0o500)).unwrap();
        reset(dir.path()).unwrap();
        let left: Vec<_> = fs::read_dir(&outbox).unwrap().collect();
        assert_eq!(left.len(), 1);
        assert!(elsewhere.path().join("kept").exists());
    }

    #[test]
    fn the_blocked_line_rule() {
        for (text, expected) in [
            ("BLOCKED: need a key", Some("need a key")),
            ("note\nBLOCKED: x\nBLOCKED: y", Some("x")),
            ("BLOCKED:", Some("blocked, without saying on what")),
            ("BLOCKED:\u{1b}[31m", Some("\\u{1b}[31m")),
            ("not BLOCKED: x", None),
            ("> BLOCKED: quoted", None),
            ("    BLOCKED: indented", None),
            ("- BLOCKED: listed", None),
            ("Blocked: x", None),
            ("```\nBLOCKED: in a fence\n```", None),
            (
                "```text\nBLOCKED: a\n~~~\nBLOCKED: b\n```\nBLOCKED: c",
                Some("c"),
            ),
            ("  ~~~\nBLOCKED: unclosed", None),
            ("BLOCKED", None),
            ("", None),
        ] {
            assert_eq!(blocked_line(text).as_deref(), expected, "{text:?}");
        }
    }
}
