//! The merge queue's data: attempts under way, groups of suspects, evidence, what is not published.
//!
//! Pure state, written by [`apply`](super::apply) alone; what follows from it is for
//! [`merge`](super::merge) to say. It must never know how a merge is made or a gate is run.

use super::pairs;
use crate::model::{Chain, Evidence, GateId, Ground, Oid, Red, Relation, Slug, Stamp, Trial};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Verdicts on single features that the batch size looks back at.
const RECENT: usize = 12;
/// Fewer verdicts than this say nothing.
const RECENT_LEAST: usize = 4;
/// Having to begin anew this often without a landing is bad luck; more often, the target is a busy place.
const OVERTAKEN_MOST: u32 = 3;

/// Everything the queue remembers besides the features themselves.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Merging {
    /// Attempts ever made; numbers are never reused.
    pub(super) attempts_made: u32,
    /// Under way, in the order in which they may land: each builds on the one before.
    pub(super) attempts: BTreeMap<u32, Attempt>,
    /// Members of landings that failed: they may have landed, and do so for certain when they are tried again.
    pub(super) unheard: BTreeSet<Slug>,
    /// Halves of red chains, to be tried before anything new, first to last.
    pub(super) groups: VecDeque<Vec<Slug>>,
    /// Trees that passed, and the gate they passed. Never forgotten: a green tree stays green.
    pub(super) green: BTreeSet<(Oid, GateId)>,
    /// Trees that failed while their suspects are being separated, and how often.
    #[serde(with = "pairs")]
    pub(super) red: BTreeMap<(Oid, GateId), Failed>,
    /// Whether the last features that were judged alone or landed were good.
    recent: VecDeque<bool>,
    /// How long the last gates took, in milliseconds.
    gate_times: VecDeque<u64>,
    /// Whether the base was gated, or need not be, since the run began.
    pub(super) base_asked: bool,
    /// Landed and not in the target: the feature and its branch's tip.
    pub(super) unpublished: Vec<(Slug, Oid)>,
    /// How publishing stands.
    pub(super) publishing: Publishing,
    /// Who is let through before others that change the same paths, and until when.
    pub(super) right_of_way: BTreeMap<Slug, Stamp>,
    /// The move of the target that is under way.
    pub(super) publish: Option<Publish>,
    /// Moves of the target ever begun, and those in a row that came to nothing.
    pub(super) publishes_made: u32,
    pub(super) publishes_failed: u32,
    /// Whether the move that is tried at the end of a run was tried since the last landing.
    pub(super) publish_final: bool,
    /// The integration ref goes back to this commit of the user's.
    pub(super) rewinding: Option<Oid>,
    /// Failures in a row of git or the disk that concern no single feature.
    pub(super) infra: u32,
    pub(super) infra_text: String,
    /// How often commits of others came first since something landed.
    pub(super) overtaken: u32,
    /// Not before this is anything started again after such a failure.
    pub(super) not_before: Stamp,
}

/// A failure that was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Failed {
    pub(super) times: u32,
    pub(super) red: Red,
}

/// A chain of merges on its way.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Attempt {
    pub(super) what: Trial,
    pub(super) onto: Oid,
    pub(super) members: Vec<Slug>,
    pub(super) stage: AttemptStage,
    /// Whether its gate has run, rather than evidence being at hand.
    pub(super) gated: bool,
    /// Whether its members are suspects of a red chain.
    pub(super) suspects: bool,
}

/// A move of the target under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Publish {
    pub(super) number: u32,
    pub(super) to: Oid,
    /// So many of the unpublished features are in it.
    pub(super) features: usize,
}

/// How far an attempt is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum AttemptStage {
    /// Its merges are being made.
    Building,
    /// They are made; its gate runs, or evidence is at hand.
    Built(Chain),
    /// It passed; the integration ref is being moved.
    Landing(Chain),
}

/// How the target follows the integration ref.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Publishing {
    /// It is moved as soon as something has landed.
    #[default]
    Ready,
    /// Something of the user's is in the way until a point in time, or the run's end.
    Waiting { until: Stamp, why: String },
    /// The user committed to it meanwhile: both must be merged first.
    Ahead,
    /// The user rewrote its history: only the user can say what that means.
    Rewritten,
}

impl Attempt {
    pub(super) fn chain(&self) -> Option<&Chain> {
        match &self.stage {
            AttemptStage::Building => None,
            AttemptStage::Built(chain) | AttemptStage::Landing(chain) => Some(chain),
        }
    }

    /// Whether the features in it have landed, unheard: what was to land is where the integration ref stands.
    pub(super) fn has_landed(&self, tip: &Oid) -> bool {
        let lands = matches!(&self.stage, AttemptStage::Landing(chain) if chain.commit == *tip);
        lands && self.what == Trial::Features
    }
}

impl Merging {
    /// Remembers a verdict on one feature.
    pub(super) fn judged(&mut self, good: bool) {
        self.recent.push_back(good);
        if self.recent.len() > RECENT {
            self.recent.pop_front();
        }
    }

    /// Remembers how long a gate took.
    pub(super) fn took(&mut self, gate_ms: u64) {
        self.gate_times.push_back(gate_ms);
        if self.gate_times.len() > RECENT {
            self.gate_times.pop_front();
        }
    }

    /// The median of the last gates.
    pub(super) fn usual_gate_ms(&self) -> Option<u64> {
        let mut times: Vec<u64> = self.gate_times.iter().copied().collect();
        times.sort_unstable();
        times.get(times.len() / 2).copied()
    }

    /// Whether others commit to the target faster than features land: then the shortest way there is taken.
    pub(super) fn is_overtaken(&self) -> bool {
        self.overtaken > OVERTAKEN_MOST
    }

    /// How many features the next chain may hold: the configured number, or one while more than a quarter
    /// of the recent ones were bad (then a chain is red more often than not, and separating costs more
    /// than it saves), or while others keep coming first.
    pub(super) fn batch(&self, configured: u32) -> usize {
        if self.is_overtaken() {
            return 1;
        }
        let bad = self.recent.iter().filter(|good| !**good).count();
        if self.recent.len() >= RECENT_LEAST && bad * 4 > self.recent.len() {
            return 1;
        }
        usize::try_from(configured.max(1)).unwrap_or(usize::MAX)
    }

    /// Whether this tree passed this gate, or one that includes it.
    pub(super) fn is_green(&self, tree: &Oid, gate: &GateId) -> bool {
        self.green.contains(&(tree.clone(), gate.clone()))
    }

    /// How often this tree has failed this gate, as far as that is still remembered.
    pub(super) fn failed(&self, tree: &Oid, gate: &GateId) -> Option<&Failed> {
        self.red.get(&(tree.clone(), gate.clone()))
    }

    /// Takes a gate's verdict in.
    pub(super) fn gated(&mut self, tree: &Oid, gate: &GateId, red: Option<&Red>) {
        let key = (tree.clone(), gate.clone());
        match red {
            None => {
                // The common commands ran first: what passed all passed those.
                let common = GateId {
                    common: gate.common.clone(),
                    own: Vec::new(),
                };
                self.green.insert((tree.clone(), common));
                self.green.insert(key);
            }
            Some(red) => {
                let failed = self.red.entry(key).or_insert_with(|| Failed {
                    times: 0,
                    red: red.clone(),
                });
                failed.times += 1;
                failed.red = red.clone();
            }
        }
    }

    /// Git and the disk do what they are asked: whatever failed before is over.
    pub(super) fn works(&mut self) {
        self.infra = 0;
        self.not_before = Stamp::default();
    }

    /// What the target's place means for publishing.
    pub(super) fn stand(&mut self, ground: &Ground) {
        self.publishing = match ground.relation {
            Relation::Behind => Publishing::Ready,
            Relation::Ahead => Publishing::Ahead,
            Relation::Rewritten => Publishing::Rewritten,
        };
    }
}

/// What the gate said of a chain compared with what it builds on.
pub(super) fn evidence(
    merging: &Merging,
    chain: &Chain,
    gate: &GateId,
    base_gate: &GateId,
) -> Evidence {
    if let Some(failed) = merging.failed(&chain.tree, gate) {
        return Evidence::Flaky {
            red: failed.red.clone(),
        };
    }
    let base_red = merging.failed(&chain.onto_tree, base_gate).is_some();
    if base_red && !merging.is_green(&chain.onto_tree, base_gate) {
        return Evidence::Fixed;
    }
    Evidence::Passed
}
