//! A key that Claude Code would be charged on beside a subscription is named before anything is started.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]
#![cfg(feature = "fake-agent")]

mod support;

use support::Site;

const KEY: &str = "sk-ant-abcdefgh";

/// A feature for Claude Code, a login to a subscription, and a key.
fn site(profile: &str) -> Site {
    let mut site = Site::new();
    site.spec("a", "");
    site.script(
        "a",
        "note \"did what this feature is about\"\ndone finished",
    );
    let agent = site.path("bin").join("claude");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_fake-agent"), agent).unwrap();
    let scripts = site.path("scripts");
    site.write(
        "harness.yaml",
        &format!("version: 1\nagents:\n  claude:\n    env: {{FAKE_AGENT_SCRIPT: {scripts:?}}}\n{profile}\n"),
    );
    site.commit("specs");
    let login = site.path("home").join(".claude");
    std::fs::create_dir(&login).unwrap();
    std::fs::write(login.join(".credentials.json"), "{}").unwrap();
    site.set("ANTHROPIC_API_KEY", KEY);
    site
}

#[test]
fn the_key_is_named_and_not_shown() {
    let site = site("");
    for args in [&["plan"][..], &["run", "--dry-run"], &["run"]] {
        let ran = site.harness(args);
        assert_eq!(ran.code, Some(0), "{args:?}: {}", ran.err);
        let told = "ANTHROPIC_API_KEY is set: claude will charge it instead of your subscription";
        assert_eq!(ran.err.matches(told).count(), 1, "{args:?}: {}", ran.err);
        assert!(
            ran.err.contains("env_pass: [ANTHROPIC_API_KEY]"),
            "{}",
            ran.err
        );
        assert!(!(ran.out + &ran.err).contains(KEY), "{args:?}");
    }
}

#[test]
fn who_names_the_key_means_it() {
    let site = site("    env_pass: [ANTHROPIC_API_KEY]");
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(!ran.err.contains("ANTHROPIC_API_KEY"), "{}", ran.err);
}
