//! Python: who makes the environment, who runs the tests, and whether there are any.
//!
//! It never runs Python: which tests a runner would take is told by their names and by what is written in them.

use super::{Here, Lack, Part, part};
use crate::report::shell_word;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// How deep tests are looked for.
const DEPTH: usize = 6;
const CACHE: &str = "**/__pycache__/";
const EGG: &str = "**/*.egg-info/";
const FILES: [&str; 6] = [
    "pyproject.toml",
    "tox.ini",
    "setup.py",
    "setup.cfg",
    "pytest.ini",
    "requirements.txt",
];
/// Those who keep a lock, with the command that makes the environment and what begins a command in it.
const MANAGERS: [(&str, &str, &str, &str); 3] = [
    ("uv.lock", "uv", "uv sync --locked", "uv run"),
    (
        "poetry.lock",
        "poetry",
        "poetry install --no-interaction",
        "poetry run",
    ),
    ("pdm.lock", "pdm", "pdm sync", "pdm run"),
];
/// Why there is no command.
const NONE_YET: &str =
    "there are no tests yet, and running none fails; write one, for example tests/test_first.py";

pub(super) fn python(here: &Here<'_>) -> Option<Part> {
    let file = here.first(&FILES)?;
    let what = |with: &str| format!("Python ({file}, {with})");
    if here.has("tox.ini") || here.text("pyproject.toml").contains("[tool.tox") {
        return Some(part(what("tox"), &[], &["tox"], &[".tox/", CACHE, EGG]));
    }
    let tests = Tests::of(here);
    let made = [".venv/", CACHE, EGG];
    let locked = MANAGERS.iter().find(|(lock, ..)| here.has(lock));
    if let Some((_, manager, setup, run)) = locked {
        let found = part(what(manager), &[setup], &[], &made);
        let (python, pytest) = (format!("{run} python"), format!("{run} pytest"));
        return Some(tests.check(found, &python, &pytest));
    }
    let install = match (here.has("requirements.txt"), file) {
        (true, _) => "-r requirements.txt",
        (false, "pytest.ini" | "setup.cfg") => "",
        _ => "-e .",
    };
    let (runner, more) = match tests.by_pytest {
        true => ("pytest", " pytest"),
        false => ("unittest", ""),
    };
    let setup = format!("python3 -m venv .venv && .venv/bin/pip install -q {install}{more}");
    let (setup, python): (&[&str], _) = match install.is_empty() && more.is_empty() {
        true => (&[], "python3"),
        false => (&[&setup], ".venv/bin/python"),
    };
    let found = part(what(runner), setup, &[], &made);
    Some(tests.check(found, python, &format!("{python} -m pytest")))
}

/// The tests of a project.
struct Tests {
    /// Whether pytest runs them, or is to run those that will be there; otherwise unittest.
    by_pytest: bool,
    /// Whether there is something that pytest takes for a test.
    some_for_pytest: bool,
    /// Where unittest is to begin, and the end of names that it would not take by itself.
    for_unittest: BTreeSet<(PathBuf, Option<&'static str>)>,
}

impl Tests {
    fn of(here: &Here<'_>) -> Self {
        let settings = FILES.map(|name| here.text(name)).concat();
        let is_its = ["pytest.ini", "conftest.py", "tests/conftest.py"];
        let mut tests = Self {
            by_pytest: settings.contains("pytest") || here.first(&is_its).is_some(),
            // The project says itself where its tests are.
            some_for_pytest: settings.contains("python_files") || settings.contains("doctest"),
            for_unittest: BTreeSet::new(),
        };
        for dir in here.directories(DEPTH) {
            for name in here.checkout.names(&here.dir.join(&dir), false) {
                if name.ends_with(".py") {
                    tests.take(here, &dir, &name);
                }
            }
        }
        tests
    }

    /// A file in a directory of the project.
    fn take(&mut self, here: &Here<'_>, dir: &Path, name: &str) {
        let ending = name.ends_with("_test.py").then_some("_test.py");
        if !name.starts_with("test") && ending.is_none() {
            return;
        }
        let is_pytests = name.starts_with("test_") || ending.is_some();
        self.some_for_pytest |= is_pytests;
        let text = here.text(&dir.join(name).to_string_lossy());
        self.by_pytest |= is_pytests && text.lines().any(only_pytest_knows);
        let is_package = |dir: &&Path| here.has(&dir.join("__init__.py").to_string_lossy());
        // Of packages in each other unittest is told where the outermost is: names are as seen from there.
        let outside = dir.ancestors().find(|dir| !is_package(dir));
        let ending = ending.filter(|_| !name.starts_with("test"));
        let begin = outside.unwrap_or(Path::new("")).to_owned();
        self.for_unittest.insert((begin, ending));
    }

    /// The part with what checks it, or with what is missing for that.
    fn check(self, mut part: Part, python: &str, pytest: &str) -> Part {
        let by_unittest = |begin: &Path, ending: Option<&str>| {
            let mut command = format!("{python} -m unittest discover");
            if begin != Path::new("") {
                command += &format!(" -s {}", shell_word(&begin.to_string_lossy()));
            }
            if let Some(ending) = ending {
                command += &format!(" -p '*{ending}'");
            }
            command
        };
        let found = self.for_unittest.iter();
        let first = Path::new("tests");
        let (verify, usual): (Vec<String>, String) = match self.by_pytest {
            true => {
                let some = self.some_for_pytest.then(|| pytest.to_owned());
                (some.into_iter().collect(), pytest.to_owned())
            }
            false => (
                found
                    .map(|(begin, ending)| by_unittest(begin, *ending))
                    .collect(),
                by_unittest(first, None),
            ),
        };
        if verify.is_empty() {
            part.lacks.push(Lack {
                why: NONE_YET.to_owned(),
                command: usual,
            });
        }
        part.verify = verify;
        part
    }
}

/// Whether a line of a test makes sense to pytest alone.
fn only_pytest_knows(line: &str) -> bool {
    let begins = [
        "def test_",
        "async def test_",
        "import pytest",
        "from pytest",
    ];
    let is_plain_class = line.starts_with("class Test") && !line.contains('(');
    is_plain_class || begins.iter().any(|begin| line.starts_with(begin))
}

#[cfg(test)]
mod tests {
    use super::super::parts;
    use super::super::tests::{Files, tree};
    use super::*;

    fn python(files: Files<'_>) -> Part {
        parts(&tree(files).checkout()).remove(0)
    }

    #[test]
    fn without_tests_there_is_no_command_but_a_word_on_how_to_add_one() {
        let pytest = ("requirements.txt", "pytest\n");
        let plain = ("requirements.txt", "flask\n");
        let empty: [(Files<'_>, &str); 5] = [
            (&[pytest], ".venv/bin/python -m pytest"),
            (
                &[pytest, ("tests/conftest.py", "")],
                ".venv/bin/python -m pytest",
            ),
            // To pytest this is no test.
            (
                &[pytest, ("tests/helpers.py", ""), ("tests/tests.py", "")],
                ".venv/bin/python -m pytest",
            ),
            (&[plain], ".venv/bin/python -m unittest discover -s tests"),
            // What others wrote, and what is made.
            (
                &[plain, ("venv/x/test_x.py", ""), (".tox/x/test_x.py", "")],
                ".venv/bin/python -m unittest discover -s tests",
            ),
        ];
        for (files, command) in empty {
            let found = python(files);
            assert_eq!(found.verify, [""; 0], "{files:?}");
            assert_eq!(found.lacks[0].command, command, "{files:?}");
            assert!(found.lacks[0].why.contains("no tests yet"));
        }
        let own: Files<'_> = &[plain, ("Makefile", "test:\n")];
        assert_eq!(
            (python(own).verify, python(own).lacks),
            (vec!["make test".to_owned()], vec![])
        );
    }

    #[test]
    fn a_command_takes_the_tests_that_are_there() {
        let plain = ("requirements.txt", "flask\n");
        let case =
            "import unittest\nclass TestIt(unittest.TestCase):\n    def test_it(self): pass\n";
        let some: [(Files<'_>, &[&str]); 7] = [
            // Whose settings say what a test is has some.
            (
                &[("pytest.ini", "[pytest]\npython_files = check_*.py\n")],
                &["-m pytest"],
            ),
            (
                &[plain, ("tests/test_a.py", "def test_a():\n")],
                &["-m pytest"],
            ),
            (
                &[plain, ("tests/test_a.py", "class TestIt:\n")],
                &["-m pytest"],
            ),
            (
                &[plain, ("tests/test_a.py", case)],
                &["-m unittest discover -s tests"],
            ),
            (
                &[plain, ("tests/test_a.py", case), ("tests/__init__.py", "")],
                &["-m unittest discover"],
            ),
            (
                &[
                    plain,
                    ("src/shop/tests/test_a.py", case),
                    ("src/shop/tests/__init__.py", ""),
                    ("src/shop/__init__.py", ""),
                ],
                &["-m unittest discover -s src"],
            ),
            (
                &[plain, ("a b/c_test.py", case), ("test_d.py", case)],
                &[
                    "-m unittest discover",
                    "-m unittest discover -s 'a b' -p '*_test.py'",
                ],
            ),
        ];
        for (files, commands) in some {
            let found = python(files);
            let commands: Vec<String> = commands
                .iter()
                .map(|command| format!(".venv/bin/python {command}"))
                .collect();
            assert_eq!(found.verify, commands, "{files:?}");
            assert_eq!(found.lacks, []);
        }
    }
}
