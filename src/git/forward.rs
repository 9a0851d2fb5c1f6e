//! Moving a checkout forward so that whatever is cut off, with git and all, can be finished or taken back.
//!
//! git's locks do not say whose they are. So the checkout's `index.lock` is made here: a link to a record of what is to
//! be done. Whoever does it, git included, has that record open and locked in the kernel's sense, which ends with the
//! last of them, also in another container. The merge itself has a git directory of its own, where it cannot leave
//! anything in the way of the user's git; what it made of the index is put in place when all files are there.
//!
//! The order: record, lock, files, index, branch, lock away, files to the disk, record away. While there is a record,
//! [`Repo::finish_move`] puts right what stands. This file never decides what a checkout is to be moved to.

use super::cli::Output;
use super::error::GitError;
use super::land::{LOCKED, Place, refusal};
use super::lend::copy_plain;
use super::mend::{Mended, sync_files};
use super::repo::{Repo, short};
use super::stage::copy_index;
use super::tree::{remove_any, remove_file, write};
use super::worktrees::entries;
use crate::fault::{self, Point};
use crate::model::Oid;
use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// In the git directory of a checkout: the git directory of what moves it, with the record.
const DIR: &str = "harness-forward";
const RECORD: &str = "record";
const LOCK: &str = "index.lock";
/// How the record begins, for whoever finds it as a lock.
const WORDS: &str = "harness is moving this checkout forward. If it was killed, `harness run` or `harness doctor --fix` \
                     puts this right.";
/// A record is no larger.
const RECORD_CAP: u64 = 16 << 10;
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// What is not as it is for other commands: no second process that writes files, no index in parts, and an index that
/// is on the disk before it counts.
const OPTIONS: [&str; 6] = [
    "-c",
    "checkout.workers=1",
    "-c",
    "core.splitIndex=false",
    "-c",
    "core.fsync=committed,reference,index",
];

/// What is done to which checkout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    target: String,
    from: Oid,
    to: Oid,
    /// All of it, as it is written: no two are the same.
    text: String,
}

impl Record {
    pub(super) fn new(target: &str, from: &Oid, to: &Oid) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let nanos = since.map_or(0, |since| since.as_nanos());
        let mark = format!("{}-{nanos}", std::process::id());
        Self {
            text: format!("{WORDS}\ntarget {target}\nfrom {from}\nto {to}\nmark {mark}\n"),
            target: target.to_owned(),
            from: from.clone(),
            to: to.clone(),
        }
    }

    /// The record in a file; `None` when it holds none.
    fn read(path: &Path) -> Option<Self> {
        let meta = fs::symlink_metadata(path).ok()?;
        if !meta.is_file() || meta.len() > RECORD_CAP {
            return None;
        }
        let text = fs::read_to_string(path).ok()?;
        let rest = text.strip_prefix(WORDS)?;
        let field = |name: &str| {
            let mut lines = rest.lines();
            lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
        };
        field("mark")?;
        Some(Self {
            target: field("target")?.to_owned(),
            from: Oid::parse(field("from")?)?,
            to: Oid::parse(field("to")?)?,
            text: text.clone(),
        })
    }
}

/// A checkout that is being moved, or was when that was cut off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CutOff {
    /// The checkout.
    pub path: PathBuf,
    /// The branch, without `refs/heads/`.
    pub branch: String,
    /// Where it stood.
    pub from: Oid,
    /// Where it was to go.
    pub to: Oid,
    /// Whether somebody is still at it.
    pub is_alive: bool,
}

/// What came of moving a checkout.
pub(super) enum Moved {
    /// git has come to its end; what it said.
    Ended(String),
    /// The checkout does not let it happen; why.
    Blocked(String),
}

/// The right to change a checkout, from the record to its removal.
pub(super) struct Forward<'a> {
    repo: &'a Repo,
    place: &'a Place,
    record: Record,
    /// Locked as long as anybody has it open.
    file: File,
}

impl Repo {
    /// Fast-forwards a checkout of the target.
    pub(super) fn move_forward(
        &self,
        place: &Place,
        target_ref: &str,
        to: &Oid,
    ) -> Result<Moved, GitError> {
        let from = self.expect_tip(target_ref)?;
        let record = Record::new(target_ref, &from, to);
        let Some(forward) = Forward::begin(self, place, record)? else {
            return Ok(Moved::Blocked(LOCKED.to_owned()));
        };
        if !forward.stands_at(&[&from])? {
            forward.end(&[])?;
            let path = place.path.display();
            return Ok(Moved::Ended(format!("{path} has just left the branch")));
        }
        fault::past(Point::PublishForward);
        let merged = forward.merge();
        match merged {
            Ok(merged) if merged.code == 0 => forward.settle(),
            Ok(merged) if super::land::is_in_the_way(&merged) => {
                forward.end(&[])?;
                Ok(Moved::Blocked(refusal(&merged)))
            }
            // It gave up in the middle: on a full disk, say.
            Ok(merged) => {
                let mended = forward.mend()?;
                forward.end(&mended.paths)?;
                Ok(Moved::Ended(merged.complaint()))
            }
            Err(error) => {
                let mended = forward.mend()?;
                forward.end(&mended.paths)?;
                Err(error)
            }
        }
    }

    /// Checkouts that are being moved, or were when that was cut off. Reading only.
    ///
    /// # Errors
    /// The list of worktrees cannot be read.
    pub fn cut_off(&self) -> Result<Vec<CutOff>, GitError> {
        let mut found = Vec::new();
        for place in self.all_places()? {
            let Some((record, file)) = trace(&place) else {
                continue;
            };
            found.push(CutOff {
                is_alive: file.try_lock().is_err(),
                path: place.path,
                branch: short(&record.target).to_owned(),
                from: record.from,
                to: record.to,
            });
        }
        Ok(found)
    }

    /// Puts right all checkouts in which moving them forward was cut off; a sentence each, safe to show. A command that
    /// is still at it may take so long to come to its end.
    ///
    /// # Errors
    /// git or the disk failed; doing it again continues.
    pub fn finish_moves(&self, patience: Duration) -> Result<Vec<String>, GitError> {
        let mut told = Vec::new();
        for place in self.all_places()? {
            told.extend(self.finish_move(&place, patience)?);
        }
        Ok(told)
    }

    /// Puts right one checkout, if moving it forward was cut off. Files that hold what git wrote, all or part of it, are
    /// brought to what the index says; all others stay as they are. Says what was done.
    pub(super) fn finish_move(
        &self,
        place: &Place,
        patience: Duration,
    ) -> Result<Option<String>, GitError> {
        let dir = place.git_dir.join(DIR);
        let Some((record, file)) = trace(place) else {
            // Made, and nothing begun; or all done.
            return remove_any(&dir).map(|()| None);
        };
        let path = place.path.display();
        if !lock_in_time(&file, patience)? {
            return Ok(Some(format!(
                "{path}: a git command of an earlier run is still moving it forward"
            )));
        }
        let lock = place.git_dir.join(LOCK);
        let was_ours = Record::read(&lock).as_ref() == Some(&record);
        if !was_ours && !link(&record, &dir.join(RECORD), &lock)? {
            return Ok(Some(format!(
                "{path}: moving it forward was cut off, and another git command is at work there now, or left {}",
                lock.display()
            )));
        }
        fault::at(Point::GitDirCreate)
            .and_then(|()| fs::create_dir_all(&dir))
            .map_err(GitError::io("create", &dir))?;
        let forward = Forward {
            repo: self,
            place,
            record,
            file,
        };
        let Record { from, to, .. } = &forward.record;
        if !forward.stands_at(&[from, to])? {
            let told = format!("{path}: moving it forward was cut off; it was moved on since");
            return forward.end(&[]).map(|()| Some(told));
        }
        // Its own HEAD goes last: all files were there, and the index is whole.
        let head = fs::read_to_string(dir.join("HEAD")).unwrap_or_default();
        if was_ours && Oid::parse(&head).as_ref() == Some(to) && forward.stands_at(&[from])? {
            forward.install_index()?;
        }
        let mended = forward.mend()?;
        let mut told = words(place, &forward.record, &mended);
        if mended.is_forward && forward.stands_at(&[from])? {
            let moved = forward.move_branch()?;
            if moved.code == 0 {
                told.push_str("; it has been brought to its end");
            } else if forward.stands_at(&[from])? {
                // Files and index are ahead of the branch. Without the record nobody would know whose work that is.
                sync_files(&place.path, &mended.paths);
                let why = moved.complaint();
                told.push_str(&format!(
                    "; {} cannot follow yet: {why}",
                    short(&forward.record.target)
                ));
                return Ok(Some(told));
            }
        }
        forward.end(&mended.paths)?;
        Ok(Some(told))
    }
}

impl<'a> Forward<'a> {
    /// Takes the right; `None` when another git command has it.
    pub(super) fn begin(
        repo: &'a Repo,
        place: &'a Place,
        record: Record,
    ) -> Result<Option<Self>, GitError> {
        let dir = place.git_dir.join(DIR);
        remove_any(&dir)?;
        fault::at(Point::GitDirCreate)
            .and_then(|()| fs::create_dir(&dir))
            .map_err(GitError::io("create", &dir))?;
        let path = dir.join(RECORD);
        let made = fault::at(Point::GitFileCreate).and_then(|()| File::create_new(&path));
        let made = made.and_then(|mut file| {
            fault::write(Point::GitFileWrite, &mut file, record.text.as_bytes())?;
            file.sync_all()?;
            File::open(&dir)?.sync_all()?;
            File::open(&place.git_dir)?.sync_all()?;
            file.lock()?;
            Ok(file)
        });
        let file = made.map_err(GitError::io("write", &path))?;
        if !link(&record, &path, &place.git_dir.join(LOCK))? {
            remove_any(&dir)?;
            return Ok(None);
        }
        let forward = Self {
            repo,
            place,
            record,
            file,
        };
        forward.lay_out(&dir)?;
        Ok(Some(forward))
    }

    /// Makes the directory one that git can work in, with its own HEAD and index.
    fn lay_out(&self, dir: &Path) -> Result<(), GitError> {
        let git_dir = &self.place.git_dir;
        let common = self.repo.git_dir().as_os_str().as_encoded_bytes();
        write(&dir.join("commondir"), &[common, b"\n"].concat())?;
        for name in ["config.worktree", "info/sparse-checkout"] {
            if let Some(above) = dir.join(name).parent() {
                fault::at(Point::GitDirCreate)
                    .and_then(|()| fs::create_dir_all(above))
                    .map_err(GitError::io("create", above))?;
            }
            copy_plain(&git_dir.join(name), &dir.join(name), &mut 1)?;
        }
        for path in entries(git_dir)? {
            let name = path.file_name().unwrap_or_default();
            if name.as_encoded_bytes().starts_with(b"sharedindex.") {
                copy_index(&path, &dir.join(name))?;
            }
        }
        let index = git_dir.join("index");
        if index.is_file() {
            copy_index(&index, &dir.join("index"))?;
        }
        let head = format!("{}\n", self.record.from);
        write(&dir.join("HEAD"), head.as_bytes())
    }

    pub(super) fn dir(&self) -> PathBuf {
        self.place.git_dir.join(DIR)
    }

    /// Whether the checkout is on the target, and that stands at one of these.
    fn stands_at(&self, places: &[&Oid]) -> Result<bool, GitError> {
        let head = fs::read_to_string(self.place.git_dir.join("HEAD")).unwrap_or_default();
        let target = &self.record.target;
        let tip = self.repo.tip(target)?;
        let is_on = head.trim_end().strip_prefix("ref: ") == Some(target);
        Ok(is_on && tip.is_some_and(|tip| places.contains(&&tip)))
    }

    /// Lets git bring files, a copy of the index and a HEAD of its own forward.
    pub(super) fn merge(&self) -> Result<Output, GitError> {
        let shared = self.file.try_clone();
        let shared = shared.map_err(GitError::io("open", &self.dir().join(RECORD)))?;
        let git = self.repo.git().on(&self.dir()).at(&self.place.path);
        git.call([
            "merge",
            "--ff-only",
            "--no-overwrite-ignore",
            "--no-autostash",
            "--no-verify-signatures",
            "--no-squash",
            "--no-stat",
            "--quiet",
        ])
        .arg(self.record.to.as_str())
        .options(OPTIONS)
        .holding(shared)
        .run()
    }

    /// Index and branch follow the files. If the branch has moved meanwhile, all goes back.
    fn settle(&self) -> Result<Moved, GitError> {
        let (index, before) = (
            self.place.git_dir.join("index"),
            self.dir().join("index.before"),
        );
        let kept = fs::hard_link(&index, &before).or_else(|_| fs::copy(&index, &before).map(drop));
        kept.map_err(GitError::io("copy", &index))?;
        self.install_index()?;
        let moved = self.move_branch()?;
        fault::past(Point::PublishForwarded);
        if moved.code == 0 {
            let Record { from, to, .. } = &self.record;
            let changes = self.repo.changes_between(from, to)?;
            let paths: Vec<PathBuf> = changes.into_iter().map(|change| change.path).collect();
            self.end(&paths)?;
        } else {
            fs::rename(&before, &index).map_err(GitError::io("put back", &index))?;
            let mended = self.mend()?;
            self.end(&mended.paths)?;
        }
        Ok(Moved::Ended(moved.complaint()))
    }

    /// Compare and swap, by way of HEAD: its lock is taken before the branch's.
    pub(super) fn move_branch(&self) -> Result<Output, GitError> {
        let git = self.repo.git().on(&self.place.git_dir);
        let Record { from, to, .. } = &self.record;
        let _moving = self.repo.ledger().moving();
        git.call(["update-ref", "-m", "harness: publish", "HEAD"])
            .args([to.as_str(), from.as_str()])
            .run()
    }

    /// Puts the index that git has made in its place.
    pub(super) fn install_index(&self) -> Result<(), GitError> {
        let (made, index) = (self.dir().join("index"), self.place.git_dir.join("index"));
        match fault::at(Point::GitFileRename).and_then(|()| fs::rename(&made, &index)) {
            // It was done before.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            done => done
                .and_then(|()| File::open(&self.place.git_dir)?.sync_all())
                .map_err(GitError::io("write", &index)),
        }
    }

    fn mend(&self) -> Result<Mended, GitError> {
        let Record { from, to, .. } = &self.record;
        self.repo.mend_files(self.place, &self.dir(), from, to)
    }

    /// Gives the right back, after seeing to it that these files are on the disk.
    fn end(&self, paths: &[PathBuf]) -> Result<(), GitError> {
        remove_file(&self.place.git_dir.join(LOCK))?;
        sync_files(&self.place.path, paths);
        remove_any(&self.dir())?;
        // It must not come back with a power cut, when a person has gone on.
        let git_dir = &self.place.git_dir;
        let synced = File::open(git_dir).and_then(|dir| dir.sync_all());
        synced.map_err(GitError::io("sync", git_dir))
    }
}

/// The record of a checkout, opened: its own file, or what stands as its lock.
fn trace(place: &Place) -> Option<(Record, File)> {
    let paths = [
        place.git_dir.join(DIR).join(RECORD),
        place.git_dir.join(LOCK),
    ];
    let mut found = paths.iter();
    found.find_map(|path| Some((Record::read(path)?, File::open(path).ok()?)))
}

/// Whether a file is a record of a checkout that is, or was, being moved forward.
pub(super) fn is_record(path: &Path) -> bool {
    Record::read(path).is_some()
}

/// Locks a record; `false` when whoever has it open does not end in time.
fn lock_in_time(file: &File, patience: Duration) -> Result<bool, GitError> {
    let until = Instant::now() + patience;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::WouldBlock) if Instant::now() < until => {
                std::thread::sleep(LOOK_AGAIN);
            }
            Err(TryLockError::WouldBlock) => return Ok(false),
            Err(TryLockError::Error(error)) => {
                return Err(GitError::io("lock", Path::new(RECORD))(error));
            }
        }
    }
}

/// Makes the record the checkout's lock; `false` when there is one.
fn link(record: &Record, path: &Path, lock: &Path) -> Result<bool, GitError> {
    let made = fault::at(Point::GitFileCreate).and_then(|()| fs::hard_link(path, lock));
    let made = made.or_else(|error| match error.kind() {
        ErrorKind::AlreadyExists => Err(error),
        // A file system without links.
        _ => File::create_new(lock)?.write_all(record.text.as_bytes()),
    });
    match made {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(GitError::io("lock", lock)(error)),
    }
}

fn words(place: &Place, record: &Record, mended: &Mended) -> String {
    let path = place.path.display();
    let (from, to) = (record.from.short(), record.to.short());
    let mut told = format!("{path}: moving it from {from} to {to} was cut off; ");
    told.push_str(&match mended.paths.len() {
        0 => "its files are whole".to_owned(),
        1 => "one file that git had begun with was put right".to_owned(),
        many => format!("{many} files that git had begun with were put right"),
    });
    for (file, why) in &mended.left {
        told.push_str(&format!("; {file} is left as it is: {why}"));
    }
    told
}
