//! `harness recover`: lists the kept states of a feature, or brings one back beside the project.

use super::args::RecoverArgs;
use super::{Desk, desk::Failure, features, known, out};
use crate::driver;
use crate::model::Problem;

pub(super) fn recover(desk: &Desk, args: &RecoverArgs) -> Result<u8, Failure> {
    let place = desk.place()?;
    let reading = place.read()?;
    let slug = known(&args.slug, &features(desk, &place, &reading.state))?;
    let kept = driver::kept(&place, &slug)?;
    let Some(name) = &args.state else {
        match args.json {
            true => out::json(&kept.json())?,
            false => out::out(&kept.text()),
        }
        return Ok(0);
    };
    let Some(state) = kept.named(name) else {
        let text = format!("nothing is kept of `{slug}` as `{}`", name.escape_debug());
        let help = match kept.names() {
            none if none.is_empty() => "nothing is kept of it yet".to_owned(),
            names => format!("what is kept: {names}"),
        };
        return Err(Problem::error(text).file("command line").help(help).into());
    };
    if let Some(dir) = &args.to {
        let dir = desk.directory.join(dir);
        let files = driver::restore_to(&place, &state.commit, &dir)?;
        let ending = if files == 1 { "" } else { "s" };
        out::out(&format!(
            "{files} file{ending} written to {}\n",
            dir.display()
        ));
    }
    if let Some(branch) = &args.branch {
        driver::branch_at(&place, &state.commit, branch)?;
        out::out(&format!(
            "the branch {branch} stands at {}\n",
            state.commit.short()
        ));
    }
    Ok(0)
}
