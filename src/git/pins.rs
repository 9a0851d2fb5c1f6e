//! Refs that nobody moves any more: a night makes thousands, and each in a file of its own costs every look at the refs a
//! little.
//!
//! Packing changes no value, and this file never moves, makes or removes a ref.

use super::repo::Repo;

/// Where each iteration is kept.
pub(super) const PINS: &str = "refs/harness/iterations/";
/// Where commits are kept, for good or until a run ends, and nobody moves a ref once it is made.
pub(super) const KEPT: [&str; 4] = [
    PINS,
    "refs/harness/candidates/",
    "refs/harness/lost/",
    "refs/harness/old/",
];
/// So many in files of their own are packed.
pub(super) const MANY: usize = 256;

impl Repo {
    /// Packs these, of those in files of their own, when they are many. `unpacked`: so many were there when it last failed,
    /// and returned is what it is to be told next time. What fails is only slower, and is tried again when there are twice as
    /// many.
    pub(super) fn pack_settled(&self, loose: &[&str], unpacked: usize) -> usize {
        if loose.len() < MANY.max(2 * unpacked) {
            return unpacked;
        }
        if !self.git_is_at_least((2, 42)) {
            return loose.len();
        }
        let kept = KEPT.iter().map(|dir| format!("{dir}*"));
        let is_kept = |name: &str| KEPT.iter().any(|dir| name.starts_with(dir));
        let others = loose.iter().filter(|name| !is_kept(name));
        let mut call = self.git().call(["pack-refs"]);
        for pattern in kept.chain(others.map(|name| (*name).to_owned())) {
            call = call.arg("--include").arg(pattern);
        }
        call.ok().map_or(loose.len(), |_| 0)
    }
}
