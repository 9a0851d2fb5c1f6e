//! The run: the only select loop.

use super::error::DriverError;
use super::preflight::Ready;
use crate::config::Config;
use crate::core::{State, View};
use crate::driver::Place;
use crate::model::{FeatureSpec, Slug, Stamp};
use std::collections::BTreeMap;
use std::time::Duration;

/// Who watches a run. A slow or failing audience must not harm the run.
pub trait Audience {
    /// One line of the run log.
    fn say(&mut self, line: &str);
    /// The state as it is now, with the last words of running agents; called after every turn and at
    /// the pace of [`redraw_every`](Self::redraw_every).
    fn glance(&mut self, state: &State, now: Stamp, words: &BTreeMap<Slug, String>);
    /// How often it wants to be shown progress between turns; `None`: not at all.
    fn redraw_every(&self) -> Option<Duration>;
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The exit code.
    pub code: u8,
    /// The picture at the end.
    pub view: View,
}

/// Runs the backlog to its end. Must be called inside a `tokio::task::LocalSet` on a current-thread
/// runtime on the main thread: agents die with the thread that started them.
///
/// # Errors
/// When the lock is held, the journal cannot be written, or a state file keeps refusing to be written.
pub async fn run(_ready: Ready, _audience: &mut dyn Audience) -> Result<Outcome, DriverError> {
    Err(DriverError::Invariant("the run is being built".to_owned()))
}

/// The exact prompt that the next iteration of a feature would get.
///
/// # Errors
/// When the spec or the template cannot be read.
pub fn prompt_for(
    _place: &Place,
    _config: &Config,
    _features: &[FeatureSpec],
    _slug: &Slug,
    _state: &State,
) -> Result<String, DriverError> {
    Err(DriverError::Invariant(
        "the prompt is being built".to_owned(),
    ))
}
