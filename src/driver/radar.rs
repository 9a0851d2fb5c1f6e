//! Which unfinished features would conflict with which, and what landed in a feature's files meanwhile: asked
//! of git, in memory, whether a run lives or not.
//!
//! Reading only: nothing is locked, and nothing is written into the repository.

use super::error::DriverError;
use super::place::Place;
use crate::agent;
use crate::config::Config;
use crate::git::{GitError, Repo, integration_ref};
use crate::model::{Oid, Slug};
use crate::report::{Conflict, Conflicts, Side};

/// Merges every unfinished feature's branch with each other, with what has landed and with the target.
/// What an agent has not committed yet is not looked at.
///
/// # Errors
/// The journal is damaged, there is no target, or git failed.
pub fn conflicts(place: &Place, config: &Config) -> Result<Conflicts, DriverError> {
    let state = place.read()?.state;
    let (repo, target) = (&place.repo, place.repo.target(config.target.as_deref())?);
    let landed = repo.tip(&integration_ref(&target.refname))?;
    let mut sides = vec![(Side::Target, target.tip.clone())];
    // Where all that has landed is published, the two are one.
    sides.extend(
        landed
            .filter(|tip| *tip != target.tip)
            .map(|tip| (Side::Landed, tip)),
    );
    let bases: Vec<Oid> = sides.iter().map(|(_, tip)| tip.clone()).collect();
    let mut features = Vec::new();
    for slug in state.slugs().filter(|slug| !state.is_merged(slug)) {
        if let Some(tip) = unlanded(place, slug, &bases)? {
            features.push(slug.clone());
            sides.push((Side::Feature(slug.clone()), tip));
        }
    }
    // Features may be called as branches are: their place in the list is what tells them apart.
    let names = sides.iter().enumerate();
    let tips: Vec<(String, Oid)> = names
        .map(|(n, (_, tip))| (n.to_string(), tip.clone()))
        .collect();
    let side = |name: &str| {
        let found = name.parse().ok().and_then(|n: usize| sides.get(n));
        found.map_or(Side::Target, |(side, _)| side.clone())
    };
    let found = repo.clashes(&tips)?.into_iter().map(|clash| {
        let (one, other) = (side(&clash.a), side(&clash.b));
        Conflict {
            a: one.clone().min(other.clone()),
            b: one.max(other),
            paths: clash.paths,
        }
    });
    let mut clashes: Vec<Conflict> = found.collect();
    clashes.sort();
    Ok(Conflicts {
        target: target.refname,
        features,
        clashes,
    })
}

/// For a feature's prompt: what has landed since its branch last took in the target and touches its files.
pub(super) fn meanwhile(
    repo: &Repo,
    target: &str,
    slug: &Slug,
) -> Result<Option<String>, GitError> {
    let branch = format!("refs/heads/harness/{slug}");
    let (Some(tip), Some(onto)) = (repo.tip(&branch)?, repo.tip(&integration_ref(target))?) else {
        return Ok(None);
    };
    let paths = repo.own_paths(slug, &onto)?;
    if paths.is_empty() || repo.descends(&tip, &onto)? {
        return Ok(None);
    }
    let landed = repo.landed_since(&tip, &onto, &paths)?;
    if landed.is_empty() {
        return Ok(None);
    }
    let clashes = repo.clashes(&[("branch".to_owned(), tip), ("landed".to_owned(), onto)])?;
    let landed: Vec<(String, Vec<String>)> = landed
        .into_iter()
        .map(|landed| (landed.line(), landed.paths))
        .collect();
    Ok(agent::meanwhile(&agent::Meanwhile {
        landed: &landed,
        conflicts: clashes.first().map_or(&[], |clash| &clash.paths),
    }))
}

/// The tip of a feature's branch, if it holds anything that has not landed.
fn unlanded(place: &Place, slug: &Slug, landed: &[Oid]) -> Result<Option<Oid>, DriverError> {
    let branch = format!("refs/heads/harness/{slug}");
    let Some(tip) = place.repo.tip(&branch)? else {
        return Ok(None);
    };
    for base in landed {
        if place.repo.descends(base, &tip)? {
            return Ok(None);
        }
    }
    Ok(Some(tip))
}
