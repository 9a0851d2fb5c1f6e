//! Merges handed back: whatever the agent does with one, the verdict is defined and nothing is lost.

use super::*;
use crate::git::{Iterated, Laid};
use crate::model::{Conflicted, MergeTask, MergeVerdict};

/// A feature and a target that clash, with the merge laid into the feature's worktree.
pub(super) struct Bench {
    pub(super) f: Fixture,
    pub(super) pool: Worktrees,
    pub(super) p: Prepared,
    pub(super) onto: Oid,
}

/// What clashes.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Clash {
    /// Lines of two texts.
    Text,
    /// A change and a removal, both ways round.
    Removal,
    /// Two versions of a picture.
    Binary,
}

const BASE: &str = "1\n2\n3\n4\n5\n6\n7\n8\n9\n";
const MINE: &str = "1\n2\n3\n4\nfive of the feature\n6\n7\n8\n9\n";
const LANDED: &str = "1\n2\n3\n4\nfive as landed\n6\n7\n8\n9\n";
pub(super) const BOTH: &str = "1\n2\n3\n4\nfive as landed\nfive of the feature\n6\n7\n8\n9\n";

impl Bench {
    /// Before anything is laid.
    pub(super) fn unlaid(clash: Clash) -> Self {
        let f = Fixture::new();
        for file in ["two.txt", "gone.txt", "left.txt", "side.txt"] {
            f.write(file, BASE);
        }
        f.write("pic.bin", "\0base");
        f.commit("base");
        let pool = f.pool();
        let mut p = f.prepare(&pool, "one", W1);
        let w = p.path.clone();
        put(&w, "feature.txt", "feature\n");
        match clash {
            Clash::Text => {
                put(&w, "a.txt", MINE);
                put(&w, "two.txt", MINE);
                f.write("a.txt", LANDED);
                f.write("two.txt", LANDED);
            }
            Clash::Removal => {
                put(&w, "gone.txt", MINE);
                fs::remove_file(w.join("left.txt")).unwrap();
                fs::remove_file(f.root.join("gone.txt")).unwrap();
                f.write("left.txt", LANDED);
            }
            Clash::Binary => {
                put(&w, "pic.bin", "\0mine");
                f.write("pic.bin", "\0landed");
            }
        }
        p.tip = f.snapshot(&p, "one", 1).tip;
        f.write("side.txt", "landed beside the conflict\n");
        f.write("landed.txt", "landed\n");
        let onto = f.commit("landed");
        Self { f, pool, p, onto }
    }

    pub(super) fn new(clash: Clash) -> Self {
        let bench = Self::unlaid(clash);
        assert!(matches!(bench.lay(), Laid::Conflicted { .. }));
        bench
    }

    pub(super) fn lay(&self) -> Laid {
        self.pool.lay_merge(&slug("one"), W1, &self.onto).unwrap()
    }

    /// Prepares and lays as the next iteration would.
    pub(super) fn lay_again(&mut self) -> Laid {
        self.p = self.f.prepare(&self.pool, "one", W1);
        let laid = self.lay();
        self.p.tip = self.f.oid("harness/one");
        laid
    }

    pub(super) fn conflicts(&self) -> Vec<Conflicted> {
        match self.lay() {
            Laid::Conflicted { conflicts } => conflicts,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn git(&self, args: &[&str]) -> String {
        self.f.git(&self.p.path, args)
    }

    fn fails(&self, args: &[&str]) {
        assert!(!self.f.try_git(&self.p.path, args).0, "{args:?}");
    }

    pub(super) fn put(&self, name: &str, text: &str) {
        put(&self.p.path, name, text);
    }

    pub(super) fn admin(&self) -> PathBuf {
        PathBuf::from(self.git(&["rev-parse", "--absolute-git-dir"]))
    }

    /// Both texts as they should be.
    pub(super) fn resolve(&self) {
        self.put("a.txt", BOTH);
        self.put("two.txt", BOTH);
    }

    pub(super) fn take(&self, iteration: u32, allow_dropped: bool) -> Snapshot {
        let precious = self.precious();
        let taken = self.take_from(iteration, allow_dropped);
        self.promises(&taken, &precious);
        let resolved = taken.merge == Some(MergeVerdict::Resolved);
        let contains = self.f.repo().descends(&taken.tip, &self.onto).unwrap();
        assert_eq!(resolved, contains, "{taken:?}");
        let marked = ["grep", "-q", "^<<<<<<< ", taken.tip.as_str()];
        assert!(!self.f.try_git(&self.f.root, &marked).0, "markers");
        taken
    }

    pub(super) fn take_from(&self, iteration: u32, allow_dropped: bool) -> Snapshot {
        let task = MergeTask {
            onto: self.onto.clone(),
        };
        let iterated = Iterated {
            slug: &slug("one"),
            iteration,
            before: &self.p.tip,
            subject: "one: resolved",
            trailers: &[],
            merge: Some(&task),
            allow_dropped,
        };
        let taken = self.f.repo().snapshot_merge(&self.p.path, &iterated);
        taken.unwrap()
    }

    /// Every file in the worktree and every commit on HEAD and the branch.
    fn precious(&self) -> Vec<String> {
        let mut files = Vec::new();
        let mut dirs = vec![self.p.path.clone()];
        while let Some(dir) = dirs.pop() {
            for entry in fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_str().unwrap();
                if path.is_dir() && name != ".harness" {
                    dirs.push(path);
                } else if path.is_file() && name != ".git" {
                    files.push(path.to_str().unwrap().to_owned());
                }
            }
        }
        let mut hash = vec!["hash-object"];
        hash.extend(files.iter().map(String::as_str));
        let mut found = vec![self.onto.to_string(), self.p.tip.to_string()];
        found.push(self.git(&["rev-parse", "HEAD"]));
        found.extend(self.git(&hash).lines().map(str::to_owned));
        found
    }

    /// What holds after every snapshot, whatever the agent did.
    fn promises(&self, taken: &Snapshot, precious: &[String]) {
        assert_eq!(self.git(&["status", "--porcelain"]), "");
        assert_eq!(
            self.git(&["symbolic-ref", "HEAD"]),
            "refs/heads/harness/one"
        );
        assert_eq!(self.f.oid("harness/one"), taken.tip);
        let status = self.git(&["status"]);
        assert!(status.lines().count() <= 2, "something goes on: {status}");
        let (sound, said) = self.f.try_git(
            &self.f.root,
            &["fsck", "--strict", "--no-dangling", "--no-progress"],
        );
        assert!(sound && said.is_empty(), "{said}");
        let reachable = self
            .f
            .git(&self.f.root, &["rev-list", "--all", "--objects"]);
        for oid in precious {
            assert!(reachable.contains(oid.as_str()), "{oid} is lost: {taken:?}");
        }
    }
}

/// One agent.
struct Agent {
    name: &'static str,
    clash: Clash,
    does: fn(&Bench),
    /// `Ok`: resolved, with these words in the notes. `Err`: unresolved, with these words in the findings.
    verdict: Result<&'static str, &'static str>,
    /// Where the branch is left when it is not resolved.
    branch: Branch,
}

#[derive(Clone, Copy, PartialEq)]
enum Branch {
    /// Where it stood before the iteration.
    Before,
    /// At commits (of the agent, or of its uncommitted work) that are no part of the merge.
    Own,
}
use Branch::{Before, Own};
use Clash::{Binary, Removal, Text};

fn agent(
    name: &'static str,
    clash: Clash,
    verdict: Result<&'static str, &'static str>,
    branch: Branch,
    does: fn(&Bench),
) -> Agent {
    Agent {
        name,
        clash,
        does,
        verdict,
        branch,
    }
}

fn play(agents: &[Agent]) {
    for agent in agents {
        let name = agent.name;
        eprintln!("agent: {name}");
        let mut bench = Bench::new(agent.clash);
        (agent.does)(&bench);
        let taken = bench.take(2, false);
        let told = |lines: &[String], words: &str| {
            assert!(
                lines.join(" | ").contains(words),
                "{name}: {words:?} in {taken:?}"
            );
        };
        match (&taken.merge, agent.verdict) {
            (Some(MergeVerdict::Resolved), Ok(words)) => {
                told(&taken.notes, words);
                assert_eq!(bench.lay_again(), Laid::Already, "{name}");
                assert!(taken.changed, "{name}");
                bench.f.candidate("one", Strategy::Merge);
            }
            (Some(MergeVerdict::Unresolved { findings }), Err(words)) => {
                told(findings, words);
                assert_eq!(taken.tip == bench.p.tip, agent.branch == Before, "{name}");
                assert!(bench.f.repo().descends(&taken.tip, &bench.p.tip).unwrap());
                // The next iteration is given the merge again, and this time it goes well.
                match bench.lay_again() {
                    Laid::Conflicted { conflicts } => assert!(!conflicts.is_empty(), "{name}"),
                    other => panic!("{name}: {other:?}"),
                }
                if agent.clash == Text {
                    bench.resolve();
                    let again = bench.take(3, false);
                    assert_eq!(
                        again.merge,
                        Some(MergeVerdict::Resolved),
                        "{name}: {again:?}"
                    );
                }
            }
            _ => panic!("{name}: {taken:?}"),
        }
    }
}

#[test]
fn agents_that_resolve() {
    play(&[
        agent("adds and does not commit", Text, Ok(""), Before, |b| {
            b.resolve();
            b.git(&["add", "-A"]);
        }),
        agent(
            "edits and does not add",
            Text,
            Ok(""),
            Before,
            Bench::resolve,
        ),
        agent("adds one, edits the other", Text, Ok(""), Before, |b| {
            b.resolve();
            b.git(&["add", "a.txt"]);
        }),
        agent("commits the merge", Text, Ok(""), Before, |b| {
            b.resolve();
            b.git(&["commit", "-q", "-a", "--no-edit"]);
            b.put("more.txt", "and goes on\n");
        }),
        agent(
            "takes what landed",
            Text,
            Ok("as it landed: `two.txt`"),
            Before,
            |b| {
                b.git(&["checkout", "-q", "--theirs", "."]);
                b.git(&["add", "-A"]);
            },
        ),
        agent("leaves index.lock", Text, Ok(""), Before, |b| {
            b.resolve();
            fs::write(b.admin().join("index.lock"), "").unwrap();
        }),
        agent("breaks the index", Text, Ok(""), Before, |b| {
            b.resolve();
            fs::write(b.admin().join("index"), "garbage").unwrap();
        }),
    ]);
}

#[test]
fn agents_that_resolve_in_their_own_way() {
    play(&[
        agent("commits on another branch", Text, Ok(""), Before, |b| {
            b.resolve();
            b.git(&["add", "-A"]);
            b.git(&["checkout", "-q", "-b", "side"]);
            b.git(&["commit", "-q", "-m", "merged"]);
        }),
        agent("commits with HEAD detached", Text, Ok(""), Before, |b| {
            b.resolve();
            b.git(&["add", "-A"]);
            b.git(&["checkout", "-q", "--detach"]);
            b.git(&["commit", "-q", "-m", "merged"]);
        }),
        agent(
            "merges the branch into what landed",
            Text,
            Ok(""),
            Before,
            |b| {
                b.git(&["merge", "--abort"]);
                b.git(&["checkout", "-q", "--detach", "harness/onto/one"]);
                b.fails(&["merge", "harness/one"]);
                b.resolve();
                b.git(&["commit", "-q", "-a", "--no-edit"]);
            },
        ),
    ]);
}

#[test]
fn agents_that_resolve_without_the_merge() {
    play(&[
        agent("removes MERGE_HEAD", Text, Ok(""), Before, |b| {
            b.resolve();
            fs::remove_file(b.admin().join("MERGE_HEAD")).unwrap();
        }),
        agent("resets the index and commits", Text, Ok(""), Before, |b| {
            b.resolve();
            b.git(&["reset", "-q"]);
            b.git(&["add", "-A"]);
            b.git(&["commit", "-q", "-m", "resolved"]);
        }),
        agent(
            "squashes what landed into one commit",
            Text,
            Ok(""),
            Before,
            |b| {
                b.git(&["merge", "--abort"]);
                b.fails(&["merge", "--squash", "harness/onto/one"]);
                b.resolve();
                b.git(&["commit", "-q", "-a", "-m", "squashed"]);
            },
        ),
        agent("cherry-picks what landed", Text, Ok(""), Before, |b| {
            b.git(&["merge", "--abort"]);
            b.fails(&["cherry-pick", "harness/onto/one"]);
            b.resolve();
            b.git(&["add", "-A"]);
            b.git(&["cherry-pick", "--continue"]);
        }),
    ]);
}

#[test]
fn agents_that_build_upon_what_landed() {
    play(&[
        agent("rebases", Text, Ok("no longer contains"), Before, |b| {
            b.git(&["merge", "--abort"]);
            b.fails(&["rebase", "harness/onto/one"]);
            b.resolve();
            b.git(&["add", "-A"]);
            b.git(&["rebase", "--continue"]);
        }),
        agent(
            "squashes the branch onto what landed",
            Text,
            Ok("no longer contains"),
            Before,
            |b| {
                b.resolve();
                b.git(&["commit", "-q", "-a", "--no-edit"]);
                b.git(&["reset", "-q", "--soft", "harness/onto/one"]);
                b.git(&["commit", "-q", "-m", "all in one"]);
            },
        ),
    ]);
}

#[test]
fn agents_that_leave_it_unresolved() {
    const ABORTED: &str = "The merge was aborted or undone";
    play(&[
        agent(
            "does nothing",
            Text,
            Err("markers are left in `a.txt`, `two.txt`"),
            Before,
            |_| {},
        ),
        agent(
            "resolves one of two",
            Text,
            Err("markers are left in `two.txt`."),
            Before,
            |b| {
                b.put("a.txt", BOTH);
                b.put("new.txt", "new\n");
                b.git(&["add", "a.txt"]);
            },
        ),
        agent(
            "adds the markers",
            Text,
            Err("refs/harness/iterations/one/2"),
            Before,
            |b| {
                b.git(&["add", "-A"]);
            },
        ),
        agent("aborts", Text, Err(ABORTED), Before, |b| {
            b.git(&["merge", "--abort"]);
        }),
        agent(
            "resets and works on",
            Text,
            Err("had it: `a.txt`, `two.txt`"),
            Own,
            |b| {
                b.git(&["reset", "-q", "--hard"]);
                b.put("feature.txt", "more\n");
            },
        ),
    ]);
}

#[test]
fn agents_that_walk_away() {
    const ABORTED: &str = "The merge was aborted or undone";
    play(&[
        agent(
            "checks the branch out by force",
            Text,
            Err(ABORTED),
            Before,
            |b| {
                b.git(&["checkout", "-q", "-f", "harness/one"]);
            },
        ),
        agent("stashes", Text, Err("markers"), Before, |b| {
            b.fails(&["stash"]);
        }),
        agent("resolves and stashes", Text, Err(ABORTED), Before, |b| {
            b.resolve();
            b.git(&["add", "-A"]);
            b.git(&["stash", "-q"]);
        }),
        agent(
            "looks at what landed",
            Text,
            Err("none of the feature's own work"),
            Before,
            |b| {
                b.git(&["merge", "--abort"]);
                b.git(&["checkout", "-q", "--detach", "harness/onto/one"]);
            },
        ),
    ]);
}

#[test]
fn agents_that_give_up_their_own_work() {
    play(&[
        agent(
            "resets to what landed",
            Text,
            Err("none of the feature's own work"),
            Before,
            |b| {
                b.git(&["reset", "-q", "--hard", "harness/onto/one"]);
            },
        ),
        agent(
            "rebuilds a part on what landed",
            Text,
            Err("own change to `feature.txt`"),
            Before,
            |b| {
                b.git(&["reset", "-q", "--hard", "harness/onto/one"]);
                b.resolve();
            },
        ),
        agent(
            "leaves a rebase",
            Text,
            Err("A rebase was left unfinished"),
            Before,
            |b| {
                b.git(&["merge", "--abort"]);
                b.fails(&["rebase", "harness/onto/one"]);
                b.put("a.txt", BOTH);
            },
        ),
    ]);
}

#[test]
fn agents_that_resolve_badly() {
    const AS_MINE: &str = "just as the feature had it: `a.txt`, `two.txt`";
    play(&[
        agent("takes its own side", Text, Err(AS_MINE), Before, |b| {
            b.git(&["checkout", "-q", "--ours", "."]);
            b.git(&["add", "-A"]);
        }),
        agent("commits its own side", Text, Err(AS_MINE), Before, |b| {
            b.git(&["checkout", "-q", "--ours", "."]);
            b.git(&["commit", "-q", "-a", "--no-edit"]);
        }),
    ]);
}

#[test]
fn agents_that_commit_markers() {
    play(&[
        agent(
            "commits the markers",
            Text,
            Err("were committed in `a.txt`, `two.txt`"),
            Before,
            |b| {
                b.git(&["commit", "-q", "-a", "--no-edit"]);
            },
        ),
        agent(
            "commits markers, then resolves on top",
            Text,
            Ok(""),
            Before,
            |b| {
                b.git(&["commit", "-q", "-a", "--no-edit"]);
                b.resolve();
            },
        ),
        agent(
            "commits markers without the merge",
            Text,
            Err("markers are left in"),
            Before,
            |b| {
                fs::remove_file(b.admin().join("MERGE_HEAD")).unwrap();
                b.git(&["add", "-A"]);
                b.git(&["commit", "-q", "-m", "done"]);
            },
        ),
        agent(
            "commits work, then markers",
            Text,
            Err("markers were committed"),
            Own,
            |b| {
                b.git(&["merge", "--abort"]);
                b.put("feature.txt", "more\n");
                b.git(&["commit", "-q", "-a", "-m", "work"]);
                b.fails(&["merge", "harness/onto/one"]);
                b.git(&["commit", "-q", "-a", "--no-edit"]);
            },
        ),
    ]);
}

#[test]
fn agents_that_lose_what_landed() {
    play(&[
        agent(
            "deletes a conflicted file",
            Text,
            Err("Deleted, with what landed in it: `a.txt`"),
            Before,
            |b| {
                b.resolve();
                fs::remove_file(b.p.path.join("a.txt")).unwrap();
            },
        ),
        agent(
            "undoes what landed beside the conflict",
            Text,
            Err("`landed.txt`, `side.txt`"),
            Before,
            |b| {
                b.resolve();
                b.git(&["checkout", "-q", "HEAD", "--", "side.txt"]);
                b.git(&["rm", "-q", "-f", "landed.txt"]);
            },
        ),
        agent(
            "aborts and merges the texts by hand",
            Text,
            Err("aborted or undone"),
            Own,
            |b| {
                b.git(&["merge", "--abort"]);
                b.resolve();
            },
        ),
        agent(
            "loses MERGE_HEAD and goes on with its side",
            Text,
            Err("aborted or undone"),
            Own,
            |b| {
                b.put("a.txt", &format!("{MINE}more\n"));
                b.put("two.txt", &format!("{MINE}more\n"));
                fs::remove_file(b.admin().join("MERGE_HEAD")).unwrap();
            },
        ),
    ]);
}

#[test]
fn agents_that_have_only_a_choice() {
    play(&[
        agent(
            "lets both changes stand",
            Removal,
            Ok("as it landed: `left.txt`"),
            Before,
            |b| {
                b.git(&["add", "gone.txt", "left.txt"]);
            },
        ),
        agent(
            "lets both removals stand",
            Removal,
            Ok("as the feature had it: `left.txt`"),
            Before,
            |b| {
                b.git(&["rm", "-q", "gone.txt", "left.txt"]);
            },
        ),
        agent(
            "leaves the removals",
            Removal,
            Err("not touched: `gone.txt`, `left.txt`"),
            Before,
            |_| {},
        ),
        agent(
            "takes the landed picture",
            Binary,
            Ok("as it landed: `pic.bin`"),
            Before,
            |b| {
                b.git(&["checkout", "-q", "--theirs", "pic.bin"]);
                b.git(&["add", "pic.bin"]);
            },
        ),
        agent(
            "keeps its own picture",
            Binary,
            Ok("as the feature had it: `pic.bin`"),
            Before,
            |b| {
                b.git(&["add", "pic.bin"]);
            },
        ),
        agent("paints a third one", Binary, Ok(""), Before, |b| {
            b.put("pic.bin", "\0both");
        }),
        agent(
            "leaves the pictures",
            Binary,
            Err("not touched: `pic.bin`"),
            Before,
            |_| {},
        ),
    ]);
}

#[test]
fn a_reason_makes_a_dropped_side_a_note() {
    let b = Bench::new(Text);
    b.git(&["checkout", "-q", "--ours", "."]);
    let taken = b.take(2, true);
    assert_eq!(taken.merge, Some(MergeVerdict::Resolved));
    let notes = taken.notes.join(" | ");
    assert!(
        notes.contains("the merge: What landed was dropped"),
        "{notes}"
    );
    // Markers have no excuse.
    let b = Bench::new(Text);
    assert!(matches!(
        b.take(2, true).merge,
        Some(MergeVerdict::Unresolved { .. })
    ));
}

#[test]
fn changes_beside_the_conflict_are_told() {
    let b = Bench::new(Text);
    b.resolve();
    b.put("b.txt", "adapted\n");
    b.put("new.txt", "new\n");
    let taken = b.take(2, false);
    assert_eq!(taken.merge, Some(MergeVerdict::Resolved));
    assert_eq!(taken.also_changed, ["b.txt", "new.txt"]);
    let parents =
        b.f.git(&b.f.root, &["log", "-1", "--format=%P", taken.tip.as_str()]);
    assert_eq!(parents, format!("{} {}", b.p.tip, b.onto));
}

#[test]
fn text_that_looks_like_markers_and_was_there_is_no_marker() {
    let f = Fixture::new();
    let doc = "How to merge\n<<<<<<< HEAD\nx\n=======\ny\n>>>>>>> main\n";
    f.write("doc.md", doc);
    f.commit("a document");
    let pool = f.pool();
    let mut p = f.prepare(&pool, "one", W1);
    put(&p.path, "doc.md", &format!("{doc}feature\n"));
    p.tip = f.snapshot(&p, "one", 1).tip;
    f.write("doc.md", &format!("{doc}landed\n"));
    let onto = f.commit("landed");
    let b = Bench { f, pool, p, onto };
    assert!(matches!(b.lay(), Laid::Conflicted { .. }));
    b.put("doc.md", &format!("{doc}landed\nfeature\n"));
    assert_eq!(b.take_from(2, false).merge, Some(MergeVerdict::Resolved));
}

#[test]
fn a_snapshot_done_again_gives_the_same_verdict() {
    for resolves in [true, false] {
        let b = Bench::new(Text);
        b.put("a.txt", BOTH);
        if resolves {
            b.put("two.txt", BOTH);
        }
        let first = b.take(2, false);
        let again = b.take(2, false);
        if resolves {
            assert_eq!((&first.merge, &first.tip), (&again.merge, &again.tip));
            continue;
        }
        // All that is left of a killed one is the worktree: the same, once more.
        assert!(matches!(again.merge, Some(MergeVerdict::Unresolved { .. })));
        let lost = b.f.refs("refs/harness/lost/");
        let kept = |name: &String| b.f.show(name, "a.txt").as_deref() == Some(BOTH.trim_end());
        assert!(lost.iter().any(kept), "{lost:?}");
    }
}

#[test]
fn renames_on_either_side() {
    // The feature moved the file: the conflict is at its new name.
    let long = |text: &str| format!("{}{text}", "a line of a long file\n".repeat(20));
    let f = Fixture::new();
    f.write("a.txt", &long(BASE));
    f.commit("a long file");
    let pool = f.pool();
    let mut p = f.prepare(&pool, "one", W1);
    f.git(&p.path, &["mv", "a.txt", "moved.txt"]);
    put(&p.path, "moved.txt", &long(MINE));
    p.tip = f.snapshot(&p, "one", 1).tip;
    f.write("a.txt", &long(LANDED));
    let onto = f.commit("landed");
    let mut b = Bench { f, pool, p, onto };
    assert_eq!(b.conflicts()[0].path, "moved.txt");
    b.put("moved.txt", &long(MINE));
    let taken = b.take(2, false);
    let Some(MergeVerdict::Unresolved { findings }) = &taken.merge else {
        panic!("{taken:?}");
    };
    assert!(findings[0].contains("`moved.txt`"), "{findings:?}");
    // The agent moves it on, resolved: that deletes nothing.
    b.lay_again();
    b.put("again.txt", &long(BOTH));
    fs::remove_file(b.p.path.join("moved.txt")).unwrap();
    let taken = b.take(3, false);
    assert_eq!(taken.merge, Some(MergeVerdict::Resolved), "{taken:?}");
}

#[test]
fn what_landed_in_a_tracked_outbox_is_not_undone() {
    let f = Fixture::new();
    f.write(".harness/config", "base\n");
    f.commit("tracked");
    let pool = f.pool();
    let mut p = f.prepare(&pool, "one", W1);
    put(&p.path, "a.txt", MINE);
    put(&p.path, ".harness/note.md", "note\n");
    p.tip = f.snapshot(&p, "one", 1).tip;
    f.write("a.txt", LANDED);
    f.write(".harness/config", "landed\n");
    let onto = f.commit("landed");
    let b = Bench { f, pool, p, onto };
    b.lay();
    b.put("a.txt", BOTH);
    b.put(".harness/config", "the agent's\n");
    let taken = b.take_from(2, false);
    assert_eq!(taken.merge, Some(MergeVerdict::Resolved), "{taken:?}");
    let config = b.f.show(taken.tip.as_str(), ".harness/config");
    assert_eq!(config.as_deref(), Some("landed"));
    assert_eq!(b.f.show(taken.tip.as_str(), ".harness/note.md"), None);
}

#[test]
fn an_edit_in_the_very_moment_of_the_last_add_is_kept() {
    let b = Bench::new(Text);
    b.f.git(&b.f.root, &["config", "core.trustctime", "false"]);
    let moment = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
    let stamp = |path: &Path| {
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_modified(moment).unwrap();
    };
    let file = b.p.path.join("feature.txt");
    b.resolve();
    b.put("feature.txt", "FEATURE\n");
    stamp(&file);
    b.git(&["add", "-A"]);
    stamp(&b.admin().join("index"));
    b.put("feature.txt", "future!\n");
    stamp(&file);
    let taken = b.take_from(2, false);
    let kept = b.f.show(taken.tip.as_str(), "feature.txt");
    assert_eq!(kept.as_deref(), Some("future!"));
}
