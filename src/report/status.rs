//! The status page of a terminal: how the whole stands, what runs, what needs a person, what waits.
//!
//! The page stays one page however long the backlog is.

use super::Glance;
use super::code::codes_text;
use super::money;
use super::text::style::{BOLD, DIM, GREEN, RED, YELLOW};
use super::text::{branch, count, cut, elapsed, escaped, names, padded, reason, rfc3339, shown};
use super::words::{
    about, account_words, asleep, command, contained, forecast_words, is_active, overall,
    stage_shown, until,
};
use crate::core::{FeatureView, Forecast, RunView, Stage, forecast};
use std::fmt::Write as _;

/// Rows a list shows before it says how many more there are.
const MAX_ROWS: usize = 20;
/// So many of the things that came to light are shown.
const MAX_FINDINGS: usize = 5;
/// Up to this many merged features are listed.
const MAX_MERGED: usize = 12;

/// The page for a terminal `width` columns wide, with a final line end. Only the commands a person is
/// to copy are never cut.
#[must_use]
pub fn status(glance: &Glance<'_>, width: usize, colour: bool) -> String {
    let mut page = Page {
        glance,
        width: width.max(20),
        colour,
        slug_columns: 0,
        out: String::new(),
    };
    page.head();
    let pick = |fits: &dyn Fn(&FeatureView) -> bool| -> Vec<&FeatureView> {
        glance.view.features.iter().filter(|f| fits(f)).collect()
    };
    let active = pick(&|f| is_active(f.stage));
    let title = if glance.live.is_some() {
        "Running"
    } else {
        "Cut off"
    };
    page.list(title, BOLD, &active);
    page.list("Needs you", RED, &pick(&|f| command(f).is_some()));
    let waiting = pick(&|f| matches!(f.stage, Stage::Waiting | Stage::Skipped) && !f.unselected);
    page.list("Waiting", YELLOW, &waiting);
    page.list("Left out", DIM, &pick(&|f| f.stage == Stage::LeftOut));
    let merged = pick(&|f| f.stage == Stage::Merged);
    if merged.len() <= MAX_MERGED {
        page.list("Merged", GREEN, &merged);
    } else {
        page.heading("Merged", GREEN, merged.len());
    }
    page.out
}

/// Everything that is to be said before single features, and whether it is a person's business: how the
/// run stands, and what holds it back. Not escaped.
pub(super) fn standing(glance: &Glance<'_>) -> Vec<(String, bool)> {
    standing_with(glance, foreseen(glance).as_ref())
}

/// How long the rest of a living run takes, if that can be told.
pub(super) fn foreseen(glance: &Glance<'_>) -> Option<Forecast> {
    forecast(glance.view, glance.now).filter(|_| glance.live.is_some())
}

/// The same with a forecast that was made already.
pub(super) fn standing_with(
    glance: &Glance<'_>,
    forecast: Option<&Forecast>,
) -> Vec<(String, bool)> {
    let mut out = vec![(run_words(glance), false)];
    if let Some(reason) = &glance.view.halt {
        let reason = shown(reason, 400);
        out.push((format!("HALT: {reason} (remove the file to go on)"), true));
    }
    if let Some(last) = glance.view.ahead {
        out.push((
            format!("the clock was set back: the last thing known is of {}, and how long ago that was nobody can say", rfc3339(last)),
            true,
        ));
    }
    out.extend(forecast.map(|forecast| (forecast_words(forecast), false)));
    let run = glance.view.run.as_ref();
    if let Some(run) = run.filter(|_| glance.live.is_some()) {
        out.push((contained(&run.containment), false));
        out.extend(until(run, glance.now).map(|text| (text, false)));
    }
    if let Some(what) = run.and_then(|run| run.strain.as_ref()) {
        let what = shown(what, 200);
        out.push((
            format!("short of {what}: nothing new starts while anything runs"),
            false,
        ));
    }
    let accounts = run.into_iter().flat_map(|run| &run.accounts);
    out.extend(accounts.map(|account| account_words(account, glance.now)));
    out.extend(run.and_then(money::run_words).map(|text| (text, false)));
    out.extend(run.into_iter().flat_map(findings));
    let queue = run.into_iter().flat_map(queue_words);
    out.extend(queue.map(|text| (text, true)));
    out
}

/// The last things that came to light in the run, while they matter.
fn findings(run: &RunView) -> Vec<(String, bool)> {
    let last = run.findings.len().saturating_sub(MAX_FINDINGS);
    let last = run.findings.iter().skip(last);
    last.map(|what| (money::finding(what), false)).collect()
}

/// How the run stands, without cutting: whether it lives, was cut off, or ended how.
fn run_words(glance: &Glance<'_>) -> String {
    let Some(run) = &glance.view.run else {
        return match &glance.live {
            Some(who) => format!("a run is beginning ({who})"),
            None => "no run yet; `harness run` starts one".to_owned(),
        };
    };
    match (&glance.live, run.ended) {
        (Some(who), _) => running_words(glance, run, who),
        (None, None) => "the last run was cut off; `harness run` continues it".to_owned(),
        (None, Some(ended)) => format!(
            "no run lives; the last one ended {} ago after {}{}: {}",
            elapsed(glance.now.since_ms(ended)),
            elapsed(ended.since_ms(run.started)),
            asleep(run),
            codes_text(&run.codes)
        ),
    }
}

fn running_words(glance: &Glance<'_>, run: &RunView, who: &str) -> String {
    let mut out = format!(
        "running for {}{} onto {}, {} at once, iteration {} of {} ({who})",
        elapsed(glance.now.since_ms(run.started)),
        asleep(run),
        branch(&run.target),
        run.parallel,
        run.iterations,
        run.max_iterations,
    );
    if run.stop.is_some() {
        out.push_str("; stopping");
    }
    out
}

/// What keeps what has landed from the target, and what fails on the target by itself.
pub(super) fn queue_words(run: &RunView) -> Vec<String> {
    let mut out = Vec::new();
    let target = branch(&run.target);
    if let Some(why) = &run.publish_waits {
        let number = run.unpublished.len();
        let features = names(run.unpublished.iter().map(|slug| slug.as_str()));
        let what = match number {
            0 => "what has landed".to_owned(),
            _ => features,
        };
        out.push(format!("not in {target} yet: {what}: {}", reason(why, 400)));
    }
    if let Some(command) = &run.broken_base {
        let command = shown(command, 80);
        out.push(format!(
            "{target} is broken by itself: `{command}` fails there; only what repairs it can land"
        ));
    }
    if run.overtaken && run.ended.is_none() {
        out.push(format!(
            "{target} moves faster than features land: one at a time until one has"
        ));
    }
    out
}

struct Page<'a> {
    glance: &'a Glance<'a>,
    width: usize,
    colour: bool,
    slug_columns: usize,
    out: String,
}

impl Page<'_> {
    fn head(&mut self) {
        let glance = self.glance;
        if glance.view.features.is_empty() {
            self.row("no features: a feature is a spec, specs/<name>/spec.md", "");
        } else {
            let bar = (self.width / 4).min(24);
            self.row(&overall(glance.view, glance.live.is_some(), bar), BOLD);
        }
        for (text, urgent) in standing(glance) {
            self.row(&text, if urgent { RED } else { "" });
        }
    }

    fn list(&mut self, title: &str, colour: &str, features: &[&FeatureView]) {
        if features.is_empty() {
            return;
        }
        self.heading(title, colour, features.len());
        let rows = features.iter().take(MAX_ROWS);
        let longest = rows.clone().map(|f| f.slug.as_str().len()).max();
        self.slug_columns = longest.unwrap_or(0).min(32).min(self.width / 3);
        for feature in rows {
            let row = self.feature_row(feature);
            self.row(&row, "");
            if let Some(command) = command(feature) {
                let indent = self.slug_columns + 4;
                let _ = writeln!(self.out, "{:indent$}{command}", "");
            }
        }
        if let Some(more) = features.len().checked_sub(MAX_ROWS).filter(|n| *n > 0) {
            let text = format!("  … and {} more (`harness status --json`)", count(more));
            self.row(&text, "");
        }
    }

    fn feature_row(&self, feature: &FeatureView) -> String {
        let slug = padded(feature.slug.as_str(), self.slug_columns);
        let glance = self.glance;
        let output = glance.words(&feature.slug);
        let words = about(
            feature,
            glance.view.halt.is_some(),
            output,
            glance.now,
            self.width,
        );
        let stage = stage_shown(feature.stage, glance.live.is_some());
        match feature.stage {
            Stage::Waiting | Stage::Skipped | Stage::Merged | Stage::LeftOut => {
                format!("  {slug}  {words}")
            }
            stage_now if is_active(stage_now) => {
                let iteration = format!("#{}", feature.iteration);
                let time = match &glance.live {
                    Some(_) => elapsed(glance.now.since_ms(feature.since)),
                    None => "-".to_owned(),
                };
                format!("  {slug}  {stage:<9} {iteration:<4} {time:>6}  {words}")
            }
            _ => format!("  {slug}  {stage:<7}  {words}"),
        }
    }

    fn heading(&mut self, title: &str, colour: &str, number: usize) {
        self.out.push('\n');
        self.row(&format!("{title} ({})", count(number)), colour);
    }

    /// A line of the page: escaped, cut, painted.
    fn row(&mut self, text: &str, colour: &str) {
        let line = cut(&escaped(text), self.width);
        let line = line.trim_end();
        let _ = if self.colour && !colour.is_empty() {
            writeln!(self.out, "\u{1b}[{colour}m{line}\u{1b}[0m")
        } else {
            writeln!(self.out, "{line}")
        };
    }
}
