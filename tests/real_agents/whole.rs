//! Each program writes a backlog of six features with dependencies, three at a time, and what `status` tells of its
//! tokens is what the model has served.

use crate::backlog::{self, FEATURES};
use crate::cli::{CLAUDE, CLAUDE_OLD, CODEX, Cli, GOOSE, OPENCODE, Pays};
use crate::model::{Model, Reply, Served, Usage};
use crate::night::{Agent, Night};

/// What of a program's own report differs from what it was served, and whom it asks whatever it is told.
struct Report {
    /// It tells of titles and the like, too.
    has_asides: bool,
    /// It tells apart what was read from the cache.
    has_cache: bool,
    /// What it says first of all is the same in every directory.
    shares_beginning: bool,
    /// Where it wants to go besides.
    wants_out: &'static [&'static str],
}

const ALL: Report = Report {
    has_asides: true,
    has_cache: true,
    shares_beginning: true,
    wants_out: &[],
};

/// Names of profiles.
const NAMES: [&str; 5] = ["first", "second", "third", "fourth", "fifth"];

/// Writes the features with a program that needs nothing said of it.
pub(crate) fn write(cli: &Cli, features: &[&str]) {
    write_and_check(&[(cli, &ALL)], features);
}

fn write_all(crew: &[(&Cli, &Report)]) {
    write_and_check(crew, &FEATURES.map(|(name, _)| name));
}

/// Each feature with the next of these programs.
fn write_and_check(crew: &[(&Cli, &Report)], features: &[&str]) {
    let model = Model::start(|ask, _| Reply::Say(backlog::next(ask)));
    let named = NAMES.iter().zip(crew);
    let agents: Vec<Agent<'_>> = named
        .map(|(name, (cli, _))| (*name, *cli, Pays::Key, &[][..]))
        .collect();
    let mut more = "features:\n".to_owned();
    for (feature, name) in features.iter().zip(NAMES[..crew.len()].iter().cycle()) {
        more += &format!("  {feature}: {{agent: {name}}}\n");
    }
    let Some(night) = Night::new(model, features, &agents, &more) else {
        return;
    };
    let ran = night.run();
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    check_order(&night, features);
    for (feature, (cli, report)) in features.iter().zip(crew.iter().cycle()) {
        let counts = |served: &Served| served.has_tools || report.has_asides;
        let mut served = night.model.usage_of(feature, counts);
        if !report.has_cache {
            served.input += std::mem::take(&mut served.cache_read);
        }
        println!("{} {feature}: {served:?}", cli.name);
        assert_ne!(served, Usage::default(), "{feature}");
        assert_eq!(night.told(feature), served, "{}: {feature}", cli.name);
    }
    if let [(cli, report)] = crew
        && report.shares_beginning
    {
        check_cache(&night, cli, features);
    }
    let mut out = night.wanted_out();
    out.retain(|there| {
        let wants = |report: &Report| report.wants_out.contains(&there.as_str());
        !crew.iter().any(|(_, report)| wants(report))
    });
    assert!(out.is_empty(), "they ask elsewhere: {out:?}");
    night.site.assert_no_litter();
}

/// The first prompt of all finds nothing in the cache; that of a feature which begins when others are done finds what it
/// has in common with theirs: tools, the program's own words, and the beginning of harness's prompt.
fn check_cache(night: &Night, cli: &Cli, features: &[&str]) {
    let log = night.model.log();
    let mut first = Vec::new();
    for name in features {
        let of_it = |served: &&Served| served.feature == *name && served.has_tools;
        let served = log.iter().find(of_it).unwrap();
        let usage = served.usage;
        let all = usage.input + usage.cache_read + usage.cache_write;
        println!(
            "{} {name}: {} of the first {all} tokens from the cache",
            cli.name, usage.cache_read
        );
        first.push((served.at, *name, usage.cache_read, all));
    }
    first.sort_unstable();
    assert_eq!(first[0].2, 0, "{first:?}");
    for (_, name, cached, all) in first {
        let needs = FEATURES.iter().find(|(feature, _)| *feature == name);
        if needs.is_some_and(|(_, needs)| !needs.is_empty()) {
            assert!(cached * 3 > all, "{name}: {cached} of {all}");
        }
    }
}

/// Every feature has landed, after what it needs, with its agent's own commit, in one iteration.
fn check_order(night: &Night, features: &[&str]) {
    let landed = night.site.landed();
    let place = |name: &str| landed.iter().position(|it| it == name);
    assert_eq!(landed.len(), features.len(), "{landed:?}");
    let commits = night.site.git(&["log", "--format=%s", "main"]);
    for (name, needs) in FEATURES {
        if features.contains(&name) {
            assert!(place(name).is_some(), "{name}: {landed:?}");
            let is_after = needs.iter().all(|need| place(need) < place(name));
            assert!(is_after, "{name}: {landed:?}");
            let own = format!("Write {name}");
            assert!(commits.lines().any(|line| line == own), "{commits}");
        }
    }
    assert_eq!(night.events("iteration_started").len(), features.len());
    // No more than three at a time.
    let mut at_work = 0;
    for event in night.journal() {
        match event["event"].as_str() {
            Some("iteration_started") => at_work += 1,
            Some("iteration_ended") => at_work -= 1,
            _ => {}
        }
        assert!(at_work <= 3, "{event}");
    }
}

/// It tells neither of titles nor of the cache.
const OF_GOOSE: Report = Report {
    has_asides: false,
    has_cache: false,
    ..ALL
};

const OF_OPENCODE: Report = Report {
    has_asides: false,
    // It begins with the directory; no flag changes that.
    shares_beginning: false,
    // A plugin of its own, which nothing turns off; it does without.
    wants_out: &["registry.npmjs.org:443"],
    ..ALL
};

#[test]
#[ignore = "needs scripts/real-agents"]
fn claude() {
    write_all(&[(&CLAUDE, &ALL)]);
}

#[test]
#[ignore = "needs scripts/real-agents"]
fn an_older_claude() {
    write_all(&[(&CLAUDE_OLD, &ALL)]);
}

#[test]
#[ignore = "needs scripts/real-agents"]
fn codex() {
    write_all(&[(&CODEX, &ALL)]);
}

#[test]
#[ignore = "needs scripts/real-agents"]
fn goose() {
    write_all(&[(&GOOSE, &OF_GOOSE)]);
}

#[test]
#[ignore = "needs scripts/real-agents"]
fn opencode() {
    write_all(&[(&OPENCODE, &OF_OPENCODE)]);
}

#[test]
#[ignore = "needs scripts/real-agents"]
fn all_of_them_in_one_night() {
    write_all(&[
        (&CLAUDE, &ALL),
        (&CODEX, &ALL),
        (&GOOSE, &OF_GOOSE),
        (&OPENCODE, &OF_OPENCODE),
        (&CLAUDE_OLD, &ALL),
    ]);
}
