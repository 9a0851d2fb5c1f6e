//! The report as Markdown that can be pasted into a pull request or a chat.
//!
//! What agents, files and people said must stay text there: marks of Markdown are escaped, and what a page would turn into
//! a mention, a reference or a link stands as code.

use super::parts;
use super::{LandedPart, Morning, Need};
use crate::report::text::{count, some};
use std::fmt::Write as _;

/// Steps of the critical path, learnings and the like that are listed; the rest is counted.
const MOST: usize = 40;
/// So many of those that need a person are told with what there is to see.
const SHOWN: usize = 8;
/// From so many on, landed features are listed by a line each.
const MANY: usize = 30;

/// The report as Markdown. `state_dir` is the state directory as it is to be shown.
#[must_use]
pub fn morning_markdown(morning: &Morning, state_dir: &str) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "# harness: {}\n", inline(&morning.run.id));
    let _ = writeln!(out, "**{}**\n", own(&morning.sentence));
    for (name, value) in parts::facts(morning) {
        let _ = writeln!(out, "- {name}: {}", own(&value));
    }
    if !morning.needs.is_empty() {
        let _ = writeln!(out, "\n## Needs you ({})", count(morning.needs.len()));
        for (n, need) in morning.needs.iter().enumerate() {
            write_need(&mut out, need, n < SHOWN, state_dir);
        }
    }
    if !morning.landed.is_empty() {
        let _ = writeln!(out, "\n## Landed ({})\n", count(morning.landed.len()));
        let is_short = morning.landed.len() >= MANY;
        for landed in &morning.landed {
            write_landed(&mut out, landed, is_short, state_dir);
        }
    }
    if !morning.smells.is_empty() {
        let _ = writeln!(out, "\n## Look closer ({})\n", count(morning.smells.len()));
        let lines = morning.smells.iter().map(|smell| match &smell.slug {
            Some(slug) => format!("**{slug}** {}", inline(&smell.text)),
            None => inline(&smell.text),
        });
        items(&mut out, lines);
    }
    write_timeline(&mut out, morning);
    write_cost(&mut out, morning);
    if !morning.learnings.is_empty() {
        let _ = writeln!(out, "\n## Learnings ({})\n", count(morning.learnings.len()));
        let lines = morning.learnings.iter().map(|learning| {
            let (slug, n) = (&learning.slug, learning.iteration);
            format!("{} ({slug}, iteration {n})", inline(&learning.text))
        });
        items(&mut out, lines);
    }
    if !morning.next.is_empty() {
        let _ = writeln!(out, "\n## Next ({})\n", count(morning.next.len()));
        let lines = morning.next.iter();
        items(
            &mut out,
            lines.map(|next| format!("**{}** {}", next.slug, inline(&next.why))),
        );
    }
    out
}

fn write_need(out: &mut String, need: &Need, is_shown: bool, state_dir: &str) {
    let _ = match &need.slug {
        Some(slug) => writeln!(out, "\n### {slug}: {}\n", inline(need.kind)),
        None => writeln!(out, "\n### {}\n", inline(&need.title)),
    };
    if need.slug.is_some() {
        let _ = writeln!(out, "{}\n", inline(&need.title));
    }
    for line in need.why.lines() {
        let _ = writeln!(out, "> {}", inline(line));
    }
    for (title, text) in need.evidence.iter().filter(|_| is_shown) {
        let _ = writeln!(out, "\n{}:\n\n{}", inline(title), block(text, "text"));
    }
    let _ = write!(out, "\n{}", block(&need.commands.join("\n"), "sh"));
    let paths = need.links.iter();
    let paths: Vec<String> = paths
        .map(|link| code(&format!("{state_dir}/{}", link.path)))
        .collect();
    if !paths.is_empty() {
        let _ = writeln!(out, "\nSee {}", paths.join(", "));
    }
}

fn write_landed(out: &mut String, landed: &LandedPart, is_short: bool, state_dir: &str) {
    let (slug, commit) = (&landed.slug, landed.commit.short());
    let changes = match parts::changes(landed) {
        none if none.is_empty() => none,
        changes => format!(" · {}", own(&changes)),
    };
    let place = match landed.published {
        true => "",
        false => " · not in the target yet",
    };
    let title = inline(&landed.title);
    let made = own(&parts::made(landed));
    let _ = writeln!(
        out,
        "- **{slug}** `{commit}` {title}{changes} · {made}{place}"
    );
    if is_short {
        return;
    }
    if !landed.summary.is_empty() {
        let first = landed.summary.lines().next().unwrap_or_default();
        let _ = writeln!(out, "  - {}", inline(first));
    }
    let commands = landed.proof.commands.iter();
    let commands: Vec<String> = commands.map(|command| code(command)).collect();
    let commands = match commands.len() {
        0 => String::new(),
        _ => format!("{}: ", commands.join(", ")),
    };
    let log = landed.links.iter().find(|link| link.name == "gate");
    let log = log.map(|link| format!(", {}", code(&format!("{state_dir}/{}", link.path))));
    let proof = inline(&parts::proof(&landed.proof));
    let _ = writeln!(out, "  - {commands}{proof}{}", log.unwrap_or_default());
}

fn write_timeline(out: &mut String, morning: &Morning) {
    let timeline = &morning.timeline;
    if timeline.critical.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n## What took the time\n");
    let lanes = timeline.lanes.iter();
    let lanes: Vec<String> = lanes
        .map(|lane| {
            format!(
                "{} {} %",
                parts::lane_name(lane),
                parts::busy(lane, timeline)
            )
        })
        .collect();
    let _ = writeln!(out, "In use: {}.\n", lanes.join(", "));
    let sums = parts::critical(timeline);
    let _ = writeln!(out, "The chain that determined the end ({sums}):\n");
    let steps = timeline.critical.iter().map(|step| {
        let (what, why) = parts::step(step);
        format!("{} ({why})", inline(&what))
    });
    for (n, step) in steps.enumerate().take(MOST) {
        let _ = writeln!(out, "{}. {step}", n + 1);
    }
    if let Some(more) = timeline.critical.len().checked_sub(MOST).filter(|n| *n > 0) {
        let _ = writeln!(out, "\n… and {}", some(more, "more step"));
    }
}

fn write_cost(out: &mut String, morning: &Morning) {
    let cost = &morning.cost;
    if cost.agents.is_empty() {
        return;
    }
    let _ = writeln!(
        out,
        "\n## Cost\n\n| agent | iterations | failed | time | tokens | money | from cache | landed | first claims that \
         landed |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|"
    );
    for row in &cost.agents {
        let [tokens, money, cached] = parts::usage(&row.usage);
        let (name, first) = (cell(&row.name), parts::first_pass(row));
        let (calls, failed, landed) = (row.iterations, row.failed, row.landed);
        let took = parts::took(row.work_ms);
        let _ = writeln!(
            out,
            "| {name} | {calls} | {failed} | {took} | {tokens} | {money} | {cached} | {landed} | {first} |"
        );
    }
    let known = cost.features.iter().filter(|row| row.usage.tokens() > 0);
    let known: Vec<_> = known.collect();
    if known.is_empty() {
        return;
    }
    let _ = writeln!(
        out,
        "\n| feature | iterations | time | tokens | money | from cache |\n|---|--:|--:|--:|--:|--:|"
    );
    for row in known.iter().take(MOST) {
        let [tokens, money, cached] = parts::usage(&row.usage);
        let (slug, calls, took) = (&row.slug, row.iterations, parts::took(row.work_ms));
        let _ = writeln!(
            out,
            "| {slug} | {calls} | {took} | {tokens} | {money} | {cached} |"
        );
    }
    if let Some(more) = known.len().checked_sub(MOST).filter(|n| *n > 0) {
        let _ = writeln!(out, "\n… and {}", some(more, "more feature"));
    }
}

fn items(out: &mut String, lines: impl ExactSizeIterator<Item = String>) {
    let more = lines.len().saturating_sub(MOST);
    for line in lines.take(MOST) {
        let _ = writeln!(out, "- {line}");
    }
    if more > 0 {
        let _ = writeln!(out, "- … and {} more", count(more));
    }
}

/// On its one line, as text.
pub(super) fn inline(text: &str) -> String {
    let words = text.split_whitespace();
    words.map(word).collect::<Vec<_>>().join(" ")
}

/// The same in a table, where `|` ends a cell, in code too. Elsewhere a backslash in code is one.
fn cell(text: &str) -> String {
    let words = text.split_whitespace().map(|text| match refers(text) {
        true => code(text).replace('|', "\\|"),
        false => word(text),
    });
    words.collect::<Vec<_>>().join(" ")
}

/// The same for what harness says itself: in its figures `~` and `$` are no marks.
fn own(text: &str) -> String {
    inline(text).replace("\\~", "~").replace("\\$", "$")
}

/// Whether it would become a link, or call somebody.
fn refers(word: &str) -> bool {
    word.contains('@')
        || word.contains("://")
        || word.to_ascii_lowercase().contains("www.")
        || (word.contains('#') && word.contains(|c: char| c.is_ascii_digit()))
}

fn word(word: &str) -> String {
    if refers(word) {
        return code(word);
    }
    let mut out = String::with_capacity(word.len());
    for (n, c) in word.char_indices() {
        let is_mark = matches!(
            c,
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '#' | '~' | '&' | '!' | '$'
        );
        // Alone at the beginning of a line these make a list, a heading or a rule.
        let is_first =
            n == 0 && matches!(c, '-' | '+' | '=') && word.chars().all(|other| other == c);
        let is_last = n > 0 && n + 1 == word.len();
        let is_number =
            is_last && matches!(c, '.' | ')') && word[..n].bytes().all(|b| b.is_ascii_digit());
        if is_mark || is_first || is_number {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// As code within a line, whatever it holds.
fn code(text: &str) -> String {
    let fence = "`".repeat(longest_run(text) + 1);
    let text = text.replace('\n', " ");
    match text.starts_with('`') || text.ends_with('`') {
        true => format!("{fence} {text} {fence}"),
        false => format!("{fence}{text}{fence}"),
    }
}

/// Lines as they are.
fn block(text: &str, language: &str) -> String {
    let fence = "`".repeat(longest_run(text).max(2) + 1);
    format!("{fence}{language}\n{text}\n{fence}\n")
}

fn longest_run(text: &str) -> usize {
    let runs = text.split(|c| c != '`').map(str::len);
    runs.max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{block, cell, code, inline};

    #[test]
    fn words_stay_words() {
        for (text, expected) in [
            ("a_b *c* <d>", "a\\_b \\*c\\* \\<d\\>"),
            ("1. one", "1\\. one"),
            ("é. 12) - ---", "é. 12\\) \\- \\---"),
            ("+4 −1 in 0.1s", "+4 −1 in 0.1s"),
            ("ask @bob of #12", "ask `@bob` of `#12`"),
            ("see http://x.y/`z", "see ``http://x.y/`z``"),
        ] {
            assert_eq!(inline(text), expected, "{text}");
        }
    }

    #[test]
    fn code_ends_where_it_should() {
        assert_eq!(code("a`b"), "``a`b``");
        assert_eq!(code("`a`"), "`` `a` ``");
        assert_eq!(code("make | tee log"), "`make | tee log`");
        assert_eq!(cell("a|b x@y|z"), "a\\|b `x@y\\|z`");
        assert_eq!(block("a\n```\nb", "sh"), "````sh\na\n```\nb\n````\n");
    }
}
