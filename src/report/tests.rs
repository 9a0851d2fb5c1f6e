//! What people and programs see, on pages small enough to read here.

use super::*;
use crate::core::{
    AccountView, AgentView, Because, BudgetView, FeatureView, Planned, RunView, Stage, Wait,
};
use crate::model::{
    AgentFailure, Budget, Containment, Ending, Event, Evidence, FailureKind, GateId, Ground,
    InfraKind, IterationReport, Oid, ParkReason, ProcessTier, Record, Red, Relation, RunId,
    SandboxTier, Settings, StopLevel, Usage, WorktreeName,
};
use jiff::tz::TimeZone;
use std::path::Path;

/// 2026-11-23 22:15:30 UTC.
const T0: Stamp = Stamp(1_795_472_130_000);

pub(super) fn slug(name: &str) -> Slug {
    Slug::new(name).unwrap()
}

fn oid(digit: char) -> Oid {
    Oid::parse(&digit.to_string().repeat(40)).unwrap()
}

pub(super) fn feature(name: &str, stage: Stage) -> FeatureView {
    FeatureView {
        slug: slug(name),
        title: format!("The {name}"),
        stage,
        since: T0,
        iteration: 3,
        worktree: None,
        last_words: String::new(),
        detail: None,
        waits: Vec::new(),
        sent_back: None,
        review: false,
        skip: None,
        depends_on: Vec::new(),
        chain: 1,
        commit: (stage == Stage::Merged).then(|| oid('a')),
        empty: false,
        unselected: false,
        agent: None,
        usage: Usage::default(),
        cached_percent: None,
        budget: BudgetView::default(),
    }
}

pub(super) fn view_of(features: Vec<FeatureView>) -> View {
    View {
        run: Some(RunView {
            overtaken: false,
            containment: Containment {
                processes: ProcessTier::Supervisor,
                sandbox: SandboxTier::Bwrap,
            },
            id: "20261123-221530-4f2a".to_owned(),
            target: "refs/heads/main".to_owned(),
            tip: oid('b'),
            target_tip: oid('b'),
            unpublished: Vec::new(),
            publish_waits: None,
            broken_base: None,
            started: T0,
            ended: None,
            slept_ms: 0,
            waited_ms: 0,
            codes: Vec::new(),
            parallel: 4,
            iterations: 14,
            max_iterations: 200,
            stop: None,
            until: None,
            time_up: false,
            strain: None,
            accounts: Vec::new(),
            account: None,
            usage: Usage::default(),
            cached_percent: None,
            budget: BudgetView::default(),
            feature_budget: Budget::default(),
            findings: Vec::new(),
        }),
        halt: None,
        ahead: None,
        features,
    }
}

fn glance<'a>(view: &'a View, heard: &'a BTreeMap<Slug, Heard>, live: bool) -> Glance<'a> {
    Glance {
        view,
        now: T0.plus_ms(252_000),
        live: live.then(|| "pid 4242".to_owned()),
        heard,
    }
}

/// What one agent's last line is.
fn heard(name: &str, words: &str) -> BTreeMap<Slug, Heard> {
    let heard = Heard {
        words: Some(words.to_owned()),
        ..Heard::default()
    };
    BTreeMap::from([(slug(name), heard)])
}

fn page(view: &View, columns: usize, live: bool) -> String {
    status(&glance(view, &BTreeMap::new(), live), columns, false)
}

fn mixed() -> View {
    let mut blocked = feature("billing", Stage::Blocked);
    blocked.detail = Some("Which database?\nThere are two.".to_owned());
    let mut working = feature("auth-login", Stage::Working);
    working.last_words = "moved the parser".to_owned();
    let mut waiting = feature("search", Stage::Waiting);
    waiting.waits = vec![Wait::Dependencies(vec![slug("auth-login"), slug("index")])];
    let mut skipped = feature("invoices", Stage::Skipped);
    skipped.waits = vec![Wait::Hopeless(vec![slug("billing")])];
    view_of(vec![
        feature("index", Stage::Merged),
        working,
        blocked,
        waiting,
        skipped,
    ])
}

#[test]
fn a_page_says_what_runs_what_needs_a_person_and_what_waits() {
    assert_eq!(
        page(&mixed(), 120, true),
        "\
████░░░░░░░░░░░░░░░░░░░░ 1/5 merged · 1 working · 1 blocked · 1 waiting · 1 skipped
running for 4m12s onto main, 4 at once, iteration 14 of 200 (pid 4242)
contained by supervisor, sandbox: bwrap

Running (1)
  auth-login  working   #3    4m12s  moved the parser

Needs you (1)
  billing  blocked  Which database? There are two.
           harness unblock billing -m \"…\"

Waiting (2)
  search    needs auth-login, index
  invoices  needs billing, which will not merge without you

Merged (1)
  index  aaaaaaaaa The index
"
    );
}

#[test]
fn a_narrow_page_cuts_everything_but_commands() {
    assert_eq!(
        page(&mixed(), 40, true),
        "\
██░░░░░░░░ 1/5 merged · 1 working · 1 b…
running for 4m12s onto main, 4 at once,…
contained by supervisor, sandbox: bwrap

Running (1)
  auth-login  working   #3    4m12s  mo…

Needs you (1)
  billing  blocked  Which database? The…
           harness unblock billing -m \"…\"

Waiting (2)
  search    needs auth-login, index
  invoices  needs billing, which will n…

Merged (1)
  index  aaaaaaaaa The index
"
    );
}

#[test]
fn an_empty_repository_says_how_to_begin() {
    let view = View {
        run: None,
        halt: None,
        ahead: None,
        features: Vec::new(),
    };
    assert_eq!(
        page(&view, 80, false),
        "\
no features: a feature is a spec, specs/<name>/spec.md
no run yet; `harness run` starts one
"
    );
}

#[test]
fn a_run_that_was_cut_off_is_not_shown_as_running() {
    let view = view_of(vec![feature("auth", Stage::Working)]);
    assert_eq!(
        page(&view, 80, false),
        "\
░░░░░░░░░░░░░░░░░░░░ 0/1 merged · 1 interrupted
the last run was cut off; `harness run` continues it

Cut off (1)
  auth  interrupted #3        -
"
    );
}

#[test]
fn a_finished_run_says_how_it_ended() {
    let mut view = view_of(vec![feature("auth", Stage::Merged)]);
    let run = view.run.as_mut().unwrap();
    run.ended = Some(T0.plus_ms(12_000));
    run.codes = vec![0];
    assert_eq!(
        page(&view, 120, false),
        "\
████████████████████████ 1/1 merged
no run lives; the last one ended 4m00s ago after 12s: 0 (every selected feature is done and merged, or left out)

Merged (1)
  auth  aaaaaaaaa The auth
"
    );
}

#[test]
fn a_long_backlog_stays_one_page() {
    let mut features: Vec<FeatureView> = (0..9_990)
        .map(|n| feature(&format!("f{n}"), Stage::Waiting))
        .collect();
    features.extend((0..13).map(|n| feature(&format!("m{n}"), Stage::Merged)));
    let text = page(&view_of(features), 80, true);
    assert!(text.lines().count() < 30, "{text}");
    assert!(text.contains("  … and 9,970 more (`harness status --json`)\n"));
    assert!(text.ends_with("\nMerged (13)\n"), "{text}");
}

#[test]
fn hostile_texts_steer_no_terminal() {
    let evil = "\u{1b}]0;x\u{7}\u{9b}2J\u{202e}a\tb\r\nc \u{200b}日本語".to_owned();
    let mut working = feature("auth", Stage::Working);
    working.last_words.clone_from(&evil);
    let mut tripped = feature("billing", Stage::Tripped);
    tripped.detail = Some(evil.clone());
    let mut merged = feature("done", Stage::Merged);
    merged.title.clone_from(&evil);
    let mut view = view_of(vec![working, tripped, merged]);
    view.halt = Some(evil.clone());
    view.run.as_mut().unwrap().accounts = vec![AccountView {
        name: evil.clone(),
        closed: true,
        kind: Some(FailureKind::Limit),
        scope: Some(evil.clone()),
        text: evil.clone(),
        until: None,
        at_once: Some(1),
    }];
    view.run.as_mut().unwrap().target.clone_from(&evil);
    let heard = heard("auth", &evil);
    let glance = glance(&view, &heard, true);
    let json = status_json(&glance).to_string();
    let plain = status_plain(&glance);
    let summary = summary(&view, Path::new(&evil));
    let planned = [Planned {
        slug: slug("auth"),
        wave: 1,
        waits_for: Vec::new(),
        chain: 1,
    }];
    for text in [
        status(&glance, 120, false),
        status(&glance, 40, false),
        plain,
        json,
        summary,
        plan_text(&planned, &view),
    ] {
        let bad = |c: char| (c.is_control() && c != '\n') || matches!(c, '\u{202e}' | '\u{200b}');
        assert!(!text.contains(bad), "{text:?}");
    }
    assert_eq!(
        text::shown(&evil, 80),
        r"\u{1b}]0;x\u{7}\u{9b}2J\u{202e}a b c \u{200b}日本語"
    );
    for columns in [40, 120] {
        for line in status(&glance, columns, false).lines() {
            assert!(text::width(line) <= columns, "{line}");
        }
    }
}

#[test]
fn wide_characters_are_cut_by_columns() {
    assert_eq!(text::cut("日本語", 6), "日本語");
    assert_eq!(text::cut("日本語", 5), "日本…");
    assert_eq!(text::cut("日本語", 4), "日…");
    assert_eq!(text::cut("abc", 0), "");
    assert_eq!(text::padded("日", 4), "日  ");
}

#[test]
fn colour_is_painted_outside_of_the_cut() {
    let view = view_of(vec![feature("billing", Stage::Tripped)]);
    let text = status(&glance(&view, &BTreeMap::new(), true), 40, true);
    assert!(
        text.contains("\u{1b}[31mNeeds you (1)\u{1b}[0m\n"),
        "{text:?}"
    );
}

#[test]
fn times_and_numbers_are_short() {
    let all = [999, 59_000, 252_000, 3_780_000, 190_800_000].map(text::elapsed);
    assert_eq!(all, ["0s", "59s", "4m12s", "1h03m", "2d05h"]);
    let all = [0, 999, 1_000, 1_234_567].map(text::grouped);
    assert_eq!(all, ["0", "999", "1,000", "1,234,567"]);
    assert_eq!(text::rfc3339(T0), "2026-11-23T22:15:30.000Z");
}

#[test]
fn columns_for_pipes_hold_every_feature() {
    assert_eq!(
        status_plain(&glance(&mixed(), &BTreeMap::new(), true)),
        "\
# running for 4m12s onto main, 4 at once, iteration 14 of 200 (pid 4242)
# contained by supervisor, sandbox: bwrap
SLUG        STAGE    ITERATION  ELAPSED  DETAIL
index       merged   3          -        aaaaaaaaa The index
auth-login  working  3          4m12s    moved the parser
billing     blocked  3          -        Which database? There are two.
search      waiting  3          -        needs auth-login, index
invoices    skipped  3          -        needs billing, which will not merge without you
"
    );
}

#[test]
fn columns_for_pipes_say_first_how_the_run_stands() {
    let mut view = mixed();
    view.features[3].waits.clear();
    view.halt = Some("out of disk\u{1b}".to_owned());
    view.run.as_mut().unwrap().publish_waits = Some("in the way".to_owned());
    assert_eq!(
        status_plain(&glance(&view, &BTreeMap::new(), false)),
        "\
# the last run was cut off; `harness run` continues it
# HALT: out of disk\\u{1b} (remove the file to go on)
# not in main yet: what has landed: in the way
SLUG        STAGE        ITERATION  ELAPSED  DETAIL
index       merged       3          -        aaaaaaaaa The index
auth-login  interrupted  3          -        moved the parser
billing     blocked      3          -        Which database? There are two.
search      waiting      3          -        held back by HALT
invoices    skipped      3          -        needs billing, which will not merge without you
"
    );
}

#[test]
fn json_gives_times_twice_and_counts_stages() {
    let mut view = mixed();
    view.features[3].waits.push(Wait::Time(T0));
    let heard = heard("auth-login", "now");
    let json = status_json(&glance(&view, &heard, false));
    assert_eq!(json["schema"], "harness.status");
    assert_eq!(json["version"], 1);
    assert_eq!(json["live"], false);
    assert_eq!(json["state"], "cut_off");
    assert_eq!(json["now"], "2026-11-23T22:19:42.000Z");
    assert_eq!(json["run"]["started"], "2026-11-23T22:15:30.000Z");
    assert_eq!(json["run"]["started_ms"], T0.0);
    assert_eq!(json["run"]["ended"], serde_json::Value::Null);
    assert_eq!(json["halt"], serde_json::Value::Null);
    assert_eq!(json["counts"]["waiting"], 1);
    assert_eq!(json["features"][1]["stage"], "working");
    assert_eq!(json["features"][1]["output"], "now");
    assert_eq!(
        json["features"][2]["detail"],
        "Which database?\nThere are two."
    );
    let wait = &json["features"][3]["waits"][1];
    assert_eq!(wait["what_ms"], T0.0);
    assert_eq!(wait["what"], "2026-11-23T22:15:30.000Z");
}

#[test]
fn the_plan_is_numbered_and_ends_with_the_longest_chain() {
    let plan = |name: &str, wave, waits_for: &[&str]| Planned {
        slug: slug(name),
        wave,
        waits_for: waits_for.iter().map(|name| slug(name)).collect(),
        chain: 1,
    };
    let planned = [
        plan("index", 0, &[]),
        plan("auth-login", 1, &[]),
        plan("billing", 1, &[]),
        plan("search", 2, &["auth-login"]),
    ];
    assert_eq!(
        plan_text(&planned, &mixed()),
        "\
1. wave 1  auth-login  working  \"The auth-login\"
2. wave 1  billing     blocked  \"The billing\"
3. wave 2  search      waits for auth-login  \"The search\"
1 feature already merged
critical path: 2 features (auth-login -> search)
"
    );
    assert_eq!(plan_text(&[], &mixed()), "nothing to do\n");
}

#[test]
fn a_summary_tells_what_landed_and_what_to_do() {
    let mut view = mixed();
    view.features[1].stage = Stage::Tripped;
    view.features[1].detail = Some("stuck: 3 silent iterations".to_owned());
    view.features[1].usage = Usage {
        input: 1_200,
        output: 34,
        micro_usd: 1_239_999,
        ..Usage::default()
    };
    let run = view.run.as_mut().unwrap();
    run.ended = Some(T0.plus_ms(25_200_000));
    run.codes = vec![5, 4];
    assert_eq!(
        summary(&view, Path::new(".harness")),
        "\
run 20261123-221530-4f2a onto main ended after 7h00m, 14 iterations
exit code 5: a breaker tripped, or a feature tampered with what is not its own
     also 4: a feature is blocked and waits for an answer
merged 1 feature in this run; 0 merged before, 4 open
  aaaaaaaaa  index  The index
2 features need you
  auth-login  tripped: stuck: 3 silent iterations
              harness retry auth-login
  billing     blocked: Which database? There are two.
              harness unblock billing -m \"…\"
tokens of these features so far: 1,200 in, 34 out, 0 from cache, 0 to cache; $1.24
logs: .harness/run.log, .harness/<feature>.log, .harness/iterations/
"
    );
}

#[test]
fn what_needs_a_person_is_told_in_full() {
    let mut parked = feature("auth", Stage::Parked);
    parked.detail = Some(format!(
        "merging kept failing: error: these files would be overwritten:\n\t{}\n\tb.rs\nCommit them\nAborting",
        "a".repeat(250)
    ));
    let mut failed = feature("billing", Stage::Failed);
    failed.detail = Some(
        "its worktree could not be made ready: setup: set-up command `make` failed:\nnoise\nnope\n[exit 7]"
            .to_owned(),
    );
    let mut view = view_of(vec![parked, failed]);
    view.run.as_mut().unwrap().publish_waits = Some("in the way:\n\ta.rs\n\tb.rs".to_owned());
    let long = format!(
        "overwritten: {}; b.rs; Commit them; Aborting\n",
        "a".repeat(250)
    );
    let heard = BTreeMap::new();
    for text in [
        summary(&view, Path::new(".harness")),
        status_plain(&glance(&view, &heard, false)),
    ] {
        assert!(text.contains(&long), "{text}");
        assert!(
            text.contains("set-up command `make` failed: nope\n"),
            "{text}"
        );
    }
    let text = summary(&view, Path::new(".harness"));
    assert!(text.contains("in the way: a.rs; b.rs\n"), "{text}");
}

#[test]
fn lines_of_a_reason_are_told_apart() {
    let wrapped = format!("{}\nand so on.\nWhat now?\nTell me", "x".repeat(70));
    let flows = format!("{} and so on. What now? Tell me", "x".repeat(70));
    for (text, expected) in [
        (wrapped.as_str(), flows.as_str()),
        ("error: a\nhint: b", "error: a; hint: b"),
        ("files:\n\ta\n\n\tb\nmove them", "files: a; b; move them"),
        ("", ""),
    ] {
        assert_eq!(text::reason(text, 400), expected);
    }
}

#[test]
fn a_feature_without_changes_is_not_said_to_be_anothers_commit() {
    let merged = Event::Merged {
        slug: slug("auth"),
        commit: oid('c'),
        empty: true,
    };
    assert_eq!(
        said(merged),
        "22:15:30  auth           nothing to merge: it changes nothing"
    );
    let mut feature = feature("auth", Stage::Merged);
    feature.empty = true;
    let view = view_of(vec![feature]);
    let heard = BTreeMap::new();
    for text in [
        page(&view, 100, false),
        summary(&view, Path::new(".harness")),
        status_plain(&glance(&view, &heard, false)),
    ] {
        assert!(
            text.contains("auth  nothing to merge: it changes nothing\n")
                || text.contains("-        nothing to merge: it changes nothing\n"),
            "{text}"
        );
        assert!(!text.contains("aaaaaaaaa"), "{text}");
    }
}

#[test]
fn a_failed_setup_says_why() {
    let failed = |why: &str| {
        said(Event::PrepareFailed {
            slug: slug("auth"),
            kind: InfraKind::Setup,
            why: why.to_owned(),
        })
    };
    assert_eq!(
        failed("set-up command `make` failed:\nnoise\nnope\n[exit 7]"),
        "22:15:30  auth           setup failed: nope"
    );
    assert_eq!(
        failed("set-up command `exit 7` failed:\n[exit 7]"),
        "22:15:30  auth           setup failed: [exit 7]"
    );
}

fn said(event: Event) -> String {
    let record = Record {
        seq: 1,
        at: T0,
        event,
    };
    line(&record, T0, &TimeZone::UTC).unwrap_or_default()
}

fn ended(report: IterationReport) -> String {
    said(Event::IterationEnded {
        slug: slug("auth-login"),
        iteration: 3,
        report: Box::new(report),
    })
}

fn report(ending: Ending) -> IterationReport {
    IterationReport {
        ending,
        elapsed_ms: 252_000,
        note: "\nmoved the parser \u{1b}[2J\nand more".to_owned(),
        message: String::new(),
        lessons: Vec::new(),
        done: None,
        refused: None,
        tampered: None,
        blocked: None,
        failure: None,
        tip: None,
        changed: true,
        merge: None,
        usage: None,
        prompt: None,
        session: None,
        quota: Vec::new(),
    }
}

#[test]
fn the_log_tells_of_iterations() {
    assert_eq!(
        ended(report(Ending::Exited { code: 0 })),
        r"22:15:30  auth-login     #3 ended after 4m12s: moved the parser \u{1b}[2J"
    );
    let mut silent = report(Ending::TimedOut);
    silent.note.clear();
    assert_eq!(
        ended(silent),
        "22:15:30  auth-login     #3 was stopped after 4m12s, its time was up, without a word"
    );
    let mut limited = report(Ending::Exited { code: 1 });
    limited.failure = Some(AgentFailure::new(FailureKind::Limit, "resets at 7"));
    assert_eq!(
        ended(limited),
        "22:15:30  auth-login     #3 ended with exit code 1 after 4m12s: limit: resets at 7"
    );
}

#[test]
fn the_log_tells_of_a_features_way() {
    let s = || slug("auth");
    let lines = [
        Event::Started {
            slug: s(),
            worktree: WorktreeName(2),
        },
        Event::IterationStarted {
            slug: s(),
            iteration: 1,
            instead: None,
            rung: None,
        },
        Event::Claimed {
            slug: s(),
            summary: "login works".to_owned(),
        },
        Event::Blocked {
            slug: s(),
            question: "Which\ndatabase?".to_owned(),
        },
        Event::Tripped {
            slug: s(),
            breaker: "stuck".to_owned(),
            why: "3 silent iterations".to_owned(),
        },
        Event::Merged {
            slug: s(),
            commit: oid('c'),
            empty: false,
        },
        Event::Parked {
            slug: s(),
            why: ParkReason::Conflict {
                paths: vec!["src/a.rs".to_owned(), "b\u{7}".to_owned()],
            },
        },
    ]
    .map(said);
    assert_eq!(
        lines.join("\n"),
        r#"22:15:30  auth           started in w2
22:15:30  auth           #1 started
22:15:30  auth           claims to be done: login works
22:15:30  auth           blocked: Which database? (answer: harness unblock auth -m "…")
22:15:30  auth           breaker stuck tripped: 3 silent iterations (again: harness retry auth)
22:15:30  auth           merged as ccccccccc
22:15:30  auth           parked: conflicts in src/a.rs, b\u{7} (merge the target into harness/auth, then: harness retry auth)"#
    );
}

#[test]
fn the_log_tells_of_the_run() {
    let lines = [
        Event::RunStarted {
            run: RunId("r1".to_owned()),
            settings: Box::new(Settings {
                parallel: 4,
                ..Settings::default()
            }),
            target: "refs/heads/main".to_owned(),
            ground: Ground {
                tip: oid('b'),
                tree: oid('d'),
                target: oid('b'),
                relation: Relation::Behind,
            },
        },
        Event::HaltSeen {
            reason: String::new(),
        },
        Event::HaltCleared,
        Event::StopRequested {
            level: StopLevel::Drain,
        },
        Event::RunEnded {
            code: 5,
            codes: vec![5, 8],
        },
        Event::Written { through: 7 },
        Event::Tidied,
    ]
    .map(said);
    assert_eq!(
        lines.join("\n"),
        "\
22:15:30  *              run r1 started on 2026-11-23: 4 at once, onto main at bbbbbbbbb; contained by process groups only: a daemon can outlive its agent, no sandbox
22:15:30  *              halted: no reason given; nothing new is started (remove the HALT file to go on)
22:15:30  *              resumed: the HALT file is gone
22:15:30  *              stopping: nothing new is started, running agents may finish
22:15:30  *              run ended: 5 (a breaker tripped, or a feature tampered with what is not its own), 8 (done but not in your branch: a conflict or review needs you, or the checkout is in the way)

"
    );
}

#[test]
fn the_log_tells_of_the_merge_queue() {
    let s = || slug("auth");
    let lines = [
        Event::Gated {
            attempt: 1,
            tree: oid('d'),
            gate: GateId::default(),
            red: None,
            gate_ms: 12_000,
        },
        Event::Verified {
            attempt: 1,
            commit: oid('c'),
            how: Evidence::Known,
        },
        Event::Rejected {
            slug: s(),
            attempt: 1,
            onto: oid('e'),
            red: Red {
                command: "cargo test".to_owned(),
                tail: "a\nerror: 1 failed\n\n".to_owned(),
            },
            merged: true,
        },
        Event::PublishWaits {
            commit: oid('c'),
            why: "README.md has changes".to_owned(),
        },
    ]
    .map(said);
    assert_eq!(
        lines.join("\n"),
        "\
22:15:30  *              merge 1: gate passed in 12s
22:15:30  *              merge 1: verified as ccccccccc, its tree had passed before
22:15:30  auth           gate failed on the merge: `cargo test`: error: 1 failed
22:15:30  *              not published yet: README.md has changes"
    );
}

#[test]
fn who_was_handed_a_feature_is_told_with_the_reason() {
    let mut feature = feature("auth", Stage::Working);
    feature.agent = Some(AgentView {
        profile: "claude".to_owned(),
        model: Some("opus".to_owned()),
        because: Because::Breaker("3 iterations in a row said nothing".to_owned()),
        on_trial: true,
    });
    let words = |feature: &FeatureView| super::words::about(feature, false, None, T0, 200);
    let agent = "on claude/opus after 3 iterations in a row said nothing";
    assert_eq!(words(&feature), agent);
    feature.last_words = "moved the parser".to_owned();
    assert_eq!(words(&feature), format!("{agent}: moved the parser"));
    feature.stage = Stage::Tripped;
    assert_eq!(words(&feature), "moved the parser");
}

#[test]
fn why_a_command_failed_is_not_the_advice_behind_it() {
    use super::text::last_said;
    let pip = "  error: subprocess-exited-with-error\n  × Getting requirements did not run.\n  │ exit code: 1\n  \
               ╰─> See above for output.\n\n  note: this is likely not a problem with pip.\n\n[notice] A new \
               release of pip is available\n[exit 1]\n";
    assert_eq!(last_said(pip).trim(), "× Getting requirements did not run.");
    for (tail, why) in [
        ("one\ntwo\n[exit 1]", "two"),
        ("one\ntwo", "two"),
        ("[exit 1]", "[exit 1]"),
        ("hint: try this\n[exit 1]", "hint: try this"),
        ("", ""),
    ] {
        assert_eq!(last_said(tail), why, "{tail:?}");
    }
}

#[test]
fn a_link_holds_no_character_that_ends_it() {
    let expected =
        "\u{1b}]8;;file:///my%20dir%1B/run.log\u{1b}\\/my dir\u{1b}/run.log\u{1b}]8;;\u{1b}\\";
    let path = "/my dir\u{1b}/run.log";
    assert_eq!(file_link(path, path), expected);
}
