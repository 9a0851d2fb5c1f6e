//! What exit codes mean: the one table, which README.md repeats.
//!
//! Never decides which code a run ends with.

use std::fmt::Write as _;

/// The exit codes of `harness`, and what each means, as the end of a sentence.
const CODES: [(u8, &str); 13] = [
    (0, "every selected feature is done and merged, or left out"),
    (
        1,
        "iterations or time used up with work pending, or a feature failed",
    ),
    (2, "not started: usage, configuration or preflight"),
    (3, "halted by the HALT file"),
    (4, "a feature is blocked and waits for an answer"),
    (
        5,
        "a breaker tripped, or a feature tampered with what is not its own",
    ),
    (6, "the agent's limit, login or bill ended the run"),
    (
        7,
        "a budget of your own is used up, the run's or a feature's",
    ),
    (
        8,
        "done but not in your branch: a conflict or review needs you, or the checkout is in the way",
    ),
    (9, "another run holds the lock"),
    (
        10,
        "the state is damaged, or written by a newer harness; nothing is changed",
    ),
    (130, "interrupted"),
    (143, "terminated"),
];

/// What an exit code of `harness run` means, as the end of a sentence.
#[must_use]
pub fn code_meaning(code: u8) -> &'static str {
    let mut codes = CODES.iter();
    let found = codes.find(|(known, _)| *known == code);
    found.map_or("not a code of harness", |(_, meaning)| meaning)
}

/// All of them, a line each, and which counts when several hold.
#[must_use]
pub fn codes_table() -> String {
    let mut out = String::new();
    for (code, meaning) in CODES {
        let _ = writeln!(out, "{code:>4}  {meaning}");
    }
    out.push_str(
        "\nWhen several hold, the code is the first of 130, 143, 10, 6, 7, 5, 4, 8, 3, 1, 0; `harness status --json` has all.\n\
         Of commands other than `run`: 0 is done, 1 of `doctor` that something is to be put right, 2 that nothing was done.\n",
    );
    out
}

/// `4 (a feature is blocked …), 8 (…)`; the first code is the one the process ended with.
pub(super) fn codes_text(codes: &[u8]) -> String {
    let each: Vec<String> = codes
        .iter()
        .map(|code| format!("{code} ({})", code_meaning(*code)))
        .collect();
    each.join(", ")
}
