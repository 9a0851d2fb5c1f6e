//! Something that was made of a journal's records, kept beside it, so that whoever only looks need not read them all.
//!
//! Only ever a cache: it holds for exactly the bytes of the journal that it was made of, and for the program that made it.
//! Whatever is wrong with it, there is none. What is kept means nothing here.

use super::FILE_NAME;
use super::read::Mark;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use tempfile::NamedTempFile;

const CACHE_NAME: &str = "journal.cache";
/// A bigger one is none of ours.
const MOST_BYTES: u64 = 256 << 20;

/// What it was made of, and by whom.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    maker: String,
    mark: Mark,
    /// Of the journal's bytes before the mark.
    journal: u64,
    /// Of what is kept.
    kept: u64,
}

/// Keeps `text`, made by `maker` of what stands before `mark` in the journal in `dir`.
///
/// # Errors
/// When the file system refuses; then nothing is kept, or what was.
pub fn keep(dir: &Path, maker: &str, mark: Mark, text: &[u8]) -> io::Result<()> {
    let head = Head {
        maker: maker.to_owned(),
        mark,
        journal: sum(File::open(dir.join(FILE_NAME))?.take(mark.offset))?.0,
        kept: sum(text)?.0,
    };
    let mut draft = NamedTempFile::new_in(dir)?;
    serde_json::to_writer(&mut draft, &head)?;
    draft.write_all(b"\n")?;
    draft.write_all(text)?;
    draft
        .persist(dir.join(CACHE_NAME))
        .map_err(|error| error.error)?;
    Ok(())
}

/// What `maker` keeps of the journal in `dir`, as that stands now, and how far it was read for it.
#[must_use]
pub fn kept(dir: &Path, maker: &str) -> Option<(Mark, Vec<u8>)> {
    let path = dir.join(CACHE_NAME);
    // What somebody else has put in its place may never come to an end.
    let about = path.symlink_metadata().ok()?;
    if !about.is_file() || about.len() > MOST_BYTES {
        return None;
    }
    let mut file = BufReader::new(File::open(path).ok()?);
    let mut line = Vec::new();
    file.by_ref().take(4096).read_until(b'\n', &mut line).ok()?;
    let head: Head = serde_json::from_slice(&line).ok()?;
    if head.maker != maker {
        return None;
    }
    let mut text = Vec::new();
    file.read_to_end(&mut text).ok()?;
    let journal = File::open(dir.join(FILE_NAME)).ok()?.take(head.mark.offset);
    let is_whole = sum(text.as_slice()).ok()?.0 == head.kept;
    let holds = is_whole && sum(journal).ok()? == (head.journal, head.mark.offset);
    holds.then_some((head.mark, text))
}

/// A sum of all bytes, and how many they are. Four words at a time: it is taken of all of the journal at every look.
fn sum(mut bytes: impl Read) -> io::Result<(u64, u64)> {
    const PRIME: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut lanes = [1_u64, 2, 3, 4];
    let mut block = vec![0; 1 << 18];
    let mut length = 0;
    loop {
        let mut filled = 0;
        while filled < block.len() {
            match bytes.read(&mut block[filled..])? {
                0 => break,
                more => filled += more,
            }
        }
        length += u64::try_from(filled).unwrap_or(u64::MAX);
        // The rest of the last block is as it was: the length tells that apart.
        block[filled..].fill(0);
        for words in block[..filled.next_multiple_of(32)].chunks_exact(32) {
            for (lane, word) in lanes.iter_mut().zip(words.chunks_exact(8)) {
                let word = u64::from_le_bytes(word.try_into().unwrap_or_default());
                *lane = (*lane ^ word).wrapping_mul(PRIME).rotate_left(29);
            }
        }
        if filled < block.len() {
            let all = lanes.iter().fold(length, |all, lane| {
                (all ^ lane).wrapping_mul(PRIME).rotate_left(31)
            });
            return Ok((all, length));
        }
    }
}
