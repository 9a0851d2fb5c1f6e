//! What kind of failure it is that a CLI complains of.
//!
//! Its words are looked at only once it is clear that they are the CLI's own and that the call failed: the same words
//! stand in specs, in code and in what agents write. This file must never see anything else.

use super::resets;
use super::text::{FAILURE_CHARS, clip, visible};
use crate::model::{AgentFailure, Ending, FailureKind};
use jiff::ZonedDateTime;
use serde_json::Value;

/// How much of a complaint is looked at: what comes later was handed through from somewhere.
const LOOKED_AT: usize = 2000;

/// A CLI's own word that something went wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Complaint {
    text: String,
    /// Of HTTP.
    status: Option<u64>,
    /// Names that machines gave it, in lower case.
    codes: Vec<String>,
    /// When that ends.
    resets_at: Option<i64>,
    scope: Option<String>,
    /// It is known to be a limit of the account's plan.
    is_limit: bool,
    /// The words are the agent's own.
    is_prose: bool,
}

impl Complaint {
    /// One that is nothing but words.
    pub(super) fn of(text: &str) -> Self {
        Self {
            text: text.trim().to_owned(),
            ..Self::default()
        }
    }

    /// Without a look at the words if they are the agent's rather than the CLI's.
    pub(super) fn unquoted(mut self, is_prose: bool) -> Self {
        self.is_prose = is_prose;
        self
    }

    /// With the status of HTTP, if one is known.
    pub(super) fn status(mut self, status: Option<u64>) -> Self {
        self.status = status.or(self.status);
        self
    }

    /// With a name that machines gave it, if it has one.
    pub(super) fn code(mut self, code: Option<&str>) -> Self {
        self.codes.extend(code.map(str::to_lowercase));
        self
    }

    /// With what a service said about it, as JSON: `{"error": {"type": ..., "resets_at": ...}}`.
    pub(super) fn body(mut self, body: &str) -> Self {
        let Ok(body) = serde_json::from_str::<Value>(body) else {
            return self;
        };
        let error = body.get("error").filter(|it| it.is_object());
        let error = error.unwrap_or(&body);
        for name in ["type", "code", "status"] {
            self = self.code(error.get(name).and_then(Value::as_str));
        }
        let number = |name: &str| error.get(name).and_then(Value::as_u64);
        let status = number("code").filter(|code| (400..600).contains(code));
        self.resets_at = error
            .get("resets_at")
            .and_then(Value::as_i64)
            .or(self.resets_at);
        if let Some(message) = error.get("message").and_then(Value::as_str)
            && self.text.starts_with('{')
        {
            self.text = message.trim().to_owned();
        }
        self.status(status)
    }

    /// A limit of the account's plan, which ends then.
    pub(super) fn limit(mut self, resets_at: Option<i64>, scope: Option<&str>) -> Self {
        self.is_limit = true;
        self.resets_at = resets_at;
        self.scope = scope.map(str::to_owned);
        self
    }

    /// What it amounts to.
    pub(super) fn failure(&self, at: &ZonedDateTime) -> AgentFailure {
        let kind = self.kind();
        let (mut resets_at, mut scope) = (None, None);
        if matches!(kind, FailureKind::Limit | FailureKind::Overloaded) {
            scope = self.scope.clone().or_else(|| scope_in(&self.text));
            let is_five_hours = scope.as_deref() == Some("five_hour");
            resets_at = match self.resets_at {
                Some(epoch) => resets::credible(epoch, at),
                None => resets::reset(&self.text, is_five_hours, at),
            };
        }
        AgentFailure {
            kind,
            text: clip(&visible(&self.text).replace('\n', " "), FAILURE_CHARS),
            resets_at,
            scope: scope.filter(|_| kind == FailureKind::Limit),
        }
    }

    /// Whether a code names a limit that is none of speed: `FreeUsageLimitError`.
    fn names_limit(&self) -> bool {
        let mut codes = self.codes.iter();
        codes.any(|code| code.ends_with("limiterror") && !code.ends_with("ratelimiterror"))
    }

    fn kind(&self) -> FailureKind {
        let looked_at = if self.is_prose { 0 } else { LOOKED_AT };
        let text: String = self.text.chars().take(looked_at).collect();
        let text = text.replace('’', "'").to_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
        let is = |codes: &[&str]| self.codes.iter().any(|code| codes.contains(&code.as_str()));
        let status = self.status.or_else(|| status_in(&text));
        if is(CONTEXT_CODES) || says(CONTEXT) {
            FailureKind::Context
        } else if self.is_limit || is(LIMIT_CODES) || self.names_limit() || is_limit(&text) {
            FailureKind::Limit
        } else if is(BILLING_CODES) || says(BILLING) || status == Some(402) {
            FailureKind::Billing
        } else if is(REFUSED_CODES) || says(REFUSED) {
            FailureKind::Refused
        } else if is(AUTH_CODES) || says(AUTH) || matches!(status, Some(401 | 403)) {
            FailureKind::Auth
        } else if is(OVERLOADED_CODES)
            || matches!(status, Some(408 | 429 | 500..=599))
            || says(OVERLOADED)
        {
            FailureKind::Overloaded
        } else if is(NETWORK_CODES) || says(NETWORK) {
            FailureKind::Network
        } else {
            FailureKind::Other
        }
    }
}

const CONTEXT_CODES: &[&str] = &[
    "context_length_exceeded",
    "contextoverflowerror",
    "prompt_too_long",
    "model_context_window_exceeded",
    "string_above_max_length",
];
const CONTEXT: &[&str] = &[
    "prompt is too long",
    "prompt as too long",
    "prompt too long",
    "input is too long",
    "context window",
    "context length",
    "context limit",
    "context_length",
    "context size",
    "maximum context",
    "token count exceeds",
    "maximum number of tokens",
    "hit a token limit",
    "reduce the length",
    "request_too_large",
    "request too large for model",
];
const LIMIT_CODES: &[&str] = &[
    "usage_limit_reached",
    "usage_limit_exceeded",
    "usage_not_included",
    "terminalquotaerror",
    "quota_exhausted",
];
const BILLING_CODES: &[&str] = &[
    "insufficient_quota",
    "insufficient_funds",
    "insufficient_credits",
    "billing_error",
    "billing_hard_limit_reached",
    "billing_not_active",
    "credits_exhausted",
    "creditsexhausted",
];
const BILLING: &[&str] = &[
    "credit balance",
    "plan and billing",
    "billing details",
    "billing hard limit",
    "insufficient_quota",
    "insufficient quota",
    "insufficient credit",
    "insufficient balance",
    "insufficient fund",
    "not enough credit",
    "out of credits",
    "no credits",
    "credits exhausted",
    "requires more credits",
    "payment required",
    "payment method",
    "account is not active",
];
const REFUSED_CODES: &[&str] = &[
    "refusal",
    "content_filter",
    "content_policy_violation",
    "content_policy",
    "cyber_policy_violation",
];
const REFUSED: &[&str] = &[
    "usage policy",
    "usage policies",
    "content policy",
    "content filter",
    "content management policy",
    "safety policy",
    "safety filter",
    "unable to respond to this request",
    "declined to respond",
    "response was refused",
];
const AUTH_CODES: &[&str] = &[
    "authentication_error",
    "permission_error",
    "invalid_api_key",
    "unauthenticated",
    "permission_denied",
    "providerautherror",
    "authentication_failed",
    "oauth_org_not_allowed",
];
const AUTH: &[&str] = &[
    "invalid api key",
    "incorrect api key",
    "api key not valid",
    "api key not found",
    "api key is invalid",
    "api key is missing",
    "missing api key",
    "no api key",
    "invalid x-api-key",
    "authentication failed",
    "authentication error",
    "authentication_error",
    "authenticationerror",
    "failed to authenticate",
    "not able to authenticate",
    "no authentication",
    "not authenticated",
    "not logged in",
    "please log in",
    "please login",
    "/login",
    "login required",
    "unauthorized",
    "token has expired",
    "token is expired",
    "token expired",
    "token has been revoked",
    "refresh token",
    "invalid bearer",
    "invalid auth method",
    "set an auth method",
    "does not have permission",
];
const OVERLOADED_CODES: &[&str] = &[
    "overloaded_error",
    "overloaded",
    "rate_limit_error",
    "ratelimiterror",
    "rate_limit_exceeded",
    "rate_limit",
    "resource_exhausted",
    "server_error",
    "server_overloaded",
    "slow_down",
    "unavailable",
    "internal",
    "retryablequotaerror",
];
const OVERLOADED: &[&str] = &[
    "overloaded",
    "at capacity",
    "high demand",
    "too many requests",
    "rate limit",
    "rate-limit",
    "rate_limit",
    "ratelimit",
    "throttl",
    "temporarily limiting",
    "temporarily unavailable",
    "server error",
    "internalservererror",
    "bad gateway",
    "gateway timeout",
    "gateway time-out",
    "service unavailable",
    "serviceunavailable",
    "resource has been exhausted",
    "resource exhausted",
];
const NETWORK_CODES: &[&str] = &["connection_failed"];
const NETWORK: &[&str] = &[
    "unable to connect",
    "could not connect",
    "cannot connect",
    "failed to connect",
    "connection",
    "econnre",
    "econnab",
    "epipe",
    "etimedout",
    "enotfound",
    "eai_again",
    "enetunreach",
    "ehostunreach",
    "getaddrinfo",
    "fetch failed",
    "network error",
    "waiting for network",
    "sending request",
    "stream disconnected",
    "stream decode error",
    "decoding response body",
    "socket",
    "terminated",
    "timed out",
    "timeout",
];

/// Whether it says that the account's plan, or a budget of its, is used up: not that one was asked too fast.
fn is_limit(text: &str) -> bool {
    if text.contains("not your usage limit") {
        return false;
    }
    let has = |word: &str| text.contains(word);
    let is_used_up = ["reached", "hit", "exceeded", "exhausted", "used"]
        .iter()
        .any(|word| has(word));
    let is_named = [
        "usage limit",
        "session limit",
        "weekly limit",
        "5-hour limit",
        "daily limit",
        "monthly limit",
        "daily quota",
        "weekly quota",
        "monthly quota",
        "free quota",
        "allocated quota",
        "premium request",
    ]
    .iter()
    .any(|name| has(name));
    // A quota that the service says will be there again is no bill that is due.
    let comes_back = has("current quota") && has("retry in");
    let is_hit = text.split_once("hit your ").is_some_and(|(_, rest)| {
        rest.split(['.', '·', '\n'])
            .next()
            .is_some_and(|it| it.contains("limit"))
    });
    is_hit
        || (is_named && is_used_up)
        || comes_back
        || has("exhausted your capacity")
        || has("quota will reset")
        || has("limit will reset")
        || has("limit reached resets")
        || is_limit_reached(text)
}

/// `Limit reached`, `Opus limit reached`, but not `Rate limit reached for ...`.
fn is_limit_reached(text: &str) -> bool {
    text.match_indices("limit reached").any(|(at, _)| {
        let before = text[..at].trim_end();
        !["rate", "turn", "time", "token", "step", "size"]
            .iter()
            .any(|word| before.ends_with(word))
    })
}

/// Which limit: `five_hour`, `seven_day`, or the CLI's own word for it.
fn scope_in(text: &str) -> Option<String> {
    let text = text.replace('’', "'").to_lowercase();
    let (before, _) = text.split_once("limit")?;
    // `You've hit your weekly limit`, `Opus limit reached`.
    let name = match before.split_once("hit your ") {
        Some((_, name)) => name.trim(),
        None => before.trim_start_matches("your ").trim(),
    };
    let is_short = name.split(' ').count() <= 2;
    match name {
        "" | "usage" | "rate" | "the usage" => None,
        "session" | "5-hour" => Some("five_hour".to_owned()),
        "weekly" => Some("seven_day".to_owned()),
        name => is_short.then(|| clip(&visible(name), 40).replace(' ', "_")),
    }
}

/// A status of HTTP that the words tell: `API Error: 529 ...`, `unexpected status 403`, `(HTTP 401)`.
fn status_in(text: &str) -> Option<u64> {
    const BEFORE: [&str; 9] = [
        "status", "status:", "error:", "error", "http", "code", "code:", "rejected", "failed:",
    ];
    let mut last = "";
    for word in text.split([' ', '(', ')', '[', ']', ',', '"', '\n']) {
        if word.is_empty() {
            continue;
        }
        let bare = word.trim_end_matches(['.', ':', ';']);
        if bare.len() == 3
            && BEFORE.contains(&last)
            && let Ok(number) = bare.parse::<u64>()
            && (400..600).contains(&number)
        {
            return Some(number);
        }
        last = word;
    }
    None
}

/// A failure, when the process ended by itself and not well; `words` say why, if anything does.
pub(super) fn of_exit(ending: &Ending, words: &str) -> Option<AgentFailure> {
    let (kind, how) = match ending {
        Ending::Exited { code: 0 } => return None,
        Ending::Exited { code } => (FailureKind::Other, format!("exit {code}")),
        Ending::Signalled { signal } => (FailureKind::Crashed, format!("ended by signal {signal}")),
        Ending::OverLimit { what } => {
            let how = format!("used more than it may: {what}");
            (FailureKind::Other, how)
        }
        Ending::TimedOut | Ending::IdleTimedOut | Ending::Stopped | Ending::NotStarted { .. } => {
            return None;
        }
    };
    let text = if words.is_empty() {
        how
    } else {
        format!("{how}: {words}")
    };
    Some(AgentFailure::new(kind, clip(&text, FAILURE_CHARS)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use FailureKind::{Auth, Billing, Context, Limit, Network, Other, Overloaded, Refused};

    fn failure(complaint: &Complaint) -> AgentFailure {
        let at = jiff::Timestamp::from_second(1_795_424_400).unwrap();
        complaint.failure(&at.to_zoned_datetime(jiff::tz::TimeZone::UTC))
    }

    const WORDS: &[(&str, FailureKind)] = &[
        ("You've hit your Opus limit · resets 8am", Limit),
        ("Opus limit reached · resets 8am", Limit),
        ("You’ve hit your usage limit. Try again at 11:13 AM.", Limit),
        ("You have exhausted your daily quota on this model.", Limit),
        (
            "You have exhausted your capacity on this model. Your quota will reset after 5s.",
            Limit,
        ),
        (
            "You exceeded your current quota, please check your plan and billing details. Please retry in 34.07s.",
            Limit,
        ),
        ("429 The usage limit has been reached", Limit),
        ("You have exceeded your premium request allowance.", Limit),
        (
            "API Error: 400 You have reached your specified API usage limits.",
            Limit,
        ),
        (
            "Rate limit reached for gpt-5 on tokens per min. Please try again in 1s.",
            Overloaded,
        ),
        (
            "API Error: Server is temporarily limiting requests (not your usage limit) · rate limit",
            Overloaded,
        ),
        (
            "API Error: Request rejected (429) · This request would exceed your account's rate limit.",
            Overloaded,
        ),
        (
            "Resource has been exhausted (e.g. check quota).",
            Overloaded,
        ),
        (
            "We’re currently experiencing high demand, which may cause temporary errors.",
            Overloaded,
        ),
        (
            "unexpected status 502 Bad Gateway: <html>, url: http://x",
            Overloaded,
        ),
        (
            "You exceeded your current quota, please check your plan and billing details.",
            Billing,
        ),
        (
            "Quota exceeded. Check your plan and billing details.",
            Billing,
        ),
        ("Credit balance is too low", Billing),
        ("402 Payment Required", Billing),
        ("Invalid API key · Fix external API key", Auth),
        ("unexpected status 403 Forbidden: no, url: http://x", Auth),
        (
            "Authentication failed with provider at http://x (HTTP 401).",
            Auth,
        ),
        ("Not logged in · Please run /login", Auth),
        ("Invalid auth method selected.", Auth),
        (
            "Prompt is too long · the tests talk of a usage limit reached",
            Context,
        ),
        (
            "Codex ran out of room in the model's context window. Start a new thread.",
            Context,
        ),
        ("Context limit still exceeded after compaction.", Context),
        ("exception TypeError: fetch failed sending request", Network),
        (
            "stream disconnected before completion: error sending request",
            Network,
        ),
        ("API Error: Unable to connect to API (ECONNRESET)", Network),
        (
            "API Error: Claude Code is unable to respond to this request, which appears to violate our Usage Policy",
            Refused,
        ),
        (
            "There's an issue with the selected model (x). It may not exist or you may not have access to it.",
            Other,
        ),
        (
            "unexpected status 404 Not Found: model: x, url: http://127.0.0.1:401/v1",
            Other,
        ),
        ("API Error: Failed to parse JSON", Other),
        ("Reached maximum number of turns (429)", Other),
        ("Turn limit reached", Other),
        ("", Other),
    ];

    #[test]
    fn words_are_told_apart() {
        for (text, kind) in WORDS {
            assert_eq!(failure(&Complaint::of(text)).kind, *kind, "{text}");
        }
    }

    #[test]
    fn what_machines_say_counts_more_than_words() {
        let bare = Complaint::of("no");
        assert_eq!(failure(&bare.clone().status(Some(401))).kind, Auth);
        assert_eq!(failure(&bare.clone().status(Some(529))).kind, Overloaded);
        let full = bare
            .clone()
            .status(Some(429))
            .code(Some("insufficient_quota"));
        assert_eq!(failure(&full).kind, Billing);
        for (code, kind) in [
            ("FreeUsageLimitError", Limit),
            ("RateLimitError", Overloaded),
            ("ProviderAuthError", Auth),
            ("ContextOverflowError", Context),
            ("RESOURCE_EXHAUSTED", Overloaded),
            ("connection_failed", Network),
            ("refusal", Refused),
        ] {
            assert_eq!(failure(&bare.clone().code(Some(code))).kind, kind, "{code}");
        }
        let limit = bare.body(r#"{"error":{"type":"usage_limit_reached","resets_at":1795432629}}"#);
        let limit = failure(&limit.status(Some(429)));
        assert_eq!((limit.kind, limit.resets_at), (Limit, Some(1_795_432_629)));
    }

    #[test]
    fn a_limit_is_told_with_its_scope_and_its_end() {
        for (text, scope, wait) in [
            (
                "You've hit your session limit · resets 12pm (UTC)",
                Some("five_hour"),
                Some(3 * 3600),
            ),
            (
                "You've hit your weekly limit · resets Nov 24, 9am (UTC)",
                Some("seven_day"),
                Some(86_400),
            ),
            (
                "You've hit your Fable 5 limit · resets 10am (UTC)",
                Some("fable_5"),
                Some(3600),
            ),
            (
                "You've hit your limit · resets 10am (UTC)",
                None,
                Some(3600),
            ),
            ("5-hour limit reached ∙ resets 1am", Some("five_hour"), None),
            ("Opus limit reached ∙ resets 10am", Some("opus"), Some(3600)),
        ] {
            let failure = failure(&Complaint::of(text));
            assert_eq!(failure.kind, Limit, "{text}");
            assert_eq!(failure.scope.as_deref(), scope, "{text}");
            assert_eq!(
                failure.resets_at.map(|at| at - 1_795_424_400),
                wait,
                "{text}"
            );
        }
    }

    #[test]
    fn what_a_signal_ended_crashed() {
        let failure = of_exit(&Ending::Signalled { signal: 11 }, "").unwrap();
        assert_eq!(failure.kind, FailureKind::Crashed);
        assert_eq!(
            of_exit(&Ending::Exited { code: 3 }, "x").unwrap().kind,
            Other
        );
        assert_eq!(of_exit(&Ending::Exited { code: 0 }, "x"), None);
        assert_eq!(of_exit(&Ending::TimedOut, "x"), None);
    }
}
