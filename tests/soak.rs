//! While harness recycles worktrees, takes snapshots, lands and publishes, no git command of an agent fails
//! because of it.
//!
//! `HARNESS_SOAK_COMMANDS=n` runs at least n commands, on `HARNESS_SOAK_SLOTS=n` slots. `scripts/soak` does the
//! long version.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

mod support;

use std::fs;
use std::path::Path;
use support::Site;

/// Commands in a round of the agent, its rounds in an iteration, and its iterations.
const COMMANDS: usize = 13;
const ROUNDS: usize = 5;
const ITERATIONS: usize = 2;

/// A number from the environment.
fn asked(name: &str, usual: usize) -> usize {
    std::env::var(name).map_or(usual, |text| text.parse().unwrap())
}

#[test]
fn no_git_command_of_an_agent_fails() {
    let slots = asked("HARNESS_SOAK_SLOTS", 6);
    let commands = asked("HARNESS_SOAK_COMMANDS", 1_000);
    // More than there are slots, so that worktrees change hands.
    let features = commands
        .div_ceil(COMMANDS * ROUNDS * ITERATIONS)
        .max(slots + 1);
    let site = Site::new();
    let agent = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/agents/soak.sh");
    let tally = site.path("tally");
    site.write(
        "harness.yaml",
        &format!(
            "version: 1\nagent: soak\nagents:\n  soak:\n    kind: command\n    \
             command: [sh, {agent:?}, {tally:?}, '{ROUNDS}']\nverify: {{commands: ['test -d work']}}\nrun: {{max_iterations: 1000000}}\n"
        ),
    );
    let slugs: Vec<String> = (0..features).map(|n| format!("f{n:03}")).collect();
    for slug in &slugs {
        site.spec(slug, "");
    }
    site.write("work/readme", "what the agents write\n");
    site.commit("specs");

    let ran = site.harness(&["run", "--parallel", &slots.to_string()]);
    let tally = fs::read_to_string(tally).unwrap();
    let failed: Vec<&str> = tally
        .lines()
        .filter(|line| !line.starts_with("ok "))
        .collect();
    println!(
        "{} commands, {} failed",
        tally.lines().count(),
        failed.len()
    );
    assert!(failed.is_empty(), "{failed:#?}");
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    assert!(
        !ran.err.contains("changed refs of harness's"),
        "{}",
        ran.err
    );
    assert!(tally.lines().count() >= commands);
    assert_eq!(site.landed().len(), features);
    for slug in &slugs {
        let lines = site.read(&format!("work/{slug}")).lines().count();
        assert_eq!(lines, ITERATIONS * (ROUNDS + 1), "{slug}");
    }
    assert_eq!(site.git(&["fsck", "--strict", "--no-dangling"]), "");
    // The agents' own branches are no business of harness, where they are the repository's at all.
    let tries = site.git(&["branch", "--list", "--format=%(refname:short)", "try-*"]);
    for name in tries.lines() {
        site.git(&["branch", "--quiet", "--delete", "--force", name]);
    }
    site.assert_no_litter();
}
