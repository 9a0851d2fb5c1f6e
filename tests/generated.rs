//! Generated files: whoever changes a lock file conflicts with nobody, because it is made anew on every merge.

#![cfg(feature = "fake-agent")]

mod support;

use support::Site;

const MAKE: &str = "ls deps | sort > all.lock";

/// Features that start from the same base: each adds a part and makes the lock file of the parts it knows.
fn site(config: &str, slugs: &[&str], then: &str) -> Site {
    let site = Site::new();
    site.config(config);
    site.write("deps/core", "");
    site.write("all.lock", "core\n");
    for own in slugs {
        site.spec(own, "");
        let mut script = format!("[1]\ntouch {:?}\n", site.path(own));
        for other in slugs {
            script.push_str(&format!("wait-for {:?}\n", site.path(other)));
        }
        let mut parts = ["core", own];
        parts.sort_unstable();
        script.push_str(&format!(
            "write deps/{own} \"\"\nwrite all.lock \"{}\\n\"\nnote \"added a part and locked it\"\ndone \"added\"\n{then}",
            parts.join("\\n")
        ));
        site.script(own, &script);
    }
    site.commit("specs");
    site
}

fn count(site: &Site, kind: &str) -> usize {
    let events = site.journal();
    events.iter().filter(|event| event["event"] == kind).count()
}

#[test]
fn a_lock_file_that_all_change_stops_nobody() {
    for strategy in ["merge", "squash"] {
        let config = format!(
            "merge: {{strategy: {strategy}, regenerate: [{{paths: all.lock, command: '{MAKE}'}}]}}\n\
             verify: {{commands: ['ls deps | sort | cmp - all.lock']}}"
        );
        let slugs = ["a", "b", "c", "d"];
        let site = site(&config, &slugs, "");
        let ran = site.harness(&["run", "--parallel", "4"]);
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        assert_eq!(site.read("all.lock"), "a\nb\nc\ncore\nd\n");
        assert_eq!(count(&site, "clashed"), 0);
        assert_eq!(count(&site, "iteration_started"), slugs.len());
        // Each commit that landed has the lock file of exactly its own parts.
        let landed = site.git(&["log", "--first-parent", "--format=%H", "main"]);
        assert_eq!(landed.lines().count(), 2 + slugs.len(), "{landed}");
        for commit in landed.lines() {
            let show = |what: &str| site.git(&["show", &format!("{commit}:{what}")]);
            if site.git(&["ls-tree", commit, "all.lock"]).is_empty() {
                continue;
            }
            let parts = site.git(&["ls-tree", "--name-only", &format!("{commit}:deps")]);
            assert_eq!(show("all.lock").trim(), parts.trim(), "{commit}");
        }
        site.assert_no_litter();
    }
}

#[test]
fn a_command_that_fails_leaves_it_to_the_agent() {
    let config = "merge: {regenerate: [{paths: [all.lock], command: 'echo no network; exit 7'}]}";
    let then = "[2]\nstdin-contains \"all.lock: generated: make it anew\"\n\
        stdin-contains \"- all.lock: `echo no network; exit 7`\"\n\
        write all.lock \"a\\nb\\ncore\\n\"\nnote \"made the lock file by hand\"\ndone \"made\"\n";
    let site = site(config, &["a", "b"], then);
    let ran = site.harness(&["run", "--parallel", "2"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(count(&site, "clashed"), 1);
    assert_eq!(site.read("all.lock"), "a\nb\ncore\n");
    assert!(ran.err.contains("no network"), "{}", ran.err);
    let log = std::fs::read_dir(site.repo.join(".harness/gates")).unwrap();
    let log = log
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_string_lossy().ends_with("-generated.log"));
    let log = std::fs::read_to_string(log.expect("what it printed is kept")).unwrap();
    assert!(log.contains("no network"), "{log}");
}

#[test]
fn only_what_is_named_is_taken_from_the_command() {
    let config = format!(
        "merge:\n  regenerate:\n    - {{paths: '*.snap', command: 'exit 1'}}\n    \
         - {{paths: all.lock, command: '{MAKE}; echo changed > deps/core; echo litter > new.txt'}}"
    );
    let site = site(&config, &["a", "b"], "");
    let ran = site.harness(&["run", "--parallel", "2"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(site.read("all.lock"), "a\nb\ncore\n");
    assert_eq!(site.read("deps/core"), "");
    assert!(!site.repo.join("new.txt").exists());
    assert!(ran.err.contains("deps/core"), "{}", ran.err);
}
