//! The main job through the real binary, real git and a scripted agent.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]
#![cfg(feature = "fake-agent")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use support::{Site, end, signal};

/// Two iterations, one lesson each, then done.
const PLAIN: &str = r#"
record "${RECORD}"
[1]
write ${FEATURE}.txt "one\n"
note "wrote the first line of ${FEATURE}; the second comes next"
learn "first lesson of ${FEATURE}"
[2+]
write ${FEATURE}.txt "one\ntwo\n"
note "wrote the second line of ${FEATURE}; that is all of it"
learn "second lesson of ${FEATURE}"
done "${FEATURE} has two lines"
"#;

fn plain(site: &Site) -> String {
    PLAIN.replace("${RECORD}", site.path("record").to_str().unwrap())
}

/// Fifty features; every third depends on the one before it, every tenth on two others.
fn fifty(site: &Site) -> BTreeMap<String, Vec<String>> {
    let name = |n: u32| format!("f{n:02}");
    let mut all = BTreeMap::new();
    for n in 0..50 {
        let mut needs = BTreeSet::new();
        if n % 3 == 2 {
            needs.insert(name(n - 1));
        }
        if n % 10 == 9 {
            needs.extend([name(n - 9), name(n - 5)]);
        }
        let needs: Vec<String> = needs.into_iter().collect();
        let front = match needs.is_empty() {
            true => String::new(),
            false => format!("depends_on: [{}]", needs.join(", ")),
        };
        site.spec(&name(n), &front);
        all.insert(name(n), needs);
    }
    site.config(
        "verify: {commands: ['for f in *.txt; do test $(wc -l < \"$f\") -eq 2 || exit 1; done']}",
    );
    site.script("default", &plain(site));
    site.commit("specs");
    all
}

fn assert_fifty(site: &Site, features: &BTreeMap<String, Vec<String>>) {
    let landed = site.landed();
    assert_eq!(landed.len(), 50);
    let place: BTreeMap<&str, usize> = landed
        .iter()
        .enumerate()
        .map(|(n, s)| (s.as_str(), n))
        .collect();
    assert_eq!(place.len(), 50, "each landed once");
    for (slug, needs) in features {
        for need in needs {
            assert!(
                place[need.as_str()] < place[slug.as_str()],
                "{slug} before {need}"
            );
        }
        assert_eq!(site.read(&format!("{slug}.txt")), "one\ntwo\n");
    }
    // Every lesson of every iteration that ended stands there once, signed.
    let learnings = site.read(".harness/learnings.md");
    let mut lessons = 0;
    for event in site.journal() {
        if event["event"] != "iteration_ended" {
            continue;
        }
        let signature = format!(
            "[{} #{}]",
            event["slug"].as_str().unwrap(),
            event["iteration"]
        );
        for lesson in event["report"]["lessons"].as_array().unwrap() {
            let wanted = format!("{signature} {}", lesson.as_str().unwrap());
            let found = learnings
                .lines()
                .filter(|line| line.ends_with(&wanted))
                .count();
            assert_eq!(found, 1, "{wanted}");
            lessons += 1;
        }
    }
    assert_eq!(learnings.lines().count(), lessons);
    assert!(lessons >= 50);
    site.assert_no_litter();
}

#[test]
fn fifty_features_on_eight_slots() {
    let site = Site::new();
    let features = fifty(&site);
    let ran = site.harness(&["run", "--parallel", "8"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_fifty(&site, &features);

    // The agents' own record: never more than eight at once, and a dependent never before the landing.
    let mut lines: Vec<(u128, String, String)> = Vec::new();
    for line in std::fs::read_to_string(site.path("record"))
        .unwrap()
        .lines()
    {
        let words: Vec<&str> = line.split(' ').collect();
        lines.push((words[3].parse().unwrap(), words[0].into(), words[1].into()));
    }
    lines.sort();
    let (mut now, mut most) = (0_i32, 0);
    for (_, what, _) in &lines {
        now += if what == "start" { 1 } else { -1 };
        most = most.max(now);
    }
    assert!(most <= 8, "{most} at once");
    let mut merged = BTreeSet::new();
    for event in site.journal() {
        let slug = event["slug"].as_str().unwrap_or_default().to_owned();
        match event["event"].as_str().unwrap() {
            "merged" => {
                merged.insert(slug);
            }
            "iteration_started" => {
                for need in &features[&slug] {
                    assert!(merged.contains(need), "{slug} started before {need} landed");
                }
            }
            _ => {}
        }
    }
}

#[test]
fn four_slots_are_four_agents_at_once() {
    let site = Site::new();
    site.config("run: {iteration_timeout: 100s}");
    // Each waits until all four have begun: with fewer at once the iterations would time out.
    let mark = |slug: &str| site.path(slug);
    let waits: Vec<String> = ["a", "b", "c", "d"]
        .iter()
        .map(|slug| format!("wait-for {:?}", mark(slug)))
        .collect();
    for slug in ["a", "b", "c", "d"] {
        site.spec(slug, "");
        let text = format!(
            "touch {:?}\n{}\nwrite {slug}.txt x\nnote \"met the three others and wrote my file\"\ndone \"met\"\n",
            mark(slug),
            waits.join("\n")
        );
        site.script(slug, &text);
    }
    site.commit("specs");
    let ran = site.harness(&["run", "--parallel", "4"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(site.landed().len(), 4);
    site.assert_no_litter();
}

#[test]
fn a_run_killed_half_way_goes_on_and_does_nothing_twice() {
    let site = Site::new();
    let features = fifty(&site);
    // The ninth feature tells us that the run is in the middle, and then waits for its death.
    let mark = site.path("half-way");
    let text = plain(&site).replace(
        "[2+]",
        &format!("[2]\ntouch {:?}\nhang\n[3+]", mark.to_str().unwrap()),
    );
    site.script("f09", &text);
    let mut child = site.start(&["run", "--parallel", "8"]);
    site.await_file(&mark);
    child.kill().unwrap();
    child.wait().unwrap();
    let before = site.journal();

    let ran = site.harness(&["run", "--parallel", "8"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_fifty(&site, &features);
    let after = site.journal();
    assert_eq!(after[..before.len()], before[..], "the journal only grows");
    let mut started = BTreeSet::new();
    let mut ended = BTreeSet::new();
    let mut verified = BTreeSet::new();
    for event in &after {
        let key = (event["slug"].to_string(), event["iteration"].to_string());
        match event["event"].as_str().unwrap() {
            "iteration_started" => assert!(started.insert(key), "started twice: {event}"),
            "iteration_ended" => assert!(ended.insert(key), "ended twice: {event}"),
            "verified" => {
                verified.insert(event["commit"].as_str().unwrap().to_owned());
            }
            _ => {}
        }
    }
    // Every value the target ever had since the first commit of ours was verified.
    let values = site.git(&["log", "--walk-reflogs", "--format=%H %s", "main"]);
    let ours: Vec<&str> = values
        .lines()
        .filter(|line| line.contains("Merge "))
        .collect();
    assert!(!ours.is_empty());
    for line in ours {
        let commit = line.split(' ').next().unwrap();
        assert!(verified.contains(commit), "{line} was never verified");
    }
}

#[test]
fn one_interrupt_drains_and_a_second_one_terminates() {
    for times in [1, 2] {
        let site = Site::new();
        site.config("");
        site.spec("a", "");
        site.spec("b", "");
        let (here, go) = (site.path("here"), site.path("go"));
        site.script(
            "default",
            &format!(
                "write x.txt \"half\\n\"\ntouch {here:?}\nwait-for {go:?}\nnote \"took the first of two steps, one is left\"\n"
            ),
        );
        site.commit("specs");
        let child = site.start(&["run", "--parallel", "1"]);
        site.await_file(&here);
        signal(&child, "INT");
        if times == 2 {
            site.await_journal("stop_requested");
            signal(&child, "INT");
        } else {
            std::fs::write(&go, "").unwrap();
        }
        let ran = end(child);
        assert_eq!(ran.code, Some(130), "{}", ran.err);
        let ends: Vec<_> = site
            .journal()
            .into_iter()
            .filter(|event| event["event"] == "iteration_ended")
            .collect();
        assert_eq!(ends.len(), 1, "nothing new was started");
        let how = ends[0]["report"]["ending"]["how"].as_str().unwrap();
        assert_eq!(how, if times == 1 { "exited" } else { "stopped" });
        // Half-done work is kept in a snapshot either way.
        let kept = site.git(&["show", "refs/harness/iterations/a/1:x.txt"]);
        assert_eq!(kept, "half\n");
    }
}

#[test]
fn a_claim_that_the_gate_refutes_comes_back_with_the_reason() {
    let site = Site::new();
    site.config("verify: {commands: ['! test -e bad || { echo bad is here; exit 3; }']}");
    site.spec("a", "verify: ['test -e a.txt']");
    site.script(
        "a",
        r#"
[1]
write bad x
note "claims too early, which the gate will notice"
done "all there"
[2]
stdin-contains "bad is here"
delete bad
write a.txt "a\n"
note "took the bad file away and wrote the right one"
done "all there now"
"#,
    );
    site.commit("specs");
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(site.read(".harness/a.log").contains("bad is here"));
    assert_eq!(site.read("a.txt"), "a\n");
    site.assert_no_litter();
}

#[test]
fn a_blocked_feature_waits_for_its_answer() {
    let site = Site::new();
    site.config("");
    site.spec("a", "");
    site.spec("b", "depends_on: a");
    site.spec("c", "");
    site.script("default", "write ${FEATURE}.txt x\nnote \"did all that the spec of ${FEATURE} asks\"\ndone \"${FEATURE} is there\"\n");
    site.script(
        "a",
        "[1]\nblock \"which colour?\"\n[2]\nstdin-contains \"green, of course\"\nwrite a.txt green\nnote \"painted it green as the answer said\"\ndone \"green\"\n",
    );
    site.commit("specs");
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(4), "{}", ran.err);
    assert_eq!(site.landed(), ["c"]);
    assert!(ran.out.contains("harness unblock a"), "{}", ran.out);
    let again = site.harness(&["run"]);
    assert_eq!(again.code, Some(4), "{}", again.err);
    let answer = site.harness(&["unblock", "a", "-m", "green, of course"]);
    assert_eq!(answer.code, Some(0), "{}", answer.err);
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(site.landed(), ["c", "a", "b"]);
}

#[test]
fn a_conflict_parks_the_second_and_harms_nobody() {
    let site = Site::new();
    site.config("");
    for slug in ["a", "b"] {
        site.spec(slug, "");
    }
    let both = site.path("both");
    // Both start from the same base: each waits until the other has begun.
    site.script("a", &format!("wait-for {both:?}\nwrite same.txt \"a\\n\"\nnote \"wrote the file that both of us want\"\ndone \"mine\"\n"));
    site.script("b", &format!("touch {both:?}\nwrite same.txt \"b\\n\"\nnote \"wrote the file that both of us want\"\ndone \"mine\"\n"));
    site.commit("specs");
    let ran = site.harness(&["run", "--parallel", "2"]);
    assert_eq!(ran.code, Some(8), "{}", ran.err);
    assert_eq!(site.landed().len(), 1);
    assert!(ran.out.contains("same.txt"), "{}", ran.out);
    // The other's work is on its branch.
    let loser = if site.landed() == ["a"] { "b" } else { "a" };
    let kept = site.git(&["show", &format!("harness/{loser}:same.txt")]);
    assert_eq!(kept, format!("{loser}\n"));
    // A person merges by hand on the branch; the next run lands it.
    let worktree = site.path("by hand");
    site.harness(&["clean"]);
    site.git(&[
        "worktree",
        "add",
        "-q",
        worktree.to_str().unwrap(),
        &format!("harness/{loser}"),
    ]);
    let merge = std::process::Command::new("git")
        .args([
            "-c",
            "user.name=T",
            "-c",
            "user.email=t@example.org",
            "merge",
            "-q",
            "-X",
            "ours",
            "main",
        ])
        .current_dir(&worktree)
        .status();
    assert!(merge.unwrap().success());
    site.git(&["worktree", "remove", worktree.to_str().unwrap()]);
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    assert_eq!(site.read("same.txt"), format!("{loser}\n"));
}

#[test]
fn edits_of_the_user_are_sacred() {
    let site = Site::new();
    site.config("");
    site.spec("a", "");
    site.script("default", "write README \"from the agent\\n\"\nnote \"rewrote the file that the user is editing\"\ndone \"rewritten\"\n");
    site.commit("specs");
    site.write("README", "edited by the user\n");
    site.write("elsewhere.txt", "untracked\n");
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(8), "{}", ran.err);
    assert_eq!(site.read("README"), "edited by the user\n");
    assert!(site.landed().is_empty());
    // An edit elsewhere is in nobody's way.
    site.git(&["checkout", "-q", "--", "README"]);
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(site.read("README"), "from the agent\n");
    assert_eq!(site.read("elsewhere.txt"), "untracked\n");
}

#[test]
fn a_second_run_is_told_who_holds_the_lock_and_the_first_takes_commands() {
    let site = Site::new();
    site.config("");
    site.spec("a", "");
    site.spec("b", "");
    let (here, go) = (site.path("here"), site.path("go"));
    site.script("a", "[1]\nblock \"may I?\"\n[2+]\nstdin-contains \"you may\"\nwrite a.txt a\nnote \"was allowed to write the file a.txt\"\ndone \"a\"\n");
    site.script("b", &format!("touch {here:?}\nwait-for {go:?}\nwrite b.txt b\nnote \"waited for the word and wrote the file\"\ndone \"b\"\n"));
    site.commit("specs");
    let child = site.start(&["run", "--parallel", "1"]);
    site.await_file(&here);
    let second = site.harness(&["run"]);
    assert_eq!(second.code, Some(9), "{}", second.err);
    assert!(
        second.err.contains(&child.id().to_string()),
        "{}",
        second.err
    );
    let status = site.harness(&["status", "--json"]);
    let status: serde_json::Value = serde_json::from_str(&status.out).unwrap();
    assert_eq!(status["live"], true);
    let answer = site.harness(&["unblock", "a", "-m", "you may"]);
    assert_eq!(answer.code, Some(0), "{}", answer.err);
    std::fs::write(&go, "").unwrap();
    let ran = end(child);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(site.landed().len(), 2);
}

#[test]
fn halt_stops_new_work_and_resume_goes_on() {
    let site = Site::new();
    site.config("");
    site.spec("a", "");
    site.script(
        "default",
        "write a.txt a\nnote \"wrote the one file that was asked for\"\ndone \"a\"\n",
    );
    site.commit("specs");
    assert_eq!(site.harness(&["pause", "-m", "lunch"]).code, Some(0));
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(3), "{}", ran.err);
    assert!(site.landed().is_empty());
    let halted = site.harness(&["status"]).out;
    assert!(halted.contains("# HALT: lunch"), "{halted}");
    assert!(halted.contains("held back by HALT"), "{halted}");
    assert_eq!(site.harness(&["resume"]).code, Some(0));
    let ready = site.harness(&["status"]).out;
    assert!(!ready.contains("# HALT"), "{ready}");
    assert!(ready.contains("  ready"), "{ready}");
    assert_eq!(site.harness(&["run"]).code, Some(0));
    // Deleting the marker puts the feature back in the queue.
    std::fs::remove_file(site.repo.join(".harness/a.done")).unwrap();
    site.script(
        "default",
        "write a.txt again\nnote \"wrote the one file for the second time\"\ndone \"a\"\n",
    );
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(site.read("a.txt"), "again");
}

#[test]
fn status_works_after_a_kill_and_from_inside_a_worktree() {
    let site = Site::new();
    site.config("");
    site.spec("a", "");
    let here = site.path("here");
    site.script("default", &format!("touch {here:?}\nhang\n"));
    site.commit("specs");
    let mut child = site.start(&["run"]);
    site.await_file(&here);
    let inside = site.path("the repo.harness/w1");
    let ran = site.harness_in(&inside, &["status"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.out.contains('a'), "{}", ran.out);
    child.kill().unwrap();
    child.wait().unwrap();
    let text = site.harness_in(&inside, &["status"]).out;
    assert!(text.starts_with("# the last run was cut off"), "{text}");
    assert!(text.contains("interrupted"), "{text}");
    assert!(!text.contains("working"), "{text}");
    let ran = site.harness_in(&inside, &["status", "--json"]);
    let status: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(status["live"], false);
    assert_eq!(status["schema"], "harness.status");
}

#[test]
fn a_full_disk_is_waited_for_and_costs_a_feature_nothing() {
    let site = Site::new();
    site.spec("one", "");
    site.script("one", "write one.txt ok\ndone it is there\n");
    site.config("worktrees: {min_free: 9000000TiB}");
    site.commit("specs");
    let mut harness = site.start(&["run"]);
    let log = site.repo.join(".harness/run.log");
    site.await_that("it says what it waits for", || {
        std::fs::read_to_string(&log)
            .is_ok_and(|log| log.contains("one waits for disk space: only"))
    });
    let pid = nix::unistd::Pid::from_raw(i32::try_from(harness.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    let status = harness.wait().unwrap();
    assert_eq!(status.code(), Some(143));
    site.config("worktrees: {min_free: 0}");
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(site.landed(), ["one"]);
}
