//! Whether a script of a `package.json` comes to an end when nobody is there.
//!
//! It knows what the usual programs do that wait for changes, and runs none of them.

use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// How a script comes to an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// By itself.
    Itself,
    /// Where `CI` is set.
    InCi,
    /// With an option more.
    With(&'static str),
    /// It waits for changes, whatever it is told.
    Never,
}

/// Programs that do nothing but wait for changes.
const WATCHERS: [&str; 5] = ["nodemon", "ts-node-dev", "tsnd", "chokidar", "onchange"];
/// Programs to which `-w` says that they are to wait for changes.
const W_WATCHES: [&str; 5] = ["tsc", "mocha", "ava", "vitest", "esw"];
/// Programs that have a word for what waits.
const WAITING_WORDS: [(&str, &str); 6] = [
    ("tsx", "watch"),
    ("gulp", "watch"),
    ("grunt", "watch"),
    ("cypress", "open"),
    ("playwright", "--ui"),
    ("vitest", "--ui"),
];
/// Programs that wait for changes unless they are told to end, with the word that must stand behind them for that, and how they
/// end.
const WAIT_BY_THEMSELVES: [(&str, Option<&str>, End); 6] = [
    ("react-scripts", Some("test"), End::InCi),
    ("react-app-rewired", Some("test"), End::InCi),
    ("craco", Some("test"), End::InCi),
    ("vitest", None, End::InCi),
    ("ng", Some("test"), End::With("--watch=false")),
    ("karma", Some("start"), End::With("--single-run")),
];
/// Options that ask for waiting.
const WAITING: [&str; 5] = [
    "--watch",
    "--watch=true",
    "--watchAll",
    "--watchAll=true",
    "--watch-all",
];
/// Options that ask for an end.
const ENDING: [&str; 6] = [
    "run",
    "--run",
    "--watch=false",
    "--no-watch",
    "--watchAll=false",
    "--single-run",
];

/// Options by which a script of another package is called.
const ELSEWHERE: [&str; 9] = [
    "-w",
    "--workspace",
    "-ws",
    "--workspaces",
    "-r",
    "--filter",
    "-C",
    "--prefix",
    "--cwd",
];

/// How a script ends that is there; `None`: it is not.
pub(super) fn end<'a>(scripts: &'a Map<String, Value>, name: &'a str) -> Option<End> {
    let mut seen = BTreeSet::from([name]);
    Some(of_script(scripts, scripts.get(name)?.as_str()?, &mut seen))
}

/// `seen`: the scripts that were considered already; they call each other, and themselves.
fn of_script<'a>(scripts: &'a Map<String, Value>, text: &str, seen: &mut BTreeSet<&'a str>) -> End {
    let commands = text.split(['&', '|', ';', '\n']);
    let quotes = ['"', '\'', '\\', '(', ')'];
    let words = |command: &str| -> Vec<String> {
        let words = command.split_whitespace();
        let words = words.map(|word| word.trim_matches(quotes).to_owned());
        words.collect()
    };
    let commands = commands.map(words).filter(|words| !words.is_empty());
    let ends = commands.map(|words| of_command(scripts, &words, seen));
    // An option that is added reaches the last command only.
    ends.reduce(|before, last| match (before, last) {
        (End::Itself, last) => last,
        (End::InCi, End::Itself | End::InCi) => End::InCi,
        _ => End::Never,
    })
    .unwrap_or(End::Itself)
}

fn of_command<'a>(
    scripts: &'a Map<String, Value>,
    words: &[String],
    seen: &mut BTreeSet<&'a str>,
) -> End {
    if waits(words) {
        return End::Never;
    }
    let fresh = called(scripts, words).into_iter();
    let fresh: Vec<_> = fresh.filter(|(name, _)| seen.insert(name)).collect();
    let ends = fresh.into_iter().map(|(_, text)| {
        match of_script(scripts, text, seen) {
            // What is added to the caller does not reach it.
            End::With(_) => End::Never,
            end => end,
        }
    });
    let ends: Vec<End> = ends.collect();
    if ends.contains(&End::Never) {
        return End::Never;
    }
    if ends.contains(&End::InCi) {
        return End::InCi;
    }
    let is_ci = |word: &String| {
        let value = word.strip_prefix("CI=");
        value.is_some_and(|value| !matches!(value, "" | "0" | "false"))
    };
    for (program, wanted, end) in WAIT_BY_THEMSELVES {
        let Some(args) = args_of(words, program) else {
            continue;
        };
        let has = |word: &str| args.iter().any(|arg| arg == word);
        if !wanted.is_none_or(has) {
            continue;
        }
        let is_told = ENDING.iter().any(|word| has(word)) || is_told_not_to(words);
        let is_set = end == End::InCi && words.iter().any(is_ci);
        return if is_told || is_set { End::Itself } else { end };
    }
    End::Itself
}

/// Whether a command is told to wait for changes, or does nothing else.
fn waits(words: &[String]) -> bool {
    let has = |word: &str| words.iter().any(|one| one == word);
    let runs = |program: &&str| args_of(words, program).is_some();
    let mut waiting = WAITING_WORDS.iter();
    WATCHERS.iter().any(runs)
        || waiting.any(|(program, word)| runs(program) && has(word))
        || (has("-w") && W_WATCHES.iter().any(runs))
        || (WAITING.iter().any(|word| has(word)) && !is_told_not_to(words))
}

/// `--watch false`.
fn is_told_not_to(words: &[String]) -> bool {
    words.windows(2).any(|two| two == ["--watch", "false"])
}

/// What stands behind the name of a program, if the command runs it.
fn args_of<'a>(words: &'a [String], program: &str) -> Option<&'a [String]> {
    let at = words.iter().position(|word| program_of(word) == program)?;
    words.get(at + 1..)
}

/// The name of a program, wherever it is.
fn program_of(word: &str) -> &str {
    let name = word.rsplit('/').next().unwrap_or(word);
    name.split_once(".js").map_or(name, |(name, _)| name)
}

/// The scripts that a command calls, and their texts.
fn called<'a>(scripts: &'a Map<String, Value>, words: &[String]) -> Vec<(&'a str, &'a str)> {
    let mut rest = words
        .iter()
        .map(String::as_str)
        .skip_while(|word| !is_caller(word));
    let Some(caller) = rest.next() else {
        return Vec::new();
    };
    let rest: Vec<&str> = rest.collect();
    if rest.iter().any(|word| ELSEWHERE.contains(word)) {
        return Vec::new();
    }
    let is_name = |word: &&str| !word.starts_with('-') && !matches!(*word, "run" | "run-script");
    let names = rest.into_iter().filter(is_name);
    let number = match caller {
        "npm" | "pnpm" | "yarn" | "bun" => 1,
        _ => usize::MAX,
    };
    let names: Vec<&str> = names.take(number).collect();
    let is_called = |name: &str| {
        names.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(begin) => name.starts_with(begin),
            None => name == *pattern,
        })
    };
    let found = scripts.iter().filter(|(name, _)| is_called(name));
    found
        .filter_map(|(name, text)| Some((name.as_str(), text.as_str()?)))
        .collect()
}

/// Whether the words behind it are names of scripts.
fn is_caller(word: &str) -> bool {
    [
        "npm",
        "pnpm",
        "yarn",
        "bun",
        "npm-run-all",
        "run-s",
        "run-p",
    ]
    .contains(&word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> End {
        let scripts = serde_json::json!({
            "test": text,
            "unit": "vitest",
            "watch": "jest --watch",
            "browser": "ng test",
            "lint:js": "eslint .",
            "lint:ts": "tsc --noEmit",
        });
        end(scripts.as_object().unwrap(), "test").unwrap()
    }

    #[test]
    fn what_ends_by_itself_is_left_as_it_is() {
        for text in [
            "jest",
            "jest --coverage -w 2",
            "vitest run --coverage",
            "vitest --run",
            "vitest --watch=false",
            "vitest --watch false",
            "CI=true react-scripts test",
            "cross-env CI=1 vitest",
            "react-scripts test --watchAll=false",
            "ng test --no-watch --browsers=ChromeHeadless",
            "karma start --single-run",
            "tsc --noEmit && mocha",
            "npm run lint:js",
            "run-s lint:*",
            "playwright test",
            "node --test",
            "npm test -w packages/one",
        ] {
            assert_eq!(of(text), End::Itself, "{text}");
        }
    }

    #[test]
    fn what_waits_is_told_to_end_or_left_out() {
        for text in [
            "vitest",
            "vitest watch",
            "npx vitest --coverage",
            "./node_modules/.bin/vitest",
            "react-scripts test",
            "react-scripts test --env=jsdom",
            "craco test",
            "tsc --noEmit && vitest",
            "vitest && eslint .",
            "yarn unit",
            "yarn run vitest",
            "npm-run-all lint:* unit",
            "NODE_OPTIONS=x vitest",
        ] {
            assert_eq!(of(text), End::InCi, "{text}");
        }
        assert_eq!(of("ng test"), End::With("--watch=false"));
        assert_eq!(of("eslint . && ng test"), End::With("--watch=false"));
        assert_eq!(of("karma start karma.conf.js"), End::With("--single-run"));
        for text in [
            "jest --watch",
            "jest --watchAll",
            "vitest --watch",
            "vitest -w",
            "vitest --ui",
            "tsc -w",
            "concurrently \"tsc --watch\" jest",
            "node --experimental-vm-modules node_modules/jest/bin/jest.js --watch",
            "nodemon --exec jest",
            "cypress open",
            "ng test && eslint .",
            "npm run watch",
            "npm run lint:js -- --watch",
            "npm run browser",
        ] {
            assert_eq!(of(text), End::Never, "{text}");
        }
    }

    #[test]
    fn scripts_that_call_each_other_are_followed_once() {
        let mut scripts: Map<String, Value> = (0..50)
            .map(|n| (format!("n{n}"), Value::from("run-p n* test")))
            .collect();
        scripts.insert("test".to_owned(), "npm run n7 && npm run test".into());
        assert_eq!(end(&scripts, "test"), Some(End::Itself));
        scripts.insert("n49".to_owned(), "vitest".into());
        assert_eq!(end(&scripts, "test"), Some(End::InCi));
    }
}
