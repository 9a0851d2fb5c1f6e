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

/// What a look found.
#[derive(Debug, Default)]
pub struct News {
    /// Whether these are all records from the first on: at the first look, and when another file has taken the place of
    /// the one that was read.
    pub anew: bool,
    /// The records, in order.
    pub records: Vec<Record>,
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

    /// Reads what has been appended since the last look. A line that is not whole yet is read at the next one.
    ///
    /// # Errors
    /// When the file system refuses or the journal is damaged.
    pub fn look(&mut self) -> Result<News, JournalError> {
        let refused = |source| JournalError::Io {
            act: "read",
            path: self.path.clone(),
            source,
        };
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let anew = self.file.take().is_some() || self.mark.lines > 0;
                self.mark = Mark::default();
                return Ok(News {
                    anew,
                    records: Vec::new(),
                });
            }
            Err(error) => return Err(refused(error)),
        };
        let data = file.metadata().map_err(refused)?;
        let id = (data.dev(), data.ino());
        let is_same = self.file.is_none_or(|file| file == id) && data.len() >= self.mark.offset;
        self.file = Some(id);
        let mut reader = BufReader::with_capacity(1 << 16, file);
        if is_same
            && self.mark != Mark::default()
            && let Ok(records) = self.read(&mut reader)
        {
            return Ok(News {
                anew: false,
                records,
            });
        }
        // From the beginning; or what was read is not what stands there now.
        self.mark = Mark::default();
        let records = self.read(&mut reader)?;
        Ok(News {
            anew: true,
            records,
        })
    }

    fn read(&mut self, reader: &mut BufReader<File>) -> Result<Vec<Record>, JournalError> {
        let mut records = Vec::new();
        let mut mark = self.mark;
        match scan_on(reader, &self.path, &mut mark, &mut records)? {
            Some(found) if found.is_damage => Err(found.told(&self.path)),
            _ => {
                self.mark = mark;
                Ok(records)
            }
        }
    }
}
