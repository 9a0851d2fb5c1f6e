//! A bounded number of cases for every parser: its corpus, and what a few thousand blind changes make of it. Always the
//! same cases; `scripts/fuzz` looks for others.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]
#![cfg(feature = "fuzzing")]

use harness::fuzzing::ORACLES;
use std::panic::catch_unwind;
use std::path::Path;

/// Changed cases for each parser; `FUZZ_CASES` asks for more.
const CASES: usize = 2_000;
/// Longer cases are no better, only slower.
const LONGEST: usize = 2_048;

/// Words that parsers care about, of any of them.
const WORDS: &[&[u8]] = &[
    b"\0",
    b"\n",
    b"\r\n",
    b"\n\n",
    b"---\n",
    b"...",
    b": ",
    b"- ",
    b"&a ",
    b"*a",
    b"<<: ",
    b"|\n",
    b"!!str ",
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b"'",
    b"\\",
    b"\\u001b",
    b"\x1b[2J",
    b"\xc2\x9b",
    "\u{202e}".as_bytes(),
    "\u{e0041}".as_bytes(),
    b"\xff",
    b"depends_on: ",
    b"stuck: {limit: 3}",
    b"timeout: 1h",
    b"run:\n  parallel: 2\n",
    b"\"type\":\"result\"",
    b"\"is_error\":true",
    b"18446744073709551616",
    b"-1",
    b"1e309",
    b"\"seq\":1",
    b"\"v\":1",
    b"100644 ",
    b"u UU N... ",
    b"<<<<<<< ",
    b"://a:b@",
    b"https://",
    b"Harness-Feature: ",
    b"BLOCKED: ",
    b"```\n",
    b"s3cr3t/v4lue\"1",
];

/// A small generator of numbers (xorshift, Marsaglia), so that the cases are the same everywhere.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap() % limit.max(1)
    }

    fn changed(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut case = corpus[self.below(corpus.len())].clone();
        for _ in 0..=self.below(4) {
            let at = self.below(case.len() + 1);
            let end = (at + self.below(16)).min(case.len());
            match self.below(6) {
                0 => drop(case.drain(at..end)),
                1 => {
                    let word = WORDS[self.below(WORDS.len())];
                    drop(case.splice(at..at, word.iter().copied()));
                }
                2 => {
                    let again = case[at..end].to_vec();
                    drop(case.splice(at..at, again));
                }
                3 => {
                    let other = &corpus[self.below(corpus.len())];
                    let from = self.below(other.len());
                    case.truncate(at);
                    case.extend_from_slice(&other[from..]);
                }
                4 => case.truncate(at),
                _ => {
                    if let Some(byte) = case.get_mut(at) {
                        *byte ^= 1 << self.below(8);
                    }
                }
            }
        }
        case.truncate(LONGEST);
        case
    }
}

fn cases() -> usize {
    let asked = std::env::var("FUZZ_CASES").ok();
    asked.map_or(CASES, |asked| asked.parse().expect("a number of cases"))
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(name);
    let entries =
        std::fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let cases: Vec<_> = files
        .iter()
        .map(|file| std::fs::read(file).unwrap())
        .collect();
    assert!(!cases.is_empty(), "{name} has no corpus");
    cases
}

#[test]
fn what_must_hold_of_parsers_holds() {
    let broken: Vec<String> = std::thread::scope(|threads| {
        let spawn = |(name, oracle): &(&'static str, fn(&[u8]))| {
            let (name, oracle) = (*name, *oracle);
            threads.spawn(move || {
                let corpus = corpus(name);
                let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
                let changed = (0..cases()).map(|_| dice.changed(&corpus));
                let cases = corpus.iter().cloned().chain(changed);
                let mut broken = cases.filter(|case| catch_unwind(|| oracle(case)).is_err());
                broken
                    .next()
                    .map(|case| format!("{name}: {:?}", String::from_utf8_lossy(&case)))
            })
        };
        let running: Vec<_> = ORACLES.iter().map(spawn).collect();
        running
            .into_iter()
            .filter_map(|thread| thread.join().unwrap())
            .collect()
    });
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

#[test]
fn corpora_are_small_and_every_target_has_one() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let mut bytes = 0;
    for (name, _) in ORACLES {
        bytes += corpus(name).iter().map(Vec::len).sum::<usize>();
        let target = fuzz.join("fuzz_targets").join(format!("{name}.rs"));
        let text = std::fs::read_to_string(target).unwrap();
        assert!(text.contains(&format!("run(\"{name}\", data)")), "{name}");
    }
    let targets = std::fs::read_dir(fuzz.join("fuzz_targets"))
        .unwrap()
        .count();
    assert_eq!(targets, ORACLES.len());
    assert!(bytes < 300 << 10, "{bytes} bytes of corpora");
}
