//! Identifiers: slugs, object ids, run ids, worktree names and points in time.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The name of a feature: the name of its directory below the specs directory.
///
/// Grammar: `^[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?$`, without `..` and not ending in `.lock`, so that
/// it is at once a safe file name, a safe branch component (`harness/<slug>`) and a safe URL segment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Slug(String);

/// Why a string is not a [`Slug`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a feature name: 1 to 63 characters of a-z, 0-9, `.`, `_`, `-`, \
     beginning and ending with a letter or digit, without `..` or a final `.lock`"
)]
pub struct SlugError {
    /// The offending string, with control characters escaped.
    pub text: String,
}

impl Slug {
    /// Checks `text` against the grammar.
    ///
    /// # Errors
    /// [`SlugError`] holding the escaped text when it does not match.
    pub fn new(text: impl Into<String>) -> Result<Self, SlugError> {
        let text = text.into();
        let bytes = text.as_bytes();
        let edge = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let inner = |b: &u8| edge(b) || matches!(b, b'.' | b'_' | b'-');
        // git refuses refs with `..` and refs ending in `.lock`; both would surface as git errors later.
        let fits = (1..=63).contains(&bytes.len())
            && bytes.iter().all(inner)
            && bytes.first().is_some_and(edge)
            && bytes.last().is_some_and(edge)
            && !text.contains("..")
            && !text.ends_with(".lock");
        if fits {
            Ok(Self(text))
        } else {
            Err(SlugError {
                text: text.escape_debug().to_string(),
            })
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Slug {
    type Error = SlugError;
    fn try_from(text: String) -> Result<Self, SlugError> {
        Self::new(text)
    }
}

impl From<Slug> for String {
    fn from(slug: Slug) -> Self {
        slug.0
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl std::borrow::Borrow<str> for Slug {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// A git object id, as git prints it: 40 (SHA-1) or 64 (SHA-256) lower-case hex digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Oid(String);

impl Oid {
    /// Wraps an id that git printed; `None` when it is not 40 or 64 hex digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let hex = text.bytes().all(|b| b.is_ascii_hexdigit());
        (hex && matches!(text.len(), 40 | 64)).then(|| Self(text.to_ascii_lowercase()))
    }

    /// All digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first nine digits, for people.
    #[must_use]
    pub fn short(&self) -> &str {
        self.0.get(..9).unwrap_or(&self.0)
    }
}

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The name of one run of `harness run`, unique in a repository: `20261123-221530-4f2a`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub String);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The name of a worktree in the pool: `w1`, `w2`, …
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WorktreeName(pub u32);

impl fmt::Display for WorktreeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "w{}", self.0)
    }
}

/// A point in time in milliseconds since the Unix epoch, in the journal on the run's own clock: that starts at the
/// wall clock (or at the journal's last record, if that is later) and then only follows elapsed time, asleep or awake. It
/// never goes backwards, whatever the wall clock does. What is shown bears the wall clock's time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Stamp(pub u64);

impl Stamp {
    /// This point `ms` milliseconds later.
    #[must_use]
    pub fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to this point; 0 when it is not earlier.
    #[must_use]
    pub fn since_ms(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_follow_the_grammar() {
        for good in ["a", "a1", "auth-login", "v1.2_x", "0", &"a".repeat(63)] {
            assert!(Slug::new(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "A",
            "-a",
            "a-",
            "../x",
            "a/b",
            "a b",
            "a..b",
            "x.lock",
            ".",
            "é",
            "a\nb",
            &"a".repeat(64),
        ] {
            assert!(Slug::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_oid_is_40_or_64_hex_digits() {
        assert!(Oid::parse(&"0a".repeat(20)).is_some());
        assert!(Oid::parse(&"0a".repeat(32)).is_some());
        assert!(Oid::parse("HEAD").is_none());
        assert!(Oid::parse(&"zz".repeat(20)).is_none());
    }
}
