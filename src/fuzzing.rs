//! Whoever parses bytes that others wrote says here what must hold of the result, whatever the bytes are.
//!
//! The oracles live in the rooms of their parsers. `tests/fuzz.rs` runs them on a bounded number of cases; the targets in
//! `fuzz/` run them for as long as one likes. This file never knows what is checked.

/// Panics when something does not hold.
pub type Oracle = fn(&[u8]);

/// Each with the name of its target and corpus.
pub const ORACLES: &[(&str, Oracle)] = &[
    ("front_matter", crate::spec::fuzz),
    ("harness_yaml", crate::config::fuzz),
    ("journal", crate::journal::fuzz),
    ("agent_output", crate::agent::fuzz_output),
    ("outbox", crate::agent::fuzz_outbox),
    ("terminal", crate::cli::fuzz),
    ("secrets", crate::process::fuzz),
    ("git_output", crate::git::fuzz),
];

/// Runs the oracle of this name.
///
/// # Panics
/// When there is none, or when something does not hold.
pub fn run(name: &str, data: &[u8]) {
    let found = ORACLES.iter().find(|(known, _)| *known == name);
    let (_, oracle) = found.expect("a known target");
    oracle(data);
}
