//! The processors that the builds of all jobs share: a GNU jobserver, of which every make, cargo and ninja takes a
//! token before it starts one more process.
//!
//! It is an agreement between well-meaning programs, not a limit: whoever reads the FIFO can take or invent tokens.
//! This file must never fail or hold up a job, and never know what a job is for.
//!
//! How many tokens there are: a client runs one process without asking, so with `n` jobs under way, each with at
//! least one client, `processors - n` are left to hand out. Jobs begin and end, and tokens are added and taken
//! accordingly. To take one may have to wait until it is given back, and that is never waited for: it is tried
//! again with the next job, and by [`Builds::settle`]. Until then one process too many may run for each job that
//! began meanwhile.
//!
//! A client that is killed takes its tokens to the grave, and nobody can tell a token that is lost from one that is
//! held. So a pool in which a job ended badly is closed for new jobs, and those that come get a fresh one, under
//! another name. Jobs under way keep the FIFO they know. What there is to hand out is divided among the pools by the
//! number of their jobs, and what is lost counts as handed out, so all of them together never exceed what
//! there is. A pool goes with its last job, and its losses with it. Agents kill builds of their own, which nobody
//! here sees: therefore a pool is closed after so many jobs in any case, and one without jobs is counted afresh.

use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// After so many jobs a pool is closed, for what has been lost in it unseen.
const JOBS_A_POOL: u32 = 16;

/// How the builds of all jobs are kept from starting more at once than there are processors.
#[derive(Clone, Debug, Default)]
pub enum Builds {
    /// Not at all.
    #[default]
    Free,
    /// Each job's may start so many.
    Divided(u32),
    /// They share tokens. What knows no jobserver may start so many.
    Shared(Jobserver, u32),
}

impl Builds {
    /// As many for each as there are processors for one of `agents`, rounded up.
    #[must_use]
    pub fn divided(processors: u32, agents: u32) -> Self {
        Self::Divided(processors.div_ceil(agents.max(1)).max(1))
    }

    /// A jobserver for so many processors. Its FIFOs stand in `dir`, which is emptied, or below `temporary` if the
    /// name of `dir` holds anything that cannot be written into a variable of make's.
    ///
    /// # Errors
    /// When no FIFO can be made there.
    pub fn shared(dir: &Path, temporary: &Path, processors: u32, agents: u32) -> io::Result<Self> {
        let jobserver = Jobserver::open(dir, temporary, processors)?;
        let each = processors.div_ceil(agents.max(1)).max(1);
        Ok(Self::Shared(jobserver, each))
    }

    /// The directory of all FIFOs of this run, for whoever must let a job open them.
    #[must_use]
    pub fn dir(&self) -> Option<PathBuf> {
        match self {
            Self::Shared(jobserver, _) => Some(jobserver.pools().dir.clone()),
            _ => None,
        }
    }

    /// Takes tokens that were too many when they were in use.
    pub fn settle(&self) {
        if let Self::Shared(jobserver, _) = self {
            jobserver.pools().balance();
        }
    }

    /// Counts a job until its share is dropped.
    pub(super) fn begin(&self) -> Share {
        let (counted, each) = match self {
            Self::Free => (None, None),
            Self::Divided(each) => (None, Some(*each)),
            Self::Shared(jobserver, each) => {
                let (number, fifo) = jobserver.pools().begin();
                let counted = Counted {
                    jobserver: jobserver.clone(),
                    number,
                    fifo,
                    ended_well: false,
                };
                (Some(counted), Some(*each))
            }
        };
        Share { counted, each }
    }
}

/// One job's part. Dropped without [`Share::end`] the job counts as killed.
#[derive(Debug)]
pub(super) struct Share {
    counted: Option<Counted>,
    each: Option<u32>,
}

#[derive(Debug)]
struct Counted {
    jobserver: Jobserver,
    number: u32,
    fifo: PathBuf,
    ended_well: bool,
}

impl Share {
    /// The FIFO that the job's builds take their tokens from.
    pub(super) fn fifo(&self) -> Option<&Path> {
        self.counted.as_ref().map(|counted| counted.fifo.as_path())
    }

    /// Sets the variables that builds go by. What stands there is the user's own, and stays.
    pub(super) fn set(&self, env: &mut BTreeMap<OsString, OsString>) {
        let Some(each) = self.each else { return };
        let is_set = |name: &str| env.contains_key(OsStr::new(name));
        let has_makeflags = ["MAKEFLAGS", "GNUMAKEFLAGS", "CARGO_MAKEFLAGS"]
            .into_iter()
            .any(is_set);
        // cargo asks a jobserver, if there is one, instead of looking at its own variable.
        let has_jobs = is_set("CARGO_BUILD_JOBS");
        match self.fifo().filter(|_| !has_makeflags && !has_jobs) {
            Some(fifo) => {
                // The blank says that no bundle of one-letter flags comes first, as make itself does.
                let mut flags = OsString::from(" -j --jobserver-auth=fifo:");
                flags.push(fifo);
                env.insert("MAKEFLAGS".into(), flags);
            }
            // cmake hands this on as `-j`, which would take make and ninja out of a jobserver, and would
            // overrule flags of the user's.
            None if !has_makeflags => {
                env.entry("CMAKE_BUILD_PARALLEL_LEVEL".into())
                    .or_insert_with(|| each.to_string().into());
            }
            None => {}
        }
        env.entry("CARGO_BUILD_JOBS".into())
            .or_insert_with(|| each.to_string().into());
    }

    /// The job has ended; well, if no process of it was killed.
    pub(super) fn end(mut self, well: bool) {
        if let Some(counted) = &mut self.counted {
            counted.ended_well = well;
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.jobserver.pools().end(self.number, self.ended_well);
    }
}

/// The pools of a run.
#[derive(Clone, Debug)]
pub struct Jobserver(Arc<Mutex<Pools>>);

impl Jobserver {
    fn open(dir: &Path, temporary: &Path, processors: u32) -> io::Result<Self> {
        let dir = if is_plain(dir) {
            // What a killed run left.
            match fs::remove_dir_all(dir) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => private(dir)?,
            }
            dir.to_owned()
        } else {
            private_below(temporary)?
        };
        let mut pools = Pools {
            dir,
            processors,
            live: Vec::new(),
            opened: 0,
        };
        // From here on the directory goes when the pools go.
        pools.open()?;
        Ok(Self(Arc::new(Mutex::new(pools))))
    }

    fn pools(&self) -> MutexGuard<'_, Pools> {
        // Counts that a panic left half changed are put right by the next balance.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a path can stand in MAKEFLAGS: make and its clients cut at blanks, and make expands `$`.
fn is_plain(path: &Path) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-+@%,".contains(byte);
    path.is_absolute() && path.as_os_str().as_encoded_bytes().iter().all(is_plain)
}

fn private(dir: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(dir)
}

fn private_below(temporary: &Path) -> io::Result<PathBuf> {
    let base = if is_plain(temporary) {
        temporary
    } else {
        Path::new("/tmp")
    };
    let pid = std::process::id();
    let mut n = 0_u32;
    loop {
        let dir = base.join(format!("harness-jobs-{pid}-{n}"));
        match private(&dir) {
            Ok(()) => return Ok(dir),
            // Another run's, or left by one; somebody else's is not ours to remove.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && n < 1000 => n += 1,
            Err(error) => return Err(error),
        }
    }
}

/// All pools that jobs know; the last one is for new jobs.
#[derive(Debug)]
struct Pools {
    dir: PathBuf,
    processors: u32,
    live: Vec<Pool>,
    opened: u32,
}

#[derive(Debug)]
struct Pool {
    number: u32,
    path: PathBuf,
    /// Open for reading and writing, so that nobody ever sees its end.
    fifo: File,
    /// Under way.
    jobs: u32,
    /// Begun so far.
    begun: u32,
    /// Tokens in the FIFO, held by clients, or lost.
    issued: u32,
}

impl Pools {
    /// Opens a pool for the jobs to come.
    fn open(&mut self) -> io::Result<()> {
        self.opened += 1;
        let path = self.dir.join(format!("tokens-{}", self.opened));
        mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR)?;
        let flags = OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW;
        let fifo = File::options()
            .read(true)
            .write(true)
            .custom_flags(flags.bits())
            .open(&path)?;
        if !fifo.metadata()?.file_type().is_fifo() {
            return Err(io::Error::other(format!(
                "{} was replaced by something else",
                path.display()
            )));
        }
        self.live.push(Pool {
            number: self.opened,
            path,
            fifo,
            jobs: 0,
            begun: 0,
            issued: 0,
        });
        Ok(())
    }

    /// A new pool for new jobs. Without one the old pool serves on, with what it has lost.
    fn replace(&mut self) {
        if let Err(error) = self.open() {
            tracing::warn!(dir = %self.dir.display(), %error, "no new jobserver");
        }
    }

    fn begin(&mut self) -> (u32, PathBuf) {
        if self
            .live
            .last()
            .is_some_and(|pool| pool.begun >= JOBS_A_POOL)
        {
            self.replace();
        }
        // There is always one: the last is never closed.
        let Some(pool) = self.live.last_mut() else {
            return (0, PathBuf::new());
        };
        pool.jobs += 1;
        pool.begun += 1;
        let begun = (pool.number, pool.path.clone());
        self.balance();
        begun
    }

    fn end(&mut self, number: u32, well: bool) {
        let newest = self.opened;
        let Some(pool) = self.live.iter_mut().find(|pool| pool.number == number) else {
            return;
        };
        pool.jobs -= 1;
        if !well && number == newest {
            self.replace();
        }
        self.balance();
    }

    /// Closes pools that nobody needs, and brings each of the others to its share.
    fn balance(&mut self) {
        let last = self.live.last().map_or(0, |pool| pool.number);
        self.live.retain(|pool| {
            let is_needed = pool.jobs > 0 || pool.number == last;
            if !is_needed && let Err(error) = fs::remove_file(&pool.path) {
                tracing::debug!(path = %pool.path.display(), %error, "a FIFO stays");
            }
            is_needed
        });
        let mut running: u32 = self.live.iter().map(|pool| pool.jobs).sum();
        let mut spare = self.processors.saturating_sub(running);
        for pool in self.live.iter_mut().rev() {
            if pool.jobs == 0 {
                pool.empty();
                continue;
            }
            let share = u64::from(spare) * u64::from(pool.jobs);
            let share = share.div_ceil(u64::from(running));
            let share = u32::try_from(share).unwrap_or(spare);
            pool.hold(share);
            running -= pool.jobs;
            spare -= share;
        }
    }
}

impl Pool {
    /// Adds or takes tokens until there are so many, or until none can be had for now.
    fn hold(&mut self, share: u32) {
        while self.issued > share && self.take() {
            self.issued -= 1;
        }
        while self.issued < share && self.put() {
            self.issued += 1;
        }
    }

    /// Nobody can hold a token of a pool without jobs: it is counted afresh.
    fn empty(&mut self) {
        // Bounded, should somebody write all the while.
        for _ in 0..1 << 16 {
            if !self.take() {
                break;
            }
        }
        self.issued = 0;
    }

    fn take(&self) -> bool {
        matches!((&self.fifo).read(&mut [0]), Ok(1))
    }

    fn put(&self) -> bool {
        matches!((&self.fifo).write(b"+"), Ok(1))
    }
}

impl Drop for Pools {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.dir) {
            tracing::debug!(dir = %self.dir.display(), %error, "the jobserver's directory stays");
        }
    }
}

/// Whether a make that answers `--version` so takes the name of a FIFO: GNU make does from 4.4 on. Older ones stop
/// with an error.
#[must_use]
pub fn takes_fifo(version: &str) -> bool {
    let version = version
        .lines()
        .next()
        .and_then(|line| line.strip_prefix("GNU Make "));
    let mut numbers = version
        .unwrap_or_default()
        .split('.')
        .map(|part| part.trim().parse::<u32>());
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) >= (4, 4),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn builds(dir: &Path, processors: u32) -> (Builds, Jobserver) {
        let builds = Builds::shared(&dir.join("jobs"), dir, processors, 4).unwrap();
        let Builds::Shared(jobserver, _) = builds.clone() else {
            panic!("not shared");
        };
        (builds, jobserver)
    }

    /// Another open end of a FIFO, as a client has one.
    struct Client(File);

    impl Client {
        fn of(share: &Share) -> Self {
            let mut options = File::options();
            options.read(true).write(true);
            options.custom_flags(OFlag::O_NONBLOCK.bits());
            Self(options.open(share.fifo().unwrap()).unwrap())
        }

        fn take(&self) -> u32 {
            let mut count = 0;
            while matches!((&self.0).read(&mut [0]), Ok(1)) {
                count += 1;
            }
            count
        }

        fn give(&self, count: u32) {
            for _ in 0..count {
                (&self.0).write_all(b"+").unwrap();
            }
        }

        /// Tokens that are free now.
        fn free(&self) -> u32 {
            let count = self.take();
            self.give(count);
            count
        }
    }

    #[test]
    fn what_is_free_follows_the_jobs() {
        let dir = tempfile::tempdir().unwrap();
        let (builds, _) = builds(dir.path(), 4);
        let a = builds.begin();
        let client = Client::of(&a);
        assert_eq!(client.free(), 3);
        let b = builds.begin();
        assert_eq!(b.fifo(), a.fifo());
        assert_eq!(client.free(), 2);
        let more: Vec<Share> = (0..4).map(|_| builds.begin()).collect();
        assert_eq!(client.free(), 0, "more jobs than processors");
        more.into_iter().for_each(|share| share.end(true));
        assert_eq!(client.free(), 2);
        b.end(true);
        assert_eq!(client.free(), 3);
    }

    #[test]
    fn a_token_in_use_is_taken_when_it_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let (builds, _) = builds(dir.path(), 4);
        let a = builds.begin();
        let client = Client::of(&a);
        let held = client.take();
        let b = builds.begin();
        let c = builds.begin();
        client.give(held);
        builds.settle();
        assert_eq!(client.free(), 1);
        b.end(true);
        c.end(true);
        assert_eq!(client.free(), 3, "and comes back");
    }

    #[test]
    fn what_is_lost_goes_with_the_pool() {
        let dir = tempfile::tempdir().unwrap();
        let (builds, jobserver) = builds(dir.path(), 8);
        let killed = builds.begin();
        let stays = builds.begin();
        let old = Client::of(&stays);
        assert_eq!(old.take(), 6, "four of which are lost");
        old.give(2);
        drop(killed);
        assert_eq!(old.free(), 3, "nobody else runs; seven are out");
        let fresh = builds.begin();
        assert_ne!(fresh.fifo(), stays.fifo());
        let new = Client::of(&fresh);
        assert_eq!(new.free(), 3);
        assert_eq!(
            old.free(),
            0,
            "what is lost is of the old pool's share of 3"
        );
        let path = stays.fifo().unwrap().to_owned();
        assert!(path.exists(), "a job may open it at any time");
        stays.end(true);
        assert!(!path.exists());
        assert_eq!(new.free(), 7);
        assert_eq!(jobserver.pools().live.len(), 1);
    }

    #[test]
    fn a_pool_without_jobs_is_counted_afresh() {
        let dir = tempfile::tempdir().unwrap();
        let (builds, _) = builds(dir.path(), 4);
        let a = builds.begin();
        let client = Client::of(&a);
        assert_eq!(client.take(), 3, "and never given back");
        a.end(true);
        assert_eq!(client.free(), 0);
        let b = builds.begin();
        assert_eq!(client.free(), 3);
        client.give(9);
        b.end(true);
        let _c = builds.begin();
        assert_eq!(client.free(), 3, "what was invented is gone, too");
    }

    #[test]
    fn a_pool_serves_only_so_many_jobs() {
        let dir = tempfile::tempdir().unwrap();
        let (builds, _) = builds(dir.path(), 4);
        let first = builds.begin();
        for _ in 1..JOBS_A_POOL {
            let next = builds.begin();
            assert_eq!(next.fifo(), first.fifo());
            next.end(true);
        }
        let next = builds.begin();
        assert_ne!(next.fifo(), first.fifo());
        let free = Client::of(&next).free() + Client::of(&first).free();
        assert_eq!(free, 2);
    }

    #[test]
    fn all_pools_together_never_exceed_what_there_is() {
        let dir = tempfile::tempdir().unwrap();
        let (builds, jobserver) = builds(dir.path(), 7);
        let mut shares: Vec<Share> = Vec::new();
        // A fixed walk: begin, begin, end badly or well, and so on; nobody takes a token.
        for step in 0_u32..400 {
            match step * 7 % 5 {
                0 | 1 | 3 => shares.push(builds.begin()),
                _ if shares.is_empty() => {}
                _ => shares
                    .remove(step as usize % shares.len())
                    .end(step % 3 == 0),
            }
            if shares.len() > 9 {
                shares.remove(0).end(true);
            }
            let running = u32::try_from(shares.len()).unwrap();
            let pools = jobserver.pools();
            let issued: u32 = pools.live.iter().map(|pool| pool.issued).sum();
            let all = 7_u32.saturating_sub(running);
            assert_eq!(issued, if running == 0 { 0 } else { all });
        }
    }

    #[test]
    fn nothing_is_left_behind_and_what_was_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("jobs")).unwrap();
        fs::write(dir.path().join("jobs/tokens-1"), "left").unwrap();
        let (builds, jobserver) = builds(dir.path(), 4);
        drop(builds.begin());
        drop((builds, jobserver));
        assert!(!dir.path().join("jobs").exists());
    }

    #[test]
    fn a_name_that_make_cannot_read_is_avoided() {
        let dir = tempfile::tempdir().unwrap();
        let odd = dir.path().join("a b$c");
        let builds = Builds::shared(&odd, dir.path(), 4, 2).unwrap();
        let chosen = builds.dir().unwrap();
        assert_eq!(chosen.parent(), Some(dir.path()));
        assert!(!odd.exists());
        drop(builds);
        assert!(!chosen.exists());
    }

    fn env(names: &[(&str, &str)]) -> BTreeMap<OsString, OsString> {
        names
            .iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect()
    }

    #[test]
    fn what_the_user_sets_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (shared, _) = builds(dir.path(), 6);
        let share = shared.begin();
        let fifo = share.fifo().unwrap().to_str().unwrap();
        let flags = format!(" -j --jobserver-auth=fifo:{fifo}");
        let divided = Builds::divided(6, 4).begin();
        let free = Builds::Free.begin();
        for (share, given, expected) in [
            (
                &share,
                env(&[]),
                env(&[("MAKEFLAGS", &flags), ("CARGO_BUILD_JOBS", "2")]),
            ),
            (
                &share,
                env(&[("MAKEFLAGS", "-j9")]),
                env(&[("MAKEFLAGS", "-j9"), ("CARGO_BUILD_JOBS", "2")]),
            ),
            (
                &share,
                env(&[("CARGO_BUILD_JOBS", "9")]),
                env(&[
                    ("CARGO_BUILD_JOBS", "9"),
                    ("CMAKE_BUILD_PARALLEL_LEVEL", "2"),
                ]),
            ),
            (
                &divided,
                env(&[]),
                env(&[
                    ("CARGO_BUILD_JOBS", "2"),
                    ("CMAKE_BUILD_PARALLEL_LEVEL", "2"),
                ]),
            ),
            (
                &divided,
                env(&[("CMAKE_BUILD_PARALLEL_LEVEL", "8")]),
                env(&[
                    ("CARGO_BUILD_JOBS", "2"),
                    ("CMAKE_BUILD_PARALLEL_LEVEL", "8"),
                ]),
            ),
            (&free, env(&[]), env(&[])),
        ] {
            let mut got = given.clone();
            share.set(&mut got);
            assert_eq!(got, expected, "given {given:?}");
        }
    }

    #[test]
    fn each_gets_at_least_one() {
        for (processors, agents, each) in [(8, 4, 2), (2, 4, 1), (5, 4, 2), (1, 1, 1), (3, 0, 3)] {
            let builds = Builds::divided(processors, agents);
            assert!(
                matches!(builds, Builds::Divided(n) if n == each),
                "{builds:?}"
            );
        }
    }

    #[test]
    fn only_gnu_make_from_4_4_on_takes_a_fifo() {
        for (version, takes) in [
            ("GNU Make 4.3\nBuilt for x86_64", false),
            ("GNU Make 3.81", false),
            ("GNU Make 4.4", true),
            ("GNU Make 4.4.1\n", true),
            ("GNU Make 4.10", true),
            ("GNU Make 5.0", true),
            ("usage: make [-BPSXeiknpqrstv]", false),
            ("", false),
        ] {
            assert_eq!(takes_fifo(version), takes, "{version}");
        }
    }
}
