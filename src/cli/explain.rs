//! `harness explain`, and `harness help exit-codes` as a command.

use super::args::ExplainArgs;
use super::{desk::Failure, out};
use crate::config::nearest;
use crate::model::{Code, Problem};
use crate::report::{codes_list, codes_table, pages};

pub(super) fn explain(args: &ExplainArgs) -> Result<u8, Failure> {
    let Some(typed) = &args.code else {
        out::out(&codes_list());
        return Ok(0);
    };
    // Nobody has to know which codes have which dash, or has to take the brackets away.
    let plain = |code: &str| {
        code.trim_matches(['[', ']'])
            .replace('_', "-")
            .to_lowercase()
    };
    if let Some(page) = pages().find(|page| plain(page.code) == plain(typed)) {
        out::out(&page.text());
        return Ok(0);
    }
    let text = format!("there is no code `{}`", typed.escape_debug());
    let help = match nearest(typed, pages().map(|page| page.code)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`harness explain` lists them all".to_owned(),
    };
    let problem = Problem::error(text).code(Code::Usage).file("command line");
    Err(problem.help(help).into())
}

pub(super) fn exit_codes() -> Result<u8, Failure> {
    out::out(&codes_table());
    Ok(0)
}
