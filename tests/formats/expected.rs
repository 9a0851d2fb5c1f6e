//! What the fixtures of the journal's version 1 mean, written out once more by hand.

use super::parts::{
    auth, choice, digest, estimated_report, failed, first_settings, full_report, ground, oid,
    quota, red, report, reviewed, routed, settings, slug, specs, spending, started,
    with_a_deadline, with_a_ladder, with_a_reserve, with_agents, with_budget, with_own_budget,
    with_sessions,
};
use harness::model::{
    AgentChoice, AgentFailure, BudgetUnit, Candidate, Chain, Ending, Event, Evidence, FailureKind,
    Finding, GateId, InfraKind, IterationReport, MergeVerdict, OnHalt, OnLimit, ParkReason,
    ProcessTier, Red, Relation, SandboxTier, SkipReason, Stamp, Step, StopLevel, Trial,
    WorktreeName,
};

fn exit_1() -> Ending {
    Ending::Exited { code: 1 }
}

fn ended() -> Vec<Event> {
    let other = failed(Ending::TimedOut, FailureKind::Other, "[exit 1]");
    let auth_failed = Ending::Signalled { signal: 9 };
    let reports = [
        report(Ending::Exited { code: 1 }),
        failed(auth_failed, FailureKind::Auth, "log in"),
        other,
        IterationReport {
            merge: Some(MergeVerdict::Resolved),
            ..report(Ending::IdleTimedOut)
        },
        report(Ending::OverLimit {
            what: "memory: 4 GiB".into(),
        }),
        report(Ending::Stopped),
        report(Ending::NotStarted {
            why: "no such program".into(),
        }),
        full_report(),
        failed(
            Ending::Exited { code: 1 },
            FailureKind::Machine,
            "no more processes",
        ),
        failed(exit_1(), FailureKind::Billing, "billing"),
        failed(exit_1(), FailureKind::Overloaded, "overloaded"),
        failed(exit_1(), FailureKind::Network, "network"),
        failed(exit_1(), FailureKind::Context, "context"),
        failed(exit_1(), FailureKind::Refused, "refused"),
        failed(exit_1(), FailureKind::Crashed, "crashed"),
        IterationReport {
            failure: Some(AgentFailure {
                kind: FailureKind::Limit,
                text: "weekly limit".into(),
                resets_at: Some(1_795_438_800),
                scope: Some("weekly".into()),
            }),
            ..report(exit_1())
        },
        estimated_report(),
        IterationReport {
            session: Some("ef70b9c6".into()),
            ..full_report()
        },
        IterationReport {
            session: Some("ef70b9c6".into()),
            quota: quota(),
            ..full_report()
        },
    ];
    let event = |(iteration, report)| Event::IterationEnded {
        slug: auth(),
        iteration,
        report: Box::new(report),
    };
    (1..).zip(reports).map(event).collect()
}

fn chain(steps: Vec<Step>) -> Chain {
    Chain {
        onto: oid('a'),
        onto_tree: oid('b'),
        commit: oid('c'),
        tree: oid('d'),
        steps,
    }
}

fn step(name: &str, commit: char) -> Step {
    Step {
        slug: slug(name),
        candidate: Candidate {
            commit: oid(commit),
            tree: oid('2'),
            onto: oid('3'),
            branch_tip: oid('4'),
            branch_tree: oid('5'),
        },
    }
}

fn attempt(attempt: u32, what: Trial, members: &[&str]) -> Event {
    Event::AttemptStarted {
        attempt,
        what,
        onto: oid('a'),
        members: members.iter().map(|name| slug(name)).collect(),
    }
}

fn gated(own: &[&str], red: Option<Red>) -> Event {
    Event::Gated {
        attempt: 1,
        tree: oid('a'),
        gate: GateId {
            common: digest(),
            own: own.iter().map(|text| (*text).to_owned()).collect(),
        },
        red,
        gate_ms: 1200,
    }
}

fn given_up() -> Vec<Event> {
    let reasons = [
        SkipReason::IterationsUsedUp { cap: 20 },
        SkipReason::Setup {
            text: "[exit 1]".into(),
        },
        SkipReason::Spawn {
            text: "no such program".into(),
        },
        SkipReason::SpecRemoved,
        SkipReason::Undone,
        SkipReason::BudgetUsedUp {
            spending: spending(BudgetUnit::MicroUsd, (20_000_000, 20_310_000), false),
        },
        SkipReason::BudgetUsedUp {
            spending: spending(BudgetUnit::Tokens, (5_000_000, 5_100_000), true),
        },
        SkipReason::LeftOut {
            text: String::new(),
            done: false,
        },
        SkipReason::LeftOut {
            text: "not tonight".into(),
            done: true,
        },
    ];
    let event = |why| Event::Failed { slug: auth(), why };
    reasons.map(event).into()
}

fn parked() -> Vec<Event> {
    let reasons = [
        ParkReason::Conflict {
            paths: vec!["src/lib.rs".into()],
        },
        ParkReason::Red { red: red() },
        ParkReason::BaseBroken { red: red() },
        ParkReason::Dependency {
            slug: slug("billing"),
        },
        ParkReason::Infra {
            text: "disk full".into(),
        },
        ParkReason::Review { tip: oid('a') },
    ];
    let event = |why| Event::Parked { slug: auth(), why };
    reasons.map(event).into()
}

fn noticed() -> Vec<Event> {
    let findings = [
        Finding::Budget {
            slug: None,
            spending: spending(BudgetUnit::MicroUsd, (20_000_000, 20_310_000), false),
        },
        Finding::CacheDropped {
            profile: "claude".into(),
            percent: 12,
            before: 84,
        },
        Finding::PromptChanged {
            slug: auth(),
            iteration: 3,
        },
        Finding::Budget {
            slug: Some(auth()),
            spending: spending(BudgetUnit::Tokens, (5_000_000, 4_100_000), true),
        },
    ];
    findings.map(|what| Event::Noticed { what }).into()
}

fn verified() -> Vec<Event> {
    let findings = [
        Evidence::Passed,
        Evidence::Known,
        Evidence::Unchecked,
        Evidence::Fixed,
        Evidence::Flaky { red: red() },
    ];
    let event = |how| Event::Verified {
        attempt: 1,
        commit: oid('a'),
        how,
    };
    findings.map(event).into()
}

/// The events of one kind's fixture, in order.
pub(crate) fn expected(kind: &str) -> Vec<Event> {
    match kind {
        "run_started" => vec![
            started(first_settings(), Relation::Behind),
            started(
                settings(OnHalt::Isolate, ProcessTier::Groups, SandboxTier::Off),
                Relation::Ahead,
            ),
            started(
                settings(OnHalt::Stop, ProcessTier::Supervisor, SandboxTier::Landlock),
                Relation::Rewritten,
            ),
            started(
                settings(OnHalt::Isolate, ProcessTier::Cgroup, SandboxTier::Bwrap),
                Relation::Behind,
            ),
            started(
                with_agents(OnLimit::Wait, 21_600_000, &[]),
                Relation::Behind,
            ),
            started(with_agents(OnLimit::Halt, 0, &[]), Relation::Behind),
            started(
                with_agents(OnLimit::Switch, 3_600_000, &["codex", "mine"]),
                Relation::Behind,
            ),
            started(with_budget(), Relation::Behind),
            started(with_a_ladder(), Relation::Behind),
            started(with_sessions(), Relation::Behind),
            started(with_a_reserve(), Relation::Behind),
            started(with_a_deadline(), Relation::Behind),
        ],
        "backlog_changed" => vec![
            Event::BacklogChanged {
                upserted: vec![],
                removed: vec![],
            },
            Event::BacklogChanged {
                upserted: specs(),
                removed: vec![slug("search")],
            },
            Event::BacklogChanged {
                upserted: with_own_budget(),
                removed: vec![slug("search")],
            },
            Event::BacklogChanged {
                upserted: vec![routed()],
                removed: vec![slug("search")],
            },
            Event::BacklogChanged {
                upserted: vec![reviewed()],
                removed: vec![slug("search")],
            },
        ],
        "time_up" => vec![Event::TimeUp],
        "iteration_ended" => ended(),
        "failed" => given_up(),
        "parked" => parked(),
        "noticed" => noticed(),
        "verified" => verified(),
        _ => of_the_run(kind).unwrap_or_else(|| of_a_feature(kind)),
    }
}

fn of_the_run(kind: &str) -> Option<Vec<Event>> {
    let strained = |why: Option<&str>| Event::Strained {
        why: why.map(str::to_owned),
    };
    let stop = |level| Event::StopRequested { level };
    Some(match kind {
        "halt_seen" => vec![Event::HaltSeen {
            reason: "lunch".into(),
        }],
        "halt_cleared" => vec![Event::HaltCleared],
        "strained" => {
            let why = "memory (everything stood still for 41 % of 10 s)";
            vec![strained(None), strained(None), strained(Some(why))]
        }
        "clock_set" => vec![Event::ClockSet {
            wall: Stamp(1_790_000_000_000),
        }],
        "slept" => vec![Event::Slept {
            slept_ms: 21_600_000,
        }],
        "stop_requested" => vec![
            stop(StopLevel::Drain),
            stop(StopLevel::Terminate { code: 143 }),
        ],
        "attempt_started" => vec![
            attempt(1, Trial::Base, &[]),
            attempt(2, Trial::Reconcile, &[]),
            attempt(3, Trial::Features, &["auth", "billing"]),
        ],
        "built" => vec![
            Event::Built {
                attempt: 1,
                chain: chain(vec![]),
            },
            Event::Built {
                attempt: 2,
                chain: chain(vec![step("auth", '1'), step("billing", 'c')]),
            },
        ],
        "gated" => vec![gated(&[], None), gated(&["make billing"], Some(red()))],
        "split" => vec![Event::Split { attempt: 1 }],
        "attempt_postponed" => vec![Event::AttemptPostponed {
            attempt: 1,
            why: "git: disk full".into(),
            counted: true,
        }],
        "tip_moved" => vec![Event::TipMoved {
            ground: ground(Relation::Behind),
        }],
        "reconciled" => vec![Event::Reconciled { attempt: 1 }],
        "reconcile_failed" => vec![Event::ReconcileFailed {
            attempt: 1,
            why: "they do not go together".into(),
        }],
        "rolled_back" => vec![Event::RolledBack {
            ground: ground(Relation::Behind),
        }],
        "publish_started" => vec![Event::PublishStarted { commit: oid('a') }],
        "published" => vec![Event::Published { commit: oid('a') }],
        "publish_waits" => vec![Event::PublishWaits {
            commit: oid('a'),
            why: "README has changes".into(),
        }],
        "written" => vec![Event::Written { through: 12 }],
        "tidied" => vec![Event::Tidied],
        "run_ended" => vec![Event::RunEnded {
            code: 4,
            codes: vec![4, 1],
        }],
        _ => return None,
    })
}

fn lost() -> Vec<Event> {
    [(3, None), (4, estimated_report().usage)]
        .map(|(iteration, usage)| Event::IterationLost {
            slug: auth(),
            iteration,
            usage,
        })
        .into()
}

fn of_a_feature(kind: &str) -> Vec<Event> {
    let slug = auth();
    match kind {
        "found_done" => vec![Event::FoundDone { slug }],
        "requeued" => vec![Event::Requeued { slug }],
        "abandoned" => vec![Event::Abandoned { slug }],
        "retried" => vec![Event::Retried { slug }],
        "unlanded" => vec![Event::Unlanded { slug }],
        "right_of_way_ended" => vec![Event::RightOfWayEnded { slug }],
        "started" => vec![Event::Started {
            slug,
            worktree: WorktreeName(2),
        }],
        "prepared" => vec![Event::Prepared {
            slug,
            base: oid('a'),
        }],
        "prepare_failed" => [
            (InfraKind::Setup, "`npm ci` failed:\n[exit 1]"),
            (InfraKind::System, "no space left"),
        ]
        .map(|(kind, why)| Event::PrepareFailed {
            slug: auth(),
            kind,
            why: why.into(),
        })
        .into(),
        "iteration_started" => [
            (3, None, None),
            (4, Some("codex"), None),
            (5, Some("codex"), Some(choice())),
        ]
        .map(|(iteration, instead, rung)| Event::IterationStarted {
            slug: auth(),
            iteration,
            instead: instead.map(str::to_owned),
            rung,
        })
        .into(),
        "iteration_lost" => lost(),
        "claimed" => vec![Event::Claimed {
            slug,
            summary: "login works".into(),
        }],
        "blocked" => vec![Event::Blocked {
            slug,
            question: "which database?".into(),
        }],
        "unblocked" => vec![Event::Unblocked {
            slug,
            answer: "the new one".into(),
        }],
        "tripped" => vec![Event::Tripped {
            slug,
            breaker: "stuck".into(),
            why: "3 silent iterations".into(),
        }],
        "escalated" => [AgentChoice::default(), choice()]
            .map(|to| Event::Escalated {
                slug: auth(),
                breaker: "stuck".into(),
                why: "3 iterations in a row said nothing".into(),
                rung: 1,
                to,
            })
            .into(),
        kind => of_a_person(kind),
    }
}

fn of_a_person(kind: &str) -> Vec<Event> {
    let slug = auth();
    match kind {
        "skipped" => ["", "not tonight"]
            .map(|why| Event::Skipped {
                slug: auth(),
                why: why.into(),
            })
            .into(),
        "approved" => vec![Event::Approved {
            slug,
            tip: oid('a'),
        }],
        kind => of_a_merge(kind),
    }
}

fn of_a_merge(kind: &str) -> Vec<Event> {
    let slug = auth();
    let attempt = 1;
    match kind {
        "deferred" => vec![Event::Deferred { slug, attempt }],
        "held" => vec![Event::Held { slug, attempt }],
        "undone" => [(None, false, ""), (Some('a'), true, "it broke login")]
            .map(|(commit, requeue, why)| Event::Undone {
                slug: auth(),
                commit: commit.map(oid),
                requeue,
                why: why.into(),
            })
            .into(),
        "clashed" => vec![Event::Clashed {
            slug,
            attempt,
            onto: oid('a'),
            paths: vec!["src/lib.rs".into()],
        }],
        "gave_way" => vec![Event::GaveWay {
            slug,
            attempt,
            to: self::slug("billing"),
        }],
        "rejected" => vec![Event::Rejected {
            slug,
            attempt,
            onto: oid('a'),
            red: red(),
            merged: true,
        }],
        "member_failed" => vec![Event::MemberFailed {
            slug,
            attempt,
            why: "git: bad object".into(),
        }],
        "merged" => [false, true]
            .map(|empty| Event::Merged {
                slug: auth(),
                commit: oid('a'),
                empty,
            })
            .into(),
        kind => panic!("no event is expected of {kind}.jsonl: say what it means here"),
    }
}
