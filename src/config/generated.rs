//! Files that a command makes: what the keys of `merge.regenerate` come to.
//!
//! This file must never know what a merge is.

use super::resolve::Resolver;
use super::resolved::Generated;
use super::shape;
use super::source::quoted;
use crate::model::{Code, Problem, not_a_pattern};

impl Resolver<'_> {
    /// The kinds of generated files, each with patterns and a command.
    pub(super) fn regenerate(&mut self, shapes: Vec<shape::Generated>) -> Vec<Generated> {
        let nodes = self.file.and_then(|(source, root)| {
            let list = root.entry("merge")?.node.entry("regenerate")?;
            Some((source, list.node.items()))
        });
        for (n, shape) in shapes.iter().enumerate() {
            let wrong = if shape.paths.0.is_empty() {
                Some(("`paths` is missing".to_owned(), "name the files it makes"))
            } else if shape.command.0.trim().is_empty() {
                Some((
                    "`command` is missing".to_owned(),
                    "say what makes the files",
                ))
            } else {
                let mut paths = shape.paths.0.iter();
                paths.find_map(|path| {
                    let why = not_a_pattern(path)?;
                    let text = format!("{} names no files: {why}", quoted(path));
                    Some((text, "patterns are those of .gitignore"))
                })
            };
            let Some((text, help)) = wrong else { continue };
            let problem = Problem::error(format!("`merge.regenerate`: {text}"))
                .code(Code::BadValue)
                .help(help);
            let spot = nodes.and_then(|(source, items)| Some(source.spot(items.get(n)?.place?)));
            match spot {
                Some(spot) => self.problems.push(spot.mark(problem)),
                None => self.problem("merge.regenerate", problem),
            }
        }
        let kinds = shapes.into_iter().map(|shape| Generated {
            paths: shape.paths.0,
            command: shape.command.0,
        });
        kinds.collect()
    }
}
