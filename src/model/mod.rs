//! The vocabulary every room speaks: ids, features, settings, inputs, events, effects.
//!
//! Plain data with serde on it. This room must never do anything: no files, no clock, no git, no
//! decisions. Whoever wants to know what harness can *say* reads this room; whoever wants to know what
//! it *does* reads [`core`](crate::core).

mod bare;
mod budget;
mod code;
mod credentials;
mod effect;
mod escape;
mod event;
mod failure;
mod feature;
mod id;
mod input;
mod pattern;
mod prices;
mod problem;
mod report;
mod settings;
mod usage;
mod verdict;
mod wish;

pub use budget::{Budget, BudgetSettings, BudgetUnit, Finding, Spending};
pub use code::Code;
pub(crate) use code::names;
pub use credentials::{CredentialKind, Credentials};
pub use effect::{
    ConflictKind, Conflicted, Effect, EffectKey, Handback, Member, MergeTask, RightOfWay, WriteJob,
    Writing,
};
pub use escape::{acts, escaped, escaped_but, escaped_lines};
pub use event::{Event, Record};
pub use failure::{AgentFailure, FailureKind};
pub use feature::{AgentChoice, FeatureSpec, StuckRule};
pub use id::{Oid, RunId, Slug, SlugError, Stamp, WorktreeName};
pub use input::{
    Backlog, BuildOutcome, Candidate, Chain, Ending, GateOutcome, Ground, Input, IterationReport,
    LandOutcome, MergeVerdict, PublishOutcome, Relation, Step, StopLevel,
};
pub use pattern::not_a_pattern;
pub use prices::{PRICES_READ, Price, list_price};
pub use problem::{Problem, Problems, Severity};
pub use report::{Quota, Session};
pub use settings::{
    AgentSettings, BreakerSettings, Containment, Deadline, Isolation, LimitSettings, MergeSettings,
    OnHalt, OnLimit, ProcessTier, SandboxTier, Settings,
};
pub use usage::{PromptFigures, Usage};
pub use verdict::{Evidence, GateId, InfraKind, ParkReason, Red, SkipReason, Trial};
pub use wish::Command;
