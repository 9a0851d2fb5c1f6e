//! The bars on a screen of text cells.

use super::*;
use crate::core::{FeatureView, Stage, Wait};
use crate::model::{Slug, Stamp, Usage};
use crate::report::Heard;
use crate::report::steady::is_combining;
use crate::report::tests::{feature, view_of};
use indicatif::TermLike;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// A terminal that wraps full lines, and whose cursor is always at the end of one.
#[derive(Clone, Debug, Default)]
struct Screen {
    columns: u16,
    cells: Arc<Mutex<(Vec<String>, usize)>>,
}

impl Screen {
    fn text(&self) -> String {
        let (lines, _) = &*self.cells.lock().unwrap();
        let lines: Vec<&str> = lines.iter().map(|line| line.trim_end()).collect();
        lines.join("\n").trim_end().to_owned()
    }

    fn change(&self, act: impl FnOnce(&mut Vec<String>, &mut usize)) -> io::Result<()> {
        let (lines, row) = &mut *self.cells.lock().unwrap();
        act(lines, row);
        if lines.len() <= *row {
            lines.resize(*row + 1, String::new());
        }
        Ok(())
    }
}

impl TermLike for Screen {
    fn width(&self) -> u16 {
        self.columns
    }
    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.change(|_, row| *row = row.saturating_sub(n))
    }
    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.change(|_, row| *row += n)
    }
    fn move_cursor_right(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn move_cursor_left(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn write_line(&self, text: &str) -> io::Result<()> {
        self.write_str(text)?;
        self.change(|_, row| *row += 1)
    }
    fn write_str(&self, text: &str) -> io::Result<()> {
        let columns = usize::from(self.columns);
        let seen = without_links(text);
        self.change(|lines, row| {
            for c in seen.chars() {
                let full = lines
                    .get(*row)
                    .is_some_and(|line| c != '\n' && cells(line) + cells(&c.to_string()) > columns);
                if c == '\n' || full {
                    *row += 1;
                }
                lines.resize(lines.len().max(*row + 1), String::new());
                if full {
                    lines[*row].clear();
                }
                if c != '\n' {
                    lines[*row].push(c);
                }
            }
        })
    }
    fn clear_line(&self) -> io::Result<()> {
        self.change(|lines, row| {
            if let Some(line) = lines.get_mut(*row) {
                line.clear();
            }
        })
    }
    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}

/// What a terminal shows that knows links (`OSC 8`).
fn without_links(text: &str) -> String {
    let mut parts = text.split("\u{1b}]8;;");
    let mut seen = parts.next().unwrap().to_owned();
    for part in parts {
        let (_, after) = part
            .split_once("\u{1b}\\")
            .expect("an end of a link's address");
        seen.push_str(after);
    }
    seen
}

/// Columns on a terminal that gives accents none of their own.
fn cells(text: &str) -> usize {
    let plain: String = text.chars().filter(|c| !is_combining(*c)).collect();
    crate::report::text::width(&plain)
}

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_str(std::str::from_utf8(bytes).unwrap())?;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn bars(columns: u16) -> (Bars, Screen) {
    let screen = Screen {
        columns,
        ..Screen::default()
    };
    let target = ProgressDrawTarget::term_like(Box::new(screen.clone()));
    (Bars::on(target, Box::new(screen.clone())), screen)
}

fn terminal(columns: u16) -> Terminal {
    Terminal {
        columns: columns.into(),
        rows: 18,
        colour: false,
        progress: false,
        links: false,
    }
}

fn show(bars: &mut Bars, features: Vec<FeatureView>, columns: u16) {
    let view = view_of(features);
    let heard = BTreeMap::new();
    let glance = Glance {
        view: &view,
        now: Stamp(view.features[0].since.0 + 252_000),
        live: Some("pid 1".to_owned()),
        heard: &heard,
    };
    bars.show(&glance, terminal(columns));
}

fn slug(name: &str) -> Slug {
    Slug::new(name).unwrap()
}

#[test]
fn the_picture_follows_the_features() {
    let (mut bars, screen) = bars(100);
    let mut working = feature("auth", Stage::Working);
    working.last_words = "moved\u{1b}[2J it".to_owned();
    working.usage.input = 41_200;
    let mut waiting = feature("cart", Stage::Waiting);
    waiting.waits = vec![Wait::Dependencies(vec![slug("auth")])];
    let mut next = feature("docs", Stage::Waiting);
    next.waits = vec![Wait::Slot];
    let features = vec![working, feature("billing", Stage::Gating), waiting, next];
    show(&mut bars, features, 100);
    assert_eq!(
        screen.text(),
        "\
auth  working   #3   4m12s    41k  moved\\u{1b}[2J it
merging: billing gating 4m12s
waiting: 1 for others to land · 1 for a slot · next: docs
░░░░░░░░░░░░░░░░░░░ 0/4 merged · 1/4 slots · 4m12s"
    );
    bars.say("22:15:30  billing  日本\u{1b}");
    let features = vec![
        feature("auth", Stage::Working),
        feature("billing", Stage::Merged),
    ];
    show(&mut bars, features, 100);
    assert_eq!(
        screen.text(),
        "\
22:15:30  billing  日本\\u{1b}
auth  working   #3   4m12s
█████████░░░░░░░░░░ 1/2 merged · 1/4 slots · 4m12s"
    );
    bars.finish();
    assert_eq!(screen.text(), "22:15:30  billing  日本\\u{1b}");
}

#[test]
fn what_a_person_must_see_has_a_line_of_its_own() {
    let (mut bars, screen) = bars(100);
    let mut view = view_of(vec![
        feature("auth", Stage::Blocked),
        feature("billing", Stage::Working),
    ]);
    view.halt = Some("deploying".to_owned());
    let run = view.run.as_mut().unwrap();
    run.usage = Usage {
        input: 1_000_000,
        output: 240_000,
        micro_usd: 3_400_000,
        ..Usage::default()
    };
    run.cached_percent = Some(87);
    let heard = Heard {
        words: Some("reads the spec".to_owned()),
        used: Some(Usage {
            cache_read: 15_200,
            output: 300,
            ..Usage::default()
        }),
        ..Heard::default()
    };
    let heard = [(slug("billing"), heard)].into();
    let glance = Glance {
        view: &view,
        now: Stamp(view.features[0].since.0 + 252_000),
        live: Some("pid 1".to_owned()),
        heard: &heard,
    };
    bars.show(&glance, terminal(80));
    assert_eq!(
        screen.text(),
        "\
billing  working   #3   4m12s    16k  reads the spec
HALT: deploying · needs you: auth (blocked)
1.2M tokens, $3.40, 87 % cached
░░░░░░░░░░░░░░░ 0/2 merged · 1/4 slots · 4m12s · 1 blocked"
    );
}

#[test]
fn names_lead_to_what_their_agents_print_and_take_no_columns_for_it() {
    let view = view_of(vec![feature("billing", Stage::Working)]);
    let picture = |words: &str, links: bool, bars: &mut Bars| {
        let heard = Heard {
            words: Some(words.to_owned()),
            output: "/a very long place where many people keep their files/output.log".into(),
            ..Heard::default()
        };
        let heard = [(slug("billing"), heard)].into();
        let glance = Glance {
            view: &view,
            now: Stamp(view.features[0].since.0 + 252_000),
            live: Some("pid 1".to_owned()),
            heard: &heard,
        };
        let terminal = Terminal {
            links,
            ..terminal(60)
        };
        bars.show(&glance, terminal);
        let canvas = Canvas {
            columns: 59,
            rows: 18,
            colour: true,
            links,
        };
        live::lines(&glance, canvas).remove(0)
    };
    let long = "reads ".repeat(20);
    let (mut plain, plain_screen) = bars(60);
    let (mut linked, screen) = bars(60);
    for words in ["writes the spec", &long, "is done"] {
        assert!(!picture(words, false, &mut plain).contains("]8;"));
        let line = picture(words, true, &mut linked);
        let address = "file:///a%20very%20long%20place%20where%20many%20people%20keep%20their%20files/output.log";
        let name =
            format!("\u{1b}]8;;{address}\u{1b}\\\u{1b}[1mbilling\u{1b}[0m\u{1b}]8;;\u{1b}\\");
        assert!(line.starts_with(&name), "{line:?}");
        assert_eq!(screen.text(), plain_screen.text());
    }
    linked.finish();
    assert_eq!(screen.text(), "");
}

#[test]
fn a_terminal_that_can_is_told_how_far_it_is_and_told_to_stop() {
    let screen = Screen {
        columns: 80,
        ..Screen::default()
    };
    let said = Screen::default();
    let target = ProgressDrawTarget::term_like(Box::new(screen));
    let mut bars = Bars::on(target, Box::new(said.clone()));
    let view = view_of(vec![
        feature("a", Stage::Merged),
        feature("b", Stage::Working),
    ]);
    let heard = BTreeMap::new();
    let glance = Glance {
        view: &view,
        now: Stamp(0),
        live: Some("pid 1".to_owned()),
        heard: &heard,
    };
    let able = Terminal {
        progress: true,
        ..terminal(80)
    };
    bars.show(&glance, able);
    bars.show(&glance, able);
    // A panic drops it, too.
    drop(bars);
    let told = said.cells.lock().unwrap().0.join("");
    assert_eq!(told, "\u{1b}]9;4;1;50\u{1b}\\\u{1b}]9;4;0;0\u{1b}\\");
}

#[test]
fn wide_words_keep_a_narrow_terminal_in_shape() {
    for columns in [10, 40, 47, 48] {
        let (mut bars, screen) = bars(columns);
        for _ in 0..3 {
            let mut working = feature("auth", Stage::Working);
            working.last_words = "日e\u{301}✅".repeat(40);
            let features = vec![working, feature("billing", Stage::Between)];
            show(&mut bars, features, columns);
        }
        let text = screen.text();
        let starts: Vec<&str> = text
            .lines()
            .map(|line| line.get(..4).unwrap_or(""))
            .collect();
        let are_whole = starts[..2] == ["auth", "bill"];
        assert!(are_whole || columns == 10, "{columns}: {text}");
        assert_eq!(starts.len(), 3, "{columns}: {text}");
        let first = text.lines().next().unwrap();
        assert!(
            columns < 40 || first.contains("日e\u{301}"),
            "{columns}: {text}"
        );
    }
}

#[test]
fn wide_words_are_shown_as_they_are() {
    let (mut bars, screen) = bars(100);
    let mut working = feature("auth", Stage::Working);
    working.last_words = "日本語、한국어 Grüße e\u{301} ✅ 🚀 👍🏽 ⚠\u{fe0f} \u{e000}".to_owned();
    show(&mut bars, vec![working], 100);
    let text = screen.text();
    assert!(
        text.contains("日本語、한국어 Grüße e\u{301} ✅ 🚀 👍 ⚠ ?\n"),
        "{text}"
    );
}

#[test]
fn many_features_do_not_fill_the_terminal() {
    let (mut bars, screen) = bars(100);
    let names = (0..40).map(|n| feature(&format!("f{n}"), Stage::Working));
    show(&mut bars, names.collect(), 100);
    let text = screen.text();
    assert_eq!(text.lines().count(), 15, "{text}");
    assert!(text.contains("\n27 more at work\n"), "{text}");
}

/// A terminal whose window was closed.
#[derive(Debug)]
struct Gone;

impl TermLike for Gone {
    fn width(&self) -> u16 {
        80
    }
    fn move_cursor_up(&self, _: usize) -> io::Result<()> {
        Err(io::Error::other("gone"))
    }
    fn move_cursor_down(&self, _: usize) -> io::Result<()> {
        Err(io::Error::other("gone"))
    }
    fn move_cursor_right(&self, _: usize) -> io::Result<()> {
        Err(io::Error::other("gone"))
    }
    fn move_cursor_left(&self, _: usize) -> io::Result<()> {
        Err(io::Error::other("gone"))
    }
    fn write_line(&self, _: &str) -> io::Result<()> {
        Err(io::Error::other("gone"))
    }
    fn write_str(&self, _: &str) -> io::Result<()> {
        Err(io::Error::other("gone"))
    }
    fn clear_line(&self) -> io::Result<()> {
        Err(io::Error::other("gone"))
    }
    fn flush(&self) -> io::Result<()> {
        Err(io::Error::other("gone"))
    }
}

#[test]
fn a_terminal_that_is_gone_ends_the_picture_and_nothing_else() {
    let target = ProgressDrawTarget::term_like_with_hz(Box::new(Gone), 255);
    let mut bars = Bars::on(target, Box::new(io::sink()));
    let view = view_of(vec![feature("a", Stage::Working)]);
    let heard = BTreeMap::new();
    let glance = Glance {
        view: &view,
        now: Stamp(0),
        live: None,
        heard: &heard,
    };
    bars.show(&glance, terminal(80));
    bars.say("a line");
    bars.show(&glance, terminal(80));
    bars.say("another");
    bars.finish();
    assert!(bars.is_hidden());
}
