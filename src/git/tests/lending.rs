//! Git directories that are lent: what an agent's git does in one reaches the repository only by being taken home,
//! whatever it did, and whenever harness was killed.

use super::handback::{BOTH, Bench, Clash};
use super::*;
use crate::git::{Laid, Lent};
use crate::model::{Isolation, MergeVerdict};

const BOTH_KINDS: [Isolation; 2] = [Isolation::Worktree, Isolation::Clone];

/// A feature with one commit, at work in a lent git directory.
struct Loan {
    f: Fixture,
    pool: Worktrees,
    p: Prepared,
    lent: Lent,
}

impl Loan {
    fn new(isolation: Isolation) -> Self {
        let f = Fixture::new();
        let pool = f.pool();
        f.feature(&pool, "one", "one.txt", "1\n");
        let p = f.prepare(&pool, "one", W1);
        let lent = pool.lend(W1, &slug("one"), isolation, true).unwrap();
        Self { f, pool, p, lent }
    }

    /// As the agent.
    fn git(&self, args: &[&str]) -> String {
        self.f.git(&self.p.path, args)
    }

    fn put(&self, name: &str, text: &str) {
        put(&self.p.path, name, text);
    }

    fn commit(&self, name: &str) -> Oid {
        self.put(name, &format!("{name}\n"));
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", name]);
        self.at("HEAD")
    }

    /// Runs `sh` in the lent git directory.
    fn sh(&self, script: &str) {
        let mut command = Command::new("sh");
        command.args(["-ec", script]).current_dir(self.dir());
        let ran = command.env_clear().envs(env(self.f.home())).status();
        assert!(ran.unwrap().success(), "{script}");
    }

    /// What a revision is to the agent.
    fn at(&self, revision: &str) -> Oid {
        Oid::parse(&self.git(&["rev-parse", revision])).unwrap()
    }

    /// The lent git directory.
    fn dir(&self) -> &Path {
        &self.lent.writable[0]
    }

    fn admin(&self) -> &Path {
        self.dir().parent().unwrap()
    }

    fn branch(&self) -> Oid {
        self.f.oid("refs/heads/harness/one")
    }

    fn home(&self) -> Vec<String> {
        self.pool.take_home(W1).unwrap()
    }

    /// Taken home, and kept as the next iteration would find it.
    fn snapshot(&self) -> Snapshot {
        self.f.snapshot(&self.p, "one", 2)
    }

    fn lost(&self) -> Vec<String> {
        self.f.refs("refs/harness/lost")
    }
}

#[test]
fn what_is_committed_comes_home_and_nothing_else_changes_before() {
    for isolation in BOTH_KINDS {
        let l = Loan::new(isolation);
        let ours = |path: &PathBuf| !path.starts_with(l.admin());
        let state = |f: &Fixture| {
            let mut all = match isolation {
                Isolation::Worktree => f.all_but_objects(),
                Isolation::Clone => f.everything(),
            };
            all.retain(|path, _| ours(path));
            all
        };
        let before = state(&l.f);
        assert_eq!(l.git(&["status", "--porcelain"]), "");
        assert_eq!(l.git(&["log", "--format=%s", "main"]), "first");
        l.commit("two.txt");
        l.git(&["commit", "-q", "--amend", "-m", "two, amended"]);
        l.put("three.txt", "staged\n");
        l.git(&["add", "three.txt"]);
        l.put("four.txt", "not even staged\n");
        let tip = l.at("HEAD");
        assert!(before == state(&l.f), "{isolation:?}");
        assert_ne!(l.branch(), tip);
        assert_eq!(l.home(), [""; 0]);
        assert_eq!(l.branch(), tip);
        assert_eq!(
            l.git(&["status", "--porcelain"]),
            "A  three.txt\n?? four.txt"
        );
        assert!(
            !l.git(&["rev-parse", "--absolute-git-dir"])
                .contains("harness-git")
        );
        let kept = l.snapshot();
        assert_eq!(
            l.f.show("harness/one", "four.txt").as_deref(),
            Some("not even staged")
        );
        assert!(l.pool.repo.descends(&kept.tip, &tip).unwrap());
        assert_eq!(l.lost(), [""; 0]);
        l.f.fsck();
    }
}

#[test]
fn a_worktree_that_shares_objects_can_be_left_as_git_makes_it() {
    let f = Fixture::new();
    let pool = f.pool();
    let p = f.prepare(&pool, "one", W1);
    let lent = pool.lend(W1, &slug("one"), Isolation::Worktree, false);
    assert_eq!(lent.unwrap(), Lent::default());
    put(&p.path, "one.txt", "1\n");
    f.git(&p.path, &["add", "-A"]);
    f.git(&p.path, &["commit", "-q", "-m", "one"]);
    assert_eq!(
        f.git(&p.path, &["rev-parse", "HEAD"]),
        f.oid("harness/one").to_string()
    );
    assert_eq!(pool.take_home(W1).unwrap(), [""; 0]);
    assert!(pool.lend(W1, &slug("two"), Isolation::Clone, true).is_err());
}

#[test]
fn everything_agents_do_with_git_works_and_is_kept() {
    for isolation in BOTH_KINDS {
        let l = Loan::new(isolation);
        l.f.git(&l.f.root, &["config", "stash.theirs", "true"]);
        l.commit("base.txt");
        // A stash, and a second one that is taken back.
        l.put("base.txt", "stashed\n");
        l.git(&["stash"]);
        l.put("base.txt", "for a moment\n");
        l.git(&["stash"]);
        l.git(&["stash", "pop", "-q"]);
        l.git(&["checkout", "-q", "base.txt"]);
        // Branches that are rebased, picked from, merged, deleted.
        l.git(&["checkout", "-q", "-b", "side", "HEAD~1"]);
        let side = l.commit("side.txt");
        l.git(&["checkout", "-q", "harness/one"]);
        l.git(&["cherry-pick", "side"]);
        l.git(&["checkout", "-q", "-b", "more", "HEAD~1"]);
        l.commit("more.txt");
        l.git(&["rebase", "-q", "harness/one"]);
        l.git(&["checkout", "-q", "harness/one"]);
        l.git(&["merge", "-q", "--no-ff", "-m", "merge more", "more"]);
        l.git(&["branch", "-q", "-D", "more"]);
        l.git(&["tag", "-a", "-m", "here", "v1"]);
        l.git(&["tag", "same", "main"]);
        l.git(&["worktree", "add", "-q", "--detach", "../elsewhere", "side"]);
        l.git(&["config", "core.fsmonitor", "/does/not/exist"]);
        l.git(&["config", "--unset", "core.fsmonitor"]);
        let notes = l.home();
        let short = side.short();
        assert!(
            notes.iter().any(|note| note
                == &format!(
                    "side, which it made or moved, is kept as refs/harness/lost/one-{short}"
                )),
            "{notes:?}"
        );
        assert_eq!(
            notes.iter().filter(|note| note.contains("stashed")).count(),
            1,
            "{notes:?}"
        );
        assert_eq!(l.lost().len(), 2);
        let stash = l.lost().into_iter().find(|name| !name.ends_with(short));
        assert_eq!(
            l.f.show(&stash.unwrap(), "base.txt").as_deref(),
            Some("stashed")
        );
        assert_eq!(
            l.f.refs("refs/heads"),
            ["refs/heads/harness/one", "refs/heads/main"]
        );
        assert_eq!(l.f.refs("refs/tags"), [""; 0]);
        for name in ["base.txt", "side.txt", "more.txt"] {
            assert!(l.f.show("harness/one", name).is_some(), "{name}");
        }
        l.snapshot();
        l.f.fsck();
    }
}

#[test]
fn work_elsewhere_than_on_the_branch_reaches_it() {
    for isolation in BOTH_KINDS {
        // Detached, on another branch, on the target's name, on a renamed branch.
        for way in ["--detach", "-b else", "main", "rename"] {
            let l = Loan::new(isolation);
            let args: Vec<&str> = match way {
                "rename" => vec!["branch", "-m", "renamed"],
                way => ["checkout", "-q"]
                    .into_iter()
                    .chain(way.split(' '))
                    .collect(),
            };
            l.git(&args);
            let made = l.commit("new.txt");
            let main = l.f.oid("main");
            let notes = l.home();
            assert_eq!(notes.is_empty(), way != "rename", "{way}: {notes:?}");
            assert_eq!(l.at("HEAD"), made, "{way}");
            l.snapshot();
            assert_eq!(l.f.oid("main"), main);
            for name in ["one.txt", "new.txt"] {
                assert!(l.f.show("harness/one", name).is_some(), "{way}: {name}");
            }
        }
        // Back to an earlier commit, which is where the branch then is.
        let l = Loan::new(isolation);
        l.git(&["reset", "-q", "--hard", "HEAD~1"]);
        let back = l.at("HEAD");
        assert_eq!(l.home(), [""; 0]);
        assert_eq!(l.branch(), back);
    }
}

#[test]
fn an_unfinished_operation_comes_home_as_it_is() {
    for isolation in BOTH_KINDS {
        let l = Loan::new(isolation);
        l.git(&["checkout", "-q", "-b", "side", "main"]);
        l.put("one.txt", "another\n");
        l.git(&["add", "-A"]);
        l.git(&["commit", "-q", "-m", "another"]);
        l.put("b.txt", "put aside\n");
        assert!(
            !l.f.try_git(&l.p.path, &["rebase", "--autostash", "harness/one"])
                .0
        );
        l.home();
        assert!(l.admin().join("rebase-merge").is_dir());
        assert!(l.git(&["status"]).contains("rebase in progress"));
        let repo = l.f.repo();
        assert!(repo.unfinished(&l.p.path).unwrap().is_some());
        // The next agent goes on with it, as after a crash.
        l.pool.lend(W1, &slug("one"), isolation, true).unwrap();
        assert!(l.git(&["status"]).contains("rebase in progress"));
        let aside = l.at("HEAD");
        l.snapshot();
        assert!(l.pool.repo.descends(&l.branch(), &aside).unwrap());
        let is_stash = |name: &String| l.f.show(name, "b.txt").as_deref() == Some("put aside");
        assert!(l.lost().iter().any(is_stash), "{:?}", l.lost());
    }
}

#[test]
fn killed_between_any_two_steps_nothing_is_lost_or_done_twice() {
    for isolation in BOTH_KINDS {
        let begin = || {
            let l = Loan::new(isolation);
            let made = l.commit("two.txt");
            l.git(&["branch", "aside", "HEAD~1"]);
            l.git(&["checkout", "-q", "aside"]);
            let aside = l.commit("aside.txt");
            l.git(&["checkout", "-q", "harness/one"]);
            l.put("loose.txt", "loose\n");
            (l, made, aside)
        };
        let sound = |l: &Loan, made: &Oid, aside: &Oid| {
            assert!(l.pool.repo.descends(&l.branch(), made).unwrap());
            let lost = l.f.refs("refs/harness/lost/one-*");
            assert_eq!(lost, [format!("refs/harness/lost/one-{}", aside.short())]);
            assert_eq!(l.f.oid(&lost[0]), *aside);
        };
        // Before anything was taken home: whoever looks at the worktree next does it first.
        let (l, made, aside) = begin();
        let again = l.f.prepare(&l.f.pool(), "one", W1);
        assert!(again.resumed);
        assert_eq!(again.tip, made);
        assert_eq!(again.notes.len(), 1);
        assert_eq!(get(&l.p.path, "loose.txt").as_deref(), Some("loose\n"));
        sound(&l, &made, &aside);
        let (l, made, aside) = begin();
        let again = l.f.prepare(&l.f.pool(), "one", W2);
        assert_eq!(get(&again.path, "two.txt").as_deref(), Some("two.txt\n"));
        sound(&l, &made, &aside);
        let (l, made, aside) = begin();
        l.f.prepare(&l.f.pool(), "two", W1);
        assert!(l.pool.repo.descends(&l.branch(), &made).unwrap());
        assert!(l.lost().iter().any(|name| l.f.oid(name) == aside));
        let (l, made, aside) = begin();
        let cleaned = l.f.pool().clean(MAIN, false).unwrap();
        assert_eq!(cleaned.kept_branches.len(), 1);
        assert_eq!(l.branch(), made);
        assert!(l.lost().iter().any(|name| l.f.oid(name) == aside));
        // After every step of taking home.
        let (l, made, aside) = begin();
        let record = fs::read(l.admin().join("harness-lent")).unwrap();
        let index = fs::read(l.admin().join("index")).unwrap();
        l.home();
        sound(&l, &made, &aside);
        fs::write(l.admin().join("harness-lent"), record).unwrap();
        l.f.git(&l.f.root, &["update-ref", "-d", &l.lost()[0]]);
        fs::write(l.admin().join("index"), index).unwrap();
        fs::write(l.admin().join("HEAD"), "").unwrap();
        fs::write(l.p.path.join(".git"), "").unwrap();
        l.home();
        sound(&l, &made, &aside);
        assert_eq!(l.git(&["status", "--porcelain"]), "?? loose.txt");
        // Half lent: the directory is there, and not on record; or on record, and git does not look there yet.
        let l = Loan::new(isolation);
        fs::remove_file(l.admin().join("harness-lent")).unwrap();
        fs::remove_dir_all(l.dir().join("refs")).unwrap();
        assert_eq!(l.home(), [""; 0]);
        l.pool.lend(W1, &slug("one"), isolation, true).unwrap();
        fs::write(
            l.p.path.join(".git"),
            format!("gitdir: {}\n", l.admin().display()),
        )
        .unwrap();
        assert_eq!(l.home(), [""; 0]);
        assert_eq!(l.git(&["status", "--porcelain"]), "");
        l.snapshot();
    }
}

/// What an agent does to refs, in `sh` at the top of its git directory, and what is told of it.
const SPOILT: [(&str, &str); 12] = [
    ("echo garbage > refs/heads/harness/one", "held no commit"),
    (
        "printf '12%.0s' 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 > refs/heads/harness/one",
        "held no commit",
    ),
    (
        "ln -sf ../../../HEAD refs/heads/harness/one",
        "held no commit",
    ),
    (
        "git rev-parse HEAD^{tree} > t; mv t refs/heads/harness/one",
        "held no commit",
    ),
    (
        "head -c 1000000 /dev/zero > refs/heads/harness/one",
        "held no commit",
    ),
    (
        "git update-ref -d refs/heads/harness/one",
        "deleted or renamed",
    ),
    (
        "git update-ref -d refs/heads/harness/one; mkdir -p refs/heads/harness/one/deep",
        "deleted or renamed",
    ),
    (
        "rm -r refs packed-refs; ln -s ../../../refs refs",
        "deleted or renamed",
    ),
    ("rm HEAD", "HEAD named no commit"),
    ("echo 'ref: ../../x' > HEAD", "HEAD named no commit"),
    ("rm -rf \"$PWD\"", "is gone"),
    ("rm -rf \"$PWD\"; ln -s ../.. \"$PWD\"", "is gone"),
];

#[test]
fn what_cannot_be_understood_is_told_and_the_files_are_kept() {
    for isolation in BOTH_KINDS {
        // How refs are read does not depend on where objects are.
        let some = if isolation == Isolation::Clone {
            2
        } else {
            SPOILT.len()
        };
        for (spoil, told) in &SPOILT[..some] {
            let l = Loan::new(isolation);
            let before = l.branch();
            l.commit("two.txt");
            l.sh(spoil);
            let notes = l.home();
            assert!(
                notes.iter().any(|note| note.contains(told)),
                "{spoil}: {notes:?}"
            );
            let kept = l.snapshot();
            assert!(l.pool.repo.descends(&kept.tip, &before).unwrap(), "{spoil}");
            let two = l.f.show("harness/one", "two.txt");
            assert_eq!(two.as_deref(), Some("two.txt"), "{spoil}");
            // And it goes on.
            l.pool.lend(W1, &slug("one"), isolation, true).unwrap();
            let made = l.commit("three.txt");
            assert_eq!(l.home(), [""; 0], "{spoil}");
            assert_eq!(l.branch(), made, "{spoil}");
        }
    }
}

#[test]
fn what_is_no_index_is_not_used() {
    for isolation in BOTH_KINDS {
        for spoil in [
            "rm index",
            "echo garbage > index",
            "rm index; mkfifo index",
            "ln -sf /dev/zero index",
            "rm index; mkdir index",
        ] {
            let l = Loan::new(isolation);
            let made = l.commit("two.txt");
            l.put("three.txt", "three\n");
            l.sh(spoil);
            l.home();
            assert_eq!(l.branch(), made, "{spoil}");
            l.snapshot();
            assert!(l.f.show("harness/one", "three.txt").is_some(), "{spoil}");
        }
    }
}

#[test]
fn objects_that_are_elsewhere_are_not_the_agents_to_bring() {
    let elsewhere = Fixture::new();
    elsewhere.write("secret.txt", "secret\n");
    let secret = elsewhere.commit("secret");
    let store = elsewhere.root.join(".git/objects");
    for spoil in [
        "rm -r objects; ln -s \"$STORE\" objects",
        "echo \"$STORE\" > objects/info/alternates",
        "ln -s \"$STORE/$DIR\" objects; rm -r objects/info; ln -s \"$STORE/info\" objects/info",
        "mkfifo objects/pack/pack-1.idx",
    ] {
        let l = Loan::new(Isolation::Clone);
        let (dir, store) = (&secret.as_str()[..2], &store);
        l.sh(&format!("STORE='{}'; DIR={dir}; {spoil}", store.display()));
        put(l.dir(), "refs/heads/harness/one", secret.as_str());
        let notes = l.home();
        let told = notes.iter().any(|note| note.contains("held no commit"));
        assert!(told, "{spoil}: {notes:?}");
        assert!(!l.pool.repo.is_commit(&secret).unwrap(), "{spoil}");
        assert!(!store.join("info/alternates").exists());
        l.put("two.txt", "two\n");
        l.snapshot();
        l.pool
            .lend(W1, &slug("one"), Isolation::Clone, true)
            .unwrap();
        let made = l.commit("three.txt");
        assert_eq!(l.home(), [""; 0], "{spoil}");
        assert_eq!(l.branch(), made, "{spoil}");
    }
}

#[test]
fn objects_are_what_their_names_say_or_do_not_come_home() {
    let l = Loan::new(Isolation::Clone);
    let before = l.branch();
    let other = l.commit("two.txt");
    l.git(&["commit", "-q", "--amend", "-m", "evil"]);
    let evil = l.at("HEAD");
    // Under the name of the one stands the other.
    let file = |oid: &Oid| {
        let (dir, rest) = oid.as_str().split_at(2);
        l.dir().join("objects").join(dir).join(rest)
    };
    fs::remove_file(file(&other)).unwrap();
    fs::rename(file(&evil), file(&other)).unwrap();
    fs::write(l.dir().join("refs/heads/harness/one"), other.as_str()).unwrap();
    let notes = l.home();
    assert!(!notes.is_empty(), "{notes:?}");
    assert_eq!(l.branch(), before);
    // A commit whose files are not there.
    let l = Loan::new(Isolation::Clone);
    l.put("two.txt", "two\n");
    l.git(&["add", "-A"]);
    l.git(&["commit", "-q", "-m", "two"]);
    let blob = l.at("HEAD:two.txt");
    let (dir, rest) = blob.as_str().split_at(2);
    fs::remove_file(l.dir().join("objects").join(dir).join(rest)).unwrap();
    let before = l.branch();
    let notes = l.home();
    assert!(
        notes
            .iter()
            .any(|note| note.contains("its commits stay in")),
        "{notes:?}"
    );
    assert_eq!(l.branch(), before);
    l.snapshot();
    assert_eq!(l.f.show("harness/one", "two.txt").as_deref(), Some("two"));
    l.f.fsck();
}

#[test]
fn many_objects_and_packed_ones_come_home_too() {
    let l = Loan::new(Isolation::Clone);
    for n in 0..150 {
        l.put(&format!("many/{n}.txt"), &format!("{n}\n"));
    }
    let many = l.commit("many.txt");
    l.git(&["gc", "-q", "--prune=now"]);
    l.git(&["pack-refs", "--all"]);
    assert_eq!(l.home(), [""; 0]);
    assert_eq!(l.branch(), many);
    l.f.fsck();
    // What was brought is found again, and what it is told of is there.
    l.pool
        .lend(W1, &slug("one"), Isolation::Clone, true)
        .unwrap();
    assert!(l.git(&["reflog"]).contains("many.txt"));
    assert_eq!(l.git(&["fsck", "--no-dangling"]), "");
    l.home();
    // Of another feature nothing is left.
    l.f.prepare(&l.pool, "two", W1);
    let lent = l
        .pool
        .lend(W1, &slug("two"), Isolation::Clone, true)
        .unwrap();
    assert_eq!(lent.writable[0], l.dir());
    assert!(!l.dir().join("logs").exists());
}

#[test]
fn sweeping_up_takes_nothing_of_others() {
    for isolation in BOTH_KINDS {
        let l = Loan::new(isolation);
        // Commits that no ref of the agent's knows of.
        let theirs =
            l.f.branch("theirs", "main", |root| put(root, "theirs.txt", "theirs\n"));
        for sweep in [
            &["gc", "-q", "--prune=now"][..],
            &["prune"],
            &["repack", "-q", "-a", "-d"],
        ] {
            // It may refuse.
            l.f.try_git(&l.p.path, sweep);
        }
        l.home();
        assert_eq!(l.f.oid("theirs"), theirs);
        l.f.fsck();
    }
}

#[test]
fn settings_hooks_and_the_stash_are_everyones_own() {
    for isolation in BOTH_KINDS {
        let f = Fixture::new();
        let url = "https://me:secret@example.com/x.git";
        for (key, value) in [
            ("user.name", "Set Here"),
            ("remote.origin.url", url),
            (
                "http.https://example.com/.extraheader",
                "AUTHORIZATION: secret",
            ),
            ("alias.mine", "status"),
        ] {
            f.git(&f.root, &["config", key, value]);
        }
        let hook = f.root.join(".git/hooks/pre-commit");
        let script = "#!/bin/sh\necho run >> \"$(git rev-parse --show-toplevel)/hook.ignored\"\n";
        put(&f.root, ".git/hooks/pre-commit", script);
        fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
        f.write("b.txt", "the user's stash\n");
        f.git(&f.root, &["stash", "-q"]);
        let stash = f.oid("refs/stash");
        let pool = f.pool();
        let p = f.prepare(&pool, "one", W1);
        pool.lend(W1, &slug("one"), isolation, true).unwrap();
        // What the user has set up holds.
        assert_eq!(f.git(&p.path, &["config", "user.name"]), "Set Here");
        assert_eq!(f.git(&p.path, &["mine", "--porcelain"]), "");
        let is_clone = isolation == Isolation::Clone;
        let all = f.git(&p.path, &["config", "--list"]);
        assert_eq!(all.contains("secret"), !is_clone);
        assert!(all.contains("remote.origin.url=https://"));
        assert_eq!(f.git(&p.path, &["stash", "list"]), "");
        // What the agent sets up is its own.
        f.git(&p.path, &["config", "core.hooksPath", "elsewhere"]);
        f.git(&p.path, &["config", "--unset", "core.hooksPath"]);
        put(&p.path, "one.txt", "1\n");
        f.git(&p.path, &["add", "-A"]);
        f.git(&p.path, &["commit", "-q", "-m", "one"]);
        assert_eq!(get(&p.path, "hook.ignored").as_deref(), Some("run\n"));
        put(&p.path, "one.txt", "2\n");
        f.git(&p.path, &["stash", "-q"]);
        f.git(&p.path, &["config", "filter.evil.clean", "touch evil"]);
        assert_eq!(pool.take_home(W1).unwrap().len(), 1);
        assert_eq!(f.oid("refs/stash"), stash);
        assert!(!f.try_git(&f.root, &["config", "filter.evil.clean"]).0);
        assert!(f.repo().planted().unwrap().is_empty());
    }
}

#[test]
fn what_is_planted_is_never_run() {
    for isolation in BOTH_KINDS {
        let l = Loan::new(isolation);
        let canary = l.f.home().join("canary");
        let trap = l.f.home().join("trap");
        put(
            l.f.home(),
            "trap",
            &format!("#!/bin/sh\ntouch '{}'\ncat\n", canary.display()),
        );
        fs::set_permissions(&trap, fs::Permissions::from_mode(0o755)).unwrap();
        l.commit("two.txt");
        let trap = trap.display();
        let planted = format!(
            "[core]\n\tfsmonitor = {trap}\n\thooksPath = {0}\n\talternateRefsCommand = {trap}\n\tsshCommand = {trap}\n\
             [filter \"evil\"]\n\tclean = {trap}\n\tsmudge = {trap}\n\tprocess = {trap}\n\
             [merge \"evil\"]\n\tdriver = {trap}\n[diff]\n\texternal = {trap}\n[extensions]\n\tpartialClone = evil\n\
             [remote \"evil\"]\n\tpromisor = true\n\turl = ext::{trap}\n[uploadpack]\n\tpackObjectsHook = {trap}\n",
            l.dir().join("hooks").display()
        );
        put(l.dir(), "config", &planted);
        for hook in [
            "reference-transaction",
            "post-checkout",
            "post-index-change",
            "pre-auto-gc",
        ] {
            let at = l.dir().join("hooks").join(hook);
            fs::copy(l.f.home().join("trap"), at).unwrap();
        }
        put(
            l.dir(),
            "info/attributes",
            "* filter=evil merge=evil diff=evil\n",
        );
        l.put(".gitattributes", "* filter=evil merge=evil\n");
        l.put("three.txt", "three\n");
        l.home();
        l.snapshot();
        l.f.prepare(&l.pool, "one", W1);
        assert!(!canary.exists());
        assert_eq!(
            l.f.show("harness/one", "three.txt").as_deref(),
            Some("three")
        );
    }
}

#[test]
fn a_conflict_is_resolved_in_it() {
    for isolation in BOTH_KINDS {
        for commits in [false, true] {
            let mut b = Bench::new(Clash::Text);
            let lend = |b: &Bench| b.pool.lend(W1, &slug("one"), isolation, true).unwrap();
            lend(&b);
            assert!(b.git(&["status"]).contains("You have unmerged paths"));
            assert!(
                b.git(&["log", "-1", "--format=%s", "MERGE_HEAD"])
                    .contains("landed")
            );
            // Lost half way, it is found as it was left.
            b.put("a.txt", BOTH);
            b.git(&["add", "a.txt"]);
            assert!(matches!(b.lay_again(), Laid::Conflicted { .. }));
            lend(&b);
            assert_eq!(
                b.git(&["diff", "--name-only", "--diff-filter=U"]),
                "two.txt"
            );
            b.put("two.txt", BOTH);
            if commits {
                b.git(&["add", "-A"]);
                b.git(&["commit", "-q", "--no-edit"]);
            }
            let taken = b.take(2, false);
            assert_eq!(
                taken.merge,
                Some(MergeVerdict::Resolved),
                "{isolation:?} {taken:?}"
            );
            assert!(b.pool.repo.descends(&taken.tip, &b.onto).unwrap());
        }
    }
}

#[test]
fn a_branch_that_somebody_else_moved_stays_there_and_the_work_joins_it() {
    for isolation in BOTH_KINDS {
        let l = Loan::new(isolation);
        let theirs = l.f.branch("theirs", "harness/one", |root| {
            put(root, "theirs.txt", "theirs\n");
        });
        l.f.git(
            &l.f.root,
            &["update-ref", "refs/heads/harness/one", theirs.as_str()],
        );
        let made = l.commit("two.txt");
        let notes = l.home();
        assert!(notes[0].contains("somebody else"), "{notes:?}");
        assert_eq!(l.branch(), theirs);
        l.snapshot();
        for tip in [&theirs, &made] {
            assert!(l.pool.repo.descends(&l.branch(), tip).unwrap());
        }
    }
}

#[test]
fn commits_outlive_the_worktree() {
    for isolation in BOTH_KINDS {
        // Taken home at once, or by whoever makes the worktree anew.
        for told in [true, false] {
            let l = Loan::new(isolation);
            let made = l.commit("two.txt");
            l.put("two.txt", "staged");
            l.git(&["add", "two.txt"]);
            fs::remove_dir_all(&l.p.path).unwrap();
            if told {
                assert_eq!(l.home(), [""; 0]);
                assert_eq!(l.branch(), made);
            }
            let again = l.f.prepare(&l.pool, "one", W1);
            assert!(!again.recycled);
            assert_eq!(again.tip, made);
            assert_eq!(get(&again.path, "two.txt").as_deref(), Some("two.txt\n"));
        }
    }
}

#[test]
fn it_is_found_from_inside_and_restored_from_outside() {
    for isolation in BOTH_KINDS {
        let l = Loan::new(isolation);
        let first = l.branch();
        let made = l.commit("two.txt");
        let found = Repo::discover_with(&l.p.path, env(l.f.home())).unwrap();
        assert_eq!(found.root(), l.f.root);
        assert_eq!(found.git_dir(), l.f.root.join(".git"));
        assert!(found.is_entered_by_link());
        // Harness was killed, and a person puts the branch back.
        let old = l.f.pool().restore_branch(&slug("one"), &first).unwrap();
        assert_eq!(l.f.oid(&old.unwrap()), made);
        assert_eq!(l.branch(), first);
    }
}

#[test]
fn files_that_git_lfs_keeps_stay_where_they_are_found() {
    let f = Fixture::new();
    f.git(&f.root, &["config", "filter.lfs.required", "false"]);
    let pool = f.pool();
    f.prepare(&pool, "one", W1);
    for isolation in BOTH_KINDS {
        let lent = pool.lend(W1, &slug("one"), isolation, true).unwrap();
        let store = f.root.join(".git/lfs");
        assert!(lent.writable.contains(&store));
        put(&lent.writable[0], "lfs/objects/x", "content");
        assert_eq!(get(&store, "objects/x").as_deref(), Some("content"));
        pool.take_home(W1).unwrap();
    }
}

#[test]
fn submodules_stay_usable() {
    for isolation in BOTH_KINDS {
        let lib = Fixture::new();
        let f = Fixture::new();
        let from = lib.root.to_str().unwrap();
        let allow = ["-c", "protocol.file.allow=always"];
        let add = [&allow[..], &["submodule", "add", "-q", from, "lib"]].concat();
        f.git(&f.root, &add);
        f.commit("a submodule");
        let pool = f.pool();
        let p = f.prepare(&pool, "one", W1);
        let update = [&allow[..], &["submodule", "update", "--init", "-q"]].concat();
        for round in ["1", "2"] {
            pool.lend(W1, &slug("one"), isolation, true).unwrap();
            f.git(&p.path, &update);
            put(&p.path, "lib/inside.txt", round);
            put(&p.path, "one.txt", round);
            f.git(&p.path, &["add", "one.txt"]);
            f.git(&p.path, &["commit", "-q", "-m", round]);
            assert_eq!(pool.take_home(W1).unwrap(), [""; 0]);
            assert_eq!(
                f.git(&p.path.join("lib"), &["status", "--porcelain"]),
                "?? inside.txt"
            );
            let kept = f
                .repo()
                .snapshot(&p.path, &slug("one"), 1, &p.tip, "one", &[])
                .unwrap();
            assert!(
                kept.notes
                    .iter()
                    .any(|note| note.contains("is a submodule")),
                "{kept:?}"
            );
        }
    }
}

/// Whether `bwrap` can be used here.
fn has_bwrap() -> bool {
    let tried = Command::new("bwrap")
        .args(["--ro-bind", "/", "/", "true"])
        .output();
    tried.is_ok_and(|output| output.status.success())
}

#[test]
fn with_nothing_else_writable_git_works() {
    if !has_bwrap() {
        eprintln!("SKIPPED with_nothing_else_writable_git_works: bwrap cannot be used here");
        return;
    }
    for isolation in BOTH_KINDS {
        let l = Loan::new(isolation);
        let mut command = Command::new("bwrap");
        command.args(["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"]);
        for path in l.lent.writable.iter().chain([&l.p.path]) {
            command.arg("--bind").arg(path).arg(path);
        }
        let script = "set -ex; echo 2 > two.txt; git add -A; git commit -q -m two; echo 3 > two.txt; git stash -q\n\
            git stash pop -q; git checkout -q two.txt; git checkout -q -b side HEAD~1; echo x > two.txt; git add -A\n\
            git commit -q -m side; if git cherry-pick harness/one; then exit 1; fi; echo y > two.txt; git add -A\n\
            git -c core.editor=true cherry-pick --continue; git status | grep -q 'nothing to commit'\n\
            git checkout -q harness/one; git merge -q -X ours -m join side; git branch -q -d side; git gc -q\n\
            git config user.name me; git tag x; git tag -d x; git reflog | grep -q 'merge side'\n\
            if touch \"$(git rev-parse --git-dir)/../HEAD\"; then exit 1; fi\n\
            if git --git-dir \"$0\" config a.b c; then exit 1; fi";
        let common = l.f.root.join(".git");
        command
            .current_dir(&l.p.path)
            .args(["sh", "-c", script])
            .arg(&common);
        command.env_clear().envs(env(l.f.home()));
        let ran = command.output().unwrap();
        let said = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "{isolation:?}: {said}");
        let made = l.at("HEAD");
        assert_eq!(l.home(), [""; 0]);
        assert_eq!(l.branch(), made);
        l.snapshot();
        l.f.fsck();
    }
}
