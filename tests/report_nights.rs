//! Reports of whole nights, composed from the records that the real decisions make in a simulated world.
//!
//! `HARNESS_REPORTS=<directory>` leaves the pages there, to be looked at.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

#[path = "report/night.rs"]
mod night;
#[path = "support/schema.rs"]
mod schema;

use harness::core::{AttemptResult, Stage, Told, histories, history_of, over_runs};
use harness::model::{Event, Record, RunId};
use harness::report::{
    Changed, Facts, Morning, Stats, morning, morning_html, morning_json, morning_markdown,
    morning_text, run_diff_json, run_diff_text, runs_json, runs_text, stats_json, stats_text,
};
use jiff::tz::TimeZone;
use night::{Case, MINUTE, night};
use schema::problems;
use serde_json::Value;

const RUN: &str = "20261123-210000-0001";

const SMALL: Case = Case {
    features: 5,
    parallel: 2,
    stop_after: None,
    killed_after: None,
};
const MANY: Case = Case {
    features: 200,
    parallel: 6,
    ..SMALL
};

fn told(records: &[Record]) -> Told {
    history_of(records, &RunId(RUN.to_owned())).unwrap()
}

fn report(told: &Told, live: Option<&str>) -> Morning {
    let landed = told.run.landed();
    let changes = landed.iter().zip(1_usize..).map(|((slug, _), n)| {
        let changed = Changed {
            files: n % 9 + 1,
            insertions: n * 37 % 900,
            deletions: n * 11 % 240,
            removed: match n % 19 {
                4 => vec![format!("tests/{slug}_test.rs"), "docs/<b>.md".to_owned()],
                _ => Vec::new(),
            },
        };
        ((*slug).clone(), changed)
    });
    let commands = vec![
        "cargo test --workspace".to_owned(),
        "test -z '<x>'".to_owned(),
    ];
    let attempts = told.run.attempts.iter();
    let facts = Facts {
        live: live.map(str::to_owned),
        changes: changes.collect(),
        commands: attempts.map(|it| (it.number, commands.clone())).collect(),
        zone: TimeZone::UTC,
    };
    morning(told, &facts)
}

fn save(name: &str, morning: &Morning) {
    let Some(dir) = std::env::var_os("HARNESS_REPORTS") else {
        return;
    };
    let dir = std::path::PathBuf::from(dir);
    let put = |end: &str, text: String| {
        std::fs::write(dir.join(format!("{name}.{end}")), text).unwrap();
    };
    put("html", morning_html(morning, "../"));
    put("md", morning_markdown(morning, ".harness"));
    put("json", morning_json(morning).to_string());
    put("txt", morning_text(morning, ".harness", 100));
}

/// What of a page is a tag.
fn tags(page: &str) -> impl Iterator<Item = &str> {
    page.split('<')
        .skip(1)
        .map(|tag| tag.split('>').next().unwrap())
}

/// What of Markdown is no code, as a page would show it: fenced blocks and code spans are taken out.
fn prose(text: &str) -> String {
    let mut out = String::new();
    let mut fence: Option<String> = None;
    for line in text.lines() {
        let ticks: String = line.chars().take_while(|c| *c == '`').collect();
        match &fence {
            Some(open) if ticks == *open && line.len() == ticks.len() => fence = None,
            Some(_) => {}
            None if ticks.len() >= 3 => fence = Some(ticks),
            None => out.push_str(&format!("{}\n", without_code(line))),
        }
    }
    assert!(fence.is_none(), "a block that does not end");
    out
}

fn without_code(line: &str) -> String {
    let (mut out, mut rest) = (String::new(), line);
    while let Some(at) = rest.find('`') {
        if rest[..at].ends_with('\\') {
            out.push_str(&rest[..=at]);
            rest = &rest[at + 1..];
            continue;
        }
        out.push_str(&rest[..at]);
        let ticks = rest[at..].chars().take_while(|c| *c == '`').count();
        let after = &rest[at + ticks..];
        let fence = "`".repeat(ticks);
        let end = after
            .find(&fence)
            .unwrap_or_else(|| panic!("a code span that does not end: {line}"));
        rest = &after[end + ticks..];
    }
    out + rest
}

#[test]
fn a_night_of_two_hundred_features_is_told_in_full() {
    let told = told(&night(RUN, MANY));
    let morning = report(&told, None);
    save("200", &morning);
    let value = morning_json(&morning);
    assert_eq!(problems("report", &value), [""; 0]);
    let landed = value["landed"].as_array().unwrap();
    let parts = landed.len()
        + value["next"].as_array().unwrap().len()
        + value["needs_you"].as_array().unwrap().len();
    assert_eq!(
        parts, 200,
        "each feature has landed, needs a person, or is next"
    );
    let page = morning_html(&morning, "../");
    assert!(page.len() < 600_000, "{}", page.len());
    for part in landed {
        let slug = part["slug"].as_str().unwrap();
        assert!(page.contains(&format!("<b>{slug}</b>")), "{slug}");
    }
    let text = morning_markdown(&morning, ".harness");
    assert!(text.len() < 65_536, "GitHub takes no more: {}", text.len());
    assert!(morning_text(&morning, ".harness", 100).lines().count() < 500);
}

#[test]
fn the_lanes_hold_all_that_was_done_and_nothing_overlaps() {
    let told = told(&night(RUN, MANY));
    let value = morning_json(&report(&told, None));
    let lanes = value["timeline"]["lanes"].as_array().unwrap();
    let of = |kind: &str| lanes.iter().filter(|lane| lane["kind"] == kind).count();
    assert_eq!((of("slot"), of("account")), (6, 0));
    let mut iterations = 0;
    for lane in lanes {
        let bars = lane["bars"].as_array().unwrap();
        iterations += bars.iter().filter(|bar| bar["what"] == "iteration").count();
        for pair in bars.windows(2) {
            assert!(
                pair[0]["to_ms"].as_u64() <= pair[1]["from_ms"].as_u64(),
                "{pair:?}"
            );
        }
    }
    assert_eq!(
        u64::try_from(iterations).unwrap(),
        value["run"]["iterations"].as_u64().unwrap()
    );
    let steps = value["timeline"]["critical"].as_array().unwrap();
    for pair in steps.windows(2) {
        assert!(
            pair[0]["to_ms"].as_u64() <= pair[1]["from_ms"].as_u64(),
            "{pair:?}"
        );
    }
    // From the beginning to the end: what is not work, gates or told as waiting is the moment of tidying up.
    let ms = |step: &Value, name: &str| step[name].as_u64().unwrap();
    let told: u64 = steps
        .iter()
        .map(|step| ms(step, "to_ms") - ms(step, "from_ms") + ms(step, "waited_ms"))
        .sum();
    let took = value["run"]["took_ms"].as_u64().unwrap();
    assert!(told <= took && told + MINUTE > took, "{told} of {took}");
}

#[test]
fn hostile_words_stay_words_in_every_format() {
    let told = told(&night(RUN, MANY));
    let morning = report(&told, None);
    let page = morning_html(&morning, "../");
    let known = |tag: &str| {
        let name = tag
            .split([' ', '\n', '/'])
            .find(|part| !part.is_empty())
            .unwrap_or_default();
        !matches!(
            name,
            "script" | "img" | "iframe" | "object" | "embed" | "form" | "link" | "base"
        )
    };
    for tag in tags(&page) {
        assert!(known(tag), "<{tag}>");
        let attributes = tag.split(['"', ' ']).filter(|part| part.starts_with("on"));
        assert_eq!(attributes.count(), 0, "<{tag}>");
    }
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert!(
        !page.contains("href=\"http"),
        "nothing leads out of the report"
    );
    assert!(page.contains("default-src 'none'"));
    let text = morning_markdown(&morning, ".harness");
    let prose = prose(&text);
    for sign in [
        "<script",
        "<img",
        "@everyone",
        "#12",
        "**now**",
        "](http",
        "www.",
        "http:",
    ] {
        let free = prose
            .match_indices(sign)
            .find(|(at, _)| !prose[..*at].ends_with('\\'));
        assert!(
            free.is_none(),
            "{sign} in {:?}",
            free.map(|(at, _)| &prose[at.saturating_sub(60)..at + 20])
        );
    }
    let value = morning_json(&morning).to_string();
    for text in [
        &page,
        &text,
        &value,
        &morning_text(&morning, ".harness", 80),
    ] {
        assert!(!text.contains(['\u{1b}', '\u{202e}']));
    }
}

#[test]
fn a_killed_run_a_stopped_one_and_one_that_goes_on_are_told_apart() {
    let case = Case {
        killed_after: Some(95),
        ..MANY
    };
    let told = told(&night(RUN, case));
    let cut_off = morning_json(&report(&told, None));
    assert_eq!(cut_off["run"]["state"], "cut_off");
    let sentence = cut_off["sentence"].as_str().unwrap();
    assert!(sentence.starts_with("The run was cut off: "), "{sentence}");
    assert_eq!(problems("report", &cut_off), [""; 0]);
    let open = |value: &Value| {
        let lanes = value["timeline"]["lanes"].as_array().unwrap().iter();
        let bars = lanes.flat_map(|lane| lane["bars"].as_array().unwrap());
        bars.filter(|bar| bar["result"] == "open").count()
    };
    assert!(open(&cut_off) > 3, "what was under way had not ended");
    let interrupted = cut_off["next"][0]["why"].as_str().unwrap();
    assert!(
        interrupted.contains("the run that worked on it was cut off"),
        "{interrupted}"
    );
    let live = morning_json(&report(&told, Some("process 4242 on laptop")));
    assert_eq!(live["run"]["state"], "running");
    assert!(
        live["sentence"]
            .as_str()
            .unwrap()
            .starts_with("Still running: ")
    );
    let case = Case {
        stop_after: Some(60),
        ..MANY
    };
    let stopped = morning_json(&report(&self::told(&night(RUN, case)), None));
    assert_eq!(stopped["run"]["state"], "ended");
    assert_eq!(stopped["run"]["codes"][0]["code"], 130);
    assert_eq!(
        open(&stopped),
        0,
        "a run that drains leaves nothing half done"
    );
}

#[test]
fn a_small_night_reads_like_this() {
    let told = told(&night(RUN, SMALL));
    let morning = report(&told, None);
    save("5", &morning);
    assert_eq!(problems("report", &morning_json(&morning)), [""; 0]);
    let text = morning_text(&morning, ".harness", 100);
    let expected = include_str!("report/small.txt");
    assert_eq!(text, expected, "\n{text}");
    let text = morning_markdown(&morning, ".harness");
    let expected = include_str!("report/small.md");
    assert_eq!(text, expected, "\n{text}");
}

/// The same features in two runs of one journal.
fn two_runs() -> Vec<Record> {
    let other = Case {
        features: 12,
        ..SMALL
    };
    let mut records = night("20261122-210000-0000", other);
    let first = records.len();
    let more = night(RUN, other);
    let begins = |record: &Record| matches!(record.event, Event::RunStarted { .. });
    records.extend(more.into_iter().filter(|record| begins(record)));
    let last = records[first - 1].at;
    for (n, record) in records[first..].iter_mut().enumerate() {
        record.seq = u64::try_from(first + n + 1).unwrap();
        record.at = last.plus_ms(MINUTE);
    }
    records
}

#[test]
fn runs_and_what_they_came_to_are_told_for_people_and_programs() {
    let records = two_runs();
    let runs = histories(&records);
    let live = RunId(RUN.to_owned());
    let value = runs_json(&runs, Some(&live));
    assert_eq!(problems("runs", &value), [""; 0]);
    assert_eq!(
        (&value["runs"][0]["state"], &value["runs"][1]["state"]),
        (&"ended".into(), &"running".into())
    );
    let text = runs_text(&runs, None, &TimeZone::UTC);
    assert!(text.contains("was cut off"), "{text}");
    assert_eq!(text.lines().count(), 3);
    assert_eq!(runs_text(&[], None, &TimeZone::UTC), "no run yet\n");
    let (features, agents) = over_runs(&runs, None);
    let stats = Stats {
        run: None,
        runs: runs.len(),
        features,
        agents,
    };
    let value = stats_json(&stats);
    assert_eq!(problems("stats", &value), [""; 0]);
    let sum = |name: &str, field: &str| -> u64 {
        let rows = value[name].as_array().unwrap().iter();
        rows.map(|row| row[field].as_u64().unwrap()).sum()
    };
    let calls = u64::from(runs[0].iterations);
    assert_eq!(
        (sum("features", "iterations"), sum("agents", "iterations")),
        (calls, calls)
    );
    assert_eq!(value["first_passed"], sum("agents", "first_passed"));
    let text = stats_text(&stats);
    assert!(
        text.contains("2 runs; first claims that landed as they were: "),
        "{text}"
    );
}

#[test]
fn two_runs_are_told_by_how_they_differ() {
    let records = two_runs();
    let runs = histories(&records);
    let value = run_diff_json(&runs[0], &runs[1]);
    assert_eq!(problems("report-diff", &value), [""; 0]);
    assert_eq!(
        (&value["landed"], &value["regressed"]),
        (&Value::Array(Vec::new()), &Value::Array(Vec::new()))
    );
    let value = run_diff_json(&runs[1], &runs[0]);
    assert_eq!(
        value["landed"].as_array().unwrap().len(),
        runs[0].landed().len()
    );
    let text = run_diff_text(&runs[1], &runs[0]);
    assert!(text.contains("landed in the second only: "), "{text}");
    let mut later = runs[0].clone();
    let mut stages = later.features.values_mut();
    let merged = stages.find(|figures| figures.stage == Some(Stage::Merged));
    merged.unwrap().stage = Some(Stage::Blocked);
    let number = |value: &Value, field: &str| value[field].as_array().unwrap().len();
    let value = run_diff_json(&runs[0], &later);
    assert_eq!(problems("report-diff", &value), [""; 0]);
    assert_eq!(
        (number(&value, "regressed"), number(&value, "needs_you")),
        (1, 1)
    );
    assert_eq!(value["regressed"], value["needs_you"]);
    let text = run_diff_text(&runs[0], &later);
    let name = value["regressed"][0].as_str().unwrap();
    assert!(
        text.contains(&format!("need you since: {name}\n")),
        "{text}"
    );
    let value = run_diff_json(&later, &runs[0]);
    assert_eq!(
        (number(&value, "regressed"), &value["helped"][0]),
        (0, &name.into())
    );
    // What failed by a verdict that was known was not gated; a share of an estimate is one.
    let mut odd = runs[0].clone();
    for span in &mut odd.attempts {
        (span.gate_ms, span.result) = (0, AttemptResult::Red);
    }
    odd.attempts[0].gate_ms = 7;
    (odd.usage.micro_usd, odd.usage.estimated) = (9_000_000, true);
    let value = &run_diff_json(&runs[1], &odd)["after"];
    assert_eq!(
        (&value["gates"], &value["red_gates"]),
        (&1.into(), &1.into())
    );
    let text = run_diff_text(&runs[1], &odd);
    let line = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap();
    assert!(line("attempts with red gates ").ends_with("1 of 1 (100 %)"));
    assert!(line("cost a landed feature ").contains("  ~$"), "{text}");
}

#[test]
fn what_is_not_what_a_schema_says_is_found() {
    let told = told(&night(RUN, SMALL));
    let good = morning_json(&report(&told, None));
    let spoilt = |pointer: &str, value: Value| {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap() = value;
        problems("report", &bad)
    };
    assert!(!spoilt("/run/state", "gone".into()).is_empty());
    assert!(!spoilt("/landed/0/slug", 3.into()).is_empty());
    assert!(!spoilt("/run", serde_json::json!({ "id": "x" })).is_empty());
    assert!(!spoilt("/cost/total", serde_json::json!({ "more": 1 })).is_empty());
}
