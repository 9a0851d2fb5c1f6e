//! The texts beside the list: made of what the commands of the same names say.
//!
//! Reads only.

use super::super::logs::open_log;
use super::eyes::Eyes;
use crate::core::{FeatureView, graph, queue};
use crate::driver::{Place, work_of, worktree_of};
use crate::model::Slug;
use crate::report::{Part, Work, graph_text, on_screen, why_text};
use crate::ui::{Look, Page, Pane, Text, Wanted};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// How much of the end of a log is shown.
const LOG_BYTES: u64 = 512 << 10;

/// A text that can be made at once; `None`: the difference, which takes longer.
pub(super) fn page(eyes: &Eyes<'_>, place: &Place, wanted: &Wanted) -> Option<Page> {
    let seen = eyes.seen()?;
    let glance = seen.glance();
    if wanted.pane == Pane::Graph {
        let text = graph_text(
            &graph(glance.view),
            glance.live.is_some(),
            wanted.columns.unwrap_or_default(),
            false,
        );
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

/// What a text is made of: when that is the same, so is the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    wanted: Wanted,
    /// Of which picture; a log is of none.
    picture: Option<u64>,
    /// Files, how long each is, and when it was written.
    files: Vec<(PathBuf, Option<(u64, SystemTime)>)>,
}

impl Origin {
    pub(super) fn of(eyes: &Eyes<'_>, place: &Place, wanted: &Wanted) -> Self {
        let slug = wanted.slug.as_ref().filter(|_| wanted.pane == Pane::Log);
        let files = slug.map(|slug| log_files(eyes, place, slug));
        Self {
            wanted: wanted.clone(),
            picture: (wanted.pane != Pane::Log).then(|| eyes.picture()),
            files: files
                .into_iter()
                .flatten()
                .map(|file| {
                    let meta = std::fs::metadata(&file).ok();
                    let meta = meta.and_then(|meta| Some((meta.len(), meta.modified().ok()?)));
                    (file, meta)
                })
                .collect(),
        }
    }

    /// Whether it is the same text, perhaps as it was earlier.
    pub(super) fn is_of(&self, wanted: &Wanted) -> bool {
        self.wanted == *wanted
    }
}

/// A feature's log, and what its agent prints.
fn log_files(eyes: &Eyes<'_>, place: &Place, slug: &Slug) -> [PathBuf; 2] {
    let printed = place.records(slug, eyes.last_iteration(slug));
    [
        place.state_dir.join(format!("{slug}.log")),
        printed.join("output.log"),
    ]
}

/// A page that only says something about itself.
pub(super) fn said(title: &str) -> Page {
    Page {
        title: on_screen(title),
        lines: Vec::new(),
    }
}

fn of_lines(title: &str, text: &str, look: fn(&str) -> Look) -> Page {
    let lines = text.lines().map(|line| {
        // Of a line that was written over and over, what was there last.
        let line = line.trim_end_matches('\r').rsplit('\r').next();
        Text {
            text: on_screen(line.unwrap_or_default()),
            look: look(line.unwrap_or_default()),
        }
    });
    Page {
        title: title.to_owned(),
        lines: lines.collect(),
    }
}

/// The feature's log; until there is one, or where it is asked for, what its agent prints.
fn log(eyes: &Eyes<'_>, place: &Place, slug: &Slug, output: bool) -> Page {
    let [log, printed] = log_files(eyes, place, slug);
    let written = if output {
        None
    } else {
        end_of(&log, "", log_look)
    };
    if let Some(page) = written {
        return page;
    }
    let iteration = eyes.last_iteration(slug);
    let title = match output {
        true => format!("iteration {iteration}"),
        false => format!("none yet; what its agent prints in iteration {iteration}"),
    };
    let printed = end_of(&printed, &title, |_| Look::Plain);
    printed.unwrap_or_else(|| {
        said(match output {
            true => "nothing yet: what its agent prints stands here while it works and afterwards",
            false => "nothing yet: a log begins when the first iteration ends",
        })
    })
}

/// The end of a file, from the beginning of a line on; `None`: there is nothing in it.
fn end_of(path: &Path, title: &str, look: fn(&str) -> Look) -> Option<Page> {
    let (mut file, length) = open_log(path)?;
    let from = length.saturating_sub(LOG_BYTES);
    file.seek(SeekFrom::Start(from)).ok()?;
    let mut bytes = Vec::new();
    file.take(LOG_BYTES).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let whole = text.split_once('\n').filter(|_| from > 0);
    let mut page = of_lines(title, whole.map_or(&*text, |(_, whole)| whole), look);
    if page.lines.is_empty() {
        return None;
    }
    if from > 0 {
        let before = Text {
            text: on_screen(&format!("… only the end of {}", path.display())),
            look: Look::Dim,
        };
        page.lines.insert(0, before);
    }
    Some(page)
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
