//! `harness recover`: lists the kept states of a feature, or brings one back beside the project; or goes on without what
//! is damaged in the journal.

use super::args::RecoverArgs;
use super::{Desk, desk::Failure, features, known, out};
use crate::driver::{self, Place};
use crate::model::Problem;

pub(super) fn recover(desk: &Desk, args: &RecoverArgs) -> Result<u8, Failure> {
    let place = desk.place()?;
    let Some(slug) = &args.slug else {
        return journal(&place);
    };
    let reading = place.read()?;
    let slug = known(slug, &features(desk, &place, &reading.state))?;
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

fn journal(place: &Place) -> Result<u8, Failure> {
    let text = match driver::mend_journal(place)? {
        None => "the journal is not damaged; nothing was changed\n".to_owned(),
        Some(mended) => {
            let (kept, line) = (mended.kept, mended.line);
            let ending = if kept == 1 { "" } else { "s" };
            format!(
                "{kept} record{ending} kept, those before line {line}; the damaged journal is now {}\n\
                 `harness run` goes on from there: what has landed since it finds in git\n",
                mended.aside.display()
            )
        }
    };
    out::out(&text);
    Ok(0)
}
