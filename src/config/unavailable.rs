//! Keys of the contract whose capability does not exist yet.
//!
//! A key that would do nothing is refused, unless its value asks for exactly what happens anyway: a
//! setting that is silently ignored is worse than one that is missing.

use super::yaml::Node;

/// A key that is not available.
pub(super) struct Unavailable {
    /// The key, with `*` for names the user chooses.
    pub key: &'static str,
    /// Whether this value asks for nothing but what happens today.
    pub harmless: fn(&Node) -> bool,
    /// What to write instead.
    pub instead: &'static str,
}

const fn key(key: &'static str, harmless: fn(&Node) -> bool, instead: &'static str) -> Unavailable {
    Unavailable {
        key,
        harmless,
        instead,
    }
}

/// Keys of harness.yaml.
pub(super) const IN_FILE: &[Unavailable] = &[key("checks", never, "remove it")];

fn never(_: &Node) -> bool {
    false
}
