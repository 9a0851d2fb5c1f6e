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
search  waiting  3          -        held back by HALT
shop    waiting  3          -        held back by HALT
"
    );
    assert_eq!(look(&mut news, &view, 12_000, "written"), "");
}

#[test]
fn a_line_that_comes_or_goes_has_no_other_said_again() {
    let merged = ["a", "b", "c", "d"].map(|name| feature(name, Stage::Merged));
    let mut view = view_of(merged.into_iter().collect());
    let begun = view.features[0].since;
    view.features[3].since = begun.plus_ms(4_000);
    let mut news = PlainNews::default();
    look(&mut news, &view, 5_000, "");
    // A forecast, above the others.
    let names = ["search", "shop"].into_iter();
    view.features
        .extend(names.map(|name| feature(name, Stage::Waiting)));
    let said = look(&mut news, &view, 6_000, "");
    let forecast = "# under 2m left (4 landed in 6s)\nsearch  waiting";
    assert!(said.starts_with(forecast), "{said}");
    assert_eq!(look(&mut news, &view, 6_100, ""), "");
    // It ends as time passes, which is nothing new.
    view.run.as_mut().unwrap().until = Some(begun.plus_ms(13_000));
    let until = "# the run's time is up in 6s: nothing is started that cannot land by then\n";
    assert_eq!(look(&mut news, &view, 6_200, ""), until);
    assert_eq!(look(&mut news, &view, 7_900, ""), "");
    view.halt = Some("deploying".to_owned());
    let said = look(&mut news, &view, 7_950, "");
    let rows = said.lines().filter(|line| line.starts_with('#')).count();
    assert_eq!(rows, 1, "{said}");
    // What has gone, and is there again as it was, is news.
    let gone = view.features.pop().unwrap();
    assert_eq!(look(&mut news, &view, 7_960, ""), "");
    view.features.push(gone);
    let said = look(&mut news, &view, 7_970, "");
    assert!(said.starts_with("shop    waiting"), "{said}");
}
