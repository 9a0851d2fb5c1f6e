//! `harness prompt`: the next prompt of a feature, or where two that it was given part.

use super::args::PromptArgs;
use super::{Desk, desk::Failure, features, known, out};
use crate::agent::{part_at, shared_bytes};
use crate::config::Flags;
use crate::driver::{Place, prompt_for, survey};
use crate::model::{Problem, Slug};
use crate::report::{self, PromptPair};
use serde_json::json;

pub(super) fn prompt(desk: &Desk, args: &PromptArgs) -> Result<u8, Failure> {
    let place = desk.place()?;
    let state = place.read()?.state;
    let slug = known(&args.slug, &features(desk, &place, &state))?;
    if args.diff {
        out::out(&diff(&place, &slug, args)?);
        return Ok(0);
    }
    let config = desk.config(&place, Flags::default())?;
    let survey = survey(&place, &config)?;
    let text = prompt_for(&place, &config, &survey.features, &slug, &state)?;
    if args.json {
        out::json(&json!({
            "schema": "harness.prompt",
            "version": 1,
            "slug": slug,
            "iteration": state.last_iteration(&slug) + 1,
            "bytes": text.len(),
            "prompt": text,
        }))?;
        return Ok(0);
    }
    out::document(&text);
    Ok(0)
}

fn diff(place: &Place, slug: &Slug, args: &PromptArgs) -> Result<String, Failure> {
    let (n, m) = chosen(place, slug, args)?;
    let (before, after) = (kept(place, slug, n)?, kept(place, slug, m)?);
    let shared = shared_bytes(&before, &after);
    Ok(report::prompt_diff(&PromptPair {
        slug: slug.as_str(),
        before: (n, &before),
        after: (m, &after),
        shared,
        part: part_at(&after, shared),
    }))
}

/// The iterations that are meant: those named, or the last two; of one that is named, it and the next.
fn chosen(place: &Place, slug: &Slug, args: &PromptArgs) -> Result<(u32, u32), Failure> {
    let all = place.prompts(slug);
    let last = all.last().copied();
    let pair = match (args.from, args.to) {
        (Some(n), Some(m)) => Some((n, m)),
        (Some(n), None) => all.iter().find(|m| **m > n).map(|m| (n, *m)),
        (None, _) => all.iter().rev().nth(1).copied().zip(last),
    };
    pair.ok_or_else(|| {
        let text = format!("there are no two prompts of `{slug}` to compare");
        let help = "each iteration keeps its own; `harness prompt` shows the next one";
        Problem::error(text).help(help).into()
    })
}

fn kept(place: &Place, slug: &Slug, iteration: u32) -> Result<String, Failure> {
    let path = place.prompt(slug, iteration);
    let bytes = std::fs::read(&path).map_err(|error| {
        let path = path.display();
        let text = format!("the prompt of {slug} #{iteration} cannot be read: {path}: {error}");
        Failure::from(Problem::error(text))
    })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
