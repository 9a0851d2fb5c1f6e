//! An account's limits, by what Claude Code reports of them in a `rate_limit_event`.
//!
//! Codex knows it as well, and does not tell it in the records of `codex exec`. This file must never decide what is too much.

use super::reader::str_at;
use super::text::{clip, visible};
use crate::model::Quota;
use serde_json::Value;

/// A limit that is reached, by a `rate_limit_event`.
#[derive(Debug)]
pub(super) struct Limit {
    pub(super) resets_at: Option<i64>,
    pub(super) scope: Option<String>,
}

/// How much of each limit is used: of all of them, or in older versions of the one that is nearest to its end.
pub(super) fn quota(info: &Value) -> Vec<Quota> {
    let windows = info.get("unifiedWindows").and_then(Value::as_object);
    let windows = windows.into_iter().flatten();
    let windows = windows.map(|(name, window)| (name.as_str(), window));
    let nearest = str_at(info, "/rateLimitType").map(|name| (name, info));
    let all = nearest.into_iter().chain(windows);
    let told = all.filter_map(|(name, window)| {
        // From 0 to 1; more where more may be used than the limit.
        let used = window.get("utilization")?.as_f64()? * 100.0;
        let used_percent = (0..=100_u8)
            .rev()
            .find(|percent| f64::from(*percent) <= used + 0.001)?;
        Some(Quota {
            scope: clip(&visible(name), 40),
            used_percent,
            resets_at: window.get("resetsAt")?.as_i64()?,
        })
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_much_of_each_limit_is_used_is_told() {
        let told = |info: &str| {
            let info: Value = serde_json::from_str(info).unwrap();
            let quota = quota(&info).into_iter();
            quota
                .map(|one| (one.scope, one.used_percent, one.resets_at))
                .collect::<Vec<_>>()
        };
        let windows = r#"{"status":"allowed","unifiedWindows":{"five_hour":{"utilization":0.29,"resetsAt":5},
            "seven_day":{"utilization":1.2,"resetsAt":9}}}"#;
        assert_eq!(
            told(windows),
            [("five_hour".into(), 29, 5), ("seven_day".into(), 100, 9)]
        );
        let warning = r#"{"status":"allowed_warning","rateLimitType":"five_hour","utilization":0.85,"resetsAt":5}"#;
        assert_eq!(told(warning), [("five_hour".into(), 85, 5)]);
        let nothing =
            r#"{"status":"allowed","rateLimitType":"five_hour","resetsAt":5,"unifiedWindows":3}"#;
        assert_eq!(told(nothing), []);
    }
}
