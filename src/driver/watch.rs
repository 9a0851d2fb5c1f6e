//! Tells when the user's files may have changed, so that nobody has to poll them.
//!
//! On Linux by inotify; elsewhere, and on file systems without events, by a slow timer. It says *that*
//! something changed and where to look, never what.

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
    /// Markers, HALT, the inbox.
    State,
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
    use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};
    use std::path::Path;
    use std::sync::Arc;
    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

    pub(super) struct Events {
        source: Arc<Inotify>,
        seen: UnboundedReceiver<Vec<WatchDescriptor>>,
        about: Vec<(WatchDescriptor, About)>,
    }

    impl Events {
        /// Starts a thread that sleeps in the kernel until something happens; it ends with the process.
        pub(super) fn new() -> Option<Self> {
            let source = Arc::new(Inotify::init(InitFlags::IN_CLOEXEC).ok()?);
            let (sender, seen) = unbounded_channel();
            let reader = Arc::clone(&source);
            std::thread::spawn(move || {
                while let Ok(events) = reader.read_events() {
                    let which = events.iter().map(|event| event.wd).collect();
                    if sender.send(which).is_err() {
                        return;
                    }
                }
            });
            Some(Self {
                source,
                seen,
                about: Vec::new(),
            })
        }

        pub(super) fn watch(&mut self, dir: &Path, about: About) {
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
                    if !self.about.iter().any(|(known, _)| *known == descriptor) {
                        self.about.push((descriptor, about));
                    }
                }
                // The slow timer covers what the kernel refuses.
                Err(error) => tracing::debug!(%error, dir = %dir.display(), "not watched"),
            }
        }

        pub(super) async fn next(&mut self) -> Changed {
            let Some(which) = self.seen.recv().await else {
                return std::future::pending().await;
            };
            let mut changed = Changed::default();
            for descriptor in which {
                match self.about.iter().find(|(known, _)| *known == descriptor) {
                    Some((_, About::State)) => changed.state = true,
                    Some((_, About::Backlog)) => changed.backlog = true,
                    // The queue overflowed.
                    None => changed = Changed::ALL,
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

    /// Watches a directory too; doing it twice is harmless.
    #[cfg(target_os = "linux")]
    pub(super) fn cover(&mut self, dir: &Path, about: About) {
        if let Some(events) = &mut self.events {
            events.watch(dir, about);
        }
    }

    /// Without events there is nothing to set up.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn cover(&mut self, _dir: &Path, _about: About) {}

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
