//! Moving a checkout forward, cut off at each of its steps: finished or taken back, and no byte of a person's lost.

use super::*;
use crate::git::forward::{Forward, Record};
use crate::git::land::Place;
use std::time::Duration;

/// Nobody is at it any more.
const NOW: Duration = Duration::ZERO;

/// Where a move is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    /// Nothing is written yet.
    Locked,
    /// Files are, and the index is whole, but git's HEAD does not say so.
    Written,
    /// git has come to its end.
    Merged,
    /// The index is in its place.
    Installed,
    /// The branch is moved, too.
    Moved,
    /// The lock is away.
    Unlocked,
}

const CUTS: [Cut; 6] = [
    Cut::Locked,
    Cut::Written,
    Cut::Merged,
    Cut::Installed,
    Cut::Moved,
    Cut::Unlocked,
];

/// `main` with files of all kinds, edits of a person's, and a commit on top that changes all files but the edited ones.
struct Scene {
    f: Fixture,
    from: Oid,
    to: Oid,
}

impl Scene {
    fn new() -> Self {
        let f = Fixture::new();
        for (name, text) in [
            ("changed", "one\n"),
            ("gone/deep", "going\n"),
            ("file", "was a file\n"),
            ("dir/inside", "was in a directory\n"),
            ("mine", "as committed\n"),
        ] {
            f.write(name, text);
        }
        std::os::unix::fs::symlink("a.txt", f.root.join("link")).unwrap();
        let from = f.commit("from");
        f.git(&f.root, &["checkout", "-q", "-b", "ahead"]);
        f.write("changed", "one\ntwo\nthree\n");
        f.git(&f.root, &["rm", "-rq", "gone", "file", "dir", "link"]);
        f.write("new/deep", "came\n");
        f.write("file/inside", "is a directory\n");
        f.write("dir", "is a file\n");
        std::os::unix::fs::symlink("b.txt", f.root.join("link")).unwrap();
        let to = f.commit("to");
        f.git(&f.root, &["checkout", "-q", "main"]);
        f.write("mine", "a person's\n");
        f.write("untracked", "a person's too\n");
        Self { f, from, to }
    }

    fn repo(&self) -> Repo {
        self.f.repo()
    }

    fn lock(&self) -> PathBuf {
        self.f.root.join(".git/index.lock")
    }

    /// Moves the checkout, and stops in the middle as if everybody had been killed.
    fn cut_short(&self, cut: Cut) {
        let repo = self.repo();
        let place = Place {
            git_dir: repo.git_dir().to_owned(),
            path: repo.root().to_owned(),
        };
        let record = Record::new(MAIN, &self.from, &self.to);
        let forward = Forward::begin(&repo, &place, record).unwrap().unwrap();
        if cut == Cut::Locked {
            return;
        }
        assert_eq!(forward.merge().unwrap().code, 0);
        if cut == Cut::Written {
            fs::write(forward.dir().join("HEAD"), format!("{}\n", self.from)).unwrap();
        }
        if matches!(cut, Cut::Installed | Cut::Moved | Cut::Unlocked) {
            forward.install_index().unwrap();
        }
        if matches!(cut, Cut::Moved | Cut::Unlocked) {
            assert_eq!(forward.move_branch().unwrap().code, 0);
        }
        if cut == Cut::Unlocked {
            fs::remove_file(self.lock()).unwrap();
        }
    }

    fn publish(&self) -> PublishOutcome {
        self.repo().publish(MAIN, &self.from, &self.to).unwrap()
    }

    /// Nothing of a person's has changed, and nothing else differs from where `main` stands.
    fn assert_whole(&self, what: &str) {
        let status = self.f.git(&self.f.root, &["status", "--porcelain"]);
        assert_eq!(status, " M mine\n?? untracked", "{what}");
        assert_eq!(get(&self.f.root, "mine").as_deref(), Some("a person's\n"));
        assert!(!self.lock().exists(), "{what}");
        assert!(!self.f.root.join(".git/harness-forward").exists(), "{what}");
    }
}

#[test]
fn cut_off_at_any_step_it_is_finished_or_taken_back() {
    for cut in CUTS {
        let what = format!("{cut:?}");
        for torn in [false, true] {
            let s = Scene::new();
            s.cut_short(cut);
            assert_eq!(s.repo().cut_off().unwrap().len(), 1, "{what}");
            if torn && cut != Cut::Locked {
                // As a power cut leaves what was written last.
                put(&s.f.root, "changed", "one\ntw\0\0\0");
                put(&s.f.root, "new/deep", "");
                fs::remove_file(s.f.root.join("dir")).unwrap();
            }
            let told = s.repo().finish_moves(NOW).unwrap();
            assert_eq!(told.len(), 1, "{what}");
            assert!(!told[0].contains("left as it is"), "{told:?}");
            s.assert_whole(&what);
            assert_eq!(s.repo().cut_off().unwrap(), [], "{what}");
            assert_eq!(s.repo().finish_moves(NOW).unwrap(), [""; 0], "{what}");
            assert_eq!(s.publish(), PublishOutcome::Done, "{what}");
            assert_eq!(s.f.oid("main"), s.to, "{what}");
            s.assert_whole(&what);
        }
    }
}

#[test]
fn publishing_itself_finishes_what_was_cut_off() {
    let s = Scene::new();
    s.cut_short(Cut::Written);
    assert_eq!(s.publish(), PublishOutcome::Done);
    s.assert_whole("published");
}

#[test]
fn what_a_person_wrote_since_stays() {
    for cut in [Cut::Written, Cut::Installed] {
        let s = Scene::new();
        s.cut_short(cut);
        put(&s.f.root, "changed", "mine now\n");
        put(&s.f.root, "new/deep", "mine, too\n");
        let told = s.repo().finish_moves(NOW).unwrap().concat();
        for file in ["changed is left as it is", "new/deep is left as it is"] {
            assert!(told.contains(file), "{told}");
        }
        assert_eq!(get(&s.f.root, "changed").as_deref(), Some("mine now\n"));
        assert_eq!(get(&s.f.root, "new/deep").as_deref(), Some("mine, too\n"));
        assert_eq!(get(&s.f.root, "mine").as_deref(), Some("a person's\n"));
        assert!(!s.lock().exists());
        s.publish();
        assert_eq!(get(&s.f.root, "changed").as_deref(), Some("mine now\n"));
    }
}

#[test]
fn who_is_still_at_it_is_left_alone() {
    let s = Scene::new();
    s.cut_short(Cut::Written);
    let record = s.f.root.join(".git/harness-forward/record");
    // What a git command of ours has that outlived harness.
    let held = fs::File::open(&record).unwrap();
    held.lock().unwrap();
    assert!(s.repo().cut_off().unwrap()[0].is_alive);
    let told = s.repo().finish_moves(NOW).unwrap().concat();
    assert!(told.contains("is still moving it forward"), "{told}");
    assert!(s.lock().exists());
    drop(held);
    assert!(!s.repo().cut_off().unwrap()[0].is_alive);
    s.repo().finish_moves(NOW).unwrap();
    s.assert_whole("released");
}

#[test]
fn a_lock_of_another_command_is_never_taken_for_ours() {
    let s = Scene::new();
    s.cut_short(Cut::Written);
    // A person took ours away, and has one of their own now.
    fs::remove_file(s.lock()).unwrap();
    fs::write(s.lock(), "").unwrap();
    let before = s.f.git(&s.f.root, &["status", "--porcelain"]);
    let told = s.repo().finish_moves(NOW).unwrap().concat();
    assert!(told.contains("another git command is at work"), "{told}");
    assert_eq!(fs::read(s.lock()).unwrap(), b"");
    assert_eq!(s.f.git(&s.f.root, &["status", "--porcelain"]), before);
    fs::remove_file(s.lock()).unwrap();
    s.repo().finish_moves(NOW).unwrap();
    s.assert_whole("later");
}

#[test]
fn a_checkout_that_was_moved_on_is_left_as_it_is() {
    let s = Scene::new();
    s.cut_short(Cut::Written);
    fs::remove_file(s.lock()).unwrap();
    s.f.git(&s.f.root, &["symbolic-ref", "HEAD", "refs/heads/ahead"]);
    let before = s.f.git(&s.f.root, &["status", "--porcelain"]);
    let told = s.repo().finish_moves(NOW).unwrap().concat();
    assert!(told.contains("it was moved on since"), "{told}");
    assert_eq!(s.f.git(&s.f.root, &["status", "--porcelain"]), before);
    assert!(!s.lock().exists());
    assert_eq!(s.repo().cut_off().unwrap(), []);
}

#[test]
fn an_index_in_parts_and_a_sparse_checkout_move_forward_too() {
    let s = Scene::new();
    s.f.git(&s.f.root, &["update-index", "--split-index"]);
    assert_eq!(s.publish(), PublishOutcome::Done);
    s.assert_whole("split");
    let s = Scene::new();
    s.f.git(
        &s.f.root,
        &[
            "sparse-checkout",
            "set",
            "--no-cone",
            "/*",
            "!/new",
            "!/gone",
        ],
    );
    s.cut_short(Cut::Written);
    s.repo().finish_moves(NOW).unwrap();
    s.assert_whole("sparse");
    assert!(!s.f.root.join("gone").exists());
    assert_eq!(s.publish(), PublishOutcome::Done);
    s.assert_whole("sparse");
    assert!(!s.f.root.join("new").exists());
}

#[test]
fn a_branch_that_cannot_follow_its_files_follows_later() {
    let scene = Scene::new();
    scene.cut_short(Cut::Installed);
    let lock = scene.f.root.join(".git/HEAD.lock");
    fs::write(&lock, "").unwrap();
    for _ in 0..2 {
        let told = scene.repo().finish_moves(NOW).unwrap();
        assert!(told[0].contains("main cannot follow yet: "), "{told:?}");
        assert_eq!(scene.f.oid("main"), scene.from);
    }
    fs::remove_file(&lock).unwrap();
    let told = scene.repo().finish_moves(NOW).unwrap();
    assert!(told[0].contains("brought to its end"), "{told:?}");
    assert_eq!(scene.f.oid("main"), scene.to);
    scene.assert_whole("it has followed");
}
