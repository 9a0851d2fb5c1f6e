//! Bad input: each exits with its code and one helpful message that names the place, and nothing is
//! started, lost or half done.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]
#![cfg(feature = "fake-agent")]

mod support;

use support::Site;

/// One kind of bad input.
struct Case {
    what: &'static str,
    /// Spoils a good repository.
    spoil: fn(&mut Site),
    args: &'static [&'static str],
    code: i32,
    /// All of these stand in the message.
    says: &'static [&'static str],
}

/// A repository in which `harness run` would succeed.
fn good() -> Site {
    let site = Site::new();
    site.config("");
    site.spec("auth", "");
    site.spec("billing", "depends_on: [auth]");
    site.script("default", "write ${FEATURE}.txt x\nnote \"did all that the spec of ${FEATURE} asks\"\ndone \"there\"\n");
    site.commit("specs");
    site
}

const RUN: &[&str] = &["run"];

const fn case(
    what: &'static str,
    spoil: fn(&mut Site),
    args: &'static [&'static str],
    code: i32,
    says: &'static [&'static str],
) -> Case {
    Case {
        what,
        spoil,
        args,
        code,
        says,
    }
}

#[rustfmt::skip]
const CASES: &[Case] = &[
        case(
            "YAML that does not parse",
            |s| s.write("harness.yaml", "run:\n  parallel: [1\n"),
            RUN,
            2,
            &["harness.yaml:"],
        ),
        case(
            "unknown key",
            |s| s.config("run: {paralel: 2}"),
            RUN,
            2,
            &["harness.yaml:7", "paralel", "parallel"],
        ),
        case(
            "wrong type",
            |s| s.config("run: {parallel: many}"),
            RUN,
            2,
            &["harness.yaml:7", "parallel"],
        ),
        case(
            "out of range",
            |s| s.config("run: {parallel: 0}"),
            RUN,
            2,
            &["harness.yaml:7", "parallel"],
        ),
        case(
            "duplicate key",
            |s| s.config("run: {parallel: 2}\nrun: {parallel: 3}"),
            RUN,
            2,
            &["harness.yaml:", "run"],
        ),
        case(
            "a later capability",
            |s| s.config("checks: {secrets: fail}"),
            RUN,
            2,
            &["harness.yaml:7", "not available yet"],
        ),
        case(
            "two problems at once",
            |s| s.config("run: {paralel: 2}\nverify: {comands: []}"),
            RUN,
            2,
            &["harness.yaml:7", "harness.yaml:8"],
        ),
        case(
            "unknown profile",
            |s| s.spec("auth", "agent: scriptd"),
            RUN,
            2,
            &["specs/auth/spec.md:2", "scripted"],
        ),
        case(
            "missing config file",
            |_| {},
            &["--config", "no.yaml", "run"],
            2,
            &["no.yaml"],
        ),
        case(
            "cycle",
            |s| s.spec("auth", "depends_on: [billing]"),
            RUN,
            2,
            &["auth -> billing -> auth", "spec.md:2"],
        ),
        case(
            "self-dependency",
            |s| s.spec("auth", "depends_on: auth"),
            RUN,
            2,
            &["auth -> auth"],
        ),
        case(
            "unknown dependency",
            |s| s.spec("billing", "depends_on: [auht]"),
            RUN,
            2,
            &["specs/billing/spec.md:2", "did you mean `auth`"],
        ),
        case(
            "front matter that never ends",
            |s| s.write("specs/auth/spec.md", "---\npriority: 1\n# Auth\n"),
            RUN,
            2,
            &["specs/auth/spec.md:1"],
        ),
        case(
            "front matter of a wrong type",
            |s| s.spec("auth", "priority: high"),
            RUN,
            2,
            &["specs/auth/spec.md:2", "priority"],
        ),
        case(
            "slug with upper case",
            |s| s.spec("Auth2", ""),
            RUN,
            2,
            &["Auth2"],
        ),
        case(
            "slug whose log would be the run's",
            |s| s.spec("run", ""),
            RUN,
            2,
            &["specs/run/spec.md", "run.log", "rename its directory"],
        ),
        case(
            "slugs that differ by case only",
            |s| s.spec("AUTH", ""),
            RUN,
            2,
            &["AUTH"],
        ),
        case(
            "dependency on a hostile slug",
            |s| s.spec("auth", "depends_on: ['../x']"),
            RUN,
            2,
            &["specs/auth/spec.md:2", "../x"],
        ),
        case(
            "hostile slug on the command line",
            |_| {},
            &["run", "--only", "../x"],
            2,
            &["../x"],
        ),
        case(
            "spec that is a link out of the repository",
            |s| {
                s.write("../outside.md", "# secret\n");
                std::fs::create_dir(s.repo.join("specs/evil")).unwrap();
                std::os::unix::fs::symlink(s.path("outside.md"), s.repo.join("specs/evil/spec.md"))
                    .unwrap();
            },
            RUN,
            2,
            &["evil"],
        ),
        case(
            "spec that is not text",
            |s| std::fs::write(s.repo.join("specs/auth/spec.md"), b"\xff\xfe\x00").unwrap(),
            RUN,
            2,
            &["specs/auth/spec.md"],
        ),
        case(
            "no specs",
            |s| std::fs::remove_dir_all(s.repo.join("specs")).unwrap(),
            RUN,
            2,
            &["specs", "make specs/<name>/spec.md"],
        ),
        case(
            "named order file that is missing",
            |s| s.set("ORDER_FILE", "nowhere.txt"),
            RUN,
            2,
            &["nowhere.txt"],
        ),
        case(
            "unknown feature selected",
            |_| {},
            &["run", "--only", "auht"],
            2,
            &["did you mean `auth`"],
        ),
        case(
            "selection without its dependency",
            |_| {},
            &["run", "--only", "billing"],
            2,
            &["--only auth,billing"],
        ),
        case(
            "missing agent program",
            |s| {
                s.write(
                    "harness.yaml",
                    "agent: x\nagents: {x: {kind: command, command: [no-such-agent]}}\n",
                );
            },
            RUN,
            2,
            &["no-such-agent", "PATH"],
        ),
        case(
            "agent that is not executable",
            |s| {
                s.write("tools/agent.sh", "#!/bin/sh\n");
                s.write(
                    "harness.yaml",
                    "agent: x\nagents: {x: {kind: command, command: [./tools/agent.sh]}}\n",
                );
            },
            RUN,
            2,
            &["tools/agent.sh", "chmod +x"],
        ),
        case(
            "unknown flag",
            |_| {},
            &["run", "--paralel", "2"],
            2,
            &["--paralel", "--parallel"],
        ),
        case(
            "bad flag value",
            |_| {},
            &["run", "--parallel", "lots"],
            2,
            &["--parallel", "lots"],
        ),
        case(
            "unknown command",
            |_| {},
            &["statsu"],
            2,
            &["statsu", "status"],
        ),
        case(
            "bad variable",
            |s| s.set("MAX_ITERATIONS", "many"),
            RUN,
            2,
            &["MAX_ITERATIONS", "many"],
        ),
        case(
            "misspelt variable warns and the value of another is refused",
            |s| {
                s.set("HARNESS_PARALEL", "3");
                s.set("HARNESS_PARALLEL", "x");
            },
            RUN,
            2,
            &["HARNESS_PARALEL", "HARNESS_PARALLEL"],
        ),
        case(
            "not a repository",
            |s| std::fs::remove_dir_all(s.repo.join(".git")).unwrap(),
            RUN,
            2,
            &["git repository"],
        ),
        case(
            "unborn branch",
            |s| {
                std::fs::remove_dir_all(s.repo.join(".git")).unwrap();
                s.git(&["init", "-q", "-b", "main", "."]);
            },
            RUN,
            2,
            &["commit"],
        ),
        case(
            "bare repository",
            |s| {
                let bare = s.path("bare.git");
                s.git(&["clone", "-q", "--bare", ".", bare.to_str().unwrap()]);
                s.repo = bare;
            },
            RUN,
            2,
            &["bare"],
        ),
        case(
            "detached HEAD",
            |s| {
                s.git(&["checkout", "-q", "--detach"]);
            },
            RUN,
            2,
            &["no branch is checked out", "target"],
        ),
        case(
            "unknown target",
            |_| {},
            &["run", "--target", "mian"],
            2,
            &["mian", "main"],
        ),
        case(
            "worktrees inside of the repository",
            |s| s.config("worktrees: {dir: wt}"),
            RUN,
            2,
            &["wt"],
        ),
        case(
            "state directory that is a file",
            |s| s.write(".harness", "in the way\n"),
            RUN,
            2,
            &[".harness"],
        ),
        case(
            "damaged journal",
            |s| {
                s.harness(RUN);
                let text = s.read(".harness/journal.jsonl").replacen("main", "mian", 1);
                s.write(".harness/journal.jsonl", &text);
            },
            RUN,
            10,
            &["journal.jsonl:1"],
        ),
        case(
            "answer to a feature that asked nothing",
            |s| {
                s.harness(RUN);
            },
            &["unblock", "auth", "-m", "yes"],
            2,
            &["auth"],
        ),
        case(
            "retry of an unknown feature",
            |_| {},
            &["retry", "auht"],
            2,
            &["did you mean `auth`"],
        ),
        case(
            "missing template",
            |s| s.config("prompt: {template: nowhere.j2}"),
            RUN,
            2,
            &["nowhere.j2"],
        ),
        case(
            "broken template",
            |s| {
                s.write("t.j2", "ok\n{{ slug\n");
                s.config("prompt: {template: t.j2}");
            },
            &["prompt", "auth"],
            2,
            &["t.j2:"],
        ),
];

#[test]
fn each_kind_of_bad_input_gets_its_code_and_one_helpful_message() {
    let mut wrong = Vec::new();
    assert!(CASES.len() >= 30);
    for case in CASES {
        let mut site = good();
        (case.spoil)(&mut site);
        let ran = site.harness(case.args);
        let mut complain = |text: String| wrong.push(format!("{}: {text}\n{}", case.what, ran.err));
        if ran.code != Some(case.code) {
            complain(format!("exit {:?}, not {}", ran.code, case.code));
        }
        for word in case.says.iter().filter(|word| !ran.err.contains(**word)) {
            complain(format!("does not say `{word}`"));
        }
        if ran.err.contains("panicked") {
            complain("panicked".to_owned());
        }
        if site.path("the repo.harness").exists() && case.code == 2 {
            complain("made worktrees".to_owned());
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n---\n"));
}

#[test]
fn the_good_repository_is_good() {
    let site = good();
    let ran = site.harness(RUN);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(site.landed(), ["auth", "billing"]);
}
