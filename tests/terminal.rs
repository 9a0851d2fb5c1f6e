//! What agents, file names, branches and specs hold never acts on the terminal of whoever looks, nor on run.log.

#![cfg(feature = "fake-agent")]

mod support;

use harness::model::acts;
use support::{Ran, Site};

/// A title, a colour, a cursor, a bell, a return, a direction, an invisible blank: one line.
const LOUD: &str = "\u{1b}]0;pwned\u{7}\u{1b}[31mred\u{202e}live\u{9b}2J\u{2066}\rback\u{200b}x";
/// The same in a name that git's refs take.
const LOUD_REF: &str = "odd\u{202e}live\u{2066}x";

fn assert_quiet(what: &str, text: &str) {
    let bad = text
        .lines()
        .find(|line| line.chars().any(|c| acts(c) && c != '\t'));
    assert!(bad.is_none(), "{what}: {bad:?}\nin {text:?}");
}

fn quiet(what: &str, ran: &Ran) {
    assert_quiet(&format!("{what}: stdout"), &ran.out);
    assert_quiet(&format!("{what}: stderr"), &ran.err);
}

/// Features that are loud in every way an agent can be.
fn site() -> Site {
    let site = Site::new();
    site.shell_config(&format!(
        "run: {{max_iterations_per_feature: 2, parallel: 1}}\nmerge: {{max_conflict_rounds: 1, max_red_rounds: 1}}\n\
         worktrees: {{setup: ['cat setup-says 2>/dev/null; true']}}\n\
         verify: {{commands: [{:?}], retries: 0}}",
        "cat gate-says 2>/dev/null; test ! -e red"
    ));
    let say = format!("printf '%s\\n' '{LOUD}'; printf '%s\\n' '{LOUD}' >&2\n");
    let files = format!(
        "printf '%s\\n' '{LOUD}' > gate-says\ncp gate-says setup-says\necho \"$HARNESS_FEATURE\" > 'shared {LOUD}\nx'\n"
    );
    let tell = format!(
        "printf 'first {LOUD}\\n{LOUD}\\n' > \"$HARNESS_OUTBOX/note.md\"\n\
         printf -- '- lesson {LOUD}\\n' > \"$HARNESS_OUTBOX/learnings.md\"\n"
    );
    let claim = format!("printf 'all {LOUD}\\n' > \"$HARNESS_OUTBOX/done\"; exit 0\n");
    let git = format!(
        "git add -A; git commit -qm 'subject {LOUD}'; git branch 'harness/{LOUD_REF}'\n\
         git config 'alias.{LOUD_REF}' 'x {LOUD_REF}' || true\ngit config 'filter.{LOUD_REF}.clean' 'cat {LOUD_REF}'\n"
    );
    let ask = format!("printf 'what {LOUD}?\\n' > \"$HARNESS_OUTBOX/blocked\"; exit 0\n");
    for (slug, does) in [
        ("a-lands", format!("{say}{files}{tell}{git}{claim}")),
        ("b-clashes", format!("{say}{files}{tell}{claim}")),
        ("c-asks", format!("{tell}{ask}")),
        ("d-red", format!("{say}{files}touch red\n{tell}{claim}")),
        (
            "e-fails",
            format!("{say}{tell}printf '%s' '{LOUD}' >&2; exit 3\n"),
        ),
        (
            "f-linked",
            format!("rm -rf \"$HARNESS_OUTBOX\"; ln -s '{LOUD}' \"$HARNESS_OUTBOX\"; exit 0\n"),
        ),
    ] {
        site.shell(slug, &does);
        site.write(
            &format!("specs/{slug}/spec.md"),
            &format!("# Title {LOUD}\n\nDo {LOUD}.\n"),
        );
    }
    site.commit("specs");
    site
}

#[test]
fn nothing_that_is_shown_acts() {
    let site = site();
    quiet("plan", &site.harness(&["plan"]));
    quiet("dry run", &site.harness(&["run", "--dry-run"]));
    let ran = site.harness(&["run"]);
    quiet("run", &ran);
    for (slug, told) in [
        ("a-lands", "merged"),
        ("b-clashes", "conflicts"),
        ("c-asks", "blocked: what"),
        ("d-red", "gate failed"),
        ("e-fails", "ended with exit code 3"),
        ("f-linked", "the outbox is a link"),
    ] {
        let lines = ran.err.lines();
        let hit = lines
            .filter(|line| line.contains(slug))
            .any(|line| line.contains(told));
        assert!(hit, "{slug}: {told}\n{}", ran.err);
    }
    assert!(ran.err.contains("that git obeys"), "{}", ran.err);
    let state = site.repo.join(".harness");
    for entry in std::fs::read_dir(&state).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let is_text = [".log", ".md", ".done"]
            .iter()
            .any(|end| name.ends_with(end));
        if is_text {
            assert_quiet(&name, &std::fs::read_to_string(&path).unwrap());
        }
    }
    for slug in [
        "a-lands",
        "b-clashes",
        "c-asks",
        "d-red",
        "e-fails",
        "f-linked",
    ] {
        quiet("logs", &site.harness(&["logs", slug]));
        quiet("logs --output", &site.harness(&["logs", "--output", slug]));
        quiet("recover", &site.harness(&["recover", slug]));
        quiet(
            "recover --json",
            &site.harness(&["recover", slug, "--json"]),
        );
        quiet("undo", &site.harness(&["undo", slug]));
    }
    for args in [
        &["status"][..],
        &["status", "--plain"],
        &["status", "--json"],
        &["queue"],
        &["queue", "--json"],
        &["conflicts"],
        &["conflicts", "--json"],
        &["plan"],
        &["config", "--origin"],
        &["run", "--dry-run"],
        &["retry", LOUD],
        &["logs", LOUD],
        &["recover", "a-lands", LOUD],
    ] {
        quiet(&args.join(" "), &site.harness(args));
    }
    std::fs::create_dir(site.path("the repo.harness").join(LOUD)).unwrap();
    let cleaned = site.harness(&["clean", "--force"]);
    quiet("clean", &cleaned);
    assert!(cleaned.out.contains("pwned"), "{}", cleaned.out);
}

#[test]
fn no_complaint_acts() {
    for (file, text) in [
        (
            "specs/a/spec.md",
            format!("---\npriority: '{LOUD}'\n---\n# A\n"),
        ),
        ("specs/a/spec.md", format!("---\n'{LOUD}': 1\n---\n# A\n")),
        (
            "specs/a/spec.md",
            format!("---\ndepends_on: ['{LOUD}']\n---\n# A\n"),
        ),
        (
            "specs/a/spec.md",
            format!("---\nx: \u{202e}[{LOUD_REF}\n---\n# A\n"),
        ),
        (&format!("specs/{LOUD}/spec.md"), "# A\n".to_owned()),
        ("harness.yaml", format!("target: '{LOUD_REF}'\n")),
        (
            "harness.yaml",
            format!("run: {{parallel: \"{LOUD_REF}\"}} # {LOUD_REF}\n"),
        ),
        ("harness.yaml", format!("agent: \"{LOUD_REF}\"\n")),
        (
            "harness.yaml",
            format!("agents: {{claude: {{command: ['{LOUD_REF}']}}}}\n"),
        ),
        (
            "harness.yaml",
            format!("prompt: {{template: '{LOUD_REF}'}}\n"),
        ),
        ("scripts/feature-order.txt", format!("{LOUD}\n")),
    ] {
        let site = Site::new();
        site.spec("a", "");
        site.write(file, &text);
        for args in [&["plan"][..], &["run"], &["run", "--color", "always"]] {
            let ran = site.harness(args);
            let err = if args.len() > 2 {
                // The desk's own colours.
                let parts = ran.err.split("\u{1b}[").enumerate();
                let plain = parts.map(|(n, part)| match part.split_once('m') {
                    Some((_, rest)) if n > 0 => rest,
                    _ => part,
                });
                plain.collect()
            } else {
                ran.err
            };
            assert_quiet(&format!("{file:?} {text:?} {args:?}"), &(ran.out + &err));
        }
    }
}
