//! The order file: one feature a line, first come first served.
//!
//! This file must never know where the order file stands or what the order is used for.

use crate::config::{Source, nearest, quoted};
use crate::model::{Code, Problem, Severity, Slug};
use std::collections::{BTreeMap, BTreeSet};

/// The features that an order file lists with their positions from 0, and what is odd about it.
pub(super) fn parse(
    source: &Source,
    known: &BTreeSet<Slug>,
) -> (BTreeMap<Slug, u32>, Vec<Problem>) {
    let mut order = BTreeMap::new();
    let mut problems = Vec::new();
    let mut position = 0;
    for (row, line) in source.text().lines().enumerate() {
        let word = line.split('#').next().unwrap_or_default().trim();
        if word.is_empty() {
            continue;
        }
        let column = line.chars().take_while(|c| c.is_whitespace()).count();
        let place = crate::config::Place { row, column };
        let warn = |message: String| {
            let problem = source.problem(Severity::Warning, Some(place), message);
            problem.code(Code::BadOrder)
        };
        match known.get(word) {
            Some(slug) if order.contains_key(slug) => {
                problems.push(warn(format!("`{slug}` is listed twice; the first counts")));
            }
            Some(slug) => {
                order.insert(slug.clone(), position);
                position += 1;
            }
            None => {
                let problem = warn(format!("there is no feature {}", quoted(word)));
                let mut problem = problem.code(Code::UnknownFeature);
                let near = nearest(word, known.iter().map(Slug::as_str));
                problem.help = near.map(|near| format!("did you mean `{near}`?"));
                problems.push(problem);
            }
        }
    }
    (order, problems)
}
