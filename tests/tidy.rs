//! The house rules, read from the source: rooms import downwards only, a third-party crate appears in
//! its rooms only, `core` and `model` see no clock and no file, files say what they are for.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Layer of each room, and the rooms of its own layer it may import all the same.
const ROOMS: &[(&str, u32, &[&str])] = &[
    ("model", 0, &[]),
    ("fault", 0, &[]),
    ("core", 1, &[]),
    ("config", 2, &[]),
    ("spec", 2, &["config"]),
    ("journal", 2, &[]),
    ("git", 2, &[]),
    ("process", 2, &[]),
    ("learnings", 2, &[]),
    ("agent", 3, &[]),
    ("gate", 3, &[]),
    ("report", 3, &[]),
    ("driver", 4, &[]),
    ("ui", 4, &[]),
    ("cli", 5, &[]),
];

/// Lower rooms that only certain rooms may import: the rest of the house does not know them.
const RESERVED: &[(&str, &[&str])] = &[
    ("process", &["agent", "gate", "driver"]),
    ("journal", &["driver", "cli"]),
    ("git", &["driver"]),
    (
        "fault",
        &[
            "journal",
            "git",
            "process",
            "learnings",
            "agent",
            "gate",
            "driver",
            "cli",
        ],
    ),
];

/// Third-party crates and the rooms they may appear in.
const CRATES: &[(&str, &[&str])] = &[
    ("petgraph", &["core/graph.rs"]),
    ("serde_yaml", &["config", "spec"]),
    ("schemars", &["config"]),
    ("rayon", &["spec", "git"]),
    ("tempfile", &["journal", "learnings", "agent", "git"]),
    ("git2", &["git"]),
    ("reflink_copy", &["git"]),
    ("nix", &["process", "driver", "fault/armed.rs"]),
    ("landlock", &["process/sandbox/rules.rs"]),
    ("tokio", &["process", "agent", "gate", "driver", "cli"]),
    ("minijinja", &["agent"]),
    ("indicatif", &["report"]),
    ("ratatui", &["ui"]),
    ("clap", &["cli"]),
    ("clap_complete", &["cli"]),
    ("clap_mangen", &["cli"]),
    ("annotate_snippets", &["cli"]),
    ("terminal_size", &["cli"]),
    ("anyhow", &["cli"]),
    ("tracing_subscriber", &["cli"]),
    ("humantime", &["config", "report"]),
    // In `agent`: CLIs say in words of the clock when a limit ends.
    ("jiff", &["learnings", "report", "driver", "agent"]),
    (
        "tracing",
        &[
            "config",
            "spec",
            "journal",
            "git",
            "process",
            "learnings",
            "agent",
            "gate",
            "report",
            "driver",
            "cli",
        ],
    ),
    ("serde", &[""]),
    ("serde_json", &[""]),
    ("thiserror", &[""]),
];

/// What `core` and `model` must never see.
const IMPURE: &[&str] = &[
    "std::fs",
    "std::io",
    "std::net",
    "std::thread",
    "std::process",
    "std::env",
    "SystemTime",
    "Instant",
    "HashMap",
    "HashSet",
    "tracing::",
    "tokio::",
];

/// Calls that change files or start processes. A function that has one passes a place of `fault`, so that tests can
/// have it fail.
const CHANGING: &[&str] = &[
    "fs::write(",
    "fs::rename(",
    "fs::remove_",
    "fs::create_dir",
    "fs::copy(",
    "fs::hard_link(",
    "File::create",
    "OpenOptions::new()",
    "DirBuilder::new()",
    "NamedTempFile::",
    "tempdir(",
    "tempfile_in(",
    " symlink(",
    "reflink_or_copy(",
    "mkfifo(",
    ".set_len(",
    ".spawn()",
];

/// Where that makes no sense.
const NO_FAULTS: &[(&str, &str)] = &[
    ("cli/", "one file that a person asked for, and is told of"),
    ("fault/", "the room itself"),
    (
        "agent/homes.rs",
        "directories that agents make themselves otherwise",
    ),
    ("git/fuzz.rs", "not part of the program"),
    (
        "journal/cache.rs",
        "a cache: whoever cannot make it, or finds it wrong, reads the journal",
    ),
    (
        "journal/mend.rs",
        "a person's command, whole at every step by links and renames",
    ),
    (
        "process/awake.rs",
        "somebody else's program, without which a run goes on",
    ),
    (
        "process/cgroup.rs",
        "the kernel's files; without them the supervisor does it all",
    ),
    (
        "process/jobserver.rs",
        "lives as long as the run, which goes on without it",
    ),
    (
        "process/sandbox/",
        "questions to the system, before anything runs",
    ),
    (
        "process/supervisor.rs",
        "a process of its own, which is killed for real",
    ),
];

const MAX_LINES: usize = 500;

struct Source {
    /// Below `src`, with `/`.
    name: String,
    /// Without unit tests and comments.
    code: Vec<(usize, String)>,
    text: String,
}

impl Source {
    fn room(&self) -> &str {
        self.name
            .split('/')
            .next()
            .unwrap_or_default()
            .trim_end_matches(".rs")
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("a directory of the project") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            found.push(path);
        }
    }
}

fn sources() -> Vec<Source> {
    let src = root().join("src");
    let mut found = Vec::new();
    files(&src, &mut found);
    found.sort();
    found
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).expect("source text");
            let name = path
                .strip_prefix(&src)
                .expect("below src")
                .to_string_lossy()
                .into_owned();
            let is_test = name.ends_with("tests.rs") || name.contains("/tests/");
            let code = text
                .lines()
                .enumerate()
                .take_while(|(_, line)| !is_test && !line.starts_with("#[cfg(test)]\nmod"))
                .take_while(|(n, line)| {
                    !(*line == "#[cfg(test)]" && next_is_inline_tests(&text, *n))
                })
                .filter(|(_, line)| !line.trim_start().starts_with("//"))
                .map(|(n, line)| (n + 1, line.to_owned()))
                .collect();
            Source { name, code, text }
        })
        .collect()
}

fn next_is_inline_tests(text: &str, line: usize) -> bool {
    text.lines()
        .nth(line + 1)
        .is_some_and(|next| next.starts_with("mod tests {"))
}

/// Whether `line` names `word` as a path: `word::` not preceded by a letter or another path.
fn names(line: &str, word: &str) -> bool {
    let path = format!("{word}::");
    line.match_indices(&path).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
    })
}

fn check(broken: &[String]) {
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

#[test]
fn imports_point_down() {
    let layer: BTreeMap<&str, u32> = ROOMS
        .iter()
        .map(|(room, layer, _)| (*room, *layer))
        .collect();
    let mut broken = Vec::new();
    for source in sources() {
        let Some((room, own, friends)) = ROOMS.iter().find(|(room, ..)| *room == source.room())
        else {
            continue;
        };
        for (n, line) in &source.code {
            for (other, other_layer) in layer.iter().filter(|(other, _)| *other != room) {
                let imports = line.contains(&format!("crate::{other}::"))
                    || line.contains(&format!("crate::{other}}}"))
                    || line.contains(&format!("crate::{other};"));
                let reserved = RESERVED.iter().find(|(name, _)| name == other);
                let reserved = reserved.is_some_and(|(_, rooms)| !rooms.contains(room));
                let down = other_layer < own || friends.contains(other);
                if imports && (!down || reserved) {
                    broken.push(format!(
                        "src/{}:{n}: `{room}` must not import `{other}`",
                        source.name
                    ));
                }
            }
        }
    }
    check(&broken);
}

#[test]
fn every_crate_stays_in_its_rooms() {
    let mut broken = Vec::new();
    let sources = sources();
    for (name, rooms) in CRATES {
        for source in &sources {
            let home = rooms.iter().any(|room| source.name.starts_with(room));
            for (n, line) in source.code.iter().filter(|_| !home) {
                if names(line, name) {
                    broken.push(format!(
                        "src/{}:{n}: `{name}` belongs in {rooms:?}; move the code there or extend the table \
                         with a reason",
                        source.name
                    ));
                }
            }
        }
    }
    check(&broken);
}

#[test]
fn every_dependency_is_used_and_in_the_table() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("Cargo.toml");
    let wanted = manifest
        .split("[dependencies]")
        .nth(1)
        .expect("dependencies");
    let wanted = wanted.split("\n[").next().expect("a section");
    let sources = sources();
    let mut broken = Vec::new();
    for line in wanted
        .lines()
        .filter(|line| line.contains('=') && !line.starts_with('#'))
    {
        let name = line
            .split('=')
            .next()
            .expect("a name")
            .trim()
            .replace('-', "_");
        if !CRATES.iter().any(|(known, _)| *known == name) {
            broken.push(format!("Cargo.toml: `{name}` has no room in tests/tidy.rs"));
        }
        let used = sources.iter().any(|s| {
            s.text
                .lines()
                .any(|line| names(line, &name) || line.contains(&format!("use {name}")))
        });
        if !used {
            broken.push(format!("Cargo.toml: `{name}` is used nowhere; take it out"));
        }
    }
    check(&broken);
}

#[test]
fn whatever_changes_files_can_be_made_to_fail() {
    let is_spared = |name: &str| NO_FAULTS.iter().any(|(place, _)| name.starts_with(place));
    let mut broken = Vec::new();
    for source in sources().iter().filter(|s| !is_spared(&s.name)) {
        let starts = |(_, line): &(usize, String)| {
            line.contains("fn ") && line.contains('(') && !line.trim_start().starts_with('|')
        };
        let mut rest = source.code.as_slice();
        while let Some(begin) = rest.iter().position(starts) {
            let body = &rest[begin..];
            let end = body[1..]
                .iter()
                .position(starts)
                .map_or(body.len(), |end| end + 1);
            let changes = body[..end]
                .iter()
                .filter(|(_, line)| !line.contains("OpenOptions::new().read(true))"))
                .find(|(_, line)| CHANGING.iter().any(|call| line.contains(call)));
            let can_fail = body[..end].iter().any(|(_, line)| line.contains("fault::"));
            if let Some((n, _)) = changes.filter(|_| !can_fail) {
                let name = &source.name;
                broken.push(format!(
                    "src/{name}:{n}: pass a place of `fault` before this"
                ));
            }
            rest = &body[end..];
        }
    }
    for (place, _) in NO_FAULTS {
        if !sources().iter().any(|s| s.name.starts_with(place)) {
            broken.push(format!(
                "tests/tidy.rs: there is no src/{place} to be spared"
            ));
        }
    }
    check(&broken);
}

#[test]
fn core_and_model_are_pure() {
    let mut broken = Vec::new();
    for source in sources()
        .iter()
        .filter(|s| ["core", "model"].contains(&s.room()))
    {
        for (n, line) in &source.code {
            for word in IMPURE.iter().filter(|word| line.contains(**word)) {
                broken.push(format!(
                    "src/{}:{n}: `{word}` does not belong here",
                    source.name
                ));
            }
        }
    }
    check(&broken);
}

#[test]
fn files_are_short_and_say_what_they_are_for() {
    let mut broken = Vec::new();
    for source in sources() {
        if !source.text.starts_with("//! ") {
            broken.push(format!(
                "src/{}:1: open with `//!` and say what the file is for",
                source.name
            ));
        }
        if source.code.last().map_or(0, |(n, _)| *n) > MAX_LINES {
            broken.push(format!(
                "src/{}: longer than {MAX_LINES} lines without tests; split it",
                source.name
            ));
        }
        for (n, line) in source.text.lines().enumerate() {
            let vague = ["Manager", "Helper", "Util"].iter().any(|word| {
                ["struct ", "enum ", "trait ", "type "].iter().any(|kind| {
                    line.trim_start_matches("pub ").starts_with(kind) && line.contains(word)
                })
            });
            if vague {
                broken.push(format!(
                    "src/{}:{}: name it after what it does",
                    source.name,
                    n + 1
                ));
            }
            let hushed = ["#[allow", "#![allow", "#[ignore"]
                .iter()
                .any(|word| line.trim_start().starts_with(word));
            if hushed {
                broken.push(format!(
                    "src/{}:{}: use #[expect(.., reason = ..)] or mend it",
                    source.name,
                    n + 1
                ));
            }
        }
    }
    check(&broken);
}

#[test]
fn the_documents_know_every_room_and_every_exit_code() {
    let read = |name: &str| fs::read_to_string(root().join(name)).expect("a document");
    let (architecture, readme) = (read("ARCHITECTURE.md"), read("README.md"));
    let mut broken = Vec::new();
    for (room, ..) in ROOMS {
        let row = architecture
            .lines()
            .find(|line| line.contains(&format!("| `{room}` |")));
        if !row.is_some_and(|row| row.contains("never")) {
            broken.push(format!(
                "ARCHITECTURE.md: `{room}` has no row that states an absence"
            ));
        }
        if !root().join(format!("src/{room}/mod.rs")).is_file() {
            broken.push(format!("`{room}` is in the table and not in src"));
        }
    }
    let codes: Vec<&str> = readme
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" |").next())
        .filter(|cell| cell.parse::<u8>().is_ok())
        .collect();
    let expected = [
        "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "130", "143",
    ];
    if codes != expected {
        broken.push(format!(
            "README.md: the table of exit codes lists {codes:?}"
        ));
    }
    if !read("CHANGELOG.md").contains("## Unreleased") {
        broken.push("CHANGELOG.md: no `## Unreleased`".to_owned());
    }
    check(&broken);
}

#[test]
fn every_command_the_readme_names_exists() {
    let readme = fs::read_to_string(root().join("README.md")).expect("README.md");
    let help = std::process::Command::new(env!("CARGO_BIN_EXE_harness"))
        .arg("--help")
        .output()
        .expect("harness");
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    let mut broken = Vec::new();
    for line in readme.lines() {
        for part in line.split("harness ").skip(1) {
            let word: String = part
                .chars()
                .take_while(|c| c.is_ascii_lowercase() || *c == '-')
                .collect();
            let is_code = line.trim_start().starts_with("harness ")
                || line.contains(&format!("`harness {word}"));
            if is_code && !word.is_empty() && !help.contains(&format!("\n  {word}")) {
                broken.push(format!(
                    "README.md names `harness {word}`, which does not exist"
                ));
            }
        }
    }
    check(&broken);
}
