//! Budgets, prices and prompts that caches can match, end to end: agents that tell what they used, a run that stops at its
//! budget and lands what is done, and prompts whose beginning is the same for all.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

mod support;

use serde_json::Value;
use std::collections::BTreeSet;
use support::{Ran, Site, end, signal};

/// A stand-in for Claude Code: each call costs 60 cents; it is done with the second.
const CLAUDE: &str = r#"
cat >/dev/null
echo "wrote a good part of what this feature is about" >"$HARNESS_OUTBOX/note.md"
echo "$HARNESS_ITERATION" >>"$HARNESS_FEATURE.txt"
if [ "$HARNESS_ITERATION" -ge 2 ]; then echo "it is there" >"$HARNESS_OUTBOX/done"; fi
printf '%s\n' '{"type":"result","is_error":false,"result":"done","total_cost_usd":0.6,"usage":{"input_tokens":100,"output_tokens":50,"cache_read_input_tokens":800,"cache_creation_input_tokens":100}}'
"#;

/// One for Codex, which tells tokens only.
const CODEX: &str = r#"
cat >/dev/null
echo "wrote all of what this feature is about" >"$HARNESS_OUTBOX/note.md"
echo ok >"$HARNESS_FEATURE.txt"
echo "it is there" >"$HARNESS_OUTBOX/done"
printf '%s\n' '{"type":"turn.completed","usage":{"input_tokens":300000,"cached_input_tokens":200000,"output_tokens":10000}}'
"#;

fn site(kind: &str, stub: &str, more: &str) -> Site {
    let site = Site::new();
    let path = site.path("stub.sh");
    std::fs::write(&path, stub).unwrap();
    site.config(&format!(
        "  one: {{kind: {kind}, command: [sh, {path:?}]}}\n{more}"
    ));
    site
}

fn features(site: &Site, names: &[&str], front: &str) {
    for name in names {
        site.spec(name, &format!("agent: one\n{front}"));
    }
    site.commit("specs");
}

fn status(site: &Site) -> Value {
    let ran = site.harness(&["status", "--json"]);
    serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {}{}", ran.out, ran.err))
}

fn assert_code(ran: &Ran, code: i32) {
    assert_eq!(ran.code, Some(code), "{}{}", ran.out, ran.err);
}

#[test]
fn a_run_stops_at_its_budget_with_7_and_the_next_one_goes_on() {
    let site = site("claude", CLAUDE, "run: {parallel: 1}");
    features(&site, &["a", "b"], "");
    let planned = site.harness(&["run", "--dry-run", "--budget-usd", "1.50"]);
    assert!(
        planned.out.contains("budget: $1.50 for the run"),
        "{}",
        planned.out
    );
    let ran = site.harness(&["run", "--budget-usd", "1.50"]);
    assert_code(&ran, 7);
    assert_eq!(site.landed(), ["a"], "what is done lands");
    let told = "most of the run's budget is used: $1.20 of $1.50";
    assert_eq!(ran.err.matches(told).count(), 1, "{}", ran.err);
    assert!(
        ran.err
            .contains("the run's budget is used up ($1.80 of $1.50)"),
        "{}",
        ran.err
    );
    let used = "used: 3,150 tokens, $1.80; 80 % of what models were given came from the cache; \
                left of the budget: $0.00 of $1.50";
    assert!(ran.out.contains(used), "{}", ran.out);
    let seen = status(&site);
    let run = &seen["run"];
    assert_eq!(run["usage"]["micro_usd"], 1_800_000);
    assert_eq!(run["cached_percent"], 80);
    assert_eq!(run["budget"]["left_micro_usd"], 0);
    assert_eq!(run["findings"].as_array().unwrap().len(), 2);
    assert_eq!(run["codes"], Value::from([7]));
    // A new run has a new budget.
    let mut site = site;
    site.set("HARNESS_BUDGET_TOKENS", "1000000");
    let ran = site.harness(&["run"]);
    assert_code(&ran, 0);
    assert_eq!(site.landed(), ["a", "b"]);
    assert_eq!(
        status(&site)["run"]["budget"]["left_tokens"],
        1_000_000 - 1_050
    );
}

/// One that is cut off in its first iteration, in the middle of its work.
const CUT_OFF: &str = r#"
cat >/dev/null
if [ "$HARNESS_ITERATION" -ge 2 ]; then
    echo ok >"$HARNESS_FEATURE.txt"
    echo "it is there" >"$HARNESS_OUTBOX/done"
    printf '%s\n' '{"type":"result","is_error":false,"result":"done","total_cost_usd":0.6,"usage":{"input_tokens":100,"output_tokens":50}}'
    exit
fi
printf '%s\n' '{"type":"assistant","message":{"id":"m1","model":"claude-opus-4-8","content":[{"type":"text","text":"I look around"}],"usage":{"input_tokens":1000,"output_tokens":200,"cache_read_input_tokens":3000}}}'
exec sleep 1000
"#;

#[test]
fn what_an_iteration_used_that_was_cut_off_with_its_run_is_not_forgotten() {
    let prices =
        "prices: {claude-opus-4-8: {input: 10, output: 100, cache_read: 1, cache_write: 10}}";
    let site = site("claude", CUT_OFF, prices);
    features(&site, &["a"], "");
    let run = site.start(&["run"]);
    let printed = site.repo.join(".harness/iterations/a/1/output.log");
    site.await_that("the agent speaks", || {
        std::fs::read_to_string(&printed).is_ok_and(|text| text.contains("look around"))
    });
    signal(&run, "KILL");
    end(run);
    assert_code(&site.harness(&["run"]), 0);
    let seen = status(&site);
    let usage = &seen["features"][0]["usage"];
    // 1,000 at $10, 200 at $100 and 3,000 at $1 for a million each; and the 60 cents of the second.
    assert_eq!(usage["micro_usd"], 633_000, "{usage}");
    assert_eq!(usage["input"], 1_100);
    assert_eq!(usage["estimated"], true);
    let stats = site.harness(&["stats", "--json"]);
    let stats: Value = serde_json::from_str(&stats.out).unwrap();
    assert_eq!(stats["agents"][0]["usage"]["micro_usd"], 633_000, "{stats}");
}

#[test]
fn a_feature_stops_at_its_own_budget_over_runs_and_a_bigger_one_frees_it() {
    let site = site("claude", CLAUDE, "budget: {feature_usd: 50}");
    features(&site, &["a"], "budget: {usd: 0.5}");
    features(&site, &["b"], "");
    let ran = site.harness(&["run"]);
    assert_code(&ran, 7);
    assert_eq!(site.landed(), ["b"], "others go on");
    assert!(
        ran.err
            .contains("given up: its budget is used up: $0.60 of $0.50 (again: harness retry a)"),
        "{}",
        ran.err
    );
    assert_code(&site.harness(&["run"]), 7);
    site.spec("a", "agent: one\nbudget: {usd: 5}");
    let ran = site.harness(&["run"]);
    assert_code(&ran, 0);
    assert_eq!(site.landed(), ["b", "a"]);
    let seen = status(&site);
    let a = &seen["features"].as_array().unwrap()[0];
    assert_eq!(a["usage"]["micro_usd"], 1_200_000);
    assert_eq!(a["budget"]["left_micro_usd"], 3_800_000);
}

#[test]
fn tokens_without_money_are_estimated_and_what_nobody_knows_is_said_before() {
    let site = site("codex", CODEX, "budget: {usd: 20}");
    features(&site, &["a"], "model: gpt-5.4");
    let ran = site.harness(&["run"]);
    assert_code(&ran, 0);
    // 100,000 at $2.50 a million, 200,000 from the cache at $0.25, 10,000 of output at $15.
    assert!(ran.out.contains("~$0.45"), "{}", ran.out);
    assert!(!ran.err.contains("tells tokens"), "{}", ran.err);
    let seen = status(&site);
    assert_eq!(seen["run"]["usage"]["micro_usd"], 450_000);
    assert_eq!(seen["run"]["usage"]["estimated"], true);

    features(&site, &["b"], "model: house-model");
    site.spec("c", "agent: scripted");
    site.script(
        "c",
        "write c.txt ok\nnote it is written\ndone it is there\n",
    );
    site.commit("more");
    let ran = site.harness(&["run"]);
    assert_code(&ran, 0);
    for said in [
        "agent `one` tells tokens and no money, and no price of `house-model` is known",
        "agent `scripted` does not tell what it uses: no budget can be kept for it",
    ] {
        assert_eq!(ran.err.matches(said).count(), 1, "{}", ran.err);
    }
    let usage = status(&site)["run"]["usage"].clone();
    assert_eq!(
        (&usage["micro_usd"], &usage["output"]),
        (&0.into(), &10_000.into())
    );
}

/// An agent that learns something each time and is done in its fifth iteration.
const LEARNS: &str = r#"
cat >/dev/null
n=$HARNESS_ITERATION
for line in 1 2 3 4 5 6 7 8; do
    echo "$HARNESS_FEATURE, iteration $n: this is line $line of what was done and of what comes next" >>"$HARNESS_OUTBOX/note.md"
done
echo "what $HARNESS_FEATURE found out in iteration $n helps all others as well" >"$HARNESS_OUTBOX/learnings.md"
echo "$n" >"$HARNESS_FEATURE.txt"
if [ "$n" -ge 5 ]; then echo "it is there" >"$HARNESS_OUTBOX/done"; fi
"#;

#[test]
fn who_may_be_called_later_has_a_price_or_that_is_said_before() {
    for more in [
        "escalate: [{agent: two, model: house-model}]",
        "escalate: [{agent: two}, {model: house-model}]",
        "fallback: [two]\nlimits: {on_limit: switch}",
    ] {
        let two = "  two: {kind: codex, command: ['true'], model: MODEL}";
        let two = match more.contains("house-model") {
            true => two.replace("MODEL", "gpt-5"),
            false => two.replace("MODEL", "house-model"),
        };
        let rest = format!("{two}\nbudget: {{usd: 1}}\n{more}");
        let site = site("codex", CODEX, &rest);
        features(&site, &["a"], "model: gpt-5");
        let ran = site.harness(&["run", "--dry-run"]);
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        let told = ran.err.matches("no price of `house-model`").count();
        assert_eq!(told, 1, "{more}: {}", ran.err);
    }
}

fn figures(site: &Site) -> Vec<(String, u64, Value)> {
    let ended = site
        .journal()
        .into_iter()
        .filter(|event| event["event"] == "iteration_ended");
    let figures = ended.map(|event| {
        let iteration = event["iteration"].as_u64().unwrap();
        let slug = event["slug"].as_str().unwrap().to_owned();
        (slug, iteration, event["report"]["prompt"].clone())
    });
    figures.collect()
}

#[test]
fn fifty_prompts_of_ten_features_begin_with_the_same_bytes_and_go_on_as_the_feature_knows_them() {
    let site = site(
        "command",
        LEARNS,
        "run: {parallel: 4}\nbreakers: {repeat: {limit: 9}}",
    );
    let names: Vec<String> = (0..10).map(|n| format!("f{n}")).collect();
    for name in &names {
        site.spec(name, "agent: one");
        let spec = format!("specs/{name}/spec.md");
        let text = format!("{}\n{}", site.read(&spec), "It must do this.\n".repeat(200));
        site.write(&spec, &text);
    }
    site.commit("specs");
    let ran = site.harness(&["run"]);
    assert_code(&ran, 0);
    let figures = figures(&site);
    assert_eq!(figures.len(), 50);
    let hashes: BTreeSet<(String, u64)> = figures
        .iter()
        .map(|(_, _, one)| {
            let hash = one["hash"].as_str().unwrap().to_owned();
            (hash, one["stable"].as_u64().unwrap())
        })
        .collect();
    assert_eq!(hashes.len(), 1, "all begin alike: {hashes:?}");
    let (_, stable) = hashes.first().unwrap();
    // Counted once more, on what is kept.
    let prompts = figures.iter().map(|(slug, n, _)| {
        std::fs::read(
            site.repo
                .join(format!(".harness/iterations/{slug}/{n}/prompt.md")),
        )
        .unwrap()
    });
    let prompts: Vec<Vec<u8>> = prompts.collect();
    let stable = usize::try_from(*stable).unwrap();
    assert!(
        prompts
            .iter()
            .all(|prompt| prompt[..stable] == prompts[0][..stable])
    );
    // What a feature was told before is told again from the beginning; with all lessons before the feature, which any
    // other feature's lesson changes, it would be much less.
    let kept = |slug: &str, n: u64| {
        let of = figures
            .iter()
            .position(|(other, m, _)| other == slug && *m == n);
        String::from_utf8(prompts[of.unwrap()].clone()).unwrap()
    };
    let (mut again, mut lessons_first, mut all) = (0, 0, 0);
    for (slug, n, one) in figures.iter().filter(|(_, n, _)| *n > 1) {
        let (last, now) = (kept(slug, n - 1), kept(slug, *n));
        let told = common(&last, &now);
        assert_eq!(one["shared"], u64::try_from(told).unwrap());
        assert!(told > stable);
        again += told;
        lessons_first += common(&with_lessons_first(&last), &with_lessons_first(&now));
        all += last.len();
    }
    assert!(again * 100 > all * 75, "{again} of {all} bytes");
    assert!(
        again * 10 > lessons_first * 15,
        "{again}, and {lessons_first}"
    );
    assert!(!ran.err.contains("has changed"), "{}", ran.err);
    two_prompts_part_where_the_log_grew(&site);
}

fn common(one: &str, other: &str) -> usize {
    let pairs = one.bytes().zip(other.bytes());
    pairs.take_while(|(a, b)| a == b).count()
}

/// The prompt with its lessons where they stood before: between the rules and the feature.
fn with_lessons_first(prompt: &str) -> String {
    let (rest, lessons) = prompt.split_once("\n<<<LEARNINGS\n").unwrap();
    let (rules, feature) = rest.split_once("\n# Your feature\n").unwrap();
    format!("{rules}\n<<<LEARNINGS\n{lessons}\n# Your feature\n{feature}")
}

fn two_prompts_part_where_the_log_grew(site: &Site) {
    let ran = site.harness(&["prompt", "f3", "--diff"]);
    assert_code(&ran, 0);
    assert!(
        ran.out.contains("f3: the prompts of iterations 4 ("),
        "{}",
        ran.out
    );
    assert!(ran.out.contains(", in PRIOR_LOG\n"), "{}", ran.out);
    assert!(ran.out.contains("\n  + ## "), "{}", ran.out);
    let other = site.harness(&["prompt", "--diff", "f3", "2"]);
    assert!(other.out.contains("iterations 2 ("), "{}", other.out);
    let same = site.harness(&["prompt", "--diff", "f3", "2", "2"]);
    assert!(same.out.contains("are the same"), "{}", same.out);
    let none = site.harness(&["prompt", "--diff", "f3", "5"]);
    assert_code(&none, 2);
    assert!(none.err.contains("no two prompts"), "{}", none.err);
    // Who changes the rules is told that caches begin anew.
    site.write(
        "harness.yaml",
        &format!(
            "{}prompt: {{extra: [Speak Latin.]}}\n",
            site.read("harness.yaml")
        ),
    );
    site.spec("more", "agent: one");
    site.commit("more");
    let ran = site.harness(&["run"]);
    assert_eq!(
        ran.err
            .matches("the beginning that all prompts share has changed")
            .count(),
        1,
        "{}",
        ran.err
    );
}
