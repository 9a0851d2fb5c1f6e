//! The room's contract: what becomes a feature, what is refused and where, and when files are read again.

use super::*;
use crate::config::{self, Config, Sources};
use crate::model::{AgentChoice, FeatureSpec, Slug, StuckRule};
use proptest::prelude::*;
use std::path::PathBuf;

/// A checkout with some files.
struct Repo {
    _dir: tempfile::TempDir,
    root: PathBuf,
}

impl Repo {
    fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("repo");
        std::fs::create_dir(&root).unwrap();
        let repo = Self { _dir: dir, root };
        for (path, text) in files {
            repo.write(path, text);
        }
        repo
    }

    fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn config(&self) -> Config {
        let sources = Sources {
            root: self.root.clone(),
            ..Sources::default()
        };
        config::load(&sources).unwrap().config
    }

    fn scanner(&self) -> Scanner {
        Scanner::new(&self.root, &self.config())
    }

    fn loaded(&self) -> Loaded {
        self.scanner().scan().unwrap()
    }

    fn problems(&self) -> Vec<String> {
        self.loaded()
            .problems
            .iter()
            .map(ToString::to_string)
            .collect()
    }
}

fn slug(text: &str) -> Slug {
    Slug::new(text).unwrap()
}

fn names(loaded: &Loaded) -> Vec<&str> {
    loaded
        .features
        .iter()
        .map(|feature| feature.slug.as_str())
        .collect()
}

/// Looks until every stamp is old enough to be trusted. Bounded by the file system's clock, not by ours.
fn settle(scanner: &mut Scanner) {
    loop {
        let before = scanner.reads;
        assert!(scanner.scan().is_none(), "nothing changed");
        if scanner.reads == before {
            return;
        }
        std::thread::yield_now();
    }
}

#[test]
fn a_spec_without_front_matter_is_a_bare_feature() {
    let repo = Repo::new(&[
        ("specs/login/spec.md", "no heading\n"),
        ("specs/empty/notes.md", "x"),
        ("specs/README.md", "x"),
    ]);
    let loaded = repo.loaded();
    assert_eq!(loaded.problems, []);
    assert_eq!(loaded.features, [FeatureSpec::bare(slug("login"))]);
}

#[test]
fn front_matter_and_harness_yaml_describe_a_feature_together() {
    let repo = Repo::new(&[
        (
            "harness.yaml",
            "agents: {mine: {kind: command, command: [x]}}\nfeatures:\n  a:\n    depends_on: [c, b]\n    priority: 9\n    locks: db\n    agent: claude\n    stuck: {limit: 7, min_bytes: 7}\n    verify: make all\n",
        ),
        (
            "specs/a/spec.md",
            "---\ndepends_on: b\nafter: [d]\npriority: 2\ntouches: [src/a, src/b]\nlocks: [gpu]\nagent: mine\nmodel: big\ntimeout: 1h\nstuck:\n  limit: 4\nverify: make a\n---\n# Feature *A*\n",
        ),
        ("specs/b/spec.md", "x"),
        ("scripts/feature-order.txt", "# first\n\n  b # yes\na\n"),
    ]);
    let loaded = repo.loaded();
    assert_eq!(loaded.problems, []);
    let a = &loaded.features[0];
    let wanted = FeatureSpec {
        title: "Feature *A*".into(),
        depends_on: vec![slug("b"), slug("c")],
        after: vec![slug("d")],
        priority: 2,
        order: Some(1),
        touches: vec!["src/a".into(), "src/b".into()],
        locks: vec!["gpu".into(), "db".into()],
        agent: AgentChoice {
            profile: Some("mine".into()),
            model: Some("big".into()),
        },
        timeout_ms: Some(3_600_000),
        stuck: StuckRule {
            limit: Some(4),
            min_bytes: Some(7),
        },
        verify: vec!["make all".into(), "make a".into()],
        ..FeatureSpec::bare(slug("a"))
    };
    assert_eq!(*a, wanted);
    assert_eq!(loaded.features[1].order, Some(0));
    let spot = |word: &str| {
        let spot = loaded.places.of(&slug("a"), word).unwrap();
        (spot.file.to_str().unwrap(), spot.line, spot.text.as_str())
    };
    assert_eq!(spot("b"), ("specs/a/spec.md", 2, "depends_on: b"));
    assert_eq!(spot("c"), ("harness.yaml", 4, "    depends_on: [c, b]"));
    assert_eq!(spot("d"), ("specs/a/spec.md", 3, "after: [d]"));
    assert!(loaded.places.of(&slug("b"), "a").is_none());
}

/// What is written, and what must be said of it.
const BAD_FRONT_MATTER: &[(&str, &str)] = &[
    (
        "---\ndepends: b\n---\n",
        ":2: unknown key `depends` (did you mean `depends_on`?)",
    ),
    (
        "---\npriority: high\n---\n",
        ":2: `priority`: expected a number from -1000000 to 1000000, found `high`",
    ),
    (
        "---\n\ntimeout: 30\n---\n",
        ":3: `timeout`: expected a duration of at least 1s such as 30s, 10m or 1h30m, found the number 30 (add a unit: s, m or h)",
    ),
    (
        "---\nagent: claud\n---\n",
        ":2: there is no agent profile `claud` (did you mean `claude`?)",
    ),
    (
        "---\nagent: zed\n---\n",
        ":2: there is no agent profile `zed` (profiles: aider, claude, codex, copilot, gemini, goose, opencode, qwen)",
    ),
    (
        "---\nbudget: {usd: 5 dollars}\n---\n",
        ":2: `budget.usd`: expected an amount in US dollars such as 20 or 2.50, found `5 dollars`",
    ),
    (
        "---\nstuck: {limit: 0}\n---\n",
        ":2: `stuck.limit`: expected a number from 1 to 1000, found the number 0",
    ),
    (
        "---\ndepends_on:\n  - b\n  - B C\n---\n",
        ":4: `B C` is not a feature name",
    ),
    (
        "---\ndepends_on: {b: 1}\n---\n",
        ":2: `depends_on`: expected text or a list of texts, found a mapping",
    ),
    (
        "---\nafter: [b\n---\n",
        "this is not valid YAML: did not find expected ',' or ']'",
    ),
    (
        "---\nlocks: a\nlocks: b\n---\n",
        ":3: `locks` is given twice (the first is on line 2)",
    ),
    (
        "---\n- a\n---\n",
        ":2: expected a mapping (`key: value`), found a list",
    ),
    (
        "---\npriority: 1\n",
        ":1: the front matter is not closed (end it with a line `---`)",
    ),
    (
        "---\n\tpriority: 1\n---\n",
        ":2: this is not valid YAML: found character that cannot start any token",
    ),
];

#[test]
fn bad_front_matter_is_reported_at_its_line() {
    for (text, expected) in BAD_FRONT_MATTER {
        let repo = Repo::new(&[("specs/a/spec.md", text)]);
        let problems = repo.problems();
        assert_eq!(problems.len(), 1, "{text:?}: {problems:#?}");
        let place = if expected.starts_with(':') {
            "specs/a/spec.md"
        } else {
            ""
        };
        assert!(
            problems[0].contains(&format!("{place}{expected}")),
            "{text:?}: {problems:#?}"
        );
    }
    let repo = Repo::new(&[("specs/a/spec.md", "---\ndepends: b\n---\n")]);
    assert!(!repo.loaded().any_error(), "unknown keys only warn");
}

#[test]
fn directories_that_cannot_be_features_are_refused() {
    let repo = Repo::new(&[
        ("specs/Auth/spec.md", "x"),
        ("specs/auth/spec.md", "x"),
        ("specs/my feature/spec.md", "x"),
        ("specs/_template/spec.md", "x"),
        ("specs/.hidden/spec.md", "x"),
    ]);
    let problems = repo.problems();
    assert!(
        problems[0].contains("`Auth` is not a feature name: 1 to 63 characters"),
        "{problems:?}"
    );
    assert!(
        problems[1].contains("`Auth` and `auth` differ only in case"),
        "{problems:?}"
    );
    assert!(
        problems[2].contains("`my feature` is not a feature name"),
        "{problems:?}"
    );
    assert_eq!(problems.len(), 3);
}

#[test]
fn links_may_not_leave_the_repository() {
    let repo = Repo::new(&[
        ("shared/in/spec.md", "# In"),
        ("../out/spec.md", "# Out"),
        ("specs/plain/spec.md", "x"),
    ]);
    let link = |to: PathBuf, name: &str| {
        std::os::unix::fs::symlink(to, repo.root.join("specs").join(name)).unwrap();
    };
    link("../shared/in".into(), "in");
    link(repo.root.join("../out"), "out");
    std::fs::create_dir(repo.root.join("specs/file")).unwrap();
    link("/etc/hostname".into(), "file/spec.md");
    std::fs::create_dir(repo.root.join("specs/gone")).unwrap();
    link("nowhere".into(), "gone/spec.md");
    let loaded = repo.loaded();
    let problems = repo.problems();
    assert!(
        problems[0].starts_with("specs/file/spec.md: a link leads out of the repository"),
        "{problems:?}"
    );
    assert!(
        problems[1].starts_with("specs/gone/spec.md: cannot follow the path: No such file"),
        "{problems:?}"
    );
    assert!(
        problems[2].starts_with("specs/out/spec.md: a link leads out of the repository"),
        "{problems:?}"
    );
    assert_eq!(problems.len(), 3);
    let inside = loaded
        .features
        .iter()
        .find(|feature| feature.slug == slug("in"))
        .unwrap();
    assert_eq!(inside.title, "In");
}

#[test]
fn specs_that_are_no_text_are_refused() {
    let repo = Repo::new(&[("specs/dir/spec.md/x", "")]);
    repo.write("specs/big/spec.md", vec![b'x'; (1 << 20) + 1]);
    repo.write("specs/latin/spec.md", b"ok\n\xe9\n");
    assert_eq!(
        repo.problems(),
        [
            "specs/big/spec.md: the file is larger than 1 MiB",
            "specs/dir/spec.md: not a regular file",
            "specs/latin/spec.md:2: the file is not UTF-8 text (save it as UTF-8)",
        ]
    );
}

#[test]
fn no_specs_at_all_is_an_error_with_a_remedy() {
    let repo = Repo::new(&[]);
    let loaded = repo.loaded();
    assert!(loaded.nothing && loaded.any_error());
    assert!(repo.problems()[0].starts_with("specs: cannot read the specs directory: No such file"));
    repo.write("specs/a/notes.md", "x");
    assert!(repo.loaded().nothing);
    assert_eq!(
        repo.problems(),
        ["specs: there is no `*/spec.md` in it (make specs/<name>/spec.md)"]
    );
}

#[test]
fn odd_lines_of_the_order_file_are_warned_of() {
    let repo = Repo::new(&[
        ("specs/login/spec.md", "x"),
        ("scripts/feature-order.txt", "logn\nlogin\nlogin # again\n"),
        ("harness.yaml", "features: {logim: {priority: 1}}"),
    ]);
    assert_eq!(
        repo.problems(),
        [
            "harness.yaml:1: there is no spec for the feature `logim` (did you mean `login`?)",
            "scripts/feature-order.txt:1: there is no feature `logn` (did you mean `login`?)",
            "scripts/feature-order.txt:3: `login` is listed twice; the first counts",
        ]
    );
    assert!(!repo.loaded().any_error());
    repo.write("harness.yaml", "specs: {order_file: none.txt}");
    let loaded = repo.loaded();
    assert!(loaded.any_error(), "an order file that is named must exist");
}

#[test]
fn files_are_read_again_only_when_they_may_have_changed() {
    let repo = Repo::new(&[
        ("specs/a/spec.md", "# A"),
        ("specs/b/spec.md", "# B"),
        ("specs/c/notes.md", "x"),
    ]);
    let mut scanner = repo.scanner();
    assert_eq!(names(&scanner.scan().unwrap()), ["a", "b"]);
    settle(&mut scanner);

    repo.write("specs/a/spec.md", "# Z");
    let reads = scanner.reads;
    assert_eq!(scanner.scan().unwrap().features[0].title, "Z");
    assert_eq!(scanner.reads, reads + 1);
    settle(&mut scanner);

    repo.write("specs/c/spec.md", "# C");
    assert_eq!(names(&scanner.scan().unwrap()), ["a", "b", "c"]);
    settle(&mut scanner);

    std::fs::remove_file(repo.root.join("specs/c/spec.md")).unwrap();
    assert_eq!(names(&scanner.scan().unwrap()), ["a", "b"]);
    std::fs::remove_dir_all(repo.root.join("specs/b")).unwrap();
    assert_eq!(names(&scanner.scan().unwrap()), ["a"]);
    repo.write("specs/d/spec.md", "# D");
    assert_eq!(names(&scanner.scan().unwrap()), ["a", "d"]);
    settle(&mut scanner);

    repo.write("scripts/feature-order.txt", "d\n");
    assert_eq!(scanner.scan().unwrap().features[1].order, Some(0));
    settle(&mut scanner);

    std::fs::remove_dir_all(repo.root.join("specs")).unwrap();
    assert!(scanner.scan().unwrap().nothing);
    settle(&mut scanner);
    repo.write("specs/e/spec.md", "# E");
    assert_eq!(names(&scanner.scan().unwrap()), ["e"]);
}

#[test]
fn an_edit_right_after_a_look_is_seen() {
    let repo = Repo::new(&[("specs/a/spec.md", "# 0")]);
    let mut scanner = repo.scanner();
    scanner.scan();
    for n in 1..=200 {
        repo.write("specs/a/spec.md", format!("# {}", n % 10));
        let loaded = scanner
            .scan()
            .unwrap_or_else(|| panic!("edit {n} was not seen"));
        assert_eq!(loaded.features[0].title, (n % 10).to_string());
    }
}

#[test]
fn an_edit_of_the_same_size_that_sets_the_time_back_is_seen() {
    let repo = Repo::new(&[("specs/a/spec.md", "# 0")]);
    let path = repo.root.join("specs/a/spec.md");
    let time = std::fs::metadata(&path).unwrap().modified().unwrap();
    let mut scanner = repo.scanner();
    scanner.scan();
    settle(&mut scanner);
    repo.write("specs/a/spec.md", "# 1");
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.set_modified(time).unwrap();
    assert_eq!(scanner.scan().unwrap().features[0].title, "1");
}

#[test]
fn a_file_whose_time_lies_ahead_of_the_clock_is_read_at_every_look() {
    let repo = Repo::new(&[("specs/a/spec.md", "# 0")]);
    let path = repo.root.join("specs/a/spec.md");
    let year = std::time::Duration::from_secs(365 * 24 * 3600);
    let now = std::time::SystemTime::now();
    let before = super::file::Stamp::of(&path, now - year).unwrap();
    assert!(
        !before.surely_same(&before),
        "the clock was set back by a year"
    );
    let after = super::file::Stamp::of(&path, now + year).unwrap();
    assert!(after.surely_same(&before), "the file did not change");
}

#[test]
fn the_body_is_the_spec_without_front_matter() {
    let repo = Repo::new(&[
        ("a.md", "---\npriority: 1\n---\n# A\n"),
        ("b.md", "# B\n---\n"),
        ("c.md", "---\nx\n"),
    ]);
    let body = |name: &str| body(&repo.root.join(name)).unwrap();
    assert_eq!(body("a.md"), "# A\n");
    assert_eq!(body("b.md"), "# B\n---\n");
    assert_eq!(body("c.md"), "---\nx\n");
    assert!(raw(&repo.root.join("a.md")).unwrap().starts_with("---\n"));
    let error = raw(&repo.root.join("none.md")).unwrap_err().to_string();
    assert!(
        error.contains("none.md: cannot read the file: No such file"),
        "{error}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_spec_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "[a-z_{}\\[\\]:,&*'\"# \n\t-]{0,80}", order in "\\PC*") {
        let repo = Repo::new(&[("scripts/feature-order.txt", &order)]);
        repo.write("specs/bytes/spec.md", bytes);
        repo.write("specs/plain/spec.md", &text);
        repo.write("specs/front/spec.md", format!("---\n{text}\n---\n{text}"));
        repo.loaded();
    }
}

#[test]
fn names_of_files_in_the_state_directory_are_refused() {
    let repo = Repo::new(&[
        ("specs/run/spec.md", "# Run\n"),
        ("specs/learnings/spec.md", "# Learnings\n"),
        ("specs/runner/spec.md", "# Runner\n"),
    ]);
    let problems = repo.problems();
    assert_eq!(problems.len(), 1, "{problems:?}");
    let expected = ["specs/run/spec.md", "run.log", "rename its directory"];
    assert!(
        expected.iter().all(|part| problems[0].contains(part)),
        "{problems:?}"
    );
}

#[test]
fn missing_specs_say_what_to_make_and_promise_nothing() {
    for repo in [Repo::new(&[]), Repo::new(&[("specs/note.txt", "")])] {
        let problems = repo.problems();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].contains("specs/<name>/spec.md"), "{problems:?}");
        assert!(!problems[0].contains("init"), "{problems:?}");
    }
}

#[test]
fn a_label_routes_a_feature_to_an_agent_unless_it_names_one_itself() {
    let yaml = "agents: {codex: {kind: codex}}\nroutes:\n- {label: ui, agent: codex, model: big}\n\
        - {label: docs, model: haiku}\n- {label: dosc, agent: codex}\n\
        features: {c: {labels: [docs]}, d: {agent: claude}}\n";
    let repo = Repo::new(&[
        ("harness.yaml", yaml),
        ("specs/a/spec.md", "---\nlabels: [docs, ui]\n---\n# A\n"),
        (
            "specs/b/spec.md",
            "---\nlabels: ui\nmodel: opus\n---\n# B\n",
        ),
        ("specs/c/spec.md", "# C\n"),
        ("specs/d/spec.md", "---\nlabels: [ui]\n---\n# D\n"),
        ("specs/e/spec.md", "---\nlabels: [other]\n---\n# E\n"),
    ]);
    let loaded = repo.loaded();
    let agents = loaded.features.iter();
    let agents = agents.map(|spec| (spec.agent.words(), spec.label.as_deref()));
    assert_eq!(
        agents.collect::<Vec<_>>(),
        [
            ("codex/big".to_owned(), Some("ui")),
            ("opus".to_owned(), None),
            ("haiku".to_owned(), Some("docs")),
            ("claude".to_owned(), None),
            (String::new(), None),
        ]
    );
    assert_eq!(
        repo.problems(),
        ["harness.yaml:5: `routes`: no feature has the label `dosc` (did you mean `docs`?)"]
    );
}
