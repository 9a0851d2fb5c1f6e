//! What can go wrong between a client and its model, and how each interface says it.
//!
//! What is said was taken from what services are known to say. It must never decide when something goes wrong.

use super::ask::Api;
use serde_json::{Value, json};

/// Something that goes wrong with one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// 429, for now; with the seconds after which to ask again.
    TooFast { retry_after: Option<u64> },
    /// 429: the account's plan is used up until then, in seconds since 1970.
    Limit { resets_at: u64 },
    /// 529.
    Overloaded,
    /// 500.
    Failing,
    /// 401.
    Login,
    /// No money left.
    Billing,
    /// The prompt is longer than the model can read.
    Context,
    /// An answer that is none.
    Garbage,
    /// The connection ends without an answer.
    Disconnect,
    /// The connection ends in the middle of one.
    Broken,
    /// No answer comes.
    Hang,
    /// The answer stops in the middle and nothing more comes.
    Stall,
}

/// A refusal: status, headers, body.
pub(crate) type Refusal = (u16, Vec<(&'static str, String)>, Value);

impl Fault {
    /// How it is called in the log.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::TooFast { .. } => "too fast",
            Self::Limit { .. } => "limit",
            Self::Overloaded => "overloaded",
            Self::Failing => "failing",
            Self::Login => "login",
            Self::Billing => "billing",
            Self::Context => "context",
            Self::Garbage => "garbage",
            Self::Disconnect => "disconnect",
            Self::Broken => "broken",
            Self::Hang => "hang",
            Self::Stall => "stall",
        }
    }

    /// What the service answers, if it is an answer.
    pub(crate) fn refusal(self, api: Api) -> Option<Refusal> {
        let retry = match self {
            Self::TooFast { retry_after } => retry_after,
            _ => None,
        };
        let mut headers: Vec<_> = retry
            .map(|seconds| ("retry-after", seconds.to_string()))
            .into_iter()
            .collect();
        let (status, body) = match api {
            Api::Messages => self.of_messages()?,
            Api::Chat | Api::Responses => self.of_the_others()?,
        };
        if let (Self::Limit { resets_at }, Api::Messages) = (self, api) {
            headers.extend([
                ("anthropic-ratelimit-unified-status", "rejected".to_owned()),
                ("anthropic-ratelimit-unified-reset", resets_at.to_string()),
                (
                    "anthropic-ratelimit-unified-representative-claim",
                    "five_hour".to_owned(),
                ),
                (
                    "anthropic-ratelimit-unified-overage-status",
                    "rejected".to_owned(),
                ),
                ("x-should-retry", "false".to_owned()),
            ]);
        }
        Some((status, headers, body))
    }

    fn of_messages(self) -> Option<(u16, Value)> {
        let (status, kind, message) = match self {
            Self::TooFast { .. } | Self::Limit { .. } => (
                429,
                "rate_limit_error",
                "This request would exceed your account's rate limit. Please try again later.",
            ),
            Self::Overloaded => (529, "overloaded_error", "Overloaded"),
            Self::Failing => (500, "api_error", "Internal server error"),
            Self::Login => (401, "authentication_error", "invalid x-api-key"),
            Self::Billing => (
                400,
                "invalid_request_error",
                "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade \
                 or purchase credits.",
            ),
            Self::Context => (
                400,
                "invalid_request_error",
                "prompt is too long: 208310 tokens > 200000 maximum",
            ),
            _ => return None,
        };
        let error = json!({"type": kind, "message": message});
        Some((status, json!({"type": "error", "error": error})))
    }

    fn of_the_others(self) -> Option<(u16, Value)> {
        let (status, kind, code, message) = match self {
            Self::TooFast { .. } => (
                429,
                "requests",
                Some("rate_limit_exceeded"),
                "Rate limit reached for requests",
            ),
            Self::Limit { .. } => (
                429,
                "usage_limit_reached",
                None,
                "The usage limit has been reached",
            ),
            Self::Overloaded => (
                529,
                "server_error",
                Some("server_is_overloaded"),
                "The server is overloaded",
            ),
            Self::Failing => (
                500,
                "server_error",
                None,
                "The server had an error while processing your request",
            ),
            Self::Login => (
                401,
                "invalid_request_error",
                Some("invalid_api_key"),
                "Incorrect API key provided: dummy.",
            ),
            Self::Billing => (
                429,
                "insufficient_quota",
                Some("insufficient_quota"),
                "You exceeded your current quota, please check your plan and billing details.",
            ),
            Self::Context => (
                400,
                "invalid_request_error",
                Some("context_length_exceeded"),
                "Your input exceeds the context window of this model. Please adjust your input and try again.",
            ),
            _ => return None,
        };
        let mut error = json!({"message": message, "type": kind, "param": null, "code": code});
        if let Self::Limit { resets_at } = self {
            error["plan_type"] = "plus".into();
            error["resets_at"] = resets_at.into();
        }
        Some((status, json!({"error": error})))
    }
}
