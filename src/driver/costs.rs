//! What a run will cost whom, and what of it nobody will know: told before it begins.
//!
//! Only warnings; nothing here keeps a run from beginning.

use super::place::profiles_in_use;
use crate::agent::{self, Tells};
use crate::config::{self, Config, Profile};
use crate::model::{Code, FeatureSpec, Problem};
use std::collections::BTreeMap;
use std::ffi::OsString;

/// Keys in this process's environment that agents would be charged on, and nobody has said that they should.
#[must_use]
pub fn charges(
    config: &Config,
    features: &[FeatureSpec],
    env: &BTreeMap<OsString, OsString>,
) -> Vec<Problem> {
    let names = profiles_in_use(config, features).into_iter();
    let charged = names.filter_map(|name| {
        let profile = config.agents.get(name)?;
        let key = agent::charged(profile, env)?;
        let program = agent::usual_program(profile.kind);
        let text = format!(
            "agent `{name}`: {key} is set: {program} will charge it instead of your subscription"
        );
        Some(Problem::warning(text).code(Code::KeyCharged).help(format!(
            "unset it, or say that you mean it: `env_pass: [{key}]` in the agent's profile"
        )))
    });
    charged.collect()
}

/// Agents of which nobody will know what they use, although there is a budget.
pub(super) fn unmeasured(config: &Config, features: &[FeatureSpec]) -> Vec<Problem> {
    let budgets = features.iter().map(|spec| spec.budget);
    let budgets = budgets.chain([config.budget.run, config.budget.feature]);
    let (mut any, mut money) = (false, false);
    for budget in budgets {
        any |= !budget.is_unlimited();
        money |= budget.micro_usd.is_some();
    }
    let names = profiles_in_use(config, features).into_iter();
    let odd = names.filter_map(|name| {
        let profile = config.agents.get(name)?;
        match agent::tells(profile.kind) {
            Tells::Nothing if any => {
                let text = format!(
                    "agent `{name}` does not tell what it uses: no budget can be kept for it"
                );
                Some(
                    Problem::warning(text)
                        .code(Code::Unmeasured)
                        .help("`run.max_iterations` limits its calls"),
                )
            }
            Tells::Tokens if money => no_price(config, features, name, profile),
            _ => None,
        }
    });
    odd.collect()
}

/// Says that nobody knows what one of the models costs that an agent is asked for.
fn no_price(
    config: &Config,
    features: &[FeatureSpec],
    name: &str,
    profile: &Profile,
) -> Option<Problem> {
    let own = features.iter().map(|spec| &spec.agent);
    let own = own.filter(|own| own.profile.as_ref().unwrap_or(&config.agent) == name);
    let mut asked: Vec<Option<&String>> = own
        .map(|own| config.model.as_ref().or(own.model.as_ref()))
        .collect();
    let is_called = !asked.is_empty();
    let rungs = config.escalate.iter();
    asked.extend(rungs.filter_map(|rung| match &rung.profile {
        Some(profile) => (profile == name).then_some(rung.model.as_ref()),
        None => is_called.then_some(rung.model.as_ref()),
    }));
    if config.limits.fallback.iter().any(|other| other == name) {
        asked.push(config.model.as_ref());
    }
    let mut models = asked
        .into_iter()
        .map(|model| model.or(profile.model.as_ref()));
    let unknown = models.find(|model| {
        let price = model.and_then(|model| config::price(&config.prices, model));
        price.is_none()
    })?;
    let (which, help) = match unknown {
        Some(model) => (
            format!("and no price of `{}` is known", model.escape_debug()),
            "say it: `prices: {<model>: {input: 2, output: 10}}`, in US dollars for a million tokens",
        ),
        None => (
            "and which model it chooses is not known".to_owned(),
            "name its model: `model` in the agent's profile",
        ),
    };
    let text = format!(
        "agent `{name}` tells tokens and no money, {which}: what it uses may count as tokens only"
    );
    Some(Problem::warning(text).code(Code::Unmeasured).help(help))
}

/// Agents of which `limits.keep` cannot keep anything, since they never say how much is used.
pub(super) fn not_kept(config: &Config, features: &[FeatureSpec]) -> Option<Problem> {
    config.limits.keep_percent?;
    let names = profiles_in_use(config, features).into_iter();
    let silent = names.filter(|name| {
        let profile = config.agents.get(*name);
        profile.is_some_and(|profile| !agent::reports_quota(profile.kind))
    });
    let silent: Vec<&str> = silent.map(String::as_str).collect();
    if silent.is_empty() {
        return None;
    }
    let names = silent.join(", ");
    let text = format!("limits.keep keeps nothing of what these agents use: {names}");
    let help = "they do not say how much of a limit is used; only claude does, with a login to a subscription";
    Some(Problem::warning(text).code(Code::Unmeasured).help(help))
}
