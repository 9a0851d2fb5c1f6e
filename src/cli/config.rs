//! `harness config` and `harness schema`.

use super::args::{ConfigArgs, SchemaArgs};
use super::{Desk, desk, desk::Failure, out};
use crate::config::{self, Flags};
use crate::model::{Code, Problem};
use crate::report::SCHEMAS;
use serde_json::{Value, json};

pub(super) fn config(desk: &Desk, args: &ConfigArgs) -> Result<u8, Failure> {
    let place = desk.place()?;
    let loaded = desk.load(&place, Flags::default())?;
    desk::show(&loaded.warnings, desk.colour);
    let rows: Vec<(String, String)> = loaded
        .origins
        .0
        .iter()
        .map(|one| {
            let value = masked(&one.key, &one.value);
            (format!("{}: {value}", one.key), one.origin.to_string())
        })
        .collect();
    if args.json {
        let values = loaded.origins.0.iter().map(|one| {
            let value = masked(&one.key, &one.value);
            json!({"key": one.key, "value": value, "origin": one.origin.to_string()})
        });
        let values: Vec<Value> = values.collect();
        out::json(&json!({"schema": "harness.config", "version": 1, "values": values}))?;
        return Ok(0);
    }
    let widest = rows.iter().map(|(text, _)| text.chars().count()).max();
    let width = widest.unwrap_or(0).min(60);
    for (text, origin) in &rows {
        out::out(&if args.origin {
            format!("{text:width$}  # {origin}\n")
        } else {
            format!("{text}\n")
        });
    }
    Ok(0)
}

/// Variables given to agents are often keys, and whoever knows where notices go can send some; they are not for screens.
fn masked(key: &str, value: &str) -> String {
    let parts: Vec<&str> = key.split('.').collect();
    let is_secret = matches!(
        parts.as_slice(),
        ["agents", _, "env", ..] | ["notify", "webhook" | "headers", ..]
    );
    let is_nothing = matches!(value, "{}" | "null" | "~" | "");
    match is_secret && !is_nothing && !is_variable(value) {
        true => "(not shown)".to_owned(),
        false => value.to_owned(),
    }
}

/// Whether a value is no more than the name of a variable that holds it: `${NAME}`.
fn is_variable(value: &str) -> bool {
    let value = value.trim_matches(['"', '\'']);
    let name = value
        .strip_prefix("${")
        .and_then(|rest| rest.strip_suffix('}'));
    name.is_some_and(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
}

pub(super) fn schema(args: &SchemaArgs) -> Result<u8, Failure> {
    let Some(name) = &args.name else {
        out::json(&config::schema())?;
        return Ok(0);
    };
    let short = name.strip_prefix("harness.").unwrap_or(name);
    let Some(found) = SCHEMAS.iter().find(|schema| schema.name == short) else {
        let names = || SCHEMAS.iter().map(|schema| schema.name);
        let text = format!("there is no schema `{}`", name.escape_debug());
        let help = match config::nearest(short, names()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are: {}", names().collect::<Vec<_>>().join(", ")),
        };
        let problem = Problem::error(text).code(Code::Usage).file("command line");
        return Err(problem.help(help).into());
    };
    out::exact(found.text);
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::masked;

    #[test]
    fn the_values_of_agents_variables_are_not_shown() {
        assert_eq!(masked("agents.mine.env", "{KEY: s3cret}"), "(not shown)");
        assert_eq!(masked("agents.mine.env.KEY", "s3cret"), "(not shown)");
        assert_eq!(masked("agents.mine.env", "{}"), "{}");
        assert_eq!(masked("run.parallel", "4"), "4");
        let hook = "https://hooks.example/T/s3cret";
        assert_eq!(masked("notify.webhook", hook), "(not shown)");
        assert_eq!(masked("notify.webhook", "${HOOK}"), "${HOOK}");
        assert_eq!(masked("notify.webhook", "${HOOK}/s3cret"), "(not shown)");
        assert_eq!(
            masked("notify.headers.Authorization", "Bearer s3cret"),
            "(not shown)"
        );
        assert_eq!(masked("notify.headers", "{}"), "{}");
    }
}
