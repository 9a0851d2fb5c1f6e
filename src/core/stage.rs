//! Where a feature stands in one word, and why, for whoever looks.
//!
//! It only names what is so; it never decides.

use super::feature::{Feature, Phase};
use crate::model::{ParkReason, SkipReason};
use serde::Serialize;

/// Where a feature stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// For dependencies, a slot or time.
    Waiting,
    /// A dependency will not merge without a person.
    Skipped,
    /// Its worktree is being made ready.
    Preparing,
    /// The agent is at work.
    Working,
    /// Between two iterations.
    Between,
    /// Claimed, waiting for its turn to merge.
    Queued,
    /// Its candidate is being gated.
    Gating,
    /// The target is being moved.
    Landing,
    /// In the target.
    Merged,
    /// Needs an answer.
    Blocked,
    /// A breaker is open.
    Tripped,
    /// Done, not merged.
    Parked,
    /// Given up for this run.
    Failed,
    /// Done; a person must see it before it lands.
    Review,
    /// A person left it out.
    LeftOut,
}

impl Stage {
    /// Whether nothing more comes of it until a person does something about it.
    #[must_use]
    pub fn needs_a_person(self) -> bool {
        matches!(
            self,
            Self::Blocked | Self::Tripped | Self::Parked | Self::Failed | Self::Review
        )
    }
}

/// The stage of a feature, and why it is there. Without the merge queue: what lands is being gated here.
pub(super) fn stage(feature: &Feature, hopeless: bool) -> (Stage, Option<String>) {
    match &feature.phase {
        Phase::Pending if hopeless => (Stage::Skipped, None),
        Phase::Pending => {
            let text = feature.infra_text.clone();
            (Stage::Waiting, (feature.infra > 0).then_some(text))
        }
        Phase::Preparing => (Stage::Preparing, None),
        Phase::Working { running: Some(_) } => (Stage::Working, None),
        Phase::Working { running: None } => (Stage::Between, None),
        Phase::Queued => (Stage::Queued, None),
        Phase::Integrating { .. } => (Stage::Gating, None),
        Phase::Merged { .. } => (Stage::Merged, None),
        Phase::Blocked { question } => (Stage::Blocked, Some(question.clone())),
        Phase::Tripped { breaker, why } => (Stage::Tripped, Some(format!("{breaker}: {why}"))),
        Phase::Parked {
            why: ParkReason::Review { .. },
        } => (Stage::Review, Some(feature.summary.clone())),
        Phase::Parked { why } => (Stage::Parked, Some(park_words(why))),
        Phase::Failed {
            why: SkipReason::LeftOut { text, .. },
        } => (Stage::LeftOut, Some(text.clone())),
        Phase::Failed { why } => (Stage::Failed, Some(skip_words(why))),
    }
}

fn park_words(why: &ParkReason) -> String {
    match why {
        ParkReason::Conflict { paths } => format!("conflicts in {}", paths.join(", ")),
        ParkReason::Red { red } => format!("`{}` fails on the merge", red.command),
        ParkReason::BaseBroken { red } => {
            format!("`{}` fails on what it would land on", red.command)
        }
        ParkReason::Dependency { slug } => format!("{slug} is not merged any more"),
        ParkReason::Infra { text } => format!("merging kept failing: {text}"),
        ParkReason::Review { .. } => "a person must see it before it lands".to_owned(),
    }
}

fn skip_words(why: &SkipReason) -> String {
    match why {
        SkipReason::IterationsUsedUp { cap } => format!("its {cap} iterations are used up"),
        SkipReason::BudgetUsedUp { .. } => "its budget is used up".to_owned(),
        SkipReason::Setup { text } => format!("its worktree could not be made ready: {text}"),
        SkipReason::Spawn { text } => format!("the agent could not be run: {text}"),
        SkipReason::SpecRemoved => "its spec was removed".to_owned(),
        SkipReason::Undone => "a person took it back after it had landed".to_owned(),
        SkipReason::LeftOut { .. } => "a person left it out".to_owned(),
    }
}
