//! What the view looks like and what its keys do.

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

/// Whoever changes the picture on purpose writes it anew with `HARNESS_PICTURES=write`, and looks at what that changed.
fn is_as_in(name: &str, expected: &str, picture: &str) {
    if std::env::var_os("HARNESS_PICTURES").is_some_and(|value| value == "write") {
        let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ui/tests");
        std::fs::write(dir.join(name), picture).unwrap();
        return;
    }
    assert_eq!(picture, expected, "{name}\n{picture}");
}

#[test]
fn a_usual_terminal_has_the_text_below_the_list() {
    let picture = drawn(&mut view(), 80, 24);
    is_as_in("80x24.txt", include_str!("tests/80x24.txt"), &picture);
}

#[test]
fn a_wide_terminal_has_it_beside_the_list() {
    let picture = drawn(&mut view(), 200, 50);
    is_as_in("200x50.txt", include_str!("tests/200x50.txt"), &picture);
}

#[test]
fn a_small_terminal_has_one_at_a_time() {
    let mut screen = view();
    let list = drawn(&mut screen, 40, 10);
    assert!(list.contains("login") && !list.contains("1 log"), "{list}");
    assert_eq!(
        screen.wanted(),
        None,
        "no text that nobody sees is asked for"
    );
    press(&mut screen, &[Key::Enter]);
    let text = drawn(&mut screen, 40, 10);
    assert!(text.contains("1 log") && !text.contains("export"), "{text}");
    press(&mut screen, &[Key::Esc, Key::Char('3')]);
    let text = drawn(&mut screen, 40, 10);
    assert!(text.contains("3 why"), "{text}");
    is_as_in(
        "40x10.txt",
        include_str!("tests/40x10.txt"),
        &(list + &text),
    );
}

#[test]
fn no_size_is_too_small_or_too_large() {
    let all = [
        typed("?"),
        typed("/e"),
        typed("z"),
        vec![Key::Esc, Key::Enter],
        typed("4"),
    ];
    for (columns, rows) in [
        (1, 1),
        (2, 40),
        (23, 5),
        (24, 4),
        (24, 5),
        (25, 6),
        (30, 14),
        (60, 9),
        (109, 13),
        (110, 8),
        (400, 3),
        (500, 200),
    ] {
        for keys in &all {
            for verb in [
                None,
                Some(Verb::Stop),
                Some(Verb::Unblock(slug("billing"), String::new())),
            ] {
                let mut screen = view();
                drawn(&mut screen, columns, rows);
                press(&mut screen, keys);
                if let Some(verb) = verb {
                    screen.ask(verb);
                    press(&mut screen, &typed("日本語 and more than fits on a line"));
                }
                let picture = drawn(&mut screen, columns, rows);
                for line in picture.lines() {
                    assert!(
                        columns::columns(line) <= usize::from(columns),
                        "{columns}x{rows}: {line:?}"
                    );
                    assert!(!line.chars().any(crate::model::acts), "{line:?}");
                }
            }
        }
    }
    assert!(drawn(&mut view(), 23, 9).starts_with("too small: 24 by 5"));
}

#[test]
fn the_widest_terminal_there_can_be_has_a_list_and_a_text() {
    let mut screen = view();
    let area = ratatui::layout::Rect::new(0, 0, u16::MAX, 6);
    let mut buffer = ratatui::buffer::Buffer::empty(area);
    draw(&mut screen, area, &mut buffer);
    let row: String = (0..200).map(|x| buffer[(x, 2)].symbol()).collect();
    let (list, text) = row.split_once('│').unwrap();
    assert_eq!(list.chars().count(), 100);
    assert!(text.contains("iteration 1"), "{row}");
}

#[test]
fn nothing_known_is_a_picture_too() {
    let mut screen = Screen::new(Theme { colour: false });
    assert!(drawn(&mut screen, 80, 24).contains("no features"));
    let keys = [
        Key::Down,
        Key::End,
        Key::PageUp,
        Key::Char('r'),
        Key::Char('u'),
        Key::Enter,
        Key::End,
    ];
    assert_eq!(press(&mut screen, &keys), []);
}

#[test]
fn without_colours_there_are_none() {
    use ratatui::style::Color;
    for colour in [true, false] {
        let mut screen = view();
        screen.theme = Theme { colour };
        screen.tell("no", true);
        let area = ratatui::layout::Rect::new(0, 0, 80, 24);
        let mut buffer = ratatui::buffer::Buffer::empty(area);
        draw(&mut screen, area, &mut buffer);
        let painted = buffer
            .content()
            .iter()
            .any(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset);
        assert_eq!(painted, colour);
    }
}

#[test]
fn the_same_picture_is_not_drawn_again() {
    let mut screen = view();
    assert!(screen.is_stale());
    drawn(&mut screen, 80, 24);
    assert!(!screen.is_stale());
    screen.know(facts());
    screen.doubt(None);
    let wanted = screen.wanted().unwrap();
    screen.show(&wanted, page("", &[("x", Look::Plain)]));
    assert!(screen.is_stale());
    drawn(&mut screen, 80, 24);
    screen.show(&wanted, page("", &[("x", Look::Plain)]));
    let other = Wanted {
        slug: Some(slug("export")),
        ..wanted
    };
    screen.show(&other, page("", &[("of another feature", Look::Plain)]));
    assert!(!screen.is_stale());
    press(&mut screen, &[Key::Down]);
    assert!(screen.is_stale());
    press(&mut screen, &[Key::Up]);
    assert!(
        screen.is_blank(),
        "there and back: the text is not there any more"
    );
}

#[test]
fn what_is_selected_stays_selected_wherever_it_goes() {
    let mut screen = view();
    press(&mut screen, &typed("jjj"));
    assert_eq!(selected(&screen), "billing");
    let mut facts = facts();
    facts.rows.rotate_left(3);
    screen.know(facts.clone());
    assert_eq!(selected(&screen), "billing");
    facts.rows.remove(0);
    screen.know(facts);
    assert_eq!(selected(&screen), "export", "what stands in its place");
    drawn(&mut screen, 80, 24);
    press(&mut screen, &[Key::End]);
    assert_eq!(selected(&screen), LONGEST);
    press(&mut screen, &[Key::PageUp, Key::PageUp, Key::PageUp]);
    assert_eq!(selected(&screen), "export");
}

#[test]
fn a_filter_shows_what_has_it_and_its_end_shows_all() {
    let mut screen = view();
    press(&mut screen, &typed("/WAITING"));
    assert_eq!(screen.rows().len(), 2);
    assert_eq!(selected(&screen), "profile");
    // Keys are letters while one types.
    assert_eq!(press(&mut screen, &typed("q")), []);
    assert_eq!(screen.rows().len(), 0);
    assert!(drawn(&mut screen, 80, 24).contains("Esc shows all"));
    press(&mut screen, &[Key::Backspace, Key::Enter]);
    assert_eq!(screen.rows().len(), 2);
    assert!(drawn(&mut screen, 80, 24).contains("only /WAITING"));
    press(&mut screen, &[Key::Esc]);
    assert_eq!(screen.rows().len(), 9);
    press(&mut screen, &typed("/adyen"));
    assert_eq!(selected(&screen), "billing");
    press(&mut screen, &[Key::Esc]);
    assert_eq!(
        (screen.rows().len(), selected(&screen).as_str()),
        (9, "billing")
    );
}

#[test]
fn what_is_hard_to_take_back_is_asked_about() {
    let mut screen = view();
    let export = slug("export");
    press(&mut screen, &typed("jjjj"));
    let retry = Verb::Retry(export);
    assert_eq!(
        press(&mut screen, &typed("r")),
        [Intent::MayI(retry.clone())]
    );
    for no in [
        Key::Char('n'),
        Key::Enter,
        Key::Esc,
        Key::Char('r'),
        Key::Ctrl('c'),
    ] {
        screen.ask(retry.clone());
        assert!(drawn(&mut screen, 80, 24).contains("retry export?"));
        assert_eq!(press(&mut screen, &[no]), []);
        assert!(drawn(&mut screen, 80, 24).contains("nothing was done"));
    }
    screen.ask(retry.clone());
    assert_eq!(press(&mut screen, &typed("y")), [Intent::Do(retry)]);
    assert_eq!(press(&mut screen, &typed("S")), [Intent::MayI(Verb::Stop)]);
    screen.ask(Verb::Stop);
    assert_eq!(press(&mut screen, &typed("y")), [Intent::Do(Verb::Stop)]);
    // What is easy to take back is not.
    assert_eq!(press(&mut screen, &typed("p")), [Intent::Do(Verb::Pause)]);
    screen.know(Facts {
        paused: true,
        ..facts()
    });
    assert_eq!(press(&mut screen, &typed("p")), [Intent::Do(Verb::Resume)]);
}

#[test]
fn an_answer_is_typed_below_the_question() {
    let mut screen = view();
    press(&mut screen, &typed("jjj"));
    let billing = slug("billing");
    let asked = Verb::Unblock(billing.clone(), String::new());
    assert_eq!(
        press(&mut screen, &typed("u")),
        [Intent::MayI(asked.clone())]
    );
    screen.ask(asked.clone());
    let picture = drawn(&mut screen, 80, 24);
    assert!(
        picture.contains("billing asks: Which provider: Adyen or Stripe?"),
        "{picture}"
    );
    let mut keys = typed("Adyen, quickly");
    keys.extend([
        Key::Ctrl('w'),
        Key::Paste("as in\n\u{1b}[2Jspec 4".to_owned()),
    ]);
    assert_eq!(press(&mut screen, &keys), []);
    let picture = drawn(&mut screen, 80, 24);
    assert!(
        picture.contains("Adyen, as in↵\\u{1b}[2Jspec 4"),
        "{picture}"
    );
    let answer = Verb::Unblock(billing, "Adyen, as in\n\u{1b}[2Jspec 4".to_owned());
    assert_eq!(press(&mut screen, &[Key::Enter]), [Intent::Do(answer)]);
    screen.ask(asked.clone());
    assert_eq!(press(&mut screen, &[Key::Char('q'), Key::Esc]), []);
    // Nothing is no answer.
    screen.ask(asked);
    assert_eq!(
        press(&mut screen, &[Key::Enter, Key::Char(' '), Key::Enter]),
        []
    );
    assert!(drawn(&mut screen, 80, 24).contains("billing asks: "));
}

#[test]
fn an_answer_that_could_not_be_given_is_not_lost() {
    let mut screen = view();
    let begun = Verb::Unblock(slug("billing"), "Adyen, as in spec 4".to_owned());
    screen.tell("the disk is full", true);
    screen.ask(begun.clone());
    let picture = drawn(&mut screen, 80, 24);
    assert!(
        picture.contains("the disk is full") && picture.contains("Adyen, as in spec 4"),
        "{picture}"
    );
    press(&mut screen, &[Key::Left, Key::Right]);
    assert!(drawn(&mut screen, 80, 24).contains("billing asks: "));
    assert_eq!(press(&mut screen, &[Key::Enter]), [Intent::Do(begun)]);
}

#[test]
fn a_graph_is_wanted_for_the_columns_it_gets() {
    let mut screen = view();
    press(&mut screen, &typed("4"));
    for (columns, rows, room) in [(60, 24, 60), (80, 24, 80), (110, 30, 60)] {
        drawn(&mut screen, columns, rows);
        assert_eq!(screen.wanted().unwrap().columns, Some(room));
    }
    press(&mut screen, &typed("1"));
    assert_eq!(screen.wanted().unwrap().columns, None);
}

#[test]
fn a_text_without_a_row_of_its_own_is_not_drawn() {
    let mut screen = view();
    drawn(&mut screen, 80, 5);
    press(&mut screen, &[Key::Enter]);
    screen.doubt(Some("not up to date".to_owned()));
    screen.tell("asked to stop", false);
    let picture = drawn(&mut screen, 80, 5);
    let rows: Vec<&str> = picture.lines().collect();
    assert_eq!(rows[3], "asked to stop", "{picture}");
    assert!(!picture.contains("iteration 1"), "{picture}");
}

#[test]
fn what_came_of_it_is_said_until_the_next_key() {
    let mut screen = view();
    screen.tell(
        "export: the living run takes it\n at its next turn\n",
        false,
    );
    let picture = drawn(&mut screen, 80, 24);
    assert!(
        picture.contains("\nexport: the living run takes it at its next turn\n"),
        "{picture}"
    );
    press(&mut screen, &[Key::Down]);
    assert!(!drawn(&mut screen, 80, 24).contains("next turn"));
    screen.doubt(Some("not up to date: the journal is damaged".to_owned()));
    assert!(drawn(&mut screen, 80, 24).contains("\nnot up to date: "));
}

#[test]
fn keys_lead_from_text_to_text() {
    let mut screen = view();
    drawn(&mut screen, 80, 24);
    let pane = |screen: &Screen| {
        screen
            .wanted()
            .map(|wanted| (wanted.pane, wanted.output))
            .unwrap()
    };
    let steps = [
        (Key::Tab, (Pane::Diff, false)),
        (Key::Tab, (Pane::Why, false)),
        (Key::BackTab, (Pane::Diff, false)),
        (Key::Char('4'), (Pane::Graph, false)),
        (Key::Tab, (Pane::Log, false)),
        (Key::Char('o'), (Pane::Log, true)),
        (Key::Char('2'), (Pane::Diff, false)),
        (Key::Char('1'), (Pane::Log, true)),
        (Key::Char('o'), (Pane::Log, false)),
    ];
    for (key, expected) in steps {
        press(&mut screen, std::slice::from_ref(&key));
        assert_eq!(pane(&screen), expected, "{key:?}");
    }
    // In the text, arrows move the text.
    let lines: Vec<String> = (0..200).map(|n| format!("line {n}")).collect();
    let lines: Vec<(&str, Look)> = lines
        .iter()
        .map(|line| (line.as_str(), Look::Plain))
        .collect();
    let wanted = screen.wanted().unwrap();
    screen.show(&wanted, page("", &lines));
    assert!(drawn(&mut screen, 80, 24).contains("line 199"));
    press(&mut screen, &[Key::Enter, Key::Home]);
    let picture = drawn(&mut screen, 80, 24);
    assert!(
        picture.contains("line 0\n") && picture.contains("End follows"),
        "{picture}"
    );
    press(&mut screen, &[Key::Down, Key::PageDown]);
    assert!(!drawn(&mut screen, 80, 24).contains("line 0\n"));
    assert_eq!(selected(&screen), "login");
    press(&mut screen, &[Key::Left, Key::Down]);
    assert_eq!(selected(&screen), "suche");
}

#[test]
fn every_key_that_is_told_of_does_something() {
    let told = help::KEYS
        .iter()
        .flat_map(|(keys, _)| keys.split_whitespace());
    let key = |word: &str| match word {
        "↑" => Key::Up,
        "↓" => Key::Down,
        "→" => Key::Right,
        "Enter" => Key::Enter,
        "Tab" => Key::Tab,
        "PgUp" => Key::PageUp,
        "PgDn" => Key::PageDown,
        "Home" => Key::Home,
        "End" => Key::End,
        "Esc" => Key::Esc,
        word => match word.strip_prefix("Ctrl-") {
            Some(letter) => Key::Ctrl(letter.to_lowercase().chars().next().unwrap()),
            None => Key::Char(
                word.chars()
                    .next()
                    .filter(|_| word.chars().count() == 1)
                    .unwrap(),
            ),
        },
    };
    for word in told {
        let does = |start: Key| {
            let mut screen = view();
            let long = "a line that is wrapped in two parts on this terminal, because it is longer than that";
            let lines = vec![(long, Look::Plain); 99];
            let keys = [Key::Char('/'), Key::Char('e'), Key::Enter, Key::Down, start];
            press(&mut screen, &keys);
            drawn(&mut screen, 80, 24);
            let wanted = screen.wanted().unwrap();
            screen.show(&wanted, page("", &lines));
            drawn(&mut screen, 80, 24);
            press(&mut screen, &typed("JJK"));
            let seen = |screen: &mut Screen| {
                let picture = drawn(screen, 80, 24);
                (picture, selected(screen), screen.focus, screen.wanted())
            };
            let before = seen(&mut screen);
            screen.press(&key(word)).is_some() || seen(&mut screen) != before
        };
        assert!(does(Key::Char('1')) || does(Key::Char('3')), "{word}");
    }
}
