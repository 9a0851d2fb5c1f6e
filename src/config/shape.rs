//! The shape of harness.yaml: every key that works today, with its default, range and meaning.
//!
//! This is the only list of keys: the JSON Schema is derived from it, and the checker obeys the schema.
//! It must never know where a value came from.

use super::agents::{Kind, Profile};
use super::budget::{Budget, FeatureBudget, Price};
use super::confine::{Confine, SandboxChoice};
use super::kind::{Name, Parallel, Size, Span, Text, Words};
use super::limits::Limits;
use super::notify::Notify;
use super::routes::{Route, Rung};
use super::run::Run;
use schemars::{JsonSchema, generate::SchemaSettings};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// Configuration of harness: what to run, with which agents, and what a feature must pass to land.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields, title = "harness.yaml")]
pub(super) struct Shape {
    /// Version of this format.
    #[schemars(range(min = 1, max = 1))]
    pub version: u32,
    /// Branch that features land on; null means the branch that is checked out.
    pub target: Option<Name>,
    /// Where the specs are.
    pub specs: Specs,
    /// For each feature, the same keys that its spec's front matter may hold.
    pub features: BTreeMap<String, Feature>,
    /// How a run goes.
    pub run: Run,
    /// Agent profile used unless a feature names another.
    pub agent: Name,
    /// Agent profiles by name; `claude` always exists.
    pub agents: BTreeMap<String, Profile>,
    /// Whom a feature is given to when one of its breakers opens: each in turn gets one try, and goes on if that helps.
    pub escalate: Vec<Rung>,
    /// Which agent works on features with a label; the first that fits counts, unless the feature itself names an agent or
    /// a model.
    pub routes: Vec<Route>,
    /// Profiles to go on with while the account of a feature's own cannot be used, the best first; for on_limit: switch.
    pub fallback: Words,
    /// What happens when the account of an agent cannot be used for a while.
    pub limits: Limits,
    /// What a run and a feature may use of tokens and money.
    pub budget: Budget,
    /// By name of a model, what a million of its tokens cost, for agents that report no money.
    pub prices: BTreeMap<String, Price>,
    /// When a feature that makes no progress is stopped.
    pub breakers: Breakers,
    /// The git worktrees that agents work in.
    pub worktrees: Worktrees,
    /// What of the repository an agent's own git commands may write: worktree adds objects to it, clone nothing.
    pub isolation: Isolation,
    /// What one agent or command may use, with everything it starts.
    pub resources: Resources,
    /// What holds agents and commands to what they may write and see: bwrap (bubblewrap), landlock, auto (the first of
    /// these that works), or off.
    pub sandbox: SandboxChoice,
    /// What they may write and see in a sandbox, besides what they need.
    pub confine: Confine,
    /// What a candidate must pass before it lands.
    pub verify: Verify,
    /// How features land.
    pub merge: Merge,
    /// What agents are told.
    pub prompt: Prompt,
    /// What you are told while you are not looking, and how.
    pub notify: Notify,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(super) struct Specs {
    /// Directory that holds one directory for each feature, relative to the repository.
    pub dir: Name,
    /// Name of the spec in a feature's directory.
    pub file: Name,
    /// Features in the order they should start in, one a line; the file may be missing.
    pub order_file: Name,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(super) struct Feature {
    /// Features that must have landed before this one starts.
    pub depends_on: Words,
    /// Features that should have ended, landed or not, before this one starts.
    pub after: Words,
    /// Higher starts first; 0 unless given.
    #[schemars(range(min = -1_000_000, max = 1_000_000))]
    pub priority: Option<i64>,
    /// Path prefixes or globs it means to change; features whose lists overlap never run at once.
    pub touches: Words,
    /// Named resources; features that share one never run at once.
    pub locks: Words,
    /// Words that say what it is about; `routes` goes by them.
    pub labels: Words,
    /// Agent profile that works on it.
    pub agent: Option<Name>,
    /// Model handed to the agent.
    pub model: Option<Name>,
    /// Time limit of one iteration.
    #[schemars(extend("x-least-s" = 1))]
    pub timeout: Option<Span>,
    /// Thresholds of the stuck breaker for this feature.
    pub stuck: FeatureStuck,
    /// What it may use of tokens and money, instead of budget.feature_usd and budget.feature_tokens.
    pub budget: FeatureBudget,
    /// Commands it must pass besides those of `verify.commands`.
    pub verify: Words,
    /// true: it lands only after `harness approve`; instead of merge.review.
    pub review: Option<bool>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(super) struct FeatureStuck {
    /// Silent iterations in a row that trip it.
    #[schemars(range(min = 1, max = 1000))]
    pub limit: Option<u32>,
    /// An iteration with at most this many bytes of the agent's own text is silent.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub min_bytes: Option<u64>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(super) struct Breakers {
    /// Stops a feature whose agent says nothing.
    pub stuck: Stuck,
    /// Stops a feature whose agent changes nothing.
    pub idle: Idle,
    /// Stops a feature that fails in the same way again and again.
    pub repeat: Repeat,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(super) struct Stuck {
    /// Silent iterations in a row that trip it.
    #[schemars(range(min = 1, max = 1000))]
    pub limit: u32,
    /// An iteration with at most this many bytes of the agent's own text is silent.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub min_bytes: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(super) struct Idle {
    /// Iterations in a row that change nothing in the worktree and trip it.
    #[schemars(range(min = 1, max = 1000))]
    pub limit: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(super) struct Repeat {
    /// Same failures in a row that trip it.
    #[schemars(range(min = 1, max = 1000))]
    pub limit: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(super) struct Worktrees {
    /// Directory that holds them, relative to the repository; `{repo}` is the repository's name.
    pub dir: Name,
    /// Commands run once in each fresh or recycled worktree, by sh -c.
    pub setup: Words,
    /// File that lists the ignored files to copy into worktrees.
    pub include_file: Name,
    /// Start nothing while the disk has less room than this.
    pub min_free: Size,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Isolation {
    Worktree,
    Clone,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(super) struct Resources {
    /// Memory of its own; null means three quarters of the machine's.
    pub memory: Option<Size>,
    /// Processes at the same time.
    #[schemars(range(min = 10, max = 1_000_000))]
    pub processes: u64,
    /// Files each process may have open; null means as many as harness.
    #[schemars(range(min = 64, max = 1_000_000_000))]
    pub open_files: Option<u64>,
    /// A file may grow to this; null means no limit.
    pub file_size: Option<Size>,
    /// Output that is kept; what comes beyond it is read and dropped.
    pub output: Size,
    /// Start nothing while anything runs and the machine stood still for want of memory or disk throughput for
    /// more than this share of the last ten seconds, in percent; null means never.
    #[schemars(range(min = 1, max = 100))]
    pub pressure: Option<u32>,
    /// Processors that all builds share, by make's jobserver or divided by the number of agents; null leaves them alone.
    pub jobs: Option<Parallel>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(super) struct Verify {
    /// Commands run in a clean checkout of the exact tree, in order, by sh -c.
    pub commands: Words,
    /// Time limit of each command.
    #[schemars(extend("x-least-s" = 1))]
    pub timeout: Span,
    /// How often a failure is tried again before it is believed; a pass then is recorded as flaky.
    #[schemars(range(min = 0, max = 10))]
    pub retries: u32,
    /// Commands whose output says what, besides the tree, a verdict depends on (compilers, services); when
    /// it differs from an earlier run's, trees are verified again.
    pub fingerprint: Words,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(super) struct Merge {
    /// merge keeps a feature's commits, squash makes them one.
    pub strategy: Strategy,
    /// Features merged and gated together; separated again when the gate fails.
    #[schemars(range(min = 1, max = 64))]
    pub batch: u32,
    /// Gates at once, each on top of the one before; pays only where gates wait rather than compute.
    #[schemars(range(min = 1, max = 64))]
    pub parallel_gates: u32,
    /// How often a conflict goes back to its agent before a person is asked.
    #[schemars(range(min = 0, max = 100))]
    pub max_conflict_rounds: u32,
    /// How often a merge that fails without conflicting goes back to its agent.
    #[schemars(range(min = 0, max = 100))]
    pub max_red_rounds: u32,
    /// true: a feature lands only after `harness approve`, unless it says `review: false` itself.
    pub review: bool,
    /// auto moves the target as features land, manual leaves that to you.
    pub publish: Publish,
    /// Files that a command makes (lock files, snapshots): where both sides changed them they are made anew
    /// on the merge, not merged as text.
    pub regenerate: Vec<Generated>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(super) struct Generated {
    /// Patterns in the syntax of .gitignore that name the files.
    pub paths: Words,
    /// Makes them; run by sh -c at the top of a checkout of the merge, in which these files are those that
    /// had landed.
    pub command: Text,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Publish {
    #[default]
    Auto,
    Manual,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Strategy {
    Merge,
    Squash,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(super) struct Prompt {
    /// Your own prompt template, relative to the repository; null means the built-in one.
    pub template: Option<Name>,
    /// Lines of the feature's log in each prompt.
    #[schemars(range(min = 0, max = 100_000))]
    pub prior_log_lines: u32,
    /// Lines of learnings.md in each prompt.
    #[schemars(range(min = 0, max = 100_000))]
    pub learnings_lines: u32,
    /// Further rules for the agent, one item each.
    pub extra: Words,
}

/// What may be set for one run by flag or environment only.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct Selection {
    /// Model handed to every agent.
    pub model: Option<Name>,
    /// Features the run is limited to.
    pub only: Words,
    /// Plan only.
    pub dry_run: bool,
}

impl Default for Shape {
    fn default() -> Self {
        let claude = Profile {
            kind: Some(Kind::Claude),
            ..Profile::default()
        };
        Self {
            version: 1,
            target: None,
            specs: Specs::default(),
            features: BTreeMap::new(),
            run: Run::default(),
            agent: Name("claude".into()),
            agents: BTreeMap::from([("claude".into(), claude)]),
            escalate: Vec::new(),
            routes: Vec::new(),
            fallback: Words::default(),
            limits: Limits::default(),
            budget: Budget::default(),
            prices: BTreeMap::new(),
            breakers: Breakers::default(),
            worktrees: Worktrees::default(),
            isolation: Isolation::Worktree,
            resources: Resources::default(),
            sandbox: SandboxChoice::Off,
            confine: Confine::default(),
            verify: Verify::default(),
            merge: Merge::default(),
            prompt: Prompt::default(),
            notify: Notify::default(),
        }
    }
}

impl Default for Specs {
    fn default() -> Self {
        Self {
            dir: Name("specs".into()),
            file: Name("spec.md".into()),
            order_file: Name("scripts/feature-order.txt".into()),
        }
    }
}

impl Default for Stuck {
    fn default() -> Self {
        Self {
            limit: 3,
            min_bytes: 32,
        }
    }
}

impl Default for Idle {
    fn default() -> Self {
        Self { limit: 5 }
    }
}

impl Default for Repeat {
    fn default() -> Self {
        Self { limit: 3 }
    }
}

impl Default for Worktrees {
    fn default() -> Self {
        Self {
            dir: Name("../{repo}.harness".into()),
            setup: Words::default(),
            include_file: Name(".worktreeinclude".into()),
            min_free: Size(2 << 30),
        }
    }
}

impl Default for Resources {
    fn default() -> Self {
        Self {
            memory: None,
            processes: 2000,
            open_files: None,
            file_size: None,
            output: Size(64 << 20),
            pressure: Some(40),
            jobs: Some(Parallel::Auto),
        }
    }
}

impl Default for Verify {
    fn default() -> Self {
        Self {
            commands: Words::default(),
            timeout: Span(Duration::from_secs(20 * 60)),
            retries: 1,
            fingerprint: Words::default(),
        }
    }
}

impl Default for Merge {
    fn default() -> Self {
        Self {
            strategy: Strategy::Merge,
            batch: 4,
            parallel_gates: 1,
            max_conflict_rounds: 3,
            max_red_rounds: 2,
            review: false,
            publish: Publish::Auto,
            regenerate: Vec::new(),
        }
    }
}

impl Default for Prompt {
    fn default() -> Self {
        Self {
            template: None,
            prior_log_lines: 200,
            learnings_lines: 200,
            extra: Words::default(),
        }
    }
}

/// The schema of any of these shapes, with everything in its place (no references).
pub(super) fn schema_of<T: JsonSchema>() -> serde_json::Value {
    let settings =
        SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    settings
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value()
}
