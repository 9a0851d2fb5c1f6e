//! `harness graph`: works while a run lives and without one.

use super::args::{GraphArgs, GraphFormat};
use super::desk::Failure;
use super::status::look;
use super::{Desk, out};
use crate::core::graph as graph_of;
use crate::report::{graph_dot, graph_json, graph_mermaid, graph_text};

pub(super) fn graph(desk: &Desk, args: &GraphArgs) -> Result<u8, Failure> {
    let place = desk.place()?;
    let seen = look(desk, &place)?;
    let glance = seen.glance();
    let (graph, live) = (graph_of(glance.view), glance.live.is_some());
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
