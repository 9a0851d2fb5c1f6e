//! What is drawn, at any size, and when.

use super::*;

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
    is_as_in("80x24.txt", include_str!("80x24.txt"), &picture);
}

#[test]
fn a_wide_terminal_has_it_beside_the_list() {
    let picture = drawn(&mut view(), 200, 50);
    is_as_in("200x50.txt", include_str!("200x50.txt"), &picture);
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
    is_as_in("40x10.txt", include_str!("40x10.txt"), &(list + &text));
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
