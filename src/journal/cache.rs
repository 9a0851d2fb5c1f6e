//! Something that was made of a journal's records, kept beside it, so that whoever only looks need not read them all.
//!
//! Only ever a cache: it holds for exactly the bytes of the journal that it was made of, and for the program that made it.
//! Whatever is wrong with it, there is none. What is kept means nothing here.

use super::FILE_NAME;
use super::read::Mark;
use super::sum::Sum;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;

const CACHE_NAME: &str = "journal.cache";
/// A bigger one is none of ours.
const MOST_BYTES: u64 = 256 << 20;
/// How much of the journal is looked at at a time.
const BLOCK_BYTES: usize = 1 << 18;

/// What it was made of, and by whom.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    maker: String,
    mark: Mark,
    /// Of what is kept.
    kept: Sum,
}

/// Keeps `text`, made by `maker` of what was read or written before `mark` of the journal in `dir`.
///
/// # Errors
/// When the file system refuses; then nothing is kept, or what was.
pub fn keep(dir: &Path, maker: &str, mark: Mark, text: &[u8]) -> io::Result<()> {
    let head = Head {
        maker: maker.to_owned(),
        mark,
        kept: Sum::of(text),
    };
    // Named as a run's drafts are: the next run takes it away, should this process be killed now.
    let mut draft = tempfile::Builder::new()
        .prefix(&format!(".new-{}-", std::process::id()))
        .tempfile_in(dir)?;
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
    let is_whole = Sum::of(&text) == head.kept;
    let holds = is_whole && head.mark.fits(File::open(dir.join(FILE_NAME)).ok()?).ok()?;
    holds.then_some((head.mark, text))
}

impl Mark {
    /// Whether a journal still holds, before the mark, what was read there.
    fn fits(&self, journal: File) -> io::Result<bool> {
        let mut journal = journal.take(self.offset());
        let mut sum = Sum::default();
        let mut block = vec![0; BLOCK_BYTES];
        loop {
            match journal.read(&mut block)? {
                0 => return Ok(sum == self.sum),
                read => sum.add(&block[..read]),
            }
        }
    }
}
