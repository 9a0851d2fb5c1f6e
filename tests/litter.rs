//! What git commands of a killed run leave: found and named by `harness doctor`, cleared by `harness doctor --fix` and by
//! `harness run` alike where it is certain to be harness's, named and left where it is not. Nothing of the user's changes.

#![cfg(all(feature = "fake-agent", target_os = "linux"))]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use support::{Ran, Site, end, signal};

/// A repository in which a run with an agent at work was killed with all its processes, and the user is in the middle of
/// something.
struct Scene {
    site: Site,
    status: String,
}

/// Files of the user's: tracked, staged, untracked, ignored.
const MINE: [&str; 4] = ["edited", "staged", "untracked", "ignored"];

fn users(site: &Site) {
    for path in MINE {
        site.write(path, &format!("the user is in the middle of {path}\n"));
    }
    site.git(&["add", "staged"]);
}

fn features(site: &Site, blocked: &str) {
    site.shell_config("");
    for path in ["edited", "staged"] {
        site.write(path, "as it was\n");
    }
    site.write(".gitignore", "ignored\n");
    site.shell("a", &format!("{blocked}\necho a > a.txt"));
    site.shell("b", "echo b > b.txt");
}

impl Scene {
    /// Killed while the agent of `a` was at work; its next one is not held up.
    fn killed() -> Self {
        let site = Site::new();
        let began = site.path("began");
        let hold = format!(
            "if [ ! -e '{0}' ]; then echo half > half.txt; echo > '{0}'; exec tail -f /dev/null; fi",
            began.display()
        );
        features(&site, &hold);
        site.commit("specs");
        users(&site);
        let child = site.start(&["run", "--parallel", "1"]);
        site.await_file(&began);
        kill_all(child);
        let status = site.git(&["status", "--porcelain"]);
        Self { site, status }
    }

    fn git_dir(&self) -> PathBuf {
        self.site.repo.join(".git")
    }

    fn doctor(&self, args: &[&str]) -> Ran {
        self.site.harness(&[&["doctor"], args].concat())
    }

    fn assert_mine(&self) {
        for path in MINE {
            let text = format!("the user is in the middle of {path}\n");
            assert_eq!(self.site.read(path), text);
        }
        assert_eq!(self.site.git(&["status", "--porcelain"]), self.status);
    }

    /// Everything lands, and nothing is left.
    fn assert_lands(&self) -> Ran {
        let ran = self.site.harness(&["run", "--parallel", "1"]);
        assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
        assert_eq!(self.site.read("a.txt"), "a\n");
        assert_eq!(self.site.read("b.txt"), "b\n");
        assert_eq!(self.site.git(&["worktree", "list"]).lines().count(), 1);
        self.assert_mine();
        let healthy = self.doctor(&[]);
        assert_eq!(healthy.code, Some(0), "{}", healthy.out);
        ran
    }
}

/// Kills a child and everything below it, so that nothing of it can do anything more.
fn kill_all(mut child: Child) {
    signal(&child, "STOP");
    let mut doomed = vec![child.id()];
    let mut known = 0;
    // Until a look shows nobody new: who is stopped makes no more.
    while known < doomed.len() {
        known = doomed.len();
        for pid in below(&doomed) {
            let _ = Command::new("kill")
                .args(["-STOP", &pid.to_string()])
                .status();
            doomed.push(pid);
        }
    }
    for pid in doomed {
        assert!(pid > 1);
        let _ = Command::new("kill")
            .args(["-KILL", &pid.to_string()])
            .status();
        while Path::new(&format!("/proc/{pid}")).exists() && !is_dead(pid) {
            std::thread::yield_now();
        }
    }
    child.wait().unwrap();
}

fn stat(pid: u32) -> Option<(String, u32)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut rest = text.rsplit_once(')')?.1.split_whitespace();
    Some((rest.next()?.to_owned(), rest.next()?.parse().ok()?))
}

fn is_dead(pid: u32) -> bool {
    stat(pid).is_none_or(|(state, _)| state == "Z" || state == "X")
}

/// Children of these that are not among them.
fn below(pids: &[u32]) -> Vec<u32> {
    let all = fs::read_dir("/proc").unwrap().flatten();
    let all = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    all.filter(|pid| !pids.contains(pid))
        .filter(|pid| stat(*pid).is_some_and(|(_, parent)| pids.contains(&parent)))
        .collect()
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Everything that a killed command can leave and that is certain to be harness's: what it is, and how it gets there.
fn litter(scene: &Scene) -> Vec<(&'static str, PathBuf)> {
    let (site, git) = (&scene.site, scene.git_dir());
    let (admin, pool) = (git.join("worktrees/w1"), site.path("the repo.harness"));
    let link = |name: &str| format!("gitdir: {}\n", git.join("worktrees").join(name).display());
    let empty = [
        ("the index of a worktree", admin.join("index.lock")),
        ("the HEAD of a worktree", admin.join("HEAD.lock")),
        ("a submodule's index", admin.join("modules/sub/index.lock")),
        ("a copied index", admin.join("harness-index-98")),
        ("a copied index's lock", admin.join("harness-index-98.lock")),
        ("a draft of a loan", admin.join("harness-lent.new")),
        ("a branch", git.join("refs/heads/harness/a.lock")),
        ("a snapshot", git.join("refs/harness/iterations/a/1.lock")),
        ("a branch's log", git.join("logs/refs/heads/harness/a.lock")),
        ("the packed refs' draft", git.join("packed-refs.new")),
    ];
    for (_, path) in &empty {
        write(path, "");
    }
    let mut all = empty.to_vec();
    // A worktree being registered or forgotten, one being made, one whose name is gone already.
    let apart = git.join("harness-worktree");
    write(&apart.join("locked"), "initializing\n");
    let (made, gone) = (pool.join("w9"), pool.join("w8"));
    let named = git.join("worktrees/w9");
    write(&named.join("locked"), "initializing\n");
    write(
        &named.join("gitdir"),
        &format!("{}\n", made.join(".git").display()),
    );
    write(&named.join("commondir"), "../..\n");
    write(&named.join("HEAD"), &site.git(&["rev-parse", "HEAD"]));
    write(&gone.join(".git"), &link("w8"));
    fs::create_dir_all(&made).unwrap();
    // Something landed, and the target was about to follow.
    let tree = site.git(&["rev-parse", "HEAD^{tree}"]);
    let landed = site.git(&["commit-tree", tree.trim(), "-p", "HEAD", "-m", "landed"]);
    site.git(&["update-ref", "refs/harness/integration/main", landed.trim()]);
    let ahead = git.join("refs/harness/integration/main.lock");
    write(&ahead, "");
    write(&git.join("refs/heads/main.lock"), &landed);
    write(&git.join("HEAD.lock"), "");
    all.extend([
        ("the integration ref", ahead),
        ("a registration", apart),
        ("a worktree half made", made),
        ("a worktree half gone", gone),
        ("the target", git.join("refs/heads/main.lock")),
        ("HEAD", git.join("HEAD.lock")),
    ]);
    all
}

#[test]
fn a_run_clears_what_is_its_own_and_goes_on() {
    let scene = Scene::killed();
    let temporary = scene.site.path("harness-git-left");
    write(&temporary.join("config"), "");
    let litter = litter(&scene);
    let found = scene.doctor(&[]);
    assert_eq!(found.code, Some(1), "{}", found.out);
    for (what, path) in &litter {
        let path = path.display().to_string();
        let line = found
            .out
            .lines()
            .find(|line| line.contains(&format!("{path}:")));
        let line = line.unwrap_or_else(|| panic!("{what}: {}", found.out));
        assert!(line.starts_with("warning  litter: "), "{line}");
        assert!(Path::new(&path).exists(), "{what}: a look changes nothing");
    }
    let ran = scene.assert_lands();
    for (what, path) in &litter {
        let told = format!("removed {}: ", path.display());
        assert!(ran.err.contains(&told), "{what}: {}", ran.err);
        let may_be_made_anew = path.starts_with(scene.site.path("the repo.harness"));
        assert!(may_be_made_anew || !path.exists(), "{what}");
    }
    assert!(!temporary.exists());
    let lost = scene
        .site
        .git(&["for-each-ref", "--contains", "main", "refs/heads"]);
    assert_eq!(lost.lines().count(), 1, "{lost}");
}

#[test]
fn the_doctor_mends_it_alone() {
    let scene = Scene::killed();
    let litter = litter(&scene);
    let half = scene.site.path("the repo.harness/w1/half.txt");
    let mended = scene.doctor(&["--fix"]);
    assert_eq!(mended.code, Some(0), "{}", mended.out);
    for (what, path) in &litter {
        assert!(!path.exists(), "{what}");
        let told = format!("fixed    litter: removed {}: ", path.display());
        assert!(mended.out.contains(&told), "{what}: {}", mended.out);
    }
    assert_eq!(fs::read_to_string(half).unwrap(), "half\n", "work stays");
    scene.assert_mine();
    let json = scene.doctor(&["--json"]);
    assert_eq!(json.code, Some(0), "{}", json.out);
    let json: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(
        (&json["schema"], &json["version"]),
        (&"harness.doctor".into(), &1.into())
    );
    assert_eq!(json["healthy"], true);
    let names: Vec<&str> = json["checks"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|c| c["id"].as_str())
        .collect();
    for name in [
        "git",
        "journal",
        "processes",
        "litter",
        "locks",
        "checkout",
        "landed",
    ] {
        assert!(names.contains(&name), "{names:?}");
    }
    scene.assert_lands();
}

#[test]
fn locks_that_are_not_certain_to_be_ours_are_named_and_left() {
    let scene = Scene::killed();
    let git = scene.git_dir();
    let other = scene.site.git(&["rev-parse", "HEAD"]);
    let locks: BTreeMap<&str, &str> = [
        ("index.lock", ""),
        ("config.lock", "[core]\n"),
        ("packed-refs.lock", ""),
        ("packed-refs.new", "half"),
        ("refs/heads/main.lock", other.as_str()),
        ("refs/heads/theirs.lock", ""),
        ("HEAD.lock", ""),
    ]
    .into();
    for (name, text) in &locks {
        write(&git.join(name), text);
    }
    let assert_there = || {
        for (name, text) in &locks {
            assert_eq!(fs::read_to_string(git.join(name)).unwrap(), *text, "{name}");
        }
    };
    let named = locks.keys().filter(|name| **name != "packed-refs.new");
    let named: Vec<String> = named
        .map(|name| git.join(name).display().to_string())
        .collect();
    let found = scene.doctor(&["--fix"]);
    assert_eq!(found.code, Some(1), "{}", found.out);
    for name in &named {
        assert!(
            found
                .out
                .contains(&format!("warning  locks: {name} stands")),
            "{name}: {}",
            found.out
        );
        assert!(
            found.out.contains(&format!("rm '{name}'")),
            "{name}: {}",
            found.out
        );
    }
    assert_there();
    let ran = scene.site.harness(&["run", "--parallel", "1"]);
    assert_eq!(ran.code, Some(8), "{}{}", ran.out, ran.err);
    for name in &named {
        assert!(
            ran.err.contains(&format!("rm '{name}'")),
            "{name}: {}",
            ran.err
        );
    }
    assert_there();
    for name in locks.keys() {
        fs::remove_file(git.join(name)).unwrap();
    }
    // The index, which its owner would have written, is as it was.
    scene.assert_lands();
}

/// What an agent's own git leaves when it is killed with the agent is gone before the work is kept and before the next
/// iteration.
#[test]
fn an_agent_that_was_killed_with_its_git_does_not_hold_up_the_next() {
    let site = Site::new();
    features(
        &site,
        "dir=$(git rev-parse --git-dir); common=$(git rev-parse --git-common-dir)\n\
         if [ \"$HARNESS_ITERATION\" = 1 ]; then\n\
         echo first > first.txt; touch \"$dir/index.lock\" \"$dir/HEAD.lock\" \"$common/refs/heads/harness/a.lock\"; exit 1\n\
         fi\n\
         git -c user.name=A -c user.email=a@b commit -q --allow-empty -m second",
    );
    site.commit("specs");
    let ran = site.harness(&["run", "--parallel", "1"]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    assert_eq!(site.read("first.txt"), "first\n");
    assert!(site.git(&["log", "--format=%s", "main"]).contains("second"));
}

/// A site whose checkout of `m.slow` in the user's tree waits until it is let go.
fn slow() -> Scene {
    let site = Site::new();
    let (reached, fifo, filter) = (
        site.path("reached"),
        site.path("fifo"),
        site.path("bin/slow"),
    );
    write(
        &filter,
        &format!(
            "#!/bin/sh\nif [ \"$PWD\" = '{}' ] && [ -e '{2}' ]; then echo > '{1}'; read -r _ < '{2}'; fi\nexec cat\n",
            site.repo.display(),
            reached.display(),
            fifo.display()
        ),
    );
    for (program, args) in [
        ("chmod", vec!["755", filter.to_str().unwrap()]),
        ("mkfifo", vec![fifo.to_str().unwrap()]),
    ] {
        assert!(Command::new(program).args(args).status().unwrap().success());
    }
    site.git(&[
        "config",
        "filter.slow.smudge",
        &format!("'{}'", filter.display()),
    ]);
    site.git(&["config", "filter.slow.clean", "cat"]);
    features(
        &site,
        "echo new > first.txt; rm gone.txt; echo new > m.slow; echo new > z.txt",
    );
    for path in ["first.txt", "gone.txt", "z.txt"] {
        site.write(path, "as it was\n");
    }
    site.write(".gitattributes", "*.slow filter=slow\n");
    site.write("m.slow", "as it was\n");
    site.commit("specs");
    users(&site);
    let status = site.git(&["status", "--porcelain"]);
    Scene { site, status }
}

/// Runs until git is in the middle of the user's files.
fn in_the_middle(scene: &Scene) -> Child {
    let child = scene.site.start(&["run", "--parallel", "1", "--only", "a"]);
    scene.site.await_file(&scene.site.path("reached"));
    assert!(!scene.site.repo.join("gone.txt").exists());
    assert_eq!(scene.site.read("first.txt"), "new\n");
    assert!(scene.git_dir().join("index.lock").exists());
    child
}

#[test]
fn a_checkout_that_was_cut_off_with_git_and_all_is_put_right() {
    for by_doctor in [false, true] {
        let scene = slow();
        kill_all(in_the_middle(&scene));
        // Whoever reads these files from now on is not held up.
        fs::remove_file(scene.site.path("fifo")).unwrap();
        // A write that was cut off.
        fs::write(scene.site.repo.join("first.txt"), "ne\0").unwrap();
        let found = scene.doctor(&[]);
        assert_eq!(found.code, Some(1), "{}", found.out);
        assert!(
            found.out.contains("was cut off in the middle"),
            "{}",
            found.out
        );
        assert!(!found.out.contains("index.lock stands"), "{}", found.out);
        if by_doctor {
            let mended = scene.doctor(&["--fix"]);
            assert_eq!(mended.code, Some(0), "{}", mended.out);
            assert!(mended.out.contains("fixed    checkout: "), "{}", mended.out);
            scene.assert_mine();
            assert_eq!(scene.site.read("gone.txt"), "as it was\n");
        }
        scene.assert_lands();
        assert!(!scene.site.repo.join("gone.txt").exists());
        for path in ["first.txt", "m.slow", "z.txt"] {
            assert_eq!(scene.site.read(path), "new\n");
        }
    }
}

#[test]
fn what_the_user_wrote_into_a_checkout_that_was_cut_off_is_waited_for() {
    let scene = slow();
    kill_all(in_the_middle(&scene));
    fs::remove_file(scene.site.path("fifo")).unwrap();
    scene.site.write("first.txt", "rescued by hand\n");
    let ran = scene.site.harness(&["run", "--parallel", "1"]);
    assert_eq!(ran.code, Some(8), "{}{}", ran.out, ran.err);
    assert!(
        ran.err.contains("first.txt is left as it is"),
        "{}",
        ran.err
    );
    assert_eq!(scene.site.read("first.txt"), "rescued by hand\n");
    assert_eq!(scene.site.read("gone.txt"), "as it was\n");
    scene.site.git(&["checkout", "-q", "first.txt"]);
    scene.assert_lands();
}

#[test]
fn a_git_command_that_outlived_harness_comes_to_its_end_first() {
    let scene = slow();
    let mut child = in_the_middle(&scene);
    child.kill().unwrap();
    child.wait().unwrap();
    // It still holds what it works on, whoever asks.
    let found = scene.doctor(&[]);
    assert!(found.out.contains("still moves main to"), "{}", found.out);
    let next = scene.site.start(&["run", "--parallel", "1"]);
    let pid = next.id().to_string();
    scene.site.await_that("the next run's lock", || {
        scene.site.read(".harness/lock").contains(&pid)
    });
    assert!(scene.git_dir().join("index.lock").exists());
    fs::write(scene.site.path("fifo"), "go on\n").unwrap();
    fs::remove_file(scene.site.path("fifo")).unwrap();
    let ran = end(next);
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    assert_eq!(scene.site.read("m.slow"), "new\n");
    scene.assert_lands();
}
