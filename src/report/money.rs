//! What was used and what is left, in words: tokens, money, budgets, and how much came from prompt caches.
//!
//! Money that no agent told, but that was worked out from a list of prices, has a `~` before it. This file must never add
//! anything up.

use super::text::{grouped, shown};
use crate::core::{BudgetView, RunView};
use crate::model::{Budget, BudgetUnit, Finding, Spending, Usage};
use std::fmt::Write as _;

/// `$1,234.50`, or `$0.0042` where cents say nothing.
pub(super) fn usd(micro_usd: u64) -> String {
    let cents = micro_usd.saturating_add(5_000) / 10_000;
    match micro_usd {
        1..10_000 => format!("$0.{:04}", (micro_usd / 100).max(1)),
        _ => format!("${}.{:02}", grouped(cents / 100), cents % 100),
    }
}

/// With the mark of an estimate, if it is one.
pub(super) fn money(usage: &Usage) -> String {
    let mark = if usage.estimated { "~" } else { "" };
    format!("{mark}{}", usd(usage.micro_usd))
}

/// What one feature or run cost, in a few columns; money if it is known. `None`: nothing is known.
pub(super) fn cost(usage: &Usage) -> Option<String> {
    match (usage.micro_usd, usage.tokens()) {
        (0, 0) => None,
        (0, tokens) => Some(format!("{} tokens", grouped(tokens))),
        _ => Some(money(usage)),
    }
}

/// `1,234,567 tokens, $3.40; 87 % of what models were given came from the cache`.
pub(super) fn used(usage: &Usage) -> String {
    let mut out = format!("{} tokens", grouped(usage.tokens()));
    if usage.micro_usd > 0 {
        let _ = write!(out, ", {}", money(usage));
    }
    if let Some(percent) = usage.cached_percent() {
        let _ = write!(
            out,
            "; {percent} % of what models were given came from the cache"
        );
    }
    out
}

/// What the run has used and may still use; `None`: nothing is known, and nothing is limited.
pub(super) fn run_words(run: &RunView) -> Option<String> {
    let left = left(&run.budget);
    if run.usage.tokens() == 0 && run.usage.micro_usd == 0 && left.is_none() {
        return None;
    }
    let left = left.map(|left| format!("; left of the budget: {left}"));
    let used = used(&run.usage);
    Some(format!("used: {used}{}", left.unwrap_or_default()))
}

/// `$4.60 of $20.00, 1,000 of 5,000,000 tokens`.
pub(super) fn left(budget: &BudgetView) -> Option<String> {
    let money = budget.micro_usd.zip(budget.left_micro_usd);
    let money = money.map(|(all, left)| format!("{} of {}", usd(left), usd(all)));
    let tokens = budget.tokens.zip(budget.left_tokens);
    let tokens = tokens.map(|(all, left)| format!("{} of {} tokens", grouped(left), grouped(all)));
    let both: Vec<String> = [money, tokens].into_iter().flatten().collect();
    (!both.is_empty()).then(|| both.join(", "))
}

/// `$20.00 and 5,000,000 tokens`; `None`: no limit.
pub(super) fn limit(budget: &Budget) -> Option<String> {
    let money = budget.micro_usd.map(usd);
    let tokens = budget
        .tokens
        .map(|tokens| format!("{} tokens", grouped(tokens)));
    let both: Vec<String> = [money, tokens].into_iter().flatten().collect();
    (!both.is_empty()).then(|| both.join(" and "))
}

/// `$20.31 of $20.00`, `4,100,000 of 5,000,000 tokens`.
pub(super) fn spending(spending: &Spending) -> String {
    let mark = if spending.estimated { "~" } else { "" };
    match spending.unit {
        BudgetUnit::MicroUsd => {
            let (used, budget) = (usd(spending.used), usd(spending.budget));
            format!("{mark}{used} of {budget}")
        }
        BudgetUnit::Tokens => {
            let (used, budget) = (grouped(spending.used), grouped(spending.budget));
            format!("{used} of {budget} tokens")
        }
    }
}

/// What a person is told, and its code.
pub(super) fn finding(finding: &Finding) -> String {
    format!("{} [{}]", told(finding), finding.code())
}

fn told(finding: &Finding) -> String {
    match finding {
        Finding::Budget {
            slug: None,
            spending: all,
        } if all.is_all() => format!(
            "the run's budget is used up ({}): no iteration is started any more, what is done still lands",
            spending(all)
        ),
        Finding::Budget { slug, spending: of } => {
            let whose = slug
                .as_ref()
                .map_or_else(|| "the run's".to_owned(), |slug| format!("{slug}'s"));
            format!("most of {whose} budget is used: {}", spending(of))
        }
        Finding::CacheDropped {
            profile,
            percent,
            before,
        } => format!(
            "agent {}: only {percent} % of what its models are given comes from the prompt cache, it was {before} %; \
             `harness prompt --diff <feature>` shows where prompts differ",
            shown(profile, 40)
        ),
        Finding::PromptChanged { slug, iteration } => format!(
            "the beginning that all prompts share has changed, so that caches begin anew: `harness prompt --diff {slug} \
             {}` shows it",
            iteration.saturating_sub(1)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_rounded_to_what_says_something() {
        assert_eq!(usd(0), "$0.00");
        assert_eq!(usd(42), "$0.0001");
        assert_eq!(usd(4_200), "$0.0042");
        assert_eq!(usd(1_234_567_890), "$1,234.57");
        assert_eq!(usd(9_999), "$0.0099");
        assert_eq!(usd(10_000), "$0.01");
    }

    #[test]
    fn what_is_an_estimate_is_marked() {
        let told = Usage {
            input: 10,
            cache_read: 30,
            micro_usd: 1_200_000,
            ..Usage::default()
        };
        let guessed = Usage {
            estimated: true,
            ..told
        };
        assert_eq!(
            (money(&told), money(&guessed)),
            ("$1.20".into(), "~$1.20".into())
        );
        assert_eq!(
            used(&guessed),
            "40 tokens, ~$1.20; 75 % of what models were given came from the cache"
        );
        let spent = |estimated| Spending {
            unit: BudgetUnit::MicroUsd,
            budget: 2_000_000,
            used: 1_700_000,
            estimated,
        };
        assert_eq!(spending(&spent(true)), "~$1.70 of $2.00");
        assert_eq!(
            finding(&Finding::Budget {
                slug: None,
                spending: spent(false)
            }),
            "most of the run's budget is used: $1.70 of $2.00 [budget]"
        );
    }
}
