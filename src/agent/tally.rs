//! Tokens and money, as records tell them, added up.
//!
//! This file never knows what a token costs.

use crate::model::Usage;
use serde_json::Value;

/// Tokens of all models (`usage` leaves out sub-agents) and the money.
pub(super) fn result_usage(result: &Value) -> Usage {
    let models = result.get("modelUsage").and_then(Value::as_object);
    let mut total = match models.filter(|models| !models.is_empty()) {
        Some(models) => sum(models.values().map(|model| tokens(model, &CAMEL))),
        None => result
            .get("usage")
            .map_or_else(Usage::default, |usage| tokens(usage, &SNAKE)),
    };
    total.micro_usd = micros(
        result
            .get("total_cost_usd")
            .and_then(Value::as_f64)
            .unwrap_or(0.0),
    );
    total
}

/// Names of input, output, cache-read and cache-write tokens.
pub(super) type Names = [&'static str; 4];
pub(super) const SNAKE: Names = [
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
];
const CAMEL: Names = [
    "inputTokens",
    "outputTokens",
    "cacheReadInputTokens",
    "cacheCreationInputTokens",
];

/// Those of one record.
pub(super) fn tokens(value: &Value, [input, output, cache_read, cache_write]: &Names) -> Usage {
    let count = |name: &str| value.get(name).and_then(Value::as_u64).unwrap_or(0);
    Usage {
        input: count(input),
        output: count(output),
        cache_read: count(cache_read),
        cache_write: count(cache_write),
        ..Usage::default()
    }
}

/// Of several calls or models.
pub(super) fn sum(all: impl Iterator<Item = Usage>) -> Usage {
    all.fold(Usage::default(), Usage::plus)
}

/// Dollars as millionths.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the conversion saturates, and takes what is not a number for 0"
)]
pub(super) fn micros(usd: f64) -> u64 {
    (usd * 1e6).round() as u64
}
