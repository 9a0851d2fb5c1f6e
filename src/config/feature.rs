//! What front matter and `features.<slug>` say about one feature; both hold the same keys.
//!
//! This file must never know which features exist.

use super::check::{Checker, Key};
use super::shape;
use super::source::{Place, Source, Spot, quoted};
use super::words::nearest;
use super::yaml::{self, Node, Value};
use crate::model::{Budget, Code, Problem, Severity, Slug, StuckRule};
use serde_yaml::Value as Yaml;
use std::sync::OnceLock;
use std::time::Duration;

/// The keys of one feature, as one source gives them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FeatureKeys {
    /// Where the feature stands in harness.yaml; `None` for front matter.
    pub spot: Option<Spot>,
    /// Features that must have landed before this one starts.
    pub depends_on: Vec<Reference>,
    /// Features that should have ended before this one starts.
    pub after: Vec<Reference>,
    /// Higher starts first.
    pub priority: Option<i64>,
    /// Path prefixes or globs it means to change.
    pub touches: Vec<String>,
    /// Named resources.
    pub locks: Vec<String>,
    /// Words that say what it is about.
    pub labels: Vec<String>,
    /// Agent profile, and where it is named.
    pub agent: Option<(String, Spot)>,
    /// Model handed to the agent.
    pub model: Option<String>,
    /// Time limit of one iteration.
    pub timeout: Option<Duration>,
    /// Thresholds of the stuck breaker.
    pub stuck: StuckRule,
    /// What it may use.
    pub budget: Budget,
    /// Verify commands.
    pub verify: Vec<String>,
    /// Whether a person must have seen it before it lands.
    pub review: Option<bool>,
}

/// Another feature's name, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The feature that is meant.
    pub slug: Slug,
    /// Where.
    pub spot: Spot,
}

impl FeatureKeys {
    /// Reads front matter: unknown keys are warnings, everything else that is wrong is an error.
    #[must_use]
    pub fn of_front_matter(source: &Source) -> (Self, Vec<Problem>) {
        let node = match yaml::parse(source) {
            Ok(node) => node,
            Err(problem) => return (Self::default(), vec![*problem]),
        };
        static SCHEMA: OnceLock<serde_json::Value> = OnceLock::new();
        let schema = SCHEMA.get_or_init(shape::schema_of::<shape::Feature>);
        let mut checker = Checker {
            source,
            unknown: Severity::Warning,
            unavailable: &[],
            seconds: false,
            problems: Vec::new(),
        };
        let first_line = Some(Place { row: 0, column: 0 });
        let values = checker.value(&node, schema, &Key::default(), first_line);
        let mut problems = checker.problems;
        let keys = values.map(|values| Self::of_checked(values, &node, source, &mut problems));
        (keys.unwrap_or_default(), problems)
    }

    /// The keys of a mapping that has been checked; `node` is the same with places.
    pub(super) fn of_checked(
        values: Yaml,
        node: &Node,
        source: &Source,
        problems: &mut Vec<Problem>,
    ) -> Self {
        let shape: shape::Feature = match serde_yaml::from_value(values) {
            Ok(shape) => shape,
            Err(error) => {
                problems.push(source.problem(Severity::Error, node.place, error.to_string()));
                return Self::default();
            }
        };
        let agent = shape.agent.zip(node.entry("agent")).map(|(name, entry)| {
            let place = entry.node.place.or(entry.place).unwrap_or(START);
            (name.0, source.spot(place))
        });
        Self {
            spot: None,
            depends_on: references(node, "depends_on", source, problems),
            after: references(node, "after", source, problems),
            priority: shape.priority,
            touches: shape.touches.0,
            locks: shape.locks.0,
            labels: shape.labels.0,
            agent,
            model: shape.model.map(|name| name.0),
            timeout: shape.timeout.map(|span| span.0),
            stuck: StuckRule {
                limit: shape.stuck.limit,
                min_bytes: shape.stuck.min_bytes,
            },
            budget: shape.budget.resolved(),
            verify: shape.verify.0,
            review: shape.review,
        }
    }

    /// An error at the agent's name when it is none of `profiles`.
    #[must_use]
    pub fn unknown_agent<'a>(
        &self,
        profiles: impl IntoIterator<Item = &'a str> + Clone,
    ) -> Option<Problem> {
        let (name, spot) = self.agent.as_ref()?;
        if profiles.clone().into_iter().any(|profile| profile == name) {
            return None;
        }
        Some(spot.mark(unknown_profile(name, profiles)))
    }
}

const START: Place = Place { row: 0, column: 0 };

/// The problem of a profile that does not exist, without a place.
pub(super) fn unknown_profile<'a>(
    name: &str,
    profiles: impl IntoIterator<Item = &'a str> + Clone,
) -> Problem {
    let found = quoted(name);
    let problem =
        Problem::error(format!("there is no agent profile {found}")).code(Code::UnknownAgent);
    match nearest(name, profiles.clone()) {
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None => {
            let names: Vec<&str> = profiles.into_iter().collect();
            problem.help(format!("profiles: {}", names.join(", ")))
        }
    }
}

/// The features that a key of `node` names, each once.
fn references(
    node: &Node,
    key: &str,
    source: &Source,
    problems: &mut Vec<Problem>,
) -> Vec<Reference> {
    let Some(entry) = node.entry(key) else {
        return Vec::new();
    };
    let mut list: Vec<Reference> = Vec::new();
    for item in entry.node.items() {
        let place = item.place.or(entry.place).unwrap_or(START);
        let text = match &item.value {
            Value::Text(text) => text.clone(),
            Value::Int(number) => number.to_string(),
            _ => continue,
        };
        match Slug::new(text) {
            Ok(slug) if list.iter().any(|known| known.slug == slug) => {}
            Ok(slug) => list.push(Reference {
                slug,
                spot: source.spot(place),
            }),
            Err(error) => {
                let problem = source.problem(Severity::Error, Some(place), error.to_string());
                problems.push(problem.code(Code::UnknownDependency));
            }
        }
    }
    list
}
