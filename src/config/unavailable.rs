//! Keys of the contract whose capability does not exist yet.
//!
//! A key that would do nothing is refused: a setting that is silently ignored is worse than one that is missing.

/// A key that is not available.
pub(super) struct Unavailable {
    /// The key, with `*` for names the user chooses.
    pub key: &'static str,
    /// What to write instead.
    pub instead: &'static str,
}

/// Keys of harness.yaml.
pub(super) const IN_FILE: &[Unavailable] = &[Unavailable {
    key: "checks",
    instead: "remove it",
}];
