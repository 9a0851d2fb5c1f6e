//! Keeps the machine awake while a run lives, and says once when that does not work where it matters.
//!
//! A run goes on whatever comes of it.

use super::crew::Crew;
use crate::process::{self, Awake};
use std::ffi::{OsStr, OsString};

/// What was asked of the system.
#[derive(Debug)]
pub(super) struct Wakeful {
    awake: Option<Awake>,
    /// Whether the machine is one that may fall asleep.
    matters: bool,
}

impl Wakeful {
    /// Asks, if that is wanted; and what is to be said.
    pub(super) fn begin(crew: &Crew) -> (Self, Option<String>) {
        let wanted = crew.config.run.keep_awake;
        let path = crew.env.get(OsStr::new("PATH")).map(OsString::as_os_str);
        let matters = wanted && process::may_sleep();
        let (awake, missing) = match wanted.then(|| Awake::ask(path)) {
            None => (None, None),
            Some(Ok(awake)) => (Some(awake), None),
            Some(Err(why)) => (None, matters.then(|| told(&why))),
        };
        (Self { awake, matters }, missing)
    }

    /// What is to be said when the system has refused it.
    pub(super) fn look(&mut self) -> Option<String> {
        let why = self.awake.as_mut()?.refused()?;
        self.awake = None;
        self.matters.then(|| told(&why))
    }
}

fn told(why: &str) -> String {
    format!(
        "nothing keeps this machine from falling asleep: {why}; see that it stays awake, or set run.keep_awake: false"
    )
}
