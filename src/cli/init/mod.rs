//! `harness init`: looks at the checkout and writes a harness.yaml that works at once.
//!
//! It shows what it is about to write. A file that is there is only ever added to, and only with a person's consent.

mod detect;

use super::args::InitArgs;
use super::{Desk, desk::Failure, out};
use crate::agent;
use crate::config::{Kind, Profile};
use crate::driver::DriverError;
use crate::model::escaped;
use detect::Part;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::Path;

const SPEC: &str = "\
---
# All keys are optional.
# depends_on: [another-feature]
# priority: 10
---
# Say hello

Add a script `hello.sh` to the root of the repository that prints `hello`.

Done when `sh hello.sh` prints exactly that.
";

const SECTION: &str = "

## Features

Features are specified in `specs/<name>/spec.md`. When `HARNESS_OUTBOX` is set, harness has called you to work on one of
them in a git worktree of its own: do what its prompt says, change nothing outside of the worktree, and leave merging to
harness.
";

/// A file that is about to be written.
struct Draft {
    name: String,
    /// What is added; all of it, where nothing is there yet.
    text: String,
    /// Whether there is a file that this is added to.
    is_there: bool,
}

pub(super) fn init(desk: &Desk, args: &InitArgs) -> Result<u8, Failure> {
    let place = desk.place()?;
    let root = place.repo.root();
    let parts = detect::parts(root);
    let agents = agents(desk, root);
    out::out(&found(&parts, &agents));
    let drafts = drafts(root, args, &parts, &agents)?;
    for draft in &drafts {
        out::out(&shown(draft));
    }
    if args.dry_run {
        out::out("\nnothing is written: --dry-run\n");
        return Ok(0);
    }
    let asks = !args.yes && std::io::stdin().is_terminal() && out::is_terminal();
    if asks && !drafts.is_empty() && !agreed()? {
        out::out("nothing is written\n");
        return Ok(0);
    }
    for draft in &drafts {
        if draft.is_there && !args.yes && !asks {
            out::out(&format!(
                "{} is left as it is; `harness init --yes` adds to it\n",
                draft.name
            ));
            continue;
        }
        write(root, draft)?;
        out::out(&format!("wrote {}\n", draft.name));
    }
    let specs = detect::specs(root).unwrap_or_else(|| "specs".into());
    out::out(&next(&parts, &agents, &specs));
    Ok(0)
}

/// Kinds of agents whose programs are here, in the order in which harness knows them.
fn agents(desk: &Desk, root: &Path) -> Vec<Kind> {
    let path = desk.env.get(OsStr::new("PATH")).map(OsString::as_os_str);
    let kinds = Kind::ALL.into_iter().filter(|kind| *kind != Kind::Command);
    kinds
        .filter(|kind| agent::preflight(&Profile::bare(*kind), path, root).is_ok())
        .collect()
}

fn found(parts: &[Part], agents: &[Kind]) -> String {
    let mut text = String::new();
    for part in parts {
        let dir = match part.dir.as_os_str().is_empty() {
            true => String::new(),
            false => format!(" in {}", part.dir.display()),
        };
        let _ = writeln!(text, "found {}{dir}", part.what);
    }
    let names: Vec<&str> = agents.iter().map(|kind| kind.name()).collect();
    let _ = match names.is_empty() {
        true => writeln!(
            text,
            "found no agent on the PATH: install one, or name your own in harness.yaml"
        ),
        false => writeln!(text, "found agents: {}", names.join(", ")),
    };
    text
}

fn drafts(
    root: &Path,
    args: &InitArgs,
    parts: &[Part],
    agents: &[Kind],
) -> Result<Vec<Draft>, Failure> {
    let mut drafts = Vec::new();
    let is_there = |name: &str| fs::symlink_metadata(root.join(name)).is_ok();
    let mut fresh = |name: &str, text: String| {
        if is_there(name) {
            out::out(&format!("{name} is there already; left as it is\n"));
        } else {
            let (name, is_there) = (name.to_owned(), false);
            drafts.push(Draft {
                name,
                text,
                is_there,
            });
        }
    };
    let specs = detect::specs(root);
    fresh("harness.yaml", config(parts, agents, specs.as_deref()));
    if args.example {
        let dir = specs.as_deref().unwrap_or(Path::new("specs"));
        fresh(
            &format!("{}/say-hello/spec.md", dir.display()),
            SPEC.to_owned(),
        );
    }
    let missing = detect::unignored(root, parts);
    if !missing.is_empty() {
        drafts.push(added(root, ".gitignore", &(missing.join("\n") + "\n"))?);
    }
    if args.instructions {
        let name = detect::instructions(root).unwrap_or("AGENTS.md");
        let draft = added(root, name, SECTION)?;
        let known = fs::read_to_string(root.join(name)).unwrap_or_default();
        if !known.contains("HARNESS_OUTBOX") {
            drafts.push(draft);
        }
    }
    Ok(drafts)
}

/// What is added to a file, on lines of its own.
fn added(root: &Path, name: &str, text: &str) -> Result<Draft, Failure> {
    let path = root.join(name);
    let known = match fs::read_to_string(&path) {
        Ok(known) => Some(known),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(source) => {
            return Err(DriverError::Io {
                act: "read",
                path,
                source,
            }
            .into());
        }
    };
    let text = match &known {
        None => text.trim_start().to_owned(),
        Some(known) if known.is_empty() || known.ends_with('\n') => {
            text.strip_prefix('\n').unwrap_or(text).to_owned()
        }
        Some(_) => format!("\n{}", text.strip_prefix('\n').unwrap_or(text)),
    };
    Ok(Draft {
        name: name.to_owned(),
        text,
        is_there: known.is_some(),
    })
}

/// The lines that a file gains, as a diff shows them.
fn shown(draft: &Draft) -> String {
    let what = if draft.is_there {
        "added to"
    } else {
        "new file"
    };
    let mut text = format!("\n{what} {}\n", escaped(&draft.name));
    for line in draft.text.lines() {
        let _ = writeln!(text, "+ {line}");
    }
    text
}

fn agreed() -> Result<bool, Failure> {
    out::out("\nwrite this? [Y/n] ");
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    let read = read.map_err(anyhow::Error::new)?;
    let answer = answer.trim().to_lowercase();
    // The end of the input is no consent.
    Ok(read > 0 && matches!(answer.as_str(), "" | "y" | "yes"))
}

fn write(root: &Path, draft: &Draft) -> Result<(), Failure> {
    let path = root.join(&draft.name);
    let failed = |source| DriverError::Io {
        act: "write",
        path: path.clone(),
        source,
    };
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).map_err(failed)?;
    }
    let mut options = fs::OpenOptions::new();
    let options = match draft.is_there {
        true => options.append(true),
        // Not over what came meanwhile.
        false => options.write(true).create_new(true),
    };
    let mut file = options.open(&path).map_err(failed)?;
    file.write_all(draft.text.as_bytes()).map_err(failed)?;
    Ok(())
}

/// A harness.yaml of what was found.
fn config(parts: &[Part], agents: &[Kind], specs: Option<&Path>) -> String {
    let mut text = String::from(
        "# harness: every key is optional; `harness config --origin` shows what is in force.\nversion: 1\n\n\
         run:\n  parallel: auto          # agents at once: a number, or auto\n",
    );
    if let Some(dir) = specs {
        let _ = write!(
            text,
            "\nspecs:\n  dir: {}\n",
            quoted(&dir.display().to_string())
        );
    }
    match agents.first() {
        Some(Kind::Claude) => {}
        Some(kind) => {
            let name = kind.name();
            let _ = write!(text, "\nagent: {name}\nagents:\n  {name}: {{kind: {name}}}\n");
        }
        None => text.push_str(
            "\n# No agent was found; any program can be one: prompt on stdin, paths in HARNESS_*.\n# agent: mine\n\
             # agents:\n#   mine: {kind: command, command: [\"./tools/agent.sh\"], env_pass: [MY_API_KEY]}\n",
        ),
    }
    let commands = |of: fn(&Part) -> &Vec<String>| -> Vec<String> {
        let all = parts
            .iter()
            .flat_map(|part| of(part).iter().map(move |command| at(part, command)));
        all.collect()
    };
    let setup = commands(|part| &part.setup);
    if !setup.is_empty() {
        text.push_str(
            "\n# Run once in each fresh worktree, and before verify.\nworktrees:\n  setup:\n",
        );
        setup
            .iter()
            .for_each(|command| text.push_str(&item(command)));
    }
    text.push_str(
        "\n# Commands that decide whether a done claim is true, run in a clean checkout of the exact merge.\n\
         # Without any, claims are taken on trust.\nverify:\n",
    );
    let verify = commands(|part| &part.verify);
    match verify.is_empty() {
        true => text.push_str("  commands: []            # for example: [\"make test\"]\n"),
        false => {
            text.push_str("  commands:\n");
            verify
                .iter()
                .for_each(|command| text.push_str(&item(command)));
        }
    }
    text
}

fn item(command: &str) -> String {
    format!("    - {}\n", quoted(command))
}

/// As YAML reads it back: JSON's strings are YAML's.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The command where its part is.
fn at(part: &Part, command: &str) -> String {
    match part.dir.to_str() {
        Some("") | None => command.to_owned(),
        Some(dir) => format!("cd '{}' && {command}", dir.replace('\'', "'\\''")),
    }
}

fn next(parts: &[Part], agents: &[Kind], specs: &Path) -> String {
    let specs = escaped(&specs.display().to_string());
    let verify = match parts.iter().any(|part| !part.verify.is_empty()) {
        true => "verify.commands was found out: see that it is what decides",
        false => "in harness.yaml, verify.commands says how to check it",
    };
    let feature = format!(
        "one directory a feature: {specs}/<name>/spec.md says what is wanted and when it is done"
    );
    let agent = "in harness.yaml, `agent` and `agents` say who does the work, or install one of those it knows";
    let run =
        "commit, then `harness plan`, `harness run --rehearse` and `harness run --parallel 4`";
    let steps = [feature.as_str(), verify]
        .into_iter()
        .chain(agents.is_empty().then_some(agent))
        .chain([run]);
    let mut text = "\nNext:\n".to_owned();
    for (n, step) in (1..).zip(steps) {
        let _ = writeln!(text, "{n}. {step}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Sources, load};

    #[test]
    fn the_written_configuration_is_accepted_and_means_what_was_found() {
        let odd = Part {
            dir: "it's \"here\"".into(),
            what: "odd".into(),
            setup: vec!["echo 'a: b' # c".into()],
            verify: vec!["make \"x\"".into()],
            made: Vec::new(),
        };
        for (parts, agents) in [
            (Vec::new(), vec![]),
            (vec![odd], vec![Kind::Codex, Kind::Claude]),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let text = config(&parts, &agents, Some(Path::new("docs/specs")));
            fs::write(dir.path().join("harness.yaml"), text).unwrap();
            let sources = Sources {
                root: dir.path().to_owned(),
                ..Sources::default()
            };
            let loaded = load(&sources).unwrap();
            assert!(loaded.warnings.is_empty());
            let config = loaded.config;
            assert_eq!(config.specs.dir, Path::new("docs/specs"));
            if !parts.is_empty() {
                let begin = "cd 'it'\\''s \"here\"' && ";
                assert_eq!(config.agent, "codex");
                assert_eq!(config.verify.commands, [format!("{begin}make \"x\"")]);
                assert_eq!(config.worktrees.setup, [format!("{begin}echo 'a: b' # c")]);
            }
        }
    }
}
