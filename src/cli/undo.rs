//! `harness undo`: takes back what a feature landed.

use super::args::UndoArgs;
use super::{Desk, desk::Failure, features, known, out};
use crate::config::Flags;
use crate::driver;

pub(super) fn undo(desk: &Desk, args: &UndoArgs) -> Result<u8, Failure> {
    let place = desk.place()?;
    let config = desk.config(&place, Flags::default())?;
    let state = place.read()?.state;
    let slug = known(&args.slug, &features(desk, &place, &state))?;
    let why = args.message.as_deref().unwrap_or_default().trim();
    let undone = driver::undo(&place, &config, &slug, args.requeue, why)?;
    let target = &undone.target;
    let mut text = match &undone.commit {
        Some(commit) => format!(
            "{slug} is taken back from {target} by {}; that was not verified, the next run begins with it\n",
            commit.short()
        ),
        None => format!("nothing of {slug} was left in {target}\n"),
    };
    text.push_str(&match args.requeue {
        true => format!("{slug} is back in the queue; `harness run` works on it\n"),
        false => format!("`harness retry {slug}` has it done again\n"),
    });
    out::out(&text);
    Ok(0)
}
