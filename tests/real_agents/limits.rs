//! A limit of the account's in the middle of a night: everybody who uses it stops, nobody is charged, and when it is
//! reset one tries before all go on. Or another program goes on meanwhile.
//!
//! One iteration is all that a feature may have here, and no breaker takes a second failure: whatever was charged for
//! the limit would show in the exit code.

use crate::backlog::{self, FEATURES};
use crate::cli::{CLAUDE, CODEX, Pays};
use crate::model::{Api, Ask, Fault, Model, Reply, Served, now_ms};
use crate::night::{Agent, Night, wait};
use crate::support::{end, signal};
use serde_json::Value;
use std::sync::OnceLock;

const STRICT: &str = "run: {max_iterations_per_feature: 1}
breakers: {stuck: {limit: 1}, idle: {limit: 1}, repeat: {limit: 1}}";
/// Where in its work the first agent is when something goes wrong: its file is written, and nothing is claimed.
const MIDDLE: usize = 2;

/// A model with a limit on one of its interfaces, which is reset as said when it is reached.
fn limited(api: Api, reset: impl Fn() -> u64 + Send + Sync + 'static) -> Model {
    let first = OnceLock::new();
    Model::start(move |ask: &Ask, _: &[Served]| {
        let is_reached = first.get().is_some() || ask.turns == MIDDLE;
        if ask.api == api && is_reached {
            let resets_at = *first.get_or_init(&reset);
            if now_ms() < resets_at * 1000 {
                return Reply::Fail(Fault::Limit { resets_at });
            }
        }
        Reply::Say(backlog::next(ask))
    })
}

/// So many seconds from now, in seconds since 1970.
fn in_seconds(seconds: u64) -> u64 {
    now_ms() / 1000 + seconds
}

fn night(model: Model, agents: &[Agent<'_>], more: &str) -> Option<Night> {
    let features = FEATURES.map(|(name, _)| name);
    Night::new(model, &features, agents, &format!("{STRICT}\n{more}"))
}

fn is_limited(ended: &Value) -> bool {
    ended["report"]["failure"]["kind"] == "limit"
}

/// Whether a call failed because of its account or its service.
fn is_refused(ended: &Value) -> bool {
    is_limited(ended) || ended["report"]["failure"]["kind"] == "overloaded"
}

/// When the limit is reset, as harness has understood each that it heard of, in milliseconds since 1970.
fn resets(night: &Night) -> Vec<u64> {
    let ended = night.events("iteration_ended").into_iter();
    let limited = ended.filter(is_limited);
    limited
        .map(|ended| ended["report"]["failure"]["resets_at"].as_u64().unwrap() * 1000)
        .collect()
}

/// Whether somebody has heard of the limit and nobody is at work.
fn waits(night: &Night) -> bool {
    let (started, ended) = (
        night.events("iteration_started"),
        night.events("iteration_ended"),
    );
    started.len() == ended.len() && ended.iter().any(is_limited)
}

/// After the last that was refused: how many are at work, at most, before the first, the second, ... goes well.
fn ramp(night: &Night) -> Vec<u32> {
    let journal = night.journal();
    let last = journal.iter().rposition(is_refused).unwrap();
    let (mut most, mut at_work) = (vec![0], 0_u32);
    for event in &journal[last + 1..] {
        match event["event"].as_str() {
            Some("iteration_started") => {
                at_work += 1;
                let now = most.last_mut().unwrap();
                *now = at_work.max(*now);
            }
            Some("iteration_ended") => {
                assert_eq!(event["report"]["failure"], Value::Null, "{event}");
                at_work -= 1;
                most.push(at_work);
            }
            _ => {}
        }
    }
    most
}

/// What must hold when a night went through a limit and waited for its end.
fn check_wait(night: &Night) {
    let resets = resets(night);
    assert!(resets.iter().all(|at| *at == resets[0]), "{resets:?}");
    let ramp = ramp(night);
    println!(
        "{} heard of the limit; then at work: {ramp:?}",
        resets.len()
    );
    assert_eq!(ramp[0], 1, "one tries first: {ramp:?}");
    assert!(ramp[1] <= 2, "then two: {ramp:?}");

    let log = night.model.log();
    let first = log
        .iter()
        .position(|served| served.fault.is_some())
        .unwrap();
    let again = log
        .iter()
        .rposition(|served| served.fault.is_some())
        .unwrap()
        + 1;
    let refused = log[first..again]
        .iter()
        .all(|served| served.fault == Some("limit"));
    assert!(refused, "the limit holds for all");
    assert!(log[again].at >= resets[0], "nobody asks before the reset");
    // Its four answers come before anybody else asks.
    let canary = log[again..]
        .split_inclusive(|served| served.turn == 3)
        .next()
        .unwrap();
    let alone = canary
        .iter()
        .all(|served| served.feature == canary[0].feature);
    assert!(alone, "{canary:?}");
}

/// Nothing of what was served is missing in `status`, nor told twice.
fn check_usage(night: &Night) {
    for (feature, _) in FEATURES {
        let served = night.model.usage_of(feature, |_| true);
        assert_eq!(night.told(feature), served, "{feature}");
    }
}

#[test]
#[ignore = "needs scripts/real-agents"]
fn all_wait_for_the_reset_and_one_tries_first() {
    let agents = [("claude", &CLAUDE, Pays::Plan, &[][..])];
    let Some(night) = night(limited(Api::Messages, || in_seconds(20)), &agents, "") else {
        return;
    };
    let child = night.start();
    night.site.await_rarely("a wait", || waits(&night));
    let account = night.status()["run"]["accounts"][0].clone();
    let ran = wait(child);
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    assert_eq!(account["closed"], true, "{account}");
    assert_eq!(account["scope"], "five_hour", "{account}");
    check_wait(&night);
    check_usage(&night);
    assert_eq!(night.status()["run"]["iterations"], 6, "none is charged");
    assert_eq!(resets(&night).len(), 3, "all three heard of it");
}

#[test]
#[ignore = "needs scripts/real-agents"]
fn a_wait_survives_the_death_of_harness() {
    let agents = [("claude", &CLAUDE, Pays::Plan, &[][..])];
    let Some(night) = night(limited(Api::Messages, || in_seconds(30)), &agents, "") else {
        return;
    };
    let child = night.start();
    night.site.await_rarely("a wait", || waits(&night));
    signal(&child, "KILL");
    end(child);
    assert!(
        now_ms() < resets(&night)[0],
        "killed while it waits; too slow a machine"
    );
    let begun = night.events("iteration_started").len();
    let ran = night.run();
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    assert!(begun <= 3, "nobody else began");
    check_wait(&night);
    check_usage(&night);
}

/// It tells the minute only, and nothing of the tokens of a call that has failed.
#[test]
#[ignore = "needs scripts/real-agents"]
fn codex_waits_for_the_minute_that_it_is_told() {
    let agents = [("codex", &CODEX, Pays::Key, &[][..])];
    let minute = || in_seconds(75) / 60 * 60;
    let Some(night) = night(limited(Api::Responses, minute), &agents, "") else {
        return;
    };
    let ran = night.run();
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    check_wait(&night);
    assert_eq!(night.status()["run"]["iterations"], 6, "none is charged");
}

/// Nobody knows when it is over: it is tried again after a while, in the same way.
#[test]
#[ignore = "needs scripts/real-agents"]
fn a_service_that_is_overloaded_for_a_while_is_waited_for() {
    let model = Model::start(|ask: &Ask, log: &[Served]| {
        let failed = log.iter().filter(|served| served.fault.is_some()).count();
        if failed < 3 && (failed > 0 || ask.turns == MIDDLE) {
            return Reply::Fail(Fault::Overloaded);
        }
        Reply::Say(backlog::next(ask))
    });
    let env = [("CLAUDE_CODE_MAX_RETRIES", "0")];
    let agents = [("claude", &CLAUDE, Pays::Key, &env[..])];
    let Some(night) = night(model, &agents, "") else {
        return;
    };
    let ran = night.run();
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    let ramp = ramp(&night);
    println!("then at work: {ramp:?}");
    assert_eq!(ramp[0], 1, "one tries first: {ramp:?}");
    let refused = night.events("iteration_ended").into_iter();
    assert_eq!(refused.filter(is_refused).count(), 3);
    assert_eq!(night.status()["run"]["iterations"], 6, "none is charged");
    check_usage(&night);
}

#[test]
#[ignore = "needs scripts/real-agents"]
fn another_program_goes_on_meanwhile() {
    let agents = [
        ("claude", &CLAUDE, Pays::Plan, &[][..]),
        ("codex", &CODEX, Pays::Key, &[]),
    ];
    let more = "fallback: [codex]\nlimits: {on_limit: switch}";
    let Some(night) = night(limited(Api::Messages, || in_seconds(3600)), &agents, more) else {
        return;
    };
    let child = night.start();
    let stands_in = |event: &Value| event["instead"] == "codex";
    night.site.await_rarely("a stand-in", || {
        night.events("iteration_started").iter().any(stands_in)
    });
    signal(&child, "KILL");
    end(child);
    let known = night.model.log().len();
    let ran = night.run();
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    assert_eq!(night.site.landed().len(), 6);
    for event in night.events("iteration_ended") {
        let failure = &event["report"]["failure"];
        assert!(failure.is_null() || failure["kind"] == "limit", "{event}");
    }
    let log = night.model.log();
    let asked = log[known..]
        .iter()
        .filter(|served| served.path.ends_with("/messages"));
    // An agent that had begun before may still have asked when harness was killed.
    let asked: Vec<_> = asked.map(|served| (served.turn, served.fault)).collect();
    assert!(asked.iter().all(|(turn, _)| *turn > 0), "{asked:?}");
}
