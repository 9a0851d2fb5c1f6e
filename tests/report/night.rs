//! A night as it could be: the real decisions in a simulated world, over features of every kind, in hours that take no
//! time. Gives the records of its journal.

#![expect(
    unreachable_pub,
    clippy::unwrap_used,
    reason = "a test that cannot go on must stop"
)]

use harness::core::wake_at;
use harness::driver::turn::{Engine, Observation, World};
use harness::journal::JournalError;
use harness::model::{
    AgentChoice, AgentFailure, Backlog, BuildOutcome, Candidate, Chain, Effect, EffectKey, Ending,
    FailureKind, FeatureSpec, GateOutcome, Ground, Input, IterationReport, LandOutcome, Member,
    MergeSettings, MergeVerdict, Oid, PublishOutcome, Record, Relation, RunId, Settings, Slug,
    Stamp, Step, StopLevel, Trial, Usage,
};
use std::collections::{BTreeMap, BTreeSet};

/// 2026-11-23 21:00 UTC.
pub const EVENING: Stamp = Stamp(1_795_467_600_000);
pub const MINUTE: u64 = 60_000;

/// Words that must never become more than words.
pub const HOSTILE: &str = "<script>alert(1)</script> @everyone see #12 | `rm` **now** \u{1b}[2J\u{202e} \
    <img src=x onerror=alert(2)> ]]> --> ![x](http://e.vil) www.e.vil";

/// A night that is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub features: u64,
    pub parallel: u32,
    /// The run is told to stop after so many minutes.
    pub stop_after: Option<u64>,
    /// The journal ends after so many minutes, as if the run had been killed.
    pub killed_after: Option<u64>,
}

struct Night {
    now: Stamp,
    under_way: BTreeMap<EffectKey, (Effect, Stamp)>,
    records: Vec<Record>,
    next: u64,
    tip: Oid,
    /// Whom a commit brings, of those that fail.
    bad: BTreeMap<Oid, BTreeSet<Slug>>,
    told: BTreeSet<Slug>,
    conflicted: BTreeSet<Slug>,
    flaked: bool,
}

pub fn slug(n: u64) -> Slug {
    const WORDS: [&str; 12] = [
        "auth-login",
        "billing",
        "search-index",
        "profile-page",
        "export-csv",
        "dark-mode",
        "webhooks",
        "audit-log",
        "rate-limits",
        "i18n",
        "onboarding-tour",
        "api-tokens",
    ];
    let word = WORDS[usize::try_from(n).unwrap() % WORDS.len()];
    let name = match n / 12 {
        0 => word.to_owned(),
        round => format!("{word}-{round}"),
    };
    Slug::new(name).unwrap()
}

fn oid(n: u64) -> Oid {
    let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Oid::parse(&format!("{mixed:016x}{n:024x}")).unwrap()
}

/// Which kind of feature it is, by its number.
fn number(slug: &Slug) -> u64 {
    (0..).find(|n| self::slug(*n) == *slug).unwrap()
}

fn spec(n: u64) -> FeatureSpec {
    let depends_on = match n % 4 {
        1 if n > 3 => vec![slug(n - 3)],
        3 => vec![slug(n - 1)],
        _ => Vec::new(),
    };
    let agent = match n % 5 {
        3 => AgentChoice {
            profile: Some("codex".to_owned()),
            model: None,
        },
        _ => AgentChoice::default(),
    };
    FeatureSpec {
        title: match n {
            1 => format!("Bill customers {HOSTILE}"),
            n => format!("The {} of the product, as its spec says", slug(n)),
        },
        depends_on,
        agent,
        ..FeatureSpec::bare(slug(n))
    }
}

impl World for Night {
    fn record(&mut self, records: &[Record]) -> Result<(), JournalError> {
        self.records.extend_from_slice(records);
        Ok(())
    }

    fn perform(&mut self, effect: Effect) {
        let takes = match &effect {
            Effect::Gate { .. } => 3 * MINUTE + 7_000,
            Effect::Iterate {
                slug, iteration, ..
            } => (5 + (number(slug) * 7 + u64::from(*iteration) * 3) % 23) * MINUTE,
            Effect::Prepare { .. } => 40_000,
            Effect::Build { .. } | Effect::Land { .. } => 400,
            _ => 5,
        };
        let ends = self.now.plus_ms(takes);
        self.under_way.insert(effect.key(), (effect, ends));
    }

    fn stop(&mut self, key: &EffectKey) {
        if let Some((_, ends)) = self.under_way.get_mut(key) {
            *ends = self.now;
        }
    }

    fn probe(&mut self, _: Vec<harness::core::Running>) -> Vec<Observation> {
        Vec::new()
    }
}

impl Night {
    fn fresh(&mut self) -> Oid {
        self.next += 1;
        oid(self.next)
    }

    fn finish(&mut self, key: &EffectKey) -> Observation {
        let (effect, ends) = self.under_way.remove(key).unwrap();
        self.now = self.now.max(ends);
        let input = match effect {
            Effect::Prepare {
                slug,
                worktree,
                attempt,
                ..
            } => Input::Prepared {
                slug,
                attempt,
                worktree,
                base: self.tip.clone(),
            },
            Effect::Iterate {
                slug,
                iteration,
                handback,
                ..
            } => Input::IterationEnded {
                report: Box::new(self.report(&slug, iteration, handback.is_some())),
                slug,
                iteration,
            },
            Effect::Tidy { .. } => Input::Tidied,
            Effect::Write(job) => Input::Written {
                through: job.number,
            },
            Effect::Build {
                attempt,
                what,
                onto,
                members,
                ..
            } => Input::Built {
                attempt,
                outcome: self.build(what, &onto, &members),
            },
            Effect::Gate {
                attempt,
                reds,
                commit,
                ..
            } => Input::Gated {
                attempt,
                reds,
                outcome: self.gate(&commit, reds),
            },
            Effect::Land { attempt, to, .. } => {
                self.tip = to;
                Input::Landed {
                    attempt,
                    outcome: LandOutcome::Done,
                }
            }
            Effect::Rewind { .. } => unreachable!("nobody rewrites anything"),
            Effect::Publish { number, .. } => Input::Published {
                number,
                outcome: PublishOutcome::Done,
            },
        };
        Observation::end_of(key.clone(), input)
    }

    fn build(&mut self, what: Trial, onto: &Oid, members: &[Member]) -> BuildOutcome {
        let (mut at, mut steps, mut conflicts) = (onto.clone(), Vec::new(), Vec::new());
        let mut bad = self.bad.get(onto).cloned().unwrap_or_default();
        for member in members.iter().filter(|_| what == Trial::Features) {
            let n = number(&member.slug);
            if n % 11 == 6 && self.conflicted.insert(member.slug.clone()) {
                let paths = vec![format!("src/{}.rs", slug(n)), "Cargo.lock".to_owned()];
                conflicts.push((member.slug.clone(), paths));
                continue;
            }
            if n % 17 == 11 || (n % 6 == 2 && self.told.insert(member.slug.clone())) {
                bad.insert(member.slug.clone());
            }
            let (commit, branch_tip) = (self.fresh(), self.fresh());
            self.bad.insert(commit.clone(), bad.clone());
            steps.push(Step {
                slug: member.slug.clone(),
                candidate: Candidate {
                    tree: commit.clone(),
                    onto: at,
                    branch_tree: branch_tip.clone(),
                    branch_tip,
                    commit: commit.clone(),
                },
            });
            at = commit;
        }
        BuildOutcome::Built {
            chain: Chain {
                onto: onto.clone(),
                onto_tree: onto.clone(),
                tree: at.clone(),
                commit: at,
                steps,
            },
            conflicts,
            deferred: Vec::new(),
            yielded: Vec::new(),
            failed: Vec::new(),
        }
    }

    fn gate(&mut self, commit: &Oid, reds: u32) -> GateOutcome {
        let gate_ms = 3 * MINUTE + 7_000;
        let is_bad = self.bad.get(commit).is_some_and(|bad| !bad.is_empty());
        let flakes =
            !is_bad && reds == 0 && self.next > 20 && !std::mem::replace(&mut self.flaked, true);
        match is_bad || flakes {
            false => GateOutcome::Green { gate_ms },
            true => GateOutcome::Red {
                command: "cargo test --workspace".to_owned(),
                tail: format!(
                    "running 212 tests\ntest api::limits ... FAILED\n\n---- api::limits ----\nassertion `left == right` \
                     failed\n  left: 429\n right: 200\n{HOSTILE}\n[exit 101]"
                ),
                gate_ms,
            },
        }
    }

    fn report(&mut self, slug: &Slug, iteration: u32, merges: bool) -> IterationReport {
        let n = number(slug);
        let steps = match n % 9 {
            4 => 4,
            8 => 2,
            _ if n % 31 == 5 => 9,
            _ => 1,
        };
        let fails = n % 10 == 9 && iteration == 1;
        let asks = n % 13 == 7;
        let estimated = n % 5 == 3;
        let scale = 1 + n % 7;
        IterationReport {
            ending: Ending::Exited {
                code: i32::from(fails),
            },
            elapsed_ms: (5 + (n * 7 + u64::from(iteration) * 3) % 23) * MINUTE,
            note: match asks {
                true => HOSTILE.to_owned(),
                false => {
                    format!("Step {iteration} of {slug}: moved the parser and wrote its tests.")
                }
            },
            message: String::new(),
            lessons: match n % 8 {
                0 => vec![format!(
                    "`cargo test -p {slug}` is enough while you work on it."
                )],
                5 => vec![HOSTILE.to_owned()],
                _ => Vec::new(),
            },
            done: (!fails && !asks && (iteration >= steps || merges))
                .then(|| format!("{slug} works, and {} tests say so; {HOSTILE}", 3 + n % 9)),
            refused: (n % 14 == 10 && iteration == 1)
                .then(|| "`todo!()` is left in src/lib.rs".to_owned()),
            tampered: None,
            blocked: asks
                .then(|| format!("Which provider do we use?\nI see two: a and b.\n{HOSTILE}")),
            failure: fails.then(|| AgentFailure::new(FailureKind::Crashed, "the program crashed")),
            tip: Some(self.fresh()),
            changed: true,
            merge: merges.then_some(MergeVerdict::Resolved),
            usage: Some(Usage {
                input: 12_000 * scale,
                output: 9_000 * scale,
                cache_read: 640_000 * scale,
                cache_write: 41_000 * scale,
                micro_usd: 430_000 * scale,
                estimated,
            }),
            prompt: None,
            session: None,
            quota: Vec::new(),
        }
    }
}

fn begins(run: &str, parallel: u32, tip: &Oid) -> Input {
    let settings = Settings {
        parallel,
        max_iterations: 5_000,
        max_iterations_per_feature: 12,
        agent: "claude".to_owned(),
        merge: MergeSettings {
            gate: Some("gate".to_owned()),
            max_red_rounds: 2,
            ..MergeSettings::default()
        },
        ..Settings::default()
    };
    Input::RunBegins {
        run: RunId(run.to_owned()),
        settings: Box::new(settings),
        target: "refs/heads/main".to_owned(),
        ground: Ground {
            tip: tip.clone(),
            tree: tip.clone(),
            target: tip.clone(),
            relation: Relation::Behind,
        },
        lost: Vec::new(),
        gone: Vec::new(),
    }
}

/// The records of a night.
pub fn night(run: &str, case: Case) -> Vec<Record> {
    let mut night = Night {
        now: EVENING,
        under_way: BTreeMap::new(),
        records: Vec::new(),
        next: 1,
        tip: oid(1),
        bad: BTreeMap::new(),
        told: BTreeSet::new(),
        conflicted: BTreeSet::new(),
        flaked: false,
    };
    let mut engine = Engine::replay(&[]);
    let mut batch = engine.resume(&mut night);
    let backlog = Input::Looked(Backlog {
        features: Some((0..case.features).map(spec).collect()),
        done: None,
        halt: None,
    });
    batch.extend([
        begins(run, case.parallel, &night.tip).into(),
        backlog.into(),
    ]);
    let after = |minutes: u64| EVENING.plus_ms(minutes * MINUTE);
    let mut stop_at = case.stop_after.map(after);
    let killed_at = case.killed_after.map(after);
    let mut sleeps_at = Some(after(150));
    loop {
        let now = night.now;
        if stop_at.is_some_and(|at| at <= now) {
            stop_at = None;
            batch.push(Input::Stop(StopLevel::Drain).into());
        }
        engine
            .turn(&mut night, std::mem::take(&mut batch), now)
            .unwrap();
        let is_killed = killed_at.is_some_and(|at| at <= now);
        if is_killed || engine.state().exit_code().is_some() {
            return night.records;
        }
        let next = night.under_way.iter().min_by_key(|(_, (_, ends))| *ends);
        match (
            next.map(|(key, _)| key.clone()),
            wake_at(engine.state(), now),
        ) {
            (Some(key), _) => batch.push(night.finish(&key)),
            (None, Some(at)) => {
                night.now = at;
                batch.push(Input::Tick.into());
            }
            (None, None) => panic!("nothing is under way"),
        }
        if sleeps_at.is_some_and(|at| at <= night.now) {
            sleeps_at = None;
            let slept_ms = 25 * MINUTE;
            night.now = night.now.plus_ms(slept_ms);
            batch.insert(0, Input::Slept { slept_ms }.into());
        }
    }
}
