//! Text files: create once, append whole, read the end. Regular files only, synced before it returns.
//!
//! Knows nothing about what stands in them.

use super::{LearningsError, Result, failed};
use crate::fault::{self, Point};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

/// What the names of files that are not whole yet begin with; the number of who writes them follows.
const DRAFT: &str = ".new-";

/// How far back the end of a write that was cut off is looked for.
const LONGEST: usize = 1 << 16;

/// Removes what was being created when its writer died.
pub(super) fn clear_drafts(dir: &Path, is_alive: impl Fn(u32) -> bool) -> Result<()> {
    for entry in fs::read_dir(dir).map_err(failed("read", dir))? {
        let entry = entry.map_err(failed("read", dir))?;
        let name = entry.file_name();
        let whose = name.to_str().and_then(|name| name.strip_prefix(DRAFT));
        let whose = whose.and_then(|rest| rest.split('-').next()?.parse().ok());
        if whose.is_some_and(|pid| !is_alive(pid)) {
            let path = entry.path();
            fault::at(Point::MemoryRemove)
                .and_then(|()| fs::remove_file(&path))
                .map_err(failed("remove", &path))?;
        }
    }
    Ok(())
}

/// Creates the file with all of its content or not at all; leaves whatever stands there. Says whether
/// it was made.
pub(super) fn create(path: &Path, content: &str) -> Result<bool> {
    if fs::symlink_metadata(path).is_ok() {
        return Ok(false);
    }
    let dir = path.parent().unwrap_or(Path::new("."));
    let made = || -> io::Result<bool> {
        fault::at(Point::MemoryCreate)?;
        let mut temporary = tempfile::Builder::new()
            .prefix(&format!("{DRAFT}{}-", std::process::id()))
            .permissions(Permissions::from_mode(0o644))
            .tempfile_in(dir)?;
        temporary.write_all(content.as_bytes())?;
        temporary.as_file().sync_all()?;
        fault::at(Point::MemoryRename)?;
        match temporary.persist_noclobber(path) {
            Ok(_) => Ok(true),
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error.error),
        }
    };
    let made = made().map_err(failed("create", path))?;
    fault::past(Point::MemoryCreated);
    sync_dir(dir)?;
    Ok(made)
}

/// Appends `text` on a line of its own, all of it or nothing, and syncs. Creates the file if missing.
pub(super) fn append(path: &Path, text: &str) -> Result<()> {
    fault::at(Point::MemoryAppend).map_err(failed("append to", path))?;
    let (file, made) = match open(path, OpenOptions::new().read(true).append(true))? {
        Some(file) => (file, false),
        None => {
            let mut options = OpenOptions::new();
            options.read(true).append(true).create_new(true);
            (options.open(path).map_err(failed("create", path))?, true)
        }
    };
    append_whole(&file, text).map_err(failed("append to", path))?;
    if made {
        sync_dir(path.parent().unwrap_or(Path::new(".")))?;
    }
    Ok(())
}

fn append_whole(mut file: &File, text: &str) -> io::Result<()> {
    let mut len = file.metadata()?.len();
    let mut bytes = Vec::with_capacity(text.len() + 1);
    let mut last = last_line(file, len, text.len().max(LONGEST))?;
    // Zeros are what a power cut leaves of a write whose length was stored and whose bytes were not.
    let written = last.iter().rposition(|byte| *byte != 0);
    let zeros = last.split_off(written.map_or(0, |at| at + 1)).len();
    if zeros > 0 {
        len -= zeros as u64;
        file.set_len(len)?;
    }
    match last {
        last if last.is_empty() => {}
        // A writer that died has begun this very line.
        last if text.as_bytes().starts_with(&last) => {
            len -= last.len() as u64;
            file.set_len(len)?;
        }
        _ => bytes.push(b'\n'),
    }
    bytes.extend_from_slice(text.as_bytes());
    // All of it at once: a kill hardly ever leaves a part, and what a full disk leaves is undone.
    let written = fault::write(Point::MemoryWrite, &mut file, &bytes)
        .and_then(|()| fault::at(Point::MemorySync))
        .and_then(|()| file.sync_all());
    if written.is_err() {
        file.set_len(len)?;
    }
    written?;
    fault::past(Point::MemoryAppended);
    Ok(())
}

/// What stands after the last line end of a file of `len` bytes; of a line that is longer than `cap`, its end and one
/// byte more.
fn last_line(mut file: &File, len: u64, cap: usize) -> io::Result<Vec<u8>> {
    let start = len.saturating_sub(cap as u64 + 1);
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(start))?;
    file.read_to_end(&mut bytes)?;
    let end = bytes.iter().rposition(|&byte| byte == b'\n');
    Ok(bytes.split_off(end.map_or(0, |end| end + 1)))
}

/// Removes the last `count` bytes.
pub(super) fn cut(path: &Path, count: usize) -> Result<()> {
    let Some(file) = open(path, OpenOptions::new().write(true))? else {
        return Ok(());
    };
    let cut = || -> io::Result<()> {
        fault::at(Point::MemoryCut)?;
        let len = file.metadata()?.len();
        file.set_len(len.saturating_sub(count as u64))?;
        file.sync_all()
    };
    cut().map_err(failed("cut", path))
}

/// The last `cap` bytes, from the first whole line on; empty when the file is missing.
pub(super) fn tail(path: &Path, cap: usize) -> Result<Vec<u8>> {
    steady_tail(path, cap, 1)
}

/// As [`tail`], and it begins at a multiple of `step`: while a file grows it begins where it began, and now and then a
/// whole step later.
pub(super) fn steady_tail(path: &Path, cap: usize, step: usize) -> Result<Vec<u8>> {
    let Some(mut file) = open(path, OpenOptions::new().read(true))? else {
        return Ok(Vec::new());
    };
    let mut bytes = Vec::new();
    let mut read = || -> io::Result<bool> {
        let len = file.metadata()?.len();
        let start = len.saturating_sub(cap as u64).next_multiple_of(step as u64);
        file.seek(SeekFrom::Start(start))?;
        (&file).take(cap as u64).read_to_end(&mut bytes)?;
        Ok(start > 0)
    };
    let is_cut = read().map_err(failed("read", path))?;
    let first_end = bytes.iter().position(|&byte| byte == b'\n');
    match first_end {
        // A single line longer than the cap is better shown in part than not at all.
        Some(end) if is_cut && end + 1 < bytes.len() => Ok(bytes.split_off(end + 1)),
        _ => Ok(bytes),
    }
}

/// The first `cap` bytes; empty when the file is missing.
pub(super) fn head(path: &Path, cap: u64) -> Result<String> {
    let Some(file) = open(path, OpenOptions::new().read(true))? else {
        return Ok(String::new());
    };
    let mut bytes = Vec::new();
    file.take(cap)
        .read_to_end(&mut bytes)
        .map_err(failed("read", path))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Opens a regular file and nothing else: a link could lead anywhere, a FIFO would block for ever.
fn open(path: &Path, options: &OpenOptions) -> Result<Option<File>> {
    let seen = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("read", path)(error)),
        Ok(meta) => meta,
    };
    let not_a_file = || LearningsError::NotAFile {
        path: path.to_owned(),
    };
    if !seen.is_file() {
        return Err(not_a_file());
    }
    let file = options.open(path).map_err(failed("open", path))?;
    let opened = file.metadata().map_err(failed("read", path))?;
    if (opened.dev(), opened.ino()) != (seen.dev(), seen.ino()) {
        return Err(not_a_file());
    }
    Ok(Some(file))
}

/// Makes a created, renamed or removed name last.
pub(super) fn sync_dir(dir: &Path) -> Result<()> {
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(failed("sync", dir))
}
