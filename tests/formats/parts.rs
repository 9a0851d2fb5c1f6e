//! Values that journalled events are made of. Written out in full: who adds a field says here what it is.

use std::collections::BTreeMap;

use harness::model::{
    AgentChoice, AgentFailure, AgentSettings, BreakerSettings, Budget, BudgetSettings, BudgetUnit,
    Containment, Deadline, Ending, Event, FailureKind, FeatureSpec, Ground, IterationReport,
    LimitSettings, MergeSettings, MergeVerdict, Oid, OnHalt, OnLimit, ProcessTier, PromptFigures,
    Quota, Red, Relation, RunId, SandboxTier, Settings, Slug, Spending, Stamp, StuckRule, Usage,
};

pub(crate) fn slug(name: &str) -> Slug {
    Slug::new(name).unwrap()
}

pub(crate) fn auth() -> Slug {
    slug("auth")
}

pub(crate) fn oid(digit: char) -> Oid {
    Oid::parse(&digit.to_string().repeat(40)).unwrap()
}

pub(crate) fn digest() -> String {
    "0f".repeat(20)
}

pub(crate) fn red() -> Red {
    Red {
        command: "make test".into(),
        tail: "1 failed\n[exit 1]".into(),
    }
}

pub(crate) fn ground(relation: Relation) -> Ground {
    Ground {
        tip: oid('a'),
        tree: oid('b'),
        target: oid('c'),
        relation,
    }
}

pub(crate) fn started(settings: Settings, relation: Relation) -> Event {
    Event::RunStarted {
        run: RunId("20261123-221530-4f2a".into()),
        settings: Box::new(settings),
        target: "refs/heads/main".into(),
        ground: ground(relation),
    }
}

pub(crate) fn breakers() -> BreakerSettings {
    BreakerSettings {
        stuck_limit: 3,
        stuck_min_bytes: 32,
        idle_limit: 5,
        repeat_limit: 3,
    }
}

/// Before there were `merge`, `containment`, `agents`, `limits`, `budget` and `only`.
pub(crate) fn first_settings() -> Settings {
    Settings {
        parallel: 1,
        max_iterations: 200,
        max_iterations_per_feature: 20,
        until: None,
        sleep_between_ms: 0,
        on_halt: OnHalt::Isolate,
        breakers: breakers(),
        merge: MergeSettings {
            gate: None,
            batch: 4,
            parallel_gates: 1,
            retries: 1,
            max_conflict_rounds: 3,
            max_red_rounds: 2,
            publish: true,
        },
        containment: Containment {
            processes: ProcessTier::Groups,
            sandbox: SandboxTier::Off,
        },
        agent: String::new(),
        model: None,
        agents: BTreeMap::new(),
        limits: LimitSettings {
            on_limit: OnLimit::Wait,
            max_wait_ms: 21_600_000,
            keep_percent: None,
            fallback: vec![],
        },
        budget: BudgetSettings::default(),
        escalate: vec![],
        only: None,
    }
}

pub(crate) fn with_agents(on_limit: OnLimit, max_wait_ms: u64, fallback: &[&str]) -> Settings {
    let agent = |account: &str, parallel| AgentSettings {
        account: account.into(),
        parallel,
        resume: false,
        apart_ms: None,
    };
    Settings {
        agent: "claude".into(),
        agents: BTreeMap::from([
            ("claude".into(), agent("work", Some(1))),
            ("codex".into(), agent("codex", Some(2))),
        ]),
        limits: LimitSettings {
            on_limit,
            max_wait_ms,
            keep_percent: None,
            fallback: fallback.iter().map(|name| (*name).into()).collect(),
        },
        ..settings(OnHalt::Isolate, ProcessTier::Cgroup, SandboxTier::Bwrap)
    }
}

pub(crate) fn with_budget() -> Settings {
    let budget = |micro_usd, tokens| Budget {
        micro_usd: Some(micro_usd),
        tokens: Some(tokens),
    };
    Settings {
        budget: BudgetSettings {
            run: budget(20_000_000, 50_000_000),
            feature: budget(5_000_000, 9_000_000),
        },
        ..with_agents(OnLimit::Switch, 3_600_000, &["codex", "mine"])
    }
}

pub(crate) fn spending(unit: BudgetUnit, (budget, used): (u64, u64), estimated: bool) -> Spending {
    Spending {
        unit,
        budget,
        used,
        estimated,
    }
}

pub(crate) fn choice() -> AgentChoice {
    AgentChoice {
        profile: Some("strong".into()),
        model: Some("large".into()),
    }
}

pub(crate) fn with_a_ladder() -> Settings {
    Settings {
        model: Some("small".into()),
        escalate: vec![choice()],
        ..with_agents(OnLimit::Switch, 3_600_000, &["codex", "mine"])
    }
}

pub(crate) fn with_sessions() -> Settings {
    let mut settings = with_a_ladder();
    settings.agents.get_mut("claude").unwrap().resume = true;
    settings
}

pub(crate) fn with_a_reserve() -> Settings {
    let mut settings = with_sessions();
    for agent in settings.agents.values_mut() {
        (agent.resume, agent.apart_ms) = (true, Some(3_000));
    }
    settings.limits.keep_percent = Some(20);
    settings
}

pub(crate) fn with_a_deadline() -> Settings {
    Settings {
        until: Some(Deadline {
            at: Stamp(1_790_028_800_000),
            asked: "07:30".into(),
        }),
        ..with_a_reserve()
    }
}

pub(crate) fn quota() -> Vec<Quota> {
    vec![Quota {
        scope: "five_hour".into(),
        used_percent: 87,
        resets_at: 1_795_438_800,
    }]
}

pub(crate) fn settings(on_halt: OnHalt, processes: ProcessTier, sandbox: SandboxTier) -> Settings {
    Settings {
        parallel: 4,
        on_halt,
        merge: MergeSettings {
            gate: Some(digest()),
            batch: 2,
            parallel_gates: 3,
            retries: 0,
            max_conflict_rounds: 5,
            max_red_rounds: 4,
            publish: false,
        },
        containment: Containment { processes, sandbox },
        only: Some([auth(), slug("billing")].into()),
        ..first_settings()
    }
}

pub(crate) fn specs() -> Vec<FeatureSpec> {
    let plain = FeatureSpec {
        slug: auth(),
        title: "Auth".into(),
        path: "specs/auth/spec.md".into(),
        depends_on: vec![],
        after: vec![],
        priority: 0,
        order: None,
        touches: vec![],
        locks: vec![],
        agent: AgentChoice {
            profile: None,
            model: None,
        },
        label: None,
        timeout_ms: None,
        stuck: StuckRule {
            limit: None,
            min_bytes: None,
        },
        budget: Budget {
            micro_usd: None,
            tokens: None,
        },
        verify: vec![],
        review: false,
    };
    let full = FeatureSpec {
        slug: slug("billing"),
        title: "Billing".into(),
        path: "specs/billing/spec.md".into(),
        depends_on: vec![auth()],
        after: vec![slug("search")],
        priority: -3,
        order: Some(0),
        touches: vec!["src/billing".into()],
        locks: vec!["db".into()],
        agent: choice(),
        label: None,
        timeout_ms: Some(60_000),
        stuck: StuckRule {
            limit: Some(2),
            min_bytes: Some(0),
        },
        budget: Budget {
            micro_usd: None,
            tokens: None,
        },
        verify: vec!["make billing".into()],
        review: false,
    };
    vec![plain, full]
}

/// The same, and one of them has a budget of its own.
pub(crate) fn with_own_budget() -> Vec<FeatureSpec> {
    let mut specs = specs();
    specs[1].budget = Budget {
        micro_usd: Some(2_500_000),
        tokens: Some(1_000_000),
    };
    specs
}

/// A feature whose agent was chosen by a label.
pub(crate) fn routed() -> FeatureSpec {
    FeatureSpec {
        label: Some("ui".into()),
        ..specs().remove(1)
    }
}

pub(crate) fn reviewed() -> FeatureSpec {
    FeatureSpec {
        review: true,
        ..routed()
    }
}

pub(crate) fn report(ending: Ending) -> IterationReport {
    IterationReport {
        ending,
        elapsed_ms: 1000,
        note: String::new(),
        message: String::new(),
        lessons: vec![],
        done: None,
        refused: None,
        tampered: None,
        blocked: None,
        failure: None,
        tip: None,
        changed: false,
        merge: None,
        usage: None,
        prompt: None,
        session: None,
        quota: Vec::new(),
    }
}

pub(crate) fn failed(ending: Ending, kind: FailureKind, text: &str) -> IterationReport {
    IterationReport {
        failure: Some(AgentFailure {
            kind,
            text: text.into(),
            resets_at: None,
            scope: None,
        }),
        ..report(ending)
    }
}

pub(crate) fn full_report() -> IterationReport {
    IterationReport {
        ending: Ending::Exited { code: 0 },
        elapsed_ms: 252_000,
        note: "moved the parser".into(),
        message: "All done. é \u{1}".into(),
        lessons: vec!["tests need a tty".into()],
        done: Some("the parser is moved".into()),
        refused: Some("a merge was left half done".into()),
        tampered: Some("it moved refs/heads/main".into()),
        blocked: Some("which parser?".into()),
        failure: Some(AgentFailure {
            kind: FailureKind::Limit,
            text: "quota used up".into(),
            resets_at: None,
            scope: None,
        }),
        tip: Some(oid('d')),
        changed: true,
        merge: Some(MergeVerdict::Unresolved {
            findings: vec!["README has markers".into()],
        }),
        usage: Some(Usage {
            input: 1,
            output: 2,
            cache_read: 3,
            cache_write: 4,
            micro_usd: 5,
            estimated: false,
        }),
        ..report(Ending::Exited { code: 0 })
    }
}

/// With an estimate, and figures of the prompt.
pub(crate) fn estimated_report() -> IterationReport {
    let full = full_report();
    IterationReport {
        usage: full.usage.map(|usage| Usage {
            estimated: true,
            ..usage
        }),
        prompt: Some(PromptFigures {
            bytes: 12_345,
            stable: 2_600,
            hash: "2727a9bfa6efaef9".into(),
            shared: 11_000,
        }),
        session: None,
        ..full
    }
}
