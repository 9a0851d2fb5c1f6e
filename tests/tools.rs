//! What a person asks beside the run: which features clash, what was kept, taking a landing back, who
//! waits in the merge queue.

#![cfg(feature = "fake-agent")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

mod support;

use std::collections::BTreeMap;
use std::path::PathBuf;
use support::{Ran, Site, end};

fn ok(ran: Ran) -> String {
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    ran.out
}

fn json(ran: Ran) -> serde_json::Value {
    serde_json::from_str(&ok(ran)).unwrap()
}

/// Every file of the repository, the git directory included, with its content.
fn everything(site: &Site) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![site.repo.clone()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.is_symlink() {
                open.push(path.clone());
                found.insert(path, Vec::new());
            } else {
                let content = std::fs::read(&path).unwrap_or_default();
                found.insert(path, content);
            }
        }
    }
    found
}

/// Features that write these files and then need a person, so that their work stays on their branches.
fn unfinished(features: &[(&str, &[&str])]) -> Site {
    let site = Site::new();
    site.config("");
    for (slug, files) in features {
        site.spec(slug, "");
        let writes: Vec<String> = files
            .iter()
            .map(|file| format!("write {file} \"{slug}\\n\"\n"))
            .collect();
        let text = writes.concat() + "note \"wrote what I could write\"\nblock \"which colour?\"\n";
        site.script(slug, &text);
    }
    site.commit("specs");
    let ran = site.harness(&["run", "--parallel", "4"]);
    assert_eq!(ran.code, Some(4), "{}", ran.err);
    site
}

#[test]
fn conflicts_names_who_clashes_with_whom_and_leaves_no_trace() {
    let site = unfinished(&[
        ("alone", &["alone.txt"]),
        ("main", &["same.txt", "more.txt"]),
        ("one", &["same.txt"]),
        ("two", &["other.txt", "more.txt"]),
    ]);
    site.write("other.txt", "the user's\n");
    site.commit("mine");
    site.write("alone.txt", "not committed\n");
    let before = everything(&site);
    let found = ok(site.harness(&["conflicts"]));
    let expected = "main × one: same.txt\nmain × two: more.txt\ntwo × main: other.txt\n";
    assert_eq!(found, expected);
    let found = json(site.harness(&["conflicts", "--json"]));
    assert_eq!(found["schema"], "harness.conflicts");
    assert_eq!(found["features"].as_array().unwrap().len(), 4);
    let last = &found["conflicts"][2];
    assert_eq!(last["a"]["name"], "two");
    assert_eq!(last["b"]["kind"], "target");
    assert_eq!(last["paths"][0], "other.txt");
    assert_eq!(everything(&site), before);
}

#[test]
fn conflicts_says_when_there_is_none() {
    let site = Site::new();
    site.config("");
    site.spec("a", "");
    site.commit("specs");
    let before = everything(&site);
    let none = ok(site.harness(&["conflicts"]));
    assert!(none.contains("no unfinished feature has commits"), "{none}");
    assert_eq!(everything(&site), before);

    let site = unfinished(&[("one", &["one.txt"]), ("two", &["two.txt"])]);
    let none = ok(site.harness(&["conflicts"]));
    assert!(
        none.starts_with("no conflicts: 2 unfinished features"),
        "{none}"
    );
}

#[test]
fn conflicts_looks_while_a_run_lives() {
    let site = Site::new();
    site.config("");
    let go = site.path("go");
    for slug in ["a", "b"] {
        site.spec(slug, "");
        let text = format!(
            "[1]\nwrite same.txt \"{slug}\\n\"\nnote \"wrote my half of it\"\n\
             [2]\ntouch {:?}\nwait-for {go:?}\nblock \"which colour?\"\n",
            site.path(slug)
        );
        site.script(slug, &text);
    }
    site.commit("specs");
    let run = site.start(&["run", "--parallel", "2"]);
    site.await_file(&site.path("a"));
    site.await_file(&site.path("b"));
    let found = ok(site.harness(&["conflicts"]));
    std::fs::write(&go, "").unwrap();
    assert_eq!(end(run).code, Some(4));
    assert_eq!(found, "a × b: same.txt\n");
}

#[test]
fn who_works_on_is_told_what_landed_in_its_files() {
    let site = Site::new();
    site.config("");
    let landed = site.repo.join(".harness/b.done");
    for (slug, file) in [("a", "same.txt"), ("c", "c.txt")] {
        site.spec(slug, "");
        let (own, text) = (site.path(slug), "note \"wrote my half of it\"");
        let script = format!(
            "[1]\nwrite {file} \"{slug}\\n\"\n{text}\ntouch {own:?}\nwait-for {landed:?}\n\
             [2]\n{text}\ndone \"all of it\"\n[3]\nwrite {file} \"a\\nb\\n\"\n{text}\ndone \"both\"\n"
        );
        site.script(slug, &script);
    }
    site.spec("b", "");
    let (a, c) = (site.path("a"), site.path("c"));
    site.script(
        "b",
        &format!(
            "wait-for {a:?}\nwait-for {c:?}\nwrite same.txt \"b\\n\"\nnote \"wrote the shared file\"\ndone \"there\"\n"
        ),
    );
    site.commit("specs");
    ok(site.harness(&["run", "--parallel", "3"]));
    let prompt =
        |slug: &str, n: u32| site.read(&format!(".harness/iterations/{slug}/{n}/prompt.md"));
    let told = prompt("a", 2);
    assert!(
        told.contains("has landed and touches files you changed"),
        "{told}"
    );
    assert!(told.contains("Merge b: there: same.txt\n"), "{told}");
    assert!(told.contains("would conflict in: same.txt\n"), "{told}");
    for (slug, n) in [("a", 1), ("b", 1), ("c", 1), ("c", 2)] {
        assert!(!prompt(slug, n).contains("Landed meanwhile"), "{slug} {n}");
    }
    // Where the merge itself is the task, that is said once.
    let task = prompt("a", 3);
    assert!(task.contains("This iteration's task: a merge"), "{task}");
    assert!(!task.contains("Landed meanwhile"), "{task}");
}

#[test]
fn queue_tells_who_is_tried_and_who_comes_next() {
    let site = Site::new();
    let (gate, go) = (site.path("gate"), site.path("go"));
    let empty = ok(site.harness(&["queue"]));
    assert_eq!(empty, "the merge queue is empty\n");
    site.config(&format!(
        "verify: {{commands: [\"[ ! -e a.txt ] || {{ touch '{}'; while [ ! -e '{}' ]; do sleep 0.02; done; }}\"]}}",
        gate.display(),
        go.display()
    ));
    for slug in ["a", "b", "c"] {
        site.spec(slug, "");
        let wait = if slug == "a" {
            String::new()
        } else {
            format!("wait-for {gate:?}\n")
        };
        site.script(
            slug,
            &format!(
                "{wait}write {slug}.txt x\nnote \"wrote the file asked for\"\ndone \"there\"\n"
            ),
        );
    }
    site.commit("specs");
    let run = site.start(&["run", "--parallel", "3"]);
    site.await_that("two that wait", || {
        let seen = json(site.harness(&["queue", "--json"]));
        let waiting = seen["queue"]["waiting"].as_array().map_or(0, Vec::len);
        waiting == 2
    });
    let seen = json(site.harness(&["queue", "--json"]));
    let text = ok(site.harness(&["queue"]));
    std::fs::write(&go, "").unwrap();
    assert_eq!(end(run).code, Some(0));
    assert_eq!(seen["schema"], "harness.queue");
    assert_eq!(seen["live"], true);
    assert_eq!(seen["queue"]["attempts"][0]["members"][0], "a");
    assert_eq!(seen["queue"]["attempts"][0]["stage"], "gating");
    // The one under way, and one that tries both.
    assert_eq!(seen["queue"]["waiting"][1]["gates_ahead"], 2);
    for part in [": a  being gated for ", "1. ", "2. ", "(2 gates)"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(ok(site.harness(&["queue"])), "the merge queue is empty\n");
}

#[test]
fn recover_lists_every_iteration_and_brings_one_back_beside_the_project() {
    let site = Site::new();
    site.config("");
    site.spec("alpha", "");
    site.script(
        "alpha",
        "[1]\nwrite first.txt \"one\\n\"\nnote \"wrote the first of the files\"\n\
         [2]\nwrite first.txt \"two\\n\"\nnote \"wrote it once more, in full\"\nblock \"which colour?\"\n",
    );
    site.commit("specs");
    assert_eq!(site.harness(&["run"]).code, Some(4));
    let found = json(site.harness(&["recover", "alpha", "--json"]));
    assert_eq!(found["schema"], "harness.kept");
    let names: Vec<&str> = found["states"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["1", "2"]);
    let listed = ok(site.harness(&["recover", "alpha"]));
    assert!(listed.contains("harness recover alpha 2 --to"), "{listed}");

    let before = everything(&site);
    let dir = site.path("back");
    let text = dir.to_str().unwrap().to_owned();
    ok(site.harness(&["recover", "alpha", "1", "--to", &text]));
    assert_eq!(
        std::fs::read_to_string(dir.join("first.txt")).unwrap(),
        "one\n"
    );
    assert!(dir.join("specs/alpha/spec.md").is_file());
    assert_eq!(everything(&site), before);

    // A second time it is in the way, and stays as it is.
    let again = site.harness(&["recover", "alpha", "2", "--to", &text]);
    assert_eq!(again.code, Some(2));
    assert!(again.err.contains("not empty"), "{}", again.err);
    assert_eq!(
        std::fs::read_to_string(dir.join("first.txt")).unwrap(),
        "one\n"
    );

    let commit = found["states"][1]["commit"].as_str().unwrap();
    ok(site.harness(&["recover", "alpha", &commit[..8], "--branch", "look"]));
    assert_eq!(site.git(&["rev-parse", "look"]).trim(), commit);
    for (args, word) in [
        (
            ["recover", "alpha", "2", "--branch", "look"],
            "name another",
        ),
        (
            ["recover", "alpha", "2", "--branch", "a..b"],
            "can be called so",
        ),
        (
            ["recover", "alpha", "9", "--branch", "new"],
            "what is kept: 1, 2",
        ),
        (
            ["recover", "alpa", "1", "--branch", "new"],
            "did you mean `alpha`",
        ),
    ] {
        let refused = site.harness(&args);
        assert_eq!(refused.code, Some(2), "{args:?}");
        assert!(refused.err.contains(word), "{args:?}: {}", refused.err);
    }
}

#[test]
fn clean_says_what_it_keeps_and_why_and_loses_nothing() {
    let site = Site::new();
    site.config("");
    for slug in ["open", "looked-at"] {
        site.spec(slug, "");
        site.script(
            slug,
            "write half.txt \"half of it\\n\"\nnote \"wrote one half of what is asked\"\nblock \"which one?\"\n",
        );
    }
    site.commit("specs");
    assert_eq!(site.harness(&["run"]).code, Some(4));
    let pool = site.path("the repo.harness");
    // Work that nobody has committed yet, and things that are not harness's.
    std::fs::write(pool.join("w1/loose.txt"), "loose\n").unwrap();
    std::fs::write(pool.join("notes.txt"), "mine\n").unwrap();
    std::fs::create_dir(pool.join("mine")).unwrap();
    let cleaned = ok(site.harness(&["clean"]));
    for part in [
        "removed worktrees: ",
        "uncommitted work was kept as: refs/harness/lost/",
        "kept harness/open: its work has not landed",
        "left alone, because harness did not make it: ",
        "notes.txt",
    ] {
        assert!(cleaned.contains(part), "{part}: {cleaned}");
    }
    let lost = site.git(&["for-each-ref", "--format=%(refname)", "refs/harness/lost/"]);
    assert_eq!(
        site.git(&["show", &format!("{}:loose.txt", lost.trim())]),
        "loose\n"
    );
    assert_eq!(
        std::fs::read_to_string(pool.join("notes.txt")).unwrap(),
        "mine\n"
    );

    site.git(&["worktree", "add", "-q", "../look", "harness/looked-at"]);
    let cleaned = ok(site.harness(&["clean", "--force"]));
    let kept = "kept harness/looked-at: it is checked out in ";
    assert!(
        cleaned.contains(kept) && cleaned.contains("look"),
        "{cleaned}"
    );
    assert!(
        cleaned.contains("removed branches: harness/open"),
        "{cleaned}"
    );
    // Forced or not: every state can be brought back.
    let dir = site.path("back");
    ok(site.harness(&["recover", "open", "1", "--to", dir.to_str().unwrap()]));
    assert_eq!(
        std::fs::read_to_string(dir.join("half.txt")).unwrap(),
        "half of it\n"
    );
}
