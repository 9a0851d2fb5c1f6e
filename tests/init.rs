//! The first evening: a harness.yaml for the checkout at hand, and a rehearsal of the night.

#![cfg(feature = "fake-agent")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

mod support;

use support::Site;

/// Every file, and every ref, worktree and byte of the state directory.
fn everything(site: &Site) -> String {
    let files = std::process::Command::new("find")
        .args([".", "..", "-type", "f", "-not", "-path", "*/.git/*"])
        // A rehearsal locks as a run does.
        .args(["-not", "-path", "*/.harness/lock"])
        .args(["-not", "-path", "*/.harness/.gitignore"])
        .current_dir(&site.repo)
        .output()
        .unwrap();
    let mut lines: Vec<String> = String::from_utf8_lossy(&files.stdout)
        .lines()
        .map(str::to_owned)
        .collect();
    lines.sort();
    let refs = site.git(&["for-each-ref"]);
    let trees = site.git(&["worktree", "list"]);
    format!("{}\n{refs}{trees}", lines.join("\n"))
}

#[test]
fn what_stands_in_the_checkout_is_found_and_the_result_works() {
    let site = Site::new();
    site.write("Makefile", "test:\n\ttest -e README\n");
    site.write(
        "package.json",
        r#"{"packageManager": "pnpm@9.1.0", "scripts": {"lint": "x"}}"#,
    );
    site.write("docs/specs/hello/spec.md", "# Hello\n\nWrite hello.\n");
    site.write(".gitignore", "*.log");
    site.commit("a project");
    let before = everything(&site);
    let dry = site.harness(&["init", "--dry-run", "--example"]);
    assert_eq!(dry.code, Some(0), "{}", dry.err);
    for part in [
        "found JavaScript (package.json, pnpm), Makefile says `test`",
        "new file harness.yaml",
        "+     - \"make test\"",
        "+     - \"pnpm install --no-lockfile\"",
        "+   dir: \"docs/specs\"",
        "new file docs/specs/say-hello/spec.md",
        "added to .gitignore",
        "+ node_modules/",
        "nothing is written",
    ] {
        assert!(dry.out.contains(part), "{part} is missing in\n{}", dry.out);
    }
    assert_eq!(everything(&site), before);
    // A file that is there is added to only when a person has said so.
    let plain = site.harness(&["init"]);
    assert!(plain.out.contains("wrote harness.yaml"), "{}", plain.out);
    assert_eq!(site.read(".gitignore"), "*.log");
    let yes = site.harness(&["init", "--yes", "--instructions"]);
    assert!(
        yes.out
            .contains("harness.yaml is there already; left as it is"),
        "{}",
        yes.out
    );
    assert_eq!(site.read(".gitignore"), "*.log\nnode_modules/\n");
    assert!(site.read("AGENTS.md").starts_with("## Features\n"));
    let again = site.harness(&["init", "--yes", "--instructions"]);
    assert!(!again.out.contains("wrote"), "{}", again.out);
    let plan = site.harness(&["plan"]);
    assert_eq!(plan.code, Some(0), "{}", plan.err);
    assert!(plan.out.contains("hello"), "{}", plan.out);
    let config = site.harness(&["config"]).out;
    assert!(config.contains("make test"), "{config}");
}

#[test]
fn a_rehearsal_tries_what_the_night_needs_and_leaves_nothing() {
    let site = Site::new();
    site.shell_config(
        "run: {parallel: 2}\nworktrees: {setup: ['echo made > made'], min_free: 1KiB}\n\
         verify: {commands: ['test -e made', 'test -e README']}",
    );
    for slug in ["a", "b", "c", "d"] {
        site.shell(slug, &format!("echo {slug} > {slug}.txt\n"));
    }
    site.commit("specs");
    let before = everything(&site);
    let first = site.harness(&["run", "--rehearse", "--no-probe"]);
    assert_eq!(first.code, Some(0), "{}{}", first.out, first.err);
    for part in [
        "rehearsal on main at ",
        "checkout  ok in ",
        "  echo made > made\n",
        "  test -e README\n",
        "3 of them",
        "4 features to do; how long that takes nobody can say yet",
        "nothing stands in the way",
    ] {
        assert!(
            first.out.contains(part),
            "{part} is missing in\n{}",
            first.out
        );
    }
    assert_eq!(everything(&site), before);
    // With its one turn: the scripted agent answers with an error, since there is no such feature.
    let probed = site.harness(&["run", "--rehearse"]);
    assert!(probed.err.contains("costs"), "{}", probed.err);
    assert_eq!(probed.code, Some(1), "{}", probed.out);
    assert!(probed.out.contains("did not answer"), "{}", probed.out);
    assert_eq!(everything(&site), before);
    // What is known from earlier runs says how long the rest takes.
    assert_eq!(site.harness(&["run", "--only", "a,b,c"]).code, Some(0));
    let before = everything(&site);
    let later = site.harness(&["run", "--rehearse", "--no-probe"]);
    assert!(
        later
            .out
            .contains("1 feature to do, 2 at once: under 2m, going by the 3 merged features"),
        "{}",
        later.out
    );
    assert_eq!(everything(&site), before);
}

#[test]
fn a_base_that_fails_is_seen_in_the_evening() {
    let site = Site::new();
    site.shell_config("verify: {commands: ['echo no such thing; exit 3', 'echo never']}");
    site.shell("a", "true\n");
    site.commit("specs");
    let before = everything(&site);
    let ran = site.harness(&["run", "--rehearse", "--no-probe"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.out.contains("gate      FAILED in "), "{}", ran.out);
    assert!(ran.out.contains("          no such thing\n"), "{}", ran.out);
    assert!(!ran.out.contains("echo never"), "{}", ran.out);
    let doctor = site.harness(&["doctor", "--verify"]);
    assert_eq!(doctor.code, Some(1));
    assert!(
        doctor.out.contains("error    verify: gate failed after 0s"),
        "{}",
        doctor.out
    );
    assert_eq!(everything(&site), before);
}

/// The lines that `init` would add to `.gitignore`.
fn lacking(files: &[(&str, &str)]) -> Vec<String> {
    let site = Site::new();
    for (name, text) in files {
        site.write(name, text);
    }
    site.commit("a project");
    let dry = site.harness(&["init", "--dry-run"]);
    assert_eq!(dry.code, Some(0), "{}", dry.err);
    let lines = dry.out.lines();
    let lines = lines.skip_while(|line| !line.ends_with(" .gitignore") || line.starts_with('+'));
    let lines = lines.skip(1).map_while(|line| line.strip_prefix("+ "));
    lines.map(str::to_owned).collect()
}

#[test]
fn what_is_made_is_ignored_where_it_is_made_and_unless_it_is_ignored_already() {
    let node = ("package.json", "{}");
    assert_eq!(lacking(&[node]), ["node_modules/"]);
    for line in ["node_modules", "/node_modules/", "**/node_modules/*"] {
        assert_eq!(lacking(&[node, (".gitignore", line)]), [""; 0], "{line}");
    }
    // Lines of another part, and lines that take one back, ignore nothing here.
    assert_eq!(
        lacking(&[
            ("Cargo.toml", "[package]\n"),
            (".gitignore", "/docs/target/\ntarget/\n!target/\n"),
        ]),
        ["/target/"]
    );
    assert_eq!(
        lacking(&[
            ("services/a [1]/build.gradle", ""),
            ("services/a [1]/app/build.gradle.kts", ""),
        ]),
        [
            "/services/a \\[1\\]/.gradle/",
            "/services/a \\[1\\]/app/build/",
            "/services/a \\[1\\]/build/",
        ]
    );
    assert_eq!(
        lacking(&[("App.sln", ""), ("src/App/App.csproj", "")]),
        ["/src/App/bin/", "/src/App/obj/"]
    );
}

#[test]
fn work_below_a_directory_that_bears_the_name_of_what_is_made_is_not_lost() {
    let site = Site::new();
    site.write("services/api/build.gradle", "");
    site.write("services/api/gradlew", "");
    site.write("src/build/tool.sh", "echo tool\n");
    site.commit("a project");
    let init = site.harness(&["init", "--yes"]);
    assert_eq!(init.code, Some(0), "{}", init.err);
    assert_eq!(
        site.read(".gitignore"),
        "/services/api/.gradle/\n/services/api/build/\n"
    );
    site.shell_config("verify: {commands: ['test -e src/build/tool.sh']}");
    site.shell("tool", "echo 'echo agent' > src/build/agent.sh\n");
    site.commit("specs");
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(site.read("src/build/agent.sh"), "echo agent\n");
}

#[test]
fn a_directory_with_tracked_files_is_named_and_not_ignored() {
    let site = Site::new();
    site.write("App.csproj", "");
    site.write("bin/tool.sh", "echo tool\n");
    site.write("web/package.json", r#"{"scripts": {"test": "x"}}"#);
    site.commit("a project");
    let init = site.harness(&["init", "--yes"]);
    assert_eq!(site.read(".gitignore"), "/obj/\n");
    assert!(
        init.out
            .contains("not added to .gitignore: /bin/, since bin/tool.sh is tracked"),
        "{}",
        init.out
    );
    // Of what may be at any depth, the place where it is certain to be made remains.
    let lines = lacking(&[
        ("package.json", "{}"),
        ("tests/data/node_modules/dep/index.js", ""),
    ]);
    assert_eq!(lines, ["/node_modules/"]);
}

#[test]
fn what_git_ignores_is_none_of_the_projects() {
    let site = Site::new();
    site.write(
        "package.json",
        r#"{"scripts": {"lint": "x", "test": "jest --watch"}}"#,
    );
    site.write(".gitignore", "package-lock.json\nMakefile\nout/\n/env/\n");
    site.commit("a project");
    // As a person's machine has them, and no other checkout.
    site.write("package-lock.json", "{}");
    site.write("Makefile", "test:\n\ttrue\n");
    site.write("out/app/Cargo.toml", "[package]\n");
    site.write("env/specs/a/spec.md", "# A\n");
    let dry = site.harness(&["init", "--dry-run"]);
    assert_eq!(dry.code, Some(0), "{}", dry.err);
    for (part, is_there) in [
        ("npm install --no-package-lock", true),
        ("\"npm run lint\"", true),
        (
            "+   # JavaScript (package.json, npm): the script `test` waits for changes and never ends",
            true,
        ),
        ("npm ci", false),
        ("make test", false),
        ("Rust", false),
        ("env/specs", false),
    ] {
        assert_eq!(dry.out.contains(part), is_there, "{part} in\n{}", dry.out);
    }
    // What is tracked is the project's, whatever the lines say.
    site.git(&["add", "-f", "Makefile"]);
    site.git(&["commit", "-qm", "after all"]);
    let dry = site.harness(&["init", "--dry-run"]);
    assert!(dry.out.contains("\"make test\""), "{}", dry.out);
    // Where there are no tests, the file says so, and reads well.
    let site = Site::new();
    site.write("pyproject.toml", "[tool.pytest]\n");
    site.write("uv.lock", "");
    site.write(".gitignore", "/env/\n");
    site.commit("a project");
    site.write("env/lib/test_x.py", "");
    let init = site.harness(&["init"]);
    assert_eq!(init.code, Some(0), "{}", init.err);
    let config = site.read("harness.yaml");
    assert!(
        config.contains("then add the command \"uv run pytest\".\n  commands: []"),
        "{config}"
    );
    assert_eq!(site.harness(&["config"]).code, Some(0));
}

#[test]
fn setting_up_leaves_nothing_that_would_be_committed() {
    let setup = |files: &[(&str, &str)]| {
        let site = Site::new();
        for (name, text) in files {
            site.write(name, text);
        }
        site.commit("a project");
        let init = site.harness(&["init", "--yes"]);
        assert_eq!(init.code, Some(0), "{}", init.err);
        let ignored = std::fs::read_to_string(site.repo.join(".gitignore")).unwrap_or_default();
        (site.read("harness.yaml"), ignored)
    };
    for (files, command, ignored) in [
        (("package.json", "{}"), "npm install --no-package-lock", ""),
        (
            ("package.json", r#"{"packageManager": "yarn@1.22.22"}"#),
            "yarn install --no-lockfile",
            "",
        ),
        (
            ("package.json", r#"{"packageManager": "yarn@4.1.0"}"#),
            "yarn install",
            "/yarn.lock\n",
        ),
        (
            ("setup.py", "# pytest\n"),
            "pip install -q -e .",
            "*.egg-info/\n",
        ),
        (("Gemfile", ""), "bundle install", "/Gemfile.lock\n"),
        (("mix.exs", ""), "mix deps.get", "/mix.lock\n"),
        (
            ("composer.json", "{}"),
            "composer install",
            "/composer.lock\n",
        ),
    ] {
        let (config, lines) = setup(&[files]);
        assert!(config.contains(command), "{files:?}: {config}");
        assert!(lines.contains(ignored), "{files:?}: {lines}");
    }
    // A lock that is there is the project's.
    let (_, lines) = setup(&[("Gemfile", ""), ("Gemfile.lock", "")]);
    assert_eq!(lines, "");
    let (_, lines) = setup(&[("mix.exs", ""), ("mix.lock", "")]);
    assert!(!lines.contains("mix.lock"), "{lines}");
}

#[test]
fn all_files_are_written_or_none() {
    let site = Site::new();
    site.write("package.json", "{}");
    // Not UTF-8 is no reason to leave it.
    std::fs::write(site.repo.join(".gitignore"), b"caf\xe9\n").unwrap();
    site.commit("a project");
    let init = site.harness(&["init", "--yes"]);
    assert_eq!(init.code, Some(0), "{}", init.err);
    let ignored = std::fs::read(site.repo.join(".gitignore")).unwrap();
    assert_eq!(ignored, b"caf\xe9\nnode_modules/\n");
    for (name, args) in [
        (".gitignore", &["init", "--yes"][..]),
        ("AGENTS.md", &["init", "--yes", "--instructions"][..]),
    ] {
        let site = Site::new();
        site.write("package.json", "{}");
        std::os::unix::fs::symlink("nowhere", site.repo.join(name)).unwrap();
        let before = everything(&site);
        let init = site.harness(args);
        assert_eq!(init.code, Some(2), "{}", init.out);
        let why = format!("cannot add to {name}: it is a link to nothing; nothing is written");
        assert!(init.err.contains(&why), "{}", init.err);
        assert!(!init.err.contains("state"), "{}", init.err);
        assert_eq!(everything(&site), before);
    }
    // A disk that is full: files may be made, and hold nothing.
    let site = Site::new();
    site.write("package.json", "{}");
    site.write(".gitignore", "here");
    let before = everything(&site);
    let harness = env!("CARGO_BIN_EXE_harness");
    let typed = format!("trap '' XFSZ; ulimit -f 0; exec {harness:?} init --yes --example");
    let init = site.sh(&site.repo, &typed);
    assert_eq!(init.code, Some(2), "{}", init.out);
    assert!(init.err.contains("; nothing is written"), "{}", init.err);
    assert_eq!(everything(&site), before);
    assert!(!site.repo.join("specs").exists());
    let site = Site::new();
    site.write("specs", "a file\n");
    let before = everything(&site);
    let init = site.harness(&["init", "--yes", "--example"]);
    assert_eq!(init.code, Some(2), "{}", init.out);
    assert!(
        init.err.contains("cannot write specs/say-hello/spec.md"),
        "{}",
        init.err
    );
    assert_eq!(everything(&site), before);
}

#[test]
fn the_configuration_is_written_where_it_is_said_to_be() {
    let site = Site::new();
    site.write("go.mod", "module x\n");
    site.commit("a project");
    let init = site.harness(&["--config", "other.yaml", "init"]);
    assert_eq!(init.code, Some(0), "{}", init.err);
    assert!(init.out.contains("wrote other.yaml\n"), "{}", init.out);
    assert!(site.read("other.yaml").contains("go test ./..."));
    assert!(!site.repo.join("harness.yaml").exists());
    // From a linked worktree it goes to the main checkout, and that is said.
    site.git(&["worktree", "add", "-q", "../linked"]);
    let init = site.harness_in(&site.path("linked"), &["init"]);
    assert_eq!(init.code, Some(0), "{}", init.err);
    let root = site.repo.canonicalize().unwrap();
    let said = format!(
        "this is a linked worktree; what counts is the main checkout, {}\n",
        root.display()
    );
    assert!(init.out.contains(&said), "{}", init.out);
    assert!(site.repo.join("harness.yaml").exists());
}
