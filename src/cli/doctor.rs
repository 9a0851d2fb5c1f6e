//! `harness doctor`: says what is wrong here, and with `--fix` puts right what can be. Exit code 1: something is left
//! to be put right.

use super::args::DoctorArgs;
use super::desk::{Failure, problems};
use super::{Desk, out};
use crate::config::Flags;
use crate::driver;
use tokio::runtime::Builder;

/// Something is to be put right.
const UNHEALTHY: u8 = 1;

pub(super) fn doctor(desk: &Desk, args: &DoctorArgs) -> Result<u8, Failure> {
    let place = desk.place()?;
    let loaded = desk.load(&place, Flags::default());
    let why = loaded.as_ref().err().map(ToString::to_string);
    let config = match &loaded {
        Ok(loaded) => Ok(&loaded.config),
        Err(_) => Err(why.as_deref().unwrap_or_default()),
    };
    let mut checkup = match args.fix {
        true => driver::mend(&place, config)?,
        false => driver::examine(&place, config),
    };
    if let Ok(config) = config {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(anyhow::Error::new)?;
        let look = driver::agents(&place, config, &desk.env, args.probe);
        checkup.hear_of(runtime.block_on(look));
        if args.verify {
            let ready = driver::preflight(place.clone(), config.clone(), desk.env.clone());
            let tried = ready.and_then(|ready| runtime.block_on(driver::try_base(ready)));
            match tried.map_err(Failure::from) {
                Ok((tried, _)) => checkup.hear_of_base(Ok(&tried)),
                Err(failure) => checkup.hear_of_base(Err(&problems(&failure))),
            }
        }
    }
    match args.json {
        true => out::json(&checkup.json())?,
        false => out::out(&checkup.text()),
    }
    Ok(if checkup.is_healthy() { 0 } else { UNHEALTHY })
}
