//! The texts beside the list: made of what the commands of the same names say.
//!
//! Reads only.

use super::eyes::Eyes;
use crate::core::{FeatureView, graph, queue};
use crate::driver::{Place, work_of, worktree_of};
use crate::model::Slug;
use crate::report::{Part, Work, graph_text, on_screen, why_text};
use crate::ui::{Look, Page, Pane, Text, Wanted};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// How much of the end of a log is shown.
const LOG_BYTES: u64 = 512 << 10;
/// Columns of the graph: whoever draws it cuts it.
const GRAPH_COLUMNS: usize = 500;

/// A text that can be made at once; `None`: the difference, which takes longer.
pub(super) fn page(eyes: &Eyes<'_>, place: &Place, wanted: &Wanted) -> Option<Page> {
    let seen = eyes.seen()?;
    let glance = seen.glance();
    if wanted.pane == Pane::Graph {
        let text = graph_text(&graph(glance.view), GRAPH_COLUMNS, false);
        return Some(of_lines("", &text, graph_look));
    }
    let Some(slug) = &wanted.slug else {
        return Some(said("no feature is selected"));
    };
    match wanted.pane {
        Pane::Log => Some(log(eyes, place, slug, wanted.output)),
        Pane::Why => {
            let text = why_text(&glance, &queue(&seen.state, seen.now), slug);
            let text = text.unwrap_or_default();
            Some(of_lines("", &text, why_look))
        }
        Pane::Diff | Pane::Graph => None,
    }
}

/// A page that only says something about itself.
pub(super) fn said(title: &str) -> Page {
    Page {
        title: on_screen(title),
        lines: Vec::new(),
    }
}

fn of_lines(title: &str, text: &str, look: fn(&str) -> Look) -> Page {
    let lines = text.lines().map(|line| Text {
        text: on_screen(line.strip_suffix('\r').unwrap_or(line)),
        look: look(line),
    });
    Page {
        title: title.to_owned(),
        lines: lines.collect(),
    }
}

fn log(eyes: &Eyes<'_>, place: &Place, slug: &Slug, output: bool) -> Page {
    let iteration = eyes.last_iteration(slug);
    let (path, title, none) = match output {
        true => (
            place.records(slug, iteration).join("output.log"),
            format!("printed in iteration {iteration}"),
            "its agent has printed nothing yet",
        ),
        false => (
            place.state_dir.join(format!("{slug}.log")),
            String::new(),
            "no log yet: it gets one when its first iteration ends; o shows what its agent prints",
        ),
    };
    match end_of(&path) {
        Some((text, is_all)) if !text.is_empty() => {
            let mut page = of_lines(
                &title,
                &text,
                if output { |_| Look::Plain } else { log_look },
            );
            if !is_all {
                let note = Text {
                    text: format!(
                        "… only the end of {}",
                        on_screen(&path.display().to_string())
                    ),
                    look: Look::Dim,
                };
                page.lines.insert(0, note);
            }
            page
        }
        _ => said(none),
    }
}

/// The end of a file, from the beginning of a line on, and whether that is all of it.
fn end_of(path: &Path) -> Option<(String, bool)> {
    let mut file = std::fs::File::open(path).ok()?;
    let meta = file.metadata().ok().filter(std::fs::Metadata::is_file)?;
    let from = meta.len().saturating_sub(LOG_BYTES);
    file.seek(SeekFrom::Start(from)).ok()?;
    let mut bytes = Vec::new();
    file.take(LOG_BYTES).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    match text.split_once('\n').filter(|_| from > 0) {
        Some((_, whole)) => Some((whole.to_owned(), false)),
        None => Some((text, from == 0)),
    }
}

fn log_look(line: &str) -> Look {
    match line.starts_with('#') {
        true => Look::Strong,
        false => Look::Plain,
    }
}

fn why_look(line: &str) -> Look {
    match line.trim_start().starts_with("$ ") {
        true => Look::Strong,
        false => Look::Plain,
    }
}

fn graph_look(line: &str) -> Look {
    let sign = line.chars().find(|c| "✓●◆✗○".contains(*c));
    match sign {
        Some('✓') => Look::Landed,
        Some('●' | '◆') => Look::Busy,
        Some('✗') => Look::Urgent,
        _ => Look::Plain,
    }
}

/// What is needed to tell what a feature has changed, whoever does it.
pub(super) struct Question {
    place: Place,
    feature: FeatureView,
    worktree: Option<PathBuf>,
    target: String,
}

impl Question {
    /// `None`: nothing is known of such a feature.
    pub(super) fn new(eyes: &Eyes<'_>, place: &Place, slug: &Slug) -> Option<Self> {
        let glance = eyes.seen()?.glance();
        let feature = glance.view.features.iter().find(|it| it.slug == *slug)?;
        let dir = eyes.worktrees.as_ref();
        Some(Self {
            place: place.clone(),
            worktree: dir.and_then(|dir| worktree_of(place, dir, feature)),
            feature: feature.clone(),
            target: eyes.target()?,
        })
    }

    /// May take long.
    pub(super) fn answer(self) -> Page {
        let worktree = self.worktree.as_deref();
        match work_of(&self.place, &self.feature, worktree, &self.target) {
            Ok(Some(work)) if work.lines.is_empty() => {
                said(&format!("nothing yet: {}", work.title))
            }
            Ok(Some(work)) => difference(work),
            Ok(None) => said("nothing yet"),
            Err(error) => said(&error.to_string()),
        }
    }
}

fn difference(work: Work) -> Page {
    let lines = work.lines.into_iter().map(|(part, text)| Text {
        text: on_screen(&text),
        look: match part {
            Part::File => Look::Strong,
            Part::Place => Look::Place,
            Part::Same => Look::Plain,
            Part::Added => Look::Added,
            Part::Removed => Look::Removed,
            Part::Note => Look::Dim,
        },
    });
    Page {
        title: on_screen(&work.title),
        lines: lines.collect(),
    }
}
