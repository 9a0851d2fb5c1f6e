//! What a person is shown of a budget.
//!
//! It must never decide what follows.

use crate::model::{Budget, Usage};
use serde::Serialize;

/// A budget, and what is left of it. `None`: no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BudgetView {
    /// Money, in millionths of a US dollar.
    pub micro_usd: Option<u64>,
    /// Tokens.
    pub tokens: Option<u64>,
    /// Money that is left.
    pub left_micro_usd: Option<u64>,
    /// Tokens that are left.
    pub left_tokens: Option<u64>,
}

impl BudgetView {
    pub(super) fn new(budget: Budget, used: &Usage) -> Self {
        let left = |limit: Option<u64>, used| limit.map(|limit| limit.saturating_sub(used));
        Self {
            micro_usd: budget.micro_usd,
            tokens: budget.tokens,
            left_micro_usd: left(budget.micro_usd, used.micro_usd),
            left_tokens: left(budget.tokens, used.tokens()),
        }
    }
}
