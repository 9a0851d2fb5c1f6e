//! `harness ui`: all of a run on one screen. Leaving it never stops the run.
//!
//! Only where this program was built with the feature `ui`; otherwise the command says how to get it.

#[cfg(feature = "ui")]
mod eyes;
#[cfg(feature = "ui")]
mod hands;
#[cfg(feature = "ui")]
mod pages;
#[cfg(feature = "ui")]
mod show;
#[cfg(feature = "ui")]
mod specs;

use super::Desk;
use super::desk::Failure;
use crate::model::{Code, Problem};

/// What shows a run where this cannot.
const INSTEAD: &str = "`harness status` shows the run once, `harness status --watch` until it ends";

#[cfg(feature = "ui")]
pub(super) fn ui(desk: &Desk) -> Result<u8, Failure> {
    use super::{out, terminal};
    use std::io::IsTerminal;
    let place = desk.place()?;
    let is_one = std::io::stdin().is_terminal() && out::is_terminal();
    if !is_one || terminal::is_dumb(&desk.env) {
        return Err(refused(
            "this is no terminal that a screen could be drawn on",
        ));
    }
    if !out::has_size() {
        return Err(Problem::error(
            "this terminal does not say how large it is: nothing can be drawn on it",
        )
        .code(Code::Usage)
        .help("`stty rows 24 cols 80` tells it; so much is there on most terminals")
        .into());
    }
    show::show(desk, &place)
}

#[cfg(not(feature = "ui"))]
pub(super) fn ui(_: &Desk) -> Result<u8, Failure> {
    Err(refused(
        "this program was built without its screen: `cargo install harness-loop --features ui` builds one that has it",
    ))
}

fn refused(why: &str) -> Failure {
    Problem::error(why).code(Code::Usage).help(INSTEAD).into()
}
