//! `harness queue`: works while a run lives and without one.

use super::args::QueueArgs;
use super::{Desk, desk::Failure, out};
use crate::core::queue as look;
use crate::driver::wall_clock;
use crate::report::{queue_json, queue_text};

pub(super) fn queue(desk: &Desk, args: &QueueArgs) -> Result<u8, Failure> {
    let place = desk.place()?;
    let reading = place.read()?;
    let now = wall_clock();
    let (seen, live) = (look(&reading.state, now), reading.live.is_some());
    match args.json {
        true => out::json(&queue_json(&seen, live))?,
        false => out::out(&queue_text(&seen, live, now)),
    }
    Ok(0)
}
