//! What a person is shown of who works on a feature, and why.
//!
//! It must never decide who does.

use super::accounts::own_profile;
use super::feature::Feature;
use super::ladder;
use super::state::Run;
use serde::Serialize;

/// The agent that works on a feature, or would now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AgentView {
    /// Its profile.
    pub profile: String,
    /// The model that it is given; `None`: the profile's own.
    pub model: Option<String>,
    /// Why it is this one.
    pub because: Because,
    /// Whether a breaker is half open, so that its next iteration decides about it.
    pub on_trial: bool,
}

/// Why an agent works on a feature.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(tag = "of", content = "what", rename_all = "snake_case")]
pub enum Because {
    /// It works on whatever names none.
    #[default]
    Default,
    /// The feature names it.
    Feature,
    /// The feature has this label, and `routes` names it for that.
    Label(String),
    /// Breakers opened: what the last one saw.
    Breaker(String),
    /// The account of this profile cannot be used.
    Account(String),
}

impl AgentView {
    /// `codex`, or `codex/large`.
    #[must_use]
    pub fn words(&self) -> String {
        match &self.model {
            Some(model) => format!("{}/{model}", self.profile),
            None => self.profile.clone(),
        }
    }
}

/// Who works on a feature.
pub(super) fn agent(run: &Run, feature: &Feature) -> AgentView {
    let own = own_profile(run, feature);
    let runs = feature.running().is_some();
    let choice = match runs {
        true => feature.called.clone(),
        false => ladder::due(run, feature),
    };
    let instead = feature.instead.as_ref().filter(|_| runs);
    let because = match (instead, ladder::rung(run, feature)) {
        (Some(_), _) => Because::Account(own.to_owned()),
        (None, Some(_)) => Because::Breaker(feature.rung_why.clone()),
        (None, None) => match &feature.spec.label {
            Some(label) => Because::Label(label.clone()),
            None if feature.spec.agent.is_default() => Because::Default,
            None => Because::Feature,
        },
    };
    AgentView {
        profile: choice.profile.unwrap_or_else(|| own.to_owned()),
        model: choice.model,
        because,
        on_trial: feature.breakers.is_half_open(),
    }
}
