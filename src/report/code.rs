//! What exit codes mean, in the words of the README's table.
//!
//! Never decides which code a run ends with.

/// What an exit code of `harness run` means, as the end of a sentence.
#[must_use]
pub fn code_meaning(code: u8) -> &'static str {
    match code {
        0 => "every selected feature is done and merged",
        1 => "iterations or time used up with work pending, or a feature failed",
        2 => "not started: usage, configuration or preflight",
        3 => "halted by the HALT file",
        4 => "a feature is blocked and waits for an answer",
        5 => "a circuit breaker tripped",
        6 => "a quota, rate or login limit of the agent ended the run",
        7 => "a budget of your own is used up, the run's or a feature's",
        8 => "done but not merged",
        9 => "another run holds the lock",
        10 => "the state directory is damaged",
        130 => "interrupted",
        143 => "terminated",
        _ => "not a code of harness",
    }
}

/// `4 (a feature is blocked …), 8 (…)`; the first code is the one the process ended with.
pub(super) fn codes_text(codes: &[u8]) -> String {
    let each: Vec<String> = codes
        .iter()
        .map(|code| format!("{code} ({})", code_meaning(*code)))
        .collect();
    each.join(", ")
}
