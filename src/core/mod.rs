//! Decides everything and touches nothing.
//!
//! Observations come in as [`Input`](crate::model::Input)s; [`decide`] turns them into facts; [`State::apply`] takes a
//! fact in; [`next`] says what follows; [`wanted`] says what the world should be doing; [`view`] shows
//! it. This room must never see a clock, a file, a thread, randomness or a hash map: equal inputs give
//! equal decisions on every machine, which is what makes the simulation and the resume trustworthy.

mod account_view;
mod accounts;
mod agent_view;
mod apply;
mod apply_ground;
mod apply_merge;
mod apply_verdict;
mod breaker;
mod budget;
mod budget_view;
mod caches;
mod deadline;
mod decide;
mod decide_merge;
mod exit;
mod feature;
mod forecast;
mod graph;
mod graph_view;
mod history;
mod invariants;
mod ladder;
mod merge;
mod pairs;
mod plan;
mod queue;
mod queue_view;
mod right_of_way;
mod schedule;
mod session;
mod stage;
mod state;
mod view;
mod wanted;
mod words;

#[cfg(test)]
mod tests;

pub use account_view::AccountView;
pub use agent_view::{AgentView, Because};
pub use breaker::BREAKERS;
pub use budget_view::BudgetView;
pub use decide::decide;
pub use exit::exit_codes;
pub use forecast::{Forecast, forecast};
pub use graph::{GraphProblem, check};
pub use graph_view::{GraphView, Node, graph};
pub use history::{
    AgentFigures, AttemptResult, AttemptSpan, CriticalStep, Doing, FeatureFigures, FirstClaim,
    IterationResult, Landing, Lane, Lesson, Refusal, RunHistory, Span, StepCause, Told, histories,
    history_of, lanes, over_runs, run_ids,
};
pub use invariants::broken_invariant;
pub use plan::{Planned, plan};
pub use queue_view::{AttemptStep, AttemptView, QueueView, QueueWait, QueuedView, queue};
pub use schedule::next;
pub use stage::Stage;
pub use state::{Running, State};
pub use view::{FeatureView, RunView, SentBack, View, Wait, unselected, view};
pub use wanted::{wake_at, wanted};
