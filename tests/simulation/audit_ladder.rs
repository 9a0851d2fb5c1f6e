//! What must hold of the ladder and of who is called: each rung is tried once a trip, in order, and a person is asked when
//! none is left.

use super::auditor::{Auditor, Where};
use harness::model::{AgentChoice, Event, Session, Slug, WorktreeName};

impl Auditor {
    /// The rung that a feature is on.
    fn rung(&self, slug: &Slug) -> Option<&AgentChoice> {
        let place = usize::try_from(self.of(slug).rung).unwrap();
        self.settings.escalate.get(place.checked_sub(1)?)
    }

    /// The profile of a feature's own agent, or of its rung's; empty: the usual one.
    pub(super) fn own_profile(&self, slug: &Slug) -> String {
        let spec = self.of(slug).spec.as_ref().unwrap();
        let rung = self.rung(slug).and_then(|rung| rung.profile.clone());
        let own = rung.or_else(|| spec.agent.profile.clone());
        own.unwrap_or_default()
    }

    /// A breaker has what it needs to open, and is not half open for the same.
    pub(super) fn assert_opens(&self, slug: &Slug, breaker: &str) {
        let known = self.of(slug);
        let breakers = self.settings.breakers;
        match breaker {
            "stuck" => assert!(known.silent >= breakers.stuck_limit),
            "idle" => assert!(known.idle >= breakers.idle_limit),
            _ => {}
        }
        let tried = matches!(breaker, "repeat" | "tampered") || known.trial != breaker;
        assert!(tried, "{slug} lost its try before it was made");
        assert!(matches!(known.place, Where::Between | Where::Idle));
    }

    /// Nobody is left who could take over.
    pub(super) fn assert_at_the_top(&self, slug: &Slug, breaker: &str) {
        let rungs = u32::try_from(self.settings.escalate.len()).unwrap();
        let at_the_top = self.of(slug).rung >= rungs;
        assert!(
            at_the_top || breaker == "tampered",
            "{slug} tripped and somebody could have taken over"
        );
    }

    pub(super) fn escalated(&mut self, event: &Event) {
        let Event::Escalated {
            slug,
            breaker,
            rung,
            to,
            ..
        } = event
        else {
            return;
        };
        self.assert_opens(slug, breaker);
        let known = self.get(slug);
        assert_eq!(
            *rung,
            known.rung + 1,
            "{slug} skipped a rung, or has one again"
        );
        known.rung = *rung;
        known.trial.clone_from(breaker);
        known.conversation = None;
        if breaker != "stuck" {
            known.silent = 0;
        }
        if breaker != "idle" {
            known.idle = 0;
        }
        assert_eq!(self.rung(slug), Some(to), "{slug} got another rung");
    }

    /// Nobody starts with an open breaker, unless it is the one iteration that a rung is tried with.
    pub(super) fn assert_closed(&self, slug: &Slug, rung: Option<&AgentChoice>) {
        let (known, breakers) = (self.of(slug), self.settings.breakers);
        let stuck = known.silent >= breakers.stuck_limit && known.trial != "stuck";
        let idle = known.idle >= breakers.idle_limit && known.trial != "idle";
        assert!(!stuck, "{slug} is stuck");
        assert!(!idle, "{slug} is idle");
        assert_eq!(self.rung(slug), rung, "{slug} is on another rung");
    }

    /// Takes note of who is to be called.
    pub(super) fn calls(&mut self, slug: &Slug, instead: Option<&str>) {
        let own = self.own_profile(slug);
        let spec = self.of(slug).spec.as_ref().unwrap();
        let model = match (instead, self.rung(slug)) {
            (Some(_), _) => None,
            (None, Some(rung)) => rung.model.clone(),
            (None, None) => spec.agent.model.clone(),
        };
        let profile = instead.map_or(own, str::to_owned);
        let known = self.get(slug);
        (known.profile, known.model) = (profile, model);
    }

    /// Only a conversation of the same agent about the same feature in the same place is gone on with, and only where
    /// that is asked for.
    pub(super) fn assert_resumes(
        &self,
        slug: &Slug,
        place: WorktreeName,
        session: Option<&Session>,
    ) {
        let known = self.of(slug);
        let mut last = known.conversation.as_ref();
        last = last.filter(|(profile, at, _)| *profile == known.profile && *at == place);
        let asked = self.settings.agents[&known.profile].resume;
        let expected = last.map(|(_, _, id)| id).filter(|_| asked);
        let resumed = session.map(|session| &session.id);
        assert_eq!(
            resumed, expected,
            "{slug} goes on with another conversation"
        );
    }

    /// Who is called is who was journalled.
    pub(super) fn assert_called(&self, slug: &Slug, agent: &AgentChoice) {
        let known = self.of(slug);
        assert_eq!(
            agent.profile.as_ref(),
            Some(&known.profile),
            "{slug} has another agent"
        );
        assert_eq!(agent.model, known.model, "{slug} has another model");
    }
}
