//! `harness demo`: a scripted backlog in a repository made for it, through exactly the production path.
//!
//! Needs no account, no network and no configuration. The agent is this program again, playing a script.

use super::args::DemoArgs;
use super::desk::{self, Failure};
use super::{Desk, out, run};
use crate::config::Flags;
use crate::core::Stage;
use crate::driver::{DriverError, Place, preflight};
use crate::model::Problem;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

#[path = "../../fixtures/agents/script.rs"]
mod script;

/// What an ordinary feature's agent does: one function, one test, done.
const PLAIN: &str = include_str!("../../fixtures/demo/plain.script");
/// Features whose agents do something else.
const SPECIAL: [(&str, &str); 3] = [
    (
        "greet",
        include_str!("../../fixtures/demo/three-steps.script"),
    ),
    (
        "report",
        include_str!("../../fixtures/demo/too-early.script"),
    ),
    (
        "colours",
        include_str!("../../fixtures/demo/blocked.script"),
    ),
];

/// The backlog: name, what it depends on, what is wanted.
const BACKLOG: [(&str, &str, &str); 12] = [
    ("greet", "", "Greet somebody by name"),
    ("count", "", "Count words"),
    ("reverse", "", "Reverse a line"),
    ("upper", "", "Turn a line into upper case"),
    ("lower", "", "Turn a line into lower case"),
    ("repeat", "", "Repeat a line"),
    ("join", "greet, count", "Join lines"),
    ("title", "upper, lower", "Write a line as a title"),
    ("banner", "title, repeat", "Draw a banner"),
    ("menu", "join, banner", "Show a menu"),
    ("report", "count", "Report on a file"),
    ("colours", "", "Use the house colours"),
];

const TESTS: &str = "#!/bin/sh
# Runs every test of the toolbox; the gate of this demo.
set -e
cd \"$(dirname \"$0\")/..\"
for test in tests/*.test.sh; do
    [ -e \"$test\" ] || continue
    sh \"$test\" || { echo \"$test failed\"; exit 1; }
done
";

pub(super) fn demo(desk: &Desk, args: &DemoArgs) -> Result<u8, Failure> {
    let root = make_repository().map_err(|error| Failure::from(error.context("no demo")))?;
    out::out(&format!(
        "A backlog of {} features in {}, {} agents at once:\n\n",
        BACKLOG.len(),
        root.display(),
        args.parallel
    ));
    let place = Place::find(&root)?;
    let flags = Flags {
        parallel: Some(args.parallel.to_string()),
        ..Flags::default()
    };
    // The user's own variables (PARALLEL, ONLY) are not meant for the demo.
    let loaded = place.config(None, BTreeMap::new(), flags)?;
    desk::show(&loaded.warnings, desk.colour);
    let ready = preflight(place.clone(), loaded.config, desk.env.clone())?;
    let outcome = run::play(desk, ready)?;
    run::show_end(desk, &outcome, &place.state_dir);
    out::out("\ngit log --graph --oneline:\n\n");
    let graph = git(&root, &["log", "--graph", "--oneline", "--decorate=no"]);
    out::out(&graph.map_err(Failure::from)?);
    let shown = root.display();
    let harness = std::env::current_exe().map_or_else(
        |_| "harness".to_owned(),
        |program| format!("'{}'", program.display()),
    );
    out::out(&format!(
        "\nLook around:\n  {harness} -C '{shown}' status\n  {harness} -C '{shown}' logs report\n  \
         cat '{shown}/.harness/learnings.md'\nand answer the blocked one:\n  \
         {harness} -C '{shown}' unblock colours -m 'blue and white'\n  {harness} -C '{shown}' run\n"
    ));
    let merged = outcome
        .view
        .features
        .iter()
        .filter(|feature| feature.stage == Stage::Merged)
        .count();
    if outcome.code == 4 && merged == BACKLOG.len() - 1 {
        return Ok(0);
    }
    let text = format!(
        "the demo did not go as scripted: exit code {}, {merged} features merged",
        outcome.code
    );
    desk::show(
        &[Problem::error(text).help("the run's log above says what happened; please report it")],
        desk.colour,
    );
    Ok(1)
}

/// Plays the agent's part; called by harness like any other agent.
pub(super) fn agent() -> u8 {
    let context = match script::Context::from_env() {
        Ok(context) => context,
        Err(problem) => {
            out::err(&format!("demo agent: {problem}\n"));
            return u8::try_from(script::BAD_SCRIPT).unwrap_or(1);
        }
    };
    let special = SPECIAL
        .iter()
        .find(|(name, _)| *name == context.feature)
        .map(|(_, text)| *text);
    let code = script::play(special.unwrap_or(PLAIN), &context);
    u8::try_from(code).unwrap_or(1)
}

fn make_repository() -> anyhow::Result<PathBuf> {
    let base = std::fs::canonicalize(std::env::temp_dir())?;
    let mut number = std::process::id();
    // Somebody else's directory is never used: `create_dir` fails on one that exists.
    let home = loop {
        let candidate = base.join(format!("harness-demo-{number}"));
        match std::fs::create_dir(&candidate) {
            Ok(()) => break candidate,
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                number = number.wrapping_add(1);
            }
            Err(error) => return Err(error.into()),
        }
    };
    let root = home.join("toolbox");
    for (slug, needs, title) in BACKLOG {
        let front = match needs {
            "" => String::new(),
            needs => format!("---\ndepends_on: [{needs}]\n---\n"),
        };
        let text = format!(
            "{front}# {title}\n\nAdd `lib/{slug}.sh` with a function `{slug}`, and `tests/{slug}.test.sh`, which tests it.\n"
        );
        write(&root, &format!("specs/{slug}/spec.md"), &text)?;
    }
    write(&root, "tests/run.sh", TESTS)?;
    write(&root, "README.md", "# Toolbox\n\nSmall shell functions.\n")?;
    write(&root, "harness.yaml", &configuration()?)?;
    git(&root, &["init", "-q", "-b", "main", "."])?;
    git(&root, &["add", "-A"])?;
    git(
        &root,
        &["commit", "-q", "-m", "An empty toolbox and twelve specs"],
    )?;
    Ok(root)
}

fn configuration() -> anyhow::Result<String> {
    let program = serde_json::to_string(&std::env::current_exe()?)?;
    Ok(format!(
        "version: 1\nagent: scripted\nagents:\n  scripted: {{kind: command, command: [{program}, demo-agent]}}\n\
         verify:\n  commands: [sh tests/run.sh]\nworktrees: {{min_free: 0}}\n"
    ))
}

fn write(root: &Path, name: &str, text: &str) -> std::io::Result<()> {
    let path = root.join(name);
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir)?;
    }
    std::fs::write(path, text)
}

/// Runs git in the demo's own repository, deaf to the user's configuration.
fn git(root: &Path, args: &[&str]) -> anyhow::Result<String> {
    let output = Command::new("git")
        .current_dir(root)
        .args([
            "-c",
            "commit.gpgSign=false",
            "-c",
            "core.hooksPath=/dev/null",
        ])
        .args(args)
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .env_remove("GIT_INDEX_FILE")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_AUTHOR_NAME", "harness demo")
        .env("GIT_AUTHOR_EMAIL", "demo@localhost")
        .env("GIT_COMMITTER_NAME", "harness demo")
        .env("GIT_COMMITTER_EMAIL", "demo@localhost")
        .output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(DriverError::Io {
            act: "run git in",
            path: root.to_owned(),
            source: std::io::Error::other(said),
        }
        .into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
