//! Why a feature is not merged: the chain of reasons, down to what nobody but a person, time or the run itself can change.
//!
//! Says what the picture holds; it must never guess a reason that is not in it.

use super::Glance;
use super::line::{REASON_COLUMNS, with_reason};
use super::queue::waiting_words;
use super::reason::Reason;
use super::text::{branch, count, elapsed, escaped, names, reason, shown};
use super::words::{
    account_words, command, is_active, is_interrupted, left_out_words, stage_name, stage_shown,
    unblock, wait_text, what_it_changes,
};
use crate::core::{FeatureView, QueueView, QueueWait, Stage, Wait};
use crate::model::Slug;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Features that one reason names before it says how many more there are.
const MOST_NAMED: usize = 8;

/// Links below each other before it says that there are more.
const DEEPEST: usize = 50;
/// Links below each other that are moved in.
const DEEPEST_INDENT: usize = 20;

/// One link of the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Link {
    /// The feature it is about; `None`: the run.
    slug: Option<Slug>,
    /// The reason's stable name.
    code: Reason,
    /// The same for a person.
    text: String,
    /// What a person can say to change it.
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<String>,
    /// What it comes from.
    because: Vec<Link>,
}

impl Link {
    fn new(slug: Option<&Slug>, code: Reason, text: String) -> Self {
        Self {
            slug: slug.cloned(),
            code,
            text,
            command: None,
            because: Vec::new(),
        }
    }
}

/// The chain of reasons for a feature of the picture; `None` if it has no such feature.
fn chain(glance: &Glance<'_>, queue: &QueueView, slug: &Slug) -> Option<Link> {
    let features = glance.view.features.iter();
    let mut teller = Teller {
        glance,
        queue,
        features: features.map(|feature| (&feature.slug, feature)).collect(),
        told: BTreeSet::new(),
        depth: 0,
    };
    teller.told.insert(slug.clone());
    let feature = teller.features.get(slug).copied()?;
    Some(teller.feature(feature))
}

/// Why the feature is not merged, each reason below what comes of it; `None` if the picture has no such feature.
#[must_use]
pub fn why_text(glance: &Glance<'_>, queue: &QueueView, slug: &Slug) -> Option<String> {
    let chain = chain(glance, queue, slug)?;
    let mut out = String::new();
    write(&mut out, &chain, 0);
    Some(out)
}

/// `{"schema":"harness.why","version":1,"slug":…,"why":{"slug","code","text","command","because":[…]}}`.
#[must_use]
pub fn why_json(glance: &Glance<'_>, queue: &QueueView, slug: &Slug) -> Option<Value> {
    let chain = chain(glance, queue, slug)?;
    Some(json!({
        "schema": "harness.why",
        "version": 1,
        "slug": slug,
        "live": glance.live.is_some(),
        "why": chain,
    }))
}

fn write(out: &mut String, link: &Link, depth: usize) {
    let indent = "  ".repeat(depth.min(DEEPEST_INDENT));
    let _ = writeln!(out, "{indent}{} [{}]", link.text, link.code.name());
    if let Some(command) = &link.command {
        let _ = writeln!(out, "{indent}  $ {command}");
    }
    for cause in &link.because {
        write(out, cause, depth + 1);
    }
}

struct Teller<'a> {
    glance: &'a Glance<'a>,
    queue: &'a QueueView,
    features: BTreeMap<&'a Slug, &'a FeatureView>,
    /// Of each feature the reasons are told once.
    told: BTreeSet<Slug>,
    depth: usize,
}

impl<'a> Teller<'a> {
    fn feature(&mut self, feature: &'a FeatureView) -> Link {
        let slug = &feature.slug;
        let (code, text) = first_reason(self.glance, feature);
        let mut link = Link::new(Some(slug), code, format!("{slug}: {text}"));
        link.command = command(feature);
        if feature.unselected && !is_active(feature.stage) {
            if feature.stage != Stage::Merged {
                link.because.extend(self.no_run());
            }
            return link;
        }
        match feature.stage {
            stage if is_interrupted(stage, self.glance.live.is_some()) => {
                link.because.extend(self.no_run());
            }
            Stage::Waiting | Stage::Skipped => {
                for wait in &feature.waits {
                    self.wait(&mut link, wait);
                }
                // Whatever else it waits for leads to a feature, and what that one waits for.
                if feature.waits.iter().all(|it| matches!(it, Wait::Time(_))) {
                    link.because.extend(self.no_run());
                }
            }
            Stage::Queued => self.queued(&mut link, feature),
            Stage::Review => link.because.extend(self.ways_on(slug)),
            Stage::Merged => link.because.extend(self.unpublished(slug)),
            _ => {}
        }
        if let Some(why) = &feature.skip {
            let text = with_reason(
                "a person wants it left out, as soon as nothing is under way for it",
                why,
            );
            link.because
                .push(Link::new(Some(slug), Reason::LeftOut, text));
        }
        if let Some(back) = &feature.sent_back {
            let text = match &back.red {
                Some(red) => format!(
                    "sent back by the merge queue (round {}): `{}` fails on the merge with what has landed",
                    back.round,
                    shown(red, 120)
                ),
                None => format!(
                    "sent back by the merge queue (round {}): it conflicts with what has landed in {}",
                    back.round,
                    names(back.paths.iter().map(String::as_str))
                ),
            };
            link.because
                .push(Link::new(Some(slug), Reason::SentBack, text));
        }
        link
    }

    fn wait(&mut self, link: &mut Link, wait: &'a Wait) {
        match wait {
            Wait::Dependencies(slugs) | Wait::Hopeless(slugs) => self.others(link, slugs),
            Wait::After(slug) | Wait::Clash(slug) => self.others(link, std::slice::from_ref(slug)),
            Wait::Slot => link.because.extend(self.holders()),
            Wait::Account(name, _) => {
                let run = self.glance.view.run.iter();
                let mut accounts = run.flat_map(|run| &run.accounts);
                if let Some(account) = accounts.find(|account| account.name == *name) {
                    let (text, _) = account_words(account, self.glance.now);
                    link.because.push(Link::new(None, Reason::Account, text));
                }
            }
            Wait::Stopped => link.because.extend(self.stopped()),
            Wait::Time(_) | Wait::Budget | Wait::Deadline => {}
        }
    }

    fn others(&mut self, link: &mut Link, slugs: &'a [Slug]) {
        if self.depth >= DEEPEST {
            let text = format!("{}, and so on", names(slugs.iter().map(Slug::as_str)));
            link.because.push(Link::new(None, Reason::More, text));
            return;
        }
        self.depth += 1;
        for slug in slugs.iter().take(MOST_NAMED) {
            if !self.told.insert(slug.clone()) {
                let text = format!("{slug}: as told");
                link.because
                    .push(Link::new(Some(slug), Reason::AsTold, text));
                continue;
            }
            let cause = match self.features.get(slug).copied() {
                Some(feature) => self.feature(feature),
                None => Link::new(
                    Some(slug),
                    Reason::NoSpec,
                    format!("{slug}: it has no spec"),
                ),
            };
            link.because.push(cause);
        }
        if slugs.len() > MOST_NAMED {
            let text = format!("and {} more", count(slugs.len() - MOST_NAMED));
            link.because.push(Link::new(None, Reason::More, text));
        }
        self.depth -= 1;
    }

    /// Those at work, where no slot is free.
    fn holders(&self) -> Vec<Link> {
        let at_work = |stage| matches!(stage, Stage::Preparing | Stage::Working | Stage::Between);
        let now = self.glance.now;
        let features = self.glance.view.features.iter();
        let holders = features.filter(|feature| at_work(feature.stage));
        let links = holders.map(|feature| {
            let slug = &feature.slug;
            let stage = stage_shown(feature.stage, self.glance.live.is_some());
            let since = elapsed(now.since_ms(feature.since));
            let text = format!("{slug} has a slot: {stage} for {since}");
            Link::new(Some(slug), Reason::HasASlot, text)
        });
        links.take(MOST_NAMED).collect()
    }

    fn stopped(&self) -> Option<Link> {
        let run = self.glance.view.run.as_ref()?;
        if let Some(halt) = self.halt() {
            return Some(halt);
        }
        let link = |code, text: String| Some(Link::new(None, code, text));
        if run.stop.is_some() {
            return link(Reason::Stopping, "the run was asked to stop".to_owned());
        }
        if run.iterations >= run.max_iterations {
            let text = format!(
                "the run's {} iterations are used up (run.max_iterations)",
                run.max_iterations
            );
            return link(Reason::Iterations, text);
        }
        link(
            Reason::Halted,
            "another feature has halted, and `run.on_halt: stop` ends the run".to_owned(),
        )
    }

    /// The HALT file, if there is one.
    fn halt(&self) -> Option<Link> {
        let reason = self.glance.view.halt.as_ref()?;
        let text = format!("HALT: {}", shown(reason, 400));
        let mut link = Link::new(None, Reason::Halt, text);
        link.command = Some("harness resume".to_owned());
        Some(link)
    }

    /// Without a run nothing starts, and with a HALT file none starts anything.
    fn no_run(&self) -> Vec<Link> {
        if self.glance.live.is_some() {
            return Vec::new();
        }
        let mut link = Link::new(None, Reason::NoRun, "no run is going on".to_owned());
        link.command = Some("harness run".to_owned());
        self.halt().into_iter().chain([link]).collect()
    }

    fn queued(&mut self, link: &mut Link, feature: &'a FeatureView) {
        let queue = self.queue;
        let Some(queued) = queue.waiting.iter().find(|it| it.slug == feature.slug) else {
            return;
        };
        let live = self.glance.live.is_some();
        let usual = queue.gate_ms.filter(|_| live);
        let words = waiting_words(queued, usual, self.glance.now);
        let text = format!(
            "claimed {} ago; {words}",
            elapsed(self.glance.now.since_ms(queued.since))
        );
        let code = match &queued.waits {
            Some(QueueWait::Attempt) => Reason::ConflictsWithAttempt,
            Some(QueueWait::Base) => Reason::BaseBroken,
            Some(QueueWait::RightOfWay(_)) => Reason::RightOfWay,
            Some(QueueWait::Dependency) => Reason::Needs,
            Some(QueueWait::Time(_)) => Reason::Time,
            None => Reason::Turn,
        };
        let mut own = Link::new(Some(&feature.slug), code, text);
        match &queued.waits {
            Some(QueueWait::RightOfWay(slug)) => self.others(&mut own, std::slice::from_ref(slug)),
            Some(QueueWait::Dependency) => self.others(&mut own, &feature.depends_on),
            Some(QueueWait::Base) => {
                if let Some(command) = &queue.broken_base {
                    let text = format!(
                        "`{}` fails on {} by itself",
                        shown(command, 120),
                        branch(&queue.target)
                    );
                    own.because.push(Link::new(None, Reason::BaseBroken, text));
                }
            }
            _ => {}
        }
        link.because.push(own);
        link.because.extend(self.no_run());
    }

    /// What else a person can do about one that waits for their review.
    fn ways_on(&self, slug: &Slug) -> Vec<Link> {
        let run = self.glance.view.run.as_ref();
        let target = run.map_or("HEAD", |run| &run.target);
        let way = |text: &str, command: String| {
            let mut link = Link::new(Some(slug), Reason::Review, text.to_owned());
            link.command = Some(command);
            link
        };
        vec![
            way("what it changes", what_it_changes(target, slug)),
            way("to have it changed", unblock(slug)),
        ]
    }

    fn unpublished(&self, slug: &Slug) -> Option<Link> {
        let run = self.glance.view.run.as_ref()?;
        if !run.unpublished.contains(slug) {
            return None;
        }
        let why = run.publish_waits.as_deref().unwrap_or("it is being moved");
        let text = format!(
            "not in {} yet: {}",
            branch(&run.target),
            reason(why, REASON_COLUMNS)
        );
        Some(Link::new(Some(slug), Reason::Unpublished, text))
    }
}

/// What the feature's own record says, the first link of its chain: its name and its text.
pub(super) fn first_reason(glance: &Glance<'_>, feature: &FeatureView) -> (Reason, String) {
    let (now, live) = (glance.now, glance.live.is_some());
    if feature.unselected && !is_active(feature.stage) && feature.stage != Stage::Merged {
        return (Reason::Unselected, "not selected in this run".to_owned());
    }
    let stage = stage_shown(feature.stage, live);
    let detail = || {
        let detail = feature.detail.as_deref().unwrap_or_default();
        match reason(detail, REASON_COLUMNS) {
            said if said.is_empty() => stage.to_owned(),
            said => format!("{stage}: {said}"),
        }
    };
    let since = || format!("{stage} for {}", elapsed(now.since_ms(feature.since)));
    match feature.stage {
        Stage::Waiting | Stage::Skipped => waiting(glance, feature),
        _ if is_interrupted(feature.stage, live) => (
            Reason::Interrupted,
            "the run that worked on it was cut off".to_owned(),
        ),
        Stage::Preparing => (Reason::Preparing, since()),
        Stage::Working => (
            Reason::Working,
            format!("iteration {}: {}", feature.iteration, since()),
        ),
        Stage::Between => (
            Reason::Between,
            format!("after iteration {}: {}", feature.iteration, since()),
        ),
        Stage::Queued => (Reason::Queued, "done, waiting to be merged".to_owned()),
        Stage::Gating => (Reason::Gating, since()),
        Stage::Landing => (Reason::Landing, since()),
        Stage::Merged if feature.empty => (Reason::Merged, "merged: it changes nothing".to_owned()),
        Stage::Merged => match &feature.commit {
            Some(commit) => (Reason::Merged, format!("merged as {}", commit.short())),
            None => (Reason::Merged, "merged, as its .done file says".to_owned()),
        },
        Stage::Blocked => (Reason::Blocked, detail()),
        Stage::Tripped => (Reason::Tripped, detail()),
        Stage::Parked => (Reason::Parked, detail()),
        Stage::Failed => (Reason::Failed, detail()),
        Stage::Review => (
            Reason::Review,
            match detail() {
                plain if plain == stage => "done, and waits for a review".to_owned(),
                said => format!("done, and waits for a {said}"),
            },
        ),
        Stage::LeftOut => (
            Reason::LeftOut,
            format!("left out {}", left_out_words(feature)),
        ),
    }
}

fn waiting(glance: &Glance<'_>, feature: &FeatureView) -> (Reason, String) {
    let Some(first) = feature.waits.first() else {
        return match &glance.view.halt {
            Some(_) => (Reason::Halt, "held back by HALT".to_owned()),
            None => (Reason::Ready, "ready".to_owned()),
        };
    };
    let code = match first {
        Wait::Dependencies(_) => Reason::Needs,
        Wait::Hopeless(_) => Reason::NeedsHelp,
        Wait::After(_) => Reason::After,
        Wait::Clash(_) => Reason::Clash,
        Wait::Time(_) => Reason::Time,
        Wait::Account(..) => Reason::Account,
        Wait::Slot => Reason::Slot,
        Wait::Budget => Reason::Budget,
        Wait::Deadline => Reason::Deadline,
        Wait::Stopped => Reason::Stopped,
    };
    let mut parts: Vec<String> = feature
        .waits
        .iter()
        .map(|wait| wait_text(wait, glance.now))
        .collect();
    if let Some(trouble) = &feature.detail {
        parts.push(format!("last try: {}", reason(trouble, REASON_COLUMNS)));
    }
    let stage = stage_name(feature.stage);
    (code, format!("{stage}: {}", escaped(&parts.join("; "))))
}

#[cfg(test)]
mod tests;
