//! `harness why` and the reasons of `status --json`: after a run and before the first.

#![cfg(feature = "fake-agent")]

mod support;

use serde_json::Value;
use support::Site;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn reasons_lead_to_what_a_person_can_do() {
    let site = Site::new();
    site.config("");
    site.spec("cart", "");
    site.spec("checkout", "depends_on: cart");
    site.commit("specs");
    let before = site.harness(&["why", "checkout"]);
    assert_eq!(before.code, Some(0), "{}", before.err);
    assert_eq!(
        before.out,
        "checkout: waiting: needs cart [needs]\n  cart: ready [ready]\n    no run is going on [no_run]\n      $ harness run\n"
    );
    site.script(
        "cart",
        "note \"looked at the prices\"\nblock \"Which currency?\"\n",
    );
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(4), "{}", ran.err);
    let text = site.harness(&["why", "checkout"]).out;
    assert!(text.contains("cart: blocked: Which currency?"), "{text}");
    assert!(text.contains("$ harness unblock cart -m"), "{text}");
    let why = json(&site.harness(&["why", "checkout", "--json"]).out);
    assert_eq!(why["schema"], "harness.why");
    assert_eq!(why["why"]["code"], "needs_help");
    let cause = &why["why"]["because"][0];
    assert_eq!(
        (&cause["slug"], &cause["code"]),
        (&"cart".into(), &"blocked".into())
    );
    let status = json(&site.harness(&["status", "--json"]).out);
    let codes: Vec<&Value> = status["features"]
        .as_array()
        .unwrap()
        .iter()
        .map(|feature| &feature["reason"]["code"])
        .collect();
    assert_eq!(codes, ["blocked", "needs_help"]);
    let unknown = site.harness(&["why", "chekout"]);
    assert_eq!(unknown.code, Some(2));
    assert!(
        unknown.err.contains("did you mean `checkout`?"),
        "{}",
        unknown.err
    );
}

#[test]
fn who_is_held_back_is_told_what_helps() {
    let site = Site::new();
    site.config("");
    site.spec("cart", "");
    site.commit("specs");
    site.harness(&["pause", "-m", "deploying"]);
    assert_eq!(
        site.harness(&["why", "cart"]).out,
        "cart: held back by HALT [halt]\n  HALT: deploying [halt]\n    $ harness resume\n  \
         no run is going on [no_run]\n    $ harness run\n"
    );
}
