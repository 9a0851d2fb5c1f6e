//! What goes wrong with the model, through the real programs: what kind of failure harness takes it for, and with
//! which code it ends.

use crate::backlog;
use crate::cli::{CLAUDE, CLAUDE_OLD, CODEX, Cli, GOOSE, OPENCODE, Pays};
use crate::model::{Fault, Model, Reply, now_ms};
use crate::night::Night;

/// One iteration, and a service that fails is not waited for.
fn hasty(cli: &Cli) -> String {
    // Some take half a minute to begin.
    let seconds = if cli.kind == "opencode" { 90 } else { 20 };
    format!(
        "run: {{max_iterations_per_feature: 1, iteration_timeout: {seconds}s, grace: 2s}}\nlimits: {{max_wait: 1s}}"
    )
}

/// What becomes of a fault that never ends: the kind of failure, and the exit code.
fn outcome(cli: &Cli, pays: Pays, fault: Fault) -> Option<(String, Option<i32>)> {
    let model = Model::start(move |ask, _| match fault {
        // The work goes well until it has begun.
        Fault::Broken | Fault::Stall if ask.turns == 0 => Reply::Say(backlog::next(ask)),
        _ => Reply::Fail(fault),
    });
    let env = [("CLAUDE_CODE_MAX_RETRIES", "0")];
    let agents = [(cli.kind, cli, pays, &env[..])];
    let night = Night::new(model, &["alone"], &agents, &hasty(cli))?;
    let ran = night.run();
    let ended = night.events("iteration_ended");
    assert_eq!(ended.len(), 1, "{}{}", ran.out, ran.err);
    let report = &ended[0]["report"];
    let kind = match report["failure"]["kind"].as_str() {
        Some(kind) => kind,
        None => report["ending"]["how"].as_str().unwrap(),
    };
    println!(
        "{} {}: {kind}, exit {:?}: {}",
        cli.name,
        fault.name(),
        ran.code,
        report["failure"]["text"]
    );
    Some((kind.to_owned(), ran.code))
}

fn check(cli: &Cli, pays: Pays, cases: &[(Fault, &str, i32)]) {
    let mut wrong = Vec::new();
    for (fault, kind, code) in cases {
        let Some((is, ended)) = outcome(cli, pays, *fault) else {
            return;
        };
        if is != *kind || ended != Some(*code) {
            wrong.push(format!(
                "{}: {is}, {ended:?} instead of {kind}, {code}",
                fault.name()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}: {wrong:#?}", cli.name);
}

const AFTER: Fault = Fault::TooFast {
    retry_after: Some(1),
};
const SOON: Fault = Fault::TooFast { retry_after: None };

#[test]
#[ignore = "needs scripts/real-agents"]
fn claude() {
    for cli in [CLAUDE, CLAUDE_OLD] {
        check(
            &cli,
            Pays::Key,
            &[
                (AFTER, "overloaded", 6),
                (SOON, "overloaded", 6),
                (Fault::Overloaded, "overloaded", 6),
                (Fault::Failing, "overloaded", 6),
                (Fault::Login, "auth", 6),
                (Fault::Billing, "billing", 6),
                (Fault::Context, "context", 1),
                (Fault::Garbage, "other", 1),
                (Fault::Disconnect, "network", 6),
                (Fault::Broken, "network", 6),
                (Fault::Hang, "timed_out", 1),
                (Fault::Stall, "timed_out", 1),
            ],
        );
        // A subscription has limits; being too fast is none, although it is told in nearly the same words.
        check(
            &cli,
            Pays::Plan,
            &[(used_up(), "limit", 6), (SOON, "overloaded", 6)],
        );
    }
}

/// In an hour, in whole minutes: not all tell seconds.
fn used_up() -> Fault {
    let resets_at = (now_ms() / 60_000 + 60) * 60;
    Fault::Limit { resets_at }
}

#[test]
#[ignore = "needs scripts/real-agents"]
fn codex() {
    check(
        &CODEX,
        Pays::Key,
        &[
            (AFTER, "overloaded", 6),
            (used_up(), "limit", 6),
            (Fault::Overloaded, "overloaded", 6),
            (Fault::Failing, "overloaded", 6),
            (Fault::Login, "auth", 6),
            (Fault::Billing, "billing", 6),
            (Fault::Context, "context", 1),
            (Fault::Garbage, "network", 6),
            (Fault::Disconnect, "network", 6),
            (Fault::Broken, "network", 6),
            (Fault::Hang, "timed_out", 1),
            (Fault::Stall, "timed_out", 1),
        ],
    );
}

#[test]
#[ignore = "needs scripts/real-agents"]
fn goose() {
    check(
        &GOOSE,
        Pays::Key,
        &[
            (AFTER, "overloaded", 6),
            (used_up(), "limit", 6),
            (Fault::Overloaded, "overloaded", 6),
            (Fault::Failing, "overloaded", 6),
            (Fault::Login, "auth", 6),
            (Fault::Billing, "billing", 6),
            (Fault::Context, "context", 1),
            (Fault::Garbage, "other", 1),
            (Fault::Disconnect, "network", 6),
            (Fault::Broken, "network", 6),
            (Fault::Hang, "timed_out", 1),
            (Fault::Stall, "timed_out", 1),
        ],
    );
}

/// Only what it does not try again for more than a minute.
#[test]
#[ignore = "needs scripts/real-agents"]
fn opencode() {
    check(
        &OPENCODE,
        Pays::Key,
        &[
            (Fault::Login, "auth", 6),
            (Fault::Context, "context", 1),
            (Fault::Hang, "timed_out", 1),
        ],
    );
}
