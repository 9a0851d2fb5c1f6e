//! Content that git converts on its way into and out of a commit: what cannot be converted stops nobody else, is
//! kept as it is, and is told to whom it concerns.

#![cfg(feature = "fake-agent")]

mod support;

use support::Site;

const WIDE: &str = "*.wide text working-tree-encoding=UTF-16LE-BOM\n";

#[test]
fn what_git_cannot_convert_is_kept_and_told_to_its_agent() {
    let site = Site::new();
    site.shell_config("run: {max_iterations_per_feature: 3}");
    let clean = "sh -c 't=$(cat); [ $((${#t} % 2)) = 0 ] && printf %s \"$t\"'";
    site.git(&["config", "filter.even.clean", clean]);
    site.git(&["config", "filter.even.smudge", "cat"]);
    site.git(&["config", "filter.even.required", "true"]);
    site.write(".gitattributes", &format!("{WIDE}*.even filter=even\n"));
    site.shell(
        "encoded",
        "if [ \"$HARNESS_ITERATION\" = 1 ]; then printf abc > 'its own.wide'; mkdir sub; printf abc > sub/more.wide; \
         echo also > other.txt\n\
         else grep -q 'failed to encode .its own.wide. from' .harness/prompt; grep -q 'sub/more.wide' .harness/prompt; \
         printf '\\377\\376a\\000\\n\\000' > 'its own.wide'; rm sub/more.wide; fi",
    );
    site.shell(
        "filtered",
        "if [ \"$HARNESS_ITERATION\" = 1 ]; then printf abc > x.even; chmod +x x.even; echo also > fine.txt\n\
         else grep -q \"x.even: clean filter 'even' failed\" .harness/prompt; printf abcd > x.even; fi",
    );
    // Gets the worktree that another one leaves.
    site.shell("next", "echo next > next.txt");
    site.commit("specs");
    let ran = site.harness(&["run", "--parallel", "1"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let kept = |name: &str| site.git(&["show", &format!("refs/harness/iterations/{name}")]);
    assert_eq!(kept("encoded/1:its own.wide"), "abc");
    assert_eq!(kept("encoded/1:sub/more.wide"), "abc");
    assert_eq!(kept("encoded/1:other.txt"), "also\n");
    assert_eq!(kept("filtered/1:x.even"), "abc");
    let entry = site.git(&["ls-tree", "refs/harness/iterations/filtered/1", "x.even"]);
    assert!(entry.starts_with("100755"), "{entry}");
    assert_eq!(site.git(&["show", "main:its own.wide"]), "a\n");
    assert_eq!(site.read("next.txt"), "next\n");
    site.assert_no_litter();
}

#[test]
fn what_is_given_up_can_be_cleaned_away_and_stays() {
    let site = Site::new();
    site.shell_config("run: {max_iterations_per_feature: 1}");
    site.write(".gitattributes", WIDE);
    site.shell("a", "printf abc > x.wide");
    site.commit("specs");
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert_eq!(site.git(&["show", "harness/a:x.wide"]), "abc");
    let ran = site.harness(&["clean", "--force"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let old = site.git(&["for-each-ref", "--format=%(refname)", "refs/harness/old/"]);
    assert_eq!(
        site.git(&["show", &format!("{}:x.wide", old.trim())]),
        "abc"
    );
    site.assert_no_litter();
}

/// It asks a person to look at what they commit; nobody is there.
#[test]
fn line_ends_that_the_user_wants_to_be_warned_of_stop_nothing() {
    let site = Site::new();
    site.shell_config("");
    site.git(&["config", "core.safecrlf", "true"]);
    site.write(".gitattributes", "*.txt text eol=lf\n");
    site.shell("a", "printf 'a\\r\\nb\\r\\n' > dos.txt");
    site.commit("specs");
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(site.git(&["show", "main:dos.txt"]), "a\nb\n");
    site.assert_no_litter();
}

#[test]
fn a_filter_that_does_not_work_is_told_before_the_run() {
    let site = Site::new();
    site.shell_config("");
    site.write(".gitattributes", "*.dat filter=box\n");
    site.write("sub/base.dat", "plain\n");
    site.shell("a", "echo plain > new.dat");
    site.commit("specs");
    let missing = "no-such-program-here";
    for (smudge, clean) in [(missing, "cat"), ("cat", missing)] {
        site.git(&["config", "filter.box.smudge", smudge]);
        site.git(&["config", "filter.box.clean", clean]);
        site.git(&["config", "filter.box.required", "true"]);
        let ran = site.harness(&["run"]);
        assert_eq!(ran.code, Some(2), "{}", ran.err);
        for part in [
            "the filter `box`, which sub/base.dat needs, does not work",
            missing,
            "git config --get-regexp filter.box",
        ] {
            assert!(ran.err.contains(part), "{part}: {}", ran.err);
        }
        assert!(!site.repo.join(".harness/journal.jsonl").exists());
    }
    // Nobody needs it: git goes on without.
    site.git(&["config", "filter.box.required", "false"]);
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    site.assert_no_litter();
}

/// A filter whose smudge refuses what holds `poison`; its clean takes everything.
fn picky(more: &str) -> Site {
    let site = Site::new();
    site.shell_config(&format!(
        "{more}\nmerge: {{batch: 4}}\nrun: {{max_iterations_per_feature: 4}}"
    ));
    let smudge =
        "sh -c 't=$(cat; echo .); case $t in *poison*) exit 1;; esac; printf %s \"${t%.}\"'";
    for (key, value) in [("clean", "cat"), ("smudge", smudge), ("required", "true")] {
        site.git(&["config", &format!("filter.picky.{key}"), value]);
    }
    site
}

/// As of a pointer to a large file that nobody has. Landed, it would stop every checkout, the user's half-way.
#[test]
fn a_file_that_cannot_be_checked_out_is_refused_with_the_claim() {
    for gate in ["", "verify: {commands: ['true']}"] {
        let site = picky(gate);
        site.write(".gitattributes", "*.box filter=picky\n");
        site.write("base.box", "fine\n");
        site.shell(
            "a",
            "echo also > aa.txt; if [ \"$HARNESS_ITERATION\" = 1 ]; then echo poison > 'an x.box'; else\n\
             grep -q 'an x.box cannot be checked out: .*smudge filter picky failed' .harness/prompt\n\
             echo cured > 'an x.box'; fi",
        );
        site.shell("b", "echo b > b.txt");
        site.commit("specs");
        let ran = site.harness(&["run", "--parallel", "2"]);
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        assert_eq!(site.read("an x.box"), "cured\n");
        assert_eq!(site.read("b.txt"), "b\n");
        site.assert_no_litter();
    }
}

/// One brings the filter and another the file: each alone is fine.
#[test]
fn who_makes_the_merge_impossible_to_check_out_is_found_and_stops_nobody_else() {
    let site = picky("verify: {commands: ['true']}");
    let wait = |name: &str| {
        let file = site.path(name).display().to_string();
        format!("while [ ! -e '{file}' ]; do sleep 0.01; done;")
    };
    let done = site.repo.join(".harness/a.done").display().to_string();
    let after_a = format!("while [ ! -e '{done}' ]; do sleep 0.01; done;");
    let begun = |name: &str| format!("touch '{}';", site.path(name).display());
    site.shell(
        "a",
        &format!(
            "{} {} echo '*.box filter=picky' > .gitattributes",
            wait("b"),
            wait("c")
        ),
    );
    site.shell(
        "b",
        &format!(
            "{} {after_a} if [ \"$HARNESS_ITERATION\" = 1 ]; then echo poison > x.box; else\n\
             grep -q 'smudge filter picky failed' .harness/prompt; echo cured > x.box; fi",
            begun("b")
        ),
    );
    site.shell("c", &format!("{} {after_a} echo c > c.txt", begun("c")));
    site.commit("specs");
    let ran = site.harness(&["run", "--parallel", "3"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let rejected = site.journal().into_iter();
    let rejected: Vec<_> = rejected
        .filter(|event| event["event"] == "rejected")
        .collect();
    assert_eq!(rejected.len(), 1, "{}", ran.err);
    assert_eq!(rejected[0]["slug"], "b");
    assert_eq!(site.read("x.box"), "cured\n");
    assert_eq!(site.read("c.txt"), "c\n");
    site.assert_no_litter();
}
