//! Every problem, reason and finding has a code, every code a page; and typical mistakes are told so that a person knows what
//! to do: where it is, what it is, what helps.

#![cfg(feature = "fake-agent")]

mod support;

use harness::agent::{self, Tells};
use harness::config::Kind;
use harness::report::{code_meaning, pages, printed_codes};
use std::collections::BTreeSet;
use support::{Ran, Site, end};

#[test]
fn what_each_kind_of_agent_tells_is_said_as_it_is() {
    let page = pages().find(|page| page.code == "unmeasured").unwrap();
    let text = page.text();
    for (told, tells) in [
        ("    tokens and money: ", Tells::Money),
        ("    tokens: ", Tells::Tokens),
        ("    nothing: ", Tells::Nothing),
    ] {
        let line = text.lines().find_map(|line| line.strip_prefix(told));
        let said: BTreeSet<&str> = line.unwrap().split(", ").collect();
        let kinds = Kind::ALL
            .into_iter()
            .filter(|kind| agent::tells(*kind) == tells);
        assert_eq!(said, kinds.map(Kind::name).collect(), "{told}");
    }
}

#[test]
fn a_page_for_each_code_and_a_code_for_each_page() {
    let site = good();
    let doctor: serde_json::Value =
        serde_json::from_str(&site.harness(&["doctor", "--verify", "--json"]).out).unwrap();
    let checks = doctor["checks"].as_array().unwrap().iter();
    let checks = checks.map(|check| check["id"].as_str().unwrap().to_owned());
    let mut codes: BTreeSet<String> = printed_codes().into_iter().map(str::to_owned).collect();
    codes.extend(checks);
    let pages: Vec<_> = pages().collect();
    let explained: BTreeSet<String> = pages.iter().map(|page| page.code.to_owned()).collect();
    assert_eq!(explained.len(), pages.len(), "two pages of one code");
    let without: Vec<_> = codes.difference(&explained).collect();
    let unused: Vec<_> = explained.difference(&codes).collect();
    assert!(
        without.is_empty() && unused.is_empty(),
        "no page: {without:?}; no code: {unused:?}"
    );
    let list = site.harness(&["explain"]).out;
    for page in pages {
        assert!(
            page.summary.ends_with('.') && page.summary.len() < 100,
            "{page:?}"
        );
        assert!(
            page.text().lines().count() > 4,
            "{}: says nothing to do",
            page.code
        );
        assert!(list.contains(page.summary), "{}", page.code);
        assert!(
            page.text().lines().all(|line| line.chars().count() <= 140),
            "{}",
            page.code
        );
    }
}

#[test]
fn a_code_is_found_however_it_is_typed() {
    let site = Site::bare_dir();
    for typed in ["needs_help", "needs-help", "[needs_help]", "Needs-Help"] {
        let ran = site.harness(&["explain", typed]);
        assert!(ran.out.starts_with("needs_help\n\n"), "{typed}: {ran:?}");
    }
    let unknown = site.harness(&["explain", "unknown-dependancy"]);
    assert_eq!(unknown.code, Some(2));
    assert!(
        unknown.err.contains("did you mean `unknown-dependency`?"),
        "{}",
        unknown.err
    );
}

#[test]
fn the_exit_codes_are_told_alike_everywhere() {
    let readme = include_str!("../README.md");
    let rows: Vec<(u8, &str)> = readme
        .lines()
        .filter_map(|line| {
            let (code, meaning) = line.strip_prefix("| ")?.split_once(" | ")?;
            Some((code.parse().ok()?, meaning.strip_suffix(" |")?))
        })
        .collect();
    assert_eq!(rows.len(), 13);
    let site = Site::bare_dir();
    let help = site.harness(&["help", "exit-codes"]);
    let table = site.harness(&["exit-codes"]);
    assert_eq!((help.code, table.code), (Some(0), Some(0)));
    for (code, meaning) in rows {
        assert_eq!(meaning, code_meaning(code), "README.md, {code}");
        let row = format!("{code:>4}  {meaning}");
        assert!(table.out.contains(&row), "{}", table.out);
        assert!(help.out.contains(row.trim_start()), "{}", help.out);
    }
}

/// That a mistake is told with its code, its place and a remedy, and that the code has a page.
fn tells(what: &str, ran: &Ran, exit: i32, code: &str, parts: &[&str]) {
    assert_eq!(ran.code, Some(exit), "{what}: {ran:?}");
    let head = format!("error[{code}]: ");
    assert!(ran.err.contains(&head), "{what}: {head}\n{}", ran.err);
    for part in parts {
        assert!(ran.err.contains(part), "{what}: {part}\n{}", ran.err);
    }
    assert!(pages().any(|page| page.code == code), "{what}: {code}");
}

fn good() -> Site {
    let site = Site::new();
    site.config("");
    site.spec("auth", "");
    site.spec("billing", "depends_on: auth");
    site.commit("specs");
    site
}

/// What a run says of a file with this text.
fn bad(file: &str, text: &str) -> Ran {
    let site = good();
    site.write(file, text);
    site.harness(&["run"])
}

#[test]
fn what_is_no_yaml_is_told_with_what_ends_it() {
    for (what, text, help) in [
        (
            "a list",
            "agent: [a, b\n",
            "help: the `[` in line 2 is not closed",
        ),
        (
            "a text",
            "agent: \"mine\n",
            "help: close the quotation mark that stands in line 2",
        ),
        (
            "two keys",
            "run: parallel: 4\n",
            "help: begin a new line for the second key",
        ),
        (
            "columns",
            "run:\n  parallel: 4\n until: 7\n",
            "help: lines that belong together",
        ),
    ] {
        tells(
            what,
            &bad("harness.yaml", &format!("version: 1\n{text}")),
            2,
            "bad-yaml",
            &["--> harness.yaml:", help],
        );
    }
}

#[test]
fn mistakes_in_harness_yaml_are_told_with_place_and_remedy() {
    let config = |text: &str| bad("harness.yaml", &format!("version: 1\n{text}"));
    let yaml = config("run: {parallel: 4\n");
    tells(
        "YAML",
        &yaml,
        2,
        "bad-yaml",
        &[
            "--> harness.yaml:",
            "not valid YAML",
            "help: the `{` in line 2 is not closed",
        ],
    );
    let tab = config("run:\n\tparallel: 4\n");
    tells(
        "a tab",
        &tab,
        2,
        "bad-yaml",
        &["harness.yaml:3", "indent with spaces"],
    );
    let key = config("run: {paralel: 4}\n");
    tells(
        "a key",
        &key,
        2,
        "unknown-key",
        &["harness.yaml:2", "did you mean `parallel`?"],
    );
    let value = config("run: {parallel: many}\n");
    tells(
        "a value",
        &value,
        2,
        "bad-value",
        &["harness.yaml:2", "expected", "`many`"],
    );
    let agent = config("agent: claud\n");
    tells(
        "a profile",
        &agent,
        2,
        "unknown-agent",
        &["harness.yaml:2", "did you mean `claude`?"],
    );
    for ran in [yaml, key] {
        assert!(ran.err.contains("`harness explain "), "{}", ran.err);
    }
}

#[test]
fn mistakes_in_specs_are_told_with_place_and_remedy() {
    let spec = |front: &str| {
        bad(
            "specs/billing/spec.md",
            &format!("---\n{front}\n---\n# B\n"),
        )
    };
    let named = spec("depends_on: [auht]");
    let parts = ["specs/billing/spec.md:2", "`auht`", "did you mean `auth`?"];
    tells("a dependency", &named, 2, "unknown-dependency", &parts);
    let circle = spec("depends_on: [billing]");
    let parts = [
        "specs/billing/spec.md:2",
        "billing -> billing",
        "take one of these",
    ];
    tells("a circle", &circle, 2, "dependency-cycle", &parts);
    let open = bad("specs/billing/spec.md", "---\ndepends_on: auth\n# B\n");
    tells(
        "front matter",
        &open,
        2,
        "open-front-matter",
        &["spec.md:1", "end it with"],
    );
    let list = spec("depends_on: [auth\npriority: 1");
    let parts = ["spec.md:3", "help: the `[` in line 2 is not closed"];
    tells("a list", &list, 2, "bad-yaml", &parts);
    assert!(named.err.contains("`harness explain "), "{}", named.err);
}

#[test]
fn a_rebase_in_progress_is_told_with_what_ends_it() {
    let site = good();
    site.write("other", "x\n");
    site.commit("more");
    site.git(&[
        "-c",
        "sequence.editor=sed -i s/^pick/edit/",
        "rebase",
        "-q",
        "-i",
        "main~1",
    ]);
    let parts = [
        "a rebase is in progress there, which `git rebase --continue` or `git rebase --abort` ends",
        "= help: end that, or name the branch",
    ];
    tells(
        "a rebase",
        &site.harness(&["run"]),
        2,
        "detached-head",
        &parts,
    );
}

#[test]
fn mistakes_around_the_repository_are_told_with_a_remedy() {
    let none = Site::bare_dir();
    let parts = ["is not in a git repository", "= help: ", "git init"];
    tells(
        "no repository",
        &none.harness(&["run"]),
        2,
        "no-repository",
        &parts,
    );
    let unborn = Site::bare_dir();
    unborn.git(&["init", "-q", "-b", "main", "."]);
    unborn.config("");
    unborn.spec("auth", "");
    tells(
        "no commit",
        &unborn.harness(&["run"]),
        2,
        "no-commits",
        &["`main`", "= help: commit something"],
    );
    let site = good();
    site.git(&["checkout", "-q", "--detach"]);
    tells(
        "detached",
        &site.harness(&["run"]),
        2,
        "detached-head",
        &["= help: check one out"],
    );
    site.git(&["checkout", "-q", "main"]);
    let branch = site.harness(&["run", "--target", "mian"]);
    tells(
        "a branch",
        &branch,
        2,
        "unknown-branch",
        &["`mian`", "= help: did you mean `main`?"],
    );
    site.write(
        "harness.yaml",
        "version: 1\nagents: {mine: {kind: command, command: [no-such-program]}}\nagent: mine\n",
    );
    let parts = [
        "agent `mine`",
        "`no-such-program` was not found on PATH",
        "--> harness.yaml:2",
        "= help: install it",
    ];
    tells(
        "an agent",
        &site.harness(&["run"]),
        2,
        "agent-missing",
        &parts,
    );
    site.write("specs/auth/spec.md", "");
    std::fs::remove_dir_all(site.repo.join("specs")).unwrap();
    tells(
        "no specs",
        &site.harness(&["run"]),
        2,
        "no-specs",
        &["specs/<name>/spec.md"],
    );
}

#[test]
fn mistakes_on_the_command_line_are_told_with_a_remedy() {
    let site = good();
    let flag = site.harness(&["run", "--paralel", "4"]);
    tells("a flag", &flag, 2, "usage", &["--parallel"]);
    let command = site.harness(&["stauts"]);
    tells("a command", &command, 2, "usage", &["status"]);
    for words in [
        &["why", "biling"][..],
        &["retry", "biling"],
        &["logs", "biling"],
    ] {
        let ran = site.harness(words);
        tells(
            "a feature",
            &ran,
            2,
            "unknown-feature",
            &["did you mean `billing`?"],
        );
    }
    let early = site.harness(&["unblock", "auth", "-m", "yes"]);
    tells(
        "not blocked",
        &early,
        2,
        "not-possible",
        &["is not blocked", "harness status"],
    );
    assert!(!early.err.contains("harness explain"), "{}", early.err);
}

#[test]
fn who_comes_second_is_told_who_is_first_and_edits_in_the_way_are_named() {
    let site = Site::new();
    let go = site.path("go");
    site.shell_config("");
    let wait = format!("until test -e {go:?}; do sleep 0.02; done\necho new > README\n");
    site.shell("auth", &wait);
    site.commit("specs");
    let run = site.start(&["run"]);
    site.await_journal("\"event\":\"iteration_started\"");
    let second = site.harness(&["run"]);
    tells(
        "the lock",
        &second,
        9,
        "locked",
        &["process ", "harness status --watch", "`harness stop`"],
    );
    // An edit of the user's where the feature lands.
    site.write("README", "mine\n");
    std::fs::write(&go, "").unwrap();
    let ran = end(run);
    assert_eq!(ran.code, Some(8), "{ran:?}");
    assert!(ran.out.contains("README"), "{}", ran.out);
    let why = site.harness(&["why", "auth"]).out;
    let told =
        "you have edited what lands there: README; commit or stash that; once it is out of the way";
    assert!(why.contains("[unpublished]") && why.contains(told), "{why}");
    assert_eq!(site.read("README"), "mine\n");
}
