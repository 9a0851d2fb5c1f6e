//! The shortest look at whether two of the programs still work with harness.

use crate::cli::{CLAUDE, CODEX};
use crate::whole::write;

const FEATURES: [&str; 3] = ["base", "left", "alone"];

#[test]
#[ignore = "needs scripts/real-agents"]
fn claude() {
    write(&CLAUDE, &FEATURES);
}

#[test]
#[ignore = "needs scripts/real-agents"]
fn codex() {
    write(&CODEX, &FEATURES);
}
