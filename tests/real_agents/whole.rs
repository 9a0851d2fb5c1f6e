//! Each program writes a backlog of six features with dependencies, three at a time, and what `status` tells of its
//! tokens is what the model has served.

use crate::backlog::{self, FEATURES};
use crate::cli::{CLAUDE, CLAUDE_OLD, CODEX, Cli, GOOSE, OPENCODE, Pays};
use crate::model::{Model, Reply, Served, Usage};
use crate::night::Night;
use std::collections::BTreeSet;

/// What of a program's own report differs from what it was served.
struct Report {
    /// It tells of titles and the like, too.
    has_asides: bool,
    /// It tells apart what was read from the cache.
    has_cache: bool,
}

fn write_all(cli: &Cli, report: &Report) {
    let features = FEATURES.map(|(name, _)| name);
    let model = Model::start(|ask, _| Reply::Say(backlog::next(ask)));
    let agents = [(cli.kind, cli, Pays::Key, &[][..])];
    let Some(night) = Night::new(model, &features, &agents, "") else {
        return;
    };
    let ran = night.run();
    for served in night.model.log() {
        println!("{served:?}");
    }
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    let mut landed = night.site.landed();
    assert!(landed.iter().position(|it| it == "join") > landed.iter().position(|it| it == "left"));
    landed.sort();
    let mut all = features.to_vec();
    all.sort_unstable();
    assert_eq!(landed, all);
    assert_eq!(
        night.site.read("join.txt"),
        "base\nleft\nbase\nright\njoin\n"
    );
    for feature in features {
        let counts = |served: &Served| served.has_tools || report.has_asides;
        let mut served = night.model.usage_of(feature, counts);
        if !report.has_cache {
            served.input += served.cache_read;
            served.cache_read = 0;
        }
        println!("{} {feature}: {served:?}", cli.name);
        assert_ne!(served, Usage::default(), "{feature}");
        assert_eq!(night.told(feature), served, "{}: {feature}", cli.name);
    }
    assert_eq!(
        night.wanted_out(),
        BTreeSet::new(),
        "somebody asked elsewhere"
    );
    night.site.assert_no_litter();
}

const ALL: Report = Report {
    has_asides: true,
    has_cache: true,
};

#[test]
#[ignore = "needs scripts/real-agents"]
fn claude() {
    write_all(&CLAUDE, &ALL);
}

#[test]
#[ignore = "needs scripts/real-agents"]
fn an_older_claude() {
    write_all(&CLAUDE_OLD, &ALL);
}

#[test]
#[ignore = "needs scripts/real-agents"]
fn codex() {
    write_all(&CODEX, &ALL);
}

#[test]
#[ignore = "needs scripts/real-agents"]
fn goose() {
    write_all(
        &GOOSE,
        &Report {
            has_asides: false,
            has_cache: false,
        },
    );
}

#[test]
#[ignore = "needs scripts/real-agents"]
fn opencode() {
    write_all(
        &OPENCODE,
        &Report {
            has_asides: false,
            ..ALL
        },
    );
}
