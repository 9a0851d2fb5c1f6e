//! Refs of kept iterations: a night makes thousands, and each in a file of its own costs every look at the refs a little.
//!
//! Packing changes no value, and this file never moves, makes or removes a ref.

use super::repo::Repo;

/// Where they are.
pub(super) const PINS: &str = "refs/harness/iterations/";
/// So many in files of their own are packed.
const MANY: usize = 256;

impl Repo {
    /// Packs them when many are in files of their own. `unpacked`: so many were there when it last failed, and returned
    /// is what it is to be told next time. What fails is only slower, and is tried again when there are twice as many.
    pub(super) fn pack_pins(&self, loose: usize, unpacked: usize) -> usize {
        if loose < MANY.max(2 * unpacked) {
            return unpacked;
        }
        if !self.git_is_at_least((2, 42)) {
            return loose;
        }
        let pattern = format!("{PINS}*");
        let packed = self.git().call(["pack-refs", "--include", &pattern]).ok();
        packed.map_or(loose, |_| 0)
    }
}
