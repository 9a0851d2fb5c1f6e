//! What a person has done: what is asked about before, how an answer is typed, and what is said of it.

use super::*;

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
