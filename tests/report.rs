//! Reports of real runs: one is written however a run ends, and says what there is to say.

#![cfg(feature = "fake-agent")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

mod support;

use serde_json::Value;
use std::path::PathBuf;
use support::schema::problems;
use support::{Ran, Site, end, signal};

fn assert_code(ran: &Ran, code: i32) {
    assert_eq!(ran.code, Some(code), "{}{}", ran.out, ran.err);
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The last report's data, as it was written, which must be what its schema says.
fn latest(site: &Site) -> Value {
    let value = json(&site.read(".harness/reports/latest.json"));
    assert_eq!(problems("report", &value), [""; 0]);
    value
}

/// Names of runs whose reports are there in each format.
fn reported(site: &Site) -> Vec<String> {
    let entries = std::fs::read_dir(site.repo.join(".harness/reports")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    let names: Vec<String> = names.collect();
    let pages = names.iter().filter_map(|name| name.strip_suffix(".html"));
    let mut runs: Vec<String> = pages
        .filter(|run| *run != "latest")
        .map(str::to_owned)
        .collect();
    runs.sort();
    for run in runs.iter().map(String::as_str).chain(["latest"]) {
        for end in ["html", "md", "json"] {
            assert!(
                names.contains(&format!("{run}.{end}")),
                "{run}.{end}: {names:?}"
            );
        }
    }
    assert_eq!(names.len(), 3 * (runs.len() + 1), "{names:?}");
    runs
}

fn slugs(list: &Value) -> Vec<&str> {
    let all = list.as_array().unwrap().iter();
    all.filter_map(|item| item["slug"].as_str()).collect()
}

/// Two features that land, one after the other.
fn good() -> Site {
    let site = Site::new();
    site.config("verify:\n  commands: [\"test -e README\", \"true\"]");
    site.spec("cart", "");
    site.spec(
        "checkout",
        "depends_on: cart\nverify: [\"test -e cart.txt\"]",
    );
    site.script("default", "write ${FEATURE}.txt ok\nnote wrote what was asked for\ndone wrote <b>${FEATURE}</b>\nlearn run it with --fast\n");
    site.commit("specs");
    site
}

#[test]
fn a_run_that_lands_everything_says_what_stands_behind_it() {
    let site = good();
    let ran = site.harness(&["run"]);
    assert_code(&ran, 0);
    let runs = reported(&site);
    assert_eq!(runs.len(), 1);
    let path = format!(".harness/reports/{}.html", runs[0]);
    assert!(ran.out.contains(&path), "{}", ran.out);
    let value = latest(&site);
    assert_eq!(slugs(&value["landed"]), ["cart", "checkout"]);
    let sentence = value["sentence"].as_str().unwrap();
    assert!(
        sentence.starts_with("2 features landed on main in "),
        "{sentence}"
    );
    assert!(sentence.ends_with("; nothing is left to do."), "{sentence}");
    let checkout = &value["landed"][1];
    let proof = &checkout["evidence"];
    assert_eq!(proof["kind"], "passed");
    let commands = ["test -e README", "true", "test -e cart.txt"];
    assert_eq!(proof["commands"], serde_json::json!(commands));
    let tree = site.git(&[
        "rev-parse",
        &format!("{}^{{tree}}", checkout["commit"].as_str().unwrap()),
    ]);
    assert_eq!(proof["tree"], tree.trim());
    assert_eq!(checkout["changes"]["files"], 1);
    assert_eq!(
        (&checkout["published"], &checkout["first_claim"]),
        (&true.into(), &"passed".into())
    );
    assert_eq!(
        slugs(&value["learnings"]),
        ["cart"],
        "each line once, with its origin"
    );
}

#[test]
fn the_command_says_the_same_as_the_files_and_links_lead_somewhere() {
    let site = good();
    assert_code(&site.harness(&["run"]), 0);
    let (value, runs) = (latest(&site), reported(&site));
    let page = site.read(".harness/reports/latest.html");
    let links: Vec<&str> = page
        .split("href=\"../")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    assert!(links.len() >= 6, "{links:?}");
    for link in links {
        assert!(site.repo.join(".harness").join(link).is_file(), "{link}");
    }
    assert!(page.contains("wrote &lt;b&gt;cart&lt;/b&gt;"));
    let asked = site.harness(&["report", "--format", "json"]);
    assert_code(&asked, 0);
    assert_eq!(json(&asked.out), value);
    let asked = site.harness(&["report", &runs[0], "--format", "md"]);
    assert_eq!(asked.out, site.read(".harness/reports/latest.md"));
    let text = site.harness(&["report"]).out;
    assert!(
        text.starts_with(value["sentence"].as_str().unwrap()),
        "{text}"
    );
    let file = site.path("morning.html");
    assert_code(
        &site.harness(&["report", "latest", "--out", file.to_str().unwrap()]),
        0,
    );
    let page = std::fs::read_to_string(file).unwrap();
    let log = format!(
        "href=\"file://{}/cart.log\"",
        site.repo.join(".harness").display()
    )
    .replace(' ', "%20");
    assert!(
        page.starts_with("<!DOCTYPE html>") && page.contains(&log),
        "{log}"
    );
    assert_eq!(site.git(&["status", "--porcelain"]), "");
}

#[test]
fn what_needs_a_person_comes_with_evidence_and_commands() {
    let site = Site::new();
    site.spec("asks", "");
    site.spec("fails", "");
    site.spec("follows", "depends_on: asks");
    site.config("verify:\n  commands: [\"! grep -s . bad.txt\"]");
    site.script(
        "asks",
        "note looked around\nblock Which currency, <i>euro</i>?\n",
    );
    site.script(
        "fails",
        "write bad.txt \"two of three\"\nnote this should do\ndone It works\n",
    );
    site.commit("specs");
    let ran = site.harness(&["run", "--max-iterations-per-feature", "2"]);
    assert_code(&ran, 4);
    let value = latest(&site);
    assert_eq!(slugs(&value["needs_you"]), ["asks", "fails"]);
    let [asks, fails] = [0, 1].map(|n| &value["needs_you"][n]);
    assert_eq!(
        (&asks["kind"], &asks["why"]),
        (&"blocked".into(), &"Which currency, <i>euro</i>?".into())
    );
    assert_eq!(asks["commands"][0], "harness unblock asks -m \"…\"");
    assert_eq!(fails["kind"], "failed");
    let tail = fails["evidence"][0]["text"].as_str().unwrap();
    assert!(
        tail.contains("two of three") && tail.contains("[exit 1]"),
        "{tail}"
    );
    assert_eq!(fails["commands"][0], "harness retry fails");
    assert_eq!(slugs(&value["next"]), ["follows"]);
    let why = value["next"][0]["why"].as_str().unwrap();
    assert!(
        why.contains("needs asks, which will not merge without you"),
        "{why}"
    );
    let smells = value["look_closer"].as_array().unwrap().iter();
    assert!(
        smells.into_iter().any(|smell| smell["code"] == "claims"),
        "{value}"
    );
    let page = site.read(".harness/reports/latest.html");
    assert!(page.contains("Which currency, &lt;i&gt;euro&lt;/i&gt;?"));
}

#[test]
fn a_run_that_is_halted_or_out_of_iterations_is_reported_too() {
    let site = Site::new();
    site.config("");
    for name in ["a", "b"] {
        site.spec(name, "");
    }
    site.script(
        "default",
        "note one more step towards it\nwrite ${FEATURE}.txt ${ITERATION}\n",
    );
    site.commit("specs");
    assert_code(&site.harness(&["run", "--max-iterations", "2"]), 1);
    let value = latest(&site);
    assert_eq!(value["run"]["codes"][0]["code"], 1);
    assert_eq!(
        (slugs(&value["next"]), value["next"][0]["ready"].clone()),
        (vec!["a", "b"], true.into())
    );
    assert!(
        value["sentence"]
            .as_str()
            .unwrap()
            .starts_with("Nothing landed on main in ")
    );
    assert_code(&site.harness(&["pause", "-m", "enough for today"]), 0);
    assert_code(&site.harness(&["run"]), 3);
    let value = latest(&site);
    let halt = &value["needs_you"][0];
    assert_eq!(
        (&halt["kind"], &halt["slug"]),
        (&"halt".into(), &Value::Null)
    );
    assert!(
        halt["why"].as_str().unwrap().contains("enough for today"),
        "{halt}"
    );
    assert_eq!(halt["commands"][0], "harness resume");
    assert_eq!(reported(&site).len(), 2);
    // Both stand in the list, and can be compared.
    let runs = json(&site.harness(&["runs", "--json"]).out);
    assert_eq!(problems("runs", &runs), [""; 0]);
    let codes: Vec<&Value> = runs["runs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| &run["codes"][0])
        .collect();
    assert_eq!(codes, [1, 3]);
    let diff = site.harness(&["report", "diff", "--json"]);
    assert_code(&diff, 0);
    assert_eq!(problems("report-diff", &json(&diff.out)), [""; 0]);
    let stats = json(&site.harness(&["stats", "--json", "--run", "previous"]).out);
    assert_eq!(problems("stats", &stats), [""; 0]);
    assert_eq!(
        (&stats["runs"], &stats["agents"][0]["iterations"]),
        (&1.into(), &2.into())
    );
    let stats = site.harness(&["stats"]).out;
    assert!(stats.contains("2 runs; "), "{stats}");
    from_elsewhere(&site);
}

/// Asked from elsewhere, with a configuration that is broken in the morning, and for a file that cannot be written.
fn from_elsewhere(site: &Site) {
    let repo = site.repo.to_str().unwrap();
    site.write("harness.yaml", "run: [\n");
    let ran = site.harness_in(
        &site.path("home"),
        &["-C", repo, "report", "--out", "mine.md"],
    );
    assert_code(&ran, 0);
    assert!(ran.err.contains("harness.yaml:"), "{}", ran.err);
    assert!(site.read("mine.md").contains("# "));
    let nowhere = site.harness(&["report", "--out", "nowhere/a.md"]);
    assert_code(&nowhere, 2);
    let told = ["cannot write ./nowhere/a.md", "with --out"];
    assert!(
        told.iter().all(|it| nowhere.err.contains(it)),
        "{}",
        nowhere.err
    );
}

#[test]
fn an_interrupted_run_is_reported_and_so_is_a_killed_one_by_the_next() {
    let site = Site::new();
    site.config("run: {grace: 1s}");
    site.spec("slow", "");
    site.script(
        "slow",
        "[1]\nhang\n[2]\nhang\n[3]\nwrite slow.txt ok\nnote wrote it\ndone It is there\n",
    );
    site.commit("specs");
    let run = site.start(&["run"]);
    site.await_journal("iteration_started");
    let live = json(&site.harness(&["report", "--format", "json"]).out);
    assert_eq!(live["run"]["state"], "running");
    assert_eq!(problems("report", &live), [""; 0]);
    signal(&run, "TERM");
    assert_code(&end(run), 143);
    assert_eq!(latest(&site)["run"]["codes"][0]["code"], 143);
    assert_eq!(reported(&site).len(), 1);

    let run = site.start(&["run"]);
    site.await_that("the second iteration", || {
        let started = site.journal().into_iter();
        started
            .filter(|event| event["event"] == "iteration_started")
            .count()
            == 2
    });
    signal(&run, "KILL");
    let _ = end(run);
    assert_eq!(reported(&site).len(), 1, "nobody was left to write it");
    let killed = json(&site.harness(&["report", "--format", "json"]).out);
    assert_eq!(
        (&killed["run"]["state"], &killed["next"][0]["ready"]),
        (&"cut_off".into(), &true.into())
    );
    assert_eq!(
        killed["timeline"]["lanes"][0]["bars"]
            .as_array()
            .unwrap()
            .last()
            .unwrap()["result"],
        "open"
    );
    assert!(site.harness(&["runs"]).out.contains("was cut off"));

    assert_code(&site.harness(&["run"]), 0);
    assert_eq!(reported(&site).len(), 3);
    let runs = json(&site.harness(&["runs", "--json"]).out);
    let killed = runs["runs"][1]["id"].as_str().unwrap();
    let text = site.read(&format!(".harness/reports/{killed}.md"));
    assert!(text.contains("**The run was cut off: "), "{text}");
    assert_eq!(slugs(&latest(&site)["landed"]), ["slow"]);
}

/// A stand-in for Codex, which tells tokens only.
const CODEX: &str = r#"
cat >/dev/null
echo "wrote all of what this feature is about" >"$HARNESS_OUTBOX/note.md"
echo ok >"$HARNESS_FEATURE.txt"
echo "it is there" >"$HARNESS_OUTBOX/done"
printf '%s\n' '{"type":"turn.completed","usage":{"input_tokens":300000,"cached_input_tokens":200000,"output_tokens":10000}}'
"#;

#[test]
fn what_a_run_cost_is_told_by_agent_and_feature_and_what_was_estimated_is_marked() {
    let site = Site::new();
    let stub = site.path("stub.sh");
    std::fs::write(&stub, CODEX).unwrap();
    site.config(&format!(
        "  one: {{kind: codex, command: [sh, {stub:?}]}}\nrun: {{parallel: 1}}"
    ));
    for name in ["a", "b", "c"] {
        site.spec(name, "agent: one\nmodel: gpt-5.4");
    }
    site.commit("specs");
    assert_code(&site.harness(&["run", "--budget-tokens", "600000"]), 7);
    let value = latest(&site);
    assert_eq!(value["run"]["codes"][0]["code"], 7);
    let total = &value["cost"]["total"];
    assert_eq!(
        (&total["estimated"], &total["cached_percent"]),
        (&true.into(), &66.into())
    );
    let agent = &value["cost"]["agents"][0];
    assert_eq!(
        (&agent["agent"], &agent["iterations"], &agent["landed"]),
        (&"one/gpt-5.4".into(), &2.into(), &2.into())
    );
    let mut features = slugs(&value["cost"]["features"]);
    features.sort_unstable();
    assert_eq!(features, ["a", "b"]);
    assert!(
        value["cost"]["left"]
            .as_str()
            .unwrap()
            .starts_with("0 of 600,000 tokens"),
        "{value}"
    );
    let smells = value["look_closer"].as_array().unwrap().iter();
    let codes: Vec<&str> = smells
        .map(|smell| smell["code"].as_str().unwrap())
        .collect();
    assert!(
        codes.contains(&"estimated") && codes.contains(&"finding"),
        "{codes:?}"
    );
    assert!(codes.contains(&"unchecked"), "no verify commands are set");
    let text = site.harness(&["report"]).out;
    assert!(
        text.contains("one/gpt-5.4  2 iterations, 0 failed") && text.contains("money ~$"),
        "{text}"
    );
}

#[test]
fn a_report_that_cannot_be_written_is_told_and_harms_nothing() {
    let site = Site::new();
    site.config("");
    site.spec("a", "");
    site.script(
        "a",
        "write a.txt ok\nnote wrote it as asked\ndone It is there\n",
    );
    site.commit("specs");
    site.write(".harness/reports", "in the way\n");
    let ran = site.harness(&["run"]);
    assert_code(&ran, 0);
    assert!(ran.err.contains("the report of run"), "{}", ran.err);
    assert!(
        ran.err.contains("could not be written: cannot create "),
        "{}",
        ran.err
    );
    assert!(!ran.out.contains("report: "), "{}", ran.out);
    assert_eq!(site.read(".harness/reports"), "in the way\n");
    assert_eq!(site.landed(), ["a"]);
    assert_code(&site.harness(&["report"]), 0);
}

#[test]
fn a_disk_that_is_full_at_the_end_is_no_reason_to_fail() {
    let site = Site::new();
    site.config("");
    site.spec("a", "");
    site.script(
        "a",
        "write a.txt ok\nnote wrote it as asked\ndone It is there\n",
    );
    site.commit("specs");
    let ran = site.harness_with(&["run"], &[("HARNESS_FAULT", "state.create#1+=ENOSPC")]);
    assert_code(&ran, 0);
    assert!(
        ran.err.contains("could not be written: cannot create "),
        "{}",
        ran.err
    );
    assert_eq!(site.landed(), ["a"]);
}

#[test]
fn a_run_that_is_not_there_is_told_with_the_nearest_that_is() {
    let site = Site::new();
    let none = site.harness(&["report"]);
    assert_code(&none, 2);
    assert!(none.err.contains("there is no run yet"), "{}", none.err);
    assert_eq!(site.harness(&["runs"]).out, "no run yet\n");
    assert_eq!(
        site.harness(&["stats"]).out,
        "no agent has been called yet\n"
    );
    site.config("");
    site.spec("a", "");
    site.script(
        "a",
        "write a.txt ok\nnote wrote it as asked\ndone It is there\n",
    );
    site.commit("specs");
    assert_code(&site.harness(&["run"]), 0);
    let run = &reported(&site)[0];
    let typed = format!("{}x", &run[..run.len() - 1]);
    let ran = site.harness(&["report", &typed]);
    assert_code(&ran, 2);
    assert!(
        ran.err.contains(&format!("did you mean `{run}`?")),
        "{}",
        ran.err
    );
    assert_code(&site.harness(&["report", "diff"]), 2);
    let nowhere: PathBuf = site.path("nowhere").join("r.md");
    let ran = site.harness(&["report", "--out", nowhere.to_str().unwrap()]);
    assert_code(&ran, 2);
    assert!(ran.err.contains("cannot write"), "{}", ran.err);
}
