//! Who works on what: agents by label, and the ladder of those who take over. The keys, and what they come to.
//!
//! This file must never know which features exist.

use super::feature::unknown_profile;
use super::kind::Name;
use super::resolve::Resolver;
use super::resolved::{self, Profile};
use super::source::{Spot, quoted};
use super::yaml::Node;
use crate::model::{AgentChoice, Code, Problem};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(super) struct Rung {
    /// Agent profile; null means the feature's own.
    pub agent: Option<Name>,
    /// Model handed to it; null means the profile's.
    pub model: Option<Name>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(super) struct Route {
    /// Features that have it among their labels are meant.
    pub label: Option<Name>,
    /// Agent profile; null means the usual one.
    pub agent: Option<Name>,
    /// Model handed to it; null means the profile's.
    pub model: Option<Name>,
}

impl Resolver<'_> {
    /// The ladder. Its profiles must exist.
    pub(super) fn escalate(
        &mut self,
        shapes: Vec<Rung>,
        agents: &BTreeMap<String, Profile>,
    ) -> Vec<AgentChoice> {
        let rungs = shapes.into_iter().enumerate();
        let rungs = rungs.map(|(n, shape)| self.choice("escalate", n, shape, agents));
        rungs.collect()
    }

    /// The routes. Their profiles must exist.
    pub(super) fn routes(
        &mut self,
        shapes: Vec<Route>,
        agents: &BTreeMap<String, Profile>,
    ) -> Vec<resolved::Route> {
        let mut routes: Vec<resolved::Route> = Vec::new();
        for (n, shape) in shapes.into_iter().enumerate() {
            let Route {
                label,
                agent,
                model,
            } = shape;
            let agent = self.choice("routes", n, Rung { agent, model }, agents);
            let Some(Name(label)) = label else {
                let problem = Problem::error("`routes`: `label` is missing").code(Code::BadValue);
                self.at_item("routes", n, None, problem.help("name the label it is for"));
                continue;
            };
            if routes.iter().any(|route| route.label == label) {
                let message = format!("`routes`: {} was routed above already", quoted(&label));
                let problem = Problem::error(message)
                    .code(Code::BadValue)
                    .help("the first counts; remove this one");
                self.at_item("routes", n, Some("label"), problem);
                continue;
            }
            let spot = self.spot("routes", n, Some("label"));
            routes.push(resolved::Route { label, agent, spot });
        }
        routes
    }

    fn choice(
        &mut self,
        key: &str,
        n: usize,
        shape: Rung,
        agents: &BTreeMap<String, Profile>,
    ) -> AgentChoice {
        let choice = AgentChoice {
            profile: shape.agent.map(|name| name.0),
            model: shape.model.map(|name| name.0),
        };
        if choice.is_default() {
            let message = format!("`{key}`: an item names neither `agent` nor `model`");
            let problem = Problem::error(message)
                .code(Code::BadValue)
                .help("for example `- {agent: claude, model: opus}`");
            self.at_item(key, n, None, problem);
        }
        if let Some(name) = choice
            .profile
            .as_ref()
            .filter(|name| !agents.contains_key(*name))
        {
            let problem = unknown_profile(name, agents.keys().map(String::as_str));
            self.at_item(key, n, Some("agent"), problem);
        }
        choice
    }

    /// Puts a problem at an item of a list, or at what one of its keys says.
    fn at_item(&mut self, list: &str, n: usize, key: Option<&str>, problem: Problem) {
        match self.spot(list, n, key) {
            Some(spot) => self.problems.push(spot.mark(problem)),
            None => self.problem(list, problem),
        }
    }

    fn spot(&self, list: &str, n: usize, key: Option<&str>) -> Option<Spot> {
        let (source, root) = self.file?;
        let item: &Node = root.entry(list)?.node.items().get(n)?;
        let entry = key.and_then(|key| item.entry(key));
        let entry = entry.or(item.entries().first());
        let place = entry.and_then(|entry| entry.node.place.or(entry.place));
        Some(source.spot(place.or(item.place)?))
    }
}
