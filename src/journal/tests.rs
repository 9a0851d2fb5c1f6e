//! The journal against files as crashes, disks and people leave them.

use super::*;
use crate::model::{Event, Oid, Record, Slug, Stamp, Trial, WorktreeName};

fn record(seq: u64) -> Record {
    Record {
        seq,
        at: Stamp(1_000 + seq),
        event: Event::Claimed {
            slug: Slug::new("auth").unwrap(),
            summary: format!("done\nnumber {seq} \u{1f600} \"quoted\""),
        },
    }
}

fn journal_of(count: u64) -> (tempfile::TempDir, PathBuf, Vec<Record>) {
    let dir = tempfile::tempdir().unwrap();
    let records: Vec<Record> = (1..=count).map(record).collect();
    let (mut journal, before) = Journal::open(dir.path()).unwrap();
    assert!(before.records.is_empty());
    journal.append(&records).unwrap();
    let path = dir.path().join(FILE_NAME);
    (dir, path, records)
}

#[test]
fn what_was_appended_is_read_back() {
    let (dir, _, records) = journal_of(3);
    let (mut journal, contents) = Journal::open(dir.path()).unwrap();
    assert_eq!(contents.records, records);
    journal.append(&[record(4)]).unwrap();
    let contents = read(&dir.path().join(FILE_NAME)).unwrap();
    assert_eq!(contents.records.len(), 4);
}

#[test]
fn what_is_kept_holds_for_the_bytes_that_were_read_and_written_and_no_others() {
    let (dir, path, _) = journal_of(3);
    let kept = || kept(dir.path(), "me").map(|(mark, text)| (mark.lines, text));
    let (mut journal, _) = Journal::open(dir.path()).unwrap();
    journal.append(&[record(4), record(5)]).unwrap();
    let mark = journal.mark();
    keep(dir.path(), "me", mark, b"five").unwrap();
    assert_eq!(kept(), Some((5, b"five".to_vec())));
    assert_eq!(read(&path).unwrap().mark, mark, "read as it was written");
    // What comes after changes nothing; somebody else made something else of it.
    journal.append(&[record(6)]).unwrap();
    assert_eq!(kept(), Some((5, b"five".to_vec())));
    assert!(super::kept(dir.path(), "you").is_none());
    // A byte that rotted beneath a run: what the run makes of it still holds for what it wrote.
    let good = std::fs::read(&path).unwrap();
    for at in [0, 100, usize::try_from(mark.offset()).unwrap() - 1] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        std::fs::write(&path, &bad).unwrap();
        assert_eq!(kept(), None, "byte {at}");
        keep(dir.path(), "me", journal.mark(), b"six").unwrap();
        assert_eq!(kept(), None, "byte {at}, kept after it");
        std::fs::write(&path, &good).unwrap();
        assert_eq!(kept(), Some((6, b"six".to_vec())));
        keep(dir.path(), "me", mark, b"five").unwrap();
    }
    std::fs::write(&path, &good[..usize::try_from(mark.offset()).unwrap() - 1]).unwrap();
    assert_eq!(kept(), None, "cut off before the mark");
}

#[test]
fn a_tail_torn_at_any_byte_is_cut_and_kept_beside() {
    let (_dir, path, records) = journal_of(3);
    let whole = std::fs::read(&path).unwrap();
    let two: usize = whole
        .split_inclusive(|b| *b == b'\n')
        .take(2)
        .map(<[u8]>::len)
        .sum();
    for cut in two + 1..whole.len() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE_NAME), &whole[..cut]).unwrap();
        let (mut journal, contents) = Journal::open(dir.path()).unwrap();
        assert_eq!(contents.records, records[..2], "cut at {cut}");
        let torn = std::fs::read(dir.path().join("journal.jsonl.torn")).unwrap();
        assert_eq!(torn, &whole[two..cut]);
        journal.append(&[record(3)]).unwrap();
        let again = read(&dir.path().join(FILE_NAME)).unwrap();
        assert_eq!(again.records, records);
        assert_eq!(again.torn_bytes, 0);
    }
}

#[test]
fn a_changed_byte_in_the_middle_is_refused_with_its_line() {
    let (_dir, path, _) = journal_of(3);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replacen("number 2", "number 7", 1)).unwrap();
    let error = read(&path).unwrap_err().to_string();
    assert!(error.contains("journal.jsonl:2:"), "{error}");
    assert!(error.contains("checksum"), "{error}");
}

#[test]
fn a_missing_line_is_refused() {
    let (_dir, path, _) = journal_of(3);
    let text = std::fs::read_to_string(&path).unwrap();
    let without: Vec<&str> = text
        .lines()
        .enumerate()
        .filter(|(n, _)| *n != 1)
        .map(|(_, line)| line)
        .collect();
    std::fs::write(&path, without.join("\n") + "\n").unwrap();
    let error = read(&path).unwrap_err().to_string();
    assert!(
        error.contains("journal.jsonl:2: record 3 where 2 belongs"),
        "{error}"
    );
}

#[test]
fn a_journal_of_a_newer_version_is_refused_not_cut() {
    let (dir, path, _) = journal_of(1);
    let mut text = std::fs::read(&path).unwrap();
    text.extend(line::sealed(
        br#"{"v":99,"seq":2,"at":1,"event":{"event":"tidied"}"#,
    ));
    std::fs::write(&path, text).unwrap();
    let error = Journal::open(dir.path()).unwrap_err().to_string();
    assert!(error.contains("version 99"), "{error}");
}

/// A night of few words, as it is written: a batch for each turn.
fn night() -> Vec<Vec<Event>> {
    let slug = || Slug::new("auth").unwrap();
    let oid = |digit: &str| Oid::parse(&digit.repeat(40)).unwrap();
    let text = |text: &str| text.to_owned();
    vec![
        vec![
            Event::HaltSeen {
                reason: text("lunch @ noon"),
            },
            Event::HaltCleared,
            Event::Started {
                slug: slug(),
                worktree: WorktreeName(1),
            },
        ],
        vec![Event::Prepared {
            slug: slug(),
            base: oid("a"),
        }],
        vec![Event::IterationStarted {
            slug: slug(),
            iteration: 1,
            instead: None,
            rung: None,
        }],
        vec![
            Event::IterationLost {
                slug: slug(),
                iteration: 1,
                usage: None,
            },
            Event::Blocked {
                slug: slug(),
                question: text("which key?\n\u{1f600} \"this\""),
            },
        ],
        vec![Event::Unblocked {
            slug: slug(),
            answer: text(""),
        }],
        vec![Event::Strained { why: None }],
        vec![
            Event::Claimed {
                slug: slug(),
                summary: text("JJ * done"),
            },
            Event::AttemptStarted {
                attempt: 1,
                what: Trial::Features,
                onto: oid("b"),
                members: vec![slug()],
            },
        ],
        vec![
            Event::Merged {
                slug: slug(),
                commit: oid("c"),
                empty: false,
            },
            Event::PublishStarted { commit: oid("c") },
            Event::Written { through: 7 },
        ],
        vec![Event::Published { commit: oid("c") }],
        vec![
            Event::Tidied,
            Event::RunEnded {
                code: 0,
                codes: vec![0],
            },
        ],
    ]
}

/// A journal, the bytes where each of its batches ends, and where each of its lines does.
struct Written {
    bytes: Vec<u8>,
    batches: Vec<usize>,
    lines: Vec<usize>,
}

impl Written {
    fn night() -> Self {
        Self::of(night())
    }

    fn of(turns: Vec<Vec<Event>>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, _) = Journal::open(dir.path()).unwrap();
        let mut seq = 0;
        let mut batches = vec![0];
        for events in turns {
            let records = events.into_iter().map(|event| {
                seq += 1;
                Record {
                    seq,
                    at: Stamp(1_000),
                    event,
                }
            });
            journal.append(&records.collect::<Vec<_>>()).unwrap();
            batches.push(usize::try_from(journal.mark.offset()).unwrap());
        }
        let bytes = std::fs::read(dir.path().join(FILE_NAME)).unwrap();
        let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        let lines = ends.map(|(at, _)| at + 1).collect();
        Self {
            bytes,
            batches,
            lines,
        }
    }

    /// Lines that end at or before this byte.
    fn whole_before(&self, at: usize) -> usize {
        self.lines.iter().filter(|end| **end <= at).count()
    }

    /// Where the last batch begins.
    fn last_batch(&self) -> usize {
        self.batches[self.batches.len() - 2]
    }
}

/// What a journal of these bytes reads as: how many records, and how much of it is torn.
fn reading(dir: &Path, bytes: &[u8]) -> Result<(usize, u64), String> {
    let path = dir.join(FILE_NAME);
    std::fs::write(&path, bytes).unwrap();
    let contents = read(&path).map_err(|error| error.to_string())?;
    assert_eq!(
        std::fs::read(&path).unwrap(),
        bytes,
        "reading changes nothing"
    );
    Ok((contents.records.len(), contents.torn_bytes))
}

#[test]
fn cut_at_any_byte_no_whole_record_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let written = Written::night();
    for cut in 0..=written.bytes.len() {
        let whole = written.whole_before(cut);
        let torn = cut - written.lines[..whole].last().unwrap_or(&0);
        let found = reading(dir.path(), &written.bytes[..cut]);
        assert_eq!(
            found,
            Ok((whole, u64::try_from(torn).unwrap())),
            "cut at {cut}"
        );
    }
}

/// A file of which the last part is seen only at the second look.
struct Settling {
    seen: io::Cursor<Vec<u8>>,
    whole: Vec<u8>,
    looks: u32,
}

impl io::Read for Settling {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.seen.read(into)
    }
}

impl io::BufRead for Settling {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.seen.fill_buf()
    }
    fn consume(&mut self, amount: usize) {
        self.seen.consume(amount);
    }
}

impl io::Seek for Settling {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        self.looks += 1;
        if self.looks == 2 {
            self.seen = io::Cursor::new(self.whole.clone());
        }
        self.seen.seek(to)
    }
}

#[test]
fn a_line_that_is_seen_half_written_is_no_damage() {
    let (_dir, path, records) = journal_of(4);
    let whole = std::fs::read(&path).unwrap();
    // A page of it is there already, and the one before it is not.
    let mut seen = whole.clone();
    let third = whole.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    let third = third.map(|(at, _)| at).nth(1).unwrap() + 1;
    seen[third..third + 20].fill(0);
    let mut reader = Settling {
        seen: io::Cursor::new(seen),
        whole,
        looks: 0,
    };
    let (mut mark, mut told) = (Mark::default(), Vec::new());
    let found = read::scan_on(&mut reader, &path, &mut mark, &mut |record| {
        told.push(record);
    });
    assert!(found.unwrap().is_none());
    assert_eq!(told, records);
}

#[test]
fn any_bit_flipped_anywhere_is_damage_in_its_line() {
    let written = Written::night();
    std::thread::scope(|scope| {
        for part in 0..4 {
            let written = &written;
            scope.spawn(move || {
                let dir = tempfile::tempdir().unwrap();
                let mut bytes = written.bytes.clone();
                for at in (part..bytes.len()).step_by(4) {
                    for bit in 0..8 {
                        bytes[at] ^= 1 << bit;
                        let line = written.whole_before(at) + 1;
                        let why = reading(dir.path(), &bytes).unwrap_err();
                        let place = format!("journal.jsonl:{line}: ");
                        assert!(why.contains(&place), "bit {bit} of byte {at}: {why}");
                        bytes[at] ^= 1 << bit;
                    }
                }
            });
        }
    });
}

#[test]
fn blocks_that_never_reached_the_disk_are_torn_only_in_what_was_written_last() {
    let dir = tempfile::tempdir().unwrap();
    // Batches longer than some blocks.
    let long = |events: Vec<Event>| {
        let question = "why? ".repeat(200);
        let slug = Slug::new("auth").unwrap();
        let mut events = events;
        events.insert(1, Event::Blocked { slug, question });
        events
    };
    let written = Written::of(night().into_iter().map(long).collect());
    let (length, last) = (written.bytes.len(), written.last_batch());
    let holes = |from: usize, to: usize| {
        let mut bytes = written.bytes.clone();
        bytes[from..to].fill(0);
        reading(dir.path(), &bytes)
    };
    let borders: Vec<usize> = (0..=length).step_by(512).collect();
    let mut torn = 0;
    for (n, from) in borders.iter().enumerate() {
        for to in borders[n + 1..].iter().chain([&length]) {
            let found = holes((*from).max(last).min(*to), *to);
            if *to > last {
                let whole = written.whole_before((*from).max(last));
                assert_eq!(
                    found.map(|(records, _)| records),
                    Ok(whole),
                    "{from} to {to}"
                );
                torn += 1;
            }
            // In what had been synced before, and with what came later still there.
            if *from < last && *to <= last {
                let why = holes(*from, *to).unwrap_err();
                let line = written.whole_before(*from) + 1;
                assert!(
                    why.contains(&format!("journal.jsonl:{line}: ")),
                    "{from} to {to}: {why}"
                );
            }
        }
    }
    assert!(torn > 2, "the last batch has blocks of its own");
    // Zeros that begin or end where no block does.
    for (from, to) in [
        (last + 9, length),
        (last, length - 9),
        (last + 9, last + 10),
    ] {
        assert!(holes(from, to).is_err(), "{from} to {to}");
    }
    // The file had grown, and nothing of what was written was there.
    let mut longer = written.bytes.clone();
    longer.resize(length + 5_000, 0);
    assert_eq!(
        reading(dir.path(), &longer),
        Ok((written.lines.len(), 5_000))
    );
}

#[test]
fn what_a_disk_or_a_person_leaves_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let written = Written::night();
    let (bytes, lines) = (&written.bytes, &written.lines);
    let table = [
        ("a block twice", [&bytes[..1024], &bytes[512..]].concat()),
        ("a block missing", [&bytes[..512], &bytes[1024..]].concat()),
        ("the first line missing", bytes[lines[0]..].to_vec()),
        (
            "a line twice",
            [&bytes[..lines[4]], &bytes[lines[3]..]].concat(),
        ),
        ("all of it twice", [&bytes[..], &bytes[..]].concat()),
        (
            "the last line twice",
            [&bytes[..], &bytes[lines[lines.len() - 2]..]].concat(),
        ),
        ("two lines exchanged", {
            let [a, b, c] = [lines[3], lines[4], lines[5]];
            [&bytes[..a], &bytes[b..c], &bytes[a..b], &bytes[c..]].concat()
        }),
        ("other text after it", [&bytes[..], b"hello\n"].concat()),
        ("another file", b"hello\nworld\n".to_vec()),
    ];
    for (name, bytes) in table {
        let why = reading(dir.path(), &bytes).expect_err(name);
        assert!(why.contains("this is damage"), "{name}: {why}");
        assert!(Journal::open(dir.path()).is_err(), "{name}");
        let after = std::fs::read(dir.path().join(FILE_NAME)).unwrap();
        assert_eq!(after, bytes, "{name}: nothing was changed");
    }
}

#[test]
fn on_request_the_records_before_the_damage_are_kept_and_all_of_it_beside() {
    let dir = tempfile::tempdir().unwrap();
    let written = Written::night();
    let path = dir.path().join(FILE_NAME);
    for round in 1..=2 {
        let mut bytes = written.bytes.clone();
        bytes[written.lines[6] + 20] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let aside = dir.path().join(format!("journal.jsonl.damaged-{round}"));
        let expected = Mended {
            kept: 7,
            line: 8,
            aside: aside.clone(),
        };
        assert_eq!(mend(dir.path()).unwrap(), Some(expected));
        assert_eq!(std::fs::read(&aside).unwrap(), bytes);
        assert_eq!(
            std::fs::read(&path).unwrap(),
            written.bytes[..written.lines[6]]
        );
        let (mut journal, contents) = Journal::open(dir.path()).unwrap();
        assert_eq!((contents.records.len(), contents.torn_bytes), (7, 0));
        journal.append(&[record(8)]).unwrap();
    }
}

#[test]
fn a_journal_that_is_only_torn_or_not_there_is_not_mended() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(mend(dir.path()).unwrap(), None);
    let torn = Written::night().bytes;
    let torn = &torn[..torn.len() - 9];
    std::fs::write(dir.path().join(FILE_NAME), torn).unwrap();
    assert_eq!(mend(dir.path()).unwrap(), None);
    assert_eq!(std::fs::read(dir.path().join(FILE_NAME)).unwrap(), torn);
}
