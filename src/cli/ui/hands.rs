//! What a person can have done from the screen: exactly what the commands of the same names do, in their words.
//!
//! Never asks; it is asked.

use super::super::args::PAUSED;
use super::super::desk::{self, Failure};
use super::super::{apart, command};
use super::eyes::Eyes;
use crate::driver::{Place, is_run};
use crate::ui::{Screen, Verb};

/// Whether something can be done: then a person is asked about it.
pub(super) fn may(eyes: &Eyes<'_>, place: &Place, verb: Verb, screen: &mut Screen) {
    let state = eyes.state();
    let may = match &verb {
        Verb::Retry(slug) => command::may_retry(state, slug),
        Verb::Unblock(slug, _) => command::may_answer(state, slug),
        Verb::Skip(slug) => command::may_skip(eyes.desk, place, slug),
        Verb::Approve(slug, _) => match command::may_approve(place, state, slug) {
            Ok(tip) => {
                screen.ask(Verb::Approve(slug.clone(), Some(tip)));
                return;
            }
            Err(failure) => Err(failure),
        },
        Verb::Stop if place.holder().filter(is_run).is_none() => {
            screen.tell(apart::NOTHING_TO_STOP, false);
            return;
        }
        Verb::Stop | Verb::Pause | Verb::Resume => Ok(()),
    };
    match may {
        Ok(()) => screen.ask(verb),
        Err(failure) => screen.tell(&desk::words(&failure), true),
    }
}

/// Does it, and says what came of it. An answer that could not be given is not lost: it can be sent again.
pub(super) fn act(eyes: &mut Eyes<'_>, place: &Place, verb: Verb, screen: &mut Screen) {
    match done(eyes, place, verb.clone()) {
        Ok(words) => screen.tell(&words, false),
        Err(failure) => {
            screen.tell(&desk::words(&failure), true);
            if let Verb::Unblock(..) = verb {
                screen.ask(verb);
            }
        }
    }
}

fn done(eyes: &mut Eyes<'_>, place: &Place, verb: Verb) -> Result<String, Failure> {
    // Decided by what is so now.
    eyes.catch_up()?;
    let state = eyes.state();
    match verb {
        Verb::Pause => command::pause_for(place, PAUSED).map(str::to_owned),
        Verb::Resume => command::go_on(place).map(str::to_owned),
        Verb::Retry(slug) => command::retry_one(place, state, &slug),
        Verb::Unblock(slug, answer) => command::answer(place, state, &slug, answer),
        Verb::Skip(slug) => command::skip_one(eyes.desk, place, &slug),
        Verb::Approve(slug, tip) => {
            let tip = match tip {
                Some(tip) => tip,
                None => command::may_approve(place, state, &slug)?,
            };
            command::approve_one(place, state, &slug, tip)
        }
        Verb::Stop => match place.holder().filter(is_run) {
            Some(holder) => apart::ask_to_stop(place, state, &holder, false),
            None => Ok(apart::NOTHING_TO_STOP.to_owned()),
        },
    }
}
