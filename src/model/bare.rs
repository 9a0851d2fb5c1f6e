//! Kinds without fields in a tagged enum: serde would let them have any, and drop them.
//!
//! This file never knows which kinds there are.

use serde::{Deserialize, Deserializer};

/// Reads a kind without fields, and refuses fields.
pub(super) fn bare<'de, D: Deserializer<'de>>(source: D) -> Result<(), D::Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Bare {}
    Bare::deserialize(source).map(|Bare {}| ())
}
