//! The hands: turns decisions into doings.
//!
//! [`turn`] is the synchronous heart, [`run`] the only select loop, `world` performs effects, `watch`
//! tells when files changed. This room must never decide what happens to a feature; it asks `core`.

mod command;
mod error;
mod place;
mod preflight;
mod run;
pub mod turn;

pub use command::{Given, give};
pub use error::DriverError;
pub use place::{Place, Reading, wall_clock};
pub use preflight::{Ready, Survey, preflight, survey};
pub use run::{Audience, Outcome, prompt_for, run};
