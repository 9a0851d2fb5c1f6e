//! The report on a terminal: the same, in few lines.

use super::parts;
use super::{LandedPart, Morning};
use crate::report::text::{count, cut, padded, shown, some};
use std::fmt::Write as _;

/// Rows of a part; the rest is counted.
const ROWS: usize = 30;
/// Lines of evidence.
const LINES: usize = 8;

/// The report, no wider than so many columns where words can be cut. `state_dir` is the state directory as it is to be
/// shown.
#[must_use]
pub fn morning_text(morning: &Morning, state_dir: &str, columns: usize) -> String {
    let mut out = format!("{}\n", morning.sentence);
    let facts = parts::facts(morning);
    let wide = facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, value) in facts {
        let _ = writeln!(out, "  {}  {value}", padded(&name.to_lowercase(), wide));
    }
    write_needs(&mut out, morning, columns);
    if !morning.landed.is_empty() {
        let _ = writeln!(out, "\nLanded ({})", count(morning.landed.len()));
        let slugs = morning.landed.iter().take(ROWS);
        let wide = slugs
            .map(|part| part.slug.as_str().len())
            .max()
            .unwrap_or(0);
        let rows = morning.landed.iter();
        table(&mut out, rows.map(|part| landed(part, wide)), columns);
    }
    if !morning.smells.is_empty() {
        let _ = writeln!(out, "\nLook closer ({})", count(morning.smells.len()));
        let rows = morning.smells.iter().map(|smell| match &smell.slug {
            Some(slug) => format!("{slug} {}", smell.text),
            None => smell.text.clone(),
        });
        table(&mut out, rows, columns.max(160));
    }
    if !morning.timeline.critical.is_empty() {
        let sums = parts::critical(&morning.timeline);
        let _ = writeln!(out, "\nThe chain that determined the end: {sums}");
        let rows = morning.timeline.critical.iter().map(|step| {
            let (what, why) = parts::step(step);
            format!("{what} ({why})")
        });
        table(&mut out, rows, columns);
    }
    write_cost(&mut out, morning, columns);
    if !morning.learnings.is_empty() {
        let _ = writeln!(out, "\nLearnings ({})", count(morning.learnings.len()));
        let rows = morning.learnings.iter();
        let rows = rows.map(|it| format!("{} ({} #{})", it.text, it.slug, it.iteration));
        table(&mut out, rows, columns.max(160));
    }
    if !morning.next.is_empty() {
        let _ = writeln!(out, "\nNext ({})", count(morning.next.len()));
        let rows = morning.next.iter();
        table(
            &mut out,
            rows.map(|it| format!("{}  {}", it.slug, it.why)),
            columns,
        );
    }
    let _ = writeln!(
        out,
        "\nfiles: {state_dir}/reports/{}.{{html,md,json}}",
        morning.run.id
    );
    out
}

fn write_needs(out: &mut String, morning: &Morning, columns: usize) {
    if morning.needs.is_empty() {
        return;
    }
    let _ = writeln!(out, "\nNeeds you ({})", count(morning.needs.len()));
    for need in morning.needs.iter().take(ROWS) {
        let _ = match &need.slug {
            Some(slug) => writeln!(out, "  {slug}  {}: {}", need.kind, shown(&need.why, 400)),
            None => writeln!(out, "  {}: {}", need.title, shown(&need.why, 400)),
        };
        for (title, text) in &need.evidence {
            let _ = writeln!(out, "    {title}:");
            let lines: Vec<&str> = text.lines().collect();
            for line in &lines[lines.len().saturating_sub(LINES)..] {
                let _ = writeln!(out, "      {}", cut(line, columns.saturating_sub(6)));
            }
        }
        for command in &need.commands {
            let _ = writeln!(out, "    $ {command}");
        }
    }
    if let Some(more) = morning.needs.len().checked_sub(ROWS).filter(|n| *n > 0) {
        let _ = writeln!(out, "  … and {} more", count(more));
    }
}

fn landed(part: &LandedPart, wide: usize) -> String {
    let slug = padded(part.slug.as_str(), wide);
    let commit = part.commit.short();
    let mut about: Vec<String> = [parts::changes(part), parts::effort(part)]
        .into_iter()
        .filter(|text| !text.is_empty())
        .collect();
    if !part.published {
        about.push("not in the target yet".to_owned());
    }
    format!("{commit}  {slug}  {}  {}", about.join(" · "), part.title)
}

fn write_cost(out: &mut String, morning: &Morning, columns: usize) {
    if morning.cost.agents.is_empty() {
        return;
    }
    let _ = writeln!(out, "\nAgents");
    let rows = morning.cost.agents.iter().map(|row| {
        let [tokens, money, cached] = parts::usage(&row.usage);
        format!(
            "{}  {}, {} failed, {}; {} landed, first claims that landed: {}; tokens {tokens}, money {money}, from \
             cache {cached}",
            row.name,
            some(usize::try_from(row.iterations).unwrap_or(usize::MAX), "iteration"),
            row.failed,
            parts::took(row.work_ms),
            row.landed,
            parts::first_pass(row),
        )
    });
    table(out, rows, columns.max(160));
}

fn table(out: &mut String, rows: impl ExactSizeIterator<Item = String>, columns: usize) {
    let more = rows.len().saturating_sub(ROWS);
    for row in rows.take(ROWS) {
        let _ = writeln!(out, "  {}", cut(&row, columns.saturating_sub(2)));
    }
    if more > 0 {
        let _ = writeln!(out, "  … and {} more", count(more));
    }
}
