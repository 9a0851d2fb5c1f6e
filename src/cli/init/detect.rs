//! What stands in a checkout: how it is built and checked, where specs are, what agents are told.
//!
//! It reads names of files and a few of them, runs nothing, and never writes. What it cannot know it leaves out.

mod specs;

pub(super) use specs::{Specs, specs};

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// How deep the parts of a repository are looked for.
const DEPTH: usize = 2;
/// Directories that hold what others wrote, or what was made.
const NOT_OURS: &[&str] = &["node_modules", "target", "vendor", "dist", "build", "venv"];
/// The longest file that is read.
const MOST_BYTES: u64 = 1 << 20;

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
    /// What those make, and git should ignore.
    pub(super) made: Vec<Made>,
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
pub(super) fn parts(root: &Path) -> Vec<Part> {
    let mut parts = of_dir(root, Path::new(""));
    let speaks_for_all = parts.iter().any(|part| !part.verify.is_empty());
    if !speaks_for_all {
        for dir in directories(root, DEPTH) {
            // A part of a part is that one's business.
            if !parts
                .iter()
                .any(|part| !part.dir.as_os_str().is_empty() && dir.starts_with(&part.dir))
            {
                parts.extend(of_dir(root, &dir));
            }
        }
    }
    parts
}

/// Directories below the root, those above first.
fn directories(root: &Path, depth: usize) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut level = vec![PathBuf::new()];
    for _ in 0..depth {
        let mut next = Vec::new();
        for dir in &level {
            let entries = fs::read_dir(root.join(dir)).into_iter().flatten().flatten();
            for entry in entries {
                let name = entry.file_name();
                let name = name.to_string_lossy();
                let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
                if is_dir && !name.starts_with('.') && !NOT_OURS.contains(&&*name) {
                    next.push(dir.join(&*name));
                }
            }
        }
        next.sort();
        found.extend(next.iter().cloned());
        level = next;
    }
    found
}

/// What one directory is. A Makefile that names a check is the project's own word and counts before the language's.
fn of_dir(root: &Path, dir: &Path) -> Vec<Part> {
    let here = Here {
        path: root.join(dir),
    };
    let looks: [fn(&Here) -> Option<Part>; 10] =
        [rust, node, deno, python, go, jvm, ruby, elixir, dotnet, php];
    let mut parts: Vec<Part> = looks.iter().filter_map(|look| look(&here)).collect();
    if let Some((what, command)) = own_word(&here) {
        match parts.first_mut() {
            Some(first) => {
                first.what = format!("{}, {what}", first.what);
                first.verify = vec![command];
                parts
                    .iter_mut()
                    .skip(1)
                    .for_each(|part| part.verify.clear());
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
        made: made.collect(),
    }
}

/// One directory.
struct Here {
    path: PathBuf,
}

impl Here {
    fn has(&self, name: &str) -> bool {
        self.path.join(name).is_file()
    }

    fn first<'a>(&self, names: &[&'a str]) -> Option<&'a str> {
        names.iter().copied().find(|name| self.has(name))
    }

    fn text(&self, name: &str) -> String {
        let path = self.path.join(name);
        let fits = fs::metadata(&path).is_ok_and(|meta| meta.is_file() && meta.len() <= MOST_BYTES);
        let text = fits.then(|| fs::read_to_string(path).ok()).flatten();
        text.unwrap_or_default()
    }

    /// A lock that is not there: making ready writes one, and each feature would bring its own.
    fn lacks(&self, lock: &'static str) -> Option<&'static str> {
        (!self.has(lock)).then_some(lock)
    }

    /// Whether a file here is named so, or ends so.
    fn has_any(&self, endings: &[&str]) -> bool {
        let entries = fs::read_dir(&self.path).into_iter().flatten().flatten();
        let mut names = entries.map(|entry| entry.file_name());
        names.any(|name| {
            let name = name.to_string_lossy();
            endings.iter().any(|ending| name.ends_with(ending))
        })
    }

    /// What is made in each project that stands here or below: where there is such a file.
    fn in_projects(&self, files: &[&str], made: &[&'static str]) -> Vec<Made> {
        let below = directories(&self.path, DEPTH).into_iter();
        let dirs = std::iter::once(PathBuf::new()).chain(below);
        let projects = dirs.filter(|dir| {
            let path = self.path.join(dir);
            Here { path }.has_any(files)
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
fn own_word(here: &Here) -> Option<(String, String)> {
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

fn rust(here: &Here) -> Option<Part> {
    let text = here.has("Cargo.toml").then(|| here.text("Cargo.toml"))?;
    let is_workspace = text.lines().any(|line| line.trim() == "[workspace]");
    let verify = if is_workspace {
        "cargo test --workspace"
    } else {
        "cargo test"
    };
    Some(part("Rust (Cargo.toml)", &[], &[verify], &["target/"]))
}

fn node(here: &Here) -> Option<Part> {
    let text = here
        .has("package.json")
        .then(|| here.text("package.json"))?;
    let package: Value = serde_json::from_str(&text).ok()?;
    let named = package["packageManager"].as_str().unwrap_or_default();
    let (named, version) = named.split_once('@').unwrap_or((named, ""));
    let classic = here.text("yarn.lock").contains("# yarn lockfile v1");
    let locks = [
        ("pnpm", "pnpm-lock.yaml", "pnpm install --frozen-lockfile"),
        (
            "yarn",
            "yarn.lock",
            if classic {
                "yarn install --frozen-lockfile"
            } else {
                "yarn install --immutable"
            },
        ),
        ("bun", "bun.lock", "bun install --frozen-lockfile"),
        ("bun", "bun.lockb", "bun install --frozen-lockfile"),
        ("npm", "package-lock.json", "npm ci"),
        ("npm", "npm-shrinkwrap.json", "npm ci"),
    ];
    let locked = locks.iter().filter(|(_, lock, _)| here.has(lock));
    let lock = locked
        .clone()
        .find(|(manager, ..)| *manager == named)
        .or(locked.clone().next());
    let mut made = vec!["**/node_modules/"];
    let (manager, setup) = match lock {
        Some((manager, _, setup)) => (*manager, *setup),
        // Each feature would bring a lock of its own.
        None => match named {
            "pnpm" => (named, "pnpm install --no-lockfile"),
            "yarn" if version.starts_with("1.") => (named, "yarn install --no-lockfile"),
            "yarn" => {
                made.push("yarn.lock");
                (named, "yarn install")
            }
            "bun" => (named, "bun install --no-save"),
            _ => ("npm", "npm install --no-package-lock"),
        },
    };
    let scripts = package["scripts"].as_object();
    let is_real = |name: &&str| {
        let script = scripts.and_then(|all| all.get(*name)?.as_str());
        // What `npm init` writes fails always.
        script.is_some_and(|script| !script.contains("no test specified"))
    };
    let wanted = ["check", "typecheck", "type-check", "lint", "test"];
    let verify: Vec<String> = wanted
        .iter()
        .filter(|name| is_real(name))
        .map(|name| format!("{manager} run {name}"))
        .collect();
    let verify: Vec<&str> = verify.iter().map(String::as_str).collect();
    Some(part(
        format!("JavaScript (package.json, {manager})"),
        &[setup],
        &verify,
        &made,
    ))
}

fn deno(here: &Here) -> Option<Part> {
    let file = here.first(&["deno.json", "deno.jsonc"])?;
    let test = match here.has("deno.lock") {
        true => "deno test",
        false => "deno test --no-lock",
    };
    Some(part(format!("Deno ({file})"), &[], &[test], &[]))
}

fn python(here: &Here) -> Option<Part> {
    const CACHE: &str = "**/__pycache__/";
    const EGG: &str = "**/*.egg-info/";
    let files = [
        "pyproject.toml",
        "tox.ini",
        "setup.py",
        "setup.cfg",
        "pytest.ini",
        "requirements.txt",
    ];
    let file = here.first(&files)?;
    let what = |with: &str| format!("Python ({file}, {with})");
    let project = here.text("pyproject.toml");
    if here.has("tox.ini") || project.contains("[tool.tox") {
        return Some(part(what("tox"), &[], &["tox"], &[".tox/", CACHE, EGG]));
    }
    let all = files.iter().map(|name| here.text(name)).collect::<String>();
    let has_pytest =
        all.contains("pytest") || here.has("conftest.py") || here.has("tests/conftest.py");
    let test = if has_pytest {
        "pytest"
    } else {
        "python -m unittest discover"
    };
    for (lock, manager, setup, run) in [
        ("uv.lock", "uv", "uv sync --locked", "uv run "),
        (
            "poetry.lock",
            "poetry",
            "poetry install --no-interaction",
            "poetry run ",
        ),
        ("pdm.lock", "pdm", "pdm sync", "pdm run "),
    ] {
        if here.has(lock) {
            return Some(part(
                what(manager),
                &[setup],
                &[&format!("{run}{test}")],
                &[".venv/", CACHE, EGG],
            ));
        }
    }
    let test = if has_pytest { "python -m pytest" } else { test };
    let install = match (here.has("requirements.txt"), file) {
        (true, _) => "-r requirements.txt",
        (false, "pytest.ini" | "setup.cfg") => "",
        _ => "-e .",
    };
    let more = if has_pytest { " pytest" } else { "" };
    let setup = format!("python3 -m venv .venv && .venv/bin/pip install -q {install}{more}");
    let setup: &[&str] = if install.is_empty() && more.is_empty() {
        &[]
    } else {
        &[&setup]
    };
    let verify = if setup.is_empty() {
        format!("python3{}", &test["python".len()..])
    } else {
        format!(".venv/bin/{test}")
    };
    Some(part(
        what(if has_pytest { "pytest" } else { "unittest" }),
        setup,
        &[&verify],
        &[".venv/", CACHE, EGG],
    ))
}

fn go(here: &Here) -> Option<Part> {
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

fn jvm(here: &Here) -> Option<Part> {
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

fn ruby(here: &Here) -> Option<Part> {
    let is_ruby = here.has("Gemfile");
    let has_specs = here.path.join("spec").is_dir();
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

fn elixir(here: &Here) -> Option<Part> {
    let is_mix = here.has("mix.exs");
    is_mix.then(|| {
        let made = ["_build/", "deps/"].into_iter();
        let made: Vec<&str> = made.chain(here.lacks("mix.lock")).collect();
        part("Elixir (mix.exs)", &["mix deps.get"], &["mix test"], &made)
    })
}

fn dotnet(here: &Here) -> Option<Part> {
    const PROJECT: &[&str] = &[".csproj", ".fsproj", ".vbproj"];
    let is_dotnet = here.has_any(&[".sln", ".slnx"]) || here.has_any(PROJECT);
    is_dotnet.then(|| Part {
        made: here.in_projects(PROJECT, &["bin/", "obj/"]),
        ..part(".NET", &[], &["dotnet test"], &[])
    })
}

fn php(here: &Here) -> Option<Part> {
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
pub(super) fn instructions(root: &Path) -> Option<&'static str> {
    let here = Here {
        path: root.to_owned(),
    };
    here.first(&["AGENTS.md", "CLAUDE.md"])
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) type Files<'a> = &'a [(&'a str, &'a str)];

    pub(super) fn tree(files: Files<'_>) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        dir
    }

    fn commands(files: Files<'_>) -> (Vec<String>, Vec<String>) {
        let parts = parts(tree(files).path());
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
            &[("pyproject.toml", "[tool.pytest]\n"), ("uv.lock", "")],
            &["uv sync --locked"],
            &["uv run pytest"],
        ),
        (&[("tox.ini", "[tox]\n")], &[], &["tox"]),
        (
            &[("requirements.txt", "pytest\n")],
            &["python3 -m venv .venv && .venv/bin/pip install -q -r requirements.txt pytest"],
            &[".venv/bin/python -m pytest"],
        ),
        (&[("setup.cfg", "")], &[], &["python3 -m unittest discover"]),
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
        let dirs: Vec<PathBuf> = parts(dir.path()).into_iter().map(|part| part.dir).collect();
        assert_eq!(dirs, [Path::new("web"), Path::new("services/api")]);
        fs::write(dir.path().join("Makefile"), "test:\n").unwrap();
        assert_eq!(parts(dir.path()).len(), 1);
    }
}
