//! Spec directories become features, with all problems at once.
//!
//! A feature is a directory `<specs.dir>/<slug>/` that holds a spec; what it needs stands in the spec's
//! front matter and in harness.yaml, its place in line in the order file. This room must never judge the
//! graph that the features form, know what a run is, or write anything.

mod file;
#[cfg(feature = "fuzzing")]
mod fuzz;
mod names;
mod order;
mod routes;
mod scan;
mod text;

#[cfg(test)]
mod tests;

pub use file::{SpecError, body, raw};
#[cfg(feature = "fuzzing")]
pub(crate) use fuzz::fuzz;
pub use scan::{Loaded, Places, Scanner};
