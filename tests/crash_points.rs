//! Killed at every place where something durable changes, and again while it recovers from that, harness comes to the
//! same end: the same tree, each lesson once, nothing left behind.
//!
//! By itself it is killed at the first pass of each place, in the smallest scene that passes it.
//! `HARNESS_CRASHES=passes` has it killed at every pass in every scene, `HARNESS_CRASHES=pairs` at every place of a night
//! and then at every place that the recovery from that passes (`scripts/crashes`).

#![cfg(feature = "fake-agent")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

mod support;
#[path = "support/sweep.rs"]
mod sweep;

use harness::fault::Point;
use std::collections::BTreeSet;
use std::sync::Mutex;
use support::Site;
use sweep::{Scene, await_nobody, in_parallel, missing, sample};

/// The first place that every run passes.
const FIRST: &str = "lock.taken";

/// Runs that are killed one after the other, each at its place, before one comes to its end.
struct Crashes<'a> {
    scene: &'a Scene,
    /// A place and a pass each.
    at: Vec<(&'a str, u32)>,
}

#[test]
fn every_crash_and_every_crash_after_it_comes_to_the_same_end() {
    let scenes = Scene::all();
    let names = || Point::ALL.iter().map(|point| point.name());
    let passed = scenes.iter().flat_map(|scene| scene.passes.keys());
    let passed: BTreeSet<&str> = passed.copied().collect();
    let unpassed = missing(names(), &passed);
    assert_eq!(unpassed, Vec::<&str>::new(), "no scene passes them");

    match std::env::var("HARNESS_CRASHES").as_deref() {
        Ok("passes") => return every_pass(&scenes),
        Ok("pairs") => return every_pair(&scenes[scenes.len() - 1]),
        _ => {}
    }
    let scene_of = |name: &str| {
        let found = scenes.iter().find(|scene| scene.passes.contains_key(name));
        found.unwrap()
    };
    // A night that is killed again and again before it comes to its end.
    let night = &scenes[scenes.len() - 1];
    let places = names().filter(|name| night.passes.contains_key(name));
    let at = places.step_by(5).map(|name| (name, 1)).collect();
    let mut all = vec![Crashes { scene: night, at }];
    let of = |first: &'static str, then: &'static str| Crashes {
        scene: scene_of(then),
        at: vec![(first, 1), (then, 1)],
    };
    all.extend(names().map(|name| of(name, name)));
    let again = sweep(&all);
    // Places that the recovery from their own crash has no need to pass again: as many as can be in one life, and
    // each by itself.
    let others = missing(names(), &again);
    let lives = scenes.iter().map(|scene| {
        let own = others
            .iter()
            .filter(|name| std::ptr::eq(scene_of(name), scene));
        let at = std::iter::once(&FIRST).chain(own);
        let at = at.map(|name| (*name, 1)).collect();
        Crashes { scene, at }
    });
    let lives: Vec<Crashes<'_>> = lives.filter(|life| life.at.len() > 1).collect();
    let again = &again | &sweep(&lives);
    let others = missing(names(), &again).into_iter();
    let others: Vec<Crashes<'_>> = others.map(|name| of(FIRST, name)).collect();
    let again = &again | &sweep(&others);
    let never = missing(names(), &again);
    assert_eq!(never, Vec::<&str>::new(), "no recovery was killed there");
}

fn every_pass(scenes: &[Scene]) {
    let mut all = Vec::new();
    for scene in scenes {
        for (name, count) in &scene.passes {
            let nths = 1..=*count;
            all.extend(nths.map(|nth| Crashes {
                scene,
                at: vec![(*name, nth), (*name, 1)],
            }));
        }
    }
    sweep(&sample(all));
}

fn every_pair(scene: &Scene) {
    let mut all = Vec::new();
    for first in scene.passes.keys() {
        let site = scene.site();
        let at = vec![(*first, 1)];
        Crashes { scene, at }.die(&site);
        let then = scene.passes_in(&site);
        all.extend(then.into_keys().map(|then| Crashes {
            scene,
            at: vec![(*first, 1), (then, 1)],
        }));
    }
    sweep(&sample(all));
}

/// Plays all of them; gives where the second run was killed.
fn sweep<'a>(all: &[Crashes<'a>]) -> BTreeSet<&'a str> {
    let again = Mutex::new(BTreeSet::new());
    in_parallel(all, |crashes| {
        let site = crashes.scene.site();
        let died = crashes.die(&site);
        again.lock().unwrap().extend(died.into_iter().skip(1));
        crashes.scene.plays_out(&site);
        crashes.scene.audit(&site, &crashes.about());
    });
    again.into_inner().unwrap()
}

impl<'a> Crashes<'a> {
    /// Where runs were killed.
    fn die(&self, site: &Site) -> Vec<&'a str> {
        let mut deaths = Vec::new();
        for (n, (name, nth)) in self.at.iter().enumerate() {
            let all = self.scene.play(site, &format!("{name}#{nth}=crash"));
            await_nobody(site);
            let died = all.last().unwrap().code.is_none();
            deaths.extend(died.then_some(*name));
            let about = self.about();
            assert!(died || self.scene.is_over(&all), "{about}: {all:#?}");
            // How often a place is passed may differ from run to run, but not whether it is.
            assert!(died || n > 0 || *nth > 1, "{about}: it never came there");
        }
        deaths
    }

    fn about(&self) -> String {
        format!("{}: {:?}", self.scene.name, self.at)
    }
}

#[test]
fn an_order_that_cannot_be_followed_stops_everything() {
    let site = Site::new();
    for order in [
        "git.call",
        "nowhere=crash",
        "git.done=EIO",
        "git.call#0=EIO",
        "",
    ] {
        let ran = site.harness_with(&["status"], &[("HARNESS_FAULT", order)]);
        assert_eq!(ran.code, Some(2), "{order}: {}", ran.err);
        let told = format!("error[not-possible]: HARNESS_FAULT=`{order}`: ");
        assert!(ran.err.starts_with(&told), "{order}: {}", ran.err);
        assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
    }
}
