//! The grammar of the commands that only look, as clap types: the other part of [`args`](super::args).
//!
//! This file never does what a command says.

use super::shell;
use clap::{Args as ClapArgs, Subcommand, ValueEnum};
use clap_complete::ArgValueCandidates;
use std::path::PathBuf;

#[derive(Debug, ClapArgs)]
pub(super) struct StatusArgs {
    /// For programs
    #[arg(long, conflicts_with_all = ["watch", "plain"])]
    pub(super) json: bool,
    /// Keep showing until the run ends
    #[arg(short, long)]
    pub(super) watch: bool,
    /// One line a feature even on a terminal
    #[arg(long)]
    pub(super) plain: bool,
}

#[derive(Debug, ClapArgs)]
pub(super) struct LogsArgs {
    /// Which feature
    #[arg(add = ArgValueCandidates::new(shell::slugs))]
    pub(super) slug: String,
    /// Keep showing what is added, until the feature ends
    #[arg(short, long)]
    pub(super) follow: bool,
    /// The agent's raw output of its last iteration instead
    #[arg(long)]
    pub(super) output: bool,
    /// For programs: which logs there are, of which iterations and attempts
    #[arg(long, conflicts_with_all = ["follow", "output"])]
    pub(super) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(super) struct WhyArgs {
    /// Which feature
    #[arg(add = ArgValueCandidates::new(shell::slugs))]
    pub(super) slug: String,
    /// For programs
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(super) struct GraphArgs {
    /// How to draw it
    #[arg(long, value_name = "FORMAT", default_value = "terminal")]
    pub(super) format: GraphFormat,
    /// For programs
    #[arg(long, conflicts_with = "format")]
    pub(super) json: bool,
}

/// How a graph is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum GraphFormat {
    /// A tree for people
    Terminal,
    /// For Graphviz
    Dot,
    /// For Mermaid, in Markdown
    Mermaid,
}

#[derive(Debug, ClapArgs)]
pub(super) struct QueueArgs {
    /// For programs
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(super) struct ConflictsArgs {
    /// For programs
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, ClapArgs)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct ReportArgs {
    #[command(subcommand)]
    pub(super) command: Option<ReportCommand>,
    /// Which run: its name, the beginning of it, `latest` or `previous`; the last one unless named
    pub(super) run: Option<String>,
    /// How; by the file's name, or for a terminal, unless named
    #[arg(long, value_name = "HOW")]
    pub(super) format: Option<ReportFormat>,
    /// The same as `--format json`
    #[arg(long, conflicts_with = "format")]
    pub(super) json: bool,
    /// Write it into this file
    #[arg(long, value_name = "FILE")]
    pub(super) out: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(super) enum ReportCommand {
    /// Show how two runs differ: what landed, what needs you, cost, time
    Diff(ReportDiffArgs),
}

#[derive(Debug, ClapArgs)]
pub(super) struct ReportDiffArgs {
    /// The earlier run; the last but one unless named
    pub(super) before: Option<String>,
    /// The later run; the last one unless named
    pub(super) after: Option<String>,
    /// For programs
    #[arg(long)]
    pub(super) json: bool,
}

/// Formats of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ReportFormat {
    /// For a pull request or a chat
    Md,
    /// One page, for a browser
    Html,
    /// For programs
    Json,
    /// For a terminal
    Terminal,
}

#[derive(Debug, ClapArgs)]
pub(super) struct RunsArgs {
    /// For programs
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(super) struct StatsArgs {
    /// For programs
    #[arg(long)]
    pub(super) json: bool,
    /// Of one run only: its name, the beginning of it, `latest` or `previous`
    #[arg(long, value_name = "RUN")]
    pub(super) run: Option<String>,
}
