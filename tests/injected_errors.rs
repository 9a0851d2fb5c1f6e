//! Whatever call the system refuses, once or from then on, a run ends by itself, says in one sentence what failed and on
//! which file, never calls unfinished work finished, and the next run comes to the same end.
//!
//! By itself each call fails once, with one of the errors in turn; `HARNESS_ERRORS=all` has it fail with each of them,
//! once and for good (`scripts/crashes errors`).

#![cfg(feature = "fake-agent")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

mod support;
#[path = "support/sweep.rs"]
mod sweep;

use harness::fault::{Kind, Point};
use std::collections::BTreeSet;
use std::sync::Mutex;
use support::{Ran, Site};
use sweep::{Scene, await_nobody, in_parallel, missing, sample};

/// What the system says, by name.
const ERRORS: [(&str, &str); 5] = [
    ("ENOSPC", "No space left on device"),
    ("EIO", "Input/output error"),
    ("EROFS", "Read-only file system"),
    ("EMFILE", "Too many open files"),
    ("EAGAIN", "Resource temporarily unavailable"),
];

/// Calls without which a run goes on: what they write is for people, or is looked for elsewhere.
const NOT_NEEDED: [&str; 9] = [
    "lock.release",
    "runlog.write",
    "output.write",
    "gate.log",
    "state.create",
    "state.remove",
    "gitdir.prune",
    // The first job asks make what it can do.
    "output.create#1=",
    "job.spawn#1=",
];

/// A call that fails: in which scene, where, how.
struct Refusal<'a> {
    scene: &'a Scene,
    order: String,
    words: &'static str,
    /// Not once, but from then on.
    lasts: bool,
    /// At a later pass than the first, to which another run may not come.
    is_later: bool,
}

#[test]
fn whatever_the_system_refuses_is_told_and_the_next_run_comes_to_the_same_end() {
    let is_long = std::env::var("HARNESS_ERRORS").is_ok_and(|how| how == "all");
    let scenes = Scene::all();
    let calls = Point::ALL.iter().filter(|point| point.kind() != Kind::Step);
    let calls: Vec<&str> = calls.map(|point| point.name()).collect();
    let passed = scenes.iter().flat_map(|scene| scene.passes.keys());
    let passed: BTreeSet<&str> = passed.copied().collect();
    let unpassed = missing(calls.iter().copied(), &passed);
    assert_eq!(unpassed, Vec::<&str>::new(), "no scene passes them");

    let mut refusals = Vec::new();
    for (n, place) in calls.iter().enumerate() {
        for (m, (error, words)) in ERRORS.into_iter().enumerate() {
            if !is_long && m != n % ERRORS.len() {
                continue;
            }
            let mut found = scenes.iter();
            let scene = found.find(|scene| scene.passes.contains_key(place));
            let scene = scene.unwrap();
            let count = scene.passes[place];
            let nths = match is_long {
                // The first one may be no more than a question.
                false => BTreeSet::from([1 + count / 2]),
                true => BTreeSet::from([1, 1 + count / 2, count]),
            };
            for nth in nths {
                for lasts in [false, true].into_iter().filter(|lasts| is_long || !lasts) {
                    let more = if lasts { "+" } else { "" };
                    refusals.push(Refusal {
                        scene,
                        order: format!("{place}#{nth}{more}={error}"),
                        words,
                        lasts,
                        is_later: nth > 1,
                    });
                }
            }
        }
    }
    let refusals = sample(refusals);
    let told = Mutex::new(BTreeSet::new());
    in_parallel(&refusals, |refusal| {
        let said = refusal.plays_out();
        println!("{}: {said}", refusal.order);
        told.lock().unwrap().insert(refusal.order.clone());
    });
    assert_eq!(told.into_inner().unwrap().len(), refusals.len());
}

impl Refusal<'_> {
    /// Gives what was told.
    fn plays_out(&self) -> String {
        let Self { scene, order, .. } = self;
        let site = scene.site();
        let about = format!("{}: {order}", scene.name);
        let all = scene.play(&site, order);
        await_nobody(&site);
        let last = all.last().unwrap();
        assert!(last.code.is_some(), "{about}: it was killed: {last:#?}");
        let said: Vec<String> = all.iter().flat_map(|ran| self.told(ran)).collect();
        for ran in &all {
            for odd in [
                "panicked",
                "Os {",
                "stack backtrace",
                "internal:",
                "please report",
            ] {
                assert!(
                    !format!("{}{}", ran.out, ran.err).contains(odd),
                    "{about}: {ran:#?}"
                );
            }
        }
        if scene.is_over(&all) {
            scene.is_done(&site, &about);
        } else {
            assert!(!said.is_empty(), "{about}: it does not say why: {last:#?}");
        }
        let passes = std::fs::read_to_string(site.path("passes")).unwrap();
        if !passes.lines().any(|line| line.ends_with('!')) {
            // How often a place is passed may differ from run to run.
            assert!(
                self.is_later && scene.is_over(&all),
                "{about}: it was not passed: {all:#?}"
            );
            scene.audit(&site, &about);
            return "not passed".to_owned();
        }
        let is_needed = !NOT_NEEDED.iter().any(|name| order.starts_with(name));
        assert!(
            !is_needed || !said.is_empty(),
            "{about}: nobody is told: {all:#?}"
        );
        if self.lasts {
            self.retry(&site);
        }
        scene.plays_out(&site);
        scene.audit(&site, &about);
        let code = last.code.unwrap();
        format!("{code}: {}", said.first().map_or("", |line| line.trim()))
    }

    /// Lines that name the error.
    fn told(&self, ran: &Ran) -> Vec<String> {
        let lines = ran.err.lines().chain(ran.out.lines());
        let lines = lines.filter(|line| line.contains(self.words));
        lines.map(str::to_owned).collect()
    }

    /// What was given up because it failed again and again, a person has to ask for; clearing up after it, too.
    fn retry(&self, site: &Site) {
        for slug in ["a", "b", "c"] {
            site.harness(&["retry", slug]);
        }
        // As the last warning says.
        site.harness(&["clean"]);
    }
}
