//! The timeline as SVG, to stand in the HTML page.
//!
//! Its classes are coloured by the page's own sheet. Every word in it goes through the page's escaping.

use super::html::escape;
use super::parts;
use super::{Bar, Timeline, What};
use crate::core::{AttemptResult, IterationResult};
use crate::model::Stamp;
use crate::report::text::clock;
use jiff::tz::TimeZone;
use std::fmt::Write as _;

/// The drawing's width, in its own units.
const WIDTH: f64 = 1000.0;
/// Room for the lanes' names.
const GUTTER: f64 = 66.0;
const AXIS: f64 = 24.0;
const LANE: f64 = 26.0;
const BAR: f64 = 20.0;
/// Bars narrower than this that do not count are left out.
const NARROW: f64 = 0.35;
/// Width of a letter of a label.
const LETTER: f64 = 6.1;
/// The most ticks of the axis.
const TICKS: u64 = 9;

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
/// Distances between two ticks.
const STEPS: [u64; 20] = [
    SECOND,
    2 * SECOND,
    5 * SECOND,
    10 * SECOND,
    15 * SECOND,
    30 * SECOND,
    MINUTE,
    2 * MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
    2 * DAY,
    7 * DAY,
];

/// Where a moment stands.
struct Scale {
    from: Stamp,
    ms: f64,
}

impl Scale {
    fn x(&self, at: Stamp) -> f64 {
        let share = (at.since_ms(self.from) as f64 / self.ms).min(1.0);
        GUTTER + share * (WIDTH - GUTTER - 6.0)
    }
}

/// The drawing.
pub(super) fn gantt(timeline: &Timeline, zone: &TimeZone) -> String {
    let scale = Scale {
        from: timeline.from,
        ms: timeline.to.since_ms(timeline.from).max(1) as f64,
    };
    let height = AXIS + LANE * timeline.lanes.len() as f64 + 4.0;
    let mut out = format!(
        "<svg class=\"gantt\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-labelledby=\"gantt-title\">\n\
         <title id=\"gantt-title\">Who did what when. The same stands below as a table.</title>\n"
    );
    axis(&mut out, timeline, zone, &scale, height);
    for (n, lane) in timeline.lanes.iter().enumerate() {
        let y = AXIS + LANE * n as f64 + (LANE - BAR) / 2.0;
        let name = parts::lane_name(lane);
        let _ = writeln!(
            out,
            "<text class=\"lane\" x=\"0\" y=\"{:.1}\">{name}</text>",
            y + 14.0
        );
        for bar in &lane.bars {
            draw(&mut out, bar, &scale, y);
        }
    }
    for (from, to) in &timeline.asleep {
        let (x, end) = (scale.x(*from), scale.x(*to));
        let _ = writeln!(
            out,
            "<rect class=\"asleep\" x=\"{x:.1}\" y=\"{AXIS}\" width=\"{:.1}\" height=\"{:.1}\"><title>the machine \
             slept</title></rect>",
            (end - x).max(0.5),
            height - AXIS
        );
    }
    out.push_str("</svg>\n");
    out
}

fn axis(out: &mut String, timeline: &Timeline, zone: &TimeZone, scale: &Scale, height: f64) {
    let all = timeline.to.since_ms(timeline.from).max(1);
    let step = STEPS.iter().copied().find(|step| all / step <= TICKS);
    let step = step.unwrap_or(all / TICKS);
    let format = match step {
        0..MINUTE => "%H:%M:%S",
        MINUTE..DAY if all < DAY => "%H:%M",
        MINUTE..DAY => "%a %H:%M",
        _ => "%b %-d",
    };
    // Hours and days begin where the reader's do.
    let ahead = ahead_ms(timeline.from, zone);
    let mut local = timeline.from.0.saturating_add(ahead).div_ceil(step) * step;
    while local.saturating_sub(ahead) <= timeline.to.0 {
        let at = Stamp(local.saturating_sub(ahead));
        let x = scale.x(at);
        let label = clock(at, zone, format);
        // The last one must not leave the drawing.
        let class = if x > WIDTH - GUTTER / 2.0 {
            "time last"
        } else {
            "time"
        };
        let _ = writeln!(
            out,
            "<line class=\"tick\" x1=\"{x:.1}\" y1=\"{AXIS}\" x2=\"{x:.1}\" y2=\"{height:.1}\"/>\
             <text class=\"{class}\" x=\"{x:.1}\" y=\"15\">{label}</text>"
        );
        local += step;
    }
}

/// How far the zone is ahead of UTC, in milliseconds, in less than a day.
fn ahead_ms(at: Stamp, zone: &TimeZone) -> u64 {
    let ms = i64::try_from(at.0).unwrap_or(i64::MAX);
    let moment = jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::MAX);
    let seconds = i64::from(zone.to_offset(moment).seconds()).rem_euclid(24 * 60 * 60);
    u64::try_from(seconds).unwrap_or(0) * SECOND
}

fn draw(out: &mut String, bar: &Bar, scale: &Scale, y: f64) {
    let (x, end) = (scale.x(bar.from), scale.x(bar.to));
    let width = end - x;
    let is_minor = matches!(bar.what, What::Between | What::Preparing);
    if is_minor && width < NARROW {
        return;
    }
    let class = class(bar.what);
    if bar.is_critical {
        // Without a gap: it goes through all of it.
        let (below, whole) = (y + BAR + 1.2, width.max(0.8));
        let _ = writeln!(
            out,
            "<rect class=\"critical\" x=\"{x:.1}\" y=\"{below:.1}\" width=\"{whole:.1}\" height=\"2.6\"/>"
        );
    }
    // A hair between neighbours, and never nothing.
    let width = if width > 3.0 {
        width - 0.8
    } else {
        width.max(0.8)
    };
    let title = escape(&parts::bar(bar));
    let _ = write!(
        out,
        "<g><title>{title}</title><rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" \
         height=\"{BAR}\" rx=\"2\"/>"
    );
    if let Some(label) = label(bar, width) {
        let label = escape(&label);
        let _ = write!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\">{label}</text>",
            x + 4.0,
            y + 14.0
        );
    }
    out.push_str("</g>\n");
}

/// As much of the features' names as there is room for.
fn label(bar: &Bar, width: f64) -> Option<String> {
    if matches!(bar.what, What::Between | What::Preparing) {
        return None;
    }
    let first = bar.slugs.first()?.as_str();
    let text = match bar.slugs.len() {
        1 => first.to_owned(),
        n => format!("{first} +{}", n - 1),
    };
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the drawing is a thousand units wide"
    )]
    let room = ((width - 8.0) / LETTER).max(0.0) as usize;
    match text.len() {
        fits if fits <= room => Some(text),
        _ if room >= 4 => Some(format!("{}…", text.get(..room - 1)?)),
        _ => None,
    }
}

/// The class of a bar in the sheet.
pub(super) fn class(what: What) -> &'static str {
    match what {
        What::Preparing => "preparing",
        What::Between => "between",
        What::Account => "account",
        What::Iteration { result, .. } => match result {
            IterationResult::Failed | IterationResult::Refused => "failed",
            IterationResult::Blocked => "blocked",
            IterationResult::Open => "cut",
            IterationResult::Step | IterationResult::Claimed => "iteration",
        },
        What::Attempt { result, .. } => match result {
            AttemptResult::Green => "green",
            AttemptResult::Red | AttemptResult::Split => "red",
            AttemptResult::Conflict => "conflict",
            AttemptResult::Open | AttemptResult::Dropped => "cut",
        },
    }
}
