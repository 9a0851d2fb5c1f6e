//! Reading a journal again and again while a run appends to it: each look reads only what is new.

use super::JournalError;
use super::read::{Mark, scan_on};
use crate::model::Record;
use std::fs::File;
use std::io::{self, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// A reader that goes on where it stopped.
#[derive(Debug)]
pub struct Follower {
    path: PathBuf,
    /// Which file it has read of: device and number.
    file: Option<(u64, u64)>,
    mark: Mark,
}

/// What a look finds.
#[derive(Debug)]
pub enum News {
    /// What was told before does not count any more: all records follow, from the first on. That is so at the first look,
    /// and when another file has taken the place of the one that was read.
    Anew,
    /// The next record.
    Record(Box<Record>),
}

impl Follower {
    /// Follows the journal at `path` from a mark on: from its beginning, if that is [`Mark::default`].
    #[must_use]
    pub fn from(path: PathBuf, mark: Mark) -> Self {
        Self {
            path,
            file: None,
            mark,
        }
    }

    /// How far it has read.
    #[must_use]
    pub fn mark(&self) -> Mark {
        self.mark
    }

    /// Reads what has been appended since the last look, and tells it bit by bit. A line that is not whole yet is read at the
    /// next one.
    ///
    /// # Errors
    /// When the file system refuses or the journal is damaged.
    pub fn look(&mut self, mut tell: impl FnMut(News)) -> Result<(), JournalError> {
        let refused = |source| JournalError::Io {
            act: "read",
            path: self.path.clone(),
            source,
        };
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.file = None;
                self.begin_anew(&mut tell);
                return Ok(());
            }
            Err(error) => return Err(refused(error)),
        };
        let data = file.metadata().map_err(refused)?;
        let id = (data.dev(), data.ino());
        let is_same = self.file.is_none_or(|file| file == id) && data.len() >= self.mark.offset();
        self.file = Some(id);
        let mut reader = BufReader::with_capacity(1 << 16, file);
        let goes_on = is_same && self.mark != Mark::default();
        if goes_on && self.read(&mut reader, &mut tell).is_ok() {
            return Ok(());
        }
        // From the beginning; or what was read is not what stands there now.
        self.begin_anew(&mut tell);
        self.read(&mut reader, &mut tell)
    }

    fn begin_anew(&mut self, tell: &mut impl FnMut(News)) {
        self.mark = Mark::default();
        tell(News::Anew);
    }

    fn read(
        &mut self,
        reader: &mut BufReader<File>,
        tell: &mut impl FnMut(News),
    ) -> Result<(), JournalError> {
        let mut tell = |record| tell(News::Record(Box::new(record)));
        match scan_on(reader, &self.path, &mut self.mark, &mut tell)? {
            Some(found) if found.is_damage => Err(found.told(&self.path)),
            _ => Ok(()),
        }
    }
}
