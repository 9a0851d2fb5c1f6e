//! The morning report: what a run did, for whoever reads it the next day.
//!
//! [`morning`] composes a [`Morning`] out of a run's history, the picture at its end and a few facts of the repository;
//! one file a format shows it. All its texts are fit to be shown: characters that act are written out. It must never
//! look at files or git itself, and never print.

mod compose;
mod gantt;
mod html;
mod json;
mod markdown;
mod need;
mod parts;
mod smells;
mod terminal;
mod timeline;

#[cfg(test)]
mod tests;

pub use compose::morning;
pub use html::morning_html;
pub use json::morning_json;
pub use markdown::morning_markdown;
pub use terminal::morning_text;

pub(super) use json::usage as usage_json;
pub(super) use parts::usage as usage_cells;

use crate::core::{AttemptResult, FirstClaim, IterationResult, StepCause};
use crate::model::{Oid, Slug, Stamp, Usage};
use jiff::tz::TimeZone;
use std::collections::BTreeMap;

/// What git and the state directory say of a run.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Who runs it now, if it lives.
    pub live: Option<String>,
    /// What landed features changed.
    pub changes: BTreeMap<Slug, Changed>,
    /// The verify commands that the logs of attempts show.
    pub commands: BTreeMap<u32, Vec<String>>,
    /// The time zone of whoever reads it.
    pub zone: TimeZone,
}

/// What a landed commit changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// Files that differ.
    pub files: usize,
    /// Lines added.
    pub insertions: usize,
    /// Lines removed.
    pub deletions: usize,
    /// Files that are gone.
    pub removed: Vec<String>,
}

/// The report of one run.
#[derive(Clone, Debug)]
pub struct Morning {
    pub(super) zone: TimeZone,
    pub(super) run: RunPart,
    /// All of it in one sentence.
    pub(super) sentence: String,
    pub(super) needs: Vec<Need>,
    pub(super) landed: Vec<LandedPart>,
    pub(super) smells: Vec<Smell>,
    pub(super) timeline: Timeline,
    pub(super) cost: Cost,
    pub(super) learnings: Vec<Learning>,
    pub(super) next: Vec<Next>,
}

impl Morning {
    /// Leaves out links to what is not there. Paths are below the state directory.
    pub fn keep_links(&mut self, is_there: impl Fn(&str) -> bool) {
        let needs = self.needs.iter_mut().map(|need| &mut need.links);
        let landed = self.landed.iter_mut().map(|landed| &mut landed.links);
        for links in needs.chain(landed) {
            links.retain(|link| is_there(&link.path));
        }
    }

    /// The run it is about.
    #[must_use]
    pub fn run_id(&self) -> &str {
        &self.run.id
    }
}

#[derive(Clone, Debug)]
pub(super) struct RunPart {
    pub(super) id: String,
    pub(super) target: String,
    pub(super) state: RunState,
    pub(super) started: Stamp,
    pub(super) last: Stamp,
    pub(super) slept_ms: u64,
    pub(super) parallel: u32,
    pub(super) iterations: u32,
    pub(super) codes: Vec<u8>,
    /// Features that are neither merged nor need a person.
    pub(super) open: usize,
    /// Features that a person left out.
    pub(super) left_out: usize,
    /// Features that were merged before.
    pub(super) earlier: usize,
}

/// Whether a run has ended, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RunState {
    Ended,
    CutOff,
    Running,
}

/// Something that waits for a person.
#[derive(Clone, Debug)]
pub(super) struct Need {
    /// The feature; `None`: it concerns the run.
    pub(super) slug: Option<Slug>,
    pub(super) title: String,
    /// A stable name: the feature's stage, or what of the run.
    pub(super) kind: &'static str,
    /// The question or reason, in lines.
    pub(super) why: String,
    /// What there is to see: a heading and lines.
    pub(super) evidence: Vec<(String, String)>,
    pub(super) commands: Vec<String>,
    pub(super) links: Vec<Link>,
}

/// A file below the state directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) name: String,
    pub(super) path: String,
}

/// A feature that landed in this run.
#[derive(Clone, Debug)]
pub(super) struct LandedPart {
    pub(super) slug: Slug,
    pub(super) title: String,
    pub(super) commit: Oid,
    pub(super) at: Stamp,
    pub(super) empty: bool,
    pub(super) published: bool,
    pub(super) changes: Option<Changed>,
    pub(super) summary: String,
    pub(super) proof: Proof,
    pub(super) iterations: u32,
    pub(super) work_ms: u64,
    pub(super) usage: Usage,
    pub(super) agents: Vec<String>,
    pub(super) first: FirstClaim,
    pub(super) links: Vec<Link>,
}

/// What stands behind a landing.
#[derive(Clone, Debug)]
pub(super) struct Proof {
    /// A stable name.
    pub(super) kind: &'static str,
    pub(super) tree: Option<Oid>,
    pub(super) commands: Vec<String>,
    pub(super) gate_ms: u64,
    /// Who was gated with it.
    pub(super) with: Vec<Slug>,
}

/// Something that may be worth a look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Smell {
    pub(super) slug: Option<Slug>,
    pub(super) code: &'static str,
    pub(super) text: String,
}

/// Who did what when.
#[derive(Clone, Debug)]
pub(super) struct Timeline {
    pub(super) from: Stamp,
    pub(super) to: Stamp,
    pub(super) lanes: Vec<LanePart>,
    pub(super) asleep: Vec<(Stamp, Stamp)>,
    pub(super) critical: Vec<StepPart>,
}

#[derive(Clone, Debug)]
pub(super) struct LanePart {
    pub(super) kind: LaneKind,
    pub(super) number: usize,
    pub(super) bars: Vec<Bar>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LaneKind {
    Slot,
    Account,
    Queue,
}

#[derive(Clone, Debug)]
pub(super) struct Bar {
    pub(super) slugs: Vec<Slug>,
    pub(super) what: What,
    pub(super) from: Stamp,
    pub(super) to: Stamp,
    pub(super) is_critical: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Preparing,
    Iteration {
        number: u32,
        result: IterationResult,
    },
    Between,
    Account,
    Attempt {
        number: u32,
        result: AttemptResult,
    },
}

#[derive(Clone, Debug)]
pub(super) struct StepPart {
    pub(super) slugs: Vec<Slug>,
    pub(super) attempt: Option<u32>,
    pub(super) iterations: u32,
    pub(super) from: Stamp,
    pub(super) to: Stamp,
    pub(super) cause: StepCause,
    /// Between the step before it, or the run's beginning, and this one.
    pub(super) waited_ms: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Cost {
    pub(super) total: Usage,
    /// What is left of the run's budget, in words.
    pub(super) left: Option<String>,
    pub(super) agents: Vec<AgentRow>,
    pub(super) features: Vec<FeatureRow>,
}

#[derive(Clone, Debug)]
pub(super) struct AgentRow {
    pub(super) name: String,
    pub(super) iterations: u32,
    pub(super) failed: u32,
    pub(super) work_ms: u64,
    pub(super) usage: Usage,
    pub(super) landed: u32,
    pub(super) first_claims: u32,
    pub(super) first_passed: u32,
}

#[derive(Clone, Debug)]
pub(super) struct FeatureRow {
    pub(super) slug: Slug,
    pub(super) iterations: u32,
    pub(super) work_ms: u64,
    pub(super) usage: Usage,
}

/// A line that helps other features.
#[derive(Clone, Debug)]
pub(super) struct Learning {
    pub(super) slug: Slug,
    pub(super) iteration: u32,
    pub(super) text: String,
}

/// A feature that goes on in the next run.
#[derive(Clone, Debug)]
pub(super) struct Next {
    pub(super) slug: Slug,
    pub(super) title: String,
    /// Whether it would begin at once.
    pub(super) is_ready: bool,
    /// What it waits for, or how far it is.
    pub(super) why: String,
}
