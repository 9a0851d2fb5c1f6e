//! `harness init`: looks at the checkout and writes a harness.yaml that works at once.
//!
//! It shows what it is about to write. A file that is there is only ever added to, and only with a person's consent.

mod detect;
mod ignore;
mod write;

use super::args::InitArgs;
use super::{Desk, desk::Failure, out};
use crate::agent;
use crate::config::{Kind, Profile};
use crate::driver::{DriverError, Place};
use crate::model::{Problem, escaped};
use crate::report::shell_word;
use detect::{Checkout, Part, Specs};
use ignore::Lacking;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, IsTerminal as _};
use std::path::Path;
use write::Draft;

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

Features are specified in `{specs}/<name>/spec.md`. When `HARNESS_OUTBOX` is set, harness has called you to work on one of
them in a git worktree of its own: do what its prompt says, change nothing outside of the worktree, and leave merging to
harness.
";

pub(super) fn init(desk: &Desk, args: &InitArgs) -> Result<u8, Failure> {
    let place = desk.place()?;
    let root = place.repo.root();
    let file = config_file(desk, root)?;
    if place.repo.is_entered_by_link() {
        out::out(&format!(
            "this is a linked worktree; what counts is the main checkout, {}\n",
            escaped(&root.display().to_string())
        ));
    }
    let found = look(desk, &place)?;
    out::out(&told(&found));
    let drafts = drafts(&place, args, &found, &file)?;
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
    let (drafts, left): (Vec<Draft>, Vec<Draft>) = drafts
        .into_iter()
        .partition(|draft| !draft.is_there || args.yes || asks);
    for draft in left {
        out::out(&format!(
            "{} is left as it is; `harness init --yes` adds to it\n",
            escaped(&draft.name)
        ));
    }
    for draft in write::write(root, &drafts)? {
        out::out(&format!("wrote {}\n", escaped(&draft.name)));
    }
    out::out(&next(&found, &file));
    Ok(0)
}

/// What was found.
struct Found {
    parts: Vec<Part>,
    /// Kinds of agents whose programs are here, in the order in which harness knows them.
    agents: Vec<Kind>,
    /// Where specs are, if not in the usual place.
    specs: Option<Specs>,
    /// The file that tells agents about the project.
    instructions: Option<&'static str>,
}

impl Found {
    /// Where specs are; where nothing else was found, in the usual place.
    fn specs_dir(&self) -> &Path {
        let found = self.specs.as_ref();
        found.map_or(Path::new("specs"), |specs| &specs.dir)
    }
}

fn look(desk: &Desk, place: &Place) -> Result<Found, DriverError> {
    let root = place.repo.root();
    let checkout = Checkout::new(root, place.repo.ignored()?);
    Ok(Found {
        parts: detect::parts(&checkout),
        agents: agents(desk, root),
        specs: detect::specs(&checkout),
        instructions: detect::instructions(&checkout),
    })
}

fn agents(desk: &Desk, root: &Path) -> Vec<Kind> {
    let path = desk.env.get(OsStr::new("PATH")).map(OsString::as_os_str);
    let kinds = Kind::ALL.into_iter().filter(|kind| *kind != Kind::Command);
    kinds
        .filter(|kind| agent::preflight(&Profile::bare(*kind), path, root).is_ok())
        .collect()
}

fn told(found: &Found) -> String {
    let mut text = String::new();
    for part in &found.parts {
        let _ = writeln!(text, "found {}", named(part));
    }
    let names: Vec<&str> = found.agents.iter().map(|kind| kind.name()).collect();
    let _ = match names.is_empty() {
        true => writeln!(
            text,
            "found no agent on the PATH: install one, or name your own in harness.yaml"
        ),
        false => writeln!(text, "found agents: {}", names.join(", ")),
    };
    text
}

/// What a part is, and where.
fn named(part: &Part) -> String {
    match part.dir.as_os_str().is_empty() {
        true => part.what.clone(),
        false => format!("{} in {}", part.what, part.dir.display()),
    }
}

/// Where the configuration is to stand, as seen from the root.
fn config_file(desk: &Desk, root: &Path) -> Result<String, Failure> {
    let Some(file) = &desk.config_file else {
        return Ok("harness.yaml".to_owned());
    };
    let path = std::path::absolute(file).map_err(anyhow::Error::new)?;
    let path = path.strip_prefix(root).unwrap_or(&path);
    match path.to_str() {
        Some(path) => Ok(path.to_owned()),
        None => Err(Problem::error("the name of the configuration file is not UTF-8").into()),
    }
}

fn drafts(
    place: &Place,
    args: &InitArgs,
    found: &Found,
    file: &str,
) -> Result<Vec<Draft>, Failure> {
    let root = place.repo.root();
    let mut drafts = Vec::new();
    let mut fresh = |name: &str, text: String| {
        if fs::symlink_metadata(root.join(name)).is_ok() {
            let name = escaped(name);
            out::out(&format!("{name} is there already; left as it is\n"));
        } else {
            drafts.push(Draft::fresh(name, text));
        }
    };
    let dir = found.specs_dir();
    fresh(file, config(found));
    if args.example {
        fresh(
            &format!("{}/say-hello/spec.md", dir.display()),
            SPEC.to_owned(),
        );
    }
    let lacking = ignore::lacking(place, &found.parts)?;
    out::out(&kept(&lacking));
    if !lacking.lines.is_empty() {
        let text = lacking.lines.join("\n") + "\n";
        drafts.push(Draft::added(root, ".gitignore", &text)?);
    }
    if args.instructions {
        let name = found.instructions.unwrap_or("AGENTS.md");
        let section = SECTION.replace("{specs}", &dir.display().to_string());
        let draft = Draft::added(root, name, &section)?;
        let known = fs::read(root.join(name)).unwrap_or_default();
        if !String::from_utf8_lossy(&known).contains("HARNESS_OUTBOX") {
            drafts.push(draft);
        }
    }
    Ok(drafts)
}

/// What a person should know about the lines of `.gitignore`.
fn kept(lacking: &Lacking) -> String {
    let mut text = String::new();
    for (line, file) in &lacking.refused {
        let (line, file) = (escaped(line), escaped(&file.display().to_string()));
        let _ = writeln!(
            text,
            "not added to .gitignore: {line}, since {file} is tracked"
        );
    }
    for lock in lacking.lines.iter().filter(|line| !line.ends_with('/')) {
        let _ = writeln!(
            text,
            "{} is not committed, so each feature would bring its own: it is ignored until you commit one and take the \
             line out of .gitignore",
            escaped(lock.trim_start_matches('/'))
        );
    }
    text
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

/// A harness.yaml of what was found.
fn config(found: &Found) -> String {
    let mut text = String::from(
        "# harness: every key is optional; `harness config --origin` shows what is in force.\nversion: 1\n\n\
         run:\n  parallel: auto          # agents at once: a number, or auto\n",
    );
    if let Some(specs) = &found.specs {
        if let Some(line) = specs.why {
            let _ = write!(text, "\n# {line}");
        }
        let dir = quoted(&specs.dir.display().to_string());
        let _ = write!(text, "\nspecs:\n  dir: {dir}\n");
    }
    match found.agents.first() {
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
        let parts = found.parts.iter();
        let all = parts.flat_map(|part| of(part).iter().map(move |command| at(part, command)));
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
    found
        .parts
        .iter()
        .for_each(|part| text.push_str(&lacks(part)));
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

/// Comments on the checks that a part has not.
fn lacks(part: &Part) -> String {
    let mut text = String::new();
    for lack in &part.lacks {
        // A name may hold what would end the comment.
        let (name, command) = (escaped(&named(part)), quoted(&at(part, &lack.command)));
        let _ = write!(
            text,
            "  # {name}: {},\n  # then add the command {command}.\n",
            lack.why
        );
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
        Some(dir) => format!("cd {} && {command}", shell_word(dir)),
    }
}

fn next(found: &Found, file: &str) -> String {
    let specs = escaped(&found.specs_dir().display().to_string());
    let verify = match found.parts.iter().any(|part| !part.verify.is_empty()) {
        true => "verify.commands was found out: see that it is what decides".to_owned(),
        false => format!("in {}, verify.commands says how to check it", escaped(file)),
    };
    let feature = format!(
        "one directory a feature: {specs}/<name>/spec.md says what is wanted and when it is done"
    );
    let agent = format!(
        "in {}, `agent` and `agents` say who does the work, or install one of those it knows",
        escaped(file)
    );
    let run =
        "commit, then `harness plan`, `harness run --rehearse` and `harness run --parallel 4`";
    let steps = [feature, verify]
        .into_iter()
        .chain(found.agents.is_empty().then_some(agent))
        .chain([run.to_owned()]);
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
            dir: "it's \"here\"\nand: there".into(),
            what: "odd".into(),
            setup: vec!["echo 'a: b' # c".into()],
            verify: vec!["make \"x\"".into()],
            lacks: vec![detect::Lack {
                why: "no tests yet".into(),
                command: "test \"x\"".into(),
            }],
            made: Vec::new(),
        };
        for (parts, agents) in [
            (Vec::new(), vec![]),
            (vec![odd], vec![Kind::Codex, Kind::Claude]),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let specs = Specs {
                dir: "docs/specs".into(),
                why: Some("because: # it is so"),
            };
            let found = Found {
                parts,
                agents,
                specs: Some(specs),
                instructions: None,
            };
            fs::write(dir.path().join("harness.yaml"), config(&found)).unwrap();
            let sources = Sources {
                root: dir.path().to_owned(),
                ..Sources::default()
            };
            let loaded = load(&sources).unwrap();
            assert!(loaded.warnings.is_empty());
            let config = loaded.config;
            assert_eq!(config.specs.dir, Path::new("docs/specs"));
            if !found.parts.is_empty() {
                let begin = "cd 'it'\\''s \"here\"\nand: there' && ";
                assert_eq!(config.agent, "codex");
                assert_eq!(config.verify.commands, [format!("{begin}make \"x\"")]);
                assert_eq!(config.worktrees.setup, [format!("{begin}echo 'a: b' # c")]);
            }
        }
    }
}
