//! Whole calls of scripted agents: what they see, what is read of them, what they cannot do.

use super::*;
use crate::model::{Ending, FailureKind, RunId, Slug};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::future::{pending, ready};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;
use tempfile::TempDir;

struct Bench {
    dir: TempDir,
    profile: Profile,
    slug: Slug,
    run: RunId,
    prices: BTreeMap<String, crate::model::Price>,
    parent_env: BTreeMap<OsString, OsString>,
}

impl Bench {
    /// An agent that is this shell script.
    fn new(kind: Kind, script: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("wt")).unwrap();
        fs::create_dir(dir.path().join("tmp")).unwrap();
        // Read by a shell, not executed: another test's fork may still hold the file open for writing.
        let script_path = dir.path().join("agent.sh");
        fs::write(&script_path, script).unwrap();
        let parent_env = [
            ("PATH".into(), std::env::var_os("PATH").unwrap()),
            ("TMPDIR".into(), dir.path().join("tmp").into()),
            ("PARALLEL".into(), "4".into()),
        ];
        Self {
            profile: Profile {
                kind,
                command: vec!["/bin/sh".into(), script_path.to_str().unwrap().into()],
                model: None,
                args: vec!["an arg".into()],
                env: BTreeMap::new(),
                env_pass: Vec::new(),
                ..Profile::bare(kind)
            },
            slug: Slug::new("auth-login").unwrap(),
            run: RunId("20261123-221530-4f2a".into()),
            parent_env: parent_env.into(),
            prices: BTreeMap::new(),
            dir,
        }
    }

    fn call(&self) -> Call<'_> {
        let root = self.dir.path();
        let path = self.parent_env.get(OsStr::new("PATH"));
        Call {
            profile: &self.profile,
            program: preflight(&self.profile, path.map(OsString::as_os_str), root).unwrap(),
            slug: &self.slug,
            iteration: 3,
            run: &self.run,
            worktree: root.join("wt"),
            seen_worktree: root.join("wt"),
            spec_path: root.join("spec.md"),
            prompt: "the prompt".into(),
            records: root.join("iterations/auth-login/3"),
            timeout: Duration::from_secs(60),
            idle_timeout: None,
            grace: Duration::from_secs(5),
            parent_env: &self.parent_env,
            token: format!("agent-{}", root.display()),
            keeper: crate::process::Keeper::Groups,
            limits: crate::process::Limits::default(),
            sandbox: None,
            builds: crate::process::Builds::default(),
            secrets: crate::process::Secrets::default(),
            output_cap: 64 << 20,
            model: None,
            prices: &self.prices,
            version: None,
            session: None,
        }
    }

    fn run(&self, call: Call<'_>, stop: impl Future<Output = Ending>) -> (Called, Vec<Progress>) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let mut progress = Vec::new();
        let called = runtime.block_on(super::call(call, stop, |step| progress.push(step)));
        (called, progress)
    }

    fn called(&self) -> Called {
        self.run(self.call(), pending()).0
    }

    fn temporary_left(&self) -> usize {
        fs::read_dir(self.dir.path().join("tmp")).unwrap().count()
    }
}

#[test]
fn a_command_sees_its_contract_and_is_read_back() {
    let bench = Bench::new(
        Kind::Command,
        r#"
        test "$(cat)" = "the prompt" && test "$(cat "$HARNESS_PROMPT")" = "the prompt" || exit 11
        test "$1" = "an arg" && test "$HARNESS $HARNESS_FEATURE $HARNESS_ITERATION" = "1 auth-login 3" || exit 12
        test "$HARNESS_RUN_ID" = 20261123-221530-4f2a && test -n "$HARNESS_SPEC" || exit 13
        test -z "$PARALLEL" && test -z "$HARNESS_MODEL" && test "$GIT_CONFIG_KEY_0" = gc.auto || exit 14
        test "$HARNESS_OUTBOX" = "$PWD/.harness" && test -z "$(ls "$HARNESS_OUTBOX")" || exit 15
        touch "$TMPDIR/x" && test "$(stat -c %a "$TMPDIR")" = 700 || exit 16
        echo "did a step" > "$HARNESS_OUTBOX/note.md"
        echo "- a lesson" > "$HARNESS_OUTBOX/learnings.md"
        echo "all of it" > "$HARNESS_OUTBOX/done"
        echo working; printf 'finished\033[0m\n'; echo complaint >&2
        "#,
    );
    let (called, progress) = bench.run(bench.call(), pending());
    assert_eq!(called.ending, Ending::Exited { code: 0 }, "{called:?}");
    assert_eq!(called.note, "did a step");
    assert_eq!(called.lessons, ["a lesson"]);
    assert_eq!(called.done.as_deref(), Some("all of it"));
    assert_eq!(called.message, "working\nfinished\\u{1b}[0m");
    assert_eq!(
        (&called.blocked, &called.failure, &called.usage),
        (&None, &None, &None)
    );
    assert!(called.oddities.is_empty(), "{:?}", called.oddities);
    assert!(progress.contains(&Progress::Line("finished\\u{1b}[0m".into())));
    assert_eq!(bench.temporary_left(), 0);
    let records = bench.call().records;
    let result = fs::read_to_string(records.join("result.json")).unwrap();
    assert!(result.contains("\"done\": \"all of it\""), "{result}");
    let output = fs::read_to_string(records.join("output.log")).unwrap();
    assert!(output.contains("working\n") && output.contains("complaint\n"));
}

#[test]
fn what_only_a_reader_of_records_can_see_is_hidden_too() {
    let bench = Bench::new(
        Kind::Claude,
        r#"
        echo '{"type":"assistant","message":{"id":"m","content":[{"type":"text","text":"so it is \u0061b-12345-cd"}]}}'
        echo '{"type":"result","is_error":false,"result":"it is ab-\u00312345-cd"}'
        head -c 16380 /dev/zero | tr '\0' x > "$HARNESS_OUTBOX/note.md"; echo ab-12345-cd >> "$HARNESS_OUTBOX/note.md"
        "#,
    );
    let key = [("A_KEY", "ab-12345-cd")].map(|(name, value)| (OsStr::new(name), OsStr::new(value)));
    let call = Call {
        secrets: crate::process::Secrets::among(key),
        ..bench.call()
    };
    let (called, progress) = bench.run(call, pending());
    assert_eq!(called.message, "it is [redacted A_KEY]");
    let said = Progress::Line("so it is [redacted A_KEY]".into());
    assert!(progress.contains(&said), "{progress:?}");
    assert!(
        called.note.contains("xxx\n[cut here"),
        "a piece of it: {}",
        called.note
    );
    let records = bench.call().records;
    let result = fs::read_to_string(records.join("result.json")).unwrap();
    assert!(!result.contains("ab-"), "{result}");
}

#[test]
fn a_failed_command_is_told_and_its_claims_stay() {
    let bench = Bench::new(
        Kind::Command,
        "echo x > $HARNESS_OUTBOX/done; echo 'BLOCKED: need a key'; echo 'no such model' >&2; exit 7",
    );
    let called = bench.called();
    let failure = called.failure.unwrap();
    assert_eq!(failure.kind, FailureKind::Other);
    assert_eq!(failure.text, "exit 7: no such model");
    assert_eq!(called.done.as_deref(), Some("x"));
    assert_eq!(called.blocked.as_deref(), Some("need a key"));
}

#[test]
fn what_an_earlier_iteration_left_in_the_outbox_is_gone() {
    let bench = Bench::new(
        Kind::Command,
        "echo 'BLOCKED: in the message'; echo asked > $HARNESS_OUTBOX/blocked",
    );
    assert_eq!(bench.called().blocked.as_deref(), Some("asked"));
    fs::write(bench.dir.path().join("agent.sh"), "").unwrap();
    assert_eq!(bench.called().blocked, None);
}

#[test]
fn a_killed_agents_claim_does_not_count() {
    let bench = Bench::new(
        Kind::Command,
        "echo x > $HARNESS_OUTBOX/done; echo n > $HARNESS_OUTBOX/note.md; echo ready; exec sleep 1000",
    );
    let (say, heard) = tokio::sync::oneshot::channel();
    let mut say = Some(say);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let stop = async { heard.await.unwrap() };
    let called = runtime.block_on(super::call(bench.call(), stop, |_| {
        if let Some(say) = say.take() {
            say.send(Ending::Stopped).unwrap();
        }
    }));
    assert_eq!(called.ending, Ending::Stopped);
    assert_eq!((called.done, called.failure), (None, None));
    assert_eq!(called.note, "n");
    assert!(
        called
            .oddities
            .iter()
            .any(|odd| odd.contains("does not count"))
    );
    assert_eq!(bench.temporary_left(), 0);
}

#[test]
fn time_up_is_no_failure_of_the_agents_own() {
    let bench = Bench::new(Kind::Command, "exec sleep 1000");
    let mut call = bench.call();
    call.timeout = Duration::from_millis(100);
    let (called, _) = bench.run(call, pending());
    assert_eq!((called.ending, called.failure), (Ending::TimedOut, None));
}

#[test]
fn claude_is_called_with_its_flags_and_its_records_are_read() {
    let bench = Bench::new(
        Kind::Claude,
        r#"
        cat > /dev/null
        test "$*" = "-p --output-format stream-json --verbose --permission-mode bypassPermissions --model big an arg" || exit 11
        if [ "$(id -u)" = 0 ]; then test "$IS_SANDBOX" = 1 || exit 12; fi
        echo '{"type":"result","is_error":true,"api_error_status":401,"result":"Invalid API key"}'
        exit 1
        "#,
    );
    let mut call = bench.call();
    call.model = Some("big".into());
    let (called, _) = bench.run(call, pending());
    let failure = called.failure.unwrap();
    assert_eq!(
        (failure.kind, failure.text.as_str()),
        (FailureKind::Auth, "Invalid API key")
    );
}

#[test]
fn a_hostile_agent_leads_nobody_astray() {
    let bench = Bench::new(
        Kind::Command,
        r#"
        rm -rf "$HARNESS_OUTBOX"; ln -s / "$HARNESS_OUTBOX"
        rm "$HARNESS_PROMPT"; ln -s "$PWD/precious" "${HARNESS_PROMPT%prompt.md}result.json"; echo keep > precious
        rm -rf "$TMPDIR"; ln -s "$PWD" "$TMPDIR"
        "#,
    );
    let called = bench.called();
    assert!(
        called
            .oddities
            .iter()
            .any(|odd| odd.contains("the outbox is a link"))
    );
    let precious = bench.dir.path().join("wt/precious");
    assert_eq!(fs::read_to_string(&precious).unwrap(), "keep\n");
    assert_eq!(bench.temporary_left(), 0);
    assert!(
        bench
            .called()
            .oddities
            .iter()
            .any(|odd| odd.contains("the outbox is a link"))
    );
}

#[test]
fn what_cannot_be_started_says_why() {
    let bench = Bench::new(Kind::Command, "");
    let mut call = bench.call();
    call.worktree = bench.dir.path().join("missing");
    let (called, _) = bench.run(call, ready(Ending::Stopped));
    assert!(matches!(called.ending, Ending::NotStarted { why } if why.contains("missing")));
    let mut call = bench.call();
    call.program = "/nonexistent/agent".into();
    let (called, _) = bench.run(call, pending());
    assert!(
        matches!(called.ending, Ending::NotStarted { .. }),
        "{called:?}"
    );
    assert_eq!(bench.temporary_left(), 0);
}

#[test]
fn preflight_names_the_program_and_the_remedy() {
    let mut bench = Bench::new(Kind::Command, "");
    bench.profile.command = vec!["./agent.sh".into()];
    let root = bench.dir.path();
    fs::set_permissions(root.join("agent.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    let check = |profile: &Profile| {
        let path = root.join("no-such-directory");
        let checked = preflight(profile, Some(path.as_os_str()), root);
        checked.map_err(|error| format!("{error}; {}", error.remedy().unwrap_or_default()))
    };
    assert_eq!(check(&bench.profile), Ok(root.join("./agent.sh")));
    fs::set_permissions(root.join("agent.sh"), fs::Permissions::from_mode(0o644)).unwrap();
    assert!(check(&bench.profile).unwrap_err().contains("chmod +x"));
    let mut profile = bench.profile.clone();
    profile.command.clear();
    assert!(matches!(check(&profile), Err(error) if error.contains("names no program")));
    profile.kind = Kind::Claude;
    let error = check(&profile).unwrap_err();
    assert!(error.contains("`claude` was not found on PATH"), "{error}");
    bench.profile.command = vec!["./gone.sh".into()];
    assert!(
        matches!(check(&bench.profile), Err(error) if error.contains("`./gone.sh` was not found;"))
    );
}

#[test]
fn who_has_told_its_result_and_does_not_end_is_ended_and_has_ended_well() {
    for (kind, result) in [
        (
            Kind::Claude,
            r#"{"type":"result","is_error":false,"result":"all of it","num_turns":1}"#,
        ),
        (
            Kind::Codex,
            r#"{"type":"item.completed","item":{"type":"agent_message","text":"all of it"}}
{"type":"turn.completed","usage":{}}"#,
        ),
        (
            Kind::Gemini,
            r#"{"type":"message","role":"assistant","content":"all of it"}
{"type":"result","status":"success"}"#,
        ),
    ] {
        let bench = Bench::new(
            kind,
            &format!(
                "cat > /dev/null; echo x > $HARNESS_OUTBOX/done; echo '{result}'; while :; do echo >&2; sleep 0.01; done"
            ),
        );
        let mut call = bench.call();
        call.grace = Duration::from_millis(50);
        let (called, _) = bench.run(call, pending());
        assert_eq!(
            called.ending,
            Ending::Exited { code: 0 },
            "{kind:?}: {called:?}"
        );
        assert_eq!(
            (called.message.as_str(), called.done.as_deref()),
            ("all of it", Some("x"))
        );
        assert_eq!(called.failure, None);
        let odd = "it had told its result and did not end; harness ended it";
        assert!(
            called.oddities.iter().any(|it| it == odd),
            "{:?}",
            called.oddities
        );
    }
}

#[test]
fn a_result_that_is_not_the_last_is_not_the_end() {
    let bench = Bench::new(
        Kind::Claude,
        r#"
        cat > /dev/null
        echo '{"type":"system","subtype":"background_tasks_changed","tasks":[{"task_id":"a"}]}'
        echo '{"type":"result","is_error":false,"result":"started it"}'
        sleep 0.2
        echo '{"type":"system","subtype":"background_tasks_changed","tasks":[]}'
        echo '{"type":"assistant","message":{"id":"m","content":[{"type":"text","text":"woken up"}]}}'
        sleep 0.2
        echo '{"type":"result","is_error":false,"result":"woken up"}'
        "#,
    );
    let mut call = bench.call();
    call.grace = Duration::from_millis(50);
    let (called, _) = bench.run(call, pending());
    assert_eq!(called.message, "woken up");
    assert!(called.oddities.is_empty(), "{:?}", called.oddities);
}

#[test]
fn a_failure_that_was_told_counts_though_the_program_stays() {
    let bench = Bench::new(
        Kind::Codex,
        r#"
        cat > /dev/null
        echo '{"type":"turn.failed","error":{"message":"You have hit your usage limit. Try again in 2 hours."}}'
        exec sleep 1000
        "#,
    );
    let mut call = bench.call();
    call.grace = Duration::from_millis(50);
    let (called, _) = bench.run(call, pending());
    let failure = called.failure.unwrap();
    assert_eq!(failure.kind, FailureKind::Limit);
    assert!(failure.resets_at.is_some(), "{failure:?}");
}

#[test]
fn state_that_is_not_for_several_at_once_is_the_calls_own() {
    for (kind, variable) in [
        (Kind::Opencode, "OPENCODE_DB"),
        (Kind::Goose, "XDG_DATA_HOME"),
    ] {
        let script = format!(
            "cat > /dev/null; case \"${variable}\" in \"$TMPDIR\"/*) ;; *) exit 11;; esac\n\
             test \"$HOME\" = /home/u || exit 12"
        );
        let mut bench = Bench::new(kind, &script);
        bench.parent_env.insert(variable.into(), "/shared".into());
        bench.parent_env.insert("HOME".into(), "/home/u".into());
        assert_eq!(
            bench.called().ending,
            Ending::Exited { code: 0 },
            "{kind:?}"
        );
        // Who says where it is to be is heard.
        bench.profile.env.insert(variable.into(), "/own".into());
        assert_eq!(
            bench.called().ending,
            Ending::Exited { code: 11 },
            "{kind:?}"
        );
    }
}

#[test]
fn aider_reads_its_prompt_from_a_file_and_leaves_no_cache() {
    let bench = Bench::new(
        Kind::Aider,
        r#"
        test -z "$(cat)" || exit 10
        while [ $# -gt 1 ]; do [ "$1" = --message-file ] && file=$2; shift; done
        test "$(cat "$file")" = "the prompt" || exit 11
        mkdir .aider.tags.cache.v4; echo x > .aider.tags.cache.v4/cache.db; echo y > .aider.conf.yml
        echo "Tokens: 1.5k sent, 20 received. Cost: \$0.01 message, \$0.02 session."
        "#,
    );
    let called = bench.called();
    assert_eq!(called.ending, Ending::Exited { code: 0 }, "{called:?}");
    assert_eq!(called.usage.unwrap().input, 1500);
    let left = bench.dir.path().join("wt");
    assert!(!left.join(".aider.tags.cache.v4").exists());
    assert!(left.join(".aider.conf.yml").exists());
}

#[test]
fn tokens_without_money_are_priced_and_marked() {
    let turn = r#"{"type":"turn.completed","usage":{"input_tokens":3000000,"cached_input_tokens":2000000,"output_tokens":100000}}"#;
    for (model, prices, expected) in [
        (Some("gpt-5.4"), &[][..], (4_500_000, true)),
        (Some("openai/gpt-5.4"), &[], (4_500_000, true)),
        (Some("house-model"), &[], (0, false)),
        (Some("house-model"), &["house-model"], (3_200_000, true)),
        (None, &["house-model"], (0, false)),
    ] {
        let script = format!("cat >/dev/null; echo '{turn}'");
        let mut bench = Bench::new(Kind::Codex, &script);
        bench.profile.model = model.map(str::to_owned);
        let price = crate::model::Price {
            input: 1_000_000,
            output: 2_000_000,
            cache_read: 1_000_000,
            cache_write: 0,
        };
        let own = prices.iter().map(|name| ((*name).to_owned(), price));
        bench.prices = own.collect();
        let usage = bench.called().usage.unwrap();
        assert_eq!((usage.micro_usd, usage.estimated), expected, "{model:?}");
    }
}
