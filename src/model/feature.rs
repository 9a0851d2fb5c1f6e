//! What a spec says about its feature.

use super::{Budget, Slug};
use serde::{Deserialize, Serialize};

/// One unit of work, as its spec, harness.yaml and the order file describe it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureSpec {
    /// The feature's name.
    pub slug: Slug,
    /// First heading of the spec, or the slug.
    pub title: String,
    /// The spec file, relative to the repository root, with `/` separators.
    pub path: String,
    /// Features that must have landed before this one may start.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<Slug>,
    /// Features that should have ended (landed or given up) before this one starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<Slug>,
    /// Higher starts first. Default 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub priority: i64,
    /// Position in the order file, from 0; `None` when it is not listed there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<u32>,
    /// Path prefixes or globs the feature means to change; two features whose lists overlap never run
    /// at once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub touches: Vec<String>,
    /// Named resources; two features that share one never run at once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub locks: Vec<String>,
    /// Which agent works on it.
    #[serde(default, skip_serializing_if = "AgentChoice::is_default")]
    pub agent: AgentChoice,
    /// The label by which `routes` in harness.yaml chose the agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Time limit of one iteration in milliseconds, when it differs from the run's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// The stuck breaker's thresholds, when they differ from the run's.
    #[serde(default, skip_serializing_if = "StuckRule::is_default")]
    pub stuck: StuckRule,
    /// What it may use, when that differs from the run's.
    #[serde(default, skip_serializing_if = "Budget::is_unlimited")]
    pub budget: Budget,
    /// Verify commands of this feature, run after those of harness.yaml.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub verify: Vec<String>,
    /// Whether a person must have seen it before it lands.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub review: bool,
}

/// The agent profile and model of a feature, when they differ from the run's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentChoice {
    /// Key under `agents` in harness.yaml.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// Model name handed to the agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

impl AgentChoice {
    /// Whether it names nothing.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// `codex`, `codex/large`, or `large` where only a model is named.
    #[must_use]
    pub fn words(&self) -> String {
        let parts = self.profile.iter().chain(&self.model);
        parts.map(String::as_str).collect::<Vec<_>>().join("/")
    }
}

/// Overrides of the stuck breaker for one feature.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StuckRule {
    /// Silent iterations in a row that trip it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// An iteration with at most this many bytes of the agent's own text is silent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_bytes: Option<u64>,
}

impl StuckRule {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl FeatureSpec {
    /// A feature with nothing but a name, as a spec without front matter gives it.
    #[must_use]
    pub fn bare(slug: Slug) -> Self {
        Self {
            title: slug.to_string(),
            path: format!("specs/{slug}/spec.md"),
            slug,
            depends_on: Vec::new(),
            after: Vec::new(),
            priority: 0,
            order: None,
            touches: Vec::new(),
            locks: Vec::new(),
            agent: AgentChoice::default(),
            label: None,
            timeout_ms: None,
            stuck: StuckRule::default(),
            budget: Budget::default(),
            verify: Vec::new(),
            review: false,
        }
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde's skip_serializing_if passes a reference"
)]
fn is_zero(value: &i64) -> bool {
    *value == 0
}
