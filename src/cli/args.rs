//! The command line's grammar, as clap types; also the source of completions and man pages.

pub(super) use super::looks::*;
use super::shell;
use crate::config::Flags;
use crate::report::codes_table;
use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use clap_complete::engine::ArgValueCandidates;
use std::path::PathBuf;

/// Burns down a backlog of feature specs with headless coding agents, several at once, each in its own
/// git worktree, and merges what survives verification.
#[derive(Debug, Parser)]
#[command(
    name = "harness",
    version,
    arg_required_else_help = true,
    max_term_width = 100
)]
pub(super) struct Cli {
    /// Work as if started in this directory
    #[arg(short = 'C', long, global = true, value_name = "DIR")]
    pub(super) directory: Option<PathBuf>,
    /// Read this file instead of harness.yaml
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Use colours
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(super) color: When,
    #[command(subcommand)]
    pub(super) command: Args,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum When {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// What `harness help exit-codes` says.
fn codes_about() -> String {
    format!("What the exit codes of a run mean:\n\n{}", codes_table())
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(super) enum Args {
    /// Look at the checkout, write a harness.yaml for it, and say what comes next
    Init(InitArgs),
    /// Run the backlog until nothing more can be done
    Run(Box<RunArgs>),
    /// Show the run that is under way, and how it ends; Ctrl-C leaves it
    Attach,
    /// End the run that is under way: it starts nothing new and ends when what is under way has ended
    Stop(StopArgs),
    /// Show the order in which features will be worked on, and what each waits for
    Plan(PlanArgs),
    /// Show where every feature stands
    Status(StatusArgs),
    /// Show all of a run on one screen, with keys for what a person can do; leaving it never stops the run
    Ui,
    /// Show why a feature is not running or not merged, down to the last reason
    Why(WhyArgs),
    /// Show who needs whom, where each stands, and the chain that decides how long the rest takes
    Graph(GraphArgs),
    /// Show a feature's log
    Logs(LogsArgs),
    /// Show the merge queue: what is being tried, who comes next, who waits for what
    Queue(QueueArgs),
    /// Show which unfinished features would conflict with each other or with what has landed
    Conflicts(ConflictsArgs),
    /// Show the report of a run: what landed, what needs you, what took the time, what it cost
    Report(ReportArgs),
    /// List all runs
    Runs(RunsArgs),
    /// Show what features and agents came to: calls, time, cost, first claims that landed
    Stats(StatsArgs),
    /// List what was kept of a feature, or bring one state of it back beside the project
    Recover(RecoverArgs),
    /// Take back what a feature landed, with one commit; not verified before the next run
    Undo(UndoArgs),
    /// Put a tripped, failed, parked or blocked feature back in the queue, or one that was left out
    Retry(RetryArgs),
    /// Answer a blocked feature, or say what is to be changed of one that waits for a review
    Unblock(UnblockArgs),
    /// Leave features out until `retry`; what an agent is doing for one is stopped and kept
    Skip(SkipArgs),
    /// Let features land that wait for a review, as their branches stand now
    Approve(ApproveArgs),
    /// Start nothing new (writes the HALT file)
    Pause(PauseArgs),
    /// Go on (removes the HALT file)
    Resume,
    /// Remove worktrees and landed branches; keeps all unmerged work but what git ignores
    Clean(CleanArgs),
    /// Look for what is wrong here and what a killed run has left; exit code 1 if something is to be put right
    Doctor(DoctorArgs),
    /// Show the resolved configuration
    Config(ConfigArgs),
    /// Print the JSON Schema of harness.yaml, or of what a command prints with --json
    Schema(SchemaArgs),
    /// Say what a code means that was printed with a problem, a reason or a finding, and what to do
    Explain(ExplainArgs),
    /// What the exit codes of a run mean
    #[command(hide = true, long_about = codes_about())]
    ExitCodes,
    /// Print the exact prompt of a feature's next iteration, or where two that it was given part
    Prompt(PromptArgs),
    /// Print shell completions
    Completions(CompletionsArgs),
    /// Print the man page
    Man(ManArgs),
    /// Run a scripted backlog in a temporary repository: no account, no network, no configuration
    Demo(DemoArgs),
    /// The demo's agent
    #[command(hide = true)]
    DemoAgent,
}

#[derive(Debug, ClapArgs)]
pub(super) struct InitArgs {
    /// Write an example spec too
    #[arg(long)]
    pub(super) example: bool,
    /// Add a short section about features to AGENTS.md or CLAUDE.md
    #[arg(long)]
    pub(super) instructions: bool,
    /// Do not ask, and add to files that are there
    #[arg(short, long)]
    pub(super) yes: bool,
    /// Show what would be written, and write nothing
    #[arg(long)]
    pub(super) dry_run: bool,
}

/// What changes a run, and its plan.
#[derive(Clone, Debug, Default, ClapArgs)]
pub(super) struct RunArgs {
    /// Agents at once: a number, or `auto`
    #[arg(short, long, value_name = "N")]
    pub(super) parallel: Option<String>,
    /// Agent calls in the whole run
    #[arg(long, value_name = "N")]
    pub(super) max_iterations: Option<u32>,
    /// Agent calls on one feature
    #[arg(long, value_name = "N")]
    pub(super) max_iterations_per_feature: Option<u32>,
    /// Time limit of one agent call: 30m, 1h30m
    #[arg(long, value_name = "TIME")]
    pub(super) iteration_timeout: Option<String>,
    /// Stop an agent that prints nothing for so long
    #[arg(long, value_name = "TIME")]
    pub(super) idle_timeout: Option<String>,
    /// Branch that features land on
    #[arg(long, value_name = "BRANCH")]
    pub(super) target: Option<String>,
    /// Work on these features only
    #[arg(long, value_name = "SLUG", value_delimiter = ',', add = ArgValueCandidates::new(shell::slugs))]
    pub(super) only: Vec<String>,
    /// Agent profile
    #[arg(long, value_name = "NAME", add = ArgValueCandidates::new(shell::profiles))]
    pub(super) agent: Option<String>,
    /// Model handed to the agent
    #[arg(long, value_name = "NAME")]
    pub(super) model: Option<String>,
    /// Start nothing that cannot land by then: a time of the day such as 07:30, or how long, such as 6h
    #[arg(long, value_name = "TIME")]
    pub(super) until: Option<String>,
    /// What one feature's halt does to the others: isolate, stop
    #[arg(long, value_name = "WHAT")]
    pub(super) on_halt: Option<String>,
    /// Start no iteration any more when the run has used so many US dollars: 20, 2.50
    #[arg(long, value_name = "USD")]
    pub(super) budget_usd: Option<String>,
    /// Start no iteration any more when the run has used so many tokens
    #[arg(long, value_name = "N")]
    pub(super) budget_tokens: Option<String>,
    /// What holds agents to what they may write and see: off, auto, bwrap, landlock
    #[arg(long, value_name = "HOW")]
    pub(super) sandbox: Option<String>,
    /// Show what would be done: order, waits, a sample prompt; call no agent, write nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Try what the night will need and end: set-up and checks on what features build on, one turn of each agent (it costs
    /// what one short answer costs), room on the disk, how long it may take; changes nothing
    #[arg(long, conflicts_with_all = ["dry_run", "detach"])]
    pub(super) rehearse: bool,
    /// With --rehearse: call no agent
    #[arg(long, requires = "rehearse")]
    pub(super) no_probe: bool,
    /// Let the run go on by itself, and come back when it has begun; `harness attach` shows it, `harness stop` ends it
    #[arg(long, conflicts_with = "dry_run")]
    pub(super) detach: bool,
    /// The process that goes on
    #[arg(long, hide = true, conflicts_with_all = ["detach", "dry_run"])]
    pub(super) apart: bool,
}

#[derive(Debug, ClapArgs)]
pub(super) struct StopArgs {
    /// End the agents that are at work too; what they have changed is kept
    #[arg(long)]
    pub(super) now: bool,
    /// Do not wait until the run has ended
    #[arg(long)]
    pub(super) no_wait: bool,
}

impl RunArgs {
    pub(super) fn flags(self) -> Flags {
        Flags {
            parallel: self.parallel,
            max_iterations: self.max_iterations,
            max_iterations_per_feature: self.max_iterations_per_feature,
            iteration_timeout: self.iteration_timeout,
            idle_timeout: self.idle_timeout,
            target: self.target,
            only: self.only,
            agent: self.agent,
            model: self.model,
            until: self.until,
            on_halt: self.on_halt,
            budget_usd: self.budget_usd,
            budget_tokens: self.budget_tokens,
            sandbox: self.sandbox,
            dry_run: self.dry_run,
        }
    }
}

#[derive(Debug, ClapArgs)]
pub(super) struct PlanArgs {
    /// Plan these features only
    #[arg(long, value_name = "SLUG", value_delimiter = ',', add = ArgValueCandidates::new(shell::slugs))]
    pub(super) only: Vec<String>,
    /// For programs
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(super) struct RecoverArgs {
    /// Which feature
    #[arg(required_unless_present = "journal", add = ArgValueCandidates::new(shell::slugs))]
    pub(super) slug: Option<String>,
    /// Which of the listed states: an iteration's number, or a commit id
    #[arg(requires = "where")]
    pub(super) state: Option<String>,
    /// Write its files, those that were never committed included, into this new or empty directory
    #[arg(long, value_name = "DIR", group = "where", requires = "state")]
    pub(super) to: Option<PathBuf>,
    /// Make a new branch there
    #[arg(long, value_name = "NAME", group = "where", requires = "state")]
    pub(super) branch: Option<String>,
    /// The list for programs
    #[arg(long, conflicts_with = "state")]
    pub(super) json: bool,
    /// Go on without what is damaged in the journal: the records before it are kept, and the damaged file beside it
    #[arg(long, conflicts_with_all = ["slug", "json"])]
    pub(super) journal: bool,
}

#[derive(Debug, ClapArgs)]
pub(super) struct UndoArgs {
    /// Which feature
    #[arg(add = ArgValueCandidates::new(shell::slugs))]
    pub(super) slug: String,
    /// Have it done again, from its beginning
    #[arg(long)]
    pub(super) requeue: bool,
    /// Why; it stands in the feature's log, and so in its next prompt
    #[arg(short, long, value_name = "TEXT")]
    pub(super) message: Option<String>,
}

#[derive(Debug, ClapArgs)]
pub(super) struct RetryArgs {
    /// Which features
    #[arg(required_unless_present = "all", add = ArgValueCandidates::new(shell::slugs))]
    pub(super) slugs: Vec<String>,
    /// Every one that tripped, failed or is parked
    #[arg(long, conflicts_with = "slugs")]
    pub(super) all: bool,
}

#[derive(Debug, ClapArgs)]
pub(super) struct UnblockArgs {
    /// Which feature
    #[arg(add = ArgValueCandidates::new(shell::slugs))]
    pub(super) slug: String,
    /// The answer; it stands in the next prompt
    #[arg(short, long, value_name = "TEXT")]
    pub(super) message: String,
}

#[derive(Debug, ClapArgs)]
pub(super) struct SkipArgs {
    /// Which features
    #[arg(required = true, add = ArgValueCandidates::new(shell::slugs))]
    pub(super) slugs: Vec<String>,
    /// Why; it stands in the feature's log and in the report
    #[arg(
        short,
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    pub(super) message: String,
}

#[derive(Debug, ClapArgs)]
pub(super) struct ApproveArgs {
    /// Which features
    #[arg(required_unless_present = "all", add = ArgValueCandidates::new(shell::slugs))]
    pub(super) slugs: Vec<String>,
    /// Every one that waits for a review
    #[arg(long, conflicts_with = "slugs")]
    pub(super) all: bool,
}

/// Why, where nobody says why.
pub(super) const PAUSED: &str = "paused by a person";

#[derive(Debug, ClapArgs)]
pub(super) struct PauseArgs {
    /// Why
    #[arg(short, long, value_name = "TEXT", default_value = PAUSED)]
    pub(super) message: String,
}

#[derive(Debug, ClapArgs)]
pub(super) struct CleanArgs {
    /// Remove unmerged features' branches too (their snapshots stay under refs/harness/)
    #[arg(long)]
    pub(super) force: bool,
}

#[derive(Debug, ClapArgs)]
pub(super) struct DoctorArgs {
    /// Put right what can be, and say what was done; never while a run lives
    #[arg(long)]
    pub(super) fix: bool,
    /// Have each agent answer once, in an empty directory; it costs what one short answer costs
    #[arg(long)]
    pub(super) probe: bool,
    /// Run the set-up and verify commands on what features would build on, and say how long each takes
    #[arg(long)]
    pub(super) verify: bool,
    /// For programs
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(super) struct ConfigArgs {
    /// Say where each value comes from
    #[arg(long)]
    pub(super) origin: bool,
    /// For programs; it says where each value comes from
    #[arg(long, conflicts_with = "origin")]
    pub(super) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(super) struct SchemaArgs {
    /// Of which output: what its `schema` says, `status`, say; of harness.yaml unless one is named
    #[arg(add = ArgValueCandidates::new(shell::schemas))]
    pub(super) name: Option<String>,
}

#[derive(Debug, ClapArgs)]
pub(super) struct ExplainArgs {
    /// Which code; all are listed unless one is named
    #[arg(add = ArgValueCandidates::new(shell::codes))]
    pub(super) code: Option<String>,
}

#[derive(Debug, ClapArgs)]
pub(super) struct PromptArgs {
    /// Which feature
    #[arg(add = ArgValueCandidates::new(shell::slugs))]
    pub(super) slug: String,
    /// For programs
    #[arg(long, conflicts_with = "diff")]
    pub(super) json: bool,
    /// Compare two prompts that it was given, its last two unless iterations are named: the first byte that differs
    #[arg(long)]
    pub(super) diff: bool,
    /// With --diff: the earlier iteration
    #[arg(requires = "diff")]
    pub(super) from: Option<u32>,
    /// With --diff: the later iteration; the next one unless named
    #[arg(requires = "diff")]
    pub(super) to: Option<u32>,
}

#[derive(Debug, ClapArgs)]
pub(super) struct CompletionsArgs {
    /// For which shell
    pub(super) shell: Shell,
}

#[derive(Debug, ClapArgs)]
pub(super) struct ManArgs {
    /// Write the pages of all commands into this directory instead
    #[arg(long, value_name = "DIR")]
    pub(super) dir: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(super) struct DemoArgs {
    /// Agents at once
    #[arg(short, long, value_name = "N", default_value_t = 4)]
    pub(super) parallel: u32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_grammar_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_and_option_says_what_it_is() {
        for command in Cli::command().get_subcommands() {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            for arg in command.get_arguments() {
                assert!(
                    arg.get_help().is_some(),
                    "{} {}",
                    command.get_name(),
                    arg.get_id()
                );
            }
        }
    }
}
