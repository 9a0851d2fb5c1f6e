//! The morning report: gathers what git and the state directory know of a run, and writes the files.
//!
//! What it says is composed in `report`. A report that cannot be written harms nothing: whoever asked is told. This file
//! must never write anywhere but below `reports/`, and never through a link.

use super::error::DriverError;
use super::place::Place;
use crate::config::{Config, nearest};
use crate::core::{RunHistory, Told, histories, history_of, run_ids};
use crate::fault::{self, Point};
use crate::model::{Event, Problem, Record, RunId, Slug};
use crate::process::Secrets;
use crate::report::{
    Changed, Facts, Morning, morning, morning_html, morning_json, morning_markdown,
};
use jiff::tz::TimeZone;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

/// So much of a gate's log is read for the commands that it shows.
const LOG_CAP_BYTES: u64 = 4 * 1024 * 1024;
/// Retries of a gate whose logs are looked for.
const RETRIES_MOST: u32 = 10;
/// The end of a file's name while it is being written.
const DRAFT: &str = ".new";
/// Beside the name of a run, the report of the last one.
const LATEST: &str = "latest";

/// What happened in each run of the journal, first to last.
///
/// # Errors
/// When the journal cannot be read.
pub fn runs(place: &Place) -> Result<Vec<RunHistory>, DriverError> {
    Ok(histories(&records(place)?))
}

/// The run that is going on, if one is.
#[must_use]
pub fn living_run(place: &Place) -> Option<RunId> {
    let holder = place.run()?;
    let run = holder.doing.strip_prefix("run ")?;
    Some(RunId(run.to_owned()))
}

/// The name of a run, as typed: whole, the beginning of one, `latest` or `previous`.
///
/// # Errors
/// When there is no such run, or several.
pub fn named_run(known: &[RunId], typed: &str) -> Result<RunId, DriverError> {
    let from_end = |n: usize| known.len().checked_sub(n).and_then(|at| known.get(at));
    let alike = || known.iter().filter(|run| run.0.starts_with(typed));
    let found = match typed {
        LATEST => from_end(1),
        "previous" => from_end(2),
        _ => known.iter().find(|run| run.0 == typed).or_else(|| {
            let mut alike = alike();
            alike.next().filter(|_| alike.next().is_none())
        }),
    };
    if let Some(run) = found {
        return Ok(run.clone());
    }
    let shown = typed.escape_debug();
    let (text, help) = match (known.len(), alike().count()) {
        (0, _) => return Err(no_run()),
        (1, _) if typed == "previous" => {
            let text = "there is only one run, and so none before it".to_owned();
            (text, "`harness runs` lists all".to_owned())
        }
        (_, 2..) => {
            let text = format!("several runs begin with `{shown}`");
            (text, "`harness runs` lists them".to_owned())
        }
        _ => {
            let near = nearest(typed, known.iter().map(|run| run.0.as_str()));
            let help = near.map(|near| format!("did you mean `{near}`? `harness runs` lists all"));
            let help = help.unwrap_or_else(|| "`harness runs` lists all".to_owned());
            (format!("there is no run `{shown}`"), help)
        }
    };
    Err(DriverError::problem(
        Problem::error(text).help(help).file("command line"),
    ))
}

fn no_run() -> DriverError {
    let help = "`harness run` begins one";
    DriverError::problem(Problem::error("there is no run yet").help(help))
}

/// The report of a run; see [`named_run`]. `verify` are the commands that gates have now.
///
/// # Errors
/// When the journal cannot be read or there is no such run.
pub fn report_on(place: &Place, verify: &[String], typed: &str) -> Result<Morning, DriverError> {
    let records = records(place)?;
    let run = named_run(&run_ids(&records), typed)?;
    let holder = place
        .run()
        .filter(|_| living_run(place).as_ref() == Some(&run));
    let live = holder.map(|holder| format!("process {} on {}", holder.pid, holder.host));
    let told = history_of(&records, &run).ok_or_else(no_run)?;
    Ok(compose(place, verify, &told, live))
}

/// The run that a process before this one began and did not end.
pub(super) fn cut_off(records: &[Record]) -> Option<RunId> {
    let last = records.iter().rev().find_map(|record| match &record.event {
        Event::RunStarted { run, .. } => Some(Some(run.clone())),
        Event::RunEnded { .. } => Some(None),
        _ => None,
    });
    last.flatten()
}

/// Writes the report of a run as HTML, Markdown and JSON, and tells where the first of them is; `None`: the journal has
/// no such run.
///
/// # Errors
/// When the journal cannot be read, or a file not be written.
pub(super) fn write(
    place: &Place,
    config: &Config,
    run: &RunId,
    secrets: &Secrets,
) -> Result<Option<PathBuf>, DriverError> {
    let Some(told) = history_of(&records(place)?, run) else {
        return Ok(None);
    };
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if !run.0.chars().all(is_plain) {
        let text = format!(
            "the name of run `{}` is no name for a file",
            run.0.escape_debug()
        );
        return Err(DriverError::problem(Problem::error(text)));
    }
    let morning = compose(place, &config.verify.commands, &told, None);
    let state_dir = shown_directory(place);
    let json = serde_json::to_string_pretty(&morning_json(&morning))
        .map_err(|error| DriverError::io("write", place.reports())(error.into()))?;
    let texts = [
        ("html", morning_html(&morning, "../")),
        ("md", morning_markdown(&morning, &state_dir)),
        ("json", format!("{json}\n")),
    ];
    let directory = place.reports();
    make(&directory)?;
    clear_drafts(&directory)?;
    for (end, text) in &texts {
        let text = secrets.hide(text);
        for name in [run.0.as_str(), LATEST] {
            put(&directory, &format!("{name}.{end}"), &text)?;
        }
    }
    Ok(Some(directory.join(format!("{run}.html"))))
}

/// The time zone of whoever looks.
#[must_use]
pub fn local_zone() -> TimeZone {
    TimeZone::system()
}

/// The state directory as it is to be shown: below the repository if it is there.
#[must_use]
pub fn shown_directory(place: &Place) -> String {
    let below = place.state_dir.strip_prefix(place.repo.root());
    below.unwrap_or(&place.state_dir).display().to_string()
}

fn records(place: &Place) -> Result<Vec<Record>, DriverError> {
    Ok(place.contents()?.records)
}

fn compose(place: &Place, verify: &[String], told: &Told, live: Option<String>) -> Morning {
    let mut changes = BTreeMap::new();
    let mut commands = BTreeMap::new();
    for (slug, landing) in told.run.landed() {
        if !landing.empty
            && let Some(changed) = changed(place, &landing.commit)
        {
            changes.insert(slug.clone(), changed);
        }
        if let Some(attempt) = landing.attempt {
            let known = commands_of(place, verify, told, attempt);
            commands.entry(attempt).or_insert(known);
        }
    }
    let facts = Facts {
        live,
        changes,
        commands,
        zone: TimeZone::system(),
    };
    let mut morning = morning(told, &facts);
    morning.keep_links(|path| place.state_dir.join(path).is_file());
    morning
}

/// What a landed commit changed. A report is made without what git cannot say any more.
fn changed(place: &Place, commit: &crate::model::Oid) -> Option<Changed> {
    let found = place.repo.changes(commit).ok()??;
    Some(Changed {
        files: found.stat.files,
        insertions: found.stat.insertions,
        deletions: found.stat.deletions,
        removed: found.removed,
    })
}

/// Of the verify commands that are set, those which an attempt's log shows: the configuration may be another one now.
fn commands_of(place: &Place, verify: &[String], told: &Told, attempt: u32) -> Vec<String> {
    let spans = told.run.attempts.iter();
    let members = spans.filter(|span| span.number == attempt);
    let members: BTreeSet<&Slug> = members.flat_map(|span| &span.members).collect();
    let own = members
        .iter()
        .filter_map(|slug| told.run.features.get(*slug));
    let own = own.flat_map(|figures| &figures.verify);
    // Of a gate that was run again, the last one passed.
    let logs = (0..RETRIES_MOST).rev();
    let mut logs = logs.filter_map(|reds| File::open(place.gate_log(attempt, reds)).ok());
    let Some(file) = logs.next() else {
        return Vec::new();
    };
    let lines = BufReader::new(file.take(LOG_CAP_BYTES)).split(b'\n');
    let lines = lines.map_while(Result::ok);
    let run: BTreeSet<Vec<u8>> = lines.filter(|line| line.starts_with(b"$ ")).collect();
    let shows = |command: &&String| {
        // Of a command of several lines the first tells.
        let first = command.lines().next().unwrap_or_default();
        run.contains(format!("$ {first}").as_bytes())
    };
    verify.iter().chain(own).filter(shows).cloned().collect()
}

/// The directory, which must not lead elsewhere.
fn make(directory: &Path) -> Result<(), DriverError> {
    let made = fault::at(Point::StateCreate).and_then(|()| fs::create_dir_all(directory));
    made.and_then(|()| match fs::symlink_metadata(directory)?.is_dir() {
        true => Ok(()),
        false => Err(io::Error::other("it is a link to somewhere else")),
    })
    .map_err(DriverError::io("create", directory))
}

/// Removes what a process that died was writing; whoever writes here has the run's lock.
fn clear_drafts(directory: &Path) -> Result<(), DriverError> {
    let cleared = fs::read_dir(directory).and_then(|entries| {
        for entry in entries {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            if name.is_some_and(|name| name.starts_with('.') && name.ends_with(DRAFT)) {
                fault::at(Point::StateRemove).and_then(|()| fs::remove_file(&path))?;
            }
        }
        Ok(())
    });
    cleared.map_err(DriverError::io("clear up", directory))
}

/// Puts a whole file in place of whatever has its name: who looks at it never sees a half.
fn put(directory: &Path, name: &str, text: &str) -> Result<(), DriverError> {
    let path = directory.join(name);
    let draft = directory.join(format!(".{name}{DRAFT}"));
    let written = fault::at(Point::StateCreate)
        .and_then(|()| File::create_new(&draft))
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .and_then(|()| fs::rename(&draft, &path));
    written.map_err(DriverError::io("write", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Vec<RunId> {
        let names = [
            "20261123-221530-4f2a",
            "20261124-221530-0001",
            "20261124-230000-0002",
        ];
        names.map(|name| RunId(name.to_owned())).to_vec()
    }

    #[test]
    fn a_run_is_known_by_its_name_its_beginning_or_its_place() {
        let named = |typed: &str| named_run(&known(), typed).map(|run| run.0);
        assert_eq!(named("latest").unwrap(), "20261124-230000-0002");
        assert_eq!(named("previous").unwrap(), "20261124-221530-0001");
        assert_eq!(named("20261123").unwrap(), "20261123-221530-4f2a");
        assert_eq!(
            named("20261124-221530-0001").unwrap(),
            "20261124-221530-0001"
        );
        let several = named("20261124").unwrap_err().to_string();
        assert!(several.contains("several runs begin with"), "{several}");
        let none = named("2027").unwrap_err().to_string();
        assert!(none.contains("no run `2027`"), "{none}");
        let only = named_run(&known()[..1], "previous").unwrap_err();
        assert!(only.to_string().contains("only one run"), "{only}");
        let empty = named_run(&[], LATEST).unwrap_err().to_string();
        assert!(empty.contains("no run yet"), "{empty}");
    }

    #[test]
    fn a_report_goes_through_no_link_and_replaces_what_has_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let elsewhere = dir.path().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        let reports = dir.path().join("reports");
        std::os::unix::fs::symlink(&elsewhere, &reports).unwrap();
        let refused = make(&reports).unwrap_err().to_string();
        assert!(refused.contains("link to somewhere else"), "{refused}");
        fs::remove_file(&reports).unwrap();
        make(&reports).unwrap();
        let mine = dir.path().join("mine");
        fs::write(&mine, "mine").unwrap();
        for name in ["a.md", ".a.md.new", ".old.html.new"] {
            std::os::unix::fs::symlink(&mine, reports.join(name)).unwrap();
        }
        clear_drafts(&reports).unwrap();
        put(&reports, "a.md", "text").unwrap();
        assert_eq!(fs::read_to_string(&mine).unwrap(), "mine");
        assert_eq!(fs::read_to_string(reports.join("a.md")).unwrap(), "text");
        assert!(!reports.join("a.md").is_symlink());
        assert_eq!(fs::read_dir(&reports).unwrap().count(), 1);
    }
}
