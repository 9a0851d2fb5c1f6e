//! Killed at every place where something durable changes, in the middle of its work and again while it recovers from
//! that, harness comes to the same end: the same tree, each lesson once, nothing left behind.
//!
//! `HARNESS_CRASHES=all` has it killed at every pass and not only at the first; `scripts/crashes` does that.

#![cfg(feature = "fake-agent")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

mod support;
#[path = "support/sweep.rs"]
mod sweep;

use harness::fault::Point;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Instant;
use support::Site;
use sweep::{Scene, await_nobody, in_parallel, missing};

/// A place to be killed at: in which scene, where, at which pass.
struct Crash<'a> {
    scene: &'a Scene,
    place: &'static str,
    pass: u32,
}

#[test]
fn every_crash_and_every_crash_after_it_comes_to_the_same_end() {
    let begun = Instant::now();
    let scenes = Scene::all();
    let passes: Vec<BTreeMap<&str, u32>> = scenes.iter().map(Scene::passes).collect();
    eprintln!("{} scenes, {:?}", scenes.len(), begun.elapsed());
    for (s, p) in scenes.iter().zip(&passes) {
        eprintln!("{} {p:?}", s.name);
    }
    let passed: BTreeSet<&str> = passes.iter().flat_map(|all| all.keys().copied()).collect();
    let names = || Point::ALL.iter().map(|point| point.name());
    assert_eq!(
        missing(names(), &passed),
        Vec::<&str>::new(),
        "passed by nobody"
    );

    let mut crashes = Vec::new();
    for place in names() {
        let n = passes
            .iter()
            .position(|all| all.contains_key(place))
            .unwrap();
        crashes.push(Crash {
            scene: &scenes[n],
            place,
            pass: 1,
        });
    }
    let again = Mutex::new(BTreeSet::new());
    in_parallel(&crashes, |crash| {
        let at = Instant::now();
        if crash.plays_out() {
            again.lock().unwrap().insert(crash.place);
        }
        eprintln!("{} {} {:?}", crash.scene.name, crash.place, at.elapsed());
    });
    eprintln!("{:?}", begun.elapsed());
    let again = again.into_inner().unwrap();
    eprintln!("not again: {:?}", missing(names(), &again));
}

impl Crash<'_> {
    /// Whether it was killed a second time.
    fn plays_out(&self) -> bool {
        let Self { scene, place, pass } = self;
        let site = scene.site();
        let about = format!("{}: {place}#{pass}", scene.name);
        assert!(
            self.dies(&site, &format!("{place}#{pass}=crash")),
            "{about}: it never came there"
        );
        let again = self.dies(&site, &format!("{place}=crash"));
        scene.plays_out(&site);
        scene.audit(&site, &about);
        again
    }

    fn dies(&self, site: &Site, order: &str) -> bool {
        let all = self.scene.play(site, order);
        await_nobody(site);
        let died = all.last().unwrap().code.is_none();
        assert!(died || self.scene.is_over(&all), "{order}: {all:#?}");
        died
    }
}
