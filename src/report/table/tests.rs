//! What is new in a plain status, look after look.

use super::*;
use crate::core::{Stage, View};
use crate::model::Slug;
use crate::report::Heard;
use crate::report::tests::{feature, slug, view_of};

fn look(news: &mut PlainNews, view: &View, ms: u64, words: &str) -> String {
    let heard = Heard {
        words: Some(words.to_owned()),
        ..Heard::default()
    };
    let heard: BTreeMap<Slug, Heard> = BTreeMap::from([(slug("auth"), heard)]);
    news.look(&Glance {
        view,
        now: view.features[0].since.plus_ms(ms),
        live: Some("pid 42".to_owned()),
        heard: &heard,
    })
}

#[test]
fn only_what_changes_is_said_again() {
    let auth = feature("auth", Stage::Working);
    let mut view = view_of(vec![auth, feature("search", Stage::Waiting)]);
    let mut news = PlainNews::default();
    assert_eq!(
        look(&mut news, &view, 5_000, "reading"),
        "\
# running for 5s onto main, 4 at once, iteration 14 of 200 (pid 42)
# contained by supervisor, sandbox: bwrap
SLUG    STAGE    ITERATION  ELAPSED  DETAIL
auth    working  3          5s       reading
search  waiting  3          -        ready
"
    );
    assert_eq!(look(&mut news, &view, 6_000, "reading"), "");
    assert_eq!(look(&mut news, &view, 7_000_000, "writing"), "");
    view.features[0].stage = Stage::Queued;
    assert_eq!(
        look(&mut news, &view, 9_000, "written"),
        "auth    queued   3          9s       written\n"
    );
    view.run.as_mut().unwrap().iterations = 15;
    assert_eq!(
        look(&mut news, &view, 10_000, "written"),
        "# running for 10s onto main, 4 at once, iteration 15 of 200 (pid 42)\n"
    );
    view.features.push(feature("shop", Stage::Waiting));
    view.halt = Some("deploying".to_owned());
    assert_eq!(
        look(&mut news, &view, 11_000, "written"),
        "\
# HALT: deploying (remove the file to go on)
# contained by supervisor, sandbox: bwrap
search  waiting  3          -        held back by HALT
shop    waiting  3          -        held back by HALT
"
    );
    assert_eq!(look(&mut news, &view, 12_000, "written"), "");
}
