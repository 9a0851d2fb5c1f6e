//! `harness plan` and the dry run: what would be done. Writes nothing.

use super::args::PlanArgs;
use super::{Desk, desk::Failure, out};
use crate::config::{Config, Flags};
use crate::core::{self, State, decide, view};
use crate::driver::{
    DriverError, Place, Survey, charges, preflight, prompt_for, survey, wall_clock,
};
use crate::learnings::Memory;
use crate::model::{Backlog, Ground, Input, Problem, Record, Relation, RunId};
use crate::report;

pub(super) fn plan(desk: &Desk, args: PlanArgs) -> Result<u8, Failure> {
    let place = desk.place()?;
    let flags = Flags {
        only: args.only,
        ..Flags::default()
    };
    let config = desk.config(&place, flags)?;
    let survey = survey(&place, &config)?;
    super::desk::show(&survey.warnings, desk.colour);
    let charges = charges(&config, &survey.features, &desk.env);
    super::desk::show(&charges, desk.colour);
    let state = foreseen(&place, &config, &survey)?;
    match args.json {
        true => out::json(&report::plan_json(
            &core::plan(&state),
            &view(&state, wall_clock()),
        ))?,
        false => out::out(&text(&state)),
    }
    Ok(0)
}

/// Order, waits and a sample prompt; no agent is called, nothing is written.
pub(super) fn dry_run(desk: &Desk, place: &Place, config: &Config) -> Result<u8, Failure> {
    let survey = survey(place, config)?;
    match preflight(place.clone(), config.clone(), desk.env.clone()) {
        Ok(ready) => super::desk::show(&ready.survey.warnings, desk.colour),
        Err(error) => {
            // The plan can be shown all the same; the run itself would refuse.
            let warning = Problem::warning(format!("a run would be refused: {error}"));
            super::desk::show(&survey.warnings, desk.colour);
            super::desk::show(&[warning], desk.colour);
        }
    }
    let state = foreseen(place, config, &survey)?;
    out::out(&text(&state));
    let first = core::plan(&state)
        .into_iter()
        .map(|planned| planned.slug)
        .find(|slug| !state.is_merged(slug));
    if let Some(slug) = first {
        let prompt = prompt_for(place, config, &survey.features, &slug, &state)?;
        out::out(&format!(
            "\nThe prompt of {slug}'s next iteration:\n\n{prompt}"
        ));
    }
    Ok(0)
}

fn text(state: &State) -> String {
    report::plan_text(&core::plan(state), &view(state, wall_clock()))
}

/// The state a run would begin with: the journal, and then the user's files as they are now.
pub(super) fn foreseen(place: &Place, config: &Config, survey: &Survey) -> Result<State, Failure> {
    let mut state = place.read()?.state;
    let target = place.repo.target(config.target.as_deref());
    if let Ok(target) = target {
        let ground = Ground {
            tree: place.repo.tree_of(&target.tip).map_err(DriverError::from)?,
            tip: target.tip.clone(),
            target: target.tip,
            relation: Relation::Behind,
        };
        fold(
            &mut state,
            Input::RunBegins {
                run: RunId("plan".to_owned()),
                settings: Box::new(config.settings()),
                target: target.refname,
                ground,
                lost: Vec::new(),
                gone: Vec::new(),
            },
        );
    }
    Ok(looked(state, place, survey))
}

/// The state with the specs and markers as they are now. HALT is not looked at.
pub(super) fn looked(mut state: State, place: &Place, survey: &Survey) -> State {
    // Without a state directory there are none, and none has gone.
    let done = Memory::at(&place.state_dir).done_markers().ok();
    fold(
        &mut state,
        Input::Looked(Backlog {
            features: Some(survey.features.clone()),
            done,
            halt: None,
        }),
    );
    state
}

/// Takes an observation in, in memory only.
fn fold(state: &mut State, input: Input) {
    for event in decide(state, input) {
        let record = Record {
            seq: state.seq() + 1,
            at: state.journal_time(wall_clock()).max(state.last_at()),
            event,
        };
        state.apply(&record);
    }
}
