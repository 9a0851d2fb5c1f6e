//! Which agent works on a feature by its labels.
//!
//! This file must never know what an agent is.

use crate::config::{Route, nearest, quoted};
use crate::model::{Code, FeatureSpec, Problem};
use std::collections::BTreeSet;

/// Gives the feature the agent of the first route that is for one of its labels. What the feature says itself counts more.
pub(super) fn assign(routes: &[Route], feature: &mut FeatureSpec, labels: &[String]) {
    if !feature.agent.is_default() {
        return;
    }
    if let Some(route) = routes.iter().find(|route| labels.contains(&route.label)) {
        feature.agent = route.agent.clone();
        feature.label = Some(route.label.clone());
    }
}

/// Warnings for routes of labels that no feature has.
pub(super) fn unused<'a>(
    routes: &'a [Route],
    labels: &'a BTreeSet<String>,
) -> impl Iterator<Item = Problem> + 'a {
    let unused = routes.iter().filter(|route| !labels.contains(&route.label));
    unused.map(|route| {
        let message = format!(
            "`routes`: no feature has the label {}",
            quoted(&route.label)
        );
        let mut problem = Problem::warning(message).code(Code::UnusedRoute);
        let near = nearest(&route.label, labels.iter().map(String::as_str));
        problem.help = near.map(|near| format!("did you mean `{near}`?"));
        match &route.spot {
            Some(spot) => spot.mark(problem),
            None => problem,
        }
    })
}
