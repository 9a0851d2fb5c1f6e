//! `harness clean`.

use super::args::CleanArgs;
use super::{Desk, desk::Failure, out};
use crate::config::Flags;
use crate::driver::clean_up;
use crate::model::escaped;

pub(super) fn clean(desk: &Desk, args: &CleanArgs) -> Result<u8, Failure> {
    let place = desk.place()?;
    let config = desk.config(&place, Flags::default())?;
    let cleaned = clean_up(&place, &config, args.force)?;
    let mut text = String::new();
    let mut list = |what: &str, names: &[String]| {
        if !names.is_empty() {
            text.push_str(&format!("{what}: {}\n", escaped(&names.join(", "))));
        }
    };
    list("removed worktrees", &cleaned.worktrees);
    list("removed branches", &cleaned.branches);
    list("uncommitted work was kept as", &cleaned.rescued);
    list(
        "left alone, because harness did not make it",
        &cleaned.strangers,
    );
    for (name, why) in &cleaned.kept_branches {
        text.push_str(&format!("kept {}: {}\n", escaped(name), escaped(why)));
    }
    if text.is_empty() {
        text.push_str("nothing to clean\n");
    }
    out::out(&text);
    Ok(0)
}
