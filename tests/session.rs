//! Iterations that go on with a conversation, end to end: by the CLI's own flag, and without it when that is lost.

#![cfg(feature = "fake-agent")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

mod support;

use support::Site;

/// A stand-in for Claude Code: its first call begins the conversation `s-1`, a call that goes on with one claims to be
/// done. It has lost all conversations while a file says so.
const STUB: &str = r#"
cat >/dev/null
case "$*" in
*--resume*) id=${*##*--resume } ;;
*) id= ;;
esac
echo "${id:-new}" >>"$DIR/calls"
record() { printf '%s\n' "$1"; }
if [ -n "$id" ] && [ -e "$DIR/lost" ]; then
    echo "No conversation found with session ID: $id" >&2
    exit 1
fi
echo "went one step further with this feature, as it asks" >"$HARNESS_OUTBOX/note.md"
if [ -n "$id" ] || [ -e "$DIR/lost" -a "$HARNESS_ITERATION" -gt 1 ]; then
    echo ok >a.txt
    echo "it is there" >"$HARNESS_OUTBOX/done"
fi
record '{"type":"result","subtype":"success","is_error":false,"result":"done","session_id":"s-1","usage":{"output_tokens":3}}'
"#;

fn site(session: &str) -> Site {
    let site = Site::new();
    let stub = site.path("stub.sh");
    let dir = site.path("");
    std::fs::write(&stub, format!("DIR={dir:?}\n{STUB}")).unwrap();
    site.write(
        "harness.yaml",
        &format!(
            "agents: {{claude: {{kind: claude, command: [sh, {stub:?}], session: {session}}}}}\n"
        ),
    );
    site.spec("a", "");
    site.commit("specs");
    site
}

fn calls(site: &Site) -> Vec<String> {
    let text = std::fs::read_to_string(site.path("calls")).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn the_next_iteration_goes_on_with_the_conversation_of_the_last() {
    let site = site("resume");
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    assert_eq!(calls(&site), ["new", "s-1"]);
}

#[test]
fn without_being_asked_to_each_iteration_begins_one() {
    let site = site("fresh");
    let ran = site.harness(&["run", "--max-iterations", "3"]);
    assert_eq!(ran.code, Some(1), "{}{}", ran.out, ran.err);
    assert_eq!(calls(&site), ["new", "new", "new"]);
}

#[test]
fn a_conversation_that_is_lost_is_begun_anew_in_the_same_iteration() {
    let site = site("resume");
    std::fs::write(site.path("lost"), "").unwrap();
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    assert_eq!(calls(&site), ["new", "s-1", "new"]);
    let ended = site.journal().into_iter();
    let ended = ended.filter(|event| event["event"] == "iteration_ended");
    assert_eq!(ended.count(), 2, "it was one iteration");
    let told = "could not be gone on with, so it began a new one: [exit 1] No conversation found";
    assert!(
        ran.err.contains("could not be gone on with"),
        "{told}: {}",
        ran.err
    );
}
