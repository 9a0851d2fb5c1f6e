//! `harness graph`: works while a run lives and without one. Without one it draws the specs as they are now.

use super::args::{GraphArgs, GraphFormat};
use super::desk::{Failure, show};
use super::status::look;
use super::{Desk, out, plan};
use crate::config::Flags;
use crate::core::{State, graph as graph_of, view};
use crate::driver::{Place, survey};
use crate::model::Problem;
use crate::report::{graph_dot, graph_json, graph_mermaid, graph_text};

pub(super) fn graph(desk: &Desk, args: &GraphArgs) -> Result<u8, Failure> {
    let place = desk.place()?;
    let seen = look(desk, &place)?;
    let live = seen.glance().live.is_some();
    let graph = match live {
        true => graph_of(seen.glance().view),
        false => graph_of(&view(&with_specs(desk, &place, seen.state), seen.now)),
    };
    if args.json {
        out::json(&graph_json(&graph, live))?;
        return Ok(0);
    }
    match args.format {
        GraphFormat::Terminal => {
            out::exact(&graph_text(&graph, live, out::columns(), desk.colour));
        }
        GraphFormat::Dot => out::out(&graph_dot(&graph, live)),
        GraphFormat::Mermaid => out::out(&graph_mermaid(&graph, live)),
    }
    Ok(0)
}

/// What the journal knows, with the specs as they are now. Where those cannot be read, what the last run knew is still worth
/// a look.
fn with_specs(desk: &Desk, place: &Place, state: State) -> State {
    let loaded = desk.load(place, Flags::default());
    let survey = loaded.and_then(|loaded| Ok(survey(place, &loaded.config)?));
    match survey {
        Ok(survey) => plan::looked(state, place, &survey),
        Err(failure) => {
            let text = format!("the backlog is shown as the last run knew it: {failure}");
            show(&[Problem::warning(text)], desk.colour);
            state
        }
    }
}
