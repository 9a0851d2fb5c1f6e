//! What a person is shown: a plain picture of the state.
//!
//! Computed when somebody looks; it may scan everything. Whoever looks says what the wall clock reads, and gets
//! all times by the wall clock as it stands now: the journal's own time does not follow when that is set.

use super::account_view::{AccountView, accounts, lost_account};
use super::agent_view::{AgentView, agent};
use super::budget::{allowed, run_used_up};
use super::budget_view::BudgetView;
use super::feature::{Feature, Phase};
use super::graph::GraphProblem;
use super::merge::base_failure;
use super::plan::plan;
use super::queue::{AttemptStage, Publishing};
use super::schedule::{admits, clash, hopeless_features, over_for_now, waits_after};
use super::stage::{Stage, stage};
use super::state::{Run, State};
use crate::model::{
    Budget, Containment, FeatureSpec, Finding, Oid, Slug, Stamp, StopLevel, Usage, WorktreeName,
};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Everything, for a person or a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct View {
    /// The current or last run.
    pub run: Option<RunView>,
    /// First line of the HALT file.
    pub halt: Option<String>,
    /// When the journal's last record was made, if that lies ahead: the clock was set back since, and nobody knows how
    /// much time has passed.
    pub ahead: Option<Stamp>,
    /// Every feature that has a spec or unfinished work, in the order of the plan.
    pub features: Vec<FeatureView>,
}

/// A run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RunView {
    /// Its name.
    pub id: String,
    /// The branch features land on, in full.
    pub target: String,
    /// What has landed: the integration ref's value as far as the journal knows.
    pub tip: Oid,
    /// The target's value as far as the journal knows.
    pub target_tip: Oid,
    /// Features that have landed and are not in the target yet.
    pub unpublished: Vec<Slug>,
    /// Why they are not, if something is in the way.
    pub publish_waits: Option<String>,
    /// What fails on the target by itself, if something does.
    pub broken_base: Option<String>,
    /// Whether others commit to the target faster than features land, so that these go one at a time.
    pub overtaken: bool,
    /// When it began.
    pub started: Stamp,
    /// When it ended.
    pub ended: Option<Stamp>,
    /// How long the machine slept meanwhile, in milliseconds.
    pub slept_ms: u64,
    /// How long nothing ran meanwhile because an account was closed, in milliseconds; the machine's sleep not counted.
    pub waited_ms: u64,
    /// Its exit codes, most urgent first; empty while it lives.
    pub codes: Vec<u8>,
    /// What keeps agents and commands in bounds.
    pub containment: Containment,
    /// Slots.
    pub parallel: u32,
    /// Agent calls so far.
    pub iterations: u32,
    /// Agent calls allowed.
    pub max_iterations: u32,
    /// How hard it was asked to stop.
    pub stop: Option<StopLevel>,
    /// When nothing is started any more that cannot land by then.
    pub until: Option<Stamp>,
    /// Whether that is so.
    pub time_up: bool,
    /// What the machine is short of, so that nothing is started while anything runs.
    pub strain: Option<String>,
    /// Accounts of agents that cannot be used, or are being tried again.
    pub accounts: Vec<AccountView>,
    /// What the agent said of the first account that this run can use no more.
    pub account: Option<String>,
    /// What its iterations used, also those that failed.
    pub usage: Usage,
    /// How much of what models were given came from the prompt cache, in percent; `None`: they were given nothing.
    pub cached_percent: Option<u32>,
    /// What it may use.
    pub budget: BudgetView,
    /// What a feature may use that has no budget of its own.
    pub feature_budget: Budget,
    /// What came to light in it that a person should know.
    pub findings: Vec<Finding>,
}

/// A feature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FeatureView {
    /// Its name.
    pub slug: Slug,
    /// Heading of its spec.
    pub title: String,
    /// Where it stands.
    pub stage: Stage,
    /// Since when: of a working feature, since its iteration began or ended.
    pub since: Stamp,
    /// Number of its last iteration.
    pub iteration: u32,
    /// Where it works.
    pub worktree: Option<WorktreeName>,
    /// First line of the agent's last note.
    pub last_words: String,
    /// The question, the breaker's reason, the conflict.
    pub detail: Option<String>,
    /// What it waits for.
    pub waits: Vec<Wait>,
    /// Why the merge queue gave it back to its agent, which has not been done with it since.
    pub sent_back: Option<SentBack>,
    /// Whether a person must see it before it lands.
    pub review: bool,
    /// Why a person wants it left out, while something is still under way for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skip: Option<String>,
    /// What it depends on.
    pub depends_on: Vec<Slug>,
    /// Length of the longest chain of features that begins with it.
    pub chain: u32,
    /// The commit that landed it.
    pub commit: Option<Oid>,
    /// Whether it landed without changing anything; the commit is then somebody else's.
    pub empty: bool,
    /// Whether the run is limited to others.
    pub unselected: bool,
    /// Who works on it, or would; `None` before the first run.
    pub agent: Option<AgentView>,
    /// Tokens and money so far, in all runs.
    pub usage: Usage,
    /// How much of what models were given came from the prompt cache, in percent.
    pub cached_percent: Option<u32>,
    /// What it may use until a person has it tried again.
    pub budget: BudgetView,
}

/// What the merge queue found wrong with a feature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SentBack {
    /// The command that fails on the merge; `None`: it conflicts.
    pub red: Option<String>,
    /// Where it conflicts.
    pub paths: Vec<String>,
    /// Which round this is, from 1.
    pub round: u32,
}

/// What a waiting feature waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "for", content = "what", rename_all = "snake_case")]
pub enum Wait {
    /// Features that have not landed.
    Dependencies(Vec<Slug>),
    /// Features that will not land without a person.
    Hopeless(Vec<Slug>),
    /// A feature that should end first.
    After(Slug),
    /// An active feature with the same lock or path.
    Clash(Slug),
    /// A point in time.
    Time(Stamp),
    /// An account that cannot be used now, and until when; `None`: until a person has helped.
    Account(String, Option<Stamp>),
    /// A free slot.
    Slot,
    /// The run's budget, of which nothing is left.
    Budget,
    /// The time that the run was given is up.
    Deadline,
    /// Nothing new is started.
    Stopped,
}

impl Wait {
    /// Whether it is a living run that it waits for: without one, what only a run could give is not what is missing.
    #[must_use]
    pub fn is_for_a_run(&self) -> bool {
        matches!(
            self,
            Self::Slot | Self::Budget | Self::Deadline | Self::Stopped
        )
    }
}

/// So far the last record may lie ahead of the wall clock without a word: clocks are corrected all the time.
const AHEAD_MS: u64 = 60_000;

/// The picture when the wall clock reads `now`.
#[must_use]
pub fn view(state: &State, now: Stamp) -> View {
    let last = state.wall_time(state.last_at);
    let ahead = (last.since_ms(now) > AHEAD_MS).then_some(last);
    let now = state.journal_time(now);
    let hopeless = hopeless_features(state);
    let mut over = Some(over_for_now(state));
    let order: BTreeMap<Slug, usize> = plan(state)
        .into_iter()
        .enumerate()
        .map(|(n, planned)| (planned.slug, n))
        .collect();
    let mut features: Vec<FeatureView> = state
        .features
        .values()
        .filter(|feature| feature.listed || feature.phase != Phase::Pending)
        .map(|feature| feature_view(state, feature, (&hopeless, &mut over), now))
        .collect();
    let last = order.len();
    features.sort_by_key(|f| (order.get(&f.slug).copied().unwrap_or(last), f.slug.clone()));
    View {
        run: state.run.as_ref().map(|run| RunView {
            id: run.id.to_string(),
            target: run.target.clone(),
            tip: run.tip.clone(),
            target_tip: run.target_tip.clone(),
            unpublished: state.unpublished().map(|(slug, _)| slug.clone()).collect(),
            publish_waits: publish_waits(state, run),
            broken_base: base_failure(state, run).map(|red| red.command.clone()),
            overtaken: state.merging.is_overtaken(),
            started: state.wall_time(run.started),
            ended: run.ended.as_ref().map(|ended| state.wall_time(ended.at)),
            slept_ms: run.slept_ms,
            waited_ms: run.waited_ms,
            codes: run
                .ended
                .as_ref()
                .map(|ended| ended.codes.clone())
                .unwrap_or_default(),
            containment: run.settings.containment.clone(),
            parallel: run.settings.parallel,
            iterations: run.iterations,
            max_iterations: run.settings.max_iterations,
            stop: run.stop,
            until: run
                .settings
                .until
                .as_ref()
                .map(|until| state.wall_time(until.at)),
            time_up: run.time_up,
            strain: run.strain.clone(),
            accounts: accounts(state, now),
            account: lost_account(state),
            usage: run.used,
            cached_percent: run.used.cached_percent(),
            budget: BudgetView::new(run.settings.budget.run, &run.used),
            feature_budget: run.settings.budget.feature,
            findings: run.findings.clone(),
        }),
        halt: state.halt.clone(),
        ahead,
        features,
    }
}

pub(super) fn publish_waits(state: &State, run: &Run) -> Option<String> {
    if run.tip == run.target_tip {
        return None;
    }
    match &state.merging.publishing {
        Publishing::Ready if run.settings.merge.publish => None,
        Publishing::Ready => Some(format!(
            "publishing is left to you: git merge --ff-only {}",
            run.tip
        )),
        Publishing::Waiting { why, .. } => Some(why.clone()),
        Publishing::Ahead => Some(format!(
            "the target has commits of its own ({}); they are merged next",
            run.target_tip.short()
        )),
        Publishing::Rewritten => Some(format!(
            "the target's history was rewritten; `git merge {}` brings in what has landed, `harness clean \
             --force` drops it, to be done again",
            run.tip.short()
        )),
    }
}

fn feature_view(
    state: &State,
    feature: &Feature,
    (hopeless, over): (&BTreeSet<Slug>, &mut Option<BTreeSet<Slug>>),
    now: Stamp,
) -> FeatureView {
    let slug = &feature.spec.slug;
    let (mut stage, detail) = stage(feature, hopeless.contains(slug));
    if let Phase::Integrating { attempt } = feature.phase {
        let attempt = state.merging.attempts.get(&attempt);
        if attempt.is_some_and(|found| matches!(found.stage, AttemptStage::Landing(_))) {
            stage = Stage::Landing;
        }
    }
    FeatureView {
        slug: slug.clone(),
        title: feature.spec.title.clone(),
        stage,
        since: state.wall_time(feature.since),
        iteration: feature.iterations,
        worktree: feature.worktree,
        last_words: feature.last_words.clone(),
        detail,
        waits: waits(state, feature, (hopeless, over), now),
        review: feature.spec.review,
        skip: feature.skip.clone(),
        sent_back: feature.handback.as_ref().map(|back| SentBack {
            red: back.red.as_ref().map(|red| red.command.clone()),
            paths: feature.conflicts.clone(),
            round: back.round,
        }),
        depends_on: feature.spec.depends_on.clone(),
        chain: state.graph.chain(slug),
        commit: match &feature.phase {
            Phase::Merged { commit } => commit.clone(),
            _ => None,
        },
        empty: feature.is_merged() && feature.empty,
        unselected: !state.is_selected(slug),
        agent: state.run.as_ref().map(|run| agent(run, feature)),
        usage: feature.usage,
        cached_percent: feature.usage.cached_percent(),
        budget: match &state.run {
            Some(run) => BudgetView::new(allowed(&run.settings, feature), &feature.spent),
            None => BudgetView::default(),
        },
    }
}

fn waits(
    state: &State,
    feature: &Feature,
    (hopeless, over): (&BTreeSet<Slug>, &mut Option<BTreeSet<Slug>>),
    now: Stamp,
) -> Vec<Wait> {
    if feature.phase != Phase::Pending {
        return Vec::new();
    }
    let mut waits = Vec::new();
    let (dead, open): (Vec<Slug>, Vec<Slug>) = feature
        .spec
        .depends_on
        .iter()
        .filter(|name| !state.is_merged(name))
        .cloned()
        .partition(|name| {
            hopeless.contains(name) || state.features.get(name).is_none_or(Feature::is_halted)
        });
    if !dead.is_empty() {
        waits.push(Wait::Hopeless(dead));
    }
    if !open.is_empty() {
        waits.push(Wait::Dependencies(open));
    }
    if let Some(name) = waits_after(state, feature, over) {
        waits.push(Wait::After(name.clone()));
    }
    if let Some(name) = clash(state, feature) {
        waits.push(Wait::Clash(name.clone()));
    }
    if feature.not_before > now {
        waits.push(Wait::Time(state.wall_time(feature.not_before)));
    }
    if let Some(run) = state.live().filter(|_| waits.is_empty()) {
        waits.extend(
            state
                .closed_account(run, feature, now)
                .map(|(name, until)| Wait::Account(name.to_owned(), until)),
        );
    }
    if let Some(run) = state.live().filter(|_| waits.is_empty()) {
        waits.push(if admits(state, run) {
            Wait::Slot
        } else if run_used_up(run).is_some() {
            Wait::Budget
        } else if run.time_up {
            Wait::Deadline
        } else {
            Wait::Stopped
        });
    }
    waits
}

/// Selected features that wait for one outside the selection that has not landed.
#[must_use]
pub fn unselected(
    features: &[FeatureSpec],
    only: &BTreeSet<Slug>,
    landed: &BTreeSet<Slug>,
) -> Vec<GraphProblem> {
    features
        .iter()
        .filter(|spec| only.contains(&spec.slug) && !landed.contains(&spec.slug))
        .flat_map(|spec| {
            spec.depends_on
                .iter()
                .filter(|needs| !only.contains(*needs) && !landed.contains(*needs))
                .map(|needs| GraphProblem::Unselected {
                    slug: spec.slug.clone(),
                    needs: needs.clone(),
                })
        })
        .collect()
}
