//! Accounts that cannot be used, end to end: a limit is waited out, by the next run too; others go on meanwhile.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

mod support;

use serde_json::Value;
use std::time::{SystemTime, UNIX_EPOCH};
use support::{Ran, Site};

/// A stand-in for Claude Code that is at its limit while a file says so, and that is not logged in while another does.
const STUB: &str = r#"
cat >/dev/null
record() { printf '%s\n' "$1"; }
if [ -f "$DIR/limit" ]; then
    record '{"type":"rate_limit_event","rate_limit_info":{"status":"rejected","resetsAt":'"$(cat "$DIR/limit")"',"rateLimitType":"five_hour"}}'
    record '{"type":"result","subtype":"success","is_error":true,"api_error_status":429,"result":"You'"'"'ve hit your session limit"}'
    exit 1
fi
if [ -f "$DIR/login" ]; then
    record '{"type":"result","subtype":"success","is_error":true,"api_error_status":401,"result":"Not logged in · Please run /login"}'
    exit 1
fi
echo ok >"$HARNESS_FEATURE.txt"
echo "wrote the file of this feature, all of it" >"$HARNESS_OUTBOX/note.md"
echo "it is there" >"$HARNESS_OUTBOX/done"
record '{"type":"result","subtype":"success","is_error":false,"result":"done"}'
"#;

/// Two features for the stand-in `claude` and one for another agent; `more` is added to harness.yaml.
fn site(more: &str) -> Site {
    let site = Site::new();
    let stub = site.path("stub.sh");
    let dir = site.path("");
    std::fs::write(&stub, format!("DIR={dir:?}\n{STUB}")).unwrap();
    site.config(&format!(
        "  claude: {{kind: claude, command: [sh, {stub:?}]}}\nrun: {{parallel: 2, grace: 200ms}}\n{more}"
    ));
    for name in ["a", "b"] {
        site.spec(name, "agent: claude");
    }
    site.spec("other", "agent: scripted");
    site.script(
        "other",
        "write other.txt ok\nnote it is written\ndone it is there\n",
    );
    site.commit("specs");
    site
}

fn now_s() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

fn status(site: &Site) -> Value {
    let ran = site.harness(&["status", "--json"]);
    let status = serde_json::from_str(&ran.out)
        .unwrap_or_else(|error| panic!("{error}: {}{}", ran.out, ran.err));
    assert_eq!(support::schema::problems("status", &status), [""; 0]);
    status
}

fn assert_landed(site: &Site, ran: &Ran, names: &[&str]) {
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    for name in names {
        assert_eq!(site.read(&format!("{name}.txt")).trim(), "ok");
    }
}

/// Events of one kind about `a` and `b`, in order: started and ended iterations.
fn iterations(site: &Site) -> Vec<String> {
    let events = site
        .journal()
        .into_iter()
        .filter(|event| event["slug"] != "other");
    let events = events.filter_map(|event| {
        let name = event["event"]
            .as_str()?
            .strip_prefix("iteration_")?
            .to_owned();
        Some(name)
    });
    events.collect()
}

#[test]
fn a_limit_is_waited_out_by_the_next_run_too_and_one_tries_it_first() {
    let site = site("");
    std::fs::write(site.path("limit"), (now_s() + 8).to_string()).unwrap();
    let mut harness = site.start(&["run"]);
    // Who does not need the account lands.
    site.await_file(&site.repo.join("other.txt"));
    site.await_that("the limit is known, and nobody runs into it", || {
        let all = iterations(&site);
        all.last().is_some_and(|name| name == "ended")
            && all.len().is_multiple_of(2)
            && status(&site)["run"]["accounts"][0]["closed"] == true
    });
    let before = iterations(&site).len();
    let seen = status(&site);
    let account = &seen["run"]["accounts"][0];
    assert_eq!(
        (&account["name"], &account["closed"]),
        (&"claude".into(), &true.into()),
        "{seen}"
    );
    assert_eq!(account["kind"], "limit");
    assert_eq!(account["scope"], "five_hour");
    harness.kill().unwrap();
    harness.wait().unwrap();
    std::fs::remove_file(site.path("limit")).unwrap();
    let ran = site.harness(&["run"]);
    assert_landed(&site, &ran, &["a", "b", "other"]);
    let all = iterations(&site);
    let after: Vec<&str> = all.iter().skip(before).map(String::as_str).collect();
    assert_eq!(after[..2], ["started", "ended"], "one tries it: {all:?}");
    assert_eq!(after.len(), 4, "no call was wasted on the limit: {all:?}");
    let run = &status(&site)["run"];
    assert_eq!(
        (&run["accounts"], &run["account"]),
        (&Value::Array(Vec::new()), &Value::Null)
    );
}

#[test]
fn with_switch_the_features_go_on_with_another_agent() {
    let site = site("fallback: [scripted]\nlimits: {on_limit: switch}");
    for name in ["a", "b"] {
        let text =
            format!("write {name}.txt ok\nnote it is written by the other\ndone it is there\n");
        site.script(name, &text);
    }
    std::fs::write(site.path("limit"), (now_s() + 3600).to_string()).unwrap();
    let ran = site.harness(&["run"]);
    assert_landed(&site, &ran, &["a", "b", "other"]);
    let instead = site
        .journal()
        .into_iter()
        .filter(|event| event["instead"] == "scripted");
    assert_eq!(instead.count(), 2);
}

/// It has to be found when the run begins although no feature asks for it.
#[test]
fn who_only_stands_in_for_others_is_checked_when_the_run_begins() {
    let site = site("fallback: [scripted]\nlimits: {on_limit: switch}");
    site.spec("other", "agent: claude");
    site.commit("nobody asks for the other agent");
    for name in ["a", "b"] {
        let text =
            format!("write {name}.txt ok\nnote it is written by the other\ndone it is there\n");
        site.script(name, &text);
    }
    std::fs::write(site.path("limit"), (now_s() + 3600).to_string()).unwrap();
    let ran = site.harness(&["run"]);
    assert_landed(&site, &ran, &["a", "b", "other"]);
}

#[test]
fn what_no_wait_mends_ends_the_run_with_6_and_says_how_to_mend_it() {
    for (more, file, text) in [
        ("limits: {on_limit: halt}", "limit", "limit"),
        ("limits: {max_wait: 1h}", "limit", "limit"),
        ("", "login", "logged in"),
    ] {
        let site = site(more);
        let reset = now_s() + 7200;
        std::fs::write(site.path(file), reset.to_string()).unwrap();
        let ran = site.harness(&["run"]);
        assert_eq!(ran.code, Some(6), "{}{}", ran.out, ran.err);
        assert_eq!(site.read("other.txt").trim(), "ok", "the others land");
        assert!(ran.err.contains(text), "{}", ran.err);
        let said = status(&site)["run"]["account"].to_string();
        assert!(said.contains(text), "{said}");
        std::fs::remove_file(site.path(file)).unwrap();
        let ran = site.harness(&["run"]);
        assert_landed(&site, &ran, &["a", "b"]);
    }
}

#[test]
fn a_reserve_closes_an_account_that_is_nearly_used_up_and_says_of_whom_it_keeps_nothing() {
    let site = site("limits: {keep: 20%, max_wait: 1h}");
    let stub = site.path("stub.sh");
    let text = std::fs::read_to_string(&stub).unwrap();
    let reset = now_s() + 7200;
    let used = format!(
        r#"record '{{"type":"rate_limit_event","rate_limit_info":{{"status":"allowed","unifiedWindows":{{"five_hour":{{"utilization":0.83,"resetsAt":{reset}}}}}}}}}'"#
    );
    let text = text.replace("echo ok >", &format!("{used}\necho ok >"));
    std::fs::write(&stub, text).unwrap();
    let ran = site.harness(&["run", "--parallel", "1"]);
    assert_eq!(ran.code, Some(6), "{}{}", ran.out, ran.err);
    let silent = "limits.keep keeps nothing of what these agents use: scripted";
    assert!(ran.err.contains(silent), "{}", ran.err);
    assert_eq!(site.read("other.txt").trim(), "ok", "the others land");
    let begun = iterations(&site);
    assert_eq!(
        begun,
        ["started", "ended"],
        "what was begun is kept, nothing more is used"
    );
    let account = &status(&site)["run"]["accounts"][0];
    assert_eq!(
        account["text"],
        "83% of it is used, and 20% are kept for you (limits.keep)"
    );
    assert_eq!(account["scope"], "five_hour");
}
