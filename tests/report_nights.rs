//! Reports of whole nights, composed from the records that the real decisions make in a simulated world.
//!
//! `HARNESS_REPORTS=<directory>` leaves the pages there, to be looked at.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

#[path = "report/night.rs"]
mod night;

use harness::core::{Told, history_of, lanes};
use harness::model::{Record, RunId, Stamp};
use harness::report::{
    Changed, Facts, Morning, morning, morning_html, morning_json, morning_markdown, morning_text,
};
use night::{Case, HOSTILE, night};
use std::collections::BTreeMap;

const RUN: &str = "20261123-210000-0001";

const SMALL: Case = Case {
    features: 5,
    parallel: 2,
    stop_after: None,
    killed_after: None,
};

fn told(records: &[Record]) -> Told {
    history_of(records, &RunId(RUN.to_owned())).unwrap()
}

fn page(told: &Told) -> Morning {
    let landed = told.run.landed();
    let changes = landed.iter().zip(1_usize..).map(|((slug, _), n)| {
        let changed = Changed {
            files: n % 9 + 1,
            insertions: n * 37 % 900,
            deletions: n * 11 % 240,
            removed: match n % 19 {
                4 => vec![format!("tests/{slug}_test.rs")],
                _ => Vec::new(),
            },
        };
        ((*slug).clone(), changed)
    });
    let commands = vec![
        "cargo test --workspace".to_owned(),
        "cargo clippy".to_owned(),
    ];
    let attempts = told.run.attempts.iter();
    let facts = Facts {
        live: None,
        changes: changes.collect(),
        commands: attempts.map(|it| (it.number, commands.clone())).collect(),
        zone: jiff::tz::TimeZone::UTC,
    };
    morning(told, &facts)
}

fn save(name: &str, morning: &Morning) {
    let Some(dir) = std::env::var_os("HARNESS_REPORTS") else {
        return;
    };
    let dir = std::path::PathBuf::from(dir);
    let put =
        |end: &str, text: String| std::fs::write(dir.join(format!("{name}.{end}")), text).unwrap();
    put("html", morning_html(morning, "../"));
    put("md", morning_markdown(morning, ".harness"));
    put("json", morning_json(morning).to_string());
    put("txt", morning_text(morning, ".harness", 100));
}

#[test]
fn a_night_of_two_hundred_features_is_told_in_full() {
    let records = night(
        RUN,
        Case {
            features: 200,
            parallel: 6,
            ..SMALL
        },
    );
    let told = told(&records);
    let report = page(&told);
    save("200", &report);
    save("5", &page(&self::told(&night(RUN, SMALL))));
    let page = morning_html(&report, "../");
    println!("{}", morning_text(&report, ".harness", 100));
    assert!(page.len() < 2_000_000, "{}", page.len());
}
