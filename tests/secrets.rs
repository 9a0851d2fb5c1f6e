//! Keys in the environment stand in nothing that harness writes or shows, wherever an agent puts them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]
#![cfg(feature = "fake-agent")]

mod support;

use std::path::{Path, PathBuf};
use support::Site;

/// With what JSON escapes, and some letters that are easy to look for.
const KEY: &str = "sk-zyx/\"quoted\"/12345";
const PASSED: &str = "passed-zyx-12345";

/// Every file below a directory.
fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

fn assert_hidden(what: &str, text: &str) {
    assert!(!text.contains("zyx"), "{what}:\n{text}");
}

#[test]
fn keys_stand_nowhere() {
    let mut site = Site::new();
    site.set("SERVICE_TOKEN", PASSED);
    site.set("NOT_PASSED_SECRET", "kept-zyx-12345");
    // More of the profile, then the rest.
    site.shell_config(&format!(
        "    env: {{SERVICE_API_KEY: {KEY:?}}}\n    env_pass: [SERVICE_TOKEN]\n\
         verify: {{commands: ['! grep -s passed keys']}}"
    ));
    let out = "$HARNESS_OUTBOX";
    site.shell(
        "leak",
        &format!(
            "k=$SERVICE_API_KEY\nt=$SERVICE_TOKEN\n\
             printf '%s' \"$k\" | head -c 9; printf '%s\\n' \"$k\" | tail -c +10\n\
             printf 'error: %s\\n' \"$k\" >&2\n\
             printf '{{\"k\":\"%s\"}}\\n' \"$(printf %s \"$k\" | sed 's/\"/\\\\\"/g')\"\n\
             printf 'I used %s\\n' \"$k$t\" > \"{out}/note.md\"\n\
             head -c 16370 /dev/zero | tr '\\0' x >> \"{out}/note.md\"; printf %s \"$t\" >> \"{out}/note.md\"\n\
             echo \"call it with $t\" > \"{out}/learnings.md\"\n\
             if [ $HARNESS_ITERATION = 1 ]; then echo \"kept-zyx-12345 $t\" > keys; fi\n\
             if [ $HARNESS_ITERATION = 2 ]; then echo fine > keys; echo \"does $k work?\" > \"{out}/blocked\"; exit 0; fi\n\
             printf 'last: %s' \"$t\"\n"
        ),
    );
    site.commit("specs");
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(4), "{}", ran.err);
    assert_hidden("run", &(ran.out + &ran.err));
    for args in [
        &["status"][..],
        &["status", "--json"],
        &["logs", "leak"],
        &["queue"],
    ] {
        let shown = site.harness(args);
        assert_hidden(&format!("{args:?}"), &(shown.out + &shown.err));
    }
    let state = site.repo.join(".harness");
    let mut all = Vec::new();
    files(&state, &mut all);
    assert!(all.len() > 8);
    for file in all {
        let text = String::from_utf8_lossy(&std::fs::read(&file).unwrap()).into_owned();
        assert_hidden(&file.to_string_lossy(), &text);
    }
    let output = site.read(".harness/iterations/leak/1/output.log");
    assert!(
        output.matches("[redacted SERVICE_API_KEY]").count() == 3
            && output.contains("error: [redacted SERVICE_API_KEY]\n")
            && output.contains("{\"k\":\"[redacted SERVICE_API_KEY]\"}\n")
            && output.ends_with("last: [redacted SERVICE_TOKEN]"),
        "{output}"
    );
    let log = site.read(".harness/leak.log");
    assert!(
        log.contains("does [redacted SERVICE_API_KEY] work?"),
        "{log}"
    );
    assert!(
        log.contains("[redacted NOT_PASSED_SECRET]"),
        "the gate's: {log}"
    );
}
