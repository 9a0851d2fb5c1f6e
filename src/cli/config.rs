//! `harness config` and `harness schema`.

use super::args::ConfigArgs;
use super::{Desk, desk, desk::Failure, out};
use crate::config::{self, Flags};

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

/// Variables given to agents are often keys; they are not for screens.
fn masked(key: &str, value: &str) -> String {
    let mut parts = key.split('.');
    let is_secret = parts.next() == Some("agents") && parts.nth(1) == Some("env");
    if is_secret && value != "{}" {
        "(not shown)".to_owned()
    } else {
        value.to_owned()
    }
}

pub(super) fn schema() -> Result<u8, Failure> {
    out::json(&config::schema())?;
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
    }
}
