//! The ladder: whom a feature is given to when one of its breakers opens.
//!
//! Each rung is another agent or another model. It gets one try with the breaker half open; what the breaker counts as
//! progress closes it, and the feature stays there. A person who puts the feature back in the queue begins at the bottom.
//! This file must never know what opens a breaker.

use super::accounts::own_profile;
use super::breaker::Trip;
use super::feature::Feature;
use super::state::{Run, State};
use crate::model::{AgentChoice, Event, Slug, Stamp};

/// The rung that a feature is on; `None`: its own agent. Of a ladder that became shorter, what is beyond its end is none.
pub(super) fn rung<'a>(run: &'a Run, feature: &Feature) -> Option<&'a AgentChoice> {
    at(run, feature.rung)
}

fn at(run: &Run, rung: u32) -> Option<&AgentChoice> {
    let place = usize::try_from(rung.checked_sub(1)?).ok()?;
    run.settings.escalate.get(place)
}

/// Who is called for a feature: who stands in for its own agent, or [`due`]. The profile is named in any case.
pub(super) fn called(run: &Run, feature: &Feature) -> AgentChoice {
    match &feature.instead {
        // A model of the profile that it stands in for says nothing to it.
        Some(profile) => AgentChoice {
            profile: Some(profile.clone()),
            model: run.settings.model.clone(),
        },
        None => AgentChoice {
            profile: Some(own_profile(run, feature).to_owned()),
            ..due(run, feature)
        },
    }
}

/// Whose turn it is with a feature: its rung's, or whom it asks for. A model for the whole run goes before that of a
/// feature, and what a rung says before both.
pub(super) fn due(run: &Run, feature: &Feature) -> AgentChoice {
    let own = &feature.spec.agent;
    let for_all = run.settings.model.clone();
    match rung(run, feature) {
        Some(rung) if rung.profile.is_some() => rung.clone(),
        Some(rung) => AgentChoice {
            profile: own.profile.clone(),
            model: rung.model.clone(),
        },
        None => AgentChoice {
            profile: own.profile.clone(),
            model: for_all.or_else(|| own.model.clone()),
        },
    }
}

/// What follows when a breaker opens: the next rung, or a person.
pub(super) fn opened(run: &Run, slug: Slug, feature: &Feature, trip: Trip) -> Event {
    let (breaker, why) = (trip.breaker.to_owned(), trip.why);
    let next = feature.rung + 1;
    match at(run, next) {
        Some(to) => Event::Escalated {
            slug,
            breaker,
            why,
            rung: next,
            to: to.clone(),
        },
        None => Event::Tripped { slug, breaker, why },
    }
}

impl State {
    /// A feature goes on with the next rung.
    pub(super) fn escalated(&mut self, event: &Event, at: Stamp) {
        let Event::Escalated {
            slug,
            breaker,
            why,
            rung,
            ..
        } = event
        else {
            return;
        };
        let settings = self.run.as_ref().map(|run| run.settings.breakers);
        if let Some(feature) = self.features.get_mut(slug) {
            feature.rung = *rung;
            feature.rung_why.clone_from(why);
            feature.instead = None;
            feature.conversation = None;
            let own = feature.spec.stuck;
            feature
                .breakers
                .half_open(&settings.unwrap_or_default(), own);
        }
        let text = format!(
            "The `{breaker}` breaker opened: {why}. Another agent or model goes on from here: what was tried so far did \
             not help."
        );
        self.log(slug, None, "handed on".to_owned(), text, Vec::new(), at);
    }
}
