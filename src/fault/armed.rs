//! What makes a place dangerous: the order in `HARNESS_FAULT`, the passes that were counted, the list of them.
//!
//! It must never know what a place does.

use super::{Kind, Point};
use nix::errno::Errno;
use nix::sys::signal::{Signal, raise};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// What is to happen, and where.
const ORDER: &str = "HARNESS_FAULT";
/// The file that every pass is written to.
const LOG: &str = "HARNESS_FAULT_LOG";

static PLAN: OnceLock<Plan> = OnceLock::new();

#[derive(Debug)]
struct Plan {
    order: Option<Order>,
    log: Option<File>,
    passes: Vec<AtomicU32>,
}

/// What is to happen at one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Order {
    point: Point,
    nth: u32,
    /// Also at every later pass.
    lasts: bool,
    what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Crash,
    Fail(Errno),
}

/// Takes the orders out of an environment; to be called once, before anything else.
///
/// # Errors
/// An order that cannot be followed, in a sentence.
pub fn arm(env: &mut BTreeMap<OsString, OsString>) -> Result<(), String> {
    let mut variable = |name: &str| env.remove(OsStr::new(name));
    let order = variable(ORDER).map(|text| Order::parse(&text.to_string_lossy()));
    let log = variable(LOG).map(|file| {
        let opened = OpenOptions::new().create(true).append(true).open(&file);
        opened.map_err(|error| format!("{LOG}: cannot open {}: {error}", file.display()))
    });
    let plan = Plan {
        order: order.transpose()?,
        log: log.transpose()?,
        passes: Point::ALL.iter().map(|_| AtomicU32::new(0)).collect(),
    };
    if plan.order.is_some() || plan.log.is_some() {
        // Somebody who arms a second time has said the same.
        let _ = PLAN.set(plan);
    }
    Ok(())
}

/// A call that may fail comes next.
///
/// # Errors
/// The one that was ordered.
pub fn at(point: Point) -> io::Result<()> {
    match pass(point) {
        None => Ok(()),
        Some(What::Crash) => die(),
        Some(What::Fail(errno)) => Err(errno.into()),
    }
}

/// A step is done.
pub fn past(point: Point) {
    if pass(point).is_some() {
        die();
    }
}

/// Writes all of `bytes`, or half of them before what was ordered happens.
///
/// # Errors
/// What the writer says, or the one that was ordered.
pub fn write(point: Point, to: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    let Some(what) = pass(point) else {
        return to.write_all(bytes);
    };
    to.write_all(&bytes[..bytes.len() / 2])?;
    match what {
        What::Crash => die(),
        What::Fail(errno) => Err(errno.into()),
    }
}

/// Counts and lists a pass; gives what is to happen.
fn pass(point: Point) -> Option<What> {
    let plan = PLAN.get()?;
    let passes = plan.passes.get(point as usize)?;
    let pass = passes.fetch_add(1, Ordering::Relaxed) + 1;
    let order = plan.order.filter(|order| order.point == point);
    let struck = order.filter(|order| pass == order.nth || order.lasts && pass > order.nth);
    if let Some(mut log) = plan.log.as_ref() {
        let mark = if struck.is_some() { "!" } else { "" };
        // One write a line: threads must not mix theirs. The test that reads it finds out what is missing.
        let _ = log.write_all(format!("{}{mark}\n", point.name()).as_bytes());
    }
    struck.map(|order| order.what)
}

/// Ends this process as `kill -9` does: nothing is dropped, nothing flushed, nobody told.
fn die() -> ! {
    let _ = raise(Signal::SIGKILL);
    std::process::abort()
}

impl Order {
    fn parse(text: &str) -> Result<Self, String> {
        let shown = text.escape_debug();
        let wrong = |why: String| format!("{ORDER}=`{shown}`: {why}");
        let (place, what) = text.rsplit_once('=').ok_or_else(|| {
            wrong("it must read <point>[#<nth>[+]]=<crash or the name of an error>".to_owned())
        })?;
        let (name, count) = place.split_once('#').unwrap_or((place, "1"));
        let (count, lasts) = match count.strip_suffix('+') {
            Some(count) => (count, true),
            None => (count, false),
        };
        let point = Point::ALL.iter().copied();
        let point = point.into_iter().find(|point| point.name() == name);
        let point =
            point.ok_or_else(|| wrong(format!("there is no point `{}`", name.escape_debug())))?;
        let nth = count.parse().ok().filter(|nth| *nth > 0);
        let nth = nth.ok_or_else(|| {
            let count = count.escape_debug();
            wrong(format!(
                "`{count}` is not the number of a pass, which begin at 1"
            ))
        })?;
        let what = What::parse(what).map_err(&wrong)?;
        if what != What::Crash && point.kind() == Kind::Step {
            return Err(wrong(format!("nothing can fail at `{name}`, only `crash`")));
        }
        Ok(Self {
            point,
            nth,
            lasts,
            what,
        })
    }
}

impl What {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(match text {
            "crash" => Self::Crash,
            "ENOSPC" => Self::Fail(Errno::ENOSPC),
            "EIO" => Self::Fail(Errno::EIO),
            "EROFS" => Self::Fail(Errno::EROFS),
            "EMFILE" => Self::Fail(Errno::EMFILE),
            "EAGAIN" => Self::Fail(Errno::EAGAIN),
            other => {
                let other = other.escape_debug();
                return Err(format!(
                    "`{other}` is neither `crash` nor ENOSPC, EIO, EROFS, EMFILE or EAGAIN"
                ));
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_names_point_pass_and_what_happens() {
        let order = |text| Order::parse(text).unwrap();
        let plain = order("journal.sync=crash");
        assert_eq!(plain.point, Point::JournalSync);
        assert_eq!(
            (plain.nth, plain.lasts, plain.what),
            (1, false, What::Crash)
        );
        let third = order("git.call#3=EAGAIN");
        assert_eq!((third.nth, third.what), (3, What::Fail(Errno::EAGAIN)));
        let lasting = order("memory.write#2+=ENOSPC");
        assert!(lasting.lasts && lasting.nth == 2);
    }

    #[test]
    fn an_order_that_cannot_be_followed_is_refused_with_its_reason() {
        for (text, why) in [
            ("", "must read"),
            ("journal.sync", "must read"),
            ("nowhere=crash", "no point `nowhere`"),
            ("git.call#0=crash", "begin at 1"),
            ("git.call#x=crash", "`x` is not"),
            ("git.call#+=crash", "`` is not"),
            ("git.call=EPERM", "`EPERM` is neither"),
            ("git.done=EIO", "nothing can fail at `git.done`"),
        ] {
            let told = Order::parse(text).unwrap_err();
            assert!(told.contains(why), "{text}: {told}");
            assert!(told.starts_with("HARNESS_FAULT=`"), "{told}");
        }
    }

    #[test]
    fn names_are_given_once_and_say_whose_they_are() {
        let mut names: Vec<&str> = Point::ALL.iter().map(|point| point.name()).collect();
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
        assert!(names.iter().all(|name| name.split('.').count() == 2));
    }

    #[test]
    fn what_is_not_armed_writes_everything() {
        let mut written = Vec::new();
        at(Point::JournalOpen).unwrap();
        past(Point::JournalSynced);
        write(Point::JournalWrite, &mut written, b"all of it").unwrap();
        assert_eq!(written, b"all of it");
    }
}
