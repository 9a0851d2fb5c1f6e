//! Prompt caches: how much of what models are given comes from them, and whether prompts still begin as they did.
//!
//! Only watched: nothing is decided by it. This file must never know what stands in a prompt.

use super::budget::noticed;
use super::state::{Run, State};
use crate::model::{Event, Finding, IterationReport, Slug, Usage};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Iterations that are looked at together.
const WINDOW: usize = 5;
/// Iterations in which models were given less say nothing.
const LEAST_TOKENS: u64 = 10_000;
/// Nobody is told that less than that became even less.
const LEAST_PERCENT: u32 = 20;

/// The cache of one profile, in this run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Cache {
    /// Of the last iterations: tokens from the cache, and all that models were given.
    last: VecDeque<Usage>,
    /// The best share of so many iterations in a row, in percent.
    best: u32,
    pub(super) told: bool,
}

impl Cache {
    fn hear(&mut self, usage: &Usage) {
        if usage.heard() < LEAST_TOKENS {
            return;
        }
        self.last.push_back(*usage);
        if self.last.len() > WINDOW {
            self.last.pop_front();
        }
        self.best = self.best.max(self.share().unwrap_or(0));
    }

    fn share(&self) -> Option<u32> {
        let sum = self
            .last
            .iter()
            .fold(Usage::default(), |sum, one| sum.plus(*one));
        sum.cached_percent().filter(|_| self.last.len() == WINDOW)
    }

    /// What it has fallen to and from, if it is to be told.
    fn dropped(&self) -> Option<(u32, u32)> {
        let share = self.share()?;
        let is_low = self.best >= LEAST_PERCENT && share * 2 < self.best;
        (is_low && !self.told).then_some((share, self.best))
    }
}

/// The beginning that all prompts have in common.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct CommonPrompt {
    /// What identifies it.
    hash: Option<String>,
    /// Who was the first to be told another one, until a person has heard of it.
    pub(super) changed: Option<(Slug, u32)>,
}

impl State {
    /// Takes in what an iteration says about caches.
    pub(super) fn hear_of_cache(
        &mut self,
        slug: &Slug,
        iteration: u32,
        profile: Option<String>,
        report: &IterationReport,
    ) {
        if let (Some(run), Some(profile), Some(usage)) = (&mut self.run, profile, &report.usage) {
            run.caches.entry(profile).or_default().hear(usage);
        }
        if let Some(figures) = &report.prompt {
            let known = self.prompt.hash.replace(figures.hash.clone());
            if known.is_some_and(|known| known != figures.hash) {
                self.prompt.changed = Some((slug.clone(), iteration));
            }
        }
    }
}

/// What is to be told of caches.
pub(super) fn news(state: &State, run: &Run) -> Option<Event> {
    if let Some((slug, iteration)) = state.prompt.changed.clone() {
        return Some(noticed(Finding::PromptChanged { slug, iteration }));
    }
    run.caches.iter().find_map(|(profile, cache)| {
        let (percent, before) = cache.dropped()?;
        Some(noticed(Finding::CacheDropped {
            profile: profile.clone(),
            percent,
            before,
        }))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hear(cache: &mut Cache, times: u32, cache_read: u64, input: u64) {
        for _ in 0..times {
            cache.hear(&Usage {
                input,
                cache_read,
                ..Usage::default()
            });
        }
    }

    #[test]
    fn a_share_that_falls_to_less_than_half_is_told_and_noise_is_not() {
        let mut cache = Cache::default();
        hear(&mut cache, 4, 90_000, 10_000);
        hear(&mut cache, 9, 0, 9_999);
        assert_eq!(cache.dropped(), None, "too little is known");
        hear(&mut cache, 1, 90_000, 10_000);
        assert_eq!((cache.best, cache.dropped()), (90, None));
        // One bad iteration is noise, and so are small ones.
        hear(&mut cache, 1, 0, 100_000);
        hear(&mut cache, 9, 0, 9_999);
        assert_eq!(cache.dropped(), None);
        hear(&mut cache, 2, 0, 100_000);
        assert_eq!(cache.dropped(), Some((36, 90)));
        cache.told = true;
        assert_eq!(cache.dropped(), None);
    }

    #[test]
    fn who_has_no_cache_is_told_nothing_of_it() {
        let mut cache = Cache::default();
        hear(&mut cache, 5, 15_000, 85_000);
        hear(&mut cache, 5, 0, 100_000);
        assert_eq!((cache.best, cache.dropped()), (15, None));
    }
}
