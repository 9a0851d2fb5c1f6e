//! A repository laid out for harness-loop, with a `claude` on PATH: files, variables and exit codes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]
#![cfg(feature = "fake-agent")]

mod support;

use support::Site;

/// harness-loop's layout, and a `claude` that plays scripts.
fn site() -> Site {
    let mut site = Site::new();
    for slug in ["alpha", "beta", "gamma"] {
        site.spec(slug, "");
    }
    site.write(
        "scripts/feature-order.txt",
        "# first things first\n  gamma  # urgent\n\nbeta\n",
    );
    site.write("logs/feature-runner/beta.done", "done long ago\n");
    site.write("logs/feature-runner/learnings.md", "- an old lesson\n");
    site.write(".gitignore", "logs/\n");
    std::os::unix::fs::symlink(
        env!("CARGO_BIN_EXE_fake-agent"),
        site.path("bin").join("claude"),
    )
    .unwrap();
    let scripts = site.path("scripts").to_str().unwrap().to_owned();
    site.write(
        "harness.yaml",
        "agents: {claude: {env_pass: [FAKE_AGENT_SCRIPT]}}\n",
    );
    site.set("FAKE_AGENT_SCRIPT", &scripts);
    site.script(
        "default",
        "stdin-contains \"an old lesson\"\nwrite ${FEATURE}.txt x\nnote \"wrote the file of ${FEATURE} as its spec says\"\ndone \"${FEATURE} is there\"\nstream \"all of it is done\"\n",
    );
    site.commit("as harness-loop left it");
    site
}

#[test]
fn its_files_are_honoured_and_all_done_is_0() {
    let mut site = site();
    site.set("PARALLEL", "1");
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    // beta was done; gamma stands first in the order file; alpha is not listed.
    assert_eq!(site.landed(), ["gamma", "alpha"]);
    assert!(!site.repo.join(".harness").exists());
    let state = |name: &str| site.read(&format!("logs/feature-runner/{name}"));
    assert_eq!(state("beta.done"), "done long ago\n");
    assert!(state("learnings.md").starts_with("- an old lesson\n"));
    assert!(state("gamma.log").contains("wrote the file of gamma"));
    assert!(state("gamma.done").contains("gamma is there"));
}

#[test]
fn halt_is_3_blocked_is_4_stuck_is_5() {
    let mut halted = site();
    halted.write("logs/feature-runner/HALT", "not today\n");
    assert_eq!(halted.harness(&["run"]).code, Some(3));

    let blocked = site();
    blocked.script("alpha", "stream \"BLOCKED: no API key\"\n");
    let ran = blocked.harness(&["run"]);
    assert_eq!(ran.code, Some(4), "{}", ran.err);
    assert!(ran.out.contains("no API key"), "{}", ran.out);

    halted.harness(&["resume"]);
    halted.script("default", "say ok\n");
    halted.set("STUCK_LIMIT", "2");
    let ran = halted.harness(&["run"]);
    assert_eq!(ran.code, Some(5), "{}", ran.err);
}

#[test]
fn its_variables_are_honoured() {
    let mut site = site();
    site.set("ONLY", "alpha");
    site.set("MAX_ITERATIONS", "1");
    site.script("default", "note \"one step of many, more are to come\"\n");
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(
        site.read("logs/feature-runner/alpha.log")
            .contains("one step of many")
    );
    assert!(!site.repo.join("logs/feature-runner/gamma.log").exists());

    site.set("DRY_RUN", "1");
    let before = std::fs::read_dir(site.repo.join("logs/feature-runner"))
        .unwrap()
        .count();
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.out.contains("<<<PRIOR_LOG"), "{}", ran.out);
    let after = std::fs::read_dir(site.repo.join("logs/feature-runner"))
        .unwrap()
        .count();
    assert_eq!(before, after, "a dry run writes nothing");
}

#[test]
fn a_used_up_quota_is_6() {
    let site = site();
    // It ends later than a run waits.
    let now = std::time::UNIX_EPOCH.elapsed().unwrap();
    let in_a_month = now.as_secs() + 30 * 24 * 3600;
    site.script("default", &format!("limit {in_a_month}\n"));
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(6), "{}", ran.err);
}
