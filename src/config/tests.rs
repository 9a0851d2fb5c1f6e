//! The room's contract: what is refused and where, what covers what, and that nothing panics.

mod routes;

use super::{
    FILE_NAME, Kind, Loaded, Occasion, Origin, Profile, SandboxChoice, Source, Sources, Until,
    load, schema, yaml,
};
use crate::model::{Isolation, OnHalt, Slug};
use proptest::prelude::*;
use std::path::Path;
use std::time::Duration;

/// A checkout with this harness.yaml.
fn sources(yaml: &str, env: &[(&str, &str)]) -> (tempfile::TempDir, Sources) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("shop");
    std::fs::create_dir(&root).unwrap();
    std::fs::write(root.join(FILE_NAME), yaml).unwrap();
    let env = env
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let sources = Sources {
        root,
        env,
        ..Sources::default()
    };
    (dir, sources)
}

fn loaded(yaml: &str, env: &[(&str, &str)]) -> Loaded {
    let (_dir, sources) = sources(yaml, env);
    load(&sources).unwrap_or_else(|problems| panic!("{problems}"))
}

fn refused(yaml: &str, env: &[(&str, &str)]) -> Vec<String> {
    let (_dir, sources) = sources(yaml, env);
    match load(&sources) {
        Ok(_) => panic!("accepted: {yaml:?} {env:?}"),
        Err(problems) => problems.0.iter().map(ToString::to_string).collect(),
    }
}

fn slug(text: &str) -> Slug {
    Slug::new(text).unwrap()
}

/// What is written, and what must be said of it.
const BAD_FILES: &[(&str, &str)] = &[
    ("runn: {}", ":1: unknown key `runn` (did you mean `run`?)"),
    (
        "run:\n  paralel: 2",
        ":2: unknown key `run.paralel` (did you mean `parallel`?)",
    ),
    (
        "parallel: 2",
        ":1: unknown key `parallel` (did you mean `run.parallel`?)",
    ),
    ("zebra: 1", ":1: unknown key `zebra`"),
    (
        "run:\n  max_iterations: many",
        ":2: `run.max_iterations`: expected a number from 1 to 1000000, found `many`",
    ),
    (
        "run: {parallel: 0}",
        ":1: `run.parallel`: expected a number from 1 to 1000 or `auto`, found the number 0",
    ),
    (
        "resources: {jobs: 0}",
        ":1: `resources.jobs`: expected a number from 1 to 1000 or `auto`, found the number 0",
    ),
    (
        "run:\n\n  grace: 10",
        ":3: `run.grace`: expected a duration such as 30s, 10m or 1h30m, found the number 10 (add a unit: s, m or h)",
    ),
    (
        "run: {iteration_timeout: 0}",
        ":1: `run.iteration_timeout`: expected a duration of at least 1s such as 30s, 10m or 1h30m, found the number 0",
    ),
    (
        "run: {idle_timeout: 0s}",
        ":1: `run.idle_timeout`: expected a duration of at least 1s such as 30s, 10m or 1h30m, found `0s`",
    ),
    (
        "run:\n  on_halt: isolat",
        ":2: `run.on_halt`: expected `isolate` or `stop`, found `isolat` (did you mean `isolate`?)",
    ),
    (
        "isolation: clon",
        ":1: `isolation`: expected `worktree` or `clone`, found `clon` (did you mean `clone`?)",
    ),
    (
        "run: {until: '25:00'}",
        ":1: `run.until`: expected a time of the day such as \"07:30\", or a duration of at least 1m such as 6h, found `25:00`",
    ),
    (
        "notify: {on: [meged]}",
        ":1: `notify.on`: expected `started` or `merged` or `needs_human` or `limit` or `budget` or `finished`, found \
         `meged` (did you mean `merged`?)",
    ),
    (
        "notify: {webhook: hooks.example.org/secret}",
        ":1: `notify.webhook`: expected an address that begins with https:// or http:// (or with a variable",
    ),
    (
        "notify: {webhook: 'https://x', headers: {'a b': c}}",
        ":1: `notify.headers`: a header is a name",
    ),
    (
        "run: [1]",
        ":1: `run`: expected a mapping (`key: value`), found a list (its keys are `grace`, `idle_timeout`, ",
    ),
    (
        "notify: [finished]",
        ":1: `notify`: expected a mapping (`key: value`), found a list (its keys are `command`, `desktop`, `env_pass`, `headers`, `on`, `terminal`, `webhook`)",
    ),
    (
        "version: 2",
        ":1: `version`: expected 1, found the number 2",
    ),
    (
        "target: 1.10",
        ":1: `target`: expected one line of text that does not begin with `-`, found the number 1.1 (put it in quotes)",
    ),
    (
        "target: --force",
        ":1: `target`: expected one line of text that does not begin with `-`, found `--force`",
    ),
    (
        "target: [a]",
        ":1: `target`: expected one line of text that does not begin with `-`, found a list",
    ),
    (
        "worktrees:\n  min_free: 2 gigs",
        ":2: `worktrees.min_free`: expected a size such as 500MB or 2GiB, found `2 gigs`",
    ),
    (
        "worktrees: {dir: .}",
        ":1: `worktrees.dir`: worktrees cannot stand in the repository's own place (for example `../{repo}.harness`)",
    ),
    (
        "worktrees: {dir: '../{name}'}",
        ":1: `worktrees.dir`: unknown placeholder in `../{name}` (the only one is `{repo}`)",
    ),
    (
        "run:\n  parallel: 1\n  parallel: 2",
        ":3: `run.parallel` is given twice (the first is on line 2)",
    ),
    ("run: {parallel: 2", ":1: this is not valid YAML"),
    ("run:\n  parallel: [1\n\n", ":2: this is not valid YAML"),
    (
        "# two\nrun: {}\n...\nrun: {}",
        ":4: this is not valid YAML: deserializing from YAML containing more than one document is not supported",
    ),
    (
        "a: b: c",
        ":1: this is not valid YAML: mapping values are not allowed in this context",
    ),
    (
        "run:\n\tparallel: 2",
        ":2: this is not valid YAML: found character that cannot start any token (indent with spaces; YAML allows no tabs there)",
    ),
    (
        "- 1\n- 2",
        ":1: expected a mapping (`key: value`), found a list",
    ),
    (
        "just text",
        ":1: expected a mapping (`key: value`), found `just text`",
    ),
    (
        "run: !x {}",
        ":1: this is not valid YAML: run: tags (`!name`) are not supported",
    ),
    (
        "---\n---\nversion: 2",
        ":2: this is not valid YAML: deserializing from YAML containing more than one document is not supported",
    ),
    (
        "agent: claud",
        ":1: there is no agent profile `claud` (did you mean `claude`?)",
    ),
    (
        "agents:\n  mine:\n    args: []",
        ":2: `agents.mine` has no kind (add `kind: claude`, say, or `kind: command`)",
    ),
    (
        "agents:\n  mine: {kind: command}",
        ":2: `agents.mine`: kind `command` needs a command (for example `command: [\"./tools/agent.sh\"]`)",
    ),
    (
        "agents:\n  a: {kind: codx}",
        ":2: `agents.a.kind`: expected `claude` or `codex` or `opencode` or `goose` or `gemini` or `copilot` or `qwen` or `aider` or `command`, found `codx` (did you mean `codex`?)",
    ),
    (
        "agents:\n  a: {kind: gpt}",
        ":2: `agents.a.kind`: expected `claude` or `codex` or `opencode` or `goose` or `gemini` or `copilot` or `qwen` or `aider` or `command`, found `gpt`",
    ),
    (
        "agents:\n  claude:\n    env:\n      HARNESS_OUTBOX: x",
        ":4: `agents.claude`: harness itself sets `HARNESS_OUTBOX` (remove it)",
    ),
    (
        "features:\n  Login: {}",
        ":2: `Login` is not a feature name",
    ),
    (
        "features:\n  a:\n    depends_on: [b, C]",
        ":3: `C` is not a feature name",
    ),
    (
        "features:\n  a:\n    dependson: b",
        ":3: unknown key `features.a.dependson` (did you mean `depends_on`?)",
    ),
    (
        "features:\n  a: {agent: clade}",
        ":2: there is no agent profile `clade` (did you mean `claude`?)",
    ),
    (
        "features:\n  a: {budget: {usd: a lot}}",
        ":2: `features.a.budget.usd`: expected an amount in US dollars such as 20 or 2.50, found `a lot`",
    ),
    (
        "budget: {usd: -1}",
        ":1: `budget.usd`: expected an amount in US dollars such as 20 or 2.50, found the number -1",
    ),
    (
        "budget: {tokens: 0}",
        ":1: `budget.tokens`: expected a number from 1 to 1000000000000000, found the number 0",
    ),
    (
        "prices: {big: {input: 3}}",
        ":1: `prices.big`: `output` is missing (say what a million tokens cost: {input: 2, output: 10})",
    ),
    (
        "specs: {dir: ../x}",
        ":1: `specs.dir`: expected a path inside the repository, found `../x`",
    ),
    (
        "specs:\n  file: ''",
        ":2: `specs.file`: expected one line of text that does not begin with `-`, found ``",
    ),
    (
        "prompt: {template: none.md}",
        ":1: `prompt.template`: there is no file",
    ),
    (
        "verify: {commands: [{a: 1}]}",
        ":1: `verify.commands`: expected text, found a mapping",
    ),
    (
        "verify: {commands: ['']}",
        ":1: `verify.commands`: expected text, found ``",
    ),
    (
        "x: &x {parallel: 2}\nrun:\n  <<: *x",
        ":3: unknown key `run.<<` (merge keys are not supported; write the keys out)",
    ),
    ("? [a]\n: 1", ":1: this is not valid YAML"),
    (
        "run: {on_halt: true}",
        ":1: `run.on_halt`: expected `isolate` or `stop`, found `true`",
    ),
];

#[test]
fn what_may_be_a_secret_is_not_quoted() {
    for text in [
        "notify: {webhook: hooks.example/T/s3cret}",
        "notify: {webhook: 'https://x', headers: {'X Token': s3cret}}",
    ] {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("harness.yaml"), text).unwrap();
        let sources = Sources {
            root: dir.path().to_owned(),
            ..Sources::default()
        };
        let problems = load(&sources).unwrap_err();
        assert!(!format!("{problems:?}").contains("s3cret"), "{problems:?}");
    }
}

#[test]
fn bad_files_are_refused_at_their_line() {
    for (yaml, expected) in BAD_FILES {
        let problems = refused(yaml, &[]);
        let wanted = if expected.starts_with(':') {
            format!("{FILE_NAME}{expected}")
        } else {
            (*expected).to_owned()
        };
        assert!(
            problems.iter().any(|problem| problem.contains(&wanted)),
            "{yaml:?}\n wanted {wanted}\n got {problems:#?}"
        );
    }
}

#[test]
fn what_is_not_available_is_refused() {
    for yaml in ["checks: {todo_added: warn}", "checks: {}"] {
        let problems = refused(yaml, &[]);
        assert!(
            problems[0].contains("not available yet"),
            "{yaml}: {problems:?}"
        );
        assert_eq!(problems.len(), 1, "{yaml}: {problems:?}");
    }
    assert!(loaded("sandbox: false", &[]).warnings.is_empty());
    assert_eq!(
        refused("sandox: auto", &[]),
        ["harness.yaml:1: unknown key `sandox` (did you mean `sandbox`?)"]
    );
}

#[test]
fn what_you_are_told_and_until_when_a_run_goes_are_read() {
    let yaml = "run: {until: 07:30, keep_awake: false}\nnotify:\n  on: [merged, limit]\n  command: notify me\n  \
        webhook: ${HOOK}\n  headers: {Authorization: 'Bearer ${T}'}\n  terminal: true";
    let config = loaded(yaml, &[]).config;
    let (hour, minute) = (7, 30);
    assert_eq!(config.run.until, Some(Until::Clock { hour, minute }));
    assert!(!config.run.keep_awake);
    assert_eq!(config.notify.on, [Occasion::Merged, Occasion::Limit].into());
    assert_eq!(config.notify.command.as_deref(), Some("notify me"));
    assert_eq!(config.notify.webhook.as_deref(), Some("${HOOK}"));
    assert_eq!(config.notify.headers["Authorization"], "Bearer ${T}");
    assert!(config.notify.terminal && !config.notify.desktop);
    let config = loaded(yaml, &[("HARNESS_UNTIL", "6h")]).config;
    assert_eq!(
        config.run.until,
        Some(Until::After(Duration::from_hours(6)))
    );
    let config = loaded("", &[]).config;
    assert!(config.run.keep_awake && config.run.until.is_none());
}

#[test]
fn a_sandbox_and_its_places_are_read_and_checked() {
    let yaml = "sandbox: auto\nconfine:\n  network: none\n  write: [~/.cargo, /opt/cache]\n  hide: ~/.ssh\n\
        agents: {claude: {write: [/srv/models], network: full}}";
    let config = loaded(yaml, &[]).config;
    assert_eq!(config.sandbox, SandboxChoice::Auto);
    assert_eq!(config.confine.write, ["~/.cargo", "/opt/cache"]);
    assert_eq!(config.confine.hide, ["~/.ssh"]);
    assert!(!config.confine.network);
    assert_eq!(config.agents["claude"].network, Some(true));
    assert_eq!(config.agents["claude"].write, ["/srv/models"]);
    let config = loaded("", &[]).config;
    assert!(config.confine.network && config.confine.hide.contains(&"~/.ssh".to_owned()));
    assert_eq!(config.sandbox, SandboxChoice::Off);
    let config = loaded("sandbox: bwrap", &[("HARNESS_SANDBOX", "landlock")]).config;
    assert_eq!(config.sandbox, SandboxChoice::Landlock);
    for place in ["cache", "/", "~", "~/../x", "/a/../b", "$HOME/x"] {
        let problems = refused(&format!("confine: {{write: ['{place}']}}"), &[]);
        let expected = format!(
            "harness.yaml:1: `confine.write`: expected a place such as ~/.cache or /opt/tools, found `{place}`"
        );
        assert_eq!(problems, [expected]);
    }
    assert_eq!(
        refused("sandbox: bubblewrap", &[]),
        [
            "harness.yaml:1: `sandbox`: expected `off` or `auto` or `bwrap` or `landlock`, found `bubblewrap`"
        ]
    );
}

#[test]
fn bad_overrides_name_the_variable() {
    let table: &[(&str, &str, &str)] = &[
        (
            "PARALLEL",
            "lots",
            "environment: `PARALLEL`: expected a number from 1 to 1000 or `auto`, found `lots`",
        ),
        (
            "HARNESS_MAX_ITERATIONS",
            "0",
            "environment: `HARNESS_MAX_ITERATIONS`: expected a number from 1 to 1000000, found the number 0",
        ),
        (
            "CLAUDE_TIMEOUT",
            "0",
            "environment: `CLAUDE_TIMEOUT`: expected a duration of at least 1s such as 30s, 10m or 1h30m, or seconds, found `0`",
        ),
        (
            "SLEEP_BETWEEN",
            "soon",
            "environment: `SLEEP_BETWEEN`: expected a duration",
        ),
        ("ONLY", " , ", "environment: `ONLY`: it names no feature"),
        (
            "ONLY",
            "a,B",
            "environment: `ONLY`: `B` is not a feature name",
        ),
        (
            "DRY_RUN",
            "yes",
            "environment: `DRY_RUN`: expected 0 or 1, found `yes`",
        ),
        (
            "HARNESS_ON_HALT",
            "stopp",
            "environment: `HARNESS_ON_HALT`: expected `isolate` or `stop`, found `stopp` (did you mean `stop`?)",
        ),
        (
            "STUCK_LIMIT",
            "-1",
            "environment: `STUCK_LIMIT`: expected a number from 1 to 1000, found the number -1",
        ),
        (
            "HARNESS_AGENT",
            "cluade",
            "environment: `HARNESS_AGENT`: there is no agent profile `cluade` (did you mean `claude`?)",
        ),
        (
            "SPECS_DIR",
            "/elsewhere",
            "environment: `SPECS_DIR`: `specs.dir`: expected a path inside the repository, found `/elsewhere`",
        ),
    ];
    for (name, value, expected) in table {
        let problems = refused("", &[(name, value)]);
        assert!(
            problems[0].starts_with(expected),
            "{name}={value}: {problems:?}"
        );
    }
    let (_dir, mut sources) = sources("", &[]);
    sources.flags.iteration_timeout = Some("90".into());
    let problems = load(&sources).unwrap_err().to_string();
    assert_eq!(
        problems,
        "command line: `--iteration-timeout`: expected a duration of at least 1s such as 30s, 10m or 1h30m, \
         found `90`"
    );
}

#[test]
fn all_problems_come_at_once_in_the_order_of_the_file() {
    let problems = refused(
        "agent: nobody\nrun:\n  parallel: x\n  gracee: 1s\nchecks: {secrets: fail}\n",
        &[("DRY_RUN", "x")],
    );
    let lines: Vec<&str> = problems
        .iter()
        .map(|one| &one[..14.min(one.len())])
        .collect();
    assert_eq!(
        lines,
        [
            "environment: `",
            "harness.yaml:1",
            "harness.yaml:3",
            "harness.yaml:4",
            "harness.yaml:5"
        ]
    );
}

#[test]
fn a_problem_shows_the_word() {
    let (_dir, sources) = sources("run: {parallel: 2, 'on_halt': \"é\", grace: soon}\n", &[]);
    let problems = load(&sources).unwrap_err().0;
    let words: Vec<&str> = problems
        .iter()
        .map(|problem| {
            let (start, end) = problem.columns.unwrap();
            &problem.source_line.as_deref().unwrap()[start..end]
        })
        .collect();
    assert_eq!(words, ["\"é\"", "soon"]);
}

#[test]
fn later_layers_cover_earlier_ones() {
    let file = "run: {parallel: 2, sleep_between: 1s}\n";
    let parallel = |env: &[(&str, &str)], flag: Option<&str>| {
        let (_dir, mut sources) = sources(file, env);
        sources.flags.parallel = flag.map(str::to_owned);
        let loaded = load(&sources).unwrap();
        let origin = loaded.origins.get("run.parallel").unwrap();
        (loaded.config.run.parallel, origin.origin.to_string())
    };
    assert_eq!(parallel(&[], None), (2, "harness.yaml:1".into()));
    assert_eq!(
        parallel(&[("PARALLEL", "3")], None),
        (3, "environment: PARALLEL".into())
    );
    let both = [("PARALLEL", "3"), ("HARNESS_PARALLEL", "4")];
    assert_eq!(
        parallel(&both, None),
        (4, "environment: HARNESS_PARALLEL".into())
    );
    assert_eq!(parallel(&both, Some("5")), (5, "flag --parallel".into()));
    // A covered value is not looked at: other programs have a PARALLEL too.
    let foreign = [("PARALLEL", "-j 8"), ("HARNESS_PARALLEL", "4")];
    assert_eq!(parallel(&foreign, None).0, 4);
    let empty = [("PARALLEL", ""), ("HARNESS_PARALLEL", "")];
    assert_eq!(parallel(&empty, None).0, 2);
}

#[test]
fn harness_loops_variables_mean_what_they_meant() {
    let config = loaded(
        "",
        &[
            ("MAX_ITERATIONS", "7"),
            ("CLAUDE_TIMEOUT", "1.5h"),
            ("ONLY", "b, a,b"),
            ("STUCK_LIMIT", "9"),
            ("SLEEP_BETWEEN", "2"),
            ("ORDER_FILE", "order.txt"),
            ("DRY_RUN", "1"),
            ("MODEL", "big"),
            ("SPECS_DIR", "docs/specs/"),
            ("SPEC_FILE", "SPEC.md"),
        ],
    )
    .config;
    assert_eq!(config.run.max_iterations, 7);
    assert_eq!(config.run.iteration_timeout, Duration::from_secs(5400));
    assert_eq!(config.only, Some([slug("a"), slug("b")].into()));
    assert_eq!(config.breakers.stuck_limit, 9);
    assert_eq!(config.run.sleep_between, Duration::from_secs(2));
    assert_eq!(config.specs.order_file, Path::new("order.txt"));
    assert!(config.specs.order_file_named);
    assert!(config.dry_run);
    assert_eq!(config.model.as_deref(), Some("big"));
    assert_eq!(config.specs.dir, Path::new("docs/specs"));
    assert_eq!(config.specs.file, Path::new("SPEC.md"));
    assert!(!loaded("", &[("DRY_RUN", "0")]).config.dry_run);
}

#[test]
fn origins_list_every_key_in_the_order_of_the_file() {
    let yaml = "run:\n  on_halt: stop\nagents:\n  mine: {kind: command, command: [a, b]}\nmerge: {strategy: squash}";
    let origins = loaded(yaml, &[("MODEL", "big")]).origins;
    let lines: Vec<String> = origins
        .0
        .iter()
        .filter(|one| {
            one.origin != Origin::Default || one.key == "version" || one.key == "worktrees.dir"
        })
        .map(|one| format!("{} = {} ({})", one.key, one.value, one.origin))
        .collect();
    assert_eq!(
        lines,
        [
            "version = 1 (default)",
            "run.on_halt = stop (harness.yaml:2)",
            "agents.mine.kind = command (harness.yaml:4)",
            "agents.mine.command = [\"a\",\"b\"] (harness.yaml:4)",
            "worktrees.dir = ../{repo}.harness (default)",
            "merge.strategy = squash (harness.yaml:5)",
            "model = big (environment: MODEL)",
        ]
    );
    assert_eq!(origins.get("run.idle_timeout").unwrap().value, "null");
}

#[test]
fn strangers_among_the_variables_are_warned_of() {
    let loaded = loaded(
        "",
        &[
            ("HARNESS_PARALEL", "2"),
            ("HARNESS_TOKEN", "x"),
            ("HARNESS_RUN_ID", "x"),
            ("HARNESS", "1"),
        ],
    );
    let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "environment: `HARNESS_PARALEL` is not a variable that harness reads (did you mean `HARNESS_PARALLEL`?)"
        ]
    );
}

#[test]
fn a_file_says_what_it_says() {
    let config = loaded(
        "run: {parallel: 3, idle_timeout: 5m, on_halt: stop}\n\
         agents:\n  claude: {model: big}\n  mine:\n    kind: command\n    command: [./a.sh, --x]\n    env: {PORT: 8080}\n\
         agent: mine\nverify: {commands: make test}\nworktrees: {min_free: 1.5GB}\nisolation: clone\n",
        &[],
    )
    .config;
    assert_eq!(config.run.parallel, 3);
    assert_eq!(config.run.idle_timeout, Some(Duration::from_secs(300)));
    assert_eq!(config.run.on_halt, OnHalt::Stop);
    assert_eq!(config.agents["claude"].kind, Kind::Claude);
    for (name, kind) in [
        ("codex", Kind::Codex),
        ("opencode", Kind::Opencode),
        ("goose", Kind::Goose),
        ("gemini", Kind::Gemini),
        ("copilot", Kind::Copilot),
        ("qwen", Kind::Qwen),
        ("aider", Kind::Aider),
    ] {
        let config = loaded(&format!("agents: {{x: {{kind: {name}}}}}"), &[]).config;
        assert_eq!(
            (config.agents["x"].kind, config.agents["x"].command.len()),
            (kind, 0)
        );
    }
    assert_eq!(config.agents["claude"].model.as_deref(), Some("big"));
    assert_eq!(config.agents["mine"].command, ["./a.sh", "--x"]);
    assert_eq!(config.agents["mine"].env["PORT"], "8080");
    assert_eq!(config.agent, "mine");
    assert_eq!(config.verify.commands, ["make test"]);
    assert_eq!(config.worktrees.min_free, 1_500_000_000);
    assert_eq!(config.isolation, Isolation::Clone);
    assert_eq!(loaded("", &[]).config.isolation, Isolation::Worktree);
    assert!(config.worktrees.dir.is_absolute());
    assert!(config.worktrees.dir.ends_with("shop.harness"));
    assert_eq!(config.settings().parallel, 3);
}

#[test]
fn aliases_mean_their_anchor_and_cannot_explode() {
    let config = loaded(
        "verify: {commands: &all [make, make test]}\nworktrees: {setup: *all}",
        &[],
    )
    .config;
    assert_eq!(config.worktrees.setup, ["make", "make test"]);
    let config = loaded(
        "agent: &a claude\nfeatures: {x: {agent: *a, model: big}}",
        &[],
    )
    .config;
    let keys = &config.features[&slug("x")];
    assert_eq!(keys.agent.as_ref().unwrap().0, "claude");
    assert_eq!(keys.model.as_deref(), Some("big"));
    let long = "x".repeat(2000);
    let bomb = format!("features:\n  a: &a [{long}]\n  b: [{}]", "*a,".repeat(5000));
    assert!(refused(&bomb, &[])[0].contains("its aliases repeat too much text"));
}

#[test]
fn an_empty_file_is_the_defaults_and_so_is_none() {
    let (_dir, sources) = sources("", &[]);
    let empty = load(&sources).unwrap().config;
    for yaml in [
        "# nothing\n",
        "---\n",
        "~",
        "run:\nagents:\n  # mine: {}\n",
        "\u{feff}version: 1",
    ] {
        std::fs::write(sources.root.join(FILE_NAME), yaml).unwrap();
        assert_eq!(load(&sources).unwrap().config, empty, "{yaml:?}");
    }
    std::fs::remove_file(sources.root.join(FILE_NAME)).unwrap();
    assert_eq!(load(&sources).unwrap().config, empty);
    assert_eq!(empty.breakers, crate::model::BreakerSettings::default());
    assert!((1..=4).contains(&empty.run.parallel));
}

#[test]
fn files_that_are_no_text_are_refused() {
    let (_dir, mut sources) = sources("", &[]);
    let path = sources.root.join(FILE_NAME);
    let problem = |sources: &Sources| load(sources).unwrap_err().to_string();
    std::fs::write(&path, b"version: 1\ntarget: \xff\n").unwrap();
    assert_eq!(
        problem(&sources),
        "harness.yaml:2: the file is not UTF-8 text (save it as UTF-8)"
    );
    std::fs::write(&path, "#".repeat((1 << 20) + 1)).unwrap();
    assert_eq!(
        problem(&sources),
        "harness.yaml: the file is larger than 1 MiB"
    );
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert_eq!(problem(&sources), "harness.yaml: not a regular file");
    sources.file = Some(sources.root.join("other.yaml"));
    assert!(problem(&sources).starts_with("other.yaml: cannot read the file: No such file"));
}

/// The example shows every key with its default.
#[test]
fn the_example_is_the_defaults() {
    let example = include_str!("../../harness.yaml.example");
    let (_dir, sources) = sources(example, &[]);
    let shown = load(&sources).unwrap_or_else(|problems| panic!("{problems}"));
    std::fs::remove_file(sources.root.join(FILE_NAME)).unwrap();
    let default = load(&sources).unwrap();
    assert_eq!(shown.warnings, []);
    for (shown, default) in shown.origins.0.iter().zip(&default.origins.0) {
        assert_eq!((&shown.key, &shown.value), (&default.key, &default.value));
    }
    let mut shown = shown.config;
    // The one difference: an order file that is named must exist.
    shown.specs.order_file_named = false;
    // Where a value stands is no value.
    assert_eq!(shown.agents_at["claude"].file, Path::new(FILE_NAME));
    shown.agents_at.clear();
    assert_eq!(shown, default.config);
    let mut keys = Vec::new();
    keys_of(&schema(), &mut keys);
    for key in keys {
        let mentioned = example.lines().any(|line| {
            let line = line.trim_start_matches(['#', ' ']);
            line.starts_with(&format!("{key}:"))
                || line.contains(&format!("{{{key}:"))
                || line.contains(&format!(", {key}:"))
        });
        assert!(mentioned, "`{key}` is missing in harness.yaml.example");
    }
}

fn keys_of(schema: &serde_json::Value, keys: &mut Vec<String>) {
    if let Some(properties) = schema["properties"].as_object() {
        for (key, schema) in properties {
            assert!(
                schema["description"].is_string(),
                "`{key}` has no description"
            );
            keys.push(key.clone());
            keys_of(schema, keys);
        }
        assert_eq!(schema["additionalProperties"], false);
    }
    if schema["additionalProperties"].is_object() {
        keys_of(&schema["additionalProperties"], keys);
    }
}

#[test]
fn features_keep_the_place_of_each_name() {
    let loaded = loaded(
        "features:\n  a:\n    depends_on:\n      - b\n      - c.d\n      - b\n    after: x\n    timeout: 2h\n    stuck: {limit: 1}\n  c.d: {priority: 2, verify: make}\n",
        &[],
    );
    let keys = &loaded.config.features[&slug("a")];
    let places: Vec<(&str, u32, &str)> = keys
        .depends_on
        .iter()
        .chain(&keys.after)
        .map(|one| (one.slug.as_str(), one.spot.line, one.spot.text.as_str()))
        .collect();
    assert_eq!(
        places,
        [
            ("b", 4, "      - b"),
            ("c.d", 5, "      - c.d"),
            ("x", 7, "    after: x")
        ]
    );
    assert_eq!(keys.timeout, Some(Duration::from_secs(7200)));
    assert_eq!(keys.stuck.limit, Some(1));
    assert_eq!(keys.spot.as_ref().unwrap().line, 2);
    let other = &loaded.config.features[&slug("c.d")];
    assert_eq!(
        (other.priority, &other.verify),
        (Some(2), &vec!["make".to_owned()])
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_panics(text in "\\PC*", word in "[a-z_{}\\[\\]:,&*!|>'\"# \n\t-]{0,60}") {
        for yaml in [text.clone(), word.clone(), format!("run:\n  grace: {word}\nfeatures:\n  a: {text}\n")] {
            let (_dir, sources) = sources(&yaml, &[("HARNESS_ONLY", &text), ("CLAUDE_TIMEOUT", &word)]);
            let _ = load(&sources);
        }
    }

    #[test]
    fn the_tree_agrees_with_the_yaml_reader(value in any_yaml()) {
        let text = serde_yaml::to_string(&value).unwrap();
        let tree = yaml::parse(&Source::new("x", text)).unwrap();
        prop_assert_eq!(untyped(&tree), value);
    }
}

fn any_yaml() -> impl Strategy<Value = serde_yaml::Value> {
    use serde_yaml::Value as Yaml;
    let text = "[ -~é\n]{0,12}";
    let leaf = prop_oneof![
        Just(Yaml::Null),
        any::<bool>().prop_map(Yaml::from),
        any::<i64>().prop_map(Yaml::from),
        text.prop_map(Yaml::from),
    ];
    leaf.prop_recursive(4, 40, 5, move |inner| {
        let map = prop::collection::btree_map(text, inner.clone(), 0..5);
        prop_oneof![
            prop::collection::vec(inner, 0..5).prop_map(Yaml::from),
            map.prop_map(|map| {
                Yaml::Mapping(
                    map.into_iter()
                        .map(|(key, value)| (key.into(), value))
                        .collect(),
                )
            }),
        ]
    })
}

/// The tree without its places, keys as the plain reader types them.
fn untyped(node: &yaml::Node) -> serde_yaml::Value {
    use serde_yaml::Value as Yaml;
    match &node.value {
        yaml::Value::Null => Yaml::Null,
        yaml::Value::Bool(value) => (*value).into(),
        yaml::Value::Int(value) => (*value).into(),
        yaml::Value::Float(value) => (*value).into(),
        yaml::Value::Text(value) => value.as_str().into(),
        yaml::Value::List(items) => items.iter().map(untyped).collect(),
        yaml::Value::Map(entries) => Yaml::Mapping(
            entries
                .iter()
                .map(|entry| (entry.key.as_str().into(), untyped(&entry.node)))
                .collect(),
        ),
    }
}

#[test]
fn processors_are_a_number_all_or_nobodys_business() {
    let jobs = |yaml: &str| loaded(yaml, &[]).config.resources.jobs;
    assert!(jobs("").is_some_and(|all| all > 0));
    assert_eq!(jobs("resources: {jobs: 6}"), Some(6));
    assert_eq!(jobs("resources: {jobs: null}"), None);
}

#[test]
fn generated_files_have_patterns_and_a_command() {
    let yaml = "merge:\n  regenerate:\n    - paths: [package-lock.json, '!vendor/']\n      command: npm i\n    \
        - {paths: '*.snap', command: make snaps}\n";
    let merge = loaded(yaml, &[]).config.merge;
    let [one, two] = merge.regenerate.as_slice() else {
        panic!("{merge:?}");
    };
    assert_eq!(one.paths, ["package-lock.json", "!vendor/"]);
    assert_eq!((two.paths.len(), two.command.as_str()), (1, "make snaps"));
    for (wrong, found) in [
        ("{command: x}", "`paths` is missing"),
        ("{paths: a}", "`command` is missing"),
        ("{paths: [], command: x}", "`paths` is missing"),
        (
            "{paths: ['../a'], command: x}",
            "leads out of the repository",
        ),
        ("{paths: ['#a'], command: x}", "comment"),
        ("{path: a, command: x}", "did you mean `paths`?"),
        ("make", "expected a mapping"),
    ] {
        let yaml =
            format!("merge:\n  regenerate:\n    - {{paths: ok, command: ok}}\n    - {wrong}\n");
        let problems = refused(&yaml, &[]);
        let of_it = problems.iter().find(|problem| problem.contains(found));
        let of_it = of_it.unwrap_or_else(|| panic!("{wrong}: {problems:?}"));
        let place = "harness.yaml:4: ";
        // A whole item that is of the wrong kind is marked at the list.
        assert!(of_it.starts_with(place) || wrong == "make", "{problems:?}");
    }
}

#[test]
fn who_names_a_kind_means_its_program_unless_there_is_a_profile_of_that_name() {
    let yaml = "agent: codex\nagents: {goose: {kind: command, command: [./mine]}}\nfeatures: {a: {agent: aider}}";
    let config = loaded(yaml, &[]).config;
    assert_eq!(config.agents["codex"], Profile::bare(Kind::Codex));
    assert_eq!(config.agents["goose"].kind, Kind::Command);
    let names = config.agents.len();
    // All kinds but `command`, of which nobody knows the program.
    assert_eq!(names, Kind::ALL.len() - 1);
    let told = refused("agent: command", &[]);
    assert!(
        told[0].contains("no agent profile `command` (profiles: aider, claude"),
        "{told:?}"
    );
}
