//! The command line: types, one file per command, the error desk, exit codes; builds the runtime.
//!
//! Everything a person types comes in here and everything a person reads goes out here. This room must
//! never decide what happens to a feature, and never touch git, processes or the journal itself.

mod apart;
mod args;
mod clean;
mod command;
mod config;
mod conflicts;
mod demo;
mod desk;
mod doctor;
mod explain;
#[cfg(feature = "fuzzing")]
mod fuzz;
mod graph;
mod init;
mod logs;
mod looks;
mod out;
mod plan;
mod prompt;
mod queue;
mod recover;
mod rehearse;
mod report;
mod run;
mod runs;
mod shell;
mod status;
mod terminal;
mod ui;
mod undo;
mod why;

use crate::config::{self as configuration, Config, Loaded};
use crate::core::State;
use crate::driver::{self, DriverError, Place};
use crate::fault;
use crate::model::{Code, Problem, Slug};
#[cfg(feature = "fuzzing")]
pub(crate) use fuzz::fuzz;

use args::{Args, Cli};
use clap::Parser;
use desk::Failure;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

/// What every command is given.
struct Desk {
    directory: PathBuf,
    config_file: Option<PathBuf>,
    colour: bool,
    env: BTreeMap<OsString, OsString>,
}

/// Parses the command line, runs the command and returns the exit code.
#[must_use]
pub fn main() -> u8 {
    if let Some(code) = shell::answered() {
        return code;
    }
    trace();
    let mut env = std::env::vars_os().collect();
    if let Err(why) = fault::arm(&mut env) {
        desk::show(&[Problem::error(why)], false);
        return desk::NOT_STARTED;
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return desk::usage(&error),
    };
    let desk = Desk {
        directory: cli.directory.unwrap_or_else(|| PathBuf::from(".")),
        config_file: cli.config,
        colour: out::colours(cli.color),
        env,
    };
    let result = match cli.command {
        Args::Init(args) => init::init(&desk, &args),
        Args::Run(args) => run::run(&desk, *args),
        Args::Attach => apart::attach(&desk),
        Args::Stop(args) => apart::stop(&desk, &args),
        Args::Plan(args) => plan::plan(&desk, args),
        Args::Status(args) => status::status(&desk, &args),
        Args::Ui => ui::ui(&desk),
        Args::Why(args) => why::why(&desk, &args),
        Args::Graph(args) => graph::graph(&desk, &args),
        Args::Logs(args) => logs::logs(&desk, &args),
        Args::Queue(args) => queue::queue(&desk, &args),
        Args::Report(args) => report::report(&desk, &args),
        Args::Runs(args) => runs::runs(&desk, &args),
        Args::Stats(args) => runs::stats(&desk, &args),
        Args::Recover(args) => recover::recover(&desk, &args),
        Args::Undo(args) => undo::undo(&desk, &args),
        Args::Retry(args) => command::retry(&desk, &args),
        Args::Unblock(args) => command::unblock(&desk, args),
        Args::Skip(args) => command::skip(&desk, &args),
        Args::Approve(args) => command::approve(&desk, &args),
        Args::Pause(args) => command::pause(&desk, &args),
        Args::Resume => command::resume(&desk),
        Args::Clean(args) => clean::clean(&desk, &args),
        Args::Conflicts(args) => conflicts::conflicts(&desk, &args),
        Args::Doctor(args) => doctor::doctor(&desk, &args),
        Args::Config(args) => config::config(&desk, &args),
        Args::Schema(args) => config::schema(&args),
        Args::Explain(args) => explain::explain(&args),
        Args::ExitCodes => explain::exit_codes(),
        Args::Prompt(args) => prompt::prompt(&desk, &args),
        Args::Completions(args) => shell::completions(&args),
        Args::Man(args) => shell::man(&args),
        Args::Demo(args) => demo::demo(&desk, &args),
        Args::DemoAgent => Ok(demo::agent()),
    };
    match result {
        Ok(code) => code,
        Err(failure) => desk::report(&failure, desk.colour),
    }
}

/// `HARNESS_TRACE=1`: what the program does, on stderr, for whoever mends it.
fn trace() {
    if std::env::var_os("HARNESS_TRACE").is_some_and(|value| !value.is_empty() && value != "0") {
        let subscriber = tracing_subscriber::fmt()
            .with_writer(std::io::stderr)
            .with_max_level(tracing::Level::TRACE)
            .finish();
        // It is the only subscriber; a second one could not be set, and there is none.
        let _ = tracing::subscriber::set_global_default(subscriber);
    }
}

impl Desk {
    fn place(&self) -> Result<Place, Failure> {
        let here = std::fs::canonicalize(&self.directory).map_err(|error| {
            let text = format!("cannot work in {}: {error}", self.directory.display());
            Failure::from(
                Problem::error(text)
                    .code(Code::Usage)
                    .help("name an existing directory with -C"),
            )
        })?;
        Ok(Place::find(&here)?)
    }

    /// The configuration; warnings go to the desk.
    fn config(&self, place: &Place, flags: configuration::Flags) -> Result<Config, Failure> {
        let loaded = self.load(place, flags)?;
        desk::show(&loaded.warnings, self.colour);
        Ok(loaded.config)
    }

    fn load(&self, place: &Place, flags: configuration::Flags) -> Result<Loaded, Failure> {
        let mut env = BTreeMap::new();
        for (name, value) in &self.env {
            if let (Some(name), Some(value)) = (name.to_str(), value.to_str()) {
                env.insert(name.to_owned(), value.to_owned());
            }
        }
        let file = match &self.config_file {
            Some(file) => Some(std::path::absolute(file).map_err(|source| DriverError::Io {
                act: "find",
                path: file.clone(),
                source,
            })?),
            None => None,
        };
        Ok(place.config(file, env, flags)?)
    }
}

/// Names of all features: those the journal knows and those that have a spec now.
fn features(desk: &Desk, place: &Place, state: &State) -> Vec<String> {
    let mut names: Vec<String> = state.slugs().map(Slug::to_string).collect();
    // Whether the specs are in order is not the question here.
    if let Ok(loaded) = desk.load(place, configuration::Flags::default())
        && let Ok(survey) = driver::survey(place, &loaded.config)
    {
        names.extend(survey.features.iter().map(|spec| spec.slug.to_string()));
    }
    names.sort();
    names.dedup();
    names
}

/// A feature's name as typed, checked against those that exist.
fn known(typed: &str, features: &[String]) -> Result<Slug, Failure> {
    let features: Vec<&str> = features.iter().map(String::as_str).collect();
    if let (true, Ok(slug)) = (features.contains(&typed), Slug::new(typed)) {
        return Ok(slug);
    }
    let shown = typed.escape_debug();
    let problem = Problem::error(format!("there is no feature `{shown}`"))
        .code(Code::UnknownFeature)
        .file("command line");
    let near = configuration::nearest(typed, features.iter().copied());
    let help = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`harness plan` lists all features".to_owned(),
    };
    Err(problem.help(help).into())
}
