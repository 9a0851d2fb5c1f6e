//! `harness logs`: a feature's log, or its agent's raw output, escaped for the terminal.

use super::args::LogsArgs;
use super::{Desk, desk::Failure, features, known, out};
use crate::core::{Stage, State, view};
use crate::driver::{self, Place, Watch, wall_clock};
use crate::model::{Problem, Slug};
use crate::report::{LogFile, Logs, logs_json};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

/// Pause between two looks of `--follow`.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

pub(super) fn logs(desk: &Desk, args: &LogsArgs) -> Result<u8, Failure> {
    let place = desk.place()?;
    let reading = place.read()?;
    let names = features(desk, &place, &reading.state);
    let slug = known(&args.slug, &names)?;
    if args.json {
        let found = Found {
            place: &place,
            slug: &slug,
        };
        out::json(&logs_json(&slug, &driver::runs(&place)?, &found))?;
        return Ok(0);
    }
    let file = |iteration: u32| -> PathBuf {
        if args.output {
            place.records(&slug, iteration).join("output.log")
        } else {
            place.state_dir.join(format!("{slug}.log"))
        }
    };
    let path = file(reading.state.last_iteration(&slug));
    if log_file(path.clone()).is_none() && !args.follow {
        let text = format!("`{slug}` has no log yet");
        return Err(Problem::error(text)
            .help("it gets one when its first iteration ends")
            .into());
    }
    let mut shown = print_from(&path, 0, !args.follow);
    if !args.follow {
        return Ok(0);
    }
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::new)?;
    let mut current = path;
    // One listener for all looks: what comes in the middle of one counts, too.
    let mut interrupt = runtime
        .block_on(async { signal(SignalKind::interrupt()) })
        .map_err(anyhow::Error::new)?;
    let mut journal = Watch::of(&place);
    loop {
        let interrupted = runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => true,
                () = tokio::time::sleep(LOOK_AGAIN) => false,
            }
        });
        if interrupted {
            return Ok(0);
        }
        let (_, live) = journal.look()?;
        let (ended, iteration) = progress(journal.state(), &slug);
        let over = ended || live.is_none();
        let path = file(iteration);
        if path != current {
            print_from(&current, shown, true);
            current = path;
            shown = 0;
        }
        shown = print_from(&current, shown, over);
        if over {
            return Ok(0);
        }
    }
}

/// The logs of a feature as they are in the state directory.
struct Found<'a> {
    place: &'a Place,
    slug: &'a Slug,
}

impl Logs for Found<'_> {
    fn of_feature(&self) -> Option<LogFile> {
        log_file(self.place.state_dir.join(format!("{}.log", self.slug)))
    }

    fn of_iteration(&self, number: u32) -> Vec<LogFile> {
        let entries = std::fs::read_dir(self.place.records(self.slug, number));
        let entries = entries.into_iter().flatten().flatten();
        let mut found: Vec<LogFile> = entries.filter_map(|entry| log_file(entry.path())).collect();
        found.sort_by(|one, other| one.path.cmp(&other.path));
        found
    }

    fn of_attempt(&self, number: u32) -> Vec<LogFile> {
        let gates = (0..).map_while(|reds| log_file(self.place.gate_log(number, reds)));
        log_file(self.place.made_log(number))
            .into_iter()
            .chain(gates)
            .collect()
    }
}

/// A file, through no link.
fn log_file(path: PathBuf) -> Option<LogFile> {
    let data = std::fs::symlink_metadata(&path).ok()?;
    let bytes = data.len();
    data.is_file().then_some(LogFile { path, bytes })
}

/// Opens such a file, and gives its length. Nothing else is opened: a pipe would keep this waiting for whoever writes to it.
pub(super) fn open_log(path: &Path) -> Option<(File, u64)> {
    let log = log_file(path.to_owned())?;
    Some((File::open(log.path).ok()?, log.bytes))
}

/// Whether nothing more will be added, and the last iteration's number.
fn progress(state: &State, slug: &Slug) -> (bool, u32) {
    let view = view(state, wall_clock());
    let stage = view
        .features
        .iter()
        .find(|feature| feature.slug == *slug)
        .map(|feature| feature.stage);
    let ended = stage.is_none_or(|stage| {
        stage.needs_a_person() || matches!(stage, Stage::Merged | Stage::LeftOut)
    });
    (ended, state.last_iteration(slug))
}

/// Prints what stands in the file after `from`; returns up to where. `all`: also the beginning of a character whose end has not
/// been written yet.
fn print_from(path: &Path, from: u64, all: bool) -> u64 {
    let Some((mut file, _)) = open_log(path) else {
        return from;
    };
    let mut bytes = Vec::new();
    let read = file
        .seek(SeekFrom::Start(from))
        .and_then(|_| file.read_to_end(&mut bytes));
    if read.is_err() {
        return from;
    }
    if !all {
        bytes.truncate(whole_characters(&bytes));
    }
    let text = String::from_utf8_lossy(&bytes);
    out::out(&text);
    from + u64::try_from(bytes.len()).unwrap_or(0)
}

/// How many bytes there are without the beginning of a character at their end.
fn whole_characters(bytes: &[u8]) -> usize {
    let last = bytes.utf8_chunks().last();
    let odd = last.map_or(&[][..], |chunk| chunk.invalid());
    match std::str::from_utf8(odd) {
        Err(error) if error.error_len().is_none() => bytes.len() - odd.len(),
        _ => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::whole_characters;

    #[test]
    fn a_character_is_not_printed_before_it_ends() {
        let text = "größer 日本 👩".as_bytes();
        for end in 0..=text.len() {
            let whole = whole_characters(&text[..end]);
            assert!(std::str::from_utf8(&text[..whole]).is_ok(), "{end}");
            assert!(end - whole < 4, "{end}");
        }
        assert_eq!(whole_characters(text), text.len());
        // What can never become a character is not waited for.
        for odd in [&b"a\xff"[..], b"\xc3(", b"\x80", b""] {
            assert_eq!(whole_characters(odd), odd.len(), "{odd:?}");
        }
        assert_eq!(whole_characters(b"\xffab\xe6\x97"), 3);
    }
}
