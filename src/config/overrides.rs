//! Flags and environment variables that cover keys of the file.
//!
//! Precedence: flag, then `HARNESS_*`, then the names harness-loop used; empty variables count as unset.
//! This file must never read the process's own environment: it is handed over.

use super::check::{Checker, Key, has_type};
use super::origin::{Origin, Tree};
use super::shape::{self, Selection, Shape};
use super::source::{Source, quoted};
use super::words::nearest;
use super::yaml::{Node, Value};
use super::{Flags, Sources};
use crate::model::{Code, Problem, Severity};
use std::collections::BTreeMap;

/// One key that can be given outside the file.
struct Override {
    key: &'static str,
    /// With its dashes; empty when there is none.
    flag: &'static str,
    variable: &'static str,
    /// harness-loop's name; empty when there is none.
    ancestor: &'static str,
}

const fn over(
    key: &'static str,
    flag: &'static str,
    variable: &'static str,
    ancestor: &'static str,
) -> Override {
    Override {
        key,
        flag,
        variable,
        ancestor,
    }
}

const OVERRIDES: &[Override] = &[
    over("target", "--target", "HARNESS_TARGET", ""),
    over("specs.dir", "", "HARNESS_SPECS_DIR", "SPECS_DIR"),
    over("specs.file", "", "HARNESS_SPEC_FILE", "SPEC_FILE"),
    over("specs.order_file", "", "HARNESS_ORDER_FILE", "ORDER_FILE"),
    over("run.parallel", "--parallel", "HARNESS_PARALLEL", "PARALLEL"),
    over(
        "run.max_iterations",
        "--max-iterations",
        "HARNESS_MAX_ITERATIONS",
        "MAX_ITERATIONS",
    ),
    over(
        "run.max_iterations_per_feature",
        "--max-iterations-per-feature",
        "HARNESS_MAX_ITERATIONS_PER_FEATURE",
        "",
    ),
    over(
        "run.iteration_timeout",
        "--iteration-timeout",
        "HARNESS_ITERATION_TIMEOUT",
        "CLAUDE_TIMEOUT",
    ),
    over(
        "run.idle_timeout",
        "--idle-timeout",
        "HARNESS_IDLE_TIMEOUT",
        "",
    ),
    over(
        "run.sleep_between",
        "",
        "HARNESS_SLEEP_BETWEEN",
        "SLEEP_BETWEEN",
    ),
    over("run.until", "--until", "HARNESS_UNTIL", ""),
    over("run.on_halt", "--on-halt", "HARNESS_ON_HALT", ""),
    over("agent", "--agent", "HARNESS_AGENT", ""),
    over("budget.usd", "--budget-usd", "HARNESS_BUDGET_USD", ""),
    over(
        "budget.tokens",
        "--budget-tokens",
        "HARNESS_BUDGET_TOKENS",
        "",
    ),
    over("sandbox", "--sandbox", "HARNESS_SANDBOX", ""),
    over(
        "breakers.stuck.limit",
        "",
        "HARNESS_STUCK_LIMIT",
        "STUCK_LIMIT",
    ),
    over("model", "--model", "HARNESS_MODEL", "MODEL"),
    over("only", "--only", "HARNESS_ONLY", "ONLY"),
    over("dry_run", "--dry-run", "HARNESS_DRY_RUN", "DRY_RUN"),
];

/// Variables that harness itself sets for agents or reads elsewhere; not configuration.
const OURS: &[&str] = &[
    "HARNESS_RUN_ID",
    "HARNESS_FEATURE",
    "HARNESS_ITERATION",
    "HARNESS_SPEC",
    "HARNESS_PROMPT",
    "HARNESS_OUTBOX",
    "HARNESS_TOKEN",
    "HARNESS_TRACE",
];

/// Whether harness gives this variable its value when it calls an agent.
pub(super) fn is_ours(variable: &str) -> bool {
    variable == "HARNESS" || OURS.contains(&variable)
}

/// Covers `tree` with what flags and environment say.
pub(super) fn apply(sources: &Sources, tree: &mut Tree, problems: &mut Vec<Problem>) {
    let flags = flags_as_text(&sources.flags);
    let file_schema = shape::schema_of::<Shape>();
    let selection_schema = shape::schema_of::<Selection>();
    for one in OVERRIDES {
        let variable = |name: &str| {
            let text = sources.env.get(name)?;
            (!text.is_empty()).then(|| (name.to_owned(), text.clone()))
        };
        let (name, text, from_flag) = if let Some(text) = flags.get(one.flag) {
            (one.flag.to_owned(), text.clone(), true)
        } else if let Some((name, text)) = variable(one.variable).or_else(|| variable(one.ancestor))
        {
            (name, text, false)
        } else {
            continue;
        };
        let schema = [&file_schema, &selection_schema]
            .into_iter()
            .find_map(|schema| below(schema, one.key));
        let Some(schema) = schema else { continue };
        let place = if from_flag {
            "command line"
        } else {
            "environment"
        };
        let source = Source::new(place, String::new());
        let mut checker = Checker {
            source: &source,
            unknown: Severity::Error,
            unavailable: &[],
            seconds: !from_flag,
            problems: Vec::new(),
        };
        let key = Key {
            shown: name.clone(),
            pattern: one.key.to_owned(),
        };
        let outcome = node_of(&text, one.key, schema);
        let value = outcome.map(|node| checker.value(&node, schema, &key, None));
        problems.append(&mut checker.problems);
        match value {
            Ok(Some(value)) => {
                let origin = if from_flag {
                    Origin::Flag { name }
                } else {
                    Origin::Environment { name }
                };
                tree.set(one.key, value, origin);
            }
            Ok(None) => {}
            Err(why) => problems.push(
                Problem::error(format!("`{name}`: {why}"))
                    .code(Code::BadValue)
                    .file(place),
            ),
        }
    }
    warn_of_strangers(&sources.env, problems);
}

/// The schema of a dotted key.
fn below<'a>(schema: &'a serde_json::Value, key: &str) -> Option<&'a serde_json::Value> {
    key.split('.')
        .try_fold(schema, |schema, part| schema["properties"].get(part))
}

/// What a text from outside the file means for a key.
fn node_of(text: &str, key: &str, schema: &serde_json::Value) -> Result<Node, String> {
    let value = match key {
        "only" => {
            let names = text
                .split(',')
                .map(str::trim)
                .filter(|name| !name.is_empty());
            let names: Vec<Node> = names
                .map(|name| Node::placeless(Value::Text(name.to_owned())))
                .collect();
            if names.is_empty() {
                return Err("it names no feature".into());
            }
            Value::List(names)
        }
        "dry_run" => match text {
            "0" => Value::Bool(false),
            "1" => Value::Bool(true),
            _ => {
                let found = quoted(text);
                return Err(format!("expected 0 or 1, found {found}"));
            }
        },
        _ if has_type(schema, "integer") && schema["x-kind"].is_null() => match text.trim().parse()
        {
            Ok(number) => Value::Int(number),
            Err(_) => Value::Text(text.to_owned()),
        },
        _ => Value::Text(text.to_owned()),
    };
    Ok(Node::placeless(value))
}

fn flags_as_text(flags: &Flags) -> BTreeMap<&'static str, String> {
    let number = |number: Option<u32>| number.map(|number| number.to_string());
    let only = (!flags.only.is_empty()).then(|| flags.only.join(","));
    [
        ("--parallel", flags.parallel.clone()),
        ("--max-iterations", number(flags.max_iterations)),
        (
            "--max-iterations-per-feature",
            number(flags.max_iterations_per_feature),
        ),
        ("--iteration-timeout", flags.iteration_timeout.clone()),
        ("--idle-timeout", flags.idle_timeout.clone()),
        ("--target", flags.target.clone()),
        ("--only", only),
        ("--agent", flags.agent.clone()),
        ("--model", flags.model.clone()),
        ("--until", flags.until.clone()),
        ("--on-halt", flags.on_halt.clone()),
        ("--budget-usd", flags.budget_usd.clone()),
        ("--budget-tokens", flags.budget_tokens.clone()),
        ("--sandbox", flags.sandbox.clone()),
        ("--dry-run", flags.dry_run.then(|| "1".to_owned())),
    ]
    .into_iter()
    .filter_map(|(flag, text)| Some((flag, text?)))
    .collect()
}

/// A misspelt variable would otherwise be ignored in silence.
fn warn_of_strangers(env: &BTreeMap<String, String>, problems: &mut Vec<Problem>) {
    let known = || OVERRIDES.iter().map(|one| one.variable);
    let strangers = env.keys().filter(|name| {
        name.starts_with("HARNESS_") && !is_ours(name) && !known().any(|one| one == *name)
    });
    for name in strangers {
        let message = format!("{} is not a variable that harness reads", quoted(name));
        let mut problem = Problem::warning(message)
            .code(Code::UnknownVariable)
            .file("environment");
        problem.help = nearest(name, known()).map(|near| format!("did you mean `{near}`?"));
        problems.push(problem);
    }
}
