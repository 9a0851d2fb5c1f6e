//! The user's checkout while features land: nothing in it is ever overwritten, and what is in the way is waited for
//! by name.

#![cfg(feature = "fake-agent")]

mod support;

use support::Site;

/// Features `a` (changes `shared.txt`, adds `new/file.txt`) and `b` (adds `b.txt`), not yet run.
fn site() -> Site {
    let site = Site::new();
    site.shell_config("");
    site.write("shared.txt", "base\n");
    site.write("other.txt", "base\n");
    site.write(".gitignore", "*.ignored\n");
    site.shell(
        "a",
        "echo theirs > shared.txt; mkdir new; echo theirs > new/file.txt; echo theirs > seen.ignored; \
         git add -f seen.ignored",
    );
    site.shell("b", "echo theirs > b.txt");
    site.spec("b", "after: a");
    site.commit("specs");
    site
}

/// Both land; nothing of `kept` changes, and `status` says what it waits for. After `clear` all is published.
fn waits(
    what: &str,
    prepare: impl Fn(&Site),
    kept: &[(&str, &str)],
    said: &str,
    clear: impl Fn(&Site),
) {
    let site = site();
    prepare(&site);
    let (head, status) = (
        site.git(&["rev-parse", "HEAD"]),
        site.git(&["status", "--porcelain"]),
    );
    let ran = site.harness(&["run", "--parallel", "2"]);
    assert_eq!(ran.code, Some(8), "{what}: {}", ran.err);
    assert!(
        ran.out.contains("not in main yet: a, b"),
        "{what}: {}",
        ran.out
    );
    let told = |line: &&str| line.contains("not published yet: ");
    let told: Vec<&str> = ran
        .err
        .lines()
        .filter(told)
        .map(|line| &line[9..])
        .collect();
    let tries = site.journal().into_iter();
    let tries = tries.filter(|event| event["event"] == "publish_waits");
    assert!(tries.count() > told.len(), "{what}: it is tried again");
    let mut once = told.clone();
    once.dedup();
    assert_eq!(told, once, "{what}");
    let shown = site.harness(&["status"]).out;
    assert!(shown.contains(said), "{what}: {shown}");
    for (file, text) in kept {
        assert_eq!(site.read(file), *text, "{what}: {file}");
    }
    assert_eq!(site.git(&["rev-parse", "HEAD"]), head, "{what}");
    assert_eq!(site.git(&["status", "--porcelain"]), status, "{what}");
    clear(&site);
    let ran = site.harness(&["run"]);
    assert_eq!(ran.code, Some(0), "{what}: {}", ran.err);
    assert_eq!(site.read("new/file.txt"), "theirs\n", "{what}");
    assert_eq!(site.read("b.txt"), "theirs\n", "{what}");
    let calls = site.journal().into_iter();
    let calls = calls.filter(|event| event["event"] == "iteration_started");
    assert_eq!(calls.count(), 2, "{what}: nobody was called again");
}

fn remove(site: &Site, name: &str) {
    std::fs::remove_file(site.repo.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
}

#[test]
fn files_in_the_way_are_waited_for() {
    waits(
        "an edit",
        |site| site.write("shared.txt", "mine\n"),
        &[("shared.txt", "mine\n")],
        "shared.txt",
        |site| drop(site.git(&["checkout", "-q", "shared.txt"])),
    );
    waits(
        "a staged edit",
        |site| {
            site.write("shared.txt", "mine\n");
            site.git(&["add", "shared.txt"]);
        },
        &[("shared.txt", "mine\n")],
        "shared.txt",
        |site| drop(site.git(&["reset", "-q", "--hard"])),
    );
    waits(
        "an untracked file",
        |site| site.write("new/file.txt", "mine\n"),
        &[("new/file.txt", "mine\n")],
        "new/file.txt",
        |site| remove(site, "new/file.txt"),
    );
    waits(
        "an ignored file",
        |site| site.write("seen.ignored", "mine\n"),
        &[("seen.ignored", "mine\n")],
        "seen.ignored",
        |site| remove(site, "seen.ignored"),
    );
    waits(
        "a file where a directory comes",
        |site| site.write("new", "mine\n"),
        &[("new", "mine\n")],
        "new",
        |site| remove(site, "new"),
    );
}

#[test]
fn operations_in_progress_are_waited_for() {
    let side = |site: &Site| {
        site.git(&["checkout", "-q", "-b", "side"]);
        site.write("other.txt", "side\n");
        site.commit("side");
        site.git(&["checkout", "-q", "main"]);
        site.write("other.txt", "main\n");
        site.commit("main");
    };
    let start = |site: &Site, args: &[&str]| {
        side(site);
        let mut git = std::process::Command::new("git");
        let who = ["-c", "user.name=Tess", "-c", "user.email=tess@example.org"];
        let ran = git.current_dir(&site.repo).args(who).args(args).output();
        assert!(
            !ran.is_ok_and(|ran| ran.status.success()),
            "{args:?} stops half-way"
        );
    };
    waits(
        "a merge",
        |site| start(site, &["merge", "side"]),
        &[],
        "a merge is in progress there",
        |site| drop(site.git(&["merge", "--abort"])),
    );
    waits(
        "a cherry-pick",
        |site| start(site, &["cherry-pick", "side"]),
        &[],
        "a cherry-pick is in progress there",
        |site| drop(site.git(&["cherry-pick", "--abort"])),
    );
    waits(
        "a revert",
        |site| {
            site.write("other.txt", "more\n");
            site.commit("more");
            start(site, &["revert", "--no-edit", "main~"]);
        },
        &[],
        "a revert is in progress there",
        |site| drop(site.git(&["revert", "--abort"])),
    );
    waits(
        "another git command",
        |site| site.write(".git/index.lock", ""),
        &[(".git/index.lock", "")],
        "index.lock",
        |site| remove(site, ".git/index.lock"),
    );
}

/// The target is being moved by a rebase or looked for by a bisect: HEAD is detached meanwhile.
#[test]
fn a_rebase_or_bisect_of_the_target_is_waited_for() {
    for (start, said, end) in [
        (
            vec!["bisect", "start", "main", "main~1"],
            "a bisect is in progress there",
            vec!["bisect", "reset"],
        ),
        (
            vec![
                "-c",
                "sequence.editor=sed -i s/^pick/edit/",
                "rebase",
                "-q",
                "-i",
                "main~1",
            ],
            "a rebase is in progress there",
            vec!["rebase", "--abort"],
        ),
    ] {
        let site = site();
        site.write(
            "harness.yaml",
            &format!("target: main\n{}", site.read("harness.yaml")),
        );
        site.commit("name the target");
        site.git(&start);
        let head = site.git(&["rev-parse", "HEAD", "main"]);
        let ran = site.harness(&["run", "--parallel", "2"]);
        assert_eq!(ran.code, Some(8), "{start:?}: {}", ran.err);
        let shown = site.harness(&["status"]).out;
        assert!(shown.contains(said), "{start:?}: {shown}");
        assert_eq!(site.git(&["rev-parse", "HEAD", "main"]), head);
        site.git(&end);
        let ran = site.harness(&["run"]);
        assert_eq!(ran.code, Some(0), "{start:?}: {}", ran.err);
        assert_eq!(site.read("b.txt"), "theirs\n");
    }
}

#[test]
fn what_is_not_in_the_way_stays_and_nothing_is_waited_for() {
    let site = site();
    site.write("other.txt", "in the middle of it\n");
    site.write("staged.txt", "staged\n");
    site.git(&["add", "staged.txt"]);
    site.write("untracked.txt", "mine\n");
    site.write("mine.ignored", "mine\n");
    site.git(&["stash", "push", "-q", "--", "staged.txt"]);
    site.write("staged.txt", "staged again\n");
    site.git(&["add", "staged.txt"]);
    let (status, stash) = (
        site.git(&["status", "--porcelain", "--ignored"]),
        site.git(&["rev-parse", "stash@{0}"]),
    );
    let ran = site.harness(&["run", "--parallel", "2"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(site.read("shared.txt"), "theirs\n");
    assert_eq!(site.read("b.txt"), "theirs\n");
    for (file, text) in [
        ("other.txt", "in the middle of it\n"),
        ("staged.txt", "staged again\n"),
        ("untracked.txt", "mine\n"),
        ("mine.ignored", "mine\n"),
    ] {
        assert_eq!(site.read(file), text);
    }
    let now = site.git(&["status", "--porcelain", "--ignored"]);
    let now: Vec<&str> = now
        .lines()
        .filter(|line| !line.contains(".harness"))
        .collect();
    assert_eq!(now, status.lines().collect::<Vec<_>>());
    assert_eq!(site.git(&["rev-parse", "stash@{0}"]), stash);
}
