//! The report as one HTML file: no script, nothing loaded, fit for the dark and for paper.
//!
//! Whatever agents, files and people said is escaped where it is put in; nothing of it is ever part of a tag.

use super::gantt::gantt;
use super::parts;
use super::{Cost, LandedPart, Link, Morning, Need, RunState, Timeline};
use crate::report::text::{clock, count};
use std::fmt::Write as _;

/// What needs a person, and landed features, are shown in full up to so many; of more, each opens when it is clicked on.
const OPEN_MOST: usize = 6;
/// Rows of the timeline's table.
const ROWS_MOST: usize = 3_000;
/// Steps of the critical path, and rows of the costs, that are shown at once.
const SHOWN_MOST: usize = 25;

/// The report as a page. Links go to `base`, an address that ends in `/`, followed by their path.
#[must_use]
pub fn morning_html(morning: &Morning, base: &str) -> String {
    let mut out = String::with_capacity(64 * 1024);
    let title = escape(&format!("harness {}", morning.run.id));
    let _ = write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n<style>\n{}</style>\n</head>\n<body>\n",
        include_str!("style.css")
    );
    head(&mut out, morning);
    if !morning.needs.is_empty() {
        section(&mut out, "needs", "Needs you", Some(morning.needs.len()));
        let is_open = morning.needs.len() <= OPEN_MOST;
        for need in &morning.needs {
            write_need(&mut out, need, is_open, base);
        }
        out.push_str("</section>\n");
    }
    if !morning.landed.is_empty() {
        section(&mut out, "landed", "Landed", Some(morning.landed.len()));
        let is_open = morning.landed.len() <= OPEN_MOST;
        for landed in &morning.landed {
            write_landed(&mut out, landed, is_open, base);
        }
        out.push_str("</section>\n");
    }
    if !morning.smells.is_empty() {
        section(
            &mut out,
            "closer",
            "Look closer",
            Some(morning.smells.len()),
        );
        out.push_str("<ul class=\"rows\">\n");
        for smell in &morning.smells {
            let slug = smell.slug.as_ref().map(|slug| format!("<b>{slug}</b> "));
            let (slug, text) = (slug.unwrap_or_default(), escape(&smell.text));
            let _ = writeln!(out, "<li>{slug}{text}</li>");
        }
        out.push_str("</ul>\n</section>\n");
    }
    write_timeline(&mut out, morning);
    write_cost(&mut out, &morning.cost);
    write_learnings(&mut out, morning);
    write_next(&mut out, morning);
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

/// As text within a tag or an attribute.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

fn head(out: &mut String, morning: &Morning) {
    let mood = match (morning.run.state, morning.needs.len()) {
        (RunState::CutOff, _) => "bad",
        (_, 0) => "good",
        _ => "needs",
    };
    let _ = writeln!(
        out,
        "<header class=\"{mood}\">\n<h1>{}</h1>",
        escape(&morning.sentence)
    );
    out.push_str("<dl>\n");
    for (name, value) in parts::facts(morning) {
        let _ = writeln!(out, "<div><dt>{name}</dt><dd>{}</dd></div>", escape(&value));
    }
    out.push_str("</dl>\n<nav>\n");
    let counts = [
        ("needs", "Needs you", morning.needs.len()),
        ("landed", "Landed", morning.landed.len()),
        ("closer", "Look closer", morning.smells.len()),
        (
            "timeline",
            "Timeline",
            usize::from(!morning.timeline.lanes.is_empty()),
        ),
        ("cost", "Cost", usize::from(!morning.cost.agents.is_empty())),
        ("learnings", "Learnings", morning.learnings.len()),
        ("next", "Next", morning.next.len()),
    ];
    for (id, name, number) in counts.iter().filter(|(.., number)| *number > 0) {
        let is_counted = !matches!(*id, "timeline" | "cost");
        let number = is_counted.then(|| format!(" <span>{}</span>", count(*number)));
        let _ = writeln!(
            out,
            "<a href=\"#{id}\">{name}{}</a>",
            number.unwrap_or_default()
        );
    }
    out.push_str("</nav>\n</header>\n<main>\n");
}

fn section(out: &mut String, id: &str, name: &str, number: Option<usize>) {
    let number = number.map(|n| format!(" <span>{}</span>", count(n)));
    let number = number.unwrap_or_default();
    let _ = writeln!(out, "<section id=\"{id}\">\n<h2>{name}{number}</h2>");
}

fn write_need(out: &mut String, need: &Need, is_open: bool, base: &str) {
    let title = escape(&need.title);
    let _ = match &need.slug {
        Some(slug) => writeln!(
            out,
            "<article class=\"need\">\n<h3>{slug} <span class=\"tag\">{}</span></h3>\n<p class=\"title\">{title}</p>",
            need.kind
        ),
        None => writeln!(out, "<article class=\"need\">\n<h3>{title}</h3>"),
    };
    let _ = writeln!(out, "<p class=\"why\">{}</p>", escape(&need.why));
    if !need.evidence.is_empty() {
        let open = if is_open { " open" } else { "" };
        let _ = writeln!(out, "<details{open}>\n<summary>Evidence</summary>");
        for (title, text) in &need.evidence {
            let (title, text) = (escape(title), escape(text));
            let _ = writeln!(out, "<p class=\"of\">{title}</p>\n<pre>{text}</pre>");
        }
        out.push_str("</details>\n");
    }
    let commands = escape(&need.commands.join("\n"));
    let _ = writeln!(out, "<pre class=\"commands\">{commands}</pre>");
    write_links(out, &need.links, base);
    out.push_str("</article>\n");
}

fn write_links(out: &mut String, links: &[Link], base: &str) {
    if links.is_empty() {
        return;
    }
    out.push_str("<p class=\"links\">");
    for link in links {
        let (base, path) = (escape(base), escape(&link.path));
        let _ = write!(out, "<a href=\"{base}{path}\">{}</a> ", escape(&link.name));
    }
    out.push_str("</p>\n");
}

fn write_landed(out: &mut String, landed: &LandedPart, is_open: bool, base: &str) {
    let open = if is_open { " open" } else { "" };
    let (slug, commit) = (&landed.slug, landed.commit.short());
    let title = escape(&landed.title);
    let _ = write!(
        out,
        "<details{open}>\n<summary><code>{commit}</code> <b>{slug}</b> <span class=\"title\">{title}</span> "
    );
    if !landed.published {
        out.push_str("<span class=\"tag\">not in the target yet</span> ");
    }
    let size = [parts::changes(landed), parts::effort(landed)];
    let size: Vec<String> = size.into_iter().filter(|part| !part.is_empty()).collect();
    let size = escape(&size.join(" · "));
    let _ = write!(out, "<span class=\"size\">{size}</span></summary>\n<div>\n");
    if !landed.summary.is_empty() {
        let _ = writeln!(out, "<p class=\"why\">{}</p>", escape(&landed.summary));
    }
    let proof = escape(&parts::proof(&landed.proof));
    let commands = landed.proof.commands.iter();
    let commands: Vec<String> = commands
        .map(|command| format!("<code>{}</code>", escape(command)))
        .collect();
    let commands = match commands.len() {
        0 => String::new(),
        _ => format!("{}: ", commands.join(", ")),
    };
    let _ = writeln!(out, "<p>{commands}{proof}</p>");
    let _ = writeln!(out, "<p class=\"of\">{}</p>", escape(&parts::made(landed)));
    write_links(out, &landed.links, base);
    out.push_str("</div>\n</details>\n");
}

fn write_timeline(out: &mut String, morning: &Morning) {
    let timeline = &morning.timeline;
    if timeline.lanes.is_empty() {
        return;
    }
    section(out, "timeline", "Timeline", None);
    let _ = writeln!(
        out,
        "<div class=\"wide\">\n{}</div>",
        gantt(timeline, &morning.zone)
    );
    legend(out, timeline);
    if !timeline.critical.is_empty() {
        let sums = escape(&parts::critical(timeline));
        let _ = writeln!(
            out,
            "<h3>The chain that determined the end</h3>\n<p class=\"of\">{sums}</p>"
        );
        let rows = timeline.critical.iter().map(|step| {
            let (what, why) = parts::step(step);
            format!("<li>{} <span class=\"of\">{why}</span></li>", escape(&what))
        });
        folded(out, "ol", "steps", rows.collect());
    }
    let rows = timeline.lanes.iter();
    let rows = rows.flat_map(|lane| lane.bars.iter().map(move |bar| (lane, bar)));
    out.push_str("<details class=\"table\">\n<summary>The timeline as a table</summary>\n<div class=\"wide\"><table>\n");
    out.push_str("<tr><th>Lane</th><th>From</th><th>To</th><th>What</th></tr>\n");
    for (lane, bar) in rows.take(ROWS_MOST) {
        let time = |at| clock(at, &morning.zone, "%H:%M:%S");
        let (from, to) = (time(bar.from), time(bar.to));
        let critical = if bar.is_critical {
            " class=\"critical\""
        } else {
            ""
        };
        let (lane, what) = (parts::lane_name(lane), escape(&parts::bar(bar)));
        let _ = writeln!(
            out,
            "<tr{critical}><td>{lane}</td><td>{from}</td><td>{to}</td><td>{what}</td></tr>"
        );
    }
    out.push_str("</table></div>\n</details>\n</section>\n");
}

/// What the colours mean, of those that are there.
fn legend(out: &mut String, timeline: &Timeline) {
    const NAMES: [(&str, &str); 11] = [
        ("preparing", "worktree made ready"),
        ("iteration", "iteration"),
        ("failed", "iteration that failed or was refused"),
        ("blocked", "iteration that asked you"),
        ("between", "between two iterations"),
        ("account", "waits for its account"),
        ("green", "merge, green"),
        ("red", "merge, red"),
        ("conflict", "merge, conflict"),
        ("cut", "did not end, or came to nothing"),
        ("asleep", "the machine slept"),
    ];
    let bars = timeline.lanes.iter().flat_map(|lane| &lane.bars);
    let mut here: Vec<&str> = bars.map(|bar| super::gantt::class(bar.what)).collect();
    if !timeline.asleep.is_empty() {
        here.push("asleep");
    }
    out.push_str("<ul class=\"legend\">\n");
    for (class, name) in NAMES.iter().filter(|(class, _)| here.contains(class)) {
        let _ = writeln!(out, "<li><i class=\"{class}\"></i>{name}</li>");
    }
    out.push_str("<li><i class=\"critical\"></i>the chain that determined the end</li>\n</ul>\n");
}

fn write_cost(out: &mut String, cost: &Cost) {
    if cost.agents.is_empty() {
        return;
    }
    section(out, "cost", "Cost and cache", None);
    out.push_str(
        "<div class=\"wide\"><table>\n<tr><th>Agent</th><th>Iterations</th><th>Failed</th><th>Time</th><th>Tokens</th>\
         <th>Money</th><th>From cache</th><th>Landed</th><th>First claims that landed</th></tr>\n",
    );
    for row in &cost.agents {
        let name = escape(&row.name);
        let cells = [
            row.iterations.to_string(),
            row.failed.to_string(),
            parts::took(row.work_ms),
        ];
        let cells = cells.into_iter().chain(parts::usage(&row.usage));
        let cells = cells.chain([row.landed.to_string(), parts::first_pass(row)]);
        let cells: String = cells.map(|cell| format!("<td>{cell}</td>")).collect();
        let _ = writeln!(out, "<tr><th>{name}</th>{cells}</tr>");
    }
    out.push_str("</table></div>\n");
    let mut rows = cost.features.iter().map(|row| {
        let cells = [row.iterations.to_string(), parts::took(row.work_ms)];
        let cells = cells.into_iter().chain(parts::usage(&row.usage));
        let cells: String = cells.map(|cell| format!("<td>{cell}</td>")).collect();
        format!("<tr><th>{}</th>{cells}</tr>\n", row.slug)
    });
    let header = "<tr><th>Feature</th><th>Iterations</th><th>Time</th><th>Tokens</th><th>Money</th><th>From cache</th></tr>\n";
    let first: String = rows.by_ref().take(SHOWN_MOST).collect();
    let _ = writeln!(
        out,
        "<div class=\"wide\"><table>\n{header}{first}</table></div>"
    );
    let more: Vec<String> = rows.collect();
    if !more.is_empty() {
        let (number, more) = (count(more.len()), more.concat());
        let _ = writeln!(
            out,
            "<details class=\"table\">\n<summary>{number} more</summary>\n<div class=\"wide\"><table>\n{header}{more}</table>\
             </div>\n</details>"
        );
    }
    out.push_str("</section>\n");
}

fn write_learnings(out: &mut String, morning: &Morning) {
    if morning.learnings.is_empty() {
        return;
    }
    let number = morning.learnings.len();
    section(out, "learnings", "Learnings added", Some(number));
    let rows = morning.learnings.iter().map(|learning| {
        let (slug, n) = (&learning.slug, learning.iteration);
        let text = escape(&learning.text);
        format!("<li>{text} <span class=\"of\">{slug}, iteration {n}</span></li>")
    });
    folded(out, "ul", "rows", rows.collect());
    out.push_str("</section>\n");
}

fn write_next(out: &mut String, morning: &Morning) {
    if morning.next.is_empty() {
        return;
    }
    section(out, "next", "Next", Some(morning.next.len()));
    let rows = morning.next.iter().map(|next| {
        let (slug, why) = (&next.slug, escape(&next.why));
        format!(
            "<li><b>{slug}</b> {} <span class=\"of\">{why}</span></li>",
            escape(&next.title)
        )
    });
    folded(out, "ul", "rows", rows.collect());
    out.push_str("</section>\n");
}

/// A list whose end is shown when somebody asks for it.
fn folded(out: &mut String, list: &str, class: &str, mut rows: Vec<String>) {
    let more = rows.split_off(rows.len().min(SHOWN_MOST));
    let _ = writeln!(
        out,
        "<{list} class=\"{class}\">\n{}\n</{list}>",
        rows.join("\n")
    );
    if !more.is_empty() {
        let begin = match list {
            "ol" => format!(" start=\"{}\"", SHOWN_MOST + 1),
            _ => String::new(),
        };
        let _ = writeln!(
            out,
            "<details class=\"table\">\n<summary>{} more</summary>\n<{list} class=\"{class}\"{begin}>\n{}\n</{list}>\n</details>",
            count(more.len()),
            more.join("\n")
        );
    }
}
