//! What the view looks like and what its keys do: what the tests of it have in common.

mod asking;
mod moving;
mod pictures;

use super::*;
use crate::core::Stage;
use crate::model::Slug;
use crate::report::Row;
use ratatui::Terminal;
use ratatui::backend::TestBackend;

fn slug(name: &str) -> Slug {
    Slug::new(name).unwrap()
}

fn row(name: &str, stage: Stage, stage_name: &'static str, words: &str) -> Row {
    let needs_you = matches!(
        stage,
        Stage::Blocked | Stage::Tripped | Stage::Parked | Stage::Failed
    );
    let works = stage == Stage::Working;
    Row {
        slug: slug(name),
        stage,
        stage_name,
        iteration: if stage == Stage::Waiting { 0 } else { 2 },
        time: if works {
            "4m12s".to_owned()
        } else {
            String::new()
        },
        tokens: if works {
            "1.2M".to_owned()
        } else {
            String::new()
        },
        words: crate::report::on_screen(words),
        needs_you,
    }
}

const LONGEST: &str = "a-name-as-long-as-a-name-may-be-with-all-of-its-sixty-three-col";

fn facts() -> Facts {
    Facts {
        whole: "███░░░░░░░░░ 2/9 merged · 3 working · 1 blocked · 1 tripped · 2 waiting".to_owned(),
        notices: vec![
            ("running for 12m03s onto main, 4 at once, iteration 14 of 200 (process 4242 on laptop)".to_owned(), false),
            ("the account shared: its limit is reached; tried again in 12m".to_owned(), true),
            ("about 25m left (2 landed in 12m03s)".to_owned(), false),
        ],
        rows: vec![
            row("login", Stage::Working, "working", "reading \u{1b}[31msrc/login.rs\u{1b}[0m and its tests"),
            row("suche", Stage::Working, "working", "日本語の検索を追加しています 👩\u{200d}👧 done"),
            row(LONGEST, Stage::Working, "working", "step 3 of 9"),
            row("billing", Stage::Blocked, "blocked", "Which provider: Adyen or Stripe? The spec names neither."),
            row("export", Stage::Tripped, "tripped", "repeat: the gate failed 3 times alike"),
            row("profile", Stage::Waiting, "waiting", "needs login"),
            row("report", Stage::Waiting, "waiting", "needs export, which will not merge without you"),
            row("count", Stage::Merged, "merged", "639c0d7bf Count words"),
            row("greet", Stage::Merged, "merged", "b432bf5ff Greet somebody"),
        ],
        paused: false,
    }
}

fn page(title: &str, lines: &[(&str, Look)]) -> Page {
    let lines = lines.iter().map(|(text, look)| Text {
        text: (*text).to_owned(),
        look: *look,
    });
    Page {
        title: title.to_owned(),
        lines: lines.collect(),
    }
}

/// A view that knows of nine features and shows the log of the first.
fn view() -> Screen {
    let mut screen = Screen::new(Theme { colour: true });
    screen.know(facts());
    let wanted = screen.wanted().unwrap();
    let log = page(
        "",
        &[
            ("## 2026-11-27 02:44 iteration 1", Look::Strong),
            ("", Look::Plain),
            (
                "wrote the form, and a test for it; next comes what happens when the password is wrong, which the spec says little about",
                Look::Plain,
            ),
        ],
    );
    screen.show(&wanted, log);
    screen
}

/// The picture at a size, and where the cursor is.
fn drawn(screen: &mut Screen, columns: u16, rows: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
    terminal
        .draw(|frame| {
            let area = frame.area();
            draw(screen, area, frame.buffer_mut());
        })
        .unwrap();
    let buffer = terminal.backend().buffer();
    let mut out = String::new();
    for y in 0..rows {
        let mut row = String::new();
        let mut skip = 0;
        for x in 0..columns {
            let symbol = buffer[(x, y)].symbol();
            if skip == 0 {
                row.push_str(symbol);
                skip = columns::columns(symbol).saturating_sub(1);
            } else {
                skip -= 1;
            }
        }
        out.push_str(row.trim_end());
        out.push('\n');
    }
    out
}

fn press(screen: &mut Screen, keys: &[Key]) -> Vec<Intent> {
    keys.iter().filter_map(|key| screen.press(key)).collect()
}

fn typed(text: &str) -> Vec<Key> {
    text.chars().map(Key::Char).collect()
}

fn selected(screen: &Screen) -> String {
    let row = screen.selected().map(|(_, row)| row.slug.to_string());
    row.unwrap_or_default()
}
