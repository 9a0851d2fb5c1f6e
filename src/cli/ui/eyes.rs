//! Looking at a run again and again, so that as little as possible is done where nothing has changed.
//!
//! Never draws, and never changes anything.

use super::super::Desk;
use super::super::desk::{self, Failure};
use super::super::status::{Seen, seen};
use super::show::SHARE;
use super::specs::Specs;
use crate::config::Flags;
use crate::core::State;
use crate::driver::{Place, Reading, Watch};
use crate::learnings::Memory;
use crate::model::Slug;
use crate::report;
use crate::ui::Facts;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// So often the picture is made anew although nothing has changed that is looked for: of a run, because times go on, and of
/// none, because of all that is not looked for.
const LIVE: Duration = Duration::from_secs(1);
const IDLE: Duration = Duration::from_secs(10);

/// What a picture was made of.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Basis {
    seq: u64,
    live: Option<u32>,
    halt: Option<String>,
}

/// Somebody who looks at a run.
pub(super) struct Eyes<'a> {
    pub(super) desk: &'a Desk,
    place: &'a Place,
    journal: Watch,
    seen: Option<Seen>,
    basis: Option<Basis>,
    /// How many pictures there were.
    pictures: u64,
    /// Why there could not be another one, or what is odd about it.
    trouble: Option<String>,
    /// When the picture was made or could not be, and what that took.
    made: Option<(Instant, Duration)>,
    /// What no run looks at while there is none.
    specs: Option<Specs>,
    /// So often there is another picture without a run, whatever happens.
    idle: Duration,
    /// Where worktrees are, as the configuration says.
    pub(super) worktrees: Option<PathBuf>,
    /// The branch that features land on, where no run says so.
    target: Option<String>,
}

impl<'a> Eyes<'a> {
    pub(super) fn new(desk: &'a Desk, place: &'a Place) -> Self {
        Self {
            desk,
            place,
            journal: Watch::of(place),
            seen: None,
            basis: None,
            pictures: 0,
            trouble: None,
            made: None,
            specs: None,
            idle: IDLE,
            worktrees: None,
            target: None,
        }
    }

    /// Takes a look; whether there is another picture. What cannot be looked at keeps the last picture.
    pub(super) fn look(&mut self, anew: bool) -> Result<bool, Failure> {
        let (_, live) = self.journal.look()?;
        let basis = Basis {
            seq: self.journal.state().seq(),
            live: live.as_ref().map(|holder| holder.pid),
            halt: self.halt(),
        };
        if !anew && !self.is_due(&basis) {
            return Ok(false);
        }
        let begun = Instant::now();
        let reading = Reading {
            state: self.journal.state().clone(),
            live,
        };
        if anew || self.target.is_none() {
            self.read_settings();
        }
        let seen = seen(self.desk, self.place, reading);
        // What could not be seen is not tried more often than what could.
        self.basis = Some(basis);
        self.made = Some((Instant::now(), begun.elapsed()));
        self.trouble = match &seen {
            Ok(seen) => seen.warnings.first().map(|odd| on_one_line(&odd.message)),
            Err(failure) => Some(trouble(failure)),
        };
        self.seen = Some(seen?);
        self.pictures += 1;
        Ok(true)
    }

    /// Reads what the journal says now, and nothing else.
    pub(super) fn catch_up(&mut self) -> Result<(), Failure> {
        self.journal.look()?;
        Ok(())
    }

    fn read_settings(&mut self) {
        if let Ok(loaded) = self.desk.load(self.place, Flags::default()) {
            let repo = &self.place.repo;
            let target = repo.target(loaded.config.target.as_deref());
            self.target = target.ok().map(|target| target.refname);
            // Before the picture is made: what changes from here on is seen.
            self.specs = Some(Specs::new(repo.root(), &loaded.config));
            self.worktrees = Some(loaded.config.worktrees.dir);
        }
    }

    fn is_due(&mut self, basis: &Basis) -> bool {
        let Some((made, took)) = self.made else {
            return true;
        };
        let age = made.elapsed();
        if age < took * SHARE {
            return false;
        }
        let is_live = basis.live.is_some();
        let usual = if is_live { LIVE } else { self.idle };
        let specs = self.specs.as_mut().filter(|_| !is_live);
        self.basis.as_ref() != Some(basis) || age >= usual || specs.is_some_and(Specs::have_changed)
    }

    /// Why the picture is not to be relied on, in words.
    pub(super) fn trouble(&self) -> Option<String> {
        self.trouble.clone()
    }

    /// Another number for each picture.
    pub(super) fn picture(&self) -> u64 {
        self.pictures
    }

    /// The last look.
    pub(super) fn seen(&self) -> Option<&Seen> {
        self.seen.as_ref()
    }

    /// The state as of the last look.
    pub(super) fn state(&self) -> &State {
        self.journal.state()
    }

    /// The branch that features land on.
    pub(super) fn target(&self) -> Option<String> {
        let glance = self.seen.as_ref()?.glance();
        let of_run = glance.view.run.as_ref().map(|run| run.target.clone());
        of_run.or_else(|| self.target.clone())
    }

    /// The last look in words.
    pub(super) fn facts(&self) -> Facts {
        let Some(seen) = &self.seen else {
            return Facts::default();
        };
        let glance = seen.glance();
        Facts {
            whole: report::on_screen(&report::whole(&glance)),
            notices: report::notices(&glance),
            rows: report::rows(&glance),
            paused: self.halt().is_some(),
        }
    }

    /// What the HALT file says; one that cannot be read says nothing.
    fn halt(&self) -> Option<String> {
        Memory::at(&self.place.state_dir).halt().ok().flatten()
    }

    /// The number of a feature's last iteration.
    pub(super) fn last_iteration(&self, slug: &Slug) -> u32 {
        self.state().last_iteration(slug)
    }
}

/// What keeps a look from being a true one, in words.
pub(super) fn trouble(failure: &Failure) -> String {
    on_one_line(&format!("not up to date: {}", desk::words(failure)))
}

fn on_one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    report::on_screen(&words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::path::Path;
    use std::process::Command;

    fn git(dir: &Path, args: &[&str]) {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=x", "-c", "user.email=x@example.org"]);
        git.args(args).current_dir(dir);
        git.env("GIT_CONFIG_GLOBAL", "/dev/null");
        git.env("GIT_CONFIG_NOSYSTEM", "1");
        assert!(git.status().unwrap().success());
    }

    fn slugs(eyes: &Eyes<'_>) -> Vec<String> {
        let rows = eyes.facts().rows.into_iter();
        rows.map(|row| row.slug.to_string()).collect()
    }

    /// Looks until there is another picture. Only one that never comes takes long.
    fn next(eyes: &mut Eyes<'_>) {
        let begun = Instant::now();
        while !eyes.look(false).unwrap_or(true) {
            assert!(begun.elapsed() < Duration::from_secs(60), "no picture");
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_spec_that_comes_or_changes_without_a_run_gives_a_picture() {
        let dir = tempfile::tempdir().unwrap();
        let spec = |name: &str, text: &str| {
            let dir = dir.path().join("specs").join(name);
            std::fs::create_dir_all(&dir).unwrap();
            std::fs::write(dir.join("spec.md"), text).unwrap();
        };
        spec("first", "# First\n");
        git(dir.path(), &["init", "-q"]);
        git(dir.path(), &["add", "-A"]);
        git(dir.path(), &["commit", "-qm", "specs"]);
        let desk = Desk {
            directory: dir.path().to_owned(),
            config_file: None,
            colour: false,
            env: BTreeMap::new(),
        };
        let place = desk.place().unwrap();
        let mut eyes = Eyes::new(&desk, &place);
        eyes.idle = Duration::MAX;
        eyes.look(true).unwrap();
        assert_eq!(slugs(&eyes), ["first"]);
        spec("second", "# Second\n");
        next(&mut eyes);
        assert_eq!(slugs(&eyes), ["first", "second"]);
        // One that does not read is told, and is there again when it is mended.
        spec("second", "---\ndepends_on: nobody\n---\n# Second\n");
        next(&mut eyes);
        assert!(eyes.trouble().is_some());
        spec("second", "# Second\n");
        next(&mut eyes);
        assert_eq!(eyes.trouble(), None);
        // A directory that gets its spec later.
        std::fs::create_dir(dir.path().join("specs/third")).unwrap();
        while eyes.look(false).unwrap() {}
        spec("third", "# Third\n");
        next(&mut eyes);
        assert_eq!(slugs(&eyes), ["first", "second", "third"]);
    }
}
