//! `harness conflicts`: works while a run lives and without one.

use super::args::ConflictsArgs;
use super::{Desk, desk::Failure, out};
use crate::config::Flags;
use crate::driver;

pub(super) fn conflicts(desk: &Desk, args: &ConflictsArgs) -> Result<u8, Failure> {
    let place = desk.place()?;
    let config = desk.config(&place, Flags::default())?;
    let found = driver::conflicts(&place, &config)?;
    match args.json {
        true => out::json(&found.json())?,
        false => out::out(&found.text()),
    }
    Ok(0)
}
