//! Forty features that get in each other's way: ten pairs clash, four pairs pass alone and fail together, two
//! gates are flaky, one feature never passes. Whatever can land lands, once, nobody is charged for another's
//! fault, and every value the target ever had passes when it is gated afresh.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;
use support::Site;

/// The gate: writes into the diary which tree it saw and what it said of it.
const GATE: &str = r#"#!/bin/sh
place=$1
say() { printf '%s %s\n' "$1" "$(git rev-parse 'HEAD^{tree}')" >>"$place/gates"; }
fail() { echo "$1"; say red; exit 1; }
! grep -q -r '^<<<<<<<' shared || fail 'markers'
[ ! -e broken.txt ] || fail 'it never works'
for pair in budget/*; do
    test "$(cat "$pair"/* 2>/dev/null | grep -c 1)" -le 1 || fail "over budget: ${pair#budget/};"
done
hiccup=
for flaky in flaky/*; do
    if [ -e "$flaky" ] && [ ! -e "$place/seen-${flaky#flaky/}" ]; then
        : >"$place/seen-${flaky#flaky/}"
        hiccup=$flaky
    fi
done
[ -z "$hiccup" ] || fail "a hiccup in $hiccup"
say green
"#;

fn slug(n: u32) -> String {
    format!("f{n:02}")
}

fn forty(batch: u32, parallel_gates: u32) -> Site {
    let site = Site::new();
    let agent = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/agents/forty.sh");
    let place = site.path("place");
    fs::create_dir(&place).unwrap();
    site.write("check.sh", GATE);
    site.write(
        "harness.yaml",
        &format!(
            "version: 1\nagent: forty\nagents:\n  forty:\n    kind: command\n    \
             command: [sh, {agent:?}, {place:?}]\nverify: {{commands: [\"sh check.sh '{}'\"]}}\n\
             merge: {{batch: {batch}, parallel_gates: {parallel_gates}}}\n",
            place.display()
        ),
    );
    for pair in 1..=10 {
        site.write(&format!("shared/{pair}.txt"), "everybody's\n");
    }
    for n in 1..=40 {
        site.spec(&slug(n), "");
    }
    site.commit("specs");
    site
}

fn slugs_of(site: &Site, kind: &str) -> Vec<String> {
    let all = site.journal();
    let found = all.iter().filter(|event| event["event"] == kind);
    found
        .map(|event| event["slug"].as_str().unwrap().to_owned())
        .collect()
}

/// Runs it all and looks at it; gives the number of gates.
fn burn_down(batch: u32, parallel_gates: u32) -> usize {
    let site = forty(batch, parallel_gates);
    let ran = site.harness(&["run", "--parallel", "8"]);
    assert_eq!(ran.code, Some(5), "{}{}", ran.out, ran.err);

    let landed = site.landed();
    let once: BTreeSet<String> = landed.iter().cloned().collect();
    let expected: BTreeSet<String> = (1..=40).filter(|n| *n != 31).map(slug).collect();
    assert_eq!(landed.len(), 39, "{landed:?}");
    assert_eq!(once, expected);
    assert_eq!(slugs_of(&site, "tripped"), ["f31"]);
    // Nothing that harness itself does is taken for somebody's tampering.
    assert!(!ran.err.contains("warning: while "), "{}", ran.err);
    assert!(slugs_of(&site, "parked").is_empty());

    assert_pairs(&site);
    let gates = assert_gates(&site);
    assert_green_at_every_value(&site);
    assert_eq!(site.git(&["status", "--porcelain"]), "");
    assert_eq!(site.git(&["fsck", "--strict", "--no-dangling"]), "");
    gates
}

/// Of each pair one was asked to give way, and no other feature was.
fn assert_pairs(site: &Site) {
    let pairs = |slugs: Vec<String>| -> BTreeSet<u32> {
        let numbers = slugs.iter().map(|slug| slug[1..].parse::<u32>().unwrap());
        numbers.map(|n| n.div_ceil(2)).collect()
    };
    assert_eq!(pairs(slugs_of(site, "clashed")), (1..=10).collect());
    let rejected = slugs_of(site, "rejected");
    let others: Vec<String> = rejected
        .iter()
        .filter(|slug| *slug != "f31")
        .cloned()
        .collect();
    assert_eq!(others.len(), 4, "who is charged: {rejected:?}");
    assert_eq!(pairs(others), (11..=14).collect());
    for pair in 1..=10 {
        let (a, b) = (slug(2 * pair - 1), slug(2 * pair));
        let text = site.git(&["show", &format!("main:shared/{pair}.txt")]);
        let lines: BTreeSet<&str> = text.lines().collect();
        let all = BTreeSet::from(["everybody's", a.as_str(), b.as_str()]);
        assert_eq!(lines, all, "shared/{pair}.txt");
    }
}

/// No tree that has passed is gated again.
fn assert_gates(site: &Site) -> usize {
    let diary = fs::read_to_string(site.path("place/gates")).unwrap();
    let mut green: BTreeMap<&str, u32> = BTreeMap::new();
    for tree in diary.lines().filter_map(|line| line.strip_prefix("green ")) {
        *green.entry(tree).or_default() += 1;
    }
    let again: Vec<_> = green.iter().filter(|(_, times)| **times > 1).collect();
    assert!(again.is_empty(), "gated again: {again:?}");
    diary.lines().count()
}

/// Each commit the target's log names is checked out afresh and gated.
fn assert_green_at_every_value(site: &Site) {
    let values = site.git(&["log", "-g", "--format=%H", "main"]);
    let values: BTreeSet<&str> = values.lines().collect();
    assert!(values.len() > 5, "{values:?}");
    let fresh = site.path("fresh");
    site.git(&[
        "clone",
        "-q",
        site.repo.to_str().unwrap(),
        fresh.to_str().unwrap(),
    ]);
    for value in values {
        site.git(&[
            "-C",
            fresh.to_str().unwrap(),
            "checkout",
            "-q",
            "--detach",
            value,
        ]);
        if !fresh.join("check.sh").exists() {
            continue; // The commit from before there was a gate.
        }
        let gate = Command::new("sh")
            .arg("check.sh")
            .arg(site.path("place"))
            .current_dir(&fresh)
            .output()
            .unwrap();
        assert!(
            gate.status.success(),
            "{value}: {}",
            String::from_utf8_lossy(&gate.stdout)
        );
    }
}

#[test]
fn one_at_a_time() {
    println!("{} gates for 39 landed", burn_down(1, 1));
}

#[test]
fn four_at_a_time() {
    println!("{} gates for 39 landed", burn_down(4, 1));
}

#[test]
fn one_at_a_time_on_four_gates() {
    println!("{} gates for 39 landed", burn_down(1, 4));
}

#[test]
fn four_at_a_time_on_four_gates() {
    println!("{} gates for 39 landed", burn_down(4, 4));
}

/// The end-to-end twin of the table that `tests/gates.rs` computes: a backlog of forty, one in twenty bad.
#[test]
fn a_backlog_costs_at_most_six_gates_for_ten_landed() {
    let site = Site::new();
    let (claimed, gates) = (site.path("claimed"), site.path("gates"));
    fs::create_dir(&claimed).unwrap();
    // The first gate waits until everybody is in the queue.
    site.write(
        "check.sh",
        &format!(
            "while [ $(ls '{}' | wc -l) -lt 40 ]; do sleep 0.02; done\necho gate >>'{}'\n\
             ! ls own/*.bad >/dev/null 2>&1 || {{ echo 'that is bad'; exit 1; }}\n",
            claimed.display(),
            gates.display()
        ),
    );
    site.config("verify: {commands: [sh check.sh], retries: 0}\nmerge: {batch: 4}");
    for n in 1..=40 {
        site.spec(&slug(n), "");
        let (own, text) = (slug(n), "note \"wrote the file that is asked for\"");
        let claim = claimed.join(&own);
        let bad = if n % 20 == 7 {
            format!("write own/{own}.bad x\n")
        } else {
            String::new()
        };
        site.script(
            &own,
            &format!(
                "[1]\nwrite own/{own}.txt x\n{bad}{text}\ntouch {claim:?}\ndone \"there\"\n\
                 [2]\ndelete own/{own}.bad\n{text}\ndone \"repaired\"\n"
            ),
        );
    }
    site.commit("specs");
    let ran = site.harness(&["run", "--parallel", "8"]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    assert_eq!(site.landed().len(), 40);
    let mut charged = slugs_of(&site, "rejected");
    charged.sort();
    assert_eq!(charged, ["f07", "f27"]);
    let gates = fs::read_to_string(gates).unwrap().lines().count();
    assert!(gates <= 24, "{gates} gates for 40 landed");
}
