//! Looks at what the user may have changed: specs, order, markers, HALT, inbox.

use super::command;
use super::crew::{Crew, by_slug};
use super::preflight::graph_problems;
use super::watch::{About, Changed, Watch};
use crate::core::State;
use crate::fault::{self, Point};
use crate::model::{Backlog, Command, FeatureSpec, Input, Problem, Severity};
use crate::spec::Scanner;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::rc::Rc;

/// Specs whose directories are watched one by one; beyond that, changes inside them are found by the
/// slow timer. (The kernel's own limit is per user and shared with editors.)
const MAX_WATCHED: usize = 2_000;

/// Sees the user's files on the run's behalf.
pub(super) struct Lookout {
    crew: Rc<Crew>,
    scanner: Scanner,
    pub(super) watch: Watch,
    due: Changed,
    first: Option<Vec<FeatureSpec>>,
    /// Files of the inbox that were told of because nobody can read them.
    unknown: BTreeSet<PathBuf>,
}

/// What one look brought.
#[derive(Default)]
pub(super) struct Look {
    pub(super) inputs: Vec<Input>,
    pub(super) warnings: Vec<String>,
    /// What people asked for; among the inputs as well.
    pub(super) wishes: Vec<Command>,
    /// Files of the inbox, to be removed once their commands are in the journal.
    pub(super) consumed: Vec<PathBuf>,
}

impl Lookout {
    pub(super) fn new(crew: Rc<Crew>, scanner: Scanner) -> Self {
        let root = crew.place.repo.root().to_owned();
        let mut watch = Watch::new();
        let specs = &crew.config.specs;
        watch.cover(&root.join(&specs.dir), About::Backlog);
        if let Some(dir) = root.join(&specs.order_file).parent() {
            watch.cover(dir, About::Backlog);
        }
        // A directory that does not exist cannot be watched.
        let inbox = crew.place.inbox();
        let _ = fault::at(Point::StateCreate).and_then(|()| std::fs::create_dir_all(&inbox));
        watch.cover(&inbox, About::Inbox);
        watch.cover(&crew.place.state_dir, About::Markers);
        let first: Vec<FeatureSpec> = crew.features.borrow().values().cloned().collect();
        let mut lookout = Self {
            crew,
            scanner,
            watch,
            due: Changed {
                backlog: true,
                state: true,
            },
            first: Some(first),
            unknown: BTreeSet::new(),
        };
        lookout.cover_specs();
        lookout
    }

    /// Something may have changed.
    pub(super) fn expect(&mut self, changed: Changed) {
        self.due.backlog |= changed.backlog;
        self.due.state |= changed.state;
    }

    /// Looks. Must be called after the observations of the same turn were received: a marker that a
    /// finished write made must be seen by the look that follows it.
    pub(super) fn look(&mut self, state: &State) -> Look {
        let mut look = Look::default();
        let due = std::mem::take(&mut self.due);
        let mut backlog = Backlog::default();
        match self.crew.memory.halt() {
            Ok(halt) => backlog.halt = halt,
            Err(error) => look.warnings.push(error.to_string()),
        }
        backlog.features = self.first.take();
        if due.backlog {
            backlog.features = self.scan(&mut look.warnings).or(backlog.features);
        }
        if due.state {
            match self.crew.memory.done_markers() {
                Ok(done) => {
                    self.due.state = state.has_unsettled_marker(&done);
                    backlog.done = Some(done);
                }
                Err(error) => look.warnings.push(error.to_string()),
            }
            self.read_inbox(&mut look);
        }
        look.inputs.push(Input::Looked(backlog));
        look
    }

    fn read_inbox(&mut self, look: &mut Look) {
        let left = command::left(&self.crew.place.inbox());
        let commands = left.commands.iter().cloned().map(Input::Commanded);
        look.inputs.extend(commands);
        look.wishes = left.commands;
        look.consumed = left.files;
        for file in left.unknown {
            if self.unknown.insert(file.clone()) {
                look.warnings.push(format!(
                    "{} holds no command that this harness knows; it stays there for one that does",
                    file.display()
                ));
            }
        }
    }

    fn scan(&mut self, warnings: &mut Vec<String>) -> Option<Vec<FeatureSpec>> {
        let mut loaded = self.scanner.scan();
        while self.cover_specs() {
            // What came into a directory before it was watched is seen by one more look.
            loaded = self.scanner.scan().or(loaded);
        }
        let loaded = loaded?;
        let mut problems = loaded.problems.clone();
        problems.extend(graph_problems(&loaded));
        warnings.extend(problems.iter().map(Problem::to_string));
        if problems.iter().any(|p| p.severity == Severity::Error) {
            warnings.push("the specs stay as they were until this is mended".to_owned());
            return None;
        }
        *self.crew.features.borrow_mut() = by_slug(loaded.features.clone());
        Some(loaded.features)
    }

    /// Watches the directories of specs, also those that have none yet; whether there is a new one.
    fn cover_specs(&mut self) -> bool {
        let mut is_new = false;
        for dir in self.scanner.dirs().take(MAX_WATCHED) {
            is_new |= self.watch.cover(&dir, About::Backlog);
        }
        is_new
    }
}

/// Removes inbox files whose commands are in the journal.
pub(super) fn remove(files: &[PathBuf]) {
    for file in files {
        // Should it stay, the command is given again, which changes nothing.
        let _ = fault::at(Point::StateRemove).and_then(|()| std::fs::remove_file(file));
    }
}
