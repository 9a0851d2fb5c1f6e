//! Shells complete what can be typed now, features of this repository too; fast, and without a word when something is wrong.

#![cfg(feature = "fake-agent")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

mod support;

use std::io::Write as _;
use support::Site;

/// What bash would offer for these words, the last of which is being typed.
fn offered(site: &Site, words: &[&str]) -> Option<Vec<String>> {
    let script = site.path("completions.bash");
    std::fs::write(&script, site.harness(&["completions", "bash"]).out).unwrap();
    let bin = std::path::Path::new(env!("CARGO_BIN_EXE_harness"))
        .parent()
        .unwrap();
    let text = format!(
        "PATH={}:$PATH; . {}\nCOMP_WORDS=(harness \"$@\"); COMP_CWORD=$#; COMP_TYPE=9\n\
         _clap_complete_harness harness \"${{@: -1}}\" ''\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"",
        shell_word(&bin.to_string_lossy()),
        shell_word(&script.to_string_lossy()),
    );
    let mut command = site.program("bash");
    command.args(["--norc", "-c", &text, "bash"]).args(words);
    let Ok(ran) = command.output() else {
        let _ = std::io::stderr().write_all(b"skipped: there is no bash\n");
        return None;
    };
    let err = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert_eq!(err, "", "{words:?}");
    let out = String::from_utf8_lossy(&ran.stdout).into_owned();
    Some(
        out.lines()
            .filter(|line| !line.is_empty())
            .map(str::to_owned)
            .collect(),
    )
}

fn shell_word(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

fn site() -> Site {
    let site = Site::new();
    site.config("");
    for slug in ["auth", "auth-mail", "billing"] {
        site.spec(slug, "");
    }
    site.write("specs/notes/readme.md", "no spec\n");
    site
}

#[test]
fn features_and_codes_are_offered() {
    let site = site();
    std::fs::create_dir_all(site.repo.join(".harness/iterations/old-one/1")).unwrap();
    let auth = ["auth", "auth-mail"];
    let cases: [(&[&str], &[&str]); 12] = [
        (&["why", "au"], &auth),
        (&["logs", "au"], &auth),
        (&["retry", "auth", "b"], &["billing"]),
        (&["unblock", "old"], &["old-one"]),
        (&["recover", "b"], &["billing"]),
        (&["undo", "au"], &auth),
        (&["prompt", "au"], &auth),
        (&["run", "--only", "au"], &auth),
        (&["run", "--only", "auth,b"], &["auth,billing"]),
        (&["run", "--agent", "scr"], &["scripted"]),
        (&["explain", "unknown-d"], &["unknown-dependency"]),
        (&["schema", "sta"], &["stats", "status"]),
    ];
    for (words, expected) in cases {
        let Some(found) = offered(&site, words) else {
            return;
        };
        assert_eq!(found, expected, "{words:?}");
    }
}

#[test]
fn what_was_typed_before_counts() {
    let mut site = site();
    site.write("other/billing-old/spec.md", "# Old\n");
    site.write("alt.yaml", "version: 1\nspecs: {dir: other}\n");
    let near = Site::new();
    near.spec("elsewhere", "");
    let there = near.repo.to_string_lossy().into_owned();
    let short = format!("-C{there}");
    let cases: [(&[&str], &[&str]); 7] = [
        (&["--config", "alt.yaml", "why", "bil"], &["billing-old"]),
        (
            &["--config", "=", "alt.yaml", "why", "bil"],
            &["billing-old"],
        ),
        (&["--config=alt.yaml", "why", "bil"], &["billing-old"]),
        (&["--directory", "=", &there, "why", "el"], &["elsewhere"]),
        (
            &[&format!("--directory={there}"), "why", "el"],
            &["elsewhere"],
        ),
        (&["-C", &there, "why", "el"], &["elsewhere"]),
        (&[&short, "why", "el"], &["elsewhere"]),
    ];
    for (words, expected) in cases {
        let Some(found) = offered(&site, words) else {
            return;
        };
        assert_eq!(found, expected, "{words:?}");
    }
    site.set("SPECS_DIR", "other");
    let Some(found) = offered(&site, &["why", "bil"]) else {
        return;
    };
    assert_eq!(found, ["billing-old"]);
}

#[test]
fn a_variable_that_names_no_shell_is_told() {
    let site = site();
    let ran = site.harness_with(&["run"], &[("HARNESS_COMPLETE", "1")]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("HARNESS_COMPLETE"), "{ran:?}");
}

#[test]
fn nothing_is_said_where_something_is_wrong() {
    let site = site();
    for text in ["run: [\n", "version: 9\n", ""] {
        site.write("harness.yaml", text);
        let Some(found) = offered(&site, &["why", "bil"]) else {
            return;
        };
        assert_eq!(found, ["billing"], "{text}");
    }
    let none = Site::bare_dir();
    let Some(found) = offered(&none, &["why", "au"]) else {
        return;
    };
    assert_eq!(found, [""; 0]);
    let Some(found) = offered(&none, &["statu"]) else {
        return;
    };
    assert_eq!(found, ["status"]);
}

#[test]
fn every_shell_gets_a_script_and_every_command_a_page() {
    let site = Site::bare_dir();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = site.harness(&["completions", shell]);
        assert!(ran.out.contains("HARNESS_COMPLETE"), "{shell}: {ran:?}");
    }
    let dir = site.path("man");
    let ran = site.harness(&["man", "--dir", &dir.to_string_lossy()]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let help = site.harness(&["--help"]).out;
    let commands = help
        .split("Commands:\n")
        .nth(1)
        .unwrap()
        .split("\n\n")
        .next()
        .unwrap();
    let names = commands
        .lines()
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    for name in names.filter(|name| !name.is_empty() && *name != "help") {
        assert!(
            dir.join(format!("harness-{name}.1")).is_file(),
            "no page of {name}"
        );
    }
}
