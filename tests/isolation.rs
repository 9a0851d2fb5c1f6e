//! Agents that work in clones of their own: what they commit lands, what else they do with git stays theirs, and the
//! repository is written by harness alone.

#![cfg(feature = "fake-agent")]

mod support;

use support::{Site, end, signal};

#[test]
fn what_an_agent_sets_up_for_its_git_stays_its_own() {
    let site = Site::new();
    site.shell_config("isolation: clone");
    let canary = site.path("canary");
    let trap = format!("touch '{}'; cat", canary.display());
    site.shell(
        "a",
        &format!(
            "dir=$(git rev-parse --git-dir)\n\
             git config core.fsmonitor \"{trap}\"; git config core.hooksPath \"$dir/hooks\"\n\
             for name in clean smudge; do git config filter.evil.$name \"{trap}\"; done\n\
             git config merge.evil.driver \"{trap}\"; git config diff.external \"{trap}\"\n\
             printf '#!/bin/sh\\n{trap}\\n' > \"$dir/hooks/post-checkout\"; chmod +x \"$dir/hooks/post-checkout\"\n\
             cp \"$dir/hooks/post-checkout\" \"$dir/hooks/reference-transaction\"\n\
             echo '* filter=evil merge=evil' > \"$dir/info/attributes\"; echo '*.txt filter=evil' > .gitattributes\n\
             echo a > a.txt; rm -f \"$dir/index\"; mkfifo \"$dir/index\"; ln -s / \"$dir/objects/link\""
        ),
    );
    site.commit("specs");
    let config = site.read(".git/config");
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(!canary.exists());
    assert_eq!(site.read(".git/config"), config);
    assert_eq!(site.read("a.txt"), "a\n");
    assert!(!ran.err.contains("that git obeys"), "{}", ran.err);
    assert!(ran.err.contains("1 links or the like"), "{}", ran.err);
    site.assert_no_litter();
}

#[test]
fn agents_do_not_see_each_others_branches_and_stashes() {
    let site = Site::new();
    site.shell_config("isolation: clone");
    // Each of them stashes, waits until the other has, and takes its own back.
    for (own, other) in [("a", "b"), ("b", "a")] {
        let (here, there) = (site.path(own), site.path(other));
        site.shell(
            own,
            &format!(
                "git checkout -q -b work; git config user.name {own}; echo {own} > {own}.txt\n\
                 git stash -q -u; touch '{}'; while [ ! -e '{}' ]; do sleep 0.01; done\n\
                 git stash pop -q; git add {own}.txt; git commit -q -m 'by {own}'",
                here.display(),
                there.display()
            ),
        );
    }
    site.commit("specs");
    let ran = site.harness(&["run", "--parallel", "2"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    for own in ["a", "b"] {
        assert_eq!(site.read(&format!("{own}.txt")), format!("{own}\n"));
        let log = site.git(&["log", "--format=%an", "--grep", &format!("by {own}")]);
        // The name is the environment's.
        assert_eq!(log.trim(), "Tess");
    }
    site.assert_no_litter();
}

#[test]
fn a_conflict_is_resolved_in_a_clone() {
    let site = Site::new();
    site.shell_config("isolation: clone");
    for (own, other) in [("left", "right"), ("right", "left")] {
        site.shell(
            own,
            &format!(
                "touch '{}'; while [ ! -e '{}' ]; do sleep 0.01; done\n\
                 if git rev-parse -q --verify MERGE_HEAD; then git diff --name-only --diff-filter=U | grep -q shared.txt\n\
                 printf 'both\\n' > shared.txt; else echo {own} > shared.txt; fi\n\
                 git commit -q -a -m 'work of {own}'",
                site.path(own).display(),
                site.path(other).display()
            ),
        );
    }
    site.write("shared.txt", "base\n");
    site.commit("specs");
    let ran = site.harness(&["run", "--parallel", "2"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(site.read("shared.txt"), "both\n");
    site.git(&["fsck", "--strict", "--no-dangling"]);
    site.assert_no_litter();
}

#[test]
fn what_was_committed_when_harness_was_killed_is_there_in_the_next_run() {
    let site = Site::new();
    site.shell_config("isolation: clone");
    let committed = site.path("committed");
    site.shell(
        "a",
        &format!(
            "if [ -e '{0}' ]; then git log --format=%s | grep -q 'first half'; echo 2 >> a.txt; else\n\
             echo 1 > a.txt; git add a.txt; git commit -q -m 'first half'; touch '{0}'; sleep 600; fi",
            committed.display()
        ),
    );
    site.commit("specs");
    let run = site.start(&["run"]);
    site.await_file(&committed);
    signal(&run, "KILL");
    end(run);
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(site.read("a.txt"), "1\n2\n");
    assert!(site.git(&["log", "--format=%s"]).contains("first half"));
    site.assert_no_litter();
}

#[test]
fn a_clone_is_refused_where_objects_may_be_missing() {
    let site = Site::new();
    site.shell_config("isolation: clone");
    site.shell("a", "echo a > a.txt");
    site.commit("specs");
    site.git(&["config", "extensions.partialClone", "origin"]);
    site.git(&["config", "remote.origin.url", "/does/not/exist"]);
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    assert!(ran.err.contains("use `isolation: worktree`"), "{}", ran.err);
}
