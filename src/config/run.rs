//! How a run goes: the keys, and what they come to.
//!
//! This file must never know where a value came from.

use super::kind::{Parallel, Span};
use super::resolve::processors;
use super::resolved;
use super::until::Until;
use crate::model;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(super) struct Run {
    /// How many agents work at once; auto means one a processor, at most 4.
    pub parallel: Parallel,
    /// Agent calls in the whole run.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_iterations: u32,
    /// Agent calls on one feature.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_iterations_per_feature: u32,
    /// Time limit of one agent call.
    #[schemars(extend("x-least-s" = 1))]
    pub iteration_timeout: Span,
    /// Stop an agent that has printed nothing for this long; null means never.
    #[schemars(extend("x-least-s" = 1))]
    pub idle_timeout: Option<Span>,
    /// When nothing is started any more that cannot land by then: a time of the day such as "07:30", or how long, such as
    /// 6h; null means that time does not matter.
    pub until: Option<Until>,
    /// Pause between two iterations of one feature.
    pub sleep_between: Span,
    /// Time between asking a process to end and killing it, and between an agent's result and its being asked to end.
    pub grace: Span,
    /// When one feature blocks or trips: isolate leaves the others running, stop ends the run.
    pub on_halt: OnHalt,
    /// Keep the machine from sleeping while a run lives, where the system lets that be asked.
    pub keep_awake: bool,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum OnHalt {
    Isolate,
    Stop,
}

impl Default for Run {
    fn default() -> Self {
        Self {
            parallel: Parallel::Auto,
            max_iterations: 200,
            max_iterations_per_feature: 20,
            iteration_timeout: Span(Duration::from_secs(30 * 60)),
            idle_timeout: None,
            until: None,
            sleep_between: Span(Duration::ZERO),
            grace: Span(Duration::from_secs(10)),
            on_halt: OnHalt::Isolate,
            keep_awake: true,
        }
    }
}

/// What they come to.
pub(super) fn resolve(shape: &Run) -> resolved::Run {
    resolved::Run {
        parallel: match shape.parallel {
            Parallel::Auto => processors(Parallel::Auto).min(4),
            Parallel::Number(number) => number,
        },
        max_iterations: shape.max_iterations,
        max_iterations_per_feature: shape.max_iterations_per_feature,
        iteration_timeout: shape.iteration_timeout.0,
        idle_timeout: shape.idle_timeout.map(|span| span.0),
        until: shape.until,
        keep_awake: shape.keep_awake,
        sleep_between: shape.sleep_between.0,
        grace: shape.grace.0,
        on_halt: match shape.on_halt {
            OnHalt::Isolate => model::OnHalt::Isolate,
            OnHalt::Stop => model::OnHalt::Stop,
        },
    }
}
