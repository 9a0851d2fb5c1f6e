//! JavaScript: who installs, and which scripts check.
//!
//! It never knows what a program does: `script` does.

use super::script::{End, end};
use super::{Here, Lack, Part, part};
use serde_json::{Map, Value};

/// Scripts that check.
const CHECKS: [&str; 5] = ["check", "typecheck", "type-check", "lint", "test"];
/// How scripts are called that do the same as another one and end.
const THAT_END: [&str; 3] = ["ci", "run", "once"];

pub(super) fn node(here: &Here<'_>) -> Option<Part> {
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
    let nothing = Map::new();
    let scripts = package["scripts"].as_object().unwrap_or(&nothing);
    let mut found = part(
        format!("JavaScript (package.json, {manager})"),
        &[setup],
        &[],
        &made,
    );
    for name in CHECKS {
        match command(scripts, manager, name) {
            Some(Ok(command)) => found.verify.push(command),
            Some(Err(lack)) => found.lacks.push(lack),
            None => {}
        }
    }
    Some(found)
}

/// The command that runs a script to its end, if the script is there and checks something.
fn command(
    scripts: &Map<String, Value>,
    manager: &str,
    name: &str,
) -> Option<Result<String, Lack>> {
    let text = scripts.get(name)?.as_str()?;
    // What `npm init` writes fails always.
    if text.contains("no test specified") {
        return None;
    }
    let run = format!("{manager} run {name}");
    // npm takes options for its own unless it is told where they begin; the others pass them on.
    let dashes = if manager == "npm" { "-- " } else { "" };
    Some(match end(scripts, name)? {
        End::Itself => Ok(run),
        End::InCi => Ok(format!("CI=1 {run}")),
        End::With(option) => Ok(format!("{run} {dashes}{option}")),
        End::Never => {
            let others = THAT_END.map(|more| format!("{name}:{more}"));
            let mut others = others.iter();
            match others.find(|other| end(scripts, other) == Some(End::Itself)) {
                Some(other) => Ok(format!("{manager} run {other}")),
                None => Err(Lack {
                    why: format!(
                        "the script `{name}` waits for changes and never ends; write one that ends, for example `{name}:ci`"
                    ),
                    command: format!("{run}:ci"),
                }),
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::parts;
    use super::super::tests::tree;

    #[test]
    fn a_script_that_waits_is_told_to_end_or_left_out_with_a_word() {
        let found = |manager: &str, scripts: &str| {
            let text =
                format!(r#"{{"packageManager": "{manager}@9.0.0", "scripts": {{{scripts}}}}}"#);
            let mut parts = parts(&tree(&[("package.json", &text)]).checkout());
            let part = parts.remove(0);
            let lacks = part.lacks.into_iter().map(|lack| lack.command);
            (part.verify, lacks.collect::<Vec<_>>())
        };
        for (manager, scripts, verify, lacks) in [
            ("npm", r#""test": "vitest""#, "CI=1 npm run test", ""),
            (
                "npm",
                r#""test": "ng test""#,
                "npm run test -- --watch=false",
                "",
            ),
            (
                "pnpm",
                r#""test": "ng test""#,
                "pnpm run test --watch=false",
                "",
            ),
            ("npm", r#""test": "jest --watch""#, "", "npm run test:ci"),
            (
                "npm",
                r#""test": "jest --watch", "test:once": "jest""#,
                "npm run test:once",
                "",
            ),
            (
                "npm",
                r#""test": "jest --watch", "test:ci": "jest --watch""#,
                "",
                "npm run test:ci",
            ),
            (
                "npm",
                r#""test": "echo no test specified && exit 1""#,
                "",
                "",
            ),
        ] {
            let words = |text: &str| -> Vec<String> {
                let some = (!text.is_empty()).then(|| text.to_owned());
                some.into_iter().collect()
            };
            assert_eq!(
                found(manager, scripts),
                (words(verify), words(lacks)),
                "{scripts}"
            );
        }
    }
}
