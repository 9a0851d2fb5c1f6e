//! `harness report`: of the last run, another one, or one that is going on; and how two runs differ.

use super::args::{ReportArgs, ReportCommand, ReportDiffArgs, ReportFormat};
use super::desk::Failure;
use super::{Desk, out};
use crate::config::Flags;
use crate::core::RunHistory;
use crate::driver::{self, Place};
use crate::model::{Problem, RunId};
use crate::report;
use std::path::Path;

pub(super) fn report(desk: &Desk, args: &ReportArgs) -> Result<u8, Failure> {
    let place = desk.place()?;
    if let Some(ReportCommand::Diff(args)) = &args.command {
        return diff(&place, args);
    }
    // What the gates' commands are is all that is asked of it: where it is broken, that is told, and they are left out.
    let verify = match desk.load(&place, Flags::default()) {
        Ok(loaded) => loaded.config.verify.commands,
        Err(failure) => {
            super::desk::report(&failure, desk.colour);
            Vec::new()
        }
    };
    let run = args.run.as_deref().unwrap_or("latest");
    let morning = driver::report_on(&place, &verify, run)?;
    let state_dir = driver::shown_directory(&place);
    let named = args.format.or(args.json.then_some(ReportFormat::Json));
    let format = named.unwrap_or_else(|| by_name(args.out.as_deref()));
    let text = match format {
        ReportFormat::Md => report::morning_markdown(&morning, &state_dir),
        ReportFormat::Html => report::morning_html(&morning, &base(&place)),
        ReportFormat::Terminal => report::morning_text(&morning, &state_dir, out::columns()),
        ReportFormat::Json => {
            let value = report::morning_json(&morning);
            let text = serde_json::to_string_pretty(&value).map_err(anyhow::Error::new)?;
            format!("{}\n", out::ascii_where_it_acts(&text))
        }
    };
    match (&args.out, format) {
        (Some(file), _) => save(&desk.directory.join(file), &text)?,
        (None, ReportFormat::Terminal) => out::out(&text),
        (None, _) => out::document(&text),
    }
    Ok(0)
}

/// Without a format that is named, the file's name says it.
fn by_name(file: Option<&Path>) -> ReportFormat {
    let end = file.and_then(Path::extension).and_then(|end| end.to_str());
    match end {
        Some("md" | "markdown") => ReportFormat::Md,
        Some("html" | "htm") => ReportFormat::Html,
        Some("json") => ReportFormat::Json,
        _ => ReportFormat::Terminal,
    }
}

fn save(file: &Path, text: &str) -> Result<(), Failure> {
    let written = std::fs::write(file, text);
    written.map_err(|error| {
        let text = format!("cannot write {}: {error}", file.display());
        let help = "name a file in a directory that is there and that you may write to with --out";
        Problem::error(text).help(help).into()
    })
}

/// The state directory as an address that links can go on from.
fn base(place: &Place) -> String {
    let mut out = "file://".to_owned();
    for byte in place.state_dir.as_os_str().as_encoded_bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(*byte));
            }
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out.push('/');
    out
}

fn diff(place: &Place, args: &ReportDiffArgs) -> Result<u8, Failure> {
    let runs = driver::runs(place)?;
    let before = find(&runs, args.before.as_deref().unwrap_or("previous"))?;
    let after = find(&runs, args.after.as_deref().unwrap_or("latest"))?;
    match args.json {
        true => out::json(&report::run_diff_json(before, after))?,
        false => out::out(&report::run_diff_text(before, after)),
    }
    Ok(0)
}

/// The run that was named.
pub(super) fn find<'a>(runs: &'a [RunHistory], typed: &str) -> Result<&'a RunHistory, Failure> {
    let known: Vec<RunId> = runs.iter().map(|run| run.id.clone()).collect();
    let named = driver::named_run(&known, typed)?;
    // Of two runs of one name the later one counts.
    let found = runs.iter().rev().find(|run| run.id == named);
    found.ok_or_else(|| Problem::error("there is no such run").into())
}
