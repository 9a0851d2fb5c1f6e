//! What agents and verify commands are told about the processors that their builds share.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]
#![cfg(feature = "fake-agent")]

mod support;

use std::os::unix::fs::PermissionsExt as _;
use support::Site;

/// A make of this version, before the machine's own on the path.
fn install_make(site: &Site, version: &str) {
    for name in ["make", "gmake"] {
        let path = site.path("bin").join(name);
        std::fs::write(&path, format!("#!/bin/sh\necho 'GNU Make {version}'\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
}

const TELL: &str =
    "echo \"${MAKEFLAGS-none}|${CARGO_BUILD_JOBS-none}|${CMAKE_BUILD_PARALLEL_LEVEL-none}\"";

/// Runs two features; what both agents and, last, the gate were told.
fn told(site: &Site, more: &str) -> [String; 3] {
    let gate = site.path("gate");
    // A FIFO must be there as long as somebody is told of it.
    let fifo = "case ${MAKEFLAGS-} in *fifo:*) test -p \"${MAKEFLAGS##*fifo:}\";; esac";
    let verify = format!("{{ {TELL}; }} > '{}' && {fifo}", gate.display());
    site.shell_config(&format!(
        "{more}\nrun: {{parallel: 2}}\nverify: {{commands: [{verify:?}]}}"
    ));
    for slug in ["a", "b"] {
        site.shell(slug, &format!("{TELL} > {slug}.told\n{fifo}\n"));
    }
    site.commit("specs");
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let gate = std::fs::read_to_string(gate).unwrap();
    [site.read("a.told"), site.read("b.told"), gate].map(|text| text.trim().to_owned())
}

#[test]
fn with_a_new_make_all_share_one_jobserver() {
    let site = Site::new();
    install_make(&site, "4.4.1");
    let [a, b, gate] = told(&site, "resources: {jobs: 3}");
    let fifo = a.strip_prefix("-j --jobserver-auth=fifo:").unwrap();
    let (fifo, rest) = fifo.split_once('|').unwrap();
    assert_eq!(rest, "2|none");
    assert!(fifo.starts_with('/') && !fifo.contains(' '), "{fifo}");
    assert_eq!((&a, &a), (&b, &gate));
    assert!(!std::path::Path::new(fifo).exists(), "it goes with the run");
    let dir = std::path::Path::new(fifo).parent().unwrap();
    assert!(!dir.exists());
}

#[test]
fn an_old_make_is_not_told_what_it_cannot_read() {
    let site = Site::new();
    install_make(&site, "4.3");
    let told = told(&site, "resources: {jobs: 3}");
    assert_eq!(told, ["none|2|2"; 3]);
}

#[test]
fn nothing_is_told_when_nothing_is_to_be_shared() {
    let site = Site::new();
    install_make(&site, "4.4.1");
    let told = told(&site, "resources: {jobs: null}");
    assert_eq!(told, ["none|none|none"; 3]);
}

#[test]
fn what_a_profile_sets_stays() {
    let mut site = Site::new();
    install_make(&site, "4.4.1");
    site.set("CARGO_BUILD_JOBS", "7");
    site.set("MAKEFLAGS", "-j9");
    // More of the profile, then the rest.
    let profile =
        "    env: {MAKEFLAGS: -j5}\n    env_pass: [CARGO_BUILD_JOBS]\nresources: {jobs: 3}";
    let [a, b, gate] = told(&site, profile);
    assert_eq!([&a, &b], ["-j5|7|none"; 2]);
    assert!(
        gate.ends_with("|2|none") && gate.contains("fifo:"),
        "what is not passed on is not the gate's: {gate}"
    );
}
