//! What the documents say can be done: every command block of the README runs, every piece of configuration is taken, every
//! command and option that is named anywhere exists, and so does every file.
//!
//! A command of the README that is not in the tables here fails: who writes one says in which state it is typed.

#![cfg(feature = "fake-agent")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use support::{Ran, Site};

const DOCUMENTS: [&str; 5] = [
    "README.md",
    "ARCHITECTURE.md",
    "SECURITY.md",
    "CHANGELOG.md",
    "harness.yaml.example",
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn document(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap()
}

/// A block of a document: its language, and the heading that it stands under.
struct Block {
    heading: String,
    language: String,
    text: String,
}

fn blocks(document: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut heading = String::new();
    let mut open: Option<Block> = None;
    for line in document.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(language)) => {
                open = Some(Block {
                    heading: heading.clone(),
                    language: language.to_owned(),
                    text: String::new(),
                });
            }
            (Some(_), Some(_)) => found.extend(open.take()),
            (Some(block), None) => block.text += &format!("{line}\n"),
            (None, None) => {
                if let Some(title) = line.strip_prefix("## ") {
                    title.clone_into(&mut heading);
                }
            }
        }
    }
    assert!(open.is_none(), "a block that does not end");
    found
}

/// Lines of a block without what is said about them.
fn lines(block: &str) -> impl Iterator<Item = &str> {
    block.lines().map(|line| {
        let comment = line.find("  #").unwrap_or(line.len());
        line[..comment].trim_end()
    })
}

/// A program called `claude` that writes the file which the feature is named after, and says that it is done.
fn put_claude(site: &Site) {
    let text = "#!/bin/sh\n[ \"$1\" = --version ] && echo '2.1.330 (Claude Code)' && exit\ncat > \"$HARNESS_OUTBOX/prompt\"\n\
        echo \"$HARNESS_FEATURE\" > \"$HARNESS_FEATURE.txt\"\necho 'wrote what was asked for' > \"$HARNESS_OUTBOX/note.md\"\n\
        echo 'finished' > \"$HARNESS_OUTBOX/done\"\n\
        echo '{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":false,\"num_turns\":1,\"result\":\"done\"}'\n";
    put(site, "claude", text);
}

fn put(site: &Site, name: &str, text: &str) {
    let path = site.path("bin").join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// A repository that is called as in the README, `harness` on the PATH, and a program that stands for the agent.
fn newcomer() -> Site {
    let site = Site::new();
    symlink(env!("CARGO_BIN_EXE_harness"), site.path("bin/harness")).unwrap();
    symlink(&site.repo, site.path("your-repository")).unwrap();
    put_claude(&site);
    // The project's own tests.
    put(&site, "cargo", "#!/bin/sh\ntest \"$*\" = 'test --quiet'\n");
    site
}

fn ok(ran: &Ran, what: &str) {
    assert_eq!(ran.code, Some(0), "{what}\n{}{}", ran.out, ran.err);
}

#[test]
fn the_first_two_commands_are_the_demo_and_the_tests() {
    let readme = document("README.md");
    let block = &blocks(&readme)[0];
    assert_eq!(block.heading, "Two commands");
    let told: Vec<&str> = lines(&block.text).collect();
    let demo = "cargo run --release -- demo";
    assert_eq!(told, [demo, "cargo test --features fake-agent"]);
    // The first as it is, but for the building; the second is what runs this.
    let args: Vec<&str> = demo.split(' ').skip(4).collect();
    let site = Site::bare_dir();
    let ran = site.harness_in(&site.path("home"), &args);
    ok(&ran, demo);
    assert!(ran.out.contains("* "), "no graph of merges: {}", ran.out);
}

/// Everything up to and with the run, as it is typed, with the configuration as it is shown.
fn five_minutes(site: &Site) {
    let readme = document("README.md");
    let all = blocks(&readme);
    let mine = all
        .iter()
        .filter(|block| block.heading.starts_with("Five minutes"));
    let mut dir = site.path("");
    for block in mine {
        match block.language.as_str() {
            "sh" if block.text.contains("harness status") => break,
            "sh" => {
                ok(&site.sh(&dir, &block.text), &block.text);
                dir.clone_from(&site.repo);
            }
            "yaml" if block.text.starts_with("verify:") => {
                let path = site.repo.join("harness.yaml");
                let config = fs::read_to_string(&path).unwrap();
                fs::write(&path, with_keys(&config, &block.text)).unwrap();
            }
            "yaml" => {}
            other => panic!("a block in `{other}`"),
        }
    }
}

/// A configuration as a person has it who writes these keys in: what it had of them before is gone.
fn with_keys(config: &str, more: &str) -> String {
    let keys: Vec<&str> = more
        .lines()
        .filter(|line| !line.starts_with([' ', '#']))
        .collect();
    let keys: Vec<&str> = keys
        .iter()
        .filter_map(|line| line.split_once(':'))
        .map(|(key, _)| key)
        .collect();
    let mut text = String::new();
    let mut drops = false;
    for line in config.lines() {
        if !line.starts_with([' ', '#']) && !line.is_empty() {
            let key = line.split_once(':').map(|(key, _)| key);
            drops = key.is_some_and(|key| keys.contains(&key));
        }
        if !drops {
            text += &format!("{line}\n");
        }
    }
    text + more
}

#[test]
fn the_five_minutes_end_with_features_that_have_landed() {
    let site = newcomer();
    five_minutes(&site);
    let ran = site.harness(&["status", "--json"]);
    ok(&ran, "status");
    let status: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let features = status["features"].as_array().unwrap();
    let stages: Vec<(&str, &str)> = features
        .iter()
        .map(|it| (it["slug"].as_str().unwrap(), it["stage"].as_str().unwrap()))
        .collect();
    assert_eq!(stages, [("login", "merged"), ("profile", "merged")]);
    assert!(site.repo.join("login.txt").exists());
}

/// In which state a command is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// All has landed.
    Landed,
    /// `login` is blocked.
    Blocked,
    /// `login` has tripped.
    Tripped,
    /// `login` waits for a review.
    Review,
}

/// The commands that the README names for a look from another terminal or after the run: when each is typed.
const LOOKS: &[(&str, When)] = &[
    ("harness status", When::Landed),
    ("harness logs login -f", When::Landed),
    ("harness why login", When::Blocked),
    ("harness graph", When::Blocked),
    ("harness queue", When::Blocked),
    ("harness conflicts", When::Blocked),
    ("harness recover login", When::Blocked),
    ("harness unblock login -m \"use argon2\"", When::Blocked),
    ("harness retry login", When::Tripped),
    ("harness skip login -m \"not tonight\"", When::Tripped),
    ("harness approve login", When::Review),
    ("harness undo profile --requeue", When::Landed),
    ("harness pause; harness resume", When::Landed),
    ("harness report", When::Landed),
    ("harness runs", When::Landed),
    ("harness clean", When::Landed),
    ("harness doctor", When::Landed),
];

fn state(when: When) -> Site {
    let site = newcomer();
    if when == When::Landed {
        five_minutes(&site);
        return site;
    }
    let (script, code) = match when {
        When::Blocked => (
            "write a.txt \"a\\n\"\nnote \"as far as I can\"\nblock \"which hash?\"\n",
            Some(4),
        ),
        When::Review => (
            "write a.txt \"a\\n\"\nnote \"as far as I can\"\ndone \"login works\"\n",
            Some(8),
        ),
        _ => ("note \"nothing yet\"\n", Some(5)),
    };
    site.config("breakers: {stuck: {limit: 1, min_bytes: 1000}}");
    let front = match when {
        When::Review => "review: true",
        _ => "",
    };
    site.spec("login", front);
    site.script("login", script);
    site.commit("specs");
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, code, "{when:?}: {}{}", ran.out, ran.err);
    site
}

#[test]
fn commands_for_a_look_do_what_they_are_named_for() {
    let readme = document("README.md");
    let all = blocks(&readme);
    let block = all
        .iter()
        .find(|block| block.text.starts_with("harness status"));
    let told: Vec<&str> = lines(&block.unwrap().text).collect();
    for line in &told {
        let (_, when) = LOOKS
            .iter()
            .find(|(command, _)| command == line)
            .unwrap_or_else(|| {
                panic!("`{line}` is not in the table of this test");
            });
        let site = state(*when);
        ok(&site.sh(&site.repo, line), line);
    }
    for (command, _) in LOOKS {
        assert!(
            told.contains(command),
            "`{command}` is no longer in the README"
        );
    }
}

/// Pieces of text that a document sets as code, blocks left out.
fn spans(document: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut in_block = false;
    let mut text = String::new();
    for line in document.lines() {
        match line.starts_with("```") {
            true => in_block = !in_block,
            false if in_block => {}
            false => text += &format!("{line}\n"),
        }
    }
    for (n, piece) in text.split('`').enumerate() {
        // A span may go on in the next line.
        if n % 2 == 1 {
            found.insert(piece.split_whitespace().collect::<Vec<_>>().join(" "));
        }
    }
    found
}

/// Every span and every line of a command block, with the document that it stands in.
fn said() -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    for name in DOCUMENTS {
        let text = document(name);
        found.extend(spans(&text).into_iter().map(|span| (name, span)));
        for block in blocks(&text).iter().filter(|block| block.language == "sh") {
            found.extend(lines(&block.text).map(|line| (name, line.to_owned())));
        }
    }
    found
}

/// What is taken only beside something else.
const WITH: [(&str, &str); 1] = [("limits.on_limit: switch", "fallback: [codex]")];

#[test]
fn every_piece_of_configuration_is_taken() {
    let site = Site::new();
    let mut checked = 0;
    let mut check = |text: &str| {
        site.write("harness.yaml", &format!("version: 1\n{text}\n"));
        ok(&site.harness(&["config"]), text);
        checked += 1;
    };
    for block in blocks(&document("README.md")) {
        if block.language == "yaml" {
            check(&block.text);
        }
    }
    let keys = known_keys();
    for (_, span) in said() {
        let Some((key, value)) = span.split_once(": ") else {
            continue;
        };
        let top = key.split('.').next().unwrap();
        // `<name>` stands for any name, `…` for something that is not worth saying there.
        if keys
            .iter()
            .any(|known| known.split('.').next() == Some(top))
            && !span.contains(['<', '…'])
        {
            let depth = key.split('.').count() - 1;
            let nested: String = key.split('.').map(|part| format!("{{{part}: ")).collect();
            let more = WITH.iter().find(|(with, _)| *with == span);
            let more = more.map_or("", |(_, more)| more);
            check(&format!(
                "{}{value}{}\n{more}",
                &nested[1..],
                "}".repeat(depth)
            ));
        }
    }
    assert!(checked > 5, "{checked}");
}

/// Every key that can be in harness.yaml, as `harness config` prints them.
fn known_keys() -> BTreeSet<String> {
    let site = Site::new();
    let ran = site.harness(&["config", "--origin"]);
    ok(&ran, "config --origin");
    let mut keys = BTreeSet::new();
    let mut open: Vec<(usize, String)> = Vec::new();
    for line in ran.out.lines() {
        let bare = line.trim_start();
        let depth = line.len() - bare.len();
        let Some((key, _)) = bare.split_once(':') else {
            continue;
        };
        open.retain(|(at, _)| *at < depth);
        open.push((depth, key.to_owned()));
        let path: Vec<&str> = open.iter().map(|(_, key)| key.as_str()).collect();
        keys.insert(path.join("."));
    }
    assert!(keys.contains("run.parallel"), "{}", ran.out);
    keys
}

#[test]
fn every_command_and_option_that_is_named_exists() {
    let site = Site::new();
    let mut help: BTreeMap<String, String> = BTreeMap::new();
    let mut missing = Vec::new();
    for (document, said) in said() {
        for typed in said.split(';').map(str::trim) {
            let Some(rest) = typed.strip_prefix("harness ") else {
                continue;
            };
            let mut words = rest.split(' ');
            let command = words.next().unwrap();
            // `harness: …` is what it prints.
            if !command.starts_with(|c: char| c.is_ascii_lowercase()) {
                continue;
            }
            if command == "help" {
                ok(&site.harness(&rest.split(' ').collect::<Vec<_>>()), typed);
                continue;
            }
            let known = help.entry(command.to_owned()).or_insert_with(|| {
                let ran = site.harness(&[command, "--help"]);
                if ran.code == Some(0) {
                    ran.out
                } else {
                    String::new()
                }
            });
            if known.is_empty() {
                missing.push(format!("{document}: `harness {command}`"));
            }
            for option in words.filter(|word| word.starts_with('-')) {
                let option = option.split(['=', ',']).next().unwrap();
                let has = known
                    .split([' ', ',', '[', '\n', '='])
                    .any(|word| word == option);
                if !has {
                    missing.push(format!("{document}: `{option}` in `{typed}`"));
                }
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
    assert!(help.len() > 10, "{help:?}");
}

#[test]
fn every_file_of_the_project_that_is_named_is_there() {
    let mut missing = Vec::new();
    let mut count = 0;
    for (document, said) in said() {
        let word = said.split(' ').next().unwrap();
        let is_ours = ["src/", "tests/", "scripts/", "fixtures/", "fuzz/"];
        if is_ours.iter().any(|dir| word.starts_with(dir)) && !word.contains(['*', '<']) {
            // The files that a user has.
            let theirs = ["scripts/feature-order.txt"];
            count += 1;
            if !theirs.contains(&word)
                && !root().join(word).exists()
                && !root().join(format!("{word}.rs")).exists()
            {
                missing.push(format!("{document}: {word}"));
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
    assert!(count > 20, "{count}");
}
