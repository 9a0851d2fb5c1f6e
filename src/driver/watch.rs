//! Tells when the user's files may have changed, so that nobody has to poll them.
//!
//! On Linux by inotify; elsewhere, and on file systems without events, by a slow timer. It says *that*
//! something changed and where to look, never what.

#[cfg(target_os = "linux")]
use std::ffi::OsStr;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long to trust the absence of events: some file systems (network, FUSE) send none.
#[cfg(target_os = "linux")]
const FALLBACK: Duration = Duration::from_secs(20);
/// The same where there are no events at all.
#[cfg(not(target_os = "linux"))]
const FALLBACK: Duration = Duration::from_secs(2);

/// What a directory is watched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum About {
    /// Specs, their directories, the order file.
    Backlog,
    /// Markers and HALT, beside which harness itself makes files all the time.
    Markers,
    /// Commands of people: whatever is put there.
    Inbox,
}

impl About {
    /// Whether it tells something that a file of this name came or went. Each look at the markers lists all files there,
    /// and a night makes thousands.
    #[cfg(target_os = "linux")]
    fn is_told_by(self, name: Option<&OsStr>) -> bool {
        let is_one = |name: &OsStr| {
            let is_marker = Path::new(name).extension().is_some_and(|end| end == "done");
            is_marker || name == "HALT" || name == "inbox"
        };
        // Without a name it is the directory itself.
        self != Self::Markers || name.is_none_or(is_one)
    }
}

/// What may have changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Changed {
    pub(super) backlog: bool,
    pub(super) state: bool,
}

impl Changed {
    const ALL: Self = Self {
        backlog: true,
        state: true,
    };
}

#[cfg(target_os = "linux")]
mod events {
    use super::{About, Changed};
    use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor};
    use std::collections::BTreeMap;
    use std::path::Path;
    use std::sync::Arc;
    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

    pub(super) struct Events {
        source: Arc<Inotify>,
        seen: UnboundedReceiver<Vec<InotifyEvent>>,
        about: BTreeMap<WatchDescriptor, About>,
    }

    impl Events {
        /// Starts a thread that sleeps in the kernel until something happens; it ends with the process.
        pub(super) fn new() -> Option<Self> {
            let source = Arc::new(Inotify::init(InitFlags::IN_CLOEXEC).ok()?);
            let (sender, seen) = unbounded_channel();
            let reader = Arc::clone(&source);
            std::thread::spawn(move || {
                while let Ok(events) = reader.read_events() {
                    if sender.send(events).is_err() {
                        return;
                    }
                }
            });
            Some(Self {
                source,
                seen,
                about: BTreeMap::new(),
            })
        }

        /// Whether it was not watched before.
        pub(super) fn watch(&mut self, dir: &Path, about: About) -> bool {
            let mut flags = AddWatchFlags::IN_CREATE
                | AddWatchFlags::IN_DELETE
                | AddWatchFlags::IN_MOVED_TO
                | AddWatchFlags::IN_MOVED_FROM
                | AddWatchFlags::IN_DELETE_SELF
                | AddWatchFlags::IN_ONLYDIR;
            if about == About::Backlog {
                // Of the state directory only names matter: harness itself writes there all the time.
                flags |= AddWatchFlags::IN_CLOSE_WRITE;
            }
            match self.source.add_watch(dir, flags) {
                Ok(descriptor) => {
                    // Watching again what is watched gives the same descriptor; a directory that was
                    // removed and made anew gives a new one.
                    let before = self.about.len();
                    self.about.entry(descriptor).or_insert(about);
                    self.about.len() > before
                }
                // The slow timer covers what the kernel refuses.
                Err(error) => {
                    tracing::debug!(%error, dir = %dir.display(), "not watched");
                    false
                }
            }
        }

        pub(super) async fn next(&mut self) -> Changed {
            let mut changed = Changed::default();
            while changed == Changed::default() {
                let Some(seen) = self.seen.recv().await else {
                    return std::future::pending().await;
                };
                for event in seen {
                    match self.about.get(&event.wd) {
                        Some(about) if !about.is_told_by(event.name.as_deref()) => {}
                        Some(About::Markers | About::Inbox) => changed.state = true,
                        Some(About::Backlog) => changed.backlog = true,
                        // The queue overflowed.
                        None => changed = Changed::ALL,
                    }
                }
            }
            changed
        }
    }
}

/// Watches directories.
pub(super) struct Watch {
    #[cfg(target_os = "linux")]
    events: Option<events::Events>,
    /// When to look although nothing was told. Kept here, because who waits for a change is interrupted all the time.
    due: Instant,
}

impl Watch {
    pub(super) fn new() -> Self {
        Self {
            #[cfg(target_os = "linux")]
            events: events::Events::new(),
            due: Instant::now() + FALLBACK,
        }
    }

    /// Watches a directory too, and says whether that is new; doing it twice is harmless.
    #[cfg(target_os = "linux")]
    pub(super) fn cover(&mut self, dir: &Path, about: About) -> bool {
        let events = self.events.as_mut();
        events.is_some_and(|events| events.watch(dir, about))
    }

    /// Without events there is nothing to set up.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn cover(&mut self, _dir: &Path, _about: About) -> bool {
        false
    }

    /// Completes when something may have changed.
    pub(super) async fn changed(&mut self) -> Changed {
        let due = tokio::time::sleep_until(self.due.into());
        #[cfg(target_os = "linux")]
        if let Some(events) = &mut self.events {
            tokio::select! {
                changed = events.next() => return changed,
                () = due => {}
            }
        } else {
            due.await;
        }
        #[cfg(not(target_os = "linux"))]
        due.await;
        self.due = Instant::now() + FALLBACK;
        Changed::ALL
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn of_the_files_beside_the_markers_none_is_told_of() {
        let dir = tempfile::tempdir().unwrap();
        let [state, inbox, specs] = ["state", "inbox", "specs"].map(|name| dir.path().join(name));
        for dir in [&state, &inbox, &specs] {
            std::fs::create_dir(dir).unwrap();
        }
        let mut watch = Watch::new();
        watch.cover(&state, About::Markers);
        watch.cover(&inbox, About::Inbox);
        watch.cover(&specs, About::Backlog);
        let told = |state, backlog| Changed { state, backlog };
        for name in ["a.log", ".new-1-x", "journal.jsonl"] {
            std::fs::write(state.join(name), "").unwrap();
        }
        // What happened first is told first.
        std::fs::create_dir(specs.join("b")).unwrap();
        assert_eq!(watch.changed().await, told(false, true));
        for (dir, name) in [(&state, "HALT"), (&state, "a.done"), (&inbox, "1.json")] {
            std::fs::write(dir.join(name), "").unwrap();
            assert_eq!(watch.changed().await, told(true, false), "{name}");
        }
        std::fs::remove_file(state.join("a.done")).unwrap();
        assert_eq!(watch.changed().await, told(true, false));
        for name in [None, Some("HALT"), Some("inbox"), Some("a.done")] {
            assert!(About::Markers.is_told_by(name.map(OsStr::new)), "{name:?}");
        }
        for name in ["a.log", "run.log", "done", "a.done.x", "HALT.log"] {
            assert!(!About::Markers.is_told_by(Some(OsStr::new(name))), "{name}");
            assert!(About::Inbox.is_told_by(Some(OsStr::new(name))), "{name}");
        }
    }

    /// The run stops waiting for a change whenever something else happens, and then waits anew.
    #[tokio::test]
    async fn the_slow_timer_does_not_begin_anew_with_every_wait() {
        let mut watch = Watch::new();
        let due = Instant::now() + Duration::from_secs(3600);
        watch.due = due;
        for _ in 0..3 {
            let interrupted = tokio::time::timeout(Duration::ZERO, watch.changed()).await;
            assert!(interrupted.is_err());
            assert_eq!(watch.due, due);
        }
        let due = Instant::now();
        watch.due = due;
        assert_eq!(watch.changed().await, Changed::ALL);
        assert!(watch.due > due);
    }
}
