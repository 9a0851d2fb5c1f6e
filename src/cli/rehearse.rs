//! `harness run --rehearse`: what the night will need, tried beforehand. Exit code 1: something stands in its way.

use super::{Desk, desk, desk::Failure, out, plan};
use crate::config::Config;
use crate::driver::{self, Place, preflight, wall_clock};
use tokio::runtime::Builder;

/// Something stands in the way.
const NOT_READY: u8 = 1;

pub(super) fn rehearse(
    desk: &Desk,
    place: &Place,
    config: Config,
    probe: bool,
) -> Result<u8, Failure> {
    let ready = preflight(place.clone(), config, desk.env.clone())?;
    desk::show(&ready.survey.warnings, desk.colour);
    let foreseen = plan::foreseen(place, &ready.config, &ready.survey)?;
    if probe {
        out::err(
            "each agent answers once now, which costs what a short answer costs; --no-probe leaves that out\n",
        );
    }
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(anyhow::Error::new)?;
    let rehearsal = driver::rehearse(ready, &foreseen, probe, wall_clock());
    let rehearsal = runtime.block_on(rehearsal)?;
    out::out(&rehearsal.text());
    let is_ready = rehearsal.is_ready();
    out::out(match is_ready {
        true => "nothing stands in the way; nothing was changed\n",
        false => "this night would not go well; nothing was changed\n",
    });
    Ok(if is_ready { 0 } else { NOT_READY })
}
