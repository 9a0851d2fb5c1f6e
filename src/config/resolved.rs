//! The resolved configuration: what the rest of harness reads.
//!
//! This file must never know where a value came from.

use super::feature::FeatureKeys;
use super::notify::Notices;
use super::source::Spot;
use super::until::Until;
use crate::model::{
    AgentChoice, AgentSettings, BreakerSettings, BudgetSettings, Containment, Isolation,
    LimitSettings, MergeSettings, OnHalt, Price, Settings, Slug,
};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

/// Everything that can be configured, resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Branch that features land on; `None` means the one that is checked out.
    pub target: Option<String>,
    /// Where the specs are.
    pub specs: Specs,
    /// What harness.yaml says about features.
    pub features: BTreeMap<Slug, FeatureKeys>,
    /// How a run goes.
    pub run: Run,
    /// Profile used unless a feature names another; always a key of `agents`.
    pub agent: String,
    /// Agent profiles by name.
    pub agents: BTreeMap<String, Profile>,
    /// Where the file says which program a profile calls, or which profile is used; the others go by defaults.
    pub agents_at: BTreeMap<String, Spot>,
    /// Whom a feature is given to when one of its breakers opens; profiles are keys of `agents`.
    pub escalate: Vec<AgentChoice>,
    /// Which agent works on features with a label, the first that fits; profiles are keys of `agents`.
    pub routes: Vec<Route>,
    /// What happens when the account of an agent cannot be used; its fallback profiles are keys of `agents`.
    pub limits: LimitSettings,
    /// What may be used.
    pub budget: BudgetSettings,
    /// What models cost by the user's own word, by name.
    pub prices: BTreeMap<String, Price>,
    /// Thresholds of the breakers.
    pub breakers: BreakerSettings,
    /// The worktrees that agents work in.
    pub worktrees: Worktrees,
    /// What of the repository an agent's own git commands may write.
    pub isolation: Isolation,
    /// What one agent or command may use.
    pub resources: Resources,
    /// What holds agents and commands to what they may write and see.
    pub sandbox: SandboxChoice,
    /// What that is, besides what they need.
    pub confine: Confine,
    /// What a candidate must pass.
    pub verify: Verify,
    /// How features land.
    pub merge: Merge,
    /// What agents are told.
    pub prompt: Prompt,
    /// What a person is told while they are not looking.
    pub notify: Notices,
    /// Model for every agent of this run, by flag or environment.
    pub model: Option<String>,
    /// Features the run is limited to, by flag or environment.
    pub only: Option<BTreeSet<Slug>>,
    /// Plan only, by flag or environment.
    pub dry_run: bool,
}

/// Where the specs are; paths are relative to the repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Specs {
    /// Directory with one directory for each feature.
    pub dir: PathBuf,
    /// Name of the spec in a feature's directory.
    pub file: PathBuf,
    /// The order file; may be absolute.
    pub order_file: PathBuf,
    /// Whether somebody named the order file, so that it must exist.
    pub order_file_named: bool,
}

/// How a run goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Agents at once; at least 1.
    pub parallel: u32,
    /// Agent calls in the whole run.
    pub max_iterations: u32,
    /// Agent calls on one feature.
    pub max_iterations_per_feature: u32,
    /// Time limit of one agent call.
    pub iteration_timeout: Duration,
    /// Time without output after which an agent is stopped.
    pub idle_timeout: Option<Duration>,
    /// When nothing is started any more that cannot land by then.
    pub until: Option<Until>,
    /// Whether the machine is kept from sleeping.
    pub keep_awake: bool,
    /// Pause between two iterations of one feature.
    pub sleep_between: Duration,
    /// From TERM to KILL.
    pub grace: Duration,
    /// What one feature's halt does to the others.
    pub on_halt: OnHalt,
}

/// An agent for features with a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The label.
    pub label: String,
    /// The agent.
    pub agent: AgentChoice,
    /// Where the label stands.
    pub spot: Option<Spot>,
}

/// How an agent is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Claude Code.
    Claude,
    /// Codex CLI.
    Codex,
    /// opencode.
    Opencode,
    /// goose.
    Goose,
    /// Gemini CLI.
    Gemini,
    /// GitHub Copilot CLI.
    Copilot,
    /// Qwen Code.
    Qwen,
    /// aider.
    Aider,
    /// Any program with the prompt on its standard input.
    Command,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Claude,
        Self::Codex,
        Self::Opencode,
        Self::Goose,
        Self::Gemini,
        Self::Copilot,
        Self::Qwen,
        Self::Aider,
        Self::Command,
    ];

    /// Whether an iteration can go on with the conversation of the one before.
    #[must_use]
    pub fn can_resume(self) -> bool {
        matches!(self, Self::Claude | Self::Codex)
    }

    /// Its name in harness.yaml.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Claude => "claude",
            Self::Codex => "codex",
            Self::Opencode => "opencode",
            Self::Goose => "goose",
            Self::Gemini => "gemini",
            Self::Copilot => "copilot",
            Self::Qwen => "qwen",
            Self::Aider => "aider",
            Self::Command => "command",
        }
    }
}

/// One way to call an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// How.
    pub kind: Kind,
    /// Program and first arguments. Never empty for [`Kind::Command`]; for the others empty means the
    /// program that the kind is named after.
    pub command: Vec<String>,
    /// Model handed to the agent.
    pub model: Option<String>,
    /// Further arguments.
    pub args: Vec<String>,
    /// Variables set for the agent.
    pub env: BTreeMap<String, String>,
    /// Variables passed on from harness's own environment; `NAME_*` means all that begin so. API keys of a
    /// [`Kind::Command`] agent belong here: without that it never sees them.
    pub env_pass: Vec<String>,
    /// What it may write in a sandbox besides what its kind needs; `~/` is the user's home.
    pub write: Vec<String>,
    /// Whether it has the network in a sandbox; `None`: as [`Confine`] says.
    pub network: Option<bool>,
    /// The account that it uses.
    pub account: String,
    /// How many of it may work at once; `None`: as many as there are slots.
    pub parallel: Option<u32>,
    /// Whether an iteration goes on with the conversation of the last one on its feature.
    pub resume: bool,
}

impl Profile {
    /// A profile that says nothing but its kind.
    #[must_use]
    pub fn bare(kind: Kind) -> Self {
        Self {
            kind,
            command: Vec::new(),
            model: None,
            args: Vec::new(),
            env: BTreeMap::new(),
            env_pass: Vec::new(),
            write: Vec::new(),
            network: None,
            account: kind.name().to_owned(),
            parallel: None,
            resume: false,
        }
    }
}

/// What is to hold agents and commands to what they may write and see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SandboxChoice {
    /// Nothing.
    Off,
    /// The first that works here; nothing if none does.
    Auto,
    /// bubblewrap, or no run.
    Bwrap,
    /// The kernel's Landlock, or no run.
    Landlock,
}

/// What agents and commands may write and see in a sandbox, besides what they need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confine {
    /// Whether they have the network.
    pub network: bool,
    /// Places they may write; `~/` is the user's home.
    pub write: Vec<String>,
    /// Places nobody may read; `~/` is the user's home.
    pub hide: Vec<String>,
    /// Places that may be read all the same.
    pub read: Vec<String>,
}

/// The worktrees that agents work in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worktrees {
    /// Directory that holds them, absolute.
    pub dir: PathBuf,
    /// Commands run once in each fresh or recycled worktree.
    pub setup: Vec<String>,
    /// File that lists the ignored files to copy.
    pub include_file: String,
    /// Free disk space in bytes below which nothing is started.
    pub min_free: u64,
}

/// What one agent or command may use, with everything it starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resources {
    /// Bytes of memory of its own; `None` leaves it to the machine's size.
    pub memory: Option<u64>,
    /// Processes at the same time.
    pub processes: u64,
    /// Files each process may have open; `None`: as many as harness.
    pub open_files: Option<u64>,
    /// Bytes a file may grow to.
    pub file_size: Option<u64>,
    /// Bytes of output that are kept.
    pub output: u64,
    /// Share of the time, in percent, for which the machine may stand still before nothing more is started.
    pub pressure: Option<u32>,
    /// Processors that all builds share; `None` leaves builds alone.
    pub jobs: Option<u32>,
}

/// What a candidate must pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verify {
    /// Commands, in order.
    pub commands: Vec<String>,
    /// Time limit of each.
    pub timeout: Duration,
    /// How often a failure is tried again before it is believed.
    pub retries: u32,
    /// Commands whose output says what, besides the tree, a verdict depends on.
    pub fingerprint: Vec<String>,
}

/// How features land.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merge {
    /// As what kind of commit.
    pub strategy: Strategy,
    /// Features merged and gated together; at least 1.
    pub batch: u32,
    /// Gates at once; at least 1.
    pub parallel_gates: u32,
    /// How often a conflict goes back to its agent.
    pub max_conflict_rounds: u32,
    /// How often a merge that fails without conflicting goes back to its agent.
    pub max_red_rounds: u32,
    /// Whether a person must have seen a feature before it lands that does not say so itself.
    pub review: bool,
    /// Whether the target is moved as features land.
    pub publish: bool,
    /// Kinds of files that are made by a command.
    pub regenerate: Vec<Generated>,
}

/// Files that a command makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generated {
    /// Patterns in the syntax of `.gitignore`; at least one.
    pub paths: Vec<String>,
    /// Makes them.
    pub command: String,
}

impl Merge {
    /// The patterns of each kind of generated files.
    #[must_use]
    pub fn generated(&self) -> Vec<Vec<String>> {
        let kinds = self.regenerate.iter();
        kinds.map(|kind| kind.paths.clone()).collect()
    }
}

/// What kind of commit a feature becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// A merge commit that keeps the feature's own.
    Merge,
    /// One plain commit.
    Squash,
}

/// What agents are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// The user's own template, absolute; `None` means the built-in one.
    pub template: Option<PathBuf>,
    /// Lines of the feature's log in each prompt.
    pub prior_log_lines: u32,
    /// Lines of learnings.md in each prompt.
    pub learnings_lines: u32,
    /// Further rules.
    pub extra: Vec<String>,
}

impl Config {
    /// The part that decisions depend on.
    #[must_use]
    pub fn settings(&self) -> Settings {
        let sleep_ms = self.run.sleep_between.as_millis();
        Settings {
            parallel: self.run.parallel,
            max_iterations: self.run.max_iterations,
            max_iterations_per_feature: self.run.max_iterations_per_feature,
            // What time that is, is found out when the run begins.
            until: None,
            sleep_between_ms: u64::try_from(sleep_ms).unwrap_or(u64::MAX),
            on_halt: self.run.on_halt,
            breakers: self.breakers,
            merge: MergeSettings {
                // What the commands amount to is found out where they are run.
                gate: None,
                batch: self.merge.batch,
                parallel_gates: self.merge.parallel_gates,
                retries: self.verify.retries,
                max_conflict_rounds: self.merge.max_conflict_rounds,
                max_red_rounds: self.merge.max_red_rounds,
                publish: self.merge.publish,
            },
            // What the system allows is found out where it is used.
            containment: Containment::default(),
            agent: self.agent.clone(),
            agents: self.agents.iter().map(known).collect(),
            limits: self.limits.clone(),
            budget: self.budget,
            escalate: self.escalate.clone(),
            model: self.model.clone(),
            only: self.only.clone(),
        }
    }
}

/// What decisions need to know of a profile.
fn known((name, profile): (&String, &Profile)) -> (String, AgentSettings) {
    let settings = AgentSettings {
        account: profile.account.clone(),
        parallel: profile.parallel,
        resume: profile.resume,
        // Who has logged in is found out where the run begins.
        apart_ms: None,
    };
    (name.clone(), settings)
}
