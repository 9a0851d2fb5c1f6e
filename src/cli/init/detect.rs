//! What stands in a checkout: how it is built and checked, where specs are, what agents are told.
//!
//! It reads names of files and a few of them, runs nothing, and never writes. What it cannot know it leaves out.

mod node;
mod python;
mod script;
mod specs;

use node::node;
use python::python;
pub(super) use specs::{Specs, specs};

use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// How deep the parts of a repository are looked for.
const DEPTH: usize = 2;
/// Directories that hold what others wrote, or what was made.
const NOT_OURS: &[&str] = &["node_modules", "target", "vendor", "dist", "build", "venv"];
/// The longest file that is read.
const MOST_BYTES: u64 = 1 << 20;

/// The checkout that is looked at. What git ignores in it is none of the project's: no other checkout has it.
pub(super) struct Checkout {
    root: PathBuf,
    /// Files and directories below the root.
    ignored: BTreeSet<PathBuf>,
}

impl Checkout {
    pub(super) fn new(root: &Path, ignored: BTreeSet<PathBuf>) -> Self {
        Self {
            root: root.to_owned(),
            ignored,
        }
    }

    /// Whether what stands there is of the project.
    fn has(&self, path: &Path) -> bool {
        !path.ancestors().any(|above| self.ignored.contains(above))
    }

    /// Names of what stands in a directory, files or directories.
    fn names(&self, dir: &Path, dirs: bool) -> Vec<String> {
        let entries = fs::read_dir(self.root.join(dir));
        let entries = entries.into_iter().flatten().flatten();
        let wanted = entries.filter(|entry| {
            let kind = entry.file_type();
            kind.is_ok_and(|kind| kind.is_dir() == dirs) && self.has(&dir.join(entry.file_name()))
        });
        let names = wanted.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    /// Directories below one, those above first.
    fn directories(&self, dir: &Path, depth: usize) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut level = vec![dir.to_owned()];
        for _ in 0..depth {
            let mut next = Vec::new();
            for dir in &level {
                let names = self.names(dir, true).into_iter();
                let ours =
                    names.filter(|name| !name.starts_with('.') && !NOT_OURS.contains(&&**name));
                next.extend(ours.map(|name| dir.join(name)));
            }
            found.extend(next.iter().cloned());
            level = next;
        }
        found
    }
}

/// What one part of the repository needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Part {
    /// Below the root; empty: the root itself.
    pub(super) dir: PathBuf,
    /// What it is, for people: `Rust (Cargo.toml)`.
    pub(super) what: String,
    /// Commands that make a fresh checkout ready.
    pub(super) setup: Vec<String>,
    /// Commands that check it.
    pub(super) verify: Vec<String>,
    /// Checks that it has not, or that cannot be had as they are.
    pub(super) lacks: Vec<Lack>,
    /// What those make, and git should ignore.
    pub(super) made: Vec<Made>,
}

/// A check that is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lack {
    /// Why, and what is to be done first.
    pub(super) why: String,
    /// The command that checks it then.
    pub(super) command: String,
}

/// Something that is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Made {
    /// Where, below the root.
    pub(super) dir: PathBuf,
    /// Its name on a line of `.gitignore`; `**/` before it: at any depth.
    pub(super) name: &'static str,
}

/// Every part that says how it is checked: the root, and those below it that it does not speak for.
pub(super) fn parts(checkout: &Checkout) -> Vec<Part> {
    let root = Path::new("");
    let mut parts = of_dir(checkout, root);
    let speaks_for_all = parts.iter().any(|part| !part.verify.is_empty());
    if !speaks_for_all {
        for dir in checkout.directories(root, DEPTH) {
            // A part of a part is that one's business.
            if !parts
                .iter()
                .any(|part| !part.dir.as_os_str().is_empty() && dir.starts_with(&part.dir))
            {
                parts.extend(of_dir(checkout, &dir));
            }
        }
    }
    parts
}

/// What one directory is. A Makefile that names a check is the project's own word and counts before the language's.
fn of_dir(checkout: &Checkout, dir: &Path) -> Vec<Part> {
    let here = Here { checkout, dir };
    let looks: [fn(&Here<'_>) -> Option<Part>; 10] =
        [rust, node, deno, python, go, jvm, ruby, elixir, dotnet, php];
    let mut parts: Vec<Part> = looks.iter().filter_map(|look| look(&here)).collect();
    if let Some((what, command)) = own_word(&here) {
        for part in &mut parts {
            part.verify.clear();
            part.lacks.clear();
        }
        match parts.first_mut() {
            Some(first) => {
                first.what = format!("{}, {what}", first.what);
                first.verify.push(command);
            }
            None => parts.push(part(what, &[], &[&command], &[])),
        }
    }
    for part in &mut parts {
        part.dir = dir.to_owned();
        for made in &mut part.made {
            made.dir = dir.components().chain(made.dir.components()).collect();
        }
    }
    parts
}

fn part(what: impl Into<String>, setup: &[&str], verify: &[&str], made: &[&'static str]) -> Part {
    let owned = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect();
    let made = made.iter().map(|name| Made {
        dir: PathBuf::new(),
        name,
    });
    Part {
        dir: PathBuf::new(),
        what: what.into(),
        setup: owned(setup),
        verify: owned(verify),
        lacks: Vec::new(),
        made: made.collect(),
    }
}

/// One directory.
#[derive(Clone, Copy)]
struct Here<'a> {
    checkout: &'a Checkout,
    /// Below the root.
    dir: &'a Path,
}

impl Here<'_> {
    fn path(&self, name: &str) -> PathBuf {
        self.checkout.root.join(self.dir).join(name)
    }

    fn has(&self, name: &str) -> bool {
        self.path(name).is_file() && self.checkout.has(&self.dir.join(name))
    }

    fn has_dir(&self, name: &str) -> bool {
        self.path(name).is_dir() && self.checkout.has(&self.dir.join(name))
    }

    fn first<'n>(&self, names: &[&'n str]) -> Option<&'n str> {
        names.iter().copied().find(|name| self.has(name))
    }

    fn text(&self, name: &str) -> String {
        let path = self.path(name);
        let is_short = |meta: &fs::Metadata| meta.len() <= MOST_BYTES;
        let fits = self.has(name) && fs::metadata(&path).as_ref().is_ok_and(is_short);
        let text = fits.then(|| fs::read_to_string(path).ok()).flatten();
        text.unwrap_or_default()
    }

    /// A lock that is not there: making ready writes one, and each feature would bring its own.
    fn lacks(&self, lock: &'static str) -> Option<&'static str> {
        (!self.has(lock)).then_some(lock)
    }

    /// Whether a file here is named so, or ends so.
    fn has_any(&self, endings: &[&str]) -> bool {
        let names = self.checkout.names(self.dir, false);
        let is_one = |name: &String| endings.iter().any(|ending| name.ends_with(ending));
        names.iter().any(is_one)
    }

    /// This directory and those below it, as seen from here.
    fn directories(&self, depth: usize) -> impl Iterator<Item = PathBuf> {
        let below = self.checkout.directories(self.dir, depth).into_iter();
        let below = below.filter_map(|dir| Some(dir.strip_prefix(self.dir).ok()?.to_owned()));
        std::iter::once(PathBuf::new()).chain(below)
    }

    /// What is made in each project that stands here or below: where there is such a file.
    fn in_projects(&self, files: &[&str], made: &[&'static str]) -> Vec<Made> {
        let projects = self.directories(DEPTH).filter(|dir| {
            let dir = &self.dir.join(dir);
            Here { dir, ..*self }.has_any(files)
        });
        let all = projects.flat_map(|dir| {
            made.iter().map(move |name| Made {
                dir: dir.clone(),
                name,
            })
        });
        all.collect()
    }
}

/// `check` or `test` of a Makefile or justfile.
fn own_word(here: &Here<'_>) -> Option<(String, String)> {
    let makefile = here.first(&["GNUmakefile", "makefile", "Makefile"]);
    let justfile = here.first(&["justfile", "Justfile", ".justfile"]);
    for (program, file) in [("make", makefile), ("just", justfile)] {
        let Some(file) = file else { continue };
        let text = here.text(file);
        let target = ["check", "test"].into_iter().find(|name| {
            // A recipe, and no variable of that name.
            let named = |line: &str| {
                let rest = line.strip_prefix(name)?;
                let rest = rest.split_once(':')?;
                let is_variable = rest.1.trim_start_matches(':').starts_with('=');
                (rest.0.trim().is_empty() && !is_variable).then_some(())
            };
            text.lines().any(|line| named(line).is_some())
        });
        if let Some(target) = target {
            return Some((
                format!("{file} says `{target}`"),
                format!("{program} {target}"),
            ));
        }
    }
    None
}

fn rust(here: &Here<'_>) -> Option<Part> {
    let text = here.has("Cargo.toml").then(|| here.text("Cargo.toml"))?;
    let is_workspace = text.lines().any(|line| line.trim() == "[workspace]");
    let verify = if is_workspace {
        "cargo test --workspace"
    } else {
        "cargo test"
    };
    Some(part("Rust (Cargo.toml)", &[], &[verify], &["target/"]))
}

fn deno(here: &Here<'_>) -> Option<Part> {
    let file = here.first(&["deno.json", "deno.jsonc"])?;
    let test = match here.has("deno.lock") {
        true => "deno test",
        false => "deno test --no-lock",
    };
    Some(part(format!("Deno ({file})"), &[], &[test], &[]))
}

fn go(here: &Here<'_>) -> Option<Part> {
    // Where a workspace has no module of its own, the modules below are parts.
    let file = here
        .first(&["go.work", "go.mod"])
        .filter(|_| here.has("go.mod"))?;
    Some(part(
        format!("Go ({file})"),
        &[],
        &["go vet ./...", "go test ./..."],
        &[],
    ))
}

fn jvm(here: &Here<'_>) -> Option<Part> {
    let gradle = here.first(&[
        "settings.gradle.kts",
        "settings.gradle",
        "build.gradle.kts",
        "build.gradle",
    ]);
    if let Some(file) = gradle {
        let verify = if here.has("gradlew") {
            "./gradlew check"
        } else {
            "gradle check"
        };
        let builds = here.in_projects(&["build.gradle", "build.gradle.kts"], &["build/"]);
        let mut found = part(format!("Gradle ({file})"), &[], &[verify], &[".gradle/"]);
        found.made.extend(builds);
        return Some(found);
    }
    let verify = if here.has("mvnw") {
        "./mvnw -B verify"
    } else {
        "mvn -B verify"
    };
    here.has("pom.xml").then(|| Part {
        made: here.in_projects(&["pom.xml"], &["target/"]),
        ..part("Maven (pom.xml)", &[], &[verify], &[])
    })
}

fn ruby(here: &Here<'_>) -> Option<Part> {
    let is_ruby = here.has("Gemfile");
    let has_specs = here.has_dir("spec");
    let verify = if has_specs {
        "bundle exec rspec"
    } else {
        "bundle exec rake test"
    };
    is_ruby.then(|| {
        let made = Vec::from_iter(here.lacks("Gemfile.lock"));
        part("Ruby (Gemfile)", &["bundle install"], &[verify], &made)
    })
}

fn elixir(here: &Here<'_>) -> Option<Part> {
    let is_mix = here.has("mix.exs");
    is_mix.then(|| {
        let made = ["_build/", "deps/"].into_iter();
        let made: Vec<&str> = made.chain(here.lacks("mix.lock")).collect();
        part("Elixir (mix.exs)", &["mix deps.get"], &["mix test"], &made)
    })
}

fn dotnet(here: &Here<'_>) -> Option<Part> {
    const PROJECT: &[&str] = &[".csproj", ".fsproj", ".vbproj"];
    let is_dotnet = here.has_any(&[".sln", ".slnx"]) || here.has_any(PROJECT);
    is_dotnet.then(|| Part {
        made: here.in_projects(PROJECT, &["bin/", "obj/"]),
        ..part(".NET", &[], &["dotnet test"], &[])
    })
}

fn php(here: &Here<'_>) -> Option<Part> {
    let text = here
        .has("composer.json")
        .then(|| here.text("composer.json"))?;
    let composer: Value = serde_json::from_str(&text).ok()?;
    let verify: &[&str] = match composer["scripts"]["test"].is_null() {
        true => &[],
        false => &["composer test"],
    };
    let made = ["vendor/"].into_iter();
    let made: Vec<&str> = made.chain(here.lacks("composer.lock")).collect();
    Some(part(
        "PHP (composer.json)",
        &["composer install --no-interaction"],
        verify,
        &made,
    ))
}

/// The file that tells agents about the project.
pub(super) fn instructions(checkout: &Checkout) -> Option<&'static str> {
    let dir = Path::new("");
    Here { checkout, dir }.first(&["AGENTS.md", "CLAUDE.md"])
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) type Files<'a> = &'a [(&'a str, &'a str)];

    pub(super) struct Tree(tempfile::TempDir);

    impl Tree {
        pub(super) fn checkout(&self) -> Checkout {
            Checkout::new(self.0.path(), BTreeSet::new())
        }
    }

    pub(super) fn tree(files: Files<'_>) -> Tree {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Tree(dir)
    }

    fn commands(files: Files<'_>) -> (Vec<String>, Vec<String>) {
        let parts = parts(&tree(files).checkout());
        let setup = parts.iter().flat_map(|part| part.setup.clone()).collect();
        let verify = parts.iter().flat_map(|part| part.verify.clone()).collect();
        (setup, verify)
    }

    const NODE: &str = r#"{"scripts": {"test": "vitest run", "lint": "eslint .", "dev": "vite"}}"#;
    const EMPTY: &str = r#"{"scripts": {"test": "echo \"Error: no test specified\" && exit 1"}}"#;
    /// Files, and the commands that make ready and check.
    type Case = (
        Files<'static>,
        &'static [&'static str],
        &'static [&'static str],
    );
    const CASES: &[Case] = &[
        (&[("Cargo.toml", "[package]\n")], &[], &["cargo test"]),
        (
            &[("Cargo.toml", "[workspace]\n")],
            &[],
            &["cargo test --workspace"],
        ),
        (
            &[("package.json", NODE), ("pnpm-lock.yaml", "")],
            &["pnpm install --frozen-lockfile"],
            &["pnpm run lint", "pnpm run test"],
        ),
        (
            &[("package.json", NODE), ("package-lock.json", "")],
            &["npm ci"],
            &["npm run lint", "npm run test"],
        ),
        (
            &[
                ("package.json", NODE),
                ("yarn.lock", "# yarn lockfile v1\n"),
            ],
            &["yarn install --frozen-lockfile"],
            &["yarn run lint", "yarn run test"],
        ),
        (
            &[("package.json", r#"{"packageManager": "yarn@4.1.0"}"#)],
            &["yarn install"],
            &[],
        ),
        (
            &[("package.json", EMPTY)],
            &["npm install --no-package-lock"],
            &[],
        ),
        (
            &[
                ("pyproject.toml", "[tool.pytest]\n"),
                ("uv.lock", ""),
                ("tests/test_a.py", ""),
            ],
            &["uv sync --locked"],
            &["uv run pytest"],
        ),
        (&[("tox.ini", "[tox]\n")], &[], &["tox"]),
        (
            &[("requirements.txt", "pytest\n"), ("src/x/a_test.py", "")],
            &["python3 -m venv .venv && .venv/bin/pip install -q -r requirements.txt pytest"],
            &[".venv/bin/python -m pytest"],
        ),
        (
            &[("setup.cfg", ""), ("test_a.py", "import unittest\n")],
            &[],
            &["python3 -m unittest discover"],
        ),
        (
            &[("go.mod", "module x\n")],
            &[],
            &["go vet ./...", "go test ./..."],
        ),
        (
            &[("build.gradle.kts", ""), ("gradlew", "")],
            &[],
            &["./gradlew check"],
        ),
        (&[("pom.xml", "")], &[], &["mvn -B verify"]),
        (&[("mix.exs", "")], &["mix deps.get"], &["mix test"]),
        (&[("App.sln", "")], &[], &["dotnet test"]),
        (
            &[("Makefile", "all:\n\techo\ntest: all\n\ttrue\n")],
            &[],
            &["make test"],
        ),
        (
            &[("Makefile", "check := 1\ntest:\n\ttrue\ncheck: test\n")],
            &[],
            &["make check"],
        ),
        (&[("Makefile", "test := x\n")], &[], &[]),
        (&[("Makefile", "test ::= x\n")], &[], &[]),
        (&[("Makefile", "test:: all\n\ttrue\n")], &[], &["make test"]),
        // The project's own word counts, and making ready stays.
        (
            &[
                ("package.json", NODE),
                ("package-lock.json", ""),
                ("justfile", "test:\n  x\n"),
            ],
            &["npm ci"],
            &["just test"],
        ),
        (&[("README.md", "")], &[], &[]),
    ];

    #[test]
    fn each_kind_of_project_says_how_it_is_made_ready_and_checked() {
        for (files, setup, verify) in CASES {
            let found = commands(files);
            let expected = [setup, verify]
                .map(|all| all.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>());
            assert_eq!([found.0, found.1], expected, "{files:?}");
        }
    }

    #[test]
    fn parts_below_count_where_the_root_does_not_speak_for_them() {
        let files: Files<'_> = &[
            ("web/package.json", r#"{"scripts": {"test": "x"}}"#),
            ("services/api/go.mod", ""),
            ("services/api/tools/go.mod", ""),
            ("web/node_modules/dep/package.json", "{}"),
        ];
        let dir = tree(files);
        let dirs: Vec<PathBuf> = parts(&dir.checkout())
            .into_iter()
            .map(|part| part.dir)
            .collect();
        assert_eq!(dirs, [Path::new("web"), Path::new("services/api")]);
        fs::write(dir.0.path().join("Makefile"), "test:\n").unwrap();
        assert_eq!(parts(&dir.checkout()).len(), 1);
    }
}
