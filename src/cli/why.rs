//! `harness why`: works while a run lives and without one.

use super::args::WhyArgs;
use super::desk::Failure;
use super::status::look;
use super::{Desk, features, known, out};
use crate::core::queue;
use crate::model::Problem;
use crate::report::{why_json, why_text};

pub(super) fn why(desk: &Desk, args: &WhyArgs) -> Result<u8, Failure> {
    let place = desk.place()?;
    let seen = look(desk, &place)?;
    let slug = known(&args.slug, &features(desk, &place, &seen.state))?;
    let queue = queue(&seen.state, seen.now);
    let glance = seen.glance();
    // A spec that the last run has not seen yet is in no picture.
    let missing = || {
        let text = format!("the last run did not know `{slug}` yet");
        Problem::error(text).help("`harness run` begins with it")
    };
    if args.json {
        out::json(&why_json(&glance, &queue, &slug).ok_or_else(missing)?)?;
    } else {
        out::out(&why_text(&glance, &queue, &slug).ok_or_else(missing)?);
    }
    Ok(0)
}
