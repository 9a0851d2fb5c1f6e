//! Where keys lead: in the list, from text to text, and in a text.

use super::*;

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
