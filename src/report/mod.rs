//! Facts for eyes and programs: log lines, the status page, JSON, the plan, live bars, a run's summary.
//!
//! Everything an agent or a file said is shown on one line, cut to the width, with control characters
//! escaped. This room never prints (it returns text, or draws bars through indicatif), never decides
//! anything, and must never see the journal's files, git, processes or a clock: the time is handed in.

mod agents;
mod bars;
mod code;
mod columns;
mod conflicts;
mod doctor;
mod explain;
mod graph;
mod kept;
mod line;
mod live;
mod logs;
mod merge_line;
mod money;
mod morning;
mod notification;
mod plan;
mod prompts;
mod queue;
mod reason;
mod rehearsal;
mod run_diff;
mod runs;
mod schemas;
mod screen;
mod status;
mod steady;
mod summary;
mod table;
mod text;
mod why;
mod words;

#[cfg(test)]
mod tests;

pub use agents::{AgentHere, Turn};
pub use bars::{Bars, Terminal};
pub use code::{code_meaning, codes_table};
pub use columns::{Columns, name_cut};
pub use conflicts::{Conflict, Conflicts, Side};
pub use doctor::{Checkup, Finding, Urgency};
pub use explain::{Page, codes_list, pages, printed_codes};
pub use graph::{graph_dot, graph_json, graph_mermaid, graph_text};
pub use kept::{KeptState, KeptStates};
pub use line::{is_passing, line};
pub use logs::{LogFile, Logs, logs_json};
pub use morning::{
    Changed, Facts, Morning, morning, morning_html, morning_json, morning_markdown, morning_text,
};
pub use notification::{Notification, occasion};
pub use plan::{plan_json, plan_text};
pub use prompts::{PromptPair, prompt_diff};
pub use queue::{queue_json, queue_text};
pub use reason::Reason;
pub use rehearsal::{Past, Rehearsal, Room, Tried};
pub use run_diff::{run_diff_json, run_diff_text};
pub use runs::{Stats, runs_json, runs_text, stats_json, stats_text};
pub use schemas::{SCHEMAS, Schema};
pub use screen::{Part, Row, Work, notices, on_screen, rows, whole};
pub use status::status;
pub use summary::summary;
pub use table::{PlainNews, status_json, status_plain};
pub use text::{file_link, shell_word};
pub use why::{why_json, why_text};

use crate::core::{FeatureView, View};
use crate::model::{Slug, Stamp, Usage};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The picture at one moment, and what only a live run knows.
#[derive(Clone, Debug)]
pub struct Glance<'a> {
    /// The picture.
    pub view: &'a View,
    /// The moment.
    pub now: Stamp,
    /// Who is running it (`pid 4242 on laptop`); `None` when no run lives.
    pub live: Option<String>,
    /// What running agents have told so far; may be empty.
    pub heard: &'a BTreeMap<Slug, Heard>,
}

impl Glance<'_> {
    /// The last line of a running agent's output.
    fn words(&self, slug: &Slug) -> Option<&String> {
        self.heard.get(slug)?.words.as_ref()
    }

    /// The file that gets a running agent's output.
    fn output(&self, slug: &Slug) -> Option<&Path> {
        let output = &self.heard.get(slug)?.output;
        output.is_absolute().then_some(output)
    }

    /// Tokens of all iterations of a feature, of the one under way as far as it has told.
    fn tokens(&self, feature: &FeatureView) -> u64 {
        let now = self.used(&feature.slug).unwrap_or_default();
        feature.usage.plus(now).tokens()
    }

    /// What the iteration under way has used, as far as that is known.
    fn used(&self, slug: &Slug) -> Option<Usage> {
        self.heard.get(slug)?.used
    }
}

/// What a running agent has told so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// The last line of its output.
    pub words: Option<String>,
    /// What its call has used until now, where it tells that before it ends.
    pub used: Option<Usage>,
    /// The file that gets all of its output, absolute.
    pub output: PathBuf,
}
